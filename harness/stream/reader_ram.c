/*
 * Reads the section "ram": the list of RAM blocks, the pages of mapped-ram, and page records.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/reader_parts.h"

#include <string.h>

static struct block *find_block(const struct godwit_stream *stream, const char *name)
{
    return g_hash_table_lookup(stream->blocks, name);
}

static struct block *add_block(struct godwit_stream *stream, const char *name, uint64_t length)
{
    struct block *block = g_new0(struct block, 1);
    g_strlcpy(block->name, name, sizeof(block->name));
    block->length = length;
    g_hash_table_insert(stream->blocks, block->name, block);
    return block;
}

enum step godwit_reader_ram_size(struct godwit_stream *stream, struct cursor *cursor,
                                 struct godwit_stream_item *item, GError **error)
{
    const uint64_t word = get(cursor, 8);
    if (cursor->lacking)
        return STEP_MORE;
    const uint64_t low = stream->page_size - 1;
    item->kind = GODWIT_STREAM_RAM_SIZE;
    item->flags = (uint32_t)(word & low);
    item->value = word & ~low;
    if (item->flags != GODWIT_RAM_SIZE)
        return godwit_reader_wrong(stream, 0, error,
                                   "invalid start of the list of RAM blocks: " HEX, word);
    if (item->value >= LARGEST_BLOCK)
        return godwit_reader_wrong(stream, 0, error, "invalid size of RAM: " HEX " bytes",
                                   item->value);
    stream->blocks_left = item->value;
    stream->place = item->value ? RAM_BLOCKS : RECORDS;
    return STEP_ITEM;
}

/* Returns whether a page size is at the cursor. Postcopy sends one for a block whose page size
 * differs from the host's. What can be there instead looks different: a name begins with its
 * length, and a record has a flag. */
static bool is_block_page_size(const struct godwit_stream *stream, const struct cursor *cursor)
{
    struct cursor next = *cursor;
    const uint64_t size = get(&next, 8);
    return !next.lacking && size > stream->page_size && (size & (size - 1)) == 0 &&
           (size & stream->postcopy_sizes);
}

enum step godwit_reader_ram_block(struct godwit_stream *stream, struct cursor *cursor,
                                  struct godwit_stream_item *item, GError **error)
{
    const enum step step = godwit_reader_name(stream, cursor, stream->name, "a RAM block", error);
    if (step != STEP_ITEM)
        return step;
    item->kind = GODWIT_STREAM_RAM_BLOCK;
    item->name = stream->name;
    item->value = get(cursor, 8);
    if (cursor->lacking)
        return STEP_MORE;
    if (find_block(stream, stream->name))
        return godwit_reader_wrong(stream, 0, error, "RAM block \"%s\" is named a second time",
                                   stream->name);
    if (g_hash_table_size(stream->blocks) == MOST_BLOCKS)
        return godwit_reader_wrong(stream, 0, error, "more than %d RAM blocks", MOST_BLOCKS);
    if (item->value == 0 || item->value > stream->blocks_left || item->value % stream->page_size)
        return godwit_reader_wrong(stream, cursor->at - 8, error,
                                   "invalid length of RAM block \"%s\": " HEX " bytes, with " HEX
                                   " left for all blocks",
                                   stream->name, item->value, stream->blocks_left);
    item->page_size = 0;
    if (stream->postcopy_sizes & ~(uint64_t)stream->page_size) {
        struct cursor ahead = *cursor;
        skip(&ahead, 8);
        if (ahead.lacking)
            return STEP_MORE;
        if (is_block_page_size(stream, cursor))
            item->page_size = (uint32_t)get(cursor, 8);
    }
    if (stream->ignores_shared)
        item->address = get(cursor, 8);
    if (cursor->lacking)
        return STEP_MORE;
    item->data = cursor->at;
    stream->last_block = add_block(stream, stream->name, item->value);
    stream->blocks_left -= item->value;
    stream->place = stream->mapped ? MAPPED_HEADER : stream->blocks_left ? RAM_BLOCKS : RECORDS;
    if (!stream->mapped && !stream->blocks_left)
        stream->last_block = NULL;
    return STEP_ITEM;
}

/* Returns the size of a bitmap with one bit for each of the block's pages, in bytes. It consists of
 * words of eight bytes. */
static uint64_t bitmap_size(const struct godwit_stream *stream)
{
    const uint64_t pages = stream->last_block->length / stream->page_size;
    return (pages + 63) / 64 * 8;
}

