/*
 * Promises about the downtime: QEMU stops the guest only if what is left takes no longer than
 * downtime-limit, at the bandwidth that it has measured or at avail-switchover-bandwidth.
 *
 * No time is judged: a busy host makes everything longer. The guest dirties all of its window again
 * and again. At first the limit allows a part of that to be left, so the guest must run on. If it
 * is stopped all the same, because the host gave it no time to write, the relay's count of what
 * comes afterwards must be that part or less. Then the limit allows several windows, and the
 * migration must end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <inttypes.h>
#include <string.h>

#define MIB ((json_int_t)1 << 20)

/* The iterations during which the guest must not be stopped. */
#define ITERATIONS 3
/* QEMU measures its bandwidth over a period of 100 ms, and may send more than max-bandwidth: see
 * promise.c. */
#define EXCESS 1.3
/* What comes beside the pages that count as left: the state of the devices, pages that are dirtied
 * while QEMU counts, and what is on its way to the relay when the guest is stopped. */
#define BESIDE (MIB / 2)

/* What to set: bandwidths in windows a second, and a time in milliseconds. */
struct bound {
    double bandwidth;
    double available; /* avail-switchover-bandwidth; 0: QEMU measures the bandwidth itself */
    json_int_t limit;
};

/* The bounds under which the guest must run on, and under which the migration must end. */
struct promise {
    struct bound tight, loose;
};

struct godwit_scenario_state {
    const struct promise *promise;
    uint64_t sent; /* bytes from the source, over all connections */
};

static void watch(struct godwit_testbed *testbed, struct godwit_relay *relay)
{
    godwit_relay_count_bytes(relay, &testbed->state->sent);
}

/* Returns so many windows in bytes. */
static json_int_t bytes_of(const struct godwit_vm *source, double windows)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    return (json_int_t)(windows * (double)(workload->window_end - workload->window_start));
}

static bool set(struct godwit_vm *source, const struct bound *bound, GError **error)
{
    static const char available[] = "avail-switchover-bandwidth";
    const struct godwit_parameter parameters[] = {
        {"downtime-limit", bound->limit, NULL},
        {"max-bandwidth", bytes_of(source, bound->bandwidth), NULL},
        /* The throttle has set it, where QEMU has it. */
        {godwit_qemu_has(source->qemu, "parameter", available) ? available : NULL,
         bytes_of(source, bound->available), NULL},
        {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, parameters, error);
}

/* A source that is watched. */
struct course {
    struct godwit_vm *source;
    guint first; /* index of the first event that counts */
    bool stopped;
    uint64_t sent; /* before the guest was stopped */
};

/* Returns how many events NAME there were, and notes when the guest is stopped. */
static unsigned events(struct course *course, const char *name)
{
    const GPtrArray *all = course->source->qmp->events;
    unsigned number = 0;
    for (guint i = course->first; i < all->len; i++)
        number += godwit_qmp_event_is(g_ptr_array_index(all, i), name, NULL);
    return number;
}

static bool has_stopped(gpointer data)
{
    struct course *course = data;
    if (!course->stopped && events(course, "STOP")) {
        course->stopped = true;
        course->sent = course->source->testbed->state->sent;
    }
    return course->stopped;
}

static bool has_iterated(gpointer data)
{
    struct course *course = data;
    return has_stopped(course) || events(course, "MIGRATION_PASS") >= ITERATIONS;
}

/* Returns the bandwidth, in windows a second, by which BOUND lets QEMU stop the guest. */
static double bandwidth_of(const struct bound *bound)
{
    return bound->available > 0 ? bound->available : bound->bandwidth * EXCESS;
}

/* Fails unless no more was sent after the guest was stopped than BOUND allows. */
static bool judge_left(const struct course *course, const struct bound *bound, GError **error)
{
    struct godwit_testbed *testbed = course->source->testbed;
    const json_int_t left = (json_int_t)(testbed->state->sent - course->sent);
    const json_int_t bandwidth = bytes_of(course->source, bandwidth_of(bound));
    const json_int_t most = bandwidth * bound->limit / 1000 + BESIDE;
    godwit_testbed_measure(testbed, "left", json_integer(left));
    return left <= most ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source stopped its guest with %" JSON_INTEGER_FORMAT
                       " bytes left, although downtime-limit was %" JSON_INTEGER_FORMAT
                       " ms at %" JSON_INTEGER_FORMAT
                       " bytes a second: expected %" JSON_INTEGER_FORMAT " or less",
                       left, bound->limit, bandwidth, most);
}

/* Sets both bounds, one after the other, and judges what the source does. */
static bool try_both(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    const struct promise *promise = testbed->state->promise;
    struct course course = {.source = source, .first = source->qmp->events->len};
    (void)destination;
    if (!set(source, &promise->tight, error) ||
        !godwit_testbed_wait(testbed, has_iterated, &course, "the source to iterate", error))
        return false;
    const bool early = course.stopped;
    godwit_testbed_measure(testbed, "early", json_boolean(early));
    if (!early &&
        (!set(source, &promise->loose, error) ||
         !godwit_testbed_wait(testbed, has_stopped, &course,
                              "the source to stop its guest, which downtime-limit allows", error)))
        return false;
    /* What is on its way has arrived when the destination has it all. */
    return godwit_migrate_wait(source, "completed", error) &&
           judge_left(&course, early ? &promise->tight : &promise->loose, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    testbed->state->promise = scenario->data;
    return godwit_course_run(testbed, &scenario->spec, error);
}

/* A quarter of a window, and four. */
static const struct promise measured = {
    .tight = {.bandwidth = 2, .limit = 125},
    .loose = {.bandwidth = 2, .limit = 2000},
};
/* The same. By max-bandwidth alone, the guest would be stopped at once under the first bound, and
 * never under the second one. */
static const struct promise available = {
    .tight = {.bandwidth = 32, .available = 2, .limit = 125},
    .loose = {.bandwidth = 1.0 / 16, .available = 32, .limit = 125},
};

#define ROW(NAME, SUMMARY, PROMISE)                                                                \
    .name = NAME, .summary = SUMMARY, .run = run, .state = sizeof(struct godwit_scenario_state),   \
    .data = &(PROMISE),                                                                            \
    .spec = {.transport = GODWIT_TRANSPORT_UNIX, .watch = watch, .live = try_both}

GODWIT_SCENARIOS(promise_downtime) = {
    {
        ROW("promise/downtime/limit",
            "the guest is stopped when the rest takes no longer than downtime-limit", measured),
    },
    {
        ROW("promise/downtime/available",
            "the same, at the bandwidth that avail-switchover-bandwidth promises", available),
        .needs = "parameter:avail-switchover-bandwidth",
    },
};
GODWIT_SCENARIOS_END(promise_downtime);
