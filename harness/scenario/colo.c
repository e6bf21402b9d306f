/*
 * COLO: a primary and a secondary run the same guest, and the secondary takes the primary's state
 * over at each checkpoint. When one of them fails, the other one runs the guest on alone.
 *
 * A pair is made by a migration that never completes. Its checkpoints come when the scenario wants
 * them: their delay is so long that none is ever due, and QEMU makes one when the delay is set. To
 * fail in the middle of a checkpoint, a relay passes a part of what the primary sends for it, and
 * no more.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/colo.h"

#include "base/json.h"
#include "bugs/bugs.h"
#include "oracle/continuity.h"
#include "scenario/scenario.h"
#include <inttypes.h>
#include <string.h>

/* The delay of checkpoints in milliseconds: none comes because it is time. */
#define NEVER 86400000

/* So many checkpoints are made, each of which is compared, and at the most. */
#define CHECKPOINTS 2u
#define TRIES       8u

/* How much of a checkpoint the relay passes in its middle: the request, to which the secondary
 * answers, and some of the pages. */
#define PART ((size_t)256 << 10)

/* How long QEMU may take for an answer. */
#define ANSWER_SECONDS 5

/* A row's course. */
struct plan {
    bool secondary; /* the secondary takes over, because the primary has failed */
    bool middle;    /* in the middle of a checkpoint */
};

struct godwit_scenario_state {
    struct godwit_vm *vm[2]; /* primary, secondary */
    bool holds;              /* the relay lets only LEFT bytes pass */
    size_t left;
};

static const char *const modes[] = {"primary", "secondary"};

/* A filter of what the primary sends. */
static void pass_part(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                      size_t length)
{
    struct godwit_scenario_state *state = data;
    const size_t part = state->holds ? MIN(length, state->left) : length;
    godwit_flow_send(flow, bytes, part);
    if (!state->holds)
        return;
    state->left -= part;
    if (!state->left)
        godwit_flow_stall(flow, 0);
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned number,
                  gpointer data)
{
    (void)answered;
    (void)number;
    godwit_flow_filter_by(sent, pass_part, data);
}

static bool is_held(gpointer data)
{
    const struct godwit_scenario_state *state = data;
    return state->left == 0;
}

/* Sets the delay of checkpoints, which makes a primary that has a secondary begin one. */
static bool request_checkpoint(struct godwit_vm *primary, GError **error)
{
    static const struct godwit_parameter delay[] = {{"x-checkpoint-delay", NEVER, NULL},
                                                    {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(primary, delay, error);
}

/* Fails with MIGRATION unless VM answers, is in run state STATUS, and query-colo-status reports
 * MODE, LAST mode and REASON. A NULL is not judged. */
static bool judge(struct godwit_vm *vm, const char *status, const char *mode, const char *last,
                  const char *reason, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-colo-status", NULL, error);
    const struct {
        const char *name, *wanted;
    } fields[] = {{"mode", mode}, {"last-mode", last}, {"reason", reason}};
    if (!info)
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        const char *found = godwit_json_string(info, fields[i].name, "");
        if (fields[i].wanted && strcmp(found, fields[i].wanted) != 0) {
            g_autofree char *text = godwit_json_dump(info, JSON_COMPACT);
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s's query-colo-status reports %s \"%s\", expected \"%s\": %s",
                               vm->name, fields[i].name, found, fields[i].wanted, text);
        }
    }
    return !status || godwit_course_expect_status(vm, status, "of the COLO pair", error);
}

/* Judges both sides of a pair that works. */
static bool judge_both(struct godwit_vm *const vm[2], const char *status, GError **error)
{
    for (size_t i = 0; i < 2; i++) {
        g_autofree char *state = godwit_migrate_state(vm[i], error);
        if (!state || !judge(vm[i], status, modes[i], "none", "none", error))
            return false;
        if (strcmp(state, "colo") != 0)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s's migration is \"%s\" instead of \"colo\"", vm[i]->name,
                               state);
    }
    return true;
}

