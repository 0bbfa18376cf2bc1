/* SPDX-License-Identifier: MIT */
/*
 * MOVS, CMPS, STOS, LODS, SCAS with REP, REPE and REPNE.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages and "REP/REPE/REPZ/REPNE/REPNZ"; Vol. 1
 * (253665), 7.3.9.1 "String Instructions".
 *
 * Each iteration costs one instruction of time. One execution makes at most the iterations that fit
 * before the next deadline; if more remain it leaves with RIP still at the instruction. Registers
 * and time stand at an iteration boundary whenever an access can fault, so a fault in the middle
 * finds the iterations before it done and charged.
 *
 * Elements that lie in plain RAM are done a page at a time through host pointers (a span), with the
 * result of one element after the other, overlap included. Anything else - device memory, pages
 * with code, an element across two pages - is done one element in each execution, so that
 * interrupts are polled between them.
 *
 * Not modelled: nothing known.
 * Deviations: a fault in the middle of REPE/REPNE CMPS or SCAS finds the flags of the last finished
 * iteration; the manual restores those from before the instruction.
 */
#include "cpu/op_arith.h"

enum string_op {
    STR_MOVS,
    STR_CMPS,
    STR_STOS,
    STR_LODS,
    STR_SCAS
};

#define STR_REPEATED (INSN_REP | INSN_REPNE)

static inline bool uses_source(enum string_op op)
{
    return op == STR_MOVS || op == STR_CMPS || op == STR_LODS;
}

static inline bool uses_destination(enum string_op op)
{
    return op != STR_LODS;
}

static inline bool compares(enum string_op op)
{
    return op == STR_CMPS || op == STR_SCAS;
}

static inline unsigned destination_flags(enum string_op op)
{
    return op == STR_MOVS || op == STR_STOS ? MEM_WRITE : MEM_READ;
}

/* Add `by` to an index or count register within the address size. */
static inline void advance(struct cpu *cpu, unsigned reg, uint64_t mask, uint64_t by)
{
    const uint64_t v = (cpu->regs[reg] + by) & mask;

    cpu->regs[reg] = mask == 0xffff ? (cpu->regs[reg] & ~mask) | v : v;
}

static inline uint64_t load_bytes(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    return v;
}

/* The accumulator receives a loaded element. */
static void set_accumulator(struct cpu *cpu, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        reg_set_8(cpu, 0, (uint8_t)v);
        break;
    case 2:
        reg_set_16(cpu, REG_RAX, (uint16_t)v);
        break;
    case 4:
        reg_set_32(cpu, REG_RAX, (uint32_t)v);
        break;
    default:
        reg_set_64(cpu, REG_RAX, v);
        break;
    }
}

/* Flags of a - b. */
static void compare(struct cpu *cpu, unsigned size, uint64_t a, uint64_t b)
{
    switch (size) {
    case 1:
        alu_sub_8(cpu, (uint8_t)a, (uint8_t)b);
        break;
    case 2:
        alu_sub_16(cpu, (uint16_t)a, (uint16_t)b);
        break;
    case 4:
        alu_sub_32(cpu, (uint32_t)a, (uint32_t)b);
        break;
    default:
        alu_sub_64(cpu, a, b);
        break;
    }
}

/* One run of the instruction: what does not change from element to element. */
struct string_run {
    enum string_op op;
    unsigned size;
    uint64_t mask; /* address mask */
    bool down;     /* EFLAGS.DF */
};

/*
 * One operand: its address, and the elements that follow in the same page of plain RAM (0: none).
 */
struct string_operand {
    uint64_t lin;
    uint8_t *host;
    uint64_t elements;
};

/*
 * Elements from an offset on for which no segment or address size check can differ from the
 * first's.
 */
static uint64_t elements_in_segment(const struct cpu *cpu, const struct string_run *run,
                                    unsigned seg, bool flat, uint64_t off)
{
    uint64_t end = run->mask;

    if (run->down) {
        if (!flat && (cpu->seg[seg].attr & (SEG_E | SEG_CODE)) == SEG_E) {
            return 1;
        }
        return off / run->size + 1;
    }
    if (!flat) {
        if ((cpu->seg[seg].attr & (SEG_E | SEG_CODE)) == SEG_E) {
            return 1;
        }
        if (cpu->seg[seg].limit < end) {
            end = cpu->seg[seg].limit;
        }
    }
    /*
     * The first element was checked, so off <= end; the last one of a wrapping range may count
     * short.
     */
    uint64_t n = (end - off) / run->size;
    return n ? n : 1;
}

