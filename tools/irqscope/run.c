/* SPDX-License-Identifier: MIT */
/*
 * irqscope run, in order: console, log, machine, record stream; the run; what is told of it.
 */
#include "irqscope/run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "firmware/pc_board.h"
#include "irqscope/tour.h"
#include "scope/hash.h"

static void drain(void *opaque, const struct irq_record *recs, size_t n)
{
    struct run *run = opaque;
    for (size_t i = 0; i < n; i++) {
        run->trace_hash = hash_record(run->trace_hash, &recs[i]);
    }
    if (run->stream) {
        stream_write(run->stream, recs, n);
    }
    if (run->flows) {
        flow_list_add(run->flows, recs, n);
    }
    if (run->log.items & LOG_GUEST_ERRORS) {
        log_records(&run->log, recs, n, run->symbols);
    }
}

static int create_machine(struct run *run, struct error *err)
{
    const struct options *o = run->options;
    struct machine_config config = machine_config_default();
    config.ram_bytes = o->memory;
    config.cpus = o->cpus;
    config.cpu_model = o->cpu;
    config.max_block = o->max_block;
    config.no_block_cache = o->no_block_cache;
    config.append = o->append;
    config.initrd = o->initrd;
    config.no_reboot = o->no_reboot;
    config.debug_exit = o->debug_exit;
    if (o->debug_exit) {
        config.debug_exit_iobase = o->debug_exit_base;
        config.debug_exit_iosize = o->debug_exit_size;
    }
    if (o->rtc_epoch != INT64_MIN) {
        config.rtc_epoch = o->rtc_epoch;
    }
    config.limit_insns = o->limit_insns;
    config.limit_ns = o->limit_time;
    config.serial = (struct chardev){.write = console_write, .opaque = run};
    config.poll = console_poll;
    config.idle = console_idle;
    config.opaque = run;

    run->name = o->file;
    config.kernel.path = o->file;
    if (!o->file) {
        size_t size = tour_size();
        if (size == 0) {
            return error_set(err, -EINVAL, "no kernel was given, and this build has no tour in it");
        }
        run->name = TOUR_NAME;
        config.kernel = (struct machine_file){.path = TOUR_NAME, .data = tour_data(), .size = size};
    }
    int rc = machine_create(&config, &run->machine, err);
    if (rc < 0) {
        return rc;
    }
    machine_get_kernel(run->machine, &run->kernel);
    run->symbols =
        o->file ? symbols_open_file(o->file) : symbols_open_memory(tour_data(), tour_size());
    struct cpu *cpu = machine_get_board(run->machine)->cpu[0];
    cpu->log_event = log_event;
    cpu->log_opaque = &run->log;
    return 0;
}

/* Who listens to the records. */
static int attach_listeners(struct run *run, struct error *err)
{
    const struct options *o = run->options;
    int rc = 0;
    if (o->record) {
        struct stream_header header = {
            .kernel = (char *)(uintptr_t)run->name,
            .kernel_hash = o->file ? hash_file(o->file, NULL)
                                   : hash_bytes(HASH_INIT, tour_data(), tour_size()),
            .loaded = run->banner,
            .args = (char *)(uintptr_t)o->append,
        };
        rc = stream_writer_open(&run->stream, o->record, &header, err);
    }
    if (rc == 0 && o->flows) {
        rc = flow_list_new(&run->flows, o->flows_max, false, run->symbols, err);
    }
    run->listening = o->record || o->flows || (o->log_items & LOG_GUEST_ERRORS);
    run->trace_hash = HASH_INIT;
    if (rc == 0 && run->listening) {
        rc = machine_trace_listen(run->machine, drain, run);
        if (rc < 0) {
            error_set(err, rc, "out of memory");
        }
    }
    return rc;
}

static int set_up(struct run *run, struct error *err)
{
    int rc = console_open(&run->console, run->options, err);
    if (rc == 0) {
        rc = log_open(&run->log, run->options, err);
    }
    if (rc == 0) {
        rc = create_machine(run, err);
    }
    if (rc < 0) {
        return rc;
    }
    report_describe(run);
    rc = attach_listeners(run, err);
    if (rc == 0) {
        rc = console_enter(&run->console, run->options, err);
    }
    if (rc == 0) {
        report_banner(run); /* last: a set-up error is one sentence, and nothing was run */
    }
    return rc;
}

/* Bring what the guest printed to an end, so that our text begins on a line of its own. */
static void finish_output(struct console *c)
{
    if (c->out == stdout && c->last != '\n') {
        fputc('\n', stdout);
    }
    fflush(stdout);
}

/* Close the record stream. 0, or STATUS_SETUP if it is not whole. */
static int close_stream(struct run *run, const struct machine_stop_info *info)
{
    struct error err;
    struct stream_end end = {.reason = info->reason,
                             .value = info->value,
                             .vtime_ns = info->vtime_ns,
                             .insns = info->insns};
    struct stream_writer *stream = run->stream;
    run->stream = NULL;
    if (stream && stream_writer_close(stream, &end, &err) < 0) {
        fprintf(stderr, "irqscope: %s\n", err.text);
        return STATUS_SETUP;
    }
    return 0;
}

static int print_flows(struct run *run)
{
    struct error err;
    if (!run->flows) {
        return 0;
    }
    int64_t more = flow_list_finish(run->flows, stdout, &err);
    if (more < 0) {
        fprintf(stderr, "irqscope: %s\n", err.text);
        return STATUS_SETUP;
    }
    if (more > 0 && run->options->record) {
        printf("... %lld more: irqscope show %s --flows\n", (long long)more, run->options->record);
    } else if (more > 0) {
        printf("... %lld more\n", (long long)more);
    }
    return fflush(stdout) == 0 ? 0 : STATUS_SETUP;
}

static int run_and_tell(struct run *run)
{
    struct machine_stop_info info;
    enum machine_stop_reason reason = machine_run(run->machine, &info);
    machine_trace_flush(run->machine);
    console_leave(&run->console);
    finish_output(&run->console);
    if (reason == MACHINE_STOP_TRIPLE_FAULT || reason == MACHINE_STOP_RESET) {
        log_reset(&run->log, machine_get_board(run->machine)->cpu[0]);
    }
    int broken = close_stream(run, &info);
    int flows = print_flows(run);
    int status = report_end(run, &info);
    broken = broken ? broken : flows;
    return broken && status == STATUS_OK ? broken : status;
}

static void tear_down(struct run *run)
{
    struct stream_end end = {0};
    console_leave(&run->console);
    if (run->stream) {
        stream_writer_close(run->stream, &end, NULL);
    }
    flow_list_free(run->flows);
    machine_destroy(run->machine);
    symbols_close(run->symbols);
    log_close(&run->log);
    console_close(&run->console);
}

int run_main(const struct options *options)
{
    struct run run = {.options = options, .console = {.signal_fd = -1, .timer_fd = -1}};
    struct error err = {{0}};
    int status = STATUS_SETUP;
    if (set_up(&run, &err) < 0) {
        fprintf(stderr, "irqscope: %s\n", err.text);
    } else {
        status = run_and_tell(&run);
    }
    int signal_number = run.console.end == HOST_END_SIGNAL ? run.console.signal
                        : run.console.out_error == EPIPE   ? SIGPIPE
                                                           : 0;
    tear_down(&run);
    if (signal_number) {
        fflush(NULL);
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    return status;
}
