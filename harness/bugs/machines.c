/*
 * Known bugs of boards and of CPU models, which machine/NAME and cpu/NAME meet.
 *
 * Each is recognised by the machine or the model (the symptom's text), the side that has died, its
 * signal or exit status, and a line that it prints. docs/known-bugs/device.py shows each without
 * Godwit.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* Returns whether one of NAMES, which end with NULL, is the symptom's subject. */
static bool is_one_of(const struct godwit_symptom *symptom, const char *const *names)
{
    return g_strv_contains(names, symptom->text);
}

/* The number of last lines of standard error in which to look. */
#define LAST_LINES 20

/* Returns whether one of VM's last lines ends in TEXT, and sets *SEEN to how the VM ended. Most
 * lines begin with the program's name. */
static bool said(const struct godwit_vm *vm, const char *text, char **seen)
{
    g_autofree char *output = godwit_vm_stderr(vm, LAST_LINES);
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    guint i = 0;
    while (lines[i] && !g_str_has_suffix(lines[i], text))
        i++;
    if (!lines[i])
        return false;
    g_autofree char *end = godwit_vm_end(vm);
    *seen = g_strdup_printf("the %s's QEMU %s", vm->name, end);
    return true;
}

/* These boards have a card that is connected by SPI. The destination powers it up, and the state
 * says that it is powered up. */
static bool is_card(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const boards[] = {"sifive_u", "lm3s6965evb", NULL};
    return is_one_of(symptom, boards) && godwit_bug_was_killed(symptom->destination, SIGABRT) &&
           said(symptom->destination,
                "Assertion `!FIELD_EX32(sd->ocr, OCR, CARD_POWER_UP)' failed.", seen);
}

/* What the source saves of a CPU of the families 405 and 440 is not what the destination loads. */
static bool is_embedded(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const boards[] = {"bamboo", "ref405ep", "sam460ex", "virtex-ml507", NULL};
    const struct godwit_vm *vm = symptom->destination;
    return is_one_of(symptom, boards) && vm && vm->exited && WIFEXITED(vm->wait_status) &&
           WEXITSTATUS(vm->wait_status) == 1 && said(vm, ": Missing section footer for cpu", seen);
}

static bool is_wide(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "x-rv128") && godwit_bug_was_killed(symptom->vm, SIGABRT) &&
           said(symptom->vm, "read_misa: code should not be reached", seen);
}

const struct godwit_bug godwit_bugs_machines[] = {
    {
        .id = "machine-spi-card",
        .summary = "loading a board with a card on SPI aborts QEMU",
        .reference = "in 7.2, 10.0 and 11.1; not known to be fixed in any release",
        .kind = GODWIT_SYMPTOM_MACHINE,
        .role = GODWIT_BUG_DESTINATION,
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_card,
    },
    {
        .id = "machine-ppc-embedded",
        .summary = "a destination cannot load the CPU of an embedded PowerPC board",
        .reference = "in 7.2; not in 10.0",
        .kind = GODWIT_SYMPTOM_MACHINE,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {10, 0},
        .arch = "ppc64",
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_embedded,
    },
    {
        .id = "cpu-rv128-registers",
        .summary = "asking for the registers of the CPU model x-rv128 aborts QEMU",
        .reference = "in 11.1; 7.2 and 10.0 do not start this model",
        .kind = GODWIT_SYMPTOM_CPU,
        .since = {11, 0},
        .arch = "riscv64",
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_wide,
    },
    {.id = NULL},
};
