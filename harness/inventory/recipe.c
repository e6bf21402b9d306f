/*
 * Recipes, as tables: of buses, of properties that refer to a backend, of other machines, and of
 * what some devices need beside that. A property's name says which backend it refers to, so that a
 * device of a future QEMU needs no row of its own. A row that names a device or a machine that this
 * binary lacks does not apply, so that no row asks for an architecture.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/recipe.h"

#include "testbed/vm.h"
#include <string.h>

/* Most devices that make a bus are plugged into PCI. */
struct bus {
    const char *bus;          /* of the device */
    const char *providers[3]; /* -device, in this order; NULL-terminated */
    const char *properties;   /* appended to the device's -device; NULL: QEMU finds the bus by its
                                 type, and nothing else is needed */
};

/* The first row of a bus whose providers this binary has applies. */
static const struct bus buses[] = {
    {"usb-bus", {"qemu-xhci"}, NULL},
    {"SCSI", {"virtio-scsi"}, NULL},
    {"IDE", {"ich9-ahci,id=ahci"}, "bus=ahci.0"},
    {"HDA", {"intel-hda"}, NULL},
    {"ccid-bus", {"qemu-xhci", "usb-ccid"}, NULL},
    {"virtio-serial-bus", {"virtio-serial"}, NULL},
    {"sd-bus", {"sdhci-pci"}, NULL},
    {"floppy-bus", {"i82378", "isa-fdc"}, NULL},
    {"floppy-bus", {"isa-fdc"}, NULL},
    {"nvme-bus", {"nvme,serial=godwit"}, NULL},
    {"ufs-bus", {"ufs,serial=godwit"}, NULL},
    {"vmbus", {"vmbus-bridge"}, NULL},
    {"IndustryPack", {"tpci200"}, NULL},
    /* A display adapter with a DDC, which is I2C. Its own monitor answers at 0x50. */
    {"i2c-bus", {"ati-vga"}, "address=0x20"},
    /* The bridge of a PReP machine, which only ppc64 has. */
    {"ISA", {"i82378"}, NULL},
};

/* Machines that have a bus that no device provides, or a device's other half. */
struct board {
    const char *bus;    /* of the device ... */
    const char *device; /* ... or the device itself; NULL: any on that bus */
    const char *machine;
    const char *arguments[2]; /* that it insists on */
};

static const struct board boards[] = {
    {"SSI", NULL, "netduino2", {NULL}},
    {"SSI", NULL, "powernv10", {NULL}},
    {"SSI", NULL, "sifive_u", {NULL}},
    {"fsi.bus", NULL, "ast2600-evb", {NULL}},
    {"fsi.lbus", NULL, "ast2600-evb", {NULL}},
    {"opb", NULL, "ast2600-evb", {NULL}},
    {"aux-bus", NULL, "xlnx-zcu102", {"-audio", "none"}},
    {"apple-desktop-bus", NULL, "g3beige", {NULL}},
    {"System", "eTSEC", "ppce500", {NULL}},
    /* q35 and pc plug virtio devices into PCI only: there these are a part of virtio-NAME-pci. */
    {"virtio-bus", NULL, "microvm", {NULL}},
};

/* A property that refers to a backend, or that QEMU insists on. */
struct property {
    const char *name;
    const char *option;  /* that makes the backend; NULL: none */
    const char *backend; /* its value, up to the backend's id */
    const char *rest;    /* ... and after it */
    const char *value;   /* of the property: with a backend its id, which gets the recipe's number;
                          NULL: the row only adds an option that the next row's backend needs */
    bool shared;         /* another property has made the backend */
};

static const struct property backends[] = {
    {"netdev", "-netdev", "hubport,hubid=0,id=", "", "net", false},
    {"chardev", "-chardev", "null,id=", "", "chr", false},
    {"drive", "-blockdev", "null-co,size=67108864,read-zeroes=on,node-name=", "", "null", false},
    {"audiodev", "-audiodev", "none,id=", "", "audio", false},
    {"memdev", "-object", "memory-backend-ram,size=16M,id=", "", "mem", false},
    {"rng", "-object", "rng-builtin,id=", "", "rng", false},
    {"cryptodev", "-object", "cryptodev-backend-builtin,id=", "", "crypto", false},
    {"tpmdev", "-chardev", GODWIT_SWTPM_CHARDEV, "", NULL, false},
    {"tpmdev", "-tpmdev", "emulator,chardev=swtpm,id=", "", "tpm", false},
    {"iothread", "-object", "iothread,id=", "", "thread", false},
    {"canbus0", "-object", "can-bus,id=", "", "can", false},
    {"canbus1", NULL, NULL, NULL, "can", true},
    {"canbus", "-object", "can-bus,id=", "", "can", false},
    {"bmc", "-device", "ipmi-bmc-sim,id=", "", "bmc", false},
    {"fsdev", "-fsdev", "local,id=", ",path=.,security_model=none", "fs", false},
    {"mount_tag", NULL, NULL, NULL, "godwit", true},
    {"chassis_nr", NULL, NULL, NULL, "9", false},
    {"rootdir", NULL, NULL, NULL, "/", false},
    /* Chip select 0 of a board has the flash memory that it boots from. */
    {"cs", NULL, NULL, NULL, "1", false},
};

