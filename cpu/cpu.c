/* SPDX-License-Identifier: MIT */
/*
 * Life of a processor and the state that is derived from its registers.
 *
 * Reset values: Intel SDM Vol. 3A (order no. 325384), table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".
 */
#include "cpu/cpu.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/assert.h"
#include "cpu/block.h"
#include "cpu/decode.h"
#include "cpu/mem.h"

int cpu_init(struct cpu *cpu, const struct cpu_config *config)
{
    memset(cpu, 0, sizeof(*cpu));
    cpu->index = config->index;
    cpu->model = config->model;
    cpu->bus = config->bus;
    cpu->clock = config->clock;
    cpu->trace = config->trace;
    cpu->intr = config->intr;
    cpu->intr_opaque = config->intr_opaque;
    cpu->no_cache = config->no_cache;
    cpu->clip_state = config->clip_seed;
    cpu->max_block = config->max_block;
    if (cpu->max_block == 0 || cpu->max_block > BLOCK_MAX_INSNS) {
        cpu->max_block = BLOCK_MAX_INSNS;
    }
    cpu->tables = malloc(sizeof(*cpu->tables));
    if (!cpu->tables) {
        return -ENOMEM;
    }
    decode_tables_init(cpu->tables);
    if (block_cache_init(cpu) < 0) {
        free(cpu->tables);
        return -ENOMEM;
    }
    cpu_reset(cpu, CPU_RESET_POWER_ON);
    return 0;
}

void cpu_fini(struct cpu *cpu)
{
    block_cache_fini(cpu);
    free(cpu->tables);
    cpu->tables = NULL;
}

static void reset_segments(struct cpu *cpu)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = (struct cpu_segment){.limit = 0xffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A};
    }
    cpu->seg[SEG_CS].sel = 0xf000;
    cpu->seg[SEG_CS].base = 0xffff0000u;
    cpu->seg[SEG_CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A;
    cpu->ldtr = (struct cpu_segment){.limit = 0xffff, .attr = SEG_P | 2};
    cpu->tr = (struct cpu_segment){.limit = 0xffff, .attr = SEG_P | 11};
    cpu->gdtr = (struct cpu_table){.limit = 0xffff};
    cpu->idtr = (struct cpu_table){.limit = 0xffff};
}

void cpu_reset(struct cpu *cpu, enum cpu_reset_kind kind)
{
    memset(cpu->regs, 0, sizeof(cpu->regs));
    cpu->regs[REG_RDX] = cpu->model->signature;
    cpu->rip = 0xfff0;
    reset_segments(cpu);
    /* INIT leaves CD and NW as they were. */
    cpu->cr0 = CR0_ET | (kind == CPU_RESET_INIT ? cpu->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW);
    cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
    cpu->efer = 0;
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->dr[6] = 0xffff0ff0u;
    cpu->dr[7] = 0x400;
    if (kind == CPU_RESET_POWER_ON) {
        cpu->star = cpu->lstar = cpu->cstar = cpu->sfmask = cpu->kernel_gs_base = 0;
        cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
        cpu->tsc_offset = (uint64_t)0 - cpu->clock->now;
        cpu->tsc_aux = 0;
        cpu->pat = 0x0007040600070406ull;
        cpu->mtrr_def_type = 0;
        memset(cpu->mtrr_fixed, 0, sizeof(cpu->mtrr_fixed));
        memset(cpu->mtrr_var, 0, sizeof(cpu->mtrr_var));
        cpu->misc_enable = 1;
        memset(&cpu->x87, 0, sizeof(cpu->x87));
        cpu->x87.fcw = 0x40;
        cpu->x87.mxcsr = 0x1f80;
        cpu->interrupt_request = 0;
    }
    cpu->halted = false;
    cpu->nmi_blocked = false;
    cpu->shadow = cpu->shadow_ss = cpu->in_shadow = false;
    cpu->held = HOLD_NONE;
    cpu->held_request = 0;
    cpu->nframes = 0;
    cpu->cur_cause = 0;
    cpu->in_delivery = false;
    cpu->if_rip = cpu->rip;
    cpu->if_time = cpu->clock->now;
    cpu_set_eflags(cpu, EFLAGS_ONE);
    cpu_update_mode(cpu);
    cpu_flush_tlb(cpu, true);
}

/* Base 0, limit 4 GiB, present, and of the type that loads and stores need. */
static bool is_flat(const struct cpu_segment *s, bool code)
{
    uint16_t need = code ? SEG_P | SEG_S | SEG_CODE | SEG_W : SEG_P | SEG_S | SEG_W;
    uint16_t mask = code ? SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_UNUSABLE
                         : SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_E | SEG_UNUSABLE;
    return s->base == 0 && s->limit == 0xffffffffu && (s->attr & mask) == need;
}

