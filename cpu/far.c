/* SPDX-License-Identifier: MIT */
/*
 * Far control transfers: JMP, CALL and RET between segments, SYSCALL and SYSENTER with their returns.
 *
 * Intel SDM Vol. 2 (325383), "JMP", "CALL", "RET", "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT"; Vol. 3A (325384), 5.8 "Privilege
 * Levels and Transfers of Program Control". AMD APM Vol. 3 (24594) for SYSCALL in legacy and compatibility mode.
 *
 * Modelled: direct and through memory, same and outer privilege, conforming code segments, call gates (16-, 32- and 64-bit, with
 * stack switch and parameters), real-address and virtual-8086 mode.
 * Not modelled: task gates and TSSs as targets (the run ends with a message), shadow stacks.
 * Deviations: none known.
 */
#include "cpu/segment.h"

struct far_target {
    uint16_t sel;
    uint64_t off;
    unsigned size; /* operand size in bytes */
};

/* Bits of an offset that count for the operand size. */
static uint64_t size_mask(unsigned size)
{
    return size == 8 ? UINT64_MAX : size == 4 ? 0xffffffffull : 0xffffull;
}

/* ---- real-address and virtual-8086 mode ---- */

static bool real_or_v86(const struct cpu *cpu)
{
    return cpu_real_mode(cpu) || cpu_v86_mode(cpu);
}

