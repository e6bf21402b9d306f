/*
 * Builds JSON from foreign text. jansson refuses a string that is not UTF-8, and its json_pack()
 * then returns NULL for the whole value, which callers would treat as "no value". The functions
 * here repair such strings instead, and use null for a missing value.
 *
 * SPDX-License-Identifier: MIT
 */
#define GODWIT_JSON_PLAIN /* use jansson's own names */
#include "base/json.h"

#include "base/text.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

json_t *godwit_json_text(const char *text)
{
    if (!text)
        return NULL;
    json_t *string = json_string(text);
    if (string)
        return string;
    g_autofree char *repaired = godwit_text_utf8(text);
    return json_string(repaired);
}

struct packer {
    const char *whole, *format;
    va_list arguments;
};

static json_t *pack_value(struct packer *packer);

/* Returns the next character of the format, skipping separators. */
static char next(struct packer *packer)
{
    packer->format += strspn(packer->format, " ,:");
    if (!*packer->format)
        g_error("\"%s\": unfinished", packer->whole);
    return *packer->format++;
}

/* Packs a value and the "*" after it, if any. *LEFT_OUT is true if the value is missing and has a
 * "*". */
static json_t *pack_member(struct packer *packer, bool *left_out)
{
    json_t *value = pack_value(packer);
    const bool optional = *packer->format == '*';
    packer->format += optional;
    *left_out = !value && optional;
    return value || optional ? value : json_null();
}

static json_t *pack_object(struct packer *packer)
{
    json_t *object = json_object();
    while (next(packer) != '}') {
        const char *key = va_arg(packer->arguments, const char *);
        bool left_out;
        json_t *value = pack_member(packer, &left_out);
        if (!left_out)
            json_object_set_new(object, key, value);
    }
    return object;
}

static json_t *pack_array(struct packer *packer)
{
    json_t *array = json_array();
    while (next(packer) != ']') {
        bool left_out;
        packer->format--;
        json_t *value = pack_member(packer, &left_out);
        if (!left_out)
            json_array_append_new(array, value);
    }
    return array;
}

static json_t *pack_value(struct packer *packer)
{
    switch (next(packer)) {
    case '{':
        return pack_object(packer);
    case '[':
        return pack_array(packer);
    case 's':
        return godwit_json_text(va_arg(packer->arguments, const char *));
    case 'b':
        return json_boolean(va_arg(packer->arguments, int));
    case 'i':
        return json_integer(va_arg(packer->arguments, int));
    case 'I':
        return json_integer(va_arg(packer->arguments, json_int_t));
    case 'f':
        return json_real(va_arg(packer->arguments, double));
    case 'o':
        return va_arg(packer->arguments, json_t *);
    case 'O':
        return json_incref(va_arg(packer->arguments, json_t *));
    default:
        g_error("\"%s\": unknown character before \"%s\"", packer->whole, packer->format);
    }
}

json_t *godwit_json_pack(const char *format, ...)
{
    struct packer packer = {.whole = format, .format = format};
    va_start(packer.arguments, format);
    json_t *value = pack_value(&packer);
    va_end(packer.arguments);
    return value;
}

char *godwit_json_dump(const json_t *value, size_t flags)
{
    char *dumped = json_dumps(value, flags | JSON_ENSURE_ASCII);
    GString *text = g_string_new(NULL);
    /* JSON_ENSURE_ASCII leaves only DEL unescaped, which can occur only in a string. */
    for (const char *c = dumped ? dumped : "null"; *c; c++)
        if (*c == '\x7f')
            g_string_append(text, "\\u007f");
        else
            g_string_append_c(text, *c);
    free(dumped);
    return g_string_free(text, FALSE);
}
