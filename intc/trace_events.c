/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of the interrupt controllers' records, for printers.
 */
#include "intc/trace_events.h"

const struct trace_desc intc_trace_descs[] = {TRACE_DEFINE_DESCS(INTC_TRACE_EVENTS)};
const size_t intc_trace_ndescs = irq_array_size(intc_trace_descs);
