/*
 * Known bugs of states: of the guest, of the migration, and of QEMU's reports about them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include "migrate/migrate.h"
#include <signal.h>
#include <string.h>

/* The engine wakes up a suspended guest at the end, asynchronously, so that it arrives as
 * "running". Any other state has another cause. */
static bool is_lost_suspend(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "running") != 0)
        return false;
    *seen = g_strdup("the suspended guest is \"running\" on the destination");
    return true;
}

/* `stop` succeeds in pre-switchover, and QEMU runs the guest all the same when the migration is
 * over. */
static bool is_lost_stop(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "running") != 0)
        return false;
    *seen = g_strdup("the guest, stopped in pre-switchover, is \"running\" on the destination");
    return true;
}

/* A QEMU that began to listen reported "setup" without changing the state. migrate-recover also
 * begins to listen. */
static bool is_setup_event(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "postcopy-paused") != 0 || strcmp(symptom->next, "setup") != 0)
        return false;
    *seen = g_strdup("the destination reports \"setup\" while its migration is postcopy-paused");
    return true;
}

/* QEMU treats any migration that is cancelled in setup as one that has not begun to connect. */
static bool is_early_cancel(const struct godwit_symptom *symptom, char **seen)
{
    (void)symptom;
    *seen = g_strdup(
        "the source's migration is cancelled while its connection is neither made nor refused");
    return true;
}

/* Several threads of the source report that a multifd migration breaks off. */
static bool is_failed_twice(const struct godwit_symptom *symptom, char **seen)
{
    const char *state = symptom->state;
    if ((strcmp(state, "failed") != 0 && strcmp(state, "failing") != 0) ||
        !godwit_json_true(symptom->vm->capabilities, "multifd"))
        return false;
    *seen = g_strdup_printf("two events \"%s\" in a row", state);
    return true;
}

/* QEMU executes the command of cpr-exec after it has reported that the migration completed. */
static bool is_late_failure(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "completed") != 0 || strcmp(symptom->next, "failed") != 0)
        return false;
    g_autofree char *line = godwit_bug_find_line(
        symptom->vm, "^(?:\\S*qemu-(?:system-\\w+|kvm): )?execvp \\S+ failed: .+$");
    if (line)
        *seen = g_strdup_printf("the source reports \"failed\" after \"completed\": %s", line);
    return line != NULL;
}

/* The migration thread waits for channels whose threads have ended already. */
static bool is_endless_cancel(const struct godwit_symptom *symptom, char **seen)
{
    const char *const states[] = {"cancelling", "failed", NULL};
    if (!symptom->state || !g_strv_contains(states, symptom->state) ||
        !godwit_json_true(symptom->source->capabilities, "multifd"))
        return false;
    *seen = g_strdup_printf("the migration is \"%s\", and not over on the source", symptom->state);
    return true;
}

/* Returns the number of the latest iteration that the source has reported. */
static json_int_t last_iteration(const struct godwit_vm *source)
{
    json_int_t pass = 0;
    for (guint i = source->migration_first; i < source->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(source->qmp->events, i);
        if (godwit_qmp_event_is(event, "MIGRATION_PASS", NULL))
            pass = godwit_json_integer(json_object_get(event, "data"), "pass", 0);
    }
    return pass;
}

/* Once the guest is stopped, QEMU sends the rest under the lock that the monitor also needs. Old
 * versions report "device" only in a migration with a pause before the switchover; otherwise they
 * stay "active". But if the guest does not run, they begin a third iteration only to complete. */
static bool is_stalled(const struct godwit_symptom *symptom, char **seen)
{
    const char *state = godwit_migrate_reported_state(symptom->source);
    const json_int_t iteration = last_iteration(symptom->source);
    if (strcmp(state, "device") != 0 && (strcmp(state, "active") != 0 || iteration < 3))
        return false;
    *seen = g_strdup_printf(
        "migrate_cancel is not answered while the source's migration is \"%s\", in iteration %d",
        state, (int)iteration);
    return true;
}

/* QEMU reads the peer's part of a handshake from a socket that blocks, in its main loop. */
static bool is_stalled_handshake(const struct godwit_symptom *symptom, char **seen)
{
    if (g_strcmp0(symptom->text, "TLS handshake") != 0 ||
        strcmp(godwit_migrate_reported_state(symptom->source), "setup") != 0)
        return false;
    *seen = g_strdup("the source answers nothing on QMP while its peer does not answer the TLS "
                     "handshake");
    return true;
}

/* The thread that loads waits for what the channels bring, and they have ended between two packets,
 * which QEMU does not take for an error. */
