/* SPDX-License-Identifier: MIT */
/*
 * RDMSR, WRMSR, RDTSC: SDM Vol. 4, chapter 2; Vol. 3A, 12.11 "Memory Type Range Registers (MTRRs)", 12.12 "Page Attribute Table (PAT)".
 */
#include "sys_fixture.h"

/* WRMSR. True if it did not fault. */
static bool wrmsr(struct fx *fx, uint32_t n, uint64_t v)
{
    fx_code(fx, 0x0f, 0x30, 0xf4);
    fx->cpu->rip = FX_CODE;
    fx->cpu->halted = false;
    fx->cpu->regs[REG_RCX] = n;
    fx->cpu->regs[REG_RAX] = (uint32_t)v;
    fx->cpu->regs[REG_RDX] = v >> 32;
    fx_run(fx, 10);
    return fx->cpu->rip == FX_CODE + 3;
}

/* RDMSR. True if it did not fault. */
static bool rdmsr(struct fx *fx, uint32_t n, uint64_t *v)
{
    fx_code(fx, 0x0f, 0x32, 0xf4);
    fx->cpu->rip = FX_CODE;
    fx->cpu->halted = false;
    fx->cpu->regs[REG_RCX] = n;
    fx_run(fx, 10);
    *v = fx->cpu->regs[REG_RDX] << 32 | fx->cpu->regs[REG_RAX];
    return fx->cpu->rip == FX_CODE + 3;
}

Test(msr, unknown_is_gp_0)
{
    struct fx *fx = fx_pm32("pentium3");
    uint64_t v;
    cr_assert(!rdmsr(fx, 0x12345678, &v));
    fx_assert_in(fx, VEC_GP);
    cr_assert_eq(fx_frame(fx, 0, 4), 0);
    cr_assert(!wrmsr(fx, 0x12345678, 0));
    fx_free(fx);
}

Test(msr, model_without_msrs_is_ud)
{
    struct fx *fx = fx_pm32("486");
    uint64_t v;
    cr_assert(!rdmsr(fx, 0x10, &v));
    fx_assert_in(fx, VEC_UD);
    fx_free(fx);
}

Test(msr, user_is_gp)
{
    struct fx *fx = fx_pm32("pentium3");
    uint64_t v;
    fx_user(fx);
    cr_assert(!rdmsr(fx, 0x10, &v));
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}

Test(msr, efer_belongs_to_models_with_long_mode)
{
    struct fx *fx = fx_pm32("pentium3");
    uint64_t v;
    cr_assert(!rdmsr(fx, 0xc0000080, &v));
    fx_free(fx);

    fx = fx_pm32("qemu64");
    cr_assert(wrmsr(fx, 0xc0000080, EFER_LME | EFER_NXE | EFER_SCE));
    cr_assert(rdmsr(fx, 0xc0000080, &v));
    cr_assert_eq(v, EFER_LME | EFER_NXE | EFER_SCE);
    cr_assert(!wrmsr(fx, 0xc0000080, 1u << 1), "reserved bit");
    fx_free(fx);
}

Test(msr, lme_may_not_change_while_paging)
{
    struct fx *fx = fx_long();
    cr_assert(!wrmsr(fx, 0xc0000080, EFER_LMA));
    cr_assert_eq(fx->cpu->efer & EFER_LME, EFER_LME);
    fx_free(fx);
}

Test(msr, bases_must_be_canonical)
{
    struct fx *fx = fx_long();
    static const uint32_t bases[] = {0xc0000082, 0xc0000100, 0xc0000101, 0xc0000102, 0x175, 0x176};
    for (size_t i = 0; i < irq_array_size(bases); i++) {
        uint64_t v;
        cr_assert(wrmsr(fx, bases[i], 0xffff800000001234ull), "%x", bases[i]);
        cr_assert(rdmsr(fx, bases[i], &v));
        cr_assert_eq(v, 0xffff800000001234ull);
        cr_assert(!wrmsr(fx, bases[i], 0x0000800000000000ull), "%x", bases[i]);
    }
    fx_free(fx);
}

Test(msr, pat_and_mtrr_refuse_reserved_types)
{
    struct fx *fx = fx_pm32("pentium3");
    uint64_t v;
    cr_assert(rdmsr(fx, 0x277, &v));
    cr_assert_eq(v, 0x0007040600070406ull, "power-up value");
    cr_assert(wrmsr(fx, 0x277, 0x0007040600070401ull));
    cr_assert(!wrmsr(fx, 0x277, 0x0007040600070402ull));
    cr_assert(rdmsr(fx, 0xfe, &v));
    cr_assert_eq(v & 0xff, 8u);
    cr_assert(wrmsr(fx, 0x2ff, 0xc06));
    cr_assert(!wrmsr(fx, 0x2ff, 0xc02));
    cr_assert(wrmsr(fx, 0x200, 0x6));
    cr_assert(!wrmsr(fx, 0x200, 1ull << 36), "above the physical address width");
    cr_assert(wrmsr(fx, 0x250, 0x0606060606060606ull));
    cr_assert(!wrmsr(fx, 0x250, 0x0706060606060606ull));
    fx_free(fx);
}

Test(msr, apic_base_goes_to_the_controller)
{
    struct fx *fx = fx_pm32("pentium3");
    uint64_t v;
    cr_assert(rdmsr(fx, 0x1b, &v));
    cr_assert_eq(v, 0xfee00900u);
    cr_assert(wrmsr(fx, 0x1b, 0xfed00900u));
    cr_assert_eq(fx->apic_base, 0xfed00900u);
    cr_assert(!wrmsr(fx, 0x1b, 0xfee00901u));
    fx_free(fx);
}

Test(msr, tsc_counts_nanoseconds_inside_a_block_and_can_be_written)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x90, 0x90, 0x0f, 0x31, 0xf4); /* nop; nop; rdtsc; hlt */
    fx_run(fx, 10);
    cr_assert_eq(fx->cpu->regs[REG_RAX], 2u);
    uint64_t v;
    cr_assert(wrmsr(fx, 0x10, 0x100000000ull));
    vtime_t written = fx->clock.now - 2; /* WRMSR, HLT */
    cr_assert(rdmsr(fx, 0x10, &v));
    cr_assert_eq(v, 0x100000000ull + (fx->clock.now - 2 - written));
    fx_free(fx);
}

Test(msr, tsd_keeps_rdtsc_from_user_code)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0x0f, 0x31);
    fx_user(fx);
    fx->cpu->cr4 |= CR4_TSD;
    fx_run(fx, 10);
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}