/* What a device needs beside that, or must not have. */
struct special {
    const char *device;
    const char *arguments[8]; /* before -device; NULL-terminated */
    const char *properties;   /* appended to -device; NULL: none */
    const char *leave_out;    /* of the table of properties; NULL: none */
};

/* Room for memory to be plugged. pseries takes it by 256 MiB, and the label of an nvdimm, 128 KiB,
 * does not count. */
#define ROOM "-m", "slots=4,maxmem=1G"
#define DIMM ROOM, "-object", "memory-backend-ram,id=dimm,size=256M"
#define NVDIMM                                                                                     \
    ROOM, "-machine", "nvdimm=on", "-object",                                                      \
        "memory-backend-file,id=dimm,size=262272K,mem-path=nvdimm.memory"
#define NVDIMM_LABEL "memdev=dimm,label-size=128K,uuid=75a3cdd7-6a2f-4791-8d15-fe0a920e8e9e"

static const struct special specials[] = {
    {"pc-dimm", {DIMM}, "memdev=dimm", "memdev"},
    {"nvdimm", {NVDIMM}, NVDIMM_LABEL, "memdev"},
    {"spapr-nvdimm", {NVDIMM}, NVDIMM_LABEL, "memdev"},
    {"virtio-mem-pci", {ROOM}, NULL, NULL},
    {"virtio-pmem-pci", {ROOM}, NULL, NULL},
    {"virtio-mem", {ROOM}, NULL, NULL},
    {"virtio-pmem", {ROOM}, NULL, NULL},
    {"virtio-mem-ccw", {ROOM}, NULL, NULL},
    {"nvme", {NULL}, "serial=godwit", NULL},
    {"pcie-root-port", {NULL}, "chassis=9", NULL},
    {"ioh3420", {NULL}, "chassis=9", NULL},
    {"x3130-upstream", {"-device", "pcie-root-port,id=above,chassis=8"}, "bus=above", NULL},
    {"xio3130-downstream",
     {"-device", "pcie-root-port,id=above,chassis=8", "-device", "x3130-upstream,id=up,bus=above"},
     "bus=up,chassis=9",
     NULL},
    {"pxb-cxl", {"-machine", "cxl=on"}, "bus_nr=64", NULL},
    /* Not for PCI Express, which q35 has. */
    {"pxb", {"-machine", "pc"}, "bus_nr=64", NULL},
    {"pxb-pcie", {NULL}, "bus_nr=64", NULL},
    /* Waits for a server at the other end. */
    {"ivshmem-doorbell", {NULL}, NULL, "chardev"},
    /* A peer cannot be migrated, the master can. */
    {"ivshmem-plain", {NULL}, "master=on", NULL},
    {"hv-syndbg", {"-device", "vmbus-bridge"}, NULL, NULL},
    {"vmmouse", {"-device", "i8042,id=keyboard"}, "i8042=keyboard", NULL},
    {"loader", {NULL}, "addr=0x1000,data=0,data-len=1", NULL},
    {"at24c-eeprom", {NULL}, NULL, "drive"}, /* which must have the size of the chip */
    {"led", {NULL}, "color=green", NULL},
    {"nand", {NULL}, "manufacturer_id=0xec,chip_id=0xf1", "drive"},
};

static bool is_type(const struct godwit_offer *offer, const char *provider)
{
    g_autofree char *name = g_strndup(provider, strcspn(provider, ","));
    for (guint i = 0; offer->types && i < offer->types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(offer->types, i);
        if (!strcmp(type->name, name) || !g_strcmp0(type->alias, name))
            return true;
    }
    return false;
}

