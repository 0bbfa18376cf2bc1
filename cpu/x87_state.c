/* SPDX-License-Identifier: MIT */
/*
 * The x87 unit's registers and their images in memory: FNSTENV, FNSAVE, FXSAVE and their counterparts; MXCSR.
 *
 * Intel SDM Vol. 1 (253665), 8.1 "x87 FPU Execution Environment", 8.1.10 "Saving the x87 FPU's State with FSTENV/FNSTENV and
 * FSAVE/FNSAVE", 10.5 "FXSAVE and FXRSTOR Instructions"; Vol. 2, "FXSAVE".
 *
 * Modelled: the 16- and 32-bit images of real and protected mode, FXSAVE's legacy and 64-bit images with XMM registers, LDMXCSR, STMXCSR.
 * Not modelled: XSAVE; AMD's FFXSR.
 * Deviations: FXSAVE stores XMM registers whatever CR4.OSFXSR says (the manual leaves it open).
 */
#include "cpu/segment.h"
#include "cpu/x87.h"

void x87_update_summary(struct cpu *cpu)
{
    struct x87_state *x = &cpu->x87;
    bool pending = (x->fsw & ~x->fcw & FSW_EX) != 0;
    x->fsw = (uint16_t)((x->fsw & ~(FSW_ES | FSW_B)) | (pending ? FSW_ES | FSW_B : 0));
}

/* Vol. 2, "FINIT/FNINIT". */
void x87_init(struct cpu *cpu)
{
    struct x87_state *x = &cpu->x87;
    x->fcw = 0x37f;
    x->fsw = 0;
    x->ftw = 0;
    x->fop = 0;
    x->fip = x->fdp = 0;
    x->fcs = x->fds = 0;
}

struct f80 x87_get(const struct cpu *cpu, unsigned i)
{
    const uint8_t *p = cpu->x87.st[(x87_top(cpu) + i) & 7];
    struct f80 v;
    memcpy(&v.mant, p, 8);
    memcpy(&v.se, p + 8, 2);
    return v;
}

void x87_put(struct cpu *cpu, unsigned i, struct f80 v)
{
    unsigned n = (x87_top(cpu) + i) & 7;
    uint8_t *p = cpu->x87.st[n];
    memset(p, 0, 16);
    memcpy(p, &v.mant, 8);
    memcpy(p + 8, &v.se, 2);
    cpu->x87.ftw |= (uint16_t)(1u << n);
}

/* 0 valid, 1 zero, 2 special, 3 empty. Vol. 1, 8.1.7 "x87 FPU Tag Word". */
uint16_t x87_full_tags(const struct cpu *cpu)
{
    uint32_t tags = 0;
    for (unsigned n = 0; n < 8; n++) {
        unsigned tag = 3;
        if (cpu->x87.ftw & (1u << n)) {
            uint64_t mant;
            uint16_t se;
            memcpy(&mant, cpu->x87.st[n], 8);
            memcpy(&se, cpu->x87.st[n] + 8, 2);
            se &= 0x7fff;
            if (se == 0 && mant == 0) {
                tag = 1;
            } else {
                tag = se == 0 || se == 0x7fff || !(mant >> 63) ? 2 : 0;
            }
        }
        tags |= tag << (2 * n);
    }
    return (uint16_t)tags;
}

/* ---- copying ---- */

static void copy_out(struct cpu *cpu, const struct insn *in, uint64_t lin, const uint8_t *p,
                     unsigned len)
{
    mem_probe(cpu, in, lin, len, MEM_WRITE);
    for (unsigned i = 0; i < len; i += 2) {
        uint16_t v;
        memcpy(&v, p + i, 2);
        mem_st16(cpu, in, cpu_wrap_linear(cpu, lin + i), v);
    }
}

