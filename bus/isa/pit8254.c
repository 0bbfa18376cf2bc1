/* SPDX-License-Identifier: MIT */
/*
 * Interval timer: Intel 8254, "8254 Programmable Interval Timer", order no. 231164, and port 61h of the PC/AT. Section titles below
 * are that datasheet's.
 *
 * Modelled: three channels, modes 0-5, binary and BCD, all access modes, counter latch and read-back commands, gate of channel 2,
 * counts and outputs derived from the clock: a count is loaded one CLK after it was written, as the datasheet says, and edges
 * of OUT0 are events at the exact nanosecond at which virtual time reaches their CLK. Port 61h: gate 2, speaker data, refresh
 * toggle, OUT2.
 *
 * Not modelled: the speaker's sound, parity and I/O channel check (61h bits 7:6 read 0, 3:2 are stored), gates 0 and 1
 * (tied high in a PC), writes of one byte of a two-byte count followed by a read of the half-written count.
 *
 * Deviations:
 * - CLK is 1,193,182 Hz exactly (a PC's is 14.31818 MHz / 12).
 * - A count of 1 in modes 2 and 3, which the datasheet forbids, counts as 2.
 * - The counting element is not stepped while a mode waits for a count or a trigger; it shows its last value.
 * - A strobe (modes 4, 5) that the gate interrupts ends at once.
 * - The refresh toggle of port 61h changes every 18 CLKs whatever channel 1 is programmed to.
 */
#include "bus/isa/pit8254.h"

#include "bus/assert.h"
#include "bus/isa/isa_access.h"

#include <string.h>

#define NS_PER_S          1000000000u
#define REFRESH_TICKS     18

#define CONTROL_BCD       0x01u
#define STATUS_OUT        0x80u
#define STATUS_NULL_COUNT 0x40u
#define PORT61_GATE2      0x01u
#define PORT61_WRITABLE   0x0fu
#define PORT61_REFRESH    0x10u
#define PORT61_OUT2       0x20u

static int64_t tick_at(vtime_t ns)
{
    return (int64_t)clock_muldiv(ns, PIT8254_HZ, NS_PER_S);
}

/* The first nanosecond at which tick_at() gives tick. */
static vtime_t tick_time(int64_t tick)
{
    if (tick <= 0) {
        return 0;
    }
    vtime_t ns = clock_muldiv((uint64_t)tick, NS_PER_S, PIT8254_HZ);
    return tick_at(ns) < tick ? ns + 1 : ns;
}

