/*
 * godwit compat: what can go from one QEMU to another, and back. Each device and each CPU model of
 * the source is put into machine types that both have, in a machine that never runs, and migrated
 * in both directions. What fails is grouped by cause.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "base/file.h"
#include "base/text.h"
#include <string.h>

/* The largest baseline, in bytes. */
#define BASELINE_MAX ((size_t)16 << 20)

/* Adds a binary to the table if it is not there. */
static void add_binary(struct godwit_compat_run *compat, const struct godwit_qemu *qemu)
{
    if (g_ptr_array_find_with_equal_func(compat->paths, qemu->path, g_str_equal, NULL))
        return;
    g_ptr_array_add(compat->paths, qemu->path);
    g_ptr_array_add(compat->table->versions, g_strdup(qemu->version));
}

/* Lists the binaries, each by its version, or by its path as well if two have the same version. */
static void add_binaries(struct godwit_compat_run *compat)
{
    for (guint t = 0; t < compat->targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(compat->targets, t);
        add_binary(compat, target->source);
        add_binary(compat, target->destination);
    }
    const GPtrArray *versions = compat->table->versions;
    for (guint i = 0; i < versions->len; i++) {
        const char *version = g_ptr_array_index(versions, i);
        unsigned alike = 0;
        for (guint j = 0; j < versions->len; j++)
            alike += !strcmp(version, g_ptr_array_index(versions, j));
        g_ptr_array_add(compat->table->binaries,
                        alike > 1
                            ? g_strdup_printf("%s (%s)", version,
                                              (const char *)g_ptr_array_index(compat->paths, i))
                            : g_strdup(version));
    }
}

static void take(gpointer data, const json_t *result)
{
    struct godwit_compat_run *compat = data;
    g_autofree char *key = godwit_compat_job_key(godwit_json_string(result, "target", ""),
                                                 godwit_json_string(result, "scenario", ""));
    const GPtrArray *cells = g_hash_table_lookup(compat->cells_of, key);
    const bool pass = !strcmp(godwit_json_string(result, "status", ""), "pass");
    /* What befell several devices at once befell one of them: each is tried alone. */
    for (guint i = 0; cells && (pass || cells->len == 1) && i < cells->len; i++) {
        struct godwit_compat_cell *cell = g_ptr_array_index(cells, i);
        cell->together = cells->len > 1;
        godwit_compat_take(cell, result);
    }
}

/* Runs the run's jobs. */
static void run_jobs(struct godwit_compat_run *compat)
{
    struct godwit_observer observer = {.data = compat, .result = take};
    g_autoptr(GPtrArray) observers = g_ptr_array_new();
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_ptr_array_add(observers, &observer);
    struct godwit_run todo = {
        .jobs = compat->jobs,
        .skipped = none,
        .parallel = (unsigned)compat->options->jobs,
        .folder = compat->process->folder,
        .janitor = compat->process->janitor,
        .observers = observers,
        .interrupted = &compat->process->interrupted,
    };
    godwit_run_jobs(&todo);
}

static bool write_formats(const struct godwit_compat_run *compat, const GPtrArray *causes,
                          GError **error)
{
    static char *const text[] = {(char *)(uintptr_t) "text", NULL};
    const struct godwit_compat_options *options = compat->options;
    char *const *formats = options->formats ? options->formats : text;
    if (!options->formats && options->find_newest)
        return true;
    g_autoptr(json_t) about = godwit_about(compat->targets);
    for (guint i = 0; formats[i]; i++)
        if (!godwit_compat_write(formats[i], compat->table, causes, about, options->baseline,
                                 error))
            return false;
    return true;
}

/* Returns whether something was tried, and all of it can go to DESTINATION. */
static bool all_can_go(const struct godwit_compat_run *compat, unsigned destination)
{
    bool tried = false;
    for (guint i = 0; i < compat->table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(compat->table->cells, i);
        if (cell->destination != destination)
            continue;
        if (godwit_compat_is_finding(cell))
            return false;
        tried = tried || cell->compat != GODWIT_COMPAT_UNTRIED;
    }
    return tried;
}

