/* SPDX-License-Identifier: MIT */
/*
 * Page walk and TLBs, as cpu/mem.c and cpu/exec.c see them.
 */
#ifndef IRQSCOPE_CPU_MMU_H
#define IRQSCOPE_CPU_MMU_H

#include "cpu/cpu.h"
#include "cpu/mem.h"

/* Page-fault error code. SDM Vol. 3A, 4.7 "Page-Fault Exceptions". */
#define PF_P    0x01u
#define PF_W    0x02u
#define PF_U    0x04u
#define PF_RSVD 0x08u
#define PF_I    0x10u

/* Is lin canonical for this CPU's linear width? Always true outside 64-bit mode (addresses are 32 bits there). */
bool mmu_canonical(const struct cpu *cpu, uint64_t lin);
/* TLB tag key of an access: TLB_USER or 0. */
uint64_t mmu_access_key(const struct cpu *cpu, unsigned flags);
/* The data TLB entry that allows this access; fills it if needed (A/D bits set); faults with #PF, #GP(0) or #SS(0). */
struct tlb_entry *mmu_data(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned flags);
/* The code TLB entry for lin at the current CPL; faults with #PF or #GP(0). in is always NULL: fetches happen between blocks. */
struct itlb_entry *mmu_code(struct cpu *cpu, uint64_t lin);
/* A page now holds code: writes to it must take the slow path. */
void mmu_protect_code_page(struct cpu *cpu, gpa_t page);
/* Blocks of a page were dropped: jump cache entries that came from it no longer answer. */
void mmu_forget_jumps(struct cpu *cpu, gpa_t page);

#endif
