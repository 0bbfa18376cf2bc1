/* SPDX-License-Identifier: MIT */
/*
 * The record stream on disk: what is written is read, and nothing that is damaged does harm. tools/scope/stream.h.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/trace_events.h"
#include "cpu/trace_events.h"
#include "firmware/trace_kinds.h"
#include "scope/hash.h"
#include "scope/stream.h"

#define RECORDS 2000

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Numbers of every length, zero and all ones among them. */
static uint64_t random_number(uint64_t *state)
{
    unsigned bits = (unsigned)(next_random(state) % 66);
    return bits == 65  ? UINT64_MAX
           : bits == 0 ? 0
                       : next_random(state) >> (64 - (bits > 64 ? 64 : bits));
}

static void make_records(struct irq_record *recs, size_t n, uint64_t seed)
{
    uint64_t state = seed, id = 0, time = 0;
    for (size_t i = 0; i < n; i++) {
        struct irq_record *r = &recs[i];
        memset(r, 0, sizeof(*r));
        do {
            r->kind = (uint16_t)(next_random(&state) % 256);
        } while (!trace_desc_find(r->kind));
        id += next_random(&state) % 8 ? 1 : 1 + next_random(&state) % 1000;
        r->id = id;
        r->cause = next_random(&state) % 3 ? id - 1 : random_number(&state);
        r->ref = next_random(&state) % 3 ? 0 : random_number(&state);
        time += next_random(&state) % 2000;
        r->vtime = time;
        r->cpu = next_random(&state) % 3   ? 0
                 : next_random(&state) % 2 ? TRACE_CPU_NONE
                                           : (uint16_t)next_random(&state);
        r->insns = next_random(&state) % 2 ? time : random_number(&state);
        r->result = (uint8_t)next_random(&state);
        for (unsigned op = 0; op < TRACE_OPERANDS; op++) {
            r->op[op] = random_number(&state);
        }
    }
}

/* Write recs to a new file and give back its bytes. */
static uint8_t *write_stream(const struct irq_record *recs, size_t n, size_t *size)
{
    char name[] = "/tmp/irqscope-stream-XXXXXX", kernel[] = "k.elf", loaded[] = "k.elf: ELF32",
         args[] = "a \"b\"";
    struct stream_header header = {
        .kernel = kernel, .kernel_hash = 0x123456789abcdef0, .loaded = loaded, .args = args};
    struct stream_end end = {.reason = 3, .value = 16, .vtime_ns = 12345, .insns = 678};
    struct stream_writer *w;
    struct error err;
    int fd = mkstemp(name);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(stream_writer_open(&w, name, &header, &err), 0);
    stream_write(w, recs, n / 2);
    stream_write(w, recs + n / 2, n - n / 2);
    cr_assert_eq(stream_writer_close(w, &end, &err), 0);

    FILE *f = fopen(name, "rb");
    uint8_t *data = malloc(1 << 20);
    *size = fread(data, 1, 1 << 20, f);
    fclose(f);
    unlink(name);
    return data;
}

/* Read everything; returns the status at the end and counts the records; checks that each is of a known kind. */
static enum stream_status read_all(const uint8_t *data, size_t size, uint64_t *count,
                                   struct error *err)
{
    struct stream_reader *reader;
    struct irq_record rec;
    enum stream_status status;
    *count = 0;
    if (stream_reader_open_memory(&reader, data, size, "f", err) < 0) {
        return STREAM_DAMAGED;
    }
    uint64_t last = 0;
    while ((status = stream_read(reader, &rec, err)) == STREAM_RECORD) {
        cr_assert_not_null(trace_desc_find(rec.kind));
        cr_assert_gt(rec.id, last);
        last = rec.id;
        ++*count;
    }
    cr_assert_eq(stream_read(reader, &rec, err), status, "the same answer comes again");
    stream_reader_close(reader);
    return status;
}

Test(stream, random_records_come_back)
{
    struct irq_record *recs = calloc(RECORDS, sizeof(*recs));
    for (uint64_t seed = 1; seed <= 20; seed++) {
        size_t size;
        struct stream_reader *reader;
        struct irq_record rec;
        struct error err;
        uint64_t hash = HASH_INIT;
        make_records(recs, RECORDS, seed);
        uint8_t *data = write_stream(recs, RECORDS, &size);
        cr_assert_eq(stream_reader_open_memory(&reader, data, size, "f", &err), 0);
        cr_expect_str_eq(stream_reader_header(reader)->kernel, "k.elf");
        cr_expect_str_eq(stream_reader_header(reader)->loaded, "k.elf: ELF32");
        cr_expect_str_eq(stream_reader_header(reader)->args, "a \"b\"");
        cr_expect_eq(stream_reader_header(reader)->kernel_hash, 0x123456789abcdef0);
        for (size_t i = 0; i < RECORDS; i++) {
            cr_assert_eq(stream_read(reader, &rec, &err), STREAM_RECORD);
            cr_assert_eq(memcmp(&rec, &recs[i], sizeof(rec)), 0, "record %zu of seed %d", i,
                         (int)seed);
            hash = hash_record(hash, &rec);
        }
        cr_assert_eq(stream_read(reader, &rec, &err), STREAM_END);
        const struct stream_end *end = stream_reader_end(reader);
        cr_expect_eq(end->records, RECORDS);
        cr_expect_eq(end->reason, 3);
        cr_expect_eq(end->value, 16);
        cr_expect_eq(end->vtime_ns, 12345);
        cr_expect_eq(end->insns, 678);
        cr_expect_eq(end->trace_hash, hash);
        stream_reader_close(reader);
        free(data);
    }
    free(recs);
}

