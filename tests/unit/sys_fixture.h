/* SPDX-License-Identifier: MIT */
/*
 * A processor on a small bus for the tests of the system instructions: tables in RAM, a fake interrupt controller, records in an array.
 *
 * Layout: GDT 1000h, IDT 2000h, TSS 3000h, code 4000h, handlers 5000h + 16 * vector (HLT), ring 0 stack below 9000h, user stack below
 * A000h, the TSS's ring 0 stack below B000h, IST1 below C000h, page tables from 10000h on (identity, 2 MiB, user).
 */
#ifndef IRQSCOPE_TESTS_SYS_FIXTURE_H
#define IRQSCOPE_TESTS_SYS_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "bus/clock.h"
#include "bus/trace.h"
#include "cpu/cpu.h"
#include "cpu/exception.h"
#include "cpu/trace_events.h"

#define FX_GDT        0x1000u
#define FX_IDT        0x2000u
#define FX_TSS        0x3000u
#define FX_CODE       0x4000u
#define FX_HANDLERS   0x5000u
#define FX_STACK      0x9000u
#define FX_USER_STACK 0xa000u
#define FX_TSS_STACK  0xb000u
#define FX_IST1       0xc000u
#define FX_PAGES      0x10000u

enum fx_sel {
    FX_CS32 = 0x08,
    FX_DS = 0x10,
    FX_UCS32 = 0x1b,
    FX_UDS = 0x23,
    FX_CS64 = 0x28,
    FX_UCS64 = 0x33,
    FX_TR = 0x38,
    FX_ABSENT = 0x48,
    FX_CS16 = 0x50,
    FX_CONFORMING = 0x58,
    FX_READONLY = 0x60,
    FX_EXPAND_DOWN = 0x68,
    FX_SEGMENTS = 0x70
};

struct fx {
    struct bus bus;
    struct clock clock;
    struct trace trace;
    struct cpu *cpu;
    struct irq_record recs[256];
    size_t nrecs;
    vector_t next_vector;
    unsigned acks;
    uint64_t apic_base;
    uint8_t tpr;
};

static inline void fx_drain(void *opaque, const struct irq_record *recs, size_t n)
{
    struct fx *fx = opaque;
    for (size_t i = 0; i < n && fx->nrecs < irq_array_size(fx->recs); i++) {
        fx->recs[fx->nrecs++] = recs[i];
    }
}

static inline struct intr_ack fx_ack(void *opaque, const struct bus_attrs *attrs)
{
    struct fx *fx = opaque;
    (void)attrs;
    fx->acks++;
    cpu_reset_interrupt(fx->cpu, CPU_INTERRUPT_HARD);
    return (struct intr_ack){.vector = fx->next_vector, .source = INTR_ACK_PIC, .cause = 0};
}

static inline void fx_fold(void *opaque)
{
    struct fx *fx = opaque;
    cpu_interrupt(fx->cpu, CPU_INTERRUPT_HARD, 0);
}

static inline bool fx_window(void *opaque, gpa_t gpa)
{
    (void)opaque;
    (void)gpa;
    return false;
}

static inline uint64_t fx_get_base(void *opaque)
{
    return ((struct fx *)opaque)->apic_base;
}

static inline bool fx_set_base(void *opaque, uint64_t v, const struct bus_attrs *attrs)
{
    (void)attrs;
    if (v & 0xff) {
        return false;
    }
    ((struct fx *)opaque)->apic_base = v;
    return true;
}

static inline uint8_t fx_get_tpr(void *opaque)
{
    return ((struct fx *)opaque)->tpr;
}

static inline void fx_set_tpr(void *opaque, uint8_t v, const struct bus_attrs *attrs)
{
    (void)attrs;
    ((struct fx *)opaque)->tpr = v;
}

static const struct intr_source_ops fx_intr = {
    .ack = fx_ack,
    .fold = fx_fold,
    .apic_window = fx_window,
    .get_tpr = fx_get_tpr,
    .set_tpr = fx_set_tpr,
    .get_base = fx_get_base,
    .set_base = fx_set_base,
};

static inline void fx_put(struct fx *fx, gpa_t gpa, const void *p, size_t n)
{
    cr_assert_eq(bus_copy_to(&fx->bus, gpa, p, n), n);
}

static inline void fx_put64(struct fx *fx, gpa_t gpa, uint64_t v)
{
    fx_put(fx, gpa, &v, 8);
}

static inline void fx_put32(struct fx *fx, gpa_t gpa, uint32_t v)
{
    fx_put(fx, gpa, &v, 4);
}

