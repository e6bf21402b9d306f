/*
 * The promise of `expected-downtime`: while the migration runs, the source reports how long the
 * guest would be stopped if it were stopped now. It divides what remained at the last look at what
 * is dirty by the bandwidth that it has measured. It does so once it knows how fast the guest
 * dirties memory, which takes a second; before, it reports downtime-limit.
 *
 * QEMU sends the last part without a limit, so only a network can be what limits both. The relay
 * is that network: it passes on one window a second. The guest dirties all of its window again and
 * again, so an iteration takes a second, and so does the switchover. The relay counts what passed
 * in these iterations, which gives the bandwidth that QEMU must have measured on average, and what
 * came after the guest was stopped. A host that is busy makes the relay slower, and QEMU sees
 * that: the least time that it expects belongs to the highest bandwidth, and the longest to the
 * lowest. The downtime itself cannot be shorter than the relay takes for what is left.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "guest/image.h"
#include <inttypes.h>
#include <string.h>

#define MIB ((json_int_t)1 << 20)

/* How many iterations are observed, a second each. */
#define ITERATIONS 2
/* How often query-migrate is asked, in milliseconds. No event reports a change. */
#define ASK_MS 20
/* The most that the relay passes on at once. */
#define PIECE ((size_t)64 << 10)
/* Faster than any relay. */
#define UNLIMITED ((json_int_t)1 << 40)
/* The fewest times that it must have been reported meanwhile. */
#define REPORTS 5
/*
 * The middle one of all that is expected may be half or twice what comes. QEMU measures over 100
 * ms. In that time the relay passes on some six pieces at the smallest window, so one more or less
 * makes a sixth. What is dirty is not the same each time, and a host that is busy makes the relay
 * slower in one second than in the next.
 */
#define FACTOR 2.0
/* What the kernel's buffers and the state of the devices add to what is left. */
#define BESIDE (MIB / 2)
/* A guest that leaves less than one part in so many of what remained before was starved. */
#define STARVED_PART 2

struct godwit_scenario_state {
    struct godwit_flow *flow; /* from the source; borrowed */
    uint64_t sent;            /* bytes from the source */
    uint64_t sent_before;     /* ... until the guest was stopped */
    double rate;              /* bytes a second, in the iterations that were observed */
    json_int_t expected;      /* the middle one of all reports, in milliseconds */
    json_int_t remained;      /* the most that remained in those iterations */
};

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_scenario_state *state = data;
    (void)answered;
    (void)index;
    state->flow = sent;
}

static void watch(struct godwit_testbed *testbed, struct godwit_relay *relay)
{
    godwit_relay_narrow(relay);
    godwit_relay_count_bytes(relay, &testbed->state->sent);
    godwit_relay_greet(relay, greet, testbed->state);
}

static json_int_t window_of(const struct godwit_vm *source)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    return (json_int_t)(workload->window_end - workload->window_start);
}

/* Lets the relay be the only limit, and QEMU measure it. */
static bool set(struct godwit_vm *source, GError **error)
{
    static const char available[] = "avail-switchover-bandwidth";
    const struct godwit_parameter parameters[] = {
        {"max-bandwidth", UNLIMITED, NULL},
        /* The throttle has set it, where QEMU has it. */
        {godwit_qemu_has(source->qemu, "parameter", available) ? available : NULL, 0, NULL},
        {NULL, 0, NULL}};
    godwit_flow_slow(source->testbed->state->flow, PIECE, (size_t)window_of(source));
    return godwit_migrate_set_parameters(source, parameters, error);
}

/* What query-migrate reports. */
struct report {
    json_int_t iteration, remaining;
    json_int_t expected; /* in milliseconds; -1: it has none */
    bool active;
    bool rated; /* it knows the dirty rate */
};

static bool ask(struct godwit_vm *source, struct report *report, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    const json_t *ram = json_object_get(info, "ram");
    *report = (struct report){
        .iteration = godwit_json_integer(ram, "dirty-sync-count", 0),
        .remaining = godwit_json_integer(ram, "remaining", 0),
        .expected = godwit_json_integer(info, "expected-downtime", -1),
        .active = !strcmp(godwit_json_string(info, "status", ""), "active"),
        .rated = godwit_json_integer(ram, "dirty-pages-rate", 0) > 0,
    };
    return info != NULL;
}

static gint compare(gconstpointer a, gconstpointer b)
{
    const json_int_t one = *(const json_int_t *)a, other = *(const json_int_t *)b;
    return one < other ? -1 : one > other;
}

