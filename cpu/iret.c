/* SPDX-License-Identifier: MIT */
/*
 * IRET: out of the handler.
 *
 * Intel SDM Vol. 2 (325383), "IRET/IRETD/IRETQ"; Vol. 3A (325384), 6.12.1 "Exception- or Interrupt-Handler Procedures", 6.14.3 "IRET
 * in IA-32e Mode", 21.2 "Virtual-8086 Mode".
 *
 * Modelled: real-address mode; virtual-8086 mode with IOPL 3; protected mode to the same and to an outer privilege level, with
 * 16- and 32-bit operands, to virtual-8086 mode; IA-32e mode with 16-, 32- and 64-bit operands; NMI unblocking.
 * Not modelled: task returns (NT = 1; the run ends with a message), VME, shadow stacks.
 * Readings taken: NMIs are unblocked also when the IRET faults. DS, ES, FS, GS that the outer level may not use become null and
 * keep their base.
 * Deviations: EFLAGS.RF is not loaded, because there are no instruction breakpoints for it to hold back.
 */
#include "cpu/segment.h"
#include "cpu/trace_events.h"

/* What a frame holds, read before anything is changed. */
struct frame {
    uint64_t rip, rsp;
    uint32_t flags;
    uint16_t cs, ss;
    unsigned size; /* bytes of one value */
};

/* The newest open frame that this return closes; its context becomes the CPU's. */
static cause_t close_frame(struct cpu *cpu, unsigned old_cpl)
{
    uint64_t sp = cpu->code_bits == 64 ? cpu->regs[REG_RSP] : (uint32_t)cpu->regs[REG_RSP];
    uint64_t cr3 = cpu->cr3 & ~0xfffull;
    for (uint32_t i = cpu->nframes; i-- > 0;) {
        struct cpu_open_frame *f = &cpu->frames[i];
        if (f->sp == sp && f->cpl == cpu->cpl && f->cr3 == cr3) {
            cause_t frame = f->frame;
            cpu->cur_cause = f->outer;
            cpu->nframes--;
            memmove(f, f + 1, (cpu->nframes - i) * sizeof(*f));
            return frame;
        }
    }
    if (cpu->cpl > old_cpl) {
        cpu->cur_cause = 0; /* a frame that the guest made: no handler of ours runs out there */
    }
    return 0;
}

static void record_iret(struct cpu *cpu, const struct frame *f, unsigned old_cpl)
{
    if (irq_likely(!cpu->trace->enabled)) {
        return;
    }
    cause_t cause = cpu->cur_cause;
    cause_t ref = close_frame(cpu, old_cpl);
    uint64_t sp = cpu->code_bits == 64 ? cpu->regs[REG_RSP] : (uint32_t)cpu->regs[REG_RSP];
    unsigned layout = f->size == 8 ? CPU_FRAME_64 : f->size == 4 ? CPU_FRAME_32 : CPU_FRAME_16;
    trace_cpu_iret(cpu->trace, cpu->index, cause, ref, 0, layout, sp, cpu->rip);
}

/* EFLAGS after the return: which bits of the image count depends on CPL, IOPL and operand size. Vol. 2, "IRET". */
static uint32_t merge_flags(const struct cpu *cpu, uint32_t image, unsigned size)
{
    uint32_t mask = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
    if (size != 2) {
        mask |= EFLAGS_AC | EFLAGS_ID;
        if (cpu->cpl == 0) {
            mask |= EFLAGS_VIF | EFLAGS_VIP;
        }
    }
    if (cpu->cpl <= cpu_iopl(cpu)) {
        mask |= EFLAGS_IF;
    }
    if (cpu->cpl == 0) {
        mask |= EFLAGS_IOPL;
    }
    return (cpu_get_eflags(cpu) & ~mask & ~EFLAGS_RF) | (image & mask) | EFLAGS_ONE;
}

/* RIP, CS and flags of the frame at SS:SP. Faults before anything changes. */
static struct frame read_frame(struct cpu *cpu, const struct insn *in)
{
    struct frame f = {.size = 1u << insn_osize(in)};
    f.rip = stack_read(cpu, in, 0, f.size);
    f.cs = (uint16_t)stack_read(cpu, in, f.size, f.size);
    f.flags = (uint32_t)stack_read(cpu, in, 2 * f.size, f.size);
    return f;
}

