/* SPDX-License-Identifier: MIT */
/*
 * The command line's grammar: tools/irqscope/options.h.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "irqscope/options.h"

#define WORDS 24

static struct options o;
static struct error err;

static void forget(void)
{
    options_fini(&o);
}

TestSuite(options, .fini = forget);

/* Parse the words of line, separated by single spaces. */
static int parse_env(const char *line, const char *env)
{
    static char copy[512];
    char *argv[WORDS];
    int argc = 0;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word && argc < WORDS; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    err.text[0] = '\0';
    return options_parse(&o, argc, argv, env, &err);
}

static void accept(const char *line)
{
    cr_assert_eq(parse_env(line, NULL), 0, "%s: %s", line, err.text);
}

/* The line is refused, with exactly this sentence. */
static void refuse(const char *line, const char *sentence)
{
    cr_expect_lt(parse_env(line, NULL), 0, "%s", line);
    cr_expect_str_eq(err.text, sentence);
    options_fini(&o);
}

Test(options, defaults)
{
    accept("irqscope");
    cr_expect_eq(o.command, COMMAND_RUN);
    cr_expect_null(o.file);
    cr_expect_eq(o.memory, 128ull << 20);
    cr_expect_eq(o.cpus, 1);
    cr_expect_eq(o.nserials, 0);
    cr_expect_eq(o.limit_insns, UINT64_MAX);
    cr_expect_eq(o.limit_time, VTIME_NEVER);
    cr_expect_eq(o.max_block, 63);
    cr_expect_eq(o.screen, SCREEN_AT_END);
    cr_expect_not(o.flows);
}

Test(options, subcommand_is_the_exact_first_word)
{
    accept("irqscope run k.elf");
    cr_expect_str_eq(o.file, "k.elf");
    options_fini(&o);
    accept("irqscope runs");
    cr_expect_eq(o.command, COMMAND_RUN);
    cr_expect_str_eq(o.file, "runs");
    options_fini(&o);
    accept("irqscope show t.irq --flows --json");
    cr_expect_eq(o.command, COMMAND_SHOW);
    cr_expect_str_eq(o.file, "t.irq");
    cr_expect(o.flows && o.json);
    options_fini(&o);
    accept("irqscope -m 64 show");
    cr_expect_str_eq(o.file, "show");
}

Test(options, under_a_qemu_name_it_is_always_run)
{
    accept("/usr/bin/qemu-system-x86_64 -kernel show");
    cr_expect_str_eq(o.file, "show");
    options_fini(&o);
    cr_expect_lt(parse_env("qemu-system-i386 run", NULL), 0);
    cr_expect_not_null(strstr(err.text, "run: under this name a bare file is a disk image"));
}

Test(options, one_and_two_dashes_are_equal)
{
    accept("irqscope --kernel a --append x -flows -limit-insns 5 --m 64");
    cr_expect_str_eq(o.file, "a");
    cr_expect_str_eq(o.append, "x");
    cr_expect(o.flows);
    cr_expect_eq(o.limit_insns, 5);
    cr_expect_eq(o.memory, 64ull << 20);
}

Test(options, values_with_equals_are_for_our_own_only)
{
    accept("irqscope --limit-time=50ms --until=a=b --flows=3 --screen=never");
    cr_expect_eq(o.limit_time, 50000000);
    cr_expect_str_eq(o.until, "a=b");
    cr_expect_eq(o.flows_max, 3);
    cr_expect_eq(o.screen, SCREEN_NEVER);
    options_fini(&o);
    refuse("irqscope -m=64", "-m=64: the value of -m is the next argument");
    refuse("irqscope --quiet=1", "--quiet=1: --quiet takes no value");
}

Test(options, an_optional_value_comes_with_equals_only)
{
    accept("irqscope --flows 3");
    cr_expect(o.flows);
    cr_expect_eq(o.flows_max, UINT64_MAX);
    cr_expect_str_eq(o.file, "3");
    options_fini(&o);
    refuse("irqscope --flows=", "--flows=: not a number of flows");
    refuse("irqscope --flows=0", "--flows=0: not a number of flows");
}

Test(options, no_prefixes_and_no_bundling)
{
    refuse("irqscope -kern a", "unknown option -kern; did you mean -kernel?");
    refuse("irqscope --limit-inns 4", "unknown option --limit-inns; did you mean --limit-insns?");
    refuse("irqscope -m64", "unknown option -m64; irqscope -help lists all");
    refuse("irqscope --frobnicate", "unknown option --frobnicate; irqscope -help lists all");
}

