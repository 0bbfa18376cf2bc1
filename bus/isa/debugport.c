/* SPDX-License-Identifier: MIT */
/*
 * Port E9h and port 80h: see debugport.h.
 */
#include "bus/isa/debugport.h"

static uint64_t e9_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)opaque, (void)off, (void)size, (void)attrs;
    return DEBUGPORT_E9;
}

static void e9_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                     const struct bus_attrs *attrs)
{
    (void)off, (void)size, (void)attrs;
    struct debugport *d = opaque;
    uint8_t byte = (uint8_t)value;
    chardev_write(&d->out, &byte, 1);
}

static uint64_t post_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)off, (void)size, (void)attrs;
    return ((const struct debugport *)opaque)->post;
}

static void post_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                       const struct bus_attrs *attrs)
{
    (void)off, (void)size, (void)attrs;
    ((struct debugport *)opaque)->post = (uint8_t)value;
}

void debugport_init(struct debugport *d, const struct chardev *out)
{
    *d = (struct debugport){0};
    if (out) {
        d->out = *out;
    }
}

void debugport_reset(struct debugport *d)
{
    d->post = 0;
}

int debugport_map(struct debugport *d, struct bus *bus, struct error *err)
{
    const struct mmio_dev e9 = {.name = "debugport",
                                .read = e9_read,
                                .write = e9_write,
                                .opaque = d,
                                .min_size = 1,
                                .max_size = 1};
    const struct mmio_dev post = {.name = "post",
                                  .read = post_read,
                                  .write = post_write,
                                  .opaque = d,
                                  .min_size = 1,
                                  .max_size = 1};
    int rc = bus_map_ports(bus, DEBUGPORT_E9, 1, &e9, err);
    return rc < 0 ? rc : bus_map_ports(bus, DEBUGPORT_POST, 1, &post, err);
}
