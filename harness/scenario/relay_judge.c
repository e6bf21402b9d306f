/*
 * Judges the outcome of a wire fault (relay.c runs the trial).
 *
 * A destination that refused the stream must have ended with an error and a reason. One that loaded
 * it is checked by every oracle: before its guest runs, while it runs, and when it is stopped
 * again. If an oracle notices something, that is no failure yet. It is recorded in `seen`, which
 * godwit_trial_judge() compares with the trial's verdict at the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/relay_parts.h"

#include "base/file.h"
#include "oracle/alarms.h"
#include "oracle/ledger.h"
#include "oracle/oracle.h"
#include "oracle/state.h"
#include "scenario/flip.h"

#include <string.h>
#include <sys/wait.h>

static const char *const oracles[ORACLES] = {"twin",  "state",   "page order", "stamp",  "position",
                                             "guest", "console", "progress",   "alarms", "process"};

/* How long a healthy guest may take for two passes, in seconds before scaling. */
#define PROGRESS_SECONDS 10

/* Returns what each oracle has noticed, by its name. The caller owns it. */
static json_t *noticed_by_oracle(const struct attempt *attempt)
{
    json_t *noticed = json_object();
    for (unsigned i = 0; i < ORACLES; i++)
        if (attempt->noticed[i])
            json_object_set_new(noticed, oracles[i], json_string(attempt->noticed[i]));
    return noticed;
}

/* Returns the same as text, for a message. The caller frees it. */
static char *noticed_text(const struct attempt *attempt)
{
    g_autoptr(json_t) noticed = noticed_by_oracle(attempt);
    return json_dumps(noticed, 0);
}

void godwit_trial_record(const struct attempt *attempt)
{
    godwit_testbed_measure(attempt->testbed, "trial",
                           json_pack("{s:o, s:s*, s:s*}", "seen", noticed_by_oracle(attempt), "why",
                                     attempt->trial->why, "refused", attempt->refused));
}

/* Records TEXT as what ORACLE has noticed. */
static void see(struct attempt *attempt, enum oracle oracle, const char *text)
{
    attempt->seen |= 1u << oracle;
    g_free(attempt->noticed[oracle]);
    attempt->noticed[oracle] = g_strdup(text);
    godwit_trial_record(attempt);
}

bool godwit_trial_judge_refusal(struct attempt *attempt, GError **error)
{
    struct godwit_vm *destination = attempt->destination;
    g_autofree char *reason = NULL;
    /* The flipped bit may be in a state that QEMU asserts to be valid. */
    if (attempt->trial->verdict == VERDICT_FLIPPED && destination->exited &&
        WIFSIGNALED(destination->wait_status)) {
        g_autofree char *end = godwit_vm_end(destination);
        see(attempt, ORACLE_PROCESS, end);
        return true;
    }
    if (!godwit_course_refused(destination, error))
        return false;
    reason = godwit_vm_load_reason(destination);
    if (!reason)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination ended without a message");
    g_free(attempt->refused);
    attempt->refused = g_steal_pointer(&reason);
    godwit_trial_record(attempt);
    return true;
}

/* Checks the memory of a destination that has not run yet, or is stopped again. */
static bool look(struct attempt *attempt, GError **error)
{
    struct godwit_reading reading;
    g_autoptr(GError) wrong = NULL;
    if (godwit_oracle_look(attempt->destination, &reading, &wrong))
        return true;
    if (wrong->code != GODWIT_ERROR_ORACLE) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    const bool stamped = attempt->testbed->setup->workload.flags & GODWIT_FLAG_STAMP;
    see(attempt,
        godwit_oracle_accused(attempt->testbed) == GODWIT_ORACLE_PAGE_ORDER ? ORACLE_ORDER
        : stamped                                                           ? ORACLE_STAMP
                                                                            : ORACLE_POSITION,
        wrong->message);
    return true;
}

/* Returns the devices' states that another destination sends on after it has loaded the unmodified
 * stream. The caller frees them. */
