/*
 * Several CPUs, each with its own stripe of the window's pages, and its own order of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

/* From the start of the migration on, which is held, each CPU dirties all of its pages. This is
 * seen before the migration is proven to be live: one that has been does not wait for slow guests.
 */
static bool see_all_run(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_course_see_it_run(source, error);
}

GODWIT_SCENARIOS(smp) = {
    {
        .name = "smp/2",
        .summary = "live, two CPUs dirty memory at the same time",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .started = see_all_run},
        .cpus = 2,
    },
    {
        .name = "smp/4",
        .summary = "live, four CPUs dirty memory at the same time",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_ITERATE,
                 .started = see_all_run},
        .cpus = 4,
    },
    {
        .name = "smp/postcopy",
        .summary = "postcopy, four CPUs wait for missing pages on the destination",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .started = see_all_run},
        .cpus = 4,
    },
};
GODWIT_SCENARIOS_END(smp);
