/* SPDX-License-Identifier: MIT */
/*
 * The options, what their values mean, and -help.
 *
 * Names and meanings of QEMU's options are those of QEMU 7.2's manual, "Invocation". Deviations: the default machine shows serial port 0 on the
 * standard output, as there is no window; the status says how the run ended (irqscope -help).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/isa/isa_debug_exit.h"
#include "cpu/cpu.h"
#include "irqscope/options_internal.h"

#define MEMORY_MIN (2ull << 20)
#define MEMORY_MAX (64ull << 30)

#define TAKE(fn) \
    static int fn(struct options *o, const char *name, const char *value, struct error *err)
#define UNUSED_TAKE ((void)o, (void)name, (void)value, (void)err)

static bool is_help(const char *value)
{
    return strcmp(value, "help") == 0 || strcmp(value, "?") == 0;
}

TAKE(take_kernel)
{
    if (o->file) {
        return error_set(err, -EINVAL, "%s %s: one kernel is enough, and %s was given already",
                         name, value, o->file);
    }
    o->file = value;
    return 0;
}

TAKE(take_append)
{
    UNUSED_TAKE;
    o->append = value;
    return 0;
}

TAKE(take_initrd)
{
    UNUSED_TAKE;
    o->initrd = value;
    return 0;
}

TAKE(take_memory)
{
    const char *text = strncmp(value, "size=", 5) == 0 ? value + 5 : value;
    uint64_t bytes;
    if (!value_memory(text, &bytes)) {
        return error_set(err, -EINVAL, "%s %s: not a size of memory (such as 64, 512K or 2G)", name,
                         value);
    }
    if (bytes < MEMORY_MIN || bytes > MEMORY_MAX) {
        return error_set(err, -EINVAL, "%s %s: a PC has between 2 MiB and 64 GiB of memory here",
                         name, value);
    }
    if (bytes % BUS_PAGE_SIZE) {
        return error_set(err, -EINVAL, "%s %s: memory comes in pages of 4 KiB", name, value);
    }
    o->memory = bytes;
    return 0;
}

TAKE(take_cpus)
{
    const char *text = strncmp(value, "cpus=", 5) == 0 ? value + 5 : value;
    uint64_t n;
    if (!value_number(text, &n) || n == 0) {
        return error_set(err, -EINVAL, "%s %s: not a number of CPUs", name, value);
    }
    if (n > 1) {
        return error_set(err, -EINVAL, "%s %s: this build runs one CPU", name, value);
    }
    o->cpus = 1;
    return 0;
}

TAKE(take_cpu)
{
    if (is_help(value)) {
        o->list = LIST_CPUS;
        return 0;
    }
    if (strchr(value, ',')) {
        return error_set(err, -EINVAL,
                         "%s %s: this build has whole models only, without +flag and -flag", name,
                         value);
    }
    if (!cpu_model_find(value)) {
        return error_set(err, -EINVAL, "%s %s: no such CPU model; -cpu help lists them", name,
                         value);
    }
    o->cpu = value;
    return 0;
}

TAKE(take_machine)
{
    if (is_help(value)) {
        o->list = LIST_MACHINES;
        return 0;
    }
    size_t len = strcspn(value, ",");
    bool pc = (len == 2 && strncmp(value, "pc", 2) == 0) ||
              (len > 10 && strncmp(value, "pc-i440fx-", 10) == 0) ||
              strncmp(value, "accel=", 6) == 0 || strncmp(value, "type=pc", 7) == 0;
    if (!pc) {
        return error_set(err, -EINVAL, "%s %s: this build has one machine, pc", name, value);
    }
    if (strchr(value, ',') || strncmp(value, "accel=", 6) == 0) {
        options_note(o, "%s: properties of the machine mean nothing here", name);
    }
    return 0;
}

TAKE(take_serial)
{
    struct serial_option serial = {.kind = SERIAL_NULL};
    if (strcmp(value, "stdio") == 0) {
        serial.kind = SERIAL_STDIO;
    } else if (strcmp(value, "mon:stdio") == 0) {
        serial.kind = SERIAL_MON_STDIO;
    } else if (strncmp(value, "file:", 5) == 0 && value[5]) {
        serial.kind = SERIAL_FILE;
        serial.path = value + 5;
    } else if (strcmp(value, "null") != 0 && strcmp(value, "none") != 0) {
        return error_set(err, -EINVAL,
                         "%s %s: this build knows stdio, mon:stdio, null and file:NAME", name,
                         value);
    }
    if (o->nserials == OPTIONS_SERIALS) {
        return error_set(err, -EINVAL, "%s %s: a PC has %d serial ports", name, value,
                         OPTIONS_SERIALS);
    }
    for (unsigned i = 0; i < o->nserials; i++) {
        enum serial_kind kind = o->serial[i].kind;
        bool taken = kind == SERIAL_STDIO || kind == SERIAL_MON_STDIO;
        if (taken && (serial.kind == SERIAL_STDIO || serial.kind == SERIAL_MON_STDIO)) {
            return error_set(err, -EINVAL, "%s %s: serial port %u has stdio already", name, value,
                             i);
        }
    }
    if (o->nserials > 0 && serial.kind != SERIAL_NULL) {
        options_note(o, "%s: this build has one serial port, COM1; the others are silent", name);
    }
    o->serial[o->nserials++] = serial;
    return 0;
}

TAKE(take_display)
{
    UNUSED_TAKE;
    if (strcmp(value, "none") != 0) {
        options_note(o, "%s %s: there is no window here; see --screen", name, value);
    }
    return 0;
}

TAKE(take_nographic)
{
    UNUSED_TAKE;
    o->nographic = true;
    return 0;
}

TAKE(take_no_reboot)
{
    UNUSED_TAKE;
    o->no_reboot = true;
    return 0;
}

TAKE(take_nodefaults)
{
    UNUSED_TAKE;
    o->nodefaults = true;
    return 0;
}

static int take_debug_exit(struct options *o, const char *name, const char *properties,
                           struct error *err)
{
    uint64_t base = ISA_DEBUG_EXIT_BASE, size = ISA_DEBUG_EXIT_SIZE;
    while (*properties) {
        char item[64];
        size_t len = strcspn(++properties, ",");
        snprintf(item, sizeof(item), "%.*s", (int)(len < 63 ? len : 63), properties);
        uint64_t *target = strncmp(item, "iobase=", 7) == 0   ? &base
                           : strncmp(item, "iosize=", 7) == 0 ? &size
                                                              : NULL;
        if (!target || !value_number(item + 7, target)) {
            return error_set(err, -EINVAL,
                             "%s isa-debug-exit: %s: it has iobase=PORT and iosize=BYTES", name,
                             item);
        }
        properties += len;
    }
    if (base > 0xffff || size < 1 || size > 4 || base + size > 0x10000) {
        return error_set(err, -EINVAL,
                         "%s isa-debug-exit: iobase=0x%llx,iosize=%llu: 1 to 4 ports below 10000h",
                         name, (unsigned long long)base, (unsigned long long)size);
    }
    o->debug_exit = true;
    o->debug_exit_base = (uint16_t)base;
    o->debug_exit_size = (uint32_t)size;
    return 0;
}

TAKE(take_device)
{
    if (is_help(value)) {
        o->list = LIST_DEVICES;
        return 0;
    }
    size_t len = strcspn(value, ",");
    if (len == strlen("isa-debug-exit") && strncmp(value, "isa-debug-exit", len) == 0) {
        return take_debug_exit(o, name, value + len, err);
    }
    return error_set(err, -EINVAL,
                     "%s %.*s: this build has no such device; -device help lists them", name,
                     (int)len, value);
}

/* Items of QEMU's -d that mean nothing here. */
static const char *const log_items_ignored[] = {
    "out_asm", "in_asm", "op",    "op_opt", "op_ind",  "exec",   "cpu",    "fpu",
    "mmu",     "pcall",  "unimp", "page",   "nochain", "plugin", "strace", "vpu",
};

