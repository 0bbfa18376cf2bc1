/* SPDX-License-Identifier: MIT */
/*
 * See hash.h.
 */
#include "scope/hash.h"

#include <stdio.h>

uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3ull;
    }
    return h;
}

uint64_t hash_record(uint64_t h, const struct irq_record *r)
{
    h = hash_word(h, r->id);
    h = hash_word(h, r->cause);
    h = hash_word(h, r->ref);
    h = hash_word(h, r->vtime);
    h = hash_word(h, r->insns);
    h = hash_word(h, r->kind | (uint64_t)r->cpu << 16 | (uint64_t)r->result << 32);
    for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
        h = hash_word(h, r->op[i]);
    }
    return h;
}

uint64_t hash_file(const char *path, bool *readable)
{
    uint8_t buf[16384];
    uint64_t h = HASH_INIT;
    FILE *f = fopen(path, "rb");
    for (size_t n; f && (n = fread(buf, 1, sizeof(buf), f)) > 0;) {
        h = hash_bytes(h, buf, n);
    }
    bool ok = f && !ferror(f);
    if (f) {
        fclose(f);
    }
    if (readable) {
        *readable = ok;
    }
    return ok ? h : 0;
}
