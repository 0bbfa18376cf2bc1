/* SPDX-License-Identifier: MIT */
/*
 * The machine: a PC board, the kernel that was given to it, and the loop that runs both. Contract: machine.h.
 *
 * The loop gives the CPU turns of at most a millisecond of virtual time, up to the next limit; between turns it looks at requests of the
 * guest, at machine_stop(), at the limits and at input. One instruction is one nanosecond, so a limit in instructions is a time too. When
 * the CPU halts, time moves to the next event at once, if anything could wake the CPU (firmware/pc_wake.c); if nothing can, the run is over.
 *
 * After a reset without no_reboot RAM keeps what the kernel's segments do not cover, as on a PC; a triple fault resets if the guest had
 * loaded an IDT of limit 0, which is how kernels ask for a reset when all else fails (Intel SDM Vol. 3A, order no. 325384, 6.15 "Interrupt 8 -
 * Double Fault Exception": shutdown; the PC's board answers shutdown with RESET).
 *
 * Not modelled: more than one CPU; host-paced time.
 * Deviations: none known.
 */
#include "firmware/machine.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/assert.h"
#include "firmware/loader.h"
#include "firmware/pc_board.h"
#include "firmware/trace_events.h"

#define TURN_NS       1000000ull
#define RAM_DEFAULT   (128ull << 20)
#define RAM_MIN       (2ull << 20) /* kernels start at 1 MiB */
#define RAM_MAX       (1ull << 40)
#define INPUT_QUEUE   4096u  /* power of two */
#define INPUT_CHAR_NS 86806u /* ten bits at 115,200 baud */
#define DEFAULT_MODEL "qemu64"
#define NO_KERNEL     "kernel"

struct machine {
    struct pc_board board;
    struct loader_request request;
    struct loader_module modules[LOADER_MAX_MODULES];
    struct loader_image image;
    uint8_t *kernel_data; /* read from a file: ours to free */
    char *kernel_name;
    char *append;
    bool no_reboot;
    bool started; /* machine_start was recorded since the last reset */
    uint64_t limit_insns;
    vtime_t limit_ns;
    void (*poll)(void *opaque, struct machine *machine);
    bool (*idle)(void *opaque, struct machine *machine, uint64_t wake_ns);
    void *opaque;
    /* Set by machine_stop() in any thread or signal handler, cleared by the loop, which is late by a turn at most. */
    atomic_bool stop;

    uint8_t input[INPUT_QUEUE];
    uint32_t input_head, input_count;
    struct clock_event input_event;
};

uint32_t machine_api_version(void)
{
    return MACHINE_API_VERSION;
}

struct machine_config machine_config_default(void)
{
    return (struct machine_config){
        .size = sizeof(struct machine_config),
        .ram_bytes = RAM_DEFAULT,
        .cpus = 1,
        .debug_exit_iobase = ISA_DEBUG_EXIT_BASE,
        .debug_exit_iosize = ISA_DEBUG_EXIT_SIZE,
        .rtc_epoch = RTC_EPOCH_DEFAULT,
        .limit_insns = MACHINE_NEVER,
        .limit_ns = MACHINE_NEVER,
    };
}

/* ---- input ---- */

/* A character time has passed: offer the next byte. */
static void input_fn(void *opaque, vtime_t deadline)
{
    struct machine *m = opaque;
    struct uart16550 *uart = &m->board.uart0;
    if (m->input_count > 0 && uart16550_can_receive(uart)) {
        uint8_t byte = m->input[m->input_head];
        cause_t cause =
            trace_host_input(&m->board.trace, TRACE_CPU_NONE, 0, 0, 0, BOARD_SOURCE_UART0, byte);
        if (uart16550_receive(uart, byte, cause)) {
            m->input_head = (m->input_head + 1) % INPUT_QUEUE;
            m->input_count--;
        }
    }
    if (m->input_count > 0) {
        clock_arm(&m->board.clock, &m->input_event, deadline + INPUT_CHAR_NS);
    }
}

