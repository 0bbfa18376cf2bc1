/* SPDX-License-Identifier: MIT */
/*
 * Memory as loaders see it: the map that the guest is told, and who already uses what.
 *
 * The map is that of a PC with a BIOS: conventional memory up to the extended BIOS data area, the BIOS at F0000h, memory from 1 MiB to its
 * end, the APICs and the BIOS below 4 GiB, the rest of the memory above. ACPI Specification 6.5, 15.1 "INT 15H, E820H - Query
 * System Address Map".
 *
 * Not modelled: ACPI tables and the memory reserved for them.
 * Deviations: none known.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bus/assert.h"
#include "firmware/loader.h"

unsigned loader_memory_map(const struct bus *bus, struct loader_memory map[LOADER_MEMORY_MAX])
{
    unsigned n = 0;
    map[n++] = (struct loader_memory){0, LOADER_HOLE_LOW, LOADER_MEMORY_RAM};
    map[n++] =
        (struct loader_memory){LOADER_HOLE_LOW, 0xa0000 - LOADER_HOLE_LOW, LOADER_MEMORY_RESERVED};
    map[n++] = (struct loader_memory){0xf0000, 0x10000, LOADER_MEMORY_RESERVED};
    map[n++] = (struct loader_memory){LOADER_HOLE_HIGH, bus->ram_low - LOADER_HOLE_HIGH,
                                      LOADER_MEMORY_RAM};
    map[n++] =
        (struct loader_memory){0xfec00000, 0x100000000ull - 0xfec00000, LOADER_MEMORY_RESERVED};
    if (bus->ram_high > 0) {
        map[n++] = (struct loader_memory){BUS_RAM_HIGH_BASE, bus->ram_high, LOADER_MEMORY_RAM};
    }
    return n;
}

bool loader_is_free_ram(const struct bus *bus, gpa_t start, uint64_t len)
{
    struct loader_memory map[LOADER_MEMORY_MAX];
    unsigned n = loader_memory_map(bus, map);
    for (unsigned i = 0; i < n; i++) {
        if (map[i].type == LOADER_MEMORY_RAM && start >= map[i].base && len <= map[i].len &&
            start - map[i].base <= map[i].len - len) {
            return true;
        }
    }
    return false;
}

static const struct loader_range *find_overlap(const struct loader_image *image, gpa_t start,
                                               uint64_t len)
{
    for (unsigned i = 0; i < image->nused; i++) {
        const struct loader_range *r = &image->used[i];
        if (start < r->end && r->start < start + len) {
            return r;
        }
    }
    return NULL;
}

static void add_range(struct loader_image *image, gpa_t start, uint64_t len)
{
    image->used[image->nused++] = (struct loader_range){start, start + len};
    if (image->info.high == 0 || start < image->info.low) {
        image->info.low = start;
    }
    if (start + len > image->info.high) {
        image->info.high = start + len;
    }
}

int loader_claim(struct loader_image *image, const char *name, const char *what, gpa_t start,
                 uint64_t len, struct error *err)
{
    const struct loader_range *r = find_overlap(image, start, len);
    if (r) {
        return error_set(err, -EINVAL, "%s: %s at 0x%llx-0x%llx overlaps 0x%llx-0x%llx", name, what,
                         (unsigned long long)start, (unsigned long long)(start + len),
                         (unsigned long long)r->start, (unsigned long long)r->end);
    }
    if (image->nused == LOADER_MAX_RANGES) {
        return error_set(err, -EINVAL, "%s: more than %d segments", name, LOADER_MAX_RANGES);
    }
    add_range(image, start, len);
    return 0;
}

gpa_t loader_allocate(struct loader_image *image, const struct bus *bus, gpa_t low, gpa_t high,
                      uint64_t len, uint64_t align)
{
    gpa_t at = (low + align - 1) & ~(align - 1);
    const struct loader_range *r;
    if (image->nused == LOADER_MAX_RANGES) {
        return 0;
    }
    while (at < high && len <= high - at && (r = find_overlap(image, at, len)) != NULL) {
        at = (r->end + align - 1) & ~(align - 1); /* rises with every turn */
    }
    if (at >= high || len > high - at || !loader_is_free_ram(bus, at, len)) {
        return 0;
    }
    add_range(image, at, len);
    return at;
}

gpa_t loader_allocate_info(struct loader_image *image, const struct bus *bus, uint64_t len)
{
    uint64_t low = image->info.low, high = image->info.high;
    gpa_t at = loader_allocate(image, bus, LOADER_INFO_LOW, LOADER_INFO_HIGH, len, 16);
    if (at) {
        /* It is no part of the kernel. */
        image->info.low = low;
        image->info.high = high;
        return at;
    }
    return loader_allocate(image, bus, high > LOADER_HOLE_HIGH ? high : LOADER_HOLE_HIGH,
                           bus->ram_low, len, 16);
}

