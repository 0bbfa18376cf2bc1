/* SPDX-License-Identifier: MIT */
/*
 * Control and debug registers.
 *
 * Intel SDM Vol. 3A (325384), 2.5 "Control Registers", 4.1 "Paging Modes and Control Bits", 4.4.1 "PDPTE Registers", 10.8.5 "Initializing
 * IA-32e Mode", 4.10.4 "Invalidation of TLBs and Paging-Structure Caches"; Vol. 3B, 18.2 "Debug Registers"; Vol. 2, "MOV - Move
 * to/from Control Registers", "LMSW", "CLTS", "INVLPG".
 *
 * Modelled: CR0, CR2, CR3, CR4, CR8 with reserved bits, every combination that the manual refuses, the PDPTEs of PAE paging, entry
 * to and exit from IA-32e mode, TLB flushes. DR0-DR7 as storage with their fixed bits.
 * Not modelled: breakpoints (enabling one in DR7, or DR7.GD, ends the run with a message), PCIDs as tags (a load of CR3 drops all
 * entries but global ones), VME and PVI (no CPU model has them, so their bits are reserved).
 * Deviations: CR0.ET reads as 1. CR0.CD and NW have no effect.
 */
#include "cpu/segment.h"

#define CR0_VALID                                                                              \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)
#define PDPTE_RESERVED 0x1e6ull /* bits 1, 2, 5-8 */

static _Noreturn void gp0(struct cpu *cpu, const struct insn *in)
{
    cpu_fault_err(cpu, in, VEC_GP, 0);
}

/* PAE paging outside IA-32e mode keeps the four PDPTEs in the processor. #GP(0) if one has reserved bits. */
static void load_pdptes(struct cpu *cpu, const struct insn *in, uint64_t cr3)
{
    uint64_t reserved = PDPTE_RESERVED | (UINT64_MAX << cpu->model->phys_bits);
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    uint64_t v[4];
    for (unsigned i = 0; i < 4; i++) {
        v[i] = bus_read(cpu->bus, (cr3 & 0xffffffe0u) + i * 8, 8, &attrs);
        if ((v[i] & 1) && (v[i] & reserved)) {
            gp0(cpu, in);
        }
    }
    memcpy(cpu->pdpte, v, sizeof(v));
}

static void check_cr0(struct cpu *cpu, const struct insn *in, uint64_t v)
{
    uint64_t on = v & ~cpu->cr0;
    uint64_t off = ~v & cpu->cr0;
    if ((v >> 32) || ((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD))) {
        gp0(cpu, in);
    }
    if ((on & CR0_PG) && (cpu->efer & EFER_LME)) {
        bool tss16 = (cpu->tr.attr & SEG_TYPE) == DESC_TSS16_BUSY;
        if (!(cpu->cr4 & CR4_PAE) || (cpu->seg[SEG_CS].attr & SEG_L) || tss16) {
            gp0(cpu, in);
        }
    }
    if ((off & CR0_PG) && (cpu->code_bits == 64 || (cpu->cr4 & CR4_PCIDE))) {
        gp0(cpu, in);
    }
}

void cpu_write_cr0(struct cpu *cpu, const struct insn *in, uint64_t value)
{
    check_cr0(cpu, in, value);
    uint64_t v = (value & CR0_VALID) | CR0_ET;
    uint64_t changed = v ^ cpu->cr0;
    bool lme = (cpu->efer & EFER_LME) != 0;
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && (v & CR0_PG) && (cpu->cr4 & CR4_PAE) && !lme) {
        load_pdptes(cpu, in, cpu->cr3);
    }
    cpu->cr0 = v;
    if (changed & CR0_PG) {
        if ((v & CR0_PG) && lme) {
            cpu->efer |= EFER_LMA;
        } else {
            cpu->efer &= ~(uint64_t)EFER_LMA;
        }
    }
    if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
        cpu_flush_tlb(cpu, true);
    }
    cpu_update_mode(cpu);
}

