/*
 * Pages that come over a multifd channel in a well-formed packet, but not as the source sent them:
 * one changed, left out, made zero, or sent as another one. No destination can know, so it must
 * load them; the comparison with the source must find them, and so must the guest. A relay that
 * changes nothing is the control.
 *
 * The guest is stopped before the migration, so that each page is sent once. The relay keeps a
 * packet until all of its pages have come, because it chooses by what they hold: a guest that reads
 * only the first byte of a page would not notice another page with the same one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/bytes.h"
#include "memory/memory.h"
#include "oracle/ledger.h"
#include "oracle/oracle.h"
#include "scenario/channels.h"
#include "scenario/scenario.h"

#include <inttypes.h>
#include <string.h>

#define CHANNELS 2

enum fault { FAULT_NONE, FAULT_FLIP, FAULT_DROP, FAULT_ZERO, FAULT_SWAP, FAULT_OFFSET };

/* What the relay does, in the words around the page. */
static const struct {
    const char *before, *after;
} deeds[] = {
    [FAULT_NONE] = {"passed", " on unchanged"},
    [FAULT_FLIP] = {"flipped a bit of the first byte of", ""},
    [FAULT_DROP] = {"dropped", ""},
    [FAULT_ZERO] = {"sent a zero page instead of", ""},
    [FAULT_SWAP] = {"exchanged", " with a later one"},
    [FAULT_OFFSET] = {"sent a later page as", ""},
};

/* The packet that a channel keeps, and then its pages as they come. */
struct packet {
    size_t length;            /* of the packet itself; 0: none is kept */
    uint32_t whole, zeroes;   /* its pages that hold something, and that are zero */
    uint32_t came, page_size; /* how many of them have come, and the size of one */
    bool in_window;           /* they are of the RAM block with the window */
};

struct godwit_scenario_state {
    enum fault fault;
    struct godwit_channels *channels; /* owned */
    const char *block;                /* the RAM block with the window; static */
    uint64_t start, end;              /* the window in it */
    uint64_t busy;                    /* the page in it that the guest may have checked already */
    uint64_t guest_page;              /* the size of the guest's pages */
    char *done;    /* what the relay did, after "the relay"; owned, NULL: nothing yet */
    char *differs; /* what the twin has found; owned, NULL: nothing */
    struct godwit_vm *source, *destination;
};

static void clear_state(struct godwit_scenario_state *state)
{
    g_clear_pointer(&state->channels, godwit_channels_free);
    g_clear_pointer(&state->done, g_free);
    g_clear_pointer(&state->differs, g_free);
}

static uint8_t *offset_at(const struct godwit_channel *channel, uint32_t page)
{
    return channel->kept->data + GODWIT_MULTIFD_OFFSETS + 8 * (size_t)page;
}

static uint64_t offset_of(const struct godwit_channel *channel, uint32_t page)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < 8; i++)
        offset = offset << 8 | offset_at(channel, page)[i];
    return offset;
}

/* Returns where the contents of a page are in what is kept. */
static size_t place_of(const struct godwit_channel *channel, uint32_t page)
{
    const struct packet *packet = channel->own;
    return packet->length + (size_t)page * packet->page_size;
}

static uint8_t *first_byte(const struct godwit_channel *channel, uint32_t page)
{
    return channel->kept->data + place_of(channel, page);
}

/* Returns whether the guest would notice if the page were zero: it will check its first byte. */
static bool is_target(const struct godwit_scenario_state *state,
                      const struct godwit_channel *channel, uint32_t page)
{
    const struct packet *packet = channel->own;
    const uint64_t offset = offset_of(channel, page);
    const bool busy = state->busy - offset < packet->page_size;
    return offset >= state->start && offset < state->end && !busy &&
           (offset - state->start) % state->guest_page == 0 && *first_byte(channel, page) != 0;
}

/* Returns the next target from page FIRST on whose first byte is not BYTE, or the number of pages.
 */
static uint32_t next_target(const struct godwit_scenario_state *state,
                            const struct godwit_channel *channel, uint32_t first, uint8_t byte)
{
    const struct packet *packet = channel->own;
    while (first < packet->whole &&
           (!is_target(state, channel, first) || *first_byte(channel, first) == byte))
        first++;
    return first;
}

/* Takes the contents of a page out of the packet; its offset is left. */
static void take_out(struct godwit_channel *channel, uint32_t page)
{
    struct packet *packet = channel->own;
    g_byte_array_remove_range(channel->kept, (guint)place_of(channel, page), packet->page_size);
    packet->whole--;
    godwit_bytes_set(channel->kept->data + GODWIT_MULTIFD_PAGES, 4, packet->whole);
    godwit_bytes_set(channel->kept->data + GODWIT_MULTIFD_DATA, 4,
                     channel->kept->len - packet->length);
}

/* Moves the offset of a page behind that of page LAST. */
static void move_behind(struct godwit_channel *channel, uint32_t page, uint32_t last)
{
    const uint64_t offset = offset_of(channel, page);
    memmove(offset_at(channel, page), offset_at(channel, page + 1), 8 * (size_t)(last - page));
    godwit_bytes_set(offset_at(channel, last), 8, offset);
}

