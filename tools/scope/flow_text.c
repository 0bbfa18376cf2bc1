/* SPDX-License-Identifier: MIT */
/*
 * See flow_text.h. Of a line's two branches the one that delivered is told; the other only if it holds something that a guest may
 * care about: a line masked at the controller that the guest does not use is no loss.
 */
#include "scope/flow_text.h"

#include <string.h>

#include "bus/trace_events.h"
#include "cpu/trace_events.h"
#include "firmware/pc_board.h"
#include "firmware/trace_events.h"
#include "intc/apic_msg.h"
#include "intc/trace_events.h"
#include "scope/names.h"

#define RTE_MASKED (1u << 16)
#define RTE_LEVEL  (1u << 15)
#define RESET_RIP  0xfff0 /* SDM Vol. 3A, 10.1.4 "First Instruction Executed" */

typedef unsigned long long ull;

struct printer {
    FILE *out;
    const struct flow *flow;
    struct symbols *symbols;
    unsigned index; /* of the stage being printed */
    bool first;
};

/* ---- pieces ---- */

const char *flow_distance_text(const struct irq_record *from, const struct irq_record *to,
                               char *buf)
{
    if (from->cpu != TRACE_CPU_NONE && from->cpu == to->cpu) {
        snprintf(buf, 40, "%llu insns", (ull)(to->insns - from->insns));
    } else {
        snprintf(buf, 40, "%llu ns", (ull)(to->vtime - from->vtime));
    }
    return buf;
}

const char *flow_hold_text(const struct irq_record *hold, struct symbols *symbols, char *buf)
{
    char where[SYMBOLS_TEXT];
    char what[120] = "";
    enum trace_hold reason;
    uint64_t by;
    const char *verb = "; set by "; /* what the instruction at `by` did */
    flow_hold_of(hold, &reason, &by);
    bool since_reset = hold->kind == TRACE_cpu_hold && (by == RESET_RIP || hold->op[2] == 0);
    ull value = (ull)hold->op[2]; /* of the 8259's and the local APIC's holds */

    switch (reason) {
    case HOLD_PIC_MASKED:
        snprintf(what, sizeof(what), "IMR=0x%02llx masks it",
                 hold->op[0] >= 8 ? value >> 8 : value & 0xff);
        break;
    case HOLD_PIC_IN_SERVICE:
        snprintf(what, sizeof(what), "ISR=0x%04llx: one of its priority or higher is in service",
                 value);
        break;
    case HOLD_PIC_PRIORITY:
        snprintf(what, sizeof(what), "IRR=0x%04llx: one of higher priority waits", value);
        break;
    case HOLD_PIC_UNINIT:
        snprintf(what, sizeof(what), "the 8259 is being initialised");
        break;
    case HOLD_LINT_MASKED:
        snprintf(what, sizeof(what), "LINT0 is masked or not ExtINT");
        break;
    case HOLD_IOAPIC_MASKED:
        snprintf(what, sizeof(what), "redirection entry %llu is masked", (ull)hold->op[1]);
        break;
    case HOLD_REMOTE_IRR:
        snprintf(what, sizeof(what), "Remote IRR=1: waits for the EOI of the last one");
        break;
    case HOLD_APIC_OFF:
        snprintf(what, sizeof(what), "no local APIC takes it (%s)", name_result(hold->result));
        break;
    case HOLD_LVT_MASKED:
        snprintf(what, sizeof(what), "its local vector table entry is masked");
        break;
    case HOLD_LAPIC_ISR:
        snprintf(what, sizeof(what), "PPR=0x%02llx: one of its class or higher is in service",
                 value);
        break;
    case HOLD_LAPIC_TPR:
        snprintf(what, sizeof(what), "PPR=0x%02llx: the task priority holds it", value);
        break;
    case HOLD_LAPIC_HIGHER:
        snprintf(what, sizeof(what), "a higher vector is pending");
        break;
    case HOLD_NMI_BLOCKED:
        snprintf(what, sizeof(what), "an NMI handler runs");
        verb = " since ";
        break;
    case HOLD_IF:
        snprintf(what, sizeof(what), "IF=0%s", since_reset ? " since reset" : "");
        verb = " since ";
        break;
    case HOLD_SHADOW:
        snprintf(what, sizeof(what), "shadow of STI or MOV SS");
        verb = " at ";
        break;
    case HOLD_TURN:
        snprintf(what, sizeof(what), "another CPU's turn");
        break;
    case HOLD_NONE:
    case HOLD_TRANSIT:
    case HOLD_DEBUGGER:
    case HOLD_HOLDS:
        snprintf(what, sizeof(what), "%s", trace_hold_name(reason));
        break;
    }
    bool writer = by && !since_reset && reason != HOLD_LAPIC_HIGHER && reason != HOLD_REMOTE_IRR;
    snprintf(buf, FLOW_HOLD_TEXT, "%s%s%s", what, writer ? verb : "",
             writer ? symbols_format(symbols, by, where) : "");
    return buf;
}

