/* SPDX-License-Identifier: MIT */
/*
 * Real-time clock and CMOS memory: Motorola MC146818A as in a PC/AT, 128 bytes. Datasheet, deviations and what is not modelled:
 * rtc_mc146818.c. Held by value in the machine. Machine thread only.
 */
#ifndef IRQSCOPE_BUS_ISA_RTC_MC146818_H
#define IRQSCOPE_BUS_ISA_RTC_MC146818_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/irq.h"
#include "bus/trace.h"

#define RTC_BASE          0x70
#define RTC_BYTES         128
#define RTC_EPOCH_DEFAULT 1704067200ll /* 2024-01-01T00:00:00, seconds since 1970 */

struct rtc_config {
    int64_t
        epoch; /* time at virtual time 0, seconds since 1970-01-01, proleptic Gregorian; 0001..9999 */
    uint64_t ram_low;  /* bytes of RAM below 4 GiB, for the CMOS size bytes */
    uint64_t ram_high; /* bytes of RAM above 4 GiB */
};

struct rtc_mc146818 {
    struct irq_line irq; /* IRQ8 */
    struct clock *clock;
    struct trace *trace;
    struct rtc_config config;
    uint8_t index;
    bool nmi_masked; /* bit 7 of port 70h */
    uint8_t ram
        [RTC_BYTES];  /* time registers: valid while the clock is stopped (SET or divider reset) */
    int64_t base_sec; /* time at base_vtime */
    int64_t
        base_vtime; /* a second's boundary, ns; may be ahead of now by up to a second, or negative */
    vtime_t synced; /* flags of register C are right up to here */
    cause_t cause;  /* record of who last programmed an interrupt */
    struct clock_event event;
};

void rtc_init(struct rtc_mc146818 *r, struct clock *clock, struct trace *trace,
              const struct rtc_config *config);
/* RESET pin: clears interrupt enables and flags; time and memory stay. */
void rtc_reset(struct rtc_mc146818 *r);
/* Claim ports 70h and 71h. 0 or -errno. */
int rtc_map(struct rtc_mc146818 *r, struct bus *bus, struct error *err);
/* Is NMI masked by bit 7 of port 70h? */
bool rtc_get_nmi_masked(const struct rtc_mc146818 *r);
/* Time now, seconds since 1970. */
int64_t rtc_get_time(const struct rtc_mc146818 *r);

/* off 0 = port 70h, 1 = port 71h. */
uint64_t rtc_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs);
void rtc_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
               const struct bus_attrs *attrs);
void rtc_check(const struct rtc_mc146818 *r);

#endif
