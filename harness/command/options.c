/* SPDX-License-Identifier: MIT */
#include "command/command.h"

#include "run/files.h"
#include "vm/accel.h"
#include "vm/host.h"
#include "vm/image.h"
#include <string.h>

bool godwit_process_begin(struct godwit_process *process, GError **error)
{
    process->folder = godwit_files_temporary(error);
    if (!process->folder)
        return false;
    process->janitor = godwit_janitor_new(process->folder, error);
    if (!process->janitor)
        godwit_files_remove(process->folder);
    return process->janitor != NULL;
}

void godwit_options_init(struct godwit_options *options)
{
    memset(options, 0, sizeof(*options));
    options->timeout_scale = 1;
    options->memory = GODWIT_NOT_GIVEN;
    options->page_size = GODWIT_NOT_GIVEN;
    options->dirty_rate = GODWIT_NOT_GIVEN;
    options->page_ticks = GODWIT_NOT_GIVEN;
}

void godwit_options_clear(struct godwit_options *options)
{
    g_strfreev(options->arch);
    g_free(options->qemu);
    g_free(options->qemu_src);
    g_free(options->qemu_dst);
    g_free(options->machine);
    g_free(options->image);
    g_free(options->accel);
    g_free(options->window);
    g_free(options->read_memory);
}

GOptionGroup *godwit_options_group(struct godwit_options *o)
{
    const GOptionEntry entries[] = {
        {"arch", 'a', 0, G_OPTION_ARG_STRING_ARRAY, &o->arch,
         "Architecture, as in qemu-system-ARCH; may be given again, or several with commas",
         "ARCH"},
        {"qemu", 'q', 0, G_OPTION_ARG_FILENAME, &o->qemu, "QEMU binary for both sides", "PATH"},
        {"qemu-src", 0, 0, G_OPTION_ARG_FILENAME, &o->qemu_src, "QEMU binary of the source",
         "PATH"},
        {"qemu-dst", 0, 0, G_OPTION_ARG_FILENAME, &o->qemu_dst, "QEMU binary of the destination",
         "PATH"},
        {"machine", 'M', 0, G_OPTION_ARG_STRING, &o->machine,
         "Machine type (default: the newest version of the usual one that both QEMUs have)",
         "TYPE"},
        {"image", 0, 0, G_OPTION_ARG_STRING, &o->image,
         "Guest image, for x86: x86_rom (the default) or x86_bootsect", "NAME"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &o->accel,
         "Accelerator: tcg, kvm, or auto (the default), which takes the one that proves faster",
         "NAME"},
        {"memory", 'm', 0, G_OPTION_ARG_INT, &o->memory,
         "Guest RAM (default: 128 to 256, by architecture)", "MIB"},
        {"window", 0, 0, G_OPTION_ARG_STRING, &o->window,
         "Guest-physical addresses that the guest dirties, END not included", "START:END"},
        {"page-size", 0, 0, G_OPTION_ARG_INT, &o->page_size,
         "Bytes from one dirtied page to the next (default: 4096)", "BYTES"},
        {"dirty-rate", 0, 0, G_OPTION_ARG_INT, &o->dirty_rate,
         "Pages that the guest dirties in a second (default: as fast as it can)", "PAGES"},
        {"page-ticks", 0, 0, G_OPTION_ARG_INT, &o->page_ticks,
         "Another way to say it: least ticks of the guest's timer from page to page", "TICKS"},
        {"timeout-scale", 0, 0, G_OPTION_ARG_DOUBLE, &o->timeout_scale,
         "Multiply every deadline by X (default: 1)", "X"},
        {"read-memory", 0, 0, G_OPTION_ARG_STRING, &o->read_memory,
         "How guest memory is read: process (the default) by process_vm_readv, or pmemsave by QMP",
         "HOW"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    GOptionGroup *group = g_option_group_new("target", "What to start:", "", NULL, NULL);
    g_option_group_add_entries(group, entries);
    return group;
}

bool godwit_options_parse(GOptionContext *context, int *argc, char ***argv, bool *helped,
                          GError **error)
{
    gboolean help = FALSE;
    const GOptionEntry entries[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this help and exit", NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) cause = NULL;
    if (!g_option_context_parse(context, argc, argv, &cause)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE, "%s (see --help)", cause->message);
        return false;
    }
    *helped = help;
    if (help) {
        g_autofree char *text = g_option_context_get_help(context, FALSE, NULL);
        fputs(text, stdout);
    }
    return true;
}

void godwit_target_free(struct godwit_target *target)
{
    if (target->destination != target->source)
        godwit_qemu_free(target->destination);
    godwit_qemu_free(target->source);
    g_free(target->accel_reason);
    g_free(target);
}

static bool usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool usage(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, GODWIT_ERROR, GODWIT_ERROR_USAGE, text);
    return false;
}

/* The names of all architectures, with commas; the caller's. */
static char *arch_names(void)
{
    GString *names = g_string_new(NULL);
    for (size_t i = 0; i < godwit_machine_count(); i++)
        g_string_append_printf(names, "%s%s", i ? ", " : "", godwit_machine_at(i)->arch);
    return g_string_free(names, FALSE);
}

static struct godwit_qemu *probe(struct godwit_process *process,
                                 const struct godwit_options *options, const char *path,
                                 GError **error)
{
    return godwit_qemu_probe(path, process->folder, options->timeout_scale, &process->interrupted,
                             error);
}

static bool right_arch(const struct godwit_qemu *qemu, const struct godwit_machine *machine,
                       GError **error)
{
    if (!strcmp(qemu->arch, machine->arch))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "%s is a QEMU for %s, not for %s (choose with --arch and --qemu)", qemu->path,
                qemu->arch, machine->arch);
    return false;
}