/* Stops the guest of VM as soon as its checkpoint is complete, which began after event FIRST. */
static bool stop_after(struct godwit_vm *vm, guint first, GError **error)
{
    return godwit_vm_wait_event(vm, first, "RESUME", NULL, error) &&
           godwit_vm_command(vm, "stop", NULL, error);
}

/* Makes a checkpoint, and compares what both sides have then. Sets *COMPARED to whether there was
 * something to compare. */
static bool make_checkpoint(struct godwit_vm *const vm[2], struct godwit_reading reading[2],
                            bool *compared, GError **error)
{
    const guint first[] = {vm[0]->qmp->events->len, vm[1]->qmp->events->len};
    godwit_testbed_phase(vm[0]->testbed, GODWIT_PHASE_MIGRATE);
    if (!request_checkpoint(vm[0], error) ||
        !godwit_vm_wait_event(vm[1], first[1], "STOP", NULL, error) ||
        !judge_both(vm, NULL, error) || !stop_after(vm[1], first[1], error) ||
        !stop_after(vm[0], first[0], error))
        return false;
    godwit_testbed_phase(vm[0]->testbed, GODWIT_PHASE_VERIFY);
    if (!godwit_course_stop(vm[0], error) || !godwit_course_stop(vm[1], error) ||
        !judge_both(vm, "paused", error) ||
        !godwit_colo_compare(vm[0], vm[1], reading, compared, error))
        return false;
    godwit_testbed_phase(vm[0]->testbed, GODWIT_PHASE_RUN_ON);
    return godwit_vm_run(vm[0], error) && godwit_vm_run(vm[1], error) &&
           godwit_course_see_it_run(vm[1], error) && judge_both(vm, "running", error);
}

/* Makes as many checkpoints as must be compared. If the host stops the two sides a whole pass
 * apart, nothing is left to compare, and another one is made. */
static bool make_checkpoints(struct godwit_vm *const vm[2], struct godwit_reading reading[2],
                             GError **error)
{
    unsigned done = 0;
    for (unsigned i = 0; i < TRIES && done < CHECKPOINTS; i++) {
        bool compared = false;
        if (!make_checkpoint(vm, reading, &compared, error))
            return false;
        done += compared;
    }
    return done == CHECKPOINTS ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the host stopped primary and secondary so far apart that one guest had "
                       "written its whole window meanwhile, after %u of %u checkpoints; run fewer "
                       "jobs (-j), or use a quieter host",
                       TRIES - done, TRIES);
}

static bool has_reply(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->reply != NULL;
}

/* Asks a primary whose connection takes nothing any more. If a known bug keeps it from answering,
 * breaks the connection, so that it can. */
static bool ask_stalled(struct godwit_vm *primary, GError **error)
{
    static const char what[] = "the primary's answer to query-status in the middle of a checkpoint";
    struct godwit_testbed *testbed = primary->testbed;
    g_autoptr(GError) late = NULL;
    if (!godwit_qmp_send(primary->qmp, "query-status", NULL, error))
        return false;
    if (!godwit_testbed_wait_until(testbed, godwit_testbed_seconds(testbed, ANSWER_SECONDS),
                                   has_reply, primary, what, &late)) {
        if (late->code != GODWIT_ERROR_TIMEOUT ||
            !godwit_bug_explain(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_NO_ANSWER,
                                                               .source = primary})) {
            g_propagate_error(error, g_steal_pointer(&late));
            return false;
        }
        godwit_wire_hang_up(testbed->wire);
        if (!godwit_testbed_wait(testbed, has_reply, primary, what, error))
            return false;
    }
    return judge(primary, "colo", modes[0], "none", "none", error);
}

