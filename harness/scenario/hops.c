/*
 * A chain of migrations of one guest. It may be reset before each but the first: what a device
 * keeps when it is reset, or what a destination forgot to set up for a reset, shows in the next.
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

static bool reset(struct godwit_vm *source, GError **error)
{
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_TO_A);
    return godwit_course_reset(source, error);
}

/* Migrates back and forth: the destination of each leg is the source of the next. If there are two
 * binaries, they take turns. */
static bool migrate_all(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        bool resets, GError **error)
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
            (leg > 1 && resets && !reset(source, error)) ||
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

static bool ping_pong(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    return migrate_all(testbed, scenario, false, error);
}

static bool with_resets(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    return migrate_all(testbed, scenario, true, error);
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
    {
        .name = "hops/reset",
        .summary =
            "one guest migrated back and forth (--hops N, default 10), and reset before each "
            "migration but the first",
        .slow = true,
        .run = with_resets,
        .hops = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
    },
};
GODWIT_SCENARIOS_END(hops);
