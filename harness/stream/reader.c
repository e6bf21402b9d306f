/*
 * The reader's core: takes pieces of the stream, calls the function of the present place until it
 * needs more bytes, and passes items to the sink. Bytes of an incomplete item wait in `pending`.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/reader_parts.h"

#include <string.h>

static const char *const kind_names[] = {
    [GODWIT_STREAM_HEADER] = "header",
    [GODWIT_STREAM_CONFIGURATION] = "configuration",
    [GODWIT_STREAM_SUBSECTION] = "subsection",
    [GODWIT_STREAM_START] = "start",
    [GODWIT_STREAM_PART] = "part",
    [GODWIT_STREAM_LAST] = "end",
    [GODWIT_STREAM_FULL] = "full",
    [GODWIT_STREAM_STATE] = "state",
    [GODWIT_STREAM_FOOTER] = "footer",
    [GODWIT_STREAM_COMMAND] = "command",
    [GODWIT_STREAM_EOF] = "eof",
    [GODWIT_STREAM_DESCRIPTION] = "description",
    [GODWIT_STREAM_RAM_SIZE] = "ram-size",
    [GODWIT_STREAM_RAM_BLOCK] = "ram-block",
    [GODWIT_STREAM_MAPPED_HEADER] = "mapped-header",
    [GODWIT_STREAM_MAPPED_BITMAP] = "mapped-bitmap",
    [GODWIT_STREAM_GAP] = "gap",
    [GODWIT_STREAM_PAGE] = "page",
    [GODWIT_STREAM_MARK] = "mark",
    [GODWIT_STREAM_MULTIFD_INIT] = "multifd-init",
    [GODWIT_STREAM_MULTIFD_PACKET] = "multifd-packet",
    [GODWIT_STREAM_MULTIFD_DATA] = "multifd-data",
};

static const char *const page_names[] = {
    [GODWIT_STREAM_PAGE_ZERO] = "zero",     [GODWIT_STREAM_PAGE_WHOLE] = "whole",
    [GODWIT_STREAM_PAGE_XBZRLE] = "xbzrle", [GODWIT_STREAM_PAGE_COMPRESSED] = "compressed",
    [GODWIT_STREAM_PAGE_PACKED] = "packed",
};

/* For messages: what a stream that ends in a place ends in. */
static const char *const place_names[] = {
    [BEGINNING] = "the beginning",
    [CONFIGURATION] = "the configuration",
    [SUBSECTIONS] = "the configuration, or before any section",
    [SECTIONS] = "a section's header, or before the mark of its end",
    [STATE] = "a device's state",
    [FOOTER] = "a section's footer",
    [RAM_SIZE] = "the list of RAM blocks",
    [RAM_BLOCKS] = "the list of RAM blocks",
    [MAPPED_HEADER] = "the header of a RAM block's pages",
    [MAPPED_BITMAP] = "the bitmap of a RAM block's pages",
    [MAPPED_PAGES] = "the pages of a RAM block",
    [RECORDS] = "a page's record, or between two",
    [AFTER_EOF] = "the description of the devices",
    [MULTIFD_INIT] = "the first packet of a multifd channel",
    [PACKETS] = "the header of a multifd packet",
    [PACKET_PAGES] = "the pages of a multifd packet",
    [PACKET_DATA] = "the data of a multifd packet",
    [OVER] = "nothing",
};

const char *godwit_stream_kind_name(enum godwit_stream_kind kind)
{
    return kind_names[kind];
}

const char *godwit_stream_page_name(enum godwit_stream_page page)
{
    return page_names[page];
}

enum step godwit_reader_wrong(const struct godwit_stream *stream, size_t at, GError **error,
                              const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    godwit_fail(error, GODWIT_ERROR_STREAM, "offset " HEX ": %s", stream->offset + at, text);
    return STEP_WRONG;
}

