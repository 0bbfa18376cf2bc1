/* SPDX-License-Identifier: MIT */
/*
 * Local APIC (xAPIC): acceptance, priority, acknowledge, LINT pins, posted messages,
 * IA32_APIC_BASE. Registers are in lapic_regs.c, the timer in lapic_timer.c, posted messages in
 * lapic_post.c, reset and IA32_APIC_BASE in lapic_base.c.
 *
 * Intel SDM Vol. 3A (order no. 325384), chapter 11 "Advanced Programmable Interrupt Controller
 * (APIC)"; where it is silent, AMD64 APM Vol. 2 (order no. 24593), chapter 16.
 *
 * Modelled: IRR/ISR/TMR, TPR/PPR/APR as functions of the page, spurious vector, LVT delivery
 * modes, LINT0 as ExtINT (a mirror of the 8259's INTR) or with a vector (edge, level with Remote
 * IRR), LINT1, ExtINT messages, ESR, relocation and disabling by IA32_APIC_BASE, with INTR and NMI
 * reaching the CPU while the APIC is disabled.
 * Readings taken where the manuals leave room: an acknowledge answers ExtINT first, then IRR; PPR
 * with equal classes of TPR and ISR is TPR; APR is the highest of TPR, ISR and IRR classes;
 * requests that were accepted before the APIC was disabled in SVR are still delivered ("held and
 * require masking or handling by the CPU"); LINT1 with a vector is edge; NMI, SMI and INIT on LINT
 * pins are edge, ExtINT is level. An error that finds the error LVT masked does not use up the
 * error interrupt. Disabling in IA32_APIC_BASE resets the registers.
 * Not modelled: x2APIC mode (setting bit 10 gives #GP), sources of the performance and thermal
 * entries, arbitration ids, focus processor.
 * Deviations: none known.
 */
#include "intc/lapic.h"

#include "bus/assert.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"

int lapic_highest(const struct lapic *lapic, unsigned first)
{
    for (unsigned i = 8; i-- > 0;) {
        uint32_t word = lapic_reg(lapic, first + i * 16);
        if (word) {
            return (int)(i * 32 + 31 - (unsigned)__builtin_clz(word));
        }
    }
    return -1;
}

/* Vectors in IRR, for a record; 0 with nobody listening. */
static unsigned traced_pending(const struct lapic *lapic)
{
    unsigned n = 0;
    for (unsigned i = lapic->trace->enabled ? 0 : 8; i < 8; i++) {
        n += (unsigned)__builtin_popcount(lapic_reg(lapic, LAPIC_REG_IRR + i * 16));
    }
    return n;
}

/* SDM 11.8.3.1 "Task and Processor Priorities". */
uint8_t lapic_get_ppr(const struct lapic *lapic)
{
    uint32_t tpr = lapic_reg(lapic, LAPIC_REG_TPR) & 0xff;
    int top = lapic_highest(lapic, LAPIC_REG_ISR);
    uint32_t in_service = top < 0 ? 0 : (uint32_t)top & 0xf0;
    return (uint8_t)((tpr & 0xf0) >= in_service ? tpr : in_service);
}

/* AMD64 APM Vol. 2, 16.4.6 "Lowest Priority Messages and Arbitration". */
uint8_t lapic_get_apr(const struct lapic *lapic)
{
    int top = lapic_highest(lapic, LAPIC_REG_IRR);
    uint8_t ppr = lapic_get_ppr(lapic), pending = top < 0 ? 0 : (uint8_t)(top & 0xf0);
    return (ppr & 0xf0) >= pending ? ppr : pending;
}

/*
 * Highest vector that would interrupt the CPU now, or -1. SDM 11.8.3: its class must exceed PPR's.
 */
static int deliverable(const struct lapic *lapic)
{
    int vector = lapic_highest(lapic, LAPIC_REG_IRR);
    return vector >= 0 && (vector & 0xf0) > (lapic_get_ppr(lapic) & 0xf0) ? vector : -1;
}

static bool lint_active(const struct lapic *lapic, unsigned pin)
{
    uint32_t lvt = lapic_reg(lapic, pin ? LAPIC_REG_LVT_LINT1 : LAPIC_REG_LVT_LINT0);
    return (pin ? lapic->lint1 : lapic->lint0) ^ ((lvt & LVT_ACTIVE_LOW) != 0);
}

