/*
 * What `godwit compat` tries: for each pair of binaries and each machine type that both have, the
 * machine alone, the devices and the CPU models of the source. Each gets a cell of the table, and a
 * job unless the answer is known.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "scenario/device_recipes.h"
#include "testbed/probe.h"
#include <string.h>

unsigned godwit_compat_number(const struct godwit_compat_run *run, const struct godwit_qemu *qemu)
{
    guint i = 0;
    while (strcmp(g_ptr_array_index(run->paths, i), qemu->path) != 0)
        i++;
    return i;
}

char *godwit_compat_job_key(const char *target, const char *scenario)
{
    return g_strdup_printf("%s\n%s", target, scenario);
}

static const struct godwit_scenario *prototype(const char *prefix)
{
    g_autoptr(GPtrArray) prototypes = godwit_scenario_prototypes();
    for (guint i = 0; i < prototypes->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(prototypes, i);
        g_autofree char *has = godwit_scenario_prefix(scenario);
        if (!strcmp(has, prefix))
            return scenario;
    }
    return NULL;
}

/* Returns what the prototype PREFIX stands for in a binary, borrowed, or NULL with ERROR set. Asks
 * the binary once. */
static char **list_of(struct godwit_compat_run *run, const struct godwit_target *target,
                      const struct godwit_qemu *qemu, const char *prefix, GError **error)
{
    g_autofree char *key = g_strconcat(prefix, qemu->path, NULL);
    char **names = g_hash_table_lookup(run->lists, key);
    if (names)
        return names;
    names = godwit_qemu_ask(qemu, prototype(prefix)->names, run->process->folder,
                            target->setup.timeout_scale, &run->process->interrupted, error);
    if (names)
        g_hash_table_insert(run->lists, g_steal_pointer(&key), names);
    return names;
}

/* Asks a binary for its recipes for the devices that are chosen, unless they are known: otherwise
 * every job would start it for that. With all machine types, also for those that can be joined. A
 * device of whose question QEMU dies has none, so that its job asks again, and reports that. */
static void ask_recipes(struct godwit_compat_run *run, const struct godwit_target *target,
                        const struct godwit_qemu *qemu, char **devices)
{
    if (g_hash_table_contains(run->recipes, qemu->path))
        return;
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    for (guint i = 0; devices[i]; i++)
        if (godwit_compat_has_device(run->options, devices[i]))
            g_ptr_array_add(chosen, devices[i]);
    const guint count = chosen->len;
    g_ptr_array_add(chosen, NULL);
    json_t *recipes = json_object();
    json_t *numbered = run->options->all_machines ? json_object() : NULL;
    const struct godwit_device_recipes wanted = {(char **)chosen->pdata, recipes, numbered};
    bool more = count > 0;
    while (more) {
        const size_t before = json_object_size(recipes);
        g_autoptr(GError) ignored = NULL;
        more = !godwit_qemu_ask_all(qemu, godwit_device_recipes, (gpointer)(uintptr_t)&wanted,
                                    run->process->folder, target->setup.timeout_scale,
                                    &run->process->interrupted, &ignored) &&
               json_object_size(recipes) > before && json_object_size(recipes) < count;
    }
    g_hash_table_insert(run->recipes, g_strdup(qemu->path), recipes);
    if (numbered)
        g_hash_table_insert(run->numbered, g_strdup(qemu->path), numbered);
}

/* Returns the place of the number at the end of a machine type, and of what follows it, or NULL if
 * the type has no version: "7.2" of "pc-q35-7.2". */
static const char *version_of(const char *type)
{
    const char *dash = strrchr(type, '-');
    return dash && g_ascii_isdigit(dash[1]) && strchr(dash, '.') ? dash + 1 : NULL;
}

/* Compares the names of two machine types without their versions. */
static int compare_families(const char *one, const char *other)
{
    const char *v = version_of(one), *w = version_of(other);
    g_autofree char *family = v ? g_strndup(one, (gsize)(v - one)) : g_strdup(one);
    g_autofree char *other_family = w ? g_strndup(other, (gsize)(w - other)) : g_strdup(other);
    return strcmp(family, other_family);
}

static bool is_same_family(const char *one, const char *other)
{
    return !compare_families(one, other);
}

/* Orders machine types with versions: families by name, then the newest version first. */
static int by_family(gconstpointer a, gconstpointer b)
{
    const char *one = *(const char *const *)a, *other = *(const char *const *)b;
    const int order = compare_families(one, other);
    return order ? order : strverscmp(version_of(other), version_of(one));
}

static bool has_type(GPtrArray *types, const char *type)
{
    return g_ptr_array_find_with_equal_func(types, type, g_str_equal, NULL);
}

