/* SPDX-License-Identifier: MIT */
/*
 * The command line: a table of options and its parser.
 *
 * Grammar: the first word may be a sub-command's exact name; without one everything belongs to `run`, and a program called as
 * qemu-system-* is always `run`. Option names are exact, never abbreviated or bundled; one and two dashes are equal. A value
 * is the next word; irqscope's own options also take --x=V, and an optional value only so. Of scalar options the last wins;
 * -serial and -device add up. Options and the file may alternate; after `--` there are only file names. @FILE stands for the
 * words in FILE; the words of the environment's IRQSCOPE_ARGS come before those of the command line.
 *
 * Not modelled: QEMU options that are neither in the table nor in the list of refused ones are unknown (status 2).
 */
#ifndef IRQSCOPE_IRQSCOPE_OPTIONS_H
#define IRQSCOPE_IRQSCOPE_OPTIONS_H

#include <stdio.h>

#include "bus/error.h"
#include "bus/types.h"

#define OPTIONS_SERIALS   4
#define OPTIONS_NOTES     16
#define OPTIONS_MAX_BLOCK 63
#define OPTIONS_CPU_MODEL "qemu64"

enum command {
    COMMAND_RUN,
    COMMAND_SHOW,
    COMMAND_HELP,
    COMMAND_VERSION
};

enum serial_kind {
    SERIAL_NULL,
    SERIAL_STDIO,
    SERIAL_MON_STDIO,
    SERIAL_FILE
};
struct serial_option {
    enum serial_kind kind;
    const char *path; /* SERIAL_FILE */
};

enum screen_option {
    SCREEN_AT_END,
    SCREEN_NEVER
};

/* Lists that an option's value `help` asks for instead of a run. */
enum options_list {
    LIST_NONE,
    LIST_LOG_ITEMS,
    LIST_CPUS,
    LIST_MACHINES,
    LIST_DEVICES
};

/* Items of -d. */
enum log_item {
    LOG_INT = 1u << 0,
    LOG_CPU_RESET = 1u << 1,
    LOG_GUEST_ERRORS = 1u << 2
};

struct options_words;

/* Every string belongs to words, or to argv; options_fini() frees. */
struct options {
    enum command command;
    enum options_list list;
    const char
        *file; /* the kernel of run, the record stream of show; NULL: the embedded tour (run) */
    const char *append;
    const char *initrd;
    uint64_t memory; /* bytes */
    unsigned cpus;
    const char *cpu;
    struct serial_option serial[OPTIONS_SERIALS];
    unsigned nserials;
    bool nographic;
    bool no_reboot;
    bool nodefaults;
    bool debug_exit;
    uint16_t debug_exit_base;
    uint32_t debug_exit_size;
    unsigned log_items; /* enum log_item */
    const char *log_file;
    int64_t rtc_epoch; /* seconds since 1970; INT64_MIN: the default */
    const char *record;
    bool flows;
    uint64_t flows_max; /* UINT64_MAX: all */
    bool json;
    uint64_t limit_insns; /* UINT64_MAX: none */
    vtime_t limit_time;   /* ns; VTIME_NEVER: none */
    double timeout;       /* seconds of host time; 0: none */
    const char *until;
    enum screen_option screen;
    bool quiet;
    bool verbose;
    unsigned max_block;
    bool no_block_cache;
    char *notes[OPTIONS_NOTES]; /* "is accepted and means nothing here", each once */
    unsigned nnotes;
    struct options_words *words;
};

/*
 * Parse argv; env_args is IRQSCOPE_ARGS or NULL. 0, or -EINVAL (-ENOMEM, -errno of an @FILE) with one sentence in err.
 * options_fini() is due in either case.
 */
int options_parse(struct options *o, int argc, char *const argv[], const char *env_args,
                  struct error *err);
void options_fini(struct options *o);
/* All words after expansion, as a shell would take them, for -v. */
void options_print_words(const struct options *o, FILE *out);
/* The text of -help, and of the lists. */
void options_print_help(FILE *out);
void options_print_list(enum options_list list, FILE *out);

/* Name of option n without dashes and whether it is irqscope's own (not QEMU's); NULL after the last. For tests. */
const char *options_name(size_t n, bool *own);

#endif
