/* SPDX-License-Identifier: MIT */
/*
 * See show.h. Symbols come from the kernel that the stream names, if its bytes are still the same.
 */
#include "irqscope/show.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "firmware/machine.h"
#include "irqscope/run.h"
#include "irqscope/tour.h"
#include "scope/flow_list.h"
#include "scope/hash.h"
#include "scope/json.h"
#include "scope/stream.h"
#include "scope/symbols.h"
#include "scope/text.h"

static struct symbols *open_symbols(const struct stream_header *header, bool quiet)
{
    const char *why;
    bool readable;
    if (!header->kernel) {
        return NULL;
    }
    if (strcmp(header->kernel, TOUR_NAME) == 0 && tour_size() &&
        hash_bytes(HASH_INIT, tour_data(), tour_size()) == header->kernel_hash) {
        return symbols_open_memory(tour_data(), tour_size());
    }
    uint64_t hash = hash_file(header->kernel, &readable);
    if (readable && hash == header->kernel_hash) {
        return symbols_open_file(header->kernel);
    }
    why = readable ? "has changed since" : "is not there";
    if (!quiet) {
        fprintf(stderr, "irqscope: %s %s: addresses have no names\n", header->kernel, why);
    }
    return NULL;
}

static void print_end(const struct stream_end *end)
{
    const char *reason = end->reason < MACHINE_STOP_REASONS
                             ? machine_stop_name((enum machine_stop_reason)end->reason)
                             : "unknown";
    fprintf(stderr, "irqscope: %llu records, ended by %s, trace hash 0x%016llx\n",
            (unsigned long long)end->records, reason, (unsigned long long)end->trace_hash);
}

static int show(const struct options *o, struct stream_reader *reader, struct symbols *symbols)
{
    struct flow_list *flows = NULL;
    struct irq_record rec;
    struct error err;
    enum stream_status status;
    if (o->flows && flow_list_new(&flows, o->flows_max, o->json, symbols, &err) < 0) {
        fprintf(stderr, "irqscope: %s\n", err.text);
        return STATUS_SETUP;
    }
    if (!o->flows && !o->json) {
        text_print_heading(stdout);
    }
    while ((status = stream_read(reader, &rec, &err)) == STREAM_RECORD) {
        if (flows) {
            flow_list_add(flows, &rec, 1);
        } else if (o->json) {
            json_print_record(stdout, &rec, symbols);
        } else {
            text_print_record(stdout, &rec, symbols);
        }
    }
    struct error flows_err;
    int64_t more = flows ? flow_list_finish(flows, stdout, &flows_err) : 0;
    flow_list_free(flows);
    if (more > 0 && !o->json) {
        printf("... %lld more: irqscope show %s --flows\n", (long long)more, o->file);
    }
    int result = STATUS_OK;
    if (fflush(stdout) != 0) {
        fprintf(stderr, "irqscope: the standard output cannot be written: %s\n", strerror(errno));
        result = STATUS_SETUP;
    }
    if (more < 0) {
        fprintf(stderr, "irqscope: %s\n", flows_err.text);
        result = STATUS_SETUP;
    }
    if (status != STREAM_END) {
        fprintf(stderr, "irqscope: %s\n", err.text);
        result = STATUS_SETUP;
    } else if (!o->quiet) {
        print_end(stream_reader_end(reader));
    }
    return result;
}

int show_main(const struct options *o)
{
    struct stream_reader *reader;
    struct error err;
    if (stream_reader_open(&reader, o->file, &err) < 0) {
        fprintf(stderr, "irqscope: %s\n", err.text);
        return STATUS_SETUP;
    }
    const struct stream_header *header = stream_reader_header(reader);
    if (header->loaded && !o->quiet) {
        fprintf(stderr, "irqscope: %s\n", header->loaded);
    }
    struct symbols *symbols = open_symbols(header, o->quiet);
    int status = show(o, reader, symbols);
    symbols_close(symbols);
    stream_reader_close(reader);
    return status;
}
