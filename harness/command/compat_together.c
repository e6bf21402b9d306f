/*
 * Several devices at once. Starting two QEMUs is most of what trying a device takes, and with all
 * machine types there are thousands to try. So each device is tried alone on the newest machine
 * type of a family only. Those that arrive there as they were are put into the older types several
 * at a time. If they all arrive as they were, each does: state and registers of all are compared.
 * If not, each of them is tried alone after all, so that what is reported is about one device.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "inventory/recipe.h"

#include <string.h>

/* The most devices at once: buses have few places, and one device that fails makes all of them be
 * tried again. */
#define TOGETHER_MAX 8

/* Returns one recipe for a binary to plug the devices of GROUP, as JSON, or NULL if they do not fit
 * together. The caller releases it. */
static json_t *join(const struct godwit_compat_run *run, const struct godwit_qemu *qemu,
                    const GPtrArray *group)
{
    const json_t *numbered = g_hash_table_lookup(run->numbered, qemu->path);
    g_autoptr(GPtrArray) recipes =
        g_ptr_array_new_with_free_func((GDestroyNotify)godwit_recipe_free);
    for (guint i = 0; i < group->len; i++) {
        const struct godwit_compat_later *later = g_ptr_array_index(group, i);
        struct godwit_recipe *recipe =
            godwit_recipe_from_json(json_object_get(numbered, later->cell->subject));
        if (!recipe)
            return NULL;
        g_ptr_array_add(recipes, recipe);
    }
    struct godwit_recipe *joined = godwit_recipe_join(recipes);
    json_t *json = joined ? godwit_recipe_to_json(joined) : NULL;
    godwit_recipe_free(joined);
    return json;
}

/* Returns the name of a scenario with all devices of GROUP. The caller frees it. */
static char *name_of(const GPtrArray *group)
{
    GString *name = g_string_new(NULL);
    for (guint i = 0; i < group->len; i++)
        g_string_append_printf(
            name, "%s%s", i ? "+" : "",
            ((const struct godwit_compat_later *)g_ptr_array_index(group, i))->cell->subject);
    return g_string_free(name, FALSE);
}

/* Adds a job for GROUP, whose devices have one target and one machine type, and empties it. A
 * device that does not fit is tried alone, and so are those that have no company. */
static void add_group(struct godwit_compat_run *run, GPtrArray *group)
{
    const struct godwit_compat_later *first = group->len ? g_ptr_array_index(group, 0) : NULL;
    g_autoptr(json_t) ours = group->len > 1 ? join(run, first->target->source, group) : NULL;
    g_autoptr(json_t) theirs = ours ? join(run, first->target->destination, group) : NULL;
    g_autofree char *name = name_of(group);
    struct godwit_job *job =
        theirs ? godwit_compat_add_job(run, first->target, first->cell, GODWIT_COMPAT_DEVICES, name)
               : NULL;
    if (job)
        godwit_job_set_recipes(job, ours, theirs);
    for (guint i = 0; i < group->len; i++) {
        struct godwit_compat_later *later = g_ptr_array_index(group, i);
        later->together = job != NULL;
        if (!job) {
            godwit_compat_add_device(run, later->target, later->cell);
        } else if (i) {
            g_autofree char *key = godwit_compat_job_key(job->target, job->scenario->name);
            g_ptr_array_add(g_hash_table_lookup(run->cells_of, key), later->cell);
        }
    }
    g_ptr_array_set_size(group, 0);
}

void godwit_compat_together(struct godwit_compat_run *run)
{
    g_autoptr(GPtrArray) group = g_ptr_array_new();
    g_ptr_array_set_size(run->jobs, 0);
    for (guint i = 0; i < run->later->len; i++) {
        struct godwit_compat_later *later = g_ptr_array_index(run->later, i);
        const struct godwit_compat_later *before = group->len ? g_ptr_array_index(group, 0) : NULL;
        if (before && (group->len == TOGETHER_MAX || before->target != later->target ||
                       strcmp(before->cell->machine, later->cell->machine) != 0))
            add_group(run, group);
        if (later->first->compat == GODWIT_COMPAT_SAME)
            g_ptr_array_add(group, later);
        else
            godwit_compat_add_device(run, later->target, later->cell);
    }
    add_group(run, group);
}

void godwit_compat_alone(struct godwit_compat_run *run)
{
    g_ptr_array_set_size(run->jobs, 0);
    for (guint i = 0; i < run->later->len; i++) {
        const struct godwit_compat_later *later = g_ptr_array_index(run->later, i);
        if (later->together && later->cell->compat != GODWIT_COMPAT_SAME)
            godwit_compat_add_device(run, later->target, later->cell);
    }
}
