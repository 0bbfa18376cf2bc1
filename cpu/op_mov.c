/* SPDX-License-Identifier: MIT */
/*
 * MOV (general registers, immediates, moffs), MOVZX, MOVSX, MOVSXD, MOVBE, MOVNTI, LEA, XCHG, XADD,
 * CMPXCHG, CMPXCHG8B/16B, BSWAP, CBW/CWDE/CDQE, CWD/CDQ/CQO, XLAT.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages.
 *
 * Undefined results: BSWAP of a 16-bit register swaps the 32-bit one (the 66h prefix is not looked
 * at). CMPXCHG writes its destination back when the comparison fails, as the page says under
 * "Operation". A 32-bit destination register that is not replaced keeps its upper half.
 *
 * Not modelled: write combining of MOVNTI.
 * Deviations: none known.
 */
#include "cpu/op_arith.h"

/* ---- MOV ---- */

#define MOV_FORMS(B)                                                  \
    OP_HANDLER(mov_rr_##B)                                            \
    {                                                                 \
        reg_set_##B(cpu, in->rm, reg_get_##B(cpu, in->r));            \
        OP_NEXT;                                                      \
    }                                                                 \
    OP_HANDLER(mov_gr_##B)                                            \
    {                                                                 \
        reg_set_##B(cpu, in->r, reg_get_##B(cpu, in->rm));            \
        OP_NEXT;                                                      \
    }                                                                 \
    OP_HANDLER(mov_ri_##B)                                            \
    {                                                                 \
        reg_set_##B(cpu, in->rm, (OP_U(B))in->imm);                   \
        OP_NEXT;                                                      \
    }                                                                 \
    OP_STORE(B, mov_mr, out = reg_get_##B(cpu, in->r);)               \
    OP_STORE(B, mov_mi, out = (OP_U(B))in->imm;)                      \
    OP_LOAD(B, mov_rm, reg_set_##B(cpu, in->r, v);)                   \
    OP_HANDLER(mov_ao_##B)                                            \
    {                                                                 \
        uint64_t lin = op_linear(cpu, in, in->imm, B / 8, MEM_READ);  \
        reg_set_##B(cpu, REG_RAX, mem_ld##B(cpu, in, lin));           \
        OP_NEXT;                                                      \
    }                                                                 \
    OP_HANDLER(mov_oa_##B)                                            \
    {                                                                 \
        uint64_t lin = op_linear(cpu, in, in->imm, B / 8, MEM_WRITE); \
        mem_st##B(cpu, in, lin, reg_get_##B(cpu, REG_RAX));           \
        OP_NEXT;                                                      \
    }
OP_EACH(MOV_FORMS)

OP_FNS_B(MOV_Eb_Gb, mov_rr, mov_mr)
OP_FNS_V(MOV_Ev_Gv, mov_rr, mov_mr)
OP_FNS_B(MOV_Gb_Eb, mov_gr, mov_rm)
OP_FNS_V(MOV_Gv_Ev, mov_gr, mov_rm)
OP_FNS_B(MOV_Eb_Ib, mov_ri, mov_mi)
OP_FNS_V(MOV_Ev_Iz, mov_ri, mov_mi)
OP_FNS_REG_B(MOV_Zb_Ib, mov_ri)
OP_FNS_REG_V(MOV_Zv_Iv, mov_ri)
/* moffs has no ModRM byte; either row may be asked for. */
OP_FNS_B(MOV_A_Ob, mov_ao, mov_ao)
OP_FNS_V(MOV_A_Ov, mov_ao, mov_ao)
OP_FNS_B(MOV_O_Ab, mov_oa, mov_oa)
OP_FNS_V(MOV_O_Av, mov_oa, mov_oa)
OP_FNS_MEM_V(MOVNTI, mov_mr)

/* ---- extension: a source of S bits into a register of B bits ---- */

#define MOVX(B, S)                                                           \
    OP_HANDLER(movzx##S##_r_##B)                                             \
    {                                                                        \
        reg_set_##B(cpu, in->r, (OP_U(B))reg_get_##S(cpu, in->rm));          \
        OP_NEXT;                                                             \
    }                                                                        \
    OP_HANDLER(movsx##S##_r_##B)                                             \
    {                                                                        \
        reg_set_##B(cpu, in->r, (OP_U(B))(OP_S(S))reg_get_##S(cpu, in->rm)); \
        OP_NEXT;                                                             \
    }
/* The names carry both sizes; the tables below want the destination's last. */
#define MOVX_LOADS(B)                                                     \
    OP_LOAD(8, movzx_to##B, reg_set_##B(cpu, in->r, v);)                  \
    OP_LOAD(16, movzx_to##B, reg_set_##B(cpu, in->r, (OP_U(B))v);)        \
    OP_LOAD(8, movsx_to##B, reg_set_##B(cpu, in->r, (OP_U(B))(int8_t)v);) \
    OP_LOAD(16, movsx_to##B, reg_set_##B(cpu, in->r, (OP_U(B))(int16_t)v);)
OP_EACH_V(MOVX, 8)
OP_EACH_V(MOVX, 16)
OP_EACH_V(MOVX_LOADS)

#define MOVX_TABLE(ID, name, S)                                        \
    const struct op_fns fns_##ID = {                                   \
        .fn = {{NULL, name##S##_r_16, name##S##_r_32, name##S##_r_64}, \
               {NULL, name##_to16_##S, name##_to32_##S, name##_to64_##S}}};
MOVX_TABLE(MOVZX_Gv_Eb, movzx, 8)
MOVX_TABLE(MOVZX_Gv_Ew, movzx, 16)
MOVX_TABLE(MOVSX_Gv_Eb, movsx, 8)
MOVX_TABLE(MOVSX_Gv_Ew, movsx, 16)

OP_HANDLER(movsxd_r)
{
    reg_set_64(cpu, in->r, (uint64_t)(int32_t)reg_get_32(cpu, in->rm));
    OP_NEXT;
}
OP_LOAD(32, movsxd_m, reg_set_64(cpu, in->r, (uint64_t)(int32_t)v);)
/* Without REX.W it is a plain MOV. */
const struct op_fns fns_MOVSXD = {
    .fn = {{NULL, mov_gr_16, mov_gr_32, movsxd_r}, {NULL, mov_rm_16, mov_rm_32, movsxd_m_32}}};

#define CONVERT(B, half)                                                              \
    OP_HANDLER(cbw_##B)                                                               \
    {                                                                                 \
        reg_set_##B(cpu, REG_RAX, (OP_U(B))(OP_S(half))reg_get_##half(cpu, REG_RAX)); \
        OP_NEXT;                                                                      \
    }                                                                                 \
    OP_HANDLER(cwd_##B)                                                               \
    {                                                                                 \
        const bool negative = (OP_S(B))reg_get_##B(cpu, REG_RAX) < 0;                 \
        reg_set_##B(cpu, REG_RDX, negative ? (OP_U(B)) ~(OP_U(B))0 : 0);              \
        OP_NEXT;                                                                      \
    }
CONVERT(16, 8)
CONVERT(32, 16)
CONVERT(64, 32)
OP_FNS_REG_V(CBW, cbw)
OP_FNS_REG_V(CWD, cwd)

/* ---- LEA, BSWAP, MOVBE, XLAT ---- */

#define LEA(B)                                                                                     \
    OP_NOINLINE OP_HANDLER(lea_slow_##B)                                                           \
    {                                                                                              \
        reg_set_##B(cpu, in->r, (OP_U(B))mem_ea_offset(cpu, in));                                  \
        OP_NEXT;                                                                                   \
    }                                                                                              \
    OP_HANDLER(lea_##B)                                                                            \
    {                                                                                              \
        if (irq_unlikely(in->ea == EA_GENERAL)) {                                                  \
            INSN_RETURN lea_slow_##B(cpu, in);                                                     \
        }                                                                                          \
        uint64_t a =                                                                               \
            cpu->regs[in->base] + (cpu->regs[in->idx] << in->scale) + (uint64_t)(int64_t)in->disp; \
        if (B == 64 && in->ea == EA_FLAT32) {                                                      \
            a = (uint32_t)a;                                                                       \
        }                                                                                          \
        reg_set_##B(cpu, in->r, (OP_U(B))a);                                                       \
        OP_NEXT;                                                                                   \
    }
OP_EACH_V(LEA)
OP_FNS_MEM_V(LEA, lea)

OP_HANDLER(bswap_32)
{
    reg_set_32(cpu, in->rm, __builtin_bswap32(reg_get_32(cpu, in->rm)));
    OP_NEXT;
}
OP_HANDLER(bswap_64)
{
    reg_set_64(cpu, in->rm, __builtin_bswap64(reg_get_64(cpu, in->rm)));
    OP_NEXT;
}
const struct op_fns fns_BSWAP = {.fn = {{NULL, bswap_32, bswap_32, bswap_64}}};

#define CPUID_1_ECX_MOVBE (1u << 22)
#define MOVBE(B)                                                          \
    OP_HANDLER(movbe_rm_##B)                                              \
    {                                                                     \
        if (!(cpu->model->f1_ecx & CPUID_1_ECX_MOVBE)) {                  \
            INSN_RETURN op_fault_ud(cpu, in);                             \
        }                                                                 \
        OP_U(B) v = mem_ld##B(cpu, in, mem_ea(cpu, in, B / 8, MEM_READ)); \
        reg_set_##B(cpu, in->r, __builtin_bswap##B(v));                   \
        OP_NEXT;                                                          \
    }                                                                     \
    OP_HANDLER(movbe_mr_##B)                                              \
    {                                                                     \
        if (!(cpu->model->f1_ecx & CPUID_1_ECX_MOVBE)) {                  \
            INSN_RETURN op_fault_ud(cpu, in);                             \
        }                                                                 \
        OP_U(B) v = __builtin_bswap##B(reg_get_##B(cpu, in->r));          \
        mem_st##B(cpu, in, mem_ea(cpu, in, B / 8, MEM_WRITE), v);         \
        OP_NEXT;                                                          \
    }
OP_EACH_V(MOVBE)
OP_FNS_MEM_V(MOVBE_Gv_M, movbe_rm)
OP_FNS_MEM_V(MOVBE_M_Gv, movbe_mr)

OP_HANDLER(xlat)
{
    uint64_t off = (cpu->regs[REG_RBX] + reg_get_8(cpu, 0)) & op_address_mask(in);
    uint64_t lin = op_linear(cpu, in, off, 1, MEM_READ);

    reg_set_8(cpu, 0, mem_ld8(cpu, in, lin));
    OP_NEXT;
}
const struct op_fns fns_XLAT = {.fn = {{xlat}, {xlat}}};

/* ---- XCHG, XADD, CMPXCHG ---- */

#define EXCHANGE(B)                                                               \
    OP_HANDLER(xchg_r_##B)                                                        \
    {                                                                             \
        const OP_U(B) a = reg_get_##B(cpu, in->rm), b = reg_get_##B(cpu, in->r);  \
        reg_set_##B(cpu, in->rm, b);                                              \
        reg_set_##B(cpu, in->r, a);                                               \
        OP_NEXT;                                                                  \
    }                                                                             \
    OP_RMW(B, xchg_m, out = reg_get_##B(cpu, in->r); reg_set_##B(cpu, in->r, v);) \
    OP_HANDLER(xadd_r_##B)                                                        \
    {                                                                             \
        const OP_U(B) a = reg_get_##B(cpu, in->rm);                               \
        const OP_U(B) sum = alu_add_##B(cpu, a, reg_get_##B(cpu, in->r));         \
        reg_set_##B(cpu, in->r, a);                                               \
        reg_set_##B(cpu, in->rm, sum);                                            \
        OP_NEXT;                                                                  \
    }                                                                             \
    OP_RMW(B, xadd_m, out = alu_add_##B(cpu, v, reg_get_##B(cpu, in->r));         \
           reg_set_##B(cpu, in->r, v);)                                           \
    OP_HANDLER(cmpxchg_r_##B)                                                     \
    {                                                                             \
        const OP_U(B) v = reg_get_##B(cpu, in->rm);                               \
        if (alu_sub_##B(cpu, reg_get_##B(cpu, REG_RAX), v) == 0) {                \
            reg_set_##B(cpu, in->rm, reg_get_##B(cpu, in->r));                    \
        } else {                                                                  \
            reg_set_##B(cpu, REG_RAX, v);                                         \
        }                                                                         \
        OP_NEXT;                                                                  \
    }                                                                             \
    OP_RMW(                                                                       \
        B, cmpxchg_m,                                                             \
        if (alu_sub_##B(cpu, reg_get_##B(cpu, REG_RAX), v) == 0) {                \
            out = reg_get_##B(cpu, in->r);                                        \
        } else {                                                                  \
            out = v;                                                              \
            reg_set_##B(cpu, REG_RAX, v);                                         \
        })
OP_EACH(EXCHANGE)
#define EXCHANGE_A(B)                                                              \
    OP_HANDLER(xchg_a_##B)                                                         \
    {                                                                              \
        const OP_U(B) a = reg_get_##B(cpu, REG_RAX), b = reg_get_##B(cpu, in->rm); \
        reg_set_##B(cpu, REG_RAX, b);                                              \
        reg_set_##B(cpu, in->rm, a);                                               \
        OP_NEXT;                                                                   \
    }
OP_EACH_V(EXCHANGE_A)

OP_FNS_B(XCHG_Eb_Gb, xchg_r, xchg_m)
OP_FNS_V(XCHG_Ev_Gv, xchg_r, xchg_m)
OP_FNS_REG_V(XCHG_Zv_A, xchg_a)
OP_FNS_B(XADD_Eb_Gb, xadd_r, xadd_m)
OP_FNS_V(XADD_Ev_Gv, xadd_r, xadd_m)
OP_FNS_B(CMPXCHG_Eb_Gb, cmpxchg_r, cmpxchg_m)
OP_FNS_V(CMPXCHG_Ev_Gv, cmpxchg_r, cmpxchg_m)

OP_HANDLER(cmpxchg8b)
{
    const uint64_t lin = mem_ea(cpu, in, 8, MEM_WRITE);
    const uint64_t v = mem_ldw64(cpu, in, lin);
    const uint64_t expected = (uint64_t)reg_get_32(cpu, REG_RDX) << 32 | reg_get_32(cpu, REG_RAX);

    if (v == expected) {
        mem_st64(cpu, in, lin, (uint64_t)reg_get_32(cpu, REG_RCX) << 32 | reg_get_32(cpu, REG_RBX));
        cc_replace(cpu, EFLAGS_ZF, EFLAGS_ZF);
    } else {
        mem_st64(cpu, in, lin, v);
        reg_set_32(cpu, REG_RAX, (uint32_t)v);
        reg_set_32(cpu, REG_RDX, (uint32_t)(v >> 32));
        cc_replace(cpu, EFLAGS_ZF, 0);
    }
    OP_NEXT;
}

#define CPUID_1_ECX_CX16 (1u << 13)
OP_HANDLER(cmpxchg16b)
{
    if (!(cpu->model->f1_ecx & CPUID_1_ECX_CX16)) {
        INSN_RETURN op_fault_ud(cpu, in);
    }
    const uint64_t lin = mem_ea(cpu, in, 16, MEM_WRITE);
    if (lin & 15) {
        INSN_RETURN op_fault_gp0(cpu, in);
    }
    mem_probe(cpu, in, lin, 16, MEM_WRITE);
    const uint64_t low = mem_ldw64(cpu, in, lin), high = mem_ldw64(cpu, in, lin + 8);

    if (low == cpu->regs[REG_RAX] && high == cpu->regs[REG_RDX]) {
        mem_st64(cpu, in, lin, cpu->regs[REG_RBX]);
        mem_st64(cpu, in, lin + 8, cpu->regs[REG_RCX]);
        cc_replace(cpu, EFLAGS_ZF, EFLAGS_ZF);
    } else {
        mem_st64(cpu, in, lin, low);
        mem_st64(cpu, in, lin + 8, high);
        cpu->regs[REG_RAX] = low;
        cpu->regs[REG_RDX] = high;
        cc_replace(cpu, EFLAGS_ZF, 0);
    }
    OP_NEXT;
}
const struct op_fns fns_CMPXCHG8B = {.fn = {{NULL}, {NULL, cmpxchg8b, cmpxchg8b, cmpxchg16b}}};
