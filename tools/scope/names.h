/* SPDX-License-Identifier: MIT */
/*
 * Numbers of records as words for people, shared by the printers.
 */
#ifndef IRQSCOPE_SCOPE_NAMES_H
#define IRQSCOPE_SCOPE_NAMES_H

#include "bus/trace.h"

/* "#PF" and so on; NULL for a vector that is no exception. SDM Vol. 3A, table 6-1 "Protected-Mode Exceptions and Interrupts". */
const char *name_exception(uint64_t vector);
/* Does the exception push an error code? */
bool exception_has_error(uint64_t vector);
/* enum cpu_entry: "interrupt gate", "64-bit trap gate"... */
const char *name_entry(uint64_t entry);
/* enum cpu_event_type. */
const char *name_event_type(uint64_t type);
/* enum cpu_frame_layout: name of the stack pointer, "RSP". */
const char *name_stack_pointer(uint64_t layout);
/* enum apic_delivery: "fixed". */
const char *name_delivery(uint64_t delivery);
/* Entry of the local vector table: "timer". */
const char *name_lvt(uint64_t entry);
/* enum deliver_reason: kebab-case. */
const char *name_result(uint8_t result);
/* An operand of type ENUM by its kind and name; NULL if it has no word. */
const char *name_operand(const struct trace_desc *desc, unsigned op, uint64_t value);

#endif