Test(options, qemu_options_of_later_are_refused_by_name)
{
    refuse("irqscope -hda disk.img", "-hda: an option of QEMU that this build does not have");
    refuse("irqscope -s", "-s: an option of QEMU that this build does not have");
}

Test(options, the_last_scalar_wins_and_lists_add_up)
{
    accept("irqscope -m 32 -serial null -m 1G -serial file:log -no-reboot k");
    cr_expect_eq(o.memory, 1ull << 30);
    cr_expect_eq(o.nserials, 2);
    cr_expect_eq(o.serial[0].kind, SERIAL_NULL);
    cr_expect_eq(o.serial[1].kind, SERIAL_FILE);
    cr_expect_str_eq(o.serial[1].path, "log");
    cr_expect(o.no_reboot);
    options_fini(&o);
    refuse("irqscope -serial stdio -serial mon:stdio",
           "-serial mon:stdio: serial port 0 has stdio already");
    refuse("irqscope -serial pty",
           "-serial pty: this build knows stdio, mon:stdio, null and file:NAME");
}

Test(options, one_kernel)
{
    refuse("irqscope a b", "b: one file is enough, and a was given already");
    refuse("irqscope a -kernel b", "-kernel b: one kernel is enough, and a was given already");
    refuse("irqscope -kernel b a", "a: one file is enough, and b was given already");
}

Test(options, after_two_dashes_only_files)
{
    accept("irqscope -m 64 -- -m");
    cr_expect_str_eq(o.file, "-m");
    options_fini(&o);
    accept("irqscope -- @x");
    cr_expect_str_eq(o.file, "@x");
}

Test(options, memory)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"64", 64ull << 20},   {"64M", 64ull << 20},    {"2g", 2ull << 30},
                {"4096K", 4ull << 20}, {"size=3M", 3ull << 20}, {"0x10", 16ull << 20}};
    for (size_t i = 0; i < irq_array_size(good); i++) {
        char line[64];
        snprintf(line, sizeof(line), "irqscope -m %s", good[i].text);
        accept(line);
        cr_expect_eq(o.memory, good[i].bytes, "%s", line);
        options_fini(&o);
    }
    refuse("irqscope -m 0", "-m 0: a PC has between 2 MiB and 64 GiB of memory here");
    refuse("irqscope -m 99999T", "-m 99999T: a PC has between 2 MiB and 64 GiB of memory here");
    refuse("irqscope -m 99999999999999999999",
           "-m 99999999999999999999: not a size of memory (such as 64, 512K or 2G)");
    refuse("irqscope -m -5", "-m -5: not a size of memory (such as 64, 512K or 2G)");
    refuse("irqscope -m 64X", "-m 64X: not a size of memory (such as 64, 512K or 2G)");
    refuse("irqscope -m 4097K", "-m 4097K: memory comes in pages of 4 KiB");
    refuse("irqscope -m", "-m: its value is missing (SIZE)");
}

Test(options, one_cpu)
{
    accept("irqscope -smp 1");
    options_fini(&o);
    refuse("irqscope -smp 2", "-smp 2: this build runs one CPU");
    refuse("irqscope -smp 0", "-smp 0: not a number of CPUs");
    refuse("irqscope -smp many", "-smp many: not a number of CPUs");
    refuse("irqscope -cpu quantum", "-cpu quantum: no such CPU model; -cpu help lists them");
}

Test(options, debug_exit)
{
    accept("irqscope -device isa-debug-exit");
    cr_expect(o.debug_exit);
    cr_expect_eq(o.debug_exit_base, 0x501);
    cr_expect_eq(o.debug_exit_size, 2);
    options_fini(&o);
    accept("irqscope -device isa-debug-exit,iobase=0xf4,iosize=0x04");
    cr_expect_eq(o.debug_exit_base, 0xf4);
    cr_expect_eq(o.debug_exit_size, 4);
    options_fini(&o);
    refuse("irqscope -device isa-debug-exit,iobase=0x10000",
           "-device isa-debug-exit: iobase=0x10000,iosize=2: 1 to 4 ports below 10000h");
    refuse("irqscope -device isa-debug-exit,irq=3",
           "-device isa-debug-exit: irq=3: it has iobase=PORT and iosize=BYTES");
    refuse("irqscope -device e1000",
           "-device e1000: this build has no such device; -device help lists them");
}

