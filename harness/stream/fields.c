/*
 * Takes the states of a stream apart by its description.
 *
 * A walk goes through the description of a state with a cursor in the state's bytes. A structure is
 * walked in turn. An array has one description for all elements, or, where they differ, one for
 * each. Subsections follow the fields; each begins with a mark, its name and its version.
 * Where a description does not account for the bytes of a structure (QEMU 7.2 describes an array
 * with null pointers by its first element only), the rest of the state is one field.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/fields.h"

#include "base/json.h"
#include "stream/file.h"
#include <inttypes.h>
#include <string.h>

/* A subsection's mark, and the bytes of it that have a fixed length: mark, length of name, version.
 */
#define SUBSECTION_MARK  5
#define SUBSECTION_FIXED ((size_t)1 + 1 + 4)

/* How deep structures may be nested. QEMU's own are at most 6 deep. */
#define DEPTH_MAX 32

/* The longest value that a difference quotes in full, in bytes. */
#define QUOTED_MAX 16

/* A walk through one state. */
struct walk {
    struct godwit_stream_fields *fields;
    const char *device;
    GBytes *state;
    size_t at; /* the cursor */
    bool lost; /* the description no longer fits the bytes */
    int depth;
};

static void field_free(gpointer data)
{
    struct godwit_stream_field *field = data;
    g_free(field->device);
    g_free(field->path);
    g_free(field->type);
    g_bytes_unref(field->value);
    g_free(field);
}

static void difference_free(gpointer data)
{
    struct godwit_stream_difference *difference = data;
    g_free(difference->device);
    g_free(difference->path);
    g_free(difference->before);
    g_free(difference->after);
    g_free(difference);
}

struct godwit_stream_fields *godwit_stream_fields_new(void)
{
    struct godwit_stream_fields *fields = g_new0(struct godwit_stream_fields, 1);
    fields->states =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    fields->fields = g_ptr_array_new_with_free_func(field_free);
    return fields;
}

void godwit_stream_fields_free(struct godwit_stream_fields *fields)
{
    if (!fields)
        return;
    g_hash_table_unref(fields->states);
    g_ptr_array_unref(fields->fields);
    g_free(fields);
}

static size_t left(const struct walk *walk)
{
    return g_bytes_get_size(walk->state) - walk->at;
}

/* Returns a number of the description that is a length, or SIZE_MAX if it is not one. */
static size_t length_of(const json_t *object, const char *key, json_int_t otherwise)
{
    const json_int_t value = godwit_json_integer(object, key, otherwise);
    return value < 0 || value > GODWIT_STREAM_ITEM_MAX ? SIZE_MAX : (size_t)value;
}

/* Adds the next LENGTH bytes as a field. */
static void add_field(struct walk *walk, const char *path, const char *type, size_t length)
{
    if (length > left(walk)) {
        walk->lost = true;
        return;
    }
    struct godwit_stream_field *field = g_new0(struct godwit_stream_field, 1);
    field->device = g_strdup(walk->device);
    field->path = g_strdup(path);
    field->type = g_strdup(type);
    field->offset = walk->at;
    field->value = g_bytes_new_from_bytes(walk->state, walk->at, length);
    walk->at += length;
    g_ptr_array_add(walk->fields->fields, field);
}

static void walk_state(struct walk *walk, const json_t *state, const char *prefix);

/* Walks one element of a field: a structure, or anything else. */
static void walk_element(struct walk *walk, const json_t *field, const char *path, size_t size)
{
    const json_t *structure = json_object_get(field, "struct");
    const size_t began = walk->at;
    if (!structure && json_object_get(field, "fields"))
        structure = field;
    if (!structure || !json_object_size(structure)) {
        add_field(walk, path, godwit_json_string(field, "type", ""), size);
        return;
    }
    if (size > left(walk)) {
        walk->lost = true;
        return;
    }
    g_autofree char *prefix = g_strconcat(path, ".", NULL);
    walk_state(walk, structure, prefix);
    walk->lost = walk->lost || walk->at != began + size;
}

/* The fields of one structure. A spapr has 8192 of one name, so they are counted only once. */
struct structure {
    GHashTable *entries;  /* name -> how many fields have it */
    GHashTable *elements; /* name -> how many elements of that name were walked */
};

static guint count_of(GHashTable *table, const char *name)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(table, name));
}

