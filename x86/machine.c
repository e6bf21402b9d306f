/*
 * x86: the same two images for both targets. Preferred is the ROM, which needs no BIOS and so
 * starts faster; the boot sector has the machine's real BIOS run before it and through a suspend.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "selector.h"
#include "x86_bootsect.h"
#include "x86_rom.h"

static const struct godwit_image rom =
    GODWIT_IMAGE("x86_rom", GODWIT_LOAD_BIOS, godwit_x86_rom, GODWIT_X86_ROM, GODWIT_MAX_CPUS, 4,
                 GODWIT_X86_ROM_IDENTITY_ADDR, .beyond_gap = true);

/* Both machines have one between their low RAM and 4 GiB. The guest has itself at the end of each
 * 4 GiB: x86/rom.asm. */
#define GAP(model)                                                                                 \
    {                                                                                              \
        .end = UINT64_C(1) << 32, .low_mib = 16, .option = "max-ram-below-4g", .room = 0xfe000000, \
        .bits = "phys-bits", .cpu = model                                                          \
    }

static const struct godwit_image bootsect = GODWIT_IMAGE(
    "x86_bootsect", GODWIT_LOAD_DISK, godwit_x86_bootsect, GODWIT_X86_BOOTSECT, 1, 0, 0);

static void identity_text(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    static const char *const names[2][2] = {{"EAX", "EBX"}, {"ECX", "EDX"}};
    const unsigned second = selector & ARCH_SECOND ? 1 : 0;
    const unsigned subleaf = (unsigned)(selector >> ARCH_SUBLEAF_SHIFT) & ARCH_SUBLEAF_MASK;
    const char *separator = "";
    for (unsigned half = 0; half < 2; half++) {
        const uint32_t was = (uint32_t)(before >> 32 * half), is = (uint32_t)(after >> 32 * half);
        if (was == is)
            continue;
        g_string_append_printf(text, "%sCPUID 0x%" PRIx32 ".%u %s: 0x%08" PRIx32 " -> 0x%08" PRIx32,
                               separator, (uint32_t)selector, subleaf, names[second][half], was,
                               is);
        separator = ", ";
    }
}

static const char *const types[] = {"q35", "pc", NULL};

/* A q35 and a pc ask their guest by ACPI, unless they leave that to the slots of PCI Express. */
static const char *const unplug_arguments[] = {
    "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", "-global",
    "PIIX4_PM.acpi-pci-hotplug-with-bridge-support=off", NULL};
static const struct godwit_image *const images[] = {&rom, &bootsect, NULL};

GODWIT_MACHINE(x86_64) = {
    .arch = "x86_64",
    .package = "qemu-system-x86",
    .types = types,
    .images = images,
    .unplug_arguments = unplug_arguments,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .reach = 1ull << 31, /* with more RAM than that, some of it is above 4 GiB */
    .gap = GAP(NULL),
    .ram_base = GODWIT_X86_ROM_RAM_BASE_ADDR,
    .can_suspend = true,
    .native_on_x86 = true,
    .position_label = "EDI=",
    .half_position = true,
    .identity_text = identity_text,
};

GODWIT_MACHINE(i386) = {
    .arch = "i386",
    .package = "qemu-system-x86",
    .types = types,
    .images = images,
    .unplug_arguments = unplug_arguments,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .reach = 1ull << 31,         /* with more RAM than that, some of it is above 4 GiB */
    .gap = GAP("qemu32,+pse36"), /* without that, before QEMU 8.0, 32 bits */
    .ram_base = GODWIT_X86_ROM_RAM_BASE_ADDR,
    .can_suspend = true,
    .native_on_x86 = true,
    .position_label = "EDI=",
    .half_position = true,
    .identity_text = identity_text,
};
