/*
 * Several devices at once beside the guest: those that most virtual machines have, and as many as
 * fit.
 *
 * Nobody knows beforehand which devices fit together. So a machine that is paused before its first
 * instruction plugs one after the other, each with a number of its own. It keeps what QEMU takes
 * and what does not keep the machine from being migrated. Both sides then have these on their
 * command lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include <string.h>

/* Ports for PCI devices, eight to a slot. The slots from FIRST_SLOT on are free on every machine
 * with PCI Express, and those from 0x1c on are not on a q35. A port takes time when QEMU starts. */
#define FIRST_SLOT 4u
#define PORTS      112u

/* Devices of ordinary virtual machines, by the name that works for PCI and for channels. */
static const struct {
    const char *name;
    const char *with; /* only if the binary has this, too; NULL: always */
} common[] = {
    {"virtio-net", NULL},
    {"virtio-blk", NULL},
    {"virtio-scsi", NULL},
    {"scsi-hd", NULL},
    {"virtio-serial", NULL},
    {"virtserialport", NULL},
    {"virtio-balloon", NULL},
    {"virtio-rng", NULL},
    {"virtio-gpu", NULL},
    {"diag288", NULL},
    /* PCI of s390x does not migrate. It has no port, either. */
    {"qemu-xhci", "pcie-root-port"},
    {"usb-tablet", "pcie-root-port"},
    {"usb-kbd", "pcie-root-port"},
    {"intel-hda", "pcie-root-port"},
    {"hda-duplex", "pcie-root-port"},
    {"i6300esb", "pcie-root-port"},
    {"pvpanic-pci", "pcie-root-port"},
};

/* Each of these ends QEMU or loses a register whatever it is plugged beside (docs/devices.md).
 * Beside others they would only hide what those do. */
static const char *const faulty[] = {
    "cxl-type3", "hv-*",          "isa-cirrus-vga", "isa-vga", "macio-newworld",
    "nvme-ns",   "pci-serial-2x", "sd-card-spi",    "vmbus-*",
};

static bool is_faulty(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(faulty); i++)
        if (g_pattern_match_simple(faulty[i], name))
            return true;
    return false;
}

/* What a binary has, and what is chosen of it. */
struct choice {
    GPtrArray *types;    /* of the binary */
    GPtrArray *recipes;  /* of struct godwit_recipe, each with the number of its place */
    GPtrArray *backends; /* arguments: an option and its value, each only once */
    GPtrArray *devices;  /* values of -device */
    GHashTable *added;   /* a bus's device, as the recipe has it -> it is plugged; or not */
    unsigned ports;      /* in use */
};

static void recipe_free(gpointer recipe)
{
    godwit_recipe_free(recipe);
}

static struct choice *choice_new(void)
{
    struct choice *choice = g_new0(struct choice, 1);
    choice->recipes = g_ptr_array_new_with_free_func(recipe_free);
    choice->backends = g_ptr_array_new_with_free_func(g_free);
    choice->devices = g_ptr_array_new_with_free_func(g_free);
    choice->added = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return choice;
}

static void choice_free(struct choice *choice)
{
    if (choice->types)
        g_ptr_array_unref(choice->types);
    g_ptr_array_unref(choice->recipes);
    g_ptr_array_unref(choice->backends);
    g_ptr_array_unref(choice->devices);
    g_hash_table_unref(choice->added);
    g_free(choice);
}

static const struct godwit_device_type *find(const struct choice *choice, const char *name)
{
    for (guint i = 0; i < choice->types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(choice->types, i);
        if (!strcmp(type->name, name) || !g_strcmp0(type->alias, name))
            return type;
    }
    return NULL;
}

/* Adds the recipe for TYPE, unless it needs another machine, or other options of this one. */
static bool add_recipe(struct godwit_vm *vm, struct choice *choice,
                       const struct godwit_device_type *type, GError **error)
{
    g_autoptr(json_t) properties = godwit_vm_execute(
        vm, "device-list-properties", json_pack("{s:s}", "typename", type->name), error);
    if (!properties)
        return false;
    struct godwit_recipe *recipe = godwit_recipe_new(
        type, properties, &(struct godwit_offer){choice->types, NULL}, choice->recipes->len + 1);
    const char *const *machine = (const char *const *)recipe->machine;
    if (g_strv_contains(machine, "-m") || g_strv_contains(machine, "-machine"))
        godwit_recipe_free(recipe);
    else
        g_ptr_array_add(choice->recipes, recipe);
    return true;
}

