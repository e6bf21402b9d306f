/*
 * QEMU's own network (libslirp), whose state QEMU saves with a handler of the old style, and not
 * with a description as a device has. In netdev/user both sides have it; in netdev/user/removed it
 * comes and goes while the source's guest runs, and nothing of it may be left in the stream.
 * Everything else is as in device.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#define BACKEND "user,id=net0"

static const char *const network[] = {"-netdev", BACKEND, NULL};

/* Adds the network, sees the guest go on, and removes it. */
static bool add_and_remove(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return godwit_device_assign(source, destination, error) &&
           godwit_vm_command(source, "netdev_add",
                             json_pack("{s:s, s:s}", "type", "user", "id", "net0"), error) &&
           godwit_course_see_it_run(source, error) &&
           godwit_vm_command(source, "netdev_del", json_pack("{s:s}", "id", "net0"), error) &&
           godwit_course_see_it_run(source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_spec spec = scenario->spec;
    struct godwit_recipe recipe = {.machine = (char **)(uintptr_t)network};
    g_auto(GStrv) with = godwit_plug_arguments(&recipe, false);
    g_auto(GStrv) without = godwit_plug_arguments(NULL, false);
    const bool stays = spec.configure == godwit_device_assign;
    const char *const *arguments = (const char *const *)(stays ? with : without);
    if (!godwit_plug_try(testbed, GODWIT_VM_SOURCE, with, BACKEND, error) ||
        !godwit_plug_try(testbed, GODWIT_VM_DESTINATION_PAUSED, with, BACKEND, error))
        return false;
    godwit_device_spec(testbed, &spec, arguments, arguments);
    return godwit_course_run(testbed, &spec, error);
}

GODWIT_SCENARIOS(netdev) = {
    {
        .name = "netdev/user",
        .summary = "QEMU's own network: its state is compared",
        .run = run,
        GODWIT_DEVICE_ROW(godwit_device_assign),
    },
    {
        .name = "netdev/user/removed",
        .summary = "QEMU's own network, added and removed while the guest runs",
        .slow = true,
        .run = run,
        GODWIT_DEVICE_ROW(add_and_remove),
    },
};
GODWIT_SCENARIOS_END(netdev);
