/* SPDX-License-Identifier: MIT */
/*
 * EFLAGS: the lazy arithmetic flags worked out, and the register as a whole. Intel SDM Vol. 1
 * (253665), 3.4.3 "EFLAGS Register".
 *
 * Modelled: the six status flags of every kind in cpu/flags.h; EFLAGS as struct cpu keeps it
 * (status flags apart).
 *
 * Flags that the manual leaves undefined have one value here, on every host: AF of the shifts is 0;
 * OF of a shift by more than one is what a shift of the last step by one would give (SHL: CF xor
 * SF; SHR: the top bit before the last step, so 0; SAR: 0).
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/flags.h"

static uint32_t sign_zero_parity(uint64_t res, unsigned top)
{
    uint32_t f = 0;

    if ((res >> top) & 1) {
        f |= EFLAGS_SF;
    }
    if (res == 0) {
        f |= EFLAGS_ZF;
    }
    if ((0x9669u >> ((res ^ res >> 4) & 15)) & 1) {
        f |= EFLAGS_PF;
    }
    return f;
}

static uint32_t flag_if(bool set, uint32_t flag)
{
    return set ? flag : 0;
}

/* CF, OF and AF. `top` is the number of the top bit. */
static uint32_t carry_overflow_adjust(const struct cpu_cc *cc, unsigned top)
{
    const uint64_t res = cc->res, src = cc->src;
    const uint64_t min = 1ull << top;
    const uint32_t cf = cc_cf(cc);
    uint64_t b;

    switch ((enum cc_kind)(cc->op >> 2)) {
    case CC_KIND_RAW:
    case CC_KIND_PART:
        return (uint32_t)src & (EFLAGS_CF | EFLAGS_OF | EFLAGS_AF);
    case CC_KIND_INC:
        return cf | flag_if(res == min, EFLAGS_OF) | flag_if((res & 15) == 0, EFLAGS_AF);
    case CC_KIND_DEC:
        return cf | flag_if(res == min - 1, EFLAGS_OF) | flag_if((res & 15) == 15, EFLAGS_AF);
    case CC_KIND_SHL:
        return cf | flag_if(cf != ((res >> top) & 1), EFLAGS_OF);
    case CC_KIND_SHR:
        return cf | flag_if((src >> top) & 1, EFLAGS_OF);
    case CC_KIND_SAR:
        return cf;
    case CC_KIND_LOGIC:
        return 0;
    case CC_KIND_ADD:
    case CC_KIND_ADC:
        b = res - src - (cc->op >> 2 == CC_KIND_ADC);
        return cf | flag_if(((src ^ res) & (b ^ res) & min) != 0, EFLAGS_OF) |
               ((uint32_t)(src ^ b ^ res) & EFLAGS_AF);
    case CC_KIND_SUB:
    case CC_KIND_SBB:
        b = src - res - (cc->op >> 2 == CC_KIND_SBB);
        return cf | flag_if(((src ^ b) & (src ^ res) & min) != 0, EFLAGS_OF) |
               ((uint32_t)(src ^ b ^ res) & EFLAGS_AF);
    }
    irq_unreachable();
}

uint32_t cc_compute(const struct cpu_cc *cc)
{
    const unsigned top = (8u << (cc->op & 3)) - 1;

    if (cc->op == CC_RAW) {
        return (uint32_t)cc->src;
    }
    return carry_overflow_adjust(cc, top) | sign_zero_parity(cc->res, top);
}

bool cc_test(const struct cpu_cc *cc, enum cc_cond cond)
{
    const struct cpu_cc raw = {
        .op = CC_RAW, .src = cc_compute(cc), .res = (cc_compute(cc) & EFLAGS_ZF) == 0};

    return cc_cond(&raw, cond) > 0;
}

void cc_make_raw(struct cpu *cpu)
{
    cc_set_raw(cpu, cc_compute(&cpu->cc));
}

void cc_replace(struct cpu *cpu, uint32_t mask, uint32_t flags)
{
    cc_set_raw(cpu, (cc_compute(&cpu->cc) & ~mask) | (flags & mask));
}

uint32_t cpu_get_eflags(const struct cpu *cpu)
{
    return (cpu->eflags & ~EFLAGS_ARITH) | cc_compute(&cpu->cc) | EFLAGS_ONE;
}

void cpu_set_eflags(struct cpu *cpu, uint32_t eflags)
{
    const uint32_t changed = cpu->eflags ^ eflags;

    cc_set_raw(cpu, eflags);
    cpu->eflags = (eflags & ~EFLAGS_ARITH) | EFLAGS_ONE;
    if (changed & (EFLAGS_VM | EFLAGS_TF)) {
        cpu_update_mode(cpu);
    }
    if (changed & EFLAGS_IF) {
        cpu_update_attention(cpu);
    }
}
