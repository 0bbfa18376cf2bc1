/* SPDX-License-Identifier: MIT */
/*
 * Kernel loaders on images made here, byte by byte. Expected values: Multiboot Specification 0.6.96, Multiboot2 Specification 2.0, Xen "x86/HVM
 * direct boot ABI", System V ABI chapters 4 and 5.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/loader.h"

#define RAM   (16ull << 20)
#define IMAGE 16384
#define CODE  0x1000 /* file offset of the first segment */

struct fixture {
    struct bus bus;
    struct loader_image image;
    struct loader_request request;
    struct loader_module modules[4];
    struct error err;
    uint8_t file[IMAGE];
};

static struct fixture *make(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    cr_assert(f && bus_init(&f->bus, RAM, &f->err) == 0);
    f->request = (struct loader_request){
        .name = "k.elf", .data = f->file, .size = IMAGE, .append = "", .modules = f->modules};
    return f;
}

static void drop(struct fixture *f)
{
    bus_fini(&f->bus);
    free(f);
}

static int load(struct fixture *f)
{
    memset(&f->err, 0, sizeof(f->err));
    return loader_load(&f->request, &f->bus, &f->image, &f->err);
}

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint64_t ram(struct fixture *f, gpa_t gpa, unsigned size)
{
    static const struct bus_attrs attrs = {.requester = IRQ_REQ_DEBUGGER};
    return bus_read(&f->bus, gpa, size, &attrs);
}

static const char *ram_string(struct fixture *f, gpa_t gpa)
{
    return (const char *)bus_ram_ptr(&f->bus, gpa, 1);
}

static void put_ident(uint8_t *e, uint8_t class)
{
    memcpy(e, ELFMAG, SELFMAG);
    e[EI_CLASS] = class;
    e[EI_DATA] = ELFDATA2LSB;
    e[EI_VERSION] = EV_CURRENT;
}

/* An ELF32 with `n` program headers to be filled by the caller; entry at 1 MiB. */
static Elf32_Phdr *elf32(struct fixture *f, unsigned n)
{
    Elf32_Ehdr *e = (Elf32_Ehdr *)(void *)f->file;
    put_ident(e->e_ident, ELFCLASS32);
    e->e_type = ET_EXEC;
    e->e_machine = EM_386;
    e->e_version = EV_CURRENT;
    e->e_entry = 0x100000;
    e->e_phoff = sizeof(*e);
    e->e_ehsize = sizeof(*e);
    e->e_phentsize = sizeof(Elf32_Phdr);
    e->e_phnum = (Elf32_Half)n;
    Elf32_Phdr *ph = (Elf32_Phdr *)(void *)(f->file + sizeof(*e));
    for (unsigned i = 0; i < n; i++) {
        ph[i] = (Elf32_Phdr){.p_type = PT_LOAD,
                             .p_offset = CODE,
                             .p_vaddr = 0x100000,
                             .p_paddr = 0x100000,
                             .p_filesz = 0x100,
                             .p_memsz = 0x2000,
                             .p_flags = PF_R | PF_X};
    }
    memset(f->file + CODE, 0x90, 0x100);
    return ph;
}

static Elf64_Phdr *elf64(struct fixture *f, unsigned n)
{
    Elf64_Ehdr *e = (Elf64_Ehdr *)(void *)f->file;
    put_ident(e->e_ident, ELFCLASS64);
    e->e_type = ET_EXEC;
    e->e_machine = EM_X86_64;
    e->e_version = EV_CURRENT;
    e->e_entry = 0x100010;
    e->e_phoff = sizeof(*e);
    e->e_ehsize = sizeof(*e);
    e->e_phentsize = sizeof(Elf64_Phdr);
    e->e_phnum = (Elf64_Half)n;
    Elf64_Phdr *ph = (Elf64_Phdr *)(void *)(f->file + sizeof(*e));
    for (unsigned i = 0; i < n; i++) {
        ph[i] = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_offset = CODE,
                             .p_vaddr = 0x100000,
                             .p_paddr = 0x100000,
                             .p_filesz = 0x100,
                             .p_memsz = 0x2000,
                             .p_flags = PF_R | PF_X};
    }
    memset(f->file + CODE, 0x90, 0x100);
    return ph;
}

