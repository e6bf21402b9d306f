/*
 * What the files of the reader share.
 *
 * A place is what the reader expects next in the stream. Each place has a function for the bytes
 * there. It decides that it needs more bytes, that they are invalid, or which item they are. It
 * changes the reader only when it has a whole item, because it may be called again for the same
 * item with more bytes.
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

/* Limits far beyond what QEMU writes, in bytes or numbers of things. */
enum {
    MOST_SECTIONS = 16384,
    MOST_BLOCKS = 4096,
    MOST_CAPABILITIES = 256,
    PACKET_SIZE = 512 << 10,    /* a multifd packet has room for pages of this size together */
    HIGHEST_VERSION = 20991231, /* some devices have a date as their version */
    PIECE = 64 << 10,           /* the longest gap, and the most bytes to copy at once */
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
    STEP_MORE,  /* more bytes are needed to decide */
    STEP_ITEM,  /* the bytes before the cursor are an item */
    STEP_PLACE, /* no item; the place has changed */
    STEP_WRONG, /* invalid; the error is set */
};

struct section {
    char name[256];
    uint32_t id, instance, version;
    bool whole; /* FULL: it has no further parts */
    bool ram;
};

struct block {
    char name[256];
    uint64_t length; /* in bytes; 0: unknown, because there was no list of blocks */
};

/* The bytes that have come, from the item's first one on. */
struct cursor {
    const uint8_t *bytes;
    size_t have;  /* how many they are */
    size_t at;    /* the next one to read */
    bool lacking; /* a read went beyond them */
    bool last;    /* no more come: the stream or the package ends after them */
};

struct godwit_stream {
    godwit_stream_sink sink;
    gpointer data;
    enum godwit_stream_channel channel;
    enum place place;
    uint64_t offset;      /* offset of the next item */
    GByteArray *pending;  /* bytes of the next item that came in earlier pieces */
    GError *failure;      /* the reading is over; NULL: it is not */
    GHashTable *sections; /* number -> struct section */
    GHashTable *blocks;   /* name -> struct block */
    uint32_t page_size;   /* in bytes */
    char name[256];       /* the name that the present item points to */

    struct section *section; /* the present section; NULL between sections */
    size_t scanned;          /* no footer begins in so many bytes of the present state */
    uint64_t package_left;   /* bytes of the package that have not been read; 0: no package */
    bool resumed;            /* the channel after a postcopy's recovery: it has no list of blocks */
    bool ignores_shared;     /* the stream announces x-ignore-shared */
    bool mapped;             /* the stream announces mapped-ram */
    uint64_t postcopy_sizes; /* page sizes that postcopy announces, ORed */
    uint64_t blocks_left;    /* how many bytes the blocks still to come in the list have */
    struct block *last_block; /* block of the latest record */
    uint8_t *bitmap;          /* mapped-ram: bitmap of the present block */
    uint64_t pages_at;        /* mapped-ram: where the block's pages begin in the file */
    uint64_t mapped_page;     /* mapped-ram: number of the block's next page */
    uint64_t *packet_pages;   /* multifd packet: offsets of its pages in their block */
    char packet_block[256];   /* multifd packet: name of the block */
    uint32_t packet_whole;    /* multifd packet: how many pages are sent */
    uint32_t packet_zero;     /* multifd packet: how many more are zero */
    uint32_t packet_next;     /* multifd packet: index of the next page */
    uint32_t packet_data;     /* multifd packet: bytes of data that are not plain pages */
    bool packet_packed;       /* multifd packet: the pages are in that data */
};

/* Sets ERROR for invalid bytes that begin AT bytes after the item's first. Returns STEP_WRONG. */
enum step godwit_reader_wrong(const struct godwit_stream *stream, size_t at, GError **error,
                              const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Reads COUNT bytes as a big-endian number. Returns 0 if they have not come. */
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

static inline uint32_t get32(struct cursor *cursor)
{
    return (uint32_t)get(cursor, 4);
}

static inline void skip(struct cursor *cursor, size_t count)
{
    if (cursor->lacking || cursor->have - cursor->at < count)
        cursor->lacking = true;
    else
        cursor->at += count;
}

/* Returns whether all bytes are printable ASCII. */
static inline bool is_text(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    return true;
}

/* Reads LENGTH bytes into NAME, a name of WHAT. Returns STEP_ITEM for success. */
enum step godwit_reader_text(const struct godwit_stream *stream, struct cursor *cursor,
                             size_t length, char name[256], const char *what, GError **error);

/* Reads a name of WHAT, after its length in one byte, into NAME. Returns STEP_ITEM for success. */
enum step godwit_reader_name(const struct godwit_stream *stream, struct cursor *cursor,
                             char name[256], const char *what, GError **error);

/* Takes the item at the cursor, in the function's own place. Fills in the fields of its kind. */
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

/* reader_ram.c: the section "ram", with the list of RAM blocks, mapped-ram, and pages. */
godwit_reader_take godwit_reader_ram_size;
godwit_reader_take godwit_reader_ram_block;
godwit_reader_take godwit_reader_mapped_header;
godwit_reader_take godwit_reader_mapped_bitmap;
godwit_reader_take godwit_reader_mapped_page;
godwit_reader_take godwit_reader_record;

/* reader_multifd.c: the channels of multifd. */
godwit_reader_take godwit_reader_multifd_init;
godwit_reader_take godwit_reader_packet;
godwit_reader_take godwit_reader_packet_page;
godwit_reader_take godwit_reader_packet_data;

#endif
