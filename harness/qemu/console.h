/*
 * The guest's serial console. Each character is checked as it arrives: READY where it is allowed,
 * then only PASS, or FAULT. A bounded log keeps the output. When the guest's end closes, the
 * descriptor and the log's file are closed as well.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_CONSOLE_H
#define GODWIT_HARNESS_QEMU_CONSOLE_H

#include "base/error.h"
#include "qemu/log.h"
#include <stdbool.h>

/* The most bytes that are read from a guest: the output of the fastest one in some hours. */
#define GODWIT_CONSOLE_MAX ((uint64_t)256 << 20)

struct godwit_console {
    int fd;                 /* owned; -1 when closed */
    guint source;           /* main-loop source of fd, 0 when closed */
    unsigned ready_allowed; /* the number of READYs allowed; one more is a failure */
    unsigned ready;         /* the number of READYs so far */
    guint64 passes;         /* PASS characters since the start */
    gint64 last;            /* when the latest characters came; 0 before the first after `cont` */
    gint64 interval;        /* the time from the previous characters to these, per character, in
                               microseconds; 0 for the first */
    bool guest_fault;       /* FAULT came: the mailbox has the fault record */
    bool fault_provoked;    /* the harness corrupted the guest on purpose: FAULT is not a failure */
    bool theirs;            /* the guest is not Godwit's: whatever it writes is right */
    char *failure;          /* the first other problem of the output, or NULL; owned */
    GString *tail;          /* the last characters; unprintable bytes are escaped */
    struct godwit_log *log; /* owned */
};

/* Creates a console that reads from FD (taken) and logs to the file PATH. Returns NULL with ERROR
 * set if the file cannot be created; FD is closed in that case. */
struct godwit_console *godwit_console_new(int fd, const char *path, unsigned ready_allowed,
                                          GError **error);

/* Checks LENGTH bytes as if the guest had written them. */
void godwit_console_feed(struct godwit_console *console, const char *bytes, size_t length);

/* Closes and frees. Does nothing for NULL. */
void godwit_console_free(struct godwit_console *console);

#endif
