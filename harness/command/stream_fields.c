/*
 * godwit stream fields, and godwit stream diff: the devices' state field by field.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/stream_parts.h"

#include "base/json.h"
#include "base/text.h"
#include "stream/fields.h"
#include <stdio.h>

/* Returns the fields of the stream in the file PATH, or NULL. The caller frees them. */
static struct godwit_stream_fields *read_fields(const struct stream_options *options,
                                                const char *path, GError **error)
{
    struct godwit_stream_fields *fields =
        godwit_stream_fields_read(path, (uint64_t)options->offset, error);
    if (!fields)
        godwit_error_context(error, "%s", path);
    return fields;
}

/* Prints a line of foreign text. */
static bool print_line(const char *text, GError **error)
{
    g_autofree char *line = godwit_text_line(text);
    return puts(line) != EOF ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write to standard output: %s",
                       g_strerror(errno));
}

bool godwit_stream_list_fields(const struct stream_options *options, GError **error)
{
    struct godwit_stream_fields *fields = read_fields(options, options->words[1], error);
    bool good = fields != NULL;
    for (guint i = 0; good && i < fields->fields->len; i++) {
        const struct godwit_stream_field *field = g_ptr_array_index(fields->fields, i);
        g_autofree char *value = godwit_stream_field_value(field, 0);
        g_autofree char *line =
            g_strdup_printf("%s: %s (%s) %s", field->device, field->path, field->type, value);
        good = print_line(line, error);
    }
    godwit_stream_fields_free(fields);
    return good;
}

bool godwit_stream_diff(const struct stream_options *options, GError **error)
{
    struct godwit_stream_fields *before = read_fields(options, options->words[1], error);
    struct godwit_stream_fields *after =
        before ? read_fields(options, options->words[2], error) : NULL;
    bool good = after != NULL;
    if (good) {
        g_autoptr(GPtrArray) differences = godwit_stream_fields_compare(before, after);
        for (guint i = 0; good && i < differences->len; i++) {
            g_autofree char *line =
                godwit_stream_difference_text(g_ptr_array_index(differences, i));
            good = print_line(line, error);
        }
        if (good && differences->len)
            good = godwit_fail(error, GODWIT_ERROR_STREAM, "%u of %u fields differ",
                               differences->len, before->fields->len);
        else if (good)
            printf("%u fields are equal\n", before->fields->len);
    }
    godwit_stream_fields_free(before);
    godwit_stream_fields_free(after);
    return good;
}
