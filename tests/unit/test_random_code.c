/* SPDX-License-Identifier: MIT */
/*
 * Pieces of real guests' code, cut, joined and damaged at random, in 16-, 32- and 64-bit mode: long cached blocks and one instruction
 * at a time without the cache end in the same registers, flags, RAM, device state and time. The machine and the comparison are those of
 * the fuzz target; here the programs are a fixed sequence, and IRQ_RANDOM_RUNS=N in the environment makes it longer.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "fuzz/fuzz_cpu.c"

#define DONOR_MAX 65536u
#define PROGRAM   400u
#define RUNS      1500u

static uint32_t random_state = 20240101;

static uint32_t rnd(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

struct donor {
    uint8_t bytes[DONOR_MAX];
    size_t n;
};

/* The code of a guest: its file from the first page on. */
static void read_donor(struct donor *d, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/guests/%s.elf", TEST_BUILD_DIR, name);
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s was not built", path);
    cr_assert_eq(fseek(f, 0x1000, SEEK_SET), 0);
    d->n = fread(d->bytes, 1, sizeof(d->bytes), f);
    fclose(f);
    cr_assert_gt(d->n, 0x400);
}

static size_t make_program(uint8_t *p, const struct donor *donors, unsigned ndonors)
{
    size_t n = 0;
    p[n++] = (uint8_t)(rnd(256) & 0x3f);
    p[n++] = (uint8_t)rnd(256);
    p[n++] = (uint8_t)rnd(256);
    for (unsigned pieces = 1 + rnd(6); pieces > 0; pieces--) {
        const struct donor *d = &donors[rnd(ndonors)];
        size_t len = 4 + rnd(60);
        size_t at = rnd((uint32_t)(d->n < 0x800 ? d->n : 0x800) - 64);
        memcpy(p + n, d->bytes + at, len);
        n += len;
    }
    for (unsigned damage = rnd(6); damage > 0; damage--) {
        p[3 + rnd((uint32_t)n - 3)] = (uint8_t)rnd(256);
    }
    return n;
}

Test(random_code, damaged_guest_code_ends_the_same_with_and_without_blocks, .timeout = 3000)
{
    static struct donor donors[5];
    static const char *const names[] = {"arith32", "arith64", "string_ops", "smc32", "realmode"};
    const char *wish = getenv("IRQ_RANDOM_RUNS");
    unsigned long runs = wish ? strtoul(wish, NULL, 10) : RUNS;
    for (unsigned i = 0; i < 5; i++) {
        read_donor(&donors[i], names[i]);
    }
    for (unsigned long k = 0; k < runs; k++) {
        uint8_t p[PROGRAM];
        size_t n = make_program(p, donors, 5);
        struct outcome a = run(p, n, false);
        struct outcome b = run(p, n, true);
        bool same = a.stop == b.stop && a.now == b.now && a.insns == b.insns &&
                    a.device == b.device && a.ram == b.ram && a.state == b.state;
        if (!same) {
            char hex[2 * PROGRAM + 1];
            for (size_t i = 0; i < n; i++) {
                snprintf(hex + 2 * i, 3, "%02x", p[i]);
            }
            cr_assert_fail("program %lu differs (input of fuzz_cpu: %s)", k, hex);
        }
    }
}
