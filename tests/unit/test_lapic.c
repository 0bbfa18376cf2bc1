/* SPDX-License-Identifier: MIT */
/*
 * The local APIC, through its registers, pins and messages. Expected values: Intel SDM Vol. 3A,
 * chapter 11.
 */
#include "intc/lapic.h"
#include "unit/model_intc_rig.h"
#include "unit/model_lapic.h"

struct fixture {
    struct rig rig;
    struct lapic lapic;
    struct rig_sink cpu;
    unsigned sent, broadcasts, pic_acks;
    struct apic_msg msg;
    vector_t broadcast;
};

static struct fixture *f;

/* The fabric's part: an IPI comes back to the one LAPIC there is. */
static struct deliver_result send(void *opaque, struct lapic *from, const struct apic_msg *msg)
{
    (void)opaque;
    f->sent++;
    f->msg = *msg;
    if (msg->shorthand == APIC_SHORT_OTHERS ||
        (msg->shorthand == APIC_SHORT_NONE && !lapic_match(from, msg))) {
        return (struct deliver_result){.reason = DELIVER_NO_TARGET};
    }
    return lapic_post(from, msg);
}

static void broadcast(void *opaque, vector_t vector, cause_t cause)
{
    (void)opaque, (void)cause;
    f->broadcasts++;
    f->broadcast = vector;
}

static struct intr_ack pic_ack(void *opaque, uint16_t cpu, cause_t cause)
{
    (void)opaque, (void)cpu;
    f->pic_acks++;
    return (struct intr_ack){.vector = 0x70, .source = INTR_ACK_PIC, .cause = cause};
}

static const struct lapic_ops ops = {send, broadcast, pic_ack};

static void setup(void)
{
    f = calloc(1, sizeof(*f));
    rig_init(&f->rig);
    lapic_init(&f->lapic, 0, 3, true, &f->rig.clock, &f->rig.trace);
    f->lapic.sink = &rig_sink_ops;
    f->lapic.sink_opaque = &f->cpu;
    f->lapic.ops = &ops;
}

static void teardown(void)
{
    lapic_check(&f->lapic);
    rig_fini(&f->rig);
    free(f);
}

static uint32_t rd(uint32_t off)
{
    return (uint32_t)lapic_read(&f->lapic, off, 4, &f->rig.attrs);
}

static void wr(uint32_t off, uint32_t value)
{
    lapic_write(&f->lapic, off, 4, value, &f->rig.attrs);
    lapic_check(&f->lapic);
}

static bool hard(void)
{
    return f->cpu.bits & CPU_INTERRUPT_HARD;
}

static struct intr_ack ack(void)
{
    struct intr_ack a = lapic_ack(&f->lapic, &f->rig.attrs);
    lapic_check(&f->lapic);
    return a;
}

static struct deliver_result message(enum apic_delivery delivery, vector_t vector,
                                     enum apic_trigger trigger)
{
    const struct apic_msg msg = {.delivery = delivery,
                                 .vector = vector,
                                 .trigger = trigger,
                                 .assert_level = APIC_ASSERT,
                                 .source = IRQ_REQ_IOAPIC};
    return lapic_post(&f->lapic, &msg);
}

static void fixed(vector_t vector)
{
    (void)message(APIC_DELIVERY_FIXED, vector, APIC_TRIGGER_EDGE);
    lapic_fold(&f->lapic);
    lapic_check(&f->lapic);
}

static bool bit(uint32_t first, unsigned vector)
{
    return rd(first + vector / 32 * 16) >> (vector % 32) & 1;
}

static void enable(void)
{
    wr(LAPIC_REG_SVR, 0x1ff);
}

TestSuite(lapic, .init = setup, .fini = teardown);

/* SDM 11.4.7.1 and table 11-1: name, reset value, writable bits. */
static const struct {
    uint32_t off, reset, rw;
} registers[] = {
    {0x020, 0x03000000, 0xff000000},
    {0x030, 0x00050014, 0},
    {0x080, 0, 0xff},
    {0x090, 0, 0},
    {0x0a0, 0, 0},
    {0x0b0, 0, 0},
    {0x0c0, 0, 0},
    {0x0d0, 0, 0xff000000},
    {0x0e0, 0xffffffff, 0xf0000000},
    {0x0f0, 0xff, 0x1ff},
    {0x100, 0, 0},
    {0x110, 0, 0},
    {0x120, 0, 0},
    {0x130, 0, 0},
    {0x140, 0, 0},
    {0x150, 0, 0},
    {0x160, 0, 0},
    {0x170, 0, 0},
    {0x180, 0, 0},
    {0x190, 0, 0},
    {0x1a0, 0, 0},
    {0x1b0, 0, 0},
    {0x1c0, 0, 0},
    {0x1d0, 0, 0},
    {0x1e0, 0, 0},
    {0x1f0, 0, 0},
    {0x200, 0, 0},
    {0x210, 0, 0},
    {0x220, 0, 0},
    {0x230, 0, 0},
    {0x240, 0, 0},
    {0x250, 0, 0},
    {0x260, 0, 0},
    {0x270, 0, 0},
    {0x280, 0, 0},
    {0x300, 0, 0x000ccfff},
    {0x310, 0, 0xff000000},
    {0x320, 0x10000, 0x300ff},
    {0x330, 0x10000, 0x107ff},
    {0x340, 0x10000, 0x107ff},
    {0x350, 0x10000, 0x1a7ff},
    {0x360, 0x10000, 0x1a7ff},
    {0x370, 0x10000, 0x100ff},
    {0x380, 0, 0xffffffff},
    {0x390, 0, 0},
    {0x3e0, 0, 0xb},
};