static bool is_periodic(const struct pit8254_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

static bool is_triggered(const struct pit8254_channel *c)
{
    return c->mode == 1 || c->mode == 5;
}

static int64_t count_modulus(const struct pit8254_channel *c)
{
    return c->bcd ? 10000 : 65536;
}

/* Mode 3: CLKs for which OUT is high; (N + 1) / 2 for odd counts, "Mode 3: Square Wave Mode". */
static int64_t high_ticks(const struct pit8254_channel *c)
{
    return ((int64_t)c->n + 1) / 2;
}

/* CLKs since the count was loaded; negative while it waits for its first CLK. */
static int64_t elapsed_at(const struct pit8254_channel *c, int64_t tick)
{
    return c->paused && tick >= c->start ? c->elapsed : tick - c->start;
}

/* ---- what a channel shows at a tick that it was synced to ---- */

static bool out_at(const struct pit8254_channel *c, int64_t tick)
{
    if (c->state != PIT8254_RUNNING) {
        return c->mode != 0;
    }
    if (c->paused && is_periodic(c)) {
        return true; /* "If GATE goes low during an output pulse, output is set high immediately" */
    }
    int64_t e = elapsed_at(c, tick);
    if (e < 0) {
        return c->early_out;
    }
    switch (c->mode) {
    case 0:
    case 1:
        return e >= c->n;
    case 2:
        return e % c->n != (int64_t)c->n - 1;
    case 3:
        return e % c->n < high_ticks(c);
    default: /* 4, 5 */
        return e != c->n;
    }
}

static uint32_t count_at(const struct pit8254_channel *c, int64_t tick)
{
    int64_t e = c->state == PIT8254_RUNNING ? elapsed_at(c, tick) : -1;
    if (e < 0) {
        return c->held;
    }
    int64_t n = c->n;
    int64_t count;
    if (c->mode == 2) {
        count = n - e % n;
    } else if (c->mode == 3) {
        /* Counts down by two in each half; odd counts are loaded as N - 1. */
        int64_t in_half = e % n;
        if (in_half >= high_ticks(c)) {
            in_half -= high_ticks(c);
        }
        count = (n & ~1ll) - 2 * in_half;
    } else {
        count = n - e % count_modulus(c);
    }
    int64_t m = count_modulus(c);
    return (uint32_t)((count % m + m) % m);
}

/* NULL COUNT: the count register holds a count that the counting element has not got yet, "Read-Back Command". */
static bool null_count(const struct pit8254_channel *c, int64_t tick)
{
    return c->state != PIT8254_RUNNING || (c->fresh && tick < c->start) ||
           c->reload_at != PIT8254_TICK_NEVER;
}

/* Next tick after `tick` at which OUT changes, as long as nobody writes; PIT8254_TICK_NEVER if none. */
static int64_t next_edge(const struct pit8254_channel *c, int64_t tick)
{
    if (c->state != PIT8254_RUNNING || c->paused) {
        return PIT8254_TICK_NEVER;
    }
    int64_t n = c->n;
    int64_t e = tick - c->start;
    int64_t from = e < 0 ? 0 : e;
    switch (c->mode) {
    case 0:
        return e < n ? c->start + n : PIT8254_TICK_NEVER;
    case 1:
        if (e < 0 && c->early_out) {
            return c->start;
        }
        return e < n ? c->start + n : PIT8254_TICK_NEVER;
    case 2:
    case 3: {
        if (e < 0 && out_at(c, c->start) != c->early_out) {
            return c->start;
        }
        int64_t base = c->start + from / n * n;
        int64_t low_from = c->mode == 2 ? n - 1 : high_ticks(c);
        return base + (from % n < low_from ? low_from : n);
    }
    default: /* 4, 5 */
        if (e < 0 && !c->early_out) {
            return c->start;
        }
        if (e < n) {
            return c->start + n;
        }
        return e == n ? c->start + n + 1 : PIT8254_TICK_NEVER;
    }
}

/* ---- state changes ---- */

/* A count of 1 is illegal in modes 2 and 3. */
static uint32_t usable_count(const struct pit8254_channel *c, uint32_t count)
{
    return is_periodic(c) && count < 2 ? 2 : count;
}

/* Let a pending count take over whose time has come. */
static void sync_channel(struct pit8254_channel *c, int64_t tick)
{
    if (!is_periodic(c) || c->paused || tick < c->reload_at) {
        return;
    }
    bool low_half = c->mode == 3 && (c->reload_at - c->start) % c->n == high_ticks(c);
    c->n = usable_count(c, c->reload);
    c->start = c->reload_at - (low_half ? high_ticks(c) : 0);
    c->reload_at = PIT8254_TICK_NEVER;
}

/* The count register goes to the counting element at the next CLK. */
static void load_count(struct pit8254_channel *c, int64_t tick, bool early_out)
{
    c->fresh = null_count(c, tick);
    c->held = count_at(c, tick);
    c->early_out = early_out;
    c->n = usable_count(c, c->reload);
    c->start = tick + 1;
    c->elapsed = 0;
    c->reload_at = PIT8254_TICK_NEVER;
    c->state = PIT8254_RUNNING;
}

static void write_count(struct pit8254_channel *c, uint16_t raw, int64_t tick)
{
    uint32_t count = raw;
    if (c->bcd) {
        count =
            (raw >> 12) * 1000u + (raw >> 8 & 15u) * 100u + (raw >> 4 & 15u) * 10u + (raw & 15u);
    }
    c->reload = count ? count : (uint32_t)count_modulus(c);
    if (is_triggered(c)) {
        /* "The current count is not affected unless the counter is retriggered." */
        if (c->state == PIT8254_RUNNING && tick < c->start) {
            c->n = c->reload; /* triggered, and not yet loaded */
            c->fresh = true;
        } else if (c->state == PIT8254_RUNNING) {
            c->reload_at = tick;
        } else {
            c->state = PIT8254_ARMED;
        }
    } else if (is_periodic(c) && c->state == PIT8254_RUNNING && tick >= c->start) {
        int64_t e = (tick - c->start) % c->n;
        int64_t half = c->mode == 3 && e < high_ticks(c) ? high_ticks(c) : c->n;
        c->reload_at = tick - e + half;
    } else {
        load_count(c, tick, c->mode != 0 && out_at(c, tick));
        c->fresh = true;
        c->paused = !c->gate;
    }
}

static void write_control(struct pit8254_channel *c, uint8_t control, int64_t tick)
{
    c->held = count_at(c, tick);
    c->control = control & 0x3f;
    c->rw = control >> 4 & 3;
    c->mode = control >> 1 & 7;
    if (c->mode > 5) {
        c->mode &= 3; /* "X10" and "X11" */
    }
    c->bcd = control & CONTROL_BCD;
    c->write_msb = false;
    c->read_msb = false;
    c->latched_bytes = 0;
    c->status_latched = false;
    c->state = PIT8254_IDLE;
    c->reload_at = PIT8254_TICK_NEVER;
    c->paused = false;
    c->elapsed = 0;
}

static void set_gate(struct pit8254_channel *c, bool gate, int64_t tick)
{
    if (gate == c->gate) {
        return;
    }
    if (gate) {
        c->gate = true;
        if (is_triggered(c)) {
            if (c->state != PIT8254_IDLE) {
                load_count(c, tick, out_at(c, tick));
            }
        } else if (c->state == PIT8254_RUNNING && c->paused) {
            if (is_periodic(c)) {
                load_count(c, tick, true);
            } else {
                /* A count written a moment ago still waits for its CLK. */
                c->start = tick < c->start ? c->start : tick - c->elapsed;
            }
            c->paused = false;
        }
        return;
    }
    c->gate = false;
    if (c->state == PIT8254_RUNNING && !is_triggered(c)) {
        int64_t e = elapsed_at(c, tick);
        c->elapsed = e < 0 ? 0 : e;
        if (c->mode == 4 && c->elapsed == c->n) {
            c->elapsed++;
        }
        c->paused = true;
    }
}

/* ---- reads ---- */

static uint16_t encode_count(const struct pit8254_channel *c, uint32_t count)
{
    if (!c->bcd) {
        return (uint16_t)count;
    }
    return (uint16_t)((count / 1000 % 10) << 12 | (count / 100 % 10) << 8 | (count / 10 % 10) << 4 |
                      count % 10);
}

/* "Multiple commands ... only the first is recognised": a latched value stays until it is read. */
static void latch_count(struct pit8254_channel *c, int64_t tick)
{
    if (c->latched_bytes == 0) {
        c->latch = encode_count(c, count_at(c, tick));
        c->latched_bytes = c->rw == 3 ? 2 : 1;
    }
}

static void latch_status(struct pit8254_channel *c, int64_t tick)
{
    if (!c->status_latched) {
        c->status = (uint8_t)(c->control | (out_at(c, tick) ? STATUS_OUT : 0) |
                              (null_count(c, tick) ? STATUS_NULL_COUNT : 0));
        c->status_latched = true;
    }
}

static uint8_t read_channel(struct pit8254_channel *c, int64_t tick)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t value = c->latched_bytes ? c->latch : encode_count(c, count_at(c, tick));
    if (c->latched_bytes) {
        c->latched_bytes--;
    }
    bool msb = c->rw == 2 || (c->rw == 3 && c->read_msb);
    if (c->rw == 3) {
        c->read_msb = !c->read_msb;
    }
    return (uint8_t)(msb ? value >> 8 : value);
}

