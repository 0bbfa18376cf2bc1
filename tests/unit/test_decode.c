/* SPDX-License-Identifier: MIT */
/*
 * The decoder's tricky rules, one by one. Expected values are from Intel SDM Vol. 2 (325383),
 * chapter 2 "Instruction Format" and the instructions' own pages.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cpu/decode.h"

/* Handlers of our own, so that the test needs no execution. The real ones win where they are linked. */
#define FAKE(name)                                                         \
    static const struct insn *name(struct cpu *cpu, const struct insn *in) \
    {                                                                      \
        (void)cpu;                                                         \
        return in;                                                         \
    }
FAKE(fake_r8)
FAKE(fake_r16)
FAKE(fake_r32)
FAKE(fake_r64)
FAKE(fake_m8)
FAKE(fake_m16)
FAKE(fake_m32)
FAKE(fake_m64)

#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) \
    __attribute__((weak)) const struct op_fns fns_##id = {                  \
        {{fake_r8, fake_r16, fake_r32, fake_r64}, {fake_m8, fake_m16, fake_m32, fake_m64}}};
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)
#include "cpu/opcodes.def"
#undef OP
#undef ROW

static struct insn got;

static enum decode_status decode_env_n(enum decode_mode mode, bool real, bool flat,
                                       const uint8_t *bytes, size_t n)
{
    struct decode_tables tables;

    decode_tables_init(&tables);
    struct decode_env env = {.tables = &tables,
                             .mode = mode,
                             .real_or_v86 = real,
                             .flat = flat,
                             .ss32 = mode != DECODE_16};
    return insn_decode(&env, bytes, n, &got);
}

#define DECODE(mode, ...)                                           \
    decode_env_n(mode, false, true, (const uint8_t[]){__VA_ARGS__}, \
                 sizeof((const uint8_t[]){__VA_ARGS__}))
#define D16(...) DECODE(DECODE_16, __VA_ARGS__)
#define D32(...) DECODE(DECODE_32, __VA_ARGS__)
#define D64(...) DECODE(DECODE_64, __VA_ARGS__)
#define REAL(...)                                                        \
    decode_env_n(DECODE_16, true, false, (const uint8_t[]){__VA_ARGS__}, \
                 sizeof((const uint8_t[]){__VA_ARGS__}))

static void expect_mem(unsigned base, unsigned idx, unsigned scale, int32_t disp, unsigned ea,
                       unsigned seg)
{
    cr_expect_eq(got.base, base, "base %u", got.base);
    cr_expect_eq(got.idx, idx, "idx %u", got.idx);
    cr_expect_eq(got.scale, scale, "scale %u", got.scale);
    cr_expect_eq(got.disp, disp, "disp %d", got.disp);
    cr_expect_eq(got.ea, ea, "ea %u", got.ea);
    cr_expect_eq(got.seg, seg, "seg %u", got.seg);
}

static void expect_op(unsigned op, unsigned len)
{
    cr_expect_eq(got.op, op, "op %s", op_name(got.op));
    cr_expect_eq(got.len, len, "len %u", got.len);
    cr_expect_eq(got.end, got.len);
}

/* ---- the table ---- */

Test(decode_table, op_line_has_every_attribute_of_its_rows)
{
    for (size_t i = 0; i < op_nrows; i++) {
        const struct op_desc *row = &op_rows[i];

        cr_expect_eq(row->attrs & ~op_attrs(row->id), 0, "%s row %zu", row->name, i);
        cr_expect_str_eq(row->name, op_name(row->id));
    }
    cr_expect_eq(op_attrs(OP_COUNT), 0);
    cr_expect_eq(op_attrs(OP_TERMINATOR), 0);
}

Test(decode_table, rows_of_an_opcode_agree_on_modrm)
{
    for (size_t i = 0; i < op_nrows; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct op_desc *a = &op_rows[i], *b = &op_rows[j];

            if (a->map != b->map || a->opc != b->opc)
                continue;
            bool am = a->ext != EXT_NONE || a->rm == RM_E || a->rm == RM_M || a->rm == RM_R;
            bool bm = b->ext != EXT_NONE || b->rm == RM_E || b->rm == RM_M || b->rm == RM_R;
            cr_expect_eq(am, bm, "map %u opcode %02x", a->map, a->opc);
        }
    }
}

