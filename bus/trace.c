/* SPDX-License-Identifier: MIT */
/*
 * The record buffer, its drain and its masks, and the ground floor's descriptors. See trace.h.
 */
#include "bus/trace.h"

#include "bus/assert.h"
#include "bus/trace_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct trace_desc bus_trace_descs[] = {TRACE_DEFINE_DESCS(BUS_TRACE_EVENTS)};
const size_t bus_trace_ndescs = irq_array_size(bus_trace_descs);

_Static_assert((int)TRACE_bus_end <= (int)TRACE_BASE(TRACE_FOLDER_BUS) + TRACE_KINDS_PER_FOLDER,
               "too many kinds in bus/trace_events.h");

const char *trace_hold_name(enum trace_hold hold)
{
    static const char *const names[HOLD_HOLDS] = {
        [HOLD_NONE] = "none",
        [HOLD_PIC_MASKED] = "pic-masked",
        [HOLD_PIC_IN_SERVICE] = "pic-in-service",
        [HOLD_PIC_PRIORITY] = "pic-priority",
        [HOLD_PIC_UNINIT] = "pic-uninit",
        [HOLD_LINT_MASKED] = "lint-masked",
        [HOLD_IOAPIC_MASKED] = "ioapic-masked",
        [HOLD_REMOTE_IRR] = "remote-irr",
        [HOLD_TRANSIT] = "transit",
        [HOLD_APIC_OFF] = "apic-off",
        [HOLD_LVT_MASKED] = "lvt-masked",
        [HOLD_LAPIC_ISR] = "lapic-isr",
        [HOLD_LAPIC_TPR] = "lapic-tpr",
        [HOLD_LAPIC_HIGHER] = "lapic-higher",
        [HOLD_NMI_BLOCKED] = "nmi-blocked",
        [HOLD_IF] = "if-0",
        [HOLD_SHADOW] = "shadow",
        [HOLD_TURN] = "turn",
        [HOLD_DEBUGGER] = "debugger",
    };
    return (unsigned)hold < HOLD_HOLDS ? names[hold] : "unknown";
}

void trace_init(struct trace *t, const struct clock *clock)
{
    memset(t, 0, sizeof(*t));
    t->clock = clock;
    t->next_id = 1;
}

void trace_fini(struct trace *t)
{
    trace_flush(t);
    free(t->buf);
    t->buf = NULL;
    t->enabled = false;
}

int trace_listen(struct trace *t, trace_drain_fn *drain, void *opaque)
{
    if (!t->buf) {
        t->buf = calloc(TRACE_BUFFER, sizeof(*t->buf));
        if (!t->buf) {
            return -ENOMEM;
        }
    }
    /* What was recorded for an earlier listener belongs to it. */
    trace_flush(t);
    t->drain = drain;
    t->drain_opaque = opaque;
    t->enabled = drain != NULL;
    return 0;
}

void trace_flush(struct trace *t)
{
    uint32_t n = t->count;
    t->count = 0;
    if (n > 0 && t->drain) {
        t->drain(t->drain_opaque, t->buf, n);
    }
}

void trace_mask_kind(struct trace *t, uint16_t kind, bool masked)
{
    irq_assert(kind < irq_array_size(t->masked));
    t->masked[kind] = masked;
}

cause_t trace_emit_slow(struct trace *t, uint16_t kind, uint16_t cpu, cause_t cause, cause_t ref,
                        uint8_t result, const uint64_t *ops, unsigned nops)
{
    irq_assert(kind < irq_array_size(t->masked) && nops <= TRACE_OPERANDS);
    if (t->masked[kind]) {
        return cause;
    }
    if (t->count == TRACE_BUFFER) {
        trace_flush(t);
    }
    struct irq_record *r = &t->buf[t->count++];
    /* Every byte is set, padding too: streams are compared byte for byte. */
    memset(r, 0, sizeof(*r));
    r->id = t->next_id++;
    r->cause = cause;
    r->ref = ref;
    r->vtime = t->clock ? t->clock->now : 0;
    r->insns = (cpu != TRACE_CPU_NONE && t->insns) ? t->insns(t->insns_opaque, cpu) : 0;
    for (unsigned i = 0; i < nops; i++) {
        r->op[i] = ops[i];
    }
    r->kind = kind;
    r->cpu = cpu;
    r->result = result;
    return r->id;
}