/* Begins a checkpoint, and returns in its middle. */
static bool begin_checkpoint(struct godwit_vm *const vm[2], bool secondary, GError **error)
{
    const guint first[] = {vm[0]->qmp->events->len, vm[1]->qmp->events->len};
    struct godwit_scenario_state *state = vm[0]->testbed->state;
    godwit_testbed_phase(vm[0]->testbed, GODWIT_PHASE_MIGRATE);
    state->holds = true;
    state->left = PART;
    return request_checkpoint(vm[0], error) &&
           godwit_testbed_wait(vm[0]->testbed, is_held, state, "the middle of a checkpoint",
                               error) &&
           godwit_vm_wait_event(vm[1], first[1], "STOP", NULL, error) &&
           godwit_vm_wait_event(vm[0], first[0], "STOP", NULL, error) &&
           judge(vm[1], "colo", modes[1], "none", "none", error) &&
           (secondary || ask_stalled(vm[0], error));
}

/* Waits until VM reports that it has left COLO, and records the reason. */
static bool await_exit(struct godwit_vm *vm, size_t mode, GError **error)
{
    const json_t *event = godwit_vm_wait_event(vm, 0, "COLO_EXIT", NULL, error);
    const json_t *data = json_object_get(event, "data");
    const char *named = godwit_json_string(data, "mode", "");
    if (!event)
        return false;
    godwit_testbed_measure(vm->testbed, mode ? "secondary_exit" : "primary_exit",
                           json_string(godwit_json_string(data, "reason", "")));
    return !strcmp(named, modes[mode]) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s left COLO as mode \"%s\", expected \"%s\"", vm->name, named,
                       modes[mode]);
}

/* Judges the side that has failed. It notices that its peer is gone when it next talks to it, and
 * its guest stays as it was: somebody must end it. */
static bool judge_failed(struct godwit_vm *failed, size_t side, const struct plan *plan,
                         GError **error)
{
    godwit_wire_hang_up(failed->testbed->wire);
    /* Between two checkpoints, the primary does not listen. */
    return (side || plan->middle || request_checkpoint(failed, error)) &&
           await_exit(failed, side, error) &&
           judge(failed, plan->middle ? "colo" : "running", modes[side], "none", "none", error) &&
           godwit_vm_quit(failed, error);
}

/* Lets a side take over, while the other one still answers. It must run the guest on alone, which
 * has been as BEFORE. */
static bool fail_over(struct godwit_vm *const vm[2], const struct plan *plan,
                      const struct godwit_mailbox *before, GError **error)
{
    const size_t side = plan->secondary;
    struct godwit_vm *alive = vm[side];
    const guint first = alive->qmp->events->len;
    struct godwit_reading after = {0};
    godwit_testbed_phase(alive->testbed, GODWIT_PHASE_FAIL);
    if (!godwit_vm_command(alive, "x-colo-lost-heartbeat", NULL, error) ||
        !await_exit(alive, side, error) || !godwit_migrate_wait(alive, "completed", error) ||
        !godwit_vm_wait_event(alive, first, "RESUME", NULL, error) ||
        !judge(alive, "running", "none", modes[side], "request", error) ||
        !judge_failed(vm[1 - side], 1 - side, plan, error))
        return false;
    godwit_testbed_phase(alive->testbed, GODWIT_PHASE_SURVIVE);
    return godwit_course_see_it_run(alive, error) && godwit_course_stop(alive, error) &&
           godwit_oracle_look(alive, &after, error) &&
           godwit_oracle_continuity(alive, before, after.mailbox, true, error) &&
           godwit_course_end(alive, NULL, error);
}

/* Connects both through a relay, and waits until the first checkpoint, the migration of the whole
 * guest, is complete. */
