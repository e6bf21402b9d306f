/*
 * A device that is plugged into the source while its guest runs. In hotplug/NAME the destination
 * has it on its command line. In unplug/NAME the source loses it again before the migration, and
 * the destination never had it: a source that still sends anything of the device is refused.
 * Everything else is as in device.c.
 *
 * QEMU asks the guest before it takes a PCI device out, unless the guest has switched its slot off,
 * as Godwit's has: it never switches one on. A machine that asks in another way (a q35, by ACPI) is
 * told not to.
 *
 * Many machines cannot plug anything into the bus that they have from the start (pcie.0 of a q35).
 * A device that is refused there is tried in a PCI Express port.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "guest/machine.h"

/* Tries to plug the source's device into a machine that exists. Sets *REASON to why QEMU does not
 * do it, which the caller frees, or to NULL. */
static bool try_add(struct godwit_testbed *testbed, const struct godwit_plug *plug, char **reason,
                    GError **error)
{
    g_auto(GStrv) without = godwit_plug_arguments(plug->source, false);
    bool plugged = false;
    struct godwit_vm *vm = godwit_plug_start(testbed, GODWIT_VM_SOURCE, without, plug->name, error);
    if (!vm)
        return false;
    if (!godwit_plug_add(vm, plug->source->device, &plugged, reason, error)) {
        godwit_plug_crashed(vm, plug->name, error);
        return false;
    }
    return (!plugged || godwit_course_migrates(vm, "device", error)) && godwit_vm_quit(vm, error);
}

/* Finds a place where the device can be plugged while the guest runs. */
static bool find_place(struct godwit_testbed *testbed, const struct godwit_plug *plug,
                       GError **error)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autoptr(GError) cause = NULL;
    if (!try_add(testbed, plug, &first, error))
        return false;
    if (!first)
        return true;
    if (godwit_recipe_use_port(plug->source) &&
        (plug->destination == plug->source || godwit_recipe_use_port(plug->destination))) {
        if (try_add(testbed, plug, &second, &cause) && !second)
            return true;
        /* A port that this machine cannot have is no reason. */
        const struct godwit_vm *tried = g_ptr_array_index(testbed->vms, testbed->vms->len - 1);
        if (cause && (cause->code != GODWIT_ERROR_SKIP || tried->answers)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
    }
    return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a device for a running machine: %s",
                       second ? second : first);
}

bool godwit_device_plug_running(struct godwit_vm *source, struct godwit_vm *destination,
                                GError **error)
{
    bool plugged = false;
    g_autofree char *reason = NULL;
    if (!godwit_plug_add(source, source->testbed->state->device, &plugged, &reason, error))
        return false;
    return plugged ? godwit_device_assign(source, destination, error) &&
                         godwit_course_see_it_run(source, error)
                   : godwit_fail(error, GODWIT_ERROR_QMP,
                                 "the source does not plug, while its guest runs, what a paused "
                                 "one has plugged: %s",
                                 reason);
}

/* Plugs the device in, sees the guest go on with it, and takes it out. */
static bool plug_and_unplug(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return godwit_device_plug_running(source, destination, error) &&
           godwit_plug_remove(source, source->testbed->state->device, error) &&
           godwit_course_see_it_run(source, error);
}

static bool migrate(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                    const struct godwit_plug *plug, GError **error)
{
    struct godwit_spec spec = scenario->spec;
    const bool stays = spec.configure == godwit_device_plug_running;
    const char *const *unplug = testbed->setup->machine->unplug_arguments;
    if (plug->source->board || plug->destination->board)
        return godwit_fail(
            error, GODWIT_ERROR_SKIP, "needs a guest for the machine %s, which has the bus of %s",
            plug->source->board ? plug->source->board : plug->destination->board, plug->name);
    if (!stays)
        godwit_recipe_add_arguments(plug->source, unplug);
    if (!stays && plug->destination != plug->source)
        godwit_recipe_add_arguments(plug->destination, unplug);
    if (!find_place(testbed, plug, error))
        return false;
    g_auto(GStrv) here = godwit_plug_arguments(plug->source, false);
    g_auto(GStrv) there = godwit_plug_arguments(plug->destination, stays);
    testbed->state->device = g_strdup(plug->source->device);
    if (!godwit_plug_try(testbed, GODWIT_VM_DESTINATION_PAUSED, there, plug->name, error))
        return false;
    godwit_device_spec(testbed, &spec, (const char *const *)here, (const char *const *)there);
    g_autoptr(GError) cause = NULL;
    if (godwit_course_run(testbed, &spec, &cause))
        return true;
    godwit_device_explain(testbed, plug->name, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    g_autoptr(godwit_plug) plug =
        godwit_plug_ask(testbed, godwit_scenario_subject(scenario), false, error);
    return plug && migrate(testbed, scenario, plug, error);
}

GODWIT_SCENARIOS(device_hotplug) = {
    {
        .name = "hotplug/NAME",
        .summary = "a device of the binary, plugged while the guest runs: its state is compared",
        .names = godwit_device_names,
        .run = run,
        GODWIT_DEVICE_ROW(godwit_device_plug_running),
    },
    {
        .name = "unplug/NAME",
        .summary = "a device of the binary, plugged and unplugged while the guest runs: nothing "
                   "of it is left",
        .names = godwit_device_names,
        .run = run,
        GODWIT_DEVICE_ROW(plug_and_unplug),
    },
};
GODWIT_SCENARIOS_END(device_hotplug);
