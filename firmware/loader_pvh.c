/* SPDX-License-Identifier: MIT */
/*
 * PVH: an ELF kernel that is entered in 32-bit protected mode at the address of its XEN_ELFNOTE_PHYS32_ENTRY note. Xen, "x86/HVM direct boot
 * ABI"; structures as in xen/include/public/arch-x86/hvm/start_info.h, version 1.
 *
 * Modelled: hvm_start_info with modules, command line and memory map.
 * Not modelled: the RSDP (rsdp_paddr is 0: no ACPI tables); hypercalls.
 * Deviations: none known.
 */
#include "firmware/loader_pvh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PVH_MAGIC     0x336ec578u
#define PVH_VERSION   1u
#define PVH_INFO_SIZE 56u
#define PVH_MODULE    32u
#define PVH_MEMMAP    24u

/* "file arg": what stands behind the blank. */
static const char *module_arguments(const char *text)
{
    const char *blank = strchr(text, ' ');
    return blank ? blank + 1 : "";
}

static void build_info(const struct loader_request *request, const struct bus *bus, uint64_t base,
                       struct loader_buffer *b)
{
    struct loader_memory map[LOADER_MEMORY_MAX];
    unsigned n = loader_memory_map(bus, map);
    uint64_t mods = base + PVH_INFO_SIZE, mmap = mods + PVH_MODULE * request->nmodules;
    uint64_t text = mmap + PVH_MEMMAP * n, cmdline = text;

    for (unsigned i = 0; i < request->nmodules; i++) {
        cmdline += strlen(module_arguments(request->modules[i].text)) + 1;
    }
    loader_put32(b, PVH_MAGIC);
    loader_put32(b, PVH_VERSION);
    loader_put32(b, 0); /* flags */
    loader_put32(b, request->nmodules);
    loader_put64(b, request->nmodules ? mods : 0);
    loader_put64(b, cmdline);
    loader_put64(b, 0); /* RSDP */
    loader_put64(b, mmap);
    loader_put32(b, n);
    loader_put32(b, 0);
    for (unsigned i = 0; i < request->nmodules; i++) {
        const struct loader_module *module = &request->modules[i];
        loader_put64(b, module->start);
        loader_put64(b, module->size);
        loader_put64(b, text);
        loader_put64(b, 0);
        text += strlen(module_arguments(module->text)) + 1;
    }
    for (unsigned i = 0; i < n; i++) {
        loader_put64(b, map[i].base);
        loader_put64(b, map[i].len);
        loader_put32(b, map[i].type);
        loader_put32(b, 0);
    }
    for (unsigned i = 0; i < request->nmodules; i++) {
        loader_put_string(b, module_arguments(request->modules[i].text));
    }
    loader_put_string(b, request->append);
}

int pvh_load(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
             struct loader_image *image, struct error *err)
{
    image->info.format = MACHINE_BOOT_PVH;
    image->state = &pvh_entry;
    int rc = loader_load_elf(request, bus, image, elf, err);
    image->info.entry = image->info.entry_elf = elf->pvh_entry;
    rc = rc < 0 ? rc : loader_check_entry(request, image, image->info.entry, err);
    rc = rc < 0 ? rc : loader_place_modules(request, bus, image, err);
    if (rc < 0) {
        return rc;
    }
    size_t capacity = PVH_INFO_SIZE + PVH_MEMMAP * LOADER_MEMORY_MAX + strlen(request->append) + 1;
    for (unsigned i = 0; i < request->nmodules; i++) {
        capacity += PVH_MODULE + strlen(request->modules[i].text) + 1;
    }
    struct loader_buffer b = {.data = malloc(capacity), .capacity = capacity};
    if (!b.data) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    gpa_t at = loader_allocate_info(image, bus, capacity);
    if (at) {
        build_info(request, bus, at, &b);
        loader_copy(bus, at, b.data, b.size);
        image->gpr[REG_RBX] = at;
    } else {
        rc = error_set(err, -ENOSPC, "%s: no room in RAM for the boot information", request->name);
    }
    free(b.data);
    return rc;
}
