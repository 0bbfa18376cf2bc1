/* SPDX-License-Identifier: MIT */
/*
 * The physical address space and the ports: registration, splitting, code tracking, random accesses against a byte model.
 */
#include "bus/bus.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>
#include <errno.h>

static const struct bus_attrs cpu0 = {0};

/* A device whose byte at address a is a function of its base and a, and that keeps the last write and the sizes seen. */
struct dev {
    uint64_t base, len;
    unsigned max_size;
    unsigned reads, writes;
    unsigned last_size;
    uint64_t last_off, last_value;
    uint8_t *mem;
};

static uint8_t dev_byte(const struct dev *d, uint64_t off)
{
    return d->mem ? d->mem[off] : (uint8_t)((d->base + off) * 37 + 11);
}

static void dev_seen(struct dev *d, uint64_t off, unsigned size)
{
    cr_assert(size == 1 || size == 2 || size == 4 || size == 8);
    cr_assert_leq(size, d->max_size);
    cr_assert(off < d->len && size <= d->len - off);
    d->last_off = off;
    d->last_size = size;
}

static uint64_t dev_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    struct dev *d = opaque;
    (void)attrs;
    dev_seen(d, off, size);
    d->reads++;
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)dev_byte(d, off + i) << (8 * i);
    }
    return v;
}

static void dev_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                      const struct bus_attrs *attrs)
{
    struct dev *d = opaque;
    (void)attrs;
    dev_seen(d, off, size);
    d->writes++;
    d->last_value = value;
    for (unsigned i = 0; i < size && d->mem; i++) {
        d->mem[off + i] = (uint8_t)(value >> (8 * i));
    }
}

static struct mmio_dev dev_desc(struct dev *d)
{
    return (struct mmio_dev){"dev", dev_read, dev_write, d, 1, (uint8_t)d->max_size};
}

static int map(struct bus *bus, struct dev *d, uint64_t base, uint64_t len, unsigned max_size)
{
    *d = (struct dev){.base = base, .len = len, .max_size = max_size};
    struct mmio_dev desc = dev_desc(d);
    return bus_map(bus, base, len, &desc, NULL);
}

static int map_ports(struct bus *bus, struct dev *d, uint16_t base, uint32_t len, unsigned max_size)
{
    *d = (struct dev){.base = base, .len = len, .max_size = max_size};
    struct mmio_dev desc = dev_desc(d);
    return bus_map_ports(bus, base, len, &desc, NULL);
}

Test(bus, init_bad_size_is_refused_with_a_sentence)
{
    struct bus bus;
    struct error err = {""};
    cr_assert_eq(bus_init(&bus, 0, &err), -EINVAL);
    cr_assert_eq(bus_init(&bus, 4097, &err), -EINVAL);
    cr_assert_neq(strstr(err.text, "4097"), NULL);
}

Test(bus, map_zero_length_wrap_or_overlap_is_refused)
{
    struct bus bus;
    struct dev d;
    struct error err = {""};
    cr_assert_eq(bus_init(&bus, 1 << 20, NULL), 0);
    cr_assert_eq(map(&bus, &d, 0x200000, 0, 8), -EINVAL);
    cr_assert_eq(map(&bus, &d, UINT64_MAX, 2, 8), -EINVAL);
    cr_assert_eq(map(&bus, &d, UINT64_MAX, 1, 8), 0);
    cr_assert_eq(map(&bus, &d, 0xfffff, 2, 8), -EINVAL); /* last byte of RAM */
    cr_assert_eq(map(&bus, &d, 0x200000, 0x1000, 8), 0);
    cr_assert_eq(map(&bus, &d, 0x200fff, 1, 8), -EINVAL);
    cr_assert_eq(map(&bus, &d, 0x1fffff, 0x2000, 8), -EINVAL);
    cr_assert_eq(map(&bus, &d, 0x201000, 1, 8), 0);
    struct mmio_dev desc = dev_desc(&d);
    cr_assert_eq(bus_map(&bus, 0x200100, 4, &desc, &err), -EINVAL);
    cr_assert_neq(strstr(err.text, "overlaps"), NULL);
    bus_fini(&bus);
}

