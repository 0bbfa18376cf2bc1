/* SPDX-License-Identifier: MIT */
/*
 * Paging and the software TLBs.
 *
 * Models Intel SDM Vol. 3A, chapter 4 "Paging" (order no. 325384): no paging, 32-bit paging with PSE and PSE-36, PAE paging with
 * cached PDPTEs, 4-level paging; WP, NX, global pages, large pages, A and D bits, reserved bits, error codes.
 *
 * The data and code TLBs are separate, direct-mapped and filled in architectural order by accesses alone, because stale entries and A/D
 * bits are visible to the guest: nothing here may depend on blocks. A bits of all levels are set once the whole walk has been found to
 * allow the access; the D bit by the first write.
 *
 * Not modelled: PCID, SMEP, SMAP, protection keys, 5-level paging (the control register bits are refused), memory types.
 *
 * Deviations: paging structures outside RAM read as all ones (a reserved-bit fault where the format has reserved bits); hardware would
 * read the device.
 */
#include "cpu/mmu.h"

#include "bus/assert.h"
#include "cpu/exception.h"
#include "cpu/exec.h"
#include "cpu/segment.h"

#define PTE_P                0x001ull
#define PTE_W                0x002ull
#define PTE_U                0x004ull
#define PTE_A                0x020ull
#define PTE_D                0x040ull
#define PTE_PS               0x080ull
#define PTE_G                0x100ull
#define PTE_NX               (1ull << 63)
#define CPUID_81_EDX_PDPE1GB (1u << 26)

struct walk {
    gpa_t entry_pa[4]; /* entries used, outermost first */
    unsigned entry_size;
    unsigned n;
    uint64_t leaf;
    gpa_t pa; /* page address (4 KiB granularity) */
    bool writable, user, nx, global;
    uint8_t large; /* see TLB_LARGE_SHIFT */
};

bool mmu_canonical(const struct cpu *cpu, uint64_t lin)
{
    if (cpu->code_bits != 64 && !cpu->long_mode) {
        return true;
    }
    unsigned shift = 64u - cpu->model->lin_bits;
    return (uint64_t)((int64_t)(lin << shift) >> shift) == lin;
}

uint64_t mmu_access_key(const struct cpu *cpu, unsigned flags)
{
    if (flags & (MEM_SYS | MEM_SUPER)) {
        return 0;
    }
    return flags & MEM_USER ? TLB_USER : cpu->tlb_key;
}

