/*
 * Known bugs of devices: QEMU dies when it plugs them, or when it saves or loads their state.
 *
 * Each is recognised by the device that was plugged (the symptom's text), the side that has died,
 * its signal and, if it was an assertion, the assertion. docs/known-bugs/device.py shows each
 * without Godwit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <signal.h>
#include <string.h>

/* Returns whether VM was killed by the signal, and printed TEXT in its last words unless that is
 * NULL. Sets *SEEN to how it ended. */
static bool was_killed(const struct godwit_vm *vm, int number, const char *text, char **seen)
{
    if (!godwit_bug_was_killed(vm, number))
        return false;
    g_autofree char *said = godwit_vm_reason(vm);
    if (text && !strstr(said, text))
        return false;
    g_autofree char *end = godwit_vm_end(vm);
    *seen = g_strdup_printf("the %s's QEMU %s", vm->name, end);
    return true;
}

/* QEMU saves an array of pointers of which it has none. Every device of this bus needs the bridge.
 */
static bool is_vmbus(const struct godwit_symptom *symptom, char **seen)
{
    return (!strcmp(symptom->text, "vmbus-bridge") || g_str_has_prefix(symptom->text, "hv-")) &&
           was_killed(symptom->source, SIGABRT,
                      "Assertion `first_elem || !n_elems || !size' failed.", seen);
}

/* The debugger's transport asks the bridge for an interrupt controller that this CPU lacks. */
static bool is_syndbg(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "hv-syndbg") &&
           was_killed(symptom->vm, SIGSEGV,
                      "-device vmbus-bridge: VMBus requires usable Hyper-V SynIC and VP_INDEX",
                      seen);
}

/* The chip brings CPUs, and TCG has no room for more than the machine was started with. */
static bool is_k230(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "riscv.k230.soc") &&
           was_killed(symptom->vm, SIGABRT,
                      "tcg_register_thread: assertion failed: (n < tcg_max_ctxs)", seen);
}

/* The unit of a chip that is plugged without one. */
static bool is_pnv_nmmu(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "pnv-nmmu") &&
           was_killed(symptom->vm, SIGABRT, "Assertion `nmmu->chip' failed.", seen);
}

/* The destination powers up the card, which its state says is powered up. The board sifive_u has
 * such a card. */
static bool is_spi_card(const struct godwit_symptom *symptom, char **seen)
{
    return (!strcmp(symptom->text, "sd-card-spi") ||
            (symptom->destination && godwit_vm_has_argument(symptom->destination, "sifive_u"))) &&
           was_killed(symptom->destination, SIGABRT,
                      "Assertion `!FIELD_EX32(sd->ocr, OCR, CARD_POWER_UP)' failed.", seen);
}

static bool is_serial(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "pci-serial-2x") &&
           was_killed(symptom->source, SIGSEGV, NULL, seen);
}

static bool is_isa_vga(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "isa-vga") &&
           was_killed(symptom->destination, SIGSEGV, NULL, seen);
}

/* Loading moves the alias of a bank of video memory, which this device does not have yet. */
static bool is_cirrus(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "isa-cirrus-vga") &&
           was_killed(symptom->destination, SIGABRT, "Assertion `mr->alias' failed.", seen);
}

static bool is_namespace(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "nvme-ns") && was_killed(symptom->source, SIGSEGV, NULL, seen);
}

/* References to the device remain, so that nothing of it is freed. */
static bool is_unfreed(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const names[] = {"bochs-display",  "ich9-intel-hda", "intel-hda",
                                        "cxl-downstream", "cxl-upstream",   "macio-oldworld",
                                        "macio-newworld", "sungem",         NULL};
    (void)seen;
    return g_strv_contains(names, symptom->text);
}

static bool is_unfreed_always(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "i82801b11-bridge") || !strcmp(symptom->text, "qxl");
}

/* Several address spaces of a pseries share the memory that the device is in. The harness has asked
 * for it, to give the device its addresses. */
static bool is_leaked_view(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "tpci200");
}

static bool is_unplug_abort(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "macio-newworld") && was_killed(symptom->vm, SIGABRT, NULL, seen);
}

static bool is_unfreed_xhci(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "qemu-xhci") || !strcmp(symptom->text, "nec-usb-xhci");
}

