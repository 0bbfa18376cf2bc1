/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of memory access: TLB misses, page crossings, device memory, pages with code, segment checks, 16-bit addressing.
 *
 * Models Intel SDM Vol. 3A, 5.3 "Limit Checking", 5.4 "Type Checking" (for accesses), Vol. 1, 3.3.7.1 "Canonical Addressing".
 * An access that is not plain RAM, or that writes the running block's own bytes, leaves the block before its first side
 * effect unless its instruction is the last of the block (cpu_leave_unless_last()).
 *
 * Not modelled: #AC alignment checks (CR0.AM), memory types.
 *
 * Deviations: a device access that crosses a page is made byte by byte.
 */
#include "cpu/mem.h"

#include "bus/assert.h"
#include "cpu/block.h"
#include "cpu/exception.h"
#include "cpu/exec.h"
#include "cpu/mmu.h"

/* Bytes of an access at lin that lie in its first page. */
static unsigned first_part(uint64_t lin, unsigned size)
{
    unsigned room = BUS_PAGE_SIZE - (unsigned)(lin & 0xfff);
    return size < room ? size : room;
}

/* Linear addresses wrap at 4 GiB outside 64-bit mode. */
static uint64_t wrap(const struct cpu *cpu, uint64_t lin)
{
    return cpu->long_mode ? lin : lin & 0xffffffffu;
}

/* Test hook: the access at which probe_fail runs out leaves its instruction, which then runs again. */
static void count_probe(struct cpu *cpu, const struct insn *in)
{
    if (irq_likely(cpu->probe_fail <= 0) || !in) {
        return;
    }
    /* The store of a read-modify-write cannot fail any more. */
    if (cpu->probed != in && --cpu->probe_fail == 0) {
        cpu_leave(cpu, in);
    }
}

/* Everything that must hold before [lin, lin+len) inside one page is touched. Returns the entry. */
static struct tlb_entry *check_part(struct cpu *cpu, const struct insn *in, uint64_t lin,
                                    unsigned len, unsigned flags)
{
    count_probe(cpu, in);
    struct tlb_entry *e = mmu_data(cpu, in, lin, flags);
    uint64_t tag = flags & MEM_WRITE ? e->tag_w : e->tag_r;
    if (irq_likely(!(tag & TLB_SLOW)) || !in) {
        return e;
    }
    if (tag & TLB_MMIO) {
        cpu_leave_unless_last(cpu, in);
    } else if (flags & MEM_WRITE) {
        gpa_t pa = (e->pa & ~0xfffull) | (lin & 0xfff);
        if (insn_in_own_block(in, pa, len)) {
            cpu_leave_unless_last(cpu, in);
        }
    }
    return e;
}

void mem_probe(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned len, unsigned flags)
{
    unsigned part = first_part(lin, len);
    check_part(cpu, in, lin, part, flags);
    if (part < len) {
        check_part(cpu, in, wrap(cpu, lin + part), len - part, flags);
    }
}

/*
 * A device may move the next deadline, so the loop must work out the budget again before the next block. Such an access is the last
 * of its block, but the block may end by its length and would hand on to the next.
 */
static void note_device_access(struct cpu *cpu)
{
    cpu->device_accessed = true;
    cpu->attention |= ATTENTION_DEVICE;
}

static uint64_t phys_read(struct cpu *cpu, const struct insn *in, gpa_t pa, unsigned size)
{
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    note_device_access(cpu);
    if (cpu->intr && cpu->intr->apic_window(cpu->intr_opaque, pa)) {
        return cpu->intr->apic_read(cpu->intr_opaque, (uint32_t)(pa & 0xfff), size, &attrs);
    }
    return bus_read(cpu->bus, pa, size, &attrs);
}

static void phys_write(struct cpu *cpu, const struct insn *in, gpa_t pa, unsigned size,
                       uint64_t value)
{
    struct bus_attrs attrs = cpu_attrs(cpu, in);
    note_device_access(cpu);
    if (cpu->intr && cpu->intr->apic_window(cpu->intr_opaque, pa)) {
        cpu->intr->apic_write(cpu->intr_opaque, (uint32_t)(pa & 0xfff), size, value, &attrs);
    } else {
        bus_write(cpu->bus, pa, size, value, &attrs);
    }
}

/* Inside one page, all checks done. */
static uint64_t load_part(struct cpu *cpu, const struct insn *in, const struct tlb_entry *e,
                          uint64_t lin, unsigned size)
{
    if (e->tag_r & TLB_MMIO) {
        return phys_read(cpu, in, (e->pa & ~0xfffull) | (lin & 0xfff), size);
    }
    uint64_t v = 0;
    memcpy(&v, (const void *)(e->host + (uintptr_t)lin), size);
    return v;
}

static void store_part(struct cpu *cpu, const struct insn *in, struct tlb_entry *e, uint64_t lin,
                       unsigned size, uint64_t value)
{
    gpa_t pa = (e->pa & ~0xfffull) | (lin & 0xfff);
    if (e->tag_w & TLB_MMIO) {
        phys_write(cpu, in, pa, size, value);
        return;
    }
    if (e->tag_w & TLB_CODE) {
        if (cpu->bus->code_lines[bus_ram_page(cpu->bus, pa)] == 0) {
            e->tag_w &= ~(uint64_t)TLB_CODE;
        } else {
            bus_code_written(cpu->bus, pa, size);
        }
    }
    memcpy((void *)(e->host + (uintptr_t)lin), &value, size);
}

