/*
 * Reads the devices from the QOM tree (`qom-list`, `qom-get`) and the PCI functions from
 * `query-pci`, and links the two.
 *
 * The link is made by place, since `query-pci` has the ID of a device only if the user gave one. A
 * device knows the path of its bus and its place on it. A bus is a child of its bridge, and the
 * bridge's function knows the bus's number. A bus without a bridge is a root: that of an expander
 * ("pxb") is named after the expander, which knows the number, and the machine's own has number 0.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/qtree.h"

#include <string.h>

/* The deepest level, and the most objects, that are read of a QOM tree. Real ones have 6 levels and
 * some hundred objects. */
#define LEVELS_MAX  20
#define OBJECTS_MAX 20000

struct reader {
    godwit_qtree_execute execute;
    gpointer vm;
    struct godwit_qtree *qtree;
    unsigned objects;
};

static void device_clear(gpointer data)
{
    struct godwit_device *device = data;
    g_free(device->path);
    g_free(device->type);
    g_free(device->bus);
}

static int by_path(gconstpointer one, gconstpointer other)
{
    return strcmp(((const struct godwit_device *)one)->path,
                  ((const struct godwit_device *)other)->path);
}

static unsigned place(const struct godwit_pci_function *function)
{
    return (unsigned)function->bus << 8 | (unsigned)function->slot << 3 | function->function;
}

static int by_place(gconstpointer one, gconstpointer other)
{
    return (int)place(one) - (int)place(other);
}

static int by_number(gconstpointer one, gconstpointer other)
{
    return *(const uint8_t *)one - *(const uint8_t *)other;
}

static json_t *get(const struct reader *reader, const char *path, const char *property,
                   GError **error)
{
    return reader->execute(reader->vm, "qom-get",
                           json_pack("{s:s, s:s}", "path", path, "property", property), error);
}

/* Adds the device PATH. Its property "addr", if it HAS_ADDR, is a number only on a PCI bus. (The
 * type of "addr" in `qom-list` does not help: "int32" in QEMU 7.2, "str" in 10.0.) */
static bool add_device(const struct reader *reader, const char *path, bool has_addr, GError **error)
{
    g_autoptr(json_t) type = get(reader, path, "type", error);
    g_autoptr(json_t) bus = type ? get(reader, path, "parent_bus", error) : NULL;
    g_autoptr(json_t) addr = bus && has_addr ? get(reader, path, "addr", error) : NULL;
    if (!bus || (has_addr && !addr))
        return false;
    if (!json_is_string(type) || !json_is_string(bus))
        return godwit_fail(error, GODWIT_ERROR_QMP,
                           "qom-get: type and parent_bus of %.200s are not text", path);
    const char *parent = json_string_value(bus);
    const json_int_t number = json_is_integer(addr) ? json_integer_value(addr) : -1;
    const struct godwit_device device = {
        .path = g_strdup(path),
        .type = g_strdup(json_string_value(type)),
        .bus = *parent ? g_strdup(parent) : NULL,
        .pci_addr = number >= 0 && number < 256 ? (int)number : -1,
    };
    g_array_append_val(reader->qtree->devices, device);
    return true;
}

/* Returns whether a child of that type can have devices below it. Thousands of objects cannot. */
static bool is_of_interest(const char *type)
{
    return g_str_has_prefix(type, "child<") && !strstr(type, "memory-region") &&
           strcmp(type, "child<irq>") != 0;
}

/* Reads the object PATH and all objects below it. */
static bool read_objects(struct reader *reader, const char *path, unsigned level, GError **error)
{
    if (level > LEVELS_MAX || ++reader->objects > OBJECTS_MAX)
        return godwit_fail(error, GODWIT_ERROR_QMP, "qom-list: the tree is endless, at %.200s",
                           path);
    g_autoptr(json_t) list =
        reader->execute(reader->vm, "qom-list", json_pack("{s:s}", "path", path), error);
    if (!list)
        return false;
    bool is_device = false, has_addr = false;
    size_t i;
    json_t *property;
    json_array_foreach(list, i, property)
    {
        const char *name = godwit_json_string(property, "name", "");
        const char *type = godwit_json_string(property, "type", "");
        is_device = is_device || !strcmp(name, "parent_bus");
        has_addr = has_addr || !strcmp(name, "addr");
        g_autofree char *child = g_strconcat(path, "/", name, NULL);
        if (is_of_interest(type) && !read_objects(reader, child, level + 1, error))
            return false;
    }
    return !is_device || add_device(reader, path, has_addr, error);
}

