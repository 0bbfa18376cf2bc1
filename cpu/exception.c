/* SPDX-License-Identifier: MIT */
/*
 * Exceptions on their way to the IDT: raising, double and triple faults, what cannot be modelled.
 *
 * Intel SDM Vol. 3A (325384), chapter 6 "Interrupt and Exception Handling": table 6-1, table 6-5 "Conditions for Generating a Double
 * Fault", 6.13 "Error Code", 6.15 "Exception and Interrupt Reference".
 *
 * Modelled: benign and contributory classes and page faults, #DF, shutdown, the EXT bit, CR2, DR6.
 * Not modelled: machine checks, #VE, #CP, instruction breakpoints (so EFLAGS.RF has nothing to hold back).
 * Readings taken: EXT is set for faults while an external interrupt, an NMI, INT1 or an exception is delivered, not for INT n, INT3
 * and INTO (6.13). CR2 takes the address of every page fault, also of one that becomes a double fault.
 *
 * log_event is told of each delivery (ev = what is delivered), of a triple fault (stop is CPU_STOP_TRIPLE_FAULT already;
 * ev = the exception that could not be delivered) and of a reset (ev = NULL).
 */
#include "cpu/exception.h"

#include <stdarg.h>
#include <stdio.h>

#include "bus/assert.h"
#include "cpu/segment.h"
#include "cpu/trace_events.h"

static _Noreturn void raise_fault(struct cpu *cpu, const struct insn *in)
{
    cpu->fault_in = in;
    longjmp(cpu->jmp, JUMP_FAULT);
}

_Noreturn void cpu_fault(struct cpu *cpu, const struct insn *in, uint8_t vector)
{
    cpu->fault = (struct cpu_exception){.vector = vector, .type = CPU_EVENT_EXCEPTION};
    raise_fault(cpu, in);
}

_Noreturn void cpu_fault_err(struct cpu *cpu, const struct insn *in, uint8_t vector, uint32_t error)
{
    cpu->fault = (struct cpu_exception){
        .vector = vector, .type = CPU_EVENT_EXCEPTION, .has_error = true, .error = error};
    raise_fault(cpu, in);
}

_Noreturn void cpu_fault_pf(struct cpu *cpu, const struct insn *in, uint64_t lin, uint32_t error)
{
    cpu->fault = (struct cpu_exception){.vector = VEC_PF,
                                        .type = CPU_EVENT_EXCEPTION,
                                        .has_error = true,
                                        .error = error,
                                        .cr2 = lin};
    raise_fault(cpu, in);
}

_Noreturn void cpu_unmodelled(struct cpu *cpu, const struct insn *in, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(cpu->unmodelled_text, sizeof(cpu->unmodelled_text), fmt, ap);
    va_end(ap);
    if (in && n >= 0 && (size_t)n < sizeof(cpu->unmodelled_text)) {
        /* The guest's bytes as it would fetch them now; for people only, so a fetch that fails is no matter. */
        uint8_t bytes[15];
        char *p = cpu->unmodelled_text + n;
        size_t room = sizeof(cpu->unmodelled_text) - (size_t)n;
        size_t got = cpu_read_debug(cpu, cpu->seg[SEG_CS].base + insn_rip(cpu, in), bytes,
                                    in->len < sizeof(bytes) ? in->len : sizeof(bytes));
        int k = snprintf(p, room, " (%s:", op_name(in->op));
        for (size_t i = 0; i < got && k > 0 && (size_t)k < room; i++) {
            p += k;
            room -= (size_t)k;
            k = snprintf(p, room, " %02x", bytes[i]);
        }
        if (k > 0 && (size_t)k < room) {
            snprintf(p + k, room - (size_t)k, ")");
        }
    }
    cpu->stop = CPU_STOP_UNMODELLED;
    cpu->fault_in = in;
    longjmp(cpu->jmp, JUMP_UNMODELLED);
}

enum fault_class {
    CLASS_BENIGN,
    CLASS_CONTRIBUTORY,
    CLASS_PAGE,
    CLASS_DOUBLE
};

