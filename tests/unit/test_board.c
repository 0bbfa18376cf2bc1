/* SPDX-License-Identifier: MIT */
/*
 * The PC's wiring, driven as devices and guests do: lines in, port and memory accesses, and what reaches the controllers and the CPU.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/trace_events.h"
#include "firmware/pc_board.h"
#include "firmware/trace_events.h"
#include "firmware/trace_kinds.h"

#define MAX_RECORDS 64

struct fixture {
    struct pc_board board;
    struct irq_record record[MAX_RECORDS];
    size_t nrecords;
};

static const struct bus_attrs guest = {.requester = 0, .rip = 0x1234};

static struct board_config config(void)
{
    return (struct board_config){.ram_bytes = 2 << 20,
                                 .ncpus = 1,
                                 .cpu_model = cpu_model_find("qemu64"),
                                 .rtc_epoch = RTC_EPOCH_DEFAULT};
}

static struct fixture *make(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct board_config c = config();
    struct error err;
    cr_assert(f && c.cpu_model);
    cr_assert_eq(board_init(&f->board, &c, &err), 0, "%s", err.text);
    return f;
}

static void drop(struct fixture *f)
{
    board_fini(&f->board);
    free(f);
}

static void keep(void *opaque, const struct irq_record *recs, size_t n)
{
    struct fixture *f = opaque;
    for (size_t i = 0; i < n && f->nrecords < MAX_RECORDS; i++) {
        f->record[f->nrecords++] = recs[i];
    }
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    bus_port_write(&f->board.bus, port, 1, value, &guest);
}

static uint8_t in(struct fixture *f, uint16_t port)
{
    return (uint8_t)bus_port_read(&f->board.bus, port, 1, &guest);
}

static void ioapic_rte(struct fixture *f, unsigned pin, uint64_t rte)
{
    for (unsigned half = 0; half < 2; half++) {
        bus_write(&f->board.bus, IOAPIC_BASE, 4, 0x10 + 2 * pin + half, &guest);
        bus_write(&f->board.bus, IOAPIC_BASE + 0x10, 4, (uint32_t)(rte >> (32 * half)), &guest);
    }
}

static void set_if(struct fixture *f, bool on)
{
    cpu_set_eflags(f->board.cpu[0], EFLAGS_ONE | (on ? EFLAGS_IF : 0));
}

Test(board, every_wire_reaches_its_pins_and_leaves_them)
{
    struct fixture *f = make();
    for (size_t i = 0; i < board_nwires; i++) {
        const struct board_wire *w = &board_wires[i];
        const struct i8259_chip *chip = &f->board.pic.chip[w->pic_pin / 8];
        uint8_t pic_bit = (uint8_t)(1u << w->pic_pin % 8);
        board_set_gsi(&f->board, w->gsi, w->source, true, 0);
        cr_expect(chip->level & pic_bit, "%s at the 8259", w->name);
        cr_expect_eq(f->board.ioapic.asserted, 1u << w->ioapic_pin, "%s at the IOAPIC", w->name);
        board_set_gsi(&f->board, w->gsi, w->source, false, 0);
        cr_expect_eq(chip->level & pic_bit, 0);
        cr_expect_eq(f->board.ioapic.asserted, 0);
    }
    drop(f);
}

/* ACPI Specification 5.2.12.5: the one override of a PC; all else is identity. */
Test(board, irq0_goes_to_ioapic_pin_2_and_all_others_to_their_own)
{
    for (size_t i = 0; i < board_nwires; i++) {
        const struct board_wire *w = &board_wires[i];
        cr_expect_eq(w->pic_pin, w->gsi);
        cr_expect_eq(w->ioapic_pin, w->gsi == 0 ? 2 : w->gsi);
        for (size_t j = 0; j < i; j++) {
            cr_expect_neq(board_wires[j].source, w->source, "sources are unique");
        }
        cr_expect_str_eq(board_source_name(w->source), w->name);
    }
    cr_expect_str_eq(board_source_name(BOARD_SOURCE_PIT0), "pit.ch0");
    cr_expect_str_eq(board_source_name(BOARD_SOURCE_PIC_INTR), "pic.intr");
    cr_expect_str_eq(board_source_name(999), "unknown");
}

Test(board, devices_drive_their_own_lines)
{
    struct fixture *f = make();
    out(f, 0x43, 0x30); /* 8254 channel 0, mode 0: OUT rises at the end of the count */
    out(f, 0x40, 2);
    out(f, 0x40, 0);
    clock_advance(&f->board.clock, 1000000);
    clock_run_due(&f->board.clock);
    cr_expect_eq(f->board.asserters[0], 1ull << BOARD_SOURCE_PIT0);
    out(f, BOARD_UART0 + 4, 0x08); /* OUT2 */
    out(f, BOARD_UART0 + 1, 0x02); /* THR is empty */
    cr_expect_eq(f->board.asserters[4], 1ull << BOARD_SOURCE_UART0);
    cr_expect_eq(f->board.ioapic.asserted, 1u << 2 | 1u << 4);
    drop(f);
}

