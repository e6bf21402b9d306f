/*
 * Keys and certificates, read back from their files by GnuTLS as a QEMU does.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "migrate/identity.h"
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>

static gnutls_datum_t take(void **state, const char *file)
{
    gsize length = 0;
    char *text = unit_take(state, file, &length);
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)length};
}

static gnutls_x509_crt_t take_certificate(void **state, const char *file)
{
    gnutls_x509_crt_t certificate;
    gnutls_datum_t pem = take(state, file);
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    assert_int_equal(gnutls_x509_crt_import(certificate, &pem, GNUTLS_X509_FMT_PEM), 0);
    g_free(pem.data);
    return certificate;
}

/* A certificate as a peer that trusts AUTHORITY sees it, in the role PURPOSE, at HOST or anywhere:
 * GnuTLS's verdict, 0 if there is nothing wrong. */
static unsigned verdict(gnutls_x509_crt_t certificate, gnutls_x509_crt_t authority,
                        const char *purpose, const char *host)
{
    gnutls_x509_trust_list_t list;
    gnutls_typed_vdata_st data[2] = {
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose},
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)(uintptr_t)host}};
    unsigned status = 0;
    assert_int_equal(gnutls_x509_trust_list_init(&list, 0), 0);
    assert_int_equal(gnutls_x509_trust_list_add_cas(list, &authority, 1, 0), 1);
    assert_int_equal(gnutls_x509_trust_list_verify_crt2(list, &certificate, 1, data, host ? 2 : 1,
                                                        0, &status, NULL),
                     0);
    gnutls_x509_trust_list_deinit(list, 0);
    return status;
}

/* An authority's certificate, from its file. */
static struct godwit_identity *new_authority(void **state, const char *name,
                                             gnutls_x509_crt_t *certificate)
{
    struct godwit_identity *authority =
        godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, name, NULL, NULL);
    assert_non_null(authority);
    assert_true(godwit_identity_trust(authority, NULL, *state, NULL));
    *certificate = take_certificate(state, GODWIT_FILE_CA);
    return authority;
}

/* The same of another identity; its key must be the certificate's. */
static gnutls_x509_crt_t new_certificate(void **state, const struct godwit_identity *authority,
                                         enum godwit_role role, const char *name, const char *host)
{
    struct godwit_identity *identity = godwit_identity_new(authority, role, name, host, NULL);
    assert_non_null(identity);
    assert_true(godwit_identity_write(identity, *state, "cert", "key", NULL));
    godwit_identity_free(identity);
    gnutls_x509_crt_t certificate = take_certificate(state, "cert");

    gnutls_x509_privkey_t key;
    gnutls_datum_t pem = take(state, "key");
    unsigned char of_key[64], of_certificate[64];
    size_t length = sizeof(of_key), other = sizeof(of_certificate);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, of_key, &length),
                     0);
    assert_int_equal(
        gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, of_certificate, &other),
        0);
    assert_int_equal(length, other);
    assert_memory_equal(of_key, of_certificate, length);
    gnutls_x509_privkey_deinit(key);
    g_free(pem.data);
    return certificate;
}

static void test_authority(void **state)
{
    gnutls_x509_crt_t certificate;
    struct godwit_identity *authority = new_authority(state, "some authority", &certificate);
    unsigned critical = 0, usage = 0;
    char name[64];
    size_t length = sizeof(name);
    assert_int_not_equal(gnutls_x509_crt_get_ca_status(certificate, &critical), 0);
    assert_true(critical);
    assert_int_equal(gnutls_x509_crt_get_key_usage(certificate, &usage, &critical), 0);
    assert_int_equal(usage, GNUTLS_KEY_KEY_CERT_SIGN);
    assert_int_equal(gnutls_x509_crt_get_version(certificate), 3);
    assert_int_equal(gnutls_x509_crt_get_dn(certificate, name, &length), 0);
    assert_string_equal(name, "CN=some authority");
    assert_true(gnutls_x509_crt_get_activation_time(certificate) < time(NULL));
    assert_true(gnutls_x509_crt_get_expiration_time(certificate) > time(NULL));
    gnutls_x509_crt_deinit(certificate);
    godwit_identity_free(authority);
}

