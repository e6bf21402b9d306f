/*
 * The descriptors of one QEMU that are carried over a connection: what is read from them becomes
 * frames, and frames are written to them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REMOTE_STREAMS_H
#define GODWIT_HARNESS_REMOTE_STREAMS_H

#include "remote/frames.h"

/* Descriptors that QEMU has on its own host: its output, and those of vm.h from here on. */
enum { GODWIT_STREAM_OUTPUT = 1, GODWIT_STREAM_ERRORS = 2, GODWIT_STREAM_FIRST = 3 };

/* While so many bytes wait for a descriptor or for the connection, nothing more is read for it. */
#define GODWIT_STREAM_FULL ((size_t)4 << 20)

struct godwit_streams;
typedef struct godwit_streams godwit_streams;

/* Carries over FRAMES, which is borrowed. The caller frees it, which closes the descriptors. */
struct godwit_streams *godwit_streams_new(struct godwit_frames *frames);
void godwit_streams_free(struct godwit_streams *streams);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_streams, godwit_streams_free)

/* Adds the descriptor FD (taken), which is called NUMBER on the connection. READS: it is read. */
void godwit_streams_add(struct godwit_streams *streams, int fd, uint8_t number, bool reads);

/* Appends to POLLS, an array of struct pollfd, what to wait for: the connection, and the
 * descriptors. Other members of POLLS are the caller's own, and must come before. */
void godwit_streams_poll(struct godwit_streams *streams, GArray *polls);

/* Does what POLLS, after the wait, says is possible; FIRST is the number of the caller's own.
 * Returns false once the connection has ended. */
bool godwit_streams_carry(struct godwit_streams *streams, const GArray *polls, guint first);

/* Takes a DATA or CLOSE frame. Returns false if it is none for these descriptors. */
bool godwit_streams_take(struct godwit_streams *streams, int kind, const unsigned char *content,
                         size_t size);

/* Returns whether nothing more can be read from the descriptor NUMBER. */
bool godwit_streams_ended(const struct godwit_streams *streams, uint8_t number);

/* Returns whether everything that was taken has been written. */
bool godwit_streams_written(const struct godwit_streams *streams);

#endif
