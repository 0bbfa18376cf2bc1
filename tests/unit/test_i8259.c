/* SPDX-License-Identifier: MIT */
/*
 * The 8259A pair, through its ports and pins. Expected values: Intel 8259A datasheet, 231468-003,
 * and 82371SB (PIIX3), 290550-002.
 */
#include "intc/i8259.h"
#include "unit/model_i8259.h"
#include "unit/model_intc_rig.h"

#define M 0x20
#define S 0xa0

struct fixture {
    struct rig rig;
    struct i8259 pic;
    struct bus_test_sink out;
};

static struct fixture *f;

static void setup(void)
{
    f = calloc(1, sizeof(*f));
    rig_init(&f->rig);
    i8259_init(&f->pic, &f->rig.trace, &f->rig.clock);
    bus_test_connect(&f->pic.out, &f->out, &f->rig.clock);
    cr_assert_eq(i8259_map(&f->pic, &f->rig.bus, NULL), 0);
}

static void teardown(void)
{
    i8259_check(&f->pic);
    rig_fini(&f->rig);
    free(f);
}

static void out(uint16_t port, uint8_t value)
{
    rig_outb(&f->rig, port, value);
    i8259_check(&f->pic);
}

static uint8_t in(uint16_t port)
{
    return rig_inb(&f->rig, port);
}

static void pin(unsigned n, bool level)
{
    i8259_set_irq(&f->pic, (uint16_t)n, (uint16_t)n, level, 0);
    i8259_check(&f->pic);
}

static bool intr(void)
{
    return f->pic.out.level;
}

static struct intr_ack ack(void)
{
    return i8259_ack(&f->pic, 0, 0);
}

/* A PC's usual set-up: vectors 20h and 28h, everything unmasked. */
static void program(uint8_t master_icw4, uint8_t slave_icw4)
{
    out(M, 0x11), out(M + 1, 0x20), out(M + 1, 0x04), out(M + 1, master_icw4);
    out(S, 0x11), out(S + 1, 0x28), out(S + 1, 0x02), out(S + 1, slave_icw4);
    out(M + 1, 0), out(S + 1, 0);
}

static uint8_t irr(uint16_t base)
{
    out(base, 0x0a);
    return in(base);
}

static uint8_t isr(uint16_t base)
{
    out(base, 0x0b);
    return in(base);
}

TestSuite(i8259, .init = setup, .fini = teardown);

Test(i8259, before_its_icws_it_keeps_intr_low_and_tells_why)
{
    pin(0, true);
    cr_assert(!intr());
    const struct irq_record *hold = rig_last(&f->rig, TRACE_pic_hold);
    cr_assert_not_null(hold);
    cr_assert_eq(hold->op[1], HOLD_PIC_UNINIT);
    cr_assert(!i8259_pin_open(&f->pic, 0));
}

Test(i8259, edge_request_gives_vector_and_isr_until_eoi)
{
    program(1, 1);
    pin(3, true);
    cr_assert(intr());
    cr_assert_eq(irr(M), 0x08);
    struct intr_ack a = ack();
    cr_assert_eq(a.vector, 0x23);
    cr_assert_eq(a.source, INTR_ACK_PIC);
    cr_assert(!intr());
    cr_assert_eq(irr(M), 0);
    cr_assert_eq(isr(M), 0x08);
    out(M, 0x20);
    cr_assert_eq(isr(M), 0);
    cr_assert(!intr(), "one edge is one request, though the input is still high");
}

Test(i8259, slave_request_sets_both_isr_bits_and_needs_both_eois)
{
    program(1, 1);
    pin(12, true);
    cr_assert_eq(ack().vector, 0x2c);
    cr_assert_eq(isr(M), 0x04);
    cr_assert_eq(isr(S), 0x10);
    pin(9, true); /* higher on the slave, but the master's IR2 is in service: "Fully Nested Mode" */
    cr_assert(!intr());
    out(S, 0x20);
    cr_assert(!intr());
    out(M, 0x20);
    cr_assert(intr());
    cr_assert_eq(ack().vector, 0x29);
}

