/* SPDX-License-Identifier: MIT */
/*
 * What is told of deliveries without records: the text of -d, in QEMU's form so that scripts can read it, and the last few events for
 * an autopsy. Form of the lines: QEMU 7.2, output of `qemu-system-x86_64 -d int,cpu_reset`.
 *
 * Deviations: addresses have 16 digits in long mode and 8 otherwise (QEMU has 16 throughout or 8 throughout, by the name of the
 * program); segments are shown without the words behind their descriptor (DPL=, type).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bus/intr.h"
#include "cpu/cpu.h"
#include "cpu/trace_events.h"
#include "intc/trace_events.h"
#include "irqscope/run.h"
#include "scope/text.h"

int log_open(struct event_log *log, const struct options *o, struct error *err)
{
    *log = (struct event_log){.items = o->log_items, .out = stderr};
    if (o->log_file && o->log_items) {
        log->out = fopen(o->log_file, "w");
        if (!log->out) {
            return error_set(err, -errno, "-D %s: cannot write it: %s", o->log_file,
                             strerror(errno));
        }
        log->out_is_file = true;
    }
    return 0;
}

void log_close(struct event_log *log)
{
    if (log->out_is_file) {
        fclose(log->out);
    }
    log->out = NULL;
}

static void print_gpr32(FILE *out, const struct cpu *cpu)
{
    static const char *const names[] = {"EAX", "EBX", "ECX", "EDX", "ESI", "EDI", "EBP", "ESP"};
    static const uint8_t regs[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX,
                                   REG_RSI, REG_RDI, REG_RBP, REG_RSP};
    for (unsigned i = 0; i < 8; i++) {
        fprintf(out, "%s=%08" PRIx32 "%c", names[i], (uint32_t)cpu->gpr[regs[i]],
                i % 4 == 3 ? '\n' : ' ');
    }
}

static void print_gpr64(FILE *out, const struct cpu *cpu)
{
    static const char *const names[] = {"RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP",
                                        "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
    static const uint8_t regs[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
                                   REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15};
    for (unsigned i = 0; i < 16; i++) {
        fprintf(out, "%s=%016" PRIx64 "%c", names[i], cpu->gpr[regs[i]], i % 4 == 3 ? '\n' : ' ');
    }
}

static void print_segment(FILE *out, const char *name, const struct cpu_segment *seg, bool wide)
{
    /* The descriptor's second word without its base, as QEMU shows it. */
    uint32_t limit = seg->attr & SEG_G ? seg->limit >> 12 : seg->limit;
    uint32_t flags =
        (uint32_t)(seg->attr & 0xff) << 8 | (limit & 0xf0000) | (uint32_t)(seg->attr >> 12) << 20;
    fprintf(out,
            wide ? "%-3s=%04x %016" PRIx64 " %08x %08x\n" : "%-3s=%04x %08" PRIx64 " %08x %08x\n",
            name, seg->sel, seg->base, seg->limit, flags);
}

static void print_flags(FILE *out, uint32_t eflags)
{
    static const struct {
        uint32_t mask;
        char letter;
    } flags[] = {{EFLAGS_DF, 'D'}, {EFLAGS_OF, 'O'}, {EFLAGS_SF, 'S'}, {EFLAGS_ZF, 'Z'},
                 {EFLAGS_AF, 'A'}, {EFLAGS_PF, 'P'}, {EFLAGS_CF, 'C'}};
    fputc('[', out);
    for (unsigned i = 0; i < irq_array_size(flags); i++) {
        fputc(eflags & flags[i].mask ? flags[i].letter : '-', out);
    }
    fputc(']', out);
}

static void print_state(FILE *out, const struct cpu *cpu)
{
    static const char *const names[SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    bool wide = cpu->long_mode;
    uint32_t eflags = cpu_get_eflags(cpu);
    if (cpu->code_bits == 64) {
        print_gpr64(out, cpu);
        fprintf(out, "RIP=%016" PRIx64 " RFL=%08" PRIx32 " ", cpu->rip, eflags);
    } else {
        print_gpr32(out, cpu);
        fprintf(out, "EIP=%08" PRIx32 " EFL=%08" PRIx32 " ", (uint32_t)cpu->rip, eflags);
    }
    print_flags(out, eflags);
    fprintf(out, " CPL=%d II=%d A20=1 SMM=0 HLT=%d\n", cpu->cpl, cpu->shadow, cpu->halted);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        print_segment(out, names[i], &cpu->seg[i], wide);
    }
    print_segment(out, "LDT", &cpu->ldtr, wide);
    print_segment(out, "TR", &cpu->tr, wide);
    const char *table = wide ? "%s=     %016" PRIx64 " %08x\n" : "%s=     %08" PRIx64 " %08x\n";
    fprintf(out, table, "GDT", cpu->gdtr.base, cpu->gdtr.limit);
    fprintf(out, table, "IDT", cpu->idtr.base, cpu->idtr.limit);
    fprintf(out,
            wide ? "CR0=%08" PRIx32 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx32 "\n"
                 : "CR0=%08" PRIx32 " CR2=%08" PRIx64 " CR3=%08" PRIx64 " CR4=%08" PRIx32 "\n",
            (uint32_t)cpu->cr0, cpu->cr2, cpu->cr3, (uint32_t)cpu->cr4);
    fprintf(out, "EFER=%016" PRIx64 "\n", cpu->efer);
}

