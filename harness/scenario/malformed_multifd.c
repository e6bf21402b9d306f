/*
 * Malformed data on the channels of multifd: the relay changes one thing in the first packet of a
 * channel, in a packet of pages, or in the data that follows it. The destination must refuse it
 * with a reason and end, and never run its guest. The source's guest survives, and goes elsewhere.
 *
 * The guest is stopped before the migration, so that each page is sent once. The relay reads the
 * channels item by item, as `godwit stream` does, and changes the first item that fits.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "bugs/bugs.h"
#include "scenario/channels.h"
#include "scenario/yank.h"

#include <inttypes.h>
#include <string.h>

#define CHANNELS 2
/* The channel whose first packet is changed. */
#define VICTIM 1

/* A destination that has not ended so many seconds after the change is asked why, and may be in a
 * known bug: the thread that loads waits for a channel that has failed. */
#define END_SECONDS 3

/* What is changed. */
enum target {
    TARGET_FIRST,  /* the first packet of channel VICTIM */
    TARGET_PACKET, /* a packet with pages that are not zero */
    TARGET_ZEROES, /* a packet that has only zero pages */
    TARGET_DATA,   /* the data of a packet with pages that are not zero */
};

/* How it is changed. */
enum way {
    WAY_SET,    /* WIDTH bytes at AT become VALUE */
    WAY_FLIP,   /* they become what they are not, bit by bit, where VALUE has a 1 */
    WAY_FILL,   /* each of WIDTH bytes at AT becomes VALUE */
    WAY_CUT,    /* the connection ends AT bytes later */
    WAY_HALVE,  /* only the first half of the data is sent, and the packet says so */
    WAY_FRAMES, /* as many empty frames of zstd as the packet has pages are sent instead */
};

struct damage {
    enum target target;
    enum way way;
    size_t at, width;
    uint64_t value;
};

/* The pages that a packet has room for: 512 KiB of them. */
#define ROOM 128

/* An empty frame of zstd (RFC 8878): its magic, a header that announces 0 bytes, and a last block
 * that is empty. */
static const uint8_t empty_frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00};

struct row {
    const char *compression; /* multifd-compression; NULL: none */
    struct damage damage;
};

/* What is known of a channel. */
struct progress {
    bool follows;   /* the data of a packet that is damaged comes next */
    uint32_t pages; /* of the packet that is kept, to be sent with its data */
};

struct godwit_scenario_state {
    const struct damage *damage;
    struct godwit_channels *channels; /* owned */
    char *done;                       /* what was changed; NULL: nothing yet */
    struct godwit_vm *source, *destination;
};

static void clear_state(struct godwit_scenario_state *state)
{
    g_clear_pointer(&state->channels, godwit_channels_free);
    g_clear_pointer(&state->done, g_free);
}

static void note_done(struct godwit_scenario_state *state, const struct godwit_channel *channel,
                      const struct godwit_stream_item *item)
{
    const struct damage *damage = state->damage;
    static const char *const ways[] = {[WAY_SET] = "set",
                                       [WAY_FLIP] = "flipped bits of",
                                       [WAY_FILL] = "filled",
                                       [WAY_CUT] = "cut the connection after",
                                       [WAY_HALVE] = "sent only half of",
                                       [WAY_FRAMES] = "sent empty frames instead of"};
    state->done =
        g_strdup_printf("%s bytes %zu to %zu of a %s at 0x%" PRIx64 " on channel %u",
                        ways[damage->way], damage->at, damage->at + damage->width,
                        godwit_stream_kind_name(item->kind), item->offset, channel->number);
}