/* Bits that this CPU model has. Vol. 3A, 2.5 "Control Registers": setting a reserved bit is #GP(0). */
static uint64_t cr4_valid(const struct cpu_model *m)
{
    static const struct {
        uint32_t feature;
        uint32_t bits;
    } edx[] = {{F1D_VME, CR4_VME | CR4_PVI}, {F1D_TSC, CR4_TSD}, {F1D_DE, CR4_DE},
               {F1D_PSE, CR4_PSE},           {F1D_PAE, CR4_PAE}, {F1D_MCE, CR4_MCE},
               {F1D_PGE, CR4_PGE},           {F1D_MMX, CR4_PCE}, {F1D_FXSR, CR4_OSFXSR},
               {F1D_SSE, CR4_OSXMMEXCPT}};
    uint64_t valid = 0;
    for (size_t i = 0; i < irq_array_size(edx); i++) {
        if (m->f1_edx & edx[i].feature) {
            valid |= edx[i].bits;
        }
    }
    valid |= m->f1_ecx & F1C_PCID ? CR4_PCIDE : 0;
    valid |= m->f7_ebx & F7B_FSGSBASE ? CR4_FSGSBASE : 0;
    valid |= m->f7_ebx & F7B_SMEP ? CR4_SMEP : 0;
    valid |= m->f7_ebx & F7B_SMAP ? CR4_SMAP : 0;
    valid |= m->f7_ecx & F7C_UMIP ? CR4_UMIP : 0;
    valid |= m->f1_ecx & F1C_XSAVE ? CR4_OSXSAVE : 0;
    return valid;
}

void cpu_write_cr4(struct cpu *cpu, const struct insn *in, uint64_t value)
{
    uint64_t on = value & ~cpu->cr4;
    uint64_t off = ~value & cpu->cr4;
    if (value & ~cr4_valid(cpu->model)) {
        gp0(cpu, in);
    }
    if (cpu->long_mode && (off & CR4_PAE)) {
        gp0(cpu, in);
    }
    if ((on & CR4_PCIDE) && (!cpu->long_mode || (cpu->cr3 & 0xfff))) {
        gp0(cpu, in);
    }
    uint64_t paging = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP;
    if (((on | off) & paging) && (value & CR4_PAE) && (cpu->cr0 & CR0_PG) && !cpu->long_mode) {
        load_pdptes(cpu, in, cpu->cr3);
    }
    cpu->cr4 = value;
    if ((on | off) & (paging | CR4_PCIDE | CR4_SMAP)) {
        cpu_flush_tlb(cpu, true);
    }
    cpu_update_mode(cpu);
}

static void write_cr3(struct cpu *cpu, const struct insn *in, uint64_t value)
{
    bool keep = false;
    if (cpu->cr4 & CR4_PCIDE) {
        keep = (value >> 63) != 0;
        value &= ~(1ull << 63);
    }
    if (cpu->code_bits == 64 && (value >> cpu->model->phys_bits)) {
        gp0(cpu, in);
    }
    if ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !cpu->long_mode) {
        load_pdptes(cpu, in, value);
    }
    /* Without tags for PCIDs, only a load of the same value may keep anything. */
    keep = keep && value == cpu->cr3;
    cpu->cr3 = value;
    if (!keep) {
        cpu_flush_tlb(cpu, false);
    }
}

static void write_cr8(struct cpu *cpu, const struct insn *in, uint64_t value)
{
    if (value > 15) {
        gp0(cpu, in);
    }
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    if (cpu->intr) {
        cpu->intr->set_tpr(cpu->intr_opaque, (uint8_t)value, &attrs);
    }
}

/* The control register that an encoding means; #UD for those that do not exist. LOCK MOV CR0 is CR8 on AMD's processors. */
static unsigned control_number(struct cpu *cpu, const struct insn *in)
{
    unsigned n = in->r;
    if (in->pfx & INSN_LOCK) {
        if (n != 0 || !(cpu->model->f81_ecx & F81C_CR8)) {
            cpu_fault(cpu, in, VEC_UD);
        }
        n = 8;
    } else if (n == 8 && cpu->code_bits != 64) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (n != 0 && n != 2 && n != 3 && n != 4 && n != 8) {
        cpu_fault(cpu, in, VEC_UD);
    }
    return n;
}

static uint64_t source(const struct cpu *cpu, const struct insn *in)
{
    return cpu->code_bits == 64 ? cpu->regs[in->rm] : (uint32_t)cpu->regs[in->rm];
}