Test(lapic, every_register_has_its_reset_value_and_writable_bits)
{
    unsigned known = 0;
    for (uint32_t off = 0; off < 0x1000; off += 16) {
        bool found = false;
        for (size_t i = 0; i < irq_array_size(registers); i++) {
            found |= registers[i].off == off;
        }
        known += found;
        wr(LAPIC_REG_ESR, 0);
        (void)rd(off);
        wr(LAPIC_REG_ESR, 0);
        cr_assert_eq(rd(LAPIC_REG_ESR), found ? 0 : 0x80, "offset %#x",
                     off); /* SDM 11.5.3: bit 7 */
    }
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(known, irq_array_size(registers));
    for (size_t i = 0; i < irq_array_size(registers); i++) {
        cr_assert_eq(rd(registers[i].off), registers[i].reset, "%#x", registers[i].off);
    }
    wr(LAPIC_REG_SVR, 0x1ff);
    for (size_t i = 0; i < irq_array_size(registers); i++) {
        uint32_t off = registers[i].off, rw = registers[i].rw, ro = registers[i].reset & ~rw;
        wr(off, 0xffffffff);
        cr_assert_eq(rd(off), ro | rw, "%#x", off);
        wr(off, 0);
        cr_assert_eq(rd(off), ro, "%#x", off);
        wr(LAPIC_REG_SVR, 0x1ff);
        lapic_fold(&f->lapic);
        wr(LAPIC_REG_ESR, 0), wr(LAPIC_REG_ESR, 0);
    }
}

Test(lapic, narrow_wide_and_misaligned_accesses)
{
    const struct bus_attrs *a = &f->rig.attrs;
    wr(LAPIC_REG_LDR, 0x5a000000);
    cr_assert_eq(lapic_read(&f->lapic, LAPIC_REG_LDR + 3, 1, a), 0x5a);
    cr_assert_eq(lapic_read(&f->lapic, LAPIC_REG_LDR + 2, 2, a), 0x5a00);
    cr_assert_eq(lapic_read(&f->lapic, LAPIC_REG_LDR, 8, a), 0x5a000000);
    cr_assert_eq(lapic_read(&f->lapic, LAPIC_REG_LDR + 3, 4, a), 0x5a);
    lapic_write(&f->lapic, LAPIC_REG_TPR, 1, 0x35, a);
    cr_assert_eq(rd(LAPIC_REG_TPR), 0x35);
    lapic_write(&f->lapic, LAPIC_REG_TPR, 8, 0x1200000046, a);
    cr_assert_eq(rd(LAPIC_REG_TPR), 0x46);
    /* Bytes 4-15 of a register: tolerated, recorded, no error bit. */
    unsigned recorded = rig_count(&f->rig, TRACE_lapic_error);
    for (uint32_t k = 4; k < 16; k++) {
        cr_assert_eq(lapic_read(&f->lapic, LAPIC_REG_TPR + k, 1, a), 0);
        lapic_write(&f->lapic, LAPIC_REG_TPR + k, 1, 0xff, a);
    }
    cr_assert_eq(rd(LAPIC_REG_TPR), 0x46);
    cr_assert_eq(rig_count(&f->rig, TRACE_lapic_error), recorded + 24);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0);
}

Test(lapic, message_is_posted_then_folded_acknowledged_and_ended)
{
    enable();
    struct deliver_result r = message(APIC_DELIVERY_FIXED, 0x41, APIC_TRIGGER_EDGE);
    cr_assert_eq(r.posted, 1);
    cr_assert_eq(r.reason, DELIVER_POSTED);
    cr_assert(f->cpu.bits & CPU_INTERRUPT_POLL);
    cr_assert(!bit(LAPIC_REG_IRR, 0x41), "only the owner writes IRR");
    lapic_fold(&f->lapic);
    cr_assert(bit(LAPIC_REG_IRR, 0x41));
    cr_assert(hard());
    struct intr_ack a = ack();
    cr_assert_eq(a.vector, 0x41);
    cr_assert_eq(a.source, INTR_ACK_LAPIC);
    cr_assert(!bit(LAPIC_REG_IRR, 0x41));
    cr_assert(bit(LAPIC_REG_ISR, 0x41));
    cr_assert_eq(rd(LAPIC_REG_PPR), 0x40);
    cr_assert(!hard());
    wr(LAPIC_REG_EOI, 0);
    cr_assert(!bit(LAPIC_REG_ISR, 0x41));
    cr_assert_eq(f->broadcasts, 0, "edge: no EOI broadcast");
}