static void multiboot1_header(struct fixture *f, size_t at, uint32_t flags)
{
    put32(f->file + at, 0x1badb002);
    put32(f->file + at + 4, flags);
    put32(f->file + at + 8, 0u - 0x1badb002 - flags);
}

static void expect_error(struct fixture *f, int code, const char *part)
{
    int rc = load(f);
    cr_assert_eq(rc, code, "got %d: %s", rc, f->err.text);
    cr_assert(strncmp(f->err.text, "k.elf: ", 7) == 0, "names no file: %s", f->err.text);
    cr_assert(strstr(f->err.text, part), "'%s' is not in: %s", part, f->err.text);
}

Test(loader, multiboot1_elf32_is_loaded_and_entered_at_its_entry)
{
    struct fixture *f = make();
    elf32(f, 1);
    multiboot1_header(f, CODE, 3);
    memset(bus_ram_ptr(&f->bus, 0x100000, 0x2000), 0xee, 0x2000);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_MULTIBOOT1);
    cr_expect_eq(f->image.info.elf_class, 32);
    cr_expect_eq(f->image.info.entry, 0x100000);
    cr_expect_eq(f->image.info.low, 0x100000);
    cr_expect_eq(f->image.info.high, 0x102000);
    cr_expect_eq(f->image.gpr[REG_RAX], 0x2badb002); /* 3.2 "Machine state" */
    cr_expect_eq(ram(f, 0x1000f0, 4), 0x90909090);
    cr_expect_eq(ram(f, 0x100100, 8), 0, "the rest of the segment is zeroed");
    cr_expect_eq(ram(f, 0x101ff8, 8), 0);
    drop(f);
}

Test(loader, multiboot1_information_tells_memory_modules_and_command_line)
{
    struct fixture *f = make();
    static const uint8_t bytes[5000] = {1, 2, 3};
    elf32(f, 1);
    multiboot1_header(f, CODE, 3);
    f->request.append = "a=1 b";
    f->modules[0] =
        (struct loader_module){.name = "m0", .text = "m0 x y", .data = bytes, .size = 5000};
    f->modules[1] = (struct loader_module){.name = "m1", .text = "m1", .data = bytes, .size = 3};
    f->request.nmodules = 2;
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    gpa_t info = f->image.gpr[REG_RBX];
    cr_assert(info >= LOADER_INFO_LOW && info < LOADER_INFO_HIGH);
    cr_expect_eq(ram(f, info, 4), 0x24d);         /* 3.3: memory, cmdline, mods, mmap, name */
    cr_expect_eq(ram(f, info + 4, 4), 639);       /* KiB below the EBDA */
    cr_expect_eq(ram(f, info + 8, 4), 15 * 1024); /* KiB from 1 MiB on */
    cr_expect_str_eq(ram_string(f, ram(f, info + 16, 4)), "k.elf a=1 b");
    cr_expect_eq(ram(f, info + 20, 4), 2);
    gpa_t mods = ram(f, info + 24, 4);
    cr_expect_eq(ram(f, mods, 4), 0x102000);
    cr_expect_eq(ram(f, mods + 4, 4), 0x102000 + 5000);
    cr_expect_str_eq(ram_string(f, ram(f, mods + 8, 4)), "m0 x y");
    cr_expect_eq(ram(f, mods + 16, 4), 0x104000, "modules start on pages");
    cr_expect_str_eq(ram_string(f, ram(f, mods + 24, 4)), "m1");
    cr_expect_eq(ram(f, 0x102000, 4), 0x00030201);
    cr_expect_str_eq(ram_string(f, ram(f, info + 64, 4)), "irqscope");
    drop(f);
}