/* Check the operand's next element and find its span. */
static void find_operand(struct cpu *cpu, const struct insn *in, const struct string_run *run,
                         bool source, struct string_operand *operand)
{
    const unsigned size = run->size;
    const uint64_t off = cpu->regs[source ? REG_RSI : REG_RDI] & run->mask;
    const unsigned flags = source ? MEM_READ : destination_flags(run->op);
    const unsigned seg = source ? in->seg : SEG_ES;

    operand->lin =
        source ? op_linear(cpu, in, off, size, flags) : op_linear_es(cpu, in, off, size, flags);
    operand->host = mem_bulk_ptr(cpu, in, operand->lin, size, flags);
    operand->elements = 0;
    if (operand->host) {
        const bool flat = cpu->code_bits == 64 || (source && in->ea != EA_GENERAL);
        const uint64_t in_page = operand->lin & 0xfff;
        uint64_t n = elements_in_segment(cpu, run, seg, flat, off);
        uint64_t room = run->down ? in_page / size + 1 : (0x1000 - in_page) / size;

        operand->elements = n < room ? n : room;
    }
}

/* ---- spans: n elements, as if one after the other ---- */

static void span_movs(const struct string_run *run, uint8_t *to, const uint8_t *from, uint64_t n)
{
    const size_t size = run->size, len = (size_t)n * size;

    if (run->down) {
        /* Lowest bytes; a destination above its source is then what memmove() handles. */
        uint8_t *low_to = to + size - len;
        const uint8_t *low_from = from + size - len;

        if (low_to >= low_from || (size_t)(low_from - low_to) >= len) {
            memmove(low_to, low_from, len);
            return;
        }
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t v = load_bytes(from - i * size, (unsigned)size);
            memcpy(to - i * size, &v, size);
        }
        return;
    }
    if (to <= from || (size_t)(to - from) >= len) {
        memmove(to, from, len);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t v = load_bytes(from + i * size, (unsigned)size);
        memcpy(to + i * size, &v, size);
    }
}