/* ---- heading ---- */

static void print_source(const struct printer *p)
{
    const struct flow *f = p->flow;
    char cpu[16] = "CPU?";
    if (f->stage[0].cpu != TRACE_CPU_NONE) {
        snprintf(cpu, sizeof(cpu), "CPU%u", f->stage[0].cpu);
    }
    const char *name = f->vector != FLOW_NONE ? name_exception(f->vector) : NULL;
    switch (f->kind) {
    case FLOW_LINE:
        if (f->gsi != FLOW_NONE) {
            fprintf(p->out, "IRQ%u  ", f->gsi);
        }
        fprintf(p->out, "%s%s", f->source != FLOW_NONE ? board_source_name(f->source) : "line",
                f->again ? ", still high," : "");
        break;
    case FLOW_TIMER:
        fprintf(p->out, "timer of %s's local APIC", cpu);
        break;
    case FLOW_LVT:
        fprintf(p->out, "%s of %s's local APIC", name_lvt(f->stage[0].op[0]), cpu);
        break;
    case FLOW_IPI:
        fprintf(p->out, "IPI  %s", cpu);
        break;
    case FLOW_MSI:
        fputs("message", p->out);
        break;
    case FLOW_NMI:
        fputs("NMI", p->out);
        break;
    case FLOW_EXCEPTION:
        fprintf(p->out, "%s  exception", name ? name : "?");
        break;
    case FLOW_SOFT:
        fputs("software interrupt", p->out);
        break;
    case FLOW_SPURIOUS:
        fputs("spurious interrupt", p->out);
        break;
    case FLOW_KINDS:
        break;
    }
}

static void print_outcome(const struct printer *p)
{
    static const char *const texts[FLOW_OUTCOMES] = {
        [FLOW_OPEN_STILL] = "open",
        [FLOW_DELIVERED] = "delivered",
        [FLOW_IN_HANDLER] = "delivered, no IRET yet",
        [FLOW_COALESCED] = "coalesced",
        [FLOW_HELD] = "held",
        [FLOW_MASKED] = "lost, masked",
        [FLOW_WITHDRAWN] = "withdrawn",
        [FLOW_REJECTED] = "rejected",
        [FLOW_FAULTED] = "its delivery faulted",
    };
    const struct flow *f = p->flow;
    const struct irq_record *hold = flow_first_hold(f), *take = flow_find(f, TRACE_cpu_take);
    char distance[40];
    fprintf(p->out, ": %s", texts[f->outcome]);
    if (f->outcome == FLOW_HELD && f->hold != HOLD_NONE) {
        fprintf(p->out, ", %s", trace_hold_name((enum trace_hold)f->hold));
    }
    if (f->outcome == FLOW_COALESCED && f->coalesced_with) {
        fprintf(p->out, " with #%llu", (ull)f->coalesced_with);
    }
    if (take && hold && take->vtime > hold->vtime) {
        fprintf(p->out, ", held %s", flow_distance_text(hold, take, distance));
    }
    if (f->in_service && (f->outcome == FLOW_DELIVERED || f->outcome == FLOW_IN_HANDLER)) {
        fputs(", no EOI", p->out);
    }
    if (f->nested_in) {
        fprintf(p->out, ", during #%llu", (ull)f->nested_in);
    }
    if (f->cause_flow && f->cause_flow != f->nested_in) {
        fprintf(p->out, ", after #%llu", (ull)f->cause_flow);
    }
    fputc('\n', p->out);
}

