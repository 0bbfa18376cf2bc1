/* SPDX-License-Identifier: MIT */
/*
 * The physical address space and the port space: RAM, dispatch, splitting of accesses. See bus.h.
 *
 * Wide accesses that no single device takes whole are halved until they fit, low address first, which gives what the
 * buses of a PC give: two 16-bit cycles, then bytes.
 *
 * Not modelled: bus masters' priority, wait states, ROM shadowing, the A20 gate.
 */
#include "bus/bus.h"

#include "bus/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "RAM is accessed in host byte order");
_Static_assert(BUS_MAX_PORT_RANGES < 256, "port_index holds bytes");

static uint64_t size_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

int bus_init(struct bus *bus, uint64_t ram_size, struct error *err)
{
    memset(bus, 0, sizeof(*bus));
    if (ram_size == 0 || ram_size % BUS_PAGE_SIZE != 0 || ram_size > (1ull << 46)) {
        return error_set(err, -EINVAL,
                         "RAM size %" PRIu64 " is not a multiple of %u bytes up to 64 TiB",
                         ram_size, BUS_PAGE_SIZE);
    }
    void *ram = mmap(NULL, (size_t)ram_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED) {
        return error_set(err, -errno, "cannot allocate %" PRIu64 " bytes of guest RAM: %s",
                         ram_size, strerror(errno));
    }
    bus->ram = ram;
    bus->ram_size = ram_size;
    bus->ram_low = ram_size < BUS_RAM_LOW_END ? ram_size : BUS_RAM_LOW_END;
    bus->ram_high = ram_size - bus->ram_low;
    bus->code_lines = calloc((size_t)(ram_size >> BUS_PAGE_SHIFT), sizeof(*bus->code_lines));
    bus->port_index = calloc(0x10000, sizeof(*bus->port_index));
    if (!bus->code_lines || !bus->port_index) {
        bus_fini(bus);
        return error_set(err, -ENOMEM,
                         "out of memory for the tables of %" PRIu64 " bytes of guest RAM",
                         ram_size);
    }
    return 0;
}

void bus_fini(struct bus *bus)
{
    if (bus->ram) {
        munmap(bus->ram, (size_t)bus->ram_size);
    }
    free(bus->code_lines);
    free(bus->port_index);
    memset(bus, 0, sizeof(*bus));
}

static bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return alen > 0 && blen > 0 && a <= b + (blen - 1) && b <= a + (alen - 1);
}

static unsigned dev_max_size(const struct mmio_dev *dev)
{
    return dev->max_size ? dev->max_size : 8;
}

static int check_dev(const struct mmio_dev *dev, struct error *err)
{
    if (dev->max_size > 8 || (dev->max_size & (dev->max_size - 1)) != 0 || !dev->read ||
        !dev->write) {
        return error_set(err, -EINVAL, "device %s: bad access functions or access size %u",
                         dev->name, dev->max_size);
    }
    return 0;
}

int bus_map(struct bus *bus, gpa_t base, uint64_t len, const struct mmio_dev *dev,
            struct error *err)
{
    int rc = check_dev(dev, err);
    if (rc < 0) {
        return rc;
    }
    if (len == 0 || base + (len - 1) < base) {
        return error_set(err, -EINVAL,
                         "region %s at 0x%" PRIx64 " of 0x%" PRIx64 " bytes is empty or wraps",
                         dev->name, base, len);
    }
    if (ranges_overlap(base, len, 0, bus->ram_low) ||
        ranges_overlap(base, len, BUS_RAM_HIGH_BASE, bus->ram_high)) {
        return error_set(err, -EINVAL, "region %s at 0x%" PRIx64 " overlaps RAM", dev->name, base);
    }
    unsigned at = 0;
    for (unsigned i = 0; i < bus->nregions; i++) {
        const struct bus_region *r = &bus->region[i];
        if (ranges_overlap(base, len, r->base, r->len)) {
            return error_set(err, -EINVAL,
                             "region %s at 0x%" PRIx64 " overlaps region %s at 0x%" PRIx64,
                             dev->name, base, r->dev.name, r->base);
        }
        if (r->base < base) {
            at = i + 1;
        }
    }
    if (bus->nregions == BUS_MAX_REGIONS) {
        return error_set(err, -ENOSPC, "no room for region %s: %u regions already", dev->name,
                         bus->nregions);
    }
    memmove(&bus->region[at + 1], &bus->region[at], (bus->nregions - at) * sizeof(bus->region[0]));
    bus->region[at] = (struct bus_region){.base = base, .len = len, .dev = *dev};
    bus->nregions++;
    bus->last_region = at;
    return 0;
}

