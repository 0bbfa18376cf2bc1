/* SPDX-License-Identifier: MIT */
/*
 * The decoder against capstone: every opcode of the four maps, with sets of prefixes and shapes of
 * ModRM, in 16-, 32- and 64-bit code. Length, validity, memory operand, registers, operand size and
 * immediates must agree, or the disagreement stands in decode_differences.txt with the manual's word.
 * A line there that nothing needs any more fails the test too.
 *
 * A disagreement is the line
 *     KIND MODE PREFIXES OPCODE CAPSTONE OURS
 * with KIND = theirs (only capstone decodes it), ours, length, memory, register, size, immediate;
 * OPCODE = map and byte in hexadecimal (1.90, 2.af); CAPSTONE and OURS = mnemonic and row, - if none.
 * What capstone knows and cpu/opcodes.def has no row for at all is counted, not listed.
 */
#include <capstone/capstone.h>
#include <criterion/criterion.h>
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cpu/decode.h"

#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) \
    __attribute__((weak)) const struct op_fns fns_##id = {{{0}}};
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)
#include "cpu/opcodes.def"
#undef OP
#undef ROW

#ifndef TEST_SRC_DIR
#define TEST_SRC_DIR "."
#endif

struct prefixes {
    const char *name;
    uint8_t len, bytes[4];
    bool only64;
};
static const struct prefixes prefix_sets[] = {
    {"none", 0, {0}, false},           {"66", 1, {0x66}, false},
    {"67", 1, {0x67}, false},          {"f2", 1, {0xf2}, false},
    {"f3", 1, {0xf3}, false},          {"f0", 1, {0xf0}, false},
    {"64", 1, {0x64}, false},          {"26", 1, {0x26}, false},
    {"66.f2", 2, {0x66, 0xf2}, false}, {"66.f3", 2, {0x66, 0xf3}, false},
    {"66.67", 2, {0x66, 0x67}, false}, {"65.67", 2, {0x65, 0x67}, false},
    {"40", 1, {0x40}, true},           {"48", 1, {0x48}, true},
    {"47", 1, {0x47}, true},           {"66.4d", 2, {0x66, 0x4d}, true},
    {"67.42", 2, {0x67, 0x42}, true},  {"f3.49", 2, {0xf3, 0x49}, true},
};

/* ---- the list of differences ---- */

struct difference {
    char pattern[120];
    unsigned hits;
};
struct comparison {
    csh cs;
    cs_insn *insn;
    struct decode_tables tables;
    struct difference differences[200];
    size_t n_differences;
    size_t agreed, not_modelled, listed, unlisted;
};

static void read_differences(struct comparison *c)
{
    FILE *f = fopen(TEST_SRC_DIR "/tests/oracle/decode_differences.txt", "r");
    char line[400];

    cr_assert_not_null(f, "decode_differences.txt");
    while (fgets(line, sizeof(line), f)) {
        char *bar = strchr(line, '|');

        if (line[0] == '#' || line[0] == '\n')
            continue;
        cr_assert_not_null(bar, "no '|' in: %s", line);
        cr_assert_lt(c->n_differences, irq_array_size(c->differences));
        struct difference *d = &c->differences[c->n_differences++];
        while (bar > line && isspace((unsigned char)bar[-1]))
            bar--;
        *bar = 0;
        cr_assert_lt(strlen(line), sizeof(d->pattern));
        strcpy(d->pattern, line);
        d->hits = 0;
    }
    (void)fclose(f);
}

static void report(struct comparison *c, const char *kind, const char *where, const char *theirs,
                   const char *ours, const uint8_t *bytes)
{
    char line[160];

    (void)snprintf(line, sizeof(line), "%s %s %s %s", kind, where, theirs, ours);
    for (size_t i = 0; i < c->n_differences; i++) {
        if (fnmatch(c->differences[i].pattern, line, 0) == 0) {
            c->differences[i].hits++;
            c->listed++;
            return;
        }
    }
    c->unlisted++;
    if (c->unlisted <= 200) {
        (void)fprintf(stderr, "unlisted: %s  (", line);
        for (unsigned i = 0; i < 12; i++)
            (void)fprintf(stderr, "%02x ", bytes[i]);
        (void)fprintf(stderr, "%s %s)\n", c->insn->mnemonic, c->insn->op_str);
    }
}

