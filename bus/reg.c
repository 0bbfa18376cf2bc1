/* SPDX-License-Identifier: MIT */
/*
 * The generic register file: widths, masks, write-1-to-clear, hooks, reset. See reg.h.
 */
#include "bus/reg.h"

#include "bus/assert.h"

/* Mask of the lowest n bytes, n = 1..8. */
static uint64_t bytes_mask(unsigned n)
{
    return n >= 8 ? UINT64_MAX : (1ull << (8 * n)) - 1;
}

size_t reg_count(const struct reg_desc *regs, size_t nregs)
{
    size_t n = 0;
    for (size_t i = 0; i < nregs; i++) {
        n += regs[i].count;
    }
    return n;
}

const struct reg_desc *reg_find(const struct reg_file *rf, uint64_t off, unsigned *index,
                                size_t *slot)
{
    size_t first = 0;
    for (size_t i = 0; i < rf->nregs; i++) {
        const struct reg_desc *d = &rf->regs[i];
        if (off >= d->off) {
            uint64_t delta = off - d->off;
            if (delta < d->width) {
                *index = 0;
                *slot = first;
                return d;
            }
            if (d->count > 1) {
                irq_assert(d->stride >= d->width && d->stride > 0);
                uint64_t n = delta / d->stride;
                if (n < d->count && delta - n * d->stride < d->width) {
                    *index = (unsigned)n;
                    *slot = first + (size_t)n;
                    return d;
                }
            }
        }
        first += d->count;
    }
    return NULL;
}

void reg_reset(struct reg_file *rf)
{
    size_t slot = 0;
    for (size_t i = 0; i < rf->nregs; i++) {
        for (unsigned n = 0; n < rf->regs[i].count; n++, slot++) {
            rf->value[slot] = rf->regs[i].reset;
            if (rf->writer) {
                rf->writer[slot] = (struct reg_writer){.vtime = VTIME_NEVER};
            }
        }
    }
}

/* Byte number of off inside instance index of d. */
static unsigned byte_in_reg(const struct reg_desc *d, uint64_t off, unsigned index)
{
    return (unsigned)(off - d->off - (uint64_t)index * d->stride);
}

bool reg_read(struct reg_file *rf, uint64_t off, unsigned size, uint64_t *value,
              const struct bus_attrs *attrs)
{
    unsigned index;
    size_t slot;
    const struct reg_desc *d = reg_find(rf, off, &index, &slot);
    if (!d) {
        return false;
    }
    uint64_t v = rf->value[slot];
    if (d->read) {
        v = d->read(rf->opaque, index, v, attrs);
    }
    v &= bytes_mask(d->width);
    *value = (v >> (8 * byte_in_reg(d, off, index))) & bytes_mask(size);
    return true;
}

bool reg_write(struct reg_file *rf, uint64_t off, unsigned size, uint64_t value,
               const struct bus_attrs *attrs)
{
    unsigned index;
    size_t slot;
    const struct reg_desc *d = reg_find(rf, off, &index, &slot);
    if (!d) {
        return false;
    }
    unsigned byte = byte_in_reg(d, off, index);
    /* Bits of this register that the access covers; the others keep their value and clear nothing. */
    uint64_t lane = (bytes_mask(size) << (8 * byte)) & bytes_mask(d->width);
    uint64_t raw = (value << (8 * byte)) & lane;
    uint64_t old = rf->value[slot];
    uint64_t rw = d->rw & lane;
    uint64_t new = ((old & ~rw) | (raw & rw)) & ~(raw & d->w1c);
    rf->value[slot] = new;
    if (rf->writer) {
        rf->writer[slot] = (struct reg_writer){
            .rip = attrs->rip,
            .vtime = rf->clock ? rf->clock->now : 0,
            .requester = attrs->requester,
        };
    }
    if (d->write) {
        d->write(rf->opaque, index, old, new, raw, attrs);
    }
    return true;
}
