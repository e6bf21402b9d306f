/*
 * The grid of a sweep: its axes and cells. What is wrong with a cell is found before anything runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/sweep_parts.h"

#include "migrate/settings.h"
#include "testbed/probe.h"
#include <string.h>

static const char dirty_rate[] = "dirty-rate", window[] = "window", cpus[] = "cpus",
                  workload[] = "workload", pause_iteration[] = "pause-iteration",
                  postcopy_iteration[] = "postcopy-iteration";

/* Returns the number in OPTIONS that an axis chooses, NULL if it chooses none. */
static int *number_of(struct godwit_options *options, const char *axis)
{
    return !strcmp(axis, dirty_rate)           ? &options->dirty_rate
           : !strcmp(axis, cpus)               ? &options->cpus
           : !strcmp(axis, pause_iteration)    ? &options->pause_iteration
           : !strcmp(axis, postcopy_iteration) ? &options->postcopy_iteration
                                               : NULL;
}

bool godwit_axis_is_own(const char *name)
{
    struct godwit_options options;
    return number_of(&options, name) || !strcmp(name, window) || !strcmp(name, workload);
}

/* Sets *SIZE to the bytes that TEXT stands for, "16M" for example. */
static bool parse_size(const char *text, uint64_t *size, GError **error)
{
    static const struct godwit_suffix units[] = {
        {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}, {NULL, 0}};
    double bytes;
    if (!godwit_speed_quantity("--over window", text, units, "sizes, for example 16M", &bytes,
                               error))
        return false;
    if (bytes > 1e15)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--over window: %s is too large", text);
    *size = (uint64_t)bytes;
    return true;
}

/* Sets *NUMBER to the number from 1 on that TEXT stands for. */
static bool parse_number(const char *name, const char *text, int *number, GError **error)
{
    guint64 value;
    if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT, &value, NULL))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--over %s needs numbers of 1 or more, not \"%s\"", name, text);
    *number = (int)value;
    return true;
}

bool godwit_axis_check(const struct godwit_axis *axis, GError **error)
{
    for (guint i = 0; axis->values[i]; i++) {
        const char *value = axis->values[i];
        struct godwit_workload chosen = {0};
        struct godwit_options options;
        uint64_t size;
        int number;
        if (!strcmp(axis->name, window) && !parse_size(value, &size, error))
            return false;
        if (number_of(&options, axis->name) && !parse_number(axis->name, value, &number, error))
            return false;
        if (!strcmp(axis->name, workload) && !godwit_workload_choose(&chosen, value, error))
            return false;
    }
    return true;
}

void godwit_plan_free(gpointer data)
{
    struct godwit_plan *plan = data;
    json_decref(plan->settings);
    g_free(plan);
}

/* Gives PLAN's guest what the axes choose in CELL. */
static bool choose_guest(const struct godwit_sweep_options *options, const struct godwit_cell *cell,
                         struct godwit_plan *plan, GError **error)
{
    struct godwit_options own = options->target;
    g_autofree char *range = NULL;
    const char *name = own.workload ? own.workload : own.usual_workloads;
    const struct godwit_workload usual =
        godwit_image_workload(plan->setup.machine, plan->setup.image);
    for (guint a = 0; a < options->axes->len; a++) {
        const struct godwit_axis *axis = g_ptr_array_index(options->axes, a);
        const char *value = axis->values[cell->choice[a]];
        uint64_t size = 0;
        int *number = number_of(&own, axis->name);
        if (number && !parse_number(axis->name, value, number, error))
            return false;
        if (!strcmp(axis->name, workload))
            name = value;
        if (!strcmp(axis->name, window)) {
            if (!parse_size(value, &size, error))
                return false;
            range = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, usual.window_start,
                                    usual.window_start + size);
            own.window = range;
        }
    }
    if (godwit_target_choose(&plan->setup, &own, name, error))
        return true;
    g_autofree char *text = godwit_cell_text(options->axes, cell);
    godwit_error_context(error, "%s", text);
    return false;
}

