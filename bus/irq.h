/* SPDX-License-Identifier: MIT */
/*
 * One interrupt wire, held by value in the device that drives it.
 *
 * level means *asserted*, not high: electrical polarity belongs to the board's wiring and the controllers. irq_set() is
 * idempotent. A pulse is two calls. The receiver (set) keeps a bitmap of asserting sources per shared pin.
 * Thread class: machine thread only.
 */
#ifndef IRQSCOPE_BUS_IRQ_H
#define IRQSCOPE_BUS_IRQ_H

#include "bus/types.h"

/* source: number of this wire in the board's wiring table; pin: receiver's input (a GSI, or a chip's pin). */
typedef void irq_set_fn(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause);

struct irq_line {
    irq_set_fn *set; /* NULL: not connected */
    void *opaque;
    uint16_t pin;
    uint16_t source;
    bool level;
};

/* Drive the wire. cause: the record (or parent) on whose behalf it changes. */
static inline void irq_set(struct irq_line *line, bool level, cause_t cause)
{
    if (line->level == level) {
        return;
    }
    line->level = level;
    if (line->set) {
        line->set(line->opaque, line->pin, line->source, level, cause);
    }
}

#endif
