/*
 * The guest reports a panic in the middle of a migration. No guest of Godwit's panics: the register
 * of a pvpanic device is written from outside, which is all that a guest would do. QEMU is started
 * so that it stops the guest then; by default it would end. The destination must get the guest in
 * that state, and not run it. It has not really panicked, so that it goes on after `cont`, and
 * every oracle can judge it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/hardware.h"
#include "scenario/held.h"

#include <string.h>

/* The panic bit of the device's register. */
#define PANICKED 1

#define ID "panic"

/* The types of the device, in the order of preference: on the ISA bus of a PC, and on PCI. */
static const char *const types[] = {"pvpanic", "pvpanic-pci"};

struct godwit_scenario_state {
    struct godwit_held held;
    uint64_t address; /* of the device's register ... */
    bool port;        /* ... which is an I/O port */
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

/* Sets *TYPE to the first type that QEMU has, or to NULL. */
static bool find_type(struct godwit_testbed *testbed, const struct godwit_qemu *qemu,
                      const char **type, GError **error)
{
    struct godwit_vm *probe = godwit_vm_start_bare(testbed, qemu, error);
    *type = NULL;
    if (!probe || !godwit_vm_handshake(probe, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(types) && !*type; i++) {
        g_autoptr(GError) refusal = NULL;
        g_autoptr(json_t) properties = godwit_vm_execute(
            probe, "device-list-properties", json_pack("{s:s}", "typename", types[i]), &refusal);
        if (properties)
            *type = types[i];
        else if (refusal->code != GODWIT_ERROR_QMP) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return false;
        }
    }
    return godwit_vm_quit(probe, error);
}

/* Returns the -device argument, or NULL with ERROR set to SKIP if a QEMU has no such device. */
static char *device_argument(struct godwit_testbed *testbed, GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    const char *here, *there;
    if (!find_type(testbed, setup->source, &here, error) ||
        !find_type(testbed, setup->destination, &there, error))
        return NULL;
    if (here && there && !strcmp(here, there))
        return g_strdup_printf("%s,id=" ID, here);
    godwit_fail(error, GODWIT_ERROR_SKIP, "needs a pvpanic device: QEMU %s has none",
                here ? setup->destination->version : setup->source->version);
    return NULL;
}

/* Finds the device's register. */
static bool find_register(struct godwit_vm *vm, struct godwit_scenario_state *state, GError **error)
{
    if (!godwit_hardware_assign(vm, error))
        return false;
    g_autoptr(GArray) places = godwit_hardware_places(vm, error);
    for (guint i = 0; places && i < places->len; i++) {
        const struct godwit_hardware_place *place =
            &g_array_index(places, struct godwit_hardware_place, i);
        if (place->space == GODWIT_SPACE_CONFIG || !place->path ||
            strcmp(place->path, "/machine/peripheral/" ID) != 0)
            continue;
        state->address = place->start;
        state->port = place->space == GODWIT_SPACE_PORTS;
        return true;
    }
    return places && godwit_fail(error, GODWIT_ERROR_SKIP,
                                 "needs a pvpanic device whose register has an address");
}

static bool write_register(struct godwit_vm *vm, const struct godwit_scenario_state *state,
                           GError **error)
{
    return state->port ? godwit_qtest_out(vm->qtest, 1, (uint16_t)state->address, PANICKED, error)
                       : godwit_qtest_write(vm->qtest, 1, state->address, PANICKED, error);
}

/* Reports the panic on the source, which runs the guest, and waits until QEMU has stopped it. */
static bool panic(struct godwit_vm *source, GError **error)
{
    const guint first = source->qmp->events->len;
    source->alarms_judged = true;
    return write_register(source, source->testbed->state, error) &&
           godwit_vm_wait_event(source, first, "GUEST_PANICKED", NULL, error) &&
           godwit_vm_wait_event(source, first, "STOP", NULL, error) &&
           godwit_course_expect_status(source, "guest-panicked", "after the panic", error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_held *held = &state->held;
    struct godwit_reading before = {0};
    (void)scenario;
    godwit_held_init(held, testbed, GODWIT_HELD_ACTIVE);
    g_autofree char *device = device_argument(testbed, error);
    if (!device)
        return false;
    const char *const arguments[] = {"-device", device, "-action", "panic=pause", NULL};
    held->source_arguments = held->destination_arguments = arguments;
    held->survives = true;
    testbed->hand = true;
    if (!godwit_held_start(held, error) || !find_register(held->source, state, error) ||
        !godwit_held_reach(held, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_STRIKE);
    return panic(held->source, error) && godwit_held_complete(held, false, &before, error) &&
           godwit_course_expect_status(held->destination, "guest-panicked",
                                       "after the migration of a guest that has panicked", error) &&
           godwit_held_judge_loaded(held, error) && godwit_vm_quit(held->source, error) &&
           godwit_vm_quit(held->destination, error);
}

GODWIT_SCENARIOS(lifecycle_panic) = {
    {
        .name = "lifecycle/active/panic",
        .summary = "the guest reports a panic: it arrives so",
        .slow = true,
        .run = run,
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear_state,
    },
};
GODWIT_SCENARIOS_END(lifecycle_panic);