Test(i8259, special_fully_nested_master_takes_a_higher_slave_request)
{
    program(0x11, 1);
    pin(12, true);
    cr_assert_eq(ack().vector, 0x2c);
    pin(9, true); /* "Special Fully Nested Mode": not locked out */
    cr_assert(intr());
    cr_assert_eq(ack().vector, 0x29);
    pin(3, true); /* a lower level of the master is still locked out */
    cr_assert(!intr());
}

Test(i8259, edge_that_drops_before_inta_is_forgotten_and_intr_falls)
{
    program(1, 1);
    pin(5, true);
    pin(5, false);
    cr_assert(!intr());
    cr_assert_eq(irr(M), 0);
    struct intr_ack a = ack(); /* sampled before the fall: "Interrupt Sequence", default level 7 */
    cr_assert_eq(a.vector, 0x27);
    cr_assert_eq(a.source, INTR_ACK_PIC_SPURIOUS);
    cr_assert_eq(isr(M), 0, "a default interrupt sets no ISR bit");
    cr_assert_eq(rig_count(&f->rig, TRACE_pic_withdraw), 1);
}

Test(i8259, intr_stays_for_its_fall_time_then_falls)
{
    program(1, 1);
    f->pic.int_fall = 100;
    pin(5, true);
    pin(5, false);
    cr_assert(intr());
    bus_test_run_to(&f->rig.clock, 99);
    cr_assert(intr());
    bus_test_run_to(&f->rig.clock, 100);
    cr_assert(!intr());
}

Test(i8259, slave_request_that_drops_before_inta_is_spurious_15_with_master_isr2)
{
    program(1, 1);
    f->pic.int_fall = 100;
    pin(14, true);
    pin(14, false);
    struct intr_ack a = ack();
    cr_assert_eq(a.vector, 0x2f);
    cr_assert_eq(a.source, INTR_ACK_PIC_SPURIOUS);
    cr_assert_eq(isr(S), 0);
    cr_assert_eq(isr(M), 0x04, "the master needs its EOI");
    cr_assert(!intr());
    f->pic.int_fall = 0;
}

Test(i8259, masked_request_waits_with_its_writer_and_is_delivered_by_unmasking)
{
    program(1, 1);
    f->rig.attrs.rip = 0xabcd;
    out(M + 1, 0x02);
    pin(1, true);
    cr_assert(!intr());
    const struct irq_record *hold = rig_last(&f->rig, TRACE_pic_hold);
    cr_assert_eq(hold->op[0], 1);
    cr_assert_eq(hold->op[1], HOLD_PIC_MASKED);
    cr_assert_eq(hold->op[3], 0xabcd);
    unsigned holds = rig_count(&f->rig, TRACE_pic_hold);
    out(M + 1, 0x12);
    cr_assert_eq(rig_count(&f->rig, TRACE_pic_hold), holds, "told on change only");
    cr_assert(!i8259_pin_open(&f->pic, 1));
    out(M + 1, 0x10);
    cr_assert(intr());
    cr_assert_eq(ack().vector, 0x21);
}

Test(i8259, masking_a_pending_request_lowers_intr)
{
    program(1, 1);
    pin(1, true);
    out(M + 1, 0x02);
    cr_assert(!intr());
    cr_assert_eq(irr(M), 0x02, "IMR does not touch IRR");
}

Test(i8259, slave_request_is_held_by_the_masters_cascade_mask)
{
    program(1, 1);
    out(M + 1, 0x04);
    pin(8, true);
    cr_assert(!intr());
    const struct irq_record *hold = rig_last(&f->rig, TRACE_pic_hold);
    cr_assert_eq(hold->op[0], 8);
    cr_assert_eq(hold->op[1], HOLD_PIC_MASKED);
    cr_assert(!i8259_pin_open(&f->pic, 8));
}

