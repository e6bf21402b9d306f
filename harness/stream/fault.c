/* SPDX-License-Identifier: MIT */
#include "stream/fault.h"

#include "stream/reader.h"
#include <inttypes.h>
#include <string.h>

/* What a page that was zero is filled with, and how long a stall is, how much goes a second, and
 * how many bytes go one by one, if nobody says. */
#define FILLING       0x5a
#define STALL_MS      200
#define THROTTLE_RATE (16u << 20)
#define SPLIT_BYTES   (16u << 10)

#define KEY(name)   (1u << GODWIT_FAULT_##name)
#define PLACE(name) (1u << GODWIT_STREAM_##name)

/* Where sections begin, and the two things that follow them: what `section` counts. */
#define SECTIONS                                                                                   \
    (PLACE(START) | PLACE(PART) | PLACE(LAST) | PLACE(FULL) | PLACE(EOF) | PLACE(DESCRIPTION))

static const char *const key_names[GODWIT_FAULT_KEYS] = {
    [GODWIT_FAULT_PAGE] = "page",     [GODWIT_FAULT_BYTE] = "byte",
    [GODWIT_FAULT_BIT] = "bit",       [GODWIT_FAULT_SECTION] = "section",
    [GODWIT_FAULT_OFFSET] = "offset", [GODWIT_FAULT_MS] = "ms",
    [GODWIT_FAULT_RATE] = "rate",     [GODWIT_FAULT_BYTES] = "bytes",
    [GODWIT_FAULT_SEED] = "seed",
};

/* One of three: it deals with pages, spoils (or cuts before) items in certain places, or strikes at
 * an offset. */
struct godwit_fault_kind {
    const char *name;
    const char *summary;
    unsigned keys; /* KEY(...), beside the seed */
    bool live;
    /* Given each page's record: true if it has sent what is to go on instead. */
    bool (*page)(struct godwit_injection *injection, const struct godwit_stream_item *item);
    unsigned places; /* PLACE(...) */
    /* Changes BYTES, a copy of the item's; NULL: the connection is cut before it. */
    void (*spoil)(struct godwit_injection *injection, const struct godwit_stream_item *item,
                  uint8_t *bytes);
    void (*strike)(struct godwit_injection *injection);
    bool at_once; /* it strikes at the first byte unless told otherwise */
};

/* An item that is held back. */
struct held {
    struct godwit_stream_item item; /* its strings are interned; without its bytes ... */
    size_t at;                      /* ... which begin here among those that are held */
    unsigned section;
};

struct godwit_injection {
    struct godwit_fault fault;
    struct godwit_fault_window window;
    GRand *random;
    struct godwit_flow *flow; /* NULL before the connection is made */
    struct godwit_stream *stream;
    char *done;
    char *lost;
    GString *block; /* the RAM block that the destination takes for the present one */

    uint64_t target;  /* offset of a page in the window's block: this one, or the first after it */
    uint64_t zeros;   /* zero pages that have come by */
    GByteArray *kept; /* a page as it came */
    GByteArray *before; /* the same as it was before it was last changed */
    uint64_t kept_offset;

    bool chosen;            /* the section is known: this one, ... */
    unsigned section;       /* ... by number; otherwise one of those that are held */
    unsigned sections;      /* that have come by */
    bool holding;           /* the devices' states are held back, ... */
    GByteArray *held_bytes; /* ... with all between them, ... */
    GArray *held;           /* ... struct held each */

    uint64_t offset; /* at which a fault strikes */
    uint64_t passed; /* how many bytes have gone on */
};

/* What the user said, or a number below LIMIT, which is not 0. */
static uint64_t choose(struct godwit_injection *injection, enum godwit_fault_key key,
                       uint64_t limit)
{
    if (injection->fault.given[key])
        return injection->fault.values[key] % limit;
    const uint64_t high = g_rand_int(injection->random);
    return (high << 32 | g_rand_int(injection->random)) % limit;
}

/* What the user said, or OTHERWISE. */
static uint64_t value(const struct godwit_injection *injection, enum godwit_fault_key key,
                      uint64_t otherwise)
{
    return injection->fault.given[key] ? injection->fault.values[key] : otherwise;
}

