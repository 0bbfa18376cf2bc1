/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers and the time stamp counter.
 *
 * Intel SDM Vol. 4 (335592), chapter 2 "Model-Specific Registers (MSRs)"; Vol. 3A (325384), 12.11 "Memory Type Range Registers (MTRRs)",
 * 12.12 "Page Attribute Table (PAT)"; Vol. 3B, 18.17 "Time-Stamp Counter"; AMD APM Vol. 2 (24593), 3.1.7 "Extended Feature Enable
 * Register (EFER)".
 *
 * Modelled: EFER, the system call registers, FS, GS and kernel GS base, SYSENTER, APIC_BASE, TSC (one per nanosecond of virtual time),
 * TSC_AUX, PAT and MTRRs as storage with their reserved bits, MISC_ENABLE as storage, and a few that read 0. A register exists if CPUID
 * of the model says so; an unknown one is #GP(0).
 * Not modelled: x2APIC registers, machine check banks, performance counters, microcode updates (a write to BIOS_SIGN_ID is
 * accepted; it reads 0).
 * Deviations: memory types have no effect.
 */
#include "cpu/segment.h"

enum msr {
    MSR_P5_MC_ADDR = 0x0,
    MSR_P5_MC_TYPE = 0x1,
    MSR_TSC = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b,
    MSR_BIOS_SIGN_ID = 0x8b,
    MSR_MTRRCAP = 0xfe,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_MTRR_PHYS = 0x200, /* 8 pairs */
    MSR_MTRR_FIX64K = 0x250,
    MSR_MTRR_FIX16K = 0x258,
    MSR_MTRR_FIX4K = 0x268,
    MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff,
    MSR_EFER = 0xc0000080u,
    MSR_STAR = 0xc0000081u,
    MSR_LSTAR = 0xc0000082u,
    MSR_CSTAR = 0xc0000083u,
    MSR_SFMASK = 0xc0000084u,
    MSR_FS_BASE = 0xc0000100u,
    MSR_GS_BASE = 0xc0000101u,
    MSR_KERNEL_GS_BASE = 0xc0000102u,
    MSR_TSC_AUX = 0xc0000103u,
};

static uint64_t read_tsc(const struct cpu *cpu, const struct insn *in)
{
    return cpu_now(cpu, in) + cpu->tsc_offset;
}

/* Does this model have the register? Unknown numbers: no. */
static bool msr_exists(const struct cpu_model *m, uint32_t n)
{
    uint32_t d = m->f1_edx;
    uint32_t e = m->f81_edx;
    switch (n) {
    case MSR_P5_MC_ADDR:
    case MSR_P5_MC_TYPE:
        return (d & F1D_MCE) != 0;
    case MSR_TSC:
        return (d & F1D_TSC) != 0;
    case MSR_PLATFORM_ID:
    case MSR_BIOS_SIGN_ID:
    case MSR_MISC_ENABLE:
        return (d & F1D_SEP) != 0; /* P6 and later */
    case MSR_APIC_BASE:
        return (d & F1D_APIC) && (d & F1D_SEP); /* the Pentium has none */
    case MSR_SYSENTER_CS:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
        return (d & F1D_SEP) != 0;
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
        return (d & F1D_MCA) != 0;
    case MSR_PAT:
        return (d & F1D_PAT) != 0;
    case MSR_EFER:
        return (e & (F81D_SYSCALL | F81D_NX | F81D_LM)) != 0;
    case MSR_STAR:
        return (e & F81D_SYSCALL) != 0;
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_SFMASK:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
        return (e & F81D_LM) != 0;
    case MSR_TSC_AUX:
        return (e & F81D_RDTSCP) != 0;
    default:
        return false;
    }
}

/* Registers that are nothing but 64 bits of storage here; NULL for others. */
static uint64_t *msr_storage(struct cpu *cpu, uint32_t n)
{
    switch (n) {
    case MSR_MISC_ENABLE:
        return &cpu->misc_enable;
    case MSR_SYSENTER_CS:
        return &cpu->sysenter_cs;
    case MSR_SYSENTER_ESP:
        return &cpu->sysenter_esp;
    case MSR_SYSENTER_EIP:
        return &cpu->sysenter_eip;
    case MSR_PAT:
        return &cpu->pat;
    case MSR_STAR:
        return &cpu->star;
    case MSR_LSTAR:
        return &cpu->lstar;
    case MSR_CSTAR:
        return &cpu->cstar;
    case MSR_SFMASK:
        return &cpu->sfmask;
    case MSR_FS_BASE:
        return &cpu->seg[SEG_FS].base;
    case MSR_GS_BASE:
        return &cpu->seg[SEG_GS].base;
    case MSR_KERNEL_GS_BASE:
        return &cpu->kernel_gs_base;
    case MSR_TSC_AUX:
        return &cpu->tsc_aux;
    default:
        return NULL;
    }
}

