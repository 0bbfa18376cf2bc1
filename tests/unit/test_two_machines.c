/* SPDX-License-Identifier: MIT */
/*
 * Machines share nothing: two in one process, their runs interleaved a few thousand instructions at a time, make the record streams and the
 * output that each makes alone. A machine that is made again, or whose reset ends a run in its middle, makes the same too.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/trace.h"
#include "firmware/machine.h"
#include "firmware/trace_kinds.h"

#define MAX_INSNS 50000000u
#define MAX_TEXT  65536u

/* One machine with all that comes out of it. */
struct subject {
    struct machine *machine;
    struct irq_record *recs;
    size_t n, room;
    char text[MAX_TEXT];
    size_t len;
    struct machine_stop_info info;
};

static void keep_records(void *opaque, const struct irq_record *recs, size_t n)
{
    struct subject *s = opaque;
    if (s->n + n > s->room) {
        s->room = (s->n + n) * 2;
        s->recs = realloc(s->recs, s->room * sizeof(*recs));
        cr_assert(s->recs);
    }
    memcpy(s->recs + s->n, recs, n * sizeof(*recs));
    s->n += n;
}

static void keep_text(void *opaque, const uint8_t *buf, size_t n)
{
    struct subject *s = opaque;
    cr_assert_lt(s->len + n, MAX_TEXT);
    memcpy(s->text + s->len, buf, n);
    s->len += n;
}

static struct subject *subject_new_reset(const char *name, unsigned resets)
{
    struct subject *s = calloc(1, sizeof(*s));
    struct machine_config config = machine_config_default();
    struct error err;
    char path[512];
    cr_assert(s);
    snprintf(path, sizeof(path), "%s/%s.elf", TEST_BUILD_DIR, name);
    config.kernel.path = path;
    config.ram_bytes = 16 << 20;
    config.no_reboot = true;
    config.debug_exit = true;
    config.serial = (struct chardev){.write = keep_text, .opaque = s};
    cr_assert_eq(machine_create(&config, &s->machine, &err), 0, "%s", err.text);
    while (resets-- > 0) {
        machine_reset(s->machine);
    }
    cr_assert_eq(machine_trace_listen(s->machine, keep_records, s), 0);
    return s;
}

static struct subject *subject_new(const char *name)
{
    return subject_new_reset(name, 0);
}

static void subject_free(struct subject *s)
{
    machine_destroy(s->machine);
    free(s->recs);
    free(s);
}

/* Up to `insns` in all. True while there is more. */
static bool run_to(struct subject *s, uint64_t insns)
{
    machine_set_limits(s->machine, insns, MACHINE_NEVER);
    enum machine_stop_reason reason = machine_run(s->machine, &s->info);
    cr_assert_lt(s->info.insns, MAX_INSNS);
    return reason == MACHINE_STOP_LIMIT_INSNS;
}

/* In steps too, for each stop at a limit is a record. */
static struct subject *run_alone(const char *name, uint64_t step)
{
    struct subject *s = subject_new(name);
    for (uint64_t turn = 1; run_to(s, turn * step);) {
        turn++;
    }
    machine_trace_flush(s->machine);
    cr_assert_gt(s->n, 10, "%s made %zu records", name, s->n);
    cr_assert_gt(s->len, 0, "%s printed nothing", name);
    return s;
}

static void expect_equal(const struct subject *got, const struct subject *want, const char *what)
{
    cr_assert_eq(got->info.reason, want->info.reason, "%s: ended by %s, not %s", what,
                 machine_stop_name(got->info.reason), machine_stop_name(want->info.reason));
    cr_assert_eq(got->info.vtime_ns, want->info.vtime_ns, "%s: time", what);
    cr_assert_eq(got->info.insns, want->info.insns, "%s: instructions", what);
    cr_assert_eq(got->info.regs.rip, want->info.regs.rip, "%s: RIP", what);
    cr_assert_eq(got->len, want->len, "%s: %zu characters, not %zu", what, got->len, want->len);
    cr_assert_eq(memcmp(got->text, want->text, want->len), 0, "%s: text", what);
    cr_assert_eq(got->n, want->n, "%s: %zu records, not %zu", what, got->n, want->n);
    for (size_t i = 0; i < want->n; i++) {
        cr_assert_eq(memcmp(&got->recs[i], &want->recs[i], sizeof(want->recs[i])), 0,
                     "%s: record %zu (kind %u) differs", what, i, got->recs[i].kind);
    }
}