Test(lapic, second_message_before_the_fold_or_in_irr_coalesces)
{
    enable();
    (void)message(APIC_DELIVERY_FIXED, 0x41, APIC_TRIGGER_EDGE);
    cr_assert_eq(message(APIC_DELIVERY_FIXED, 0x41, APIC_TRIGGER_EDGE).coalesced, 1);
    lapic_fold(&f->lapic);
    cause_t first = rig_last(&f->rig, TRACE_lapic_accept)->id;
    fixed(0x41);
    const struct irq_record *rec = rig_last(&f->rig, TRACE_lapic_accept);
    cr_assert_eq(rec->result, DELIVER_COALESCED);
    cr_assert_eq(rec->ref, first);
}

Test(lapic, level_message_sets_tmr_and_its_eoi_is_broadcast)
{
    enable();
    (void)message(APIC_DELIVERY_FIXED, 0x51, APIC_TRIGGER_LEVEL);
    lapic_fold(&f->lapic);
    cr_assert(bit(LAPIC_REG_TMR, 0x51));
    (void)ack();
    wr(LAPIC_REG_EOI, 0);
    cr_assert_eq(f->broadcasts, 1);
    cr_assert_eq(f->broadcast, 0x51);
    fixed(0x51); /* SDM 11.8.4: TMR is cleared for edge upon acceptance */
    cr_assert(!bit(LAPIC_REG_TMR, 0x51));
}

Test(lapic, eoi_broadcast_suppression_exists_with_version_bit_24_only)
{
    wr(LAPIC_REG_SVR, 0x11ff);
    cr_assert_eq(rd(LAPIC_REG_SVR), 0x1ff);
    lapic_set_eoi_suppression(&f->lapic, true);
    cr_assert_eq(rd(LAPIC_REG_VERSION), 0x01050014);
    wr(LAPIC_REG_SVR, 0x11ff);
    cr_assert_eq(rd(LAPIC_REG_SVR), 0x11ff);
    (void)message(APIC_DELIVERY_FIXED, 0x51, APIC_TRIGGER_LEVEL);
    lapic_fold(&f->lapic);
    (void)ack();
    wr(LAPIC_REG_EOI, 0);
    cr_assert_eq(f->broadcasts, 0);
}

Test(lapic, priority_classes_nest_and_holds_name_the_reason)
{
    enable();
    fixed(0x45), (void)ack();
    fixed(0x4f); /* the same class waits for EOI. SDM 11.8.3 */
    cr_assert(!hard());
    cr_assert_eq(rig_last(&f->rig, TRACE_lapic_hold)->op[1], HOLD_LAPIC_ISR);
    fixed(0x50);
    cr_assert(hard());
    cr_assert_eq(ack().vector, 0x50);
    fixed(0x30);
    cr_assert_eq(rig_last(&f->rig, TRACE_lapic_hold)->op[1], HOLD_LAPIC_HIGHER);
    wr(LAPIC_REG_EOI, 0), wr(LAPIC_REG_EOI, 0);
    cr_assert_eq(ack().vector, 0x4f);
}

Test(lapic, tpr_holds_its_class_and_cr8_is_its_upper_half)
{
    enable();
    lapic_intr_source_ops.set_tpr(&f->lapic, 4, &f->rig.attrs);
    cr_assert_eq(rd(LAPIC_REG_TPR), 0x40);
    fixed(0x4f);
    cr_assert(!hard());
    const struct irq_record *hold = rig_last(&f->rig, TRACE_lapic_hold);
    cr_assert_eq(hold->op[1], HOLD_LAPIC_TPR);
    cr_assert_eq(hold->op[3], RIG_RIP);
    wr(LAPIC_REG_TPR, 0x3f);
    cr_assert(hard());
    cr_assert_eq(lapic_intr_source_ops.get_tpr(&f->lapic), 3);
    cr_assert_eq(rd(LAPIC_REG_PPR), 0x3f);
    cr_assert_eq(rd(LAPIC_REG_APR), 0x40);
}

Test(lapic, acknowledge_with_nothing_left_gives_the_spurious_vector_without_isr)
{
    wr(LAPIC_REG_SVR, 0x1e7);
    fixed(0x31);
    wr(LAPIC_REG_TPR, 0xf0); /* SDM 11.9: TPR raised after INTR was sampled */
    cr_assert(!hard());
    struct intr_ack a = ack();
    cr_assert_eq(a.vector, 0xe7);
    cr_assert_eq(a.source, INTR_ACK_LAPIC_SPURIOUS);
    for (uint32_t off = LAPIC_REG_ISR; off < LAPIC_REG_TMR; off += 16) {
        cr_assert_eq(rd(off), 0);
    }
}