static void print_heading(const struct printer *p)
{
    const struct flow *f = p->flow;
    const struct irq_record any_pic = {.kind = TRACE_pic_request};
    const struct irq_record any_io = {.kind = TRACE_ioapic_pin};
    fprintf(p->out, "#%llu ", (ull)f->number);
    print_source(p);
    bool pic = f->pic_pin != FLOW_NONE && !flow_is_other_branch(f, &any_pic);
    bool io = f->ioapic_pin != FLOW_NONE && !flow_is_other_branch(f, &any_io);
    if (pic) {
        fprintf(p->out, " -> pic%u pin %u", f->pic_pin / 8u, f->pic_pin % 8u);
    }
    if (io) {
        fprintf(p->out, "%s ioapic%u pin %u", pic ? " and" : " ->", f->ioapic, f->ioapic_pin);
    }
    bool vector = f->vector != FLOW_NONE &&
                  (f->cpu != TRACE_CPU_NONE || f->kind == FLOW_IPI || f->kind == FLOW_MSI);
    if (vector) {
        fprintf(p->out, " -> vector 0x%02x", f->vector);
    }
    if (f->cpu != TRACE_CPU_NONE) {
        fprintf(p->out, " -> CPU%u", f->cpu);
    }
    print_outcome(p);
}

/* ---- stages ---- */

