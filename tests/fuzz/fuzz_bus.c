/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: any bytes as accesses to a PC's chips - ports, IOAPIC, local APIC, MSI window - with wires toggled, serial input,
 * interrupts acknowledged and time passing between them. No instruction runs.
 *
 * Nothing that a guest or a wire does may crash, assert or hang a chip, and every record's cause must be an earlier record. Each input
 * is a sequence of operations: one byte that chooses, and the operands it needs; missing bytes read as 0.
 *
 * Bounded: MAX_OPS operations and MAX_TIME of virtual time per input, since a local APIC's timer may be periodic at 1 ns.
 */
#include <string.h>

#include "bus/assert.h"
#include "firmware/pc_board.h"

#define MAX_OPS  2000u
#define MAX_TIME 2000000ull /* ns */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct pc_board board;
    const uint8_t *p, *end;
    uint64_t last_id;
};

static uint64_t take(struct fuzz *f, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n && f->p < f->end; i++) {
        v |= (uint64_t)*f->p++ << (8 * i);
    }
    return v;
}

static void drain(void *opaque, const struct irq_record *recs, size_t n)
{
    struct fuzz *f = opaque;
    for (size_t i = 0; i < n; i++) {
        irq_assert(recs[i].id == f->last_id + 1);
        irq_assert(recs[i].cause < recs[i].id && recs[i].ref < recs[i].id);
        f->last_id = recs[i].id;
    }
}

static struct bus_attrs attrs(const struct fuzz *f)
{
    return (struct bus_attrs){.requester = 0, .cause = f->last_id, .rip = 0x1234};
}

/* A port that some chip has, or any. */
static uint16_t take_port(struct fuzz *f)
{
    static const uint16_t base[] = {0x20, 0xa0, 0x4d0, 0x40,  0x42,  0x60,  0x70, 0x72,
                                    0x80, 0xe9, 0x92,  0x3f8, 0x3fc, 0xcf9, 0xf4, 0x604};
    unsigned b = (unsigned)take(f, 1);
    if (b & 0x80) {
        return (uint16_t)(base[b & 15] + (b >> 4 & 3));
    }
    return b & 0x40 ? (uint16_t)take(f, 2) : (uint16_t)(base[b & 15] + (b >> 4 & 1));
}

static void do_port(struct fuzz *f, bool write)
{
    struct bus_attrs a = attrs(f);
    uint16_t port = take_port(f);
    unsigned b = (unsigned)take(f, 1);
    unsigned n = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 4;
    if (write) {
        bus_port_write(&f->board.bus, port, n, (uint32_t)(n == 1 ? b : take(f, n)), &a);
    } else {
        bus_port_read(&f->board.bus, port, n, &a);
    }
}

static void do_memory(struct fuzz *f, gpa_t base, bool write)
{
    struct bus_attrs a = attrs(f);
    unsigned b = (unsigned)take(f, 1);
    gpa_t gpa = base + (b & 0x80 ? take(f, 2) & 0xfff : (gpa_t)(b & 0x7f) * 0x10);
    unsigned n = b < 0xf0 ? 4 : 1u << (b & 3);
    if (write) {
        bus_write(&f->board.bus, gpa, n, take(f, n), &a);
    } else {
        bus_read(&f->board.bus, gpa, n, &a);
    }
}

/* The redirection table, as a guest writes it: index, then data. */
static void do_ioapic_pair(struct fuzz *f)
{
    struct bus_attrs a = attrs(f);
    bus_write(&f->board.bus, IOAPIC_BASE, 4, take(f, 1) & 0x3f, &a);
    bus_write(&f->board.bus, IOAPIC_BASE + 0x10, 4, take(f, 4), &a);
}

static void do_lapic(struct fuzz *f, bool write)
{
    struct bus_attrs a = attrs(f);
    struct lapic *lapic = &f->board.lapic[0];
    unsigned b = (unsigned)take(f, 1);
    uint32_t off = b < 0xe0 ? (b & 0x3f) * 0x10 : (uint32_t)take(f, 2) & 0xfff;
    unsigned n = b < 0xf0 ? 4 : 1u << (b & 3);
    if (off + n > 0x1000) {
        n = 1;
    }
    if (write) {
        lapic_intr_source_ops.apic_write(lapic, off, n, take(f, n), &a);
    } else {
        lapic_intr_source_ops.apic_read(lapic, off, n, &a);
    }
}