static void done(struct godwit_injection *injection, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void done(struct godwit_injection *injection, const char *format, ...)
{
    if (injection->done)
        return;
    va_list arguments;
    va_start(arguments, format);
    injection->done = g_strdup_vprintf(format, arguments);
    va_end(arguments);
}

/* Pages */

static void put_be64(uint8_t *bytes, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

/* Sends the head of a page's record: its offset with FLAGS, and the block unless the destination
 * takes it for the present one anyway. */
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

/* Sends a page, its SIZE bytes as they are. */
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

/* Sends an item as it came, but for the name of its block, which is told if the item relies on
 * another one before it, and that has not gone on. */
static void send_item(struct godwit_injection *injection, const struct godwit_stream_item *item)
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

/* The bytes of the page, the caller's; NULL if the item does not have all of them. */
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

/* Whether it is in the window. */
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

/* Whether it is the page that was asked for, or, if any will do, one that is good for it. */
static bool is_target(const struct godwit_injection *injection,
                      const struct godwit_stream_item *item)
{
    if (!in_window(injection, item))
        return false;
    const bool here = injection->target - item->page_offset < item->page_size;
    return here || (!injection->fault.given[GODWIT_FAULT_PAGE] &&
                    item->page_offset > injection->target && !injection->done);
}

/* Keeps the page, as that at its offset. */
static void keep(struct godwit_injection *injection, const struct godwit_stream_item *item,
                 const uint8_t *page)
{
    g_byte_array_set_size(injection->kept, 0);
    g_byte_array_append(injection->kept, page, item->page_size);
    injection->kept_offset = item->page_offset;
}

/* Whether it is the page that is kept, which has then come a second time. */
static bool is_kept(const struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    return injection->kept->len && !strcmp(item->name, injection->window.block) &&
           item->page_offset == injection->kept_offset;
}

static bool flip_page(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && is_target(injection, item) ? page_of(item) : NULL;
    if (!page)
        return false;
    const size_t byte = (size_t)choose(injection, GODWIT_FAULT_BYTE, item->page_size);
    const unsigned bit = (unsigned)choose(injection, GODWIT_FAULT_BIT, 8);
    page[byte] ^= (uint8_t)(1u << bit);
    send_page(injection, item->name, item->page_offset, page, item->page_size);
    done(injection, "flipped bit %u of byte %zu of the page at 0x%" PRIx64 " of RAM block %s", bit,
         byte, item->page_offset, item->name);
    return true;
}

static bool drop_page(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && is_target(injection, item) ? page_of(item) : NULL;
    if (!page || is_zero(page, item->page_size))
        return false;
    done(injection, "dropped the page at 0x%" PRIx64 " of RAM block %s", item->page_offset,
         item->name);
    return true;
}

static bool page_to_zero(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && is_target(injection, item) ? page_of(item) : NULL;
    if (!page || is_zero(page, item->page_size))
        return false;
    send_zero(injection, item->name, item->page_offset);
    done(injection, "sent a zero page for that at 0x%" PRIx64 " of RAM block %s", item->page_offset,
         item->name);
    return true;
}

/* Zero pages are anywhere: the number of the page is that of a zero page, in order of sending. */
static bool zero_to_page(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    const struct godwit_fault_window *window = &injection->window;
    if (injection->done || item->page != GODWIT_STREAM_PAGE_ZERO ||
        injection->zeros++ < (injection->target - window->offset) / window->page)
        return false;
    g_autofree uint8_t *page = g_malloc(item->page_size);
    memset(page, FILLING, item->page_size);
    send_page(injection, item->name, item->page_offset, page, item->page_size);
    done(injection, "sent a page full of 0x%02x for the zero page at 0x%" PRIx64 " of RAM block %s",
         FILLING, item->page_offset, item->name);
    return true;
}

/* To the place of the window's page that was sent before it. */
static bool wrong_offset(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    g_autofree uint8_t *page =
        !injection->done && in_window(injection, item) ? page_of(item) : NULL;
    if (!page)
        return false;
    if (!injection->kept->len || !is_target(injection, item) || is_zero(page, item->page_size)) {
        keep(injection, item, page);
        return false;
    }
    send_page(injection, item->name, injection->kept_offset, page, item->page_size);
    done(injection, "sent the page at 0x%" PRIx64 " of RAM block %s as that at 0x%" PRIx64,
         item->page_offset, item->name, injection->kept_offset);
    return true;
}

/* Two that differ in their first word, which the guest writes, not just in what else tells them
 * apart. One of the two has gone on when the other comes: it is sent once more. */
static bool swap_pages(struct godwit_injection *injection, const struct godwit_stream_item *item)
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
    done(injection, "swapped the pages at 0x%" PRIx64 " and 0x%" PRIx64 " of RAM block %s",
         injection->kept_offset, item->page_offset, item->name);
    return true;
}

/* Keeps the target as it comes. The target as it was before it was last changed, or NULL if this is
 * not the target, or it was never seen to be anything else: a page can be sent again unchanged. */
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

static bool stale_page(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    const GByteArray *page = earlier(injection, item);
    if (!page)
        return false;
    send_page(injection, item->name, item->page_offset, page->data, page->len);
    done(injection,
         "sent the page at 0x%" PRIx64 " of RAM block %s as it was before, whenever it came again",
         item->page_offset, item->name);
    return true;
}

static bool repeat_page(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    const GByteArray *page = earlier(injection, item);
    if (!page)
        return false;
    send_item(injection, item);
    send_page(injection, item->name, item->page_offset, page->data, page->len);
    done(injection,
         "sent the page at 0x%" PRIx64 " of RAM block %s once more as it was before, whenever it "
         "came again",
         item->page_offset, item->name);
    return true;
}

/* Items */

static void flip(struct godwit_injection *injection, uint8_t *bytes, size_t first, size_t length,
                 const char *what)
{
    const size_t byte = first + (size_t)choose(injection, GODWIT_FAULT_BYTE, length);
    const unsigned bit = (unsigned)choose(injection, GODWIT_FAULT_BIT, 8);
    bytes[byte] ^= (uint8_t)(1u << bit);
    done(injection, "flipped bit %u of byte %zu of %s", bit, byte - first, what);
}

/* "section 12, timer". The caller's. */
static char *section_text(const struct godwit_injection *injection,
                          const struct godwit_stream_item *item)
{
    if (item->kind == GODWIT_STREAM_EOF)
        return g_strdup("the mark after the last section");
    if (item->kind == GODWIT_STREAM_DESCRIPTION)
        return g_strdup("the description");
    return g_strdup_printf("section %u (%s)", injection->section, item->section);
}

static void spoil_magic(struct godwit_injection *injection, const struct godwit_stream_item *item,
                        uint8_t *bytes)
{
    (void)item;
    flip(injection, bytes, 0, 4, "the magic");
}

static void spoil_version(struct godwit_injection *injection, const struct godwit_stream_item *item,
                          uint8_t *bytes)
{
    (void)item;
    flip(injection, bytes, 4, 4, "the version");
}

/* The number follows the byte that says what the item is, in headers as in footers. */
static void spoil_section_id(struct godwit_injection *injection,
                             const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *section = section_text(injection, item);
    g_autofree char *what = g_strdup_printf("the number of %s", section);
    flip(injection, bytes, 1, 4, what);
}

static void spoil_footer(struct godwit_injection *injection, const struct godwit_stream_item *item,
                         uint8_t *bytes)
{
    g_autofree char *section = section_text(injection, item);
    g_autofree char *what = g_strdup_printf("the footer of %s", section);
    flip(injection, bytes, 0, item->length, what);
}

/* The name's length follows the number. */
static void spoil_name(struct godwit_injection *injection, const struct godwit_stream_item *item,
                       uint8_t *bytes)
{
    g_autofree char *section = section_text(injection, item);
    g_autofree char *what = g_strdup_printf("the name of %s", section);
    flip(injection, bytes, 6, bytes[5], what);
}

static void spoil_name_length(struct godwit_injection *injection,
                              const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *section = section_text(injection, item);
    g_autofree char *what = g_strdup_printf("the length of the name of %s", section);
    flip(injection, bytes, 5, 1, what);
}

static void spoil_state(struct godwit_injection *injection, const struct godwit_stream_item *item,
                        uint8_t *bytes)
{
    g_autofree char *section = section_text(injection, item);
    g_autofree char *what = g_strdup_printf("the state in %s", section);
    flip(injection, bytes, 0, item->length, what);
}

/* The low twelve bits are flags: those of a page's size are left alone. */
static void spoil_ram_size(struct godwit_injection *injection,
                           const struct godwit_stream_item *item, uint8_t *bytes)
{
    (void)item;
    flip(injection, bytes, 0, 6, "the size of all RAM");
}

static void spoil_block_length(struct godwit_injection *injection,
                               const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *what = g_strdup_printf("the length of RAM block %s", item->name);
    flip(injection, bytes, 1 + strlen(item->name), 6, what);
}

/* How bytes arrive */

static void strike_cut(struct godwit_injection *injection)
{
    godwit_flow_cut(injection->flow);
    done(injection, "cut the connection after %" PRIu64 " bytes", injection->offset);
}

static void strike_close(struct godwit_injection *injection)
{
    godwit_flow_close(injection->flow);
    done(injection, "closed the direction to the destination after %" PRIu64 " bytes",
         injection->offset);
}

static void strike_stall(struct godwit_injection *injection)
{
    const unsigned ms = (unsigned)value(injection, GODWIT_FAULT_MS, STALL_MS);
    godwit_flow_stall(injection->flow, MAX(ms, 1));
    done(injection, "passed nothing on for %u ms after %" PRIu64 " bytes", ms, injection->offset);
}

static void strike_hang(struct godwit_injection *injection)
{
    godwit_flow_stall(injection->flow, 0);
    done(injection, "passed nothing on any more after %" PRIu64 " bytes", injection->offset);
}

static void strike_throttle(struct godwit_injection *injection)
{
    const uint64_t rate = value(injection, GODWIT_FAULT_RATE, THROTTLE_RATE);
    godwit_flow_slow(injection->flow, 0, (size_t)MAX(rate, 1));
    done(injection, "passed on no more than %" PRIu64 " bytes a second after %" PRIu64 " bytes",
         rate, injection->offset);
}

static void strike_split(struct godwit_injection *injection)
{
    godwit_flow_slow(injection->flow, 1, 0);
    done(injection, "passed %" PRIu64 " bytes on one by one",
         value(injection, GODWIT_FAULT_BYTES, SPLIT_BYTES));
}

static void strike_nothing(struct godwit_injection *injection)
{
    done(injection, "passed everything on as it was");
}

static const struct godwit_fault_kind kinds[] = {
    {.name = "none",
     .summary = "everything is passed on as it is",
     .strike = strike_nothing,
     .at_once = true},
    {.name = "flip-bit",
     .summary = "one bit of a page is flipped",
     .keys = KEY(PAGE) | KEY(BYTE) | KEY(BIT),
     .page = flip_page},
    {.name = "drop-page", .summary = "a page is left out", .keys = KEY(PAGE), .page = drop_page},
    {.name = "swap-pages",
     .summary = "two pages that differ change places",
     .keys = KEY(PAGE),
     .page = swap_pages},
    {.name = "page-to-zero",
     .summary = "a page is sent as a zero page",
     .keys = KEY(PAGE),
     .page = page_to_zero},
    {.name = "zero-to-page",
     .summary = "a zero page is sent as a page that is not",
     .keys = KEY(PAGE),
     .page = zero_to_page},
    {.name = "wrong-offset",
     .summary = "a page is sent as the one before it",
     .keys = KEY(PAGE),
     .page = wrong_offset},
    {.name = "stale-page",
     .summary = "a page that is sent again is sent as it was before",
     .keys = KEY(PAGE),
     .live = true,
     .page = stale_page},
    {.name = "repeat-page",
     .summary = "after a page that is sent again it is sent as it was before",
     .keys = KEY(PAGE),
     .live = true,
     .page = repeat_page},
    {.name = "flip-state",
     .summary = "one bit of a device's state is flipped",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(STATE),
     .spoil = spoil_state},
    {.name = "magic",
     .summary = "the stream's magic is another",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(HEADER),
     .spoil = spoil_magic},
    {.name = "version",
     .summary = "the stream's version is another",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(HEADER),
     .spoil = spoil_version},
    {.name = "section-id",
     .summary = "a section's number is another",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(START) | PLACE(PART) | PLACE(LAST) | PLACE(FULL),
     .spoil = spoil_section_id},
    {.name = "section-name",
     .summary = "a section's name is another",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(START) | PLACE(FULL),
     .spoil = spoil_name},
    {.name = "footer",
     .summary = "a section's footer is another",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(FOOTER),
     .spoil = spoil_footer},
    {.name = "name-length",
     .summary = "the length of a section's name is another",
     .keys = KEY(SECTION) | KEY(BIT),
     .places = PLACE(START) | PLACE(FULL),
     .spoil = spoil_name_length},
    {.name = "ram-size",
     .summary = "the size of all RAM is another",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(RAM_SIZE),
     .spoil = spoil_ram_size},
    {.name = "block-length",
     .summary = "the length of the first RAM block is another",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(RAM_BLOCK),
     .spoil = spoil_block_length},
    {.name = "truncate",
     .summary = "the connection is cut",
     .keys = KEY(OFFSET),
     .strike = strike_cut},
    {.name = "truncate-section",
     .summary = "the connection is cut before a section",
     .keys = KEY(SECTION),
     .places = SECTIONS},
    {.name = "close",
     .summary = "the direction to the destination is closed, the other is not",
     .keys = KEY(OFFSET),
     .strike = strike_close},
    {.name = "stall",
     .summary = "nothing is passed on for a while",
     .keys = KEY(OFFSET) | KEY(MS),
     .strike = strike_stall},
    {.name = "hang",
     .summary = "nothing is passed on any more",
     .keys = KEY(OFFSET),
     .strike = strike_hang},
    {.name = "split",
     .summary = "bytes are passed on one by one",
     .keys = KEY(BYTES),
     .strike = strike_split,
     .at_once = true},
    {.name = "throttle",
     .summary = "so many bytes are passed on in a second, and no more",
     .keys = KEY(OFFSET) | KEY(RATE),
     .strike = strike_throttle,
     .at_once = true},
};

/* The stream goes by, item by item */

/* Deals with an item that is to be spoiled, or not to get any further. BYTES are a copy. */
static void spoil(struct godwit_injection *injection, const struct godwit_stream_item *item,
                  uint8_t *bytes)
{
    if (injection->fault.kind->spoil) {
        injection->fault.kind->spoil(injection, item, bytes);
        godwit_flow_send(injection->flow, bytes, item->length);
        return;
    }
    g_autofree char *section = section_text(injection, item);
    done(injection, "cut the connection before %s, at byte %" PRIu64, section, item->offset);
    godwit_flow_cut(injection->flow);
}

/* Keeps back an item of the devices' states. */
static void hold(struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    struct held held = {*item, injection->held_bytes->len, injection->sections - 1};
    held.item.bytes = NULL;
    held.item.section = g_intern_string(item->section);
    held.item.name = g_intern_string(item->name);
    g_byte_array_append(injection->held_bytes, item->bytes, (guint)item->length);
    g_array_append_val(injection->held, held);
}

/* Sends what was held back, one item of it spoiled. */
static void release(struct godwit_injection *injection)
{
    g_autoptr(GArray) fit = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < injection->held->len; i++)
        if (injection->fault.kind->places &
            1u << g_array_index(injection->held, struct held, i).item.kind)
            g_array_append_val(fit, i);
    const guint chosen =
        fit->len ? g_array_index(fit, guint, choose(injection, GODWIT_FAULT_SECTION, fit->len))
                 : G_MAXUINT;
    for (guint i = 0; i < injection->held->len; i++) {
        const struct held *held = &g_array_index(injection->held, struct held, i);
        uint8_t *bytes = injection->held_bytes->data + held->at;
        injection->section = held->section;
        if (i == chosen)
            spoil(injection, &held->item, bytes);
        else
            godwit_flow_send(injection->flow, bytes, held->item.length);
    }
    injection->holding = false;
    injection->chosen = true;
}

