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

/*
 * The fields are multiplied by odd constants side by side and summed, then go into the chain as one word: a chain through each field
 * cost 25 ns a record. A change of any one field changes the sum.
 */
uint64_t hash_record(uint64_t h, const struct irq_record *r)
{
    static const uint64_t odd[TRACE_OPERANDS] = {0x9e3779b97f4a7c15ull, 0xbf58476d1ce4e5b9ull,
                                                 0x94d049bb133111ebull, 0xd6e8feb86659fd93ull,
                                                 0xa0761d6478bd642full};
    uint64_t sum = r->id * 0xe7037ed1a0b428dbull + r->cause * 0x8ebc6af09c88c6e3ull +
                   r->ref * 0x589965cc75374cc3ull + r->vtime * 0x1d8e4e27c47d124full +
                   r->insns * 0xeb44accab455d165ull;
    for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
        sum += r->op[i] * odd[i];
    }
    h = hash_word(h, r->kind | (uint64_t)r->cpu << 16 | (uint64_t)r->result << 32);
    return hash_word(h, sum ^ sum >> 29);
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