Test(lapic, hard_stays_for_its_fall_time)
{
    enable();
    f->lapic.intr_fall = 50;
    fixed(0x31);
    wr(LAPIC_REG_TPR, 0xf0);
    cr_assert(hard());
    bus_test_run_to(&f->rig.clock, 49);
    cr_assert(hard());
    bus_test_run_to(&f->rig.clock, 50);
    cr_assert(!hard());
}

Test(lapic, eoi_without_isr_is_a_recorded_no_op)
{
    enable();
    wr(LAPIC_REG_EOI, 0);
    const struct irq_record *rec = rig_last(&f->rig, TRACE_lapic_eoi);
    cr_assert_eq(rec->result, DELIVER_IGNORED);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0);
}

Test(lapic, software_disabled_refuses_fixed_messages_and_masks_the_lvt)
{
    enable();
    wr(LAPIC_REG_LVT_TIMER, 0x40);
    fixed(0x61);
    wr(LAPIC_REG_SVR, 0xff);
    cr_assert_eq(rd(LAPIC_REG_LVT_TIMER), 0x10040);
    wr(LAPIC_REG_LVT_TIMER, 0x40); /* SDM 11.4.7.2: the mask cannot be reset */
    cr_assert_eq(rd(LAPIC_REG_LVT_TIMER), 0x10040);
    struct deliver_result r = message(APIC_DELIVERY_FIXED, 0x62, APIC_TRIGGER_EDGE);
    cr_assert_eq(r.rejected, 1);
    cr_assert_eq(r.reason, DELIVER_DISABLED);
    cr_assert_eq(rig_last(&f->rig, TRACE_lapic_hold)->op[1], HOLD_APIC_OFF);
    cr_assert(hard(), "requests accepted before are held for the CPU");
    cr_assert_eq(message(APIC_DELIVERY_NMI, 0, APIC_TRIGGER_EDGE).posted, 1);
    lapic_fold(&f->lapic);
    cr_assert(f->cpu.bits & CPU_INTERRUPT_NMI);
}

Test(lapic, esr_latches_on_write_and_rearms_the_error_interrupt)
{
    enable();
    wr(LAPIC_REG_LVT_ERROR, 0x38);
    (void)rd(0x40);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0, "not visible before the write");
    cr_assert(bit(LAPIC_REG_IRR, 0x38));
    (void)ack(), wr(LAPIC_REG_EOI, 0);
    (void)rd(0x50);
    cr_assert(!bit(LAPIC_REG_IRR, 0x38), "fires once until ESR is written");
    wr(LAPIC_REG_ESR, 0xffffffff);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0x80);
    (void)rd(0x60);
    cr_assert(bit(LAPIC_REG_IRR, 0x38));
    cr_assert_eq(rd(LAPIC_REG_ESR), 0x80);
    wr(LAPIC_REG_ESR, 0), wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0);
}

Test(lapic, illegal_vector_sets_send_and_receive_bits)
{
    enable();
    wr(LAPIC_REG_ICR_LOW, 0x4400f); /* to self: SDM 11.5.3 bits 5 and 6 */
    lapic_fold(&f->lapic);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0x60);
    wr(LAPIC_REG_ICR_HIGH, 0x09000000), wr(LAPIC_REG_ICR_LOW, 0x04005); /* to someone else */
    lapic_fold(&f->lapic);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0x20);
    fixed(0x0f);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0x40);
    cr_assert_eq(rd(LAPIC_REG_IRR), 0);
    wr(LAPIC_REG_LVT_TIMER, 0x0a), wr(LAPIC_REG_TMICT, 1);
    bus_test_run_to(&f->rig.clock, 10);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0x40, "an LVT entry counts too");
    wr(LAPIC_REG_ICR_LOW, 0x45600); /* SIPI, NMI, INIT, SMI are exempt, others only by shorthand */
    wr(LAPIC_REG_ICR_LOW, 0xc4600);
    wr(LAPIC_REG_ESR, 0);
    cr_assert_eq(rd(LAPIC_REG_ESR), 0);
}

Test(lapic, self_ipi_arrives_after_an_id_change_and_delivery_status_is_idle)
{
    enable();
    wr(LAPIC_REG_ID, 0x77000000);
    wr(LAPIC_REG_ICR_LOW, 0x45041); /* bit 12 is read only */
    cr_assert_eq(rd(LAPIC_REG_ICR_LOW), 0x44041);
    lapic_fold(&f->lapic);
    cr_assert(bit(LAPIC_REG_IRR, 0x41));
    const struct irq_record *ipi = rig_last(&f->rig, TRACE_ipi);
    cr_assert_eq(rig_last(&f->rig, TRACE_lapic_accept)->cause, ipi->id);
    cr_assert_eq(ipi->op[3], RIG_RIP);
}

