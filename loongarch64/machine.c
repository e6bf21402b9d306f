/*
 * How QEMU starts the guest of loongarch64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "loongarch64_bios.h"
#include "selector.h"

static const struct godwit_image bios = GODWIT_IMAGE(
    "loongarch64_bios", GODWIT_LOAD_BIOS, godwit_loongarch64_bios, GODWIT_LOONGARCH64_BIOS,
    GODWIT_MAX_CPUS, 8, GODWIT_LOONGARCH64_BIOS_IDENTITY_ADDR);

static void identity_text(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    static const struct {
        uint64_t selector;
        const char *name;
    } registers[] = {{ARCH_CSR | ARCH_CSR_CPUID, "CSR.CPUID"},
                     {ARCH_CSR | ARCH_CSR_PRCFG1, "CSR.PRCFG1"},
                     {ARCH_CSR | ARCH_CSR_PRCFG2, "CSR.PRCFG2"},
                     {ARCH_CSR | ARCH_CSR_PRCFG3, "CSR.PRCFG3"},
                     {ARCH_IOCSR | ARCH_IOCSR_VERSION, "IOCSR version"},
                     {ARCH_IOCSR | ARCH_IOCSR_FEATURES, "IOCSR features"},
                     {ARCH_IOCSR | ARCH_IOCSR_VENDOR, "IOCSR vendor"},
                     {ARCH_IOCSR | ARCH_IOCSR_NAME, "IOCSR CPU name"}};
    if ((selector & ARCH_KIND) == ARCH_CPUCFG)
        g_string_append_printf(text, "CPUCFG.0x%" PRIx64, selector & ARCH_NUMBER);
    for (size_t i = 0; i < G_N_ELEMENTS(registers); i++)
        if (selector == (ARCH_SELECTOR | registers[i].selector))
            g_string_append(text, registers[i].name);
    g_string_append_printf(text, ": 0x%" PRIx64 " -> 0x%" PRIx64, before, after);
}

GODWIT_MACHINE(loongarch64) = {
    .arch = "loongarch64",
    .package = "qemu-system-misc",
    .types = (const char *const[]){"virt", NULL},
    .images = (const struct godwit_image *const[]){&bios, NULL},
    .cpu = NULL,
    .machine_options = NULL,
    .machine_options_tcg = NULL,
    .arguments = NULL,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .reach = 0x10000000, /* the gap of RAM */
    .ram_base = GODWIT_LOONGARCH64_BIOS_RAM_BASE_ADDR,
    .big_endian = GODWIT_LOONGARCH64_BIOS_BIG_ENDIAN,
    .can_suspend = false,
    .native_on_x86 = false,
    .timer_hz = 100000000, /* the stable counter, whatever the host */
    .identity_text = identity_text,
    .position_label = "r19",
};
