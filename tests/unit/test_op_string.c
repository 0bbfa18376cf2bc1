/* SPDX-License-Identifier: MIT */
/*
 * String instructions with REP against a model that does one element after the other (Intel SDM
 * Vol. 2 (325383), "REP"): overlap, direction, pages, address wrap, faults in the middle, time,
 * deadlines in the middle, device memory.
 */
#include "op_rig.h"

#define AREA      0x20000u /* the test's data, in real mode by DS = ES = 2000h */
#define AREA_SIZE 0x10000u

static uint32_t rnd_state = 12345;

static uint32_t rnd(uint32_t n)
{
    rnd_state = rnd_state * 1664525u + 1013904223u;
    return (rnd_state >> 8) % n;
}

enum kind {
    MOVS,
    CMPS,
    STOS,
    LODS,
    SCAS
};

struct registers {
    uint32_t eax, ecx, esi, edi;
    bool zf, cf;
};

/* The model: in 16-bit addressing on a 64 KiB area. Returns the iterations. */
static unsigned model(uint8_t *area, struct registers *r, enum kind kind, unsigned size, bool down,
                      unsigned prefix)
{
    unsigned n = 0;

    while (r->ecx & 0xffff) {
        const uint16_t step = (uint16_t)(down ? 0 - size : size);
        uint32_t a = 0, b = 0;

        n++;
        r->ecx = (r->ecx & 0xffff0000u) | ((r->ecx - 1) & 0xffff);
        memcpy(&a, &r->eax, size);
        if (kind != STOS && kind != SCAS) {
            memcpy(&a, area + (uint16_t)r->esi, size);
            r->esi = (r->esi & 0xffff0000u) | (uint16_t)(r->esi + step);
        }
        if (kind == LODS) {
            memcpy(&r->eax, &a, size);
            continue;
        }
        memcpy(&b, area + (uint16_t)r->edi, size);
        if (kind == MOVS || kind == STOS) {
            memcpy(area + (uint16_t)r->edi, &a, size);
        }
        r->edi = (r->edi & 0xffff0000u) | (uint16_t)(r->edi + step);
        if (kind == CMPS || kind == SCAS) {
            r->zf = a == b;
            r->cf = a < b;
            if (r->zf != (prefix == 0xf3)) {
                break;
            }
        }
    }
    return n;
}

static void random_case(struct op_rig *rig, uint8_t *want, unsigned slice)
{
    static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
    struct cpu *cpu = rig->cpu;
    uint8_t *area = rig->bus.ram + AREA;
    const enum kind kind = (enum kind)rnd(5);
    const unsigned size = 1u << rnd(3);
    const bool down = rnd(2);
    const unsigned prefix = rnd(2) ? 0xf3 : 0xf2;
    uint8_t code[4], n = 0;
    struct registers r = {.eax = rnd(4) ? rnd(0xffffff) : 0, .ecx = rnd(3) ? rnd(40) : rnd(6000)};

    /* Near each other, so that they overlap; anywhere, so that they cross pages and wrap. */
    r.esi = rnd(0x10000);
    r.edi = rnd(2) ? (uint16_t)(r.esi + rnd(40) - 20) : rnd(0x10000);
    /* A word at FFFFh faults: keep elements aligned, so that they wrap between them. */
    if (size > 1) {
        r.esi &= ~3u;
        r.edi &= ~3u;
    }
    for (unsigned i = 0; i < AREA_SIZE; i++) {
        area[i] = (uint8_t)(rnd(8) ? r.eax : rnd(256));
    }
    memcpy(want, area, AREA_SIZE);

    rig_mode(rig, 16);
    cpu->seg[SEG_DS].base = cpu->seg[SEG_ES].base = AREA;
    cpu_update_mode(cpu);
    cpu->regs[REG_RAX] = r.eax;
    cpu->regs[REG_RCX] = r.ecx | 0x550000;
    cpu->regs[REG_RSI] = r.esi | 0x660000;
    cpu->regs[REG_RDI] = r.edi | 0x770000;
    r.ecx |= 0x550000;
    r.esi |= 0x660000;
    r.edi |= 0x770000;
    cpu_set_eflags(cpu, EFLAGS_ONE | (down ? EFLAGS_DF : 0));
    if (size == 4) {
        code[n++] = 0x66;
    }
    code[n++] = (uint8_t)prefix;
    code[n++] = (uint8_t)(opcodes[kind] + (size > 1));
    rig_load(rig, code, n);

    const uint64_t before = cpu_insns(cpu);
    if (slice) {
        while (cpu_exec(cpu, rig->clock.now + slice) == CPU_STOP_LIMIT) {
        }
    } else {
        cr_assert_eq(rig_run(rig), -1);
    }
    const unsigned count = model(want, &r, kind, size, down, prefix);
    const unsigned time = count ? count : 1;

    cr_assert_eq(cpu_insns(cpu) - before, time + 1, "kind %d: %u iterations took %u", kind, count,
                 (unsigned)(cpu_insns(cpu) - before - 1));
    cr_assert_eq(cpu->regs[REG_RAX], r.eax);
    cr_assert_eq(cpu->regs[REG_RCX], r.ecx, "kind %d size %u", kind, size);
    cr_assert_eq(cpu->regs[REG_RSI], r.esi);
    cr_assert_eq(cpu->regs[REG_RDI], r.edi);
    cr_assert_eq(memcmp(area, want, AREA_SIZE), 0, "kind %d size %u down %d", kind, size, down);
    if (count && (kind == CMPS || kind == SCAS)) {
        cr_assert_eq(cc_zf(&cpu->cc), r.zf);
        cr_assert_eq(cc_cf(&cpu->cc), r.cf);
    }
}

