/*
 * Devices that QEMU tells when a migration begins and ends, and that are unplugged before there is
 * one: nobody may call them any more. The destination never had them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "guest/machine.h"

/* A device for PCI, as -device takes it, and the arguments that it needs; NULL: none. */
struct listener {
    const char *device;
    const char *const *needs;
};

static const char *const thread[] = {"-object", "iothread,id=thread", NULL};

static const struct listener standby = {"virtio-net-pci,id=" GODWIT_RECIPE_ID ",failover=on", NULL};
static const struct listener balloon = {
    "virtio-balloon-pci,id=" GODWIT_RECIPE_ID ",free-page-hint=on,iothread=thread", thread};

/* Plugs the device into the source and unplugs it. A spec's hook `configure`. */
static bool plug_and_unplug(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const char *device = source->testbed->state->device;
    bool plugged = false;
    g_autofree char *reason = NULL;
    (void)destination;
    if (!godwit_plug_add(source, device, &plugged, &reason, error))
        return false;
    if (!plugged)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a device that can be plugged: %s",
                           reason);
    return godwit_course_see_it_run(source, error) && godwit_plug_remove(source, device, error) &&
           godwit_course_see_it_run(source, error);
}

/* Returns how a machine plugs the device into a port of PCI Express. The caller frees it. */
static struct godwit_recipe *make_recipe(const struct godwit_machine *machine,
                                         const struct listener *listener)
{
    struct godwit_recipe *recipe = g_new0(struct godwit_recipe, 1);
    *recipe = (struct godwit_recipe){
        .machine = g_new0(char *, 1), .device = g_strdup(listener->device), .pci = true};
    godwit_recipe_add_arguments(recipe, machine->unplug_arguments);
    godwit_recipe_add_arguments(recipe, listener->needs);
    godwit_recipe_use_port(recipe);
    return recipe;
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_recipe *recipe = make_recipe(testbed->setup->machine, scenario->data);
    g_auto(GStrv) words = godwit_plug_arguments(recipe, false);
    const char *const *arguments = (const char *const *)words;
    struct godwit_vm *source, *destination;
    testbed->state->device = g_strdup(recipe->device);
    godwit_recipe_free(recipe);
    return godwit_course_try_both(testbed, "a machine with a PCI Express port", arguments,
                                  arguments, GODWIT_VM_DESTINATION_PAUSED, &source, &destination,
                                  error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

#define ROW(name_, text, data_)                                                                    \
    {                                                                                              \
        .name = "unplugged/" name_, .summary = text, .run = run, .data = data_, .slow = true,      \
        .state = sizeof(struct godwit_scenario_state), .clear = godwit_device_clear, .spec = {     \
            .configure = plug_and_unplug                                                           \
        }                                                                                          \
    }

GODWIT_SCENARIOS(device_listener) = {
    ROW("failover", "a network device with failover=on is unplugged, then live", &standby),
    ROW("free-page-hint", "a balloon with free-page-hint=on is unplugged, then live", &balloon),
};
GODWIT_SCENARIOS_END(device_listener);
