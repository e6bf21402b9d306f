/*
 * The argument exit-on-error of migrate-incoming: what becomes of a destination whose migration
 * fails. With false it lives, reports "failed" and the reason, and can only quit: no other
 * migration can come, and no guest ever runs. With true, the default, it ends with a status that is
 * not 0, and prints the reason. The source survives in any case, unless it was the one that quit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "scenario/held.h"

#include <string.h>

#define LISTEN_URI  "unix:destination.migrate.sock"
#define ANOTHER_URI "unix:another.sock"

/* What makes the migration fail. */
enum failure {
    FAILURE_MAGIC,   /* the relay changes the stream's first bytes */
    FAILURE_VERSION, /* ... its version */
    FAILURE_UUID,    /* both have a UUID, and they differ */
    FAILURE_CUT,     /* the connection is cut */
    FAILURE_MULTIFD, /* likewise, those of multifd as well */
    FAILURE_QUIT,    /* the source quits */
};

struct trial {
    enum failure failure;
    bool exits;
};

struct godwit_scenario_state {
    struct godwit_held held;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

static const struct godwit_capability validate_uuid[] = {{"validate-uuid", true}, {NULL, false}};
static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
static const char *const one[] = {"-uuid", "f1b5ad40-3f0e-4c0f-9a55-7c1c1f9e2a01", NULL};
static const char *const another[] = {"-uuid", "0d7c2f43-51d6-4e02-8f4c-3e5b9a6f4b02", NULL};

/* Lets the migration fail. */
static bool fail(struct godwit_held *held, enum failure failure, GError **error)
{
    switch (failure) {
    case FAILURE_MAGIC:
    case FAILURE_VERSION:
        if (!godwit_wire_inject(held->source, failure == FAILURE_MAGIC ? "magic" : "version",
                                error))
            return false;
        break;
    case FAILURE_UUID:
        break;
    case FAILURE_CUT:
    case FAILURE_MULTIFD:
        if (!godwit_held_reach(held, error))
            return false;
        godwit_testbed_phase(held->testbed, GODWIT_PHASE_STRIKE);
        godwit_held_hang_up(held);
        return true;
    case FAILURE_QUIT:
        if (!godwit_held_reach(held, error))
            return false;
        godwit_testbed_phase(held->testbed, GODWIT_PHASE_STRIKE);
        return godwit_vm_quit(held->source, error);
    }
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_MIGRATE);
    return godwit_migrate_start(held->source, godwit_relay_uri(held->relay), false, error);
}

/* Fails unless the destination refuses to take another migration. */
static bool is_used_up(struct godwit_vm *destination, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (godwit_migrate_incoming_on_error(destination, ANOTHER_URI, false, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination accepted a second migrate-incoming after its migration "
                           "failed");
    if (refusal->code == GODWIT_ERROR_QMP)
        return true;
    g_propagate_error(error, g_steal_pointer(&refusal));
    return false;
}

/* Judges a destination that must survive. */
static bool lives(struct godwit_vm *destination, GError **error)
{
    if (!godwit_migrate_wait(destination, "failed", error))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info)
        return false;
    const char *state = godwit_json_string(info, "status", "none");
    const char *reason = godwit_json_string(info, "error-desc", "");
    godwit_testbed_measure(destination->testbed, "error-desc", json_string(reason));
    g_autofree char *printed = godwit_vm_reason(destination);
    const bool known =
        !*reason && godwit_bug_explain(&(const struct godwit_symptom){
                        .kind = GODWIT_SYMPTOM_NO_REASON, .vm = destination, .text = printed});
    if (strcmp(state, "failed") != 0 || (!*reason && !known))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination's query-migrate reports \"%s\" with error-desc \"%s\", "
                           "expected \"failed\" with a reason",
                           state, reason);
    if (!is_used_up(destination, error) || !godwit_vm_command(destination, "cont", NULL, error) ||
        !godwit_course_expect_status(destination, "inmigrate", "after its migration failed", error))
        return false;
    if (destination->console->passes)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination ran its guest although its migration failed");
    return godwit_vm_quit(destination, error);
}

/* Judges a destination that must end. */
static bool ends(struct godwit_vm *destination, GError **error)
{
    if (!godwit_course_refused(destination, error))
        return false;
    g_autofree char *reason = godwit_vm_reason(destination);
    godwit_testbed_measure(destination->testbed, "reason", json_string(reason));
    return (destination->exited && *reason) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the destination gives no reason for the failure of its migration");
}

/* Judges a source whose migration failed: its guest runs on, and its memory is in order. */
static bool runs_on(struct godwit_vm *source, GError **error)
{
    struct godwit_reading reading;
    return godwit_migrate_wait(source, "failed", error) &&
           godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) && godwit_course_stop(source, error) &&
           godwit_oracle_look(source, &reading, error) && godwit_vm_quit(source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct trial *trial = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    godwit_held_init(held, testbed, GODWIT_HELD_ACTIVE);
    held->survives = !trial->exits;
    if (trial->failure == FAILURE_UUID) {
        held->source_arguments = one;
        held->destination_arguments = another;
    }
    if (!godwit_held_start(held, error) ||
        !godwit_migrate_set_capabilities(held->source, scenario->spec.capabilities, error) ||
        !godwit_migrate_set_capabilities(held->destination, scenario->spec.capabilities, error) ||
        !godwit_migrate_incoming_on_error(held->destination, LISTEN_URI, trial->exits, error))
        return false;
    held->destination->may_exit = trial->exits;
    held->relay = godwit_wire_relay(testbed->wire, LISTEN_URI, error);
    if (held->relay && trial->failure == FAILURE_MULTIFD)
        godwit_wire_gate(testbed->wire, false);
    if (!held->relay || !fail(held, trial->failure, error))
        return false;
    if (trial->failure != FAILURE_QUIT && !runs_on(held->source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_SURVIVE);
    return trial->exits ? ends(held->destination, error) : lives(held->destination, error);
}

/* A row, with the capability that it needs and sets, or NULL. */
#define ROW(EXITS, exits_, FAILURE, what, text, capabilities_)                                     \
    {                                                                                              \
        .name = "exit-on-error/" exits_ "/" what, .summary = text, .run = run,                     \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .data = &(const struct trial){FAILURE_##FAILURE, EXITS},                                   \
        .needs = "incoming:exit-on-error", .spec = {                                               \
            .capabilities = capabilities_                                                          \
        }                                                                                          \
    }
#define LIVES(...) ROW(false, "false", __VA_ARGS__)
#define ENDS(...)  ROW(true, "true", __VA_ARGS__)

GODWIT_SCENARIOS(exit_on_error) = {
    LIVES(MAGIC, "magic", "a destination lives that gets what is no stream", NULL),
    LIVES(VERSION, "version", "a destination lives that gets a stream of another version", NULL),
    LIVES(UUID, "uuid", "a destination lives that refuses another UUID", validate_uuid),
    LIVES(CUT, "cut", "a destination lives that loses its connection", NULL),
    LIVES(MULTIFD, "multifd", "a destination lives that loses all connections of multifd", multifd),
    LIVES(QUIT, "quit-source", "a destination lives whose source quits", NULL),
    ENDS(MAGIC, "magic", "a destination ends that gets what is no stream", NULL),
    ENDS(UUID, "uuid", "a destination ends that refuses another UUID", validate_uuid),
    ENDS(CUT, "cut", "a destination ends that loses its connection", NULL),
    ENDS(QUIT, "quit-source", "a destination ends whose source quits", NULL),
};
GODWIT_SCENARIOS_END(exit_on_error);
