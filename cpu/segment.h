/* SPDX-License-Identifier: MIT */
/*
 * What the system side of the processor shares: descriptors, segment loads, frames on a stack, EFLAGS with their consequences.
 *
 * Intel SDM Vol. 3A (325384), chapters 3 "Protected-Mode Memory Management" and 5 "Protection". Functions that take `in` may leave
 * by cpu_fault(); none of them changes state before the last check has passed, unless it says so.
 */
#ifndef IRQSCOPE_CPU_SEGMENT_H
#define IRQSCOPE_CPU_SEGMENT_H

#include "cpu/cpu.h"
#include "cpu/exception.h"
#include "cpu/exec.h"
#include "cpu/mem.h"

/* System descriptor types. SDM Vol. 3A, table 3-2 "System-Segment and Gate-Descriptor Types". */
enum desc_type {
    DESC_TSS16 = 1,
    DESC_LDT = 2,
    DESC_TSS16_BUSY = 3,
    DESC_CALL16 = 4,
    DESC_TASK_GATE = 5,
    DESC_INT16 = 6,
    DESC_TRAP16 = 7,
    DESC_TSS32 = 9,
    DESC_TSS32_BUSY = 11,
    DESC_CALL32 = 12,
    DESC_INT32 = 14,
    DESC_TRAP32 = 15,
};

#define SEG_TYPE        0x0fu /* of seg_attr */
#define SEG_TYPE_S      0x1fu
#define SEG_REAL_ATTR   (SEG_P | SEG_S | SEG_W | SEG_A)
#define SEG_V86_ATTR    (SEG_P | SEG_DPL | SEG_S | SEG_W | SEG_A)
#define SEG_FLAT_LIMIT  0xffffffffu
#define SEG_CODE64_ATTR (SEG_G | SEG_L | SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A)
#define SEG_CODE32_ATTR (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A)
#define SEG_FLATDS_ATTR (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_W | SEG_A)
#define SEL_NULL(sel)   (((sel)&0xfffcu) == 0)
#define SEL_ERROR(sel)  ((uint32_t)(sel)&0xfffcu)

static inline uint16_t seg_desc_attr(uint64_t d)
{
    return (uint16_t)((d >> 40) & 0xf0ff);
}

static inline uint32_t seg_desc_base(uint64_t d)
{
    return (uint32_t)(((d >> 16) & 0xffffff) | ((d >> 32) & 0xff000000));
}

static inline uint32_t seg_desc_limit(uint64_t d)
{
    uint32_t limit = (uint32_t)((d & 0xffff) | ((d >> 32) & 0xf0000));
    return (d & (1ull << 55)) ? (limit << 12) | 0xfff : limit;
}

static inline unsigned seg_dpl(uint32_t attr)
{
    return (attr & SEG_DPL) >> SEG_DPL_SHIFT;
}

static inline bool seg_is_code(uint32_t attr)
{
    return (attr & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE);
}

/* A data segment that may be written: what SS must be. */
static inline bool seg_is_stack(uint32_t attr)
{
    return (attr & (SEG_S | SEG_CODE | SEG_W)) == (SEG_S | SEG_W);
}

static inline struct cpu_segment seg_from_desc(uint16_t sel, uint64_t d)
{
    return (struct cpu_segment){
        .base = seg_desc_base(d),
        .limit = seg_desc_limit(d),
        .sel = sel,
        .attr = seg_desc_attr(d),
    };
}

static inline bool cpu_real_mode(const struct cpu *cpu)
{
    return !(cpu->cr0 & CR0_PE);
}

static inline bool cpu_v86_mode(const struct cpu *cpu)
{
    return (cpu->eflags & EFLAGS_VM) != 0;
}

static inline unsigned cpu_iopl(const struct cpu *cpu)
{
    return (cpu->eflags & EFLAGS_IOPL) >> 12;
}

/* Is the address canonical for 48-bit linear addresses? SDM Vol. 1, 3.3.7.1 "Canonical Addressing". */
static inline bool cpu_canonical(uint64_t lin)
{
    return (uint64_t)((int64_t)(lin << 16) >> 16) == lin;
}

/* Linear address of an offset in a table; wraps at 4 GiB outside IA-32e mode. */
static inline uint64_t cpu_wrap_linear(const struct cpu *cpu, uint64_t lin)
{
    return cpu->long_mode ? lin : (uint32_t)lin;
}

/* ---- implicit supervisor accesses: hits in the TLB without a call ---- */

