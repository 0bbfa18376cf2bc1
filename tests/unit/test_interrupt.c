/* SPDX-License-Identifier: MIT */
/*
 * Who is served between two instructions, and what holds requests: SDM Vol. 3A, 6.7, 6.8, table 6-2; Vol. 2, "STI", "HLT", "MOV".
 */
#include "sys_fixture.h"

#define IF_ON (EFLAGS_ONE | EFLAGS_IF)

static void request(struct fx *fx, uint32_t bits, vector_t vector)
{
    fx->next_vector = vector;
    cpu_interrupt(fx->cpu, bits, 0);
}

static const struct irq_record *find_record(struct fx *fx, uint16_t kind, unsigned nth)
{
    trace_flush(&fx->trace);
    for (size_t i = 0; i < fx->nrecs; i++) {
        if (fx->recs[i].kind == kind && nth-- == 0) {
            return &fx->recs[i];
        }
    }
    return NULL;
}

Test(interrupt, hard_with_if_0_waits_for_sti_and_one_more_instruction)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0xfb, 0x40, 0x40, 0xf4); /* nop; sti; inc eax; inc eax; hlt */
    request(fx, CPU_INTERRUPT_HARD, 0x41);
    fx_run(fx, 20);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RAX], 1u, "the shadow of STI is exactly one instruction");
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 3);
    fx_free(fx);
}

Test(interrupt, sti_with_if_set_opens_no_shadow)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xfb, 0x40, 0xf4);
    cpu_set_eflags(fx->cpu, IF_ON);
    fx_run(fx, 1);
    cr_assert(!fx->cpu->shadow);
    fx_free(fx);
}

Test(interrupt, sti_hlt_wakes_behind_hlt)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xfb, 0xf4, 0x90);
    request(fx, CPU_INTERRUPT_HARD, 0x41);
    fx_run(fx, 20);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 2);
    fx_free(fx);
}

Test(interrupt, mov_ss_shadow_holds_nmi_too_and_a_second_one_adds_nothing)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x8e, 0xd0, 0x8e, 0xd0, 0x41, 0xf4); /* mov ss, eax twice; inc ecx */
    fx->cpu->regs[REG_RAX] = FX_DS;
    fx_run(fx, 1);
    cr_assert(fx->cpu->shadow && fx->cpu->shadow_ss);
    request(fx, CPU_INTERRUPT_NMI, 0);
    fx_run(fx, 20);
    fx_assert_in(fx, VEC_NMI);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 4);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 0u);
    fx_free(fx);
}

Test(interrupt, nmi_is_blocked_until_iret_and_latched_once)
{
    struct fx *fx = fx_pm32("pentium3");
    const uint8_t handler[] = {0x41, 0x90, 0x90, 0xcf}; /* inc ecx; nop; nop; iret */
    fx_put(fx, fx_handler(VEC_NMI), handler, sizeof(handler));
    fx_code(fx, 0x90, 0xeb, 0xfd);
    request(fx, CPU_INTERRUPT_NMI, 0);
    fx_run(fx, 2);
    cr_assert(fx->cpu->nmi_blocked);
    request(fx, CPU_INTERRUPT_NMI, 0);
    request(fx, CPU_INTERRUPT_NMI, 0);
    fx_run(fx, 40);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 2u);
    cr_assert(!fx->cpu->nmi_blocked);
    fx_free(fx);
}

Test(interrupt, nmi_goes_before_hard)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0xf4);
    cpu_set_eflags(fx->cpu, IF_ON);
    request(fx, CPU_INTERRUPT_HARD | CPU_INTERRUPT_NMI, 0x41);
    fx_run(fx, 1);
    cr_assert_eq(fx->cpu->rip, fx_handler(VEC_NMI));
    cr_assert_eq(fx->acks, 0u);
    fx_free(fx);
}

Test(interrupt, halted_with_if_0_stays_halted_on_hard_and_wakes_on_nmi)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xf4);
    cr_assert_eq(fx_run(fx, 10), CPU_STOP_HALTED);
    request(fx, CPU_INTERRUPT_HARD, 0x41);
    cr_assert_eq(fx_run(fx, 10), CPU_STOP_HALTED);
    cr_assert_eq(fx->cpu->rip, FX_CODE + 1);
    request(fx, CPU_INTERRUPT_NMI, 0);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_NMI);
    fx_free(fx);
}

Test(interrupt, poll_folds_then_serves)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xf4);
    cpu_set_eflags(fx->cpu, IF_ON);
    request(fx, CPU_INTERRUPT_POLL, 0x55);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x55);
    fx_free(fx);
}

Test(interrupt, exit_leaves_the_loop_without_a_change)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0xf4);
    request(fx, CPU_INTERRUPT_EXIT, 0);
    cr_assert_eq(fx_run(fx, 10), CPU_STOP_REQUEST);
    cr_assert_eq(fx->cpu->rip, FX_CODE);
    cr_assert_eq(fx->clock.now, 0u);
    fx_free(fx);
}