/* Returns whether the count is complete now. */
static bool write_channel(struct pit8254_channel *c, uint8_t value, int64_t tick)
{
    switch (c->rw) {
    case 1:
        write_count(c, value, tick);
        return true;
    case 2:
        write_count(c, (uint16_t)(value << 8), tick);
        return true;
    case 3:
        c->write_msb = !c->write_msb;
        if (!c->write_msb) {
            write_count(c, (uint16_t)(value << 8 | c->write_lsb), tick);
            return true;
        }
        c->write_lsb = value;
        if (c->mode == 0) {
            /* "Writing the first byte disables counting. OUT is set low immediately". */
            c->held = count_at(c, tick);
            c->state = PIT8254_IDLE;
        }
        return false;
    default: /* no control word yet */
        return false;
    }
}

/* ---- channel 0's wire ---- */

/* Drive the wire with OUT0 at tick and set the event for its next edge. */
static void pit8254_update(struct pit8254 *p, int64_t tick, cause_t cause,
                           const struct isa_access *access)
{
    struct pit8254_channel *c = &p->ch[0];
    sync_channel(c, tick);
    isa_drive_line(&p->irq, out_at(c, tick), p->trace, cause, access);
    /* A count that waits takes over at an edge of the old one, so the old one's next edge is right. */
    int64_t edge = next_edge(c, tick);
    if (edge != p->edge_tick) {
        p->edge_tick = edge;
        clock_arm(p->clock, &p->edge, edge == PIT8254_TICK_NEVER ? VTIME_NEVER : tick_time(edge));
    }
#ifdef IRQ_CHECKS
    pit8254_check(p);
#endif
}

