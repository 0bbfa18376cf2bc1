/* SPDX-License-Identifier: MIT */
/*
 * How a run ended: the text screen, one sentence with the guest's place, the autopsy of a triple fault, the summary, the status.
 *
 * The text screen is the 80x25 page at B8000h: a character and an attribute for each cell (IBM VGA manual, "Alphanumeric Modes").
 */
#include <capstone/capstone.h>
#include <string.h>

#include "cpu/trace_events.h"
#include "irqscope/run.h"
#include "scope/names.h"

#define SCREEN_BASE    0xb8000
#define SCREEN_COLUMNS 80
#define SCREEN_ROWS    25

typedef unsigned long long ull;

/* "1.204 ms": whole units where they are exact. */
static const char *format_time(vtime_t ns, char *buf, size_t size)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
    for (size_t i = 0; i < irq_array_size(units); i++) {
        if (ns >= units[i].ns) {
            ull whole = ns / units[i].ns, part = ns % units[i].ns / (units[i].ns / 1000);
            if (ns % units[i].ns == 0) {
                snprintf(buf, size, "%llu %s", whole, units[i].name);
            } else {
                snprintf(buf, size, "%llu.%03llu %s", whole, part, units[i].name);
            }
            return buf;
        }
    }
    snprintf(buf, size, "%llu ns", (ull)ns);
    return buf;
}

/* The line that tells what was loaded, into run->banner. */
void report_describe(struct run *run)
{
    const struct machine_kernel_info *k = &run->kernel;
    char entry[SYMBOLS_TEXT], memory[32];
    uint64_t bytes = machine_get_ram_size(run->machine);
    if (bytes % (1u << 20) == 0) {
        snprintf(memory, sizeof(memory), "%llu MiB", (ull)(bytes >> 20));
    } else {
        snprintf(memory, sizeof(memory), "%llu KiB", (ull)(bytes >> 10));
    }
    bool header = k->format != MACHINE_BOOT_ELF32 && k->format != MACHINE_BOOT_ELF64;
    snprintf(run->banner, sizeof(run->banner), "%.200s: %s%s%s, entry %.100s; pc, %s, 1 CPU",
             run->name,
             k->elf_class == 32   ? "ELF32, "
             : k->elf_class == 64 ? "ELF64, "
                                  : "",
             header ? machine_boot_format_name(k->format) : "no boot header",
             k->format == MACHINE_BOOT_ELF64   ? ": starts in long mode"
             : k->format == MACHINE_BOOT_ELF32 ? ": starts in 32-bit flat mode"
                                               : "",
             symbols_format_short(run->symbols, k->entry_elf, entry), memory);
}

void report_banner(const struct run *run)
{
    if (run->options->quiet) {
        return;
    }
    if (!run->options->file) {
        fputs("irqscope: no kernel was given: this is the tour that ships with irqscope\n", stderr);
    }
    fprintf(stderr, "irqscope: %s\n", run->banner);
    if (run->kernel.note[0]) {
        fprintf(stderr, "irqscope: %s\n", run->kernel.note);
    }
}

/* ---- screen ---- */

static void read_row(const uint8_t *cells, char *text)
{
    size_t len = 0;
    for (unsigned i = 0; i < SCREEN_COLUMNS; i++) {
        uint8_t c = cells[2 * i];
        text[i] = c == 0 || c == 0xff ? ' ' : c < 0x20 || c > 0x7e ? '?' : (char)c;
        if (text[i] != ' ') {
            len = i + 1;
        }
    }
    text[len] = '\0';
}

static void report_screen(const struct run *run)
{
    uint8_t cells[SCREEN_ROWS][SCREEN_COLUMNS * 2];
    char text[SCREEN_ROWS][SCREEN_COLUMNS + 1];
    unsigned end = 0;
    if (machine_read_memory(run->machine, SCREEN_BASE, cells, sizeof(cells)) != sizeof(cells)) {
        return;
    }
    for (unsigned row = 0; row < SCREEN_ROWS; row++) {
        read_row(cells[row], text[row]);
        end = text[row][0] ? row + 1 : end;
    }
    for (unsigned row = 0; row < end; row++) {
        fprintf(stderr, "irqscope: screen: |%s|\n", text[row]);
    }
}

/* ---- autopsy ---- */

/* One instruction at a place of the guest as text; empty if it cannot be had. */
static void disassemble(const struct run *run, const struct logged_event *e, char *buf, size_t size)
{
    uint8_t code[15];
    csh handle;
    cs_insn *insn;
    size_t n = machine_read_linear(run->machine, 0, e->cs_base + e->rip, code, sizeof(code));
    cs_mode mode = e->code_bits == 64 ? CS_MODE_64 : e->code_bits == 32 ? CS_MODE_32 : CS_MODE_16;
    buf[0] = '\0';
    if (n == 0 || cs_open(CS_ARCH_X86, mode, &handle) != CS_ERR_OK) {
        return;
    }
    if (cs_disasm(handle, code, n, e->rip, 1, &insn) == 1) {
        snprintf(buf, size, "%s%s%s", insn->mnemonic, insn->op_str[0] ? " " : "", insn->op_str);
        cs_free(insn, 1);
    }
    cs_close(&handle);
}

