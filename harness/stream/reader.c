/*
 * What is expected next in a stream is a place; each place has a function that looks at the bytes
 * there, and says that more are needed, that they cannot be, or which item they are. Such a
 * function changes the reader only once it has a whole item: it may be called again with more
 * bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/reader.h"

#include <inttypes.h>
#include <string.h>

#define HEX "0x%" PRIx64

/* Numbers on the wire. */
enum {
    MAGIC_MAIN = 0x5145564d,
    MAGIC_MULTIFD = 0x11223344,
    STREAM_VERSION = 3,
    RAM_VERSION = 4,
    MULTIFD_VERSION = 1,
    MAPPED_VERSION = 1,

    TYPE_EOF = 0x00,
    TYPE_START = 0x01,
    TYPE_PART = 0x02,
    TYPE_LAST = 0x03,
    TYPE_FULL = 0x04,
    TYPE_SUBSECTION = 0x05,
    TYPE_DESCRIPTION = 0x06,
    TYPE_CONFIGURATION = 0x07,
    TYPE_COMMAND = 0x08,
    TYPE_FOOTER = 0x7e,

    XBZRLE_ENCODING = 1,
    MULTIFD_SYNC = 1,
    MULTIFD_METHODS = 0x3e,
};

/* Far beyond what there is. */
enum {
    MOST_SECTIONS = 16384,
    MOST_BLOCKS = 4096,
    MOST_CAPABILITIES = 256,
    PACKET_SIZE = 512 << 10, /* of a multifd packet's pages: it has room for so many */
    HIGHEST_VERSION = 0xffff,
    PIECE = 64 << 10,
};

#define LARGEST_BLOCK ((uint64_t)1 << 56)

enum place {
    BEGINNING,
    CONFIGURATION,
    SUBSECTIONS,
    SECTIONS,
    STATE,
    FOOTER,
    RAM_SIZE,
    RAM_BLOCKS,
    MAPPED_HEADER,
    MAPPED_BITMAP,
    MAPPED_PAGES,
    RECORDS,
    AFTER_EOF,
    MULTIFD_INIT,
    PACKETS,
    PACKET_PAGES,
    PACKET_DATA,
    OVER,
};

enum step {
    STEP_MORE,  /* not decided by these bytes */
    STEP_ITEM,  /* the cursor's bytes are an item */
    STEP_PLACE, /* nothing was taken, but the place is another */
    STEP_WRONG, /* the error is set */
};

struct section {
    char name[256];
    uint32_t id, instance, version;
    bool whole; /* FULL: no further part of it */
    bool ram;
};

struct block {
    char name[256];
    uint64_t length; /* 0: unknown, as no list of blocks was there */
};

/* The bytes that are there, from the item's first one on. */
struct cursor {
    const uint8_t *bytes;
    size_t have;
    size_t at;
    bool lacking; /* something was read beyond them */
    bool last;    /* none come after them: the end of the stream, or of a package */
};

struct godwit_stream {
    godwit_stream_sink sink;
    gpointer data;
    enum godwit_stream_channel channel;
    enum place place;
    uint64_t offset;      /* of the next item */
    GByteArray *pending;  /* bytes of it that came in earlier pieces */
    GError *failure;      /* the reading is over */
    GHashTable *sections; /* number -> struct section */
    GPtrArray *blocks;    /* of struct block */
    uint32_t page_size;
    char name[256]; /* that an item points to */

