/*
 * The testbed: VMs, phases, deadline, and the harness's only wait loop.
 *
 * Everything asynchronous (QMP, consoles, ends of processes) is a source of the default main
 * context. godwit_testbed_wait_until() iterates that context and, after each iteration, looks at
 * its condition first and then at the health of all VMs. A timer wakes it up at the deadline.
 *
 * When a QEMU dies, its peer often follows, and the order in which the harness notices is random.
 * So godwit_testbed_healthy() first waits until no process is dying any more, and only then blames
 * one: one that was killed by a signal, or else the one that ended first.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/testbed.h"

#include "testbed/vm.h"
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The callback of the deadline's timer does nothing: the timer only wakes up the main loop. */
static gboolean wake(gpointer data)
{
    (void)data;
    return G_SOURCE_CONTINUE;
}

struct godwit_testbed *godwit_testbed_new(const struct godwit_setup *setup, const char *directory)
{
    struct godwit_testbed *testbed = g_new0(struct godwit_testbed, 1);
    testbed->setup = setup;
    testbed->directory = g_strdup(directory);
    testbed->records = g_strdup(directory);
    testbed->vms = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_vm_free);
    testbed->phases = g_array_new(FALSE, FALSE, sizeof(struct godwit_phase_time));
    testbed->endings = g_array_new(FALSE, FALSE, sizeof(struct godwit_ending));
    godwit_testbed_begin_measurements(testbed);
    testbed->turn = -1;
    testbed->began = g_get_monotonic_time();
    testbed->began_at = g_get_real_time();
    testbed->deadline = godwit_testbed_seconds(testbed, GODWIT_DEADLINE_SECONDS);
    return testbed;
}

bool godwit_testbed_set_apart(struct godwit_testbed *testbed, GError **error)
{
    char *work = g_build_filename(testbed->records, "work", NULL);
    g_free(testbed->directory);
    testbed->directory = work;
    return !mkdir(work, 0700) || errno == EEXIST ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make folder %s: %s", work,
                       g_strerror(errno));
}

void godwit_testbed_at_end(struct godwit_testbed *testbed, GDestroyNotify destroy, gpointer data)
{
    const struct godwit_ending ending = {destroy, data};
    g_array_append_val(testbed->endings, ending);
}

void godwit_testbed_free(struct godwit_testbed *testbed)
{
    if (!testbed)
        return;
    if (testbed->turn >= 0)
        close(testbed->turn);
    for (guint i = testbed->endings->len; i-- > 0;) {
        const struct godwit_ending *ending =
            &g_array_index(testbed->endings, struct godwit_ending, i);
        ending->destroy(ending->data);
    }
    g_array_unref(testbed->endings);
    g_ptr_array_unref(testbed->vms);
    g_array_unref(testbed->phases);
    g_free(testbed->directory);
    g_free(testbed->records);
    g_free(testbed);
}

static const char *const phase_names[GODWIT_PHASES] = {
    [GODWIT_PHASE_NONE] = "none",
    [GODWIT_PHASE_START] = "start",
    [GODWIT_PHASE_TO_A] = "to A",
    [GODWIT_PHASE_TO_B] = "to B",
    [GODWIT_PHASE_MIGRATE] = "migrate",
    [GODWIT_PHASE_VERIFY] = "verify",
    [GODWIT_PHASE_RESUME] = "resume",
    [GODWIT_PHASE_VERIFY_AGAIN] = "verify again",
    [GODWIT_PHASE_END] = "end",
    [GODWIT_PHASE_CANCEL] = "cancel",
    [GODWIT_PHASE_CHECK] = "check",
    [GODWIT_PHASE_CUT] = "cut",
    [GODWIT_PHASE_ELSEWHERE] = "elsewhere",
    [GODWIT_PHASE_EXEC] = "exec",
    [GODWIT_PHASE_FAIL] = "fail",
    [GODWIT_PHASE_HANDSHAKE] = "handshake",
    [GODWIT_PHASE_LIMIT] = "limit",
    [GODWIT_PHASE_MEASURE] = "measure",
    [GODWIT_PHASE_OBSERVE] = "observe",
    [GODWIT_PHASE_READ] = "read",
    [GODWIT_PHASE_RECONNECT] = "reconnect",
    [GODWIT_PHASE_RECORD] = "record",
    [GODWIT_PHASE_RECOVER] = "recover",
    [GODWIT_PHASE_REFUSE] = "refuse",
    [GODWIT_PHASE_RESTART] = "restart",
    [GODWIT_PHASE_RUN_ON] = "run on",
    [GODWIT_PHASE_STRIKE] = "strike",
    [GODWIT_PHASE_SURVIVE] = "survive",
};

