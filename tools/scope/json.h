/* SPDX-License-Identifier: MIT */
/*
 * Records and flows as JSON, one object a line, UTF-8 (RFC 8259).
 *
 * Addresses and register values are strings ("0x1f"), times and counts integers, absent is null; words are kebab-case and never
 * renamed; a schema's number only ever gains fields.
 */
#ifndef IRQSCOPE_SCOPE_JSON_H
#define IRQSCOPE_SCOPE_JSON_H

#include <stdio.h>

#include "scope/flow.h"
#include "scope/symbols.h"

/* A string with its quotes; bytes that are no UTF-8 become U+FFFD. NULL is null. */
void json_print_string(FILE *out, const char *text);
/* schema "irqscope.records/1". symbols may be NULL. */
void json_print_record(FILE *out, const struct irq_record *r, struct symbols *symbols);
/* schema "irqscope.flows/1". */
void json_print_flow(FILE *out, const struct flow *flow, struct symbols *symbols);

#endif