static inline uint64_t sys_ld(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size)
{
    const struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);
    if (irq_likely(e->tag_r == ((lin + size - 1) & ~0xfffull))) {
        uint64_t v = 0;
        memcpy(&v, (const void *)(e->host + lin), size);
        return v;
    }
    return mem_load(cpu, in, lin, size, MEM_READ | MEM_SYS);
}

/* ---- descriptors ---- */

/* Fetch the 8-byte descriptor of sel. False if sel is outside its table (or there is no LDT). *addr is its linear address. */
bool seg_fetch(struct cpu *cpu, const struct insn *in, uint16_t sel, uint64_t *desc,
               uint64_t *addr);
/* Set the accessed bit of a code or data descriptor in memory and in *desc, if it is clear. */
void seg_mark_accessed(struct cpu *cpu, const struct insn *in, uint64_t addr, uint64_t *desc);

/* ---- segment registers ---- */

/*
 * MOV, POP, Lxs to ES, SS, DS, FS, GS, in any mode, with the checks of SDM Vol. 2, "MOV": #GP, #NP, #SS with the
 * selector. Calls cpu_update_mode() when the hidden part changed.
 */
void seg_load(struct cpu *cpu, const struct insn *in, unsigned seg, uint16_t sel);
/* The hidden part as real-address and virtual-8086 mode load it. */
void seg_set_real(struct cpu *cpu, unsigned seg, uint16_t sel);
/* Null a data segment register; its base stays as it was. */
void seg_set_null(struct cpu_segment *s, uint16_t sel);
/* Return to an outer level: DS, ES, FS, GS that the new CPL may not use become null. SDM Vol. 3A, 5.8.6 "Returning from a Called Procedure". */
void seg_drop_privileged(struct cpu *cpu);
/*
 * Checks for a new stack segment that comes with a change to `cpl` (from a TSS, or from a frame); vector is the fault for a bad selector
 * (#TS or #GP). A null selector is the caller's affair.
 */
struct cpu_segment seg_check_stack(struct cpu *cpu, const struct insn *in, uint16_t sel,
                                   unsigned cpl, uint8_t vector);
/*
 * Checks for a code segment that a return (RETF, IRET) goes to: #GP and #NP with the selector. SDM Vol. 2, "RET" and "IRET".
 * The new CPL is the selector's RPL.
 */
struct cpu_segment seg_check_return(struct cpu *cpu, const struct insn *in, uint16_t sel);
/* #GP(0) unless rip is inside cs (canonical in 64-bit code). */
void seg_check_rip(struct cpu *cpu, const struct insn *in, const struct cpu_segment *cs,
                   uint64_t rip);
/* LLDT, LTR. Not in real or virtual-8086 mode, CPL 0. */
void seg_load_ldtr(struct cpu *cpu, const struct insn *in, uint16_t sel);
void seg_load_tr(struct cpu *cpu, const struct insn *in, uint16_t sel);

/* ---- frames ---- */

/* A stack that a frame goes to before it is anybody's SS:RSP. */
struct seg_stack {
    struct cpu_segment ss;
    uint64_t sp;
    uint8_t cpl;        /* pushes are made with this privilege */
    bool is64;          /* RSP, no segment */
    uint16_t fault_sel; /* selector in #SS's error code */
};

/* The stack in use. */
static inline struct seg_stack seg_current_stack(const struct cpu *cpu)
{
    return (struct seg_stack){
        .ss = cpu->seg[SEG_SS],
        .sp = cpu->regs[REG_RSP],
        .cpl = cpu->cpl,
        .is64 = cpu->code_bits == 64,
    };
}

/*
 * The stack for privilege level cpl from the current 16- or 32-bit TSS. SDM Vol. 3A, 5.8.5 "Stack Switching": #TS with the
 * TSS's or the new SS's selector, #SS if that is not present.
 */
struct seg_stack seg_tss_stack(struct cpu *cpu, const struct insn *in, unsigned cpl);
/* RSPn (ist = 0) or ISTn from the 64-bit TSS. #TS with the TSS's selector; a non-canonical value is #SS(0). */
uint64_t seg_tss_rsp(struct cpu *cpu, const struct insn *in, unsigned cpl, unsigned ist);
/*
 * Push n values of size bytes, v[0] first. Every byte is probed before the first is stored. Returns the stack pointer after the
 * pushes (bits above a 16-bit SP kept). #SS(fault_sel) when there is no room.
 */
