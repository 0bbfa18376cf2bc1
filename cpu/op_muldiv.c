/* SPDX-License-Identifier: MIT */
/*
 * MUL, IMUL, DIV, IDIV.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages. #DE when the divisor is 0 or the quotient
 * does not fit, with nothing changed.
 *
 * Undefined flags: after MUL and IMUL, SF and PF are those of the low half of the product and AF
 * and ZF are 0. DIV and IDIV leave all six as they were.
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_arith.h"

__extension__ typedef unsigned __int128 uint128_t;
__extension__ typedef __int128 int128_t;

/* Types of twice the width. */
#define UWIDE_8  uint16_t
#define UWIDE_16 uint32_t
#define UWIDE_32 uint64_t
#define UWIDE_64 uint128_t
#define SWIDE_8  int16_t
#define SWIDE_16 int32_t
#define SWIDE_32 int64_t
#define SWIDE_64 int128_t

/* CF = OF = `over`; SF and PF as of the low half. */
static void multiply_flags(struct cpu *cpu, uint64_t low, unsigned top, bool over)
{
    uint32_t flags = over ? EFLAGS_CF | EFLAGS_OF : 0;

    if (low >> top & 1) {
        flags |= EFLAGS_SF;
    }
    if (!__builtin_parity((unsigned)low & 0xff)) {
        flags |= EFLAGS_PF;
    }
    cc_set_raw(cpu, flags);
}

/* High:low halves of a product or dividend: AH:AL, DX:AX, EDX:EAX, RDX:RAX. */
#define REG_LOW_8   0
#define REG_HIGH_8  1
#define REG_LOW_16  REG_RAX
#define REG_HIGH_16 REG_RDX
#define REG_LOW_32  REG_RAX
#define REG_HIGH_32 REG_RDX
#define REG_LOW_64  REG_RAX
#define REG_HIGH_64 REG_RDX

#define MULDIV_OPS(B)                                                                             \
    static void mul_##B(struct cpu *cpu, OP_U(B) b)                                               \
    {                                                                                             \
        const UWIDE_##B p = (UWIDE_##B)((UWIDE_##B)reg_get_##B(cpu, REG_LOW_##B) * b);            \
        reg_set_##B(cpu, REG_LOW_##B, (OP_U(B))p);                                                \
        reg_set_##B(cpu, REG_HIGH_##B, (OP_U(B))(p >> B));                                        \
        multiply_flags(cpu, (OP_U(B))p, B - 1, p >> B != 0);                                      \
    }                                                                                             \
    static OP_U(B) imul_product_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b, OP_U(B) * high)        \
    {                                                                                             \
        const SWIDE_##B p = (SWIDE_##B)((SWIDE_##B)(OP_S(B))a * (OP_S(B))b);                      \
        *high = (OP_U(B))(p >> B);                                                                \
        multiply_flags(cpu, (OP_U(B))p, B - 1, p != (OP_S(B))p);                                  \
        return (OP_U(B))p;                                                                        \
    }                                                                                             \
    static void imul_##B(struct cpu *cpu, OP_U(B) b)                                              \
    {                                                                                             \
        OP_U(B) high;                                                                             \
        const OP_U(B) low = imul_product_##B(cpu, reg_get_##B(cpu, REG_LOW_##B), b, &high);       \
        reg_set_##B(cpu, REG_LOW_##B, low);                                                       \
        reg_set_##B(cpu, REG_HIGH_##B, high);                                                     \
    }                                                                                             \
    /* false: #DE. */                                                                             \
    static bool div_##B(struct cpu *cpu, OP_U(B) b)                                               \
    {                                                                                             \
        const OP_U(B) high = reg_get_##B(cpu, REG_HIGH_##B), low = reg_get_##B(cpu, REG_LOW_##B); \
        if (high >= b) {                                                                          \
            return false;                                                                         \
        }                                                                                         \
        OP_U(B) quotient, rest;                                                                   \
        if (high == 0) {                                                                          \
            quotient = (OP_U(B))(low / b);                                                        \
            rest = (OP_U(B))(low % b);                                                            \
        } else {                                                                                  \
            const UWIDE_##B a = (UWIDE_##B)((UWIDE_##B)high << B | low);                          \
            quotient = (OP_U(B))(a / b);                                                          \
            rest = (OP_U(B))(a % b);                                                              \
        }                                                                                         \
        reg_set_##B(cpu, REG_LOW_##B, quotient);                                                  \
        reg_set_##B(cpu, REG_HIGH_##B, rest);                                                     \
        return true;                                                                              \
    }                                                                                             \
    /* By magnitudes: the most negative dividend divided by -1 has no quotient of its type. */    \
    static bool idiv_##B(struct cpu *cpu, OP_U(B) b)                                              \
    {                                                                                             \
        const UWIDE_##B a = (UWIDE_##B)((UWIDE_##B)reg_get_##B(cpu, REG_HIGH_##B) << B |          \
                                        reg_get_##B(cpu, REG_LOW_##B));                           \
        const bool a_negative = (SWIDE_##B)a < 0, b_negative = (OP_S(B))b < 0;                    \
        const UWIDE_##B x = a_negative ? (UWIDE_##B)(0 - a) : a;                                  \
        const OP_U(B) y = b_negative ? (OP_U(B))(0 - b) : b;                                      \
        if (y == 0) {                                                                             \
            return false;                                                                         \
        }                                                                                         \
        const UWIDE_##B quotient = (UWIDE_##B)(x / y);                                            \
        const OP_U(B) rest = (OP_U(B))(x % y);                                                    \
        const OP_U(B) min = (OP_U(B))((OP_U(B))1 << (B - 1));                                     \
        if (a_negative != b_negative ? quotient > min : quotient >= min) {                        \
            return false;                                                                         \
        }                                                                                         \
        reg_set_##B(cpu, REG_LOW_##B,                                                             \
                    (OP_U(B))(a_negative != b_negative ? 0 - quotient : quotient));               \
        reg_set_##B(cpu, REG_HIGH_##B, (OP_U(B))(a_negative ? 0 - rest : rest));                  \
        return true;                                                                              \
    }
