/*
 * Compares the states of devices in a stream with the description at its end. The reader finds a
 * state's end by its footer. The description gives the length of each state independently.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_DESCRIPTION_H
#define GODWIT_HARNESS_STREAM_DESCRIPTION_H

#include "stream/reader.h"

struct godwit_stream_description {
    GHashTable *states;   /* "NAME INSTANCE" of each section in one piece -> its state's length */
    unsigned agreed;      /* states that are as long as they are described */
    unsigned undescribed; /* states whose length the description does not give (QEMU 7.2 describes
                           * an array with null pointers by its first element only) */
};

/* Makes an empty comparison. The caller frees it with godwit_stream_description_free(). */
struct godwit_stream_description *godwit_stream_description_new(void);

/* Frees DESCRIPTION, which may be NULL. */
void godwit_stream_description_free(struct godwit_stream_description *description);

/* Takes the next item, of any kind. Compares when the item is the description. Fails with STREAM if
 * that is malformed, lacks a section, lists one that did not come, or gives it another length. */
bool godwit_stream_description_take(struct godwit_stream_description *description,
                                    const struct godwit_stream_item *item, GError **error);

#endif
