/*
 * Multifd together with postcopy: the channels send pages until the switch, and the main
 * connection, or the preempt channel, sends the rest. Some QEMUs refuse the combination, and are
 * skipped.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/cancel.h"
#include "scenario/held.h"
#include "scenario/multifd.h"

#include "bugs/bugs.h"
#include "testbed/tcp.h"

#include <string.h>

/* Where a destination that has lost its source listens. */
#define RECOVER_URI "unix:recover.sock"

#define CHANNELS 4
/* The number where pages are compressed: so few that a channel's part of the window does not fit
 * into the kernel's buffers, which would let the migration end at once. */
#define CHANNELS_COMPRESSED 2
/* The numbers of channels of the first and the second of two migrations of one guest. */
#define CHANNELS_FIRST  2
#define CHANNELS_SECOND 5

/* What happens to a migration that is held in a state. */
struct trial {
    enum godwit_held_state state;
};

struct godwit_scenario_state {
    struct godwit_held held;
    unsigned channels; /* how many there are */
};

static void clear_state(struct godwit_scenario_state *state)
{
    godwit_held_clear(&state->held);
}

static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
static const struct godwit_capability preempt[] = {
    {"multifd", true}, {"postcopy-preempt", true}, {NULL, false}};
static const struct godwit_tls psk = {.kind = GODWIT_TLS_PSK};

static const struct godwit_capability postcopy_off[] = {{"postcopy-ram", false}, {NULL, false}};

/* Returns whether a destination with this QEMU never ends such a migration, because of the known
 * bug of the combination. A source with it does not end one in its own order either: it opens the
 * channels for postcopy at once, and does not recover. */
static bool is_broken(const struct godwit_vm *vm)
{
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++)
        if (!strcmp(bug->id, "multifd-postcopy") &&
            godwit_bug_strikes(bug, vm->testbed->setup, vm->qemu, vm->qemu))
            return true;
    return false;
}

/* Turns both on. Fails with SKIP if QEMU refuses that. */
static bool accept(struct godwit_vm *vm, GError **error)
{
    bool both = false;
    /* The host may forbid postcopy. Both are asked for at once, so postcopy must be off again. */
    return godwit_course_enable_postcopy(vm, error) &&
           godwit_migrate_set_capabilities(vm, postcopy_off, error) &&
           godwit_multifd_ask_postcopy(vm, &both, error) &&
           (both ||
            godwit_fail(error, GODWIT_ERROR_SKIP, "needs multifd with postcopy: QEMU %s refuses it",
                        vm->qemu->version));
}

bool godwit_multifd_accept_postcopy(struct godwit_vm *source, struct godwit_vm *destination,
                                    GError **error)
{
    if (!accept(source, error) || !accept(destination, error))
        return false;
    const struct godwit_vm *broken = is_broken(source)        ? source
                                     : is_broken(destination) ? destination
                                                              : NULL;
    return !broken || godwit_fail(error, GODWIT_ERROR_SKIP,
                                  "needs multifd with postcopy that comes to an end: QEMU %s has "
                                  "the known bug multifd-postcopy",
                                  broken->qemu->version);
}

/* Fails unless pages were sent over the channels. */
static bool judge_used(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    (void)destination;
    if (!info)
        return false;
    const json_int_t sent = godwit_json_integer(json_object_get(info, "ram"), "multifd-bytes", 0);
    godwit_testbed_measure(source->testbed, "multifd-bytes", json_integer(sent));
    return sent > 0 || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                   "no bytes were sent over the multifd channels");
}

/* Fails unless the pages that were sent over the channels were compressed. A page of `order`, which
 * is zero but for a few bytes, becomes far smaller. The postcopy sends its pages as they are. */
static bool judge_compressed(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info || !judge_used(source, destination, error))
        return false;
    const json_t *ram = json_object_get(info, "ram");
    const json_int_t sent = godwit_json_integer(ram, "multifd-bytes", 0);
    const json_int_t size =
        godwit_json_integer(ram, "normal-bytes", 0) - godwit_json_integer(ram, "postcopy-bytes", 0);
    return sent < size / 4 ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%" JSON_INTEGER_FORMAT
                       " bytes were sent over the multifd channels for pages of some "
                       "%" JSON_INTEGER_FORMAT " bytes, expected less than a quarter",
                       sent, size);
}