static inline void fx_put16(struct fx *fx, gpa_t gpa, uint16_t v)
{
    fx_put(fx, gpa, &v, 2);
}

static inline uint64_t fx_get(struct fx *fx, gpa_t gpa, unsigned size)
{
    uint64_t v = 0;
    cr_assert_eq(bus_copy_from(&fx->bus, gpa, &v, size), size);
    return v;
}

/* Code bytes at FX_CODE. */
#define fx_code(fx, ...)                             \
    do {                                             \
        const uint8_t code_[] = {__VA_ARGS__};       \
        fx_put((fx), FX_CODE, code_, sizeof(code_)); \
    } while (0)

/* Gate types: 0x8e = present interrupt gate DPL 0, 0xee = DPL 3, 0x8f = trap gate, 0x86 = 16-bit. */
static inline void fx_gate32(struct fx *fx, unsigned vector, uint16_t sel, uint8_t type)
{
    uint64_t off = FX_HANDLERS + vector * 16;
    fx_put64(fx, FX_IDT + vector * 8,
             (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)type << 40 | (off >> 16) << 48);
}

static inline void fx_gate64(struct fx *fx, unsigned vector, uint16_t sel, uint8_t type,
                             unsigned ist)
{
    uint64_t off = FX_HANDLERS + vector * 16;
    fx_put64(fx, FX_IDT + vector * 16,
             (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)ist << 32 | (uint64_t)type << 40 |
                 (off >> 16) << 48);
    fx_put64(fx, FX_IDT + vector * 16 + 8, 0);
}

static inline struct fx *fx_new(const char *model)
{
    struct fx *fx = calloc(1, sizeof(*fx));
    struct error err = {0};
    cr_assert_eq(bus_init(&fx->bus, 2 << 20, &err), 0);
    clock_init(&fx->clock);
    trace_init(&fx->trace, &fx->clock);
    fx->apic_base = 0xfee00900;
    fx->cpu = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
    struct cpu_config config = {.bsp = true,
                                .model = cpu_model_find(model),
                                .bus = &fx->bus,
                                .clock = &fx->clock,
                                .trace = &fx->trace,
                                .intr = &fx_intr,
                                .intr_opaque = fx};
    cr_assert_not_null(config.model);
    cr_assert_eq(cpu_init(fx->cpu, &config), 0);
    /* Handlers: HLT. */
    for (unsigned v = 0; v < 256; v++) {
        uint8_t hlt = 0xf4;
        fx_put(fx, FX_HANDLERS + v * 16, &hlt, 1);
    }
    return fx;
}

static inline void fx_free(struct fx *fx)
{
    cpu_fini(fx->cpu);
    free(fx->cpu);
    trace_fini(&fx->trace);
    bus_fini(&fx->bus);
    free(fx);
}

static inline void fx_gdt(struct fx *fx)
{
    static const uint64_t gdt[] = {
        0,
        0x00cf9b000000ffffull, /* 08: code 32, DPL 0 */
        0x00cf93000000ffffull, /* 10: data, DPL 0 */
        0x00cffb000000ffffull, /* 18: code 32, DPL 3 */
        0x00cff3000000ffffull, /* 20: data, DPL 3 */
        0x00af9b000000ffffull, /* 28: code 64, DPL 0 */
        0x00affb000000ffffull, /* 30: code 64, DPL 3 */
        0x0000890030000067ull, /* 38: TSS at 3000h */
        0,                     /* 40: upper half of the 64-bit TSS */
        0x00cf1b000000ffffull, /* 48: code 32, not present */
        0x00009b000000ffffull, /* 50: code 16, DPL 0 */
        0x00cf9f000000ffffull, /* 58: conforming code, DPL 0 */
        0x00cf90000000ffffull, /* 60: read-only data, not accessed */
        0x00c096000000000full, /* 68: expand-down data, limit FFFFh, big, not accessed */
    };
    fx_put(fx, FX_GDT, gdt, sizeof(gdt));
}

static inline struct cpu_segment fx_segment(uint16_t sel, uint16_t attr)
{
    return (struct cpu_segment){.limit = 0xffffffff, .sel = sel, .attr = attr};
}