Test(options, log_items)
{
    accept("irqscope -d int,cpu_reset,guest_errors -D log");
    cr_expect_eq(o.log_items, LOG_INT | LOG_CPU_RESET | LOG_GUEST_ERRORS);
    cr_expect_str_eq(o.log_file, "log");
    cr_expect_eq(o.nnotes, 0);
    options_fini(&o);
    accept("irqscope -d int,in_asm -d in_asm,int");
    cr_expect_eq(o.nnotes, 1, "what means nothing says so once");
    options_fini(&o);
    refuse("irqscope -d int,bogus", "-d int,bogus: no such item: 'bogus'; -d help lists them");
}

Test(options, help_ends_the_parsing)
{
    accept("irqscope -nographic -help --bogus");
    cr_expect_eq(o.command, COMMAND_HELP);
    options_fini(&o);
    accept("irqscope -device ? --bogus");
    cr_expect_eq(o.list, LIST_DEVICES);
}

Test(options, limits)
{
    accept("irqscope --limit-time 1.5s --timeout 0.25 --max-block 1");
    cr_expect_eq(o.limit_time, 1500000000);
    cr_expect_float_eq(o.timeout, 0.25, 1e-9);
    cr_expect_eq(o.max_block, 1);
    options_fini(&o);
    refuse("irqscope --limit-time 50",
           "--limit-time 50: not a virtual time with its unit, ns, us, ms or s");
    refuse("irqscope --limit-time 99999999999999s",
           "--limit-time 99999999999999s: not a virtual time with its unit, ns, us, ms or s");
    refuse("irqscope --timeout -1", "--timeout -1: not a number of seconds");
    refuse("irqscope --timeout inf", "--timeout inf: not a number of seconds");
    refuse("irqscope --max-block 64", "--max-block 64: a block has 1 to 63 instructions");
    refuse("irqscope --max-block 0", "--max-block 0: a block has 1 to 63 instructions");
    refuse("irqscope --limit-insns 0", "--limit-insns 0: not a number of instructions");
    refuse("irqscope --screen=later", "--screen later: it is end or never");
}

Test(options, rtc_base)
{
    accept("irqscope -rtc base=2024-01-01T00:00:00");
    cr_expect_eq(o.rtc_epoch, 1704067200);
    options_fini(&o);
    accept("irqscope -rtc base=1999-12-31,clock=vm");
    cr_expect_eq(o.rtc_epoch, 946598400);
    options_fini(&o);
    refuse("irqscope -rtc base=yesterday",
           "-rtc base=yesterday: not a time such as base=2024-01-01T00:00:00");
}

Test(options, the_environment_comes_first)
{
    cr_assert_eq(parse_env("irqscope -m 64 k", "-m 32 -append 'two words' -no-reboot"), 0);
    cr_expect_eq(o.memory, 64ull << 20);
    cr_expect_str_eq(o.append, "two words");
    cr_expect(o.no_reboot);
    options_fini(&o);
    cr_expect_lt(parse_env("irqscope", "-append 'open"), 0);
    cr_expect_str_eq(err.text, "IRQSCOPE_ARGS: a quote is not closed");
    options_fini(&o);
    cr_expect_eq(parse_env("irqscope show f", "-m 64"), 0, "only for run");
}

/* A file with text; its name is valid until the next call. */
static const char *make_file(const char *text)
{
    static char name[64];
    snprintf(name, sizeof(name), "/tmp/irqscope-args-XXXXXX");
    int fd = mkstemp(name);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return name;
}

Test(options, argument_files)
{
    char line[160];
    const char *name = make_file("-m 256\n-append \"a 'b' \\\"c\\\"\"\n kern\\ el\n");
    snprintf(line, sizeof(line), "irqscope -m 64 @%s -no-reboot", name);
    accept(line);
    unlink(name);
    cr_expect_eq(o.memory, 256ull << 20);
    cr_expect_str_eq(o.append, "a 'b' \"c\"");
    cr_expect_str_eq(o.file, "kern el");
    cr_expect(o.no_reboot);

    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_print_words(&o, out);
    fclose(out);
    cr_expect_str_eq(
        text, "irqscope run -m 64 -m 256 -append 'a '\\''b'\\'' \"c\"' 'kern el' -no-reboot\n");
    free(text);
    options_fini(&o);
    cr_expect_lt(parse_env("irqscope @/nonexistent/args", NULL), 0);
    cr_expect_str_eq(err.text, "@/nonexistent/args: cannot open it: No such file or directory");
}