/* Migrates as the scenario's spec describes. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const bool paused = scenario->spec.move == GODWIT_MOVE_POSTCOPY_PAUSED;
    /* A QEMU with the bug also counts pages that it compresses as if they were whole. */
    const bool shows_bug = paused && scenario->spec.judge != judge_compressed;
    struct godwit_vm *source, *destination;
    testbed->oob = true;
    testbed->state->channels = *(const unsigned *)scenario->data;
    return godwit_course_both(testbed, "destination", paused, &source, &destination, error) &&
           (shows_bug ? accept(source, error) && accept(destination, error)
                      : godwit_multifd_accept_postcopy(source, destination, error)) &&
           godwit_multifd_move_postcopy(testbed, &scenario->spec, source, destination, error);
}

/* Waits until the destination has all connections: the main one, the channels, and OTHERS. */
static bool await_connections(struct godwit_vm *destination, unsigned others, const char *what,
                              GError **error)
{
    struct godwit_tcp tcp = {0};
    const bool all = godwit_tcp_await(
        destination, 1 + destination->testbed->state->channels + others, what, &tcp, error);
    godwit_testbed_measure(destination->testbed, "connections", json_integer(tcp.connections));
    return all;
}

static bool see_channels(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)source;
    return await_connections(destination, 0, "before the switch to postcopy", error);
}

/* Checks that requested pages have a connection of their own, beside the channels. */
static bool see_preempt(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_account account = {0};
    return godwit_recovery_await_guest(source, destination, &account, error) &&
           await_connections(destination, 1, "in postcopy with postcopy-preempt", error) &&
           godwit_course_unthrottle_postcopy(source, error);
}

/* Cuts all connections while the guest waits for memory, and recovers. */
static bool cut_and_recover(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_account account = {0};
    if (!godwit_recovery_await_guest(source, destination, &account, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_FAIL);
    godwit_wire_hang_up(source->testbed->wire);
    return godwit_recovery_await_pause(source, destination, &account, error) &&
           godwit_recovery_recover(source, destination, RECOVER_URI, &account, error);
}

/* Sets so many channels on both sides. */
static bool set_channels(struct godwit_vm *source, struct godwit_vm *destination, unsigned channels,
                         GError **error)
{
    const struct godwit_parameter parameters[] = {{"multifd-channels", channels, NULL},
                                                  {NULL, 0, NULL}};
    source->testbed->state->channels = channels;
    return godwit_migrate_set_parameters(source, parameters, error) &&
           godwit_migrate_set_parameters(destination, parameters, error);
}

/* Migrates one guest twice, with another number of channels the second time. */
static bool change(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                   GError **error)
{
    const struct godwit_spec *spec = &scenario->spec;
    struct godwit_vm *source, *middle;
    testbed->oob = true;
    struct godwit_vm *last = godwit_course_ahead(testbed, "last", true, error);
    return last && godwit_course_both(testbed, "middle", true, &source, &middle, error) &&
           godwit_multifd_accept_postcopy(source, middle, error) &&
           set_channels(source, middle, CHANNELS_FIRST, error) &&
           godwit_course_leg(testbed, spec, source, middle, error) &&
           godwit_vm_quit(source, error) && godwit_vm_handshake(last, error) &&
           accept(last, error) && set_channels(middle, last, CHANNELS_SECOND, error) &&
           godwit_vm_run(middle, error) && godwit_course_move(testbed, spec, middle, last, error);
}

/* Judges a migration that was cancelled while the guest belonged to the source: it runs on, and
 * goes to another destination in the same way, over another number of channels. */
static bool judge_cancelled(struct godwit_held *held, GError **error)
{
    static const struct godwit_capability unpaused[] = {{"multifd", true},
                                                        {"pause-before-switchover", false},
                                                        {"return-path", false},
                                                        {NULL, false}};
    static const struct godwit_spec again = {.transport = GODWIT_TRANSPORT_TCP,
                                             .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                                             .capabilities = unpaused,
                                             .live = see_channels,
                                             .judge = judge_used};
    struct godwit_vm *source = held->source;
    /* A gate would keep from the destination that the connections are closed. */
    godwit_wire_ungate(held->testbed->wire);
    if (!(held->destination ? godwit_held_await_cancelled(held, error)
                            : godwit_cancel_settle(source, &held->here, error)))
        return false;
    godwit_testbed_phase(held->testbed, GODWIT_PHASE_ELSEWHERE);
    return (!held->destination || godwit_course_refused(held->destination, error)) &&
           godwit_course_expect_status(source, "running", "after migrate_cancel", error) &&
           godwit_course_see_it_run(source, error) &&
           (held->second->answers || godwit_vm_handshake(held->second, error)) &&
           set_channels(source, held->second, CHANNELS_SECOND, error) &&
           godwit_multifd_move_postcopy(held->testbed, &again, source, held->second, error);
}

/* Judges a migrate_cancel that came when a part of the guest's memory was on either side. Nobody
 * could run the guest any more if it had an effect. */
static bool judge_refused(struct godwit_held *held, const char *refusal, GError **error)
{
    struct godwit_reading before = {0};
    if (!refusal)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source accepted migrate_cancel in %s, expected a refusal",
                           godwit_held_name(held->state));
    godwit_testbed_measure(held->testbed, "refusal", json_string(refusal));
    const bool broken = held->state == GODWIT_HELD_POSTCOPY_PAUSED;
    return godwit_held_expect(held, "after migrate_cancel", error) &&
           godwit_held_complete(held, broken, &before, error) &&
           godwit_held_judge_running(held->destination, &before, error) &&
           godwit_course_end(held->destination, held->source, error);
}

