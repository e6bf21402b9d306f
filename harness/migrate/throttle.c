/*
 * The throttle: keeps a live migration from converging until it is proven to be live. limiter.h
 * models QEMU's rate limiter and has every constant that depends on it.
 *
 * SPDX-License-Identifier: MIT
 */

/*
 * How the throttle works
 *
 * A guest that the host does not let run dirties nothing, for as long as that lasts. So no fixed
 * bandwidth is safe. The throttle is a valve with two positions, and a loop around it:
 *
 *   closed   The bandwidth is set so that sending what remains takes CLOSED_SECONDS, and it is
 *            lowered as less remains. What remains then decays exponentially and does not reach
 *            zero before the scenario's deadline. No iteration ends, whether the guest runs or not.
 *            A migration starts like this, and the hooks of a scenario find it like this.
 *   open     An iteration takes OPEN_SECONDS or more. The valve opens only where a scenario wants
 *            pages to be sent again, and only when the guest has written all of its window since
 *            the first page of this iteration was sent. (Not since the iteration began: TCG and KVM
 *            forget that a page was written only when the first page is sent.) So the end of the
 *            iteration finds the whole window dirty, and another iteration follows. The valve
 *            closes at the event that reports it.
 *
 * From QEMU 8.1 on, multifd ignores max-bandwidth while packets of 512 KiB wait in its channels.
 * Its valve is a relay in front of the destination, the gate, which reads the channels slowly or
 * hardly at all. The kernel's buffers are made small at both ends (godwit_relay_narrow(),
 * godwit_tcp_narrow()); where it does not let us do so at the source's end, they are as small only
 * if its congestion control counts losses, as cubic does and bbr does not. The relay runs only
 * when the harness does, so a harness that gets no processor sends nothing. Packets in channels and
 * in buffers together hold less than the window of multifd scenarios, so no iteration can end while
 * the valve is closed. Compressed pages need a window of more pages for that, and fewer channels.
 * Where multifd has no relay (it writes a file, or a fault is injected) only the bandwidth
 * throttles it.
 *
 * What the throttle cannot prevent: the guest gets no processor from the start of an open iteration
 * until its end, and the harness gets none either. Then the migration converges although QEMU did
 * nothing wrong, and the test has not taken place. That is an ENVIRONMENT error, neither a failure
 * nor a pass.
 */
#include "migrate/throttle_parts.h"

#include "godwit/stamp.h"
#include "guest/image.h"
#include "memory/memory.h"
#include "migrate/wire.h"
#include <inttypes.h>
#include <string.h>

/*
 * Waits until `order` is far from the pass in which its bytes wrap to zero, if they all do in the
 * same one and its pages are not marked. In that pass pages are all zero and take almost no
 * bandwidth, so nothing would throttle the first iteration.
 */
static bool avoid_zeros(struct godwit_vm *source, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    if ((workload->flags & (GODWIT_FLAG_STAMP | GODWIT_FLAG_STAGGER)) ||
        godwit_memory_marked(source))
        return true;
    for (unsigned cpu = 0; cpu < workload->cpus;) {
        struct godwit_mailbox mailbox;
        /* The oracles report memory that cannot be read. */
        if (!godwit_memory_mailbox(source, cpu, &mailbox, NULL))
            return true;
        if (mailbox.passes % 256 < 256 - PASSES_BEFORE_ZERO && mailbox.passes % 256 > 0)
            cpu++;
        else if (!godwit_vm_wait_console(source, 0, source->console->passes + 1, error))
            return false;
    }
    return true;
}

/* `order` writes one byte of a page, so QEMU sends one of its own pages for it. The rest of a
 * larger page stays zero. `stamp` writes all of a page. */
uint64_t godwit_throttle_page_bytes(const struct godwit_workload *workload)
{
    return (workload->flags & GODWIT_FLAG_STAMP) ? workload->page_size
                                                 : MIN(workload->page_size, QEMU_PAGE);
}

/* Returns the bytes that an iteration sends if the guest has written all of its window since the
 * one before. With `stamp:zero` and `stamp:mixed` one page in GODWIT_STAMP_CYCLE is zero at any
 * time, and is sent as a few bytes. */
static double window_bytes(const struct godwit_workload *workload)
{
    const double window =
        (double)(godwit_liveness_dirtied(workload) * godwit_throttle_page_bytes(workload));
    return (workload->flags & GODWIT_FLAG_STAMP) && (workload->flags & GODWIT_FLAG_ZERO)
               ? window - window / GODWIT_STAMP_CYCLE
               : window;
}

/* Returns how many bytes are sent for all RAM blocks if every page is zero. Some of these pages are
 * sent before the window. */
