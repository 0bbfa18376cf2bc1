/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1: header, loading by ELF or by the header's address fields, boot information. Multiboot Specification 0.6.96: 3.1 "OS image
 * format", 3.2 "Machine state" (the table multiboot1_entry), 3.3 "Boot information format".
 *
 * Modelled: the header in the first 8 KiB; flags 0 and 1 (always honoured) and 16 (address fields, also in ELF files, as the
 * specification asks); information: memory sizes, command line (file name, blank, arguments), modules, memory map, boot loader's name.
 * An ELF64 file with this header is loaded too and entered as any other, in 32-bit protected mode, at the physical address of its entry.
 * Not modelled: boot device (there is no disk), symbol tables, drives, configuration table, APM, VBE and framebuffer information.
 * Deviations: a header that asks for a video mode (flag 2) gets text mode and a note instead of a refusal.
 */
#include "firmware/loader_multiboot1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MB1_SEARCH       8192u
#define MB1_MAGIC        0x1badb002u
#define MB1_LOADER_MAGIC 0x2badb002u
#define MB1_HEADER       12u
#define MB1_HEADER_ADDR  32u
#define MB1_INFO_SIZE    88u

enum mb1_header_flag {
    MB1_PAGE_ALIGN = 1u << 0,
    MB1_MEMORY_INFO = 1u << 1,
    MB1_VIDEO_MODE = 1u << 2,
    MB1_REQUIRED = 0xffffu,
    MB1_ADDRESSES = 1u << 16,
};

enum mb1_info_flag {
    MB1_HAS_MEMORY = 1u << 0,
    MB1_HAS_CMDLINE = 1u << 2,
    MB1_HAS_MODULES = 1u << 3,
    MB1_HAS_MMAP = 1u << 6,
    MB1_HAS_LOADER_NAME = 1u << 9,
};

long multiboot1_find(const uint8_t *data, size_t size)
{
    size_t end = size < MB1_SEARCH ? size : MB1_SEARCH;
    for (size_t at = 0; at + MB1_HEADER <= end; at += 4) {
        if (loader_get32(data + at) == MB1_MAGIC &&
            loader_get32(data + at) + loader_get32(data + at + 4) + loader_get32(data + at + 8) ==
                0) {
            return (long)at;
        }
    }
    return -1;
}

/* 3.1.3 "The address fields of Multiboot header". */
static int load_by_addresses(const struct loader_request *request, struct bus *bus, size_t at,
                             struct loader_image *image, struct error *err)
{
    const char *name = request->name;
    if (request->size - at < MB1_HEADER_ADDR) {
        return error_set(err, -EINVAL, "%s: truncated: the multiboot header is cut off", name);
    }
    const uint8_t *header = request->data + at;
    uint64_t header_addr = loader_get32(header + 12), load = loader_get32(header + 16);
    uint64_t load_end = loader_get32(header + 20), bss_end = loader_get32(header + 24);
    uint64_t entry = loader_get32(header + 28);

    if (load > header_addr || header_addr - load > at) {
        return error_set(err, -EINVAL,
                         "%s: multiboot header: load address 0x%llx does not agree with header "
                         "address 0x%llx",
                         name, (unsigned long long)load, (unsigned long long)header_addr);
    }
    uint64_t offset = at - (header_addr - load);
    const struct loader_addresses where = {.header = "multiboot header",
                                           .offset = offset,
                                           .load = load,
                                           .load_end = load_end,
                                           .bss_end = bss_end};
    int rc = loader_load_addresses(request, bus, image, &where, err);
    if (rc < 0) {
        return rc;
    }
    image->info.entry = image->info.entry_elf = entry;
    return 0;
}

/* Everything that the information points to, in one piece at `base`, the fixed part first. */
static void build_info(const struct loader_request *request, const struct bus *bus, uint32_t base,
                       struct loader_buffer *b)
{
    static const uint8_t zeros[MB1_INFO_SIZE];
    struct loader_memory map[LOADER_MEMORY_MAX];
    unsigned n = loader_memory_map(bus, map);
    uint32_t mods = base + MB1_INFO_SIZE;
    uint32_t mmap = mods + 16 * request->nmodules;
    uint32_t strings = mmap + 24 * n;

