/* SPDX-License-Identifier: MIT */
/*
 * ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages. Every operand shape and size has a
 * handler of its own.
 *
 * Undefined flags: AF after AND, OR, XOR and TEST is 0.
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_arith.h"

/*
 * One operation of group 1 at one size. Shapes by destination and source: rr register, register
 * (ModRM.rm, ModRM.reg); gr the same turned round; ri register, immediate; mr, mi memory
 * destination; rm register, memory.
 */
#define ALU_REG(B, op)                                                                           \
    OP_HANDLER(op##_rr_##B)                                                                      \
    {                                                                                            \
        const unsigned to = in->rm, from = in->r;                                                \
        reg_set_##B(cpu, to, alu_##op##_##B(cpu, reg_get_##B(cpu, to), reg_get_##B(cpu, from))); \
        OP_NEXT;                                                                                 \
    }                                                                                            \
    OP_HANDLER(op##_gr_##B)                                                                      \
    {                                                                                            \
        const unsigned to = in->r, from = in->rm;                                                \
        reg_set_##B(cpu, to, alu_##op##_##B(cpu, reg_get_##B(cpu, to), reg_get_##B(cpu, from))); \
        OP_NEXT;                                                                                 \
    }                                                                                            \
    OP_HANDLER(op##_ri_##B)                                                                      \
    {                                                                                            \
        const unsigned to = in->rm;                                                              \
        reg_set_##B(cpu, to, alu_##op##_##B(cpu, reg_get_##B(cpu, to), (OP_U(B))in->imm));       \
        OP_NEXT;                                                                                 \
    }
#define ALU_MEM(B, op)                                                         \
    OP_RMW(B, op##_mr, out = alu_##op##_##B(cpu, v, reg_get_##B(cpu, in->r));) \
    OP_RMW(B, op##_mi, out = alu_##op##_##B(cpu, v, (OP_U(B))in->imm);)        \
    OP_LOAD(B, op##_rm, reg_set_##B(cpu, in->r, alu_##op##_##B(cpu, reg_get_##B(cpu, in->r), v));)

#define ALU_TABLES(ID, op)                 \
    OP_FNS_B(ID##_Eb_Gb, op##_rr, op##_mr) \
    OP_FNS_V(ID##_Ev_Gv, op##_rr, op##_mr) \
    OP_FNS_B(ID##_Gb_Eb, op##_gr, op##_rm) \
    OP_FNS_V(ID##_Gv_Ev, op##_gr, op##_rm) \
    OP_FNS_B(ID##_Eb_Ib, op##_ri, op##_mi) \
    OP_FNS_V(ID##_Ev_Iz, op##_ri, op##_mi)

#define ALU(ID, op)      \
    OP_EACH(ALU_REG, op) \
    OP_EACH(ALU_MEM, op) \
    ALU_TABLES(ID, op)

ALU(ADD, add)
ALU(OR, or)
ALU(ADC, adc)
ALU(SBB, sbb)
ALU(AND, and)
ALU(SUB, sub)
ALU(XOR, xor)

/* CMP and TEST: the same shapes without a result. */
#define ALU_FLAGS_ONLY(B, name, op)                                             \
    OP_HANDLER(name##_rr_##B)                                                   \
    {                                                                           \
        alu_##op##_##B(cpu, reg_get_##B(cpu, in->rm), reg_get_##B(cpu, in->r)); \
        OP_NEXT;                                                                \
    }                                                                           \
    OP_HANDLER(name##_ri_##B)                                                   \
    {                                                                           \
        alu_##op##_##B(cpu, reg_get_##B(cpu, in->rm), (OP_U(B))in->imm);        \
        OP_NEXT;                                                                \
    }                                                                           \
    OP_LOAD(B, name##_mr, alu_##op##_##B(cpu, v, reg_get_##B(cpu, in->r));)     \
    OP_LOAD(B, name##_mi, alu_##op##_##B(cpu, v, (OP_U(B))in->imm);)
#define ALU_CMP_TURNED(B)                                                    \
    OP_HANDLER(cmp_gr_##B)                                                   \
    {                                                                        \
        alu_sub_##B(cpu, reg_get_##B(cpu, in->r), reg_get_##B(cpu, in->rm)); \
        OP_NEXT;                                                             \
    }                                                                        \
    OP_LOAD(B, cmp_rm, alu_sub_##B(cpu, reg_get_##B(cpu, in->r), v);)

OP_EACH(ALU_FLAGS_ONLY, cmp, sub)
OP_EACH(ALU_CMP_TURNED)
ALU_TABLES(CMP, cmp)
OP_EACH(ALU_FLAGS_ONLY, test, and)
OP_FNS_B(TEST_Eb_Gb, test_rr, test_mr)
OP_FNS_V(TEST_Ev_Gv, test_rr, test_mr)
OP_FNS_B(TEST_Eb_Ib, test_ri, test_mi)
OP_FNS_V(TEST_Ev_Iz, test_ri, test_mi)

/* One operand; expr is its new value, from v. */
#define ALU_UNARY(B, name, ...)                 \
    OP_HANDLER(name##_r_##B)                    \
    {                                           \
        const unsigned to = in->rm;             \
        const OP_U(B) v = reg_get_##B(cpu, to); \
        reg_set_##B(cpu, to, __VA_ARGS__);      \
        OP_NEXT;                                \
    }                                           \
    OP_RMW(B, name##_m, out = __VA_ARGS__;)
#define ALU_UNARY_ALL(B)                      \
    ALU_UNARY(B, inc, alu_inc_##B(cpu, v))    \
    ALU_UNARY(B, dec, alu_dec_##B(cpu, v))    \
    ALU_UNARY(B, neg, alu_sub_##B(cpu, 0, v)) \
    ALU_UNARY(B, not, (OP_U(B)) ~v)
OP_EACH(ALU_UNARY_ALL)

OP_FNS_B(INC_Eb, inc_r, inc_m)
OP_FNS_V(INC_Ev, inc_r, inc_m)
OP_FNS_B(DEC_Eb, dec_r, dec_m)
OP_FNS_V(DEC_Ev, dec_r, dec_m)
OP_FNS_B(NEG_Eb, neg_r, neg_m)
OP_FNS_V(NEG_Ev, neg_r, neg_m)
OP_FNS_B(NOT_Eb, not_r, not_m)
OP_FNS_V(NOT_Ev, not_r, not_m)
