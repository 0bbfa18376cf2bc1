/* SPDX-License-Identifier: MIT */
/*
 * Local APIC (xAPIC) with its timer. Intel SDM Vol. 3A, chapter 11 "Advanced Programmable
 * Interrupt Controller (APIC)".
 *
 * A LAPIC belongs to its CPU. Others reach it only by lapic_post(); the owner folds posted
 * requests at its next poll (CPU_INTERRUPT_POLL). Machine thread only.
 */
#ifndef IRQSCOPE_INTC_LAPIC_H
#define IRQSCOPE_INTC_LAPIC_H

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/intr.h"
#include "bus/irq.h"
#include "bus/reg.h"
#include "bus/trace.h"
#include "intc/apic_msg.h"

#define LAPIC_DEFAULT_BASE 0xFEE00000ull
#define LAPIC_BASE_BSP     (1ull << 8)
#define LAPIC_BASE_X2APIC  (1ull << 10)
#define LAPIC_BASE_ENABLE  (1ull << 11)

/* Register offsets. SDM Vol. 3A table 11-1 "Local APIC Register Address Map". */
enum lapic_reg {
    LAPIC_REG_ID = 0x20,
    LAPIC_REG_VERSION = 0x30,
    LAPIC_REG_TPR = 0x80,
    LAPIC_REG_APR = 0x90,
    LAPIC_REG_PPR = 0xA0,
    LAPIC_REG_EOI = 0xB0,
    LAPIC_REG_LDR = 0xD0,
    LAPIC_REG_DFR = 0xE0,
    LAPIC_REG_SVR = 0xF0,
    LAPIC_REG_ISR = 0x100,
    LAPIC_REG_TMR = 0x180,
    LAPIC_REG_IRR = 0x200,
    LAPIC_REG_ESR = 0x280,
    LAPIC_REG_LVT_CMCI = 0x2F0,
    LAPIC_REG_ICR_LOW = 0x300,
    LAPIC_REG_ICR_HIGH = 0x310,
    LAPIC_REG_LVT_TIMER = 0x320,
    LAPIC_REG_LVT_THERMAL = 0x330,
    LAPIC_REG_LVT_PERF = 0x340,
    LAPIC_REG_LVT_LINT0 = 0x350,
    LAPIC_REG_LVT_LINT1 = 0x360,
    LAPIC_REG_LVT_ERROR = 0x370,
    LAPIC_REG_TMICT = 0x380,
    LAPIC_REG_TMCCT = 0x390,
    LAPIC_REG_TDCR = 0x3E0,
};

/*
 * Posted-interrupt descriptor in the hardware's 64-byte layout. SDM Vol. 3C, 30.6 "Posted-
 * Interrupt Processing".
 */
struct posted_desc {
    uint64_t pir[4];
    uint64_t control; /* bit 0 ON, bit 1 SN, 23:16 NV, 63:32 NDST */
    uint64_t reserved[3];
};

struct lapic;

/*
 * What the fabric joins: IPIs out, EOI broadcasts out, ExtINT answers in. Implemented by
 * apic_fabric.c and the board.
 */
struct lapic_ops {
    struct deliver_result (*send)(void *opaque, struct lapic *from, const struct apic_msg *msg);
    void (*eoi_broadcast)(void *opaque, vector_t vector, cause_t cause);
    struct intr_ack (*pic_ack)(void *opaque, uint16_t cpu, cause_t cause);
};

#define LAPIC_TIMER_HZ 1000000000ull /* bus clock before the divider: 1 tick per ns */

struct lapic {
    uint32_t regs[1024]; /* 4 KiB page in the hardware's layout: offset off is regs[off / 4] */
    uint64_t base;       /* IA32_APIC_BASE */
    uint16_t cpu;        /* index of the owner */
    uint32_t initial_id;
    bool lint0, lint1;      /* input levels */
    bool extint_latch;      /* an ExtINT *message* arrived */
    bool out;               /* HARD is raised */
    uint8_t esr_pending;    /* errors since the last ESR write */
    cause_t irr_cause[256]; /* record of the request pending in IRR */
    cause_t isr_cause[256]; /* record of the acknowledge */
    cause_t lint0_cause;
    cause_t out_cause;          /* what the sink was told last */
    uint64_t lint_asserters[2]; /* bitmap of sources (source number & 63) */
    uint16_t held_vector;       /* last told hold: vector and reason */
    uint8_t held;
    bool held_lint0;  /* told that LINT0 waits for its mask */
    bool error_fired; /* the error LVT fired since the last ESR write */
    bool bsp;         /* the bootstrap processor: BSP flag at power-on */
    /* 3-wire APIC bus (Pentium, P6): once disabled in IA32_APIC_BASE, off until reset. */
    bool one_way_disable;
    uint8_t phys_bits; /* MAXPHYADDR, for the reserved bits of IA32_APIC_BASE; 40 unless set */
    vtime_t intr_fall; /* ns that HARD outlives the last request; 0 unless set */
    struct clock_event fall;
    struct clock_event timer;
    vtime_t timer_start; /* virtual time at which timer_count was the current count */
    uint32_t timer_count;
    cause_t timer_cause; /* context that armed the timer */
    struct posted_desc posted;
    cause_t posted_cause[256];
    uint64_t posted_level[4]; /* trigger per posted vector */
    uint32_t posted_events;   /* CPU_INTERRUPT_NMI | SMI | INIT | SIPI, and 1u << 16 for ExtINT */
    uint8_t posted_sipi;
    cause_t posted_event_cause[5]; /* NMI, SMI, INIT, SIPI, ExtINT */
    uint32_t posted_event_source[5];
    struct reg_writer writer[64]; /* per 16-byte register */
    const struct intr_sink_ops *sink;
    void *sink_opaque;
    const struct lapic_ops *ops;
    void *ops_opaque;
    struct clock *clock;
    struct trace *trace;
};

