/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's registers as the owning CPU sees them.
 *
 * Intel SDM Vol. 3A (order no. 325384), 11.4.1 "The Local APIC Block Diagram" with table 11-1
 * "Local APIC Register Address Map"; AMD64 APM Vol. 2 (order no. 24593), 16.3 "Local APIC".
 *
 * Modelled: the table below. Bits outside `rw` keep their reset value. A write leaves its writer.
 * Readings taken: an unimplemented register sets ESR bit 7; a write to a read-only one is ignored;
 * bytes 4-15 of a register read as 0 and ignore writes; a narrower write merges with the register
 * and acts like a full one; both are recorded (lapic_error, esr 0).
 * Not modelled: x2APIC mode, CMCI (the version register announces 6 LVT entries), SELF IPI,
 * extended registers.
 * Deviations: none known.
 */
#include "intc/lapic.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"

static uint32_t read_apr(struct lapic *lapic)
{
    return lapic_get_apr(lapic);
}

static uint32_t read_ppr(struct lapic *lapic)
{
    return lapic_get_ppr(lapic);
}

static uint32_t read_tmcct(struct lapic *lapic)
{
    return lapic_timer_count(lapic);
}

/* A level LINT interrupt whose EOI arrived: clear the entry's Remote IRR, look at the pin again. */
static void end_lint(struct lapic *lapic, vector_t vector)
{
    uint32_t lvt = lapic_reg(lapic, LAPIC_REG_LVT_LINT0);

    if ((lvt & LVT_REMOTE_IRR) && (lvt & 0xff) == vector) {
        lapic_set_reg(lapic, LAPIC_REG_LVT_LINT0, lvt & ~LVT_REMOTE_IRR);
        lapic_service_lint(lapic, 0);
    }
}

/* SDM 11.8.5 "Signaling Interrupt Servicing Completion". */
static void write_eoi(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                      const struct bus_attrs *attrs)
{
    int top = lapic_highest(lapic, LAPIC_REG_ISR);

    (void)off;
    (void)old;
    (void)raw;
    if (top < 0) {
        (void)trace_lapic_eoi(lapic->trace, lapic->cpu, attrs->cause, 0, DELIVER_IGNORED, 0, 0,
                              lapic_traced_ppr(lapic), attrs->rip);
        return;
    }
    vector_t vector = (vector_t)top;
    cause_t served = lapic->isr_cause[vector];
    bool level = lapic_bit(lapic, LAPIC_REG_TMR, vector);
    bool suppressed = lapic_reg(lapic, LAPIC_REG_SVR) & LAPIC_SVR_EOI_SUPPRESS;

    lapic_clear_bit(lapic, LAPIC_REG_ISR, vector);
    lapic->isr_cause[vector] = 0;
    cause_t rec = trace_lapic_eoi(lapic->trace, lapic->cpu, attrs->cause, served, DELIVER_OK,
                                  vector, level, lapic_traced_ppr(lapic), attrs->rip);
    end_lint(lapic, vector);
    lapic_update(lapic);
    if (level && !suppressed && lapic->ops && lapic->ops->eoi_broadcast) {
        lapic->ops->eoi_broadcast(lapic->ops_opaque, vector, rec);
    }
}

/*
 * SDM 11.4.7.2: "the mask bits for all the LVT entries are set. Attempts to reset these bits will
 * be ignored."
 */
static void write_svr(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                      const struct bus_attrs *attrs)
{
    (void)old;
    (void)raw;
    (void)attrs;
    uint32_t svr = lapic_reg(lapic, off);
    if (!(lapic_reg(lapic, LAPIC_REG_VERSION) & LAPIC_VERSION_EOI_SUPPRESS)) {
        svr &= ~LAPIC_SVR_EOI_SUPPRESS;
        lapic_set_reg(lapic, off, svr);
    }
    if (!(svr & LAPIC_SVR_ENABLE)) {
        for (unsigned lvt = LAPIC_REG_LVT_TIMER; lvt <= LAPIC_REG_LVT_ERROR; lvt += 16) {
            lapic_set_reg(lapic, lvt, lapic_reg(lapic, lvt) | LVT_MASKED);
        }
    }
}