size_t machine_serial_input(struct machine *m, const uint8_t *buf, size_t n)
{
    size_t done = 0;
    while (done < n && m->input_count < INPUT_QUEUE) {
        m->input[(m->input_head + m->input_count++) % INPUT_QUEUE] = buf[done++];
    }
    if (m->input_count > 0 && !clock_event_armed(&m->input_event)) {
        clock_arm(&m->board.clock, &m->input_event, m->board.clock.now + INPUT_CHAR_NS);
    }
    return done;
}

/* ---- life ---- */

/* The chips are reset: load the kernel, as a boot loader would. */
static int boot(struct machine *m, struct error *err)
{
    m->started = false;
    if (!m->request.data) {
        return 0; /* no kernel: the CPU stands at the reset vector */
    }
    board_set_bios_state(&m->board);
    int rc = loader_load(&m->request, &m->board.bus, &m->image, err);
    if (rc == 0) {
        loader_enter(&m->image, m->board.cpu[0]);
    }
    return rc;
}

static int check_config(const struct machine_config *config, struct error *err)
{
    if (config->cpus != 1) {
        return error_set(err, -EINVAL, "-smp %u: this PC has exactly one CPU so far", config->cpus);
    }
    if (config->ram_bytes < RAM_MIN || config->ram_bytes > RAM_MAX) {
        return error_set(err, -EINVAL,
                         "-m: %llu bytes of RAM; between %llu MiB and %llu MiB are possible",
                         (unsigned long long)config->ram_bytes, (unsigned long long)(RAM_MIN >> 20),
                         (unsigned long long)(RAM_MAX >> 20));
    }
    if (config->ram_bytes % BUS_PAGE_SIZE != 0) {
        return error_set(err, -EINVAL, "-m: %llu bytes of RAM are no whole number of pages",
                         (unsigned long long)config->ram_bytes);
    }
    return 0;
}

/* Keep the kernel's bytes, name and arguments: they are loaded again after a reset. */
static int take_files(struct machine *m, const struct machine_config *config, struct error *err)
{
    const struct machine_file *kernel = &config->kernel;
    struct loader_request *r = &m->request;
    int rc = 0;
    if (!kernel->path && !kernel->data) {
        return config->initrd ? error_set(err, -EINVAL, "-initrd needs a kernel") : 0;
    }
    m->kernel_name = strdup(kernel->path ? kernel->path : NO_KERNEL);
    m->append = strdup(config->append ? config->append : "");
    if (!m->kernel_name || !m->append) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    r->name = m->kernel_name;
    r->append = m->append;
    r->flat = config->flat;
    r->flat_address = config->flat_address;
    r->flat_entry = config->flat_entry;
    r->modules = m->modules;
    r->data = kernel->data;
    r->size = kernel->size;
    if (!kernel->data) {
        rc = loader_read_file(kernel->path, &m->kernel_data, &r->size, err);
        r->data = m->kernel_data;
    }
    if (rc == 0 && config->initrd) {
        rc = loader_read_modules(config->initrd, m->modules, &r->nmodules, err);
    }
    return rc;
}

static int init_board(struct machine *m, const struct machine_config *config, struct error *err)
{
    const char *model = config->cpu_model ? config->cpu_model : DEFAULT_MODEL;
    struct board_config board = {
        .ram_bytes = config->ram_bytes,
        .ncpus = config->cpus,
        .cpu_model = cpu_model_find(model),
        .max_block = config->max_block,
        .no_cache = config->no_block_cache,
        .debug_exit = config->debug_exit,
        .debug_exit_iobase = config->debug_exit_iobase,
        .debug_exit_iosize = config->debug_exit_iosize,
        .rtc_epoch = config->rtc_epoch,
        .serial = &config->serial,
        .debug_out = &config->debug_port,
    };
    if (!board.cpu_model) {
        return error_set(err, -EINVAL, "-cpu %s: no such CPU model", model);
    }
    return board_init(&m->board, &board, err);
}

static void free_files(struct machine *m)
{
    loader_free_modules(m->modules, m->request.nmodules);
    free(m->kernel_data);
    free(m->kernel_name);
    free(m->append);
}

