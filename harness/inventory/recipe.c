/*
 * Recipes, as tables: of buses, of properties that refer to a backend, and of what some devices
 * need beside that. A property's name says which backend it refers to, so that a device of a future
 * QEMU needs no row of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/recipe.h"

#include <string.h>

/* Most devices that make a bus are plugged into PCI. */
struct bus {
    const char *bus;          /* of the device */
    const char *providers[3]; /* -device, in this order; NULL-terminated */
    const char *name;         /* for bus=; NULL: QEMU finds one by its type */
};

static const struct bus buses[] = {
    {"usb-bus", {"qemu-xhci"}, NULL},
    {"SCSI", {"virtio-scsi"}, NULL},
    {"IDE", {"ich9-ahci,id=ahci"}, "ahci.0"},
    {"HDA", {"intel-hda"}, NULL},
    {"ccid-bus", {"qemu-xhci", "usb-ccid"}, NULL},
    {"virtio-serial-bus", {"virtio-serial"}, NULL},
    {"sd-bus", {"sdhci-pci"}, NULL},
    {"floppy-bus", {"isa-fdc"}, NULL},
    {"nvme-bus", {"nvme,serial=godwit"}, NULL},
    {"vmbus", {"vmbus-bridge"}, NULL},
};

/* A property that refers to a backend, or that QEMU insists on. */
struct property {
    const char *name;
    const char *option, *backend; /* the option that makes it; NULL: none */
    const char *value;
};

static const struct property backends[] = {
    {"netdev", "-netdev", "hubport,id=net,hubid=0", "net"},
    {"chardev", "-chardev", "null,id=chr", "chr"},
    {"drive", "-blockdev",
     "{\"driver\":\"null-co\",\"node-name\":\"disk\",\"size\":67108864,\"read-zeroes\":true}",
     "disk"},
    {"audiodev", "-audiodev", "none,id=audio", "audio"},
    {"memdev", "-object", "memory-backend-ram,id=mem,size=16M", "mem"},
    {"rng", "-object", "rng-builtin,id=rng", "rng"},
    {"cryptodev", "-object", "cryptodev-backend-builtin,id=crypto", "crypto"},
    {"canbus0", "-object", "can-bus,id=can", "can"},
    {"canbus", "-object", "can-bus,id=can", "can"},
    {"bmc", "-device", "ipmi-bmc-sim,id=bmc", "bmc"},
    {"fsdev", "-fsdev", "local,id=fs,path=.,security_model=none", "fs"},
    {"mount_tag", NULL, NULL, "godwit"},
    {"chassis_nr", NULL, NULL, "9"},
    {"rootdir", NULL, NULL, "."},
};

/* What a device needs beside that, or must not have. */
struct special {
    const char *device;
    const char *arguments[8]; /* before -device; NULL-terminated */
    const char *properties;   /* appended to -device; NULL: none */
    const char *leave_out;    /* of the table of properties; NULL: none */
};

static const struct special specials[] = {
    {"pc-dimm", {"-m", "slots=4,maxmem=1G"}, NULL, NULL},
    {"nvdimm", {"-m", "slots=4,maxmem=1G", "-machine", "nvdimm=on"}, NULL, NULL},
    {"virtio-mem-pci", {"-m", "slots=4,maxmem=1G"}, NULL, NULL},
    {"virtio-pmem-pci", {"-m", "slots=4,maxmem=1G"}, NULL, NULL},
    {"nvme", {NULL}, "serial=godwit", NULL},
    {"pcie-root-port", {NULL}, "chassis=9", NULL},
    {"ioh3420", {NULL}, "chassis=9", NULL},
    {"x3130-upstream", {"-device", "pcie-root-port,id=above,chassis=8"}, "bus=above", NULL},
    {"xio3130-downstream",
     {"-device", "pcie-root-port,id=above,chassis=8", "-device", "x3130-upstream,id=up,bus=above"},
     "bus=up,chassis=9",
     NULL},
    {"pxb-cxl", {"-machine", "cxl=on"}, "bus_nr=64", NULL},
    {"pxb", {NULL}, "bus_nr=64", NULL},
    {"pxb-pcie", {NULL}, "bus_nr=64", NULL},
    /* Waits for a server at the other end. */
    {"ivshmem-doorbell", {NULL}, NULL, "chardev"},
};

static const struct special *special_of(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(specials); i++)
        if (!strcmp(specials[i].device, name))
            return &specials[i];
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
static bool is_left_out(const char *device, const struct special *special, const char *property)
{
    /* There is no vhost-user process at the other end, and QEMU 7.2 aborts when it finds out. */
    if (g_str_has_prefix(device, "vhost-user") && !strcmp(property, "chardev"))
        return true;
    return special && !g_strcmp0(special->leave_out, property);
}

/* Appends a copy of each word up to NULL. */
static void add_words(GPtrArray *arguments, const char *const *words)
{
    for (; *words; words++)
        g_ptr_array_add(arguments, g_strdup(*words));
}

static void add_bus(GPtrArray *arguments, GString *device, const char *bus)
{
    for (size_t i = 0; i < G_N_ELEMENTS(buses); i++) {
        if (strcmp(buses[i].bus, bus) != 0)
            continue;
        for (size_t p = 0; buses[i].providers[p]; p++)
            add_words(arguments, (const char *const[]){"-device", buses[i].providers[p], NULL});
        if (buses[i].name)
            g_string_append_printf(device, ",bus=%s", buses[i].name);
    }
}

char **godwit_recipe(const struct godwit_device_type *device, const json_t *properties)
{
    GPtrArray *arguments = g_ptr_array_new();
    g_autoptr(GString) line = g_string_new(device->name);
    g_string_replace(line, ",", ",,", 0); /* a comma in a name must not end it */
    const struct special *special = special_of(device->name);
    g_string_append(line, ",id=" GODWIT_RECIPE_ID);
    add_bus(arguments, line, device->bus);
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        const struct property *property = &backends[i];
        if (!has_property(properties, property->name) ||
            is_left_out(device->name, special, property->name))
            continue;
        if (property->option)
            add_words(arguments, (const char *const[]){property->option, property->backend, NULL});
        g_string_append_printf(line, ",%s=%s", property->name, property->value);
    }
    if (special) {
        add_words(arguments, special->arguments);
        if (special->properties)
            g_string_append_printf(line, ",%s", special->properties);
    }
    add_words(arguments, (const char *const[]){"-device", line->str, NULL});
    g_ptr_array_add(arguments, NULL);
    return (char **)g_ptr_array_free(arguments, FALSE);
}