    loader_put32(b, MB1_HAS_MEMORY | MB1_HAS_CMDLINE | MB1_HAS_MODULES | MB1_HAS_MMAP |
                        MB1_HAS_LOADER_NAME);
    loader_put32(b, LOADER_HOLE_LOW / 1024);
    loader_put32(b, (uint32_t)((bus->ram_low - LOADER_HOLE_HIGH) / 1024));
    loader_put32(b, 0); /* boot device */
    uint32_t loader_name = strings;
    strings += (uint32_t)sizeof("irqscope");
    uint32_t first_module_text = strings;
    for (unsigned i = 0; i < request->nmodules; i++) {
        strings += (uint32_t)strlen(request->modules[i].text) + 1;
    }
    loader_put32(b, strings); /* command line: last, so that its length moves nothing */
    loader_put32(b, request->nmodules);
    loader_put32(b, mods);
    loader_put(b, zeros, 16);
    loader_put32(b, 24 * n);
    loader_put32(b, mmap);
    loader_put(b, zeros, 12);
    loader_put32(b, loader_name);
    loader_put(b, zeros, MB1_INFO_SIZE - b->size);

    for (unsigned i = 0; i < request->nmodules; i++) {
        const struct loader_module *module = &request->modules[i];
        loader_put32(b, (uint32_t)module->start);
        loader_put32(b, (uint32_t)(module->start + module->size));
        loader_put32(b, first_module_text);
        loader_put32(b, 0);
        first_module_text += (uint32_t)strlen(module->text) + 1;
    }
    for (unsigned i = 0; i < n; i++) {
        loader_put32(b, 20); /* size of the entry without this field */
        loader_put64(b, map[i].base);
        loader_put64(b, map[i].len);
        loader_put32(b, map[i].type);
    }
    loader_put_string(b, "irqscope");
    for (unsigned i = 0; i < request->nmodules; i++) {
        loader_put_string(b, request->modules[i].text);
    }
    loader_put(b, request->name, strlen(request->name));
    loader_put(b, " ", 1);
    loader_put_string(b, request->append);
}

static int place_info(const struct loader_request *request, struct bus *bus,
                      struct loader_image *image, struct error *err)
{
    size_t capacity = MB1_INFO_SIZE + 24 * LOADER_MEMORY_MAX + sizeof("irqscope") +
                      strlen(request->name) + strlen(request->append) + 2;
    for (unsigned i = 0; i < request->nmodules; i++) {
        capacity += 16 + strlen(request->modules[i].text) + 1;
    }
    struct loader_buffer b = {.data = malloc(capacity), .capacity = capacity};
    if (!b.data) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    gpa_t at = loader_allocate_info(image, bus, capacity);
    int rc = 0;
    if (at) {
        build_info(request, bus, (uint32_t)at, &b);
        loader_copy(bus, at, b.data, b.size);
        image->gpr[REG_RBX] = at;
    } else {
        rc = error_set(err, -ENOSPC, "%s: no room in RAM for the boot information", request->name);
    }
    free(b.data);
    return rc;
}

int multiboot1_load(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
                    struct loader_image *image, struct error *err)
{
    long at = multiboot1_find(request->data, request->size);
    if (at < 0) {
        return error_set(err, -EINVAL, "%s: no multiboot header in the first 8 KiB", request->name);
    }
    uint32_t flags = loader_get32(request->data + at + 4);
    const uint32_t known = MB1_PAGE_ALIGN | MB1_MEMORY_INFO | MB1_VIDEO_MODE;
    uint32_t unknown = flags & MB1_REQUIRED & ~known;
    int rc;

    if (unknown) {
        return error_set(err, -EINVAL,
                         "%s: the multiboot header requires features 0x%x, which no specification "
                         "defines",
                         request->name, unknown);
    }
    image->info.format = MACHINE_BOOT_MULTIBOOT1;
    image->state = &multiboot1_entry;
    if (flags & MB1_ADDRESSES) {
        rc = load_by_addresses(request, bus, (size_t)at, image, err);
    } else if (elf) {
        rc = loader_load_elf(request, bus, image, elf, err);
        image->info.entry = elf->entry_physical;
        image->info.entry_elf = elf->entry;
        if (elf->is64) {
            loader_note(image, "an ELF64 file with a multiboot 1 header is entered in 32-bit "
                               "protected mode");
        }
    } else {
        rc = error_set(err, -EINVAL,
                       "%s: not an ELF file, and its multiboot header has no load addresses",
                       request->name);
    }
    if (flags & MB1_VIDEO_MODE) {
        loader_note(image, "the multiboot header asks for a video mode; there is text mode only");
    }
    rc = rc < 0 ? rc : loader_check_entry(request, image, image->info.entry, err);
    rc = rc < 0 ? rc : loader_place_modules(request, bus, image, err);
    rc = rc < 0 ? rc : place_info(request, bus, image, err);
    image->gpr[REG_RAX] = MB1_LOADER_MAGIC;
    return rc;
}
