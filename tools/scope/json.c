/* SPDX-License-Identifier: MIT */
/*
 * See json.h.
 */
#include "scope/json.h"

#include "bus/trace_events.h"
#include "cpu/trace_events.h"
#include "firmware/pc_board.h"
#include "firmware/trace_events.h"
#include "firmware/trace_kinds.h"
#include "intc/trace_events.h"
#include "scope/names.h"

typedef unsigned long long ull;

/* Length of the well-formed UTF-8 sequence at s, 0 if it is none. The Unicode Standard, table 3-7 "Well-Formed UTF-8 Byte Sequences". */
static unsigned utf8_length(const unsigned char *s)
{
    unsigned n = s[0] < 0x80                    ? 1
                 : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                 : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : n;
}

void json_print_string(FILE *out, const char *text)
{
    if (!text) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        unsigned n = utf8_length(s);
        if (n == 0) {
            fputs("\\ufffd", out);
            s++;
        } else if (n == 1 && (*s == '"' || *s == '\\')) {
            fprintf(out, "\\%c", *s++);
        } else if (n == 1 && (*s < 0x20 || *s == 0x7f)) {
            fprintf(out, "\\u%04x", *s++);
        } else {
            fwrite(s, 1, n, out);
            s += n;
        }
    }
    fputc('"', out);
}

static void print_where(FILE *out, uint64_t addr, struct symbols *symbols)
{
    struct symbols_place place;
    symbols_find(symbols, addr, &place);
    fprintf(out, "{\"addr\":\"0x%llx\",\"symbol\":", (ull)addr);
    json_print_string(out, place.symbol);
    if (place.symbol) {
        fprintf(out, ",\"offset\":%llu,\"file\":", (ull)place.offset);
    } else {
        fputs(",\"offset\":null,\"file\":", out);
    }
    json_print_string(out, place.file);
    if (place.file) {
        fprintf(out, ",\"line\":%d}", place.line);
    } else {
        fputs(",\"line\":null}", out);
    }
}

static void print_operand(FILE *out, const struct trace_desc *desc, unsigned i, uint64_t v,
                          struct symbols *symbols)
{
    const char *word;
    switch (desc->op[i].type) {
    case TRACE_OP_DEC:
    case TRACE_OP_BOOL:
        fprintf(out, "%llu", (ull)v);
        break;
    case TRACE_OP_VEC:
    case TRACE_OP_HEX:
        fprintf(out, "\"0x%llx\"", (ull)v);
        break;
    case TRACE_OP_ADDR:
        print_where(out, v, symbols);
        break;
    case TRACE_OP_LINE:
        json_print_string(out, board_source_name(v <= UINT16_MAX ? (uint16_t)v : UINT16_MAX));
        break;
    case TRACE_OP_REASON:
        json_print_string(out, trace_hold_name(v < HOLD_HOLDS ? (enum trace_hold)v : HOLD_HOLDS));
        break;
    case TRACE_OP_ENUM:
        word = name_operand(desc, i, v);
        if (word) {
            json_print_string(out, word);
        } else {
            fprintf(out, "%llu", (ull)v);
        }
        break;
    }
}

/* "name":N, or null. */
static void print_number(FILE *out, const char *name, uint64_t v, bool known)
{
    if (known) {
        fprintf(out, ",\"%s\":%llu", name, (ull)v);
    } else {
        fprintf(out, ",\"%s\":null", name);
    }
}

void json_print_record(FILE *out, const struct irq_record *r, struct symbols *symbols)
{
    const struct trace_desc *desc = trace_desc_find(r->kind);
    bool cpu = r->cpu != TRACE_CPU_NONE;
    fprintf(out, "{\"schema\":\"irqscope.records/1\",\"record\":%llu", (ull)r->id);
    print_number(out, "cause", r->cause, r->cause);
    print_number(out, "ref", r->ref, r->ref);
    fprintf(out, ",\"vtime_ns\":%llu", (ull)r->vtime);
    print_number(out, "cpu", r->cpu, cpu);
    print_number(out, "insns", r->insns, cpu);
    fputs(",\"kind\":", out);
    json_print_string(out, desc ? desc->name : NULL);
    fputs(",\"result\":", out);
    json_print_string(out, name_result(r->result));
    fputs(",\"operands\":{", out);
    for (unsigned i = 0; desc && i < desc->nops; i++) {
        fprintf(out, "%s\"%s\":", i ? "," : "", desc->op[i].name);
        print_operand(out, desc, i, r->op[i], symbols);
    }
    fputs("}}\n", out);
}