/* Real-address and virtual-8086 mode. */
static void iret_real(struct cpu *cpu, const struct insn *in)
{
    bool v86 = cpu_v86_mode(cpu);
    if (v86 && cpu_iopl(cpu) != 3) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    struct frame f = read_frame(cpu, in);
    uint64_t since = insn_rip(cpu, in);
    if (f.rip > cpu->seg[SEG_CS].limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint32_t mask = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_IF | EFLAGS_DF | EFLAGS_NT;
    if (!v86) {
        mask |= EFLAGS_IOPL;
    }
    if (f.size == 4) {
        mask |= EFLAGS_AC | EFLAGS_ID;
    }
    uint32_t flags = (cpu_get_eflags(cpu) & ~mask & ~EFLAGS_RF) | (f.flags & mask);
    stack_add(cpu, 3 * (int64_t)f.size);
    cpu_change_eflags(cpu, in, flags, since);
    seg_set_real(cpu, SEG_CS, f.cs);
    cpu->rip = f.rip;
    cpu_update_mode(cpu);
    record_iret(cpu, &f, cpu->cpl);
}

/* CPL 0, 32-bit operands, VM = 1 in the image. Vol. 2, "IRET", RETURN-TO-VIRTUAL-8086-MODE. */
static void iret_to_v86(struct cpu *cpu, const struct insn *in, const struct frame *f)
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint16_t sel[irq_array_size(order)];
    uint64_t since = insn_rip(cpu, in);
    uint32_t esp = (uint32_t)stack_read(cpu, in, 12, 4);
    for (unsigned i = 0; i < irq_array_size(order); i++) {
        sel[i] = (uint16_t)stack_read(cpu, in, 16 + 4 * i, 4);
    }
    if (f->rip > 0xffff) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint32_t keep = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_IF | EFLAGS_DF | EFLAGS_IOPL | EFLAGS_NT |
                    EFLAGS_VM | EFLAGS_AC | EFLAGS_VIF | EFLAGS_VIP | EFLAGS_ID;
    cpu_change_eflags(cpu, in, (f->flags & keep) | EFLAGS_ONE, since);
    seg_set_real(cpu, SEG_CS, f->cs);
    for (unsigned i = 0; i < irq_array_size(order); i++) {
        seg_set_real(cpu, order[i], sel[i]);
    }
    cpu->cpl = 3;
    cpu->regs[REG_RSP] = esp;
    cpu->rip = f->rip;
    cpu_update_mode(cpu);
    record_iret(cpu, f, 0);
}

/* SS for a return to `rpl`: a null selector is fine in 64-bit code below CPL 3. */
static struct cpu_segment check_return_stack(struct cpu *cpu, const struct insn *in, uint16_t sel,
                                             unsigned rpl, bool to64)
{
    if (SEL_NULL(sel)) {
        if (!to64 || rpl == 3 || (sel & 3u) != rpl) {
            cpu_fault_err(cpu, in, VEC_GP, 0);
        }
        return (struct cpu_segment){.sel = sel, .attr = SEG_UNUSABLE};
    }
    return seg_check_stack(cpu, in, sel, rpl, VEC_GP);
}

/* Protected and IA-32e mode. */
static void iret_protected(struct cpu *cpu, const struct insn *in)
{
    if (cpu->eflags & EFLAGS_NT) {
        if (cpu->long_mode) {
            cpu_fault_err(cpu, in, VEC_GP, 0);
        }
        cpu_unmodelled(cpu, in, "IRET with EFLAGS.NT = 1: task switches are not modelled");
    }
    struct frame f = read_frame(cpu, in);
    if ((f.flags & EFLAGS_VM) && cpu->cpl == 0 && f.size == 4 && !cpu->long_mode) {
        iret_to_v86(cpu, in, &f);
        return;
    }
    unsigned old_cpl = cpu->cpl;
    uint64_t since = insn_rip(cpu, in);
    struct cpu_segment cs = seg_check_return(cpu, in, f.cs);
    unsigned rpl = f.cs & 3u;
    bool to64 = cpu->long_mode && (cs.attr & SEG_L);
    bool stack = rpl != old_cpl || cpu->code_bits == 64;
    struct cpu_segment ss = cpu->seg[SEG_SS];
    if (stack) {
        f.rsp = stack_read(cpu, in, 3 * f.size, f.size);
        f.ss = (uint16_t)stack_read(cpu, in, 4 * f.size, f.size);
        ss = check_return_stack(cpu, in, f.ss, rpl, to64);
    }
    seg_check_rip(cpu, in, &cs, f.rip);

    /* Nothing can fault from here on. Flags first: which may change is decided by the old CPL. */
    uint32_t flags = merge_flags(cpu, f.flags, f.size);
    if (stack) {
        if (f.size == 2 || (f.size == 4 && !to64 && !(ss.attr & SEG_DB))) {
            /* A 16-bit stack pointer leaves the bits above it. */
            f.rsp = (cpu->regs[REG_RSP] & ~0xffffull) | (f.rsp & 0xffff);
        }
    } else {
        stack_add(cpu, 3 * (int64_t)f.size);
    }
    cpu_change_eflags(cpu, in, flags, since);
    seg_commit_cs(cpu, &cs, rpl, f.rip);
    if (stack) {
        seg_commit_stack(cpu, &ss, f.rsp);
    }
    if (rpl != old_cpl) {
        seg_drop_privileged(cpu);
    }
    record_iret(cpu, &f, old_cpl);
}

static const struct insn *op_iret(struct cpu *cpu, const struct insn *in)
{
    if (irq_unlikely(cpu->nmi_blocked)) {
        cpu->nmi_blocked = false;
        cpu_update_attention(cpu);
    }
    if (irq_unlikely(cpu->trace->enabled)) {
        cpu_sync(cpu, in);
    }
    if (cpu_real_mode(cpu) || cpu_v86_mode(cpu)) {
        iret_real(cpu, in);
    } else {
        iret_protected(cpu, in);
    }
    return INSN_LEAVE;
}
const struct op_fns fns_IRET = {{{OP_ALL_SIZES(op_iret)}}};
