/*
 * x86: the same two images for both targets. Preferred is the ROM, which needs no BIOS and so
 * starts faster; the boot sector has the machine's real BIOS run before it and through a suspend.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "x86_bootsect.h"
#include "x86_rom.h"

static const struct godwit_image rom =
    GODWIT_IMAGE("x86_rom", GODWIT_LOAD_BIOS, godwit_x86_rom, GODWIT_X86_ROM, GODWIT_MAX_CPUS, 4);

static const struct godwit_image bootsect =
    GODWIT_IMAGE("x86_bootsect", GODWIT_LOAD_DISK, godwit_x86_bootsect, GODWIT_X86_BOOTSECT, 1, 0);

static const char *const types[] = {"q35", "pc", NULL};
static const struct godwit_image *const images[] = {&rom, &bootsect, NULL};

GODWIT_MACHINE(x86_64) = {
    .arch = "x86_64",
    .package = "qemu-system-x86",
    .types = types,
    .images = images,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .reach = 1ull << 31, /* with more RAM than that, some of it is above 4 GiB, out of reach */
    .ram_base = GODWIT_X86_ROM_RAM_BASE_ADDR,
    .can_suspend = true,
    .native_on_x86 = true,
    .position_label = "EBX=",
};

GODWIT_MACHINE(i386) = {
    .arch = "i386",
    .package = "qemu-system-x86",
    .types = types,
    .images = images,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .reach = 1ull << 31, /* with more RAM than that, some of it is above 4 GiB, out of reach */
    .ram_base = GODWIT_X86_ROM_RAM_BASE_ADDR,
    .can_suspend = true,
    .native_on_x86 = true,
    .position_label = "EBX=",
};