    struct section *section;  /* that it is in; NULL between sections */
    size_t scanned;           /* of a state: no footer begins in so many bytes of it */
    uint64_t package_left;    /* bytes of the package that are to come */
    bool resumed;             /* the channel of a postcopy that goes on: no list of blocks */
    bool ignores_shared;      /* as announced: x-ignore-shared, ... */
    bool mapped;              /* ... mapped-ram */
    uint64_t postcopy_sizes;  /* page sizes that postcopy announces, ORed */
    uint64_t blocks_left;     /* bytes of blocks that the list has yet to name */
    struct block *last_block; /* of the latest record */
    uint8_t *bitmap;          /* mapped-ram: of the present block */
    uint64_t bitmap_at;       /* mapped-ram: where it has to be */
    uint64_t pages_at;        /* mapped-ram: where the block's pages begin in the file */
    uint64_t mapped_page;     /* mapped-ram: number of the block's next page */
    uint64_t *packet_pages;   /* of a multifd packet: offsets of its pages in their block */
    char packet_block[256];   /* ... and its name */
    uint32_t packet_whole;    /* ... of which so many are sent, ... */
    uint32_t packet_zero;     /* ... so many are zero, ... */
    uint32_t packet_next;     /* ... and this one is next */
    uint32_t packet_data;     /* bytes that are no plain pages */
    bool packet_packed;       /* the pages are in those */
};

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

/* What a stream that ends there ends in. */
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

/* The bytes AT bytes after the item's first cannot be. */
static enum step wrong(const struct godwit_stream *stream, size_t at, GError **error,
                       const char *format, ...) G_GNUC_PRINTF(4, 5);
static enum step wrong(const struct godwit_stream *stream, size_t at, GError **error,
                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    godwit_fail(error, GODWIT_ERROR_STREAM, "offset " HEX ": %s", stream->offset + at, text);
    return STEP_WRONG;
}