static void copy_in(struct cpu *cpu, const struct insn *in, uint64_t lin, uint8_t *p, unsigned len)
{
    mem_probe(cpu, in, lin, len, MEM_READ);
    for (unsigned i = 0; i < len; i += 2) {
        uint16_t v = mem_ld16(cpu, in, cpu_wrap_linear(cpu, lin + i));
        memcpy(p + i, &v, 2);
    }
}

static void put16(uint8_t *p, unsigned at, uint32_t v)
{
    uint16_t w = (uint16_t)v;
    memcpy(p + at, &w, 2);
}

static void put32(uint8_t *p, unsigned at, uint32_t v)
{
    memcpy(p + at, &v, 4);
}

static uint16_t get16(const uint8_t *p, unsigned at)
{
    uint16_t v;
    memcpy(&v, p + at, 2);
    return v;
}

static uint32_t get32(const uint8_t *p, unsigned at)
{
    uint32_t v;
    memcpy(&v, p + at, 4);
    return v;
}

/* ---- environment ---- */

/* Is the 16-bit image meant? The table gives these instructions no operand size, so the prefix is looked for in the bytes. */
static bool small_image(const struct cpu *cpu, const struct insn *in)
{
    uint8_t bytes[15] = {0};
    uint64_t lin = insn_rip(cpu, in) + (cpu->code_bits == 64 ? 0 : cpu->seg[SEG_CS].base);
    size_t n = cpu_read_debug(cpu, cpu_wrap_linear(cpu, lin), bytes, in->len < 15 ? in->len : 15);
    bool prefix = false;
    for (size_t i = 0; i < n && (bytes[i] & 0xf8) != 0xd8; i++) {
        prefix = prefix || bytes[i] == 0x66;
    }
    return prefix != (cpu->code_bits == 16);
}

/* Figures 8-9 to 8-12 of Vol. 1. Returns the image's length. */
static unsigned make_environment(const struct cpu *cpu, bool small, uint8_t *p)
{
    const struct x87_state *x = &cpu->x87;
    bool real = cpu_real_mode(cpu) || cpu_v86_mode(cpu);
    uint32_t ip = real ? (uint32_t)(x->fip + ((uint32_t)x->fcs << 4)) : (uint32_t)x->fip;
    uint32_t dp = real ? (uint32_t)(x->fdp + ((uint32_t)x->fds << 4)) : (uint32_t)x->fdp;
    uint32_t fop = x->fop & 0x7ffu;
    if (small) {
        put16(p, 0, x->fcw);
        put16(p, 2, x->fsw);
        put16(p, 4, x87_full_tags(cpu));
        put16(p, 6, ip);
        put16(p, 8, real ? ((ip >> 16) & 0xf) << 12 | fop : x->fcs);
        put16(p, 10, dp);
        put16(p, 12, real ? ((dp >> 16) & 0xf) << 12 : x->fds);
        return 14;
    }
    put32(p, 0, 0xffff0000u | x->fcw);
    put32(p, 4, 0xffff0000u | x->fsw);
    put32(p, 8, 0xffff0000u | x87_full_tags(cpu));
    put32(p, 12, real ? 0xffff0000u | (ip & 0xffff) : ip);
    put32(p, 16, real ? (ip >> 16) << 12 | fop : fop << 16 | x->fcs);
    put32(p, 20, real ? 0xffff0000u | (dp & 0xffff) : dp);
    put32(p, 24, real ? (dp >> 16) << 12 : 0xffff0000u | x->fds);
    return 28;
}

