/*
 * The register compare. Registers are read in spans: a function's configuration space, a range of
 * memory, a range of ports. Two machines in the same state have the same spans. A span is read in
 * few requests, QEMU makes accesses of it that the device supports.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/hardware.h"

#include "qemu/pci.h"
#include <string.h>

/* A range that is larger has no registers that anybody could have listed: it is a frame buffer, the
 * window of a PCI bus, a page of vectors for each CPU, or room that nothing has taken. In bytes. */
#define SPAN_MAX ((uint64_t)256 << 10)
/* Ports below this one belong to ISA devices, whose registers have a byte each. */
#define ISA_PORTS 0x1000

static const char *const space_names[] = {"config", "memory", "port"};

struct span {
    enum godwit_space space;
    uint64_t start;     /* an address; in configuration space, bus << 16 | place << 8 */
    const char *device; /* its type, interned; NULL: none, or unknown */
    const char *region; /* its name, interned */
    uint64_t offset;    /* of the start in the region */
    unsigned size;      /* of a register, in bytes */
    GByteArray *bytes;  /* what was read, in the order of addresses; empty: it was left out */
};

struct godwit_hardware {
    GPtrArray *spans; /* of struct span */
    uint64_t left_out;
};

static void span_free(gpointer data)
{
    struct span *span = data;
    g_byte_array_unref(span->bytes);
    g_free(span);
}

static struct span *add_span(struct godwit_hardware *hardware, enum godwit_space space,
                             uint64_t start, const char *region, uint64_t length)
{
    struct span *span = g_new0(struct span, 1);
    span->space = space;
    span->start = start;
    span->region = g_intern_string(region);
    span->size = length % 4 == 0 && start % 4 == 0 ? 4 : 1;
    span->bytes = g_byte_array_new();
    g_byte_array_set_size(span->bytes, (guint)length);
    g_ptr_array_add(hardware->spans, span);
    return span;
}

/* Returns the type of the device that has the object at PATH of the QOM tree, which may be NULL. */
static const char *device_at(const struct godwit_qtree *qtree, const char *path)
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

static bool read_memory(struct godwit_vm *vm, struct span *span, GError **error)
{
    return godwit_qtest_read_bytes(vm->qtest, span->start, span->bytes->data, span->bytes->len,
                                   error);
}

static bool read_ports(struct godwit_vm *vm, struct span *span, GError **error)
{
    if (span->start < ISA_PORTS)
        span->size = 1;
    const size_t count = span->bytes->len / span->size;
    g_autofree struct godwit_access *accesses = g_new0(struct godwit_access, count);
    for (size_t i = 0; i < count; i++)
        accesses[i] = (struct godwit_access){
            .kind = GODWIT_ACCESS_IN, .size = span->size, .address = span->start + i * span->size};
    if (!godwit_qtest_run(vm->qtest, accesses, count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = GUINT32_TO_LE((uint32_t)accesses[i].value);
        memcpy(span->bytes->data + i * span->size, &value, span->size);
    }
    return true;
}

/* Reads the registers of one address space, range by range. */
static bool read_view(struct godwit_vm *vm, struct godwit_hardware *hardware,
                      const struct godwit_qtree *qtree, const struct godwit_view *view,
                      enum godwit_space space, godwit_deadly_regions *deadly, GError **error)
{
    for (guint i = 0; view && i < view->ranges->len; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        const uint64_t length = range->last - range->start + 1;
        const char *name = g_intern_string(range->name);
        /* What leads to the root region itself leads to nothing. */
        if (range->kind != GODWIT_RANGE_IO || !g_strcmp0(name, view->root) ||
            g_ptr_array_find(deadly, name, NULL))
            continue;
        const bool left_out = length == 0 || length > SPAN_MAX;
        struct span *span = add_span(hardware, space, range->start, name, left_out ? 0 : length);
        span->offset = range->offset;
        span->device = device_at(qtree, range->owner);
        if (left_out) {
            hardware->left_out += length;
            continue;
        }
        GError *cause = NULL;
        if (!(space == GODWIT_SPACE_PORTS ? read_ports : read_memory)(vm, span, &cause)) {
            if (g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS))
                g_ptr_array_add(deadly, (gpointer)name);
            godwit_error_context(&cause, "the %s, reading %s", vm->name, name);
            g_propagate_error(error, cause);
            return false;
        }
    }
    return true;
}

