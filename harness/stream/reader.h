/*
 * Reads a migration stream, as QEMU 7.2 to 11.1 write it, while it flows or from a file.
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
 * The reader is fed with the stream in pieces of any size and calls its sink with each item that it
 * recognises: a header, a section's start, a page, a footer. Items follow each other without a gap:
 * the first begins where the stream does, each other one where the one before it ended, and after
 * godwit_stream_end() the last ends where the stream does. Whoever passes on every item's bytes
 * passes on the stream. An item is given to the sink as soon as its last byte is there, whatever
 * the pieces were, so one byte at a time makes the same items as all at once.
 *
 * What kind of channel it is, its first four bytes tell:
 * - main: begins with the stream's header (magic "QEVM", version 3): sections and commands. When a
 *   postcopy goes on after a failure, it begins with a command, and has no list of RAM blocks.
 * - multifd: begins with its own packet (magic 0x11223344): packets of pages.
 * - preempt: begins with no magic, but with a page's record that names its RAM block: the second
 *   channel of a postcopy, page records only. It does not tell the size of pages.
 *
 * Sections have no length in the stream. Of those called "ram" each record is known, and so is
 * their end. Everything else is a device's state, which only that device could read: it ends with
 * the section's footer. A footer is believed (byte 0x7e and the section's own number) if what comes
 * after it can only be what comes between sections: another section's header that fits those seen
 * so far, a command, or the stream's end and, if it is there, the JSON description. So an item of
 * state is complete some bytes after its end: at most GODWIT_STREAM_AHEAD. Streams without footers,
 * as machine types older than 2.4 write them, cannot be read.
 *
 * A package (postcopy sends the devices in one) is a command that holds items like those outside of
 * it. They are told as such, with packaged set, after the command's own item, which has only its
 * header.
 *
 * A file with mapped-ram is read from its beginning to its end like any other: what the file has of
 * each RAM block is in the order header, bitmap of pages, a gap up to the block's pages, pages.
 * Pages whose bit is not set are gaps as well.
 *
 * The reader trusts nothing: every number is checked against a limit before it is used, no item is
 * longer than GODWIT_STREAM_ITEM_MAX, and that much, and a few KiB for names, is all that it ever
 * keeps. Whatever cannot be is a STREAM error whose message begins with the offset.
 */

/* No item is longer. A device's state and a bitmap of pages are items. */
#define GODWIT_STREAM_ITEM_MAX (64u << 20)

/* As many bytes after a footer may have to be seen for it to be believed. */
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

/* Commands, as a COMMAND's value has them. */
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
    /* Of a main channel: */
    GODWIT_STREAM_HEADER,        /* magic and version */
    GODWIT_STREAM_CONFIGURATION, /* type: the machine type */
    GODWIT_STREAM_SUBSECTION,    /* of the configuration: its name, version and content */
    GODWIT_STREAM_START,         /* a section's header: with name, instance and version, ... */
    GODWIT_STREAM_PART,          /* ... with the section's number only, ... */
    GODWIT_STREAM_LAST,          /* ... likewise; QEMU calls this one END, ... */
    GODWIT_STREAM_FULL,          /* ... with everything again: a section in one piece */
    GODWIT_STREAM_STATE,         /* all that a section other than "ram" has; never empty */
    GODWIT_STREAM_FOOTER,        /* a section's end */
    GODWIT_STREAM_COMMAND,       /* command and its data; of a package only its length */
    GODWIT_STREAM_EOF,           /* no more sections */
    GODWIT_STREAM_DESCRIPTION,   /* the JSON that describes the devices' states */
    /* In sections called "ram": */
    GODWIT_STREAM_RAM_SIZE,      /* of all blocks together; as many blocks follow */
    GODWIT_STREAM_RAM_BLOCK,     /* one block's name and length, and more where that is announced */
    GODWIT_STREAM_MAPPED_HEADER, /* mapped-ram: where a block's bitmap and pages are */
    GODWIT_STREAM_MAPPED_BITMAP, /* mapped-ram: which of the block's pages the file has */
    GODWIT_STREAM_GAP,           /* mapped-ram: bytes without meaning, at most 64 KiB of them */
    GODWIT_STREAM_PAGE,          /* a page; see enum godwit_stream_page */
    GODWIT_STREAM_MARK,          /* a record without a page: flags says which */
    /* Of a multifd channel, beside pages: */
    GODWIT_STREAM_MULTIFD_INIT,   /* which channel it is, of which guest */
    GODWIT_STREAM_MULTIFD_PACKET, /* a packet's header; its pages follow */
    GODWIT_STREAM_MULTIFD_DATA,   /* what a packet has that is not plain pages */
};

