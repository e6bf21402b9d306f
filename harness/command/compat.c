/*
 * godwit compat: what can go from one QEMU to another, and back. Each device of the source is
 * plugged into each machine type that both have, in a machine that never runs, and migrated in both
 * directions. What fails is grouped by cause.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/compat_parts.h"

#include "base/file.h"
#include "base/text.h"
#include "qemu/host.h"
#include "testbed/probe.h"
#include <errno.h>
#include <string.h>

/* The prototypes whose scenarios are tried. */
#define DEVICES  "prelaunch/"
#define MACHINES "machine/"

/* The largest baseline, in bytes. */
#define BASELINE_MAX ((size_t)16 << 20)

struct compat_options {
    struct godwit_options target;
    int jobs;
    char *devices;
    gboolean all_machines, find_newest;
    char *baseline, *write_baseline;
    char **formats;
    char **binaries;
};

/* What distributions' default machines have, and what people plug into them. */
static const char *const common[] = {
    "virtio-net-pci",
    "virtio-blk-pci",
    "virtio-scsi-pci",
    "virtio-balloon-pci",
    "virtio-rng-pci",
    "virtio-gpu-pci",
    "virtio-serial-pci",
    "virtio-vga",
    "virtio-keyboard-pci",
    "virtio-tablet-pci",
    "virtio-net-ccw",
    "virtio-blk-ccw",
    "virtio-scsi-ccw",
    "virtio-balloon-ccw",
    "virtio-rng-ccw",
    "virtio-serial-ccw",
    "e1000",
    "e1000e",
    "rtl8139",
    "qemu-xhci",
    "ich9-usb-ehci1",
    "usb-tablet",
    "usb-kbd",
    "ich9-ahci",
    "ide-hd",
    "scsi-hd",
    "VGA",
    "bochs-display",
    "intel-hda",
    "hda-duplex",
    "pcie-root-port",
    "pci-bridge",
    "i6300esb",
    "pvpanic",
    "spapr-vscsi",
    "spapr-vlan",
};

/* A run of compat. */
struct compat {
    struct godwit_process *process;
    const struct compat_options *options;
    GPtrArray *targets;  /* of struct godwit_target, one for each ordered pair */
    GPtrArray *paths;    /* of the binaries, by their number in the table; borrowed */
    GHashTable *devices; /* path of a binary -> its devices, char **; both owned */
    GPtrArray *jobs;     /* of struct godwit_job */
    GHashTable *cell_of; /* name of a job's target and scenario -> its cell; keys owned */
    struct godwit_compat_table *table;
};

static void clear(struct compat_options *options)
{
    godwit_options_clear(&options->target);
    g_free(options->devices);
    g_free(options->baseline);
    g_free(options->write_baseline);
    g_strfreev(options->formats);
    g_strfreev(options->binaries);
}

static bool check(struct compat_options *options, GError **error)
{
    static const char *const names[] = {"text", "json", "html", NULL};
    if (options->jobs < 1 || options->jobs > 256)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "-j needs a number from 1 to 256");
    if (!options->binaries || !options->binaries[0] || !options->binaries[1])
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compat needs two QEMUs or more: an old one and new ones");
    if (options->target.qemu || options->target.qemu_src || options->target.qemu_dst ||
        options->target.cross)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "compat takes its QEMUs as arguments: leave out --qemu, --qemu-src, "
                           "--qemu-dst and --cross");
    if (options->all_machines && options->target.machine)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--all-machines and --machine exclude each other");
    if (options->find_newest && options->target.direction)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--find-newest goes from the first QEMU to each other one: leave out "
                           "--direction");
    for (guint i = 0; options->formats && options->formats[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(options->formats[i], ":", 2);
        if (!parts[0] || !g_strv_contains(names, parts[0]))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "unknown format \"%s\" (expected text, json or html)",
                               options->formats[i]);
    }
    options->target.qemu = g_strdupv(options->binaries);
    options->target.cross = true;
    return true;
}

