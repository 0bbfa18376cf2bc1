/* SPDX-License-Identifier: MIT */
/*
 * Lazy flags (cpu/flags.h): every pair of 8-bit operands of ADD, ADC, SUB, SBB, the logical
 * operations, INC, DEC and the shifts against a plain computation from the definitions in Intel SDM
 * Vol. 1 (253665), 3.4.3.1 "Status Flags"; every condition against appendix B; the wider sizes at
 * their edges; EFLAGS as a whole.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/flags.h"
#include "cpu/op_arith.h"

static struct cpu *new_cpu(void)
{
    const size_t size = (sizeof(struct cpu) + 63) & ~(size_t)63;
    struct cpu *cpu = aligned_alloc(64, size);

    cr_assert_not_null(cpu);
    memset(cpu, 0, size);
    cc_set_raw(cpu, 0);
    return cpu;
}

/* SF, ZF and PF of an 8-bit result, bit by bit. */
static uint32_t result_flags(unsigned res)
{
    unsigned ones = 0;
    uint32_t f = 0;

    for (unsigned i = 0; i < 8; i++) {
        ones += res >> i & 1;
    }
    f |= (res & 0xff) == 0 ? EFLAGS_ZF : 0;
    f |= res & 0x80 ? EFLAGS_SF : 0;
    f |= ones % 2 == 0 ? EFLAGS_PF : 0;
    return f;
}

static uint32_t expect_add(unsigned a, unsigned b, unsigned carry)
{
    const int sum = (int8_t)a + (int8_t)b + (int)carry;

    return result_flags(a + b + carry) | (a + b + carry > 255 ? EFLAGS_CF : 0) |
           ((a & 15) + (b & 15) + carry > 15 ? EFLAGS_AF : 0) |
           (sum > 127 || sum < -128 ? EFLAGS_OF : 0);
}

static uint32_t expect_sub(unsigned a, unsigned b, unsigned borrow)
{
    const int difference = (int8_t)a - (int8_t)b - (int)borrow;

    return result_flags(a - b - borrow) | (a < b + borrow ? EFLAGS_CF : 0) |
           ((a & 15) < (b & 15) + borrow ? EFLAGS_AF : 0) |
           (difference > 127 || difference < -128 ? EFLAGS_OF : 0);
}

/* Conditions from EFLAGS by the definitions. */
static bool expect_condition(uint32_t f, unsigned cond)
{
    const bool cf = f & EFLAGS_CF, zf = f & EFLAGS_ZF, sf = f & EFLAGS_SF, of = f & EFLAGS_OF;
    const bool positive[8] = {
        of, cf, zf, cf || zf, sf, (f & EFLAGS_PF) != 0, sf != of, zf || sf != of};

    return positive[cond / 2] != (cond % 2 != 0);
}

/* The lazy state must stand for exactly `flags`, whichever way it is asked. */
static void check(struct cpu *cpu, uint32_t flags, const char *what, unsigned a, unsigned b)
{
    const struct cpu_cc *cc = &cpu->cc;

    cr_assert_eq(cc_compute(cc), flags, "%s %02x, %02x: %03x, expected %03x", what, a, b,
                 cc_compute(cc), flags);
    cr_assert_eq(cc_cf(cc), (flags & EFLAGS_CF) != 0, "%s %02x, %02x: CF", what, a, b);
    cr_assert_eq(cc_zf(cc), (flags & EFLAGS_ZF) != 0, "%s %02x, %02x: ZF", what, a, b);
    cr_assert_eq(cc_sf(cc), (flags & EFLAGS_SF) != 0, "%s %02x, %02x: SF", what, a, b);
    cr_assert_eq(cc_pf(cc), (flags & EFLAGS_PF) != 0, "%s %02x, %02x: PF", what, a, b);
    cr_assert_eq(cc_of(cc), (flags & EFLAGS_OF) != 0, "%s %02x, %02x: OF", what, a, b);
    cr_assert_eq(cc_af(cc), (flags & EFLAGS_AF) != 0, "%s %02x, %02x: AF", what, a, b);
    for (unsigned c = 0; c < 16; c++) {
        const int quick = cc_cond(cc, (enum cc_cond)c);
        const int expected = expect_condition(flags, c);

        cr_assert(quick < 0 || quick == expected, "%s %02x, %02x: condition %u", what, a, b, c);
        cr_assert_eq(cc_test(cc, (enum cc_cond)c), expected != 0, "%s %02x, %02x: condition %u",
                     what, a, b, c);
    }
    struct cpu_cc saved = *cc;
    cc_make_raw(cpu);
    for (unsigned c = 0; c < 16; c++) {
        cr_assert_eq(cc_cond(cc, (enum cc_cond)c), expect_condition(flags, c),
                     "%s %02x, %02x: raw condition %u", what, a, b, c);
    }
    cpu->cc = saved;
}

