/* SPDX-License-Identifier: MIT */
/*
 * Names and source lines of guest addresses, from an ELF file's symbol table and DWARF line table (libelf, libdw).
 *
 * Tolerant: a file that is stripped, damaged or no ELF at all has no names. Addresses are as in the file's sections (virtual); one that is
 * in no section but in a segment's physical range is looked up at the segment's virtual address, so that a kernel's code before paging has
 * names too.
 *
 * Not modelled: addresses that the guest relocated itself to; modules loaded beside the kernel.
 */
#ifndef IRQSCOPE_SCOPE_SYMBOLS_H
#define IRQSCOPE_SCOPE_SYMBOLS_H

#include <stddef.h>

#include "bus/types.h"

#define SYMBOLS_TEXT 256

struct symbols;

struct symbols_place {
    const char *symbol; /* NULL: unknown */
    uint64_t offset;    /* from symbol */
    const char *file;   /* base name; NULL: unknown */
    int line;
};

/* Never NULL but for want of memory. The bytes must outlive it. */
struct symbols *symbols_open_file(const char *path);
struct symbols *symbols_open_memory(const void *data, size_t size);
void symbols_close(struct symbols *s); /* NULL is allowed */
/* s may be NULL. Strings belong to s. */
void symbols_find(struct symbols *s, uint64_t addr, struct symbols_place *place);
/* "pit_isr+0x1a (tour.S:71)", "main", or "0x8000"; into buf of SYMBOLS_TEXT bytes; returns buf. */
const char *symbols_format(struct symbols *s, uint64_t addr, char *buf);
/* The same without the source line. */
const char *symbols_format_short(struct symbols *s, uint64_t addr, char *buf);
/* The address of a symbol by its exact name. */
bool symbols_lookup(const struct symbols *s, const char *name, uint64_t *addr);
size_t symbols_count(const struct symbols *s);

#endif
