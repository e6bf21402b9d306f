/*
 * Makes the targets that the options choose: for each machine, a target for each pair of binaries
 * and each workload. Each binary is probed once, and must be used.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "migrate/settings.h"
#include "qemu/host.h"
#include "testbed/accel.h"
#include "testbed/probe.h"
#include <string.h>

void godwit_target_free(struct godwit_target *target)
{
    godwit_qemu_free(target->destination);
    godwit_qemu_free(target->source);
    g_free(target->name);
    g_free(target->accel_reason);
    g_free(target);
}

/* Returns the names of all architectures, separated by commas. The caller frees it. */
static char *arch_names(void)
{
    GString *names = g_string_new(NULL);
    for (size_t i = 0; i < godwit_machine_count(); i++)
        g_string_append_printf(names, "%s%s", i ? ", " : "", godwit_machine_at(i)->arch);
    return g_string_free(names, FALSE);
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

/* Returns the size of a guest's RAM in MiB, if no scenario chooses less. */
static unsigned memory_of(const struct godwit_options *options,
                          const struct godwit_machine *machine)
{
    return options->memory != GODWIT_NOT_GIVEN ? (unsigned)options->memory : machine->memory_mib;
}

/* Completes a target that has its machine and binaries, with the workload NAME. LIKE is a target
 * that differs only in the workload, or NULL. TRIED is as in godwit_target_try(). */
static bool complete(struct godwit_process *process, const struct godwit_options *options,
                     GHashTable *tried, const char *name, const struct godwit_target *like,
                     struct godwit_target *target, GError **error)
{
    struct godwit_setup *setup = &target->setup;
    const struct godwit_machine *machine = setup->machine;
    setup->source = target->source;
    setup->destination = target->destination;
    setup->hops = (unsigned)options->hops;
    setup->seed = (uint64_t)options->seed;
    setup->timeout_scale = options->timeout_scale;
    setup->accepted = options->accepted;
    setup->strict = options->strict;
    setup->source_words = (const char *const *)options->source_words;
    setup->destination_words = (const char *const *)options->destination_words;
    setup->machine_cpus = options->machine_cpus;
    setup->theirs = options->theirs;
    setup->after = options->after;
    setup->settings = options->settings;
    setup->peer = options->peer;
    setup->peer_address = options->peer_address;
    setup->unthrottled = options->unthrottled;
    setup->untraced = options->no_waterfall;
    setup->give_up = options->give_up;
    if (!godwit_settings_check(setup->settings, target->source, error) ||
        !godwit_settings_check(setup->settings, target->destination, error))
        return false;
    setup->pmemsave = !g_strcmp0(options->read_memory, "pmemsave");
    setup->image = godwit_machine_image(machine, options->image);
    if (!setup->image)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s has no image \"%s\"", machine->arch,
                           options->image);
    setup->memory_given = options->memory != GODWIT_NOT_GIVEN;
    setup->memory_mib = memory_of(options, machine);
    if (options->machine)
        setup->type =
            godwit_qemu_common_type(target->source, target->destination, options->machine);
    for (size_t i = 0; !options->machine && !setup->type && machine->types[i]; i++)
        setup->type =
            godwit_qemu_common_type(target->source, target->destination, machine->types[i]);
    if (!options->machine && !setup->type)
        setup->type = godwit_qemu_usual_type(target->source, target->destination, machine->types);
    const bool same = !strcmp(target->source->path, target->destination->path);
    if (!setup->type) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "%s (QEMU %s)%s%s has no machine \"%s\" that Godwit's %s guest could run on",
                    target->source->path, target->source->version, same ? "" : " or ",
                    same ? "" : target->destination->path,
                    options->machine ? options->machine : machine->types[0], machine->arch);
        return false;
    }
    if (!godwit_target_choose(setup, options, name, error) ||
        !godwit_target_try(process, options, target, tried, error))
        return false;
    target->second = like != NULL;
    /* KVM may run the program of one workload fast and that of another not at all: a KVM that is
     * itself emulated does not support every instruction. So only targets with the same program
     * share an accelerator. */
    if (like && !((like->setup.workload.flags ^ setup->workload.flags) & GODWIT_FLAG_STAMP)) {
        setup->accel = like->setup.accel;
        target->accel_reason = g_strdup(like->accel_reason);
        return true;
    }
    if (options->peer && !options->accel) {
        setup->accel = "tcg";
        target->accel_reason = g_strdup("the other host need not have another one");
        return true;
    }
    if (options->accel && strcmp(options->accel, "auto") != 0) {
        setup->accel = options->accel;
        target->accel_reason = g_strdup("selected with --accel");
        return true;
    }
    /* Measure with the settings of most scenarios, but a guest that never waits: one that is given
     * a dirty rate takes as long under any accelerator. */
    struct godwit_setup typical = *setup;
    typical.accel = "tcg";
    typical.workload.page_ticks = 0;
    godwit_scenario_prepare(NULL, &typical);
    setup->accel = godwit_accel_choose(&typical, process->folder, &process->interrupted,
                                       &target->accel_reason, error);
    return setup->accel != NULL;
}

