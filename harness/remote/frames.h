/*
 * The protocol between the two hosts of a migration: frames in both directions on one connection,
 * for one QEMU. docs/two-hosts.md describes it.
 *
 * A frame is its length without these five bytes, 32 bits in big endian; its kind, one byte; and
 * its content. The side that starts a QEMU is the client, the one that runs it the server.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REMOTE_FRAMES_H
#define GODWIT_HARNESS_REMOTE_FRAMES_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Changes whenever a frame changes its meaning. Both sides must have the same. */
#define GODWIT_REMOTE_PROTOCOL 1

/* The most content that a frame has. A larger one ends the connection. */
#define GODWIT_FRAME_MAX ((size_t)1 << 20)

enum godwit_frame {
    /* The first frame of each side: JSON. The client's has "protocol", "godwit" (a version),
     * "program", "arguments" (of the program, without its name), "channels" (numbers of
     * descriptors) and "files" (names); the server's has "protocol" and "godwit". */
    GODWIT_FRAME_HELLO = 'H',
    GODWIT_FRAME_FILE = 'F',  /* client: the number of a file in "files", a byte, and the next part
                                 of its content */
    GODWIT_FRAME_START = 'S', /* client: all files were sent: starts the program */
    GODWIT_FRAME_DATA = 'D',  /* the number of a descriptor, a byte, and what was read from it */
    GODWIT_FRAME_CLOSE = 'C', /* the number of a descriptor, a byte: nothing more comes from it */
    GODWIT_FRAME_EXIT = 'X',  /* server: how the program ended, 32 bits as from wait(2) */
    GODWIT_FRAME_READ = 'R',  /* client: reads memory of the program: a struct godwit_remote_read */
    GODWIT_FRAME_PUT = 'P',   /* client: the request's number, 32 bits; the name of a file, ended by
                                 a zero byte; its content. The answer has no bytes */
    GODWIT_FRAME_BYTES = 'B', /* server: the request's number, 32 bits, and the bytes */
    GODWIT_FRAME_ERRNO = 'E', /* server: the request's number and why it failed, 32 bits each */
    GODWIT_FRAME_NO = 'N',    /* server: text: refuses the connection */
};

/* What a request for memory wants, all in big endian. */
struct godwit_remote_read {
    uint32_t number;  /* comes back with the answer */
    uint32_t length;  /* in bytes, up to GODWIT_REMOTE_READ_MAX */
    uint64_t address; /* in the program's address space */
    uint8_t how;      /* an enum godwit_remote_how */
} __attribute__((packed));

enum godwit_remote_how {
    GODWIT_REMOTE_BYTES,   /* the bytes */
    GODWIT_REMOTE_PRESENT, /* the bytes if their page is present, otherwise the error EAGAIN */
    GODWIT_REMOTE_HASHES,  /* a 64-bit hash of each page of GODWIT_REMOTE_PAGE bytes */
};

#define GODWIT_REMOTE_READ_MAX   ((size_t)512 << 10)
#define GODWIT_REMOTE_HASHED_MAX ((size_t)64 << 20) /* of a request for hashes */
#define GODWIT_REMOTE_PAGE       ((size_t)4096)

/* Frames on their way, over two descriptors that may be one. */
struct godwit_frames;
typedef struct godwit_frames godwit_frames;

/* Takes the descriptors. The caller frees it, which closes them. */
struct godwit_frames *godwit_frames_new(int in, int out);
void godwit_frames_free(struct godwit_frames *frames);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_frames, godwit_frames_free)

/* The descriptors, to wait for. Wait for OUT only if something is pending. */
int godwit_frames_in(const struct godwit_frames *frames);
int godwit_frames_out(const struct godwit_frames *frames);

/* Returns how many bytes are waiting to be sent. */
size_t godwit_frames_pending(const struct godwit_frames *frames);

/* Appends a frame of the content A and then B. It is sent by godwit_frames_send(). */
void godwit_frames_put(struct godwit_frames *frames, enum godwit_frame kind, const void *a,
                       size_t a_size, const void *b, size_t b_size);

/* Sends what is pending, as far as that does not block. Returns false if the peer is gone. */
bool godwit_frames_send(struct godwit_frames *frames);

/* Reads what has come. Returns false once the connection has ended; what came before can still be
 * taken. */
bool godwit_frames_receive(struct godwit_frames *frames);

/*
 * Takes the next frame that has come as a whole. Sets *CONTENT and *SIZE, which are valid until the
 * next call. Returns its kind, or 0 if there is none; -1 with ERROR set to USAGE if what came is no
 * frame.
 */
int godwit_frames_next(struct godwit_frames *frames, const unsigned char **content, size_t *size,
                       GError **error);

#endif