Test(interrupt, init_resets_and_keeps_time)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0xf4);
    fx_run(fx, 1);
    request(fx, CPU_INTERRUPT_INIT, 0);
    fx->cpu->regs[REG_RBX] = 5;
    cr_assert(x86_exec_interrupt(fx->cpu));
    cr_assert_eq(fx->cpu->rip, 0xfff0u);
    cr_assert_eq(fx->cpu->seg[SEG_CS].sel, 0xf000);
    cr_assert_eq(fx->cpu->regs[REG_RBX], 0u);
    cr_assert_eq(fx->cpu->interrupt_request, 0u);
    fx_free(fx);
}

Test(interrupt, holds_are_told_once_per_reason)
{
    struct fx *fx = fx_pm32("pentium3");
    cr_assert_eq(trace_listen(&fx->trace, fx_drain, fx), 0);
    fx_code(fx, 0xfa, 0x90, 0x90, 0xfb, 0x90, 0xf4); /* cli; nop; nop; sti; nop */
    cpu_set_eflags(fx->cpu, IF_ON);
    fx_run(fx, 1);
    request(fx, CPU_INTERRUPT_HARD, 0x41);
    fx_run(fx, 20);
    const struct irq_record *hold = find_record(fx, TRACE_cpu_hold, 0);
    cr_assert_not_null(hold);
    cr_assert_eq(hold->op[0], HOLD_IF);
    cr_assert_eq(hold->op[1], FX_CODE, "CLI cleared IF");
    cr_assert_eq(hold->op[2], 0u, "at time 0");
    hold = find_record(fx, TRACE_cpu_hold, 1);
    cr_assert_not_null(hold);
    cr_assert_eq(hold->op[0], HOLD_SHADOW);
    cr_assert_eq(hold->op[1], FX_CODE + 3);
    cr_assert_null(find_record(fx, TRACE_cpu_hold, 2));
    fx_assert_in(fx, 0x41);
    fx_free(fx);
}

Test(interrupt, popf_and_cli_need_iopl)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xfa);
    fx_user(fx);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);

    fx = fx_pm32("pentium3");
    fx_code(fx, 0x6a, 0x00, 0x9d); /* push 0; popf */
    fx_user(fx);
    cpu_set_eflags(fx->cpu, IF_ON);
    fx_run(fx, 2);
    cr_assert_eq(fx->cpu->eflags & EFLAGS_IF, EFLAGS_IF, "POPF leaves IF alone without a fault");
    fx_free(fx);
}

/* SDM Vol. 2, "HLT": "a debug exception" resumes execution. */
Test(interrupt, single_step_trap_ends_hlt)
{
    struct fx *fx = fx_pm32("pentium3");
    const uint8_t handler[] = {0x41, 0xf4}; /* inc ecx; hlt */
    fx_put(fx, fx_handler(VEC_DB), handler, sizeof(handler));
    fx_code(fx, 0xf4);
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_TF);
    fx_run(fx, 20);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 1u);
    cr_assert_eq(fx->cpu->rip, fx_handler(VEC_DB) + 2);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 1);
    fx_free(fx);
}

Test(interrupt, sti_shadow_ends_with_the_delivery_of_an_nmi)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, VEC_NMI, FX_CS32, 0x8f); /* a trap gate: IF stays set */
    fx_code(fx, 0xfb, 0x90, 0xf4);
    fx_run(fx, 1);
    cr_assert(fx->cpu->shadow);
    request(fx, CPU_INTERRUPT_NMI | CPU_INTERRUPT_HARD, 0x41);
    fx_run(fx, 20);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx_frame(fx, 0, 4), fx_handler(VEC_NMI),
                 "before the NMI handler's first instruction");
    fx_free(fx);
}

Test(interrupt, sti_shadow_ends_with_the_first_iteration_of_rep)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xfb, 0xf3, 0xaa, 0xf4); /* sti; rep stosb; hlt */
    fx->cpu->regs[REG_RCX] = 10;
    fx->cpu->regs[REG_RDI] = 0x8000;
    request(fx, CPU_INTERRUPT_HARD, 0x41);
    fx_run(fx, 20);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 9u);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 1);
    fx_free(fx);
}

/* SDM Vol. 3A, 6.8.3: the trap comes at the boundary behind the instruction that follows, not later. */
Test(interrupt, single_step_over_mov_ss_traps_after_the_next_instruction)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x8e, 0xd0, 0x41, 0x41, 0x41, 0xf4); /* mov ss, eax; inc ecx three times */
    fx->cpu->regs[REG_RAX] = FX_DS;
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_TF);
    fx_run(fx, 20);
    fx_assert_in(fx, VEC_DB);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 3);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 1u);
    fx_free(fx);
}

/* SDM Vol. 3B, 18.3.1.4 "Single-Step Exception Condition": an INTO that does not trap is an instruction like others. */
Test(interrupt, single_step_traps_after_into_that_is_not_taken)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xce, 0x41, 0xf4); /* into; inc ecx */
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_TF);
    fx_run(fx, 20);
    fx_assert_in(fx, VEC_DB);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 1);
    fx_free(fx);
}