/* What the format promises: what goes as predicted costs little. */
Test(stream, a_steady_stream_is_small)
{
    struct irq_record *recs = calloc(RECORDS, sizeof(*recs));
    for (size_t i = 0; i < RECORDS; i++) {
        recs[i] = (struct irq_record){
            .id = i + 1, .cause = i, .vtime = 100 * i, .insns = 100 * i, .kind = TRACE_cpu_iret};
        recs[i].op[0] = 2;
        recs[i].op[1] = 0x8ff0;
        recs[i].op[2] = 0x100000 + i % 7;
    }
    size_t size;
    uint8_t *data = write_stream(recs, RECORDS, &size);
    cr_expect_leq(size, RECORDS * 7 + 200, "%zu bytes", size);
    free(data);
    free(recs);
}

Test(stream, every_truncation_is_told)
{
    struct irq_record recs[20];
    struct error err;
    size_t size;
    uint64_t count;
    make_records(recs, 20, 7);
    uint8_t *data = write_stream(recs, 20, &size);
    cr_assert_eq(read_all(data, size, &count, &err), STREAM_END);
    uint64_t before = 0;
    for (size_t n = 0; n < size; n++) {
        enum stream_status status = read_all(data, n, &count, &err);
        cr_assert(status == STREAM_TRUNCATED || (status == STREAM_DAMAGED && count == 0),
                  "%zu bytes", n);
        cr_assert_geq(count, before, "no record is lost with more bytes");
        before = count;
        cr_assert_eq(strncmp(err.text, "f: ", 3), 0, "%s", err.text);
        if (status == STREAM_TRUNCATED) {
            cr_assert_not_null(strstr(err.text, "truncated after"), "%s", err.text);
        }
    }
    cr_expect_eq(before, 20, "all records are there before the end");
    free(data);
}

Test(stream, every_flipped_bit_is_survived_and_noticed)
{
    struct irq_record recs[20];
    struct error err;
    size_t size;
    uint64_t count;
    make_records(recs, 20, 9);
    uint8_t *data = write_stream(recs, 20, &size);
    size_t header = strlen(STREAM_MAGIC) + 8 + 2 + 5 + 2 + 8 + 2 + 12 + 2 + 5 + 1;
    size_t end =
        1 + 1 + 1 + 1 + 2 + 2 + 8; /* 0, records, reason, value, time, instructions, hash */
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1u << bit);
            enum stream_status status = read_all(data, size, &count, &err);
            cr_assert(i < header || i >= size - end || status != STREAM_END,
                      "byte %zu, bit %u of a record", i, bit);
            data[i] ^= (uint8_t)(1u << bit);
        }
    }
    free(data);
}

Test(stream, what_is_no_stream_is_refused)
{
    struct stream_reader *reader;
    struct error err;
    cr_expect_lt(stream_reader_open_memory(&reader, "", 0, "empty", &err), 0);
    cr_expect_str_eq(err.text, "empty: not a record stream");
    cr_expect_lt(
        stream_reader_open_memory(&reader, "\177ELF and more than enough", 25, "elf", &err), 0);
    cr_expect_str_eq(err.text, "elf: not a record stream");
    cr_expect_lt(
        stream_reader_open_memory(&reader, "irqscope.records/9\n12345678", 27, "new", &err), 0);
    cr_expect_str_eq(err.text, "new: a record stream of another version of irqscope");
    cr_expect_lt(stream_reader_open_memory(&reader, STREAM_MAGIC "12345678", 27, "kinds", &err), 0);
    cr_expect_str_eq(
        err.text,
        "kinds: its kinds of records are those of another version of irqscope; record it again");
    cr_expect_lt(stream_reader_open(&reader, "/nonexistent/f.irq", &err), 0);
    cr_expect_str_eq(err.text, "/nonexistent/f.irq: cannot open it: No such file or directory");
}

Test(stream, a_full_disk_is_told)
{
    struct stream_header header = {0};
    struct stream_end end = {0};
    struct stream_writer *w;
    struct error err;
    struct irq_record recs[100];
    if (access("/dev/full", W_OK) != 0) {
        cr_skip_test("no /dev/full");
    }
    make_records(recs, 100, 3);
    cr_assert_eq(stream_writer_open(&w, "/dev/full", &header, &err), 0);
    for (unsigned i = 0; i < 10; i++) {
        stream_write(w, recs, 100);
    }
    cr_expect_lt(stream_writer_close(w, &end, &err), 0);
    cr_expect_str_eq(err.text, "/dev/full: cannot write it: No space left on device");
}

Test(stream, the_hash_depends_on_every_field)
{
    struct irq_record r = {
        .id = 1, .cause = 2, .ref = 3, .vtime = 4, .insns = 5, .kind = 6, .cpu = 7, .result = 8};
    uint64_t hash = hash_record(HASH_INIT, &r);
    uint8_t *bytes = (uint8_t *)&r;
    for (size_t i = 0; i < offsetof(struct irq_record, pad); i++) {
        bytes[i] ^= 0x40;
        cr_expect_neq(hash_record(HASH_INIT, &r), hash, "byte %zu", i);
        bytes[i] ^= 0x40;
    }
    cr_expect_eq(hash_record(HASH_INIT, &r), hash);
}