Test(op_string, rep_equals_one_element_after_the_other)
{
    struct op_rig *rig = rig_new();
    uint8_t *want = malloc(AREA_SIZE);

    for (unsigned i = 0; i < 1500; i++) {
        random_case(rig, want, 0);
    }
    free(want);
    rig_free(rig);
}

Test(op_string, deadlines_in_the_middle_change_nothing)
{
    struct op_rig *rig = rig_new();
    uint8_t *want = malloc(AREA_SIZE);

    for (unsigned i = 0; i < 300; i++) {
        random_case(rig, want, 1 + rnd(50));
    }
    free(want);
    rig_free(rig);
}

Test(op_string, each_slice_of_time_does_its_iterations)
{
    struct op_rig *rig = rig_new();

    rig_mode(rig, 32);
    RIG_LOAD(rig, "\xf3\xaa");
    rig->cpu->regs[REG_RCX] = 100000;
    rig->cpu->regs[REG_RDI] = AREA;
    for (unsigned i = 1; i <= 20; i++) {
        cr_assert_eq(cpu_exec(rig->cpu, rig->clock.now + 777), CPU_STOP_LIMIT);
        cr_assert_eq(rig->cpu->regs[REG_RCX], 100000 - 777 * i);
        cr_assert_eq(rig->cpu->regs[REG_RDI], AREA + 777 * i);
        cr_assert_eq(rig->cpu->rip, RIG_CODE);
    }
    rig_free(rig);
}

Test(op_string, fault_in_the_middle_keeps_what_was_done)
{
    struct op_rig *rig = rig_new();

    /*
     * Words at odd addresses: the one at FFFFh is beyond the limit. #GP after (FFFFh - FF01h) / 2
     * of them.
     */
    rig_mode(rig, 16);
    RIG_LOAD(rig, "\xf3\xab");
    rig->cpu->seg[SEG_ES].base = AREA;
    cpu_update_mode(rig->cpu);
    rig->cpu->regs[REG_RAX] = 0x1234;
    rig->cpu->regs[REG_RCX] = 1000;
    rig->cpu->regs[REG_RDI] = 0xff01;
    const uint64_t before = cpu_insns(rig->cpu);
    cr_assert_eq(rig_run(rig), VEC_GP);
    cr_assert_eq(rig->cpu->regs[REG_RCX], 1000 - 127);
    cr_assert_eq(rig->cpu->regs[REG_RDI], 0xffff);
    cr_assert_eq(rig->bus.ram[AREA + 0xfffd], 0x34);
    cr_assert_eq(rig->bus.ram[AREA + 0xffff], 0);
    /* 127 iterations, the delivery, the handler's HLT. */
    cr_assert_eq(cpu_insns(rig->cpu) - before, 127 + 2);
    rig_free(rig);
}

Test(op_string, without_a_count_nothing_is_touched)
{
    struct op_rig *rig = rig_new();

    /* CX = 0, and an address that would fault. */
    rig_mode(rig, 16);
    RIG_LOAD(rig, "\xf3\xa5");
    rig->cpu->regs[REG_RCX] = 0x10000;
    rig->cpu->regs[REG_RSI] = rig->cpu->regs[REG_RDI] = 0xffff;
    cc_set_raw(rig->cpu, EFLAGS_ZF | EFLAGS_CF);
    cr_assert_eq(rig_run(rig), -1);
    cr_assert_eq(rig->cpu->regs[REG_RSI], 0xffff);
    cr_assert_eq(cc_compute(&rig->cpu->cc), EFLAGS_ZF | EFLAGS_CF);
    rig_free(rig);
}

struct device {
    unsigned reads, writes;
    uint64_t sum;
};

static uint64_t device_read(void *opaque, uint64_t off, unsigned size,
                            const struct bus_attrs *attrs)
{
    struct device *d = opaque;

    (void)size;
    (void)attrs;
    d->reads++;
    return off + 1;
}

static void device_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                         const struct bus_attrs *attrs)
{
    struct device *d = opaque;

    (void)size;
    (void)attrs;
    d->writes++;
    d->sum += value * (off + 1);
}

Test(op_string, device_memory_is_touched_once_for_each_element)
{
    struct op_rig *rig = rig_new();
    struct device device = {0};
    const struct mmio_dev dev = {
        .name = "device", .read = device_read, .write = device_write, .opaque = &device};
    struct error err;

    cr_assert_eq(bus_map(&rig->bus, 0xd0000000u, 0x1000, &dev, &err), 0);
    rig_mode(rig, 32);
    /*
     * rep movsb from the device; then, in the middle of a block, one lodsb; then rep stosb to it.
     */
    RIG_LOAD(rig, "\xf3\xa4"
                  "\xbe\x05\x00\x00\xd0"
                  "\xac"
                  "\x90\xb9\x04\x00\x00\x00"
                  "\xbf\x00\x00\x00\xd0"
                  "\xf3\xaa");
    rig->cpu->regs[REG_RCX] = 10;
    rig->cpu->regs[REG_RSI] = 0xd0000000u;
    rig->cpu->regs[REG_RDI] = AREA;
    const uint64_t before = cpu_insns(rig->cpu);
    cr_assert_eq(rig_run(rig), -1);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(rig->bus.ram[AREA + i], i + 1);
    }
    cr_assert_eq(device.reads, 11);
    cr_assert_eq(device.writes, 4);
    cr_assert_eq(device.sum, 6 * (1 + 2 + 3 + 4));
    cr_assert_eq(cpu_insns(rig->cpu) - before, 10 + 5 + 4 + 1);
    rig_free(rig);
}
