/* SPDX-License-Identifier: MIT */
#include "vm/accel.h"

#include "vm/host.h"
#include "vm/vm.h"

/* Few enough to be quick, enough for the start not to be all that is measured. */
#define PASSES 12

/* How long the guest takes to make PASSES passes under ACCEL, in ms, giving up after LIMIT_MS. */
static bool measure(const struct godwit_setup *setup, const char *accel, const char *directory,
                    bool *interrupted, double limit_ms, double *ms, GError **error)
{
    struct godwit_setup one = *setup;
    one.accel = accel;
    one.workload.passes_per_report = 1;
    struct godwit_rig *rig = godwit_rig_new(&one, directory);
    rig->interrupted = interrupted;
    const gint64 began = g_get_monotonic_time();
    if (limit_ms > 0)
        rig->deadline = began + (gint64)(limit_ms * 1000);
    struct godwit_vm *vm = godwit_rig_set_apart(rig, error)
                               ? godwit_vm_start(rig, accel, GODWIT_VM_SOURCE, NULL, error)
                               : NULL;
    const bool made = vm && godwit_vm_handshake(vm, error) && godwit_vm_run(vm, error) &&
                      godwit_vm_wait_console(vm, 1, PASSES, error);
    *ms = (double)(g_get_monotonic_time() - began) / 1000.0;
    godwit_rig_free(rig);
    return made;
}

const char *godwit_accel_choose(const struct godwit_setup *setup, const char *directory,
                                bool *interrupted, char **reason, GError **error)
{
    if (!setup->machine->native_on_x86 || !godwit_host_kvm()) {
        *reason =
            g_strdup(setup->machine->native_on_x86 ? "KVM cannot be had here"
                                                   : "no KVM for this architecture on this host");
        return "tcg";
    }
    double tcg = 0, kvm = 0;
    if (!measure(setup, "tcg", directory, interrupted, 0, &tcg, error))
        return NULL;
    g_autoptr(GError) cause = NULL;
    if (measure(setup, "kvm", directory, interrupted, tcg, &kvm, &cause)) {
        *reason = g_strdup_printf("%d passes took %.0f ms under KVM, %.0f ms under TCG", PASSES,
                                  kvm, tcg);
        return "kvm";
    }
    if (cause->code == GODWIT_ERROR_INTERRUPTED) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    *reason = g_strdup_printf("%d passes took %.0f ms under TCG, and KVM had not made them by then",
                              PASSES, tcg);
    return "tcg";
}