static void add_type(GPtrArray *types, const char *type)
{
    if (!has_type(types, type))
        g_ptr_array_add(types, (gpointer)(uintptr_t)type);
}

/* Adds a note about the machine types that are not tried on a target. */
static void note_types(struct godwit_compat_run *run, const struct godwit_target *target,
                       const char *why, GPtrArray *types)
{
    if (!types->len)
        return;
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "%s from %s to %s: %s: ", target->setup.machine->arch,
                    (const char *)g_ptr_array_index(run->table->binaries,
                                                    godwit_compat_number(run, target->source)),
                    (const char *)g_ptr_array_index(run->table->binaries,
                                                    godwit_compat_number(run, target->destination)),
                    why);
    for (guint i = 0; i < types->len; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               (const char *)g_ptr_array_index(types, i));
    g_ptr_array_add(run->table->notes, g_string_free(g_steal_pointer(&text), FALSE));
}

/* Returns the machine types to try on a target, the target's own first, which the caller
 * unreferences. Notes what is left out. */
static GPtrArray *types_of(struct godwit_compat_run *run, const struct godwit_target *target)
{
    const json_t *here = target->source->machines, *there = target->destination->machines;
    GPtrArray *types = g_ptr_array_new();
    g_ptr_array_add(types, (gpointer)(uintptr_t)target->setup.type);
    g_autoptr(GPtrArray) unversioned = g_ptr_array_new();
    if (!version_of(target->setup.type)) {
        add_type(unversioned, target->setup.type);
        note_types(run, target,
                   "nothing promises that this machine type without a version is alike",
                   unversioned);
    }
    if (!run->options->all_machines)
        return types;
    g_autoptr(GPtrArray) more = g_ptr_array_new();
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    const char *name;
    json_t *full;
    json_object_foreach((json_t *)(uintptr_t)here, name, full)
    {
        const char *type = json_string_value(full);
        if (!version_of(type) || !strcmp(type, target->setup.type))
            continue;
        add_type(json_object_get(there, type) ? more : missing, type);
    }
    g_ptr_array_sort(more, by_family);
    g_ptr_array_sort(missing, by_family);
    for (guint i = 0; i < more->len; i++)
        g_ptr_array_add(types, g_ptr_array_index(more, i));
    note_types(run, target, "left out, only the source has", missing);
    return types;
}

static struct godwit_compat_cell *add_cell(struct godwit_compat_run *run,
                                           const struct godwit_target *target, const char *type,
                                           const char *subject)
{
    return godwit_compat_add(run->table, godwit_compat_number(run, target->source),
                             godwit_compat_number(run, target->destination),
                             target->setup.machine->arch, type, subject);
}

static void set_missing(struct godwit_compat_cell *cell, const char *what)
{
    cell->compat = cell->unpromised ? GODWIT_COMPAT_VARIES : GODWIT_COMPAT_MISSING;
    g_free(cell->reason);
    cell->reason = g_strdup_printf("the destination has no such %s", what);
}

struct godwit_job *godwit_compat_add_job(struct godwit_compat_run *run,
                                         const struct godwit_target *target,
                                         struct godwit_compat_cell *cell, const char *prefix,
                                         const char *name)
{
    g_autofree char *full = g_strconcat(prefix, name, NULL);
    const struct godwit_scenario *scenario = godwit_scenario_find(full);
    struct godwit_job *job = godwit_target_job(target, scenario);
    g_free(job->target);
    g_free(job->type);
    job->target = g_strdup_printf("%s, %s", target->name, cell->machine);
    job->setup.type = job->type = g_strdup(cell->machine);
    job->repetition = job->repetitions = 1;
    g_ptr_array_add(run->jobs, job);
    GPtrArray *cells = g_ptr_array_new();
    g_ptr_array_add(cells, cell);
    g_hash_table_insert(run->cells_of, godwit_compat_job_key(job->target, scenario->name), cells);
    return job;
}

void godwit_compat_add_device(struct godwit_compat_run *run, const struct godwit_target *target,
                              struct godwit_compat_cell *cell)
{
    struct godwit_job *job =
        godwit_compat_add_job(run, target, cell, GODWIT_COMPAT_DEVICES, cell->subject);
    const json_t *ours = g_hash_table_lookup(run->recipes, target->source->path);
    const json_t *theirs = g_hash_table_lookup(run->recipes, target->destination->path);
    godwit_job_set_recipes(job, json_object_get(ours, cell->subject),
                           json_object_get(theirs, cell->subject));
}

