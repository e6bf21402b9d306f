/*
 * godwit doctor: reports what this host and these binaries can and cannot do, and why.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "qemu/host.h"
#include "qemu/qemu.h"
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void row(const char *label, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void row(const char *label, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *line = godwit_text_line(text);
    printf("%-14s %s\n", label, line);
}

static void describe_host(const struct godwit_process *process)
{
    struct utsname name;
    uname(&name);
    row("host", "%s %s, %u processors, %" G_GUINT64_FORMAT " MiB available", name.machine,
        name.release, godwit_host_processors(), godwit_host_available_mib());
    g_autofree char *lacks = godwit_host_lacks_kvm();
    row("kvm", "%s%s", lacks ? "no: " : "/dev/kvm answers", lacks ? lacks : "");
    const char *without = godwit_host_lacks_userfaultfd();
    row("userfaultfd", "%s%s", without ? "no postcopy: " : "yes: postcopy can run",
        without ? without : "");
    const int scope = godwit_host_ptrace_scope();
    row("guest memory", "%s",
        scope <= 1
            ? "read by process_vm_readv, at memory speed"
            : "process_vm_readv may be refused (kernel.yama.ptrace_scope): pmemsave instead");
    row("temporary", "%s", process->folder);
}

/* What keeps scenarios from running. */
struct reason {
    char *need;            /* "transport file" */
    GHashTable *scenarios; /* a set of names; borrowed */
    GHashTable *targets;   /* likewise; owned */
};

static void reason_free(gpointer data)
{
    struct reason *reason = data;
    g_free(reason->need);
    g_hash_table_unref(reason->scenarios);
    g_hash_table_unref(reason->targets);
    g_free(reason);
}

/* An examination. */
struct doctor {
    bool verbose;       /* list each scenario that cannot run */
    GPtrArray *reasons; /* of struct reason, in the order in which they were met */
};

/* Counts a scenario that cannot run for lack of NEED. Why it is lacking differs from one target to
 * the next. */
static void count(struct doctor *doctor, const char *need, const char *scenario, const char *target)
{
    struct reason *reason = NULL;
    for (guint i = 0; i < doctor->reasons->len && !reason; i++) {
        struct reason *one = g_ptr_array_index(doctor->reasons, i);
        reason = strcmp(one->need, need) ? NULL : one;
    }
    if (!reason) {
        reason = g_new0(struct reason, 1);
        reason->need = g_strdup(need);
        reason->scenarios = g_hash_table_new(g_str_hash, g_str_equal);
        reason->targets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_ptr_array_add(doctor->reasons, reason);
    }
    g_hash_table_add(reason->scenarios, (gpointer)(uintptr_t)scenario);
    g_hash_table_add(reason->targets, g_strdup(target));
}

static void describe_target(struct doctor *doctor, const struct godwit_target *target)
{
    const struct godwit_qemu *qemu = target->source;
    g_autoptr(GPtrArray) scenarios = godwit_scenario_all();
    unsigned able = 0;
    row(target->setup.machine->arch, "%s: QEMU %s%s%s, answers in %.0f ms", qemu->path,
        qemu->version, *qemu->package ? ", " : "", qemu->package, qemu->start_ms);
    if (strcmp(target->destination->path, target->source->path) != 0)
        row("", "destination %s: QEMU %s", target->destination->path, target->destination->version);
    row("", "accelerator %s: %s", target->setup.accel, target->accel_reason);
    for (guint i = 0; i < scenarios->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, i);
        struct godwit_lack *lack = godwit_scenario_lacks(scenario, &target->setup);
        able += !lack;
        if (!lack)
            continue;
        count(doctor, lack->need, scenario->name, target->name);
        g_autofree char *reason = godwit_lack_reason(lack);
        if (doctor->verbose)
            row("", "cannot run %s: %s", scenario->name, reason);
    }
    row("", "machine %s, image %s: can run %u of %u scenarios", target->setup.type,
        target->setup.image->name, able, scenarios->len);
}

