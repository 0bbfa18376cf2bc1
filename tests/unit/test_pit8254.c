/* SPDX-License-Identifier: MIT */
/*
 * Intel 8254, order no. 231164: through its ports, its OUT0 wire and port 61h. Titles quoted are that datasheet's.
 */
#include "bus/isa/pit8254.h"
#include "bus/trace_events.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>

static struct bus bus;
static struct clock clk;
static struct trace tr;
static struct pit8254 pit;
static struct bus_test_sink sink;
static const struct bus_attrs attrs = {.requester = 0, .cause = 7, .rip = 0x7c12};

static void setup(void)
{
    clock_init(&clk);
    trace_init(&tr, &clk);
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    pit8254_init(&pit, &clk, &tr);
    bus_test_connect(&pit.irq, &sink, &clk);
    cr_assert_eq(pit8254_map(&pit, &bus, NULL), 0);
}

static void teardown(void)
{
    pit8254_check(&pit);
    trace_fini(&tr);
    bus_fini(&bus);
}

static void out(uint16_t port, uint8_t v)
{
    bus_port_write(&bus, port, 1, v, &attrs);
}

static uint8_t in(uint16_t port)
{
    return (uint8_t)bus_port_read(&bus, port, 1, &attrs);
}

/* First nanosecond of a CLK, by long multiplication: ceil(tick * 10^9 / 1193182). */
static vtime_t at(uint64_t tick)
{
    __extension__ unsigned __int128 n = (unsigned __int128)tick * 1000000000u + 1193181u;
    return (vtime_t)(n / 1193182u);
}

static void to_tick(uint64_t tick)
{
    bus_test_run_to(&clk, at(tick));
}

Test(pit8254, mode0_count_n_out_rises_n_plus_1_clks_after_write, .init = setup, .fini = teardown)
{
    out(0x43, 0x30);
    out(0x40, 4);
    out(0x40, 0);
    /* "OUT does not go high until N + 1 CLK pulses after the initial count is written." */
    to_tick(100);
    cr_assert_eq(sink.n, 1);
    cr_assert_eq(sink.edge[0].t, at(5));
    cr_assert(sink.edge[0].level);
    cr_assert_not(clock_event_armed(&pit.edge), "nothing is left to happen");
    /* The counter goes on from FFFFh. */
    out(0x43, 0x00);
    cr_assert_eq(in(0x40), (uint8_t)(4 - 99));
    cr_assert_eq(in(0x40), 0xff);
}

Test(pit8254, mode0_new_count_first_byte_drops_out_at_once, .init = setup, .fini = teardown)
{
    out(0x43, 0x30);
    out(0x40, 4);
    out(0x40, 0);
    to_tick(50);
    out(0x40, 9);
    cr_assert_not(pit.irq.level, "\"OUT is set low immediately (no clock pulse required)\"");
    to_tick(90);
    cr_assert_not(pit.irq.level, "the first byte disables counting");
    out(0x40, 0);
    to_tick(200);
    cr_assert_eq(sink.edge[sink.n - 1].t, at(90 + 10));
}

Test(pit8254, mode2_edges_are_exact_after_a_thousand_seconds, .init = setup, .fini = teardown)
{
    to_tick(1000);
    out(0x43, 0x34);
    cr_assert(pit.irq.level, "\"OUT will initially be high.\"");
    out(0x40, 0xa9);
    out(0x40, 0x04); /* 1193 */
    cr_assert_eq(sink.n, 1);
    to_tick(1000 + 1193 * 2 + 1);
    /* "OUT will go low N CLK pulses after the initial count is written", for one CLK. */
    cr_assert_eq(sink.n, 5);
    cr_assert_eq(sink.edge[1].t, at(1000 + 1193));
    cr_assert_not(sink.edge[1].level);
    cr_assert_eq(sink.edge[2].t, at(1000 + 1193 + 1));
    cr_assert_eq(sink.edge[4].t, at(1000 + 1193 * 2 + 1));
    /* No drift: the millionth period's edge. */
    uint64_t far = 1001 + 1193ull * 1000000;
    bus_test_run_to(&clk, at(far) - 1);
    cr_assert_not(pit.irq.level);
    bus_test_run_to(&clk, at(far));
    cr_assert(pit.irq.level);
}

