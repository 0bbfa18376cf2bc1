/* SPDX-License-Identifier: MIT */
/*
 * The block rule under random programs: registers, flags, segments, TLB tags, page tables and all of RAM must be the same at every
 * deadline whatever the longest block, with the cache or without, and with every run clipped at random places.
 *
 * Each program is 64 chunks of random instructions in 32-bit protected mode with paging, among them loads and stores that
 * hit code, page tables and a device, REP strings, STI/CLI/POPF/INT/INVLPG/MOV CR3, and plain random bytes. Any exception restarts at the
 * next chunk. A periodic deadline hashes the state; another raises an interrupt.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/mem.h"

#define RAM_SIZE      0x200000u
#define CODE_BASE     0x10000u /* 64 chunks of CHUNK bytes */
#define CHUNK         96u
#define CHUNKS        64u
#define HANDLERS      0x8000u
#define IDT_BASE      0x6000u
#define GDT_BASE      0x5000u
#define PAGE_DIR      0x100000u
#define PAGE_TABLE    0x101000u
#define DATA_BASE     0x20000u
#define STACK_TOP     0x40000u
#define COUNTER       0x7000u
#define ALIAS         0x400000u /* second mapping of the same pages */
#define DEVICE        0xD0000000u
#define DEVICE_LINEAR 0x3ff000u
#define IRQ_VECTOR    0x40
#define SAMPLES       400

struct machine_under_test {
    struct bus bus;
    struct clock clock;
    struct trace trace;
    struct cpu *cpu;
    struct clock_event sample, irq;
    uint64_t hash[SAMPLES];
    unsigned samples;
    uint64_t device_value;
    unsigned acks;
};

static uint32_t rnd_state;

static uint32_t rnd(uint32_t n)
{
    rnd_state = rnd_state * 1664525u + 1013904223u;
    return (rnd_state >> 8) % n;
}

static uint64_t hash_ram(const struct bus *bus, uint64_t h)
{
    const uint64_t *p = (const uint64_t *)(const void *)bus->ram;
    for (size_t i = 0; i < RAM_SIZE / 8; i++) {
        h = (h ^ p[i]) * 0x9E3779B97F4A7C15ull;
        h ^= h >> 29;
    }
    return h;
}

static void on_sample(void *opaque, vtime_t deadline)
{
    struct machine_under_test *m = opaque;
    if (m->samples < SAMPLES) {
        uint64_t h = cpu_state_hash(m->cpu) ^ cpu_insns(m->cpu) * 31;
        m->samples++;
        m->hash[m->samples - 1] = m->samples % 8 == 0 ? hash_ram(&m->bus, h) : h;
    }
    clock_arm(&m->clock, &m->sample, deadline + 37);
}

static void on_irq(void *opaque, vtime_t deadline)
{
    struct machine_under_test *m = opaque;
    cpu_interrupt(m->cpu, CPU_INTERRUPT_HARD, 0);
    clock_arm(&m->clock, &m->irq, deadline + 151);
}

static struct intr_ack on_ack(void *opaque, const struct bus_attrs *attrs)
{
    struct machine_under_test *m = opaque;
    (void)attrs;
    m->acks++;
    cpu_reset_interrupt(m->cpu, CPU_INTERRUPT_HARD);
    return (struct intr_ack){.vector = IRQ_VECTOR, .source = INTR_ACK_PIC};
}

static void no_fold(void *opaque)
{
    (void)opaque;
}

static bool no_window(void *opaque, gpa_t gpa)
{
    (void)opaque;
    (void)gpa;
    return false;
}

static const struct intr_source_ops source_ops = {
    .ack = on_ack, .fold = no_fold, .apic_window = no_window};

/* A device whose reads have a side effect and whose writes move the interrupt's deadline. */
static uint64_t device_read(void *opaque, uint64_t off, unsigned size,
                            const struct bus_attrs *attrs)
{
    struct machine_under_test *m = opaque;
    (void)size;
    (void)attrs;
    return m->device_value++ + off + m->clock.now;
}

static void device_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                         const struct bus_attrs *attrs)
{
    struct machine_under_test *m = opaque;
    (void)off;
    (void)size;
    (void)attrs;
    m->device_value ^= value;
    clock_arm(&m->clock, &m->irq, m->clock.now + 1 + (value & 15));
}

