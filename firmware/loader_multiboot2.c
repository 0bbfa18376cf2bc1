/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2: header and its tags, loading by ELF or by the address tag, boot information. Multiboot2 Specification 2.0: 3.1
 * "OS image format", 3.3 "I386 machine state" (the table multiboot2_entry), 3.6 "Boot information".
 *
 * Modelled: the header in the first 32 KiB; header tags information request, address, entry address, module alignment; information tags
 * command line, boot loader's name, modules, basic memory, memory map, image load base address.
 * Not modelled: framebuffer, ELF symbols, ACPI tables, boot device, VBE, APM, network, EFI and SMBIOS tags; relocatable images are loaded where
 * their headers say; console flags are accepted (the console is text, or the serial port). A header that *requires* something
 * else is refused by the tag's number.
 * Deviations: none known.
 */
#include "firmware/loader_multiboot2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MB2_SEARCH       32768u
#define MB2_MAGIC        0xe85250d6u
#define MB2_LOADER_MAGIC 0x36d76289u
#define MB2_HEADER       16u
#define MB2_OPTIONAL     1u /* header tag flag */
#define MB2_ARCH_I386    0u

enum mb2_header_tag {
    MB2_TAG_END = 0,
    MB2_TAG_INFORMATION = 1,
    MB2_TAG_ADDRESS = 2,
    MB2_TAG_ENTRY = 3,
    MB2_TAG_CONSOLE = 4,
    MB2_TAG_FRAMEBUFFER = 5,
    MB2_TAG_ALIGN = 6,
    MB2_TAG_EFI_SERVICES = 7,
    MB2_TAG_ENTRY_EFI32 = 8,
    MB2_TAG_ENTRY_EFI64 = 9,
    MB2_TAG_RELOCATABLE = 10,
};

enum mb2_info_tag {
    MB2_INFO_END = 0,
    MB2_INFO_CMDLINE = 1,
    MB2_INFO_LOADER_NAME = 2,
    MB2_INFO_MODULE = 3,
    MB2_INFO_MEMORY = 4,
    MB2_INFO_MMAP = 6,
    MB2_INFO_LOAD_BASE = 21,
};

/* What the header's tags ask for. */
struct mb2_wish {
    const uint8_t *address; /* four 32-bit fields, or NULL */
    bool has_entry;
    uint32_t entry;
};

long multiboot2_find(const uint8_t *data, size_t size)
{
    size_t end = size < MB2_SEARCH ? size : MB2_SEARCH;
    for (size_t at = 0; at + MB2_HEADER <= end; at += 8) {
        if (loader_get32(data + at) == MB2_MAGIC &&
            loader_get32(data + at) + loader_get32(data + at + 4) + loader_get32(data + at + 8) +
                    loader_get32(data + at + 12) ==
                0) {
            return (long)at;
        }
    }
    return -1;
}

static bool is_supplied(uint32_t info_tag)
{
    return info_tag == MB2_INFO_CMDLINE || info_tag == MB2_INFO_LOADER_NAME ||
           info_tag == MB2_INFO_MODULE || info_tag == MB2_INFO_MEMORY ||
           info_tag == MB2_INFO_MMAP || info_tag == MB2_INFO_LOAD_BASE;
}

/* 3.1.4 "Information request header tag". */
static int check_information(const struct loader_request *request, const uint8_t *tag,
                             uint32_t size, bool optional, struct error *err)
{
    for (uint32_t i = 8; i + 4 <= size && !optional; i += 4) {
        uint32_t want = loader_get32(tag + i);
        if (!is_supplied(want)) {
            return error_set(err, -EINVAL,
                             "%s: the multiboot 2 header requires information tag %u, which is "
                             "not supplied",
                             request->name, want);
        }
    }
    return 0;
}

