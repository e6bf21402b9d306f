/*
 * The faults that deal with pages. Each is called with every page's record.
 *
 * A record names its RAM block only if the record before it had another one. A fault that drops or
 * adds records changes which one that is. So every record is sent through send_head(), which names
 * the block unless the destination was sent it last.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/fault_parts.h"

#include <inttypes.h>
#include <string.h>

/* The byte that fills a page that was zero. */
#define FILLING 0x5a

static void put_be64(uint8_t *bytes, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

/* Sends the head of a page's record: its offset with FLAGS, and the name of BLOCK unless the
 * destination was sent that one last. */
static void send_head(struct godwit_injection *injection, const char *block, uint64_t offset,
                      uint32_t flags)
{
    const bool same = !strcmp(injection->block->str, block);
    uint8_t head[8 + 1 + 255];
    const size_t length = strlen(block);
    put_be64(head, offset | flags | (same ? GODWIT_RAM_SAME_BLOCK : 0));
    head[8] = (uint8_t)length;
    memcpy(head + 9, block, length);
    godwit_flow_send(injection->flow, head, same ? 8 : 9 + length);
    g_string_assign(injection->block, block);
}

/* Sends a page's record with its SIZE BYTES uncompressed. */
static void send_page(struct godwit_injection *injection, const char *block, uint64_t offset,
                      const uint8_t *bytes, size_t size)
{
    send_head(injection, block, offset, GODWIT_RAM_PAGE);
    godwit_flow_send(injection->flow, bytes, size);
}

static void send_zero(struct godwit_injection *injection, const char *block, uint64_t offset)
{
    static const uint8_t zero = 0;
    send_head(injection, block, offset, GODWIT_RAM_ZERO);
    godwit_flow_send(injection->flow, &zero, 1);
}

void godwit_fault_send_item(struct godwit_injection *injection,
                            const struct godwit_stream_item *item)
{
    const uint8_t *rest = item->bytes;
    size_t length = item->length;
    if (item->kind == GODWIT_STREAM_PAGE) {
        const bool same = item->flags & GODWIT_RAM_SAME_BLOCK;
        const size_t head = same ? 8 : 9 + strlen(item->name);
        send_head(injection, item->name, item->page_offset,
                  item->flags & ~(uint32_t)GODWIT_RAM_SAME_BLOCK);
        rest += head;
        length -= head;
    }
    godwit_flow_send(injection->flow, rest, length);
}

/* Returns the bytes of the page, which the caller frees, or NULL if the item lacks them. */
static uint8_t *page_of(const struct godwit_stream_item *item)
{
    if (item->page == GODWIT_STREAM_PAGE_WHOLE)
        return g_memdup2(item->bytes + item->data, item->page_size);
    if (item->page != GODWIT_STREAM_PAGE_ZERO)
        return NULL;
    uint8_t *page = g_malloc(item->page_size);
    memset(page, item->bytes[item->length - 1], item->page_size);
    return page;
}

static bool is_zero(const uint8_t *page, size_t size)
{
    return page[0] == 0 && !memcmp(page, page + 1, size - 1);
}

/* Returns whether the page is in the window. Without `page`, the page that the guest is at does not
 * count. */
static bool in_window(const struct godwit_injection *injection,
                      const struct godwit_stream_item *item)
{
    const struct godwit_fault_window *window = &injection->window;
    const bool busy =
        item->page_offset <= window->busy && window->busy - item->page_offset < item->page_size;
    return !strcmp(item->name, window->block) &&
           item->page_offset + item->page_size > window->offset &&
           item->page_offset < window->offset + window->length &&
           (!busy || injection->fault.given[GODWIT_FAULT_PAGE]);
}

/* Returns whether this is the target, or, without `page`, a page of the window behind it. */
static bool is_target(const struct godwit_injection *injection,
                      const struct godwit_stream_item *item)
{
    if (!in_window(injection, item))
        return false;
    const bool here = injection->target - item->page_offset < item->page_size;
    return here || (!injection->fault.given[GODWIT_FAULT_PAGE] &&
                    item->page_offset > injection->target && !injection->done);
}

/* Returns whether a guest that reads only the first byte of its pages would not notice if PAGE were
 * replaced by one that begins with FIRST. Such a page is no target unless `page` asks for it. */
static bool looks_alike(const struct godwit_injection *injection, const uint8_t *page,
                        uint8_t first)
{
    return page[0] == first && !injection->fault.given[GODWIT_FAULT_PAGE];
}

/* Keeps a copy of the page and its offset. */
static void keep(struct godwit_injection *injection, const struct godwit_stream_item *item,
                 const uint8_t *page)
{
    g_byte_array_set_size(injection->kept, 0);
    g_byte_array_append(injection->kept, page, item->page_size);
    injection->kept_offset = item->page_offset;
}

/* Returns whether this is the page that is kept, which has then come again. */
static bool is_kept(const struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    return injection->kept->len && !strcmp(item->name, injection->window.block) &&
           item->page_offset == injection->kept_offset;
}

bool godwit_fault_flip_page(struct godwit_injection *injection,
                            const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && is_target(injection, item) ? page_of(item) : NULL;
    if (!page)
        return false;
    const size_t byte = (size_t)godwit_fault_choose(injection, GODWIT_FAULT_BYTE, item->page_size);
    const unsigned bit = (unsigned)godwit_fault_choose(injection, GODWIT_FAULT_BIT, 8);
    page[byte] ^= (uint8_t)(1u << bit);
    send_page(injection, item->name, item->page_offset, page, item->page_size);
    godwit_fault_done(injection,
                      "flipped bit %u of byte %zu of the page at 0x%" PRIx64 " of RAM block %s",
                      bit, byte, item->page_offset, item->name);
    return true;
}

/* Returns whether this is the page to lose: the target, if it is seen to be zero instead. */
static bool is_loss(const struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && is_target(injection, item) ? page_of(item) : NULL;
    return page && !is_zero(page, item->page_size) && !looks_alike(injection, page, 0);
}

bool godwit_fault_drop_page(struct godwit_injection *injection,
                            const struct godwit_stream_item *item)
{
    if (!is_loss(injection, item))
        return false;
    godwit_fault_done(injection, "dropped the page at 0x%" PRIx64 " of RAM block %s",
                      item->page_offset, item->name);
    return true;
}

bool godwit_fault_page_to_zero(struct godwit_injection *injection,
                               const struct godwit_stream_item *item)
{
    if (!is_loss(injection, item))
        return false;
    send_zero(injection, item->name, item->page_offset);
    godwit_fault_done(injection,
                      "sent a zero page instead of the page at 0x%" PRIx64 " of RAM block %s",
                      item->page_offset, item->name);
    return true;
}

/* Zero pages can be anywhere, so here `page` counts zero pages in the order of the stream. */
bool godwit_fault_zero_to_page(struct godwit_injection *injection,
                               const struct godwit_stream_item *item)
{
    const struct godwit_fault_window *window = &injection->window;
    if (injection->done || item->page != GODWIT_STREAM_PAGE_ZERO ||
        injection->zeros++ < (injection->target - window->offset) / window->page)
        return false;
    g_autofree uint8_t *page = g_malloc(item->page_size);
    memset(page, FILLING, item->page_size);
    send_page(injection, item->name, item->page_offset, page, item->page_size);
    godwit_fault_done(injection,
                      "sent a page full of 0x%02x instead of the zero page at 0x%" PRIx64
                      " of RAM block %s",
                      FILLING, item->page_offset, item->name);
    return true;
}

/* The other offset is that of the window's page that came before the target. */
bool godwit_fault_wrong_offset(struct godwit_injection *injection,
                               const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && in_window(injection, item) ? page_of(item) : NULL;
    if (!page)
        return false;
    if (!injection->kept->len || !is_target(injection, item) || is_zero(page, item->page_size) ||
        looks_alike(injection, page, injection->kept->data[0])) {
        keep(injection, item, page);
        return false;
    }
    send_page(injection, item->name, injection->kept_offset, page, item->page_size);
    godwit_fault_done(injection,
                      "sent the page at 0x%" PRIx64 " of RAM block %s as the page at 0x%" PRIx64,
                      item->page_offset, item->name, injection->kept_offset);
    return true;
}

/* The two pages differ in their first word, which the guest writes: their marks alone do not count.
 * The first page has gone on when the second comes, so it is sent once more. */
bool godwit_fault_swap_pages(struct godwit_injection *injection,
                             const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && in_window(injection, item) ? page_of(item) : NULL;
    if (!page)
        return false;
    const bool differs = injection->kept->len == item->page_size &&
                         memcmp(injection->kept->data, page, sizeof(uint64_t)) != 0;
    if (!injection->kept->len) {
        keep(injection, item, page);
        return false;
    }
    const bool first_is_target = injection->target - injection->kept_offset < item->page_size;
    if (!differs || (!first_is_target && !is_target(injection, item)))
        return false;
    send_page(injection, item->name, item->page_offset, injection->kept->data, item->page_size);
    send_page(injection, item->name, injection->kept_offset, page, item->page_size);
    godwit_fault_done(injection,
                      "swapped the pages at 0x%" PRIx64 " and 0x%" PRIx64 " of RAM block %s",
                      injection->kept_offset, item->page_offset, item->name);
    return true;
}

/* Keeps the target whenever it comes. Returns its content before it last changed, borrowed, or NULL
 * if this is not the target, or if it has not changed yet: a page can be sent again unchanged. */
static const GByteArray *earlier(struct godwit_injection *injection,
                                 const struct godwit_stream_item *item)
{
    GByteArray *kept = injection->kept, *before = injection->before;
    if (kept->len ? !is_kept(injection, item) : !is_target(injection, item))
        return NULL;
    g_autofree uint8_t *page = page_of(item);
    if (!page || (!kept->len && is_zero(page, item->page_size)))
        return NULL;
    if (kept->len && memcmp(kept->data, page, kept->len) != 0) {
        g_byte_array_set_size(before, 0);
        g_byte_array_append(before, kept->data, kept->len);
    }
    keep(injection, item, page);
    return before->len ? before : NULL;
}

bool godwit_fault_stale_page(struct godwit_injection *injection,
                             const struct godwit_stream_item *item)
{
    const GByteArray *page = earlier(injection, item);
    if (!page)
        return false;
    send_page(injection, item->name, item->page_offset, page->data, page->len);
    godwit_fault_done(injection,
                      "sent the page at 0x%" PRIx64
                      " of RAM block %s with its earlier content, whenever it came again",
                      item->page_offset, item->name);
    return true;
}

bool godwit_fault_repeat_page(struct godwit_injection *injection,
                              const struct godwit_stream_item *item)
{
    const GByteArray *page = earlier(injection, item);
    if (!page)
        return false;
    godwit_fault_send_item(injection, item);
    send_page(injection, item->name, item->page_offset, page->data, page->len);
    godwit_fault_done(injection,
                      "sent the page at 0x%" PRIx64
                      " of RAM block %s once more with its earlier content, whenever it came again",
                      item->page_offset, item->name);
    return true;
}

/* Not only one page: if that page changed once more, the fault would leave no trace. The first page
 * is kept, to be looked at until the guest has dirtied it. */
bool godwit_fault_drop_zero(struct godwit_injection *injection,
                            const struct godwit_stream_item *item)
{
    const struct godwit_fault_window *window = &injection->window;
    if (strcmp(item->name, window->block) != 0 || item->page_offset < window->offset ||
        item->page_offset - window->offset >= window->length)
        return false;
    g_autofree uint8_t *page = page_of(item);
    if (!page)
        return false;
    const guint number = (guint)((item->page_offset - window->offset) / item->page_size);
    const guint pages = (guint)(window->length / item->page_size) + 1;
    if (injection->filled->len == 0) {
        g_byte_array_set_size(injection->filled, pages);
        memset(injection->filled->data, 0, pages);
    }
    if (!is_zero(page, item->page_size)) {
        if (!injection->kept->len)
            keep(injection, item, page);
        injection->filled->data[number] = 1;
        return false;
    }
    if (!injection->filled->data[number])
        return false;
    godwit_fault_done(injection,
                      "dropped the page at 0x%" PRIx64
                      " of RAM block %s, which had become zero, and each one like it",
                      item->page_offset, item->name);
    return true;
}