/* Whether the item is the one, of a fault that spoils. */
static bool is_due(const struct godwit_injection *injection, const struct godwit_stream_item *item)
{
    const struct godwit_fault_kind *kind = injection->fault.kind;
    if (injection->done || !(kind->places & 1u << item->kind))
        return false;
    return !(kind->keys & KEY(SECTION)) ||
           (injection->chosen && injection->section + 1 == injection->sections);
}

static bool take_item(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct godwit_injection *injection = data;
    const struct godwit_fault_kind *kind = injection->fault.kind;
    (void)error;
    if (kind->places && SECTIONS & 1u << item->kind)
        injection->sections++;
    if (item->kind == GODWIT_STREAM_EOF && injection->holding)
        release(injection);
    else if (item->kind == GODWIT_STREAM_FULL && kind->keys & KEY(SECTION) && !injection->chosen)
        injection->holding = true;
    if (injection->holding) {
        hold(injection, item);
    } else if (is_due(injection, item)) {
        g_autofree uint8_t *bytes = g_memdup2(item->bytes, item->length);
        spoil(injection, item, bytes);
    } else if (item->kind != GODWIT_STREAM_PAGE || !kind->page || !kind->page(injection, item)) {
        send_item(injection, item);
    }
    return true;
}

static void filter_items(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                         size_t length)
{
    struct godwit_injection *injection = data;
    g_autoptr(GError) error = NULL;
    if (injection->lost) {
        godwit_flow_send(flow, bytes, length);
        return;
    }
    if (length ? godwit_stream_feed(injection->stream, bytes, length, &error)
               : godwit_stream_end(injection->stream, &error))
        return;
    injection->lost = g_strdup(error->message);
    if (injection->held_bytes->len)
        release(injection);
    size_t pending;
    const uint8_t *rest = godwit_stream_pending(injection->stream, &pending);
    godwit_flow_send(flow, rest, pending);
}

