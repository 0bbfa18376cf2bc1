/* SPDX-License-Identifier: MIT */
/*
 * Kernel loading: from a file's bytes to RAM and the state in which the CPU enters it.
 *
 * loader_load() recognises the format, puts segments, modules and boot information in RAM and describes the entry; it has no other
 * effect. loader_enter() sets a freshly reset CPU to that state. Any bytes are safe as input: what is wrong with them becomes one
 * sentence in struct error. Machine thread only.
 *
 * Where things go: segments where the file says, anywhere in RAM but A0000h-FFFFFh; modules on pages behind the kernel; boot information
 * below 9FC00h where that is free, else behind the modules; the GDT, a TSS and the page tables of the 64-bit entry at F0000h, which the memory map calls
 * reserved. LOADER_STACK is where a PC BIOS has its stack; formats that leave ESP undefined get it.
 */
#ifndef IRQSCOPE_FIRMWARE_LOADER_H
#define IRQSCOPE_FIRMWARE_LOADER_H

#include "bus/bus.h"
#include "bus/error.h"
#include "cpu/cpu.h"
#include "firmware/machine.h"

#define LOADER_STACK       0x7000u
#define LOADER_INFO_LOW    0x9000u  /* boot information: between here */
#define LOADER_INFO_HIGH   0x9fc00u /* and the extended BIOS data area */
#define LOADER_HOLE_LOW    0x9fc00u /* no memory for kernels: EBDA, display, BIOS */
#define LOADER_HOLE_HIGH   0x100000u
#define LOADER_TABLES      0xf0000u /* GDT, TSS, page tables */
#define LOADER_MAX_RANGES  256
#define LOADER_MAX_MODULES 64

/* Selectors of the GDT at LOADER_TABLES. */
enum loader_selector {
    LOADER_CS32 = 0x08,
    LOADER_DS = 0x10,
    LOADER_CS64 = 0x18,
    LOADER_TSS = 0x20
};

/* The part of the CPU's state that a boot format fixes; the general registers come with the image. */
struct entry_state {
    const char *name; /* of the format, for people */
    uint64_t cr0, cr4, efer;
    uint32_t eflags;
    uint16_t cs; /* LOADER_CS32 or LOADER_CS64; the data segments are LOADER_DS, all flat */
    bool tss;    /* TR holds a 32-bit TSS; else it is as after reset */
};

struct loader_module {
    const char *name; /* for messages */
    const char *text; /* string handed to the kernel */
    const uint8_t *data;
    size_t size;
    gpa_t start; /* filled by loader_place_modules() */
};

struct loader_request {
    const char
        *name; /* of the kernel, for messages and the first word of a multiboot command line */
    const uint8_t *data;
    size_t size;
    const char *append; /* never NULL */
    struct loader_module *modules;
    unsigned nmodules;
    bool flat;
    uint64_t flat_address, flat_entry;
};

struct loader_range {
    gpa_t start, end;
};

/* A load under way, and its result. */
struct loader_image {
    struct machine_kernel_info info;
    const struct entry_state *state;
    uint64_t gpr[16]; /* at entry */
    struct loader_range used[LOADER_MAX_RANGES];
    unsigned nused;
};

/* Load; 0, -EINVAL or -ENOSPC. */
int loader_load(const struct loader_request *request, struct bus *bus, struct loader_image *image,
                struct error *err);
/* Set a freshly reset CPU to the image's entry state. */
void loader_enter(const struct loader_image *image, struct cpu *cpu);

/* ---- files (loader_file.c) ---- */

/* Read a whole file. 0 with *data (free() it) and *size; -ENOENT, -EISDIR, -EINVAL (empty, too big), -errno. */
int loader_read_file(const char *path, uint8_t **data, size_t *size, struct error *err);
/*
 * Split "file arg,file2" (",," is a comma) and read the files. Fills at most LOADER_MAX_MODULES; *n counts those filled, also on
 * failure: release with loader_free_modules().
 */
int loader_read_modules(const char *list, struct loader_module *modules, unsigned *n,
                        struct error *err);
