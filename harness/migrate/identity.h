/*
 * Makes what TLS needs, with GnuTLS: keys with certificates, pre-shared keys, and the files that
 * QEMU reads from the folder of its credentials. The mode of all files is 0600.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_IDENTITY_H
#define GODWIT_HARNESS_MIGRATE_IDENTITY_H

#include "base/error.h"
#include <stdbool.h>

/* A private key and its certificate. */
struct godwit_identity;

/* The role that a certificate is for. */
enum godwit_role {
    GODWIT_ROLE_AUTHORITY, /* signs other certificates */
    GODWIT_ROLE_SERVER,    /* accepts TLS connections: the destination */
    GODWIT_ROLE_CLIENT,    /* makes TLS connections: the source */
};

/*
 * Makes an identity for CN=NAME, valid from yesterday to tomorrow. AUTHORITY signs its certificate;
 * if AUTHORITY is NULL, the certificate is self-signed. HOST, a host name or an IP address, goes
 * into the certificate; NULL: none. The caller frees it with godwit_identity_free(). Fails with
 * ENVIRONMENT if GnuTLS fails.
 */
struct godwit_identity *godwit_identity_new(const struct godwit_identity *authority,
                                            enum godwit_role role, const char *name,
                                            const char *host, GError **error);

/* Frees IDENTITY, which may be NULL. */
void godwit_identity_free(struct godwit_identity *identity);

/* The names of the files that QEMU reads. */
#define GODWIT_FILE_CA          "ca-cert.pem"
#define GODWIT_FILE_SERVER_CERT "server-cert.pem"
#define GODWIT_FILE_SERVER_KEY  "server-key.pem"
#define GODWIT_FILE_CLIENT_CERT "client-cert.pem"
#define GODWIT_FILE_CLIENT_KEY  "client-key.pem"
#define GODWIT_FILE_PSK         "keys.psk"
#define GODWIT_FILE_GROUP       "dh-params.pem"

/* Writes the identity's certificate and key into FOLDER, as files CERTIFICATE and KEY. */
bool godwit_identity_write(const struct godwit_identity *identity, const char *folder,
                           const char *certificate, const char *key, GError **error);

/* Makes the QEMU whose credentials are in FOLDER trust AUTHORITY and, unless it is NULL, OTHER. */
bool godwit_identity_trust(const struct godwit_identity *authority,
                           const struct godwit_identity *other, const char *folder, GError **error);

/* Returns a new pre-shared key as text, for godwit_psk_write(). The caller frees it. */
char *godwit_psk_new(GError **error);

/* Writes a file of pre-shared keys into FOLDER, with KEY for USER. */
bool godwit_psk_write(const char *folder, const char *user, const char *key, GError **error);

/* Writes a well-known Diffie-Hellman group into FOLDER. Without one, a server (QEMU up to 10.0 at
 * least) makes its own, which takes seconds. */
bool godwit_group_write(const char *folder, GError **error);

#endif
