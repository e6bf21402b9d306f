/*
 * What compare and sweep share: they measure migrations at full speed, of one guest on one machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "qemu/host.h"
#include <math.h>
#include <string.h>

/* How many pages the guest dirties per second, unless the user chooses. A guest that dirties as
 * many as it can makes the number of iterations, and with it each time, a matter of luck. One that
 * dirties 40000 does not converge on a host with a load of 16. */
#define DIRTY_RATE 20000
/* The window, in bytes, unless the user chooses one. A smaller one would measure little but the
 * host's hiccups; a larger one would take the guest long to write. */
#define WINDOW ((uint64_t)16 << 20)

bool godwit_speed_quantity(const char *option, const char *text, const struct godwit_suffix *units,
                           const char *example, double *value, GError **error)
{
    char *end = NULL;
    const double number = g_ascii_strtod(text, &end);
    for (; end != text && units->name; units++)
        if (!strcmp(end, units->name) && number > 0 && isfinite(number * units->factor)) {
            *value = number * units->factor;
            return true;
        }
    return godwit_fail(error, GODWIT_ERROR_USAGE, "%s needs %s, not \"%s\"", option, example, text);
}

/* More seconds than make sense: about thirty years. */
#define TIME_MAX 1e9

bool godwit_speed_time(const char *option, const char *text, double *seconds, GError **error)
{
    static const struct godwit_suffix units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {NULL, 0}};
    static const char example[] = "a time, for example 90s, 5m or 1h";
    if (!godwit_speed_quantity(option, text, units, example, seconds, error))
        return false;
    return *seconds < TIME_MAX ||
           godwit_fail(error, GODWIT_ERROR_USAGE, "%s needs %s, not \"%s\"", option, example, text);
}

void godwit_speed_complete(struct godwit_options *options)
{
    options->unthrottled = TRUE;
    /* Not every QEMU has these events, so their cost would be that of some. */
    options->no_waterfall = TRUE;
    if (options->dirty_rate == GODWIT_NOT_GIVEN && options->page_ticks == GODWIT_NOT_GIVEN &&
        godwit_host_timer_hz())
        options->dirty_rate = DIRTY_RATE;
}

void godwit_speed_prepare(const struct godwit_scenario *scenario, struct godwit_setup *setup)
{
    struct godwit_workload *workload = &setup->workload;
    if (!setup->window_given)
        workload->window_end = MIN(workload->window_end, workload->window_start + WINDOW);
    setup->window_given = true;
    godwit_scenario_prepare(scenario, setup);
}

bool godwit_speed_only_one(const char *command, const GPtrArray *targets, GError **error)
{
    const struct godwit_target *first = g_ptr_array_index(targets, 0);
    const struct godwit_target *second = targets->len > 1 ? g_ptr_array_index(targets, 1) : NULL;
    if (!second)
        return true;
    if (first->setup.machine != second->setup.machine)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "%s measures one architecture: choose it with --arch", command);
    if (strcmp(first->source->path, second->source->path) != 0 ||
        strcmp(first->destination->path, second->destination->path) != 0)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "%s measures one QEMU", command);
    return godwit_fail(error, GODWIT_ERROR_USAGE, "%s measures one workload at a time", command);
}
