/* SPDX-License-Identifier: MIT */
/*
 * Faults and the ways into the IDT, as handlers and the loop see them. SDM Vol. 3A, chapter 6 "Interrupt and Exception Handling".
 *
 * `in` is the instruction that faults (RIP and time are restored from it), or NULL outside blocks (then cpu->rip is exact).
 */
#ifndef IRQSCOPE_CPU_EXCEPTION_H
#define IRQSCOPE_CPU_EXCEPTION_H

#include "cpu/cpu.h"

/* Raise an exception without an error code, with one, or a page fault; they leave by longjmp to the loop. */
_Noreturn void cpu_fault(struct cpu *cpu, const struct insn *in, uint8_t vector);
_Noreturn void cpu_fault_err(struct cpu *cpu, const struct insn *in, uint8_t vector,
                             uint32_t error);
_Noreturn void cpu_fault_pf(struct cpu *cpu, const struct insn *in, uint64_t lin, uint32_t error);
/* Something irqscope does not model was needed: the run ends with status 12 and this text. */
_Noreturn __attribute__((format(printf, 3, 4))) void cpu_unmodelled(struct cpu *cpu,
                                                                    const struct insn *in,
                                                                    const char *fmt, ...);

/*
 * Called by the loop after a longjmp with cpu->fault filled and RIP restored: delivers it, or makes it a double fault, or shuts
 * down (SDM Vol. 3A, table 6-5 "Conditions for Generating a Double Fault"). Costs one instruction of time. May fault again.
 */
void cpu_handle_fault(struct cpu *cpu);
/* Enter the handler of ev through the IVT or IDT (dispatch by mode and gate). cpu->rip holds the return address. */
void cpu_deliver(struct cpu *cpu, const struct insn *in, const struct cpu_exception *ev);
/* A trap that is due after an instruction (TF single step, data breakpoints): raises #DB with these DR6 bits. */
void cpu_debug_trap(struct cpu *cpu, uint64_t dr6);
/*
 * The slow path between blocks: a straight list of the priorities of SDM Vol. 3A, table 6-2 "Priority Among Concurrent
 * Events". Services at most one event. Returns true if it did something (the loop polls again). Emits holds when a reason changes.
 */
bool x86_exec_interrupt(struct cpu *cpu);

#endif
