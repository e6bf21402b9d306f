/*
 * The hold: keeps a live migration from converging until it is proven to be live. Everything here
 * that is known about QEMU's rate limiter is in the constants below, and nowhere else.
 *
 * SPDX-License-Identifier: MIT
 */

/*
 * How QEMU converges
 *
 * The migration thread sends dirty pages in passes. In each 100 ms it sends max-bandwidth / 10
 * bytes at most and sleeps for the rest. A change of max-bandwidth takes effect when it wakes up.
 * When all pages of a pass are sent it asks the accelerator which pages are dirty again. The
 * migration converges if these are fewer than it could send in downtime-limit, by the rate of the
 * latest 100 ms. So it converges only at the end of a pass, and only if the guest has dirtied next
 * to nothing in that pass.
 *
 * How the hold prevents it
 *
 * A guest that the host does not let run dirties nothing, for as long as that lasts. No fixed
 * bandwidth is safe, therefore. The hold is a valve with two positions, and a loop around it:
 *
 *   closed   The bandwidth is set so that sending what remains takes CLOSED_SECONDS, and is
 *            lowered as less remains: what remains falls by the power law of a leaking tank and
 *            does not come to its end before the scenario's deadline. No pass ends, whatever the
 *            guest does or fails to do. This is how a migration starts and the position in which
 *            hooks find it.
 *   open     A pass takes OPEN_SECONDS or more. The valve is opened only where a scenario wants
 *            pages to be sent again, and only when the guest has written all of its window since
 *            the first page of this pass was sent. (Not since the pass began: TCG and KVM forget
 *            that a page was written only when the first page is sent.) So the end of the pass
 *            finds the whole window dirty, and another pass follows. The valve closes at the
 *            event that tells of it.
 *
 * Multifd pays no attention to max-bandwidth while packets of 512 KiB wait in its channels, from
 * QEMU 8.1 on. Its valve is a relay in front of the destination, which reads the channels slowly or
 * hardly at all; the kernel's buffers are made small (godwit_relay_narrow()). The relay runs only
 * when the harness does, so that a harness that gets no processor sends nothing. Packets in
 * channels and in buffers together hold less than the window of multifd scenarios, so that no pass
 * can end with the valve closed. Compressed pages need a window of more pages for that, and fewer
 * channels. Where multifd has no relay (it writes a file, a fault is injected) it only has the
 * bandwidth.
 *
 * What is left: a guest that gets no processor from the start of an open pass until its end while
 * the harness gets none either. Then the migration converges, QEMU has done nothing wrong, and the
 * test has not taken place: that is an ENVIRONMENT error, neither failed nor passed.
 */
#include "migrate/hold.h"

#include "godwit/stamp.h"
#include "guest/image.h"
#include "memory/memory.h"
#include <inttypes.h>
#include <string.h>

/* The rate limiter's period. In seconds. */
#define PERIOD 0.1
/* How long sending what remains takes with the valve closed. After t seconds, exp(-t / 20) of the
 * window remains: more than a page for longer than GODWIT_DEADLINE_SECONDS. */
#define CLOSED_SECONDS 20
/* How much of the window goes out in the first period where a file is written: enough to prove by
 * counting that the guest has changed some of it. Elsewhere a few pages are enough. */
#define FILE_FIRST 0.05
/* How long a pass takes with the valve open: two periods, so that the harness has one at least to
 * close it. */
#define OPEN_SECONDS 0.2
/* The same in passes of the guest's own, as long as its latest one was: a slow guest is not sent
 * over and over. */
#define GUEST_PASSES 1.5
/* Or so many seconds, for one that is made to be slow. */
#define OPEN_SECONDS_MOST 10
/* Of each channel with the relay's valve open or closed, in bytes a second. A pass over the window
 * of 16 MiB takes 0.2 s over 16 channels; closed, what the kernel and QEMU hold is all there is. */
#define CHANNEL_OPEN   ((size_t)5 << 20)
#define CHANNEL_CLOSED 1
/* The same with the valve open where pages are compressed. A page of `order` is zeros but for its
 * first bytes, and 13 bytes go out for it with zlib as with zstd. A pass over the image's own
 * window, some 100 MiB, takes 0.8 s over two channels: 0.2 s at the least, if the kernel has taken
 * most of it while the valve was closed. */