static uint64_t read_entry(const struct cpu *cpu, gpa_t pa, unsigned size)
{
    const uint8_t *p = bus_ram_ptr(cpu->bus, pa, size);
    if (!p) {
        return UINT64_MAX;
    }
    if (size == 4) {
        uint32_t v;
        memcpy(&v, p, 4);
        return v;
    }
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* Bits that must be 0 in an entry of PAE or 4-level paging above the address bits. */
static uint64_t reserved_high(const struct cpu *cpu)
{
    uint64_t r = ((1ull << 52) - 1) & ~((1ull << cpu->model->phys_bits) - 1);
    if (!cpu->long_mode) {
        r |= 0x7ff0000000000000ull; /* PAE: bits 62:52 are reserved too */
    }
    if (!(cpu->efer & EFER_NXE)) {
        r |= PTE_NX;
    }
    return r;
}

static void walk_note(struct walk *w, gpa_t pa, uint64_t entry)
{
    w->entry_pa[w->n++] = pa;
    w->leaf = entry;
    w->writable = w->writable && (entry & PTE_W);
    w->user = w->user && (entry & PTE_U);
}

/*
 * Bits of a 4 MiB page's entry that must be 0. SDM Vol. 3A, 4.3 "32-Bit Paging": with PSE-36 bits 20:13 are physical bits 39:32 as far
 * as the CPU has them; bit 21 is reserved always.
 */
static uint32_t reserved_pse(const struct cpu_model *m)
{
    unsigned bits = !(m->f1_edx & F1D_PSE36) || m->phys_bits < 32 ? 32
                    : m->phys_bits > 40                           ? 40
                                                                  : m->phys_bits;
    return 0x3fe000u & ~((1u << (bits - 32 + 13)) - 1);
}

/* 32-bit paging. SDM Vol. 3A, 4.3 "32-Bit Paging". Returns error bits (PF_P and PF_RSVD), or -1 for a good translation. */
static int walk_32(const struct cpu *cpu, uint64_t lin, struct walk *w)
{
    w->entry_size = 4;
    gpa_t pa = (cpu->cr3 & 0xfffff000u) + ((lin >> 22) & 0x3ff) * 4;
    uint64_t e = read_entry(cpu, pa, 4);
    if (!(e & PTE_P)) {
        return 0;
    }
    walk_note(w, pa, e);
    if ((e & PTE_PS) && (cpu->cr4 & CR4_PSE)) {
        if (e & reserved_pse(cpu->model)) {
            return PF_P | PF_RSVD;
        }
        w->large = 2;
        w->pa = ((e & 0xffc00000u) | ((e >> 13 & 0xff) << 32)) + (lin & 0x3ff000);
        return -1;
    }
    pa = (e & 0xfffff000u) + ((lin >> 12) & 0x3ff) * 4;
    e = read_entry(cpu, pa, 4);
    if (!(e & PTE_P)) {
        return 0;
    }
    walk_note(w, pa, e);
    w->pa = e & 0xfffff000u;
    return -1;
}

/* One level of PAE or 4-level paging: loads and checks. Returns -1 to go on. */
static int walk_level(const struct cpu *cpu, gpa_t table, unsigned index, uint64_t reserved,
                      struct walk *w)
{
    gpa_t pa = table + index * 8ull;
    uint64_t e = read_entry(cpu, pa, 8);
    if (!(e & PTE_P)) {
        return 0;
    }
    if (e & reserved) {
        return PF_P | PF_RSVD;
    }
    walk_note(w, pa, e);
    w->nx = w->nx || (e & PTE_NX);
    return -1;
}

#define TABLE_ADDR(e) ((e)&0x000ffffffffff000ull)

/* PAE and 4-level paging. SDM Vol. 3A, 4.4 "PAE Paging", 4.5 "4-Level Paging and 5-Level Paging". */
static int walk_pae(const struct cpu *cpu, uint64_t lin, struct walk *w)
{
    uint64_t high = reserved_high(cpu);
    gpa_t table;
    int r;
    w->entry_size = 8;
    if (cpu->long_mode) {
        r = walk_level(cpu, TABLE_ADDR(cpu->cr3), (lin >> 39) & 0x1ff, high | PTE_PS, w);
        if (r >= 0) {
            return r;
        }
        bool gb = cpu->model->f81_edx & CPUID_81_EDX_PDPE1GB;
        r = walk_level(cpu, TABLE_ADDR(w->leaf), (lin >> 30) & 0x1ff, high | (gb ? 0 : PTE_PS), w);
        if (r >= 0) {
            return r;
        }
        if (w->leaf & PTE_PS) {
            if (w->leaf & 0x3fffe000) {
                return PF_P | PF_RSVD;
            }
            w->large = 3;
            w->pa = (TABLE_ADDR(w->leaf) & ~0x3fffffffull) + (lin & 0x3ffff000);
            return -1;
        }
        table = TABLE_ADDR(w->leaf);
    } else {
        uint64_t e = cpu->pdpte[(lin >> 30) & 3];
        if (!(e & PTE_P)) {
            return 0;
        }
        table = TABLE_ADDR(e);
    }
    r = walk_level(cpu, table, (lin >> 21) & 0x1ff, high, w);
    if (r >= 0) {
        return r;
    }
    if (w->leaf & PTE_PS) {
        if (w->leaf & 0x1fe000) {
            return PF_P | PF_RSVD;
        }
        w->large = 1;
        w->pa = (TABLE_ADDR(w->leaf) & ~0x1fffffull) + (lin & 0x1ff000);
        return -1;
    }
    r = walk_level(cpu, TABLE_ADDR(w->leaf), (lin >> 12) & 0x1ff, high, w);
    if (r >= 0) {
        return r;
    }
    w->pa = TABLE_ADDR(w->leaf);
    return -1;
}

static int walk_tables(const struct cpu *cpu, uint64_t lin, struct walk *w)
{
    *w = (struct walk){.writable = true, .user = true};
    int r = cpu->cr4 & CR4_PAE ? walk_pae(cpu, lin, w) : walk_32(cpu, lin, w);
    w->global = (w->leaf & PTE_G) && (cpu->cr4 & CR4_PGE);
    return r;
}

static void set_entry_bits(struct cpu *cpu, const struct insn *in, const struct walk *w, unsigned i,
                           uint64_t bits)
{
    uint64_t e = read_entry(cpu, w->entry_pa[i], w->entry_size);
    if ((e & bits) == bits) {
        return;
    }
    uint8_t *p = bus_ram_ptr(cpu->bus, w->entry_pa[i], w->entry_size);
    if (!p) {
        return;
    }
    if (in && insn_in_own_block(in, w->entry_pa[i], w->entry_size)) {
        cpu_leave_unless_last(
            cpu, in); /* the bit is set in an instruction that comes later in this block */
    }
    e |= bits;
    bus_ram_written(cpu->bus, w->entry_pa[i], w->entry_size);
    memcpy(p, &e, w->entry_size);
}

/*
 * Translate lin for an access. Faults leave by longjmp. On return w holds the page; A (and for writes D) bits are set.
 * can_write: a later write at the same privilege needs no further check.
 */
static void translate(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned flags,
                      struct walk *w, bool *can_write)
{
    if (!(cpu->cr0 & CR0_PG)) {
        *w = (struct walk){.pa = lin & 0xfffff000u};
        *can_write = true;
        return;
    }
    bool user = mmu_access_key(cpu, flags) != 0;
    bool write = flags & MEM_WRITE;
    bool fetch = flags & MEM_FETCH;
    int error = walk_tables(cpu, lin, w);
    bool wp = user || (cpu->cr0 & CR0_WP);
    if (error < 0) {
        bool denied = (user && !w->user) || (write && wp && !w->writable) || (fetch && w->nx);
        error = denied ? (int)PF_P : -1;
    }
    if (error >= 0) {
        uint32_t code = (uint32_t)error | (write ? PF_W : 0) | (user ? PF_U : 0);
        if (fetch && (cpu->efer & EFER_NXE) && (cpu->cr4 & CR4_PAE)) {
            code |= PF_I;
        }
        cpu_fault_pf(cpu, in, lin, code);
    }
    for (unsigned i = 0; i < w->n; i++) {
        bool leaf = i + 1 == w->n;
        set_entry_bits(cpu, in, w, i, leaf && write ? PTE_A | PTE_D : PTE_A);
    }
    *can_write = (!wp || w->writable) && (write || (w->leaf & PTE_D));
}

static uint64_t tlb_pa(struct cpu *cpu, const struct walk *w)
{
    cpu->tlb_large = cpu->tlb_large || w->large;
    return w->pa | (w->global ? TLB_GLOBAL : 0) | (uint64_t)w->large << TLB_LARGE_SHIFT;
}

static bool is_ram_page(const struct cpu *cpu, gpa_t pa)
{
    return bus_ram_ptr(cpu->bus, pa, BUS_PAGE_SIZE) != NULL &&
           !(cpu->intr && cpu->intr->apic_window(cpu->intr_opaque, pa));
}

static void fill_data(struct cpu *cpu, const struct insn *in, struct tlb_entry *e, uint64_t lin,
                      unsigned flags)
{
    struct walk w;
    bool can_write;
    if (!mmu_canonical(cpu, lin)) {
        bool ss = (flags & MEM_STACK) || (in && in->seg == SEG_SS && in->base != REG_ZERO);
        cpu_fault_err(cpu, in, ss ? VEC_SS : VEC_GP, 0);
    }
    translate(cpu, in, lin, flags, &w, &can_write);
    uint64_t tag = (lin & ~0xfffull) | mmu_access_key(cpu, flags);
    e->pa = tlb_pa(cpu, &w);
    if (is_ram_page(cpu, w.pa)) {
        e->host =
            (uintptr_t)bus_ram_ptr(cpu->bus, w.pa, BUS_PAGE_SIZE) - (uintptr_t)(lin & ~0xfffull);
        e->tag_r = tag;
        bool code = cpu->bus->code_lines[bus_ram_page(cpu->bus, w.pa)] != 0;
        e->tag_w = can_write ? tag | (code ? TLB_CODE : 0) : TLB_INVALID;
    } else {
        e->host = 0;
        e->tag_r = tag | TLB_MMIO;
        e->tag_w = can_write ? tag | TLB_MMIO : TLB_INVALID;
    }
}

struct tlb_entry *mmu_data(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned flags)
{
    struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);
    uint64_t want = (lin & ~0xfffull) | mmu_access_key(cpu, flags);
    uint64_t tag = flags & MEM_WRITE ? e->tag_w : e->tag_r;
    if (tag == TLB_INVALID || (tag & ~(uint64_t)TLB_SLOW) != want) {
        fill_data(cpu, in, e, lin, flags);
    }
    return e;
}

