/* SPDX-License-Identifier: MIT */
/*
 * labels: unit
 * timeout: 300
 *
 * Every form of the opcode table that touches memory, abandoned once at each of its accesses, and refused each of its pages.
 *
 * A form is assembled from its row in every mode where it is legal, with every operand size, LOCK, REP and two ways of addressing; its
 * operands lie inside a page, across two pages in two ways, or in a device. For each:
 *   - probe_fail = 1, 2, 3...: where the access leaves the instruction, registers, flags, segments, x87 state, RAM and the device's count
 *     of accesses are those before the instruction (for REP: those at the boundary of an iteration, compared with a run that stops
 *     there); and the instruction that runs again ends as if nothing had happened, at the same time;
 *   - each page that it touches not present, and each page read-only: #PF with the right error code and CR2, and nothing changed. A page
 *     that it only reads may be read-only.
 *
 * Intel SDM Vol. 3A (325384), 4.7 "Page-Fault Exceptions", 6.6 "Program or Task Restart".
 *
 * How it looks inside: the loop runs an abandoned instruction again at once. So that the state between can be seen, a clock event puts the
 * test's own jmp_buf in the place of the loop's, and what leaves the instruction arrives in the test.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/exec.h"

#define RAM_SIZE   0x20000u
#define SEEN       0x10000u /* what is compared: all but the page tables */
#define GDT        0x1000u
#define IDT        0x2000u
#define TSS        0x3000u
#define CODE       0x4000u
#define TARGET     0x5000u /* of transfers: HLT */
#define OPERAND    0x6000u /* to 8FFFh */
#define DEST       0x9000u /* of strings, to AFFFh */
#define STACK      0xb000u /* to DFFFh */
#define PAGE_ROOT  0x10000u
#define DEVICE     0xd0000000u
#define COUNT      5u /* RCX */
#define RAX_VALUE  0x1234u
#define VECTOR     0x41u
#define PTE_P      1u
#define PTE_W      2u
#define PTE_A      0x20u
#define PTE_D      0x40u
#define ERR_W      2u
#define MAX_PROBES 600u /* FXSAVE to a device */

enum mode {
    REAL16,
    PROT16,
    PROT32,
    LONG64,
    MODES
};
/* Where the operands lie. */
enum place {
    INSIDE,
    CROSS_1,
    CROSS_3,
    ON_DEVICE,
    PLACES
};

struct form {
    const struct op_desc *row;
    enum mode mode;
    enum place place;
    bool osize, rexw, lock, direct;
    uint8_t rep;
    unsigned reg;     /* ModRM.reg */
    unsigned content; /* of the operand */
    uint8_t code[24];
    size_t len;
    uint64_t operand, dest, stack;
};

struct state {
    uint64_t regs[REG_COUNT];
    uint64_t cr0, cr3, cr4, efer, gdt_base, idt_base;
    struct cpu_segment seg[SEG_COUNT], ldtr, tr;
    struct x87_state x87;
    uint64_t device;
    uint32_t eflags, device_accesses;
    uint16_t gdt_limit, idt_limit;
    uint8_t cpl;
};

struct rig {
    struct bus bus;
    struct clock clock;
    struct trace trace;
    struct cpu *cpu;
    struct clock_event peek;
    jmp_buf jmp;
    struct x87_state x87;
    uint8_t image[RAM_SIZE]; /* RAM before the instruction */
    uint8_t mark[SEEN];
    uint8_t device_bytes[0x1000];
    uint64_t device; /* mixed from all accesses */
    uint32_t device_accesses;
    unsigned forms, abandoned, refused, completed, faulted, unmodelled;
};

/* ---- device, page 6000h in the place ON_DEVICE, and ports ---- */

static void device_note(struct rig *rig, uint64_t v)
{
    rig->device = (rig->device ^ v) * 0x9E3779B97F4A7C15ull;
    rig->device_accesses++;
}

static uint64_t device_read(void *opaque, uint64_t off, unsigned size,
                            const struct bus_attrs *attrs)
{
    struct rig *rig = opaque;
    uint64_t v = 0;
    (void)attrs;
    device_note(rig, off << 8 | size);
    memcpy(&v, rig->device_bytes + (off & 0xfff), size);
    return v;
}

static void device_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                         const struct bus_attrs *attrs)
{
    struct rig *rig = opaque;
    (void)attrs;
    device_note(rig, off << 16 ^ size << 8 ^ value * 31);
    memcpy(rig->device_bytes + (off & 0xfff), &value, size);
}

/* ---- the rig ---- */

/* The loop's way back becomes ours. */
static void peek_fn(void *opaque, vtime_t deadline)
{
    struct rig *rig = opaque;
    (void)deadline;
    memcpy(rig->cpu->jmp, rig->jmp, sizeof(jmp_buf));
}

static struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct error err;
    cr_assert(rig);
    cr_assert_eq(bus_init(&rig->bus, RAM_SIZE, &err), 0);
    clock_init(&rig->clock);
    trace_init(&rig->trace, &rig->clock);
    struct mmio_dev dev = {
        .name = "device", .read = device_read, .write = device_write, .opaque = rig};
    cr_assert_eq(bus_map(&rig->bus, DEVICE, 0x1000, &dev, &err), 0);
    cr_assert_eq(bus_map_ports(&rig->bus, 0, 8, &dev, &err), 0);
    rig->cpu = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
    cr_assert(rig->cpu);
    struct cpu_config config = {.bsp = true,
                                .model = cpu_model_find("max"),
                                .bus = &rig->bus,
                                .clock = &rig->clock,
                                .trace = &rig->trace};
    cr_assert_eq(cpu_init(rig->cpu, &config), 0);
    clock_event_init(&rig->peek, "peek", peek_fn, rig);
    rig->x87 = rig->cpu->x87;
    rig->x87.fcw = 0x37f;
    rig->x87.mxcsr = 0x1f80;
    return rig;
}

static void rig_free(struct rig *rig)
{
    cpu_fini(rig->cpu);
    free(rig->cpu);
    trace_fini(&rig->trace);
    bus_fini(&rig->bus);
    free(rig);
}

/* ---- modes ---- */

enum selector {
    SEL_CODE32 = 0x08,
    SEL_DATA = 0x10,
    SEL_CODE64 = 0x18,
    SEL_CODE16 = 0x20,
    SEL_TSS = 0x28, /* 16 bytes: so is each below */
    SEL_TSS_FREE = 0x38,
    SEL_LDT = 0x48,
    SEL_END = 0x58
};

static uint16_t code_selector(enum mode mode)
{
    static const uint16_t sel[MODES] = {0, SEL_CODE16, SEL_CODE32, SEL_CODE64};
    return sel[mode];
}

static uint16_t data_selector(enum mode mode)
{
    return mode == REAL16 ? 0 : SEL_DATA;
}

static void put(struct rig *rig, uint64_t at, uint64_t v, unsigned n)
{
    cr_assert(at + n <= RAM_SIZE);
    memcpy(rig->image + at, &v, n);
}

static unsigned pte_width(enum mode mode)
{
    return mode == LONG64 ? 8 : 4;
}

static uint64_t pte_at(enum mode mode, unsigned page)
{
    return (mode == LONG64 ? PAGE_ROOT + 0x3000 : PAGE_ROOT + 0x1000) + page * pte_width(mode);
}

static void image_tables(struct rig *rig, enum mode mode)
{
    static const uint64_t gdt[] = {0,
                                   0x00cf9b000000ffffull,
                                   0x00cf93000000ffffull,
                                   0x00af9b000000ffffull,
                                   0x00009b000000ffffull,
                                   0x00008b0030000067ull, /* TSS, busy */
                                   0,
                                   0x0000890038000067ull, /* TSS, free */
                                   0,
                                   0x0000820030000067ull, /* LDT */
                                   0};
    for (unsigned v = 0; v < 256 && mode == REAL16; v++) {
        put(rig, v * 4, TARGET, 4);
    }
    memcpy(rig->image + GDT, gdt, sizeof(gdt));
    for (unsigned v = 0; v < 256; v++) {
        uint64_t gate = TARGET | (uint64_t)(mode == LONG64 ? SEL_CODE64 : SEL_CODE32) << 16;
        put(rig, IDT + v * (mode == LONG64 ? 16 : 8), gate | 0x8eull << 40, 8);
    }
    if (mode == LONG64) {
        for (unsigned level = 0; level < 3; level++) {
            put(rig, PAGE_ROOT + level * 0x1000, (PAGE_ROOT + (level + 1) * 0x1000) | 0x67, 8);
        }
    } else {
        put(rig, PAGE_ROOT, (PAGE_ROOT + 0x1000) | 0x67, 4);
    }
    for (unsigned page = 0; page < RAM_SIZE >> 12; page++) {
        put(rig, pte_at(mode, page), page << 12 | 0x67, pte_width(mode));
    }
}

static struct cpu_segment segment(uint16_t sel, uint16_t attr, uint32_t limit)
{
    return (struct cpu_segment){.limit = limit, .sel = sel, .attr = attr};
}

