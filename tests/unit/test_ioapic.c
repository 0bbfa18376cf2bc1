/* SPDX-License-Identifier: MIT */
/*
 * The IOAPIC, through its window and pins; the MSI window is a device that remembers what is
 * stored there. Expected values: Intel 82093AA datasheet, 290566-001.
 */
#include "intc/ioapic.h"
#include "unit/model_intc_rig.h"
#include "unit/model_ioapic.h"

#define IRQ_FIXED 0x0000u
#define LEVEL     0x8000u
#define LOW       0x2000u
#define MASKED    0x10000u
#define REMOTE    0x4000u

struct fixture {
    struct rig rig;
    struct ioapic io;
    bool accepts;
    unsigned messages;
    gpa_t address;
    uint32_t data;
    struct bus_attrs attrs;
};

static struct fixture *f;

static uint64_t msi_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)opaque, (void)off, (void)size, (void)attrs;
    return UINT64_MAX;
}

static void msi_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                      const struct bus_attrs *attrs)
{
    (void)opaque;
    cr_assert_eq(size, 4);
    f->messages++;
    f->address = 0xfee00000 + off;
    f->data = (uint32_t)value;
    f->attrs = *attrs;
    *attrs->result = f->accepts
                         ? (struct deliver_result){.posted = 1, .reason = DELIVER_POSTED}
                         : (struct deliver_result){.rejected = 1, .reason = DELIVER_DISABLED};
}

static void setup(void)
{
    const struct mmio_dev msi = {"msi", msi_read, msi_write, NULL, 4, 8};
    f = calloc(1, sizeof(*f));
    rig_init(&f->rig);
    ioapic_init(&f->io, 0, 0, 0x20, &f->rig.bus, &f->rig.trace, &f->rig.clock);
    cr_assert_eq(bus_map(&f->rig.bus, 0xfee00000, 0x100000, &msi, NULL), 0);
    cr_assert_eq(ioapic_map(&f->io, IOAPIC_BASE, NULL), 0);
    f->accepts = true;
}

static void teardown(void)
{
    ioapic_check(&f->io);
    rig_fini(&f->rig);
    free(f);
}

static void mmio_write(unsigned off, uint32_t value)
{
    bus_write(&f->rig.bus, IOAPIC_BASE + off, 4, value, &f->rig.attrs);
}

static uint32_t reg(uint8_t index)
{
    mmio_write(0x00, index);
    return (uint32_t)bus_read(&f->rig.bus, IOAPIC_BASE + 0x10, 4, &f->rig.attrs);
}

static void set_reg(uint8_t index, uint32_t value)
{
    mmio_write(0x00, index);
    mmio_write(0x10, value);
}

static uint32_t rte(unsigned pin)
{
    return reg((uint8_t)(0x10 + 2 * pin));
}

static void set_rte(unsigned pin, uint32_t value)
{
    set_reg((uint8_t)(0x10 + 2 * pin), value);
}

static void wire(unsigned pin, bool level)
{
    ioapic_set_irq(&f->io, (uint16_t)pin, (uint16_t)pin, level, 0);
    ioapic_check(&f->io);
}

static void eoi(vector_t vector)
{
    ioapic_eoi(&f->io, vector, 0);
    ioapic_check(&f->io);
}

TestSuite(ioapic, .init = setup, .fini = teardown);

Test(ioapic, registers_have_reset_values_and_writable_bits)
{
    cr_assert_eq(reg(0x00), 0);
    cr_assert_eq(reg(0x01), 0x00170020); /* 24 entries, version 20h */
    cr_assert_eq(reg(0x02), 0);
    set_reg(0x00, 0xffffffff);
    cr_assert_eq(reg(0x00), 0x0f000000); /* 3.2.1 IOAPICID bits 27:24 */
    cr_assert_eq(reg(0x02), 0x0f000000);
    set_reg(0x01, 0xffffffff), set_reg(0x02, 0);
    cr_assert_eq(reg(0x01), 0x00170020);
    cr_assert_eq(reg(0x02), 0x0f000000);
    for (unsigned pin = 0; pin < 24; pin++) {
        uint8_t low = (uint8_t)(0x10 + 2 * pin), high = (uint8_t)(low + 1);
        cr_assert_eq(reg(low), 0x10000); /* 3.2.4: masked */
        cr_assert_eq(reg(high), 0);
        set_reg(high, 0xffffffff), set_reg(low, 0xffffffff);
        cr_assert_eq(reg(low), 0x1afff, "bits 12 and 14 are read only, the rest reserved");
        cr_assert_eq(reg(high), 0xff000000);
        set_reg(low, 0x10000), set_reg(high, 0);
    }
    for (unsigned index = 0x40; index < 0x100; index++) {
        set_reg((uint8_t)index, 0xffffffff);
        cr_assert_eq(reg((uint8_t)index), 0);
    }
    cr_assert_eq(f->messages, 0);
}