/* Steps of different lengths, so that every interleaving of blocks, events and ring positions comes by. */
static void interleave(const char *first, const char *second, uint64_t step_a, uint64_t step_b)
{
    struct subject *want_a = run_alone(first, step_a), *want_b = run_alone(second, step_b);
    struct subject *a = subject_new(first), *b = subject_new(second);
    bool more_a = true, more_b = true;
    unsigned turns = 0;
    for (uint64_t turn = 1; more_a || more_b; turn++) {
        more_a = more_a && run_to(a, turn * step_a);
        more_b = more_b && run_to(b, turn * step_b);
        turns += more_a && more_b;
    }
    machine_trace_flush(a->machine);
    machine_trace_flush(b->machine);
    cr_assert_gt(turns, 5, "the runs must take turns: %u", turns);
    expect_equal(a, want_a, first);
    expect_equal(b, want_b, second);
    subject_free(a);
    subject_free(b);
    subject_free(want_a);
    subject_free(want_b);
}

Test(two_machines, the_tour_beside_itself_equals_the_tour_alone, .timeout = 100)
{
    interleave("labs/tour", "labs/tour", 3001, 3001);
    interleave("labs/tour", "labs/tour", 977, 4099);
}

Test(two_machines, different_guests_interleaved_equal_themselves_alone, .timeout = 100)
{
    interleave("labs/tour", "guests/pic_nested", 3001, 501);
    interleave("guests/smc32", "guests/paging64", 211, 97);
}

Test(two_machines, machine_made_again_gives_the_same, .timeout = 100)
{
    struct subject *want = run_alone("labs/tour", MAX_INSNS);
    struct subject *again = run_alone("labs/tour", MAX_INSNS);
    expect_equal(again, want, "made again");
    subject_free(again);
    subject_free(want);
}

Test(two_machines, reset_before_the_first_instruction_changes_nothing, .timeout = 100)
{
    struct subject *want = run_alone("labs/tour", MAX_INSNS);
    struct subject *s = subject_new_reset("labs/tour", 3);
    run_to(s, MAX_INSNS);
    machine_trace_flush(s->machine);
    expect_equal(s, want, "reset at once");
    subject_free(s);
    subject_free(want);
}

static struct subject *run_reset_run(const char *name, uint64_t insns, size_t *before)
{
    struct subject *s = subject_new(name);
    cr_assert(run_to(s, insns), "%s ends before %llu instructions", name,
              (unsigned long long)insns);
    machine_reset(s->machine);
    *before = s->len;
    run_to(s, MAX_INSNS);
    machine_trace_flush(s->machine);
    return s;
}

/*
 * A reset is no new machine: time goes on, and the phase of the 1.19 MHz clock with it, so a guest that polls a device may do so once more.
 * But it prints the same and ends the same, and two machines that are reset at the same instruction stay equal in all.
 */
Test(two_machines, reset_in_the_middle_the_guest_runs_again, .timeout = 100)
{
    static const char *const names[] = {"labs/tour", "guests/pic_nested", "guests/lapic_timer"};
    for (size_t i = 0; i < irq_array_size(names); i++) {
        struct subject *want = run_alone(names[i], MAX_INSNS);
        for (uint64_t part = 1; part < 8; part += 3) {
            size_t before;
            uint64_t insns = want->info.insns * part / 8;
            struct subject *a = run_reset_run(names[i], insns, &before);
            struct subject *b = run_reset_run(names[i], insns, &before);
            expect_equal(b, a, names[i]);
            cr_assert_eq(a->info.reason, want->info.reason, "%s: %s", names[i],
                         machine_stop_name(a->info.reason));
            cr_assert_eq(a->len - before, want->len, "%s: text of %zu characters, not %zu",
                         names[i], a->len - before, want->len);
            cr_assert_eq(memcmp(a->text + before, want->text, want->len), 0, "%s", names[i]);
            subject_free(a);
            subject_free(b);
        }
        subject_free(want);
    }
}
