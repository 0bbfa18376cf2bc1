/* SPDX-License-Identifier: MIT */
/*
 * All kinds of records, for printers: the tables of the four folders as one.
 */
#ifndef IRQSCOPE_FIRMWARE_TRACE_KINDS_H
#define IRQSCOPE_FIRMWARE_TRACE_KINDS_H

#include "bus/trace.h"

/* The descriptor of a kind, or NULL if there is no such kind. Any thread. */
const struct trace_desc *trace_desc_find(uint16_t kind);

#endif