static int take_tag(const struct loader_request *request, const uint8_t *tag, uint32_t size,
                    struct mb2_wish *wish, struct error *err)
{
    unsigned type = tag[0] | (unsigned)tag[1] << 8;
    bool optional = tag[2] & MB2_OPTIONAL;
    switch (type) {
    case MB2_TAG_INFORMATION:
        return check_information(request, tag, size, optional, err);
    case MB2_TAG_ADDRESS:
        if (size < 24) {
            break;
        }
        wish->address = tag + 8;
        return 0;
    case MB2_TAG_ENTRY:
        if (size < 12) {
            break;
        }
        wish->has_entry = true;
        wish->entry = loader_get32(tag + 8);
        return 0;
    case MB2_TAG_CONSOLE:
    case MB2_TAG_ALIGN:
    case MB2_TAG_RELOCATABLE:  /* the preferred address is where the file says */
    case MB2_TAG_EFI_SERVICES: /* these three speak to EFI loaders */
    case MB2_TAG_ENTRY_EFI32:
    case MB2_TAG_ENTRY_EFI64:
        return 0;
    case MB2_TAG_FRAMEBUFFER: /* 3.1.10: a preference */
        return 0;
    default:
        if (optional) {
            return 0;
        }
        return error_set(err, -EINVAL,
                         "%s: the multiboot 2 header requires tag %u, which is not supported",
                         request->name, type);
    }
    return error_set(err, -EINVAL, "%s: multiboot 2 header tag %u is too short", request->name,
                     type);
}

/* 3.1.3 "General tag structure". */
static int read_tags(const struct loader_request *request, size_t at, struct mb2_wish *wish,
                     struct error *err)
{
    const uint8_t *header = request->data + at;
    uint32_t length = loader_get32(header + 8);
    if (length < MB2_HEADER || length > request->size - at) {
        return error_set(err, -EINVAL, "%s: truncated: the multiboot 2 header is cut off",
                         request->name);
    }
    if (loader_get32(header + 4) != MB2_ARCH_I386) {
        return error_set(err, -EINVAL, "%s: the multiboot 2 header is for architecture %u, not x86",
                         request->name, loader_get32(header + 4));
    }
    for (uint32_t off = MB2_HEADER; off + 8 <= length;) {
        const uint8_t *tag = header + off;
        uint32_t size = loader_get32(tag + 4);
        if (tag[0] == MB2_TAG_END && tag[1] == 0) {
            break;
        }
        if (size < 8 || size > length - off) {
            return error_set(err, -EINVAL, "%s: multiboot 2 header tag at +0x%x is damaged",
                             request->name, off);
        }
        int rc = take_tag(request, tag, size, wish, err);
        if (rc < 0) {
            return rc;
        }
        off += (size + 7) & ~7u;
    }
    return 0;
}

/* 3.1.5 "The address tag of Multiboot2 header". */
static int load_by_address(const struct loader_request *request, struct bus *bus, size_t at,
                           const uint8_t *fields, struct loader_image *image, struct error *err)
{
    const char *name = request->name;
    uint64_t header_addr = loader_get32(fields), load = loader_get32(fields + 4);
    uint64_t load_end = loader_get32(fields + 8), bss_end = loader_get32(fields + 12);
    uint64_t offset = 0;

    if (load == UINT32_MAX) { /* "the file is loaded from its beginning" */
        load = header_addr - at;
    } else if (load <= header_addr && header_addr - load <= at) {
        offset = at - (header_addr - load);
    } else {
        return error_set(err, -EINVAL,
                         "%s: multiboot 2 header: load address 0x%llx does not agree with header "
                         "address 0x%llx",
                         name, (unsigned long long)load, (unsigned long long)header_addr);
    }
    const struct loader_addresses where = {.header = "multiboot 2 header",
                                           .offset = offset,
                                           .load = load,
                                           .load_end = load_end,
                                           .bss_end = bss_end};
    return loader_load_addresses(request, bus, image, &where, err);
}

static void put_tag(struct loader_buffer *b, enum mb2_info_tag type, uint32_t payload)
{
    loader_put_align(b, 8);
    loader_put32(b, (uint32_t)type);
    loader_put32(b, 8 + payload);
}

