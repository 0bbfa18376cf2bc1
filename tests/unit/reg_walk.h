/* SPDX-License-Identifier: MIT */
/*
 * The walk that every register table must survive: reset values, writable masks, write-1-to-clear, narrow and
 * misaligned accesses, gaps, who wrote last. For the unit tests of every chip with a table.
 *
 * Registers with a write hook are written only if skip_hooks is false; those with a read hook are compared through stored
 * values. The file is reset before and after.
 */
#ifndef IRQSCOPE_TESTS_UNIT_REG_WALK_H
#define IRQSCOPE_TESTS_UNIT_REG_WALK_H

#include "bus/reg.h"

#include <criterion/criterion.h>

static inline uint64_t reg_walk_mask(unsigned bytes)
{
    return bytes >= 8 ? UINT64_MAX : (1ull << (8 * bytes)) - 1;
}

/* Does instance n of d cover byte off? */
static inline bool reg_walk_covers(const struct reg_desc *d, unsigned n, uint64_t off)
{
    uint64_t base = d->off + (uint64_t)n * d->stride;
    return off >= base && off < base + d->width;
}

/* Every byte offset below limit is found where the table says, or nowhere, and by one register only. */
static inline void reg_walk_offsets(const struct reg_file *rf, uint64_t limit)
{
    for (uint64_t off = 0; off < limit; off++) {
        const struct reg_desc *expected = NULL;
        size_t slot = 0, expected_slot = 0;
        for (size_t i = 0; i < rf->nregs; i++) {
            for (unsigned n = 0; n < rf->regs[i].count; n++, slot++) {
                if (reg_walk_covers(&rf->regs[i], n, off)) {
                    cr_assert_null(expected, "%s overlaps %s", rf->regs[i].name, expected->name);
                    expected = &rf->regs[i];
                    expected_slot = slot;
                }
            }
        }
        unsigned index = 0;
        size_t found = 0;
        const struct reg_desc *d = reg_find(rf, off, &index, &found);
        cr_assert_eq(d, expected, "offset 0x%llx", (unsigned long long)off);
        if (d) {
            cr_assert_eq(found, expected_slot);
        }
    }
}

/* Writes of ones, zeros and patterns at every width and offset inside one register instance without hooks. */
static inline void reg_walk_instance(struct reg_file *rf, const struct reg_desc *d, unsigned n,
                                     size_t slot, const struct bus_attrs *attrs)
{
    static const uint64_t patterns[] = {UINT64_MAX, 0, 0xa5a5a5a5a5a5a5a5ull,
                                        0x0123456789abcdefull};
    uint64_t base = d->off + (uint64_t)n * d->stride;
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned byte = 0; byte < d->width; byte++) {
            for (unsigned p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
                uint64_t old = patterns[(p + 1) % 4] & reg_walk_mask(d->width);
                rf->value[slot] = old;
                cr_assert(
                    reg_write(rf, base + byte, size, patterns[p] & reg_walk_mask(size), attrs));
                for (unsigned bit = 0; bit < 8u * d->width; bit++) {
                    bool covered = bit >= 8 * byte && bit < 8 * (byte + size);
                    bool in = covered && (patterns[p] >> (bit - 8 * byte) & 1);
                    bool was = old >> bit & 1;
                    bool want = covered && (d->rw >> bit & 1) ? in : was;
                    if (covered && in && (d->w1c >> bit & 1)) {
                        want = false;
                    }
                    cr_assert_eq(rf->value[slot] >> bit & 1, want, "%s[%u] bit %u, %u bytes at +%u",
                                 d->name, n, bit, size, byte);
                }
                if (!d->read) {
                    uint64_t v = 0;
                    cr_assert(reg_read(rf, base + byte, size, &v, attrs));
                    cr_assert_eq(v, (rf->value[slot] >> (8 * byte)) & reg_walk_mask(size));
                }
                if (rf->writer) {
                    cr_assert_eq(rf->writer[slot].rip, attrs->rip);
                    cr_assert_eq(rf->writer[slot].requester, attrs->requester);
                }
            }
        }
    }
}

/* The whole walk. limit: bytes of the register window. Returns the number of instances written. */
static inline unsigned reg_walk(struct reg_file *rf, uint64_t limit, bool skip_hooks)
{
    const struct bus_attrs attrs = {.requester = 3, .rip = 0x1234};
    unsigned written = 0;
    size_t slot = 0;
    reg_reset(rf);
    reg_walk_offsets(rf, limit);
    for (size_t i = 0; i < rf->nregs; i++) {
        const struct reg_desc *d = &rf->regs[i];
        cr_assert(d->name && d->spec && d->count >= 1, "register %zu of the table is incomplete",
                  i);
        cr_assert_eq((d->reset | d->rw | d->w1c) & ~reg_walk_mask(d->width), 0, "%s", d->name);
        cr_assert_eq(d->rw & d->w1c, 0, "%s: a bit cannot be writable and write-1-to-clear",
                     d->name);
        for (unsigned n = 0; n < d->count; n++, slot++) {
            cr_assert_eq(rf->value[slot], d->reset, "%s", d->name);
            if (rf->writer) {
                cr_assert_eq(rf->writer[slot].vtime, VTIME_NEVER);
            }
            if (!d->write || !skip_hooks) {
                reg_walk_instance(rf, d, n, slot, &attrs);
                written++;
            }
        }
    }
    cr_assert_eq(slot, reg_count(rf->regs, rf->nregs));
    reg_reset(rf);
    return written;
}

#endif