/* ---- operands ---- */

/* Number, size and high-byte half of a general register by capstone's name; false: another kind. */
static bool gpr_of(csh cs, unsigned reg, unsigned *number, unsigned *size, bool *high)
{
    static const char *const legacy[8] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const char *const low[8] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    static const char *const hi[4] = {"ah", "ch", "dh", "bh"};
    const char *name = cs_reg_name(cs, reg);

    *high = false;
    if (!name)
        return false;
    for (unsigned i = 0; i < 8; i++) {
        *number = i;
        *size = 1;
        if (!strcmp(name, low[i]))
            return true;
        *size = 2;
        if (!strcmp(name, legacy[i]))
            return true;
        *size = name[0] == 'e' ? 4 : 8;
        if ((name[0] == 'e' || name[0] == 'r') && !strcmp(name + 1, legacy[i]))
            return true;
        *size = 1;
        *high = true;
        if (i < 4 && !strcmp(name, hi[i]))
            return true;
        *high = false;
    }
    unsigned n;
    char suffix = 0;
    if (sscanf(name, "r%u%c", &n, &suffix) < 1 || n < 8 || n > 15)
        return false;
    *number = n;
    *size = suffix == 'b' ? 1 : suffix == 'w' ? 2 : suffix == 'd' ? 4 : 8;
    return true;
}

static unsigned address_register(csh cs, unsigned reg)
{
    unsigned number, size;
    bool high;

    if (reg == X86_REG_INVALID || reg == X86_REG_EIZ || reg == X86_REG_RIZ)
        return REG_ZERO;
    if (reg == X86_REG_RIP || reg == X86_REG_EIP)
        return REG_RIP;
    return gpr_of(cs, reg, &number, &size, &high) ? number : 99;
}

static bool same_memory(const struct comparison *c, const struct insn *in, const x86_op_mem *mem)
{
    static const unsigned segs[] = {X86_REG_ES, X86_REG_CS, X86_REG_SS,
                                    X86_REG_DS, X86_REG_FS, X86_REG_GS};
    uint64_t mask = insn_asize(in) == 3 ? UINT64_MAX : insn_asize(in) == 2 ? UINT32_MAX : 0xffff;
    bool same = address_register(c->cs, mem->base) == in->base &&
                address_register(c->cs, mem->index) == in->idx &&
                (((uint64_t)mem->disp ^ (uint64_t)(int64_t)in->disp) & mask) == 0;

    if (in->idx != REG_ZERO)
        same = same && mem->scale == 1 << in->scale;
    if (mem->segment != X86_REG_INVALID)
        same = same && mem->segment == segs[in->seg];
    return same;
}

/* Does capstone name this register? byte: number is an offset in the register file. */
static bool names_register(const struct comparison *c, unsigned number, bool byte, unsigned size)
{
    const cs_x86 *x = &c->insn->detail->x86;

    for (unsigned i = 0; i < x->op_count; i++) {
        unsigned n, s;
        bool high;

        if (x->operands[i].type != X86_OP_REG || !gpr_of(c->cs, x->operands[i].reg, &n, &s, &high))
            continue;
        if ((byte ? n * 8 + high : n) == number && (!size || s == size) && (s == 1) == byte)
            return true;
    }
    return false;
}

