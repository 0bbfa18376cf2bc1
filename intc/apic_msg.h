/* SPDX-License-Identifier: MIT */
/*
 * struct apic_msg: the only thing that travels between IOAPIC, MSI, IPI and local APICs; and its
 * two pure decoders. Intel SDM Vol. 3A, 11.11 "Message Signalled Interrupts", 11.6.1 "Interrupt
 * Command Register (ICR)".
 */
#ifndef IRQSCOPE_INTC_APIC_MSG_H
#define IRQSCOPE_INTC_APIC_MSG_H

#include "bus/types.h"

enum apic_delivery {
    APIC_DELIVERY_FIXED = 0,
    APIC_DELIVERY_LOWEST = 1,
    APIC_DELIVERY_SMI = 2,
    APIC_DELIVERY_RESERVED = 3,
    APIC_DELIVERY_NMI = 4,
    APIC_DELIVERY_INIT = 5,
    APIC_DELIVERY_STARTUP = 6,
    APIC_DELIVERY_EXTINT = 7,
};
enum apic_dest_mode {
    APIC_DEST_PHYSICAL = 0,
    APIC_DEST_LOGICAL = 1
};
enum apic_trigger {
    APIC_TRIGGER_EDGE = 0,
    APIC_TRIGGER_LEVEL = 1
};
enum apic_shorthand {
    APIC_SHORT_NONE = 0,
    APIC_SHORT_SELF = 1,
    APIC_SHORT_ALL = 2,
    APIC_SHORT_OTHERS = 3
};
enum apic_assert {
    APIC_DEASSERT = 0,
    APIC_ASSERT = 1
};

struct apic_msg {
    uint32_t dest; /* 32 bits wide; xAPIC destinations use the low 8 */
    enum apic_shorthand shorthand;
    enum apic_dest_mode dest_mode;
    enum apic_delivery delivery;
    vector_t vector;
    enum apic_trigger trigger;
    enum apic_assert assert_level;
    bool redirection_hint;
    uint32_t source; /* enum irq_requester */
    cause_t cause;
};

/* Decode an MSI address/data pair (address FEExxxxxh). Pure; cause and source come from attrs. */
void msi_decode(gpa_t addr, uint32_t data, const struct bus_attrs *attrs, struct apic_msg *msg);
/* Encode for devices that make messages (the IOAPIC): the address and data that decode to msg. */
void msi_encode(const struct apic_msg *msg, gpa_t *addr, uint32_t *data);
/* Decode an xAPIC ICR value (high dword = ICR high). Pure. */
void icr_decode(uint64_t icr, struct apic_msg *msg);

#endif
