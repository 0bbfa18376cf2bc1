/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of integer instructions share: registers by size, memory operands, and the
 * macros that make one handler for each operand size. Intel SDM Vol. 2 (325383), chapters 3-5
 * "Instruction Set Reference".
 *
 * The scheme. A macro that takes the operand size B (8, 16, 32, 64 as a plain token) defines one
 * handler; OP_EACH_B and OP_EACH_V repeat it for the byte and for the 16-, 32- and 64-bit forms;
 * OP_FNS_B and OP_FNS_V put the handlers into the table of cpu/insn.h.
 *
 * A handler that uses memory exists twice. The quick one does only a TLB hit at a flat address, so
 * that it needs no stack frame; on anything else it tail-calls NAME_slow_B, which does the same
 * instruction through cpu/mem.h. OP_LOAD, OP_STORE and OP_RMW make both from one body. In the body,
 * v is the operand (OP_LOAD, OP_RMW) and out the value to store (OP_STORE, OP_RMW). The body of an
 * OP_RMW may set registers and flags, since its store cannot fault any more; that of an OP_STORE
 * must not.
 *
 * Undefined flags and results have one value here, on every host; each op_*.c names its own. LOCK
 * needs nothing: there is one thread.
 *
 * Not modelled: CPUID's CMOV and CX8 bits are not checked; every model has both.
 */
#ifndef IRQSCOPE_CPU_OP_TEMPLATE_H
#define IRQSCOPE_CPU_OP_TEMPLATE_H

#include "cpu/exception.h"
#include "cpu/exec.h"
#include "cpu/flags.h"
#include "cpu/mem.h"

#define OP_NOINLINE       __attribute__((noinline))
#define OP_HANDLER(name)  static const struct insn *name(struct cpu *cpu, const struct insn *in)
#define OP_NEXT           INSN_RETURN INSN_NEXT(cpu, in)
#define OP_CHAIN(slot)    INSN_RETURN exec_chain(cpu, in, slot)
#define OP_CHAIN_INDIRECT INSN_RETURN exec_chain_indirect(cpu, in)

/* ---- registers ---- */

static inline uint8_t reg_get_8(const struct cpu *cpu, unsigned offset)
{
    return ((const uint8_t *)cpu->regs)[offset];
}

static inline void reg_set_8(struct cpu *cpu, unsigned offset, uint8_t v)
{
    ((uint8_t *)cpu->regs)[offset] = v;
}

static inline uint16_t reg_get_16(const struct cpu *cpu, unsigned n)
{
    return (uint16_t)cpu->regs[n];
}

static inline void reg_set_16(struct cpu *cpu, unsigned n, uint16_t v)
{
    memcpy(&cpu->regs[n], &v, sizeof(v));
}

static inline uint32_t reg_get_32(const struct cpu *cpu, unsigned n)
{
    return (uint32_t)cpu->regs[n];
}

/*
 * SDM Vol. 1, 3.4.1.1 "General-Purpose Registers in 64-Bit Mode": 32-bit results are zero-extended.
 */
static inline void reg_set_32(struct cpu *cpu, unsigned n, uint32_t v)
{
    cpu->regs[n] = v;
}

static inline uint64_t reg_get_64(const struct cpu *cpu, unsigned n)
{
    return cpu->regs[n];
}

static inline void reg_set_64(struct cpu *cpu, unsigned n, uint64_t v)
{
    cpu->regs[n] = v;
}

/* ---- sizes ---- */

#define OP_U(B)           uint##B##_t
#define OP_S(B)           int##B##_t

