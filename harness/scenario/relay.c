/*
 * Wire faults: the relay corrupts one thing in what the source sends. If the stream stays
 * well-formed, an oracle must notice the fault. If it does not, the destination must end with an
 * error and never run its guest. A fault that changes only how the bytes arrive must do no harm.
 * The source survives all of them. relay_judge.c judges what comes of a fault; this file runs the
 * trials and has their table.
 *
 * The guest is stopped before most migrations, so that each page is sent once and a corrupt one is
 * not sent again. Faults that need pages to be sent again go into live migrations.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/relay_parts.h"

#include "bugs/bugs.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/oracle.h"

#include <string.h>

/* How long to wait for the answer to migrate_cancel, which should be immediate; in seconds. */
#define CANCEL_SECONDS 10

/* Returns whether the destination is started paused, so that it can be checked before its guest
 * runs. One that must refuse is not, so that it would run if it did not refuse. */
static bool starts_paused(const struct trial *trial)
{
    return trial->verdict != VERDICT_REFUSED;
}

/* The present attempt. The relay writes to it, so it must live as long. */
struct godwit_scenario_state {
    struct attempt attempt;
};

/* Frees what is known of the attempt's outcome. */
static void clear_outcome(struct attempt *attempt)
{
    for (unsigned i = 0; i < ORACLES; i++)
        g_clear_pointer(&attempt->noticed[i], g_free);
    g_clear_pointer(&attempt->refused, g_free);
}

static void clear_state(struct godwit_scenario_state *state)
{
    clear_outcome(&state->attempt);
    g_clear_pointer(&state->attempt.sent, g_byte_array_unref);
}

/* Watcher: keeps what the source sends. */
static void record(gpointer data, const unsigned char *bytes, size_t length)
{
    g_byte_array_append(data, bytes, (guint)length);
}

static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    (void)answered;
    (void)index;
    godwit_flow_watch(sent, record, data);
}

/* Begins the attempt with what is known of the fault before it is injected. */
static bool prepare_attempt(struct attempt *attempt, GError **error)
{
    struct godwit_fault fault;
    if (!godwit_fault_parse(attempt->trial->fault, &fault, error))
        return false;
    attempt->kind = fault.kind;
    clear_outcome(attempt);
    godwit_trial_record(attempt);
    return true;
}

/* Returns whether both pages at the edge hold something else than zero. With STAGGER, zero must not
 * be the value before that, either: with a zero page instead, the edge would only be elsewhere. */
static bool is_clear_of_zero(const struct godwit_workload *stripe,
                             const struct godwit_page_order_result *order)
{
    if (!(stripe->flags & GODWIT_FLAG_STAGGER))
        return order->base != 0 && order->base != UINT8_MAX;
    const uint64_t edge = (order->edge_address - stripe->window_start) / stripe->page_size;
    const unsigned char above = (unsigned char)(order->base + godwit_page_order_first(edge));
    const unsigned char below =
        (unsigned char)(order->base + 1 + godwit_page_order_first(edge - 1));
    return order->has_edge && above != 0 && below > 1;
}

/* Stops the guest in the middle of a pass, when its pages hold two different values, neither of
 * which is zero. */
static bool stop_in_pass(struct godwit_vm *source, GError **error)
{
    const struct godwit_workload stripe =
        godwit_workload_stripe(&source->testbed->setup->workload, 0);
    struct godwit_reading reading;
    for (;;) {
        if (!godwit_vm_command(source, "stop", NULL, error) ||
            !godwit_oracle_look(source, &reading, error))
            return false;
        const uint64_t position = reading.mailbox->position;
        const bool stamped = source->testbed->setup->workload.flags & GODWIT_FLAG_STAMP;
        /* When the account has only come to the last page, that page may be written already. */
        if (position > stripe.window_start && position < stripe.window_end - stripe.page_size &&
            (stamped || is_clear_of_zero(&stripe, reading.order)))
            return true;
        if (!godwit_vm_run(source, error) || !godwit_course_see_it_run(source, error))
            return false;
    }
}