static bool parse_window(const char *text, struct godwit_workload *workload, GError **error)
{
    char *end = NULL;
    workload->window_start = g_ascii_strtoull(text, &end, 0);
    if (end == text || *end != ':')
        return usage(error, "--window wants START:END, for example 0x100000:0x6400000, not \"%s\"",
                     text);
    const char *second = end + 1;
    workload->window_end = g_ascii_strtoull(second, &end, 0);
    if (end == second || *end)
        return usage(error, "--window wants START:END, for example 0x100000:0x6400000, not \"%s\"",
                     text);
    return true;
}

static bool choose_workload(struct godwit_setup *setup, const struct godwit_options *options,
                            GError **error)
{
    struct godwit_workload *workload = &setup->workload;
    *workload = godwit_image_workload(setup->machine, setup->image);
    if (options->window && !parse_window(options->window, workload, error))
        return false;
    if (options->page_size != GODWIT_NOT_GIVEN)
        workload->page_size = (uint32_t)options->page_size;
    if (options->page_ticks != GODWIT_NOT_GIVEN)
        workload->page_ticks = (uint32_t)options->page_ticks;
    if (options->dirty_rate != GODWIT_NOT_GIVEN) {
        const uint64_t hz =
            setup->machine->timer_hz ? setup->machine->timer_hz : godwit_host_timer_hz();
        if (!hz)
            return usage(error, "--dirty-rate: the rate of this guest's timer is not known on this "
                                "host; use --page-ticks");
        workload->page_ticks = (uint32_t)MIN(hz / (uint64_t)options->dirty_rate, UINT32_MAX);
    }
    return godwit_workload_check(workload, setup->machine, setup->image, setup->memory_mib, error);
}

/* Everything about a target but its binaries, which are there already. */
static bool complete(struct godwit_process *process, const struct godwit_options *options,
                     struct godwit_target *target, GError **error)
{
    struct godwit_setup *setup = &target->setup;
    const struct godwit_machine *machine = setup->machine;
    setup->source = target->source;
    setup->destination = target->destination;
    setup->timeout_scale = options->timeout_scale;
    setup->pmemsave = !g_strcmp0(options->read_memory, "pmemsave");
    setup->image = godwit_machine_image(machine, options->image);
    if (!setup->image)
        return usage(error, "%s has no image \"%s\"", machine->arch, options->image);
    setup->memory_mib =
        options->memory == GODWIT_NOT_GIVEN ? machine->memory_mib : (unsigned)options->memory;
    if (options->machine)
        setup->type =
            godwit_qemu_common_type(target->source, target->destination, options->machine);
    for (size_t i = 0; !options->machine && !setup->type && machine->types[i]; i++)
        setup->type =
            godwit_qemu_common_type(target->source, target->destination, machine->types[i]);
    if (!setup->type) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "%s (QEMU %s)%s%s has no machine \"%s\" that Godwit's %s guest could run on",
                    target->source->path, target->source->version,
                    target->source == target->destination ? "" : " or ",
                    target->source == target->destination ? "" : target->destination->path,
                    options->machine ? options->machine : machine->types[0], machine->arch);
        return false;
    }
    if (!choose_workload(setup, options, error))
        return false;
    if (options->accel && strcmp(options->accel, "auto") != 0) {
        setup->accel = options->accel;
        target->accel_reason = g_strdup("as asked for");
        return true;
    }
    setup->accel = godwit_accel_choose(setup, process->folder, &process->interrupted,
                                       &target->accel_reason, error);
    return setup->accel != NULL;
}

