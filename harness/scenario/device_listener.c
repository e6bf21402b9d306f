/*
 * Devices that QEMU tells when a migration begins and ends, and that are unplugged before there is
 * one: nobody may call them any more. The destination never had them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "guest/machine.h"
#include <string.h>

#define PORT "socket"

/* A device, as -device takes it, and the arguments that it needs; NULL-terminated. */
struct listener {
    const char *device;
    const char *const *needs;
};

static const char *const nothing[] = {NULL};
static const char *const thread[] = {"-object", "iothread,id=thread", NULL};

static const struct listener standby = {
    "virtio-net-pci,id=" GODWIT_RECIPE_ID ",failover=on,bus=" PORT, nothing};
static const struct listener balloon = {"virtio-balloon-pci,id=" GODWIT_RECIPE_ID
                                        ",free-page-hint=on,iothread=thread,bus=" PORT,
                                        thread};

static void add_arguments(GPtrArray *arguments, const char *const *more)
{
    for (; more && *more; more++)
        g_ptr_array_add(arguments, (gpointer)*more);
}

/* Plugs the device into the source and unplugs it. A spec's hook `configure`. */
static bool plug_and_unplug(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const char *device = source->testbed->state->device;
    bool plugged = false, removed = false;
    g_autofree char *reason = NULL;
    (void)destination;
    if (!godwit_plug_add(source, device, &plugged, &reason, error) ||
        (plugged && (!godwit_course_see_it_run(source, error) ||
                     !godwit_plug_remove(source, device, &removed, &reason, error))))
        return false;
    return removed ? godwit_course_see_it_run(source, error)
                   : godwit_fail(error, GODWIT_ERROR_SKIP, "needs a device that can be %s: %s",
                                 plugged ? "unplugged" : "plugged", reason);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    static const char *const port[] = {"-device", "pcie-root-port,id=" PORT ",chassis=7", NULL};
    const struct listener *listener = scenario->data;
    g_autoptr(GPtrArray) arguments = g_ptr_array_new();
    struct godwit_vm *source, *destination;
    add_arguments(arguments, testbed->setup->machine->unplug_arguments);
    add_arguments(arguments, port);
    add_arguments(arguments, listener->needs);
    g_ptr_array_add(arguments, NULL);
    const char *const *words = (const char *const *)arguments->pdata;
    testbed->state->device = g_strdup(listener->device);
    return godwit_course_try_both(testbed, "a machine with a PCI Express port", words, words,
                                  GODWIT_VM_DESTINATION_PAUSED, &source, &destination, error) &&
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
