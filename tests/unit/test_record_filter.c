/* SPDX-License-Identifier: MIT */
/*
 * Record filters: with kinds masked, the records that survive are those of the full stream, and a masked record's place in every
 * chain is taken by its own cause. Also, in every stream each cause and ref is an earlier record, and a listener that comes later
 * hears of no frame that only an earlier one was told of.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/trace.h"
#include "firmware/machine.h"
#include "firmware/trace_kinds.h"

#define KINDS (TRACE_FOLDERS * TRACE_KINDS_PER_FOLDER)

struct stream {
    struct irq_record *recs;
    size_t n, room;
};

static void keep(void *opaque, const struct irq_record *recs, size_t n)
{
    struct stream *s = opaque;
    if (s->n + n > s->room) {
        s->room = (s->n + n) * 2;
        s->recs = realloc(s->recs, s->room * sizeof(*recs));
        cr_assert(s->recs);
    }
    memcpy(s->recs + s->n, recs, n * sizeof(*recs));
    s->n += n;
}

static struct stream record_guest(const char *name, const bool *masked)
{
    char path[512];
    struct stream s = {0};
    struct machine_config config = machine_config_default();
    struct machine *machine;
    struct machine_stop_info info;
    struct error err;
    snprintf(path, sizeof(path), "%s/%s.elf", TEST_BUILD_DIR, name);
    config.kernel.path = path;
    config.debug_exit = true;
    config.debug_exit_iobase = 0xf4;
    config.debug_exit_iosize = 4;
    config.limit_insns = 3000000;
    cr_assert_eq(machine_create(&config, &machine, &err), 0, "%s", err.text);
    cr_assert_eq(machine_trace_listen(machine, keep, &s), 0);
    for (unsigned k = 0; k < KINDS; k++) {
        machine_trace_mask(machine, (uint16_t)k, masked[k]);
    }
    machine_run(machine, &info);
    cr_assert_neq(info.reason, MACHINE_STOP_UNMODELLED, "%s", info.text);
    machine_trace_flush(machine);
    machine_destroy(machine);
    return s;
}

/* What the filtered stream must be, made from the full one. */
static struct stream filter(const struct stream *full, const bool *masked)
{
    struct stream out = {.recs = calloc(full->n + 1, sizeof(struct irq_record))};
    uint64_t *map = calloc(full->n + 2, sizeof(*map));
    cr_assert(out.recs && map);
    for (size_t i = 0; i < full->n; i++) {
        struct irq_record r = full->recs[i];
        uint64_t id = r.id;
        r.cause = map[r.cause];
        r.ref = map[r.ref];
        if (masked[r.kind]) {
            map[id] = r.cause;
            continue;
        }
        r.id = out.n + 1;
        map[id] = r.id;
        out.recs[out.n++] = r;
    }
    free(map);
    return out;
}

static void check_chains(const struct stream *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct irq_record *r = &s->recs[i];
        cr_assert_eq(r->id, i + 1);
        cr_assert_lt(r->cause, r->id);
        cr_assert_lt(r->ref, r->id);
        cr_assert(trace_desc_find(r->kind), "record %zu has a kind without a descriptor", i);
    }
}

static void check_guest(const char *name)
{
    static const bool none[KINDS];
    struct stream full = record_guest(name, none);
    uint32_t seed = 12345;
    cr_assert_gt(full.n, 10, "%s made %zu records", name, full.n);
    check_chains(&full);
    for (unsigned round = 0; round < 12; round++) {
        bool masked[KINDS];
        for (unsigned k = 0; k < KINDS; k++) {
            seed = seed * 1664525u + 1013904223u;
            masked[k] = (seed >> 16) % 3 == 0;
        }
        struct stream want = filter(&full, masked);
        struct stream got = record_guest(name, masked);
        check_chains(&got);
        cr_assert_eq(got.n, want.n, "%s: %zu records survive, not %zu", name, got.n, want.n);
        for (size_t i = 0; i < got.n; i++) {
            cr_assert_eq(memcmp(&got.recs[i], &want.recs[i], sizeof(want.recs[i])), 0,
                         "%s: surviving record %zu (kind %u) differs", name, i, got.recs[i].kind);
        }
        free(want.recs);
        free(got.recs);
    }
    free(full.recs);
}

/* A handler that returns to its fault: stop anywhere in it, listen anew, and go on. */
Test(record_filter, later_listener_gets_no_frames_of_an_earlier_one)
{
    for (unsigned at = 1000000; at < 1000004; at++) {
        struct machine_config config = machine_config_default();
        struct stream first = {0}, second = {0};
        struct machine *machine;
        struct machine_stop_info info;
        struct error err;
        config.kernel.path = TEST_BUILD_DIR "/guests/fault_loop.elf";
        config.limit_insns = at;
        cr_assert_eq(machine_create(&config, &machine, &err), 0, "%s", err.text);
        cr_assert_eq(machine_trace_listen(machine, keep, &first), 0);
        machine_run(machine, &info);
        cr_assert_eq(info.reason, MACHINE_STOP_LIMIT_INSNS);
        cr_assert_eq(machine_trace_listen(machine, keep, &second), 0);
        machine_set_limits(machine, at + 100, MACHINE_NEVER);
        machine_run(machine, &info);
        machine_trace_flush(machine);
        cr_assert_gt(second.n, 100);
        for (size_t i = 0; i < second.n; i++) {
            const struct irq_record *r = &second.recs[i];
            cr_assert(r->cause == 0 || r->cause >= second.recs[0].id);
            cr_assert(r->ref == 0 || r->ref >= second.recs[0].id);
        }
        machine_destroy(machine);
        free(first.recs);
        free(second.recs);
    }
}

Test(record_filter, tour_masked_kinds_keep_chains)
{
    check_guest("labs/tour");
}

Test(record_filter, nested_8259_masked_kinds_keep_chains)
{
    check_guest("guests/pic_nested");
}

Test(record_filter, level_pin_masked_kinds_keep_chains)
{
    check_guest("guests/ioapic_level");
}
