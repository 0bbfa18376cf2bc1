/* SPDX-License-Identifier: MIT */
/*
 * What the ISA devices share: the record of a guest access that changes a device's interrupt output.
 */
#ifndef IRQSCOPE_BUS_ISA_ISA_ACCESS_H
#define IRQSCOPE_BUS_ISA_ISA_ACCESS_H

#include "bus/irq.h"
#include "bus/trace_events.h"

/* A register access by the guest; NULL where one is expected means: nobody accessed, time or the outside did it. */
struct isa_access {
    uint16_t port;
    uint8_t value; /* written, or as read */
    const struct bus_attrs *attrs;
};

/* CPU number for a record about a requester. */
static inline uint16_t isa_access_cpu(const struct bus_attrs *attrs)
{
    return attrs->requester <= IRQ_REQ_CPU_MAX ? (uint16_t)attrs->requester : TRACE_CPU_NONE;
}

/*
 * Drive line to level. When a guest access does it, the change is told as a device_access record, which becomes the
 * cause of the line's; otherwise cause is.
 */
static inline void isa_drive_line(struct irq_line *line, bool level, struct trace *trace,
                                  cause_t cause, const struct isa_access *access)
{
    if (line->level == level) {
        return;
    }
    if (access) {
        cause =
            trace_device_access(trace, isa_access_cpu(access->attrs), access->attrs->cause, 0, 0,
                                line->source, access->port, access->value, access->attrs->rip);
    }
    irq_set(line, level, cause);
}

#endif