/* Turns both on, and makes the destination listen. In setup there is none yet. */
static bool connect_held(struct godwit_held *held, GError **error)
{
    struct godwit_vm *last = held->destination ? held->destination : held->second;
    return (last->answers || godwit_vm_handshake(last, error)) &&
           godwit_multifd_accept_postcopy(held->source, last, error) &&
           (held->destination ? godwit_held_connect(held, multifd, error)
                              : godwit_migrate_set_capabilities(held->source, multifd, error));
}

/* Brings a migration with both into a state, and sends migrate_cancel. */
static bool cancel(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                   GError **error)
{
    const struct trial *trial = scenario->data;
    struct godwit_held *held = &testbed->state->held;
    g_autoptr(GError) refusal = NULL;
    godwit_held_init(held, testbed, trial->state);
    const bool postcopy = godwit_held_is_postcopy(held);
    held->survives = postcopy;
    held->elsewhere = !postcopy;
    testbed->oob = true;
    if (!godwit_held_start(held, error) || !connect_held(held, error) ||
        !godwit_held_reach(held, error) ||
        !godwit_held_expect(held, "just before migrate_cancel", error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    if (!godwit_vm_command(held->source, "migrate_cancel", NULL, &refusal) &&
        (!postcopy || refusal->code != GODWIT_ERROR_QMP)) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    return postcopy ? judge_refused(held, refusal ? refusal->message : NULL, error)
                    : judge_cancelled(held, error);
}

static const unsigned four_channels = CHANNELS, two_channels = CHANNELS_COMPRESSED;
static const struct godwit_parameter four[] = {{"multifd-channels", CHANNELS, NULL},
                                               {NULL, 0, NULL}};
static const struct godwit_parameter four_throttled[] = {
    {"multifd-channels", CHANNELS, NULL},
    {"max-postcopy-bandwidth", GODWIT_POSTCOPY_THROTTLED, NULL},
    {NULL, 0, NULL}};
static const struct godwit_parameter compressed[] = {
    {"multifd-channels", CHANNELS_COMPRESSED, NULL},
    {"multifd-compression", 0, "zstd"},
    {NULL, 0, NULL}};

#define NEEDS  "capability:multifd capability:postcopy-ram"
#define STATE  .state = sizeof(struct godwit_scenario_state), .clear = clear_state
#define COMMON .needs = NEEDS, STATE, .data = &four_channels

/* A postcopy that is cut and recovers. */
#define RECOVERS(NAME, SUMMARY, CAPABILITIES, TLS, SLOW)                                           \
    {                                                                                              \
        .name = "multifd/postcopy/" NAME, .summary = SUMMARY, .run = run, COMMON, .slow = SLOW,    \
        .spec = {                                                                                  \
            .transport = GODWIT_TRANSPORT_UNIX,                                                    \
            .move = GODWIT_MOVE_POSTCOPY,                                                          \
            .capabilities = CAPABILITIES,                                                          \
            .parameters = four_throttled,                                                          \
            .tls = TLS,                                                                            \
            .released = cut_and_recover,                                                           \
            .judge = judge_used,                                                                   \
        },                                                                                         \
    }

#define CANCEL(NAME, WHEN, SUMMARY)                                                                \
    {                                                                                              \
        .name = "multifd/postcopy/cancel/" NAME, .summary = SUMMARY, .run = cancel,                \
        .needs = NEEDS " capability:pause-before-switchover", .wide = true, .slow = true, STATE,   \
        .data = &(const struct trial){GODWIT_HELD_##WHEN}, .spec = {.capabilities = multifd},      \
    }

GODWIT_SCENARIOS(multifd_postcopy) = {
    {
        .name = "multifd/postcopy/held",
        .summary = "multifd with postcopy to a paused destination: all of RAM is compared",
        .run = run,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                 .capabilities = multifd,
                 .parameters = four,
                 .live = see_channels,
                 .judge = judge_used},
        COMMON,
    },
    {
        .name = "multifd/postcopy/preempt",
        .summary = "multifd with postcopy-preempt: channels and a preempt channel",
        .run = run,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt,
                 .parameters = four_throttled,
                 .live = see_channels,
                 .released = see_preempt,
                 .judge = judge_used},
        COMMON,
    },
    {
        .name = "multifd/postcopy/zstd",
        .summary = "multifd with postcopy, pages compressed by zstd until the switch",
        .run = run,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                 .capabilities = multifd,
                 .parameters = compressed,
                 .live = see_channels,
                 .judge = judge_compressed},
        .order = true,
        .whole = true,
        .slow = true,
        .needs = NEEDS " multifd-compression:zstd",
        .data = &two_channels,
        STATE,
    },
    RECOVERS("recovery/plain", "multifd with postcopy, cut and recovered", multifd, NULL, false),
    RECOVERS("recovery/tls/psk", "the same, encrypted", multifd, &psk, true),
    RECOVERS("preempt/recovery/plain", "multifd with postcopy-preempt, cut and recovered", preempt,
             NULL, false),
    RECOVERS("preempt/recovery/tls/psk", "the same, encrypted", preempt, &psk, true),
    {
        .name = "multifd/postcopy/channels/changed",
        .summary = "a guest is migrated twice, with another number of channels the second time",
        .run = change,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                 .capabilities = multifd,
                 .live = see_channels,
                 .judge = judge_used},
        .slow = true,
        COMMON,
    },
    CANCEL("setup", SETUP, "cancelled while the source connects"),
    CANCEL("device", DEVICE, "cancelled when everything was sent, but not confirmed: it resumes"),
    CANCEL("active", ACTIVE, "cancelled in precopy: migrated with both to another destination"),
    CANCEL("pre-switchover", PRE_SWITCHOVER,
           "cancelled when the guest is already stopped: it resumes"),
    CANCEL("postcopy-active", POSTCOPY_ACTIVE,
           "migrate_cancel in postcopy: refused, and the migration completes"),
    CANCEL("postcopy-paused", POSTCOPY_PAUSED,
           "migrate_cancel when the postcopy is paused: refused, and it recovers"),
};
GODWIT_SCENARIOS_END(multifd_postcopy);
