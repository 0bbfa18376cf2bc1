/* SPDX-License-Identifier: MIT */
/*
 * Records of the ground floor: wires and devices.
 */
#ifndef IRQSCOPE_BUS_TRACE_EVENTS_H
#define IRQSCOPE_BUS_TRACE_EVENTS_H

#include "bus/trace.h"

/*
 * line: a wire's asserted level as its receiver sees it changed; source = who drives, gsi = where it goes, asserters =
 * bitmap of sources that assert now. line_join: a further source joined (or one of several left) a shared wire.
 * access: a guest access to a device register that changed the device's interrupt output.
 */
#define BUS_TRACE_EVENTS(E0, E1, E2, E3, E4, E5)                                   \
    E4(line, "line", source, LINE, gsi, DEC, level, BOOL, asserters, HEX)          \
    E4(line_join, "line", source, LINE, gsi, DEC, level, BOOL, asserters, HEX)     \
    E4(device_access, "access", source, LINE, address, HEX, value, HEX, rip, ADDR) \
    E2(timer_arm, "arm", source, LINE, deadline, DEC)                              \
    E2(timer_expire, "expire", source, LINE, deadline, DEC)

TRACE_DEFINE_ENUM(bus, TRACE_FOLDER_BUS, BUS_TRACE_EVENTS)
TRACE_DEFINE_EMITTERS(BUS_TRACE_EVENTS)

extern const struct trace_desc bus_trace_descs[];
extern const size_t bus_trace_ndescs;

#endif