Test(pit8254, mode2_new_count_takes_effect_after_current_period, .init = setup, .fini = teardown)
{
    out(0x43, 0x14);
    out(0x40, 100);
    to_tick(150); /* in the second period, 101..200 */
    out(0x40, 10);
    /* "the new count will be loaded at the end of the current counting cycle" */
    to_tick(221);
    cr_assert_eq(sink.n, 1 + 8);
    cr_assert_eq(sink.edge[3].t, at(200));
    cr_assert_eq(sink.edge[4].t, at(201));
    cr_assert_eq(sink.edge[5].t, at(210));
    cr_assert_eq(sink.edge[6].t, at(211));
    cr_assert_eq(sink.edge[8].t, at(221));
}

Test(pit8254, mode3_odd_count_is_high_one_clk_longer, .init = setup, .fini = teardown)
{
    out(0x43, 0x16);
    out(0x40, 7);
    to_tick(15);
    /* "OUT will be high for (N + 1)/2 counts and low for (N - 1)/2 counts." */
    cr_assert_eq(sink.n, 5);
    cr_assert_eq(sink.edge[1].t, at(1 + 4));
    cr_assert_eq(sink.edge[2].t, at(1 + 7));
    cr_assert_eq(sink.edge[3].t, at(1 + 7 + 4));
    cr_assert_eq(sink.edge[4].t, at(1 + 14));
}

Test(pit8254, mode3_even_count_decrements_by_two, .init = setup, .fini = teardown)
{
    out(0x43, 0x16);
    out(0x40, 10);
    for (unsigned i = 0; i < 10; i++) {
        to_tick(1 + i);
        cr_assert_eq(in(0x40), 10 - 2 * (i % 5));
    }
}

Test(pit8254, mode4_strobe_is_low_for_one_clk_once, .init = setup, .fini = teardown)
{
    out(0x43, 0x38);
    out(0x40, 20);
    out(0x40, 0);
    to_tick(100000);
    /* "will not strobe low until N + 1 CLK pulses after the initial count is written" */
    cr_assert_eq(sink.n, 3);
    cr_assert_eq(sink.edge[1].t, at(21));
    cr_assert_not(sink.edge[1].level);
    cr_assert_eq(sink.edge[2].t, at(22));
}

Test(pit8254, count_zero_binary_is_65536_and_bcd_10000, .init = setup, .fini = teardown)
{
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0);
    to_tick(65537);
    cr_assert_eq(sink.edge[2].t, at(65537));
    out(0x43, 0x35);
    out(0x40, 0);
    out(0x40, 0);
    sink.n = 0;
    to_tick(65537 + 10001);
    cr_assert_eq(sink.n, 2);
    cr_assert_eq(sink.edge[1].t, at(65537 + 10001));
}

Test(pit8254, bcd_count_reads_back_decimal_digits, .init = setup, .fini = teardown)
{
    out(0x43, 0x31);
    out(0x40, 0x00);
    out(0x40, 0x12); /* 1200 decimal */
    to_tick(1 + 1);
    cr_assert_eq(in(0x40), 0x99);
    cr_assert_eq(in(0x40), 0x11);
}

Test(pit8254, latch_holds_count_until_read_and_ignores_second_latch, .init = setup,
     .fini = teardown)
{
    out(0x43, 0x34);
    out(0x40, 0x00);
    out(0x40, 0x10);
    to_tick(1 + 0x123);
    out(0x43, 0x00);
    to_tick(1 + 0x456);
    out(0x43, 0x00); /* "the second Counter Latch Command is ignored" */
    cr_assert_eq(in(0x40), 0xdd);
    cr_assert_eq(in(0x40), 0x0e);
    cr_assert_eq(in(0x40), 0x1000 - 0x456 - 0x0b00, "live again: low byte of BAAh");
    cr_assert_eq(in(0x40), 0x0b);
}

Test(pit8254, read_back_status_first_then_count, .init = setup, .fini = teardown)
{
    out(0x43, 0xb6);
    out(0x42, 0x40);
    cr_assert_eq(in(0x43), 0xff, "the control word register cannot be read");
    out(0x42, 0x00);
    out(0x43, 0xe8); /* status of counter 2, before the first CLK */
    cr_assert_eq(in(0x42), 0x80 | 0x40 | 0x36);
    out(0x61, 1);
    to_tick(10);
    out(0x43, 0xc8); /* status and count of counter 2 */
    /* "the first read operation of that counter will return latched status" */
    cr_assert_eq(in(0x42), 0x80 | 0x36);
    cr_assert_eq(in(0x42), 0x40 - 2 * 9);
    cr_assert_eq(in(0x42), 0x00);
}

