/*
 * How QEMU starts the guest of riscv64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "riscv64_bios.h"

static const struct godwit_image bios = GODWIT_IMAGE(
    "riscv64_bios", GODWIT_LOAD_BIOS, godwit_riscv64_bios, GODWIT_RISCV64_BIOS, GODWIT_MAX_CPUS, 8);

GODWIT_MACHINE(riscv64) = {
    .arch = "riscv64",
    .package = "qemu-system-misc", /* from Debian 13 on qemu-system-riscv */
    .types = (const char *const[]){"virt", NULL},
    .images = (const struct godwit_image *const[]){&bios, NULL},
    .cpu = NULL,
    .machine_options = NULL,
    .machine_options_tcg = NULL,
    .arguments = NULL,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .ram_base = GODWIT_RISCV64_BIOS_RAM_BASE_ADDR,
    .big_endian = GODWIT_RISCV64_BIOS_BIG_ENDIAN,
    .can_suspend = false,
    .native_on_x86 = false,
    .timer_hz = 10000000, /* the time register, whatever the host */
    .position_label = "x25/s9",
};
