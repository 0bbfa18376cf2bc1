/* SPDX-License-Identifier: MIT */
/*
 * A record as one line of text, by its kind's description.
 */
#ifndef IRQSCOPE_SCOPE_TEXT_H
#define IRQSCOPE_SCOPE_TEXT_H

#include <stdio.h>

#include "bus/trace.h"
#include "scope/symbols.h"

/* The columns' names. */
void text_print_heading(FILE *out);
/* symbols may be NULL. */
void text_print_record(FILE *out, const struct irq_record *r, struct symbols *symbols);
/* Operand i of r as text, by its type; buf of SYMBOLS_TEXT bytes; returns it. */
const char *text_operand(const struct trace_desc *desc, const struct irq_record *r, unsigned i,
                         struct symbols *symbols, char *buf);

#endif