/* Orders reasons by the number of scenarios, the greatest first, then by what is lacking. */
static int compare_reasons(const void *a, const void *b)
{
    const struct reason *left = *(const struct reason *const *)a;
    const struct reason *right = *(const struct reason *const *)b;
    const unsigned lefts = g_hash_table_size(left->scenarios);
    const unsigned rights = g_hash_table_size(right->scenarios);
    return lefts != rights ? (lefts < rights ? 1 : -1) : strcmp(left->need, right->need);
}

/* Prints why scenarios cannot run, with counts. */
static void describe_reasons(const struct doctor *doctor)
{
    g_ptr_array_sort(doctor->reasons, compare_reasons);
    for (guint i = 0; i < doctor->reasons->len; i++) {
        const struct reason *reason = g_ptr_array_index(doctor->reasons, i);
        const unsigned scenarios = g_hash_table_size(reason->scenarios);
        const unsigned targets = g_hash_table_size(reason->targets);
        row(i ? "" : "cannot run", "%2u scenario%s on %u target%s: needs %s", scenarios,
            scenarios == 1 ? "" : "s", targets, targets == 1 ? "" : "s", reason->need);
    }
    if (doctor->reasons->len && !doctor->verbose)
        row("", "(--verbose lists the scenarios)");
}

/* Describes each architecture on its own, so that one bad binary does not hide the others. *FOUND
 * is how many have a usable QEMU. */
static bool examine_all(struct godwit_process *process, const struct godwit_options *options,
                        struct doctor *doctor, unsigned *found, GError **error)
{
    for (size_t i = 0; i < godwit_machine_count(); i++) {
        const struct godwit_machine *machine = godwit_machine_at(i);
        struct godwit_options one = *options;
        char *arch[] = {(char *)(uintptr_t)machine->arch, NULL};
        one.arch = arch;
        g_autoptr(GError) cause = NULL;
        g_autoptr(GPtrArray) targets = godwit_targets(process, &one, 0, &cause);
        if (targets) {
            describe_target(doctor, g_ptr_array_index(targets, 0));
            ++*found;
        } else if (cause->code == GODWIT_ERROR_USAGE || process->interrupted) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        } else {
            row(machine->arch, "%s", cause->message);
        }
        fflush(stdout);
    }
    return true;
}

static bool examine(struct godwit_process *process, const struct godwit_options *options,
                    bool verbose, int *status, GError **error)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(reason_free);
    struct doctor doctor = {.verbose = verbose, .reasons = reasons};
    unsigned found = 0;
    if (!godwit_process_begin(process, error))
        return false;
    describe_host(process);
    fflush(stdout);
    /* A target that was named must exist. */
    if (options->arch || options->qemu || options->qemu_src || options->qemu_dst) {
        g_autoptr(GPtrArray) targets = godwit_targets(process, options, 0, error);
        for (guint i = 0; targets && i < targets->len; i++, found++)
            describe_target(&doctor, g_ptr_array_index(targets, i));
        if (!targets)
            return false;
    } else if (!examine_all(process, options, &doctor, &found, error)) {
        return false;
    }
    describe_reasons(&doctor);
    if (found)
        row("next", "godwit run --quick: a first answer, about ten seconds per architecture");
    *status = found ? 0 : 2;
    return true;
}

bool godwit_command_doctor(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error)
{
    struct godwit_options options;
    gboolean verbose = FALSE;
    bool helped = false;
    const GOptionEntry entries[] = {
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "List each scenario that cannot run",
         NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    godwit_options_init(&options);
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_set_summary(
        context, "Reports what this host and its QEMUs can and cannot do, and why.\n"
                 "Exit status: 0 if there is a usable QEMU, otherwise 2.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options));
    bool good = godwit_options_parse(context, &options, &argc, &argv, &helped, error);
    if (good && argc > 1) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                    "doctor: unexpected argument \"%s\" (see --help)", argv[1]);
        good = false;
    }
    good = good && (helped || examine(process, &options, verbose, status, error));
    godwit_options_clear(&options);
    return good;
}