static void enter_mode(struct rig *rig, enum mode mode)
{
    static const uint16_t code_attr[MODES] = {0x9b, 0x9b, 0xc09b, 0xa09b};
    struct cpu *cpu = rig->cpu;
    bool flat = mode >= PROT32;
    cpu->cr0 = CR0_NE | CR0_ET | (mode == REAL16 ? 0 : CR0_PE | CR0_PG | CR0_WP);
    cpu->cr2 = 0;
    cpu->cr3 = mode == REAL16 ? 0 : PAGE_ROOT;
    cpu->cr4 = 0x200 | (mode == LONG64 ? CR4_PAE : 0); /* OSFXSR */
    cpu->efer = mode == LONG64 ? EFER_LME | EFER_LMA | EFER_SCE : 0;
    cpu->seg[SEG_CS] = segment(code_selector(mode), code_attr[mode], flat ? 0xffffffffu : 0xffff);
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        if (s != SEG_CS) {
            cpu->seg[s] =
                segment(data_selector(mode), flat ? 0xc093 : 0x93, flat ? 0xffffffffu : 0xffff);
        }
    }
    cpu->ldtr = segment(0, 0x82, 0xffff);
    cpu->tr = segment(SEL_TSS, 0x8b, 0x67);
    cpu->tr.base = TSS;
    cpu->gdtr = (struct cpu_table){GDT, SEL_END - 1};
    cpu->idtr = mode == REAL16   ? (struct cpu_table){0, 0x3ff}
                : mode == LONG64 ? (struct cpu_table){IDT, 0xfff}
                                 : (struct cpu_table){IDT, 0x7ff};
    cpu->cpl = 0;
    cpu_set_eflags(cpu, EFLAGS_ONE | EFLAGS_CF | EFLAGS_OF);
    cpu_update_mode(cpu);
}

/* ---- forms ---- */

/* Bytes of the operand by operand size. */
static unsigned osize_bytes(const struct form *f)
{
    bool narrow = (f->mode <= PROT16) != f->osize;
    switch (f->row->size) {
    case SZ_B:
        return 1;
    case SZ_W:
        return 2;
    case SZ_Q:
        return 8;
    case SZ_V:
        return f->rexw ? 8 : narrow ? 2 : 4;
    case SZ_Y:
        return f->rexw ? 8 : 4;
    case SZ_V64:
        return f->mode == LONG64 && !f->osize ? 8 : narrow ? 2 : 4;
    case SZ_F64:
    case SZ_M:
        return f->mode == LONG64 ? 8 : narrow ? 2 : 4;
    default:
        return 4;
    }
}

static bool has_modrm(const struct op_desc *row)
{
    return row->rm == RM_E || row->rm == RM_M || row->rm == RM_R || row->reg == RG_G ||
           row->reg == RG_X;
}

static void emit(struct form *f, uint64_t v, unsigned n)
{
    memcpy(f->code + f->len, &v, n);
    f->len += n;
}

static void emit_modrm(struct form *f)
{
    unsigned reg = (f->row->ext >= 0 ? (unsigned)f->row->ext : f->reg) << 3;
    if (f->mode <= PROT16) {
        emit(f, reg | (f->direct ? 6 : 7), 1); /* [disp16], [bx] */
    } else if (!f->direct) {
        emit(f, reg | 3, 1); /* [rbx] */
    } else if (f->mode == LONG64) {
        emit(f, (reg | 4) | 0x25 << 8, 2); /* [disp32] by SIB */
    } else {
        emit(f, reg | 5, 1);
    }
    if (f->direct) {
        emit(f, f->operand, f->mode <= PROT16 ? 2 : 4);
    }
}

static void emit_immediate(struct form *f)
{
    unsigned n = osize_bytes(f);
    unsigned z = n == 2 ? 2 : 4;
    switch (f->row->imm) {
    case IM_NONE:
        break;
    case IM_IB:
    case IM_UB:
        emit(f, f->row->id == OP_INT ? VECTOR : 5, 1);
        break;
    case IM_IW:
        emit(f, 8, 2);
        break;
    case IM_IZ:
        emit(f, 0x12345678, z);
        break;
    case IM_IV:
        emit(f, 0x12345678, n);
        break;
    case IM_JB:
        emit(f, 0x10, 1);
        break;
    case IM_JZ:
        emit(f, 0x10, f->mode == LONG64 ? 4 : z);
        break;
    case IM_OFF:
        emit(f, f->operand, f->mode <= PROT16 ? 2 : f->mode == PROT32 ? 4 : 8);
        break;
    case IM_AP:
        emit(f, TARGET, z);
        emit(f, code_selector(f->mode), 2);
        break;
    case IM_IWIB:
        emit(f, 0x10 | (uint64_t)(f->content ? 3 : 0) << 16, 3);
        break;
    default:
        cr_assert_fail("immediate %u", f->row->imm);
    }
}

/* NOP, the form; HLT fills the rest of the page. */
static void assemble(struct form *f)
{
    static const uint8_t mandatory[] = {
        [P_ANY] = 0, [P_NP] = 0, [P_66] = 0x66, [P_F3] = 0xf3, [P_F2] = 0xf2, [P_NP66] = 0};
    f->len = 0;
    emit(f, 0x90, 1);
    if (f->lock) {
        emit(f, 0xf0, 1);
    }
    if (f->rep) {
        emit(f, f->rep, 1);
    }
    if (f->osize) {
        emit(f, 0x66, 1);
    }
    if (mandatory[f->row->mp]) {
        emit(f, mandatory[f->row->mp], 1);
    }
    if (f->rexw) {
        emit(f, 0x48, 1);
    }
    if (f->row->map > 1) {
        emit(f, 0x0f, 1);
    }
    if (f->row->map > 2) {
        emit(f, f->row->map == 3 ? 0x38 : 0x3a, 1);
    }
    emit(f, f->row->opc, 1);
    if (has_modrm(f->row)) {
        emit_modrm(f);
    }
    emit_immediate(f);
}