static double zero_bytes(struct godwit_vm *source)
{
    double ram = 0;
    /* The oracles report memory that cannot be listed. */
    if (!godwit_memory_map(source, NULL))
        ram = (double)((uint64_t)source->testbed->setup->memory_mib << 20);
    else
        for (guint i = 0; i < source->blocks->len; i++)
            ram += (double)g_array_index(source->blocks, struct godwit_block, i).length;
    return ram / QEMU_PAGE * ZERO_PAGE_BYTES;
}

/* Returns the parameter that replaces the rate that QEMU has measured, or NULL if this QEMU has
 * none. */
static const char *switchover_parameter(const struct godwit_vm *source)
{
    static const char name[] = "avail-switchover-bandwidth";
    return godwit_qemu_has(source->qemu, "parameter", name) ? name : NULL;
}

static bool set_bandwidth(struct godwit_vm *source, struct godwit_throttle *throttle,
                          double bandwidth, GError **error)
{
    throttle->bandwidth =
        (json_int_t)CLAMP(bandwidth, BANDWIDTH_LEAST, (double)BANDWIDTH_UNLIMITED);
    const struct godwit_parameter throttled[] = {
        {"max-bandwidth", throttle->bandwidth, NULL},
        {"downtime-limit", DOWNTIME_THROTTLED, NULL},
        {switchover_parameter(source), RATE_THROTTLED, NULL},
        {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, throttled, error);
}

/* Sets the open valve's bandwidth so that an iteration over the window takes OPEN_SECONDS, or
 * longer if the guest is slow. Records how long a pass of the guest takes. */
static void set_open_bandwidth(struct godwit_vm *source, struct godwit_throttle *throttle)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const double guest =
        (double)source->console->interval / G_USEC_PER_SEC / workload->passes_per_report;
    if (guest > 0)
        godwit_testbed_measure(source->testbed, "pass_ms", json_real(guest * 1000));
    const double seconds = CLAMP(GUEST_PASSES * guest, OPEN_SECONDS, OPEN_SECONDS_MOST);
    throttle->open_bandwidth = (json_int_t)(window_bytes(workload) / seconds);
}

/* Returns the testbed's throttle, reset for another migration. */
static struct godwit_throttle *renew(struct godwit_testbed *testbed)
{
    if (!testbed->throttle) {
        testbed->throttle = g_new(struct godwit_throttle, 1);
        godwit_testbed_at_end(testbed, g_free, testbed->throttle);
    }
    *testbed->throttle = (struct godwit_throttle){0};
    return testbed->throttle;
}

/* Throttles the next migration. The part FIRST of the window is sent in the first period. */
static bool begin(struct godwit_vm *source, double first, GError **error)
{
    struct godwit_throttle *throttle = renew(source->testbed);
    throttle->next = source->qmp->events->len;
    set_open_bandwidth(source, throttle);
    const double window = window_bytes(&source->testbed->setup->workload);
    return set_bandwidth(source, throttle,
                         MAX(window / CLOSED_SECONDS, window * first / PERIOD) +
                             zero_bytes(source) / PERIOD,
                         error) &&
           avoid_zeros(source, error);
}

bool godwit_migrate_throttle(struct godwit_vm *source, GError **error)
{
    return begin(source, 0, error);
}

bool godwit_migrate_throttle_file(struct godwit_vm *source, GError **error)
{
    return begin(source, FILE_FIRST, error);
}

bool godwit_migrate_unlimit(struct godwit_vm *source, GError **error)
{
    static const struct godwit_parameter unlimited[] = {
        {"max-bandwidth", BANDWIDTH_UNLIMITED, NULL}, {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, unlimited, error);
}

void godwit_migrate_throttle_pace(struct godwit_vm *source, json_int_t bandwidth)
{
    source->testbed->throttle->open_bandwidth = bandwidth;
}

bool godwit_migrate_unthrottle(struct godwit_vm *source, GError **error)
{
    /* QEMU uses the new downtime limit from the end of its present period on. Until then, more
     * bandwidth would only make it send the same pages again. The first period is an exception: the
     * migration ends with an iteration that ends in it. */
    const bool first = g_get_monotonic_time() - source->migration_began < PERIOD * G_USEC_PER_SEC;
    /* Behind a closed gate QEMU may have sent nothing in this period. It would then compute a rate
     * of zero and not converge. */
    const bool gated = godwit_wire_is_gated(source->testbed->wire);
    struct godwit_parameter unthrottled[4] = {{"downtime-limit", DOWNTIME_UNLIMITED, NULL}};
    size_t count = 1;
    if (first || gated)
        unthrottled[count++] =
            (struct godwit_parameter){"max-bandwidth", BANDWIDTH_UNLIMITED, NULL};
    if (switchover_parameter(source))
        unthrottled[count++] = (struct godwit_parameter){switchover_parameter(source), 0, NULL};
    godwit_wire_ungate(source->testbed->wire);
    return godwit_migrate_set_parameters(source, unthrottled, error);
}

/* Sets *PAGES to how many pages the guest has written since it was started. */
static bool ask_written(struct godwit_vm *source, uint64_t *pages, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    *pages = 0;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        struct godwit_mailbox mailbox;
        if (!godwit_memory_mailbox(source, cpu, &mailbox, error))
            return false;
        *pages +=
            mailbox.passes * (godwit_workload_pages(workload) / workload->cpus) +
            (mailbox.position - workload->window_start) / workload->page_size / workload->cpus;
    }
    return true;
}