Test(flags, arithmetic_of_all_bytes)
{
    struct cpu *cpu = new_cpu();

    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            cr_assert_eq(alu_add_8(cpu, (uint8_t)a, (uint8_t)b), (uint8_t)(a + b));
            check(cpu, expect_add(a, b, 0), "add", a, b);
            cr_assert_eq(alu_sub_8(cpu, (uint8_t)a, (uint8_t)b), (uint8_t)(a - b));
            check(cpu, expect_sub(a, b, 0), "sub", a, b);
            for (unsigned carry = 0; carry < 2; carry++) {
                cc_set_raw(cpu, carry ? EFLAGS_CF : 0);
                cr_assert_eq(alu_adc_8(cpu, (uint8_t)a, (uint8_t)b), (uint8_t)(a + b + carry));
                check(cpu, expect_add(a, b, carry), "adc", a, b);
                cc_set_raw(cpu, carry ? EFLAGS_CF : 0);
                cr_assert_eq(alu_sbb_8(cpu, (uint8_t)a, (uint8_t)b), (uint8_t)(a - b - carry));
                check(cpu, expect_sub(a, b, carry), "sbb", a, b);
            }
        }
    }
    free(cpu);
}

Test(flags, logic_of_all_bytes)
{
    struct cpu *cpu = new_cpu();

    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            cpu->cc.src = 0x1234567890abcdef; /* must not matter */
            alu_and_8(cpu, (uint8_t)a, (uint8_t)b);
            check(cpu, result_flags(a & b), "and", a, b);
            alu_or_8(cpu, (uint8_t)a, (uint8_t)b);
            check(cpu, result_flags(a | b), "or", a, b);
            alu_xor_8(cpu, (uint8_t)a, (uint8_t)b);
            check(cpu, result_flags(a ^ b), "xor", a, b);
        }
    }
    free(cpu);
}

Test(flags, inc_and_dec_keep_the_carry_of_what_went_before)
{
    struct cpu *cpu = new_cpu();

    for (unsigned a = 0; a < 256; a++) {
        for (unsigned before = 0; before < 6; before++) {
            static const char *const names[] = {"raw", "add", "sub", "and", "inc", "sbb"};
            uint32_t carry = 0;

            for (unsigned dec = 0; dec < 2; dec++) {
                cc_set_raw(cpu, EFLAGS_CF);
                switch (before) {
                case 1:
                    alu_add_8(cpu, 200, (uint8_t)a);
                    break;
                case 2:
                    alu_sub_8(cpu, 100, (uint8_t)a);
                    break;
                case 3:
                    alu_and_8(cpu, 100, (uint8_t)a);
                    break;
                case 4:
                    alu_inc_8(cpu, (uint8_t)a);
                    break;
                case 5:
                    alu_sbb_8(cpu, 100, (uint8_t)a);
                    break;
                default:
                    break;
                }
                carry = cc_compute(&cpu->cc) & EFLAGS_CF;
                if (dec) {
                    alu_dec_8(cpu, (uint8_t)a);
                } else {
                    alu_inc_8(cpu, (uint8_t)a);
                }
                const uint32_t f = dec ? expect_sub(a, 1, 0) : expect_add(a, 1, 0);
                check(cpu, (f & ~EFLAGS_CF) | carry, names[before], a, dec);
            }
        }
    }
    free(cpu);
}

static const struct insn *stop_here(struct cpu *cpu, const struct insn *in)
{
    (void)cpu;
    (void)in;
    return NULL;
}

/* Runs a register handler on AL with CL as count. */
static void shift_al(struct cpu *cpu, const struct op_fns *fns)
{
    struct insn run[2] = {{.fn = fns->fn[0][0]}, {.fn = stop_here}};

    for (const struct insn *in = run; in && in->fn != stop_here;) {
        in = in->fn(cpu, in);
    }
}

enum shift {
    SHL,
    SHR,
    SAR
};

