/*
 * What the scenarios of devices share: device.c judges, device_plug.c finds out how to plug.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_DEVICE_PARTS_H
#define GODWIT_HARNESS_SCENARIO_DEVICE_PARTS_H

#include "course/loaded.h"
#include "inventory/recipe.h"
#include "scenario/device_recipes.h"
#include "scenario/scenario.h"

/* The state of each scenario of a device. */
struct godwit_scenario_state {
    const char *const *arguments; /* of the destination; borrowed */
    GPtrArray *lost;              /* of struct godwit_lost; NULL: not yet known */
    bool poked;                   /* its registers were written to at random */
    char *device;                 /* hotplug: what the source plugs; owned */
};

/* The fields of a row that all these scenarios have. CONFIGURE is its spec's hook. */
#define GODWIT_DEVICE_ROW(CONFIGURE)                                                               \
    .order = true, .state = sizeof(struct godwit_scenario_state), .clear = godwit_device_clear,    \
    .spec = {.move = GODWIT_MOVE_STOPPED, .configure = (CONFIGURE), .judge = godwit_device_judge}

/* The hook `clear` of these scenarios. */
void godwit_device_clear(struct godwit_scenario_state *state);

/* How both sides plug a device. */
struct godwit_plug {
    const char *name;
    struct godwit_recipe *source, *destination;
};

/* Returns the names of the devices that VM's binary has, as the hook `names` of a prototype. */
char **godwit_device_names(struct godwit_vm *vm, GError **error);

/* Asks both binaries how to plug the device NAME, which is borrowed, or, if SEVERAL are welcome,
 * the devices between whose names there is a plus sign. Fails with SKIP if one has no such device,
 * or if it must not be migrated here. Returns what godwit_plug_free() frees. */
struct godwit_plug *godwit_plug_ask(struct godwit_testbed *testbed, const char *name, bool several,
                                    GError **error);

void godwit_plug_free(struct godwit_plug *plug);
typedef struct godwit_plug godwit_plug; /* for g_autoptr only */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_plug, godwit_plug_free)

/* Fails with SKIP if the device needs a machine type about which the two QEMUs need not agree. */
bool godwit_plug_agreed(const struct godwit_testbed *testbed, const struct godwit_plug *plug,
                        GError **error);

/* Returns the arguments of a VM that has the recipe's device, or only what it needs if not WHOLE,
 * or nothing of either if RECIPE is NULL. The VM gets a clock that stands still while the guest is
 * stopped. The caller frees them. */
char **godwit_plug_arguments(const struct godwit_recipe *recipe, bool whole);

/* Starts a machine with ARGUMENTS and waits until it answers. The testbed owns it. Fails with SKIP
 * and QEMU's reason if NAME, its device, cannot be plugged, and with CRASH if QEMU is killed. */
struct godwit_vm *godwit_plug_start(struct godwit_testbed *testbed, enum godwit_vm_role role,
                                    char **arguments, const char *name, GError **error);

/* Starts a machine with ARGUMENTS and asks whether it can be migrated. Fails with SKIP if NAME, its
 * device, cannot be plugged or migrated. */
bool godwit_plug_try(struct godwit_testbed *testbed, enum godwit_vm_role role, char **arguments,
                     const char *name, GError **error);

/* Sets *HAS to whether VM has a device with that id, which -device named. */
bool godwit_plug_has(struct godwit_vm *vm, const char *id, bool *has, GError **error);

/* Plugs the recipe's device into VM, which has a machine already. Sets *PLUGGED to whether it is
 * there afterwards, and *REASON, which the caller frees, to what QEMU says if it is not. Fails if
 * QEMU does. */
bool godwit_plug_add(struct godwit_vm *vm, const char *device, bool *plugged, char **reason,
                     GError **error);

/* Takes the recipe's device, which VM has, out of it while its guest runs. Fails with SKIP if QEMU
 * does not do it without the guest, and otherwise if QEMU ends or never frees the device. */
bool godwit_plug_remove(struct godwit_vm *vm, const char *device, GError **error);

/* Turns the end of VM, which has not answered since it was started with the device NAME, into a
 * reason to skip if it ended by itself, and into a failure if it crashed. */
void godwit_plug_refused(struct godwit_vm *vm, const char *name, GError **error);

/* Makes *ERROR a CRASH if VM was killed while it plugged the device NAME. Returns whether it was.
 */
bool godwit_plug_crashed(struct godwit_vm *vm, const char *name, GError **error);

/* Completes SPEC for VMs with these arguments, which must live as long as it does: the transport is
 * a file, and the VMs get a hand. */
void godwit_device_spec(struct godwit_testbed *testbed, struct godwit_spec *spec,
                        const char *const *source_arguments,
                        const char *const *destination_arguments);

/* Gives every BAR of the source an address if no firmware has. A spec's hook `configure`. */
bool godwit_device_assign(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Plugs state->device into the source while its guest runs, gives its BARs addresses, and sees the
 * guest go on. A spec's hook `configure`. */
bool godwit_device_plug_running(struct godwit_vm *source, struct godwit_vm *destination,
                                GError **error);

/* Compares the state and the registers of the destination, which has loaded and not run, with the
 * source's. A spec's hook `judge`. */
bool godwit_device_judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Returns whether a known bug explains that this one register is lost. */
bool godwit_device_is_known(const struct godwit_testbed *testbed, const char *name,
                            const struct godwit_lost *lost);

/* Marks *FAILURE if a known bug of the device NAME explains it, all that is lost included. */
void godwit_device_explain(const struct godwit_testbed *testbed, const char *name,
                           GError **failure);

#endif
