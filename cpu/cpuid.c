/* SPDX-License-Identifier: MIT */
/*
 * CPU models and what CPUID says of them.
 *
 * Intel SDM Vol. 2 (325383), "CPUID - CPU Identification"; AMD APM Vol. 3 (24594), appendix E. The models carry QEMU's names; vendor,
 * signature and feature bits are those that QEMU 7.2 shows for `-cpu NAME` with its own emulation (as CPUID answers in a guest),
 * less what is listed here.
 *
 * Modelled: leaves 0, 1, 2, 4, 7, 0Bh; 40000000h (a hypervisor is present; its name is irqscope's own); 80000000h-80000008h. A
 * leaf above the largest answers as the largest basic leaf does. The APIC bit follows IA32_APIC_BASE.
 * Not modelled though advertised, because kernels made for these models insist on it: MMX, SSE, SSE2 and SSE3. FXSAVE and
 * FXRSTOR work; executing an arithmetic instruction of these ends the run with a message.
 * Deviations: SVM is not advertised for qemu64. Model "max" is qemu64 with what else is modelled.
 */
#include "cpu/segment.h"

#define FEATURES_486 (F1D_FPU | F1D_PSE)
#define FEATURES_PENTIUM \
    (FEATURES_486 | F1D_DE | F1D_TSC | F1D_MSR | F1D_MCE | F1D_CX8 | F1D_MMX | F1D_APIC)
#define FEATURES_PENTIUM2                                                                       \
    (FEATURES_PENTIUM | F1D_PAE | F1D_SEP | F1D_MTRR | F1D_PGE | F1D_MCA | F1D_CMOV | F1D_PAT | \
     F1D_PSE36 | F1D_FXSR)
#define FEATURES_PPRO                                                                          \
    (F1D_FPU | F1D_DE | F1D_PSE | F1D_TSC | F1D_MSR | F1D_MCE | F1D_CX8 | F1D_PGE | F1D_CMOV | \
     F1D_PAT | F1D_FXSR | F1D_MMX | F1D_SSE | F1D_SSE2 | F1D_PAE | F1D_SEP | F1D_APIC)
#define FEATURES_QEMU64 (FEATURES_PPRO | F1D_MTRR | F1D_CLFSH | F1D_MCA | F1D_PSE36)
/* Bits of leaf 1 that AMD repeats in 80000001h. */
#define AMD_REPEATED 0x0183f3ffu

static const char intel[] = "GenuineIntel";
static const char amd[] = "AuthenticAMD";

const struct cpu_model cpu_models[] = {
    {.name = "486",
     .vendor = intel,
     .brand = "",
     .signature = 0x480,
     .max_leaf = 1,
     .f1_edx = FEATURES_486,
     .f1_ecx = F1C_HV,
     .phys_bits = 32,
     .lin_bits = 32},
    {.name = "pentium",
     .vendor = intel,
     .brand = "",
     .signature = 0x543,
     .max_leaf = 1,
     .f1_edx = FEATURES_PENTIUM,
     .f1_ecx = F1C_HV,
     .phys_bits = 32,
     .lin_bits = 32},
    {.name = "pentium2",
     .vendor = intel,
     .brand = "",
     .signature = 0x652,
     .max_leaf = 2,
     .f1_edx = FEATURES_PENTIUM2,
     .f1_ecx = F1C_HV,
     .phys_bits = 36,
     .lin_bits = 32},
    {.name = "pentium3",
     .vendor = intel,
     .brand = "",
     .signature = 0x673,
     .max_leaf = 3,
     .f1_edx = FEATURES_PENTIUM2 | F1D_SSE,
     .f1_ecx = F1C_HV,
     .phys_bits = 36,
     .lin_bits = 32},
    {.name = "qemu32",
     .vendor = intel,
     .brand = "QEMU Virtual CPU version 2.5+",
     .signature = 0x663,
     .max_leaf = 4,
     .max_ext_leaf = 0x80000004,
     .f1_edx = FEATURES_PPRO,
     .f1_ecx = F1C_SSE3 | F1C_HV,
     .phys_bits = 36,
     .lin_bits = 32},
    {.name = "qemu64",
     .vendor = amd,
     .brand = "QEMU Virtual CPU version 2.5+",
     .signature = 0x60fb1,
     .max_leaf = 0xd,
     .max_ext_leaf = 0x80000008,
     .f1_edx = FEATURES_QEMU64,
     .f1_ecx = F1C_SSE3 | F1C_CX16 | F1C_HV,
     .f81_edx = (FEATURES_QEMU64 & AMD_REPEATED) | F81D_SYSCALL | F81D_NX | F81D_LM,
     .f81_ecx = F81C_LAHF,
     .phys_bits = 40,
     .lin_bits = 48},
    {.name = "max",
     .vendor = amd,
     .brand = "irqscope virtual CPU",
     .signature = 0x60fb1,
     .max_leaf = 0xd,
     .max_ext_leaf = 0x80000008,
     .f1_edx = FEATURES_QEMU64,
     .f1_ecx = F1C_SSE3 | F1C_CX16 | F1C_MOVBE | F1C_POPCNT | F1C_HV,
     .f7_ebx = F7B_FSGSBASE,
     .f81_edx = (FEATURES_QEMU64 & AMD_REPEATED) | F81D_SYSCALL | F81D_NX | F81D_LM | F81D_RDTSCP,
     .f81_ecx = F81C_LAHF | F81C_CR8 | F81C_ABM,
     .phys_bits = 40,
     .lin_bits = 48},
    {.name = NULL},
};

