/* SPDX-License-Identifier: MIT */
/*
 * The x87 unit: what kernels probe and save, arithmetic, exceptions. SDM Vol. 1, chapter 8; Vol. 2, pages of the instructions.
 */
#include "sys_fixture.h"

#define DATA 0x6000u /* absolute operands: [6000h] and on */
#define M(n) (uint8_t)(n), 0x60, 0, 0

/* Code at FX_CODE, run until HLT; the CPU has CR0.NE = 1, EM = TS = 0. */
#define RUN(fx, ...)                      \
    do {                                  \
        fx_code((fx), __VA_ARGS__, 0xf4); \
        fx_run((fx), 100);                \
    } while (0)
#define RAN(fx)                                                         \
    cr_assert_eq((fx)->cpu->rip < FX_HANDLERS, true, "fault: rip %llx", \
                 (unsigned long long)(fx)->cpu->rip)

static void put_double(struct fx *fx, unsigned at, double v)
{
    fx_put(fx, DATA + at, &v, 8);
}

static double get_double(struct fx *fx, unsigned at)
{
    uint64_t raw = fx_get(fx, DATA + at, 8);
    double v;
    memcpy(&v, &raw, 8);
    return v;
}

Test(x87, probe_finds_a_unit)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_put32(fx, DATA, 0x5a5a5a5a);
    /* fninit; fnstsw ax; fnstcw [6000] */
    RUN(fx, 0xdb, 0xe3, 0xdf, 0xe0, 0xd9, 0x3d, M(0));
    RAN(fx);
    cr_assert_eq(fx->cpu->regs[REG_RAX] & 0xffff, 0u);
    cr_assert_eq(fx_get(fx, DATA, 2), 0x37f);
    cr_assert_eq(fx_get(fx, DATA + 2, 2), 0x5a5a);
    fx_free(fx);
}

Test(x87, probe_by_one_over_zero_tells_signed_infinities)
{
    struct fx *fx = fx_pm32("pentium3");
    /* fninit; fld1; fldz; fdivp; fld st(0); fchs; fcompp; fnstsw ax */
    RUN(fx, 0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xd9, 0xc0, 0xd9, 0xe0, 0xde, 0xd9,
        0xdf, 0xe0);
    RAN(fx);
    /* -inf against +inf: less, C0; ZE is sticky */
    cr_assert_eq(fx->cpu->regs[REG_RAX] & 0x4504, 0x0104u);
    fx_free(fx);
}

Test(x87, em_and_ts_are_nm_and_fwait_needs_mp)
{
    static const uint32_t bits[] = {CR0_EM, CR0_TS};
    for (unsigned i = 0; i < 2; i++) {
        struct fx *fx = fx_pm32("pentium3");
        fx->cpu->cr0 |= bits[i];
        cpu_update_mode(fx->cpu);
        RUN(fx, 0x9b, 0xdb, 0xe3);
        fx_assert_in(fx, VEC_NM);
        cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 1, "FWAIT went through");
        fx_free(fx);
    }
    struct fx *fx = fx_pm32("pentium3");
    fx->cpu->cr0 |= CR0_TS | CR0_MP;
    cpu_update_mode(fx->cpu);
    RUN(fx, 0x9b);
    fx_assert_in(fx, VEC_NM);
    fx_free(fx);
}

Test(x87, arithmetic_in_double)
{
    struct fx *fx = fx_pm32("pentium3");
    put_double(fx, 0, 7.5);
    put_double(fx, 8, 2.5);
    /* fninit; fld [0]; fsub [8]; fmul [8]; fdiv [8]; fadd [8]; fstp [16] */
    RUN(fx, 0xdb, 0xe3, 0xdd, 0x05, M(0), 0xdc, 0x25, M(8), 0xdc, 0x0d, M(8), 0xdc, 0x35, M(8),
        0xdc, 0x05, M(8), 0xdd, 0x1d, M(16));
    RAN(fx);
    cr_assert_eq(get_double(fx, 16), 7.5);
    cr_assert_eq(fx->cpu->x87.ftw, 0);
    fx_free(fx);
}

