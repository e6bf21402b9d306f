/*
 * Reads a migration stream of QEMU 7.2 to 11.1, while it flows or from a file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_READER_H
#define GODWIT_HARNESS_STREAM_READER_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The reader is fed with the stream in pieces of any size. It calls its sink with each item that it
 * recognises: a header, a section's start, a page, a footer. Items follow each other without a gap.
 * The first begins where the stream begins, each other one where the one before it ended, and after
 * godwit_stream_end() the last ends where the stream ends. So a sink that passes on the bytes of
 * every item passes on the stream. The sink gets an item as soon as its last byte has come. The
 * pieces make no difference: one byte at a time gives the same items as all bytes at once.
 *
 * The first four bytes identify the kind of channel:
 * - main: begins with the stream's header (magic "QEVM", version 3) and has sections and commands.
 *   After a recovery of a postcopy, it begins with a command and has no list of RAM blocks.
 * - multifd: begins with its own packet (magic 0x11223344) and has packets of pages.
 * - preempt: the second channel of a postcopy. It has no magic: it begins with a page's record that
 *   names its RAM block, and has only page records. It does not have the size of pages: the reader
 *   assumes 4096 bytes, the page size of QEMU's machines of every architecture here, whatever pages
 *   the guest uses.
 *
 * Sections have no length in the stream. In sections called "ram", the reader knows every record
 * and so their end. Everything else is a device's state, which only that device can parse. It ends
 * with the section's footer: byte 0x7e and the section's number. The same bytes can be part of a
 * state, so the reader accepts a footer only if something valid follows it: a section's header that
 * fits the sections so far, a command, or the stream's end with or without the JSON description. So
 * an item of state is complete up to GODWIT_STREAM_AHEAD bytes after its end. Streams without
 * footers (machine types older than 2.4) cannot be read.
 *
 * A package (postcopy sends the devices in one) is a command that contains items. The sink gets the
 * command's item, which has only the header, and then the items in it, with `packaged` set.
 *
 * A file with mapped-ram is read from its beginning to its end like any other stream. For each RAM
 * block it has, in this order, a header, a bitmap of pages, a gap up to the block's pages, and the
 * pages. Pages whose bit is not set are gaps as well.
 *
 * The reader trusts nothing. It checks every number against a limit before it uses it. No item is
 * longer than GODWIT_STREAM_ITEM_MAX. The reader keeps at most one item, one bitmap of pages, and a
 * few MiB for the names of sections and RAM blocks. Anything invalid is a STREAM error, and its
 * message begins with the offset.
 */

/* The greatest length of an item. A device's state is an item, and so is a bitmap of pages. */
#define GODWIT_STREAM_ITEM_MAX (64u << 20)

/* How many bytes after a footer the reader may have to see before it accepts the footer. */
#define GODWIT_STREAM_AHEAD 300

/* Flags of a RAM record, in the low bits of its first eight bytes. */
#define GODWIT_RAM_ZERO          0x02
#define GODWIT_RAM_SIZE          0x04
#define GODWIT_RAM_PAGE          0x08
#define GODWIT_RAM_END           0x10
#define GODWIT_RAM_SAME_BLOCK    0x20
#define GODWIT_RAM_XBZRLE        0x40
#define GODWIT_RAM_HOOK          0x80
#define GODWIT_RAM_COMPRESSED    0x100
#define GODWIT_RAM_MULTIFD_FLUSH 0x200

/* The types of commands: the value of a COMMAND. */
enum godwit_stream_command {
    GODWIT_COMMAND_OPEN_RETURN_PATH = 1,
    GODWIT_COMMAND_PING = 2,
    GODWIT_COMMAND_POSTCOPY_ADVISE = 3,
    GODWIT_COMMAND_POSTCOPY_LISTEN = 4,
    GODWIT_COMMAND_POSTCOPY_RUN = 5,
    GODWIT_COMMAND_POSTCOPY_RAM_DISCARD = 6,
    GODWIT_COMMAND_PACKAGED = 7,
    GODWIT_COMMAND_ENABLE_COLO = 8,
    GODWIT_COMMAND_POSTCOPY_RESUME = 9,
    GODWIT_COMMAND_RECV_BITMAP = 10,
    GODWIT_COMMAND_SWITCHOVER_START = 11,
};

