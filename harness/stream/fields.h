/*
 * The state of the devices in a stream, field by field, and what differs between two streams.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_FIELDS_H
#define GODWIT_HARNESS_STREAM_FIELDS_H

#include "stream/reader.h"

/*
 * The JSON description at a stream's end names the fields of each device's state, in their order
 * and with their sizes. Only sections in one piece (FULL) are described, so RAM and other state
 * that is sent in several parts is not here.
 */

/* A field: a number, a byte array, or whatever QEMU describes as one piece. */
struct godwit_stream_field {
    char *device;  /* "0000:00:02.0/e1000 0": the section's name and its instance; owned */
    char *path;    /* "mac_reg[5]", "xhci.intr[2].iman"; subsections end in a slash; owned */
    char *type;    /* "uint32", as QEMU calls it; owned */
    size_t offset; /* in the device's state */
    GBytes *value; /* its bytes in the stream: numbers are big-endian; owned */
};

/* A stream's fields. */
struct godwit_stream_fields {
    GHashTable *states; /* "NAME INSTANCE" of a section -> GBytes, its state; owned */
    GPtrArray *fields;  /* of struct godwit_stream_field, in the order of the stream; owned */
};

/* What is not equal in two streams. */
struct godwit_stream_difference {
    char *device, *path; /* as in the field; owned. PATH is "" if one side lacks the device */
    char *before,
        *after; /* the values, "0x0001", or NULL on the side that lacks the field; owned */
    bool alike; /* both sides have the field, and in the same size */
};

/* Makes an empty list. The caller frees it with godwit_stream_fields_free(). */
struct godwit_stream_fields *godwit_stream_fields_new(void);
void godwit_stream_fields_free(struct godwit_stream_fields *fields);

/* Takes an item; a sink of a reader calls it for every item. The fields are there after the item
 * DESCRIPTION. Fails with STREAM if the description does not fit the states. */
bool godwit_stream_fields_take(struct godwit_stream_fields *fields,
                               const struct godwit_stream_item *item, GError **error);

/* Returns the fields of the stream that begins OFFSET bytes into the file at PATH. The caller frees
 * them. Fails with STREAM if the stream is damaged or does not describe its state, and with
 * ENVIRONMENT if the file cannot be read. */
struct godwit_stream_fields *godwit_stream_fields_read(const char *path, uint64_t offset,
                                                       GError **error);

/* Returns what differs between two streams, an array of struct godwit_stream_difference in the
 * order of BEFORE, then what only AFTER has. Versions of QEMU may describe the same bytes in other
 * words: a device whose bytes are equal is equal, and a field that one stream lacks is compared
 * with the field of another name in its place. The caller frees it with g_ptr_array_unref(). */
GPtrArray *godwit_stream_fields_compare(const struct godwit_stream_fields *before,
                                        const struct godwit_stream_fields *after);

/* Returns the value of a field for a person, from offset FIRST if it is long: "0x0001". The caller
 * frees it. */
char *godwit_stream_field_value(const struct godwit_stream_field *field, size_t first);

/* Returns a difference as "DEVICE: PATH 0x01 -> 0x00". The caller frees it. */
char *godwit_stream_difference_text(const struct godwit_stream_difference *difference);

#endif
