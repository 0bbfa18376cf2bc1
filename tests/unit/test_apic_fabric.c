/* SPDX-License-Identifier: MIT */
/*
 * The APIC fabric with four local APICs, an IOAPIC and an 8259 pair, by MSI writes, ICRs and pins.
 * Expected values: Intel SDM Vol. 3A, 11.6.2 "Determining IPI Destination", 11.11 "Message
 * Signalled Interrupts".
 */
#include "intc/apic_fabric.h"
#include "intc/i8259.h"
#include "unit/model_intc_rig.h"

#define CPUS 4

struct fixture {
    struct rig rig;
    struct apic_fabric fabric;
    struct lapic lapic[CPUS];
    struct rig_sink cpu[CPUS];
    struct ioapic io;
    struct i8259 pic;
    struct deliver_result result;
};

static struct fixture *f;

static void wr(unsigned cpu, uint32_t off, uint32_t value)
{
    struct bus_attrs attrs = {.requester = cpu, .rip = RIG_RIP};
    lapic_write(&f->lapic[cpu], off, 4, value, &attrs);
    lapic_check(&f->lapic[cpu]);
}

static uint32_t rd(unsigned cpu, uint32_t off)
{
    return (uint32_t)lapic_read(&f->lapic[cpu], off, 4, &f->rig.attrs);
}

static struct intr_ack pic_ack(void *opaque, uint16_t cpu, cause_t cause)
{
    return i8259_ack(opaque, cpu, cause);
}

static void setup(void)
{
    f = calloc(1, sizeof(*f));
    rig_init(&f->rig);
    apic_fabric_init(&f->fabric, &f->rig.trace);
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_init(&f->lapic[i], (uint16_t)i, i, i == 0, &f->rig.clock, &f->rig.trace);
        f->lapic[i].sink = &rig_sink_ops;
        f->lapic[i].sink_opaque = &f->cpu[i];
        apic_fabric_add_lapic(&f->fabric, &f->lapic[i]);
        wr(i, LAPIC_REG_SVR, 0x1ff);
        wr(i, LAPIC_REG_LDR, 0x01000000u << i);
    }
    ioapic_init(&f->io, 0, 0, 0x20, &f->rig.bus, &f->rig.trace, &f->rig.clock);
    f->io.redeliver = 0;
    apic_fabric_add_ioapic(&f->fabric, &f->io);
    i8259_init(&f->pic, &f->rig.trace, &f->rig.clock);
    f->fabric.pic_ack = pic_ack;
    f->fabric.pic_opaque = &f->pic;
    f->pic.out = (struct irq_line){.set = lapic_set_lint, .opaque = &f->lapic[0]};
    cr_assert_eq(apic_fabric_map(&f->fabric, &f->rig.bus, NULL), 0);
    cr_assert_eq(ioapic_map(&f->io, IOAPIC_BASE, NULL), 0);
    cr_assert_eq(i8259_map(&f->pic, &f->rig.bus, NULL), 0);
}

static void teardown(void)
{
    rig_fini(&f->rig);
    free(f);
}

static void msi(gpa_t address, uint32_t data)
{
    const struct bus_attrs attrs = {.requester = IRQ_REQ_PCI + 8, .result = &f->result};
    f->result = (struct deliver_result){0};
    stl_le_phys(&f->rig.bus, address, data, &attrs);
}

/* CPUs in whose IRR the vector is, as a bitmap; folds first. */
static unsigned who(unsigned vector)
{
    unsigned set = 0;
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_fold(&f->lapic[i]);
        lapic_check(&f->lapic[i]);
        set |= (rd(i, LAPIC_REG_IRR + vector / 32 * 16) >> (vector % 32) & 1) << i;
    }
    return set;
}

TestSuite(fabric, .init = setup, .fini = teardown);

