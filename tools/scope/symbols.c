/* SPDX-License-Identifier: MIT */
/*
 * See symbols.h. Symbols are taken from .symtab, sorted by address; lines are asked of libdw when needed.
 * "Tool Interface Standard (TIS) Executable and Linking Format (ELF) Specification", version 1.2, Symbol Table.
 */
#include "scope/symbols.h"

#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct symbol {
    uint64_t addr;
    uint64_t size;
    const char *name; /* in the ELF's string table */
    uint32_t section;
    uint8_t rank; /* of several at one address the highest is shown */
};

/* Executable sections: a name does not reach past its section's end. */
struct section {
    uint64_t start, end;
    uint32_t index;
};

struct segment {
    uint64_t vaddr, paddr, size;
};

struct symbols {
    int fd;
    Elf *elf;
    Dwarf *dwarf;
    struct symbol *symbol; /* ascending by addr, then rank */
    size_t count;
    struct section *section;
    size_t nsections;
    struct segment *segment;
    size_t nsegments;
};

static int compare_symbols(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    if (x->addr != y->addr) {
        return x->addr < y->addr ? -1 : 1;
    }
    if (x->rank != y->rank) {
        return x->rank < y->rank ? -1 : 1;
    }
    return strcmp(y->name, x->name);
}

static bool in_code(const struct symbols *s, uint32_t index)
{
    for (size_t i = 0; i < s->nsections; i++) {
        if (s->section[i].index == index) {
            return true;
        }
    }
    return false;
}

static void load_sections(struct symbols *s)
{
    size_t n = 0;
    if (elf_getshdrnum(s->elf, &n) != 0 || n == 0 ||
        !(s->section = calloc(n, sizeof(*s->section)))) {
        return;
    }
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(s->elf, scn)) && s->nsections < n;) {
        GElf_Shdr shdr;
        if (gelf_getshdr(scn, &shdr) && shdr.sh_flags & SHF_EXECINSTR &&
            shdr.sh_flags & SHF_ALLOC) {
            s->section[s->nsections++] = (struct section){.start = shdr.sh_addr,
                                                          .end = shdr.sh_addr + shdr.sh_size,
                                                          .index = (uint32_t)elf_ndxscn(scn)};
        }
    }
}

static void load_segments(struct symbols *s)
{
    size_t n = 0;
    if (elf_getphdrnum(s->elf, &n) != 0 || n == 0 || n > 4096 ||
        !(s->segment = calloc(n, sizeof(*s->segment)))) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr phdr;
        if (gelf_getphdr(s->elf, (int)i, &phdr) && phdr.p_type == PT_LOAD &&
            phdr.p_vaddr != phdr.p_paddr) {
            s->segment[s->nsegments++] = (struct segment){
                .vaddr = phdr.p_vaddr, .paddr = phdr.p_paddr, .size = phdr.p_memsz};
        }
    }
}

static uint8_t rank_symbol(const GElf_Sym *sym)
{
    unsigned type = GELF_ST_TYPE(sym->st_info);
    return (uint8_t)((type == STT_FUNC ? 4 : 0) | (sym->st_size ? 2 : 0) |
                     (GELF_ST_BIND(sym->st_info) == STB_GLOBAL ? 1 : 0));
}

static void load_table(struct symbols *s, Elf_Scn *scn, const GElf_Shdr *shdr)
{
    Elf_Data *data = elf_getdata(scn, NULL);
    size_t n = shdr->sh_entsize ? (size_t)(shdr->sh_size / shdr->sh_entsize) : 0;
    if (!data || n == 0 || n > INT32_MAX) {
        return;
    }
    struct symbol *grown = realloc(s->symbol, (s->count + n) * sizeof(*grown));
    if (!grown) {
        return;
    }
    s->symbol = grown;
    for (size_t i = 0; i < n; i++) {
        GElf_Sym sym;
        if (!gelf_getsym(data, (int)i, &sym)) {
            return;
        }
        unsigned type = GELF_ST_TYPE(sym.st_info);
        const char *name = elf_strptr(s->elf, shdr->sh_link, sym.st_name);
        if ((type != STT_FUNC && type != STT_NOTYPE) || !name || !*name || name[0] == '$' ||
            !in_code(s, sym.st_shndx)) {
            continue;
        }
        s->symbol[s->count++] = (struct symbol){.addr = sym.st_value,
                                                .size = sym.st_size,
                                                .name = name,
                                                .section = sym.st_shndx,
                                                .rank = rank_symbol(&sym)};
    }
}

static void load(struct symbols *s)
{
    if (!s->elf || elf_kind(s->elf) != ELF_K_ELF) {
        return;
    }
    load_sections(s);
    load_segments(s);
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(s->elf, scn));) {
        GElf_Shdr shdr;
        if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_SYMTAB) {
            load_table(s, scn, &shdr);
        }
    }
    if (s->count) {
        qsort(s->symbol, s->count, sizeof(*s->symbol), compare_symbols);
    }
    s->dwarf = dwarf_begin_elf(s->elf, DWARF_C_READ, NULL);
}

