/* SPDX-License-Identifier: MIT */
#include "testbed/rig.h"

#include "testbed/vm.h"
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The deadline's source does nothing: that the main loop wakes up is all it is for. */
static gboolean wake(gpointer data)
{
    (void)data;
    return G_SOURCE_CONTINUE;
}

struct godwit_rig *godwit_rig_new(const struct godwit_setup *setup, const char *directory)
{
    struct godwit_rig *rig = g_new0(struct godwit_rig, 1);
    rig->setup = setup;
    rig->directory = g_strdup(directory);
    rig->records = g_strdup(directory);
    rig->vms = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_vm_free);
    rig->phases = g_array_new(FALSE, FALSE, sizeof(struct godwit_phase));
    rig->facts = json_object();
    rig->turn = -1;
    rig->began = g_get_monotonic_time();
    rig->began_at = g_get_real_time();
    rig->deadline = godwit_rig_seconds(rig, GODWIT_DEADLINE_SECONDS);
    return rig;
}

bool godwit_rig_set_apart(struct godwit_rig *rig, GError **error)
{
    char *work = g_build_filename(rig->records, "work", NULL);
    g_free(rig->directory);
    rig->directory = work;
    return !mkdir(work, 0700) || errno == EEXIST ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make folder %s: %s", work,
                       g_strerror(errno));
}

void godwit_rig_free(struct godwit_rig *rig)
{
    if (!rig)
        return;
    if (rig->turn >= 0)
        close(rig->turn);
    g_datalist_clear(&rig->kept);
    g_ptr_array_unref(rig->vms);
    g_array_unref(rig->phases);
    json_decref(rig->facts);
    g_free(rig->directory);
    g_free(rig->records);
    g_free(rig);
}

struct godwit_vm *godwit_rig_vm(const struct godwit_rig *rig, const char *name)
{
    for (guint i = rig->vms->len; i-- > 0;) {
        struct godwit_vm *vm = g_ptr_array_index(rig->vms, i);
        if (!strcmp(vm->name, name))
            return vm;
    }
    return NULL;
}

void godwit_rig_check(struct godwit_rig *rig, const char *name, const char *problem)
{
    godwit_rig_note_check(rig, json_pack("{s:s, s:s*}", "name", name, "problem", problem));
}

void godwit_rig_note_check(struct godwit_rig *rig, json_t *check)
{
    /* One that could not even be put together has not been passed. */
    json_array_append_new(godwit_json_list(rig->facts, "checks"),
                          check ? check
                                : json_pack("{s:s, s:s}", "name", "(without a name)", "problem",
                                            "what it found was lost: a defect of Godwit"));
}

void godwit_rig_excuse_check(struct godwit_rig *rig, const char *bug)
{
    const json_t *checks = json_object_get(rig->facts, "checks");
    json_t *last = json_array_get(checks, json_array_size(checks) - 1);
    json_object_set(last, "seen", json_object_get(last, "problem"));
    json_object_del(last, "problem");
    json_object_set_new(last, "known", json_string(bug));
}

unsigned godwit_rig_failed_checks(const struct godwit_rig *rig, GString *text)
{
    unsigned failed = 0;
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(rig->facts, "checks"), i, check)
    {
        const char *problem = godwit_json_string(check, "problem", NULL);
        if (!problem)
            continue;
        failed++;
        if (text)
            g_string_append_printf(text, "\n%s: %s", godwit_json_string(check, "name", ""),
                                   problem);
    }
    return failed;
}

void godwit_rig_phase(struct godwit_rig *rig, const char *name)
{
    const gint64 now = g_get_monotonic_time();
    if (rig->phase) {
        const struct godwit_phase phase = {rig->phase,
                                           (double)(rig->phase_began - rig->began) / 1000.0,
                                           (double)(now - rig->phase_began) / 1000.0};
        g_array_append_val(rig->phases, phase);
    }
    rig->phase = name;
    rig->phase_began = now;
    if (name && rig->progress)
        rig->progress(name, NULL, rig->progress_data);
}

gint64 godwit_rig_seconds(const struct godwit_rig *rig, double seconds)
{
    return g_get_monotonic_time() +
           (gint64)(seconds * rig->setup->timeout_scale * (double)G_USEC_PER_SEC);
}

gint64 godwit_rig_hasten(struct godwit_rig *rig, double seconds)
{
    const gint64 deadline = rig->deadline;
    rig->deadline = MIN(deadline, godwit_rig_seconds(rig, seconds));
    return deadline;
}

/* Returns whether the process ended by a signal that nobody sent on purpose. */
static bool killed(const struct godwit_vm *vm)
{
    return vm->exited && !vm->may_exit && WIFSIGNALED(vm->wait_status);
}