static void put_slots(struct rig *rig, uint64_t at, unsigned width, const uint64_t *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(rig, at + i * width, v[i], width);
    }
}

/* What the operand must hold for the form to succeed, where not anything will do. */
static void image_operand(struct rig *rig, const struct form *f)
{
    unsigned n = osize_bytes(f);
    const uint64_t a = f->operand;
    for (unsigned i = 0; i < 32; i++) {
        /* Something; or what RAX holds, for the comparisons. */
        uint64_t accumulator = i < 8 ? (uint64_t)RAX_VALUE >> (8 * i) & 0xff : 0;
        put(rig, a + i, f->content ? accumulator : 0x70 + i, 1);
    }
    switch (f->row->id) {
    case OP_MOV_Sw_Ew:
    case OP_LAR:
    case OP_LSL:
    case OP_VERR:
    case OP_VERW:
        put(rig, a, data_selector(f->mode), 2);
        break;
    case OP_LLDT:
        put(rig, a, f->content ? 0 : SEL_LDT, 2);
        break;
    case OP_LTR:
        put(rig, a, SEL_TSS_FREE, 2);
        break;
    case OP_LES:
    case OP_LDS:
    case OP_LSS:
    case OP_LFS:
    case OP_LGS:
        put(rig, a + n, data_selector(f->mode), 2);
        break;
    case OP_CALLF_M:
    case OP_JMPF_M:
        put(rig, a, TARGET, n);
        put(rig, a + n, code_selector(f->mode), 2);
        break;
    case OP_CALL_E:
    case OP_JMP_E:
        put(rig, a, TARGET, n);
        break;
    case OP_BOUND:
        put(rig, a, 0, n);
        put(rig, a + n, 0x7fff, n);
        break;
    case OP_LGDT:
    case OP_LIDT:
        put(rig, a + 2, GDT, 8); /* a canonical base */
        break;
    case OP_FXRSTOR:
    case OP_LDMXCSR:
        put(rig, f->row->id == OP_FXRSTOR ? a + 24 : a, 0x1f80, 4);
        break;
    default:
        break;
    }
}

/* The slots above the stack pointer. */
static void image_stack(struct rig *rig, const struct form *f)
{
    unsigned n = osize_bytes(f);
    uint64_t frame[5] = {TARGET, code_selector(f->mode), EFLAGS_ONE, STACK + 0x1800,
                         data_selector(f->mode)};
    switch (f->row->id) {
    case OP_POP_SEG:
    case OP_POP_SS:
        put(rig, f->stack, data_selector(f->mode), n);
        break;
    case OP_POPF:
        put(rig, f->stack, EFLAGS_ONE | EFLAGS_ZF, n);
        break;
    case OP_RET:
    case OP_RET_I:
    case OP_RETF:
    case OP_RETF_I:
    case OP_IRET:
        put_slots(rig, f->stack, n, frame, 5);
        break;
    default:
        put_slots(rig, f->stack, n, (const uint64_t[]){0x1111, 0x2222, 0x3333, 0x4444}, 4);
        break;
    }
}

static void place_operands(struct form *f)
{
    /* FXSAVE, FXRSTOR, CMPXCHG16B: 16-byte boundaries only. */
    bool aligned = f->row->id == OP_FXSAVE || f->row->id == OP_FXRSTOR ||
                   (f->row->id == OP_CMPXCHG8B && f->rexw);
    f->operand = OPERAND + 0x100;
    f->dest = DEST + 0x200;
    f->stack = STACK + 0x1300;
    if (f->place == CROSS_1 || f->place == CROSS_3) {
        f->operand = OPERAND + (aligned ? 0xf00 : f->place == CROSS_1 ? 0xfff : 0xffd);
        f->dest = DEST + (f->place == CROSS_1 ? 0xfff : 0xffe);
        f->stack = STACK + (f->place == CROSS_1 ? 0x1001 : 0xfff);
    }
}

static void build(struct rig *rig, struct form *f)
{
    place_operands(f);
    assemble(f);
    memset(rig->image, 0, sizeof(rig->image));
    image_tables(rig, f->mode);
    memset(rig->image + CODE, 0xf4, 0x1000);
    memset(rig->image + TARGET, 0xf4, 0x1000);
    memcpy(rig->image + CODE, f->code, f->len);
    image_operand(rig, f);
    image_stack(rig, f);
    if (f->place == ON_DEVICE) {
        put(rig, pte_at(f->mode, OPERAND >> 12), DEVICE | 0x67, pte_width(f->mode));
    }
}

/* ---- running ---- */

