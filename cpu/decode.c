/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder. Intel SDM Vol. 2 (325383), chapter 2 "Instruction Format", appendix A
 * "Opcode Map"; the forms are the rows of cpu/opcodes.def.
 *
 * Modelled: legacy prefixes in any order and number, REX, ModRM, SIB, 16-, 32- and 64-bit
 * addressing, RIP-relative and moffs operands, all immediates, mandatory prefixes, LOCK legality,
 * the 15-byte limit, legality by mode.
 *
 * Not modelled: VEX, EVEX and XOP encodings (LDS, LES, BOUND and POP rows with illegal ModRM: #UD),
 * 3DNow!, SSSE3 and later vector extensions (#UD).
 *
 * Deviations: bytes are looked at one field at a time, so an invalid opcode is #UD even where the
 * rest of the instruction would pass 15 bytes or touch the next page. In 64-bit mode 66h does not
 * narrow near branches (Vol. 2, "JMP": the operand size is forced to 64 bits); AMD processors differ.
 */
#include "cpu/decode.h"

#define REX_B      1u
#define REX_X      2u
#define REX_R      4u
#define REX_W      8u

#define NO_SEGMENT 0xffu

/* insn.pfx sizes */
enum size {
    SIZE_8,
    SIZE_16,
    SIZE_32,
    SIZE_64
};

/* ---- the index ---- */

static bool row_has_modrm(const struct op_desc *row)
{
    return row->ext != EXT_NONE || row->rm == RM_E || row->rm == RM_M || row->rm == RM_R ||
           row->reg == RG_G || row->reg == RG_C || row->reg == RG_D || row->reg == RG_X;
}

/* Lower comes first: exact ModRM, /r, plain; a named prefix before P_ANY. */
static unsigned row_rank(const struct op_desc *row)
{
    unsigned ext = row->ext == EXT_NONE ? 2 : row->ext < 8 ? 1 : 0;

    return ext * 2 + (row->mp == P_ANY);
}

void decode_tables_init(struct decode_tables *t)
{
    *t = (struct decode_tables){0};
    for (size_t i = 0; i < op_nrows; i++)
        t->count[op_rows[i].map - 1][op_rows[i].opc]++;

    unsigned next = 0;
    for (unsigned map = 0; map < DECODE_MAPS; map++) {
        for (unsigned opc = 0; opc < 256; opc++) {
            t->first[map][opc] = (uint16_t)next;
            next += t->count[map][opc];
            t->count[map][opc] = 0;
        }
    }
    for (size_t i = 0; i < op_nrows; i++) {
        const struct op_desc *row = &op_rows[i];
        uint16_t *list = &t->order[t->first[row->map - 1][row->opc]];
        unsigned at = t->count[row->map - 1][row->opc]++;

        /* Stable insertion: rows of one rank keep the file's order. */
        while (at > 0 && row_rank(&op_rows[list[at - 1]]) > row_rank(row)) {
            list[at] = list[at - 1];
            at--;
        }
        list[at] = (uint16_t)i;
        if (row_has_modrm(row))
            t->modrm[row->map - 1][row->opc] = true;
    }
}

/* ---- one instruction ---- */

struct decoding {
    const struct decode_env *env;
    const uint8_t *bytes;
    unsigned limit; /* bytes that may be looked at, at most 15 */
    unsigned pos;
    enum decode_status short_status; /* what passing the limit means */
    uint8_t rex;                     /* W R X B; 0 without REX too */
    bool has_rex;
    bool osize_prefix;
    bool asize_prefix;
    bool lock;
    uint8_t rep;     /* 0, F2h or F3h: the last one */
    uint8_t segment; /* enum segment of the override or NO_SEGMENT */
    uint8_t map;
    uint8_t opc;
    uint8_t modrm;
    uint8_t asize; /* SIZE_16.. */
    uint8_t osize; /* SIZE_8.. */
};

static bool decoding_has(const struct decoding *d, unsigned n)
{
    return d->pos + n <= d->limit;
}

/* n bytes (1, 2, 4, 8), little endian, zero-extended; the caller has asked decoding_has(). */
static uint64_t decoding_take(struct decoding *d, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)d->bytes[d->pos + i] << (8 * i);
    d->pos += n;
    return v;
}

static uint64_t sign_extend(uint64_t v, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;

    return (uint64_t)((int64_t)(v << shift) >> shift);
}

/*
 * Legacy prefixes and REX up to the opcode byte. A REX prefix counts only directly before the opcode
 * (Vol. 2, 2.2.1 "REX Prefixes"). In 64-bit mode CS, DS, ES and SS overrides are ignored, so they do
 * not cancel FS or GS (Vol. 1, 3.3.7.1 and 3.4.2.1 "Segment Registers in 64-Bit Mode").
 */
static bool decode_prefixes(struct decoding *d)
{
    bool mode64 = d->env->mode == DECODE_64;

    for (;;) {
        if (!decoding_has(d, 1))
            return false;
        uint8_t b = d->bytes[d->pos];

        if (mode64 && (b & 0xf0) == 0x40) {
            d->rex = b & 0x0f;
            d->has_rex = true;
            d->pos++;
            continue;
        }
        switch (b) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (!mode64)
                d->segment = (b >> 3) & 3;
            break;
        case 0x64:
            d->segment = SEG_FS;
            break;
        case 0x65:
            d->segment = SEG_GS;
            break;
        case 0x66:
            d->osize_prefix = true;
            break;
        case 0x67:
            d->asize_prefix = true;
            break;
        case 0xf0:
            d->lock = true;
            break;
        case 0xf2:
        case 0xf3:
            d->rep = b;
            break;
        default:
            return true;
        }
        d->rex = 0;
        d->has_rex = false;
        d->pos++;
    }
}

