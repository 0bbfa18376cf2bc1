/* SPDX-License-Identifier: MIT */
/*
 * Page walks: reserved bits, and accessed bits that lie in code. SDM Vol. 3A, chapter 4 "Paging".
 */
#include "sys_fixture.h"

/* 32-bit paging: 4 MiB identity page at 0, `second` for the 4 MiB behind it. */
static struct fx *paged(const char *model, uint32_t second)
{
    struct fx *fx = fx_pm32(model);
    fx_put32(fx, FX_PAGES, 0x83);
    fx_put32(fx, FX_PAGES + 4, second);
    fx->cpu->cr3 = FX_PAGES;
    fx->cpu->cr4 = CR4_PSE;
    fx->cpu->cr0 |= CR0_PG;
    cpu_update_mode(fx->cpu);
    cpu_flush_tlb(fx->cpu, true);
    return fx;
}

/* mov eax, [400000h]; hlt. Returns #PF's error code, or -1. */
static long load_second(const char *model, uint32_t second)
{
    struct fx *fx = paged(model, second);
    fx_code(fx, 0xa1, 0x00, 0x00, 0x40, 0x00, 0xf4);
    fx_run(fx, 10);
    long error = -1;
    if (fx->cpu->rip == fx_handler(VEC_PF) + 1) {
        error = (long)fx_frame(fx, 0, 4);
    } else {
        cr_assert_eq(fx->cpu->rip, FX_CODE + 6);
    }
    fx_free(fx);
    return error;
}

/* 4.3 "32-Bit Paging", table 4-4: bits (M-20):13 are address bits 39:32, those above up to 21 are reserved. */
Test(mmu, large_page_reserved_bits_follow_physical_width)
{
    cr_assert_eq(load_second("pentium3", 0x00000083 | 1u << 16), -1, "36 bits: bit 16 is bit 35");
    cr_assert_eq(load_second("pentium3", 0x00000083 | 1u << 17), 9);
    cr_assert_eq(load_second("pentium3", 0x00000083 | 1u << 21), 9);
    cr_assert_eq(load_second("qemu64", 0x00000083 | 1u << 20), -1, "40 bits: bit 20 is bit 39");
    cr_assert_eq(load_second("qemu64", 0x00000083 | 1u << 21), 9);
    cr_assert_eq(load_second("pentium", 0x00000083 | 1u << 13), 9, "no PSE-36");
    cr_assert_eq(load_second("pentium", 0x00000083), -1);
}

/*
 * The page table is the code page itself, and the entry that the first instruction uses is the immediate of a later one of the same
 * block: that one must see the accessed bit, as it does one instruction at a time.
 */
Test(mmu, accessed_bit_set_in_own_block_is_seen_by_the_block)
{
    struct fx *fx = paged("pentium3", FX_CODE | 3);
    /* mov eax, [402000h]; nop; nop; mov ebx, 00006003h (at offset 8: entry 2); hlt */
    fx_code(fx, 0xa1, 0x00, 0x20, 0x40, 0x00, 0x90, 0x90, 0xbb, 0x03, 0x60, 0x00, 0x00, 0xf4);
    fx_put32(fx, 0x6000, 0x12345678);
    fx_run(fx, 10);
    cr_assert_eq(fx->cpu->regs[REG_RAX], 0x12345678u);
    cr_assert_eq(fx->cpu->regs[REG_RBX], 0x6023u);
    cr_assert_eq(cpu_insns(fx->cpu), 5u, "leaving the block costs no time");
    fx_free(fx);
}
