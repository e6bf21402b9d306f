/*
 * The options that choose what to start, their checks, and the choice of scenarios by glob.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "bugs/bugs.h"
#include "migrate/settings.h"
#include "qemu/host.h"
#include "run/run.h"
#include <string.h>

void godwit_options_init(struct godwit_options *options)
{
    memset(options, 0, sizeof(*options));
    options->timeout_scale = 1;
    options->hops = 10;
    options->usual_workloads = "order";
    options->memory = GODWIT_NOT_GIVEN;
    options->page_size = GODWIT_NOT_GIVEN;
    options->dirty_rate = GODWIT_NOT_GIVEN;
    options->page_ticks = GODWIT_NOT_GIVEN;
    options->cpus = GODWIT_NOT_GIVEN;
    options->pause_iteration = GODWIT_NOT_GIVEN;
    options->postcopy_iteration = GODWIT_NOT_GIVEN;
    options->seed = g_random_int();
}

void godwit_options_clear(struct godwit_options *options)
{
    g_strfreev(options->arch);
    g_strfreev(options->qemu);
    g_free(options->direction);
    g_free(options->peer);
    g_free(options->peer_address);
    g_strfreev(options->qemu_src);
    g_strfreev(options->qemu_dst);
    g_free(options->machine);
    g_free(options->image);
    g_free(options->accel);
    g_free(options->window);
    g_free(options->workload);
    g_free(options->read_memory);
    g_free(options->after);
    g_free(options->src_args);
    g_free(options->dst_args);
    json_decref(options->settings);
    g_strfreev(options->source_words);
    g_strfreev(options->destination_words);
}

/* Takes one --accept-known. The file is read only here and only once, because it can be a pipe. */
static gboolean accept_known(const char *name, const char *value, gpointer data, GError **error)
{
    struct godwit_options *options = data;
    (void)name;
    return godwit_bug_set_parse(value, &options->accepted, error);
}

/* Takes one --set. */
static gboolean add_setting(const char *name, const char *value, gpointer data, GError **error)
{
    struct godwit_options *options = data;
    (void)name;
    if (!options->settings)
        options->settings = json_object();
    return godwit_settings_add(options->settings, value, error);
}

/* Takes --give-up. */
static gboolean take_give_up(const char *name, const char *value, gpointer data, GError **error)
{
    struct godwit_options *options = data;
    return godwit_speed_time(name, value, &options->give_up, error);
}

