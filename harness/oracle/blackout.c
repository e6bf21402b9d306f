/* SPDX-License-Identifier: MIT */
#include "oracle/blackout.h"

#include "memory/memory.h"
#include "oracle/ledger.h"
#include <string.h>

/* At most from sample to sample while the switchover is near. In milliseconds. */
#define NEAR_MS 2

/* What a sample is of the first CPU's mailbox: passes, position and timer. */
#define SAMPLE_OFFSET GODWIT_MAILBOX_OFF_PASSES
#define SAMPLE_SIZE   (GODWIT_MAILBOX_OFF_FAULT_ADDRESS - GODWIT_MAILBOX_OFF_PASSES)

/* What is known of the guest on one side. Times are monotonic, in microseconds. */
struct side {
    struct godwit_vm *vm;
    uint64_t hva;                      /* where what is sampled is; 0: out of reach */
    unsigned char latest[SAMPLE_SIZE]; /* the latest sample ... */
    gint64 taken;                      /* ... and when it was taken; 0: none yet */
    gint64
        changed; /* when the last one was taken that was not as the one before; 0: none yet ... */
    gint64 gap;  /* ... and how much earlier that one was */
};

struct blackout {
    struct side source, destination;
    bool postcopy;
    bool left;       /* the source is not to be looked at any more */
    bool held;       /* the harness keeps the guest from going on ... */
    gint64 since;    /* ... since then ... */
    gint64 held_for; /* ... and did so before, for that long in all */
    bool runs;       /* the destination does, or is about to; from where its guest goes on: */
    unsigned char arrived[SAMPLE_SIZE];
    bool seen; /* progress on the destination */
    unsigned samples;
    guint first;   /* index of the source's first event since the beginning ... */
    guint resumed; /* ... and of the first of the destination's not looked at yet */
    GSource *each; /* wakes up with the main loop; owned */
    guint near;    /* source of the timer, 0 if there is none */
};

/* The main loop's source that has a sample taken each time it goes round. */
struct each {
    GSource source;
    struct blackout *blackout;
};

static const char kept[] = "blackout";

static struct blackout *of(struct godwit_testbed *testbed)
{
    return g_datalist_get_data(&testbed->kept, kept);
}

/* Takes a sample. Whether it was possible. */
static bool take(struct blackout *blackout, struct side *side)
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
    blackout->samples++;
    return true;
}

/* Whether the destination runs its guest; it tells when it does so by itself. */
static bool runs(struct blackout *blackout)
{
    if (!blackout->postcopy || blackout->runs)
        return blackout->runs;
    const GPtrArray *events = blackout->destination.vm->qmp->events;
    for (; !blackout->runs && blackout->resumed < events->len; blackout->resumed++)
        blackout->runs =
            godwit_qmp_event_is(g_ptr_array_index(events, blackout->resumed), "RESUME", NULL);
    return blackout->runs;
}

static void sample(struct blackout *blackout)
{
    struct side *source = &blackout->source, *destination = &blackout->destination;
    if (blackout->seen || blackout->held)
        return;
    if (!runs(blackout)) {
        if (!blackout->left)
            take(blackout, source);
        return;
    }
    if (blackout->postcopy) {
        /* The source stands still by now: what it has is what arrives. */
        take(blackout, source);
        memcpy(blackout->arrived, source->latest, SAMPLE_SIZE);
    }
    const gint64 before = destination->taken ? destination->taken : source->changed;
    if (!take(blackout, destination) ||
        !memcmp(destination->latest, blackout->arrived, SAMPLE_SIZE))
        return;
    blackout->seen = true;
    destination->changed = destination->taken;
    destination->gap = destination->taken - before;
}

static gboolean prepare(GSource *each, gint *timeout)
{
    sample(((struct each *)each)->blackout);
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

/* The timer's source does nothing: that the main loop goes round is all it is for. */
static gboolean wake(gpointer data)
{
    struct blackout *blackout = data;
    if (!blackout->seen)
        return G_SOURCE_CONTINUE;
    blackout->near = 0;
    return G_SOURCE_REMOVE;
}

static void blackout_free(gpointer data)
{
    struct blackout *blackout = data;
    g_source_destroy(blackout->each);
    g_source_unref(blackout->each);
    if (blackout->near)
        g_source_remove(blackout->near);
    g_free(blackout);
}

/* Finds what is sampled of a VM. What its QEMU does not tell is no failure of the migration: that
 * is noted, and SIDE left without a VM. */
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
    json_object_set_new(vm->testbed->measurements, "blackout_unknown", json_string(cause->message));
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
    struct blackout *blackout = g_new0(struct blackout, 1);
    blackout->source = here;
    blackout->destination = there;
    blackout->postcopy = postcopy;
    blackout->first = source->qmp->events->len;
    blackout->resumed = destination ? destination->qmp->events->len : 0;
    sample(blackout);
    blackout->each = g_source_new(&functions, sizeof(struct each));
    ((struct each *)blackout->each)->blackout = blackout;
    g_source_attach(blackout->each, NULL);
    g_datalist_set_data_full(&testbed->kept, kept, blackout, blackout_free);
    return true;
}

