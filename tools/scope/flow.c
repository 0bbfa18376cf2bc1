/* SPDX-License-Identifier: MIT */
/*
 * The builder of flows. What belongs together: flow.h; what the records mean: trace_events.h of each folder.
 */
#include "scope/flow.h"

#include <stdlib.h>
#include <string.h>

#include "bus/trace_events.h"
#include "cpu/trace_events.h"
#include "firmware/trace_events.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"

#define RTE_MASKED (1u << 16)
#define RTE_LEVEL  (1u << 15)
#define RECENT     65536 /* records whose flow is known at once; a power of two */
#define ORIGINS    16
#define GSIS       64
#define CPUS       64

struct recent {
    uint64_t id;
    uint64_t number; /* of its flow; 0 = none */
    uint16_t kind;
};

struct flows {
    flow_fn *closed;
    void *opaque;
    uint64_t count;
    struct flow *open[FLOW_OPEN]; /* in the order of their beginning */
    unsigned nopen;
    struct recent recent[RECENT];
    /* The latest records that a line's change may name as its cause. */
    struct irq_record origin[ORIGINS];
    unsigned norigins;
    struct {
        uint16_t source, gsi;
    } pic_pin[GSIS], ioapic_pin[GSIS]; /* whose line came in there last */
    uint64_t line[GSIS];               /* flow of the line that is high; 0 = low */
    uint64_t context[CPUS];            /* flow whose handler runs; 0 = none */
};

struct flows *flows_new(flow_fn *closed, void *opaque)
{
    struct flows *flows = calloc(1, sizeof(*flows));
    if (flows) {
        flows->closed = closed;
        flows->opaque = opaque;
        memset(flows->pic_pin, 0xff, sizeof(flows->pic_pin));
        memset(flows->ioapic_pin, 0xff, sizeof(flows->ioapic_pin));
    }
    return flows;
}

void flows_free(struct flows *flows)
{
    if (!flows) {
        return;
    }
    for (unsigned i = 0; i < flows->nopen; i++) {
        free(flows->open[i]);
    }
    free(flows);
}

uint64_t flows_count(const struct flows *flows)
{
    return flows->count;
}

/* ---- open flows and the way from a record to its flow ---- */

static enum flow_outcome final_outcome(const struct flow *f)
{
    if (f->outcome != FLOW_OPEN_STILL) {
        return f->outcome;
    }
    if (flow_find(f, TRACE_cpu_iret)) {
        return FLOW_DELIVERED;
    }
    if (flow_find(f, TRACE_cpu_frame)) {
        return FLOW_IN_HANDLER;
    }
    if (f->pic == BRANCH_WITHDRAWN || f->io == BRANCH_WITHDRAWN) {
        return f->pic == BRANCH_PENDING || f->io == BRANCH_PENDING ? FLOW_HELD : FLOW_WITHDRAWN;
    }
    if (f->io == BRANCH_LOST && f->pic != BRANCH_PENDING) {
        return FLOW_MASKED;
    }
    return FLOW_HELD;
}

static void close_at(struct flows *flows, unsigned i)
{
    struct flow *f = flows->open[i];
    flows->nopen--;
    memmove(&flows->open[i], &flows->open[i + 1], (flows->nopen - i) * sizeof(*flows->open));
    f->outcome = final_outcome(f);
    if (flows->closed) {
        flows->closed(flows->opaque, f);
    }
    free(f);
}

static struct flow *find_number(struct flows *flows, uint64_t number)
{
    for (unsigned i = flows->nopen; number && i > 0; i--) {
        if (flows->open[i - 1]->number == number) {
            return flows->open[i - 1];
        }
    }
    return NULL;
}

