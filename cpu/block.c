/* SPDX-License-Identifier: MIT */
/*
 * The block cache.
 *
 * A block is a run of decoded instructions on one physical page, keyed by physical address and mode key. It ends after an instruction
 * that can change deliverability, time, mode or translation (A_ENDS), after a control transfer, at the page's edge, or at the longest
 * length. Blocks hold no virtual address. Pages with blocks have bits set per 64-byte line in bus.code_lines; a write to such a line
 * drops the blocks whose bytes it changes. Dropped blocks are freed by the loop, never under the one that runs.
 *
 * An instruction that crosses a page is a block of its own: it is fetched when reached and compared every time, since either page may
 * have been written or remapped.
 */
#include "cpu/block.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/assert.h"
#include "cpu/exception.h"
#include "cpu/exec.h"
#include "cpu/mem.h"
#include "cpu/mmu.h"

#define HASH_SIZE   16384u
#define CHUNK_BYTES (256u * 1024)
#define CACHE_LIMIT (64u * 1024 * 1024) /* decoded bytes after which everything is dropped */

struct chunk {
    struct chunk *next;
    size_t used;
    unsigned char bytes[];
};

struct block_cache {
    struct cpu *cpu;
    struct block *hash[HASH_SIZE];
    struct block **page; /* per RAM page: its blocks */
    struct block *dropped;
    struct block *free_list[BLOCK_MAX_INSNS + 1]; /* by number of instructions allocated */
    struct chunk *chunks;
    size_t allocated;
    bool full;
    struct block *uncached; /* buffer for what is not cached */
};

static size_t block_size(unsigned n)
{
    return sizeof(struct block) + (n + 2u) * sizeof(struct insn); /* terminator, links */
}

static unsigned hash_of(gpa_t pa, uint32_t key)
{
    uint64_t h = (pa ^ (uint64_t)key << 32) * 0x9E3779B97F4A7C15ull;
    return (unsigned)(h >> 50) & (HASH_SIZE - 1);
}

static void code_written(void *opaque, gpa_t gpa, uint64_t len);

int block_cache_init(struct cpu *cpu)
{
    struct block_cache *c = calloc(1, sizeof(*c));
    if (!c) {
        return -ENOMEM;
    }
    c->cpu = cpu;
    c->page = calloc(cpu->bus->ram_size / BUS_PAGE_SIZE, sizeof(struct block *));
    c->uncached = calloc(1, block_size(BLOCK_MAX_INSNS));
    cpu->scratch = calloc(1, block_size(BLOCK_MAX_INSNS));
    cpu->blocks = c;
    if (!c->page || !c->uncached || !cpu->scratch) {
        block_cache_fini(cpu);
        return -ENOMEM;
    }
    cpu->bus->code_written = code_written;
    cpu->bus->code_opaque = c;
    return 0;
}

