/* SPDX-License-Identifier: MIT */
/*
 * See names.h.
 */
#include "scope/names.h"

#include <string.h>

#include "cpu/trace_events.h"
#include "firmware/machine.h"
#include "firmware/pc_board.h"
#include "firmware/trace_events.h"
#include "intc/apic_msg.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"

#define NAME(table, i) ((i) < irq_array_size(table) ? (table)[i] : NULL)

const char *name_exception(uint64_t vector)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                        "#NM", "#DF", NULL,  "#TS", "#NP", "#SS", "#GP",
                                        "#PF", NULL,  "#MF", "#AC", "#MC", "#XM"};
    return NAME(names, vector);
}

bool exception_has_error(uint64_t vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

const char *name_entry(uint64_t entry)
{
    static const char *const names[] = {
        [CPU_ENTRY_IVT] = "IVT",
        [CPU_ENTRY_INT16] = "16-bit interrupt gate",
        [CPU_ENTRY_TRAP16] = "16-bit trap gate",
        [CPU_ENTRY_INT32] = "interrupt gate",
        [CPU_ENTRY_TRAP32] = "trap gate",
        [CPU_ENTRY_INT64] = "interrupt gate",
        [CPU_ENTRY_TRAP64] = "trap gate",
        [CPU_ENTRY_TASK] = "task gate",
    };
    const char *name = NAME(names, entry);
    return name ? name : "unknown entry";
}

const char *name_event_type(uint64_t type)
{
    static const char *const names[] = {
        [CPU_EVENT_EXTERNAL] = "external",   [CPU_EVENT_NMI] = "nmi",
        [CPU_EVENT_EXCEPTION] = "exception", [CPU_EVENT_SOFT_INT] = "int-n",
        [CPU_EVENT_INT3] = "int3",           [CPU_EVENT_INTO] = "into",
        [CPU_EVENT_INT1] = "int1",
    };
    return NAME(names, type);
}

const char *name_stack_pointer(uint64_t layout)
{
    return layout == CPU_FRAME_16 ? "SP" : layout == CPU_FRAME_32 ? "ESP" : "RSP";
}

const char *name_delivery(uint64_t delivery)
{
    static const char *const names[] = {"fixed", "lowest", "smi",     "reserved",
                                        "nmi",   "init",   "startup", "extint"};
    const char *name = NAME(names, delivery);
    return name ? name : "unknown";
}

const char *name_lvt(uint64_t entry)
{
    static const char *const names[] = {
        [LAPIC_LVT_ENTRY_TIMER] = "timer",      [LAPIC_LVT_ENTRY_THERMAL] = "thermal",
        [LAPIC_LVT_ENTRY_PERF] = "performance", [LAPIC_LVT_ENTRY_LINT0] = "LINT0",
        [LAPIC_LVT_ENTRY_LINT1] = "LINT1",      [LAPIC_LVT_ENTRY_ERROR] = "error",
    };
    const char *name = NAME(names, entry);
    return name ? name : "unknown";
}

const char *name_result(uint8_t result)
{
    static const char *const names[] = {
        [DELIVER_OK] = "ok",
        [DELIVER_POSTED] = "posted",
        [DELIVER_COALESCED] = "coalesced",
        [DELIVER_MASKED] = "masked",
        [DELIVER_NO_TARGET] = "no-target",
        [DELIVER_DISABLED] = "disabled",
        [DELIVER_ILLEGAL] = "illegal",
        [DELIVER_IGNORED] = "ignored",
        [DELIVER_PENDING] = "pending",
    };
    const char *name = NAME(names, result);
    return name ? name : "unknown";
}

static const char *name_request(uint64_t kind)
{
    static const char *const names[] = {
        [BOARD_REQUEST_POWER_OFF] = "power-off",
        [BOARD_REQUEST_RESET] = "reset",
        [BOARD_REQUEST_DEBUG_EXIT] = "debug-exit",
    };
    return NAME(names, kind);
}

const char *name_operand(const struct trace_desc *desc, unsigned op, uint64_t value)
{
    const char *operand = desc->op[op].name;
    if (strcmp(operand, "entry") == 0) {
        return desc->kind == TRACE_lapic_lvt ? name_lvt(value) : name_entry(value);
    }
    if (strcmp(operand, "type") == 0) {
        return name_event_type(value);
    }
    if (strcmp(operand, "layout") == 0) {
        return value <= CPU_FRAME_64 ? (const char *const[]){"16", "32", "64"}[value] : NULL;
    }
    if (strcmp(operand, "delivery") == 0) {
        return name_delivery(value);
    }
    if (strcmp(operand, "trigger") == 0) {
        return value == APIC_TRIGGER_LEVEL ? "level" : "edge";
    }
    if (desc->kind == TRACE_machine_end && strcmp(operand, "reason") == 0 &&
        value < MACHINE_STOP_REASONS) {
        return machine_stop_name((enum machine_stop_reason)value);
    }
    if (desc->kind == TRACE_machine_request && strcmp(operand, "reason") == 0) {
        return name_request(value);
    }
    if (desc->kind == TRACE_machine_start && strcmp(operand, "format") == 0 &&
        value <= MACHINE_BOOT_FLAT) {
        return machine_boot_format_name((enum machine_boot_format)value);
    }
    return NULL;
}
