/* SPDX-License-Identifier: MIT */
/*
 * System instructions: descriptor tables, access checks, caches, FS and GS bases, and the ones that a CPU model lacks.
 *
 * Intel SDM Vol. 2 (325383), pages of these names: "SGDT", "SIDT", "LGDT", "LIDT", "SLDT", "STR", "LLDT", "LTR", "SMSW", "VERR/VERW",
 * "LAR", "LSL", "ARPL", "SWAPGS", "RDFSBASE/RDGSBASE", "WRFSBASE/WRGSBASE", "CLFLUSH", "INVD", "WBINVD", "RDPMC"; AMD APM Vol. 3
 * (24594) for RDTSCP's and SWAPGS's origins.
 *
 * Modelled: all of these. Caches do not exist, so INVD, WBINVD and CLFLUSH only check.
 * Not modelled: UMIP, MONITOR/MWAIT, SMAP, XSAVE, RDRAND, RDSEED, INVPCID, MMX and SSE arithmetic: #UD where the CPU model lacks them,
 * else the run ends with a message. SMM: RSM is #UD, as outside SMM. Performance counters: RDPMC is #GP(0), none exists.
 * Deviations: LAR returns 0 in the undefined bits 19:16.
 */
#include "cpu/segment.h"
#include "cpu/trace_events.h"

static uint16_t load_rm16(struct cpu *cpu, const struct insn *in, bool memory)
{
    return memory ? mem_ld16(cpu, in, mem_ea(cpu, in, 2, MEM_READ)) : (uint16_t)cpu->regs[in->rm];
}

/* Two handlers, register and memory operand, from one body. */
#define RM_HANDLERS(name)                                                      \
    static const struct insn *name##_r(struct cpu *cpu, const struct insn *in) \
    {                                                                          \
        name(cpu, in, false);                                                  \
        INSN_RETURN INSN_NEXT(cpu, in);                                        \
    }                                                                          \
    static const struct insn *name##_m(struct cpu *cpu, const struct insn *in) \
    {                                                                          \
        name(cpu, in, true);                                                   \
        INSN_RETURN INSN_NEXT(cpu, in);                                        \
    }
#define RM_TABLE(ID, name) \
    const struct op_fns fns_##ID = {{{OP_ALL_SIZES(name##_r)}, {OP_ALL_SIZES(name##_m)}}};

/* ---- selectors and machine status ---- */

static void store_rm(struct cpu *cpu, const struct insn *in, bool memory, uint64_t v)
{
    if (memory) {
        mem_st16(cpu, in, mem_ea(cpu, in, 2, MEM_WRITE), (uint16_t)v);
    } else {
        cpu_set_operand(cpu, in, in->rm, v);
    }
}

static void sldt(struct cpu *cpu, const struct insn *in, bool memory)
{
    store_rm(cpu, in, memory, cpu->ldtr.sel);
}

static void str(struct cpu *cpu, const struct insn *in, bool memory)
{
    store_rm(cpu, in, memory, cpu->tr.sel);
}

static void smsw(struct cpu *cpu, const struct insn *in, bool memory)
{
    store_rm(cpu, in, memory, cpu->cr0);
}

static void lldt(struct cpu *cpu, const struct insn *in, bool memory)
{
    cpu_check_cpl0(cpu, in);
    seg_load_ldtr(cpu, in, load_rm16(cpu, in, memory));
}

static void ltr(struct cpu *cpu, const struct insn *in, bool memory)
{
    cpu_check_cpl0(cpu, in);
    seg_load_tr(cpu, in, load_rm16(cpu, in, memory));
}

RM_HANDLERS(sldt)
RM_HANDLERS(str)
RM_HANDLERS(smsw)
RM_HANDLERS(lldt)
RM_HANDLERS(ltr)
RM_TABLE(SLDT, sldt)
RM_TABLE(STR, str)
RM_TABLE(SMSW, smsw)
RM_TABLE(LLDT, lldt)
RM_TABLE(LTR, ltr)

/* ---- VERR, VERW, LAR, LSL, ARPL: never a fault for the selector, only ZF ---- */

/* The descriptor of sel if CPL and RPL may see it. */
static bool visible_descriptor(struct cpu *cpu, const struct insn *in, uint16_t sel, uint64_t *d)
{
    uint64_t addr;
    if (SEL_NULL(sel) || !seg_fetch(cpu, in, sel, d, &addr)) {
        return false;
    }
    uint32_t attr = seg_desc_attr(*d);
    if (seg_is_code(attr) && (attr & SEG_E)) {
        return true;
    }
    unsigned dpl = seg_dpl(attr);
    return dpl >= cpu->cpl && dpl >= (sel & 3u);
}