static void build_info(const struct loader_request *request, const struct bus *bus,
                       const struct loader_image *image, struct loader_buffer *b)
{
    struct loader_memory map[LOADER_MEMORY_MAX];
    unsigned n = loader_memory_map(bus, map);
    size_t total_at = b->size;

    loader_put32(b, 0); /* total size, below */
    loader_put32(b, 0);
    put_tag(b, MB2_INFO_LOADER_NAME, sizeof("irqscope"));
    loader_put_string(b, "irqscope");
    put_tag(b, MB2_INFO_MEMORY, 8);
    loader_put32(b, LOADER_HOLE_LOW / 1024);
    loader_put32(b, (uint32_t)((bus->ram_low - LOADER_HOLE_HIGH) / 1024));
    put_tag(b, MB2_INFO_MMAP, 8 + 24 * n);
    loader_put32(b, 24); /* entry size, version */
    loader_put32(b, 0);
    for (unsigned i = 0; i < n; i++) {
        loader_put64(b, map[i].base);
        loader_put64(b, map[i].len);
        loader_put32(b, map[i].type);
        loader_put32(b, 0);
    }
    put_tag(b, MB2_INFO_LOAD_BASE, 4);
    loader_put32(b, (uint32_t)image->used[0].start);
    for (unsigned i = 0; i < request->nmodules; i++) {
        const struct loader_module *module = &request->modules[i];
        put_tag(b, MB2_INFO_MODULE, 8 + (uint32_t)strlen(module->text) + 1);
        loader_put32(b, (uint32_t)module->start);
        loader_put32(b, (uint32_t)(module->start + module->size));
        loader_put_string(b, module->text);
    }
    put_tag(b, MB2_INFO_CMDLINE, (uint32_t)(strlen(request->name) + strlen(request->append) + 2));
    loader_put(b, request->name, strlen(request->name));
    loader_put(b, " ", 1);
    loader_put_string(b, request->append);
    put_tag(b, MB2_INFO_END, 0);

    struct loader_buffer total = {.data = b->data + total_at, .capacity = 4};
    loader_put32(&total, (uint32_t)b->size);
}

static int place_info(const struct loader_request *request, struct bus *bus,
                      struct loader_image *image, struct error *err)
{
    size_t capacity = 512 + strlen(request->name) + strlen(request->append);
    for (unsigned i = 0; i < request->nmodules; i++) {
        capacity += 32 + strlen(request->modules[i].text);
    }
    struct loader_buffer b = {.data = malloc(capacity), .capacity = capacity};
    if (!b.data) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    gpa_t at = loader_allocate_info(image, bus, capacity);
    build_info(request, bus, image, &b);
    int rc = 0;
    if (at && !b.overflow) {
        loader_copy(bus, at, b.data, b.size);
        image->gpr[REG_RBX] = at;
    } else {
        rc = error_set(err, -ENOSPC, "%s: no room in RAM for the boot information", request->name);
    }
    free(b.data);
    return rc;
}

int multiboot2_load(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
                    struct loader_image *image, struct error *err)
{
    struct mb2_wish wish = {0};
    long at = multiboot2_find(request->data, request->size);
    if (at < 0) {
        return error_set(err, -EINVAL, "%s: no multiboot 2 header in the first 32 KiB",
                         request->name);
    }
    int rc = read_tags(request, (size_t)at, &wish, err);
    if (rc < 0) {
        return rc;
    }
    image->info.format = MACHINE_BOOT_MULTIBOOT2;
    image->state = &multiboot2_entry;
    if (wish.address) {
        rc = load_by_address(request, bus, (size_t)at, wish.address, image, err);
        if (rc == 0 && !wish.has_entry) {
            rc = error_set(err, -EINVAL,
                           "%s: multiboot 2 header: an address tag without an entry address tag",
                           request->name);
        }
    } else if (elf) {
        rc = loader_load_elf(request, bus, image, elf, err);
        image->info.entry = elf->entry_physical;
        image->info.entry_elf = elf->entry;
    } else {
        rc = error_set(err, -EINVAL,
                       "%s: not an ELF file, and its multiboot 2 header has no address tag",
                       request->name);
    }
    if (wish.has_entry) {
        image->info.entry = image->info.entry_elf = wish.entry;
    }
    rc = rc < 0 ? rc : loader_check_entry(request, image, image->info.entry, err);
    rc = rc < 0 ? rc : loader_place_modules(request, bus, image, err);
    rc = rc < 0 ? rc : place_info(request, bus, image, err);
    image->gpr[REG_RAX] = MB2_LOADER_MAGIC;
    return rc;
}
