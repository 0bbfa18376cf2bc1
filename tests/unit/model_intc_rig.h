/* SPDX-License-Identifier: MIT */
/*
 * What the tests of interrupt controllers share: a clock, a trace with a listener, a bus, a CPU's
 * end of the interrupt wires that only remembers, and short words for register accesses and for
 * finding records.
 */
#ifndef IRQSCOPE_TESTS_UNIT_MODEL_INTC_RIG_H
#define IRQSCOPE_TESTS_UNIT_MODEL_INTC_RIG_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/intr.h"
#include "bus/trace.h"
#include "intc/trace_events.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define RIG_RIP 0x401000ull

struct rig_sink {
    uint32_t bits;      /* reasons raised now */
    unsigned raised[8]; /* times that each bit was raised */
    unsigned lowered;   /* times that HARD was lowered */
    uint8_t arg;
    cause_t cause;
};

struct rig {
    struct clock clock;
    struct trace trace;
    struct bus bus;
    struct bus_test_records records;
    struct bus_attrs attrs;
};

static inline void rig_init(struct rig *rig)
{
    struct error err;

    memset(rig, 0, sizeof(*rig));
    clock_init(&rig->clock);
    trace_init(&rig->trace, &rig->clock);
    cr_assert_eq(trace_listen(&rig->trace, bus_test_drain, &rig->records), 0);
    cr_assert_eq(bus_init(&rig->bus, 0x10000, &err), 0);
    rig->attrs = (struct bus_attrs){.rip = RIG_RIP};
}

static inline void rig_fini(struct rig *rig)
{
    bus_fini(&rig->bus);
    trace_fini(&rig->trace);
}

static inline void rig_outb(struct rig *rig, uint16_t port, uint8_t value)
{
    bus_port_write(&rig->bus, port, 1, value, &rig->attrs);
}

static inline uint8_t rig_inb(struct rig *rig, uint16_t port)
{
    return (uint8_t)bus_port_read(&rig->bus, port, 1, &rig->attrs);
}

/* Last record of a kind, or NULL. */
static inline const struct irq_record *rig_last(struct rig *rig, uint16_t kind)
{
    trace_flush(&rig->trace);
    for (size_t i = rig->records.n; i-- > 0;) {
        if (rig->records.rec[i].kind == kind) {
            return &rig->records.rec[i];
        }
    }
    return NULL;
}

static inline unsigned rig_count(struct rig *rig, uint16_t kind)
{
    unsigned n = 0;
    trace_flush(&rig->trace);
    for (size_t i = 0; i < rig->records.n; i++) {
        n += rig->records.rec[i].kind == kind;
    }
    return n;
}

/* Is record `id` reached from `from` by causes? */
static inline bool rig_caused(struct rig *rig, cause_t from, cause_t id)
{
    trace_flush(&rig->trace);
    while (from != 0 && from != id) {
        const struct irq_record *rec = bus_test_find(&rig->records, from);
        from = rec ? rec->cause : 0;
    }
    return from == id;
}

static inline void rig_sink_raise(void *opaque, uint32_t bits, cause_t cause, uint8_t arg)
{
    struct rig_sink *sink = opaque;

    for (unsigned i = 0; i < 8; i++) {
        sink->raised[i] += bits >> i & 1;
    }
    sink->bits |= bits;
    sink->cause = cause;
    if (bits & CPU_INTERRUPT_SIPI) {
        sink->arg = arg;
    }
}

static inline void rig_sink_lower(void *opaque, uint32_t bits)
{
    struct rig_sink *sink = opaque;

    sink->lowered += bits & CPU_INTERRUPT_HARD;
    sink->bits &= ~bits;
}

static const struct intr_sink_ops rig_sink_ops = {rig_sink_raise, rig_sink_lower};

#endif