/* Changes the bytes of an item, and sends them. */
static void strike(struct godwit_scenario_state *state, struct godwit_channel *channel,
                   const struct godwit_stream_item *item)
{
    const struct damage *damage = state->damage;
    g_autofree uint8_t *bytes = g_memdup2(item->bytes, item->length);
    const size_t width = MIN(damage->width, item->length - MIN(damage->at, item->length));
    uint8_t *at = bytes + MIN(damage->at, item->length);
    note_done(state, channel, item);
    switch (damage->way) {
    case WAY_SET:
        godwit_bytes_set(at, width, damage->value);
        break;
    case WAY_FLIP:
        for (size_t i = 0; i < width; i++)
            at[i] ^= (uint8_t)(damage->value >> 8 * (width - 1 - i));
        break;
    case WAY_FILL:
        memset(at, (int)damage->value, width);
        break;
    default:
        godwit_flow_send(channel->flow, bytes, MIN(damage->at, item->length));
        godwit_flow_cut(channel->flow);
        return;
    }
    godwit_flow_send(channel->flow, bytes, item->length);
}

/* Sends the packet that was kept with other data than it came with. */
static void replace(struct godwit_scenario_state *state, struct godwit_channel *channel,
                    const struct godwit_stream_item *item)
{
    const struct progress *progress = channel->own;
    g_autoptr(GByteArray) data = g_byte_array_new();
    note_done(state, channel, item);
    if (state->damage->way == WAY_HALVE)
        g_byte_array_append(data, item->bytes, (guint)item->length / 2);
    else
        for (uint32_t i = 0; i < progress->pages; i++)
            g_byte_array_append(data, empty_frame, sizeof(empty_frame));
    godwit_bytes_set(channel->kept->data + GODWIT_MULTIFD_DATA, 4, data->len);
    godwit_channel_send_kept(channel);
    godwit_flow_send(channel->flow, data->data, data->len);
}

/* Returns whether the damage replaces the data of a packet, and so a number in the packet. */
static bool replaces(const struct damage *damage)
{
    return damage->way == WAY_HALVE || damage->way == WAY_FRAMES;
}

/* Returns whether the item is the one to change. */
static bool is_due(const struct damage *damage, const struct godwit_channel *channel,
                   const struct godwit_stream_item *item)
{
    struct progress *progress = channel->own;
    switch (damage->target) {
    case TARGET_FIRST:
        return item->kind == GODWIT_STREAM_MULTIFD_INIT && channel->number == VICTIM;
    case TARGET_PACKET:
        return item->kind == GODWIT_STREAM_MULTIFD_PACKET && item->pages > 0;
    case TARGET_ZEROES:
        return item->kind == GODWIT_STREAM_MULTIFD_PACKET && !item->pages && item->zero_pages > 0;
    case TARGET_DATA:
        break;
    }
    if (item->kind == GODWIT_STREAM_MULTIFD_PACKET)
        progress->follows = item->pages > 0;
    return progress->follows && item->kind != GODWIT_STREAM_MULTIFD_PACKET &&
           (item->kind == GODWIT_STREAM_MULTIFD_DATA || item->length > 0);
}

/* Sends each item, one of them changed. */
static void take(struct godwit_channel *channel, const struct godwit_stream_item *item,
                 gpointer data)
{
    struct godwit_scenario_state *state = data;
    const struct damage *damage = state->damage;
    struct progress *progress = channel->own;
    if (state->done) {
        godwit_channel_send_kept(channel);
        godwit_flow_send(channel->flow, item->bytes, item->length);
    } else if (replaces(damage) && item->kind == GODWIT_STREAM_MULTIFD_PACKET && item->pages) {
        g_byte_array_append(channel->kept, item->bytes, (guint)item->length);
        progress->pages = item->pages;
    } else if (channel->kept->len && item->kind == GODWIT_STREAM_MULTIFD_DATA) {
        replace(state, channel, item);
    } else if (!replaces(damage) && is_due(damage, channel, item)) {
        strike(state, channel, item);
    } else {
        godwit_flow_send(channel->flow, item->bytes, item->length);
    }
}

static const struct godwit_capability on[] = {{"multifd", true}, {NULL, false}};

/* Turns multifd on, with the row's compression. */
static bool configure(struct godwit_vm *vm, const struct row *row, GError **error)
{
    const struct godwit_parameter parameters[] = {
        {"multifd-channels", CHANNELS, NULL},
        {"multifd-compression", 0, row->compression ? row->compression : "none"},
        {NULL, 0, NULL}};
    return godwit_migrate_set_capabilities(vm, on, error) &&
           godwit_migrate_set_parameters(vm, parameters, error);
}