/* ---- MTRRs ---- */

/* The storage of an MTRR; NULL if n is none. */
static uint64_t *mtrr_storage(struct cpu *cpu, uint32_t n)
{
    if (!(cpu->model->f1_edx & F1D_MTRR)) {
        return NULL;
    }
    if (n >= MSR_MTRR_PHYS && n < MSR_MTRR_PHYS + irq_array_size(cpu->mtrr_var)) {
        return &cpu->mtrr_var[n - MSR_MTRR_PHYS];
    }
    if (n == MSR_MTRR_FIX64K) {
        return &cpu->mtrr_fixed[0];
    }
    if (n == MSR_MTRR_FIX16K || n == MSR_MTRR_FIX16K + 1) {
        return &cpu->mtrr_fixed[1 + n - MSR_MTRR_FIX16K];
    }
    if (n >= MSR_MTRR_FIX4K && n < MSR_MTRR_FIX4K + 8) {
        return &cpu->mtrr_fixed[3 + n - MSR_MTRR_FIX4K];
    }
    return n == MSR_MTRR_DEF_TYPE ? &cpu->mtrr_def_type : NULL;
}

/*
 * Each byte one of UC, WC, WT, WP, WB, and UC- for the PAT. Vol. 3A, tables 12-8 "Memory Types That Can Be Encoded in MTRRs" and
 * 12-10 "Memory Types That Can Be Encoded With PAT".
 */
static bool memory_types_valid(uint64_t v, uint32_t allowed)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t type = (v >> (8 * i)) & 0xff;
        if (type > 7 || !((allowed >> type) & 1)) {
            return false;
        }
    }
    return true;
}

#define MTRR_TYPES 0x73u /* 0, 1, 4, 5, 6 */
#define PAT_TYPES  0xf3u /* and 7 */

static bool mtrr_value_valid(const struct cpu *cpu, uint32_t n, uint64_t v)
{
    uint64_t too_high = UINT64_MAX << cpu->model->phys_bits;
    if (n == MSR_MTRR_DEF_TYPE) {
        return !(v & ~0xcffull) && (v & 0xff) <= 7 && ((MTRR_TYPES >> (v & 7)) & 1);
    }
    if (n >= MSR_MTRR_FIX64K) {
        return memory_types_valid(v, MTRR_TYPES);
    }
    if (n & 1) {
        return !(v & (too_high | 0x7ff));
    }
    return !(v & (too_high | 0xf00)) && (v & 0xff) <= 7 && ((MTRR_TYPES >> (v & 7)) & 1);
}

/* ---- writes with rules ---- */