/* Returns the machines that --arch names, each once. */
static GPtrArray *choose_machines(char **arch, GError **error)
{
    g_autoptr(GPtrArray) machines = g_ptr_array_new();
    for (guint i = 0; arch && arch[i]; i++) {
        g_auto(GStrv) names = g_strsplit(arch[i], ",", -1);
        for (guint j = 0; names[j]; j++) {
            const struct godwit_machine *machine = godwit_machine_find(names[j]);
            if (!machine) {
                g_autofree char *known = arch_names();
                godwit_fail(error, GODWIT_ERROR_USAGE,
                            "unknown architecture \"%s\" (expected one of %s)", names[j], known);
                return NULL;
            }
            if (!g_ptr_array_find(machines, machine, NULL))
                g_ptr_array_add(machines, (gpointer)(uintptr_t)machine);
        }
    }
    return g_steal_pointer(&machines);
}

/* The binaries probed so far. Each is probed once, even if several targets use it. */
struct binaries {
    struct godwit_process *process;
    const struct godwit_options *options;
    unsigned parallel;   /* as godwit_targets() has it */
    GHashTable *probed;  /* path -> struct godwit_qemu, both owned */
    GHashTable *tried;   /* as in godwit_target_try() */
    GPtrArray *left_out; /* of char *: binaries and pairs that make no target, and why */
    /* With --peer, the user's options; OPTIONS then name the programs that stand for the
     * destinations. NULL: no --peer. */
    const struct godwit_options *peer;
};

static const struct godwit_qemu *probe(struct binaries *binaries, const char *path, GError **error)
{
    struct godwit_qemu *qemu = g_hash_table_lookup(binaries->probed, path);
    if (!qemu) {
        qemu = godwit_qemu_probe(path, binaries->process->folder, binaries->options->timeout_scale,
                                 &binaries->process->interrupted, error);
        if (qemu)
            g_hash_table_insert(binaries->probed, g_strdup(path), qemu);
    }
    return qemu;
}

/* Notes that QEMU is left out if no guest of it can be migrated here, and returns whether that is
 * so. */
static bool is_unfit(const struct binaries *binaries, const struct godwit_qemu *qemu)
{
    if (!godwit_qemu_has(qemu, "pages", "large"))
        return false;
    g_autofree char *text = g_strdup_printf(
        "%s with QEMU %s is left out: its pages are larger than this host's, and QEMU does not "
        "migrate RAM in such pages; a newer QEMU may have smaller ones",
        qemu->arch, qemu->version);
    if (!g_ptr_array_find_with_equal_func(binaries->left_out, text, g_str_equal, NULL))
        g_ptr_array_add(binaries->left_out, g_steal_pointer(&text));
    return true;
}

/*
 * Returns the machine's binaries among those NAMED, or the one in $PATH if NAMED is NULL. If the
 * machine was ASKED_FOR, each binary must be for it; otherwise binaries for another architecture
 * are ignored. One that is unfit is left out. Returns NULL with ERROR set if a binary is not
 * usable.
 */
static GPtrArray *binaries_for(struct binaries *binaries, const struct godwit_machine *machine,
                               char *const *named, bool asked_for, GError **error)
{
    char *const in_path[] = {NULL, NULL};
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    guint i = 0;
    do {
        const char *name = named ? named[i] : in_path[i];
        const bool folder = name && g_file_test(name, G_FILE_TEST_IS_DIR);
        g_autoptr(GError) missing = NULL;
        g_autofree char *path = godwit_qemu_find(machine, name, &missing);
        if (!path && folder && !asked_for)
            continue;
        if (!path) {
            g_propagate_error(error, g_steal_pointer(&missing));
            return NULL;
        }
        const struct godwit_qemu *qemu = probe(binaries, path, error);
        if (!qemu)
            return NULL;
        if (strcmp(qemu->arch, machine->arch) != 0 && !folder && !asked_for)
            continue;
        if (!right_arch(qemu, machine, error))
            return NULL;
        if (!is_unfit(binaries, qemu) && !g_ptr_array_find(found, qemu, NULL))
            g_ptr_array_add(found, (gpointer)(uintptr_t)qemu);
    } while (named && named[++i]);
    return g_steal_pointer(&found);
}

/* Returns the target of a machine on a pair of binaries with the workload NAME, or NULL with ERROR
 * set. */
