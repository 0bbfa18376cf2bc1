/* SPDX-License-Identifier: MIT */
/*
 * Flows from records made by hand, with their text: tools/scope/flow.h, flow_text.h.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/trace_events.h"
#include "bus/types.h"
#include "cpu/trace_events.h"
#include "firmware/pc_board.h"
#include "firmware/trace_kinds.h"
#include "intc/apic_msg.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"
#include "scope/flow.h"
#include "scope/flow_list.h"
#include "scope/flow_text.h"

#define NONE TRACE_CPU_NONE
#define GATE 0x8e0000000000ull /* present, interrupt gate */

static struct irq_record recs[4096];
static size_t nrecs;
static vtime_t now;

static void forget(void)
{
    nrecs = 0;
    now = 1000000;
}

TestSuite(flows, .init = forget);

/* Append a record at the present time; returns its id. */
static cause_t rec(uint16_t kind, uint16_t cpu, cause_t cause, cause_t ref, uint8_t result,
                   const uint64_t *ops)
{
    struct irq_record *r = &recs[nrecs++];
    *r = (struct irq_record){.id = nrecs,
                             .cause = cause,
                             .ref = ref,
                             .vtime = now,
                             .insns = cpu == NONE ? 0 : now - 500,
                             .kind = kind,
                             .cpu = cpu,
                             .result = result};
    memcpy(r->op, ops, sizeof(r->op));
    return r->id;
}

#define OPS(...) ((const uint64_t[TRACE_OPERANDS]){__VA_ARGS__})

/* The flows of all records so far are exactly this text. */
static void expect(const char *want)
{
    struct flow_list *list;
    struct error err;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(flow_list_new(&list, UINT64_MAX, false, NULL, &err), 0);
    flow_list_add(list, recs, nrecs);
    cr_assert_eq(flow_list_finish(list, out, &err), 0);
    flow_list_free(list);
    fclose(out);
    cr_expect_str_eq(text, want, "got:\n%s\nwanted:\n%s", text, want);
    free(text);
}

static cause_t line(bool level, cause_t cause)
{
    return rec(TRACE_line, NONE, cause, 0, 0, OPS(BOARD_SOURCE_UART0, 4, level, level ? 8 : 0));
}

static cause_t pic_request(cause_t cause, uint16_t imr)
{
    return rec(TRACE_pic_request, NONE, cause, 0, 0, OPS(4, 0x10, imr, 0));
}

static cause_t pin(cause_t cause, uint64_t rte, uint8_t result)
{
    return rec(TRACE_ioapic_pin, NONE, cause, 0, result, OPS(0, 4, 1, rte));
}

/* Take, gate and frame for the acknowledge `ack`; returns the frame. One instruction of time. */
static cause_t enter(cause_t ack, uint8_t vector, uint64_t type, uint64_t rip)
{
    now++;
    cause_t take = rec(TRACE_cpu_take, 0, ack, 0, 0, OPS(vector, type, UINT64_MAX, rip, 0));
    cause_t gate =
        rec(TRACE_cpu_gate, 0, take, 0, 0, OPS(vector, CPU_ENTRY_INT64, GATE, 0x2000, 0));
    return rec(TRACE_cpu_frame, 0, gate, 0, 0, OPS(CPU_FRAME_64, 0x8fc8, 0x8ff0, 8, rip));
}

static void leave(cause_t frame, uint64_t rip)
{
    now++;
    rec(TRACE_cpu_iret, 0, frame, frame, 0, OPS(CPU_FRAME_64, 0x8ff0, rip));
}

