/* SPDX-License-Identifier: MIT */
/*
 * SETcc, CMOVcc; the flag instructions CMC, CLC, STC, CLD, STD, LAHF, SAHF, SALC; NOP, the hint
 * NOPs, ENDBR, LFENCE, MFENCE, SFENCE.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages; SALC is in appendix A's opcode map as
 * reserved and known to every processor. CMOVcc reads its source whatever the condition; a 32-bit
 * CMOVcc clears the upper half of its destination either way.
 *
 * Not modelled: memory ordering (there is one thread).
 * Deviations: none known.
 */
#include "cpu/op_template.h"

#define CMOV_FORM(B, name, cond)                                                             \
    OP_HANDLER(name##_r_##B)                                                                 \
    {                                                                                        \
        const int t = cc_cond(&cpu->cc, cond);                                               \
        if (irq_unlikely(t < 0)) {                                                           \
            INSN_RETURN op_again_raw(cpu, in);                                               \
        }                                                                                    \
        const unsigned to = in->r;                                                           \
        reg_set_##B(cpu, to, reg_get_##B(cpu, t ? in->rm : to));                             \
        OP_NEXT;                                                                             \
    }                                                                                        \
    /* A device may have been read: no second start here. */                                 \
    OP_LOAD(                                                                                 \
        B, name##_m, int t = cc_cond(&cpu->cc, cond);                                        \
        if (irq_unlikely(t < 0)) { t = cc_test(&cpu->cc, cond); } const unsigned to = in->r; \
        reg_set_##B(cpu, to, t ? v : reg_get_##B(cpu, to));)
#define CONDITION(CC, cond)                                                                \
    OP_EACH_V(CMOV_FORM, CMOV##CC, cond)                                                   \
    OP_FNS_V(CMOV##CC, CMOV##CC##_r, CMOV##CC##_m)                                         \
    OP_HANDLER(SET##CC##_r)                                                                \
    {                                                                                      \
        const int t = cc_cond(&cpu->cc, cond);                                             \
        if (irq_unlikely(t < 0)) {                                                         \
            INSN_RETURN op_again_raw(cpu, in);                                             \
        }                                                                                  \
        reg_set_8(cpu, in->rm, (uint8_t)t);                                                \
        OP_NEXT;                                                                           \
    }                                                                                      \
    OP_STORE(                                                                              \
        8, SET##CC##_m, const int t = cc_cond(&cpu->cc, cond);                             \
        if (irq_unlikely(t < 0)) { INSN_RETURN op_again_raw(cpu, in); } out = (uint8_t)t;) \
    const struct op_fns fns_SET##CC = {.fn = {{SET##CC##_r}, {SET##CC##_m_8}}};
CONDITION(O, COND_O)
CONDITION(NO, COND_NO)
CONDITION(B, COND_B)
CONDITION(NB, COND_NB)
CONDITION(Z, COND_Z)
CONDITION(NZ, COND_NZ)
CONDITION(BE, COND_BE)
CONDITION(NBE, COND_NBE)
CONDITION(S, COND_S)
CONDITION(NS, COND_NS)
CONDITION(P, COND_P)
CONDITION(NP, COND_NP)
CONDITION(L, COND_L)
CONDITION(NL, COND_NL)
CONDITION(LE, COND_LE)
CONDITION(NLE, COND_NLE)

/* ---- flag instructions ---- */

OP_HANDLER(cmc)
{
    cc_replace(cpu, EFLAGS_CF, cc_cf(&cpu->cc) ? 0 : EFLAGS_CF);
    OP_NEXT;
}
OP_HANDLER(clc)
{
    cc_replace(cpu, EFLAGS_CF, 0);
    OP_NEXT;
}
OP_HANDLER(stc)
{
    cc_replace(cpu, EFLAGS_CF, EFLAGS_CF);
    OP_NEXT;
}
OP_HANDLER(cld)
{
    cpu->eflags &= ~EFLAGS_DF;
    OP_NEXT;
}
OP_HANDLER(std)
{
    cpu->eflags |= EFLAGS_DF;
    OP_NEXT;
}
OP_FNS_ONE(CMC, cmc)
OP_FNS_ONE(CLC, clc)
OP_FNS_ONE(STC, stc)
OP_FNS_ONE(CLD, cld)
OP_FNS_ONE(STD, std)

#define CPUID_81_ECX_LAHF (1u << 0)
#define REG_AH            1 /* byte offset in cpu->regs */

/* LAHF and SAHF are #UD in 64-bit mode where CPUID does not promise them. */
static bool lahf_missing(const struct cpu *cpu)
{
    return cpu->code_bits == 64 && !(cpu->model->f81_ecx & CPUID_81_ECX_LAHF);
}

OP_HANDLER(lahf)
{
    if (lahf_missing(cpu)) {
        INSN_RETURN op_fault_ud(cpu, in);
    }
    reg_set_8(cpu, REG_AH, (uint8_t)(cc_compute(&cpu->cc) | EFLAGS_ONE));
    OP_NEXT;
}
OP_HANDLER(sahf)
{
    if (lahf_missing(cpu)) {
        INSN_RETURN op_fault_ud(cpu, in);
    }
    cc_replace(cpu, EFLAGS_ARITH & 0xff, reg_get_8(cpu, REG_AH));
    OP_NEXT;
}
OP_HANDLER(salc)
{
    reg_set_8(cpu, 0, cc_cf(&cpu->cc) ? 0xff : 0);
    OP_NEXT;
}
OP_FNS_ONE(LAHF, lahf)
OP_FNS_ONE(SAHF, sahf)
OP_FNS_ONE(SALC, salc)

OP_HANDLER(nop)
{
    (void)cpu;
    OP_NEXT;
}
OP_FNS_ONE(NOP, nop)
OP_FNS_ONE(ENDBR, nop)
OP_FNS_ONE(FENCE, nop)
/* The operand is not touched. */
const struct op_fns fns_NOP_E = {.fn = {{nop, nop, nop, nop}, {nop, nop, nop, nop}}};
