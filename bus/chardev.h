/* SPDX-License-Identifier: MIT */
/*
 * A byte stream to the outside (serial port, debug port), as a device sees it. Implemented by tools/.
 *
 * Output passes through write() alone, so that one layer can mute it. Input is pushed by the outside into the
 * device (for example uart16550_receive()) at a poll point, with a virtual time. Machine thread only.
 */
#ifndef IRQSCOPE_BUS_CHARDEV_H
#define IRQSCOPE_BUS_CHARDEV_H

#include "bus/types.h"

struct chardev {
    void (*write)(void *opaque, const uint8_t *buf, size_t n); /* NULL: output vanishes */
    void *opaque;
};

static inline void chardev_write(const struct chardev *c, const uint8_t *buf, size_t n)
{
    if (c && c->write) {
        c->write(c->opaque, buf, n);
    }
}

#endif