Test(flows, through_the_8259_with_holds)
{
    cause_t rises = line(true, 0), request = pic_request(rises, 0);
    cause_t intr = rec(TRACE_pic_intr, NONE, request, 0, 0, OPS(1, 4));
    cause_t lint = rec(TRACE_lapic_lvt, 0, intr, 0, 0, OPS(LAPIC_LVT_ENTRY_LINT0, 0x700, 1));
    pin(rises, 0x10000, DELIVER_MASKED);
    rec(TRACE_cpu_hold, 0, lint, 0, 0, OPS(HOLD_IF, 0x1031, 900000, 1));
    now += 60;
    rec(TRACE_cpu_hold, 0, lint, 0, 0, OPS(HOLD_SHADOW, 0x1040, now, 1));
    now++;
    cause_t ack = rec(TRACE_pic_ack, 0, request, intr, 0, OPS(4, 0x24, 0, 0, 0x10));
    rec(TRACE_pic_intr, NONE, ack, 0, 0, OPS(0, 7));
    cause_t frame = enter(ack, 0x24, CPU_EVENT_EXTERNAL, 0x1041);
    now += 10;
    cause_t access =
        rec(TRACE_device_access, 0, frame, 0, 0, OPS(BOARD_SOURCE_UART0, 0x3fa, 2, 0x2005));
    line(false, access);
    rec(TRACE_pic_eoi, 0, frame, ack, 0, OPS(4, 0x20, 0, 0x200a));
    leave(frame, 0x1041);
    expect("#1 IRQ4  uart0 -> pic0 pin 4 -> vector 0x24 -> CPU0: delivered, held 62 insns\n"
           "   t=1.000000ms line   uart0 rises\n"
           "   +0           pic0   IRR4=1 IMR4=0, INTR rises\n"
           "   +0           hold   IF=0 since 0x1031\n"
           "   +60          hold   shadow of STI or MOV SS at 0x1040\n"
           "   +61          ack    vector 0x24, ISR4=1\n"
           "   +62          gate   IDT[0x24] interrupt gate, P=1 -> 0x2000\n"
           "   +62          frame  RSP 0x8ff0 -> 0x8fc8, return to 0x1041\n"
           "   +72          line   uart0 falls\n"
           "   +72          eoi    0x200a, ISR4=0\n"
           "   +73          iret   0x1041\n");
}

/* Message, accept, acknowledge, delivery, EOI of the level-triggered pin's record `first`. Returns the LAPIC's EOI. */
static void level_delivery(cause_t first, cause_t ref, bool still_high)
{
    cause_t msg = rec(TRACE_ioapic_msg, NONE, first, ref, 0, OPS(0, 4, 0xfee00000, 0xc034));
    cause_t msi = rec(TRACE_msi, NONE, msg, 0, 0, OPS(0xfee00000, 0xc034, 0x34, 1));
    cause_t accept = rec(TRACE_lapic_accept, 0, msi, 0, 0, OPS(0x34, APIC_TRIGGER_LEVEL, 0, 1));
    cause_t ack = rec(TRACE_lapic_ack, 0, accept, 0, 0, OPS(0x34, 0, 0x30));
    cause_t frame = enter(ack, 0x34, CPU_EVENT_EXTERNAL, 0x1000);
    if (!still_high) {
        line(false,
             rec(TRACE_device_access, 0, frame, 0, 0, OPS(BOARD_SOURCE_UART0, 0x3f8, 0, 0x2002)));
        rec(TRACE_ioapic_pin, NONE, nrecs, first, 0, OPS(0, 4, 0, 0xc034));
    }
    cause_t eoi = rec(TRACE_lapic_eoi, 0, frame, ack, 0, OPS(0x34, 1, 0, 0x2004));
    rec(TRACE_ioapic_eoi, NONE, eoi, first, 0, OPS(0, 4, 0x34, still_high));
    leave(frame, 0x1000);
}

Test(flows, a_level_that_stays_high_is_told_again)
{
    cause_t rises = line(true, 0);
    rec(TRACE_pic_hold, NONE, pic_request(rises, 0x10), 0, 0, OPS(4, HOLD_PIC_MASKED, 0x10, 0));
    cause_t first = pin(rises, 0x8034, 0);
    level_delivery(first, 0, true);
    now += 100;
    level_delivery(first, first, false);
    expect(
        "#1 IRQ4  uart0 -> ioapic0 pin 4 -> vector 0x34 -> CPU0: delivered\n"
        "   t=1.000000ms line   uart0 rises\n"
        "   +0           route  ioapic0 entry 4: vector 0x34, fixed, level\n"
        "   +0           msg    0xfee00000 <- 0xc034\n"
        "   +0           accept CPU0 IRR[0x34]=1, PPR=0x00\n"
        "   +0           ack    vector 0x34, IRR -> ISR, PPR=0x30\n"
        "   +1           gate   IDT[0x34] interrupt gate, P=1 -> 0x2000\n"
        "   +1           frame  RSP 0x8ff0 -> 0x8fc8, return to 0x1000\n"
        "   +1           eoi    0x2004, ISR[0x34]=0\n"
        "   +1           eoi    ioapic0 pin 4: Remote IRR=0, the line is still high\n"
        "   +2           iret   0x1000\n"
        "#2 IRQ4  uart0, still high, -> ioapic0 pin 4 -> vector 0x34 -> CPU0: delivered, after #1\n"
        "   t=1.000102ms msg    0xfee00000 <- 0xc034 again\n"
        "   +0           accept CPU0 IRR[0x34]=1, PPR=0x00\n"
        "   +0           ack    vector 0x34, IRR -> ISR, PPR=0x30\n"
        "   +1           gate   IDT[0x34] interrupt gate, P=1 -> 0x2000\n"
        "   +1           frame  RSP 0x8ff0 -> 0x8fc8, return to 0x1000\n"
        "   +1           eoi    0x2004, ISR[0x34]=0\n"
        "   +2           iret   0x1000\n");
}