/* The next COUNT bytes as a number; 0 if they are not there. */
static uint64_t get(struct cursor *cursor, size_t count)
{
    if (cursor->lacking || cursor->have - cursor->at < count) {
        cursor->lacking = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | cursor->bytes[cursor->at++];
    return value;
}

static uint32_t get32(struct cursor *cursor)
{
    return (uint32_t)get(cursor, 4);
}

static void skip(struct cursor *cursor, size_t count)
{
    if (cursor->lacking || cursor->have - cursor->at < count)
        cursor->lacking = true;
    else
        cursor->at += count;
}

static bool is_text(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    return true;
}

/* The next LENGTH bytes, a name of WHAT. STEP_ITEM stands for success. */
static enum step get_text(const struct godwit_stream *stream, struct cursor *cursor, size_t length,
                          char name[256], const char *what, GError **error)
{
    if (cursor->lacking)
        return STEP_MORE;
    if (length == 0 || length > 255)
        return wrong(stream, cursor->at, error, "a name of %zu bytes for %s", length, what);
    if (!is_text(cursor->bytes + cursor->at, MIN(length, cursor->have - cursor->at)))
        return wrong(stream, cursor->at, error, "the name of %s is no text", what);
    const uint8_t *from = cursor->bytes + cursor->at;
    skip(cursor, length);
    if (cursor->lacking)
        return STEP_MORE;
    memcpy(name, from, length);
    name[length] = 0;
    return STEP_ITEM;
}

/* The same with the length in one byte before it. */
static enum step get_name(const struct godwit_stream *stream, struct cursor *cursor, char name[256],
                          const char *what, GError **error)
{
    const size_t length = (size_t)get(cursor, 1);
    return get_text(stream, cursor, length, name, what, error);
}

static struct block *find_block(const struct godwit_stream *stream, const char *name)
{
    for (guint i = 0; i < stream->blocks->len; i++) {
        struct block *block = g_ptr_array_index(stream->blocks, i);
        if (!strcmp(block->name, name))
            return block;
    }
    return NULL;
}

static struct block *add_block(struct godwit_stream *stream, const char *name, uint64_t length)
{
    struct block *block = g_new0(struct block, 1);
    g_strlcpy(block->name, name, sizeof(block->name));
    block->length = length;
    g_ptr_array_add(stream->blocks, block);
    return block;
}

static void enter_section(struct godwit_stream *stream, struct section *section)
{
    stream->section = section;
    stream->scanned = 0;
}

/* The beginning of any channel, and the header of a main one. */
static enum step take_beginning(struct godwit_stream *stream, struct cursor *cursor,
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
        /* A command opens the way back when a postcopy goes on. No page's record looks so, for no
         * block is so large. */
        stream->resumed = cursor->bytes[0] == TYPE_COMMAND;
        if (!stream->resumed && cursor->bytes[0] != 0)
            return wrong(stream, 0, error,
                         "no migration stream begins with 0x%08" PRIx32
                         ": neither a main nor a multifd nor a postcopy channel",
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
        return wrong(stream, 4, error, "version %" PRIu32 " of the stream, not %d", item->version,
                     STREAM_VERSION);
    stream->place = CONFIGURATION;
    return STEP_ITEM;
}

static enum step take_configuration(struct godwit_stream *stream, struct cursor *cursor,
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
    const enum step step = get_text(stream, cursor, length, stream->name, what, error);
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
        return wrong(stream, cursor->at - 4, error, "%" PRIu32 " capabilities", count);
    bool shared = false, mapped = false;
    for (uint32_t i = 0; i < count; i++) {
        char name[256];
        const enum step step = get_name(stream, cursor, name, "a capability", error);
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
        return wrong(stream, cursor->at - 4, error, "pages of 2^%" PRIu32 " bytes", bits);
    stream->page_size = 1u << bits;
    return STEP_ITEM;
}

static enum step take_subsection(struct godwit_stream *stream, struct cursor *cursor,
                                 struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_SUBSECTION) {
        stream->place = SECTIONS;
        return STEP_PLACE;
    }
    enum step step =
        get_name(stream, cursor, stream->name, "a subsection of the configuration", error);
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
        return wrong(stream, 0, error, "a subsection \"%s\", whose length nobody knows",
                     stream->name);
    }
    item->name = stream->name;
    return step;
}

/* Which types of commands there are, and how long their data is. */
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
        return wrong(stream, 1, error, "command %" PRIu64 " with %zu bytes of data", item->value,
                     length);
    item->data = cursor->at;
    struct cursor content = *cursor;
    skip(cursor, length);
    if (cursor->lacking)
        return STEP_MORE;
    if (item->value == GODWIT_COMMAND_POSTCOPY_ADVISE && length == 16) {
        const uint64_t sizes = get(&content, 8), page_size = get(&content, 8);
        if (page_size != stream->page_size)
            return wrong(stream, 13, error,
                         "postcopy is announced with pages of " HEX " bytes, after %" PRIu32,
                         page_size, stream->page_size);
        stream->postcopy_sizes = sizes;
    } else if (item->value == GODWIT_COMMAND_PACKAGED) {
        item->package_size = get(&content, 4);
        if (stream->package_left)
            return wrong(stream, 0, error, "a package within a package");
        if (item->package_size == 0)
            return wrong(stream, 5, error, "an empty package");
        stream->package_left = item->package_size;
    }
    return STEP_ITEM;
}

/* A section's header, after its type. */
static enum step take_header(struct godwit_stream *stream, struct cursor *cursor, uint64_t type,
                             struct godwit_stream_item *item, GError **error)
{
    const uint32_t id = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (g_hash_table_contains(stream->sections, GUINT_TO_POINTER(id)))
        return wrong(stream, 1, error, "section %" PRIu32 " begins a second time", id);
    if (g_hash_table_size(stream->sections) == MOST_SECTIONS)
        return wrong(stream, 0, error, "more than %d sections", MOST_SECTIONS);
    const enum step step = get_name(stream, cursor, stream->name, "a section", error);
    if (step != STEP_ITEM)
        return step;
    struct section section = {.id = id, .whole = type == TYPE_FULL};
    section.instance = get32(cursor);
    section.version = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (section.version > HIGHEST_VERSION)
        return wrong(stream, cursor->at - 4, error, "version 0x%08" PRIx32 " of section \"%s\"",
                     section.version, stream->name);
    section.ram = !strcmp(stream->name, "ram");
    if (section.ram && (section.whole || section.version != RAM_VERSION))
        return wrong(stream, 0, error, "a section \"ram\" of version %" PRIu32 "%s",
                     section.version, section.whole ? " in one piece" : "");
    memcpy(section.name, stream->name, sizeof(section.name));
    struct section *kept = g_memdup2(&section, sizeof(section));
    g_hash_table_insert(stream->sections, GUINT_TO_POINTER(id), kept);
    enter_section(stream, kept);
    stream->place = section.ram ? RAM_SIZE : STATE;
    item->kind = section.whole ? GODWIT_STREAM_FULL : GODWIT_STREAM_START;
    return STEP_ITEM;
}