void block_cache_fini(struct cpu *cpu)
{
    struct block_cache *c = cpu->blocks;
    if (!c) {
        return;
    }
    while (c->chunks) {
        struct chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
    free(c->page);
    free(c->uncached);
    free(cpu->scratch);
    if (cpu->bus->code_opaque == c) {
        cpu->bus->code_written = NULL;
        cpu->bus->code_opaque = NULL;
    }
    free(c);
    cpu->blocks = NULL;
    cpu->scratch = NULL;
}

/* NULL when the host has no memory: the block then runs uncached. */
static struct block *block_alloc(struct block_cache *c, unsigned n)
{
    struct block *b = c->free_list[n];
    if (b) {
        c->free_list[n] = b->hash_next;
        return b;
    }
    size_t size = (block_size(n) + 63) & ~(size_t)63;
    if (!c->chunks || c->chunks->used + size > CHUNK_BYTES) {
        struct chunk *k = malloc(sizeof(*k) + CHUNK_BYTES);
        if (!k) {
            return NULL;
        }
        k->next = c->chunks;
        k->used = 0;
        c->chunks = k;
    }
    b = (struct block *)(void *)(c->chunks->bytes + c->chunks->used);
    c->chunks->used += size;
    c->allocated += size;
    return b;
}

struct block *block_find(struct cpu *cpu, gpa_t pa)
{
    struct block *b = cpu->blocks->hash[hash_of(pa, cpu->mode_key)];
    while (b && (b->pa != pa || b->key != cpu->mode_key)) {
        b = b->hash_next;
    }
    return b;
}

/* ---- dropping ---- */

static void unlink_from(struct block **head, struct block *b, bool by_page)
{
    struct block **p = head;
    while (*p != b) {
        irq_assert(*p);
        p = by_page ? &(*p)->page_next : &(*p)->hash_next;
    }
    *p = by_page ? b->page_next : b->hash_next;
}

static uint64_t line_bits(gpa_t pa, unsigned len)
{
    unsigned first = (unsigned)(pa & 0xfff) >> BUS_LINE_SHIFT;
    unsigned last = (unsigned)((pa & 0xfff) + len - 1) >> BUS_LINE_SHIFT;
    if (last > 63) {
        last = 63;
    }
    uint64_t upto = last == 63 ? UINT64_MAX : (1ull << (last + 1)) - 1;
    return upto & ~((1ull << first) - 1);
}

static void recount_page(struct block_cache *c, gpa_t page_pa)
{
    uint64_t page = bus_ram_page(c->cpu->bus, page_pa);
    uint64_t lines = 0;
    for (const struct block *b = c->page[page]; b; b = b->page_next) {
        lines |= line_bits(b->pa, b->bytes);
    }
    c->cpu->bus->code_lines[page] = lines;
}

/* Take b out of every index. The page's lines are recounted by the caller. */
static void remove_block(struct block_cache *c, struct block *b)
{
    uint64_t page = bus_ram_page(c->cpu->bus, b->pa);
    unlink_from(&c->hash[hash_of(b->pa, b->key)], b, false);
    unlink_from(&c->page[page], b, true);
    for (struct block *o = c->page[page]; o; o = o->page_next) {
        for (unsigned i = 0; i < 2; i++) {
            if (block_links(o)->to[i] == b) {
                block_links(o)->to[i] = NULL;
            }
        }
    }
    *block_links(b) = (struct block_links){{NULL, NULL}};
    b->dead = true;
    b->hash_next = c->dropped;
    c->dropped = b;
    c->cpu->blocks_dropped = true;
    c->cpu->attention |= ATTENTION_BLOCKS;
}

void block_drop(struct cpu *cpu, struct block *b)
{
    gpa_t page = b->pa & ~0xfffull;
    remove_block(cpu->blocks, b);
    recount_page(cpu->blocks, page);
    mmu_forget_jumps(cpu, page);
}

/* bus.code_written: [gpa, gpa+len) changes; drop the blocks whose bytes it touches. */
static void code_written(void *opaque, gpa_t gpa, uint64_t len)
{
    struct block_cache *c = opaque;
    while (len > 0) {
        uint64_t room = BUS_PAGE_SIZE - (gpa & 0xfff);
        uint64_t part = len < room ? len : room;
        uint64_t page = bus_ram_page(c->cpu->bus, gpa);
        if (page != UINT64_MAX &&
            (c->cpu->bus->code_lines[page] & line_bits(gpa, (unsigned)part))) {
            bool any = false;
            struct block *next;
            for (struct block *b = c->page[page]; b; b = next) {
                next = b->page_next;
                if (gpa < b->pa + b->bytes && gpa + part > b->pa) {
                    remove_block(c, b);
                    any = true;
                }
            }
            if (any) {
                recount_page(c, gpa);
                mmu_forget_jumps(c->cpu, gpa & ~0xfffull);
            }
        }
        gpa += part;
        len -= part;
    }
}

/* Start over: drop every block. */
static void drop_all(struct block_cache *c)
{
    for (unsigned i = 0; i < HASH_SIZE; i++) {
        while (c->hash[i]) {
            struct block *b = c->hash[i];
            gpa_t page = b->pa & ~0xfffull;
            remove_block(c, b);
            recount_page(c, page);
            mmu_forget_jumps(c->cpu, page);
        }
    }
}

void block_free_dropped(struct cpu *cpu)
{
    struct block_cache *c = cpu->blocks;
    if (c->full) {
        drop_all(c);
        while (c->chunks && c->chunks->next) {
            struct chunk *next = c->chunks->next;
            free(c->chunks);
            c->chunks = next;
        }
        if (c->chunks) {
            c->chunks->used = 0;
        }
        memset(c->free_list, 0, sizeof(c->free_list));
        c->dropped = NULL;
        c->allocated = 0;
        c->full = false;
    }
    while (c->dropped) {
        struct block *b = c->dropped;
        c->dropped = b->hash_next;
        b->hash_next = c->free_list[b->cap];
        c->free_list[b->cap] = b;
    }
    cpu->blocks_dropped = false;
}

/* ---- building ---- */

static const struct insn *op_invalid(struct cpu *cpu, const struct insn *in)
{
    cpu_fault(cpu, in, VEC_UD);
}

/* More than 15 bytes. SDM Vol. 3A, 6.15 "Exception and Interrupt Reference", interrupt 13. */
static const struct insn *op_too_long(struct cpu *cpu, const struct insn *in)
{
    cpu_fault_err(cpu, in, VEC_GP, 0);
}

static const struct insn *op_not_modelled(struct cpu *cpu, const struct insn *in)
{
    cpu_unmodelled(cpu, in, "instruction %s (operand size %u) is not modelled", op_name(in->op),
                   insn_osize(in) ? 8u << insn_osize(in) : 8u);
}

static void set_terminator(struct block *b, unsigned n, unsigned bytes, bool leave)
{
    struct insn *t = &b->insns[n];
    memset(t, 0, sizeof(*t));
    t->fn = leave ? exec_term_leave : exec_term_chain;
    t->end = (uint16_t)bytes;
    t->op = OP_TERMINATOR & 0x3ff;
    t->index = n & 0x3f;
    b->n = (uint16_t)n;
    b->bytes = (uint16_t)bytes;
    *block_links(b) = (struct block_links){{NULL, NULL}};
}

/* Does a block end after this instruction? (the block rule) */
static bool ends_block(const struct cpu *cpu, const struct insn *in)
{
    uint16_t attrs = op_attrs(in->op);
    if (attrs & (A_ENDS | A_JUMP | A_FAR | A_UNMODELLED)) {
        return true;
    }
    if ((attrs & A_REP) && (in->pfx & (INSN_REP | INSN_REPNE))) {
        return true;
    }
    if ((attrs & A_X87) && (cpu->mode_key & KEY_NE0)) {
        return true;
    }
    return cpu->mode_key & KEY_TF;
}

static struct decode_env decode_env_of(const struct cpu *cpu)
{
    return (struct decode_env){
        .tables = cpu->tables,
        .mode = cpu->code_bits == 64   ? DECODE_64
                : cpu->code_bits == 32 ? DECODE_32
                                       : DECODE_16,
        .real_or_v86 = (cpu->mode_key & (KEY_REAL | KEY_VM)) != 0,
        .flat = (cpu->mode_key & KEY_FLAT) != 0,
        .ss32 = cpu->ss32,
    };
}

static void finish_insn(struct insn *in, enum decode_status status)
{
    if (status == DECODE_UD) {
        in->fn = op_invalid;
    } else if (status == DECODE_TOO_LONG) {
        in->fn = op_too_long;
    } else if (!in->fn) {
        in->fn = op_not_modelled;
    }
}

/* Up to 15 instruction bytes at lin, both pages; the second page is translated only if asked for. Returns the count. */
static unsigned fetch_bytes(struct cpu *cpu, uint64_t lin, uint8_t *buf, bool second_page)
{
    unsigned n = 0;
    unsigned room = BUS_PAGE_SIZE - (unsigned)(lin & 0xfff);
    struct bus_attrs attrs = {.requester = cpu->index, .cause = cpu->cur_cause, .rip = cpu->rip};
    while (n < DECODE_MAX_LEN + 1) {
        if (n >= room && !second_page) {
            break;
        }
        uint64_t a = lin + n;
        if (cpu->code_bits != 64) {
            a &= 0xffffffffu;
        }
        gpa_t pa = (mmu_code(cpu, a)->pa & ~0xfffull) | (a & 0xfff);
        const uint8_t *p = bus_ram_ptr(cpu->bus, pa, 1);
        buf[n++] = p ? *p : (uint8_t)bus_read(cpu->bus, pa, 1, &attrs);
    }
    return n;
}

/* One instruction alone: it crosses a page, or does not lie in RAM. */
static struct block *build_single(struct cpu *cpu, struct block *b, uint64_t lin, gpa_t pa)
{
    uint8_t buf[DECODE_MAX_LEN + 1];
    struct decode_env env = decode_env_of(cpu);
    unsigned avail = fetch_bytes(cpu, lin, buf, false);
    struct insn in;
    enum decode_status status = insn_decode(&env, buf, avail, &in);
    if (status == DECODE_TRUNCATED) {
        avail = fetch_bytes(cpu, lin, buf, true);
        status = insn_decode(&env, buf, avail, &in);
    }
    finish_insn(&in, status);
    insn_place(&in, 0, 0);
    b->insns[0] = in;
    b->pa = pa;
    b->key = cpu->mode_key;
    b->crosses = true;
    memset(b->raw, 0, sizeof(b->raw));
    memcpy(b->raw, buf, in.len);
    set_terminator(b, 1, in.len, true);
    return b;
}

bool block_crossing_valid(struct cpu *cpu, const struct block *b, uint64_t lin)
{
    uint8_t buf[DECODE_MAX_LEN + 1];
    unsigned avail = fetch_bytes(cpu, lin, buf, false);
    if (avail < b->bytes) {
        /* The first page alone must still call for the second. */
        if (memcmp(buf, b->raw, avail) != 0) {
            return false;
        }
        fetch_bytes(cpu, lin, buf, true);
    }
    return memcmp(buf, b->raw, b->bytes) == 0;
}

/* Writes to b's lines must take the slow path from now on: it finds those that hit the running block. */
static void watch_lines(struct cpu *cpu, const struct block *b)
{
    uint64_t page = bus_ram_page(cpu->bus, b->pa);
    if (cpu->bus->code_lines[page] == 0) {
        mmu_protect_code_page(cpu, b->pa & ~0xfffull);
    }
    cpu->bus->code_lines[page] |= line_bits(b->pa, b->bytes);
}

static void index_block(struct cpu *cpu, struct block *b)
{
    struct block_cache *c = cpu->blocks;
    unsigned h = hash_of(b->pa, b->key);
    uint64_t page = bus_ram_page(cpu->bus, b->pa);
    b->hash_next = c->hash[h];
    c->hash[h] = b;
    b->page_next = c->page[page];
    c->page[page] = b;
}

struct block *block_build(struct cpu *cpu, uint64_t lin, gpa_t pa)
{
    struct block_cache *c = cpu->blocks;
    struct block *tmp = c->uncached;
    const uint8_t *code = bus_ram_ptr(cpu->bus, pa, 1);
    memset(tmp, 0, sizeof(*tmp));
    if (!code) {
        return build_single(cpu, tmp, lin, pa);
    }
    struct decode_env env = decode_env_of(cpu);
    unsigned room = BUS_PAGE_SIZE - (unsigned)(pa & 0xfff);
    unsigned max = cpu->max_block;
    unsigned n = 0;
    unsigned bytes = 0;
    bool leave = false;
    while (n < max && bytes < room) {
        struct insn *in = &tmp->insns[n];
        enum decode_status status = insn_decode(&env, code + bytes, room - bytes, in);
        if (status == DECODE_TRUNCATED) {
            break;
        }
        finish_insn(in, status);
        insn_place(in, bytes, n);
        bytes += in->len;
        n++;
        if (status != DECODE_OK || ends_block(cpu, in)) {
            leave = true;
            break;
        }
    }
    if (n == 0) {
        build_single(cpu, tmp, lin, pa);
        n = 1;
        bytes = tmp->bytes;
        leave = true;
    }
    tmp->pa = pa;
    tmp->key = cpu->mode_key;
    set_terminator(tmp, n, bytes, leave);
    watch_lines(cpu, tmp);
    if (cpu->no_cache) {
        return tmp;
    }
    struct block *b = block_alloc(c, n);
    if (!b) {
        return tmp;
    }
    memcpy(b, tmp, block_size(n));
    b->cap = (uint8_t)n;
    index_block(cpu, b);
    if (c->allocated > CACHE_LIMIT) {
        c->full = true;
        cpu->blocks_dropped = true;
        cpu->attention |= ATTENTION_BLOCKS;
    }
    return b;
}

const struct block *block_clip(struct cpu *cpu, const struct block *b, unsigned n)
{
    struct block *s = cpu->scratch;
    irq_check(n >= 1 && n <= b->n);
    memcpy(s, b, sizeof(*s) + n * sizeof(struct insn));
    set_terminator(s, n, b->insns[n - 1].end, true);
    s->bytes = b->bytes; /* a store to b drops it, and then nothing would watch the copy's bytes */
    return s;
}

void block_split(struct block *b, unsigned index)
{
    set_terminator(b, index + 1, b->insns[index].end, true);
}
