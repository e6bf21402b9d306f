/*
 * A QMP connection: one JSON object a line over a socket, both ways, everything recorded with
 * times in a transcript file. It never blocks on reading; the VM's main loop feeds it. Nothing that
 * a peer sends is trusted: a line that is no object, a line that is too long, or more events than
 * the limits below ends the connection. At the peer's end both the socket and the transcript's file
 * are closed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_QMP_H
#define GODWIT_HARNESS_QEMU_QMP_H

#include "base/error.h"
#include "base/json.h"
#include "qemu/log.h"
#include <stdbool.h>

/* The longest line taken from a QEMU, in bytes: query-qmp-schema's answer is below 1 MiB. */
#define GODWIT_QMP_LINE_MAX (2u << 20)
/* The most events taken from a QEMU, and the most bytes of events: a migration has some hundreds.
 */
#define GODWIT_QMP_EVENTS_MAX      20000u
#define GODWIT_QMP_EVENT_BYTES_MAX ((size_t)8 << 20)

struct godwit_qmp {
    int fd;             /* owned; -1 when closed */
    guint source;       /* main-loop source of fd, 0 when closed */
    GString *input;     /* bytes of a line that is not complete yet */
    json_t *greeting;   /* the first object, or NULL until it came; owned */
    json_int_t last_id; /* of the command sent last */
    json_t *reply;      /* to that command, or NULL until it came; owned */
    GPtrArray *events;  /* of json_t: every event since the start, in order; owned */
    size_t event_bytes; /* length of their lines */
    bool may_restart;   /* another QEMU may take the connection over, which greets anew ... */
    bool restarted;     /* ... and has: its greeting is the first line of the input */
    char *failure;      /* what made the connection useless, or NULL; owned */
    gint64 began;       /* monotonic time that the transcript counts from */
    struct godwit_log *transcript; /* owned */
};

/* A connection over FD (which it takes), with its transcript at PATH, NULL for no file. NULL with
 * ERROR set if the transcript cannot be written; FD is closed then. */
struct godwit_qmp *godwit_qmp_new(int fd, const char *path, GError **error);

/* The connection with the QEMU that has taken over that of QMP, which is at its end then; with a
 * transcript of its own. Otherwise as above. */
struct godwit_qmp *godwit_qmp_successor(struct godwit_qmp *qmp, const char *path, GError **error);

/* Closes and frees. NULL is fine. */
void godwit_qmp_free(struct godwit_qmp *qmp);

/* Sends COMMAND with ARGUMENTS (taken; NULL for none). The reply turns up in qmp->reply, whose
 * former content is dropped. False with ERROR set if it cannot be sent. */
bool godwit_qmp_send(struct godwit_qmp *qmp, const char *command, json_t *arguments,
                     GError **error);

/* The same with a descriptor to go with it (it stays the caller's), or -1. */
bool godwit_qmp_send_fd(struct godwit_qmp *qmp, const char *command, json_t *arguments, int fd,
                        GError **error);

/*
 * The same with the arguments as text, which goes out as it is: what jansson cannot hold, or would
 * write in another way, can be sent so. NULL for none.
 */
bool godwit_qmp_send_text(struct godwit_qmp *qmp, const char *command, const char *arguments,
                          int fd, GError **error);

/*
 * Any JSON value. An integer above what jansson can hold becomes a string of its digits:
 * QEMU's are unsigned where it says so. NULL if TEXT is no JSON.
 */
json_t *godwit_qmp_parse(const char *text);

/* Whether the event is called NAME and, unless STATUS is NULL, has that data.status. */
bool godwit_qmp_event_is(const json_t *event, const char *name, const char *status);

#endif