Test(ioapic, narrow_wide_and_misaligned_accesses)
{
    struct bus *bus = &f->rig.bus;
    const struct bus_attrs *a = &f->rig.attrs;
    bus_write(bus, IOAPIC_BASE, 1, 0x13, a);
    cr_assert_eq(bus_read(bus, IOAPIC_BASE, 1, a), 0x13);
    cr_assert_eq(bus_read(bus, IOAPIC_BASE, 4, a), 0x13);
    mmio_write(0x10, 0x42000000);
    cr_assert_eq(bus_read(bus, IOAPIC_BASE + 0x13, 1, a), 0x42);
    cr_assert_eq(bus_read(bus, IOAPIC_BASE + 0x12, 2, a), 0x4200);
    bus_write(bus, IOAPIC_BASE + 0x13, 1, 0x24, a);
    cr_assert_eq(bus_read(bus, IOAPIC_BASE + 0x10, 4, a), 0x24000000);
    cr_assert_eq(bus_read(bus, IOAPIC_BASE + 0x10, 8, a), 0x24000000);
    bus_write(bus, IOAPIC_BASE + 0x01, 1, 0xff, a); /* upper bytes of IOREGSEL are reserved */
    cr_assert_eq(bus_read(bus, IOAPIC_BASE, 4, a), 0x13);
    for (unsigned off = 4; off < 0x1000; off += off == 0xc ? 8 : 4) {
        mmio_write(off, off == 0x40 ? 0 : 0xffffffff);
        cr_assert_eq(bus_read(bus, IOAPIC_BASE + off, 4, a), 0, "%#x", off);
    }
}

Test(ioapic, edge_makes_one_msi_write_with_its_cause)
{
    set_reg(0x10 + 2 * 4 + 1, 0x05000000);
    set_rte(4, 0x31);
    ioapic_set_irq(&f->io, 4, 9, true, 4711);
    cr_assert_eq(f->messages, 1);
    cr_assert_eq(f->address, 0xfee05000);
    cr_assert_eq(f->data, 0x4031);
    cr_assert_eq(f->attrs.requester, IRQ_REQ_IOAPIC);
    const struct irq_record *msg = rig_last(&f->rig, TRACE_ioapic_msg);
    cr_assert_eq(f->attrs.cause, msg->id);
    const struct irq_record *pin = rig_last(&f->rig, TRACE_ioapic_pin);
    cr_assert_eq(msg->cause, pin->id);
    cr_assert_eq(pin->cause, 4711);
    wire(4, true);
    cr_assert_eq(f->messages, 1, "a further source is no edge");
    cr_assert_eq(rte(4), 0x31);
}

Test(ioapic, address_and_data_carry_mode_and_destination)
{
    set_reg(0x10 + 1, 0xa5000000);
    set_rte(0, 0x41 | 0x800 | 0x100); /* logical, lowest priority */
    wire(0, true);
    cr_assert_eq(f->address, 0xfeea500c); /* SDM 11.11.1: RH bit 3, DM bit 2 */
    cr_assert_eq(f->data, 0x4141);
    set_rte(1, 0x42 | LEVEL);
    wire(1, true);
    cr_assert_eq(f->data, 0xc042);
}

Test(ioapic, active_low_pin_follows_wire_and_entry_polarity)
{
    f->io.wire_low = 1u << 10; /* a PCI interrupt: asserted is low */
    set_rte(10, 0x51 | LEVEL | LOW);
    cr_assert_eq(f->messages, 0);
    wire(10, true);
    cr_assert_eq(f->messages, 1);
    set_rte(5, 0x52 | LEVEL | LOW); /* an ISA wire seen as active low asks while it is idle */
    cr_assert_eq(f->messages, 2);
    cr_assert_eq(rte(5) & REMOTE, REMOTE);
}

