/* SPDX-License-Identifier: MIT */
/*
 * The opcode table (cpu/opcodes.def) as data: rows in its order for the decoder, attributes and names by opcode.
 */
#include "cpu/decode.h"

const struct op_desc op_rows[] = {
#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) \
    {map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw, OP_##id, #id, &fns_##id},
#define ROW OP
#include "cpu/opcodes.def"
#undef OP
#undef ROW
};
const size_t op_nrows = DECODE_ROWS;
_Static_assert(irq_array_size(op_rows) == DECODE_ROWS, "one element per row");

static const uint16_t attrs_by_op[OP_COUNT] = {
#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) [OP_##id] = (attrs),
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)
#include "cpu/opcodes.def"
#undef OP
#undef ROW
};

static const char *const name_by_op[OP_COUNT] = {
#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) [OP_##id] = #id,
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)
#include "cpu/opcodes.def"
#undef OP
#undef ROW
    [OP_TERMINATOR] = "TERMINATOR",
};

uint16_t op_attrs(unsigned op)
{
    return op < OP_COUNT ? attrs_by_op[op] : 0;
}

const char *op_name(unsigned op)
{
    return op < OP_COUNT ? name_by_op[op] : "?";
}
