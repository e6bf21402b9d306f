/*
 * The register compare. Registers are read in spans: a function's configuration space, a range of
 * memory, a range of ports. Two machines in the same state have the same spans. A span is read in
 * few requests, QEMU makes accesses of it that the device supports.
 *
 * Some registers show only in an access of their own width: the 16-bit interrupt mask of an rtl8139
 * reads as 0 in a 32-bit access, and the 32-bit address of PC's configuration space as ones in one
 * of a byte; a part of the configuration of an i6300esb shows in 16 bits only. So the first bytes
 * of a range are read again, at the other widths, and those of configuration space by 16 bits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/hardware_parts.h"

#include <string.h>

/* How much of a range is read at all widths, in bytes: an access costs 5 to 20 microseconds, and
 * most registers are at the beginning of a range. */
#define ALL_WIDTHS_MAX ((uint64_t)256)
static const char *const space_names[] = {"config", "memory", "port"};

struct span {
    enum godwit_space space;
    uint64_t start;     /* an address; in configuration space, bus << 16 | place << 8 */
    const char *device; /* its type, interned; NULL: none, or unknown */
    const char *path;   /* of the object that has it, interned; NULL: none, or a PCI function */
    const char *region; /* its name, interned */
    uint64_t offset;    /* of the start in the region */
    unsigned size;      /* of an access, in bytes */
    bool again;         /* the span before this one is the same place, at another width */
    unsigned turn;      /* 0: of the first reading of the machine, ... */
    GByteArray *bytes;  /* what was read, in the order of addresses; empty: it was left out */
};

struct godwit_hardware {
    GPtrArray *spans; /* of struct span */
    unsigned turns;   /* how often places were read again */
    uint64_t left_out;
};

static void span_free(gpointer data)
{
    struct span *span = data;
    g_byte_array_unref(span->bytes);
    g_free(span);
}

/* Returns the width of the accesses by which all of a place is read. */
static unsigned width_of(const struct godwit_hardware_place *place)
{
    const bool isa = godwit_hardware_is_isa(place);
    return isa || place->length % 4 || place->start % 4 ? 1 : 4;
}

/* Adds a span with LENGTH bytes of a place, in accesses of SIZE bytes. */
static struct span *add_span(struct godwit_hardware *hardware,
                             const struct godwit_hardware_place *place, unsigned size,
                             uint64_t length)
{
    struct span *span = g_new0(struct span, 1);
    span->space = place->space;
    span->start = place->start;
    span->offset = place->offset;
    span->region = place->region;
    span->device = place->device;
    span->path = place->path;
    span->size = size;
    span->turn = hardware->turns;
    span->bytes = g_byte_array_new();
    g_byte_array_set_size(span->bytes, (guint)length);
    g_ptr_array_add(hardware->spans, span);
    return span;
}

static bool read_memory(struct godwit_vm *vm, struct span *span, GError **error)
{
    return godwit_qtest_read_bytes(vm->qtest, span->start, span->bytes->data, span->bytes->len,
                                   error);
}

/* Reads a span by one access after the other. */
static bool read_accesses(struct godwit_vm *vm, struct span *span, GError **error)
{
    const enum godwit_access_kind kind =
        span->space == GODWIT_SPACE_PORTS ? GODWIT_ACCESS_IN : GODWIT_ACCESS_READ;
    const size_t count = span->bytes->len / span->size;
    g_autofree struct godwit_access *accesses = g_new0(struct godwit_access, count);
    for (size_t i = 0; i < count; i++)
        accesses[i] = (struct godwit_access){
            .kind = kind, .size = span->size, .address = span->start + i * span->size};
    if (!godwit_qtest_run(vm->qtest, accesses, count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = GUINT32_TO_LE((uint32_t)accesses[i].value);
        memcpy(span->bytes->data + i * span->size, &value, span->size);
    }
    return true;
}

static bool read_span(struct godwit_vm *vm, struct godwit_pci *pci, struct span *span,
                      GError **error)
{
    switch (span->space) {
    case GODWIT_SPACE_CONFIG:
        return godwit_pci_config(pci, (unsigned)(span->start >> 16),
                                 (unsigned)(span->start >> 8 & 0xff), span->size, span->bytes->data,
                                 span->bytes->len, error);
    case GODWIT_SPACE_MEMORY:
        if (!span->again && !span->turn)
            return read_memory(vm, span, error);
        /* fall through */
    default:
        return read_accesses(vm, span, error);
    }
}

/* Returns what is deadly if QEMU dies of accesses of SIZE bytes to a place: all of it, if all of it
 * is read in this way. */
static const char *deadly_name(const struct godwit_hardware_place *place, unsigned size)
{
    if (size == width_of(place))
        return place->region;
    g_autofree char *name = g_strdup_printf("%s, %u bytes at a time", place->region, size);
    return g_intern_string(name);
}

/* Reads a place in accesses of SIZE bytes: all of it, or its beginning if it is read AGAIN. */
static bool read_width(struct godwit_vm *vm, struct godwit_hardware *hardware,
                       struct godwit_pci *pci, const struct godwit_hardware_place *place,
                       unsigned size, bool again, godwit_deadly_regions *deadly, GError **error)
{
    const char *name = deadly_name(place, size);
    const uint64_t length =
        again ? MIN(place->length, ALL_WIDTHS_MAX) / size * size : place->length;
    if (g_ptr_array_find(deadly, name, NULL) || !length || place->start % size)
        return true;
    struct span *span = add_span(hardware, place, size, length);
    span->again = again;
    GError *cause = NULL;
    if (read_span(vm, pci, span, &cause))
        return true;
    if (g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS))
        g_ptr_array_add(deadly, (gpointer)(uintptr_t)name);
    godwit_error_context(&cause, "the %s, reading %s", vm->name, name);
    g_propagate_error(error, cause);
    return false;
}