Test(lapic, ipis_are_edge_whatever_the_trigger_bit_says)
{
    enable();
    wr(LAPIC_REG_ICR_LOW, 0x4c041);
    cr_assert_eq(f->msg.trigger, APIC_TRIGGER_EDGE);
    lapic_fold(&f->lapic);
    cr_assert(!bit(LAPIC_REG_TMR, 0x41));
    unsigned sent = f->sent;
    wr(LAPIC_REG_ICR_LOW, 0xc8500); /* INIT level de-assert: no effect on Pentium 4 and later */
    cr_assert_eq(f->sent, sent);
    cr_assert_eq(rig_last(&f->rig, TRACE_ipi)->result, DELIVER_IGNORED);
    wr(LAPIC_REG_ICR_LOW, 0x44400); /* NMI by the self shorthand is invalid: table 11-3 */
    cr_assert_eq(f->sent, sent);
    cr_assert_eq(rig_last(&f->rig, TRACE_ipi)->result, DELIVER_ILLEGAL);
}

Test(lapic, init_sipi_and_smi_reach_the_cpus_latches)
{
    (void)message(APIC_DELIVERY_INIT, 0, APIC_TRIGGER_EDGE);
    (void)message(APIC_DELIVERY_STARTUP, 0x9a, APIC_TRIGGER_EDGE);
    (void)message(APIC_DELIVERY_SMI, 0, APIC_TRIGGER_EDGE);
    lapic_fold(&f->lapic);
    cr_assert_eq(f->cpu.bits, CPU_INTERRUPT_INIT | CPU_INTERRUPT_SIPI | CPU_INTERRUPT_SMI);
    cr_assert_eq(f->cpu.arg, 0x9a);
    cr_assert_eq(rig_count(&f->rig, TRACE_lapic_event), 3);
    struct deliver_result r = message(APIC_DELIVERY_RESERVED, 0x40, APIC_TRIGGER_EDGE);
    cr_assert_eq(r.reason, DELIVER_ILLEGAL);
}

Test(lapic, lint0_as_extint_mirrors_intr_and_the_8259_answers_first)
{
    lapic_set_bios_state(&f->lapic);
    cr_assert_eq(rd(LAPIC_REG_SVR), 0x1ff);
    cr_assert_eq(rd(LAPIC_REG_LVT_LINT0), 0x8700);
    cr_assert_eq(rd(LAPIC_REG_LVT_LINT1), 0x8400);
    cr_assert(lapic_extint_open(&f->lapic));
    lapic_set_lint(&f->lapic, 0, 0, true, 55);
    cr_assert(hard());
    fixed(0xf1);
    cr_assert_eq(ack().vector, 0x70);
    cr_assert(hard());
    lapic_set_lint(&f->lapic, 0, 0, false, 0);
    cr_assert_eq(ack().vector, 0xf1);
    lapic_set_lint(&f->lapic, 0, 0, true, 0);
    cr_assert(hard(), "TPR and ISR do not hold ExtINT");
    lapic_set_lint(&f->lapic, 0, 0, false, 0);
    cr_assert(!hard());
}

Test(lapic, masked_or_fixed_lint0_cuts_the_8259_off)
{
    enable();
    lapic_set_lint(&f->lapic, 0, 0, true, 0);
    cr_assert(!hard());
    cr_assert(!lapic_extint_open(&f->lapic));
    cr_assert_eq(rig_last(&f->rig, TRACE_lapic_hold)->op[1], HOLD_LINT_MASKED);
    wr(LAPIC_REG_LVT_LINT0, 0x700);
    cr_assert(hard(), "ExtINT is a level: unmasking delivers");
    wr(LAPIC_REG_LVT_LINT0, 0x400);
    cr_assert(!hard());
}

Test(lapic, lint0_with_a_level_vector_uses_remote_irr)
{
    enable();
    wr(LAPIC_REG_LVT_LINT0, 0x8055);
    lapic_set_lint(&f->lapic, 0, 0, true, 0);
    cr_assert_eq(rd(LAPIC_REG_LVT_LINT0), 0xc055);
    cr_assert_eq(ack().vector, 0x55);
    wr(LAPIC_REG_EOI, 0);
    cr_assert(bit(LAPIC_REG_IRR, 0x55), "still asserted");
    (void)ack();
    lapic_set_lint(&f->lapic, 0, 0, false, 0);
    wr(LAPIC_REG_EOI, 0);
    cr_assert_eq(rd(LAPIC_REG_LVT_LINT0), 0x8055);
    cr_assert(!hard());
}

Test(lapic, lint1_nmi_is_an_edge)
{
    lapic_set_bios_state(&f->lapic);
    lapic_set_lint(&f->lapic, 1, 7, true, 0);
    cr_assert_eq(f->cpu.raised[1], 1);
    lapic_set_lint(&f->lapic, 1, 8, true, 0);
    lapic_set_lint(&f->lapic, 1, 7, false, 0);
    cr_assert_eq(f->cpu.raised[1], 1);
    lapic_set_lint(&f->lapic, 1, 8, false, 0);
    lapic_set_lint(&f->lapic, 1, 8, true, 0);
    cr_assert_eq(f->cpu.raised[1], 2);
}