/* Who is trusted by whom, as what, and where. */
static void test_chains(void **state)
{
    gnutls_x509_crt_t ours, theirs;
    struct godwit_identity *authority = new_authority(state, "ours", &ours);
    struct godwit_identity *other = new_authority(state, "theirs", &theirs);
    gnutls_x509_crt_t server =
        new_certificate(state, authority, GODWIT_ROLE_SERVER, "server", "guests.example");
    gnutls_x509_crt_t local =
        new_certificate(state, authority, GODWIT_ROLE_SERVER, "local", "127.0.0.1");
    gnutls_x509_crt_t local6 =
        new_certificate(state, authority, GODWIT_ROLE_SERVER, "local", "::1");
    gnutls_x509_crt_t client =
        new_certificate(state, authority, GODWIT_ROLE_CLIENT, "client", NULL);
    gnutls_x509_crt_t hostile = new_certificate(state, other, GODWIT_ROLE_CLIENT, "client", NULL);
    const struct {
        gnutls_x509_crt_t certificate, authority;
        const char *purpose, *host;
        unsigned wrong;
    } rows[] = {
        {client, ours, GNUTLS_KP_TLS_WWW_CLIENT, NULL, 0},
        {server, ours, GNUTLS_KP_TLS_WWW_SERVER, NULL, 0},
        {hostile, theirs, GNUTLS_KP_TLS_WWW_CLIENT, NULL, 0},
        /* Signed by somebody else. */
        {hostile, ours, GNUTLS_KP_TLS_WWW_CLIENT, NULL, GNUTLS_CERT_SIGNER_NOT_FOUND},
        {client, theirs, GNUTLS_KP_TLS_WWW_CLIENT, NULL, GNUTLS_CERT_SIGNER_NOT_FOUND},
        {server, theirs, GNUTLS_KP_TLS_WWW_SERVER, NULL, GNUTLS_CERT_SIGNER_NOT_FOUND},
        /* In the other role. */
        {client, ours, GNUTLS_KP_TLS_WWW_SERVER, NULL, GNUTLS_CERT_PURPOSE_MISMATCH},
        {server, ours, GNUTLS_KP_TLS_WWW_CLIENT, NULL, GNUTLS_CERT_PURPOSE_MISMATCH},
        /* At its host, and at others. */
        {server, ours, GNUTLS_KP_TLS_WWW_SERVER, "guests.example", 0},
        {server, ours, GNUTLS_KP_TLS_WWW_SERVER, "127.0.0.1", GNUTLS_CERT_UNEXPECTED_OWNER},
        {server, ours, GNUTLS_KP_TLS_WWW_SERVER, "server", GNUTLS_CERT_UNEXPECTED_OWNER},
        {local, ours, GNUTLS_KP_TLS_WWW_SERVER, "127.0.0.1", 0},
        {local, ours, GNUTLS_KP_TLS_WWW_SERVER, "127.0.0.2", GNUTLS_CERT_UNEXPECTED_OWNER},
        {local6, ours, GNUTLS_KP_TLS_WWW_SERVER, "::1", 0},
        {client, ours, GNUTLS_KP_TLS_WWW_CLIENT, "127.0.0.1", GNUTLS_CERT_UNEXPECTED_OWNER},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const unsigned found =
            verdict(rows[i].certificate, rows[i].authority, rows[i].purpose, rows[i].host);
        const unsigned wanted = rows[i].wrong ? rows[i].wrong | GNUTLS_CERT_INVALID : 0;
        if (found != wanted)
            fail_msg("row %zu: GnuTLS says 0x%x, not 0x%x", i, found, wanted);
    }
    gnutls_x509_crt_t *const all[] = {&ours, &theirs, &server, &local, &local6, &client, &hostile};
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        gnutls_x509_crt_deinit(*all[i]);
    godwit_identity_free(authority);
    godwit_identity_free(other);
}