#define CHANNEL_OPEN_COMPRESSED ((size_t)200 << 10)
/* QEMU takes a limit below one byte a period for none. A page is sent in each period nevertheless.
 */
#define BANDWIDTH_LEAST 4096
/* A page of zeros takes this many bytes. */
#define ZERO_PAGE_BYTES 9
/* What QEMU sends at a time, on every machine here. In bytes. */
#define QEMU_PAGE 4096
/* 0 would have QEMU converge when all pages are sent, without asking which are dirty again. In
 * milliseconds. */
#define DOWNTIME_HELD 1
/* Above what any host moves, and small enough for every QEMU to take. In bytes a second. */
#define BANDWIDTH_UNLIMITED ((json_int_t)1 << 40)
/* Longer than any migration here is allowed to take. In milliseconds. */
#define DOWNTIME_UNLIMITED 600000
/* How often the bandwidth follows what remains. In microseconds. */
#define FOLLOW_US 50000
/* A guest that has written a smaller part of its window in a pass has been starved. */
#define STARVED_PART 8
/* Passes that the guest makes at the most while its window is sent for the first time where its
 * bytes could come round to zero: some 10 ms each. */
#define PASSES_BEFORE_ZERO 64

/* The present migration's hold, which its rig keeps. */
struct hold {
    guint next; /* index of the source's event to look at next */
    guint pass; /* the latest that was seen */
    bool over;
    bool open;
    json_int_t bandwidth;      /* as it was set last */
    json_int_t open_bandwidth; /* with the valve open */
    json_int_t asked;          /* pages sent, by the latest query-migrate */
    json_int_t sent;           /* pages sent when the pass began, or a little later; -1: unknown */
    bool sending;              /* a page of this pass has been sent ... */
    uint64_t written;          /* ... and the guest had written this many pages by then */
    bool was_sending;          /* the previous pass's "sending" ... */
    uint64_t was_written;      /* ... and "written" */
    bool stopped;    /* QEMU has stopped the guest: passes after that are the migration's end */
    gint64 followed; /* when the bandwidth last followed what remains */
};

static const char hold_key[] = "hold";
static const char gate_key[] = "gate";

static struct hold *hold_of(const struct godwit_vm *source)
{
    return g_datalist_get_data(&source->rig->kept, hold_key);
}

/*
 * Where pages could not be marked, waits, if need be, until `order` is some way from the pass in
 * which its bytes come round to zero. Pages are all zero then and cost next to nothing: a first
 * pass over them is over at once.
 */
static bool avoid_zeros(struct godwit_vm *source, GError **error)
{
    const struct godwit_workload *workload = &source->rig->setup->workload;
    if ((workload->flags & GODWIT_FLAG_STAMP) || godwit_memory_marked(source))
        return true;
    for (unsigned cpu = 0; cpu < workload->cpus;) {
        struct godwit_mailbox mailbox;
        /* Memory that cannot be read is for the oracles to complain of. */
        if (!godwit_memory_mailbox(source, cpu, &mailbox, NULL))
            return true;
        if (mailbox.passes % 256 < 256 - PASSES_BEFORE_ZERO && mailbox.passes % 256 > 0)
            cpu++;
        else if (!godwit_vm_wait_console(source, 0, source->console->passes + 1, error))
            return false;
    }
    return true;
}

/* The bytes that are sent of a page of the window: what the guest leaves alone is zero, and whole
 * pages of QEMU's are sent, however few of their bytes it dirties. */
static uint64_t page_bytes(const struct godwit_workload *workload)
{
    return (workload->flags & GODWIT_FLAG_STAMP) ? workload->page_size
                                                 : MIN(workload->page_size, QEMU_PAGE);
}

/* The bytes that a pass over the window sends. Zero pages cost next to nothing: a page in
 * GODWIT_STAMP_CYCLE at any time. */
static double pass_bytes(const struct godwit_workload *workload)
{
    const double window = (double)(godwit_workload_pages(workload) * page_bytes(workload));
    return (workload->flags & GODWIT_FLAG_STAMP) && (workload->flags & GODWIT_FLAG_ZERO)
               ? window - window / GODWIT_STAMP_CYCLE
               : window;
}

