/*
 * A peer that reads what the source sends, as a destination does, and answers with what no
 * destination may say: the migration must fail, with a reason, and nothing else may change.
 *
 * Answers are messages with a type, a length and data, see stream/answers.h. The peer sends one of
 * them once the source sends RAM: a request for pages that comes earlier kills a source of 7.2,
 * 10.0 and 11.1 (docs/known-bugs.md). It reads on, because a source may look at its answers only at
 * the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "memory/memory.h"
#include "migrate/peer.h"
#include "scenario/conformance.h"
#include "stream/answers.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What comes after SIZE bytes of a message's data. */
enum rest {
    REST_NONE,  /* nothing: they are all */
    REST_BLOCK, /* the name of the guest's RAM block, after its length */
    REST_END,   /* the end of all answers, in the middle of this one */
};

/* A message. */
struct answer {
    const char *name;      /* of the check */
    uint16_t type, length; /* in its header; with REST_BLOCK the length is what comes */
    const char *data;      /* NULL: zeros */
    size_t size;
    enum rest rest;
};

/* A request of pages: a page's offset in its block, as a big-endian word, and a length. */
#define FIRST   "\0\0\0\0\0\0\0\0"
#define UNEVEN  "\0\0\0\0\0\0\0\1"
#define FAR_OFF "\0\1\0\0\0\0\0\0"
#define A_PAGE  "\0\0\x10\0"

#define ANSWER(words, kind, length_, data_, size_, rest_)                                          \
    {                                                                                              \
        words, GODWIT_ANSWER_##kind, length_, data_, size_, REST_##rest_                           \
    }
#define NONE "\4none"
#define LONG "\xffnone"

static const struct answer answers[] = {
    {"a type that is none: 0", 0, 0, NULL, 0, REST_NONE},
    {"a type that is none: 99", 99, 0, NULL, 0, REST_NONE},
    ANSWER("SHUT with an error", SHUT, 4, "\0\0\0\1", 4, NONE),
    ANSWER("SHUT with 8 bytes", SHUT, 8, NULL, 8, NONE),
    ANSWER("PONG with 2 bytes", PONG, 2, NULL, 2, NONE),
    ANSWER("PONG that is cut", PONG, 4, NULL, 2, END),
    ANSWER("PONG without its data", PONG, 4, NULL, 0, END),
    ANSWER("REQ_PAGES before any block was named", REQ_PAGES, 12, FIRST A_PAGE, 12, NONE),
    ANSWER("REQ_PAGES with 4 bytes", REQ_PAGES, 4, NULL, 4, NONE),
    ANSWER("REQ_PAGES_ID of a block that there is not", REQ_PAGES_ID, 17, FIRST A_PAGE NONE, 17,
           NONE),
    ANSWER("REQ_PAGES_ID beyond its block", REQ_PAGES_ID, 0, FAR_OFF A_PAGE, 12, BLOCK),
    ANSWER("REQ_PAGES_ID in the middle of a page", REQ_PAGES_ID, 0, UNEVEN A_PAGE, 12, BLOCK),
    ANSWER("REQ_PAGES_ID with 4 bytes", REQ_PAGES_ID, 4, NULL, 4, NONE),
    ANSWER("REQ_PAGES_ID whose name is longer than its message", REQ_PAGES_ID, 17,
           FIRST A_PAGE LONG, 17, NONE),
    ANSWER("RECV_BITMAP without a postcopy", RECV_BITMAP, 0, NULL, 0, BLOCK),
    ANSWER("RECV_BITMAP of a block that there is not", RECV_BITMAP, 5, NONE, 5, NONE),
    ANSWER("RECV_BITMAP without a name", RECV_BITMAP, 0, NULL, 0, NONE),
    ANSWER("RECV_BITMAP whose name is longer than its message", RECV_BITMAP, 5, LONG, 5, NONE),
    ANSWER("RESUME_ACK with a value that is none", RESUME_ACK, 4, "\0\0\0\7", 4, NONE),
    ANSWER("RESUME_ACK with 1 byte", RESUME_ACK, 1, NULL, 1, NONE),
    ANSWER("SWITCHOVER_ACK with 4 bytes", SWITCHOVER_ACK, 4, NULL, 4, NONE),
};

/* Where the peer listens. */
#define SOCKET "answers.sock"
/* So many bytes have more than all that comes before RAM: a header and a list of blocks, which are
 * shorter than the buffer of 32 KiB in which QEMU collects what it sends. */
#define SOME_RAM ((size_t)64 << 10)

