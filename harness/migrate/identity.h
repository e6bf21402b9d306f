/*
 * What TLS wants to see, made anew for each run with GnuTLS: keys with certificates, pre-shared
 * keys, and the files that a QEMU looks for in the folder of its credentials. All files are 0600.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_IDENTITY_H
#define GODWIT_HARNESS_MIGRATE_IDENTITY_H

#include "base/error.h"
#include <stdbool.h>

/* A key and the certificate that says whose it is. */
struct godwit_identity;

/* Who the certificate is for. */
enum godwit_role {
    GODWIT_ROLE_AUTHORITY, /* signs the certificates of others */
    GODWIT_ROLE_SERVER,    /* waits for TLS connections: the destination */
    GODWIT_ROLE_CLIENT,    /* makes them: the source */
};

/*
 * A new identity whose name is CN=NAME, valid from yesterday to tomorrow. AUTHORITY signs its
 * certificate, NULL: it does so itself. HOST, a name or an IP address or NULL, is where it may be
 * found. ENVIRONMENT error if GnuTLS cannot.
 */
struct godwit_identity *godwit_identity_new(const struct godwit_identity *authority,
                                            enum godwit_role role, const char *name,
                                            const char *host, GError **error);
void godwit_identity_free(struct godwit_identity *identity);

/* The file names that QEMU wants. */
#define GODWIT_FILE_CA          "ca-cert.pem"
#define GODWIT_FILE_SERVER_CERT "server-cert.pem"
#define GODWIT_FILE_SERVER_KEY  "server-key.pem"
#define GODWIT_FILE_CLIENT_CERT "client-cert.pem"
#define GODWIT_FILE_CLIENT_KEY  "client-key.pem"
#define GODWIT_FILE_PSK         "keys.psk"
#define GODWIT_FILE_GROUP       "dh-params.pem"

/* Writes certificate and key into FOLDER, under these names. */
bool godwit_identity_write(const struct godwit_identity *identity, const char *folder,
                           const char *certificate, const char *key, GError **error);

/* Writes the certificates of the authorities that are to be trusted, one or, if OTHER is not NULL,
 * two, into FOLDER. */
bool godwit_identity_trust(const struct godwit_identity *authority,
                           const struct godwit_identity *other, const char *folder, GError **error);

/* A new key, as text, for godwit_psk_write(). The caller's. */
char *godwit_psk_new(GError **error);

/* Writes FOLDER's file of pre-shared keys: USER with KEY. */
bool godwit_psk_write(const char *folder, const char *user, const char *key, GError **error);

/* Writes a well-known Diffie-Hellman group into FOLDER. A server that finds none there makes one
 * itself, in versions of QEMU up to 10.0 at least, which takes it seconds. */
bool godwit_group_write(const char *folder, GError **error);

#endif
