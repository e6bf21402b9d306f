/*
 * The reader's own: what its parts share, each of which takes the items of a part of a stream.
 *
 * What is expected next in a stream is a place; each place has a function that looks at the bytes
 * there, and says that more are needed, that they cannot be, or which item they are. Such a
 * function changes the reader only once it has a whole item: it may be called again with more
 * bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_READER_PARTS_H
#define GODWIT_HARNESS_STREAM_READER_PARTS_H

#include "stream/reader.h"

#include <inttypes.h>

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
    GHashTable *blocks;   /* name -> struct block */
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

/* The bytes AT bytes after the item's first cannot be. */
enum step godwit_reader_wrong(const struct godwit_stream *stream, size_t at, GError **error,
                              const char *format, ...) G_GNUC_PRINTF(4, 5);

/* The next COUNT bytes as a number; 0 if they are not there. */
static inline uint64_t get(struct cursor *cursor, size_t count)
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

/* The same of four. */
static inline uint32_t get32(struct cursor *cursor)
{
    return (uint32_t)get(cursor, 4);
}

/* Passes over COUNT bytes. */
static inline void skip(struct cursor *cursor, size_t count)
{
    if (cursor->lacking || cursor->have - cursor->at < count)
        cursor->lacking = true;
    else
        cursor->at += count;
}

/* Whether all of it can be printed. */
static inline bool is_text(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    return true;
}

/* The next LENGTH bytes, a name of WHAT. STEP_ITEM stands for success. */
enum step godwit_reader_text(const struct godwit_stream *stream, struct cursor *cursor,
                             size_t length, char name[256], const char *what, GError **error);

/* The same with the length in one byte before it. */
enum step godwit_reader_name(const struct godwit_stream *stream, struct cursor *cursor,
                             char name[256], const char *what, GError **error);

/* Takes the item at the cursor, where the stream is in a place of its own. */
typedef enum step godwit_reader_take(struct godwit_stream *stream, struct cursor *cursor,
                                     struct godwit_stream_item *item, GError **error);

/* reader_sections.c: the header, the configuration, sections, commands, and the description after
 * them. */
godwit_reader_take godwit_reader_beginning;
godwit_reader_take godwit_reader_configuration;
godwit_reader_take godwit_reader_subsection;
godwit_reader_take godwit_reader_section;
godwit_reader_take godwit_reader_state;
godwit_reader_take godwit_reader_footer;
godwit_reader_take godwit_reader_description;

/* reader_ram.c: what is in the section "ram": the list of RAM blocks, mapped-ram, and pages. */
godwit_reader_take godwit_reader_ram_size;
godwit_reader_take godwit_reader_ram_block;
godwit_reader_take godwit_reader_mapped_header;
godwit_reader_take godwit_reader_mapped_bitmap;
godwit_reader_take godwit_reader_mapped_page;
godwit_reader_take godwit_reader_record;

/* reader_multifd.c: what comes by multifd's channels. */
godwit_reader_take godwit_reader_multifd_init;
godwit_reader_take godwit_reader_packet;
godwit_reader_take godwit_reader_packet_page;
godwit_reader_take godwit_reader_packet_data;

#endif