static bool both_ended(gpointer data)
{
    const struct attempt *attempt = data;
    return attempt->destination->exited ||
           (godwit_migrate_is_over(attempt->source) &&
            !strcmp(godwit_migrate_reported_state(attempt->destination), "completed"));
}

static bool injected(gpointer data)
{
    const struct attempt *attempt = data;
    return godwit_injection_done(attempt->injection) || both_ended(data);
}

static bool wait_for(struct attempt *attempt, godwit_condition condition, const char *what,
                     GError **error)
{
    return godwit_testbed_wait(attempt->testbed, condition, attempt, what, error);
}

/* Waits until the page that the fault will corrupt has changed since it was first sent, and until
 * the fault is injected. Many passes later a page of `order` may have its first value again: then
 * the next pass shows a change. */
static bool see_change(struct attempt *attempt, GError **error)
{
    const uint64_t start = attempt->testbed->setup->workload.window_start;
    uint64_t offset;
    guint iteration = 1;
    if (!godwit_migrate_next_iteration(attempt->source, &iteration, error))
        return false;
    if (!godwit_injection_awaits(attempt->injection, &offset))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "no page that the fault could corrupt was sent in iteration 1");
    return godwit_migrate_prove_page(attempt->source, attempt->destination, start + offset,
                                     error) &&
           godwit_migrate_wait_throttled(attempt->source, injected, attempt,
                                         "the fault to be injected", error);
}

/* Waits for the destination, which was started ahead, and starts the migration to it through a
 * relay with the fault. */
static bool start(struct attempt *attempt, GError **error)
{
    struct godwit_testbed *testbed = attempt->testbed;
    struct godwit_vm *source = attempt->source;
    const bool live = godwit_fault_is_live(attempt->kind);
    struct godwit_vm *destination = attempt->destination;
    if (!godwit_vm_handshake(destination, error) ||
        !godwit_migrate_set_capabilities(destination, NULL, error) ||
        !godwit_migrate_set_capabilities(source, NULL, error) ||
        !(live ? godwit_migrate_throttle(source, error)
               : stop_in_pass(source, error) && godwit_migrate_unthrottle(source, error)))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    g_autofree char *address =
        godwit_migrate_listen(source, destination, GODWIT_TRANSPORT_UNIX, false, error);
    struct godwit_relay *relay = address ? godwit_wire_relay(testbed->wire, address, error) : NULL;
    attempt->injection = relay ? godwit_wire_inject(source, attempt->trial->fault, error) : NULL;
    if (!attempt->injection)
        return false;
    /* A live migration sends too much to keep. */
    if (attempt->sent && !live)
        godwit_relay_greet(relay, greet, attempt->sent);
    destination->may_exit = true;
    destination->console->fault_provoked = true; /* relay_judge.c judges what it shows */
    return godwit_migrate_start(source, godwit_relay_uri(relay), false, error) &&
           (!live || (see_change(attempt, error) && godwit_migrate_unthrottle(source, error)));
}

/* Cancels the source's migration. Sets *STALLED if a known bug keeps the source from answering:
 * then it can only notice that the connection breaks. */
static bool cancel(struct attempt *attempt, bool *stalled, GError **error)
{
    struct godwit_testbed *testbed = attempt->testbed;
    g_autoptr(GError) late = NULL;
    const gint64 deadline = godwit_testbed_limit(testbed, CANCEL_SECONDS);
    const bool done = godwit_vm_command(attempt->source, "migrate_cancel", NULL, &late);
    testbed->deadline = deadline;
    *stalled = !done && late->code == GODWIT_ERROR_TIMEOUT &&
               godwit_bug_explain(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_NO_ANSWER,
                                                                 .source = attempt->source});
    if (done || *stalled)
        return true;
    g_propagate_error(error, g_steal_pointer(&late));
    return false;
}