/* The same by the byte */

static void filter_bytes(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                         size_t length)
{
    struct godwit_injection *injection = data;
    const uint64_t before = injection->passed;
    injection->passed += length;
    if (!injection->done && length && before + length > injection->offset) {
        const size_t first = (size_t)(injection->offset - before);
        godwit_flow_send(flow, bytes, first);
        injection->fault.kind->strike(injection);
        bytes += first;
        length -= first;
    }
    godwit_flow_send(flow, bytes, length);
    if (injection->fault.kind->strike == strike_split &&
        injection->passed >= value(injection, GODWIT_FAULT_BYTES, SPLIT_BYTES))
        godwit_flow_slow(flow, 0, 0);
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_injection *injection = data;
    (void)answered;
    (void)index;
    if (injection->flow)
        return;
    injection->flow = sent;
    if (injection->fault.kind->strike) {
        godwit_flow_filter_by(sent, filter_bytes, injection);
        return;
    }
    injection->stream = godwit_stream_new(0, take_item, injection);
    godwit_flow_filter_by(sent, filter_items, injection);
}

struct godwit_injection *godwit_injection_new(struct godwit_relay *relay,
                                              const struct godwit_fault *fault,
                                              const struct godwit_fault_window *window)
{
    struct godwit_injection *injection = g_new0(struct godwit_injection, 1);
    const uint64_t seed = fault->values[GODWIT_FAULT_SEED];
    const guint32 words[] = {(guint32)seed, (guint32)(seed >> 32)};
    injection->fault = *fault;
    injection->window = *window;
    injection->random = g_rand_new_with_seed_array(words, G_N_ELEMENTS(words));
    injection->block = g_string_new("");
    injection->kept = g_byte_array_new();
    injection->before = g_byte_array_new();
    injection->held_bytes = g_byte_array_new();
    injection->held = g_array_new(FALSE, FALSE, sizeof(struct held));
    const struct godwit_fault_kind *kind = fault->kind;
    if (kind->page)
        injection->target = window->offset + window->page * choose(injection, GODWIT_FAULT_PAGE,
                                                                   window->length / window->page);
    if (kind->places & SECTIONS || kind->places & (PLACE(FOOTER) | PLACE(STATE))) {
        /* RAM's first two sections, where they have it, or a device's: as often the one as the
         * other. */
        const unsigned which = g_rand_int(injection->random) % 4;
        const unsigned early = kind->places & (PLACE(PART) | PLACE(FOOTER)) ? 2
                               : kind->places & PLACE(START)                ? 1
                                                                            : 0;
        injection->chosen = fault->given[GODWIT_FAULT_SECTION] || which < early;
        injection->section = (unsigned)value(injection, GODWIT_FAULT_SECTION, which);
    }
    /* As long as the window a stream is at least. */
    injection->offset =
        kind->at_once ? value(injection, GODWIT_FAULT_OFFSET, 0)
                      : choose(injection, GODWIT_FAULT_OFFSET,
                               fault->given[GODWIT_FAULT_OFFSET] ? UINT64_MAX : window->length);
    godwit_relay_greet(relay, greet, injection);
    return injection;
}

