/*
 * A device of the binary beside Godwit's guest: plugged into both sides, migrated, and compared.
 *
 * The guest runs with the device, and is migrated stopped, through a file. So the source's stream
 * has the state of every device, and the destination, which has loaded it and not run since, is
 * made to send a stream of its own. The two are compared field by field. All other oracles judge as
 * in any migration.
 *
 * Before that, a QEMU of each side is started for questions: what the device needs, whether it can
 * be plugged, and whether it lets itself be migrated.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "bugs/bugs.h"
#include "course/loaded.h"
#include "inventory/recipe.h"
#include "oracle/hardware.h"
#include "oracle/state.h"
#include <string.h>
#include <sys/wait.h>

char **godwit_device_names(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GPtrArray) types = godwit_device_types_list(vm, error);
    if (!types)
        return NULL;
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(types, i);
        /* CPUs are no devices that the guest could run beside. */
        if (strcmp(type->category, "CPU") != 0)
            g_ptr_array_add(list, g_strdup(type->name));
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

/* Returns the arguments with a clock before them that stands still while the guest is stopped: the
 * host's own would differ between two looks. Takes ARGUMENTS. */
static char **with_clock(char **arguments)
{
    static const char *const clock[] = {"-rtc", "base=2026-01-01,clock=vm"};
    const guint count = g_strv_length(arguments);
    char **all = g_new0(char *, count + G_N_ELEMENTS(clock) + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(clock); i++)
        all[i] = g_strdup(clock[i]);
    memcpy(all + G_N_ELEMENTS(clock), arguments, count * sizeof(*arguments));
    g_free(arguments);
    return all;
}

/* Turns the end of a QEMU that was started to try the device into a reason to skip, if it ended by
 * itself. */
static bool not_plugged(struct godwit_vm *vm, const char *name, GError **error)
{
    if (!vm->exited || !WIFEXITED(vm->wait_status))
        return false;
    g_autofree char *reason = godwit_vm_reason(vm);
    g_clear_error(error);
    return godwit_fail(error, GODWIT_ERROR_SKIP, "needs more to plug %s: %s", name, reason);
}

/* Returns the arguments that plug the device, as this binary wants them. The caller frees them. */
char **godwit_device_recipe(struct godwit_testbed *testbed, const struct godwit_qemu *qemu,
                            const char *name, GError **error)
{
    struct godwit_vm *vm = godwit_vm_start_bare(testbed, qemu, error);
    if (!vm || !godwit_vm_handshake(vm, error))
        return NULL;
    g_autoptr(GPtrArray) types = godwit_device_types_list(vm, error);
    if (!types)
        return NULL;
    const struct godwit_device_type *type = godwit_device_types_find(types, name);
    if (!type) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs the device %s: QEMU %s has none", name,
                    qemu->version);
        return NULL;
    }
    g_autoptr(json_t) properties = godwit_vm_execute(vm, "device-list-properties",
                                                     json_pack("{s:s}", "typename", name), error);
    /* QEMU 7.2 ends when it is asked about a type whose module is not installed. */
    if (!properties && not_plugged(vm, name, error))
        return NULL;
    if (!properties || !godwit_vm_quit(vm, error))
        return NULL;
    return with_clock(godwit_recipe(type, properties));
}

/* Starts a machine with the device and asks whether it can be migrated. Fails with SKIP if it
 * cannot be plugged or migrated. */
bool godwit_device_try(struct godwit_testbed *testbed, enum godwit_vm_role role, char **arguments,
                       const char *name, GError **error)
{
    const char *label = role == GODWIT_VM_SOURCE ? "trial-source" : "trial-destination";
    struct godwit_vm *vm =
        godwit_vm_start(testbed, label, role, (const char *const *)arguments, error);
    if (!vm)
        return false;
    if (!godwit_vm_handshake(vm, error))
        return not_plugged(vm, name, error);
    g_autoptr(json_t) migration = godwit_vm_execute(vm, "query-migrate", NULL, error);
    if (!migration)
        return false;
    const char *blocked =
        json_string_value(json_array_get(json_object_get(migration, "blocked-reasons"), 0));
    if (blocked)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a device that migrates: %s", blocked);
    return godwit_vm_quit(vm, error);
}

static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    state->lost = godwit_loaded_compare(source, destination, state->arguments, false, error);
    return state->lost && godwit_loaded_judge(source->testbed, state->lost, error);
}

/* Returns the registers that are LOST, an array of struct godwit_symptom_register, which the caller
 * unreferences. It is empty if anything else is lost, or nothing is known. */
