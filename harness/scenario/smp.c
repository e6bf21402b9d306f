/*
 * Guests with several CPUs. Each CPU has its own stripe of the window's pages, with its own page
 * order.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

/* Waits until each CPU has dirtied all of its pages since the migration began. The migration is
 * throttled meanwhile. This comes before the proof of liveness, which does not wait for slow
 * CPUs. */
static bool see_all_run(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_course_see_it_run(source, error);
}

GODWIT_SCENARIOS(smp) = {
    {
        .name = "smp/2",
        .anywhere = true,
        .summary = "live, two CPUs dirty memory at the same time",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .started = see_all_run},
        .cpus = 2,
    },
    {
        .name = "smp/4",
        .anywhere = true,
        .summary = "live, four CPUs dirty memory at the same time",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_ITERATE,
                 .started = see_all_run},
        .cpus = 4,
    },
    {
        .name = "smp/postcopy",
        .anywhere = true,
        .summary = "postcopy, four CPUs wait for missing pages on the destination",
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .started = see_all_run},
        .cpus = 4,
    },
};
GODWIT_SCENARIOS_END(smp);