static void do_msi(struct fuzz *f)
{
    struct bus_attrs a = attrs(f);
    gpa_t gpa = MSI_WINDOW_BASE + (take(f, 3) & (MSI_WINDOW_SIZE - 1));
    stl_le_phys(&f->board.bus, gpa & ~3ull, (uint32_t)take(f, 4), &a);
}

static void do_wire(struct fuzz *f)
{
    unsigned b = (unsigned)take(f, 1);
    if (b & 0x40) {
        board_set_nmi(&f->board, 0, (uint16_t)(40 + (b & 3)), b & 0x80, f->last_id);
        return;
    }
    const struct board_wire *w = &board_wires[b % board_nwires];
    /* A second source beside the device's own, as on a shared line. */
    board_set_gsi(&f->board, w->gsi, b & 0x20 ? (uint16_t)(BOARD_SOURCE_COUNT + w->gsi) : w->source,
                  b & 0x80, f->last_id);
}

static void do_time(struct fuzz *f)
{
    struct clock *clock = &f->board.clock;
    unsigned b = (unsigned)take(f, 1);
    vtime_t to = clock->now + ((vtime_t)(b & 15) + 1) * (1ull << (b >> 4));
    while (clock->next <= to) {
        if (clock->next > clock->now) {
            clock_advance(clock, clock->next);
        }
        clock_run_due(clock);
    }
    clock_advance(clock, to);
}

/* The CPU's part: fold what was posted, acknowledge what waits. */
static void do_cpu(struct fuzz *f)
{
    struct bus_attrs a = attrs(f);
    struct cpu *cpu = f->board.cpu[0];
    struct lapic *lapic = &f->board.lapic[0];
    if (cpu->interrupt_request & CPU_INTERRUPT_POLL) {
        cpu_reset_interrupt(cpu, CPU_INTERRUPT_POLL);
        lapic_intr_source_ops.fold(lapic);
    }
    if (cpu->interrupt_request & CPU_INTERRUPT_HARD) {
        lapic_intr_source_ops.ack(lapic, &a);
    }
    cpu_reset_interrupt(cpu, ~(uint32_t)CPU_INTERRUPT_HARD);
}

static void do_op(struct fuzz *f)
{
    unsigned op = (unsigned)take(f, 1);
    switch (op & 15) {
    case 0:
    case 1:
    case 2:
        do_port(f, true);
        break;
    case 3:
        do_port(f, false);
        break;
    case 4:
        do_ioapic_pair(f);
        break;
    case 5:
        do_memory(f, IOAPIC_BASE, op & 0x80);
        break;
    case 6:
        do_lapic(f, true);
        break;
    case 7:
        do_lapic(f, op & 0x80);
        break;
    case 8:
        do_msi(f);
        break;
    case 9:
    case 10:
        do_time(f);
        break;
    case 11:
        do_wire(f);
        break;
    case 12:
        do_cpu(f);
        break;
    case 13:
        uart16550_receive(&f->board.uart0, (uint8_t)take(f, 1), f->last_id);
        break;
    case 14:
        do_memory(f, take(f, 1) << 24 | (take(f, 3) & 0xffffff), op & 0x80);
        break;
    default:
        if (op & 0x80) {
            board_reset(&f->board);
        } else if (op & 0x40) {
            board_set_bios_state(&f->board);
        } else {
            board_can_wake(&f->board, op & 0x20);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chardev nowhere;
    struct fuzz f = {.p = data, .end = data + size};
    struct board_config config = {.ram_bytes = 1 << 20,
                                  .ncpus = 1,
                                  .cpu_model = cpu_model_find("qemu64"),
                                  .debug_exit = true,
                                  .debug_exit_iobase = 0xf4,
                                  .debug_exit_iosize = 4,
                                  .rtc_epoch = RTC_EPOCH_DEFAULT,
                                  .serial = &nowhere,
                                  .debug_out = &nowhere};
    struct error err;
    irq_assert(board_init(&f.board, &config, &err) == 0);
    irq_assert(trace_listen(&f.board.trace, drain, &f) == 0);
    for (unsigned i = 0; i < MAX_OPS && f.p < f.end && f.board.clock.now < MAX_TIME; i++) {
        do_op(&f);
        trace_flush(&f.board.trace);
    }
    board_fini(&f.board);
    return 0;
}
