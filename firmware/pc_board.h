/* SPDX-License-Identifier: MIT */
/*
 * The PC's board: the chips, and who is wired to whom.
 *
 * All chips are held by value and belong to the board (a CPU is large and is allocated). Devices drive a *line* of the board: a GSI, here
 * the number of the ISA interrupt request. A line feeds an input of the 8259 pair and a pin of the IOAPIC, both; the guest decides who
 * listens. Machine thread only.
 */
#ifndef IRQSCOPE_FIRMWARE_PC_BOARD_H
#define IRQSCOPE_FIRMWARE_PC_BOARD_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/isa/debugport.h"
#include "bus/isa/isa_debug_exit.h"
#include "bus/isa/pc_ports.h"
#include "bus/isa/pit8254.h"
#include "bus/isa/rtc_mc146818.h"
#include "bus/isa/uart16550.h"
#include "bus/trace.h"
#include "cpu/cpu.h"
#include "intc/apic_fabric.h"
#include "intc/i8259.h"
#include "intc/ioapic.h"
#include "intc/lapic.h"

#define BOARD_MAX_CPUS   1
#define BOARD_GSIS       16
#define BOARD_NO_PIN     0xff
#define BOARD_UART0      0x3f8
#define BOARD_CPUID_APIC (1u << 9) /* CPUID.1:EDX */

/* Numbers of the wires, as records carry them (source); below 64, since receivers keep bitmaps of sources. Never renumbered. */
enum board_source {
    BOARD_SOURCE_NONE = 0,
    BOARD_SOURCE_PIT0 = 1,
    BOARD_SOURCE_KBD = 2,
    BOARD_SOURCE_UART0 = 3,
    BOARD_SOURCE_UART1 = 4,
    BOARD_SOURCE_RTC = 5,
    BOARD_SOURCE_MOUSE = 6,
    BOARD_SOURCE_PIC_INTR = 7, /* the 8259 pair's output, to LINT0 of the first CPU */
    BOARD_SOURCE_NMI = 8,      /* the board's NMI, to LINT1 of the first CPU */
    BOARD_SOURCE_COUNT,
};

/* One connection of a device's output. The keyboard, mouse and second serial port have wires, but nothing drives them yet. */
struct board_wire {
    uint16_t source; /* enum board_source */
    const char *name;
    uint8_t gsi;
    uint8_t pic_pin;    /* or BOARD_NO_PIN */
    uint8_t ioapic_pin; /* or BOARD_NO_PIN */
    bool active_low;    /* electrically, at the IOAPIC's pin */
};

extern const struct board_wire board_wires[];
extern const size_t board_nwires;

enum board_request_kind {
    BOARD_REQUEST_NONE,
    BOARD_REQUEST_POWER_OFF,
    BOARD_REQUEST_RESET,
    BOARD_REQUEST_DEBUG_EXIT
};

/* What the guest asked for through a port; the first request of an instruction stands. */
struct board_request {
    enum board_request_kind kind;
    uint16_t port;
    uint32_t value;
    uint64_t rip;
    cause_t cause; /* its record */
};

struct pc_board {
    struct clock clock;
    struct trace trace;
    struct bus bus;
    struct cpu *cpu[BOARD_MAX_CPUS];
    uint64_t insns_base[BOARD_MAX_CPUS]; /* added to the CPU's own count: it goes on over resets */
    unsigned ncpus;
    struct lapic lapic[BOARD_MAX_CPUS];
    struct apic_fabric fabric;
    struct ioapic ioapic;
    struct i8259 pic;
    struct pit8254 pit;
    struct rtc_mc146818 rtc;
    struct uart16550 uart0;
    struct debugport debugport;
    struct pc_ports ports;
    struct isa_debug_exit debug_exit;

    uint64_t asserters[BOARD_GSIS]; /* per line: bitmap of sources that assert it */
    uint64_t nmi_asserters;
    struct board_request request;
};

struct board_config {
    uint64_t ram_bytes;
    unsigned ncpus;
    const struct cpu_model *cpu_model;
    unsigned max_block;
    bool no_cache;
    bool debug_exit;
    uint16_t debug_exit_iobase;
    uint32_t debug_exit_iosize;
    int64_t rtc_epoch;
    const struct chardev *serial;
    const struct chardev *debug_out;
};

/* Build and wire everything; power-on state. 0 or -errno with nothing left behind. */
int board_init(struct pc_board *board, const struct board_config *config, struct error *err);
void board_fini(struct pc_board *board);
/* RESET of every chip. RAM stays. */
void board_reset(struct pc_board *board);
/*
 * Leave the chips and low memory as a PC BIOS does before it starts an operating system: LAPIC in virtual wire mode, 8259s at
 * vectors 08h and 70h, PIT channel 0 at 18.2 Hz, BIOS data area, real-mode vectors. firmware/pc_bios.c.
 */
void board_set_bios_state(struct pc_board *board);

/* irq_set_fn of the lines: opaque is the board, pin the line. */
void board_set_gsi(void *opaque, uint16_t gsi, uint16_t source, bool level, cause_t cause);
/* irq_set_fn of the board's NMI sources; passes the gate of port 70h, bit 7. pin is ignored. */
void board_set_nmi(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause);
/* "pit.ch0", "uart0"...; "unknown" for a number that is none. */
const char *board_source_name(uint16_t source);
/* Retired instructions of a CPU since power-on. */
uint64_t board_insns(const struct pc_board *board, uint16_t cpu);

/*
 * All CPUs are halted: can anything that is armed now reach one? With input: counting serial bytes that may still arrive.
 * Says true when in doubt; false is certain, so that a run may end on it.
 */
bool board_can_wake(const struct pc_board *board, bool input);

#endif