Test(bus, map_more_regions_than_fit_is_refused)
{
    struct bus bus;
    static struct dev d[BUS_MAX_REGIONS + 1];
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    for (unsigned i = 0; i < BUS_MAX_REGIONS; i++) {
        cr_assert_eq(map(&bus, &d[i], 0x100000 - i * 16ull, 16, 8), 0);
    }
    cr_assert_eq(map(&bus, &d[BUS_MAX_REGIONS], 0x200000, 16, 8), -ENOSPC);
    for (unsigned i = 0; i < BUS_MAX_REGIONS; i++) {
        bus_read(&bus, 0x100000 - i * 16ull, 4, &cpu0);
        cr_assert_eq(d[i].reads, 1);
    }
    bus_fini(&bus);
}

Test(bus, ram_above_three_gib_appears_at_four_gib)
{
    struct bus bus;
    cr_assert_eq(bus_init(&bus, BUS_RAM_LOW_END + 0x2000, NULL), 0);
    cr_assert_eq(bus_ram_ptr(&bus, BUS_RAM_LOW_END - 1, 1), bus.ram + BUS_RAM_LOW_END - 1);
    cr_assert_null(bus_ram_ptr(&bus, BUS_RAM_LOW_END - 1, 2));
    cr_assert_null(bus_ram_ptr(&bus, BUS_RAM_LOW_END, 1));
    cr_assert_null(bus_ram_ptr(&bus, 0xffffffff, 1));
    cr_assert_eq(bus_ram_ptr(&bus, 0x100000000, 0x2000), bus.ram + BUS_RAM_LOW_END);
    cr_assert_null(bus_ram_ptr(&bus, 0x100000000, 0x2001));
    cr_assert_null(bus_ram_ptr(&bus, 0x100002000, 1));
    cr_assert_eq(bus_ram_page(&bus, 0x100001fff), (BUS_RAM_LOW_END >> 12) + 1);
    cr_assert_eq(bus_ram_page(&bus, 0xd0000000), UINT64_MAX);
    cr_assert_eq(bus_ram_page(&bus, UINT64_MAX), UINT64_MAX);
    bus_write(&bus, 0x100000ffc, 8, 0x1122334455667788, &cpu0);
    cr_assert_eq(bus_read(&bus, 0x100000ffc, 8, &cpu0), 0x1122334455667788);
    bus_fini(&bus);
}

Test(bus, access_unclaimed_reads_ones_and_writes_vanish)
{
    struct bus bus;
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    cr_assert_eq(bus_read(&bus, 0xfee00000, 8, &cpu0), UINT64_MAX);
    bus_write(&bus, 0xfee00000, 8, 0, &cpu0);
    bus_write(&bus, 4094, 4, 0xaabbccdd, &cpu0); /* half in RAM */
    cr_assert_eq(bus_read(&bus, 4094, 4, &cpu0), 0xffffccdd);
    cr_assert_eq(bus_read(&bus, UINT64_MAX, 2, &cpu0), 0x00ff, "addresses wrap to RAM");
    bus_fini(&bus);
}

Test(bus, access_wider_than_device_is_split)
{
    struct bus bus;
    struct dev d;
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    cr_assert_eq(map(&bus, &d, 0x10000, 16, 4), 0);
    bus_read(&bus, 0x10000, 8, &cpu0);
    cr_assert_eq(d.reads, 2);
    bus_write(&bus, 0x10008, 8, 0x8877665544332211, &cpu0);
    cr_assert_eq(d.writes, 2);
    cr_assert_eq(d.last_off, 12);
    cr_assert_eq(d.last_value, 0x88776655);
    bus_fini(&bus);
}

struct code_log {
    unsigned calls;
    gpa_t gpa;
    uint64_t len;
    uint8_t byte_before;
    struct bus *bus;
};

static void code_written(void *opaque, gpa_t gpa, uint64_t len)
{
    struct code_log *l = opaque;
    l->calls++;
    l->gpa = gpa;
    l->len = len;
    l->byte_before = l->bus->ram[gpa];
}