OP_EACH(MULDIV_OPS)

#define MULTIPLY(B, op)                          \
    OP_HANDLER(op##_r_##B)                       \
    {                                            \
        op##_##B(cpu, reg_get_##B(cpu, in->rm)); \
        OP_NEXT;                                 \
    }                                            \
    OP_LOAD(B, op##_m, op##_##B(cpu, v);)
#define DIVIDE(B, op)                                                 \
    OP_HANDLER(op##_r_##B)                                            \
    {                                                                 \
        if (irq_unlikely(!op##_##B(cpu, reg_get_##B(cpu, in->rm)))) { \
            INSN_RETURN op_fault_de(cpu, in);                         \
        }                                                             \
        OP_NEXT;                                                      \
    }                                                                 \
    OP_LOAD(                                                          \
        B, op##_m, if (irq_unlikely(!op##_##B(cpu, v))) { INSN_RETURN op_fault_de(cpu, in); })
OP_EACH(MULTIPLY, mul)
OP_EACH(MULTIPLY, imul)
OP_EACH(DIVIDE, div)
OP_EACH(DIVIDE, idiv)
OP_FNS_B(MUL_Eb, mul_r, mul_m)
OP_FNS_V(MUL_Ev, mul_r, mul_m)
OP_FNS_B(IMUL_Eb, imul_r, imul_m)
OP_FNS_V(IMUL_Ev, imul_r, imul_m)
OP_FNS_B(DIV_Eb, div_r, div_m)
OP_FNS_V(DIV_Ev, div_r, div_m)
OP_FNS_B(IDIV_Eb, idiv_r, idiv_m)
OP_FNS_V(IDIV_Ev, idiv_r, idiv_m)

#define IMUL_FORMS(B)                                                                            \
    /* The low half only. */                                                                     \
    static inline OP_U(B) imul_low_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b)                    \
    {                                                                                            \
        OP_U(B) high;                                                                            \
        return imul_product_##B(cpu, a, b, &high);                                               \
    }                                                                                            \
    OP_HANDLER(imul_gr_##B)                                                                      \
    {                                                                                            \
        reg_set_##B(cpu, in->r,                                                                  \
                    imul_low_##B(cpu, reg_get_##B(cpu, in->r), reg_get_##B(cpu, in->rm)));       \
        OP_NEXT;                                                                                 \
    }                                                                                            \
    OP_LOAD(B, imul_rm, reg_set_##B(cpu, in->r, imul_low_##B(cpu, reg_get_##B(cpu, in->r), v));) \
    OP_HANDLER(imul_gri_##B)                                                                     \
    {                                                                                            \
        reg_set_##B(cpu, in->r, imul_low_##B(cpu, reg_get_##B(cpu, in->rm), (OP_U(B))in->imm));  \
        OP_NEXT;                                                                                 \
    }                                                                                            \
    OP_LOAD(B, imul_rmi, reg_set_##B(cpu, in->r, imul_low_##B(cpu, v, (OP_U(B))in->imm));)
OP_EACH_V(IMUL_FORMS)
OP_FNS_V(IMUL_Gv_Ev, imul_gr, imul_rm)
OP_FNS_V(IMUL_Gv_Ev_Iz, imul_gri, imul_rmi)