Test(decode_table, lockable_rows_write_memory)
{
    for (size_t i = 0; i < op_nrows; i++)
        if (op_rows[i].attrs & A_LOCK)
            cr_expect(op_rows[i].attrs & A_MEMW, "%s", op_rows[i].name);
}

/* ---- prefixes: Vol. 2, 2.1.1 "Instruction Prefixes", 2.2.1 "REX Prefixes" ---- */

Test(decode_prefix, rex_counts_only_directly_before_the_opcode)
{
    cr_assert_eq(D64(0x48, 0x66, 0x01, 0xc8), DECODE_OK);
    expect_op(OP_ADD_Ev_Gv, 4);
    cr_expect_eq(insn_osize(&got), 1);
    cr_expect_eq(got.pfx & INSN_REX, 0);
    cr_assert_eq(D64(0x66, 0x48, 0x01, 0xc8), DECODE_OK);
    cr_expect_eq(insn_osize(&got), 3);                    /* 2.2.1.2: REX.W beats 66h */
    cr_assert_eq(D64(0x48, 0x41, 0x01, 0xc8), DECODE_OK); /* the last of several */
    cr_expect_eq(insn_osize(&got), 2);
    cr_expect_eq(got.rm, REG_R8);
}

Test(decode_prefix, last_segment_override_wins)
{
    cr_assert_eq(D32(0x26, 0x65, 0x64, 0x8b, 0x00), DECODE_OK);
    expect_mem(REG_RAX, REG_ZERO, 0, 0, EA_GENERAL, SEG_FS);
    cr_assert_eq(D32(0x64, 0x26, 0x8b, 0x00), DECODE_OK);
    expect_mem(REG_RAX, REG_ZERO, 0, 0, EA_FLAT32, SEG_ES);
}

/* Vol. 1, 3.4.2.1 "Segment Registers in 64-Bit Mode" */
Test(decode_prefix, es_cs_ss_ds_overrides_are_ignored_in_64_bit_mode)
{
    cr_assert_eq(D64(0x65, 0x2e, 0x8b, 0x00), DECODE_OK);
    expect_mem(REG_RAX, REG_ZERO, 0, 0, EA_BASE64, SEG_GS);
    cr_assert_eq(D64(0x26, 0x8b, 0x00), DECODE_OK);
    expect_mem(REG_RAX, REG_ZERO, 0, 0, EA_FLAT64, SEG_DS);
}

/* CS is not writable (Vol. 3A, 5.5), so an override to it cannot skip the checks. */
Test(decode_prefix, cs_override_in_flat_32_bit_code_takes_the_checked_way)
{
    cr_assert_eq(D32(0x2e, 0x89, 0x00), DECODE_OK);
    expect_mem(REG_RAX, REG_ZERO, 0, 0, EA_GENERAL, SEG_CS);
}

Test(decode_prefix, lock_needs_a_lockable_instruction_and_memory)
{
    cr_expect_eq(D32(0xf0, 0x01, 0x08), DECODE_OK);
    cr_expect(got.pfx & INSN_LOCK);
    cr_expect_eq(D32(0xf0, 0x01, 0xc8), DECODE_UD);          /* register destination */
    cr_expect_eq(D32(0xf0, 0x03, 0x08), DECODE_UD);          /* memory source */
    cr_expect_eq(D32(0xf0, 0x39, 0x08), DECODE_UD);          /* CMP */
    cr_expect_eq(D32(0xf0, 0x90), DECODE_UD);                /* NOP */
    cr_expect_eq(D32(0xf0, 0x0f, 0xba, 0x20, 1), DECODE_UD); /* BT */
    cr_expect_eq(D32(0xf0, 0x0f, 0xba, 0x28, 1), DECODE_OK); /* BTS */
    cr_expect_eq(D32(0xf0, 0x0f, 0x22, 0xc0), DECODE_UD);    /* MOV CR0 */
}

