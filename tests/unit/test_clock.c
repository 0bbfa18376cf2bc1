/* SPDX-License-Identifier: MIT */
/*
 * The virtual clock: order, re-arming, arithmetic, and random operations against a naive list.
 */
#include "bus/clock.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>

#define EVENTS 40
#define LOG    65536

struct fixture {
    struct clock clock;
    struct clock_event ev[EVENTS];
    struct owner {
        struct fixture *f;
        unsigned id;
        vtime_t period;
    } owner[EVENTS];
    unsigned n;
    struct {
        unsigned id;
        vtime_t deadline;
    } log[LOG];
};

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    cr_assert_not_null(f);
    return f;
}

static void fired(void *opaque, vtime_t deadline)
{
    struct owner *o = opaque;
    struct fixture *f = o->f;
    if (f->n < LOG) {
        f->log[f->n].id = o->id;
        f->log[f->n].deadline = deadline;
    }
    f->n++;
    cr_assert_not(clock_event_armed(&f->ev[o->id]), "an event is disarmed when it runs");
    if (o->period) {
        clock_arm(&f->clock, &f->ev[o->id], deadline + o->period);
    }
}

static struct fixture *setup(void)
{
    struct fixture *f = fixture_new();
    clock_init(&f->clock);
    for (unsigned i = 0; i < EVENTS; i++) {
        f->owner[i] = (struct owner){f, i, 0};
        clock_event_init(&f->ev[i], "test", fired, &f->owner[i]);
    }
    return f;
}

Test(clock, run_due_nothing_armed_next_is_never)
{
    struct fixture *f = setup();
    cr_assert_eq(f->clock.next, VTIME_NEVER);
    clock_advance(&f->clock, 1000);
    clock_run_due(&f->clock);
    cr_assert_eq(f->n, 0);
    free(f);
}

Test(clock, run_due_equal_deadlines_runs_in_order_of_arming)
{
    struct fixture *f = setup();
    clock_arm(&f->clock, &f->ev[3], 10);
    clock_arm(&f->clock, &f->ev[1], 10);
    clock_arm(&f->clock, &f->ev[2], 10);
    clock_arm(&f->clock, &f->ev[3], 10); /* re-arming goes to the end */
    clock_advance(&f->clock, 10);
    clock_run_due(&f->clock);
    cr_assert_eq(f->n, 3);
    cr_assert_eq(f->log[0].id, 1);
    cr_assert_eq(f->log[1].id, 2);
    cr_assert_eq(f->log[2].id, 3);
    free(f);
}

Test(clock, arm_past_deadline_runs_at_next_poll)
{
    struct fixture *f = setup();
    clock_advance(&f->clock, 100);
    clock_arm(&f->clock, &f->ev[0], 40);
    cr_assert_eq(f->clock.next, 40);
    cr_assert_eq(f->n, 0);
    clock_run_due(&f->clock);
    cr_assert_eq(f->n, 1);
    cr_assert_eq(f->log[0].deadline, 40);
    free(f);
}

Test(clock, rearm_in_callback_periodic_runs_every_missed_period)
{
    struct fixture *f = setup();
    f->owner[0].period = 7;
    clock_arm(&f->clock, &f->ev[0], 7);
    clock_advance(&f->clock, 30);
    clock_run_due(&f->clock);
    cr_assert_eq(f->n, 4);
    cr_assert_eq(f->log[3].deadline, 28);
    cr_assert_eq(f->clock.next, 35);
    free(f);
}

Test(clock, arm_never_disarms)
{
    struct fixture *f = setup();
    clock_arm(&f->clock, &f->ev[0], 7);
    clock_arm(&f->clock, &f->ev[0], VTIME_NEVER);
    cr_assert_not(clock_event_armed(&f->ev[0]));
    cr_assert_eq(f->clock.next, VTIME_NEVER);
    free(f);
}

Test(clock, muldiv_wide_product_is_exact_and_saturates)
{
    cr_assert_eq(clock_muldiv(UINT64_MAX, 1000000000, 1000000000), UINT64_MAX);
    cr_assert_eq(clock_muldiv(1ull << 63, 6, 4), 3ull << 62);
    cr_assert_eq(clock_muldiv(7, 3, 2), 10);
    cr_assert_eq(clock_muldiv(UINT64_MAX, 2, 1), UINT64_MAX);
}

/* The earliest armed event of the naive list: lowest deadline, then earliest arming. */
static int naive_first(const vtime_t *deadline, const uint64_t *order)
{
    int best = -1;
    for (int i = 0; i < EVENTS; i++) {
        if (deadline[i] != VTIME_NEVER &&
            (best < 0 || deadline[i] < deadline[best] ||
             (deadline[i] == deadline[best] && order[i] < order[best]))) {
            best = i;
        }
    }
    return best;
}

Test(clock, random_operations_agree_with_naive_list)
{
    struct fixture *f = setup();
    vtime_t deadline[EVENTS];
    uint64_t order[EVENTS], seq = 0, seed = 0x1234567;
    for (unsigned i = 0; i < EVENTS; i++) {
        deadline[i] = VTIME_NEVER;
        f->owner[i].period = i < 3 ? 5 + i : 0;
    }
    unsigned expected = 0;
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = bus_test_below(&seed, EVENTS);
        switch (bus_test_below(&seed, 4)) {
        case 0:
        case 1:
            deadline[i] = f->clock.now + bus_test_below(&seed, 50);
            order[i] = seq++;
            clock_arm(&f->clock, &f->ev[i], deadline[i]);
            break;
        case 2:
            deadline[i] = VTIME_NEVER;
            clock_disarm(&f->clock, &f->ev[i]);
            break;
        default:
            clock_advance(&f->clock, f->clock.now + bus_test_below(&seed, 12));
            clock_run_due(&f->clock);
            for (int k; (k = naive_first(deadline, order)) >= 0 && deadline[k] <= f->clock.now;) {
                cr_assert_lt(expected, LOG);
                cr_assert_eq(f->log[expected].id, (unsigned)k);
                cr_assert_eq(f->log[expected].deadline, deadline[k]);
                expected++;
                deadline[k] = f->owner[k].period ? deadline[k] + f->owner[k].period : VTIME_NEVER;
                order[k] = seq++;
            }
            cr_assert_eq(f->n, expected);
            break;
        }
        int first = naive_first(deadline, order);
        cr_assert_eq(f->clock.next, first < 0 ? VTIME_NEVER : deadline[first]);
    }
    cr_assert_gt(expected, 1000);
    free(f);
}
