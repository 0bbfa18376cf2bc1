/* SPDX-License-Identifier: MIT */
/*
 * Segmentation: descriptor fetch, loads of segment registers, LDTR and TR, stacks from the TSS, frames.
 *
 * Intel SDM Vol. 3A (325384), chapter 3 "Protected-Mode Memory Management", chapter 5 "Protection", 8.2.1 "Task-State Segment
 * (TSS)", 8.7 "Task Management in 64-bit Mode"; Vol. 2, "MOV", "POP", "LLDT", "LTR".
 *
 * Modelled: GDT and LDT, all checks of a segment load in the manual's order, the accessed bit, null selectors, expand-down
 * stacks, 16-bit stack pointers that wrap, stacks from 16-, 32- and 64-bit TSSs, the interrupt stack table.
 * Not modelled: task switches (cpu/far.c and cpu/idt.c end the run when one is needed); shadow stacks (CET).
 * Deviations: the accessed bit is set by a one-byte store, not by a locked 8-byte one. Loading a null selector into FS or GS
 * clears the base, as Intel's processors do; AMD's keep it.
 */
#include "cpu/segment.h"

#include "cpu/flags.h"

bool seg_fetch(struct cpu *cpu, const struct insn *in, uint16_t sel, uint64_t *desc, uint64_t *addr)
{
    uint64_t base = cpu->gdtr.base;
    uint32_t limit = cpu->gdtr.limit;
    uint32_t off = sel & 0xfff8u;
    if (sel & 4) {
        if ((cpu->ldtr.attr & SEG_UNUSABLE) || !(cpu->ldtr.attr & SEG_P)) {
            return false;
        }
        base = cpu->ldtr.base;
        limit = cpu->ldtr.limit;
    }
    if (off + 7 > limit) {
        return false;
    }
    *addr = cpu_wrap_linear(cpu, base + off);
    *desc = sys_ld(cpu, in, *addr, 8);
    return true;
}

void seg_mark_accessed(struct cpu *cpu, const struct insn *in, uint64_t addr, uint64_t *desc)
{
    if (irq_unlikely(!(*desc & (1ull << 40)))) {
        *desc |= 1ull << 40;
        mem_store(cpu, in, cpu_wrap_linear(cpu, addr + 5), 1, (*desc >> 40) & 0xff,
                  MEM_WRITE | MEM_SYS);
    }
}

void seg_set_null(struct cpu_segment *s, uint16_t sel)
{
    s->sel = sel;
    s->limit = 0;
    s->attr = SEG_UNUSABLE;
}

void seg_set_real(struct cpu *cpu, unsigned seg, uint16_t sel)
{
    struct cpu_segment *s = &cpu->seg[seg];
    s->sel = sel;
    s->base = (uint32_t)sel << 4;
    if (cpu_v86_mode(cpu)) {
        s->limit = 0xffff;
        s->attr = SEG_V86_ATTR;
    } else if (seg != SEG_CS) {
        /* The limit stays what it was ("unreal mode"); the access rights are those of a writable segment. */
        s->attr = (uint16_t)((s->attr & (SEG_DB | SEG_G)) | SEG_REAL_ATTR);
        if (s->limit < 0xffff) {
            s->limit = 0xffff;
        }
    }
}

/* Read-write data, CPL = RPL = DPL. SDM Vol. 2, "MOV": loading SS. */
static void load_ss(struct cpu *cpu, const struct insn *in, uint16_t sel)
{
    uint64_t d, addr;
    if (SEL_NULL(sel)) {
        /* A null SS is legal in 64-bit mode below CPL 3. SDM Vol. 3A, 5.4.1.1 "NULL Segment Checking in 64-bit Mode". */
        if (cpu->code_bits != 64 || cpu->cpl == 3 || (sel & 3u) != cpu->cpl) {
            cpu_fault_err(cpu, in, VEC_GP, 0);
        }
        struct cpu_segment *ss = &cpu->seg[SEG_SS];
        *ss = (struct cpu_segment){.sel = sel, .attr = SEG_UNUSABLE};
        cpu_update_mode(cpu);
        return;
    }
    if (!seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    if ((sel & 3u) != cpu->cpl || !seg_is_stack(attr) || seg_dpl(attr) != cpu->cpl) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_SS, SEL_ERROR(sel));
    }
    seg_mark_accessed(cpu, in, addr, &d);
    cpu->seg[SEG_SS] = seg_from_desc(sel, d);
    cpu_update_mode(cpu);
}

static bool seg_equal(const struct cpu_segment *a, const struct cpu_segment *b)
{
    return a->base == b->base && a->limit == b->limit && a->attr == b->attr;
}