/* How a page is sent. */
enum godwit_stream_page {
    GODWIT_STREAM_PAGE_ZERO,  /* all of its bytes are the same: the record's last one, usually zero;
                          a  multifd packet's zero page has no bytes, and is all zero */
    GODWIT_STREAM_PAGE_WHOLE, /* its bytes as they are */
    GODWIT_STREAM_PAGE_XBZRLE,     /* what has changed since it was sent last */
    GODWIT_STREAM_PAGE_COMPRESSED, /* a zlib stream of it */
    GODWIT_STREAM_PAGE_PACKED,     /* in the MULTIFD_DATA item that follows its packet's pages */
    GODWIT_STREAM_PAGE_KINDS,      /* how many there are */
};

struct godwit_stream_item {
    enum godwit_stream_kind kind;
    uint64_t offset;      /* of its first byte in the stream */
    size_t length;        /* of the whole item */
    const uint8_t *bytes; /* all of them; valid while the sink runs */
    size_t data;          /* where in bytes the item's own content begins, after names and numbers;
                           * == length if it has none: a page's bytes, a subsection's, a command's
                           * data, the JSON, the bitmap */
    bool packaged;        /* it is in a package */

    /* The section that it is in, of items from START to FOOTER and those in "ram" sections. Names
     * are valid while the sink runs; "" where there is none. */
    const char *section;  /* its name */
    uint32_t section_id;  /* its number */
    uint32_t instance_id; /* which one of several devices of that name */
    uint32_t version;     /* of the section, the subsection, the header, or the mapped-ram header */

    const char *name; /* machine type, subsection, or RAM block; the block of a page as well */

    uint64_t value; /* of EOF nothing; of a COMMAND its type; of a RAM_SIZE, or a RAM_BLOCK, its
                     * length; of a MULTIFD_PACKET its number; of a MULTIFD_INIT the channel's; of a
                     * MAPPED_HEADER the offset of the block's pages */
    uint32_t flags; /* GODWIT_RAM_* of a RAM record; a multifd packet's own ones of one */

    /* Of a PAGE: */
    enum godwit_stream_page page;
    uint64_t page_offset; /* in its block */

    uint32_t page_size;  /* bytes of a page, as far as is known by now; of a RAM_BLOCK the one that
                          * postcopy announces for it, of several sizes, otherwise 0 */
    uint64_t address;    /* of a RAM_BLOCK, with x-ignore-shared: where the guest sees it */
    uint32_t pages;      /* of a MULTIFD_PACKET: how many pages follow whole or packed ... */
    uint32_t zero_pages; /* ... and how many that are zero */
    uint64_t package_size; /* of a COMMAND that is a package: how many bytes of items are in it */
};

/* Takes an item. False with ERROR set ends the reading: the reader refuses whatever comes after. */
typedef bool (*godwit_stream_sink)(const struct godwit_stream_item *item, gpointer data,
                                   GError **error);

struct godwit_stream;

/*
 * A reader that is to be fed with a stream from its beginning on. START is the offset of that
 * beginning in whatever holds the stream: 0, or for a file that has something else before it where
 * the stream begins in it. All offsets are counted from there, as those within mapped-ram files
 * are.
 */
struct godwit_stream *godwit_stream_new(uint64_t start, godwit_stream_sink sink, gpointer data);

/* NULL is fine. */
void godwit_stream_free(struct godwit_stream *stream);

/*
 * Goes on with the LENGTH bytes that come next, 0 or more. False with ERROR set if they cannot be
 * (STREAM), or as the sink has set it. Items before the offending bytes have been told. Once it has
 * been false it stays so: the same error, at each further call.
 */
bool godwit_stream_feed(struct godwit_stream *stream, const void *bytes, size_t length,
                        GError **error);

/* That nothing more comes: tells the last items, if they had to wait. False with a STREAM error set
 * if the stream is not complete: a channel may end only where QEMU ends it. */
bool godwit_stream_end(struct godwit_stream *stream, GError **error);

/* What kind of channel begins with these four bytes; UNKNOWN if none does. */
enum godwit_stream_channel godwit_stream_channel_of(const uint8_t magic[4]);

/* What kind of channel it is. */
enum godwit_stream_channel godwit_stream_channel(const struct godwit_stream *stream);

/* The bytes that were fed and are in no item yet, valid until the next call, and how many they are
 * in *LENGTH. */
const uint8_t *godwit_stream_pending(const struct godwit_stream *stream, size_t *length);

/* The bytes of a page where the channel does not tell it: 4096 unless this is called. SIZE must be
 * a power of two, at least 1024. */
void godwit_stream_assume_page_size(struct godwit_stream *stream, uint32_t size);

/* The constant's name in lower case, for people and JSON: "page", "mapped-header". */
const char *godwit_stream_kind_name(enum godwit_stream_kind kind);
const char *godwit_stream_page_name(enum godwit_stream_page page);

#endif