/* Starts the migration of a stopped guest through a relay that damages it. */
static bool start(struct godwit_testbed *testbed, const struct row *row, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_vm *source = state->source, *destination = state->destination;
    if (!godwit_vm_handshake(destination, error) || !godwit_course_stop(source, error) ||
        !configure(source, row, error) || !configure(destination, row, error) ||
        !godwit_migrate_unthrottle(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    state->channels =
        godwit_channels_new(source, destination, take, sizeof(struct progress), state, error);
    if (!state->channels)
        return false;
    destination->may_exit = true;
    destination->console->fault_provoked = true;
    return godwit_migrate_start(source, godwit_channels_uri(state->channels), false, error);
}

/* Condition: the relay has changed something, or nothing more will come. */
static bool is_struck(gpointer data)
{
    const struct godwit_scenario_state *state = data;
    return state->done || godwit_migrate_is_loaded(state->destination);
}

/* Records that the destination refused the damage with REASON, or, if that is "", that a known bug
 * keeps it from that. */
static void note_outcome(struct godwit_testbed *testbed, const char *reason)
{
    godwit_testbed_measure(testbed, "trial",
                           *reason ? json_pack("{s:{}, s:s}", "seen", "refused", reason)
                                   : json_pack("{s:{}, s:s}", "seen", "why",
                                               "a known bug keeps the destination from it"));
}

/* Fails unless the destination ends in time, with an error and a reason. */
static bool judge_refusal(struct godwit_testbed *testbed, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_vm *destination = state->destination;
    g_autoptr(GError) late = NULL;
    if (!godwit_testbed_wait(testbed, is_struck, state, "the relay to change something", error))
        return false;
    const gint64 deadline = godwit_testbed_limit(testbed, END_SECONDS);
    const bool ended = godwit_testbed_wait(testbed, godwit_migrate_is_loaded, destination,
                                           "the destination to end", &late);
    testbed->deadline = deadline;
    godwit_testbed_measure(testbed, "fault", state->done ? json_string(state->done) : json_null());
    if (!ended && late->code != GODWIT_ERROR_TIMEOUT) {
        g_propagate_error(error, g_steal_pointer(&late));
        return false;
    }
    /* A source that has failed, and hangs by a known bug, keeps the connection that the destination
     * reads from. */
    bool stuck = false;
    if (!ended && !strcmp(godwit_migrate_reported_state(state->source), "failed") &&
        !godwit_yank_await_over(state->source, &stuck, error))
        return false;
    if (stuck)
        godwit_wire_hang_up(testbed->wire);
    if (!state->done)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source sent nothing that the relay could change");
    if (ended && !destination->exited)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "the relay %s, and the destination took the stream", state->done);
    const bool numbered =
        state->damage->target == TARGET_FIRST && state->damage->at == GODWIT_MULTIFD_CHANNEL;
    g_autoptr(GError) wrong = NULL;
    if (!godwit_course_refused(destination, &wrong)) {
        if (godwit_bug_explain(
                &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_LOAD,
                                               .source = state->source,
                                               .destination = destination,
                                               .text = numbered ? "channel number" : NULL,
                                               .failure = wrong})) {
            note_outcome(testbed, "");
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&wrong));
        godwit_error_context(error, "the relay %s", state->done);
        return false;
    }
    g_autofree char *reason = godwit_vm_reason(destination);
    note_outcome(testbed, reason);
    return *reason || !destination->exited ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the relay %s, and the destination ended without a message", state->done);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct row *row = scenario->data;
    const struct godwit_spec elsewhere = {
        .transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_STOPPED, .capabilities = on};
    struct godwit_scenario_state *state = testbed->state;
    state->damage = &row->damage;
    testbed->oob = true;
    state->destination = godwit_course_ahead(testbed, "destination", false, error);
    struct godwit_vm *second =
        state->destination ? godwit_course_ahead(testbed, "second", true, error) : NULL;
    state->source = second ? godwit_course_source(testbed, error) : NULL;
    if (!state->source || !start(testbed, row, error) || !judge_refusal(testbed, error))
        return false;
    /* A destination that hangs keeps its connections, and the source waits for it. */
    godwit_wire_hang_up(testbed->wire);
    godwit_testbed_phase(testbed, GODWIT_PHASE_SURVIVE);
    /* A source that has completed lists no migration any more. */
    bool stuck = false;
    if (!godwit_course_take_back(state->source, true, error) ||
        !godwit_yank_await_over(state->source, &stuck, error) || stuck)
        return stuck;
    return godwit_vm_handshake(second, error) && configure(second, row, error) &&
           godwit_course_move(testbed, &elsewhere, state->source, second, error);
}

