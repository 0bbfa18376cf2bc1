/* SPDX-License-Identifier: MIT */
/*
 * Delivery through the IVT and the IDT, and the way back. Expected frames and error codes: SDM Vol. 3A, 6.12-6.14; Vol. 2, "INT n", "IRET".
 */
#include "sys_fixture.h"

Test(idt, int_same_privilege_pushes_three_dwords)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xcd, 0x41); /* int 0x41 */
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF | EFLAGS_TF * 0);
    cr_assert_eq(fx_run(fx, 10), CPU_STOP_HALTED);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_STACK - 12);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 2);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_CS32);
    cr_assert_eq(fx_frame(fx, 2, 4), EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF);
    cr_assert_eq(fx->cpu->eflags & EFLAGS_IF, 0u, "an interrupt gate clears IF");
    cr_assert_eq(fx->cpu->if_rip, fx_handler(0x41));
    fx_free(fx);
}

Test(idt, trap_gate_keeps_if)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x41, FX_CS32, 0x8f);
    fx_code(fx, 0xcd, 0x41);
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_IF);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->eflags & EFLAGS_IF, EFLAGS_IF);
    fx_free(fx);
}

Test(idt, int_from_user_switches_to_the_stack_of_the_tss)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x80, FX_CS32, 0xee);
    fx_code(fx, 0xcd, 0x80);
    fx_user(fx);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x80);
    cr_assert_eq(fx->cpu->cpl, 0);
    cr_assert_eq(fx->cpu->seg[SEG_SS].sel, FX_DS);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_TSS_STACK - 20);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 2);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_UCS32);
    cr_assert_eq(fx_frame(fx, 3, 4), FX_USER_STACK);
    cr_assert_eq(fx_frame(fx, 4, 4), FX_UDS);
    fx_free(fx);
}

Test(idt, int_through_gate_of_inner_dpl_is_gp_with_vector_times_8_plus_2)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xcd, 0x41);
    fx_user(fx);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0x41 * 8 + 2);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_CODE, "a fault returns to the instruction");
    cr_assert_eq(fx_frame(fx, 3, 4) & EFLAGS_RF, EFLAGS_RF, "faults push RF = 1");
    fx_free(fx);
}

Test(idt, int_through_absent_gate_is_np_without_ext)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x41, FX_CS32, 0x0e);
    fx_code(fx, 0xcd, 0x41);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_NP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0x20a);
    fx_free(fx);
}

Test(idt, external_interrupt_through_absent_gate_is_np_with_ext)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x41, FX_CS32, 0x0e);
    fx_code(fx, 0x90, 0x90, 0xf4);
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_IF);
    fx->next_vector = 0x41;
    cpu_interrupt(fx->cpu, CPU_INTERRUPT_HARD, 0);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_NP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0x20b);
    cr_assert_eq(fx->acks, 1u, "hardware does not ask again");
    fx_free(fx);
}

Test(idt, int_through_gate_to_null_selector_is_gp_0)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x41, 0, 0x8e);
    fx_code(fx, 0xcd, 0x41);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0);
    fx_free(fx);
}

Test(idt, int_through_gate_to_absent_segment_is_np_with_its_selector)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x41, FX_ABSENT, 0x8e);
    fx_code(fx, 0xcd, 0x41);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_NP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_ABSENT);
    fx_free(fx);
}

Test(idt, inner_stack_not_in_tss_is_ts_with_the_tss_selector)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x80, FX_CS32, 0xee);
    fx_gate32(fx, VEC_TS, FX_CONFORMING, 0x8e); /* stays at CPL 3: needs no stack from the TSS */
    fx_code(fx, 0xcd, 0x80);
    fx_user(fx);
    fx->cpu->tr.limit = 8;
    /* HLT at CPL 3 would be #GP, so run exactly INT and the delivery of #TS. */
    fx_run(fx, 1);
    cr_assert_eq(fx->cpu->rip, fx_handler(VEC_TS));
    cr_assert_eq(fx_frame(fx, 0, 4), FX_TR);
    fx_free(fx);
}

Test(idt, gate_16_pushes_words)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_gate32(fx, 0x41, FX_CS32, 0x86);
    fx_code(fx, 0xcd, 0x41);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_STACK - 6);
    cr_assert_eq(fx_frame(fx, 0, 2), FX_CODE + 2);
    fx_free(fx);
}

Test(idt, real_mode_pushes_flags_cs_ip)
{
    struct fx *fx = fx_real("pentium3");
    fx_code(fx, 0xcd, 0x21);
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_IF);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x21);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_STACK - 6);
    cr_assert_eq(fx_frame(fx, 0, 2), FX_CODE + 2);
    cr_assert_eq(fx_frame(fx, 1, 2), 0);
    cr_assert_eq(fx_frame(fx, 2, 2), EFLAGS_ONE | EFLAGS_IF);
    cr_assert_eq(fx->cpu->eflags & EFLAGS_IF, 0u);
    fx_free(fx);
}