/* What is known of record id: its flow's number and its kind. Older ones are found while their flow is open. */
static struct recent find_record(struct flows *flows, uint64_t id)
{
    const struct recent *recent = &flows->recent[id % RECENT];
    if (id == 0 || recent->id == id) {
        return id ? *recent : (struct recent){0};
    }
    for (unsigned i = flows->nopen; i > 0; i--) {
        const struct flow *f = flows->open[i - 1];
        for (unsigned k = 0; k < f->nstages; k++) {
            if (f->stage[k].id == id) {
                return (struct recent){.id = id, .number = f->number, .kind = f->stage[k].kind};
            }
        }
    }
    return (struct recent){0};
}

static void remember(struct flows *flows, const struct irq_record *r, uint64_t number)
{
    flows->recent[r->id % RECENT] = (struct recent){.id = r->id, .number = number, .kind = r->kind};
}

static struct flow *flow_of(struct flows *flows, uint64_t id)
{
    return find_number(flows, find_record(flows, id).number);
}

static void add_stage(struct flows *flows, struct flow *f, const struct irq_record *r)
{
    if (f->nstages == FLOW_STAGES) {
        /* How it began stays; of the rest the oldest go. */
        memmove(&f->stage[1], &f->stage[2], (FLOW_STAGES - 2) * sizeof(f->stage[0]));
        f->nstages--;
        f->dropped++;
    }
    f->stage[f->nstages++] = *r;
    remember(flows, r, f->number);
}

/* A flow that begins with r; cause is the flow that brought it about, or 0. NULL for want of memory. */
static struct flow *begin(struct flows *flows, enum flow_kind kind, const struct irq_record *r,
                          uint64_t cause)
{
    struct flow *f = calloc(1, sizeof(*f));
    flows->count++;
    if (!f) {
        return NULL;
    }
    if (flows->nopen == FLOW_OPEN) {
        close_at(flows, 0);
    }
    f->number = flows->count;
    f->kind = kind;
    f->cause_flow = cause;
    f->source = f->gsi = f->pic_pin = f->ioapic = f->ioapic_pin = f->vector = FLOW_NONE;
    f->cpu = TRACE_CPU_NONE;
    flows->open[flows->nopen++] = f;
    add_stage(flows, f, r);
    return f;
}

/* A further delivery of a line's request; first is the flow of the one before. */
static struct flow *begin_again(struct flows *flows, const struct irq_record *r, uint64_t first)
{
    struct flow *again = begin(flows, FLOW_LINE, r, first);
    if (again) {
        again->again = true;
    }
    return again;
}

static bool settled(enum flow_branch branch, uint8_t hold)
{
    bool waits_unseen = hold == HOLD_PIC_MASKED || hold == HOLD_IOAPIC_MASKED ||
                        hold == HOLD_LINT_MASKED || hold == HOLD_PIC_UNINIT;
    return branch != BRANCH_PENDING || waits_unseen;
}

/* Close f if nothing more can happen to it. */
static void close_if_done(struct flows *flows, struct flow *f)
{
    bool done;
    if (f->outcome != FLOW_OPEN_STILL) {
        done = true;
    } else if (flow_find(f, TRACE_cpu_iret)) {
        done = !f->in_service && settled((enum flow_branch)f->pic, f->pic_hold) &&
               settled((enum flow_branch)f->io, f->io_hold);
    } else {
        /* A line's request that no controller has any more. */
        done = f->kind == FLOW_LINE && f->pic != BRANCH_PENDING && f->io != BRANCH_PENDING &&
               f->pic != BRANCH_TAKEN && f->io != BRANCH_TAKEN && (f->pic || f->io) &&
               (f->gsi >= GSIS || flows->line[f->gsi] != f->number);
    }
    for (unsigned i = 0; done && i < flows->nopen; i++) {
        if (flows->open[i] == f) {
            close_at(flows, i);
            return;
        }
    }
}

/* ---- one function per family of records ---- */

