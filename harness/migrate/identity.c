/*
 * Keys, certificates and the other files of TLS credentials, made with GnuTLS.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/identity.h"

#include "base/file.h"
#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

struct godwit_identity {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
};

#define DAY (24 * 60 * 60)
/* The length of a certificate's serial number, in bytes. It is random, and long enough that no
 * authority uses one twice. */
#define SERIAL_BYTES 16
/* The greatest length of a key's identifier, in bytes. */
#define KEY_ID_BYTES 64
/* The length of a pre-shared key, in bytes. */
#define PSK_BYTES 32

/* Fails with ENVIRONMENT if STATUS is an error of GnuTLS. STEP completes "GnuTLS cannot ...". */
static bool done(int status, const char *step, GError **error)
{
    if (status >= 0)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "GnuTLS %s cannot %s: %s (%d)",
                gnutls_check_version(NULL), step, gnutls_strerror(status), status);
    return false;
}

static bool write_file(const char *folder, const char *name, const void *bytes, size_t length,
                       GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    return godwit_file_write(path, bytes, length, error);
}

/* QEMU checks all three: the basic constraints, the key's usage and the key's purpose. */
static bool set_role(gnutls_x509_crt_t certificate, enum godwit_role role, GError **error)
{
    const bool authority = role == GODWIT_ROLE_AUTHORITY;
    /* Encipherment means nothing for an ECDSA key, but old versions of QEMU require it of any
     * key. */
    const unsigned usage = authority ? GNUTLS_KEY_KEY_CERT_SIGN
                                     : GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT;
    const char *purpose =
        role == GODWIT_ROLE_SERVER ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
    return done(gnutls_x509_crt_set_basic_constraints(certificate, authority, -1),
                "set basic constraints", error) &&
           done(gnutls_x509_crt_set_key_usage(certificate, usage), "set a key's usage", error) &&
           (authority ||
            done(gnutls_x509_crt_set_key_purpose_oid(certificate, purpose, 1 /* critical */),
                 "set a key's purpose", error));
}

static bool set_host(gnutls_x509_crt_t certificate, const char *host, GError **error)
{
    unsigned char address[sizeof(struct in6_addr)];
    const void *name = address;
    unsigned length = 0;
    gnutls_x509_subject_alt_name_t type = GNUTLS_SAN_IPADDRESS;
    if (inet_pton(AF_INET, host, address) == 1) {
        length = sizeof(struct in_addr);
    } else if (inet_pton(AF_INET6, host, address) == 1) {
        length = sizeof(struct in6_addr);
    } else {
        type = GNUTLS_SAN_DNSNAME;
        name = host;
        length = (unsigned)strlen(host);
    }
    return done(
        gnutls_x509_crt_set_subject_alt_name(certificate, type, name, length, GNUTLS_FSAN_SET),
        "set a host's name", error);
}

/* Identifies the certificate's own key and the key that signed it. Names alone would be ambiguous:
 * two authorities may have one name. */
static bool set_key_ids(const struct godwit_identity *identity,
                        const struct godwit_identity *authority, GError **error)
{
    unsigned char own[KEY_ID_BYTES], signer[KEY_ID_BYTES];
    size_t own_length = sizeof(own), signer_length = sizeof(signer);
    gnutls_x509_crt_t certificate = identity->certificate;
    return done(gnutls_x509_crt_get_key_id(certificate, 0, own, &own_length), "compute a key's id",
                error) &&
           done(gnutls_x509_crt_get_key_id(authority ? authority->certificate : certificate, 0,
                                           signer, &signer_length),
                "compute a key's id", error) &&
           done(gnutls_x509_crt_set_subject_key_id(certificate, own, own_length), "set a key's id",
                error) &&
           done(gnutls_x509_crt_set_authority_key_id(certificate, signer, signer_length),
                "set a key's id", error);
}

static bool fill(struct godwit_identity *identity, const struct godwit_identity *authority,
                 enum godwit_role role, const char *name, const char *host, GError **error)
{
    const time_t now = time(NULL);
    unsigned char serial[SERIAL_BYTES];
    if (!done(gnutls_x509_privkey_init(&identity->key), "allocate a key", error) ||
        !done(gnutls_x509_crt_init(&identity->certificate), "allocate a certificate", error) ||
        !done(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)), "make random numbers", error))
        return false;
    /* A positive number that always has the full length. */
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    /* ECDSA: an RSA key would take a tenth of a second to make. */
    gnutls_x509_crt_t certificate = identity->certificate;
    return done(gnutls_x509_privkey_generate(
                    identity->key, GNUTLS_PK_ECDSA,
                    (unsigned)GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                "make an ECDSA key", error) &&
           done(gnutls_x509_crt_set_version(certificate, 3), "set a version", error) &&
           done(gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial)),
                "set a serial number", error) &&
           done(gnutls_x509_crt_set_activation_time(certificate, now - DAY),
                "set the start of validity", error) &&
           done(gnutls_x509_crt_set_expiration_time(certificate, now + DAY),
                "set the end of validity", error) &&
           done(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                              (unsigned)strlen(name)),
                "set a name", error) &&
           set_role(certificate, role, error) && (!host || set_host(certificate, host, error)) &&
           done(gnutls_x509_crt_set_key(certificate, identity->key), "set a key", error) &&
           set_key_ids(identity, authority, error) &&
           done(gnutls_x509_crt_sign2(certificate, authority ? authority->certificate : certificate,
                                      authority ? authority->key : identity->key, GNUTLS_DIG_SHA256,
                                      0),
                "sign a certificate", error);
}

