/* SPDX-License-Identifier: MIT */
/*
 * Lazy arithmetic flags. Intel SDM Vol. 1 (253665), 3.4.3.1 "Status Flags".
 *
 * An instruction that sets flags leaves {result, source, operation}; whoever needs a flag works it
 * out. res and src are zero-extended from the operand's size. Then, whatever the operation was,
 *
 *     ZF is res == 0 (also of CC_RAW, where res is made so);
 *     CF is one comparison of res and src, or bit 0 of src, by the kind alone and not by the size;
 *     PF is the parity of the low byte of res, SF its top bit (both from src for CC_RAW).
 *
 * What src holds, by kind:
 *     RAW       all six flags in their EFLAGS places
 *     PART      CF, OF and AF in their EFLAGS places; SF, ZF and PF come from res
 *     INC, DEC  bit 0: CF, which these leave alone
 *     SHL       the operand >> (size - count): bit 0 is the last bit shifted out
 *     SHR, SAR  the operand shifted by one less than the count: bit 0 is the last bit out
 *     ADD, SUB, ADC, SBB  the first operand (ADC, SBB: the carry in was 1; with 0 they are ADD, SUB)
 *     LOGIC     nothing
 */
#ifndef IRQSCOPE_CPU_FLAGS_H
#define IRQSCOPE_CPU_FLAGS_H

#include "bus/assert.h"
#include "cpu/cpu.h"

enum cc_kind {
    CC_KIND_RAW,
    CC_KIND_PART,
    CC_KIND_INC,
    CC_KIND_DEC,
    CC_KIND_SHL,
    CC_KIND_SHR,
    CC_KIND_SAR, /* up to here CF is bit 0 of src */
    CC_KIND_LOGIC,
    CC_KIND_ADD,
    CC_KIND_SUB,
    CC_KIND_ADC,
    CC_KIND_SBB,
};

/* struct cpu_cc.op: kind << 2 | size index (8, 16, 32, 64 bits). */
#define CC_OP_SIZES(kind)                                                        \
    CC_##kind##8 = CC_KIND_##kind << 2, CC_##kind##16 = CC_KIND_##kind << 2 | 1, \
    CC_##kind##32 = CC_KIND_##kind << 2 | 2, CC_##kind##64 = CC_KIND_##kind << 2 | 3
enum cc_op {
    CC_RAW = CC_KIND_RAW << 2,
    CC_OP_SIZES(PART),
    CC_OP_SIZES(INC),
    CC_OP_SIZES(DEC),
    CC_OP_SIZES(SHL),
    CC_OP_SIZES(SHR),
    CC_OP_SIZES(SAR),
    CC_OP_SIZES(LOGIC),
    CC_OP_SIZES(ADD),
    CC_OP_SIZES(SUB),
    CC_OP_SIZES(ADC),
    CC_OP_SIZES(SBB),
};

/* The tttn field of Jcc, SETcc, CMOVcc. SDM Vol. 1, appendix B "EFLAGS Condition Codes". */
enum cc_cond {
    COND_O,
    COND_NO,
    COND_B,
    COND_NB,
    COND_Z,
    COND_NZ,
    COND_BE,
    COND_NBE,
    COND_S,
    COND_NS,
    COND_P,
    COND_NP,
    COND_L,
    COND_NL,
    COND_LE,
    COND_NLE,
};

/* All six flags, in their EFLAGS places. */
uint32_t cc_compute(const struct cpu_cc *cc);
/* Any condition, by cc_compute(). */
bool cc_test(const struct cpu_cc *cc, enum cc_cond cond);

static inline void cc_set(struct cpu *cpu, uint32_t op, uint64_t res, uint64_t src)
{
    cpu->cc.res = res;
    cpu->cc.src = src;
    cpu->cc.op = op;
}

/* Set the six flags from EFLAGS bits; other bits of `flags` are ignored. */
static inline void cc_set_raw(struct cpu *cpu, uint32_t flags)
{
    cc_set(cpu, CC_RAW, (flags & EFLAGS_ZF) == 0, flags & EFLAGS_ARITH);
}