static void add_line(struct flows *flows, const struct irq_record *r)
{
    uint64_t gsi = r->op[1];
    struct flow *f = gsi < GSIS ? find_number(flows, flows->line[gsi]) : NULL;
    if (r->kind == TRACE_line_join || !r->op[2]) {
        remember(flows, r, f ? f->number : find_record(flows, r->cause).number);
        if (f) {
            add_stage(flows, f, r);
        }
        if (r->kind == TRACE_line && gsi < GSIS) {
            flows->line[gsi] = 0;
            if (f) {
                close_if_done(flows, f);
            }
        }
        return;
    }
    const struct irq_record *first = r;
    for (unsigned i = 0; i < ORIGINS && i < flows->norigins; i++) {
        if (flows->origin[i].id == r->cause && r->cause) {
            first = &flows->origin[i];
        }
    }
    f = begin(flows, FLOW_LINE, first, find_record(flows, r->cause).number);
    if (!f) {
        return;
    }
    if (first != r) {
        add_stage(flows, f, r);
    }
    f->source = (uint16_t)r->op[0];
    f->gsi = (uint16_t)gsi;
    if (gsi < GSIS) {
        flows->line[gsi] = f->number;
    }
}

/* The open flow of the line behind a controller's input: that of the cause if it is this line's, else the one that is high. */
static struct flow *flow_of_line(struct flows *flows, uint64_t cause, uint64_t gsi)
{
    struct flow *f = flow_of(flows, cause);
    if (!f || f->kind != FLOW_LINE || (f->gsi != gsi && f->gsi != FLOW_NONE)) {
        f = gsi < GSIS ? find_number(flows, flows->line[gsi]) : NULL;
    }
    return f;
}

static void add_pic(struct flows *flows, const struct irq_record *r)
{
    uint64_t pin = r->op[0];
    struct flow *f;
    if (r->kind == TRACE_pic_request) {
        f = flow_of_line(flows, r->cause, pin);
        if (!f || (f->pic != BRANCH_NONE && f->pic != BRANCH_WITHDRAWN)) {
            uint64_t first = f ? f->number : pin < GSIS ? flows->line[pin] : 0;
            f = begin_again(flows, r, first ? first : find_record(flows, r->cause).number);
        } else {
            add_stage(flows, f, r);
        }
        if (f) {
            f->pic_pin = (uint16_t)(pin % GSIS);
            if (f->source == FLOW_NONE) {
                f->source = flows->pic_pin[f->pic_pin].source;
            }
            f->gsi = f->gsi == FLOW_NONE ? f->pic_pin : f->gsi;
            flows->pic_pin[f->pic_pin].source = f->source;
            f->pic = BRANCH_PENDING;
            /* A hold is told when its reason changes: a pin that was masked all the time has none. */
            f->pic_hold = pin < 16 && r->op[2] >> pin & 1 ? HOLD_PIC_MASKED : HOLD_NONE;
            f->hold = f->pic_hold;
        }
        return;
    }
    if (r->kind == TRACE_pic_intr) {
        f = r->op[0] ? flow_of(flows, r->cause) : NULL;
        remember(flows, r, find_record(flows, r->cause).number);
        if (f && f->pic == BRANCH_PENDING) {
            add_stage(flows, f, r);
            f->pic_hold = HOLD_NONE;
        }
        return;
    }
    f = flow_of(flows, r->kind == TRACE_pic_withdraw ? r->ref : r->cause);
    if (!f) {
        remember(flows, r, find_record(flows, r->cause).number);
        return;
    }
    if (r->kind == TRACE_pic_hold) {
        uint64_t by;
        enum trace_hold reason;
        add_stage(flows, f, r);
        flow_hold_of(r, &reason, &by);
        f->pic_hold = (uint8_t)reason;
        f->hold = f->pic == BRANCH_PENDING ? f->pic_hold : f->hold;
    } else if (f->pic == BRANCH_PENDING) {
        add_stage(flows, f, r);
        f->pic = BRANCH_WITHDRAWN;
        close_if_done(flows, f);
    }
}

