/* SPDX-License-Identifier: MIT */
/*
 * Causal trace records.
 *
 * A record is a fixed-size POD. Every record names the record that caused it (`cause`) and, where it joins an
 * earlier request, that record (`ref`: the pending record when coalescing, the episode when redelivering, the
 * frame that an IRET closes). Kinds are declared once, in an X-macro list per folder
 * (<folder>/trace_events.h); the list makes the enum, the typed emitter and the table that printers use.
 *
 * A list has the form
 *     #define CPU_TRACE_EVENTS(E0, E1, E2, E3, E4, E5) \
 *         E2(cpu_ack, "ack", vector, VEC, rip, ADDR)   \
 * where En has n operands, each with a name and a type of enum trace_operand_type without its prefix. The macros
 * TRACE_DEFINE_* below turn it into
 *     enum { TRACE_cpu_ack = TRACE_BASE_CPU + __COUNTER-like position, ... }
 *     static inline cause_t trace_cpu_ack(struct trace *, uint16_t cpu, cause_t cause, cause_t ref,
 *                                         uint8_t result, uint64_t vector, uint64_t rip)
 *     const struct trace_desc cpu_trace_descs[]
 *
 * Cost with nobody listening: one predictable branch (t->enabled). With a filter, a masked kind hands on its cause,
 * so chains never break. Records go to a buffer that is drained to the consumer when full, never overwritten.
 * No record may depend on a cache or a TLB. Thread class: machine thread only.
 */
#ifndef IRQSCOPE_BUS_TRACE_H
#define IRQSCOPE_BUS_TRACE_H

#include "bus/clock.h"
#include "bus/types.h"

#define TRACE_OPERANDS         5
#define TRACE_CPU_NONE         0xffff
#define TRACE_KINDS_PER_FOLDER 64

enum trace_folder {
    TRACE_FOLDER_BUS,
    TRACE_FOLDER_CPU,
    TRACE_FOLDER_INTC,
    TRACE_FOLDER_FIRMWARE,
    TRACE_FOLDERS,
};
#define TRACE_BASE(folder) ((folder)*TRACE_KINDS_PER_FOLDER)

/* How a printer shows an operand. */
enum trace_operand_type {
    TRACE_OP_DEC,    /* unsigned decimal */
    TRACE_OP_HEX,    /* 0x... */
    TRACE_OP_VEC,    /* vector, 0x%02x */
    TRACE_OP_ADDR,   /* guest code address (RIP): symbol+offset (file:line) where known */
    TRACE_OP_LINE,   /* number of a wire in the board's table: its name */
    TRACE_OP_BOOL,   /* 0/1 */
    TRACE_OP_REASON, /* enum trace_hold */
    TRACE_OP_ENUM,   /* enum named by the operand's name: printers may know it, else decimal */
};

/* Why something waits. Emitted when the reason changes, never per poll. */
enum trace_hold {
    HOLD_NONE = 0,
    HOLD_PIC_MASKED,     /* IMR bit set */
    HOLD_PIC_IN_SERVICE, /* an equal or higher priority is in service at the 8259 */
    HOLD_PIC_PRIORITY,   /* a higher-priority request is pending at the 8259 */
    HOLD_PIC_UNINIT,     /* the 8259 is in its ICW sequence */
    HOLD_LINT_MASKED,    /* LINT0 masked or not ExtINT: the 8259 is cut off from the CPU */
    HOLD_IOAPIC_MASKED,  /* redirection entry masked */
    HOLD_REMOTE_IRR,     /* level pin waits for EOI */
    HOLD_TRANSIT,
    HOLD_APIC_OFF,     /* APIC disabled in SVR or APIC_BASE */
    HOLD_LVT_MASKED,   /* local vector table entry masked */
    HOLD_LAPIC_ISR,    /* equal or higher class in service at the LAPIC */
    HOLD_LAPIC_TPR,    /* task priority */
    HOLD_LAPIC_HIGHER, /* higher vector pending */
    HOLD_NMI_BLOCKED,  /* NMI handler runs, until IRET */
    HOLD_IF,           /* EFLAGS.IF=0 */
    HOLD_SHADOW,       /* STI or MOV SS shadow */
    HOLD_TURN,         /* another CPU's turn */
    HOLD_DEBUGGER,
    HOLD_HOLDS
};