/* The device is gone, and QEMU still sends a part of it. */
static bool is_left_over(const struct godwit_symptom *symptom, char **seen)
{
    const char *pattern = NULL;
    if (!strcmp(symptom->text, "dc390"))
        pattern = "(?:load of migration failed: [^:]+: )?Unknown (?:savevm )?section or instance "
                  "'\\S+/eeprom' 0\\..*";
    else if (!strcmp(symptom->text, "ivshmem-plain"))
        pattern = "Unknown ramblock \"\\S+/mem\", cannot accept migration";
    *seen = pattern ? godwit_bug_find_line(symptom->destination, pattern) : NULL;
    return *seen != NULL;
}

#define UNFREED                                                                                    \
    .id = "unplug-unfreed", .summary = "some devices are never freed once they are unplugged",     \
    .kind = GODWIT_SYMPTOM_UNFREED, .role = GODWIT_BUG_EITHER, .strikes = 1, .runs = 1

/* A QEMU of either side dies whenever it plugs the device. */
#define PLUGGED(NAME, SUMMARY, REFERENCE, MATCHES)                                                 \
    {                                                                                              \
        .id = NAME, .summary = SUMMARY, .reference = REFERENCE, .kind = GODWIT_SYMPTOM_PLUG,       \
        .role = GODWIT_BUG_EITHER, .effect = GODWIT_BUG_LOST, .strikes = 1, .runs = 1,             \
        .matches = MATCHES                                                                         \
    }

const struct godwit_bug godwit_bugs_devices[] = {
    {
        .id = "device-vmbus",
        .summary = "saving a machine with vmbus-bridge aborts QEMU",
        .reference = "not known to be fixed in any release",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_vmbus,
    },
    {
        .id = "device-sd-card-spi",
        .summary = "loading a machine with sd-card-spi, as sifive_u has it, aborts QEMU",
        .reference = "not known to be fixed in any release; 7.2 has the card only in sifive_u",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .role = GODWIT_BUG_DESTINATION,
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_spi_card,
    },
    {
        .id = "device-pci-serial",
        .summary = "saving a machine with pci-serial-2x crashes QEMU",
        .reference = "not known to be fixed in any release",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_serial,
    },
    {
        .id = "device-isa-vga",
        .summary = "loading a machine with isa-vga crashes QEMU",
        .reference = "in 10.0; neither in 7.2 nor in 11.1",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .role = GODWIT_BUG_DESTINATION,
        .since = {10, 0},
        .fixed = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_isa_vga,
    },
    {
        .id = "device-isa-cirrus-vga",
        .summary = "loading a machine with isa-cirrus-vga aborts QEMU",
        .reference = "in 7.2; not in 10.0",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_cirrus,
    },
    {
        .id = "device-nvme-ns",
        .summary = "saving a machine with an nvme that has an nvme-ns beside its own crashes QEMU",
        .reference = "in 11.1, the first release whose nvme can be migrated",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .since = {11, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_namespace,
    },
    {UNFREED, .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1", .fixed = {11, 1},
     .matches = is_unfreed},
    {UNFREED, .reference = "measured in QEMU 7.2, 10.0 and 11.1", .matches = is_unfreed_always},
    {UNFREED, .reference = "measured in QEMU 7.2, and not in 10.0", .fixed = {10, 0},
     .matches = is_unfreed_xhci},
    {
        .id = "mtree-leak",
        .summary = "info mtree -f keeps what several address spaces share, with its devices",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_UNFREED,
        .role = GODWIT_BUG_EITHER,
        .arch = "ppc64",
        .strikes = 1,
        .runs = 1,
        .matches = is_leaked_view,
    },
    {
        .id = "unplug-abort",
        .summary = "unplugging a macio-newworld aborts QEMU",
        .reference = "measured in QEMU 11.1; 7.2 and 10.0 never free it",
        .kind = GODWIT_SYMPTOM_UNPLUG_DIED,
        .role = GODWIT_BUG_EITHER,
        .since = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_unplug_abort,
    },
    {
        .id = "unplug-left-over",
        .summary = "a part of a device that was unplugged is still sent, and refused",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_left_over,
    },
    PLUGGED("device-hv-syndbg",
            "plugging hv-syndbg beside a vmbus-bridge without SynIC crashes QEMU",
            "not known to be fixed in any release", is_syndbg),
    PLUGGED("device-k230-soc", "plugging riscv.k230.soc aborts QEMU, because the chip brings CPUs",
            "measured in QEMU 11.1; 10.0 does not have this device", is_k230),
    PLUGGED("device-pnv-nmmu", "plugging pnv-nmmu aborts QEMU, because it has no chip",
            "measured in QEMU 11.1; 10.0 does not have this device", is_pnv_nmmu),
    {.id = NULL},
};