/* Asks the source's binary for the recipes: of the common devices, or of all. */
static bool ask(struct godwit_testbed *testbed, struct choice *choice, bool all, GError **error)
{
    struct godwit_vm *vm = godwit_vm_start_bare(testbed, testbed->setup->source, error);
    if (!vm || !godwit_vm_handshake(vm, error))
        return false;
    choice->types = godwit_device_types_list(vm, error);
    if (!choice->types)
        return false;
    for (guint i = 0; all && i < choice->types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(choice->types, i);
        /* QEMU 7.2 aborts when it is asked for properties of a type whose module is missing, which
         * needs a display with OpenGL anyway. */
        if (strcmp(type->category, "CPU") != 0 && !strstr(type->name, "-gl") &&
            !is_faulty(type->name) && !add_recipe(vm, choice, type, error))
            return false;
    }
    for (size_t i = 0; !all && i < G_N_ELEMENTS(common); i++) {
        const struct godwit_device_type *type = find(choice, common[i].name);
        if (type && (!common[i].with || find(choice, common[i].with)) &&
            !add_recipe(vm, choice, type, error))
            return false;
    }
    return godwit_vm_quit(vm, error);
}

/* Adds what the recipes need and is no device, each only once, and ports. */
static void add_backends(struct choice *choice, bool ports)
{
    for (guint i = 0; i < choice->recipes->len; i++) {
        const struct godwit_recipe *recipe = g_ptr_array_index(choice->recipes, i);
        for (guint a = 0; recipe->machine[a]; a += 2)
            if (strcmp(recipe->machine[a], "-device") != 0)
                godwit_recipe_add_option(choice->backends, recipe->machine[a],
                                         recipe->machine[a + 1]);
    }
    for (unsigned i = 0; ports && i < MIN(PORTS, choice->recipes->len); i++) {
        g_ptr_array_add(choice->backends, g_strdup("-device"));
        g_ptr_array_add(choice->backends,
                        g_strdup_printf("pcie-root-port,id=socket%u,chassis=%u,multifunction=on,"
                                        "addr=%x.%x",
                                        i, i + 1, FIRST_SLOT + i / 8, i % 8));
    }
}

/* Returns all arguments of a machine with the devices. The caller frees them. */
static char **arguments_of(const struct choice *choice)
{
    g_auto(GStrv) clock = godwit_plug_arguments(NULL, false);
    GPtrArray *arguments = g_ptr_array_new();
    for (guint i = 0; clock[i]; i++)
        g_ptr_array_add(arguments, g_strdup(clock[i]));
    for (guint i = 0; i < choice->backends->len; i++)
        g_ptr_array_add(arguments, g_strdup(g_ptr_array_index(choice->backends, i)));
    for (guint i = 0; i < choice->devices->len; i++) {
        g_ptr_array_add(arguments, g_strdup("-device"));
        g_ptr_array_add(arguments, g_strdup(g_ptr_array_index(choice->devices, i)));
    }
    g_ptr_array_add(arguments, NULL);
    return (char **)g_ptr_array_free(arguments, FALSE);
}

/* Sets *COUNT to the number of reasons that keep VM's machine from being migrated. */
static bool count_blockers(struct godwit_vm *vm, size_t *count, GError **error)
{
    g_autoptr(json_t) migration = godwit_vm_execute(vm, "query-migrate", NULL, error);
    *count = json_array_size(json_object_get(migration, "blocked-reasons"));
    return migration != NULL;
}

/* Plugs DEVICE, a value of -device with an id, where QEMU wants it or, if it is for PCI, in a port.
 * Sets *KEPT to whether it is plugged and migrates, and adds it to the devices if so. */
static bool add_device(struct godwit_vm *vm, struct choice *choice, const char *device, bool pci,
                       bool *kept, GError **error)
{
    size_t before, after;
    g_autofree char *line = g_strdup(device);
    g_autofree char *reason = NULL;
    g_autofree char *other = NULL;
    if (!count_blockers(vm, &before, error) || !godwit_plug_add(vm, line, kept, &reason, error))
        return false;
    if (!*kept && pci && choice->ports < PORTS) {
        g_free(line);
        line = g_strdup_printf("%s,bus=socket%u", device, choice->ports);
        if (!godwit_plug_add(vm, line, kept, &other, error))
            return false;
        choice->ports += *kept;
    }
    if (!*kept)
        return true;
    if (!count_blockers(vm, &after, error))
        return false;
    *kept = after == before;
    if (*kept)
        g_ptr_array_add(choice->devices, g_steal_pointer(&line));
    return true;
}

/* Plugs the device that makes a bus, if no other recipe has done so. Sets *THERE to whether it is
 * plugged. */