/* "#PF(0x2)" */
static const char *format_exception(const struct cpu_exception *ev, char *buf, size_t size)
{
    const char *name = ev->type == CPU_EVENT_EXCEPTION || ev->type == CPU_EVENT_NMI
                           ? name_exception(ev->vector)
                           : NULL;
    const char *kind = ev->type == CPU_EVENT_EXTERNAL ? "interrupt" : "INT";
    int n =
        name ? snprintf(buf, size, "%s", name) : snprintf(buf, size, "%s 0x%02x", kind, ev->vector);
    if (ev->has_error && n > 0) {
        snprintf(buf + n, size - (size_t)n, "(0x%x)", ev->error);
    }
    return buf;
}

/* What kind of access a page fault's error code tells of. SDM Vol. 3A, figure 4-12 "Page-Fault Error Code". */
static void print_page_fault(const struct cpu_exception *ev)
{
    fprintf(stderr, ": %s 0x%llx, %s%s",
            ev->error & 0x10 ? "fetch from"
            : ev->error & 2  ? "write to"
                             : "read from",
            (ull)ev->cr2,
            ev->error & 8   ? "reserved bit set"
            : ev->error & 1 ? "not allowed"
                            : "not present",
            ev->error & 4 ? " (user)" : "");
}

/* The gate of vector, as it is in the guest's memory now. */
static void print_gate(const struct run *run, const struct machine_stop_info *info, unsigned vector)
{
    uint8_t gate[16] = {0};
    bool wide = info->regs.efer & EFER_LMA;
    size_t size = wide ? 16 : 8;
    uint64_t at = info->regs.idt_base + vector * size;
    if (vector * size + size - 1 > info->regs.idt_limit) {
        fprintf(stderr, ": IDT[%u] is behind the IDT's limit 0x%x", vector, info->regs.idt_limit);
        return;
    }
    if (machine_read_linear(run->machine, 0, at, gate, size) != size) {
        fprintf(stderr, ": IDT[%u] at 0x%llx, not mapped", vector, (ull)at);
        return;
    }
    bool zero = true;
    for (size_t i = 0; i < size; i++) {
        zero = zero && gate[i] == 0;
    }
    fprintf(stderr, ": IDT[%u] at 0x%llx, %sP=%d", vector, (ull)at, zero ? "all zero: " : "",
            gate[5] >> 7);
    if (!zero) {
        fprintf(stderr, ", type 0x%x, selector 0x%02x%02x", gate[5] & 0xf, gate[3], gate[2]);
    }
}

static void report_triple_fault(const struct run *run, const struct machine_stop_info *info)
{
    const struct event_log *log = &run->log;
    uint64_t kept = log->nevents < EVENTS ? log->nevents : EVENTS, first = log->nevents;
    char where[SYMBOLS_TEXT], text[224], exception[40], delivering[40], time[40];

    fprintf(stderr, "irqscope: triple fault, CPU %u, t=%s: %s\n", info->cpu,
            format_time(info->vtime_ns, time, sizeof(time)),
            symbols_format(run->symbols, info->at_rip, where));
    /* The chain begins with the last event that was no consequence of the one before. */
    while (first > log->nevents - kept) {
        first--;
        if (!log->event[first % EVENTS].in_delivery) {
            break;
        }
    }
    unsigned n = 1;
    for (uint64_t i = first; i < log->nevents; i++) {
        const struct logged_event *e = &log->event[i % EVENTS],
                                  *before = &log->event[(i - 1) % EVENTS];
        if (!e->in_delivery) {
            disassemble(run, e, text, sizeof(text));
            fprintf(stderr, "  %u %s  %s%s%s", n++,
                    format_exception(&e->ev, exception, sizeof(exception)),
                    symbols_format(run->symbols, e->rip, where), text[0] ? " " : "", text);
            if (e->ev.vector == VEC_PF && e->ev.type == CPU_EVENT_EXCEPTION) {
                print_page_fault(&e->ev);
            }
            fputc('\n', stderr);
            continue;
        }
        struct cpu_exception bare = before->ev;
        bare.has_error = false;
        fprintf(stderr, "  %u %s delivering %s", n++,
                format_exception(&e->fault, exception, sizeof(exception)),
                format_exception(&bare, delivering, sizeof(delivering)));
        if (e->fault.vector == VEC_PF) {
            print_page_fault(&e->fault);
        } else if (e->fault.has_error && (e->fault.error & 2)) {
            print_gate(run, info, e->fault.error >> 3);
        }
        fputs(e->triple ? " => shutdown\n" : e->ev.vector == VEC_DF ? " => #DF\n" : "\n", stderr);
    }
}

/* ---- verdict ---- */