static void count_one(GHashTable *table, const char *name)
{
    g_hash_table_insert(table, (gpointer)(uintptr_t)name,
                        GUINT_TO_POINTER(count_of(table, name) + 1));
}

/* Walks a field of STRUCTURE. Elements are numbered here, because QEMU 11.1 no longer gives the
 * index of an element that it describes by itself. */
static void walk_field(struct walk *walk, const struct structure *structure, const json_t *field,
                       const char *prefix)
{
    const char *name = godwit_json_string(field, "name", "");
    const size_t size = length_of(field, "size", -1);
    const size_t count = length_of(field, "array_len", 1);
    const bool array = json_object_get(field, "array_len") || json_object_get(field, "index") ||
                       count_of(structure->entries, name) > 1;
    if (size == SIZE_MAX || count == SIZE_MAX) {
        walk->lost = true;
        return;
    }
    /* Elements without bytes would be counted and not found. */
    for (size_t i = 0; i < count && (size || !array) && !walk->lost; i++) {
        g_autofree char *path =
            array ? g_strdup_printf("%s%s[%u]", prefix, name, count_of(structure->elements, name))
                  : g_strconcat(prefix, name, NULL);
        count_one(structure->elements, name);
        walk_element(walk, field, path, size);
    }
}

/* Walks a subsection, which must come next. */
static void walk_subsection(struct walk *walk, const json_t *subsection, const char *prefix)
{
    const char *name = godwit_json_string(subsection, "vmsd_name", "");
    const size_t length = strlen(name);
    const uint8_t *bytes = g_bytes_get_data(walk->state, NULL);
    if (left(walk) < SUBSECTION_FIXED + length || bytes[walk->at] != SUBSECTION_MARK ||
        bytes[walk->at + 1] != length || memcmp(bytes + walk->at + 2, name, length) != 0) {
        walk->lost = true;
        return;
    }
    walk->at += SUBSECTION_FIXED + length;
    g_autofree char *inside = g_strconcat(prefix, name, "/", NULL);
    walk_state(walk, subsection, inside);
}

/* Walks the fields and subsections of a state, a structure or a subsection. */
static void walk_state(struct walk *walk, const json_t *state, const char *prefix)
{
    const json_t *fields = json_object_get(state, "fields");
    g_autoptr(GHashTable) entries = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) elements = g_hash_table_new(g_str_hash, g_str_equal);
    const struct structure structure = {entries, elements};
    size_t i;
    const json_t *part;
    if (walk->depth++ > DEPTH_MAX)
        walk->lost = true;
    json_array_foreach(fields, i, part)
    {
        count_one(entries, godwit_json_string(part, "name", ""));
    }
    json_array_foreach(fields, i, part)
    {
        if (!walk->lost)
            walk_field(walk, &structure, part, prefix);
    }
    json_array_foreach(json_object_get(state, "subsections"), i, part)
    {
        if (!walk->lost)
            walk_subsection(walk, part, prefix);
    }
    walk->depth--;
}

static bool walk_device(struct godwit_stream_fields *fields, const json_t *device, GError **error)
{
    g_autofree char *key = g_strdup_printf("%s %" PRIu32, godwit_json_string(device, "name", ""),
                                           (uint32_t)godwit_json_integer(device, "instance_id", 0));
    GBytes *state = g_hash_table_lookup(fields->states, key);
    if (!state)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "the description lists \"%s\", which is not a section", key);
    struct walk walk = {.fields = fields, .device = key, .state = state};
    walk_state(&walk, device, "");
    if (left(&walk))
        add_field(&walk, "(not described)", "buffer", left(&walk));
    return true;
}

static bool walk_all(struct godwit_stream_fields *fields, const struct godwit_stream_item *item,
                     GError **error)
{
    json_error_t reason;
    size_t i;
    const json_t *device;
    g_autoptr(json_t) root =
        json_loadb((const char *)item->bytes + item->data, item->length - item->data, 0, &reason);
    if (!root)
        return godwit_fail(error, GODWIT_ERROR_STREAM, "the description is not JSON: %s",
                           reason.text);
    json_array_foreach(json_object_get(root, "devices"), i, device)
    {
        if (!walk_device(fields, device, error))
            return false;
    }
    return true;
}

