/*
 * Chooses the accelerator: runs the guest under TCG and under KVM, and compares how long the first
 * passes take. KVM gets no longer than TCG took.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/accel.h"

#include "qemu/host.h"
#include "testbed/vm.h"

/* Few enough to be quick, and enough that the start does not dominate. */
#define PASSES 12

/* The result of one measurement. */
struct measurement {
    double ms;      /* time from the start of the process */
    guint64 passes; /* passes that the guest made in that time */
    bool late;      /* the time was up before PASSES, and nothing else went wrong */
};

/* Measures how long the guest takes for PASSES passes under ACCEL. Gives up after LIMIT_MS, or at
 * the default deadline if that is 0. Returns false with ERROR set unless the guest made them. */
static bool measure(const struct godwit_setup *setup, const char *accel, const char *directory,
                    bool *interrupted, double limit_ms, struct measurement *measured,
                    GError **error)
{
    struct godwit_setup one = *setup;
    one.accel = accel;
    one.workload.passes_per_report = 1;
    struct godwit_testbed *testbed = godwit_testbed_new(&one, directory);
    testbed->interrupted = interrupted;
    const gint64 began = g_get_monotonic_time();
    if (limit_ms > 0)
        testbed->deadline = began + (gint64)(limit_ms * 1000);
    g_autoptr(GError) cause = NULL;
    struct godwit_vm *vm = godwit_testbed_set_apart(testbed, &cause)
                               ? godwit_vm_start(testbed, accel, GODWIT_VM_SOURCE, NULL, &cause)
                               : NULL;
    const bool made = vm && godwit_vm_handshake(vm, &cause) && godwit_vm_run(vm, &cause) &&
                      godwit_vm_wait_console(vm, 1, PASSES, &cause);
    const gint64 now = g_get_monotonic_time();
    measured->ms = (double)(now - began) / 1000.0;
    measured->passes = vm && vm->console ? vm->console->passes : 0;
    measured->late = !made && vm && !vm->exited && now >= testbed->deadline &&
                     cause->code != GODWIT_ERROR_INTERRUPTED;
    if (!made) {
        /* A host that is so slow is unfit for any test. */
        if (measured->late)
            cause->code = GODWIT_ERROR_ENVIRONMENT;
        g_propagate_prefixed_error(error, g_steal_pointer(&cause),
                                   "measuring the accelerator %s: ", accel);
    }
    godwit_testbed_free(testbed);
    return made;
}

/* Returns why KVM is not chosen. The caller frees it. */
static char *explain(const struct measurement *kvm, const struct measurement *tcg,
                     const GError *cause)
{
    return kvm->late
               ? g_strdup_printf("KVM is slower: %d passes took %.0f ms under TCG; in that time "
                                 "the guest made %" G_GUINT64_FORMAT " under KVM",
                                 PASSES, tcg->ms, kvm->passes)
               : g_strdup_printf("QEMU failed under KVM: %s", cause->message);
}

/* Returns "kvm" if the guest runs under KVM, because QEMU, which may have been built without TCG,
 * failed under TCG for CAUSE. Fails with CAUSE if the guest does not run under KVM either, or if a
 * host that is too slow or an interruption was the cause. */
static const char *choose_without_tcg(const struct godwit_setup *setup, const char *directory,
                                      bool *interrupted, const struct measurement *tcg,
                                      const GError *cause, char **reason, GError **error)
{
    struct measurement kvm = {0};
    g_autoptr(GError) other = NULL;
    if (!tcg->late && cause->code != GODWIT_ERROR_INTERRUPTED &&
        measure(setup, "kvm", directory, interrupted, 0, &kvm, &other)) {
        *reason = g_strdup_printf("QEMU failed under TCG: %s", cause->message);
        return "kvm";
    }
    const bool stopped = other && other->code == GODWIT_ERROR_INTERRUPTED;
    g_propagate_error(error, g_error_copy(stopped ? other : cause));
    return NULL;
}

const char *godwit_accel_choose(const struct godwit_setup *setup, const char *directory,
                                bool *interrupted, char **reason, GError **error)
{
    char *lacks = setup->machine->native_on_x86
                      ? godwit_host_lacks_kvm()
                      : g_strdup("no KVM for this architecture on this host");
    if (lacks) {
        *reason = lacks;
        return "tcg";
    }
    struct measurement tcg = {0}, kvm = {0};
    g_autoptr(GError) cause = NULL;
    if (!measure(setup, "tcg", directory, interrupted, 0, &tcg, &cause))
        return choose_without_tcg(setup, directory, interrupted, &tcg, cause, reason, error);
    if (measure(setup, "kvm", directory, interrupted, tcg.ms, &kvm, &cause)) {
        *reason = g_strdup_printf("%d passes took %.0f ms under KVM, %.0f ms under TCG", PASSES,
                                  kvm.ms, tcg.ms);
        return "kvm";
    }
    if (cause->code == GODWIT_ERROR_INTERRUPTED) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    *reason = explain(&kvm, &tcg, cause);
    return "tcg";
}