struct itlb_entry *mmu_code(struct cpu *cpu, uint64_t lin)
{
    struct itlb_entry *e = &cpu->itlb[(lin >> 12) & (TLB_SIZE - 1)];
    uint64_t want = (lin & ~0xfffull) | cpu->tlb_key;
    if (e->tag != want) {
        struct walk w;
        bool can_write;
        if (!mmu_canonical(cpu, lin)) {
            cpu_fault_err(cpu, NULL, VEC_GP, 0);
        }
        translate(cpu, NULL, lin, MEM_FETCH, &w, &can_write);
        e->tag = want;
        e->pa = tlb_pa(cpu, &w);
        e->version = ++cpu->itlb_version;
    }
    return e;
}

void mmu_protect_code_page(struct cpu *cpu, gpa_t page)
{
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        struct tlb_entry *e = &cpu->tlb[i];
        if (e->tag_w != TLB_INVALID && (e->pa & ~0xfffull) == page && !(e->tag_w & TLB_MMIO)) {
            e->tag_w |= TLB_CODE;
        }
    }
}

void mmu_forget_jumps(struct cpu *cpu, gpa_t page)
{
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        if ((cpu->itlb[i].pa & ~0xfffull) == page) {
            cpu->itlb[i].version = ++cpu->itlb_version;
        }
    }
}