Test(bus, write_to_code_line_is_told_before_it_lands)
{
    struct bus bus;
    struct code_log log = {.bus = &bus};
    cr_assert_eq(bus_init(&bus, 4 * 4096, NULL), 0);
    bus.code_written = code_written;
    bus.code_opaque = &log;
    bus.code_lines[1] = 1ull << 63 | 1ull << 2; /* last line, and bytes 80h-BFh */

    bus_write(&bus, 0x1000, 8, 1, &cpu0);
    bus_write(&bus, 0x107c, 4, 1, &cpu0);
    bus_write(&bus, 0x10c0, 4, 1, &cpu0);
    bus_write(&bus, 0x2000, 4, 1, &cpu0);
    cr_assert_eq(log.calls, 0, "neighbouring lines do not count");
    bus_write(&bus, 0x107d, 4, 0x01010101, &cpu0);
    cr_assert_eq(log.calls, 1);
    cr_assert_eq(log.gpa, 0x107d);
    bus_write(&bus, 0x1ffe, 4, 0xffffffff, &cpu0); /* crosses into page 2, which has no code */
    cr_assert_eq(log.calls, 2);
    cr_assert_eq(log.gpa, 0x1ffe);
    cr_assert_eq(log.len, 2);
    cr_assert_eq(log.byte_before, 0);
    uint8_t buf[4096] = {0};
    cr_assert_eq(bus_copy_to(&bus, 0x800, buf, 4096), 4096);
    cr_assert_eq(log.calls, 3);
    cr_assert_eq(log.gpa, 0x1000);
    cr_assert_eq(log.len, 0x800);
    bus_fini(&bus);
}

Test(bus, copy_past_end_of_ram_stops_there)
{
    struct bus bus;
    uint8_t buf[8192], back[8192];
    memset(buf, 0x5a, sizeof(buf));
    cr_assert_eq(bus_init(&bus, 2 * 4096, NULL), 0);
    cr_assert_eq(bus_copy_to(&bus, 0x1001, buf, sizeof(buf)), 0xfff);
    cr_assert_eq(bus_copy_from(&bus, 0x0ff0, back, sizeof(back)), 0x1010);
    cr_assert_eq(back[0x10], 0);
    cr_assert_eq(back[0x11], 0x5a);
    cr_assert_eq(bus_copy_from(&bus, 1ull << 40, back, 1), 0);
    bus_fini(&bus);
}

Test(bus, map_ports_bad_ranges_are_refused)
{
    struct bus bus;
    struct dev d;
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    cr_assert_eq(map_ports(&bus, &d, 0x60, 0, 1), -EINVAL);
    cr_assert_eq(map_ports(&bus, &d, 0xffff, 2, 1), -EINVAL);
    cr_assert_eq(map_ports(&bus, &d, 0xffff, 1, 1), 0);
    cr_assert_eq(map_ports(&bus, &d, 0x60, 5, 1), 0);
    cr_assert_eq(map_ports(&bus, &d, 0x64, 1, 1), -EINVAL);
    cr_assert_eq(map_ports(&bus, &d, 0x65, 1, 1), 0);
    bus_fini(&bus);
}

Test(bus, port_access_unclaimed_reads_ones_past_end_too)
{
    struct bus bus;
    struct dev d;
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    cr_assert_eq(bus_port_read(&bus, 0x1234, 1, &cpu0), 0xff);
    cr_assert_eq(bus_port_read(&bus, 0x1234, 4, &cpu0), 0xffffffff);
    cr_assert_eq(map_ports(&bus, &d, 0, 1, 1), 0);
    cr_assert_eq(bus_port_read(&bus, 0xffff, 4, &cpu0), 0xffffffff);
    bus_port_write(&bus, 0xfffe, 4, 0, &cpu0);
    cr_assert_eq(d.reads + d.writes, 0, "FFFFh does not wrap to port 0");
    bus_fini(&bus);
}

/* Random accepted and refused registrations, then random accesses, against one byte array of the first MiB. */
#define SPACE 0x100000u
#define RAM   0x4000u

