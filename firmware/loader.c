/* SPDX-License-Identifier: MIT */
/*
 * Which format is it, and how is the CPU set for it.
 *
 * Order of recognition: raw bytes on request; multiboot 1, then multiboot 2 (a kernel with both headers is entered as by loaders that
 * know only the older), then PVH, then a bare ELF. Linux bzImages ("HdrS" at 202h; Linux documentation, "The Linux/x86 Boot Protocol") and boot sectors (55AAh at
 * 510) are recognised by name, and refused.
 *
 * The flat segments, the TSS and the identity-mapped page tables of the entry states stand in memory at LOADER_TABLES, since a guest may
 * well reload a segment register before it has a GDT of its own. IDTR shows an IDT of empty gates, so that a kernel without one trips over
 * those rather than over real-mode vectors. Intel SDM Vol. 3A (order no. 325384), 3.4.5 "Segment Descriptors",
 * 4.5 "4-Level Paging and 5-Level Paging".
 *
 * Not modelled: Linux boot protocol, boot sectors, BIOS images.
 * Deviations: none known.
 */
#include "firmware/loader.h"

#include <errno.h>
#include <string.h>

#include "firmware/loader_flat.h"
#include "firmware/loader_multiboot1.h"
#include "firmware/loader_multiboot2.h"
#include "firmware/loader_pvh.h"

#define TABLES_PML4      (LOADER_TABLES + 0x1000u)
#define TABLES_PDPT      (LOADER_TABLES + 0x2000u)
#define TABLES_PD        (LOADER_TABLES + 0x3000u) /* four pages: 4 GiB */
#define TABLES_IDT       (LOADER_TABLES + 0x800u)  /* all gates empty */
#define TABLES_IDT_LIMIT 0x7ffu
#define TABLES_TSS_SIZE  0x68u
#define PTE_P_W          0x3u
#define PDE_PS           0x80u
#define PAGE_2M          0x200000u

static bool is_bzimage(const struct loader_request *r)
{
    return r->size >= 0x206 && memcmp(r->data + 0x202, "HdrS", 4) == 0;
}

static bool is_boot_sector(const struct loader_request *r)
{
    return r->size >= 512 && r->data[510] == 0x55 && r->data[511] == 0xaa;
}

static int load_other(const struct loader_request *request, struct bus *bus,
                      struct loader_image *image, struct error *err)
{
    if (is_bzimage(request)) {
        return error_set(err, -EINVAL, "%s: a Linux bzImage; this format is not supported yet",
                         request->name);
    }
    if (multiboot1_find(request->data, request->size) >= 0) {
        return multiboot1_load(request, bus, NULL, image, err);
    }
    if (multiboot2_find(request->data, request->size) >= 0) {
        return multiboot2_load(request, bus, NULL, image, err);
    }
    if (is_boot_sector(request)) {
        return error_set(err, -EINVAL,
                         "%s: a boot sector (it ends in 55AAh); disks are not supported yet",
                         request->name);
    }
    return error_set(err, -EINVAL, "%s: neither an ELF file nor one with a multiboot header",
                     request->name);
}

int loader_load(const struct loader_request *request, struct bus *bus, struct loader_image *image,
                struct error *err)
{
    struct loader_elf elf;
    memset(image, 0, sizeof(*image));
    image->gpr[REG_RSP] = LOADER_STACK;
    if (request->size == 0) {
        return error_set(err, -EINVAL, "%s: the file is empty", request->name);
    }
    if (request->flat) {
        return flat_load_raw(request, bus, image, err);
    }
    if (!loader_is_elf(request->data, request->size)) {
        return load_other(request, bus, image, err);
    }
    int rc = loader_parse_elf(request, &elf, err);
    if (rc < 0) {
        return rc;
    }
    if (multiboot1_find(request->data, request->size) >= 0) {
        rc = multiboot1_load(request, bus, &elf, image, err);
    } else if (multiboot2_find(request->data, request->size) >= 0) {
        rc = multiboot2_load(request, bus, &elf, image, err);
    } else if (elf.has_pvh) {
        rc = pvh_load(request, bus, &elf, image, err);
    } else {
        rc = flat_load_elf(request, bus, &elf, image, err);
    }
    image->info.elf_class = elf.is64 ? 64 : 32;
    return rc;
}

