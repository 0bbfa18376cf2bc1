/* SPDX-License-Identifier: MIT */
/*
 * Near control transfers: Jcc, JMP, CALL, RET, LOOPcc, JCXZ.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages. The target is checked before anything
 * changes: #GP(0) beyond the limit of CS outside 64-bit mode, #GP(0) if not canonical in it.
 *
 * Operand size decides the width of the target (16, 32 bits; in 64-bit mode always 64).
 *
 * Not modelled: shadow stacks and indirect branch tracking (CET).
 * Deviations: canonical means 48 bits.
 */
#include "cpu/op_template.h"

/* ---- targets ---- */

#define TARGET_BAD_16(cpu, t) ((t) > (cpu)->seg[SEG_CS].limit)
#define TARGET_BAD_32(cpu, t) ((t) > (cpu)->seg[SEG_CS].limit)
#define TARGET_BAD_64(cpu, t) ((uint64_t)((int64_t)(t) >> 47) + 1 > 1)

/* `to` must be a legal target; before anything is committed. SDM Vol. 2, "JMP", "CALL", "RET". */
#define CHECK_TARGET(B)                          \
    if (irq_unlikely(TARGET_BAD_##B(cpu, to))) { \
        INSN_RETURN op_fault_gp0(cpu, in);       \
    }

/* Defines to, the target of a relative transfer; #GP(0) if it is bad. */
#define TARGET_RELATIVE(B)                                          \
    const OP_U(B) to = (OP_U(B))(insn_next_rip(cpu, in) + in->imm); \
    CHECK_TARGET(B)

/* RIP of the next instruction within the mode's width: 16- and 32-bit code wraps. */
static inline uint64_t next_ip(const struct cpu *cpu, const struct insn *in)
{
    const uint64_t next = insn_next_rip(cpu, in);

    return cpu->code_bits == 64 ? next : (uint32_t)next;
}

/* ---- Jcc ---- */

#define JCC_FORM(B, name, cond)                                         \
    OP_HANDLER(name##_##B)                                              \
    {                                                                   \
        const int taken = cc_cond(&cpu->cc, cond);                      \
        if (taken > 0) {                                                \
            TARGET_RELATIVE(B)                                          \
            cpu->rip = to;                                              \
            OP_CHAIN(0);                                                \
        }                                                               \
        if (irq_unlikely(taken < 0)) {                                  \
            INSN_RETURN op_again_raw(cpu, in);                          \
        }                                                               \
        cpu->rip = B == 64 ? insn_next_rip(cpu, in) : next_ip(cpu, in); \
        OP_CHAIN(1);                                                    \
    }
#define JCC(ID, cond)             \
    OP_EACH_V(JCC_FORM, ID, cond) \
    OP_FNS_REG_V(ID, ID)
JCC(JO, COND_O)
JCC(JNO, COND_NO)
JCC(JB, COND_B)
JCC(JNB, COND_NB)
JCC(JZ, COND_Z)
JCC(JNZ, COND_NZ)
JCC(JBE, COND_BE)
JCC(JNBE, COND_NBE)
JCC(JS, COND_S)
JCC(JNS, COND_NS)
JCC(JP, COND_P)
JCC(JNP, COND_NP)
JCC(JL, COND_L)
JCC(JNL, COND_NL)
JCC(JLE, COND_LE)
JCC(JNLE, COND_NLE)

/* ---- LOOP, JCXZ: the count has the address size ---- */

static inline uint64_t count_get(const struct cpu *cpu, const struct insn *in)
{
    return cpu->regs[REG_RCX] & op_address_mask(in);
}

static inline void count_set(struct cpu *cpu, const struct insn *in, uint64_t count)
{
    if (insn_asize(in) == 1) {
        reg_set_16(cpu, REG_RCX, (uint16_t)count);
    } else {
        cpu->regs[REG_RCX] = count & op_address_mask(in);
    }
}

#define LOOP_FORM(B, name, also)                                               \
    OP_HANDLER(name##_##B)                                                     \
    {                                                                          \
        const uint64_t count = (count_get(cpu, in) - 1) & op_address_mask(in); \
        if (count != 0 && (also)) {                                            \
            TARGET_RELATIVE(B)                                                 \
            count_set(cpu, in, count);                                         \
            cpu->rip = to;                                                     \
            OP_CHAIN(0);                                                       \
        }                                                                      \
        count_set(cpu, in, count);                                             \
        cpu->rip = next_ip(cpu, in);                                           \
        OP_CHAIN(1);                                                           \
    }
#define LOOPS(B)                           \
    LOOP_FORM(B, loop, true)               \
    LOOP_FORM(B, loope, cc_zf(&cpu->cc))   \
    LOOP_FORM(B, loopne, !cc_zf(&cpu->cc)) \
    OP_HANDLER(jcxz_##B)                   \
    {                                      \
        if (count_get(cpu, in) == 0) {     \
            TARGET_RELATIVE(B)             \
            cpu->rip = to;                 \
            OP_CHAIN(0);                   \
        }                                  \
        cpu->rip = next_ip(cpu, in);       \
        OP_CHAIN(1);                       \
    }
OP_EACH_V(LOOPS)
OP_FNS_REG_V(LOOP, loop)
OP_FNS_REG_V(LOOPE, loope)
OP_FNS_REG_V(LOOPNE, loopne)
OP_FNS_REG_V(JCXZ, jcxz)

/* ---- JMP ---- */

#define JMP_FORMS(B)                                                             \
    OP_HANDLER(jmp_j_##B)                                                        \
    {                                                                            \
        TARGET_RELATIVE(B)                                                       \
        cpu->rip = to;                                                           \
        OP_CHAIN(0);                                                             \
    }                                                                            \
    OP_HANDLER(jmp_r_##B)                                                        \
    {                                                                            \
        const OP_U(B) to = reg_get_##B(cpu, in->rm);                             \
        CHECK_TARGET(B)                                                          \
        cpu->rip = to;                                                           \
        OP_CHAIN_INDIRECT;                                                       \
    }                                                                            \
    OP_NOINLINE OP_HANDLER(jmp_m_slow_##B)                                       \
    {                                                                            \
        const OP_U(B) to = mem_ld##B(cpu, in, mem_ea(cpu, in, B / 8, MEM_READ)); \
        CHECK_TARGET(B)                                                          \
        cpu->rip = to;                                                           \
        OP_CHAIN_INDIRECT;                                                       \
    }                                                                            \
    OP_HANDLER(jmp_m_##B)                                                        \
    {                                                                            \
        OP_U(B) to;                                                              \
        OP_HOST(B, tag_r, jmp_m_slow_##B)                                        \
        memcpy(&to, host, sizeof(to));                                           \
        CHECK_TARGET(B)                                                          \
        cpu->rip = to;                                                           \
        OP_CHAIN_INDIRECT;                                                       \
    }
OP_EACH_V(JMP_FORMS)
OP_FNS_REG_V(JMP_J, jmp_j)
OP_FNS_V(JMP_E, jmp_r, jmp_m)

/* ---- CALL ---- */

#define STACK_FLAT(B) (B == 64 ? STACK_FLAT64 : STACK_FLAT32)

#define CALL_FORMS(B)                                                \
    OP_NOINLINE OP_HANDLER(call_j_slow_##B)                          \
    {                                                                \
        TARGET_RELATIVE(B)                                           \
        stack_push(cpu, in, B / 8, (OP_U(B))insn_next_rip(cpu, in)); \
        cpu->rip = to;                                               \
        OP_CHAIN(0);                                                 \
    }                                                                \
    OP_HANDLER(call_j_##B)                                           \
    {                                                                \
        if (irq_unlikely(cpu->stack_kind != STACK_FLAT(B))) {        \
            INSN_RETURN call_j_slow_##B(cpu, in);                    \
        }                                                            \
        const OP_U(B) next = (OP_U(B))insn_next_rip(cpu, in);        \
        uint64_t lin = cpu->regs[REG_RSP] - B / 8;                   \
        if (B != 64) {                                               \
            lin = (uint32_t)lin;                                     \
        }                                                            \
        TARGET_RELATIVE(B)                                           \
        OP_HOST_AT(B, tag_w, call_j_slow_##B)                        \
        memcpy(host, &next, sizeof(next));                           \
        cpu->regs[REG_RSP] = lin;                                    \
        cpu->rip = to;                                               \
        OP_CHAIN(0);                                                 \
    }                                                                \
    OP_HANDLER(call_r_##B)                                           \
    {                                                                \
        const OP_U(B) to = reg_get_##B(cpu, in->rm);                 \
        CHECK_TARGET(B)                                              \
        stack_push(cpu, in, B / 8, (OP_U(B))insn_next_rip(cpu, in)); \
        cpu->rip = to;                                               \
        OP_CHAIN_INDIRECT;                                           \
    }                                                                \
    OP_HANDLER(call_m_##B)                                           \
    {                                                                \
        const uint64_t from = mem_ea(cpu, in, B / 8, MEM_READ);      \
        op_probe_read_push(cpu, in, from, B / 8);                    \
        const OP_U(B) to = mem_ld##B(cpu, in, from);                 \
        CHECK_TARGET(B)                                              \
        stack_push(cpu, in, B / 8, (OP_U(B))insn_next_rip(cpu, in)); \
        cpu->rip = to;                                               \
        OP_CHAIN_INDIRECT;                                           \
    }
OP_EACH_V(CALL_FORMS)
OP_FNS_REG_V(CALL_J, call_j)
OP_FNS_V(CALL_E, call_r, call_m)

/* ---- RET: in->imm is 0 where the opcode has no immediate ---- */

#define RET_FORMS(B)                                                                      \
    OP_NOINLINE OP_HANDLER(ret_slow_##B)                                                  \
    {                                                                                     \
        const OP_U(B) to = (OP_U(B))op_stack_load(cpu, in, 0, B / 8);                     \
        CHECK_TARGET(B)                                                                   \
        stack_add(cpu, B / 8 + (int64_t)in->imm);                                         \
        cpu->rip = to;                                                                    \
        OP_CHAIN_INDIRECT;                                                                \
    }                                                                                     \
    OP_HANDLER(ret_##B)                                                                   \
    {                                                                                     \
        if (irq_unlikely(cpu->stack_kind != STACK_FLAT(B))) {                             \
            INSN_RETURN ret_slow_##B(cpu, in);                                            \
        }                                                                                 \
        const uint64_t lin = B == 64 ? cpu->regs[REG_RSP] : (uint32_t)cpu->regs[REG_RSP]; \
        OP_U(B) to;                                                                       \
        OP_HOST_AT(B, tag_r, ret_slow_##B)                                                \
        memcpy(&to, host, sizeof(to));                                                    \
        CHECK_TARGET(B)                                                                   \
        const uint64_t sp = lin + B / 8 + in->imm;                                        \
        cpu->regs[REG_RSP] = B == 64 ? sp : (uint32_t)sp;                                 \
        cpu->rip = to;                                                                    \
        OP_CHAIN_INDIRECT;                                                                \
    }
OP_EACH_V(RET_FORMS)
OP_FNS_REG_V(RET, ret)
OP_FNS_REG_V(RET_I, ret)