const char *godwit_phase_name(enum godwit_phase phase)
{
    return phase_names[phase];
}

void godwit_testbed_phase(struct godwit_testbed *testbed, enum godwit_phase phase)
{
    const gint64 now = g_get_monotonic_time();
    if (testbed->phase) {
        const struct godwit_phase_time time = {
            testbed->phase, (double)(testbed->phase_began - testbed->began) / 1000.0,
            (double)(now - testbed->phase_began) / 1000.0};
        g_array_append_val(testbed->phases, time);
    }
    testbed->phase = phase;
    testbed->phase_began = now;
    if (phase != GODWIT_PHASE_NONE && testbed->progress)
        testbed->progress(phase, NULL, testbed->progress_data);
}

gint64 godwit_testbed_seconds(const struct godwit_testbed *testbed, double seconds)
{
    return g_get_monotonic_time() +
           (gint64)(seconds * testbed->setup->timeout_scale * (double)G_USEC_PER_SEC);
}

gint64 godwit_testbed_limit(struct godwit_testbed *testbed, double seconds)
{
    const gint64 deadline = testbed->deadline;
    testbed->deadline = MIN(deadline, godwit_testbed_seconds(testbed, seconds));
    return deadline;
}

/* Returns whether the process ended by a signal that nobody sent on purpose. */
static bool killed(const struct godwit_vm *vm)
{
    return vm->exited && !vm->may_exit && WIFSIGNALED(vm->wait_status);
}

/* Returns whether to blame VM rather than OTHER, which comes before it in the list. */
static bool worse(const struct godwit_vm *vm, const struct godwit_vm *other)
{
    if (killed(vm) != killed(other))
        return killed(vm);
    return vm->exited && other->exited && vm->exit_order < other->exit_order;
}

/* Returns the VM to blame for a failure, or NULL if all are healthy. */
static struct godwit_vm *culprit(const struct godwit_testbed *testbed)
{
    struct godwit_vm *found = NULL;
    for (guint i = 0; i < testbed->vms->len; i++) {
        struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (!godwit_vm_healthy(vm, NULL) && (!found || worse(vm, found)))
            found = vm;
    }
    return found;
}

static bool is_interrupted(const struct godwit_testbed *testbed)
{
    return testbed->interrupted && *testbed->interrupted;
}

static bool any_dying(const struct godwit_testbed *testbed)
{
    for (guint i = 0; i < testbed->vms->len; i++)
        if (godwit_vm_dying(g_ptr_array_index(testbed->vms, i)))
            return true;
    return false;
}

/* Waits until each process of the testbed is either gone or not dying. */
static void await_ends(const struct godwit_testbed *testbed)
{
    if (!any_dying(testbed))
        return;
    const gint64 deadline = godwit_testbed_seconds(testbed, GODWIT_END_SECONDS);
    const gint64 now = g_get_monotonic_time();
    const guint timer = g_timeout_add((guint)(MAX(deadline - now, 0) / 1000 + 1), wake, NULL);
    while (any_dying(testbed) && !is_interrupted(testbed) && g_get_monotonic_time() < deadline)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
}

