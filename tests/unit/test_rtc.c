/* SPDX-License-Identifier: MIT */
/*
 * MC146818A (Motorola, ADI-856-R2) as in a PC/AT: through ports 70h and 71h and its wire. Titles quoted are that data sheet's.
 */
#include "bus/isa/rtc_mc146818.h"
#include "bus/trace_events.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>
#include <time.h>

#define SECOND 1000000000ull

static struct bus bus;
static struct clock clk;
static struct trace tr;
static struct rtc_mc146818 rtc;
static struct bus_test_sink sink;
static const struct bus_attrs attrs = {.requester = 0, .cause = 7, .rip = 0x7c12};

static void setup_at(int64_t epoch, uint64_t low, uint64_t high)
{
    const struct rtc_config config = {epoch, low, high};
    clock_init(&clk);
    trace_init(&tr, &clk);
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    rtc_init(&rtc, &clk, &tr, &config);
    bus_test_connect(&rtc.irq, &sink, &clk);
    cr_assert_eq(rtc_map(&rtc, &bus, NULL), 0);
}

static void setup(void)
{
    setup_at(RTC_EPOCH_DEFAULT, 64ull << 20, 0);
}

static void teardown(void)
{
    rtc_check(&rtc);
    trace_fini(&tr);
    bus_fini(&bus);
}

static unsigned rd(unsigned reg)
{
    bus_port_write(&bus, 0x70, 1, reg, &attrs);
    return bus_port_read(&bus, 0x71, 1, &attrs);
}

static void wr(unsigned reg, unsigned v)
{
    bus_port_write(&bus, 0x70, 1, reg, &attrs);
    bus_port_write(&bus, 0x71, 1, v, &attrs);
}

static void expect_time(unsigned century, unsigned year, unsigned month, unsigned day,
                        unsigned hour, unsigned minute, unsigned second)
{
    cr_assert_eq(rd(0x32), century, "century %x", rd(0x32));
    cr_assert_eq(rd(9), year, "year %x", rd(9));
    cr_assert_eq(rd(8), month, "month %x", rd(8));
    cr_assert_eq(rd(7), day, "day %x", rd(7));
    cr_assert_eq(rd(4), hour, "hour %x", rd(4));
    cr_assert_eq(rd(2), minute, "minute %x", rd(2));
    cr_assert_eq(rd(0), second, "second %x", rd(0));
}

Test(rtc, power_on_time_is_2024_in_bcd_24h, .init = setup, .fini = teardown)
{
    expect_time(0x20, 0x24, 0x01, 0x01, 0x00, 0x00, 0x00);
    cr_assert_eq(rd(6), 2, "a Monday");
    cr_assert_eq(rd(0x0a), 0x26);
    cr_assert_eq(rd(0x0b), 0x02);
    cr_assert_eq(rd(0x0c), 0x00);
    cr_assert_eq(rd(0x0d), 0x80);
    cr_assert_eq(bus_port_read(&bus, 0x70, 1, &attrs), 0xff);
}

