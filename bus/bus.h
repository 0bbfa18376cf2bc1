/* SPDX-License-Identifier: MIT */
/*
 * The physical address space and the port space.
 *
 * RAM is one private anonymous mapping (MAP_PRIVATE, so that snapshots can be forks), seen at guest physical 0 up to 3 GiB and
 * from 4 GiB on for the rest. Everything else is a region with a device behind it. Overlaps and zero lengths are refused at
 * registration. Unclaimed reads give all ones, unclaimed writes vanish.
 *
 * One door for writes: every write to RAM goes through bus_ram_written() (directly, or through bus_write()), except the CPU's TLB
 * fast path, which may be taken only for pages without code (bus_ram_has_code()).
 * Thread class: machine thread only.
 */
#ifndef IRQSCOPE_BUS_BUS_H
#define IRQSCOPE_BUS_BUS_H

#include "bus/error.h"
#include "bus/types.h"

#define BUS_PAGE_SHIFT      12
#define BUS_PAGE_SIZE       4096u
#define BUS_LINE_SHIFT      6 /* granularity of code tracking: 64 bytes */
#define BUS_MAX_REGIONS     64
#define BUS_MAX_PORT_RANGES 64
#define BUS_RAM_LOW_END     0xC0000000ull /* RAM above this many bytes appears at 4 GiB */
#define BUS_RAM_HIGH_BASE   0x100000000ull

/* size is 1, 2, 4 or 8; off is relative to the region's or range's base. Never called with an access that crosses its end. */
typedef uint64_t bus_read_fn(void *opaque, uint64_t off, unsigned size,
                             const struct bus_attrs *attrs);
typedef void bus_write_fn(void *opaque, uint64_t off, unsigned size, uint64_t value,
                          const struct bus_attrs *attrs);

/* A device as the bus sees it. */
struct mmio_dev {
    const char *name;
    bus_read_fn *read;
    bus_write_fn *write;
    void *opaque;
    uint8_t min_size; /* narrower accesses are still passed on; for dumps and fuzzers */
    uint8_t max_size; /* wider accesses are split into pieces of this size; 0 = 8 */
};

struct bus_region {
    gpa_t base;
    uint64_t len;
    struct mmio_dev dev;
};

struct bus_port_range {
    uint16_t base;
    uint32_t len;
    struct mmio_dev dev;
};

struct bus {
    uint8_t *ram;
    uint64_t ram_size;    /* bytes, multiple of BUS_PAGE_SIZE */
    uint64_t ram_low;     /* of these, bytes seen from address 0 on */
    uint64_t ram_high;    /* of these, bytes seen from 4 GiB on */
    uint64_t *code_lines; /* per RAM page: bit n = line n holds decoded code */
    /* Told before a write to lines that hold code becomes visible to execution. May be NULL. */
    void (*code_written)(void *opaque, gpa_t gpa, uint64_t len);
    void *code_opaque;
    struct bus_region region[BUS_MAX_REGIONS]; /* sorted by base */
    unsigned nregions;
    unsigned last_region;                            /* hint: the region found last */
    struct bus_port_range port[BUS_MAX_PORT_RANGES]; /* sorted by base */
    unsigned nports;
    uint8_t *port_index; /* 65,536 entries: 1 + index into port[], 0 = unclaimed */
};

/* Allocate ram_size bytes of zeroed RAM (not touched until used). 0 or -errno with err filled. */
int bus_init(struct bus *bus, uint64_t ram_size, struct error *err);
void bus_fini(struct bus *bus);
/* Register MMIO at [base, base+len). -EINVAL for zero length, wrap or overlap (with RAM too). */
int bus_map(struct bus *bus, gpa_t base, uint64_t len, const struct mmio_dev *dev,
            struct error *err);
/* Register ports [base, base+len). -EINVAL for zero length, past FFFFh or overlap. */
int bus_map_ports(struct bus *bus, uint16_t base, uint32_t len, const struct mmio_dev *dev,
                  struct error *err);

/* Host address of the RAM byte at gpa, with at least len bytes after it in one piece; NULL if any of it is not RAM. */
static inline uint8_t *bus_ram_ptr(const struct bus *bus, gpa_t gpa, uint64_t len)
{
    if (irq_likely(gpa < bus->ram_low)) {
        return len <= bus->ram_low - gpa ? bus->ram + gpa : NULL;
    }
    uint64_t high = gpa - BUS_RAM_HIGH_BASE; /* huge when gpa is below 4 GiB */
    if (high < bus->ram_high && len <= bus->ram_high - high) {
        return bus->ram + bus->ram_low + high;
    }
    return NULL;
}

/* Index into code_lines of the RAM page at gpa, or UINT64_MAX. */
static inline uint64_t bus_ram_page(const struct bus *bus, gpa_t gpa)
{
    if (irq_likely(gpa < bus->ram_low)) {
        return gpa >> BUS_PAGE_SHIFT;
    }
    uint64_t high = gpa - BUS_RAM_HIGH_BASE;
    return high < bus->ram_high ? (bus->ram_low + high) >> BUS_PAGE_SHIFT : UINT64_MAX;
}

/* attrs is never NULL. Physical read/write of 1, 2, 4 or 8 bytes, little endian; may cross pages and regions (then split by bytes). */
uint64_t bus_read(struct bus *bus, gpa_t gpa, unsigned size, const struct bus_attrs *attrs);
void bus_write(struct bus *bus, gpa_t gpa, unsigned size, uint64_t value,
               const struct bus_attrs *attrs);
/* The store that the IOAPIC and MSI devices make: a 32-bit little-endian write. */
void stl_le_phys(struct bus *bus, gpa_t gpa, uint32_t value, const struct bus_attrs *attrs);
/* Block copies for loaders, DMA and debuggers; return bytes copied (stops at the first byte that is not RAM). */
size_t bus_copy_from(const struct bus *bus, gpa_t gpa, void *buf, size_t len);
size_t bus_copy_to(struct bus *bus, gpa_t gpa, const void *buf, size_t len);

/* Port access of 1, 2 or 4 bytes. A wide access to narrower or several ranges is split into bytes. */
uint32_t bus_port_read(struct bus *bus, uint16_t port, unsigned size,
                       const struct bus_attrs *attrs);
void bus_port_write(struct bus *bus, uint16_t port, unsigned size, uint32_t value,
                    const struct bus_attrs *attrs);

/*
 * Out of line part of bus_ram_written(): calls code_written() when the bytes share a line with decoded code. The bus never clears
 * code_lines itself; who set a bit clears it.
 */
void bus_code_written(struct bus *bus, gpa_t gpa, uint64_t len);

/* RAM at [gpa, gpa+len), all inside one page, is about to change or has just changed. */
static inline void bus_ram_written(struct bus *bus, gpa_t gpa, uint64_t len)
{
    uint64_t page = bus_ram_page(bus, gpa);
    if (page != UINT64_MAX && irq_unlikely(bus->code_lines[page] != 0)) {
        bus_code_written(bus, gpa, len);
    }
}

#endif
