/*
 * Starts, migrates and compares a machine that never runs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/still.h"

#include "course/course.h"
#include "oracle/state.h"

bool godwit_still_start(struct godwit_testbed *testbed, const char *const *source_arguments,
                        const char *const *destination_arguments, struct godwit_still *still,
                        GError **error)
{
    /* The destination starts beside the source. */
    still->arguments = destination_arguments;
    still->destination = godwit_vm_start(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED,
                                         destination_arguments, error);
    still->source = still->destination ? godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE,
                                                         source_arguments, error)
                                       : NULL;
    return still->source && godwit_vm_handshake(still->source, error) &&
           godwit_migrate_set_capabilities(still->source, NULL, error);
}

GPtrArray *godwit_still_migrate(struct godwit_still *still, GError **error)
{
    struct godwit_vm *source = still->source, *destination = still->destination;
    struct godwit_testbed *testbed = source->testbed;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    if (!godwit_state_save(source, error) || !godwit_course_settle(source, error) ||
        (!destination->answers && !godwit_vm_handshake(destination, error)) ||
        !godwit_migrate_set_capabilities(destination, NULL, error))
        return NULL;
    g_autofree char *from = godwit_migrate_listen(
        source, destination, godwit_state_transport(destination->qemu), false, error);
    if (!from || !godwit_migrate_wait(destination, "completed", error))
        return NULL;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    return godwit_loaded_compare(source, destination, still->arguments, true, error);
}

void godwit_still_drop(struct godwit_testbed *testbed, guint count)
{
    while (testbed->vms->len > count)
        g_ptr_array_remove_index(testbed->vms, testbed->vms->len - 1);
}