TAKE(take_log)
{
    if (is_help(value)) {
        o->list = LIST_LOG_ITEMS;
        return 0;
    }
    unsigned items = 0;
    for (const char *s = value;; s++) {
        size_t len = strcspn(s, ",");
        char item[32];
        snprintf(item, sizeof(item), "%.*s", (int)(len < 31 ? len : 31), s);
        bool ignored = strncmp(item, "trace:", 6) == 0;
        for (size_t i = 0; i < irq_array_size(log_items_ignored); i++) {
            ignored = ignored || strcmp(item, log_items_ignored[i]) == 0;
        }
        if (strcmp(item, "int") == 0) {
            items |= LOG_INT;
        } else if (strcmp(item, "cpu_reset") == 0) {
            items |= LOG_CPU_RESET;
        } else if (strcmp(item, "guest_errors") == 0) {
            items |= LOG_GUEST_ERRORS;
        } else if (ignored) {
            options_note(o, "%s %s: an item of QEMU's that means nothing here", name, item);
        } else {
            return error_set(err, -EINVAL, "%s %s: no such item: '%s'; -d help lists them", name,
                             value, item);
        }
        s += len;
        if (!*s) {
            break;
        }
    }
    o->log_items = items;
    return 0;
}

TAKE(take_log_file)
{
    UNUSED_TAKE;
    o->log_file = value;
    return 0;
}