/* Fills EXPECTED with what the source expects in the iterations after the present one, or after the
 * first one in which it knows the dirty rate. */
static bool observe(struct godwit_vm *source, GArray *expected, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    struct report report;
    uint64_t sent = 0;
    gint64 began = 0;
    if (!ask(source, &report, error))
        return false;
    json_int_t first = report.iteration;
    while (report.active && report.iteration <= first + ITERATIONS) {
        if (!report.rated)
            first = report.iteration;
        if (report.iteration > first) {
            if (!began) {
                began = g_get_monotonic_time();
                sent = state->sent;
            }
            state->remained = MAX(state->remained, report.remaining);
            if (report.expected >= 0)
                g_array_append_val(expected, report.expected);
        }
        if (!godwit_testbed_rest(source->testbed, ASK_MS, "the source to iterate", error) ||
            !ask(source, &report, error))
            return false;
    }
    if (began)
        state->rate = (double)(state->sent - sent) * G_USEC_PER_SEC /
                      (double)(g_get_monotonic_time() - began);
    return true;
}

/* Observes what the source expects before the migration may converge. */
static bool see_expected(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(json_int_t));
    (void)destination;
    if (!set(source, error) || !observe(source, expected, error))
        return false;
    g_autofree char *status = godwit_migrate_state(source, error);
    if (!status)
        return false;
    if (strcmp(status, "active") != 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the host did not let the guest run, so the migration ended (%s) before "
                           "it might; run fewer jobs (-j), or use a quieter host",
                           status);
    if (expected->len < REPORTS)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source reported expected-downtime %u times in %d iterations, "
                           "expected %d times or more",
                           expected->len, ITERATIONS, REPORTS);
    g_array_sort(expected, compare);
    state->expected = g_array_index(expected, json_int_t, expected->len / 2);
    return true;
}

/* Notes what was sent before the guest was stopped. */
static bool see_stop(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    if (!godwit_vm_wait_event(source, source->migration_first, "STOP", NULL, error))
        return false;
    source->testbed->state->sent_before = source->testbed->state->sent;
    return true;
}

/* Fails unless the downtime that the source reports is as long as the relay took for LEFT
 * bytes. */
static bool judge_reported(struct godwit_vm *source, json_int_t left, GError **error)
{
    const struct godwit_migration *migration = godwit_migration_of(source->testbed);
    const json_int_t downtime = migration->figures[GODWIT_FIGURE_DOWNTIME];
    const json_int_t least = MAX(left - BESIDE, 0) * 1000 / window_of(source);
    return !migration->given[GODWIT_FIGURE_DOWNTIME] || downtime >= least ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source reported a downtime of %" JSON_INTEGER_FORMAT
                       " ms, in which it sent %" JSON_INTEGER_FORMAT
                       " bytes over a network that needs %" JSON_INTEGER_FORMAT " ms for it",
                       downtime, left, least);
}

/* Judges what was expected by what came. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_scenario_state *state = source->testbed->state;
    const json_int_t left = (json_int_t)(state->sent - state->sent_before);
    const double came = (double)left * 1000 / state->rate;
    const double beside = (double)BESIDE * 1000 / state->rate;
    const double least = came / FACTOR - beside, most = came * FACTOR + beside;
    (void)destination;
    godwit_testbed_measure(source->testbed, "expected",
                           json_pack("{s:I, s:f, s:I, s:f}", "expected_ms", state->expected,
                                     "came_ms", came, "left", left, "rate", state->rate));
    if (!judge_reported(source, left, error))
        return false;
    if ((double)state->expected >= least && (double)state->expected <= most)
        return true;
    if (left < state->remained / STARVED_PART)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the host did not let the guest run: %" JSON_INTEGER_FORMAT
                           " bytes were left when it was stopped, %" JSON_INTEGER_FORMAT
                           " before; run fewer jobs (-j), or use a quieter host",
                           left, state->remained);
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source reported an expected downtime of %" JSON_INTEGER_FORMAT
                       " ms, but what was left took %.0f ms at the rate before (%.0f bytes a "
                       "second): expected %.0f to %.0f ms",
                       state->expected, came, state->rate, MAX(least, 0), most);
}

GODWIT_SCENARIOS(promise_expected) = {
    {
        .name = "promise/downtime/expected",
        .summary = "expected-downtime is about as long as the downtime that comes",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .watch = watch,
                 .live = see_expected,
                 .released = see_stop,
                 .judge = judge},
        .state = sizeof(struct godwit_scenario_state),
        .slow = true,
    },
};
GODWIT_SCENARIOS_END(promise_expected);
