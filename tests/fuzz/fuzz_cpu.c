/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: any bytes as machine code in 16-bit real mode, 32-bit protected mode with paging, or 64-bit mode, at CPL 0 or 3.
 *
 * A guest may do anything: no crash, no assertion, no access outside its RAM (which stands in the heap here, where the address sanitizer
 * watches its ends), no hang. Each program runs twice, with long cached blocks and one instruction at a time without the cache; both
 * runs must end in the same registers, flags, RAM and time.
 *
 * Input: byte 0 mode, CPL, CPU model and length of the run, byte 1 the interrupt's period, byte 2 the register seed, then code.
 * Exceptions enter a handler that resumes at the next 16 bytes of the code, so that one fault does not end a program.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/assert.h"
#include "cpu/cpu.h"
#include "cpu/exception.h"

#define RAM_SIZE    0x40000u
#define GDT         0x1000u
#define IDT         0x2000u
#define TSS         0x3000u
#define HANDLER     0x4000u
#define COUNTER     0x4800u
#define CODE        0x8000u
#define CODE_MAX    0x1000u
#define STACK       0xe000u
#define KSTACK      0xd000u
#define PAGES       0x10000u
#define DEVICE      0xd0000000u
#define DEVICE_LIN  0x3000u /* offset above RAM_SIZE in the page tables' identity map */
#define INSNS_SHORT 2000u
#define INSNS_LONG  20000u
#define IRQ_VECTOR  0x40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
    struct bus bus;
    struct clock clock;
    struct trace trace;
    struct cpu *cpu;
    uint8_t *own_ram; /* what bus_fini() frees */
    struct clock_event irq;
    vtime_t period;
    uint64_t device;
};

struct outcome {
    enum cpu_stop stop;
    uint64_t state, ram, insns, device;
    vtime_t now;
};

static struct intr_ack on_ack(void *opaque, const struct bus_attrs *attrs)
{
    struct rig *rig = opaque;
    (void)attrs;
    cpu_reset_interrupt(rig->cpu, CPU_INTERRUPT_HARD);
    return (struct intr_ack){.vector = IRQ_VECTOR, .source = INTR_ACK_PIC};
}

static void on_fold(void *opaque)
{
    (void)opaque;
}

static bool on_window(void *opaque, gpa_t gpa)
{
    (void)opaque;
    (void)gpa;
    return false;
}

static uint64_t on_get_base(void *opaque)
{
    (void)opaque;
    return 0xfee00900;
}

static bool on_set_base(void *opaque, uint64_t v, const struct bus_attrs *attrs)
{
    (void)opaque;
    (void)attrs;
    return (v & 0xff) == 0;
}

static void on_set_tpr(void *opaque, uint8_t v, const struct bus_attrs *attrs)
{
    (void)attrs;
    ((struct rig *)opaque)->device ^= v;
}

static uint8_t on_get_tpr(void *opaque)
{
    return ((struct rig *)opaque)->device & 15;
}

static void on_init(void *opaque)
{
    (void)opaque;
}

static const struct intr_source_ops source_ops = {.cpu_init = on_init,
                                                  .ack = on_ack,
                                                  .fold = on_fold,
                                                  .apic_window = on_window,
                                                  .get_base = on_get_base,
                                                  .set_base = on_set_base,
                                                  .get_tpr = on_get_tpr,
                                                  .set_tpr = on_set_tpr};

static void on_irq(void *opaque, vtime_t deadline)
{
    struct rig *rig = opaque;
    cpu_interrupt(rig->cpu, CPU_INTERRUPT_HARD, 0);
    clock_arm(&rig->clock, &rig->irq, deadline + rig->period);
}

/* Side effects that depend on time and order. */
static uint64_t on_device_read(void *opaque, uint64_t off, unsigned size,
                               const struct bus_attrs *attrs)
{
    struct rig *rig = opaque;
    (void)size;
    (void)attrs;
    return rig->device++ * 7 + off + rig->clock.now;
}

static void on_device_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                            const struct bus_attrs *attrs)
{
    struct rig *rig = opaque;
    (void)attrs;
    rig->device = rig->device * 31 + value + off + size;
    clock_arm(&rig->clock, &rig->irq, rig->clock.now + 1 + (value & 63));
}

static void put(struct rig *rig, uint32_t at, const void *p, size_t n)
{
    memcpy(rig->bus.ram + at, p, n);
}

static void put64(struct rig *rig, uint32_t at, uint64_t v)
{
    put(rig, at, &v, 8);
}

static struct cpu_segment segment(uint16_t sel, uint16_t attr)
{
    return (struct cpu_segment){.limit = 0xffffffff, .sel = sel, .attr = attr};
}

