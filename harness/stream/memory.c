/* SPDX-License-Identifier: MIT */
#include "stream/memory.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#define HEX "0x%" PRIx64

static void free_page(gpointer data)
{
    struct godwit_stream_memory_page *page = data;
    g_free(page->bytes);
    g_free(page);
}

static void free_block(gpointer data)
{
    struct godwit_stream_memory_block *block = data;
    g_hash_table_unref(block->pages);
    g_free(block->name);
    g_free(block);
}

struct godwit_stream_memory *godwit_stream_memory_new(void)
{
    struct godwit_stream_memory *memory = g_new0(struct godwit_stream_memory, 1);
    memory->blocks = g_ptr_array_new_with_free_func(free_block);
    return memory;
}

void godwit_stream_memory_free(struct godwit_stream_memory *memory)
{
    if (!memory)
        return;
    g_ptr_array_unref(memory->blocks);
    g_free(memory);
}

static struct godwit_stream_memory_block *find(const struct godwit_stream_memory *memory,
                                               const char *name)
{
    for (guint i = 0; i < memory->blocks->len; i++) {
        struct godwit_stream_memory_block *block = g_ptr_array_index(memory->blocks, i);
        if (!strcmp(block->name, name))
            return block;
    }
    return NULL;
}

const struct godwit_stream_memory_block *
godwit_stream_memory_block(const struct godwit_stream_memory *memory, const char *name)
{
    return find(memory, name);
}

/* The block of an item, which may be the first that tells of it. */
static struct godwit_stream_memory_block *block_of(struct godwit_stream_memory *memory,
                                                   const struct godwit_stream_item *item)
{
    struct godwit_stream_memory_block *block = find(memory, item->name);
    if (block)
        return block;
    block = g_new0(struct godwit_stream_memory_block, 1);
    block->name = g_strdup(item->name);
    block->pages = g_hash_table_new_full(NULL, NULL, NULL, free_page);
    g_ptr_array_add(memory->blocks, block);
    return block;
}

static bool wrong(const struct godwit_stream_item *item, const char *what, GError **error)
{
    return godwit_fail(error, GODWIT_ERROR_STREAM,
                       "offset " HEX ": page " HEX " of RAM block \"%s\": %s", item->offset,
                       item->page_offset, item->name, what);
}

/* The number at *AT, in one byte or, with the first one's highest bit set, two; -1 if it is cut. */
static int get_run(const uint8_t *bytes, size_t length, size_t *at)
{
    if (*at == length)
        return -1;
    const int low = bytes[(*at)++];
    if (low < 0x80)
        return low;
    return *at < length && bytes[*at] < 0x80 ? (low & 0x7f) | bytes[(*at)++] << 7 : -1;
}

/* Applies changes: runs that stay and runs that are new, by turns, each with its length before. */
static bool apply_changes(const uint8_t *bytes, size_t length, uint8_t *page, size_t page_size)
{
    size_t at = 0, to = 0;
    while (at < length) {
        const int same = get_run(bytes, length, &at);
        if (same < 0 || (size_t)same > page_size - to)
            return false;
        to += (size_t)same;
        const int changed = get_run(bytes, length, &at);
        if (changed <= 0 || (size_t)changed > page_size - to || (size_t)changed > length - at)
            return false;
        memcpy(page + to, bytes + at, (size_t)changed);
        to += (size_t)changed;
        at += (size_t)changed;
    }
    return true;
}

static bool decompress(const uint8_t *bytes, size_t length, uint8_t *page, size_t page_size)
{
    uLongf size = page_size;
    return uncompress(page, &size, bytes, length) == Z_OK && size == page_size;
}

/* Makes the page have a content of its own, what it had so far. */
static bool own_bytes(struct godwit_stream_memory *memory, struct godwit_stream_memory_page *page,
                      size_t page_size, GError **error)
{
    if (page->bytes)
        return true;
    if (memory->kept + page_size > GODWIT_STREAM_MEMORY_MAX)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the stream has more than " HEX " bytes of pages: too many to keep",
                           GODWIT_STREAM_MEMORY_MAX);
    memory->kept += page_size;
    page->bytes = g_malloc(page_size);
    memset(page->bytes, page->fill, page_size);
    return true;
}

