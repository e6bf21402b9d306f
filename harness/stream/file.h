/*
 * Streams that are in files.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FILE_H
#define GODWIT_HARNESS_STREAM_FILE_H

#include "stream/reader.h"

/*
 * Reads the stream that begins OFFSET bytes into the file at PATH and ends with it, and tells SINK
 * all items. What kind of channel it is goes into *CHANNEL, also of one that is damaged.
 * ENVIRONMENT error if the file cannot be read, otherwise as godwit_stream_feed() and _end() have
 * them.
 */
bool godwit_stream_read_file(const char *path, uint64_t offset, godwit_stream_sink sink,
                             gpointer data, enum godwit_stream_channel *channel, GError **error);

#endif
