/*
 * A machine type of the binary as it comes, migrated before its first instruction.
 *
 * Godwit's guest runs on few boards. So here no guest runs at all: the source is started with -S
 * and saves what the board is like after its reset, into a file. The destination loads it and is
 * made to save again. Both streams are compared field by field, all RAM byte by byte, and the
 * registers of both are read from outside. That covers each device of the board, but only its
 * values after a reset.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "course/still.h"
#include "inventory/boards.h"
#include "oracle/hardware.h"
#include "oracle/oracle.h"
#include "scenario/device_parts.h"
#include <string.h>

/* The file that stands for firmware or a kernel, and its size in bytes. */
#define IMAGE      "zeros.image"
#define IMAGE_SIZE (64 << 10)

/* Starts a side with the machine, and sets *ARGUMENTS to its own, which the caller frees. Fails
 * with SKIP if QEMU refuses to start it, with MIGRATION if only another QEMU on the destination
 * does, and with CRASH if QEMU crashes. */
static struct godwit_vm *start(struct godwit_testbed *testbed, enum godwit_vm_role role,
                               const char *type, char ***arguments, GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    const bool source = role == GODWIT_VM_SOURCE;
    const struct godwit_qemu *qemu = source ? setup->source : setup->destination;
    if (!json_object_get(qemu->machines, type)) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs the machine %s: QEMU %s has none", type,
                    qemu->version);
        return NULL;
    }
    *arguments = godwit_board_arguments(qemu, type, setup->accel, IMAGE);
    struct godwit_vm *vm = godwit_vm_start_board(testbed, source ? "source" : "destination", role,
                                                 (const char *const *)*arguments, error);
    if (!vm)
        return NULL;
    return (source ? godwit_course_try_start(vm, type, error)
                   : godwit_course_try_destination(vm, type, error))
               ? vm
               : NULL;
}

static bool prepare(struct godwit_vm *vm, GError **error)
{
    /* Flash that was erased is no zero page, so a board may have much to send. */
    static const struct godwit_parameter fast[] = {{"max-bandwidth", (json_int_t)1 << 40, NULL},
                                                   {NULL, 0, NULL}};
    return godwit_migrate_set_capabilities(vm, NULL, error) &&
           godwit_migrate_set_parameters(vm, fast, error);
}

/* Starts both sides, migrates, compares, and ends both. */
static bool migrate(struct godwit_testbed *testbed, const char *type, GError **error)
{
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    if (!godwit_testbed_take_turn(testbed, error))
        return false;
    g_auto(GStrv) ours = NULL;
    g_auto(GStrv) theirs = NULL;
    struct godwit_vm *source = start(testbed, GODWIT_VM_SOURCE, type, &ours, error);
    if (!source || !godwit_course_migrates(source, "machine", error))
        return false;
    struct godwit_vm *destination =
        start(testbed, GODWIT_VM_DESTINATION_PAUSED, type, &theirs, error);
    if (!destination || !prepare(source, error) || !prepare(destination, error) ||
        !godwit_hardware_assign(source, error) ||
        !godwit_still_transfer(source, destination, error) ||
        !godwit_oracle_ram(source, destination, error))
        return false;
    testbed->state->lost =
        godwit_loaded_compare(source, destination, (const char *const *)theirs, true, error);
    return testbed->state->lost && godwit_loaded_judge(testbed, testbed->state->lost, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    const char *type = godwit_scenario_subject(scenario);
    if (strcmp(setup->source->version, setup->destination->version) != 0 &&
        !godwit_scenario_has_version(type))
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs a machine type with a version: QEMU %s and %s may disagree about "
                           "\"%s\"",
                           setup->source->version, setup->destination->version, type);
    g_autofree char *image = g_build_filename(testbed->directory, IMAGE, NULL);
    g_autofree char *zeros = g_malloc0(IMAGE_SIZE);
    g_autoptr(GError) cause = NULL;
    if (!g_file_set_contents(image, zeros, IMAGE_SIZE, &cause))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write %s: %s", image,
                           cause->message);
    testbed->hand = true;
    if (migrate(testbed, type, &cause))
        return true;
    godwit_bug_explain_subject(testbed, GODWIT_SYMPTOM_MACHINE, type, &cause);
    if (!godwit_bug_of(cause))
        godwit_device_explain(testbed, type, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

GODWIT_SCENARIOS(machine) = {
    {
        .name = "machine/NAME",
        .summary =
            "a machine type of the binary, without a guest: state, RAM and registers are compared",
        .names = godwit_boards_list,
        .run = run,
        .order = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
    },
};
GODWIT_SCENARIOS_END(machine);