/* One step at a time; OF as the last step leaves it, AF 0. */
static uint32_t expect_shift(enum shift op, unsigned a, unsigned count, unsigned *res)
{
    uint32_t cf = 0, of = 0;

    for (unsigned i = 0; i < count; i++) {
        const unsigned top = a >> 7;

        if (op == SHL) {
            cf = top;
            a = a << 1 & 0xff;
            of = cf ^ a >> 7;
        } else {
            cf = a & 1;
            of = op == SHR ? top : 0;
            a = a >> 1 | (op == SAR ? top << 7 : 0);
        }
    }
    *res = a;
    return result_flags(a) | (cf ? EFLAGS_CF : 0) | (of ? EFLAGS_OF : 0);
}

Test(flags, shifts_of_all_bytes)
{
    static const struct op_fns *const fns[] = {&fns_SHL_Eb_CL, &fns_SHR_Eb_CL, &fns_SAR_Eb_CL};
    struct cpu *cpu = new_cpu();

    for (unsigned op = SHL; op <= SAR; op++) {
        for (unsigned a = 0; a < 256; a++) {
            for (unsigned count = 0; count < 64; count++) {
                const uint32_t before = EFLAGS_CF | EFLAGS_AF | EFLAGS_OF;
                unsigned res;

                cc_set_raw(cpu, before);
                cpu->regs[REG_RAX] = 0x1122334455667700u | a;
                cpu->regs[REG_RCX] = count;
                shift_al(cpu, fns[op]);
                uint32_t f = expect_shift((enum shift)op, a, count & 31, &res);
                cr_assert_eq(cpu->regs[REG_RAX], 0x1122334455667700u | res);
                check(cpu, count & 31 ? f : before, "shift", a, count);
            }
        }
    }
    free(cpu);
}

Test(flags, wider_sizes_at_their_edges)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff};
    struct cpu *cpu = new_cpu();

    for (size_t i = 0; i < irq_array_size(edges); i++) {
        for (size_t j = 0; j < irq_array_size(edges); j++) {
            const uint64_t a = edges[i], b = edges[j];
            int64_t sum;
            int32_t sum_32;

            alu_sub_64(cpu, a, b);
            cr_assert_eq(cc_test(&cpu->cc, COND_B), a < b);
            cr_assert_eq(cc_test(&cpu->cc, COND_L), (int64_t)a < (int64_t)b);
            cr_assert_eq(cc_cond(&cpu->cc, COND_L), (int64_t)a < (int64_t)b);
            cr_assert_eq(cc_cond(&cpu->cc, COND_NLE), (int64_t)a > (int64_t)b);
            alu_sub_32(cpu, (uint32_t)a, (uint32_t)b);
            cr_assert_eq(cc_cond(&cpu->cc, COND_L), (int32_t)a < (int32_t)b);
            cr_assert_eq(cc_cond(&cpu->cc, COND_NBE), (uint32_t)a > (uint32_t)b);
            cr_assert_eq(cc_sf(&cpu->cc), (uint32_t)(a - b) >> 31);
            alu_sub_16(cpu, (uint16_t)a, (uint16_t)b);
            cr_assert_eq(cc_test(&cpu->cc, COND_L), (int16_t)a < (int16_t)b);
            alu_add_64(cpu, a, b);
            cr_assert_eq(cc_cf(&cpu->cc), a + b < a);
            cr_assert_eq(cc_of(&cpu->cc), __builtin_add_overflow((int64_t)a, (int64_t)b, &sum));
            alu_add_32(cpu, (uint32_t)a, (uint32_t)b);
            cr_assert_eq(cc_of(&cpu->cc), __builtin_add_overflow((int32_t)a, (int32_t)b, &sum_32));
        }
    }
    free(cpu);
}

Test(flags, eflags_round_trip)
{
    struct cpu *cpu = new_cpu();

    /* SF and ZF together, and ZF without PF: no result has them. */
    for (unsigned i = 0; i < 64; i++) {
        uint32_t f = EFLAGS_ONE | EFLAGS_DF | EFLAGS_IOPL;

        f |= (i & 1 ? EFLAGS_CF : 0) | (i & 2 ? EFLAGS_PF : 0) | (i & 4 ? EFLAGS_AF : 0);
        f |= (i & 8 ? EFLAGS_ZF : 0) | (i & 16 ? EFLAGS_SF : 0) | (i & 32 ? EFLAGS_OF : 0);
        cpu_set_eflags(cpu, f);
        cr_assert_eq(cpu_get_eflags(cpu), f);
        check(cpu, f & EFLAGS_ARITH, "raw", i, 0);
        cc_replace(cpu, EFLAGS_CF, ~f);
        cr_assert_eq(cpu_get_eflags(cpu), f ^ EFLAGS_CF);
    }
    free(cpu);
}