Test(lapic, extint_message_is_a_latch_that_inta_clears)
{
    enable();
    (void)message(APIC_DELIVERY_EXTINT, 0, APIC_TRIGGER_EDGE);
    lapic_fold(&f->lapic);
    cr_assert(hard());
    cr_assert_eq(ack().vector, 0x70);
    cr_assert_eq(f->pic_acks, 1);
    cr_assert(!hard());
}

Test(lapic, one_shot_timer_counts_down_and_fires_once)
{
    enable();
    wr(LAPIC_REG_TDCR, 0xb); /* divide by 1: figure 11-10 */
    wr(LAPIC_REG_LVT_TIMER, 0x40);
    wr(LAPIC_REG_TMICT, 1000);
    cr_assert(lapic_timer_open(&f->lapic));
    bus_test_run_to(&f->rig.clock, 400);
    cr_assert_eq(rd(LAPIC_REG_TMCCT), 600);
    bus_test_run_to(&f->rig.clock, 999);
    cr_assert(!hard());
    bus_test_run_to(&f->rig.clock, 1000);
    cr_assert(hard());
    cr_assert_eq(rd(LAPIC_REG_TMCCT), 0);
    cr_assert_eq(rd(LAPIC_REG_TMICT), 1000);
    cr_assert(!lapic_timer_open(&f->lapic));
    bus_test_run_to(&f->rig.clock, 5000);
    cr_assert_eq(rig_count(&f->rig, TRACE_lapic_accept), 1);
}

Test(lapic, periodic_timer_keeps_its_phase)
{
    enable();
    wr(LAPIC_REG_TDCR, 0x0); /* divide by 2 */
    wr(LAPIC_REG_LVT_TIMER, 0x20040);
    wr(LAPIC_REG_TMICT, 50);
    for (unsigned i = 1; i <= 5; i++) {
        bus_test_run_to(&f->rig.clock, i * 100 - 1);
        cr_assert_eq(rd(LAPIC_REG_TMCCT), 1);
        cr_assert(!hard());
        bus_test_run_to(&f->rig.clock, i * 100);
        cr_assert_eq(ack().vector, 0x40);
        wr(LAPIC_REG_EOI, 0);
    }
    clock_advance(&f->rig.clock,
                  1000 - 1 + 50); /* several periods in one leap: one interrupt, in phase */
    clock_run_due(&f->rig.clock);
    cr_assert_eq(ack().vector, 0x40);
    wr(LAPIC_REG_EOI, 0);
    cr_assert_eq(f->lapic.timer.deadline % 100, 0);
    wr(LAPIC_REG_TMICT, 0);
    cr_assert(!clock_event_armed(&f->lapic.timer));
}

Test(lapic, divider_change_goes_on_from_the_current_count)
{
    enable();
    wr(LAPIC_REG_TDCR, 0xb);
    wr(LAPIC_REG_LVT_TIMER, 0x40);
    wr(LAPIC_REG_TMICT, 1000);
    bus_test_run_to(&f->rig.clock, 250);
    wr(LAPIC_REG_TDCR, 0x1); /* by 4 */
    cr_assert_eq(rd(LAPIC_REG_TMCCT), 750);
    bus_test_run_to(&f->rig.clock, 250 + 400);
    cr_assert_eq(rd(LAPIC_REG_TMCCT), 650);
    bus_test_run_to(&f->rig.clock, 250 + 3000 - 1);
    cr_assert(!hard());
    bus_test_run_to(&f->rig.clock, 250 + 3000);
    cr_assert(hard());
}

Test(lapic, divide_configuration_has_the_manuals_values)
{
    static const struct {
        uint32_t tdcr, by;
    } t[] = {{0, 2},  {1, 4},  {2, 8},    {3, 16},
             {8, 32}, {9, 64}, {10, 128}, {11, 1}}; /* figure 11-10 */
    for (size_t i = 0; i < irq_array_size(t); i++) {
        wr(LAPIC_REG_TDCR, t[i].tdcr);
        wr(LAPIC_REG_TMICT, 0xffffffff);
        cr_assert_eq(f->lapic.timer.deadline - f->rig.clock.now, 0xffffffffull * t[i].by);
    }
}

Test(lapic, destination_matching_by_id_and_by_both_logical_models)
{
    struct apic_msg msg = {.dest = 3};
    cr_assert(lapic_match(&f->lapic, &msg));
    msg.dest = 4;
    cr_assert(!lapic_match(&f->lapic, &msg));
    msg.dest = 0xff;
    cr_assert(lapic_match(&f->lapic, &msg));
    msg.dest = 0x103;
    cr_assert(!lapic_match(&f->lapic, &msg));
    msg.dest_mode = APIC_DEST_LOGICAL;
    wr(LAPIC_REG_LDR, 0x24000000);
    msg.dest = 0x0c; /* flat: any common bit. SDM 11.6.2.2 */
    cr_assert(lapic_match(&f->lapic, &msg));
    wr(LAPIC_REG_DFR, 0); /* cluster 2, member 4 */
    cr_assert(!lapic_match(&f->lapic, &msg));
    msg.dest = 0x2c;
    cr_assert(lapic_match(&f->lapic, &msg));
    msg.dest = 0xff;
    cr_assert(lapic_match(&f->lapic, &msg));
    msg.dest = 0xf4; /* cluster 15 only */
    cr_assert(!lapic_match(&f->lapic, &msg));
}