static void prepare(struct rig *rig, const struct form *f)
{
    struct cpu *cpu = rig->cpu;
    memcpy(rig->bus.ram, rig->image, RAM_SIZE);
    memcpy(rig->device_bytes, rig->image + OPERAND, sizeof(rig->device_bytes));
    for (uint32_t page = 0; page < RAM_SIZE; page += BUS_PAGE_SIZE) {
        bus_ram_written(&rig->bus, page, BUS_PAGE_SIZE);
    }
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->regs[REG_RAX] = RAX_VALUE;
    cpu->regs[REG_RBX] = f->operand;
    cpu->regs[REG_RCX] = COUNT;
    cpu->regs[REG_RSP] = f->stack;
    cpu->regs[REG_RBP] = f->stack + 0x40;
    cpu->regs[REG_RSI] = f->operand;
    cpu->regs[REG_RDI] = f->dest;
    cpu->rip = CODE;
    cpu->x87 = rig->x87;
    cpu->halted = cpu->shadow = cpu->shadow_ss = cpu->in_shadow = false;
    cpu->one_insn = cpu->in_delivery = false;
    cpu->fault_in = NULL;
    cpu->probe_fail = 0;
    cpu->nframes = 0;
    cpu->cur_cause = 0;
    rig->device = 0;
    rig->device_accesses = 0;
    enter_mode(rig, f->mode);
    cpu_flush_tlb(cpu, true);
}

static void save(const struct rig *rig, struct state *s)
{
    const struct cpu *cpu = rig->cpu;
    memset(s, 0, sizeof(*s));
    memcpy(s->regs, cpu->regs, sizeof(s->regs));
    s->eflags = cpu_get_eflags(cpu);
    s->cr0 = cpu->cr0;
    s->cr3 = cpu->cr3;
    s->cr4 = cpu->cr4;
    s->efer = cpu->efer;
    memcpy(s->seg, cpu->seg, sizeof(s->seg));
    s->ldtr = cpu->ldtr;
    s->tr = cpu->tr;
    s->gdt_base = cpu->gdtr.base;
    s->gdt_limit = cpu->gdtr.limit;
    s->idt_base = cpu->idtr.base;
    s->idt_limit = cpu->idtr.limit;
    memcpy(&s->x87, &cpu->x87, sizeof(s->x87));
    s->cpl = cpu->cpl;
    s->device = rig->device;
    s->device_accesses = rig->device_accesses;
}

/* To HLT (or the handler's HLT after a fault); leaves come back to the loop. Returns the time it took. */
static vtime_t run_through(struct rig *rig, const struct form *f)
{
    vtime_t start = rig->clock.now;
    enum cpu_stop stop = cpu_exec(rig->cpu, start + 100000);
    if (stop == CPU_STOP_UNMODELLED) {
        return 0;
    }
    cr_assert_eq(stop, CPU_STOP_HALTED, "%s: stop %d", f->row->name, stop);
    return rig->clock.now - start;
}

enum ending {
    ENDED,
    FAULTED = 1, /* what the loop's setjmp() would have returned */
    UNMODELLED = 2,
    LEFT = 3
};

/* Up to the first time that something leaves an instruction: then the CPU stands in the middle of it, RIP set to its own. */
static enum ending run_watched(struct rig *rig, const struct form *f, int32_t probe_fail)
{
    struct cpu *cpu = rig->cpu;
    prepare(rig, f);
    clock_arm(&rig->clock, &rig->peek, rig->clock.now);
    cpu->probe_fail = probe_fail;
    int jump = setjmp(rig->jmp);
    if (jump == 0) {
        enum cpu_stop stop = cpu_exec(cpu, rig->clock.now + 100000);
        cr_assert_eq(stop, CPU_STOP_HALTED, "%s: stop %d", f->row->name, stop);
        return ENDED;
    }
    if (cpu->fault_in) {
        cpu->rip = insn_rip(cpu, cpu->fault_in);
    }
    return (enum ending)jump;
}

/* ---- what is looked at ---- */

static const char *describe(const struct form *f, const char *what, unsigned n)
{
    static const char *const mode[MODES] = {"real", "16", "32", "64"};
    static const char *const place[PLACES] = {"inside", "crossing by 1", "crossing by 3", "device"};
    static char text[256];
    int at = snprintf(text, sizeof(text), "%s mode %s, %s, content %u, %s %u:", f->row->name,
                      mode[f->mode], place[f->place], f->content, what, n);
    for (size_t i = 1; i < f->len; i++) {
        at += snprintf(text + at, sizeof(text) - (size_t)at, " %02x", f->code[i]);
    }
    return text;
}

static void expect_state(const struct state *got, const struct state *want, const char *text)
{
    for (unsigned i = 0; i < REG_COUNT; i++) {
        cr_assert_eq(got->regs[i], want->regs[i], "%s: register %u is %llx, not %llx", text, i,
                     (unsigned long long)got->regs[i], (unsigned long long)want->regs[i]);
    }
    cr_assert_eq(got->eflags, want->eflags, "%s: EFLAGS %x, not %x", text, got->eflags,
                 want->eflags);
    cr_assert_eq(got->device_accesses, want->device_accesses, "%s: %u device accesses, not %u",
                 text, got->device_accesses, want->device_accesses);
    cr_assert_eq(got->device, want->device, "%s: device accesses differ", text);
    cr_assert_eq(memcmp(&got->x87, &want->x87, sizeof(got->x87)), 0, "%s: x87 state", text);
    cr_assert_eq(memcmp(got->seg, want->seg, sizeof(got->seg)), 0, "%s: segments", text);
    cr_assert_eq(memcmp(got, want, sizeof(*got)), 0, "%s: system registers", text);
}