/* The bytes that are sent of all RAM blocks if every page is zero: some of them come before the
 * window. */
static void zero_bytes(struct godwit_vm *source, double *bytes)
{
    *bytes = 0;
    /* Memory that cannot be listed is for the oracles to complain of. */
    if (!godwit_memory_map(source, NULL)) {
        *bytes =
            (double)((uint64_t)source->rig->setup->memory_mib << 20) / QEMU_PAGE * ZERO_PAGE_BYTES;
        return;
    }
    for (guint i = 0; i < source->blocks->len; i++)
        *bytes += (double)g_array_index(source->blocks, struct godwit_block, i).length / QEMU_PAGE *
                  ZERO_PAGE_BYTES;
}

static bool set_bandwidth(struct godwit_vm *source, struct hold *hold, double bandwidth,
                          GError **error)
{
    hold->bandwidth = (json_int_t)CLAMP(bandwidth, BANDWIDTH_LEAST, (double)BANDWIDTH_UNLIMITED);
    const struct godwit_parameter held[] = {{"max-bandwidth", hold->bandwidth, NULL},
                                            {"downtime-limit", DOWNTIME_HELD, NULL},
                                            {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, held, error);
}

/* With the valve open a pass over the window takes SECONDS at least, longer if the guest is slow.
 */
static void note_pace(struct godwit_vm *source, struct hold *hold, double seconds)
{
    const struct godwit_workload *workload = &source->rig->setup->workload;
    const double guest =
        (double)source->console->interval / G_USEC_PER_SEC / workload->passes_per_report;
    if (guest > 0)
        json_object_set_new(source->rig->facts, "pass_ms", json_real(guest * 1000));
    seconds = CLAMP(GUEST_PASSES * guest, seconds, OPEN_SECONDS_MOST);
    hold->open_bandwidth = (json_int_t)(pass_bytes(workload) / seconds);
}

static bool begin(struct godwit_vm *source, double first, GError **error)
{
    double zeros = 0;
    struct hold *hold = g_new0(struct hold, 1);
    g_datalist_set_data_full(&source->rig->kept, hold_key, hold, g_free);
    hold->next = source->qmp->events->len;
    note_pace(source, hold, OPEN_SECONDS);
    zero_bytes(source, &zeros);
    const double window = pass_bytes(&source->rig->setup->workload);
    return set_bandwidth(source, hold,
                         MAX(window / CLOSED_SECONDS, window * first / PERIOD) + zeros / PERIOD,
                         error) &&
           avoid_zeros(source, error);
}

bool godwit_migrate_hold(struct godwit_vm *source, GError **error)
{
    return begin(source, 0, error);
}

bool godwit_migrate_hold_file(struct godwit_vm *source, GError **error)
{
    return begin(source, FILE_FIRST, error);
}

void godwit_migrate_hold_pace(struct godwit_vm *source, json_int_t bandwidth)
{
    hold_of(source)->open_bandwidth = bandwidth;
}

/* The relay's valve. */
struct gate {
    GPtrArray *channels; /* of struct godwit_flow, borrowed from the relay */
    size_t open;         /* rate of each of them with the valve open, in bytes a second */
    size_t rate;         /* the present one; 0: any */
};

static void free_gate(gpointer data)
{
    struct gate *gate = data;
    g_ptr_array_unref(gate->channels);
    g_free(gate);
}

static void add_channel(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                        gpointer data)
{
    struct gate *gate = data;
    (void)answered;
    (void)index;
    g_ptr_array_add(gate->channels, sent);
    godwit_flow_slow(sent, 0, gate->rate);
}

static struct gate *gate_of(struct godwit_rig *rig)
{
    return g_datalist_get_data(&rig->kept, gate_key);
}

static void set_gate(struct gate *gate, size_t rate)
{
    if (!gate)
        return;
    gate->rate = rate;
    for (guint i = 0; i < gate->channels->len; i++)
        godwit_flow_slow(g_ptr_array_index(gate->channels, i), 0, rate);
}

void godwit_migrate_gate(struct godwit_rig *rig, struct godwit_relay *relay, bool compressed)
{
    struct gate *gate = g_new0(struct gate, 1);
    gate->channels = g_ptr_array_new();
    gate->open = compressed ? CHANNEL_OPEN_COMPRESSED : CHANNEL_OPEN;
    gate->rate = gate->open;
    g_datalist_set_data_full(&rig->kept, gate_key, gate, free_gate);
    godwit_relay_narrow(relay);
    godwit_relay_greet(relay, add_channel, gate);
}

void godwit_migrate_ungate(struct godwit_rig *rig)
{
    set_gate(gate_of(rig), 0);
}

void godwit_migrate_forget_gate(struct godwit_rig *rig)
{
    g_datalist_remove_data(&rig->kept, gate_key);
}

bool godwit_migrate_release(struct godwit_vm *source, GError **error)
{
    /* QEMU goes by the new downtime limit when its next period is over. Until then more bandwidth
     * would have it send the same pages over and over, except in the first period, in which the
     * end of the first pass is the migration's. */
    const bool first = g_get_monotonic_time() - source->migration_began < PERIOD * G_USEC_PER_SEC;
    /* Behind a closed gate nothing may have gone out in that period: a rate of zero. */
    const bool gated = gate_of(source->rig) != NULL;
    const struct godwit_parameter released[] = {
        {"downtime-limit", DOWNTIME_UNLIMITED, NULL},
        {first || gated ? "max-bandwidth" : NULL, BANDWIDTH_UNLIMITED, NULL},
        {NULL, 0, NULL}};
    godwit_migrate_ungate(source->rig);
    return godwit_migrate_set_parameters(source, released, error);
}

/* Pages that the guest has written since it was started. */
static bool ask_written(struct godwit_vm *source, uint64_t *pages, GError **error)
{
    const struct godwit_workload *workload = &source->rig->setup->workload;
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

/* Takes the events that have come: true if there was one, of a pass or of the migration's end. */
static bool take_events(struct godwit_vm *source, struct hold *hold)
{
    const GPtrArray *events = source->qmp->events;
    bool any = false;
    hold->next = MAX(hold->next, source->migration_first);
    while (hold->next < events->len) {
        const json_t *event = g_ptr_array_index(events, hold->next++);
        const json_t *details = json_object_get(event, "data");
        hold->stopped |= godwit_qmp_event_is(event, "STOP", NULL);
        if (godwit_qmp_event_is(event, "MIGRATION_PASS", NULL) && !hold->stopped) {
            hold->pass = (guint)godwit_json_integer(details, "pass", 0);
            hold->was_sending = hold->sending;
            hold->was_written = hold->written;
            hold->sending = false;
            hold->sent = hold->pass > 1 ? -1 : 0;
            any = true;
        } else if (godwit_qmp_event_is(event, "MIGRATION", NULL)) {
            const char *status = godwit_json_string(details, "status", "");
            hold->over |= !strcmp(status, "completed") || !strcmp(status, "failed") ||
                          !strcmp(status, "cancelled") || !strcmp(status, "pre-switchover");
            any |= hold->over;
        }
    }
    return any;
}

/* Pages that the guest has written since the first page of the pass was sent that turned out to be
 * the last; 0 if it was over before anybody could look. */
static bool ask_last(struct godwit_vm *source, const struct hold *hold, uint64_t *pages,
                     GError **error)
{
    uint64_t now = 0;
    if (!ask_written(source, &now, error))
        return false;
    /* QEMU begins another pass before it stops the guest, to see what is dirty. */
    *pages = hold->sending ? now - hold->written : hold->was_sending ? now - hold->was_written : 0;
    return true;
}

/* Reports that a held migration has ended. Always false. */
static bool fail_over(struct godwit_vm *source, const struct hold *hold, GError **error)
{
    const uint64_t window = godwit_workload_pages(&source->rig->setup->workload);
    uint64_t written = 0;
    /* A QEMU that dies ends the migration of its peer, too. */
    if (!godwit_rig_survives(source->rig, error))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const char *state = godwit_json_string(info, "status", "none");
    if (strcmp(state, "completed") != 0 && strcmp(state, "pre-switchover") != 0 &&
        strcmp(state, "device") != 0)
        return godwit_migrate_fail(source, error,
                                   "the migration came to its end (%s) before it was proven to be "
                                   "live",
                                   state);
    if (!ask_last(source, hold, &written, error))
        return false;
    if (written < MAX(window / STARVED_PART, 1))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the host did not let the guest run: it wrote %" PRIu64
                           " of its %" PRIu64
                           " pages in the last pass, so that the migration came to its end (%s) "
                           "before it was proven to be live; run fewer jobs (-j), or use a quieter "
                           "host",
                           written, window, state);
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the migration came to its end (%s) before it was proven to be live, "
                       "although it was held back",
                       state);
}