TAKE(take_rtc)
{
    if (strncmp(value, "base=", 5) == 0) {
        const char *base = value + 5;
        size_t len = strcspn(base, ",");
        if (strncmp(base, "utc", len) == 0 || strncmp(base, "localtime", len) == 0) {
            options_note(
                o,
                "%s %s: the host's time is not visible here; the clock starts at 2024-01-01T00:00:00",
                name, value);
            return 0;
        }
        struct tm tm = {0};
        const char *end = strptime(base, "%Y-%m-%dT%H:%M:%S", &tm);
        if (!end) {
            tm = (struct tm){0};
            end = strptime(base, "%Y-%m-%d", &tm);
        }
        if (end && (*end == '\0' || *end == ',')) {
            o->rtc_epoch = (int64_t)timegm(&tm);
            return 0;
        }
    } else if (strncmp(value, "clock=", 6) == 0) {
        options_note(o, "%s %s: the clock always follows virtual time", name, value);
        return 0;
    }
    return error_set(err, -EINVAL, "%s %s: not a time such as base=2024-01-01T00:00:00", name,
                     value);
}

TAKE(take_nothing)
{
    UNUSED_TAKE;
    return 0;
}

TAKE(take_none_only)
{
    (void)o;
    if (strcmp(value, "none") == 0 || strcmp(value, "null") == 0) {
        return 0;
    }
    return error_set(err, -EINVAL, "%s %s: this build knows %s none only", name, value, name);
}

TAKE(take_note)
{
    (void)err;
    if (value) {
        options_note(o, "%s %s: accepted, and means nothing here", name, value);
    } else {
        options_note(o, "%s: accepted, and means nothing here", name);
    }
    return 0;
}

TAKE(take_record)
{
    UNUSED_TAKE;
    if (!*value) {
        return error_set(err, -EINVAL, "%s: its value is empty (FILE)", name);
    }
    o->record = value;
    return 0;
}

TAKE(take_flows)
{
    o->flows = true;
    o->flows_max = UINT64_MAX;
    if (value && (!value_number(value, &o->flows_max) || o->flows_max == 0)) {
        return error_set(err, -EINVAL, "%s=%s: not a number of flows", name, value);
    }
    return 0;
}