Test(loader, multiboot1_memory_map_is_that_of_a_pc)
{
    static const uint64_t expected[][3] = {
        {0, 0x9fc00, 1},         {0x9fc00, 0x400, 2},        {0xf0000, 0x10000, 2},
        {0x100000, 0xf00000, 1}, {0xfec00000, 0x1400000, 2},
    };
    struct fixture *f = make();
    elf32(f, 1);
    multiboot1_header(f, CODE, 3);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    gpa_t info = f->image.gpr[REG_RBX];
    gpa_t at = ram(f, info + 48, 4), end = at + ram(f, info + 44, 4);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_lt(at, end);
        cr_expect_eq(ram(f, at + 4, 8), expected[i][0]);
        cr_expect_eq(ram(f, at + 12, 8), expected[i][1]);
        cr_expect_eq(ram(f, at + 20, 4), expected[i][2]);
        at += 4 + ram(f, at, 4); /* "size" does not count itself */
    }
    cr_expect_eq(at, end);
    drop(f);
}

Test(loader, multiboot1_address_fields_load_a_file_that_is_no_elf)
{
    struct fixture *f = make();
    multiboot1_header(f, 0x40, 0x10003);
    put32(f->file + 0x40 + 12, 0x200040); /* header_addr */
    put32(f->file + 0x40 + 16, 0x200020); /* load_addr: file offset 20h */
    put32(f->file + 0x40 + 20, 0x200120); /* load_end_addr */
    put32(f->file + 0x40 + 24, 0x201000); /* bss_end_addr */
    put32(f->file + 0x40 + 28, 0x200080); /* entry_addr */
    f->file[0x20] = 0x11;
    f->file[0x11f] = 0x22;
    f->file[0x120] = 0x33;
    memset(bus_ram_ptr(&f->bus, 0x200000, 0x1000), 0xee, 0x1000);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.elf_class, 0);
    cr_expect_eq(f->image.info.entry, 0x200080);
    cr_expect_eq(ram(f, 0x20001f, 1), 0xee);
    cr_expect_eq(ram(f, 0x200020, 1), 0x11);
    cr_expect_eq(ram(f, 0x20011f, 1), 0x22);
    cr_expect_eq(ram(f, 0x200120, 1), 0, "zeroed up to bss_end_addr");
    cr_expect_eq(ram(f, 0x200fff, 1), 0);
    drop(f);
}

Test(loader, multiboot1_header_behind_8_kib_is_not_found)
{
    struct fixture *f = make();
    Elf32_Phdr *ph = elf32(f, 1);
    ph->p_filesz = 0x2000;
    ph->p_memsz = 0x2000;
    multiboot1_header(f, 8192 - 12, 0);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_MULTIBOOT1, "the last place that counts");
    memset(f->file + 8192 - 12, 0, 12);
    multiboot1_header(f, 8192 - 8, 0);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_ELF32);
    drop(f);
}

Test(loader, multiboot1_elf64_is_entered_in_32_bit_mode_at_the_physical_entry)
{
    struct fixture *f = make();
    Elf64_Phdr *ph = elf64(f, 1);
    ((Elf64_Ehdr *)(void *)f->file)->e_entry = 0xffffffff80000010;
    ph->p_vaddr = 0xffffffff80000000;
    multiboot1_header(f, CODE, 0);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.entry, 0x100010);
    cr_expect_eq(f->image.info.entry_elf, 0xffffffff80000010);
    cr_expect_eq(f->image.state->cs, LOADER_CS32);
    cr_expect(strstr(f->image.info.note, "ELF64"));
    drop(f);
}

Test(loader, boot_information_avoids_a_kernel_in_low_memory)
{
    struct fixture *f = make();
    Elf32_Phdr *ph = elf32(f, 2);
    ph[1].p_vaddr = ph[1].p_paddr = 0x1000;
    ph[1].p_memsz = 0x9e000;
    multiboot1_header(f, CODE, 0);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_geq(f->image.gpr[REG_RBX], 0x9f000);
    ph[1].p_memsz = LOADER_INFO_HIGH - 0x1000;
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_geq(f->image.gpr[REG_RBX], 0x102000, "no room there: behind the kernel");
    drop(f);
}

static size_t multiboot2_tag(struct fixture *f, size_t at, uint16_t type, uint32_t size)
{
    put32(f->file + at, type);
    put32(f->file + at + 4, size);
    return at + ((size + 7) & ~7u);
}

