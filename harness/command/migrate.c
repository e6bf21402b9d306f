/*
 * godwit migrate: runs one migration, composed from options.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/files.h"
#include "guest/image.h"
#include "oracle/ledger.h"
#include "qemu/qemu.h"
#include "report/kept.h"
#include "report/report.h"
#include <string.h>

struct migrate_options {
    struct godwit_options target;
    char *transport;
    gboolean postcopy;
    gboolean stopped;
    char *command; /* the file with a command line; NULL: none */
    char *guest;
    char **capabilities;
    char **parameters;
    char *fault;
    char **formats;
    char *oracles;
    unsigned oracles_off;
    gboolean allow_all_skipped;
    gboolean keep;
    char *output;
};

static void clear(struct migrate_options *options)
{
    godwit_options_clear(&options->target);
    g_free(options->transport);
    g_free(options->command);
    g_free(options->guest);
    g_strfreev(options->capabilities);
    g_strfreev(options->parameters);
    g_free(options->fault);
    g_strfreev(options->formats);
    g_free(options->oracles);
    g_free(options->output);
}

/* Takes --command, --guest and --after. */
static bool take_command(struct migrate_options *options, GError **error)
{
    struct godwit_options *target = &options->target;
    const char *guest = options->guest ? options->guest : "godwit";
    target->theirs = !strcmp(guest, "theirs");
    if (!target->theirs && strcmp(guest, "godwit") != 0)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "unknown guest \"%s\" (expected godwit or theirs)", guest);
    if (options->guest && !options->command)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--guest needs --command");
    if (target->after && !target->theirs)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "--after needs --guest theirs");
    if (target->theirs &&
        (options->postcopy || options->fault || target->window || target->workload ||
         target->image || target->page_size != GODWIT_NOT_GIVEN ||
         target->dirty_rate != GODWIT_NOT_GIVEN || target->page_ticks != GODWIT_NOT_GIVEN ||
         target->cpus != GODWIT_NOT_GIVEN))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--guest theirs excludes --postcopy, --fault, --image, --workload and "
                           "what else is about Godwit's guest");
    return !options->command || godwit_options_command(target, options->command, error);
}

static bool parse(struct migrate_options *options, int *argc, char ***argv, bool *helped,
                  GError **error)
{
    godwit_options_init(&options->target);
    g_autofree char *oracles_help = godwit_oracles_help();
    const GOptionEntry entries[] = {
        {"transport", 't', 0, G_OPTION_ARG_STRING, &options->transport,
         "Transport: unix (default) or tcp", "NAME"},
        {"postcopy", 0, 0, G_OPTION_ARG_NONE, &options->postcopy,
         "Switch to postcopy once the migration is proven to be live", NULL},
        {"stopped", 0, 0, G_OPTION_ARG_NONE, &options->stopped,
         "Stop the source first, so that the migration is not live; not with --postcopy", NULL},
        {"command", 0, 0, G_OPTION_ARG_FILENAME, &options->command,
         "Run the machine of a complete command line of QEMU, which is in FILE, or - for standard "
         "input",
         "FILE"},
        {"guest", 0, 0, G_OPTION_ARG_STRING, &options->guest,
         "With --command, the guest: godwit (default), or theirs for what the command line boots",
         "NAME"},
        {"after", 0, 0, G_OPTION_ARG_STRING, &options->target.after,
         "With --guest theirs, migrate once the guest's console has shown TEXT (default: at once)",
         "TEXT"},
        {"capability", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &options->capabilities,
         "Set a migration capability on both sides; repeatable", "NAME[=on|off]"},
        {"parameter", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &options->parameters,
         "Set a migration parameter on both sides; repeatable", "NAME=NUMBER"},
        {"fault", 0, 0, G_OPTION_ARG_STRING, &options->fault,
         "Have a relay inject one fault into the migration; `godwit selftest --list` lists the "
         "faults",
         "NAME[:KEY=NUMBER,...]"},
        {"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &options->formats,
         "Report as text (default), " GODWIT_REPORT_FORMATS
         ", to standard output or to FILE; repeatable",
         "NAME[:FILE]"},
        {"oracle", 0, 0, G_OPTION_ARG_STRING, &options->oracles, oracles_help, "NAME[,NAME...]"},
        GODWIT_ALLOW_ALL_SKIPPED(&options->allow_all_skipped),
        {"keep", 0, 0, G_OPTION_ARG_NONE, &options->keep,
         "Also keep the folders of scenarios that passed", NULL},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options->output,
         "Where to keep the folders of scenarios that failed, or of all with --keep (default: "
         "godwit-output)",
         "DIR"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[-- QEMU-ARGS]");
    g_option_context_set_summary(
        context,
        "Runs one verified migration on each selected architecture, composed from options:\n"
        "  godwit migrate --arch x86_64 --transport tcp --memory 1024 --capability xbzrle\n"
        "Exit status: 0 if nothing failed, 1 if a migration failed, 2 after a usage or "
        "environment\n"
        "error or if nothing ran. Skips are not failures. A known bug of QEMU is a failure only "
        "if it\nloses the guest; see --accept-known and --strict.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options->target));
    if (!godwit_options_parse(context, &options->target, argc, argv, helped, error))
        return false;
    if (*argc > 1) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                    "migrate: unexpected argument \"%s\" (see --help)", (*argv)[1]);
        return false;
    }
    return *helped || (take_command(options, error) &&
                       (!options->oracles ||
                        godwit_oracles_choose(options->oracles, &options->oracles_off, error)));
}

