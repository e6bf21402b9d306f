/*
 * Reads the return path. `pending` holds the bytes of messages that are not complete yet. A bitmap
 * is not kept: its bytes are counted and skipped, and only its end mark is checked.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/answers.h"

#include <inttypes.h>
#include <string.h>

/* The size of a message's type and length. */
#define HEAD 4
/* A bitmap begins with its length and ends with a fixed word. */
#define BITMAP_HEAD 8
#define BITMAP_END  UINT64_C(0x0123456789abcdef)
/* The length of a bitmap of 2 TiB in pages of 4 KiB. */
#define BITMAP_MAX (64u << 20)

static const struct {
    const char *name;
    bool fixed;      /* every message of the type has as much data ... */
    unsigned length; /* ... in bytes */
} types[GODWIT_ANSWER_TYPES] = {
    [GODWIT_ANSWER_SHUT] = {"SHUT", true, 4},
    [GODWIT_ANSWER_PONG] = {"PONG", true, 4},
    [GODWIT_ANSWER_REQ_PAGES_ID] = {"REQ_PAGES_ID", false, 0},
    [GODWIT_ANSWER_REQ_PAGES] = {"REQ_PAGES", true, 12},
    [GODWIT_ANSWER_RECV_BITMAP] = {"RECV_BITMAP", false, 0},
    [GODWIT_ANSWER_RESUME_ACK] = {"RESUME_ACK", true, 4},
    [GODWIT_ANSWER_SWITCHOVER_ACK] = {"SWITCHOVER_ACK", true, 0},
};

struct godwit_answers {
    godwit_answer_sink sink;
    gpointer data;
    GByteArray *pending; /* bytes of a message that is not complete yet */
    uint64_t offset;     /* of the first of these */
    uint64_t skip;       /* bytes of a bitmap that come before its end mark ... */
    bool in_bitmap;      /* ... if a bitmap or its end mark comes next */
    char block[256];     /* the name that came last */
    GError *failure;     /* the reading is over; NULL: it is not */
};

struct godwit_answers *godwit_answers_new(godwit_answer_sink sink, gpointer data)
{
    struct godwit_answers *answers = g_new0(struct godwit_answers, 1);
    answers->sink = sink;
    answers->data = data;
    answers->pending = g_byte_array_new();
    return answers;
}

void godwit_answers_free(struct godwit_answers *answers)
{
    if (!answers)
        return;
    g_byte_array_unref(answers->pending);
    g_clear_error(&answers->failure);
    g_free(answers);
}

