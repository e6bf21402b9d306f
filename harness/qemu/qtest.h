/*
 * A hand on the machine from outside: QEMU's qtest socket, which reads and writes physical memory,
 * device registers and ports at any time, whether the guest runs or not, and without code in the
 * guest.
 *
 * An access has no CPU behind it. A device that asks for the current CPU crashes its QEMU (vmport,
 * port 0x5658 of a PC), and other accesses reset or end the machine. So the end of a QEMU has an
 * error code of its own, GODWIT_ERROR_ACCESS, and the access of which it died is known.
 *
 * A connection belongs to one VM. It does not wait itself: the layer above runs the main loop. The
 * peer is not trusted: a line that is too long, or is not the answer to the oldest request, makes
 * the connection unusable, as does a request that was not answered in time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_QTEST_H
#define GODWIT_HARNESS_QEMU_QTEST_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* The most bytes that one request reads or writes. */
#define GODWIT_QTEST_BYTES_MAX ((size_t)64 << 10)

struct godwit_qtest;

/* The VM of a connection: what the connection needs of the layer that has the VM. */
struct godwit_qtest_owner {
    const char *name; /* of the VM, for messages; borrowed */
    gpointer vm;      /* for the functions below */
    /* Runs the main loop until CONDITION(DATA) holds. WHAT completes the sentence "waiting for
     * ...". Fails at a deadline, and if a VM is in a state that makes waiting useless. */
    bool (*wait)(gpointer vm, bool (*condition)(gpointer data), gpointer data, const char *what,
                 GError **error);
    /* Called when QEMU has closed the socket. Waits until the process has ended. Returns how it
     * did, for a sentence that begins with "it" ("was killed by signal 11"), or NULL if it still
     * runs at a deadline. The caller frees it. */
    char *(*end)(gpointer vm);
};

enum godwit_access_kind {
    GODWIT_ACCESS_READ,        /* SIZE (1, 2, 4 or 8) bytes of memory at ADDRESS into VALUE */
    GODWIT_ACCESS_WRITE,       /* ... and from VALUE */
    GODWIT_ACCESS_IN,          /* SIZE (1, 2 or 4) bytes of the port ADDRESS into VALUE */
    GODWIT_ACCESS_OUT,         /* ... and from VALUE */
    GODWIT_ACCESS_READ_BYTES,  /* SIZE (up to GODWIT_QTEST_BYTES_MAX) bytes at ADDRESS into BYTES */
    GODWIT_ACCESS_WRITE_BYTES, /* ... and from BYTES */
    GODWIT_ACCESS_CALL,        /* the firmware service CALL of a pseries machine with ARGUMENTS
                                  32-bit arguments at ADDRESS and SIZE 32-bit results at RESULTS */
};

/* One access. Values are in the byte order of the target: a device's little-endian register appears
 * swapped on a big-endian target. */
struct godwit_access {
    enum godwit_access_kind kind;
    size_t size;
    uint64_t address;
    uint64_t value;
    unsigned char *bytes; /* borrowed */
    const char *call;     /* borrowed */
    size_t arguments;
    uint64_t results;
};

/* Creates a connection over FD (taken), to which QEMU is connected or will be. OWNER is copied. The
 * caller frees it. */
struct godwit_qtest *godwit_qtest_new(int fd, const struct godwit_qtest_owner *owner);

/* Closes and frees. Does nothing for NULL. */
void godwit_qtest_free(struct godwit_qtest *qtest);

/*
 * Makes COUNT accesses in order. Many requests are on their way at a time. Returns true when all
 * are answered. Every failure is final, the connection cannot be used again, except USAGE:
 *
 *   USAGE    an access is invalid; nothing was sent
 *   CRASH    QEMU had already ended, or ended of something else
 *   ACCESS   QEMU died of an access, which the message names
 *   QMP      QEMU refused an access or broke the protocol
 *   others   what the owner's wait() fails with
 */
bool godwit_qtest_run(struct godwit_qtest *qtest, struct godwit_access *accesses, size_t count,
                      GError **error);

/* Returns the number of answered accesses of the latest run. If that failed with ACCESS, QEMU died
 * of the access with this index. */
size_t godwit_qtest_answered(const struct godwit_qtest *qtest);

/* Returns the request of an access as QEMU reads it: "inl 0x5658". The caller frees it. */
char *godwit_access_text(const struct godwit_access *access);

/* Make one access, and otherwise do what godwit_qtest_run() does. SIZE is in bytes. */
bool godwit_qtest_read(struct godwit_qtest *qtest, unsigned size, uint64_t address, uint64_t *value,
                       GError **error);
bool godwit_qtest_write(struct godwit_qtest *qtest, unsigned size, uint64_t address, uint64_t value,
                        GError **error);
bool godwit_qtest_in(struct godwit_qtest *qtest, unsigned size, uint16_t port, uint32_t *value,
                     GError **error);
bool godwit_qtest_out(struct godwit_qtest *qtest, unsigned size, uint16_t port, uint32_t value,
                      GError **error);

/* Read or write LENGTH bytes, which may be more than one request moves. */
bool godwit_qtest_read_bytes(struct godwit_qtest *qtest, uint64_t address, void *bytes,
                             size_t length, GError **error);
bool godwit_qtest_write_bytes(struct godwit_qtest *qtest, uint64_t address, const void *bytes,
                              size_t length, GError **error);

#endif