static void multiboot2_header(struct fixture *f, size_t at, uint32_t length)
{
    put32(f->file + at, 0xe85250d6);
    put32(f->file + at + 4, 0);
    put32(f->file + at + 8, length);
    put32(f->file + at + 12, 0u - 0xe85250d6 - length);
}

static gpa_t multiboot2_find_tag(struct fixture *f, uint32_t type)
{
    gpa_t info = f->image.gpr[REG_RBX], at = info + 8, end = info + ram(f, info, 4);
    while (at < end) {
        if (ram(f, at, 4) == type) {
            return at;
        }
        cr_assert_geq(ram(f, at + 4, 4), 8);
        at += (ram(f, at + 4, 4) + 7) & ~7ull;
    }
    return 0;
}

Test(loader, multiboot2_information_is_a_walkable_list_of_tags)
{
    struct fixture *f = make();
    static const uint8_t bytes[10] = {0xab};
    elf32(f, 1);
    multiboot2_tag(f, CODE + 16, 0, 8);
    multiboot2_header(f, CODE, 24);
    f->request.append = "quiet";
    f->modules[0] = (struct loader_module){.name = "m", .text = "m z", .data = bytes, .size = 10};
    f->request.nmodules = 1;
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_MULTIBOOT2);
    cr_expect_eq(f->image.gpr[REG_RAX], 0x36d76289); /* 3.3 "I386 machine state" */
    gpa_t info = f->image.gpr[REG_RBX];
    cr_expect_eq(info % 8, 0);
    gpa_t cmdline = multiboot2_find_tag(f, 1), module = multiboot2_find_tag(f, 3);
    gpa_t memory = multiboot2_find_tag(f, 4), mmap = multiboot2_find_tag(f, 6);
    cr_assert(cmdline && module && memory && mmap && multiboot2_find_tag(f, 2));
    cr_expect_str_eq(ram_string(f, cmdline + 8), "k.elf quiet");
    cr_expect_eq(ram(f, module + 8, 4), 0x102000);
    cr_expect_eq(ram(f, module + 12, 4), 0x10200a);
    cr_expect_str_eq(ram_string(f, module + 16), "m z");
    cr_expect_eq(ram(f, memory + 8, 4), 639);
    cr_expect_eq(ram(f, mmap + 8, 4), 24);
    cr_expect_eq(ram(f, mmap + 4, 4), 16 + 5 * 24);
    gpa_t end = info + ram(f, info, 4) - 8;
    cr_expect_eq(ram(f, end, 8), 0x0000000800000000, "the end tag stands last");
    drop(f);
}

Test(loader, multiboot2_address_and_entry_tags_replace_the_elf_headers)
{
    struct fixture *f = make();
    size_t at = 16;
    put32(f->file + at + 8, 0x300000);  /* header_addr */
    put32(f->file + at + 12, 0x300000); /* load_addr */
    put32(f->file + at + 16, 0);        /* to the end of the file */
    put32(f->file + at + 20, 0);
    at = multiboot2_tag(f, at, 2, 24);
    put32(f->file + at + 8, 0x300100);
    at = multiboot2_tag(f, at, 3, 12);
    at = multiboot2_tag(f, at, 0, 8);
    multiboot2_header(f, 0, (uint32_t)at);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.entry, 0x300100);
    cr_expect_eq(ram(f, 0x300000, 4), 0xe85250d6);
    cr_expect_eq(f->image.info.high, 0x300000 + IMAGE);
    drop(f);
}

Test(loader, multiboot2_required_but_unknown_tag_is_refused_by_number)
{
    struct fixture *f = make();
    elf32(f, 1);
    size_t at = multiboot2_tag(f, CODE + 16, 99, 8);
    multiboot2_tag(f, at, 0, 8);
    multiboot2_header(f, CODE, 32);
    expect_error(f, -EINVAL, "tag 99");
    f->file[CODE + 16 + 2] = 1; /* optional */
    cr_expect_eq(load(f), 0, "%s", f->err.text);
    drop(f);
}

