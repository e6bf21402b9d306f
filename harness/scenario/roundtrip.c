/*
 * A device that goes to the destination, back to where it came from, and there again after a reset.
 *
 * The machine never runs. Each step has a QEMU of its own, because QEMU saves a machine only once:
 *
 *   source             is saved several times, with a request for devices alone, which may be
 *                      repeated: all must be equal, so saving changes nothing. Then it goes to ...
 *   destination        which saves what it has loaded, to ...
 *   return             a QEMU of the source's binary, which saves it once more: it must be what the
 *                      source had. What the destination has saved is also loaded by ...
 *   reset-source       another QEMU of the source's binary, which is reset then and migrated to ...
 *   reset-destination  of which state and registers are compared with those of reset-source.
 *
 * A field that one binary saves in other words than the other can be lost on the way back and be
 * noticed nowhere else. A device whose reset forgets something sends what no fresh machine does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "base/file.h"
#include "course/still.h"
#include "oracle/hardware.h"
#include "oracle/state.h"
#include <string.h>

/* The file that xen-save-devices-state writes. It has nothing to do with Xen. */
#define DEVICES_FILE "devices.stream"
/* The most that it may have, in bytes. RAM is not in it. */
#define DEVICES_MAX ((size_t)64 << 20)

/* Makes VM write the state of its devices alone. Returns it as godwit_state_read() does. */
static GHashTable *save_devices(struct godwit_vm *vm, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, DEVICES_FILE, NULL);
    g_autoptr(json_t) done =
        godwit_vm_execute(vm, "xen-save-devices-state",
                          json_pack("{s:s, s:b}", "filename", DEVICES_FILE, "live", 0), error);
    size_t length = 0;
    g_autofree char *bytes = done ? godwit_file_read(path, DEVICES_MAX, &length, error) : NULL;
    return bytes ? godwit_state_read(bytes, length, error) : NULL;
}

/* Saves the devices of VM twice, and fails with ORACLE if that makes a difference. A third time
 * tells what comes from a clock of the host, such as kvmclock: that changes each time. */
static bool save_twice(struct godwit_vm *vm, GError **error)
{
    GHashTable *states[3] = {NULL};
    bool saved = true;
    for (size_t i = 0; i < G_N_ELEMENTS(states) && saved; i++)
        saved = (states[i] = save_devices(vm, error)) != NULL;
    g_autofree char *difference =
        saved ? godwit_state_compare(states[1], states[0], states[2]) : NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(states); i++)
        g_clear_pointer(&states[i], g_hash_table_unref);
    return saved &&
           (!difference ||
            godwit_fail(error, GODWIT_ERROR_ORACLE,
                        "the devices were saved twice, and the first time %s", difference));
}

/* Starts a QEMU that loads what SOURCE has saved: one of the source's binary if TURNED. */
static struct godwit_vm *load(struct godwit_vm *source, const char *name, bool turned,
                              char **arguments, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    testbed->turned = turned;
    struct godwit_vm *vm = godwit_vm_start(testbed, name, GODWIT_VM_DESTINATION_PAUSED,
                                           (const char *const *)arguments, error);
    testbed->turned = false;
    return vm && godwit_loaded_load(source, vm, error) ? vm : NULL;
}

/* Fails with ORACLE if LATER, which was saved one STEP later, lacks what BEFORE had. */
static bool judge_fields(struct godwit_testbed *testbed, const char *step,
                         const struct godwit_stream_fields *before,
                         const struct godwit_stream_fields *later, bool same, GError **error)
{
    GPtrArray **lost = &testbed->state->lost;
    g_clear_pointer(lost, g_ptr_array_unref);
    *lost = godwit_loaded_lost_fields(testbed, before, later, same);
    if (godwit_loaded_judge(testbed, *lost, error))
        return true;
    godwit_error_context(error, "on the way %s", step);
    return false;
}

/* Migrates SOURCE away and back, and leaves in GODWIT_MIGRATE_FILE what was saved away. Returns the
 * VM that did so. */
