/* SPDX-License-Identifier: MIT */
/*
 * Stack instructions and near transfers in 16- and 32-bit modes: what the 64-bit comparison with
 * the host's processor does not reach. Intel SDM Vol. 2 (325383), the instructions' own pages.
 */
#include "op_rig.h"

static uint32_t peek(const struct op_rig *rig, uint32_t at, unsigned size)
{
    uint32_t v = 0;

    memcpy(&v, rig->bus.ram + at, size);
    return v;
}

Test(op_stack, pusha_and_popa)
{
    struct op_rig *rig = rig_new();

    for (unsigned bits = 16; bits <= 32; bits += 16) {
        const unsigned size = bits / 8;

        rig_mode(rig, bits);
        RIG_LOAD(rig, "\x60\x31\xc0\x31\xc9\x31\xff\x31\xed\x61"); /* pusha; xor ...; popa */
        for (unsigned r = 0; r < 8; r++) {
            rig->cpu->regs[r] = r == REG_RSP ? RIG_STACK : 0x11111111u * (r + 1);
        }
        cr_assert_eq(rig_run(rig), -1);
        for (unsigned r = 0; r < 8; r++) {
            const uint32_t v = r == REG_RSP ? RIG_STACK : 0x11111111u * (r + 1);

            cr_assert_eq(rig->cpu->regs[r], v);
            cr_assert_eq(peek(rig, RIG_STACK - (r + 1) * size, size), size == 2 ? v & 0xffff : v);
        }
    }
    rig_free(rig);
}

Test(op_stack, sixteen_bit_stack_wraps_and_keeps_the_upper_half)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 16);
    RIG_LOAD(rig, "\x50\x53\x59"); /* push ax; push bx; pop cx */
    rig->cpu->regs[REG_RSP] = 0xabcd0000u;
    rig->cpu->regs[REG_RAX] = 0x1234;
    rig->cpu->regs[REG_RBX] = 0x5678;
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RSP], 0xabcdfffeu);
    cr_assert_eq(peek(rig, 0xfffe, 2), 0x1234);
    cr_assert_eq(rig->cpu->regs[REG_RCX], 0x5678);
    rig_free(rig);
}

Test(op_stack, push_sp_stores_the_old_value)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 32);
    RIG_LOAD(rig, "\x54"); /* push esp */
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(peek(rig, RIG_STACK - 4, 4), RIG_STACK);
    RIG_LOAD(rig, "\x5c"); /* pop esp */
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RSP], RIG_STACK);
    rig_free(rig);
}

Test(op_stack, pop_to_memory_by_esp_uses_the_moved_pointer)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 32);
    RIG_LOAD(rig, "\x68\x78\x56\x34\x12\x8f\x44\x24\x10"); /* push 12345678h; pop [esp+16] */
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(peek(rig, RIG_STACK + 16, 4), 0x12345678);
    cr_assert_eq(rig->cpu->regs[REG_RSP], RIG_STACK);
    rig_free(rig);
}

Test(op_stack, a_push_that_faults_changes_nothing)
{
    struct op_rig *rig = rig_new();

    /*
     * The fifth word of PUSHA would be at FFFFh, beyond the limit; #SS takes the places of the
     * first three.
     */
    rig_mode(rig, 16);
    RIG_LOAD(rig, "\x60");
    rig->cpu->regs[REG_RSP] = 9;
    rig->cpu->regs[REG_RBX] = 0xbbbb;
    const uint32_t before = peek(rig, 1, 2);
    cr_assert_eq(rig_run(rig), VEC_SS);
    cr_assert_eq(rig->cpu->regs[REG_RSP], 3);
    cr_assert_eq(peek(rig, 3, 2), RIG_CODE);
    cr_assert_eq(peek(rig, 1, 2), before, "BX must not be stored");
    rig_free(rig);
}

Test(op_stack, enter_copies_the_display)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 32);
    RIG_LOAD(rig, "\xc8\x20\x00\x03"); /* enter 32, 3 */
    rig->cpu->regs[REG_RBP] = 0x9000;
    const uint32_t display[] = {0xaaaa, 0xbbbb}; /* at EBP - 8 and EBP - 4 */
    memcpy(rig->bus.ram + 0x9000 - 8, display, sizeof(display));
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RBP], RIG_STACK - 4);
    cr_assert_eq(rig->cpu->regs[REG_RSP], RIG_STACK - 16 - 32);
    cr_assert_eq(peek(rig, RIG_STACK - 4, 4), 0x9000);
    cr_assert_eq(peek(rig, RIG_STACK - 8, 4), 0xbbbb);
    cr_assert_eq(peek(rig, RIG_STACK - 12, 4), 0xaaaa);
    cr_assert_eq(peek(rig, RIG_STACK - 16, 4), RIG_STACK - 4);
    RIG_LOAD(rig, "\xc9"); /* leave */
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RBP], 0x9000);
    cr_assert_eq(rig->cpu->regs[REG_RSP], RIG_STACK);
    rig_free(rig);
}

