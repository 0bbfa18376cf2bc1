/* SPDX-License-Identifier: MIT */
/*
 * Read-only memory on the bus, and the processor running from it at the reset vector.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/rom.h"
#include "cpu/cpu.h"

#define ROM_BASE 0xffff0000u
#define ROM_SIZE 0x10000u

static uint8_t image[ROM_SIZE];
static const struct bus_attrs attrs = {.requester = 0};

Test(rom, reads_of_every_width_give_its_bytes_and_writes_vanish)
{
    struct bus bus;
    struct rom rom;
    struct error err;
    for (unsigned i = 0; i < ROM_SIZE; i++) {
        image[i] = (uint8_t)(i * 7);
    }
    cr_assert_eq(bus_init(&bus, 0x100000, &err), 0);
    cr_assert_eq(rom_map(&rom, &bus, ROM_BASE, image, ROM_SIZE, &err), 0);
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint64_t want = 0;
        memcpy(&want, image + 0x123, size);
        cr_assert_eq(bus_read(&bus, ROM_BASE + 0x123, size, &attrs), want);
    }
    bus_write(&bus, ROM_BASE + 0x123, 4, 0xdeadbeef, &attrs);
    cr_assert_eq(bus_read(&bus, ROM_BASE + 0x123, 1, &attrs), image[0x123]);
    bus_fini(&bus);
}

Test(rom, overlap_and_zero_length_are_refused)
{
    struct bus bus;
    struct rom rom, other;
    struct error err;
    cr_assert_eq(bus_init(&bus, 0x100000, &err), 0);
    cr_assert_eq(rom_map(&rom, &bus, ROM_BASE, image, ROM_SIZE, &err), 0);
    cr_assert_eq(rom_map(&other, &bus, ROM_BASE + 0xf000, image, 0x1000, &err), -EINVAL);
    cr_assert_eq(rom_map(&other, &bus, 0xd0000000u, image, 0, &err), -EINVAL);
    cr_assert_eq(rom_map(&other, &bus, 0xff000, image, 0x2000, &err), -EINVAL, "overlaps RAM");
    bus_fini(&bus);
}

/* SDM Vol. 3A, 10.1.4 "First Instruction Executed": at FFFFFFF0h. */
Test(rom, processor_starts_at_the_reset_vector)
{
    struct bus bus;
    struct clock clock;
    struct trace trace;
    struct rom rom;
    struct error err;
    memset(image, 0xf4, sizeof(image));
    /* FFFF0h: jmp short -10h; FFFE2h: mov ax, 1234h; hlt */
    memcpy(image + 0xfff0, "\xeb\xf0", 2);
    memcpy(image + 0xffe2, "\xb8\x34\x12\xf4", 4);
    cr_assert_eq(bus_init(&bus, 0x100000, &err), 0);
    clock_init(&clock);
    trace_init(&trace, &clock);
    cr_assert_eq(rom_map(&rom, &bus, ROM_BASE, image, ROM_SIZE, &err), 0);
    struct cpu *cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~(size_t)63);
    cr_assert(cpu);
    struct cpu_config config = {
        .bsp = true, .model = cpu_model_find("486"), .bus = &bus, .clock = &clock, .trace = &trace};
    cr_assert_eq(cpu_init(cpu, &config), 0);
    cr_assert_eq(cpu_exec(cpu, 100), CPU_STOP_HALTED);
    cr_assert_eq(cpu->regs[REG_RAX], 0x1234);
    cr_assert_eq(cpu->rip, 0xffe6);
    cr_assert_eq(cpu_insns(cpu), 3);
    cpu_fini(cpu);
    free(cpu);
    trace_fini(&trace);
    bus_fini(&bus);
}