Test(flows, masked_at_both_controllers_and_gone)
{
    cause_t rises = line(true, 0), request = pic_request(rises, 0xffff);
    rec(TRACE_pic_hold, NONE, request, 0, 0, OPS(4, HOLD_PIC_MASKED, 0xffff, 0x1010));
    cause_t first = pin(rises, 0x10000, DELIVER_MASKED);
    rec(TRACE_ioapic_hold, NONE, first, 0, DELIVER_MASKED, OPS(0, 4, HOLD_IOAPIC_MASKED, 0));
    now += 40;
    cause_t falls = line(false, 0);
    rec(TRACE_pic_withdraw, NONE, falls, request, 0, OPS(4, 0, 0xffff, 0));
    expect("#1 IRQ4  uart0 -> pic0 pin 4 and ioapic0 pin 4: withdrawn\n"
           "   t=1.000000ms line   uart0 rises\n"
           "   +0           pic0   IRR4=1 IMR4=1\n"
           "   +0           hold   IMR=0xff masks it; set by 0x1010\n"
           "   +0           route  ioapic0 entry 4: vector 0x00, fixed, edge, masked\n"
           "   +0           hold   redirection entry 4 is masked\n"
           "   +40          line   uart0 falls\n"
           "   +40          pic0   IRR4=0 IMR4=1: the line fell\n");
}

Test(flows, held_to_the_end)
{
    cause_t request = pic_request(line(true, 0), 0x10);
    rec(TRACE_pic_hold, NONE, request, 0, 0, OPS(4, HOLD_PIC_MASKED, 0x10, 0x1010));
    expect("#1 IRQ4  uart0 -> pic0 pin 4: held, pic-masked\n"
           "   t=1.000000ms line   uart0 rises\n"
           "   +0           pic0   IRR4=1 IMR4=1\n"
           "   +0           hold   IMR=0x10 masks it; set by 0x1010\n");
}

/* The second of two expiries of the local APIC's timer finds the first still waiting. */
Test(flows, coalesced)
{
    for (unsigned i = 0; i < 2; i++) {
        cause_t lvt = rec(TRACE_lapic_lvt, 0, 0, 0, 0, OPS(LAPIC_LVT_ENTRY_TIMER, 0x20040, 1));
        rec(TRACE_lapic_accept, 0, lvt, i ? 2 : 0, i ? DELIVER_COALESCED : DELIVER_OK,
            OPS(0x40, 0, 0, 1));
        now += 1000;
    }
    expect("#1 timer of CPU0's local APIC -> vector 0x40 -> CPU0: held\n"
           "   t=1.000000ms lvt    timer entry 0x20040: periodic, vector 0x40\n"
           "   +0           accept CPU0 IRR[0x40]=1, PPR=0x00\n"
           "#2 timer of CPU0's local APIC -> vector 0x40 -> CPU0: coalesced with #1\n"
           "   t=1.001000ms lvt    timer entry 0x20040: periodic, vector 0x40\n"
           "   +0           accept CPU0 IRR[0x40]=1 already, PPR=0x00\n");
}

