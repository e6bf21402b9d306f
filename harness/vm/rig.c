/* SPDX-License-Identifier: MIT */
#include "vm/rig.h"

#include "vm/vm.h"
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
    g_ptr_array_unref(rig->vms);
    g_datalist_clear(&rig->kept);
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
    json_t *checks = json_object_get(rig->facts, "checks");
    if (!checks) {
        checks = json_array();
        json_object_set_new(rig->facts, "checks", checks);
    }
    /* One that could not even be put together has not been passed. */
    json_array_append_new(checks,
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

/* The VM whose process was killed by a signal that nobody sent it on purpose, or NULL. */
static struct godwit_vm *killed(const struct godwit_rig *rig)
{
    for (guint i = 0; i < rig->vms->len; i++) {
        struct godwit_vm *vm = g_ptr_array_index(rig->vms, i);
        if (vm->exited && !vm->may_exit && WIFSIGNALED(vm->wait_status))
            return vm;
    }
    return NULL;
}

bool godwit_rig_healthy(struct godwit_rig *rig, GError **error)
{
    if (rig->interrupted && *rig->interrupted) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_INTERRUPTED, "interrupted");
        return false;
    }
    g_autoptr(GError) cause = NULL;
    for (guint i = 0; i < rig->vms->len && !cause; i++)
        godwit_vm_healthy(g_ptr_array_index(rig->vms, i), &cause);
    if (!cause)
        return true;
    /* One that is killed takes its peer along, whose end may be noticed first. */
    while (g_main_context_iteration(NULL, FALSE))
        ;
    struct godwit_vm *victim = killed(rig);
    if (victim)
        return godwit_vm_healthy(victim, error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
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

static gboolean come(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    return set(data);
}

/* How long a turn may take to come: longer than any run. In seconds. */
#define TURN_SECONDS (28 * 24 * 3600LL)

bool godwit_rig_take_turn(struct godwit_rig *rig, GError **error)
{
    if (rig->turn < 0)
        return true;
    const gint64 began = g_get_monotonic_time();
    const gint64 deadline = rig->deadline;
    bool mine = false;
    rig->deadline = began + TURN_SECONDS * G_USEC_PER_SEC;
    const guint source = g_unix_fd_add(rig->turn, G_IO_IN | G_IO_HUP, come, &mine);
    const bool well = godwit_rig_wait(rig, is_set, &mine, "its turn", error);
    g_source_remove(source);
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