/* Vol. 2, "REP/REPE/REPZ/REPNE/REPNZ" */
Test(decode_prefix, rep_is_for_strings)
{
    cr_assert_eq(D32(0xf3, 0xa5), DECODE_OK);
    cr_expect_eq(got.pfx & (INSN_REP | INSN_REPNE), INSN_REP);
    cr_assert_eq(D32(0xf2, 0xa7), DECODE_OK);
    cr_expect_eq(got.pfx & (INSN_REP | INSN_REPNE), INSN_REPNE);
    cr_assert_eq(D32(0xf2, 0xf3, 0xa7), DECODE_OK);
    cr_expect_eq(got.pfx & (INSN_REP | INSN_REPNE), INSN_REP);
    cr_assert_eq(D32(0xf3, 0x01, 0xc8), DECODE_OK);
    cr_expect_eq(got.pfx & (INSN_REP | INSN_REPNE), 0);
    cr_assert_eq(D32(0x64, 0xf3, 0xa4), DECODE_OK);
    cr_expect_eq(got.seg, SEG_FS);
    cr_expect_eq(got.ea, EA_GENERAL);
}

/* Vol. 3A, 6.15, "Interrupt 13-General Protection Exception (#GP)": the 15-byte limit */
Test(decode_prefix, fifteen_bytes_is_the_limit)
{
    uint8_t bytes[32];

    memset(bytes, 0x66, sizeof(bytes));
    bytes[14] = 0x90;
    cr_expect_eq(decode_env_n(DECODE_32, false, true, bytes, 15), DECODE_OK);
    expect_op(OP_NOP, 15);
    bytes[14] = 0x66;
    bytes[15] = 0x90;
    cr_expect_eq(decode_env_n(DECODE_32, false, true, bytes, 16), DECODE_TOO_LONG);
    expect_op(OP_UD2, 15);
    cr_expect_eq(decode_env_n(DECODE_32, false, true, bytes, 14), DECODE_TRUNCATED);
    bytes[13] = 0x05; /* ADD AX, imm16: 16 bytes */
    cr_expect_eq(decode_env_n(DECODE_32, false, true, bytes, 32), DECODE_TOO_LONG);
    expect_op(OP_UD2, 15);
}

Test(decode_prefix, every_shorter_run_of_bytes_is_truncated)
{
    static const uint8_t insn[] = {0x65, 0x48, 0xc7, 0x84, 0x8b, 1, 2, 3, 4, 5, 6, 7, 8};

    for (size_t n = 0; n < sizeof(insn); n++)
        cr_expect_eq(decode_env_n(DECODE_64, false, true, insn, n), DECODE_TRUNCATED, "%zu", n);
    cr_expect_eq(decode_env_n(DECODE_64, false, true, insn, sizeof(insn)), DECODE_OK);
    expect_op(OP_MOV_Ev_Iz, sizeof(insn));
    expect_mem(REG_RBX, REG_RCX, 2, 0x04030201, EA_BASE64, SEG_GS);
    cr_expect_eq(got.imm, 0x08070605);
}

/* ---- addresses: Vol. 2, tables 2-1 to 2-3, 2.2.1.2, 2.2.1.6 ---- */

Test(decode_address, sixteen_bit_forms)
{
    cr_assert_eq(D16(0x8b, 0x00), DECODE_OK);
    expect_mem(REG_RBX, REG_RSI, 0, 0, EA_GENERAL, SEG_DS);
    cr_expect_eq(insn_asize(&got), 1);
    cr_assert_eq(D16(0x8b, 0x43, 0xff), DECODE_OK);
    expect_mem(REG_RBP, REG_RDI, 0, -1, EA_GENERAL, SEG_SS);
    cr_assert_eq(D16(0x8b, 0x06, 0x34, 0x92), DECODE_OK);
    expect_mem(REG_ZERO, REG_ZERO, 0, (int16_t)0x9234, EA_GENERAL, SEG_DS);
    cr_assert_eq(D16(0x8b, 0x46, 0x00), DECODE_OK);
    expect_mem(REG_RBP, REG_ZERO, 0, 0, EA_GENERAL, SEG_SS);
    cr_assert_eq(D16(0x67, 0x8b, 0x44, 0x24, 0x08), DECODE_OK);
    expect_mem(REG_RSP, REG_ZERO, 0, 8, EA_GENERAL, SEG_SS);
}

