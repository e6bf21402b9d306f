/*
 * TLS for a migration: writes each side's credentials, makes QEMU use them, and judges by the bytes
 * that pass the relay if the migration was encrypted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/tls.h"

#include "base/files.h"
#include "migrate/identity.h"
#include "migrate/migrate.h"
#include "migrate/wire.h"
#include <inttypes.h>
#include <string.h>

/* The name of an object in the destination. */
#define AUTHORIZATION "friends"

#define PSK_USER       "godwit"
#define AUTHORITY_NAME "authority"
#define CLIENT_NAME    "source"

const char *godwit_tls_needs(const struct godwit_tls *tls)
{
    return tls->kind == GODWIT_TLS_PSK
               ? "object:tls-creds-psk parameter:tls-creds"
               : "object:tls-creds-x509 object:authz-simple parameter:tls-creds "
                 "parameter:tls-hostname parameter:tls-authz";
}

/* Returns the name of the folder of a VM's credentials, in its working directory. The caller frees
 * it. */
static char *name_folder(const struct godwit_vm *vm)
{
    return g_strconcat(vm->name, ".tls", NULL);
}

/* Makes that folder. Returns its absolute path, which the caller frees. */
static char *make_folder(const struct godwit_vm *vm, GError **error)
{
    g_autofree char *name = name_folder(vm);
    g_autofree char *path = g_build_filename(vm->testbed->directory, name, NULL);
    return godwit_files_folder(path, error) ? g_steal_pointer(&path) : NULL;
}

static bool write_psk(const char *source, const char *destination, const struct godwit_tls *tls,
                      GError **error)
{
    g_autofree char *key = godwit_psk_new(error);
    g_autofree char *other = key && tls->strangers ? godwit_psk_new(error) : g_strdup(key);
    return other && godwit_psk_write(source, PSK_USER, key, error) &&
           godwit_psk_write(destination, PSK_USER, other, error);
}

/* Writes the client's credentials. QEMU verifies its own certificate first, so a client whose
 * certificate another authority has signed must trust that authority as well. Both authorities have
 * the same name, because GnuTLS does not present a certificate to a server that does not list the
 * name of its authority. */
static bool write_client(const struct godwit_identity *authority, const char *folder,
                         const struct godwit_tls *tls, GError **error)
{
    if (tls->anonymous)
        return godwit_identity_trust(authority, NULL, folder, error);
    struct godwit_identity *other = NULL, *client = NULL;
    if (tls->strangers)
        other = godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, AUTHORITY_NAME, NULL, error);
    if (other || !tls->strangers)
        client = godwit_identity_new(other ? other : authority, GODWIT_ROLE_CLIENT, CLIENT_NAME,
                                     NULL, error);
    const bool written = client && godwit_identity_trust(authority, other, folder, error) &&
                         godwit_identity_write(client, folder, GODWIT_FILE_CLIENT_CERT,
                                               GODWIT_FILE_CLIENT_KEY, error);
    godwit_identity_free(client);
    godwit_identity_free(other);
    return written;
}

static bool write_server(const struct godwit_identity *authority, const char *folder,
                         const struct godwit_tls *tls, GError **error)
{
    const char *host = tls->certified ? tls->certified : GODWIT_TLS_HOST;
    struct godwit_identity *server =
        godwit_identity_new(authority, GODWIT_ROLE_SERVER, "destination", host, error);
    const bool written = server && godwit_identity_trust(authority, NULL, folder, error) &&
                         godwit_identity_write(server, folder, GODWIT_FILE_SERVER_CERT,
                                               GODWIT_FILE_SERVER_KEY, error);
    godwit_identity_free(server);
    return written;
}

static bool write_x509(const char *source, const char *destination, const struct godwit_tls *tls,
                       GError **error)
{
    struct godwit_identity *authority =
        godwit_identity_new(NULL, GODWIT_ROLE_AUTHORITY, AUTHORITY_NAME, NULL, error);
    const bool written = authority && write_client(authority, source, tls, error) &&
                         write_server(authority, destination, tls, error);
    godwit_identity_free(authority);
    return written;
}