static void verr(struct cpu *cpu, const struct insn *in, bool memory)
{
    uint64_t d;
    bool ok = visible_descriptor(cpu, in, load_rm16(cpu, in, memory), &d);
    if (ok) {
        uint32_t attr = seg_desc_attr(d);
        ok = (attr & SEG_S) && (!(attr & SEG_CODE) || (attr & SEG_W));
    }
    cpu_set_zf(cpu, ok);
}

static void verw(struct cpu *cpu, const struct insn *in, bool memory)
{
    uint64_t d;
    bool ok = visible_descriptor(cpu, in, load_rm16(cpu, in, memory), &d);
    cpu_set_zf(cpu, ok && seg_is_stack(seg_desc_attr(d)));
}

/* Types of system descriptors that LAR and LSL accept: bit n = type n. Vol. 2, tables 3-53 and 3-56. */
#define LAR_LEGACY 0x1a3eu
#define LAR_LONG   0x1a04u
#define LSL_LEGACY 0x0a0eu
#define LSL_LONG   0x0a04u

static bool type_in(uint32_t attr, uint32_t set)
{
    return (attr & SEG_S) || ((set >> (attr & SEG_TYPE)) & 1);
}

static void lar(struct cpu *cpu, const struct insn *in, bool memory)
{
    uint64_t d;
    bool ok = visible_descriptor(cpu, in, load_rm16(cpu, in, memory), &d);
    ok = ok && type_in(seg_desc_attr(d), cpu->long_mode ? LAR_LONG : LAR_LEGACY);
    if (ok) {
        cpu_set_operand(cpu, in, in->r, (d >> 32) & 0x00f0ff00);
    }
    cpu_set_zf(cpu, ok);
}

static void lsl(struct cpu *cpu, const struct insn *in, bool memory)
{
    uint64_t d;
    bool ok = visible_descriptor(cpu, in, load_rm16(cpu, in, memory), &d);
    ok = ok && type_in(seg_desc_attr(d), cpu->long_mode ? LSL_LONG : LSL_LEGACY);
    if (ok) {
        cpu_set_operand(cpu, in, in->r, seg_desc_limit(d));
    }
    cpu_set_zf(cpu, ok);
}

static void arpl(struct cpu *cpu, const struct insn *in, bool memory)
{
    uint64_t lin = memory ? mem_ea(cpu, in, 2, MEM_WRITE) : 0;
    uint16_t dest = memory ? mem_ldw16(cpu, in, lin) : (uint16_t)cpu->regs[in->rm];
    uint16_t rpl = cpu->regs[in->r] & 3;
    bool raise = (dest & 3) < rpl;
    if (raise) {
        dest = (uint16_t)((dest & ~3u) | rpl);
        if (memory) {
            mem_st16(cpu, in, lin, dest);
        } else {
            cpu->regs[in->rm] = (cpu->regs[in->rm] & ~0xffffull) | dest;
        }
    }
    cpu_set_zf(cpu, raise);
}

RM_HANDLERS(verr)
RM_HANDLERS(verw)
RM_HANDLERS(lar)
RM_HANDLERS(lsl)
RM_HANDLERS(arpl)
RM_TABLE(VERR, verr)
RM_TABLE(VERW, verw)
RM_TABLE(LAR, lar)
RM_TABLE(LSL, lsl)
RM_TABLE(ARPL, arpl)

/* ---- GDTR, IDTR ---- */

static void store_table(struct cpu *cpu, const struct insn *in, const struct cpu_table *t)
{
    unsigned size = cpu->code_bits == 64 ? 8 : 4;
    uint64_t lin = mem_ea(cpu, in, 2 + size, MEM_WRITE);
    mem_probe(cpu, in, lin, 2 + size, MEM_WRITE);
    mem_store(cpu, in, lin, 2, t->limit, MEM_WRITE);
    mem_store(cpu, in, cpu_wrap_linear(cpu, lin + 2), size, size == 8 ? t->base : (uint32_t)t->base,
              MEM_WRITE);
}

static struct cpu_table load_table(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    unsigned size = cpu->code_bits == 64 ? 8 : 4;
    uint64_t lin = mem_ea(cpu, in, 2 + size, MEM_READ);
    struct cpu_table t;
    t.limit = mem_ld16(cpu, in, lin);
    t.base = mem_load(cpu, in, cpu_wrap_linear(cpu, lin + 2), size, MEM_READ);
    if (size == 8) {
        if (!cpu_canonical(t.base)) {
            cpu_fault_err(cpu, in, VEC_GP, 0);
        }
    } else if (insn_osize(in) == 1) {
        t.base &= 0xffffff;
    }
    return t;
}

