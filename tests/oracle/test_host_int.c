/* SPDX-License-Identifier: MIT */
/*
 * timeout: 120
 *
 * The host's processor as oracle for the integer instructions, in 64-bit mode: each form is built
 * as machine code, run natively between a load and a store of all registers, and run by our decoder
 * and handlers on the same register values and the same memory (whose host address is also its
 * guest address). Registers, memory and every defined flag must agree. What the manual leaves
 * undefined is masked: struct form names the flags, from "Flags Affected" of the instruction's page
 * in Intel SDM Vol. 2 (325383).
 *
 * IRQ_ORACLE_UNDEFINED=1 in the environment compares the undefined flags too and only reports: what
 * this host does with them.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/exec.h"
#include "cpu/flags.h"
#include "cpu/mem.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* Flags by name, for the undefined column. */
#define F_C EFLAGS_CF
#define F_P EFLAGS_PF
#define F_A EFLAGS_AF
#define F_Z EFLAGS_ZF
#define F_S EFLAGS_SF
#define F_O EFLAGS_OF

enum form_sizes {
    S8 = 1,
    S16 = 2,
    S32 = 4,
    S64 = 8,
    SV = S16 | S32 | S64,
    SALL = S8 | SV
};

enum form_kind {
    K_RM,     /* ModRM: register or memory */
    K_R_ONLY, /* ModRM: register only */
    K_M_ONLY, /* ModRM: memory only */
    K_Z,      /* register in the opcode's low bits */
    K_NONE,   /* no operand bytes */
};

enum form_quirk {
    Q_NONE,
    Q_SHIFT,   /* OF undefined unless the count is 1; CF if it reaches the size (8 and 16 bits) */
    Q_ROTATE,  /* OF undefined unless the count is 1 */
    Q_DOUBLE,  /* SHLD, SHRD */
    Q_BITS,    /* bit string: the number in ModRM.reg is kept near */
    Q_SCAN,    /* BSF, BSR: destination undefined if the source is 0 */
    Q_DIVIDE,  /* make quotients that fit more likely */
    Q_ALIGN16, /* CMPXCHG16B */
    Q_STRING,
    Q_PREFIX_F3,
    Q_ENTER,
};

struct form {
    const char *name;
    uint8_t map; /* 1 = one byte, 2 = 0Fh, 3 = 0Fh 38h */
    uint8_t opc; /* opcode for 16 to 64 bits; 8 bits: opcode - 1 where S8 is in sizes with others */
    int8_t ext;  /* /digit, or -1 = /r */
    uint8_t kind; /* enum form_kind */
    uint8_t sizes;
    uint8_t imm; /* bytes: 0, 1, 4 = by size, 8 = by size with 64, 3 = ENTER */
    uint8_t quirk;
    uint32_t undefined;
};

#define GROUP1(n, op)                                                                              \
    {n " E,G", 1, op * 8 + 1, -1, K_RM, SALL, 0, Q_NONE, op == 1 || op == 4 || op == 6 ? F_A : 0}, \
        {n " G,E", 1,      op * 8 + 3,                                                             \
         -1,       K_RM,   SALL,                                                                   \
         0,        Q_NONE, op == 1 || op == 4 || op == 6 ? F_A : 0},                               \
        {n " A,I", 1,      op * 8 + 5,                                                             \
         -1,       K_NONE, SALL,                                                                   \
         4,        Q_NONE, op == 1 || op == 4 || op == 6 ? F_A : 0},                               \
        {n " E,Iz", 1, 0x81, op, K_RM, SALL, 4, Q_NONE, op == 1 || op == 4 || op == 6 ? F_A : 0},  \
    {                                                                                              \
        n " E,Ib", 1, 0x83, op, K_RM, SV, 1, Q_NONE, op == 1 || op == 4 || op == 6 ? F_A : 0       \
    }
#define SHIFT(n, op, q, u)                                                                      \
    {n " E,I", 1, 0xc1, op, K_RM, SALL, 1, q, u}, {n " E,1", 1, 0xd1, op, K_RM, SALL, 0, q, u}, \
    {                                                                                           \
        n " E,CL", 1, 0xd3, op, K_RM, SALL, 0, q, u                                             \
    }