/* The stage that follows on p's one at the same time, if it is of this kind. */
static bool followed_by(const struct printer *p, uint16_t kind)
{
    const struct flow *f = p->flow;
    for (unsigned i = p->index + 1; i < f->nstages && f->stage[i].vtime == f->stage[p->index].vtime;
         i++) {
        if (f->stage[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static bool follows(const struct printer *p, uint16_t kind)
{
    const struct flow *f = p->flow;
    for (unsigned i = p->index; i > 0 && f->stage[i - 1].vtime == f->stage[p->index].vtime; i--) {
        if (f->stage[i - 1].kind == kind) {
            return true;
        }
    }
    return false;
}

static void start_line(struct printer *p, const char *stage)
{
    const struct irq_record *r = &p->flow->stage[p->index], *begin = &p->flow->stage[0];
    char offset[40];
    if (p->first) {
        snprintf(offset, sizeof(offset), "t=%llu.%06llums", (ull)(r->vtime / 1000000),
                 (ull)(r->vtime % 1000000));
        p->first = false;
    } else {
        snprintf(offset, sizeof(offset), "+%llu", (ull)(r->vtime - begin->vtime));
    }
    fprintf(p->out, "   %-12s %-6s ", offset, stage);
}

static void print_line_stage(struct printer *p, const struct irq_record *r)
{
    char where[SYMBOLS_TEXT];
    start_line(p, "line");
    if (r->kind == TRACE_line_join) {
        fprintf(p->out, "%s %s, the line stays high\n", board_source_name((uint16_t)r->op[0]),
                r->op[2] ? "joins" : "leaves");
        return;
    }
    fprintf(p->out, "%s %s", board_source_name((uint16_t)r->op[0]), r->op[2] ? "rises" : "falls");
    if (p->index > 0 && p->flow->stage[p->index - 1].id == r->cause) {
        const struct irq_record *origin = &p->flow->stage[p->index - 1];
        if (origin->kind == TRACE_device_access) {
            fprintf(p->out, ", port 0x%llx at %s", (ull)origin->op[1],
                    symbols_format(p->symbols, origin->op[3], where));
        } else if (origin->kind == TRACE_host_input) {
            fprintf(p->out, ": input 0x%02llx", (ull)origin->op[1]);
        }
    }
    fputc('\n', p->out);
}

static void print_pic_stage(struct printer *p, const struct irq_record *r)
{
    unsigned pin = (unsigned)(r->kind == TRACE_pic_intr ? p->flow->pic_pin : r->op[0]) & 15;
    unsigned n = pin & 7, shift = pin & 8;
    char chip[8];
    char where[SYMBOLS_TEXT];
    snprintf(chip, sizeof(chip), "pic%u", pin / 8);
    if (r->kind == TRACE_pic_intr) {
        if (!follows(p, TRACE_pic_request)) {
            start_line(p, "pic0");
            fputs("INTR rises\n", p->out);
        }
    } else if (r->kind == TRACE_pic_request || r->kind == TRACE_pic_withdraw) {
        start_line(p, chip);
        fprintf(p->out, "IRR%u=%u IMR%u=%u%s\n", n, (unsigned)(r->op[1] >> (n + shift)) & 1, n,
                (unsigned)(r->op[2] >> (n + shift)) & 1,
                r->kind == TRACE_pic_withdraw    ? ": the line fell"
                : followed_by(p, TRACE_pic_intr) ? ", INTR rises"
                                                 : "");
    } else if (r->kind == TRACE_pic_ack) {
        start_line(p, "ack");
        fprintf(p->out, "vector 0x%02llx, ", (ull)r->op[1]);
        if (r->op[2]) {
            fprintf(p->out, "spurious: nothing waits any more\n");
        } else {
            fprintf(p->out, "ISR%u=%u\n", n, (unsigned)(r->op[4] >> (n + shift)) & 1);
        }
    } else { /* pic_eoi */
        start_line(p, "eoi");
        fprintf(p->out, "%s, ISR%u=%u\n", symbols_format(p->symbols, r->op[3], where), n,
                (unsigned)(r->op[2] >> (n + shift)) & 1);
    }
}

static void print_ioapic_stage(struct printer *p, const struct irq_record *r)
{
    uint64_t rte = r->op[3];
    char chip[16];
    snprintf(chip, sizeof(chip), "ioapic%llu", (ull)r->op[0] & 0xff);
    if (r->kind == TRACE_ioapic_pin) {
        start_line(p, "route");
        if (!r->op[2]) {
            fprintf(p->out, "%s pin %llu falls\n", chip, (ull)r->op[1]);
            return;
        }
        fprintf(p->out, "%s entry %llu: vector 0x%02llx, %s, %s%s\n", chip, (ull)r->op[1],
                (ull)rte & 0xff, name_delivery(rte >> 8 & 7), rte & RTE_LEVEL ? "level" : "edge",
                rte & RTE_MASKED ? ", masked" : "");
    } else if (r->kind == TRACE_ioapic_msg) {
        start_line(p, "msg");
        fprintf(p->out, "0x%08llx <- 0x%04llx%s\n", (ull)r->op[2], (ull)r->op[3],
                r->ref ? " again" : "");
    } else {
        start_line(p, "eoi");
        fprintf(p->out, "%s pin %llu: Remote IRR=0%s\n", chip, (ull)r->op[1],
                r->op[3] ? ", the line is still high" : "");
    }
}

static void print_lapic_stage(struct printer *p, const struct irq_record *r)
{
    char where[SYMBOLS_TEXT];
    switch (r->kind) {
    case TRACE_msi:
        if (r->result != DELIVER_OK || !follows(p, TRACE_ioapic_msg)) {
            start_line(p, "msg");
            fprintf(p->out, "0x%08llx <- 0x%04llx: %s\n", (ull)r->op[0], (ull)r->op[1],
                    name_result(r->result));
        }
        break;
    case TRACE_ipi:
        start_line(p, "ipi");
        fprintf(p->out, "ICR=0x%llx: %s, vector 0x%02llx%s; at %s%s%s\n", (ull)r->op[0],
                name_delivery(r->op[2]), (ull)r->op[1],
                (r->op[0] >> 18 & 3) == 1 ? ", to self" : "",
                symbols_format(p->symbols, r->op[3], where), r->result ? ": " : "",
                r->result ? name_result(r->result) : "");
        break;
    case TRACE_lapic_lvt:
        start_line(p, p->flow->kind == FLOW_LINE ? "lint" : "lvt");
        fprintf(p->out, "%s entry 0x%05llx: %s%s", name_lvt(r->op[0]), (ull)r->op[1],
                r->op[0] == 0 ? (r->op[1] >> 17 & 1 ? "periodic" : "one-shot")
                              : name_delivery(r->op[1] >> 8 & 7),
                r->result == DELIVER_MASKED ? ", masked" : "");
        if (p->flow->kind != FLOW_LINE) {
            fprintf(p->out, ", vector 0x%02llx", (ull)r->op[1] & 0xff);
        }
        fputc('\n', p->out);
        break;
    case TRACE_lapic_accept:
        start_line(p, "accept");
        fprintf(p->out, "CPU%u IRR[0x%02llx]=1%s, PPR=0x%02llx\n", r->cpu, (ull)r->op[0],
                r->result == DELIVER_COALESCED ? " already" : "", (ull)r->op[2]);
        break;
    case TRACE_lapic_event:
        start_line(p, "accept");
        fprintf(p->out, "CPU%u: %s\n", r->cpu, name_delivery(r->op[0]));
        break;
    case TRACE_lapic_ack:
        start_line(p, "ack");
        if (r->op[1]) {
            fprintf(p->out, "vector 0x%02llx, spurious: nothing waits any more\n", (ull)r->op[0]);
        } else {
            fprintf(p->out, "vector 0x%02llx, IRR -> ISR, PPR=0x%02llx\n", (ull)r->op[0],
                    (ull)r->op[2]);
        }
        break;
    default: /* lapic_eoi */
        start_line(p, "eoi");
        fprintf(p->out, "%s, ISR[0x%02llx]=0\n", symbols_format(p->symbols, r->op[3], where),
                (ull)r->op[0]);
        break;
    }
}

static void print_cpu_stage(struct printer *p, const struct irq_record *r)
{
    char where[SYMBOLS_TEXT];
    const char *name = name_exception(r->op[0]), *fault = name_exception(r->op[1]);
    switch (r->kind) {
    case TRACE_cpu_take:
        if (r->op[1] == CPU_EVENT_EXTERNAL) {
            break; /* the ack says it */
        }
        start_line(p, "take");
        if ((r->op[1] == CPU_EVENT_EXCEPTION || r->op[1] == CPU_EVENT_NMI) && name) {
            fprintf(p->out, "%s", name);
        } else {
            fprintf(p->out, "INT 0x%02llx", (ull)r->op[0]);
        }
        if (r->op[2] != UINT64_MAX) {
            fprintf(p->out, "(0x%llx)", (ull)r->op[2]);
        }
        fprintf(p->out, " at %s", symbols_format(p->symbols, r->op[3], where));
        if (r->op[1] == CPU_EVENT_EXCEPTION && r->op[0] == 14) {
            fprintf(p->out, ", CR2=0x%llx", (ull)r->op[4]);
        }
        fputc('\n', p->out);
        break;
    case TRACE_cpu_gate:
        start_line(p, "gate");
        if (r->op[1] == CPU_ENTRY_IVT) {
            fprintf(p->out, "IVT[0x%02llx]", (ull)r->op[0]);
        } else {
            fprintf(p->out, "IDT[0x%02llx] %s, P=%u", (ull)r->op[0], name_entry(r->op[1]),
                    (unsigned)(r->op[2] >> 47) & 1);
        }
        if (r->op[4]) {
            fprintf(p->out, ", IST %llu", (ull)r->op[4]);
        }
        fprintf(p->out, " -> %s\n", symbols_format_short(p->symbols, r->op[3], where));
        break;
    case TRACE_cpu_frame:
        start_line(p, "frame");
        fprintf(p->out, "%s 0x%llx -> 0x%llx, return to %s\n", name_stack_pointer(r->op[0]),
                (ull)r->op[2], (ull)r->op[1], symbols_format_short(p->symbols, r->op[4], where));
        break;
    case TRACE_cpu_iret:
        start_line(p, "iret");
        fprintf(p->out, "%s\n", symbols_format_short(p->symbols, r->op[2], where));
        break;
    case TRACE_cpu_fault_in_delivery:
        start_line(p, "fault");
        fprintf(p->out, "%s", fault ? fault : "an exception");
        if (r->op[2] != UINT64_MAX) {
            fprintf(p->out, "(0x%llx)", (ull)r->op[2]);
        }
        if (r->op[1] == 14) {
            fprintf(p->out, ", CR2=0x%llx", (ull)r->op[3]);
        }
        fputc('\n', p->out);
        break;
    default: /* cpu_triple_fault */
        start_line(p, "fault");
        fprintf(p->out, "no handler for %s either: shutdown\n", name ? name : "it");
        break;
    }
}

static void print_stage(struct printer *p, const struct irq_record *r)
{
    char text[FLOW_HOLD_TEXT];
    if (flow_is_hold(r)) {
        start_line(p, "hold");
        fprintf(p->out, "%s\n", flow_hold_text(r, p->symbols, text));
        return;
    }
    switch (r->kind) {
    case TRACE_line:
    case TRACE_line_join:
        print_line_stage(p, r);
        break;
    case TRACE_pic_request:
    case TRACE_pic_withdraw:
    case TRACE_pic_intr:
    case TRACE_pic_ack:
    case TRACE_pic_eoi:
        print_pic_stage(p, r);
        break;
    case TRACE_ioapic_pin:
    case TRACE_ioapic_msg:
    case TRACE_ioapic_eoi:
        print_ioapic_stage(p, r);
        break;
    case TRACE_msi:
    case TRACE_ipi:
    case TRACE_lapic_lvt:
    case TRACE_lapic_accept:
    case TRACE_lapic_event:
    case TRACE_lapic_ack:
    case TRACE_lapic_eoi:
        print_lapic_stage(p, r);
        break;
    case TRACE_cpu_take:
    case TRACE_cpu_gate:
    case TRACE_cpu_frame:
    case TRACE_cpu_iret:
    case TRACE_cpu_fault_in_delivery:
    case TRACE_cpu_triple_fault:
        print_cpu_stage(p, r);
        break;
    default: /* what brought the line about is told with it */
        break;
    }
}

/* The virtual wire at work: LINT0 hands the 8259's INTR on as it should. */
static bool is_plain_lint(const struct flow *f, const struct irq_record *r)
{
    return f->kind == FLOW_LINE && r->kind == TRACE_lapic_lvt && r->result == DELIVER_OK &&
           (r->op[1] >> 8 & 7) == APIC_DELIVERY_EXTINT;
}

void flow_print(FILE *out, const struct flow *flow, struct symbols *symbols)
{
    struct printer p = {.out = out, .flow = flow, .symbols = symbols, .first = true};
    print_heading(&p);
    for (p.index = 0; p.index < flow->nstages; p.index++) {
        const struct irq_record *r = &flow->stage[p.index];
        if (p.index == 1 && flow->dropped) {
            fprintf(out, "   ...          %u stages more\n", flow->dropped);
        }
        if (!flow_is_other_branch(flow, r) && !is_plain_lint(flow, r)) {
            print_stage(&p, r);
        }
    }
}