Test(decode_address, sib_corners)
{
    cr_assert_eq(D64(0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x92), DECODE_OK); /* [disp32] */
    expect_mem(REG_ZERO, REG_ZERO, 0, (int32_t)0x92345678, EA_FLAT64, SEG_DS);
    cr_assert_eq(D64(0x42, 0x8b, 0x04, 0x24), DECODE_OK); /* R12 is an index */
    expect_mem(REG_RSP, REG_R12, 0, 0, EA_FLAT64, SEG_SS);
    cr_assert_eq(D64(0x41, 0x8b, 0x04, 0x24), DECODE_OK); /* [R12] */
    expect_mem(REG_R12, REG_ZERO, 0, 0, EA_FLAT64, SEG_DS);
    cr_assert_eq(D64(0x41, 0x8b, 0x04, 0x8d, 1, 0, 0, 0), DECODE_OK); /* base 5: REX.B ignored */
    expect_mem(REG_ZERO, REG_RCX, 2, 1, EA_FLAT64, SEG_DS);
    cr_assert_eq(D64(0x41, 0x8b, 0x45, 0x00), DECODE_OK); /* [R13]: DS */
    expect_mem(REG_R13, REG_ZERO, 0, 0, EA_FLAT64, SEG_DS);
    cr_assert_eq(D32(0x8b, 0x04, 0x6b), DECODE_OK); /* an rBP index does not select SS */
    expect_mem(REG_RBX, REG_RBP, 1, 0, EA_FLAT32, SEG_DS);
}

Test(decode_address, rip_relative_is_relative_to_the_end)
{
    cr_assert_eq(D64(0xc7, 0x05, 0x10, 0, 0, 0, 1, 0, 0, 0), DECODE_OK);
    expect_mem(REG_RIP, REG_ZERO, 0, 0x10, EA_FLAT64, SEG_DS);
    insn_place(&got, 100, 7);
    cr_expect_eq(got.end, 110);
    cr_expect_eq(got.index, 7);
    cr_expect_eq(got.disp, 0x10 + 110);
    cr_assert_eq(D64(0x41, 0x8b, 0x05, 0, 0, 0, 0), DECODE_OK); /* REX.B ignored */
    cr_expect_eq(got.base, REG_RIP);
    cr_assert_eq(D32(0x8b, 0x05, 0x10, 0, 0, 0), DECODE_OK); /* elsewhere absolute */
    expect_mem(REG_ZERO, REG_ZERO, 0, 0x10, EA_FLAT32, SEG_DS);
}

Test(decode_address, rip_relative_that_does_not_fit_keeps_its_own_displacement)
{
    cr_assert_eq(D64(0x8b, 0x05, 0xff, 0xff, 0xff, 0x7f), DECODE_OK);
    insn_place(&got, 0, 0);
    expect_mem(REG_RIP, REG_ZERO, 0, INT32_MAX, EA_GENERAL, SEG_DS);
    cr_assert_eq(D64(0x67, 0x8b, 0x05, 0x10, 0, 0, 0), DECODE_OK);
    insn_place(&got, 4, 1);
    expect_mem(REG_RIP, REG_ZERO, 0, 0x10, EA_GENERAL, SEG_DS);
    cr_expect_eq(insn_asize(&got), 2);
}

/* Vol. 2, "MOV", and 2.2.1.4 "Direct Memory-Offset MOVs" */
Test(decode_address, moffs_is_as_wide_as_addresses)
{
    cr_assert_eq(D64(0xa1, 8, 7, 6, 5, 4, 3, 2, 0xf1), DECODE_OK);
    expect_op(OP_MOV_A_Ov, 9);
    cr_expect_eq(got.imm, 0xf102030405060708);
    expect_mem(REG_ZERO, REG_ZERO, 0, 0, EA_FLAT64, SEG_DS);
    cr_assert_eq(D64(0x67, 0xa1, 8, 7, 6, 0xf5), DECODE_OK);
    expect_op(OP_MOV_A_Ov, 6);
    cr_expect_eq(got.imm, 0xf5060708);
    cr_expect_eq(got.ea, EA_GENERAL);
    cr_assert_eq(D16(0x64, 0xa2, 8, 0xf7), DECODE_OK);
    cr_expect_eq(got.imm, 0xf708);
    cr_expect_eq(got.seg, SEG_FS);
}

Test(decode_address, segments_that_are_not_flat_take_the_checked_way)
{
    static const uint8_t mov[] = {0x8b, 0x00};

    cr_assert_eq(decode_env_n(DECODE_32, false, false, mov, 2), DECODE_OK);
    cr_expect_eq(got.ea, EA_GENERAL);
    cr_assert_eq(D32(0x67, 0x8b, 0x00), DECODE_OK);
    cr_expect_eq(got.ea, EA_GENERAL);
}