/* Kebab-case name, stable: "if-0", "pic-masked"... */
const char *trace_hold_name(enum trace_hold hold);

struct irq_record {
    uint64_t id; /* 1, 2, 3, ... */
    cause_t cause;
    cause_t ref;
    vtime_t vtime;
    uint64_t insns; /* instructions retired by cpu (0 for TRACE_CPU_NONE) */
    uint64_t op[TRACE_OPERANDS];
    uint16_t kind;
    uint16_t cpu;   /* TRACE_CPU_NONE = no CPU */
    uint8_t result; /* enum deliver_reason or 0 */
    uint8_t pad[3];
};

struct trace_operand {
    const char *name;
    enum trace_operand_type type;
};

struct trace_desc {
    uint16_t kind;
    const char *name;  /* "cpu_ack" */
    const char *title; /* short stage word for people: "ack" */
    uint8_t nops;
    struct trace_operand op[TRACE_OPERANDS];
};

/* Consumer: gets records in order, ids ascending; machine thread. */
typedef void trace_drain_fn(void *opaque, const struct irq_record *recs, size_t n);

#define TRACE_BUFFER 4096

struct trace {
    bool enabled; /* anybody listening at all */
    const struct clock *clock;
    /* Instructions retired per CPU; the board points it at its CPUs. May be NULL. */
    uint64_t (*insns)(void *opaque, uint16_t cpu);
    void *insns_opaque;
    uint64_t next_id;
    uint8_t masked[TRACE_FOLDERS * TRACE_KINDS_PER_FOLDER]; /* 1 = do not record */
    trace_drain_fn *drain;
    void *drain_opaque;
    uint32_t count;
    struct irq_record *buf; /* TRACE_BUFFER records, allocated by trace_listen() */
};

void trace_init(struct trace *t, const struct clock *clock);
void trace_fini(struct trace *t);
/* Start handing records to drain; returns 0 or -ENOMEM. Ids go on from where they were. */
int trace_listen(struct trace *t, trace_drain_fn *drain, void *opaque);
/* Hand over what is buffered. */
void trace_flush(struct trace *t);
/* Drop or keep a kind; masked kinds hand on their cause. */
void trace_mask_kind(struct trace *t, uint16_t kind, bool masked);

/* Out of line: stores a record and returns its id, or cause if the kind is masked. */
cause_t trace_emit_slow(struct trace *t, uint16_t kind, uint16_t cpu, cause_t cause, cause_t ref,
                        uint8_t result, const uint64_t *ops, unsigned nops);

static inline cause_t trace_emit(struct trace *t, uint16_t kind, uint16_t cpu, cause_t cause,
                                 cause_t ref, uint8_t result, const uint64_t *ops, unsigned nops)
{
    if (irq_likely(!t->enabled)) {
        return cause;
    }
    return trace_emit_slow(t, kind, cpu, cause, ref, result, ops, nops);
}

/* ---- what turns a list into enum, emitters and descriptors ---- */

#define TRACE_ENUM0(n, title)                                    TRACE_##n,
#define TRACE_ENUM1(n, title, a, at)                             TRACE_##n,
#define TRACE_ENUM2(n, title, a, at, b, bt)                      TRACE_##n,
#define TRACE_ENUM3(n, title, a, at, b, bt, c, ct)               TRACE_##n,
#define TRACE_ENUM4(n, title, a, at, b, bt, c, ct, d, dt)        TRACE_##n,
#define TRACE_ENUM5(n, title, a, at, b, bt, c, ct, d, dt, e, et) TRACE_##n,

/* enum trace_<folder>_kind; the first kind is TRACE_BASE(FOLDER). */
#define TRACE_DEFINE_ENUM(tag, FOLDER, LIST)                                                      \
    enum trace_##tag##_kind{TRACE_##tag##_first = TRACE_BASE(FOLDER) - 1,                         \
                            LIST(TRACE_ENUM0, TRACE_ENUM1, TRACE_ENUM2, TRACE_ENUM3, TRACE_ENUM4, \
                                 TRACE_ENUM5) TRACE_##tag##_end};

