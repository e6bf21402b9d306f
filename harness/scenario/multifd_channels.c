/*
 * Multifd with different numbers of channels on the two sides. QEMU wants them to be the same. It
 * may refuse anything else, with a reason, or make do with the fewer. QEMU 7.2 to 11.1 wait for
 * good instead, with few exceptions. So a source that does not end its migration is yanked, which
 * must end it, and a destination that still waits must quit. In any case the guest must run on: on
 * the source, which then migrates it elsewhere, or on a destination that has all of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/multifd.h"

#include "migrate/throttle.h"
#include "oracle/oracle.h"
#include "scenario/yank.h"
#include <stdlib.h>
#include <string.h>

#define FEW  2
#define MANY 4

/* A migration that has not ended after so many seconds never will. Nothing limits its
 * bandwidth. */
#define END_SECONDS 4

struct numbers {
    unsigned source, destination;
    bool postcopy; /* together with postcopy, which need not begin */
};

/* Before 8.0 QEMU refuses surplus channels at random: its destination fails, waits for good
 * even if it is yanked, or crashes, and its source may keep the failed migration, so that it
 * cannot start another one. */
static struct godwit_lack *lacks_refusal(const struct godwit_setup *setup)
{
    return godwit_lack_before(setup->destination, 8, "a destination that survives surplus channels",
                              "may crash or wait for good");
}

static const struct godwit_capability on[] = {{"multifd", true}, {NULL, false}};
static const struct godwit_capability alone[] = {
    {"multifd", true}, {"postcopy-ram", false}, {NULL, false}};
static const struct godwit_parameter many[] = {{"multifd-channels", MANY, NULL}, {NULL, 0, NULL}};

static bool set_channels(struct godwit_vm *vm, unsigned channels, GError **error)
{
    const struct godwit_parameter parameters[] = {{"multifd-channels", channels, NULL},
                                                  {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(vm, parameters, error);
}

/* Turns multifd on, with different numbers of channels. */
static bool configure(struct godwit_vm *source, struct godwit_vm *destination,
                      const struct numbers *numbers, GError **error)
{
    if (numbers->postcopy && !godwit_multifd_accept_postcopy(source, destination, error))
        return false;
    return godwit_migrate_set_capabilities(source, on, error) &&
           godwit_migrate_set_capabilities(destination, on, error) &&
           set_channels(source, numbers->source, error) &&
           set_channels(destination, numbers->destination, error);
}

/* Sets *WAITS to whether CONDITION(VM) does not hold in time, and records it as NAME. */
static bool ask_waits(struct godwit_vm *vm, godwit_condition condition, const char *what,
                      const char *name, bool *waits, GError **error)
{
    struct godwit_testbed *testbed = vm->testbed;
    g_autoptr(GError) cause = NULL;
    const gint64 deadline = godwit_testbed_limit(testbed, END_SECONDS);
    *waits = !godwit_testbed_wait(testbed, condition, vm, what, &cause);
    testbed->deadline = deadline;
    godwit_testbed_measure(testbed, name, json_boolean(*waits));
    if (!*waits || cause->code == GODWIT_ERROR_TIMEOUT)
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Waits until the source's migration is over. Yanks it if that does not come by itself. */
static bool end_source(struct godwit_vm *source, GError **error)
{
    const char *what = "the source's migration to end";
    bool waits;
    if (!ask_waits(source, godwit_migrate_is_over, what, "source-waits", &waits, error))
        return false;
    if (!waits)
        return true;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_STRIKE);
    return godwit_vm_command_oob(
               source, "yank", json_pack("{s:[{s:s}]}", "instances", "type", "migration"), error) &&
           godwit_testbed_wait(source->testbed, godwit_migrate_is_over, source, what, error);
}

/* Judges the destination of a failed migration: it ends with an error, or waits for the channels
 * that are missing and can be ended. */
static bool end_destination(struct godwit_vm *destination, GError **error)
{
    bool waits;
    if (!ask_waits(destination, godwit_vm_has_ended, "the destination to end", "destination-waits",
                   &waits, error))
        return false;
    return waits ? godwit_course_expect_status(destination, "inmigrate",
                                               "after the failed migration", error) &&
                       godwit_vm_quit(destination, error)
                 : godwit_course_refused(destination, error);
}

/* Judges a migration that has failed: the guest runs on, and goes elsewhere over as many channels
 * on both sides. */
static bool judge_failed(struct godwit_vm *source, struct godwit_vm *destination,
                         struct godwit_vm *second, bool postcopy, GError **error)
{
    const struct godwit_spec elsewhere = {.transport = GODWIT_TRANSPORT_UNIX,
                                          .capabilities = postcopy ? alone : on,
                                          .parameters = many};
    bool stuck;
    if (!godwit_migrate_note_failure(source, error) ||
        !godwit_yank_await_over(source, &stuck, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_ELSEWHERE);
    return end_destination(destination, error) &&
           godwit_course_expect_status(source, "running", "after the failed migration", error) &&
           godwit_course_see_it_run(source, error) &&
           (stuck || (godwit_vm_handshake(second, error) &&
                      godwit_course_move(source->testbed, &elsewhere, source, second, error)));
}

/* Judges a migration that has completed all the same. */
static bool judge_completed(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_reading before = {0};
    destination->may_exit = false;
    return godwit_migrate_wait(destination, "completed", error) &&
           godwit_oracle_twin(source, destination, &before, error) &&
           godwit_course_end(destination, source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct numbers *numbers = scenario->data;
    struct godwit_vm *source, *destination;
    testbed->oob = true;
    struct godwit_vm *second = godwit_course_ahead(testbed, "second", true, error);
    if (!second ||
        !godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !configure(source, destination, numbers, error) || !godwit_migrate_unlimit(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    destination->may_exit = true;
    g_autofree char *uri =
        godwit_migrate_listen(source, destination, GODWIT_TRANSPORT_UNIX, false, error);
    if (!uri || !godwit_migrate_start(source, uri, false, error) || !end_source(source, error))
        return false;
    return strcmp(godwit_migrate_reported_state(source), "completed") != 0
               ? judge_failed(source, destination, second, numbers->postcopy, error)
               : judge_completed(source, destination, error);
}

#define ROW(NAME, SUMMARY, SOURCE, DESTINATION, POSTCOPY, NEEDS, LACKS)                            \
    {                                                                                              \
        .name = NAME, .summary = SUMMARY, .run = run, .wide = true, .slow = true,                  \
        .needs = "command:yank command:query-yank capability:multifd" NEEDS,                       \
        .data = &(const struct numbers){SOURCE, DESTINATION, POSTCOPY}, .lacks = LACKS,            \
        .spec = {.capabilities = on},                                                              \
    }

GODWIT_SCENARIOS(multifd_channels) = {
    ROW("multifd/channels/fewer", "fewer channels on the source: the guest runs on", FEW, MANY,
        false, "", NULL),
    ROW("multifd/channels/more", "more channels on the source: the guest runs on", MANY, FEW, false,
        "", lacks_refusal),
    ROW("multifd/postcopy/channels/fewer", "with postcopy-ram, fewer channels on the source", FEW,
        MANY, true, " capability:postcopy-ram", NULL),
    ROW("multifd/postcopy/channels/more", "with postcopy-ram, more channels on the source", MANY,
        FEW, true, " capability:postcopy-ram", lacks_refusal),
};
GODWIT_SCENARIOS_END(multifd_channels);
