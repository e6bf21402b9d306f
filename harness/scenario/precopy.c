/*
 * Precopy: the guest runs on the source until all of its memory has been sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"
#include "scenario/scenario.h"

#include <string.h>

/* Migrates to an address where nobody is, and sees that the guest does not mind. */
static bool fail_to(struct godwit_vm *source, const char *uri, GError **error)
{
    const guint64 passes = source->console->passes;
    g_autoptr(GError) refusal = NULL;
    if (godwit_migrate_start(source, uri, false, &refusal)) {
        if (!godwit_migrate_wait(source, "failed", error))
            return false;
    } else if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    g_autofree char *status = godwit_vm_status(source, error);
    if (!status)
        return false;
    if (strcmp(status, "running") != 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the source is \"%s\" after a migration to %s failed; it should run on", status,
                    uri);
        return false;
    }
    return godwit_vm_wait_console(source, 1, passes + 1, error);
}

/* Dead addresses first; then the same source is moved to a good one. */
static bool bad_dest(struct godwit_rig *rig, const struct godwit_scenario *scenario, GError **error)
{
    static const char *const dead[] = {"unix:nobody.sock", "tcp:127.0.0.1:1"};
    static const struct godwit_capability none[] = {{NULL, false}};
    struct godwit_vm *source = godwit_plan_source(rig, error);
    if (!source || !godwit_migrate_set_capabilities(source, none, error))
        return false;
    godwit_rig_phase(rig, "fail");
    for (size_t i = 0; i < G_N_ELEMENTS(dead); i++)
        if (!fail_to(source, dead[i], error))
            return false;
    struct godwit_vm *destination = godwit_plan_destination(rig, "destination", true, error);
    return destination && godwit_plan_move(rig, &scenario->plan, source, destination, error);
}

GODWIT_SCENARIOS(precopy) = {
    {
        .name = "precopy/unix/plain",
        .summary = "live, over a unix socket",
        .qemu_name = "/migration/precopy/unix/plain",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX},
    },
    {
        .name = "precopy/tcp/plain",
        .summary = "live, over TCP, to a port that the destination tells",
        .qemu_name = "/migration/precopy/tcp/plain",
        .plan = {.transport = GODWIT_TRANSPORT_TCP},
    },
    {
        .name = "precopy/unix/suspend/live",
        .summary = "the guest sleeps (ACPI S3) while it is migrated, and is woken up afterwards",
        .qemu_name = "/migration/precopy/unix/suspend/live",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX, .suspend = true},
        .flags = GODWIT_FLAG_SUSPEND,
    },
    {
        .name = "precopy/unix/suspend/notlive",
        .summary = "the same with the source stopped first",
        .qemu_name = "/migration/precopy/unix/suspend/notlive",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX, .suspend = true, .stopped = true},
        .flags = GODWIT_FLAG_SUSPEND,
    },
    {
        .name = "precopy/bad-dest",
        .summary = "to addresses where nobody is: the source runs on, and can then be migrated",
        .qemu_name = "/migration/bad_dest",
        .run = bad_dest,
        .plan = {.transport = GODWIT_TRANSPORT_UNIX},
    },
};
GODWIT_SCENARIOS_END(precopy);