enum godwit_stream_channel {
    GODWIT_STREAM_UNKNOWN, /* fewer than four bytes have come */
    GODWIT_STREAM_MAIN,
    GODWIT_STREAM_MULTIFD,
    GODWIT_STREAM_PREEMPT,
};

enum godwit_stream_kind {
    /* In a main channel: */
    GODWIT_STREAM_HEADER,        /* magic and version */
    GODWIT_STREAM_CONFIGURATION, /* the machine type */
    GODWIT_STREAM_SUBSECTION,    /* a subsection of the configuration: name, version and content */
    GODWIT_STREAM_START,         /* a section's header: number, name, instance and version */
    GODWIT_STREAM_PART,          /* the header of a further part: the section's number only */
    GODWIT_STREAM_LAST,          /* the header of the last part, likewise; QEMU calls it END */
    GODWIT_STREAM_FULL,          /* the header of a section in one piece, like START */
    GODWIT_STREAM_STATE,         /* the content of a section other than "ram"; never empty */
    GODWIT_STREAM_FOOTER,        /* a section's end */
    GODWIT_STREAM_COMMAND,       /* a command and its data; for a package only its length */
    GODWIT_STREAM_EOF,           /* no more sections */
    GODWIT_STREAM_DESCRIPTION,   /* the JSON that describes the devices' states */
    /* In sections called "ram": */
    GODWIT_STREAM_RAM_SIZE,      /* the size of all blocks together; the list of blocks follows */
    GODWIT_STREAM_RAM_BLOCK,     /* a block's name and length, and what was announced beside them */
    GODWIT_STREAM_MAPPED_HEADER, /* mapped-ram: where a block's bitmap and pages are */
    GODWIT_STREAM_MAPPED_BITMAP, /* mapped-ram: which of the block's pages are in the file */
    GODWIT_STREAM_GAP,           /* mapped-ram: unused bytes, at most 64 KiB of them */
    GODWIT_STREAM_PAGE,          /* a page; see enum godwit_stream_page */
    GODWIT_STREAM_MARK,          /* a record without a page; `flags` has its kind */
    /* In a multifd channel, beside pages: */
    GODWIT_STREAM_MULTIFD_INIT,   /* the channel's number and the guest's UUID */
    GODWIT_STREAM_MULTIFD_PACKET, /* a packet's header; its pages follow */
    GODWIT_STREAM_MULTIFD_DATA,   /* a packet's data, if that is not plain pages */
};

/* How a page is sent. */
enum godwit_stream_page {
    GODWIT_STREAM_PAGE_ZERO,   /* all of its bytes are the record's last byte, usually zero. A zero
                               * page of a multifd packet has no bytes, and is all zero */
    GODWIT_STREAM_PAGE_WHOLE,  /* its bytes, uncompressed */
    GODWIT_STREAM_PAGE_XBZRLE, /* the changes since it was sent last */
    GODWIT_STREAM_PAGE_COMPRESSED, /* its bytes as a zlib stream */
    GODWIT_STREAM_PAGE_PACKED,     /* in the MULTIFD_DATA item that follows its packet's pages */
    GODWIT_STREAM_PAGE_KINDS,      /* the number of kinds */
};

struct godwit_stream_item {
    enum godwit_stream_kind kind;
    uint64_t offset;      /* of its first byte in the stream */
    size_t length;        /* of the whole item, in bytes */
    const uint8_t *bytes; /* the whole item; valid while the sink runs */
    size_t data;          /* where in `bytes` the content begins, after names and numbers: a page's
                           * or a subsection's bytes, a command's data, the JSON, the bitmap; equal
                           * to `length` if there is none */
    bool packaged;        /* it is in a package */