int machine_create(const struct machine_config *given, struct machine **machine, struct error *err)
{
    struct machine_config config = machine_config_default();
    *machine = NULL;
    if (given->size < sizeof(given->size)) {
        return error_set(err, -EINVAL, "machine_config.size is not set");
    }
    /* A caller built against an older header has fewer fields: the rest keeps its default. */
    memcpy(&config, given, given->size < sizeof(config) ? given->size : sizeof(config));
    int rc = check_config(&config, err);
    if (rc < 0) {
        return rc;
    }
    struct machine *m = calloc(1, sizeof(*m));
    if (!m) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    m->no_reboot = config.no_reboot;
    m->limit_insns = config.limit_insns;
    m->limit_ns = config.limit_ns;
    m->poll = config.poll;
    m->idle = config.idle;
    m->opaque = config.opaque;
    atomic_init(&m->stop, false);
    clock_event_init(&m->input_event, "serial-input", input_fn, m);

    rc = take_files(m, &config, err);
    if (rc < 0) {
        goto out_files;
    }
    rc = init_board(m, &config, err);
    if (rc < 0) {
        goto out_files;
    }
    rc = boot(m, err);
    if (rc < 0) {
        goto out_board;
    }
    *machine = m;
    return 0;

out_board:
    board_fini(&m->board);
out_files:
    free_files(m);
    free(m);
    return rc;
}

void machine_destroy(struct machine *m)
{
    if (!m) {
        return;
    }
    board_fini(&m->board);
    free_files(m);
    free(m);
}

void machine_reset(struct machine *m)
{
    struct error err;
    board_reset(&m->board);
    int rc = boot(m, &err);
    irq_assert(rc == 0); /* the same bytes were loaded before */
}

void machine_set_limits(struct machine *m, uint64_t limit_insns, uint64_t limit_ns)
{
    m->limit_insns = limit_insns;
    m->limit_ns = limit_ns;
}

void machine_stop(struct machine *m)
{
    atomic_store_explicit(&m->stop, true, memory_order_relaxed);
}

/* ---- the loop ---- */

/* What a request of the guest means. A reset that does not end the run is done here. */
static enum machine_stop_reason serve_request(struct machine *m)
{
    struct pc_board *board = &m->board;
    switch (board->request.kind) {
    case BOARD_REQUEST_NONE:
        break;
    case BOARD_REQUEST_POWER_OFF:
        return MACHINE_STOP_POWER_OFF;
    case BOARD_REQUEST_DEBUG_EXIT:
        return MACHINE_STOP_DEBUG_EXIT;
    case BOARD_REQUEST_RESET:
        if (m->no_reboot) {
            return MACHINE_STOP_RESET;
        }
        trace_machine_reset(&board->trace, 0, board->request.cause, 0, 0, board->request.rip);
        machine_reset(m);
        break;
    }
    return MACHINE_STOP_NONE;
}

/* Ends of a run that do not come from the CPU, in their order. */
static enum machine_stop_reason check_ends(struct machine *m)
{
    enum machine_stop_reason reason = serve_request(m);
    if (reason != MACHINE_STOP_NONE) {
        return reason;
    }
    if (board_insns(&m->board, 0) >= m->limit_insns) {
        return MACHINE_STOP_LIMIT_INSNS;
    }
    if (m->board.clock.now >= m->limit_ns) {
        return MACHINE_STOP_LIMIT_TIME;
    }
    if (atomic_exchange_explicit(&m->stop, false, memory_order_relaxed)) {
        return MACHINE_STOP_REQUEST;
    }
    return MACHINE_STOP_NONE;
}

/* End of the next turn: at most TURN_NS away, never behind a limit. */
static vtime_t turn_end(const struct machine *m)
{
    vtime_t now = m->board.clock.now;
    uint64_t room = TURN_NS;
    uint64_t insns = m->limit_insns - board_insns(&m->board, 0);
    room = insns < room ? insns : room;
    room = m->limit_ns - now < room ? m->limit_ns - now : room;
    return now + room;
}

