/* SPDX-License-Identifier: MIT */
/*
 * Instructions that move segment registers: PUSH, POP, MOV, LDS and its kin.
 *
 * Intel SDM Vol. 2 (325383), "PUSH", "POP", "MOV", "LDS/LES/LFS/LGS/LSS"; Vol. 3A (325384), 6.8.3 "Masking Exceptions and Interrupts
 * When Switching Stacks".
 *
 * Modelled: all forms in all modes; the shadow after MOV SS and POP SS.
 * Not modelled: nothing known.
 * Readings taken: in a run of instructions that would each open a shadow, only the first does. LSS opens none.
 * Deviations: PUSH of a segment register with a 32- or 64-bit operand stores all bytes, zero-extended.
 */
#include "cpu/segment.h"

/* The next instruction runs without interrupts and debug traps. */
static void open_ss_shadow(struct cpu *cpu, const struct insn *in)
{
    if (cpu->in_shadow) {
        return;
    }
    cpu->shadow = true;
    cpu->shadow_ss = true;
    cpu->shadow_rip = insn_rip(cpu, in);
    cpu_update_attention(cpu);
}

static const struct insn *op_push_seg(struct cpu *cpu, const struct insn *in)
{
    stack_push(cpu, in, 1u << insn_osize(in), cpu->seg[in->r].sel);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static void pop_segment(struct cpu *cpu, const struct insn *in)
{
    unsigned size = 1u << insn_osize(in);
    uint16_t sel = (uint16_t)stack_read(cpu, in, 0, size);
    /* The stack pointer moves with the width of the stack that was popped from. */
    uint64_t rsp = cpu->regs[REG_RSP];
    uint64_t popped = rsp + size;
    if (cpu->code_bits != 64) {
        popped = cpu->ss32 ? (uint32_t)popped : (rsp & ~0xffffull) | (popped & 0xffff);
    }
    seg_load(cpu, in, in->r, sel);
    cpu->regs[REG_RSP] = popped;
}

static const struct insn *op_pop_seg(struct cpu *cpu, const struct insn *in)
{
    pop_segment(cpu, in);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_pop_ss(struct cpu *cpu, const struct insn *in)
{
    pop_segment(cpu, in);
    open_ss_shadow(cpu, in);
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- MOV ---- */

static void check_sreg(struct cpu *cpu, const struct insn *in, bool load)
{
    if (in->r >= SEG_COUNT || (load && in->r == SEG_CS)) {
        cpu_fault(cpu, in, VEC_UD);
    }
}

static const struct insn *op_mov_r_s(struct cpu *cpu, const struct insn *in)
{
    check_sreg(cpu, in, false);
    cpu_set_operand(cpu, in, in->rm, cpu->seg[in->r].sel);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_mov_m_s(struct cpu *cpu, const struct insn *in)
{
    check_sreg(cpu, in, false);
    mem_st16(cpu, in, mem_ea(cpu, in, 2, MEM_WRITE), cpu->seg[in->r].sel);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static void mov_to_segment(struct cpu *cpu, const struct insn *in, uint16_t sel)
{
    seg_load(cpu, in, in->r, sel);
    if (in->r == SEG_SS) {
        open_ss_shadow(cpu, in);
    }
}

static const struct insn *op_mov_s_r(struct cpu *cpu, const struct insn *in)
{
    check_sreg(cpu, in, true);
    mov_to_segment(cpu, in, (uint16_t)cpu->regs[in->rm]);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_mov_s_m(struct cpu *cpu, const struct insn *in)
{
    check_sreg(cpu, in, true);
    mov_to_segment(cpu, in, mem_ld16(cpu, in, mem_ea(cpu, in, 2, MEM_READ)));
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- LES, LDS, LSS, LFS, LGS ---- */

static void load_far_pointer(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    unsigned size = 1u << insn_osize(in);
    uint64_t lin = mem_ea(cpu, in, size + 2, MEM_READ);
    uint64_t off = mem_load(cpu, in, lin, size, MEM_READ);
    uint16_t sel = mem_ld16(cpu, in, cpu_wrap_linear(cpu, lin + size));
    seg_load(cpu, in, seg, sel);
    cpu_set_operand(cpu, in, in->r, off);
}

#define LOAD_FAR(name, seg)                                                \
    static const struct insn *name(struct cpu *cpu, const struct insn *in) \
    {                                                                      \
        load_far_pointer(cpu, in, seg);                                    \
        INSN_RETURN INSN_NEXT(cpu, in);                                    \
    }
LOAD_FAR(op_les, SEG_ES)
LOAD_FAR(op_lds, SEG_DS)
LOAD_FAR(op_lss, SEG_SS)
LOAD_FAR(op_lfs, SEG_FS)
LOAD_FAR(op_lgs, SEG_GS)

const struct op_fns fns_PUSH_SEG = {{{OP_ALL_SIZES(op_push_seg)}}};
const struct op_fns fns_POP_SEG = {{{OP_ALL_SIZES(op_pop_seg)}}};
const struct op_fns fns_POP_SS = {{{OP_ALL_SIZES(op_pop_ss)}}};
const struct op_fns fns_MOV_Ev_Sw = {{{OP_ALL_SIZES(op_mov_r_s)}, {OP_ALL_SIZES(op_mov_m_s)}}};
const struct op_fns fns_MOV_Sw_Ew = {{{OP_ALL_SIZES(op_mov_s_r)}, {OP_ALL_SIZES(op_mov_s_m)}}};
const struct op_fns fns_LES = {{{0}, {OP_ALL_SIZES(op_les)}}};
const struct op_fns fns_LDS = {{{0}, {OP_ALL_SIZES(op_lds)}}};
const struct op_fns fns_LSS = {{{0}, {OP_ALL_SIZES(op_lss)}}};
const struct op_fns fns_LFS = {{{0}, {OP_ALL_SIZES(op_lfs)}}};
const struct op_fns fns_LGS = {{{0}, {OP_ALL_SIZES(op_lgs)}}};