#define OP_EACH_B(M, ...) M(8, ##__VA_ARGS__)
#define OP_EACH_V(M, ...) \
    M(16, ##__VA_ARGS__)  \
    M(32, ##__VA_ARGS__)  \
    M(64, ##__VA_ARGS__)
#define OP_EACH(M, ...)         \
    OP_EACH_B(M, ##__VA_ARGS__) \
    OP_EACH_V(M, ##__VA_ARGS__)

/* Rows of the handler table; OP_NONE_* where a form does not exist. */
#define OP_FNS_B(id, reg, mem) const struct op_fns fns_##id = {.fn = {{reg##_8}, {mem##_8}}};
#define OP_FNS_V(id, reg, mem)       \
    const struct op_fns fns_##id = { \
        .fn = {{NULL, reg##_16, reg##_32, reg##_64}, {NULL, mem##_16, mem##_32, mem##_64}}};
#define OP_FNS_REG_B(id, reg) const struct op_fns fns_##id = {.fn = {{reg##_8}}};
#define OP_FNS_REG_V(id, reg) \
    const struct op_fns fns_##id = {.fn = {{NULL, reg##_16, reg##_32, reg##_64}}};
#define OP_FNS_MEM_V(id, mem) \
    const struct op_fns fns_##id = {.fn = {{NULL}, {NULL, mem##_16, mem##_32, mem##_64}}};
/* No operand size, no memory operand. */
#define OP_FNS_ONE(id, name) const struct op_fns fns_##id = {.fn = {{name}}};

/* ---- memory operands ---- */

/*
 * Defines host, the host address of the B-bit operand, if it is at a flat address and the TLB knows
 * its page (tag: tag_r or tag_w); else tail-calls slow.
 */
#define OP_HOST(B, tag, slow)                                                                  \
    uint64_t lin =                                                                             \
        cpu->regs[in->base] + (cpu->regs[in->idx] << in->scale) + (uint64_t)(int64_t)in->disp; \
    if (irq_unlikely(in->ea != EA_FLAT64)) {                                                   \
        if (in->ea != EA_FLAT32) {                                                             \
            INSN_RETURN slow(cpu, in);                                                         \
        }                                                                                      \
        lin = (uint32_t)lin;                                                                   \
    }                                                                                          \
    OP_HOST_AT(B, tag, slow)
/* The same at the linear address lin. */
#define OP_HOST_AT(B, tag, slow)                                   \
    const struct tlb_entry *const entry = MEM_TLB_ENTRY(cpu, lin); \
    if (irq_unlikely(entry->tag != MEM_TAG(cpu, lin, B / 8))) {    \
        INSN_RETURN slow(cpu, in);                                 \
    }                                                              \
    void *const host = (void *)(entry->host + (uintptr_t)lin);

#define OP_LOAD(B, name, ...)                                                   \
    OP_NOINLINE OP_HANDLER(name##_slow_##B)                                     \
    {                                                                           \
        const OP_U(B) v = mem_ld##B(cpu, in, mem_ea(cpu, in, B / 8, MEM_READ)); \
        __VA_ARGS__                                                             \
        OP_NEXT;                                                                \
    }                                                                           \
    OP_HANDLER(name##_##B)                                                      \
    {                                                                           \
        OP_U(B) v;                                                              \
        OP_HOST(B, tag_r, name##_slow_##B)                                      \
        memcpy(&v, host, sizeof(v));                                            \
        __VA_ARGS__                                                             \
        OP_NEXT;                                                                \
    }

#define OP_STORE(B, name, ...)                                  \
    OP_NOINLINE OP_HANDLER(name##_slow_##B)                     \
    {                                                           \
        const uint64_t lin = mem_ea(cpu, in, B / 8, MEM_WRITE); \
        OP_U(B) out;                                            \
        __VA_ARGS__                                             \
        mem_st##B(cpu, in, lin, out);                           \
        OP_NEXT;                                                \
    }                                                           \
    OP_HANDLER(name##_##B)                                      \
    {                                                           \
        OP_U(B) out;                                            \
        OP_HOST(B, tag_w, name##_slow_##B)                      \
        __VA_ARGS__                                             \
        memcpy(host, &out, sizeof(out));                        \
        OP_NEXT;                                                \
    }

#define OP_RMW(B, name, ...)                                    \
    OP_NOINLINE OP_HANDLER(name##_slow_##B)                     \
    {                                                           \
        const uint64_t lin = mem_ea(cpu, in, B / 8, MEM_WRITE); \
        const OP_U(B) v = mem_ldw##B(cpu, in, lin);             \
        OP_U(B) out;                                            \
        __VA_ARGS__                                             \
        mem_st##B(cpu, in, lin, out);                           \
        OP_NEXT;                                                \
    }                                                           \
    OP_HANDLER(name##_##B)                                      \
    {                                                           \
        OP_U(B) v, out;                                         \
        OP_HOST(B, tag_w, name##_slow_##B)                      \
        memcpy(&v, host, sizeof(v));                            \
        __VA_ARGS__                                             \
        memcpy(host, &out, sizeof(out));                        \
        OP_NEXT;                                                \
    }

/* ---- helpers (cpu/op_util.c) ---- */

/*
 * Handlers to tail-call: #GP(0), #DE, #UD; work the lazy flags out and run the instruction again.
 */
insn_fn op_fault_gp0, op_fault_de, op_fault_ud, op_again_raw;

/* Address mask of the instruction's address size. */
static inline uint64_t op_address_mask(const struct insn *in)
{
    return UINT64_MAX >> (64 - (8u << insn_asize(in)));
}

/*
 * Linear address of in->seg:off as in->ea says, for operands whose offset is not that of the ModRM
 * byte (moffs, XLAT, strings, bit strings). off is masked to the address size already.
 */
uint64_t op_linear(struct cpu *cpu, const struct insn *in, uint64_t off, unsigned size,
                   unsigned flags);
/* Linear address of ES:off, the destination of string instructions. */
uint64_t op_linear_es(struct cpu *cpu, const struct insn *in, uint64_t off, unsigned size,
                      unsigned flags);

/* Plain RAM that a load can read without a look at anything else: nothing to probe before. */
static inline bool op_quick_read(const struct cpu *cpu, uint64_t lin, unsigned size)
{
    return MEM_TLB_ENTRY(cpu, lin)->tag_r == MEM_TAG(cpu, lin, size);
}

/*
 * Load and store on the stack at SP + delta with the stack's faults; size 2, 4 or 8. SP does not
 * move.
 */
uint64_t op_stack_load(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size);
void op_stack_store(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size,
                    uint64_t value);
/* All checks of such a store. */
void op_stack_probe(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size);

/* Before size bytes at lin are read and pushed: both operands are probed before either device is read. */
static inline void op_probe_read_push(struct cpu *cpu, const struct insn *in, uint64_t lin,
                                      unsigned size)
{
    if (!op_quick_read(cpu, lin, size)) {
        mem_probe(cpu, in, lin, size, MEM_READ);
        op_stack_probe(cpu, in, -(int64_t)size, size);
    }
}

#endif