/* The CPU halts: move time, wait for input, or find that it is for ever. */
static enum machine_stop_reason serve_halt(struct machine *m)
{
    struct pc_board *board = &m->board;
    bool wake = board_can_wake(board, m->input_count > 0) && board->clock.next != VTIME_NEVER;
    if (!wake) {
        bool more = board_can_wake(board, true) && m->idle && m->idle(m->opaque, m, MACHINE_NEVER);
        return more ? MACHINE_STOP_NONE : MACHINE_STOP_HALTED_FOREVER;
    }
    if (m->idle) {
        m->idle(m->opaque, m, board->clock.next); /* may push input, which comes earlier */
    }
    vtime_t to = board->clock.next < m->limit_ns ? board->clock.next : m->limit_ns;
    if (to > board->clock.now) {
        clock_advance(&board->clock, to);
    }
    return MACHINE_STOP_NONE;
}

static enum machine_stop_reason serve_triple_fault(struct machine *m)
{
    const struct cpu *cpu = m->board.cpu[0];
    if (cpu->idtr.limit != 0) {
        return MACHINE_STOP_TRIPLE_FAULT;
    }
    /* board.request keeps the instruction for the verdict. */
    m->board.request = (struct board_request){.kind = BOARD_REQUEST_RESET, .rip = cpu->rip};
    return MACHINE_STOP_NONE;
}

static enum machine_stop_reason take_turn(struct machine *m)
{
    struct cpu *cpu = m->board.cpu[0];
    if (m->poll) {
        m->poll(m->opaque, m);
    }
    switch (cpu_exec(cpu, turn_end(m))) {
    case CPU_STOP_NONE:
    case CPU_STOP_REQUEST: /* check_ends() knows why */
    case CPU_STOP_LIMIT:
        return MACHINE_STOP_NONE;
    case CPU_STOP_HALTED:
        return m->board.request.kind == BOARD_REQUEST_NONE ? serve_halt(m) : MACHINE_STOP_NONE;
    case CPU_STOP_TRIPLE_FAULT:
        return serve_triple_fault(m);
    case CPU_STOP_UNMODELLED:
        return MACHINE_STOP_UNMODELLED;
    }
    irq_unreachable();
}

static void describe_stop(struct machine *m, enum machine_stop_reason reason,
                          struct machine_stop_info *info)
{
    const struct board_request *request = &m->board.request;
    memset(info, 0, sizeof(*info));
    info->reason = reason;
    info->vtime_ns = m->board.clock.now;
    info->insns = board_insns(&m->board, 0);
    machine_get_regs(m, 0, &info->regs);
    info->at_rip = info->regs.rip;
    if (request->kind != BOARD_REQUEST_NONE) {
        info->at_rip = request->rip;
        info->value = request->value;
    }
    if (reason == MACHINE_STOP_UNMODELLED) {
        snprintf(info->text, sizeof(info->text), "%s", m->board.cpu[0]->unmodelled_text);
    }
}

enum machine_stop_reason machine_run(struct machine *m, struct machine_stop_info *info)
{
    struct machine_stop_info own;
    struct trace *trace = &m->board.trace;
    enum machine_stop_reason reason = check_ends(m);
    while (reason == MACHINE_STOP_NONE) {
        if (!m->started) {
            m->started = true;
            trace_machine_start(trace, 0, 0, 0, 0, m->board.cpu[0]->rip, m->image.info.format,
                                m->board.bus.ram_size);
        }
        reason = take_turn(m);
        if (reason == MACHINE_STOP_NONE) {
            reason = check_ends(m);
        }
    }
    describe_stop(m, reason, info ? info : &own);
    if (!info) {
        info = &own;
    }
    trace_machine_end(trace, 0, m->board.request.cause, 0, 0, reason, info->value, info->at_rip);
    trace_flush(trace);
    return reason;
}

/* ---- looking on ---- */

void machine_get_kernel(const struct machine *m, struct machine_kernel_info *info)
{
    *info = m->image.info;
}