int bus_map_ports(struct bus *bus, uint16_t base, uint32_t len, const struct mmio_dev *dev,
                  struct error *err)
{
    int rc = check_dev(dev, err);
    if (rc < 0) {
        return rc;
    }
    if (len == 0 || len > 0x10000u - base) {
        return error_set(err, -EINVAL,
                         "port range %s at 0x%x of 0x%x ports is empty or passes FFFFh", dev->name,
                         base, len);
    }
    for (uint32_t p = base; p < base + len; p++) {
        if (bus->port_index[p]) {
            return error_set(err, -EINVAL, "port range %s at 0x%x overlaps %s at 0x%x", dev->name,
                             base, bus->port[bus->port_index[p] - 1].dev.name, p);
        }
    }
    if (bus->nports == BUS_MAX_PORT_RANGES) {
        return error_set(err, -ENOSPC, "no room for port range %s: %u ranges already", dev->name,
                         bus->nports);
    }
    unsigned at = 0;
    while (at < bus->nports && bus->port[at].base < base) {
        at++;
    }
    memmove(&bus->port[at + 1], &bus->port[at], (bus->nports - at) * sizeof(bus->port[0]));
    bus->port[at] = (struct bus_port_range){.base = base, .len = len, .dev = *dev};
    bus->nports++;
    for (unsigned i = at; i < bus->nports; i++) {
        memset(bus->port_index + bus->port[i].base, (int)(i + 1), bus->port[i].len);
    }
    return 0;
}

/* ---- physical memory ---- */

/* The region that holds gpa, or NULL. */
static const struct bus_region *find_region(struct bus *bus, gpa_t gpa)
{
    const struct bus_region *r = &bus->region[bus->last_region];
    if (irq_likely(gpa - r->base < r->len)) {
        return r;
    }
    unsigned lo = 0, hi = bus->nregions;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        r = &bus->region[mid];
        if (gpa < r->base) {
            hi = mid;
        } else if (gpa - r->base >= r->len) {
            lo = mid + 1;
        } else {
            bus->last_region = mid;
            return r;
        }
    }
    return NULL;
}

uint64_t bus_read(struct bus *bus, gpa_t gpa, unsigned size, const struct bus_attrs *attrs)
{
    const uint8_t *p = bus_ram_ptr(bus, gpa, size);
    if (p) {
        uint64_t v = 0;
        memcpy(&v, p, size);
        return v;
    }
    const struct bus_region *r = find_region(bus, gpa);
    if (r && size <= dev_max_size(&r->dev) && size <= r->len - (gpa - r->base)) {
        return r->dev.read(r->dev.opaque, gpa - r->base, size, attrs) & size_mask(size);
    }
    if (size == 1) {
        return 0xff;
    }
    unsigned half = size / 2;
    uint64_t low = bus_read(bus, gpa, half, attrs);
    return low | bus_read(bus, gpa + half, half, attrs) << (8 * half);
}

void bus_write(struct bus *bus, gpa_t gpa, unsigned size, uint64_t value,
               const struct bus_attrs *attrs)
{
    uint8_t *p = bus_ram_ptr(bus, gpa, size);
    if (p) {
        uint64_t in_page = BUS_PAGE_SIZE - (gpa & (BUS_PAGE_SIZE - 1));
        bus_ram_written(bus, gpa, size < in_page ? size : in_page);
        if (size > in_page) {
            bus_ram_written(bus, gpa + in_page, size - in_page);
        }
        memcpy(p, &value, size);
        return;
    }
    const struct bus_region *r = find_region(bus, gpa);
    if (r && size <= dev_max_size(&r->dev) && size <= r->len - (gpa - r->base)) {
        r->dev.write(r->dev.opaque, gpa - r->base, size, value & size_mask(size), attrs);
        return;
    }
    if (size == 1) {
        return;
    }
    unsigned half = size / 2;
    bus_write(bus, gpa, half, value, attrs);
    bus_write(bus, gpa + half, half, value >> (8 * half), attrs);
}

