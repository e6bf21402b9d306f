/*
 * Guests that dirty memory faster than it can be sent, and how QEMU slows them down: by
 * auto-converge and by the dirty limit. The dirty limit needs KVM's dirty ring, which has a
 * scenario of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "qemu/host.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The percentages of auto-converge: a few steps from the first to the last, one second each. */
#define INITIAL   20
#define INCREMENT 30
#define MAXIMUM   80

struct godwit_scenario_state {
    json_int_t free_rate; /* how fast the unlimited guest dirties memory, in MB/s */
};

/* Reads from query-migrate the CPU throttle in force, 0 for none, and the number of iterations.
 * Fails if the throttle is out of bounds. */
static bool ask_throttle(struct godwit_vm *source, json_int_t *percent, json_int_t *iterations,
                         GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    *percent = godwit_json_integer(info, "cpu-throttle-percentage", 0);
    *iterations = godwit_json_integer(json_object_get(info, "ram"), "dirty-sync-count", 0);
    if (*percent == 0 || (*percent >= INITIAL && *percent <= MAXIMUM))
        return true;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source throttles its guest by %" JSON_INTEGER_FORMAT
                       " %%, expected from %d %% to %d %%, or not at all",
                       *percent, INITIAL, MAXIMUM);
}

/* Watches the CPU throttle from its beginning to its maximum, while the migration is throttled by
 * bandwidth. */
static bool see_throttle(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    json_int_t percent = 0, iterations = 0, before = 0, began = 0;
    (void)destination;
    for (guint iteration = 1; percent < MAXIMUM; before = percent) {
        if (!godwit_migrate_next_iteration(source, &iteration, error) ||
            !ask_throttle(source, &percent, &iterations, error))
            return false;
        if (percent < before)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source lowered its CPU throttle from %" JSON_INTEGER_FORMAT
                               " %% to %" JSON_INTEGER_FORMAT
                               " %% while the migration was still throttled",
                               before, percent);
        if (percent > before)
            godwit_testbed_measure_item(source->testbed, "throttle", json_integer(percent));
        if (percent && !began)
            began = iterations;
    }
    return iterations > began ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source began no iteration (dirty-sync-count %" JSON_INTEGER_FORMAT
                       ") while its CPU throttle went from %d %% to %d %%",
                       iterations, INITIAL, MAXIMUM);
}

/* Continues from pre-switchover. There the CPU throttle must be within its bounds, or off. */
static bool continue_throttled(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error)
{
    json_int_t percent, iterations;
    (void)destination;
    return godwit_migrate_wait(source, "pre-switchover", error) &&
           ask_throttle(source, &percent, &iterations, error) &&
           godwit_migrate_continue(source, error);
}

/* Entries of the dirty ring, as a number and, for the command line, as text. */
#define RING      4096
#define RING_TEXT "4096"

static const char *const ring_arguments[] = {"-accel", "kvm,dirty-ring-size=" RING_TEXT, NULL};

static struct godwit_lack *lacks_ring(const struct godwit_setup *setup)
{
    const unsigned entries = godwit_host_dirty_ring();
    (void)setup;
    return entries >= RING
               ? NULL
               : godwit_lack_new(g_strdup_printf("a dirty ring of %d entries", RING),
                                 g_strdup_printf("this host's KVM supports %u", entries));
}

/* Checks that QEMU has mapped a dirty ring of that size for its CPU: 16 bytes for each entry. */
static bool see_ring(struct godwit_vm *vm, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", (int)godwit_vm_pid(vm));
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, error))
        return false;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        uint64_t start, end;
        if (strstr(lines[i], "kvm-vcpu") &&
            sscanf(lines[i], "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && end - start == RING * 16)
            return true;
    }
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s has not mapped a dirty ring of %d entries (%s)", vm->name, RING,
                       path);
}

static bool see_rings(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return see_ring(source, error) && see_ring(destination, error);
}

/* QEMU's tolerance in MB/s: it does not regulate a rate that is this close to the limit. */
#define TOLERANCE 25

static struct godwit_vm *start_with_ring(struct godwit_testbed *testbed, GError **error)
{
    struct godwit_vm *vm = godwit_course_source_with(testbed, ring_arguments, error);
    return vm && see_ring(vm, error) ? vm : NULL;
}

/* Waits a quarter of a second between two queries, because no event reports a change. */
static bool let_time_pass(struct godwit_vm *vm, GError **error)
{
    return godwit_testbed_rest(vm->testbed, 250, "the dirty rate to change", error);
}