enum step godwit_reader_text(const struct godwit_stream *stream, struct cursor *cursor,
                             size_t length, char name[256], const char *what, GError **error)
{
    if (cursor->lacking)
        return STEP_MORE;
    if (length == 0 || length > 255)
        return godwit_reader_wrong(stream, cursor->at, error, "invalid name of %zu bytes for %s",
                                   length, what);
    if (!is_text(cursor->bytes + cursor->at, MIN(length, cursor->have - cursor->at)))
        return godwit_reader_wrong(stream, cursor->at, error,
                                   "the name of %s is not printable text", what);
    const uint8_t *from = cursor->bytes + cursor->at;
    skip(cursor, length);
    if (cursor->lacking)
        return STEP_MORE;
    memcpy(name, from, length);
    name[length] = 0;
    return STEP_ITEM;
}

enum step godwit_reader_name(const struct godwit_stream *stream, struct cursor *cursor,
                             char name[256], const char *what, GError **error)
{
    const size_t length = (size_t)get(cursor, 1);
    return godwit_reader_text(stream, cursor, length, name, what, error);
}

static enum step take_nothing(struct godwit_stream *stream, struct cursor *cursor,
                              struct godwit_stream_item *item, GError **error)
{
    (void)item;
    if (cursor->have == 0)
        return STEP_MORE;
    return godwit_reader_wrong(stream, 0, error, "bytes after the end of the stream");
}

static godwit_reader_take *const takes[] = {
    [BEGINNING] = godwit_reader_beginning,
    [CONFIGURATION] = godwit_reader_configuration,
    [SUBSECTIONS] = godwit_reader_subsection,
    [SECTIONS] = godwit_reader_section,
    [STATE] = godwit_reader_state,
    [FOOTER] = godwit_reader_footer,
    [RAM_SIZE] = godwit_reader_ram_size,
    [RAM_BLOCKS] = godwit_reader_ram_block,
    [MAPPED_HEADER] = godwit_reader_mapped_header,
    [MAPPED_BITMAP] = godwit_reader_mapped_bitmap,
    [MAPPED_PAGES] = godwit_reader_mapped_page,
    [RECORDS] = godwit_reader_record,
    [AFTER_EOF] = godwit_reader_description,
    [MULTIFD_INIT] = godwit_reader_multifd_init,
    [PACKETS] = godwit_reader_packet,
    [PACKET_PAGES] = godwit_reader_packet_page,
    [PACKET_DATA] = godwit_reader_packet_data,
    [OVER] = take_nothing,
};

/* Fills in what all items have, and passes the item to the sink. */
static bool pass_item(struct godwit_stream *stream, const struct cursor *cursor,
                      struct godwit_stream_item *item, GError **error)
{
    const struct section *section = stream->section;
    item->bytes = cursor->bytes;
    item->length = cursor->at;
    item->data = MIN(item->data, item->length);
    item->offset = stream->offset;
    if (section) {
        item->section = section->name;
        item->section_id = section->id;
        item->instance_id = section->instance;
        /* Items without a version have the section's. */
        if (item->version == 0)
            item->version = section->version;
    }
    /* The command of a package is not in the package. */
    item->packaged = stream->package_left && item->package_size == 0;
    if (item->packaged)
        stream->package_left -= item->length;
    stream->offset += item->length;
    stream->scanned = 0;
    if (item->kind == GODWIT_STREAM_FOOTER)
        stream->section = NULL;
    if (item->packaged && !stream->package_left && stream->place != SECTIONS) {
        godwit_reader_wrong(stream, 0, error, "the package ends in %s", place_names[stream->place]);
        return false;
    }
    return stream->sink(item, stream->data, error);
}

/* Passes all complete items in LENGTH BYTES to the sink. Returns how many bytes they have. LAST
 * means that no more bytes come. */