/* Returns whether VM is to be blamed rather than OTHER, which comes before it in the list. */
static bool worse(const struct godwit_vm *vm, const struct godwit_vm *other)
{
    if (killed(vm) != killed(other))
        return killed(vm);
    return vm->exited && other->exited && vm->exit_order < other->exit_order;
}

/* Returns the VM that is to be blamed for what is wrong, or NULL if nothing is. */
static struct godwit_vm *culprit(const struct godwit_rig *rig)
{
    struct godwit_vm *found = NULL;
    for (guint i = 0; i < rig->vms->len; i++) {
        struct godwit_vm *vm = g_ptr_array_index(rig->vms, i);
        if (!godwit_vm_healthy(vm, NULL) && (!found || worse(vm, found)))
            found = vm;
    }
    return found;
}

static bool is_interrupted(const struct godwit_rig *rig)
{
    return rig->interrupted && *rig->interrupted;
}

static bool any_dying(const struct godwit_rig *rig)
{
    for (guint i = 0; i < rig->vms->len; i++)
        if (godwit_vm_dying(g_ptr_array_index(rig->vms, i)))
            return true;
    return false;
}

/* Waits until no process of the rig is dying: each is gone, or lives. */
static void await_ends(const struct godwit_rig *rig)
{
    if (!any_dying(rig))
        return;
    const gint64 deadline = godwit_rig_seconds(rig, GODWIT_END_SECONDS);
    const gint64 now = g_get_monotonic_time();
    const guint timer = g_timeout_add((guint)(MAX(deadline - now, 0) / 1000 + 1), wake, NULL);
    while (any_dying(rig) && !is_interrupted(rig) && g_get_monotonic_time() < deadline)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
}

bool godwit_rig_healthy(struct godwit_rig *rig, GError **error)
{
    if (!is_interrupted(rig)) {
        if (!culprit(rig))
            return true;
        await_ends(rig);
    }
    if (is_interrupted(rig))
        return godwit_fail(error, GODWIT_ERROR_INTERRUPTED, "interrupted");
    return godwit_vm_healthy(culprit(rig), error);
}

bool godwit_rig_survives(struct godwit_rig *rig, GError **error)
{
    await_ends(rig);
    return godwit_rig_healthy(rig, error);
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

bool godwit_rig_rest(struct godwit_rig *rig, guint ms, const char *what, GError **error)
{
    bool rested = false;
    const guint timer = g_timeout_add(ms, set, &rested);
    const bool well = godwit_rig_wait(rig, is_set, &rested, what, error);
    g_source_remove(timer);
    return well;
}

/* A turn that is waited for. */
struct turn {
    guint source; /* 0 once it has come: the pipe stays readable, and would keep the loop busy */
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

/* How long a turn may take to come: longer than any run. In seconds. */
#define TURN_SECONDS (28 * 24 * 3600LL)

bool godwit_rig_take_turn(struct godwit_rig *rig, GError **error)
{
    if (rig->turn < 0)
        return true;
    const gint64 began = g_get_monotonic_time();
    const gint64 deadline = rig->deadline;
    struct turn turn = {0};
    rig->deadline = began + TURN_SECONDS * G_USEC_PER_SEC;
    turn.source = g_unix_fd_add(rig->turn, G_IO_IN | G_IO_HUP, come, &turn);
    const bool well = godwit_rig_wait(rig, has_come, &turn, "its turn", error);
    if (turn.source)
        g_source_remove(turn.source);
    close(rig->turn);
    rig->turn = -1;
    rig->waited = g_get_monotonic_time() - began;
    rig->deadline = deadline + rig->waited;
    rig->phase_began += rig->waited;
    return well;
}

void godwit_rig_end_turn(struct godwit_rig *rig)
{
    if (rig->over)
        rig->over(rig->over_data);
}

bool godwit_rig_wait(struct godwit_rig *rig, godwit_condition condition, gpointer data,
                     const char *what, GError **error)
{
    return godwit_rig_wait_until(rig, rig->deadline, condition, data, what, error);
}

bool godwit_rig_wait_until(struct godwit_rig *rig, gint64 deadline, godwit_condition condition,
                           gpointer data, const char *what, GError **error)
{
    const gint64 began = g_get_monotonic_time();
    deadline = MIN(deadline, rig->deadline);
    const guint timer = g_timeout_add((guint)(MAX(deadline - began, 0) / 1000 + 1), wake, NULL);
    bool held = false;
    for (;;) {
        /* The condition first: a VM that did what was awaited and then died has done it. */
        if (condition(data)) {
            held = true;
            break;
        }
        if (!godwit_rig_healthy(rig, error)) {
            godwit_error_context(error, "waiting for %s", what);
            break;
        }
        const gint64 now = g_get_monotonic_time();
        if (now >= deadline) {
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT,
                        "waited %.1f s in vain for %s (phase: %s)", (double)(now - began) / 1e6,
                        what, rig->phase ? rig->phase : "none");
            break;
        }
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(timer);
    return held;
}