static bool read_config(struct godwit_hardware *hardware, struct godwit_pci *pci,
                        const struct godwit_qtree *qtree, GError **error)
{
    for (guint i = 0; i < qtree->functions->len; i++) {
        const struct godwit_pci_function *function =
            &g_array_index(qtree->functions, struct godwit_pci_function, i);
        const unsigned place = function->slot * 8u + function->function;
        g_autofree char *name = g_strdup_printf("%02x:%02x.%x config", function->bus,
                                                function->slot, function->function);
        struct span *span =
            add_span(hardware, GODWIT_SPACE_CONFIG, (uint64_t)function->bus << 16 | place << 8,
                     name, godwit_pci_config_size(pci));
        span->device = device_at(qtree, function->path);
        if (!godwit_pci_config(pci, function->bus, place, span->bytes->data, span->bytes->len,
                               error))
            return false;
    }
    return true;
}

struct godwit_hardware *godwit_hardware_read(struct godwit_vm *vm, godwit_deadly_regions *deadly,
                                             GError **error)
{
    struct godwit_hardware *hardware = g_new0(struct godwit_hardware, 1);
    hardware->spans = g_ptr_array_new_with_free_func(span_free);
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, error);
    struct godwit_qtree *qtree = mtree ? godwit_vm_qtree(vm, error) : NULL;
    g_autoptr(GError) none = NULL;
    struct godwit_pci *pci = qtree ? godwit_pci_new(vm->qtest, mtree, &none) : NULL;
    const bool read = qtree && (!pci || read_config(hardware, pci, qtree, error)) &&
                      read_view(vm, hardware, qtree, godwit_mtree_view(mtree, "memory"),
                                GODWIT_SPACE_MEMORY, deadly, error) &&
                      read_view(vm, hardware, qtree, godwit_mtree_view(mtree, "I/O"),
                                GODWIT_SPACE_PORTS, deadly, error);
    godwit_pci_free(pci);
    godwit_qtree_free(qtree);
    godwit_mtree_free(mtree);
    if (read)
        return hardware;
    godwit_hardware_free(hardware);
    return NULL;
}

void godwit_hardware_free(struct godwit_hardware *hardware)
{
    if (!hardware)
        return;
    g_ptr_array_unref(hardware->spans);
    g_free(hardware);
}

size_t godwit_hardware_count(const struct godwit_hardware *hardware)
{
    size_t count = 0;
    for (guint i = 0; i < hardware->spans->len; i++) {
        const struct span *span = g_ptr_array_index(hardware->spans, i);
        count += span->bytes->len / span->size;
    }
    return count;
}

uint64_t godwit_hardware_left_out(const struct godwit_hardware *hardware)
{
    return hardware->left_out;
}

/* Returns the span of HARDWARE that reads the same registers as SPAN, or NULL. */
static const struct span *same_span(const struct godwit_hardware *hardware, const struct span *span)
{
    for (guint i = 0; i < hardware->spans->len; i++) {
        const struct span *other = g_ptr_array_index(hardware->spans, i);
        if (other->space == span->space && other->start == span->start &&
            other->region == span->region && other->offset == span->offset &&
            other->bytes->len == span->bytes->len)
            return other;
    }
    return NULL;
}

static void difference_free(gpointer data)
{
    struct godwit_hardware_difference *difference = data;
    g_free(difference->text);
    g_free(difference);
}

/* Takes TEXT. */
static void add_difference(GPtrArray *differences, const struct span *span, uint64_t at, char *text)
{
    struct godwit_hardware_difference *difference = g_new0(struct godwit_hardware_difference, 1);
    difference->device = span->device;
    difference->region = span->region;
    difference->offset = span->offset + at;
    difference->text =
        span->device ? g_strdup_printf("%s, %s", span->device, text) : g_strdup(text);
    g_free(text);
    g_ptr_array_add(differences, difference);
}

/* Returns the register at AT, as a little-endian CPU reads it. */
static uint32_t value_at(const struct span *span, size_t at)
{
    uint32_t value = 0;
    memcpy(&value, span->bytes->data + at, span->size);
    return GUINT32_FROM_LE(value);
}

static void compare_span(GPtrArray *differences, const struct span *source, const struct span *copy,
                         const struct span *other, unsigned *moving)
{
    for (size_t at = 0; at < source->bytes->len; at += source->size) {
        const uint32_t before = value_at(source, at), after = value_at(copy, at);
        if (before == after)
            continue;
        if (other && value_at(other, at) != after) {
            (*moving)++;
            continue;
        }
        const uint64_t address = source->space == GODWIT_SPACE_CONFIG ? at : source->start + at;
        const int digits = (int)source->size * 2;
        g_autofree char *where = source->space == GODWIT_SPACE_CONFIG
                                     ? g_strdup("")
                                     : g_strdup_printf(" (%s 0x%" G_GINT64_MODIFIER "x)",
                                                       space_names[source->space], address);
        add_difference(differences, source, at,
                       g_strdup_printf("%s 0x%" G_GINT64_MODIFIER "x%s: 0x%0*x -> 0x%0*x",
                                       source->region, source->offset + at, where, digits, before,
                                       digits, after));
    }
}

