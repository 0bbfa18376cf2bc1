/* SPDX-License-Identifier: MIT */
/*
 * BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages. With a memory operand and the bit number
 * in a register, the bit may lie in any element of a bit string that starts at the address: the
 * element's address is the operand's plus the number divided by the size, wrapped to the address
 * size. A processor without BMI1 or LZCNT (CPUID) runs the encodings of TZCNT and LZCNT as BSF and
 * BSR.
 *
 * Undefined flags: BT and its kin change CF only. BSF and BSR clear CF, OF, AF and take SF and PF
 * from the source. TZCNT and LZCNT clear OF, SF, PF, AF.
 * Undefined results: BSF and BSR of 0 leave the whole destination register.
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_arith.h"

static void set_carry(struct cpu *cpu, bool cf)
{
    cc_replace(cpu, EFLAGS_CF, cf ? EFLAGS_CF : 0);
}

/*
 * Linear address of the element of a bit string that is `elements` x size bytes from the operand.
 */
static uint64_t bit_element(struct cpu *cpu, const struct insn *in, int64_t elements, unsigned size,
                            unsigned flags)
{
    uint64_t off = mem_ea_offset(cpu, in) + (uint64_t)elements * size;

    return op_linear(cpu, in, off & op_address_mask(in), size, flags);
}

/* New value of the element; mask has the bit. */
#define BIT_NEW_bts(v, mask) ((v) | (mask))
#define BIT_NEW_btr(v, mask) ((v) & ~(mask))
#define BIT_NEW_btc(v, mask) ((v) ^ (mask))