static bool write_efer(struct cpu *cpu, uint64_t v)
{
    uint32_t e = cpu->model->f81_edx;
    uint64_t valid = EFER_LMA;
    valid |= e & F81D_SYSCALL ? EFER_SCE : 0;
    valid |= e & F81D_NX ? EFER_NXE : 0;
    valid |= e & F81D_LM ? EFER_LME : 0;
    uint64_t changed = v ^ cpu->efer;
    if ((v & ~valid) || ((changed & EFER_LME) && (cpu->cr0 & CR0_PG))) {
        return false;
    }
    cpu->efer = (v & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
    if (changed & EFER_NXE) {
        cpu_flush_tlb(cpu, true);
    }
    cpu_update_mode(cpu);
    return true;
}

static bool write_apic_base(struct cpu *cpu, const struct insn *in, uint64_t v)
{
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    if (!cpu->intr || !cpu->intr->set_base || !cpu->intr->set_base(cpu->intr_opaque, v, &attrs)) {
        return false;
    }
    cpu_flush_tlb(cpu, true); /* the APIC's page may lie elsewhere now */
    return true;
}

/* Is the value acceptable for a register of msr_storage()? */
static bool storage_value_valid(uint32_t n, uint64_t v)
{
    switch (n) {
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
        return cpu_canonical(v);
    case MSR_PAT:
        return memory_types_valid(v, PAT_TYPES);
    case MSR_TSC_AUX:
    case MSR_SFMASK:
        return (v >> 32) == 0;
    default:
        return true;
    }
}

/* False: #GP(0). */
static bool write_msr(struct cpu *cpu, const struct insn *in, uint32_t n, uint64_t v)
{
    uint64_t *mtrr = mtrr_storage(cpu, n);
    if (mtrr) {
        if (!mtrr_value_valid(cpu, n, v)) {
            return false;
        }
        *mtrr = v;
        return true;
    }
    if (!msr_exists(cpu->model, n)) {
        return false;
    }
    uint64_t *storage = msr_storage(cpu, n);
    if (storage) {
        if (!storage_value_valid(n, v)) {
            return false;
        }
        *storage = v;
        return true;
    }
    switch (n) {
    case MSR_EFER:
        return write_efer(cpu, v);
    case MSR_APIC_BASE:
        return write_apic_base(cpu, in, v);
    case MSR_TSC:
        cpu->tsc_offset = v - cpu_now(cpu, in);
        return true;
    case MSR_BIOS_SIGN_ID:
        return true;
    case MSR_MCG_STATUS:
        return v == 0;
    default:
        return false; /* read-only */
    }
}

/* False: #GP(0). */
static bool read_msr(struct cpu *cpu, const struct insn *in, uint32_t n, uint64_t *v)
{
    const uint64_t *mtrr = mtrr_storage(cpu, n);
    if (mtrr) {
        *v = *mtrr;
        return true;
    }
    if (n == MSR_MTRRCAP && (cpu->model->f1_edx & F1D_MTRR)) {
        *v = 0x500 | irq_array_size(cpu->mtrr_var) / 2; /* WC, fixed ranges, number of pairs */
        return true;
    }
    if (!msr_exists(cpu->model, n)) {
        return false;
    }
    const uint64_t *storage = msr_storage(cpu, n);
    if (storage) {
        *v = *storage;
        return true;
    }
    switch (n) {
    case MSR_EFER:
        *v = cpu->efer;
        return true;
    case MSR_APIC_BASE:
        cpu_sync(cpu, in);
        *v = cpu->intr && cpu->intr->get_base ? cpu->intr->get_base(cpu->intr_opaque) : 0;
        return true;
    case MSR_TSC:
        *v = read_tsc(cpu, in);
        return true;
    default:
        *v = 0;
        return true;
    }
}

static void check_msr_access(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f1_edx & F1D_MSR)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    cpu_check_cpl0(cpu, in);
}

static const struct insn *op_wrmsr(struct cpu *cpu, const struct insn *in)
{
    check_msr_access(cpu, in);
    uint64_t v = (cpu->regs[REG_RDX] << 32) | (uint32_t)cpu->regs[REG_RAX];
    if (!write_msr(cpu, in, (uint32_t)cpu->regs[REG_RCX], v)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

static void set_edx_eax(struct cpu *cpu, uint64_t v)
{
    cpu->regs[REG_RAX] = (uint32_t)v;
    cpu->regs[REG_RDX] = v >> 32;
}

static const struct insn *op_rdmsr(struct cpu *cpu, const struct insn *in)
{
    check_msr_access(cpu, in);
    uint64_t v = 0;
    if (!read_msr(cpu, in, (uint32_t)cpu->regs[REG_RCX], &v)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    set_edx_eax(cpu, v);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static void check_tsd(struct cpu *cpu, const struct insn *in)
{
    if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
}

static const struct insn *op_rdtsc(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f1_edx & F1D_TSC)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    check_tsd(cpu, in);
    set_edx_eax(cpu, read_tsc(cpu, in));
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_rdtscp(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f81_edx & F81D_RDTSCP)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    check_tsd(cpu, in);
    set_edx_eax(cpu, read_tsc(cpu, in));
    cpu->regs[REG_RCX] = (uint32_t)cpu->tsc_aux;
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_WRMSR = {{{OP_ALL_SIZES(op_wrmsr)}}};
const struct op_fns fns_RDMSR = {{{OP_ALL_SIZES(op_rdmsr)}}};
const struct op_fns fns_RDTSC = {{{OP_ALL_SIZES(op_rdtsc)}}};
const struct op_fns fns_RDTSCP = {{{OP_ALL_SIZES(op_rdtscp)}}};
