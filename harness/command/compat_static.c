/*
 * The static part of `godwit compat`: each binary describes the state of its devices
 * (-dump-vmstate), for each machine type that is tried, and the descriptions are compared. What
 * differs is a suspicion, which the table's cells confirm or not.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "base/contain.h"
#include "inventory/vmstate.h"
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

/* Descriptions by binary and machine type, "PATH\nTYPE". */
typedef GHashTable descriptions;

/* How long a binary may take to describe a machine, in seconds. It takes less than one. */
#define DESCRIBE_SECONDS 60

/* The end of a process. */
struct end {
    char *said;    /* its stderr; owned */
    GError *error; /* owned */
    bool has_come, late;
};

static void ended(GObject *process, GAsyncResult *result, gpointer data)
{
    struct end *end = data;
    g_subprocess_communicate_utf8_finish(G_SUBPROCESS(process), result, NULL, &end->said,
                                         &end->error);
    end->has_come = true;
}

static gboolean too_late(gpointer data)
{
    ((struct end *)data)->late = true;
    return G_SOURCE_CONTINUE;
}

/* Waits until a process has ended and its stderr is known. Kills it if it takes too long, or if the
 * command is interrupted. */
static void await_end(GSubprocess *process, const bool *interrupted, struct end *end)
{
    const guint timer = g_timeout_add_seconds(DESCRIBE_SECONDS, too_late, end);
    g_subprocess_communicate_utf8_async(process, NULL, NULL, ended, end);
    while (!end->has_come) {
        if (end->late || *interrupted)
            g_subprocess_force_exit(process);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(timer);
}

/* Has BINARY describe the machine TYPE in the file PATH. */
static bool describe(const struct godwit_process *process, const char *binary, const char *type,
                     const char *path, GError **error)
{
    struct end end = {0};
    g_autoptr(GError) cause = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    const char *const arguments[] = {binary, "-display",      "none", "-machine",
                                     type,   "-dump-vmstate", path,   NULL};
    g_autoptr(GSubprocess) qemu =
        godwit_contain_spawn(launcher, arguments, NULL, NULL, NULL, &cause);
    if (qemu)
        await_end(qemu, &process->interrupted, &end);
    g_autofree char *said = end.said;
    g_autoptr(GError) failure = end.error;
    if (process->interrupted)
        return godwit_fail(error, GODWIT_ERROR_INTERRUPTED, "interrupted");
    if (end.late)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "%s does not describe the machine %s within %d seconds", binary, type,
                           DESCRIBE_SECONDS);
    if (qemu && !failure && g_subprocess_get_successful(qemu))
        return true;
    g_autofree char *line = g_strdup(said      ? said
                                     : failure ? failure->message
                                     : cause   ? cause->message
                                               : "it says nothing");
    line[strcspn(line, "\n")] = '\0';
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s does not describe the machine %s: %s",
                       binary, type, line);
}

/* Returns the description of a binary's machine type, borrowed. Asks for it once. */
static const struct godwit_vmstate_document *describe_once(descriptions *known,
                                                           const struct godwit_process *process,
                                                           const char *binary, const char *type,
                                                           GError **error)
{
    g_autofree char *key = g_strdup_printf("%s\n%s", binary, type);
    struct godwit_vmstate_document *document = g_hash_table_lookup(known, key);
    if (document)
        return document;
    g_autofree char *path = g_build_filename(process->folder, "vmstate.json", NULL);
    document =
        describe(process, binary, type, path, error) ? godwit_vmstate_read(path, error) : NULL;
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
            known, process, g_ptr_array_index(paths, cell->source), cell->machine, error);
        const struct godwit_vmstate_document *destination =
            source ? describe_once(known, process, g_ptr_array_index(paths, cell->destination),
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