void cpu_flush_tlb(struct cpu *cpu, bool global_too)
{
    cpu->tlb_large = cpu->tlb_large && !global_too;
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        struct tlb_entry *e = &cpu->tlb[i];
        if (global_too || !(e->pa & TLB_GLOBAL)) {
            e->tag_r = TLB_INVALID;
            e->tag_w = TLB_INVALID;
        }
        struct itlb_entry *c = &cpu->itlb[i];
        if (global_too || !(c->pa & TLB_GLOBAL)) {
            c->tag = TLB_INVALID;
        }
    }
}

/* Does INVLPG of lin drop an entry with this tag? All of a large page's 4 KiB pieces go together. */
static bool invlpg_hits(uint64_t tag, uint64_t pa, uint64_t lin)
{
    static const uint8_t shift[4] = {12, 21, 22, 30};
    return tag != TLB_INVALID && ((tag ^ lin) >> shift[pa >> TLB_LARGE_SHIFT & 3]) == 0;
}

/* SDM Vol. 3A, 4.10.4.1 "Operations that Invalidate TLBs and Paging-Structure Caches". */
void cpu_flush_page(struct cpu *cpu, uint64_t lin)
{
    unsigned first = cpu->tlb_large ? 0 : (lin >> 12) & (TLB_SIZE - 1);
    unsigned last = cpu->tlb_large ? TLB_SIZE - 1 : first;
    for (unsigned i = first; i <= last; i++) {
        struct tlb_entry *e = &cpu->tlb[i];
        if (invlpg_hits(e->tag_r, e->pa, lin)) {
            e->tag_r = TLB_INVALID;
            e->tag_w = TLB_INVALID;
        }
        struct itlb_entry *c = &cpu->itlb[i];
        if (invlpg_hits(c->tag, c->pa, lin)) {
            c->tag = TLB_INVALID;
        }
    }
}

bool cpu_translate_debug(const struct cpu *cpu, uint64_t lin, gpa_t *gpa)
{
    if (!(cpu->cr0 & CR0_PG)) {
        *gpa = lin & 0xffffffffu;
        return true;
    }
    struct walk w;
    if (walk_tables(cpu, lin, &w) >= 0) {
        return false;
    }
    *gpa = w.pa + (lin & 0xfff);
    return true;
}

size_t cpu_read_debug(const struct cpu *cpu, uint64_t lin, void *buf, size_t len)
{
    uint8_t *out = buf;
    size_t done = 0;
    while (done < len) {
        gpa_t gpa;
        if (!cpu_translate_debug(cpu, lin + done, &gpa)) {
            break;
        }
        size_t piece = BUS_PAGE_SIZE - (size_t)(gpa & 0xfff);
        if (piece > len - done) {
            piece = len - done;
        }
        size_t got = bus_copy_from(cpu->bus, gpa, out + done, piece);
        done += got;
        if (got < piece) {
            break;
        }
    }
    return done;
}
