/*
 * How QEMU starts the guest of riscv64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "godwit/guest_abi.h"
#include "riscv64_bios.h"
#include "selector.h"

static const struct godwit_image bios =
    GODWIT_IMAGE("riscv64_bios", GODWIT_LOAD_BIOS, godwit_riscv64_bios, GODWIT_RISCV64_BIOS,
                 GODWIT_MAX_CPUS, 8, GODWIT_RISCV64_BIOS_IDENTITY_ADDR);

static void identity_text(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    static const struct {
        uint64_t selector;
        const char *name;
    } registers[] = {{ARCH_MISA, "misa"},
                     {ARCH_VLENB, "vlenb"},
                     {ARCH_MVENDORID, "mvendorid"},
                     {ARCH_MARCHID, "marchid"},
                     {ARCH_MIMPID, "mimpid"},
                     {ARCH_MHARTID, "mhartid"},
                     {ARCH_MCONFIGPTR, "mconfigptr"},
#define TRIAL(number, name, code) {ARCH_TRIAL | (number), name},
                     ARCH_TRIALS(TRIAL)
#undef TRIAL
    };
    for (size_t i = 0; i < G_N_ELEMENTS(registers); i++)
        if (selector == (ARCH_SELECTOR | registers[i].selector))
            g_string_append(text, registers[i].name);
    const uint64_t both[] = {before, after};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        g_string_append(text, i ? " -> " : ": ");
        if (both[i] == ARCH_MISSING)
            g_string_append(text, "missing");
        else
            g_string_append_printf(text, "0x%" PRIx64, both[i]);
    }
}

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
    .identity_text = identity_text,
    .position_label = "x25/s9",
};
