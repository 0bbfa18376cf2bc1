/* SPDX-License-Identifier: MIT */
/*
 * Into the handler: the IVT of real-address mode and the IDT's gates.
 *
 * Intel SDM Vol. 3A (325384), 6.12 "Exception and Interrupt Handling", 6.13 "Error Code", 6.14 "Exception and Interrupt Handling in
 * 64-bit Mode", 21.3 "Interrupt and Exception Handling in Virtual-8086 Mode"; Vol. 2, "INT n/INTO/INT3/INT1".
 *
 * Modelled: IVT; 16- and 32-bit interrupt and trap gates with and without a change of privilege, from virtual-8086 mode too; 64-bit
 * gates with the interrupt stack table. All checks come before the first change; the whole frame is probed before its first byte is
 * stored, so a delivery that faults has changed nothing but accessed bits.
 * Not modelled: task gates (the run ends with a message), shadow stacks, FRED.
 * Error codes name the gate as vector * 8 + 2; the EXT bit is added by cpu_handle_fault().
 * Readings taken: a non-canonical RSP from the TSS or in use is #SS with a selector of 0 (6.14.2 "64-Bit Mode Stack Frame" and Vol. 2, "INT n").
 * Deviations: RF is set in the image for faults only, not when an interrupt arrives between the iterations of a REP.
 */
#include "cpu/exception.h"
#include "cpu/segment.h"
#include "cpu/trace_events.h"

/* What is about to happen, complete before anything is committed. */
struct entry {
    uint64_t descriptor; /* the gate's low 8 bytes, or the IVT's 4 */
    uint64_t rip;        /* of the handler */
    uint64_t return_rip;
    uint64_t old_sp;
    uint8_t kind;   /* enum cpu_entry */
    uint8_t layout; /* enum cpu_frame_layout */
    uint8_t ist;
    bool interrupt_gate; /* clears IF */
};

/* Fault-class exceptions push RF = 1: all but #DB (here always a trap), #BP, #OF, #DF and #MC. Vol. 3B, 18.3.1.1 "Instruction-Breakpoint Exception Condition". */
static bool pushes_rf(const struct cpu_exception *ev)
{
    return ev->type == CPU_EVENT_EXCEPTION && ev->vector != VEC_DB && ev->vector != VEC_BP &&
           ev->vector != VEC_OF && ev->vector != VEC_DF && ev->vector != VEC_MC;
}

static uint32_t gate_error(const struct cpu_exception *ev)
{
    return ev->vector * 8u + 2;
}

static void remember_frame(struct cpu *cpu, cause_t frame, const struct entry *e, unsigned old_cpl)
{
    if (cpu->nframes == CPU_OPEN_FRAMES) {
        enum {
            FORGET = 8
        }; /* several at once, so that a guest that never returns does not pay for the move each time */
        memmove(cpu->frames, cpu->frames + FORGET,
                sizeof(cpu->frames[0]) * (CPU_OPEN_FRAMES - FORGET));
        cpu->nframes -= FORGET;
    }
    cpu->frames[cpu->nframes++] = (struct cpu_open_frame){
        .frame = frame,
        .outer = cpu->cur_cause,
        .sp = e->old_sp,
        .cr3 = cpu->cr3 & ~0xfffull,
        .cpl = (uint8_t)old_cpl,
    };
    cpu->cur_cause = frame;
}

/* After the commit: gate and frame, chained to the take. */
static void record_entry(struct cpu *cpu, const struct cpu_exception *ev, const struct entry *e,
                         unsigned old_cpl, uint16_t old_cs)
{
    if (irq_likely(!cpu->trace->enabled)) {
        return;
    }
    cause_t gate = trace_cpu_gate(cpu->trace, cpu->index, cpu->delivery_cause, 0, 0, ev->vector,
                                  e->kind, e->descriptor, e->rip, e->ist);
    cause_t frame = trace_cpu_frame(cpu->trace, cpu->index, gate, 0, 0, e->layout,
                                    cpu->regs[REG_RSP], e->old_sp, old_cs, e->return_rip);
    remember_frame(cpu, frame, e, old_cpl);
}

