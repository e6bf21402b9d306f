/*
 * Names targets. A name has what distinguishes its target from the others, and no more.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include <string.h>

/* Returns true if another target has the same name. */
static bool is_ambiguous(const GPtrArray *targets, const struct godwit_target *target)
{
    for (guint i = 0; i < targets->len; i++) {
        const struct godwit_target *other = g_ptr_array_index(targets, i);
        if (other != target && !strcmp(other->name, target->name))
            return true;
    }
    return false;
}

/* Adds the paths of the binaries to names that versions do not make unique. */
static void add_paths(const GPtrArray *targets)
{
    g_autoptr(GPtrArray) ambiguous = g_ptr_array_new();
    for (guint i = 0; i < targets->len; i++)
        if (is_ambiguous(targets, g_ptr_array_index(targets, i)))
            g_ptr_array_add(ambiguous, g_ptr_array_index(targets, i));
    for (guint i = 0; i < ambiguous->len; i++) {
        struct godwit_target *target = g_ptr_array_index(ambiguous, i);
        const char *from = target->source->path, *to = target->destination->path;
        g_autofree char *name = g_steal_pointer(&target->name);
        const bool same = !strcmp(from, to);
        target->name =
            g_strdup_printf("%s (%s%s%s)", name, from, same ? "" : " to ", same ? "" : to);
    }
}

void godwit_targets_name(const GPtrArray *targets)
{
    for (guint i = 0; i < targets->len; i++) {
        struct godwit_target *target = g_ptr_array_index(targets, i);
        const char *arch = target->setup.machine->arch;
        const char *from = target->source->version, *to = target->destination->version;
        bool alone = true;
        for (guint j = 0; j < targets->len; j++) {
            const struct godwit_target *other = g_ptr_array_index(targets, j);
            alone = alone && (i == j || other->setup.machine != target->setup.machine ||
                              !strcmp(other->source->path, target->source->path));
        }
        /* The workload `order` is not part of the name. */
        g_autofree char *workload = godwit_workload_name(&target->setup.workload);
        const char *what = strcmp(workload, "order") != 0 ? workload : "";
        const char *space = *what ? " " : "";
        if (strcmp(target->source->path, target->destination->path) != 0)
            target->name = g_strdup_printf("%s %s to %s%s%s", arch, from, to, space, what);
        else if (alone)
            target->name = g_strdup_printf("%s%s%s", arch, space, what);
        else
            target->name = g_strdup_printf("%s %s%s%s", arch, from, space, what);
    }
    add_paths(targets);
}

int godwit_targets_width(const GPtrArray *targets)
{
    size_t width = 8;
    for (guint i = 0; i < targets->len; i++) {
        const struct godwit_target *target = g_ptr_array_index(targets, i);
        width = MAX(width, strlen(target->name));
    }
    return (int)width;
}
