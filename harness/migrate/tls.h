/*
 * TLS for a migration: who has which keys and certificates, as data. Everything is made anew for
 * each migration, in the folder NAME.tls of each VM.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_TLS_H
#define GODWIT_HARNESS_MIGRATE_TLS_H

#include "stream/relay.h"
#include "testbed/vm.h"

enum godwit_tls_kind {
    GODWIT_TLS_PSK,  /* a pre-shared key */
    GODWIT_TLS_X509, /* certificates */
};

/* Zeros are the usual: both have the same key, or: each has a certificate that the other trusts. */
struct godwit_tls {
    enum godwit_tls_kind kind;
    bool strangers; /* PSK: each has another key; X509: another authority signed the client's */

    /* X509 only: */
    bool anonymous; /* the source has no certificate; otherwise it is CN=source */
    bool anyone;    /* the destination does not ask for one */
    /* The host in the destination's certificate; NULL: "127.0.0.1". */
    const char *certified;
    /* The host that the source looks for (tls-hostname); NULL: that of the address. */
    const char *hostname;
    /* The only source that may migrate (tls-authz); NULL: any that has a certificate. */
    const char *authorized;

    /* A regular expression for what one of the two says of a migration that must fail. */
    const char *reason;
};

/* What its spec needs of a QEMU, as godwit_qemu_lacks() has it. */
const char *godwit_tls_needs(const struct godwit_tls *tls);

/*
 * Makes keys and certificates, gives each side its own, and sets the parameters. To be done before
 * the destination listens. A QEMU that was built without GnuTLS is a SKIP error.
 */
bool godwit_tls_set_up(struct godwit_vm *source, struct godwit_vm *destination,
                       const struct godwit_tls *tls, GError **error);

/* Has the connections that are made by way of RELAY followed, for the judging. */
void godwit_tls_follow(struct godwit_testbed *testbed, struct godwit_relay *relay);

/* That a migration that is over was encrypted: the parameters are in effect on both sides, and all
 * that has gone over the relay, which is all that was sent, are TLS records. */
bool godwit_tls_judge(struct godwit_vm *source, struct godwit_vm *destination,
                      const struct godwit_tls *tls, GError **error);

/* That a migration failed for the right reason, and nothing was sent that is no TLS. Both sides
 * have ended. */
bool godwit_tls_judge_failure(struct godwit_vm *source, struct godwit_vm *destination,
                              const struct godwit_tls *tls, GError **error);

#endif
