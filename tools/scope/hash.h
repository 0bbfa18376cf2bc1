/* SPDX-License-Identifier: MIT */
/*
 * 64-bit hashes for recognition (not against forgery): FNV-1a for bytes, and the same with a shift mixed in for words.
 * They are part of the record file's format. "The FNV Non-Cryptographic Hash Algorithm", G. Fowler et al.
 */
#ifndef IRQSCOPE_SCOPE_HASH_H
#define IRQSCOPE_SCOPE_HASH_H

#include "bus/trace.h"

#define HASH_INIT 0xcbf29ce484222325ull

/* Go on from h with n bytes. */
uint64_t hash_bytes(uint64_t h, const void *data, size_t n);

static inline uint64_t hash_word(uint64_t h, uint64_t w)
{
    h = (h ^ w) * 0x100000001b3ull;
    return h ^ h >> 32;
}

/* Of a whole file; 0, and readable false (readable may be NULL), if it cannot be read. */
uint64_t hash_file(const char *path, bool *readable);
/* Go on from h with every field of a record. */
uint64_t hash_record(uint64_t h, const struct irq_record *r);

#endif