/* Ends a migration that hangs: cancels it on the source, then breaks the connection. Only then can
 * the destination notice the end. */
static bool give_up(struct attempt *attempt, GError **error)
{
    bool stalled = false;
    if (!wait_for(attempt, injected, "the fault to be injected", error))
        return false;
    if (both_ended(attempt))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the migration ended although its connection hung");
    if (!cancel(attempt, &stalled, error))
        return false;
    if (stalled)
        godwit_wire_hang_up(attempt->testbed->wire);
    if (!godwit_testbed_wait(attempt->testbed, godwit_migrate_is_over, attempt->source,
                             "the source to give up", error))
        return false;
    if (attempt->destination->exited && !stalled)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination ended although its connection only hung");
    godwit_wire_hang_up(attempt->testbed->wire);
    return true;
}

/* Checks that the source survives: its guest runs on with its memory in order, and can be migrated
 * to another destination. */
static bool survive(struct attempt *attempt, GError **error)
{
    static const struct godwit_spec plain = {.transport = GODWIT_TRANSPORT_UNIX,
                                             .move = GODWIT_MOVE_STOPPED};
    godwit_testbed_phase(attempt->testbed, GODWIT_PHASE_SURVIVE);
    if (!godwit_course_take_back(attempt->source, !godwit_fault_is_live(attempt->kind), error))
        return false;
    if (!attempt->second)
        attempt->second = godwit_course_ahead(attempt->testbed, "second", true, error);
    return attempt->second && godwit_vm_handshake(attempt->second, error) &&
           godwit_course_move(attempt->testbed, &plain, attempt->source, attempt->second, error);
}

static bool run_fault(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    const struct trial *trial = scenario->data;
    const bool stuck = trial->verdict == VERDICT_STUCK;
    const bool paused = starts_paused(trial);
    struct attempt *attempt = &testbed->state->attempt;
    attempt->testbed = testbed;
    attempt->trial = trial;
    attempt->sent = g_byte_array_new();
    if (!prepare_attempt(attempt, error))
        return false;
    attempt->destination = godwit_course_ahead(testbed, "destination", paused, error);
    if (attempt->destination && (!paused || stuck))
        attempt->second = godwit_course_ahead(testbed, "second", true, error);
    if (!attempt->destination || ((!paused || stuck) && !attempt->second))
        return false;
    attempt->source = godwit_course_source(testbed, error);
    if (!attempt->source || !start(attempt, error) ||
        !(stuck ? give_up(attempt, error)
                : wait_for(attempt, both_ended, "the migration to end", error)) ||
        !godwit_wire_note_fault(testbed, error))
        return false;
    const bool refused = stuck || attempt->destination->exited;
    return (refused ? godwit_trial_judge_refusal(attempt, error)
                    : godwit_trial_judge_loaded(attempt, error)) &&
           survive(attempt, error) && (refused || godwit_trial_run_on(attempt, error)) &&
           godwit_trial_judge(attempt, refused, error);
}

/* Records the check of what came of a connection that was cut before a section. */
static void check_cut(struct attempt *attempt)
{
    const char *done = godwit_injection_done(attempt->injection);
    const bool needless = godwit_injection_cut(attempt->injection) == GODWIT_CUT_DESCRIPTION;
    g_autofree char *name =
        g_strdup_printf("the relay %s: %s", done, needless ? "taken" : "refused");
    g_autoptr(GError) problem = NULL;
    if (needless && !attempt->destination->exited) {
        godwit_testbed_check(attempt->testbed, name, NULL);
        return;
    }
    const bool refused =
        attempt->destination->exited && godwit_trial_judge_refusal(attempt, &problem);
    godwit_testbed_check_answer(attempt->testbed, name, NULL, attempt->refused,
                                refused   ? NULL
                                : problem ? problem->message
                                          : "the destination took the stream");
}