/* Protected mode, flat 32-bit segments, no paging, CPL 0, all vectors with interrupt gates of DPL 0. */
static inline struct fx *fx_pm32(const char *model)
{
    struct fx *fx = fx_new(model);
    struct cpu *cpu = fx->cpu;
    fx_gdt(fx);
    for (unsigned v = 0; v < 256; v++) {
        fx_gate32(fx, v, FX_CS32, 0x8e);
    }
    fx_put32(fx, FX_TSS + 4, FX_TSS_STACK);
    fx_put32(fx, FX_TSS + 8, FX_DS);
    cpu->cr0 |= CR0_PE | CR0_NE;
    cpu->gdtr = (struct cpu_table){FX_GDT, FX_SEGMENTS - 1};
    cpu->idtr = (struct cpu_table){FX_IDT, 256 * 8 - 1};
    cpu->tr = (struct cpu_segment){.base = FX_TSS, .limit = 0x67, .sel = FX_TR, .attr = SEG_P | 11};
    cpu->seg[SEG_CS] = fx_segment(FX_CS32, 0xc09b);
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        if (s != SEG_CS) {
            cpu->seg[s] = fx_segment(FX_DS, 0xc093);
        }
    }
    cpu->cpl = 0;
    cpu->regs[REG_RSP] = FX_STACK;
    cpu->rip = FX_CODE;
    cpu_update_mode(cpu);
    return fx;
}

/* To CPL 3. */
static inline void fx_user(struct fx *fx)
{
    struct cpu *cpu = fx->cpu;
    bool wide = cpu->code_bits == 64;
    cpu->seg[SEG_CS] = wide ? fx_segment(FX_UCS64, 0xa0fb) : fx_segment(FX_UCS32, 0xc0fb);
    cpu->seg[SEG_SS] = cpu->seg[SEG_DS] = cpu->seg[SEG_ES] = fx_segment(FX_UDS, 0xc0f3);
    cpu->seg[SEG_FS] = cpu->seg[SEG_GS] = (struct cpu_segment){.attr = SEG_UNUSABLE};
    cpu->cpl = 3;
    cpu->regs[REG_RSP] = FX_USER_STACK;
    cpu_update_mode(cpu);
}

/* IA-32e mode, 64-bit code, identity pages. */
static inline struct fx *fx_long(void)
{
    struct fx *fx = fx_pm32("qemu64");
    struct cpu *cpu = fx->cpu;
    fx_put64(fx, FX_PAGES, (FX_PAGES + 0x1000) | 7);
    fx_put64(fx, FX_PAGES + 0x1000, (FX_PAGES + 0x2000) | 7);
    fx_put64(fx, FX_PAGES + 0x2000, 0x87);
    for (unsigned v = 0; v < 128; v++) {
        fx_gate64(fx, v, FX_CS64, 0x8e, 0);
    }
    fx_put64(fx, FX_TSS + 4, FX_TSS_STACK);
    fx_put64(fx, FX_TSS + 36, FX_IST1);
    cpu->idtr.limit = 128 * 16 - 1;
    cpu->cr3 = FX_PAGES;
    cpu->cr4 = CR4_PAE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_SCE;
    cpu->cr0 |= CR0_PG;
    cpu->seg[SEG_CS] = fx_segment(FX_CS64, 0xa09b);
    cpu_update_mode(cpu);
    cpu_flush_tlb(cpu, true);
    return fx;
}

/* Real-address mode at 0000:4000, IVT at 0. */
static inline struct fx *fx_real(const char *model)
{
    struct fx *fx = fx_new(model);
    struct cpu *cpu = fx->cpu;
    for (unsigned v = 0; v < 256; v++) {
        fx_put16(fx, v * 4, (uint16_t)(FX_HANDLERS + v * 16));
        fx_put16(fx, v * 4 + 2, 0);
    }
    cpu->seg[SEG_CS].sel = 0;
    cpu->seg[SEG_CS].base = 0;
    cpu->idtr = (struct cpu_table){0, 0x3ff};
    cpu->regs[REG_RSP] = FX_STACK;
    cpu->rip = FX_CODE;
    cpu_update_mode(cpu);
    return fx;
}

/* Run n instructions (or events), or up to HLT. */
static inline enum cpu_stop fx_run(struct fx *fx, unsigned n)
{
    return cpu_exec(fx->cpu, fx->clock.now + n);
}

/* Value i of the frame at the current stack pointer. */
static inline uint64_t fx_frame(struct fx *fx, unsigned i, unsigned size)
{
    return fx_get(fx, fx->cpu->regs[REG_RSP] + i * size, size);
}

#define fx_handler(v) ((uint64_t)FX_HANDLERS + (v)*16)
/* The handler of v was entered and its HLT ran. */
#define fx_assert_in(fx, v)                                                  \
    cr_assert_eq((fx)->cpu->rip, fx_handler(v) + 1, "rip %llx, vector %llx", \
                 (unsigned long long)(fx)->cpu->rip,                         \
                 (unsigned long long)(((fx)->cpu->rip - FX_HANDLERS) / 16))

#endif