static bool pair_up(struct godwit_vm *const vm[2], const struct godwit_spec *spec, GError **error)
{
    struct godwit_testbed *testbed = vm[0]->testbed;
    if (!godwit_migrate_set_capabilities(vm[1], spec->capabilities, error) ||
        !godwit_migrate_set_capabilities(vm[0], spec->capabilities, error) ||
        !request_checkpoint(vm[0], error) || !godwit_migrate_throttle(vm[0], error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *address = godwit_migrate_listen(vm[0], vm[1], spec->transport, false, error);
    struct godwit_relay *relay = address ? godwit_wire_relay(testbed->wire, address, error) : NULL;
    if (!relay)
        return false;
    godwit_relay_greet(relay, greet, testbed->state);
    if (godwit_json_true(vm[0]->capabilities, "multifd"))
        godwit_wire_gate(testbed->wire, false);
    return godwit_migrate_start(vm[0], godwit_relay_uri(relay), false, error) &&
           godwit_migrate_prove_live(vm[0], vm[1], error) &&
           godwit_migrate_unthrottle(vm[0], error) && godwit_migrate_wait(vm[0], "colo", error) &&
           godwit_migrate_wait(vm[1], "colo", error) &&
           godwit_vm_wait_event(vm[1], 0, "RESUME", NULL, error) &&
           godwit_vm_wait_event(vm[0], vm[0]->migration_first, "RESUME", NULL, error);
}

/* Marks *FAILURE, a symptom of KIND with TEXT, if a known bug explains it. */
static void explain(struct godwit_vm *const vm[2], enum godwit_symptom_kind kind, const char *text,
                    GError **failure)
{
    godwit_bug_excuse(
        &(const struct godwit_symptom){
            .kind = kind, .source = vm[0], .destination = vm[1], .text = text, .failure = *failure},
        failure);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_vm **vm = testbed->state->vm;
    struct godwit_reading reading[2] = {0};
    g_autoptr(GError) cause = NULL;
    if (!godwit_course_both(testbed, "destination", false, &vm[0], &vm[1], error))
        return false;
    if (!pair_up(vm, &scenario->spec, &cause)) {
        explain(vm, GODWIT_SYMPTOM_COLO, NULL, &cause);
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    if (judge_both(vm, "running", &cause) && make_checkpoints(vm, reading, &cause) &&
        (!plan->middle || begin_checkpoint(vm, plan->secondary, &cause)) &&
        fail_over(vm, plan, reading[plan->secondary].mailbox, &cause))
        return true;
    g_autofree char *lost =
        cause->code == GODWIT_ERROR_ORACLE ? godwit_colo_lost_page(vm[0], vm[1]) : NULL;
    if (lost)
        explain(vm, GODWIT_SYMPTOM_COLO_LOST, lost, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Brings both to "colo", and asks both for their state during the first checkpoints. */
static bool answer_throughout(struct godwit_vm *const vm[2], GError **error)
{
    struct godwit_testbed *testbed = vm[0]->testbed;
    g_autofree char *address =
        godwit_migrate_listen(vm[0], vm[1], GODWIT_TRANSPORT_UNIX, false, error);
    if (!address || !godwit_migrate_start(vm[0], address, false, error) ||
        !godwit_migrate_wait(vm[0], "colo", error) || !godwit_migrate_wait(vm[1], "colo", error))
        return false;
    /* The monitor may fall silent in any of the first checkpoints. The testbed ends the pair. */
    godwit_testbed_limit(testbed, ANSWER_SECONDS);
    bool good = true;
    for (unsigned i = 0; good && i < 20; i++)
        good = judge_both(vm, NULL, error) &&
               godwit_testbed_rest(testbed, 100, "the first checkpoints", error);
    return good;
}

/* Without the capability return-path, COLO must be refused, or work. */
static bool run_without(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    static const struct godwit_capability alone[] = {{"x-colo", true}, {NULL, false}};
    static const struct godwit_parameter often[] = {{"x-checkpoint-delay", 200, NULL},
                                                    {NULL, 0, NULL}};
    struct godwit_vm **vm = testbed->state->vm;
    g_autoptr(GError) cause = NULL;
    (void)scenario;
    if (!godwit_course_both(testbed, "destination", false, &vm[0], &vm[1], error))
        return false;
    if (!godwit_migrate_set_capabilities(vm[0], alone, &cause)) {
        if (cause->code != GODWIT_ERROR_QMP) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
        godwit_testbed_measure(testbed, "refusal", json_string(cause->message));
        return godwit_course_expect_status(vm[0], "running", "after the refusal", error) &&
               godwit_course_see_it_run(vm[0], error) && godwit_course_end(vm[0], vm[1], error);
    }
    if (!godwit_migrate_set_capabilities(vm[1], alone, error) ||
        !godwit_migrate_set_parameters(vm[0], often, error) ||
        !godwit_migrate_unlimit(vm[0], error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    if (answer_throughout(vm, &cause))
        return true;
    explain(vm,
            cause->code == GODWIT_ERROR_TIMEOUT ? GODWIT_SYMPTOM_NO_ANSWER : GODWIT_SYMPTOM_COLO,
            NULL, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

#define COLO(SECONDARY, MIDDLE)                                                                    \
    .run = run, .slow = true, .lap_ms = 100, .needs = "command:x-colo-lost-heartbeat",             \
    .state = sizeof(struct godwit_scenario_state), .data = &(const struct plan)                    \
    {                                                                                              \
        .secondary = SECONDARY, .middle = MIDDLE                                                   \
    }

static const struct godwit_parameter delay[] = {{"x-checkpoint-delay", NEVER, NULL},
                                                {NULL, 0, NULL}};
static const struct godwit_capability colo[] = {
    {"return-path", true}, {"x-colo", true}, {NULL, false}};
static const struct godwit_capability multifd_colo[] = {
    {"return-path", true}, {"x-colo", true}, {"multifd", true}, {NULL, false}};

#define PLAIN   .spec = {.capabilities = colo, .parameters = delay}
#define MULTIFD .spec = {.capabilities = multifd_colo, .parameters = delay}

GODWIT_SCENARIOS(colo) = {
    {
        COLO(false, false),
        PLAIN,
        .name = "colo/plain/primary",
        .summary = "COLO: the primary runs on alone after a checkpoint, its secondary has failed",
    },
    {
        COLO(true, false),
        PLAIN,
        .name = "colo/plain/secondary",
        .summary = "COLO: the secondary takes over after a checkpoint, its primary has failed",
    },
    {
        COLO(false, true),
        PLAIN,
        .name = "colo/plain/primary/middle",
        .summary = "COLO: the primary runs on alone from the middle of a checkpoint",
    },
    {
        COLO(true, true),
        PLAIN,
        .name = "colo/plain/secondary/middle",
        .summary = "COLO: the secondary takes over in the middle of a checkpoint",
    },
    {
        COLO(false, false),
        MULTIFD,
        .name = "colo/multifd/primary",
        .summary = "COLO with multifd: the primary runs on alone after a checkpoint",
    },
    {
        COLO(true, false),
        MULTIFD,
        .name = "colo/multifd/secondary",
        .summary = "COLO with multifd: the secondary takes over after a checkpoint",
    },
    {
        COLO(false, true),
        MULTIFD,
        .name = "colo/multifd/primary/middle",
        .summary = "COLO with multifd: the primary runs on alone from the middle of a checkpoint",
    },
    {
        COLO(true, true),
        MULTIFD,
        .name = "colo/multifd/secondary/middle",
        .summary = "COLO with multifd: the secondary takes over in the middle of a checkpoint",
    },
    {
        .name = "colo/no-return-path",
        .summary = "COLO without the capability return-path: refused, or the primary answers",
        .run = run_without,
        .needs = "capability:x-colo command:x-colo-lost-heartbeat command:query-colo-status",
        .state = sizeof(struct godwit_scenario_state),
        .slow = true,
    },
};
GODWIT_SCENARIOS_END(colo);