static void write_lvt(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                      const struct bus_attrs *attrs)
{
    (void)old;
    (void)raw;
    (void)attrs;
    uint32_t lvt = lapic_reg(lapic, off);
    if (!(lapic_reg(lapic, LAPIC_REG_SVR) & LAPIC_SVR_ENABLE)) {
        lvt |= LVT_MASKED;
    }
    if (!(lvt & LVT_LEVEL)) {
        lvt &= ~LVT_REMOTE_IRR;
    }
    lapic_set_reg(lapic, off, lvt);
    if (off == LAPIC_REG_LVT_LINT0) {
        lapic_service_lint(lapic, 0);
    }
}

/*
 * SDM 11.5.3 "Error Handling": a write latches what was logged since the last one, and rearms the
 * error interrupt.
 */
static void write_esr(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                      const struct bus_attrs *attrs)
{
    (void)old;
    (void)raw;
    (void)attrs;
    lapic_set_reg(lapic, off, lapic->esr_pending);
    lapic->esr_pending = 0;
    lapic->error_fired = false;
}

/*
 * SDM 11.6.1 "Interrupt Command Register (ICR)"; table 11-3 "Valid Combinations for the Pentium 4
 * and Intel Xeon Processors' Local xAPIC Interrupt Command Register". Trigger and level mean
 * nothing but in INIT level de-assert, which these processors ignore.
 */
static void write_icr(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                      const struct bus_attrs *attrs)
{
    (void)old;
    (void)raw;
    uint64_t icr = lapic_reg(lapic, off) | (uint64_t)lapic_reg(lapic, LAPIC_REG_ICR_HIGH) << 32;
    struct apic_msg msg;
    uint8_t result = DELIVER_OK;

    icr_decode(icr, &msg);
    bool has_vector = msg.delivery == APIC_DELIVERY_FIXED || msg.delivery == APIC_DELIVERY_LOWEST;
    bool with_self = msg.shorthand == APIC_SHORT_SELF || msg.shorthand == APIC_SHORT_ALL;
    if (msg.delivery == APIC_DELIVERY_RESERVED || msg.delivery == APIC_DELIVERY_EXTINT ||
        (with_self && msg.delivery != APIC_DELIVERY_FIXED)) {
        result = DELIVER_ILLEGAL;
    } else if (msg.delivery == APIC_DELIVERY_INIT && msg.trigger == APIC_TRIGGER_LEVEL &&
               msg.assert_level == APIC_DEASSERT) {
        result = DELIVER_IGNORED;
    }
    cause_t rec = trace_ipi(lapic->trace, lapic->cpu, attrs->cause, 0, result, icr, msg.vector,
                            msg.delivery, attrs->rip);
    if (result != DELIVER_OK) {
        return;
    }
    msg.trigger = APIC_TRIGGER_EDGE;
    msg.assert_level = APIC_ASSERT;
    msg.source = lapic->cpu;
    msg.cause = rec;
    if (has_vector && msg.vector < 16) {
        lapic_log_error(lapic, ESR_SEND_ILLEGAL, msg.vector, attrs->rip, rec);
    }
    lapic_update(lapic);
    if (lapic->ops && lapic->ops->send) {
        (void)lapic->ops->send(lapic->ops_opaque, lapic, &msg);
    }
}

static void write_tmict(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                        const struct bus_attrs *attrs)
{
    (void)off;
    (void)old;
    (void)raw;
    lapic_timer_start(lapic, attrs->cause);
}

static void write_tdcr(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                       const struct bus_attrs *attrs)
{
    (void)off;
    (void)raw;
    (void)attrs;
    lapic_timer_redivide(lapic, old);
}

