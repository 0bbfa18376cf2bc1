/* SPDX-License-Identifier: MIT */
/*
 * Record kinds of all folders. A folder's kinds are numbered from TRACE_BASE(folder) in the order of its list, so that a kind is
 * found by its number; the number stored in the table is held against it all the same.
 */
#include "firmware/trace_kinds.h"

#include "bus/trace_events.h"
#include "cpu/trace_events.h"
#include "firmware/trace_events.h"
#include "intc/trace_events.h"

const struct trace_desc firmware_trace_descs[] = {TRACE_DEFINE_DESCS(FIRMWARE_TRACE_EVENTS)};
const size_t firmware_trace_ndescs = irq_array_size(firmware_trace_descs);

const struct trace_desc *trace_desc_find(uint16_t kind)
{
    const struct trace_desc *descs = NULL;
    size_t n = 0;
    switch (kind / TRACE_KINDS_PER_FOLDER) {
    case TRACE_FOLDER_BUS:
        descs = bus_trace_descs;
        n = bus_trace_ndescs;
        break;
    case TRACE_FOLDER_CPU:
        descs = cpu_trace_descs;
        n = cpu_trace_ndescs;
        break;
    case TRACE_FOLDER_INTC:
        descs = intc_trace_descs;
        n = intc_trace_ndescs;
        break;
    case TRACE_FOLDER_FIRMWARE:
        descs = firmware_trace_descs;
        n = firmware_trace_ndescs;
        break;
    default:
        break;
    }
    size_t i = kind % TRACE_KINDS_PER_FOLDER;
    return i < n && descs[i].kind == kind ? &descs[i] : NULL;
}