static void add_ioapic(struct flows *flows, const struct irq_record *r)
{
    struct flow *f = flow_of(flows, r->cause);
    if (r->kind == TRACE_ioapic_pin && !r->op[2]) {
        f = flow_of(flows, r->ref);
        remember(flows, r, f ? f->number : 0);
        if (f && f->io == BRANCH_PENDING) {
            add_stage(flows, f, r);
            f->io = BRANCH_WITHDRAWN;
            close_if_done(flows, f);
        }
        return;
    }
    if (r->kind == TRACE_ioapic_hold) {
        if (!f || f->io == BRANCH_TAKEN) {
            return; /* the level of a request that is being served */
        }
        add_stage(flows, f, r);
        f->hold = f->io_hold = (uint8_t)r->op[2];
        if (r->result == DELIVER_MASKED) {
            f->io = BRANCH_LOST;
            close_if_done(flows, f);
        } else if (r->result != DELIVER_PENDING && f->pic != BRANCH_PENDING) {
            f->outcome = FLOW_REJECTED;
            close_if_done(flows, f);
        }
        return;
    }
    bool line = f && f->kind == FLOW_LINE;
    if (r->kind == TRACE_ioapic_pin && (!line || find_record(flows, r->cause).kind != TRACE_line)) {
        f = flow_of(flows, r->ref); /* the entry, not the wire, begins it */
        line = f != NULL;
    }
    if (!line || f->io == BRANCH_TAKEN || (f->io == BRANCH_LOST && r->kind == TRACE_ioapic_pin)) {
        uint64_t first = line ? f->number : find_record(flows, r->cause).number;
        f = begin_again(flows, r, first);
    } else {
        add_stage(flows, f, r);
    }
    if (f) {
        f->ioapic = (uint16_t)r->op[0];
        f->ioapic_pin = (uint16_t)(r->op[1] % GSIS);
        if (f->source == FLOW_NONE) {
            f->source = flows->ioapic_pin[f->ioapic_pin].source;
            f->gsi = flows->ioapic_pin[f->ioapic_pin].gsi;
        }
        flows->ioapic_pin[f->ioapic_pin].source = f->source;
        flows->ioapic_pin[f->ioapic_pin].gsi = f->gsi;
        f->io = BRANCH_PENDING;
        f->io_hold = HOLD_NONE;
        if (r->kind == TRACE_ioapic_msg) {
            f->vector = (uint16_t)(r->op[3] & 0xff);
            f->hold = HOLD_NONE;
        } else if (r->op[3] & RTE_MASKED) {
            /* An edge on a masked pin is lost; a level waits. */
            f->io = r->op[3] & RTE_LEVEL ? BRANCH_PENDING : BRANCH_LOST;
            f->hold = f->io_hold = HOLD_IOAPIC_MASKED;
            close_if_done(flows, f);
        }
    }
}

static bool is_refused(uint8_t result)
{
    return result == DELIVER_NO_TARGET || result == DELIVER_DISABLED || result == DELIVER_ILLEGAL ||
           result == DELIVER_IGNORED || result == DELIVER_MASKED;
}

static void refuse(struct flows *flows, struct flow *f, uint8_t result)
{
    if (f->io == BRANCH_PENDING) {
        f->io = BRANCH_LOST;
    }
    if (f->pic == BRANCH_PENDING) {
        return; /* the other branch may yet deliver it */
    }
    f->outcome = result == DELIVER_MASKED ? FLOW_MASKED : FLOW_REJECTED;
    close_if_done(flows, f);
}

/* Messages and local sources. */
static void add_message(struct flows *flows, const struct irq_record *r)
{
    struct recent cause = find_record(flows, r->cause);
    struct flow *f = find_number(flows, cause.number);
    if (r->kind == TRACE_ipi) {
        f = begin(flows, FLOW_IPI, r, cause.number);
        if (f) {
            f->vector = (uint16_t)r->op[1];
        }
    } else if (r->kind == TRACE_msi) {
        bool of_ioapic = f && cause.kind == TRACE_ioapic_msg;
        if (of_ioapic) {
            add_stage(flows, f, r);
        } else {
            f = begin(flows, FLOW_MSI, r, cause.number);
        }
        if (f) {
            f->vector = (uint16_t)r->op[2];
        }
    } else {
        bool pin = r->op[0] == LAPIC_LVT_ENTRY_LINT0 || r->op[0] == LAPIC_LVT_ENTRY_LINT1;
        if (pin && f) {
            add_stage(flows, f, r);
            return; /* a masked LINT0 is told as a hold */
        }
        f = begin(flows, r->op[0] == LAPIC_LVT_ENTRY_TIMER ? FLOW_TIMER : FLOW_LVT, r,
                  cause.number);
        if (f) {
            f->vector = (uint16_t)(r->op[1] & 0xff);
            f->cpu = r->cpu;
        }
    }
    if (f && is_refused(r->result)) {
        refuse(flows, f, r->result);
    }
}

