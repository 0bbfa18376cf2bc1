/* SPDX-License-Identifier: MIT */
/*
 * The decoders of APIC messages. Expected values: Intel SDM Vol. 3A, 11.11 "Message Signalled
 * Interrupts", 11.6.1 "Interrupt Command Register (ICR)".
 */
#include "intc/apic_fabric.h"
#include "intc/apic_msg.h"
#include "unit/model_intc_rig.h"

static const struct bus_attrs attrs = {.requester = IRQ_REQ_PCI + 8, .cause = 12};

Test(msi, decodes_every_field)
{
    struct apic_msg msg;
    msi_decode(0xfee5a00c, 0xc1b3, &attrs,
               &msg); /* dest 5Ah, RH, logical; level, assert, lowest priority, B3h */
    cr_assert_eq(msg.dest, 0x5a);
    cr_assert_eq(msg.dest_mode, APIC_DEST_LOGICAL);
    cr_assert(msg.redirection_hint);
    cr_assert_eq(msg.delivery, APIC_DELIVERY_LOWEST);
    cr_assert_eq(msg.vector, 0xb3);
    cr_assert_eq(msg.trigger, APIC_TRIGGER_LEVEL);
    cr_assert_eq(msg.assert_level, APIC_ASSERT);
    cr_assert_eq(msg.shorthand, APIC_SHORT_NONE);
    cr_assert_eq(msg.source, IRQ_REQ_PCI + 8);
    cr_assert_eq(msg.cause, 12);
}

Test(msi, edge_messages_assert_whatever_bit_14_says)
{
    struct apic_msg msg;
    msi_decode(0xfee00000, 0x0041, &attrs, &msg);
    cr_assert_eq(msg.assert_level, APIC_ASSERT);
    cr_assert_eq(msg.trigger, APIC_TRIGGER_EDGE);
    msi_decode(0xfee00000, 0x8041, &attrs, &msg);
    cr_assert_eq(msg.assert_level, APIC_DEASSERT);
}

Test(msi, encode_is_the_inverse_of_decode)
{
    uint64_t seed = 99;
    for (unsigned i = 0; i < 10000; i++) {
        gpa_t addr = 0xfee00000 | (bus_test_random(&seed) & 0xff00c), again_addr;
        uint32_t data = (uint32_t)bus_test_random(&seed) & 0xc7ff, again_data;
        struct apic_msg msg;
        data |= data & 0x8000 ? 0 : 0x4000;
        msi_decode(addr, data, &attrs, &msg);
        msi_encode(&msg, &again_addr, &again_data);
        cr_assert_eq(again_addr, addr);
        cr_assert_eq(again_data, data);
    }
}

Test(msi, icr_decodes_every_field)
{
    struct apic_msg msg;
    icr_decode(0x5a000000000cc9b3ull, &msg);
    cr_assert_eq(msg.dest, 0x5a);
    cr_assert_eq(msg.shorthand, APIC_SHORT_OTHERS);
    cr_assert_eq(msg.trigger, APIC_TRIGGER_LEVEL);
    cr_assert_eq(msg.assert_level, APIC_ASSERT);
    cr_assert_eq(msg.dest_mode, APIC_DEST_LOGICAL);
    cr_assert_eq(msg.delivery, APIC_DELIVERY_LOWEST);
    cr_assert_eq(msg.vector, 0xb3);
    cr_assert(!msg.redirection_hint);
}

Test(msi, translation_refuses_what_is_no_message)
{
    cr_assert_eq(msi_translate(attrs.requester, 0xfee00000, 0x4041, &attrs).kind, MSI_MESSAGE);
    cr_assert_eq(msi_translate(attrs.requester, 0xfef00000, 0x4041, &attrs).kind, MSI_FAULT);
    cr_assert_eq(msi_translate(attrs.requester, 0xfee00002, 0x4041, &attrs).kind, MSI_FAULT);
    cr_assert_eq(msi_translate(attrs.requester, 0xfee00000, 0x0341, &attrs).kind,
                 MSI_FAULT); /* reserved 011b */
    cr_assert_eq(msi_translate(attrs.requester, 0xfee00000, 0x0641, &attrs).kind,
                 MSI_FAULT); /* reserved 110b */
}
