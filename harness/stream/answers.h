/*
 * Reads the return path: the messages that a destination sends to its source. Each message has a
 * type and a length, both of 16 bits and big-endian, and then as many bytes of data.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_ANSWERS_H
#define GODWIT_HARNESS_STREAM_ANSWERS_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum godwit_answer_type {
    GODWIT_ANSWER_SHUT = 1,       /* the migration is over; its value is 0 for success */
    GODWIT_ANSWER_PONG,           /* the answer to a ping */
    GODWIT_ANSWER_REQ_PAGES_ID,   /* requests pages of a RAM block, which it names */
    GODWIT_ANSWER_REQ_PAGES,      /* requests pages of the block that was named last */
    GODWIT_ANSWER_RECV_BITMAP,    /* which of a block's pages have come; the bitmap follows */
    GODWIT_ANSWER_RESUME_ACK,     /* ready to go on after a recovery */
    GODWIT_ANSWER_SWITCHOVER_ACK, /* ready for the switchover */
    GODWIT_ANSWER_TYPES
};

struct godwit_answer {
    enum godwit_answer_type type;
    uint64_t offset;   /* where the message begins, in bytes from the connection's first */
    uint32_t value;    /* SHUT, PONG, RESUME_ACK: the value that they carry */
    uint64_t start;    /* a request: offset of the first page in its block ... */
    uint32_t length;   /* ... and how many bytes of pages */
    const char *block; /* a request, RECV_BITMAP: the RAM block that was named last; "" if none was.
                        * Valid while the sink runs */
    uint64_t bitmap;   /* RECV_BITMAP: length of the bitmap that follows, in bytes */
};

/* Takes a message. If it returns false with ERROR set, the reading ends. */
typedef bool (*godwit_answer_sink)(const struct godwit_answer *answer, gpointer data,
                                   GError **error);

struct godwit_answers;

/* Makes a reader of one connection's return path, from its beginning on. It calls SINK with DATA
 * for each message. The caller frees it with godwit_answers_free(). */
struct godwit_answers *godwit_answers_new(godwit_answer_sink sink, gpointer data);

/* Frees ANSWERS, which may be NULL. */
void godwit_answers_free(struct godwit_answers *answers);

/*
 * Reads the next LENGTH bytes. Fails with STREAM, and a message that begins with the offset, if a
 * type is unknown, a length does not fit its type, or a bitmap does not end as it must. Fails with
 * the sink's error if the sink fails. After a failure every call fails with the same error.
 */
bool godwit_answers_feed(struct godwit_answers *answers, const void *bytes, size_t length,
                         GError **error);

/* Fails with STREAM if the return path ends in the middle of a message, or with the error of an
 * earlier failure. */
bool godwit_answers_end(struct godwit_answers *answers, GError **error);

/* Returns QEMU's name of the type ("REQ_PAGES"). Static. */
const char *godwit_answer_name(enum godwit_answer_type type);

#endif