static bool is_waiting_for_channels(const struct godwit_symptom *symptom, char **seen)
{
    if (!godwit_json_true(symptom->destination->capabilities, "multifd") ||
        symptom->destination->exited)
        return false;
    *seen = g_strdup("a multifd destination neither answers nor ends, although its connections "
                     "are lost");
    return true;
}

/* The thread of COLO holds the lock that the monitor also needs. */
static bool is_silent_primary(const struct godwit_symptom *symptom, char **seen)
{
    const json_t *capabilities = symptom->source->capabilities;
    if (strcmp(godwit_migrate_reported_state(symptom->source), "colo") != 0 ||
        !godwit_json_true(capabilities, "x-colo") || godwit_json_true(capabilities, "return-path"))
        return false;
    *seen = g_strdup("a COLO primary without return-path answers nothing on QMP");
    return true;
}

/* It sends the checkpoint's RAM under that lock. */
static bool is_stalled_primary(const struct godwit_symptom *symptom, char **seen)
{
    const json_t *capabilities = symptom->source->capabilities;
    const char *latest = "";
    for (guint i = 0; i < symptom->source->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(symptom->source->qmp->events, i);
        if (godwit_qmp_event_is(event, "STOP", NULL) || godwit_qmp_event_is(event, "RESUME", NULL))
            latest = godwit_json_string(event, "event", "");
    }
    if (strcmp(godwit_migrate_reported_state(symptom->source), "colo") != 0 ||
        !godwit_json_true(capabilities, "return-path") || strcmp(latest, "STOP") != 0)
        return false;
    *seen = g_strdup("a COLO primary answers nothing on QMP in the middle of a checkpoint");
    return true;
}

/* The thread that reads the return path does not know COLO's messages. */
static bool is_failed_pair(const struct godwit_symptom *symptom, char **seen)
{
    if (symptom->failure->code != GODWIT_ERROR_MIGRATION ||
        !godwit_json_true(symptom->source->capabilities, "x-colo") ||
        strcmp(godwit_migrate_reported_state(symptom->source), "failed") != 0 ||
        strcmp(godwit_migrate_reported_state(symptom->destination), "colo") != 0)
        return false;
    g_autofree char *line = godwit_bug_find_line(
        symptom->source,
        "^(?:\\S*qemu-system-\\w+: )?(?:RP: )?Received invalid message 0x0000 length 0x0000$");
    if (line)
        *seen =
            g_strdup_printf("the source reports \"failed\", the destination \"colo\": %s", line);
    return line != NULL;
}

/* The secondary takes its RAM for larger than it is when it takes over a checkpoint. */
static bool is_aborted_pair(const struct godwit_symptom *symptom, char **seen)
{
    if (!godwit_json_true(symptom->destination->capabilities, "x-colo") ||
        !godwit_bug_was_killed(symptom->destination, SIGABRT))
        return false;
    *seen = godwit_bug_find_line(symptom->destination,
                                 "system/physmem\\.c:\\d+: tlb_reset_dirty_range_all: Assertion "
                                 "`block == qemu_get_ram_block\\(end - 1\\)' failed\\.$");
    return *seen != NULL;
}

/* What the disk's device needs of its image is asked for when the guest runs, and too late. */
static bool is_lock_ignored(const struct godwit_symptom *symptom, char **seen)
{
    g_autofree char *line = godwit_bug_find_line(
        symptom->vm,
        "^(?:\\S*qemu-(?:system-\\w+|kvm): )?Failed to get (?:shared )?\"write\" lock$");
    if (line)
        *seen = g_strdup_printf("the guest runs, and the destination prints: %s", line);
    return line != NULL;
}

/* The source stops its guest, cannot flush its disks, and runs the guest again. */
static bool is_unnamed_flush(const struct godwit_symptom *symptom, char **seen)
{
    bool stopped = false, resumed = false;
    for (guint i = symptom->source->migration_first; i < symptom->source->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(symptom->source->qmp->events, i);
        stopped |= godwit_qmp_event_is(event, "STOP", NULL);
        resumed |= stopped && godwit_qmp_event_is(event, "RESUME", NULL);
    }
    if (!resumed || strcmp(godwit_migrate_reported_state(symptom->source), "failed") != 0)
        return false;
    *seen = g_strdup("the source cannot flush its disk, and reports \"failed\" without a reason");
    return true;
}

