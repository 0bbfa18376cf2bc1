/* SPDX-License-Identifier: MIT */
/*
 * Segment loads, far transfers, control registers, ports: SDM Vol. 2, "MOV", "JMP", "CALL", "RET", "LAR", "LTR", "IN", "SYSCALL";
 * Vol. 3A, chapter 5; Vol. 1, 19.5.2.
 */
#include "sys_fixture.h"

/* mov ds, eax with this selector; the CPU is left in the handler of a fault, or behind the instruction. */
static struct fx *load_ds(uint16_t sel)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x8e, 0xd8, 0xf4);
    fx->cpu->regs[REG_RAX] = sel;
    fx_run(fx, 10);
    return fx;
}

Test(segment, load_of_data_sets_accessed_in_memory)
{
    struct fx *fx = load_ds(FX_READONLY);
    cr_assert_eq(fx->cpu->rip, FX_CODE + 3);
    cr_assert_eq(fx_get(fx, FX_GDT + FX_READONLY + 5, 1), 0x91);
    cr_assert_eq(fx->cpu->seg[SEG_DS].attr & SEG_A, SEG_A);
    fx_free(fx);
}

Test(segment, load_null_makes_unusable_and_use_is_gp_0)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x8e, 0xd8, 0x8a, 0x00); /* mov ds, eax; mov al, [eax] */
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_CODE + 2);
    fx_free(fx);
}

Test(segment, load_beyond_table_is_gp_with_selector)
{
    struct fx *fx = load_ds(0x1000 | 3);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0x1000);
    fx_free(fx);
}

Test(segment, load_absent_is_np)
{
    struct fx *fx = load_ds(FX_ABSENT);
    fx_assert_in(fx, VEC_NP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_ABSENT);
    fx_free(fx);
}

Test(segment, load_of_ldt_selector_without_ldt_is_gp)
{
    struct fx *fx = fx_pm32("pentium3");
    fx->cpu->ldtr.attr = SEG_UNUSABLE;
    fx_code(fx, 0x8e, 0xd8);
    fx->cpu->regs[REG_RAX] = FX_DS | 4;
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_DS | 4);
    fx_free(fx);
}

Test(segment, mov_to_cs_is_ud)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x8e, 0xc8);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_UD);
    fx_free(fx);
}

Test(segment, ss_must_be_writable_data_of_cpl)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x8e, 0xd0);
    fx->cpu->regs[REG_RAX] = FX_READONLY;
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_READONLY);
    fx_free(fx);
}

Test(segment, far_jump_to_16_bit_code)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xea, 0x00, 0x48, 0x00, 0x00, FX_CS16, 0x00);
    fx_run(fx, 1);
    cr_assert_eq(fx->cpu->rip, 0x4800u);
    cr_assert_eq(fx->cpu->code_bits, 16);
    fx_free(fx);
}

Test(segment, far_call_and_return)
{
    struct fx *fx = fx_pm32("pentium3");
    const uint8_t retf = 0xcb;
    fx_code(fx, 0x9a, 0x00, 0x48, 0x00, 0x00, FX_CS32, 0x00, 0xf4);
    fx_put(fx, 0x4800, &retf, 1);
    fx_run(fx, 1);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 7);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_CS32);
    fx_run(fx, 10);
    cr_assert_eq(fx->cpu->rip, FX_CODE + 8);
    cr_assert_eq(fx->cpu->regs[REG_RSP], FX_STACK);
    fx_free(fx);
}

Test(segment, call_gate_switches_stack_and_copies_parameters)
{
    struct fx *fx = fx_pm32("pentium3");
    struct cpu *cpu = fx->cpu;
    /* 40h: 32-bit call gate, DPL 3, 2 parameters, to 08:4800 */
    fx_put64(fx, FX_GDT + 0x40, 0x4800ull | 0x08ull << 16 | 2ull << 32 | 0xecull << 40);
    fx_code(fx, 0x9a, 0, 0, 0, 0, 0x43, 0x00, 0xeb, 0xfe);
    const uint8_t ret[] = {0xca, 0x08, 0x00}; /* retf 8 */
    fx_put(fx, 0x4800, ret, sizeof(ret));
    fx_user(fx);
    cpu->regs[REG_RSP] = FX_USER_STACK - 8;
    fx_put32(fx, FX_USER_STACK - 8, 0x1111);
    fx_put32(fx, FX_USER_STACK - 4, 0x2222);
    fx_run(fx, 1);
    cr_assert_eq(cpu->rip, 0x4800u);
    cr_assert_eq(cpu->cpl, 0);
    cr_assert_eq(cpu->regs[REG_RSP], FX_TSS_STACK - 24);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 7);
    cr_assert_eq(fx_frame(fx, 1, 4), FX_UCS32);
    cr_assert_eq(fx_frame(fx, 2, 4), 0x1111);
    cr_assert_eq(fx_frame(fx, 3, 4), 0x2222);
    cr_assert_eq(fx_frame(fx, 4, 4), FX_USER_STACK - 8);
    fx_run(fx, 1);
    cr_assert_eq(cpu->rip, FX_CODE + 7);
    cr_assert_eq(cpu->cpl, 3);
    cr_assert_eq(cpu->regs[REG_RSP], FX_USER_STACK);
    fx_free(fx);
}

