/*
 * Asks a QEMU whether its CPU reaches the guest's window. QEMU may have RAM behind a gap although
 * the CPU's addresses have too few bits for it; the guest would then be reset over and over.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

#include "guest/image.h"
#include <inttypes.h>

/* Returns how many bits the physical addresses of the VM's first CPU have, or 0 with ERROR set. */
static unsigned ask_bits(struct godwit_vm *vm, const char *property, GError **error)
{
    g_autoptr(json_t) cpus = godwit_vm_execute(vm, "query-cpus-fast", NULL, error);
    if (!cpus)
        return 0;
    const char *path = godwit_json_string(json_array_get(cpus, 0), "qom-path", "");
    g_autoptr(json_t) bits = godwit_vm_execute(
        vm, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", property), error);
    if (!bits)
        return 0;
    if (json_integer_value(bits) > 0 && json_integer_value(bits) < 64)
        return (unsigned)json_integer_value(bits);
    g_autofree char *text = json_dumps(bits, JSON_ENCODE_ANY);
    godwit_fail(error, GODWIT_ERROR_QMP, "%s: %s of its CPU is %s, expected 1 to 63", vm->name,
                property, text);
    return 0;
}

bool godwit_vm_reaches_window(struct godwit_vm *vm, GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    const uint64_t end = setup->workload.window_end;
    if (setup->theirs || !godwit_workload_is_beyond_gap(&setup->workload, setup->machine))
        return true;
    const unsigned bits = ask_bits(vm, setup->machine->gap.bits, error);
    if (!bits)
        return false;
    return end <= UINT64_C(1) << bits ||
           godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs a CPU that reaches a window up to 0x%" PRIx64
                       ": the physical addresses of this one have %u bits",
                       end, bits);
}
