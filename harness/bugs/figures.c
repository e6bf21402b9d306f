/*
 * Known bugs of figures: impossible numbers that QEMU reports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

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
    {.id = NULL},
};