static bool add_provider(struct godwit_vm *vm, struct choice *choice, const char *provider,
                         bool *there, GError **error)
{
    gpointer value;
    if (g_hash_table_lookup_extended(choice->added, provider, NULL, &value)) {
        *there = GPOINTER_TO_INT(value);
        return true;
    }
    g_autofree char *name = g_strndup(provider, strcspn(provider, ","));
    g_autofree char *device =
        strstr(provider, ",id=")
            ? g_strdup(provider)
            : g_strdup_printf("%s,id=bus%u", provider, g_hash_table_size(choice->added));
    const struct godwit_device_type *type = find(choice, name);
    if (!add_device(vm, choice, device, type && !strcmp(type->bus, "PCI"), there, error))
        return false;
    g_hash_table_insert(choice->added, g_strdup(provider), GINT_TO_POINTER(*there));
    return true;
}

/* Plugs one recipe's device after the other into a machine, as far as they fit. */
static bool choose(struct godwit_vm *vm, struct choice *choice, GError **error)
{
    for (guint i = 0; i < choice->recipes->len; i++) {
        const struct godwit_recipe *recipe = g_ptr_array_index(choice->recipes, i);
        bool there = true;
        for (guint a = 0; there && recipe->machine[a]; a += 2)
            if (!strcmp(recipe->machine[a], "-device") &&
                !add_provider(vm, choice, recipe->machine[a + 1], &there, error))
                return false;
        if (there && !add_device(vm, choice, recipe->device, recipe->pci, &there, error)) {
            godwit_plug_crashed(vm, recipe->device, error);
            return false;
        }
        if (there)
            godwit_testbed_measure_item(vm->testbed, "devices", json_string(recipe->device));
    }
    return true;
}

/* Sets *EXPRESS to whether VM's machine can have ports: its root bus is PCI Express. */
static bool has_express(struct godwit_vm *vm, bool *express, GError **error)
{
    g_autofree char *tree = godwit_vm_monitor(vm, "info qtree", error);
    *express = tree && strstr(tree, "type PCIE\r\n");
    return tree != NULL;
}

/* Starts a machine with the backends and, if it can have them, ports. */
static struct godwit_vm *start(struct godwit_testbed *testbed, struct choice *choice,
                               const char *name, GError **error)
{
    bool express = false;
    g_auto(GStrv) plain = arguments_of(choice);
    struct godwit_vm *vm = godwit_plug_start(testbed, GODWIT_VM_SOURCE, plain, name, error);
    if (!vm || !has_express(vm, &express, error) || !godwit_vm_quit(vm, error))
        return NULL;
    add_backends(choice, express);
    g_auto(GStrv) arguments = arguments_of(choice);
    return godwit_plug_start(testbed, GODWIT_VM_SOURCE, arguments, name, error);
}

static bool migrate(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                    struct choice *choice, GError **error)
{
    struct godwit_spec spec = scenario->spec;
    struct godwit_vm *vm = ask(testbed, choice, scenario->data == NULL, error)
                               ? start(testbed, choice, scenario->name, error)
                               : NULL;
    if (!vm || !choose(vm, choice, error) || !godwit_vm_quit(vm, error))
        return false;
    g_auto(GStrv) arguments = arguments_of(choice);
    /* Another binary may not have all of the devices. */
    if (strcmp(testbed->setup->source->path, testbed->setup->destination->path) != 0 &&
        !godwit_plug_try(testbed, GODWIT_VM_DESTINATION_PAUSED, arguments, scenario->name, error))
        return false;
    godwit_device_spec(testbed, &spec, (const char *const *)arguments,
                       (const char *const *)arguments);
    g_autoptr(GError) cause = NULL;
    if (godwit_course_run(testbed, &spec, &cause))
        return true;
    godwit_device_explain(testbed, scenario->name, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct choice *choice = choice_new();
    const bool good = migrate(testbed, scenario, choice, error);
    choice_free(choice);
    return good;
}

GODWIT_SCENARIOS(devices) = {
    {
        .name = "devices/common",
        .summary = "the devices of an ordinary virtual machine, all at once",
        .slow = true,
        .run = run,
        .deadlines = 3,
        .order = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
        .spec = {.move = GODWIT_MOVE_STOPPED,
                 .configure = godwit_device_assign,
                 .judge = godwit_device_judge},
        .data = common,
    },
    {
        .name = "devices/many",
        .summary = "as many devices of the binary as fit into one machine at once",
        .run = run,
        .slow = true,
        .deadlines = 5,
        .order = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
        .spec = {.move = GODWIT_MOVE_STOPPED,
                 .configure = godwit_device_assign,
                 .judge = godwit_device_judge},
    },
};
GODWIT_SCENARIOS_END(devices);