/* Makes QEMU measure for one second how fast the guest dirties memory, in MB/s. */
static bool measure(struct godwit_vm *vm, json_int_t *rate, GError **error)
{
    if (!godwit_vm_command(vm, "calc-dirty-rate",
                           json_pack("{s:i, s:s}", "calc-time", 1, "mode", "dirty-ring"), error))
        return false;
    for (;;) {
        g_autoptr(json_t) info = godwit_vm_execute(vm, "query-dirty-rate", NULL, error);
        if (!info)
            return false;
        if (!strcmp(godwit_json_string(info, "status", ""), "measured")) {
            *rate = godwit_json_integer(info, "dirty-rate", -1);
            return *rate >= 0 ||
                   godwit_fail(error, GODWIT_ERROR_QMP,
                               "the %s has measured a dirty rate, but does not report it",
                               vm->name);
        }
        if (!let_time_pass(vm, error))
            return false;
    }
}

/* Measures how fast the unlimited guest dirties memory. Takes the least of three measurements,
 * because the first may count pages that are dirtied only once. Fails with SKIP if that is too slow
 * to be limited. */
static bool measure_free(struct godwit_vm *vm, json_int_t *rate, GError **error)
{
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_MEASURE);
    *rate = G_MAXINT;
    for (int i = 0; i < 3; i++) {
        json_int_t now;
        if (!measure(vm, &now, error))
            return false;
        *rate = MIN(*rate, now);
    }
    godwit_testbed_measure(vm->testbed, "dirty-rate", json_integer(*rate));
    return *rate / 2 > TOLERANCE ||
           godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs a guest that dirties more than %d MB/s: under this host's KVM it "
                       "dirties %" JSON_INTEGER_FORMAT,
                       2 * TOLERANCE + 1, *rate);
}

/* Reads the limit and the present rate of the only CPU. The limit is 0 if there is none. */
static bool ask_limit(struct godwit_vm *vm, json_int_t *limit, json_int_t *rate, GError **error)
{
    g_autoptr(json_t) list = godwit_vm_execute(vm, "query-vcpu-dirty-limit", NULL, error);
    const json_t *first = json_array_get(list, 0);
    *limit = godwit_json_integer(first, "limit-rate", 0);
    *rate = godwit_json_integer(first, "current-rate", 0);
    return list != NULL;
}

/* Limits the guest to half of its dirty rate, waits until it obeys, and cancels the limit. */
static bool limit_vcpu(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    json_int_t free_rate = 0, limit = 0, rate = 0;
    (void)scenario;
    struct godwit_vm *vm = start_with_ring(testbed, error);
    if (!vm || !measure_free(vm, &free_rate, error))
        return false;
    const json_int_t half = free_rate / 2;

    godwit_testbed_phase(testbed, GODWIT_PHASE_LIMIT);
    if (!godwit_vm_command(vm, "set-vcpu-dirty-limit", json_pack("{s:I}", "dirty-rate", half),
                           error) ||
        !ask_limit(vm, &limit, &rate, error))
        return false;
    if (limit != half)
        return godwit_fail(
            error, GODWIT_ERROR_MIGRATION,
            "a limit of %" JSON_INTEGER_FORMAT
            " MB/s was set, but query-vcpu-dirty-limit reports %" JSON_INTEGER_FORMAT,
            half, limit);
    /* This takes a while: QEMU checks the rate once a second and approaches the limit step by
     * step. */
    while (rate == 0 || llabs((long long)(rate - half)) > TOLERANCE)
        if (!let_time_pass(vm, error) || !ask_limit(vm, &limit, &rate, error))
            return false;
    godwit_testbed_measure(
        testbed, "dirty-limit",
        json_pack("{s:I, s:I, s:I}", "free", free_rate, "limit", half, "limited", rate));

    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    if (!godwit_vm_command(vm, "cancel-vcpu-dirty-limit", NULL, error) ||
        !ask_limit(vm, &limit, &rate, error))
        return false;
    if (limit != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the limit of %" JSON_INTEGER_FORMAT
                           " MB/s is still set after cancel-vcpu-dirty-limit",
                           limit);
    for (rate = 0; rate <= half + TOLERANCE;)
        if (!measure(vm, &rate, error))
            return false;
    return godwit_course_end(vm, NULL, error);
}

/* Reads from query-migrate how long the guest must sleep in each round, in microseconds; 0 if it
 * need not. */
static bool ask_sleep(struct godwit_vm *source, json_int_t *us, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    *us = godwit_json_integer(info, "dirty-limit-throttle-time-per-round", 0);
    return info != NULL;
}

/* Waits until QEMU makes the guest sleep. The migration is throttled meanwhile. */
static bool see_sleep(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    json_int_t us = 0;
    (void)destination;
    for (guint iteration = 1; us == 0;)
        if (!godwit_migrate_next_iteration(source, &iteration, error) ||
            !ask_sleep(source, &us, error))
            return false;
    godwit_testbed_measure(source->testbed, "throttle-us", json_integer(us));
    return true;
}

/* Throttles the migration to half of the guest's dirty rate: iterations end, but the migration
 * never catches up. */
static bool throttle_by_rate(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    (void)destination;
    (void)error;
    godwit_migrate_throttle_pace(source, source->testbed->state->free_rate / 2 * 1000000);
    return true;
}

/* Cancels a limited migration, which must lift the limit. Then another one is limited again, and
 * converges. */
