/*
 * Assembles the guest's RAM from a stream: the latest record of each page wins.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_MEMORY_H
#define GODWIT_HARNESS_STREAM_MEMORY_H

#include "stream/reader.h"

/* The most bytes of page contents that are kept. */
#define GODWIT_STREAM_MEMORY_MAX ((uint64_t)16 << 30)

/* How a page's content is kept. */
enum godwit_stream_memory_form {
    GODWIT_STREAM_MEMORY_FILLED,   /* every byte of it is FILL */
    GODWIT_STREAM_MEMORY_WHOLE,    /* BYTES are its bytes */
    GODWIT_STREAM_MEMORY_DEFLATED, /* BYTES are a zlib stream of it */
};

/* A page that was sent. */
struct godwit_stream_memory_page {
    enum godwit_stream_page sent; /* how its latest record sent it ... */
    uint64_t at;                  /* ... and where in the stream that record is */
    uint32_t records;             /* how many records it has */
    bool known; /* its content is known; otherwise it is in compressed multifd data */

    /* The content, in little more memory than its records take in the stream: see memory.c. */
    enum godwit_stream_memory_form form;
    uint8_t fill;
    uint32_t size; /* length of BYTES */
    uint8_t *bytes;
    GByteArray *changes; /* xbzrle records to apply to the content; NULL: none */
};

/* A RAM block that the stream names. */
struct godwit_stream_memory_block {
    char *name;
    uint64_t length;    /* in bytes; 0: unknown, as only the main channel has it */
    uint32_t page_size; /* in bytes; 0: no page has come */
    bool mapped;        /* mapped-ram: pages that are not in the file are zero */
    uint64_t records[GODWIT_STREAM_PAGE_KINDS]; /* how many page records of each kind */
    GTree *pages; /* page number as a pointer -> struct godwit_stream_memory_page, ascending */
};

struct godwit_stream_memory {
    GPtrArray *blocks;   /* of struct godwit_stream_memory_block, in the order of the stream */
    GHashTable *by_name; /* the same by name */
    uint64_t kept;       /* bytes of page contents */
};

/* Makes an empty memory. The caller frees it with godwit_stream_memory_free(). */
struct godwit_stream_memory *godwit_stream_memory_new(void);

/* Frees MEMORY, which may be NULL. */
void godwit_stream_memory_free(struct godwit_stream_memory *memory);

/* Takes the next item, of any kind; most kinds do not concern memory. Fails with STREAM if a page
 * is sent as changes of a page that was not sent, or cannot be decoded, or with ENVIRONMENT if more
 * than GODWIT_STREAM_MEMORY_MAX must be kept. */
bool godwit_stream_memory_take(struct godwit_stream_memory *memory,
                               const struct godwit_stream_item *item, GError **error);

/* Returns the block NAME, or NULL. Borrowed. */
const struct godwit_stream_memory_block *
godwit_stream_memory_block(const struct godwit_stream_memory *memory, const char *name);

/* Writes the content of PAGE, a page of BLOCK with known content, to TO, which has room for BLOCK's
 * page_size bytes. */
void godwit_stream_memory_content(const struct godwit_stream_memory_block *block,
                                  const struct godwit_stream_memory_page *page, uint8_t *to);

/* Copies LENGTH bytes at OFFSET of the block to BUFFER. Fails with STREAM, naming the page, if they
 * are not in the stream. */
bool godwit_stream_memory_read(const struct godwit_stream_memory_block *block, uint64_t offset,
                               void *buffer, size_t length, GError **error);

#endif