bool godwit_blackout_join(struct godwit_vm *destination, GError **error)
{
    struct blackout *blackout = of(destination->testbed);
    if (!blackout)
        return true;
    if (!find(&blackout->destination, destination, error))
        return false;
    if (!blackout->destination.vm)
        g_datalist_remove_data(&destination->testbed->kept, kept);
    return true;
}

void godwit_blackout_near(struct godwit_testbed *testbed)
{
    struct blackout *blackout = of(testbed);
    if (blackout && !blackout->near)
        blackout->near = g_timeout_add(NEAR_MS, wake, blackout);
}

void godwit_blackout_hold(struct godwit_testbed *testbed)
{
    struct blackout *blackout = of(testbed);
    if (!blackout)
        return;
    sample(blackout);
    blackout->held = true;
    blackout->since = g_get_monotonic_time();
}

static void let_go(struct blackout *blackout)
{
    if (blackout->held)
        blackout->held_for += g_get_monotonic_time() - blackout->since;
    blackout->held = false;
}

void godwit_blackout_let_go(struct godwit_testbed *testbed)
{
    struct blackout *blackout = of(testbed);
    if (blackout)
        let_go(blackout);
}

void godwit_blackout_leave(struct godwit_testbed *testbed)
{
    struct blackout *blackout = of(testbed);
    if (!blackout)
        return;
    let_go(blackout);
    blackout->left = true;
}

void godwit_blackout_resume(struct godwit_testbed *testbed)
{
    struct blackout *blackout = of(testbed);
    if (!blackout)
        return;
    let_go(blackout);
    take(blackout, &blackout->destination);
    memcpy(blackout->arrived, blackout->destination.latest, SAMPLE_SIZE);
    blackout->runs = true;
}

/* When the latest event of that name was told, of those from index FIRST on, or 0. The time of day
 * that QEMU puts into it is this host's. */
static gint64 told_at(const struct godwit_vm *vm, guint first, const char *name)
{
    const gint64 offset = g_get_monotonic_time() - g_get_real_time();
    for (guint i = vm->qmp->events->len; i-- > first;) {
        const json_t *event = g_ptr_array_index(vm->qmp->events, i);
        const json_t *stamp = json_object_get(event, "timestamp");
        if (stamp && godwit_qmp_event_is(event, name, NULL))
            return godwit_json_integer(stamp, "seconds", 0) * G_USEC_PER_SEC +
                   godwit_json_integer(stamp, "microseconds", 0) + offset;
    }
    return 0;
}

/* Samples may be far apart on a busy host. But nothing changes on a source that has told that it
 * has stopped, nor on a destination before it tells that it runs. */
static void narrow(struct blackout *blackout)
{
    struct side *source = &blackout->source, *destination = &blackout->destination;
    const gint64 stopped = told_at(source->vm, blackout->first, "STOP");
    const gint64 resumed = told_at(destination->vm, 0, "RESUME");
    if (stopped && stopped < source->changed) {
        source->gap = MAX(source->gap - (source->changed - stopped), 0);
        source->changed = stopped;
    }
    if (resumed && resumed < destination->changed)
        destination->gap = MIN(destination->gap, destination->changed - resumed);
}

static void note(struct godwit_testbed *testbed, struct blackout *blackout)
{
    const struct side *source = &blackout->source, *destination = &blackout->destination;
    if (!source->hva || !destination->hva) {
        json_object_set_new(testbed->measurements, "blackout_unknown",
                            json_string("needs process_vm_readv, which this system refuses"));
        return;
    }
    if (!blackout->seen)
        return; /* there is another reason why not, and it has been told */
    if (!source->changed) {
        json_object_set_new(testbed->measurements, "blackout_unknown",
                            json_string("the source's guest was stopped before two samples of it "
                                        "differed"));
        return;
    }
    narrow(blackout);
    const double ms =
        (double)(destination->changed - source->changed - blackout->held_for) / 1000.0;
    const json_t *before = json_object_get(testbed->measurements, "blackout_ms");
    godwit_oracle_count(testbed, GODWIT_ORACLE_BLACKOUT, "samples", blackout->samples);
    godwit_oracle_count(testbed, GODWIT_ORACLE_BLACKOUT, "bytes",
                        blackout->samples * (uint64_t)SAMPLE_SIZE);
    if (before && json_real_value(before) >= ms)
        return;
    json_object_del(testbed->measurements, "blackout_unknown");
    json_object_set_new(testbed->measurements, "blackout_ms", json_real(MAX(ms, 0)));
    json_object_set_new(testbed->measurements, "blackout_resolution_ms",
                        json_real((double)MAX(source->gap, destination->gap) / 1000.0));
}

void godwit_blackout_end(struct godwit_testbed *testbed)
{
    struct blackout *blackout = of(testbed);
    if (!blackout)
        return;
    sample(blackout);
    note(testbed, blackout);
    g_datalist_remove_data(&testbed->kept, kept);
}