Test(board, shared_line_falls_with_its_last_source_and_tells_who_joined)
{
    struct fixture *f = make();
    cr_assert_eq(trace_listen(&f->board.trace, keep, f), 0);
    board_set_gsi(&f->board, 4, BOARD_SOURCE_UART0, true, 0);
    board_set_gsi(&f->board, 4, BOARD_SOURCE_UART1, true, 0);
    board_set_gsi(&f->board, 4, BOARD_SOURCE_UART0, false, 0);
    cr_expect(f->board.ioapic.asserted & 1u << 4, "still asserted by the other");
    board_set_gsi(&f->board, 4, BOARD_SOURCE_UART1, false, 0);
    cr_expect_eq(f->board.ioapic.asserted, 0);
    trace_flush(&f->board.trace);
    static const uint16_t kinds[] = {TRACE_line, TRACE_line_join, TRACE_line_join, TRACE_line};
    static const uint64_t asserters[] = {1 << 3, 1 << 3 | 1 << 4, 1 << 4, 0};
    unsigned n = 0;
    for (size_t i = 0; i < f->nrecords; i++) {
        const struct irq_record *r = &f->record[i];
        if (r->kind != TRACE_line && r->kind != TRACE_line_join) {
            continue;
        }
        cr_assert_lt(n, 4);
        cr_expect_eq(r->kind, kinds[n]);
        cr_expect_eq(r->op[1], 4, "gsi");
        cr_expect_eq(r->op[3], asserters[n]);
        n++;
    }
    cr_expect_eq(n, 4);
    drop(f);
}

Test(board, controllers_name_the_line_record_as_their_cause)
{
    struct fixture *f = make();
    board_set_bios_state(&f->board);
    cr_assert_eq(trace_listen(&f->board.trace, keep, f), 0);
    board_set_gsi(&f->board, 1, BOARD_SOURCE_KBD, true, 0);
    trace_flush(&f->board.trace);
    cr_assert_geq(f->nrecords, 2);
    cr_assert_eq(f->record[0].kind, TRACE_line);
    cr_expect_eq(f->record[1].cause, f->record[0].id);
    drop(f);
}

/* What a BIOS leaves: 8259s at 08h and 70h behind LINT0 as ExtINT. */
Test(board, bios_state_takes_an_isa_interrupt_to_the_cpu)
{
    struct fixture *f = make();
    board_set_bios_state(&f->board);
    cr_expect_eq(in(f, 0x21), 0xb8);
    cr_expect_eq(in(f, 0xa1), 0x8e);
    struct lapic *lapic = &f->board.lapic[0];
    cr_expect_eq(lapic->regs[LAPIC_REG_SVR / 4], 0x1ff);
    cr_expect_eq(lapic->regs[LAPIC_REG_LVT_LINT0 / 4] & 0x1ffff, 0x8700 & 0x1ffff);
    board_set_gsi(&f->board, 1, BOARD_SOURCE_KBD, true, 0);
    cr_expect(f->board.cpu[0]->interrupt_request & CPU_INTERRUPT_HARD);
    struct intr_ack ack = lapic_intr_source_ops.ack(lapic, &guest);
    cr_expect_eq(ack.vector, 0x09);
    cr_expect_eq(ack.source, INTR_ACK_PIC);
    out(f, 0x20, 0x20);
    board_set_gsi(&f->board, 8, BOARD_SOURCE_RTC, true, 0);
    ack = lapic_intr_source_ops.ack(lapic, &guest);
    cr_expect_eq(ack.vector, 0x70);
    cr_expect_neq(f->board.pit.ch[0].state, PIT8254_IDLE, "the BIOS timer runs");
    drop(f);
}

/* An edge of the timer's start must not greet the kernel: a BIOS has served it long ago. */
Test(board, bios_state_has_no_request_pending)
{
    struct fixture *f = make();
    board_set_bios_state(&f->board);
    cr_expect_eq(f->board.pic.chip[0].irr, 0);
    cr_expect_eq(f->board.pic.chip[1].irr, 0);
    cr_expect_eq(f->board.cpu[0]->interrupt_request, 0);
    drop(f);
}

