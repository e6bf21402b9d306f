/*
 * What comes over the preempt channel is spoilt, as the main stream is in relay.c: a page of the
 * window, or the header of its record. These pages are those that the guest waits for, so it looks
 * at a spoilt one at once and must notice. A header with unknown flags is refused: the page does
 * not come, and the guest waits until both sides are paused and recover, which sends it again.
 *
 * The channel has nothing but records of pages, each in three parts: a header of eight bytes, the
 * name of the RAM block unless it is that of the record before, and the contents.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/held.h"

#include "guest/image.h"
#include "stream/reader.h"
#include <string.h>

#define LISTEN_URI "unix:destination.migrate.sock"

/* A header: the offset of the page in its block, with flags in the low bits. */
#define HEADER_BYTES 8
#define FLAGS        0xfffu
/* The size of the page in a record. */
#define PAGE_BYTES 4096u
/* What is inverted in the last byte of a header: no record of a page has what comes of it. */
#define HEADER_DAMAGE (GODWIT_RAM_PAGE | 0x01u)

enum damage { DAMAGE_PAGE, DAMAGE_HEADER };

/* The part of a record that the next byte belongs to. */
enum part { PART_HEADER, PART_NAME_LENGTH, PART_NAME, PART_CONTENTS };

/* Reads the records of the channel and spoils one. */
struct spoiler {
    enum damage damage;
    uint64_t start, length; /* of the window, in its block */
    enum part part;
    uint64_t left; /* bytes of the part that are still to come */
    uint64_t header;
    unsigned spared; /* pages of the window that pass as they are, before the one that is spoilt */
    bool done;
};

struct godwit_scenario_state {
    struct godwit_held held;
    struct spoiler spoiler;
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

/* Returns whether the record that comes is the one to spoil: a page of the window, but the first
 * ones. Each CPU of the guest may have checked one before the switch, and overwrite it now. */
static bool is_victim(struct spoiler *spoiler)
{
    const uint64_t offset = spoiler->header & ~(uint64_t)FLAGS;
    if (spoiler->done || !(spoiler->header & GODWIT_RAM_PAGE) || offset < spoiler->start ||
        offset >= spoiler->start + spoiler->length)
        return false;
    if (!spoiler->spared)
        return true;
    spoiler->spared--;
    return false;
}

static void begin_part(struct spoiler *spoiler, enum part part, uint64_t length)
{
    spoiler->part = part;
    spoiler->left = length;
}

static void begin_contents(struct spoiler *spoiler)
{
    const bool page = spoiler->header & GODWIT_RAM_PAGE, zero = spoiler->header & GODWIT_RAM_ZERO;
    begin_part(spoiler, PART_CONTENTS, page ? PAGE_BYTES : zero ? 1 : 0);
}

/* Goes on to the next part of a record, if all of this one has come. BYTE is its last one. */
static void end_part(struct spoiler *spoiler, unsigned char byte)
{
    switch (spoiler->part) {
    case PART_HEADER:
        if (spoiler->header & GODWIT_RAM_SAME_BLOCK)
            begin_contents(spoiler);
        else
            begin_part(spoiler, PART_NAME_LENGTH, 1);
        break;
    case PART_NAME_LENGTH:
        begin_part(spoiler, PART_NAME, byte);
        break;
    case PART_NAME:
        begin_contents(spoiler);
        break;
    case PART_CONTENTS:
        break;
    }
    if (spoiler->part == PART_CONTENTS && !spoiler->left)
        begin_part(spoiler, PART_HEADER, HEADER_BYTES);
}

/* Returns what goes on in place of BYTE, the next one of the channel. */
static unsigned char pass(struct spoiler *spoiler, unsigned char byte)
{
    unsigned char passed = byte;
    if (spoiler->part == PART_HEADER)
        spoiler->header = spoiler->header << 8 | byte;
    const bool header = spoiler->part == PART_HEADER && spoiler->left == 1;
    const bool contents = spoiler->part == PART_CONTENTS && spoiler->left == PAGE_BYTES;
    if (((spoiler->damage == DAMAGE_HEADER && header) ||
         (spoiler->damage == DAMAGE_PAGE && contents)) &&
        is_victim(spoiler)) {
        passed ^= spoiler->damage == DAMAGE_HEADER ? HEADER_DAMAGE : 0xff;
        spoiler->done = true;
    }
    if (!--spoiler->left)
        end_part(spoiler, byte);
    return passed;
}

static void filter(struct godwit_flow *flow, gpointer data, const unsigned char *bytes,
                   size_t length)
{
    g_autofree unsigned char *passed = g_malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        passed[i] = pass(data, bytes[i]);
    godwit_flow_send(flow, passed, length);
}

/* The preempt channel is the second connection: the source opens it after the main one. */
static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    (void)answered;
    if (index == 1)
        godwit_flow_filter_by(sent, filter, data);
}

