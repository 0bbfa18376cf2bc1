/* SPDX-License-Identifier: MIT */
/*
 * IOAPIC (82093AA, order no. 290566-001): takes pins, makes MSI writes on the bus; the APIC
 * fabric, not the IOAPIC, finds targets. Machine thread only.
 */
#ifndef IRQSCOPE_INTC_IOAPIC_H
#define IRQSCOPE_INTC_IOAPIC_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/irq.h"
#include "bus/trace.h"

#define IOAPIC_PINS 24
#define IOAPIC_BASE 0xFEC00000ull

/* Redirection table entry bits. */
#define IOAPIC_RTE_VECTOR     0xffull
#define IOAPIC_RTE_DELIVERY   (7ull << 8)
#define IOAPIC_RTE_LOGICAL    (1ull << 11)
#define IOAPIC_RTE_STATUS     (1ull << 12)
#define IOAPIC_RTE_ACTIVE_LOW (1ull << 13)
#define IOAPIC_RTE_REMOTE_IRR (1ull << 14)
#define IOAPIC_RTE_LEVEL      (1ull << 15)
#define IOAPIC_RTE_MASKED     (1ull << 16)

struct ioapic {
    uint8_t index;   /* 0 = first; requester is IRQ_REQ_IOAPIC + index */
    uint8_t version; /* 11h or 20h */
    uint8_t id;
    uint8_t ioregsel;
    uint32_t gsi_base;
    uint64_t rte[IOAPIC_PINS];
    uint32_t asserted; /* per pin: logical assertion by the wiring (after wire.active_low) */
    uint32_t wire_low; /* per pin: the wire is electrically active low */
    uint32_t latched;  /* edge requests not yet delivered */
    uint64_t asserters[IOAPIC_PINS]; /* bitmap of sources (source number & 63) */
    cause_t cause[IOAPIC_PINS];      /* record of the pending request or assertion episode */
    uint8_t held[IOAPIC_PINS];       /* enum trace_hold last told */
    struct reg_writer writer[IOAPIC_PINS];
    struct bus *bus;
    struct trace *trace;
    struct clock *clock;
    vtime_t
        redeliver; /* ns from EOI to the next message of a pin that is still asserted; settable */
    vtime_t redeliver_at[IOAPIC_PINS]; /* VTIME_NEVER: not in transit */
    struct clock_event redeliver_event;
};

#define IOAPIC_REDELIVER_NS 1000

/*
 * Power-on state. wire_low is the board's to set afterwards; reset keeps it. version: 11h or 20h
 * (the latter has an EOI register).
 */
void ioapic_init(struct ioapic *io, uint8_t index, uint32_t gsi_base, uint8_t version,
                 struct bus *bus, struct trace *trace, struct clock *clock);
/* Entries masked, id 0; inputs keep their levels. 82093AA, 3.2 "APIC Registers". */
void ioapic_reset(struct ioapic *io);
/* Map the 4 KiB window at base. 0, or -EINVAL with err filled. */
int ioapic_map(struct ioapic *io, gpa_t base, struct error *err);
/* irq_set_fn: pin 0-23. */
void ioapic_set_irq(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause);
/*
 * EOI broadcast: clears Remote IRR of every level pin with this vector and services it again if
 * still asserted.
 */
void ioapic_eoi(struct ioapic *io, vector_t vector, cause_t cause);
/* Would pin deliver if it were asserted now (not masked)? */
bool ioapic_pin_open(const struct ioapic *io, uint16_t pin);
/* Always-true statements about the state; asserts in builds with IRQ_CHECKS. */
void ioapic_check(const struct ioapic *io);

#endif
