/*
 * A CPU model of the binary under Godwit's guest: the guest runs on it, is migrated stopped through
 * a file, and runs on. All oracles judge, and the state is compared field by field.
 *
 * Before that, a QEMU of each side is started with the model, to find out whether QEMU starts it,
 * migrates it, and whether the guest runs on it: it may be a 32-bit model of a 64-bit target.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"
#include "course/loaded.h"
#include "inventory/cpus.h"
#include "oracle/state.h"
#include <string.h>

/* How long the guest may take to its first character on a model, in seconds, before scaling. It
 * takes less than one. */
#define TO_READY_SECONDS 20

/* Fails with SKIP unless QEMU shows the register that holds the guest's position. A CPU that is in
 * another mode than the guest was made for does not have it. */
static bool has_registers(struct godwit_vm *vm, const char *model, GError **error)
{
    const char *label = vm->testbed->setup->machine->position_label;
    g_autoptr(GError) cause = NULL;
    g_autofree char *registers = godwit_vm_monitor(vm, "info registers", &cause);
    if (!registers)
        godwit_bug_excuse(
            &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_CPU, .vm = vm, .text = model},
            &cause);
    if (registers && label && !strstr(registers, label))
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs a CPU that runs Godwit's guest: %s has no register %s", model,
                           label);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return registers != NULL;
}

/* Waits until the guest runs. Fails with SKIP if it does not get to its first character. */
static bool see_it_run(struct godwit_vm *vm, const char *model, GError **error)
{
    struct godwit_testbed *testbed = vm->testbed;
    g_autoptr(GError) cause = NULL;
    if (!godwit_vm_run(vm, &cause)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    const gint64 deadline = godwit_testbed_limit(testbed, TO_READY_SECONDS);
    const bool runs = godwit_vm_wait_console(vm, 1, 0, &cause);
    testbed->deadline = deadline;
    if (runs)
        return true;
    if (cause->code == GODWIT_ERROR_TIMEOUT)
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs a CPU that runs Godwit's guest: with %s it did not start in %d s",
                           model, TO_READY_SECONDS);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Starts a QEMU with the model and, on the source, the guest. Fails with SKIP if QEMU, or the
 * guest, cannot run it or be migrated with it. */
static bool try_model(struct godwit_testbed *testbed, enum godwit_vm_role role, const char *model,
                      const char *const *arguments, GError **error)
{
    const bool source = role == GODWIT_VM_SOURCE;
    struct godwit_vm *vm = godwit_vm_start(testbed, source ? "trial-source" : "trial-destination",
                                           role, arguments, error);
    if (!vm || !godwit_course_try_start(vm, model, error) ||
        !godwit_course_migrates(vm, "CPU", error) || !has_registers(vm, model, error))
        return false;
    return (!source || see_it_run(vm, model, error)) && godwit_vm_quit(vm, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const char *model = godwit_scenario_subject(scenario);
    const char *const arguments[] = {"-cpu", model, "-rtc", "base=2026-01-01,clock=vm", NULL};
    struct godwit_spec spec = scenario->spec;
    if (!try_model(testbed, GODWIT_VM_SOURCE, model, arguments, error) ||
        !try_model(testbed, GODWIT_VM_DESTINATION_PAUSED, model, arguments, error))
        return false;
    spec.transport =
        godwit_state_common_transport(testbed->setup->source, testbed->setup->destination);
    spec.source_arguments = spec.destination_arguments = arguments;
    return godwit_course_run(testbed, &spec, error);
}

GODWIT_SCENARIOS(cpu) = {
    {
        .name = "cpu/NAME",
        .summary = "a CPU model of the binary under the guest: its state is compared as well",
        .names = godwit_cpus_list,
        .run = run,
        .order = true,
        .spec = {.move = GODWIT_MOVE_STOPPED, .judge = godwit_loaded_judge_state},
    },
};
GODWIT_SCENARIOS_END(cpu);