static void edge_reached(void *opaque, vtime_t deadline)
{
    struct pit8254 *p = opaque;
    int64_t tick = p->edge_tick;
    p->edge_tick = PIT8254_TICK_NEVER;
    sync_channel(&p->ch[0], tick);
    cause_t cause = p->arm_cause;
    if (out_at(&p->ch[0], tick) && !p->irq.level) {
        cause = trace_timer_expire(p->trace, TRACE_CPU_NONE, cause, 0, 0, p->irq.source, deadline);
    }
    pit8254_update(p, tick, cause, NULL);
}

/* Tick of now, all earlier edges done and all channels synced. */
static int64_t sync_all(struct pit8254 *p)
{
    while (clock_event_armed(&p->edge) && p->edge.deadline <= p->clock->now) {
        vtime_t deadline = p->edge.deadline;
        clock_disarm(p->clock, &p->edge);
        edge_reached(p, deadline);
    }
    int64_t tick = tick_at(p->clock->now);
    for (unsigned i = 0; i < PIT8254_CHANNELS; i++) {
        sync_channel(&p->ch[i], tick);
    }
    return tick;
}

/* ---- ports ---- */

uint64_t pit8254_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    struct pit8254 *p = opaque;
    (void)size, (void)attrs;
    if (off >= PIT8254_CHANNELS) {
        return 0xff; /* "Read Operations Summary": the control word register cannot be read, data bus floats */
    }
    int64_t tick = sync_all(p);
    return read_channel(&p->ch[off], tick);
}

static void write_read_back(struct pit8254 *p, uint8_t value, int64_t tick)
{
    for (unsigned i = 0; i < PIT8254_CHANNELS; i++) {
        if (!(value & (2u << i))) {
            continue;
        }
        if (!(value & 0x20)) {
            latch_count(&p->ch[i], tick);
        }
        if (!(value & 0x10)) {
            latch_status(&p->ch[i], tick);
        }
    }
}

void pit8254_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                   const struct bus_attrs *attrs)
{
    struct pit8254 *p = opaque;
    (void)size;
    uint8_t v = (uint8_t)value;
    int64_t tick = sync_all(p);
    unsigned i = (unsigned)off;
    bool armed = false;
    if (i < PIT8254_CHANNELS) {
        armed = write_channel(&p->ch[i], v, tick);
    } else {
        i = v >> 6;
        if (i == 3) {
            write_read_back(p, v, tick);
        } else if ((v & 0x30) == 0) {
            latch_count(&p->ch[i], tick);
        } else {
            write_control(&p->ch[i], v, tick);
        }
    }
    struct isa_access access = {(uint16_t)(PIT8254_BASE + off), v, attrs};
    pit8254_update(p, tick, attrs->cause, &access);
    if (armed && i == 0) {
        p->arm_cause = trace_timer_arm(p->trace, isa_access_cpu(attrs), attrs->cause, 0, 0,
                                       p->irq.source, p->edge.deadline);
    }
}

