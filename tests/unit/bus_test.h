/* SPDX-License-Identifier: MIT */
/*
 * What the tests of chips share: a sink for interrupt wires that keeps what it saw, bus attributes, a random generator with a
 * fixed seed, and a listener that keeps records.
 */
#ifndef IRQSCOPE_TESTS_UNIT_BUS_TEST_H
#define IRQSCOPE_TESTS_UNIT_BUS_TEST_H

#include "bus/clock.h"
#include "bus/irq.h"
#include "bus/trace.h"

#include <string.h>

#define BUS_TEST_EDGES 4096

struct bus_test_edge {
    vtime_t t;
    bool level;
    cause_t cause;
};

/* Receiver of one wire. */
struct bus_test_sink {
    const struct clock *clock;
    unsigned n; /* edges seen */
    struct bus_test_edge edge[BUS_TEST_EDGES];
};

static inline void bus_test_sink_set(void *opaque, uint16_t pin, uint16_t source, bool level,
                                     cause_t cause)
{
    struct bus_test_sink *s = opaque;
    (void)pin, (void)source;
    if (s->n < BUS_TEST_EDGES) {
        s->edge[s->n] = (struct bus_test_edge){s->clock->now, level, cause};
    }
    s->n++;
}

static inline void bus_test_connect(struct irq_line *line, struct bus_test_sink *s,
                                    const struct clock *clock)
{
    memset(s, 0, sizeof(*s));
    s->clock = clock;
    line->set = bus_test_sink_set;
    line->opaque = s;
}

/* Let virtual time pass to t, each due event at its own time. */
static inline void bus_test_run_to(struct clock *clock, vtime_t t)
{
    while (clock->next <= t) {
        if (clock->next > clock->now) {
            clock_advance(clock, clock->next);
        }
        clock_run_due(clock);
    }
    clock_advance(clock, t);
}

#define BUS_TEST_RECORDS 4096

struct bus_test_records {
    size_t n;
    struct irq_record rec[BUS_TEST_RECORDS];
};

static inline void bus_test_drain(void *opaque, const struct irq_record *recs, size_t n)
{
    struct bus_test_records *r = opaque;
    for (size_t i = 0; i < n && r->n < BUS_TEST_RECORDS; i++) {
        r->rec[r->n++] = recs[i];
    }
}

/* The record with this id, or NULL. */
static inline const struct irq_record *bus_test_find(const struct bus_test_records *r, cause_t id)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->rec[i].id == id) {
            return &r->rec[i];
        }
    }
    return NULL;
}

/* xorshift64; *state is never 0. */
static inline uint64_t bus_test_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static inline uint32_t bus_test_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((bus_test_random(state) >> 16) % n);
}

#endif