uint64_t seg_push_frame(struct cpu *cpu, const struct insn *in, const struct seg_stack *st,
                        const uint64_t *v, unsigned n, unsigned size);

/* Make cs, ss, rip and the like what the CPU runs with; updates the mode only if something that it depends on changed. */
void seg_commit_cs(struct cpu *cpu, const struct cpu_segment *cs, unsigned cpl, uint64_t rip);
void seg_commit_stack(struct cpu *cpu, const struct cpu_segment *ss, uint64_t rsp);

/* ---- EFLAGS ---- */

/*
 * Replace EFLAGS; keeps who cleared IF last (since_rip), tells of holds that arise, and updates mode or attention
 * where bits that matter changed.
 */
void cpu_change_eflags(struct cpu *cpu, const struct insn *in, uint32_t eflags, uint64_t since_rip);
/* Set or clear ZF alone. */
void cpu_set_zf(struct cpu *cpu, bool zf);
/* Emit a hold record if what keeps a pending request from delivery is another reason than last time (cpu/interrupt.c). */
void cpu_note_holds(struct cpu *cpu, const struct insn *in);

/* The same handler for every operand size: a row of struct op_fns. */
#define OP_ALL_SIZES(f) f, f, f, f

/* A register destination by operand size: 32 bits zero the rest, 16 bits leave it. */
static inline void cpu_set_operand(struct cpu *cpu, const struct insn *in, unsigned reg, uint64_t v)
{
    if (insn_osize(in) == 1) {
        cpu->regs[reg] = (cpu->regs[reg] & ~0xffffull) | (v & 0xffff);
    } else {
        cpu->regs[reg] = insn_osize(in) == 2 ? (uint32_t)v : v;
    }
}

/* #GP(0) unless CPL is 0. */
static inline void cpu_check_cpl0(struct cpu *cpu, const struct insn *in)
{
    if (irq_unlikely(cpu->cpl != 0)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
}

/* Set up ev as cpu->delivering and enter its handler; a fault on the way finds in_delivery set. cause is what the take is put down to. */
void cpu_deliver_event(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev,
                       cause_t cause);

/* CR0 and CR4 (MOV CR, LMSW): every check, then the change. */
void cpu_write_cr0(struct cpu *cpu, const struct insn *in, uint64_t value);
void cpu_write_cr4(struct cpu *cpu, const struct insn *in, uint64_t value);

/* ---- features of the CPU model (CPUID) ---- */
#define F1D_FPU      (1u << 0)
#define F1D_VME      (1u << 1)
#define F1D_DE       (1u << 2)
#define F1D_PSE      (1u << 3)
#define F1D_TSC      (1u << 4)
#define F1D_MSR      (1u << 5)
#define F1D_PAE      (1u << 6)
#define F1D_MCE      (1u << 7)
#define F1D_CX8      (1u << 8)
#define F1D_APIC     (1u << 9)
#define F1D_SEP      (1u << 11)
#define F1D_MTRR     (1u << 12)
#define F1D_PGE      (1u << 13)
#define F1D_MCA      (1u << 14)
#define F1D_CMOV     (1u << 15)
#define F1D_PAT      (1u << 16)
#define F1D_PSE36    (1u << 17)
#define F1D_CLFSH    (1u << 19)
#define F1D_MMX      (1u << 23)
#define F1D_FXSR     (1u << 24)
#define F1D_SSE      (1u << 25)
#define F1D_SSE2     (1u << 26)
#define F1C_SSE3     (1u << 0)
#define F1C_MON      (1u << 3)
#define F1C_CX16     (1u << 13)
#define F1C_PCID     (1u << 17)
#define F1C_MOVBE    (1u << 22)
#define F1C_POPCNT   (1u << 23)
#define F1C_XSAVE    (1u << 26)
#define F1C_RDRAND   (1u << 30)
#define F1C_HV       (1u << 31)
#define F7B_FSGSBASE (1u << 0)
#define F7B_SMEP     (1u << 7)
#define F7B_INVPCID  (1u << 10)
#define F7B_RDSEED   (1u << 18)
#define F7B_SMAP     (1u << 20)
#define F7C_UMIP     (1u << 2)
#define F81D_SYSCALL (1u << 11)
#define F81D_NX      (1u << 20)
#define F81D_RDTSCP  (1u << 27)
#define F81D_LM      (1u << 29)
#define F81C_LAHF    (1u << 0)
#define F81C_CR8     (1u << 4)
#define F81C_ABM     (1u << 5)

#endif