void godwit_injection_free(struct godwit_injection *injection)
{
    if (!injection)
        return;
    g_rand_free(injection->random);
    godwit_stream_free(injection->stream);
    g_string_free(injection->block, TRUE);
    g_byte_array_unref(injection->kept);
    g_byte_array_unref(injection->before);
    g_byte_array_unref(injection->held_bytes);
    g_array_unref(injection->held);
    g_free(injection->done);
    g_free(injection->lost);
    g_free(injection);
}

const char *godwit_injection_done(const struct godwit_injection *injection)
{
    return injection->done;
}

bool godwit_injection_awaits(const struct godwit_injection *injection, uint64_t *offset)
{
    *offset = injection->kept_offset - injection->window.offset;
    return injection->kept->len > 0;
}

const char *godwit_injection_lost(const struct godwit_injection *injection)
{
    return injection->lost;
}

/* Names */

const struct godwit_fault_kind *godwit_fault_kind_at(unsigned index)
{
    return index < G_N_ELEMENTS(kinds) ? &kinds[index] : NULL;
}

const char *godwit_fault_name(const struct godwit_fault_kind *kind)
{
    return kind->name;
}

const char *godwit_fault_summary(const struct godwit_fault_kind *kind)
{
    return kind->summary;
}

bool godwit_fault_is_live(const struct godwit_fault_kind *kind)
{
    return kind->live;
}

