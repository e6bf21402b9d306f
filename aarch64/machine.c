/*
 * How QEMU starts the guest of aarch64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "aarch64_kernel.h"
#include "godwit/guest_abi.h"

static const struct godwit_image kernel =
    GODWIT_IMAGE("aarch64_kernel", GODWIT_LOAD_KERNEL, godwit_aarch64_kernel, GODWIT_AARCH64_KERNEL,
                 GODWIT_MAX_CPUS, 8);

GODWIT_MACHINE(aarch64) = {
    .arch = "aarch64",
    .package = "qemu-system-arm",
    .types = (const char *const[]){"virt", NULL},
    .images = (const struct godwit_image *const[]){&kernel, NULL},
    .cpu = "max", /* the machine's own default is a 32-bit one */
    /* Left to itself, QEMU takes what suits the accelerator, which need not be the same twice. */
    .machine_options = "gic-version=3",
    .machine_options_tcg = NULL,
    .arguments = NULL,
    .memory_mib = 150,
    .memory_least_mib = 8,
    .ram_base = GODWIT_AARCH64_KERNEL_RAM_BASE_ADDR,
    .big_endian = GODWIT_AARCH64_KERNEL_BIG_ENDIAN,
    .can_suspend = false,
    .native_on_x86 = false,
    .timer_hz = 1000000000, /* the guest makes nanoseconds of whatever its counter counts */
    .position_label = "X28=",
};
