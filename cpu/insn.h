/* SPDX-License-Identifier: MIT */
/*
 * The decoded instruction and the block: what the decoder makes and the execution loop runs.
 *
 * An instruction is a copyable 32-byte struct without virtual addresses (RIP = block's RIP + offset), so that a run of copied
 * instructions plus a terminator (clipping, stepping, calls from a compiler) works like the block itself.
 *
 * A handler executes one instruction and hands on to the next by a tail call (INSN_NEXT). Where there are no tail calls (-O0,
 * sanitizers: IRQ_NO_TAILCALL) it returns the next instruction to a loop. Rules for handlers:
 *   - probe and load every operand before the first side effect: an instruction can be abandoned (cpu_fault(), leaving
 *     before MMIO) and run again;
 *   - hold nothing that a longjmp loses;
 *   - cpu->rip is the RIP of the *block's first* instruction while a block runs. RIP of this instruction is
 *     insn_rip(), of the next insn_next_rip();
 *   - a handler that does not transfer control ends in `return INSN_NEXT(cpu, in);` also when its opcode ENDS the block (the block's
 *     terminator sees to that);
 *   - one that does sets cpu->rip to the target (masked to the mode's width, checked) and ends in exec_chain() for direct near
 *     transfers, exec_chain_indirect() for indirect near ones, or `return INSN_LEAVE;` for everything else.
 */
#ifndef IRQSCOPE_CPU_INSN_H
#define IRQSCOPE_CPU_INSN_H

#include "bus/types.h"

struct cpu;
struct insn;
struct block;

typedef const struct insn *insn_fn(struct cpu *cpu, const struct insn *in);

/* How the effective address of a memory operand is made (cpu/mem.h). */
enum insn_ea {
    EA_FLAT64,  /* 64-bit address size, no segment base */
    EA_FLAT32,  /* 32-bit address size, flat segment: base 0, limit 4 GiB */
    EA_BASE64,  /* 64-bit address size plus FS or GS base */
    EA_GENERAL, /* everything else: 16-bit addressing, segment checks, 67h in 64-bit mode */
};

/* insn.pfx */
enum insn_prefix {
    INSN_REP = 1 << 0,   /* F3 on a string instruction */
    INSN_REPNE = 1 << 1, /* F2 on a string instruction */
    INSN_LOCK = 1 << 2,
    INSN_ASIZE_SHIFT = 3, /* 2 bits: 1 = 16-bit, 2 = 32-bit, 3 = 64-bit addresses */
    INSN_OSIZE_SHIFT = 5, /* 2 bits: 0 = 8, 1 = 16, 2 = 32, 3 = 64-bit operands */
    INSN_REX = 1 << 7,
};

struct insn {
    insn_fn *fn;
    uint64_t
        imm; /* immediate, sign-extended to 64 bits; relative displacement of a branch; moffs address; far pointer: selector << 32 | offset */
    int32_t
        disp; /* of the memory operand; for base == REG_RIP the decoder has added `end` (see EA_GENERAL) */
    uint16_t end;       /* offset in the block of the byte after this instruction */
    uint16_t op : 10;   /* enum opcode */
    uint16_t index : 6; /* position in the block */
    uint8_t len;        /* bytes, 1-15 */
    uint8_t r;       /* ModRM.reg operand: register number; byte operands: byte offset in regs[] */
    uint8_t rm;      /* ModRM.rm (or opcode) register operand, likewise */
    uint8_t base;    /* memory operand: register number, REG_ZERO, REG_RIP */
    uint8_t idx;     /* REG_ZERO = none */
    uint8_t scale;   /* shift 0-3 */
    uint8_t ea : 4;  /* enum insn_ea */
    uint8_t seg : 4; /* enum segment of the memory operand after overrides */
    uint8_t pfx;     /* enum insn_prefix */
};
_Static_assert(sizeof(struct insn) == 32, "struct insn is copied and cached: 32 bytes");

static inline unsigned insn_osize(const struct insn *in)
{
    return (unsigned)(in->pfx >> INSN_OSIZE_SHIFT) & 3;
}