/* ---- entry ---- */

static void poke64(struct bus *bus, gpa_t gpa, uint64_t value)
{
    uint8_t bytes[8];
    struct loader_buffer b = {.data = bytes, .capacity = sizeof(bytes)};
    loader_put64(&b, value);
    loader_copy(bus, gpa, bytes, sizeof(bytes));
}

static void place_gdt(struct bus *bus)
{
    static const struct {
        enum loader_selector selector;
        uint64_t descriptor;
    } gdt[] = {
        {LOADER_CS32, 0x00cf9b000000ffffull},
        {LOADER_DS, 0x00cf93000000ffffull},
        {LOADER_CS64, 0x00af9b000000ffffull},
        {LOADER_TSS, 0x00008b0000000067ull}, /* base 0: see pvh_entry */
    };
    loader_zero(bus, LOADER_TABLES, BUS_PAGE_SIZE);
    for (size_t i = 0; i < irq_array_size(gdt); i++) {
        poke64(bus, LOADER_TABLES + (gpa_t)gdt[i].selector, gdt[i].descriptor);
    }
}

static void place_page_tables(struct bus *bus)
{
    loader_zero(bus, TABLES_PML4, 2 * BUS_PAGE_SIZE);
    poke64(bus, TABLES_PML4, TABLES_PDPT | PTE_P_W);
    for (unsigned i = 0; i < 4; i++) {
        poke64(bus, TABLES_PDPT + 8 * i, (TABLES_PD + i * BUS_PAGE_SIZE) | PTE_P_W);
    }
    for (unsigned i = 0; i < 4 * 512; i++) {
        poke64(bus, TABLES_PD + 8 * i, (uint64_t)i * PAGE_2M | PDE_PS | PTE_P_W);
    }
}

static struct cpu_segment flat_segment(uint16_t sel)
{
    uint16_t attr = SEG_P | SEG_S | SEG_A | SEG_W | SEG_G;
    if (sel == LOADER_CS32) {
        attr |= SEG_CODE | SEG_DB;
    } else if (sel == LOADER_CS64) {
        attr |= SEG_CODE | SEG_L;
    } else {
        attr |= SEG_DB;
    }
    return (struct cpu_segment){.limit = UINT32_MAX, .sel = sel, .attr = attr};
}

void loader_enter(const struct loader_image *image, struct cpu *cpu)
{
    const struct entry_state *state = image->state;

    place_gdt(cpu->bus);
    if (state->efer & EFER_LMA) {
        place_page_tables(cpu->bus);
        cpu->cr3 = TABLES_PML4;
    }
    cpu->cr0 = state->cr0;
    cpu->cr4 = state->cr4;
    cpu->efer = state->efer;
    cpu->long_mode = state->efer & EFER_LMA;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = flat_segment(i == SEG_CS ? state->cs : (uint16_t)LOADER_DS);
    }
    cpu->cpl = 0;
    cpu->gdtr = (struct cpu_table){.base = LOADER_TABLES, .limit = LOADER_TSS + 7};
    cpu->idtr = (struct cpu_table){.base = TABLES_IDT, .limit = TABLES_IDT_LIMIT};
    if (state->tss) {
        cpu->tr = (struct cpu_segment){
            .limit = TABLES_TSS_SIZE - 1, .sel = LOADER_TSS, .attr = SEG_P | 0xb};
    }
    memcpy(cpu->gpr, image->gpr, sizeof(image->gpr));
    cpu->rip = image->info.entry;
    cpu_set_eflags(cpu, state->eflags);
    cpu_update_mode(cpu);
    cpu_flush_tlb(cpu, true);
}