/* The peer, which reads and forgets. */
struct peer {
    godwit_peer ends;
    guint watch;     /* of the socket, then of the connection; 0: the source has closed it */
    size_t received; /* bytes */
    const struct answer *answer; /* NULL: it was given */
    GByteArray *message;         /* owned */
    GError *error;               /* why the source's connection was not accepted; owned */
};

static void speak(struct peer *peer, int fd)
{
    const ssize_t sent = send(fd, peer->message->data, peer->message->len, MSG_NOSIGNAL);
    if (sent != (ssize_t)peer->message->len)
        return;
    if (peer->answer->rest == REST_END)
        shutdown(fd, SHUT_WR);
    peer->answer = NULL;
}

static gboolean drain(gint fd, GIOCondition condition, gpointer data)
{
    struct peer *peer = data;
    char bytes[65536];
    (void)condition;
    const ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0)
        peer->received += (size_t)got;
    if (peer->answer && peer->received >= SOME_RAM)
        speak(peer, fd);
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return G_SOURCE_CONTINUE;
    peer->watch = 0;
    return G_SOURCE_REMOVE;
}

static gboolean greet(gint fd, GIOCondition condition, gpointer data)
{
    struct peer *peer = data;
    (void)fd;
    (void)condition;
    peer->watch = godwit_peer_accept(&peer->ends, &peer->error)
                      ? g_unix_fd_add(peer->ends.fds[1], G_IO_IN | G_IO_HUP | G_IO_ERR, drain, peer)
                      : 0;
    return G_SOURCE_REMOVE;
}

static void peer_clear(struct peer *peer)
{
    if (peer->watch)
        g_source_remove(peer->watch);
    godwit_peer_close(&peer->ends);
    g_byte_array_unref(peer->message);
    g_clear_error(&peer->error);
}

/* Returns the message. BLOCK is the name of the guest's RAM block, for requests without one. The
 * caller unreferences it. */
static GByteArray *message_of(const struct answer *answer, const char *block)
{
    GByteArray *message = g_byte_array_new();
    const bool named = answer->rest == REST_BLOCK;
    godwit_bytes_append(message, 2, answer->type);
    godwit_bytes_append(message, 2, named ? answer->size + 1 + strlen(block) : answer->length);
    for (size_t i = 0; i < answer->size; i++)
        g_byte_array_append(message, (const guint8 *)(answer->data ? answer->data + i : ""), 1);
    if (named)
        godwit_bytes_append_name(message, block);
    return message;
}

/* Starts a migration to a peer that gives the answer, which must fail. */
static bool answer_one(struct godwit_conformance *source, const struct answer *answer,
                       const char *block, GError **error)
{
    __attribute__((cleanup(peer_clear))) struct peer peer = {
        .ends = GODWIT_PEER_NONE,
        .answer = answer,
        .message = message_of(answer, block),
    };
    if (!godwit_peer_listen(&peer.ends, source->vm->testbed, SOCKET, error))
        return false;
    peer.watch = g_unix_fd_add(peer.ends.fds[0], G_IO_IN, greet, &peer);
    if (!godwit_conformance_request(source, GODWIT_FAILS, answer->name, "migrate",
                                    "{\"uri\":\"unix:" SOCKET "\"}", NULL, error))
        return false;
    if (peer.error) {
        g_propagate_error(error, g_steal_pointer(&peer.error));
        return false;
    }
    return !peer.answer ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: the migration was over after %zu bytes, before this was answered",
                       answer->name, peer.received);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    static const struct godwit_capability return_path[] = {{"return-path", true}, {NULL, false}};
    GODWIT_CONFORMANCE source = {0};
    struct godwit_vm *vm = godwit_conformance_begin_source(&source, testbed, error);
    if (!vm || !godwit_migrate_set_capabilities(vm, return_path, error) ||
        !godwit_conformance_renew(&source, error))
        return false;
    g_autoptr(GArray) window = godwit_memory_window(vm, error);
    if (!window)
        return false;
    const char *block = g_array_index(window, struct godwit_part, 0).block->name;
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++)
        if (!answer_one(&source, &answers[i], block, error))
            return false;
    return godwit_conformance_move_on(testbed, &scenario->spec, vm, error);
}

GODWIT_SCENARIOS(malformed_answers) = {
    {
        .name = "malformed/answers",
        .summary = "a source that gets answers which no destination may give: it fails, and lives",
        .run = run,
        .prepare = godwit_conformance_prepare,
        .spec = GODWIT_CONFORMANCE_SPEC,
        .needs = "capability:return-path",
        .order = true,
        .slow = true,
    },
};
GODWIT_SCENARIOS_END(malformed_answers);