static inline unsigned insn_asize(const struct insn *in)
{
    return (unsigned)(in->pfx >> INSN_ASIZE_SHIFT) & 3;
}

#define BLOCK_MAX_INSNS 63 /* plus the terminator; indexes fit insn.index */

/*
 * A run of decoded instructions that ends by the block rule or at a page edge, followed by a terminator. insns[n] is the
 * terminator, and behind it stand the links. Lives in the block cache (cpu/block.c); a scratch run has the same layout.
 */
struct block {
    struct block *hash_next;
    struct block *page_next; /* other blocks of the same physical page */
    uint64_t pa;             /* physical address of the first byte */
    uint32_t key;            /* mode key (struct cpu.mode_key) */
    uint8_t cap;             /* instructions that its memory holds, for reuse */
    uint16_t n;              /* instructions */
    uint16_t bytes;          /* guest bytes */
    bool dead;               /* dropped; freed at the loop */
    bool crosses;            /* one instruction that crosses a page: rechecked every time */
    uint8_t raw[16];         /* the guest's bytes of a crossing instruction */
    struct insn insns[];
};

/*
 * Successors inside the same guest page: 0 = taken or fall-through, 1 = not taken. They stand right behind the terminator, so that
 * the last instruction reaches them without finding its block first (that chain of loads cost a third of a small loop's speed).
 */
struct block_links {
    struct block *to[2];
};
_Static_assert(sizeof(struct block_links) <= sizeof(struct insn),
               "links take one instruction's place");

static inline struct block_links *block_links(struct block *b)
{
    return (struct block_links *)(void *)&b->insns[b->n + 1];
}

/* Of the block that the jump `in` ends. */
static inline const struct block_links *insn_links(const struct insn *in)
{
    return (const struct block_links *)(const void *)(in + 2);
}

/* The block (or scratch run) that an instruction stands in. */
static inline const struct block *insn_block(const struct insn *in)
{
    return (const struct block *)((const char *)(in - in->index) - offsetof(struct block, insns));
}

#if defined(IRQ_NO_TAILCALL)
#define INSN_GOTO(cpu, in) ((void)(cpu), (in))
#else
#define INSN_GOTO(cpu, in) (in)->fn((cpu), (in))
#endif
#if defined(__clang__) && !defined(IRQ_NO_TAILCALL)
#define INSN_RETURN __attribute__((musttail)) return
#else
#define INSN_RETURN return
#endif
/* Use as: INSN_RETURN INSN_NEXT(cpu, in); */
#define INSN_NEXT(cpu, in) INSN_GOTO((cpu), (in) + 1)
/* Back to the loop: cpu->rip is exact. */
#define INSN_LEAVE ((const struct insn *)0)

/* ---- opcode table (cpu/opcodes.def) ---- */

enum op_attr {
    A_ENDS = 1 << 0,   /* ends the block */
    A_LOCK = 1 << 1,   /* LOCK allowed with a memory destination */
    A_REP = 1 << 2,    /* string instruction: REP (F3); ends the block when repeated */
    A_REPC = 1 << 3,   /* REPE/REPNE string comparison */
    A_MEMR = 1 << 4,   /* reads its rm memory operand */
    A_MEMW = 1 << 5,   /* writes its rm memory operand */
    A_IMPMEM = 1 << 6, /* touches memory beyond its rm operand (stack, string, descriptor) */
    A_PRIV = 1 << 7,   /* CPL 0 only (checked by the handler) */
    A_IO = 1 << 8,
    A_X87 = 1 << 9,
    A_JUMP = 1 << 10, /* near control transfer: last of its block */
    A_FAR = 1 << 11,  /* far or mode-changing transfer: last, sets RIP itself */
    A_UNMODELLED =
        1 << 12, /* decoded for its length; executing it is status 12 where the CPU model has it */
};

enum op_mode_legal {
    M_ALL = 0,
    M_NO64 = 1,   /* #UD in 64-bit mode */
    M_ONLY64 = 2, /* only in 64-bit mode (elsewhere the byte means something else) */
    M_PROT = 4,   /* #UD in real and virtual-8086 mode */
};

