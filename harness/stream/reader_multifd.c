/*
 * Reads a multifd channel: its first packet, and packets of pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/reader_parts.h"

#include <string.h>

/* Reads the magic and the version, with which both kinds of multifd packets begin. */
static enum step get_multifd(const struct godwit_stream *stream, struct cursor *cursor,
                             GError **error)
{
    const uint32_t magic = get32(cursor), version = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (magic != MAGIC_MULTIFD)
        return godwit_reader_wrong(
            stream, 0, error, "a multifd packet begins with 0x%08" PRIx32 " instead of its magic",
            magic);
    if (version != MULTIFD_VERSION)
        return godwit_reader_wrong(stream, 4, error,
                                   "multifd has version %" PRIu32 " instead of %d", version,
                                   MULTIFD_VERSION);
    return STEP_ITEM;
}

enum step godwit_reader_multifd_init(struct godwit_stream *stream, struct cursor *cursor,
                                     struct godwit_stream_item *item, GError **error)
{
    const enum step step = get_multifd(stream, cursor, error);
    if (step != STEP_ITEM)
        return step;
    item->kind = GODWIT_STREAM_MULTIFD_INIT;
    item->version = MULTIFD_VERSION;
    item->data = cursor->at;
    skip(cursor, 16); /* the guest's UUID */
    item->value = get(cursor, 1);
    skip(cursor, 7 + 32);
    if (cursor->lacking)
        return STEP_MORE;
    stream->place = PACKETS;
    return STEP_ITEM;
}

enum step godwit_reader_packet(struct godwit_stream *stream, struct cursor *cursor,
                               struct godwit_stream_item *item, GError **error)
{
    const enum step step = get_multifd(stream, cursor, error);
    if (step != STEP_ITEM)
        return step;
    item->kind = GODWIT_STREAM_MULTIFD_PACKET;
    item->version = MULTIFD_VERSION;
    item->flags = get32(cursor);
    skip(cursor, 4); /* how many pages it has room for, or 0; the room is always the same */
    item->pages = get32(cursor);
    const uint32_t size = get32(cursor);
    item->value = get(cursor, 8);
    item->zero_pages = get32(cursor);
    skip(cursor, 4 + 24);
    const size_t name_at = cursor->at;
    skip(cursor, sizeof(stream->packet_block));
    if (cursor->lacking)
        return STEP_MORE;
    if (item->flags & ~(uint32_t)(MULTIFD_SYNC | MULTIFD_METHODS))
        return godwit_reader_wrong(stream, 8, error,
                                   "a multifd packet has invalid flags 0x%" PRIx32, item->flags);
    const uint32_t most = PACKET_SIZE / stream->page_size;
    if (item->pages > most || item->zero_pages > most - item->pages)
        return godwit_reader_wrong(stream, 16, error,
                                   "a multifd packet has %" PRIu32 " pages and %" PRIu32
                                   " zero pages, with room for %" PRIu32,
                                   item->pages, item->zero_pages, most);
    /* A packet that only synchronises has no data, but the size of an earlier packet's data. */
    const uint32_t data = item->pages ? size : 0;
    const bool packed = item->flags & MULTIFD_METHODS;
    const uint64_t whole = (uint64_t)item->pages * stream->page_size;
    if (packed ? data > 2 * whole + PIECE : data != whole)
        return godwit_reader_wrong(stream, 20, error,
                                   "a multifd packet has %" PRIu32 " pages with %" PRIu32
                                   " bytes of data",
                                   item->pages, data);
    const uint8_t *name = cursor->bytes + name_at;
    const size_t length = strnlen((const char *)name, sizeof(stream->packet_block));
    if (length == sizeof(stream->packet_block) || !is_text(name, length) ||
        (length == 0 && item->pages + item->zero_pages > 0))
        return godwit_reader_wrong(
            stream, name_at, error,
            "the name of a multifd packet's RAM block is not printable text");
    const size_t pages_at = cursor->at;
    item->data = pages_at;
    skip(cursor, most * sizeof(uint64_t));
    if (cursor->lacking)
        return STEP_MORE;
    struct cursor pages = *cursor;
    pages.at = pages_at;
    g_free(stream->packet_pages);
    stream->packet_pages = g_new0(uint64_t, most);
    for (uint32_t i = 0; i < item->pages + item->zero_pages; i++) {
        stream->packet_pages[i] = get(&pages, 8);
        if (stream->packet_pages[i] % stream->page_size || stream->packet_pages[i] >= LARGEST_BLOCK)
            return godwit_reader_wrong(stream, pages.at - 8, error,
                                       "invalid offset of a page in a multifd packet: " HEX,
                                       stream->packet_pages[i]);
    }
    memcpy(stream->packet_block, name, sizeof(stream->packet_block));
    stream->packet_whole = item->pages;
    stream->packet_zero = item->zero_pages;
    stream->packet_next = 0;
    stream->packet_packed = packed;
    stream->packet_data = packed ? data : 0;
    stream->place = PACKET_PAGES;
    item->name = stream->packet_block;
    return STEP_ITEM;
}

enum step godwit_reader_packet_page(struct godwit_stream *stream, struct cursor *cursor,
                                    struct godwit_stream_item *item, GError **error)
{
    (void)error;
    const uint32_t next = stream->packet_next;
    if (next == stream->packet_whole + stream->packet_zero) {
        stream->place = stream->packet_data ? PACKET_DATA : PACKETS;
        return STEP_PLACE;
    }
    item->kind = GODWIT_STREAM_PAGE;
    item->name = stream->packet_block;
    item->data = 0;
    item->page_offset = stream->packet_pages[next];
    item->page = next >= stream->packet_whole ? GODWIT_STREAM_PAGE_ZERO
                 : stream->packet_packed      ? GODWIT_STREAM_PAGE_PACKED
                                              : GODWIT_STREAM_PAGE_WHOLE;
    if (item->page == GODWIT_STREAM_PAGE_WHOLE)
        skip(cursor, stream->page_size);
    if (cursor->lacking)
        return STEP_MORE;
    stream->packet_next++;
    return STEP_ITEM;
}

enum step godwit_reader_packet_data(struct godwit_stream *stream, struct cursor *cursor,
                                    struct godwit_stream_item *item, GError **error)
{
    (void)error;
    item->kind = GODWIT_STREAM_MULTIFD_DATA;
    item->name = stream->packet_block;
    item->data = 0;
    skip(cursor, stream->packet_data);
    if (cursor->lacking)
        return STEP_MORE;
    stream->place = PACKETS;
    return STEP_ITEM;
}