/* The opcode byte and its map; the prefixes have left one byte. */
static bool decode_opcode(struct decoding *d)
{
    d->map = 1;
    d->opc = (uint8_t)decoding_take(d, 1);
    if (d->opc != 0x0f)
        return true;
    if (!decoding_has(d, 1))
        return false;
    d->map = 2;
    d->opc = (uint8_t)decoding_take(d, 1);
    if (d->opc == 0x38 || d->opc == 0x3a) {
        if (!decoding_has(d, 1))
            return false;
        d->map = d->opc == 0x38 ? 3 : 4;
        d->opc = (uint8_t)decoding_take(d, 1);
    }
    return true;
}

static bool prefix_matches(const struct decoding *d, enum op_mp mp)
{
    switch (mp) {
    case P_ANY:
        return true;
    case P_NP:
        return !d->rep && !d->osize_prefix;
    case P_66:
        return !d->rep && d->osize_prefix;
    case P_F3:
        return d->rep == 0xf3;
    case P_F2:
        return d->rep == 0xf2;
    case P_NP66:
        return !d->rep;
    }
    return false;
}

static bool mode_matches(const struct decode_env *env, unsigned modes)
{
    if (modes & M_NO64 && env->mode == DECODE_64)
        return false;
    if (modes & M_ONLY64 && env->mode != DECODE_64)
        return false;
    return !(modes & M_PROT && env->real_or_v86);
}

/* MOV to and from control and debug registers ignore ModRM.mod. Vol. 2, "MOV-Move to/from Control Registers". */
static bool ignores_mod(const struct op_desc *row)
{
    return row->reg == RG_C || row->reg == RG_D;
}

static bool row_matches(const struct decoding *d, const struct op_desc *row)
{
    bool mod3 = d->modrm >= 0xc0;

    if (row->ext != EXT_NONE && row->ext != EXT_MODRM(d->modrm) &&
        row->ext != ((d->modrm >> 3) & 7))
        return false;
    if (row->rm == RM_M && mod3)
        return false;
    if (row->rm == RM_R && !mod3 && !ignores_mod(row))
        return false;
    if (row->modes != M_ALL && !mode_matches(d->env, row->modes))
        return false;
    if (!prefix_matches(d, (enum op_mp)row->mp))
        return false;
    /* 90h with REX.B is XCHG R8, rAX. Vol. 2, "NOP". */
    return !((row->id == OP_NOP || row->id == OP_PAUSE) && d->rex & REX_B);
}

