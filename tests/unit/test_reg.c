/* SPDX-License-Identifier: MIT */
/*
 * Register tables: the generic walk over a table with every kind of register, and the hooks.
 */
#include "unit/reg_walk.h"

struct hooks {
    unsigned index;
    uint64_t old, new, raw;
    unsigned calls;
};

static uint64_t read_hook(void *opaque, unsigned index, uint64_t stored,
                          const struct bus_attrs *attrs)
{
    (void)opaque, (void)attrs;
    return stored + 0x1000 + index;
}

static void write_hook(void *opaque, unsigned index, uint64_t old, uint64_t new, uint64_t raw,
                       const struct bus_attrs *attrs)
{
    struct hooks *h = opaque;
    (void)attrs;
    *h = (struct hooks){index, old, new, raw, h->calls + 1};
}

static const struct reg_desc table[] = {
    {0x00, 4, 0, 1, "ID", 0x01000000, 0x0f000000, 0, NULL, NULL, "read-write part"},
    {0x04, 4, 0, 1, "VERSION", 0x00170011, 0, 0, NULL, NULL, "read only"},
    {0x10, 2, 4, 3, "ROW", 0x0102, 0x0fff, 0x8000, NULL, NULL, "gaps of two bytes, w1c"},
    {0x20, 8, 16, 2, "WIDE", 0, UINT64_MAX, 0, NULL, NULL, "64 bits"},
    {0x50, 1, 0, 1, "BYTE", 0x80, 0x7f, 0x80, NULL, NULL, "8 bits"},
    {0x60, 4, 4, 2, "HOOK", 5, 0xffff, 0, read_hook, write_hook, "hooks"},
};

static uint64_t value[10];
static struct reg_writer writer[10];
static struct hooks hooks;
static struct clock clk;

static struct reg_file file_new(void)
{
    clock_init(&clk);
    hooks = (struct hooks){0};
    struct reg_file rf = {table, irq_array_size(table), value, writer, &hooks, &clk};
    reg_reset(&rf);
    return rf;
}

Test(reg, count_table_is_sum_of_instances)
{
    cr_assert_eq(reg_count(table, irq_array_size(table)), 10);
}

Test(reg, walk_every_register_and_width_obeys_masks)
{
    struct reg_file rf = file_new();
    cr_assert_eq(reg_walk(&rf, 0x100, true), 8);
    cr_assert_eq(reg_walk(&rf, 0x100, false), 10);
}

Test(reg, access_unknown_offset_is_refused_and_value_untouched)
{
    struct reg_file rf = file_new();
    const struct bus_attrs attrs = {0};
    uint64_t v = 42;
    cr_assert_not(reg_read(&rf, 0x12, 2, &v, &attrs)); /* gap inside ROW */
    cr_assert_not(reg_write(&rf, 0xff8, 4, 1, &attrs));
    cr_assert_not(reg_read(&rf, UINT64_MAX, 1, &v, &attrs));
    cr_assert_eq(v, 42);
}

Test(reg, write_hook_narrow_access_sees_old_new_and_raw)
{
    struct reg_file rf = file_new();
    const struct bus_attrs attrs = {.requester = 1, .rip = 0xabc};
    clock_advance(&clk, 99);
    cr_assert(reg_write(&rf, 0x65, 1, 0xee, &attrs));
    cr_assert_eq(hooks.calls, 1);
    cr_assert_eq(hooks.index, 1);
    cr_assert_eq(hooks.old, 0x0005);
    cr_assert_eq(hooks.new, 0xee05);
    cr_assert_eq(hooks.raw, 0xee00);
    cr_assert_eq(writer[9].rip, 0xabc);
    cr_assert_eq(writer[9].vtime, 99);
    cr_assert_eq(writer[8].vtime, VTIME_NEVER);
}

Test(reg, read_hook_narrow_access_reads_its_part)
{
    struct reg_file rf = file_new();
    const struct bus_attrs attrs = {0};
    uint64_t v = 0;
    cr_assert(reg_read(&rf, 0x64, 4, &v, &attrs));
    cr_assert_eq(v, 0x1006);
    cr_assert(reg_read(&rf, 0x65, 1, &v, &attrs));
    cr_assert_eq(v, 0x10);
    cr_assert(reg_read(&rf, 0x60, 8, &v, &attrs)); /* wider: upper bytes zero */
    cr_assert_eq(v, 0x1005);
}
