/* SPDX-License-Identifier: MIT */
/*
 * The virtual clock: a binary heap of armed events ordered by (deadline, seq). See clock.h.
 */
#include "bus/clock.h"

#include "bus/assert.h"

#include <string.h>

static bool event_before(const struct clock_event *a, const struct clock_event *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->seq < b->seq);
}

static void heap_put(struct clock *clock, uint32_t i, struct clock_event *ev)
{
    clock->heap[i] = ev;
    ev->index = i;
}

static void heap_sift_up(struct clock *clock, uint32_t i, struct clock_event *ev)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (!event_before(ev, clock->heap[parent])) {
            break;
        }
        heap_put(clock, i, clock->heap[parent]);
        i = parent;
    }
    heap_put(clock, i, ev);
}

static void heap_sift_down(struct clock *clock, uint32_t i, struct clock_event *ev)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= clock->count) {
            break;
        }
        if (child + 1 < clock->count && event_before(clock->heap[child + 1], clock->heap[child])) {
            child++;
        }
        if (!event_before(clock->heap[child], ev)) {
            break;
        }
        heap_put(clock, i, clock->heap[child]);
        i = child;
    }
    heap_put(clock, i, ev);
}

static void heap_remove(struct clock *clock, struct clock_event *ev)
{
    uint32_t i = ev->index;
    irq_assert(i < clock->count && clock->heap[i] == ev);
    struct clock_event *last = clock->heap[--clock->count];
    if (last != ev) {
        if (i > 0 && event_before(last, clock->heap[(i - 1) / 2])) {
            heap_sift_up(clock, i, last);
        } else {
            heap_sift_down(clock, i, last);
        }
    }
    ev->deadline = VTIME_NEVER;
}

static void update_next(struct clock *clock)
{
    clock->next = clock->count ? clock->heap[0]->deadline : VTIME_NEVER;
}

void clock_init(struct clock *clock)
{
    memset(clock, 0, sizeof(*clock));
    clock->next = VTIME_NEVER;
}

void clock_event_init(struct clock_event *ev, const char *name, clock_event_fn *fn, void *opaque)
{
    *ev = (struct clock_event){.deadline = VTIME_NEVER, .fn = fn, .opaque = opaque, .name = name};
}

void clock_arm(struct clock *clock, struct clock_event *ev, vtime_t deadline)
{
    if (clock_event_armed(ev)) {
        heap_remove(clock, ev);
    }
    if (deadline != VTIME_NEVER) {
        irq_assert(clock->count < CLOCK_MAX_EVENTS);
        ev->deadline = deadline;
        ev->seq = clock->seq++;
        heap_sift_up(clock, clock->count++, ev);
    }
    update_next(clock);
}

void clock_disarm(struct clock *clock, struct clock_event *ev)
{
    if (clock_event_armed(ev)) {
        heap_remove(clock, ev);
        update_next(clock);
    }
}

void clock_run_due(struct clock *clock)
{
    while (clock->next <= clock->now && clock->count > 0) {
        struct clock_event *ev = clock->heap[0];
        vtime_t deadline = ev->deadline;
        heap_remove(clock, ev);
        update_next(clock);
        ev->fn(ev->opaque, deadline);
    }
}

void clock_advance(struct clock *clock, vtime_t t)
{
    irq_assert(t >= clock->now);
    clock->now = t;
}

uint64_t clock_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    irq_assert(c > 0);
    __extension__ typedef unsigned __int128 uint128;
    uint128 q = (uint128)a * b / c;
    return q > UINT64_MAX ? UINT64_MAX : (uint64_t)q;
}
