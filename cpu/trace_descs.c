/* SPDX-License-Identifier: MIT */
/*
 * The processor's record kinds for printers. See cpu/trace_events.h.
 */
#include "cpu/trace_events.h"

const struct trace_desc cpu_trace_descs[] = {TRACE_DEFINE_DESCS(CPU_TRACE_EVENTS)};
const size_t cpu_trace_ndescs = irq_array_size(cpu_trace_descs);

_Static_assert((int)TRACE_cpu_end <= (int)TRACE_BASE(TRACE_FOLDER_CPU) + TRACE_KINDS_PER_FOLDER,
               "too many kinds in cpu/trace_events.h");
