/* SPDX-License-Identifier: MIT */
/*
 * ELF files: headers, notes and segments.
 *
 * System V Application Binary Interface, edition 4.1, chapters 4 "Object Files" and 5 "Program Loading and Dynamic Linking"; Intel386 and
 * AMD64 processor supplements for e_machine. Read through libelf, which checks and converts the headers; the bytes of segments and notes
 * are taken from the file by our own checked offsets.
 *
 * Modelled: ELF32 for i386 and ELF64 for x86-64, executable or shared (loaded where its physical addresses say); PT_LOAD by p_paddr;
 * an entry that is a virtual address is taken to the segment's physical one; the PVH entry note, from PT_NOTE or SHT_NOTE.
 * Not modelled: relocation, compressed or encrypted segments, x32 files.
 * Deviations: segments that overlap in memory are refused, though the ABI does not forbid them.
 */
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>

#include "firmware/loader.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define NOTE_HEADER              12

bool loader_is_elf(const uint8_t *data, size_t size)
{
    return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static bool in_file(const struct loader_request *request, uint64_t off, uint64_t len)
{
    return off <= request->size && len <= request->size - off;
}

static int open_elf(const struct loader_request *request, Elf **elf, GElf_Ehdr *eh,
                    struct error *err)
{
    if (elf_version(EV_CURRENT) == EV_NONE) {
        return error_set(err, -EINVAL, "libelf is too old");
    }
    /* libelf does not write to the image in this mode. */
    *elf = elf_memory((char *)(uintptr_t)request->data, request->size);
    if (*elf && elf_kind(*elf) == ELF_K_ELF && gelf_getehdr(*elf, eh)) {
        return 0;
    }
    const char *why = elf_errmsg(-1);
    elf_end(*elf);
    *elf = NULL;
    return error_set(err, -EINVAL, "%s: damaged or truncated ELF header (%s)", request->name,
                     why ? why : "unknown");
}

static int check_header(const struct loader_request *request, const GElf_Ehdr *eh,
                        struct error *err)
{
    const char *name = request->name;
    unsigned class = eh->e_ident[EI_CLASS];
    if (eh->e_ident[EI_DATA] != ELFDATA2LSB) {
        return error_set(err, -EINVAL, "%s: big-endian ELF, not for x86", name);
    }
    if (!(class == ELFCLASS32 && eh->e_machine == EM_386) &&
        !(class == ELFCLASS64 && eh->e_machine == EM_X86_64)) {
        return error_set(err, -EINVAL, "%s: ELF%s for machine %u, not for i386 (3) or x86-64 (62)",
                         name, class == ELFCLASS64 ? "64" : "32", (unsigned)eh->e_machine);
    }
    if (eh->e_type == ET_REL) {
        return error_set(err, -EINVAL, "%s: a relocatable object file, it must be linked first",
                         name);
    }
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN) {
        return error_set(err, -EINVAL, "%s: ELF type %u is not an executable", name,
                         (unsigned)eh->e_type);
    }
    if (!in_file(request, eh->e_phoff, (uint64_t)eh->e_phnum * eh->e_phentsize)) {
        return error_set(err, -EINVAL,
                         "%s: truncated: the program headers at 0x%llx lie behind the end of the "
                         "file (%zu bytes)",
                         name, (unsigned long long)eh->e_phoff, request->size);
    }
    return 0;
}

/* Look for the PVH entry in a run of notes. Sizes are padded to 4 bytes. */
static void scan_notes(const uint8_t *p, uint64_t size, struct loader_elf *elf)
{
    while (size >= NOTE_HEADER) {
        uint64_t namesz = loader_get32(p), descsz = loader_get32(p + 4);
        uint32_t type = loader_get32(p + 8);
        uint64_t name_room = (namesz + 3) & ~3ull, desc_room = (descsz + 3) & ~3ull;
        const uint8_t *name = p + NOTE_HEADER;
        if (name_room > size - NOTE_HEADER || descsz > size - NOTE_HEADER - name_room) {
            return;
        }
        const uint8_t *desc = name + name_room;
        if (type == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4 && memcmp(name, "Xen", 4) == 0 &&
            (descsz == 4 || descsz == 8)) {
            elf->has_pvh = true;
            elf->pvh_entry =
                loader_get32(desc) | (descsz == 8 ? (uint64_t)loader_get32(desc + 4) << 32 : 0);
            return;
        }
        uint64_t step = NOTE_HEADER + name_room + desc_room;
        if (step > size) {
            return;
        }
        p += step;
        size -= step;
    }
}

static void find_notes(const struct loader_request *request, Elf *file, struct loader_elf *elf)
{
    size_t n = 0;
    GElf_Phdr ph;
    if (elf_getphdrnum(file, &n) == 0) {
        for (size_t i = 0; i < n && !elf->has_pvh; i++) {
            if (gelf_getphdr(file, (int)i, &ph) && ph.p_type == PT_NOTE &&
                in_file(request, ph.p_offset, ph.p_filesz)) {
                scan_notes(request->data + ph.p_offset, ph.p_filesz, elf);
            }
        }
    }
    Elf_Scn *section = NULL;
    while (!elf->has_pvh && (section = elf_nextscn(file, section)) != NULL) {
        GElf_Shdr sh;
        if (gelf_getshdr(section, &sh) && sh.sh_type == SHT_NOTE &&
            in_file(request, sh.sh_offset, sh.sh_size)) {
            scan_notes(request->data + sh.sh_offset, sh.sh_size, elf);
        }
    }
}

