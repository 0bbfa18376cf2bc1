/* SPDX-License-Identifier: MIT */
/*
 * Read-only memory.
 *
 * Modelled: reads of every width, execution (the CPU fetches through the bus), ignored writes.
 * Not modelled: flash commands, shadowing in RAM.
 */
#include "bus/rom.h"

#include <string.h>

static uint64_t rom_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    const struct rom *rom = opaque;
    uint64_t v = 0;
    (void)attrs;
    memcpy(&v, rom->bytes + off, size);
    return v;
}

static void rom_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                      const struct bus_attrs *attrs)
{
    (void)opaque;
    (void)off;
    (void)size;
    (void)value;
    (void)attrs;
}

int rom_map(struct rom *rom, struct bus *bus, gpa_t base, const uint8_t *bytes, uint64_t len,
            struct error *err)
{
    struct mmio_dev dev = {.name = "rom",
                           .read = rom_read,
                           .write = rom_write,
                           .opaque = rom,
                           .min_size = 1,
                           .max_size = 8};
    rom->bytes = bytes;
    rom->len = len;
    return bus_map(bus, base, len, &dev, err);
}
