/* SPDX-License-Identifier: MIT */
/*
 * struct cpu: one x86 processor, and what the board and the tools may ask of it.
 *
 * The processor knows no chip: interrupts come in through cpu_interrupt() (struct intr_sink_ops) and are answered through struct
 * intr_source_ops. Time: one retired instruction, one delivered event and one REP iteration are one nanosecond each.
 * Machine thread only.
 *
 * Hot fields stand first: registers, flags, budget and attention, then the TLBs at fixed offsets.
 */
#ifndef IRQSCOPE_CPU_CPU_H
#define IRQSCOPE_CPU_CPU_H

#include <setjmp.h>

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/intr.h"
#include "bus/trace.h"
#include "cpu/decode.h"
#include "cpu/insn.h"
#include "cpu/regs.h"

/* A segment register with its descriptor cache. SDM Vol. 3A, 3.4.3 "Segment Registers". */
struct cpu_segment {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint16_t sel;
    uint16_t attr; /* enum seg_attr: descriptor bits 40-47 in 0-7, 52-55 in 12-15 */
};
enum seg_attr {
    SEG_A = 1u << 0,    /* accessed (code/data) */
    SEG_W = 1u << 1,    /* data: writable; code: readable */
    SEG_E = 1u << 2,    /* data: expand-down; code: conforming */
    SEG_CODE = 1u << 3, /* executable */
    SEG_S = 1u << 4,    /* code/data, not system */
    SEG_DPL_SHIFT = 5,
    SEG_DPL = 3u << 5,
    SEG_P = 1u << 7,
    SEG_AVL = 1u << 12,
    SEG_L = 1u << 13,
    SEG_DB = 1u << 14,
    SEG_G = 1u << 15,
    SEG_UNUSABLE = 1u << 8, /* null selector loaded */
};

struct cpu_table {
    uint64_t base;
    uint16_t limit;
};

/* Vectors. SDM Vol. 3A, table 6-1 "Protected-Mode Exceptions and Interrupts". */
enum cpu_vector {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
};

/* A software TLB entry. Tags hold the page's linear address | TLB_USER for CPL 3; low bits TLB_SLOW send the access to the slow path. */
#define TLB_SIZE    512
#define TLB_INVALID UINT64_MAX
enum tlb_bits {
    TLB_USER = 1u << 0, /* entry made for CPL 3 accesses */
    TLB_MMIO = 1u << 1, /* not RAM */
    TLB_CODE = 1u << 2, /* writes: page holds decoded code */
    TLB_SLOW = TLB_MMIO | TLB_CODE,
};
struct tlb_entry {
    uint64_t tag_r;
    uint64_t tag_w; /* valid only when the page is writable and its D bit is set */
    uintptr_t host; /* host address of the RAM page minus its linear address */
    uint64_t pa;    /* physical page address | TLB_GLOBAL */
};
#define TLB_GLOBAL 1ull
#define TLB_LARGE_SHIFT \
    1 /* 2 bits: log2 of the page in the tables: 0 = 4 KiB, 1 = 2 MiB, 2 = 4 MiB, 3 = 1 GiB */
struct itlb_entry {
    uint64_t tag;     /* linear page | TLB_USER */
    uint64_t pa;      /* physical page | TLB_GLOBAL */
    uint32_t version; /* changes whenever the entry does */
    uint32_t pad;
};

#define JUMP_CACHE_SIZE 4096
struct jump_entry {
    uint64_t rip; /* linear address of the block */
    uint32_t key;
    uint32_t version; /* of the itlb entry that it came from */
    struct block *block;
};

/* Lazy flags: operation, result, source. cpu/flags.h. */
struct cpu_cc {
    uint64_t res;
    uint64_t src;
    uint32_t op; /* enum cc_op */
};

/* A fault on its way from a handler to the loop. */
struct cpu_exception {
    uint8_t vector;
    bool has_error;
    bool soft;    /* INT n, INT3, INTO: not an exception for #DF rules */
    uint8_t type; /* enum cpu_event_type */
    uint32_t error;
    uint64_t cr2; /* #PF */
    uint64_t dr6; /* #DB: bits to set */
};

/* Frames that an IRET may close; the oldest is forgotten when full. */
#define CPU_OPEN_FRAMES 64
struct cpu_open_frame {
    cause_t frame; /* cpu_frame record */
    cause_t outer; /* context before it */
    uint64_t sp;   /* interrupted stack pointer (linear-free) */
    uint64_t cr3;
    uint8_t cpl;
};

enum cpu_stop {
    CPU_STOP_NONE,
    CPU_STOP_REQUEST,      /* somebody raised CPU_INTERRUPT_EXIT */
    CPU_STOP_HALTED,       /* HLT and nothing deliverable: the machine moves time */
    CPU_STOP_LIMIT,        /* reached the time given to cpu_exec() */
    CPU_STOP_TRIPLE_FAULT, /* shutdown */
    CPU_STOP_UNMODELLED,   /* see unmodelled_text */
};

