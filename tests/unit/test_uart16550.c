/* SPDX-License-Identifier: MIT */
/*
 * PC16550D (National Semiconductor, TL/C/8652): through its ports and its wire. Section titles quoted are that datasheet's.
 */
#include "bus/isa/uart16550.h"
#include "bus/trace_events.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>

enum {
    RBR,
    IER,
    IIR,
    LCR,
    MCR,
    LSR,
    MSR,
    SCR,
    THR = RBR,
    DLL = RBR,
    DLM = IER,
    FCR = IIR
};

static struct bus bus;
static struct clock clk;
static struct trace tr;
static struct uart16550 uart;
static struct bus_test_sink sink;
static uint8_t sent[64];
static size_t nsent;
static const struct bus_attrs attrs = {.requester = 0, .cause = 7, .rip = 0x7c12};

static void collect(void *opaque, const uint8_t *buf, size_t n)
{
    (void)opaque;
    for (size_t i = 0; i < n && nsent < sizeof(sent); i++) {
        sent[nsent++] = buf[i];
    }
}

static void setup(void)
{
    const struct chardev c = {collect, NULL};
    nsent = 0;
    clock_init(&clk);
    trace_init(&tr, &clk);
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    uart16550_init(&uart, &clk, &tr, &c);
    bus_test_connect(&uart.irq, &sink, &clk);
    cr_assert_eq(uart16550_map(&uart, &bus, 0x3f8, NULL), 0);
}

static void teardown(void)
{
    uart16550_check(&uart);
    trace_fini(&tr);
    bus_fini(&bus);
}

static void wr(unsigned reg, unsigned v)
{
    bus_port_write(&bus, (uint16_t)(0x3f8 + reg), 1, v, &attrs);
}

static unsigned rd(unsigned reg)
{
    return bus_port_read(&bus, (uint16_t)(0x3f8 + reg), 1, &attrs);
}

static void wr_gate_open(unsigned ier)
{
    wr(MCR, 0x0b); /* DTR, RTS, OUT2 */
    wr(IER, ier);
}

Test(uart16550, reset_registers_have_datasheet_values, .init = setup, .fini = teardown)
{
    /* Table "UART Reset Configuration" */
    cr_assert_eq(rd(IER), 0x00);
    cr_assert_eq(rd(IIR), 0x01);
    cr_assert_eq(rd(LCR), 0x00);
    cr_assert_eq(rd(MCR), 0x00);
    cr_assert_eq(rd(LSR), 0x60);
    cr_assert_eq(rd(MSR), 0xb0, "X0h: CTS, DSR, DCD of a ready terminal, no deltas");
    cr_assert_not(uart.irq.level);
}

Test(uart16550, write_unused_bits_read_as_zero, .init = setup, .fini = teardown)
{
    wr(IER, 0xf0);
    cr_assert_eq(rd(IER), 0);
    wr(MCR, 0xff);
    cr_assert_eq(rd(MCR), 0x1f);
    wr(MCR, 0);
    wr(SCR, 0xa5);
    cr_assert_eq(rd(SCR), 0xa5);
    wr(LSR, 0);
    cr_assert_eq(rd(LSR), 0x60);
    wr(MSR, 0);
    cr_assert_eq(rd(MSR) & 0xf0, 0xb0);
}

Test(uart16550, dlab_divisor_latches_hide_data_and_ier, .init = setup, .fini = teardown)
{
    wr(IER, 0x05);
    wr(LCR, 0x83);
    wr(DLL, 0x01);
    wr(DLM, 0x02);
    cr_assert_eq(rd(DLL), 0x01);
    cr_assert_eq(rd(DLM), 0x02);
    wr(LCR, 0x03);
    cr_assert_eq(rd(IER), 0x05);
    cr_assert_eq(nsent, 0);
    uart16550_reset(&uart);
    wr(LCR, 0x80);
    cr_assert_eq(rd(DLM), 0x02, "MR does not reset the divisor latches");
}

Test(uart16550, write_thr_character_is_out_and_thr_empty, .init = setup, .fini = teardown)
{
    wr(THR, 'h');
    wr(THR, 'i');
    cr_assert_eq(nsent, 2);
    cr_assert_arr_eq(sent, "hi", 2);
    cr_assert_eq(rd(LSR), 0x60);
}

Test(uart16550, thre_interrupt_enabling_raises_iir_read_clears, .init = setup, .fini = teardown)
{
    wr_gate_open(0x02);
    cr_assert(uart.irq.level);
    cr_assert_eq(rd(IIR), 0x02);
    cr_assert_not(uart.irq.level, "reading IIR, if it is the source, resets it");
    cr_assert_eq(rd(IIR), 0x01);
    wr(IER, 0x02);
    cr_assert_not(uart.irq.level, "already enabled: nothing new");
}

