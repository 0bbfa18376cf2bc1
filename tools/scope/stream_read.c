/* SPDX-License-Identifier: MIT */
/*
 * The record stream's reader. The format: stream.h. Every byte of the file is doubted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/trace_kinds.h"
#include "scope/hash.h"
#include "scope/stream.h"
#include "scope/stream_internal.h"

struct stream_reader {
    FILE *file;
    char *name;
    struct stream_header header;
    struct stream_end end;
    enum stream_status status; /* STREAM_RECORD while there may be more */
    struct error error;
    uint64_t records;
    uint64_t hash;
    struct stream_state state;
};

/* -1 at the end of the file. */
static int get_byte(struct stream_reader *r)
{
    return getc_unlocked(r->file);
}

enum get_result {
    GET_OK,
    GET_EOF,
    GET_BAD
};

static enum get_result get_number(struct stream_reader *r, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        int c = get_byte(r);
        if (c < 0) {
            return GET_EOF;
        }
        uint64_t bits = (uint64_t)c & 0x7f;
        if (shift == 63 && bits > 1) {
            return GET_BAD;
        }
        *v |= bits << shift;
        if (!(c & 0x80)) {
            return GET_OK;
        }
    }
    return GET_BAD;
}

static enum get_result get_fixed64(struct stream_reader *r, uint64_t *v)
{
    *v = 0;
    for (unsigned i = 0; i < 8; i++) {
        int c = get_byte(r);
        if (c < 0) {
            return GET_EOF;
        }
        *v |= (uint64_t)c << (8 * i);
    }
    return GET_OK;
}

static enum stream_status fail(struct stream_reader *r, enum stream_status status, const char *what)
{
    r->status = status;
    error_set(&r->error, -EINVAL, "%s: %s after %llu records: %s", r->name,
              status == STREAM_TRUNCATED ? "truncated" : "damaged", (unsigned long long)r->records,
              what);
    return status;
}

static enum stream_status fail_get(struct stream_reader *r, enum get_result got, const char *where)
{
    if (got == GET_EOF && ferror(r->file)) {
        return fail(r, STREAM_DAMAGED, "it cannot be read");
    }
    return fail(r, got == GET_EOF ? STREAM_TRUNCATED : STREAM_DAMAGED, where);
}

/* One item of the header; its text is cut at a zero byte. */
static int read_item(struct stream_reader *r, uint64_t key, struct error *err)
{
    uint64_t n;
    char text[STREAM_TEXT_MAX + 1];
    if (get_number(r, &n) != GET_OK || n > STREAM_TEXT_MAX || fread(text, 1, n, r->file) != n) {
        return error_set(err, -EINVAL, "%s: its header is truncated or damaged", r->name);
    }
    text[n] = '\0';
    char **field = key == STREAM_KEY_KERNEL   ? &r->header.kernel
                   : key == STREAM_KEY_LOADED ? &r->header.loaded
                   : key == STREAM_KEY_ARGS   ? &r->header.args
                                              : NULL;
    if (field) {
        free(*field);
        *field = strdup(text);
        if (!*field) {
            return error_set(err, -ENOMEM, "%s: out of memory", r->name);
        }
    } else if (key == STREAM_KEY_KERNEL_HASH && n == 8) {
        r->header.kernel_hash = 0;
        for (unsigned i = 0; i < 8; i++) {
            r->header.kernel_hash |= (uint64_t)(uint8_t)text[i] << (8 * i);
        }
    } /* other keys: from a later version; nothing here needs them */
    return 0;
}

static int read_header(struct stream_reader *r, struct error *err)
{
    char magic[sizeof(STREAM_MAGIC) - 1];
    size_t n = fread(magic, 1, sizeof(magic), r->file);
    if (ferror(r->file)) {
        return error_set(err, -EIO, "%s: cannot read it: %s", r->name, strerror(errno));
    }
    if (n != sizeof(magic) || memcmp(magic, STREAM_MAGIC, sizeof(magic)) != 0) {
        const char *stem = "irqscope.records/";
        bool other = n >= strlen(stem) && memcmp(magic, stem, strlen(stem)) == 0;
        return error_set(err, -EINVAL, "%s: %s", r->name,
                         other ? "a record stream of another version of irqscope"
                               : "not a record stream");
    }
    uint64_t kinds;
    if (get_fixed64(r, &kinds) != GET_OK) {
        return error_set(err, -EINVAL, "%s: its header is truncated or damaged", r->name);
    }
    if (kinds != stream_kinds_hash()) {
        return error_set(
            err, -EINVAL,
            "%s: its kinds of records are those of another version of irqscope; record it again",
            r->name);
    }
    for (;;) {
        uint64_t key;
        if (get_number(r, &key) != GET_OK) {
            return error_set(err, -EINVAL, "%s: its header is truncated or damaged", r->name);
        }
        if (key == STREAM_KEY_END) {
            return 0;
        }
        int rc = read_item(r, key, err);
        if (rc < 0) {
            return rc;
        }
    }
}

static int open_file(struct stream_reader **reader, FILE *file, const char *name, struct error *err)
{
    if (!file) {
        return error_set(err, -errno, "%s: cannot open it: %s", name, strerror(errno));
    }
    struct stream_reader *r = calloc(1, sizeof(*r));
    if (!r || !(r->name = strdup(name))) {
        free(r);
        fclose(file);
        return error_set(err, -ENOMEM, "%s: out of memory", name);
    }
    r->file = file;
    r->hash = HASH_INIT;
    int rc = read_header(r, err);
    if (rc < 0) {
        stream_reader_close(r);
        return rc;
    }
    *reader = r;
    return 0;
}

