/* SPDX-License-Identifier: MIT */
/*
 * The block cache: finds, builds, links and drops blocks. Machine thread only.
 */
#ifndef IRQSCOPE_CPU_BLOCK_H
#define IRQSCOPE_CPU_BLOCK_H

#include "cpu/cpu.h"

struct block_cache;

/* 0 or -ENOMEM. Registers the cache for writes to code on cpu->bus. */
int block_cache_init(struct cpu *cpu);
void block_cache_fini(struct cpu *cpu);
/* The block at physical address pa for the current mode key, or NULL. */
struct block *block_find(struct cpu *cpu, gpa_t pa);
/*
 * Decode the block at cpu->rip (linear lin, physical pa from its code TLB entry). A crossing instruction fetches its second page and may
 * fault. What cannot be cached (not RAM, no_cache) comes back in a buffer that lives until the next call.
 */
struct block *block_build(struct cpu *cpu, uint64_t lin, gpa_t pa);
/* A crossing block's bytes as they are now equal the decoded ones; fetches, may fault. */
bool block_crossing_valid(struct cpu *cpu, const struct block *b, uint64_t lin);
/* Copy the first n instructions (fewer than the block has) into the CPU's scratch run, with a terminator that returns to the loop. */
const struct block *block_clip(struct cpu *cpu, const struct block *b, unsigned n);
/* End b after instruction index for good: that instruction must be the last of its block. */
void block_split(struct block *b, unsigned index);
void block_drop(struct cpu *cpu, struct block *b);
/* Free what was dropped; only while no block runs. */
void block_free_dropped(struct cpu *cpu);

/* Terminators. */
insn_fn exec_term_chain, exec_term_leave;

#endif
