/*
 * TLS for a migration: which keys and certificates each side has, as data. All of them are made for
 * one migration, in the folder NAME.tls of each VM.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_TLS_H
#define GODWIT_HARNESS_MIGRATE_TLS_H

#include "testbed/vm.h"

/* The name of the credentials in each QEMU. */
#define GODWIT_TLS_CREDENTIALS "tls"

/* The host in the destination's certificate, unless `certified` names another one. */
#define GODWIT_TLS_HOST "127.0.0.1"

enum godwit_tls_kind {
    GODWIT_TLS_PSK,  /* a pre-shared key */
    GODWIT_TLS_X509, /* certificates */
};

/* Which sides encrypt. A migration that only one side encrypts must fail. */
enum godwit_tls_sides {
    GODWIT_TLS_BOTH,
    GODWIT_TLS_SOURCE,
    GODWIT_TLS_DESTINATION,
};

/* The keys and certificates. With zeros, the default, both sides have the same key (PSK), or each
 * side has a certificate that the other one trusts (X509). */
struct godwit_tls {
    enum godwit_tls_kind kind;
    enum godwit_tls_sides sides; /* the other side has no credentials */
    bool strangers; /* PSK: the keys differ; X509: another authority signed the client's */

    /* X509 only: */
    bool anonymous; /* the source has no certificate; otherwise it has one for CN=source */
    bool anyone;    /* the destination does not verify the source's certificate */
    /* The host in the destination's certificate; NULL: GODWIT_TLS_HOST. */
    const char *certified;
    /* The host that the source requires there (tls-hostname); NULL: the host of the address. */
    const char *hostname;
    /* The only source that may migrate (tls-authz); NULL: any source with a certificate. */
    const char *authorized;

    /* For a migration that must fail: a regular expression that the reason from QMP or one side's
     * standard error must match. */
    const char *reason;
};

/* Returns what TLS needs of a QEMU, in the form that godwit_qemu_lacks() takes. Static. */
const char *godwit_tls_needs(const struct godwit_tls *tls);

/*
 * Makes keys and certificates, gives each side its own, and sets the migration parameters. Call it
 * before the destination listens. Fails with SKIP if a QEMU was built without GnuTLS.
 */
bool godwit_tls_set_up(struct godwit_vm *source, struct godwit_vm *destination,
                       const struct godwit_tls *tls, GError **error);

/* The two functions below judge the connections that godwit_wire_follow_tls() has followed. */

/* Fails with MIGRATION unless a completed migration was encrypted: both sides still have their TLS
 * parameters, only TLS records passed the relay, and the source's records have at least as many
 * bytes as the pages that it sent. */
bool godwit_tls_judge(struct godwit_vm *source, struct godwit_vm *destination,
                      const struct godwit_tls *tls, GError **error);

/* Fails with MIGRATION unless a migration failed for the reason that TLS requires, and each side
 * that encrypts sent only TLS records through the relay. Call it when both sides have ended. */
bool godwit_tls_judge_failure(struct godwit_vm *source, struct godwit_vm *destination,
                              const struct godwit_tls *tls, GError **error);

#endif