GOptionGroup *godwit_options_group(struct godwit_options *o)
{
    const GOptionEntry entries[] = {
        {"arch", 'a', 0, G_OPTION_ARG_STRING_ARRAY, &o->arch,
         "Architecture, as in qemu-system-ARCH; repeatable, or several separated by commas "
         "(default: "
         "those of the given QEMUs, otherwise all whose QEMU is in PATH)",
         "ARCH"},
        {"qemu", 'q', 0, G_OPTION_ARG_FILENAME_ARRAY, &o->qemu,
         "QEMU binary, or folder of QEMU binaries, for both sides; repeatable", "PATH"},
        {"cross", 0, 0, G_OPTION_ARG_NONE, &o->cross,
         "Migrate from each QEMU given with --qemu to each other one, not from each to itself",
         NULL},
        {"direction", 0, 0, G_OPTION_ARG_STRING, &o->direction,
         "upgrade, downgrade or both (default): of several sources and destinations, take only "
         "pairs "
         "whose destination is not older, or not newer, than its source",
         "NAME"},
        {"qemu-src", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->qemu_src,
         "QEMU binary of the source, or folder; repeatable, for every source with every "
         "destination; "
         "not with --qemu",
         "PATH"},
        {"qemu-dst", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->qemu_dst,
         "QEMU binary of the destination, or folder; repeatable; not with --qemu", "PATH"},
        {"peer", 0, 0, G_OPTION_ARG_STRING, &o->peer,
         "Run the destinations on another host; COMMAND connects to it, for example 'ssh b godwit "
         "serve --stdio'. Then --qemu and --qemu-src are for the source, and --qemu-dst names "
         "binaries or folders on that host (default: in its PATH)",
         "COMMAND"},
        {"peer-address", 0, 0, G_OPTION_ARG_STRING, &o->peer_address,
         "IPv4 address of that host, on which destinations listen", "ADDRESS"},
        {"machine", 'M', 0, G_OPTION_ARG_STRING, &o->machine,
         "Machine type (default: the newest version of the architecture's default machine that "
         "both "
         "QEMUs have)",
         "TYPE"},
        {"image", 0, 0, G_OPTION_ARG_STRING, &o->image,
         "Guest image; only x86 has a choice: x86_rom (default) or x86_bootsect", "NAME"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &o->accel,
         "Accelerator: tcg, kvm or auto (default), which measures both and selects the faster one",
         "NAME"},
        {"memory", 'm', 0, G_OPTION_ARG_INT, &o->memory,
         "Guest RAM in MiB (default: as much as the machine and the window need)", "MIB"},
        {"window", 0, 0, G_OPTION_ARG_STRING, &o->window,
         "Guest-physical addresses that the guest dirties, END excluded (default: 4 MiB or more "
         "from "
         "1 MiB above the start of RAM, as the scenario needs)",
         "START:END"},
        {"page-size", 0, 0, G_OPTION_ARG_INT, &o->page_size,
         "Bytes from one dirtied page to the next, a multiple of 8 (default: 4096)", "BYTES"},
        {"dirty-rate", 0, 0, G_OPTION_ARG_INT, &o->dirty_rate,
         "Pages that each CPU of the guest dirties per second (default: as many as it can)",
         "PAGES"},
        {"page-ticks", 0, 0, G_OPTION_ARG_INT, &o->page_ticks,
         "Minimum ticks of the guest's timer from one dirtied page to the next; not with "
         "--dirty-rate",
         "TICKS"},
        {"cpus", 0, 0, G_OPTION_ARG_INT, &o->cpus,
         "CPUs of the guest; each dirties every N-th page of the window (default: 1)", "N"},
        {"workload", 'w', 0, G_OPTION_ARG_STRING, &o->workload,
         "Workload of the guest: order[:staggered|:uniform], or "
         "stamp[:whole|:sparse|:zero|:mixed][:stride|:random]; several separated by commas "
         "(default: order,stamp for run and selftest, otherwise order)",
         "NAME"},
        {"hops", 0, 0, G_OPTION_ARG_INT, &o->hops, "Number of migrations in hops/* (default: 10)",
         "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &o->seed,
         "Seed of the words that stamp writes, and of every random choice (default: a random "
         "number)",
         "N"},
        {"timeout-scale", 0, 0, G_OPTION_ARG_DOUBLE, &o->timeout_scale,
         "Multiply every deadline by X, above 0 and at most 1000 (default: 1)", "X"},
        {"read-memory", 0, 0, G_OPTION_ARG_STRING, &o->read_memory,
         "How to read guest memory: process (default), with process_vm_readv, or pmemsave, with "
         "QMP",
         "HOW"},
        {"accept-known", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)accept_known,
         "Do not fail for these known bugs of QEMU, even if they lose the guest; @FILE names a "
         "file "
         "with one ID per line; repeatable",
         "ID[,ID...]"},
        {"set", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)add_setting,
         "Set this migration parameter, or this capability to on or off, on both sides, in place "
         "of "
         "the scenario's; for scenarios of the common course; repeatable",
         "NAME=VALUE"},
        {"unthrottled", 0, 0, G_OPTION_ARG_NONE, &o->unthrottled,
         "Migrate as fast as QEMU can, without the proof that the migration is live, and measure "
         "it; as compare and sweep do",
         NULL},
        {"no-waterfall", 0, 0, G_OPTION_ARG_NONE, &o->no_waterfall,
         "With --unthrottled: do not trace which device takes which part of the downtime, because "
         "that makes it longer; as sweep does, and compare but in an extra run",
         NULL},
        {"give-up", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)(uintptr_t)take_give_up,
         "With --unthrottled: a migration that takes longer has not converged, for example 10s "
         "(default: its deadline; 10s for sweep)",
         "TIME"},
        {"pause-iteration", 0, 0, G_OPTION_ARG_INT, &o->pause_iteration,
         "With --unthrottled: stop the guest of a precopy when this iteration begins", "N"},
        {"postcopy-iteration", 0, 0, G_OPTION_ARG_INT, &o->postcopy_iteration,
         "With --unthrottled: switch to postcopy in this iteration (default: as soon as the "
         "migration is proven to be live)",
         "N"},
        {"strict", 0, 0, G_OPTION_ARG_NONE, &o->strict,
         "Fail for every known bug of QEMU that --accept-known does not name, even if the guest "
         "survives it",
         NULL},
        {"src-args", 0, 0, G_OPTION_ARG_STRING, &o->src_args,
         "Further arguments for the source's QEMU, quoted as for a shell; those behind -- are for "
         "both sides",
         "WORDS"},
        {"dst-args", 0, 0, G_OPTION_ARG_STRING, &o->dst_args,
         "Further arguments for the destination's QEMU", "WORDS"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    GOptionGroup *group = g_option_group_new("target", "What to start:", "", o, NULL);
    g_option_group_add_entries(group, entries);
    return group;
}

/* Cuts the words behind "--" off ARGV. Returns them, borrowed, or NULL if there are none. */
static char **cut(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        *argc = i;
        argv[i] = NULL;
        return argv + i + 1;
    }
    return NULL;
}

