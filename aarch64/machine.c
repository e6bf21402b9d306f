/*
 * How QEMU starts the guest of aarch64.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include "aarch64_kernel.h"
#include "godwit/guest_abi.h"
#include "selector.h"

static const struct godwit_image kernel =
    GODWIT_IMAGE("aarch64_kernel", GODWIT_LOAD_KERNEL, godwit_aarch64_kernel, GODWIT_AARCH64_KERNEL,
                 GODWIT_MAX_CPUS, 8, GODWIT_AARCH64_KERNEL_IDENTITY_ADDR);

/* Names of the registers that the Arm architecture has assigned, by their encodings. */
static const struct {
    uint32_t encoding;
    const char *name;
} registers[] = {
    {ARCH_MIDR, "MIDR_EL1"},      {ARCH_MPIDR, "MPIDR_EL1"},    {ARCH_REVIDR, "REVIDR_EL1"},
    {ARCH_CLIDR, "CLIDR_EL1"},    {ARCH_AIDR, "AIDR_EL1"},      {ARCH_CTR, "CTR_EL0"},
    {ARCH_DCZID, "DCZID_EL0"},    {ARCH_CNTFRQ, "CNTFRQ_EL0"},  {0xc008, "ID_PFR0_EL1"},
    {0xc009, "ID_PFR1_EL1"},      {0xc00a, "ID_DFR0_EL1"},      {0xc00b, "ID_AFR0_EL1"},
    {0xc00c, "ID_MMFR0_EL1"},     {0xc00d, "ID_MMFR1_EL1"},     {0xc00e, "ID_MMFR2_EL1"},
    {0xc00f, "ID_MMFR3_EL1"},     {0xc010, "ID_ISAR0_EL1"},     {0xc011, "ID_ISAR1_EL1"},
    {0xc012, "ID_ISAR2_EL1"},     {0xc013, "ID_ISAR3_EL1"},     {0xc014, "ID_ISAR4_EL1"},
    {0xc015, "ID_ISAR5_EL1"},     {0xc016, "ID_MMFR4_EL1"},     {0xc017, "ID_ISAR6_EL1"},
    {0xc018, "MVFR0_EL1"},        {0xc019, "MVFR1_EL1"},        {0xc01a, "MVFR2_EL1"},
    {0xc01c, "ID_PFR2_EL1"},      {0xc01d, "ID_DFR1_EL1"},      {0xc01e, "ID_MMFR5_EL1"},
    {0xc020, "ID_AA64PFR0_EL1"},  {0xc021, "ID_AA64PFR1_EL1"},  {0xc022, "ID_AA64PFR2_EL1"},
    {0xc024, "ID_AA64ZFR0_EL1"},  {0xc025, "ID_AA64SMFR0_EL1"}, {0xc027, "ID_AA64FPFR0_EL1"},
    {0xc028, "ID_AA64DFR0_EL1"},  {0xc029, "ID_AA64DFR1_EL1"},  {0xc02a, "ID_AA64DFR2_EL1"},
    {0xc02c, "ID_AA64AFR0_EL1"},  {0xc02d, "ID_AA64AFR1_EL1"},  {0xc030, "ID_AA64ISAR0_EL1"},
    {0xc031, "ID_AA64ISAR1_EL1"}, {0xc032, "ID_AA64ISAR2_EL1"}, {0xc033, "ID_AA64ISAR3_EL1"},
    {0xc038, "ID_AA64MMFR0_EL1"}, {0xc039, "ID_AA64MMFR1_EL1"}, {0xc03a, "ID_AA64MMFR2_EL1"},
    {0xc03b, "ID_AA64MMFR3_EL1"}, {0xc03c, "ID_AA64MMFR4_EL1"},
};

static void identity_text(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    const uint32_t encoding = selector & 0xffff;
    const uint32_t csselr = (selector >> ARCH_CSSELR_SHIFT) & ARCH_CSSELR_MASK;
    const char *name = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(registers); i++)
        if (registers[i].encoding == encoding)
            name = registers[i].name;
    if (name)
        g_string_append(text, name);
    else if (encoding == ARCH_CCSIDR)
        g_string_append_printf(text, "CCSIDR_EL1 with CSSELR_EL1 0x%" PRIx32, csselr);
    else
        g_string_append_printf(text, "S%u_%u_C%u_C%u_%u", encoding >> 14, (encoding >> 11) & 7,
                               (encoding >> 7) & 15, (encoding >> 3) & 15, encoding & 7);
    g_string_append_printf(text, ": 0x%" PRIx64 " -> 0x%" PRIx64, before, after);
}

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
    .identity_text = identity_text,
    .position_label = "X28=",
};