static GHashTable *send_on_unmodified(struct attempt *attempt, GError **error)
{
    struct godwit_testbed *testbed = attempt->testbed;
    g_autofree char *path = g_build_filename(testbed->directory, "sent.stream", NULL);
    if (!godwit_file_write(path, attempt->sent->data, attempt->sent->len, error))
        return NULL;
    struct godwit_vm *vm = godwit_course_destination(testbed, "unmodified", true, error);
    if (!vm || !godwit_migrate_set_capabilities(vm, NULL, error) ||
        !godwit_migrate_incoming(vm, "exec:cat sent.stream", false, error) ||
        !godwit_migrate_wait(vm, "completed", error))
        return NULL;
    g_autoptr(GHashTable) states = godwit_state_send_on(vm, error);
    return states && godwit_vm_quit(vm, error) ? g_steal_pointer(&states) : NULL;
}

/* Compares the devices' states that the destination would send on with those that it was sent. Some
 * state (host clocks, for example) changes even without a fault. If anything differs, this loads
 * the unmodified stream into another destination and ignores what differs there as well. */
static bool judge_states(struct attempt *attempt, GError **error)
{
    if (!attempt->sent->len)
        return true;
    g_autoptr(GHashTable) sent = godwit_state_read(attempt->sent->data, attempt->sent->len, error);
    if (!sent)
        return false;
    g_autoptr(GError) wrong = NULL;
    g_autoptr(GHashTable) again = godwit_state_send_on(attempt->destination, &wrong);
    if (!again && (wrong->code == GODWIT_ERROR_MIGRATION || wrong->code == GODWIT_ERROR_STREAM ||
                   attempt->destination->exited)) {
        see(attempt, ORACLE_STATE, wrong->message);
        return true;
    }
    if (!again) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    if (!godwit_course_settle(attempt->destination, error))
        return false;
    godwit_testbed_measure(attempt->testbed, "states", json_integer(g_hash_table_size(sent)));
    attempt->compared = true;
    g_autofree char *first = godwit_state_compare(sent, again, NULL);
    if (!first)
        return true;
    g_autoptr(GHashTable) unmodified = send_on_unmodified(attempt, error);
    if (!unmodified)
        return false;
    g_autofree char *text = godwit_state_compare(sent, again, unmodified);
    if (text)
        see(attempt, ORACLE_STATE, text);
    return true;
}

struct progress {
    const struct godwit_vm *vm;
    guint64 passes;
};

static bool shows_something(gpointer data)
{
    const struct progress *goal = data;
    const struct godwit_console *console = goal->vm->console;
    return goal->vm->exited || console->failure || console->guest_fault ||
           console->passes >= goal->passes;
}

bool godwit_trial_run_on(struct attempt *attempt, GError **error)
{
    struct godwit_vm *destination = attempt->destination;
    const struct godwit_console *console = destination->console;
    struct progress goal = {destination, console->passes + 2};
    g_autoptr(GError) late = NULL;
    godwit_testbed_phase(attempt->testbed, GODWIT_PHASE_RESUME);
    const gint64 deadline = godwit_testbed_limit(attempt->testbed, PROGRESS_SECONDS);
    const bool runs = godwit_vm_run(destination, &late);
    attempt->testbed->deadline = deadline;
    if (!runs) {
        if (late->code == GODWIT_ERROR_TIMEOUT) {
            /* A corrupt state may keep a QEMU busy for ever. */
            see(attempt, ORACLE_PROGRESS, "its QEMU does not answer");
            return true;
        }
        if (!destination->exited) {
            g_propagate_error(error, g_steal_pointer(&late));
            return false;
        }
    } else if (!godwit_testbed_wait_until(
                   attempt->testbed, godwit_testbed_seconds(attempt->testbed, PROGRESS_SECONDS),
                   shows_something, &goal, "two passes of the guest", &late) &&
               late->code != GODWIT_ERROR_TIMEOUT) {
        g_propagate_error(error, g_steal_pointer(&late));
        return false;
    }
    if (destination->exited) {
        g_autofree char *end = godwit_vm_end(destination);
        see(attempt, ORACLE_PROCESS, end);
    } else if (console->guest_fault) {
        see(attempt, ORACLE_GUEST, "the guest reports a fault");
    } else if (console->failure) {
        see(attempt, ORACLE_CONSOLE, console->failure);
    } else if (console->passes < goal.passes) {
        see(attempt, ORACLE_PROGRESS, "the guest makes no progress");
    } else {
        attempt->went_on = true;
        return godwit_vm_command(destination, "stop", NULL, error) && look(attempt, error);
    }
    return true;
}

