/*
 * Incoming streams that cannot be loaded. Each is given to a destination that would run its guest
 * if it accepted the stream (conformance_trials.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "scenario/conformance_trials.h"

#include <string.h>

/* The version in a stream's header. */
#define STREAM_VERSION 3
/* The byte that ends the sections, and the one that begins the description after them. */
#define SECTION_END         0x00
#define SECTION_DESCRIPTION 0x06

/* Makes data that is not a migration stream, or not one that this QEMU can know. */
static bool make_foreign(struct godwit_trials *trials, GError **error)
{
    static const unsigned char zeros[4096];
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)error;
    godwit_trials_add(trials, "empty stream: refused", "", 0);
    godwit_trials_add(trials, "stream of zeros: refused", zeros, sizeof(zeros));
    godwit_trials_add(trials, "stream of text: refused", text, strlen(text));
    g_autofree unsigned char *changed = g_memdup2(trials->stream, trials->length);
    changed[0] ^= 1;
    godwit_trials_add(trials, "stream with another magic: refused", changed, trials->length);
    changed[0] ^= 1;
    changed[GODWIT_TRIALS_HEADER - 1] = STREAM_VERSION - 1;
    godwit_trials_add(trials, "stream of an older version: refused", changed, trials->length);
    changed[GODWIT_TRIALS_HEADER - 1] = STREAM_VERSION + 1;
    godwit_trials_add(trials, "stream of a newer version: refused", changed, trials->length);
    changed[GODWIT_TRIALS_HEADER - 1] = STREAM_VERSION;
    changed[GODWIT_TRIALS_HEADER] = 0xee;
    godwit_trials_add(trials, "stream with a section of an unknown type: refused", changed,
                      trials->length);
    return true;
}

/* Returns where the description at the end begins, or 0. It is text about the stream and holds
 * nothing of the guest. */
static size_t find_description(const unsigned char *stream, size_t length)
{
    for (size_t at = length - 5; at > GODWIT_TRIALS_HEADER; at--)
        if (stream[at - 1] == SECTION_END && stream[at] == SECTION_DESCRIPTION &&
            godwit_guest_get32(stream + at + 1, true) == length - at - 5)
            return at;
    return 0;
}

/* Returns an offset inside a RAM page, or 0: the mailbox's magic number is in one. */
static size_t find_page(const struct godwit_testbed *testbed, const unsigned char *stream,
                        size_t length)
{
    for (size_t at = GODWIT_TRIALS_HEADER; at + 4 <= length; at++)
        if (godwit_guest_get32(stream + at, testbed->setup->machine->big_endian) ==
            GODWIT_MAILBOX_MAGIC)
            return at;
    return 0;
}

static bool make_cut(struct godwit_trials *trials, GError **error)
{
    const unsigned char *stream = trials->stream;
    const size_t length = trials->length;
    const size_t description = find_description(stream, length);
    const size_t page = find_page(trials->testbed, stream, length);
    if (!description || !page) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the stream of %zu bytes has no %s", length,
                    page ? "description at its end" : "page with the guest's mailbox");
        return false;
    }
    const size_t end = description - 1; /* without the byte that ends the sections */
    const struct {
        const char *where;
        size_t length;
    } cuts[] = {
        {"after 1 byte", 1},
        {"inside the magic", 3},
        {"after the magic", 4},
        {"inside the version", 7},
        {"after the header", GODWIT_TRIALS_HEADER},
        {"inside the configuration", GODWIT_TRIALS_HEADER + 3},
        {"inside the machine's name", GODWIT_TRIALS_HEADER + 8},
        {"after 64 bytes", 64},
        {"after 1000 bytes", 1000},
        {"inside a RAM page", page + 2},
        {"inside the same RAM page, later", page + 100},
        {"after a quarter", end / 4},
        {"in the middle", end / 2},
        {"after three quarters", end / 4 * 3},
        {"in the devices, 1000 bytes before the end", end - 1000},
        {"in the devices, 100 bytes before the end", end - 100},
        {"in the devices, 10 bytes before the end", end - 10},
        {"2 bytes before the end", end - 1},
        {"1 byte before the end", end},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cuts); i++) {
        g_autofree char *name = g_strdup_printf("stream cut %s: refused", cuts[i].where);
        godwit_trials_add(trials, name, stream, cuts[i].length);
    }
    return true;
}

/* Returns another machine type: another version of the same one, or "none" if there is none. */
static const char *other_type(const struct godwit_testbed *testbed)
{
    const char *type = testbed->setup->type;
    const char *dash = strrchr(type, '-');
    const char *other = NULL, *name;
    json_t *unused;
    json_object_foreach(testbed->setup->destination->machines, name, unused)
    {
        if (dash && !strncmp(name, type, (size_t)(dash + 1 - type)) &&
            g_ascii_isdigit(name[dash + 1 - type]) && strcmp(name, type) != 0 &&
            (!other || strcmp(name, other) > 0))
            other = name;
    }
    return other ? other : "none";
}

static bool make_other(struct godwit_trials *trials, GError **error)
{
    (void)error;
    struct godwit_trial *type = godwit_trials_add(trials, "stream of another machine type: refused",
                                                  trials->stream, trials->length);
    type->arguments = g_strdup_printf("-machine %s", other_type(trials->testbed));
    struct godwit_trial *larger = godwit_trials_add(
        trials, "stream of a machine with half the RAM: refused", trials->stream, trials->length);
    larger->arguments = g_strdup_printf("-m %u", 2 * trials->testbed->setup->memory_mib);
    return true;
}

static bool run_foreign(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    (void)scenario;
    return godwit_trials_run(testbed, make_foreign, NULL, NULL, error);
}

static bool run_cut(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                    GError **error)
{
    (void)scenario;
    return godwit_trials_run(testbed, make_cut, NULL, NULL, error);
}

static bool run_other(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    (void)scenario;
    return godwit_trials_run(testbed, make_other, NULL, NULL, error);
}

GODWIT_SCENARIOS(conformance_streams) = {
    {
        .name = "conformance/streams/foreign",
        .summary = "incoming data that is no stream, or a stream of another version",
        .slow = true,
        .run = run_foreign,
        .prepare = godwit_trials_prepare,
        .order = true,
    },
    {
        .name = "conformance/streams/cut",
        .summary = "incoming streams that end too early",
        .slow = true,
        .run = run_cut,
        .prepare = godwit_trials_prepare,
        .order = true,
    },
    {
        .name = "conformance/streams/other-machine",
        .summary = "an incoming stream from another machine type, and from another RAM size",
        .slow = true,
        .run = run_other,
        .prepare = godwit_trials_prepare,
        .order = true,
    },
};
GODWIT_SCENARIOS_END(conformance_streams);