static void put32(struct machine_under_test *m, uint32_t at, uint32_t v)
{
    memcpy(m->bus.ram + at, &v, 4);
}

static void put_gate(struct machine_under_test *m, unsigned vector, uint32_t target)
{
    put32(m, IDT_BASE + vector * 8, (target & 0xffff) | 8u << 16);
    put32(m, IDT_BASE + vector * 8 + 4, (target & 0xffff0000u) | 0x8e00u);
}

static size_t emit(uint8_t *p, const char *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return n;
}
#define EMIT(p, s) ((p) += emit((p), (s), sizeof(s) - 1))

static uint32_t random_address(void)
{
    static const uint32_t base[] = {DATA_BASE,         DATA_BASE + 0xff0, CODE_BASE,
                                    CODE_BASE + 0x800, ALIAS + CODE_BASE, PAGE_TABLE + 0x40,
                                    PAGE_TABLE + 0x80, STACK_TOP - 64,    DEVICE_LINEAR};
    return base[rnd(sizeof(base) / sizeof(base[0]))] + rnd(64);
}

/* One random instruction at p; returns its length. */
static size_t random_insn(uint8_t *p)
{
    static const uint8_t one_byte[] = {0x90, 0xf8, 0xf9, 0xf5, 0xfc, 0xfd, 0x98, 0x99, 0x9e,
                                       0x9f, 0x9c, 0x9d, 0xfa, 0xfb, 0x60, 0x61, 0x27, 0x37,
                                       0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xae, 0xa6, 0xd7, 0xf3};
    uint8_t *start = p;
    uint32_t a = random_address();
    switch (rnd(16)) {
    case 0: /* mov r32, imm32: often an address */
        *p++ = (uint8_t)(0xb8 + rnd(8));
        a = rnd(2) ? a : rnd(0xffffff) * 257u;
        memcpy(p, &a, 4);
        p += 4;
        break;
    case 1: /* alu r, r */
        *p++ = (uint8_t)(rnd(8) * 8 + rnd(4));
        *p++ = (uint8_t)(0xc0 + rnd(64));
        break;
    case 2: /* alu [abs], r or r, [abs] */
        *p++ = (uint8_t)(rnd(8) * 8 + rnd(4));
        *p++ = (uint8_t)(0x05 + rnd(8) * 8);
        memcpy(p, &a, 4);
        p += 4;
        break;
    case 3: /* mov */
        *p++ = (uint8_t)(0x88 + rnd(4));
        *p++ = (uint8_t)(0x05 + rnd(8) * 8);
        memcpy(p, &a, 4);
        p += 4;
        break;
    case 4: /* inc, dec, push, pop */
        *p++ = (uint8_t)(0x40 + rnd(32));
        break;
    case 5: /* short jump, forward or back */
        *p++ = (uint8_t)(0x70 + rnd(16));
        *p++ = (uint8_t)(rnd(40) - 12);
        break;
    case 6:
        *p++ = one_byte[rnd(sizeof(one_byte))];
        break;
    case 7: /* shifts */
        *p++ = (uint8_t)(0xc0 + rnd(2));
        *p++ = (uint8_t)(0xc0 + rnd(64));
        *p++ = (uint8_t)rnd(34);
        break;
    case 8: /* group 3 */
        *p++ = (uint8_t)(0xf6 + rnd(2));
        *p++ = (uint8_t)(0xd0 + rnd(48));
        break;
    case 9: /* small count; rep string */
        *p++ = 0xb9;
        a = rnd(40);
        memcpy(p, &a, 4);
        p += 4;
        a = random_address();
        *p++ = 0xbf;
        memcpy(p, &a, 4);
        p += 4;
        *p++ = 0xf3;
        *p++ = (uint8_t)(0xaa + rnd(2));
        break;
    case 10: /* invlpg [abs] */
        EMIT(p, "\x0f\x01\x3d");
        memcpy(p, &a, 4);
        p += 4;
        break;
    case 11: /* mov eax, cr3; mov cr3, eax */
        EMIT(p, "\x0f\x20\xd8\x0f\x22\xd8");
        break;
    case 12: /* bit tests, cmpxchg, xadd on memory */
        *p++ = 0x0f;
        *p++ = (uint8_t[]){0xa3, 0xab, 0xb3, 0xbb, 0xb1, 0xc1, 0xb0, 0xaf}[rnd(8)];
        *p++ = (uint8_t)(0x05 + rnd(8) * 8);
        memcpy(p, &a, 4);
        p += 4;
        break;
    case 13: /* int n, sti */
        if (rnd(3) == 0) {
            EMIT(p, "\xcd\x41");
        } else {
            *p++ = 0xfb;
        }
        break;
    case 14: /* segment load: sets a shadow for SS */
        EMIT(p, "\xb8\x10\x00\x00\x00\x8e");
        *p++ = (uint8_t[]){0xd0, 0xd8, 0xc0}[rnd(3)];
        break;
    default: /* anything */
        for (unsigned n = 1 + rnd(5); n > 0; n--) {
            *p++ = (uint8_t)rnd(256);
        }
        break;
    }
    return (size_t)(p - start);
}