#define CONDITION(cc)                                           \
    {"SETcc " #cc, 2, 0x90 + cc, 0, K_RM, S8, 0, Q_NONE, 0},    \
    {                                                           \
        "CMOVcc " #cc, 2, 0x40 + cc, -1, K_RM, SV, 0, Q_NONE, 0 \
    }
#define BIT(n, opr, digit)                                                   \
    {n " E,G", 2, opr, -1, K_RM, SV, 0, Q_BITS, F_O | F_S | F_A | F_P},      \
    {                                                                        \
        n " E,I", 2, 0xba, digit, K_RM, SV, 1, Q_NONE, F_O | F_S | F_A | F_P \
    }
#define U_MUL (F_S | F_Z | F_A | F_P)
#define U_ALL (F_C | F_P | F_A | F_Z | F_S | F_O)

static const struct form forms[] = {
    GROUP1("ADD", 0),
    GROUP1("OR", 1),
    GROUP1("ADC", 2),
    GROUP1("SBB", 3),
    GROUP1("AND", 4),
    GROUP1("SUB", 5),
    GROUP1("XOR", 6),
    GROUP1("CMP", 7),
    {"TEST E,G", 1, 0x85, -1, K_RM, SALL, 0, Q_NONE, F_A},
    {"TEST A,I", 1, 0xa9, -1, K_NONE, SALL, 4, Q_NONE, F_A},
    {"TEST E,I", 1, 0xf7, 0, K_RM, SALL, 4, Q_NONE, F_A},
    {"INC", 1, 0xff, 0, K_RM, SALL, 0, Q_NONE, 0},
    {"DEC", 1, 0xff, 1, K_RM, SALL, 0, Q_NONE, 0},
    {"NOT", 1, 0xf7, 2, K_RM, SALL, 0, Q_NONE, 0},
    {"NEG", 1, 0xf7, 3, K_RM, SALL, 0, Q_NONE, 0},
    {"MUL", 1, 0xf7, 4, K_RM, SALL, 0, Q_NONE, U_MUL},
    {"IMUL", 1, 0xf7, 5, K_RM, SALL, 0, Q_NONE, U_MUL},
    {"DIV", 1, 0xf7, 6, K_RM, SALL, 0, Q_DIVIDE, U_ALL},
    {"IDIV", 1, 0xf7, 7, K_RM, SALL, 0, Q_DIVIDE, U_ALL},
    {"IMUL G,E", 2, 0xaf, -1, K_RM, SV, 0, Q_NONE, U_MUL},
    {"IMUL G,E,Iz", 1, 0x69, -1, K_RM, SV, 4, Q_NONE, U_MUL},
    {"IMUL G,E,Ib", 1, 0x6b, -1, K_RM, SV, 1, Q_NONE, U_MUL},
    SHIFT("ROL", 0, Q_ROTATE, 0),
    SHIFT("ROR", 1, Q_ROTATE, 0),
    SHIFT("RCL", 2, Q_ROTATE, 0),
    SHIFT("RCR", 3, Q_ROTATE, 0),
    SHIFT("SHL", 4, Q_SHIFT, F_A),
    SHIFT("SHR", 5, Q_SHIFT, F_A),
    SHIFT("SAR", 7, Q_SHIFT, F_A),
    {"SHLD I", 2, 0xa4, -1, K_RM, SV, 1, Q_DOUBLE, F_A},
    {"SHLD CL", 2, 0xa5, -1, K_RM, SV, 0, Q_DOUBLE, F_A},
    {"SHRD I", 2, 0xac, -1, K_RM, SV, 1, Q_DOUBLE, F_A},
    {"SHRD CL", 2, 0xad, -1, K_RM, SV, 0, Q_DOUBLE, F_A},
    {"MOV E,G", 1, 0x89, -1, K_RM, SALL, 0, Q_NONE, 0},
    {"MOV G,E", 1, 0x8b, -1, K_RM, SALL, 0, Q_NONE, 0},
    {"MOV E,I", 1, 0xc7, 0, K_RM, SALL, 4, Q_NONE, 0},
    {"MOV Z,I", 1, 0xb8, -1, K_Z, SV, 8, Q_NONE, 0},
    {"MOV Zb,Ib", 1, 0xb0, -1, K_Z, S8, 1, Q_NONE, 0},
    {"XCHG E,G", 1, 0x87, -1, K_RM, SALL, 0, Q_NONE, 0},
    {"XCHG Z,A", 1, 0x90, -1, K_Z, SV, 0, Q_NONE, 0},
    {"LEA", 1, 0x8d, -1, K_M_ONLY, SV, 0, Q_NONE, 0},
    {"MOVSXD", 1, 0x63, -1, K_RM, SV, 0, Q_NONE, 0},
    {"MOVZX b", 2, 0xb6, -1, K_RM, SV, 0, Q_NONE, 0},
    {"MOVZX w", 2, 0xb7, -1, K_RM, SV, 0, Q_NONE, 0},
    {"MOVSX b", 2, 0xbe, -1, K_RM, SV, 0, Q_NONE, 0},
    {"MOVSX w", 2, 0xbf, -1, K_RM, SV, 0, Q_NONE, 0},
    {"MOVBE G,M", 3, 0xf0, -1, K_M_ONLY, SV, 0, Q_NONE, 0},
    {"MOVBE M,G", 3, 0xf1, -1, K_M_ONLY, SV, 0, Q_NONE, 0},
    {"MOVNTI", 2, 0xc3, -1, K_M_ONLY, S32 | S64, 0, Q_NONE, 0},
    {"BSWAP", 2, 0xc8, -1, K_Z, S32 | S64, 0, Q_NONE, 0},
    {"CBW", 1, 0x98, -1, K_NONE, SV, 0, Q_NONE, 0},
    {"CWD", 1, 0x99, -1, K_NONE, SV, 0, Q_NONE, 0},
    {"XADD", 2, 0xc1, -1, K_RM, SALL, 0, Q_NONE, 0},
    {"CMPXCHG", 2, 0xb1, -1, K_RM, SALL, 0, Q_NONE, 0},
    {"CMPXCHG8B", 2, 0xc7, 1, K_M_ONLY, S32 | S64, 0, Q_ALIGN16, 0},
    BIT("BT", 0xa3, 4),
    BIT("BTS", 0xab, 5),
    BIT("BTR", 0xb3, 6),
    BIT("BTC", 0xbb, 7),
    {"BSF", 2, 0xbc, -1, K_RM, SV, 0, Q_SCAN, F_C | F_O | F_S | F_A | F_P},
    {"BSR", 2, 0xbd, -1, K_RM, SV, 0, Q_SCAN, F_C | F_O | F_S | F_A | F_P},
    {"TZCNT", 2, 0xbc, -1, K_RM, SV, 0, Q_PREFIX_F3, F_O | F_S | F_A | F_P},
    {"LZCNT", 2, 0xbd, -1, K_RM, SV, 0, Q_PREFIX_F3, F_O | F_S | F_A | F_P},
    {"POPCNT", 2, 0xb8, -1, K_RM, SV, 0, Q_PREFIX_F3, 0},
    CONDITION(0),
    CONDITION(1),
    CONDITION(2),
    CONDITION(3),
    CONDITION(4),
    CONDITION(5),
    CONDITION(6),
    CONDITION(7),
    CONDITION(8),
    CONDITION(9),
    CONDITION(10),
    CONDITION(11),
    CONDITION(12),
    CONDITION(13),
    CONDITION(14),
    CONDITION(15),
    {"CMC", 1, 0xf5, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"CLC", 1, 0xf8, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"STC", 1, 0xf9, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"CLD", 1, 0xfc, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"STD", 1, 0xfd, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"SAHF", 1, 0x9e, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"LAHF", 1, 0x9f, -1, K_NONE, S32, 0, Q_NONE, 0},
    {"PUSH Z", 1, 0x50, -1, K_Z, S16 | S32, 0, Q_NONE, 0},
    {"POP Z", 1, 0x58, -1, K_Z, S16 | S32, 0, Q_NONE, 0},
    {"PUSH E", 1, 0xff, 6, K_RM, S16 | S32, 0, Q_NONE, 0},
    {"POP E", 1, 0x8f, 0, K_RM, S16 | S32, 0, Q_NONE, 0},
    {"PUSH Iz", 1, 0x68, -1, K_NONE, S16 | S32, 4, Q_NONE, 0},
    {"PUSH Ib", 1, 0x6a, -1, K_NONE, S16 | S32, 1, Q_NONE, 0},
    {"LEAVE", 1, 0xc9, -1, K_NONE, S16 | S32, 0, Q_NONE, 0},
    {"ENTER", 1, 0xc8, -1, K_NONE, S16 | S32, 3, Q_ENTER, 0},
    {"MOVS", 1, 0xa5, -1, K_NONE, SALL, 0, Q_STRING, 0},
    {"CMPS", 1, 0xa7, -1, K_NONE, SALL, 0, Q_STRING, 0},
    {"STOS", 1, 0xab, -1, K_NONE, SALL, 0, Q_STRING, 0},
    {"LODS", 1, 0xad, -1, K_NONE, SALL, 0, Q_STRING, 0},
    {"SCAS", 1, 0xaf, -1, K_NONE, SALL, 0, Q_STRING, 0},
};

/* ---- randomness: a fixed seed, so that every run is the same ---- */

static uint64_t rnd(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static uint64_t rnd_value(uint64_t *state)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0x81,
                                     0xff,
                                     0x100,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x10000,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff,
                                     0xaaaaaaaaaaaaaaaa,
                                     0x5555555555555555,
                                     15,
                                     16,
                                     31,
                                     32,
                                     63,
                                     64};
    uint64_t v;

    switch (rnd(state) % 4) {
    case 0:
        return edges[rnd(state) % irq_array_size(edges)];
    case 1:
        v = edges[rnd(state) % irq_array_size(edges)];
        return v + (rnd(state) % 5) - 2;
    case 2:
        return rnd(state) >> (rnd(state) % 64);
    default:
        return rnd(state);
    }
}