static void pvh_note(struct fixture *f, Elf64_Phdr *ph, uint64_t entry)
{
    uint8_t *note = f->file + 0x2000;
    ph->p_type = PT_NOTE;
    ph->p_offset = 0x2000;
    ph->p_filesz = 24;
    put32(note, 4);
    put32(note + 4, 8);
    put32(note + 8, 18); /* XEN_ELFNOTE_PHYS32_ENTRY */
    memcpy(note + 12, "Xen", 4);
    memcpy(note + 16, &entry, 8);
}

Test(loader, pvh_note_gives_the_entry_and_start_info_the_rest)
{
    struct fixture *f = make();
    static const uint8_t bytes[10] = {0xcd};
    Elf64_Phdr *ph = elf64(f, 2);
    pvh_note(f, &ph[1], 0x100020);
    f->request.append = "console=com1";
    f->modules[0] = (struct loader_module){.name = "i", .text = "i r", .data = bytes, .size = 10};
    f->request.nmodules = 1;
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_PVH);
    cr_expect_eq(f->image.info.entry, 0x100020);
    cr_expect_eq(f->image.state->cs, LOADER_CS32);
    cr_expect(f->image.state->tss);
    gpa_t info = f->image.gpr[REG_RBX];
    cr_expect_eq(ram(f, info, 4), 0x336ec578);
    cr_expect_eq(ram(f, info + 4, 4), 1);
    cr_expect_eq(ram(f, info + 12, 4), 1);
    gpa_t module = ram(f, info + 16, 8);
    cr_expect_eq(ram(f, module, 8), 0x102000);
    cr_expect_eq(ram(f, module + 8, 8), 10);
    cr_expect_str_eq(ram_string(f, ram(f, module + 16, 8)), "r");
    cr_expect_str_eq(ram_string(f, ram(f, info + 24, 8)), "console=com1");
    gpa_t mmap = ram(f, info + 40, 8);
    cr_expect_eq(ram(f, info + 48, 4), 5);
    cr_expect_eq(ram(f, mmap + 3 * 24, 8), 0x100000);
    drop(f);
}

Test(loader, elf_without_a_header_starts_by_its_class_with_a_note)
{
    struct fixture *f = make();
    elf32(f, 1);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_ELF32);
    cr_expect_eq(f->image.state->efer, 0);
    cr_expect(strstr(f->image.info.note, "no boot header"));
    memset(f->file, 0, IMAGE);
    elf64(f, 1);
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.format, MACHINE_BOOT_ELF64);
    cr_expect_eq(f->image.state->efer, EFER_LME | EFER_LMA);
    cr_expect_eq(f->image.info.entry, 0x100010);
    drop(f);
}

Test(loader, flat_bytes_load_only_on_request)
{
    struct fixture *f = make();
    memset(f->file, 0xf4, IMAGE);
    expect_error(f, -EINVAL, "neither an ELF file");
    f->request.flat = true;
    f->request.flat_address = 0x100000;
    f->request.flat_entry = 0x100004;
    cr_assert_eq(load(f), 0, "%s", f->err.text);
    cr_expect_eq(f->image.info.entry, 0x100004);
    cr_expect_eq(ram(f, 0x100000 + IMAGE - 1, 1), 0xf4);
    f->request.flat_entry = 0x90000;
    expect_error(f, -EINVAL, "entry point 0x90000");
    f->request.flat_address = RAM - 1;
    expect_error(f, -EINVAL, "outside RAM");
    drop(f);
}

Test(loader, other_formats_are_refused_by_name)
{
    struct fixture *f = make();
    f->file[510] = 0x55;
    f->file[511] = 0xaa;
    f->request.size = 512;
    expect_error(f, -EINVAL, "boot sector");
    f->request.size = IMAGE;
    memcpy(f->file + 0x202, "HdrS", 4);
    expect_error(f, -EINVAL, "bzImage");
    f->request.size = 0;
    expect_error(f, -EINVAL, "empty");
    drop(f);
}

