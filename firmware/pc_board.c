/* SPDX-License-Identifier: MIT */
/*
 * The PC's board.
 *
 * Follows the IBM PC/AT Technical Reference (order no. 6280070), "System Interrupts", for the lines of the 8259 pair; the Intel
 * 82371AB (PIIX4) data sheet, order no. 290562, for the south bridge; the MultiProcessor Specification 1.4, order no. 242016, 3.6.2.2
 * "Virtual Wire Mode" for the 8259s behind LINT0, and 3.6.1 for lines that reach the 8259s and the I/O APIC alike; the ACPI
 * Specification 6.5, 5.2.12.5 "Interrupt Source Override Structure" for IRQ0 at I/O APIC pin 2.
 *
 * Modelled: 8259 pair, IOAPIC (version 11h) at FEC00000h, local APIC, PIT, RTC, COM1, ports 80h and E9h, power-off and reset ports, the NMI
 * gate of port 70h, an exit port on request; RAM everywhere below its end, also at A0000h-FFFFFh.
 * Not modelled: more than one CPU; PIRQ router and PCI; IMCR (LINT0 is the only way of the 8259s to the CPU); HPET; keyboard and mouse; display but
 * for its memory; ROM; DMA; NMI sources (nothing drives board_set_nmi() yet).
 * Deviations: NMI's gate is looked at when an NMI source changes, so opening it under an asserted source is no edge. Lines are
 * numbered as the ISA interrupt requests: the PIT is line 0 though the IOAPIC takes it at pin 2.
 */
#include "firmware/pc_board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/assert.h"
#include "bus/trace_events.h"
#include "firmware/trace_events.h"

#define IOAPIC_VERSION_82093AA 0x11
#define LINT0                  0
#define LINT1                  1

const struct board_wire board_wires[] = {
    /* source            name       gsi  8259          IOAPIC        active low */
    {BOARD_SOURCE_PIT0, "pit.ch0", 0, 0, 2, false},
    {BOARD_SOURCE_KBD, "kbd", 1, 1, 1, false},
    {BOARD_SOURCE_UART1, "uart1", 3, 3, 3, false},
    {BOARD_SOURCE_UART0, "uart0", 4, 4, 4, false},
    {BOARD_SOURCE_RTC, "rtc", 8, 8, 8, false},
    {BOARD_SOURCE_MOUSE, "mouse", 12, 12, 12, false},
};
const size_t board_nwires = irq_array_size(board_wires);

_Static_assert(BOARD_SOURCE_COUNT <= 64, "receivers keep bitmaps of sources");

static const struct board_wire *find_wire(uint16_t source)
{
    for (size_t i = 0; i < board_nwires; i++) {
        if (board_wires[i].source == source) {
            return &board_wires[i];
        }
    }
    return NULL;
}

const char *board_source_name(uint16_t source)
{
    const struct board_wire *wire = find_wire(source);
    if (wire) {
        return wire->name;
    }
    switch (source) {
    case BOARD_SOURCE_PIC_INTR:
        return "pic.intr";
    case BOARD_SOURCE_NMI:
        return "nmi";
    default:
        return "unknown";
    }
}

/* ---- lines ---- */

/* Keep the bitmap of a shared line and tell the change. Returns the record. */
static cause_t tell_line(struct pc_board *board, uint64_t *asserters, uint16_t gsi, uint16_t source,
                         bool level, cause_t cause)
{
    bool was = *asserters != 0;
    uint64_t bit = 1ull << (source & 63);
    *asserters = level ? *asserters | bit : *asserters & ~bit;
    if (was != (*asserters != 0)) {
        return trace_line(&board->trace, TRACE_CPU_NONE, cause, 0, 0, source, gsi, level,
                          *asserters);
    }
    return trace_line_join(&board->trace, TRACE_CPU_NONE, cause, 0, 0, source, gsi, level,
                           *asserters);
}

/* The connection of a line; every line has one as soon as it has a source. */
static const struct board_wire *find_gsi(uint16_t gsi)
{
    for (size_t i = 0; i < board_nwires; i++) {
        if (board_wires[i].gsi == gsi) {
            return &board_wires[i];
        }
    }
    return NULL;
}

void board_set_gsi(void *opaque, uint16_t gsi, uint16_t source, bool level, cause_t cause)
{
    struct pc_board *board = opaque;
    const struct board_wire *wire = find_gsi(gsi);
    irq_assert(gsi < BOARD_GSIS && wire);
    if ((board->asserters[gsi] >> (source & 63) & 1) == level) {
        return;
    }
    cause = tell_line(board, &board->asserters[gsi], gsi, source, level, cause);
    if (wire->pic_pin != BOARD_NO_PIN) {
        i8259_set_irq(&board->pic, wire->pic_pin, source, level, cause);
    }
    if (wire->ioapic_pin != BOARD_NO_PIN) {
        ioapic_set_irq(&board->ioapic, wire->ioapic_pin, source, level, cause);
    }
}