/* Reads a place, unless it is too large. */
static bool read_place(struct godwit_vm *vm, struct godwit_hardware *hardware,
                       struct godwit_pci *pci, const struct godwit_hardware_place *place,
                       godwit_deadly_regions *deadly, GError **error)
{
    const unsigned width = width_of(place);
    if (godwit_hardware_is_too_large(place)) {
        add_span(hardware, place, width, 0);
        hardware->left_out += place->length;
        return true;
    }
    if (g_ptr_array_find(deadly, place->region, NULL))
        return true;
    bool read = read_width(vm, hardware, pci, place, width, false, deadly, error);
    for (unsigned size = 1; read && size <= 4; size *= 2)
        if (size != width && (size == 2 || place->space != GODWIT_SPACE_CONFIG))
            read = read_width(vm, hardware, pci, place, size, true, deadly, error);
    return read;
}

struct godwit_hardware *godwit_hardware_read(struct godwit_vm *vm, godwit_deadly_regions *deadly,
                                             GError **error)
{
    struct godwit_hardware *hardware = g_new0(struct godwit_hardware, 1);
    hardware->spans = g_ptr_array_new_with_free_func(span_free);
    struct godwit_hardware_layout layout = {0};
    bool read = godwit_hardware_find(vm, false, &layout, error);
    for (guint i = 0; read && i < layout.places->len; i++) {
        const struct godwit_hardware_place *place =
            &g_array_index(layout.places, struct godwit_hardware_place, i);
        read = read_place(vm, hardware, layout.pci, place, deadly, error);
    }
    godwit_hardware_layout_clear(&layout);
    if (!read)
        g_clear_pointer(&hardware, godwit_hardware_free);
    return hardware;
}

bool godwit_hardware_read_again(struct godwit_hardware *hardware, struct godwit_vm *vm,
                                const GArray *places, godwit_deadly_regions *deadly, GError **error)
{
    bool read = true;
    hardware->turns++;
    for (guint i = 0; read && i < places->len; i++) {
        struct godwit_hardware_place place = g_array_index(places, struct godwit_hardware_place, i);
        const bool isa = godwit_hardware_is_isa(&place);
        const unsigned size = isa ? 1 : 1u << hardware->turns % 3;
        place.length = MIN(place.length, ALL_WIDTHS_MAX) / size * size;
        read = g_ptr_array_find(deadly, place.region, NULL) ||
               read_width(vm, hardware, NULL, &place, size, false, deadly, error);
    }
    return read;
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
        span->device = godwit_hardware_device_at(qtree, function ? function->path : span->path);
    }
    const bool good = qtree != NULL;
    godwit_qtree_free(qtree);
    return good;
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
        if (other->turn != span->turn)
            continue;
        if (other->space == span->space && other->start == span->start &&
            other->region == span->region && other->offset == span->offset &&
            other->size == span->size && other->bytes->len == span->bytes->len)
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

/* Returns whether a difference at AT of the span WHICH of SOURCE has shown at another width. */
static bool has_shown(const struct godwit_hardware *source, guint which,
                      const struct godwit_hardware *copy, size_t at)
{
    const struct span *span = g_ptr_array_index(source->spans, which);
    const size_t end = at + span->size;
    while (((const struct span *)g_ptr_array_index(source->spans, which))->again) {
        const struct span *wide = g_ptr_array_index(source->spans, --which);
        const struct span *same = same_span(copy, wide);
        size_t i = at / wide->size * wide->size;
        for (; same && i < end && i + wide->size <= wide->bytes->len; i += wide->size)
            if (value_at(wide, i) != value_at(same, i))
                return true;
    }
    return false;
}

/* Compares the span WHICH of SOURCE with its like in COPY and OTHER. */
static void compare_span(GPtrArray *differences, const struct godwit_hardware *hardware,
                         guint which, const struct godwit_hardware *copies, const struct span *copy,
                         const struct span *other, unsigned *moving)
{
    const struct span *source = g_ptr_array_index(hardware->spans, which);
    for (size_t at = 0; at < source->bytes->len; at += source->size) {
        const uint32_t before = value_at(source, at), after = value_at(copy, at);
        if (before == after || has_shown(hardware, which, copies, at))
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
                       g_strdup_printf("%s 0x%" G_GINT64_MODIFIER "x%s: 0x%0*x -> 0x%0*x%s",
                                       source->region, source->offset + at, where, digits, before,
                                       digits, after,
                                       source->turn ? ", after the same writes to both" : ""));
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
        if (!span->bytes->len || span->again || span->turn || is_divided(two, span) ||
            same_span(two, span))
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
    unsigned turn = 0;
    for (guint i = 0; i < source->spans->len; i++) {
        const struct span *span = g_ptr_array_index(source->spans, i);
        const struct span *same = same_span(copy, span);
        /* What has differed once differs again. */
        if (differences->len && span->turn != turn)
            break;
        turn = span->turn;
        if (same)
            compare_span(differences, source, i, copy, same, other ? same_span(other, span) : NULL,
                         moving);
    }
    add_missing(differences, source, copy, "source");
    add_missing(differences, copy, source, "destination");
    return differences;
}