Test(rtc, time_runs_through_leap_day, .init = setup, .fini = teardown)
{
    clock_advance(&clk, (59 * 86400ull - 1) * SECOND + SECOND - 1);
    expect_time(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59);
    clock_advance(&clk, 59 * 86400ull * SECOND);
    expect_time(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
    clock_advance(&clk, 60 * 86400ull * SECOND);
    expect_time(0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
}

Test(rtc, formats_binary_and_12_hours_show_the_same_moment, .init = setup, .fini = teardown)
{
    clock_advance(&clk, (13 * 3600 + 45 * 60 + 58) * SECOND);
    wr(0x0b, 0x06);
    expect_time(20, 24, 1, 1, 13, 45, 58);
    wr(0x0b, 0x04);
    cr_assert_eq(rd(4), 0x81, "1 pm: \"the high order bit of the hours byte represents PM\"");
    wr(0x0b, 0x00);
    clock_advance(&clk, 24 * 3600 * SECOND);
    cr_assert_eq(rd(4), 0x12, "midnight is 12 am");
    clock_advance(&clk, 36 * 3600 * SECOND);
    cr_assert_eq(rd(4), 0x92, "noon is 12 pm");
    cr_assert_eq(rtc_get_time(&rtc), RTC_EPOCH_DEFAULT + 36 * 3600);
}

Test(rtc, set_freezes_time_and_counts_on_from_what_was_written, .init = setup, .fini = teardown)
{
    wr(0x0b, 0x82);
    clock_advance(&clk, 10 * SECOND);
    cr_assert_eq(rd(0), 0);
    cr_assert_eq(rd(0x0a) & 0x80, 0);
    wr(0x32, 0x19);
    wr(9, 0x99);
    wr(8, 0x12);
    wr(7, 0x31);
    wr(4, 0x23);
    wr(2, 0x59);
    wr(0, 0x58);
    clock_advance(&clk, 20 * SECOND + SECOND / 2);
    expect_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
    wr(0x0b, 0x02);
    clock_advance(&clk, 22 * SECOND);
    expect_time(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
}

Test(rtc, divider_reset_first_update_comes_half_a_second_later, .init = setup, .fini = teardown)
{
    wr(0x0a, 0x60);
    clock_advance(&clk, 10 * SECOND + 123);
    cr_assert_eq(rd(0), 0);
    wr(0x0a, 0x26);
    clock_advance(&clk, 10 * SECOND + 123 + SECOND / 2 - 1);
    cr_assert_eq(rd(0), 0);
    clock_advance(&clk, 10 * SECOND + 123 + SECOND / 2);
    cr_assert_eq(rd(0), 1);
}

Test(rtc, uip_is_set_2228_us_before_each_second, .init = setup, .fini = teardown)
{
    /* "Update Cycle": t_BUC = 244 us, then t_UC = 1984 us. */
    clock_advance(&clk, SECOND - 2228000 - 1);
    cr_assert_eq(rd(0x0a), 0x26);
    clock_advance(&clk, SECOND - 2228000);
    cr_assert_eq(rd(0x0a), 0xa6);
    clock_advance(&clk, SECOND - 1);
    cr_assert_eq(rd(0x0a), 0xa6);
    cr_assert_eq(rd(0), 0);
    clock_advance(&clk, SECOND);
    cr_assert_eq(rd(0x0a), 0x26);
    cr_assert_eq(rd(0), 1);
}

Test(rtc, periodic_rates_are_those_of_the_table, .init = setup, .fini = teardown)
{
    /* Table "Periodic Interrupt Rate and Square Wave Output Frequency", 32.768 kHz: interrupts a second. */
    static const unsigned rate[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                      256, 128, 64,  32,   16,   8,    4,    2};
    wr(0x0b, 0x42);
    for (unsigned rs = 0; rs < 16; rs++) {
        wr(0x0a, 0x20 | rs);
        rd(0x0c);
        unsigned n = 0;
        vtime_t end = clk.now + SECOND;
        while (clk.next <= end) {
            bus_test_run_to(&clk, clk.next);
            cr_assert(rtc.irq.level);
            cr_assert_eq(rd(0x0c), clk.now % SECOND ? 0xc0 : 0xd0);
            cr_assert_not(rtc.irq.level, "reading register C drops the line");
            n++;
        }
        bus_test_run_to(&clk, end);
        cr_assert_eq(n, rate[rs], "RS=%u: %u", rs, n);
    }
}

Test(rtc, periodic_unread_register_c_gives_no_second_edge, .init = setup, .fini = teardown)
{
    wr(0x0b, 0x42);
    bus_test_run_to(&clk, SECOND / 2);
    cr_assert_eq(sink.n, 1);
    cr_assert_eq(sink.edge[0].t, 976563, "1/1024 s, rounded up");
    cr_assert_not(clock_event_armed(&rtc.event));
    rd(0x0c);
    bus_test_run_to(&clk, SECOND / 2 + 976563);
    cr_assert_eq(sink.n, 3);
}

Test(rtc, flags_rise_without_enables_and_enabling_one_raises_the_line, .init = setup,
     .fini = teardown)
{
    clock_advance(&clk, SECOND);
    cr_assert_eq(rd(0x0c), 0x50, "PF and UF, no IRQF");
    cr_assert_eq(rd(0x0c), 0x00);
    clock_advance(&clk, 2 * SECOND);
    cr_assert_eq(sink.n, 0);
    wr(0x0b, 0x12); /* IRQF is UF and UIE, whichever comes second */
    cr_assert(rtc.irq.level);
    cr_assert_eq(rd(0x0c), 0xd0);
    cr_assert_not(rtc.irq.level);
}

Test(rtc, update_ended_interrupt_comes_each_second, .init = setup, .fini = teardown)
{
    wr(1, 0x30);
    wr(0x0b, 0x12);
    bus_test_run_to(&clk, SECOND);
    cr_assert_eq(sink.n, 1);
    cr_assert_eq(sink.edge[0].t, SECOND);
    cr_assert_eq(rd(0x0c), 0xd0);
    bus_test_run_to(&clk, 2 * SECOND);
    cr_assert_eq(sink.edge[2].t, 2 * SECOND);
    wr(0x0b, 0x92);
    cr_assert_eq(rd(0x0b), 0x82, "SET clears UIE");
    cr_assert_not(rtc.irq.level);
}

Test(rtc, alarm_matches_with_dont_care_codes, .init = setup, .fini = teardown)
{
    wr(1, 0x30);
    wr(3, 0x59);
    wr(5, 0xff); /* "a don't care code is any hexadecimal byte from C0 to FF" */
    wr(0x0b, 0x22);
    bus_test_run_to(&clk, 2 * 3600 * SECOND);
    cr_assert_eq(sink.n, 1);
    cr_assert_eq(sink.edge[0].t, (59 * 60 + 30) * SECOND);
    cr_assert_eq(rd(0x0c) & 0xa0, 0xa0);
    bus_test_run_to(&clk, 2 * 3600 * SECOND + SECOND);
    cr_assert_eq(clk.next, (3600 + 3600 + 59 * 60 + 30) * SECOND);
}

Test(rtc, alarm_impossible_time_never_comes, .init = setup, .fini = teardown)
{
    wr(1, 0x61);
    wr(0x0b, 0x22);
    cr_assert_eq(clk.next, VTIME_NEVER);
}

Test(rtc, reset_clears_enables_and_keeps_time, .init = setup, .fini = teardown)
{
    wr(0x0b, 0x7e);
    wr(0x40, 0x99);
    bus_test_run_to(&clk, 5 * SECOND);
    cr_assert(rtc.irq.level);
    rtc_reset(&rtc);
    cr_assert_not(rtc.irq.level);
    cr_assert_eq(rd(0x0b), 0x06);
    cr_assert_eq(rd(0x0c), 0);
    cr_assert_eq(rd(0), 5);
    cr_assert_eq(rd(0x40), 0x99);
}

Test(rtc, port70_bit7_masks_nmi_and_is_no_part_of_the_index, .init = setup, .fini = teardown)
{
    wr(0x50, 0x12);
    cr_assert_not(rtc_get_nmi_masked(&rtc));
    cr_assert_eq(rd(0xd0), 0x12);
    cr_assert(rtc_get_nmi_masked(&rtc));
    rd(0x50);
    cr_assert_not(rtc_get_nmi_masked(&rtc));
}

Test(rtc, cmos_size_bytes_tell_memory)
{
    setup_at(0, 3ull << 30, 1ull << 30);
    cr_assert_eq(rd(0x15) | rd(0x16) << 8, 640);
    cr_assert_eq(rd(0x17) | rd(0x18) << 8, 0xffff);
    cr_assert_eq(rd(0x30) | rd(0x31) << 8, 0xffff);
    cr_assert_eq(rd(0x34) | rd(0x35) << 8, (3072 - 16) * 16);
    cr_assert_eq(rd(0x5b) | rd(0x5c) << 8 | rd(0x5d) << 16, 1024 * 16);
    unsigned sum = 0;
    for (unsigned i = 0x10; i <= 0x2d; i++) {
        sum += rd(i);
    }
    cr_assert_eq(rd(0x2e) << 8 | rd(0x2f), sum);
    teardown();
    setup_at(0, 2ull << 20, 0);
    cr_assert_eq(rd(0x17) | rd(0x18) << 8, 1024);
    cr_assert_eq(rd(0x34) | rd(0x35) << 8, 0);
    teardown();
}

Test(rtc, calendar_agrees_with_the_c_library_over_800_years)
{
    uint64_t seed = 0x146818;
    for (unsigned i = 0; i < 3000; i++) {
        /* 1600..2399 */
        int64_t t = (int64_t)(bus_test_random(&seed) >> 16) % (800ll * 365 * 86400) - 11676096000ll;
        setup_at(t, 0, 0);
        wr(0x0b, 0x06);
        time_t host = (time_t)t;
        struct tm tm;
        cr_assert_not_null(gmtime_r(&host, &tm));
        expect_time((unsigned)(tm.tm_year + 1900) / 100, (unsigned)(tm.tm_year + 1900) % 100,
                    (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday, (unsigned)tm.tm_hour,
                    (unsigned)tm.tm_min, (unsigned)tm.tm_sec);
        cr_assert_eq(rd(6), (unsigned)tm.tm_wday + 1);
        wr(0x0b, 0x86); /* and back: the frozen registers give the same second */
        cr_assert_eq(rtc_get_time(&rtc), t);
        wr(0x0b, 0x06);
        cr_assert_eq(rtc_get_time(&rtc), t);
        teardown();
    }
}

Test(rtc, record_chain_leads_to_the_programming_instruction, .init = setup, .fini = teardown)
{
    static struct bus_test_records got;
    cr_assert_eq(trace_listen(&tr, bus_test_drain, &got), 0);
    wr(0x0b, 0x42);
    bus_test_run_to(&clk, 1000000);
    rd(0x0c);
    bus_test_run_to(&clk, 2000000);
    trace_flush(&tr);
    cr_assert_eq(sink.n, 3);
    const struct irq_record *r = bus_test_find(&got, sink.edge[2].cause);
    cr_assert_eq(r->kind, TRACE_timer_expire);
    r = bus_test_find(&got, r->cause);
    cr_assert_eq(r->kind, TRACE_timer_arm);
    cr_assert_eq(r->cause, 7);
    r = bus_test_find(&got, sink.edge[1].cause);
    cr_assert_eq(r->kind, TRACE_device_access);
    cr_assert_eq(r->op[2], 0xc0);
}

Test(rtc, random_operations_keep_invariants, .init = setup, .fini = teardown)
{
    uint64_t seed = 0x70;
    for (unsigned step = 0; step < 100000; step++) {
        switch (bus_test_below(&seed, 3)) {
        case 0:
            rd(bus_test_below(&seed, 0x40));
            break;
        case 1:
            wr(bus_test_below(&seed, 3) ? 10 + bus_test_below(&seed, 2)
                                        : bus_test_below(&seed, 0x40),
               bus_test_below(&seed, 256));
            break;
        default:
            bus_test_run_to(&clk, clk.now + bus_test_below(&seed, 1500) * 1000000ull);
            break;
        }
        rtc_check(&rtc);
    }
    cr_assert_gt(sink.n, 100);
}
