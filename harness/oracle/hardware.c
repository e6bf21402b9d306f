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
static const char *const space_names[] = {"config", "memory", "port"};

struct span {
    enum godwit_space space;
    uint64_t start;     /* an address; in configuration space, bus << 16 | place << 8 */
    const char *device; /* its type, interned; NULL: none, or unknown */
    const char *path;   /* of the object that has it, interned; NULL: none, or a PCI function */
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

/* Returns whether a place is too large to be one of registers. */
static bool is_too_large(const struct godwit_hardware_place *place)
{
    /* The length of all 64-bit addresses is 0. */
    return place->length == 0 || place->length > SPAN_MAX;
}

/* Adds the span of a place, with room for its registers unless it is too large. */
static struct span *add_span(struct godwit_hardware *hardware,
                             const struct godwit_hardware_place *place)
{
    const uint64_t length = is_too_large(place) ? 0 : place->length;
    struct span *span = g_new0(struct span, 1);
    span->space = place->space;
    span->start = place->start;
    span->offset = place->offset;
    span->region = place->region;
    span->device = place->device;
    span->path = place->path;
    span->size = length % 4 == 0 && place->start % 4 == 0 ? 4 : 1;
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
    if (span->start < GODWIT_ISA_PORTS)
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

/* Where a machine's registers are, and the way to its configuration space. */
struct layout {
    struct godwit_mtree *mtree;
    struct godwit_qtree *qtree;
    struct godwit_pci *pci; /* NULL: no access from outside reaches configuration space */
    GArray *places;         /* of struct godwit_hardware_place, those that are too large included */
};

static void layout_clear(struct layout *layout)
{
    g_clear_pointer(&layout->places, g_array_unref);
    godwit_pci_free(layout->pci);
    godwit_qtree_free(layout->qtree);
    godwit_mtree_free(layout->mtree);
}

/* Adds the configuration space of each PCI function. */
static void add_config(struct layout *layout)
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
            .device = device_at(layout->qtree, function->path),
            .path = g_intern_string(function->path),
            .bridge = function->bridge,
        };
        g_array_append_val(layout->places, place);
    }
}

/* Adds the ranges of one address space. */
static void add_view(struct layout *layout, const char *name, enum godwit_space space)
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
            .device = device_at(layout->qtree, range->owner),
            .path = g_intern_string(range->owner),
        };
        g_array_append_val(layout->places, place);
    }
}

/* Finds out where the registers of VM are and, if NAMED, which device has them. LAYOUT must be
 * zeroed, and cleared in any case. */
static bool find_layout(struct godwit_vm *vm, bool named, struct layout *layout, GError **error)
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

static bool read_span(struct godwit_vm *vm, struct godwit_pci *pci, struct span *span,
                      GError **error)
{
    switch (span->space) {
    case GODWIT_SPACE_CONFIG:
        return godwit_pci_config(pci, (unsigned)(span->start >> 16),
                                 (unsigned)(span->start >> 8 & 0xff), span->bytes->data,
                                 span->bytes->len, error);
    case GODWIT_SPACE_PORTS:
        return read_ports(vm, span, error);
    default:
        return read_memory(vm, span, error);
    }
}

/* Reads a place, unless it is too large. */
static bool read_place(struct godwit_vm *vm, struct godwit_hardware *hardware,
                       struct godwit_pci *pci, const struct godwit_hardware_place *place,
                       godwit_deadly_regions *deadly, GError **error)
{
    struct span *span = add_span(hardware, place);
    if (is_too_large(place)) {
        hardware->left_out += place->length;
        return true;
    }
    GError *cause = NULL;
    if (read_span(vm, pci, span, &cause))
        return true;
    if (g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS))
        g_ptr_array_add(deadly, (gpointer)(uintptr_t)place->region);
    godwit_error_context(&cause, "the %s, reading %s", vm->name, place->region);
    g_propagate_error(error, cause);
    return false;
}

struct godwit_hardware *godwit_hardware_read(struct godwit_vm *vm, godwit_deadly_regions *deadly,
                                             GError **error)
{
    struct godwit_hardware *hardware = g_new0(struct godwit_hardware, 1);
    hardware->spans = g_ptr_array_new_with_free_func(span_free);
    struct layout layout = {0};
    bool read = find_layout(vm, false, &layout, error);
    for (guint i = 0; read && i < layout.places->len; i++) {
        const struct godwit_hardware_place *place =
            &g_array_index(layout.places, struct godwit_hardware_place, i);
        read = g_ptr_array_find(deadly, place->region, NULL) ||
               read_place(vm, hardware, layout.pci, place, deadly, error);
    }
    layout_clear(&layout);
    if (!read)
        g_clear_pointer(&hardware, godwit_hardware_free);
    return hardware;
}

bool godwit_hardware_name(struct godwit_hardware *hardware, struct godwit_vm *vm, GError **error)
{
    struct godwit_qtree *qtree = godwit_vm_qtree(vm, error);
    for (guint i = 0; qtree && i < hardware->spans->len; i++) {
        struct span *span = g_ptr_array_index(hardware->spans, i);
        const struct godwit_pci_function *function =
            span->space == GODWIT_SPACE_CONFIG
                ? godwit_qtree_function(qtree, (unsigned)(span->start >> 16),
                                        (unsigned)(span->start >> 11 & 0x1f),
                                        (unsigned)(span->start >> 8 & 7))
                : NULL;
        span->device = device_at(qtree, function ? function->path : span->path);
    }
    const bool good = qtree != NULL;
    godwit_qtree_free(qtree);
    return good;
}

GArray *godwit_hardware_places(struct godwit_vm *vm, GError **error)
{
    struct layout layout = {0};
    GArray *places = find_layout(vm, true, &layout, error) ? g_array_ref(layout.places) : NULL;
    for (guint i = places ? places->len : 0; i-- > 0;)
        if (is_too_large(&g_array_index(places, struct godwit_hardware_place, i)))
            g_array_remove_index(places, i);
    layout_clear(&layout);
    return places;
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

/* Returns the span of HARDWARE that reads the same registers as SPAN, or NULL. Another version of
 * QEMU may give the region another name: the guest finds it by its address. */
static const struct span *same_span(const struct godwit_hardware *hardware, const struct span *span)
{
    const struct span *renamed = NULL;
    for (guint i = 0; i < hardware->spans->len; i++) {
        const struct span *other = g_ptr_array_index(hardware->spans, i);
        if (other->space == span->space && other->start == span->start &&
            other->region == span->region && other->offset == span->offset &&
            other->bytes->len == span->bytes->len)
            return other;
        if (other->space == span->space && other->start == span->start &&
            other->size == span->size && other->bytes->len == span->bytes->len)
            renamed = other;
    }
    return renamed;
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
        if (!span->bytes->len || is_divided(two, span) || same_span(two, span))
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