static bool parse(struct compat_options *options, int *argc, char ***argv, bool *helped,
                  GError **error)
{
    godwit_options_init(&options->target);
    options->target.usual_workloads = "order";
    options->jobs = (int)MAX(1, godwit_host_processors());
    const GOptionEntry entries[] = {
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &options->jobs,
         "Machines to move in parallel, 1 to 256 (default: one per processor)", "N"},
        {"devices", 0, 0, G_OPTION_ARG_STRING, &options->devices,
         "The devices to plug: all (default), common (what most machines have), none, or globs, "
         "separated by commas",
         "NAMES"},
        {"all-machines", 0, 0, G_OPTION_ARG_NONE, &options->all_machines,
         "Every version of the machine that both QEMUs have, not only the newest", NULL},
        {"baseline", 0, 0, G_OPTION_ARG_FILENAME, &options->baseline,
         "Fail only for what is not in FILE, an earlier --write-baseline", "FILE"},
        {"write-baseline", 0, 0, G_OPTION_ARG_FILENAME, &options->write_baseline,
         "Write what was found to FILE", "FILE"},
        {"find-newest", 0, 0, G_OPTION_ARG_NONE, &options->find_newest,
         "Print the newest of the QEMUs to which all of the first one's machines can go", NULL},
        {"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &options->formats,
         "Report as text (default), json or html, to standard output or to FILE; repeatable",
         "NAME[:FILE]"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->binaries, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("OLD NEW...");
    g_option_context_set_summary(
        context,
        "Says which machines can go from one QEMU to another, and back: each device in each "
        "version\n"
        "of the machine that both have, in both directions. OLD and NEW are binaries, or folders "
        "that\nhave them.\n"
        "Exit status: 0 if everything can go, or nothing is worse than the baseline; 1 otherwise;\n"
        "2 after a usage or environment error.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options->target));
    return godwit_options_parse(context, &options->target, argc, argv, helped, error) &&
           (*helped || check(options, error));
}

/* Returns the number of a binary that the table has. */
static unsigned number_of(const struct compat *compat, const struct godwit_qemu *qemu)
{
    guint i = 0;
    while (strcmp(g_ptr_array_index(compat->paths, i), qemu->path) != 0)
        i++;
    return i;
}

/* Adds a binary to the table if it is not there. */
static void add_binary(struct compat *compat, const struct godwit_qemu *qemu)
{
    if (g_ptr_array_find_with_equal_func(compat->paths, qemu->path, g_str_equal, NULL))
        return;
    g_ptr_array_add(compat->paths, qemu->path);
    g_ptr_array_add(compat->table->versions, g_strdup(qemu->version));
}

/* Lists the binaries, each by its version, or by its path as well if two have the same version. */
static void add_binaries(struct compat *compat)
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

/* Returns the devices that a binary has, borrowed, or NULL with ERROR set. Asks it once. */
static char **devices_of(struct compat *compat, const struct godwit_target *target,
                         const struct godwit_qemu *qemu, GError **error)
{
    char **devices = g_hash_table_lookup(compat->devices, qemu->path);
    if (devices)
        return devices;
    devices = godwit_qemu_ask(qemu, prototype(DEVICES)->names, compat->process->folder,
                              target->setup.timeout_scale, &compat->process->interrupted, error);
    if (devices)
        g_hash_table_insert(compat->devices, g_strdup(qemu->path), devices);
    return devices;
}

static bool is_chosen(const struct compat_options *options, const char *device)
{
    const char *names = options->devices ? options->devices : "all";
    if (!strcmp(names, "all"))
        return true;
    if (!strcmp(names, "none"))
        return false;
    if (!strcmp(names, "common")) {
        for (size_t i = 0; i < G_N_ELEMENTS(common); i++)
            if (!strcmp(common[i], device))
                return true;
        return false;
    }
    g_auto(GStrv) globs = g_strsplit(names, ",", -1);
    for (guint i = 0; globs[i]; i++)
        if (g_pattern_match_simple(globs[i], device))
            return true;
    return false;
}

/* Returns the part of a machine type before its version: "pc-q35-" of "pc-q35-7.2". The caller
 * frees it. Returns NULL if the type has no version. */
static char *family_of(const char *type)
{
    const char *dash = strrchr(type, '-');
    return dash && g_ascii_isdigit(dash[1]) && strchr(dash, '.')
               ? g_strndup(type, (gsize)(dash + 1 - type))
               : NULL;
}

/* Returns the machine types to try on a target, which the caller unreferences. */
static GPtrArray *types_of(const struct compat *compat, const struct godwit_target *target)
{
    GPtrArray *types = g_ptr_array_new();
    g_autofree char *family = family_of(target->setup.type);
    const char *alias;
    json_t *full;
    g_ptr_array_add(types, (gpointer)(uintptr_t)target->setup.type);
    json_object_foreach(target->source->machines, alias, full)
    {
        if (compat->options->all_machines && family && g_str_has_prefix(alias, family) &&
            strcmp(alias, target->setup.type) != 0 &&
            json_object_get(target->destination->machines, alias))
            g_ptr_array_add(types, (gpointer)(uintptr_t)alias);
    }
    return types;
}

static char *key_of(const char *target, const char *scenario)
{
    return g_strdup_printf("%s\n%s", target, scenario);
}

/* Adds a job, and the cell that its result fills in. */
static void add_job(struct compat *compat, const struct godwit_target *target, const char *type,
                    const char *prefix, const char *name, const char *subject)
{
    g_autofree char *full = g_strconcat(prefix, name, NULL);
    const struct godwit_scenario *scenario = godwit_scenario_find(full);
    struct godwit_job *job = godwit_target_job(target, scenario);
    g_free(job->target);
    g_free(job->type);
    job->target = g_strdup_printf("%s, %s", target->name, type);
    job->setup.type = job->type = g_strdup(type);
    job->repetition = job->repetitions = 1;
    g_ptr_array_add(compat->jobs, job);
    struct godwit_compat_cell *cell = godwit_compat_add(
        compat->table, number_of(compat, target->source), number_of(compat, target->destination),
        target->setup.machine->arch, type, subject);
    g_hash_table_insert(compat->cell_of, key_of(job->target, scenario->name), cell);
}

/* Adds the jobs of a target with one machine type. */
static bool add_jobs(struct compat *compat, const struct godwit_target *target, const char *type,
                     GError **error)
{
    char **here = devices_of(compat, target, target->source, error);
    char **there = here ? devices_of(compat, target, target->destination, error) : NULL;
    if (!there)
        return false;
    add_job(compat, target, type, MACHINES, type, "");
    for (guint i = 0; here[i]; i++) {
        if (!is_chosen(compat->options, here[i]))
            continue;
        if (g_strv_contains((const char *const *)there, here[i])) {
            add_job(compat, target, type, DEVICES, here[i], here[i]);
            continue;
        }
        struct godwit_compat_cell *cell = godwit_compat_add(
            compat->table, number_of(compat, target->source),
            number_of(compat, target->destination), target->setup.machine->arch, type, here[i]);
        cell->compat = GODWIT_COMPAT_MISSING;
        g_free(cell->reason);
        cell->reason = g_strdup("the destination has no such device");
    }
    return true;
}

static bool make_jobs(struct compat *compat, GError **error)
{
    const char *first = NULL;
    for (guint t = 0; t < compat->targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(compat->targets, t);
        first = first ? first : target->source->path;
        if (compat->options->find_newest && strcmp(target->source->path, first) != 0)
            continue;
        g_autoptr(GPtrArray) types = types_of(compat, target);
        for (guint i = 0; i < types->len; i++)
            if (!add_jobs(compat, target, g_ptr_array_index(types, i), error))
                return false;
    }
    return compat->table->cells->len ||
           godwit_fail(error, GODWIT_ERROR_USAGE, "no device matches --devices %s",
                       compat->options->devices);
}

static void take(gpointer data, const json_t *result)
{
    struct compat *compat = data;
    g_autofree char *key = key_of(godwit_json_string(result, "target", ""),
                                  godwit_json_string(result, "scenario", ""));
    struct godwit_compat_cell *cell = g_hash_table_lookup(compat->cell_of, key);
    if (cell)
        godwit_compat_take(cell, result);
}

static bool write_formats(const struct compat *compat, const GPtrArray *causes, GError **error)
{
    static char *const text[] = {(char *)(uintptr_t) "text", NULL};
    const struct compat_options *options = compat->options;
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

/* Returns whether something cannot go to the target's destination. */
static bool has_findings(const struct compat *compat, unsigned destination)
{
    for (guint i = 0; i < compat->table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(compat->table->cells, i);
        if (cell->destination == destination && godwit_compat_is_finding(cell))
            return true;
    }
    return false;
}

/* Prints the newest QEMU to which everything can go. Returns the exit status. */
static int print_newest(struct compat *compat)
{
    const struct godwit_qemu *newest = NULL;
    const char *first = NULL;
    for (guint t = 0; t < compat->targets->len; t++) {
        const struct godwit_target *target = g_ptr_array_index(compat->targets, t);
        first = first ? first : target->source->path;
        if (!strcmp(target->source->path, first) &&
            !has_findings(compat, number_of(compat, target->destination)) &&
            (!newest || godwit_qemu_compare(target->destination, newest) > 0))
            newest = target->destination;
    }
    if (newest)
        printf("%s\n", newest->path);
    else
        godwit_text_complain("there is no QEMU among them to which everything can go");
    return newest ? 0 : 1;
}

/* Fails if some machine was not tried because the host or Godwit failed. */
static bool all_tried(const struct compat *compat, GError **error)
{
    for (guint i = 0; i < compat->table->cells->len; i++) {
        const struct godwit_compat_cell *cell = g_ptr_array_index(compat->table->cells, i);
        if (cell->compat == GODWIT_COMPAT_ERROR)
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s with %s could not be tried: %s",
                               cell->machine, *cell->subject ? cell->subject : "nothing plugged",
                               cell->reason);
    }
    return true;
}

/* Judges and reports. BASELINE is the text of --baseline, or NULL. */
static bool conclude(struct compat *compat, const char *baseline, int *status, GError **error)
{
    const struct compat_options *options = compat->options;
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

static bool compat(struct godwit_process *process, const struct compat_options *options,
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
    struct compat run = {
        .process = process,
        .options = options,
        .targets = targets,
        .devices =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev),
        .jobs = g_ptr_array_new_with_free_func((GDestroyNotify)godwit_job_free),
        .cell_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .paths = g_ptr_array_new(),
        .table = godwit_compat_table_new(),
    };
    struct godwit_observer observer = {.data = &run, .result = take};
    g_autoptr(GPtrArray) observers = g_ptr_array_new();
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_ptr_array_add(observers, &observer);
    add_binaries(&run);
    bool good =
        make_jobs(&run, error) && godwit_compat_descriptions(process, run.paths, run.table, error);
    if (good) {
        struct godwit_run todo = {
            .jobs = run.jobs,
            .skipped = none,
            .parallel = (unsigned)options->jobs,
            .folder = process->folder,
            .janitor = process->janitor,
            .observers = observers,
            .interrupted = &process->interrupted,
        };
        godwit_run_jobs(&todo);
        good = conclude(&run, baseline, status, error);
    }
    godwit_compat_table_free(run.table);
    g_ptr_array_unref(run.paths);
    g_hash_table_unref(run.cell_of);
    g_ptr_array_unref(run.jobs);
    g_hash_table_unref(run.devices);
    return good;
}

bool godwit_command_compat(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error)
{
    struct compat_options options = {0};
    bool helped = false;
    const bool good = parse(&options, &argc, &argv, &helped, error) &&
                      (helped || compat(process, &options, status, error));
    clear(&options);
    return good;
}
