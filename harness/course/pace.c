/*
 * Measures from outside, and by QEMU's own events, whose stamps are finer than the milliseconds of
 * query-migrate.
 *
 * The CPU time of a process includes that of threads that have ended, as the migration's have when
 * it is over. The guest's CPUs would hide all else, because under TCG they never rest: theirs is
 * subtracted.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/pace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* One side. */
struct side {
    struct godwit_vm *vm;
    GArray *threads; /* of json_int_t: the threads of the guest's CPUs */
    guint first;     /* index of its first event of this migration */
    gint64 cpu;      /* CPU time at the beginning, in nanoseconds; -1: unknown */
};

struct godwit_pace {
    struct side source, destination;
    bool by_file; /* the destination begins when the source is done */
};

/* Returns the CPU time that a thread of process PID has used, in nanoseconds; -1 if unknown. */
static gint64 thread_time(pid_t pid, json_int_t thread)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/task/%" JSON_INTEGER_FORMAT "/schedstat", (int)pid, thread);
    g_autofree char *text = NULL;
    char *end = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return -1;
    const gint64 time = g_ascii_strtoll(text, &end, 10);
    return end != text && *end == ' ' ? time : -1;
}

/* Returns the CPU time that a QEMU has used beside its guest's CPUs, in nanoseconds; -1 if
 * unknown. */
static gint64 cpu_time(const struct side *side)
{
    const pid_t pid = godwit_vm_pid(side->vm);
    clockid_t clock;
    struct timespec time;
    /* If PID is a program that has started QEMU, the threads are not among its own. */
    if (pid <= 0 || !side->threads->len || clock_getcpuclockid(pid, &clock) ||
        clock_gettime(clock, &time))
        return -1;
    gint64 sum = (gint64)time.tv_sec * 1000000000 + time.tv_nsec;
    for (guint i = 0; i < side->threads->len; i++) {
        const gint64 spent = thread_time(pid, g_array_index(side->threads, json_int_t, i));
        if (spent < 0)
            return -1;
        sum -= spent;
    }
    return sum;
}

/* Asks a QEMU for the threads of its guest's CPUs. If it refuses, none are known. */
static bool ask_threads(struct side *side, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(json_t) cpus = godwit_vm_execute(side->vm, "query-cpus-fast", NULL, &cause);
    if (!cpus && cause->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    size_t i;
    json_t *cpu;
    json_array_foreach(cpus, i, cpu)
    {
        const json_int_t thread = godwit_json_integer(cpu, "thread-id", 0);
        bool listed = false;
        /* One thread may run several CPUs. */
        for (guint t = 0; t < side->threads->len; t++)
            listed = listed || g_array_index(side->threads, json_int_t, t) == thread;
        if (!listed)
            g_array_append_val(side->threads, thread);
    }
    return true;
}

struct godwit_pace *godwit_pace_begin(struct godwit_vm *source, struct godwit_vm *destination,
                                      bool by_file, GError **error)
{
    struct godwit_pace *pace = g_new0(struct godwit_pace, 1);
    pace->by_file = by_file;
    struct side *const sides[] = {&pace->source, &pace->destination};
    struct godwit_vm *const vms[] = {source, destination};
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++) {
        sides[i]->vm = vms[i];
        sides[i]->first = vms[i]->qmp->events->len;
        sides[i]->threads = g_array_new(FALSE, FALSE, sizeof(json_int_t));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++)
        if (!ask_threads(sides[i], error)) {
            godwit_pace_end(pace, false);
            return NULL;
        }
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++)
        sides[i]->cpu = cpu_time(sides[i]);
    return pace;
}

/* Returns the time of day at which a QEMU reported that its migration is in STATE, in microseconds;
 * 0 if it did not. */
static gint64 time_of(const struct side *side, const char *state)
{
    const GPtrArray *events = side->vm->qmp->events;
    for (guint i = side->first; i < events->len; i++) {
        const json_t *event = g_ptr_array_index(events, i);
        const json_t *stamp = json_object_get(event, "timestamp");
        if (godwit_qmp_event_is(event, "MIGRATION", state))
            return godwit_json_integer(stamp, "seconds", 0) * G_USEC_PER_SEC +
                   godwit_json_integer(stamp, "microseconds", 0);
    }
    return 0;
}

static void record_cpu(const struct side *side, const char *member)
{
    const gint64 now = cpu_time(side);
    if (now >= 0 && side->cpu >= 0)
        godwit_testbed_measure_member(side->vm->testbed, "pace", member,
                                      json_real((double)(now - side->cpu) / 1e6));
}

static void record(const struct godwit_pace *pace)
{
    const struct side *source = &pace->source, *destination = &pace->destination;
    const gint64 switched = time_of(source, "postcopy-active");
    const gint64 began = switched ? switched : time_of(source, "setup");
    const gint64 sent = time_of(source, "completed");
    const gint64 ended = pace->by_file ? sent : MAX(sent, time_of(destination, "completed"));
    if (began && sent)
        godwit_testbed_measure_member(source->vm->testbed, "pace", "total_ms",
                                      json_real((double)(ended - began) / 1000.0));
    record_cpu(source, "source_cpu_ms");
    record_cpu(destination, "destination_cpu_ms");
}

void godwit_pace_end(struct godwit_pace *pace, bool over)
{
    if (!pace)
        return;
    if (over)
        record(pace);
    g_array_unref(pace->source.threads);
    g_array_unref(pace->destination.threads);
    g_free(pace);
}
