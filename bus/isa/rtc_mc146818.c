/* SPDX-License-Identifier: MIT */
/*
 * Real-time clock and CMOS memory: Motorola MC146818A, "Real-Time Clock plus RAM (RTC)", data sheet ADI-856-R2, 1984, in a
 * PC/AT at ports 70h and 71h with 128 bytes. Section titles below are that data sheet's.
 *
 * Modelled: time, calendar and century (32h) from virtual time; BCD and binary, 12 and 24 hours; SET; divider reset; UIP;
 * periodic, alarm and update-ended interrupts with the read-to-clear flags of register C; bit 7 of port 70h (NMI gate, kept for
 * the board); the PC's memory size bytes and checksum. The flags are derived on access; an event is armed only for a moment at which
 * the interrupt line would rise.
 *
 * Not modelled: daylight saving (DSE is stored), square wave output (SQWE is stored), power fail (VRT is always 1), standby.
 *
 * Deviations:
 * - Writing a date while the clock runs, or values that are no date, gives the date that they add up to.
 * - The day of the week always follows the date; a written one is kept only until SET falls.
 * - Every time base but divider reset (DV = 11x) counts as that of a 32,768 Hz crystal.
 * - A second's new time, UF and the end of UIP fall together, at the end of the update cycle.
 */
#include "bus/isa/rtc_mc146818.h"

#include "bus/assert.h"
#include "bus/isa/isa_access.h"

#define NS_PER_S   1000000000
#define CRYSTAL_HZ 32768u
/* "Update Cycle": UIP is set 244 us before a cycle of 1984 us. */
#define UIP_NS          2228000
#define SECONDS_PER_DAY 86400

enum rtc_reg {
    RTC_SECONDS = 0,
    RTC_SECONDS_ALARM = 1,
    RTC_MINUTES = 2,
    RTC_MINUTES_ALARM = 3,
    RTC_HOURS = 4,
    RTC_HOURS_ALARM = 5,
    RTC_WEEKDAY = 6,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_C = 0x0c,
    RTC_D = 0x0d,
    RTC_CENTURY = 0x32,
};

#define A_UIP      0x80u
#define A_DV_RESET 0x60u
#define A_RS       0x0fu
#define B_SET      0x80u
#define B_PIE      0x40u
#define B_AIE      0x20u
#define B_UIE      0x10u
#define B_SQWE     0x08u
#define B_DM       0x04u
#define B_24H      0x02u
#define C_IRQF     0x80u
#define D_VRT      0x80u
#define FLAGS      (B_PIE | B_AIE | B_UIE) /* enables in B and flags in C share their places */
#define HOUR_PM    0x80u
#define ALARM_ANY  0xc0u

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second, weekday; /* month, day from 1; weekday 1 = Sunday */
};

/* ---- calendar ---- */

/* Days from 1970-01-01 to the first of March of year, proleptic Gregorian; a year that starts in March ends with its leap day. */
static int64_t days_to_march(int64_t year)
{
    int64_t y = year + 400000; /* keeps the divisions away from negative numbers */
    return y * 365 + y / 4 - y / 100 + y / 400 - (400000ll * 365 + 97000 + 719468);
}

/* Days from the first of March to the first of a month, months counted from March = 0. */
static int64_t days_in_march_year(unsigned m)
{
    return (153 * (int64_t)m + 2) / 5;
}