static bool read_bar(const json_t *region, struct godwit_pci_function *function)
{
    const json_int_t index = godwit_json_integer(region, "bar", -1);
    const json_int_t size = godwit_json_integer(region, "size", -1);
    const char *type = godwit_json_string(region, "type", "");
    if (index < 0 || index > GODWIT_BAR_ROM || size <= 0 ||
        (strcmp(type, "io") != 0 && strcmp(type, "memory") != 0))
        return false;
    struct godwit_bar *bar = &function->bars[index];
    bar->size = (uint64_t)size;
    /* -1: not mapped */
    bar->address = (uint64_t)godwit_json_integer(region, "address", -1);
    bar->io = !strcmp(type, "io");
    bar->wide = godwit_json_true(region, "mem_type_64");
    bar->prefetchable = godwit_json_true(region, "prefetch");
    return true;
}

static bool read_function(const json_t *entry, struct godwit_pci_function *function)
{
    const json_t *id = json_object_get(entry, "id");
    const json_t *bridge = json_object_get(entry, "pci_bridge");
    const struct {
        json_int_t value, most;
    } numbers[] = {
        {godwit_json_integer(entry, "bus", -1), 255},
        {godwit_json_integer(entry, "slot", -1), 31},
        {godwit_json_integer(entry, "function", -1), 7},
        {godwit_json_integer(id, "vendor", -1), UINT16_MAX},
        {godwit_json_integer(id, "device", -1), UINT16_MAX},
        {godwit_json_integer(json_object_get(entry, "class_info"), "class", -1), UINT16_MAX},
        {godwit_json_integer(json_object_get(bridge, "bus"), "secondary", bridge ? -1 : 0), 255},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].value < 0 || numbers[i].value > numbers[i].most)
            return false;
    function->bus = (uint8_t)numbers[0].value;
    function->slot = (uint8_t)numbers[1].value;
    function->function = (uint8_t)numbers[2].value;
    function->vendor = (uint16_t)numbers[3].value;
    function->device = (uint16_t)numbers[4].value;
    function->class = (uint16_t)numbers[5].value;
    function->bridge = bridge != NULL;
    function->secondary = (uint8_t)numbers[6].value;
    size_t i;
    json_t *region;
    json_array_foreach(json_object_get(entry, "regions"), i, region)
    {
        if (!read_bar(region, function))
            return false;
    }
    return true;
}

/* Reads the functions of ENTRIES and those behind their bridges. */
static bool read_functions(struct godwit_qtree *qtree, const json_t *entries, unsigned level,
                           GError **error)
{
    size_t i;
    json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        struct godwit_pci_function function = {0};
        if (level > LEVELS_MAX || !read_function(entry, &function)) {
            g_autofree char *shown = godwit_json_dump(entry, JSON_COMPACT);
            return godwit_fail(error, GODWIT_ERROR_QMP, "query-pci: cannot read \"%.200s\"", shown);
        }
        g_array_append_val(qtree->functions, function);
        const json_t *bridge = json_object_get(entry, "pci_bridge");
        if (!read_functions(qtree, json_object_get(bridge, "devices"), level + 1, error))
            return false;
    }
    return true;
}

/* Reads the PCI functions. A machine without PCI has none. */
static bool read_pci(const struct reader *reader, GError **error)
{
    g_autoptr(json_t) buses = reader->execute(reader->vm, "query-pci", NULL, error);
    if (!buses)
        return false;
    size_t i;
    json_t *bus;
    json_array_foreach(buses, i, bus)
    {
        const json_int_t number = godwit_json_integer(bus, "bus", -1);
        if (number < 0 || number > 255)
            return godwit_fail(error, GODWIT_ERROR_QMP, "query-pci: a bus without a number");
        const uint8_t root = (uint8_t)number;
        g_array_append_val(reader->qtree->roots, root);
        if (!read_functions(reader->qtree, json_object_get(bus, "devices"), 0, error))
            return false;
    }
    return true;
}

static const struct godwit_device *find_device(const struct godwit_qtree *qtree, const char *path)
{
    for (guint i = 0; i < qtree->devices->len; i++) {
        const struct godwit_device *device =
            &g_array_index(qtree->devices, struct godwit_device, i);
        if (!strcmp(device->path, path))
            return device;
    }
    return NULL;
}