enum step godwit_reader_mapped_header(struct godwit_stream *stream, struct cursor *cursor,
                                      struct godwit_stream_item *item, GError **error)
{
    item->kind = GODWIT_STREAM_MAPPED_HEADER;
    item->name = stream->last_block->name;
    item->version = get32(cursor);
    const uint64_t page_size = get(cursor, 8);
    const uint64_t bitmap_at = get(cursor, 8);
    item->value = get(cursor, 8);
    if (cursor->lacking)
        return STEP_MORE;
    if (item->version != MAPPED_VERSION)
        return godwit_reader_wrong(stream, 0, error,
                                   "mapped-ram has version %" PRIu32 " instead of %d",
                                   item->version, MAPPED_VERSION);
    if (page_size != stream->page_size)
        return godwit_reader_wrong(stream, 4, error,
                                   "mapped-ram has pages of " HEX " bytes instead of %" PRIu32,
                                   page_size, stream->page_size);
    const uint64_t here = stream->offset + cursor->at, size = bitmap_size(stream);
    if (bitmap_at != here)
        return godwit_reader_wrong(stream, 12, error,
                                   "the bitmap of RAM block \"%s\" is at " HEX " instead of " HEX,
                                   item->name, bitmap_at, here);
    if (size > GODWIT_STREAM_ITEM_MAX)
        return godwit_reader_wrong(stream, 12, error,
                                   "RAM block \"%s\" is too large: its bitmap has " HEX " bytes",
                                   item->name, size);
    if (item->value < here + size || item->value >= LARGEST_BLOCK)
        return godwit_reader_wrong(stream, 20, error,
                                   "invalid offset of the pages of RAM block \"%s\": " HEX,
                                   item->name, item->value);
    stream->pages_at = item->value;
    stream->place = MAPPED_BITMAP;
    return STEP_ITEM;
}

enum step godwit_reader_mapped_bitmap(struct godwit_stream *stream, struct cursor *cursor,
                                      struct godwit_stream_item *item, GError **error)
{
    (void)error;
    const size_t size = (size_t)bitmap_size(stream);
    skip(cursor, size);
    if (cursor->lacking)
        return STEP_MORE;
    item->kind = GODWIT_STREAM_MAPPED_BITMAP;
    item->name = stream->last_block->name;
    item->data = 0;
    g_free(stream->bitmap);
    stream->bitmap = g_memdup2(cursor->bytes, size);
    stream->mapped_page = 0;
    stream->place = MAPPED_PAGES;
    return STEP_ITEM;
}

static bool has_page(const struct godwit_stream *stream, uint64_t page)
{
    return stream->bitmap[page / 8] >> page % 8 & 1;
}

/* Takes a page, or a piece of a gap. */
enum step godwit_reader_mapped_page(struct godwit_stream *stream, struct cursor *cursor,
                                    struct godwit_stream_item *item, GError **error)
{
    (void)error;
    const uint64_t pages = stream->last_block->length / stream->page_size;
    uint64_t page = stream->mapped_page;
    item->kind = GODWIT_STREAM_GAP;
    item->name = stream->last_block->name;
    if (stream->offset < stream->pages_at) {
        skip(cursor, (size_t)MIN((uint64_t)PIECE, stream->pages_at - stream->offset));
        return cursor->lacking ? STEP_MORE : STEP_ITEM;
    }
    if (page == pages) {
        stream->place = stream->blocks_left ? RAM_BLOCKS : RECORDS;
        stream->last_block = NULL;
        return STEP_PLACE;
    }
    if (has_page(stream, page)) {
        skip(cursor, stream->page_size);
        item->kind = GODWIT_STREAM_PAGE;
        item->page = GODWIT_STREAM_PAGE_WHOLE;
        item->page_offset = page++ * stream->page_size;
        item->data = 0;
    } else {
        while (page < pages && !has_page(stream, page) &&
               (page - stream->mapped_page + 1) * stream->page_size <= PIECE)
            page++;
        skip(cursor, (size_t)(page - stream->mapped_page) * stream->page_size);
    }
    if (cursor->lacking)
        return STEP_MORE;
    stream->mapped_page = page;
    return STEP_ITEM;
}

/* Sets *BLOCK to the RAM block of a record: the block that is named at the cursor, or, if SAME, the
 * block of the record before. NULL is a block that is not known yet. */