/* Makes the window 512 pages, as for relay/: the rest of RAM is zero. */
static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = workload->window_start + 512 * (uint64_t)workload->page_size;
}

#define ROW_OF(NAME, SUMMARY, COMPRESSION, NEEDS, ...)                                             \
    {                                                                                              \
        .name = "malformed/multifd/" NAME, .summary = SUMMARY, .run = run, .slow = true,           \
        .prepare = prepare, .state = sizeof(struct godwit_scenario_state), .clear = clear_state,   \
        .needs = "capability:multifd parameter:multifd-compression" NEEDS,                         \
        .data = &(const struct row){COMPRESSION, {__VA_ARGS__}},                                   \
    }
#define PLAIN(NAME, SUMMARY, ...) ROW_OF(NAME, SUMMARY, NULL, "", __VA_ARGS__)
/* With each compressor of pages. */
#define PACKED(NAME, SUMMARY, ...)                                                                 \
    ROW_OF("zlib/" NAME, "zlib: " SUMMARY, "zlib", "", __VA_ARGS__),                               \
        ROW_OF("zstd/" NAME, "zstd: " SUMMARY, "zstd", "", __VA_ARGS__)
/* Zero pages are sent as such over the channels. */
#define ZEROES(NAME, SUMMARY, COMPRESSION, ...)                                                    \
    ROW_OF(NAME, SUMMARY, COMPRESSION, " parameter:zero-page-detection", TARGET_ZEROES, __VA_ARGS__)