/* The target of one architecture. SOURCE is the probed --qemu, taken over, or NULL. */
static struct godwit_target *make_target(struct godwit_process *process,
                                         const struct godwit_options *options,
                                         const struct godwit_machine *machine,
                                         struct godwit_qemu *source, GError **error)
{
    struct godwit_target *target = g_new0(struct godwit_target, 1);
    target->setup.machine = machine;
    target->source = source;
    if (!source) {
        const char *name = options->qemu_src ? options->qemu_src : options->qemu;
        g_autofree char *path = godwit_qemu_find(machine, name, error);
        target->source = path ? probe(process, options, path, error) : NULL;
    }
    if (target->source && right_arch(target->source, machine, error)) {
        const char *name = options->qemu_dst ? options->qemu_dst : options->qemu;
        g_autofree char *path = godwit_qemu_find(machine, name, error);
        if (path && !strcmp(path, target->source->path))
            target->destination = target->source;
        else if (path)
            target->destination = probe(process, options, path, error);
    }
    if (!target->destination || !right_arch(target->destination, machine, error) ||
        !complete(process, options, target, error)) {
        godwit_target_free(target);
        return NULL;
    }
    return target;
}

/* The architectures to make targets of. */
static GPtrArray *choose_machines(char **arch, GError **error)
{
    g_autoptr(GPtrArray) machines = g_ptr_array_new();
    for (guint i = 0; arch && arch[i]; i++) {
        g_auto(GStrv) names = g_strsplit(arch[i], ",", -1);
        for (guint j = 0; names[j]; j++) {
            const struct godwit_machine *machine = godwit_machine_find(names[j]);
            if (!machine) {
                g_autofree char *known = arch_names();
                usage(error, "unknown architecture \"%s\": there are %s", names[j], known);
                return NULL;
            }
            if (!g_ptr_array_find(machines, machine, NULL))
                g_ptr_array_add(machines, (gpointer)(uintptr_t)machine);
        }
    }
    return g_steal_pointer(&machines);
}

static bool check_options(const struct godwit_options *options, GError **error)
{
    static const char *const accels[] = {"auto", "tcg", "kvm", NULL};
    static const char *const ways[] = {"process", "pmemsave", NULL};
    /* Not to be taken for no --arch at all, which is every architecture. */
    for (guint i = 0; options->arch && options->arch[i]; i++)
        if (!*options->arch[i])
            return usage(error, "--arch wants the name of an architecture, as in qemu-system-ARCH");
    if (options->accel && !g_strv_contains(accels, options->accel))
        return usage(error, "unknown accelerator \"%s\": there are auto, tcg and kvm",
                     options->accel);
    if (options->read_memory && !g_strv_contains(ways, options->read_memory))
        return usage(error, "unknown way to read memory \"%s\": there are process and pmemsave",
                     options->read_memory);
    const struct {
        const char *name, *unit;
        int value, least;
    } numbers[] = {
        {"--memory", "MiB", options->memory, 1},
        {"--page-size", "bytes", options->page_size, 1},
        {"--dirty-rate", "pages in a second", options->dirty_rate, 1},
        {"--page-ticks", "ticks", options->page_ticks, 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].value != GODWIT_NOT_GIVEN && numbers[i].value < numbers[i].least)
            return usage(error, "%s wants a number of %s, %d or more, not %d", numbers[i].name,
                         numbers[i].unit, numbers[i].least, numbers[i].value);
    if (!(options->timeout_scale > 0 && options->timeout_scale <= 1000))
        return usage(error, "--timeout-scale wants a number above 0, 1000 at most");
    if (options->qemu && (options->qemu_src || options->qemu_dst))
        return usage(error, "--qemu is both sides; it does not go with --qemu-src or --qemu-dst");
    if (options->page_ticks != GODWIT_NOT_GIVEN && options->dirty_rate != GODWIT_NOT_GIVEN)
        return usage(error, "--dirty-rate and --page-ticks are two ways to say the same: use one");
    return true;
}