static bool open_valve(struct godwit_vm *source, struct hold *hold, GError **error)
{
    struct gate *gate = gate_of(source->rig);
    hold->open = true;
    set_gate(gate, gate ? gate->open : 0);
    return set_bandwidth(source, hold, (double)hold->open_bandwidth, error);
}

/* Closes the valve, or, closed, follows what remains. A gate closes at once: its caller may have
 * to wait for QEMU's answer. */
static bool close_valve(struct godwit_vm *source, struct hold *hold, GError **error)
{
    json_int_t remaining;
    set_gate(gate_of(source->rig), CHANNEL_CLOSED);
    if (hold->open &&
        !set_bandwidth(source, hold, pass_bytes(&source->rig->setup->workload) / CLOSED_SECONDS,
                       error))
        return false;
    hold->open = false;
    hold->followed = g_get_monotonic_time();
    if (!ask_ram(source, &hold->asked, &remaining, error))
        return false;
    const double wanted = MAX((double)remaining / CLOSED_SECONDS, BANDWIDTH_LEAST);
    return remaining == 0 || wanted >= (double)hold->bandwidth ||
           set_bandwidth(source, hold, wanted, error);
}

/* Notes from when on what the guest writes is sent again. *DIRTIED if it has written all of its
 * window since. */
static bool watch_guest(struct godwit_vm *source, struct hold *hold, bool *dirtied, GError **error)
{
    json_int_t remaining;
    uint64_t written;
    *dirtied = false;
    if (hold->sending) {
        if (!ask_written(source, &written, error))
            return false;
        *dirtied = written - hold->written >= godwit_workload_pages(&source->rig->setup->workload);
        return true;
    }
    if (!ask_ram(source, &hold->asked, &remaining, error))
        return false;
    if (hold->sent < 0)
        hold->sent = hold->asked;
    hold->sending = hold->asked > hold->sent;
    return ask_written(source, &hold->written, error);
}