    /* The section of items from START to FOOTER, and of those in "ram" sections. Names are valid
     * while the sink runs, and "" if there is none. */
    const char *section;  /* its name */
    uint32_t section_id;  /* its number */
    uint32_t instance_id; /* which one of several devices of that name */
    uint32_t version;     /* of the section, the subsection, the header, or the mapped-ram header */

    const char *name; /* the machine type, the subsection, the RAM block, or a page's RAM block */

    uint64_t value; /* COMMAND: its type. RAM_SIZE, RAM_BLOCK: the length in bytes. MULTIFD_PACKET:
                     * its number. MULTIFD_INIT: the channel's number. MAPPED_HEADER: the offset of
                     * the block's pages */
    uint32_t flags; /* a RAM record: GODWIT_RAM_*. MULTIFD_PACKET: the packet's flags */

    /* PAGE only: */
    enum godwit_stream_page page;
    uint64_t page_offset; /* in its RAM block */

    uint32_t page_size;    /* the size of pages as known so far. RAM_BLOCK: the size that postcopy
                          * announces for the block, or 0 */
    uint64_t address;      /* RAM_BLOCK with x-ignore-shared: its guest-physical address */
    uint32_t pages;        /* MULTIFD_PACKET: how many pages follow whole or packed ... */
    uint32_t zero_pages;   /* ... and how many zero pages */
    uint64_t package_size; /* COMMAND that is a package: how many bytes of items are in it */
};

/* Takes an item. If it returns false with ERROR set, the reading ends: the reader refuses all that
 * comes after. */
typedef bool (*godwit_stream_sink)(const struct godwit_stream_item *item, gpointer data,
                                   GError **error);

struct godwit_stream;

/*
 * Makes a reader of a stream, from its beginning on. It calls SINK with DATA for each item. START
 * is the offset of the stream's beginning: 0, or, in a file with something before the stream,
 * its place in the file. The offsets of all items start from START, so they are the file's own, as
 * those in mapped-ram's headers are. The caller frees it with godwit_stream_free().
 */
struct godwit_stream *godwit_stream_new(uint64_t start, godwit_stream_sink sink, gpointer data);

/* Sets the size of the pages of a stream whose configuration names none, a power of 2. It is 4096
 * bytes unless this sets another one. */
void godwit_stream_set_page_size(struct godwit_stream *stream, uint32_t size);

/* Frees STREAM, which may be NULL. */
void godwit_stream_free(struct godwit_stream *stream);

/*
 * Reads the next LENGTH bytes, 0 or more. Fails with STREAM if they are invalid, or with the sink's
 * error. The sink has got the items before the invalid bytes. After a failure every call fails with
 * the same error.
 */
bool godwit_stream_feed(struct godwit_stream *stream, const void *bytes, size_t length,
                        GError **error);

/* Ends the stream: passes the sink the last items, if they had to wait. Fails with STREAM if the
 * stream is not complete: a channel may end only where QEMU ends it. */
bool godwit_stream_end(struct godwit_stream *stream, GError **error);

/* Returns the kind of channel that begins with these four bytes, or UNKNOWN if none does. */
enum godwit_stream_channel godwit_stream_channel_of(const uint8_t magic[4]);

/* Returns the kind of channel that the stream is. */
enum godwit_stream_channel godwit_stream_channel(const struct godwit_stream *stream);

/* Returns the bytes that were fed and are in no item yet, valid until the next call. Sets *LENGTH
 * to their number. */
const uint8_t *godwit_stream_pending(const struct godwit_stream *stream, size_t *length);

/* Returns the constant's name in lower case ("mapped-header"), for people and JSON. Static. */
const char *godwit_stream_kind_name(enum godwit_stream_kind kind);
const char *godwit_stream_page_name(enum godwit_stream_page page);

#endif