Test(pit8254, control_word_mode_7_is_mode_3_and_status_keeps_it_as_written, .init = setup,
     .fini = teardown)
{
    out(0x43, 0x1e);
    out(0x40, 8);
    to_tick(5);
    cr_assert_eq(sink.edge[1].t, at(5));
    out(0x43, 0xe2);
    cr_assert_eq(in(0x40), 0x1e, "OUT low, count loaded, mode bits exactly as written");
}

Test(pit8254, rw_msb_only_low_byte_is_zero, .init = setup, .fini = teardown)
{
    out(0x43, 0x20);
    out(0x40, 2);
    to_tick(514);
    cr_assert_eq(sink.edge[0].t, at(513));
}

Test(pit8254, port61_gate2_starts_and_stops_channel_2, .init = setup, .fini = teardown)
{
    out(0x43, 0xb0);
    out(0x42, 100);
    out(0x42, 0);
    to_tick(500);
    cr_assert_eq(in(0x61) & 0x21, 0, "gate low: nothing counts");
    out(0x61, 0x01);
    to_tick(560);
    out(0x61, 0x00);
    to_tick(2000);
    cr_assert_eq(pit8254_get_count(&pit, 2), 40);
    out(0x61, 0x03);
    to_tick(2039);
    cr_assert_eq(in(0x61) & 0x2f, 0x03);
    to_tick(2040);
    cr_assert_eq(in(0x61) & 0x2f, 0x23);
    cr_assert_eq(sink.n, 0, "channel 2 is not wired to IRQ0");
}

Test(pit8254, port61_refresh_bit_toggles_every_18_clks, .init = setup, .fini = teardown)
{
    uint8_t before = in(0x61) & 0x10;
    to_tick(17);
    cr_assert_eq(in(0x61) & 0x10, before);
    to_tick(18);
    cr_assert_neq(in(0x61) & 0x10, before);
    to_tick(36);
    cr_assert_eq(in(0x61) & 0x10, before);
}

Test(pit8254, bios_state_ticks_at_18_2_hz, .init = setup, .fini = teardown)
{
    pit8254_set_bios_state(&pit);
    bus_test_run_to(&clk, 1000000000);
    unsigned rising = 0;
    for (unsigned i = 1; i < sink.n; i++) {
        rising += sink.edge[i].level;
    }
    cr_assert_eq(rising, 18);
}

Test(pit8254, expiry_recorded_chain_leads_to_the_programming_instruction, .init = setup,
     .fini = teardown)
{
    static struct bus_test_records got;
    cr_assert_eq(trace_listen(&tr, bus_test_drain, &got), 0);
    pit.irq.source = 5;
    out(0x43, 0x14);
    out(0x40, 50);
    to_tick(51);
    trace_flush(&tr);
    cr_assert_eq(sink.n, 3);
    /* The control word raises OUT: an access by the guest. */
    const struct irq_record *r = bus_test_find(&got, sink.edge[0].cause);
    cr_assert_eq(r->kind, TRACE_device_access);
    cr_assert_eq(r->cause, 7);
    cr_assert_eq(r->op[0], 5);
    cr_assert_eq(r->op[1], 0x43);
    cr_assert_eq(r->op[2], 0x14);
    cr_assert_eq(r->op[3], 0x7c12);
    /* The expiry's cause is the arming, whose cause is the instruction. */
    r = bus_test_find(&got, sink.edge[2].cause);
    cr_assert_eq(r->kind, TRACE_timer_expire);
    cr_assert_eq(r->op[1], at(51));
    r = bus_test_find(&got, r->cause);
    cr_assert_eq(r->kind, TRACE_timer_arm);
    cr_assert_eq(r->cause, 7);
    cr_assert_eq(r->op[1], at(50), "the first edge");
}

/* ---- channel 2, all modes, against a model that steps one CLK at a time as the datasheet's text does ---- */

struct naive {
    unsigned mode;
    bool gate, out, pending, counting, written, fired, null;
    uint32_t ce, cr, left;
};

static void naive_control(struct naive *m, unsigned mode)
{
    m->mode = mode;
    m->out = mode != 0;
    m->pending = m->counting = m->written = false;
    m->null = true;
}

static void naive_count(struct naive *m, uint32_t n)
{
    m->cr = n;
    m->null = true;
    bool first = !m->written;
    m->written = true;
    if (m->mode == 0) {
        m->out = false;
    }
    if (m->mode == 0 || m->mode == 4 || ((m->mode == 2 || m->mode == 3) && first)) {
        m->pending = true;
    }
}