/* ---- registers, sizes, immediates ---- */

/* Vol. 2, table 3-1 "Register Codes Associated With +rb, +rw, +rd, +ro" */
Test(decode_register, byte_registers_are_offsets)
{
    cr_assert_eq(D64(0x88, 0xe0), DECODE_OK); /* MOV AL, AH */
    cr_expect_eq(got.rm, 0);
    cr_expect_eq(got.r, 1);
    cr_assert_eq(D64(0x40, 0x88, 0xe0), DECODE_OK); /* MOV AL, SPL */
    cr_expect_eq(got.r, 32);
    cr_assert_eq(D64(0x45, 0x88, 0xf8), DECODE_OK); /* MOV R8B, R15B */
    cr_expect_eq(got.r, 120);
    cr_expect_eq(got.rm, 64);
    cr_assert_eq(D32(0xb7, 0x80), DECODE_OK); /* MOV BH, 80h */
    cr_expect_eq(got.rm, 25);
    cr_expect_eq(got.imm, UINT64_MAX - 0x7f);
    cr_assert_eq(D32(0x0f, 0xb6, 0xec), DECODE_OK); /* MOVZX EBP, AH */
    cr_expect_eq(got.r, REG_RBP);
    cr_expect_eq(got.rm, 1);
    cr_assert_eq(D32(0x0f, 0xb7, 0xec), DECODE_OK); /* MOVZX EBP, SP */
    cr_expect_eq(got.rm, REG_RSP);
}

/* Vol. 2, "NOP", "PAUSE", "XCHG" */
Test(decode_register, opcode_90h)
{
    cr_assert_eq(D64(0x90), DECODE_OK);
    expect_op(OP_NOP, 1);
    cr_assert_eq(D64(0xf3, 0x90), DECODE_OK);
    expect_op(OP_PAUSE, 2);
    cr_assert_eq(D64(0x48, 0x90), DECODE_OK);
    expect_op(OP_NOP, 2);
    cr_assert_eq(D64(0x41, 0x90), DECODE_OK);
    expect_op(OP_XCHG_Zv_A, 2);
    cr_expect_eq(got.rm, REG_R8);
}

Test(decode_register, segment_registers)
{
    cr_expect_eq(D32(0x8e, 0xd8), DECODE_OK); /* MOV DS, AX */
    cr_expect_eq(got.r, SEG_DS);
    cr_expect_eq(D32(0x8e, 0xc8), DECODE_UD); /* MOV CS */
    cr_expect_eq(D32(0x8c, 0xc8), DECODE_OK);
    cr_expect_eq(D32(0x8c, 0xf0), DECODE_UD);       /* no segment 6 */
    cr_expect_eq(D64(0x44, 0x8e, 0xd8), DECODE_OK); /* REX.R is ignored */
    cr_expect_eq(got.r, SEG_DS);
    cr_expect_eq(D64(0x0f, 0xa8), DECODE_OK);
    cr_expect_eq(got.r, SEG_GS);
    cr_expect_eq(D64(0x06), DECODE_UD);
    cr_expect_eq(D32(0x16), DECODE_OK);
    cr_expect_eq(got.r, SEG_SS);
}

/* Vol. 2, "MOV-Move to/from Control Registers", "MOV-Move to/from Debug Registers" */
Test(decode_register, control_and_debug_registers)
{
    cr_expect_eq(D64(0x44, 0x0f, 0x20, 0xc3), DECODE_OK); /* MOV RBX, CR8 */
    cr_expect_eq(got.r, 8);
    cr_expect_eq(got.rm, REG_RBX);
    cr_expect_eq(insn_osize(&got), 3);
    cr_expect_eq(D64(0x0f, 0x20, 0xc8), DECODE_UD);       /* CR1 */
    cr_expect_eq(D64(0x44, 0x0f, 0x20, 0xd8), DECODE_UD); /* CR11 */
    cr_expect_eq(D64(0x44, 0x0f, 0x21, 0xc0), DECODE_UD); /* DR8 */
    cr_expect_eq(D32(0x0f, 0x22, 0x05), DECODE_OK);       /* mod is ignored: MOV CR0, EBP */
    expect_op(OP_MOV_C_R, 3);
    cr_expect_eq(got.rm, REG_RBP);
    cr_expect_eq(insn_osize(&got), 2);
}

