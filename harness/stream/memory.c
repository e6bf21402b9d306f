/*
 * Assembles the guest's RAM from a stream.
 *
 * A record of a few bytes can stand for a page of 64 KiB: a zero page, changes of a page, a
 * compressed page. To keep a small stream small in memory, a page is kept as it was sent, and
 * decoded only when it is read. It has a form (filled, whole or deflated) and the changes that were
 * sent since. Changes that take more room than the page are applied to it at once. So a page takes
 * about as many bytes as its records have in the stream, and a read decodes at most twice its size.
 *
 * Every record is checked when it comes, so every page that is kept can be decoded.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/memory.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#define HEX "0x%" PRIx64

static void free_page(gpointer data)
{
    struct godwit_stream_memory_page *page = data;
    g_free(page->bytes);
    if (page->changes)
        g_byte_array_unref(page->changes);
    g_free(page);
}

static void free_block(gpointer data)
{
    struct godwit_stream_memory_block *block = data;
    g_tree_unref(block->pages);
    g_free(block->name);
    g_free(block);
}

struct godwit_stream_memory *godwit_stream_memory_new(void)
{
    struct godwit_stream_memory *memory = g_new0(struct godwit_stream_memory, 1);
    memory->blocks = g_ptr_array_new_with_free_func(free_block);
    memory->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return memory;
}

void godwit_stream_memory_free(struct godwit_stream_memory *memory)
{
    if (!memory)
        return;
    g_hash_table_unref(memory->by_name);
    g_ptr_array_unref(memory->blocks);
    g_free(memory);
}

const struct godwit_stream_memory_block *
godwit_stream_memory_block(const struct godwit_stream_memory *memory, const char *name)
{
    return g_hash_table_lookup(memory->by_name, name);
}

static gint compare_numbers(gconstpointer a, gconstpointer b, gpointer data)
{
    const gsize one = GPOINTER_TO_SIZE(a), other = GPOINTER_TO_SIZE(b);
    (void)data;
    return one < other ? -1 : one > other;
}

/* Returns the block of an item. Makes it if no item has named it before. */
static struct godwit_stream_memory_block *block_of(struct godwit_stream_memory *memory,
                                                   const struct godwit_stream_item *item)
{
    struct godwit_stream_memory_block *block = g_hash_table_lookup(memory->by_name, item->name);
    if (block)
        return block;
    block = g_new0(struct godwit_stream_memory_block, 1);
    block->name = g_strdup(item->name);
    /* A tree, because a stream can choose page numbers that make a hash table slow. */
    block->pages = g_tree_new_full(compare_numbers, NULL, NULL, free_page);
    g_ptr_array_add(memory->blocks, block);
    g_hash_table_insert(memory->by_name, block->name, block);
    return block;
}

static bool wrong(const struct godwit_stream_item *item, const char *what, GError **error)
{
    return godwit_fail(error, GODWIT_ERROR_STREAM,
                       "offset " HEX ": page " HEX " of RAM block \"%s\": %s", item->offset,
                       item->page_offset, item->name, what);
}

/* Returns the number at *AT, of one byte, or of two bytes if the first has its highest bit set, and
 * moves *AT behind it. Returns -1 if it is incomplete or malformed. */
static int get_run(const uint8_t *bytes, size_t length, size_t *at)
{
    if (*at == length)
        return -1;
    const int low = bytes[(*at)++];
    if (low < 0x80)
        return low;
    return *at < length && bytes[*at] < 0x80 ? (low & 0x7f) | bytes[(*at)++] << 7 : -1;
}

/* Applies changes to PAGE: runs of bytes that stay alternate with runs of new bytes, each after its
 * length. Returns false if they do not fit PAGE_SIZE. If PAGE is NULL, only checks them. */
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
        if (page)
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

void godwit_stream_memory_content(const struct godwit_stream_memory_block *block,
                                  const struct godwit_stream_memory_page *page, uint8_t *to)
{
    const size_t page_size = block->page_size;
    if (page->form == GODWIT_STREAM_MEMORY_FILLED)
        memset(to, page->fill, page_size);
    else if (page->form == GODWIT_STREAM_MEMORY_WHOLE)
        memcpy(to, page->bytes, page_size);
    else if (!decompress(page->bytes, page->size, to, page_size))
        g_assert_not_reached(); /* it was decompressed once when it came */
    const GByteArray *changes = page->changes;
    for (size_t at = 0; changes && at < changes->len;) {
        uint16_t length;
        memcpy(&length, changes->data + at, sizeof(length));
        apply_changes(changes->data + at + sizeof(length), length, to, page_size);
        at += sizeof(length) + length;
    }
}

static uint64_t kept_by(const struct godwit_stream_memory_page *page)
{
    return page->size + (page->changes ? page->changes->len : 0);
}

