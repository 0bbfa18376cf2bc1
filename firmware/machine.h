/* SPDX-License-Identifier: MIT */
/*
 * machine.h: the public face of the library. A struct machine is one PC with its kernel.
 *
 *     struct machine_config config = machine_config_default();
 *     config.kernel.path = "kernel.elf";
 *     struct machine *machine;
 *     if (machine_create(&config, &machine, &err) == 0) {
 *         struct machine_stop_info info;
 *         machine_run(machine, &info);
 *         machine_destroy(machine);
 *     }
 *
 * Any number of machines may exist; each belongs to the thread that calls it. machine_stop() alone may be called from any
 * thread and from a signal handler. Pointers in a config must stay valid for the call of machine_create() only, but for callbacks and
 * the bytes of kernel.data, which must live as long as the machine. Time is virtual, in nanoseconds since power-on.
 */
#ifndef IRQSCOPE_FIRMWARE_MACHINE_H
#define IRQSCOPE_FIRMWARE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/chardev.h"
#include "bus/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MACHINE_API_VERSION 1
#define MACHINE_NEVER       UINT64_MAX

struct irq_record; /* bus/trace.h */
struct machine;
struct pc_board; /* firmware/pc_board.h */

enum machine_stop_reason {
    MACHINE_STOP_NONE,
    MACHINE_STOP_POWER_OFF,
    MACHINE_STOP_RESET,          /* only under no_reboot; else the machine starts again */
    MACHINE_STOP_DEBUG_EXIT,     /* value = what the guest wrote */
    MACHINE_STOP_TRIPLE_FAULT,   /* but with an IDT of limit 0: RESET */
    MACHINE_STOP_HALTED_FOREVER, /* halted, and no armed source and no input can wake the CPU */
    MACHINE_STOP_LIMIT_INSNS,
    MACHINE_STOP_LIMIT_TIME,
    MACHINE_STOP_REQUEST,    /* machine_stop() */
    MACHINE_STOP_UNMODELLED, /* text says what was needed */
    MACHINE_STOP_REASONS,
};

/* How a kernel was recognised, and so in which state it is entered. */
enum machine_boot_format {
    MACHINE_BOOT_NONE,
    MACHINE_BOOT_MULTIBOOT1,
    MACHINE_BOOT_MULTIBOOT2,
    MACHINE_BOOT_PVH,
    MACHINE_BOOT_ELF32, /* no boot header: 32-bit flat mode */
    MACHINE_BOOT_ELF64, /* no boot header: long mode, first 4 GiB identity-mapped */
    MACHINE_BOOT_FLAT,  /* raw bytes at a given address, 32-bit flat mode */
};

/* A file's bytes: data if it is not NULL, else read from path. path is also the name for messages. */
struct machine_file {
    const char *path;
    const uint8_t *data;
    size_t size;
};

struct machine_config {
    size_t size; /* sizeof(struct machine_config) as the caller knows it */
    uint64_t ram_bytes;
    unsigned cpus;         /* 1 */
    const char *cpu_model; /* QEMU's name; NULL = default */
    unsigned max_block;    /* longest block in instructions; 0 = default */
    bool no_block_cache;

    struct machine_file
        kernel;         /* neither path nor data: none, the CPU stands at the reset vector */
    const char *append; /* command line; NULL = empty */
    const char *initrd; /* "file arg,file2" (a comma in a name is written twice); NULL = none */
    bool flat;          /* take the kernel as raw bytes, whatever it looks like */
    uint64_t flat_address, flat_entry;

    bool no_reboot; /* a reset ends the run */
    bool debug_exit;
    uint16_t debug_exit_iobase;
    uint32_t debug_exit_iosize;
    int64_t rtc_epoch; /* seconds since 1970 at power-on */

    uint64_t limit_insns; /* instructions in all; MACHINE_NEVER = none */
    uint64_t limit_ns;    /* virtual time; MACHINE_NEVER = none */

    struct chardev serial;     /* output of COM1 */
    struct chardev debug_port; /* output of port E9h */
    /*
     * poll: called at least once per millisecond of virtual time while the CPU runs, for machine_serial_input().
     * idle: the CPU halts. wake_ns is the virtual time at which something will wake it, or MACHINE_NEVER if only input can: then
     * the call may wait, and returns false when no input will come any more (the run then ends as halted for ever). It may return
     * early with true at any time. NULL: there is no input.
     */
    void (*poll)(void *opaque, struct machine *machine);
    bool (*idle)(void *opaque, struct machine *machine, uint64_t wake_ns);
    void *opaque; /* of poll and idle */
};