static bool same_immediate(const struct comparison *c, const struct op_desc *row,
                           const struct insn *in)
{
    const cs_x86 *x = &c->insn->detail->x86;
    const cs_x86_op *last = NULL;
    uint64_t mask = UINT64_MAX >> (64 - (8u << insn_osize(in)));
    uint64_t want = in->imm;

    if (x->op_count == 0 || row->imm == IM_NONE || row->imm == IM_AP || row->imm == IM_IWIB)
        return true;
    if (row->imm == IM_OFF) {
        for (unsigned i = 0; i < x->op_count; i++)
            if (x->operands[i].type == X86_OP_MEM)
                return ((uint64_t)x->operands[i].mem.disp ^ want) << 32 == 0;
        return false;
    }
    for (unsigned i = 0; i < x->op_count; i++)
        if (x->operands[i].type == X86_OP_IMM)
            last = &x->operands[i];
    if (!last)
        return false;
    if (row->imm == IM_JB || row->imm == IM_JZ)
        want += in->len;
    if (row->imm == IM_UB || row->imm == IM_IW)
        mask = row->imm == IM_UB ? 0xff : 0xffff;
    return (((uint64_t)last->imm ^ want) & mask) == 0;
}

static const struct op_desc *row_of(unsigned map, unsigned opc, unsigned op)
{
    for (size_t i = 0; i < op_nrows; i++)
        if (op_rows[i].map == map && op_rows[i].opc == opc && op_rows[i].id == op)
            return &op_rows[i];
    return NULL;
}

static const char *operand_difference(const struct comparison *c, const struct op_desc *row,
                                      const struct insn *in, uint8_t modrm)
{
    const cs_x86 *x = &c->insn->detail->x86;
    bool byte = row->size == SZ_B;
    bool general = !(row->attrs & (A_X87 | A_UNMODELLED));

    if (row->rm == RM_E || row->rm == RM_M)
        if (modrm < 0xc0)
            for (unsigned i = 0; i < x->op_count; i++)
                if (x->operands[i].type == X86_OP_MEM && !same_memory(c, in, &x->operands[i].mem))
                    return "memory";
    if (row->reg == RG_G && !names_register(c, in->r, byte, 0))
        return "register";
    if (row->reg == RG_G && !names_register(c, in->r, byte, 1u << insn_osize(in)))
        return "size";
    bool byte_rm = byte || in->op == OP_MOVZX_Gv_Eb || in->op == OP_MOVSX_Gv_Eb;
    bool rm_register = row->rm == RM_Z || row->rm == RM_R || (row->rm == RM_E && modrm >= 0xc0);
    if (general && rm_register && row->id != OP_FENCE && !names_register(c, in->rm, byte_rm, 0))
        return "register";
    if (row->rm == RM_Z && !names_register(c, in->rm, byte, 1u << insn_osize(in)))
        return "size";
    return same_immediate(c, row, in) ? NULL : "immediate";
}

/* ---- the sweep ---- */

static bool opcode_has_rows(const struct comparison *c, unsigned map, unsigned opc)
{
    return c->tables.count[map - 1][opc] != 0;
}

struct sample {
    enum decode_mode mode;
    const struct prefixes *prefixes;
    unsigned map, opc;
    uint8_t modrm;
};