void stl_le_phys(struct bus *bus, gpa_t gpa, uint32_t value, const struct bus_attrs *attrs)
{
    bus_write(bus, gpa, 4, value, attrs);
}

/* Bytes from gpa to the end of its page, at most len. */
static size_t page_piece(gpa_t gpa, size_t len)
{
    size_t n = BUS_PAGE_SIZE - (size_t)(gpa & (BUS_PAGE_SIZE - 1));
    return n < len ? n : len;
}

size_t bus_copy_from(const struct bus *bus, gpa_t gpa, void *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t n = page_piece(gpa + done, len - done);
        const uint8_t *p = bus_ram_ptr(bus, gpa + done, n);
        if (!p) {
            break;
        }
        memcpy((uint8_t *)buf + done, p, n);
        done += n;
    }
    return done;
}

size_t bus_copy_to(struct bus *bus, gpa_t gpa, const void *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t n = page_piece(gpa + done, len - done);
        uint8_t *p = bus_ram_ptr(bus, gpa + done, n);
        if (!p) {
            break;
        }
        bus_ram_written(bus, gpa + done, n);
        memcpy(p, (const uint8_t *)buf + done, n);
        done += n;
    }
    return done;
}

void bus_code_written(struct bus *bus, gpa_t gpa, uint64_t len)
{
    uint64_t page = bus_ram_page(bus, gpa);
    if (page == UINT64_MAX || len == 0 || !bus->code_written) {
        return;
    }
    unsigned first = (unsigned)(gpa & (BUS_PAGE_SIZE - 1)) >> BUS_LINE_SHIFT;
    unsigned last = (unsigned)((gpa + len - 1) & (BUS_PAGE_SIZE - 1)) >> BUS_LINE_SHIFT;
    irq_assert(last >= first && len <= BUS_PAGE_SIZE);
    uint64_t lines = (UINT64_MAX >> (63 - (last - first))) << first;
    if (bus->code_lines[page] & lines) {
        bus->code_written(bus->code_opaque, gpa, len);
    }
}

/* ---- ports ---- */

uint32_t bus_port_read(struct bus *bus, uint16_t port, unsigned size, const struct bus_attrs *attrs)
{
    uint8_t i = bus->port_index[port];
    if (irq_likely(i != 0)) {
        const struct bus_port_range *r = &bus->port[i - 1];
        uint32_t off = (uint32_t)(port - r->base);
        if (irq_likely(size == 1 || (size <= dev_max_size(&r->dev) && size <= r->len - off))) {
            return (uint32_t)(r->dev.read(r->dev.opaque, off, size, attrs) & size_mask(size));
        }
    }
    if (size == 1) {
        return 0xff;
    }
    unsigned half = size / 2;
    uint32_t low = bus_port_read(bus, port, half, attrs);
    /* There is nothing behind port FFFFh. */
    uint32_t high = port + half > 0xffff ? (uint32_t)size_mask(half)
                                         : bus_port_read(bus, (uint16_t)(port + half), half, attrs);
    return low | high << (8 * half);
}

void bus_port_write(struct bus *bus, uint16_t port, unsigned size, uint32_t value,
                    const struct bus_attrs *attrs)
{
    uint8_t i = bus->port_index[port];
    if (irq_likely(i != 0)) {
        const struct bus_port_range *r = &bus->port[i - 1];
        uint32_t off = (uint32_t)(port - r->base);
        if (irq_likely(size == 1 || (size <= dev_max_size(&r->dev) && size <= r->len - off))) {
            r->dev.write(r->dev.opaque, off, size, value & size_mask(size), attrs);
            return;
        }
    }
    if (size == 1) {
        return;
    }
    unsigned half = size / 2;
    bus_port_write(bus, port, half, value, attrs);
    if (port + half <= 0xffff) {
        bus_port_write(bus, (uint16_t)(port + half), half, value >> (8 * half), attrs);
    }
}