Test(fabric, physical_destination_reaches_its_id_and_ff_everybody)
{
    msi(0xfee02000, 0x41);
    cr_assert_eq(f->result.posted, 1);
    cr_assert_eq(f->result.reason, DELIVER_POSTED);
    cr_assert_eq(who(0x41), 0x4);
    msi(0xfeeff000, 0x42);
    cr_assert_eq(f->result.posted, 4);
    cr_assert_eq(who(0x42), 0xf);
}

Test(fabric, duplicate_ids_all_match)
{
    wr(3, LAPIC_REG_ID, 0x02000000);
    msi(0xfee02000, 0x41);
    cr_assert_eq(who(0x41), 0xc);
}

Test(fabric, no_match_is_said)
{
    msi(0xfee09000, 0x41);
    cr_assert_eq(f->result.reason, DELIVER_NO_TARGET);
    cr_assert_eq(f->result.posted, 0);
    const struct irq_record *rec = rig_last(&f->rig, TRACE_msi);
    cr_assert_eq(rec->result, DELIVER_NO_TARGET);
    cr_assert_eq(rec->op[3], 0);
}

Test(fabric, logical_flat_destination_is_a_set)
{
    msi(0xfee0a004, 0x41);
    cr_assert_eq(who(0x41), 0xa);
    wr(1, LAPIC_REG_SVR, 0xff);
    msi(0xfee0a004, 0x43);
    cr_assert_eq(f->result.posted, 1);
    cr_assert_eq(f->result.rejected, 1);
    cr_assert_eq(who(0x43), 0x8);
}

Test(fabric, logical_cluster_destination_and_broadcast)
{
    for (unsigned i = 0; i < CPUS; i++) {
        wr(i, LAPIC_REG_DFR, 0x0fffffff);
        wr(i, LAPIC_REG_LDR, i < 2 ? 0x11000000u << i : 0x21000000u << (i - 2));
    }
    wr(1, LAPIC_REG_LDR, 0x12000000), wr(3, LAPIC_REG_LDR, 0x22000000);
    msi(0xfee13004, 0x41);
    cr_assert_eq(who(0x41), 0x3);
    msi(0xfee22004, 0x42);
    cr_assert_eq(who(0x42), 0x8);
    msi(0xfeeff004, 0x43);
    cr_assert_eq(who(0x43), 0xf);
}

Test(fabric, lowest_priority_takes_lowest_tpr_class_then_lowest_index)
{
    wr(0, LAPIC_REG_TPR, 0x20), wr(1, LAPIC_REG_TPR, 0x1f), wr(2, LAPIC_REG_TPR, 0x10);
    wr(3, LAPIC_REG_TPR, 0x30);
    msi(0xfee0f00c, 0x141);
    cr_assert_eq(who(0x41), 0x2, "1Fh and 10h are one class");
    wr(1, LAPIC_REG_SVR, 0xff); /* a disabled APIC is no candidate */
    msi(0xfee0f00c, 0x142);
    cr_assert_eq(who(0x42), 0x4);
    for (unsigned i = 0; i < CPUS; i++) {
        wr(i, LAPIC_REG_SVR, 0xff);
    }
    msi(0xfee0f00c, 0x143);
    cr_assert_eq(f->result.reason, DELIVER_DISABLED);
}

Test(fabric, redirection_hint_chooses_one_with_logical_destinations_only)
{
    wr(0, LAPIC_REG_TPR, 0x20);
    msi(0xfee0300c, 0x41); /* Fixed, RH=1, DM=1 */
    cr_assert_eq(who(0x41), 0x2);
    msi(0xfeeff008, 0x42); /* RH=1, DM=0: no redirection */
    cr_assert_eq(who(0x42), 0xf);
    msi(0xfee03004, 0x43); /* RH=0: DM still honoured */
    cr_assert_eq(who(0x43), 0x3);
}

