/* SPDX-License-Identifier: MIT */
/*
 * Scalars with a unit, shared by every folder.
 */
#ifndef IRQSCOPE_BUS_TYPES_H
#define IRQSCOPE_BUS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Guest physical address. */
typedef uint64_t gpa_t;
/* Virtual time in nanoseconds since power-on. */
typedef uint64_t vtime_t;
/* Interrupt vector, 0-255. */
typedef uint8_t vector_t;
/* Id of a trace record; 0 = nobody was listening when the cause happened. */
typedef uint64_t cause_t;

#define VTIME_NEVER       UINT64_MAX

#define irq_likely(x)     __builtin_expect(!!(x), 1)
#define irq_unlikely(x)   __builtin_expect(!!(x), 0)
#define irq_array_size(a) (sizeof(a) / sizeof((a)[0]))

/* Who makes a bus access. CPUs are 0..IRQ_REQ_CPU_MAX, devices have source ids above. */
enum irq_requester {
    IRQ_REQ_CPU_MAX = 0x3ff,
    IRQ_REQ_IOAPIC = 0x1000, /* + index of the IOAPIC */
    IRQ_REQ_HPET = 0x1100,
    IRQ_REQ_LOADER = 0x2000,   /* firmware before the guest starts */
    IRQ_REQ_DEBUGGER = 0x2001, /* someone outside the machine */
    IRQ_REQ_PCI = 0x10000,     /* + bus << 8 | devfn */
};

enum deliver_reason {
    DELIVER_OK = 0,
    DELIVER_POSTED,    /* handed to another CPU; its accept record completes it */
    DELIVER_COALESCED, /* joined a request that was already pending */
    DELIVER_MASKED,    /* a mask bit stood in the way */
    DELIVER_NO_TARGET, /* no CPU matched the destination */
    DELIVER_DISABLED,  /* the target's APIC is off */
    DELIVER_ILLEGAL,   /* illegal vector or message */
    DELIVER_IGNORED,   /* accepted and has no effect (for example SIPI to a running CPU) */
    DELIVER_PENDING,   /* left pending at the sender (Remote IRR set) */
};

/* Answer of everything that delivers; counts are targets. */
struct deliver_result {
    uint16_t accepted;
    uint16_t posted;
    uint16_t coalesced;
    uint16_t rejected;
    uint16_t pending;
    uint8_t reason; /* enum deliver_reason: the first that applied */
};

/*
 * Goes with every bus access, so that a cause survives an MSI write and every
 * controller register can tell who wrote it last.
 */
struct bus_attrs {
    uint32_t requester; /* enum irq_requester */
    cause_t cause;
    uint64_t rip;                  /* linear-free RIP of the instruction; 0 for devices */
    struct deliver_result *result; /* where an MSI store leaves its answer; may be NULL */
};

/* Who wrote a register last; kept with recording off too. vtime VTIME_NEVER = nobody yet. */
struct reg_writer {
    uint64_t rip;
    vtime_t vtime;
    uint32_t requester;
};

#endif