int loader_parse_elf(const struct loader_request *request, struct loader_elf *elf,
                     struct error *err)
{
    Elf *file;
    GElf_Ehdr eh;
    int rc = open_elf(request, &file, &eh, err);
    if (rc < 0) {
        return rc;
    }
    rc = check_header(request, &eh, err);
    if (rc == 0) {
        *elf = (struct loader_elf){.is64 = eh.e_ident[EI_CLASS] == ELFCLASS64,
                                   .entry = eh.e_entry,
                                   .entry_physical = eh.e_entry};
        find_notes(request, file, elf);
    }
    elf_end(file);
    return rc;
}

static int check_segment(const struct loader_request *request, const struct bus *bus,
                         const GElf_Phdr *ph, unsigned i, struct error *err)
{
    const char *name = request->name;
    if (!in_file(request, ph->p_offset, ph->p_filesz)) {
        return error_set(err, -EINVAL,
                         "%s: truncated: segment %u needs 0x%llx bytes at offset 0x%llx, the file "
                         "has 0x%zx",
                         name, i, (unsigned long long)ph->p_filesz,
                         (unsigned long long)ph->p_offset, request->size);
    }
    if (ph->p_filesz > ph->p_memsz) {
        return error_set(err, -EINVAL, "%s: segment %u is larger in the file than in memory", name,
                         i);
    }
    if (!loader_is_free_ram(bus, ph->p_paddr, ph->p_memsz)) {
        return error_set(err, -EINVAL,
                         "%s: segment %u (0x%llx bytes at 0x%llx) lies outside RAM, which is "
                         "0-0x%x and 0x%x-0x%llx",
                         name, i, (unsigned long long)ph->p_memsz, (unsigned long long)ph->p_paddr,
                         LOADER_HOLE_LOW, LOADER_HOLE_HIGH, (unsigned long long)bus->ram_low);
    }
    return 0;
}

static int load_segment(const struct loader_request *request, struct bus *bus,
                        struct loader_image *image, struct loader_elf *elf, const GElf_Phdr *ph,
                        unsigned i, struct error *err)
{
    char what[32];
    int rc = check_segment(request, bus, ph, i, err);
    if (rc < 0) {
        return rc;
    }
    snprintf(what, sizeof(what), "segment %u", i);
    rc = loader_claim(image, request->name, what, ph->p_paddr, ph->p_memsz, err);
    if (rc < 0) {
        return rc;
    }
    loader_copy(bus, ph->p_paddr, request->data + ph->p_offset, ph->p_filesz);
    loader_zero(bus, ph->p_paddr + ph->p_filesz, ph->p_memsz - ph->p_filesz);
    if (elf->entry >= ph->p_vaddr && elf->entry - ph->p_vaddr < ph->p_memsz) {
        elf->entry_physical = elf->entry - ph->p_vaddr + ph->p_paddr;
    }
    return 0;
}

int loader_load_elf(const struct loader_request *request, struct bus *bus,
                    struct loader_image *image, struct loader_elf *elf, struct error *err)
{
    Elf *file;
    GElf_Ehdr eh;
    GElf_Phdr ph;
    size_t n = 0;
    unsigned loaded = 0;
    int rc = open_elf(request, &file, &eh, err);
    if (rc < 0) {
        return rc;
    }
    if (elf_getphdrnum(file, &n) != 0) {
        n = 0;
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (!gelf_getphdr(file, (int)i, &ph)) {
            rc = error_set(err, -EINVAL, "%s: truncated: program header %zu is missing",
                           request->name, i);
        } else if (ph.p_type == PT_INTERP) {
            rc = error_set(
                err, -EINVAL,
                "%s: a dynamically linked program (it names an interpreter), not a kernel",
                request->name);
        } else if (ph.p_type == PT_LOAD && ph.p_memsz > 0) {
            rc = load_segment(request, bus, image, elf, &ph, (unsigned)i, err);
            loaded++;
        }
    }
    elf_end(file);
    if (rc == 0 && loaded == 0) {
        rc = error_set(err, -EINVAL, "%s: the ELF file has no segments to load", request->name);
    }
    return rc;
}

int loader_check_entry(const struct loader_request *request, const struct loader_image *image,
                       uint64_t entry, struct error *err)
{
    for (unsigned i = 0; i < image->nused; i++) {
        if (entry >= image->used[i].start && entry < image->used[i].end && entry <= UINT32_MAX) {
            return 0;
        }
    }
    return error_set(err, -EINVAL, "%s: the entry point 0x%llx is in none of the loaded segments",
                     request->name, (unsigned long long)entry);
}