/* Adds an object with PROPERTIES, which it takes. Fails with SKIP if QEMU has no GnuTLS. */
static bool add_object(struct godwit_vm *vm, json_t *properties, GError **error)
{
    g_autofree char *type = g_strdup(godwit_json_string(properties, "qom-type", NULL));
    g_autoptr(GError) cause = NULL;
    if (godwit_vm_command(vm, "object-add", properties, &cause))
        return true;
    /* Every QEMU has the types. Without GnuTLS it refuses to make such an object. */
    if (cause->code == GODWIT_ERROR_QMP && strstr(cause->message, "requires GNUTLS")) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs object %s: this QEMU %s was built without GnuTLS", type,
                    vm->qemu->version);
        return false;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Gives one side its credentials and makes migrations use them. */
static bool give(struct godwit_vm *vm, bool client, const struct godwit_tls *tls, GError **error)
{
    g_autofree char *folder = name_folder(vm);
    if (!godwit_vm_send_folder(vm, folder, error))
        return false;
    json_t *credentials = json_pack("{s:s, s:s, s:s}", "id", GODWIT_TLS_CREDENTIALS, "dir", folder,
                                    "endpoint", client ? "client" : "server");
    if (tls->kind == GODWIT_TLS_PSK) {
        json_object_set_new(credentials, "qom-type", json_string("tls-creds-psk"));
        if (client)
            json_object_set_new(credentials, "username", json_string(PSK_USER));
    } else {
        json_object_set_new(credentials, "qom-type", json_string("tls-creds-x509"));
        json_object_set_new(credentials, "verify-peer", json_boolean(client || !tls->anyone));
    }
    if (!add_object(vm, credentials, error))
        return false;
    struct godwit_parameter parameters[3] = {{"tls-creds", 0, GODWIT_TLS_CREDENTIALS}};
    if (client && tls->hostname)
        parameters[1] = (struct godwit_parameter){"tls-hostname", 0, tls->hostname};
    if (!client && tls->authorized) {
        g_autofree char *identity = g_strconcat("CN=", tls->authorized, NULL);
        if (!add_object(vm,
                        json_pack("{s:s, s:s, s:s}", "qom-type", "authz-simple", "id",
                                  AUTHORIZATION, "identity", identity),
                        error))
            return false;
        parameters[1] = (struct godwit_parameter){"tls-authz", 0, AUTHORIZATION};
    }
    return godwit_migrate_set_parameters(vm, parameters, error);
}

bool godwit_tls_set_up(struct godwit_vm *source, struct godwit_vm *destination,
                       const struct godwit_tls *tls, GError **error)
{
    const gint64 began = g_get_monotonic_time();
    g_autofree char *from = make_folder(source, error);
    g_autofree char *to = from ? make_folder(destination, error) : NULL;
    if (!to || !(tls->kind == GODWIT_TLS_PSK ? write_psk : write_x509)(from, to, tls, error) ||
        !godwit_group_write(to, error))
        return false;
    const double ms = (double)(g_get_monotonic_time() - began) / 1000.0;
    godwit_testbed_measure_member(source->testbed, "tls", "made-in-ms", json_real(ms));
    return (tls->sides == GODWIT_TLS_SOURCE || give(destination, false, tls, error)) &&
           (tls->sides == GODWIT_TLS_DESTINATION || give(source, true, tls, error));
}

/* Fails with MIGRATION unless a VM's migration parameter still has the value WANTED. */
static bool judge_parameter(struct godwit_vm *vm, const char *name, const char *wanted,
                            GError **error)
{
    g_autoptr(json_t) parameters = godwit_vm_execute(vm, "query-migrate-parameters", NULL, error);
    if (!parameters)
        return false;
    const char *value = godwit_json_string(parameters, name, "");
    if (!strcmp(value, wanted))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s's parameter %s is \"%s\" after the migration; it was set to \"%s\"",
                vm->name, name, value, wanted);
    return false;
}

