/*
 * Trials: what a QEMU that refuses to start, or to be migrated, means for a scenario that asks
 * whether it does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/course.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* Returns whether the process was killed by a signal that it has caused itself. */
static bool has_crashed(const struct godwit_vm *vm)
{
    static const int own[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++)
        if (vm->exited && WIFSIGNALED(vm->wait_status) && WTERMSIG(vm->wait_status) == own[i])
            return true;
    return false;
}

bool godwit_course_try_start(struct godwit_vm *vm, const char *what, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_vm_handshake(vm, &cause))
        return true;
    if (vm->exited && WIFEXITED(vm->wait_status)) {
        g_autofree char *reason = godwit_vm_reason(vm);
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs more to start %s: %s", what, reason);
    }
    if (has_crashed(vm))
        cause->code = GODWIT_ERROR_CRASH;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

void godwit_course_refuses(const struct godwit_vm *vm, const char *what, GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    if (vm->source || !strcmp(setup->source->path, setup->destination->path) ||
        !g_error_matches(*error, GODWIT_ERROR, GODWIT_ERROR_SKIP))
        return;
    g_autofree char *reason = godwit_vm_reason(vm);
    g_clear_error(error);
    godwit_fail(error, GODWIT_ERROR_MIGRATION,
                "the destination does not start %s, and the source does: %s", what, reason);
}

bool godwit_course_try_destination(struct godwit_vm *vm, const char *what, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (godwit_course_try_start(vm, what, &cause))
        return true;
    godwit_course_refuses(vm, what, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_course_try_both(struct godwit_testbed *testbed, const char *what,
                            const char *const *here, const char *const *there,
                            enum godwit_vm_role role, struct godwit_vm **source,
                            struct godwit_vm **destination, GError **error)
{
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    *source = godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, here, error);
    /* Not beside the source: if both refuse to start, the destination's end may come first, and is
     * then not a reason to skip. */
    if (!*source || !godwit_course_try_start(*source, what, error))
        return false;
    *destination = godwit_vm_start(testbed, "destination", role, there, error);
    return *destination && godwit_course_try_destination(*destination, what, error) &&
           godwit_vm_run(*source, error) && godwit_course_see_first_pass(*source, error);
}

bool godwit_course_migrates(struct godwit_vm *vm, const char *what, GError **error)
{
    g_autoptr(json_t) migration = godwit_vm_execute(vm, "query-migrate", NULL, error);
    if (!migration)
        return false;
    const char *blocked =
        json_string_value(json_array_get(json_object_get(migration, "blocked-reasons"), 0));
    return !blocked ||
           godwit_fail(error, GODWIT_ERROR_SKIP, "needs a %s that migrates: %s", what, blocked);
}
