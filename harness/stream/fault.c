/*
 * The table of all wire faults, their parser, and the faults that do not deal with pages. These
 * corrupt an item or strike at an offset.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/fault_parts.h"

#include <inttypes.h>
#include <string.h>

/* The default length of a stall, in milliseconds, and the default rate, in bytes a second. */
#define STALL_MS      200
#define THROTTLE_RATE (16u << 20)

static const char *const key_names[GODWIT_FAULT_KEYS] = {
    [GODWIT_FAULT_PAGE] = "page",     [GODWIT_FAULT_BYTE] = "byte",
    [GODWIT_FAULT_BIT] = "bit",       [GODWIT_FAULT_SECTION] = "section",
    [GODWIT_FAULT_OFFSET] = "offset", [GODWIT_FAULT_MS] = "ms",
    [GODWIT_FAULT_RATE] = "rate",     [GODWIT_FAULT_BYTES] = "bytes",
    [GODWIT_FAULT_SEED] = "seed",
};

uint64_t godwit_fault_choose(struct godwit_injection *injection, enum godwit_fault_key key,
                             uint64_t limit)
{
    if (injection->fault.given[key])
        return injection->fault.values[key] % limit;
    const uint64_t high = g_rand_int(injection->random);
    return (high << 32 | g_rand_int(injection->random)) % limit;
}

uint64_t godwit_fault_value(const struct godwit_injection *injection, enum godwit_fault_key key,
                            uint64_t otherwise)
{
    return injection->fault.given[key] ? injection->fault.values[key] : otherwise;
}

void godwit_fault_done(struct godwit_injection *injection, const char *format, ...)
{
    if (injection->done)
        return;
    va_list arguments;
    va_start(arguments, format);
    injection->done = g_strdup_vprintf(format, arguments);
    va_end(arguments);
}

char *godwit_fault_section(const struct godwit_injection *injection,
                           const struct godwit_stream_item *item)
{
    if (item->kind == GODWIT_STREAM_EOF)
        return g_strdup("the mark after the last section");
    if (item->kind == GODWIT_STREAM_DESCRIPTION)
        return g_strdup("the description");
    return g_strdup_printf("section %u (%s)", injection->section, item->section);
}

/* Items */

static void flip(struct godwit_injection *injection, uint8_t *bytes, size_t first, size_t length,
                 const char *what)
{
    const size_t byte = first + (size_t)godwit_fault_choose(injection, GODWIT_FAULT_BYTE, length);
    const unsigned bit = (unsigned)godwit_fault_choose(injection, GODWIT_FAULT_BIT, 8);
    bytes[byte] ^= (uint8_t)(1u << bit);
    godwit_fault_done(injection, "flipped bit %u of byte %zu of %s", bit, byte - first, what);
}

static void corrupt_magic(struct godwit_injection *injection, const struct godwit_stream_item *item,
                          uint8_t *bytes)
{
    (void)item;
    flip(injection, bytes, 0, 4, "the magic");
}

static void corrupt_version(struct godwit_injection *injection,
                            const struct godwit_stream_item *item, uint8_t *bytes)
{
    (void)item;
    flip(injection, bytes, 4, 4, "the version");
}

/* The number follows the item's type, which is one byte. */
static void corrupt_section_id(struct godwit_injection *injection,
                               const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *section = godwit_fault_section(injection, item);
    g_autofree char *what = g_strdup_printf("the number of %s", section);
    flip(injection, bytes, 1, 4, what);
}

static void corrupt_footer(struct godwit_injection *injection,
                           const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *section = godwit_fault_section(injection, item);
    g_autofree char *what = g_strdup_printf("the footer of %s", section);
    flip(injection, bytes, 0, item->length, what);
}

/* The name follows its length, one byte, which follows the section's number. */
static void corrupt_name(struct godwit_injection *injection, const struct godwit_stream_item *item,
                         uint8_t *bytes)
{
    g_autofree char *section = godwit_fault_section(injection, item);
    g_autofree char *what = g_strdup_printf("the name of %s", section);
    flip(injection, bytes, 6, bytes[5], what);
}