/* SDM Vol. 3A, table 6-4 "Interrupt and Exception Classes". Only exceptions proper count; INT n does not. */
static enum fault_class fault_class(const struct cpu_exception *ev)
{
    if (ev->type != CPU_EVENT_EXCEPTION) {
        return CLASS_BENIGN;
    }
    switch (ev->vector) {
    case VEC_DE:
    case VEC_TS:
    case VEC_NP:
    case VEC_SS:
    case VEC_GP:
        return CLASS_CONTRIBUTORY;
    case VEC_PF:
        return CLASS_PAGE;
    case VEC_DF:
        return CLASS_DOUBLE;
    default:
        return CLASS_BENIGN;
    }
}

static void triple_fault(struct cpu *cpu, const struct cpu_exception *ev)
{
    cpu->stop = CPU_STOP_TRIPLE_FAULT;
    if (cpu->trace->enabled) {
        cpu_sync(cpu, NULL);
        trace_cpu_triple_fault(cpu->trace, cpu->index, cpu->delivery_cause, 0, 0, ev->vector,
                               cpu->rip, cpu->cr2);
    }
    if (cpu->log_event) {
        cpu->log_event(cpu->log_opaque, cpu, ev);
    }
}

void cpu_deliver_event(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev,
                       cause_t cause)
{
    cpu->delivering = *ev;
    cpu->delivery_cause = cause;
    cpu->in_delivery = true;
    cpu_deliver(cpu, in, &cpu->delivering);
    cpu->in_delivery = false;
    if (irq_unlikely(cpu->shadow)) {
        /* A shadow protects the instruction that was interrupted, not the handler's first. */
        cpu->shadow = cpu->shadow_ss = false;
        cpu_update_attention(cpu);
    }
}

void cpu_handle_fault(struct cpu *cpu)
{
    struct cpu_exception ev = cpu->fault;
    cause_t cause = cpu->cur_cause;
    cpu->fault_in = NULL;
    if (ev.vector == VEC_PF) {
        cpu->cr2 = ev.cr2;
    }
    if (cpu->trace->enabled || cpu->log_event) {
        cpu_sync(cpu, NULL);
    }
    if (cpu->in_delivery) {
        const struct cpu_exception *first = &cpu->delivering;
        enum fault_class a = fault_class(first);
        enum fault_class b = fault_class(&ev);
        cpu->in_delivery = false;
        if (!first->soft && ev.vector >= VEC_TS && ev.vector <= VEC_GP) {
            ev.error |= 1; /* EXT */
        }
        cause = cpu->delivery_cause;
        if (cpu->trace->enabled) {
            cause = trace_cpu_fault_in_delivery(cpu->trace, cpu->index, cause, 0, 0, first->vector,
                                                ev.vector, ev.has_error ? ev.error : UINT64_MAX,
                                                ev.cr2);
            cpu->delivery_cause = cause;
        }
        if (a == CLASS_DOUBLE && b != CLASS_BENIGN) {
            triple_fault(cpu, &ev);
            return;
        }
        if ((a == CLASS_CONTRIBUTORY && b == CLASS_CONTRIBUTORY) ||
            (a == CLASS_PAGE && (b == CLASS_CONTRIBUTORY || b == CLASS_PAGE))) {
            ev = (struct cpu_exception){
                .vector = VEC_DF, .type = CPU_EVENT_EXCEPTION, .has_error = true};
        }
    }
    if (ev.vector == VEC_DB) {
        cpu->dr[6] |= ev.dr6;
    }
    cpu_charge(cpu, 1);
    cpu_deliver_event(cpu, NULL, &ev, cause);
}

void cpu_debug_trap(struct cpu *cpu, uint64_t dr6)
{
    cpu->fault = (struct cpu_exception){.vector = VEC_DB, .type = CPU_EVENT_EXCEPTION, .dr6 = dr6};
    cpu->halted = false; /* "a debug exception" ends HLT. SDM Vol. 2, "HLT" */
    cpu_handle_fault(cpu);
}
