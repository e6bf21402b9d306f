/*
 * The guest's RAM as a stream has it: the latest record of each page wins.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_MEMORY_H
#define GODWIT_HARNESS_STREAM_MEMORY_H

#include "stream/reader.h"

/* More page contents than that are not kept: an ENVIRONMENT error. */
#define GODWIT_STREAM_MEMORY_MAX ((uint64_t)16 << 30)

/* A page that was sent. */
struct godwit_stream_memory_page {
    enum godwit_stream_page sent; /* how, the last time ... */
    uint64_t at;                  /* ... where in the stream that record is ... */
    uint32_t records;             /* ... and how many there were */
    bool known;                   /* its content; otherwise it is in compressed multifd data */
    uint8_t fill;                 /* every byte of it, if ... */
    uint8_t *bytes;               /* ... this is NULL */
};

/* A RAM block that the stream names. */
struct godwit_stream_memory_block {
    char *name;
    uint64_t length;    /* 0: not told, as on other channels than the main */
    uint32_t page_size; /* bytes of a page */
    bool mapped;        /* mapped-ram: pages that the file has not are zero */
    uint64_t records[GODWIT_STREAM_PAGE_KINDS]; /* of pages, of each kind */
    GHashTable *pages;                          /* number of the page -> its struct */
};

struct godwit_stream_memory {
    GPtrArray *blocks; /* of struct godwit_stream_memory_block, in the order of the stream */
    uint64_t kept;     /* bytes of pages */
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

/* Copies LENGTH bytes at OFFSET of the block. A STREAM error that names the page if they are not in
 * the stream. */
bool godwit_stream_memory_read(const struct godwit_stream_memory_block *block, uint64_t offset,
                               void *buffer, size_t length, GError **error);

#endif