static void make_tables(struct rig *rig)
{
    static const uint64_t gdt[] = {0,
                                   0x00cf9b000000ffffull,  /* 08 code 32 */
                                   0x00cf93000000ffffull,  /* 10 data */
                                   0x00cffb000000ffffull,  /* 18 code 32, DPL 3 */
                                   0x00cff3000000ffffull,  /* 20 data, DPL 3 */
                                   0x00af9b000000ffffull,  /* 28 code 64 */
                                   0x00affb000000ffffull,  /* 30 code 64, DPL 3 */
                                   0x0000890030000067ull,  /* 38 TSS */
                                   0,                      /* 40 its upper half */
                                   0x00009b000000ffffull,  /* 48 code 16 */
                                   0x000093000000ffffull,  /* 50 data 16 */
                                   0x0000ec0000084000ull,  /* 58 call gate to 08:4000 */
                                   0x00c0f600000000ffull}; /* 60 expand-down data, DPL 3 */
    put(rig, GDT, gdt, sizeof(gdt));
}

/* Page tables over RAM_SIZE and a bit more, 4 KiB pages: RAM, the device, an alias of the code page, a read-only page. */
static void map_pages(struct rig *rig, uint32_t table, unsigned width)
{
    unsigned n = width == 8 ? 512 : 1024;
    for (unsigned i = 0; i < n; i++) {
        uint64_t pte = i < RAM_SIZE >> 12 ? (uint64_t)i << 12 | 7 : 0;
        if (i == (RAM_SIZE + DEVICE_LIN) >> 12) {
            pte = DEVICE | 7;
        } else if (i == (RAM_SIZE >> 12) + 1) {
            pte = CODE | 7;
        } else if (i == (RAM_SIZE >> 12) + 2) {
            pte = CODE | 5;
        }
        put(rig, table + i * width, &pte, width);
    }
}

static void enter_real(struct rig *rig)
{
    for (unsigned v = 0; v < 256; v++) {
        const uint16_t vec[2] = {HANDLER, 0};
        put(rig, v * 4, vec, 4);
    }
    /* inc word [COUNTER]; mov ax, [COUNTER]; and ax, 0xff; shl ax, 4; add ax, CODE; mov sp, STACK; sti; cld; jmp ax */
    static const uint8_t handler[] = {0xff, 0x06, 0x00, 0x48, 0xa1, 0x00, 0x48, 0x25,
                                      0xff, 0x00, 0xc1, 0xe0, 0x04, 0x05, 0x00, 0x80,
                                      0xbc, 0x00, 0xe0, 0xfb, 0xfc, 0xff, 0xe0};
    put(rig, HANDLER, handler, sizeof(handler));
    rig->cpu->seg[SEG_CS].sel = 0;
    rig->cpu->seg[SEG_CS].base = 0;
    rig->cpu->idtr = (struct cpu_table){0, 0x3ff};
}

static void enter_protected(struct rig *rig, bool wide, bool user)
{
    struct cpu *cpu = rig->cpu;
    uint16_t cs = wide ? 0x28 : 8;
    make_tables(rig);
    for (unsigned v = 0; v < 256; v++) {
        /* Vectors above 31 may be called from CPL 3. */
        uint64_t gate = HANDLER | (uint64_t)cs << 16 | (v < 32 ? 0x8eull : 0xeeull) << 40;
        put64(rig, IDT + v * (wide ? 16 : 8), gate);
    }
    /* inc dword [COUNTER]; mov eax, [COUNTER]; and eax, 0xff; shl eax, 4; add eax, CODE; mov esp, STACK; sti; cld; jmp rax.
     * 64-bit mode: the moffs form has eight bytes, so mov eax comes by ModRM with SIB. */
    static const uint8_t handler[] = {0xff, 0x04, 0x25, 0x00, 0x48, 0x00, 0x00, 0x8b, 0x04,
                                      0x25, 0x00, 0x48, 0x00, 0x00, 0x25, 0xff, 0x00, 0x00,
                                      0x00, 0xc1, 0xe0, 0x04, 0x05, 0x00, 0x80, 0x00, 0x00,
                                      0xbc, 0x00, 0xe0, 0x00, 0x00, 0xfb, 0xfc, 0xff, 0xe0};
    put(rig, HANDLER, handler, sizeof(handler));
    put64(rig, TSS + 4, KSTACK); /* RSP0, or ESP0 with SS0 after it */
    if (!wide) {
        put64(rig, TSS + 4, KSTACK | 0x10ull << 32);
    }
    cpu->gdtr = (struct cpu_table){GDT, 0x67};
    cpu->idtr = (struct cpu_table){IDT, wide ? 0xfff : 0x7ff};
    cpu->tr = (struct cpu_segment){.base = TSS, .limit = 0x67, .sel = 0x38, .attr = SEG_P | 11};
    cpu->cr0 |= CR0_PE | CR0_NE | CR0_PG | CR0_WP;
    cpu->cr3 = PAGES;
    if (wide) {
        put64(rig, PAGES, (PAGES + 0x1000) | 7);
        put64(rig, PAGES + 0x1000, (PAGES + 0x2000) | 7);
        put64(rig, PAGES + 0x2000, (PAGES + 0x3000) | 7);
        map_pages(rig, PAGES + 0x3000, 8);
        cpu->cr4 = CR4_PAE;
        cpu->efer = EFER_LME | EFER_LMA | EFER_SCE;
        cpu->lstar = cpu->cstar = HANDLER;
        cpu->star = 0x0018002800000000ull;
    } else {
        const uint32_t pde = (PAGES + 0x1000) | 7;
        put(rig, PAGES, &pde, 4);
        map_pages(rig, PAGES + 0x1000, 4);
    }
    uint16_t dpl = user ? SEG_DPL : 0;
    cpu->seg[SEG_CS] = segment((uint16_t)(cs + (user ? (wide ? 11 : 19) : 0)),
                               (uint16_t)((wide ? SEG_L : SEG_DB) | SEG_G | 0x9b | dpl));
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        if (s != SEG_CS) {
            cpu->seg[s] = segment(user ? 0x23 : 0x10, (uint16_t)(0xc093 | dpl));
        }
    }
    cpu->cpl = user ? 3 : 0;
}