Test(flows, spurious)
{
    cause_t request = pic_request(line(true, 0), 0);
    cause_t intr = rec(TRACE_pic_intr, NONE, request, 0, 0, OPS(1, 4));
    now += 5;
    rec(TRACE_pic_withdraw, NONE, line(false, 0), request, 0, OPS(4, 0, 0, 0));
    cause_t ack = rec(TRACE_pic_ack, 0, intr, intr, 0, OPS(7, 0x27, 1, 0, 0));
    cause_t frame = enter(ack, 0x27, CPU_EVENT_EXTERNAL, 0x1000);
    leave(frame, 0x1000);
    expect("#1 IRQ4  uart0 -> pic0 pin 4: withdrawn\n"
           "   t=1.000000ms line   uart0 rises\n"
           "   +0           pic0   IRR4=1 IMR4=0, INTR rises\n"
           "   +5           line   uart0 falls\n"
           "   +5           pic0   IRR4=0 IMR4=0: the line fell\n"
           "#2 spurious interrupt -> pic0 pin 7 -> vector 0x27 -> CPU0: delivered, after #1\n"
           "   t=1.000005ms ack    vector 0x27, spurious: nothing waits any more\n"
           "   +1           gate   IDT[0x27] interrupt gate, P=1 -> 0x2000\n"
           "   +1           frame  RSP 0x8ff0 -> 0x8fc8, return to 0x1000\n"
           "   +2           iret   0x1000\n");
}

/* A page fault in the handler of INT 80h, whose delivery makes a double fault. */
Test(flows, exceptions_nest_and_fail)
{
    cause_t outer = enter(0, 0x80, CPU_EVENT_SOFT_INT, 0x1000);
    now += 3;
    cause_t take =
        rec(TRACE_cpu_take, 0, outer, 0, 0, OPS(14, CPU_EVENT_EXCEPTION, 2, 0x2003, 0x40000000));
    cause_t fault = rec(TRACE_cpu_fault_in_delivery, 0, take, 0, 0, OPS(14, 11, 0x73, 0));
    now++;
    take = rec(TRACE_cpu_take, 0, fault, 0, 0, OPS(8, CPU_EVENT_EXCEPTION, 0, 0x2003, 0));
    cause_t gate = rec(TRACE_cpu_gate, 0, take, 0, 0, OPS(8, CPU_ENTRY_INT64, GATE, 0x3000, 1));
    rec(TRACE_cpu_frame, 0, gate, 0, 0, OPS(CPU_FRAME_64, 0x7fc8, 0x8fc8, 8, 0x2003));
    expect("#1 software interrupt -> vector 0x80 -> CPU0: delivered, no IRET yet\n"
           "   t=1.000001ms take   INT 0x80 at 0x1000\n"
           "   +0           gate   IDT[0x80] interrupt gate, P=1 -> 0x2000\n"
           "   +0           frame  RSP 0x8ff0 -> 0x8fc8, return to 0x1000\n"
           "#2 #PF  exception -> vector 0x0e -> CPU0: its delivery faulted, during #1\n"
           "   t=1.000004ms take   #PF(0x2) at 0x2003, CR2=0x40000000\n"
           "   +0           fault  #NP(0x73)\n"
           "#3 #DF  exception -> vector 0x08 -> CPU0: delivered, no IRET yet, during #1, after #2\n"
           "   t=1.000005ms take   #DF(0x0) at 0x2003\n"
           "   +0           gate   IDT[0x08] interrupt gate, P=1, IST 1 -> 0x3000\n"
           "   +0           frame  RSP 0x8fc8 -> 0x7fc8, return to 0x2003\n");
}

Test(flows, an_ipi_that_nobody_takes)
{
    cause_t ipi =
        rec(TRACE_ipi, 0, 0, 0, 0, OPS(0x0700000000004050, 0x50, APIC_DELIVERY_FIXED, 0x1000));
    rec(TRACE_msi, NONE, ipi, 0, DELIVER_NO_TARGET, OPS(0, 0, 0x50, 0));
    struct irq_record *r = &recs[nrecs - 1];
    r->kind = TRACE_lapic_hold;
    r->result = DELIVER_DISABLED;
    memcpy(r->op, OPS(0x50, HOLD_APIC_OFF, 0, 0), sizeof(r->op));
    expect("#1 IPI  CPU0 -> vector 0x50: rejected\n"
           "   t=1.000000ms ipi    ICR=0x700000000004050: fixed, vector 0x50; at 0x1000\n"
           "   +0           hold   no local APIC takes it (disabled)\n");
}

