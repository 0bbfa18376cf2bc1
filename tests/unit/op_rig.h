/* SPDX-License-Identifier: MIT */
/*
 * A processor with a little RAM for tests of instructions: runs machine code in real mode or flat
 * 32-bit mode until HLT or an exception.
 *
 * Memory: the IVT at 0 points every vector v at a HLT of its own at RIG_TRAPS + v; code at
 * RIG_CODE; the rest is the test's.
 */
#ifndef IRQSCOPE_TESTS_UNIT_OP_RIG_H
#define IRQSCOPE_TESTS_UNIT_OP_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/flags.h"

#define RIG_RAM   0x200000u
#define RIG_CODE  0x1000u
#define RIG_TRAPS 0x600u
#define RIG_STACK 0x8000u

struct op_rig {
    struct bus bus;
    struct clock clock;
    struct trace trace;
    struct cpu *cpu;
};

static inline struct op_rig *rig_new(void)
{
    const size_t size = (sizeof(struct cpu) + 63) & ~(size_t)63;
    struct op_rig *rig = calloc(1, sizeof(*rig));
    struct error err;

    cr_assert_not_null(rig);
    rig->cpu = aligned_alloc(64, size);
    cr_assert_not_null(rig->cpu);
    clock_init(&rig->clock);
    trace_init(&rig->trace, &rig->clock);
    cr_assert_eq(bus_init(&rig->bus, RIG_RAM, &err), 0);
    const struct cpu_config config = {.bsp = true,
                                      .model = cpu_model_find("qemu64"),
                                      .bus = &rig->bus,
                                      .clock = &rig->clock,
                                      .trace = &rig->trace};
    cr_assert_eq(cpu_init(rig->cpu, &config), 0);
    for (unsigned v = 0; v < 256; v++) {
        const uint16_t entry[2] = {(uint16_t)(RIG_TRAPS + v), 0};

        memcpy(rig->bus.ram + v * 4, entry, sizeof(entry));
    }
    memset(rig->bus.ram + RIG_TRAPS, 0xf4, 256);
    return rig;
}

static inline void rig_free(struct op_rig *rig)
{
    cpu_fini(rig->cpu);
    free(rig->cpu);
    bus_fini(&rig->bus);
    trace_fini(&rig->trace);
    free(rig);
}

/*
 * Reset into 16-bit real mode with every segment at 0, or 32-bit protected mode with flat segments.
 */
static inline void rig_mode(struct op_rig *rig, unsigned bits)
{
    struct cpu *cpu = rig->cpu;

    cpu_reset(cpu, CPU_RESET_INIT);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i].base = 0;
        cpu->seg[i].sel = 0;
        if (bits == 32) {
            cpu->seg[i].limit = 0xffffffffu;
            cpu->seg[i].attr |= SEG_DB | SEG_G;
        }
    }
    if (bits == 32) {
        cpu->cr0 |= CR0_PE;
    }
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->regs[REG_RSP] = RIG_STACK;
    cpu_update_mode(cpu);
    cr_assert_eq(cpu->code_bits, bits);
}

static inline void rig_load(struct op_rig *rig, const void *code, size_t n)
{
    memcpy(rig->bus.ram + RIG_CODE, code, n);
    rig->bus.ram[RIG_CODE + n] = 0xf4;
    bus_ram_written(&rig->bus, RIG_CODE, n + 1);
    rig->cpu->rip = RIG_CODE;
    rig->cpu->halted = false;
}

#define RIG_LOAD(rig, bytes) rig_load((rig), bytes, sizeof(bytes) - 1)

/*
 * Runs to HLT. Returns the vector of the exception that ended it, or -1. Real mode only for
 * exceptions.
 */
static inline int rig_run(struct op_rig *rig)
{
    cr_assert_eq(cpu_exec(rig->cpu, rig->clock.now + 1000000), CPU_STOP_HALTED);
    const uint64_t rip = rig->cpu->rip;
    return rip > RIG_TRAPS && rip <= RIG_TRAPS + 256 ? (int)(rip - RIG_TRAPS - 1) : -1;
}

#endif
