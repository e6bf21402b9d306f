/*
 * Reads the list of devices from the human monitor: QMP lists types of devices as well, but not
 * which of them a user can create, nor their bus.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/devices.h"

#include <string.h>

static void device_free(gpointer data)
{
    struct godwit_device_type *device = data;
    g_free(device->name);
    g_free(device->bus);
    g_free(device->category);
    g_free(device->alias);
    g_free(device);
}

/* Returns what follows KEY in a line `name "e1000", bus PCI, desc "..."`, up to a character of
 * STOP, or NULL. The caller frees it. */
static char *value_of(const char *line, const char *key, const char *stop)
{
    const char *at = strstr(line, key);
    return at ? g_strndup(at + strlen(key), strcspn(at + strlen(key), stop)) : NULL;
}

GPtrArray *godwit_device_types_parse(const char *text)
{
    static const char heading[] = " devices:";
    GPtrArray *devices = g_ptr_array_new_with_free_func(device_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *category = g_strdup("");
    for (guint i = 0; lines[i]; i++) {
        char *line = g_strchomp(lines[i]);
        if (g_str_has_suffix(line, heading)) {
            g_free(category);
            category = g_strndup(line, strlen(line) - strlen(heading));
        }
        /* A description may contain anything; what matters comes before it. */
        g_autofree char *head =
            g_strndup(line, strstr(line, ", desc \"") ? (gsize)(strstr(line, ", desc \"") - line)
                                                      : strlen(line));
        char *name = g_str_has_prefix(line, "name \"") ? value_of(line, "name \"", "\"") : NULL;
        if (!name || g_str_has_suffix(line, ", no-user")) {
            g_free(name);
            continue;
        }
        struct godwit_device_type *device = g_new0(struct godwit_device_type, 1);
        device->name = name;
        device->bus = value_of(head, ", bus ", ",");
        if (!device->bus)
            device->bus = g_strdup("");
        device->category = g_strdup(category);
        device->alias = value_of(head, ", alias \"", "\"");
        g_ptr_array_add(devices, device);
    }
    return devices;
}

GPtrArray *godwit_device_types_list(struct godwit_vm *vm, GError **error)
{
    g_autofree char *text = godwit_vm_monitor(vm, "info qdm", error);
    GPtrArray *devices = text ? godwit_device_types_parse(text) : NULL;
    if (devices && devices->len)
        return devices;
    if (devices) {
        g_ptr_array_unref(devices);
        godwit_fail(error, GODWIT_ERROR_QMP, "%s: \"info qdm\" lists no devices", vm->name);
    }
    return NULL;
}

const struct godwit_device_type *godwit_device_types_find(const GPtrArray *devices,
                                                          const char *name)
{
    for (guint i = 0; i < devices->len; i++) {
        const struct godwit_device_type *device = g_ptr_array_index(devices, i);
        if (!strcmp(device->name, name))
            return device;
    }
    return NULL;
}