/* Registers of a CPU at an instruction's edge. */
struct machine_regs {
    uint64_t rip;
    uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8-R15 */
    uint64_t rflags;
    uint64_t cr0, cr2, cr3, cr4, efer;
    uint64_t cs_base;
    uint16_t cs, ss, ds, es, fs, gs;
    uint64_t idt_base;
    uint16_t idt_limit;
    uint8_t cpl;
    uint8_t code_bits; /* 16, 32 or 64 */
    bool halted;
};

struct machine_stop_info {
    enum machine_stop_reason reason;
    uint32_t value; /* DEBUG_EXIT */
    uint16_t cpu;
    uint64_t vtime_ns;
    uint64_t insns;
    uint64_t at_rip; /* POWER_OFF, RESET, DEBUG_EXIT: the instruction that asked; else regs.rip */
    struct machine_regs regs;
    char text[256]; /* UNMODELLED */
};

/* What was loaded, for the line "kernel.elf: ELF32, multiboot 1, entry _start; pc, 128 MiB, 1 CPU". */
struct machine_kernel_info {
    enum machine_boot_format format;
    uint8_t elf_class; /* 32, 64, 0 = not an ELF */
    uint64_t entry;    /* physical address entered */
    uint64_t
        entry_elf; /* e_entry as the file has it (what its symbols are relative to); = entry without ELF */
    uint64_t low, high; /* physical addresses used, [low, high) */
    unsigned modules;
    char note[256]; /* something the user should know, or empty */
};

/* ---- machine thread only ---- */

/* MACHINE_API_VERSION of the library. */
uint32_t machine_api_version(void);
/* 128 MiB, one CPU, no kernel, no limits, no output, RTC at 2024-01-01T00:00:00. */
struct machine_config machine_config_default(void);
/* Build the PC and load the kernel. 0, or -errno with err filled (err may be NULL) and nothing built. */
int machine_create(const struct machine_config *config, struct machine **machine,
                   struct error *err);
void machine_destroy(struct machine *machine); /* NULL is allowed */
/* The reset line: every chip as at power-on, the kernel loaded again. Time goes on. */
void machine_reset(struct machine *machine);
/*
 * Run until something ends it. After REQUEST and the LIMITs (raised) it may be called again and goes on where it stopped; after any
 * other reason only after machine_reset(). info may be NULL.
 */
enum machine_stop_reason machine_run(struct machine *machine, struct machine_stop_info *info);
/* New limits, absolute. */
void machine_set_limits(struct machine *machine, uint64_t limit_insns, uint64_t limit_ns);

void machine_get_kernel(const struct machine *machine, struct machine_kernel_info *info);
void machine_get_regs(const struct machine *machine, unsigned cpu, struct machine_regs *regs);
uint64_t machine_get_vtime(const struct machine *machine);
/* Instructions retired by cpu since power-on, delivered events and REP iterations included. */
uint64_t machine_get_insns(const struct machine *machine, unsigned cpu);
uint64_t machine_get_ram_size(const struct machine *machine);
/* "power-off", "halted-forever"...: stable, kebab-case. */
const char *machine_stop_name(enum machine_stop_reason reason);
/* "multiboot 1", "PVH"... for people. */
const char *machine_boot_format_name(enum machine_boot_format format);

/* Guest physical RAM; bytes done (stops at the first byte that is not RAM). */
size_t machine_read_memory(const struct machine *machine, uint64_t gpa, void *buf, size_t len);
size_t machine_write_memory(struct machine *machine, uint64_t gpa, const void *buf, size_t len);
/* Through cpu's present page tables, without side effects; bytes done. */
size_t machine_read_linear(const struct machine *machine, unsigned cpu, uint64_t lin, void *buf,
                           size_t len);

/*
 * Bytes for COM1; they arrive one character time (115,200 baud) apart and wait while the port has no room. Returns how many were
 * taken; the rest has no room yet. Call between runs, or from poll and idle.
 */
size_t machine_serial_input(struct machine *machine, const uint8_t *buf, size_t n);

/* Hand all records from now on to drain, in order. 0 or -ENOMEM. drain NULL ends it. */
int machine_trace_listen(struct machine *machine,
                         void (*drain)(void *opaque, const struct irq_record *recs, size_t n),
                         void *opaque);
void machine_trace_flush(struct machine *machine);
void machine_trace_mask(struct machine *machine, uint16_t kind, bool masked);

/* The chips, for tools and tests that know their headers. */
struct pc_board *machine_get_board(struct machine *machine);

/* ---- any thread, and signal handlers ---- */

/*
 * machine_run() returns MACHINE_STOP_REQUEST within a millisecond of virtual time (idle must return by itself: a signal interrupts
 * its waiting). Counts once, also when it comes before the run.
 */
void machine_stop(struct machine *machine);

#ifdef __cplusplus
}
#endif

#endif