Test(i8259, lower_priority_waits_in_service_and_higher_one_nests)
{
    program(1, 1);
    pin(3, true);
    (void)ack();
    pin(4, true);
    cr_assert(!intr());
    cr_assert_eq(rig_last(&f->rig, TRACE_pic_hold)->op[1], HOLD_PIC_IN_SERVICE);
    cr_assert(!i8259_pin_open(&f->pic, 4));
    pin(1, true);
    cr_assert(intr());
    cr_assert_eq(ack().vector, 0x21);
    cr_assert_eq(isr(M), 0x0a);
    out(M, 0x20); /* non-specific: the highest, level 1 */
    cr_assert_eq(isr(M), 0x08);
}

Test(i8259, priority_hold_names_the_request_that_waits)
{
    program(1, 1);
    pin(1, true);
    pin(6, true);
    const struct irq_record *hold = rig_last(&f->rig, TRACE_pic_hold);
    cr_assert_eq(hold->op[0], 6);
    cr_assert_eq(hold->op[1], HOLD_PIC_PRIORITY);
}

Test(i8259, specific_eoi_clears_its_level_only)
{
    program(1, 1);
    pin(3, true), (void)ack();
    pin(1, true), (void)ack();
    out(M, 0x63);
    cr_assert_eq(isr(M), 0x02);
}

Test(i8259, rotate_on_nonspecific_eoi_makes_the_level_lowest)
{
    program(1, 1);
    pin(4, true), (void)ack();
    out(M, 0xa0); /* datasheet figure "Automatic Rotation": level 4 becomes lowest, 5 highest */
    pin(4, false);
    pin(4, true), pin(5, true), pin(0, true);
    cr_assert_eq(ack().vector, 0x25);
}

Test(i8259, set_priority_and_rotate_on_specific_eoi)
{
    program(1, 1);
    /* "if IR5 is programmed as the bottom priority device, then IR6 will have the highest one" */
    out(M, 0xc5);
    pin(6, true), pin(0, true);
    cr_assert_eq(ack().vector, 0x26);
    out(M, 0xe6);
    cr_assert_eq(isr(M), 0);
    pin(6, false), pin(6, true), pin(7, true);
    cr_assert_eq(ack().vector, 0x27);
}

Test(i8259, automatic_eoi_leaves_no_isr_and_may_rotate)
{
    program(3, 1);
    out(M, 0x80);
    pin(2, true); /* the cascade is no input of a device */
    pin(3, true);
    cr_assert_eq(ack().vector, 0x23);
    cr_assert_eq(isr(M), 0);
    pin(3, false);
    pin(3, true), pin(4, true);
    cr_assert_eq(ack().vector, 0x24);
    out(M, 0x00);
}

Test(i8259, special_mask_mode_lets_lower_levels_pass_and_keeps_its_isr)
{
    program(1, 1);
    pin(3, true), (void)ack();
    pin(6, true);
    cr_assert(!intr());
    out(M + 1, 0x08);
    out(M, 0x68);
    cr_assert(intr());
    cr_assert_eq(ack().vector, 0x26);
    out(M, 0x20); /* the masked ISR3 is not cleared by a non-specific EOI in special mask mode */
    cr_assert_eq(isr(M), 0x08);
    out(M, 0x48);
    out(M, 0x20);
    cr_assert_eq(isr(M), 0);
}

Test(i8259, poll_read_is_the_acknowledge)
{
    program(1, 1);
    out(M, 0x0c);
    cr_assert_eq(in(M), 0x00);
    pin(5, true);
    out(M, 0x0c);
    cr_assert_eq(in(M), 0x85);
    cr_assert_eq(isr(M), 0x20);
    cr_assert(!intr());
}

Test(i8259, level_pin_by_elcr_asks_until_it_falls)
{
    program(1, 1);
    out(0x4d1, 0x08);
    pin(11, true);
    cr_assert_eq(ack().vector, 0x2b);
    out(S, 0x20), out(M, 0x20);
    cr_assert(intr(), "still asserted");
    pin(11, false);
    cr_assert(!intr());
}

