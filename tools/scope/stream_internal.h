/* SPDX-License-Identifier: MIT */
/*
 * What writer and reader of the record stream share: the predictions and the meaning of the bytes.
 */
#ifndef IRQSCOPE_SCOPE_STREAM_INTERNAL_H
#define IRQSCOPE_SCOPE_STREAM_INTERNAL_H

#include "scope/stream.h"

#define STREAM_KINDS (TRACE_FOLDERS * TRACE_KINDS_PER_FOLDER)
#define STREAM_CPUS  64 /* whose instruction counts are predicted */

enum stream_key {
    STREAM_KEY_END,
    STREAM_KEY_KERNEL,
    STREAM_KEY_KERNEL_HASH,
    STREAM_KEY_LOADED,
    STREAM_KEY_ARGS
};

/* First byte after the kind: set = not as predicted, a number follows (in this order). */
enum stream_differs {
    STREAM_ID = 1u << 0,
    STREAM_CAUSE = 1u << 1, /* cause != 0: distance to it */
    STREAM_REF = 1u << 2,   /* ref != 0: distance to it */
    STREAM_TIME = 1u << 3,
    STREAM_CPU = 1u << 4, /* not that of the last record of this kind */
    STREAM_INSNS = 1u << 5,
    STREAM_RESULT = 1u << 6, /* result != 0 */
    STREAM_UNUSED = 1u << 7,
};

struct stream_state {
    uint64_t id;
    vtime_t vtime;
    struct {
        uint16_t cpu;
        uint64_t op[TRACE_OPERANDS];
    } kind[STREAM_KINDS];
    struct {
        vtime_t vtime;
        uint64_t insns;
    } cpu[STREAM_CPUS];
};

uint64_t stream_predict_insns(const struct stream_state *s, uint16_t cpu, vtime_t vtime);
void stream_state_update(struct stream_state *s, const struct irq_record *r);
/* Changes whenever a kind is added, renamed, or gets other operands. */
uint64_t stream_kinds_hash(void);

static inline uint64_t stream_zigzag(uint64_t difference)
{
    return difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0);
}

static inline uint64_t stream_unzigzag(uint64_t code)
{
    return code >> 1 ^ (code & 1 ? UINT64_MAX : 0);
}

#endif