void seg_load(struct cpu *cpu, const struct insn *in, unsigned seg, uint16_t sel)
{
    struct cpu_segment *s = &cpu->seg[seg];
    if (cpu_real_mode(cpu) || cpu_v86_mode(cpu)) {
        seg_set_real(cpu, seg, sel);
        cpu_update_mode(cpu);
        return;
    }
    if (seg == SEG_SS) {
        load_ss(cpu, in, sel);
        return;
    }
    if (SEL_NULL(sel)) {
        *s = (struct cpu_segment){.sel = sel, .attr = SEG_UNUSABLE};
        cpu_update_mode(cpu);
        return;
    }
    uint64_t d, addr;
    if (!seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    bool code = (attr & SEG_CODE) != 0;
    if (!(attr & SEG_S) || (code && !(attr & SEG_W))) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (!(code && (attr & SEG_E))) {
        unsigned dpl = seg_dpl(attr);
        if ((sel & 3u) > dpl || cpu->cpl > dpl) {
            cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
        }
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
    seg_mark_accessed(cpu, in, addr, &d);
    struct cpu_segment old = *s;
    *s = seg_from_desc(sel, d);
    if (!seg_equal(&old, s)) {
        cpu_update_mode(cpu);
    }
}

void seg_drop_privileged(struct cpu *cpu)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    bool changed = false;
    for (size_t i = 0; i < sizeof(data); i++) {
        struct cpu_segment *s = &cpu->seg[data[i]];
        if ((s->attr & SEG_UNUSABLE) || SEL_NULL(s->sel)) {
            continue;
        }
        bool conforming = (s->attr & (SEG_CODE | SEG_E)) == (SEG_CODE | SEG_E);
        if (!conforming && seg_dpl(s->attr) < cpu->cpl) {
            seg_set_null(s, 0);
            changed = true;
        }
    }
    if (changed) {
        cpu_update_mode(cpu);
    }
}

struct cpu_segment seg_check_stack(struct cpu *cpu, const struct insn *in, uint16_t sel,
                                   unsigned cpl, uint8_t vector)
{
    uint64_t d, addr;
    if (!seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, vector, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    if ((sel & 3u) != cpl || !seg_is_stack(attr) || seg_dpl(attr) != cpl) {
        cpu_fault_err(cpu, in, vector, SEL_ERROR(sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_SS, SEL_ERROR(sel));
    }
    seg_mark_accessed(cpu, in, addr, &d);
    return seg_from_desc(sel, d);
}

struct cpu_segment seg_check_return(struct cpu *cpu, const struct insn *in, uint16_t sel)
{
    uint64_t d, addr;
    if (SEL_NULL(sel)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    if (!seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    unsigned rpl = sel & 3u;
    if (!seg_is_code(attr) || rpl < cpu->cpl) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (attr & SEG_E ? seg_dpl(attr) > rpl : seg_dpl(attr) != rpl) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (cpu->long_mode && (attr & SEG_L) && (attr & SEG_DB)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
    seg_mark_accessed(cpu, in, addr, &d);
    return seg_from_desc(sel, d);
}

void seg_check_rip(struct cpu *cpu, const struct insn *in, const struct cpu_segment *cs,
                   uint64_t rip)
{
    bool ok = cpu->long_mode && (cs->attr & SEG_L) ? cpu_canonical(rip) : rip <= cs->limit;
    if (irq_unlikely(!ok)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
}

/* The upper half of a 16-byte system descriptor (IA-32e mode); #GP(sel) if it is outside the table or its type is not 0. */
static uint64_t fetch_upper_base(struct cpu *cpu, const struct insn *in, uint16_t sel,
                                 uint64_t addr)
{
    if ((sel & 0xfff8u) + 15 > cpu->gdtr.limit) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint64_t upper = sys_ld(cpu, in, cpu_wrap_linear(cpu, addr + 8), 8);
    if (upper & 0x00001f0000000000ull) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    return upper << 32;
}

void seg_load_ldtr(struct cpu *cpu, const struct insn *in, uint16_t sel)
{
    uint64_t d, addr;
    if (SEL_NULL(sel)) {
        cpu->ldtr = (struct cpu_segment){.sel = sel, .attr = SEG_UNUSABLE};
        return;
    }
    if ((sel & 4) || !seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    if ((attr & SEG_TYPE_S) != DESC_LDT) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint64_t upper = cpu->long_mode ? fetch_upper_base(cpu, in, sel, addr) : 0;
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
    if (!cpu_canonical(upper | seg_desc_base(d))) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    cpu->ldtr = seg_from_desc(sel, d);
    cpu->ldtr.base |= upper;
}

void seg_load_tr(struct cpu *cpu, const struct insn *in, uint16_t sel)
{
    uint64_t d, addr;
    if (SEL_NULL(sel)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    if ((sel & 4) || !seg_fetch(cpu, in, sel, &d, &addr)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint32_t attr = seg_desc_attr(d);
    unsigned type = attr & SEG_TYPE_S;
    if (type != DESC_TSS32 && (type != DESC_TSS16 || cpu->long_mode)) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    uint64_t upper = cpu->long_mode ? fetch_upper_base(cpu, in, sel, addr) : 0;
    if (!(attr & SEG_P)) {
        cpu_fault_err(cpu, in, VEC_NP, SEL_ERROR(sel));
    }
    if (upper && !cpu_canonical(upper | seg_desc_base(d))) {
        cpu_fault_err(cpu, in, VEC_GP, SEL_ERROR(sel));
    }
    /* The descriptor becomes busy in memory and in the register. */
    d |= 1ull << 41;
    mem_store(cpu, in, cpu_wrap_linear(cpu, addr + 5), 1, (d >> 40) & 0xff, MEM_WRITE | MEM_SYS);
    cpu->tr = seg_from_desc(sel, d);
    cpu->tr.base |= upper;
}

struct seg_stack seg_tss_stack(struct cpu *cpu, const struct insn *in, unsigned cpl)
{
    bool tss32 = (cpu->tr.attr & 8) != 0;
    uint32_t off = tss32 ? 4 + cpl * 8 : 2 + cpl * 4;
    if ((cpu->tr.attr & SEG_UNUSABLE) || off + (tss32 ? 5u : 3u) > cpu->tr.limit) {
        cpu_fault_err(cpu, in, VEC_TS, SEL_ERROR(cpu->tr.sel));
    }
    uint64_t lin = cpu_wrap_linear(cpu, cpu->tr.base + off);
    struct seg_stack st = {.cpl = (uint8_t)cpl};
    uint16_t sel;
    if (tss32) {
        st.sp = sys_ld(cpu, in, lin, 4);
        sel = (uint16_t)sys_ld(cpu, in, cpu_wrap_linear(cpu, lin + 4), 2);
    } else {
        st.sp = sys_ld(cpu, in, lin, 2);
        sel = (uint16_t)sys_ld(cpu, in, cpu_wrap_linear(cpu, lin + 2), 2);
    }
    if (SEL_NULL(sel)) {
        cpu_fault_err(cpu, in, VEC_TS, 0);
    }
    st.ss = seg_check_stack(cpu, in, sel, cpl, VEC_TS);
    st.fault_sel = sel;
    return st;
}

uint64_t seg_tss_rsp(struct cpu *cpu, const struct insn *in, unsigned cpl, unsigned ist)
{
    uint32_t off = ist ? 28 + ist * 8 : 4 + cpl * 8;
    if ((cpu->tr.attr & SEG_UNUSABLE) || off + 7 > cpu->tr.limit) {
        cpu_fault_err(cpu, in, VEC_TS, SEL_ERROR(cpu->tr.sel));
    }
    uint64_t rsp = sys_ld(cpu, in, cpu->tr.base + off, 8);
    if (!cpu_canonical(rsp)) {
        cpu_fault_err(cpu, in, VEC_SS, 0);
    }
    return rsp;
}

/* Is [off, off+len) inside the stack segment? SDM Vol. 3A, 5.3 "Limit Checking". */
static bool stack_room(const struct cpu_segment *ss, uint32_t off, uint32_t len)
{
    uint64_t last = (uint64_t)off + len - 1;
    if (ss->attr & SEG_UNUSABLE) {
        return false;
    }
    if (ss->attr & SEG_E) {
        return off > ss->limit && last <= (ss->attr & SEG_DB ? 0xffffffffu : 0xffffu);
    }
    return last <= ss->limit;
}

static void put(uint8_t *p, uint64_t v, unsigned size)
{
    if (size == 8) {
        memcpy(p, &v, 8);
    } else if (size == 4) {
        memcpy(p, &v, 4);
    } else {
        memcpy(p, &v, 2);
    }
}

/* Probe, then store, values that lie one below the other without a break. */
static void store_run(struct cpu *cpu, const struct insn *in, uint64_t lin, const uint64_t *v,
                      unsigned n, unsigned size, unsigned cpl)
{
    uint32_t len = n * size;
    uint64_t key = cpl == 3 ? (uint64_t)TLB_USER : 0;
    const struct tlb_entry *e = MEM_TLB_ENTRY(cpu, lin);
    if (irq_likely(e->tag_w == (((lin + len - 1) & ~0xfffull) | key))) {
        uint8_t *p = (uint8_t *)(e->host + lin);
        for (unsigned i = 0; i < n; i++) {
            put(p + (n - 1 - i) * size, v[i], size);
        }
        return;
    }
    unsigned flags = MEM_WRITE | MEM_STACK | (cpl == 3 ? MEM_USER : MEM_SUPER);
    mem_probe(cpu, in, lin, len, flags);
    for (unsigned i = 0; i < n; i++) {
        mem_store(cpu, in, cpu_wrap_linear(cpu, lin + (n - 1 - i) * size), size, v[i], flags);
    }
}

/* A frame that wraps around a 16-bit stack pointer, or the 4 GiB of linear addresses: one value at a time. */
static void store_wrapped(struct cpu *cpu, const struct insn *in, const struct seg_stack *st,
                          const uint64_t *v, unsigned n, unsigned size)
{
    uint64_t mask = st->ss.attr & SEG_DB ? 0xffffffffu : 0xffffu;
    unsigned flags = MEM_WRITE | MEM_STACK | (st->cpl == 3 ? MEM_USER : MEM_SUPER);
    for (unsigned pass = 0; pass < 2; pass++) {
        uint64_t sp = st->sp;
        for (unsigned i = 0; i < n; i++) {
            sp -= size;
            uint32_t off = (uint32_t)(sp & mask);
            uint64_t lin = cpu_wrap_linear(cpu, st->ss.base + off);
            if (pass == 0) {
                if (!stack_room(&st->ss, off, size)) {
                    cpu_fault_err(cpu, in, VEC_SS, SEL_ERROR(st->fault_sel));
                }
                mem_probe(cpu, in, lin, size, flags);
            } else {
                mem_store(cpu, in, lin, size, v[i], flags);
            }
        }
    }
}

uint64_t seg_push_frame(struct cpu *cpu, const struct insn *in, const struct seg_stack *st,
                        const uint64_t *v, unsigned n, unsigned size)
{
    uint32_t len = n * size;
    uint64_t low = st->sp - len;
    if (st->is64) {
        if (irq_unlikely(!cpu_canonical(low) || !cpu_canonical(st->sp - 1))) {
            cpu_fault_err(cpu, in, VEC_SS, SEL_ERROR(st->fault_sel));
        }
        store_run(cpu, in, low, v, n, size, st->cpl);
        return low;
    }
    uint64_t mask = st->ss.attr & SEG_DB ? 0xffffffffu : 0xffffu;
    uint32_t off = (uint32_t)(low & mask);
    uint64_t end = (uint64_t)off + len;
    uint64_t new_sp = (st->sp & ~mask & 0xffffffffu) | off;
    if (irq_likely(end <= mask + 1 && st->ss.base + end <= 0x100000000ull)) {
        if (irq_unlikely(!stack_room(&st->ss, off, len))) {
            cpu_fault_err(cpu, in, VEC_SS, SEL_ERROR(st->fault_sel));
        }
        store_run(cpu, in, st->ss.base + off, v, n, size, st->cpl);
    } else {
        store_wrapped(cpu, in, st, v, n, size);
    }
    return new_sp;
}

void seg_commit_cs(struct cpu *cpu, const struct cpu_segment *cs, unsigned cpl, uint64_t rip)
{
    struct cpu_segment *old = &cpu->seg[SEG_CS];
    bool same = seg_equal(old, cs) && cpu->cpl == cpl;
    *old = *cs;
    old->sel = (uint16_t)((cs->sel & 0xfffcu) | cpl);
    cpu->cpl = (uint8_t)cpl;
    cpu->rip = rip;
    if (!same) {
        cpu_update_mode(cpu);
    }
}

void seg_commit_stack(struct cpu *cpu, const struct cpu_segment *ss, uint64_t rsp)
{
    struct cpu_segment *old = &cpu->seg[SEG_SS];
    bool same = seg_equal(old, ss);
    *old = *ss;
    cpu->regs[REG_RSP] = rsp;
    if (!same) {
        cpu_update_mode(cpu);
    }
}

void cpu_change_eflags(struct cpu *cpu, const struct insn *in, uint32_t eflags, uint64_t since_rip)
{
    uint32_t changed = cpu->eflags ^ eflags;
    cpu_set_eflags(cpu, eflags);
    if ((changed & EFLAGS_IF) && !(eflags & EFLAGS_IF)) {
        cpu->if_rip = since_rip;
        cpu->if_time = cpu_now(cpu, in);
        if (irq_unlikely(cpu->interrupt_request)) {
            cpu_note_holds(cpu, in);
            cpu_update_attention(cpu);
        }
    }
}

void cpu_set_zf(struct cpu *cpu, bool zf)
{
    cc_replace(cpu, EFLAGS_ZF, zf ? EFLAGS_ZF : 0);
}