/* Fails with MIGRATION unless RECORDS are TLS. If USED, at least a handshake must have come. */
static bool judge_records(const struct godwit_records *records, unsigned connection,
                          const char *sender, bool used, GError **error)
{
    if (records->plain)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the %s sent unencrypted data on connection %u: byte %" PRIu64
                    " begins %02x %02x %02x %02x %02x instead of the header of a TLS record",
                    sender, connection, records->at, records->header[0], records->header[1],
                    records->header[2], records->header[3], records->header[4]);
    else if ((used || records->number) && !records->greeted)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the data that the %s sent on connection %u (%" PRIu64
                    " bytes) does not begin with a TLS handshake",
                    sender, connection, records->bytes);
    else
        return true;
    return false;
}

/* Fails with MIGRATION unless the SIDES that encrypt sent only TLS records through the relay. If
 * ALL, each connection must have been used in both directions. Sets *SENT to the bytes of encrypted
 * data that the source sent. */
static bool judge_wire(struct godwit_testbed *testbed, enum godwit_tls_sides sides, bool all,
                       uint64_t *sent, GError **error)
{
    const GPtrArray *connections = testbed->wire->connections;
    *sent = 0;
    for (unsigned i = 0; i < connections->len; i++) {
        const struct godwit_wire_connection *connection = g_ptr_array_index(connections, i);
        if ((sides != GODWIT_TLS_DESTINATION &&
             !judge_records(&connection->sent, i, "source", all, error)) ||
            (sides != GODWIT_TLS_SOURCE &&
             !judge_records(&connection->answered, i, "destination", all, error)))
            return false;
        *sent += connection->sent.data;
    }
    godwit_testbed_measure_member(testbed, "tls", "connections", json_integer(connections->len));
    godwit_testbed_measure_member(testbed, "tls", "encrypted", json_integer((json_int_t)*sent));
    return true;
}

/* The most that QEMU counts as sent before it writes it, in bytes: 64 pieces of one page each, and
 * a buffer of 32 KiB. */
#define GATHERED ((64 * 4 + 32) << 10)

bool godwit_tls_judge(struct godwit_vm *source, struct godwit_vm *destination,
                      const struct godwit_tls *tls, GError **error)
{
    if (!judge_parameter(source, "tls-creds", GODWIT_TLS_CREDENTIALS, error) ||
        !judge_parameter(destination, "tls-creds", GODWIT_TLS_CREDENTIALS, error) ||
        !judge_parameter(source, "tls-hostname", tls->hostname ? tls->hostname : "", error) ||
        !judge_parameter(destination, "tls-authz", tls->authorized ? AUTHORIZATION : "", error))
        return false;
    uint64_t sent;
    if (!judge_wire(source->testbed, GODWIT_TLS_BOTH, true, &sent, error))
        return false;
    const struct godwit_migration *migration = godwit_migration_of(source->testbed);
    /* Compare with the whole pages only. "transferred" would be larger, but in postcopy QEMU 10.0
     * counts more there than it sends. */
    const json_int_t pages = migration->figures[GODWIT_FIGURE_NORMAL_BYTES];
    /* A source whose connection broke may have lost what it had not written yet. */
    if (pages > 0 && sent + (migration->recovered ? GATHERED : 0) >= (uint64_t)pages)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the source reports that it sent %" JSON_INTEGER_FORMAT
                " bytes of whole pages, but only %" PRIu64 " encrypted bytes passed the relay",
                pages, sent);
    return false;
}

bool godwit_tls_judge_failure(struct godwit_vm *source, struct godwit_vm *destination,
                              const struct godwit_tls *tls, GError **error)
{
    uint64_t sent;
    if (!judge_wire(source->testbed, tls->sides, false, &sent, error))
        return false;
    g_autofree char *from = godwit_vm_stderr(source, G_MAXUINT);
    g_autofree char *to = godwit_vm_stderr(destination, G_MAXUINT);
    const char *failure = godwit_migration_of(source->testbed)->failure;
    g_autofree char *said = g_strjoin("\n", failure, from, to, NULL);
    if (g_regex_match_simple(tls->reason, said, 0, 0))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the migration failed as expected, but for the wrong reason: the source's error is "
                "\"%s\", its stderr \"%s\", the destination's stderr \"%s\"; none of them matches "
                "\"%s\"",
                failure, from, to, tls->reason);
    return false;
}
