/*
 * The command yank, which breaks a migration's connections without waiting for anything, on either
 * side while a migration is active. Both sides must take that as the loss of the network: a source
 * that still has its guest runs on and can be migrated again, and the destination ends with an
 * error. A postcopy pauses, and is recovered.
 *
 * query-yank must list the migration while it lasts, on both sides, and not before it or long
 * after. Both commands are sent out of band, which is what they are for: the main loop of a
 * destination may wait for what the migration sends.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/yank.h"

#include "bugs/bugs.h"
#include <string.h>

struct trial {
    bool destination; /* it is yanked; otherwise the source */
    bool postcopy;
};

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

static const struct godwit_capability multifd_on[] = {{"multifd", true}, {NULL, false}};

/* Sets *LISTED to whether the VM lists its migration as something to yank. */
static bool ask(struct godwit_vm *vm, bool *listed, GError **error)
{
    g_autoptr(json_t) instances = godwit_vm_execute_oob(vm, "query-yank", NULL, error);
    size_t i;
    json_t *instance;
    *listed = false;
    json_array_foreach(instances, i, instance)
    {
        *listed |= !strcmp(godwit_json_string(instance, "type", ""), "migration");
    }
    return instances != NULL;
}

/* Fails unless the VM lists its migration, or does not list one, as WANTED. WHEN completes "the
 * source's query-yank ...". */
static bool expect(struct godwit_vm *vm, bool wanted, const char *when, GError **error)
{
    bool listed;
    return ask(vm, &listed, error) &&
           (listed == wanted ||
            godwit_fail(error, GODWIT_ERROR_MIGRATION,
                        "the %s's query-yank lists %s migration %s, expected %s", vm->name,
                        listed ? "a" : "no", when, wanted ? "one" : "none"));
}

/* A source that lists its migration for so many seconds after the end does so for good. */
#define UNLIST_SECONDS 10

/* Waits until the VM no longer lists its migration, whose end it reports a moment before its
 * connections are closed. */
static bool see_unlisted(struct godwit_vm *vm, GError **error)
{
    g_autofree char *what =
        g_strdup_printf("the %s's query-yank to list no migration any more", vm->name);
    for (bool listed;;) {
        if (!ask(vm, &listed, error))
            return false;
        if (!listed)
            return true;
        if (!godwit_testbed_rest(vm->testbed, GODWIT_REST_MS, what, error))
            return false;
    }
}

bool godwit_yank_await_over(struct godwit_vm *source, bool *stuck, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    g_autoptr(GError) cause = NULL;
    const gint64 deadline = godwit_testbed_limit(testbed, UNLIST_SECONDS);
    const bool unlisted = see_unlisted(source, &cause);
    testbed->deadline = deadline;
    *stuck = !unlisted && cause->code == GODWIT_ERROR_TIMEOUT &&
             godwit_bug_explain(
                 &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_CANCELLING,
                                                .source = source,
                                                .state = godwit_migrate_reported_state(source)});
    if (unlisted || *stuck)
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

static json_t *instance(void)
{
    return json_pack("{s:[{s:s}]}", "instances", "type", "migration");
}

/* Yanks one side. A destination may end before it answers. A gate would keep from the other side
 * that the connections are closed. */
static bool yank(struct godwit_held *held, const struct trial *trial, GError **error)
{
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_STRIKE);
    if (godwit_wire_is_gated(held->testbed->wire))
        godwit_wire_ungate(held->testbed->wire);
    if (trial->destination && !trial->postcopy)
        return godwit_qmp_send_oob(held->destination->qmp, "yank", instance(), error);
    return godwit_vm_command_oob(trial->destination ? held->destination : held->source, "yank",
                                 instance(), error);
}

