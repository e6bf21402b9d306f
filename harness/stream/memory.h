/*
 * The guest's RAM as a stream has it: the latest record of each page wins.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_MEMORY_H
#define GODWIT_HARNESS_STREAM_MEMORY_H

#include "stream/reader.h"

/* Most bytes that are kept of page contents: an ENVIRONMENT error beyond that. */
#define GODWIT_STREAM_MEMORY_MAX ((uint64_t)16 << 30)

/* How a page's content is kept. */
enum godwit_stream_memory_form {
    GODWIT_STREAM_MEMORY_FILLED,   /* every byte of it is FILL */
    GODWIT_STREAM_MEMORY_WHOLE,    /* BYTES are its bytes */
    GODWIT_STREAM_MEMORY_DEFLATED, /* BYTES are a zlib stream of it */
};

/* A page that was sent. */
struct godwit_stream_memory_page {
    enum godwit_stream_page sent; /* how, the last time ... */
    uint64_t at;                  /* ... where in the stream that record is ... */
    uint32_t records;             /* ... and how many there were */
    bool known;                   /* its content; otherwise it is in compressed multifd data */

    /* The content, in little more memory than the stream's own records take: see memory.c. */
    enum godwit_stream_memory_form form;
    uint8_t fill;
    uint32_t size; /* of BYTES */
    uint8_t *bytes;
    GByteArray *changes; /* xbzrle records to be applied to that; NULL: none */
};

/* A RAM block that the stream names. */
struct godwit_stream_memory_block {
    char *name;
    uint64_t length;    /* 0: not told, as on other channels than the main */
    uint32_t page_size; /* bytes of a page */
    bool mapped;        /* mapped-ram: pages that the file has not are zero */
    uint64_t records[GODWIT_STREAM_PAGE_KINDS]; /* of pages, of each kind */
    GTree *pages; /* number of the page, as a pointer -> its struct, in ascending order */
};

struct godwit_stream_memory {
    GPtrArray *blocks;   /* of struct godwit_stream_memory_block, in the order of the stream */
    GHashTable *by_name; /* the same by name */
    uint64_t kept;       /* bytes of page contents */
};

struct godwit_stream_memory *godwit_stream_memory_new(void);
void godwit_stream_memory_free(struct godwit_stream_memory *memory);

/* Takes an item of whatever kind; most have nothing to do with memory. A STREAM error if a page is
 * sent as a change of something that was not sent, or cannot be decoded. */
bool godwit_stream_memory_take(struct godwit_stream_memory *memory,
                               const struct godwit_stream_item *item, GError **error);

/* The block of that name, or NULL. */
const struct godwit_stream_memory_block *
godwit_stream_memory_block(const struct godwit_stream_memory *memory, const char *name);

/* Writes the content of PAGE, one of BLOCK's whose content is known, to the block's page_size bytes
 * at TO. */
void godwit_stream_memory_content(const struct godwit_stream_memory_block *block,
                                  const struct godwit_stream_memory_page *page, uint8_t *to);

/* Copies LENGTH bytes at OFFSET of the block. A STREAM error that names the page if they are not in
 * the stream. */
bool godwit_stream_memory_read(const struct godwit_stream_memory_block *block, uint64_t offset,
                               void *buffer, size_t length, GError **error);

#endif
