/*
 * Reads a stream from a file, in large pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool godwit_stream_read_file(const char *path, uint64_t offset, godwit_stream_sink sink,
                             gpointer data, enum godwit_stream_channel *channel, GError **error)
{
    enum { CHUNK = 1 << 20 };
    *channel = GODWIT_STREAM_UNKNOWN;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: %s", path,
                           g_strerror(errno));
    struct godwit_stream *stream = godwit_stream_new(offset, sink, data);
    g_autofree char *buffer = g_malloc(CHUNK);
    bool good = offset == 0 || lseek(fd, (off_t)offset, SEEK_SET) >= 0;
    ssize_t got = good ? 1 : -1;
    while (good && got > 0) {
        do
            got = read(fd, buffer, CHUNK);
        while (got < 0 && errno == EINTR);
        good = got > 0 && godwit_stream_feed(stream, buffer, (size_t)got, error);
    }
    if (got < 0)
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read %s: %s", path, g_strerror(errno));
    else if (got == 0)
        good = godwit_stream_end(stream, error);
    *channel = godwit_stream_channel(stream);
    godwit_stream_free(stream);
    close(fd);
    return good;
}