Test(board, ioapic_message_reaches_the_local_apic_through_the_bus)
{
    struct fixture *f = make();
    board_set_bios_state(&f->board);
    out(f, 0x21, 0xff);
    ioapic_rte(f, 2, 0x40);                                   /* fixed, physical, CPU 0, edge */
    board_set_gsi(&f->board, 0, BOARD_SOURCE_PIT0, false, 0); /* the BIOS left it high */
    board_set_gsi(&f->board, 0, BOARD_SOURCE_PIT0, true, 0);
    lapic_fold(&f->board.lapic[0]);
    cr_expect(f->board.cpu[0]->interrupt_request & CPU_INTERRUPT_HARD);
    cr_expect_eq(lapic_intr_source_ops.ack(&f->board.lapic[0], &guest).vector, 0x40);
    drop(f);
}

Test(board, nmi_passes_only_the_open_gate_of_port_70h)
{
    struct fixture *f = make();
    board_set_bios_state(&f->board);
    out(f, 0x70, 0x80);
    board_set_nmi(&f->board, 0, BOARD_SOURCE_NMI, true, 0);
    lapic_fold(&f->board.lapic[0]);
    cr_expect_eq(f->board.cpu[0]->interrupt_request & CPU_INTERRUPT_NMI, 0);
    board_set_nmi(&f->board, 0, BOARD_SOURCE_NMI, false, 0);
    out(f, 0x70, 0x00);
    board_set_nmi(&f->board, 0, BOARD_SOURCE_NMI, true, 0);
    lapic_fold(&f->board.lapic[0]);
    cr_expect(f->board.cpu[0]->interrupt_request & CPU_INTERRUPT_NMI);
    drop(f);
}

Test(board, first_request_of_the_guest_stands_and_stops_the_cpu)
{
    struct fixture *f = make();
    bus_port_write(&f->board.bus, 0x604, 2, 0x2000, &guest);
    out(f, 0xcf9, 0x06);
    cr_expect_eq(f->board.request.kind, BOARD_REQUEST_POWER_OFF);
    cr_expect_eq(f->board.request.port, 0x604);
    cr_expect_eq(f->board.request.rip, 0x1234);
    cr_expect(f->board.cpu[0]->interrupt_request & CPU_INTERRUPT_EXIT);
    board_reset(&f->board);
    cr_expect_eq(f->board.request.kind, BOARD_REQUEST_NONE);
    out(f, 0xcf9, 0x06);
    cr_expect_eq(f->board.request.kind, BOARD_REQUEST_RESET);
    drop(f);
}

Test(board, exit_port_exists_only_on_request_and_never_over_another)
{
    struct fixture *f = make();
    out(f, 0xf4, 0x10);
    cr_expect_eq(f->board.request.kind, BOARD_REQUEST_NONE);
    cr_expect_eq(in(f, 0xf4), 0xff, "nobody there");
    board_fini(&f->board);
    struct board_config c = config();
    struct error err;
    c.debug_exit = true;
    c.debug_exit_iobase = 0xf4;
    c.debug_exit_iosize = 4;
    cr_assert_eq(board_init(&f->board, &c, &err), 0, "%s", err.text);
    out(f, 0xf4, 0x10);
    cr_expect_eq(f->board.request.kind, BOARD_REQUEST_DEBUG_EXIT);
    cr_expect_eq(f->board.request.value, 0x10);
    board_fini(&f->board);
    c.debug_exit_iobase = 0x20;
    cr_expect_eq(board_init(&f->board, &c, &err), -EINVAL);
    c.debug_exit = false;
    c.ncpus = 2;
    cr_expect_eq(board_init(&f->board, &c, &err), -EINVAL);
    free(f);
}

/* ---- "halted for ever" ---- */

static struct fixture *make_idle(void)
{
    struct fixture *f = make();
    board_set_bios_state(&f->board);
    set_if(f, true);
    return f;
}

Test(wake, timer_wakes_through_an_open_pic_only)
{
    struct fixture *f = make_idle();
    cr_expect(board_can_wake(&f->board, false));
    set_if(f, false);
    cr_expect_not(board_can_wake(&f->board, false), "IF=0");
    set_if(f, true);
    out(f, 0x21, 0xff);
    cr_expect_not(board_can_wake(&f->board, false), "masked at the 8259");
    out(f, 0x21, 0xfe);
    cr_expect(board_can_wake(&f->board, false));
    lapic_write(&f->board.lapic[0], LAPIC_REG_LVT_LINT0, 4, 0x10700, &guest);
    cr_expect_not(board_can_wake(&f->board, false), "LINT0 masked");
    lapic_write(&f->board.lapic[0], LAPIC_REG_LVT_LINT0, 4, 0x0700, &guest);
    out(f, 0x43, 0x30); /* control word without a count: nothing runs */
    cr_expect_not(board_can_wake(&f->board, false), "the PIT is idle");
    drop(f);
}