bool godwit_stream_fields_take(struct godwit_stream_fields *fields,
                               const struct godwit_stream_item *item, GError **error)
{
    if (item->kind == GODWIT_STREAM_DESCRIPTION)
        return walk_all(fields, item, error);
    if (item->kind == GODWIT_STREAM_FULL || item->kind == GODWIT_STREAM_STATE) {
        g_autofree char *key = g_strdup_printf("%s %" PRIu32, item->section, item->instance_id);
        const bool begins = item->kind == GODWIT_STREAM_FULL;
        if (begins || g_hash_table_contains(fields->states, key))
            g_hash_table_replace(fields->states, g_steal_pointer(&key),
                                 begins ? g_bytes_new(NULL, 0)
                                        : g_bytes_new(item->bytes, item->length));
    }
    return true;
}

/* A stream that is read for its fields. */
struct reading {
    struct godwit_stream_fields *fields;
    bool described;
};

static bool take(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct reading *reading = data;
    reading->described |= item->kind == GODWIT_STREAM_DESCRIPTION;
    return godwit_stream_fields_take(reading->fields, item, error);
}

struct godwit_stream_fields *godwit_stream_fields_read(const char *path, uint64_t offset,
                                                       GError **error)
{
    struct reading reading = {.fields = godwit_stream_fields_new()};
    enum godwit_stream_channel channel;
    bool good = godwit_stream_read_file(path, offset, take, &reading, &channel, error);
    if (good && !reading.described)
        good = godwit_fail(error, GODWIT_ERROR_STREAM,
                           "it has no description of the devices' state (QEMU writes none in "
                           "postcopy, or with suppress-vmdesc=on)");
    if (good)
        return reading.fields;
    godwit_stream_fields_free(reading.fields);
    return NULL;
}

/* Returns BYTES for a person: in hexadecimal, or its length and, from offset FIRST, some of it. */
static char *quote(GBytes *bytes, size_t first)
{
    size_t length;
    const uint8_t *data = g_bytes_get_data(bytes, &length);
    GString *text = g_string_new(NULL);
    if (length > QUOTED_MAX)
        g_string_append_printf(text, "%zu bytes, at %zu: ", length, first);
    else
        first = 0;
    g_string_append(text, length ? "0x" : "nothing");
    for (size_t i = first; i < MIN(length, first + QUOTED_MAX); i++)
        g_string_append_printf(text, "%02x", data[i]);
    if (length > first + QUOTED_MAX)
        g_string_append(text, "...");
    return g_string_free(text, FALSE);
}

char *godwit_stream_field_value(const struct godwit_stream_field *field, size_t first)
{
    return quote(field->value, first);
}

char *godwit_stream_difference_text(const struct godwit_stream_difference *difference)
{
    const char *before = difference->before, *after = difference->after;
    if (!before || !after)
        return g_strdup_printf("%s: %s%sonly %s", difference->device, difference->path,
                               *difference->path ? " " : "", before ? "before" : "after");
    return g_strdup_printf("%s: %s %s -> %s", difference->device, difference->path, before, after);
}

/* Returns the offset of the first byte in which the two differ. */
static size_t first_difference(GBytes *a, GBytes *b)
{
    size_t length, other, i = 0;
    const uint8_t *one = g_bytes_get_data(a, &length), *two = g_bytes_get_data(b, &other);
    while (i < MIN(length, other) && one[i] == two[i])
        i++;
    return i;
}

static char *key_of(const struct godwit_stream_field *field)
{
    return g_strconcat(field->device, "\n", field->path, NULL);
}

static char *place_of(const struct godwit_stream_field *field)
{
    return g_strdup_printf("%s\n%zu+%zu", field->device, field->offset,
                           g_bytes_get_size(field->value));
}

/* Adds a difference of a field of which one side may be missing. */
static void add_difference(GPtrArray *differences, const struct godwit_stream_field *before,
                           const struct godwit_stream_field *after)
{
    const struct godwit_stream_field *field = before ? before : after;
    const size_t first = before && after ? first_difference(before->value, after->value) : 0;
    struct godwit_stream_difference *difference = g_new0(struct godwit_stream_difference, 1);
    difference->device = g_strdup(field->device);
    difference->path = g_strdup(field->path);
    difference->before = before ? quote(before->value, first) : NULL;
    difference->after = after ? quote(after->value, first) : NULL;
    difference->alike =
        before && after && g_bytes_get_size(before->value) == g_bytes_get_size(after->value);
    g_ptr_array_add(differences, difference);
}

