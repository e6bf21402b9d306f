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
    char *remote;     /* its name or path on another host, of a binary whose PATH is a program that
                         stands for it; NULL: it is on this host */
    char *version;    /* "7.2.22" */
    char *package;    /* the distributor's version string, "" if there is none */
    char *arch;       /* as query-target reports it */
    json_t *machines; /* object: name or alias of each machine type -> full name of the type */
    char *usual_type; /* the machine type that it takes without -machine, "" if there is none */
    json_t *features; /* object whose keys are the features "KIND:NAME", see godwit_qemu_has() */
    double start_ms;  /* duration of the probe: start, all questions and exit */
};

/*
 * Finds the QEMU binary for an architecture. If PATH has a slash, it is the binary, or a folder
 * that has qemu-system-ARCH in it or in its bin. If PATH has no slash, it is looked up in $PATH. If
 * PATH is NULL, "qemu-system-ARCH" is looked up in $PATH. For the host's architecture, qemu-kvm is
 * the second choice, in the folder's libexec as well, or in /usr/libexec: so RHEL and its relatives
 * name their only QEMU. Returns the path, which the caller frees.
 * Fails with ENVIRONMENT, and names a remedy, if there is no such binary or it cannot be executed.
 */
char *godwit_qemu_find(const struct godwit_machine *machine, const char *path, GError **error);

/* Convert a binary for the transfer to a worker process, and back. The caller frees the result. */
json_t *godwit_qemu_to_json(const struct godwit_qemu *qemu);
struct godwit_qemu *godwit_qemu_from_json(const json_t *json);

/* Returns a number below, equal to or above 0 if A's version is older than, the same as, or newer
 * than B's. The distributor's version does not count. */
int godwit_qemu_compare(const struct godwit_qemu *a, const struct godwit_qemu *b);

/* Returns a copy, which the caller frees. */
struct godwit_qemu *godwit_qemu_copy(const struct godwit_qemu *qemu);
void godwit_qemu_free(struct godwit_qemu *qemu);

/*
 * Returns the machine type with which to start both binaries so that one can migrate to the other:
 * TYPE itself, or, if TYPE is an alias ("q35") for different versions of a machine, the newest
 * version that both know. Returns NULL if there is none. Borrowed.
 */
const char *godwit_qemu_common_type(const struct godwit_qemu *source,
                                    const struct godwit_qemu *destination, const char *type);

/*
 * Returns the machine type that both binaries take without -machine, or the newer of two that both
 * know, if its name has one of TYPES (NULL-terminated) as a part: "pc-q35-rhel9.4.0" has "q35". A
 * distributor's QEMU may have only types of its own. Returns NULL if there is none. Borrowed.
 */
const char *godwit_qemu_usual_type(const struct godwit_qemu *source,
                                   const struct godwit_qemu *destination, const char *const *types);

/*
 * Returns whether the binary has the feature KIND NAME. The binary itself reported all of them.
 * Kinds:
 *
 *   capability NAME   a migration capability
 *   parameter NAME    a migration parameter
 *   command NAME      a QMP command
 *   argument NAME     an argument of `migrate` ("channels")
 *   incoming NAME     an argument of `migrate-incoming` ("exit-on-error")
 *   dirty-rate NAME   an argument of `calc-dirty-rate` ("calc-time-unit")
 *   channel NAME      a type of migration channel ("cpr")
 *   transport NAME    a transport of a migration address ("file"); every QEMU has the older ones
 *   object NAME       a type of object that `object-add` knows ("tls-creds-psk")
 *   state NAME        a state of the migration ("postcopy-recover-setup")
 *   global NAME       a property that `-global migration.NAME=VALUE` sets ("store-global-state")
 *   PARAMETER NAME    a value that the parameter can have ("multifd-compression zstd")
 *   pages large       the target's pages are larger than the host's: it migrates no RAM here
 */
bool godwit_qemu_has(const struct godwit_qemu *qemu, const char *kind, const char *name);

/* Something that is needed and is not there. */
struct godwit_lack {
    char *need; /* "capability mapped-ram": the same for all that need it */
    char *why;  /* "not in QEMU 7.2.22"; NULL: the need says it all */
};

/* Returns a lack; it takes both strings. The caller frees it with godwit_lack_free(). */
struct godwit_lack *godwit_lack_new(char *need, char *why);

/* Returns NULL if the QEMU's major version is LEAST or later, or not known. Otherwise returns that
 * NEED is lacking, because "QEMU 7.2.22 DOES". */
struct godwit_lack *godwit_lack_before(const struct godwit_qemu *qemu, long least, const char *need,
                                       const char *does);

/* Returns it as a reason to skip, "needs NEED: WHY", which the caller frees. Takes LACK, which may
 * be NULL: then NULL. */
char *godwit_lack_reason(struct godwit_lack *lack);

/* Frees LACK, which may be NULL. */
void godwit_lack_free(struct godwit_lack *lack);

/*
 * Returns the first of NEEDS that the binary lacks, which the caller frees, or NULL if it has all
 * of them. NEEDS are features as "KIND:NAME", separated by spaces; NULL for none.
 */
struct godwit_lack *godwit_qemu_lacks(const struct godwit_qemu *qemu, const char *needs);

#endif