Test(x87, reversed_and_popping_forms)
{
    struct fx *fx = fx_pm32("pentium3");
    put_double(fx, 0, 10.0);
    put_double(fx, 8, 4.0);
    /* fninit; fld 10; fld 4; fsubp st(1), st (DE E9: 10 - 4); fstp [16]; fld 10; fld 4; fsubrp (DE E1: 4 - 10); fstp [24] */
    RUN(fx, 0xdb, 0xe3, 0xdd, 0x05, M(0), 0xdd, 0x05, M(8), 0xde, 0xe9, 0xdd, 0x1d, M(16), 0xdd,
        0x05, M(0), 0xdd, 0x05, M(8), 0xde, 0xe1, 0xdd, 0x1d, M(24));
    RAN(fx);
    cr_assert_eq(get_double(fx, 16), 6.0);
    cr_assert_eq(get_double(fx, 24), -6.0);
    fx_free(fx);
}

Test(x87, rounding_control_of_the_guest_decides)
{
    static const struct {
        uint16_t fcw;
        int32_t expected;
    } cases[] = {{0x037f, 2}, {0x077f, 2}, {0x0b7f, 3}, {0x0f7f, 2}};
    for (size_t i = 0; i < irq_array_size(cases); i++) {
        struct fx *fx = fx_pm32("pentium3");
        put_double(fx, 0, 2.5);
        fx_put16(fx, DATA + 16, cases[i].fcw);
        /* fninit; fldcw [16]; fld [0]; fistp dword [8] */
        RUN(fx, 0xdb, 0xe3, 0xd9, 0x2d, M(16), 0xdd, 0x05, M(0), 0xdb, 0x1d, M(8));
        RAN(fx);
        cr_assert_eq((int32_t)fx_get(fx, DATA + 8, 4), cases[i].expected, "fcw %x", cases[i].fcw);
        cr_assert_eq(fx->cpu->x87.fsw & 0x20, 0x20, "inexact is sticky");
        fx_free(fx);
    }
}

Test(x87, unmasked_exception_waits_for_the_next_instruction)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_put16(fx, DATA + 16, 0x037b); /* ZM = 0 */
    /* fninit; fldcw [16]; fld1; fldz; fdivp; nop; fwait */
    RUN(fx, 0xdb, 0xe3, 0xd9, 0x2d, M(16), 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x90, 0x9b);
    fx_assert_in(fx, VEC_MF);
    cr_assert_eq(fx_frame(fx, 0, 4), FX_CODE + 15);
    cr_assert_eq(fx->cpu->x87.fsw & 0x8084, 0x8084);
    cr_assert_eq(fx->cpu->x87.ftw & 0xc0, 0xc0, "nothing was popped");
    fx_free(fx);
}

Test(x87, unmasked_exception_without_ne_is_told)
{
    struct fx *fx = fx_pm32("pentium3");
    fx->cpu->cr0 &= ~(uint64_t)CR0_NE;
    cpu_update_mode(fx->cpu);
    fx_put16(fx, DATA + 16, 0x037b);
    fx_code(fx, 0xdb, 0xe3, 0xd9, 0x2d, M(16), 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b);
    cr_assert_eq(fx_run(fx, 100), CPU_STOP_UNMODELLED);
    cr_assert_not_null(strstr(fx->cpu->unmodelled_text, "FERR#"));
    fx_free(fx);
}

Test(x87, stack_underflow_gives_indefinite)
{
    struct fx *fx = fx_pm32("pentium3");
    /* fninit; fstp tbyte [0] */
    RUN(fx, 0xdb, 0xe3, 0xdb, 0x3d, M(0));
    RAN(fx);
    cr_assert_eq(fx_get(fx, DATA, 8), 0xc000000000000000ull);
    cr_assert_eq(fx_get(fx, DATA + 8, 2), 0xffff);
    cr_assert_eq(fx->cpu->x87.fsw & 0x241, 0x41, "IE, SF, C1 = 0");
    fx_free(fx);
}