static struct godwit_pci_function *find_function(const struct godwit_qtree *qtree, unsigned wanted)
{
    for (guint i = 0; i < qtree->functions->len; i++) {
        struct godwit_pci_function *function =
            &g_array_index(qtree->functions, struct godwit_pci_function, i);
        if (place(function) == wanted)
            return function;
    }
    return NULL;
}

/* Returns the number of the PCI bus with that path, or -1 if it has none yet. */
static int number_of(const struct reader *reader, const char *bus, unsigned level)
{
    g_autofree char *owner = g_path_get_dirname(bus);
    const struct godwit_device *bridge = find_device(reader->qtree, owner);
    if (bridge && bridge->pci_addr >= 0 && bridge->bus) {
        const int above = level < LEVELS_MAX ? number_of(reader, bridge->bus, level + 1) : -1;
        const struct godwit_pci_function *function =
            above < 0
                ? NULL
                : find_function(reader->qtree, (unsigned)above << 8 | (unsigned)bridge->pci_addr);
        return function && function->secondary ? function->secondary : -1;
    }
    g_autofree char *name = g_path_get_basename(bus);
    g_autofree char *expander = g_strconcat("/machine/peripheral/", name, NULL);
    g_autoptr(json_t) number =
        find_device(reader->qtree, expander) ? get(reader, expander, "bus_nr", NULL) : NULL;
    if (json_is_integer(number))
        return (int)CLAMP(json_integer_value(number), 0, 255);
    return g_str_has_prefix(name, "pci") ? 0 : -1;
}

/* Links each PCI function to its device. */
static void link_functions(const struct reader *reader)
{
    const GArray *devices = reader->qtree->devices;
    for (guint i = 0; i < devices->len; i++) {
        const struct godwit_device *device = &g_array_index(devices, struct godwit_device, i);
        const int bus =
            device->pci_addr >= 0 && device->bus ? number_of(reader, device->bus, 0) : -1;
        struct godwit_pci_function *function =
            bus < 0 ? NULL
                    : find_function(reader->qtree, (unsigned)bus << 8 | (unsigned)device->pci_addr);
        if (function)
            function->path = device->path;
    }
}

static struct godwit_qtree *read_tree(godwit_qtree_execute execute, gpointer vm, bool devices,
                                      GError **error)
{
    struct godwit_qtree *qtree = g_new0(struct godwit_qtree, 1);
    qtree->devices = g_array_new(FALSE, TRUE, sizeof(struct godwit_device));
    g_array_set_clear_func(qtree->devices, device_clear);
    qtree->functions = g_array_new(FALSE, TRUE, sizeof(struct godwit_pci_function));
    qtree->roots = g_array_new(FALSE, TRUE, sizeof(uint8_t));
    struct reader reader = {execute, vm, qtree, 0};
    if ((devices && !read_objects(&reader, "/machine", 0, error)) || !read_pci(&reader, error)) {
        godwit_qtree_free(qtree);
        return NULL;
    }
    g_array_sort(qtree->devices, by_path);
    g_array_sort(qtree->functions, by_place);
    g_array_sort(qtree->roots, by_number);
    link_functions(&reader);
    return qtree;
}

struct godwit_qtree *godwit_qtree_read(godwit_qtree_execute execute, gpointer vm, GError **error)
{
    return read_tree(execute, vm, true, error);
}

struct godwit_qtree *godwit_qtree_read_pci(godwit_qtree_execute execute, gpointer vm,
                                           GError **error)
{
    return read_tree(execute, vm, false, error);
}

void godwit_qtree_free(struct godwit_qtree *qtree)
{
    if (!qtree)
        return;
    g_array_unref(qtree->devices);
    g_array_unref(qtree->functions);
    g_array_unref(qtree->roots);
    g_free(qtree);
}

const struct godwit_pci_function *godwit_qtree_function(const struct godwit_qtree *qtree,
                                                        unsigned bus, unsigned slot,
                                                        unsigned function)
{
    return find_function(qtree, bus << 8 | slot << 3 | function);
}

const struct godwit_pci_function *godwit_qtree_find(const struct godwit_qtree *qtree,
                                                    uint16_t vendor, uint16_t device)
{
    for (guint i = qtree->functions->len; i > 0; i--) {
        const struct godwit_pci_function *function =
            &g_array_index(qtree->functions, struct godwit_pci_function, i - 1);
        if (function->vendor == vendor && function->device == device)
            return function;
    }
    return NULL;
}