bool lapic_extint_open(const struct lapic *lapic)
{
    uint32_t lvt = lapic_reg(lapic, LAPIC_REG_LVT_LINT0);
    return !lapic_globally_enabled(lapic) ||
           (!(lvt & LVT_MASKED) && (lvt & LVT_DELIVERY) >> 8 == APIC_DELIVERY_EXTINT);
}

/*
 * Does the 8259 ask through LINT0? With the APIC disabled LINT0 is INTR. SDM 11.4.3 "Enabling or
 * Disabling the Local APIC".
 */
static bool extint_asks(const struct lapic *lapic)
{
    return lapic_extint_open(lapic) &&
           (lapic_globally_enabled(lapic) ? lint_active(lapic, 0) : lapic->lint0);
}

/* vector: the highest in IRR or -1; ppr: as it is now. */
static void tell_hold(struct lapic *lapic, int vector, uint8_t ppr)
{
    enum trace_hold hold = HOLD_NONE;
    uint64_t writer = 0;

    if (vector >= 0 && (vector & 0xf0) <= (ppr & 0xf0)) {
        int top = lapic_highest(lapic, LAPIC_REG_ISR);
        hold = HOLD_LAPIC_ISR;
        if (top < 0 || (top & 0xf0) < (vector & 0xf0)) {
            hold = HOLD_LAPIC_TPR;
            writer = lapic_writer_rip(lapic, LAPIC_REG_TPR);
        }
    }
    if (hold == lapic->held && (hold == HOLD_NONE || vector == lapic->held_vector)) {
        return;
    }
    lapic->held = (uint8_t)hold;
    lapic->held_vector = hold == HOLD_NONE ? 0 : (uint16_t)vector;
    if (hold != HOLD_NONE) {
        (void)trace_lapic_hold(lapic->trace, lapic->cpu, lapic->irr_cause[vector], 0, 0,
                               (uint64_t)vector, hold, ppr, writer);
    }
}

/* The 8259 asks and its LINT entry is masked. */
static void tell_lint_hold(struct lapic *lapic)
{
    bool held = lapic_globally_enabled(lapic) && lint_active(lapic, 0) && lapic->lint0 &&
                (lapic_reg(lapic, LAPIC_REG_LVT_LINT0) & LVT_MASKED);

    if (held && !lapic->held_lint0) {
        (void)trace_lapic_hold(lapic->trace, lapic->cpu, lapic->lint0_cause, 0, 0,
                               lapic_reg(lapic, LAPIC_REG_LVT_LINT0) & 0xff, HOLD_LINT_MASKED,
                               lapic_get_ppr(lapic), lapic_writer_rip(lapic, LAPIC_REG_LVT_LINT0));
    }
    lapic->held_lint0 = held;
}

void lapic_update(struct lapic *lapic)
{
    int pending = lapic_highest(lapic, LAPIC_REG_IRR);
    uint8_t ppr = lapic_get_ppr(lapic);
    int vector = pending >= 0 && (pending & 0xf0) > (ppr & 0xf0) ? pending : -1;
    bool extint = extint_asks(lapic);
    bool out = extint || lapic->extint_latch || vector >= 0;
    cause_t cause = 0;

    if (extint) {
        cause = lapic->lint0_cause;
    } else if (lapic->extint_latch) {
        cause = lapic->posted_event_cause[LAPIC_POST_EXTINT];
    } else if (vector >= 0) {
        cause = lapic->irr_cause[vector];
    }
    lapic_set_reg(lapic, LAPIC_REG_PPR, ppr);
    tell_hold(lapic, pending, ppr);
    tell_lint_hold(lapic);

    if (out) {
        bool again = lapic->out && lapic->out_cause == cause;
        clock_disarm(lapic->clock, &lapic->fall);
        lapic->out = true;
        lapic->out_cause = cause;
        lapic_check(lapic);
        if (!again && lapic->sink) {
            lapic->sink->raise(lapic->sink_opaque, CPU_INTERRUPT_HARD, cause, 0);
        }
        return;
    }
    if (lapic->out && lapic->intr_fall != 0) {
        if (!clock_event_armed(&lapic->fall)) {
            clock_arm(lapic->clock, &lapic->fall, lapic->clock->now + lapic->intr_fall);
        }
        lapic_check(lapic);
        return;
    }
    bool falls = lapic->out;
    lapic->out = false;
    lapic->out_cause = 0;
    lapic_check(lapic);
    if (falls && lapic->sink) {
        lapic->sink->lower(lapic->sink_opaque, CPU_INTERRUPT_HARD);
    }
}