/* How often something is looked at that no event tells of. In milliseconds. */
#define LOOK_MS 1

/* What a held migration is waited for. */
struct goal {
    struct godwit_vm *source;
    struct hold *hold;
    godwit_condition condition;
    gpointer data;
};

static bool reached_or_event(gpointer data)
{
    struct goal *goal = data;
    return take_events(goal->source, goal->hold) || goal->condition(goal->data);
}

/* One turn of the loop around the valve: lets a pass end when the guest has dirtied its window,
 * and waits for something to happen. */
static bool turn(struct goal *goal, const char *what, GError **error)
{
    struct godwit_vm *source = goal->source;
    struct hold *hold = goal->hold;
    const guint pass = hold->pass;
    bool dirtied;
    if (hold->open) {
        if (!godwit_rig_wait(source->rig, reached_or_event, goal, what, error))
            return false;
        if (hold->over || hold->pass == pass)
            return true;
        godwit_migrate_report_progress(source);
        return close_valve(source, hold, error);
    }
    if (!watch_guest(source, hold, &dirtied, error))
        return false;
    return dirtied ? open_valve(source, hold, error)
                   : godwit_rig_rest(source->rig, LOOK_MS, what, error);
}

bool godwit_migrate_wait_held(struct godwit_vm *source, godwit_condition condition, gpointer data,
                              const char *what, GError **error)
{
    struct goal goal = {source, hold_of(source), condition, data};
    for (;;) {
        take_events(source, goal.hold);
        if (goal.hold->over)
            return fail_over(source, goal.hold, error);
        if (condition(data))
            break;
        if (!turn(&goal, what, error))
            return false;
    }
    return !goal.hold->open || close_valve(source, goal.hold, error);
}