static const struct insn *op_sgdt(struct cpu *cpu, const struct insn *in)
{
    store_table(cpu, in, &cpu->gdtr);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_sidt(struct cpu *cpu, const struct insn *in)
{
    store_table(cpu, in, &cpu->idtr);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_lgdt(struct cpu *cpu, const struct insn *in)
{
    cpu->gdtr = load_table(cpu, in);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_lidt(struct cpu *cpu, const struct insn *in)
{
    cpu->idtr = load_table(cpu, in);
    if (cpu->trace->enabled) {
        cpu_sync(cpu, in);
        trace_cpu_idt_load(cpu->trace, cpu->index, cpu->cur_cause, 0, 0, cpu->idtr.base,
                           cpu->idtr.limit);
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_SGDT = {{{0}, {OP_ALL_SIZES(op_sgdt)}}};
const struct op_fns fns_SIDT = {{{0}, {OP_ALL_SIZES(op_sidt)}}};
const struct op_fns fns_LGDT = {{{0}, {OP_ALL_SIZES(op_lgdt)}}};
const struct op_fns fns_LIDT = {{{0}, {OP_ALL_SIZES(op_lidt)}}};

/* ---- caches ---- */

static const struct insn *op_invd(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_clflush(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f1_edx & F1D_CLFSH)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    mem_probe(cpu, in, mem_ea(cpu, in, 1, MEM_READ), 1, MEM_READ);
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_INVD = {{{OP_ALL_SIZES(op_invd)}}};
const struct op_fns fns_WBINVD = {{{OP_ALL_SIZES(op_invd)}}};
const struct op_fns fns_CLFLUSH = {{{0}, {OP_ALL_SIZES(op_clflush)}}};

/* ---- FS and GS bases ---- */

static const struct insn *op_swapgs(struct cpu *cpu, const struct insn *in)
{
    cpu_check_cpl0(cpu, in);
    uint64_t base = cpu->seg[SEG_GS].base;
    cpu->seg[SEG_GS].base = cpu->kernel_gs_base;
    cpu->kernel_gs_base = base;
    INSN_RETURN INSN_NEXT(cpu, in);
}

static void check_fsgsbase(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        cpu_fault(cpu, in, VEC_UD);
    }
}

static void write_base(struct cpu *cpu, const struct insn *in, unsigned seg)
{
    check_fsgsbase(cpu, in);
    uint64_t v = cpu->regs[in->rm];
    if (insn_osize(in) != 3) {
        v = (uint32_t)v;
    }
    if (!cpu_canonical(v)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    cpu->seg[seg].base = v;
}

static const struct insn *op_rdfsbase(struct cpu *cpu, const struct insn *in)
{
    check_fsgsbase(cpu, in);
    cpu_set_operand(cpu, in, in->rm, cpu->seg[SEG_FS].base);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_rdgsbase(struct cpu *cpu, const struct insn *in)
{
    check_fsgsbase(cpu, in);
    cpu_set_operand(cpu, in, in->rm, cpu->seg[SEG_GS].base);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_wrfsbase(struct cpu *cpu, const struct insn *in)
{
    write_base(cpu, in, SEG_FS);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_wrgsbase(struct cpu *cpu, const struct insn *in)
{
    write_base(cpu, in, SEG_GS);
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_SWAPGS = {{{OP_ALL_SIZES(op_swapgs)}}};
const struct op_fns fns_RDFSBASE = {{{OP_ALL_SIZES(op_rdfsbase)}}};
const struct op_fns fns_RDGSBASE = {{{OP_ALL_SIZES(op_rdgsbase)}}};
const struct op_fns fns_WRFSBASE = {{{OP_ALL_SIZES(op_wrfsbase)}}};
const struct op_fns fns_WRGSBASE = {{{OP_ALL_SIZES(op_wrgsbase)}}};

/* ---- counters ---- */

static const struct insn *op_rdpmc(struct cpu *cpu, const struct insn *in)
{
    cpu_fault_err(cpu, in, VEC_GP, 0);
}

const struct op_fns fns_RDPMC = {{{OP_ALL_SIZES(op_rdpmc)}}};

/* ---- what is known by name only ---- */

static const struct insn *lacking(struct cpu *cpu, const struct insn *in, bool has,
                                  const char *what)
{
    if (!has) {
        cpu_fault(cpu, in, VEC_UD);
    }
    cpu_unmodelled(cpu, in, "%s is not modelled", what);
}

static const struct insn *op_monitor(struct cpu *cpu, const struct insn *in)
{
    return lacking(cpu, in, (cpu->model->f1_ecx & F1C_MON) != 0, "MONITOR/MWAIT");
}

static const struct insn *op_clac(struct cpu *cpu, const struct insn *in)
{
    return lacking(cpu, in, (cpu->model->f7_ebx & F7B_SMAP) && cpu->cpl == 0, "SMAP");
}

static const struct insn *op_xgetbv(struct cpu *cpu, const struct insn *in)
{
    return lacking(cpu, in, (cpu->cr4 & CR4_OSXSAVE) != 0, "XSAVE");
}

static const struct insn *op_rdrand(struct cpu *cpu, const struct insn *in)
{
    return lacking(cpu, in, (cpu->model->f1_ecx & F1C_RDRAND) != 0, "RDRAND");
}

static const struct insn *op_rdseed(struct cpu *cpu, const struct insn *in)
{
    return lacking(cpu, in, (cpu->model->f7_ebx & F7B_RDSEED) != 0, "RDSEED");
}

static const struct insn *op_invpcid(struct cpu *cpu, const struct insn *in)
{
    return lacking(cpu, in, (cpu->model->f7_ebx & F7B_INVPCID) != 0, "INVPCID");
}

static const struct insn *op_rsm(struct cpu *cpu, const struct insn *in)
{
    cpu_fault(cpu, in, VEC_UD);
}

/* Opcode byte after 0Fh and the mandatory prefix of the instruction, from its bytes; it was just fetched from there. */
static uint8_t simd_opcode(const struct cpu *cpu, const struct insn *in, bool *prefixed)
{
    uint8_t bytes[15] = {0};
    uint64_t lin = insn_rip(cpu, in) + (cpu->code_bits == 64 ? 0 : cpu->seg[SEG_CS].base);
    size_t n = cpu_read_debug(cpu, cpu_wrap_linear(cpu, lin), bytes, in->len < 15 ? in->len : 15);
    *prefixed = false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (bytes[i] == 0x0f) {
            return bytes[i + 1];
        }
        *prefixed = *prefixed || bytes[i] == 0x66 || bytes[i] == 0xf2 || bytes[i] == 0xf3;
    }
    return 0;
}

/*
 * MMX, SSE, SSE2: #UD by CR0.EM and CR4.OSFXSR, then #NM by CR0.TS. Vol. 3A, 14.1 "Providing Operating System Support for SSE
 * Extensions".
 */
static const struct insn *op_simd(struct cpu *cpu, const struct insn *in)
{
    bool prefixed;
    uint8_t op = simd_opcode(cpu, in, &prefixed);
    bool mmx = !prefixed && op >= 0x60 && op != 0xc2 && op != 0xc6;
    uint32_t need = mmx ? F1D_MMX : prefixed ? F1D_SSE2 : F1D_SSE;
    if (!mmx && prefixed && op < 0x60) {
        need =
            F1D_SSE; /* F3h: scalar single precision; 66h and F2h need SSE2, which no model has without SSE */
    }
    if (!(cpu->model->f1_edx & need) || (cpu->cr0 & CR0_EM) || (!mmx && !(cpu->cr4 & CR4_OSFXSR))) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (cpu->cr0 & CR0_TS) {
        cpu_fault(cpu, in, VEC_NM);
    }
    cpu_unmodelled(cpu, in, "%s instructions are not modelled", mmx ? "MMX" : "SSE");
}

const struct op_fns fns_MONITOR = {{{OP_ALL_SIZES(op_monitor)}}};
const struct op_fns fns_MWAIT = {{{OP_ALL_SIZES(op_monitor)}}};
const struct op_fns fns_CLAC = {{{OP_ALL_SIZES(op_clac)}}};
const struct op_fns fns_STAC = {{{OP_ALL_SIZES(op_clac)}}};
const struct op_fns fns_XGETBV = {{{OP_ALL_SIZES(op_xgetbv)}}};
const struct op_fns fns_XSETBV = {{{OP_ALL_SIZES(op_xgetbv)}}};
const struct op_fns fns_RDRAND = {{{OP_ALL_SIZES(op_rdrand)}}};
const struct op_fns fns_RDSEED = {{{OP_ALL_SIZES(op_rdseed)}}};
const struct op_fns fns_INVPCID = {{{0}, {OP_ALL_SIZES(op_invpcid)}}};
const struct op_fns fns_RSM = {{{OP_ALL_SIZES(op_rsm)}}};
const struct op_fns fns_SIMD = {{{OP_ALL_SIZES(op_simd)}, {OP_ALL_SIZES(op_simd)}}};