/* Stable names of stages; NULL: the record is no stage. */
static const char *stage_name(uint16_t kind)
{
    switch (kind) {
    case TRACE_device_access:
        return "access";
    case TRACE_timer_arm:
        return "arm";
    case TRACE_timer_expire:
        return "expire";
    case TRACE_host_input:
        return "input";
    case TRACE_line:
    case TRACE_line_join:
        return "line";
    case TRACE_pic_request:
        return "pic";
    case TRACE_pic_withdraw:
        return "withdraw";
    case TRACE_pic_intr:
        return "intr";
    case TRACE_ioapic_pin:
        return "route";
    case TRACE_ioapic_msg:
    case TRACE_msi:
        return "message";
    case TRACE_ipi:
        return "ipi";
    case TRACE_lapic_lvt:
        return "lvt";
    case TRACE_lapic_accept:
    case TRACE_lapic_event:
        return "accept";
    case TRACE_pic_ack:
    case TRACE_lapic_ack:
        return "ack";
    case TRACE_cpu_take:
        return "take";
    case TRACE_cpu_gate:
        return "gate";
    case TRACE_cpu_frame:
        return "frame";
    case TRACE_pic_eoi:
    case TRACE_lapic_eoi:
        return "eoi";
    case TRACE_ioapic_eoi:
        return "ioapic-eoi";
    case TRACE_cpu_iret:
        return "iret";
    case TRACE_cpu_fault_in_delivery:
    case TRACE_cpu_triple_fault:
        return "fault";
    default:
        return NULL;
    }
}

/* The instruction that did r, where it is known. */
static bool stage_by(const struct irq_record *r, uint64_t *by)
{
    enum trace_hold reason;
    if (flow_is_hold(r)) {
        flow_hold_of(r, &reason, by);
        return *by != 0;
    }
    switch (r->kind) {
    case TRACE_device_access:
    case TRACE_ipi:
    case TRACE_pic_eoi:
    case TRACE_lapic_eoi:
        *by = r->op[3];
        return true;
    default:
        return false;
    }
}

static void print_stages(FILE *out, const struct flow *f, struct symbols *symbols)
{
    fputs(",\"stages\":[", out);
    const char *comma = "";
    for (unsigned i = 0; i < f->nstages; i++) {
        const struct irq_record *r = &f->stage[i];
        bool hold = flow_is_hold(r), cpu = r->cpu != TRACE_CPU_NONE;
        const char *name = hold ? "hold" : stage_name(r->kind);
        enum trace_hold reason = HOLD_NONE;
        uint64_t by = 0;
        if (!name) {
            continue;
        }
        if (hold) {
            flow_hold_of(r, &reason, &by);
        }
        fprintf(out, "%s{\"stage\":\"%s\",\"vtime_ns\":%llu", comma, name, (ull)r->vtime);
        comma = ",";
        print_number(out, "insns", r->insns, cpu);
        print_number(out, "cpu", r->cpu, cpu);
        print_number(out, "record", r->id, true);
        fputs(",\"hold\":", out);
        json_print_string(out, hold ? trace_hold_name(reason) : NULL);
        fputs(",\"reason\":", out);
        json_print_string(out, r->result ? name_result(r->result) : NULL);
        fputs(",\"by\":", out);
        if (stage_by(r, &by)) {
            print_where(out, by, symbols);
        } else {
            fputs("null", out);
        }
        fputc('}', out);
    }
    fputs("]", out);
}

void json_print_flow(FILE *out, const struct flow *f, struct symbols *symbols)
{
    const struct irq_record *take = flow_find(f, TRACE_cpu_take),
                            *gate = flow_find(f, TRACE_cpu_gate);
    const struct irq_record *begin = NULL;
    for (unsigned i = 0; i < f->nstages && !begin; i++) {
        begin = f->stage[i].cpu != TRACE_CPU_NONE ? &f->stage[i] : NULL;
    }
    bool pic = f->pic_pin != FLOW_NONE && f->io != BRANCH_TAKEN;

    fprintf(out,
            "{\"schema\":\"irqscope.flows/1\",\"flow\":%llu,\"kind\":\"%s\",\"outcome\":\"%s\"",
            (ull)f->number, flow_kind_name(f->kind), flow_outcome_name(f->outcome));
    print_number(out, "cause_flow", f->cause_flow, f->cause_flow);
    print_number(out, "nested_in", f->nested_in, f->nested_in);
    print_number(out, "coalesced_with", f->coalesced_with, f->coalesced_with);
    print_number(out, "gsi", f->gsi, f->gsi != FLOW_NONE);
    print_number(out, "pin", pic ? f->pic_pin : f->ioapic_pin, pic || f->ioapic_pin != FLOW_NONE);
    fputs(",\"device\":", out);
    json_print_string(out, f->source != FLOW_NONE ? board_source_name(f->source) : NULL);
    print_number(out, "vector", f->vector, f->vector != FLOW_NONE);
    if (take && take->op[2] != UINT64_MAX) {
        fprintf(out, ",\"error_code\":\"0x%llx\"", (ull)take->op[2]);
    } else {
        fputs(",\"error_code\":null", out);
    }
    print_number(out, "cpu", f->cpu, f->cpu != TRACE_CPU_NONE);
    fputs(",\"interrupted\":", out);
    if (take) {
        print_where(out, take->op[3], symbols);
    } else {
        fputs("null", out);
    }
    fputs(",\"handler\":", out);
    if (gate) {
        print_where(out, gate->op[3], symbols);
    } else {
        fputs("null", out);
    }
    bool latency = take && begin && begin->cpu == take->cpu && begin->vtime == f->stage[0].vtime;
    print_number(out, "latency_insns", latency ? take->insns - begin->insns : 0, latency);
    print_number(out, "latency_ns", take ? take->vtime - f->stage[0].vtime : 0, take);
    print_stages(out, f, symbols);
    fputs("}\n", out);
}