uint64_t mem_load(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size,
                  unsigned flags)
{
    unsigned part = first_part(lin, size);
    if (irq_likely(part == size)) {
        return load_part(cpu, in, check_part(cpu, in, lin, size, flags), lin, size);
    }
    mem_probe(cpu, in, lin, size, flags);
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        uint64_t a = wrap(cpu, lin + i);
        v |= load_part(cpu, in, mmu_data(cpu, in, a, flags), a, 1) << (8 * i);
    }
    return v;
}

void mem_store(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size, uint64_t value,
               unsigned flags)
{
    flags |= MEM_WRITE;
    unsigned part = first_part(lin, size);
    if (irq_likely(part == size)) {
        store_part(cpu, in, check_part(cpu, in, lin, size, flags), lin, size, value);
        return;
    }
    mem_probe(cpu, in, lin, size, flags);
    for (unsigned i = 0; i < size; i++) {
        uint64_t a = wrap(cpu, lin + i);
        store_part(cpu, in, mmu_data(cpu, in, a, flags), a, 1, value >> (8 * i) & 0xff);
    }
}

uint64_t mem_load_rmw(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned size)
{
    mem_probe(cpu, in, lin, size, MEM_WRITE);
    cpu->probed = cpu->probe_fail > 0 ? in : NULL;
    unsigned part = first_part(lin, size);
    if (irq_likely(part == size)) {
        return load_part(cpu, in, MEM_TLB_ENTRY(cpu, lin), lin, size);
    }
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        uint64_t a = wrap(cpu, lin + i);
        v |= load_part(cpu, in, MEM_TLB_ENTRY(cpu, a), a, 1) << (8 * i);
    }
    return v;
}

uint8_t *mem_bulk_ptr(struct cpu *cpu, const struct insn *in, uint64_t lin, unsigned len,
                      unsigned flags)
{
    if (first_part(lin, len) < len) {
        return NULL;
    }
    struct tlb_entry *e = check_part(cpu, in, lin, len, flags);
    if ((flags & MEM_WRITE ? e->tag_w : e->tag_r) & TLB_SLOW) {
        return NULL;
    }
    return (uint8_t *)(e->host + (uintptr_t)lin);
}

/* ---- segments and effective addresses ---- */

static _Noreturn void segment_fault(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    cpu_fault_err(cpu, in, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

uint64_t mem_segment(struct cpu *cpu, const struct insn *in, unsigned seg, uint64_t off,
                     unsigned size, unsigned flags)
{
    const struct cpu_segment *s = &cpu->seg[seg];
    if (cpu->code_bits == 64) {
        return off + (seg >= SEG_FS ? s->base : 0);
    }
    uint32_t first = (uint32_t)off;
    uint32_t last = first + (size - 1);
    bool bad;
    if ((s->attr & SEG_UNUSABLE) || !(s->attr & SEG_P)) {
        bad = true;
    } else if (flags & MEM_WRITE) {
        bad = (s->attr & SEG_CODE) || !(s->attr & SEG_W);
    } else {
        bad = (s->attr & SEG_CODE) && !(s->attr & SEG_W);
    }
    if (!(s->attr & SEG_CODE) && (s->attr & SEG_E)) {
        uint32_t top = s->attr & SEG_DB ? 0xffffffffu : 0xffffu;
        bad = bad || first <= s->limit || last > top || last < first;
    } else {
        /* A segment of 4 GiB wraps: no limit to violate (SDM Vol. 3A, 5.3 "Limit Checking"). */
        bad = bad || last > s->limit || (last < first && s->limit != 0xffffffffu);
    }
    if (bad) {
        segment_fault(cpu, in, seg);
    }
    return (uint32_t)(s->base + off);
}

uint64_t mem_ea_offset(const struct cpu *cpu, const struct insn *in)
{
    uint64_t a =
        cpu->regs[in->base] + (cpu->regs[in->idx] << in->scale) + (uint64_t)(int64_t)in->disp;
    if (in->ea == EA_GENERAL && in->base == REG_RIP) {
        a += in->end;
    }
    switch (insn_asize(in)) {
    case 1:
        return a & 0xffff;
    case 2:
        return a & 0xffffffffu;
    default:
        return a;
    }
}

uint64_t mem_ea_general(struct cpu *cpu, const struct insn *in, unsigned size, unsigned flags)
{
    return mem_segment(cpu, in, in->seg, mem_ea_offset(cpu, in), size, flags);
}

uint64_t stack_address_general(struct cpu *cpu, const struct insn *in, int64_t delta, unsigned size,
                               unsigned flags)
{
    uint64_t sp = cpu->regs[REG_RSP] + (uint64_t)delta;
    sp &= cpu->ss32 ? 0xffffffffu : 0xffffu;
    return mem_segment(cpu, in, SEG_SS, sp, size, flags | MEM_STACK);
}
