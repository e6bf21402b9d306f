/*
 * Compares the length of each device's state with the JSON description at the stream's end, which
 * lists the fields and subsections of each state with their sizes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/description.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#define HEX "0x%" PRIx64

/* A length that the description does not give. */
#define UNKNOWN UINT64_MAX

/* More than the length of any state. Twice as much does not overflow. */
#define MOST ((uint64_t)1 << 62)

struct godwit_stream_description *godwit_stream_description_new(void)
{
    struct godwit_stream_description *description = g_new0(struct godwit_stream_description, 1);
    description->states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return description;
}

void godwit_stream_description_free(struct godwit_stream_description *description)
{
    if (!description)
        return;
    g_hash_table_unref(description->states);
    g_free(description);
}

/* Returns a number of the description, limited to GODWIT_STREAM_ITEM_MAX, which no valid number
 * reaches. */
static uint64_t number(const json_t *object, const char *key, json_int_t otherwise)
{
    const json_int_t value = godwit_json_integer(object, key, otherwise);
    return value < 0 || value > GODWIT_STREAM_ITEM_MAX ? GODWIT_STREAM_ITEM_MAX : (uint64_t)value;
}

/* Returns the length of a field. An array has one description for all of its elements. */
static uint64_t field_length(const json_t *field)
{
    const json_t *structure = json_object_get(field, "struct");
    const bool array = json_object_get(field, "array_len") != NULL;
    if (array && structure && json_object_size(structure) == 0)
        return UNKNOWN;
    return number(field, "size", GODWIT_STREAM_ITEM_MAX) * number(field, "array_len", 1);
}

/* Returns the sum, limited to MOST: a description can have any numbers. */
static uint64_t add(uint64_t length, uint64_t more)
{
    return MIN(length + more, MOST);
}

/* Returns the length of a state or a subsection: its fields, then its subsections, each after a
 * mark, its name and its version. A field's size includes what is nested in the field. */
static uint64_t state_length(const json_t *state)
{
    uint64_t length = 0;
    size_t index;
    const json_t *element;
    json_array_foreach(json_object_get(state, "fields"), index, element)
    {
        const uint64_t more = field_length(element);
        if (more == UNKNOWN)
            return UNKNOWN;
        length = add(length, more);
    }
    json_array_foreach(json_object_get(state, "subsections"), index, element)
    {
        const uint64_t more = state_length(element);
        if (more == UNKNOWN)
            return UNKNOWN;
        length = add(length, 1 + 1 + strlen(godwit_json_string(element, "vmsd_name", "")) + 4);
        length = add(length, more);
    }
    return length;
}

static char *key_of(const char *name, uint64_t instance)
{
    return g_strdup_printf("%s %" PRIu64, name, instance);
}

static bool compare(struct godwit_stream_description *description, const json_t *device,
                    uint64_t offset, GError **error)
{
    const char *name = godwit_json_string(device, "name", "");
    const json_int_t instance = godwit_json_integer(device, "instance_id", 0);
    g_autofree char *key = key_of(name, (uint32_t)instance);
    const uint64_t *length = g_hash_table_lookup(description->states, key);
    const uint64_t described = state_length(device);
    if (!length)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "offset " HEX
                           ": the description lists \"%s\", which is not a section or "
                           "was listed before",
                           offset, key);
    if (described != UNKNOWN && described != *length)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "offset " HEX ": the state of \"%s\" has %" PRIu64
                           " bytes; its description gives %" PRIu64,
                           offset, key, *length, described);
    if (described == UNKNOWN)
        description->undescribed++;
    else
        description->agreed++;
    g_hash_table_remove(description->states, key);
    return true;
}

static bool compare_all(struct godwit_stream_description *description,
                        const struct godwit_stream_item *item, GError **error)
{
    json_error_t reason;
    g_autoptr(json_t) root =
        json_loadb((const char *)item->bytes + item->data, item->length - item->data, 0, &reason);
    if (!root)
        return godwit_fail(
            error, GODWIT_ERROR_STREAM, "offset " HEX ": the description is not JSON: %s",
            item->offset + item->data + (uint64_t)MAX(reason.position, 0), reason.text);
    size_t index;
    const json_t *device;
    json_array_foreach(json_object_get(root, "devices"), index,
                       device) if (!compare(description, device, item->offset, error)) return false;
    GHashTableIter left;
    gpointer key;
    g_hash_table_iter_init(&left, description->states);
    if (g_hash_table_iter_next(&left, &key, NULL))
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "offset " HEX ": the description does not list \"%s\"", item->offset,
                           (const char *)key);
    return true;
}

bool godwit_stream_description_take(struct godwit_stream_description *description,
                                    const struct godwit_stream_item *item, GError **error)
{
    if (item->kind == GODWIT_STREAM_DESCRIPTION)
        return compare_all(description, item, error);
    if (item->kind == GODWIT_STREAM_FULL)
        g_hash_table_insert(description->states, key_of(item->section, item->instance_id),
                            g_new0(uint64_t, 1));
    if (item->kind == GODWIT_STREAM_STATE) {
        g_autofree char *key = key_of(item->section, item->instance_id);
        uint64_t *length = g_hash_table_lookup(description->states, key);
        if (length)
            *length = item->length;
    }
    return true;
}
