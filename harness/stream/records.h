/*
 * Parses one direction of a connection as TLS records, to detect data that is not encrypted.
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
    GODWIT_RECORD_DATA = 23, /* encrypted data of any kind */
};

/* One direction of one connection, parsed as TLS records. Starts as all zeros. */
struct godwit_records {
    unsigned char header[5]; /* the first HAVE bytes of the present record's header */
    unsigned have;
    size_t left;     /* bytes of the present record that have not come yet */
    uint64_t bytes;  /* bytes that have come in all */
    uint64_t data;   /* bytes in complete data records */
    unsigned number; /* complete records */
    bool greeted;    /* the first record was a handshake, as in TLS */
    bool plain;      /* this is not TLS: HEADER is not the header of a record ... */
    uint64_t at;     /* ... and begins at this offset */
};

/* Parses the next LENGTH bytes. After `plain` is set, only counts them. */
void godwit_records_feed(struct godwit_records *records, const unsigned char *bytes, size_t length);

#endif
