/*
 * godwit report: works on results that --format json has written. It merges those of shards
 * (`merge`), compares two (`diff`), and writes them in another format (`convert`).
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "report/diff.h"
#include "report/document.h"
#include <string.h>

struct report_options {
    char **formats;
    gboolean gate;
    char **words; /* the action and its files */
};

/* Reads the files. Returns an array of documents, which the caller unreferences. */
static GPtrArray *read_all(char *const *paths, GError **error)
{
    g_autoptr(GPtrArray) documents = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    for (guint i = 0; paths[i]; i++) {
        json_t *document = godwit_document_read(paths[i], error);
        if (!document)
            return NULL;
        g_ptr_array_add(documents, document);
    }
    return g_steal_pointer(&documents);
}

/* Writes the document in each of the formats, or as OTHERWISE if none was chosen. With --gate, sets
 * *STATUS as a run with these results would. */
static bool write_all(const struct report_options *options, const json_t *document,
                      const char *otherwise, int *status, GError **error)
{
    char *defaults[] = {(char *)(uintptr_t)otherwise, NULL};
    g_autoptr(GPtrArray) reporters =
        godwit_reporters_open(options->formats ? options->formats : defaults, error);
    for (guint i = 0; reporters && i < reporters->len; i++)
        godwit_document_report(document, g_ptr_array_index(reporters, i));
    if (!reporters || !godwit_reporters_close(reporters, error))
        return false;
    const struct godwit_summary summary = godwit_document_summary(document);
    if (!options->gate)
        return true;
    *status = godwit_summary_status(&summary);
    return godwit_summary_check(&summary, false, error);
}

static bool merge(const struct report_options *options, const GPtrArray *documents,
                  char *const *paths, int *status, GError **error)
{
    g_autofree char *command = godwit_command_line();
    g_autoptr(json_t) merged = godwit_document_merge(documents, paths, command, error);
    return merged && write_all(options, merged, "json", status, error);
}

static bool diff(const struct report_options *options, const GPtrArray *documents, int *status,
                 GError **error)
{
    const char *format = options->formats ? options->formats[0] : "text";
    const bool json = !strcmp(format, "json");
    if ((!json && strcmp(format, "text") != 0) || (options->formats && options->formats[1]))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "report diff: --format %s: expected text or json, to standard output",
                           format);
    struct godwit_diff *found =
        godwit_diff_new(g_ptr_array_index(documents, 0), g_ptr_array_index(documents, 1), error);
    if (!found)
        return false;
    (json ? godwit_diff_json : godwit_diff_text)(found, stdout);
    *status = found->changes[GODWIT_WORSE]->len ? 1 : 0;
    godwit_diff_free(found);
    return true;
}

static bool report(const struct report_options *options, int *status, GError **error)
{
    const char *action = options->words ? options->words[0] : "";
    const guint files = options->words ? g_strv_length(options->words) - 1 : 0;
    const bool merges = !strcmp(action, "merge"), compares = !strcmp(action, "diff");
    if (!merges && !compares && strcmp(action, "convert") != 0)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "report: expected merge, diff or convert (see --help)");
    if (merges ? files < 1 : files != (compares ? 2 : 1))
        return godwit_fail(error, GODWIT_ERROR_USAGE, "report %s: expected %s", action,
                           merges     ? "the results of each shard"
                           : compares ? "two files, OLD and NEW"
                                      : "one file");
    if (compares && options->gate)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "report diff: --gate is for merge and convert");
    g_autoptr(GPtrArray) documents = read_all(options->words + 1, error);
    if (!documents)
        return false;
    if (compares)
        return diff(options, documents, status, error);
    return merges ? merge(options, documents, options->words + 1, status, error)
                  : write_all(options, g_ptr_array_index(documents, 0), "text", status, error);
}

bool godwit_command_report(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error)
{
    (void)process;
    struct report_options options = {0};
    bool helped = false;
    const GOptionEntry entries[] = {
        {"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &options.formats,
         "Write text, " GODWIT_REPORT_FORMATS
         ", to standard output or to FILE; repeatable (default: json for merge, otherwise text); "
         "diff writes text or json",
         "NAME[:FILE]"},
        {"gate", 0, 0, G_OPTION_ARG_NONE, &options.gate,
         "merge, convert: exit as a run with these results would", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.words, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context =
        g_option_context_new("merge FILE... | diff OLD NEW | convert FILE");
    g_option_context_set_summary(
        context,
        "Works on results that `godwit run --format json` has written. `merge` puts the results "
        "of\n"
        "all shards of one run together; `diff` lists what became worse or better, came or went;\n"
        "`convert` writes the results in another format.\n"
        "Exit status: 0 if nothing is wrong; 1 if diff finds anything worse, or with --gate if a\n"
        "scenario failed; 2 after a usage or environment error, or if a shard is missing, doubled "
        "or\nof another run.");
    g_option_context_add_main_entries(context, entries, NULL);
    const bool good = godwit_options_parse(context, NULL, &argc, &argv, &helped, error) &&
                      (helped || report(&options, status, error));
    g_strfreev(options.formats);
    g_strfreev(options.words);
    return good;
}
