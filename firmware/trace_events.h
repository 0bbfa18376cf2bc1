/* SPDX-License-Identifier: MIT */
/*
 * Records of the machine as a whole.
 *
 * machine_start: the first instruction is about to run (at power-on and after every reset); format = enum machine_boot_format. machine_end:
 * machine_run() returns; reason = enum machine_stop_reason, value = what the guest wrote, rip = where. machine_request: the guest asked for an end or
 * a reset through a port. host_input: something from outside entered at this virtual time; source = the wire of the device that takes it.
 */
#ifndef IRQSCOPE_FIRMWARE_TRACE_EVENTS_H
#define IRQSCOPE_FIRMWARE_TRACE_EVENTS_H

#include "bus/trace.h"

#define FIRMWARE_TRACE_EVENTS(E0, E1, E2, E3, E4, E5)                              \
    E3(machine_start, "start", entry, ADDR, format, ENUM, ram, HEX)                \
    E3(machine_end, "end", reason, ENUM, value, HEX, rip, ADDR)                    \
    E4(machine_request, "request", reason, ENUM, port, HEX, value, HEX, rip, ADDR) \
    E1(machine_reset, "reset", rip, ADDR)                                          \
    E2(host_input, "input", source, LINE, byte, HEX)

TRACE_DEFINE_ENUM(firmware, TRACE_FOLDER_FIRMWARE, FIRMWARE_TRACE_EVENTS)
TRACE_DEFINE_EMITTERS(FIRMWARE_TRACE_EVENTS)

extern const struct trace_desc firmware_trace_descs[];
extern const size_t firmware_trace_ndescs;

#endif