/* The fields of a stream, to be looked up. Those that are borrowed here are owned by the stream. */
struct table {
    const struct godwit_stream_fields *all;
    GHashTable *paths;  /* by device and path; a path that comes twice is at its last place */
    GHashTable *places; /* by device, offset and length */
};

/* Fills TABLE with FIELDS, but not with those of the devices in SAME, most of all: nobody looks for
 * them. */
static void table_init(struct table *table, const struct godwit_stream_fields *fields,
                       GHashTable *same)
{
    table->all = fields;
    table->paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    table->places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < fields->fields->len; i++) {
        struct godwit_stream_field *field = g_ptr_array_index(fields->fields, i);
        if (g_hash_table_contains(same, field->device))
            continue;
        g_hash_table_replace(table->paths, key_of(field), field);
        g_hash_table_replace(table->places, place_of(field), field);
    }
}

static void table_clear(struct table *table)
{
    g_hash_table_unref(table->paths);
    g_hash_table_unref(table->places);
}

/* Returns the field of THERE that is FIELD of HERE: of its name, or in its place if neither side
 * has the other's name. Returns NULL if there is none. */
static const struct godwit_stream_field *counterpart(const struct godwit_stream_field *field,
                                                     const struct table *here,
                                                     const struct table *there)
{
    g_autofree char *key = key_of(field);
    const struct godwit_stream_field *other = g_hash_table_lookup(there->paths, key);
    if (other)
        return other;
    g_autofree char *place = place_of(field);
    other = g_hash_table_lookup(there->places, place);
    g_autofree char *other_key = other ? key_of(other) : NULL;
    return other && !g_hash_table_contains(here->paths, other_key) ? other : NULL;
}

/* Returns the devices of which both streams have the same bytes. The caller frees the set; the
 * names are borrowed from ONE. */
static GHashTable *same_states(const struct godwit_stream_fields *one,
                               const struct godwit_stream_fields *other)
{
    GHashTable *same = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    gpointer device, state;
    g_hash_table_iter_init(&iter, one->states);
    while (g_hash_table_iter_next(&iter, &device, &state)) {
        GBytes *there = g_hash_table_lookup(other->states, device);
        if (there && g_bytes_equal(state, there))
            g_hash_table_add(same, device);
    }
    return same;
}

/* Adds what OTHER lacks: each device once, or else the field. */
static void add_missing(GPtrArray *differences, const struct godwit_stream_field *field,
                        const struct table *other, bool before)
{
    if (g_hash_table_contains(other->all->states, field->device)) {
        add_difference(differences, before ? field : NULL, before ? NULL : field);
        return;
    }
    const struct godwit_stream_difference *last =
        differences->len ? g_ptr_array_index(differences, differences->len - 1) : NULL;
    if (last && !*last->path && !strcmp(last->device, field->device))
        return;
    struct godwit_stream_difference *difference = g_new0(struct godwit_stream_difference, 1);
    difference->device = g_strdup(field->device);
    difference->path = g_strdup("");
    *(before ? &difference->before : &difference->after) = g_strdup("a section");
    g_ptr_array_add(differences, difference);
}

GPtrArray *godwit_stream_fields_compare(const struct godwit_stream_fields *before,
                                        const struct godwit_stream_fields *after)
{
    GPtrArray *differences = g_ptr_array_new_with_free_func(difference_free);
    g_autoptr(GHashTable) same = same_states(before, after);
    struct table here, there;
    table_init(&here, before, same);
    table_init(&there, after, same);
    for (guint i = 0; i < before->fields->len; i++) {
        const struct godwit_stream_field *field = g_ptr_array_index(before->fields, i);
        if (g_hash_table_contains(same, field->device))
            continue;
        const struct godwit_stream_field *other = counterpart(field, &here, &there);
        if (!other)
            add_missing(differences, field, &there, true);
        else if (!g_bytes_equal(field->value, other->value))
            add_difference(differences, field, other);
    }
    for (guint i = 0; i < after->fields->len; i++) {
        const struct godwit_stream_field *field = g_ptr_array_index(after->fields, i);
        if (!g_hash_table_contains(same, field->device) && !counterpart(field, &there, &here))
            add_missing(differences, field, &here, false);
    }
    table_clear(&here);
    table_clear(&there);
    return differences;
}