/* Real-address mode: FLAGS, CS, IP; no error code. Vol. 2, "INT n", REAL-ADDRESS-MODE. */
static void deliver_real(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev,
                         struct entry *e)
{
    uint32_t off = ev->vector * 4u;
    if (off + 3 > cpu->idtr.limit) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    uint32_t pointer = (uint32_t)sys_ld(cpu, in, cpu_wrap_linear(cpu, cpu->idtr.base + off), 4);
    struct cpu_segment *cs = &cpu->seg[SEG_CS];
    uint16_t old_cs = cs->sel;
    uint32_t flags = cpu_get_eflags(cpu);
    struct seg_stack st = seg_current_stack(cpu);
    uint64_t frame[3] = {flags & 0xffff, old_cs, e->return_rip & 0xffff};
    e->descriptor = pointer;
    e->rip = pointer & 0xffff;
    e->kind = CPU_ENTRY_IVT;
    e->layout = CPU_FRAME_16;
    if (e->rip > cs->limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint64_t sp = seg_push_frame(cpu, in, &st, frame, 3, 2);
    cs->sel = (uint16_t)(pointer >> 16);
    cs->base = (pointer >> 16) << 4;
    cpu->regs[REG_RSP] = sp;
    cpu_change_eflags(cpu, in, flags & ~(EFLAGS_IF | EFLAGS_TF | EFLAGS_AC | EFLAGS_RF), e->rip);
    cpu->rip = e->rip;
    cpu_update_mode(cpu); /* CS.base: is the code segment flat? */
    record_entry(cpu, ev, e, 0, old_cs);
}

/* The code segment that the gate names. Protected and IA-32e mode. *cpl = the privilege level to enter. */
static struct cpu_segment gate_code_segment(struct cpu *cpu, const struct insn *in, uint16_t sel,
                                            unsigned *cpl)
{
    uint64_t d, addr;
    if (SEL_NULL(sel)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    if (!seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    unsigned dpl = seg_dpl(attr);
    if (!seg_is_code(attr) || dpl > cpu->cpl) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (cpu->long_mode && (attr & (SEG_L | SEG_DB)) != SEG_L) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
    *cpl = attr & SEG_E ? cpu->cpl : dpl;
    /* From virtual-8086 mode only CPL 0 can be entered. */
    if (cpu_v86_mode(cpu) && *cpl != 0) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    seg_mark_accessed(cpu, in, addr, &d);
    return seg_from_desc(sel, d);
}

/* Flags as the handler sees them. 6.12.1.3 "Flag Usage By Exception- or Interrupt-Handler Procedure". */
static void enter_flags(struct cpu *cpu, const struct insn *in, uint32_t flags, bool interrupt_gate,
                        uint64_t handler)
{
    flags &= ~(EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM);
    if (interrupt_gate) {
        flags &= ~EFLAGS_IF;
    }
    cpu_change_eflags(cpu, in, flags, handler);
}

/* Null ES, DS, FS, GS on the way out of virtual-8086 mode. */
static void leave_v86_segments(struct cpu *cpu)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (size_t i = 0; i < sizeof(data); i++) {
        cpu->seg[data[i]] = (struct cpu_segment){.attr = SEG_UNUSABLE};
    }
}

/* The gate of ev in a legacy IDT, checked; fills what it says of the entry. Returns the selector. */
static uint16_t read_gate(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev,
                          struct entry *e)
{
    uint32_t off = ev->vector * 8u;
    if (irq_unlikely(off + 7 > cpu->idtr.limit)) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    uint64_t gate = sys_ld(cpu, in, cpu_wrap_linear(cpu, cpu->idtr.base + off), 8);
    uint32_t attr = seg_desc_attr(gate);
    unsigned type = attr & SEG_TYPE_S;
    if (type != DESC_INT32 && type != DESC_TRAP32 && type != DESC_INT16 && type != DESC_TRAP16 &&
        type != DESC_TASK_GATE) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    if (ev->soft && seg_dpl(attr) < cpu->cpl) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, gate_error(ev));
    }
    if (type == DESC_TASK_GATE) {
        cpu_unmodelled(cpu, in,
                       "vector 0x%02x goes through a task gate: task switches are not modelled",
                       ev->vector);
    }
    bool gate32 = (type & 8) != 0;
    static const uint8_t kinds[2][2] = {{CPU_ENTRY_TRAP16, CPU_ENTRY_INT16},
                                        {CPU_ENTRY_TRAP32, CPU_ENTRY_INT32}};
    e->descriptor = gate;
    e->interrupt_gate = !(type & 1);
    e->kind = kinds[gate32][e->interrupt_gate];
    e->layout = gate32 ? CPU_FRAME_32 : CPU_FRAME_16;
    e->rip = (gate & 0xffff) | (gate32 ? (gate >> 32) & 0xffff0000 : 0);
    return (uint16_t)(gate >> 16);
}