Test(uart16550, thre_interrupt_each_write_makes_an_edge, .init = setup, .fini = teardown)
{
    wr_gate_open(0x02);
    sink.n = 0;
    wr(THR, 'a'); /* IIR not read: falls as THR fills, rises as it empties */
    cr_assert_eq(sink.n, 2);
    cr_assert_not(sink.edge[0].level);
    cr_assert(sink.edge[1].level);
    cr_assert_eq(rd(IIR), 0x02);
    wr(THR, 'b');
    cr_assert(uart.irq.level);
}

Test(uart16550, out2_clear_gates_the_wire_not_iir, .init = setup, .fini = teardown)
{
    wr(IER, 0x01);
    cr_assert(uart16550_receive(&uart, 'x', 0));
    cr_assert_eq(rd(IIR), 0x04);
    cr_assert_not(uart.irq.level);
    wr(MCR, 0x08);
    cr_assert(uart.irq.level);
    wr(MCR, 0x18);
    cr_assert_not(uart.irq.level, "loopback forces the OUT2 pin inactive");
}

Test(uart16550, receive_without_fifos_holds_one_character, .init = setup, .fini = teardown)
{
    wr_gate_open(0x01);
    cr_assert(uart16550_receive(&uart, 'x', 0));
    cr_assert_not(uart16550_receive(&uart, 'y', 0));
    cr_assert(uart.irq.level);
    cr_assert_eq(rd(LSR), 0x61);
    cr_assert_eq(rd(RBR), 'x');
    cr_assert_not(uart.irq.level);
    cr_assert_eq(rd(LSR), 0x60);
    cr_assert(uart16550_receive(&uart, 'y', 0));
    cr_assert_eq(rd(RBR), 'y');
}

Test(uart16550, receive_fifo_order_and_capacity_are_kept, .init = setup, .fini = teardown)
{
    wr(FCR, 0x01);
    cr_assert_eq(rd(IIR) & 0xc0, 0xc0);
    for (unsigned i = 0; i < 5; i++) { /* move the head first */
        uart16550_receive(&uart, 0xee, 0);
        rd(RBR);
    }
    for (unsigned i = 0; i < 16; i++) {
        cr_assert(uart16550_receive(&uart, (uint8_t)i, 0));
    }
    cr_assert_not(uart16550_receive(&uart, 99, 0));
    for (unsigned i = 0; i < 16; i++) {
        cr_assert_eq(rd(RBR), i);
    }
    cr_assert_eq(rd(LSR), 0x60);
}

Test(uart16550, receive_fifo_trigger_levels_raise_rda, .init = setup, .fini = teardown)
{
    /* "FIFO Control Register", bits 7:6 */
    static const unsigned level[4] = {1, 4, 8, 14};
    wr_gate_open(0x01);
    for (unsigned t = 0; t < 4; t++) {
        wr(FCR, t << 6 | 0x03);
        for (unsigned i = 1; i <= level[t]; i++) {
            cr_assert_not(uart.irq.level);
            uart16550_receive(&uart, 'x', 0);
        }
        cr_assert(uart.irq.level);
        cr_assert_eq(rd(IIR), 0xc4);
        rd(RBR);
        cr_assert_not(uart.irq.level, "drops below the trigger level");
    }
}

Test(uart16550, character_timeout_comes_after_four_character_times, .init = setup, .fini = teardown)
{
    wr_gate_open(0x01);
    wr(LCR, 0x83);
    wr(DLL, 1); /* 115200 baud */
    wr(DLM, 0);
    wr(LCR, 0x03); /* 8N1: 10 bits */
    wr(FCR, 0xc1);
    uart16550_receive(&uart, 'x', 0);
    bus_test_run_to(&clk, 200000);
    uart16550_receive(&uart, 'y', 0); /* restarts the timer */
    /* 40 bits at 115200 baud = 347,222 ns */
    bus_test_run_to(&clk, 200000 + 347221);
    cr_assert_not(uart.irq.level);
    bus_test_run_to(&clk, 200000 + 347222);
    cr_assert(uart.irq.level);
    cr_assert_eq(rd(IIR), 0xcc);
    cr_assert_eq(rd(RBR), 'x');
    cr_assert_not(uart.irq.level, "cleared by reading one character");
    bus_test_run_to(&clk, 1000000);
    cr_assert_eq(rd(IIR), 0xcc, "and again for what is left");
    rd(RBR);
    bus_test_run_to(&clk, 3000000);
    cr_assert_eq(rd(IIR), 0xc1, "not with an empty FIFO");
}

Test(uart16550, fcr_clear_and_disable_empty_the_fifo, .init = setup, .fini = teardown)
{
    wr(FCR, 0x01);
    uart16550_receive(&uart, 'x', 0);
    wr(FCR, 0x03);
    cr_assert_eq(rd(LSR) & 1, 0);
    uart16550_receive(&uart, 'x', 0);
    wr(FCR, 0x00);
    cr_assert_eq(rd(LSR) & 1, 0);
    cr_assert_eq(rd(IIR), 0x01);
    wr(FCR,
       0xc0); /* "Bit 0 must be a 1 when other FCR bits are written to or they will not be programmed." */
    wr_gate_open(0x01);
    uart16550_receive(&uart, 'x', 0);
    cr_assert_eq(rd(IIR), 0x04);
}

