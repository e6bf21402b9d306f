/*
 * How QEMU starts the guest of ppc64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "ppc64_bios.h"
#include "selector.h"

static const struct godwit_image bios =
    GODWIT_IMAGE("ppc64_bios", GODWIT_LOAD_BIOS, godwit_ppc64_bios, GODWIT_PPC64_BIOS,
                 GODWIT_MAX_CPUS, 8, GODWIT_PPC64_BIOS_IDENTITY_ADDR);

static void identity_text(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    static const char *const results[] = {"r3", "r4", "r5"};
    if (selector & ARCH_HYPERCALL)
        g_string_append_printf(text, "H_GET_CPU_CHARACTERISTICS %s",
                               results[(selector & ARCH_RESULT_MASK) / ARCH_RESULT]);
    else
        g_string_append(text, "PVR");
    g_string_append_printf(text, ": 0x%" PRIx64 " -> 0x%" PRIx64, before, after);
}

GODWIT_MACHINE(ppc64) = {
    .arch = "ppc64",
    .package = "qemu-system-ppc",
    .types = (const char *const[]){"pseries", NULL},
    .images = (const struct godwit_image *const[]){&bios, NULL},
    .cpu = NULL,
    .machine_options = NULL,
    /* TCG has none of these defences against speculation and warns about each one left on. */
    .machine_options_tcg = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
    .arguments = NULL,
    .memory_mib = 256,
    .memory_least_mib = 256, /* the machine takes it by this much only */
    .ram_base = GODWIT_PPC64_BIOS_RAM_BASE_ADDR,
    .big_endian = GODWIT_PPC64_BIOS_BIG_ENDIAN,
    .can_suspend = false,
    .native_on_x86 = false,
    .timer_hz = 512000000, /* the time base, whatever the host */
    .identity_text = identity_text,
    .position_label = "GPR20",
    .position_index = 2,
};