static bool is_machine(const struct godwit_offer *offer, const char *name)
{
    size_t i;
    const json_t *machine;
    json_array_foreach(offer->machines, i, machine)
    {
        if (!strcmp(godwit_json_string(machine, "name", ""), name))
            return true;
    }
    return false;
}

static const struct special *special_of(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(specials); i++)
        if (!strcmp(specials[i].device, name))
            return &specials[i];
    return NULL;
}

static const struct board *board_of(const struct godwit_device_type *device,
                                    const struct godwit_offer *offer)
{
    for (size_t i = 0; i < G_N_ELEMENTS(boards); i++)
        if (!strcmp(boards[i].bus, device->bus) &&
            (!boards[i].device || !strcmp(boards[i].device, device->name)) &&
            is_machine(offer, boards[i].machine))
            return &boards[i];
    return NULL;
}

static bool has_property(const json_t *properties, const char *name)
{
    size_t i;
    const json_t *property;
    json_array_foreach(properties, i, property)
    {
        if (!strcmp(godwit_json_string(property, "name", ""), name))
            return true;
    }
    return false;
}

/* Returns whether the device does better without that property. */
static bool is_left_out(const struct godwit_device_type *device, const struct special *special,
                        const char *property)
{
    /* There is no vhost-user process at the other end, and QEMU 7.2 aborts when it finds out. */
    if (g_str_has_prefix(device->name, "vhost-user") && !strcmp(property, "chardev"))
        return true;
    /* A flash memory has a size of its own, and contents of its own without a drive. */
    if (!strcmp(device->bus, "SSI") && !strcmp(property, "drive"))
        return true;
    return special && !g_strcmp0(special->leave_out, property);
}

/* Appends a copy of each word up to NULL. */
static void add_words(GPtrArray *arguments, const char *const *words)
{
    for (; *words; words++)
        g_ptr_array_add(arguments, g_strdup(*words));
}

static bool are_types(const struct godwit_offer *offer, const char *const *providers)
{
    for (; *providers; providers++)
        if (!is_type(offer, *providers))
            return false;
    return true;
}

static const struct bus *bus_of(const struct godwit_device_type *device,
                                const struct godwit_offer *offer)
{
    for (size_t i = 0; i < G_N_ELEMENTS(buses); i++)
        if (!strcmp(buses[i].bus, device->bus) && are_types(offer, buses[i].providers))
            return &buses[i];
    return NULL;
}

static void add_bus(GPtrArray *arguments, GString *device, const struct bus *bus)
{
    for (size_t p = 0; bus->providers[p]; p++)
        add_words(arguments, (const char *const[]){"-device", bus->providers[p], NULL});
    if (bus->properties)
        g_string_append_printf(device, ",%s", bus->properties);
}

static void add_backends(GPtrArray *arguments, GString *line,
                         const struct godwit_device_type *device, const struct special *special,
                         const json_t *properties, const char *number)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        const struct property *property = &backends[i];
        if (!has_property(properties, property->name) ||
            is_left_out(device, special, property->name))
            continue;
        if (!property->value) {
            add_words(arguments, (const char *const[]){property->option, property->backend, NULL});
            continue;
        }
        g_autofree char *value =
            g_strconcat(property->value, property->option || property->shared ? number : "", NULL);
        g_string_append_printf(line, ",%s=%s", property->name, value);
        if (property->option) {
            g_ptr_array_add(arguments, g_strdup(property->option));
            g_ptr_array_add(arguments, g_strconcat(property->backend, value, property->rest, NULL));
        }
    }
}

struct godwit_recipe *godwit_recipe_new(const struct godwit_device_type *device,
                                        const json_t *properties, const struct godwit_offer *offer,
                                        unsigned number)
{
    g_autofree char *suffix = number ? g_strdup_printf("%u", number) : g_strdup("");
    GPtrArray *arguments = g_ptr_array_new();
    GString *line = g_string_new(device->name);
    g_string_replace(line, ",", ",,", 0); /* a comma in a name must not end it */
    const struct special *special = special_of(device->name);
    const struct board *board = board_of(device, offer);
    g_string_append_printf(line, ",id=" GODWIT_RECIPE_ID "%s", suffix);
    if (board)
        add_words(arguments, (const char *const[]){"-M", board->machine, board->arguments[0],
                                                   board->arguments[1], NULL});
    const struct bus *bus = bus_of(device, offer);
    if (bus)
        add_bus(arguments, line, bus);
    add_backends(arguments, line, device, special, properties, suffix);
    if (special) {
        add_words(arguments, special->arguments);
        if (special->properties)
            g_string_append_printf(line, ",%s", special->properties);
    }
    g_ptr_array_add(arguments, NULL);
    struct godwit_recipe *recipe = g_new0(struct godwit_recipe, 1);
    recipe->machine = (char **)g_ptr_array_free(arguments, FALSE);
    recipe->pci = !strcmp(device->bus, "PCI") && !strstr(line->str, ",bus=");
    recipe->device = g_string_free(line, FALSE);
    recipe->board = board ? g_strdup(board->machine) : NULL;
    return recipe;
}

