/* SPDX-License-Identifier: MIT */
/*
 * Records: ids, causes, masks, drain, descriptors.
 */
#include "bus/trace_events.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>

static struct clock clk;
static struct trace tr;
static struct bus_test_records got;

static void setup(void)
{
    clock_init(&clk);
    trace_init(&tr, &clk);
    memset(&got, 0, sizeof(got));
}

static void listening(void)
{
    setup();
    cr_assert_eq(trace_listen(&tr, bus_test_drain, &got), 0);
}

static void teardown(void)
{
    trace_fini(&tr);
}

static uint64_t count_insns(void *opaque, uint16_t cpu)
{
    return *(uint64_t *)opaque + cpu;
}

Test(trace, emit_nobody_listens_hands_on_cause, .init = setup, .fini = teardown)
{
    cr_assert_eq(trace_line(&tr, TRACE_CPU_NONE, 77, 0, 0, 1, 2, 1, 3), 77);
    cr_assert_eq(tr.next_id, 1);
}

Test(trace, emit_listening_record_is_complete, .init = listening, .fini = teardown)
{
    uint64_t insns = 1000;
    tr.insns = count_insns;
    tr.insns_opaque = &insns;
    clock_advance(&clk, 1234);
    cause_t a = trace_line(&tr, TRACE_CPU_NONE, 0, 0, 0, 5, 4, 1, 0x20);
    cause_t b = trace_device_access(&tr, 2, a, 9, DELIVER_COALESCED, 5, 0x3f8, 0x41, 0x7c00);
    trace_flush(&tr);
    cr_assert_eq(got.n, 2);
    cr_assert_eq(a, 1);
    cr_assert_eq(b, 2);
    cr_assert_eq(got.rec[0].insns, 0);
    const struct irq_record *r = &got.rec[1];
    cr_assert_eq(r->id, 2);
    cr_assert_eq(r->cause, 1);
    cr_assert_eq(r->ref, 9);
    cr_assert_eq(r->vtime, 1234);
    cr_assert_eq(r->insns, 1002);
    cr_assert_eq(r->kind, TRACE_device_access);
    cr_assert_eq(r->cpu, 2);
    cr_assert_eq(r->result, DELIVER_COALESCED);
    cr_assert_eq(r->op[1], 0x3f8);
    cr_assert_eq(r->op[3], 0x7c00);
    cr_assert_eq(r->op[4], 0);
}

Test(trace, emit_masked_kind_hands_on_cause_and_ids_stay_dense, .init = listening, .fini = teardown)
{
    trace_mask_kind(&tr, TRACE_line, true);
    cr_assert_eq(trace_line(&tr, TRACE_CPU_NONE, 5, 0, 0, 0, 0, 0, 0), 5);
    cr_assert_eq(trace_timer_arm(&tr, 0, 5, 0, 0, 0, 0), 1);
    trace_mask_kind(&tr, TRACE_line, false);
    cr_assert_eq(trace_line(&tr, TRACE_CPU_NONE, 5, 0, 0, 0, 0, 0, 0), 2);
    trace_flush(&tr);
    cr_assert_eq(got.n, 2);
}

Test(trace, emit_full_buffer_is_drained_and_nothing_lost, .init = listening, .fini = teardown)
{
    for (unsigned i = 0; i < TRACE_BUFFER - 1; i++) {
        trace_timer_arm(&tr, 0, i, 0, 0, 0, i);
    }
    cr_assert_eq(got.n, 0);
    trace_timer_arm(&tr, 0, 0, 0, 0, 0, 0);
    trace_timer_arm(&tr, 0, 0, 0, 0, 0, 0);
    cr_assert_eq(got.n, TRACE_BUFFER);
    for (size_t i = 0; i < got.n; i++) {
        cr_assert_eq(got.rec[i].id, i + 1);
    }
    got.n = 0;
    trace_flush(&tr);
    cr_assert_eq(got.n, 1);
}

Test(trace, descriptors_kinds_are_in_order_with_their_operands)
{
    cr_assert_eq(bus_trace_ndescs, (size_t)(TRACE_bus_end - TRACE_BASE(TRACE_FOLDER_BUS)));
    for (size_t i = 0; i < bus_trace_ndescs; i++) {
        cr_assert_eq(bus_trace_descs[i].kind, TRACE_BASE(TRACE_FOLDER_BUS) + i);
    }
    const struct trace_desc *d =
        &bus_trace_descs[TRACE_device_access - TRACE_BASE(TRACE_FOLDER_BUS)];
    cr_assert_str_eq(d->name, "device_access");
    cr_assert_eq(d->nops, 4);
    cr_assert_str_eq(d->op[3].name, "rip");
    cr_assert_eq(d->op[3].type, TRACE_OP_ADDR);
}

Test(trace, hold_names_are_distinct_kebab_case)
{
    for (unsigned i = 0; i < HOLD_HOLDS; i++) {
        const char *name = trace_hold_name((enum trace_hold)i);
        cr_assert_not_null(name);
        cr_assert_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz0-"), strlen(name));
        for (unsigned j = 0; j < i; j++) {
            cr_assert_str_neq(name, trace_hold_name((enum trace_hold)j));
        }
    }
    cr_assert_str_eq(trace_hold_name(HOLD_IF), "if-0");
    cr_assert_str_eq(trace_hold_name(HOLD_PIC_MASKED), "pic-masked");
}
