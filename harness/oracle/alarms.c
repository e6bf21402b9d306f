/*
 * Searches the QMP events of a testbed's VMs for alarms.
 *
 * The other oracles look at the guest's memory. QEMU also reports trouble in events, some of which
 * no scenario may survive. STOP and RESUME must also alternate: two STOPs in a row mean that the
 * guest ran in between and QEMU did not report it. A suspended guest is not judged, because QEMU
 * versions disagree on whether it can be stopped.
 *
 * An injected fault may make a guest reset itself, or shut down or panic, and a scenario may make
 * it panic on purpose. That scenario judges these alarms with the other consequences, and sets
 * `alarms_judged`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/alarms.h"

#include <string.h>

/* Events that no scenario provokes, unless it judges them. */
static const char *const alarms[] = {"GUEST_PANICKED",        "GUEST_CRASHLOADED", "MEMORY_FAILURE",
                                     "BLOCK_IMAGE_CORRUPTED", "BLOCK_IO_ERROR",    "WATCHDOG"};

enum activity { UNKNOWN, RUNS, STANDS };

static bool is_alarm(const json_t *event)
{
    const char *name = godwit_json_string(event, "event", "");
    for (size_t i = 0; i < G_N_ELEMENTS(alarms); i++)
        if (!strcmp(alarms[i], name))
            return true;
    /* If the guest did not ask for one of these, the harness did. */
    return (!strcmp(name, "RESET") || !strcmp(name, "SHUTDOWN")) &&
           godwit_json_true(json_object_get(event, "data"), "guest");
}

/* Updates *ACTIVITY from EVENT. Returns false if the guest was in that activity already. */
static bool follow(enum activity *activity, const json_t *event)
{
    const char *name = godwit_json_string(event, "event", "");
    const enum activity before = *activity;
    if (!strcmp(name, "SUSPEND") || !strcmp(name, "WAKEUP"))
        *activity = UNKNOWN;
    else if (!strcmp(name, "STOP"))
        *activity = STANDS;
    else if (!strcmp(name, "RESUME"))
        *activity = RUNS;
    else
        return true;
    return before == UNKNOWN || *activity != before;
}

const json_t *godwit_alarms_first(const struct godwit_vm *vm)
{
    for (guint i = 0; i < vm->qmp->events->len; i++)
        if (is_alarm(g_ptr_array_index(vm->qmp->events, i)))
            return g_ptr_array_index(vm->qmp->events, i);
    return NULL;
}

static bool judge(const struct godwit_vm *vm, GError **error)
{
    enum activity activity =
        godwit_vm_has_argument(vm, "-S") || godwit_vm_has_argument(vm, "-incoming") ? STANDS
                                                                                    : UNKNOWN;
    const json_t *alarm = vm->alarms_judged ? NULL : godwit_alarms_first(vm);
    if (alarm) {
        g_autofree char *text = godwit_json_dump(alarm, JSON_COMPACT);
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "alarms: the %s reported %s: %.300s",
                           vm->name, godwit_json_string(alarm, "event", ""), text);
    }
    for (guint i = 0; i < vm->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(vm->qmp->events, i);
        const char *name = godwit_json_string(event, "event", "");
        if (!follow(&activity, event))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "alarms: the %s reported %s, although its guest %s", vm->name, name,
                               activity == RUNS ? "was already running" : "was already stopped");
    }
    return true;
}

bool godwit_alarms_judge(struct godwit_testbed *testbed, GError **error)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (vm->qmp && !judge(vm, error))
            return false;
    }
    return true;
}
