/* SPDX-License-Identifier: MIT */
/*
 * The record stream's predictions and its writer. The format: stream.h.
 */
#include "scope/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/trace_kinds.h"
#include "scope/hash.h"
#include "scope/stream_internal.h"

#define RECORD_MAX  160 /* 14 numbers of at most 10 bytes, and the flags */
#define BUFFER_SIZE 65536

struct stream_writer {
    FILE *file;
    char *path;
    int error; /* errno of the first failure, or 0 */
    uint64_t records;
    uint64_t hash;
    struct stream_state state;
    size_t used;
    uint8_t buf[BUFFER_SIZE]; /* encoded, on its way to the file */
};

uint64_t stream_predict_insns(const struct stream_state *s, uint16_t cpu, vtime_t vtime)
{
    return cpu < STREAM_CPUS ? s->cpu[cpu].insns + (vtime - s->cpu[cpu].vtime) : 0;
}

void stream_state_update(struct stream_state *s, const struct irq_record *r)
{
    s->id = r->id;
    s->vtime = r->vtime;
    s->kind[r->kind].cpu = r->cpu;
    memcpy(s->kind[r->kind].op, r->op, sizeof(r->op));
    if (r->cpu < STREAM_CPUS) {
        s->cpu[r->cpu].vtime = r->vtime;
        s->cpu[r->cpu].insns = r->insns;
    }
}

uint64_t stream_kinds_hash(void)
{
    uint64_t h = HASH_INIT;
    for (uint16_t kind = 0; kind < STREAM_KINDS; kind++) {
        const struct trace_desc *d = trace_desc_find(kind);
        if (!d) {
            continue;
        }
        h = hash_word(h, kind);
        h = hash_bytes(h, d->name, strlen(d->name));
        for (unsigned i = 0; i < d->nops; i++) {
            h = hash_word(h, d->op[i].type);
            h = hash_bytes(h, d->op[i].name, strlen(d->op[i].name));
        }
    }
    return h;
}

static uint8_t *put_number(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *put_fixed64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        *p++ = (uint8_t)(v >> (8 * i));
    }
    return p;
}

static void empty_buffer(struct stream_writer *w)
{
    if (!w->error && fwrite(w->buf, 1, w->used, w->file) != w->used) {
        w->error = errno ? errno : EIO;
    }
    w->used = 0;
}

/* n is at most BUFFER_SIZE. */
static void write_out(struct stream_writer *w, const void *data, size_t n)
{
    if (w->used + n > BUFFER_SIZE) {
        empty_buffer(w);
    }
    memcpy(w->buf + w->used, data, n);
    w->used += n;
}

static void write_item(struct stream_writer *w, enum stream_key key, const void *data, size_t n)
{
    uint8_t buf[24];
    uint8_t *p = put_number(put_number(buf, key), n);
    write_out(w, buf, (size_t)(p - buf));
    write_out(w, data, n);
}

static void write_text(struct stream_writer *w, enum stream_key key, const char *text)
{
    if (text) {
        size_t n = strlen(text);
        write_item(w, key, text, n < STREAM_TEXT_MAX ? n : STREAM_TEXT_MAX);
    }
}

int stream_writer_open(struct stream_writer **writer, const char *path,
                       const struct stream_header *header, struct error *err)
{
    struct stream_writer *w = calloc(1, sizeof(*w));
    int rc;
    if (!w || !(w->path = strdup(path))) {
        rc = error_set(err, -ENOMEM, "%s: out of memory", path);
        goto fail;
    }
    w->file = fopen(path, "wb");
    if (!w->file) {
        rc = error_set(err, -errno, "%s: cannot write it: %s", path, strerror(errno));
        goto fail;
    }
    w->hash = HASH_INIT;
    uint8_t buf[8];
    write_out(w, STREAM_MAGIC, strlen(STREAM_MAGIC));
    put_fixed64(buf, stream_kinds_hash());
    write_out(w, buf, sizeof(buf));
    write_text(w, STREAM_KEY_KERNEL, header->kernel);
    put_fixed64(buf, header->kernel_hash);
    write_item(w, STREAM_KEY_KERNEL_HASH, buf, sizeof(buf));
    write_text(w, STREAM_KEY_LOADED, header->loaded);
    write_text(w, STREAM_KEY_ARGS, header->args);
    write_out(w, "", 1);
    *writer = w;
    return 0;
fail:
    if (w) {
        free(w->path);
    }
    free(w);
    return rc;
}

