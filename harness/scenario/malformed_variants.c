/*
 * Makes the variants of the scenarios malformed/: finds the places in the good stream and changes
 * it there.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/malformed_parts.h"

#include "base/bytes.h"
#include "stream/file.h"
#include <string.h>
#include <unistd.h>

/* What was found in the good stream. */
struct map {
    size_t at[GODWIT_PLACES]; /* 0: not found */
    char block[256];          /* name of the first RAM block */
    uint32_t page_size;       /* of the target */
    bool records;             /* the list of RAM blocks is over */
};

static void set(struct map *map, enum godwit_place place, const struct godwit_stream_item *item,
                size_t within)
{
    if (!map->at[place])
        map->at[place] = (size_t)item->offset + within;
}

static void take_section(struct map *map, const struct godwit_stream_item *item)
{
    /* A header has a byte for the type, the number, the counted name, and two numbers. */
    const size_t numbers = 1 + 4 + 1 + strlen(item->section);
    if (item->kind == GODWIT_STREAM_START) {
        set(map, GODWIT_PLACE_SECTIONS, item, 0);
        if (!strcmp(item->section, "ram")) {
            set(map, GODWIT_PLACE_START, item, 0);
            set(map, GODWIT_PLACE_START_NUMBERS, item, numbers);
        }
    } else if (item->kind == GODWIT_STREAM_FULL) {
        set(map, GODWIT_PLACE_SECTIONS, item, 0);
        set(map, GODWIT_PLACE_DEVICE, item, 0);
        set(map, GODWIT_PLACE_DEVICE_NUMBERS, item, numbers);
    } else if (item->kind == GODWIT_STREAM_FOOTER) {
        set(map, GODWIT_PLACE_FOOTER, item, 0);
        if (map->at[GODWIT_PLACE_DEVICE])
            set(map, GODWIT_PLACE_DEVICE_FOOTER, item, 0);
    } else if (item->kind == GODWIT_STREAM_LAST && !strcmp(item->section, "ram")) {
        set(map, GODWIT_PLACE_LAST, item, 0);
    }
}

static void take_block(struct map *map, const struct godwit_stream_item *item)
{
    set(map, GODWIT_PLACE_BLOCK, item, 0);
    set(map, GODWIT_PLACE_BLOCK_LENGTH, item, 1 + strlen(item->name));
    if (!*map->block)
        g_strlcpy(map->block, item->name, sizeof(map->block));
}

static void take_ram(struct map *map, const struct godwit_stream_item *item)
{
    const bool mapped = map->at[GODWIT_PLACE_MAPPED];
    switch (item->kind) {
    case GODWIT_STREAM_RAM_SIZE:
        set(map, GODWIT_PLACE_RAM_SIZE, item, 0);
        map->page_size = item->page_size;
        break;
    case GODWIT_STREAM_RAM_BLOCK:
        take_block(map, item);
        break;
    case GODWIT_STREAM_MAPPED_HEADER:
        set(map, GODWIT_PLACE_MAPPED, item, 0);
        break;
    case GODWIT_STREAM_MAPPED_BITMAP:
        set(map, GODWIT_PLACE_MAPPED_BITMAP, item, 0);
        break;
    case GODWIT_STREAM_PAGE:
        if (mapped)
            set(map, GODWIT_PLACE_MAPPED_PAGE, item, 0);
        else
            set(map, GODWIT_PLACE_RECORDS, item, 0);
        if (!mapped && item->page == GODWIT_STREAM_PAGE_WHOLE) {
            set(map, GODWIT_PLACE_PAGE, item, 0);
            set(map, GODWIT_PLACE_PAGE_DATA, item, item->data);
        }
        break;
    default:
        set(map, GODWIT_PLACE_RECORDS, item, 0);
    }
}