/* Gives PLAN the settings of all cells and those that the axes choose in CELL. */
static bool choose_settings(const struct godwit_sweep_options *options,
                            const struct godwit_cell *cell, struct godwit_plan *plan,
                            GError **error)
{
    plan->settings = json_object();
    if (options->target.settings)
        json_object_update(plan->settings, options->target.settings);
    for (guint a = 0; a < options->axes->len; a++) {
        const struct godwit_axis *axis = g_ptr_array_index(options->axes, a);
        g_autofree char *setting =
            g_strdup_printf("%s=%s", axis->name, axis->values[cell->choice[a]]);
        if (!godwit_axis_is_own(axis->name) && !godwit_settings_add(plan->settings, setting, error))
            return false;
    }
    plan->setup.settings = plan->settings;
    return godwit_settings_check(plan->settings, plan->setup.source, error) &&
           godwit_settings_check(plan->settings, plan->setup.destination, error);
}

/* Adds the cell of SCENARIO whose choices are number NUMBER. */
static bool add_cell(const struct godwit_sweep_options *options, const struct godwit_target *target,
                     const struct godwit_scenario *scenario, unsigned number, GPtrArray *cells,
                     GPtrArray *plans, GError **error)
{
    struct godwit_cell *cell = godwit_cell_new(scenario->name, options->axes->len);
    struct godwit_plan *plan = g_new0(struct godwit_plan, 1);
    g_ptr_array_add(cells, cell);
    g_ptr_array_add(plans, plan);
    /* The last axis changes fastest, as in nested loops. */
    for (guint a = options->axes->len; a-- > 0;) {
        const struct godwit_axis *axis = g_ptr_array_index(options->axes, a);
        const guint length = g_strv_length(axis->values);
        cell->choice[a] = number % length;
        number /= length;
    }
    plan->scenario = scenario;
    plan->setup = target->setup;
    if (!choose_settings(options, cell, plan, error) || !choose_guest(options, cell, plan, error))
        return false;
    cell->skipped = godwit_scenario_skip_reason(scenario, &plan->setup);
    godwit_speed_prepare(scenario, &plan->setup);
    return true;
}

/* Sets the parameters of all PLANS on a QEMU without a machine, one after another. */
static bool try_all(struct godwit_vm *vm, gpointer data, GError **error)
{
    const GPtrArray *plans = data;
    g_autoptr(GHashTable) tried =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)NULL);
    for (guint i = 0; i < plans->len; i++) {
        const struct godwit_plan *plan = g_ptr_array_index(plans, i);
        g_autoptr(json_t) parameters = json_object();
        const char *name;
        json_t *value;
        json_object_foreach(plan->settings, name,
                            value) if (godwit_qemu_has(vm->qemu, "parameter", name))
            json_object_set(parameters, name, value);
        g_autofree char *text = godwit_settings_text(parameters);
        if (!*text || !g_hash_table_add(tried, g_strdup(text)))
            continue;
        g_autoptr(GError) cause = NULL;
        if (godwit_vm_command(vm, "migrate-set-parameters", json_incref(parameters), &cause))
            continue;
        if (cause->code != GODWIT_ERROR_QMP) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s (QEMU %s) does not take %s: %s",
                           vm->qemu->path, vm->qemu->version, text, cause->message);
    }
    return true;
}

bool godwit_sweep_grid(struct godwit_process *process, const struct godwit_sweep_options *options,
                       const struct godwit_target *target, const GPtrArray *scenarios,
                       GPtrArray *cells, GPtrArray *plans, GError **error)
{
    unsigned grid = 1;
    for (guint a = 0; a < options->axes->len; a++)
        grid *= g_strv_length(
            ((const struct godwit_axis *)g_ptr_array_index(options->axes, a))->values);
    for (guint s = 0; s < scenarios->len; s++)
        for (unsigned number = 0; number < grid; number++)
            if (!add_cell(options, target, g_ptr_array_index(scenarios, s), number, cells, plans,
                          error))
                return false;
    const struct godwit_qemu *const both[] = {target->source, target->destination};
    const size_t count = strcmp(target->source->path, target->destination->path) ? 2 : 1;
    for (size_t i = 0; i < count; i++)
        if (!godwit_qemu_ask_all(both[i], try_all, plans, process->folder,
                                 target->setup.timeout_scale, &process->interrupted, error))
            return false;
    return true;
}