/* A handler that ends without EOI: the next request waits for it. */
Test(flows, a_missing_eoi_is_told)
{
    cause_t lvt = rec(TRACE_lapic_lvt, 0, 0, 0, 0, OPS(LAPIC_LVT_ENTRY_TIMER, 0x40, 1));
    cause_t accept = rec(TRACE_lapic_accept, 0, lvt, 0, 0, OPS(0x40, 0, 0, 1));
    cause_t ack = rec(TRACE_lapic_ack, 0, accept, 0, 0, OPS(0x40, 0, 0x40));
    leave(enter(ack, 0x40, CPU_EVENT_EXTERNAL, 0x1000), 0x1000);
    expect("#1 timer of CPU0's local APIC -> vector 0x40 -> CPU0: delivered, no EOI\n"
           "   t=1.000000ms lvt    timer entry 0x00040: one-shot, vector 0x40\n"
           "   +0           accept CPU0 IRR[0x40]=1, PPR=0x00\n"
           "   +0           ack    vector 0x40, IRR -> ISR, PPR=0x40\n"
           "   +1           gate   IDT[0x40] interrupt gate, P=1 -> 0x2000\n"
           "   +1           frame  RSP 0x8ff0 -> 0x8fc8, return to 0x1000\n"
           "   +2           iret   0x1000\n");
}

static uint16_t known_kind(uint64_t random)
{
    uint16_t kind = (uint16_t)(random % (TRACE_FOLDERS * TRACE_KINDS_PER_FOLDER));
    while (!trace_desc_find(kind)) {
        kind = (uint16_t)((kind * 5u + 1) % (TRACE_FOLDERS * TRACE_KINDS_PER_FOLDER));
    }
    return kind;
}

static void count_flow(void *opaque, const struct flow *flow)
{
    uint64_t *counts = opaque;
    cr_assert_leq(flow->nstages, FLOW_STAGES);
    cr_assert_lt(flow->outcome, FLOW_OUTCOMES);
    cr_assert_neq(flow->outcome, FLOW_OPEN_STILL);
    counts[0]++;
    counts[1] += flow->number;
}

/* Whatever the records say: every flow is closed once, none is lost, and memory stays within its bounds. */
Test(flows, arbitrary_records_do_no_harm)
{
    uint64_t state = 88172645463325252ull;
    for (unsigned round = 0; round < 30; round++) {
        uint64_t counts[2] = {0};
        struct flows *flows = flows_new(count_flow, counts);
        for (uint64_t id = 1; id <= 20000; id++) {
            struct irq_record r = {.id = id, .vtime = id};
            uint64_t word[4];
            for (unsigned i = 0; i < 4; i++) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word[i] = state;
            }
            r.kind = known_kind(word[0]);
            r.cpu = word[0] >> 20 & 1 ? NONE : (uint16_t)(word[0] >> 24 & (round & 1 ? 0xffff : 1));
            r.cause = word[1] % 3 ? id - 1 - word[1] % (id < 40 ? id : 40) : 0;
            r.ref = word[2] % 3 ? id - 1 - word[2] % (id < 40 ? id : 40) : 0;
            r.result = (uint8_t)(word[3] % 12);
            for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
                r.op[i] = word[3] >> (8 * i) & 1 ? word[i % 4] : word[3] >> (12 + 4 * i) & 7;
            }
            flows_add(flows, &r, 1);
        }
        flows_finish(flows);
        uint64_t n = flows_count(flows);
        cr_expect_gt(n, 1000);
        cr_expect_eq(counts[0], n);
        cr_expect_eq(counts[1], n * (n + 1) / 2);
        flows_free(flows);
    }
}

/* The same records through the printers: text and JSON are made of anything. */
Test(flows, arbitrary_flows_can_be_printed)
{
    struct error err;
    FILE *null = fopen("/dev/null", "w");
    for (unsigned json = 0; json < 2; json++) {
        struct flow_list *list;
        uint64_t state = 12345;
        cr_assert_eq(flow_list_new(&list, 2000, json, NULL, &err), 0);
        for (uint64_t id = 1; id <= 20000; id++) {
            struct irq_record r = {.id = id, .vtime = id};
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            r.kind = known_kind(state >> 33);
            r.cause = state >> 41 & 1 ? id - 1 : id / 2;
            r.ref = state >> 42 & 1 ? id - 1 : id / 3;
            r.result = (uint8_t)(state >> 43 & 15);
            for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
                r.op[i] = state >> (7 * i) & 1 ? state : state >> (48 + i) & 7;
            }
            flow_list_add(list, &r, 1);
        }
        cr_expect_gt(flow_list_finish(list, null, &err), 0);
        flow_list_free(list);
    }
    fclose(null);
}
