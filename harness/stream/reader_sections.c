/*
 * Reads what all main channels have: header, configuration, sections, commands, description.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/reader_parts.h"

#include <string.h>

static void enter_section(struct godwit_stream *stream, struct section *section)
{
    stream->section = section;
    stream->scanned = 0;
}

enum godwit_stream_channel godwit_stream_channel_of(const uint8_t magic[4])
{
    const uint32_t word =
        (uint32_t)magic[0] << 24 | (uint32_t)magic[1] << 16 | (uint32_t)magic[2] << 8 | magic[3];
    /* After a recovery, a postcopy begins with the command that opens the return path. No page's
     * record begins with that byte, because no block is so large. */
    if (word == MAGIC_MAIN || magic[0] == TYPE_COMMAND)
        return GODWIT_STREAM_MAIN;
    if (word == MAGIC_MULTIFD)
        return GODWIT_STREAM_MULTIFD;
    return magic[0] == 0 ? GODWIT_STREAM_PREEMPT : GODWIT_STREAM_UNKNOWN;
}

/* Takes the beginning of any channel, and the header of a main channel. */
enum step godwit_reader_beginning(struct godwit_stream *stream, struct cursor *cursor,
                                  struct godwit_stream_item *item, GError **error)
{
    const uint32_t magic = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (magic == MAGIC_MULTIFD) {
        stream->channel = GODWIT_STREAM_MULTIFD;
        stream->place = MULTIFD_INIT;
        return STEP_PLACE;
    }
    if (magic != MAGIC_MAIN) {
        stream->resumed = cursor->bytes[0] == TYPE_COMMAND;
        if (godwit_stream_channel_of(cursor->bytes) == GODWIT_STREAM_UNKNOWN)
            return godwit_reader_wrong(stream, 0, error,
                                       "not a migration stream: it begins with 0x%08" PRIx32
                                       ", unlike a main, a multifd or a postcopy channel",
                                       magic);
        stream->channel = stream->resumed ? GODWIT_STREAM_MAIN : GODWIT_STREAM_PREEMPT;
        stream->place = stream->resumed ? SECTIONS : RECORDS;
        return STEP_PLACE;
    }
    stream->channel = GODWIT_STREAM_MAIN;
    item->kind = GODWIT_STREAM_HEADER;
    item->version = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (item->version != STREAM_VERSION)
        return godwit_reader_wrong(stream, 4, error,
                                   "the stream has version %" PRIu32 " instead of %d",
                                   item->version, STREAM_VERSION);
    stream->place = CONFIGURATION;
    return STEP_ITEM;
}

enum step godwit_reader_configuration(struct godwit_stream *stream, struct cursor *cursor,
                                      struct godwit_stream_item *item, GError **error)
{
    static const char what[] = "the machine type";
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_CONFIGURATION) {
        stream->place = SECTIONS;
        return STEP_PLACE;
    }
    item->kind = GODWIT_STREAM_CONFIGURATION;
    const uint32_t length = get32(cursor);
    const enum step step = godwit_reader_text(stream, cursor, length, stream->name, what, error);
    if (step != STEP_ITEM)
        return step;
    item->name = stream->name;
    stream->place = SUBSECTIONS;
    return STEP_ITEM;
}

static enum step take_capabilities(struct godwit_stream *stream, struct cursor *cursor,
                                   GError **error)
{
    const uint32_t count = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (count > MOST_CAPABILITIES)
        return godwit_reader_wrong(stream, cursor->at - 4, error, "too many capabilities: %" PRIu32,
                                   count);
    bool shared = false, mapped = false;
    for (uint32_t i = 0; i < count; i++) {
        char name[256];
        const enum step step = godwit_reader_name(stream, cursor, name, "a capability", error);
        if (step != STEP_ITEM)
            return step;
        shared = shared || !strcmp(name, "x-ignore-shared");
        mapped = mapped || !strcmp(name, "mapped-ram");
    }
    stream->ignores_shared = shared;
    stream->mapped = mapped;
    return STEP_ITEM;
}

static enum step take_page_bits(struct godwit_stream *stream, struct cursor *cursor, GError **error)
{
    const uint32_t bits = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (bits < 10 || bits > 16)
        return godwit_reader_wrong(stream, cursor->at - 4, error,
                                   "invalid page size: 2^%" PRIu32 " bytes", bits);
    stream->page_size = 1u << bits;
    return STEP_ITEM;
}