void godwit_recipe_add_option(GPtrArray *arguments, const char *option, const char *value)
{
    for (guint i = 0; i + 1 < arguments->len; i += 2)
        if (!strcmp(g_ptr_array_index(arguments, i), option) &&
            !strcmp(g_ptr_array_index(arguments, i + 1), value))
            return;
    add_words(arguments, (const char *const[]){option, value, NULL});
}

struct godwit_recipe *godwit_recipe_join(const GPtrArray *recipes)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func(g_free);
    const struct godwit_recipe *last = NULL;
    for (guint r = 0; r < recipes->len; r++) {
        const struct godwit_recipe *recipe = g_ptr_array_index(recipes, r);
        if (last)
            add_words(arguments, (const char *const[]){"-device", last->device, NULL});
        last = recipe;
        if (recipe->board || g_strv_contains((const char *const *)recipe->machine, "-machine") ||
            g_strv_contains((const char *const *)recipe->machine, "-m"))
            return NULL;
        for (guint i = 0; recipe->machine[i]; i += 2)
            godwit_recipe_add_option(arguments, recipe->machine[i], recipe->machine[i + 1]);
    }
    struct godwit_recipe *joined = g_new0(struct godwit_recipe, 1);
    g_ptr_array_add(arguments, NULL);
    g_ptr_array_set_free_func(arguments, NULL);
    joined->machine = (char **)g_ptr_array_free(g_steal_pointer(&arguments), FALSE);
    joined->device = g_strdup(last->device);
    return joined;
}

void godwit_recipe_add_arguments(struct godwit_recipe *recipe, const char *const *arguments)
{
    const guint count = g_strv_length(recipe->machine);
    const guint more = arguments ? g_strv_length((char **)arguments) : 0;
    recipe->machine = g_renew(char *, recipe->machine, count + more + 1);
    for (guint i = 0; i < more; i++)
        recipe->machine[count + i] = g_strdup(arguments[i]);
    recipe->machine[count + more] = NULL;
}

bool godwit_recipe_use_port(struct godwit_recipe *recipe)
{
    static const char *const port[] = {"-device", "pcie-root-port,id=socket,chassis=7", NULL};
    if (!recipe->pci)
        return false;
    recipe->pci = false;
    godwit_recipe_add_arguments(recipe, port);
    char *device = g_strconcat(recipe->device, ",bus=socket", NULL);
    g_free(recipe->device);
    recipe->device = device;
    return true;
}

json_t *godwit_recipe_to_json(const struct godwit_recipe *recipe)
{
    json_t *arguments = json_array();
    for (guint i = 0; recipe->machine[i]; i++)
        json_array_append_new(arguments, json_string(recipe->machine[i]));
    return json_pack("{s:o, s:s, s:s*, s:b}", "machine", arguments, "device", recipe->device,
                     "board", recipe->board, "pci", recipe->pci);
}

struct godwit_recipe *godwit_recipe_from_json(const json_t *json)
{
    const json_t *arguments = json_object_get(json, "machine");
    const char *device = godwit_json_string(json, "device", NULL);
    if (!device || !json_is_array(arguments))
        return NULL;
    struct godwit_recipe *recipe = g_new0(struct godwit_recipe, 1);
    recipe->machine = g_new0(char *, json_array_size(arguments) + 1);
    for (size_t i = 0; i < json_array_size(arguments); i++) {
        const char *argument = json_string_value(json_array_get(arguments, i));
        recipe->machine[i] = g_strdup(argument ? argument : "");
    }
    recipe->device = g_strdup(device);
    recipe->board = g_strdup(godwit_json_string(json, "board", NULL));
    recipe->pci = godwit_json_true(json, "pci");
    return recipe;
}

void godwit_recipe_free(struct godwit_recipe *recipe)
{
    if (!recipe)
        return;
    g_strfreev(recipe->machine);
    g_free(recipe->device);
    g_free(recipe->board);
    g_free(recipe);
}
