/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2 kernels. Multiboot2 Specification 2.0.
 */
#ifndef IRQSCOPE_FIRMWARE_LOADER_MULTIBOOT2_H
#define IRQSCOPE_FIRMWARE_LOADER_MULTIBOOT2_H

#include "firmware/loader.h"

/*
 * 3.3 "I386 machine state". EAX = 36D76289h, EBX = address of the information; the other registers 0, ESP = LOADER_STACK.
 */
static const struct entry_state multiboot2_entry = {
    .name = "multiboot 2",
    .cr0 = CR0_PE | CR0_ET,
    .eflags = EFLAGS_ONE,
    .cs = LOADER_CS32,
};

/* Offset of the header in the file's first 32 KiB, or -1. */
long multiboot2_find(const uint8_t *data, size_t size);
/* elf as for multiboot1_load(). */
int multiboot2_load(const struct loader_request *request, struct bus *bus, struct loader_elf *elf,
                    struct loader_image *image, struct error *err);

#endif