enum step godwit_reader_subsection(struct godwit_stream *stream, struct cursor *cursor,
                                   struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_SUBSECTION) {
        stream->place = SECTIONS;
        return STEP_PLACE;
    }
    enum step step = godwit_reader_name(stream, cursor, stream->name,
                                        "a subsection of the configuration", error);
    if (step != STEP_ITEM)
        return step;
    item->kind = GODWIT_STREAM_SUBSECTION;
    item->version = get32(cursor);
    item->data = cursor->at;
    if (!strcmp(stream->name, "configuration/capabilities")) {
        step = take_capabilities(stream, cursor, error);
    } else if (!strcmp(stream->name, "configuration/target-page-bits")) {
        step = take_page_bits(stream, cursor, error);
    } else if (!strcmp(stream->name, "configuration/uuid")) {
        skip(cursor, 16);
        step = cursor->lacking ? STEP_MORE : STEP_ITEM;
    } else {
        return godwit_reader_wrong(stream, 0, error,
                                   "unknown subsection \"%s\" of the configuration", stream->name);
    }
    item->name = stream->name;
    return step;
}

/* Returns whether a command of this type may have LENGTH bytes of data. */
static bool command_fits(uint64_t type, size_t length)
{
    switch (type) {
    case GODWIT_COMMAND_OPEN_RETURN_PATH:
    case GODWIT_COMMAND_POSTCOPY_LISTEN:
    case GODWIT_COMMAND_POSTCOPY_RUN:
    case GODWIT_COMMAND_POSTCOPY_RESUME:
    case GODWIT_COMMAND_ENABLE_COLO:
    case GODWIT_COMMAND_SWITCHOVER_START:
        return length == 0;
    case GODWIT_COMMAND_PING:
    case GODWIT_COMMAND_PACKAGED:
        return length == 4;
    case GODWIT_COMMAND_POSTCOPY_ADVISE:
        return length == 0 || length == 16;
    case GODWIT_COMMAND_POSTCOPY_RAM_DISCARD:
    case GODWIT_COMMAND_RECV_BITMAP:
        return length > 0;
    default:
        return false;
    }
}

static enum step take_command(struct godwit_stream *stream, struct cursor *cursor,
                              struct godwit_stream_item *item, GError **error)
{
    item->kind = GODWIT_STREAM_COMMAND;
    item->value = get(cursor, 2);
    const size_t length = (size_t)get(cursor, 2);
    if (cursor->lacking)
        return STEP_MORE;
    if (!command_fits(item->value, length))
        return godwit_reader_wrong(stream, 1, error,
                                   "invalid command %" PRIu64 " with %zu bytes of data",
                                   item->value, length);
    item->data = cursor->at;
    struct cursor content = *cursor;
    skip(cursor, length);
    if (cursor->lacking)
        return STEP_MORE;
    if (item->value == GODWIT_COMMAND_POSTCOPY_ADVISE && length == 16) {
        const uint64_t sizes = get(&content, 8), page_size = get(&content, 8);
        if (page_size != stream->page_size)
            return godwit_reader_wrong(stream, 13, error,
                                       "postcopy announces pages of " HEX
                                       " bytes, but the stream has pages of %" PRIu32 " bytes",
                                       page_size, stream->page_size);
        stream->postcopy_sizes = sizes;
    } else if (item->value == GODWIT_COMMAND_PACKAGED) {
        item->package_size = get(&content, 4);
        if (stream->package_left)
            return godwit_reader_wrong(stream, 0, error, "a package within a package");
        if (item->package_size == 0)
            return godwit_reader_wrong(stream, 5, error, "an empty package");
        stream->package_left = item->package_size;
    }
    return STEP_ITEM;
}