GODWIT_SCENARIOS(malformed_multifd) = {
    PLAIN("first/magic", "a channel's first packet has another magic", TARGET_FIRST, WAY_FLIP,
          GODWIT_MULTIFD_MAGIC, 4, 0x100),
    PLAIN("first/foreign", "a connection that is neither main nor multifd", TARGET_FIRST, WAY_FILL,
          0, GODWIT_MULTIFD_FIRST_SIZE, 'G'),
    PLAIN("first/version", "a channel's first packet has another version", TARGET_FIRST, WAY_SET,
          GODWIT_MULTIFD_VERSION, 4, 2),
    PLAIN("first/uuid", "a channel's first packet has another UUID", TARGET_FIRST, WAY_FLIP,
          GODWIT_MULTIFD_UUID, 8, 1),
    PLAIN("first/number", "a channel's number is 255", TARGET_FIRST, WAY_SET,
          GODWIT_MULTIFD_CHANNEL, 1, 255),
    PLAIN("first/number-next", "a channel's number is one too large", TARGET_FIRST, WAY_SET,
          GODWIT_MULTIFD_CHANNEL, 1, CHANNELS),
    PLAIN("first/twice", "two channels have the same number", TARGET_FIRST, WAY_SET,
          GODWIT_MULTIFD_CHANNEL, 1, 0),
    PLAIN("first/cut", "a channel ends in its first packet", TARGET_FIRST, WAY_CUT, 20, 0, 0),
    PLAIN("packet/magic", "a packet has another magic", TARGET_PACKET, WAY_FLIP,
          GODWIT_MULTIFD_MAGIC, 4, 0x100),
    PLAIN("packet/version", "a packet has another version", TARGET_PACKET, WAY_SET,
          GODWIT_MULTIFD_VERSION, 4, 2),
    PLAIN("packet/flags", "a packet has the flag of a compressor", TARGET_PACKET, WAY_SET,
          GODWIT_MULTIFD_FLAGS, 4, 2),
    PLAIN("packet/room", "a packet has room for 4294967295 pages", TARGET_PACKET, WAY_SET,
          GODWIT_MULTIFD_ROOM, 4, UINT32_MAX),
    PLAIN("packet/page-size", "a packet has room for twice the pages, as if they were smaller",
          TARGET_PACKET, WAY_SET, GODWIT_MULTIFD_ROOM, 4, 2 * ROOM),
    PLAIN("packet/pages", "a packet has more pages than room for them", TARGET_PACKET, WAY_SET,
          GODWIT_MULTIFD_PAGES, 4, 1u << 20),
    PLAIN("packet/block", "a packet names a RAM block that does not exist", TARGET_PACKET, WAY_SET,
          GODWIT_MULTIFD_BLOCK, 8, 0x6e6f626f64790000),
    PLAIN("packet/block-end", "the name of a packet's RAM block has no end", TARGET_PACKET,
          WAY_FILL, GODWIT_MULTIFD_BLOCK, GODWIT_MULTIFD_BLOCK_SIZE, 'x'),
    PLAIN("packet/offset", "a packet has a page far beyond the RAM block", TARGET_PACKET, WAY_SET,
          GODWIT_MULTIFD_OFFSETS, 8, (uint64_t)1 << 62),
    PLAIN("packet/offset-negative", "a packet has a page at the last offset of 64 bits",
          TARGET_PACKET, WAY_SET, GODWIT_MULTIFD_OFFSETS, 8, UINT64_MAX - 4095),
    PLAIN("packet/cut", "a channel ends in a packet", TARGET_PACKET, WAY_CUT, 100, 0, 0),
    PLAIN("packet/cut-head", "a channel ends in the first bytes of a packet", TARGET_PACKET,
          WAY_CUT, 7, 0, 0),
    PLAIN("data/cut", "a channel ends in a page", TARGET_DATA, WAY_CUT, 1000, 0, 0),
    PACKED("flags", "a packet has the flag of another compressor", TARGET_PACKET, WAY_FLIP,
           GODWIT_MULTIFD_FLAGS, 4, 6),
    PACKED("length", "a packet has more data than the destination has room for", TARGET_PACKET,
           WAY_SET, GODWIT_MULTIFD_DATA, 4, 0x7fffffff),
    PACKED("length-0", "a packet has pages, but no data", TARGET_PACKET, WAY_SET,
           GODWIT_MULTIFD_DATA, 4, 0),
    PACKED("data", "the data of a packet is broken", TARGET_DATA, WAY_FILL, 0, 64, 0xff),
    PACKED("data/half", "a packet has only half of its data", TARGET_DATA, WAY_HALVE, 0, 0, 0),
    PACKED("data/cut", "a channel ends in the data of a packet", TARGET_DATA, WAY_CUT, 10, 0, 0),
    ROW_OF("zstd/data/frames", "zstd: the frames of a packet are empty", "zstd", "", TARGET_DATA,
           WAY_FRAMES, 0, 0, 0),
    ZEROES("zeroes/number", "a packet has more zero pages than room for them", NULL, WAY_SET,
           GODWIT_MULTIFD_ZEROES, 4, 1u << 20),
    ZEROES("zeroes/offset", "a packet has a zero page far beyond the RAM block", NULL, WAY_SET,
           GODWIT_MULTIFD_OFFSETS, 8, (uint64_t)1 << 62),
    ZEROES("zlib/zeroes/length", "zlib: a packet of zero pages has data", "zlib", WAY_SET,
           GODWIT_MULTIFD_DATA, 4, 1),
    ZEROES("zstd/zeroes/length", "zstd: a packet of zero pages has data", "zstd", WAY_SET,
           GODWIT_MULTIFD_DATA, 4, 1),
};
GODWIT_SCENARIOS_END(malformed_multifd);