static void naive_gate(struct naive *m, bool gate)
{
    bool rises = gate && !m->gate, falls = !gate && m->gate;
    m->gate = gate;
    if (rises && m->written && m->mode != 0 && m->mode != 4) {
        m->pending = true;
    }
    if (falls && m->counting && (m->mode == 2 || m->mode == 3)) {
        m->out = true;
    }
    if (falls && m->mode == 4 && !m->out) { /* the deviation: an interrupted strobe ends at once */
        m->out = true;
        m->ce--;
    }
}

static void naive_load(struct naive *m)
{
    m->pending = false;
    m->counting = true;
    m->fired = false;
    m->null = false;
    m->ce = m->mode == 3 ? m->cr & ~1u : m->cr;
    m->left = (m->cr + 1) / 2;
    m->out = m->mode != 0 && m->mode != 1;
}

static void naive_clk(struct naive *m)
{
    if (m->pending) {
        naive_load(m);
        return;
    }
    if (!m->counting || (!m->gate && m->mode != 1 && m->mode != 5)) {
        return;
    }
    switch (m->mode) {
    case 0:
    case 1:
        m->ce--;
        if (m->ce == 0) {
            m->out = true;
        }
        break;
    case 2:
        m->ce--;
        m->out = m->ce != 1;
        if (m->ce == 0) {
            m->ce = m->cr;
            m->null = false;
            m->out = true;
        }
        break;
    case 3:
        m->ce -= 2;
        if (--m->left == 0) {
            m->out = !m->out;
            m->ce = m->cr & ~1u;
            m->left = m->out ? (m->cr + 1) / 2 : m->cr / 2;
            m->null = false;
        }
        break;
    default:
        m->ce--;
        m->out = m->ce != 0 || m->fired;
        m->fired = m->fired || m->ce == 0;
        break;
    }
}

Test(pit8254, random_programs_agree_with_clk_by_clk_model, .init = setup, .fini = teardown)
{
    uint64_t seed = 0x8254;
    struct naive m = {0};
    uint64_t tick = 0;
    out(0x43, 0x90);
    naive_control(&m, 0);
    for (unsigned step = 0; step < 200000; step++) {
        unsigned op = bus_test_below(&seed, 40);
        if (op == 0) {
            unsigned mode = bus_test_below(&seed, 6);
            out(0x43, (uint8_t)(0x90 | mode << 1));
            naive_control(&m, mode);
        } else if (op < 4) {
            uint8_t n = (uint8_t)(2 + bus_test_below(&seed, 14));
            out(0x42, n);
            naive_count(&m, n);
        } else if (op < 8) {
            bool gate = bus_test_below(&seed, 2);
            out(0x61, gate);
            naive_gate(&m, gate);
        } else {
            unsigned n = bus_test_below(&seed, 10) ? 1 : bus_test_below(&seed, 60);
            for (unsigned i = 0; i < n; i++) {
                naive_clk(&m);
            }
            tick += n;
            to_tick(tick);
        }
        cr_assert_eq(pit8254_get_out(&pit, 2), m.out, "mode %u gate %d step %u", m.mode, m.gate,
                     step);
        cr_assert_eq(in(0x61) >> 5 & 1, m.out);
        if (m.counting) {
            cr_assert_eq(pit8254_get_count(&pit, 2), m.ce & 0xffff, "mode %u gate %d step %u",
                         m.mode, m.gate, step);
            out(0x43, 0xe8);
            cr_assert_eq(in(0x42), (m.out ? 0x80u : 0) | (m.null ? 0x40u : 0) | 0x10u | m.mode << 1,
                         "mode %u gate %d step %u", m.mode, m.gate, step);
        }
        pit8254_check(&pit);
    }
}

/* Channel 0's wire in all modes follows what OUT reads, whatever is written when. */
Test(pit8254, random_programs_wire_follows_out_and_edges_are_not_missed, .init = setup,
     .fini = teardown)
{
    uint64_t seed = 0x40;
    uint64_t tick = 0;
    for (unsigned step = 0; step < 100000; step++) {
        unsigned op = bus_test_below(&seed, 30);
        if (op == 0) {
            out(0x43, (uint8_t)(0x10 | bus_test_below(&seed, 8) << 1));
        } else if (op < 4) {
            out(0x40, (uint8_t)bus_test_below(&seed, 20));
        } else {
            to_tick(++tick);
        }
        cr_assert_eq(pit.irq.level, pit8254_get_out(&pit, 0), "step %u", step);
    }
    cr_assert_gt(sink.n, 1000);
}
