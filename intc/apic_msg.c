/* SPDX-License-Identifier: MIT */
/*
 * The decoders of APIC messages: MSI address and data, and the interrupt command register.
 *
 * Intel SDM Vol. 3A (order no. 325384), 11.11.1 "Message Address Register Format", 11.11.2
 * "Message Data Register Format", 11.6.1 "Interrupt Command Register (ICR)".
 *
 * Modelled: all fields of the two formats with 8-bit destinations.
 * Readings taken: with RH=0 the DM bit still chooses the destination mode (the manual says
 * "ignored", no processor does).
 * Not modelled: remappable-format messages (address bit 4) and extended destination ids (address
 * bits 11:5).
 * Deviations: none known.
 */
#include "intc/apic_msg.h"

void msi_decode(gpa_t addr, uint32_t data, const struct bus_attrs *attrs, struct apic_msg *msg)
{
    bool level = data >> 15 & 1;

    *msg = (struct apic_msg){
        .dest = (uint32_t)(addr >> 12 & 0xff),
        .shorthand = APIC_SHORT_NONE,
        .dest_mode = addr >> 2 & 1 ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL,
        .delivery = (enum apic_delivery)(data >> 8 & 7),
        .vector = (vector_t)data,
        .trigger = level ? APIC_TRIGGER_LEVEL : APIC_TRIGGER_EDGE,
        /* "If Trigger Mode is edge, Level for Trigger Mode is a don't care." */
        .assert_level = !level || (data >> 14 & 1) ? APIC_ASSERT : APIC_DEASSERT,
        .redirection_hint = addr >> 3 & 1,
        .source = attrs->requester,
        .cause = attrs->cause,
    };
}

void msi_encode(const struct apic_msg *msg, gpa_t *addr, uint32_t *data)
{
    *addr = 0xFEE00000ull | (gpa_t)(msg->dest & 0xff) << 12 | (gpa_t)msg->redirection_hint << 3 |
            (gpa_t)msg->dest_mode << 2;
    *data = msg->vector | (uint32_t)msg->delivery << 8 | (uint32_t)msg->assert_level << 14 |
            (uint32_t)msg->trigger << 15;
}

void icr_decode(uint64_t icr, struct apic_msg *msg)
{
    *msg = (struct apic_msg){
        .dest = (uint32_t)(icr >> 56),
        .shorthand = (enum apic_shorthand)(icr >> 18 & 3),
        .dest_mode = icr >> 11 & 1 ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL,
        .delivery = (enum apic_delivery)(icr >> 8 & 7),
        .vector = (vector_t)icr,
        .trigger = icr >> 15 & 1 ? APIC_TRIGGER_LEVEL : APIC_TRIGGER_EDGE,
        .assert_level = icr >> 14 & 1 ? APIC_ASSERT : APIC_DEASSERT,
    };
}
