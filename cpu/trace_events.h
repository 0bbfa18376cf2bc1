/* SPDX-License-Identifier: MIT */
/*
 * Records of the processor.
 */
#ifndef IRQSCOPE_CPU_TRACE_EVENTS_H
#define IRQSCOPE_CPU_TRACE_EVENTS_H

#include "bus/trace.h"

/* Entry kinds (cpu_gate.entry), frame layouts and return kinds. */
enum cpu_entry {
    CPU_ENTRY_IVT,
    CPU_ENTRY_INT16,
    CPU_ENTRY_TRAP16,
    CPU_ENTRY_INT32,
    CPU_ENTRY_TRAP32,
    CPU_ENTRY_INT64,
    CPU_ENTRY_TRAP64,
    CPU_ENTRY_TASK
};
enum cpu_frame_layout {
    CPU_FRAME_16,
    CPU_FRAME_32,
    CPU_FRAME_64
};
/* What brought the CPU to the IDT (cpu_event.type). */
enum cpu_event_type {
    CPU_EVENT_EXTERNAL,
    CPU_EVENT_NMI,
    CPU_EVENT_EXCEPTION,
    CPU_EVENT_SOFT_INT,
    CPU_EVENT_INT3,
    CPU_EVENT_INTO,
    CPU_EVENT_INT1
};

/*
 * One delivery is: cpu_hold* -> cpu_take (accepted; vector known) -> cpu_gate -> cpu_frame -> ... -> cpu_iret (ref = its cpu_frame).
 * cpu_hold: a request cannot be taken; since = RIP of the instruction that made it so (CLI, gate, MOV SS); since_time its time.
 * cpu_take: type = enum cpu_event_type; error = error code or all ones; rip = interrupted (or faulting) instruction.
 * cpu_gate: descriptor = low 8 bytes of the gate; handler = linear-free RIP of the target. cpu_frame: layout, new stack pointer after
 * the pushes, the interrupted stack pointer, CS:RIP to return to. cpu_fault_in_delivery: delivering `vector` tripped over `fault`.
 * cpu_iret: rip = where it returns to.
 */
#define CPU_TRACE_EVENTS(E0, E1, E2, E3, E4, E5)                                             \
    E4(cpu_hold, "hold", reason, REASON, since, ADDR, since_time, DEC, request, HEX)         \
    E5(cpu_take, "take", vector, VEC, type, ENUM, error, HEX, rip, ADDR, cr2, HEX)           \
    E5(cpu_gate, "gate", vector, VEC, entry, ENUM, descriptor, HEX, handler, ADDR, ist, DEC) \
    E5(cpu_frame, "frame", layout, ENUM, sp, HEX, old_sp, HEX, cs, HEX, rip, ADDR)           \
    E4(cpu_fault_in_delivery, "fault", vector, VEC, fault, VEC, error, HEX, address, HEX)    \
    E3(cpu_iret, "iret", layout, ENUM, sp, HEX, rip, ADDR)                                   \
    E2(cpu_halt, "halt", rip, ADDR, if_flag, BOOL)                                           \
    E2(cpu_wake, "wake", reason, HEX, rip, ADDR)                                             \
    E3(cpu_triple_fault, "triple", vector, VEC, rip, ADDR, cr2, HEX)                         \
    E1(cpu_reset, "reset", kind, ENUM)                                                       \
    E2(cpu_idt_load, "lidt", base, HEX, limit, HEX)

TRACE_DEFINE_ENUM(cpu, TRACE_FOLDER_CPU, CPU_TRACE_EVENTS)
TRACE_DEFINE_EMITTERS(CPU_TRACE_EVENTS)

extern const struct trace_desc cpu_trace_descs[];
extern const size_t cpu_trace_ndescs;

#endif