Test(i8259, elcr_keeps_the_fixed_edge_pins)
{
    out(0x4d0, 0xff), out(0x4d1, 0xff);
    cr_assert_eq(in(0x4d0), 0xf8); /* PIIX3: IRQ 0-2 edge only */
    cr_assert_eq(in(0x4d1), 0xde); /* IRQ 8 and 13 edge only */
}

Test(i8259, ltim_counts_on_a_discrete_chip_only)
{
    out(M, 0x19), out(M + 1, 0x20), out(M + 1, 0x04), out(M + 1, 0x01);
    pin(3, true);
    (void)ack();
    out(M, 0x20);
    cr_assert(!intr(), "PIIX3 ignores LTIM");
    pin(3, false);
    f->pic.ltim_honoured = true;
    out(M, 0x19), out(M + 1, 0x20), out(M + 1, 0x04), out(M + 1, 0x01);
    pin(3, true);
    cr_assert_eq(ack().vector, 0x23);
    out(M, 0x20);
    cr_assert(intr());
}

Test(i8259, shared_pin_falls_with_its_last_source)
{
    program(1, 1);
    i8259_set_irq(&f->pic, 5, 1, true, 0);
    i8259_set_irq(&f->pic, 5, 2, true, 0);
    i8259_set_irq(&f->pic, 5, 1, false, 0);
    cr_assert(intr());
    cr_assert_eq(f->pic.chip[0].asserters[5], 4);
    i8259_set_irq(&f->pic, 5, 2, false, 0);
    cr_assert(!intr());
}

Test(i8259, icw1_in_mid_service_clears_and_forgets_edges)
{
    program(1, 1);
    pin(3, true), (void)ack();
    pin(6, true);
    out(M + 1, 0xff);
    out(M, 0x11);
    cr_assert(!intr());
    cr_assert_eq(in(M), 0, "status read is IRR, edge sense circuit is reset");
    cr_assert_eq(in(M + 1), 0, "IMR is cleared");
    out(M + 1, 0x40), out(M + 1, 0x04), out(M + 1, 0x01);
    cr_assert_eq(isr(M), 0);
    cr_assert(!intr(), "a high input needs a new edge");
    pin(6, false), pin(6, true);
    cr_assert_eq(ack().vector, 0x46);
}

Test(i8259, single_mode_skips_icw3_and_short_icw1_skips_icw4)
{
    out(M, 0x12), out(M + 1, 0x20); /* SNGL, no ICW4: MCS-80 mode, interval 8 */
    out(M + 1, 0x00);
    pin(3, true);
    cr_assert_eq(ack().vector, 0x18, "low address byte A7 A6 n 0 0 0 of ICW1=12h");
}

Test(i8259, wrong_slave_identity_leaves_the_bus_undriven)
{
    program(1, 1);
    out(S, 0x11), out(S + 1, 0x28), out(S + 1, 0x05), out(S + 1, 0x01);
    pin(9, true);
    struct intr_ack a = ack();
    cr_assert_eq(a.vector, 0xff);
    cr_assert_eq(a.source, INTR_ACK_PIC_SPURIOUS);
    cr_assert_eq(isr(M), 0x04);
}

Test(i8259, records_chain_from_the_line_to_the_eoi)
{
    program(1, 1);
    i8259_set_irq(&f->pic, 4, 4, true, 777);
    const struct irq_record *request = rig_last(&f->rig, TRACE_pic_request);
    cr_assert_eq(request->cause, 777);
    const struct irq_record *rise = rig_last(&f->rig, TRACE_pic_intr);
    cr_assert_eq(rise->cause, request->id);
    cr_assert_eq(f->out.edge[f->out.n - 1].cause, rise->id);
    struct intr_ack a = ack();
    const struct irq_record *rec = rig_last(&f->rig, TRACE_pic_ack);
    cr_assert_eq(a.cause, rec->id);
    cr_assert(rig_caused(&f->rig, rec->id, request->id));
    out(M, 0x20);
    const struct irq_record *eoi = rig_last(&f->rig, TRACE_pic_eoi);
    cr_assert_eq(eoi->ref, rec->id);
    cr_assert_eq(eoi->op[0], 4);
    cr_assert_eq(eoi->op[3], RIG_RIP);
    out(M, 0x20);
    cr_assert_eq(rig_last(&f->rig, TRACE_pic_eoi)->op[0], 0xff);
}