void lapic_lower_output(struct lapic *lapic)
{
    clock_disarm(lapic->clock, &lapic->fall);
    if (lapic->out) {
        lapic->out = false;
        lapic->out_cause = 0;
        if (lapic->sink) {
            lapic->sink->lower(lapic->sink_opaque, CPU_INTERRUPT_HARD);
        }
    }
}

void lapic_output_falls(void *opaque, vtime_t deadline)
{
    struct lapic *lapic = opaque;

    (void)deadline;
    lapic_lower_output(lapic);
    lapic_update(lapic);
}

void lapic_log_error(struct lapic *lapic, uint32_t bits, unsigned vector, uint64_t rip,
                     cause_t cause)
{
    lapic->esr_pending |= (uint8_t)bits;
    cause_t rec = trace_lapic_error(lapic->trace, lapic->cpu, cause, 0, DELIVER_ILLEGAL,
                                    lapic->esr_pending, vector, rip);
    if (!lapic->error_fired && !(lapic_reg(lapic, LAPIC_REG_LVT_ERROR) & LVT_MASKED)) {
        lapic->error_fired = true; /* before the delivery, whose own vector may be illegal */
        lapic_deliver_lvt(lapic, LAPIC_REG_LVT_ERROR, LAPIC_LVT_ENTRY_ERROR, rec);
    }
}

struct deliver_result lapic_accept(struct lapic *lapic, vector_t vector, enum apic_trigger trigger,
                                   cause_t cause)
{
    if (vector < 16) {
        lapic_log_error(lapic, ESR_RECEIVE_ILLEGAL, vector, 0, cause);
        return (struct deliver_result){.rejected = 1, .reason = DELIVER_ILLEGAL};
    }
    bool pending = lapic_bit(lapic, LAPIC_REG_IRR, vector);
    int top = lapic_highest(lapic, LAPIC_REG_IRR);

    lapic_set_bit(lapic, LAPIC_REG_IRR, vector);
    if (trigger == APIC_TRIGGER_LEVEL) {
        lapic_set_bit(lapic, LAPIC_REG_TMR, vector);
    } else {
        lapic_clear_bit(lapic, LAPIC_REG_TMR, vector);
    }
    cause_t rec =
        trace_lapic_accept(lapic->trace, lapic->cpu, cause, pending ? lapic->irr_cause[vector] : 0,
                           pending ? DELIVER_COALESCED : DELIVER_OK, vector, trigger,
                           lapic_traced_ppr(lapic), traced_pending(lapic));
    if (pending) {
        return (struct deliver_result){.coalesced = 1, .reason = DELIVER_COALESCED};
    }
    lapic->irr_cause[vector] = rec;
    if (vector < top) {
        (void)trace_lapic_hold(lapic->trace, lapic->cpu, rec, 0, 0, vector, HOLD_LAPIC_HIGHER,
                               lapic_traced_ppr(lapic), 0);
    }
    return (struct deliver_result){.accepted = 1, .reason = DELIVER_OK};
}

uint32_t lapic_event_bit(enum apic_delivery delivery)
{
    switch (delivery) {
    case APIC_DELIVERY_NMI:
        return CPU_INTERRUPT_NMI;
    case APIC_DELIVERY_SMI:
        return CPU_INTERRUPT_SMI;
    case APIC_DELIVERY_INIT:
        return CPU_INTERRUPT_INIT;
    case APIC_DELIVERY_STARTUP:
        return CPU_INTERRUPT_SIPI;
    case APIC_DELIVERY_EXTINT:
        return LAPIC_POSTED_EXTINT;
    case APIC_DELIVERY_FIXED:
    case APIC_DELIVERY_LOWEST:
    case APIC_DELIVERY_RESERVED:
        break;
    }
    return 0;
}

void lapic_raise_event(struct lapic *lapic, enum apic_delivery delivery, vector_t vector,
                       uint32_t source, cause_t cause)
{
    cause_t rec =
        trace_lapic_event(lapic->trace, lapic->cpu, cause, 0, 0, delivery, vector, source);
    if (lapic->sink) {
        lapic->sink->raise(lapic->sink_opaque, lapic_event_bit(delivery), rec, vector);
    }
}

/*
 * SDM 11.5.1 "Local Vector Table". ExtINT is a level that lapic_update() mirrors; nothing to do at
 * its edge.
 */
