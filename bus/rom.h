/* SPDX-License-Identifier: MIT */
/*
 * Read-only memory in the physical address space. Writes vanish, as on a chip without a write strobe. Machine thread only.
 */
#ifndef IRQSCOPE_BUS_ROM_H
#define IRQSCOPE_BUS_ROM_H

#include "bus/bus.h"

struct rom {
    const uint8_t *bytes; /* borrowed */
    uint64_t len;
};

/* Map len bytes at base. 0, or -EINVAL for zero length or overlap (err filled). rom and bytes must outlive the bus. */
int rom_map(struct rom *rom, struct bus *bus, gpa_t base, const uint8_t *bytes, uint64_t len,
            struct error *err);

#endif