static void corrupt_name_length(struct godwit_injection *injection,
                                const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *section = godwit_fault_section(injection, item);
    g_autofree char *what = g_strdup_printf("the length of the name of %s", section);
    flip(injection, bytes, 5, 1, what);
}

static void corrupt_state(struct godwit_injection *injection, const struct godwit_stream_item *item,
                          uint8_t *bytes)
{
    g_autofree char *section = godwit_fault_section(injection, item);
    g_autofree char *what = g_strdup_printf("the state in %s", section);
    flip(injection, bytes, 0, item->length, what);
}

/* The low bits, below the size of a page, are flags. This leaves the last two bytes alone. */
static void corrupt_ram_size(struct godwit_injection *injection,
                             const struct godwit_stream_item *item, uint8_t *bytes)
{
    (void)item;
    flip(injection, bytes, 0, 6, "the total size of RAM");
}

static void corrupt_block_length(struct godwit_injection *injection,
                                 const struct godwit_stream_item *item, uint8_t *bytes)
{
    g_autofree char *what = g_strdup_printf("the length of RAM block %s", item->name);
    flip(injection, bytes, 1 + strlen(item->name), 6, what);
}

/* How bytes arrive */

static void strike_cut(struct godwit_injection *injection)
{
    godwit_flow_cut(injection->flow);
    godwit_fault_done(injection, "cut the connection after %" PRIu64 " bytes", injection->offset);
}

static void strike_close(struct godwit_injection *injection)
{
    godwit_flow_close(injection->flow);
    godwit_fault_done(injection, "closed the direction to the destination after %" PRIu64 " bytes",
                      injection->offset);
}

static void strike_stall(struct godwit_injection *injection)
{
    const unsigned ms = (unsigned)godwit_fault_value(injection, GODWIT_FAULT_MS, STALL_MS);
    godwit_flow_stall(injection->flow, MAX(ms, 1));
    godwit_fault_done(injection, "passed nothing on for %u ms after %" PRIu64 " bytes", ms,
                      injection->offset);
}

static void strike_hang(struct godwit_injection *injection)
{
    godwit_flow_stall(injection->flow, 0);
    godwit_fault_done(injection, "passed nothing on any more after %" PRIu64 " bytes",
                      injection->offset);
}

static void strike_throttle(struct godwit_injection *injection)
{
    const uint64_t rate = godwit_fault_value(injection, GODWIT_FAULT_RATE, THROTTLE_RATE);
    godwit_flow_slow(injection->flow, 0, (size_t)MAX(rate, 1));
    godwit_fault_done(injection,
                      "passed on no more than %" PRIu64 " bytes a second after %" PRIu64 " bytes",
                      rate, injection->offset);
}

void godwit_fault_strike_split(struct godwit_injection *injection)
{
    godwit_flow_slow(injection->flow, 1, 0);
    godwit_fault_done(injection, "passed %" PRIu64 " bytes on one by one",
                      godwit_fault_value(injection, GODWIT_FAULT_BYTES, SPLIT_BYTES));
}

static void strike_nothing(struct godwit_injection *injection)
{
    godwit_fault_done(injection, "passed everything on as it was");
}