static struct godwit_target *make_target(const struct binaries *binaries,
                                         const struct godwit_machine *machine,
                                         const struct godwit_qemu *source,
                                         const struct godwit_qemu *destination, const char *name,
                                         const struct godwit_target *like, GError **error)
{
    struct godwit_target *target = g_new0(struct godwit_target, 1);
    target->setup.machine = machine;
    target->source = godwit_qemu_copy(source);
    target->destination = godwit_qemu_copy(destination);
    if (binaries->peer)
        target->destination->remote =
            godwit_peer_program(binaries->peer, destination->path, machine->arch);
    if (!complete(binaries->process, binaries->options, binaries->tried, name, like, target, error))
        g_clear_pointer(&target, godwit_target_free);
    return target;
}

/* Adds the targets of a machine on a pair of binaries, one for each workload. */
static bool add_workloads(const struct binaries *binaries, const struct godwit_machine *machine,
                          const struct godwit_qemu *source, const struct godwit_qemu *destination,
                          GPtrArray *targets, GError **error)
{
    const struct godwit_options *options = binaries->options;
    const char *list = options->workload ? options->workload : options->usual_workloads;
    g_auto(GStrv) names = g_strsplit(list, ",", -1);
    const struct godwit_target *previous = NULL;
    for (guint i = 0; names[i]; i++) {
        /* Skip a default workload that the guest image does not support. */
        if (previous && !options->workload && !previous->setup.image->stamp_store)
            continue;
        struct godwit_target *target =
            make_target(binaries, machine, source, destination, names[i], previous, error);
        if (!target)
            return false;
        g_ptr_array_add(targets, target);
        previous = target;
    }
    return true;
}

/* Adds the targets of one machine: each binary with itself, each ordered pair of two different ones
 * with --cross, or each --qemu-src with each --qemu-dst. */
static bool add_targets(struct binaries *binaries, const struct godwit_machine *machine,
                        bool asked_for, GPtrArray *targets, GError **error)
{
    const struct godwit_options *options = binaries->options;
    const bool sides = options->qemu_src || options->qemu_dst;
    if (sides && !asked_for) {
        /* The side that is named determines the architecture, and the other one must match. */
        g_autoptr(GPtrArray) first =
            binaries_for(binaries, machine,
                         options->qemu_src ? options->qemu_src : options->qemu_dst, false, error);
        if (!first || first->len == 0)
            return first != NULL;
        asked_for = true;
    }
    g_autoptr(GPtrArray) sources = binaries_for(
        binaries, machine, options->qemu_src ? options->qemu_src : options->qemu, asked_for, error);
    g_autoptr(GPtrArray) destinations =
        sources
            ? binaries_for(binaries, machine, options->qemu_dst ? options->qemu_dst : options->qemu,
                           asked_for, error)
            : NULL;
    if (!destinations)
        return false;
    /* Check this before the accelerators are measured: QEMU's own refusal names no remedy. */
    if (sources->len && destinations->len &&
        !godwit_enough_memory(memory_of(options, machine), binaries->parallel, error))
        return false;
    for (guint i = 0; i < sources->len; i++) {
        const struct godwit_qemu *source = g_ptr_array_index(sources, i);
        for (guint j = 0; j < destinations->len; j++) {
            const struct godwit_qemu *destination = g_ptr_array_index(destinations, j);
            if (!godwit_options_pair(options, source, destination, i == j))
                continue;
            g_autoptr(GError) cause = NULL;
            if (add_workloads(binaries, machine, source, destination, targets, &cause))
                continue;
            const bool several = options->cross || (sides && sources->len * destinations->len > 1);
            if (several && cause->code == GODWIT_ERROR_ENVIRONMENT) {
                g_ptr_array_add(binaries->left_out,
                                g_strdup_printf("%s from QEMU %s to %s is left out: %s",
                                                machine->arch, source->version,
                                                destination->version, cause->message));
            } else {
                g_propagate_error(error, g_steal_pointer(&cause));
                return false;
            }
        }
    }
    return true;
}

/* Fails if a binary that was named belongs to no target. */
static bool all_used(struct binaries *binaries, char *const *named, GError **error)
{
    g_autofree char *known = arch_names();
    for (guint i = 0; named && named[i]; i++) {
        bool used = false;
        const char *what = "no binary";
        for (size_t m = 0; !used && m < godwit_machine_count(); m++) {
            const struct godwit_machine *machine = godwit_machine_at(m);
            g_autofree char *path = godwit_qemu_find(machine, named[i], NULL);
            const struct godwit_qemu *qemu =
                path ? g_hash_table_lookup(binaries->probed, path) : NULL;
            used = qemu && !strcmp(qemu->arch, machine->arch);
            what = qemu ? qemu->arch : what;
        }
        if (used)
            continue;
        if (g_file_test(named[i], G_FILE_TEST_IS_DIR))
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "neither %s nor %s/bin has a qemu-system-ARCH for any of %s", named[i],
                        named[i], known);
        else
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "%s is a QEMU for %s, for which Godwit has no guest, only for %s", named[i],
                        what, known);
        return false;
    }
    return true;
}