/* The values of a legacy frame in the order of the pushes; returns their number. */
static unsigned make_frame(const struct cpu *cpu, const struct cpu_exception *ev,
                           const struct entry *e, bool inner, uint32_t flags, uint64_t frame[10])
{
    unsigned n = 0;
    if (cpu_v86_mode(cpu)) {
        frame[n++] = cpu->seg[SEG_GS].sel;
        frame[n++] = cpu->seg[SEG_FS].sel;
        frame[n++] = cpu->seg[SEG_DS].sel;
        frame[n++] = cpu->seg[SEG_ES].sel;
    }
    if (inner) {
        frame[n++] = cpu->seg[SEG_SS].sel;
        frame[n++] = e->old_sp;
    }
    frame[n++] = pushes_rf(ev) ? flags | EFLAGS_RF : flags;
    frame[n++] = cpu->seg[SEG_CS].sel;
    frame[n++] = e->return_rip;
    if (ev->has_error) {
        frame[n++] = ev->error;
    }
    return n;
}

/* 16- and 32-bit gates. Vol. 2, "INT n", PROTECTED-MODE. */
static void deliver_protected(struct cpu *cpu, const struct insn *in,
                              const struct cpu_exception *ev, struct entry *e)
{
    unsigned cpl;
    unsigned old_cpl = cpu->cpl;
    uint16_t sel = read_gate(cpu, in, ev, e);
    struct cpu_segment cs = gate_code_segment(cpu, in, sel, &cpl);
    bool inner = cpl != old_cpl; /* always so from virtual-8086 mode */
    bool v86 = cpu_v86_mode(cpu);
    struct seg_stack st = inner ? seg_tss_stack(cpu, in, cpl) : seg_current_stack(cpu);
    uint64_t frame[10];
    uint32_t flags = cpu_get_eflags(cpu);
    uint16_t old_cs = cpu->seg[SEG_CS].sel;
    unsigned n = make_frame(cpu, ev, e, inner, flags, frame);
    if (e->rip > cs.limit) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint64_t sp = seg_push_frame(cpu, in, &st, frame, n, e->layout == CPU_FRAME_32 ? 4 : 2);

    /* Nothing can fault from here on. */
    enter_flags(cpu, in, flags, e->interrupt_gate, e->rip);
    if (v86) {
        leave_v86_segments(cpu);
    }
    seg_commit_cs(cpu, &cs, cpl, e->rip);
    if (inner) {
        seg_commit_stack(cpu, &st.ss, sp);
    } else {
        cpu->regs[REG_RSP] = sp;
    }
    record_entry(cpu, ev, e, old_cpl, old_cs);
}