uint64_t pit8254_port61_read(void *opaque, uint64_t off, unsigned size,
                             const struct bus_attrs *attrs)
{
    struct pit8254 *p = opaque;
    (void)off, (void)size, (void)attrs;
    int64_t tick = sync_all(p);
    return p->port61 | (tick / REFRESH_TICKS % 2 ? PORT61_REFRESH : 0) |
           (out_at(&p->ch[2], tick) ? PORT61_OUT2 : 0);
}

void pit8254_port61_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                          const struct bus_attrs *attrs)
{
    struct pit8254 *p = opaque;
    (void)off, (void)size, (void)attrs;
    int64_t tick = sync_all(p);
    p->port61 = value & PORT61_WRITABLE;
    set_gate(&p->ch[2], p->port61 & PORT61_GATE2, tick);
    pit8254_update(p, tick, 0, NULL);
}

bool pit8254_get_out(const struct pit8254 *p, unsigned channel)
{
    struct pit8254_channel c = p->ch[channel];
    int64_t tick = tick_at(p->clock->now);
    sync_channel(&c, tick);
    return out_at(&c, tick);
}

uint32_t pit8254_get_count(const struct pit8254 *p, unsigned channel)
{
    struct pit8254_channel c = p->ch[channel];
    int64_t tick = tick_at(p->clock->now);
    sync_channel(&c, tick);
    return count_at(&c, tick);
}

/* ---- set-up ---- */

void pit8254_init(struct pit8254 *p, struct clock *clock, struct trace *trace)
{
    *p = (struct pit8254){.clock = clock, .trace = trace};
    clock_event_init(&p->edge, "pit8254.out0", edge_reached, p);
    pit8254_reset(p);
}

void pit8254_reset(struct pit8254 *p)
{
    memset(p->ch, 0, sizeof(p->ch));
    for (unsigned i = 0; i < PIT8254_CHANNELS; i++) {
        p->ch[i].reload_at = PIT8254_TICK_NEVER;
        p->ch[i].gate = i != 2;
    }
    p->port61 = 0;
    p->arm_cause = 0;
    clock_disarm(p->clock, &p->edge);
    p->edge_tick = PIT8254_TICK_NEVER;
    pit8254_update(p, tick_at(p->clock->now), 0, NULL);
}

void pit8254_set_bios_state(struct pit8254 *p)
{
    int64_t tick = sync_all(p);
    write_control(&p->ch[0], 0x34, tick);
    write_count(&p->ch[0], 0, tick);
    write_control(&p->ch[1], 0x54, tick);
    write_count(&p->ch[1], REFRESH_TICKS, tick);
    write_control(&p->ch[2], 0xb6, tick);
    write_count(&p->ch[2], 1331, tick); /* 896 Hz, the PC's beep */
    pit8254_update(p, tick, 0, NULL);
}

int pit8254_map(struct pit8254 *p, struct bus *bus, struct error *err)
{
    const struct mmio_dev pit = {
        .name = "pit8254",
        .read = pit8254_read,
        .write = pit8254_write,
        .opaque = p,
        .min_size = 1,
        .max_size = 1,
    };
    const struct mmio_dev port61 = {
        .name = "port61",
        .read = pit8254_port61_read,
        .write = pit8254_port61_write,
        .opaque = p,
        .min_size = 1,
        .max_size = 1,
    };
    int rc = bus_map_ports(bus, PIT8254_BASE, 4, &pit, err);
    return rc < 0 ? rc : bus_map_ports(bus, PIT8254_PORT61, 1, &port61, err);
}

void pit8254_check(const struct pit8254 *p)
{
    for (unsigned i = 0; i < PIT8254_CHANNELS; i++) {
        const struct pit8254_channel *c = &p->ch[i];
        irq_assert(c->mode <= 5 && c->rw <= 3 && c->latched_bytes <= 2);
        irq_assert(c->state != PIT8254_RUNNING || c->n > 0);
        irq_assert(c->reload_at == PIT8254_TICK_NEVER || is_periodic(c) || is_triggered(c));
        irq_assert(c->state != PIT8254_RUNNING || is_triggered(c) || c->paused == !c->gate);
    }
    irq_assert(clock_event_armed(&p->edge) == (p->edge_tick != PIT8254_TICK_NEVER));
}