static void add_lapic(struct flows *flows, const struct irq_record *r)
{
    struct flow *f = flow_of(flows, r->cause);
    if (r->kind == TRACE_lapic_event && (!f || f->cpu != TRACE_CPU_NONE)) {
        f = begin(flows, FLOW_NMI, r, find_record(flows, r->cause).number);
    } else if (f) {
        add_stage(flows, f, r);
    } else {
        remember(flows, r, find_record(flows, r->cause).number);
        return;
    }
    if (!f) {
        return;
    }
    if (r->kind == TRACE_lapic_accept) {
        f->vector = (uint16_t)r->op[0];
        f->cpu = r->cpu;
        f->hold = HOLD_NONE;
        f->io = f->io == BRANCH_PENDING ? BRANCH_TAKEN : f->io;
        if (r->result == DELIVER_COALESCED) {
            f->outcome = FLOW_COALESCED;
            f->coalesced_with = find_record(flows, r->ref).number;
            close_if_done(flows, f);
        }
    } else if (r->kind == TRACE_lapic_hold) {
        f->hold = (uint8_t)r->op[1];
        if (is_refused(r->result)) {
            refuse(flows, f, r->result);
        }
    } else if (r->kind == TRACE_lapic_event) {
        f->cpu = r->cpu;
        f->io = f->io == BRANCH_PENDING ? BRANCH_TAKEN : f->io;
    }
}

static void add_ack(struct flows *flows, const struct irq_record *r)
{
    bool pic = r->kind == TRACE_pic_ack;
    uint64_t vector = r->op[pic ? 1 : 0];
    bool spurious = r->op[pic ? 2 : 1];
    struct recent cause = find_record(flows, r->cause);
    struct flow *f = find_number(flows, cause.number);
    if (spurious || !f || (pic && f->pic == BRANCH_TAKEN)) {
        f = begin(flows, spurious ? FLOW_SPURIOUS : FLOW_LINE, r, cause.number);
    } else {
        add_stage(flows, f, r);
    }
    if (!f) {
        return;
    }
    f->vector = (uint16_t)vector;
    f->cpu = r->cpu;
    f->hold = HOLD_NONE;
    f->in_service = !spurious;
    if (pic) {
        f->pic = BRANCH_TAKEN;
        f->pic_pin = (uint16_t)r->op[0];
        if (!spurious && f->gsi == FLOW_NONE) {
            f->gsi = f->pic_pin;
        }
    }
}

/* enum cpu_event_type of a take tells what kind of flow begins with it. */
static enum flow_kind kind_of_take(uint64_t type)
{
    switch (type) {
    case CPU_EVENT_EXTERNAL:
        return FLOW_LINE;
    case CPU_EVENT_NMI:
        return FLOW_NMI;
    case CPU_EVENT_SOFT_INT:
    case CPU_EVENT_INT3:
    case CPU_EVENT_INTO:
    case CPU_EVENT_INT1:
        return FLOW_SOFT;
    default:
        return FLOW_EXCEPTION;
    }
}