Test(op_stack, call_and_ret)
{
    struct op_rig *rig = rig_new();

    for (unsigned bits = 16; bits <= 32; bits += 16) {
        rig_mode(rig, bits);
        if (bits == 32) {
            /* push 7; call +2; jmp +4; inc eax; ret 4; nop */
            RIG_LOAD(rig, "\x6a\x07\xe8\x02\x00\x00\x00\xeb\x04\x40\xc2\x04\x00");
        } else {
            RIG_LOAD(rig, "\x6a\x07\xe8\x02\x00\xeb\x04\x40\xc2\x02\x00");
        }
        cr_assert_eq(rig_run(rig), -1);
        cr_assert_eq(rig->cpu->regs[REG_RAX], 1);
        cr_assert_eq(rig->cpu->regs[REG_RSP], RIG_STACK);
        cr_assert_eq(rig->cpu->rip, RIG_CODE + (bits == 32 ? 14 : 12));
    }
    rig_free(rig);
}

Test(op_stack, a_target_beyond_the_limit_faults_before_the_push)
{
    struct op_rig *rig = rig_new();

    /* 66h E8: a 32-bit displacement in real mode, whose CS ends at FFFFh. */
    rig_mode(rig, 16);
    RIG_LOAD(rig, "\x66\xe8\x00\x00\x01\x00");
    cr_assert_eq(rig_run(rig), VEC_GP);
    /* The frame of the exception stands where the return address would. */
    cr_assert_eq(rig->cpu->regs[REG_RSP], RIG_STACK - 6);
    cr_assert_eq(peek(rig, RIG_STACK - 6, 2), RIG_CODE);
    rig_free(rig);
}

Test(op_stack, sixteen_bit_jumps_wrap)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 16);
    RIG_LOAD(rig, "\xe9\x00\xf0"); /* jmp 0003h: 1003h - 1000h */
    rig->bus.ram[3] = 0xf4;
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->rip, 4);
    rig_free(rig);
}

Test(op_stack, loops_count_by_address_size)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 16);
    RIG_LOAD(rig, "\x40\xe2\xfd"); /* inc ax; loop: CX */
    rig->cpu->regs[REG_RCX] = 0x10005;
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RAX], 5);
    cr_assert_eq(rig->cpu->regs[REG_RCX], 0x10000);
    rig_mode(rig, 16);
    RIG_LOAD(rig, "\x40\x67\xe2\xfc"); /* loop: ECX */
    rig->cpu->regs[REG_RCX] = 0x10005;
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RAX], 5);
    cr_assert_eq(rig->cpu->regs[REG_RCX], 0);
    rig_mode(rig, 32);
    RIG_LOAD(rig, "\x40\x39\xd8\xe0\xfb"); /* inc eax; cmp eax, ebx; loopne */
    rig->cpu->regs[REG_RCX] = 100;
    rig->cpu->regs[REG_RBX] = 10;
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RAX], 10);
    cr_assert_eq(rig->cpu->regs[REG_RCX], 90);
    RIG_LOAD(rig, "\xe3\x01\x40"); /* jecxz over inc eax */
    rig->cpu->regs[REG_RCX] = 0;
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RAX], 10);
    rig_free(rig);
}

/*
 * Every Jcc after every combination of flags, raw and lazy, against SETcc's definition of appendix
 * B.
 */
Test(op_stack, conditional_jumps)
{
    struct op_rig *rig = rig_new();

    for (unsigned cond = 0; cond < 16; cond++) {
        for (unsigned i = 0; i < 64; i++) {
            const uint8_t code[] = {(uint8_t)(0x70 + cond), 1, 0x40}; /* jcc over inc eax */
            const bool cf = i & 1, pf = i & 2, zf = i & 4, sf = i & 8, of = i & 16;
            const bool positive[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};

            rig_mode(rig, 32);
            rig_load(rig, code, sizeof(code));
            cc_set_raw(rig->cpu, (cf ? EFLAGS_CF : 0) | (pf ? EFLAGS_PF : 0) |
                                     (zf ? EFLAGS_ZF : 0) | (sf ? EFLAGS_SF : 0) |
                                     (of ? EFLAGS_OF : 0));
            cr_assert_eq(rig_run(rig), -1);
            cr_assert_eq(rig->cpu->regs[REG_RAX], positive[cond / 2] == (cond % 2 != 0),
                         "condition %u, flags %u", cond, i);
        }
    }
    /* After a lazy operation that the quick path does not know: 127 + 1 overflows; inc; jl. */
    rig_mode(rig, 32);
    RIG_LOAD(
        rig,
        "\xb0\x7f\x04\x01\x70\x01\x43\x7d\x01\x41"); /* add al,1; jo +1; inc ebx; jge +1; inc ecx */
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RBX], 0);
    cr_assert_eq(rig->cpu->regs[REG_RCX], 0, "SF = OF: not less");
    rig_free(rig);
}