/* NULL: no such instruction. */
static const struct op_desc *decode_find_row(const struct decoding *d)
{
    const struct decode_tables *t = d->env->tables;
    const uint16_t *list = &t->order[t->first[d->map - 1][d->opc]];
    unsigned count = t->count[d->map - 1][d->opc];

    for (unsigned i = 0; i < count; i++) {
        const struct op_desc *row = &op_rows[list[i]];

        if (row_matches(d, row))
            return row;
    }
    return NULL;
}

/* Vol. 1, table 3-3 "Effective Operand- and Address-Size Attributes" and table 3-4 (64-bit mode). */
static uint8_t operand_size(const struct decoding *d, enum op_size size)
{
    bool mode64 = d->env->mode == DECODE_64;
    uint8_t v = (d->env->mode == DECODE_16) != d->osize_prefix ? SIZE_16 : SIZE_32;

    switch (size) {
    case SZ_N:
    case SZ_B:
        return SIZE_8;
    case SZ_W:
        return SIZE_16;
    case SZ_D:
        return SIZE_32;
    case SZ_Q:
        return SIZE_64;
    case SZ_V:
        return d->rex & REX_W ? SIZE_64 : v;
    case SZ_Y:
        return d->rex & REX_W ? SIZE_64 : SIZE_32;
    case SZ_V64:
        return mode64 && (d->rex & REX_W || v == SIZE_32) ? SIZE_64 : v;
    case SZ_F64:
        return mode64 ? SIZE_64 : v;
    case SZ_M:
        return mode64 ? SIZE_64 : SIZE_32;
    }
    return v;
}

/* Vol. 2, table 2-1 "16-Bit Addressing Forms with the ModR/M Byte". */
static unsigned decode_memory16(struct decoding *d, struct insn *in)
{
    static const uint8_t base[8] = {REG_RBX, REG_RBX, REG_RBP, REG_RBP,
                                    REG_RSI, REG_RDI, REG_RBP, REG_RBX};
    static const uint8_t idx[8] = {REG_RSI,  REG_RDI,  REG_RSI,  REG_RDI,
                                   REG_ZERO, REG_ZERO, REG_ZERO, REG_ZERO};
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

    if (mod == 0 && rm == 6)
        return 2;
    in->base = base[rm];
    in->idx = idx[rm];
    return mod;
}

/*
 * Vol. 2, tables 2-2 "32-Bit Addressing Forms with the ModR/M Byte", 2-3 (SIB), 2.2.1.2 "More on
 * Addressing Forms" and 2.2.1.6 "RIP-Relative Addressing". Returns the bytes of displacement; the
 * caller has seen to it that a SIB byte can be read.
 */
static unsigned decode_memory32(struct decoding *d, struct insn *in)
{
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

    if (rm == 4) {
        unsigned sib = (unsigned)decoding_take(d, 1);
        unsigned idx = ((sib >> 3) & 7) | (d->rex & REX_X ? 8 : 0);

        /* An index of 4 is none, and R12 is an index: REX.X is looked at. A base of 5 is not. */
        if (idx != 4) {
            in->idx = (uint8_t)idx;
            in->scale = (uint8_t)(sib >> 6);
        }
        rm = sib & 7;
        if (mod == 0 && rm == 5)
            return 4;
    } else if (mod == 0 && rm == 5) {
        if (d->env->mode == DECODE_64)
            in->base = REG_RIP;
        return 4;
    }
    in->base = (uint8_t)(rm | (d->rex & REX_B ? 8 : 0));
    return mod == 2 ? 4 : mod;
}

/* The memory operand of ModRM. Sets base, idx, scale, disp. */
static bool decode_memory(struct decoding *d, struct insn *in)
{
    unsigned disp_len;

    if (d->asize == SIZE_16) {
        disp_len = decode_memory16(d, in);
    } else {
        if ((d->modrm & 7) == 4 && !decoding_has(d, 1))
            return false;
        disp_len = decode_memory32(d, in);
    }
    if (!decoding_has(d, disp_len))
        return false;
    if (disp_len)
        in->disp = (int32_t)sign_extend(decoding_take(d, disp_len), disp_len);
    return true;
}

