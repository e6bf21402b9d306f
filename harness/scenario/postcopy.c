/*
 * Postcopy: the guest runs on the destination while memory is still on its way.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"
#include "vm/host.h"

/* Has the destination account for the time that its guest waits for memory, where it can. */
static bool ask_for_blocktime(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    static const struct godwit_capability blocktime[] = {{"postcopy-blocktime", true},
                                                         {NULL, false}};
    (void)source;
    return !godwit_qemu_has(destination->qemu, "capability", blocktime->name) ||
           godwit_migrate_set_capabilities(destination, blocktime, error);
}

/* That it has done so, for all and for each CPU. The kernel has to tell it which thread waits. */
static bool judge_blocktime(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!godwit_qemu_has(destination->qemu, "capability", "postcopy-blocktime") ||
        !godwit_host_userfaultfd_threads())
        return true;
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info)
        return false;
    json_t *all = json_object_get(info, "postcopy-blocktime");
    json_t *each = json_object_get(info, "postcopy-vcpu-blocktime");
    if (json_is_integer(all) && json_array_size(each) > 0) {
        json_object_set_new(source->rig->facts, "blocktime",
                            json_pack("{s:O, s:O}", "all", all, "each", each));
        return true;
    }
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s has the capability postcopy-blocktime on, and a kernel that allows it, but "
                "its query-migrate has no %s",
                destination->name,
                json_is_integer(all) ? "postcopy-vcpu-blocktime" : "postcopy-blocktime");
    return false;
}

GODWIT_SCENARIOS(postcopy) = {
    {
        .name = "postcopy/plain",
        .summary = "live, switched to postcopy when memory is proven dirty again",
        .qemu_name = "/migration/postcopy/plain",
        .plan = {.transport = GODWIT_TRANSPORT_UNIX,
                 .postcopy = true,
                 .configure = ask_for_blocktime,
                 .judge = judge_blocktime},
    },
};
GODWIT_SCENARIOS_END(postcopy);