static bool take(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    (void)error;
    struct map *map = data;
    switch (item->kind) {
    case GODWIT_STREAM_CONFIGURATION:
        set(map, GODWIT_PLACE_CONFIGURATION, item, 0);
        set(map, GODWIT_PLACE_NAME_END, item, 1 + 4 + strlen(item->name));
        break;
    case GODWIT_STREAM_START:
    case GODWIT_STREAM_FULL:
    case GODWIT_STREAM_LAST:
    case GODWIT_STREAM_FOOTER:
        take_section(map, item);
        break;
    case GODWIT_STREAM_RAM_SIZE:
    case GODWIT_STREAM_RAM_BLOCK:
    case GODWIT_STREAM_MAPPED_HEADER:
    case GODWIT_STREAM_MAPPED_BITMAP:
    case GODWIT_STREAM_PAGE:
    case GODWIT_STREAM_MARK:
        take_ram(map, item);
        break;
    case GODWIT_STREAM_EOF:
        set(map, GODWIT_PLACE_END, item, 0);
        break;
    default:
        break;
    }
    return true;
}

static void append_word(GByteArray *bytes, const struct map *map, const char *word)
{
    if (!strcmp(word, "+length")) {
        godwit_bytes_append(bytes, 2, 1 + strlen(map->block));
    } else if (!strcmp(word, "+discard")) {
        godwit_bytes_append(bytes, 2, 3 + strlen(map->block) + 16);
    } else if (!strcmp(word, "+pages")) {
        godwit_bytes_append(bytes, 8, (uint64_t)sysconf(_SC_PAGESIZE));
    } else if (!strcmp(word, "+page")) {
        godwit_bytes_append(bytes, 8, map->page_size);
    } else if (*word == '=') {
        godwit_bytes_append_name(bytes, strcmp(word, "=@") != 0 ? word + 1 : map->block);
    } else if (*word == '*') {
        const guint length = (guint)g_ascii_strtoull(word + 1, NULL, 10), before = bytes->len;
        g_byte_array_set_size(bytes, before + length);
        memset(bytes->data + before, 0, length);
    } else {
        for (; *word; word += 2) {
            g_assert(g_ascii_isxdigit(word[0]) && g_ascii_isxdigit(word[1]));
            const guint8 byte =
                (guint8)(g_ascii_xdigit_value(word[0]) << 4 | g_ascii_xdigit_value(word[1]));
            g_byte_array_append(bytes, &byte, 1);
        }
    }
}

static void add(struct godwit_trials *trials, const struct map *map,
                const struct godwit_malformed *variant)
{
    static const struct godwit_capability shared[] = {{"x-ignore-shared", true}, {NULL, false}};
    static const char *const ends[] = {
        [GODWIT_TRIAL_REFUSES] = "refused",
        [GODWIT_TRIAL_LOADS] = "harmless",
        [GODWIT_TRIAL_EITHER] = "refused or harmless",
    };
    const size_t head = map->at[variant->place] + variant->skip;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_auto(GStrv) words = g_strsplit(variant->text, " ", -1);
    for (guint i = 0; words[i]; i++)
        append_word(bytes, map, words[i]);
    g_autofree char *name = g_strdup_printf("%s: %s", variant->name, ends[variant->end]);
    struct godwit_trial *trial =
        godwit_trials_splice(trials, name, head, bytes->data, bytes->len,
                             variant->cut ? trials->length : head + variant->remove);
    trial->what = variant->name;
    trial->end = variant->end;
    trial->postcopy = variant->setting == GODWIT_SETTING_POSTCOPY;
    if (variant->setting == GODWIT_SETTING_SHARED)
        trial->capabilities = shared;
    if (variant->setting == GODWIT_SETTING_SPARE)
        trial->arguments = g_strdup("-object memory-backend-ram,id=spare,size=1M");
}

static bool make(struct godwit_trials *trials, GError **error)
{
    const struct godwit_malformed_group *group = trials->data;
    enum godwit_stream_channel channel;
    struct map map = {0};
    if (!godwit_stream_read_file(trials->path, 0, take, &map, &channel, error))
        return false;
    for (size_t i = 0; i < group->count; i++) {
        const struct godwit_malformed *variant = &group->variants[i];
        if (!map.at[variant->place])
            return godwit_fail(error, GODWIT_ERROR_MIGRATION, "the good stream has no place for %s",
                               variant->name);
        add(trials, &map, variant);
    }
    return true;
}

bool godwit_malformed_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    const struct godwit_malformed_group *group = scenario->data;
    return godwit_trials_run(testbed, make, group->capabilities, group, error);
}