TAKE(take_json)
{
    UNUSED_TAKE;
    if (o->command != COMMAND_SHOW) {
        return error_set(err, -EINVAL, "%s: an option of irqscope show", name);
    }
    o->json = true;
    return 0;
}

TAKE(take_limit_insns)
{
    if (!value_number(value, &o->limit_insns) || o->limit_insns == 0) {
        return error_set(err, -EINVAL, "%s %s: not a number of instructions", name, value);
    }
    return 0;
}

TAKE(take_limit_time)
{
    if (!value_vtime(value, &o->limit_time) || o->limit_time == 0) {
        return error_set(err, -EINVAL, "%s %s: not a virtual time with its unit, ns, us, ms or s",
                         name, value);
    }
    return 0;
}

TAKE(take_timeout)
{
    if (!value_seconds(value, &o->timeout)) {
        return error_set(err, -EINVAL, "%s %s: not a number of seconds", name, value);
    }
    return 0;
}

TAKE(take_until)
{
    UNUSED_TAKE;
    if (!*value) {
        return error_set(err, -EINVAL, "%s: its value is empty (TEXT)", name);
    }
    o->until = value;
    return 0;
}

TAKE(take_screen)
{
    if (strcmp(value, "end") == 0) {
        o->screen = SCREEN_AT_END;
    } else if (strcmp(value, "never") == 0) {
        o->screen = SCREEN_NEVER;
    } else {
        return error_set(err, -EINVAL, "%s %s: it is end or never", name, value);
    }
    return 0;
}

TAKE(take_quiet)
{
    UNUSED_TAKE;
    o->quiet = true;
    return 0;
}

TAKE(take_verbose)
{
    UNUSED_TAKE;
    o->verbose = true;
    return 0;
}

TAKE(take_max_block)
{
    uint64_t n;
    if (!value_number(value, &n) || n < 1 || n > OPTIONS_MAX_BLOCK) {
        return error_set(err, -EINVAL, "%s %s: a block has 1 to %d instructions", name, value,
                         OPTIONS_MAX_BLOCK);
    }
    o->max_block = (unsigned)n;
    return 0;
}

TAKE(take_no_block_cache)
{
    UNUSED_TAKE;
    o->no_block_cache = true;
    return 0;
}

TAKE(take_help)
{
    UNUSED_TAKE;
    o->command = COMMAND_HELP;
    return 0;
}

TAKE(take_version)
{
    UNUSED_TAKE;
    o->command = COMMAND_VERSION;
    return 0;
}

#define QEMU(name, value, take, metavar, help)         \
    {                                                  \
        name, value, false, false, take, metavar, help \
    }
#define OWN(name, value, take, metavar, help)         \
    {                                                 \
        name, value, true, false, take, metavar, help \
    }
#define BOTH(name, value, take, metavar, help)       \
    {                                                \
        name, value, true, true, take, metavar, help \
    }