static uint32_t compute_key(const struct cpu *cpu, bool ss_flat)
{
    uint32_t key = cpu->code_bits == 64   ? KEY_CODE64
                   : cpu->code_bits == 32 ? KEY_CODE32
                                          : KEY_CODE16;
    key |= (uint32_t)cpu->cpl << KEY_CPL_SHIFT;
    if (cpu->ss32) {
        key |= KEY_SS32;
    }
    if (cpu->code_bits == 64 ||
        (ss_flat && is_flat(&cpu->seg[SEG_CS], true) && is_flat(&cpu->seg[SEG_DS], false) &&
         is_flat(&cpu->seg[SEG_ES], false))) {
        key |= KEY_FLAT;
    }
    key |= cpu->eflags & EFLAGS_VM ? KEY_VM : 0;
    key |= cpu->eflags & EFLAGS_TF ? KEY_TF : 0;
    key |= cpu->cr0 & CR0_PE ? 0 : KEY_REAL;
    key |= cpu->cr0 & CR0_EM ? KEY_EM : 0;
    key |= cpu->cr0 & CR0_TS ? KEY_TS : 0;
    key |= cpu->cr0 & CR0_MP ? KEY_MP : 0;
    key |= cpu->cr0 & CR0_NE ? 0 : KEY_NE0;
    key |= cpu->cr4 & CR4_OSFXSR ? KEY_OSFXSR : 0;
    return key;
}

void cpu_update_mode(struct cpu *cpu)
{
    const struct cpu_segment *cs = &cpu->seg[SEG_CS];
    cpu->long_mode = (cpu->efer & EFER_LMA) != 0;
    if (cpu->long_mode && (cs->attr & SEG_L)) {
        cpu->code_bits = 64;
    } else {
        cpu->code_bits = cs->attr & SEG_DB ? 32 : 16;
    }
    if (!(cpu->cr0 & CR0_PE)) {
        cpu->cpl = 0;
    } else if (cpu->eflags & EFLAGS_VM) {
        cpu->cpl = 3;
    }
    cpu->ss32 = (cpu->seg[SEG_SS].attr & SEG_DB) != 0;
    cpu->tlb_key = cpu->cpl == 3 ? TLB_USER : 0;
    bool ss_flat = is_flat(&cpu->seg[SEG_SS], false);
    if (cpu->code_bits == 64) {
        cpu->stack_kind = STACK_FLAT64;
    } else {
        cpu->stack_kind = ss_flat && cpu->ss32 ? STACK_FLAT32 : STACK_GENERAL;
    }
    cpu->mode_key = compute_key(cpu, ss_flat);
    cpu_update_attention(cpu);
}

void cpu_update_attention(struct cpu *cpu)
{
    uint32_t request = cpu->interrupt_request;
    bool look = cpu->shadow;
    if (request & (CPU_INTERRUPT_SMI | CPU_INTERRUPT_INIT | CPU_INTERRUPT_SIPI |
                   CPU_INTERRUPT_POLL | CPU_INTERRUPT_EXIT)) {
        look = true;
    }
    /* A held request asks for one look, so that its hold is told; then only for a change. */
    if (request & CPU_INTERRUPT_NMI) {
        look = look || !cpu->nmi_blocked || cpu->held != HOLD_NMI_BLOCKED;
    }
    if (request & CPU_INTERRUPT_HARD) {
        look = look || (cpu->eflags & EFLAGS_IF) || cpu->held == HOLD_NONE;
    }
    uint32_t attention = look ? ATTENTION_EVENT : 0;
    attention |= cpu->clip_state ? ATTENTION_CLIP : 0;
    attention |= cpu->mode_key & KEY_TF ? ATTENTION_TRAP : 0;
    attention |= cpu->device_accessed ? ATTENTION_DEVICE : 0;
    attention |= cpu->blocks_dropped ? ATTENTION_BLOCKS : 0;
    cpu->attention = attention;
}

static uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 0x100000001b3ull;
    }
    return h;
}

/* FNV-1a over what the guest could tell apart, TLB tags included (a stale entry is visible); not over host addresses. */
uint64_t cpu_state_hash(const struct cpu *cpu)
{
    uint64_t h = 0xcbf29ce484222325ull;
    uint32_t eflags = cpu_get_eflags(cpu);
    const uint64_t control[] = {cpu->cr0,  cpu->cr2, cpu->cr3, cpu->cr4,
                                cpu->efer, eflags,   cpu->cpl, cpu->halted};
    h = hash_bytes(h, cpu->regs, sizeof(cpu->regs));
    h = hash_bytes(h, control, sizeof(control));
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct cpu_segment *s = &cpu->seg[i];
        const uint64_t v[] = {s->base, s->limit, s->sel, s->attr};
        h = hash_bytes(h, v, sizeof(v));
    }
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        const struct tlb_entry *e = &cpu->tlb[i];
        /* TLB_CODE tells where blocks are, which is no architectural state. */
        uint64_t w = e->tag_w == TLB_INVALID ? TLB_INVALID : e->tag_w & ~(uint64_t)TLB_CODE;
        const uint64_t v[] = {e->tag_r, w, e->tag_r == TLB_INVALID ? 0 : e->pa, cpu->itlb[i].tag,
                              cpu->itlb[i].tag == TLB_INVALID ? 0 : cpu->itlb[i].pa};
        h = hash_bytes(h, v, sizeof(v));
    }
    return h;
}
