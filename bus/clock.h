/* SPDX-License-Identifier: MIT */
/*
 * The virtual clock: the only time there is below tools/.
 *
 * now advances only through clock_advance(): by the CPU as it retires instructions, and by the
 * machine when every CPU halts. Events are ordered by (deadline, sequence number of arming), so
 * equal deadlines run in the order in which they were armed. Callbacks run only inside
 * clock_run_due(), i.e. at a poll point; an event is already disarmed when its callback runs and may
 * re-arm itself (periodic: deadline += period, never now + period).
 *
 * Thread class: machine thread only.
 */
#ifndef IRQSCOPE_BUS_CLOCK_H
#define IRQSCOPE_BUS_CLOCK_H

#include "bus/types.h"

#define CLOCK_MAX_EVENTS 64

struct clock;
typedef void clock_event_fn(void *opaque, vtime_t deadline);

/* Held by value in the device that owns it. */
struct clock_event {
    vtime_t deadline; /* absolute, ns; VTIME_NEVER = disarmed */
    uint64_t seq;
    clock_event_fn *fn;
    void *opaque;
    const char *name;
    uint32_t index; /* slot in the clock's heap while armed */
};

struct clock {
    vtime_t now;
    vtime_t next; /* deadline of the earliest armed event, VTIME_NEVER if none */
    uint64_t seq;
    uint32_t count;
    struct clock_event *heap[CLOCK_MAX_EVENTS];
};

void clock_init(struct clock *clock);
/* Prepare a disarmed event. name is a static string for dumps. */
void clock_event_init(struct clock_event *ev, const char *name, clock_event_fn *fn, void *opaque);
/* Arm (or move) ev to an absolute deadline in ns; a deadline in the past runs at the next poll. */
void clock_arm(struct clock *clock, struct clock_event *ev, vtime_t deadline);
/* Disarm; no effect if it is not armed. */
void clock_disarm(struct clock *clock, struct clock_event *ev);
/* Run every event whose deadline is <= now, earliest first; events armed meanwhile for <= now run too. */
void clock_run_due(struct clock *clock);
/* Advance now to t (>= now). Does not run events. */
void clock_advance(struct clock *clock, vtime_t t);
/* a * b / c with a 128-bit intermediate; c > 0; the result must fit 64 bits (saturates otherwise). */
uint64_t clock_muldiv(uint64_t a, uint64_t b, uint64_t c);

static inline bool clock_event_armed(const struct clock_event *ev)
{
    return ev->deadline != VTIME_NEVER;
}

#endif