#define R(off) [(off) >> 4]
#define BITS256(first, label, section)                                             \
    R((first) + 0x00) = {label "0", 0, 0, false, NULL, NULL, section},             \
                R((first) + 0x10) = {label "1", 0, 0, false, NULL, NULL, section}, \
                R((first) + 0x20) = {label "2", 0, 0, false, NULL, NULL, section}, \
                R((first) + 0x30) = {label "3", 0, 0, false, NULL, NULL, section}, \
                R((first) + 0x40) = {label "4", 0, 0, false, NULL, NULL, section}, \
                R((first) + 0x50) = {label "5", 0, 0, false, NULL, NULL, section}, \
                R((first) + 0x60) = {label "6", 0, 0, false, NULL, NULL, section}, \
                R((first) + 0x70) = {label "7", 0, 0, false, NULL, NULL, section}

const struct lapic_reg_desc lapic_reg_table[LAPIC_NREGS] = {
    R(LAPIC_REG_ID) = {"ID", 0, 0xff000000, false, NULL, NULL, "11.4.6 Local APIC ID"},
    R(LAPIC_REG_VERSION) = {"VERSION", LAPIC_VERSION, 0, false, NULL, NULL,
                            "11.4.8 Local APIC Version Register"},
    R(LAPIC_REG_TPR) = {"TPR", 0, 0xff, false, NULL, NULL,
                        "11.8.3.1 Task and Processor Priorities"},
    R(LAPIC_REG_APR) = {"APR", 0, 0, false, read_apr, NULL,
                        "11.6.2.4 Lowest Priority Delivery Mode"},
    R(LAPIC_REG_PPR) = {"PPR", 0, 0, false, read_ppr, NULL,
                        "11.8.3.1 Task and Processor Priorities"},
    R(LAPIC_REG_EOI) = {"EOI", 0, 0, true, NULL, write_eoi,
                        "11.8.5 Signaling Interrupt Servicing Completion"},
    R(0xC0) = {"RRD", 0, 0, false, NULL, NULL, "table 11-1 Local APIC Register Address Map"},
    R(LAPIC_REG_LDR) = {"LDR", 0, 0xff000000, false, NULL, NULL,
                        "11.6.2.2 Logical Destination Mode"},
    R(LAPIC_REG_DFR) = {"DFR", 0xffffffff, 0xf0000000, false, NULL, NULL,
                        "11.6.2.2 Logical Destination Mode"},
    R(LAPIC_REG_SVR) = {"SVR", 0xff, 0x11ff, false, NULL, write_svr, "11.9 Spurious Interrupt"},
    BITS256(LAPIC_REG_ISR, "ISR", "11.8.4 Interrupt Acceptance for Fixed Interrupts"),
    BITS256(LAPIC_REG_TMR, "TMR", "11.8.4 Interrupt Acceptance for Fixed Interrupts"),
    BITS256(LAPIC_REG_IRR, "IRR", "11.8.4 Interrupt Acceptance for Fixed Interrupts"),
    R(LAPIC_REG_ESR) = {"ESR", 0, 0, false, NULL, write_esr, "11.5.3 Error Handling"},
    R(LAPIC_REG_ICR_LOW) = {"ICR0", 0, 0xccfff, false, NULL, write_icr,
                            "11.6.1 Interrupt Command Register (ICR)"},
    R(LAPIC_REG_ICR_HIGH) = {"ICR1", 0, 0xff000000, false, NULL, NULL,
                             "11.6.1 Interrupt Command Register (ICR)"},
    R(LAPIC_REG_LVT_TIMER) = {"LVT_TIMER", 0x10000, 0x300ff, false, NULL, write_lvt,
                              "11.5.1 Local Vector Table"},
    R(LAPIC_REG_LVT_THERMAL) = {"LVT_THERMAL", 0x10000, 0x107ff, false, NULL, write_lvt,
                                "11.5.1 Local Vector Table"},
    R(LAPIC_REG_LVT_PERF) = {"LVT_PERF", 0x10000, 0x107ff, false, NULL, write_lvt,
                             "11.5.1 Local Vector Table"},
    R(LAPIC_REG_LVT_LINT0) = {"LVT_LINT0", 0x10000, 0x1a7ff, false, NULL, write_lvt,
                              "11.5.1 Local Vector Table"},
    R(LAPIC_REG_LVT_LINT1) = {"LVT_LINT1", 0x10000, 0x1a7ff, false, NULL, write_lvt,
                              "11.5.1 Local Vector Table"},
    R(LAPIC_REG_LVT_ERROR) = {"LVT_ERROR", 0x10000, 0x100ff, false, NULL, write_lvt,
                              "11.5.1 Local Vector Table"},
    R(LAPIC_REG_TMICT) = {"TMICT", 0, 0xffffffff, false, NULL, write_tmict, "11.5.4 APIC Timer"},
    R(LAPIC_REG_TMCCT) = {"TMCCT", 0, 0, false, read_tmcct, NULL, "11.5.4 APIC Timer"},
    R(LAPIC_REG_TDCR) = {"TDCR", 0, 0xb, false, NULL, write_tdcr, "11.5.4 APIC Timer"},
};