/* enum segment and way of a memory operand. The rBP and rSP bases default to SS: Vol. 1, table 3-5. */
static void decode_segment(const struct decoding *d, struct insn *in)
{
    bool fs_gs = d->segment == SEG_FS || d->segment == SEG_GS;
    enum insn_ea ea = EA_GENERAL;

    if (d->segment != NO_SEGMENT)
        in->seg = d->segment & 0xfu;
    else
        in->seg = in->base == REG_RSP || in->base == REG_RBP ? SEG_SS : SEG_DS;
    if (d->env->mode == DECODE_64) {
        if (d->asize == SIZE_64)
            ea = fs_gs ? EA_BASE64 : EA_FLAT64;
    } else if (d->env->mode == DECODE_32 && d->asize == SIZE_32 && d->env->flat) {
        /* CS is never writable and may be unreadable: checked. */
        if (!fs_gs && in->seg != SEG_CS)
            ea = EA_FLAT32;
    }
    in->ea = ea & 0xfu;
}

/* Byte registers without REX: AL CL DL BL AH CH DH BH. Vol. 2, table 3-1 "Register Codes". */
static uint8_t register_operand(const struct decoding *d, unsigned number, bool byte)
{
    if (!byte)
        return (uint8_t)number;
    if (!d->has_rex && number >= 4)
        return (uint8_t)((number - 4) * 8 + 1);
    return (uint8_t)(number * 8);
}

/* Register operands; false: no such register. */
static bool decode_registers(const struct decoding *d, const struct op_desc *row, struct insn *in)
{
    bool byte = row->size == SZ_B;
    bool byte_rm = byte || row->id == OP_MOVZX_Gv_Eb || row->id == OP_MOVSX_Gv_Eb;
    unsigned reg = (d->modrm >> 3) & 7;
    unsigned reg_ext = reg | (d->rex & REX_R ? 8 : 0);

    switch ((enum op_reg)row->reg) {
    case RG_NONE:
        break;
    case RG_G:
        in->r = register_operand(d, reg_ext, byte);
        break;
    case RG_S:
        in->r = (uint8_t)(row->rm == RM_NONE ? (d->opc >> 3) & 7 : reg);
        if (in->r > SEG_GS || (row->id == OP_MOV_Sw_Ew && in->r == SEG_CS))
            return false;
        break;
    case RG_C:
        in->r = (uint8_t)reg_ext;
        if (reg_ext != 0 && reg_ext != 2 && reg_ext != 3 && reg_ext != 4 && reg_ext != 8)
            return false;
        break;
    case RG_D:
        in->r = (uint8_t)reg_ext;
        if (reg_ext > 7)
            return false;
        break;
    case RG_X:
        in->r = d->modrm;
        break;
    }
    if (row->rm == RM_Z)
        in->rm = register_operand(d, (d->opc & 7u) | (d->rex & REX_B ? 8 : 0), byte_rm);
    else if (row->rm == RM_R || row->rm == RM_E)
        in->rm = register_operand(d, (d->modrm & 7u) | (d->rex & REX_B ? 8 : 0), byte_rm);
    return true;
}

/* Bytes of the immediate. */
static unsigned immediate_length(const struct decoding *d, enum op_imm imm)
{
    unsigned z = d->osize == SIZE_16 ? 2 : 4;

    switch (imm) {
    case IM_NONE:
        return 0;
    case IM_IB:
    case IM_UB:
    case IM_JB:
        return 1;
    case IM_IW:
        return 2;
    case IM_IZ:
    case IM_JZ:
        return z;
    case IM_IV:
    case IM_OFF:
        return 1u << (imm == IM_IV ? d->osize : d->asize);
    case IM_AP:
        return z + 2;
    case IM_IWIB:
        return 3;
    }
    return 0;
}

