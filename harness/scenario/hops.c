/*
 * A chain of migrations of one guest.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

static char *name_of(unsigned leg)
{
    return g_strdup_printf("hop%u", leg);
}

/* Starts the destination of a leg while the leg before it is under way. Sets *DESTINATION to it, or
 * to NULL after the last leg. */
static bool start_ahead(struct godwit_testbed *testbed, unsigned leg,
                        struct godwit_vm **destination, GError **error)
{
    g_autofree char *name = name_of(leg);
    testbed->turned = leg % 2 == 0;
    *destination =
        leg > testbed->setup->hops ? NULL : godwit_course_ahead(testbed, name, true, error);
    return *destination || leg > testbed->setup->hops;
}

/* Migrates back and forth: the destination of each leg is the source of the next. If there are two
 * binaries, they take turns. */
static bool ping_pong(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    struct godwit_vm *next;
    struct godwit_vm *source =
        start_ahead(testbed, 1, &next, error) ? godwit_course_source(testbed, error) : NULL;
    if (!source)
        return false;
    for (unsigned leg = 1; leg <= testbed->setup->hops; leg++) {
        g_autofree char *context = g_strdup_printf("leg %u of %u", leg, testbed->setup->hops);
        struct godwit_vm *destination = next;
        if (!godwit_vm_handshake(destination, error) ||
            !start_ahead(testbed, leg + 1, &next, error) ||
            (leg > 1 && !godwit_vm_run(source, error)) ||
            !godwit_course_leg(testbed, &scenario->spec, source, destination, error) ||
            !godwit_vm_quit(source, error)) {
            godwit_error_context(error, "%s", context);
            return false;
        }
        godwit_testbed_measure(testbed, "hops", json_integer(leg));
        source = destination;
        if (testbed->lost)
            break;
    }
    return godwit_course_end(source, NULL, error);
}

GODWIT_SCENARIOS(hops) = {
    {
        .name = "hops/ping-pong",
        .summary = "one guest migrated back and forth (--hops N, default 10), checked after each "
                   "migration",
        .run = ping_pong,
        .hops = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
    },
};
GODWIT_SCENARIOS_END(hops);
