/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: bytes in, one struct insn out. No guest state is read or changed.
 *
 * Intel SDM Vol. 2 (325383), chapter 2 "Instruction Format" and appendix A "Opcode Map".
 */
#ifndef IRQSCOPE_CPU_DECODE_H
#define IRQSCOPE_CPU_DECODE_H

#include "cpu/insn.h"
#include "cpu/regs.h"

/* Rows of cpu/opcodes.def. */
enum {
    DECODE_ROWS = 0
#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)  +1
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) +1
#include "cpu/opcodes.def"
#undef OP
#undef ROW
};

#define DECODE_MAPS    4  /* one byte, 0Fh, 0Fh 38h, 0Fh 3Ah */
#define DECODE_MAX_LEN 15 /* SDM Vol. 2, 2.3.11 "AVX Instruction Length" and Vol. 3A, 6.15 #GP */

/*
 * Index over op_rows. The candidates for an opcode are order[first[map - 1][opcode]] and the next
 * count[map - 1][opcode] - 1, the most specific first; modrm tells whether the opcode has a ModRM
 * byte. Constant after decode_tables_init(); one table serves any number of processors.
 */
struct decode_tables {
    uint16_t first[DECODE_MAPS][256];
    uint8_t count[DECODE_MAPS][256];
    bool modrm[DECODE_MAPS][256];
    uint16_t order[DECODE_ROWS];
};

/* Operand and address size by default: CS.D = 0, CS.D = 1, CS.L = 1. */
enum decode_mode {
    DECODE_16,
    DECODE_32,
    DECODE_64
};

struct decode_env {
    const struct decode_tables *tables;
    enum decode_mode mode;
    bool real_or_v86;
    bool flat; /* DS, ES, SS, CS all base 0, limit 4 GiB; DS, ES, SS present, writable, expand-up */
    bool ss32; /* SS.B; decides nothing here, and belongs to the key of a decoded block */
};

enum decode_status {
    DECODE_OK,
    DECODE_UD,        /* invalid opcode: #UD */
    DECODE_TRUNCATED, /* needs more bytes than were given */
    DECODE_TOO_LONG,  /* more than 15 bytes: #GP(0) */
};

/* Builds the index. Once per machine. */
void decode_tables_init(struct decode_tables *t);

/*
 * Decodes the instruction at bytes[0..avail). avail may exceed 15. *in is overwritten; index is 0
 * and end is len until insn_place().
 *
 * in->fn is the handler of the row for the operand's kind and size and NULL where the row has none:
 * the caller puts its own there. On DECODE_UD and DECODE_TOO_LONG *in is OP_UD2 with len = the bytes
 * looked at (1-15) and fn = NULL; on DECODE_TRUNCATED *in is meaningless.
 *
 * What a handler finds beyond the comments in cpu/insn.h:
 *   - seg and ea are set for every instruction. Without a ModRM memory operand they are those of a
 *     DS operand after overrides: the source of a string instruction, XLAT's table, MONITOR's range.
 *   - moffs (MOV_A_Ox, MOV_O_Ax): the offset in the segment is imm, zero-extended from the address
 *     size; base and idx are REG_ZERO, disp 0. Add the segment as seg and ea say.
 *   - 16-bit addresses: ea is EA_GENERAL, asize 1, base + idx + disp wraps at 64 KiB.
 *   - base == REG_RIP with EA_FLAT64 or EA_BASE64: disp includes end, RIP = the block's. With
 *     EA_GENERAL disp is the instruction's own, and the general path adds end itself.
 *   - MOV CR, MOV DR: r is the control or debug register, rm the general one.
 *   - PUSH/POP of a segment, MOV Sreg: r is the enum segment.
 *   - INSN_REP on a string instruction is F3, or F2 where there is no REPNE form (Vol. 2, "REP":
 *     reserved; processors repeat). INSN_REPNE is F2 on CMPS and SCAS. With both, the last counts.
 */
enum decode_status insn_decode(const struct decode_env *env, const uint8_t *bytes, size_t avail,
                               struct insn *in);

/*
 * Puts a decoded instruction at a place: offset of its first byte in the block, position in the
 * block. Once per decoded instruction (copies keep their place).
 */
static inline void insn_place(struct insn *in, unsigned offset, unsigned index)
{
    in->end = (uint16_t)(offset + in->len);
    in->index = index & 0x3fu;
    if (in->base == REG_RIP && in->ea != EA_GENERAL) {
        int64_t disp = (int64_t)in->disp + in->end;

        if (disp > INT32_MAX)
            in->ea = EA_GENERAL;
        else
            in->disp = (int32_t)disp;
    }
}

#endif