Test(bus, random_regions_and_accesses_agree_with_byte_model)
{
    struct bus bus;
    static struct dev dev[BUS_MAX_REGIONS + 200];
    static uint8_t owned[SPACE + 16], model[SPACE + 16];
    uint64_t seed = 0xfeedface;
    unsigned accepted = 0;
    cr_assert_eq(bus_init(&bus, RAM, NULL), 0);
    memset(model, 0xff, sizeof(model));
    memset(model, 0, RAM);
    memset(owned, 1, RAM);
    for (unsigned i = 0; i < 200 && accepted < BUS_MAX_REGIONS; i++) {
        uint32_t base = bus_test_below(&seed, 0x9000);
        uint32_t len = bus_test_below(&seed, i % 2 ? 0x200 : 12);
        bool free_space = len > 0;
        for (uint32_t a = base; a < base + len; a++) {
            free_space = free_space && !owned[a];
        }
        int rc = map(&bus, &dev[i], base, len, 1u << bus_test_below(&seed, 4));
        cr_assert_eq(rc, free_space ? 0 : -EINVAL);
        if (rc == 0) {
            accepted++;
            dev[i].mem = calloc(len, 1);
            memset(owned + base, 1, len);
            memset(model + base, 0, len);
        }
    }
    cr_assert_gt(accepted, 20);
    for (unsigned step = 0; step < 200000; step++) {
        uint32_t a = bus_test_below(&seed, 0x9400);
        unsigned size = 1u << bus_test_below(&seed, 4);
        uint64_t v = bus_test_random(&seed), want = 0;
        if (step % 2) {
            bus_write(&bus, a, size, v, &cpu0);
            for (unsigned i = 0; i < size; i++) {
                if (owned[a + i]) {
                    model[a + i] = (uint8_t)(v >> (8 * i));
                }
            }
        } else {
            for (unsigned i = 0; i < size; i++) {
                want |= (uint64_t)model[a + i] << (8 * i);
            }
            cr_assert_eq(bus_read(&bus, a, size, &cpu0), want, "%u bytes at %x", size, a);
        }
    }
    for (unsigned i = 0; i < irq_array_size(dev); i++) {
        free(dev[i].mem);
    }
    bus_fini(&bus);
}

Test(bus, random_ports_and_accesses_agree_with_byte_model)
{
    struct bus bus;
    static struct dev dev[200];
    static uint8_t model[0x10010];
    uint64_t seed = 0xc0ffee;
    unsigned accepted = 0;
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    memset(model, 0xff, sizeof(model));
    static uint8_t owned[0x10010];
    for (unsigned i = 0; i < 200 && accepted < BUS_MAX_PORT_RANGES; i++) {
        uint16_t base = (uint16_t)bus_test_below(&seed, 0x400);
        uint32_t len = bus_test_below(&seed, 20);
        bool free_space = len > 0;
        for (uint32_t p = base; p < base + len; p++) {
            free_space = free_space && !owned[p];
        }
        int rc = map_ports(&bus, &dev[i], base, len, 1u << bus_test_below(&seed, 3));
        cr_assert_eq(rc, free_space ? 0 : -EINVAL);
        if (rc == 0) {
            accepted++;
            dev[i].mem = calloc(len, 1);
            memset(owned + base, 1, len);
            memset(model + base, 0, len);
        }
    }
    cr_assert_gt(accepted, 20);
    for (unsigned step = 0; step < 100000; step++) {
        uint16_t p = (uint16_t)bus_test_below(&seed, 0x420);
        unsigned size = 1u << bus_test_below(&seed, 3);
        uint32_t v = (uint32_t)bus_test_random(&seed), want = 0;
        if (step % 2) {
            bus_port_write(&bus, p, size, v, &cpu0);
            for (unsigned i = 0; i < size; i++) {
                if (owned[p + i]) {
                    model[p + i] = (uint8_t)(v >> (8 * i));
                }
            }
        } else {
            for (unsigned i = 0; i < size; i++) {
                want |= (uint32_t)model[p + i] << (8 * i);
            }
            cr_assert_eq(bus_port_read(&bus, p, size, &cpu0), want, "%u bytes at %x", size, p);
        }
    }
    for (unsigned i = 0; i < irq_array_size(dev); i++) {
        free(dev[i].mem);
    }
    bus_fini(&bus);
}