char *godwit_fault_keys(const struct godwit_fault_kind *kind)
{
    GString *text = g_string_new(NULL);
    for (unsigned key = 0; key < GODWIT_FAULT_KEYS; key++)
        if (kind->keys & 1u << key || key == GODWIT_FAULT_SEED)
            g_string_append_printf(text, "%s%s", text->len ? "," : "", key_names[key]);
    return g_string_free(text, FALSE);
}

/* Reads "KEY=NUMBER". */
static bool parse_key(const char *text, struct godwit_fault *fault, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "=", 2);
    char *end = NULL;
    const uint64_t number = parts[0] && parts[1] ? g_ascii_strtoull(parts[1], &end, 0) : 0;
    for (unsigned key = 0; key < GODWIT_FAULT_KEYS; key++) {
        if (g_strcmp0(parts[0], key_names[key]) != 0 ||
            !(fault->kind->keys & 1u << key || key == GODWIT_FAULT_SEED))
            continue;
        if (!end || *end || !g_ascii_isdigit(*parts[1]))
            return godwit_fail(error, GODWIT_ERROR_USAGE, "fault %s: %s wants a number",
                               fault->kind->name, key_names[key]);
        fault->values[key] = number;
        fault->given[key] = true;
        return true;
    }
    g_autofree char *keys = godwit_fault_keys(fault->kind);
    return godwit_fail(error, GODWIT_ERROR_USAGE, "fault %s has no \"%s\": there are %s",
                       fault->kind->name, text, keys);
}

bool godwit_fault_parse(const char *text, struct godwit_fault *fault, GError **error)
{
    memset(fault, 0, sizeof(*fault));
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);
    g_autoptr(GString) names = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_strcmp0(parts[0], kinds[i].name))
            fault->kind = &kinds[i];
        g_string_append_printf(names, "%s%s", i ? ", " : "", kinds[i].name);
    }
    if (!fault->kind)
        return godwit_fail(error, GODWIT_ERROR_USAGE, "unknown fault \"%s\": there are %s",
                           parts[0] ? parts[0] : "", names->str);
    g_auto(GStrv) keys = g_strsplit(parts[1] ? parts[1] : "", ",", -1);
    for (guint i = 0; keys[i]; i++)
        if (!parse_key(keys[i], fault, error))
            return false;
    return true;
}