Test(lapic, apic_base_relocates_disables_and_enables_again)
{
    const struct intr_source_ops *o = &lapic_intr_source_ops;
    cr_assert_eq(o->get_base(&f->lapic), 0xfee00900);
    cr_assert(o->apic_window(&f->lapic, 0xfee00ff0));
    cr_assert(o->set_base(&f->lapic, 0xd0000900, &f->rig.attrs));
    cr_assert(!o->apic_window(&f->lapic, 0xfee00000));
    cr_assert(o->apic_window(&f->lapic, 0xd0000020));
    cr_assert(!o->set_base(&f->lapic, 0xfee00d00, &f->rig.attrs), "x2APIC is refused");
    cr_assert(!o->set_base(&f->lapic, 0xfee00901, &f->rig.attrs), "reserved bit");
    cr_assert(!o->set_base(&f->lapic, 1ull << 40 | 0xfee00900, &f->rig.attrs), "above MAXPHYADDR");
    enable();
    fixed(0x40);
    cr_assert(o->set_base(&f->lapic, 0xfee00100, &f->rig.attrs));
    cr_assert(!o->apic_window(&f->lapic, 0xfee00000));
    cr_assert(!hard());
    cr_assert_eq(message(APIC_DELIVERY_NMI, 0, APIC_TRIGGER_EDGE).reason, DELIVER_DISABLED);
    lapic_set_lint(&f->lapic, 0, 0, true, 0); /* LINT0 is INTR now, LINT1 is NMI: SDM 11.4.3 */
    cr_assert(hard());
    cr_assert_eq(ack().vector, 0x70);
    lapic_set_lint(&f->lapic, 1, 0, true, 0);
    cr_assert(f->cpu.bits & CPU_INTERRUPT_NMI);
    cr_assert(o->set_base(&f->lapic, 0xfee00900, &f->rig.attrs));
    cr_assert(!hard(), "LINT0 is masked again");
    cr_assert_eq(rd(LAPIC_REG_SVR), 0xff, "state was reset");
    f->lapic.one_way_disable = true;
    cr_assert(o->set_base(&f->lapic, 0xfee00100, &f->rig.attrs));
    cr_assert(o->set_base(&f->lapic, 0xfee00900, &f->rig.attrs));
    cr_assert_eq(o->get_base(&f->lapic), 0xfee00100, "3-wire bus: off until reset");
    lapic_reset(&f->lapic, LAPIC_RESET_POWER_ON);
    cr_assert_eq(o->get_base(&f->lapic), 0xfee00900);
}

Test(lapic, init_keeps_the_id_and_a_posted_sipi)
{
    enable();
    wr(LAPIC_REG_ID, 0x05000000);
    wr(LAPIC_REG_TPR, 0x20), wr(LAPIC_REG_TMICT, 100);
    fixed(0x40);
    (void)message(APIC_DELIVERY_STARTUP, 0x10, APIC_TRIGGER_EDGE);
    lapic_intr_source_ops.cpu_init(&f->lapic);
    cr_assert_eq(rd(LAPIC_REG_ID), 0x05000000); /* SDM 11.4.7.3 */
    cr_assert_eq(rd(LAPIC_REG_TPR), 0);
    cr_assert_eq(rd(LAPIC_REG_SVR), 0xff);
    cr_assert(!hard());
    cr_assert(!clock_event_armed(&f->lapic.timer));
    lapic_fold(&f->lapic);
    cr_assert(f->cpu.bits & CPU_INTERRUPT_SIPI);
}

Test(lapic, registers_remember_their_writer)
{
    cr_assert_eq(f->lapic.writer[LAPIC_REG_TPR >> 4].vtime, VTIME_NEVER);
    clock_advance(&f->rig.clock, 12);
    wr(LAPIC_REG_TPR, 0x10);
    cr_assert_eq(f->lapic.writer[LAPIC_REG_TPR >> 4].vtime, 12);
    cr_assert_eq(f->lapic.writer[LAPIC_REG_TPR >> 4].rip, RIG_RIP);
}