/* Cuts the connection before each section in turn, until there is no further section and the stream
 * arrives whole. One source survives all of it. */
static bool run_sections(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    struct attempt *attempt = &testbed->state->attempt;
    attempt->testbed = testbed;
    attempt->source = godwit_course_source(testbed, error);
    for (unsigned section = 0; attempt->source; section++) {
        const struct trial *all = scenario->data;
        g_autofree char *fault = g_strdup_printf("%s:section=%u", all->fault, section);
        g_autofree char *name = g_strdup_printf("destination%u", section);
        const struct trial trial = {.fault = fault, .verdict = VERDICT_REFUSED};
        attempt->trial = &trial;
        if (!prepare_attempt(attempt, error))
            return false;
        attempt->destination = godwit_course_ahead(testbed, name, starts_paused(&trial), error);
        if (!attempt->destination || !start(attempt, error) ||
            !wait_for(attempt, both_ended, "the migration to end", error))
            return false;
        if (!godwit_injection_done(attempt->injection))
            return godwit_vm_quit(attempt->destination, error) && survive(attempt, error);
        check_cut(attempt);
        if ((!attempt->destination->exited && !godwit_vm_quit(attempt->destination, error)) ||
            !godwit_course_take_back(attempt->source, !godwit_fault_is_live(attempt->kind), error))
            return false;
    }
    return false;
}

/* Makes the window 512 pages: the rest of RAM is zero and takes little room in the stream. Reports
 * are rare, because one takes the guest as long as several passes of `order`, and the guest should
 * be at work on its window. */
static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->passes_per_report = workload->flags & GODWIT_FLAG_STAMP ? 16 : 32;
    workload->window_end = workload->window_start + 512 * (uint64_t)workload->page_size;
}

/* Makes the window large enough to have some zero pages at any time. */
static void prepare_zeros(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = workload->window_start + 1024 * (uint64_t)workload->page_size;
}

/* The contents are unknown until the scenario may choose them, unless the user has. */
static struct godwit_lack *lacks_zeros(const struct godwit_setup *setup)
{
    const struct godwit_workload *workload = &setup->workload;
    if (workload->usual_content || workload->flags & (GODWIT_FLAG_STAGGER | GODWIT_FLAG_ZERO))
        return NULL;
    return godwit_lack_new(g_strdup("a workload whose pages become zero"),
                           g_strdup("with these contents none does"));
}

#define STATE .state = sizeof(struct godwit_scenario_state), .clear = clear_state

/* An entry for a fault and what must come of it. STOPPED stops the guest first, LIVE does not. */
#define STOPPED_FIELDS(what, text, ...)                                                            \
    .name = "relay/" what, .summary = text, .run = run_fault, .random = true, STATE,               \
    .prepare = prepare, .data = &(const struct trial)                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define STOPPED(...)                                                                               \
    {                                                                                              \
        STOPPED_FIELDS(__VA_ARGS__)                                                                \
    }
#define SLOW(...)                                                                                  \
    {                                                                                              \
        STOPPED_FIELDS(__VA_ARGS__), .slow = true                                                  \
    }