void loader_free_modules(struct loader_module *modules, unsigned n);

/* ---- shared by the formats (loader_memory.c) ---- */

/* Entries of the memory map, as the BIOS call E820h has them. ACPI Specification 6.5, table 15.1 "Address Range Types". */
enum loader_memory_type {
    LOADER_MEMORY_RAM = 1,
    LOADER_MEMORY_RESERVED = 2
};
struct loader_memory {
    uint64_t base, len;
    uint32_t type;
};
#define LOADER_MEMORY_MAX 6
unsigned loader_memory_map(const struct bus *bus, struct loader_memory map[LOADER_MEMORY_MAX]);
/* Is all of [start, start+len) RAM that a kernel may be loaded to? */
bool loader_is_free_ram(const struct bus *bus, gpa_t start, uint64_t len);
/* Note a range; -EINVAL if it overlaps an earlier one or there are too many. what: for messages. */
int loader_claim(struct loader_image *image, const char *name, const char *what, gpa_t start,
                 uint64_t len, struct error *err);
/* Lowest free range of len bytes in [low, high) that starts at a multiple of align (a power of two); claims it. 0 = none. */
gpa_t loader_allocate(struct loader_image *image, const struct bus *bus, gpa_t low, gpa_t high,
                      uint64_t len, uint64_t align);
/* Place and copy the modules behind the kernel. -ENOSPC if they do not fit. */
int loader_place_modules(const struct loader_request *request, struct bus *bus,
                         struct loader_image *image, struct error *err);
/* A free place for boot information, below 1 MiB if there is room, and claim it. 0 = none. */
gpa_t loader_allocate_info(struct loader_image *image, const struct bus *bus, uint64_t len);
/* What the address fields of a multiboot header say. load_end 0: the rest of the file from offset on; bss_end 0: no zeros behind it. */
struct loader_addresses {
    const char *header; /* for messages */
    uint64_t offset;    /* in the file, not behind its end */
    uint64_t load, load_end, bss_end;
};
/* Load a file as they say. -EINVAL with err filled if the file is too short, or RAM is not free there. */
int loader_load_addresses(const struct loader_request *request, struct bus *bus,
                          struct loader_image *image, const struct loader_addresses *where,
                          struct error *err);
void loader_copy(struct bus *bus, gpa_t gpa, const void *data, uint64_t len);
void loader_zero(struct bus *bus, gpa_t gpa, uint64_t len);
/* Add a sentence to what the user should know. */
__attribute__((format(printf, 2, 3))) void loader_note(struct loader_image *image, const char *fmt,
                                                       ...);

/* ---- ELF (loader_elf.c) ---- */

struct loader_elf {
    bool is64;
    uint64_t entry;          /* e_entry */
    uint64_t entry_physical; /* where that is loaded */
    bool has_pvh;
    uint64_t pvh_entry;
};

bool loader_is_elf(const uint8_t *data, size_t size);
/* Check headers and read the notes; no effect on RAM. */
int loader_parse_elf(const struct loader_request *request, struct loader_elf *elf,
                     struct error *err);
/* Check and load the segments. entry_physical is right from here on. */
int loader_load_elf(const struct loader_request *request, struct bus *bus,
                    struct loader_image *image, struct loader_elf *elf, struct error *err);
/* -EINVAL if entry is in no loaded range, or above 4 GiB for an entry in 32-bit mode. */
int loader_check_entry(const struct loader_request *request, const struct loader_image *image,
                       uint64_t entry, struct error *err);

/* ---- little-endian stores and loads on bytes ---- */

static inline uint32_t loader_get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A growing buffer for boot information; a full one drops what does not fit and says so. */
struct loader_buffer {
    uint8_t *data;
    size_t size, capacity;
    bool overflow;
};
void loader_put(struct loader_buffer *b, const void *data, size_t n);
void loader_put32(struct loader_buffer *b, uint32_t v);
void loader_put64(struct loader_buffer *b, uint64_t v);
void loader_put_string(struct loader_buffer *b, const char *s); /* with its NUL */
void loader_put_align(struct loader_buffer *b, size_t align);

#endif