Test(fabric, shorthands_go_by_identity)
{
    for (unsigned i = 0; i < CPUS; i++) {
        wr(i, LAPIC_REG_ID, (CPUS - i) << 24);
    }
    wr(1, LAPIC_REG_ICR_LOW, 0x44041);
    cr_assert_eq(who(0x41), 0x2);
    wr(1, LAPIC_REG_ICR_LOW, 0x84042);
    cr_assert_eq(who(0x42), 0xf);
    wr(1, LAPIC_REG_ICR_LOW, 0xc4043);
    cr_assert_eq(who(0x43), 0xd);
    wr(1, LAPIC_REG_ICR_HIGH, 0x04000000), wr(1, LAPIC_REG_ICR_LOW, 0x4044);
    cr_assert_eq(who(0x44), 0x1);
    const struct irq_record *ipi = rig_last(&f->rig, TRACE_ipi);
    cr_assert_eq(ipi->cpu, 1);
    cr_assert_eq(rig_last(&f->rig, TRACE_lapic_accept)->cause, ipi->id);
}

Test(fabric, startup_sequence_reaches_the_other_cpus_only)
{
    wr(0, LAPIC_REG_ICR_LOW, 0xc4500);
    wr(0, LAPIC_REG_ICR_LOW, 0xc4608);
    (void)who(0);
    cr_assert_eq(f->cpu[0].bits, 0);
    for (unsigned i = 1; i < CPUS; i++) {
        cr_assert_eq(f->cpu[i].bits, CPU_INTERRUPT_INIT | CPU_INTERRUPT_SIPI);
        cr_assert_eq(f->cpu[i].arg, 0x08);
    }
}

Test(fabric, window_ignores_cpus_and_odd_stores_and_reads_ones)
{
    const struct bus_attrs cpu = {.requester = 0}, dev = {.requester = IRQ_REQ_PCI};
    stl_le_phys(&f->rig.bus, 0xfeeff000, 0x41, &cpu);
    cr_assert_eq(rig_last(&f->rig, TRACE_msi)->result, DELIVER_IGNORED);
    for (unsigned size = 1; size <= 8; size *= 2) {
        if (size != 4) {
            bus_write(&f->rig.bus, 0xfeeff000, size, 0x41, &dev);
        }
        cr_assert_eq(bus_read(&f->rig.bus, 0xfee00020, size, &dev),
                     size == 8 ? UINT64_MAX : (1ull << size * 8) - 1);
    }
    bus_write(&f->rig.bus, 0xfeeff001, 4, 0x41, &dev);
    cr_assert_eq(who(0x41), 0);
    msi(0xfeeff000, 0x341);
    cr_assert_eq(f->result.reason, DELIVER_ILLEGAL);
}

static void set_rte(unsigned pin, uint32_t value)
{
    bus_write(&f->rig.bus, IOAPIC_BASE, 4, 0x10 + 2 * pin, &f->rig.attrs);
    bus_write(&f->rig.bus, IOAPIC_BASE + 0x10, 4, value, &f->rig.attrs);
}

static uint32_t rte(unsigned pin)
{
    bus_write(&f->rig.bus, IOAPIC_BASE, 4, 0x10 + 2 * pin, &f->rig.attrs);
    return (uint32_t)bus_read(&f->rig.bus, IOAPIC_BASE + 0x10, 4, &f->rig.attrs);
}

Test(fabric, level_interrupt_goes_round_from_pin_to_eoi_and_again)
{
    set_rte(9, 0x8061);
    ioapic_set_irq(&f->io, 9, 1, true, 31);
    cr_assert_eq(who(0x61), 1);
    const struct irq_record *accept = rig_last(&f->rig, TRACE_lapic_accept);
    cr_assert_eq(accept->cause, rig_last(&f->rig, TRACE_msi)->id);
    cr_assert(rig_caused(&f->rig, accept->id, rig_last(&f->rig, TRACE_ioapic_pin)->id));
    cr_assert_eq(lapic_ack(&f->lapic[0], &f->rig.attrs).vector, 0x61);
    cr_assert_eq(rte(9), 0xc061);
    wr(0, LAPIC_REG_EOI, 0);
    cr_assert_eq(rte(9), 0xc061, "still asserted: sent again");
    cr_assert_eq(who(0x61), 1);
    cr_assert_eq(lapic_ack(&f->lapic[0], &f->rig.attrs).vector, 0x61);
    ioapic_set_irq(&f->io, 9, 1, false, 0);
    wr(0, LAPIC_REG_EOI, 0);
    cr_assert_eq(rte(9), 0x8061);
    cr_assert_eq(who(0x61), 0);
}