static uint64_t get(const uint8_t *bytes, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Reads a name after its length in one byte; together they must fill LENGTH bytes. Returns false if
 * they do not, or if the name is invalid. */
static bool take_name(struct godwit_answers *answers, const uint8_t *bytes, size_t length)
{
    if (length < 2 || length != 1u + bytes[0] || memchr(bytes + 1, 0, bytes[0]))
        return false;
    memcpy(answers->block, bytes + 1, bytes[0]);
    answers->block[bytes[0]] = 0;
    return true;
}

/* Fills in ANSWER from the message's DATA. Returns false if that is malformed. */
static bool read_message(struct godwit_answers *answers, struct godwit_answer *answer,
                         const uint8_t *data, size_t length)
{
    if (types[answer->type].fixed && length != types[answer->type].length)
        return false;
    switch (answer->type) {
    case GODWIT_ANSWER_REQ_PAGES_ID:
    case GODWIT_ANSWER_REQ_PAGES:
        if (length < 12 || (length > 12 && !take_name(answers, data + 12, length - 12)) ||
            (answer->type == GODWIT_ANSWER_REQ_PAGES_ID && length == 12))
            return false;
        answer->start = get(data, 8);
        answer->length = (uint32_t)get(data + 8, 4);
        break;
    case GODWIT_ANSWER_RECV_BITMAP:
        if (!take_name(answers, data, length))
            return false;
        answer->bitmap = get(data + length, BITMAP_HEAD);
        break;
    default:
        answer->value = (uint32_t)get(data, MIN((unsigned)length, 4));
    }
    answer->block = answers->block;
    return true;
}

/* Takes one message, or what has come of a bitmap, from the pending bytes, and adds its length to
 * *USED. Sets *MORE to false if it is not complete yet. */
static bool take_message(struct godwit_answers *answers, size_t *used, bool *more, GError **error)
{
    const uint8_t *bytes = answers->pending->data + *used;
    const size_t have = answers->pending->len - *used;
    *more = false;
    if (answers->in_bitmap) {
        const uint64_t skipped = MIN(answers->skip, have);
        answers->skip -= skipped;
        *used += skipped;
        if (answers->skip || have - skipped < BITMAP_HEAD)
            return true;
        if (get(bytes + skipped, BITMAP_HEAD) != BITMAP_END)
            return godwit_fail(error, GODWIT_ERROR_STREAM,
                               "%" PRIu64 ": the bitmap of RAM block %s does not end with its mark",
                               answers->offset + *used, answers->block);
        *used += BITMAP_HEAD;
        answers->in_bitmap = false;
        *more = true;
        return true;
    }
    if (have < HEAD)
        return true;
    struct godwit_answer answer = {.type = (enum godwit_answer_type)get(bytes, 2),
                                   .offset = answers->offset + *used};
    const size_t length = (size_t)get(bytes + 2, 2);
    if (answer.type == 0 || answer.type >= GODWIT_ANSWER_TYPES)
        return godwit_fail(error, GODWIT_ERROR_STREAM, "%" PRIu64 ": unknown message type %d",
                           answer.offset, (int)answer.type);
    const bool bitmap = answer.type == GODWIT_ANSWER_RECV_BITMAP;
    const size_t whole = HEAD + length + (bitmap ? BITMAP_HEAD : 0);
    if (types[answer.type].fixed ? length == types[answer.type].length && have < whole
                                 : have < whole)
        return true;
    if (!read_message(answers, &answer, bytes + HEAD, length))
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "%" PRIu64 ": malformed message %s with %zu bytes of data",
                           answer.offset, types[answer.type].name, length);
    if (answer.bitmap > BITMAP_MAX || answer.bitmap % 8)
        return godwit_fail(error, GODWIT_ERROR_STREAM,
                           "%" PRIu64 ": invalid bitmap length: %" PRIu64 " bytes", answer.offset,
                           answer.bitmap);
    answers->in_bitmap = bitmap;
    answers->skip = answer.bitmap;
    *used += whole;
    *more = true;
    return answers->sink(&answer, answers->data, error);
}

bool godwit_answers_feed(struct godwit_answers *answers, const void *bytes, size_t length,
                         GError **error)
{
    if (!answers->failure) {
        size_t used = 0;
        bool more = true;
        g_byte_array_append(answers->pending, bytes, (guint)length);
        while (more && take_message(answers, &used, &more, &answers->failure) && more)
            ;
        /* After a failure nobody reads what is left. */
        g_byte_array_remove_range(answers->pending, 0,
                                  answers->failure ? answers->pending->len : (guint)used);
        answers->offset += used;
    }
    if (!answers->failure)
        return true;
    g_propagate_error(error, g_error_copy(answers->failure));
    return false;
}

bool godwit_answers_end(struct godwit_answers *answers, GError **error)
{
    if (answers->failure) {
        g_propagate_error(error, g_error_copy(answers->failure));
        return false;
    }
    if (!answers->pending->len && !answers->in_bitmap)
        return true;
    return godwit_fail(error, GODWIT_ERROR_STREAM,
                       "%" PRIu64 ": the return path ends within a message",
                       answers->offset + answers->pending->len);
}

const char *godwit_answer_name(enum godwit_answer_type type)
{
    return types[type].name;
}