/* Work the flags out and keep them so. */
void cc_make_raw(struct cpu *cpu);
/* Change the flags of `mask` to those of `flags` and keep the others. */
void cc_replace(struct cpu *cpu, uint32_t mask, uint32_t flags);

static inline bool cc_zf(const struct cpu_cc *cc)
{
    return cc->res == 0;
}

static inline bool cc_cf(const struct cpu_cc *cc)
{
    /* Ranges, not equalities: clang would make a jump table of those. */
    if (cc->op < CC_LOGIC8) {
        return cc->src & 1;
    }
    if (cc->op < CC_ADD8) {
        return false;
    }
    if (cc->op < CC_SUB8) {
        return cc->res < cc->src;
    }
    if (cc->op < CC_ADC8) {
        return cc->src < cc->res;
    }
    return cc->op < CC_SBB8 ? cc->res <= cc->src : cc->src <= cc->res;
}

static inline bool cc_sf(const struct cpu_cc *cc)
{
    if (irq_unlikely(cc->op == CC_RAW)) {
        return (cc->src & EFLAGS_SF) != 0;
    }
    return (cc->res >> ((8u << (cc->op & 3)) - 1)) & 1;
}

static inline bool cc_pf(const struct cpu_cc *cc)
{
    if (irq_unlikely(cc->op == CC_RAW)) {
        return (cc->src & EFLAGS_PF) != 0;
    }
    /* A table of 16 parities, one bit each. */
    return (0x9669u >> ((cc->res ^ cc->res >> 4) & 15)) & 1;
}

static inline bool cc_of(const struct cpu_cc *cc)
{
    return (cc_compute(cc) & EFLAGS_OF) != 0;
}

static inline bool cc_af(const struct cpu_cc *cc)
{
    return (cc_compute(cc) & EFLAGS_AF) != 0;
}

/*
 * SF != OF for the operations that usually stand before a signed comparison: 0 or 1; -1 for the
 * others, which cc_make_raw() turns into one that is told here. So a caller on a hot path needs no
 * ordinary call.
 */
static inline int cc_less(const struct cpu_cc *cc)
{
    uint32_t op = cc->op;

    if (op == CC_SUB32) {
        return (int32_t)cc->src < (int32_t)(cc->src - cc->res);
    }
    if (op == CC_SUB64) {
        return (int64_t)cc->src < (int64_t)(cc->src - cc->res);
    }
    /* Hides that it is one value, of which clang would make a jump table. */
    __asm__("" : "+r"(op));
    if (op == CC_LOGIC32) {
        return (int32_t)cc->res < 0;
    }
    if (op == CC_LOGIC64) {
        return (int64_t)cc->res < 0;
    }
    if (op == CC_RAW) {
        return ((cc->src >> 7 ^ cc->src >> 11) & 1) != 0;
    }
    return -1;
}

/* OF in the same way: 0, 1, or -1 = call cc_make_raw() first. */
static inline int cc_overflow(const struct cpu_cc *cc)
{
    if (cc->op == CC_RAW) {
        return (cc->src & EFLAGS_OF) != 0;
    }
    return cc->op >> 2 == CC_KIND_LOGIC ? 0 : -1;
}

/*
 * A condition by its number (a constant): 0, 1, or -1 = call cc_make_raw() and ask again.
 */
static inline int cc_cond(const struct cpu_cc *cc, enum cc_cond cond)
{
    int t;

    switch (cond & ~1u) {
    case COND_O:
        t = cc_overflow(cc);
        break;
    case COND_B:
        t = cc_cf(cc);
        break;
    case COND_Z:
        t = cc_zf(cc);
        break;
    case COND_BE:
        t = cc_zf(cc) || cc_cf(cc);
        break;
    case COND_S:
        t = cc_sf(cc);
        break;
    case COND_P:
        t = cc_pf(cc);
        break;
    case COND_L:
        t = cc_less(cc);
        break;
    default:
        t = cc_less(cc);
        if (t >= 0) {
            t |= cc_zf(cc);
        }
        break;
    }
    return t < 0 ? t : t ^ (int)(cond & 1);
}

#endif