static size_t parse(struct godwit_stream *stream, const uint8_t *bytes, size_t length, bool last)
{
    size_t done = 0;
    while (!stream->failure) {
        const uint64_t left = stream->package_left;
        struct cursor cursor = {.bytes = bytes + done, .have = length - done, .last = last};
        if (left && left <= cursor.have) {
            cursor.have = (size_t)left;
            cursor.last = true;
        }
        struct godwit_stream_item item = {
            .data = SIZE_MAX, .section = "", .name = "", .page_size = stream->page_size};
        const enum step step = takes[stream->place](stream, &cursor, &item, &stream->failure);
        if (step == STEP_PLACE)
            continue;
        if (step == STEP_MORE && left && cursor.last && cursor.have == left)
            godwit_reader_wrong(stream, 0, &stream->failure, "the package ends in %s",
                                place_names[stream->place]);
        if (step != STEP_ITEM)
            break;
        done += cursor.at;
        pass_item(stream, &cursor, &item, &stream->failure);
    }
    return done;
}

struct godwit_stream *godwit_stream_new(uint64_t start, godwit_stream_sink sink, gpointer data)
{
    struct godwit_stream *stream = g_new0(struct godwit_stream, 1);
    stream->sink = sink;
    stream->data = data;
    stream->offset = start;
    stream->pending = g_byte_array_new();
    stream->sections = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    stream->blocks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    stream->page_size = 4096;
    return stream;
}

void godwit_stream_set_page_size(struct godwit_stream *stream, uint32_t size)
{
    stream->page_size = size;
}

void godwit_stream_free(struct godwit_stream *stream)
{
    if (!stream)
        return;
    g_byte_array_unref(stream->pending);
    g_hash_table_unref(stream->sections);
    g_hash_table_unref(stream->blocks);
    g_clear_error(&stream->failure);
    g_free(stream->bitmap);
    g_free(stream->packet_pages);
    g_free(stream);
}

static bool report(const struct godwit_stream *stream, GError **error)
{
    if (stream->failure && error)
        *error = g_error_copy(stream->failure);
    return !stream->failure;
}

bool godwit_stream_feed(struct godwit_stream *stream, const void *bytes, size_t length,
                        GError **error)
{
    const uint8_t *next = bytes;
    GByteArray *pending = stream->pending;
    while (length && !stream->failure) {
        if (pending->len == 0) {
            const size_t used = parse(stream, next, length, false);
            g_byte_array_append(pending, next + used, (guint)(length - used));
            break;
        }
        /* Copy only what may complete a page: the rest is parsed in place. */
        const size_t taken = MIN(length, (size_t)PIECE);
        g_byte_array_append(pending, next, (guint)taken);
        next += taken;
        length -= taken;
        const size_t used = parse(stream, pending->data, pending->len, false);
        const size_t left = pending->len - used;
        if (used && left <= taken) {
            next -= left;
            length += left;
            g_byte_array_set_size(pending, 0);
        } else if (used) {
            g_byte_array_remove_range(pending, 0, (guint)used);
        }
    }
    return report(stream, error);
}

bool godwit_stream_end(struct godwit_stream *stream, GError **error)
{
    GByteArray *pending = stream->pending;
    /* The data of an empty array may be NULL. */
    const uint8_t *bytes = pending->len ? pending->data : (const uint8_t *)"";
    const size_t used = parse(stream, bytes, pending->len, true);
    if (used)
        g_byte_array_remove_range(pending, 0, (guint)used);
    const enum place place = stream->place;
    /* Newer QEMUs end a preempt channel without a mark. */
    const bool complete =
        pending->len == 0 && (place == OVER || place == AFTER_EOF || place == PACKETS ||
                              (place == RECORDS && !stream->section));
    if (!stream->failure && !complete)
        godwit_reader_wrong(stream, pending->len, &stream->failure, "the stream ends in %s",
                            stream->offset + pending->len ? place_names[place]
                                                          : "nothing: it is empty");
    return report(stream, error);
}

enum godwit_stream_channel godwit_stream_channel(const struct godwit_stream *stream)
{
    return stream->channel;
}

const uint8_t *godwit_stream_pending(const struct godwit_stream *stream, size_t *length)
{
    *length = stream->pending->len;
    return stream->pending->data;
}