static void make_program(struct machine_under_test *m)
{
    for (unsigned c = 0; c < CHUNKS; c++) {
        uint8_t *p = m->bus.ram + CODE_BASE + c * CHUNK;
        uint8_t *end = p + CHUNK - 20;
        while (p < end) {
            p += random_insn(p);
        }
        /* ud2: on to the next chunk by the exception handler */
        EMIT(p, "\x0f\x0b");
    }
    /* Exceptions: count, take a fresh stack, go on at the next chunk with interrupts on. */
    uint8_t *p = m->bus.ram + HANDLERS;
    EMIT(p, "\xff\x05\x00\x70\x00\x00"); /* inc dword [COUNTER] */
    EMIT(p, "\xa1\x00\x70\x00\x00");     /* mov eax, [COUNTER] */
    EMIT(p, "\x83\xe0\x3f");             /* and eax, 63 */
    EMIT(p, "\x6b\xc0\x60");             /* imul eax, eax, 96 */
    EMIT(p, "\x05\x00\x00\x01\x00");     /* add eax, CODE_BASE */
    EMIT(p, "\xbc\x00\x00\x04\x00");     /* mov esp, STACK_TOP */
    EMIT(p, "\xfc\xfb\xff\xe0");         /* cld; sti; jmp eax */
    /* Interrupt and int 0x41. */
    p = m->bus.ram + HANDLERS + 0x100;
    EMIT(p, "\x50\xa1\x04\x70\x00\x00\x40\xa3\x04\x70\x00\x00\x58\xcf");
    for (unsigned v = 0; v < 256; v++) {
        put_gate(m, v, v < 32 ? HANDLERS : HANDLERS + 0x100);
    }
    static const uint32_t gdt[] = {0, 0, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300};
    memcpy(m->bus.ram + GDT_BASE, gdt, sizeof(gdt));
    /* 0-2 MiB identity, the same again at ALIAS, one page of the device; present, writable, user. */
    for (unsigned i = 0; i < 512; i++) {
        put32(m, PAGE_TABLE + i * 4, i << 12 | 7);
    }
    put32(m, PAGE_TABLE + 0x3ff * 4, DEVICE | 7);
    put32(m, PAGE_DIR, PAGE_TABLE | 7);
    put32(m, PAGE_DIR + 4, PAGE_TABLE | 7);
}

static void set_segment(struct cpu *cpu, unsigned seg, uint16_t sel, uint16_t type)
{
    cpu->seg[seg] = (struct cpu_segment){.sel = sel,
                                         .limit = 0xffffffffu,
                                         .attr = (uint16_t)(SEG_P | SEG_S | SEG_G | SEG_DB | type)};
}

static void enter_program(struct cpu *cpu)
{
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
    cpu->cr3 = PAGE_DIR;
    cpu->cr4 = CR4_PSE;
    set_segment(cpu, SEG_CS, 8, SEG_CODE | SEG_W | SEG_A);
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        if (s != SEG_CS) {
            set_segment(cpu, s, 16, SEG_W | SEG_A);
        }
    }
    cpu->gdtr = (struct cpu_table){.base = GDT_BASE, .limit = 23};
    cpu->idtr = (struct cpu_table){.base = IDT_BASE, .limit = 2047};
    cpu->rip = CODE_BASE;
    cpu->regs[REG_RSP] = STACK_TOP;
    cpu_set_eflags(cpu, EFLAGS_ONE | EFLAGS_IF);
    cpu_update_mode(cpu);
    cpu_flush_tlb(cpu, true);
}

