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
    if (!still->source)
        return false;
    /* A destination that has ended must not break off the source's first commands: whoever waits
     * for the destination finds out. */
    still->destination->may_exit = true;
    const bool answers = godwit_vm_handshake(still->source, error) &&
                         godwit_migrate_set_capabilities(still->source, NULL, error);
    still->destination->may_exit = false;
    return answers;
}

bool godwit_still_try_start(struct godwit_testbed *testbed, const char *const *source_arguments,
                            const char *const *destination_arguments, struct godwit_still *still,
                            GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_still_start(testbed, source_arguments, destination_arguments, still, &cause) ||
        (still->source && (!still->source->answers || still->destination->exited)))
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_still_source_answers(struct godwit_still *still, GError **error)
{
    /* A destination that has ended must not keep the source from answering. */
    still->destination->may_exit = true;
    const bool answers = still->source->answers || godwit_vm_handshake(still->source, error);
    still->destination->may_exit = false;
    return answers;
}

bool godwit_still_transfer(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    if (!godwit_state_save(source, error) || !godwit_course_settle(source, error) ||
        !godwit_loaded_load(source, destination, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_VERIFY);
    return true;
}

GPtrArray *godwit_still_reveal(struct godwit_still *still, struct godwit_reveal *reveal,
                               GError **error)
{
    return godwit_still_transfer(still->source, still->destination, error)
               ? godwit_loaded_reveal(still->source, still->destination, still->arguments, true,
                                      reveal, error)
               : NULL;
}

GPtrArray *godwit_still_migrate(struct godwit_still *still, GError **error)
{
    return godwit_still_reveal(still, NULL, error);
}

void godwit_still_drop(struct godwit_testbed *testbed, guint count)
{
    while (testbed->vms->len > count)
        g_ptr_array_remove_index(testbed->vms, testbed->vms->len - 1);
}
