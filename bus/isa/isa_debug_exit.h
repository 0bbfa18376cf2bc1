/* SPDX-License-Identifier: MIT */
/*
 * The test kernels' exit port: a write of v asks the machine to end with a status made from v. Machine thread only.
 *
 * The device hands v on as written; the machine makes (v << 1) | 1 of it. Reads give 0. By habit the port stands at F4h
 * with 4 ports, by default at 501h with 2.
 */
#ifndef IRQSCOPE_BUS_ISA_ISA_DEBUG_EXIT_H
#define IRQSCOPE_BUS_ISA_ISA_DEBUG_EXIT_H

#include "bus/bus.h"

#define ISA_DEBUG_EXIT_BASE 0x501
#define ISA_DEBUG_EXIT_SIZE 2

struct isa_debug_exit {
    uint16_t iobase;
    uint32_t iosize;
    /* Called with the value written (1-4 bytes wide). The machine stops at its next poll; the call returns. */
    void (*exit)(void *opaque, uint32_t value, const struct bus_attrs *attrs);
    void *opaque;
};

void isa_debug_exit_init(struct isa_debug_exit *d, uint16_t iobase, uint32_t iosize,
                         void (*exit)(void *opaque, uint32_t value, const struct bus_attrs *attrs),
                         void *opaque);
/* Claim the ports. 0 or -errno. */
int isa_debug_exit_map(struct isa_debug_exit *d, struct bus *bus, struct error *err);

#endif
