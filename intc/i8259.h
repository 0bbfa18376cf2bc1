/* SPDX-License-Identifier: MIT */
/*
 * The 8259A pair of a PC. Intel 8259A datasheet, order no. 231468-003; PIIX3 (ELCR), order no.
 * 290550-002. Machine thread only.
 */
#ifndef IRQSCOPE_INTC_I8259_H
#define IRQSCOPE_INTC_I8259_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/intr.h"
#include "bus/irq.h"
#include "bus/trace.h"

#define I8259_PINS 16

/* One chip. Field names as the datasheet's; never as bare locals. */
struct i8259_chip {
    uint8_t irr, imr, isr;
    uint8_t level; /* pins whose input is asserted now */
    /* Edge latch: a rising edge that was not acknowledged yet; cleared when the input falls. */
    uint8_t edge_seen;
    uint8_t icw1, icw2, icw3, icw4;
    uint8_t init_step; /* 0 = operational, else the ICW expected next (2, 3, 4) */
    uint8_t elcr, elcr_mask;
    uint8_t lowest; /* lowest-priority level (rotation); 7 after reset */
    bool read_isr;  /* OCW3 read select */
    bool poll;      /* OCW3 poll command pending */
    bool special_mask;
    bool rotate_on_aeoi;
    bool intr;             /* INT output */
    bool initialised;      /* an ICW sequence was completed since power-on */
    uint64_t asserters[8]; /* per pin: bitmap of sources (source number & 63) that assert */
    cause_t cause[8];      /* record of the request pending in IRR */
    cause_t isr_cause[8];  /* record of the acknowledge that set ISR */
    uint8_t held[8];       /* enum trace_hold last told per pin */
    struct reg_writer imr_writer, icw_writer, ocw2_writer, elcr_writer;
    struct clock_event fall; /* INT falls at this time (int_fall) */
    struct i8259 *pic;       /* owner, for the event */
};

struct i8259 {
    struct i8259_chip chip[2]; /* 0 = master (20h), 1 = slave (A0h) */
    struct trace *trace;
    struct clock *clock;
    struct irq_line out; /* INTR; to LINT0 of the BSP (and the CPU in PIC mode) */
    bool ltim_honoured;  /* discrete 8259A; false on PIIX3, where ELCR replaces it */
    /* ns that INT outlives its last request; 0 unless set. INTA lowers it at once. */
    vtime_t int_fall;
    cause_t intr_cause; /* pic_intr record of the last rise */
};

/*
 * Power-on state; leaves out unconnected, ltim_honoured false, int_fall 0: the board sets them
 * afterwards.
 */
void i8259_init(struct i8259 *pic, struct trace *trace, struct clock *clock);
/* Back to the power-on state. Inputs keep their levels, wiring and constants stay. */
void i8259_reset(struct i8259 *pic);
/* Map 20h-21h, A0h-A1h, 4D0h-4D1h. 0, or -EINVAL with err filled. */
int i8259_map(struct i8259 *pic, struct bus *bus, struct error *err);
/* irq_set_fn: pin 0-15 (2 is the cascade and ignored). */
void i8259_set_irq(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause);
/*
 * INTA: choose the vector; answers the default vector of level 7 (spurious) if nothing is left.
 * INT falls and, if more waits, rises again. 8259A datasheet, "Interrupt Sequence". cpu and cause
 * are the CPU's, for the record.
 */
struct intr_ack i8259_ack(struct i8259 *pic, uint16_t cpu, cause_t cause);
/*
 * Would pin reach INTR if it asked now (initialised, not masked, nothing equal or higher in
 * service)? For "halted for ever".
 */
bool i8259_pin_open(const struct i8259 *pic, uint16_t pin);
/* Always-true statements about the state; asserts. */
void i8259_check(const struct i8259 *pic);

#endif
