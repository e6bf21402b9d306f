/*
 * How QEMU starts the guest of s390x.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "s390x_bios.h"

static const struct godwit_image bios = GODWIT_IMAGE(
    "s390x_bios", GODWIT_LOAD_BIOS, godwit_s390x_bios, GODWIT_S390X_BIOS, GODWIT_MAX_CPUS, 8);

GODWIT_MACHINE(s390x) = {
    .arch = "s390x",
    .package = "qemu-system-misc", /* from Debian 13 on qemu-system-s390x */
    .types = (const char *const[]){"s390-ccw-virtio", NULL},
    .images = (const struct godwit_image *const[]){&bios, NULL},
    .cpu = NULL,
    .machine_options = NULL,
    .machine_options_tcg = NULL,
    .arguments = NULL,
    .memory_mib = 128,
    .memory_least_mib = 8,
    .tail = 3 << 20, /* QEMU loads the image there: at its beginning, before 10.0 1 MiB behind */
    .ram_base = GODWIT_S390X_BIOS_RAM_BASE_ADDR,
    .big_endian = GODWIT_S390X_BIOS_BIG_ENDIAN,
    .can_suspend = false,
    .native_on_x86 = false,
    .timer_hz = 4096000000, /* the TOD clock: bit 51 is a microsecond */
    .position_label = "R07=",
};