Test(options, an_argument_file_that_names_itself)
{
    char name[64], line[160];
    snprintf(name, sizeof(name), "%s", make_file(""));
    FILE *f = fopen(name, "w");
    fprintf(f, "-m 64 @%s -m 32", name);
    fclose(f);
    snprintf(line, sizeof(line), "irqscope @%s", name);
    cr_expect_lt(parse_env(line, NULL), 0);
    cr_expect_not_null(strstr(err.text, "argument files are nested deeper than 8"));
    unlink(name);
}

Test(options, show_has_few)
{
    refuse("irqscope show f -m 64", "-m: not an option of irqscope show");
    refuse("irqscope show", "show: the name of a record file is missing");
    refuse("irqscope --json", "--json: an option of irqscope show");
}

/* QEMU 7.2, "Invocation": names that may never be ours. */
static const char *const qemu_names[] = {"h",
                                         "version",
                                         "machine",
                                         "M",
                                         "cpu",
                                         "accel",
                                         "smp",
                                         "numa",
                                         "add-fd",
                                         "set",
                                         "global",
                                         "boot",
                                         "m",
                                         "mem-path",
                                         "mem-prealloc",
                                         "k",
                                         "audio-help",
                                         "audio",
                                         "audiodev",
                                         "device",
                                         "name",
                                         "uuid",
                                         "fda",
                                         "fdb",
                                         "hda",
                                         "hdb",
                                         "hdc",
                                         "hdd",
                                         "cdrom",
                                         "blockdev",
                                         "drive",
                                         "mtdblock",
                                         "sd",
                                         "snapshot",
                                         "fsdev",
                                         "virtfs",
                                         "iscsi",
                                         "usb",
                                         "usbdevice",
                                         "display",
                                         "nographic",
                                         "spice",
                                         "vga",
                                         "full-screen",
                                         "g",
                                         "vnc",
                                         "win2k-hack",
                                         "no-fd-bootchk",
                                         "no-acpi",
                                         "no-hpet",
                                         "acpitable",
                                         "smbios",
                                         "netdev",
                                         "nic",
                                         "net",
                                         "chardev",
                                         "tpmdev",
                                         "bios",
                                         "pflash",
                                         "kernel",
                                         "append",
                                         "initrd",
                                         "dtb",
                                         "compat",
                                         "fw_cfg",
                                         "serial",
                                         "parallel",
                                         "monitor",
                                         "qmp",
                                         "qmp-pretty",
                                         "mon",
                                         "debugcon",
                                         "pidfile",
                                         "preconfig",
                                         "S",
                                         "overcommit",
                                         "gdb",
                                         "s",
                                         "d",
                                         "D",
                                         "dfilter",
                                         "seed",
                                         "L",
                                         "enable-kvm",
                                         "xen-domid",
                                         "no-reboot",
                                         "no-shutdown",
                                         "action",
                                         "loadvm",
                                         "daemonize",
                                         "option-rom",
                                         "rtc",
                                         "icount",
                                         "watchdog-action",
                                         "echr",
                                         "incoming",
                                         "only-migratable",
                                         "nodefaults",
                                         "chroot",
                                         "runas",
                                         "sandbox",
                                         "readconfig",
                                         "no-user-config",
                                         "trace",
                                         "plugin",
                                         "async-teardown",
                                         "msg",
                                         "dump-vmstate",
                                         "enable-sync-profile",
                                         "object",
                                         "help",
                                         "v",
                                         "singlestep",
                                         "semihosting",
                                         "prom-env",
                                         "old-param"};

Test(options, none_of_ours_bears_a_name_of_qemu)
{
    bool own;
    size_t count = 0;
    for (size_t n = 0; options_name(n, &own); n++) {
        for (size_t i = 0; own && i < irq_array_size(qemu_names); i++) {
            cr_expect_str_neq(options_name(n, &own), qemu_names[i]);
        }
        count += own;
    }
    cr_expect_gt(count, 5);
}

Test(options, help_can_be_searched_as_makefiles_do)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_print_help(out);
    fclose(out);
    cr_expect_not_null(strstr(text, "\n-D "));
    cr_expect_not_null(strstr(text, "\n-d "));
    cr_expect_null(strstr(text, "\n-gdb"), "not before there is one");
    bool own;
    for (size_t n = 0; options_name(n, &own); n++) {
        char dashed[64];
        snprintf(dashed, sizeof(dashed), "-%s", options_name(n, &own));
        cr_expect(strcmp(dashed, "-h") == 0 || strstr(text, dashed), "%s is not listed", dashed);
    }
    free(text);
}