struct godwit_identity *godwit_identity_new(const struct godwit_identity *authority,
                                            enum godwit_role role, const char *name,
                                            const char *host, GError **error)
{
    struct godwit_identity *identity = g_new0(struct godwit_identity, 1);
    if (fill(identity, authority, role, name, host, error))
        return identity;
    godwit_error_context(error, "certificate of CN=%s", name);
    godwit_identity_free(identity);
    return NULL;
}

void godwit_identity_free(struct godwit_identity *identity)
{
    if (!identity)
        return;
    if (identity->certificate)
        gnutls_x509_crt_deinit(identity->certificate);
    if (identity->key)
        gnutls_x509_privkey_deinit(identity->key);
    g_free(identity);
}

/* Appends PEM, which GnuTLS has exported with STATUS, to TEXT, and frees PEM. STEP names the export
 * for an error. */
static bool add_pem(GString *text, int status, gnutls_datum_t *pem, const char *step,
                    GError **error)
{
    if (!done(status, step, error))
        return false;
    g_string_append_len(text, (const char *)pem->data, pem->size);
    gnutls_free(pem->data);
    return true;
}

static bool add_certificate(GString *text, const struct godwit_identity *identity, GError **error)
{
    gnutls_datum_t pem = {NULL, 0};
    const int status = gnutls_x509_crt_export2(identity->certificate, GNUTLS_X509_FMT_PEM, &pem);
    return add_pem(text, status, &pem, "export a certificate", error);
}

bool godwit_identity_write(const struct godwit_identity *identity, const char *folder,
                           const char *certificate, const char *key, GError **error)
{
    gnutls_datum_t pem = {NULL, 0};
    g_autoptr(GString) its = g_string_new(NULL);
    if (!add_certificate(its, identity, error) ||
        !write_file(folder, certificate, its->str, its->len, error))
        return false;
    const int status = gnutls_x509_privkey_export2_pkcs8(identity->key, GNUTLS_X509_FMT_PEM, NULL,
                                                         GNUTLS_PKCS_PLAIN, &pem);
    g_string_truncate(its, 0);
    return add_pem(its, status, &pem, "export a key", error) &&
           write_file(folder, key, its->str, its->len, error);
}

bool godwit_identity_trust(const struct godwit_identity *authority,
                           const struct godwit_identity *other, const char *folder, GError **error)
{
    g_autoptr(GString) both = g_string_new(NULL);
    return add_certificate(both, authority, error) &&
           (!other || add_certificate(both, other, error)) &&
           write_file(folder, GODWIT_FILE_CA, both->str, both->len, error);
}

char *godwit_psk_new(GError **error)
{
    unsigned char key[PSK_BYTES];
    if (!done(gnutls_rnd(GNUTLS_RND_KEY, key, sizeof(key)), "make a pre-shared key", error))
        return NULL;
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < sizeof(key); i++)
        g_string_append_printf(text, "%02x", key[i]);
    return g_string_free(text, FALSE);
}

bool godwit_psk_write(const char *folder, const char *user, const char *key, GError **error)
{
    g_autofree char *line = g_strdup_printf("%s:%s\n", user, key);
    return write_file(folder, GODWIT_FILE_PSK, line, strlen(line), error);
}

bool godwit_group_write(const char *folder, GError **error)
{
    gnutls_dh_params_t group = NULL;
    gnutls_datum_t pem = {NULL, 0};
    g_autoptr(GString) text = g_string_new(NULL);
    const bool made =
        done(gnutls_dh_params_init(&group), "allocate a group", error) &&
        done(gnutls_dh_params_import_raw3(group, &gnutls_ffdhe_2048_group_prime,
                                          &gnutls_ffdhe_2048_group_q,
                                          &gnutls_ffdhe_2048_group_generator),
             "import its own group ffdhe2048", error) &&
        add_pem(text, gnutls_dh_params_export2_pkcs3(group, GNUTLS_X509_FMT_PEM, &pem), &pem,
                "export a group", error);
    if (group)
        gnutls_dh_params_deinit(group);
    return made && write_file(folder, GODWIT_FILE_GROUP, text->str, text->len, error);
}
