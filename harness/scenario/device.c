/*
 * A device of the binary: plugged into both sides, migrated, and compared.
 *
 * In device/NAME Godwit's guest runs beside the device, and is migrated stopped, through a file. So
 * the source's stream has the state of every device, and the destination has loaded it and not run
 * since. State and registers of the two are compared, and all other oracles judge as in any
 * migration. In prelaunch/NAME nothing runs, and only state and registers are compared.
 *
 * Before that, a QEMU of each side is started for questions: what the device needs, whether it can
 * be plugged, and whether it lets itself be migrated.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "bugs/bugs.h"
#include "course/still.h"
#include "oracle/hardware.h"
#include "oracle/state.h"
#include <string.h>

void godwit_device_clear(struct godwit_scenario_state *state)
{
    g_clear_pointer(&state->lost, g_ptr_array_unref);
    g_free(state->device);
}

void godwit_device_spec(struct godwit_testbed *testbed, struct godwit_spec *spec,
                        const char *const *source_arguments,
                        const char *const *destination_arguments)
{
    const struct godwit_setup *setup = testbed->setup;
    testbed->hand = true;
    testbed->state->arguments = destination_arguments;
    spec->transport = godwit_state_common_transport(setup->source, setup->destination);
    spec->source_arguments = source_arguments;
    spec->destination_arguments = destination_arguments;
}

bool godwit_device_assign(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_hardware_assign(source, error);
}

bool godwit_device_judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    state->lost = godwit_loaded_compare(source, destination, state->arguments, false, error);
    return state->lost && godwit_loaded_judge(source->testbed, state->lost, error);
}

/* Fills SYMPTOM in: a migration with the device NAME lost these registers. Returns whether there
 * were two sides. */
static bool describe(const struct godwit_testbed *testbed, const char *name, const GArray *lost,
                     struct godwit_symptom *symptom)
{
    *symptom = (struct godwit_symptom){
        .kind = GODWIT_SYMPTOM_DEVICE,
        .text = name,
        .lost = (const struct godwit_symptom_register *)(const void *)lost->data,
        .lost_count = lost->len,
        .poked = testbed->state->poked,
    };
    return godwit_bug_add_sides(testbed, symptom);
}

bool godwit_device_is_known(const struct godwit_testbed *testbed, const char *name,
                            const struct godwit_lost *lost)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    g_ptr_array_add(list, (gpointer)(uintptr_t)lost);
    g_autoptr(GArray) registers = godwit_loaded_registers(list);
    struct godwit_symptom symptom;
    return describe(testbed, name, registers, &symptom) && godwit_bug_match(&symptom);
}

void godwit_device_explain(const struct godwit_testbed *testbed, const char *name, GError **failure)
{
    g_autoptr(GArray) registers = godwit_loaded_registers(testbed->state->lost);
    struct godwit_symptom symptom;
    if (!describe(testbed, name, registers, &symptom))
        return;
    symptom.failure = *failure;
    if (!godwit_bug_excuse(&symptom, failure))
        godwit_bug_explain_failure(symptom.source, symptom.destination, failure);
}

/* Migrates a machine that never runs: no guest of Godwit's is in it, or none that has run. Whether
 * NAME, its device, can be plugged and migrated shows in the course of it. */
static bool run_still(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                      const char *name, GError **error)
{
    struct godwit_still still = {0};
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    g_autoptr(GError) cause = NULL;
    if (!godwit_still_try_start(testbed, spec->source_arguments, spec->destination_arguments,
                                &still, error))
        return false;
    if (!godwit_still_source_answers(&still, error)) {
        godwit_plug_refused(still.source, name, error);
        return false;
    }
    if (!godwit_vm_handshake(still.destination, &cause)) {
        godwit_plug_refused(still.destination, name, &cause);
        godwit_course_refuses(still.destination, name, &cause);
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    if (!godwit_course_migrates(still.source, "device", error) ||
        !godwit_hardware_assign(still.source, error))
        return false;
    testbed->state->lost = godwit_still_migrate(&still, error);
    return testbed->state->lost && godwit_loaded_judge(testbed, testbed->state->lost, error);
}

/* Plugs the device into both sides, tries it, and migrates. The data of the row is not NULL if the
 * guest must not run. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const char *name = godwit_scenario_subject(scenario);
    g_autoptr(godwit_plug) plug = godwit_plug_ask(testbed, name, true, error);
    if (!plug || !godwit_plug_agreed(testbed, plug, error))
        return false;
    struct godwit_spec spec = scenario->spec;
    const char *board = plug->source->board ? plug->source->board : plug->destination->board;
    const bool still = scenario->data || board;
    g_auto(GStrv) here = godwit_plug_arguments(plug->source, true);
    g_auto(GStrv) there = godwit_plug_arguments(plug->destination, true);
    if (plug->source->board)
        godwit_testbed_measure(testbed, "board", json_string(plug->source->board));
    if (!still && (!godwit_plug_try(testbed, GODWIT_VM_SOURCE, here, name, error) ||
                   !godwit_plug_try(testbed, GODWIT_VM_DESTINATION_PAUSED, there, name, error)))
        return false;
    godwit_device_spec(testbed, &spec, (const char *const *)here, (const char *const *)there);
    g_autoptr(GError) cause = NULL;
    if (still ? run_still(testbed, &spec, name, &cause) : godwit_course_run(testbed, &spec, &cause))
        return true;
    godwit_device_explain(testbed, name, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Runs the machine as it is, without a device in question. */
static bool run_machine(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    struct godwit_spec spec = scenario->spec;
    g_auto(GStrv) arguments = godwit_plug_arguments(NULL, false);
    godwit_device_spec(testbed, &spec, (const char *const *)arguments,
                       (const char *const *)arguments);
    struct godwit_symptom sides;
    g_autoptr(GError) cause = NULL;
    if (godwit_course_run(testbed, &spec, &cause))
        return true;
    if (testbed->state->lost && godwit_bug_add_sides(testbed, &sides))
        godwit_loaded_explain(sides.source, sides.destination, testbed->state->lost, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

#define DEVICE(NAME, SUMMARY)                                                                      \
    .name = NAME, .summary = SUMMARY, GODWIT_DEVICE_ROW(godwit_device_assign)

GODWIT_SCENARIOS(device) = {
    {
        DEVICE("state/machine", "the machine as it is: its state and registers are compared"),
        .run = run_machine,
    },
    {
        DEVICE("device/NAME", "a device of the binary beside the guest: state and registers"),
        .names = godwit_device_names,
        .run = run,
    },
    {
        DEVICE("prelaunch/NAME", "a device of the binary in a machine that never runs"),
        .names = godwit_device_names,
        .run = run,
        .data = "the guest does not run",
    },
};
GODWIT_SCENARIOS_END(device);