bool godwit_yank_judge_failed(struct godwit_held *held, const struct godwit_spec *spec,
                              GError **error)
{
    struct godwit_vm *source = held->source;
    bool stuck;
    if (!godwit_held_await_failure(held, error) || !godwit_yank_await_over(source, &stuck, error))
        return false;
    /* A source that does not end keeps its other connections, and the destination waits on them. */
    if (stuck && held->relay)
        godwit_held_hang_up(held);
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_SURVIVE);
    if (!godwit_course_refused(held->destination, error))
        return false;
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_ELSEWHERE);
    return godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) &&
           (stuck || (godwit_vm_handshake(held->second, error) &&
                      godwit_course_move(held->testbed, spec, source, held->second, error)));
}

/* Judges a postcopy, which must be recovered. */
static bool judge_paused(struct godwit_held *held, GError **error)
{
    struct godwit_reading before = {0};
    return godwit_held_complete(held, true, &before, error) && see_unlisted(held->source, error) &&
           see_unlisted(held->destination, error) &&
           godwit_held_judge_running(held->destination, &before, error) &&
           godwit_course_end(held->destination, held->source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct trial *trial = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    godwit_held_init(held, testbed,
                     trial->postcopy ? GODWIT_HELD_POSTCOPY_ACTIVE : GODWIT_HELD_ACTIVE);
    held->survives = trial->postcopy;
    held->elsewhere = !trial->postcopy;
    testbed->oob = true;
    if (!godwit_held_start(held, error) || !expect(held->source, false, "before it", error) ||
        !expect(held->destination, false, "before it", error))
        return false;
    if (scenario->spec.capabilities &&
        !godwit_held_connect(held, scenario->spec.capabilities, error))
        return false;
    if (!godwit_held_reach(held, error) || !expect(held->source, true, "during it", error) ||
        !expect(held->destination, true, "during it", error) || !yank(held, trial, error))
        return false;
    return trial->postcopy ? judge_paused(held, error)
                           : godwit_yank_judge_failed(held, &scenario->spec, error);
}

/* Without a migration there is nothing to yank: the command is refused, and does no harm. */
static bool run_none(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    struct godwit_vm *source, *destination;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    return expect(source, false, "before it", error) &&
           godwit_migrate_set_capabilities(source, NULL, error) &&
           godwit_course_refuse(source, "yank", instance(), "running", error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

/* A row, with the capability that it needs and sets, or NULL. */
#define ROW(NAME, slow_, SUMMARY, CAPABILITIES, ...)                                               \
    {                                                                                              \
        .name = "yank/" NAME, .slow = slow_, .summary = SUMMARY, .run = run,                       \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .needs = "command:yank command:query-yank", .spec = {.capabilities = CAPABILITIES},        \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
/* A postcopy, which needs a large window. */
#define POSTCOPY(NAME, SUMMARY, DESTINATION)                                                       \
    {                                                                                              \
        .name = "yank/postcopy/" NAME, .summary = SUMMARY, .run = run,                             \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state, .wide = true,         \
        .needs = "command:yank command:query-yank capability:postcopy-ram",                        \
        .data = &(const struct trial){.destination = DESTINATION, .postcopy = true},               \
    }

GODWIT_SCENARIOS(yank) = {
    {
        .name = "yank/none",
        .summary = "yank without a migration: refused",
        .slow = true,
        .run = run_none,
        .needs = "command:yank command:query-yank",
    },
    ROW("source", false, "the source is yanked: it runs on", NULL, .destination = false),
    ROW("destination", true, "the destination is yanked: the source runs on", NULL,
        .destination = true),
    ROW("multifd/source", true, "the source of a multifd migration is yanked", multifd_on,
        .destination = false),
    ROW("multifd/destination", true, "the destination of a multifd migration is yanked", multifd_on,
        .destination = true),
    POSTCOPY("source", "the source of a postcopy is yanked: it pauses, and is recovered", false),
    POSTCOPY("destination", "the destination of a postcopy is yanked: likewise", true),
};
GODWIT_SCENARIOS_END(yank);
