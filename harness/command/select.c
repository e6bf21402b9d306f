/*
 * The scenarios that globs name, among those that Godwit has, and among those that a prototype
 * stands for, which only a QEMU can list.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "testbed/probe.h"
#include <string.h>

static void add(GPtrArray *chosen, const struct godwit_scenario *scenario)
{
    if (!g_ptr_array_find(chosen, scenario, NULL))
        g_ptr_array_add(chosen, (gpointer)(uintptr_t)scenario);
}

/* Adds the scenarios that match GLOB. Returns whether there are any. */
static bool add_matches(GPtrArray *chosen, const GPtrArray *all, const char *glob)
{
    bool any = false;
    for (guint i = 0; i < all->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
        if (!g_pattern_match_simple(glob, scenario->name))
            continue;
        any = true;
        add(chosen, scenario);
    }
    return any;
}

/* Adds what GLOB names of a prototype: one scenario, or the prototype itself, if a QEMU has to say
 * what matches. Returns whether it names any. */
static bool add_made(GPtrArray *chosen, const char *glob)
{
    g_autoptr(GPtrArray) prototypes = godwit_scenario_prototypes();
    for (guint i = 0; i < prototypes->len; i++) {
        const struct godwit_scenario *prototype = g_ptr_array_index(prototypes, i);
        g_autofree char *prefix = godwit_scenario_prefix(prototype);
        if (!g_str_has_prefix(glob, prefix) || !glob[strlen(prefix)])
            continue;
        add(chosen, strpbrk(glob, "*?") ? prototype : godwit_scenario_find(glob));
        return true;
    }
    return false;
}

/* Returns the question that a message asks if NAME is a family of scenarios; otherwise an empty
 * string. */
static char *family(const GPtrArray *all, const char *name)
{
    g_autofree char *glob = g_strconcat(name, g_str_has_suffix(name, "/") ? "*" : "/*", NULL);
    g_autoptr(GPtrArray) members = g_ptr_array_new();
    const bool matches = add_matches(members, all, glob);
    return add_made(members, glob) || matches ? g_strdup_printf("did you mean '%s'? ", glob)
                                              : g_strdup("");
}

GPtrArray *godwit_match_scenarios(char **globs, GError **error)
{
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    if (!globs || !globs[0])
        return g_steal_pointer(&all);
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    for (guint g = 0; globs[g]; g++) {
        /* A glob may name both: of poke/, one scenario is for any QEMU, and a QEMU lists the
         * others. */
        const bool matches = add_matches(chosen, all, globs[g]);
        if (add_made(chosen, globs[g]) || matches)
            continue;
        g_autofree char *hint = family(all, globs[g]);
        godwit_fail(error, GODWIT_ERROR_USAGE, "no scenario matches \"%s\" (%ssee `godwit list`)",
                    globs[g], hint);
        return NULL;
    }
    return g_steal_pointer(&chosen);
}

/* Adds what the target's source has of the prototype and GLOBS match. */
static bool add_names(struct godwit_process *process, const struct godwit_target *target,
                      const struct godwit_scenario *prototype, char **globs, GPtrArray *chosen,
                      GError **error)
{
    g_auto(GStrv) names =
        godwit_qemu_ask(target->source, prototype->names, process->folder,
                        target->setup.timeout_scale, &process->interrupted, error);
    g_autofree char *prefix = godwit_scenario_prefix(prototype);
    for (guint n = 0; names && names[n]; n++) {
        g_autofree char *name = g_strconcat(prefix, names[n], NULL);
        for (guint g = 0; globs[g]; g++)
            if (g_pattern_match_simple(globs[g], name))
                add(chosen, godwit_scenario_find(name));
    }
    return names != NULL;
}

GPtrArray *godwit_target_scenarios(struct godwit_process *process,
                                   const struct godwit_target *target, const GPtrArray *scenarios,
                                   char **globs, GError **error)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    for (guint i = 0; i < scenarios->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, i);
        /* There is nothing to list for a workload that the prototype does not run with. */
        const bool fits =
            godwit_scenario_stamps(scenario) || !(target->setup.workload.flags & GODWIT_FLAG_STAMP);
        if (!scenario->names || strcmp(godwit_scenario_subject(scenario), GODWIT_NAME + 1) != 0)
            add(chosen, scenario);
        else if (fits && !add_names(process, target, scenario, globs, chosen, error))
            return NULL;
    }
    return g_steal_pointer(&chosen);
}