bool godwit_trial_judge_loaded(struct attempt *attempt, GError **error)
{
    struct godwit_reading reading = {0};
    g_autoptr(GError) wrong = NULL;
    godwit_testbed_phase(attempt->testbed, GODWIT_PHASE_VERIFY);
    if (!godwit_oracle_twin(attempt->source, attempt->destination, &reading, &wrong)) {
        if (wrong->code != GODWIT_ERROR_ORACLE) {
            g_propagate_error(error, g_steal_pointer(&wrong));
            return false;
        }
        if (godwit_oracle_accused(attempt->testbed) == GODWIT_ORACLE_TWIN)
            see(attempt, ORACLE_TWIN, wrong->message);
        attempt->resized = reading.sizes;
    }
    struct godwit_mailbox mailbox;
    uint64_t offset;
    if (!godwit_memory_mailbox(attempt->source, 0, &mailbox, error))
        return false;
    attempt->at_hand = godwit_injection_awaits(attempt->injection, &offset) &&
                       mailbox.position == attempt->testbed->setup->workload.window_start + offset;
    if (!look(attempt, error) || !judge_states(attempt, error))
        return false;
    attempt->loaded = attempt->seen;
    return true;
}

/* Judges the outcome of a flipped bit in the state of a device, as godwit_trial_judge() does. */
static bool judge_flip(const struct attempt *attempt, bool refused, GError **error)
{
    const struct godwit_flip flip = {
        .refused = refused,
        .memory = attempt->loaded & (BY(ORDER) | BY(STAMP) | (attempt->resized ? 0 : BY(TWIN))),
        .compared = attempt->compared,
        .noticed = attempt->seen != 0,
        .went_on = attempt->went_on,
    };
    const char *problem = godwit_flip_problem(&flip);
    if (!problem)
        return true;
    g_autofree char *seen = noticed_text(attempt);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "the relay %s, and %s; noticed: %s",
                       godwit_injection_done(attempt->injection), problem, seen);
}

/* Records the alarm of a destination that has loaded the stream, and takes over its judgement if
 * the fault may have caused it. An alarm that arrives later is a failure after a harmless fault. */
static void see_alarm(struct attempt *attempt)
{
    struct godwit_vm *destination = attempt->destination;
    const json_t *alarm = godwit_alarms_first(destination);
    destination->alarms_judged =
        attempt->trial->verdict == VERDICT_SEEN || attempt->trial->verdict == VERDICT_FLIPPED;
    if (!alarm)
        return;
    g_autofree char *text = godwit_json_dump(alarm, JSON_COMPACT);
    see(attempt, ORACLE_ALARMS, text);
}

bool godwit_trial_judge(struct attempt *attempt, bool refused, GError **error)
{
    const struct trial *trial = attempt->trial;
    if (!refused)
        see_alarm(attempt);
    if (trial->verdict == VERDICT_FLIPPED)
        return judge_flip(attempt, refused, error);
    const char *done = godwit_injection_done(attempt->injection);
    if (refused != (trial->verdict == VERDICT_REFUSED || trial->verdict == VERDICT_STUCK))
        return godwit_fail(error, GODWIT_ERROR_ORACLE, "the relay %s, and the destination %s", done,
                           refused ? "refused the stream" : "loaded the stream");
    /* A stamped window has no page order, and its stamps stand for the position as well. */
    unsigned by = trial->by;
    if (attempt->testbed->setup->workload.flags & GODWIT_FLAG_STAMP &&
        by & (BY(ORDER) | BY(POSITION)))
        by = (by & ~(BY(ORDER) | BY(POSITION))) | BY(STAMP);
    /* The position of a live guest at the switchover is chance. */
    if (attempt->at_hand)
        by &= ~BY(GUEST);
    g_autofree char *seen = noticed_text(attempt);
    for (unsigned i = 0; i < ORACLES; i++)
        if (by & ~attempt->seen & 1u << i)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "the relay %s, but %s did not notice it; noticed: %s", done,
                               oracles[i], seen);
    /* A fault that only takes time harms no state, but some states contain the host's clock. */
    if (trial->verdict != VERDICT_HARMLESS || !(attempt->seen & ~BY(STATE)))
        return true;
    return godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "the relay %s, which must be harmless; noticed: %s", done, seen);
}