static bool ask_ram(struct godwit_vm *source, json_int_t *sent, json_int_t *remaining,
                    GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    const json_t *ram = json_object_get(info, "ram");
    *sent = godwit_json_integer(ram, "normal", 0);
    *remaining = godwit_json_integer(ram, "remaining", 0);
    return info != NULL;
}

bool godwit_throttle_take_events(struct godwit_vm *source, struct godwit_throttle *throttle)
{
    const GPtrArray *events = source->qmp->events;
    bool any = false;
    throttle->next = MAX(throttle->next, source->migration_first);
    while (throttle->next < events->len) {
        const json_t *event = g_ptr_array_index(events, throttle->next++);
        const json_t *details = json_object_get(event, "data");
        throttle->stopped |= godwit_qmp_event_is(event, "STOP", NULL);
        if (godwit_qmp_event_is(event, "MIGRATION_PASS", NULL) && !throttle->stopped) {
            throttle->iteration = (guint)godwit_json_integer(details, "pass", 0);
            throttle->was_sending = throttle->sending;
            throttle->was_written = throttle->written;
            throttle->sending = false;
            throttle->sent = throttle->iteration > 1 ? -1 : 0;
            any = true;
        } else if (godwit_qmp_event_is(event, "MIGRATION", NULL)) {
            const char *status = godwit_json_string(details, "status", "");
            throttle->over |= !strcmp(status, "completed") || !strcmp(status, "failed") ||
                              !strcmp(status, "cancelled") || !strcmp(status, "pre-switchover");
            any |= throttle->over;
        }
    }
    return any;
}

/* Sets *PAGES to how many pages the guest has written since the first page of the last iteration
 * was sent, or to 0 if that iteration ended before it could be seen to send. */
static bool ask_last(struct godwit_vm *source, const struct godwit_throttle *throttle,
                     uint64_t *pages, GError **error)
{
    uint64_t now = 0;
    if (!ask_written(source, &now, error))
        return false;
    /* QEMU begins another iteration to see what is dirty before it stops the guest. If that one has
     * sent nothing, the one before it was the last. */
    *pages = throttle->sending       ? now - throttle->written
             : throttle->was_sending ? now - throttle->was_written
                                     : 0;
    return true;
}

bool godwit_throttle_report_end(struct godwit_vm *source, const struct godwit_throttle *throttle,
                                GError **error)
{
    const uint64_t window = godwit_workload_pages(&source->testbed->setup->workload);
    uint64_t written = 0;
    /* A QEMU that dies also ends its peer's migration. Report the death. */
    if (!godwit_testbed_survives(source->testbed, error))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const char *state = godwit_json_string(info, "status", "none");
    if (strcmp(state, "completed") != 0 && strcmp(state, "pre-switchover") != 0 &&
        strcmp(state, "device") != 0)
        return godwit_migrate_fail(
            source, error, "the migration ended (%s) before it was proven to be live", state);
    if (!ask_last(source, throttle, &written, error))
        return false;
    if (written < MAX(window / STARVED_PART, 1))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the host did not let the guest run: it wrote %" PRIu64
                           " of its %" PRIu64
                           " pages in the last iteration, so the migration ended (%s) before it "
                           "was proven to be live; run fewer jobs (-j), or use a quieter host",
                           written, window, state);
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the migration ended (%s) before it was proven to be live, although it was "
                       "throttled",
                       state);
}

static bool open_valve(struct godwit_vm *source, struct godwit_throttle *throttle, GError **error)
{
    throttle->open = true;
    godwit_wire_open_gate(source->testbed->wire);
    return set_bandwidth(source, throttle, (double)throttle->open_bandwidth, error);
}

/* The gate closes first: setting the bandwidth waits for QEMU's answer, during which an open gate
 * would pass pages on. */