static int64_t date_to_seconds(const struct date *d)
{
    /* Out of range months carry into years, days and the rest simply add up. */
    int64_t months = d->year * 12 + ((int64_t)d->month - 1) - 2;
    int64_t year = months >= 0 ? months / 12 : -((11 - months) / 12);
    unsigned m = (unsigned)(months - year * 12);
    int64_t days = days_to_march(year) + days_in_march_year(m) + ((int64_t)d->day - 1);
    return ((days * 24 + d->hour) * 60 + d->minute) * 60 + d->second;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void seconds_to_date(int64_t t, struct date *d)
{
    int64_t days = floor_div(t, SECONDS_PER_DAY);
    unsigned s = (unsigned)(t - days * SECONDS_PER_DAY);
    /* At most the right year; 146,097 days are 400 years. */
    int64_t year = 1968 + floor_div(days * 400, 146097);
    while (days_to_march(year + 1) <= days) {
        year++;
    }
    unsigned in_year = (unsigned)(days - days_to_march(year));
    unsigned m = (5 * in_year + 2) / 153;
    d->day = (unsigned)((int64_t)in_year - days_in_march_year(m)) + 1;
    d->month = m < 10 ? m + 3 : m - 9;
    d->year = year + (m >= 10);
    d->weekday = (unsigned)(((days % 7) + 7 + 4) % 7) + 1; /* 1970-01-01 was a Thursday */
    d->hour = s / 3600;
    d->minute = s / 60 % 60;
    d->second = s % 60;
}

/* ---- encodings of register B ---- */

static uint8_t encode(const struct rtc_mc146818 *r, unsigned v)
{
    return (uint8_t)(r->ram[RTC_B] & B_DM ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct rtc_mc146818 *r, uint8_t raw)
{
    return r->ram[RTC_B] & B_DM ? raw : (unsigned)(raw >> 4) * 10 + (raw & 15u);
}

static uint8_t encode_hour(const struct rtc_mc146818 *r, unsigned hour)
{
    if (r->ram[RTC_B] & B_24H) {
        return encode(r, hour);
    }
    uint8_t v = encode(r, hour % 12 ? hour % 12 : 12);
    return (uint8_t)(v | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct rtc_mc146818 *r, uint8_t raw)
{
    if (r->ram[RTC_B] & B_24H) {
        return decode(r, raw);
    }
    return decode(r, raw & 0x7f) % 12 + (raw & HOUR_PM ? 12 : 0);
}

/* ---- time ---- */

static bool is_running(const struct rtc_mc146818 *r)
{
    return !(r->ram[RTC_B] & B_SET) && (r->ram[RTC_A] & A_DV_RESET) != A_DV_RESET;
}

static bool is_time_reg(unsigned reg)
{
    return reg == RTC_CENTURY || (reg <= RTC_YEAR && reg != RTC_SECONDS_ALARM &&
                                  reg != RTC_MINUTES_ALARM && reg != RTC_HOURS_ALARM);
}

/* Seconds since 1970 at virtual time t; valid while the clock runs. */
static int64_t time_at(const struct rtc_mc146818 *r, vtime_t t)
{
    return r->base_sec + floor_div((int64_t)t - r->base_vtime, NS_PER_S);
}

/* The virtual time at which second sec begins. */
static int64_t second_start(const struct rtc_mc146818 *r, int64_t sec)
{
    return r->base_vtime + (sec - r->base_sec) * NS_PER_S;
}

static void date_from_ram(const struct rtc_mc146818 *r, struct date *d)
{
    *d = (struct date){
        .year = (int64_t)decode(r, r->ram[RTC_CENTURY]) * 100 + decode(r, r->ram[RTC_YEAR]),
        .month = decode(r, r->ram[RTC_MONTH]),
        .day = decode(r, r->ram[RTC_DAY]),
        .hour = decode_hour(r, r->ram[RTC_HOURS]),
        .minute = decode(r, r->ram[RTC_MINUTES]),
        .second = decode(r, r->ram[RTC_SECONDS]),
    };
}

static void date_to_ram(struct rtc_mc146818 *r, const struct date *d)
{
    r->ram[RTC_SECONDS] = encode(r, d->second);
    r->ram[RTC_MINUTES] = encode(r, d->minute);
    r->ram[RTC_HOURS] = encode_hour(r, d->hour);
    r->ram[RTC_WEEKDAY] = encode(r, d->weekday);
    r->ram[RTC_DAY] = encode(r, d->day);
    r->ram[RTC_MONTH] = encode(r, d->month);
    r->ram[RTC_YEAR] = encode(r, (unsigned)(d->year % 100));
    r->ram[RTC_CENTURY] = encode(r, (unsigned)(d->year / 100 % 100));
}

/* While the clock runs: bring the time registers up to now. */
static void refresh_ram(struct rtc_mc146818 *r)
{
    if (is_running(r)) {
        struct date d;
        seconds_to_date(time_at(r, r->clock->now), &d);
        date_to_ram(r, &d);
    }
}

/* The time registers were written: count on from them, in the same phase of the second. */
static void count_from_ram(struct rtc_mc146818 *r)
{
    struct date d;
    date_from_ram(r, &d);
    int64_t elapsed = floor_div((int64_t)r->clock->now - r->base_vtime, NS_PER_S);
    r->base_vtime += elapsed * NS_PER_S;
    r->base_sec = date_to_seconds(&d);
}

/* ---- flags of register C ---- */

/* Period of the periodic interrupt in crystal cycles, table "Periodic Interrupt Rate and Square Wave Output Frequency"; 0 = none. */
static unsigned periodic_cycles(const struct rtc_mc146818 *r)
{
    unsigned rs = r->ram[RTC_A] & A_RS;
    if (rs == 0 || (r->ram[RTC_A] & A_DV_RESET) == A_DV_RESET) {
        return 0;
    }
    return rs < 3 ? 1u << (rs + 6) : 1u << (rs - 1);
}

/* First virtual time after t at which the divider chain completes a period; VTIME_NEVER if none. */
static vtime_t next_periodic(const struct rtc_mc146818 *r, vtime_t t)
{
    unsigned cycles = periodic_cycles(r);
    if (!cycles) {
        return VTIME_NEVER;
    }
    /* Periods divide a second evenly, so those before base_vtime count from the second before it. */
    int64_t second = second_start(r, time_at(r, t));
    uint64_t into = (uint64_t)((int64_t)t - second);
    uint64_t k = clock_muldiv(into, CRYSTAL_HZ, NS_PER_S) / cycles + 1;
    uint64_t ns = (k * cycles * NS_PER_S + CRYSTAL_HZ - 1) / CRYSTAL_HZ;
    return (vtime_t)(second + (int64_t)ns);
}

static vtime_t next_update(const struct rtc_mc146818 *r, vtime_t t)
{
    return is_running(r) ? (vtime_t)second_start(r, time_at(r, t) + 1) : VTIME_NEVER;
}

static bool alarm_field_matches(uint8_t alarm, uint8_t value)
{
    return (alarm & ALARM_ANY) == ALARM_ANY || alarm == value;
}

/* Is there a second or minute that this alarm byte matches? */
static bool alarm_field_possible(const struct rtc_mc146818 *r, uint8_t alarm)
{
    unsigned v = decode(r, alarm);
    return (alarm & ALARM_ANY) == ALARM_ANY || (v < 60 && encode(r, v) == alarm);
}

/* Start of the first second after that of t in which the alarm matches; VTIME_NEVER if none does. "Time, Calendar and Alarm Locations". */
static vtime_t next_alarm(const struct rtc_mc146818 *r, vtime_t t)
{
    /* An impossible byte would otherwise be found so only after two days of seconds, at each access. */
    if (!is_running(r) || !alarm_field_possible(r, r->ram[RTC_SECONDS_ALARM]) ||
        !alarm_field_possible(r, r->ram[RTC_MINUTES_ALARM])) {
        return VTIME_NEVER;
    }
    int64_t sec = time_at(r, t) + 1;
    int64_t end = sec + 2 * SECONDS_PER_DAY;
    while (sec < end) {
        unsigned in_day = (unsigned)(sec - floor_div(sec, SECONDS_PER_DAY) * SECONDS_PER_DAY);
        if (!alarm_field_matches(r->ram[RTC_HOURS_ALARM], encode_hour(r, in_day / 3600))) {
            sec += 3600 - in_day % 3600;
        } else if (!alarm_field_matches(r->ram[RTC_MINUTES_ALARM], encode(r, in_day / 60 % 60))) {
            sec += 60 - in_day % 60;
        } else if (!alarm_field_matches(r->ram[RTC_SECONDS_ALARM], encode(r, in_day % 60))) {
            sec++;
        } else {
            return (vtime_t)second_start(r, sec);
        }
    }
    return VTIME_NEVER;
}

/* Set the flags whose moments lie after synced, up to t. */
static void sync_flags(struct rtc_mc146818 *r, vtime_t t)
{
    uint8_t *c = &r->ram[RTC_C];
    if (t <= r->synced) {
        return;
    }
    if (!(*c & B_PIE) && next_periodic(r, r->synced) <= t) {
        *c |= B_PIE;
    }
    if (!(*c & B_UIE) && next_update(r, r->synced) <= t) {
        *c |= B_UIE;
    }
    if (!(*c & B_AIE) && next_alarm(r, r->synced) <= t) {
        *c |= B_AIE;
    }
    r->synced = t;
}

static bool irqf(const struct rtc_mc146818 *r)
{
    return r->ram[RTC_B] & r->ram[RTC_C] & FLAGS;
}

/* When the next flag rises that is enabled; only asked while none stands. */
static vtime_t next_interrupt(const struct rtc_mc146818 *r)
{
    uint8_t enabled = r->ram[RTC_B];
    vtime_t next = VTIME_NEVER;
    vtime_t t;
    if ((enabled & B_PIE) && (t = next_periodic(r, r->synced)) < next) {
        next = t;
    }
    if ((enabled & B_UIE) && (t = next_update(r, r->synced)) < next) {
        next = t;
    }
    if ((enabled & B_AIE) && (t = next_alarm(r, r->synced)) < next) {
        next = t;
    }
    return next;
}

/* Drive the line and set the event; flags are synced. */
static void rtc_update(struct rtc_mc146818 *r, cause_t cause, const struct isa_access *access)
{
    isa_drive_line(&r->irq, irqf(r), r->trace, cause, access);
    vtime_t next = irqf(r) ? VTIME_NEVER : next_interrupt(r);
    if (next != r->event.deadline) {
        clock_arm(r->clock, &r->event, next);
    }
#ifdef IRQ_CHECKS
    rtc_check(r);
#endif
}

static void event_reached(void *opaque, vtime_t deadline)
{
    struct rtc_mc146818 *r = opaque;
    sync_flags(r, deadline);
    cause_t cause = r->cause;
    if (irqf(r) && !r->irq.level) {
        cause = trace_timer_expire(r->trace, TRACE_CPU_NONE, cause, 0, 0, r->irq.source, deadline);
    }
    rtc_update(r, cause, NULL);
}

/* ---- registers ---- */

static void write_a(struct rtc_mc146818 *r, uint8_t value)
{
    bool was_reset = (r->ram[RTC_A] & A_DV_RESET) == A_DV_RESET;
    bool reset = (value & A_DV_RESET) == A_DV_RESET;
    refresh_ram(r);
    r->ram[RTC_A] = value & (uint8_t)~A_UIP;
    if (was_reset && !reset) {
        /* "the first update cycle is one-half second later" */
        count_from_ram(r);
        r->base_vtime = (int64_t)r->clock->now - NS_PER_S / 2;
    }
}

static void write_b(struct rtc_mc146818 *r, uint8_t value)
{
    bool was_set = r->ram[RTC_B] & B_SET;
    refresh_ram(r);
    if (value & B_SET) {
        value &=
            (uint8_t)~B_UIE; /* "Register B", SET: "UIE ... is cleared when the SET bit goes high" */
    }
    struct date d;
    date_from_ram(r, &d);
    seconds_to_date(date_to_seconds(&d), &d);
    uint8_t format = (uint8_t)((r->ram[RTC_B] ^ value) & (B_DM | B_24H));
    r->ram[RTC_B] = value;
    if (format && is_running(r) && !was_set) {
        date_to_ram(r, &d); /* the same moment in the new format */
    }
    if (was_set && !(value & B_SET)) {
        count_from_ram(r); /* read as the new format says */
    }
}

static void write_reg(struct rtc_mc146818 *r, unsigned reg, uint8_t value)
{
    switch (reg) {
    case RTC_A:
        write_a(r, value);
        break;
    case RTC_B:
        write_b(r, value);
        break;
    case RTC_C:
    case RTC_D:
        break; /* read only */
    default:
        if (is_time_reg(reg) && is_running(r)) {
            refresh_ram(r);
            r->ram[reg] = value;
            count_from_ram(r);
        } else {
            r->ram[reg] = value;
        }
        break;
    }
}

static uint8_t read_a(const struct rtc_mc146818 *r)
{
    int64_t now = (int64_t)r->clock->now;
    bool uip = is_running(r) && second_start(r, time_at(r, r->clock->now) + 1) - now <= UIP_NS;
    return (uint8_t)(r->ram[RTC_A] | (uip ? A_UIP : 0));
}

static uint8_t read_c(struct rtc_mc146818 *r)
{
    uint8_t v = (uint8_t)(r->ram[RTC_C] | (irqf(r) ? C_IRQF : 0));
    r->ram[RTC_C] = 0;
    return v;
}

uint64_t rtc_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    struct rtc_mc146818 *r = opaque;
    (void)size;
    if (off == 0) {
        return 0xff; /* the PC/AT's index register cannot be read */
    }
    switch (r->index) {
    case RTC_A:
        return read_a(r);
    case RTC_C: {
        sync_flags(r, r->clock->now);
        uint8_t value = read_c(r);
        struct isa_access access = {RTC_BASE + 1, value, attrs};
        rtc_update(r, attrs->cause, &access);
        return value;
    }
    case RTC_D:
        return D_VRT;
    default:
        if (is_time_reg(r->index)) {
            refresh_ram(r);
        }
        return r->ram[r->index];
    }
}

void rtc_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
               const struct bus_attrs *attrs)
{
    struct rtc_mc146818 *r = opaque;
    (void)size;
    if (off == 0) {
        r->index = value & 0x7f;
        r->nmi_masked = value & 0x80;
        return;
    }
    sync_flags(r, r->clock->now);
    vtime_t before = r->event.deadline;
    write_reg(r, r->index, (uint8_t)value);
    struct isa_access access = {RTC_BASE + 1, (uint8_t)value, attrs};
    rtc_update(r, attrs->cause, &access);
    if (clock_event_armed(&r->event) && r->event.deadline != before) {
        r->cause = trace_timer_arm(r->trace, isa_access_cpu(attrs), attrs->cause, 0, 0,
                                   r->irq.source, r->event.deadline);
    }
}

/* ---- CMOS memory ---- */

static void update_checksum(struct rtc_mc146818 *r)
{
    unsigned sum = 0;
    for (unsigned i = 0x10; i <= 0x2d; i++) {
        sum += r->ram[i];
    }
    r->ram[0x2e] = (uint8_t)(sum >> 8);
    r->ram[0x2f] = (uint8_t)sum;
}

bool rtc_get_nmi_masked(const struct rtc_mc146818 *r)
{
    return r->nmi_masked;
}

int64_t rtc_get_time(const struct rtc_mc146818 *r)
{
    if (is_running(r)) {
        return time_at(r, r->clock->now);
    }
    struct date d;
    date_from_ram(r, &d);
    return date_to_seconds(&d);
}

/* Little endian, saturating at what nbytes can hold. */
static void set_size(struct rtc_mc146818 *r, uint8_t index, unsigned nbytes, uint64_t value)
{
    uint64_t max = (1ull << (8 * nbytes)) - 1;
    value = value > max ? max : value;
    for (unsigned i = 0; i < nbytes; i++) {
        r->ram[index + i] = (uint8_t)(value >> (8 * i));
    }
}

/* Where a PC's BIOS looks for the size of memory. */
static void init_cmos(struct rtc_mc146818 *r)
{
    const uint64_t mib = 1u << 20;
    uint64_t low = r->config.ram_low;
    uint64_t above_1m = low > mib ? low - mib : 0;
    uint64_t above_16m = low > 16 * mib ? low - 16 * mib : 0;
    r->ram[0x14] = 0x06; /* equipment: coprocessor, pointing device's connector */
    set_size(r, 0x15, 2, low < 640 * 1024 ? low / 1024 : 640);
    set_size(r, 0x17, 2, above_1m / 1024);
    set_size(r, 0x30, 2, above_1m / 1024);
    set_size(r, 0x34, 2, above_16m >> 16);
    set_size(r, 0x5b, 3, r->config.ram_high >> 16);
    update_checksum(r);
}

/* ---- set-up ---- */

void rtc_init(struct rtc_mc146818 *r, struct clock *clock, struct trace *trace,
              const struct rtc_config *config)
{
    *r = (struct rtc_mc146818){.clock = clock, .trace = trace, .config = *config};
    clock_event_init(&r->event, "rtc", event_reached, r);
    r->ram[RTC_A] = 0x26; /* 32,768 Hz, 1024 Hz periodic: what a PC's BIOS sets */
    r->ram[RTC_B] = B_24H;
    r->base_sec = config->epoch;
    r->synced = clock->now;
    init_cmos(r);
    refresh_ram(r);
    rtc_reset(r);
}

void rtc_reset(struct rtc_mc146818 *r)
{
    /* "RESET": clears PIE, AIE, UIE, SQWE and the flags; time, calendar and RAM stay. */
    sync_flags(r, r->clock->now);
    r->ram[RTC_B] &= (uint8_t) ~(FLAGS | B_SQWE);
    r->ram[RTC_C] = 0;
    r->index = 0;
    r->nmi_masked = false;
    r->cause = 0;
    rtc_update(r, 0, NULL);
}

int rtc_map(struct rtc_mc146818 *r, struct bus *bus, struct error *err)
{
    const struct mmio_dev dev = {
        .name = "rtc_mc146818",
        .read = rtc_read,
        .write = rtc_write,
        .opaque = r,
        .min_size = 1,
        .max_size = 1,
    };
    return bus_map_ports(bus, RTC_BASE, 2, &dev, err);
}

void rtc_check(const struct rtc_mc146818 *r)
{
    irq_assert(r->index < RTC_BYTES && (r->ram[RTC_A] & A_UIP) == 0);
    irq_assert((r->ram[RTC_C] & ~FLAGS) == 0);
    irq_assert(r->irq.level == irqf(r));
    irq_assert(!r->irq.level || !clock_event_armed(&r->event));
}
