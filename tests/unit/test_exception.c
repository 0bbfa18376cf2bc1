/* SPDX-License-Identifier: MIT */
/*
 * Faults during delivery: SDM Vol. 3A, table 6-5 "Conditions for Generating a Double Fault", and the shutdown.
 */
#include "sys_fixture.h"

Test(exception, ud2_is_ud_at_the_instruction)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0x0f, 0x0b);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_UD);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 1);
    fx_free(fx);
}

Test(exception, fault_costs_one_nanosecond)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x0f, 0x0b);
    fx_run(fx, 10);
    cr_assert_eq(fx->clock.now, 2u, "delivery and HLT; UD2 retires nothing");
    fx_free(fx);
}

Test(exception, contributory_while_contributory_is_double_fault)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, VEC_GP, FX_ABSENT, 0x8e); /* #GP's own handler is not present: #NP */
    fx_code(fx, 0xcd, 0x41);
    fx_gate32(fx, 0x41, 0, 0x8e); /* #GP(0) */
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_DF);
    cr_assert_eq(fx_frame(fx, 0, 4), 0, "#DF's error code is 0");
    cr_assert_eq(fx_frame(fx, 3, 4) & EFLAGS_RF, 0u);
    fx_free(fx);
}

Test(exception, fault_while_benign_is_served_alone_with_ext)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, VEC_UD, FX_ABSENT, 0x8e);
    fx_code(fx, 0x0f, 0x0b);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_NP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_ABSENT | 1);
    fx_free(fx);
}

Test(exception, int1_faults_with_ext_and_int3_without)
{
    const uint8_t code[2] = {0xf1, 0xcc};
    for (unsigned i = 0; i < 2; i++) {
        struct fx *fx = fx_pm32("pentium3");
        fx_gate32(fx, i ? VEC_BP : VEC_DB, FX_CS32, 0x0e);
        fx_put(fx, FX_CODE, &code[i], 1);
        fx_run(fx, 10);
        fx_assert_in(fx, VEC_NP);
        cr_assert_eq(fx_frame(fx, 0, 4), i ? VEC_BP * 8 + 2 : VEC_DB * 8 + 3);
        fx_free(fx);
    }
}

Test(exception, three_in_a_row_shut_down)
{
    struct fx *fx = fx_pm32("pentium3");
    fx->cpu->idtr.limit = 0;
    fx_code(fx, 0x0f, 0x0b);
    cr_assert_eq(trace_listen(&fx->trace, fx_drain, fx), 0);
    cr_assert_eq(fx_run(fx, 100), CPU_STOP_TRIPLE_FAULT);
    trace_flush(&fx->trace);
    const struct irq_record *last = &fx->recs[fx->nrecs - 1];
    cr_assert_eq(last->kind, TRACE_cpu_triple_fault);
    cr_assert_eq(last->op[1], FX_CODE);
    /* take UD, fault GP, take GP, fault GP, take DF, fault GP, triple: one chain */
    cr_assert_eq(fx->nrecs, 7u);
    for (size_t i = 1; i < fx->nrecs; i++) {
        cr_assert_eq(fx->recs[i].cause, fx->recs[i - 1].id, "record %zu", i);
    }
    fx_free(fx);
}

Test(exception, page_fault_sets_cr2_and_error_code)
{
    struct fx *fx = fx_long();
    fx_code(fx, 0x89, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00); /* mov %eax, 0x400000 */
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_PF);
    cr_assert_eq(fx->cpu->cr2, 0x400000u);
    cr_assert_eq(fx_frame(fx, 0, 8), 2, "not present, write, supervisor");
    fx_free(fx);
}

Test(exception, page_fault_while_page_fault_is_double_fault)
{
    struct fx *fx = fx_long();
    fx_gate64(fx, VEC_DF, FX_CS64, 0x8e, 1);
    fx_code(fx, 0x89, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00);
    fx->cpu->regs[REG_RSP] = 0x500000; /* the frame cannot be pushed either */
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_DF);
    cr_assert_eq(fx->cpu->cr2, 0x500000u - 8 * 6);
    cr_assert_eq(fx_frame(fx, 4, 8), 0x500000, "the interrupted stack pointer has not moved");
    fx_free(fx);
}

Test(exception, single_step_traps_after_the_instruction)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0x90, 0xf4);
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_TF);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_DB);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 1);
    cr_assert_eq(fx_frame(fx, 2, 4) & (EFLAGS_TF | EFLAGS_RF), EFLAGS_TF);
    cr_assert_eq(fx->cpu->dr[6] & 0x4000, 0x4000u);
    fx_free(fx);
}

static void count_event(void *opaque, struct cpu *cpu, const struct cpu_exception *ev)
{
    (void)cpu;
    (void)ev;
    ++*(unsigned *)opaque;
}

Test(exception, log_hears_of_deliveries_with_recording_off)
{
    struct fx *fx = fx_pm32("pentium3");
    unsigned heard = 0;
    fx->cpu->log_event = count_event;
    fx->cpu->log_opaque = &heard;
    fx->cpu->idtr.limit = 0;
    fx_code(fx, 0x0f, 0x0b);
    fx_run(fx, 100);
    cr_assert_eq(heard, 4u, "UD, GP, DF, and the triple fault");
    fx_free(fx);
}