static void compare_one(struct comparison *c, const struct sample *s)
{
    static const uint8_t sibs[] = {0x24, 0x25, 0x8b, 0x6d, 0xe0, 0x3c, 0xd5, 0x61};
    static const char *const modes[] = {"16", "32", "64"};
    uint8_t bytes[24] = {0};
    size_t n = s->prefixes->len;

    memcpy(bytes, s->prefixes->bytes, n);
    if (s->map > 1)
        bytes[n++] = 0x0f;
    if (s->map > 2)
        bytes[n++] = s->map == 3 ? 0x38 : 0x3a;
    bytes[n++] = (uint8_t)s->opc;
    bytes[n++] = s->modrm;
    bytes[n++] = sibs[(s->modrm >> 3 ^ s->opc) & 7];
    for (unsigned i = 0; n < sizeof(bytes); i++)
        bytes[n++] = (uint8_t)(0x91 + 0x1d * i + s->opc);

    struct decode_env env = {
        .tables = &c->tables, .mode = s->mode, .flat = true, .ss32 = s->mode != DECODE_16};
    struct insn in;
    enum decode_status status = insn_decode(&env, bytes, sizeof(bytes), &in);
    const uint8_t *code = bytes;
    size_t left = 15;
    uint64_t address = 0;
    bool theirs = cs_disasm_iter(c->cs, &code, &left, &address, c->insn);
    const char *kind = NULL;

    if (theirs && status == DECODE_UD && !opcode_has_rows(c, s->map, s->opc)) {
        c->not_modelled++;
        return;
    }
    const struct op_desc *row = status == DECODE_OK ? row_of(s->map, s->opc, in.op) : NULL;
    if (status == DECODE_OK)
        cr_assert_not_null(row);
    if (theirs != (status == DECODE_OK))
        kind = theirs ? "theirs" : "ours";
    else if (theirs && c->insn->size != in.len)
        kind = "length";
    else if (theirs)
        kind = operand_difference(c, row, &in, s->modrm);
    if (!kind) {
        c->agreed++;
        return;
    }
    char where[40], mnemonic[40] = "-";
    (void)snprintf(where, sizeof(where), "%s %s %u.%02x", modes[s->mode], s->prefixes->name, s->map,
                   s->opc);
    if (theirs)
        (void)snprintf(mnemonic, sizeof(mnemonic), "%s", c->insn->mnemonic);
    else
        c->insn->mnemonic[0] = c->insn->op_str[0] = 0;
    for (char *p = mnemonic; *p; p++)
        if (*p == ' ')
            *p = '_';
    report(c, kind, where, mnemonic, row ? op_name(in.op) : "-", bytes);
}

static bool is_prefix(enum decode_mode mode, unsigned opc)
{
    switch (opc) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
    case 0x0f:
        return true;
    default:
        return mode == DECODE_64 && (opc & 0xf0) == 0x40;
    }
}

static void sweep(struct comparison *c, enum decode_mode mode)
{
    static const uint8_t rm_shapes[] = {0x00, 0x04, 0x05, 0x06, 0x44, 0x83, 0xc0, 0xc5};

    for (size_t p = 0; p < irq_array_size(prefix_sets); p++) {
        if (prefix_sets[p].only64 && mode != DECODE_64)
            continue;
        for (unsigned map = 1; map <= DECODE_MAPS; map++) {
            for (unsigned opc = 0; opc < 256; opc++) {
                bool wide = p == 0 && map < 3 && c->tables.modrm[map - 1][opc];
                unsigned shapes = wide ? 256 : 64;

                if ((map == 1 && is_prefix(mode, opc)) ||
                    (map == 2 && (opc == 0x38 || opc == 0x3a)))
                    continue;
                for (unsigned i = 0; i < shapes; i++) {
                    uint8_t modrm = (uint8_t)(wide ? i : (i & 0x38) | rm_shapes[i & 7]);
                    struct sample s = {mode, &prefix_sets[p], map, opc, modrm};

                    compare_one(c, &s);
                }
            }
        }
    }
}

Test(decode_capstone, length_validity_and_operands_agree_or_are_listed, .timeout = 100)
{
    static const cs_mode cs_modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    static struct comparison c;

    memset(&c, 0, sizeof(c));
    decode_tables_init(&c.tables);
    read_differences(&c);
    for (unsigned mode = 0; mode < 3; mode++) {
        cr_assert_eq(cs_open(CS_ARCH_X86, cs_modes[mode], &c.cs), CS_ERR_OK);
        (void)cs_option(c.cs, CS_OPT_DETAIL, CS_OPT_ON);
        c.insn = cs_malloc(c.cs);
        sweep(&c, (enum decode_mode)mode);
        cs_free(c.insn, 1);
        cs_close(&c.cs);
    }
    (void)fprintf(stderr, "agreed %zu, listed differences %zu, not modelled %zu, unlisted %zu\n",
                  c.agreed, c.listed, c.not_modelled, c.unlisted);
    cr_expect_eq(c.unlisted, 0);
    cr_expect_gt(c.agreed, 500000);
    for (size_t i = 0; i < c.n_differences; i++)
        cr_expect_gt(c.differences[i].hits, 0, "no longer needed: %s", c.differences[i].pattern);
}
