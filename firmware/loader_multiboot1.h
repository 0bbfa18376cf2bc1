/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 kernels. Multiboot Specification 0.6.96.
 */
#ifndef IRQSCOPE_FIRMWARE_LOADER_MULTIBOOT1_H
#define IRQSCOPE_FIRMWARE_LOADER_MULTIBOOT1_H

#include "firmware/loader.h"

/*
 * 3.2 "Machine state". EAX = 2BADB002h, EBX = address of the information; the other registers 0, ESP = LOADER_STACK. GDTR and IDTR are
 * the specification's "undefined": ours hold the flat GDT and an IDT of empty gates.
 */
static const struct entry_state multiboot1_entry = {
    .name = "multiboot 1",
    .cr0 = CR0_PE | CR0_ET,
    .eflags = EFLAGS_ONE,
    .cs = LOADER_CS32,
};

/* Offset of the header in the file's first 8 KiB, or -1. */
long multiboot1_find(const uint8_t *data, size_t size);
/* elf: filled by loader_parse_elf(), or NULL for a file that is none (it then needs the header's address fields). */
int multiboot1_load(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
                    struct loader_image *image, struct error *err);

#endif