GPtrArray *godwit_targets(struct godwit_process *process, const struct godwit_options *options,
                          GError **error)
{
    if (!check_options(options, error))
        return NULL;
    g_autoptr(GPtrArray) machines = choose_machines(options->arch, error);
    if (!machines)
        return NULL;
    g_autoptr(GPtrArray) targets =
        g_ptr_array_new_with_free_func((GDestroyNotify)godwit_target_free);
    const char *named = options->qemu_src ? options->qemu_src : options->qemu;
    if (!named)
        named = options->qemu_dst;

    if (machines->len == 0 && named) {
        /* The binary itself says what it is for. Any machine does to look for it. */
        g_autofree char *path = godwit_qemu_find(godwit_machine_at(0), named, error);
        struct godwit_qemu *qemu = path ? probe(process, options, path, error) : NULL;
        if (!qemu)
            return NULL;
        const struct godwit_machine *machine = godwit_machine_find(qemu->arch);
        if (!machine) {
            g_autofree char *known = arch_names();
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "%s is a QEMU for %s: there is no guest for that, only for %s", path,
                        qemu->arch, known);
            godwit_qemu_free(qemu);
            return NULL;
        }
        if (named == options->qemu_dst) {
            godwit_qemu_free(qemu);
            qemu = NULL;
        }
        struct godwit_target *target = make_target(process, options, machine, qemu, error);
        if (!target)
            return NULL;
        g_ptr_array_add(targets, target);
        return g_steal_pointer(&targets);
    }

    const bool all = machines->len == 0;
    g_autoptr(GString) left_out = g_string_new(NULL);
    for (size_t i = 0; all && i < godwit_machine_count(); i++) {
        const struct godwit_machine *machine = godwit_machine_at(i);
        g_autoptr(GError) missing = NULL;
        g_autofree char *path = godwit_qemu_find(machine, NULL, &missing);
        if (path)
            g_ptr_array_add(machines, (gpointer)(uintptr_t)machine);
        else
            g_string_append_printf(left_out, "godwit: %s is left out: %s\n", machine->arch,
                                   missing->message);
    }
    if (machines->len == 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "no QEMU in $PATH: install one, for example Debian's qemu-system-x86, or name "
                    "a binary with --qemu");
        return NULL;
    }
    g_printerr("%s", left_out->str);
    for (guint i = 0; i < machines->len; i++) {
        struct godwit_target *target =
            make_target(process, options, g_ptr_array_index(machines, i), NULL, error);
        if (!target)
            return NULL;
        g_ptr_array_add(targets, target);
    }
    return g_steal_pointer(&targets);
}

struct godwit_job *godwit_target_job(const struct godwit_target *target,
                                     const struct godwit_scenario *scenario)
{
    struct godwit_job *job = godwit_job_new();
    job->scenario = scenario;
    job->setup = target->setup;
    job->type = g_strdup(target->setup.type);
    job->accel = g_strdup(target->setup.accel);
    job->setup.type = job->type;
    job->setup.accel = job->accel;
    return job;
}

GPtrArray *godwit_match_scenarios(char **globs, GError **error)
{
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    if (!globs || !globs[0])
        return g_steal_pointer(&all);
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    for (guint g = 0; globs[g]; g++) {
        bool any = false;
        for (guint i = 0; i < all->len; i++) {
            const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
            if (!g_pattern_match_simple(globs[g], scenario->name))
                continue;
            any = true;
            if (!g_ptr_array_find(chosen, scenario, NULL))
                g_ptr_array_add(chosen, (gpointer)(uintptr_t)scenario);
        }
        if (!any) {
            usage(error, "no scenario matches \"%s\" (see `godwit list`)", globs[g]);
            return NULL;
        }
    }
    return g_steal_pointer(&chosen);
}

bool godwit_enough_memory(const GPtrArray *targets, unsigned parallel, GError **error)
{
    /* What a QEMU needs beside its guest's RAM, by a generous guess. In MiB. */
    enum { OVERHEAD = 100 };
    uint64_t largest = 0;
    for (guint i = 0; i < targets->len; i++) {
        const struct godwit_target *target = g_ptr_array_index(targets, i);
        largest = MAX(largest, target->setup.memory_mib);
    }
    const uint64_t needed = 2 * (uint64_t)parallel * (largest + OVERHEAD);
    const uint64_t available = godwit_host_available_mib();
    if (needed <= available)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "not enough memory: %u at a time of two guests of %" G_GUINT64_FORMAT
                " MiB need %" G_GUINT64_FORMAT " MiB, %" G_GUINT64_FORMAT
                " are available (fewer with -j, or less --memory)",
                parallel, largest, needed, available);
    return false;
}