Test(ioapic, level_pin_waits_for_eoi_and_then_asks_again_after_its_delay)
{
    set_rte(9, 0x61 | LEVEL);
    wire(9, true);
    cr_assert_eq(rte(9), 0x61 | LEVEL | REMOTE);
    wire(9, false), wire(9, true);
    cr_assert_eq(f->messages, 1, "Remote IRR holds it");
    cr_assert_eq(rig_last(&f->rig, TRACE_ioapic_hold)->op[2], HOLD_REMOTE_IRR);
    eoi(0x62);
    cr_assert_eq(rte(9) & REMOTE, REMOTE, "another vector");
    eoi(0x61);
    cr_assert_eq(rte(9) & REMOTE, 0);
    cr_assert_eq(rig_last(&f->rig, TRACE_ioapic_hold)->op[2], HOLD_TRANSIT);
    bus_test_run_to(&f->rig.clock, 999);
    cr_assert_eq(f->messages, 1);
    bus_test_run_to(&f->rig.clock, 1000);
    cr_assert_eq(f->messages, 2);
    const struct irq_record *msg = rig_last(&f->rig, TRACE_ioapic_msg);
    cr_assert_eq(msg->ref, rig_last(&f->rig, TRACE_ioapic_pin)->id,
                 "the assertion episode is joined");
    wire(9, false);
    eoi(0x61);
    bus_test_run_to(&f->rig.clock, 5000);
    cr_assert_eq(f->messages, 2);
}

Test(ioapic, redelivery_without_delay_is_immediate)
{
    f->io.redeliver = 0;
    set_rte(9, 0x61 | LEVEL);
    wire(9, true);
    eoi(0x61);
    cr_assert_eq(f->messages, 2);
}

Test(ioapic, eoi_matches_every_level_pin_of_the_vector)
{
    set_rte(9, 0x61 | LEVEL), set_rte(11, 0x61 | LEVEL), set_rte(3, 0x61);
    wire(9, true), wire(11, true), wire(3, true);
    wire(9, false), wire(11, false);
    eoi(0x61);
    cr_assert_eq(rte(9), 0x61 | LEVEL);
    cr_assert_eq(rte(11), 0x61 | LEVEL);
    cr_assert_eq(rig_count(&f->rig, TRACE_ioapic_eoi), 2);
}

Test(ioapic, edge_on_a_masked_pin_is_lost)
{
    set_rte(4, 0x31 | MASKED);
    wire(4, true);
    cr_assert_eq(rig_last(&f->rig, TRACE_ioapic_pin)->result, DELIVER_MASKED);
    const struct irq_record *hold = rig_last(&f->rig, TRACE_ioapic_hold);
    cr_assert_eq(hold->op[2], HOLD_IOAPIC_MASKED);
    cr_assert_eq(hold->op[3], RIG_RIP);
    cr_assert(!ioapic_pin_open(&f->io, 4));
    set_rte(4, 0x31);
    cr_assert_eq(f->messages, 0);
    wire(4, false), wire(4, true);
    cr_assert_eq(f->messages, 1);
}

Test(ioapic, unmasking_an_asserted_level_pin_delivers)
{
    set_rte(9, 0x61 | LEVEL | MASKED);
    wire(9, true);
    cr_assert_eq(rig_last(&f->rig, TRACE_ioapic_hold)->op[2], HOLD_IOAPIC_MASKED);
    set_rte(9, 0x61 | LEVEL);
    cr_assert_eq(f->messages, 1);
}

Test(ioapic, switching_to_edge_clears_remote_irr)
{
    set_rte(9, 0x61 | LEVEL);
    wire(9, true);
    set_rte(9, 0x61 | MASKED);
    set_rte(9, 0x61 | MASKED | LEVEL);
    cr_assert_eq(rte(9) & REMOTE, 0);
    set_rte(9, 0x61 | LEVEL);
    cr_assert_eq(f->messages, 2);
}

Test(ioapic, remote_irr_cannot_be_written)
{
    set_rte(9, 0x61 | LEVEL | REMOTE | 0x1000);
    cr_assert_eq(rte(9), 0x61 | LEVEL);
    wire(9, true);
    set_rte(9, 0x61 | LEVEL);
    cr_assert_eq(rte(9) & REMOTE, REMOTE);
    cr_assert_eq(f->messages, 1);
}