/* What QEMU 7.2 asks for: usage, critical or not, as it is; no authority. */
static void test_usage(void **state)
{
    gnutls_x509_crt_t ours;
    struct godwit_identity *authority = new_authority(state, "ours", &ours);
    for (int server = 0; server < 2; server++) {
        gnutls_x509_crt_t certificate = new_certificate(
            state, authority, server ? GODWIT_ROLE_SERVER : GODWIT_ROLE_CLIENT, "one", NULL);
        unsigned critical = 0, usage = 0;
        assert_int_equal(gnutls_x509_crt_get_ca_status(certificate, &critical), 0);
        assert_int_equal(gnutls_x509_crt_get_key_usage(certificate, &usage, &critical), 0);
        assert_int_equal(usage, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT);
        gnutls_x509_crt_deinit(certificate);
    }
    gnutls_x509_crt_deinit(ours);
    godwit_identity_free(authority);
}

/* Two authorities in one file. */
static void test_trust_both(void **state)
{
    struct godwit_identity *one =
        godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, "one", NULL, NULL);
    struct godwit_identity *other =
        godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, "other", NULL, NULL);
    assert_true(godwit_identity_trust(one, other, *state, NULL));
    gnutls_datum_t pem = take(state, GODWIT_FILE_CA);
    gnutls_x509_crt_t found[3];
    unsigned number = G_N_ELEMENTS(found);
    assert_int_equal(gnutls_x509_crt_list_import(found, &number, &pem, GNUTLS_X509_FMT_PEM,
                                                 GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED),
                     2);
    gnutls_x509_crt_deinit(found[0]);
    gnutls_x509_crt_deinit(found[1]);
    g_free(pem.data);
    godwit_identity_free(one);
    godwit_identity_free(other);
}

static void test_psk(void **state)
{
    g_autofree char *key = godwit_psk_new(NULL);
    g_autofree char *other = godwit_psk_new(NULL);
    assert_int_equal(strlen(key), 64);
    assert_int_equal(strspn(key, "0123456789abcdef"), 64);
    assert_string_not_equal(key, other);
    assert_true(godwit_psk_write(*state, "somebody", key, NULL));
    g_autofree char *text = unit_take(state, GODWIT_FILE_PSK, NULL);
    g_autofree char *wanted = g_strdup_printf("somebody:%s\n", key);
    assert_string_equal(text, wanted);
}

static void test_group(void **state)
{
    gnutls_dh_params_t group;
    assert_true(godwit_group_write(*state, NULL));
    gnutls_datum_t pem = take(state, GODWIT_FILE_GROUP), prime, generator;
    unsigned bits = 0;
    assert_int_equal(gnutls_dh_params_init(&group), 0);
    assert_int_equal(gnutls_dh_params_import_pkcs3(group, &pem, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_dh_params_export_raw(group, &prime, &generator, &bits), 0);
    assert_int_equal(prime.size, gnutls_ffdhe_2048_group_prime.size);
    assert_memory_equal(prime.data, gnutls_ffdhe_2048_group_prime.data, prime.size);
    gnutls_free(prime.data);
    gnutls_free(generator.data);
    gnutls_dh_params_deinit(group);
    g_free(pem.data);
}

static void test_files_are_private(void **state)
{
    struct godwit_identity *one =
        godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, "one", NULL, NULL);
    const mode_t old = umask(0);
    assert_true(godwit_identity_write(one, *state, "cert", "key", NULL));
    assert_true(godwit_psk_write(*state, "somebody", "00", NULL));
    umask(old);
    static const char *const files[] = {"key", GODWIT_FILE_PSK, "cert"};
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(*state, files[i], NULL);
        struct stat status;
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(g_unlink(path), 0);
    }
    godwit_identity_free(one);
}

/* A folder that is not there; a name that no certificate can hold. */
static void test_errors(void **state)
{
    (void)state;
    struct godwit_identity *one =
        godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, "one", NULL, NULL);
    g_autoptr(GError) error = NULL;
    assert_false(godwit_identity_write(one, "/dev/null", "cert", "key", &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "cannot write /dev/null/cert: ");
    g_clear_error(&error);
    godwit_identity_free(one);

    assert_null(godwit_identity_new(NULL, GODWIT_ROLE_CLIENT, "", NULL, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "certificate of CN=: GnuTLS ");
    assert_contains(error->message, " cannot set a name: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authority),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_trust_both),
        cmocka_unit_test(test_psk),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_files_are_private),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests_name("identity", tests, unit_folder, unit_folder_end);
}
