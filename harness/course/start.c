/*
 * The start of a course: starts sources and destinations, alone or together.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course_parts.h"

#include "memory/memory.h"
#include "qemu/host.h"
#include <string.h>

bool godwit_course_enable_postcopy(struct godwit_vm *vm, GError **error)
{
    static const struct godwit_capability postcopy[] = {{"postcopy-ram", true}, {NULL, false}};
    g_autoptr(GError) cause = NULL;
    if (godwit_migrate_set_capabilities(vm, postcopy, &cause))
        return true;
    const char *lacks = cause->code == GODWIT_ERROR_QMP ? godwit_host_lacks_userfaultfd() : NULL;
    if (lacks)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs userfaultfd: %s", lacks);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

struct godwit_vm *godwit_course_ahead(struct godwit_testbed *testbed, const char *name, bool paused,
                                      GError **error)
{
    return godwit_vm_start(
        testbed, name, paused ? GODWIT_VM_DESTINATION_PAUSED : GODWIT_VM_DESTINATION, NULL, error);
}

struct godwit_vm *godwit_course_destination(struct godwit_testbed *testbed, const char *name,
                                            bool paused, GError **error)
{
    struct godwit_vm *vm = godwit_course_ahead(testbed, name, paused, error);
    return vm && godwit_vm_handshake(vm, error) ? vm : NULL;
}

bool godwit_course_both(struct godwit_testbed *testbed, const char *name, bool paused,
                        struct godwit_vm **source, struct godwit_vm **destination, GError **error)
{
    *destination = godwit_course_ahead(testbed, name, paused, error);
    *source = *destination ? godwit_course_source(testbed, error) : NULL;
    return *source && godwit_vm_handshake(*destination, error);
}

bool godwit_course_see_first_pass(struct godwit_vm *source, GError **error)
{
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_TO_A);
    if (!godwit_vm_wait_console(source, 1, 0, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_TO_B);
    if (!godwit_vm_wait_console(source, 1, 1, error))
        return false;
    godwit_memory_mark(source);
    return true;
}

struct godwit_vm *godwit_course_source_with(struct godwit_testbed *testbed,
                                            const char *const *arguments, GError **error)
{
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    struct godwit_vm *source =
        godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, arguments, error);
    return source && godwit_vm_handshake(source, error) && godwit_vm_run(source, error) &&
                   godwit_course_see_first_pass(source, error)
               ? source
               : NULL;
}

struct godwit_vm *godwit_course_source(struct godwit_testbed *testbed, GError **error)
{
    return godwit_course_source_with(testbed, NULL, error);
}