const struct cpu_model *cpu_model_find(const char *name)
{
    for (const struct cpu_model *m = cpu_models; m->name; m++) {
        if (strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

struct leaf {
    uint32_t eax, ebx, ecx, edx;
};

static uint32_t four(const char *s)
{
    uint32_t v;
    memcpy(&v, s, 4);
    return v;
}

/* Vendor string in EBX, EDX, ECX. */
static struct leaf vendor_leaf(const struct cpu_model *m, uint32_t max)
{
    return (struct leaf){max, four(m->vendor), four(m->vendor + 8), four(m->vendor + 4)};
}

/* 48 characters in three leaves of 16. */
static struct leaf brand_leaf(const struct cpu_model *m, unsigned part)
{
    char text[48] = {0};
    size_t n = strlen(m->brand);
    memcpy(text, m->brand, n < sizeof(text) ? n : sizeof(text));
    const char *p = text + part * 16;
    return (struct leaf){four(p), four(p + 4), four(p + 8), four(p + 12)};
}

/* Deterministic cache parameters: 32 KiB L1D and L1I, 4 MiB L2, 16 MiB L3. */
static struct leaf cache_leaf(uint32_t sub)
{
    static const struct leaf caches[] = {
        {0x121, 0x01c0003f, 0x3f, 1},
        {0x122, 0x01c0003f, 0x3f, 1},
        {0x143, 0x03c0003f, 0xfff, 1},
        {0x163, 0x03c0003f, 0x3fff, 6},
    };
    return sub < irq_array_size(caches) ? caches[sub] : (struct leaf){0};
}

static bool is_amd(const struct cpu_model *m)
{
    return m->vendor[0] == 'A';
}

/* The APIC bit is 0 while IA32_APIC_BASE disables the APIC. */
static uint32_t apic_mask(const struct cpu *cpu)
{
    bool off =
        cpu->intr && cpu->intr->get_base && !(cpu->intr->get_base(cpu->intr_opaque) & (1u << 11));
    return off ? ~F1D_APIC : UINT32_MAX;
}

static struct leaf basic_leaf(const struct cpu *cpu, uint32_t leaf, uint32_t sub)
{
    const struct cpu_model *m = cpu->model;
    switch (leaf) {
    case 0:
        return vendor_leaf(m, m->max_leaf);
    case 1:
        return (struct leaf){m->signature, (uint32_t)cpu->index << 24 | 0x800, m->f1_ecx,
                             m->f1_edx & apic_mask(cpu)};
    case 2:
        return is_amd(m) ? (struct leaf){0} : (struct leaf){1, 0, 0x4d, 0x2c307d};
    case 4:
        return is_amd(m) ? (struct leaf){0} : cache_leaf(sub);
    case 7:
        return sub == 0 ? (struct leaf){0, m->f7_ebx, m->f7_ecx, 0} : (struct leaf){0};
    case 0xb:
        /* One thread, one core. */
        return sub < 2 ? (struct leaf){0, 1, sub | (sub + 1) << 8, cpu->index}
                       : (struct leaf){0, 0, sub, cpu->index};
    default:
        return (struct leaf){0};
    }
}

static struct leaf extended_leaf(const struct cpu *cpu, uint32_t leaf)
{
    const struct cpu_model *m = cpu->model;
    switch (leaf) {
    case 0x80000000:
        return vendor_leaf(m, m->max_ext_leaf);
    case 0x80000001:
        return (struct leaf){m->signature, 0, m->f81_ecx, m->f81_edx & apic_mask(cpu)};
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        return brand_leaf(m, leaf - 0x80000002);
    case 0x80000005:
        return (struct leaf){0x01ff01ff, 0x01ff01ff, 0x40020140, 0x40020140};
    case 0x80000006:
        return (struct leaf){0, 0x42004200, 0x02008140, 0x00808140};
    case 0x80000008:
        return (struct leaf){(uint32_t)m->lin_bits << 8 | m->phys_bits, 0, 0, 0};
    default:
        return (struct leaf){0};
    }
}

static struct leaf cpuid(const struct cpu *cpu, uint32_t leaf, uint32_t sub)
{
    const struct cpu_model *m = cpu->model;
    if (leaf >= 0x80000000) {
        if (leaf <= m->max_ext_leaf) {
            return extended_leaf(cpu, leaf);
        }
        leaf = m->max_leaf;
    } else if (leaf == 0x40000000 && (m->f1_ecx & F1C_HV)) {
        return (struct leaf){0x40000000, four("irqs"), four("cope"), four("irqs")};
    }
    return basic_leaf(cpu, leaf < m->max_leaf ? leaf : m->max_leaf, sub);
}

static const struct insn *op_cpuid(struct cpu *cpu, const struct insn *in)
{
    struct leaf l = cpuid(cpu, (uint32_t)cpu->regs[REG_RAX], (uint32_t)cpu->regs[REG_RCX]);
    cpu->regs[REG_RAX] = l.eax;
    cpu->regs[REG_RBX] = l.ebx;
    cpu->regs[REG_RCX] = l.ecx;
    cpu->regs[REG_RDX] = l.edx;
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_CPUID = {{{OP_ALL_SIZES(op_cpuid)}}};