static bool limit_migration(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                            GError **error)
{
    const struct godwit_spec *spec = &scenario->spec;
    struct godwit_vm *source = start_with_ring(testbed, error);
    json_int_t us = 0, limit = 0, rate = 0;
    if (!source || !measure_free(source, &testbed->state->free_rate, error))
        return false;
    struct godwit_vm *first =
        godwit_vm_start(testbed, "first", GODWIT_VM_DESTINATION_PAUSED, ring_arguments, error);
    if (!first || !godwit_vm_handshake(first, error) ||
        !godwit_migrate_set_capabilities(first, spec->capabilities, error) ||
        !godwit_migrate_set_capabilities(source, spec->capabilities, error) ||
        !godwit_migrate_set_parameters(source, spec->parameters, error) ||
        !godwit_migrate_throttle(source, error) || !throttle_by_rate(source, first, error))
        return false;

    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    first->may_exit = true;
    g_autofree char *uri =
        godwit_migrate_listen(source, first, spec->transport, spec->channels, error);
    if (!uri || !godwit_migrate_start(source, uri, spec->channels, error) ||
        !see_sleep(source, first, error) || !ask_limit(source, &limit, &rate, error) ||
        !godwit_vm_command(source, "migrate_cancel", NULL, error) ||
        !godwit_migrate_wait(source, "cancelled", error) || !godwit_course_refused(first, error) ||
        !godwit_course_see_it_run(source, error))
        return false;
    if (limit == 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the migration makes the guest sleep for its dirty limit, but "
                           "query-vcpu-dirty-limit reports no limit");
    if (!ask_limit(source, &limit, &rate, error) || !ask_sleep(source, &us, error))
        return false;
    if (limit != 0 || us != 0)
        return godwit_fail(
            error, GODWIT_ERROR_MIGRATION,
            "the cancelled migration still limits its guest: to %" JSON_INTEGER_FORMAT
            " MB/s, %" JSON_INTEGER_FORMAT " us of sleep in each round",
            limit, us);

    struct godwit_vm *second =
        godwit_vm_start(testbed, "second", GODWIT_VM_DESTINATION_PAUSED, ring_arguments, error);
    return second && godwit_vm_handshake(second, error) &&
           godwit_course_move(testbed, spec, source, second, error);
}

static const struct godwit_capability auto_converge[] = {
    {"auto-converge", true}, {"pause-before-switchover", true}, {NULL, false}};
static const struct godwit_parameter percentages[] = {{"cpu-throttle-initial", INITIAL, NULL},
                                                      {"cpu-throttle-increment", INCREMENT, NULL},
                                                      {"max-cpu-throttle", MAXIMUM, NULL},
                                                      {NULL, 0, NULL}};
static const struct godwit_capability dirty_limit[] = {{"dirty-limit", true}, {NULL, false}};
/* A limit of 1 MB/s, which QEMU checks every second. */
static const struct godwit_parameter lowest_limit[] = {
    {"x-vcpu-dirty-limit-period", 1000, NULL}, {"vcpu-dirty-limit", 1, NULL}, {NULL, 0, NULL}};

GODWIT_SCENARIOS(throttle) = {
    {
        .name = "precopy/auto-converge",
        .summary = "auto-converge throttles a guest that dirties too fast, within its bounds",
        .qemu_name = "/migration/auto_converge",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = auto_converge,
                 .parameters = percentages,
                 .live = see_throttle,
                 .released = continue_throttled},
        .wide = true,
        .slow = true,
    },
    {
        .name = "precopy/unix/dirty-ring",
        .summary = "live, with KVM's dirty ring",
        .qemu_name = "/migration/dirty_ring",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_ITERATE,
                 .source_arguments = ring_arguments,
                 .destination_arguments = ring_arguments,
                 .live = see_rings},
        .whole = true,
        .accel = "kvm",
        .lacks = lacks_ring,
    },
    {
        .name = "precopy/dirty-limit",
        .summary = "dirty-limit throttles a guest that dirties too fast; cancelled, then repeated",
        .qemu_name = "/dirty_limit",
        .run = limit_migration,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = dirty_limit,
                 .parameters = lowest_limit,
                 .configure = throttle_by_rate,
                 .live = see_sleep},
        .state = sizeof(struct godwit_scenario_state),
        .whole = true,
        .needs = "command:query-vcpu-dirty-limit",
        .accel = "kvm",
        .slow = true,
        .lacks = lacks_ring,
    },
    {
        .name = "vcpu-dirty-limit",
        .summary =
            "no migration: set-vcpu-dirty-limit halves the guest's dirty rate, then is cancelled",
        .qemu_name = "/migration/vcpu_dirty_limit",
        .run = limit_vcpu,
        .whole = true,
        .needs = "command:set-vcpu-dirty-limit command:calc-dirty-rate",
        .accel = "kvm",
        .slow = true,
        .lacks = lacks_ring,
    },
};
GODWIT_SCENARIOS_END(throttle);