static void expect_ram(const uint8_t *got, const uint8_t *want, const char *text)
{
    if (memcmp(got, want, SEEN) == 0) {
        return;
    }
    for (unsigned i = 0; i < SEEN; i++) {
        cr_assert_eq(got[i], want[i], "%s: RAM at %x is %02x, not %02x", text, i, got[i], want[i]);
    }
}

/*
 * The instruction was left: as before it. REP may have done k iterations; then as in a run that stops there. The page tables of the
 * reference are those of `image`, which the caller has restored. False, and nothing is compared, if the device was already accessed
 * once more.
 */
static bool is_untouched(struct rig *rig, const struct form *f, const char *text)
{
    struct state got, want;
    uint64_t done = f->rep ? COUNT - rig->cpu->regs[REG_RCX] : 0;
    save(rig, &got);
    memcpy(rig->mark, rig->bus.ram, SEEN);
    cr_assert_lt(done, COUNT, "%s: RCX", text);
    prepare(rig, f);
    /* NOP, and the iterations. */
    cr_assert_eq(cpu_exec(rig->cpu, rig->clock.now + 1 + done), CPU_STOP_LIMIT, "%s", text);
    save(rig, &want);
    if (got.device_accesses > want.device_accesses) {
        return false;
    }
    expect_state(&got, &want, text);
    if (done == 0) {
        cr_assert_eq(memcmp(rig->bus.ram, rig->image, SEEN), 0, "NOP writes");
    }
    expect_ram(rig->mark, rig->bus.ram, text);
    return true;
}

/* A selector or far pointer in the operand is read before it is known which descriptor, and which stack, is needed. */
static bool reads_selector(const struct form *f)
{
    static const uint16_t ids[] = {OP_MOV_Sw_Ew, OP_LES,  OP_LDS,     OP_LSS,   OP_LFS,
                                   OP_LGS,       OP_LLDT, OP_LTR,     OP_LAR,   OP_LSL,
                                   OP_VERR,      OP_VERW, OP_CALLF_M, OP_JMPF_M};
    for (size_t i = 0; i < irq_array_size(ids); i++) {
        if (f->row->id == ids[i]) {
            return true;
        }
    }
    return false;
}

/* What the TLB holds: changed by an access that had to look at the page tables. */
static uint64_t tlb_hash(const struct cpu *cpu)
{
    uint64_t h = 0;
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        const struct tlb_entry *e = &cpu->tlb[i];
        h = (h ^ (e->tag_r & ~(uint64_t)TLB_SLOW)) * 0x9E3779B97F4A7C15ull;
        h = (h ^ (e->tag_w & ~(uint64_t)TLB_SLOW)) * 0x9E3779B97F4A7C15ull;
    }
    return h;
}

/* The form left at access n: nothing may have changed, and it must end as if nothing had happened. */
static void abandon(struct rig *rig, const struct form *f, unsigned n, const struct state *want,
                    const uint8_t *ram, vtime_t time)
{
    struct state got;
    const char *text = describe(f, "access", n);
    cr_assert_eq(run_watched(rig, f, (int32_t)n), LEFT, "%s", text);
    if (!is_untouched(rig, f, text)) {
        cr_assert(reads_selector(f), "%s: the device was accessed", text);
        return;
    }
    prepare(rig, f);
    rig->cpu->probe_fail = (int32_t)n;
    vtime_t took = run_through(rig, f);
    save(rig, &got);
    expect_state(&got, want, text);
    expect_ram(rig->bus.ram, ram, text);
    cr_assert_eq(took, time, "%s: time", text);
    rig->abandoned++;
}

/*
 * Each access that had to look at the page tables, and so could have failed: it filled the TLB. The hook counts the others too (a store to
 * a place that was probed before), but what cannot fail may come after the first change.
 */
static void abandon_each(struct rig *rig, const struct form *f)
{
    struct state want, got;
    uint64_t before[MAX_PROBES];
    unsigned n = 0;
    uint8_t *ram = malloc(SEEN);
    cr_assert(ram);
    /* In the middle of a block a device access leaves it first: once, and nothing is done twice. */
    prepare(rig, f);
    rig->cpu->max_block = 63;
    run_through(rig, f);
    save(rig, &got);
    rig->cpu->max_block = f->place == ON_DEVICE ? 1 : 63;
    do {
        cr_assert_lt(n, MAX_PROBES, "%s", describe(f, "no end", n));
        run_watched(rig, f, (int32_t)n + 1);
        before[n++] = tlb_hash(rig->cpu);
    } while (rig->cpu->probe_fail == 0);
    prepare(rig, f);
    vtime_t time = run_through(rig, f);
    save(rig, &want);
    memcpy(ram, rig->bus.ram, SEEN);
    expect_state(&got, &want, describe(f, "block length", 63));
    for (unsigned i = 0; time && i + 1 < n; i++) {
        if (before[i] != before[i + 1]) {
            abandon(rig, f, i + 1, &want, ram, time);
        }
    }
    free(ram);
}