void lapic_deliver_lvt(struct lapic *lapic, unsigned off, enum lapic_lvt_entry entry, cause_t cause)
{
    uint32_t lvt = lapic_reg(lapic, off);
    bool has_mode = off != LAPIC_REG_LVT_TIMER && off != LAPIC_REG_LVT_ERROR;
    enum apic_delivery delivery =
        has_mode ? (enum apic_delivery)((lvt & LVT_DELIVERY) >> 8) : APIC_DELIVERY_FIXED;
    bool masked = lvt & LVT_MASKED;
    cause_t rec = trace_lapic_lvt(lapic->trace, lapic->cpu, cause, 0,
                                  masked ? DELIVER_MASKED : DELIVER_OK, entry, lvt, true);

    if (off == LAPIC_REG_LVT_LINT0) {
        lapic->lint0_cause = rec;
    }
    if (masked) {
        return;
    }
    switch (delivery) {
    case APIC_DELIVERY_FIXED: {
        bool level = off == LAPIC_REG_LVT_LINT0 && (lvt & LVT_LEVEL);
        if (level && (lvt & 0xff) >= 16) {
            lapic_set_reg(lapic, off, lvt | LVT_REMOTE_IRR);
        }
        (void)lapic_accept(lapic, (vector_t)lvt, level ? APIC_TRIGGER_LEVEL : APIC_TRIGGER_EDGE,
                           rec);
        break;
    }
    case APIC_DELIVERY_NMI:
    case APIC_DELIVERY_SMI:
    case APIC_DELIVERY_INIT:
        lapic_raise_event(lapic, delivery, (vector_t)lvt, lapic->cpu, rec);
        break;
    case APIC_DELIVERY_EXTINT:
    case APIC_DELIVERY_LOWEST:
    case APIC_DELIVERY_STARTUP:
    case APIC_DELIVERY_RESERVED:
        break;
    }
}

void lapic_service_lint(struct lapic *lapic, unsigned pin)
{
    uint32_t lvt = lapic_reg(lapic, LAPIC_REG_LVT_LINT0);
    bool waits =
        pin == 0 && (lvt & LVT_LEVEL) && !(lvt & (LVT_REMOTE_IRR | LVT_MASKED | LVT_DELIVERY));

    if (waits && lapic_globally_enabled(lapic) && lint_active(lapic, 0) && (lvt & 0xff) >= 16) {
        lapic_deliver_lvt(lapic, LAPIC_REG_LVT_LINT0, LAPIC_LVT_ENTRY_LINT0, lapic->lint0_cause);
    }
}

/* The pin turned active. */
static void lint_rises(struct lapic *lapic, unsigned pin, cause_t cause)
{
    unsigned off = pin ? LAPIC_REG_LVT_LINT1 : LAPIC_REG_LVT_LINT0;
    uint32_t lvt = lapic_reg(lapic, off);

    if (!pin) {
        lapic->lint0_cause = cause;
        lapic->held_lint0 = false;
    }
    /* A level pin whose last interrupt waits for its EOI is looked at again then. */
    if (!pin && (lvt & LVT_REMOTE_IRR) && !(lvt & (LVT_MASKED | LVT_DELIVERY))) {
        return;
    }
    lapic_deliver_lvt(lapic, off, pin ? LAPIC_LVT_ENTRY_LINT1 : LAPIC_LVT_ENTRY_LINT0, cause);
}

void lapic_set_lint(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause)
{
    struct lapic *lapic = opaque;

    if (pin > 1) {
        return;
    }
    bool was_active = lint_active(lapic, pin), was = pin ? lapic->lint1 : lapic->lint0;
    uint64_t bit = 1ull << (source & 63);
    if (level) {
        lapic->lint_asserters[pin] |= bit;
    } else {
        lapic->lint_asserters[pin] &= ~bit;
    }
    bool now = lapic->lint_asserters[pin] != 0;
    *(pin ? &lapic->lint1 : &lapic->lint0) = now;

    if (!lapic_globally_enabled(lapic)) {
        if (now && !was) {
            if (pin) {
                lapic_raise_event(lapic, APIC_DELIVERY_NMI, 2, lapic->cpu, cause);
            } else {
                lapic->lint0_cause = cause;
            }
        }
    } else if (lint_active(lapic, pin) && !was_active) {
        lint_rises(lapic, pin, cause);
    }
    lapic_update(lapic);
}