#define BIT_TEST(B)                                                                          \
    OP_HANDLER(bt_rr_##B)                                                                    \
    {                                                                                        \
        set_carry(cpu, reg_get_##B(cpu, in->rm) >> (reg_get_##B(cpu, in->r) & (B - 1)) & 1); \
        OP_NEXT;                                                                             \
    }                                                                                        \
    OP_HANDLER(bt_ri_##B)                                                                    \
    {                                                                                        \
        set_carry(cpu, reg_get_##B(cpu, in->rm) >> (in->imm & (B - 1)) & 1);                 \
        OP_NEXT;                                                                             \
    }                                                                                        \
    OP_HANDLER(bt_mr_##B)                                                                    \
    {                                                                                        \
        const OP_S(B) n = (OP_S(B))reg_get_##B(cpu, in->r);                                  \
        const uint64_t lin = bit_element(cpu, in, n >> __builtin_ctz(B), B / 8, MEM_READ);   \
        set_carry(cpu, mem_ld##B(cpu, in, lin) >> (n & (B - 1)) & 1);                        \
        OP_NEXT;                                                                             \
    }                                                                                        \
    OP_LOAD(B, bt_mi, set_carry(cpu, v >> (in->imm & (B - 1)) & 1);)
OP_EACH_V(BIT_TEST)
OP_FNS_V(BT_Ev_Gv, bt_rr, bt_mr)
OP_FNS_V(BT_Ev_Ib, bt_ri, bt_mi)

#define BIT_CHANGE(B, op)                                                                   \
    OP_HANDLER(op##_rr_##B)                                                                 \
    {                                                                                       \
        const OP_U(B) v = reg_get_##B(cpu, in->rm);                                         \
        const OP_U(B) mask = (OP_U(B))((OP_U(B))1 << (reg_get_##B(cpu, in->r) & (B - 1)));  \
        reg_set_##B(cpu, in->rm, (OP_U(B))BIT_NEW_##op(v, mask));                           \
        set_carry(cpu, (v & mask) != 0);                                                    \
        OP_NEXT;                                                                            \
    }                                                                                       \
    OP_HANDLER(op##_ri_##B)                                                                 \
    {                                                                                       \
        const OP_U(B) v = reg_get_##B(cpu, in->rm);                                         \
        const OP_U(B) mask = (OP_U(B))((OP_U(B))1 << (in->imm & (B - 1)));                  \
        reg_set_##B(cpu, in->rm, (OP_U(B))BIT_NEW_##op(v, mask));                           \
        set_carry(cpu, (v & mask) != 0);                                                    \
        OP_NEXT;                                                                            \
    }                                                                                       \
    OP_HANDLER(op##_mr_##B)                                                                 \
    {                                                                                       \
        const OP_S(B) n = (OP_S(B))reg_get_##B(cpu, in->r);                                 \
        const uint64_t lin = bit_element(cpu, in, n >> __builtin_ctz(B), B / 8, MEM_WRITE); \
        const OP_U(B) v = mem_ldw##B(cpu, in, lin);                                         \
        const OP_U(B) mask = (OP_U(B))((OP_U(B))1 << (n & (B - 1)));                        \
        mem_st##B(cpu, in, lin, (OP_U(B))BIT_NEW_##op(v, mask));                            \
        set_carry(cpu, (v & mask) != 0);                                                    \
        OP_NEXT;                                                                            \
    }                                                                                       \
    OP_RMW(B, op##_mi, const OP_U(B) mask = (OP_U(B))((OP_U(B))1 << (in->imm & (B - 1)));   \
           out = (OP_U(B))BIT_NEW_##op(v, mask); set_carry(cpu, (v & mask) != 0);)
#define BIT(ID, op)                        \
    OP_EACH_V(BIT_CHANGE, op)              \
    OP_FNS_V(ID##_Ev_Gv, op##_rr, op##_mr) \
    OP_FNS_V(ID##_Ev_Ib, op##_ri, op##_mi)
BIT(BTS, bts)
BIT(BTR, btr)
BIT(BTC, btc)

/* ---- searching and counting ---- */

#define CPUID_1_ECX_POPCNT (1u << 23)
#define CPUID_7_EBX_BMI1   (1u << 3)
#define CPUID_81_ECX_LZCNT (1u << 5)

#define BIT_SCANS(B)                                                                      \
    static inline void scan_bsf_##B(struct cpu *cpu, const struct insn *in, OP_U(B) v)    \
    {                                                                                     \
        if (v) {                                                                          \
            reg_set_##B(cpu, in->r, (OP_U(B))__builtin_ctzll(v));                         \
        }                                                                                 \
        cc_set(cpu, CC_PART##B, v, 0);                                                    \
    }                                                                                     \
    static inline void scan_bsr_##B(struct cpu *cpu, const struct insn *in, OP_U(B) v)    \
    {                                                                                     \
        if (v) {                                                                          \
            reg_set_##B(cpu, in->r, (OP_U(B))(63 - __builtin_clzll(v)));                  \
        }                                                                                 \
        cc_set(cpu, CC_PART##B, v, 0);                                                    \
    }                                                                                     \
    static inline void scan_count_##B(struct cpu *cpu, const struct insn *in, OP_U(B) v,  \
                                      unsigned count)                                     \
    {                                                                                     \
        reg_set_##B(cpu, in->r, (OP_U(B))count);                                          \
        cc_set_raw(cpu, (v == 0 ? EFLAGS_CF : 0) | (count == 0 ? EFLAGS_ZF : 0));         \
    }                                                                                     \
    static inline void scan_tzcnt_##B(struct cpu *cpu, const struct insn *in, OP_U(B) v)  \
    {                                                                                     \
        if (!(cpu->model->f7_ebx & CPUID_7_EBX_BMI1)) {                                   \
            scan_bsf_##B(cpu, in, v);                                                     \
        } else {                                                                          \
            scan_count_##B(cpu, in, v, v ? (unsigned)__builtin_ctzll(v) : B);             \
        }                                                                                 \
    }                                                                                     \
    static inline void scan_lzcnt_##B(struct cpu *cpu, const struct insn *in, OP_U(B) v)  \
    {                                                                                     \
        if (!(cpu->model->f81_ecx & CPUID_81_ECX_LZCNT)) {                                \
            scan_bsr_##B(cpu, in, v);                                                     \
        } else {                                                                          \
            scan_count_##B(cpu, in, v, v ? (unsigned)__builtin_clzll(v) - (64 - B) : B);  \
        }                                                                                 \
    }                                                                                     \
    static inline void scan_popcnt_##B(struct cpu *cpu, const struct insn *in, OP_U(B) v) \
    {                                                                                     \
        reg_set_##B(cpu, in->r, (OP_U(B))__builtin_popcountll(v));                        \
        cc_set_raw(cpu, v == 0 ? EFLAGS_ZF : 0);                                          \
    }
OP_EACH_V(BIT_SCANS)

#define BIT_SCAN_FORMS(B, op)                               \
    OP_HANDLER(op##_r_##B)                                  \
    {                                                       \
        scan_##op##_##B(cpu, in, reg_get_##B(cpu, in->rm)); \
        OP_NEXT;                                            \
    }                                                       \
    OP_LOAD(B, op##_m, scan_##op##_##B(cpu, in, v);)
#define BIT_SCAN(ID, op)          \
    OP_EACH_V(BIT_SCAN_FORMS, op) \
    OP_FNS_V(ID, op##_r, op##_m)
BIT_SCAN(BSF, bsf)
BIT_SCAN(BSR, bsr)
BIT_SCAN(TZCNT, tzcnt)
BIT_SCAN(LZCNT, lzcnt)

#define POPCNT_FORMS(B)                                                                 \
    OP_HANDLER(popcnt_r_##B)                                                            \
    {                                                                                   \
        if (!(cpu->model->f1_ecx & CPUID_1_ECX_POPCNT)) {                               \
            INSN_RETURN op_fault_ud(cpu, in);                                           \
        }                                                                               \
        scan_popcnt_##B(cpu, in, reg_get_##B(cpu, in->rm));                             \
        OP_NEXT;                                                                        \
    }                                                                                   \
    OP_HANDLER(popcnt_m_##B)                                                            \
    {                                                                                   \
        if (!(cpu->model->f1_ecx & CPUID_1_ECX_POPCNT)) {                               \
            INSN_RETURN op_fault_ud(cpu, in);                                           \
        }                                                                               \
        scan_popcnt_##B(cpu, in, mem_ld##B(cpu, in, mem_ea(cpu, in, B / 8, MEM_READ))); \
        OP_NEXT;                                                                        \
    }
OP_EACH_V(POPCNT_FORMS)
OP_FNS_V(POPCNT, popcnt_r, popcnt_m)