static bool is_done(gpointer data)
{
    const struct spoiler *spoiler = data;
    return spoiler->done;
}

static bool has_noticed(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->console->guest_fault;
}

/* Judges a page that is spoilt: the guest must notice, and the migration completes. */
static bool judge_page(struct godwit_held *held, GError **error)
{
    struct godwit_reading before = {0};
    return godwit_testbed_wait(held->testbed, has_noticed, held->destination,
                               "the destination's guest to notice a page that was spoilt on the "
                               "preempt channel",
                               error) &&
           godwit_held_complete(held, false, &before, error) &&
           godwit_vm_quit(held->source, error) && godwit_vm_quit(held->destination, error);
}

/* Judges a header that is spoilt: the destination does not take the page, and reports that only on
 * its standard error. It gets the page when both sides have recovered. */
static bool judge_header(struct godwit_held *held, GError **error)
{
    struct godwit_reading before = {0};
    if (!godwit_held_expect(held, "although a header was spoilt on the preempt channel", error) ||
        !godwit_vm_command_oob(held->source, "migrate-pause", NULL, error) ||
        !godwit_held_complete(held, true, &before, error))
        return false;
    g_autofree char *report = godwit_vm_stderr(held->destination, 100);
    if (!report || !strstr(report, "flags"))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination did not report that the flags of a page are unknown");
    return godwit_held_judge_running(held->destination, &before, error) &&
           godwit_course_end(held->destination, held->source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    static const struct godwit_capability preempt[] = {{"postcopy-preempt", true}, {NULL, false}};
    const struct godwit_workload *workload = &testbed->setup->workload;
    struct godwit_held *held = &testbed->state->held;
    struct spoiler *spoiler = &testbed->state->spoiler;
    spoiler->damage = *(const enum damage *)scenario->data;
    spoiler->start = godwit_workload_ram_offset(workload, testbed->setup->machine);
    spoiler->length = workload->window_end - workload->window_start;
    spoiler->spared = workload->cpus;
    begin_part(spoiler, PART_HEADER, HEADER_BYTES);
    godwit_held_init(held, testbed, GODWIT_HELD_POSTCOPY_ACTIVE);
    held->survives = true;
    testbed->oob = true;
    if (!godwit_held_start(held, error) ||
        !godwit_migrate_set_capabilities(held->source, preempt, error) ||
        !godwit_migrate_set_capabilities(held->destination, preempt, error) ||
        !godwit_migrate_incoming(held->destination, LISTEN_URI, false, error))
        return false;
    held->relay = godwit_wire_relay(testbed->wire, LISTEN_URI, error);
    if (!held->relay)
        return false;
    godwit_relay_greet(held->relay, greet, spoiler);
    held->destination->console->fault_provoked = spoiler->damage == DAMAGE_PAGE;
    if (!godwit_held_reach(held, error) ||
        !godwit_testbed_wait(testbed, is_done, spoiler,
                             "a page of the window to pass over the preempt channel", error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_FAIL);
    return spoiler->damage == DAMAGE_PAGE ? judge_page(held, error) : judge_header(held, error);
}

#define ROW(NAME, SUMMARY, DAMAGE)                                                                 \
    {                                                                                              \
        .name = "connections/preempt/" NAME, .summary = SUMMARY, .run = run, .wide = true,         \
        .slow = true, .needs = "capability:postcopy-preempt",                                      \
        .state = sizeof(struct godwit_scenario_state), .clear = clear_state,                       \
        .data = &(const enum damage)                                                               \
        {                                                                                          \
            DAMAGE_##DAMAGE                                                                        \
        }                                                                                          \
    }

GODWIT_SCENARIOS(connections_spoilt) = {
    ROW("page", "a page is spoilt on the preempt channel: the guest notices", PAGE),
    ROW("header", "the header of a page is spoilt on the preempt channel: refused, and recovered",
        HEADER),
};
GODWIT_SCENARIOS_END(connections_spoilt);