bool godwit_options_parse(GOptionContext *context, struct godwit_options *options, int *argc,
                          char ***argv, bool *helped, GError **error)
{
    gboolean help = FALSE;
    const GOptionEntry entries[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this help and exit", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, entries, NULL);
    char **words = options ? cut(argc, *argv) : NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_option_context_parse(context, argc, argv, &cause)) {
        if (cause->domain == GODWIT_ERROR) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s (see --help)", cause->message);
    }
    *helped = help;
    if (help) {
        g_autofree char *text = g_option_context_get_help(context, FALSE, NULL);
        fputs(text, stdout);
    }
    return help || !options || godwit_options_further(options, words, error);
}

/* Checks --direction. */
static bool check_direction(const struct godwit_options *options, GError **error)
{
    static const char *const names[] = {"upgrade", "downgrade", "both", NULL};
    if (!options->direction)
        return true;
    if (!g_strv_contains(names, options->direction))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "unknown direction \"%s\" (expected upgrade, downgrade or both)",
                           options->direction);
    return options->cross || options->qemu_src || options->qemu_dst ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "--direction needs two QEMUs: --cross, or --qemu-src and --qemu-dst");
}

bool godwit_options_pair(const struct godwit_options *options, const struct godwit_qemu *source,
                         const struct godwit_qemu *destination, bool same)
{
    const bool sides = options->qemu_src || options->qemu_dst;
    const int order = godwit_qemu_compare(source, destination);
    if (!sides && (options->cross ? same : !same))
        return false;
    return !options->direction || !strcmp(options->direction, "both") ||
           (!strcmp(options->direction, "upgrade") ? order <= 0 : order >= 0);
}

bool godwit_options_check(const struct godwit_options *options, GError **error)
{
    static const char *const accels[] = {"auto", "tcg", "kvm", NULL};
    static const char *const ways[] = {"process", "pmemsave", NULL};
    if (!godwit_peer_check(options, error))
        return false;
    /* An empty --arch must not count as no --arch, which means every architecture. */
    for (guint i = 0; options->arch && options->arch[i]; i++)
        if (!*options->arch[i])
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "--arch needs the name of an architecture, as in qemu-system-ARCH");
    if (options->accel && !g_strv_contains(accels, options->accel))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "unknown accelerator \"%s\" (expected auto, tcg or kvm)",
                           options->accel);
    if (options->read_memory && !g_strv_contains(ways, options->read_memory))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "unknown way to read memory \"%s\" (expected process or pmemsave)",
                           options->read_memory);
    const struct {
        const char *name, *unit;
        int value, least;
    } numbers[] = {
        {"--memory", "MiB", options->memory, 1},
        {"--page-size", "bytes", options->page_size, 1},
        {"--dirty-rate", "pages per second", options->dirty_rate, 1},
        {"--page-ticks", "ticks", options->page_ticks, 0},
        {"--cpus", "CPUs", options->cpus, 1},
        {"--hops", "migrations", options->hops, 1},
        {"--pause-iteration", "iterations", options->pause_iteration, 1},
        {"--postcopy-iteration", "iterations", options->postcopy_iteration, 1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].value != GODWIT_NOT_GIVEN && numbers[i].value < numbers[i].least)
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "%s needs a number of %s, %d or more, not %d", numbers[i].name,
                               numbers[i].unit, numbers[i].least, numbers[i].value);
    if (!(options->timeout_scale > 0 && options->timeout_scale <= 1000))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--timeout-scale needs a number above 0 and at most 1000");
    if (options->qemu && (options->qemu_src || (options->qemu_dst && !options->peer)))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--qemu sets both sides and excludes --qemu-src and --qemu-dst");
    if (options->cross && (!options->qemu || !options->qemu[1]))
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--cross needs two or more QEMUs, each given with --qemu");
    if (!check_direction(options, error))
        return false;
    if (options->page_ticks != GODWIT_NOT_GIVEN && options->dirty_rate != GODWIT_NOT_GIVEN)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--dirty-rate and --page-ticks exclude each other: use one of them");
    const bool turns = options->pause_iteration != GODWIT_NOT_GIVEN ||
                       options->postcopy_iteration != GODWIT_NOT_GIVEN;
    return options->unthrottled || !turns ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "--pause-iteration and --postcopy-iteration need --unthrottled");
}

bool godwit_enough_memory(unsigned mib, unsigned parallel, GError **error)
{
    /* A generous estimate of what a QEMU needs beside its guest's RAM, in MiB. */
    enum { OVERHEAD = 100 };
    /* QEMUs that are started ahead have not touched their guests' RAM yet. */
    const uint64_t needed = 2 * ((uint64_t)parallel * ((uint64_t)mib + OVERHEAD) +
                                 (uint64_t)godwit_run_ahead(parallel) * OVERHEAD);
    const uint64_t available = godwit_host_available_mib();
    if (!parallel || needed <= available)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "not enough memory: %u at a time of two guests of %u MiB need %" G_GUINT64_FORMAT
                " MiB, %" G_GUINT64_FORMAT " are available (fewer with -j, or less --memory)",
                parallel, mib, needed, available);
    return false;
}