Test(segment, jump_to_tss_is_told_as_not_modelled)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xea, 0, 0, 0, 0, FX_TR, 0x00);
    cr_assert_eq(fx_run(fx, 10), CPU_STOP_UNMODELLED);
    cr_assert_not_null(strstr(fx->cpu->unmodelled_text, "TSS"));
    cr_assert_not_null(strstr(fx->cpu->unmodelled_text, "ea 00"));
    fx_free(fx);
}

Test(segment, ltr_marks_busy_and_refuses_a_busy_one)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x0f, 0x00, 0xd8, 0x0f, 0x00, 0xd8);
    fx->cpu->regs[REG_RAX] = FX_TR;
    fx_run(fx, 1);
    cr_assert_eq(fx_get(fx, FX_GDT + FX_TR + 5, 1), 0x8b);
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_TR);
    fx_free(fx);
}

Test(segment, lar_lsl_report_by_zf)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x0f, 0x02, 0xc8, 0x0f, 0x03, 0xd0, 0xf4); /* lar ecx, eax; lsl edx, eax */
    fx->cpu->regs[REG_RAX] = FX_CS32;
    fx_run(fx, 10);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 0x00c09b00u);
    cr_assert_eq(fx->cpu->regs[REG_RDX], 0xffffffffu);
    cr_assert_eq(cpu_get_eflags(fx->cpu) & EFLAGS_ZF, EFLAGS_ZF);
    fx_free(fx);
}

Test(segment, entering_protected_mode_by_mov_cr0_and_far_jump)
{
    struct fx *fx = fx_real("pentium3");
    fx_gdt(fx);
    fx->cpu->gdtr = (struct cpu_table){FX_GDT, FX_SEGMENTS - 1};
    /* mov eax, cr0; or al, 1; mov cr0, eax; ljmp 08:4800 (66h) */
    fx_code(fx, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0x66, 0xea, 0x00, 0x48, 0, 0,
            FX_CS32, 0);
    fx_run(fx, 4);
    cr_assert_eq(fx->cpu->rip, 0x4800u);
    cr_assert_eq(fx->cpu->code_bits, 32);
    fx_free(fx);
}

Test(segment, cr0_refuses_pg_without_pe_and_nw_without_cd)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x0f, 0x22, 0xc0);
    fx->cpu->regs[REG_RAX] = CR0_PE | CR0_NW;
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}

Test(segment, cr4_refuses_what_the_model_lacks)
{
    struct fx *fx = fx_pm32("pentium");
    fx_code(fx, 0x0f, 0x22, 0xe0);
    fx->cpu->regs[REG_RAX] = CR4_PAE;
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}

Test(segment, entering_long_mode_sets_lma)
{
    struct fx *fx = fx_long();
    struct cpu *cpu = fx->cpu;
    cpu->cr0 &= ~(uint64_t)CR0_PG;
    cpu->efer = EFER_LME;
    cpu->seg[SEG_CS] = fx_segment(FX_CS32, 0xc09b);
    cpu_update_mode(cpu);
    /* mov cr0, eax; ljmp 28:4800 */
    fx_code(fx, 0x0f, 0x22, 0xc0, 0xea, 0x00, 0x48, 0, 0, FX_CS64, 0);
    cpu->regs[REG_RAX] = cpu->cr0 | CR0_PG;
    fx_run(fx, 1);
    cr_assert_eq(cpu->efer & EFER_LMA, EFER_LMA);
    cr_assert_eq(cpu->code_bits, 32, "compatibility mode until CS is loaded");
    fx_run(fx, 1);
    cr_assert_eq(cpu->code_bits, 64);
    cr_assert_eq(cpu->rip, 0x4800u);
    fx_free(fx);
}

