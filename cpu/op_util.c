/* SPDX-License-Identifier: MIT */
/*
 * Slow helpers of the integer handlers: faults as tail calls, addresses of implicit operands, the
 * stack.
 *
 * Intel SDM Vol. 1 (253665), 3.7.5 "Specifying an Offset", 6.2 "Stacks"; Vol. 3A (325384), 5.3
 * "Limit Checking".
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_template.h"

const struct insn *op_fault_gp0(struct cpu *cpu, const struct insn *in)
{
    cpu_fault_err(cpu, in, VEC_GP, 0);
}

const struct insn *op_fault_de(struct cpu *cpu, const struct insn *in)
{
    cpu_fault(cpu, in, VEC_DE);
}

const struct insn *op_fault_ud(struct cpu *cpu, const struct insn *in)
{
    cpu_fault(cpu, in, VEC_UD);
}

const struct insn *op_again_raw(struct cpu *cpu, const struct insn *in)
{
    cc_make_raw(cpu);
    INSN_RETURN INSN_GOTO(cpu, in);
}

uint64_t op_linear(struct cpu *cpu, const struct insn *in, uint64_t off, unsigned size,
                   unsigned flags)
{
    switch ((enum insn_ea)in->ea) {
    case EA_FLAT64:
    case EA_FLAT32:
        return off;
    case EA_BASE64:
        return off + cpu->seg[in->seg].base;
    case EA_GENERAL:
        break;
    }
    return mem_segment(cpu, in, in->seg, off, size, flags);
}

uint64_t op_linear_es(struct cpu *cpu, const struct insn *in, uint64_t off, unsigned size,
                      unsigned flags)
{
    if (cpu->code_bits == 64) {
        return off;
    }
    return mem_segment(cpu, in, SEG_ES, off, size, flags);
}

uint64_t op_stack_load(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size)
{
    uint64_t lin = stack_address(cpu, in, delta, size, MEM_READ), v = 0;

    if (!op_quick_read(cpu, lin, size)) {
        return mem_load(cpu, in, lin, size, MEM_READ | MEM_STACK);
    }
    memcpy(&v, (const void *)(MEM_TLB_ENTRY(cpu, lin)->host + (uintptr_t)lin), size);
    return v;
}

void op_stack_store(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size,
                    uint64_t value)
{
    uint64_t lin = stack_address(cpu, in, delta, size, MEM_WRITE);
    const struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);

    if (e->tag_w != MEM_TAG(cpu, lin, size)) {
        mem_store(cpu, in, lin, size, value, MEM_WRITE | MEM_STACK);
        return;
    }
    memcpy((void *)(e->host + (uintptr_t)lin), &value, size);
}

void op_stack_probe(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size)
{
    uint64_t lin = stack_address(cpu, in, delta, size, MEM_WRITE);

    mem_probe(cpu, in, lin, size, MEM_WRITE | MEM_STACK);
}