void machine_get_regs(const struct machine *m, unsigned index, struct machine_regs *regs)
{
    memset(regs, 0, sizeof(*regs));
    if (index >= m->board.ncpus) {
        return;
    }
    const struct cpu *cpu = m->board.cpu[index];
    regs->rip = cpu->rip;
    memcpy(regs->gpr, cpu->gpr, sizeof(regs->gpr));
    regs->rflags = cpu_get_eflags(cpu);
    regs->cr0 = cpu->cr0;
    regs->cr2 = cpu->cr2;
    regs->cr3 = cpu->cr3;
    regs->cr4 = cpu->cr4;
    regs->efer = cpu->efer;
    regs->cs_base = cpu->seg[SEG_CS].base;
    regs->cs = cpu->seg[SEG_CS].sel;
    regs->ss = cpu->seg[SEG_SS].sel;
    regs->ds = cpu->seg[SEG_DS].sel;
    regs->es = cpu->seg[SEG_ES].sel;
    regs->fs = cpu->seg[SEG_FS].sel;
    regs->gs = cpu->seg[SEG_GS].sel;
    regs->idt_base = cpu->idtr.base;
    regs->idt_limit = cpu->idtr.limit;
    regs->cpl = cpu->cpl;
    regs->code_bits = cpu->code_bits;
    regs->halted = cpu->halted;
}

uint64_t machine_get_vtime(const struct machine *m)
{
    return m->board.clock.now;
}

uint64_t machine_get_insns(const struct machine *m, unsigned cpu)
{
    return cpu < m->board.ncpus ? board_insns(&m->board, (uint16_t)cpu) : 0;
}

uint64_t machine_get_ram_size(const struct machine *m)
{
    return m->board.bus.ram_size;
}

const char *machine_stop_name(enum machine_stop_reason reason)
{
    static const char *const names[MACHINE_STOP_REASONS] = {
        [MACHINE_STOP_NONE] = "none",
        [MACHINE_STOP_POWER_OFF] = "power-off",
        [MACHINE_STOP_RESET] = "reset",
        [MACHINE_STOP_DEBUG_EXIT] = "debug-exit",
        [MACHINE_STOP_TRIPLE_FAULT] = "triple-fault",
        [MACHINE_STOP_HALTED_FOREVER] = "halted-forever",
        [MACHINE_STOP_LIMIT_INSNS] = "limit-insns",
        [MACHINE_STOP_LIMIT_TIME] = "limit-time",
        [MACHINE_STOP_REQUEST] = "request",
        [MACHINE_STOP_UNMODELLED] = "unmodelled",
    };
    return (unsigned)reason < MACHINE_STOP_REASONS ? names[reason] : "unknown";
}

const char *machine_boot_format_name(enum machine_boot_format format)
{
    switch (format) {
    case MACHINE_BOOT_NONE:
        return "no kernel";
    case MACHINE_BOOT_MULTIBOOT1:
        return "multiboot 1";
    case MACHINE_BOOT_MULTIBOOT2:
        return "multiboot 2";
    case MACHINE_BOOT_PVH:
        return "PVH";
    case MACHINE_BOOT_ELF32:
    case MACHINE_BOOT_ELF64:
        return "no boot header";
    case MACHINE_BOOT_FLAT:
        return "flat binary";
    }
    return "unknown";
}

size_t machine_read_memory(const struct machine *m, uint64_t gpa, void *buf, size_t len)
{
    return bus_copy_from(&m->board.bus, gpa, buf, len);
}

size_t machine_write_memory(struct machine *m, uint64_t gpa, const void *buf, size_t len)
{
    return bus_copy_to(&m->board.bus, gpa, buf, len);
}

size_t machine_read_linear(const struct machine *m, unsigned cpu, uint64_t lin, void *buf,
                           size_t len)
{
    return cpu < m->board.ncpus ? cpu_read_debug(m->board.cpu[cpu], lin, buf, len) : 0;
}

int machine_trace_listen(struct machine *m,
                         void (*drain)(void *opaque, const struct irq_record *recs, size_t n),
                         void *opaque)
{
    /* Frames and contexts that an earlier listener was told of mean nothing to this one. */
    for (unsigned i = 0; i < m->board.ncpus; i++) {
        m->board.cpu[i]->nframes = 0;
        m->board.cpu[i]->cur_cause = 0;
    }
    return trace_listen(&m->board.trace, drain, opaque);
}

void machine_trace_flush(struct machine *m)
{
    trace_flush(&m->board.trace);
}

void machine_trace_mask(struct machine *m, uint16_t kind, bool masked)
{
    if (kind < irq_array_size(m->board.trace.masked)) {
        trace_mask_kind(&m->board.trace, kind, masked);
    }
}

struct pc_board *machine_get_board(struct machine *m)
{
    return &m->board;
}