static enum step take_record_block(struct godwit_stream *stream, struct cursor *cursor, bool same,
                                   struct block **block, GError **error)
{
    *block = stream->last_block;
    if (same)
        return *block ? STEP_ITEM
                      : godwit_reader_wrong(stream, 0, error, "the first page names no RAM block");
    const enum step step =
        godwit_reader_name(stream, cursor, stream->name, "a page's RAM block", error);
    if (step != STEP_ITEM)
        return step;
    *block = find_block(stream, stream->name);
    if (*block)
        return STEP_ITEM;
    if (stream->channel != GODWIT_STREAM_PREEMPT && !stream->resumed)
        return godwit_reader_wrong(
            stream, 8, error, "a page of RAM block \"%s\", which is not in the list", stream->name);
    if (g_hash_table_size(stream->blocks) == MOST_BLOCKS)
        return godwit_reader_wrong(stream, 8, error, "more than %d RAM blocks", MOST_BLOCKS);
    return STEP_ITEM;
}

/* Takes the part of a page's record after its block. */
static enum step take_record_page(struct godwit_stream *stream, struct cursor *cursor,
                                  struct godwit_stream_item *item, uint32_t kind, GError **error)
{
    size_t length = 0;
    switch (kind) {
    case GODWIT_RAM_ZERO:
        item->page = GODWIT_STREAM_PAGE_ZERO;
        length = 1;
        break;
    case GODWIT_RAM_PAGE:
        item->page = GODWIT_STREAM_PAGE_WHOLE;
        length = stream->page_size;
        break;
    case GODWIT_RAM_XBZRLE: {
        item->page = GODWIT_STREAM_PAGE_XBZRLE;
        const uint64_t encoding = get(cursor, 1);
        length = (size_t)get(cursor, 2);
        if (!cursor->lacking && encoding != XBZRLE_ENCODING)
            return godwit_reader_wrong(stream, cursor->at - 3, error, "unknown xbzrle encoding %u",
                                       (unsigned)encoding);
        if (length > stream->page_size)
            return godwit_reader_wrong(stream, cursor->at - 2, error,
                                       "%zu bytes of xbzrle for one page", length);
        break;
    }
    default:
        item->page = GODWIT_STREAM_PAGE_COMPRESSED;
        length = get32(cursor);
        if (length > 2 * stream->page_size || (!cursor->lacking && length == 0))
            return godwit_reader_wrong(stream, cursor->at - 4, error,
                                       "a page compressed to %zu bytes", length);
    }
    item->kind = GODWIT_STREAM_PAGE;
    item->data = cursor->at;
    skip(cursor, length);
    return cursor->lacking ? STEP_MORE : STEP_ITEM;
}

enum step godwit_reader_record(struct godwit_stream *stream, struct cursor *cursor,
                               struct godwit_stream_item *item, GError **error)
{
    const uint64_t word = get(cursor, 8);
    if (cursor->lacking)
        return STEP_MORE;
    const uint64_t low = stream->page_size - 1;
    item->flags = (uint32_t)(word & low);
    const uint32_t kind = item->flags & ~(uint32_t)GODWIT_RAM_SAME_BLOCK;
    const bool same = item->flags & GODWIT_RAM_SAME_BLOCK;
    switch (kind) {
    case GODWIT_RAM_END:
    case GODWIT_RAM_MULTIFD_FLUSH:
        if (word != kind)
            break;
        item->kind = GODWIT_STREAM_MARK;
        if (kind == GODWIT_RAM_END)
            stream->place = stream->section ? FOOTER : OVER;
        return STEP_ITEM;
    case GODWIT_RAM_ZERO:
    case GODWIT_RAM_PAGE:
    case GODWIT_RAM_XBZRLE:
    case GODWIT_RAM_COMPRESSED: {
        struct block *block = NULL;
        enum step step = take_record_block(stream, cursor, same, &block, error);
        if (step != STEP_ITEM)
            return step;
        item->page_offset = word & ~low;
        if (item->page_offset >= (block && block->length ? block->length : LARGEST_BLOCK))
            return godwit_reader_wrong(
                stream, 0, error, "a page at " HEX " of RAM block \"%s\", which has " HEX " bytes",
                item->page_offset, block ? block->name : stream->name,
                block && block->length ? block->length : LARGEST_BLOCK);
        step = take_record_page(stream, cursor, item, kind, error);
        if (step != STEP_ITEM)
            return step;
        stream->last_block = block ? block : add_block(stream, stream->name, 0);
        item->name = stream->last_block->name;
        return STEP_ITEM;
    }
    default:
        break;
    }
    return godwit_reader_wrong(stream, 0, error, "invalid start of a RAM record: " HEX, word);
}