Test(uart16550, loopback_data_comes_back_and_overrun_is_flagged, .init = setup, .fini = teardown)
{
    wr(MCR, 0x10);
    wr(THR, 'a');
    cr_assert_eq(nsent, 0);
    cr_assert_eq(rd(LSR), 0x61);
    cr_assert_not(uart16550_receive(&uart, 'z', 0));
    wr(THR, 'b');
    cr_assert_eq(rd(LSR), 0x63, "OE");
    cr_assert_eq(rd(LSR), 0x61, "the error bits are cleared by the read");
    cr_assert_eq(rd(RBR), 'b', "without FIFOs the first character is overwritten");
    wr(FCR, 0x01);
    for (unsigned i = 0; i < 17; i++) {
        wr(THR, i);
    }
    cr_assert_eq(rd(LSR), 0x63);
    cr_assert_eq(rd(RBR), 0, "with FIFOs the new one is lost");
}

Test(uart16550, loopback_modem_outputs_are_inputs, .init = setup, .fini = teardown)
{
    static const struct {
        unsigned mcr, msr;
    } row[] = {{0x10, 0x00}, {0x11, 0x20}, {0x12, 0x10}, {0x14, 0x40}, {0x18, 0x80}, {0x1f, 0xf0}};
    for (unsigned i = 0; i < 6; i++) {
        wr(MCR, row[i].mcr);
        cr_assert_eq(rd(MSR) & 0xf0, row[i].msr);
    }
    cr_assert_eq(rd(MSR) & 0x0f, 0, "deltas are cleared by the read");
    wr(MCR, 0x1b); /* RI falls: TERI */
    cr_assert_eq(rd(MSR), 0xb4);
    wr(MCR, 0x1f); /* RI rises: none */
    cr_assert_eq(rd(MSR), 0xf0);
    wr(MCR, 0x1d); /* RTS, so CTS, falls */
    cr_assert_eq(rd(MSR), 0xe1);
}

Test(uart16550, iir_several_pending_shows_them_in_priority_order, .init = setup, .fini = teardown)
{
    /* Table "Interrupt Control Functions": RLS, RDA, THRE, MODEM status. */
    wr(MCR, 0x10);
    rd(MSR);
    wr(MCR, 0x12);
    wr(THR, 1);
    wr(THR, 2); /* overrun */
    wr(IER, 0x0f);
    cr_assert_eq(rd(IIR), 0x06);
    rd(LSR);
    cr_assert_eq(rd(IIR), 0x04);
    rd(RBR);
    cr_assert_eq(rd(IIR), 0x02);
    cr_assert_eq(rd(IIR), 0x00);
    rd(MSR);
    cr_assert_eq(rd(IIR), 0x01);
}

Test(uart16550, port_wide_access_is_split_into_bytes, .init = setup, .fini = teardown)
{
    bus_port_write(&bus, 0x3fe, 2, 0x5a00, &attrs); /* MSR, SCR */
    cr_assert_eq(rd(SCR), 0x5a);
    cr_assert_eq(bus_port_read(&bus, 0x3fd, 1, &attrs), 0x60);
}

Test(uart16550, records_access_and_input_are_causes_of_the_wire, .init = setup, .fini = teardown)
{
    static struct bus_test_records got;
    cr_assert_eq(trace_listen(&tr, bus_test_drain, &got), 0);
    uart.irq.source = 4;
    wr_gate_open(0x01);
    uart16550_receive(&uart, 'x', 33);
    rd(RBR);
    trace_flush(&tr);
    cr_assert_eq(sink.n, 2);
    cr_assert_eq(sink.edge[0].cause, 33);
    cr_assert_eq(got.n, 1, "accesses that change nothing leave no record");
    cr_assert_eq(got.rec[0].kind, TRACE_device_access);
    cr_assert_eq(sink.edge[1].cause, got.rec[0].id);
    cr_assert_eq(got.rec[0].cause, 7);
    cr_assert_eq(got.rec[0].op[0], 4);
    cr_assert_eq(got.rec[0].op[1], 0x3f8);
    cr_assert_eq(got.rec[0].op[2], 'x');
    cr_assert_eq(got.rec[0].op[3], 0x7c12);
}

Test(uart16550, random_operations_keep_invariants, .init = setup, .fini = teardown)
{
    uint64_t seed = 0x16550;
    unsigned received = 0, raised = 0;
    for (unsigned step = 0; step < 200000; step++) {
        switch (bus_test_below(&seed, 4)) {
        case 0:
            received += uart16550_receive(&uart, (uint8_t)step, 0);
            break;
        case 1:
            rd(bus_test_below(&seed, 8));
            break;
        case 2:
            wr(bus_test_below(&seed, 8), bus_test_below(&seed, 256));
            break;
        default:
            bus_test_run_to(&clk, clk.now + bus_test_below(&seed, 1000000));
            break;
        }
        uart16550_check(&uart);
        raised += uart.irq.level;
    }
    cr_assert_gt(received, 1000);
    cr_assert_gt(raised, 1000);
}
