/* SPDX-License-Identifier: MIT */
/*
 * Where cpu/ and intc/ meet without knowing each other: two structs of function pointers, joined by the board.
 *
 * interrupt_request is a set of *reasons*. HARD mirrors a level (the local APIC's or 8259's output); NMI, SMI, INIT and
 * SIPI are latches that the CPU clears on acceptance. The vector is never stored in the CPU: ack() chooses it at the moment of
 * acceptance, and may find nothing left (then it answers the spurious vector). Machine thread only.
 */
#ifndef IRQSCOPE_BUS_INTR_H
#define IRQSCOPE_BUS_INTR_H

#include "bus/types.h"

enum cpu_interrupt {
    CPU_INTERRUPT_HARD = 1u << 0,
    CPU_INTERRUPT_NMI = 1u << 1,
    CPU_INTERRUPT_SMI = 1u << 2,
    CPU_INTERRUPT_INIT = 1u << 3,
    CPU_INTERRUPT_SIPI = 1u << 4,
    CPU_INTERRUPT_POLL = 1u << 5, /* posted requests wait to be folded by their owner */
    CPU_INTERRUPT_EXIT = 1u << 6, /* leave the execution loop (stop, reset, limit) */
};

/* chip -> cpu */
struct intr_sink_ops {
    /* Set reasons. cause: the record that asks (becomes the hold's or acknowledge's cause). arg: SIPI vector, else 0. */
    void (*raise)(void *opaque, uint32_t bits, cause_t cause, uint8_t arg);
    void (*lower)(void *opaque, uint32_t bits);
};

enum intr_ack_source {
    INTR_ACK_LAPIC,
    INTR_ACK_LAPIC_SPURIOUS,
    INTR_ACK_PIC,
    INTR_ACK_PIC_SPURIOUS,
};

struct intr_ack {
    vector_t vector;
    uint8_t source; /* enum intr_ack_source */
    cause_t cause;  /* the controller's acknowledge record */
};

/* cpu -> chips */
struct intr_source_ops {
    /* Choose the vector now; cause = the CPU's current context. Always answers (possibly a spurious vector). */
    struct intr_ack (*ack)(void *opaque, const struct bus_attrs *attrs);
    /* Fold posted requests into this CPU's local APIC (CPU_INTERRUPT_POLL). */
    void (*fold)(void *opaque);
    /* Does gpa lie in this CPU's local APIC window now? */
    bool (*apic_window)(void *opaque, gpa_t gpa);
    uint64_t (*apic_read)(void *opaque, uint32_t off, unsigned size, const struct bus_attrs *attrs);
    void (*apic_write)(void *opaque, uint32_t off, unsigned size, uint64_t value,
                       const struct bus_attrs *attrs);
    /* CR8 (TPR bits 7:4). */
    uint8_t (*get_tpr)(void *opaque);
    void (*set_tpr)(void *opaque, uint8_t cr8, const struct bus_attrs *attrs);
    /* IA32_APIC_BASE; set returns false for #GP. */
    uint64_t (*get_base)(void *opaque);
    bool (*set_base)(void *opaque, uint64_t value, const struct bus_attrs *attrs);
    /* INIT or reset reached the CPU: reset the local APIC accordingly. */
    void (*cpu_init)(void *opaque);
};

#endif