#define LIVE(what, text, ...)                                                                      \
    {                                                                                              \
        .name = "relay/" what, .summary = text, .run = run_fault, .random = true, STATE,           \
        .slow = true, .data = &(const struct trial)                                                \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

GODWIT_SCENARIOS(relay) = {
    SLOW("none", "a relay that changes nothing", "none", VERDICT_HARMLESS, 0,
         "every byte is passed on"),
    {STOPPED_FIELDS("flip-bit", "one bit of a page is flipped", "flip-bit", VERDICT_SEEN, BY(TWIN),
                    NULL),
     .quick = true},
    SLOW("flip-bit/first-byte", "one bit of the byte that the guest writes is flipped",
         "flip-bit:byte=0", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL),
    STOPPED("drop-page", "a page is left out", "drop-page", VERDICT_SEEN, BY(TWIN) | BY(GUEST),
            NULL),
    SLOW("swap-pages", "two pages that differ change places", "swap-pages", VERDICT_SEEN,
         BY(TWIN) | BY(GUEST), NULL),
    STOPPED("page-to-zero", "a page is sent as a zero page", "page-to-zero", VERDICT_SEEN,
            BY(TWIN) | BY(GUEST), NULL),
    SLOW("zero-to-page", "a zero page is sent as a page that is not", "zero-to-page", VERDICT_SEEN,
         BY(TWIN), NULL),
    SLOW("wrong-offset", "a page is sent as the one before it", "wrong-offset", VERDICT_SEEN,
         BY(TWIN) | BY(GUEST), NULL),
    LIVE("stale-page", "live; one page is sent as it was before, whenever it comes again",
         "stale-page", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL),
    LIVE("repeat-page", "live; after a page that comes again it is sent as it was before",
         "repeat-page", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL),
    {
        .name = "relay/drop-zero",
        .summary = "live; pages that become zero after they were sent are left out",
        .slow = true,
        .run = run_fault,
        .prepare = prepare_zeros,
        .lacks = lacks_zeros,
        .random = true, /* as every fault that `selftest` injects */
        STATE,
        .data = &(const struct trial){"drop-zero", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL},
    },
    SLOW("flip-state", "one bit of a device's state is flipped", "flip-state", VERDICT_FLIPPED, 0,
         "QEMU does not keep the flipped bit: it recomputes it, or the bit means nothing"),
    STOPPED("magic", "the stream's magic is another", "magic", VERDICT_REFUSED, 0, NULL),
    STOPPED("version", "the stream's version is another", "version", VERDICT_REFUSED, 0, NULL),
    STOPPED("section-id", "a section's number is another", "section-id", VERDICT_REFUSED, 0, NULL),
    SLOW("section-name", "a section's name is another", "section-name", VERDICT_REFUSED, 0, NULL),
    STOPPED("footer", "a section's footer is another", "footer", VERDICT_REFUSED, 0, NULL),
    SLOW("name-length", "the length of a section's name is another", "name-length", VERDICT_REFUSED,
         0, NULL),
    STOPPED("ram-size", "the size of all RAM is another", "ram-size", VERDICT_REFUSED, 0, NULL),
    STOPPED("block-length", "the length of the first RAM block is another", "block-length",
            VERDICT_REFUSED, 0, NULL),
    STOPPED("truncate", "the connection is cut somewhere", "truncate", VERDICT_REFUSED, 0, NULL),
    SLOW("truncate-section", "the connection is cut before a section", "truncate-section",
         VERDICT_REFUSED, 0, NULL),
    STOPPED("close", "the direction to the destination is closed, the other is not", "close",
            VERDICT_REFUSED, 0, NULL),
    SLOW("stall", "nothing is passed on for a while, then all the rest", "stall", VERDICT_HARMLESS,
         0, "a migration waits for its data"),
    STOPPED("hang", "nothing is passed on any more, until the migration is cancelled", "hang",
            VERDICT_STUCK, 0, NULL),
    SLOW("split", "bytes are passed on one by one", "split", VERDICT_HARMLESS, 0,
         "a stream has no boundaries"),
    SLOW("throttle", "so many bytes are passed on in a second, and no more", "throttle",
         VERDICT_HARMLESS, 0, "a migration waits for its data"),
    {
        .name = "relay/truncate-sections",
        .summary = "the connection is cut before each section in turn, the last time not at all",
        .run = run_sections,
        .prepare = prepare,
        STATE,
        .slow = true,
        .deadlines = 4, /* a destination for each section */
        .data = &(const struct trial){"truncate-section", VERDICT_REFUSED, 0, NULL},
    },
};
GODWIT_SCENARIOS_END(relay);
