/*
 * Known bugs of figures: impossible numbers that QEMU reports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <signal.h>
#include <string.h>

/* QEMU measured the downtime from instant zero of the host's clock instead of from the stop of the
 * guest. The downtime is then what the clock showed at some time during the migration. */
static bool is_uptime(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *source = symptom->source;
    if (!godwit_json_true(source->capabilities, "postcopy-ram") ||
        symptom->ms < source->migration_began / 1000 || symptom->ms > symptom->now / 1000 + 1)
        return false;
    *seen = g_strdup_printf("a downtime of %" JSON_INTEGER_FORMAT
                            " ms, which is the time since the host's start",
                            symptom->ms);
    return true;
}

/* QEMU counts the pages that KVM reports as dirty. TCG marks pages without that. */
static bool is_uncounted(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->text, "dirty-bitmap") != 0 || symptom->ms != 0)
        return false;
    *seen =
        g_strdup_printf("by dirty-bitmap, the %s measured a dirty rate of 0", symptom->vm->name);
    return true;
}

/* QEMU multiplies the seconds by 1000 before it checks them, and the product may wrap. */
static bool is_wrapped_time(const struct godwit_symptom *symptom, char **seen)
{
    if (symptom->ms <= INT64_MAX / 1000 && symptom->ms >= INT64_MIN / 1000)
        return false;
    *seen = g_strdup_printf("the %s accepted a calc-time of %" JSON_INTEGER_FORMAT " seconds",
                            symptom->vm->name, symptom->ms);
    return true;
}

/* QEMU asks KVM, which it does not use, for the size of its dirty ring. */
static bool is_asked_of_kvm(const struct godwit_symptom *symptom, char **seen)
{
    if ((strcmp(symptom->text, "dirty-bitmap") != 0 && strcmp(symptom->text, "dirty-ring") != 0) ||
        !godwit_bug_was_killed(symptom->vm, SIGSEGV))
        return false;
    g_autofree char *end = godwit_vm_end(symptom->vm);
    *seen = g_strdup_printf("asked for its dirty rate by %s, the %s's QEMU %s", symptom->text,
                            symptom->vm->name, end);
    return true;
}

const struct godwit_bug godwit_bugs_figures[] = {
    {
        .id = "postcopy-downtime-uptime",
        .summary = "the downtime that is reported for a postcopy may be the time since the host's "
                   "start",
        .reference = "measured in QEMU 7.2, and not in 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_DOWNTIME,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_uptime,
    },
    {
        .id = "dirty-rate-tcg",
        .summary = "under TCG, the dirty rate by dirty-bitmap is 0, whatever the guest writes",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_DIRTY_RATE,
        .accel = "tcg",
        .strikes = 1,
        .runs = 1,
        .matches = is_uncounted,
    },
    {
        .id = "dirty-rate-wraps",
        .summary = "calc-dirty-rate accepts some absurd times, which it takes modulo 2^64 ms",
        .reference = "measured in QEMU 10.0 and 11.1; 7.2 refuses them",
        .kind = GODWIT_SYMPTOM_DIRTY_RATE_TIME,
        .since = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_wrapped_time,
    },
    {
        .id = "dirty-rate-crash",
        .summary = "calc-dirty-rate by dirty-bitmap or dirty-ring crashes a QEMU under TCG that "
                   "could use KVM",
        .reference = "measured in QEMU 7.2; 10.0 and 11.1 refuse the ring",
        .kind = GODWIT_SYMPTOM_DIRTY_RATE_DIED,
        .fixed = {10, 0},
        .arch = "x86_64",
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_asked_of_kvm,
    },
    {
        .id = "dirty-rate-crash",
        .summary = "calc-dirty-rate by dirty-bitmap or dirty-ring crashes a QEMU under TCG that "
                   "could use KVM",
        .reference = "measured in QEMU 7.2; 10.0 and 11.1 refuse the ring",
        .kind = GODWIT_SYMPTOM_DIRTY_RATE_DIED,
        .fixed = {10, 0},
        .arch = "i386",
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_asked_of_kvm,
    },
    {.id = NULL},
};
