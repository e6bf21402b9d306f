/*
 * The transfer: one migration, as its spec describes it, from its configuration to its end on both
 * sides.
 *
 * A live migration is throttled from its start. It is unthrottled, or switched to postcopy, when it
 * is proven to be live and the spec's own step "live" is over. If its speed is measured instead, a
 * precopy is not throttled at all, and pace.c measures. A postcopy still is: something must be left
 * to send when it is switched over. A fault, TLS, a watcher and the gate of multifd each need a
 * relay; one serves all of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course_parts.h"

#include "bugs/bugs.h"
#include "course/pace.h"
#include "migrate/settings.h"
#include "oracle/blackout.h"
#include "oracle/brownout.h"
#include <string.h>

/* Returns whether the migration must be proven to be live before it may converge. A suspended or
 * stopped guest dirties nothing, so its migration cannot be. */
static bool is_throttled(const struct godwit_spec *spec, const struct godwit_vm *source)
{
    return spec->move != GODWIT_MOVE_STOPPED && !spec->suspend && !spec->no_ram &&
           (!source->testbed->setup->unthrottled || godwit_spec_is_postcopy(spec));
}

/* Throttles the migration. If its speed is measured, lifts QEMU's own limit of the bandwidth
 * instead. */
static bool set_speed(const struct godwit_spec *spec, struct godwit_vm *source, GError **error)
{
    if (source->testbed->setup->unthrottled && !godwit_spec_is_postcopy(spec))
        return godwit_migrate_unlimit(source, error);
    return godwit_transport_is_file(spec->transport) ? godwit_migrate_throttle_file(source, error)
                                                     : godwit_migrate_throttle(source, error);
}

bool godwit_course_configure(const struct godwit_spec *spec, struct godwit_vm *source,
                             struct godwit_vm *destination, GError **error)
{
    struct godwit_vm *const both[] = {destination, source};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        /* postcopy-ram comes first: other capabilities require it. */
        if ((godwit_spec_is_postcopy(spec) && !godwit_course_enable_postcopy(both[i], error)) ||
            !godwit_migrate_set_capabilities(both[i], spec->capabilities, error) ||
            (spec->parameters && !godwit_migrate_set_parameters(both[i], spec->parameters, error)))
            return false;
    }
    if (!set_speed(spec, source, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++)
        if (!godwit_settings_apply(both[i], true, error) ||
            (!is_throttled(spec, source) && !godwit_settings_apply(both[i], false, error)))
            return false;
    return (!spec->tls || godwit_tls_set_up(source, destination, spec->tls, error)) &&
           (!spec->configure || spec->configure(source, destination, error));
}

bool godwit_course_step(godwit_step own, struct godwit_vm *source, struct godwit_vm *destination,
                        GError **error)
{
    return !own || own(source, destination, error);
}

/* Takes the spec's own step in a live migration. One whose speed is measured may be over by
 * then. */
static bool step_live(const struct godwit_spec *spec, struct godwit_vm *source,
                      struct godwit_vm *destination, GError **error)
{
    return (source->testbed->setup->unthrottled && spec->live_looks) ||
           godwit_course_step(spec->live, source, destination, error);
}

/* Waits until a throttled migration is proven to be live, in iteration 2 or later if the spec wants
 * that. */
static bool await_proof(const struct godwit_spec *spec, struct godwit_vm *source,
                        struct godwit_vm *destination, GError **error)
{
    guint iteration = 1;
    if (!is_throttled(spec, source))
        return true;
    const guint least =
        spec->move == GODWIT_MOVE_ITERATE ? 2 : (guint)source->testbed->setup->postcopy_iteration;
    while (iteration < least)
        if (!godwit_migrate_next_iteration(source, &iteration, error))
            return false;
    return godwit_transport_is_file(spec->transport)
               ? godwit_migrate_prove_dirtied(source, error)
               : godwit_migrate_prove_live(source, destination, error);
}