/*
 * SDM 11.8.4 "Interrupt Acceptance for Fixed Interrupts", 11.9 "Spurious Interrupt", 11.5.1
 * (ExtINT).
 */
struct intr_ack lapic_ack(struct lapic *lapic, const struct bus_attrs *attrs)
{
    struct intr_ack ack;

    if (extint_asks(lapic) || lapic->extint_latch || !lapic_globally_enabled(lapic)) {
        cause_t cause = lapic->out_cause ? lapic->out_cause : attrs->cause;
        lapic->extint_latch = false;
        lapic_lower_output(lapic);
        if (lapic->ops && lapic->ops->pic_ack) {
            ack = lapic->ops->pic_ack(lapic->ops_opaque, lapic->cpu, cause);
        } else {
            ack =
                (struct intr_ack){.vector = 0xff, .source = INTR_ACK_PIC_SPURIOUS, .cause = cause};
        }
        lapic_update(lapic);
        return ack;
    }
    int vector = deliverable(lapic);
    if (vector < 0) {
        ack.vector = (vector_t)lapic_reg(lapic, LAPIC_REG_SVR);
        ack.source = INTR_ACK_LAPIC_SPURIOUS;
        ack.cause = trace_lapic_ack(lapic->trace, lapic->cpu, attrs->cause, 0, 0, ack.vector, true,
                                    lapic_traced_ppr(lapic));
    } else {
        lapic_clear_bit(lapic, LAPIC_REG_IRR, (unsigned)vector);
        lapic_set_bit(lapic, LAPIC_REG_ISR, (unsigned)vector);
        ack.vector = (vector_t)vector;
        ack.source = INTR_ACK_LAPIC;
        ack.cause = trace_lapic_ack(lapic->trace, lapic->cpu, lapic->irr_cause[vector],
                                    attrs->cause, 0, ack.vector, false, lapic_traced_ppr(lapic));
        lapic->isr_cause[vector] = ack.cause;
        lapic->irr_cause[vector] = 0;
    }
    lapic_lower_output(lapic);
    lapic_update(lapic);
    return ack;
}

bool lapic_timer_open(const struct lapic *lapic)
{
    uint32_t lvt = lapic_reg(lapic, LAPIC_REG_LVT_TIMER);
    uint8_t vector = (uint8_t)lvt;

    if (!lapic_globally_enabled(lapic) || !clock_event_armed(&lapic->timer) || (lvt & LVT_MASKED)) {
        return false;
    }
    /* An illegal vector may still fire the error entry. */
    return vector < 16 || (vector & 0xf0) > (lapic_get_ppr(lapic) & 0xf0);
}

void lapic_check(const struct lapic *lapic)
{
    int vector = deliverable(lapic);
    bool asks = extint_asks(lapic) || lapic->extint_latch || vector >= 0;

    irq_check(lapic_reg(lapic, LAPIC_REG_PPR) == lapic_get_ppr(lapic));
    irq_check(lapic->out == (asks || clock_event_armed(&lapic->fall)));
    for (unsigned i = 0; i < 8; i++) {
        uint32_t in_service = lapic_reg(lapic, LAPIC_REG_ISR + i * 16);
        /* At most one vector of a class is in service: a nested one was of a higher class. */
        irq_check(__builtin_popcount(in_service & 0xffff) <= 1 &&
                  __builtin_popcount(in_service >> 16) <= 1);
        (void)in_service;
    }
    irq_check((lapic_reg(lapic, LAPIC_REG_IRR) & 0xffff) == 0);
    irq_check((lapic_reg(lapic, LAPIC_REG_ISR) & 0xffff) == 0);
    for (unsigned off = LAPIC_REG_LVT_TIMER; off <= LAPIC_REG_LVT_ERROR; off += 16) {
        irq_check((lapic_reg(lapic, LAPIC_REG_SVR) & LAPIC_SVR_ENABLE) ||
                  (lapic_reg(lapic, off) & LVT_MASKED));
    }
    irq_check(!clock_event_armed(&lapic->timer) || lapic_reg(lapic, LAPIC_REG_TMICT) != 0);
    irq_check(((lapic->posted.pir[0] | lapic->posted.pir[1] | lapic->posted.pir[2] |
                lapic->posted.pir[3]) == 0 &&
               lapic->posted_events == 0) ||
              (lapic->posted.control & 1));
    (void)asks;
}
