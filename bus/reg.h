/* SPDX-License-Identifier: MIT */
/*
 * Registers are tables: a device's register file as data.
 *
 * Generic code does widths and alignment, the writable mask, write-1-to-clear, unknown offsets, reset, dumps and "who wrote it
 * last". Hooks exist only for side effects. The same table may be reached through another door (MSRs for x2APIC).
 * Values live in an array of uint64_t that the device owns, one per register instance, in table order (reg_desc.count
 * instances each).
 */
#ifndef IRQSCOPE_BUS_REG_H
#define IRQSCOPE_BUS_REG_H

#include "bus/clock.h"
#include "bus/types.h"

struct reg_desc;

/* Value as the guest reads it; stored = the array's value. May change state (say so at the register). */
typedef uint64_t reg_read_fn(void *opaque, unsigned index, uint64_t stored,
                             const struct bus_attrs *attrs);
/* Called after the new value was stored; old and new are after masking. raw is what the guest wrote. */
typedef void reg_write_fn(void *opaque, unsigned index, uint64_t old, uint64_t new, uint64_t raw,
                          const struct bus_attrs *attrs);

struct reg_desc {
    uint16_t off;     /* byte offset of instance 0 */
    uint8_t width;    /* bytes: 1, 2, 4, 8 */
    uint8_t stride;   /* bytes between instances */
    uint8_t count;    /* instances, >= 1 */
    const char *name; /* as the datasheet spells it */
    uint64_t reset;
    uint64_t rw;  /* writable bits */
    uint64_t w1c; /* write-1-to-clear bits */
    reg_read_fn *read;
    reg_write_fn *write;
    const char *spec; /* manual section, number and title */
};

struct reg_file {
    const struct reg_desc *regs;
    size_t nregs;
    uint64_t *value;           /* one per instance */
    struct reg_writer *writer; /* one per instance */
    void *opaque;              /* handed to hooks */
    const struct clock *clock;
};

/* Instances of all registers of a table: the needed length of value[] and writer[]. */
size_t reg_count(const struct reg_desc *regs, size_t nregs);
/* Find the register that covers byte offset off. Returns NULL for an unknown offset. index = instance, slot = position in value[]. */
const struct reg_desc *reg_find(const struct reg_file *rf, uint64_t off, unsigned *index,
                                size_t *slot);
/* Set every register to its reset value and forget the writers. */
void reg_reset(struct reg_file *rf);
/*
 * Read size bytes (1, 2, 4, 8) at off. Returns false (and *value untouched) when no register covers off. A narrower access reads
 * its part; a wider one reads the register, upper bytes zero.
 */
bool reg_read(struct reg_file *rf, uint64_t off, unsigned size, uint64_t *value,
              const struct bus_attrs *attrs);
/* Write; a narrower access merges with the stored value. Returns false when no register covers off. */
bool reg_write(struct reg_file *rf, uint64_t off, unsigned size, uint64_t value,
               const struct bus_attrs *attrs);

#endif