static bool decode_immediate(struct decoding *d, const struct op_desc *row, struct insn *in)
{
    enum op_imm imm = (enum op_imm)row->imm;
    unsigned n = immediate_length(d, imm);

    if (!decoding_has(d, n))
        return false;
    switch (imm) {
    case IM_NONE:
        break;
    case IM_IB:
    case IM_IZ:
    case IM_IV:
    case IM_JB:
    case IM_JZ:
        in->imm = sign_extend(decoding_take(d, n), n);
        break;
    case IM_UB:
    case IM_IW:
    case IM_OFF:
        in->imm = decoding_take(d, n);
        break;
    case IM_AP:
        in->imm = decoding_take(d, n - 2);
        in->imm |= decoding_take(d, 2) << 32;
        break;
    case IM_IWIB:
        in->imm = decoding_take(d, 2);
        in->imm |= decoding_take(d, 1) << 16;
        break;
    }
    return true;
}

/* INSN_REP and INSN_REPNE; see insn_decode(). */
static unsigned repeat_bits(const struct decoding *d, unsigned attrs)
{
    if (!d->rep || !(attrs & A_REP))
        return 0;
    return d->rep == 0xf2 && attrs & A_REPC ? INSN_REPNE : INSN_REP;
}

/* Everything after the opcode. */
static enum decode_status decode_operands(struct decoding *d, struct insn *in)
{
    const struct decode_tables *t = d->env->tables;

    if (t->count[d->map - 1][d->opc] == 0)
        return DECODE_UD;
    if (t->modrm[d->map - 1][d->opc]) {
        if (!decoding_has(d, 1))
            return d->short_status;
        d->modrm = (uint8_t)decoding_take(d, 1);
    }
    const struct op_desc *row = decode_find_row(d);
    if (!row || !decode_registers(d, row, in))
        return DECODE_UD;

    bool memory = (row->rm == RM_E || row->rm == RM_M) && d->modrm < 0xc0;
    /* Vol. 2, "LOCK": #UD without a lockable instruction and a memory destination. */
    if (d->lock && !(memory && row->attrs & A_LOCK))
        return DECODE_UD;
    d->osize = operand_size(d, (enum op_size)row->size);
    if (memory) {
        in->rm = 0;
        if (!decode_memory(d, in))
            return d->short_status;
    }
    if (!decode_immediate(d, row, in))
        return d->short_status;
    decode_segment(d, in);

    in->op = row->id & 0x3ffu;
    in->fn = row->fns->fn[memory || row->imm == IM_OFF][d->osize];
    in->pfx = (uint8_t)(repeat_bits(d, row->attrs) | (d->lock ? INSN_LOCK : 0) |
                        (unsigned)d->asize << INSN_ASIZE_SHIFT |
                        (unsigned)d->osize << INSN_OSIZE_SHIFT | (d->has_rex ? INSN_REX : 0));
    return DECODE_OK;
}

static enum decode_status decode_fields(struct decoding *d, struct insn *in)
{
    if (!decode_prefixes(d))
        return d->short_status;
    if (!decode_opcode(d))
        return d->short_status;
    switch (d->env->mode) {
    case DECODE_16:
        d->asize = d->asize_prefix ? SIZE_32 : SIZE_16;
        break;
    case DECODE_32:
        d->asize = d->asize_prefix ? SIZE_16 : SIZE_32;
        break;
    case DECODE_64:
        d->asize = d->asize_prefix ? SIZE_32 : SIZE_64;
        break;
    }
    return decode_operands(d, in);
}

enum decode_status insn_decode(const struct decode_env *env, const uint8_t *bytes, size_t avail,
                               struct insn *in)
{
    struct decoding d = {
        .env = env,
        .bytes = bytes,
        .limit = avail < DECODE_MAX_LEN ? (unsigned)avail : DECODE_MAX_LEN,
        .short_status = avail < DECODE_MAX_LEN ? DECODE_TRUNCATED : DECODE_TOO_LONG,
        .segment = NO_SEGMENT,
    };

    *in = (struct insn){.base = REG_ZERO, .idx = REG_ZERO};
    enum decode_status status = decode_fields(&d, in);
    if (status != DECODE_OK)
        *in = (struct insn){.op = OP_UD2, .base = REG_ZERO, .idx = REG_ZERO};
    /* Asking for a byte beyond the limit has looked at all before it. */
    in->len = (uint8_t)(status == DECODE_TOO_LONG ? DECODE_MAX_LEN : d.pos ? d.pos : 1);
    in->end = in->len;
    return status;
}
