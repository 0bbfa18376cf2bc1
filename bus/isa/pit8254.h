/* SPDX-License-Identifier: MIT */
/*
 * Interval timer: Intel 8254, with the PC's port 61h. Datasheet, deviations and what is not modelled: pit8254.c.
 * Held by value in the machine. Machine thread only.
 */
#ifndef IRQSCOPE_BUS_ISA_PIT8254_H
#define IRQSCOPE_BUS_ISA_PIT8254_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/irq.h"
#include "bus/trace.h"

#define PIT8254_HZ         1193182u
#define PIT8254_CHANNELS   3
#define PIT8254_BASE       0x40
#define PIT8254_PORT61     0x61
#define PIT8254_TICK_NEVER INT64_MAX

enum pit8254_state {
    PIT8254_IDLE,    /* control word written (or power-on), no count yet */
    PIT8254_ARMED,   /* modes 1 and 5: count written, waits for the gate to rise */
    PIT8254_RUNNING, /* a count is, or at the next CLK will be, in the counting element */
};

/* Ticks are CLK pulses since power-on: floor(ns * 1193182 / 10^9). */
struct pit8254_channel {
    uint8_t control; /* bits 5:0 of the last control word */
    uint8_t mode;    /* 0-5 */
    uint8_t rw;      /* 1 = LSB only, 2 = MSB only, 3 = LSB then MSB */
    bool bcd;
    bool gate;
    bool write_msb; /* rw 3: the next write is the MSB */
    bool read_msb;  /* rw 3: the next read is the MSB */
    uint8_t write_lsb;
    uint8_t latched_bytes; /* bytes of latch[] not yet read */
    bool status_latched;
    uint8_t status;
    uint16_t latch;

    enum pit8254_state state;
    uint32_t reload; /* count register, decoded: 1..65536 (BCD: 1..10000 for legal digits) */
    uint32_t n;      /* the count that runs now */
    int64_t start;   /* tick at which n was loaded into the counting element */
    int64_t
        reload_at; /* modes 2, 3: tick at which reload replaces n; 1, 5: a count waits for a trigger; or NEVER */
    bool fresh;      /* n was newly written: NULL COUNT until start */
    bool paused;     /* gate low stops counting */
    int64_t elapsed; /* while paused: ticks counted */
    uint32_t held;   /* what the counting element shows while nothing counts and before start */
    bool early_out;  /* OUT before start */
};

struct pit8254 {
    struct irq_line irq; /* OUT of channel 0 */
    struct clock *clock;
    struct trace *trace;
    struct pit8254_channel ch[PIT8254_CHANNELS];
    uint8_t port61;          /* bits 3:0 as written */
    struct clock_event edge; /* next change of channel 0's OUT */
    int64_t edge_tick;
    cause_t arm_cause; /* record of who programmed channel 0 */
};

void pit8254_init(struct pit8254 *p, struct clock *clock, struct trace *trace);
/* Power-on: all channels in mode 0 without a count (the datasheet leaves it undefined), gates 0 and 1 high, gate 2 low. */
void pit8254_reset(struct pit8254 *p);
/* As a PC BIOS leaves it: channel 0 mode 2, count 0 (18.2 Hz), channel 1 mode 2, count 18, channel 2 mode 3. */
void pit8254_set_bios_state(struct pit8254 *p);
/* Claim ports 40h-43h and 61h. 0 or -errno. */
int pit8254_map(struct pit8254 *p, struct bus *bus, struct error *err);
/* OUT of a channel now. Never changes state. */
bool pit8254_get_out(const struct pit8254 *p, unsigned channel);
/* Value of a channel's counting element now, 0-65535, binary. Never changes state. */
uint32_t pit8254_get_count(const struct pit8254 *p, unsigned channel);

/* Register file, off 0-3; port 61h, off 0. What the port ranges call. */
uint64_t pit8254_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs);
void pit8254_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                   const struct bus_attrs *attrs);
uint64_t pit8254_port61_read(void *opaque, uint64_t off, unsigned size,
                             const struct bus_attrs *attrs);
void pit8254_port61_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                          const struct bus_attrs *attrs);
/* Invariants; for tests and checked builds. */
void pit8254_check(const struct pit8254 *p);

#endif