/* Fails with REFUSAL, which it takes, or with SKIP if VM's QEMU accepts no descriptor of a file. */
static bool fail_file(const struct godwit_spec *spec, const struct godwit_vm *vm, GError *refusal,
                      GError **error)
{
    if (spec->transport == GODWIT_TRANSPORT_FD_FILE && refusal->code == GODWIT_ERROR_QMP &&
        strstr(refusal->message, "to a file is not supported")) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs a file by its descriptor (fd:): QEMU %s takes it by file: only",
                    vm->qemu->version);
        g_error_free(refusal);
    } else {
        g_propagate_error(error, refusal);
    }
    return false;
}

/* Lets a throttled migration converge, and measures the blackout more often from now on. */
static bool unthrottle(struct godwit_vm *source, GError **error)
{
    godwit_blackout_near(source->testbed);
    return source->testbed->setup->unthrottled || (godwit_migrate_unthrottle(source, error) &&
                                                   godwit_settings_apply(source, false, error));
}

/* Replaces the timeout of a migration that still runs by what it is: it does not converge. Records
 * the measurement "unconverged": the state, the iteration and how many bytes are left. */
static void note_unconverged(struct godwit_vm *source, gint64 began, GError **timeout)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, NULL);
    const char *state = godwit_json_string(info, "status", "");
    const json_t *ram = json_object_get(info, "ram");
    const json_int_t iteration = godwit_json_integer(ram, "dirty-sync-count", 0);
    const json_int_t remaining = godwit_json_integer(ram, "remaining", 0);
    if (strcmp(state, "active") != 0 && strcmp(state, "postcopy-active") != 0)
        return;
    godwit_testbed_measure(source->testbed, "unconverged",
                           json_pack("{s:s, s:I, s:I}", "status", state, "iteration", iteration,
                                     "remaining", remaining));
    g_clear_error(timeout);
    g_set_error(timeout, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT,
                "the migration did not converge within %.1f s: it is %s, in iteration "
                "%" JSON_INTEGER_FORMAT ", with %.1f MiB left",
                (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC, state, iteration,
                (double)remaining / 1048576);
}

/* Stops the guest of a precopy whose speed is measured in the iteration that the user has chosen,
 * unless the migration is over earlier. Records the measurement "paused": that iteration, or false.
 */
static bool pause_guest(struct godwit_vm *source, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    guint iteration = 0;
    if (!godwit_migrate_reach_iteration(source, (guint)testbed->setup->pause_iteration, &iteration,
                                        error))
        return false;
    godwit_testbed_measure(testbed, "paused", iteration ? json_integer(iteration) : json_false());
    return !iteration || godwit_vm_command(source, "stop", NULL, error);
}

