/* SPDX-License-Identifier: MIT */
/*
 * Memory as instructions see it: effective address, linear access through the TLB, stack access.
 *
 * Loads and stores by mem_ld and mem_st take a *linear* address. The inline part is a TLB hit in RAM inside one page; everything else
 * (miss, page crossing, MMIO, code page, faults) is out of line and may leave by longjmp. A read-modify-write loads with mem_ldw, which
 * makes every check that the store would make, so that the following mem_st to the same place cannot fault.
 */
#ifndef IRQSCOPE_CPU_MEM_H
#define IRQSCOPE_CPU_MEM_H

#include <string.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"

enum mem_flags {
    MEM_READ = 0,
    MEM_WRITE = 1,  /* check (or do) a write */
    MEM_FETCH = 2,  /* instruction fetch */
    MEM_SYS = 4,    /* implicit supervisor access: descriptor tables, TSS, whatever CPL */
    MEM_USER = 8,   /* as CPL 3 */
    MEM_SUPER = 16, /* as CPL 0-2: frame pushes to an inner stack */
    MEM_STACK = 32, /* a non-canonical address is #SS(0), not #GP(0) */
};

/* Out of line accesses; size 1, 2, 4, 8. flags: enum mem_flags. in may be NULL (between blocks). */
uint64_t mem_load(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size,
                  unsigned flags);
void mem_store(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size, uint64_t value,
               unsigned flags);
/* All checks of an access of len bytes (any length up to two pages), A/D bits included, and leaves before MMIO or own code if `in` is not last. */
void mem_probe(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned len, unsigned flags);
/* Loads for read-modify-write: probe for writing, then load. */
uint64_t mem_load_rmw(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size);
/*
 * Host pointer to [lin, lin+len) for bulk string operations if it is plain RAM in one page that may be accessed so, else NULL. For writes
 * the page holds no code. Fills the TLB as an access at lin would; faults as one.
 */
uint8_t *mem_bulk_ptr(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned len,
                      unsigned flags);

#define MEM_TLB_ENTRY(cpu, lin) (&(cpu)->tlb[((lin) >> 12) & (TLB_SIZE - 1)])
/* The last byte's page must be the entry's page: catches misses and crossings at once. */
#define MEM_TAG(cpu, lin, size) ((((lin) + (size)-1) & ~0xfffull) | (cpu)->tlb_key)

/* mem_ldN and mem_stN; stack_ldN and stack_stN are the same for the stack. */
#define MEM_DEFINE(prefix, flags, bits, size)                                                  \
    static inline uint##bits##_t prefix##_ld##bits(struct cpu *cpu, const struct insn *in,     \
                                                   uint64_t lin)                               \
    {                                                                                          \
        const struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);                                   \
        if (irq_likely(e->tag_r == MEM_TAG(cpu, lin, size))) {                                 \
            uint##bits##_t v;                                                                  \
            memcpy(&v, (const void *)(e->host + lin), size);                                   \
            return v;                                                                          \
        }                                                                                      \
        return (uint##bits##_t)mem_load(cpu, in, lin, size, MEM_READ | (flags));               \
    }                                                                                          \
    static inline void prefix##_st##bits(struct cpu *cpu, const struct insn *in, uint64_t lin, \
                                         uint##bits##_t v)                                     \
    {                                                                                          \
        const struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);                                   \
        if (irq_likely(e->tag_w == MEM_TAG(cpu, lin, size))) {                                 \
            memcpy((void *)(e->host + lin), &v, size);                                         \
            return;                                                                            \
        }                                                                                      \
        mem_store(cpu, in, lin, size, v, MEM_WRITE | (flags));                                 \
    }

#define MEM_DEFINE_RMW(bits, size)                                                     \
    static inline uint##bits##_t mem_ldw##bits(struct cpu *cpu, const struct insn *in, \
                                               uint64_t lin)                           \
    {                                                                                  \
        const struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);                           \
        if (irq_likely(e->tag_w == MEM_TAG(cpu, lin, size))) {                         \
            uint##bits##_t v;                                                          \
            memcpy(&v, (const void *)(e->host + lin), size);                           \
            return v;                                                                  \
        }                                                                              \
        return (uint##bits##_t)mem_load_rmw(cpu, in, lin, size);                       \
    }