static void jump_real(struct cpu *cpu, const struct insn *in, const struct far_target *t)
{
    if (t->off > cpu->seg[SEG_CS].limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    seg_set_real(cpu, SEG_CS, t->sel);
    cpu->rip = t->off;
    cpu_update_mode(cpu);
}

static void call_real(struct cpu *cpu, const struct insn *in, const struct far_target *t)
{
    uint64_t frame[2] = {cpu->seg[SEG_CS].sel, insn_next_rip(cpu, in) & size_mask(t->size)};
    struct seg_stack st = seg_current_stack(cpu);
    if (t->off > cpu->seg[SEG_CS].limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint64_t sp = seg_push_frame(cpu, in, &st, frame, 2, t->size);
    seg_set_real(cpu, SEG_CS, t->sel);
    cpu->regs[REG_RSP] = sp;
    cpu->rip = t->off;
    cpu_update_mode(cpu);
}

/* ---- protected mode ---- */

/* May JMP or CALL go straight to this code segment? Vol. 3A, 5.8.1 "Direct Calls or Jumps to Code Segments". */
static void check_direct(struct cpu *cpu, const struct insn *in, uint16_t sel, uint32_t attr)
{
    unsigned dpl = seg_dpl(attr);
    bool ok = attr & SEG_E ? dpl <= cpu->cpl : ((sel & 3u) <= cpu->cpl && dpl == cpu->cpl);
    if (!ok || (cpu->long_mode && (attr & SEG_L) && (attr & SEG_DB))) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
}

static void direct_transfer(struct cpu *cpu, const struct insn *in, const struct far_target *t,
                            uint64_t d, uint64_t addr, bool call)
{
    check_direct(cpu, in, t->sel, seg_desc_attr(d));
    struct cpu_segment cs = seg_from_desc(t->sel, d);
    seg_check_rip(cpu, in, &cs, t->off);
    seg_mark_accessed(cpu, in, addr, &d);
    cs.attr |= SEG_A;
    if (call) {
        uint64_t frame[2] = {cpu->seg[SEG_CS].sel, insn_next_rip(cpu, in) & size_mask(t->size)};
        struct seg_stack st = seg_current_stack(cpu);
        cpu->regs[REG_RSP] = seg_push_frame(cpu, in, &st, frame, 2, t->size);
    }
    seg_commit_cs(cpu, &cs, cpu->cpl, t->off);
}

struct call_gate {
    uint16_t sel;
    uint64_t off;
    unsigned size;   /* of what a CALL pushes */
    unsigned params; /* to copy */
};

/* Vol. 3A, 5.8.3 "Call Gates" and 5.8.3.1 "IA-32e Mode Call Gates". */
static struct call_gate read_call_gate(struct cpu *cpu, const struct insn *in, uint16_t sel,
                                       uint64_t d, uint64_t addr)
{
    uint32_t attr = seg_desc_attr(d);
    unsigned type = attr & SEG_TYPE_S;
    struct call_gate g = {
        .sel = (uint16_t)(d >> 16), .off = d & 0xffff, .params = (d >> 32) & 0x1f};
    unsigned dpl = seg_dpl(attr);
    if (dpl < cpu->cpl || (sel & 3u) > dpl) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
    g.size = type == DESC_CALL32 ? 4 : 2;
    if (type == DESC_CALL32) {
        g.off |= (d >> 32) & 0xffff0000;
    }
    if (cpu->long_mode) {
        uint32_t limit = sel & 4 ? cpu->ldtr.limit : cpu->gdtr.limit;
        if ((sel & 0xfff8u) + 15 > limit) {
            cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
        }
        uint64_t upper = sys_ld(cpu, in, addr + 8, 8);
        if (upper & 0x00001f0000000000ull) {
            cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
        }
        g.off |= upper << 32;
        g.size = 8;
        g.params = 0;
    }
    return g;
}

/* The stack that a CALL through a gate to an inner level gets. */
static struct seg_stack gate_stack(struct cpu *cpu, const struct insn *in, unsigned cpl)
{
    if (!cpu->long_mode) {
        return seg_tss_stack(cpu, in, cpl);
    }
    return (struct seg_stack){
        .ss = {.sel = (uint16_t)cpl, .attr = SEG_UNUSABLE},
        .sp = seg_tss_rsp(cpu, in, cpl, 0),
        .cpl = (uint8_t)cpl,
        .is64 = true,
    };
}

static void gate_transfer(struct cpu *cpu, const struct insn *in, uint16_t gate_sel, uint64_t gate,
                          uint64_t gate_addr, bool call)
{
    struct call_gate g = read_call_gate(cpu, in, gate_sel, gate, gate_addr);
    uint64_t d, addr;
    if (SEL_NULL(g.sel)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    if (!seg_fetch(cpu, in, g.sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(g.sel));
    }
    uint32_t attr = seg_desc_attr(d);
    unsigned dpl = seg_dpl(attr);
    if (!seg_is_code(attr) || dpl > cpu->cpl || (!call && !(attr & SEG_E) && dpl != cpu->cpl) ||
        (cpu->long_mode && (attr & (SEG_L | SEG_DB)) != SEG_L)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(g.sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(g.sel));
    }
    seg_mark_accessed(cpu, in, addr, &d);
    struct cpu_segment cs = seg_from_desc(g.sel, d);
    unsigned cpl = call && !(attr & SEG_E) ? dpl : cpu->cpl;
    bool inner = cpl != cpu->cpl;
    struct seg_stack st = inner ? gate_stack(cpu, in, cpl) : seg_current_stack(cpu);
    st.is64 = cpu->long_mode;
    seg_check_rip(cpu, in, &cs, g.off);
    if (call) {
        uint64_t frame[4 + 31];
        unsigned n = 0;
        if (inner) {
            frame[n++] = cpu->seg[SEG_SS].sel;
            frame[n++] = cpu->regs[REG_RSP] & size_mask(g.size);
            for (unsigned i = g.params; i-- > 0;) {
                frame[n++] = stack_read(cpu, in, i * g.size, g.size);
            }
        }
        frame[n++] = cpu->seg[SEG_CS].sel;
        frame[n++] = insn_next_rip(cpu, in) & size_mask(g.size);
        uint64_t sp = seg_push_frame(cpu, in, &st, frame, n, g.size);
        seg_commit_cs(cpu, &cs, cpl, g.off);
        if (inner) {
            seg_commit_stack(cpu, &st.ss, sp);
        } else {
            cpu->regs[REG_RSP] = sp;
        }
    } else {
        seg_commit_cs(cpu, &cs, cpl, g.off);
    }
}

static void far_protected(struct cpu *cpu, const struct insn *in, const struct far_target *t,
                          bool call)
{
    uint64_t d, addr;
    if (SEL_NULL(t->sel)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    if (!seg_fetch(cpu, in, t->sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(t->sel));
    }
    uint32_t attr = seg_desc_attr(d);
    if (seg_is_code(attr)) {
        direct_transfer(cpu, in, t, d, addr, call);
        return;
    }
    unsigned type = attr & SEG_TYPE_S;
    if (type == DESC_CALL32 || (type == DESC_CALL16 && !cpu->long_mode)) {
        gate_transfer(cpu, in, t->sel, d, addr, call);
        return;
    }
    bool task = type == DESC_TASK_GATE || type == DESC_TSS16 || type == DESC_TSS32;
    if (task && !cpu->long_mode) {
        cpu_unmodelled(cpu, in,
                       "far transfer to selector 0x%04x, a %s: task switches are not modelled",
                       t->sel, type == DESC_TASK_GATE ? "task gate" : "TSS");
    }
    cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(t->sel));
}

static void far_transfer(struct cpu *cpu, const struct insn *in, const struct far_target *t,
                         bool call)
{
    if (!real_or_v86(cpu)) {
        far_protected(cpu, in, t, call);
    } else if (call) {
        call_real(cpu, in, t);
    } else {
        jump_real(cpu, in, t);
    }
}

static struct far_target immediate_target(const struct insn *in)
{
    unsigned size = 1u << insn_osize(in);
    return (struct far_target){
        .sel = (uint16_t)(in->imm >> 32),
        .off = in->imm & 0xffffffff & size_mask(size),
        .size = size,
    };
}

static struct far_target memory_target(struct cpu *cpu, const struct insn *in)
{
    unsigned size = 1u << insn_osize(in);
    uint64_t lin = mem_ea(cpu, in, size + 2, MEM_READ);
    struct far_target t = {.size = size};
    t.off = mem_load(cpu, in, lin, size, MEM_READ);
    t.sel = mem_ld16(cpu, in, cpu_wrap_linear(cpu, lin + size));
    return t;
}

static const struct insn *op_jmpf_ap(struct cpu *cpu, const struct insn *in)
{
    struct far_target t = immediate_target(in);
    far_transfer(cpu, in, &t, false);
    return INSN_LEAVE;
}

static const struct insn *op_callf_ap(struct cpu *cpu, const struct insn *in)
{
    struct far_target t = immediate_target(in);
    far_transfer(cpu, in, &t, true);
    return INSN_LEAVE;
}

static const struct insn *op_jmpf_m(struct cpu *cpu, const struct insn *in)
{
    struct far_target t = memory_target(cpu, in);
    far_transfer(cpu, in, &t, false);
    return INSN_LEAVE;
}

static const struct insn *op_callf_m(struct cpu *cpu, const struct insn *in)
{
    struct far_target t = memory_target(cpu, in);
    far_transfer(cpu, in, &t, true);
    return INSN_LEAVE;
}

/* ---- RET ---- */

static void return_real(struct cpu *cpu, const struct insn *in, unsigned size, unsigned release)
{
    uint64_t rip = stack_read(cpu, in, 0, size);
    uint16_t sel = (uint16_t)stack_read(cpu, in, size, size);
    if (rip > cpu->seg[SEG_CS].limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    stack_add(cpu, 2 * (int64_t)size + release);
    seg_set_real(cpu, SEG_CS, sel);
    cpu->rip = rip;
    cpu_update_mode(cpu);
}

static void return_protected(struct cpu *cpu, const struct insn *in, unsigned size,
                             unsigned release)
{
    uint64_t rip = stack_read(cpu, in, 0, size);
    uint16_t sel = (uint16_t)stack_read(cpu, in, size, size);
    struct cpu_segment cs = seg_check_return(cpu, in, sel);
    unsigned rpl = sel & 3u;
    bool to64 = cpu->long_mode && (cs.attr & SEG_L);
    seg_check_rip(cpu, in, &cs, rip);
    if (rpl == cpu->cpl) {
        stack_add(cpu, 2 * (int64_t)size + release);
        seg_commit_cs(cpu, &cs, rpl, rip);
        return;
    }
    uint64_t rsp = stack_read(cpu, in, 2 * size + release, size);
    uint16_t ss_sel = (uint16_t)stack_read(cpu, in, 3 * size + release, size);
    struct cpu_segment ss = {.sel = ss_sel, .attr = SEG_UNUSABLE};
    if (!SEL_NULL(ss_sel)) {
        ss = seg_check_stack(cpu, in, ss_sel, rpl, VEC_GP);
    } else if (!to64 || rpl == 3 || (ss_sel & 3u) != rpl) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    if (to64) {
        rsp += release;
    } else if (ss.attr & SEG_DB) {
        rsp = (uint32_t)(rsp + release);
    } else {
        rsp = (cpu->regs[REG_RSP] & ~0xffffull) | ((rsp + release) & 0xffff);
    }
    seg_commit_cs(cpu, &cs, rpl, rip);
    seg_commit_stack(cpu, &ss, rsp);
    seg_drop_privileged(cpu);
}

static const struct insn *op_retf(struct cpu *cpu, const struct insn *in)
{
    unsigned size = 1u << insn_osize(in);
    unsigned release = in->op == OP_RETF_I ? (unsigned)(in->imm & 0xffff) : 0;
    if (real_or_v86(cpu)) {
        return_real(cpu, in, size, release);
    } else {
        return_protected(cpu, in, size, release);
    }
    return INSN_LEAVE;
}

/* ---- fast system calls: fixed segments, no table is read ---- */

static void fast_segments(struct cpu *cpu, uint16_t cs_sel, uint16_t ss_sel, unsigned cpl,
                          bool code64, uint64_t rip)
{
    uint32_t dpl = cpl << SEG_DPL_SHIFT;
    struct cpu_segment cs = {.limit = SEG_FLAT_LIMIT,
                             .sel = cs_sel,
                             .attr =
                                 (uint16_t)((code64 ? SEG_CODE64_ATTR : SEG_CODE32_ATTR) | dpl)};
    struct cpu_segment ss = {.limit = SEG_FLAT_LIMIT,
                             .sel = (uint16_t)((ss_sel & 0xfffc) | cpl),
                             .attr = (uint16_t)(SEG_FLATDS_ATTR | dpl)};
    cpu->seg[SEG_SS] = ss;
    cpu->seg[SEG_CS] = cs;
    cpu->seg[SEG_CS].sel = (uint16_t)((cs_sel & 0xfffc) | cpl);
    cpu->cpl = (uint8_t)cpl;
    cpu->rip = rip;
    cpu_update_mode(cpu);
}

static bool is_intel(const struct cpu *cpu)
{
    return memcmp(cpu->model->vendor, "GenuineIntel", 12) == 0;
}

static const struct insn *op_syscall(struct cpu *cpu, const struct insn *in)
{
    /* Intel's processors have SYSCALL in 64-bit mode only. */
    if (!(cpu->model->f81_edx & F81D_SYSCALL) || !(cpu->efer & EFER_SCE) || cpu_real_mode(cpu) ||
        (is_intel(cpu) && cpu->code_bits != 64)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    uint64_t next = insn_next_rip(cpu, in);
    uint32_t flags = cpu_get_eflags(cpu);
    uint16_t cs = (uint16_t)(cpu->star >> 32) & 0xfffc;
    uint64_t target;
    if (cpu->long_mode) {
        target = cpu->code_bits == 64 ? cpu->lstar : cpu->cstar;
        cpu->regs[REG_RCX] = cpu->code_bits == 64 ? next : (uint32_t)next;
        cpu->regs[REG_R11] = flags & ~EFLAGS_RF;
        flags &= ~((uint32_t)cpu->sfmask | EFLAGS_RF);
    } else {
        target = (uint32_t)cpu->star;
        cpu->regs[REG_RCX] = (uint32_t)next;
        flags &= ~(EFLAGS_IF | EFLAGS_VM | EFLAGS_RF);
    }
    cpu_change_eflags(cpu, in, flags | EFLAGS_ONE, insn_rip(cpu, in));
    fast_segments(cpu, cs, (uint16_t)(cs + 8), 0, cpu->long_mode, target);
    return INSN_LEAVE;
}

static const struct insn *op_sysret(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f81_edx & F81D_SYSCALL) || !(cpu->efer & EFER_SCE) ||
        (is_intel(cpu) && cpu->code_bits != 64)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (cpu_real_mode(cpu) || cpu->cpl != 0) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint16_t base = (uint16_t)(cpu->star >> 48);
    bool to64 = insn_osize(in) == 3;
    uint64_t rip = cpu->regs[REG_RCX];
    uint64_t since = insn_rip(cpu, in);
    if (to64 && !cpu_canonical(rip)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint32_t flags = cpu_get_eflags(cpu);
    if (cpu->long_mode) {
        /* Vol. 2, "SYSRET": R11 AND 3C7FD7h, then bit 1. */
        flags = ((uint32_t)cpu->regs[REG_R11] & 0x3c7fd7u & ~EFLAGS_RF) | EFLAGS_ONE;
    } else {
        flags |= EFLAGS_IF;
    }
    cpu_change_eflags(cpu, in, flags, since);
    fast_segments(cpu, (uint16_t)((base + (to64 ? 16 : 0)) | 3), (uint16_t)(base + 8), 3, to64,
                  to64 ? rip : (uint32_t)rip);
    return INSN_LEAVE;
}

static const struct insn *op_sysenter(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f1_edx & F1D_SEP) || (cpu->long_mode && !is_intel(cpu))) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (cpu_real_mode(cpu) || SEL_NULL(cpu->sysenter_cs)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint16_t cs = cpu->sysenter_cs & 0xfffc;
    bool wide = cpu->long_mode;
    uint32_t flags = cpu_get_eflags(cpu) & ~(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF);
    cpu_change_eflags(cpu, in, flags, insn_rip(cpu, in));
    cpu->regs[REG_RSP] = wide ? cpu->sysenter_esp : (uint32_t)cpu->sysenter_esp;
    fast_segments(cpu, cs, (uint16_t)(cs + 8), 0, wide,
                  wide ? cpu->sysenter_eip : (uint32_t)cpu->sysenter_eip);
    return INSN_LEAVE;
}

static const struct insn *op_sysexit(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f1_edx & F1D_SEP) || (cpu->long_mode && !is_intel(cpu))) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (cpu_real_mode(cpu) || cpu->cpl != 0 || SEL_NULL(cpu->sysenter_cs)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    bool to64 = insn_osize(in) == 3;
    uint64_t rip = cpu->regs[REG_RDX];
    uint64_t rsp = cpu->regs[REG_RCX];
    if (to64 && (!cpu_canonical(rip) || !cpu_canonical(rsp))) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint16_t cs = (uint16_t)((cpu->sysenter_cs & 0xfffc) + (to64 ? 32 : 16));
    cpu->regs[REG_RSP] = to64 ? rsp : (uint32_t)rsp;
    fast_segments(cpu, cs | 3, (uint16_t)(cs + 8), 3, to64, to64 ? rip : (uint32_t)rip);
    return INSN_LEAVE;
}

const struct op_fns fns_JMPF_Ap = {{{OP_ALL_SIZES(op_jmpf_ap)}}};
const struct op_fns fns_CALLF_Ap = {{{OP_ALL_SIZES(op_callf_ap)}}};
const struct op_fns fns_JMPF_M = {{{0}, {OP_ALL_SIZES(op_jmpf_m)}}};
const struct op_fns fns_CALLF_M = {{{0}, {OP_ALL_SIZES(op_callf_m)}}};
const struct op_fns fns_RETF = {{{OP_ALL_SIZES(op_retf)}}};
const struct op_fns fns_RETF_I = {{{OP_ALL_SIZES(op_retf)}}};
const struct op_fns fns_SYSCALL = {{{OP_ALL_SIZES(op_syscall)}}};
const struct op_fns fns_SYSRET = {{{OP_ALL_SIZES(op_sysret)}}};
const struct op_fns fns_SYSENTER = {{{OP_ALL_SIZES(op_sysenter)}}};
const struct op_fns fns_SYSEXIT = {{{OP_ALL_SIZES(op_sysexit)}}};
