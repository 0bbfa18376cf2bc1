/* SPDX-License-Identifier: MIT */
/*
 * Kernels without a boot header: an ELF file is entered at its entry point, raw bytes where the user says. The entry states are the
 * tables flat32_entry and flat64_entry; Intel SDM Vol. 3A (order no. 325384), 10.9.1 "Switching to Protected Mode", 10.8.5 "Initializing
 * IA-32e Mode".
 *
 * Modelled: nothing but the image and the state; such a kernel is told nothing about memory or arguments.
 * Not modelled: modules (refused, since the kernel could not find them).
 * Deviations: none: there is no specification to deviate from.
 */
#include "firmware/loader_flat.h"

#include <errno.h>

static int refuse_modules(const struct loader_request *request, struct error *err)
{
    return request->nmodules == 0
               ? 0
               : error_set(err, -EINVAL,
                           "%s: -initrd needs a kernel with a multiboot or PVH header",
                           request->name);
}

int flat_load_elf(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
                  struct loader_image *image, struct error *err)
{
    int rc = refuse_modules(request, err);
    rc = rc < 0 ? rc : loader_load_elf(request, bus, image, elf, err);
    if (rc < 0) {
        return rc;
    }
    image->info.format = elf->is64 ? MACHINE_BOOT_ELF64 : MACHINE_BOOT_ELF32;
    image->state = elf->is64 ? &flat64_entry : &flat32_entry;
    image->info.entry = elf->entry_physical;
    image->info.entry_elf = elf->entry;
    loader_note(image, "no boot header: entered in %s",
                elf->is64 ? "long mode with the first 4 GiB mapped to themselves"
                          : "32-bit protected mode with flat segments");
    return loader_check_entry(request, image, image->info.entry, err);
}

int flat_load_raw(const struct loader_request *request, struct bus *bus, struct loader_image *image,
                  struct error *err)
{
    int rc = refuse_modules(request, err);
    if (rc < 0) {
        return rc;
    }
    if (!loader_is_free_ram(bus, request->flat_address, request->size)) {
        return error_set(err, -EINVAL, "%s: 0x%zx bytes at 0x%llx lie outside RAM", request->name,
                         request->size, (unsigned long long)request->flat_address);
    }
    rc = loader_claim(image, request->name, "image", request->flat_address, request->size, err);
    if (rc < 0) {
        return rc;
    }
    loader_copy(bus, request->flat_address, request->data, request->size);
    image->info.format = MACHINE_BOOT_FLAT;
    image->state = &flat32_entry;
    image->info.entry = image->info.entry_elf = request->flat_entry;
    return loader_check_entry(request, image, image->info.entry, err);
}
