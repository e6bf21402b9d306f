/*
 * A CPU that is plugged into the source while its guest runs. The destination has it on its command
 * line. The guest does not use the new CPU, which waits to be started, as after a reset; its state,
 * and what the machine knows of it (ACPI's list of CPUs, on x86), must arrive.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

/* A machine with room for another CPU. */
static const char *const room[] = {"-smp", "1,maxcpus=2", NULL};

/* Appends ",NAME=VALUE" for each member of PROPERTIES, which are numbers or strings. */
static void add_properties(GString *device, json_t *properties)
{
    const char *name;
    json_t *value;
    json_object_foreach(properties, name, value)
    {
        g_autofree char *text = json_is_string(value) ? g_strdup(json_string_value(value))
                                                      : json_dumps(value, JSON_ENCODE_ANY);
        g_string_append_printf(device, ",%s=%s", name, text);
    }
}

/* Asks VM which CPU it has room for. Returns the value of -device that plugs it, which the caller
 * frees. Fails with SKIP if the machine takes none. */
static char *ask_free_cpu(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(json_t) slots = godwit_vm_execute(vm, "query-hotpluggable-cpus", NULL, &cause);
    if (!slots && g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_QMP) && !vm->exited) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine that takes CPUs: %s",
                    cause->message);
        return NULL;
    }
    if (!slots) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    size_t i;
    json_t *slot;
    json_array_foreach(slots, i, slot)
    {
        const char *type = godwit_json_string(slot, "type", NULL);
        if (!type || json_object_get(slot, "qom-path"))
            continue;
        GString *device = g_string_new(type);
        g_string_append(device, ",id=" GODWIT_RECIPE_ID);
        add_properties(device, json_object_get(slot, "props"));
        return g_string_free(device, FALSE);
    }
    godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine with room for another CPU");
    return NULL;
}

/* Finds out how the CPU is plugged, and whether QEMU does it. */
static char *find_cpu(struct godwit_testbed *testbed, char **without, GError **error)
{
    struct godwit_vm *vm = godwit_plug_start(testbed, GODWIT_VM_SOURCE, without, "a CPU", error);
    g_autofree char *device = vm ? ask_free_cpu(vm, error) : NULL;
    g_autofree char *reason = NULL;
    bool plugged = false;
    if (!device || !godwit_plug_add(vm, device, &plugged, &reason, error))
        return NULL;
    if (!plugged) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine that takes CPUs: %s", reason);
        return NULL;
    }
    return godwit_vm_quit(vm, error) ? g_steal_pointer(&device) : NULL;
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_spec spec = scenario->spec;
    struct godwit_recipe recipe = {.machine = (char **)(uintptr_t)room};
    g_auto(GStrv) here = godwit_plug_arguments(&recipe, false);
    testbed->state->device = recipe.device = find_cpu(testbed, here, error);
    if (!recipe.device)
        return false;
    g_auto(GStrv) there = godwit_plug_arguments(&recipe, true);
    godwit_device_spec(testbed, &spec, (const char *const *)here, (const char *const *)there);
    return godwit_course_run(testbed, &spec, error);
}

GODWIT_SCENARIOS(cpu_hotplug) = {
    {
        .name = "smp/hotplug",
        .summary = "a CPU that is plugged while the guest runs: its state is compared",
        .slow = true,
        .run = run,
        GODWIT_DEVICE_ROW(godwit_device_plug_running),
    },
};
GODWIT_SCENARIOS_END(cpu_hotplug);
