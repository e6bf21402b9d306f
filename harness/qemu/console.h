/*
 * The guest's serial console, judged byte by byte as it comes: READY where it is allowed, then
 * PASSes, nothing else. Kept in a bounded log beside it. At the guest's end both the descriptor and
 * the log's file are closed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_CONSOLE_H
#define GODWIT_HARNESS_QEMU_CONSOLE_H

#include "base/error.h"
#include "qemu/log.h"
#include <stdbool.h>

/* The most bytes taken from a guest: some hours of the fastest one. */
#define GODWIT_CONSOLE_MAX ((uint64_t)256 << 20)

struct godwit_console {
    int fd;                 /* owned; -1 when closed */
    guint source;           /* main-loop source of fd, 0 when closed */
    unsigned ready_allowed; /* how many READYs may come; one more is a fault */
    unsigned ready;         /* how many came */
    guint64 passes;         /* PASS characters since the start */
    gint64 last;            /* when the latest character came, 0 before the first (after `cont`) */
    gint64 interval;        /* from the one before to it, 0 if it is the first; microseconds */
    bool guest_fault;       /* FAULT came: the mailbox has the record */
    bool fault_provoked;    /* the harness spoils the guest on purpose: FAULT is no failure */
    char *failure;          /* what else was wrong with the output, or NULL; owned */
    GString *tail;          /* the last bytes, escaped where they do not print */
    struct godwit_log *log; /* owned */
};

/* A console read from FD (which it takes), logged to the file at PATH. NULL with ERROR set if that
 * cannot be written; FD is closed then. */
struct godwit_console *godwit_console_new(int fd, const char *path, unsigned ready_allowed,
                                          GError **error);

/* Judges LENGTH bytes as if they had come from the guest. */
void godwit_console_feed(struct godwit_console *console, const char *bytes, size_t length);

/* Closes and frees. NULL is fine. */
void godwit_console_free(struct godwit_console *console);

#endif
