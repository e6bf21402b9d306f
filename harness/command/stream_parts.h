/*
 * Shared by the files stream*.c: the options of `godwit stream`, and the names of a
 * stream's commands.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_STREAM_PARTS_H
#define GODWIT_HARNESS_COMMAND_STREAM_PARTS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct stream_options {
    char *arch;
    gint64 offset; /* where in the file the stream begins */
    gboolean pages;
    char **words; /* the action and its arguments */
};

/* Does the action `inspect`: prints what the stream contains. Fails with STREAM if it
 * is damaged, after printing what comes before the damage, and with ENVIRONMENT if the file cannot
 * be read. */
bool godwit_stream_inspect(const struct stream_options *options, GError **error);

/* Does the action `fields`: prints each field of the devices' state. Fails with STREAM if the
 * stream is damaged or does not describe its state. */
bool godwit_stream_list_fields(const struct stream_options *options, GError **error);

/* Does the action `diff`: prints what differs between the devices' state in two streams. Fails with
 * STREAM if anything does, or as godwit_stream_list_fields() does. */
bool godwit_stream_diff(const struct stream_options *options, GError **error);

/* Returns the name of a command in a stream. TYPE is one of enum godwit_stream_command. */
const char *godwit_stream_command_name(uint64_t type);

#endif
