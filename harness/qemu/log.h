/*
 * A bounded log: what a foreign process writes, however much that is, kept in bounded memory and in
 * a file of bounded size.
 *
 * Memory has the first GODWIT_LOG_KEPT bytes and the last GODWIT_LOG_KEPT bytes, so quoting needs
 * no file, which the process may have replaced. The file takes the first GODWIT_LOG_FILE_MAX bytes
 * as they come. If there are more, closing the log appends a line that says how many bytes are
 * missing, and the last bytes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_LOG_H
#define GODWIT_HARNESS_QEMU_LOG_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* What memory keeps of each end, in bytes. */
#define GODWIT_LOG_KEPT ((size_t)64 << 10)
/* What the file keeps of the beginning, in bytes. */
#define GODWIT_LOG_FILE_MAX ((uint64_t)8 << 20)

struct godwit_log;

/* Creates a log with the file PATH, or without a file if PATH is NULL. Returns NULL with an
 * ENVIRONMENT error if that cannot be created. */
struct godwit_log *godwit_log_new(const char *path, GError **error);

/* Appends LENGTH bytes. A file that cannot be written (a full disk) keeps less than memory does. */
void godwit_log_write(struct godwit_log *log, const void *bytes, size_t length);

/* Returns how many bytes were written to the log in all. */
uint64_t godwit_log_total(const struct godwit_log *log);

/* Returns what memory has: the beginning and the end, and in between a line that says how many
 * bytes are missing, if any are. NUL bytes become spaces. The caller frees it. */
char *godwit_log_text(const struct godwit_log *log);

/* Completes the file and closes it. The text stays. Closing twice is fine. */
void godwit_log_close(struct godwit_log *log);

/* Closes and frees. NULL is fine. */
void godwit_log_free(struct godwit_log *log);

/*
 * A drain: reads a descriptor to its end into a log, while the main loop runs.
 */
struct godwit_drain {
    int fd;       /* owned; -1 when closed */
    guint source; /* main-loop source of fd, 0 when closed */
    struct godwit_log *log;
    uint64_t most; /* reading stops after so many bytes ... */
    bool flooded;  /* ... because there were more */
};

/* Creates a drain that reads no more than MOST bytes from FD (which it takes) into the file PATH.
 * Returns NULL with an ENVIRONMENT error if the file cannot be created; FD is closed then. */
struct godwit_drain *godwit_drain_new(int fd, const char *path, uint64_t most, GError **error);

/* Reads what has been written by now, without waiting for more. */
void godwit_drain_now(struct godwit_drain *drain);

/* Closes and frees. NULL is fine. */
void godwit_drain_free(struct godwit_drain *drain);

#endif