struct cpu_model {
    const char *name;
    const char *vendor; /* 12 characters */
    const char *brand;
    uint32_t signature; /* CPUID.1:EAX */
    uint32_t max_leaf, max_ext_leaf;
    uint32_t f1_ecx, f1_edx, f7_ebx, f7_ecx, f81_ecx, f81_edx;
    uint8_t phys_bits, lin_bits;
};

struct x87_state {
    uint8_t st[8][16]; /* physical registers R0-R7: 80-bit value, little endian, padded */
    uint16_t fcw, fsw, ftw /* one bit per physical register: 1 = not empty */, fop;
    uint64_t fip, fdp;
    uint16_t fcs, fds;
    uint32_t mxcsr;
    uint8_t xmm[16][16];
};

/* struct cpu.attention: why the loop must look before the next block. cpu_update_attention() works it out. */
enum attention {
    ATTENTION_EVENT = 1u << 0,  /* a request may be deliverable, or its hold untold */
    ATTENTION_CLIP = 1u << 1,   /* tests clip every run */
    ATTENTION_TRAP = 1u << 2,   /* EFLAGS.TF */
    ATTENTION_DEVICE = 1u << 3, /* a device was accessed: the next deadline may have moved */
    ATTENTION_BLOCKS = 1u << 4, /* dropped blocks wait */
};

/* How a stack access is made (cpu/mem.h). */
enum stack_kind {
    STACK_FLAT64,
    STACK_FLAT32,
    STACK_GENERAL
};

/* struct cpu.mode_key: what a block depends on besides its bytes. */
enum mode_key {
    KEY_CODE16 = 0,
    KEY_CODE32 = 1,
    KEY_CODE64 = 2,
    KEY_CODE_MASK = 3,
    KEY_CPL_SHIFT = 2, /* 2 bits */
    KEY_SS32 = 1u << 4,
    KEY_FLAT = 1u << 5, /* CS, SS, DS, ES: base 0, limit 4 GiB, usable and writable as needed */
    KEY_VM = 1u << 6,
    KEY_TF = 1u << 7,
    KEY_REAL = 1u << 8, /* CR0.PE = 0 */
    KEY_EM = 1u << 9,
    KEY_TS = 1u << 10,
    KEY_MP = 1u << 11,
    KEY_NE0 = 1u << 12, /* CR0.NE = 0 */
    KEY_OSFXSR = 1u << 13,
};

struct cpu {
    union {
        uint64_t regs[REG_COUNT];
        struct {
            uint64_t gpr[16];
            uint64_t zero;
            uint64_t rip;
        };
    };
    struct cpu_cc cc;
    uint32_t attention; /* != 0: the loop must look before the next block */
    int64_t
        budget; /* instructions left until time_end, net of what the running block was charged */
    uint32_t mode_key;
    uint32_t eflags;  /* all but the arithmetic flags; EFLAGS_ONE set. cpu_get_eflags() has all */
    uint64_t tlb_key; /* TLB_USER at CPL 3, else 0 */
    struct cpu_segment seg[SEG_COUNT];
    uint64_t cr0, cr2, cr3, cr4, efer;
    uint8_t cpl;
    uint8_t code_bits;  /* 16, 32 or 64 */
    bool ss32;          /* stack pointer width outside 64-bit mode: SS.B */
    uint8_t stack_kind; /* enum stack_kind */
    bool long_mode;     /* EFER.LMA */

    vtime_t time_end;   /* virtual time at which budget reaches 0 */
    vtime_t exec_until; /* limit of the running cpu_exec() */
    uint64_t
        insns_end; /* this CPU's retired instructions (incl. delivered events and REP iterations) at that point */

    struct cpu_segment ldtr, tr;
    struct cpu_table gdtr, idtr;
    uint64_t dr[8];
    uint64_t pdpte[4]; /* PAE: loaded by MOV CR3 */
    /* MSRs with state of their own */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_offset, tsc_aux, pat, mtrr_def_type, mtrr_fixed[11], mtrr_var[16], misc_enable;
    struct x87_state x87;

    uint32_t interrupt_request; /* enum cpu_interrupt */
    cause_t request_cause[8];   /* per bit of interrupt_request */
    uint8_t sipi_vector;
    bool halted;
    bool nmi_blocked;
    bool shadow;     /* STI or MOV SS shadow: the next instruction runs without interrupts */
    bool shadow_ss;  /* the shadow also holds debug traps */
    uint64_t if_rip; /* instruction that cleared IF last, and when */
    vtime_t if_time;
    uint64_t shadow_rip;
    uint8_t held; /* enum trace_hold last told for `held_request` */
    uint32_t held_request;

    cause_t
        cur_cause; /* context: the frame record whose handler runs; parent of what instructions do */
    struct cpu_open_frame frames[CPU_OPEN_FRAMES];
    uint32_t nframes;