/* As read_gate(), for the IDT of IA-32e mode. */
static uint16_t read_gate_64(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev,
                             struct entry *e)
{
    uint32_t off = ev->vector * 16u;
    if (irq_unlikely(off + 15 > cpu->idtr.limit)) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    uint64_t gate = sys_ld(cpu, in, cpu->idtr.base + off, 8);
    uint64_t upper = sys_ld(cpu, in, cpu->idtr.base + off + 8, 8);
    uint32_t attr = seg_desc_attr(gate);
    unsigned type = attr & SEG_TYPE_S;
    if (type != DESC_INT32 && type != DESC_TRAP32) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    if (ev->soft && seg_dpl(attr) < cpu->cpl) {
        cpu_fault_err(cpu, in, VEC_GP, gate_error(ev));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, gate_error(ev));
    }
    e->interrupt_gate = type == DESC_INT32;
    e->descriptor = gate;
    e->kind = e->interrupt_gate ? CPU_ENTRY_INT64 : CPU_ENTRY_TRAP64;
    e->layout = CPU_FRAME_64;
    e->ist = (gate >> 32) & 7;
    e->rip = (gate & 0xffff) | ((gate >> 32) & 0xffff0000) | upper << 32;
    return (uint16_t)(gate >> 16);
}

/* 64-bit gates. Vol. 2, "INT n", and Vol. 3A, 6.14 "Exception and Interrupt Handling in 64-bit Mode". */
static void deliver_64(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev,
                       struct entry *e)
{
    uint16_t sel = read_gate_64(cpu, in, ev, e);
    unsigned cpl;
    unsigned old_cpl = cpu->cpl;
    struct cpu_segment cs = gate_code_segment(cpu, in, sel, &cpl);
    bool inner = cpl != old_cpl;
    uint64_t rsp = inner || e->ist ? seg_tss_rsp(cpu, in, cpl, e->ist) : cpu->regs[REG_RSP];
    struct seg_stack st = {.sp = rsp & ~0xfull, .cpl = (uint8_t)cpl, .is64 = true};

    uint32_t flags = cpu_get_eflags(cpu);
    uint16_t old_cs = cpu->seg[SEG_CS].sel;
    uint64_t frame[6] = {
        cpu->seg[SEG_SS].sel, e->old_sp, pushes_rf(ev) ? flags | EFLAGS_RF : flags, old_cs,
        e->return_rip,        ev->error};
    if (!cpu_canonical(e->rip)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    uint64_t sp = seg_push_frame(cpu, in, &st, frame, ev->has_error ? 6 : 5, 8);

    /* Nothing can fault from here on. */
    enter_flags(cpu, in, flags, e->interrupt_gate, e->rip);
    seg_commit_cs(cpu, &cs, cpl, e->rip);
    if (inner) {
        struct cpu_segment ss = {.sel = (uint16_t)cpl, .attr = SEG_UNUSABLE};
        seg_commit_stack(cpu, &ss, sp);
    } else {
        cpu->regs[REG_RSP] = sp;
    }
    record_entry(cpu, ev, e, old_cpl, old_cs);
}

void cpu_deliver(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev)
{
    struct entry e = {
        .return_rip = in ? insn_next_rip(cpu, in) : cpu->rip,
    };
    if (cpu->code_bits == 64) {
        e.old_sp = cpu->regs[REG_RSP];
    } else {
        e.return_rip = (uint32_t)e.return_rip;
        e.old_sp = (uint32_t)cpu->regs[REG_RSP];
    }
    if (irq_unlikely(cpu->log_event != NULL)) {
        cpu->log_event(cpu->log_opaque, cpu, ev);
    }
    if (irq_unlikely(cpu->trace->enabled)) {
        cpu_sync(cpu, in);
        cpu->delivery_cause = trace_cpu_take(
            cpu->trace, cpu->index, cpu->delivery_cause, 0, 0, ev->vector, ev->type,
            ev->has_error ? ev->error : UINT64_MAX, in ? insn_rip(cpu, in) : cpu->rip, ev->cr2);
    }
    if (cpu_real_mode(cpu)) {
        deliver_real(cpu, in, ev, &e);
    } else if (cpu->long_mode) {
        deliver_64(cpu, in, ev, &e);
    } else {
        deliver_protected(cpu, in, ev, &e);
    }
}