const struct godwit_bug godwit_bugs_states[] = {
    {
        .id = "disk-lock-ignored",
        .summary = "a destination runs its guest although another QEMU has locked its disk",
        .reference = "measured in QEMU 7.2, and not in 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_LOCKED,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_lock_ignored,
    },
    {
        .id = "flush-no-reason",
        .summary = "a migration that fails because a disk cannot be flushed gives no reason",
        .reference = "measured in QEMU 7.2, and not in 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_UNFLUSHED,
        .role = GODWIT_BUG_SOURCE,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_unnamed_flush,
    },
    {
        .id = "suspend-lost",
        .summary = "a suspended guest is migrated as a running one, and may never wake up",
        .reference = "fixed in QEMU 9.0 by \"migration: preserve suspended runstate\"",
        .kind = GODWIT_SYMPTOM_RUN_STATE,
        .role = GODWIT_BUG_EITHER, /* the newer of two carries the state, and understands it */
        .fixed = {9, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_lost_suspend,
    },
    {
        .id = "pre-switchover-stop-lost",
        .summary = "stop in pre-switchover has no effect: the guest runs after the migration",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_STOP_LOST,
        .role = GODWIT_BUG_SOURCE,
        .strikes = 1,
        .runs = 1,
        .matches = is_lost_stop,
    },
    {
        .id = "recover-setup-event",
        .summary = "migrate-recover reports a state (setup) that the migration is not in",
        .reference =
            "fixed in QEMU 8.2 by \"migration: Set migration status early in incoming side\"",
        .kind = GODWIT_SYMPTOM_STATE_EVENT,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {8, 2},
        .strikes = 1,
        .runs = 1,
        .matches = is_setup_event,
    },
    {
        .id = "cancel-setup-early",
        .summary =
            "a migration that still connects is reported as cancelled, and disturbs the next one",
        .reference = "measured in QEMU 10.0, and not in 7.2 and 11.1",
        .kind = GODWIT_SYMPTOM_CONNECTING,
        .since = {10, 0},
        .fixed = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_early_cancel,
    },
    {
        .id = "multifd-failed-twice",
        .summary = "the source reports twice that a multifd migration has failed or is failing",
        .reference = "not fixed in QEMU 11.1",
        .kind = GODWIT_SYMPTOM_STATE_TWICE,
        .strikes = 27,
        .runs = 30,
        .percent = 100,
        .matches = is_failed_twice,
    },
    {
        .id = "multifd-cancel-hangs",
        .summary = "a multifd migration that is cancelled or fails may never end on the source",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_CANCELLING,
        .fixed = {11, 1},
        .strikes = 3,
        .runs = 95,
        .percent = 25,
        .matches = is_endless_cancel,
    },
    {
        .id = "completion-stalls-monitor",
        .summary = "a source whose peer stops reading at the end does not answer on QMP",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_NO_ANSWER,
        /* Whenever the peer stops there. A repetition with the same seed stops at the same byte. */
        .strikes = 1,
        .runs = 1,
        .matches = is_stalled,
    },
    {
        .id = "tls-handshake-stalls-monitor",
        .summary = "a source whose peer does not answer the TLS handshake does not answer on QMP",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_NO_ANSWER,
        .role = GODWIT_BUG_SOURCE,
        .strikes = 1,
        .runs = 1,
        .matches = is_stalled_handshake,
    },
    {
        .id = "multifd-hang",
        .summary =
            "a multifd destination whose channels end between two packets waits for them for "
            "good",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_STUCK,
        .role = GODWIT_BUG_DESTINATION,
        .strikes = 1,
        .runs = 1,
        .matches = is_waiting_for_channels,
    },
    {
        .id = "cpr-exec-completed",
        .summary = "cpr-exec reports that it completed, and then that it failed",
        .reference = "measured in QEMU 11.1, with a command that cannot be executed",
        .kind = GODWIT_SYMPTOM_STATE_UNDONE,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_late_failure,
    },
    {
        .id = "colo-monitor",
        .summary = "a COLO primary without return-path answers nothing on QMP",
        .reference = "measured in QEMU 7.2 and 10.0; 11.1 refuses COLO without return-path",
        .kind = GODWIT_SYMPTOM_NO_ANSWER,
        .role = GODWIT_BUG_SOURCE,
        .fixed = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_silent_primary,
    },
    {
        .id = "colo-return-path",
        .summary = "COLO with return-path fails, and then both sides run the guest",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_COLO,
        .role = GODWIT_BUG_SOURCE,
        .fixed = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_failed_pair,
    },
    {
        .id = "colo-stalls-monitor",
        .summary = "a COLO primary whose peer stops reading answers nothing on QMP",
        .reference = "measured in QEMU 11.1",
        .kind = GODWIT_SYMPTOM_NO_ANSWER,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_stalled_primary,
    },
    {
        .id = "colo-abort",
        .summary = "a COLO secondary aborts at its first checkpoint, with some sizes of RAM",
        .reference = "measured in QEMU 10.0 and 11.1, on aarch64 and riscv64",
        .kind = GODWIT_SYMPTOM_COLO,
        .role = GODWIT_BUG_DESTINATION,
        .since = {10, 0},
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_aborted_pair,
    },
    {.id = NULL},
};