MEM_DEFINE(mem, 0, 8, 1)
MEM_DEFINE(mem, 0, 16, 2)
MEM_DEFINE(mem, 0, 32, 4)
MEM_DEFINE(mem, 0, 64, 8)
MEM_DEFINE(stack, MEM_STACK, 16, 2)
MEM_DEFINE(stack, MEM_STACK, 32, 4)
MEM_DEFINE(stack, MEM_STACK, 64, 8)
MEM_DEFINE_RMW(8, 1)
MEM_DEFINE_RMW(16, 2)
MEM_DEFINE_RMW(32, 4)
MEM_DEFINE_RMW(64, 8)

/* ---- effective addresses ---- */

/* Offset (without segment) of the memory operand, masked to the address size. */
uint64_t mem_ea_offset(const struct cpu *cpu, const struct insn *in);
/* Linear address of [seg:off], all checks of SDM Vol. 3A, 5.3 "Limit Checking" and 5.4 "Type Checking"; faults with #GP(0) or #SS(0). flags: MEM_READ or MEM_WRITE. */
uint64_t mem_segment(struct cpu *cpu, const struct insn *in, unsigned seg, uint64_t off,
                     unsigned size, unsigned flags);
uint64_t mem_ea_general(struct cpu *cpu, const struct insn *in, unsigned size, unsigned flags);

/* Linear address of the memory operand, checked for an access of size bytes. */
static inline uint64_t mem_ea(struct cpu *cpu, const struct insn *in, unsigned size, unsigned flags)
{
    uint64_t a =
        cpu->regs[in->base] + (cpu->regs[in->idx] << in->scale) + (uint64_t)(int64_t)in->disp;
    if (irq_likely(in->ea == EA_FLAT64)) {
        return a;
    }
    if (in->ea == EA_FLAT32) {
        return (uint32_t)a;
    }
    if (in->ea == EA_BASE64) {
        return a + cpu->seg[in->seg].base;
    }
    return mem_ea_general(cpu, in, size, flags);
}

/* ---- stack ---- */

/* Linear address of [SS:SP + delta], checked for size bytes. */
uint64_t stack_address_general(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size,
                               unsigned flags);

static inline uint64_t stack_address(struct cpu *cpu, const struct insn *in, int64_t delta,
                                     unsigned size, unsigned flags)
{
    if (irq_likely(cpu->stack_kind == STACK_FLAT64)) {
        return cpu->regs[REG_RSP] + (uint64_t)delta;
    }
    if (cpu->stack_kind == STACK_FLAT32) {
        return (uint32_t)(cpu->regs[REG_RSP] + (uint64_t)delta);
    }
    return stack_address_general(cpu, in, delta, size, flags);
}

/* Set RSP, ESP or SP by the stack's width, keeping the bits above a 16-bit SP. */
static inline void stack_set(struct cpu *cpu, uint64_t sp)
{
    if (cpu->code_bits == 64) {
        cpu->regs[REG_RSP] = sp;
    } else if (cpu->ss32) {
        cpu->regs[REG_RSP] = (uint32_t)sp;
    } else {
        cpu->regs[REG_RSP] = (cpu->regs[REG_RSP] & ~0xffffull) | (sp & 0xffff);
    }
}

static inline void stack_add(struct cpu *cpu, int64_t delta)
{
    stack_set(cpu, cpu->regs[REG_RSP] + (uint64_t)delta);
}

/* Value at [SP + offset]; does not move SP. size 2, 4 or 8. */
static inline uint64_t stack_read(struct cpu *cpu, const struct insn *in, unsigned offset,
                                  unsigned size)
{
    uint64_t lin = stack_address(cpu, in, (int64_t)offset, size, MEM_READ);
    switch (size) {
    case 8:
        return stack_ld64(cpu, in, lin);
    case 4:
        return stack_ld32(cpu, in, lin);
    default:
        return stack_ld16(cpu, in, lin);
    }
}

/* Push: stores below SP, then moves SP (nothing is committed if the store faults). */
static inline void stack_push(struct cpu *cpu, const struct insn *in, unsigned size, uint64_t value)
{
    uint64_t lin = stack_address(cpu, in, -(int64_t)size, size, MEM_WRITE);
    switch (size) {
    case 8:
        stack_st64(cpu, in, lin, value);
        break;
    case 4:
        stack_st32(cpu, in, lin, (uint32_t)value);
        break;
    default:
        stack_st16(cpu, in, lin, (uint16_t)value);
        break;
    }
    stack_add(cpu, -(int64_t)size);
}

#endif
