/*
 * Follows one direction of a connection as TLS does, so that nothing can go over it that is not
 * encrypted without being seen.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_RECORDS_H
#define GODWIT_HARNESS_STREAM_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kinds of TLS records, as on the wire. */
enum godwit_record {
    GODWIT_RECORD_CHANGE_CIPHER = 20,
    GODWIT_RECORD_ALERT = 21,
    GODWIT_RECORD_HANDSHAKE = 22,
    GODWIT_RECORD_DATA = 23, /* encrypted, whatever it is */
};

/* One direction of one connection, taken for TLS records. */
struct godwit_records {
    unsigned char header[5]; /* of the present record, the first HAVE bytes of it */
    unsigned have;
    size_t left;     /* bytes of the present record that are to come */
    uint64_t bytes;  /* that were seen in all */
    uint64_t data;   /* bytes in data records that are complete */
    unsigned number; /* of complete records */
    bool greeted;    /* it began with a handshake, as TLS does */
    bool plain;      /* it is no TLS: what is in HEADER cannot be one ... */
    uint64_t at;     /* ... and was found here */
};

/* Goes on with the LENGTH bytes that come next. */
void godwit_records_feed(struct godwit_records *records, const unsigned char *bytes, size_t length);

#endif
