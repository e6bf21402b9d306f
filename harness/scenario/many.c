/*
 * One file that several destinations load at the same time. With mapped-ram each page is at a fixed
 * offset, and no destination changes the file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"
#include "memory/memory.h"
#include "oracle/oracle.h"

#define DESTINATIONS 4
#define CHANNELS     4

/* Prepares both kinds of VMs for what the spec describes. */
static bool configure(struct godwit_vm *vm, const struct godwit_spec *spec, GError **error)
{
    return godwit_migrate_set_capabilities(vm, spec->capabilities, error) &&
           (!spec->parameters || godwit_migrate_set_parameters(vm, spec->parameters, error));
}

/* Stops the source and writes the file. */
static bool write_file(struct godwit_vm *source, const struct godwit_spec *spec,
                       struct godwit_reading *before, GError **error)
{
    if (!configure(source, spec, error) || !godwit_course_stop(source, error) ||
        !godwit_oracle_look(source, before, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *uri = godwit_migrate_file_address(source, spec->transport, error);
    return uri && godwit_migrate_unthrottle(source, error) &&
           godwit_migrate_start(source, uri, false, error) &&
           godwit_migrate_wait(source, "completed", error) && godwit_course_settle(source, error) &&
           godwit_migrate_note(source, error);
}

/* Makes all destinations load the file at once. */
static bool load_file(struct godwit_vm *source, struct godwit_vm **destinations,
                      const struct godwit_spec *spec, GError **error)
{
    for (unsigned i = 0; i < DESTINATIONS; i++)
        if (!godwit_vm_handshake(destinations[i], error) ||
            !configure(destinations[i], spec, error))
            return false;
    for (unsigned i = 0; i < DESTINATIONS; i++) {
        g_autofree char *from =
            godwit_migrate_listen(source, destinations[i], spec->transport, false, error);
        if (!from)
            return false;
    }
    for (unsigned i = 0; i < DESTINATIONS; i++) {
        g_autoptr(GError) cause = NULL;
        if (godwit_migrate_wait(destinations[i], "completed", &cause))
            continue;
        godwit_bug_explain_failure(source, destinations[i], &cause);
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    return true;
}

/* Checks that a destination has the source's RAM, and that its guest goes on. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_reading before = {0};
    godwit_memory_forget(destination);
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_VERIFY);
    return godwit_oracle_twin(source, destination, &before, error) &&
           godwit_course_judge_resumed(destination, before.mailbox, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_vm *destinations[DESTINATIONS];
    struct godwit_reading before;
    /* They start beside the source. */
    for (unsigned i = 0; i < DESTINATIONS; i++) {
        g_autofree char *name = g_strdup_printf("destination-%u", i + 1);
        destinations[i] = godwit_course_ahead(testbed, name, true, error);
        if (!destinations[i])
            return false;
    }
    struct godwit_vm *source = godwit_course_source(testbed, error);
    if (!source || !write_file(source, &scenario->spec, &before, error) ||
        !load_file(source, destinations, &scenario->spec, error))
        return false;
    for (unsigned i = 0; i < DESTINATIONS; i++)
        if (!judge(source, destinations[i], error))
            return false;
    godwit_testbed_measure(testbed, "destinations", json_integer(DESTINATIONS));
    for (unsigned i = 0; i < DESTINATIONS; i++)
        if (!godwit_course_end(destinations[i], i ? NULL : source, error))
            return false;
    return true;
}

static const struct godwit_capability mapped_ram[] = {{"mapped-ram", true}, {NULL, false}};
static const struct godwit_capability multifd[] = {
    {"mapped-ram", true}, {"multifd", true}, {NULL, false}};
static const struct godwit_parameter channels[] = {{"multifd-channels", CHANNELS, NULL},
                                                   {NULL, 0, NULL}};

GODWIT_SCENARIOS(many) = {
    {
        .name = "file/mapped-ram/many",
        .summary = "source stopped, mapped-ram: four destinations load the file at once",
        .run = run,
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_FILE, .capabilities = mapped_ram},
    },
    {
        .name = "file/multifd/mapped-ram/many",
        .summary = "source stopped, mapped-ram with multifd: four destinations load the file at "
                   "once",
        .run = run,
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_FILE,
                 .capabilities = multifd,
                 .parameters = channels},
    },
};
GODWIT_SCENARIOS_END(many);
