/*
 * Precopy through file descriptors that QEMU is passed, and through commands that QEMU starts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <string.h>

/* Checks that the migration has taken the descriptor: `closefd` must not find it by its name any
 * more. */
static bool judge_closed(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_vm *const both[] = {source, destination};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        g_autoptr(GError) refusal = NULL;
        if (godwit_vm_command(both[i], "closefd", json_pack("{s:s}", "fdname", "migrate"),
                              &refusal))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s still had the descriptor \"migrate\" after the migration",
                               both[i]->name);
        if (refusal->code != GODWIT_ERROR_QMP || !strstr(refusal->message, "not found")) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return false;
        }
    }
    return true;
}

GODWIT_SCENARIOS(descriptors) = {
    {
        .name = "precopy/fd/socket",
        .summary = "live, by fd: through a socket pair",
        .qemu_name = "/migration/precopy/fd/tcp",
        .spec = {.transport = GODWIT_TRANSPORT_FD, .judge = judge_closed},
    },
    {
        .name = "precopy/fd/file",
        .summary = "source stopped, by fd: through a file",
        .qemu_name = "/migration/precopy/fd/file",
        .spec = {.transport = GODWIT_TRANSPORT_FD_FILE,
                 .move = GODWIT_MOVE_STOPPED,
                 .judge = judge_closed},
    },
    {
        .name = "precopy/exec",
        .summary = "live, by exec: to a command that writes a file, and from one that reads it",
        .spec = {.transport = GODWIT_TRANSPORT_EXEC},
    },
};
GODWIT_SCENARIOS_END(descriptors);
