/* SPDX-License-Identifier: MIT */
/*
 * The test kernels' exit port: see isa_debug_exit.h.
 */
#include "bus/isa/isa_debug_exit.h"

static uint64_t exit_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)opaque, (void)off, (void)size, (void)attrs;
    return 0;
}

static void exit_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                       const struct bus_attrs *attrs)
{
    (void)off, (void)size;
    const struct isa_debug_exit *d = opaque;
    if (d->exit) {
        d->exit(d->opaque, (uint32_t)value, attrs);
    }
}

void isa_debug_exit_init(struct isa_debug_exit *d, uint16_t iobase, uint32_t iosize,
                         void (*exit)(void *opaque, uint32_t value, const struct bus_attrs *attrs),
                         void *opaque)
{
    *d =
        (struct isa_debug_exit){.iobase = iobase, .iosize = iosize, .exit = exit, .opaque = opaque};
}

int isa_debug_exit_map(struct isa_debug_exit *d, struct bus *bus, struct error *err)
{
    const struct mmio_dev dev = {.name = "isa-debug-exit",
                                 .read = exit_read,
                                 .write = exit_write,
                                 .opaque = d,
                                 .min_size = 1,
                                 .max_size = 4};
    return bus_map_ports(bus, d->iobase, d->iosize, &dev, err);
}
