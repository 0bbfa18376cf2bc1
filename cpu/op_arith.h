/* SPDX-License-Identifier: MIT */
/*
 * The two-operand arithmetic of group 1 by size, with its flags: alu_<op>_<bits>(cpu, a, b) returns
 * the result.
 *
 * Intel SDM Vol. 2 (325383), "ADD", "ADC", "SUB", "SBB", "CMP", "AND", "OR", "XOR", "TEST". AF
 * after the logical ones is undefined there; it is 0 here.
 */
#ifndef IRQSCOPE_CPU_OP_ARITH_H
#define IRQSCOPE_CPU_OP_ARITH_H

#include "cpu/op_template.h"

#define OP_ARITH(B)                                                          \
    static inline OP_U(B) alu_add_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b) \
    {                                                                        \
        const OP_U(B) res = (OP_U(B))(a + b);                                \
        cc_set(cpu, CC_ADD##B, res, a);                                      \
        return res;                                                          \
    }                                                                        \
    static inline OP_U(B) alu_sub_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b) \
    {                                                                        \
        const OP_U(B) res = (OP_U(B))(a - b);                                \
        cc_set(cpu, CC_SUB##B, res, a);                                      \
        return res;                                                          \
    }                                                                        \
    static inline OP_U(B) alu_adc_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b) \
    {                                                                        \
        const unsigned carry = cc_cf(&cpu->cc);                              \
        const OP_U(B) res = (OP_U(B))(a + b + carry);                        \
        cc_set(cpu, CC_ADD##B + carry * (CC_ADC8 - CC_ADD8), res, a);        \
        return res;                                                          \
    }                                                                        \
    static inline OP_U(B) alu_sbb_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b) \
    {                                                                        \
        const unsigned carry = cc_cf(&cpu->cc);                              \
        const OP_U(B) res = (OP_U(B))(a - b - carry);                        \
        cc_set(cpu, CC_SUB##B + carry * (CC_SBB8 - CC_SUB8), res, a);        \
        return res;                                                          \
    }                                                                        \
    static inline OP_U(B) alu_logic_##B(struct cpu *cpu, OP_U(B) res)        \
    {                                                                        \
        cpu->cc.res = res;                                                   \
        cpu->cc.op = CC_LOGIC##B;                                            \
        return res;                                                          \
    }                                                                        \
    static inline OP_U(B) alu_or_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b)  \
    {                                                                        \
        return alu_logic_##B(cpu, a | b);                                    \
    }                                                                        \
    static inline OP_U(B) alu_and_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b) \
    {                                                                        \
        return alu_logic_##B(cpu, a & b);                                    \
    }                                                                        \
    static inline OP_U(B) alu_xor_##B(struct cpu *cpu, OP_U(B) a, OP_U(B) b) \
    {                                                                        \
        return alu_logic_##B(cpu, a ^ b);                                    \
    }                                                                        \
    static inline OP_U(B) alu_inc_##B(struct cpu *cpu, OP_U(B) a)            \
    {                                                                        \
        const OP_U(B) res = (OP_U(B))(a + 1);                                \
        cc_set(cpu, CC_INC##B, res, cc_cf(&cpu->cc));                        \
        return res;                                                          \
    }                                                                        \
    static inline OP_U(B) alu_dec_##B(struct cpu *cpu, OP_U(B) a)            \
    {                                                                        \
        const OP_U(B) res = (OP_U(B))(a - 1);                                \
        cc_set(cpu, CC_DEC##B, res, cc_cf(&cpu->cc));                        \
        return res;                                                          \
    }
OP_EACH(OP_ARITH)

#endif
