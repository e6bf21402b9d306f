/*
 * Parses what -dump-vmstate writes.
 *
 * The document is an object with a member for each device type, and "vmschkmachine" for the machine
 * type. QEMU leaves out "Fields", "Subsections", "num" and "Description" where there are none. All
 * else must be there, with the right type: a document that differs from that is from a QEMU that
 * this parser does not know, and a guess would make findings or hide them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/vmstate.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include <limits.h>

/* The member that names the machine type. */
#define MACHINE "vmschkmachine"

/* The largest document. QEMU's own have about 2 MiB. */
#define DOCUMENT_MAX ((size_t)16 << 20)

/* How deep structures and subsections may be nested. QEMU's own are at most 6 deep. */
#define DEPTH_MAX 32

/* The most bytes, or elements, of a field. The product of two must fit into 64 bits. */
#define SIZE_MAX_PLAUSIBLE INT32_MAX

static void field_free(gpointer data);

static void state_free(gpointer data)
{
    struct godwit_vmstate *state = data;
    if (!state)
        return;
    g_free(state->name);
    g_ptr_array_unref(state->fields);
    g_ptr_array_unref(state->subsections);
    g_free(state);
}

static void field_free(gpointer data)
{
    struct godwit_vmstate_field *field = data;
    g_free(field->name);
    state_free(field->structure);
    g_free(field);
}

static void device_free(gpointer data)
{
    struct godwit_vmstate_device *device = data;
    g_free(device->type);
    state_free(device->state);
    g_free(device);
}

void godwit_vmstate_free(struct godwit_vmstate_document *document)
{
    if (!document)
        return;
    g_free(document->machine);
    g_hash_table_unref(document->types);
    g_ptr_array_unref(document->devices);
    g_free(document);
}

/* Where the parser is, for its error. */
struct place {
    const char *type; /* of the device */
    int depth;
    bool counted; /* a field has given its number of elements */
    GError **error;
};

static bool broken(const struct place *place, const char *problem)
{
    return godwit_fail(place->error, GODWIT_ERROR_ENVIRONMENT,
                       "not a document of -dump-vmstate: device \"%s\": %s", place->type, problem);
}

/* Copies the string at KEY of OBJECT to *STRING, as one tame line. */
static bool take_string(const struct place *place, const json_t *object, const char *key,
                        char **string)
{
    const char *value = godwit_json_string(object, key, NULL);
    if (!value) {
        g_autofree char *problem = g_strdup_printf("\"%s\" is not a string", key);
        return broken(place, problem);
    }
    *string = godwit_text_line(value);
    return true;
}

/* Copies the integer at KEY of OBJECT, which must not be negative, to *NUMBER. */
static bool take_number(const struct place *place, const json_t *object, const char *key,
                        int *number)
{
    const json_int_t value = godwit_json_integer(object, key, -1);
    if (value < 0 || value > SIZE_MAX_PLAUSIBLE) {
        g_autofree char *problem =
            g_strdup_printf("\"%s\" is not a number from 0 to %d", key, SIZE_MAX_PLAUSIBLE);
        return broken(place, problem);
    }
    *number = (int)value;
    return true;
}

/* Adds what TAKE makes of each element of the array at KEY of OBJECT to LIST. */
static bool take_list(struct place *place, const json_t *object, const char *key, GPtrArray *list,
                      gpointer (*take)(struct place *, const json_t *))
{
    const json_t *array = json_object_get(object, key);
    size_t i;
    const json_t *element;
    if (array && !json_is_array(array)) {
        g_autofree char *problem = g_strdup_printf("\"%s\" is not an array", key);
        return broken(place, problem);
    }
    json_array_foreach(array, i, element)
    {
        gpointer item = take(place, element);
        if (!item)
            return false;
        g_ptr_array_add(list, item);
    }
    return true;
}

static gpointer take_field(struct place *place, const json_t *object);

