/*
 * The static part of `godwit compat`: each binary describes the state of its devices
 * (-dump-vmstate), for each machine type that is tried, and the descriptions are compared. What
 * differs is a suspicion, which the table's cells confirm or not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "inventory/vmstate.h"
#include <gio/gio.h>
#include <string.h>

/* Descriptions by binary and machine type, "PATH\nTYPE". */
typedef GHashTable descriptions;

/* Waits for the end of a process that writes a file and ends by itself. It is contained like every
 * process of a run, so nothing outlives an interruption. */
static bool describe(const char *binary, const char *type, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *said = NULL;
    g_autoptr(GSubprocess) process =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, &cause,
                         binary, "-display", "none", "-machine", type, "-dump-vmstate", path, NULL);
    if (process && g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, &cause) &&
        g_subprocess_get_successful(process))
        return true;
    g_autofree char *line = g_strdup(said ? said : cause ? cause->message : "it says nothing");
    line[strcspn(line, "\n")] = '\0';
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s does not describe the machine %s: %s",
                       binary, type, line);
}

/* Returns the description of a binary's machine type, borrowed. Asks for it once. */
static const struct godwit_vmstate_document *describe_once(descriptions *known, const char *folder,
                                                           const char *binary, const char *type,
                                                           GError **error)
{
    g_autofree char *key = g_strdup_printf("%s\n%s", binary, type);
    struct godwit_vmstate_document *document = g_hash_table_lookup(known, key);
    if (document)
        return document;
    g_autofree char *path = g_build_filename(folder, "vmstate.json", NULL);
    document = describe(binary, type, path, error) ? godwit_vmstate_read(path, error) : NULL;
    if (document)
        g_hash_table_insert(known, g_steal_pointer(&key), document);
    return document;
}

static void suspect(struct godwit_compat_table *table, const struct godwit_compat_cell *cell,
                    const struct godwit_vmstate_comparison *comparison)
{
    for (guint i = 0; i < comparison->findings->len; i++) {
        const struct godwit_vmstate_finding *finding = g_ptr_array_index(comparison->findings, i);
        g_autofree char *text =
            g_strdup_printf("%s%s%s", finding->path, *finding->path ? ": " : "", finding->text);
        const struct godwit_compat_suspicion suspicion = {
            .source = cell->source,
            .destination = cell->destination,
            .arch = cell->arch,
            .machine = cell->machine,
            .subject = finding->type,
            .text = text,
            .certain = finding->certainty == GODWIT_VMSTATE_CERTAIN,
        };
        godwit_compat_suspect(table, &suspicion);
    }
}

bool godwit_compat_descriptions(const struct godwit_process *process, const GPtrArray *paths,
                                struct godwit_compat_table *table, GError **error)
{
    g_autoptr(GHashTable) known =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)godwit_vmstate_free);
    for (guint i = 0; i < table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(table->cells, i);
        if (*cell->subject)
            continue; /* the machine alone stands for all of its cells */
        const struct godwit_vmstate_document *source = describe_once(
            known, process->folder, g_ptr_array_index(paths, cell->source), cell->machine, error);
        const struct godwit_vmstate_document *destination =
            source
                ? describe_once(known, process->folder, g_ptr_array_index(paths, cell->destination),
                                cell->machine, error)
                : NULL;
        if (!destination)
            return false;
        struct godwit_vmstate_comparison *comparison = godwit_vmstate_compare(source, destination);
        suspect(table, cell, comparison);
        godwit_vmstate_comparison_free(comparison);
    }
    return true;
}
