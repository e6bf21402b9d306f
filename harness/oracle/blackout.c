/*
 * Measures the time between the source's last progress and the destination's first.
 *
 * A sample is passes, position and timer of the first CPU's mailbox, read with process_vm_readv(2).
 * A GSource of its own takes a sample each time the main loop goes round. While the switchover is
 * near, a timer makes it go round every NEAR_MS.
 *
 * The blackout begins with the last sample of the source that differed from the one before it. It
 * ends with the first sample of the destination that differs from what arrived there: the
 * destination's own mailbox before it runs, or in a postcopy the stopped source's. STOP and RESUME
 * narrow both ends down, because samples can be far apart on a busy host. In a postcopy the
 * destination is sampled only after its RESUME event.
 *
 * If the speed of the migration is measured, the mailboxes of all CPUs are sampled as well, every
 * NEAR_MS from the start to the end of the watch, for the brownout.
 *
 * course/ and the scenarios of cpr.c report the steps of the migration.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/blackout.h"

#include "memory/memory.h"
#include "oracle/brownout.h"
#include "oracle/ledger.h"
#include <math.h>
#include <string.h>

/* Time between samples while the switchover is near, in milliseconds. */
#define NEAR_MS 2

/* The part of the first CPU's mailbox that is sampled: passes, position and timer. */
#define SAMPLE_OFFSET GODWIT_MAILBOX_OFF_PASSES
#define SAMPLE_SIZE   (GODWIT_MAILBOX_OFF_FAULT_ADDRESS - GODWIT_MAILBOX_OFF_PASSES)

/* The samples of one side. Times are monotonic, in microseconds. */
struct side {
    struct godwit_vm *vm;
    uint64_t hva;                      /* address of the sampled bytes; 0: not readable */
    unsigned char latest[SAMPLE_SIZE]; /* the latest sample */
    gint64 taken;                      /* time of the latest sample; 0: none yet */
    gint64 changed; /* time of the last sample that differed from the one before; 0: none yet */
    gint64 gap;     /* time between those two samples */
};

struct watch {
    struct side source, destination;
    bool postcopy;
    bool left;                          /* the source must not be sampled any more */
    bool held;                          /* Godwit keeps the guest stopped ... */
    gint64 since;                       /* ... since then */
    gint64 held_for;                    /* length of all earlier such intervals */
    bool runs;                          /* the destination's guest runs, or is about to */
    unsigned char arrived[SAMPLE_SIZE]; /* what the destination's guest continues from */
    bool seen;                          /* the destination's guest made progress */
    unsigned samples;
    guint first;   /* index of the source's first event of this watch */
    guint resumed; /* index of the destination's first event that runs() has not looked at */
    GSource *each; /* takes a sample whenever the main loop goes round; owned */
    guint near;    /* id of the timer, or 0 */
    struct godwit_brownout *brownout; /* NULL: not measured; owned */
    gint64 followed;                  /* time of its latest sample */
};

/* A GSource that takes a sample each time the main loop goes round. */
struct each {
    GSource source;
    struct watch *watch;
};

/* What a testbed has of this oracle. */
struct godwit_blackout {
    struct watch *watch; /* the present one, or NULL */
    bool known;          /* an earlier watch has measured a blackout ... */
    double longest;      /* ... and this is the longest, in milliseconds */
};

/* Returns the testbed's present watch, or NULL. */
static struct watch *of(const struct godwit_testbed *testbed)
{
    return testbed->blackout ? testbed->blackout->watch : NULL;
}

/* Takes a sample. Returns false if that is not possible. */
static bool take(struct watch *watch, struct side *side)
{
    unsigned char now[SAMPLE_SIZE];
    if (!godwit_memory_peek(side->vm, side->hva, now, sizeof(now)))
        return false;
    const gint64 time = g_get_monotonic_time();
    if (side->taken && memcmp(now, side->latest, sizeof(now)) != 0) {
        side->changed = time;
        side->gap = time - side->taken;
    }
    memcpy(side->latest, now, sizeof(now));
    side->taken = time;
    watch->samples++;
    return true;
}

/* Returns true if the destination runs its guest. In a postcopy, an event reports that. */
static bool runs(struct watch *watch)
{
    if (!watch->postcopy || watch->runs)
        return watch->runs;
    const GPtrArray *events = watch->destination.vm->qmp->events;
    for (; !watch->runs && watch->resumed < events->len; watch->resumed++)
        watch->runs =
            godwit_qmp_event_is(g_ptr_array_index(events, watch->resumed), "RESUME", NULL);
    return watch->runs;
}