/* A NULL help: not listed one by one, but in the line of those that mean nothing. */
const struct option_desc options_table[] = {
    QEMU("kernel", VALUE_REQUIRED, take_kernel, "FILE",
         "kernel: ELF, multiboot 1 or 2, PVH; the same as a bare FILE"),
    QEMU("append", VALUE_REQUIRED, take_append, "TEXT", "command line of the kernel"),
    QEMU("initrd", VALUE_REQUIRED, take_initrd, "LIST",
         "modules, separated by commas, each with its arguments"),
    QEMU("m", VALUE_REQUIRED, take_memory, "SIZE",
         "memory, in MiB or with K, M or G (default 128M)"),
    QEMU("smp", VALUE_REQUIRED, take_cpus, "N", "number of CPUs: this build runs one"),
    QEMU("cpu", VALUE_REQUIRED, take_cpu, "MODEL",
         "CPU model (default " OPTIONS_CPU_MODEL "); help lists them"),
    QEMU("M", VALUE_REQUIRED, take_machine, "NAME", "machine: pc; help lists them"),
    QEMU("machine", VALUE_REQUIRED, take_machine, "NAME", "the same"),
    QEMU("serial", VALUE_REQUIRED, take_serial, "DEV",
         "serial port: stdio, mon:stdio, null or file:NAME; adds up"),
    QEMU("nographic", VALUE_NONE, take_nographic, NULL,
         "no window; -serial mon:stdio unless told otherwise"),
    QEMU("display", VALUE_REQUIRED, take_display, "none", "no window: there is none in any case"),
    QEMU("no-reboot", VALUE_NONE, take_no_reboot, NULL,
         "a reset by the guest ends the run, with status 0"),
    QEMU("device", VALUE_REQUIRED, take_device, "NAME",
         "isa-debug-exit[,iobase=PORT][,iosize=BYTES]; help lists them"),
    QEMU("rtc", VALUE_REQUIRED, take_rtc, "base=TIME",
         "time at power-on (default 2024-01-01T00:00:00)"),
    QEMU("d", VALUE_REQUIRED, take_log, "LIST",
         "QEMU's text about int, cpu_reset, guest_errors; help lists them"),
    QEMU("D", VALUE_REQUIRED, take_log_file, "FILE",
         "the text of -d goes there, not to the standard error"),
    QEMU("nodefaults", VALUE_NONE, take_nodefaults, NULL, "no default serial port"),
    QEMU("v", VALUE_NONE, take_verbose, NULL, "print the arguments as they came together"),
    QEMU("h", VALUE_NONE, take_help, NULL, NULL),
    QEMU("help", VALUE_NONE, take_help, NULL, "this text"),
    QEMU("version", VALUE_NONE, take_version, NULL, "the version"),
    OWN("record", VALUE_REQUIRED, take_record, "FILE",
        "write the record stream; irqscope show FILE reads it"),
    BOTH("flows", VALUE_OPTIONAL, take_flows, "N",
         "at the end tell each interrupt's flow (the first N)"),
    OWN("limit-insns", VALUE_REQUIRED, take_limit_insns, "N", "end after N instructions"),
    OWN("limit-time", VALUE_REQUIRED, take_limit_time, "T",
        "end at virtual time T, with its unit: 50ms, 1.5s"),
    OWN("timeout", VALUE_REQUIRED, take_timeout, "SECONDS",
        "end after so many seconds of the host"),
    OWN("until", VALUE_REQUIRED, take_until, "TEXT",
        "end, with status 0, once the serial output contains TEXT"),
    OWN("screen", VALUE_REQUIRED, take_screen, "WHEN",
        "print the guest's text screen at the end, or never"),
    BOTH("quiet", VALUE_NONE, take_quiet, NULL,
         "nothing on the standard error but errors and verdicts"),
    OWN("max-block", VALUE_REQUIRED, take_max_block, "N",
        "longest block of instructions, 1 to 63 (no effect on results)"),
    OWN("no-block-cache", VALUE_NONE, take_no_block_cache, NULL,
        "decode each block again (no effect on results)"),
    {"json", VALUE_NONE, true, true, take_json, NULL, NULL},
    QEMU("accel", VALUE_REQUIRED, take_note, "NAME", NULL),
    QEMU("enable-kvm", VALUE_NONE, take_note, NULL, NULL),
    QEMU("no-shutdown", VALUE_NONE, take_note, NULL, NULL),
    QEMU("no-user-config", VALUE_NONE, take_nothing, NULL, NULL),
    QEMU("net", VALUE_REQUIRED, take_none_only, "none", NULL),
    QEMU("nic", VALUE_REQUIRED, take_none_only, "none", NULL),
    QEMU("monitor", VALUE_REQUIRED, take_none_only, "none", NULL),
    QEMU("parallel", VALUE_REQUIRED, take_none_only, "none", NULL),
    QEMU("vga", VALUE_REQUIRED, take_note, "TYPE", NULL),
    QEMU("global", VALUE_REQUIRED, take_note, "PROPERTY", NULL),
    QEMU("name", VALUE_REQUIRED, take_note, "NAME", NULL),
    {0},
};

