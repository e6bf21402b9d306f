/*
 * TLS: encrypted migrations, and some that must be refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <stdlib.h>

static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
/* A destination refuses a source that may have sent everything by then: into buffers, if the guest
 * is small and the host busy. The source learns of the refusal by the return path only. */
static const struct godwit_capability return_path[] = {{"return-path", true}, {NULL, false}};
static const struct godwit_capability multifd_return_path[] = {
    {"multifd", true}, {"return-path", true}, {NULL, false}};
static const struct godwit_capability preempt[] = {
    {"postcopy-ram", true}, {"postcopy-preempt", true}, {NULL, false}};
/* Each channel has its own handshake, one after the other. */
static const struct godwit_parameter channels[] = {{"multifd-channels", 4, NULL}, {NULL, 0, NULL}};

/* The credentials of both sides. Host names are only compared with certificates, never resolved. */
static const struct godwit_tls psk = {.kind = GODWIT_TLS_PSK};

static const struct godwit_tls psk_mismatch = {
    .kind = GODWIT_TLS_PSK,
    .strangers = true,
    .reason = "TLS handshake failed",
};

static const struct godwit_tls default_host = {.kind = GODWIT_TLS_X509};

/* For addresses without a host. */
static const struct godwit_tls no_host = {
    .kind = GODWIT_TLS_X509,
    .reason = "No hostname for certificate validation",
};

static const struct godwit_tls override_host = {
    .kind = GODWIT_TLS_X509,
    .certified = "guests.example",
    .hostname = "guests.example",
};

static const struct godwit_tls mismatch_host = {
    .kind = GODWIT_TLS_X509,
    .certified = "guests.example",
    .reason = "Certificate does not match the hostname 127\\.0\\.0\\.1",
};

static const struct godwit_tls friendly_client = {
    .kind = GODWIT_TLS_X509,
    .authorized = "source",
};

static const struct godwit_tls hostile_client = {
    .kind = GODWIT_TLS_X509,
    .authorized = "somebody else",
    .reason = "TLS x509 authz check for CN=source is denied",
};

static const struct godwit_tls stranger_client = {
    .kind = GODWIT_TLS_X509,
    .strangers = true,
    .reason = "The certificate hasn't got a known issuer",
};

static const struct godwit_tls allow_anon_client = {
    .kind = GODWIT_TLS_X509,
    .anonymous = true,
    .anyone = true,
};

static const struct godwit_tls reject_anon_client = {
    .kind = GODWIT_TLS_X509,
    .anonymous = true,
    .reason = "No certificate was found",
};

/* One side has no credentials. */
static const struct godwit_tls only_source = {
    .kind = GODWIT_TLS_PSK,
    .sides = GODWIT_TLS_SOURCE,
    .reason = "TLS handshake failed",
};

static const struct godwit_tls only_destination = {
    .kind = GODWIT_TLS_PSK,
    .sides = GODWIT_TLS_DESTINATION,
    .reason = "TLS handshake failed",
};

/* Before QEMU 8.0 a destination waits for all connections before it reads what comes by the first
 * one. The source waits for the end of the handshake on that, and its monitor does not answer. */
static struct godwit_lack *lacks_recognition(const struct godwit_setup *setup)
{
    return godwit_lack_before(setup->destination, 8,
                              "a destination that identifies connections by their first bytes",
                              "waits for good");
}

/* The entries differ so little that each fits on two lines: name, summary, then the spec. */
#define FIELDS(row, words, ...)                                                                    \
    .name = row, .summary = words, .qemu_name = "/migration/" row, .spec = {__VA_ARGS__}
#define ROW(...)                                                                                   \
    {                                                                                              \
        FIELDS(__VA_ARGS__)                                                                        \
    }
#define SLOW(...)                                                                                  \
    {                                                                                              \
        FIELDS(__VA_ARGS__), .slow = true                                                          \
    }
/* A test that QEMU's own migration-test does not have. */
#define OWN(row, words, ...)                                                                       \
    {                                                                                              \
        .name = row, .summary = words, .spec = { __VA_ARGS__ }                                     \
    }
#define UNIX    .transport = GODWIT_TRANSPORT_UNIX
#define TCP     .transport = GODWIT_TRANSPORT_TCP
#define MULTIFD TCP, .capabilities = multifd, .parameters = channels
#define FAILS   .outcome = GODWIT_OUTCOME_FAILS
/* The destination refuses the source. */
#define REFUSED         .capabilities = return_path, FAILS
#define MULTIFD_REFUSED TCP, .capabilities = multifd_return_path, .parameters = channels, FAILS

