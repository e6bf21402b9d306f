/*
 * A tap on the wire: it stands between source and destination, passes on what they send each other
 * unchanged, and follows it as TLS does, so that nothing can go over that is not encrypted without
 * being seen. It lives in the main loop: it runs while the harness waits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_TAP_H
#define GODWIT_HARNESS_MIGRATE_TAP_H

#include "error.h"
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

/* One connection that the source made. */
struct godwit_tapped {
    struct godwit_records sent;     /* by the source */
    struct godwit_records answered; /* by the destination */
};

struct godwit_tap;

/*
 * A tap in front of the address URI (unix:, relative to FOLDER, or tcp:), where somebody listens.
 * Its own socket is of the same kind. ENVIRONMENT error if it cannot be made.
 */
struct godwit_tap *godwit_tap_new(const char *folder, const char *uri, GError **error);

/* Ends the connections that are left. */
void godwit_tap_free(struct godwit_tap *tap);

/* The address to connect to instead of the tapped one. */
const char *godwit_tap_uri(const struct godwit_tap *tap);

/* Connections that are made from now on go on to URI, an address of the same kind. */
void godwit_tap_turn(struct godwit_tap *tap, const char *uri);

/* How many connections there were, and what went over that of INDEX. */
unsigned godwit_tap_count(const struct godwit_tap *tap);
const struct godwit_tapped *godwit_tap_at(const struct godwit_tap *tap, unsigned index);

#endif