Test(idt, real_mode_frame_wraps_at_sp_0)
{
    struct fx *fx = fx_real("pentium3");
    fx_code(fx, 0xcd, 0x21);
    fx->cpu->regs[REG_RSP] = 0xdead0002;
    fx_run(fx, 10);
    fx_assert_in(fx, 0x21);
    cr_assert_eq(fx->cpu->regs[REG_RSP], 0xdead0000u | 0xfffcu);
    cr_assert_eq(fx_get(fx, 0xfffc, 2), FX_CODE + 2);
    cr_assert_eq(fx_get(fx, 0xfffe, 2), 0);
    fx_free(fx);
}

Test(idt, long_mode_aligns_the_stack_and_pushes_five)
{
    struct fx *fx = fx_long();
    fx_code(fx, 0xcd, 0x41);
    fx->cpu->regs[REG_RSP] = FX_STACK - 4;
    fx_run(fx, 10);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_STACK - 16 - 40);
    cr_assert_eq(fx_frame(fx, 0, 8), FX_CODE + 2);
    cr_assert_eq(fx_frame(fx, 1, 8), FX_CS64);
    cr_assert_eq(fx_frame(fx, 3, 8), FX_STACK - 4);
    cr_assert_eq(fx_frame(fx, 4, 8), FX_DS);
    fx_free(fx);
}

Test(idt, long_mode_user_to_kernel_gets_rsp0_and_null_ss)
{
    struct fx *fx = fx_long();
    fx_gate64(fx, 0x41, FX_CS64, 0xee, 0);
    fx_code(fx, 0xcd, 0x41);
    fx_user(fx);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_TSS_STACK - 40);
    cr_assert_eq(fx->cpu->seg[SEG_SS].sel, 0);
    cr_assert_eq(fx_frame(fx, 4, 8), FX_UDS);
    fx_free(fx);
}

Test(idt, long_mode_ist_is_used_without_a_change_of_privilege)
{
    struct fx *fx = fx_long();
    fx_gate64(fx, 0x41, FX_CS64, 0x8e, 1);
    fx_code(fx, 0xcd, 0x41);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_IST1 - 40);
    cr_assert_eq(fx->cpu->seg[SEG_SS].sel, FX_DS);
    fx_free(fx);
}

Test(idt, long_mode_absent_gate_error_is_vector_times_8_plus_2)
{
    struct fx *fx = fx_long();
    fx_gate64(fx, 0x41, FX_CS64, 0x0e, 0);
    fx_code(fx, 0xcd, 0x41);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_NP);
    cr_assert_eq(fx_frame(fx, 0, 8), 0x20a);
    fx_free(fx);
}

Test(idt, long_mode_non_canonical_rsp0_is_ss_with_ext_for_hardware)
{
    struct fx *fx = fx_long();
    fx_gate64(fx, VEC_SS, FX_CS64, 0x8e, 1);
    fx_put64(fx, FX_TSS + 4, 0x800000000000ull);
    fx_code(fx, 0xeb, 0xfe);
    fx_user(fx);
    cpu_set_eflags(fx->cpu, EFLAGS_ONE | EFLAGS_IF);
    fx->next_vector = 0x41;
    cpu_interrupt(fx->cpu, CPU_INTERRUPT_HARD, 0);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_SS);
    cr_assert_eq(fx_frame(fx, 0, 8), 1);
    fx_free(fx);
}

Test(idt, iret_returns_to_user_and_nulls_privileged_segments)
{
    struct fx *fx = fx_pm32("pentium3");
    struct cpu *cpu = fx->cpu;
    fx_code(fx, 0xcf); /* iret */
    const uint32_t frame[] = {0x4800, FX_UCS32, EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF, FX_USER_STACK,
                              FX_UDS};
    fx_put(fx, FX_STACK - 20, frame, sizeof(frame));
    cpu->regs[REG_RSP] = FX_STACK - 20;
    fx_run(fx, 1);
    cr_assert_eq(cpu->rip, 0x4800u);
    cr_assert_eq(cpu->cpl, 3);
    cr_assert_eq(cpu->seg[SEG_SS].sel, FX_UDS);
    cr_assert_eq(cpu->regs[REG_RSP], FX_USER_STACK);
    cr_assert_eq(cpu->seg[SEG_DS].sel, 0);
    cr_assert(cpu->seg[SEG_DS].attr & SEG_UNUSABLE);
    cr_assert_eq(cpu_get_eflags(cpu), EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF);
    fx_free(fx);
}

Test(idt, iret_with_wrong_stack_segment_is_gp_and_changes_nothing)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xcf);
    const uint32_t frame[] = {0x4800, FX_UCS32, EFLAGS_ONE, FX_USER_STACK,
                              FX_DS}; /* RPL 0 for CPL 3 */
    fx_put(fx, FX_STACK - 20, frame, sizeof(frame));
    fx->cpu->regs[REG_RSP] = FX_STACK - 20;
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_DS);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_CODE);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_STACK - 20 - 16);
    fx_free(fx);
}

