/*
 * Where a machine has registers: the configuration space of its PCI functions, the ranges of memory
 * and of ports that lead to a device. QEMU is asked for its flattened memory tree and its devices.
 * Without firmware BARs have no addresses, so they are given some.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/hardware_parts.h"

#include <string.h>

/* A range that is larger has no registers that anybody could have listed: it is a frame buffer, the
 * window of a PCI bus, a page of vectors for each CPU, or room that nothing has taken. In bytes. */
#define SPAN_MAX ((uint64_t)256 << 10)

bool godwit_hardware_is_too_large(const struct godwit_hardware_place *place)
{
    /* The length of all 64-bit addresses is 0. */
    return place->length == 0 || place->length > SPAN_MAX;
}

const char *godwit_hardware_device_at(const struct godwit_qtree *qtree, const char *path)
{
    const char *type = NULL;
    size_t longest = 0;
    for (guint i = 0; path && i < qtree->devices->len; i++) {
        const struct godwit_device *device =
            &g_array_index(qtree->devices, struct godwit_device, i);
        const size_t length = strlen(device->path);
        if (length > longest && g_str_has_prefix(path, device->path) &&
            (path[length] == '/' || !path[length])) {
            longest = length;
            type = g_intern_string(device->type);
        }
    }
    return type;
}

void godwit_hardware_layout_clear(struct godwit_hardware_layout *layout)
{
    g_clear_pointer(&layout->places, g_array_unref);
    godwit_pci_free(layout->pci);
    godwit_qtree_free(layout->qtree);
    godwit_mtree_free(layout->mtree);
}

/* Adds the configuration space of each PCI function. */
static void add_config(struct godwit_hardware_layout *layout)
{
    for (guint i = 0; i < layout->qtree->functions->len; i++) {
        const struct godwit_pci_function *function =
            &g_array_index(layout->qtree->functions, struct godwit_pci_function, i);
        g_autofree char *name = g_strdup_printf("%02x:%02x.%x config", function->bus,
                                                function->slot, function->function);
        const struct godwit_hardware_place place = {
            .space = GODWIT_SPACE_CONFIG,
            .start = (uint64_t)function->bus << 16 | (uint64_t)function->slot << 11 |
                     (uint64_t)function->function << 8,
            .length = godwit_pci_config_size(layout->pci),
            .region = g_intern_string(name),
            .device = godwit_hardware_device_at(layout->qtree, function->path),
            .path = g_intern_string(function->path),
            .bridge = function->bridge,
        };
        g_array_append_val(layout->places, place);
    }
}

/* Adds the ranges of one address space. */
static void add_view(struct godwit_hardware_layout *layout, const char *name,
                     enum godwit_space space)
{
    const struct godwit_view *view = godwit_mtree_view(layout->mtree, name);
    for (guint i = 0; view && i < view->ranges->len; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        /* What leads to the root region itself leads to nothing. */
        if (range->kind != GODWIT_RANGE_IO || !g_strcmp0(range->name, view->root))
            continue;
        const struct godwit_hardware_place place = {
            .space = space,
            .start = range->start,
            .length = range->last - range->start + 1,
            .offset = range->offset,
            .region = g_intern_string(range->name),
            .device = godwit_hardware_device_at(layout->qtree, range->owner),
            .path = g_intern_string(range->owner),
        };
        g_array_append_val(layout->places, place);
    }
}

bool godwit_hardware_find(struct godwit_vm *vm, bool named, struct godwit_hardware_layout *layout,
                          GError **error)
{
    layout->mtree = godwit_vm_mtree(vm, error);
    if (layout->mtree)
        layout->qtree = named ? godwit_vm_qtree(vm, error) : godwit_vm_pci(vm, error);
    if (!layout->qtree)
        return false;
    layout->pci = godwit_pci_new(vm->qtest, layout->mtree, NULL);
    layout->places = g_array_new(FALSE, FALSE, sizeof(struct godwit_hardware_place));
    if (layout->pci)
        add_config(layout);
    add_view(layout, "memory", GODWIT_SPACE_MEMORY);
    add_view(layout, "I/O", GODWIT_SPACE_PORTS);
    return true;
}

GArray *godwit_hardware_places(struct godwit_vm *vm, GError **error)
{
    struct godwit_hardware_layout layout = {0};
    GArray *places =
        godwit_hardware_find(vm, true, &layout, error) ? g_array_ref(layout.places) : NULL;
    for (guint i = places ? places->len : 0; i-- > 0;)
        if (godwit_hardware_is_too_large(&g_array_index(places, struct godwit_hardware_place, i)))
            g_array_remove_index(places, i);
    godwit_hardware_layout_clear(&layout);
    return places;
}

/* Returns whether some BAR has a size, and none has an address. Expansion ROMs do not count:
 * firmware takes their addresses away again. */
static bool needs_addresses(const struct godwit_qtree *qtree)
{
    bool any = false;
    for (guint i = 0; i < qtree->functions->len; i++) {
        const struct godwit_pci_function *function =
            &g_array_index(qtree->functions, struct godwit_pci_function, i);
        for (unsigned bar = 0; bar < GODWIT_BAR_ROM; bar++) {
            if (function->bars[bar].size && function->bars[bar].address != GODWIT_BAR_UNMAPPED)
                return false;
            any = any || function->bars[bar].size;
        }
    }
    return any;
}

bool godwit_hardware_assign(struct godwit_vm *vm, GError **error)
{
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, error);
    struct godwit_qtree *qtree = mtree ? godwit_vm_pci(vm, error) : NULL;
    bool good = qtree != NULL;
    if (good && needs_addresses(qtree)) {
        g_autoptr(GError) none = NULL;
        struct godwit_pci *pci = godwit_pci_new(vm->qtest, mtree, &none);
        good = !pci || godwit_pci_assign(pci, (const uint8_t *)qtree->roots->data,
                                         qtree->roots->len, error);
        godwit_pci_free(pci);
    }
    godwit_qtree_free(qtree);
    godwit_mtree_free(mtree);
    return good;
}
