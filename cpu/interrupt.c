/* SPDX-License-Identifier: MIT */
/*
 * Requests from outside: who may be served between two instructions, and what holds the others.
 *
 * Intel SDM Vol. 3A (325384), 6.7 "Nonmaskable Interrupt (NMI)", 6.8 "Enabling and Disabling Interrupts", table 6-2 "Priority
 * Among Concurrent Events"; 9.4 "Multiple-Processor (MP) Initialization" for INIT; Vol. 2, "STI", "HLT", "MOV".
 *
 * Modelled: maskable interrupts (the vector is asked for at the moment of acceptance), NMI with its latch and the blocking until
 * IRET, INIT of the bootstrap processor, the shadows of STI and of loads of SS, waking from HLT.
 * Not modelled: SMI and SMM, INIT of application processors (the run ends with a message). A SIPI to a processor that does not
 * wait for one is dropped, as Vol. 3A, 9.4.2 "MP Initialization Protocol Requirements and Restrictions", says.
 * Readings taken: the shadow of STI holds back maskable interrupts only, that of a load of SS also NMI and debug traps. A
 * request that is held while two reasons apply is told with one: NMI's blocking before all, the shadow before IF.
 * hold.since for IF = 0 is the instruction that cleared it, or the handler that an interrupt gate led to.
 */
#include "cpu/exception.h"
#include "cpu/segment.h"
#include "cpu/trace_events.h"

/* Bit number in interrupt_request: index into request_cause. */
static unsigned request_index(uint32_t bit)
{
    return (unsigned)__builtin_ctz(bit);
}

struct hold {
    enum trace_hold reason;
    uint32_t request;
    uint64_t since;
    vtime_t since_time;
};

/* What keeps the most urgent held request from delivery; reason HOLD_NONE if nothing is held. */
static struct hold find_hold(const struct cpu *cpu, const struct insn *in)
{
    uint32_t request = cpu->interrupt_request;
    struct hold h = {.reason = HOLD_NONE};
    bool shadow = cpu->shadow;
    if (request & CPU_INTERRUPT_NMI) {
        if (cpu->nmi_blocked) {
            return (struct hold){.reason = HOLD_NMI_BLOCKED, .request = CPU_INTERRUPT_NMI};
        }
        if (shadow && cpu->shadow_ss) {
            return (struct hold){HOLD_SHADOW, CPU_INTERRUPT_NMI, cpu->shadow_rip, cpu_now(cpu, in)};
        }
    }
    if (request & CPU_INTERRUPT_HARD) {
        if (shadow) {
            h = (struct hold){HOLD_SHADOW, CPU_INTERRUPT_HARD, cpu->shadow_rip, cpu_now(cpu, in)};
        } else if (!(cpu->eflags & EFLAGS_IF)) {
            h = (struct hold){HOLD_IF, CPU_INTERRUPT_HARD, cpu->if_rip, cpu->if_time};
        }
    }
    return h;
}

void cpu_note_holds(struct cpu *cpu, const struct insn *in)
{
    struct hold h = find_hold(cpu, in);
    if (h.reason == cpu->held && h.request == cpu->held_request) {
        return;
    }
    cpu->held = (uint8_t)h.reason;
    cpu->held_request = h.request;
    if (h.reason != HOLD_NONE && irq_unlikely(cpu->trace->enabled)) {
        cpu_sync(cpu, in);
        trace_cpu_hold(cpu->trace, cpu->index, cpu->request_cause[request_index(h.request)], 0, 0,
                       h.reason, h.since, h.since_time, h.request);
    }
}

void cpu_interrupt(struct cpu *cpu, uint32_t bits, cause_t cause)
{
    uint32_t fresh = bits & ~cpu->interrupt_request & 0xff;
    cpu->interrupt_request |= bits;
    while (fresh) {
        cpu->request_cause[request_index(fresh)] = cause;
        fresh &= fresh - 1;
    }
    /* The hold itself is told at the next look between blocks: inside one, RIP and time are not the CPU's own. */
    cpu_update_attention(cpu);
}

void cpu_reset_interrupt(struct cpu *cpu, uint32_t bits)
{
    cpu->interrupt_request &= ~bits;
    if (cpu->held_request & bits) {
        cpu->held = HOLD_NONE;
        cpu->held_request = 0;
    }
    cpu_update_attention(cpu);
}

static void sink_raise(void *opaque, uint32_t bits, cause_t cause, uint8_t arg)
{
    struct cpu *cpu = opaque;
    if (bits & CPU_INTERRUPT_SIPI) {
        cpu->sipi_vector = arg;
    }
    cpu_interrupt(cpu, bits, cause);
}

static void sink_lower(void *opaque, uint32_t bits)
{
    cpu_reset_interrupt(opaque, bits);
}