Test(loader, bad_elf_headers_are_told_apart)
{
    struct fixture *f = make();
    elf32(f, 1);
    Elf32_Ehdr *e = (Elf32_Ehdr *)(void *)f->file;
    f->request.size = 40;
    expect_error(f, -EINVAL, "truncated");
    f->request.size = IMAGE;
    e->e_machine = EM_ARM;
    expect_error(f, -EINVAL, "machine 40");
    e->e_machine = EM_X86_64; /* x32 */
    expect_error(f, -EINVAL, "machine 62");
    e->e_machine = EM_386;
    e->e_type = ET_REL;
    expect_error(f, -EINVAL, "relocatable");
    e->e_type = ET_CORE;
    expect_error(f, -EINVAL, "not an executable");
    e->e_type = ET_EXEC;
    e->e_phnum = 0;
    expect_error(f, -EINVAL, "no segments");
    e->e_phnum = 1;
    e->e_phoff = IMAGE - 8;
    expect_error(f, -EINVAL, "truncated");
    e->e_phoff = sizeof(*e);
    e->e_entry = 0x500000;
    expect_error(f, -EINVAL, "entry point 0x500000");
    drop(f);
}

Test(loader, dynamically_linked_program_is_refused)
{
    struct fixture *f = make();
    Elf32_Phdr *ph = elf32(f, 2);
    ph[1].p_type = PT_INTERP;
    expect_error(f, -EINVAL, "dynamically linked");
    drop(f);
}

Test(loader, bad_segments_are_told_apart)
{
    struct fixture *f = make();
    Elf32_Phdr *ph = elf32(f, 2);
    expect_error(f, -EINVAL, "segment 1 at 0x100000-0x102000 overlaps 0x100000-0x102000");
    ph[1].p_paddr = 0x101fff;
    expect_error(f, -EINVAL, "overlaps");
    ph[1].p_paddr = 0x102000;
    cr_expect_eq(load(f), 0, "%s", f->err.text);
    ph[1].p_offset = IMAGE - 0xff;
    expect_error(f, -EINVAL, "truncated: segment 1");
    ph[1].p_offset = CODE;
    ph[1].p_filesz = 0x2001;
    expect_error(f, -EINVAL, "larger in the file");
    ph[1].p_filesz = 0x100;
    ph[1].p_paddr = (uint32_t)RAM - 0x1fff;
    expect_error(f, -EINVAL, "outside RAM");
    ph[1].p_paddr = 0x9f000; /* runs into the EBDA */
    expect_error(f, -EINVAL, "outside RAM");
    ph[1].p_paddr = 0xfee00000;
    expect_error(f, -EINVAL, "outside RAM");
    ph[1].p_paddr = 0xffffff00; /* passes 4 GiB */
    expect_error(f, -EINVAL, "outside RAM");
    ph[1].p_paddr = 0x200000;
    ph[1].p_memsz = 0xffffffff;
    expect_error(f, -EINVAL, "outside RAM");
    drop(f);
}

Test(loader, bad_multiboot1_headers_are_told_apart)
{
    struct fixture *f = make();
    multiboot1_header(f, 0, 0);
    expect_error(f, -EINVAL, "no load addresses");
    multiboot1_header(f, 0, 0x10008);
    expect_error(f, -EINVAL, "features 0x8");
    multiboot1_header(f, 0, 0x10000);
    put32(f->file + 12, 0x100000);
    put32(f->file + 16, 0x100004);
    expect_error(f, -EINVAL, "does not agree");
    put32(f->file + 16, 0x0ffff0); /* 16 bytes before the file's start */
    expect_error(f, -EINVAL, "does not agree");
    put32(f->file + 16, 0x100000);
    put32(f->file + 20, 0x100000 + IMAGE + 1);
    expect_error(f, -EINVAL, "truncated");
    put32(f->file + 20, 0);
    put32(f->file + 24, 0xfffff000);
    expect_error(f, -EINVAL, "outside RAM");
    put32(f->file + 24, 0);
    put32(f->file + 28, 0);
    expect_error(f, -EINVAL, "entry point 0x0");
    drop(f);
}