void lapic_reset_page(struct lapic *lapic)
{
    for (unsigned i = 0; i < LAPIC_NREGS; i++) {
        unsigned off = i * 16;
        lapic->writer[i] = (struct reg_writer){.vtime = VTIME_NEVER};
        if (off == LAPIC_REG_ID) {
            continue;
        }
        uint32_t keep =
            off == LAPIC_REG_VERSION ? lapic_reg(lapic, off) & LAPIC_VERSION_EOI_SUPPRESS : 0;
        lapic_set_reg(lapic, off, lapic_reg_table[i].reset | keep);
    }
}

uint64_t lapic_writer_rip(const struct lapic *lapic, unsigned off)
{
    const struct reg_writer *writer = &lapic->writer[off >> 4];
    return writer->vtime == VTIME_NEVER ? 0 : writer->rip;
}

/* Register that an access belongs to; logs what is wrong with it. NULL: no value and no effect. */
static const struct lapic_reg_desc *find(struct lapic *lapic, uint32_t off,
                                         const struct bus_attrs *attrs)
{
    const struct lapic_reg_desc *desc = &lapic_reg_table[off >> 4 & (LAPIC_NREGS - 1)];

    if (off >= LAPIC_NREGS * 16 || !desc->name) {
        lapic_log_error(lapic, ESR_ILLEGAL_ADDRESS, 0, attrs->rip, attrs->cause);
        lapic_update(lapic);
        return NULL;
    }
    if (off & 0xc) {
        (void)trace_lapic_error(lapic->trace, lapic->cpu, attrs->cause, 0, DELIVER_IGNORED, 0, 0,
                                attrs->rip);
        return NULL;
    }
    return desc;
}

uint64_t lapic_read(struct lapic *lapic, uint32_t off, unsigned size, const struct bus_attrs *attrs)
{
    const struct lapic_reg_desc *desc = find(lapic, off & 0xfff, attrs);

    if (!desc || desc->write_only) {
        return 0;
    }
    uint32_t value = desc->read ? desc->read(lapic) : lapic_reg(lapic, off & 0xff0);
    value >>= (off & 3) * 8;
    return size >= 4 ? value : value & ((1u << size * 8) - 1);
}

void lapic_write(struct lapic *lapic, uint32_t off, unsigned size, uint64_t value,
                 const struct bus_attrs *attrs)
{
    const struct lapic_reg_desc *desc = find(lapic, off & 0xfff, attrs);

    if (!desc) {
        return;
    }
    unsigned shift = (off & 3) * 8, reg = off & 0xff0;
    uint32_t bytes = (size >= 4 ? 0xffffffffu : (1u << size * 8) - 1) << shift;
    uint32_t old = lapic_reg(lapic, reg);
    uint32_t raw = (old & ~bytes) | ((uint32_t)value << shift & bytes);

    if (bytes != 0xffffffff || size != 4) {
        (void)trace_lapic_error(lapic->trace, lapic->cpu, attrs->cause, 0, DELIVER_IGNORED, 0, 0,
                                attrs->rip);
    }
    if (desc->rw == 0 && !desc->write) {
        return; /* read only */
    }
    lapic->writer[reg >> 4] = (struct reg_writer){attrs->rip, lapic->clock->now, attrs->requester};
    lapic_set_reg(lapic, reg, (old & ~desc->rw) | (raw & desc->rw));
    if (desc->write) {
        desc->write(lapic, reg, old, raw, attrs);
    }
    lapic_update(lapic);
}