struct pass_goal {
    const struct hold *hold;
    guint past;
};

static bool pass_began(gpointer data)
{
    const struct pass_goal *goal = data;
    return goal->hold->pass > goal->past;
}

bool godwit_migrate_next_pass(struct godwit_vm *source, guint *pass, GError **error)
{
    struct pass_goal goal = {hold_of(source), *pass};
    g_autofree char *what =
        g_strdup_printf("the source to begin pass %u over its memory", *pass + 1);
    if (!godwit_migrate_wait_held(source, pass_began, &goal, what, error))
        return false;
    *pass = goal.hold->pass;
    return true;
}

enum {
    /* Of a page: `order` changes its first byte, `stamp:sparse` one word in sixteen. In bytes. */
    PROOF = 8 * GODWIT_STAMP_CLASSES,
    /* Pages that are looked at, spread over the window. */
    SAMPLES = 64,
};

/* Where sample I is. */
static uint64_t sample(const struct godwit_workload *workload, uint64_t i)
{
    return workload->window_start +
           godwit_workload_pages(workload) * i / SAMPLES * (uint64_t)workload->page_size;
}

/* How much of a sample is looked at. */
static size_t proof_length(const struct godwit_vm *source)
{
    return MIN(PROOF, source->rig->setup->workload.page_size);
}

static bool read_samples(struct godwit_vm *source, unsigned char (*samples)[PROOF], GError **error)
{
    for (uint64_t i = 0; i < SAMPLES; i++)
        if (!godwit_memory_read(source, sample(&source->rig->setup->workload, i), samples[i],
                                proof_length(source), error))
            return false;
    return true;
}

/* A proof that is looked for. */
struct proof {
    struct godwit_vm *source;
    struct hold *hold;
    struct godwit_vm *destination; /* or NULL: what is sent goes into a file */
    uint64_t gpa;                  /* the page that is to prove it, 0 for any */
    bool received;                 /* the destination has a page of the window */
    /* Of a file: */
    uint64_t unsent;                     /* pages of the window that may not have been sent */
    unsigned char noted[SAMPLES][PROOF]; /* what was there when the others had been */
};

/* Looks at the page at GPA for a byte that on the destination is neither that of untouched memory
 * nor the source's present one. Whether there is one is in *PROVEN. */
static bool seek_in_page(struct proof *proof, uint64_t gpa, bool *proven, GError **error)
{
    struct godwit_vm *source = proof->source;
    unsigned char received[PROOF], present[PROOF];
    const size_t length = proof_length(source);
    *proven = false;
    /* In this order: what the destination has was sent before the source is looked at. */
    if (!godwit_memory_read(proof->destination, gpa, received, length, error) ||
        !godwit_memory_read(source, gpa, present, length, error))
        return false;
    for (size_t b = 0; b < length && !*proven; b++) {
        proof->received |= received[b] != 0;
        if (received[b] == 0 || received[b] == present[b])
            continue;
        *proven = true;
        json_object_set_new(source->rig->facts, "live",
                            json_pack("{s:I, s:i, s:i, s:i}", "address", (json_int_t)(gpa + b),
                                      "received", received[b], "dirtied", present[b], "pass",
                                      (int)proof->hold->pass));
    }
    return true;
}

/* In one page, or in all samples. */
static bool seek_received(struct proof *proof, bool *proven, GError **error)
{
    const struct godwit_workload *workload = &proof->source->rig->setup->workload;
    if (proof->gpa)
        return seek_in_page(proof, proof->gpa, proven, error);
    *proven = false;
    for (uint64_t i = 0; i < SAMPLES && !*proven; i++)
        if (!seek_in_page(proof, sample(workload, i), proven, error))
            return false;
    return true;
}

/* By the samples, which are that far from each other: whether more pages were changed than may not
 * have been sent. */
