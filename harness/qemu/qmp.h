/*
 * A QMP connection: one JSON object a line over a socket, in both directions, all recorded with
 * times in a transcript file. Reading never blocks: the main loop feeds the connection. The peer is
 * not trusted: a line that is not an object, a line that is too long, or more events than the
 * limits below end the connection. When the peer closes its end, the socket and the transcript's
 * file are closed as well.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_QMP_H
#define GODWIT_HARNESS_QEMU_QMP_H

#include "base/error.h"
#include "base/json.h"
#include "qemu/log.h"
#include <stdbool.h>

/* The longest line that is accepted from a QEMU, in bytes. The answer to query-qmp-schema is below
 * 1 MiB. */
#define GODWIT_QMP_LINE_MAX (2u << 20)
/* The most events, and bytes of events, that are accepted from a QEMU. A migration has some
 * hundreds. */
#define GODWIT_QMP_EVENTS_MAX      20000u
#define GODWIT_QMP_EVENT_BYTES_MAX ((size_t)8 << 20)

struct godwit_qmp {
    int fd;             /* owned; -1 when closed */
    guint source;       /* main-loop source of fd, 0 when closed */
    GString *input;     /* the bytes of an incomplete line */
    json_t *greeting;   /* the first object, or NULL before it came; owned */
    json_int_t last_id; /* id of the latest command */
    json_t *reply;      /* reply to that command, or NULL before it came; owned */
    GArray *given_up;   /* of json_int_t: ids of commands whose replies nobody waits for; owned */
    GPtrArray *events;  /* of json_t: all events since the start, in order; owned */
    size_t event_bytes; /* total length of their lines */
    bool oob;           /* commands may be executed out of band: see godwit_qmp_send_oob() */
    bool may_restart;   /* another QEMU may take over the connection and send a greeting ... */
    bool restarted;     /* ... and has done so: its greeting is the first line of the input */
    char *failure;      /* why the connection is unusable, or NULL; owned */
    gint64 began;       /* monotonic time, the zero of the times in the transcript */
    struct godwit_log *transcript; /* owned */
};

/* Creates a connection over FD (taken), with a transcript in the file PATH, or without one if PATH
 * is NULL. The caller frees it. Returns NULL with ERROR set if the file cannot be created; FD is
 * closed in that case. */
struct godwit_qmp *godwit_qmp_new(int fd, const char *path, GError **error);

/* Creates the connection to the QEMU that has taken over the socket of QMP, with its own
 * transcript. QMP is closed. Otherwise like godwit_qmp_new(). */
struct godwit_qmp *godwit_qmp_successor(struct godwit_qmp *qmp, const char *path, GError **error);

/* Records in the transcript that something other than a command was done to this QEMU: its name is
 * TEXT, one line, such as "SIGKILL". Does nothing once the connection has ended. */
void godwit_qmp_note(struct godwit_qmp *qmp, const char *text);

/* Closes and frees. Does nothing for NULL. */
void godwit_qmp_free(struct godwit_qmp *qmp);

/* Sends COMMAND with ARGUMENTS (taken; NULL for none). Drops the reply in qmp->reply; the new one
 * will replace it. Returns false with ERROR set if the command cannot be sent. */
bool godwit_qmp_send(struct godwit_qmp *qmp, const char *command, json_t *arguments,
                     GError **error);

/* Like godwit_qmp_send(), and passes the descriptor FD with the command unless it is -1. The caller
 * keeps FD open and closes it. */
bool godwit_qmp_send_fd(struct godwit_qmp *qmp, const char *command, json_t *arguments, int fd,
                        GError **error);

/* Nobody waits for the reply to the latest command any more: if it comes after the next command was
 * sent, it is dropped. */
void godwit_qmp_give_up(struct godwit_qmp *qmp);

/* Returns whether QEMU's greeting offers to execute commands out of band. */
bool godwit_qmp_offers_oob(const struct godwit_qmp *qmp);

/* Like godwit_qmp_send(), for a command that QEMU must execute at once if qmp->oob is set, even
 * while its main loop waits for something. Only some commands can be executed so. */
bool godwit_qmp_send_oob(struct godwit_qmp *qmp, const char *command, json_t *arguments,
                         GError **error);

/*
 * Like godwit_qmp_send_fd(), with ARGUMENTS as JSON text that is sent unchanged (NULL for none). So
 * even text can be sent that jansson cannot represent or would write differently.
 */
bool godwit_qmp_send_text(struct godwit_qmp *qmp, const char *command, const char *arguments,
                          int fd, GError **error);

/*
 * Parses any JSON value. An integer beyond jansson's range becomes a string of its digits: some of
 * QEMU's integers are unsigned 64-bit numbers. Returns NULL if TEXT is not JSON. The caller frees
 * the value.
 */
json_t *godwit_qmp_parse(const char *text);

/* Returns whether the event is NAME and, unless STATUS is NULL, has STATUS as its data.status. */
bool godwit_qmp_event_is(const json_t *event, const char *name, const char *status);

/* Returns the first such event from index FIRST on, borrowed, or NULL if there is none yet. */
const json_t *godwit_qmp_find_event(const struct godwit_qmp *qmp, guint first, const char *name,
                                    const char *status);

#endif
