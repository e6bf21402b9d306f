/*
 * Failover of network devices: a virtio-net, the standby, stays with the guest, and another device,
 * the primary, is hidden until the guest's driver knows of both, and is unplugged for a migration.
 *
 * Godwit's guest has no driver. The hand accepts the feature for it, and switches the primary's
 * slot on and off as a guest does. A slot that is off is cleared at once. If it is on, QEMU asks
 * the guest, and the migration waits, in state "wait-unplug".
 *
 * An unplugged primary stays in QEMU, which may have to plug it again. The slot's own register says
 * whether a device is present.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/virtio.h"
#include "scenario/device_parts.h"

#include "guest/machine.h"

#include "base/json.h"
#include "qemu/pci.h"
#include <string.h>

/* The number of virtio-net in the specification, and the feature. */
#define VIRTIO_NET      1u
#define FEATURE_STANDBY (UINT64_C(1) << 62)

#define STANDBY "standby0"
#define PRIMARY "primary0"
#define ADDRESS "52:54:00:67:77:02"

/* The primary's port: its numbers in configuration space, and the register of its slot. */
#define PORT_VENDOR     0x1b36
#define PORT_DEVICE     0x000c
#define CAPABILITY_PCIE 0x10
#define SLOT_CONTROL    0x18
#define SLOT_PRESENT    0x40u   /* of the status, after it */
#define SLOT_BITS       0x0700u /* power, and its light */
#define SLOT_ON         0x0100u
#define SLOT_OFF        0x0700u

/* Both have no option ROM: their RAM blocks would come and go. */
static const char *const arguments[] = {
    "-netdev",
    "hubport,hubid=0,id=net0",
    "-netdev",
    "hubport,hubid=1,id=net1",
    "-device",
    "pcie-root-port,id=rootport,chassis=1",
    "-device",
    "virtio-net-pci,disable-legacy=on,failover=on,romfile=,netdev=net0,mac=" ADDRESS ",id=" STANDBY,
    "-device",
    "e1000e,bus=rootport,romfile=,netdev=net1,mac=" ADDRESS ",failover_pair_id=" STANDBY
    ",id=" PRIMARY,
    NULL};

/* Fails with MIGRATION unless VM has the primary, or has not, as WANTED. WHEN completes the
 * sentence. */
static bool expect_primary(struct godwit_vm *vm, bool wanted, const char *when, GError **error)
{
    bool has;
    return godwit_plug_has(vm, PRIMARY, &has, error) &&
           (has == wanted || godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: the primary is %s %s",
                                         vm->name, has ? "there" : "not there", when));
}

/* Waits for the event NAME of VM whose FIELD names the device ID. */
static bool await(struct godwit_vm *vm, const char *name, const char *field, const char *id,
                  GError **error)
{
    const json_t *event = godwit_vm_wait_event(vm, 0, name, NULL, error);
    if (!event)
        return false;
    const char *is = godwit_json_string(json_object_get(event, "data"), field, "");
    return !strcmp(is, id) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: %s is about \"%s\", expected \"%s\"",
                       vm->name, name, is, id);
}

/* Fails with MIGRATION if VM has reported an event NAME, with that STATUS unless it is NULL. */
static bool expect_none(struct godwit_vm *vm, const char *name, const char *status, GError **error)
{
    return !godwit_qmp_find_event(vm->qmp, 0, name, status) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: reported %s%s%s, although nothing must be unplugged", vm->name, name,
                       status ? " " : "", status ? status : "");
}

/* Accepts the feature, as the driver of the guest would. The primary must appear. */
static bool negotiate(struct godwit_vm *source, GError **error)
{
    struct godwit_virtio device;
    uint64_t features = GODWIT_VIRTIO_VERSION_1 | FEATURE_STANDBY;
    if (!expect_primary(source, false, "before the driver knows of it", error) ||
        !godwit_course_stop(source, error) ||
        !godwit_virtio_find(&device, source, "virtio-net", VIRTIO_NET, error) ||
        !godwit_virtio_begin(&device, &features, error) || !godwit_virtio_start(&device, error))
        return false;
    if (!(features & FEATURE_STANDBY))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source's virtio-net with failover=on has no such feature");
    return await(source, "FAILOVER_NEGOTIATED", "device-id", STANDBY, error) &&
           expect_primary(source, true, "after FAILOVER_NEGOTIATED", error);
}

/* Reads the registers of the slot in the port FUNCTION, and returns its *STATUS. Sets its BITS
 * afterwards, unless they are 0. */
static bool access_slot(struct godwit_pci *pci, const struct godwit_pci_function *function,
                        uint32_t bits, uint32_t *status, GError **error)
{
    unsigned char bytes[256];
    const unsigned place = function->slot * 8u + function->function;
    if (!godwit_pci_config(pci, function->bus, place, 4, bytes, sizeof(bytes), error))
        return false;
    const size_t at = godwit_pci_capability(bytes, sizeof(bytes), CAPABILITY_PCIE, 0);
    if (!at)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the root port has no PCI Express slot");
    const size_t offset = at + SLOT_CONTROL;
    const uint32_t control = (uint32_t)bytes[offset + 1] << 8 | bytes[offset];
    struct godwit_pci_access access = {.bus = function->bus,
                                       .place = (uint8_t)place,
                                       .offset = (uint16_t)offset,
                                       .size = 2,
                                       .write = true,
                                       .value = (control & ~SLOT_BITS) | bits};
    *status = bytes[offset + 2];
    return !bits || godwit_pci_run(pci, &access, 1, error);
}