/* Changes the packet that is kept, if it has pages for the fault. */
static void strike(struct godwit_scenario_state *state, struct godwit_channel *channel)
{
    const struct packet *packet = channel->own;
    const bool two = state->fault == FAULT_SWAP || state->fault == FAULT_OFFSET;
    const uint32_t page = next_target(state, channel, 0, 0);
    /* A packet that lost its only page would be of another kind. */
    if (page == packet->whole || packet->whole < 2)
        return;
    const uint32_t other = next_target(state, channel, page + 1, *first_byte(channel, page));
    if (two && other == packet->whole)
        return;
    const uint64_t offset = offset_of(channel, page);
    state->done = g_strdup_printf("%s the page at 0x%" PRIx64 " of RAM block %s%s, on channel %u",
                                  deeds[state->fault].before, offset, state->block,
                                  deeds[state->fault].after, channel->number);
    switch (state->fault) {
    case FAULT_NONE:
        break;
    case FAULT_FLIP:
        *first_byte(channel, page) ^= 0x10;
        break;
    case FAULT_DROP:
        move_behind(channel, page, packet->whole + packet->zeroes - 1);
        take_out(channel, page);
        break;
    case FAULT_ZERO:
        move_behind(channel, page, packet->whole - 1);
        take_out(channel, page);
        godwit_bytes_set(channel->kept->data + GODWIT_MULTIFD_ZEROES, 4, packet->zeroes + 1);
        break;
    case FAULT_SWAP:
        godwit_bytes_set(offset_at(channel, page), 8, offset_of(channel, other));
        godwit_bytes_set(offset_at(channel, other), 8, offset);
        break;
    case FAULT_OFFSET:
        godwit_bytes_set(offset_at(channel, other), 8, offset);
        break;
    }
}

/* Keeps packets until their pages have come, and sends them, one changed. */
static void take(struct godwit_channel *channel, const struct godwit_stream_item *item,
                 gpointer data)
{
    struct godwit_scenario_state *state = data;
    struct packet *packet = channel->own;
    if (item->kind == GODWIT_STREAM_MULTIFD_PACKET && item->pages > 0 && !state->done)
        *packet = (struct packet){.length = item->length,
                                  .whole = item->pages,
                                  .zeroes = item->zero_pages,
                                  .in_window = !strcmp(item->name, state->block)};
    g_byte_array_append(channel->kept, item->bytes, (guint)item->length);
    if (packet->length && item->kind == GODWIT_STREAM_PAGE) {
        packet->page_size = MAX(packet->page_size, (uint32_t)item->length);
        packet->came++;
    }
    if (packet->came < packet->whole + packet->zeroes)
        return;
    if (packet->length && packet->in_window && !state->done)
        strike(state, channel);
    *packet = (struct packet){0};
    godwit_channel_send_kept(channel);
}

/* Learns where the window is, and where in it the guest has stopped. */
static bool find_window(struct godwit_scenario_state *state, GError **error)
{
    const struct godwit_workload *workload = &state->source->testbed->setup->workload;
    g_autoptr(GArray) parts = godwit_memory_window(state->source, error);
    struct godwit_mailbox mailbox;
    if (!parts || !godwit_memory_mailbox(state->source, 0, &mailbox, error))
        return false;
    const struct godwit_part *part = &g_array_index(parts, struct godwit_part, 0);
    state->block = g_intern_string(part->block->name);
    state->start = part->offset;
    state->end = part->offset + part->length;
    state->busy = part->offset + (mailbox.position - workload->window_start);
    state->guest_page = workload->page_size;
    return true;
}

static const struct godwit_capability on[] = {{"multifd", true}, {NULL, false}};

static bool configure(struct godwit_vm *vm, GError **error)
{
    static const struct godwit_parameter channels[] = {{"multifd-channels", CHANNELS, NULL},
                                                       {NULL, 0, NULL}};
    return godwit_migrate_set_capabilities(vm, on, error) &&
           godwit_migrate_set_parameters(vm, channels, error);
}

/* Condition: the source's migration is over, and the destination has loaded everything or ended. */
static bool has_ended(gpointer data)
{
    const struct godwit_scenario_state *state = data;
    return state->destination->exited ||
           (godwit_migrate_is_over(state->source) &&
            !strcmp(godwit_migrate_reported_state(state->destination), "completed"));
}