static void add_take(struct flows *flows, const struct irq_record *r)
{
    uint64_t context = r->cpu < CPUS ? flows->context[r->cpu] : 0;
    struct recent cause = find_record(flows, r->cause);
    struct flow *f = find_number(flows, cause.number);
    enum flow_kind kind = kind_of_take(r->op[1]);
    bool asynchronous = kind == FLOW_LINE || kind == FLOW_NMI;
    if (asynchronous && f && !flow_find(f, TRACE_cpu_take)) {
        add_stage(flows, f, r);
    } else {
        f = begin(flows, kind, r, cause.number);
    }
    if (f) {
        f->vector = (uint16_t)r->op[0];
        f->cpu = r->cpu;
        f->hold = HOLD_NONE;
        f->nested_in = context;
    }
}

static void add_delivery(struct flows *flows, const struct irq_record *r)
{
    struct flow *f = flow_of(flows, r->kind == TRACE_cpu_iret ? r->ref : r->cause);
    if (!f) {
        remember(flows, r, find_record(flows, r->cause).number);
        return;
    }
    add_stage(flows, f, r);
    if (r->kind == TRACE_cpu_hold) {
        f->hold = (uint8_t)r->op[0];
    } else if (r->kind == TRACE_cpu_frame && r->cpu < CPUS) {
        f->outer = flows->context[r->cpu];
        flows->context[r->cpu] = f->number;
    } else if (r->kind == TRACE_cpu_iret) {
        if (r->cpu < CPUS) {
            flows->context[r->cpu] = f->outer;
        }
        close_if_done(flows, f);
    } else if (r->kind == TRACE_cpu_fault_in_delivery || r->kind == TRACE_cpu_triple_fault) {
        f->outcome = FLOW_FAULTED;
        close_if_done(flows, f);
    }
}

static void add_eoi(struct flows *flows, const struct irq_record *r)
{
    struct flow *f = flow_of(flows, r->ref);
    if (!f) {
        remember(flows, r, find_record(flows, r->cause).number);
        return;
    }
    add_stage(flows, f, r);
    if (r->kind != TRACE_ioapic_eoi) {
        f->in_service = false;
    }
    close_if_done(flows, f);
}

static void add_record(struct flows *flows, const struct irq_record *r)
{
    switch (r->kind) {
    case TRACE_line:
    case TRACE_line_join:
        add_line(flows, r);
        break;
    case TRACE_device_access:
    case TRACE_timer_arm:
    case TRACE_timer_expire:
    case TRACE_host_input:
        remember(flows, r, find_record(flows, r->cause).number);
        flows->origin[flows->norigins++ % ORIGINS] = *r;
        break;
    case TRACE_pic_request:
    case TRACE_pic_withdraw:
    case TRACE_pic_hold:
    case TRACE_pic_intr:
        add_pic(flows, r);
        break;
    case TRACE_ioapic_pin:
    case TRACE_ioapic_hold:
    case TRACE_ioapic_msg:
        add_ioapic(flows, r);
        break;
    case TRACE_msi:
    case TRACE_ipi:
    case TRACE_lapic_lvt:
        add_message(flows, r);
        break;
    case TRACE_lapic_accept:
    case TRACE_lapic_hold:
    case TRACE_lapic_event:
        add_lapic(flows, r);
        break;
    case TRACE_pic_ack:
    case TRACE_lapic_ack:
        add_ack(flows, r);
        break;
    case TRACE_pic_eoi:
    case TRACE_lapic_eoi:
    case TRACE_ioapic_eoi:
        add_eoi(flows, r);
        break;
    case TRACE_cpu_take:
        add_take(flows, r);
        break;
    case TRACE_cpu_hold:
    case TRACE_cpu_gate:
    case TRACE_cpu_frame:
    case TRACE_cpu_iret:
    case TRACE_cpu_fault_in_delivery:
    case TRACE_cpu_triple_fault:
        add_delivery(flows, r);
        break;
    default:
        remember(flows, r, find_record(flows, r->cause).number);
        break;
    }
}

void flows_add(struct flows *flows, const struct irq_record *recs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add_record(flows, &recs[i]);
    }
}

void flows_finish(struct flows *flows)
{
    while (flows->nopen) {
        close_at(flows, 0);
    }
}
