/* SPDX-License-Identifier: MIT */
/*
 * Serial port: National Semiconductor PC16550D. Datasheet, deviations and what is not modelled: uart16550.c.
 * Held by value in the machine. Machine thread only.
 */
#ifndef IRQSCOPE_BUS_ISA_UART16550_H
#define IRQSCOPE_BUS_ISA_UART16550_H

#include "bus/bus.h"
#include "bus/chardev.h"
#include "bus/clock.h"
#include "bus/irq.h"
#include "bus/trace.h"

#define UART16550_FIFO  16
#define UART16550_PORTS 8
#define UART16550_CLOCK 1843200u /* Hz, crystal of the PC's serial adapter */

struct uart16550 {
    struct irq_line irq;
    struct chardev out;
    struct trace *trace;
    struct clock *clock;
    uint16_t base; /* first port, for records */

    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    bool
        thre_pending; /* THRE interrupt condition: set by the emptying THR, cleared by an IIR read or a THR write */
    bool cti_pending; /* character timeout has happened */
    uint8_t rx[UART16550_FIFO];
    uint8_t rx_head;  /* oldest character */
    uint8_t rx_count; /* at most 1 when the FIFOs are off */
    cause_t rx_cause; /* of the latest character */
    struct clock_event timeout;
};

/* clock and trace are borrowed. out may be NULL: output vanishes. Ends with uart16550_reset(). */
void uart16550_init(struct uart16550 *u, struct clock *clock, struct trace *trace,
                    const struct chardev *out);
/* The MR pin: registers of table "UART Reset Configuration"; the line falls. */
void uart16550_reset(struct uart16550 *u);
/* Claim ports base..base+7. 0 or -errno. */
int uart16550_map(struct uart16550 *u, struct bus *bus, uint16_t base, struct error *err);
/*
 * A character arrives from the line. cause: the record of the input, or 0. Returns false, and takes nothing, when there is no room
 * (FIFO full; without FIFOs: RBR full) or the port is looped back: the caller keeps the character and tries again.
 */
bool uart16550_receive(struct uart16550 *u, uint8_t byte, cause_t cause);
/* Would uart16550_receive() take a character now? */
bool uart16550_can_receive(const struct uart16550 *u);

/* Register file, off 0-7: what the port range calls. */
uint64_t uart16550_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs);
void uart16550_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                     const struct bus_attrs *attrs);
/* Invariants; for tests and checked builds. */
void uart16550_check(const struct uart16550 *u);

#endif