static bool seek_changed(struct proof *proof, bool *proven, GError **error)
{
    struct godwit_vm *source = proof->source;
    unsigned char present[SAMPLES][PROOF];
    uint64_t changed = 0;
    *proven = false;
    if (!read_samples(source, present, error))
        return false;
    for (size_t i = 0; i < SAMPLES; i++)
        changed += memcmp(present[i], proof->noted[i], proof_length(source)) != 0;
    const uint64_t pages = godwit_workload_pages(&source->rig->setup->workload);
    *proven = changed > 0 && (changed - 1) * pages / SAMPLES >= proof->unsent;
    if (*proven)
        json_object_set_new(source->rig->facts, "live",
                            json_pack("{s:I, s:I, s:I, s:i}", "pages", (json_int_t)pages, "unsent",
                                      (json_int_t)proof->unsent, "changed",
                                      (json_int_t)(changed * pages / SAMPLES), "pass",
                                      (int)proof->hold->pass));
    return true;
}

/* Between two looks at memory, in looks' own time, which may be long by QMP. */
#define LOOK_REST 4

/* Keeps the valve closed, once there is enough on the other side for a proof. */
static bool keep_closed(struct proof *proof, GError **error)
{
    const bool enough = proof->received || !proof->destination;
    if (!enough ||
        (!proof->hold->open && g_get_monotonic_time() - proof->hold->followed < FOLLOW_US))
        return true;
    return close_valve(proof->source, proof->hold, error);
}

/* Looks for the proof until it is there. */
static bool prove(struct proof *proof, GError **error)
{
    struct godwit_vm *source = proof->source;
    gint64 rest = LOOK_MS, shown = g_get_monotonic_time();
    for (bool proven = false; !proven;) {
        if (!godwit_rig_rest(source->rig, (guint)rest, "the migration to be proven live", error))
            return false;
        take_events(source, proof->hold);
        if (proof->hold->over)
            return fail_over(source, proof->hold, error);
        bool dirtied;
        if (!proof->hold->sending && !watch_guest(source, proof->hold, &dirtied, error))
            return false;
        if (g_get_monotonic_time() - shown > GODWIT_PROGRESS_MS * 1000) {
            godwit_migrate_report_progress(source);
            shown = g_get_monotonic_time();
        }
        const gint64 began = g_get_monotonic_time();
        if (!(proof->destination ? seek_received(proof, &proven, error)
                                 : seek_changed(proof, &proven, error)))
            return false;
        rest = MAX(LOOK_REST * (g_get_monotonic_time() - began) / 1000, LOOK_MS);
        if (!keep_closed(proof, error))
            return false;
    }
    return true;
}

bool godwit_migrate_prove_page(struct godwit_vm *source, struct godwit_vm *destination,
                               uint64_t gpa, GError **error)
{
    struct proof proof = {
        .source = source, .hold = hold_of(source), .destination = destination, .gpa = gpa};
    return prove(&proof, error);
}

bool godwit_migrate_prove_live(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error)
{
    return godwit_migrate_prove_page(source, destination, 0, error);
}

/* Waits until enough of the window has been sent, and works out what has not: what is not of the
 * window is next to nothing. No event tells of that. */
static bool await_some(struct proof *proof, GError **error)
{
    struct godwit_vm *source = proof->source;
    const struct godwit_workload *workload = &source->rig->setup->workload;
    const uint64_t pages = godwit_workload_pages(workload);
    for (;;) {
        g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
        if (!info)
            return false;
        const uint64_t sent =
            (uint64_t)MAX(godwit_json_integer(json_object_get(info, "ram"), "normal-bytes", 0), 0);
        proof->unsent = pages - MIN(sent / page_bytes(workload), pages);
        /* All samples but one stand for as many pages. */
        if (proof->unsent <= (SAMPLES - 1) * pages / SAMPLES)
            return true;
        take_events(source, proof->hold);
        if (proof->hold->over)
            return fail_over(source, proof->hold, error);
        if (!godwit_rig_rest(source->rig, LOOK_MS, "the source to send its memory", error))
            return false;
    }
}

bool godwit_migrate_prove_dirtied(struct godwit_vm *source, GError **error)
{
    struct proof proof = {.source = source, .hold = hold_of(source)};
    return await_some(&proof, error) && close_valve(source, proof.hold, error) &&
           read_samples(source, proof.noted, error) && prove(&proof, error);
}