void board_set_nmi(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause)
{
    struct pc_board *board = opaque;
    (void)pin;
    uint64_t bit = 1ull << (source & 63);
    board->nmi_asserters = level ? board->nmi_asserters | bit : board->nmi_asserters & ~bit;
    bool out = board->nmi_asserters != 0 && !rtc_get_nmi_masked(&board->rtc);
    lapic_set_lint(&board->lapic[0], LINT1, BOARD_SOURCE_NMI, out, cause);
}

static void connect(struct pc_board *board, struct irq_line *line, uint16_t source)
{
    const struct board_wire *wire = find_wire(source);
    *line = (struct irq_line){
        .set = board_set_gsi, .opaque = board, .pin = wire->gsi, .source = source};
}

static struct intr_ack pic_ack(void *opaque, uint16_t cpu, cause_t cause)
{
    return i8259_ack(&((struct pc_board *)opaque)->pic, cpu, cause);
}

/* ---- requests of the guest ---- */

static void ask(struct pc_board *board, enum board_request_kind kind, uint16_t port, uint32_t value,
                const struct bus_attrs *attrs)
{
    if (board->request.kind != BOARD_REQUEST_NONE) {
        return;
    }
    uint16_t cpu =
        attrs->requester <= IRQ_REQ_CPU_MAX ? (uint16_t)attrs->requester : TRACE_CPU_NONE;
    cause_t cause = trace_machine_request(&board->trace, cpu, attrs->cause, 0, 0, kind, port, value,
                                          attrs->rip);
    board->request = (struct board_request){
        .kind = kind, .port = port, .value = value, .rip = attrs->rip, .cause = cause};
    for (unsigned i = 0; i < board->ncpus; i++) {
        cpu_interrupt(board->cpu[i], CPU_INTERRUPT_EXIT, cause);
    }
}

static void ask_power_off(void *opaque, uint16_t port, const struct bus_attrs *attrs)
{
    ask(opaque, BOARD_REQUEST_POWER_OFF, port, 0, attrs);
}

static void ask_reset(void *opaque, uint16_t port, const struct bus_attrs *attrs)
{
    ask(opaque, BOARD_REQUEST_RESET, port, 0, attrs);
}

static void ask_exit(void *opaque, uint32_t value, const struct bus_attrs *attrs)
{
    struct pc_board *board = opaque;
    ask(board, BOARD_REQUEST_DEBUG_EXIT, board->debug_exit.iobase, value, attrs);
}

/* ---- life ---- */

uint64_t board_insns(const struct pc_board *board, uint16_t cpu)
{
    return cpu < board->ncpus ? board->insns_base[cpu] + cpu_insns(board->cpu[cpu]) : 0;
}

static uint64_t trace_insns(void *opaque, uint16_t cpu)
{
    return board_insns(opaque, cpu);
}