struct symbols *symbols_open_file(const char *path)
{
    struct symbols *s = calloc(1, sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd >= 0 && elf_version(EV_CURRENT) != EV_NONE) {
        s->elf = elf_begin(s->fd, ELF_C_READ_MMAP, NULL);
        load(s);
    }
    return s;
}

struct symbols *symbols_open_memory(const void *data, size_t size)
{
    struct symbols *s = calloc(1, sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->fd = -1;
    if (size > 0 && elf_version(EV_CURRENT) != EV_NONE) {
        s->elf = elf_memory((char *)(uintptr_t)data, size);
        load(s);
    }
    return s;
}

void symbols_close(struct symbols *s)
{
    if (!s) {
        return;
    }
    dwarf_end(s->dwarf);
    elf_end(s->elf);
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->symbol);
    free(s->section);
    free(s->segment);
    free(s);
}

static const struct section *find_section(const struct symbols *s, uint64_t addr)
{
    for (size_t i = 0; i < s->nsections; i++) {
        if (addr >= s->section[i].start && addr < s->section[i].end) {
            return &s->section[i];
        }
    }
    return NULL;
}

static const struct symbol *find_symbol(const struct symbols *s, const struct section *section,
                                        uint64_t addr)
{
    size_t low = 0, high = s->count; /* the first symbol above addr */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->symbol[middle].addr <= addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* Names without a size reach to the next one; behind a sized one that has ended nothing is known. */
    const struct symbol *best = NULL;
    for (size_t i = low; i > 0 && low - i < 64; i--) {
        const struct symbol *sym = &s->symbol[i - 1];
        if (sym->section != section->index) {
            continue;
        }
        bool covers = sym->size == 0 || addr - sym->addr < sym->size;
        if (covers && sym->rank >= 4) {
            return sym; /* a function: local labels within it do not hide it */
        }
        if (covers && !best) {
            best = sym;
        }
        if (sym->rank >= 4) {
            break;
        }
    }
    return best;
}

static void find_line(const struct symbols *s, uint64_t addr, struct symbols_place *place)
{
    Dwarf_Die cu_die, *cu = s->dwarf ? dwarf_addrdie(s->dwarf, addr, &cu_die) : NULL;
    /* Not every compiler makes .debug_aranges. */
    Dwarf_Off off = 0, next;
    size_t size;
    while (s->dwarf && !cu && dwarf_nextcu(s->dwarf, off, &next, &size, NULL, NULL, NULL) == 0) {
        if (dwarf_offdie(s->dwarf, off + size, &cu_die) && dwarf_haspc(&cu_die, addr) == 1) {
            cu = &cu_die;
        }
        off = next;
    }
    Dwarf_Line *line = cu ? dwarf_getsrc_die(cu, addr) : NULL;
    const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    if (file && dwarf_lineno(line, &place->line) == 0 && place->line > 0) {
        const char *slash = strrchr(file, '/');
        place->file = slash ? slash + 1 : file;
    }
}

void symbols_find(struct symbols *s, uint64_t addr, struct symbols_place *place)
{
    *place = (struct symbols_place){0};
    if (!s) {
        return;
    }
    const struct section *section = find_section(s, addr);
    for (size_t i = 0; !section && i < s->nsegments; i++) {
        uint64_t off = addr - s->segment[i].paddr;
        if (off < s->segment[i].size) {
            section = find_section(s, s->segment[i].vaddr + off);
            if (section) {
                addr = s->segment[i].vaddr + off;
            }
        }
    }
    if (!section) {
        return;
    }
    const struct symbol *sym = find_symbol(s, section, addr);
    if (sym) {
        place->symbol = sym->name;
        place->offset = addr - sym->addr;
    }
    find_line(s, addr, place);
}

static const char *format(struct symbols *s, uint64_t addr, bool with_line, char *buf)
{
    struct symbols_place place;
    symbols_find(s, addr, &place);
    int n;
    if (!place.symbol) {
        n = snprintf(buf, SYMBOLS_TEXT, "0x%llx", (unsigned long long)addr);
    } else if (place.offset) {
        n = snprintf(buf, SYMBOLS_TEXT, "%.160s+0x%llx", place.symbol,
                     (unsigned long long)place.offset);
    } else {
        n = snprintf(buf, SYMBOLS_TEXT, "%.160s", place.symbol);
    }
    if (with_line && place.file && n > 0) {
        snprintf(buf + n, SYMBOLS_TEXT - (size_t)n, " (%.50s:%d)", place.file, place.line);
    }
    return buf;
}

const char *symbols_format(struct symbols *s, uint64_t addr, char *buf)
{
    return format(s, addr, true, buf);
}

const char *symbols_format_short(struct symbols *s, uint64_t addr, char *buf)
{
    return format(s, addr, false, buf);
}

bool symbols_lookup(const struct symbols *s, const char *name, uint64_t *addr)
{
    for (size_t i = 0; s && i < s->count; i++) {
        if (strcmp(s->symbol[i].name, name) == 0) {
            *addr = s->symbol[i].addr;
            return true;
        }
    }
    return false;
}

size_t symbols_count(const struct symbols *s)
{
    return s ? s->count : 0;
}