struct variant {
    unsigned max_block;
    bool no_cache;
    uint32_t clip_seed;
};

static struct machine_under_test *run_variant(uint32_t seed, const struct variant *v,
                                              uint32_t probe_period)
{
    struct machine_under_test *m = calloc(1, sizeof(*m));
    struct error err;
    cr_assert(m);
    cr_assert_eq(bus_init(&m->bus, RAM_SIZE, &err), 0);
    clock_init(&m->clock);
    trace_init(&m->trace, &m->clock);
    struct mmio_dev dev = {
        .name = "device", .read = device_read, .write = device_write, .opaque = m};
    cr_assert_eq(bus_map(&m->bus, DEVICE, 0x1000, &dev, &err), 0);
    m->cpu = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
    cr_assert(m->cpu);
    struct cpu_config config = {.bsp = true,
                                .model = cpu_model_find("pentium3"),
                                .bus = &m->bus,
                                .clock = &m->clock,
                                .trace = &m->trace,
                                .intr = &source_ops,
                                .intr_opaque = m,
                                .max_block = v->max_block,
                                .no_cache = v->no_cache,
                                .clip_seed = v->clip_seed};
    cr_assert_eq(cpu_init(m->cpu, &config), 0);
    rnd_state = seed;
    make_program(m);
    enter_program(m->cpu);
    clock_event_init(&m->sample, "sample", on_sample, m);
    clock_event_init(&m->irq, "irq", on_irq, m);
    clock_arm(&m->clock, &m->sample, 37);
    clock_arm(&m->clock, &m->irq, 151);
    while (m->samples < SAMPLES) {
        if (probe_period) {
            m->cpu->probe_fail = (int32_t)probe_period;
        }
        enum cpu_stop stop = cpu_exec(m->cpu, m->clock.now + 1000);
        if (stop == CPU_STOP_HALTED) {
            clock_advance(&m->clock, m->clock.next);
        } else if (stop != CPU_STOP_LIMIT) {
            break; /* shutdown or something not modelled: the hashes so far count */
        }
    }
    return m;
}

static void free_machine(struct machine_under_test *m)
{
    cpu_fini(m->cpu);
    free(m->cpu);
    trace_fini(&m->trace);
    bus_fini(&m->bus);
    free(m);
}

static unsigned compare(uint32_t seed, const struct variant *v, uint32_t probe_period,
                        const struct machine_under_test *want)
{
    struct machine_under_test *got = run_variant(seed, v, probe_period);
    for (unsigned i = 0; i < want->samples && i < got->samples; i++) {
        cr_assert_eq(
            got->hash[i], want->hash[i],
            "program %u, max_block %u, no_cache %d, clip %u, probe %u: state differs at deadline %u",
            seed, v->max_block, v->no_cache, v->clip_seed, probe_period, i);
    }
    cr_assert_eq(got->samples, want->samples, "program %u ended elsewhere", seed);
    cr_assert_eq(got->acks, want->acks);
    unsigned acks = got->acks;
    free_machine(got);
    return acks;
}

Test(engine_identity, random_programs_all_variants_equal_state, .timeout = 100)
{
    static const struct variant variants[] = {
        {1, false, 0},          {2, false, 0},        {3, false, 0},
        {7, false, 0},          {63, true, 0},        {1, true, 0},
        {63, false, 0x1234567}, {63, true, 0x89abcd}, {7, false, 0x55aa}};
    static const struct variant reference = {63, false, 0};
    unsigned acks = 0;
    unsigned samples = 0;
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct machine_under_test *want = run_variant(seed, &reference, 0);
        for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
            acks += compare(seed, &variants[i], 0, want);
        }
        samples += want->samples;
        free_machine(want);
    }
    cr_assert_gt(acks, 1000, "the programs must take interrupts: %u", acks);
    cr_assert_gt(samples, 2000, "the programs must run for a while: %u", samples);
}

/* Every slow access leaves its instruction once in a while: nothing was committed, and the second time gives the same. */
Test(engine_identity, abandoned_accesses_run_again_equal_state, .timeout = 100)
{
    static const struct variant reference = {63, false, 0};
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct machine_under_test *want = run_variant(seed, &reference, 0);
        for (uint32_t period = 1; period <= 12; period++) {
            compare(seed, &reference, period, want);
        }
        free_machine(want);
    }
}