/* The least time between two samples of the brownout, in microseconds. The main loop goes round far
 * more often while it talks to a QEMU. */
#define FOLLOW_US 1000

/* Takes a sample for the brownout. */
static void follow(struct watch *watch)
{
    unsigned char bytes[GODWIT_MAX_CPUS * GODWIT_MAILBOX_STRIDE];
    const bool there = runs(watch);
    struct side *side = there ? &watch->destination : &watch->source;
    const size_t length = side->vm->testbed->setup->workload.cpus * GODWIT_MAILBOX_STRIDE;
    const gint64 now = g_get_monotonic_time();
    if ((!there && watch->left) || !side->hva || now - watch->followed < FOLLOW_US)
        return;
    if (godwit_memory_peek(side->vm, side->hva - SAMPLE_OFFSET, bytes, length))
        godwit_brownout_take(watch->brownout, now - watch->held_for, there, bytes);
    else if (there)
        /* A postcopy has not brought the mailbox yet: its guest has not come that far. */
        godwit_brownout_still(watch->brownout, now - watch->held_for);
    watch->followed = now;
}

/* Returns the timer in a SAMPLE of a side. */
static uint64_t timer_in(const struct side *side, const unsigned char *sample_)
{
    uint64_t timer;
    memcpy(&timer, sample_ + GODWIT_MAILBOX_OFF_TIMER - SAMPLE_OFFSET, sizeof(timer));
    return side->vm->testbed->setup->machine->big_endian ? GUINT64_FROM_BE(timer)
                                                         : GUINT64_FROM_LE(timer);
}

static void sample(struct watch *watch)
{
    struct side *source = &watch->source, *destination = &watch->destination;
    if (watch->held)
        return;
    if (watch->brownout)
        follow(watch);
    if (watch->seen)
        return;
    if (!runs(watch)) {
        if (!watch->left)
            take(watch, source);
        return;
    }
    if (watch->postcopy) {
        /* The source is stopped now, so its mailbox is the one that arrives. */
        take(watch, source);
        memcpy(watch->arrived, source->latest, SAMPLE_SIZE);
    }
    const gint64 before = destination->taken ? destination->taken : source->changed;
    if (!take(watch, destination) || !memcmp(destination->latest, watch->arrived, SAMPLE_SIZE))
        return;
    /* A known bug leaves an older mailbox on the destination (testbed->stale), whose timer is
     * behind. That it differs from the source's is no progress. */
    if (watch->postcopy &&
        timer_in(destination, destination->latest) < timer_in(source, watch->arrived))
        return;
    watch->seen = true;
    destination->changed = destination->taken;
    destination->gap = destination->taken - before;
}

static gboolean prepare(GSource *each, gint *timeout)
{
    sample(((struct each *)each)->watch);
    *timeout = -1;
    return FALSE;
}

static gboolean dispatch(GSource *each, GSourceFunc callback, gpointer data)
{
    (void)each;
    (void)callback;
    (void)data;
    return G_SOURCE_CONTINUE;
}

/* The timer only makes the main loop go round. */
static gboolean wake(gpointer data)
{
    struct watch *watch = data;
    if (!watch->seen || watch->brownout)
        return G_SOURCE_CONTINUE;
    watch->near = 0;
    return G_SOURCE_REMOVE;
}

static void end_watch(struct godwit_blackout *blackout)
{
    struct watch *watch = g_steal_pointer(&blackout->watch);
    if (!watch)
        return;
    g_source_destroy(watch->each);
    g_source_unref(watch->each);
    if (watch->near)
        g_source_remove(watch->near);
    godwit_brownout_free(watch->brownout);
    g_free(watch);
}

static void blackout_free(gpointer blackout)
{
    end_watch(blackout);
    g_free(blackout);
}

/* Makes WATCH the testbed's present watch. */
static void begin_watch(struct godwit_testbed *testbed, struct watch *watch)
{
    if (!testbed->blackout) {
        testbed->blackout = g_new0(struct godwit_blackout, 1);
        godwit_testbed_at_end(testbed, blackout_free, testbed->blackout);
    }
    end_watch(testbed->blackout);
    testbed->blackout->watch = watch;
}