static const struct godwit_fault_kind kinds[] = {
    {.name = "none",
     .summary = "everything is passed on unchanged",
     .strike = strike_nothing,
     .at_once = true},
    {.name = "flip-bit",
     .summary = "one bit of a page is flipped",
     .keys = KEY(PAGE) | KEY(BYTE) | KEY(BIT),
     .page = godwit_fault_flip_page},
    {.name = "drop-page",
     .summary = "a page is dropped",
     .keys = KEY(PAGE),
     .page = godwit_fault_drop_page},
    {.name = "swap-pages",
     .summary = "two different pages change places",
     .keys = KEY(PAGE),
     .page = godwit_fault_swap_pages},
    {.name = "page-to-zero",
     .summary = "a page is sent as a zero page",
     .keys = KEY(PAGE),
     .page = godwit_fault_page_to_zero},
    {.name = "zero-to-page",
     .summary = "a zero page is sent as a nonzero page",
     .keys = KEY(PAGE),
     .page = godwit_fault_zero_to_page},
    {.name = "wrong-offset",
     .summary = "a page is sent with the offset of the page before it",
     .keys = KEY(PAGE),
     .page = godwit_fault_wrong_offset},
    {.name = "stale-page",
     .summary = "when a page is sent again, its earlier content is sent instead",
     .keys = KEY(PAGE),
     .live = true,
     .page = godwit_fault_stale_page},
    {.name = "repeat-page",
     .summary = "when a page is sent again, its earlier content is sent after it",
     .keys = KEY(PAGE),
     .live = true,
     .page = godwit_fault_repeat_page},
    {.name = "drop-zero",
     .summary = "pages that become zero after they were sent are dropped",
     .live = true,
     .page = godwit_fault_drop_zero},
    {.name = "flip-state",
     .summary = "one bit of a device's state is flipped",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(STATE),
     .corrupt = corrupt_state},
    {.name = "magic",
     .summary = "the stream's magic is corrupted",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(HEADER),
     .corrupt = corrupt_magic},
    {.name = "version",
     .summary = "the stream's version is corrupted",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(HEADER),
     .corrupt = corrupt_version},
    {.name = "section-id",
     .summary = "a section's number is corrupted",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(START) | PLACE(PART) | PLACE(LAST) | PLACE(FULL),
     .corrupt = corrupt_section_id},
    {.name = "section-name",
     .summary = "a section's name is corrupted",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(START) | PLACE(FULL),
     .corrupt = corrupt_name},
    {.name = "footer",
     .summary = "a section's footer is corrupted",
     .keys = KEY(SECTION) | KEY(BYTE) | KEY(BIT),
     .places = PLACE(FOOTER),
     .corrupt = corrupt_footer},
    {.name = "name-length",
     .summary = "the length of a section's name is corrupted",
     .keys = KEY(SECTION) | KEY(BIT),
     .places = PLACE(START) | PLACE(FULL),
     .corrupt = corrupt_name_length},
    {.name = "ram-size",
     .summary = "the total size of RAM is corrupted",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(RAM_SIZE),
     .corrupt = corrupt_ram_size},
    {.name = "block-length",
     .summary = "the length of the first RAM block is corrupted",
     .keys = KEY(BYTE) | KEY(BIT),
     .places = PLACE(RAM_BLOCK),
     .corrupt = corrupt_block_length},
    {.name = "truncate",
     .summary = "the connection is cut",
     .keys = KEY(OFFSET),
     .strike = strike_cut},
    {.name = "truncate-section",
     .summary = "the connection is cut before a section",
     .keys = KEY(SECTION),
     .places = SECTIONS},
    {.name = "close",
     .summary = "the direction to the destination is closed, the other one stays open",
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
     .strike = godwit_fault_strike_split,
     .at_once = true},
    {.name = "throttle",
     .summary = "the rate at which bytes are passed on is limited",
     .keys = KEY(OFFSET) | KEY(RATE),
     .strike = strike_throttle,
     .at_once = true},
};

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
    return godwit_fail(error, GODWIT_ERROR_USAGE, "fault %s does not take \"%s\"; its keys are %s",
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
        /* In a list of names, "none" would read as if there were no faults. */
        if (strcmp(kinds[i].name, "none") != 0)
            g_string_append_printf(names, "%s%s", names->len ? ", " : "", kinds[i].name);
    }
    if (!fault->kind)
        return godwit_fail(
            error, GODWIT_ERROR_USAGE,
            "unknown fault \"%s\"; the faults are: %s (see `godwit selftest --list`)",
            parts[0] ? parts[0] : "", names->str);
    g_auto(GStrv) keys = g_strsplit(parts[1] ? parts[1] : "", ",", -1);
    for (guint i = 0; keys[i]; i++)
        if (!parse_key(keys[i], fault, error))
            return false;
    return true;
}