/* ---- pages ---- */

static uint64_t get_pte(const struct rig *rig, enum mode mode, unsigned page)
{
    uint64_t v = 0;
    memcpy(&v, rig->bus.ram + pte_at(mode, page), pte_width(mode));
    return v;
}

/* The next run's page tables, with bits of one page, or of all if page is ~0u, cleared. */
static void clear_pte(struct rig *rig, enum mode mode, unsigned page, uint64_t bits)
{
    for (unsigned p = 0; p < SEEN >> 12; p++) {
        if (p == page || page == ~0u) {
            uint64_t v = 0;
            memcpy(&v, rig->image + pte_at(mode, p), pte_width(mode));
            put(rig, pte_at(mode, p), v & ~bits, pte_width(mode));
        }
    }
}

/* Reads a page before it writes to it, in two accesses: the first fault is the read's. */
static bool reads_first(const struct form *f, unsigned page)
{
    return f->row->id == OP_LTR && page == GDT >> 12;
}

static void expect_page_fault(struct rig *rig, const struct form *f, unsigned page, uint32_t error,
                              const char *text)
{
    const struct cpu_exception fault = rig->cpu->fault;
    cr_assert_eq(fault.vector, VEC_PF, "%s: vector %u", text, fault.vector);
    cr_assert_eq(fault.cr2 >> 12, page, "%s: CR2 %llx", text, (unsigned long long)fault.cr2);
    cr_assert_eq(fault.error, error, "%s: error code %x, not %x", text, fault.error, error);
    if (!(f->row->attrs & A_IMPMEM)) {
        uint64_t first = f->operand >> 12 == page ? f->operand : (uint64_t)page << 12;
        cr_assert_eq(fault.cr2, first, "%s: CR2 %llx, not %llx", text,
                     (unsigned long long)fault.cr2, (unsigned long long)first);
    }
    rig->refused++;
}

static void expect_refused(struct rig *rig, const struct form *f, unsigned page, const char *text)
{
    bool untouched = is_untouched(rig, f, text);
    cr_assert(untouched || (reads_selector(f) && page != OPERAND >> 12),
              "%s: a device was accessed before the fault", text);
}

static void refuse_page(struct rig *rig, const struct form *f, unsigned page, bool written)
{
    const char *text = describe(f, "page not present", page);
    uint64_t whole = get_pte(rig, f->mode, page);
    clear_pte(rig, f->mode, page, PTE_P);
    enum ending ending = run_watched(rig, f, 0);
    cr_assert_eq(ending, FAULTED, "%s: ending %d", text, ending);
    expect_page_fault(rig, f, page, written && !reads_first(f, page) ? ERR_W : 0, text);
    put(rig, pte_at(f->mode, page), whole, pte_width(f->mode));
    expect_refused(rig, f, page, text);

    text = describe(f, "page read-only", page);
    clear_pte(rig, f->mode, page, PTE_W);
    ending = run_watched(rig, f, 0);
    cr_assert_eq(ending, written ? FAULTED : ENDED, "%s: ending %d", text, ending);
    if (written) {
        expect_page_fault(rig, f, page, ERR_W | 1, text);
        put(rig, pte_at(f->mode, page), whole, pte_width(f->mode));
        expect_refused(rig, f, page, text);
    }
    put(rig, pte_at(f->mode, page), whole, pte_width(f->mode));
}

/* A and D bits of an undisturbed run tell which pages it touches. */
static void refuse_each_page(struct rig *rig, const struct form *f)
{
    uint64_t pte[SEEN >> 12];
    clear_pte(rig, f->mode, ~0u, PTE_A | PTE_D);
    if (run_watched(rig, f, 0) != ENDED) {
        build(rig, (struct form *)(uintptr_t)f);
        return;
    }
    for (unsigned page = 0; page < SEEN >> 12; page++) {
        pte[page] = get_pte(rig, f->mode, page);
    }
    build(rig, (struct form *)(uintptr_t)f);
    for (unsigned page = 0; page < SEEN >> 12; page++) {
        if (pte[page] & PTE_A && page != CODE >> 12 && page != TARGET >> 12) {
            refuse_page(rig, f, page, pte[page] & PTE_D);
        }
    }
    bool may_write = f->row->attrs & A_MEMW || f->row->attrs & A_IMPMEM;
    cr_assert(may_write || !(pte[OPERAND >> 12] & PTE_D), "%s",
              describe(f, "writes its operand", 0));
}