Test(decode_size, stack_and_branches_in_64_bit_mode)
{
    cr_assert_eq(D64(0x50), DECODE_OK);
    cr_expect_eq(insn_osize(&got), 3);
    cr_assert_eq(D64(0x66, 0x50), DECODE_OK);
    cr_expect_eq(insn_osize(&got), 1);
    cr_assert_eq(D64(0x66, 0xe9, 1, 2, 3, 0x84), DECODE_OK); /* forced to 64 bits */
    expect_op(OP_JMP_J, 6);
    cr_expect_eq((int64_t)got.imm, (int32_t)0x84030201);
    cr_assert_eq(D32(0x66, 0xe9, 1, 0x82), DECODE_OK);
    expect_op(OP_JMP_J, 4);
    cr_expect_eq((int64_t)got.imm, (int16_t)0x8201);
    cr_assert_eq(D64(0x66, 0x48, 0x0f, 0xc7, 0x08), DECODE_OK); /* CMPXCHG16B */
    expect_op(OP_CMPXCHG8B, 5);
    cr_expect_eq(insn_osize(&got), 3);
    cr_assert_eq(D64(0xcf), DECODE_OK); /* IRET: 32 bits without REX.W */
    cr_expect_eq(insn_osize(&got), 2);
    cr_assert_eq(D64(0x68, 0, 0, 0, 0x80), DECODE_OK);
    cr_expect_eq(got.imm, 0xffffffff80000000);
}

Test(decode_size, immediates)
{
    cr_assert_eq(D64(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8), DECODE_OK);
    cr_expect_eq(got.imm, 0x0807060504030201);
    cr_assert_eq(D32(0xea, 1, 2, 3, 0x84, 5, 0x86), DECODE_OK);
    cr_expect_eq(got.imm, 0x860584030201);
    cr_assert_eq(D16(0x9a, 1, 2, 3, 4), DECODE_OK);
    expect_op(OP_CALLF_Ap, 5);
    cr_expect_eq(got.imm, 0x040300000201);
    cr_assert_eq(D32(0xc8, 0x34, 0x92, 0x1f), DECODE_OK);
    cr_expect_eq(got.imm, 0x1f9234);
    cr_assert_eq(D32(0xc2, 0xff, 0xff), DECODE_OK);
    cr_expect_eq(got.imm, 0xffff);
    cr_assert_eq(D32(0xcd, 0x80), DECODE_OK);
    cr_expect_eq(got.imm, 0x80);
}

/* ---- which instruction ---- */

Test(decode_row, prefix_bytes_that_select_an_instruction)
{
    cr_assert_eq(D32(0x0f, 0xbc, 0xc1), DECODE_OK);
    expect_op(OP_BSF, 3);
    cr_assert_eq(D32(0xf3, 0x0f, 0xbc, 0xc1), DECODE_OK);
    expect_op(OP_TZCNT, 4);
    cr_assert_eq(D32(0x66, 0xf3, 0x0f, 0xb8, 0xc1), DECODE_OK);
    expect_op(OP_POPCNT, 5);
    cr_expect_eq(insn_osize(&got), 1);
    cr_expect_eq(D32(0x0f, 0xb8, 0xc1), DECODE_UD);
    cr_expect_eq(D32(0x66, 0x0f, 0x38, 0xf0, 0x00), DECODE_OK);
    expect_op(OP_MOVBE_Gv_M, 5);
    cr_expect_eq(D32(0xf2, 0x0f, 0x38, 0xf0, 0x00), DECODE_UD); /* CRC32 */
    cr_expect_eq(D32(0x66, 0x0f, 0xae, 0x38), DECODE_UD);       /* CLFLUSHOPT */
    cr_expect_eq(D32(0xf3, 0x0f, 0x1e, 0xfa), DECODE_OK);
    expect_op(OP_ENDBR, 4);
    cr_expect_eq(D32(0x0f, 0x1e, 0xfa), DECODE_OK);
    expect_op(OP_NOP_E, 3);
}

