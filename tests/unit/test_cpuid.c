/* SPDX-License-Identifier: MIT */
/*
 * CPUID per model. The values are what a guest of QEMU 7.2 (-cpu NAME) reads, but for SVM in qemu64.
 */
#include "sys_fixture.h"

static void cpuid(struct fx *fx, uint32_t leaf)
{
    fx_code(fx, 0x0f, 0xa2, 0xf4);
    fx->cpu->rip = FX_CODE;
    fx->cpu->halted = false;
    fx->cpu->regs[REG_RAX] = leaf;
    fx->cpu->regs[REG_RCX] = 0;
    fx_run(fx, 10);
    cr_assert_eq(fx->cpu->rip, FX_CODE + 3);
}

#define EXPECT(a, b, c, d)                         \
    do {                                           \
        cr_assert_eq(fx->cpu->regs[REG_RAX], (a)); \
        cr_assert_eq(fx->cpu->regs[REG_RBX], (b)); \
        cr_assert_eq(fx->cpu->regs[REG_RCX], (c)); \
        cr_assert_eq(fx->cpu->regs[REG_RDX], (d)); \
    } while (0)

Test(cpuid, leaf_1_of_each_model)
{
    static const struct {
        const char *name;
        uint32_t eax, ecx, edx;
    } models[] = {
        {"486", 0x480, 0x80000000, 0x00000009},      {"pentium", 0x543, 0x80000000, 0x008003bd},
        {"pentium2", 0x652, 0x80000000, 0x0183fbfd}, {"pentium3", 0x673, 0x80000000, 0x0383fbfd},
        {"qemu32", 0x663, 0x80000001, 0x0781abfd},   {"qemu64", 0x60fb1, 0x80002001, 0x078bfbfd},
    };
    for (size_t i = 0; i < irq_array_size(models); i++) {
        struct fx *fx = fx_pm32(models[i].name);
        cpuid(fx, 1);
        EXPECT(models[i].eax, 0x800u, models[i].ecx, models[i].edx);
        fx_free(fx);
    }
}

Test(cpuid, vendor_and_extended_leaves_of_qemu64)
{
    struct fx *fx = fx_pm32("qemu64");
    cpuid(fx, 0);
    EXPECT(0xdu, 0x68747541u, 0x444d4163u, 0x69746e65u);
    cpuid(fx, 0x80000001);
    EXPECT(0x60fb1u, 0u, 1u, 0x2193fbfdu);
    cpuid(fx, 0x80000002);
    EXPECT(0x554d4551u, 0x72695620u, 0x6c617574u, 0x55504320u);
    cpuid(fx, 0x80000008);
    EXPECT(0x3028u, 0u, 0u, 0u);
    fx_free(fx);
}

Test(cpuid, leaf_above_the_largest_answers_as_the_largest)
{
    struct fx *fx = fx_pm32("pentium2");
    cpuid(fx, 0x80000000);
    EXPECT(1u, 0u, 0x4du, 0x2c307du);
    cpuid(fx, 7);
    EXPECT(1u, 0u, 0x4du, 0x2c307du);
    fx_free(fx);
}

Test(cpuid, apic_bit_follows_apic_base)
{
    struct fx *fx = fx_pm32("pentium3");
    fx->apic_base = 0xfee00100;
    cpuid(fx, 1);
    cr_assert_eq(fx->cpu->regs[REG_RDX] & (1u << 9), 0u);
    fx_free(fx);
}

Test(cpuid, models_are_found_by_name)
{
    for (const struct cpu_model *m = cpu_models; m->name; m++) {
        cr_assert_eq(cpu_model_find(m->name), m);
        cr_assert_eq(strlen(m->vendor), 12u);
        cr_assert_leq(strlen(m->brand), 47u);
    }
    cr_assert_null(cpu_model_find("pentium99"));
}