/* Waits until the source is done. A migration whose speed is measured may be given up earlier. */
static bool await_source(struct godwit_vm *source, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    const struct godwit_setup *setup = testbed->setup;
    const gint64 deadline = testbed->deadline, began = g_get_monotonic_time();
    g_autoptr(GError) cause = NULL;
    if (setup->unthrottled && setup->give_up > 0)
        testbed->deadline =
            MIN(deadline, began + (gint64)(setup->give_up * (double)G_USEC_PER_SEC));
    const bool completed = (!setup->pause_iteration || pause_guest(source, &cause)) &&
                           godwit_migrate_wait(source, "completed", &cause);
    testbed->deadline = deadline;
    if (completed)
        return true;
    if (setup->unthrottled && cause->code == GODWIT_ERROR_TIMEOUT)
        note_unconverged(source, began, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Continues a source that waits in pre-switchover because a user asked for that: no step of the
 * spec's own does it. */
static bool pass_pre_switchover(const struct godwit_spec *spec, struct godwit_vm *source,
                                GError **error)
{
    if (spec->released || !godwit_json_true(source->capabilities, "pause-before-switchover"))
        return true;
    return godwit_migrate_wait(source, "pre-switchover", error) &&
           godwit_migrate_continue(source, error);
}

/* Migrates through a file. The source writes all of it before the destination reads any of it. */
static bool transfer_by_file(const struct godwit_spec *spec, struct godwit_vm *source,
                             struct godwit_vm *destination, GError **error)
{
    g_autofree char *to = spec->uri ? g_strdup(spec->uri)
                                    : godwit_migrate_file_address(source, spec->transport, error);
    g_autoptr(GError) refusal = NULL;
    if (to && !godwit_migrate_start(source, to, spec->channels, &refusal))
        return fail_file(spec, source, g_steal_pointer(&refusal), error);
    if (!to || !godwit_course_step(spec->started, source, destination, error))
        return false;
    if (!await_proof(spec, source, destination, error) ||
        !step_live(spec, source, destination, error) || !unthrottle(source, error) ||
        !pass_pre_switchover(spec, source, error) ||
        !godwit_course_step(spec->released, source, destination, error) ||
        !await_source(source, error))
        return false;
    if (spec->uri) {
        if (!godwit_migrate_incoming(destination, spec->uri, spec->channels, error))
            return false;
    } else {
        g_autofree char *from =
            godwit_migrate_listen(source, destination, spec->transport, spec->channels, &refusal);
        if (!from)
            return fail_file(spec, destination, g_steal_pointer(&refusal), error);
    }
    return godwit_migrate_wait(destination, "completed", error);
}

/* Returns whether the spec sets parameter NAME. */
static bool has_parameter(const struct godwit_spec *spec, const char *name)
{
    const struct godwit_parameter *p = spec->parameters;
    while (p && p->name && strcmp(p->name, name) != 0)
        p++;
    return p && p->name;
}

/* Returns whether the relay throttles a multifd migration. A QEMU in a network namespace of its own
 * cannot reach the relay. */
static bool is_gated(const struct godwit_spec *spec, const struct godwit_vm *source)
{
    return is_throttled(spec, source) && !spec->fault && !source->testbed->apart &&
           godwit_json_true(source->capabilities, "multifd");
}

/* Makes a relay in front of ADDRESS, where the destination listens, if the spec needs one. Returns
 * the address for the source to connect to, which the caller frees. */
static char *relay_to(const struct godwit_spec *spec, struct godwit_vm *source, const char *address,
                      GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    const bool gated = is_gated(spec, source);
    if (!spec->tls && !spec->fault && !spec->watch && !gated)
        return g_strdup(address);
    struct godwit_relay *relay = godwit_wire_relay(testbed->wire, address, error);
    if (relay && gated)
        godwit_wire_gate(testbed->wire, has_parameter(spec, "multifd-compression"));
    if (!relay || (spec->fault && !godwit_wire_inject(source, spec->fault, error)))
        return NULL;
    if (spec->tls)
        godwit_wire_follow_tls(testbed->wire);
    if (spec->watch)
        spec->watch(testbed, relay);
    return g_strdup(godwit_relay_uri(relay));
}

const struct godwit_parameter godwit_postcopy_throttled[] = {
    {"max-postcopy-bandwidth", GODWIT_POSTCOPY_THROTTLED, NULL}, {NULL, 0, NULL}};

bool godwit_course_unthrottle_postcopy(struct godwit_vm *source, GError **error)
{
    static const struct godwit_parameter unthrottled[] = {{"max-postcopy-bandwidth", 0, NULL},
                                                          {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, unthrottled, error);
}

bool godwit_course_runs_unasked(const struct godwit_spec *spec)
{
    return spec->move == GODWIT_MOVE_POSTCOPY;
}

/* Switches over while there is memory to send. Throttles the postcopy until the destination's guest
 * runs, since the rest of a small window would arrive before that. */
static bool switch_to_postcopy(const struct godwit_spec *spec, struct godwit_vm *source,
                               struct godwit_vm *destination, GError **error)
{
    static const char limit[] = "max-postcopy-bandwidth";
    static const struct godwit_parameter throttled[] = {{limit, GODWIT_POSTCOPY_THROTTLED, NULL},
                                                        {NULL, 0, NULL}};
    const bool throttles =
        !spec->suspend && spec->move != GODWIT_MOVE_POSTCOPY_PAUSED && !has_parameter(spec, limit);
    if (throttles && !godwit_migrate_set_parameters(source, throttled, error))
        return false;
    godwit_wire_ungate(source->testbed->wire);
    godwit_blackout_near(source->testbed);
    return godwit_vm_command(source, "migrate-start-postcopy", NULL, error) &&
           pass_pre_switchover(spec, source, error) &&
           (!throttles || (godwit_vm_wait_event(destination, 0, "RESUME", NULL, error) &&
                           godwit_course_unthrottle_postcopy(source, error))) &&
           godwit_settings_apply(source, false, error);
}

/* Migrates through a connection between the two. */
static bool transfer_by_socket(const struct godwit_spec *spec, struct godwit_vm *source,
                               struct godwit_vm *destination, GError **error)
{
    g_autofree char *address =
        godwit_migrate_listen(source, destination, spec->transport, spec->channels, error);
    if (!address)
        return false;
    g_autofree char *uri = relay_to(spec, source, address, error);
    if (!uri || !godwit_migrate_start(source, uri, spec->channels, error) ||
        !godwit_course_step(spec->started, source, destination, error))
        return false;
    if (spec->outcome == GODWIT_OUTCOME_FAILS)
        return godwit_migrate_unthrottle(source, error) &&
               godwit_migrate_wait(source, "failed", error) &&
               godwit_migrate_note_failure(source, error);
    if (!await_proof(spec, source, destination, error) ||
        !step_live(spec, source, destination, error))
        return false;
    if (godwit_spec_is_postcopy(spec)) {
        if (!switch_to_postcopy(spec, source, destination, error))
            return false;
    } else if (!unthrottle(source, error) || !pass_pre_switchover(spec, source, error)) {
        return false;
    }
    return godwit_course_step(spec->released, source, destination, error) &&
           await_source(source, error) && godwit_migrate_wait(destination, "completed", error);
}

bool godwit_course_transfer(const struct godwit_spec *spec, struct godwit_vm *source,
                            struct godwit_vm *destination, GError **error)
{
    struct godwit_pace *pace = NULL;
    if (source->testbed->setup->unthrottled) {
        godwit_blackout_near(source->testbed);
        /* The guest's speed before the migration is what its later speed is compared with. */
        if (spec->move != GODWIT_MOVE_STOPPED &&
            !godwit_testbed_rest(source->testbed, GODWIT_BROWNOUT_BEFORE_MS,
                                 "samples of the guest's speed", error))
            return false;
        pace = godwit_pace_begin(source, destination, godwit_transport_is_file(spec->transport),
                                 error);
        if (!pace)
            return false;
    }
    const bool moved = godwit_transport_is_file(spec->transport)
                           ? transfer_by_file(spec, source, destination, error)
                           : transfer_by_socket(spec, source, destination, error);
    if (moved && !godwit_course_runs_unasked(spec))
        godwit_blackout_hold(source->testbed);
    godwit_pace_end(pace, moved);
    if (!moved)
        return false;
    return spec->outcome == GODWIT_OUTCOME_FAILS ||
           (godwit_migrate_note(source, error) && godwit_course_judge_figures(source, error));
}

bool godwit_course_go_live(const struct godwit_spec *spec, struct godwit_vm *source,
                           struct godwit_vm *destination, GError **error)
{
    if (!godwit_migrate_set_capabilities(destination, spec->capabilities, error) ||
        !godwit_migrate_set_capabilities(source, spec->capabilities, error) ||
        !godwit_migrate_throttle(source, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *uri =
        godwit_migrate_listen(source, destination, spec->transport, false, error);
    return uri && godwit_migrate_start(source, uri, false, error) &&
           godwit_migrate_prove_live(source, destination, error);
}