Test(wake, interrupt_in_service_closes_the_pic)
{
    struct fixture *f = make_idle();
    board_set_gsi(&f->board, 1, BOARD_SOURCE_KBD, true, 0);
    out(f, 0x21, 0xfc);
    cr_assert_eq(lapic_intr_source_ops.ack(&f->board.lapic[0], &guest).vector, 9);
    cr_expect(board_can_wake(&f->board, false), "IRQ0 is above IRQ1");
    board_set_gsi(&f->board, 0, BOARD_SOURCE_PIT0, false, 0);
    board_set_gsi(&f->board, 0, BOARD_SOURCE_PIT0, true, 0);
    cr_assert_eq(lapic_intr_source_ops.ack(&f->board.lapic[0], &guest).vector, 8);
    cr_expect_not(board_can_wake(&f->board, false), "nobody can write the EOI");
    drop(f);
}

Test(wake, timer_wakes_through_the_ioapic)
{
    struct fixture *f = make_idle();
    out(f, 0x21, 0xff);
    ioapic_rte(f, 2, 0x40);
    cr_expect(board_can_wake(&f->board, false));
    ioapic_rte(f, 2, 0x40 | 7ull << 56);
    cr_expect_not(board_can_wake(&f->board, false), "no such CPU");
    ioapic_rte(f, 2, 0x40);
    lapic_write(&f->board.lapic[0], LAPIC_REG_TPR, 4, 0x40, &guest);
    cr_expect_not(board_can_wake(&f->board, false), "vector 40h does not pass TPR 40h");
    lapic_write(&f->board.lapic[0], LAPIC_REG_TPR, 4, 0, &guest);
    set_if(f, false);
    cr_expect_not(board_can_wake(&f->board, false));
    ioapic_rte(f, 2, 0x400);
    cr_expect(board_can_wake(&f->board, false), "an NMI needs no IF");
    drop(f);
}

Test(wake, rtc_lapic_timer_and_serial_input_wake)
{
    struct fixture *f = make_idle();
    out(f, 0x21, 0xfb); /* cascade only */
    out(f, 0xa1, 0xfe);
    cr_expect_not(board_can_wake(&f->board, true));
    out(f, 0x70, 0x0b);
    out(f, 0x71, 0x42); /* PIE */
    cr_expect(board_can_wake(&f->board, false), "RTC");
    out(f, 0x70, 0x0b);
    out(f, 0x71, 0x02);
    cr_expect_not(board_can_wake(&f->board, true));

    out(f, BOARD_UART0 + 4, 0x08);
    out(f, BOARD_UART0 + 1, 0x01);
    out(f, 0x21, 0xeb);
    cr_expect(board_can_wake(&f->board, true), "serial input");
    cr_expect_not(board_can_wake(&f->board, false), "there is no input");

    lapic_write(&f->board.lapic[0], LAPIC_REG_LVT_TIMER, 4, 0x10050, &guest);
    lapic_write(&f->board.lapic[0], LAPIC_REG_TMICT, 4, 1000, &guest);
    cr_expect_not(board_can_wake(&f->board, false), "LAPIC timer masked");
    lapic_write(&f->board.lapic[0], LAPIC_REG_LVT_TIMER, 4, 0x50, &guest);
    cr_expect(board_can_wake(&f->board, false), "LAPIC timer");
    drop(f);
}

Test(board, two_boards_in_one_process_are_independent)
{
    struct fixture *a = make(), *b = make();
    board_set_gsi(&a->board, 4, BOARD_SOURCE_UART0, true, 0);
    bus_port_write(&a->board.bus, 0x604, 2, 0x2000, &guest);
    cr_expect_eq(b->board.ioapic.asserted, 0);
    cr_expect_eq(b->board.request.kind, BOARD_REQUEST_NONE);
    drop(a);
    drop(b);
}

Test(trace_kinds, every_kind_of_every_folder_is_found_by_its_number)
{
    unsigned n = 0;
    for (unsigned kind = 0; kind < TRACE_FOLDERS * TRACE_KINDS_PER_FOLDER; kind++) {
        const struct trace_desc *d = trace_desc_find((uint16_t)kind);
        if (d) {
            cr_expect_eq(d->kind, kind);
            n++;
        }
    }
    cr_expect_gt(n, firmware_trace_ndescs);
    cr_expect_str_eq(trace_desc_find(TRACE_line)->name, "line");
    cr_expect_str_eq(trace_desc_find(TRACE_machine_start)->title, "start");
    cr_expect_null(trace_desc_find(TRACE_firmware_end));
    cr_expect_null(trace_desc_find(0xffff));
}