const struct intr_sink_ops cpu_intr_sink_ops = {
    .raise = sink_raise,
    .lower = sink_lower,
};

/* Leave HLT because of this request. */
static void wake(struct cpu *cpu, uint32_t reason)
{
    if (!cpu->halted) {
        return;
    }
    cpu->halted = false;
    if (cpu->trace->enabled) {
        cpu_sync(cpu, NULL);
        trace_cpu_wake(cpu->trace, cpu->index, cpu->request_cause[request_index(reason)], 0, 0,
                       reason, cpu->rip);
    }
}

/* Vol. 3A, table 10-1: the column "INIT". The bootstrap processor starts again at the reset vector. */
static void take_init(struct cpu *cpu)
{
    cause_t cause = cpu->request_cause[request_index(CPU_INTERRUPT_INIT)];
    if (cpu->index != 0) {
        cpu_unmodelled(cpu, NULL, "INIT of an application processor is not modelled");
    }
    wake(cpu, CPU_INTERRUPT_INIT);
    cpu_reset_interrupt(cpu, CPU_INTERRUPT_INIT);
    if (cpu->trace->enabled) {
        cpu_sync(cpu, NULL);
        trace_cpu_reset(cpu->trace, cpu->index, cause, 0, 0, CPU_RESET_INIT);
    }
    cpu_reset(cpu, CPU_RESET_INIT);
    if (cpu->intr && cpu->intr->cpu_init) {
        cpu->intr->cpu_init(cpu->intr_opaque);
    }
    if (cpu->log_event) {
        cpu->log_event(cpu->log_opaque, cpu, NULL);
    }
}

static void take_nmi(struct cpu *cpu)
{
    cause_t cause = cpu->request_cause[request_index(CPU_INTERRUPT_NMI)];
    struct cpu_exception ev = {.vector = VEC_NMI, .type = CPU_EVENT_NMI};
    wake(cpu, CPU_INTERRUPT_NMI);
    cpu->interrupt_request &= ~(uint32_t)CPU_INTERRUPT_NMI;
    cpu->nmi_blocked = true;
    cpu_charge(cpu, 1);
    cpu_deliver_event(cpu, NULL, &ev, cause);
}

static void take_hard(struct cpu *cpu)
{
    wake(cpu, CPU_INTERRUPT_HARD);
    struct bus_attrs attrs = cpu_attrs(cpu, NULL);
    struct intr_ack ack = cpu->intr->ack(cpu->intr_opaque, &attrs);
    struct cpu_exception ev = {.vector = ack.vector, .type = CPU_EVENT_EXTERNAL};
    cpu_charge(cpu, 1);
    cpu_deliver_event(cpu, NULL, &ev, ack.cause);
}

bool x86_exec_interrupt(struct cpu *cpu)
{
    uint32_t request = cpu->interrupt_request;

    /* 0: requests posted to this CPU's local APIC become its own. */
    if (request & CPU_INTERRUPT_POLL) {
        cpu_reset_interrupt(cpu, CPU_INTERRUPT_POLL);
        cpu->intr->fold(cpu->intr_opaque);
        return true;
    }
    /* 1: the wish to leave the loop. The CPU's state is not touched. */
    if (request & CPU_INTERRUPT_EXIT) {
        cpu_reset_interrupt(cpu, CPU_INTERRUPT_EXIT);
        cpu->stop = CPU_STOP_REQUEST;
        return false;
    }
    /* 2: external hardware interventions: SMI, then INIT. */
    if (request & CPU_INTERRUPT_SMI) {
        cpu_unmodelled(cpu, NULL, "a system-management interrupt arrived: SMM is not modelled");
    }
    if (request & CPU_INTERRUPT_INIT) {
        take_init(cpu);
        return true;
    }
    if (request & CPU_INTERRUPT_SIPI) {
        cpu_reset_interrupt(cpu, CPU_INTERRUPT_SIPI);
        return true;
    }
    /* 3: traps on the previous instruction were delivered by the loop (cpu_debug_trap()). */
    /* 4: NMI. */
    if ((request & CPU_INTERRUPT_NMI) && !cpu->nmi_blocked && !(cpu->shadow && cpu->shadow_ss)) {
        take_nmi(cpu);
        cpu_note_holds(cpu, NULL);
        cpu_update_attention(cpu);
        return true;
    }
    /* 5: maskable interrupts. */
    if ((request & CPU_INTERRUPT_HARD) && (cpu->eflags & EFLAGS_IF) && !cpu->shadow) {
        take_hard(cpu);
        cpu_note_holds(cpu, NULL);
        cpu_update_attention(cpu);
        return true;
    }
    /* 6: nothing; say so once per reason. */
    cpu_note_holds(cpu, NULL);
    cpu_update_attention(cpu);
    return false;
}