Test(fabric, ioapic_interrupt_to_a_disabled_apic_is_not_taken)
{
    wr(0, LAPIC_REG_SVR, 0xff);
    set_rte(9, 0x8061);
    ioapic_set_irq(&f->io, 9, 1, true, 0);
    cr_assert_eq(rte(9), 0x8061, "no Remote IRR without acceptance");
}

static void outb(uint16_t port, uint8_t value)
{
    rig_outb(&f->rig, port, value);
}

static void program_pic(void)
{
    outb(0x20, 0x11), outb(0x21, 0x20), outb(0x21, 4), outb(0x21, 1);
    outb(0xa0, 0x11), outb(0xa1, 0x28), outb(0xa1, 2), outb(0xa1, 1);
}

Test(fabric, pic_reaches_the_cpu_through_lint0)
{
    lapic_set_bios_state(&f->lapic[0]);
    program_pic();
    i8259_set_irq(&f->pic, 4, 4, true, 9);
    cr_assert(f->cpu[0].bits & CPU_INTERRUPT_HARD);
    cause_t raised = f->cpu[0].cause;
    cr_assert(rig_caused(&f->rig, raised, rig_last(&f->rig, TRACE_pic_intr)->id));
    struct intr_ack a = lapic_ack(&f->lapic[0], &f->rig.attrs);
    cr_assert_eq(a.vector, 0x24);
    cr_assert_eq(a.source, INTR_ACK_PIC);
    cr_assert(!(f->cpu[0].bits & CPU_INTERRUPT_HARD));
    i8259_set_irq(&f->pic, 1, 1, true, 9);
    cr_assert(f->cpu[0].bits & CPU_INTERRUPT_HARD);
    i8259_set_irq(&f->pic, 1, 1, false, 9);
    cr_assert(!(f->cpu[0].bits & CPU_INTERRUPT_HARD), "INT falls with the edge");
}

Test(fabric, extint_entry_of_the_ioapic_fetches_the_vector_at_the_acknowledge)
{
    program_pic();
    set_rte(0, 0x0700);
    i8259_set_irq(&f->pic, 3, 3, true, 0);
    ioapic_set_irq(&f->io, 0, 0, true, 0);
    (void)who(0);
    cr_assert(f->cpu[0].bits & CPU_INTERRUPT_HARD);
    outb(0x20, 0x0a);
    cr_assert_eq(rig_inb(&f->rig, 0x20), 0x08, "not acknowledged before the CPU asks");
    cr_assert_eq(lapic_ack(&f->lapic[0], &f->rig.attrs).vector, 0x23);
    cr_assert(!(f->cpu[0].bits & CPU_INTERRUPT_HARD));
}

Test(fabric, two_fabrics_share_nothing)
{
    struct fixture *first = f, *second;
    setup();
    second = f;
    msi(0xfee01000, 0x41);
    f = first;
    cr_assert_eq(who(0x41), 0);
    f = second;
    cr_assert_eq(who(0x41), 2);
    teardown();
    f = first;
}

Test(fabric, behaviour_is_the_same_with_nobody_listening)
{
    trace_fini(&f->rig.trace);
    trace_init(&f->rig.trace, &f->rig.clock);
    set_rte(9, 0x8061);
    ioapic_set_irq(&f->io, 9, 1, true, 0);
    cr_assert_eq(who(0x61), 1);
    cr_assert_eq(lapic_ack(&f->lapic[0], &f->rig.attrs).vector, 0x61);
    cr_assert_eq(f->lapic[0].writer[LAPIC_REG_SVR >> 4].rip, RIG_RIP);
}
