/*
 * jansson in GLib's style: automatic release, packing that cannot fail, text that is safe to print.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_JSON_H
#define GODWIT_HARNESS_BASE_JSON_H

#include <glib.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

/*
 * Does what json_string() does, but replaces bytes that are not UTF-8 by \xNN instead of failing.
 * Returns NULL for NULL.
 */
json_t *godwit_json_text(const char *text);

/*
 * Does what json_pack() does, for the characters {, }, [, ], s, b, i, I, f, o, O and, after a
 * value, *. Aborts at any other. Never fails: it repairs strings as godwit_json_text() does. A
 * missing value becomes null, or is left out if a * follows.
 */
json_t *godwit_json_pack(const char *format, ...);

/* Returns VALUE as text of printable ASCII (with newlines if FLAGS ask for them), which no terminal
 * interprets. The caller frees it. */
char *godwit_json_dump(const json_t *value, size_t flags);

/* jansson's own functions must not be called by mistake: a value that they refuse would silently be
 * lost. */
#ifndef GODWIT_JSON_PLAIN
#define json_string godwit_json_text
#define json_pack   godwit_json_pack
#endif

/* Returns the string at KEY of OBJECT, or OTHERWISE if it is missing or not a string. Owned by
 * OBJECT. */
static inline const char *godwit_json_string(const json_t *object, const char *key,
                                             const char *otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

/* Returns the integer at KEY of OBJECT, or OTHERWISE if it is missing or not an integer. */
static inline json_int_t godwit_json_integer(const json_t *object, const char *key,
                                             json_int_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* Returns the number at KEY of OBJECT, or NaN if it is missing or not a number. */
static inline double godwit_json_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* Returns the array at KEY of OBJECT, after adding an empty one if KEY is missing. Owned by
 * OBJECT. */
static inline json_t *godwit_json_list(json_t *object, const char *key)
{
    if (!json_object_get(object, key))
        json_object_set_new(object, key, json_array());
    return json_object_get(object, key);
}

/* Returns whether KEY of OBJECT is true. */
static inline bool godwit_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

#endif