/* Finds the primary's port in VM, and does that. */
static bool use_slot(struct godwit_vm *vm, uint32_t bits, uint32_t *status, GError **error)
{
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, error);
    struct godwit_pci *pci = mtree ? godwit_pci_new(vm->qtest, mtree, error) : NULL;
    struct godwit_qtree *qtree = pci ? godwit_vm_pci(vm, error) : NULL;
    const struct godwit_pci_function *port =
        qtree ? godwit_qtree_find(qtree, PORT_VENDOR, PORT_DEVICE) : NULL;
    const bool good = port ? access_slot(pci, port, bits, status, error)
                           : qtree && godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                                  "%s: query-pci lists no root port", vm->name);
    godwit_qtree_free(qtree);
    godwit_pci_free(pci);
    godwit_mtree_free(mtree);
    return good;
}

/* Switches the primary's slot, as the guest does. */
static bool switch_slot(struct godwit_vm *vm, uint32_t bits, GError **error)
{
    uint32_t status;
    return use_slot(vm, bits, &status, error);
}

/* Fails with MIGRATION unless a device is present in the slot, or is not, as WANTED. */
static bool expect_present(struct godwit_vm *vm, bool wanted, const char *when, GError **error)
{
    uint32_t status;
    return use_slot(vm, 0, &status, error) &&
           (!(status & SLOT_PRESENT) != wanted ||
            godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: the primary is %s in its slot %s",
                        vm->name, wanted ? "not" : "still", when));
}

/* Hooks `configure`. */
static bool configure_off(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return negotiate(source, error) && godwit_vm_command(source, "cont", NULL, error);
}

static bool configure_on(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return negotiate(source, error) && switch_slot(source, SLOT_ON, error) &&
           godwit_vm_command(source, "cont", NULL, error);
}

/* Waits until the migration waits for the guest. */
static bool see_it_wait(struct godwit_vm *source, GError **error)
{
    return await(source, "UNPLUG_PRIMARY", "device-id", PRIMARY, error) &&
           godwit_vm_wait_event(source, source->migration_first, "MIGRATION", "wait-unplug",
                                error) &&
           godwit_course_see_it_run(source, error) &&
           expect_none(source, "MIGRATION", "active", error) &&
           expect_present(source, true, "before the guest has given it up", error);
}

/* Hooks `started`. */
static bool unplug(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return see_it_wait(source, error) && switch_slot(source, SLOT_OFF, error);
}

static bool see_no_wait(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return await(source, "UNPLUG_PRIMARY", "device-id", PRIMARY, error);
}

/* Hooks `judge`. */
static bool judge_hidden(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return expect_none(source, "FAILOVER_NEGOTIATED", NULL, error) &&
           expect_none(source, "UNPLUG_PRIMARY", NULL, error) &&
           expect_none(source, "MIGRATION", "wait-unplug", error) &&
           expect_primary(source, false, "although no driver knows of it", error) &&
           expect_primary(destination, false, "although no driver knows of it", error);
}

static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return expect_present(source, false, "after the migration", error) &&
           await(destination, "FAILOVER_NEGOTIATED", "device-id", STANDBY, error) &&
           expect_primary(destination, true, "after the migration", error);
}

static bool start(struct godwit_testbed *testbed, struct godwit_vm **source,
                  struct godwit_vm **destination, GError **error)
{
    const char *const *unplug = testbed->setup->machine->unplug_arguments;
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    if (unplug)
        g_strv_builder_addv(words, (const char **)unplug);
    g_strv_builder_addv(words, (const char **)arguments);
    g_auto(GStrv) all = g_strv_builder_end(words);
    testbed->hand = true;
    return godwit_course_try_both(testbed, "a machine with failover", (const char *const *)all,
                                  (const char *const *)all, GODWIT_VM_DESTINATION_PAUSED, source,
                                  destination, error) &&
           godwit_course_migrates(*source, "machine", error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_vm *source, *destination;
    return start(testbed, &source, &destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

/* The migration is cancelled while it waits. QEMU still waits for the guest, for half a minute at
 * most, and plugs again what the guest gives up. */
static bool run_cancel(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    struct godwit_vm *source, *destination;
    if (!start(testbed, &source, &destination, error) || !configure_on(source, destination, error))
        return false;
    g_autofree char *uri =
        godwit_migrate_listen(source, destination, scenario->spec.transport, false, error);
    destination->may_exit = true; /* it may when its source breaks off */
    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    return uri && godwit_migrate_set_capabilities(source, NULL, error) &&
           godwit_migrate_start(source, uri, false, error) && see_it_wait(source, error) &&
           godwit_vm_command(source, "migrate_cancel", NULL, error) &&
           switch_slot(source, SLOT_OFF, error) &&
           godwit_migrate_wait(source, "cancelled", error) &&
           godwit_course_expect_status(source, "running", "after migrate_cancel", error) &&
           godwit_course_see_it_run(source, error) &&
           expect_present(source, true, "after migrate_cancel", error) &&
           godwit_course_stop(source, error) && godwit_vm_quit(source, error);
}

GODWIT_SCENARIOS(failover) = {
    {
        .name = "failover/hidden",
        .summary = "a failover pair that no driver knows of: the primary stays hidden",
        .slow = true,
        .run = run,
        .spec = {.judge = judge_hidden},
    },
    {
        .name = "failover/off",
        .summary = "a failover pair whose primary is in a slot that is off: unplugged at once",
        .slow = true,
        .run = run,
        .spec = {.configure = configure_off, .started = see_no_wait, .judge = judge},
    },
    {
        .name = "failover/wait-unplug",
        .summary = "a failover pair: the migration waits until the guest gives the primary up",
        .run = run,
        .spec = {.configure = configure_on, .started = unplug, .judge = judge},
    },
    {
        .name = "failover/cancel",
        .summary = "a failover pair: cancelled while it waits, the source keeps the primary",
        .slow = true,
        .run = run_cancel,
    },
};
GODWIT_SCENARIOS_END(failover);