/* Migrates the stopped guest through the relay. */
static bool migrate(struct godwit_testbed *testbed, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    struct godwit_vm *source = state->source, *destination = state->destination;
    if (!godwit_vm_handshake(destination, error) || !godwit_course_stop(source, error) ||
        !find_window(state, error) || !configure(source, error) || !configure(destination, error) ||
        !godwit_migrate_unthrottle(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    state->channels =
        godwit_channels_new(source, destination, take, sizeof(struct packet), state, error);
    if (!state->channels)
        return false;
    testbed->fault_injected = destination->console->fault_provoked = state->fault != FAULT_NONE;
    if (!godwit_migrate_start(source, godwit_channels_uri(state->channels), false, error) ||
        !godwit_testbed_wait(testbed, has_ended, state, "the migration to end", error))
        return false;
    if (!state->done)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source sent no packet with pages of the window that the relay "
                           "could change");
    g_autofree char *text = g_strconcat("the relay ", state->done, NULL);
    godwit_testbed_measure(testbed, "fault", json_string(text));
    return !destination->exited ||
           godwit_fail(error, GODWIT_ERROR_ORACLE, "%s, and the destination ended", text);
}

/* Compares the destination's memory with the source's: what the relay changed must differ, and
 * nothing else. */
static bool judge_memory(struct godwit_scenario_state *state, GError **error)
{
    struct godwit_reading reading = {0};
    g_autoptr(GError) wrong = NULL;
    godwit_testbed_phase(state->source->testbed, GODWIT_PHASE_VERIFY);
    if (godwit_oracle_twin(state->source, state->destination, &reading, &wrong))
        return state->fault == FAULT_NONE ||
               godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "the relay %s, and all bytes of both sides are equal", state->done);
    if (state->fault == FAULT_NONE || wrong->code != GODWIT_ERROR_ORACLE ||
        godwit_oracle_accused(state->source->testbed) != GODWIT_ORACLE_TWIN) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    state->differs = g_strdup(wrong->message);
    return true;
}

/* Records who has noticed the fault, once everybody has. */
static void note_outcome(const struct godwit_scenario_state *state)
{
    json_t *trial = state->fault == FAULT_NONE
                        ? json_pack("{s:{}, s:s}", "seen", "why", "nothing was changed")
                        : json_pack("{s:{s:s, s:s}}", "seen", "twin", state->differs, "guest",
                                    "the guest reports a fault");
    godwit_testbed_measure(state->source->testbed, "trial", trial);
}

static bool has_noticed(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->console->guest_fault;
}

/* Lets the destination run: its guest must notice what the relay changed, or make a pass. */
static bool judge_guest(struct godwit_scenario_state *state, GError **error)
{
    godwit_testbed_phase(state->source->testbed, GODWIT_PHASE_RESUME);
    if (!godwit_vm_run(state->destination, error))
        return false;
    if (state->fault == FAULT_NONE)
        return godwit_course_see_it_run(state->destination, error);
    return godwit_testbed_wait(state->source->testbed, has_noticed, state->destination,
                               "the destination's guest to notice the page that the relay changed",
                               error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    static const struct godwit_spec elsewhere = {
        .transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_STOPPED, .capabilities = on};
    struct godwit_scenario_state *state = testbed->state;
    state->fault = *(const enum fault *)scenario->data;
    state->destination = godwit_course_ahead(testbed, "destination", true, error);
    struct godwit_vm *second =
        state->destination ? godwit_course_ahead(testbed, "second", true, error) : NULL;
    state->source = second ? godwit_course_source(testbed, error) : NULL;
    if (!state->source || !migrate(testbed, error) || !judge_memory(state, error) ||
        !judge_guest(state, error) || !godwit_vm_quit(state->destination, error))
        return false;
    note_outcome(state);
    godwit_testbed_phase(testbed, GODWIT_PHASE_SURVIVE);
    return godwit_course_take_back(state->source, true, error) &&
           godwit_vm_handshake(second, error) && configure(second, error) &&
           godwit_course_move(testbed, &elsewhere, state->source, second, error);
}

/* Makes the window 512 pages, as for the other wire faults. */
static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = workload->window_start + 512 * (uint64_t)workload->page_size;
}

#define ROW_OF(NAME, SUMMARY, NEEDS, FAULT)                                                        \
    {                                                                                              \
        .name = "relay/multifd/" NAME, .summary = SUMMARY, .run = run, .slow = true,               \
        .prepare = prepare, .state = sizeof(struct godwit_scenario_state), .clear = clear_state,   \
        .needs = "capability:multifd" NEEDS, .data = &(const enum fault)                           \
        {                                                                                          \
            FAULT                                                                                  \
        }                                                                                          \
    }
#define ROW(NAME, SUMMARY, FAULT) ROW_OF(NAME, SUMMARY, "", FAULT)

GODWIT_SCENARIOS(multifd_pages) = {
    ROW("none", "multifd through the relay, which keeps packets until they are whole", FAULT_NONE),
    ROW("flip-bit", "one bit of a page on a multifd channel is flipped", FAULT_FLIP),
    ROW("drop-page", "a page is left out of a multifd packet", FAULT_DROP),
    ROW_OF("page-to-zero", "a page of a multifd packet is sent as a zero page",
           " parameter:zero-page-detection", FAULT_ZERO),
    ROW("swap-pages", "two pages of a multifd packet change places", FAULT_SWAP),
    ROW("wrong-offset", "a page of a multifd packet is sent as another one", FAULT_OFFSET),
};
GODWIT_SCENARIOS_END(multifd_pages);
