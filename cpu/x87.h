/* SPDX-License-Identifier: MIT */
/*
 * The x87 unit's registers, between its instructions (cpu/x87.c), its memory images (cpu/x87_state.c) and its arithmetic (cpu/x87_host.c).
 */
#ifndef IRQSCOPE_CPU_X87_H
#define IRQSCOPE_CPU_X87_H

#include "cpu/cpu.h"

/* Status word. SDM Vol. 1, 8.1.3 "x87 FPU Status Register". */
#define FSW_IE  0x0001u
#define FSW_DE  0x0002u
#define FSW_ZE  0x0004u
#define FSW_OE  0x0008u
#define FSW_UE  0x0010u
#define FSW_PE  0x0020u
#define FSW_EX  0x003fu
#define FSW_SF  0x0040u
#define FSW_ES  0x0080u
#define FSW_C0  0x0100u
#define FSW_C1  0x0200u
#define FSW_C2  0x0400u
#define FSW_C3  0x4000u
#define FSW_B   0x8000u
#define FSW_CC  (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)
#define FSW_TOP 0x3800u

/* An 80-bit value as it stands in memory. */
struct f80 {
    uint64_t mant;
    uint16_t se; /* sign and exponent */
};

static inline unsigned x87_top(const struct cpu *cpu)
{
    return (cpu->x87.fsw >> 11) & 7;
}

static inline void x87_set_top(struct cpu *cpu, unsigned top)
{
    cpu->x87.fsw = (uint16_t)((cpu->x87.fsw & ~FSW_TOP) | (top & 7) << 11);
}

/* Status: summary bits from the flags and the masks. */
void x87_update_summary(struct cpu *cpu);
void x87_init(struct cpu *cpu);
struct f80 x87_get(const struct cpu *cpu, unsigned i);   /* ST(i) */
void x87_put(struct cpu *cpu, unsigned i, struct f80 v); /* and tag it valid */
/* FXSAVE's tag byte is struct x87_state.ftw; the full tag word of FSTENV is made from it and the values. */
uint16_t x87_full_tags(const struct cpu *cpu);

/* Memory images, without the checks that come before any x87 instruction (cpu/x87_state.c). */
void x87_store_env(struct cpu *cpu, const struct insn *in);
void x87_load_env(struct cpu *cpu, const struct insn *in);
void x87_save(struct cpu *cpu, const struct insn *in);
void x87_restore(struct cpu *cpu, const struct insn *in);

/* ---- arithmetic (cpu/x87_host.c) ---- */

enum x87_op {
    X87_ADD,
    X87_MUL,
    X87_COM,
    X87_COMP,
    X87_SUB,
    X87_SUBR,
    X87_DIV,
    X87_DIVR, /* as encoded in ModRM.reg */
    X87_UCOM,
    X87_SQRT,
    X87_RNDINT,
    X87_SCALE,
    X87_PREM,
    X87_PREM1,
};
/* True where arithmetic can be done: on hosts with an x87 unit. */
extern const bool x87_host_present;
/* a op b under control word fcw, all exceptions masked. Returns the status word that results (exceptions, C0-C3). */
uint16_t x87_host_op(enum x87_op op, uint16_t fcw, struct f80 a, struct f80 b, struct f80 *result);
/* Conversions: size in bytes. */
uint16_t x87_host_load_float(unsigned size, uint64_t raw, struct f80 *result);
uint16_t x87_host_store_float(unsigned size, uint16_t fcw, struct f80 v, uint64_t *raw);
uint16_t x87_host_load_int(int64_t v, struct f80 *result);
uint16_t x87_host_store_int(unsigned size, uint16_t fcw, struct f80 v, uint64_t *raw);

#endif
