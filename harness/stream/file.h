/*
 * Reads a stream from a file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FILE_H
#define GODWIT_HARNESS_STREAM_FILE_H

#include "stream/reader.h"

/*
 * Reads the stream that begins OFFSET bytes into the file at PATH and ends where the file ends.
 * Calls SINK with DATA for each item. Sets *CHANNEL to the kind of channel, even if it fails. Pages
 * have the size that the configuration names or, if it names none, the description at the stream's
 * end. Fails with ENVIRONMENT if the file cannot be read, otherwise as godwit_stream_feed() and
 * godwit_stream_end() do.
 */
bool godwit_stream_read_file(const char *path, uint64_t offset, godwit_stream_sink sink,
                             gpointer data, enum godwit_stream_channel *channel, GError **error);

#endif
