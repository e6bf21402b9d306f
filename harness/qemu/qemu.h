/*
 * A QEMU binary and what it can do, as the binary itself reported it (testbed/probe.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_QEMU_H
#define GODWIT_HARNESS_QEMU_QEMU_H

#include "base/error.h"
#include "base/json.h"
#include <stdbool.h>

struct godwit_machine;

struct godwit_qemu {
    char *path;       /* absolute */
    char *version;    /* "7.2.22" */
    char *package;    /* the distributor's string, "" if there is none */
    char *arch;       /* as query-target says */
    json_t *machines; /* object: each machine type name or alias -> the type's full name */
    json_t *features; /* object whose keys are what it can do, see godwit_qemu_lacks() */
    double start_ms;  /* process start to the first QMP answer */
};

/*
 * Finds the binary for an architecture: PATH as it is if it has a slash, or, if it is a folder,
 * qemu-system-ARCH in it or in its bin; looked up in $PATH if it has no slash; "qemu-system-ARCH"
 * in $PATH if PATH is NULL. ENVIRONMENT error if there is none or it cannot be executed, with what
 * to do about it. The path is the caller's.
 */
char *godwit_qemu_find(const struct godwit_machine *machine, const char *path, GError **error);

/* For handing over to a worker process, and back. */
json_t *godwit_qemu_to_json(const struct godwit_qemu *qemu);
struct godwit_qemu *godwit_qemu_from_json(const json_t *json);

struct godwit_qemu *godwit_qemu_copy(const struct godwit_qemu *qemu);
void godwit_qemu_free(struct godwit_qemu *qemu);

/*
 * The machine type to start both binaries with so that one can be migrated to the other: TYPE
 * itself, or, if it is an alias ("q35") for different versions of a machine, the newest version
 * that both know. NULL if there is none. Borrowed.
 */
const char *godwit_qemu_common_type(const struct godwit_qemu *source,
                                    const struct godwit_qemu *destination, const char *type);

/* Whether it has the feature KIND NAME. The kinds, all of them asked of the binary:
 *
 *   capability NAME   a migration capability
 *   parameter NAME    a migration parameter
 *   command NAME      a QMP command
 *   argument NAME     an argument of `migrate` ("channels")
 *   transport NAME    a transport of a migration address ("file"); the older ones are in every QEMU
 *   object NAME       a type of object that `object-add` knows ("tls-creds-psk")
 *   state NAME        a state of the migration ("postcopy-recover-setup")
 *   PARAMETER NAME    a value that the parameter can have ("multifd-compression zstd")
 */
bool godwit_qemu_has(const struct godwit_qemu *qemu, const char *kind, const char *name);

/* How many features of KIND it has. */
unsigned godwit_qemu_count(const struct godwit_qemu *qemu, const char *kind);

/*
 * The first of NEEDS (features as "KIND:NAME", separated by spaces; NULL for none) that it lacks,
 * as a sentence's end: "needs capability mapped-ram: not in QEMU 7.2.22". The caller's, or NULL if
 * there is all.
 */
char *godwit_qemu_lacks(const struct godwit_qemu *qemu, const char *needs);

#endif
