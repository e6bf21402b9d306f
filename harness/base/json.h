/*
 * jansson in GLib's manners: automatic release, packing that cannot fail, text that is safe to
 * show.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_JSON_H
#define GODWIT_HARNESS_BASE_JSON_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

/*
 * Does what json_string() does, and replaces bytes that are not UTF-8 by \xNN where that returns
 * NULL. NULL for NULL.
 */
json_t *godwit_json_text(const char *text);

/*
 * Does what json_pack() does with the characters {, }, [, ], s, b, i, I, f, o, O and, behind a
 * value, *; aborts at any other. Never fails: strings are repaired as by godwit_json_text(), and
 * what has no value is null, or left out if a * follows.
 */
json_t *godwit_json_pack(const char *format, ...);

/* VALUE as text of printable ASCII (and newlines, if FLAGS ask for them), which no terminal obeys.
 * The caller frees it. */
char *godwit_json_dump(const json_t *value, size_t flags);

/* Nobody calls jansson's own by mistake: what they refuse would be lost without a word. */
#ifndef GODWIT_JSON_PLAIN
#define json_string godwit_json_text
#define json_pack   godwit_json_pack
#endif

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

/* The array at KEY of OBJECT, an empty one put there if there is none. Owned by OBJECT. */
static inline json_t *godwit_json_list(json_t *object, const char *key)
{
    if (!json_object_get(object, key))
        json_object_set_new(object, key, json_array());
    return json_object_get(object, key);
}

/* Whether KEY of OBJECT is true. */
static inline bool godwit_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

#endif