/*
 * Power-on state, by lapic_reset(). cpu: index of the owner; apic_id: initial id, 0-255. The board
 * sets sink and, through the fabric, ops afterwards; without them nothing leaves the APIC.
 */
void lapic_init(struct lapic *lapic, uint16_t cpu, uint32_t apic_id, bool bsp, struct clock *clock,
                struct trace *trace);
/*
 * POWER_ON: everything, IA32_APIC_BASE too. INIT: the same but for ID and IA32_APIC_BASE, and NMI,
 * SMI and SIPI posts survive. SDM Vol. 3A, 11.4.7.1 "Local APIC State After Power-Up or Reset",
 * 11.4.7.3 "Local APIC State After an INIT Reset".
 */
enum lapic_reset_kind {
    LAPIC_RESET_POWER_ON,
    LAPIC_RESET_INIT
};
void lapic_reset(struct lapic *lapic, enum lapic_reset_kind kind);
/*
 * Virtual wire as a BIOS leaves it on the BSP: SVR=1FFh, LINT0=8700h (ExtINT), LINT1=8400h (NMI).
 * Machine set-up only.
 */
void lapic_set_bios_state(struct lapic *lapic);
/*
 * Advertise EOI-broadcast suppression (version bit 24; SVR bit 12). Only beside IOAPICs that have
 * an EOI register.
 */
void lapic_set_eoi_suppression(struct lapic *lapic, bool supported);
/*
 * The owner's CPU accesses its window: off 0-FFFh, size 1, 2, 4 or 8 bytes. Anything is accepted;
 * what is not implemented reads as 0 and sets ESR bit 7. SDM Vol. 3A, 11.4.1 "The Local APIC Block
 * Diagram" (table 11-1), 11.5.3 "Error Handling". May raise or lower the sink, send and broadcast.
 */
uint64_t lapic_read(struct lapic *lapic, uint32_t off, unsigned size,
                    const struct bus_attrs *attrs);
void lapic_write(struct lapic *lapic, uint32_t off, unsigned size, uint64_t value,
                 const struct bus_attrs *attrs);
/* irq_set_fn: pin 0 = LINT0, 1 = LINT1. */
void lapic_set_lint(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause);
/*
 * The one door for others: post a message that is known to match this LAPIC. Answers posted,
 * coalesced (an equal one waits for the fold) or rejected: DELIVER_DISABLED, DELIVER_ILLEGAL (a
 * vector below 16 still travels and becomes the receiver's error), DELIVER_IGNORED (level de-
 * assert). SDM Vol. 3A, 11.4.7.2 "Local APIC State After It Has Been Software Disabled".
 */
struct deliver_result lapic_post(struct lapic *lapic, const struct apic_msg *msg);
/*
 * By the owner, when CPU_INTERRUPT_POLL was raised: posted vectors enter IRR, events go to the
 * sink.
 */
void lapic_fold(struct lapic *lapic);
/*
 * INTA. ExtINT first (then the 8259 answers), else the highest vector in IRR moves to ISR, else the
 * spurious vector of SVR without an ISR bit. SDM Vol. 3A, 11.8.4 "Interrupt Acceptance for Fixed
 * Interrupts", 11.9 "Spurious Interrupt".
 */
struct intr_ack lapic_ack(struct lapic *lapic, const struct bus_attrs *attrs);
/*
 * The door of the owning CPU; opaque is the lapic. set_base refuses reserved bits and x2APIC
 * (#GP).
 */
extern const struct intr_source_ops lapic_intr_source_ops;
/*
 * Does msg's destination match? (physical, logical flat and cluster, broadcast). Pure on the
 * published fields.
 */
bool lapic_match(const struct lapic *lapic, const struct apic_msg *msg);
/*
 * Processor priority as the PPR register reads. SDM Vol. 3A, 11.8.3.1 "Task and Processor
 * Priorities".
 */
uint8_t lapic_get_ppr(const struct lapic *lapic);
/*
 * For "halted for ever". Is the timer armed, its LVT unmasked and its vector above PPR (which only
 * this CPU can lower)? Would LINT0, or INTR with the APIC disabled, let the 8259 through?
 */
bool lapic_timer_open(const struct lapic *lapic);
bool lapic_extint_open(const struct lapic *lapic);
/* Always-true statements about the state; asserts in builds with IRQ_CHECKS. */
void lapic_check(const struct lapic *lapic);

#endif
