/* SPDX-License-Identifier: MIT */
/*
 * See flow_list.h.
 */
#include "scope/flow_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scope/flow_text.h"
#include "scope/json.h"

struct span {
    long start, len;
};

struct flow_list {
    struct flows *flows;
    FILE *spool;
    struct span *span; /* of flow number i + 1 */
    size_t room;
    uint64_t max;
    bool json;
    int error; /* errno of the first failure */
    struct symbols *symbols;
};

static bool make_room(struct flow_list *list, size_t number)
{
    if (number > list->room) {
        size_t room = list->room ? list->room : 256;
        while (room < number) {
            room *= 2;
        }
        struct span *span = realloc(list->span, room * sizeof(*span));
        if (!span) {
            return false;
        }
        memset(span + list->room, 0, (room - list->room) * sizeof(*span));
        list->span = span;
        list->room = room;
    }
    return true;
}

static void closed(void *opaque, const struct flow *flow)
{
    struct flow_list *list = opaque;
    if (flow->number > list->max || list->error) {
        return;
    }
    if (!make_room(list, (size_t)flow->number)) {
        list->error = ENOMEM;
        return;
    }
    struct span *span = &list->span[flow->number - 1];
    span->start = ftell(list->spool);
    if (list->json) {
        json_print_flow(list->spool, flow, list->symbols);
    } else {
        flow_print(list->spool, flow, list->symbols);
    }
    span->len = ftell(list->spool) - span->start;
    if (ferror(list->spool) || span->start < 0 || span->len < 0) {
        list->error = errno ? errno : EIO;
    }
}

int flow_list_new(struct flow_list **list, uint64_t max, bool json, struct symbols *symbols,
                  struct error *err)
{
    struct flow_list *l = calloc(1, sizeof(*l));
    if (!l || !(l->flows = flows_new(closed, l))) {
        free(l);
        return error_set(err, -ENOMEM, "out of memory");
    }
    l->spool = tmpfile();
    if (!l->spool) {
        int rc =
            error_set(err, -errno, "flows: no temporary file can be made: %s", strerror(errno));
        flow_list_free(l);
        return rc;
    }
    l->max = max;
    l->json = json;
    l->symbols = symbols;
    *list = l;
    return 0;
}

void flow_list_free(struct flow_list *list)
{
    if (!list) {
        return;
    }
    if (list->spool) {
        fclose(list->spool);
    }
    flows_free(list->flows);
    free(list->span);
    free(list);
}

void flow_list_add(struct flow_list *list, const struct irq_record *recs, size_t n)
{
    flows_add(list->flows, recs, n);
}

static int copy_span(struct flow_list *list, const struct span *span, FILE *out)
{
    char buf[4096];
    if (fseek(list->spool, span->start, SEEK_SET) != 0) {
        return -EIO;
    }
    for (long left = span->len; left > 0;) {
        size_t piece = left < (long)sizeof(buf) ? (size_t)left : sizeof(buf);
        if (fread(buf, 1, piece, list->spool) != piece) {
            return -EIO;
        }
        fwrite(buf, 1, piece, out);
        left -= (long)piece;
    }
    return 0;
}

int64_t flow_list_finish(struct flow_list *list, FILE *out, struct error *err)
{
    flows_finish(list->flows);
    uint64_t count = flows_count(list->flows), kept = count < list->max ? count : list->max;
    int rc = -list->error;
    if (fflush(list->spool) != 0 && !rc) {
        rc = -errno;
    }
    for (uint64_t i = 0; rc == 0 && i < kept && i < list->room; i++) {
        rc = copy_span(list, &list->span[i], out);
    }
    if (rc < 0) {
        return error_set(err, rc, "flows: the temporary file failed: %s", strerror(-rc));
    }
    return (int64_t)(count - kept);
}