const char *const options_refused[] = {
    "s",        "S",        "gdb",       "drive",     "hda",       "hdb",    "hdc",    "hdd",
    "fda",      "fdb",      "cdrom",     "boot",      "bios",      "trace",  "icount", "chardev",
    "debugcon", "fw_cfg",   "netdev",    "usb",       "usbdevice", "object", "vnc",    "qmp",
    "mon",      "audiodev", "smbios",    "acpitable", "numa",      "pflash", "sd",     "mtdblock",
    "snapshot", "loadvm",   "daemonize", "pidfile",   NULL,
};

static void print_option(FILE *out, const struct option_desc *d)
{
    char left[64];
    snprintf(left, sizeof(left), "%s%s%s%s%s", d->own ? "--" : "-", d->name,
             d->value == VALUE_OPTIONAL   ? "[="
             : d->value == VALUE_REQUIRED ? " "
                                          : "",
             d->metavar ? d->metavar : "", d->value == VALUE_OPTIONAL ? "]" : "");
    fprintf(out, "%-21s %s\n", left, d->help);
}

void options_print_help(FILE *out)
{
    fputs(
        "usage: irqscope [run] [OPTIONS] [KERNEL]            run a kernel; without one, the tour\n"
        "       irqscope show FILE [--flows[=N]] [--json]    print a record stream\n"
        "\n"
        "Names are exact; one and two dashes are equal. Without -serial the output of serial port 0 goes\n"
        "to the standard output. @FILE holds arguments, and IRQSCOPE_ARGS is put before them.\n"
        "\n",
        out);
    for (const struct option_desc *d = options_table; d->name; d++) {
        if (!d->own && d->help) {
            print_option(out, d);
        }
    }
    fputs("\nirqscope's own; they also take --x=V:\n\n", out);
    for (const struct option_desc *d = options_table; d->name; d++) {
        if (d->own && d->help) {
            print_option(out, d);
        }
    }
    fputs("--json                show: JSON lines, of records or (with --flows) of flows\n"
          "\nAccepted, with no effect here:",
          out);
    for (const struct option_desc *d = options_table; d->name; d++) {
        if (!d->help && strcmp(d->name, "json") != 0 && strcmp(d->name, "h") != 0) {
            fprintf(out, " -%s%s%s", d->name, d->metavar ? " " : "", d->metavar ? d->metavar : "");
        }
    }
    fputs(
        "\n\nStatus: 0 power-off, --until met, or a reset under -no-reboot; (v << 1) | 1 isa-debug-exit;\n"
        "2 usage or set-up; 4 triple fault; 6 halted for ever; 8 a limit; 12 not modelled; 124 --timeout.\n",
        out);
}

void options_print_list(enum options_list list, FILE *out)
{
    switch (list) {
    case LIST_NONE:
        break;
    case LIST_LOG_ITEMS:
        fputs("Log items (comma separated):\n"
              "int             interrupts and exceptions, as they are delivered\n"
              "cpu_reset       the CPU's state before it is reset\n"
              "guest_errors    what the guest asked for and hardware does not do\n",
              out);
        break;
    case LIST_CPUS:
        fputs("Available CPUs:\n", out);
        for (const struct cpu_model *m = cpu_models; m->name; m++) {
            fprintf(out, "  %-16s %s\n", m->name, m->brand);
        }
        break;
    case LIST_MACHINES:
        fputs(
            "Supported machines are:\npc                   Standard PC (8259, 8254, IOAPIC, local APIC) (default)\n",
            out);
        break;
    case LIST_DEVICES:
        fputs("name \"isa-debug-exit\", bus ISA\n", out);
        break;
    }
}