static void span_stos(const struct cpu *cpu, const struct string_run *run, uint8_t *to, uint64_t n)
{
    const size_t size = run->size;
    const uint64_t v = cpu->regs[REG_RAX];

    if (run->down) {
        to -= (n - 1) * size;
    }
    if (size == 1) {
        memset(to, (int)(v & 0xff), (size_t)n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        memcpy(to + i * size, &v, size);
    }
}

/* CMPS, SCAS: stops after the element that ends the repetition; returns the elements done. */
static uint64_t span_compare(struct cpu *cpu, const struct insn *in, const struct string_run *run,
                             const uint8_t *a, const uint8_t *b, uint64_t n)
{
    const int64_t step = run->down ? -(int64_t)run->size : (int64_t)run->size;
    const bool while_equal = (in->pfx & INSN_REPNE) == 0;
    const uint64_t acc = load_bytes((const uint8_t *)&cpu->regs[REG_RAX], run->size);
    uint64_t x = acc, y = 0, i = 0;

    while (i < n) {
        if (run->op == STR_CMPS) {
            x = load_bytes(a, run->size);
            a += step;
        }
        y = load_bytes(b, run->size);
        b += step;
        i++;
        if ((x == y) != while_equal) {
            break;
        }
    }
    compare(cpu, run->size, x, y);
    return i;
}

/* One element whatever it lies in. Both operands are probed before the first access. */
static void one_element(struct cpu *cpu, const struct insn *in, const struct string_run *run,
                        const struct string_operand *from, const struct string_operand *to)
{
    const unsigned size = run->size;
    const unsigned to_flags = destination_flags(run->op);
    uint64_t v = load_bytes((const uint8_t *)&cpu->regs[REG_RAX], size);

    if (uses_source(run->op)) {
        mem_probe(cpu, in, from->lin, size, MEM_READ);
    }
    if (uses_destination(run->op)) {
        mem_probe(cpu, in, to->lin, size, to_flags);
    }
    if (uses_source(run->op)) {
        v = mem_load(cpu, in, from->lin, size, MEM_READ);
    }
    if (run->op == STR_LODS) {
        set_accumulator(cpu, size, v);
    } else if (to_flags == MEM_WRITE) {
        mem_store(cpu, in, to->lin, size, v, MEM_WRITE);
    } else {
        compare(cpu, size, v, mem_load(cpu, in, to->lin, size, MEM_READ));
    }
}

/*
 * Do some of the next `limit` elements: one that is not plain RAM, or a span. Returns how many;
 * *plain tells which. Index registers are moved; the count is the caller's.
 */
static uint64_t some_elements(struct cpu *cpu, const struct insn *in, const struct string_run *run,
                              uint64_t limit, bool *plain)
{
    struct string_operand from = {0}, to = {0};
    uint64_t n = limit;

    *plain = true;
    if (uses_source(run->op)) {
        find_operand(cpu, in, run, true, &from);
        *plain = from.host != NULL;
        n = n < from.elements ? n : from.elements;
    }
    if (uses_destination(run->op)) {
        find_operand(cpu, in, run, false, &to);
        *plain = *plain && to.host != NULL;
        n = n < to.elements ? n : to.elements;
    }
    if (!*plain) {
        one_element(cpu, in, run, &from, &to);
        n = 1;
    } else {
        switch (run->op) {
        case STR_MOVS:
            span_movs(run, to.host, from.host, n);
            break;
        case STR_STOS:
            span_stos(cpu, run, to.host, n);
            break;
        case STR_LODS: {
            const uint64_t last = (n - 1) * run->size;
            set_accumulator(cpu, run->size,
                            load_bytes(run->down ? from.host - last : from.host + last, run->size));
            break;
        }
        case STR_CMPS:
        case STR_SCAS:
            n = span_compare(cpu, in, run, from.host, to.host, n);
            break;
        }
    }
    const uint64_t moved = run->down ? 0 - n * run->size : n * run->size;
    if (uses_source(run->op)) {
        advance(cpu, REG_RSI, run->mask, moved);
    }
    if (uses_destination(run->op)) {
        advance(cpu, REG_RDI, run->mask, moved);
    }
    return n;
}

static OP_NOINLINE const struct insn *run_repeated(struct cpu *cpu, const struct insn *in,
                                                   enum string_op op, unsigned size)
{
    const struct string_run run = {.op = op,
                                   .size = size,
                                   .mask = op_address_mask(in),
                                   .down = (cpu->eflags & EFLAGS_DF) != 0};
    const bool while_equal = (in->pfx & INSN_REPNE) == 0;
    uint64_t count = cpu->regs[REG_RCX] & run.mask;
    uint64_t room = cpu_rep_room(cpu);
    bool more = count != 0, plain = true;

    while (more) {
        const uint64_t n = some_elements(cpu, in, &run, count < room ? count : room, &plain);

        advance(cpu, REG_RCX, run.mask, 0 - n);
        count -= n;
        room -= n;
        more = count != 0 && !(compares(op) && cc_zf(&cpu->cc) != while_equal);
        /* The last iteration of an execution is the instruction's own time. */
        if (!more || room == 0 || !plain) {
            cpu_charge(cpu, n - 1);
            break;
        }
        cpu_charge(cpu, n);
    }
    if (more) {
        cpu->rip = insn_rip(cpu, in);
        return INSN_LEAVE;
    }
    return INSN_NEXT(cpu, in);
}

/* Without a prefix: one element, and the block goes on. */
static OP_NOINLINE void run_once(struct cpu *cpu, const struct insn *in, enum string_op op,
                                 unsigned size)
{
    const struct string_run run = {.op = op,
                                   .size = size,
                                   .mask = op_address_mask(in),
                                   .down = (cpu->eflags & EFLAGS_DF) != 0};
    bool plain;

    some_elements(cpu, in, &run, 1, &plain);
}

#define STRING(B, name, op)                          \
    OP_HANDLER(name##_##B)                           \
    {                                                \
        if (in->pfx & STR_REPEATED) {                \
            return run_repeated(cpu, in, op, B / 8); \
        }                                            \
        run_once(cpu, in, op, B / 8);                \
        OP_NEXT;                                     \
    }
#define STRINGS(ID, name, op) \
    OP_EACH(STRING, name, op) \
    OP_FNS_REG_B(ID##B, name) \
    OP_FNS_REG_V(ID##V, name)
STRINGS(MOVS, movs, STR_MOVS)
STRINGS(CMPS, cmps, STR_CMPS)
STRINGS(STOS, stos, STR_STOS)
STRINGS(LODS, lods, STR_LODS)
STRINGS(SCAS, scas, STR_SCAS)
