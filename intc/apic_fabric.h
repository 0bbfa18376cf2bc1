/* SPDX-License-Identifier: MIT */
/*
 * The APIC fabric: finds the targets of a message. The MSI window FEE00000h-FEEFFFFFh on the
 * device side leads here. Machine thread only.
 */
#ifndef IRQSCOPE_INTC_APIC_FABRIC_H
#define IRQSCOPE_INTC_APIC_FABRIC_H

#include "intc/apic_msg.h"
#include "intc/ioapic.h"
#include "intc/lapic.h"

#define APIC_FABRIC_MAX_CPUS    64
#define APIC_FABRIC_MAX_IOAPICS 4
#define MSI_WINDOW_BASE         0xFEE00000ull
#define MSI_WINDOW_SIZE         0x100000ull

enum msi_kind {
    MSI_MESSAGE,
    MSI_FAULT
};
/*
 * What a device's message becomes: today a decoded message or a fault; remapping and posting will
 * live here.
 */
struct msi_result {
    enum msi_kind kind;
    struct apic_msg msg;
};

struct apic_fabric {
    struct lapic *lapic[APIC_FABRIC_MAX_CPUS];
    unsigned ncpus;
    struct ioapic *ioapic[APIC_FABRIC_MAX_IOAPICS];
    unsigned nioapics;
    struct intr_ack (*pic_ack)(void *opaque, uint16_t cpu, cause_t cause);
    void *pic_opaque;
    struct trace *trace;
};

void apic_fabric_init(struct apic_fabric *fabric, struct trace *trace);
/* Join a LAPIC (sets its ops) or IOAPIC. */
void apic_fabric_add_lapic(struct apic_fabric *fabric, struct lapic *lapic);
void apic_fabric_add_ioapic(struct apic_fabric *fabric, struct ioapic *ioapic);
/* Map the device-side MSI window. 0, or -EINVAL with err filled. */
int apic_fabric_map(struct apic_fabric *fabric, struct bus *bus, struct error *err);
/*
 * What a device's 32-bit store of data at address means. MSI_FAULT: not in the window, misaligned
 * or a reserved delivery mode. SDM Vol. 3A, 11.11 "Message Signalled Interrupts". Pure.
 */
struct msi_result msi_translate(uint32_t requester, gpa_t address, uint32_t data,
                                const struct bus_attrs *attrs);
/*
 * Deliver to every target that matches (or to one, for lowest priority); counts are targets. SDM
 * Vol. 3A, 11.6.2.
 */
struct deliver_result apic_fabric_deliver(struct apic_fabric *fabric, const struct apic_msg *msg);

#endif
