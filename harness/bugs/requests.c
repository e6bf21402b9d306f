/*
 * Known bugs of requests (QMP commands) that QEMU handles wrongly.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

/* QEMU accepts these two parameters but neither checks nor stores them. */
static bool is_ignored_level(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->parameter, "multifd-zlib-level") != 0 &&
        strcmp(symptom->parameter, "multifd-zstd-level") != 0)
        return false;
    *seen = g_strdup_printf("%s was set to %s, but is still %s", symptom->parameter, symptom->value,
                            symptom->state);
    return true;
}

/* QEMU passes the port to getaddrinfo() as text, and glibc takes it modulo 65536. */
static bool is_wrapped_port(const struct godwit_symptom *symptom, char **seen)
{
    if (symptom->port <= UINT16_MAX)
        return false;
    *seen = g_strdup_printf("asked to connect to port %u, QEMU connected to port %u", symptom->port,
                            symptom->port % (UINT16_MAX + 1u));
    return true;
}

/* A destination changes to state "setup" before it tries to listen, and stays there on failure. */
static bool is_stuck_incoming(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "Illegal migration incoming state: setup");
}

/* A destination that does not know the first bytes of a connection prints that, and forgets it. */
static bool is_unknown_channel(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return g_regex_match_simple(
        "^(?:\\S*qemu-(?:system-\\w+|kvm): )?unknown channel magic: [0-9]+$", symptom->text,
        G_REGEX_RAW, 0);
}

/* QEMU uses the address of the main channel without checking that there is one. */
static bool is_channels_crash(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *source = symptom->source;
    if (!godwit_bug_was_killed(source, SIGSEGV))
        return false;
    g_autofree char *end = godwit_vm_end(source);
    *seen = g_strdup_printf("the %s's QEMU %s", source->name, end);
    return true;
}

/* QEMU sends announcements by the host's clock, whether the guest runs or not. The network layer
 * keeps the frames of a stopped machine, and sends all of them at once when it runs again. One that
 * was due after that is not early by this bug. */
static bool is_kept_announcement(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return godwit_vm_has_argument(symptom->vm, "-S") &&
           symptom->last <= (uint64_t)MAX(symptom->ms, 0);
}

/* QEMU checks the list of channels for one for CPR, but not an address that is no list. */
static bool is_channel_assertion(const struct godwit_symptom *symptom, char **seen)
{
    if (!godwit_bug_was_killed(symptom->source, SIGABRT))
        return false;
    *seen = godwit_bug_find_line(symptom->source,
                                 "^ERROR:\\S*/cpr\\.c:[0-9]+:cpr_state_save: assertion failed: "
                                 "\\(channel\\)$");
    return *seen != NULL;
}

/* QEMU leaves all RAM out of the stream, whether its successor will have it or not. */
static bool is_private_exec(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "cpr-exec") != 0 || symptom->first >= symptom->last / 8)
        return false;
    *seen = g_strdup_printf("the source accepted cpr-exec with RAM that is not shared, and wrote "
                            "%" PRIu64 " bytes of state for %" PRIu64 " bytes of RAM",
                            symptom->first, symptom->last);
    return true;
}

/* QEMU writes to the image while it resizes it, although the node is inactive. */
static bool is_inactive_resize(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->text, "block_resize") != 0 ||
        !godwit_bug_was_killed(symptom->source, SIGABRT))
        return false;
    *seen = godwit_bug_find_line(symptom->source, "Assertion `!\\(bs->open_flags & "
                                                  "BDRV_O_INACTIVE\\)' failed");
    return *seen != NULL;
}

const struct godwit_bug godwit_bugs_requests[] = {
    {
        .id = "multifd-level-ignored",
        .summary = "setting multifd-zlib-level or multifd-zstd-level has no effect and no error",
        .reference = "fixed in QEMU 10.0 at the latest, where they are checked and set",
        .kind = GODWIT_SYMPTOM_LEVEL,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_ignored_level,
    },
    {
        .id = "tcp-port-wraps",
        .summary = "a TCP port above 65535 is taken modulo 65536 instead of being refused",
        .reference = "not known to be fixed in any release",
        .kind = GODWIT_SYMPTOM_PORT,
        .strikes = 1,
        .runs = 1,
        .matches = is_wrapped_port,
    },
    {
        .id = "incoming-stuck",
        .summary = "a destination that could not listen on one address accepts no other one",
        .reference = "not in 7.2; not known to be fixed in any release",
        .kind = GODWIT_SYMPTOM_INCOMING,
        .role = GODWIT_BUG_DESTINATION,
        .since = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_stuck_incoming,
    },
    {
        .id = "incoming-no-reason",
        .summary =
            "a destination that fails because of a connection's first bytes reports no reason",
        .reference = "measured in QEMU 11.1, and not in 10.0",
        .kind = GODWIT_SYMPTOM_NO_REASON,
        .role = GODWIT_BUG_DESTINATION,
        .since = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_unknown_channel,
    },
    {
        .id = "no-main-channel",
        .summary = "`migrate` with a list of channels without a main one crashes QEMU",
        .reference = "not in 7.2, which has no channels; not known to be fixed in any release",
        .kind = GODWIT_SYMPTOM_CHANNELS,
        .since = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_channels_crash,
    },
    {
        .id = "announce-paused",
        .summary =
            "the announcements of a guest that arrives paused are sent all at once by `cont`",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_ANNOUNCED,
        .role = GODWIT_BUG_DESTINATION,
        .strikes = 27,
        .runs = 27,
        .matches = is_kept_announcement,
    },
    {
        .id = "cpr-transfer-uri",
        .summary = "cpr-transfer to an address in `uri` aborts QEMU",
        .reference = "measured in QEMU 11.1; 10.0 refuses it",
        .kind = GODWIT_SYMPTOM_NO_CPR_CHANNEL,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_channel_assertion,
    },
    {
        .id = "inactive-resize",
        .summary = "block_resize of a disk that was handed over aborts QEMU",
        .reference = "measured in QEMU 7.2; 10.0 and 11.1 refuse it",
        .kind = GODWIT_SYMPTOM_INACTIVE,
        .role = GODWIT_BUG_SOURCE,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_inactive_resize,
    },
    {
        .id = "cpr-exec-private",
        .summary = "cpr-exec is not refused for RAM that is not shared, and loses it",
        .reference = "measured in QEMU 11.1; cpr-transfer is refused",
        .kind = GODWIT_SYMPTOM_PRIVATE_RAM,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_private_exec,
    },
    {.id = NULL},
};