/* Makes a state of OBJECT. Returns NULL if it is not one. */
static gpointer take_state(struct place *place, const json_t *object)
{
    struct godwit_vmstate *state = g_new0(struct godwit_vmstate, 1);
    state->fields = g_ptr_array_new_with_free_func(field_free);
    state->subsections = g_ptr_array_new_with_free_func(state_free);
    bool good = ++place->depth <= DEPTH_MAX || broken(place, "structures are nested too deeply");
    good = good && take_string(place, object, "name", &state->name) &&
           take_number(place, object, "version_id", &state->version) &&
           take_number(place, object, "minimum_version_id", &state->minimum) &&
           take_list(place, object, "Fields", state->fields, take_field) &&
           take_list(place, object, "Subsections", state->subsections, take_state);
    place->depth--;
    if (!good)
        g_clear_pointer(&state, state_free);
    return state;
}

/* Takes the members of a field that are always there, and "num". */
static bool take_members(struct place *place, const json_t *object,
                         struct godwit_vmstate_field *field)
{
    int size, count = 1;
    if (!take_string(place, object, "field", &field->name) ||
        !take_number(place, object, "version_id", &field->version) ||
        !take_number(place, object, "size", &size) ||
        (json_object_get(object, "num") && !take_number(place, object, "num", &count)))
        return false;
    const json_t *conditional = json_object_get(object, "field_exists");
    if (!json_is_boolean(conditional))
        return broken(place, "\"field_exists\" is not a boolean");
    field->conditional = json_is_true(conditional);
    field->size = (uint64_t)size;
    field->count = (uint64_t)count;
    place->counted = place->counted || json_object_get(object, "num");
    return true;
}

/* Makes a field of OBJECT. Returns NULL if it is not one. */
static gpointer take_field(struct place *place, const json_t *object)
{
    struct godwit_vmstate_field *field = g_new0(struct godwit_vmstate_field, 1);
    const json_t *structure = json_object_get(object, "Description");
    bool good = take_members(place, object, field);
    if (good && structure) {
        field->structure = take_state(place, structure);
        good = field->structure != NULL;
    }
    if (!good)
        g_clear_pointer(&field, field_free);
    return field;
}

/* Adds the device TYPE, which OBJECT describes, to DOCUMENT. */
static bool take_device(struct godwit_vmstate_document *document, const char *type,
                        const json_t *object, GError **error)
{
    g_autofree char *tame = godwit_text_line(type);
    struct place place = {tame, 0, document->counted, error};
    struct godwit_vmstate *state = take_state(&place, json_object_get(object, "Description"));
    if (!state)
        return false;
    struct godwit_vmstate_device *device = g_new0(struct godwit_vmstate_device, 1);
    device->type = g_steal_pointer(&tame);
    device->state = state;
    document->counted = place.counted;
    g_ptr_array_add(document->devices, device);
    g_hash_table_insert(document->types, device->type, device);
    return true;
}

struct godwit_vmstate_document *godwit_vmstate_parse(const char *text, size_t length,
                                                     GError **error)
{
    json_error_t problem;
    g_autoptr(json_t) root =
        length <= DOCUMENT_MAX ? json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem) : NULL;
    if (length > DOCUMENT_MAX) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                    "not a document of -dump-vmstate: larger than %zu MiB", DOCUMENT_MAX >> 20);
        return NULL;
    }
    if (!json_is_object(root)) {
        g_autofree char *reason = godwit_text_line(root ? "not an object" : problem.text);
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "not a document of -dump-vmstate: %s", reason);
        return NULL;
    }
    struct godwit_vmstate_document *document = g_new0(struct godwit_vmstate_document, 1);
    document->devices = g_ptr_array_new_with_free_func(device_free);
    document->types = g_hash_table_new(g_str_hash, g_str_equal);
    document->machine =
        godwit_text_line(godwit_json_string(json_object_get(root, MACHINE), "Name", ""));
    const char *type;
    json_t *object;
    json_object_foreach(root, type, object)
    {
        if (g_str_equal(type, MACHINE) || take_device(document, type, object, error))
            continue;
        g_clear_pointer(&document, godwit_vmstate_free);
        break;
    }
    return document;
}

struct godwit_vmstate_document *godwit_vmstate_read(const char *path, GError **error)
{
    size_t length;
    g_autofree char *text = godwit_file_read(path, DOCUMENT_MAX, &length, error);
    struct godwit_vmstate_document *document =
        text ? godwit_vmstate_parse(text, length, error) : NULL;
    if (text && !document)
        godwit_error_context(error, "%s", path);
    return document;
}