static void compare(const struct model_lapic *m, unsigned step)
{
    for (unsigned i = 0; i < 256; i += 32) {
        uint32_t irr = 0, isr = 0, tmr = 0;
        for (unsigned k = 0; k < 32; k++) {
            irr |= (uint32_t)m->irr[i + k] << k;
            isr |= (uint32_t)m->isr[i + k] << k;
            tmr |= (uint32_t)m->tmr[i + k] << k;
        }
        cr_assert_eq(rd(LAPIC_REG_IRR + i / 2), irr, "IRR, step %u", step);
        cr_assert_eq(rd(LAPIC_REG_ISR + i / 2), isr, "ISR, step %u", step);
        cr_assert_eq(rd(LAPIC_REG_TMR + i / 2), tmr, "TMR, step %u", step);
    }
    cr_assert_eq(rd(LAPIC_REG_PPR), (uint32_t)model_lapic_ppr(m), "PPR, step %u", step);
    cr_assert_eq(rd(LAPIC_REG_TMCCT), m->count, "TMCCT, step %u", step);
    cr_assert_eq(rd(LAPIC_REG_ESR), m->esr, "ESR, step %u", step);
    cr_assert_eq(hard(), model_lapic_hard(m), "HARD, step %u", step);
    cr_assert_eq(f->broadcasts, m->broadcasts, "EOI broadcasts, step %u", step);
}

static uint32_t random_lvt(uint64_t *seed)
{
    return 0x20 + bus_test_below(seed, 0xe0) - (bus_test_below(seed, 20) == 0 ? 0x18 : 0);
}

Test(lapic, random_operations_agree_with_the_naive_model)
{
    static const uint32_t divides[16] = {
        [0] = 2, [1] = 4, [2] = 8, [3] = 16, [8] = 32, [9] = 64, [10] = 128, [11] = 1};
    struct model_lapic m;
    uint64_t seed = 0x1a91c;
    model_lapic_init(&m);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned op = bus_test_below(&seed, 100);
        uint32_t v = bus_test_below(&seed, 256), flag = bus_test_below(&seed, 2);
        if (op < 20) {
            v = bus_test_below(&seed, 4) ? 0x20 + v % 0x60 : v;
            bool taken = model_lapic_post(&m, (int)v, flag);
            struct deliver_result r =
                message(APIC_DELIVERY_FIXED, (vector_t)v, (enum apic_trigger)flag);
            cr_assert_eq(r.reason != DELIVER_DISABLED, taken);
        } else if (op < 35) {
            model_lapic_fold(&m), lapic_fold(&f->lapic);
        } else if (op < 50) {
            if (hard() || op == 49) {
                int expected = model_lapic_ack(&m);
                struct intr_ack a = ack();
                cr_assert_eq(a.vector, expected < 0 ? 0x70 : expected, "ack, step %u", i);
            }
        } else if (op < 65) {
            model_lapic_eoi(&m), wr(LAPIC_REG_EOI, v);
        } else if (op < 69) {
            m.tpr = (uint8_t)(flag ? v : 0), wr(LAPIC_REG_TPR, m.tpr);
        } else if (op < 71) {
            v |= bus_test_below(&seed, 8) ? 0x100 : 0;
            model_lapic_svr(&m, v), wr(LAPIC_REG_SVR, v);
        } else if (op < 75) {
            v = random_lvt(&seed) | flag << 17 | (bus_test_below(&seed, 8) ? 0 : 0x10000);
            m.timer.vector = (uint8_t)v, m.timer.periodic = flag;
            m.timer.masked = !m.enabled || v & 0x10000;
            wr(LAPIC_REG_LVT_TIMER, v);
        } else if (op < 77) {
            v = random_lvt(&seed) | flag << 16;
            m.error.vector = (uint8_t)v, m.error.masked = !m.enabled || flag;
            wr(LAPIC_REG_LVT_ERROR, v);
        } else if (op < 79) {
            m.lint0_open = m.enabled && flag;
            wr(LAPIC_REG_LVT_LINT0, flag ? 0x700 : 0x10700);
        } else if (op < 83) {
            m.lint0 = flag, lapic_set_lint(&f->lapic, 0, 0, flag, 0);
        } else if (op < 85) {
            v %= 40, model_lapic_start(&m, v), wr(LAPIC_REG_TMICT, v);
        } else if (op < 86) {
            v = (v & 3) | flag << 3, model_lapic_divide(&m, divides[v]), wr(LAPIC_REG_TDCR, v);
        } else if (op < 88) {
            model_lapic_error(&m, 0x80), (void)rd(0x3f0);
        } else if (op < 90) {
            m.esr = m.errors, m.errors = 0, m.fired = false, wr(LAPIC_REG_ESR, v);
        } else if (op < 91) {
            if (message(APIC_DELIVERY_EXTINT, 0, APIC_TRIGGER_EDGE).posted) {
                model_lapic_fold(&m), lapic_fold(&f->lapic);
                m.extint = true;
            }
        } else {
            for (vtime_t end = f->rig.clock.now + v % 64; f->rig.clock.now < end;) {
                bus_test_run_to(&f->rig.clock, f->rig.clock.now + 1);
                model_lapic_tick(&m);
            }
        }
        lapic_check(&f->lapic);
        if (i % 4 == 0) {
            compare(&m, i);
        }
    }
}