static struct godwit_vm *go_and_return(struct godwit_vm *source, char **here, char **there,
                                       GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    const struct godwit_setup *setup = testbed->setup;
    const bool same = !strcmp(setup->source->path, setup->destination->path);
    struct godwit_stream_fields *before = godwit_loaded_save(source, error);
    struct godwit_vm *away = before ? load(source, "destination", false, there, error) : NULL;
    struct godwit_stream_fields *carried = away ? godwit_loaded_save(away, error) : NULL;
    bool good = carried && judge_fields(testbed, "there", before, carried, same, error);
    /* Saving it at home writes to the same file, which is needed again. */
    struct godwit_vm *home = good ? load(away, "return", true, here, error) : NULL;
    struct godwit_stream_fields *back = home ? godwit_loaded_save_aside(home, error) : NULL;
    good = back && judge_fields(testbed, "back", before, back, true, error);
    if (good)
        godwit_testbed_measure(testbed, "state_fields", json_integer(before->fields->len));
    godwit_stream_fields_free(before);
    godwit_stream_fields_free(carried);
    godwit_stream_fields_free(back);
    return good ? away : NULL;
}

/* Resets a machine that has loaded what AWAY saved, and migrates it. */
static bool reset_and_go(struct godwit_vm *away, char **here, char **there, GError **error)
{
    struct godwit_testbed *testbed = away->testbed;
    struct godwit_vm *reset = load(away, "reset-source", true, here, error);
    if (!reset)
        return false;
    const guint first = reset->qmp->events->len;
    g_autoptr(json_t) asked = godwit_vm_execute(reset, "system_reset", NULL, error);
    if (!asked || !godwit_vm_wait_event(reset, first, "RESET", NULL, error) ||
        !godwit_hardware_assign(reset, error))
        return false;
    struct godwit_vm *arrived =
        godwit_vm_start(testbed, "reset-destination", GODWIT_VM_DESTINATION_PAUSED,
                        (const char *const *)there, error);
    if (!arrived || !godwit_still_transfer(reset, arrived, error))
        return false;
    g_clear_pointer(&testbed->state->lost, g_ptr_array_unref);
    testbed->state->lost =
        godwit_loaded_compare(reset, arrived, (const char *const *)there, true, error);
    if (testbed->state->lost && godwit_loaded_judge(testbed, testbed->state->lost, error))
        return true;
    godwit_error_context(error, "after a reset");
    return false;
}

static bool travel(struct godwit_testbed *testbed, const char *name, char **here, char **there,
                   GError **error)
{
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    struct godwit_vm *source =
        godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, (const char *const *)here, error);
    if (!source)
        return false;
    if (!godwit_vm_handshake(source, error)) {
        godwit_plug_refused(source, name, error);
        return false;
    }
    if (!godwit_migrate_set_capabilities(source, NULL, error) ||
        !godwit_course_migrates(source, "device", error) || !godwit_hardware_assign(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    struct godwit_vm *away =
        save_twice(source, error) ? go_and_return(source, here, there, error) : NULL;
    return away && reset_and_go(away, here, there, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const char *name = godwit_scenario_subject(scenario);
    g_autoptr(godwit_plug) plug = godwit_plug_ask(testbed, name, false, error);
    if (!plug || !godwit_plug_agreed(testbed, plug, error))
        return false;
    g_auto(GStrv) here = godwit_plug_arguments(plug->source, true);
    g_auto(GStrv) there = godwit_plug_arguments(plug->destination, true);
    g_autoptr(GError) cause = NULL;
    testbed->hand = true;
    if (travel(testbed, name, here, there, &cause))
        return true;
    godwit_device_explain(testbed, name, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

GODWIT_SCENARIOS(roundtrip) = {
    {
        .name = "roundtrip/NAME",
        .summary = "a device that is migrated there, back, and there again after a reset",
        .names = godwit_device_names,
        .run = run,
        .order = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
    },
};
GODWIT_SCENARIOS_END(roundtrip);