#define TRACE_ARGS \
    struct trace *t, uint16_t cpu_index, cause_t cause_id, cause_t ref_id, uint8_t result_code
#define TRACE_PASS(n, ops, count) \
    return trace_emit(t, TRACE_##n, cpu_index, cause_id, ref_id, result_code, ops, count)

#define TRACE_FN0(n, title)                     \
    static inline cause_t trace_##n(TRACE_ARGS) \
    {                                           \
        TRACE_PASS(n, NULL, 0);                 \
    }
#define TRACE_FN1(n, title, a, at)                          \
    static inline cause_t trace_##n(TRACE_ARGS, uint64_t a) \
    {                                                       \
        TRACE_PASS(n, &a, 1);                               \
    }
#define TRACE_FN2(n, title, a, at, b, bt)                               \
    static inline cause_t trace_##n(TRACE_ARGS, uint64_t a, uint64_t b) \
    {                                                                   \
        TRACE_PASS(n, ((const uint64_t[]){a, b}), 2);                   \
    }
#define TRACE_FN3(n, title, a, at, b, bt, c, ct)                                    \
    static inline cause_t trace_##n(TRACE_ARGS, uint64_t a, uint64_t b, uint64_t c) \
    {                                                                               \
        TRACE_PASS(n, ((const uint64_t[]){a, b, c}), 3);                            \
    }
#define TRACE_FN4(n, title, a, at, b, bt, c, ct, d, dt)                                         \
    static inline cause_t trace_##n(TRACE_ARGS, uint64_t a, uint64_t b, uint64_t c, uint64_t d) \
    {                                                                                           \
        TRACE_PASS(n, ((const uint64_t[]){a, b, c, d}), 4);                                     \
    }
#define TRACE_FN5(n, title, a, at, b, bt, c, ct, d, dt, e, et)                                  \
    static inline cause_t trace_##n(TRACE_ARGS, uint64_t a, uint64_t b, uint64_t c, uint64_t d, \
                                    uint64_t e)                                                 \
    {                                                                                           \
        TRACE_PASS(n, ((const uint64_t[]){a, b, c, d, e}), 5);                                  \
    }
/* Typed emitters trace_<name>(t, cpu, cause, ref, result, operands...). */
#define TRACE_DEFINE_EMITTERS(LIST) \
    LIST(TRACE_FN0, TRACE_FN1, TRACE_FN2, TRACE_FN3, TRACE_FN4, TRACE_FN5)

#define TRACE_OPD(a, at)  \
    {                     \
#a, TRACE_OP_##at \
    }
#define TRACE_DESC0(n, title)        {TRACE_##n, #n, title, 0, {{0}}},
#define TRACE_DESC1(n, title, a, at) {TRACE_##n, #n, title, 1, {TRACE_OPD(a, at)}},
#define TRACE_DESC2(n, title, a, at, b, bt) \
    {TRACE_##n, #n, title, 2, {TRACE_OPD(a, at), TRACE_OPD(b, bt)}},
#define TRACE_DESC3(n, title, a, at, b, bt, c, ct) \
    {TRACE_##n, #n, title, 3, {TRACE_OPD(a, at), TRACE_OPD(b, bt), TRACE_OPD(c, ct)}},
#define TRACE_DESC4(n, title, a, at, b, bt, c, ct, d, dt) \
    {TRACE_##n,                                           \
     #n,                                                  \
     title,                                               \
     4,                                                   \
     {TRACE_OPD(a, at), TRACE_OPD(b, bt), TRACE_OPD(c, ct), TRACE_OPD(d, dt)}},
#define TRACE_DESC5(n, title, a, at, b, bt, c, ct, d, dt, e, et) \
    {TRACE_##n,                                                  \
     #n,                                                         \
     title,                                                      \
     5,                                                          \
     {TRACE_OPD(a, at), TRACE_OPD(b, bt), TRACE_OPD(c, ct), TRACE_OPD(d, dt), TRACE_OPD(e, et)}},
/* Body of `const struct trace_desc <folder>_trace_descs[] = { ... };` */
#define TRACE_DEFINE_DESCS(LIST) \
    LIST(TRACE_DESC0, TRACE_DESC1, TRACE_DESC2, TRACE_DESC3, TRACE_DESC4, TRACE_DESC5)

#endif
