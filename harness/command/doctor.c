/*
 * godwit doctor: what this host and these binaries can do, and why not.
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
    row("userfaultfd", "%s",
        godwit_host_userfaultfd()
            ? "yes: postcopy can run"
            : "no: postcopy is skipped (sysctl vm.unprivileged_userfaultfd=1 would allow it)");
    const int scope = godwit_host_ptrace_scope();
    row("guest memory", "%s",
        scope <= 1
            ? "read by process_vm_readv, at memory speed"
            : "process_vm_readv may be refused (kernel.yama.ptrace_scope): pmemsave instead");
    row("temporary", "%s", process->folder);
}

static void describe_target(const struct godwit_target *target)
{
    const struct godwit_qemu *qemu = target->source;
    row(target->setup.machine->arch, "%s: QEMU %s%s%s, answers in %.0f ms", qemu->path,
        qemu->version, *qemu->package ? ", " : "", qemu->package, qemu->start_ms);
    if (strcmp(target->destination->path, target->source->path) != 0)
        row("", "destination %s: QEMU %s", target->destination->path, target->destination->version);
    row("", "machine %s, image %s, %u migration capabilities, %u parameters", target->setup.type,
        target->setup.image->name, godwit_qemu_count(qemu, "capability"),
        godwit_qemu_count(qemu, "parameter"));
    row("", "accelerator %s: %s", target->setup.accel, target->accel_reason);
    g_autoptr(GPtrArray) scenarios = godwit_scenario_all();
    unsigned able = 0;
    for (guint i = 0; i < scenarios->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(scenarios, i);
        g_autofree char *obstacle = godwit_scenario_skip_reason(scenario, &target->setup);
        able += !obstacle;
        if (obstacle)
            row("", "cannot run %s: %s", scenario->name, obstacle);
    }
    row("", "can run %u of %u scenarios", able, scenarios->len);
}

static bool examine(struct godwit_process *process, const struct godwit_options *options,
                    int *status, GError **error)
{
    if (!godwit_process_begin(process, error))
        return false;
    describe_host(process);
    fflush(stdout);
    /* Asked for by name, a target has to be there; otherwise each is looked at by itself, so that
     * one bad binary does not hide the others. */
    if (options->arch || options->qemu || options->qemu_src || options->qemu_dst) {
        g_autoptr(GPtrArray) targets = godwit_targets(process, options, error);
        for (guint i = 0; targets && i < targets->len; i++)
            describe_target(g_ptr_array_index(targets, i));
        return targets != NULL;
    }
    unsigned found = 0;
    for (size_t i = 0; i < godwit_machine_count(); i++) {
        const struct godwit_machine *machine = godwit_machine_at(i);
        struct godwit_options one = *options;
        char *arch[] = {(char *)(uintptr_t)machine->arch, NULL};
        one.arch = arch;
        g_autoptr(GError) cause = NULL;
        g_autoptr(GPtrArray) targets = godwit_targets(process, &one, &cause);
        if (targets) {
            describe_target(g_ptr_array_index(targets, 0));
            found++;
        } else if (cause->code == GODWIT_ERROR_USAGE || process->interrupted) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        } else {
            row(machine->arch, "%s", cause->message);
        }
        fflush(stdout);
    }
    *status = found ? 0 : 2;
    return true;
}

bool godwit_command_doctor(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error)
{
    struct godwit_options options;
    bool helped = false;
    godwit_options_init(&options);
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_set_summary(
        context, "Reports what this host and its QEMUs can and cannot do, and why.\n"
                 "Exit status: 0 if there is a usable QEMU, otherwise 2.");
    g_option_context_add_group(context, godwit_options_group(&options));
    bool good = godwit_options_parse(context, &argc, &argv, &helped, error);
    if (good && argc > 1) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE, "doctor takes no \"%s\" (see --help)",
                    argv[1]);
        good = false;
    }
    good = good && (helped || examine(process, &options, status, error));
    godwit_options_clear(&options);
    return good;
}
