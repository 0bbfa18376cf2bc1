/* SPDX-License-Identifier: MIT */
/*
 * PVH kernels: ELF files with a XEN_ELFNOTE_PHYS32_ENTRY note. Xen, "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc).
 */
#ifndef IRQSCOPE_FIRMWARE_LOADER_PVH_H
#define IRQSCOPE_FIRMWARE_LOADER_PVH_H

#include "firmware/loader.h"

/*
 * "x86/HVM direct boot ABI": EBX = address of hvm_start_info, CR0.PE, flat segments, TR a 32-bit TSS of base 0 and limit 67h, EFLAGS with VM, IF
 * and TF clear; the other registers 0, ESP = LOADER_STACK.
 */
static const struct entry_state pvh_entry = {
    .name = "PVH",
    .cr0 = CR0_PE | CR0_ET,
    .eflags = EFLAGS_ONE,
    .cs = LOADER_CS32,
    .tss = true,
};

int pvh_load(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
             struct loader_image *image, struct error *err);

#endif