/* Replaces the page's content by BYTES, SIZE bytes in FORM, which it takes. */
static bool set_content(struct godwit_stream_memory *memory, struct godwit_stream_memory_page *page,
                        enum godwit_stream_memory_form form, uint8_t *bytes, size_t size,
                        GError **error)
{
    memory->kept += size - kept_by(page);
    g_free(page->bytes);
    g_clear_pointer(&page->changes, g_byte_array_unref);
    page->form = form;
    page->bytes = bytes;
    page->size = (uint32_t)size;
    return memory->kept <= GODWIT_STREAM_MEMORY_MAX ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the stream has more than " HEX
                       " bytes of page contents, too many to keep in memory",
                       GODWIT_STREAM_MEMORY_MAX);
}

/* Adds an xbzrle record to a page. */
static bool add_changes(struct godwit_stream_memory *memory,
                        const struct godwit_stream_memory_block *block,
                        struct godwit_stream_memory_page *page, const uint8_t *bytes, size_t length,
                        GError **error)
{
    const uint16_t prefix = (uint16_t)length;
    if (!page->changes)
        page->changes = g_byte_array_new();
    g_byte_array_append(page->changes, (const uint8_t *)&prefix, sizeof(prefix));
    g_byte_array_append(page->changes, bytes, (guint)length);
    memory->kept += sizeof(prefix) + length;
    if (page->changes->len <= block->page_size)
        return true;
    uint8_t *whole = g_malloc(block->page_size);
    godwit_stream_memory_content(block, page, whole);
    return set_content(memory, page, GODWIT_STREAM_MEMORY_WHOLE, whole, block->page_size, error);
}

static bool take_compressed(struct godwit_stream_memory *memory,
                            const struct godwit_stream_item *item,
                            struct godwit_stream_memory_page *page, const uint8_t *bytes,
                            size_t length, GError **error)
{
    g_autofree uint8_t *scratch = g_malloc(item->page_size);
    if (!decompress(bytes, length, scratch, item->page_size))
        return wrong(item, "it cannot be decompressed", error);
    return set_content(memory, page, GODWIT_STREAM_MEMORY_DEFLATED, g_memdup2(bytes, length),
                       length, error);
}

static bool take_page(struct godwit_stream_memory *memory, const struct godwit_stream_item *item,
                      GError **error)
{
    struct godwit_stream_memory_block *block = block_of(memory, item);
    const size_t page_size = item->page_size;
    if (block->page_size && block->page_size != page_size)
        return wrong(item, "its size differs from that of the block's other pages", error);
    block->page_size = item->page_size;
    const gpointer number = GSIZE_TO_POINTER(item->page_offset / page_size);
    struct godwit_stream_memory_page *page = g_tree_lookup(block->pages, number);
    if (!page) {
        page = g_new0(struct godwit_stream_memory_page, 1);
        g_tree_insert(block->pages, number, page);
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
        page->fill = length ? bytes[0] : 0;
        return set_content(memory, page, GODWIT_STREAM_MEMORY_FILLED, NULL, 0, error);
    case GODWIT_STREAM_PAGE_WHOLE:
        return set_content(memory, page, GODWIT_STREAM_MEMORY_WHOLE, g_memdup2(bytes, page_size),
                           page_size, error);
    case GODWIT_STREAM_PAGE_XBZRLE:
        if (!sent)
            return wrong(item, "changes of a page that was not sent before", error);
        if (!apply_changes(bytes, length, NULL, page_size))
            return wrong(item, "its changes cannot be decoded", error);
        return add_changes(memory, block, page, bytes, length, error);
    case GODWIT_STREAM_PAGE_COMPRESSED:
        return take_compressed(memory, item, page, bytes, length, error);
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
    /* If no page has come, any page size will do. */
    const size_t page_size = block->page_size ? block->page_size : 4096;
    g_autofree uint8_t *content = NULL;
    while (length) {
        const size_t within = (size_t)(offset % page_size), size = MIN(length, page_size - within);
        const struct godwit_stream_memory_page *page =
            g_tree_lookup(block->pages, GSIZE_TO_POINTER(offset / page_size));
        if (page ? !page->known : !block->mapped)
            return godwit_fail(error, GODWIT_ERROR_STREAM, "page " HEX " of RAM block \"%s\" %s",
                               offset - within, block->name,
                               page ? "is compressed in multifd data" : "is not in the stream");
        if (!page) {
            memset(to, 0, size);
        } else if (page->form == GODWIT_STREAM_MEMORY_WHOLE && !page->changes) {
            memcpy(to, page->bytes + within, size);
        } else if (page->form == GODWIT_STREAM_MEMORY_FILLED && !page->changes) {
            memset(to, page->fill, size);
        } else {
            content = content ? content : g_malloc(page_size);
            godwit_stream_memory_content(block, page, content);
            memcpy(to, content + within, size);
        }
        to += size;
        offset += size;
        length -= size;
    }
    return true;
}
