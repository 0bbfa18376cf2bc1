/* SPDX-License-Identifier: MIT */
/*
 * A flow as text: a heading, then a line for each stage with its distance in virtual ns from the first one.
 */
#ifndef IRQSCOPE_SCOPE_FLOW_TEXT_H
#define IRQSCOPE_SCOPE_FLOW_TEXT_H

#include <stdio.h>

#include "scope/flow.h"
#include "scope/symbols.h"

/* symbols may be NULL. */
void flow_print(FILE *out, const struct flow *flow, struct symbols *symbols);
/* The reason as a clause: "IF=0 since main+0x31 (tour.S:44)". buf of FLOW_HOLD_TEXT bytes; returns it. */
#define FLOW_HOLD_TEXT 400
const char *flow_hold_text(const struct irq_record *hold, struct symbols *symbols, char *buf);
/* Virtual time between two records as "61 insns" (same CPU) or "1200 ns"; buf of 40 bytes. */
const char *flow_distance_text(const struct irq_record *from, const struct irq_record *to,
                               char *buf);

#endif
