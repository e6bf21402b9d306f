/*
 * jansson in GLib's manners: automatic release, and packing that cannot fail silently.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_JSON_H
#define GODWIT_HARNESS_JSON_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

/* The string at KEY of OBJECT, or OTHERWISE if it is missing or no string. Owned by OBJECT. */
static inline const char *godwit_json_string(const json_t *object, const char *key,
                                             const char *otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

/* The integer at KEY of OBJECT, or OTHERWISE if it is missing or no integer. */
static inline json_int_t godwit_json_integer(const json_t *object, const char *key,
                                             json_int_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* Whether KEY of OBJECT is true. */
static inline bool godwit_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

#endif
