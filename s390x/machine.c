/*
 * How QEMU starts the guest of s390x.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "s390x_bios.h"
#include "selector.h"

static const struct godwit_image bios =
    GODWIT_IMAGE("s390x_bios", GODWIT_LOAD_BIOS, godwit_s390x_bios, GODWIT_S390X_BIOS,
                 GODWIT_MAX_CPUS, 8, GODWIT_S390X_BIOS_IDENTITY_ADDR);

static void identity_text(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    static const struct {
        uint32_t opcode;
        const char *name;
    } crypto[] = {{ARCH_KM, "KM"},
                  {ARCH_KMC, "KMC"},
                  {ARCH_KIMD, "KIMD"},
                  {ARCH_KLMD, "KLMD"},
                  {ARCH_KMAC, "KMAC"}};
    const uint32_t kind = (selector >> 32) & 255, which = (selector >> 16) & 0xffff;
    const uint32_t number = selector & 0xffff;
    if (kind == ARCH_CPU_ID)
        g_string_append(text, "STIDP");
    else if (kind == ARCH_FACILITY)
        g_string_append_printf(text, "STFLE doubleword %u", number);
    else if (kind == ARCH_SYSTEM)
        g_string_append_printf(text, "STSI %u.%u.%u byte %u", which >> 12, (which >> 8) & 15,
                               which & 255, 8 * number);
    else
        for (size_t i = 0; i < G_N_ELEMENTS(crypto); i++)
            if (crypto[i].opcode == which)
                g_string_append_printf(text, "%s functions, doubleword %u", crypto[i].name, number);
    g_string_append_printf(text, ": 0x%" PRIx64 " -> 0x%" PRIx64, before, after);
}

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
    .identity_text = identity_text,
    .position_label = "R07=",
};