/* ---- one case ---- */

#define MEM_SIZE 4096u /* one page: its host address is its guest address */

struct state {
    uint64_t regs[16]; /* by register number; R15 is the harness's own */
    uint64_t flags;
    uint64_t host_rsp;
};

struct bytes {
    uint8_t b[32];
    unsigned n;
};

struct harness {
    struct cpu *cpu;
    struct decode_tables tables;
    struct cpu_model model;
    uint8_t *code; /* host code, RWX */
    uint8_t *mem;
    uint8_t before[MEM_SIZE], native[MEM_SIZE];
    uint64_t seed;
    unsigned cases, faults, mismatches, undefined_mismatches;
    bool report_undefined;
};

static sigjmp_buf divide_error;

static void on_sigfpe(int sig)
{
    (void)sig;
    siglongjmp(divide_error, 1);
}

static void put(struct bytes *o, unsigned b)
{
    o->b[o->n++] = (uint8_t)b;
}

static void put_le(struct bytes *o, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(o, v >> (8 * i) & 0xff);
    }
}

/* mov reg, [r15 + disp] (8B) or the store (89) */
static uint8_t *emit_mov(uint8_t *p, unsigned opcode, unsigned reg, size_t disp)
{
    uint32_t d = (uint32_t)disp;

    *p++ = (uint8_t)(0x49 | (reg >> 3) << 2);
    *p++ = (uint8_t)opcode;
    *p++ = (uint8_t)(0x87 | (reg & 7) << 3);
    memcpy(p, &d, 4);
    return p + 4;
}

