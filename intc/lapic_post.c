/* SPDX-License-Identifier: MIT */
/*
 * How messages reach a local APIC: posted by others, folded by the owner.
 *
 * Intel SDM Vol. 3A (order no. 325384), 11.6.2 "Determining IPI Destination"; Vol. 3C, 30.6
 * "Posted-Interrupt Processing", whose descriptor layout is used for fixed vectors.
 *
 * Modelled: fixed vectors with trigger and cause per vector, NMI, SMI, INIT, SIPI (last vector
 * wins) and ExtINT events; physical, flat and cluster destinations.
 * Readings taken: a vector below 16 travels and is the receiver's error (ESR bit 6); the only
 * logical broadcast is FFh, whatever LDR holds; other cluster addresses Fxh mean the cluster 15
 * of LDR; a DFR that is neither flat nor cluster matches nothing.
 * Not modelled: the notification fields NV and NDST (zero); INIT level de-assert has no effect,
 * as on the Pentium 4 and later.
 * Deviations: none known.
 */
#include "intc/lapic.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"

static struct deliver_result post_vector(struct lapic *lapic, const struct apic_msg *msg)
{
    uint64_t bit = 1ull << (msg->vector & 63);
    uint64_t *word = &lapic->posted.pir[msg->vector >> 6],
             *level = &lapic->posted_level[msg->vector >> 6];
    bool already = *word & bit;

    *word |= bit;
    *level = msg->trigger == APIC_TRIGGER_LEVEL ? *level | bit : *level & ~bit;
    if (!already) {
        lapic->posted_cause[msg->vector] = msg->cause;
    }
    if (msg->vector < 16) {
        return (struct deliver_result){.rejected = 1, .reason = DELIVER_ILLEGAL};
    }
    return already ? (struct deliver_result){.coalesced = 1, .reason = DELIVER_COALESCED}
                   : (struct deliver_result){.posted = 1, .reason = DELIVER_POSTED};
}

static struct deliver_result post_event(struct lapic *lapic, const struct apic_msg *msg)
{
    static const enum lapic_posted_event slot[] = {
        [APIC_DELIVERY_NMI] = LAPIC_POST_NMI,       [APIC_DELIVERY_SMI] = LAPIC_POST_SMI,
        [APIC_DELIVERY_INIT] = LAPIC_POST_INIT,     [APIC_DELIVERY_STARTUP] = LAPIC_POST_SIPI,
        [APIC_DELIVERY_EXTINT] = LAPIC_POST_EXTINT,
    };
    uint32_t bit = lapic_event_bit(msg->delivery);

    if (bit == 0) {
        return (struct deliver_result){.rejected = 1, .reason = DELIVER_ILLEGAL};
    }
    bool already = lapic->posted_events & bit;
    if (!already) {
        lapic->posted_event_cause[slot[msg->delivery]] = msg->cause;
        lapic->posted_event_source[slot[msg->delivery]] = msg->source;
    }
    lapic->posted_events |= bit;
    if (msg->delivery == APIC_DELIVERY_STARTUP) {
        lapic->posted_sipi = msg->vector;
    }
    return already ? (struct deliver_result){.coalesced = 1, .reason = DELIVER_COALESCED}
                   : (struct deliver_result){.posted = 1, .reason = DELIVER_POSTED};
}

struct deliver_result lapic_post(struct lapic *lapic, const struct apic_msg *msg)
{
    bool fixed = msg->delivery == APIC_DELIVERY_FIXED || msg->delivery == APIC_DELIVERY_LOWEST;
    struct deliver_result result;