/* ---- all of them ---- */

/* The holes in the x87 map are opcodes of no instruction. */
static bool may_fault(const struct form *f, uint8_t vector)
{
    return vector == VEC_UD && f->row->attrs & A_X87;
}

static void check_form(struct rig *rig, struct form *f)
{
    build(rig, f);
    rig->forms++;
    if (f->place != ON_DEVICE) {
        enum ending ending = run_watched(rig, f, 0);
        rig->completed += ending == ENDED;
        rig->faulted += ending == FAULTED;
        rig->unmodelled += ending == UNMODELLED;
        if (ending == UNMODELLED) {
            return;
        }
        cr_assert(ending == ENDED || may_fault(f, rig->cpu->fault.vector), "%s: vector %u",
                  describe(f, "undisturbed, fault", 0), rig->cpu->fault.vector);
        if (ending == FAULTED) {
            cr_assert(is_untouched(rig, f, describe(f, "undisturbed", 0)));
        }
    }
    abandon_each(rig, f);
    if (f->mode != REAL16) {
        refuse_each_page(rig, f);
    }
}

static void check_places(struct rig *rig, struct form *f)
{
    for (enum place place = INSIDE; place < PLACES; place++) {
        if (place == ON_DEVICE && f->mode == REAL16) {
            continue;
        }
        f->place = place;
        for (f->content = 0; f->content < 2; f->content++) {
            f->direct = false;
            check_form(rig, f);
        }
        f->content = 0;
        if (place == INSIDE && (f->row->rm == RM_E || f->row->rm == RM_M)) {
            f->direct = true;
            check_form(rig, f);
        }
    }
}

static void check_prefixes(struct rig *rig, struct form *f)
{
    const struct op_desc *row = f->row;
    bool plain = row->mp == P_ANY || row->mp == P_NP66 || row->mp == P_F3;
    bool sized = row->size == SZ_V || row->size == SZ_V64;
    for (unsigned v = 0; v < 3; v++) {
        f->osize = v == 1;
        f->rexw = v == 2;
        if ((f->osize && !(sized && plain)) ||
            (f->rexw && !(f->mode == LONG64 && (row->size == SZ_V || row->size == SZ_Y)))) {
            continue;
        }
        f->lock = false;
        f->rep = 0;
        check_places(rig, f);
        if (row->attrs & A_LOCK) {
            f->lock = true;
            check_places(rig, f);
            f->lock = false;
        }
        if (row->attrs & A_REP) {
            f->rep = 0xf3;
            check_places(rig, f);
        }
        if (row->attrs & A_REPC) {
            f->rep = 0xf2;
            check_places(rig, f);
        }
    }
}

static void check_row(struct rig *rig, const struct op_desc *row, enum mode mode)
{
    struct form f = {.row = row, .mode = mode};
    unsigned last = row->reg == RG_G ? 1 : 0;
    if ((row->modes & M_NO64 && mode == LONG64) || (row->modes & M_ONLY64 && mode != LONG64) ||
        (row->modes & M_PROT && mode == REAL16)) {
        return;
    }
    if (row->reg == RG_X && row->attrs & A_X87) {
        last = 7; /* the x87 opcodes: the handler looks at ModRM.reg */
    }
    for (f.reg = 0; f.reg <= last; f.reg++) {
        check_prefixes(rig, &f);
    }
    if (row->reg == RG_S && row->rm == RM_E) {
        for (f.reg = SEG_SS; f.reg <= SEG_GS; f.reg++) {
            check_prefixes(rig, &f);
        }
    }
}

static void check_mode(enum mode mode)
{
    struct rig *rig = rig_new();
    for (size_t i = 0; i < op_nrows; i++) {
        const struct op_desc *row = &op_rows[i];
        if (row->attrs & (A_MEMR | A_MEMW | A_IMPMEM) && !(row->attrs & A_UNMODELLED)) {
            check_row(rig, row, mode);
        }
    }
    cr_log_info("%u forms: %u completed, %u faulted, %u not modelled; %u accesses abandoned, "
                "%u pages refused",
                rig->forms, rig->completed, rig->faulted, rig->unmodelled, rig->abandoned,
                rig->refused);
    cr_assert_gt(rig->completed, 1000);
    cr_assert_gt(rig->abandoned, rig->completed);
    cr_assert(mode == REAL16 || rig->refused > rig->completed);
    rig_free(rig);
}

Test(probe_forms, real_mode_every_access_abandoned_changes_nothing, .timeout = 280)
{
    check_mode(REAL16);
}

Test(probe_forms, protected_16_bit_every_access_abandoned_or_refused_changes_nothing,
     .timeout = 280)
{
    check_mode(PROT16);
}

Test(probe_forms, protected_32_bit_every_access_abandoned_or_refused_changes_nothing,
     .timeout = 280)
{
    check_mode(PROT32);
}

Test(probe_forms, long_mode_every_access_abandoned_or_refused_changes_nothing, .timeout = 280)
{
    check_mode(LONG64);
}