/* Takes a section's header, after its type. */
static enum step take_header(struct godwit_stream *stream, struct cursor *cursor, uint64_t type,
                             struct godwit_stream_item *item, GError **error)
{
    const uint32_t id = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (g_hash_table_contains(stream->sections, GUINT_TO_POINTER(id)))
        return godwit_reader_wrong(stream, 1, error, "section %" PRIu32 " begins a second time",
                                   id);
    if (g_hash_table_size(stream->sections) == MOST_SECTIONS)
        return godwit_reader_wrong(stream, 0, error, "more than %d sections", MOST_SECTIONS);
    const enum step step = godwit_reader_name(stream, cursor, stream->name, "a section", error);
    if (step != STEP_ITEM)
        return step;
    struct section section = {.id = id, .whole = type == TYPE_FULL};
    section.instance = get32(cursor);
    section.version = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (section.version > HIGHEST_VERSION)
        return godwit_reader_wrong(stream, cursor->at - 4, error,
                                   "invalid version 0x%08" PRIx32 " of section \"%s\"",
                                   section.version, stream->name);
    section.ram = !strcmp(stream->name, "ram");
    if (section.ram && (section.whole || section.version != RAM_VERSION))
        return godwit_reader_wrong(stream, 0, error,
                                   "invalid section \"ram\" of version %" PRIu32 "%s",
                                   section.version, section.whole ? " in one piece" : "");
    memcpy(section.name, stream->name, sizeof(section.name));
    struct section *kept = g_memdup2(&section, sizeof(section));
    g_hash_table_insert(stream->sections, GUINT_TO_POINTER(id), kept);
    enter_section(stream, kept);
    stream->place = section.ram ? RAM_SIZE : STATE;
    item->kind = section.whole ? GODWIT_STREAM_FULL : GODWIT_STREAM_START;
    return STEP_ITEM;
}

/* Takes the header of a further part of a section, after its type. */
static enum step take_part(struct godwit_stream *stream, struct cursor *cursor, uint64_t type,
                           struct godwit_stream_item *item, GError **error)
{
    const uint32_t id = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    struct section *section = g_hash_table_lookup(stream->sections, GUINT_TO_POINTER(id));
    if (!section && stream->resumed && g_hash_table_size(stream->sections) == 0) {
        /* The section began on an earlier channel. After a recovery only RAM is left to send. */
        section = g_new0(struct section, 1);
        *section = (struct section){.name = "ram", .id = id, .version = RAM_VERSION, .ram = true};
        g_hash_table_insert(stream->sections, GUINT_TO_POINTER(id), section);
    }
    if (!section || section->whole)
        return godwit_reader_wrong(stream, 1, error, "part of section %" PRIu32 ", which %s", id,
                                   section ? "is in one piece" : "has not begun");
    enter_section(stream, section);
    stream->place = section->ram ? RECORDS : STATE;
    item->kind = type == TYPE_PART ? GODWIT_STREAM_PART : GODWIT_STREAM_LAST;
    return STEP_ITEM;
}

enum step godwit_reader_section(struct godwit_stream *stream, struct cursor *cursor,
                                struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    switch (type) {
    case TYPE_EOF:
        item->kind = GODWIT_STREAM_EOF;
        if (stream->package_left)
            return godwit_reader_wrong(stream, 0, error, "the sections end within a package");
        stream->place = AFTER_EOF;
        return STEP_ITEM;
    case TYPE_START:
    case TYPE_FULL:
        return take_header(stream, cursor, type, item, error);
    case TYPE_PART:
    case TYPE_LAST:
        return take_part(stream, cursor, type, item, error);
    case TYPE_COMMAND:
        return take_command(stream, cursor, item, error);
    default:
        return godwit_reader_wrong(
            stream, 0, error, "0x%02x where a section or a command must begin", (unsigned)type);
    }
}

/* Decides whether the bytes at the cursor may follow a footer. Returns STEP_ITEM if they may,
 * STEP_WRONG if not, without an error, or STEP_MORE. */
static enum step judge_next(const struct godwit_stream *stream, struct cursor *cursor)
{
    struct cursor next = *cursor;
    const uint64_t type = get(&next, 1);
    if (next.lacking)
        return STEP_MORE;
    if (type == TYPE_EOF) {
        if (stream->package_left)
            return STEP_WRONG;
        const uint64_t description = get(&next, 1);
        if (next.lacking)
            return STEP_MORE;
        const uint64_t length = get(&next, 4), brace = get(&next, 1);
        if (description != TYPE_DESCRIPTION)
            return STEP_WRONG;
        if (next.lacking)
            return STEP_MORE;
        return brace == '{' && length >= 2 && length < GODWIT_STREAM_ITEM_MAX ? STEP_ITEM
                                                                              : STEP_WRONG;
    }
    if (type == TYPE_COMMAND) {
        const uint64_t command = get(&next, 2);
        const size_t length = (size_t)get(&next, 2);
        if (next.lacking)
            return STEP_MORE;
        return command_fits(command, length) ? STEP_ITEM : STEP_WRONG;
    }
    const bool begins = type == TYPE_START || type == TYPE_FULL;
    if (!begins && type != TYPE_PART && type != TYPE_LAST)
        return STEP_WRONG;
    const uint32_t id = get32(&next);
    if (next.lacking)
        return STEP_MORE;
    const struct section *known = g_hash_table_lookup(stream->sections, GUINT_TO_POINTER(id));
    if (!begins)
        return known && !known->whole ? STEP_ITEM : STEP_WRONG;
    const size_t length = (size_t)get(&next, 1);
    if (known || id >= MOST_SECTIONS || (!next.lacking && length == 0))
        return STEP_WRONG;
    if (!next.lacking && !is_text(next.bytes + next.at, MIN(length, next.have - next.at)))
        return STEP_WRONG;
    skip(&next, length);
    skip(&next, 4);
    const uint32_t version = get32(&next);
    if (next.lacking)
        return STEP_MORE;
    return version <= HIGHEST_VERSION ? STEP_ITEM : STEP_WRONG;
}