/* A further part of a section, after its type. */
static enum step take_part(struct godwit_stream *stream, struct cursor *cursor, uint64_t type,
                           struct godwit_stream_item *item, GError **error)
{
    const uint32_t id = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    struct section *section = g_hash_table_lookup(stream->sections, GUINT_TO_POINTER(id));
    if (!section && stream->resumed && g_hash_table_size(stream->sections) == 0) {
        /* It has begun on an earlier channel. Nothing but RAM is left to send by then. */
        section = g_new0(struct section, 1);
        *section = (struct section){.name = "ram", .id = id, .version = RAM_VERSION, .ram = true};
        g_hash_table_insert(stream->sections, GUINT_TO_POINTER(id), section);
    }
    if (!section || section->whole)
        return wrong(stream, 1, error, "part of section %" PRIu32 ", which %s", id,
                     section ? "is in one piece" : "has not begun");
    enter_section(stream, section);
    stream->place = section->ram ? RECORDS : STATE;
    item->kind = type == TYPE_PART ? GODWIT_STREAM_PART : GODWIT_STREAM_LAST;
    return STEP_ITEM;
}

static enum step take_section(struct godwit_stream *stream, struct cursor *cursor,
                              struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    switch (type) {
    case TYPE_EOF:
        item->kind = GODWIT_STREAM_EOF;
        if (stream->package_left)
            return wrong(stream, 0, error, "the end of all sections, within a package");
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
        return wrong(stream, 0, error, "0x%02x where a section or a command begins",
                     (unsigned)type);
    }
}

/* Whether what is at the cursor, after a footer, can be: STEP_ITEM if it can, STEP_WRONG if not. */
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

/* A device's state, up to its footer. */
static enum step take_state(struct godwit_stream *stream, struct cursor *cursor,
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
            return wrong(stream, 0, error, "no footer in %u bytes of section \"%s\"",
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
        /* With nothing more to come, what has begun to look right is believed. */
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
        return wrong(stream, 0, error, "section \"%s\" has no footer", stream->section->name);
    return STEP_MORE;
}

static enum step take_footer(struct godwit_stream *stream, struct cursor *cursor,
                             struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_FOOTER)
        return wrong(stream, 0, error, "0x%02x where section \"%s\" has its footer", (unsigned)type,
                     stream->section->name);
    const uint32_t id = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (id != stream->section->id)
        return wrong(stream, 1, error,
                     "the footer of section %" PRIu32 " at the end of section %" PRIu32 ", \"%s\"",
                     id, stream->section->id, stream->section->name);
    item->kind = GODWIT_STREAM_FOOTER;
    stream->place = SECTIONS;
    return STEP_ITEM;
}

static enum step take_ram_size(struct godwit_stream *stream, struct cursor *cursor,
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
        return wrong(stream, 0, error, "no list of RAM blocks begins with " HEX, word);
    if (item->value >= LARGEST_BLOCK)
        return wrong(stream, 0, error, HEX " bytes of RAM", item->value);
    stream->blocks_left = item->value;
    stream->place = item->value ? RAM_BLOCKS : RECORDS;
    return STEP_ITEM;
}

/* Whether a page size is at the cursor, where postcopy has it for blocks with pages of another size
 * than the host's. What else can be there, a name or a record, does not look so: a name has a
 * length, and a record has a flag. */
static bool is_block_page_size(const struct godwit_stream *stream, const struct cursor *cursor)
{
    struct cursor next = *cursor;
    const uint64_t size = get(&next, 8);
    return !next.lacking && size > stream->page_size && (size & (size - 1)) == 0 &&
           (size & stream->postcopy_sizes);
}