    /* Exception delivery (cpu/exception.c). */
    jmp_buf jmp;
    const struct insn *fault_in; /* instruction that left by longjmp; NULL outside blocks */
    struct cpu_exception fault;
    struct cpu_exception delivering;
    bool in_delivery;
    cause_t delivery_cause;

    enum cpu_stop stop;
    char unmodelled_text[256];

    uint16_t index;
    struct bus *bus;
    struct clock *clock;
    struct trace *trace;
    const struct intr_source_ops *intr;
    void *intr_opaque;
    const struct cpu_model *model;
    /* Told of every delivery, reset and triple fault with recording off too (QEMU's -d int). May be NULL. */
    void (*log_event)(void *opaque, struct cpu *cpu, const struct cpu_exception *ev);
    void *log_opaque;
    unsigned max_block; /* 1-63 */
    bool no_cache;
    bool in_shadow;       /* the instruction that a shadow protects runs now */
    bool in_shadow_ss;    /* and the shadow held debug traps too */
    bool one_insn;        /* an instruction left its block: run it alone */
    bool blocks_dropped;  /* dead blocks wait to be freed by the loop */
    bool device_accessed; /* since the loop last looked */
    uint32_t clip_state;  /* tests: != 0 clips every run at a random place (xorshift state) */
    int32_t
        probe_fail; /* tests: > 0 counts slow accesses down; at 0 the access leaves its instruction once */
    const struct insn
        *probed; /* tests: has probed for the store that completes its read-modify-write */
    uint32_t itlb_version;
    bool tlb_large; /* entries of large pages may be in the TLBs */

    struct decode_tables *tables;
    struct block_cache *blocks;
    struct block *scratch; /* clipped runs are copied here */

    struct tlb_entry tlb[TLB_SIZE] __attribute__((aligned(64)));
    struct itlb_entry itlb[TLB_SIZE] __attribute__((aligned(64)));
    struct jump_entry jump[JUMP_CACHE_SIZE] __attribute__((aligned(64)));
};

struct cpu_config {
    uint16_t index;
    bool bsp;
    const struct cpu_model *model;
    struct bus *bus;
    struct clock *clock;
    struct trace *trace;
    const struct intr_source_ops *intr;
    void *intr_opaque;
    unsigned max_block; /* 0 = default (63) */
    bool no_cache;
    uint32_t clip_seed; /* tests: random clips of every run; 0 = off */
};

/* ---- life ---- */
/* 0 or -ENOMEM. */
int cpu_init(struct cpu *cpu, const struct cpu_config *config);
void cpu_fini(struct cpu *cpu);
enum cpu_reset_kind {
    CPU_RESET_POWER_ON,
    CPU_RESET_INIT
};
/* SDM Vol. 3A, table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
void cpu_reset(struct cpu *cpu, enum cpu_reset_kind kind);
/* Look a model up by QEMU's name ("pentium3", "qemu64"...); NULL if unknown. cpu_models[] ends with a NULL name. */
const struct cpu_model *cpu_model_find(const char *name);
extern const struct cpu_model cpu_models[];

/* ---- running ---- */
/* Run until virtual time `until` or a stop. Services due clock events at every poll. Returns why it stopped. */
enum cpu_stop cpu_exec(struct cpu *cpu, vtime_t until);

/* ---- interrupts in: struct intr_sink_ops; opaque is the cpu ---- */
extern const struct intr_sink_ops cpu_intr_sink_ops;
void cpu_interrupt(struct cpu *cpu, uint32_t bits, cause_t cause);
void cpu_reset_interrupt(struct cpu *cpu, uint32_t bits);

/* ---- state for loaders, debuggers, tests ---- */
uint32_t cpu_get_eflags(const struct cpu *cpu);
void cpu_set_eflags(struct cpu *cpu, uint32_t eflags);
/* Recompute what is derived from CR0, CR4, EFER, CS, SS, EFLAGS: code_bits, mode_key, tlb_key, attention. Call after changing any. */
void cpu_update_mode(struct cpu *cpu);
void cpu_update_attention(struct cpu *cpu);
void cpu_flush_tlb(struct cpu *cpu, bool global_too);
void cpu_flush_page(struct cpu *cpu, uint64_t lin);
/* Instructions retired so far, exact at any time. */
uint64_t cpu_insns(const struct cpu *cpu);
/* Translate for a debugger: no A/D bits, no faults. false if not mapped. */
bool cpu_translate_debug(const struct cpu *cpu, uint64_t lin, gpa_t *gpa);
/* Copy from linear memory for a debugger; returns bytes copied. */
size_t cpu_read_debug(const struct cpu *cpu, uint64_t lin, void *buf, size_t len);
/* Hash of registers, flags, segments and TLB tags (tests). */
uint64_t cpu_state_hash(const struct cpu *cpu);

#endif