static uint8_t *put_record(uint8_t *p, const struct stream_state *s, const struct irq_record *r)
{
    uint64_t insns = stream_predict_insns(s, r->cpu, r->vtime);
    unsigned differs = (r->id != s->id + 1 ? STREAM_ID : 0) | (r->cause ? STREAM_CAUSE : 0) |
                       (r->ref ? STREAM_REF : 0) | (r->vtime != s->vtime ? STREAM_TIME : 0) |
                       (r->cpu != s->kind[r->kind].cpu ? STREAM_CPU : 0) |
                       (r->insns != insns ? STREAM_INSNS : 0) | (r->result ? STREAM_RESULT : 0);
    unsigned ops = 0;
    for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
        ops |= (unsigned)(r->op[i] != s->kind[r->kind].op[i]) << i;
    }

    p = put_number(p, r->kind + 1u);
    *p++ = (uint8_t)differs;
    *p++ = (uint8_t)ops;
    if (differs & STREAM_ID) {
        p = put_number(p, stream_zigzag(r->id - s->id));
    }
    if (differs & STREAM_CAUSE) {
        p = put_number(p, stream_zigzag(r->id - r->cause));
    }
    if (differs & STREAM_REF) {
        p = put_number(p, stream_zigzag(r->id - r->ref));
    }
    if (differs & STREAM_TIME) {
        p = put_number(p, stream_zigzag(r->vtime - s->vtime));
    }
    if (differs & STREAM_CPU) {
        p = put_number(p, r->cpu);
    }
    if (differs & STREAM_INSNS) {
        p = put_number(p, stream_zigzag(r->insns - insns));
    }
    if (differs & STREAM_RESULT) {
        p = put_number(p, r->result);
    }
    for (unsigned i = 0; i < TRACE_OPERANDS; i++) {
        if (ops >> i & 1) {
            p = put_number(p, stream_zigzag(r->op[i] - s->kind[r->kind].op[i]));
        }
    }
    return p;
}

void stream_write(struct stream_writer *w, const struct irq_record *recs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (w->used + RECORD_MAX > BUFFER_SIZE) {
            empty_buffer(w);
        }
        uint8_t *p = put_record(w->buf + w->used, &w->state, &recs[i]);
        w->used = (size_t)(p - w->buf);
        stream_state_update(&w->state, &recs[i]);
        w->hash = hash_record(w->hash, &recs[i]);
        w->records++;
    }
}

void stream_writer_flush(struct stream_writer *w)
{
    empty_buffer(w);
    if (fflush(w->file) != 0 && !w->error) {
        w->error = errno;
    }
}

int stream_writer_close(struct stream_writer *w, struct stream_end *end, struct error *err)
{
    end->records = w->records;
    end->trace_hash = w->hash;
    uint8_t buf[64];
    uint8_t *p = put_number(buf, 0);
    p = put_number(p, end->records);
    p = put_number(p, end->reason);
    p = put_number(p, end->value);
    p = put_number(p, end->vtime_ns);
    p = put_number(p, end->insns);
    p = put_fixed64(p, end->trace_hash);
    write_out(w, buf, (size_t)(p - buf));
    empty_buffer(w);
    if (fclose(w->file) != 0 && !w->error) {
        w->error = errno;
    }
    int rc = w->error
                 ? error_set(err, -w->error, "%s: cannot write it: %s", w->path, strerror(w->error))
                 : 0;
    free(w->path);
    free(w);
    return rc;
}