static uint8_t *emit(uint8_t *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

/* void f(struct state *): loads the state, runs the bytes, stores the state. */
static void build_native(struct harness *h, const struct bytes *insn)
{
    static const uint8_t enter[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41,
                                    0x56, 0x41, 0x57, 0x49, 0x89, 0xff};
    static const uint8_t leave[] = {0xfc, 0x41, 0x5f, 0x41, 0x5e, 0x41,
                                    0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3};
    uint8_t *p = emit(h->code, enter, sizeof(enter));
    const uint32_t flags = offsetof(struct state, flags);

    p = emit_mov(p, 0x89, REG_RSP, offsetof(struct state, host_rsp));
    p = emit(p, "\x41\xff\xb7", 3); /* push [r15 + flags]; popfq */
    p = emit(p, &flags, 4);
    *p++ = 0x9d;
    for (unsigned r = 0; r < 15; r++) {
        p = emit_mov(p, 0x8b, r, r * 8);
    }
    p = emit(p, insn->b, insn->n);
    for (unsigned r = 0; r < 15; r++) {
        p = emit_mov(p, 0x89, r, r * 8);
    }
    p = emit_mov(p, 0x8b, REG_RSP, offsetof(struct state, host_rsp));
    p = emit(p, "\x9c\x41\x8f\x87", 4); /* pushfq; pop [r15 + flags] */
    p = emit(p, &flags, 4);
    emit(p, leave, sizeof(leave));
}

/* false: divide error. */
static bool run_native(struct harness *h, struct state *s)
{
    void (*f)(struct state *);
    void *code = h->code;

    memcpy(&f, &code, sizeof(f));
    if (sigsetjmp(divide_error, 1)) {
        return false;
    }
    f(s);
    return true;
}

static const struct insn *stop_here(struct cpu *cpu, const struct insn *in)
{
    (void)cpu;
    (void)in;
    return NULL;
}

enum our_end {
    OUR_DONE,
    OUR_FAULT,
    OUR_UNDECODED
};

static enum our_end run_ours(struct harness *h, const struct bytes *code, struct state *s)
{
    static const struct decode_env env_64 = {.mode = DECODE_64, .flat = true};
    struct decode_env env = env_64;
    struct cpu *cpu = h->cpu;
    /* A block of one instruction and its terminator. */
    static _Alignas(16) char room[sizeof(struct block) + 2 * sizeof(struct insn)];
    struct block *block = (struct block *)room;

    memset(room, 0, sizeof(room));
    env.tables = &h->tables;
    if (insn_decode(&env, code->b, code->n, &block->insns[0]) != DECODE_OK ||
        block->insns[0].len != code->n || !block->insns[0].fn) {
        return OUR_UNDECODED;
    }
    insn_place(&block->insns[0], 0, 0);
    block->n = 1;
    block->insns[1].index = 1;
    block->insns[1].fn = stop_here;

    memcpy(cpu->gpr, s->regs, sizeof(cpu->gpr));
    cpu->rip = 0x1000;
    cpu->eflags = EFLAGS_ONE | ((uint32_t)s->flags & EFLAGS_DF);
    cc_set_raw(cpu, (uint32_t)s->flags);
    cpu->budget = 1 << 20;
    struct tlb_entry *e = MEM_TLB_ENTRY(cpu, (uintptr_t)h->mem);
    *e = (struct tlb_entry){.tag_r = (uintptr_t)h->mem, .tag_w = (uintptr_t)h->mem};
    if (setjmp(cpu->jmp)) {
        return OUR_FAULT;
    }
    for (const struct insn *in = &block->insns[0]; in && in->fn != stop_here;) {
        in = in->fn(cpu, in);
    }
    memcpy(s->regs, cpu->gpr, sizeof(cpu->gpr));
    s->flags = cpu_get_eflags(cpu);
    return OUR_DONE;
}

/* What varies in the encoding of one form, chosen per instruction built. */
struct choice {
    const struct form *form;
    unsigned size; /* bits */
    unsigned reg, rm;
    bool memory;
    uint64_t imm;
    unsigned rep; /* F3h, F2h or 0 */
};

static unsigned pick_register(uint64_t *seed)
{
    unsigned r = (unsigned)(rnd(seed) % 15);

    return r == REG_RSP ? REG_RAX : r;
}

/* Base registers of memory operands; they hold pointers. */
static const unsigned bases[] = {REG_RBX, REG_RSI, REG_R9};

static struct bytes encode(struct harness *h, struct choice *c)
{
    const struct form *f = c->form;
    struct bytes o = {.n = 0};
    unsigned rex = c->size == 64 ? 8 : 0;
    const bool has_modrm = f->kind == K_RM || f->kind == K_R_ONLY || f->kind == K_M_ONLY;

    c->memory = f->kind == K_M_ONLY || (f->kind == K_RM && rnd(&h->seed) % 2);
    c->reg = pick_register(&h->seed);
    c->rm = c->memory ? bases[rnd(&h->seed) % 3] : pick_register(&h->seed);
    if (f->quirk == Q_BITS && c->reg == c->rm) {
        c->reg = REG_RCX;
    }
    if (f->quirk == Q_STRING && rnd(&h->seed) % 3) {
        c->rep = rnd(&h->seed) % 2 ? 0xf3 : 0xf2;
    }
    if (c->size == 16) {
        put(&o, 0x66);
    }
    if (f->quirk == Q_PREFIX_F3) {
        put(&o, 0xf3);
    } else if (c->rep) {
        put(&o, c->rep);
    }
    if (has_modrm) {
        if (f->ext < 0) {
            rex |= (c->reg >> 3) << 2;
        }
        rex |= c->rm >> 3;
    } else if (f->kind == K_Z) {
        rex |= c->rm >> 3;
    }
    /* Sometimes a REX prefix without bits: SPL to DIL instead of AH to BH. */
    if (rex || rnd(&h->seed) % 4 == 0) {
        put(&o, 0x40 | rex);
    }
    if (f->map >= 2) {
        put(&o, 0x0f);
    }
    if (f->map == 3) {
        put(&o, 0x38);
    }
    put(&o,
        f->opc - (c->size == 8 && f->sizes != S8 ? 1u : 0u) + (f->kind == K_Z ? c->rm & 7 : 0u));
    if (has_modrm) {
        const unsigned reg = f->ext < 0 ? c->reg & 7 : (unsigned)f->ext;
        const unsigned rm = c->rm & 7;

        put(&o, (c->memory ? 0x40 : 0xc0) | reg << 3 | rm);
        if (c->memory) {
            put(&o, f->quirk == Q_ALIGN16 ? 16 : (unsigned)(rnd(&h->seed) & 0x7f));
        }
    }
    c->imm = rnd_value(&h->seed);
    switch (f->imm) {
    case 1:
        put_le(&o, c->imm, 1);
        break;
    case 3:
        put_le(&o, rnd(&h->seed) % 200, 2);
        put_le(&o, rnd(&h->seed) % 6 | (rnd(&h->seed) & 0xe0), 1);
        break;
    case 4:
    case 8:
        put_le(&o, c->imm, c->size < 64 ? c->size / 8 : f->imm);
        break;
    default:
        break;
    }
    return o;
}

static void fill_state(struct harness *h, const struct choice *c, struct state *s)
{
    const uintptr_t middle = (uintptr_t)h->mem + 2048;

    for (unsigned r = 0; r < 16; r++) {
        s->regs[r] = rnd_value(&h->seed);
    }
    if (c->form->quirk == Q_BITS && c->memory) {
        s->regs[c->reg] = rnd(&h->seed) % 4096 - 2048;
    }
    if (c->form->quirk == Q_DIVIDE && rnd(&h->seed) % 4) {
        s->regs[REG_RDX] = rnd(&h->seed) % 2 ? rnd(&h->seed) % 3 : 0 - rnd(&h->seed) % 3;
        if (c->size == 8) {
            s->regs[REG_RAX] &= 0x3ff;
        }
    }
    if (c->form->quirk == Q_STRING) {
        s->regs[REG_RCX] = rnd(&h->seed) % 20;
        s->regs[REG_RSI] = middle + rnd(&h->seed) % 64;
        s->regs[REG_RDI] = middle + rnd(&h->seed) % 64;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (c->memory && c->rm == bases[i]) {
            s->regs[bases[i]] = middle;
        }
    }
    s->regs[REG_RSP] = middle + 512 + 8 * (rnd(&h->seed) % 16);
    if (c->form->quirk == Q_ENTER || c->form->opc == 0xc9) {
        s->regs[REG_RBP] = middle + 800 + 8 * (rnd(&h->seed) % 16);
    }
    s->flags = (rnd(&h->seed) & (EFLAGS_ARITH | (c->form->quirk == Q_STRING ? EFLAGS_DF : 0))) |
               EFLAGS_ONE | EFLAGS_IF;
    for (unsigned i = 0; i < MEM_SIZE; i += 8) {
        uint64_t v = i % 64 ? rnd(&h->seed) : rnd_value(&h->seed);
        memcpy(h->mem + i, &v, 8);
    }
    /* Make equal comparisons likely. */
    if (c->form->quirk == Q_STRING && rnd(&h->seed) % 2) {
        memset(h->mem, (int)(s->regs[REG_RAX] & 0xff), MEM_SIZE);
        s->regs[REG_RAX] = (s->regs[REG_RAX] & 0xff) * 0x0101010101010101u;
        h->mem[2048 + rnd(&h->seed) % 128] ^= 1;
    }
    if (c->memory && rnd(&h->seed) % 3 == 0 && c->form->opc == 0xc7 && c->form->map == 2) {
        memcpy(h->mem + 2064, &s->regs[REG_RAX], c->size / 8);
        memcpy(h->mem + 2064 + c->size / 8, &s->regs[REG_RDX], c->size / 8);
    }
    memcpy(h->before, h->mem, MEM_SIZE);
}

/* Flags and results that the manual leaves open for these operands. */
static uint32_t undefined_flags(const struct choice *c, const struct state *in, bool *skip_result)
{
    const struct form *f = c->form;
    const unsigned raw = f->imm == 1            ? (unsigned)c->imm & 0xff
                         : (f->opc | 1) == 0xd1 ? 1u
                                                : (unsigned)in->regs[REG_RCX] & 0xff;
    const unsigned n = raw & (c->size == 64 ? 63 : 31);
    uint32_t u = f->undefined;

    *skip_result = false;
    switch (f->quirk) {
    case Q_SHIFT:
        if (n == 0) {
            return 0;
        }
        if (n != 1) {
            u |= F_O;
        }
        /* SAR of more than the size shifts in sign bits, CF among them. */
        if (n >= c->size && f->ext != 7) {
            u |= F_C;
        }
        return u;
    case Q_ROTATE:
        return n == 0 ? 0 : n == 1 ? u : u | F_O;
    case Q_DOUBLE:
        if (n == 0) {
            return 0;
        }
        *skip_result = n > c->size;
        return n > c->size ? U_ALL : n == 1 ? u : u | F_O;
    default:
        return u;
    }
}

static void report(struct harness *h, const struct bytes *code, const struct choice *c,
                   const struct state *in, const struct state *host, const struct state *ours,
                   const char *what)
{
    if (h->mismatches++ > 8) {
        return;
    }
    fprintf(stderr, "%s (%u bits%s): %s\n  bytes:", c->form->name, c->size,
            c->memory ? ", memory" : "", what);
    for (unsigned i = 0; i < code->n; i++) {
        fprintf(stderr, " %02x", code->b[i]);
    }
    fprintf(stderr, "\n");
    for (unsigned r = 0; r < 15; r++) {
        fprintf(stderr, "  r%-2u in %016" PRIx64 " host %016" PRIx64 " ours %016" PRIx64 "%s\n", r,
                in->regs[r], host->regs[r], ours->regs[r],
                host->regs[r] != ours->regs[r] ? " <--" : "");
    }
    fprintf(stderr, "  fl  in %016" PRIx64 " host %016" PRIx64 " ours %016" PRIx64 "\n", in->flags,
            host->flags, ours->flags);
    for (unsigned i = 0; i < MEM_SIZE; i++) {
        if (h->native[i] != h->mem[i]) {
            fprintf(stderr, "  mem[%u] in %02x host %02x ours %02x\n", i, h->before[i],
                    h->native[i], h->mem[i]);
        }
    }
}

static void run_case(struct harness *h, const struct bytes *code, const struct choice *c)
{
    struct state in, host, ours;
    bool skip_result;

    memset(&in, 0, sizeof(in));
    fill_state(h, c, &in);
    host = in;
    ours = in;
    const bool native_ok = run_native(h, &host);
    memcpy(h->native, h->mem, MEM_SIZE);
    memcpy(h->mem, h->before, MEM_SIZE);
    const enum our_end end = run_ours(h, code, &ours);
    h->cases++;
    if (end == OUR_UNDECODED) {
        report(h, code, c, &in, &host, &ours, "not decoded, or no handler");
        return;
    }
    if (native_ok != (end == OUR_DONE)) {
        report(h, code, c, &in, &host, &ours, native_ok ? "faults here only" : "faults there only");
        return;
    }
    if (!native_ok) {
        h->faults++;
        if (h->cpu->fault.vector != VEC_DE || memcmp(h->mem, h->before, MEM_SIZE) != 0 ||
            memcmp(h->cpu->gpr, in.regs, sizeof(in.regs)) != 0) {
            report(h, code, c, &in, &host, &ours, "divide error with side effects");
        }
        return;
    }
    const uint32_t u = undefined_flags(c, &in, &skip_result);
    const uint32_t defined = (EFLAGS_ARITH | EFLAGS_DF) & ~u;
    if (skip_result && !h->report_undefined) {
        return;
    }
    if (((host.flags ^ ours.flags) & u) != 0) {
        h->undefined_mismatches++;
        if (h->report_undefined) {
            report(h, code, c, &in, &host, &ours, "undefined flags differ");
            return;
        }
    }
    if (((host.flags ^ ours.flags) & defined) != 0) {
        report(h, code, c, &in, &host, &ours, "flags differ");
    } else if (memcmp(host.regs, ours.regs, 15 * sizeof(host.regs[0])) != 0) {
        report(h, code, c, &in, &host, &ours, "registers differ");
    } else if (memcmp(h->native, h->mem, MEM_SIZE) != 0) {
        report(h, code, c, &in, &host, &ours, "memory differs");
    }
}

static void harness_init(struct harness *h)
{
    static char signal_stack[65536];
    const stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
    struct sigaction action = {.sa_handler = on_sigfpe, .sa_flags = SA_ONSTACK};

    memset(h, 0, sizeof(*h));
    h->seed = 0x9e3779b97f4a7c15u;
    h->report_undefined = getenv("IRQ_ORACLE_UNDEFINED") != NULL;
    decode_tables_init(&h->tables);
    h->model = (struct cpu_model){.name = "all",
                                  .f1_ecx = ~0u,
                                  .f1_edx = ~0u,
                                  .f7_ebx = ~0u,
                                  .f81_ecx = ~0u,
                                  .f81_edx = ~0u,
                                  .phys_bits = 40,
                                  .lin_bits = 48};
    h->cpu = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
    cr_assert_not_null(h->cpu);
    memset(h->cpu, 0, sizeof(*h->cpu));
    h->cpu->model = &h->model;
    h->cpu->tables = &h->tables;
    h->cpu->code_bits = 64;
    h->cpu->long_mode = true;
    h->cpu->stack_kind = STACK_FLAT64;
    h->cpu->mode_key = KEY_CODE64 | KEY_FLAT;
    h->cpu->cr0 = CR0_PE | CR0_PG;
    h->code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    h->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (h->code == MAP_FAILED || h->mem == MAP_FAILED) {
        cr_skip_test("no executable memory for the trampoline");
    }
    sigaltstack(&stack, NULL);
    sigaction(SIGFPE, &action, NULL);
}

/* What this host lacks cannot be compared on it. SDM Vol. 2, "CPUID". */
static bool host_has(const struct form *f)
{
    unsigned a, b, c, d;

    if (strcmp(f->name, "TZCNT") == 0) {
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 3 & 1;
    }
    if (strcmp(f->name, "LZCNT") == 0) {
        return __get_cpuid(0x80000001u, &a, &b, &c, &d) && c >> 5 & 1;
    }
    if (strcmp(f->name, "POPCNT") == 0) {
        return __get_cpuid(1, &a, &b, &c, &d) && c >> 23 & 1;
    }
    if (f->map == 3) {
        return __get_cpuid(1, &a, &b, &c, &d) && c >> 22 & 1;
    }
    return true;
}

#define ENCODINGS 40
#define CASES     20

Test(host_int, every_form_agrees_with_the_host)
{
    static struct harness harness;
    struct harness *h = &harness;

    harness_init(h);
    for (size_t i = 0; i < irq_array_size(forms); i++) {
        if (!host_has(&forms[i])) {
            continue;
        }
        for (unsigned k = 0; k < 4; k++) {
            if (!(forms[i].sizes & 1u << k)) {
                continue;
            }
            for (unsigned n = 0; n < ENCODINGS; n++) {
                struct choice c = {.form = &forms[i], .size = 8u << k};
                const struct bytes code = encode(h, &c);

                build_native(h, &code);
                for (unsigned m = 0; m < CASES; m++) {
                    run_case(h, &code, &c);
                }
            }
        }
    }
    fprintf(stderr, "%u cases, %u divide errors, %u with other undefined flags than the host\n",
            h->cases, h->faults, h->undefined_mismatches);
    cr_assert_geq(h->cases, 200000);
    cr_assert_gt(h->faults, 100);
    if (!h->report_undefined) {
        cr_assert_eq(h->mismatches, 0, "%u of %u cases differ", h->mismatches, h->cases);
    }
}

#else

Test(host_int, needs_an_x86_64_host)
{
    cr_skip_test("not an x86-64 host");
}

#endif
