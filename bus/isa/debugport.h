/* SPDX-License-Identifier: MIT */
/*
 * Port E9h (output of test kernels, Bochs' convention) and port 80h (POST code). Machine thread only.
 *
 * E9h: a write is a character of output; a read gives E9h, which is how guests find the port. 80h: the last value is kept, can be
 * read back, and is what an explanation may show; guests also write it as a delay.
 * Not modelled: port 402h (the debug port of SeaBIOS), the DMA page registers beside port 80h.
 */
#ifndef IRQSCOPE_BUS_ISA_DEBUGPORT_H
#define IRQSCOPE_BUS_ISA_DEBUGPORT_H

#include "bus/bus.h"
#include "bus/chardev.h"

#define DEBUGPORT_E9   0xe9
#define DEBUGPORT_POST 0x80

struct debugport {
    struct chardev out;
    uint8_t post; /* last POST code */
};

/* out may be NULL: output vanishes. */
void debugport_init(struct debugport *d, const struct chardev *out);
void debugport_reset(struct debugport *d);
/* Claim ports E9h and 80h. 0 or -errno. */
int debugport_map(struct debugport *d, struct bus *bus, struct error *err);

#endif