Test(x87, save_and_restore_round_trip)
{
    struct fx *fx = fx_pm32("pentium3");
    /* fninit; fldpi; fld1; fnsave [0]; (empty now) frstor [0]; fstp qword [128]; fstp tbyte [136] */
    RUN(fx, 0xdb, 0xe3, 0xd9, 0xeb, 0xd9, 0xe8, 0xdd, 0x35, M(0), 0xdd, 0x25, M(0), 0xdd, 0x1d,
        M(128), 0xdb, 0x3d, M(136));
    RAN(fx);
    cr_assert_eq(get_double(fx, 128), 1.0);
    cr_assert_eq(fx_get(fx, DATA + 136, 8), 0xc90fdaa22168c235ull);
    cr_assert_eq(fx_get(fx, DATA + 144, 2), 0x4000);
    cr_assert_eq(fx_get(fx, DATA + 8, 2), 0x0fff, "tag word: R6, R7 valid, the others empty");
    fx_free(fx);
}

Test(x87, fxsave_and_fxrstor_round_trip)
{
    struct fx *fx = fx_pm32("pentium3");
    fx->cpu->cr4 |= CR4_OSFXSR;
    cpu_update_mode(fx->cpu);
    memset(fx->cpu->x87.xmm[7], 0xab, 16);
    /* fninit; fld1; fxsave [0]; fninit; fxrstor [0]; fstp qword [512] */
    RUN(fx, 0xdb, 0xe3, 0xd9, 0xe8, 0x0f, 0xae, 0x05, M(0), 0xdb, 0xe3, 0x0f, 0xae, 0x0d, M(0),
        0xdd, 0x1d, 0, 0x62, 0, 0);
    RAN(fx);
    cr_assert_eq(get_double(fx, 512), 1.0);
    cr_assert_eq(fx_get(fx, DATA + 4, 2), 0x80, "abridged tags: R7");
    cr_assert_eq(fx_get(fx, DATA + 24, 4), 0x1f80);
    cr_assert_eq(fx_get(fx, DATA + 160 + 7 * 16, 8), 0xababababababababull);
    fx_free(fx);
}

Test(x87, fxsave_must_be_aligned)
{
    struct fx *fx = fx_pm32("pentium3");
    RUN(fx, 0x0f, 0xae, 0x05, M(8));
    fx_assert_in(fx, VEC_GP);
    fx_free(fx);
}

Test(x87, fcomi_sets_eflags)
{
    struct fx *fx = fx_pm32("pentium3");
    /* fninit; fld1; fldz; fcomi st, st(1) */
    RUN(fx, 0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xee, 0xdb, 0xf1);
    RAN(fx);
    cr_assert_eq(cpu_get_eflags(fx->cpu) & (EFLAGS_CF | EFLAGS_ZF | EFLAGS_PF), EFLAGS_CF);
    fx_free(fx);
}

Test(x87, transcendental_is_told_as_not_modelled)
{
    struct fx *fx = fx_pm32("pentium3");
    fx_code(fx, 0xdb, 0xe3, 0xd9, 0xee, 0xd9, 0xfe); /* fsin */
    cr_assert_eq(fx_run(fx, 100), CPU_STOP_UNMODELLED);
    cr_assert_not_null(strstr(fx->cpu->unmodelled_text, "d9 fe"));
    fx_free(fx);
}

Test(x87, sse_is_ud_without_osfxsr_and_told_with_it)
{
    struct fx *fx = fx_pm32("pentium3");
    RUN(fx, 0x0f, 0x57, 0xc0); /* xorps xmm0, xmm0 */
    fx_assert_in(fx, VEC_UD);
    fx_free(fx);

    fx = fx_pm32("pentium3");
    fx->cpu->cr4 |= CR4_OSFXSR;
    cpu_update_mode(fx->cpu);
    fx_code(fx, 0x0f, 0x57, 0xc0);
    cr_assert_eq(fx_run(fx, 100), CPU_STOP_UNMODELLED);
    cr_assert_not_null(strstr(fx->cpu->unmodelled_text, "SSE"));
    fx_free(fx);
}