/* Where ModRM.rm's operand comes from. */
enum op_rm {
    RM_NONE,
    RM_E,
    RM_M,
    RM_R,
    RM_Z /* opcode bits 2:0 */,
    RM_A /* accumulator */
};
/* ModRM.reg's operand. */
enum op_reg {
    RG_NONE,
    RG_G,
    RG_S /* segment */,
    RG_C,
    RG_D,
    RG_X /* raw ModRM byte into insn.r */
};
/* Immediate bytes. */
enum op_imm {
    IM_NONE,
    IM_IB,  /* 8 bits, sign-extended */
    IM_UB,  /* 8 bits, zero-extended */
    IM_IW,  /* 16 bits, zero-extended */
    IM_IZ,  /* 16 or 32 bits by operand size, sign-extended */
    IM_IV,  /* 16, 32 or 64 bits */
    IM_JB,  /* relative 8 bits */
    IM_JZ,  /* relative 16/32 bits (32 in 64-bit mode) */
    IM_AP,  /* far pointer */
    IM_OFF, /* moffs by address size; the memory operand is [imm] */
    IM_IWIB /* ENTER: imm16 | imm8 << 16 */
};
/* Operand size. */
enum op_size {
    SZ_N,   /* none: size index 0 */
    SZ_B,   /* 8 */
    SZ_W,   /* 16 */
    SZ_D,   /* 32 */
    SZ_Q,   /* 64 */
    SZ_V,   /* 16/32/64 by prefix */
    SZ_Y,   /* 32, 64 with REX.W; 66h ignored */
    SZ_V64, /* as V, but 64 by default and no 32 in 64-bit mode (push, pop) */
    SZ_F64, /* near branches: 64 in 64-bit mode whatever the prefixes; else 16/32 */
    SZ_M,   /* 64 in 64-bit mode, 32 elsewhere (MOV CR/DR) */
};
/* Mandatory prefix. */
enum op_mp {
    P_ANY,
    P_NP,
    P_66,
    P_F3,
    P_F2,
    P_NP66 /* 66h or none: 66h is the operand size */
};

/* flags read / written */
#define FL_C     0x001u
#define FL_P     0x004u
#define FL_A     0x010u
#define FL_Z     0x040u
#define FL_S     0x080u
#define FL_O     0x800u
#define FL_ALL   (FL_C | FL_P | FL_A | FL_Z | FL_S | FL_O)
#define FL_NOC   (FL_P | FL_A | FL_Z | FL_S | FL_O)

#define EXT_NONE (-1)
/* ext: 0-7 = ModRM.reg; EXT_MODRM(m) = exactly this ModRM byte */
#define EXT_MODRM(m) (0x100 | (m))

/* Handlers of one opcode: [rm operand is memory][operand size index: 8, 16, 32, 64]. NULL = not modelled. */
struct op_fns {
    insn_fn *fn[2][4];
};

enum opcode {
#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) OP_##id,
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)
#include "cpu/opcodes.def"
#undef OP
#undef ROW
    OP_TERMINATOR,
    OP_COUNT
};
_Static_assert(OP_COUNT < 1024, "insn.op has 10 bits");

#define OP(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw) \
    extern const struct op_fns fns_##id;
#define ROW(id, map, opc, ext, mp, modes, rm, reg, imm, size, attrs, fr, fw)
#include "cpu/opcodes.def"
#undef OP
#undef ROW

struct op_desc {
    uint8_t map;
    uint8_t opc;
    int16_t ext;
    uint8_t mp, modes, rm, reg, imm, size;
    uint16_t attrs;
    uint16_t flags_read, flags_written;
    uint16_t id; /* enum opcode */
    const char *name;
    const struct op_fns *fns;
};

/* The table (cpu/decode.c): rows in the order of opcodes.def. op_attrs() is by enum opcode. */
extern const struct op_desc op_rows[];
extern const size_t op_nrows;
uint16_t op_attrs(unsigned op);
const char *op_name(unsigned op);

#endif
