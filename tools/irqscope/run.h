/* SPDX-License-Identifier: MIT */
/*
 * irqscope run: one machine, what is attached to it, and how it ended. Parts: run.c (set-up and the order of things), console.c
 * (standard input and output, signals, --until, --timeout), log.c (-d), report.c (verdict, screen, autopsy).
 */
#ifndef IRQSCOPE_IRQSCOPE_RUN_H
#define IRQSCOPE_IRQSCOPE_RUN_H

#include <stdio.h>
#include <termios.h>

#include "cpu/cpu.h"
#include "firmware/machine.h"
#include "irqscope/options.h"
#include "scope/flow_list.h"
#include "scope/stream.h"
#include "scope/symbols.h"

enum exit_status {
    STATUS_OK = 0,
    STATUS_SETUP = 2,
    STATUS_TRIPLE_FAULT = 4,
    STATUS_HALTED = 6,
    STATUS_LIMIT = 8,
    STATUS_UNMODELLED = 12,
    STATUS_TIMEOUT = 124,
};

/* Why the host ended the run. */
enum host_end {
    HOST_END_NONE,
    HOST_END_UNTIL,
    HOST_END_TIMEOUT,
    HOST_END_SIGNAL,
    HOST_END_QUIT,
    HOST_END_OUTPUT
};

/* Standard input and output as the guest's serial port. */
struct console {
    FILE *out;        /* NULL: output vanishes */
    bool out_is_file; /* ours to close */
    int out_error;    /* errno of the first failure */
    uint8_t last;     /* byte written */
    bool input;       /* the standard input is connected and has not ended */
    bool mon;         /* mon:stdio */
    bool prefix;      /* Ctrl-A was typed */
    bool tty;         /* settings are to be restored */
    bool interactive; /* the standard input is a terminal */
    struct termios saved;
    uint8_t pending[256]; /* read, and not taken by the port yet */
    size_t npending;
    int signal_fd, timer_fd;
    const char *until; /* what is left to find: see console.c */
    size_t *until_fail;
    size_t until_at;
    enum host_end end;
    int signal;
};

/* Latest deliveries, for autopsies; kept with recording off too. */
#define EVENTS 8
struct logged_event {
    struct cpu_exception ev;
    uint64_t rip;
    uint64_t sp;
    uint64_t insns;
    uint64_t cs_base;
    uint8_t code_bits;
    uint8_t cpl;
    bool triple; /* nothing was delivered any more */
    bool
        in_delivery; /* fault is what delivering the one before tripped over; ev is what came of it */
    struct cpu_exception fault;
};

struct event_log {
    unsigned items; /* of -d */
    FILE *out;
    bool out_is_file;
    uint64_t count; /* number of the next line of -d int */
    struct logged_event event[EVENTS];
    uint64_t nevents;
};

struct run {
    const struct options *options;
    struct machine *machine;
    struct machine_kernel_info kernel;
    const char *name; /* of the kernel */
    struct symbols *symbols;
    struct console console;
    struct event_log log;
    struct stream_writer *stream;
    struct flow_list *flows;
    bool listening;
    uint64_t trace_hash;
    char banner[512];
};

/* The whole of `irqscope run`; returns the exit status. */
int run_main(const struct options *options);

/* ---- console.c ---- */
int console_open(struct console *c, const struct options *o, struct error *err);
/* Signals, the timer and the terminal: from here on until console_leave() they are ours. */
int console_enter(struct console *c, const struct options *o, struct error *err);
void console_leave(struct console *c);
void console_close(struct console *c);
/* Callbacks of the machine; opaque is struct run. */
void console_write(void *opaque, const uint8_t *buf, size_t n);
void console_poll(void *opaque, struct machine *machine);
bool console_idle(void *opaque, struct machine *machine, uint64_t wake_ns);

/* ---- log.c ---- */
int log_open(struct event_log *log, const struct options *o, struct error *err);
void log_close(struct event_log *log);
/* struct cpu.log_event; opaque is struct event_log. */
void log_event(void *opaque, struct cpu *cpu, const struct cpu_exception *ev);
/* A machine reset or its end by one: -d cpu_reset. */
void log_reset(struct event_log *log, const struct cpu *cpu);
/* -d guest_errors. */
void log_records(struct event_log *log, const struct irq_record *recs, size_t n,
                 struct symbols *symbols);

/* ---- report.c ---- */
void report_describe(struct run *run);
void report_banner(const struct run *run);
/* The text screen, the verdict and the summary line on the standard error; returns the status. */
int report_end(struct run *run, const struct machine_stop_info *info);

#endif
