/* SPDX-License-Identifier: MIT */
/*
 * Instructions that enter handlers or decide who may interrupt: INT, CLI, STI, PUSHF, POPF, HLT, PAUSE.
 *
 * Intel SDM Vol. 2 (325383), pages of these names; Vol. 3A (325384), 6.8 "Enabling and Disabling Interrupts", 21.2.7 "Sensitive
 * Instructions".
 *
 * Modelled: IOPL and virtual-8086 rules, the shadow of STI, HLT.
 * Not modelled: VME and PVI: what they would allow is #GP(0), as without them.
 * Deviations: none known.
 */
#include "cpu/segment.h"
#include "cpu/trace_events.h"

/* ---- INT n and its kin ---- */

static const struct insn *software_interrupt(struct cpu *cpu, const struct insn *in, uint8_t vector,
                                             uint8_t type)
{
    /* INT1 counts as a hardware interrupt: no DPL check, EXT is set. */
    struct cpu_exception ev = {.vector = vector, .type = type, .soft = type != CPU_EVENT_INT1};
    cpu_deliver_event(cpu, in, &ev, cpu->cur_cause);
    return INSN_LEAVE;
}

static const struct insn *op_int(struct cpu *cpu, const struct insn *in)
{
    if (cpu_v86_mode(cpu) && cpu_iopl(cpu) != 3) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    return software_interrupt(cpu, in, (uint8_t)in->imm, CPU_EVENT_SOFT_INT);
}

static const struct insn *op_int3(struct cpu *cpu, const struct insn *in)
{
    return software_interrupt(cpu, in, VEC_BP, CPU_EVENT_INT3);
}

static const struct insn *op_int1(struct cpu *cpu, const struct insn *in)
{
    return software_interrupt(cpu, in, VEC_DB, CPU_EVENT_INT1);
}

static const struct insn *op_into(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu_get_eflags(cpu) & EFLAGS_OF)) {
        INSN_RETURN INSN_NEXT(cpu, in);
    }
    return software_interrupt(cpu, in, VEC_OF, CPU_EVENT_INTO);
}

static const struct insn *op_ud(struct cpu *cpu, const struct insn *in)
{
    cpu_fault(cpu, in, VEC_UD);
}

/* BOUND: #BR if the index is below the first or above the second bound, both signed. */
static const struct insn *op_bound(struct cpu *cpu, const struct insn *in)
{
    unsigned size = 1u << insn_osize(in);
    uint64_t lin = mem_ea(cpu, in, 2 * size, MEM_READ);
    uint64_t low = mem_load(cpu, in, lin, size, MEM_READ);
    uint64_t high = mem_load(cpu, in, cpu_wrap_linear(cpu, lin + size), size, MEM_READ);
    uint64_t index = cpu->regs[in->r];
    bool out = size == 2 ? (int16_t)index < (int16_t)low || (int16_t)index > (int16_t)high
                         : (int32_t)index < (int32_t)low || (int32_t)index > (int32_t)high;
    if (out) {
        cpu_fault(cpu, in, VEC_BR);
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- IF ---- */

static void check_iopl(struct cpu *cpu, const struct insn *in)
{
    if (cpu->cpl > cpu_iopl(cpu)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
}

static const struct insn *op_cli(struct cpu *cpu, const struct insn *in)
{
    check_iopl(cpu, in);
    if (cpu->eflags & EFLAGS_IF) {
        cpu_change_eflags(cpu, in, cpu_get_eflags(cpu) & ~EFLAGS_IF, insn_rip(cpu, in));
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_sti(struct cpu *cpu, const struct insn *in)
{
    check_iopl(cpu, in);
    if (!(cpu->eflags & EFLAGS_IF)) {
        cpu->shadow = true;
        cpu->shadow_ss = false;
        cpu->shadow_rip = insn_rip(cpu, in);
        cpu_change_eflags(cpu, in, cpu_get_eflags(cpu) | EFLAGS_IF, 0);
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

static void check_v86_iopl(struct cpu *cpu, const struct insn *in)
{
    if (cpu_v86_mode(cpu) && cpu_iopl(cpu) != 3) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
}

static const struct insn *op_pushf(struct cpu *cpu, const struct insn *in)
{
    check_v86_iopl(cpu, in);
    uint32_t image = cpu_get_eflags(cpu) & ~(EFLAGS_VM | EFLAGS_RF);
    stack_push(cpu, in, 1u << insn_osize(in), image);
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* Vol. 2, "POPF", table 4-21 "Effect of POPF/POPFD/POPFQ on the EFLAGS Register". */
static const struct insn *op_popf(struct cpu *cpu, const struct insn *in)
{
    check_v86_iopl(cpu, in);
    unsigned size = 1u << insn_osize(in);
    uint32_t image = (uint32_t)stack_read(cpu, in, 0, size);
    uint32_t mask = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
    if (size != 2) {
        mask |= EFLAGS_AC | EFLAGS_ID;
    }
    if (cpu->cpl <= cpu_iopl(cpu)) {
        mask |= EFLAGS_IF;
    }
    if (cpu->cpl == 0) {
        mask |= EFLAGS_IOPL;
    }
    stack_add(cpu, size);
    cpu_change_eflags(cpu, in, (cpu_get_eflags(cpu) & ~mask & ~EFLAGS_RF) | (image & mask),
                      insn_rip(cpu, in));
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- HLT, PAUSE ---- */

static const struct insn *op_hlt(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    if (cpu->trace->enabled) {
        cpu_sync(cpu, in);
        trace_cpu_halt(cpu->trace, cpu->index, cpu->cur_cause, 0, 0, insn_rip(cpu, in),
                       (cpu->eflags & EFLAGS_IF) != 0);
    }
    cpu->halted = true;
    cpu_update_attention(cpu);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_pause(struct cpu *cpu, const struct insn *in)
{
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_INT = {{{OP_ALL_SIZES(op_int)}}};
const struct op_fns fns_INT3 = {{{OP_ALL_SIZES(op_int3)}}};
const struct op_fns fns_INT1 = {{{OP_ALL_SIZES(op_int1)}}};
const struct op_fns fns_INTO = {{{OP_ALL_SIZES(op_into)}}};
const struct op_fns fns_UD0 = {{{OP_ALL_SIZES(op_ud)}, {OP_ALL_SIZES(op_ud)}}};
const struct op_fns fns_UD1 = {{{OP_ALL_SIZES(op_ud)}, {OP_ALL_SIZES(op_ud)}}};
const struct op_fns fns_UD2 = {{{OP_ALL_SIZES(op_ud)}, {OP_ALL_SIZES(op_ud)}}};
const struct op_fns fns_BOUND = {{{0}, {OP_ALL_SIZES(op_bound)}}};
const struct op_fns fns_CLI = {{{OP_ALL_SIZES(op_cli)}}};
const struct op_fns fns_STI = {{{OP_ALL_SIZES(op_sti)}}};
const struct op_fns fns_PUSHF = {{{OP_ALL_SIZES(op_pushf)}}};
const struct op_fns fns_POPF = {{{OP_ALL_SIZES(op_popf)}}};
const struct op_fns fns_HLT = {{{OP_ALL_SIZES(op_hlt)}}};
const struct op_fns fns_PAUSE = {{{OP_ALL_SIZES(op_pause)}}};