bool godwit_testbed_healthy(struct godwit_testbed *testbed, GError **error)
{
    if (!is_interrupted(testbed)) {
        if (!culprit(testbed))
            return true;
        await_ends(testbed);
    }
    if (is_interrupted(testbed))
        return godwit_fail(error, GODWIT_ERROR_INTERRUPTED, "interrupted");
    return godwit_vm_healthy(culprit(testbed), error);
}

bool godwit_testbed_survives(struct godwit_testbed *testbed, GError **error)
{
    await_ends(testbed);
    return godwit_testbed_healthy(testbed, error);
}

static gboolean set(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_CONTINUE;
}

static bool is_set(gpointer data)
{
    return *(bool *)data;
}

bool godwit_testbed_rest(struct godwit_testbed *testbed, guint ms, const char *what, GError **error)
{
    bool rested = false;
    const guint timer = g_timeout_add(ms, set, &rested);
    const bool well = godwit_testbed_wait(testbed, is_set, &rested, what, error);
    g_source_remove(timer);
    return well;
}

/* The state of a wait for a turn. */
struct turn {
    guint source; /* 0 once the turn has come: the pipe stays readable, and would keep the loop
                     busy */
};

static gboolean come(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    ((struct turn *)data)->source = 0;
    return G_SOURCE_REMOVE;
}

static bool has_come(gpointer data)
{
    return ((const struct turn *)data)->source == 0;
}

/* The longest wait for a turn, in seconds: longer than any run. */
#define TURN_SECONDS (28 * 24 * 3600LL)

bool godwit_testbed_take_turn(struct godwit_testbed *testbed, GError **error)
{
    if (testbed->turn < 0)
        return true;
    const gint64 began = g_get_monotonic_time();
    const gint64 deadline = testbed->deadline;
    struct turn turn = {0};
    testbed->deadline = began + TURN_SECONDS * G_USEC_PER_SEC;
    turn.source = g_unix_fd_add(testbed->turn, G_IO_IN | G_IO_HUP, come, &turn);
    const bool well = godwit_testbed_wait(testbed, has_come, &turn, "its turn", error);
    if (turn.source)
        g_source_remove(turn.source);
    close(testbed->turn);
    testbed->turn = -1;
    testbed->waited = g_get_monotonic_time() - began;
    testbed->deadline = deadline + testbed->waited;
    testbed->phase_began += testbed->waited;
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (vm->remote)
            godwit_remote_set_deadline(vm->remote, testbed->deadline);
    }
    return well;
}

void godwit_testbed_end_turn(struct godwit_testbed *testbed)
{
    if (testbed->over)
        testbed->over(testbed->over_data);
}

bool godwit_testbed_wait(struct godwit_testbed *testbed, godwit_condition condition, gpointer data,
                         const char *what, GError **error)
{
    return godwit_testbed_wait_until(testbed, testbed->deadline, condition, data, what, error);
}

void godwit_testbed_timed_out(const struct godwit_testbed *testbed, gint64 waited, const char *what,
                              GError **error)
{
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT,
                "timed out after %.1f s waiting for %s (phase: %s)", (double)waited / 1e6, what,
                godwit_phase_name(testbed->phase));
}

bool godwit_testbed_wait_until(struct godwit_testbed *testbed, gint64 deadline,
                               godwit_condition condition, gpointer data, const char *what,
                               GError **error)
{
    const gint64 began = g_get_monotonic_time();
    deadline = MIN(deadline, testbed->deadline);
    const guint timer = g_timeout_add((guint)(MAX(deadline - began, 0) / 1000 + 1), wake, NULL);
    bool reached = false;
    for (;;) {
        /* Check the condition first: a VM that fulfilled it and then died has fulfilled it. */
        if (condition(data)) {
            reached = true;
            break;
        }
        if (!godwit_testbed_healthy(testbed, error)) {
            godwit_error_context(error, "waiting for %s", what);
            break;
        }
        const gint64 now = g_get_monotonic_time();
        if (now >= deadline) {
            godwit_testbed_timed_out(testbed, now - began, what, error);
            break;
        }
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(timer);
    return reached;
}