Test(loader, modules_that_do_not_fit_are_refused)
{
    struct fixture *f = make();
    static uint8_t bytes[RAM];
    elf32(f, 1);
    multiboot1_header(f, CODE, 0);
    f->modules[0] =
        (struct loader_module){.name = "big", .text = "big", .data = bytes, .size = RAM - 0x102000};
    f->request.nmodules = 1;
    cr_expect_eq(load(f), 0, "fits exactly: %s", f->err.text);
    f->modules[0].size++;
    cr_expect_eq(load(f), -ENOSPC);
    cr_expect(strncmp(f->err.text, "big: ", 5) == 0, "%s", f->err.text);
    memset(f->file + CODE, 0, 12);
    cr_expect_eq(load(f), -EINVAL, "a bare ELF could not find its modules");
    drop(f);
}

/* Every prefix of a good image, and every single byte of its headers set to 0xff: an answer, and no more than that. */
Test(loader, damaged_images_are_survived)
{
    struct fixture *f = make();
    Elf64_Phdr *ph = elf64(f, 2);
    pvh_note(f, &ph[1], 0x100020);
    unsigned good = 0, bad = 0;
    for (size_t n = 1; n <= IMAGE; n += n < 0x200 ? 1 : 61) {
        uint8_t *copy = malloc(n); /* of the exact size, for the sanitizer */
        memcpy(copy, f->file, n);
        f->request.data = copy;
        f->request.size = n;
        *(load(f) == 0 ? &good : &bad) += 1;
        free(copy);
    }
    cr_expect_gt(good, 0);
    cr_expect_gt(bad, 0x100);
    f->request.data = f->file;
    f->request.size = IMAGE;
    for (size_t i = 0; i < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr); i++) {
        uint8_t was = f->file[i];
        f->file[i] = 0xff;
        load(f);
        f->file[i] = was;
    }
    cr_expect_eq(load(f), 0, "%s", f->err.text);
    drop(f);
}

Test(loader_file, missing_empty_and_directory_are_told_apart)
{
    char dir[] = "/tmp/irqscope-test-XXXXXX", path[64];
    uint8_t *data = NULL;
    size_t size = 0;
    struct error err;
    cr_assert(mkdtemp(dir));
    cr_expect_eq(loader_read_file("/nonexistent/kernel", &data, &size, &err), -ENOENT);
    cr_expect(strstr(err.text, "/nonexistent/kernel"));
    cr_expect_eq(loader_read_file(dir, &data, &size, &err), -EISDIR);
    cr_expect(strstr(err.text, "directory"));
    snprintf(path, sizeof(path), "%s/f", dir);
    FILE *out = fopen(path, "w");
    cr_assert(out);
    cr_expect_eq(loader_read_file(path, &data, &size, &err), -EINVAL);
    cr_expect(strstr(err.text, "empty"));
    fputs("abc", out);
    fclose(out);
    cr_assert_eq(loader_read_file(path, &data, &size, &err), 0);
    cr_expect(size == 3 && memcmp(data, "abc", 3) == 0);
    free(data);
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(loader_read_file(path, &data, &size, &err), -EINVAL, "does not wait for a writer");
    unlink(path);
    rmdir(dir);
}

Test(loader_file, module_list_is_split_at_single_commas)
{
    char dir[] = "/tmp/irqscope-test-XXXXXX", path[64], list[256];
    struct loader_module modules[LOADER_MAX_MODULES];
    struct error err;
    unsigned n = 0;
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a,b", dir);
    FILE *out = fopen(path, "w");
    cr_assert(out);
    fputs("xy", out);
    fclose(out);
    snprintf(list, sizeof(list), "%s/a,,b one, %s/a,,b", dir, dir);
    cr_expect_eq(loader_read_modules(list, modules, &n, &err), -EINVAL, "an empty name");
    cr_expect_eq(n, 1);
    loader_free_modules(modules, n);
    snprintf(list, sizeof(list), "%s/a,,b one two,%s/a,,b", dir, dir);
    cr_assert_eq(loader_read_modules(list, modules, &n, &err), 0, "%s", err.text);
    cr_assert_eq(n, 2);
    cr_expect_str_eq(modules[0].name, path);
    cr_expect_str_eq(modules[0].text + strlen(path), " one two");
    cr_expect_eq(modules[1].size, 2);
    loader_free_modules(modules, n);
    unlink(path);
    rmdir(dir);
}