/* Old is the event that was being delivered when the new one came. */
static void print_check(FILE *out, const struct cpu_exception *old, unsigned vector)
{
    fprintf(out, "check_exception old: 0x%x new 0x%x\n", old ? old->vector : 0xffffffffu, vector);
}

static void print_delivery(struct event_log *log, const struct cpu *cpu,
                           const struct cpu_exception *ev)
{
    FILE *out = log->out;
    bool software =
        ev->type == CPU_EVENT_SOFT_INT || ev->type == CPU_EVENT_INT3 || ev->type == CPU_EVENT_INTO;
    const char *form = cpu->long_mode ? "%6" PRIu64
                                        ": v=%02x e=%04x i=%d cpl=%d IP=%04x:%016" PRIx64
                                        " pc=%016" PRIx64 " SP=%04x:%016" PRIx64
                                      : "%6" PRIu64 ": v=%02x e=%04x i=%d cpl=%d IP=%04x:%08" PRIx64
                                        " pc=%08" PRIx64 " SP=%04x:%08" PRIx64;
    fprintf(out, form, log->count++, ev->vector, ev->has_error ? ev->error : 0, software, cpu->cpl,
            cpu->seg[SEG_CS].sel, cpu->rip, cpu->seg[SEG_CS].base + cpu->rip, cpu->seg[SEG_SS].sel,
            cpu->gpr[REG_RSP]);
    const char *last = ev->vector == VEC_PF ? " CR2=" : " env->regs[R_EAX]=";
    uint64_t value = ev->vector == VEC_PF ? cpu->cr2 : cpu->gpr[REG_RAX];
    fprintf(out, cpu->long_mode ? "%s%016" PRIx64 "\n" : "%s%08" PRIx64 "\n", last, value);
    print_state(out, cpu);
}

static void print_event(struct event_log *log, const struct cpu *cpu, const struct logged_event *e,
                        const struct logged_event *before)
{
    const struct cpu_exception *ev = &e->ev;
    bool converted = e->in_delivery && before;
    if (ev->type == CPU_EVENT_EXTERNAL) {
        fprintf(log->out, "Servicing hardware INT=0x%02x\n", ev->vector);
    } else if (ev->type == CPU_EVENT_EXCEPTION) {
        print_check(log->out, converted ? &before->ev : NULL,
                    converted ? e->fault.vector : ev->vector);
    }
    if (e->triple) {
        fputs("Triple fault\n", log->out);
    } else {
        print_delivery(log, cpu, ev);
    }
}

void log_event(void *opaque, struct cpu *cpu, const struct cpu_exception *ev)
{
    struct event_log *log = opaque;
    if (!ev) {
        log_reset(log, cpu);
        return;
    }
    struct logged_event *e = &log->event[log->nevents % EVENTS];
    const struct logged_event *before =
        log->nevents ? &log->event[(log->nevents - 1) % EVENTS] : NULL;
    *e = (struct logged_event){.ev = *ev,
                               .fault = *ev,
                               .rip = cpu->rip,
                               .sp = cpu->gpr[REG_RSP],
                               .insns = cpu_insns(cpu),
                               .cs_base = cpu->seg[SEG_CS].base,
                               .code_bits = cpu->code_bits,
                               .cpl = cpu->cpl,
                               .triple = cpu->stop == CPU_STOP_TRIPLE_FAULT};
    /* Where nothing was pushed and no instruction ran since the last event, its delivery failed. */
    e->in_delivery = before && ev->type == CPU_EVENT_EXCEPTION && e->rip == before->rip &&
                     e->sp == before->sp && e->insns <= before->insns + 1;
    if (e->in_delivery && (e->triple || ev->vector == VEC_DF)) {
        e->fault = cpu->fault; /* the double fault stands for this one */
    }
    if (e->in_delivery && !before->ev.soft && e->fault.vector >= VEC_TS &&
        e->fault.vector <= VEC_GP) {
        e->fault.error |= 1; /* EXT. SDM Vol. 3A, 6.13 "Error Code" */
    }
    log->nevents++;
    if (log->items & LOG_INT) {
        print_event(log, cpu, e, before);
    }
}

void log_reset(struct event_log *log, const struct cpu *cpu)
{
    if (log->items & LOG_CPU_RESET) {
        fprintf(log->out, "CPU Reset (CPU %u)\n", cpu->index);
        print_state(log->out, cpu);
    }
}

void log_records(struct event_log *log, const struct irq_record *recs, size_t n,
                 struct symbols *symbols)
{
    for (size_t i = 0; i < n; i++) {
        const struct irq_record *r = &recs[i];
        if (r->kind == TRACE_lapic_error ||
            (r->kind == TRACE_msi && r->result == DELIVER_ILLEGAL)) {
            fputs("guest error: ", log->out);
            text_print_record(log->out, r, symbols);
        }
    }
}