    /*
     * SDM 11.4.7.2 "Local APIC State After It Has Been Software Disabled": INIT, NMI, SMI and SIPI
     * still work.
     */
    bool needs_software = fixed || msg->delivery == APIC_DELIVERY_EXTINT;
    if (!lapic_globally_enabled(lapic) || (needs_software && !lapic_software_enabled(lapic))) {
        (void)trace_lapic_hold(lapic->trace, lapic->cpu, msg->cause, 0, DELIVER_DISABLED,
                               msg->vector, HOLD_APIC_OFF, lapic_get_ppr(lapic),
                               lapic_writer_rip(lapic, LAPIC_REG_SVR));
        return (struct deliver_result){.rejected = 1, .reason = DELIVER_DISABLED};
    }
    if (msg->trigger == APIC_TRIGGER_LEVEL && msg->assert_level == APIC_DEASSERT) {
        return (struct deliver_result){.rejected = 1, .reason = DELIVER_IGNORED};
    }
    result = fixed ? post_vector(lapic, msg) : post_event(lapic, msg);
    if (result.reason != DELIVER_ILLEGAL || fixed) {
        lapic->posted.control |= 1; /* ON */
        if (lapic->sink) {
            lapic->sink->raise(lapic->sink_opaque, CPU_INTERRUPT_POLL, msg->cause, 0);
        }
    }
    return result;
}

static void fold_vectors(struct lapic *lapic)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t word = lapic->posted.pir[i], level = lapic->posted_level[i];

        lapic->posted.pir[i] = 0;
        lapic->posted_level[i] = 0;
        for (; word; word &= word - 1) {
            unsigned vector = i * 64 + (unsigned)__builtin_ctzll(word);
            cause_t cause = lapic->posted_cause[vector];
            lapic->posted_cause[vector] = 0;
            (void)lapic_accept(lapic, (vector_t)vector,
                               level >> (vector & 63) & 1 ? APIC_TRIGGER_LEVEL : APIC_TRIGGER_EDGE,
                               cause);
        }
    }
}

/* Clear first, then look: a post that comes meanwhile raises CPU_INTERRUPT_POLL again. */
void lapic_fold(struct lapic *lapic)
{
    static const enum apic_delivery event[LAPIC_POST_EVENTS] = {
        [LAPIC_POST_NMI] = APIC_DELIVERY_NMI,       [LAPIC_POST_SMI] = APIC_DELIVERY_SMI,
        [LAPIC_POST_INIT] = APIC_DELIVERY_INIT,     [LAPIC_POST_SIPI] = APIC_DELIVERY_STARTUP,
        [LAPIC_POST_EXTINT] = APIC_DELIVERY_EXTINT,
    };

    if (lapic->sink) {
        lapic->sink->lower(lapic->sink_opaque, CPU_INTERRUPT_POLL);
    }
    lapic->posted.control &= ~1ull;
    uint32_t events = lapic->posted_events;
    lapic->posted_events = 0;
    fold_vectors(lapic);
    if (events & LAPIC_POSTED_EXTINT) {
        lapic->extint_latch = true;
        lapic->posted_event_cause[LAPIC_POST_EXTINT] = trace_lapic_event(
            lapic->trace, lapic->cpu, lapic->posted_event_cause[LAPIC_POST_EXTINT], 0, 0,
            APIC_DELIVERY_EXTINT, 0, lapic->posted_event_source[LAPIC_POST_EXTINT]);
    }
    lapic_update(lapic);
    for (unsigned i = 0; i < LAPIC_POST_EXTINT; i++) {
        if (events & lapic_event_bit(event[i])) {
            lapic_raise_event(lapic, event[i], i == LAPIC_POST_SIPI ? lapic->posted_sipi : 0,
                              lapic->posted_event_source[i], lapic->posted_event_cause[i]);
        }
    }
}

bool lapic_match(const struct lapic *lapic, const struct apic_msg *msg)
{
    uint32_t ldr = lapic_reg(lapic, LAPIC_REG_LDR) >> 24;

    if (msg->dest == 0xff) { /* also the only logical broadcast, whatever LDR holds */
        return true;
    }
    if (msg->dest > 0xff) {
        return false;
    }
    if (msg->dest_mode == APIC_DEST_PHYSICAL) {
        return msg->dest == lapic_reg(lapic, LAPIC_REG_ID) >> 24;
    }
    switch (lapic_reg(lapic, LAPIC_REG_DFR) >> 28) {
    case 0xf: /* flat. SDM 11.6.2.2 "Logical Destination Mode" */
        return ldr & msg->dest;
    case 0x0: /* cluster */
        return ldr >> 4 == msg->dest >> 4 && (ldr & msg->dest & 0x0f);
    default: /* no other model is defined */
        return false;
    }
}
