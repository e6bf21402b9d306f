/*
 * The harness's end of a proxy: reads the memory of the QEMU that the proxy stands for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REMOTE_CLIENT_H
#define GODWIT_HARNESS_REMOTE_CLIENT_H

#include "remote/frames.h"
#include <sys/types.h>

/* The proxy's descriptor for requests for memory, if there is one: frames READ, and their answers.
 * Its other end is the client's. */
#define GODWIT_REMOTE_FD 7

struct godwit_remote;

/* Makes a client, and sets *FD to the descriptor that its proxy gets as GODWIT_REMOTE_FD. From
 * DEADLINE on, in monotonic microseconds, no call waits: it fails with ETIMEDOUT. The caller frees
 * the client. Returns NULL, with errno set, if there is no descriptor. */
struct godwit_remote *godwit_remote_new(gint64 deadline, int *fd);

/* Replaces the deadline, for calls that wait already as well. */
void godwit_remote_set_deadline(struct godwit_remote *remote, gint64 deadline);

/* Ends all calls that wait: they fail with EPIPE. Waits until they have returned, and frees the
 * client. No call may begin meanwhile. */
void godwit_remote_free(struct godwit_remote *remote);

/* Reads up to LENGTH bytes of memory at ADDRESS into BUFFER, as process_vm_readv(2) does: returns
 * how many, or -1 with errno set. Waits until they are there. Any thread may call it. */
ssize_t godwit_remote_read(struct godwit_remote *remote, uint64_t address, void *buffer,
                           size_t length);

/* Likewise, but fails with EAGAIN if the page at ADDRESS is not present. */
ssize_t godwit_remote_peek(struct godwit_remote *remote, uint64_t address, void *buffer,
                           size_t length);

/* Writes a file of up to GODWIT_REMOTE_READ_MAX bytes into the folder in which the QEMU works. NAME
 * may have folders in it. Returns false with errno set. */
bool godwit_remote_put(struct godwit_remote *remote, const char *name, const void *bytes,
                       size_t size);

/* Returns whether the memory at ADDRESS is that in BYTES: compares hashes of its pages. LENGTH is a
 * multiple of GODWIT_REMOTE_PAGE. Returns 1 or 0, or -1 with errno set. */
int godwit_remote_same(struct godwit_remote *remote, uint64_t address, const void *bytes,
                       size_t length);

#endif