Test(ioapic, nmi_smi_init_and_extint_entries_are_edge_whatever_bit_15_says)
{
    static const uint32_t modes[] = {0x200, 0x400, 0x500, 0x700};
    for (unsigned i = 0; i < irq_array_size(modes); i++) {
        set_rte(i, modes[i] | LEVEL);
        wire(i, true);
        cr_assert_eq(f->messages, i + 1);
        cr_assert_eq(f->data, modes[i] | 0x4000, "edge message");
        cr_assert_eq(rte(i), modes[i] | LEVEL, "no Remote IRR");
    }
}

Test(ioapic, refused_level_message_leaves_remote_irr_clear_and_is_tried_again)
{
    f->accepts = false;
    set_rte(9, 0x61 | LEVEL);
    wire(9, true);
    cr_assert_eq(rte(9) & REMOTE, 0);
    const struct irq_record *hold = rig_last(&f->rig, TRACE_ioapic_hold);
    cr_assert_eq(hold->op[2], HOLD_APIC_OFF);
    cr_assert_eq(hold->result, DELIVER_DISABLED);
    f->accepts = true;
    set_rte(9, 0x61 | LEVEL);
    cr_assert_eq(rte(9) & REMOTE, REMOTE);
}

Test(ioapic, eoi_register_exists_in_version_20_only)
{
    set_rte(9, 0x61 | LEVEL);
    wire(9, true), wire(9, false);
    f->io.version = 0x11;
    mmio_write(0x40, 0x61);
    cr_assert_eq(rte(9) & REMOTE, REMOTE);
    cr_assert_eq(reg(1), 0x00170011);
    f->io.version = 0x20;
    mmio_write(0x40, 0x61);
    cr_assert_eq(rte(9) & REMOTE, 0);
}

Test(ioapic, pins_outside_the_table_are_ignored)
{
    ioapic_set_irq(&f->io, 24, 1, true, 0);
    ioapic_set_irq(&f->io, 0xffff, 1, true, 0);
    cr_assert_eq(f->io.asserted, 0);
    cr_assert(!ioapic_pin_open(&f->io, 24));
}

Test(ioapic, random_operations_agree_with_the_naive_model)
{
    struct model_ioapic m;
    uint64_t seed = 0x82093aa;
    model_ioapic_init(&m);
    f->io.redeliver = m.delay = 20;
    f->io.wire_low = 0xff0000;
    for (unsigned n = 16; n < 24; n++) {
        m.pin[n].wire_low = true;
    }
    for (unsigned i = 0; i < 200000; i++) {
        unsigned op = bus_test_below(&seed, 100), pin = bus_test_below(&seed, 24);
        uint32_t v =
            bus_test_below(&seed, 0x20000) & ~0xf8u; /* few vectors, so that pins share them */
        if (op < 40) {
            ioapic_set_irq(&f->io, (uint16_t)pin, v & 3, v >> 8 & 1, 0);
            model_ioapic_wire(&m, pin, v & 3, v >> 8 & 1);
        } else if (op < 55) {
            v = bus_test_below(&seed, 4) ? v & ~0x10600u
                                         : v; /* mostly unmasked Fixed or Lowest Priority */
            set_rte(pin, v), model_ioapic_write(&m, pin, false, v);
        } else if (op < 60) {
            set_reg((uint8_t)(0x11 + 2 * pin), v << 16), model_ioapic_write(&m, pin, true, v << 16);
        } else if (op < 80) {
            if (op & 1) {
                eoi((vector_t)(v & 7));
            } else {
                mmio_write(0x40, v & 7);
            }
            model_ioapic_eoi(&m, v & 7);
        } else if (op < 82) {
            f->accepts = m.accepts = (v & 7) != 0;
        } else {
            bus_test_run_to(&f->rig.clock, f->rig.clock.now + (v & 7));
            model_ioapic_time(&m, f->rig.clock.now);
        }
        ioapic_check(&f->io);
        cr_assert_eq(f->messages, m.messages, "messages, step %u op %u", i, op);
        if (m.messages) {
            cr_assert_eq(f->address, m.last_address, "address, step %u", i);
            cr_assert_eq(f->data, m.last_data, "data, step %u", i);
        }
        cr_assert_eq(rte(pin), model_ioapic_read(&m, pin, false), "entry, step %u", i);
        cr_assert_eq(reg((uint8_t)(0x11 + 2 * pin)), model_ioapic_read(&m, pin, true),
                     "high, step %u", i);
    }
    cr_assert_gt(f->messages, 10000);
}
