/*
 * Reads the memory of a process for a client. A read of a page that a postcopy has not brought yet
 * blocks, so each request has a thread of its own.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REMOTE_READER_H
#define GODWIT_HARNESS_REMOTE_READER_H

#include "remote/frames.h"
#include <sys/types.h>

struct godwit_reader;
typedef struct godwit_reader godwit_reader;

/* Reads the memory of the process PID. The caller frees it, once the process has ended: a read that
 * blocks ends with it. */
struct godwit_reader *godwit_reader_new(pid_t pid);
void godwit_reader_free(struct godwit_reader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_reader, godwit_reader_free)

/* Takes a request, a frame READ. Returns false if it is not well formed. */
bool godwit_reader_take(struct godwit_reader *reader, const unsigned char *content, size_t size);

/* A descriptor that can be read when there are answers. */
int godwit_reader_fd(const struct godwit_reader *reader);

/* Appends the answers that are ready to FRAMES. */
void godwit_reader_answer(struct godwit_reader *reader, struct godwit_frames *frames);

#endif