/* Pentium to Pentium III speak the three-wire APIC bus. SDM Vol. 3A, 11.4.3 "Enabling or Disabling the Local APIC". */
static bool has_apic_bus(const struct cpu_model *model)
{
    static const char *const names[] = {"pentium", "pentium2", "pentium3"};
    for (size_t i = 0; i < irq_array_size(names); i++) {
        if (strcmp(model->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int add_cpu(struct pc_board *board, const struct board_config *config, struct error *err)
{
    unsigned i = board->ncpus;
    struct lapic *lapic = &board->lapic[i];
    size_t size = (sizeof(struct cpu) + 63) & ~(size_t)63;
    struct cpu *cpu = aligned_alloc(64, size);
    if (!cpu) {
        return error_set(err, -ENOMEM, "out of memory for a CPU");
    }
    memset(cpu, 0, size);
    struct cpu_config cpu_config = {
        .index = (uint16_t)i,
        .bsp = i == 0,
        .model = config->cpu_model,
        .bus = &board->bus,
        .clock = &board->clock,
        .trace = &board->trace,
        .intr = &lapic_intr_source_ops,
        .intr_opaque = lapic,
        .max_block = config->max_block,
        .no_cache = config->no_cache,
    };
    /* Before the CPU, which asks its local APIC from the start. */
    lapic_init(lapic, (uint16_t)i, i, i == 0, &board->clock, &board->trace);
    lapic->phys_bits = config->cpu_model->phys_bits;
    lapic->one_way_disable = has_apic_bus(config->cpu_model);
    int rc = cpu_init(cpu, &cpu_config);
    if (rc < 0) {
        free(cpu);
        return error_set(err, rc, "out of memory for a CPU");
    }
    lapic->sink = &cpu_intr_sink_ops;
    lapic->sink_opaque = cpu;
    apic_fabric_add_lapic(&board->fabric, lapic);
    board->cpu[i] = cpu;
    board->ncpus++;
    return 0;
}

static void init_chips(struct pc_board *board, const struct board_config *config)
{
    struct clock *clock = &board->clock;
    struct trace *trace = &board->trace;

    apic_fabric_init(&board->fabric, trace);
    board->fabric.pic_ack = pic_ack;
    board->fabric.pic_opaque = board;
    ioapic_init(&board->ioapic, 0, 0, IOAPIC_VERSION_82093AA, &board->bus, trace, clock);
    for (size_t i = 0; i < board_nwires; i++) {
        if (board_wires[i].active_low && board_wires[i].ioapic_pin != BOARD_NO_PIN) {
            board->ioapic.wire_low |= 1u << board_wires[i].ioapic_pin;
        }
    }
    apic_fabric_add_ioapic(&board->fabric, &board->ioapic);

    i8259_init(&board->pic, trace, clock);
    board->pic.out = (struct irq_line){.set = lapic_set_lint,
                                       .opaque = &board->lapic[0],
                                       .pin = LINT0,
                                       .source = BOARD_SOURCE_PIC_INTR};

    pit8254_init(&board->pit, clock, trace);
    connect(board, &board->pit.irq, BOARD_SOURCE_PIT0);
    struct rtc_config rtc = {
        .epoch = config->rtc_epoch, .ram_low = board->bus.ram_low, .ram_high = board->bus.ram_high};
    rtc_init(&board->rtc, clock, trace, &rtc);
    connect(board, &board->rtc.irq, BOARD_SOURCE_RTC);
    uart16550_init(&board->uart0, clock, trace, config->serial);
    connect(board, &board->uart0.irq, BOARD_SOURCE_UART0);
    debugport_init(&board->debugport, config->debug_out);
    struct pc_ports_callbacks callbacks = {
        .power_off = ask_power_off, .reset = ask_reset, .opaque = board};
    pc_ports_init(&board->ports, &callbacks);
    isa_debug_exit_init(&board->debug_exit, config->debug_exit_iobase, config->debug_exit_iosize,
                        ask_exit, board);
}

static int map_chips(struct pc_board *board, const struct board_config *config, struct error *err)
{
    struct bus *bus = &board->bus;
    int rc = i8259_map(&board->pic, bus, err);
    rc = rc < 0 ? rc : ioapic_map(&board->ioapic, IOAPIC_BASE, err);
    rc = rc < 0 ? rc : apic_fabric_map(&board->fabric, bus, err);
    rc = rc < 0 ? rc : pit8254_map(&board->pit, bus, err);
    rc = rc < 0 ? rc : rtc_map(&board->rtc, bus, err);
    rc = rc < 0 ? rc : uart16550_map(&board->uart0, bus, BOARD_UART0, err);
    rc = rc < 0 ? rc : debugport_map(&board->debugport, bus, err);
    rc = rc < 0 ? rc : pc_ports_map(&board->ports, bus, err);
    if (rc == 0 && config->debug_exit) {
        rc = isa_debug_exit_map(&board->debug_exit, bus, err);
    }
    return rc;
}

int board_init(struct pc_board *board, const struct board_config *config, struct error *err)
{
    memset(board, 0, sizeof(*board));
    if (config->ncpus < 1 || config->ncpus > BOARD_MAX_CPUS) {
        return error_set(err, -EINVAL, "%u CPUs: this PC has exactly one so far", config->ncpus);
    }
    clock_init(&board->clock);
    trace_init(&board->trace, &board->clock);
    int rc = bus_init(&board->bus, config->ram_bytes, err);
    if (rc < 0) {
        trace_fini(&board->trace);
        return rc;
    }
    init_chips(board, config);
    for (unsigned i = 0; i < config->ncpus && rc == 0; i++) {
        rc = add_cpu(board, config, err);
    }
    board->trace.insns = trace_insns;
    board->trace.insns_opaque = board;
    rc = rc < 0 ? rc : map_chips(board, config, err);
    if (rc < 0) {
        board_fini(board);
        return rc;
    }
    board_reset(board);
    return 0;
}

void board_fini(struct pc_board *board)
{
    trace_fini(&board->trace);
    for (unsigned i = 0; i < board->ncpus; i++) {
        cpu_fini(board->cpu[i]);
        free(board->cpu[i]);
    }
    bus_fini(&board->bus);
    memset(board, 0, sizeof(*board));
}

void board_reset(struct pc_board *board)
{
    pit8254_reset(&board->pit);
    rtc_reset(&board->rtc);
    uart16550_reset(&board->uart0);
    debugport_reset(&board->debugport);
    pc_ports_reset(&board->ports);
    i8259_reset(&board->pic);
    ioapic_reset(&board->ioapic);
    for (unsigned i = 0; i < board->ncpus; i++) {
        struct cpu *cpu = board->cpu[i];
        uint64_t insns = board_insns(board, (uint16_t)i);
        lapic_reset(&board->lapic[i], LAPIC_RESET_POWER_ON);
        if (!(cpu->model->f1_edx & BOARD_CPUID_APIC)) {
            board->lapic[i].base &= ~LAPIC_BASE_ENABLE;
        }
        cpu_reset(cpu, CPU_RESET_POWER_ON);
        board->insns_base[i] = insns - cpu_insns(cpu);
    }
    board->request = (struct board_request){0};
}