Test(decode_row, exact_modrm_wins_over_group)
{
    cr_assert_eq(D64(0x0f, 0x01, 0xf8), DECODE_OK);
    expect_op(OP_SWAPGS, 3);
    cr_expect_eq(D32(0x0f, 0x01, 0xf8), DECODE_UD); /* INVLPG wants memory */
    cr_assert_eq(D64(0x0f, 0x01, 0x38), DECODE_OK);
    expect_op(OP_INVLPG, 3);
    cr_assert_eq(D64(0x0f, 0xae, 0xf0), DECODE_OK);
    expect_op(OP_FENCE, 3);
    cr_assert_eq(D64(0xf3, 0x0f, 0xae, 0xc3), DECODE_OK);
    expect_op(OP_RDFSBASE, 4);
    cr_expect_eq(D32(0xf3, 0x0f, 0xae, 0xc3), DECODE_UD);
}

Test(decode_row, legality_by_mode)
{
    cr_expect_eq(D64(0x27), DECODE_UD);          /* DAA */
    cr_expect_eq(D64(0x82, 0xc0, 1), DECODE_UD); /* group 1 alias */
    cr_expect_eq(D32(0x82, 0xc0, 1), DECODE_OK);
    cr_expect_eq(D64(0xea, 0, 0, 0, 0, 0, 0), DECODE_UD);
    cr_assert_eq(D64(0x48, 0x63, 0xc1), DECODE_OK);
    expect_op(OP_MOVSXD, 3);
    cr_assert_eq(D32(0x63, 0xc1), DECODE_OK);
    expect_op(OP_ARPL, 2);
    cr_expect_eq(REAL(0x63, 0xc1), DECODE_UD);
    cr_expect_eq(REAL(0x0f, 0x00, 0xc0), DECODE_UD); /* SLDT */
    cr_expect_eq(D32(0x0f, 0x00, 0xc0), DECODE_OK);
}

Test(decode_row, kind_of_operand)
{
    cr_expect_eq(D32(0x8d, 0xc0), DECODE_UD);          /* LEA of a register */
    cr_expect_eq(D32(0xc4, 0xc0, 0, 0, 0), DECODE_UD); /* VEX */
    cr_expect_eq(D32(0xc4, 0x00), DECODE_OK);
    expect_op(OP_LES, 2);
    cr_expect_eq(D64(0xc5, 0xf8, 0x77), DECODE_UD);
    cr_expect_eq(D32(0x62, 0xf1, 0x7c, 0x48), DECODE_UD); /* EVEX */
    cr_expect_eq(D32(0x8f, 0xe8, 0x78, 0xc0), DECODE_UD); /* XOP */
    cr_expect_eq(D32(0xff, 0xd8), DECODE_UD);             /* CALL far of a register */
    cr_expect_eq(D32(0xff, 0xf8), DECODE_UD);             /* /7 */
    cr_expect_eq(D32(0x0f, 0xc7, 0xc8), DECODE_UD);       /* CMPXCHG8B of a register */
}

Test(decode_row, invalid_opcode_still_gives_an_instruction)
{
    cr_assert_eq(D32(0x66, 0x0f, 0x04), DECODE_UD);
    expect_op(OP_UD2, 3);
    cr_expect_null(got.fn);
    cr_expect_eq(got.base, REG_ZERO);
    cr_expect_eq(got.idx, REG_ZERO);
}

static insn_fn *handler_of(unsigned op, unsigned memory, unsigned size)
{
    for (size_t i = 0; i < op_nrows; i++)
        if (op_rows[i].id == op)
            return op_rows[i].fns->fn[memory][size];
    return NULL;
}

Test(decode_row, handler_is_by_kind_and_size)
{
    cr_assert_eq(D64(0x48, 0x01, 0xc8), DECODE_OK);
    cr_expect_eq(got.fn, handler_of(OP_ADD_Ev_Gv, 0, 3));
    cr_assert_eq(D64(0x66, 0x01, 0x08), DECODE_OK);
    cr_expect_eq(got.fn, handler_of(OP_ADD_Ev_Gv, 1, 1));
    cr_assert_eq(D64(0x00, 0x08), DECODE_OK);
    cr_expect_eq(got.fn, handler_of(OP_ADD_Eb_Gb, 1, 0));
    cr_assert_eq(D32(0xa1, 0, 0, 0, 0), DECODE_OK);
    cr_expect_eq(got.fn, handler_of(OP_MOV_A_Ov, 1, 2));
    cr_assert_eq(D32(0xf4), DECODE_OK);
    cr_expect_eq(got.fn, handler_of(OP_HLT, 0, 0));
}
