/* SPDX-License-Identifier: MIT */
/*
 * SHL/SAL, SHR, SAR, ROL, ROR, RCL, RCR by 1, by an immediate and by CL; SHLD, SHRD.
 *
 * Intel SDM Vol. 2 (325383), "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "SHRD". Counts are taken
 * modulo 32, modulo 64 with a 64-bit operand. A count of 0 changes no flag and is no less a write:
 * a 32-bit register loses its upper half, memory is written back.
 *
 * Undefined flags: AF after a shift is 0. OF after a shift or a rotate by more than one is what its
 * last step, done by itself, would give. CF after SHL or SHR of 8 or 16 bits by more than the
 * operand's size is 0. OF after a rotate through CF by a multiple of the ring's length follows the
 * same formula with the unchanged operand.
 * Undefined results: a 16-bit SHLD or SHRD by 17 to 31 shifts through the 48-bit string
 * destination:source:destination (SHRD: from the other end), as processors since the P6 do; flags
 * follow that.
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_arith.h"

/*
 * Operation by size: sh_<op>_<bits>(cpu, value, count) with count already masked and not 0; sets
 * the flags.
 */
#define SHIFT_OPS(B)                                                                             \
    static inline OP_U(B) sh_shl_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                     \
    {                                                                                            \
        const OP_U(B) res = (OP_U(B))((uint64_t)a << n);                                         \
        /* n <= 31 where B < 64. */                                                              \
        const uint64_t out = B == 64 ? (uint64_t)a >> (64 - n) : ((uint64_t)a << n) >> (B & 63); \
        cc_set(cpu, CC_SHL##B, res, out);                                                        \
        return res;                                                                              \
    }                                                                                            \
    static inline OP_U(B) sh_shr_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                     \
    {                                                                                            \
        const uint64_t last = (uint64_t)a >> (n - 1);                                            \
        const OP_U(B) res = (OP_U(B))(last >> 1);                                                \
        cc_set(cpu, CC_SHR##B, res, last);                                                       \
        return res;                                                                              \
    }                                                                                            \
    static inline OP_U(B) sh_sar_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                     \
    {                                                                                            \
        const int64_t last = (int64_t)(OP_S(B))a >> (n - 1);                                     \
        const OP_U(B) res = (OP_U(B))(last >> 1);                                                \
        cc_set(cpu, CC_SAR##B, res, (uint64_t)last);                                             \
        return res;                                                                              \
    }                                                                                            \
    static OP_U(B) sh_rol_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                            \
    {                                                                                            \
        const unsigned k = n & (B - 1);                                                          \
        const OP_U(B) res = (OP_U(B))(a << k | a >> ((B - k) & (B - 1)));                        \
        rotate_flags(cpu, res & 1, (res ^ res >> (B - 1)) & 1);                                  \
        return res;                                                                              \
    }                                                                                            \
    static OP_U(B) sh_ror_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                            \
    {                                                                                            \
        const unsigned k = n & (B - 1);                                                          \
        const OP_U(B) res = (OP_U(B))(a >> k | a << ((B - k) & (B - 1)));                        \
        rotate_flags(cpu, res >> (B - 1) & 1, (res >> (B - 1) ^ res >> (B - 2)) & 1);            \
        return res;                                                                              \
    }                                                                                            \
    /* RCL, RCR: a ring of B + 1 bits with CF at the top. */                                     \
    static OP_U(B) sh_rcl_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                            \
    {                                                                                            \
        OP_U(B) carry = cc_cf(&cpu->cc);                                                         \
        n %= B + 1;                                                                              \
        if (n) {                                                                                 \
            const OP_U(B) out = (OP_U(B))(a >> (B - n) & 1);                                     \
            a = (OP_U(B))((n < B ? a << n : 0) | (OP_U(B))(carry << (n - 1)) |                   \
                          (n > 1 ? a >> (B + 1 - n) : 0));                                       \
            carry = out;                                                                         \
        }                                                                                        \
        rotate_flags(cpu, carry & 1, (carry ^ a >> (B - 1)) & 1);                                \
        return a;                                                                                \
    }                                                                                            \
    static OP_U(B) sh_rcr_##B(struct cpu *cpu, OP_U(B) a, unsigned n)                            \
    {                                                                                            \
        OP_U(B) carry = cc_cf(&cpu->cc);                                                         \
        n %= B + 1;                                                                              \
        if (n) {                                                                                 \
            const OP_U(B) out = (OP_U(B))(a >> (n - 1) & 1);                                     \
            a = (OP_U(B))((n < B ? a >> n : 0) | (OP_U(B))(carry << (B - n)) |                   \
                          (n > 1 ? a << (B + 1 - n) : 0));                                       \
            carry = out;                                                                         \
        }                                                                                        \
        rotate_flags(cpu, carry & 1, (a >> (B - 1) ^ a >> (B - 2)) & 1);                         \
        return a;                                                                                \
    }

/* Rotates change CF and OF and keep the others. */
static OP_NOINLINE void rotate_flags(struct cpu *cpu, uint64_t cf, uint64_t of)
{
    cc_replace(cpu, EFLAGS_CF | EFLAGS_OF, (cf ? EFLAGS_CF : 0) | (of ? EFLAGS_OF : 0));
}

OP_EACH(SHIFT_OPS)

#define SHIFT_COUNT(B) (B == 64 ? 63u : 31u)

/* Handlers of one operation: i immediate count, 1, c count in CL; r register, m memory. */
#define SHIFT_FORM(B, op, form, count)                                      \
    OP_HANDLER(op##_r##form##_##B)                                          \
    {                                                                       \
        const unsigned to = in->rm, n = (count)&SHIFT_COUNT(B);             \
        const OP_U(B) v = reg_get_##B(cpu, to);                             \
        reg_set_##B(cpu, to, irq_likely(n) ? sh_##op##_##B(cpu, v, n) : v); \
        OP_NEXT;                                                            \
    }                                                                       \
    OP_RMW(B, op##_m##form, const unsigned n = (count)&SHIFT_COUNT(B);      \
           out = irq_likely(n) ? sh_##op##_##B(cpu, v, n) : v;)
#define SHIFT_FORMS(B, op)                  \
    SHIFT_FORM(B, op, i, (unsigned)in->imm) \
    SHIFT_FORM(B, op, 1, 1u)                \
    SHIFT_FORM(B, op, c, reg_get_8(cpu, 8 * REG_RCX))
#define SHIFT(ID, op)                      \
    OP_EACH(SHIFT_FORMS, op)               \
    OP_FNS_B(ID##_Eb_I, op##_ri, op##_mi)  \
    OP_FNS_V(ID##_Ev_I, op##_ri, op##_mi)  \
    OP_FNS_B(ID##_Eb_1, op##_r1, op##_m1)  \
    OP_FNS_V(ID##_Ev_1, op##_r1, op##_m1)  \
    OP_FNS_B(ID##_Eb_CL, op##_rc, op##_mc) \
    OP_FNS_V(ID##_Ev_CL, op##_rc, op##_mc)

SHIFT(ROL, rol)
SHIFT(ROR, ror)
SHIFT(RCL, rcl)
SHIFT(RCR, rcr)
SHIFT(SHL, shl)
SHIFT(SHR, shr)
SHIFT(SAR, sar)

/* ---- SHLD, SHRD: n is 1-31, or 1-63 with 64 bits ---- */

static uint64_t shift_double_flags(struct cpu *cpu, uint32_t op, uint64_t old, uint64_t res,
                                   unsigned top, bool cf)
{
    cc_set(cpu, op, res,
           (cf ? EFLAGS_CF : 0) | (((old ^ res) >> top) & 1 ? (uint64_t)EFLAGS_OF : 0));
    return res;
}

static uint16_t shld_16(struct cpu *cpu, uint16_t a, uint16_t b, unsigned n)
{
    const uint64_t wide = (uint64_t)a << 32 | (uint64_t)b << 16 | a;
    const uint16_t res = (uint16_t)(wide << n >> 32);
    const uint16_t before = (uint16_t)(wide << (n - 1) >> 32);

    return (uint16_t)shift_double_flags(cpu, CC_PART16, before, res, 15, before >> 15);
}

static uint16_t shrd_16(struct cpu *cpu, uint16_t a, uint16_t b, unsigned n)
{
    const uint64_t wide = (uint64_t)a << 32 | (uint64_t)b << 16 | a;
    const uint16_t before = (uint16_t)(wide >> (n - 1));

    return (uint16_t)shift_double_flags(cpu, CC_PART16, before, (uint16_t)(wide >> n), 15,
                                        before & 1);
}

#define SHIFT_DOUBLE_OPS(B)                                                                        \
    static OP_U(B) shld_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b, unsigned n)                     \
    {                                                                                              \
        const OP_U(B) res = a << n | b >> (B - n);                                                 \
        const OP_U(B) before = n > 1 ? a << (n - 1) | b >> (B + 1 - n) : a;                        \
        return (OP_U(B))shift_double_flags(cpu, CC_PART##B, before, res, B - 1, a >> (B - n) & 1); \
    }                                                                                              \
    static OP_U(B) shrd_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b, unsigned n)                     \
    {                                                                                              \
        const OP_U(B) res = a >> n | b << (B - n);                                                 \
        const OP_U(B) before = n > 1 ? a >> (n - 1) | b << (B + 1 - n) : a;                        \
        return (OP_U(B))shift_double_flags(cpu, CC_PART##B, before, res, B - 1, a >> (n - 1) & 1); \
    }
SHIFT_DOUBLE_OPS(32)
SHIFT_DOUBLE_OPS(64)

#define SHIFT_DOUBLE(B, op, form, count)                               \
    OP_HANDLER(op##_r##form##_##B)                                     \
    {                                                                  \
        const unsigned n = (count)&SHIFT_COUNT(B);                     \
        OP_U(B) v = reg_get_##B(cpu, in->rm);                          \
        if (n) {                                                       \
            v = op##_##B(cpu, v, reg_get_##B(cpu, in->r), n);          \
        }                                                              \
        reg_set_##B(cpu, in->rm, v);                                   \
        OP_NEXT;                                                       \
    }                                                                  \
    OP_RMW(B, op##_m##form, const unsigned n = (count)&SHIFT_COUNT(B); \
           out = n ? op##_##B(cpu, v, reg_get_##B(cpu, in->r), n) : v;)
#define SHIFT_DOUBLE_FORMS(B)                             \
    SHIFT_DOUBLE(B, shld, i, (unsigned)in->imm)           \
    SHIFT_DOUBLE(B, shld, c, reg_get_8(cpu, 8 * REG_RCX)) \
    SHIFT_DOUBLE(B, shrd, i, (unsigned)in->imm)           \
    SHIFT_DOUBLE(B, shrd, c, reg_get_8(cpu, 8 * REG_RCX))
OP_EACH_V(SHIFT_DOUBLE_FORMS)
OP_FNS_V(SHLD_I, shld_ri, shld_mi)
OP_FNS_V(SHLD_CL, shld_rc, shld_mc)
OP_FNS_V(SHRD_I, shrd_ri, shrd_mi)
OP_FNS_V(SHRD_CL, shrd_rc, shrd_mc)
