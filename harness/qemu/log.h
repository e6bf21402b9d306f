/*
 * A bounded log: the output of a foreign process, kept in bounded memory and in a file of bounded
 * size.
 *
 * Memory has the first and the last GODWIT_LOG_KEPT bytes, so that quoting does not need the file,
 * which the process may have replaced. The file gets the first GODWIT_LOG_FILE_MAX bytes as they
 * arrive. If there are more, closing the log appends a line with the number of missing bytes, and
 * then the last bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_LOG_H
#define GODWIT_HARNESS_QEMU_LOG_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* The bytes of each end that memory keeps. */
#define GODWIT_LOG_KEPT ((size_t)64 << 10)
/* The bytes of the beginning that the file keeps. */
#define GODWIT_LOG_FILE_MAX ((uint64_t)8 << 20)

struct godwit_log;

/* Creates a log with the file PATH, or without a file if PATH is NULL. The caller frees it. Fails
 * with ENVIRONMENT if the file cannot be created. */
struct godwit_log *godwit_log_new(const char *path, GError **error);

/* Appends LENGTH bytes. If the file cannot be written (a full disk), it keeps less than memory
 * does. */
void godwit_log_write(struct godwit_log *log, const void *bytes, size_t length);

/* Returns the number of bytes written to the log so far. */
uint64_t godwit_log_total(const struct godwit_log *log);

/* Returns what memory has: the beginning, a line with the number of missing bytes if any are
 * missing, and the end. NUL bytes become spaces. The caller frees it. */
char *godwit_log_text(const struct godwit_log *log);

/* Completes the file and closes it. The text in memory stays. Closing twice is allowed. */
void godwit_log_close(struct godwit_log *log);

/* Closes and frees. Does nothing for NULL. */
void godwit_log_free(struct godwit_log *log);

/*
 * A drain: reads a descriptor to its end into a log, while the main loop runs.
 */
struct godwit_drain {
    int fd;       /* owned; -1 when closed */
    guint source; /* main-loop source of fd, 0 when closed */
    struct godwit_log *log;
    uint64_t most; /* reading stops after this many bytes ... */
    bool flooded;  /* ... because more came */
};

/* Creates a drain that reads at most MOST bytes from FD (taken) into the file PATH. Fails with
 * ENVIRONMENT if the file cannot be created; FD is closed in that case. */
struct godwit_drain *godwit_drain_new(int fd, const char *path, uint64_t most, GError **error);

/* Reads what is available now, without waiting for more. */
void godwit_drain_now(struct godwit_drain *drain);

/* Closes and frees. Does nothing for NULL. */
void godwit_drain_free(struct godwit_drain *drain);

#endif