/* Takes a device's state, which ends at its footer. */
enum step godwit_reader_state(struct godwit_stream *stream, struct cursor *cursor,
                              struct godwit_stream_item *item, GError **error)
{
    const uint32_t id = stream->section->id;
    const uint8_t footer[5] = {TYPE_FOOTER, (uint8_t)(id >> 24), (uint8_t)(id >> 16),
                               (uint8_t)(id >> 8), (uint8_t)id};
    for (;; stream->scanned++) {
        const uint8_t *from = cursor->bytes + stream->scanned;
        const size_t left = cursor->have - stream->scanned;
        const uint8_t *found = left ? memchr(from, TYPE_FOOTER, left) : NULL;
        stream->scanned = found ? (size_t)(found - cursor->bytes) : cursor->have;
        if (stream->scanned > GODWIT_STREAM_ITEM_MAX)
            return godwit_reader_wrong(stream, 0, error, "no footer in %u bytes of section \"%s\"",
                                       GODWIT_STREAM_ITEM_MAX, stream->section->name);
        if (!found)
            break;
        const size_t there = cursor->have - stream->scanned;
        if (memcmp(found, footer, MIN(there, sizeof(footer))) != 0)
            continue;
        if (there < sizeof(footer))
            break;
        struct cursor after = *cursor;
        after.at = stream->scanned + sizeof(footer);
        enum step next = judge_next(stream, &after);
        /* If no more bytes come, accept a footer that nothing contradicts. */
        if (next == STEP_MORE && cursor->last)
            next = STEP_ITEM;
        if (next == STEP_MORE)
            return STEP_MORE;
        if (next == STEP_WRONG)
            continue;
        stream->place = FOOTER;
        item->kind = GODWIT_STREAM_STATE;
        item->data = 0;
        cursor->at = stream->scanned;
        return cursor->at ? STEP_ITEM : STEP_PLACE;
    }
    if (cursor->last)
        return godwit_reader_wrong(stream, 0, error, "section \"%s\" has no footer",
                                   stream->section->name);
    return STEP_MORE;
}

enum step godwit_reader_footer(struct godwit_stream *stream, struct cursor *cursor,
                               struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_FOOTER)
        return godwit_reader_wrong(stream, 0, error,
                                   "0x%02x instead of the footer of section \"%s\"", (unsigned)type,
                                   stream->section->name);
    const uint32_t id = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (id != stream->section->id)
        return godwit_reader_wrong(stream, 1, error,
                                   "the footer of section %" PRIu32
                                   " at the end of section %" PRIu32 ", \"%s\"",
                                   id, stream->section->id, stream->section->name);
    item->kind = GODWIT_STREAM_FOOTER;
    stream->place = SECTIONS;
    return STEP_ITEM;
}

enum step godwit_reader_description(struct godwit_stream *stream, struct cursor *cursor,
                                    struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_DESCRIPTION)
        return godwit_reader_wrong(stream, 0, error, "0x%02x after the end of all sections",
                                   (unsigned)type);
    const uint32_t length = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (length < 2 || length >= GODWIT_STREAM_ITEM_MAX)
        return godwit_reader_wrong(stream, 1, error,
                                   "invalid length of the description: %" PRIu32 " bytes", length);
    const uint8_t *text = cursor->bytes + cursor->at;
    if (cursor->have > cursor->at && text[0] != '{')
        return godwit_reader_wrong(stream, cursor->at, error,
                                   "the description is not a JSON object");
    item->kind = GODWIT_STREAM_DESCRIPTION;
    item->data = cursor->at;
    skip(cursor, length);
    if (cursor->lacking)
        return STEP_MORE;
    stream->place = OVER;
    return STEP_ITEM;
}