static struct rig *rig_new(const uint8_t *data, size_t size, bool plain)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct error err;
    irq_assert(rig && bus_init(&rig->bus, RAM_SIZE, &err) == 0);
    rig->own_ram = rig->bus.ram;
    rig->bus.ram = calloc(1, RAM_SIZE);
    clock_init(&rig->clock);
    trace_init(&rig->trace, &rig->clock);
    struct mmio_dev dev = {
        .name = "device", .read = on_device_read, .write = on_device_write, .opaque = rig};
    irq_assert(rig->bus.ram && bus_map(&rig->bus, DEVICE, 0x1000, &dev, &err) == 0);
    irq_assert(bus_map_ports(&rig->bus, 0x80, 0x10, &dev, &err) == 0);
    rig->cpu = aligned_alloc(64, (sizeof(struct cpu) + 63) & ~(size_t)63);
    irq_assert(rig->cpu);
    struct cpu_config config = {.bsp = true,
                                .model = cpu_model_find(data[0] & 8 ? "pentium3" : "qemu64"),
                                .bus = &rig->bus,
                                .clock = &rig->clock,
                                .trace = &rig->trace,
                                .intr = &source_ops,
                                .intr_opaque = rig,
                                .max_block = plain ? 1 : 0,
                                .no_cache = plain};
    unsigned mode = data[0] & 3;
    if (mode >= 2) {
        config.model = cpu_model_find("qemu64");
    }
    irq_assert(config.model && cpu_init(rig->cpu, &config) == 0);
    struct cpu *cpu = rig->cpu;
    if (mode == 0) {
        enter_real(rig);
    } else {
        enter_protected(rig, mode >= 2, data[0] & 4);
    }
    uint32_t r = data[2] * 2654435761u + 12345;
    for (unsigned i = 0; i < 16; i++) {
        /* Addresses for the most part: data, code, page tables, device. */
        static const uint32_t base[] = {0x6000, CODE, PAGES, RAM_SIZE + DEVICE_LIN, RAM_SIZE, 0};
        r = r * 1664525u + 1013904223u;
        cpu->regs[i] = base[(r >> 8) % 6] + (r >> 16 & 0xfff);
    }
    cpu->regs[REG_RSP] = STACK;
    cpu->rip = CODE;
    cpu_set_eflags(cpu, EFLAGS_ONE | EFLAGS_IF);
    cpu_update_mode(cpu);
    cpu_flush_tlb(cpu, true);
    size_t n = size - 3 < CODE_MAX ? size - 3 : CODE_MAX;
    put(rig, CODE, data + 3, n);
    clock_event_init(&rig->irq, "irq", on_irq, rig);
    rig->period = 16 + data[1];
    clock_arm(&rig->clock, &rig->irq, rig->period);
    return rig;
}

static void rig_free(struct rig *rig)
{
    cpu_fini(rig->cpu);
    free(rig->cpu);
    trace_fini(&rig->trace);
    free(rig->bus.ram);
    rig->bus.ram = rig->own_ram;
    bus_fini(&rig->bus);
    free(rig);
}

static uint64_t hash(const uint8_t *p, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        h = (h ^ v) * 0x9E3779B97F4A7C15ull;
        h ^= h >> 29;
    }
    return h;
}

static struct outcome run(const uint8_t *data, size_t size, bool plain)
{
    struct rig *rig = rig_new(data, size, plain);
    struct outcome o = {0};
    const vtime_t end = data[0] & 0x80 ? INSNS_LONG : INSNS_SHORT;
    while (rig->clock.now < end) {
        o.stop = cpu_exec(rig->cpu, end);
        if (o.stop != CPU_STOP_HALTED || rig->clock.next > end) {
            break;
        }
        clock_advance(&rig->clock, rig->clock.next);
    }
    o.state = cpu_state_hash(rig->cpu);
    o.ram = hash(rig->bus.ram, RAM_SIZE);
    o.insns = cpu_insns(rig->cpu);
    o.device = rig->device;
    o.now = rig->clock.now;
    rig_free(rig);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    struct outcome a = run(data, size, false);
    struct outcome b = run(data, size, true);
    irq_assert(a.stop == b.stop && a.now == b.now && a.insns == b.insns);
    irq_assert(a.device == b.device);
    irq_assert(a.ram == b.ram);
    irq_assert(a.state == b.state);
    return 0;
}