int stream_reader_open(struct stream_reader **reader, const char *path, struct error *err)
{
    return open_file(reader, fopen(path, "rb"), path, err);
}

int stream_reader_open_memory(struct stream_reader **reader, const void *data, size_t size,
                              const char *name, struct error *err)
{
    if (size == 0) {
        return error_set(err, -EINVAL, "%s: not a record stream", name);
    }
    return open_file(reader, fmemopen((void *)(uintptr_t)data, size, "rb"), name, err);
}

void stream_reader_close(struct stream_reader *r)
{
    if (!r) {
        return;
    }
    fclose(r->file);
    free(r->header.kernel);
    free(r->header.loaded);
    free(r->header.args);
    free(r->name);
    free(r);
}

const struct stream_header *stream_reader_header(const struct stream_reader *r)
{
    return &r->header;
}

static enum stream_status read_end(struct stream_reader *r)
{
    struct stream_end *end = &r->end;
    uint64_t *const number[] = {&end->records, &end->reason, &end->value, &end->vtime_ns,
                                &end->insns};
    for (size_t i = 0; i < irq_array_size(number); i++) {
        enum get_result got = get_number(r, number[i]);
        if (got != GET_OK) {
            return fail_get(r, got, "in its end");
        }
    }
    enum get_result got = get_fixed64(r, &end->trace_hash);
    if (got != GET_OK) {
        return fail_get(r, got, "in its end");
    }
    if (end->records != r->records || end->trace_hash != r->hash) {
        return fail(r, STREAM_DAMAGED, "its hash does not fit its records");
    }
    if (get_byte(r) >= 0) {
        return fail(r, STREAM_DAMAGED, "something follows its end");
    }
    r->status = STREAM_END;
    return STREAM_END;
}

/* The numbers of a record, in the order of enum stream_differs. */
static enum get_result get_record(struct stream_reader *r, struct irq_record *rec, unsigned differs,
                                  unsigned ops)
{
    const struct stream_state *s = &r->state;
    uint64_t number[7] = {0};
    for (unsigned i = 0; i < 7; i++) {
        enum get_result got = differs >> i & 1 ? get_number(r, &number[i]) : GET_OK;
        if (got != GET_OK) {
            return got;
        }
    }
    if (number[4] > UINT16_MAX || number[6] > UINT8_MAX) {
        return GET_BAD;
    }
    rec->id = differs & STREAM_ID ? s->id + stream_unzigzag(number[0]) : s->id + 1;
    rec->cause = differs & STREAM_CAUSE ? rec->id - stream_unzigzag(number[1]) : 0;
    rec->ref = differs & STREAM_REF ? rec->id - stream_unzigzag(number[2]) : 0;
    rec->vtime = s->vtime + stream_unzigzag(number[3]);
    rec->cpu = differs & STREAM_CPU ? (uint16_t)number[4] : s->kind[rec->kind].cpu;
    rec->insns = stream_predict_insns(s, rec->cpu, rec->vtime) + stream_unzigzag(number[5]);
    rec->result = (uint8_t)number[6];
    for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
        uint64_t difference = 0;
        enum get_result got = ops >> i & 1 ? get_number(r, &difference) : GET_OK;
        if (got != GET_OK) {
            return got;
        }
        rec->op[i] = s->kind[rec->kind].op[i] + stream_unzigzag(difference);
    }
    return GET_OK;
}

static enum stream_status read_record(struct stream_reader *r, struct irq_record *rec)
{
    uint64_t kind;
    enum get_result got = get_number(r, &kind);
    if (got != GET_OK) {
        return fail_get(r, got, "it has no end");
    }
    if (kind == 0) {
        return read_end(r);
    }
    if (kind > STREAM_KINDS || !trace_desc_find((uint16_t)(kind - 1))) {
        return fail(r, STREAM_DAMAGED, "a record of an unknown kind");
    }
    int differs = get_byte(r), ops = get_byte(r);
    if (differs < 0 || ops < 0) {
        return fail_get(r, GET_EOF, "in a record");
    }
    if (differs & STREAM_UNUSED || ops >> TRACE_OPERANDS) {
        return fail(r, STREAM_DAMAGED, "a record with unknown flags");
    }
    memset(rec, 0, sizeof(*rec));
    rec->kind = (uint16_t)(kind - 1);
    got = get_record(r, rec, (unsigned)differs, (unsigned)ops);
    if (got != GET_OK) {
        return fail_get(r, got, "in a record");
    }
    if (rec->id <= r->state.id) {
        return fail(r, STREAM_DAMAGED, "a record out of order");
    }
    stream_state_update(&r->state, rec);
    r->hash = hash_record(r->hash, rec);
    r->records++;
    return STREAM_RECORD;
}

enum stream_status stream_read(struct stream_reader *r, struct irq_record *rec, struct error *err)
{
    enum stream_status status = r->status == STREAM_RECORD ? read_record(r, rec) : r->status;
    if (status == STREAM_TRUNCATED || status == STREAM_DAMAGED) {
        *err = r->error;
    }
    return status;
}

const struct stream_end *stream_reader_end(const struct stream_reader *r)
{
    return &r->end;
}

uint64_t stream_reader_records(const struct stream_reader *r)
{
    return r->records;
}
