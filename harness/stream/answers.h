/*
 * The return path: what a destination answers its source, message by message. Each is a type and a
 * length, both of 16 bits, big-endian, and as many bytes of data.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_STREAM_ANSWERS_H
#define GODWIT_HARNESS_STREAM_ANSWERS_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum godwit_answer_type {
    GODWIT_ANSWER_SHUT = 1,       /* the end, and how it went */
    GODWIT_ANSWER_PONG,           /* to a ping */
    GODWIT_ANSWER_REQ_PAGES_ID,   /* pages of a RAM block that it names */
    GODWIT_ANSWER_REQ_PAGES,      /* more of the same block */
    GODWIT_ANSWER_RECV_BITMAP,    /* which of a block's pages it has; the bitmap follows */
    GODWIT_ANSWER_RESUME_ACK,     /* goes on after a recovery */
    GODWIT_ANSWER_SWITCHOVER_ACK, /* may be switched over to */
    GODWIT_ANSWER_TYPES
};

struct godwit_answer {
    enum godwit_answer_type type;
    uint64_t offset;   /* of its first byte, from the connection's first */
    uint32_t value;    /* of SHUT, PONG, RESUME_ACK */
    uint64_t start;    /* of a request: of the first page in its block ... */
    uint32_t length;   /* ... and how many bytes of pages */
    const char *block; /* of a request, with the last name there was, and of RECV_BITMAP; "" if
                        * none was named. Valid while the sink runs */
    uint64_t bitmap;   /* of RECV_BITMAP: bytes of the bitmap that follows */
};

/* Takes a message. False with ERROR set ends the reading. */
typedef bool (*godwit_answer_sink)(const struct godwit_answer *answer, gpointer data,
                                   GError **error);

struct godwit_answers;

/* A reader of one connection's answers, from their beginning on. */
struct godwit_answers *godwit_answers_new(godwit_answer_sink sink, gpointer data);
void godwit_answers_free(struct godwit_answers *answers);

/*
 * Goes on with the LENGTH bytes that come next. A STREAM error, which begins with the offset, for a
 * type that there is not, a length that does not go with its type, or a bitmap that does not end as
 * it should; it stays. The sink's own errors are passed on.
 */
bool godwit_answers_feed(struct godwit_answers *answers, const void *bytes, size_t length,
                         GError **error);

/* That it does not end in the middle of a message: a STREAM error otherwise. */
bool godwit_answers_end(struct godwit_answers *answers, GError **error);

/* What QEMU calls the type ("REQ_PAGES"). */
const char *godwit_answer_name(enum godwit_answer_type type);

#endif
