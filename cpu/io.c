/* SPDX-License-Identifier: MIT */
/*
 * Port I/O: IN, OUT, INS, OUTS.
 *
 * Intel SDM Vol. 1 (253665), chapter 19 "Input/Output", 19.5 "Protected-Mode I/O"; Vol. 2, "IN", "OUT", "INS", "OUTS".
 *
 * Modelled: IOPL and the TSS's I/O permission bit map; REP, one iteration per execution, because each access may change what is
 * deliverable; an interrupt between two iterations finds RIP at the instruction.
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/segment.h"

/* #GP(0) unless this port may be used. Vol. 1, 19.5.2 "I/O Permission Bit Map". */
static void check_port(struct cpu *cpu, const struct insn *in, uint16_t port, unsigned size)
{
    if (cpu_real_mode(cpu) || (cpu->cpl <= cpu_iopl(cpu) && !cpu_v86_mode(cpu))) {
        return;
    }
    const struct cpu_segment *tr = &cpu->tr;
    unsigned type = tr->attr & SEG_TYPE;
    if ((tr->attr & SEG_UNUSABLE) || (type != DESC_TSS32_BUSY && type != DESC_TSS32) ||
        tr->limit < 0x67) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint32_t map = (uint32_t)sys_ld(cpu, in, cpu_wrap_linear(cpu, tr->base + 0x66), 2);
    uint32_t byte = map + port / 8u;
    /* Two bytes are read, whatever the width: the map ends with a byte of ones for that. */
    if (byte + 1 > tr->limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint32_t bits = (uint32_t)sys_ld(cpu, in, cpu_wrap_linear(cpu, tr->base + byte), 2);
    if ((bits >> (port % 8u)) & ((1u << size) - 1)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
}

/* Bytes of one access: a 64-bit operand size means 32 bits here. */
static unsigned port_size(const struct insn *in)
{
    unsigned size = 1u << insn_osize(in);
    return size == 8 ? 4 : size;
}

static void port_in(struct cpu *cpu, const struct insn *in, uint16_t port)
{
    unsigned size = port_size(in);
    check_port(cpu, in, port, size);
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    uint32_t v = bus_port_read(cpu->bus, port, size, &attrs);
    uint64_t rax = cpu->regs[REG_RAX];
    cpu->regs[REG_RAX] = size == 4   ? v
                         : size == 2 ? (rax & ~0xffffull) | (v & 0xffff)
                                     : (rax & ~0xffull) | (v & 0xff);
}

static void port_out(struct cpu *cpu, const struct insn *in, uint16_t port)
{
    unsigned size = port_size(in);
    check_port(cpu, in, port, size);
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    uint32_t v = (uint32_t)cpu->regs[REG_RAX];
    bus_port_write(cpu->bus, port, size, size == 4 ? v : size == 2 ? v & 0xffff : v & 0xff, &attrs);
}

static const struct insn *op_in_i(struct cpu *cpu, const struct insn *in)
{
    port_in(cpu, in, (uint16_t)(in->imm & 0xff));
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_in_dx(struct cpu *cpu, const struct insn *in)
{
    port_in(cpu, in, (uint16_t)cpu->regs[REG_RDX]);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_out_i(struct cpu *cpu, const struct insn *in)
{
    port_out(cpu, in, (uint16_t)(in->imm & 0xff));
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_out_dx(struct cpu *cpu, const struct insn *in)
{
    port_out(cpu, in, (uint16_t)cpu->regs[REG_RDX]);
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- INS, OUTS ---- */

static uint64_t address_mask(const struct insn *in)
{
    unsigned asize = insn_asize(in);
    return asize == 3 ? UINT64_MAX : asize == 2 ? 0xffffffffull : 0xffffull;
}

/* Write an address register: 32 bits zero the rest, 16 bits leave it. */
static void set_masked(struct cpu *cpu, unsigned reg, uint64_t v, uint64_t mask)
{
    uint64_t keep = mask == 0xffff ? cpu->regs[reg] & ~mask : 0;
    cpu->regs[reg] = keep | (v & mask);
}

/* One iteration is done: step the index register and the count; true if the instruction runs again. */
static bool string_step(struct cpu *cpu, const struct insn *in, unsigned reg, unsigned size)
{
    uint64_t mask = address_mask(in);
    uint64_t delta = cpu->eflags & EFLAGS_DF ? (uint64_t)0 - size : size;
    set_masked(cpu, reg, cpu->regs[reg] + delta, mask);
    if (!(in->pfx & INSN_REP)) {
        return false;
    }
    set_masked(cpu, REG_RCX, cpu->regs[REG_RCX] - 1, mask);
    return (cpu->regs[REG_RCX] & mask) != 0;
}

static bool string_done(const struct cpu *cpu, const struct insn *in)
{
    return (in->pfx & INSN_REP) && (cpu->regs[REG_RCX] & address_mask(in)) == 0;
}

static const struct insn *op_ins(struct cpu *cpu, const struct insn *in)
{
    unsigned size = port_size(in);
    uint16_t port = (uint16_t)cpu->regs[REG_RDX];
    if (string_done(cpu, in)) {
        INSN_RETURN INSN_NEXT(cpu, in);
    }
    check_port(cpu, in, port, size);
    uint64_t off = cpu->regs[REG_RDI] & address_mask(in);
    uint64_t lin = cpu->code_bits == 64 ? off : mem_segment(cpu, in, SEG_ES, off, size, MEM_WRITE);
    /* Reading a port can have an effect: everything that may fault comes first. */
    mem_probe(cpu, in, lin, size, MEM_WRITE);
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    uint32_t v = bus_port_read(cpu->bus, port, size, &attrs);
    mem_store(cpu, in, lin, size, v, MEM_WRITE);
    if (string_step(cpu, in, REG_RDI, size)) {
        cpu->rip = insn_rip(cpu, in);
        return INSN_LEAVE;
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_outs(struct cpu *cpu, const struct insn *in)
{
    unsigned size = port_size(in);
    uint16_t port = (uint16_t)cpu->regs[REG_RDX];
    if (string_done(cpu, in)) {
        INSN_RETURN INSN_NEXT(cpu, in);
    }
    check_port(cpu, in, port, size);
    uint64_t off = cpu->regs[REG_RSI] & address_mask(in);
    uint64_t lin = off;
    if (cpu->code_bits != 64) {
        lin = mem_segment(cpu, in, in->seg, off, size, MEM_READ);
    } else if (in->seg == SEG_FS || in->seg == SEG_GS) {
        lin += cpu->seg[in->seg].base;
    }
    uint32_t v = (uint32_t)mem_load(cpu, in, lin, size, MEM_READ);
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    bus_port_write(cpu->bus, port, size, v, &attrs);
    if (string_step(cpu, in, REG_RSI, size)) {
        cpu->rip = insn_rip(cpu, in);
        return INSN_LEAVE;
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_IN_AL_I = {{{OP_ALL_SIZES(op_in_i)}}};
const struct op_fns fns_IN_A_I = {{{OP_ALL_SIZES(op_in_i)}}};
const struct op_fns fns_OUT_I_AL = {{{OP_ALL_SIZES(op_out_i)}}};
const struct op_fns fns_OUT_I_A = {{{OP_ALL_SIZES(op_out_i)}}};
const struct op_fns fns_IN_AL_DX = {{{OP_ALL_SIZES(op_in_dx)}}};
const struct op_fns fns_IN_A_DX = {{{OP_ALL_SIZES(op_in_dx)}}};
const struct op_fns fns_OUT_DX_AL = {{{OP_ALL_SIZES(op_out_dx)}}};
const struct op_fns fns_OUT_DX_A = {{{OP_ALL_SIZES(op_out_dx)}}};
const struct op_fns fns_INSB = {{{OP_ALL_SIZES(op_ins)}}};
const struct op_fns fns_INSV = {{{OP_ALL_SIZES(op_ins)}}};
const struct op_fns fns_OUTSB = {{{OP_ALL_SIZES(op_outs)}}};
const struct op_fns fns_OUTSV = {{{OP_ALL_SIZES(op_outs)}}};
