/* SPDX-License-Identifier: MIT */
/*
 * What can be asked of a flow. See flow.h.
 */
#include "cpu/trace_events.h"
#include "intc/trace_events.h"
#include "scope/flow.h"

const char *flow_kind_name(enum flow_kind kind)
{
    static const char *const names[FLOW_KINDS] = {"line", "lapic-timer", "lvt",  "ipi",     "msi",
                                                  "nmi",  "exception",   "soft", "spurious"};
    return (unsigned)kind < FLOW_KINDS ? names[kind] : "unknown";
}

const char *flow_outcome_name(enum flow_outcome outcome)
{
    static const char *const names[FLOW_OUTCOMES] = {"open",      "delivered", "in-handler",
                                                     "coalesced", "held",      "masked",
                                                     "withdrawn", "rejected",  "faulted"};
    return (unsigned)outcome < FLOW_OUTCOMES ? names[outcome] : "unknown";
}

const struct irq_record *flow_find(const struct flow *flow, uint16_t kind)
{
    for (unsigned i = 0; i < flow->nstages; i++) {
        if (flow->stage[i].kind == kind) {
            return &flow->stage[i];
        }
    }
    return NULL;
}

bool flow_is_hold(const struct irq_record *r)
{
    return r->kind == TRACE_cpu_hold || r->kind == TRACE_pic_hold || r->kind == TRACE_ioapic_hold ||
           r->kind == TRACE_lapic_hold;
}

bool flow_is_other_branch(const struct flow *f, const struct irq_record *r)
{
    bool of_pic = r->kind == TRACE_pic_request || r->kind == TRACE_pic_hold ||
                  r->kind == TRACE_pic_withdraw || r->kind == TRACE_pic_intr;
    bool of_io = r->kind == TRACE_ioapic_pin || r->kind == TRACE_ioapic_hold;
    bool pic_used = f->pic != BRANCH_NONE && f->pic_hold != HOLD_PIC_MASKED;
    bool io_used = f->io != BRANCH_NONE && f->io_hold != HOLD_IOAPIC_MASKED;
    bool of_lint =
        r->kind == TRACE_lapic_lvt || (r->kind == TRACE_lapic_hold && r->op[1] == HOLD_LINT_MASKED);
    if (f->kind != FLOW_LINE) {
        return false;
    }
    if (f->io == BRANCH_TAKEN && f->pic != BRANCH_TAKEN) {
        return of_pic || of_lint;
    }
    if (f->pic == BRANCH_TAKEN && f->io != BRANCH_TAKEN) {
        return of_io;
    }
    return f->pic != BRANCH_TAKEN &&
           ((of_io && pic_used && !io_used) || (of_pic && io_used && !pic_used));
}

const struct irq_record *flow_first_hold(const struct flow *flow)
{
    for (unsigned i = 0; i < flow->nstages; i++) {
        if (flow_is_hold(&flow->stage[i]) && !flow_is_other_branch(flow, &flow->stage[i])) {
            return &flow->stage[i];
        }
    }
    return NULL;
}

void flow_hold_of(const struct irq_record *r, enum trace_hold *reason, uint64_t *by)
{
    unsigned which = r->kind == TRACE_cpu_hold ? 0 : r->kind == TRACE_ioapic_hold ? 2 : 1;
    *reason = r->op[which] < HOLD_HOLDS ? (enum trace_hold)r->op[which] : HOLD_NONE;
    *by = r->op[r->kind == TRACE_cpu_hold ? 1 : 3];
}