GODWIT_SCENARIOS(tls) = {
    SLOW("precopy/unix/tls/psk", "live, encrypted with a pre-shared key", UNIX, .tls = &psk),
    ROW("precopy/tcp/tls/psk/match", "over TCP, encrypted with a pre-shared key", TCP, .tls = &psk),
    ROW("precopy/tcp/tls/psk/mismatch", "the sides have different pre-shared keys: must fail", TCP,
        .tls = &psk_mismatch, FAILS),
    ROW("postcopy/tls/psk", "postcopy, encrypted with a pre-shared key", UNIX, .tls = &psk,
        .move = GODWIT_MOVE_POSTCOPY),
    ROW("multifd/tcp/tls/psk/match", "multifd, all channels encrypted with a pre-shared key",
        MULTIFD, .tls = &psk),
    ROW("multifd/tcp/tls/psk/mismatch",
        "multifd, the sides have different pre-shared keys: must fail", MULTIFD,
        .tls = &psk_mismatch, FAILS),

    ROW("precopy/unix/tls/x509/default-host",
        "no host name to check the certificate against: must fail", UNIX, .tls = &no_host, FAILS),
    SLOW("precopy/unix/tls/x509/override-host", "tls-hostname names the host in the certificate",
         UNIX, .tls = &override_host),
    {FIELDS("precopy/tcp/tls/x509/default-host",
            "the certificate matches the host that the source connects to", TCP,
            .tls = &default_host),
     .quick = true},
    SLOW("precopy/tcp/tls/x509/override-host",
         "the certificate is for another host, which tls-hostname names", TCP,
         .tls = &override_host),
    ROW("precopy/tcp/tls/x509/mismatch-host", "the certificate is for another host: must fail", TCP,
        .tls = &mismatch_host, FAILS),
    ROW("precopy/tcp/tls/x509/friendly-client", "tls-authz authorises this source", TCP,
        .tls = &friendly_client),
    ROW("precopy/tcp/tls/x509/hostile-client",
        "tls-authz authorises only another source: must fail", TCP, .tls = &hostile_client,
        REFUSED),
    SLOW("precopy/tcp/tls/x509/allow-anon-client", "a source without a certificate is accepted",
         TCP, .tls = &allow_anon_client),
    ROW("precopy/tcp/tls/x509/reject-anon-client",
        "a source without a certificate is rejected: must fail", TCP, .tls = &reject_anon_client,
        REFUSED),
    OWN("precopy/tcp/tls/x509/stranger-client",
        "the source's certificate is from a forged authority of the same name: must fail", TCP,
        .tls = &stranger_client, REFUSED),

    OWN("precopy/unix/tls/no-tls/destination", "the destination has no TLS: must fail", UNIX,
        .tls = &only_source, FAILS),
    OWN("precopy/unix/tls/no-tls/source", "the source has no TLS: must fail", UNIX,
        .tls = &only_destination, REFUSED),
    OWN("precopy/tcp/tls/no-tls/destination", "over TCP, the destination has no TLS: must fail",
        TCP, .tls = &only_source, FAILS),
    OWN("precopy/tcp/tls/no-tls/source", "over TCP, the source has no TLS: must fail", TCP,
        .tls = &only_destination, REFUSED),
    {
        .name = "multifd/tcp/tls/no-tls/destination",
        .summary = "multifd, the destination has no TLS: must fail",
        .lacks = lacks_recognition,
        .spec = {MULTIFD, .tls = &only_source, FAILS},
    },
    OWN("multifd/tcp/tls/no-tls/source", "multifd, the source has no TLS: must fail",
        MULTIFD_REFUSED, .tls = &only_destination),
    OWN("postcopy/preempt/tls/no-tls/source",
        "postcopy-preempt, the source has no TLS: must fail before the switch", UNIX,
        .capabilities = preempt, .tls = &only_destination, FAILS),

    ROW("multifd/tcp/tls/x509/default-host",
        "multifd, the certificate matches the host that the source connects to", MULTIFD,
        .tls = &default_host),
    SLOW("multifd/tcp/tls/x509/override-host",
         "multifd, the certificate is for another host, which tls-hostname names", MULTIFD,
         .tls = &override_host),
    ROW("multifd/tcp/tls/x509/mismatch-host",
        "multifd, the certificate is for another host: must fail", MULTIFD, .tls = &mismatch_host,
        FAILS),
    SLOW("multifd/tcp/tls/x509/allow-anon-client",
         "multifd, a source without a certificate is accepted", MULTIFD, .tls = &allow_anon_client),
    ROW("multifd/tcp/tls/x509/reject-anon-client",
        "multifd, a source without a certificate is rejected: must fail", MULTIFD_REFUSED,
        .tls = &reject_anon_client),
};
GODWIT_SCENARIOS_END(tls);
