/* SPDX-License-Identifier: MIT */
/*
 * The record stream on disk.
 *
 *     "irqscope.records/1\n"
 *     a hash of the record kinds' descriptions, 8 bytes
 *     header: items (key, length, bytes), ended by key 0
 *     records; each begins with its kind + 1
 *     0, then the end: number of records, reason, value, virtual time, instructions, trace hash
 *
 * Numbers are little-endian base-128 ("varint": 7 bits a byte, the high bit says that more follow); differences are zigzag-coded. A
 * record is what differs from a prediction: its id is the last one's plus 1, its time the last one's, its instruction count goes
 * on with the time since its CPU's last record, its operands are those of the last record of its kind. One byte tells which
 * of these hold, another which operands differ. Nothing in the file depends on options of the engine or on the host.
 *
 * The reader takes nothing for granted: a damaged file gives a sentence, never a record of an unknown kind.
 */
#ifndef IRQSCOPE_SCOPE_STREAM_H
#define IRQSCOPE_SCOPE_STREAM_H

#include "bus/error.h"
#include "bus/trace.h"

#define STREAM_MAGIC    "irqscope.records/1\n"
#define STREAM_TEXT_MAX 4096 /* longest text of a header item */

struct stream_header {
    char *kernel;         /* path as given, or "tour" for the embedded one */
    uint64_t kernel_hash; /* hash_bytes() of the file; 0 = unknown */
    char *loaded;         /* the line that tells what was loaded */
    char *args;           /* the kernel's command line */
};

struct stream_end {
    uint64_t records;
    uint64_t reason; /* enum machine_stop_reason */
    uint64_t value;
    uint64_t vtime_ns;
    uint64_t insns;
    uint64_t trace_hash;
};

/* ---- writing ---- */

struct stream_writer;

/* Create path and write the header. 0 or -errno with err filled. */
int stream_writer_open(struct stream_writer **writer, const char *path,
                       const struct stream_header *header, struct error *err);
/* Ids must ascend. Errors are kept until the end. */
void stream_write(struct stream_writer *w, const struct irq_record *recs, size_t n);
/* Push what is buffered to the file: what is there so far can be read. */
void stream_writer_flush(struct stream_writer *w);
/* end's records and trace_hash are filled in. Closes and frees. 0 or -errno: something could not be written. */
int stream_writer_close(struct stream_writer *w, struct stream_end *end, struct error *err);

/* ---- reading ---- */

enum stream_status {
    STREAM_RECORD,
    STREAM_END,       /* the end was read; stream_reader_end() */
    STREAM_TRUNCATED, /* the file ends without an end */
    STREAM_DAMAGED,
};

struct stream_reader;

/* 0 or -errno with err filled: cannot be opened, not a record stream, of another schema. */
int stream_reader_open(struct stream_reader **reader, const char *path, struct error *err);
/* The same from memory, which must outlive the reader. name is for messages. */
int stream_reader_open_memory(struct stream_reader **reader, const void *data, size_t size,
                              const char *name, struct error *err);
void stream_reader_close(struct stream_reader *r); /* NULL is allowed */
const struct stream_header *stream_reader_header(const struct stream_reader *r);
/* The next record. Unless STREAM_RECORD, err has a sentence (but for STREAM_END), and the same answer comes again. */
enum stream_status stream_read(struct stream_reader *r, struct irq_record *rec, struct error *err);
/* After STREAM_END. */
const struct stream_end *stream_reader_end(const struct stream_reader *r);
uint64_t stream_reader_records(const struct stream_reader *r);

#endif