static enum step take_ram_block(struct godwit_stream *stream, struct cursor *cursor,
                                struct godwit_stream_item *item, GError **error)
{
    const enum step step = get_name(stream, cursor, stream->name, "a RAM block", error);
    if (step != STEP_ITEM)
        return step;
    item->kind = GODWIT_STREAM_RAM_BLOCK;
    item->name = stream->name;
    item->value = get(cursor, 8);
    if (cursor->lacking)
        return STEP_MORE;
    if (find_block(stream, stream->name))
        return wrong(stream, 0, error, "RAM block \"%s\" is named a second time", stream->name);
    if (stream->blocks->len == MOST_BLOCKS)
        return wrong(stream, 0, error, "more than %d RAM blocks", MOST_BLOCKS);
    if (item->value == 0 || item->value > stream->blocks_left || item->value % stream->page_size)
        return wrong(stream, cursor->at - 8, error,
                     "RAM block \"%s\" has " HEX " bytes, of " HEX " that are left to all blocks",
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

/* The bytes of a bitmap with one bit for each of the block's pages: whole words of eight. */
static uint64_t bitmap_size(const struct godwit_stream *stream)
{
    const uint64_t pages = stream->last_block->length / stream->page_size;
    return (pages + 63) / 64 * 8;
}

static enum step take_mapped_header(struct godwit_stream *stream, struct cursor *cursor,
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
        return wrong(stream, 0, error, "version %" PRIu32 " of mapped-ram, not %d", item->version,
                     MAPPED_VERSION);
    if (page_size != stream->page_size)
        return wrong(stream, 4, error, "mapped-ram with pages of " HEX " bytes, not %" PRIu32,
                     page_size, stream->page_size);
    const uint64_t here = stream->offset + cursor->at, size = bitmap_size(stream);
    if (bitmap_at != here)
        return wrong(stream, 12, error, "the bitmap of \"%s\" at " HEX ", not " HEX, item->name,
                     bitmap_at, here);
    if (size > GODWIT_STREAM_ITEM_MAX)
        return wrong(stream, 12, error,
                     "RAM block \"%s\" is too large: its bitmap has " HEX " bytes", item->name,
                     size);
    if (item->value < here + size || item->value >= LARGEST_BLOCK)
        return wrong(stream, 20, error, "the pages of \"%s\" at " HEX ", where its bitmap is",
                     item->name, item->value);
    stream->pages_at = item->value;
    stream->place = MAPPED_BITMAP;
    return STEP_ITEM;
}

static enum step take_mapped_bitmap(struct godwit_stream *stream, struct cursor *cursor,
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

/* A page, or a piece of what is between pages. */
static enum step take_mapped_page(struct godwit_stream *stream, struct cursor *cursor,
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

/* The RAM block of a record, at the cursor or as before, in *BLOCK. */
static enum step take_record_block(struct godwit_stream *stream, struct cursor *cursor, bool same,
                                   struct block **block, GError **error)
{
    *block = stream->last_block;
    if (same)
        return *block ? STEP_ITEM
                      : wrong(stream, 0, error, "a page of the block before, the first of all");
    const enum step step = get_name(stream, cursor, stream->name, "a page's RAM block", error);
    if (step != STEP_ITEM)
        return step;
    *block = find_block(stream, stream->name);
    if (*block)
        return STEP_ITEM;
    if (stream->channel != GODWIT_STREAM_PREEMPT && !stream->resumed)
        return wrong(stream, 8, error, "a page of RAM block \"%s\", which is not in the list",
                     stream->name);
    if (stream->blocks->len == MOST_BLOCKS)
        return wrong(stream, 8, error, "more than %d RAM blocks", MOST_BLOCKS);
    return STEP_ITEM;
}

/* What a page's record has after its block. */
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
            return wrong(stream, cursor->at - 3, error, "xbzrle encoding %u", (unsigned)encoding);
        if (length > stream->page_size)
            return wrong(stream, cursor->at - 2, error, "%zu bytes of xbzrle for one page", length);
        break;
    }
    default:
        item->page = GODWIT_STREAM_PAGE_COMPRESSED;
        length = get32(cursor);
        if (length > 2 * stream->page_size || (!cursor->lacking && length == 0))
            return wrong(stream, cursor->at - 4, error, "a page compressed to %zu bytes", length);
    }
    item->kind = GODWIT_STREAM_PAGE;
    item->data = cursor->at;
    skip(cursor, length);
    return cursor->lacking ? STEP_MORE : STEP_ITEM;
}

static enum step take_record(struct godwit_stream *stream, struct cursor *cursor,
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
            return wrong(stream, 0, error,
                         "a page at " HEX " of RAM block \"%s\", which has " HEX " bytes",
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
    return wrong(stream, 0, error, "no RAM record begins with " HEX, word);
}

static enum step take_description(struct godwit_stream *stream, struct cursor *cursor,
                                  struct godwit_stream_item *item, GError **error)
{
    const uint64_t type = get(cursor, 1);
    if (cursor->lacking)
        return STEP_MORE;
    if (type != TYPE_DESCRIPTION)
        return wrong(stream, 0, error, "0x%02x after the end of all sections", (unsigned)type);
    const uint32_t length = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (length < 2 || length >= GODWIT_STREAM_ITEM_MAX)
        return wrong(stream, 1, error, "a description of %" PRIu32 " bytes", length);
    const uint8_t *text = cursor->bytes + cursor->at;
    if (cursor->have > cursor->at && text[0] != '{')
        return wrong(stream, cursor->at, error, "the description is no JSON object");
    item->kind = GODWIT_STREAM_DESCRIPTION;
    item->data = cursor->at;
    skip(cursor, length);
    if (cursor->lacking)
        return STEP_MORE;
    stream->place = OVER;
    return STEP_ITEM;
}

/* The four bytes and the version that both kinds of multifd packets begin with. */
static enum step get_multifd(const struct godwit_stream *stream, struct cursor *cursor,
                             GError **error)
{
    const uint32_t magic = get32(cursor), version = get32(cursor);
    if (cursor->lacking)
        return STEP_MORE;
    if (magic != MAGIC_MULTIFD)
        return wrong(stream, 0, error, "no multifd packet begins with 0x%08" PRIx32, magic);
    if (version != MULTIFD_VERSION)
        return wrong(stream, 4, error, "version %" PRIu32 " of multifd, not %d", version,
                     MULTIFD_VERSION);
    return STEP_ITEM;
}

static enum step take_multifd_init(struct godwit_stream *stream, struct cursor *cursor,
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

static enum step take_packet(struct godwit_stream *stream, struct cursor *cursor,
                             struct godwit_stream_item *item, GError **error)
{
    const enum step step = get_multifd(stream, cursor, error);
    if (step != STEP_ITEM)
        return step;
    item->kind = GODWIT_STREAM_MULTIFD_PACKET;
    item->version = MULTIFD_VERSION;
    item->flags = get32(cursor);
    skip(cursor, 4); /* for how many pages it has room, or 0; there is always the same room */
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
        return wrong(stream, 8, error, "a multifd packet with flags 0x%" PRIx32, item->flags);
    const uint32_t most = PACKET_SIZE / stream->page_size;
    if (item->pages > most || item->zero_pages > most - item->pages)
        return wrong(stream, 16, error,
                     "a multifd packet of %" PRIu32 " and %" PRIu32
                     " zero pages, with room for %" PRIu32,
                     item->pages, item->zero_pages, most);
    /* Packets that only synchronise have the size of an earlier packet's data, and none. */
    const uint32_t data = item->pages ? size : 0;
    const bool packed = item->flags & MULTIFD_METHODS;
    const uint64_t whole = (uint64_t)item->pages * stream->page_size;
    if (packed ? data > 2 * whole + PIECE : data != whole)
        return wrong(stream, 20, error,
                     "a multifd packet of %" PRIu32 " pages with %" PRIu32 " bytes of data",
                     item->pages, data);
    const uint8_t *name = cursor->bytes + name_at;
    const size_t length = strnlen((const char *)name, sizeof(stream->packet_block));
    if (length == sizeof(stream->packet_block) || !is_text(name, length) ||
        (length == 0 && item->pages + item->zero_pages > 0))
        return wrong(stream, name_at, error, "the name of a multifd packet's RAM block is no text");
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
            return wrong(stream, pages.at - 8, error, "a page at " HEX, stream->packet_pages[i]);
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

static enum step take_packet_page(struct godwit_stream *stream, struct cursor *cursor,
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

static enum step take_packet_data(struct godwit_stream *stream, struct cursor *cursor,
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

static enum step take_nothing(struct godwit_stream *stream, struct cursor *cursor,
                              struct godwit_stream_item *item, GError **error)
{
    (void)item;
    if (cursor->have == 0)
        return STEP_MORE;
    return wrong(stream, 0, error, "bytes after the end of the stream");
}

typedef enum step (*take)(struct godwit_stream *stream, struct cursor *cursor,
                          struct godwit_stream_item *item, GError **error);

static const take takes[] = {
    [BEGINNING] = take_beginning,
    [CONFIGURATION] = take_configuration,
    [SUBSECTIONS] = take_subsection,
    [SECTIONS] = take_section,
    [STATE] = take_state,
    [FOOTER] = take_footer,
    [RAM_SIZE] = take_ram_size,
    [RAM_BLOCKS] = take_ram_block,
    [MAPPED_HEADER] = take_mapped_header,
    [MAPPED_BITMAP] = take_mapped_bitmap,
    [MAPPED_PAGES] = take_mapped_page,
    [RECORDS] = take_record,
    [AFTER_EOF] = take_description,
    [MULTIFD_INIT] = take_multifd_init,
    [PACKETS] = take_packet,
    [PACKET_PAGES] = take_packet_page,
    [PACKET_DATA] = take_packet_data,
    [OVER] = take_nothing,
};

/* Fills in what all items have, and gives it to the sink. */
static bool tell(struct godwit_stream *stream, const struct cursor *cursor,
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
        /* Those of the section's own kinds of items; the others have theirs, or none. */
        if (item->version == 0)
            item->version = section->version;
    }
    /* A package's own command is outside of it. */
    item->packaged = stream->package_left && item->package_size == 0;
    if (item->packaged)
        stream->package_left -= item->length;
    stream->offset += item->length;
    stream->scanned = 0;
    if (item->kind == GODWIT_STREAM_FOOTER)
        stream->section = NULL;
    if (item->packaged && !stream->package_left && stream->place != SECTIONS) {
        wrong(stream, 0, error, "the package ends in %s", place_names[stream->place]);
        return false;
    }
    return stream->sink(item, stream->data, error);
}

/* Tells all items that the bytes are; returns how many those have. */
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
            wrong(stream, 0, &stream->failure, "the package ends in %s",
                  place_names[stream->place]);
        if (step != STEP_ITEM)
            break;
        done += cursor.at;
        tell(stream, &cursor, &item, &stream->failure);
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
    stream->blocks = g_ptr_array_new_with_free_func(g_free);
    stream->page_size = 4096;
    return stream;
}

void godwit_stream_free(struct godwit_stream *stream)
{
    if (!stream)
        return;
    g_byte_array_unref(stream->pending);
    g_hash_table_unref(stream->sections);
    g_ptr_array_unref(stream->blocks);
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
        /* No more than completes what is pending, if it is a page: the rest need not be copied. */
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
    /* An array that never had anything has no address. */
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
        wrong(stream, pending->len, &stream->failure, "the stream ends in %s",
              stream->offset + pending->len ? place_names[place] : "nothing: it is empty");
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

void godwit_stream_assume_page_size(struct godwit_stream *stream, uint32_t size)
{
    stream->page_size = size;
}