static void take_environment(struct cpu *cpu, bool small, const uint8_t *p)
{
    struct x87_state *x = &cpu->x87;
    bool real = cpu_real_mode(cpu) || cpu_v86_mode(cpu);
    unsigned step = small ? 2 : 4;
    x->fcw = (uint16_t)(get16(p, 0) | 0x40);
    x->fsw = get16(p, step);
    uint16_t tags = get16(p, 2 * step);
    x->ftw = 0;
    for (unsigned n = 0; n < 8; n++) {
        if (((tags >> (2 * n)) & 3) != 3) {
            x->ftw |= (uint16_t)(1u << n);
        }
    }
    if (real) {
        uint32_t high_ip = small ? get16(p, 8) : get32(p, 16);
        uint32_t high_dp = small ? get16(p, 12) : get32(p, 24);
        x->fip = get16(p, 3 * step) | (uint64_t)(high_ip >> 12) << 16;
        x->fdp = get16(p, 5 * step) | (uint64_t)(high_dp >> 12) << 16;
        x->fop = high_ip & 0x7ff;
        x->fcs = x->fds = 0;
    } else if (small) {
        x->fip = get16(p, 6);
        x->fcs = get16(p, 8);
        x->fdp = get16(p, 10);
        x->fds = get16(p, 12);
    } else {
        x->fip = get32(p, 12);
        x->fcs = get16(p, 16);
        x->fop = get16(p, 18) & 0x7ff;
        x->fdp = get32(p, 20);
        x->fds = get16(p, 24);
    }
    x87_update_summary(cpu);
}

void x87_store_env(struct cpu *cpu, const struct insn *in)
{
    uint8_t image[28];
    bool small = small_image(cpu, in);
    unsigned len = make_environment(cpu, small, image);
    copy_out(cpu, in, mem_ea(cpu, in, len, MEM_WRITE), image, len);
    cpu->x87.fcw |= FSW_EX; /* FNSTENV masks all exceptions */
    x87_update_summary(cpu);
}

void x87_load_env(struct cpu *cpu, const struct insn *in)
{
    uint8_t image[28];
    bool small = small_image(cpu, in);
    unsigned len = small ? 14 : 28;
    copy_in(cpu, in, mem_ea(cpu, in, len, MEM_READ), image, len);
    take_environment(cpu, small, image);
}

void x87_save(struct cpu *cpu, const struct insn *in)
{
    uint8_t image[28 + 80];
    bool small = small_image(cpu, in);
    unsigned env = make_environment(cpu, small, image);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(image + env + 10 * i, cpu->x87.st[(x87_top(cpu) + i) & 7], 10);
    }
    copy_out(cpu, in, mem_ea(cpu, in, env + 80, MEM_WRITE), image, env + 80);
    x87_init(cpu);
}

void x87_restore(struct cpu *cpu, const struct insn *in)
{
    uint8_t image[28 + 80];
    bool small = small_image(cpu, in);
    unsigned env = small ? 14 : 28;
    copy_in(cpu, in, mem_ea(cpu, in, env + 80, MEM_READ), image, env + 80);
    take_environment(cpu, small, image);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *st = cpu->x87.st[(x87_top(cpu) + i) & 7];
        memset(st, 0, 16);
        memcpy(st, image + env + 10 * i, 10);
    }
}

/* ---- FXSAVE, FXRSTOR, MXCSR ---- */

static uint32_t mxcsr_mask(const struct cpu *cpu)
{
    return cpu->model->f1_edx & F1D_SSE2 ? 0xffff : 0xffbf;
}

static void check_fx(struct cpu *cpu, const struct insn *in, bool has, bool sse)
{
    if (!has || (sse && ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR)))) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (cpu->cr0 & (CR0_EM | CR0_TS)) {
        cpu_fault(cpu, in, VEC_NM);
    }
}

static uint64_t fx_address(struct cpu *cpu, const struct insn *in, unsigned flags)
{
    check_fx(cpu, in, (cpu->model->f1_edx & F1D_FXSR) != 0, false);
    uint64_t lin = mem_ea(cpu, in, 512, flags);
    if (lin & 15) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    return lin;
}

static unsigned xmm_count(const struct cpu *cpu)
{
    return cpu->model->f1_edx & F1D_SSE ? (cpu->code_bits == 64 ? 16 : 8) : 0;
}

