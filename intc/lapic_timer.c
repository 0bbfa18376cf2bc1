/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer.
 *
 * Intel SDM Vol. 3A (order no. 325384), 11.5.4 "APIC Timer".
 *
 * Modelled: one-shot and periodic modes, the divide configuration, initial and current count. The
 * clock before the divider ticks LAPIC_TIMER_HZ times a second: once per ns. Deadlines are
 * absolute, the current count is derived when it is read. A change of the divider goes on from the
 * current count; the tick in progress starts anew. A change between one-shot and periodic takes
 * effect at the next expiry. A periodic timer whose ticks are missed (the clock was moved past
 * several of them) fires once for all of them, as one IRR bit would hold no more, and stays in
 * phase.
 * Not modelled: TSC-deadline mode (LVT bit 18 reads 0).
 * Deviations: none known.
 */
#include "intc/lapic.h"
#include "intc/lapic_internal.h"

/* SDM figure 11-10 "Divide Configuration Register": bits 3, 1, 0. */
static uint32_t divider(uint32_t tdcr)
{
    uint32_t code = (tdcr & 3) | (tdcr >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

static uint32_t count_at(const struct lapic *lapic, uint32_t tdcr)
{
    if (!clock_event_armed(&lapic->timer)) {
        return 0;
    }
    uint64_t gone = (lapic->clock->now - lapic->timer_start) / divider(tdcr);
    return gone >= lapic->timer_count ? 0 : lapic->timer_count - (uint32_t)gone;
}

uint32_t lapic_timer_count(const struct lapic *lapic)
{
    return count_at(lapic, lapic_reg(lapic, LAPIC_REG_TDCR));
}

static void arm(struct lapic *lapic, vtime_t start, uint32_t count)
{
    lapic->timer_start = start;
    lapic->timer_count = count;
    clock_arm(lapic->clock, &lapic->timer,
              start + (uint64_t)count * divider(lapic_reg(lapic, LAPIC_REG_TDCR)));
}

static void expire(void *opaque, vtime_t deadline)
{
    struct lapic *lapic = opaque;
    uint32_t initial = lapic_reg(lapic, LAPIC_REG_TMICT);

    if ((lapic_reg(lapic, LAPIC_REG_LVT_TIMER) & LVT_PERIODIC) && initial != 0) {
        uint64_t period = (uint64_t)initial * divider(lapic_reg(lapic, LAPIC_REG_TDCR));
        uint64_t missed = (lapic->clock->now - deadline) / period;
        arm(lapic, deadline + missed * period, initial);
    }
    lapic_deliver_lvt(lapic, LAPIC_REG_LVT_TIMER, LAPIC_LVT_ENTRY_TIMER, lapic->timer_cause);
    lapic_update(lapic);
}

void lapic_timer_init(struct lapic *lapic)
{
    clock_event_init(&lapic->timer, "lapic timer", expire, lapic);
}

void lapic_timer_start(struct lapic *lapic, cause_t cause)
{
    uint32_t initial = lapic_reg(lapic, LAPIC_REG_TMICT);

    lapic->timer_cause = cause;
    if (initial == 0) {
        lapic_timer_stop(lapic);
    } else {
        arm(lapic, lapic->clock->now, initial);
    }
}

void lapic_timer_redivide(struct lapic *lapic, uint32_t old_tdcr)
{
    if (clock_event_armed(&lapic->timer) &&
        divider(old_tdcr) != divider(lapic_reg(lapic, LAPIC_REG_TDCR))) {
        arm(lapic, lapic->clock->now, count_at(lapic, old_tdcr));
    }
}

void lapic_timer_stop(struct lapic *lapic)
{
    clock_disarm(lapic->clock, &lapic->timer);
    lapic->timer_count = 0;
}