/* Fills in the job's migration spec from the options. */
static bool fill_spec(struct godwit_job *job, const struct migrate_options *options, GError **error)
{
    const char *transport = options->transport ? options->transport : "unix";
    if (!strcmp(transport, "unix"))
        job->spec.transport = GODWIT_TRANSPORT_UNIX;
    else if (!strcmp(transport, "tcp"))
        job->spec.transport = GODWIT_TRANSPORT_TCP;
    else
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "unknown transport \"%s\" (expected unix or tcp)", transport);
    if (options->stopped && options->postcopy)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--stopped and --postcopy exclude each other: a stopped guest cannot be "
                           "switched to postcopy");
    struct godwit_fault fault;
    if (options->fault && !godwit_fault_parse(options->fault, &fault, error))
        return false;
    job->fault = g_strdup(options->fault);
    job->spec.fault = job->fault;
    if (options->postcopy)
        job->spec.move = GODWIT_MOVE_POSTCOPY;
    else if (options->stopped || (options->fault && !godwit_fault_is_live(fault.kind)))
        job->spec.move = GODWIT_MOVE_STOPPED;
    else
        job->spec.move = GODWIT_MOVE_ITERATE;
    for (guint i = 0; options->capabilities && options->capabilities[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(options->capabilities[i], "=", 2);
        const char *value = parts[0] && parts[1] ? parts[1] : "on";
        if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "%s: --capability needs NAME, NAME=on or NAME=off",
                               options->capabilities[i]);
        const struct godwit_capability c = {g_intern_string(parts[0]), !strcmp(value, "on")};
        if (!godwit_qemu_has(job->setup.source, "capability", c.name))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "%s: this QEMU has no such migration capability", c.name);
        g_array_append_val(job->capabilities, c);
    }
    for (guint i = 0; options->parameters && options->parameters[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(options->parameters[i], "=", 2);
        gint64 value = 0;
        if (!parts[0] || !parts[1] ||
            !g_ascii_string_to_signed(parts[1], 10, G_MININT64, G_MAXINT64, &value, NULL))
            return godwit_fail(error, GODWIT_ERROR_USAGE, "%s: --parameter needs NAME=NUMBER",
                               options->parameters[i]);
        if (!godwit_qemu_has(job->setup.source, "parameter", parts[0]))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "%s: this QEMU has no such migration parameter", parts[0]);
        const struct godwit_parameter p = {g_intern_string(parts[0]), value, NULL};
        g_array_append_val(job->parameters, p);
    }
    return true;
}

static bool migrate(struct godwit_process *process, const struct migrate_options *options,
                    int *status, GError **error)
{
    g_autofree char *output =
        g_canonicalize_filename(options->output ? options->output : "godwit-output", NULL);
    if (!godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets = godwit_targets(process, &options->target, 1, error);
    if (!targets)
        return false;
    g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free);
    for (guint i = 0; i < targets->len; i++) {
        struct godwit_job *job = godwit_target_job(g_ptr_array_index(targets, i), NULL);
        job->command_words = options->target.command_words;
        if (options->command)
            job->command = strcmp(options->command, "-")
                               ? g_canonicalize_filename(options->command, NULL)
                               : g_strdup("-");
        g_ptr_array_add(jobs, job);
        if (!fill_spec(job, options, error))
            return false;
    }
    g_autoptr(GPtrArray) reporters = godwit_reporters_open_or_text(options->formats, error);
    if (!reporters)
        return false;
    /* This comes last, so that a migration that does not begin leaves nothing behind. */
    if (options->keep && !godwit_files_folder(output, error)) {
        godwit_reporters_discard(reporters);
        return false;
    }
    const struct godwit_shard whole = {1, 1};
    g_autoptr(godwit_selection) selection = godwit_selection_new();
    for (guint i = 0; i < jobs->len; i++) {
        struct godwit_job *job = g_ptr_array_index(jobs, i);
        godwit_selection_add(selection, job);
        job->keep = options->keep;
        job->setup.oracles_off = options->oracles_off;
    }
    g_autoptr(GPtrArray) observers = g_ptr_array_new();
    g_ptr_array_add(observers, &godwit_kept_writer);
    godwit_reporters_begin(reporters, observers, targets, jobs, selection, &whole, 1);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    struct godwit_run todo = {
        .jobs = jobs,
        .skipped = none,
        .parallel = 1,
        .keep = options->keep,
        .folder = process->folder,
        .output = output,
        .janitor = process->janitor,
        .observers = observers,
        .interrupted = &process->interrupted,
    };
    const struct godwit_summary summary = godwit_run_jobs(&todo);
    *status = godwit_summary_status(&summary);
    return godwit_reporters_close(reporters, error) &&
           godwit_summary_check(&summary, options->allow_all_skipped, error);
}

bool godwit_command_migrate(struct godwit_process *process, int argc, char **argv, int *status,
                            GError **error)
{
    struct migrate_options options = {0};
    bool helped = false;
    const bool good = parse(&options, &argc, &argv, &helped, error) &&
                      (helped || migrate(process, &options, status, error));
    clear(&options);
    return good;
}