/* Returns every machine whose QEMU is in $PATH, for a command line without --arch and without a
 * binary. Prints which machines are left out. */
static GPtrArray *machines_in_path(GError **error)
{
    g_autoptr(GPtrArray) machines = g_ptr_array_new();
    g_autoptr(GPtrArray) left_out = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < godwit_machine_count(); i++) {
        const struct godwit_machine *machine = godwit_machine_at(i);
        g_autoptr(GError) missing = NULL;
        g_autofree char *path = godwit_qemu_find(machine, NULL, &missing);
        if (path)
            g_ptr_array_add(machines, (gpointer)(uintptr_t)machine);
        else
            g_ptr_array_add(left_out,
                            g_strdup_printf("%s is left out: %s", machine->arch, missing->message));
    }
    if (machines->len == 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "no QEMU in $PATH: install one, for example Debian's qemu-system-x86, or name "
                    "a binary with --qemu");
        return NULL;
    }
    for (guint i = 0; i < left_out->len; i++)
        godwit_text_complain("%s", (const char *)g_ptr_array_index(left_out, i));
    return g_steal_pointer(&machines);
}

static GPtrArray *every_machine(void)
{
    GPtrArray *machines = g_ptr_array_new();
    for (size_t i = 0; i < godwit_machine_count(); i++)
        g_ptr_array_add(machines, (gpointer)(uintptr_t)godwit_machine_at(i));
    return machines;
}

GPtrArray *godwit_targets(struct godwit_process *process, const struct godwit_options *options,
                          unsigned parallel, GError **error)
{
    if (!godwit_options_check(options, error))
        return NULL;
    g_autoptr(GPtrArray) machines = choose_machines(options->arch, error);
    if (!machines)
        return NULL;
    const bool asked_for = machines->len > 0;
    const bool named = options->qemu || options->qemu_src || options->qemu_dst;
    if (!asked_for) {
        g_ptr_array_unref(machines);
        machines = named ? every_machine() : machines_in_path(error);
        if (!machines)
            return NULL;
    }
    g_autoptr(GHashTable) tried = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) left_out = g_ptr_array_new_with_free_func(g_free);
    struct godwit_options wrapped = *options;
    g_auto(GStrv) programs = NULL;
    if (options->peer && !godwit_peer_wrap(process, machines, &wrapped, &programs, error))
        return NULL;
    struct binaries binaries = {
        process, &wrapped, parallel, NULL, tried, left_out, options->peer ? options : NULL};
    binaries.probed =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)godwit_qemu_free);
    g_autoptr(GPtrArray) targets =
        g_ptr_array_new_with_free_func((GDestroyNotify)godwit_target_free);
    bool good = true;
    for (guint i = 0; good && i < machines->len; i++)
        good = add_targets(&binaries, g_ptr_array_index(machines, i), asked_for || !named, targets,
                           error);
    char *const *const lists[] = {wrapped.qemu, wrapped.qemu_src, wrapped.qemu_dst};
    for (size_t i = 0; good && i < G_N_ELEMENTS(lists); i++)
        good = all_used(&binaries, lists[i], error);
    g_hash_table_unref(binaries.probed);
    const bool pairs = options->cross || options->qemu_src || options->qemu_dst;
    if (good && targets->len == 0 && left_out->len && !pairs)
        good = godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "%s",
                           (const char *)g_ptr_array_index(left_out, 0));
    else if (good && targets->len == 0)
        good =
            godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                        "no two of these QEMUs can migrate to each other%s%s%s",
                        options->direction ? " in that direction" : "", left_out->len ? ": " : "",
                        left_out->len ? (const char *)g_ptr_array_index(left_out, 0) : "");
    for (guint i = 0; good && i < left_out->len; i++)
        godwit_text_complain("%s", (const char *)g_ptr_array_index(left_out, i));
    godwit_targets_name(targets);
    return good ? g_steal_pointer(&targets) : NULL;
}

struct godwit_job *godwit_target_job(const struct godwit_target *target,
                                     const struct godwit_scenario *scenario)
{
    struct godwit_job *job = godwit_job_new();
    job->scenario = scenario;
    job->setup = target->setup;
    job->target = g_strdup(target->name);
    job->type = g_strdup(target->setup.type);
    job->accel = g_strdup(target->setup.accel);
    job->setup.type = job->type;
    job->setup.accel = job->accel;
    godwit_job_own_words(job);
    godwit_job_set_settings(job, (json_t *)(uintptr_t)target->setup.settings);
    return job;
}
