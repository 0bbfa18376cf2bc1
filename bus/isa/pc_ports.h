/* SPDX-License-Identifier: MIT */
/*
 * The PC's ports that end or restart a run: power-off, reset, A20, and the least of a keyboard controller.
 * What is and is not modelled: pc_ports.c. Held by value in the machine. Machine thread only.
 */
#ifndef IRQSCOPE_BUS_ISA_PC_PORTS_H
#define IRQSCOPE_BUS_ISA_PC_PORTS_H

#include "bus/bus.h"

/* Both are called in the middle of an instruction; the machine acts at its next poll. port: the port that asked. May be NULL. */
struct pc_ports_callbacks {
    void (*power_off)(void *opaque, uint16_t port, const struct bus_attrs *attrs);
    void (*reset)(void *opaque, uint16_t port, const struct bus_attrs *attrs);
    void *opaque;
};

struct pc_ports {
    struct pc_ports_callbacks cb;
    uint16_t pm1a_control;
    uint8_t reset_control; /* CF9h */
    uint8_t shutdown_pos;  /* characters of "Shutdown" seen at 8900h */
    uint8_t kbc_command;   /* controller command that waits for its data byte; 0 = none */
    uint8_t kbc_byte;      /* the 8042's command byte */
    uint8_t kbc_data;      /* output buffer */
    bool kbc_full;         /* output buffer holds kbc_data */
};

void pc_ports_init(struct pc_ports *p, const struct pc_ports_callbacks *cb);
void pc_ports_reset(struct pc_ports *p);
/* Claim 60h, 64h, 92h, 604h-605h, CF9h, 8900h and B004h-B005h. 0 or -errno. */
int pc_ports_map(struct pc_ports *p, struct bus *bus, struct error *err);

#endif
