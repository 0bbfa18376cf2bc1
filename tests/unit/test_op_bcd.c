/* SPDX-License-Identifier: MIT */
/*
 * Decimal arithmetic: on valid decimal operands the results are those of arithmetic on the numbers
 * they stand for (Intel SDM Vol. 1 (253665), 7.3.4 "Decimal Arithmetic Instructions"); invalid
 * digits by the tables of the instructions' pages in Vol. 2.
 */
#include "op_rig.h"

static unsigned pack(unsigned n)
{
    return n / 10 << 4 | n % 10;
}

/* Runs `op AL, BL` and an adjustment. */
static void run(struct op_rig *rig, unsigned ax, unsigned bl)
{
    rig->cpu->regs[REG_RAX] = ax;
    rig->cpu->regs[REG_RBX] = bl;
    rig->cpu->rip = RIG_CODE;
    rig->cpu->halted = false;
    cr_assert_eq(rig_run(rig), -1);
}

Test(op_bcd, packed_sums_and_differences)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 16);
    RIG_LOAD(rig, "\x00\xd8\x27"); /* add al, bl; daa */
    for (unsigned a = 0; a < 100; a++) {
        for (unsigned b = 0; b < 100; b++) {
            run(rig, pack(a), pack(b));
            cr_assert_eq(rig->cpu->regs[REG_RAX], pack((a + b) % 100), "%u + %u", a, b);
            cr_assert_eq(cc_cf(&rig->cpu->cc), a + b > 99, "%u + %u", a, b);
        }
    }
    RIG_LOAD(rig, "\x28\xd8\x2f"); /* sub al, bl; das */
    for (unsigned a = 0; a < 100; a++) {
        for (unsigned b = 0; b < 100; b++) {
            run(rig, pack(a), pack(b));
            cr_assert_eq(rig->cpu->regs[REG_RAX], pack((a + 100 - b) % 100), "%u - %u", a, b);
            cr_assert_eq(cc_cf(&rig->cpu->cc), a < b, "%u - %u", a, b);
        }
    }
    rig_free(rig);
}

Test(op_bcd, unpacked_sums_and_differences)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 16);
    for (unsigned a = 0; a < 10; a++) {
        for (unsigned b = 0; b < 10; b++) {
            RIG_LOAD(rig, "\x00\xd8\x37"); /* add al, bl; aaa */
            run(rig, 0x0500 | a, b);
            cr_assert_eq(rig->cpu->regs[REG_RAX], 0x500 + ((a + b) / 10 << 8) + (a + b) % 10);
            cr_assert_eq(cc_cf(&rig->cpu->cc), a + b > 9);
            cr_assert_eq(cc_af(&rig->cpu->cc), a + b > 9);
            RIG_LOAD(rig, "\x28\xd8\x3f"); /* sub al, bl; aas */
            run(rig, 0x0500 | a, b);
            cr_assert_eq(rig->cpu->regs[REG_RAX], (a < b ? 0x400 : 0x500) + (a + 10 - b) % 10);
            cr_assert_eq(cc_cf(&rig->cpu->cc), a < b);
        }
    }
    rig_free(rig);
}

Test(op_bcd, products_and_quotients)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 16);
    RIG_LOAD(rig, "\xd4\x0a"); /* aam */
    for (unsigned a = 0; a < 256; a++) {
        run(rig, 0xee00 | a, 0);
        cr_assert_eq(rig->cpu->regs[REG_RAX], a / 10 << 8 | a % 10);
        cr_assert_eq(cc_zf(&rig->cpu->cc), a % 10 == 0);
    }
    RIG_LOAD(rig, "\xd5\x0a"); /* aad */
    for (unsigned a = 0; a < 100; a++) {
        run(rig, a / 10 << 8 | a % 10, 0);
        cr_assert_eq(rig->cpu->regs[REG_RAX], a);
    }
    RIG_LOAD(rig, "\xd4\x00"); /* aam 0 */
    rig->cpu->regs[REG_RAX] = 0x1234;
    cr_assert_eq(rig_run(rig), VEC_DE);
    cr_assert_eq(rig->cpu->regs[REG_RAX], 0x1234);
    rig_free(rig);
}

Test(op_bcd, invalid_digits_and_incoming_flags)
{
    static const struct {
        uint8_t opcode, al, flags, al_after, flags_after;
    } cases[] = {
        /* DAA: a low digit above 9, a number above 99h, AF and CF as they come. */
        {0x27, 0x0a, 0, 0x10, EFLAGS_AF},
        {0x27, 0x9a, 0, 0x00, EFLAGS_AF | EFLAGS_CF | EFLAGS_ZF | EFLAGS_PF},
        {0x27, 0xa0, 0, 0x00, EFLAGS_CF | EFLAGS_ZF | EFLAGS_PF},
        {0x27, 0x00, EFLAGS_AF, 0x06, EFLAGS_AF | EFLAGS_PF},
        {0x27, 0x00, EFLAGS_CF, 0x60, EFLAGS_CF | EFLAGS_PF},
        {0x27, 0xfa, 0, 0x60, EFLAGS_AF | EFLAGS_CF | EFLAGS_PF},
        /* DAS, the borrow of the low digit among them. */
        {0x2f, 0x0a, 0, 0x04, EFLAGS_AF},
        {0x2f, 0x00, EFLAGS_AF, 0xfa, EFLAGS_AF | EFLAGS_CF | EFLAGS_SF | EFLAGS_PF},
        {0x2f, 0x9a, 0, 0x34, EFLAGS_AF | EFLAGS_CF},
        {0x2f, 0x60, EFLAGS_CF, 0x00, EFLAGS_CF | EFLAGS_ZF | EFLAGS_PF},
    };
    struct op_rig *rig = rig_new();

    for (size_t i = 0; i < irq_array_size(cases); i++) {
        rig_mode(rig, 16);
        rig_load(rig, &cases[i].opcode, 1);
        cc_set_raw(rig->cpu, cases[i].flags);
        rig->cpu->regs[REG_RAX] = cases[i].al;
        cr_assert_eq(rig_run(rig), -1);
        cr_assert_eq(rig->cpu->regs[REG_RAX], cases[i].al_after, "case %zu", i);
        cr_assert_eq(cc_compute(&rig->cpu->cc), cases[i].flags_after, "case %zu: %02x", i,
                     cc_compute(&rig->cpu->cc));
    }
    rig_free(rig);
}