Test(idt, iretq_pops_five_in_64_bit_mode)
{
    struct fx *fx = fx_long();
    struct cpu *cpu = fx->cpu;
    fx_code(fx, 0x48, 0xcf);
    const uint64_t frame[] = {0x4800, FX_CS64, EFLAGS_ONE | EFLAGS_IF, 0x8888, 0};
    fx_put(fx, FX_STACK - 40, frame, sizeof(frame));
    cpu->regs[REG_RSP] = FX_STACK - 40;
    fx_run(fx, 1);
    cr_assert_eq(cpu->rip, 0x4800u);
    cr_assert_eq(cpu->regs[REG_RSP], 0x8888u);
    cr_assert_eq(cpu->seg[SEG_SS].sel, 0, "a null SS is legal below CPL 3");
    cr_assert_eq(cpu->eflags & EFLAGS_IF, EFLAGS_IF);
    fx_free(fx);
}

Test(idt, iret_to_v86_and_interrupt_back)
{
    struct fx *fx = fx_pm32("pentium3");
    struct cpu *cpu = fx->cpu;
    fx_code(fx, 0xcf);
    const uint8_t v86[] = {0xcd, 0x42};
    fx_put(fx, 0x4800, v86, sizeof(v86));
    fx_gate32(fx, 0x42, FX_CS32, 0xee);
    const uint32_t frame[] = {0x0800, 0x0400, EFLAGS_ONE | EFLAGS_VM | EFLAGS_IOPL,
                              0x1000, 0x0900, 0x11,
                              0x22,   0x33,   0x44};
    fx_put(fx, FX_STACK - 36, frame, sizeof(frame));
    cpu->regs[REG_RSP] = FX_STACK - 36;
    fx_run(fx, 1);
    cr_assert_eq(cpu->cpl, 3);
    cr_assert_eq(cpu->seg[SEG_CS].base, 0x4000u);
    cr_assert_eq(cpu->seg[SEG_GS].sel, 0x44);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x42);
    cr_assert_eq(cpu->cpl, 0);
    cr_assert_eq(cpu->regs[REG_RSP], FX_TSS_STACK - 36);
    cr_assert_eq(fx_frame(fx, 0, 4), 0x0802);
    cr_assert_eq(fx_frame(fx, 1, 4), 0x0400);
    cr_assert_eq(fx_frame(fx, 2, 4), EFLAGS_ONE | EFLAGS_VM | EFLAGS_IOPL);
    cr_assert_eq(fx_frame(fx, 3, 4), 0x1000);
    cr_assert_eq(fx_frame(fx, 4, 4), 0x0900);
    cr_assert_eq(fx_frame(fx, 5, 4), 0x11);
    cr_assert_eq(fx_frame(fx, 8, 4), 0x44);
    cr_assert_eq(cpu->seg[SEG_DS].attr & SEG_UNUSABLE, SEG_UNUSABLE);
    fx_free(fx);
}

Test(idt, task_gate_is_told_as_not_modelled)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_put64(fx, FX_IDT + 0x41 * 8, 0x0000850000380000ull);
    fx_code(fx, 0xcd, 0x41);
    cr_assert_eq(fx_run(fx, 10), CPU_STOP_UNMODELLED);
    cr_assert_not_null(strstr(fx->cpu->unmodelled_text, "task gate"));
    fx_free(fx);
}

Test(idt, records_chain_from_take_to_iret)
{
    struct fx *fx = fx_pm32("pentium3");
    const uint8_t iret = 0xcf;
    cr_assert_eq(trace_listen(&fx->trace, fx_drain, fx), 0);
    fx_put(fx, fx_handler(0x41), &iret, 1);
    fx_code(fx, 0xcd, 0x41, 0xf4);
    fx_run(fx, 10);
    trace_flush(&fx->trace);
    cr_assert_eq(fx->nrecs, 5u);
    const uint16_t kinds[] = {TRACE_cpu_take, TRACE_cpu_gate, TRACE_cpu_frame, TRACE_cpu_iret,
                              TRACE_cpu_halt};
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(fx->recs[i].kind, kinds[i], "record %u", i);
    }
    cr_assert_eq(fx->recs[1].cause, fx->recs[0].id);
    cr_assert_eq(fx->recs[2].cause, fx->recs[1].id);
    cr_assert_eq(fx->recs[3].cause, fx->recs[2].id, "IRET runs in the context of its frame");
    cr_assert_eq(fx->recs[3].ref, fx->recs[2].id);
    cr_assert_eq(fx->recs[4].cause, 0u, "the context before the interrupt is back");
    cr_assert_eq(fx->recs[0].vtime, 0u);
    cr_assert_eq(fx->recs[3].vtime, 1u);
    fx_free(fx);
}