/* Returns whether HARDWARE has another part of the region of SPAN, in the same place: the room of a
 * bus, which is divided by whatever is mapped into it. */
static bool is_divided(const struct godwit_hardware *hardware, const struct span *span)
{
    for (guint i = 0; i < hardware->spans->len; i++) {
        const struct span *other = g_ptr_array_index(hardware->spans, i);
        if (other->space == span->space && other->region == span->region &&
            other->start - other->offset == span->start - span->offset)
            return true;
    }
    return false;
}

/* Adds the spans that only ONE has. */
static void add_missing(GPtrArray *differences, const struct godwit_hardware *one,
                        const struct godwit_hardware *two, const char *whose)
{
    for (guint i = 0; i < one->spans->len; i++) {
        const struct span *span = g_ptr_array_index(one->spans, i);
        /* What was not read has no registers: a BAR shows in configuration space. */
        if (!span->bytes->len || is_divided(two, span))
            continue;
        add_difference(differences, span, 0,
                       g_strdup_printf("%s, 0x%x bytes at %s 0x%" G_GINT64_MODIFIER
                                       "x: only the %s has it there",
                                       span->region, span->bytes->len, space_names[span->space],
                                       span->start, whose));
    }
}

GPtrArray *godwit_hardware_compare(const struct godwit_hardware *source,
                                   const struct godwit_hardware *copy,
                                   const struct godwit_hardware *other, unsigned *moving)
{
    GPtrArray *differences = g_ptr_array_new_with_free_func(difference_free);
    *moving = 0;
    for (guint i = 0; i < source->spans->len; i++) {
        const struct span *span = g_ptr_array_index(source->spans, i);
        const struct span *same = same_span(copy, span);
        if (same)
            compare_span(differences, span, same, other ? same_span(other, span) : NULL, moving);
    }
    add_missing(differences, source, copy, "source");
    add_missing(differences, copy, source, "destination");
    return differences;
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
    struct godwit_qtree *qtree = mtree ? godwit_vm_qtree(vm, error) : NULL;
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

/* Adds the ranges of one address space. */
static void add_places(GArray *places, const struct godwit_qtree *qtree,
                       const struct godwit_view *view, enum godwit_space space)
{
    for (guint i = 0; view && i < view->ranges->len; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        const uint64_t length = range->last - range->start + 1;
        if (range->kind != GODWIT_RANGE_IO || !g_strcmp0(range->name, view->root) || !length ||
            length > SPAN_MAX)
            continue;
        const struct godwit_hardware_place place = {
            .space = space,
            .start = range->start,
            .length = length,
            .offset = range->offset,
            .region = g_intern_string(range->name),
            .device = device_at(qtree, range->owner),
            .path = g_intern_string(range->owner),
        };
        g_array_append_val(places, place);
    }
}

GArray *godwit_hardware_places(struct godwit_vm *vm, GError **error)
{
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, error);
    struct godwit_qtree *qtree = mtree ? godwit_vm_qtree(vm, error) : NULL;
    GArray *places = qtree ? g_array_new(FALSE, FALSE, sizeof(struct godwit_hardware_place)) : NULL;
    g_autoptr(GError) none = NULL;
    struct godwit_pci *pci = places ? godwit_pci_new(vm->qtest, mtree, &none) : NULL;
    for (guint i = 0; pci && i < qtree->functions->len; i++) {
        const struct godwit_pci_function *function =
            &g_array_index(qtree->functions, struct godwit_pci_function, i);
        const struct godwit_hardware_place place = {
            .space = GODWIT_SPACE_CONFIG,
            .start = (uint64_t)function->bus << 16 | (uint64_t)function->slot << 11 |
                     (uint64_t)function->function << 8,
            .length = godwit_pci_config_size(pci),
            .region = "config",
            .device = device_at(qtree, function->path),
            .path = g_intern_string(function->path),
            .bridge = function->bridge,
        };
        g_array_append_val(places, place);
    }
    if (places) {
        add_places(places, qtree, godwit_mtree_view(mtree, "memory"), GODWIT_SPACE_MEMORY);
        add_places(places, qtree, godwit_mtree_view(mtree, "I/O"), GODWIT_SPACE_PORTS);
    }
    godwit_pci_free(pci);
    godwit_qtree_free(qtree);
    godwit_mtree_free(mtree);
    return places;
}