/* Prints the newest QEMU to which everything can go. Returns the exit status. */
static int print_newest(struct godwit_compat_run *compat)
{
    const struct godwit_qemu *newest = NULL;
    const char *first = NULL;
    for (guint t = 0; t < compat->targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(compat->targets, t);
        first = first ? first : target->source->path;
        if (!strcmp(target->source->path, first) &&
            all_can_go(compat, godwit_compat_number(compat, target->destination)) &&
            (!newest || godwit_qemu_compare(target->destination, newest) > 0))
            newest = target->destination;
    }
    if (newest)
        printf("%s\n", newest->path);
    else
        godwit_text_complain("there is no QEMU among them to which everything can go");
    return newest ? 0 : 1;
}

/* Fails if some machine was not tried because the host or Godwit failed, or if none was tried. */
static bool all_tried(const struct godwit_compat_run *compat, GError **error)
{
    bool tried = false;
    for (guint i = 0; i < compat->table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(compat->table->cells, i);
        if (cell->compat == GODWIT_COMPAT_ERROR)
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s with %s could not be tried: %s",
                               cell->machine, *cell->subject ? cell->subject : "nothing plugged",
                               cell->reason);
        tried = tried || cell->compat != GODWIT_COMPAT_UNTRIED;
    }
    if (tried || !compat->table->cells->len)
        return true;
    const struct godwit_compat_cell *first = g_ptr_array_index(compat->table->cells, 0);
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "nothing could be tried: %s: %s",
                       first->machine, first->reason);
}

/* Judges and reports. BASELINE is the text of --baseline, or NULL. */
static bool conclude(struct godwit_compat_run *compat, const char *baseline, int *status,
                     GError **error)
{
    const struct godwit_compat_options *options = compat->options;
    g_autoptr(GPtrArray) causes = godwit_compat_causes(compat->table);
    int worse = 0;
    for (guint i = 0; i < compat->table->cells->len; i++)
        worse += godwit_compat_is_finding(g_ptr_array_index(compat->table->cells, i));
    if (baseline) {
        worse = godwit_compat_judge(compat->table, causes, baseline, options->baseline, error);
        if (worse < 0)
            return false;
    }
    if (!write_formats(compat, causes, error) || !all_tried(compat, error))
        return false;
    *status = options->find_newest ? print_newest(compat) : worse > 0;
    if (!options->write_baseline)
        return true;
    g_autoptr(json_t) findings = godwit_compat_baseline(compat->table);
    g_autofree char *text = godwit_json_dump(findings, JSON_INDENT(2));
    g_autoptr(GError) cause = NULL;
    return g_file_set_contents(options->write_baseline, text, -1, &cause) ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write the baseline: %s",
                       cause->message);
}

static bool run_compat(struct godwit_process *process, const struct godwit_compat_options *options,
                       int *status, GError **error)
{
    gsize length;
    g_autofree char *baseline =
        options->baseline ? godwit_file_read(options->baseline, BASELINE_MAX, &length, error)
                          : NULL;
    if ((options->baseline && !baseline) || !godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets =
        godwit_targets(process, &options->target, (unsigned)options->jobs, error);
    if (!targets)
        return false;
    struct godwit_compat_run run = {
        .process = process,
        .options = options,
        .targets = targets,
        .lists = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev),
        .recipes =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref),
        .numbered =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref),
        .jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free),
        .cells_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                          (GDestroyNotify)g_ptr_array_unref),
        .later = g_ptr_array_new_with_free_func(g_free),
        .paths = g_ptr_array_new(),
        .table = godwit_compat_table_new(),
    };
    add_binaries(&run);
    bool good = godwit_compat_jobs(&run, error) &&
                godwit_compat_descriptions(process, run.paths, run.table, error);
    if (good) {
        run_jobs(&run);
        godwit_compat_together(&run);
        run_jobs(&run);
        godwit_compat_alone(&run);
        run_jobs(&run);
        good = conclude(&run, baseline, status, error);
    }
    godwit_compat_table_free(run.table);
    g_ptr_array_unref(run.paths);
    g_hash_table_unref(run.cells_of);
    g_ptr_array_unref(run.later);
    g_ptr_array_unref(run.jobs);
    g_hash_table_unref(run.numbered);
    g_hash_table_unref(run.recipes);
    g_hash_table_unref(run.lists);
    return good;
}

bool godwit_command_compat(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error)
{
    struct godwit_compat_options options = {0};
    bool helped = false;
    const bool good = godwit_compat_options_parse(&options, &argc, &argv, &helped, error) &&
                      (helped || run_compat(process, &options, status, error));
    godwit_compat_options_clear(&options);
    return good;
}