bool godwit_throttle_close(struct godwit_vm *source, struct godwit_throttle *throttle,
                           GError **error)
{
    json_int_t remaining;
    godwit_wire_close_gate(source->testbed->wire);
    if (throttle->open &&
        !set_bandwidth(source, throttle,
                       window_bytes(&source->testbed->setup->workload) / CLOSED_SECONDS, error))
        return false;
    throttle->open = false;
    throttle->followed = g_get_monotonic_time();
    if (!ask_ram(source, &throttle->asked, &remaining, error))
        return false;
    const double wanted = MAX((double)remaining / CLOSED_SECONDS, BANDWIDTH_LEAST);
    return remaining == 0 || wanted >= (double)throttle->bandwidth ||
           set_bandwidth(source, throttle, wanted, error);
}

bool godwit_throttle_watch_guest(struct godwit_vm *source, struct godwit_throttle *throttle,
                                 bool *dirtied, GError **error)
{
    json_int_t remaining;
    uint64_t written;
    *dirtied = false;
    if (throttle->sending) {
        if (!ask_written(source, &written, error))
            return false;
        *dirtied =
            written - throttle->written >= godwit_workload_pages(&source->testbed->setup->workload);
        return true;
    }
    if (!ask_ram(source, &throttle->asked, &remaining, error))
        return false;
    if (throttle->sent < 0)
        throttle->sent = throttle->asked;
    throttle->sending = throttle->asked > throttle->sent;
    return ask_written(source, &throttle->written, error);
}

/* What to wait for while a migration is throttled. */
struct goal {
    struct godwit_vm *source;
    struct godwit_throttle *throttle;
    godwit_condition condition;
    gpointer data;
};

static bool reached_or_event(gpointer data)
{
    struct goal *goal = data;
    return godwit_throttle_take_events(goal->source, goal->throttle) || goal->condition(goal->data);
}

/* Takes one turn of the loop around the valve: waits for something to happen, and lets the
 * iteration end once the guest has dirtied its window. */
static bool turn(struct goal *goal, const char *what, GError **error)
{
    struct godwit_vm *source = goal->source;
    struct godwit_throttle *throttle = goal->throttle;
    const guint iteration = throttle->iteration;
    bool dirtied;
    if (throttle->open) {
        if (!godwit_testbed_wait(source->testbed, reached_or_event, goal, what, error))
            return false;
        if (throttle->over || throttle->iteration == iteration)
            return true;
        godwit_migrate_report_progress(source);
        return godwit_throttle_close(source, throttle, error);
    }
    if (!godwit_throttle_watch_guest(source, throttle, &dirtied, error))
        return false;
    return dirtied ? open_valve(source, throttle, error)
                   : godwit_testbed_rest(source->testbed, LOOK_MS, what, error);
}

bool godwit_migrate_wait_throttled(struct godwit_vm *source, godwit_condition condition,
                                   gpointer data, const char *what, GError **error)
{
    struct goal goal = {source, source->testbed->throttle, condition, data};
    for (;;) {
        godwit_throttle_take_events(source, goal.throttle);
        if (goal.throttle->over)
            return godwit_throttle_report_end(source, goal.throttle, error);
        if (condition(data))
            break;
        if (!turn(&goal, what, error))
            return false;
    }
    return !goal.throttle->open || godwit_throttle_close(source, goal.throttle, error);
}

struct iteration_goal {
    const struct godwit_throttle *throttle;
    guint past;
};

static bool iteration_began(gpointer data)
{
    const struct iteration_goal *goal = data;
    return goal->throttle->iteration > goal->past;
}

bool godwit_migrate_next_iteration(struct godwit_vm *source, guint *iteration, GError **error)
{
    struct iteration_goal goal = {source->testbed->throttle, *iteration};
    g_autofree char *what = g_strdup_printf("the source to begin iteration %u", *iteration + 1);
    if (!godwit_migrate_wait_throttled(source, iteration_began, &goal, what, error))
        return false;
    *iteration = goal.throttle->iteration;
    return true;
}

struct reach_goal {
    struct godwit_vm *source;
    struct godwit_throttle events; /* only what godwit_throttle_take_events() keeps */
    guint wanted;
};

static bool is_reached(gpointer data)
{
    struct reach_goal *goal = data;
    godwit_throttle_take_events(goal->source, &goal->events);
    return goal->events.over || goal->events.iteration >= goal->wanted;
}

bool godwit_migrate_reach_iteration(struct godwit_vm *source, guint wanted, guint *iteration,
                                    GError **error)
{
    struct reach_goal goal = {.source = source, .wanted = wanted};
    g_autofree char *what = g_strdup_printf("the source to begin iteration %u", wanted);
    if (!godwit_testbed_wait(source->testbed, is_reached, &goal, what, error))
        return false;
    *iteration = goal.events.iteration >= wanted && !goal.events.over ? goal.events.iteration : 0;
    return true;
}
