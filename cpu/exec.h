/* SPDX-License-Identifier: MIT */
/*
 * What instruction handlers may ask of the execution loop: exact time, causes, chaining, leaving.
 */
#ifndef IRQSCOPE_CPU_EXEC_H
#define IRQSCOPE_CPU_EXEC_H

#include "cpu/cpu.h"
#include "cpu/insn.h"

/* Values that longjmp brings to the loop. */
enum exec_jump {
    JUMP_FAULT = 1,
    JUMP_UNMODELLED = 2,
    JUMP_LEAVE = 3
};

static inline uint64_t insn_rip(const struct cpu *cpu, const struct insn *in)
{
    return cpu->rip + in->end - in->len;
}

static inline uint64_t insn_next_rip(const struct cpu *cpu, const struct insn *in)
{
    return cpu->rip + in->end;
}

/* Do bytes at [pa, pa+len) belong to the block that `in` stands in? */
static inline bool insn_in_own_block(const struct insn *in, gpa_t pa, unsigned len)
{
    const struct block *b = insn_block(in);
    return pa < b->pa + b->bytes && pa + len > b->pa;
}

/* Virtual time at which `in` executes; exact inside blocks. in == NULL: between blocks. */
static inline vtime_t cpu_now(const struct cpu *cpu, const struct insn *in)
{
    int64_t left = cpu->budget;
    if (in) {
        left += insn_block(in)->n - in->index;
    }
    return cpu->time_end - (vtime_t)left;
}

/* Make clock->now exact for `in`, before anything that looks at the clock or emits a record. */
void cpu_sync(struct cpu *cpu, const struct insn *in);
/* Attributes of a bus access made by `in` (NULL: by the CPU between blocks); syncs the clock. */
struct bus_attrs cpu_attrs(struct cpu *cpu, const struct insn *in);

/* Extra time beyond the one instruction: n more iterations or events. Only in the last instruction of its block. */
static inline void cpu_charge(struct cpu *cpu, uint64_t n)
{
    cpu->budget -= (int64_t)n;
}

/* Iterations that a REP instruction (last of its block) may make before the next look is due: at least 1. A shadow ends after one. */
static inline uint64_t cpu_rep_room(const struct cpu *cpu)
{
    if (cpu->budget <= 0 || cpu->in_shadow || (cpu->mode_key & KEY_TF)) {
        return 1;
    }
    return (uint64_t)cpu->budget + 1;
}

/*
 * Leave before the first side effect unless `in` is the last of its block: splits the block there for good, and the
 * instruction runs again as the last. Call before MMIO, port I/O outside ENDS opcodes, or writing the block's own code.
 */
void cpu_leave_unless_last(struct cpu *cpu, const struct insn *in);
/* Leave before the first side effect whatever the place; the instruction runs again alone. */
_Noreturn void cpu_leave(struct cpu *cpu, const struct insn *in);

/*
 * After a near transfer: cpu->rip holds the target. exec_chain() is for targets that are fixed by the instruction's bytes; slot
 * 0 = taken, 1 = not taken. exec_chain_indirect() for RET and indirect jumps. Use as INSN_RETURN exec_chain(cpu, in, 0);
 */
#define exec_chain(cpu, in, slot) exec_chain_##slot((cpu), (in))
insn_fn exec_chain_0, exec_chain_1;
const struct insn *exec_chain_indirect(struct cpu *cpu, const struct insn *in);

#endif
