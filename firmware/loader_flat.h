/* SPDX-License-Identifier: MIT */
/*
 * Kernels without a boot header: ELF files that are simply entered, and raw bytes.
 */
#ifndef IRQSCOPE_FIRMWARE_LOADER_FLAT_H
#define IRQSCOPE_FIRMWARE_LOADER_FLAT_H

#include "firmware/loader.h"

/* ELF32 and raw bytes: 32-bit protected mode, flat segments, no paging; registers 0, ESP = LOADER_STACK. */
static const struct entry_state flat32_entry = {
    .name = "32-bit flat",
    .cr0 = CR0_PE | CR0_ET,
    .eflags = EFLAGS_ONE,
    .cs = LOADER_CS32,
};
/* ELF64: long mode, the first 4 GiB mapped to themselves by 2 MiB pages; registers 0, RSP = LOADER_STACK. */
static const struct entry_state flat64_entry = {
    .name = "long mode, identity-mapped",
    .cr0 = CR0_PE | CR0_ET | CR0_PG,
    .cr4 = CR4_PAE,
    .efer = EFER_LME | EFER_LMA,
    .eflags = EFLAGS_ONE,
    .cs = LOADER_CS64,
};

int flat_load_elf(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
                  struct loader_image *image, struct error *err);
int flat_load_raw(const struct loader_request *request, struct bus *bus, struct loader_image *image,
                  struct error *err);

#endif
