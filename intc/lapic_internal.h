/* SPDX-License-Identifier: MIT */
/*
 * Private to the local APIC: what its core, its registers and its timer share.
 */
#ifndef IRQSCOPE_INTC_LAPIC_INTERNAL_H
#define IRQSCOPE_INTC_LAPIC_INTERNAL_H

#include "intc/lapic.h"

#define LAPIC_SVR_ENABLE           (1u << 8)
#define LAPIC_SVR_EOI_SUPPRESS     (1u << 12)
#define LAPIC_VERSION              0x00050014u /* integrated APIC, 6 LVT entries */
#define LAPIC_VERSION_EOI_SUPPRESS (1u << 24)

#define LVT_DELIVERY               (7u << 8)
#define LVT_ACTIVE_LOW             (1u << 13)
#define LVT_REMOTE_IRR             (1u << 14)
#define LVT_LEVEL                  (1u << 15)
#define LVT_MASKED                 (1u << 16)
#define LVT_PERIODIC               (1u << 17)

#define ESR_SEND_ILLEGAL           0x20u
#define ESR_RECEIVE_ILLEGAL        0x40u
#define ESR_ILLEGAL_ADDRESS        0x80u

#define LAPIC_POSTED_EXTINT        (1u << 16)
enum lapic_posted_event {
    LAPIC_POST_NMI,
    LAPIC_POST_SMI,
    LAPIC_POST_INIT,
    LAPIC_POST_SIPI,
    LAPIC_POST_EXTINT,
    LAPIC_POST_EVENTS
};

/* Operand "entry" of lapic_lvt records: order of the entries by the version register's count. */
enum lapic_lvt_entry {
    LAPIC_LVT_ENTRY_TIMER,
    LAPIC_LVT_ENTRY_THERMAL,
    LAPIC_LVT_ENTRY_PERF,
    LAPIC_LVT_ENTRY_LINT0,
    LAPIC_LVT_ENTRY_LINT1,
    LAPIC_LVT_ENTRY_ERROR
};

/* One 16-byte register of the page. rw 0 = read only. */
struct lapic_reg_desc {
    const char *name; /* NULL: not implemented */
    uint32_t reset;
    uint32_t rw;
    bool write_only; /* reads as 0 */
    uint32_t (*read)(struct lapic *lapic);
    /* After the new value was stored. */
    void (*write)(struct lapic *lapic, unsigned off, uint32_t old, uint32_t raw,
                  const struct bus_attrs *attrs);
    const char *spec; /* SDM Vol. 3A section */
};
#define LAPIC_NREGS 64
extern const struct lapic_reg_desc lapic_reg_table[LAPIC_NREGS];

static inline uint32_t lapic_reg(const struct lapic *lapic, unsigned off)
{
    return lapic->regs[off / 4];
}

static inline void lapic_set_reg(struct lapic *lapic, unsigned off, uint32_t value)
{
    lapic->regs[off / 4] = value;
}

/* The 256-bit registers ISR, TMR, IRR: first is the offset of the lowest 32 vectors. */
static inline bool lapic_bit(const struct lapic *lapic, unsigned first, unsigned vector)
{
    return lapic_reg(lapic, first + vector / 32 * 16) >> (vector % 32) & 1;
}

static inline void lapic_set_bit(struct lapic *lapic, unsigned first, unsigned vector)
{
    lapic->regs[(first + vector / 32 * 16) / 4] |= 1u << (vector % 32);
}

static inline void lapic_clear_bit(struct lapic *lapic, unsigned first, unsigned vector)
{
    lapic->regs[(first + vector / 32 * 16) / 4] &= ~(1u << (vector % 32));
}

/* Highest vector set, or -1. */
int lapic_highest(const struct lapic *lapic, unsigned first);

/* PPR for a record; not worked out with nobody listening. */
static inline uint8_t lapic_traced_ppr(const struct lapic *lapic)
{
    return lapic->trace->enabled ? lapic_get_ppr(lapic) : 0;
}
uint8_t lapic_get_apr(const struct lapic *lapic);

static inline bool lapic_globally_enabled(const struct lapic *lapic)
{
    return lapic->base & LAPIC_BASE_ENABLE;
}

static inline bool lapic_software_enabled(const struct lapic *lapic)
{
    return lapic_globally_enabled(lapic) && (lapic_reg(lapic, LAPIC_REG_SVR) & LAPIC_SVR_ENABLE);
}

/* RIP of a register's last writer, 0 if nobody wrote it. */
uint64_t lapic_writer_rip(const struct lapic *lapic, unsigned off);
/* IRR[vector] = 1 for the owner; no update. */
struct deliver_result lapic_accept(struct lapic *lapic, vector_t vector, enum apic_trigger trigger,
                                   cause_t cause);
/* Log error bits, and fire the error LVT once. No update. */
void lapic_log_error(struct lapic *lapic, uint32_t bits, unsigned vector, uint64_t rip,
                     cause_t cause);
/* Deliver what an LVT entry says. No update. */
void lapic_deliver_lvt(struct lapic *lapic, unsigned off, enum lapic_lvt_entry entry,
                       cause_t cause);
/* CPU_INTERRUPT_* bit of a delivery mode that is an event (ExtINT: LAPIC_POSTED_EXTINT), else 0. */
uint32_t lapic_event_bit(enum apic_delivery delivery);
/* NMI, SMI, INIT or SIPI goes to the CPU's latch. source: who sent it (enum irq_requester). */
void lapic_raise_event(struct lapic *lapic, enum apic_delivery delivery, vector_t vector,
                       uint32_t source, cause_t cause);
/*
 * INTA came, or the last request vanished intr_fall ago: the output falls. Call lapic_update()
 * after it.
 */
void lapic_lower_output(struct lapic *lapic);
clock_event_fn lapic_output_falls;
/* LINT0/LINT1 or their LVT entries changed: serve a level request. */
void lapic_service_lint(struct lapic *lapic, unsigned pin);
/* Registers back to their reset values (ID excepted). */
void lapic_reset_page(struct lapic *lapic);
/* The one place where HARD is derived. */
void lapic_update(struct lapic *lapic);

void lapic_timer_init(struct lapic *lapic);
uint32_t lapic_timer_count(const struct lapic *lapic);
/* TMICT was written: start, or stop with 0. */
void lapic_timer_start(struct lapic *lapic, cause_t cause);
/* TDCR is about to change: go on from the current count with the new divider. */
void lapic_timer_redivide(struct lapic *lapic, uint32_t old_tdcr);
void lapic_timer_stop(struct lapic *lapic);

#endif