static const struct insn *op_mov_r_c(struct cpu *cpu, const struct insn *in)
{
    unsigned n = control_number(cpu, in);
    cpu_check_cpl0(cpu, in);
    uint64_t v = 0;
    switch (n) {
    case 0:
        v = cpu->cr0;
        break;
    case 2:
        v = cpu->cr2;
        break;
    case 3:
        v = cpu->cr3;
        break;
    case 4:
        v = cpu->cr4;
        break;
    default:
        cpu_sync(cpu, in);
        v = cpu->intr ? cpu->intr->get_tpr(cpu->intr_opaque) : 0;
        break;
    }
    cpu->regs[in->rm] = cpu->code_bits == 64 ? v : (uint32_t)v;
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_mov_c_r(struct cpu *cpu, const struct insn *in)
{
    unsigned n = control_number(cpu, in);
    cpu_check_cpl0(cpu, in);
    uint64_t v = source(cpu, in);
    switch (n) {
    case 0:
        cpu_write_cr0(cpu, in, v);
        break;
    case 2:
        cpu->cr2 = v;
        break;
    case 3:
        write_cr3(cpu, in, v);
        break;
    case 4:
        cpu_write_cr4(cpu, in, v);
        break;
    default:
        write_cr8(cpu, in, v);
        break;
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- debug registers ---- */

#define DR6_ONES    0xffff0ff0u
#define DR7_ONES    0x400u
#define DR7_ENABLES 0xffu
#define DR7_GD      0x2000u

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE. Vol. 3B, 18.2.2 "Debug Registers DR4 and DR5". */
static unsigned debug_number(struct cpu *cpu, const struct insn *in)
{
    unsigned n = in->r;
    if (n > 7 || ((n == 4 || n == 5) && (cpu->cr4 & CR4_DE))) {
        cpu_fault(cpu, in, VEC_UD);
    }
    return n == 4 || n == 5 ? n + 2 : n;
}

static const struct insn *op_mov_r_d(struct cpu *cpu, const struct insn *in)
{
    unsigned n = debug_number(cpu, in);
    cpu_check_cpl0(cpu, in);
    uint64_t v = cpu->dr[n];
    cpu->regs[in->rm] = cpu->code_bits == 64 ? v : (uint32_t)v;
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_mov_d_r(struct cpu *cpu, const struct insn *in)
{
    unsigned n = debug_number(cpu, in);
    cpu_check_cpl0(cpu, in);
    uint64_t v = source(cpu, in);
    if (n >= 6) {
        if (v >> 32) {
            gp0(cpu, in);
        }
        if (n == 6) {
            v = (v & 0xe00f) | DR6_ONES;
        } else {
            if (v & (DR7_ENABLES | DR7_GD)) {
                cpu_unmodelled(cpu, in,
                               "DR7 = 0x%08x enables debug breakpoints: these are not modelled",
                               (unsigned)v);
            }
            v = (v & 0xffff2bffu) | DR7_ONES;
        }
    }
    cpu->dr[n] = v;
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- LMSW, CLTS, INVLPG ---- */

static const struct insn *op_lmsw(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    uint64_t v = cpu->regs[in->rm] & 0xf;
    cpu_write_cr0(cpu, in, (cpu->cr0 & ~0xeull) | v | (cpu->cr0 & CR0_PE));
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_lmsw_m(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    uint64_t v = mem_ld16(cpu, in, mem_ea(cpu, in, 2, MEM_READ)) & 0xf;
    cpu_write_cr0(cpu, in, (cpu->cr0 & ~0xeull) | v | (cpu->cr0 & CR0_PE));
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_clts(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    cpu_update_mode(cpu);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_invlpg(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    /* No access is made, so no segment check: only the base is added. */
    uint64_t lin = mem_ea_offset(cpu, in);
    if (cpu->code_bits != 64) {
        lin = (uint32_t)(lin + cpu->seg[in->seg].base);
    } else if (in->seg == SEG_FS || in->seg == SEG_GS) {
        lin += cpu->seg[in->seg].base;
    }
    cpu_flush_page(cpu, lin);
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_MOV_R_C = {{{OP_ALL_SIZES(op_mov_r_c)}}};
const struct op_fns fns_MOV_C_R = {{{OP_ALL_SIZES(op_mov_c_r)}}};
const struct op_fns fns_MOV_R_D = {{{OP_ALL_SIZES(op_mov_r_d)}}};
const struct op_fns fns_MOV_D_R = {{{OP_ALL_SIZES(op_mov_d_r)}}};
const struct op_fns fns_LMSW = {{{OP_ALL_SIZES(op_lmsw)}, {OP_ALL_SIZES(op_lmsw_m)}}};
const struct op_fns fns_CLTS = {{{OP_ALL_SIZES(op_clts)}}};
const struct op_fns fns_INVLPG = {{{0}, {OP_ALL_SIZES(op_invlpg)}}};
