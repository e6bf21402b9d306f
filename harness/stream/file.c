/*
 * Reads a stream from a file, in large pieces.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The longest description of devices' states in which to look for the size of pages. */
#define DESCRIPTION_MOST ((size_t)64 << 20)

/* Returns whether the LENGTH bytes at TEXT are the whole text of a description. Before it come its
 * type and its length. */
static bool is_description(const char *text, size_t length)
{
    const uint8_t head[] = {0x06, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                            (uint8_t)(length >> 8), (uint8_t)length};
    return !memcmp(text - sizeof(head), head, sizeof(head));
}

/* Returns the description at the end of so many BYTES, and its length in *LEFT, or NULL if there is
 * none. It ends with a brace. */
static const char *find_description(const char *bytes, size_t length, size_t *left)
{
    enum { HEAD = 5 };
    const size_t first = length > DESCRIPTION_MOST ? length - DESCRIPTION_MOST : HEAD;
    if (length <= HEAD || bytes[length - 1] != '}')
        return NULL;
    for (size_t at = length; at > first;) {
        const char *brace = memrchr(bytes + first, '{', at - first);
        if (!brace)
            return NULL;
        at = (size_t)(brace - bytes);
        *left = length - at;
        if (is_description(brace, *left))
            return brace;
    }
    return NULL;
}

/*
 * Sets the size of pages to the one that the description at the stream's end names. A target that
 * knows several sizes names its smallest one nowhere else: some boards of Arm have pages of 1024
 * bytes.
 */
static void apply_description(struct godwit_stream *stream, const char *path)
{
    enum { SMALLEST = 1 << 10, LARGEST = 1 << 16 };
    static const char key[] = "\"page_size\": ", devices[] = "\"devices\": ";
    /* What cannot be mapped, such as a pipe, is read all the same. */
    GMappedFile *file = g_mapped_file_new(path, FALSE, NULL);
    const char *bytes = file ? g_mapped_file_get_contents(file) : NULL;
    size_t left = 0;
    const char *text =
        bytes ? find_description(bytes, g_mapped_file_get_length(file), &left) : NULL;
    /* The size comes before the devices, whose fields may have any name. */
    const char *end = text ? memmem(text, left, devices, strlen(devices)) : NULL;
    const char *at = end ? memmem(text, (size_t)(end - text), key, strlen(key)) : NULL;
    const guint64 size = at ? g_ascii_strtoull(at + strlen(key), NULL, 10) : 0;
    if (size >= SMALLEST && size <= LARGEST && !(size & (size - 1)))
        godwit_stream_set_page_size(stream, (uint32_t)size);
    g_clear_pointer(&file, g_mapped_file_unref);
}

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
    apply_description(stream, path);
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