static void report_halted(const struct run *run, const struct machine_stop_info *info)
{
    char where[SYMBOLS_TEXT];
    /* RIP is behind the HLT, which has one byte; the place of the HLT is what a reader looks for. */
    bool interrupts = info->regs.rflags & EFLAGS_IF;
    fprintf(stderr, "irqscope: halted for ever: HLT with IF=%d at %s%s\n", interrupts,
            symbols_format(run->symbols, info->regs.rip - 1, where),
            interrupts ? ", and nothing is armed that could wake the CPU" : "");
}

/* The host's reason, if it ended the run; -1: it did not. */
static int report_host_end(const struct run *run, const struct machine_stop_info *info)
{
    const struct console *c = &run->console;
    char where[SYMBOLS_TEXT], time[40];
    bool quiet = run->options->quiet;
    symbols_format(run->symbols, info->regs.rip, where);
    switch (c->end) {
    case HOST_END_NONE:
        return -1;
    case HOST_END_UNTIL:
        if (!quiet) {
            fprintf(stderr, "irqscope: until: the serial output contains the text, t=%s\n",
                    format_time(info->vtime_ns, time, sizeof(time)));
        }
        return STATUS_OK;
    case HOST_END_TIMEOUT:
        fprintf(stderr, "irqscope: timeout: %g s of host time, %s of virtual time; at %s%s\n",
                run->options->timeout, format_time(info->vtime_ns, time, sizeof(time)), where,
                info->regs.halted ? ", halted" : "");
        return STATUS_TIMEOUT;
    case HOST_END_SIGNAL:
        fprintf(stderr, "irqscope: ended by signal %d at %s%s\n", c->signal, where,
                info->regs.halted ? ", halted" : "");
        return 128 + c->signal;
    case HOST_END_QUIT:
        if (!quiet) {
            fprintf(stderr, "irqscope: ended by Ctrl-A x at %s\n", where);
        }
        return STATUS_OK;
    case HOST_END_OUTPUT:
        fprintf(stderr, "irqscope: the serial output cannot be written: %s\n",
                strerror(c->out_error));
        return STATUS_SETUP;
    }
    return -1;
}

static int report_verdict(const struct run *run, const struct machine_stop_info *info)
{
    char where[SYMBOLS_TEXT], time[40];
    bool quiet = run->options->quiet;
    symbols_format(run->symbols, info->at_rip, where);
    switch (info->reason) {
    case MACHINE_STOP_POWER_OFF:
    case MACHINE_STOP_RESET:
        if (!quiet) {
            fprintf(stderr, "irqscope: %s at %s\n", machine_stop_name(info->reason), where);
        }
        return STATUS_OK;
    case MACHINE_STOP_DEBUG_EXIT: {
        int status = (int)((info->value << 1 | 1) & 0xff);
        if (!quiet) {
            fprintf(stderr, "irqscope: isa-debug-exit 0x%x at %s: status %d\n", info->value, where,
                    status);
        }
        return status;
    }
    case MACHINE_STOP_TRIPLE_FAULT:
        report_triple_fault(run, info);
        return STATUS_TRIPLE_FAULT;
    case MACHINE_STOP_HALTED_FOREVER:
        report_halted(run, info);
        return STATUS_HALTED;
    case MACHINE_STOP_LIMIT_INSNS:
        fprintf(stderr, "irqscope: limit: %llu instructions; at %s%s\n",
                (ull)run->options->limit_insns, where, info->regs.halted ? ", halted" : "");
        return STATUS_LIMIT;
    case MACHINE_STOP_LIMIT_TIME:
        fprintf(stderr, "irqscope: limit: %s virtual time; at %s%s\n",
                format_time(run->options->limit_time, time, sizeof(time)), where,
                info->regs.halted ? ", halted" : "");
        return STATUS_LIMIT;
    case MACHINE_STOP_UNMODELLED:
        fprintf(stderr, "irqscope: not modelled: %s at %s\n", info->text, where);
        return STATUS_UNMODELLED;
    case MACHINE_STOP_NONE:
    case MACHINE_STOP_REQUEST:
    case MACHINE_STOP_REASONS:
        break;
    }
    fprintf(stderr, "irqscope: a fault of irqscope's own: %s at %s\n",
            info->text[0] ? info->text : machine_stop_name(info->reason), where);
    return STATUS_UNMODELLED;
}

int report_end(struct run *run, const struct machine_stop_info *info)
{
    char time[40];
    if (run->options->screen == SCREEN_AT_END && !run->options->quiet) {
        report_screen(run);
    }
    /* After --until is met the guest runs on for a moment, and may end by itself. */
    bool host = info->reason == MACHINE_STOP_REQUEST || run->console.end == HOST_END_UNTIL;
    int status = host ? report_host_end(run, info) : -1;
    if (status < 0) {
        status = report_verdict(run, info);
    }
    if (!run->options->quiet) {
        fprintf(stderr, "irqscope: %llu instructions, %s of virtual time", (ull)info->insns,
                format_time(info->vtime_ns, time, sizeof(time)));
        if (run->listening) {
            fprintf(stderr, ", trace hash 0x%016llx", (ull)run->trace_hash);
        }
        fputc('\n', stderr);
    }
    return status;
}