Test(i8259, wide_port_accesses_reach_both_registers)
{
    program(1, 1);
    bus_port_write(&f->rig.bus, M, 2, 0x5a0b, &f->rig.attrs); /* OCW3, OCW1 */
    cr_assert_eq(in(M + 1), 0x5a);
    cr_assert_eq(bus_port_read(&f->rig.bus, M, 2, &f->rig.attrs), 0x5a00);
    for (unsigned v = 0; v < 256; v++) {
        out(S + 1, (uint8_t)v);
        cr_assert_eq(in(S + 1), v);
    }
}

Test(i8259, reset_is_power_on_and_keeps_inputs)
{
    program(1, 1);
    pin(4, true);
    i8259_reset(&f->pic);
    cr_assert(!intr());
    cr_assert_eq(f->pic.chip[0].level, 0x10);
    cr_assert_eq(f->pic.chip[0].imr_writer.vtime, VTIME_NEVER);
}

static void random_walk(bool discrete, uint64_t seed)
{
    struct model_pic model;
    model_pic_init(&model, discrete);
    f->pic.ltim_honoured = discrete;
    program(1, 1);
    for (int c = 0; c < 2; c++) {
        model_pic_command(&model, c, 0x11), model_pic_data(&model, c, c ? 0x28 : 0x20);
        model_pic_data(&model, c, c ? 2 : 4), model_pic_data(&model, c, 1),
            model_pic_data(&model, c, 0);
    }
    for (unsigned i = 0; i < 200000; i++) {
        unsigned op = bus_test_below(&seed, 100), n = bus_test_below(&seed, 16);
        uint8_t v = (uint8_t)bus_test_below(&seed, 256);
        int c = n >= 8;
        uint16_t base = c ? S : M;
        if (op < 45) {
            if (n != 2) {
                pin(n, v & 1);
                model_pic_input(&model, c, (int)n % 8, v & 1);
                model_pic_settle(&model);
            }
        } else if (op < 60) {
            if (intr() || op == 59) {
                uint8_t expected = model_pic_ack(&model);
                cr_assert_eq(ack().vector, expected, "step %u", i);
            }
        } else if (op < 80) {
            v = op < 75 ? 0x20 : v & 0xe7; /* EOIs of all kinds */
            out(base, v), model_pic_command(&model, c, v);
        } else if (op < 84) {
            v = (v & 0x6f) | 8; /* OCW3 */
            out(base, v), model_pic_command(&model, c, v);
        } else if (op < 90) {
            v &= (uint8_t)bus_test_below(&seed, 256);
            out(base + 1, v), model_pic_data(&model, c, v);
        } else if (op < 92) {
            out((uint16_t)(0x4d0 + c), v), model_pic_elcr(&model, c, v);
        } else if (op < 93 && v < 64) {
            uint8_t icw1 = (uint8_t)(0x10 | (v & 0x0f) | (v << 5 & 0xe0));
            out(base, icw1), model_pic_command(&model, c, icw1);
            while (model.chip[c].step != 0) {
                uint8_t w = (uint8_t)bus_test_below(&seed, 256);
                w = model.chip[c].step == 3 && w < 200 ? (c ? 2 : 4)
                    : model.chip[c].step == 4          ? w & 0x1f
                                                       : w;
                out(base + 1, w), model_pic_data(&model, c, w);
            }
        } else {
            cr_assert_eq(in(base + (op & 1)), model_pic_read(&model, c, op & 1), "read, step %u",
                         i);
        }
        cr_assert_eq(intr(), model.chip[0].out, "INT, step %u op %u", i, op);
    }
}

Test(i8259, random_operations_agree_with_the_naive_model_elcr)
{
    random_walk(false, 0x8259);
}

Test(i8259, random_operations_agree_with_the_naive_model_ltim)
{
    random_walk(true, 0x8259a);
}
