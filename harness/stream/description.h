/*
 * The states of devices in a stream against the description at its end. The reader finds a state's
 * end by its footer; the description says by its own way how long each state is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_DESCRIPTION_H
#define GODWIT_HARNESS_STREAM_DESCRIPTION_H

#include "stream/reader.h"

struct godwit_stream_description {
    GHashTable *states; /* "NAME INSTANCE" of each section in one piece -> its state's length */
    unsigned agreed;    /* states that are as long as they are described */
    unsigned untold;    /* those whose length the description does not tell (QEMU 7.2: arrays with
                         * null pointers are described by their first element alone) */
};

struct godwit_stream_description *godwit_stream_description_new(void);
void godwit_stream_description_free(struct godwit_stream_description *description);

/* Takes an item of whatever kind, and compares at the description, if there is one. A STREAM error
 * if that is no such description, or a section is not in it, or of another length, or missing. */
bool godwit_stream_description_take(struct godwit_stream_description *description,
                                    const struct godwit_stream_item *item, GError **error);

#endif