static const struct insn *op_fxsave(struct cpu *cpu, const struct insn *in)
{
    const struct x87_state *x = &cpu->x87;
    uint64_t lin = fx_address(cpu, in, MEM_WRITE);
    bool wide = insn_osize(in) == 3;
    unsigned xmm = xmm_count(cpu);
    uint8_t image[160 + 256] = {0};
    put16(image, 0, x->fcw);
    put16(image, 2, x->fsw);
    put16(image, 4, x->ftw & 0xffu);
    put16(image, 6, x->fop & 0x7ffu);
    memcpy(image + 8, &x->fip, wide ? 8 : 4);
    memcpy(image + 16, &x->fdp, wide ? 8 : 4);
    if (!wide) {
        put16(image, 12, x->fcs);
        put16(image, 20, x->fds);
    }
    if (xmm) {
        put32(image, 24, x->mxcsr);
        put32(image, 28, mxcsr_mask(cpu));
    }
    for (unsigned i = 0; i < 8; i++) {
        memcpy(image + 32 + 16 * i, x->st[(x87_top(cpu) + i) & 7], 10);
    }
    memcpy(image + 160, x->xmm, (size_t)xmm * 16);
    copy_out(cpu, in, lin, image, 160 + xmm * 16);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_fxrstor(struct cpu *cpu, const struct insn *in)
{
    struct x87_state *x = &cpu->x87;
    uint64_t lin = fx_address(cpu, in, MEM_READ);
    bool wide = insn_osize(in) == 3;
    unsigned xmm = xmm_count(cpu);
    uint8_t image[160 + 256];
    copy_in(cpu, in, lin, image, 160 + xmm * 16);
    if (xmm && (get32(image, 24) & ~mxcsr_mask(cpu))) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    x->fcw = (uint16_t)(get16(image, 0) | 0x40);
    x->fsw = get16(image, 2);
    x->ftw = image[4];
    x->fop = get16(image, 6) & 0x7ff;
    x->fip = x->fdp = 0;
    memcpy(&x->fip, image + 8, wide ? 8 : 4);
    memcpy(&x->fdp, image + 16, wide ? 8 : 4);
    x->fcs = wide ? 0 : get16(image, 12);
    x->fds = wide ? 0 : get16(image, 20);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *st = x->st[(x87_top(cpu) + i) & 7];
        memset(st, 0, 16);
        memcpy(st, image + 32 + 16 * i, 10);
    }
    if (xmm) {
        x->mxcsr = get32(image, 24);
        memcpy(x->xmm, image + 160, (size_t)xmm * 16);
    }
    x87_update_summary(cpu);
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_ldmxcsr(struct cpu *cpu, const struct insn *in)
{
    check_fx(cpu, in, (cpu->model->f1_edx & F1D_SSE) != 0, true);
    uint32_t v = mem_ld32(cpu, in, mem_ea(cpu, in, 4, MEM_READ));
    if (v & ~mxcsr_mask(cpu)) {
        cpu_fault_err(cpu, in, VEC_GP, 0);
    }
    cpu->x87.mxcsr = v;
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_stmxcsr(struct cpu *cpu, const struct insn *in)
{
    check_fx(cpu, in, (cpu->model->f1_edx & F1D_SSE) != 0, true);
    mem_st32(cpu, in, mem_ea(cpu, in, 4, MEM_WRITE), cpu->x87.mxcsr);
    INSN_RETURN INSN_NEXT(cpu, in);
}

const struct op_fns fns_FXSAVE = {{{0}, {OP_ALL_SIZES(op_fxsave)}}};
const struct op_fns fns_FXRSTOR = {{{0}, {OP_ALL_SIZES(op_fxrstor)}}};
const struct op_fns fns_LDMXCSR = {{{0}, {OP_ALL_SIZES(op_ldmxcsr)}}};
const struct op_fns fns_STMXCSR = {{{0}, {OP_ALL_SIZES(op_stmxcsr)}}};
