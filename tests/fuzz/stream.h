/*
 * What must hold for any bytes that somebody calls a migration stream: nothing crashes, items
 * follow each other without a gap and within bounds, and pieces of other sizes make the same items
 * and the same error. Whatever was read is put together to RAM, and judged.
 *
 * For the fuzzer, and for the unit test that replays its seeds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_FUZZ_STREAM_H
#define GODWIT_TESTS_FUZZ_STREAM_H

#include "oracle/verify.h"
#include "stream/description.h"
#include "stream/memory.h"
#include "stream/reader.h"
#include <stdlib.h>

/* One reading. */
struct fuzz_reading {
    const uint8_t *bytes;
    uint64_t next; /* where the next item has to begin */
    uint64_t hash; /* of all items */
    struct godwit_stream_memory *memory;
    struct godwit_stream_description *description;
};

static inline void fuzz_demand(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static inline bool fuzz_take(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct fuzz_reading *reading = data;
    fuzz_demand(item->offset == reading->next, "items follow each other without a gap");
    fuzz_demand(item->length <= GODWIT_STREAM_ITEM_MAX && item->data <= item->length,
                "items are within bounds");
    fuzz_demand(!memcmp(item->bytes, reading->bytes + item->offset, item->length),
                "an item has the stream's bytes");
    reading->next += item->length;
    const uint64_t numbers[] = {item->kind,
                                item->length,
                                item->data,
                                item->packaged,
                                item->section_id,
                                item->instance_id,
                                item->version,
                                item->value,
                                item->flags,
                                item->page_offset,
                                item->page_size,
                                g_str_hash(item->name),
                                g_str_hash(item->section)};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        reading->hash = (reading->hash ^ numbers[i]) * 0x100000001b3;
    return godwit_stream_memory_take(reading->memory, item, error) &&
           godwit_stream_description_take(reading->description, item, error);
}

/* Reads the bytes in pieces of that size. The error, or NULL, is the caller's. */
static inline GError *fuzz_read(struct fuzz_reading *reading, size_t length, size_t piece)
{
    /* Pieces end where their memory ends, so that reading on is found out. */
    GError *error = NULL;
    reading->memory = godwit_stream_memory_new();
    reading->description = godwit_stream_description_new();
    struct godwit_stream *stream = godwit_stream_new(0, fuzz_take, reading);
    bool good = true;
    for (size_t done = 0; good && done < length; done += piece) {
        const size_t size = MIN(piece, length - done);
        g_autofree uint8_t *copy = g_memdup2(reading->bytes + done, size);
        good = godwit_stream_feed(stream, copy, size, &error);
    }
    good = good && godwit_stream_end(stream, &error);
    fuzz_demand(good == !error, "an error is set exactly if there is one");
    fuzz_demand(!good || reading->next == length, "all of a sound stream is in items");
    godwit_stream_free(stream);
    return error;
}

/* Returns whether it is a sound stream. */
static inline bool fuzz_stream(const uint8_t *bytes, size_t length, size_t piece)
{
    struct fuzz_reading one = {.bytes = bytes};
    struct fuzz_reading other = {.bytes = bytes};
    g_autoptr(GError) error = fuzz_read(&one, length, MAX(length, 1));
    g_autoptr(GError) again = fuzz_read(&other, length, piece);
    fuzz_demand(one.next == other.next && one.hash == other.hash, "pieces do not matter");
    fuzz_demand(g_strcmp0(error ? error->message : NULL, again ? again->message : NULL) == 0,
                "pieces do not matter for errors");
    struct godwit_stream_guest guest;
    g_autoptr(GError) verdict = NULL;
    const bool good = godwit_stream_verify(one.memory, NULL, &guest, &verdict);
    fuzz_demand(good == !verdict, "a verdict is an error or none");
    struct fuzz_reading *const both[] = {&one, &other};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        godwit_stream_memory_free(both[i]->memory);
        godwit_stream_description_free(both[i]->description);
    }
    return !error;
}

#endif