static GArray *lost_registers(const GPtrArray *lost)
{
    GArray *registers = g_array_new(FALSE, FALSE, sizeof(struct godwit_symptom_register));
    for (guint i = 0; lost && i < lost->len; i++) {
        const struct godwit_lost *one = g_ptr_array_index(lost, i);
        const struct godwit_symptom_register entry = {one->device, one->where};
        if (!one->is_register || !one->device) {
            g_array_set_size(registers, 0);
            break;
        }
        g_array_append_val(registers, entry);
    }
    return registers;
}

/* Devices that change the guest's memory when they are loaded, as their specification wants. */
static const char *const writers[][2] = {
    {"vmclock", "its page tells the guest that it was migrated"},
};

/* Marks *FAILURE if a known bug of the device explains it. */
void godwit_device_explain(const struct godwit_testbed *testbed, const char *name, GError **failure)
{
    g_autoptr(GArray) lost = lost_registers(testbed->state->lost);
    struct godwit_symptom symptom = {
        .kind = GODWIT_SYMPTOM_DEVICE,
        .text = name,
        .failure = *failure,
        .lost = (const struct godwit_symptom_register *)(const void *)lost->data,
        .lost_count = lost->len,
        .poked = testbed->state->poked,
    };
    /* The latest of each side: those before only answered questions. */
    for (guint i = 0; i < testbed->vms->len; i++) {
        struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        *(vm->source ? &symptom.source : &symptom.destination) = vm;
    }
    const struct godwit_bug *bug =
        symptom.source && symptom.destination ? godwit_bug_explain(&symptom) : NULL;
    if (bug)
        godwit_bug_mark(failure, bug);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    const char *name = godwit_scenario_subject(scenario);
    struct godwit_spec spec = scenario->spec;
    for (size_t i = 0; i < G_N_ELEMENTS(writers); i++)
        if (!strcmp(writers[i][0], name))
            return godwit_fail(error, GODWIT_ERROR_SKIP, "needs memory that stays as it is: %s",
                               writers[i][1]);
    g_auto(GStrv) here = godwit_device_recipe(testbed, setup->source, name, error);
    const bool same = !strcmp(setup->source->path, setup->destination->path);
    g_auto(GStrv) there = !here  ? NULL
                          : same ? g_strdupv(here)
                                 : godwit_device_recipe(testbed, setup->destination, name, error);
    if (!there || !godwit_device_try(testbed, GODWIT_VM_SOURCE, here, name, error) ||
        !godwit_device_try(testbed, GODWIT_VM_DESTINATION_PAUSED, there, name, error))
        return false;
    testbed->hand = true;
    testbed->state->arguments = (const char *const *)there;
    spec.transport = godwit_state_common_transport(setup->source, setup->destination);
    spec.source_arguments = (const char *const *)here;
    spec.destination_arguments = (const char *const *)there;
    g_autoptr(GError) cause = NULL;
    const bool good = godwit_course_run(testbed, &spec, &cause);
    if (!good) {
        godwit_device_explain(testbed, name, &cause);
        g_propagate_error(error, g_steal_pointer(&cause));
    }
    return good;
}

static bool assign(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_hardware_assign(source, error);
}

void godwit_device_clear(struct godwit_scenario_state *state)
{
    g_clear_pointer(&state->lost, g_ptr_array_unref);
}

/* Runs the machine as it is, without a device in question. */
static bool run_machine(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    struct godwit_spec spec = scenario->spec;
    g_auto(GStrv) arguments = with_clock(g_new0(char *, 1));
    testbed->hand = true;
    testbed->state->arguments = (const char *const *)arguments;
    spec.transport =
        godwit_state_common_transport(testbed->setup->source, testbed->setup->destination);
    spec.source_arguments = (const char *const *)arguments;
    spec.destination_arguments = (const char *const *)arguments;
    return godwit_course_run(testbed, &spec, error);
}

GODWIT_SCENARIOS(device) = {
    {
        .name = "state/machine",
        .summary = "the machine as it is: its devices' state is compared, field by field",
        .run = run_machine,
        .order = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
        .spec = {.move = GODWIT_MOVE_STOPPED, .configure = assign, .judge = judge},
    },
    {
        .name = "device/NAME",
        .summary = "a device of the binary beside the guest: its state is compared, field by field",
        .names = godwit_device_names,
        .run = run,
        .order = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
        .spec = {.move = GODWIT_MOVE_STOPPED, .configure = assign, .judge = judge},
    },
};
GODWIT_SCENARIOS_END(device);