/* Adds a device that is tried after FIRST, the cell of the same one on a newer machine type. */
static void add_later(struct godwit_compat_run *run, const struct godwit_target *target,
                      struct godwit_compat_cell *cell, const struct godwit_compat_cell *first)
{
    struct godwit_compat_later *later = g_new0(struct godwit_compat_later, 1);
    later->target = target;
    later->cell = cell;
    later->first = first;
    g_ptr_array_add(run->later, later);
}

/* Adds the devices of a target with one machine type. NEWEST has device -> cell of the newest
 * type of its family, and is filled in if this is the one. */
static bool add_devices(struct godwit_compat_run *run, const struct godwit_target *target,
                        const char *type, GHashTable *newest, GError **error)
{
    char **here = list_of(run, target, target->source, GODWIT_COMPAT_DEVICES, error);
    char **there =
        here ? list_of(run, target, target->destination, GODWIT_COMPAT_DEVICES, error) : NULL;
    if (!there)
        return false;
    ask_recipes(run, target, target->source, here);
    ask_recipes(run, target, target->destination, there);
    for (guint i = 0; here[i]; i++) {
        if (!godwit_compat_has_device(run->options, here[i]))
            continue;
        struct godwit_compat_cell *cell = add_cell(run, target, type, here[i]);
        const struct godwit_compat_cell *first = g_hash_table_lookup(newest, here[i]);
        if (!g_strv_contains((const char *const *)there, here[i])) {
            set_missing(cell, "device");
        } else if (first) {
            add_later(run, target, cell, first);
        } else {
            godwit_compat_add_device(run, target, cell);
            g_hash_table_insert(newest, cell->subject, cell);
        }
    }
    return true;
}

/* Returns whether the model is whatever its QEMU and its host can do, so that nothing promises that
 * two QEMUs agree about it. */
static bool is_unpromised(const char *model)
{
    static const char *const names[] = {"max", "host", "base", NULL};
    return g_strv_contains(names, model);
}

/* Adds the CPU models of a target with one machine type. */
static bool add_models(struct godwit_compat_run *run, const struct godwit_target *target,
                       const char *type, bool newest, GError **error)
{
    if (!g_strcmp0(run->options->cpu_models, "none"))
        return true;
    char **here = list_of(run, target, target->source, GODWIT_COMPAT_MODELS, error);
    char **there =
        here ? list_of(run, target, target->destination, GODWIT_COMPAT_MODELS, error) : NULL;
    for (guint i = 0; there && here[i]; i++) {
        if (!godwit_compat_has_model(run->options, here[i], newest))
            continue;
        struct godwit_compat_cell *cell = add_cell(run, target, type, here[i]);
        cell->cpu = true;
        cell->unpromised = is_unpromised(here[i]);
        if (g_strv_contains((const char *const *)there, here[i]))
            godwit_compat_add_job(run, target, cell, GODWIT_COMPAT_MODELS, here[i]);
        else
            set_missing(cell, "CPU model");
    }
    return there != NULL;
}

/* Fails if globs were given for devices, or for CPU models, and match none of any source. */
static bool all_matched(const struct godwit_compat_run *run, GError **error)
{
    bool device = false, cpu = false;
    for (guint i = 0; i < run->table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(run->table->cells, i);
        cpu = cpu || cell->cpu;
        device = device || (!cell->cpu && *cell->subject);
    }
    const char *devices = run->options->devices, *models = run->options->cpu_models;
    if (devices && strcmp(devices, "none") != 0 && !device)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "no device matches --devices %s (see godwit list 'prelaunch/*')",
                           devices);
    return !models || !strcmp(models, "none") || cpu ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "no CPU model matches --cpu-models %s (see godwit list 'cpu/*')", models);
}

bool godwit_compat_jobs(struct godwit_compat_run *run, GError **error)
{
    const char *first = NULL;
    for (guint t = 0; t < run->targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(run->targets, t);
        first = first ? first : target->source->path;
        if (run->options->find_newest && strcmp(target->source->path, first) != 0)
            continue;
        g_autoptr(GPtrArray) types = types_of(run, target);
        g_autoptr(GHashTable) newest = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; i < types->len; i++) {
            const char *type = g_ptr_array_index(types, i);
            if (i && !is_same_family(type, g_ptr_array_index(types, i - 1)))
                g_hash_table_remove_all(newest);
            godwit_compat_add_job(run, target, add_cell(run, target, type, ""),
                                  GODWIT_COMPAT_MACHINES, type);
            if (!add_devices(run, target, type, newest, error) ||
                !add_models(run, target, type, i == 0, error))
                return false;
        }
    }
    return all_matched(run, error);
}
