/* SPDX-License-Identifier: MIT */
/*
 * See text.h.
 */
#include "scope/text.h"

#include "firmware/pc_board.h"
#include "firmware/trace_kinds.h"
#include "scope/names.h"

typedef unsigned long long ull;

const char *text_operand(const struct trace_desc *desc, const struct irq_record *r, unsigned i,
                         struct symbols *symbols, char *buf)
{
    uint64_t v = r->op[i];
    const char *word;
    switch (desc->op[i].type) {
    case TRACE_OP_DEC:
    case TRACE_OP_BOOL:
        snprintf(buf, SYMBOLS_TEXT, "%llu", (ull)v);
        break;
    case TRACE_OP_HEX:
        snprintf(buf, SYMBOLS_TEXT, v == UINT64_MAX ? "none" : "0x%llx", (ull)v);
        break;
    case TRACE_OP_VEC:
        snprintf(buf, SYMBOLS_TEXT, "0x%02llx", (ull)v);
        break;
    case TRACE_OP_ADDR:
        return symbols_format(symbols, v, buf);
    case TRACE_OP_LINE:
        snprintf(buf, SYMBOLS_TEXT, "%s",
                 board_source_name(v <= UINT16_MAX ? (uint16_t)v : UINT16_MAX));
        break;
    case TRACE_OP_REASON:
        snprintf(buf, SYMBOLS_TEXT, "%s",
                 trace_hold_name(v < HOLD_HOLDS ? (enum trace_hold)v : HOLD_HOLDS));
        break;
    case TRACE_OP_ENUM:
        word = name_operand(desc, i, v);
        if (word) {
            snprintf(buf, SYMBOLS_TEXT, "%s", word);
        } else {
            snprintf(buf, SYMBOLS_TEXT, "%llu", (ull)v);
        }
        break;
    }
    return buf;
}

void text_print_heading(FILE *out)
{
    fprintf(out, "%8s %8s %16s %4s %-16s %s\n", "record", "cause", "time/ns", "cpu", "kind",
            "operands");
}

void text_print_record(FILE *out, const struct irq_record *r, struct symbols *symbols)
{
    const struct trace_desc *desc = trace_desc_find(r->kind);
    char buf[SYMBOLS_TEXT];
    fprintf(out, "%8llu %8llu %16llu ", (ull)r->id, (ull)r->cause, (ull)r->vtime);
    if (r->cpu == TRACE_CPU_NONE) {
        fprintf(out, "%4s ", "-");
    } else {
        fprintf(out, "%4u ", r->cpu);
    }
    fprintf(out, "%-16s", desc ? desc->name : "unknown");
    for (unsigned i = 0; desc && i < desc->nops; i++) {
        fprintf(out, " %s=%s", desc->op[i].name, text_operand(desc, r, i, symbols, buf));
    }
    if (r->ref) {
        fprintf(out, " ref=%llu", (ull)r->ref);
    }
    if (r->result) {
        fprintf(out, " result=%s", name_result(r->result));
    }
    fputc('\n', out);
}