Test(segment, cr8_is_the_controllers_tpr)
{
    struct fx *fx = fx_long();
    fx_code(fx, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc1, 0x44, 0x0f, 0x22,
            0xc2); /* cr8 = rax; rcx = cr8; cr8 = rdx */
    fx->cpu->regs[REG_RAX] = 9;
    fx->cpu->regs[REG_RDX] = 16;
    fx_run(fx, 10);
    cr_assert_eq(fx->tpr, 9);
    cr_assert_eq(fx->cpu->regs[REG_RCX], 9u);
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}

Test(segment, syscall_and_sysret)
{
    struct fx *fx = fx_long();
    struct cpu *cpu = fx->cpu;
    fx_code(fx, 0x0f, 0x05, 0xeb, 0xfe);
    const uint8_t sysret[] = {0x48, 0x0f, 0x07};
    fx_put(fx, 0x4800, sysret, sizeof(sysret));
    fx_user(fx);
    cpu_set_eflags(cpu, EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF);
    cpu->lstar = 0x4800;
    cpu->star = 0x28ull << 32 | 0x20ull << 48;
    cpu->sfmask = EFLAGS_IF;
    fx_run(fx, 1);
    cr_assert_eq(cpu->rip, 0x4800u);
    cr_assert_eq(cpu->cpl, 0);
    cr_assert_eq(cpu->regs[REG_RCX], FX_CODE + 2);
    cr_assert_eq(cpu->regs[REG_R11], EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF);
    cr_assert_eq(cpu_get_eflags(cpu), EFLAGS_ONE | EFLAGS_CF);
    cr_assert_eq(cpu->if_rip, FX_CODE);
    fx_run(fx, 1);
    cr_assert_eq(cpu->rip, FX_CODE + 2);
    cr_assert_eq(cpu->cpl, 3);
    cr_assert_eq(cpu->seg[SEG_CS].sel, FX_UCS64);
    cr_assert_eq(cpu_get_eflags(cpu), EFLAGS_ONE | EFLAGS_IF | EFLAGS_CF);
    fx_free(fx);
}

Test(segment, ports_of_user_code_need_the_bit_map)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xe4, 0x10, 0xe4, 0x11); /* in al, 10h; in al, 11h */
    fx_put16(fx, FX_TSS + 0x66, 0x68);
    fx->cpu->tr.limit = 0x68 + 3;
    const uint8_t map[4] = {0, 0, 2, 0xff}; /* port 11h denied */
    fx_put(fx, FX_TSS + 0x68, map, sizeof(map));
    fx_user(fx);
    fx_run(fx, 1);
    cr_assert_eq(fx->cpu->rip, FX_CODE + 2);
    cr_assert_eq(fx->cpu->regs[REG_RAX], 0xffu, "an unclaimed port reads as ones");
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}

Test(segment, rep_insb_takes_an_interrupt_between_iterations)
{
    struct fx *fx = fx_pm32("pentium3");
    struct cpu *cpu = fx->cpu;
    fx_code(fx, 0xf3, 0x6c, 0xf4);
    cpu->regs[REG_RCX] = 5;
    cpu->regs[REG_RDI] = 0x6800;
    cpu_set_eflags(cpu, EFLAGS_ONE | EFLAGS_IF);
    fx_run(fx, 2);
    cr_assert_eq(cpu->regs[REG_RCX], 3u);
    cr_assert_eq(cpu->rip, FX_CODE);
    fx->next_vector = 0x41;
    cpu_interrupt(cpu, CPU_INTERRUPT_HARD, 0);
    fx_run(fx, 10);
    fx_assert_in(fx, 0x41);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE);
    cr_assert_eq(fx_get(fx, 0x6800, 4), 0xffff + 0ull);
    fx_free(fx);
}

/* Vol. 2, "LLDT": a fault leaves LDTR as it was. */
Test(segment, lldt_of_a_non_canonical_base_changes_nothing)
{
    struct fx *fx = fx_long();
    fx->cpu->gdtr.limit = FX_SEGMENTS + 15;
    fx->cpu->ldtr =
        (struct cpu_segment){.base = 0x1234, .limit = 0xff, .sel = 0x40, .attr = SEG_P | 2};
    fx_put64(fx, FX_GDT + FX_SEGMENTS, 0x00008200000000ffull);
    fx_put64(fx, FX_GDT + FX_SEGMENTS + 8, 0x00800000);
    fx->cpu->regs[REG_RAX] = FX_SEGMENTS;
    fx_code(fx, 0x0f, 0x00, 0xd0, 0xf4); /* lldt ax; hlt */
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 8), FX_SEGMENTS);
    cr_assert_eq(fx->cpu->ldtr.base, 0x1234u);
    cr_assert_eq(fx->cpu->ldtr.sel, 0x40u);
    cr_assert_eq(fx->cpu->ldtr.attr, SEG_P | 2);
    fx_free(fx);
}