int loader_place_modules(const struct loader_request *request, struct bus *bus,
                         struct loader_image *image, struct error *err)
{
    for (unsigned i = 0; i < request->nmodules; i++) {
        struct loader_module *module = &request->modules[i];
        gpa_t low = image->info.high > LOADER_HOLE_HIGH ? image->info.high : LOADER_HOLE_HIGH;
        module->start = loader_allocate(image, bus, low, bus->ram_low, module->size, 4096);
        if (!module->start) {
            return error_set(err, -ENOSPC,
                             "%s: %zu bytes do not fit into RAM behind the kernel, which ends at "
                             "0x%llx of 0x%llx",
                             module->name, module->size, (unsigned long long)low,
                             (unsigned long long)bus->ram_low);
        }
        loader_copy(bus, module->start, module->data, module->size);
    }
    image->info.modules = request->nmodules;
    return 0;
}

void loader_copy(struct bus *bus, gpa_t gpa, const void *data, uint64_t len)
{
    size_t done = bus_copy_to(bus, gpa, data, (size_t)len);
    irq_assert(done == len);
}

int loader_load_addresses(const struct loader_request *request, struct bus *bus,
                          struct loader_image *image, const struct loader_addresses *where,
                          struct error *err)
{
    const char *name = request->name;
    uint64_t load = where->load, load_end = where->load_end, bss_end = where->bss_end;
    uint64_t length = request->size - where->offset;
    if (load_end != 0) {
        if (load_end < load || load_end - load > length) {
            return error_set(
                err, -EINVAL,
                "%s: truncated: the %s loads 0x%llx-0x%llx, the file has 0x%llx bytes for it", name,
                where->header, (unsigned long long)load, (unsigned long long)load_end,
                (unsigned long long)length);
        }
        length = load_end - load;
    }
    uint64_t total = bss_end > load + length ? bss_end - load : length;
    if (total == 0 || !loader_is_free_ram(bus, load, total)) {
        return error_set(err, -EINVAL, "%s: %s: 0x%llx bytes at 0x%llx lie outside RAM", name,
                         where->header, (unsigned long long)total, (unsigned long long)load);
    }
    int rc = loader_claim(image, name, "image", load, total, err);
    if (rc < 0) {
        return rc;
    }
    loader_copy(bus, load, request->data + where->offset, length);
    loader_zero(bus, load + length, total - length);
    return 0;
}

/* RAM is zero at first and mostly stays untouched: looking costs less than writing. */
void loader_zero(struct bus *bus, gpa_t gpa, uint64_t len)
{
    static const uint8_t zeros[BUS_PAGE_SIZE];
    while (len > 0) {
        uint64_t n = BUS_PAGE_SIZE - (gpa & (BUS_PAGE_SIZE - 1));
        n = n < len ? n : len;
        const uint8_t *p = bus_ram_ptr(bus, gpa, n);
        irq_assert(p);
        if (memcmp(p, zeros, (size_t)n) != 0) {
            loader_copy(bus, gpa, zeros, n);
        }
        gpa += n;
        len -= n;
    }
}

void loader_note(struct loader_image *image, const char *fmt, ...)
{
    char *note = image->info.note;
    size_t at = strlen(note), room = sizeof(image->info.note) - at;
    va_list ap;
    int n = at ? snprintf(note + at, room, "; ") : 0;
    if (n < 0 || (size_t)n >= room) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(note + at + n, room - (size_t)n, fmt, ap);
    va_end(ap);
}

/* ---- buffers ---- */

void loader_put(struct loader_buffer *b, const void *data, size_t n)
{
    if (n > b->capacity - b->size) {
        b->overflow = true;
        return;
    }
    if (n) {
        memcpy(b->data + b->size, data, n);
        b->size += n;
    }
}

void loader_put32(struct loader_buffer *b, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    loader_put(b, bytes, sizeof(bytes));
}

void loader_put64(struct loader_buffer *b, uint64_t v)
{
    loader_put32(b, (uint32_t)v);
    loader_put32(b, (uint32_t)(v >> 32));
}

void loader_put_string(struct loader_buffer *b, const char *s)
{
    loader_put(b, s, strlen(s) + 1);
}

void loader_put_align(struct loader_buffer *b, size_t align)
{
    static const uint8_t zeros[16];
    loader_put(b, zeros, (align - b->size % align) % align);
}