/* Finds the sampled bytes of a VM. If its QEMU cannot report where they are, the migration is still
 * fine: the reason is recorded, and SIDE stays without a VM. */
static bool find(struct side *side, struct godwit_vm *vm, GError **error)
{
    const uint64_t gpa = vm->testbed->setup->image->mailbox + SAMPLE_OFFSET;
    g_autoptr(GError) cause = NULL;
    if (godwit_memory_hva(vm, gpa, SAMPLE_SIZE, &side->hva, &cause)) {
        side->vm = vm;
        return true;
    }
    if (cause->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    godwit_testbed_measure(vm->testbed, "blackout_unknown", json_string(cause->message));
    return true;
}

bool godwit_blackout_watch(struct godwit_vm *source, struct godwit_vm *destination, bool postcopy,
                           GError **error)
{
    static GSourceFuncs functions = {.prepare = prepare, .dispatch = dispatch};
    struct godwit_testbed *testbed = source->testbed;
    struct side here = {0}, there = {0};
    if (!godwit_oracle_judges(testbed, GODWIT_ORACLE_BLACKOUT))
        return true;
    if (!find(&here, source, error) || (destination && !find(&there, destination, error)))
        return false;
    if (!here.vm || (destination && !there.vm))
        return true;
    struct watch *watch = g_new0(struct watch, 1);
    watch->source = here;
    watch->destination = there;
    watch->postcopy = postcopy;
    watch->first = source->qmp->events->len;
    watch->resumed = destination ? destination->qmp->events->len : 0;
    if (testbed->setup->unthrottled && destination)
        watch->brownout =
            godwit_brownout_new(&testbed->setup->workload, testbed->setup->machine->big_endian);
    sample(watch);
    watch->each = g_source_new(&functions, sizeof(struct each));
    ((struct each *)watch->each)->watch = watch;
    g_source_attach(watch->each, NULL);
    begin_watch(testbed, watch);
    return true;
}

bool godwit_blackout_join(struct godwit_vm *destination, GError **error)
{
    struct watch *watch = of(destination->testbed);
    if (!watch)
        return true;
    if (!find(&watch->destination, destination, error))
        return false;
    if (!watch->destination.vm)
        end_watch(destination->testbed->blackout);
    return true;
}

void godwit_blackout_near(struct godwit_testbed *testbed)
{
    struct watch *watch = of(testbed);
    if (watch && !watch->near)
        watch->near = g_timeout_add(NEAR_MS, wake, watch);
}

void godwit_blackout_hold(struct godwit_testbed *testbed)
{
    struct watch *watch = of(testbed);
    if (!watch)
        return;
    sample(watch);
    watch->held = true;
    watch->since = g_get_monotonic_time();
}

static void let_go(struct watch *watch)
{
    if (watch->held)
        watch->held_for += g_get_monotonic_time() - watch->since;
    watch->held = false;
}

void godwit_blackout_let_go(struct godwit_testbed *testbed)
{
    struct watch *watch = of(testbed);
    if (watch)
        let_go(watch);
}

void godwit_blackout_leave(struct godwit_testbed *testbed)
{
    struct watch *watch = of(testbed);
    if (!watch)
        return;
    let_go(watch);
    watch->left = true;
}

void godwit_blackout_resume(struct godwit_testbed *testbed)
{
    struct watch *watch = of(testbed);
    if (!watch)
        return;
    let_go(watch);
    take(watch, &watch->destination);
    memcpy(watch->arrived, watch->destination.latest, SAMPLE_SIZE);
    watch->runs = true;
}

/* Returns the monotonic time of the latest event NAME, with STATUS unless that is NULL, from index
 * FIRST on, or 0. QEMU stamps its events with this host's time of day. */
static gint64 time_of_event(const struct godwit_vm *vm, guint first, const char *name,
                            const char *status)
{
    const gint64 offset = g_get_monotonic_time() - g_get_real_time();
    for (guint i = vm->qmp->events->len; i-- > first;) {
        const json_t *event = g_ptr_array_index(vm->qmp->events, i);
        const json_t *stamp = json_object_get(event, "timestamp");
        if (stamp && godwit_qmp_event_is(event, name, status))
            return godwit_json_integer(stamp, "seconds", 0) * G_USEC_PER_SEC +
                   godwit_json_integer(stamp, "microseconds", 0) + offset;
    }
    return 0;
}

/* Samples can be far apart on a busy host. But nothing changes on a source after it reports STOP,
 * nor on a destination before it reports RESUME. */
static void narrow(struct watch *watch)
{
    struct side *source = &watch->source, *destination = &watch->destination;
    const gint64 stopped = time_of_event(source->vm, watch->first, "STOP", NULL);
    const gint64 resumed = time_of_event(destination->vm, 0, "RESUME", NULL);
    if (stopped && stopped < source->changed) {
        source->gap = MAX(source->gap - (source->changed - stopped), 0);
        source->changed = stopped;
    }
    if (resumed && resumed < destination->changed)
        destination->gap = MIN(destination->gap, destination->changed - resumed);
}

/* Records the blackout. Returns this watch's, in milliseconds; NaN: unknown. */
static double note(struct godwit_testbed *testbed, struct watch *watch)
{
    const struct side *source = &watch->source, *destination = &watch->destination;
    if (!source->hva || !destination->hva) {
        godwit_testbed_measure(testbed, "blackout_unknown",
                               json_string("needs process_vm_readv, which this system refuses"));
        return (double)NAN;
    }
    if (!watch->seen)
        return (double)NAN; /* something else has failed, and has been reported */
    if (!source->changed) {
        godwit_testbed_measure(testbed, "blackout_unknown",
                               json_string("the source's guest stopped before two samples of its "
                                           "mailbox differed"));
        return (double)NAN;
    }
    narrow(watch);
    const double ms =
        MAX((double)(destination->changed - source->changed - watch->held_for) / 1000.0, 0);
    godwit_oracle_count(testbed, GODWIT_ORACLE_BLACKOUT, GODWIT_UNIT_SAMPLES, watch->samples);
    godwit_oracle_count(testbed, GODWIT_ORACLE_BLACKOUT, GODWIT_UNIT_BYTES,
                        watch->samples * (uint64_t)SAMPLE_SIZE);
    struct godwit_blackout *blackout = testbed->blackout;
    if (blackout->known && blackout->longest >= ms)
        return ms;
    blackout->known = true;
    blackout->longest = ms;
    godwit_testbed_unmeasure(testbed, "blackout_unknown");
    godwit_testbed_measure(testbed, "blackout_ms", json_real(blackout->longest));
    godwit_testbed_measure(testbed, "blackout_resolution_ms",
                           json_real((double)MAX(source->gap, destination->gap) / 1000.0));
    return ms;
}

/* Records the brownout of a watch that has seen the guest go on. BLACKOUT as in note(). */
static void note_brownout(struct godwit_testbed *testbed, struct watch *watch, double blackout)
{
    const struct godwit_vm *source = watch->source.vm, *destination = watch->destination.vm;
    const gint64 setup = time_of_event(source, watch->first, "MIGRATION", "setup");
    const gint64 sent = time_of_event(source, watch->first, "MIGRATION", "completed");
    const gint64 loaded = time_of_event(destination, 0, "MIGRATION", "completed");
    const gint64 stopped = time_of_event(destination, 0, "STOP", NULL);
    const gint64 first = time_of_event(source, watch->first, "STOP", NULL);
    const char *why = "the guest was stopped before its migration";
    /* Both ends of a migration come before Godwit stops the guest; what comes after is moved. */
    const struct godwit_brownout_marks marks = {
        .setup = setup,
        .over = MAX(MAX(sent, loaded), watch->destination.changed - watch->held_for),
        .stopped = stopped ? stopped - watch->held_for : 0,
        .blackout = blackout,
    };
    json_t *result =
        first && first < setup ? NULL : godwit_brownout_result(watch->brownout, &marks, &why);
    if (result) {
        json_object_set_new(result, "held_ms", json_real((double)watch->held_for / 1000.0));
        godwit_testbed_measure(testbed, "brownout", result);
    } else {
        godwit_testbed_measure(testbed, "brownout_unknown", json_string(why));
    }
}

void godwit_blackout_end(struct godwit_testbed *testbed)
{
    struct watch *watch = of(testbed);
    if (!watch)
        return;
    sample(watch);
    const double blackout = note(testbed, watch);
    if (watch->brownout && watch->seen)
        note_brownout(testbed, watch, blackout);
    end_watch(testbed->blackout);
}
