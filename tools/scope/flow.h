/* SPDX-License-Identifier: MIT */
/*
 * Flows: one interrupt, exception, IPI or software interrupt from its first cause to its IRET, built from the causal records, live or
 * from a file, in one pass.
 *
 * A request (the edge of a line, an expiry, an ICR write) begins a flow; records join the flow of their cause, an EOI that of the
 * acknowledge it ends, an IRET that of the frame it pops. A further delivery of the same request (a level that is still high) is a
 * flow of its own, with the first as its cause. A line's request goes to the 8259 and to the IOAPIC; both branches belong to its flow.
 * A flow is closed, and handed to the consumer, when nothing more can happen to it; what is open at the end is closed then.
 *
 * Memory is bounded: FLOW_OPEN flows of FLOW_STAGES stages; when there are more, the oldest is closed as it stands.
 *
 * Not modelled: one IPI to several CPUs is told for the first that accepts it.
 */
#ifndef IRQSCOPE_SCOPE_FLOW_H
#define IRQSCOPE_SCOPE_FLOW_H

#include "bus/trace.h"

#define FLOW_STAGES 32
#define FLOW_OPEN   512
#define FLOW_NONE   0xffff /* gsi, pin, vector: not known */

enum flow_kind {
    FLOW_LINE,
    FLOW_TIMER, /* the local APIC's */
    FLOW_LVT,   /* another of its local sources */
    FLOW_IPI,
    FLOW_MSI,
    FLOW_NMI,
    FLOW_EXCEPTION,
    FLOW_SOFT, /* INT n, INT3, INTO, INT1 */
    FLOW_SPURIOUS,
    FLOW_KINDS,
};

enum flow_outcome {
    FLOW_OPEN_STILL, /* not closed yet */
    FLOW_DELIVERED,  /* to the IRET */
    FLOW_IN_HANDLER, /* its frame was pushed, no IRET was seen */
    FLOW_COALESCED,  /* joined an earlier one: coalesced_with */
    FLOW_HELD,       /* waits at the end */
    FLOW_MASKED,     /* an edge that a mask swallowed */
    FLOW_WITHDRAWN,  /* the line fell before it was taken */
    FLOW_REJECTED,   /* no target, an illegal vector, an APIC that is off */
    FLOW_FAULTED,    /* delivering it made another exception */
    FLOW_OUTCOMES,
};

/* What became of a line's request at one controller. */
enum flow_branch {
    BRANCH_NONE,
    BRANCH_PENDING,
    BRANCH_TAKEN,
    BRANCH_WITHDRAWN,
    BRANCH_LOST
};

struct flow {
    uint64_t number;     /* 1, 2, ... in the order of their beginning */
    uint64_t cause_flow; /* 0: none */
    uint64_t nested_in;  /* whose handler it interrupted; 0: none */
    uint64_t coalesced_with;
    enum flow_kind kind;
    enum flow_outcome outcome;
    uint16_t source; /* of the line; FLOW_NONE */
    uint16_t gsi, pic_pin, ioapic, ioapic_pin, vector;
    uint16_t cpu;              /* TRACE_CPU_NONE: none */
    uint8_t pic, io;           /* enum flow_branch */
    uint8_t hold;              /* enum trace_hold: what it waits for now */
    uint8_t pic_hold, io_hold; /* and at the one and the other controller */
    bool again;                /* a further delivery of a line that stayed high */
    bool in_service;           /* acknowledged, and no EOI yet */
    uint64_t outer;            /* flow whose handler is left for this one's */
    /* The records of its stages, in order; [1] to [FLOW_STAGES - 1] lose their oldest when there are more. */
    struct irq_record stage[FLOW_STAGES];
    unsigned nstages;
    unsigned dropped;
};

typedef void flow_fn(void *opaque, const struct flow *flow);

struct flows;
/* NULL for want of memory. */
struct flows *flows_new(flow_fn *closed, void *opaque);
void flows_free(struct flows *flows); /* NULL is allowed; does not close what is open */
void flows_add(struct flows *flows, const struct irq_record *recs, size_t n);
/* Close what is open, in the order of their beginning. */
void flows_finish(struct flows *flows);
uint64_t flows_count(const struct flows *flows);

/* Kebab-case names, stable. */
const char *flow_kind_name(enum flow_kind kind);
const char *flow_outcome_name(enum flow_outcome outcome);
/* The first stage of a kind, or NULL. */
const struct irq_record *flow_find(const struct flow *flow, uint16_t kind);
/* The first record that tells that it waits, or NULL; holds of the branch that did not deliver do not count. */
const struct irq_record *flow_first_hold(const struct flow *flow);
/* Is r, a stage of a line's flow, of the branch that did not deliver? */
bool flow_is_other_branch(const struct flow *flow, const struct irq_record *r);
/* The hold's reason and who made it so (0 = unknown). */
void flow_hold_of(const struct irq_record *r, enum trace_hold *reason, uint64_t *by);
bool flow_is_hold(const struct irq_record *r);

#endif