static void fill(struct godwit_stream_memory *memory, struct godwit_stream_memory_page *page,
                 uint8_t byte, size_t page_size)
{
    memory->kept -= page->bytes ? page_size : 0;
    g_clear_pointer(&page->bytes, g_free);
    page->fill = byte;
}

static bool take_page(struct godwit_stream_memory *memory, const struct godwit_stream_item *item,
                      GError **error)
{
    struct godwit_stream_memory_block *block = block_of(memory, item);
    const size_t page_size = item->page_size;
    if (block->page_size && block->page_size != page_size)
        return wrong(item, "of another size than the block's other pages", error);
    block->page_size = item->page_size;
    const gpointer number = GSIZE_TO_POINTER(item->page_offset / page_size);
    struct godwit_stream_memory_page *page = g_hash_table_lookup(block->pages, number);
    if (!page) {
        page = g_new0(struct godwit_stream_memory_page, 1);
        g_hash_table_insert(block->pages, number, page);
    }
    const bool sent = page->records++ > 0 && page->known;
    page->sent = item->page;
    page->at = item->offset;
    page->known = item->page != GODWIT_STREAM_PAGE_PACKED;
    block->records[item->page]++;
    const uint8_t *bytes = item->bytes + item->data;
    const size_t length = item->length - item->data;
    switch (item->page) {
    case GODWIT_STREAM_PAGE_ZERO:
        fill(memory, page, length ? bytes[0] : 0, page_size);
        return true;
    case GODWIT_STREAM_PAGE_WHOLE:
        if (!own_bytes(memory, page, page_size, error))
            return false;
        memcpy(page->bytes, bytes, page_size);
        return true;
    case GODWIT_STREAM_PAGE_XBZRLE:
        if (!sent)
            return wrong(item, "changes of a page that was not sent before", error);
        if (!own_bytes(memory, page, page_size, error))
            return false;
        return apply_changes(bytes, length, page->bytes, page_size) ||
               wrong(item, "its changes cannot be decoded", error);
    case GODWIT_STREAM_PAGE_COMPRESSED:
        if (!own_bytes(memory, page, page_size, error))
            return false;
        return decompress(bytes, length, page->bytes, page_size) ||
               wrong(item, "it cannot be decompressed", error);
    case GODWIT_STREAM_PAGE_PACKED:
    case GODWIT_STREAM_PAGE_KINDS:
        break;
    }
    return true;
}

bool godwit_stream_memory_take(struct godwit_stream_memory *memory,
                               const struct godwit_stream_item *item, GError **error)
{
    if (item->kind == GODWIT_STREAM_RAM_BLOCK)
        block_of(memory, item)->length = item->value;
    else if (item->kind == GODWIT_STREAM_MAPPED_BITMAP)
        block_of(memory, item)->mapped = true;
    else if (item->kind == GODWIT_STREAM_PAGE)
        return take_page(memory, item, error);
    return true;
}

bool godwit_stream_memory_read(const struct godwit_stream_memory_block *block, uint64_t offset,
                               void *buffer, size_t length, GError **error)
{
    uint8_t *to = buffer;
    if (offset > block->length || length > block->length - offset)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "RAM block \"%s\" has " HEX " bytes: there is nothing at " HEX,
                           block->name, block->length, offset);
    while (length) {
        /* Without any page there is no size of pages, and none is needed. */
        const size_t page_size = block->page_size ? block->page_size : 4096;
        const size_t within = (size_t)(offset % page_size), size = MIN(length, page_size - within);
        const struct godwit_stream_memory_page *page =
            g_hash_table_lookup(block->pages, GSIZE_TO_POINTER(offset / page_size));
        if (page ? !page->known : !block->mapped)
            return godwit_fail(error, GODWIT_ERROR_STREAM, "page " HEX " of RAM block \"%s\" %s",
                               offset - within, block->name,
                               page ? "is compressed in multifd data" : "is not in the stream");
        if (page && page->bytes)
            memcpy(to, page->bytes + within, size);
        else
            memset(to, page ? page->fill : 0, size);
        to += size;
        offset += size;
        length -= size;
    }
    return true;
}
