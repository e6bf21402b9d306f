/*
 * Measures from outside, and by QEMU's own events, whose stamps are finer than the milliseconds of
 * query-migrate.
 *
 * The CPU time of a process includes that of threads that have ended, as the migration's have when
 * it is over. The guest's CPUs would hide all else, because under TCG they never rest: theirs is
 * subtracted.
 *
 * The threads of both sides are looked at every LOOK_MS, because a migration's own end with it.
 * What a thread used after the last look is in the time of the process only, as "ended_ms".
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/pace.h"

#include "course/iterations.h"
#include "course/threads.h"
#include "course/waterfall.h"
#include "qemu/trace.h"
#include <string.h>
#include <time.h>

/* The time between two looks at the threads, in milliseconds. */
#define LOOK_MS 10

/* The trace event that has the dirty pages of each iteration. */
#define SYNC_EVENT "migration_bitmap_sync_end"

/* One side. */
struct side {
    const char *name;
    struct godwit_vm *vm;
    GArray *threads;                /* of json_int_t: the threads of the guest's CPUs */
    guint first;                    /* index of its first event of this migration */
    gint64 cpu;                     /* CPU time at the beginning, in nanoseconds; -1: unknown ... */
    gint64 whole;                   /* ... and that of the whole process */
    struct godwit_threads *by_name; /* NULL: unknown */
    bool traces;                    /* the QEMU traces the devices' part of the downtime */
};

struct godwit_pace {
    struct side source, destination;
    bool by_file; /* the destination begins when the source is done */
    struct godwit_iterations *iterations;
    guint look; /* id of the timer that looks at the threads */
};

/* Returns the text of FILE in the folder of a process; NULL if it cannot be read. The caller frees
 * it. */
static char *read_proc(pid_t pid, const char *file)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, file);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* Returns the CPU time that a thread of process PID has used, in nanoseconds; -1 if unknown. */
static gint64 thread_time(pid_t pid, json_int_t thread)
{
    g_autofree char *file = g_strdup_printf("task/%" JSON_INTEGER_FORMAT "/schedstat", thread);
    g_autofree char *text = read_proc(pid, file);
    return text ? godwit_threads_time(text) : -1;
}

/* Returns the CPU time that a QEMU has used beside its guest's CPUs, in nanoseconds, and sets
 * *WHOLE to that of all threads; both are -1 if unknown. */
static gint64 cpu_time(const struct side *side, gint64 *whole)
{
    const pid_t pid = godwit_vm_pid(side->vm);
    clockid_t clock;
    struct timespec time;
    *whole = -1;
    /* If PID is a program that has started QEMU, the threads are not among its own. */
    if (pid <= 0 || !side->threads->len || clock_getcpuclockid(pid, &clock) ||
        clock_gettime(clock, &time))
        return -1;
    const gint64 all = (gint64)time.tv_sec * 1000000000 + time.tv_nsec;
    gint64 sum = all;
    for (guint i = 0; i < side->threads->len; i++) {
        const gint64 spent = thread_time(pid, g_array_index(side->threads, json_int_t, i));
        if (spent < 0)
            return -1;
        sum -= spent;
    }
    *whole = all;
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

static gboolean look(gpointer data)
{
    const struct godwit_pace *pace = data;
    const struct side *const sides[] = {&pace->source, &pace->destination};
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++)
        if (sides[i]->by_name && !sides[i]->vm->exited)
            godwit_threads_look(sides[i]->by_name);
    return G_SOURCE_CONTINUE;
}

/* The longest that the source may take to answer after the deadline, in seconds. */
#define ANSWER_SECONDS 10

/* Asks the source how far it has come. That it does not answer is noticed elsewhere. The deadline
 * may be that of a migration that is given up. It must not cut an answer off: QMP would take that
 * for the answer to the next command. */
static void ask(const struct godwit_pace *pace)
{
    struct godwit_testbed *testbed = pace->source.vm->testbed;
    const gint64 before = g_get_real_time(), deadline = testbed->deadline;
    testbed->deadline = MAX(deadline, godwit_testbed_seconds(testbed, ANSWER_SECONDS));
    g_autoptr(json_t) info = godwit_vm_execute(pace->source.vm, "query-migrate", NULL, NULL);
    testbed->deadline = deadline;
    if (info)
        godwit_iterations_take(pace->iterations, before + (g_get_real_time() - before) / 2, info);
}

static void poll_source(struct godwit_vm *vm, gpointer data)
{
    const struct godwit_pace *pace = data;
    if (vm == pace->source.vm)
        ask(pace);
}

/* Begins with one side. */
static bool begin_side(struct side *side, GError **error)
{
    const pid_t pid = godwit_vm_pid(side->vm);
    /* The events are written while the guest is stopped, a line for each device, and QEMU 7.2 has
     * none: they would make only newer QEMUs slower. */
    if (!ask_threads(side, error))
        return false;
    if (!side->vm->testbed->setup->untraced &&
        !godwit_waterfall_trace(side->vm, GODWIT_WATERFALL_EVENTS, &side->traces, error))
        return false;
    side->cpu = cpu_time(side, &side->whole);
    if (side->cpu >= 0) {
        g_autofree char *folder = g_strdup_printf("/proc/%d", (int)pid);
        side->by_name = godwit_threads_new(folder);
    }
    return true;
}

struct godwit_pace *godwit_pace_begin(struct godwit_vm *source, struct godwit_vm *destination,
                                      bool by_file, GError **error)
{
    struct godwit_pace *pace = g_new0(struct godwit_pace, 1);
    struct side *const sides[] = {&pace->source, &pace->destination};
    struct godwit_vm *const vms[] = {source, destination};
    static const char *const names[] = {"source", "destination"};
    bool syncs;
    pace->by_file = by_file;
    pace->iterations = godwit_iterations_new();
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++) {
        sides[i]->name = names[i];
        sides[i]->vm = vms[i];
        sides[i]->first = vms[i]->qmp->events->len;
        sides[i]->threads = g_array_new(FALSE, FALSE, sizeof(json_int_t));
    }
    if (!godwit_waterfall_trace(source, SYNC_EVENT, &syncs, error) ||
        !begin_side(&pace->source, error) || !begin_side(&pace->destination, error)) {
        godwit_pace_end(pace, false);
        return NULL;
    }
    pace->look = g_timeout_add(LOOK_MS, look, pace);
    source->testbed->poll = poll_source;
    source->testbed->poll_data = pace;
    return pace;
}

/* Returns the time of day of an event, in microseconds. */
static gint64 stamp_of(const json_t *event)
{
    const json_t *stamp = json_object_get(event, "timestamp");
    return godwit_json_integer(stamp, "seconds", 0) * G_USEC_PER_SEC +
           godwit_json_integer(stamp, "microseconds", 0);
}

/* Returns the time of day at which a QEMU reported that its migration is in STATE, in microseconds;
 * 0 if it did not. */
static gint64 time_of(const struct side *side, const char *state)
{
    const GPtrArray *events = side->vm->qmp->events;
    for (guint i = side->first; i < events->len; i++) {
        const json_t *event = g_ptr_array_index(events, i);
        if (godwit_qmp_event_is(event, "MIGRATION", state))
            return stamp_of(event);
    }
    return 0;
}

static void measure(const struct side *side, const char *what, json_t *value)
{
    g_autofree char *member = g_strdup_printf("%s_%s", side->name, what);
    godwit_testbed_measure_member(side->vm->testbed, "pace", member, value);
}

static void record_cpu(const struct side *side)
{
    gint64 whole;
    const gint64 now = cpu_time(side, &whole);
    const pid_t pid = godwit_vm_pid(side->vm);
    g_autofree char *status = pid > 0 ? read_proc(pid, "status") : NULL;
    const gint64 peak = status ? godwit_threads_peak(status) : -1;
    if (peak >= 0)
        measure(side, "peak_bytes", json_integer(peak));
    if (now < 0 || side->cpu < 0)
        return;
    measure(side, "cpu_ms", json_real((double)(now - side->cpu) / 1e6));
    godwit_threads_look(side->by_name);
    double sum = 0;
    measure(side, "threads_ms", godwit_threads_used(side->by_name, &sum));
    measure(side, "ended_ms", json_real(MAX((double)(whole - side->whole) / 1e6 - sum, 0)));
}

/* Records the states of a side: its events that belong to the migration. */
static void record_states(const struct side *side, gint64 setup, json_t *states)
{
    static const char *const names[] = {"STOP", "RESUME"};
    const GPtrArray *events = side->vm->qmp->events;
    for (guint i = side->first; i < events->len; i++) {
        const json_t *event = g_ptr_array_index(events, i);
        const char *state = NULL;
        if (godwit_qmp_event_is(event, "MIGRATION", NULL))
            state = godwit_json_string(json_object_get(event, "data"), "status", NULL);
        for (size_t n = 0; n < G_N_ELEMENTS(names); n++)
            if (godwit_qmp_event_is(event, names[n], NULL))
                state = names[n];
        if (state)
            json_array_append_new(states,
                                  json_pack("{s:s, s:s, s:f}", "side", side->name, "state", state,
                                            "at_ms", (double)(stamp_of(event) - setup) / 1000));
    }
}

/* Records what was sent in which iteration. */
static void record_transfer(const struct godwit_pace *pace, const GPtrArray *traces, gint64 setup,
                            gint64 sent)
{
    const struct side *source = &pace->source;
    const GPtrArray *events = source->vm->qmp->events;
    for (guint i = source->first; i < events->len; i++) {
        const json_t *event = g_ptr_array_index(events, i);
        if (godwit_qmp_event_is(event, "MIGRATION_PASS", NULL))
            godwit_iterations_begin(pace->iterations, stamp_of(event));
    }
    for (guint i = 0; traces && i < traces->len; i++) {
        const struct godwit_trace *trace = g_ptr_array_index(traces, i);
        g_autofree char *pages = strcmp(trace->name, SYNC_EVENT)
                                     ? NULL
                                     : godwit_trace_between(trace, "dirty_pages ", "");
        gint64 found;
        if (pages && g_ascii_string_to_signed(pages, 10, 0, G_MAXINT64, &found, NULL))
            godwit_iterations_found(pace->iterations, trace->at, found);
    }
    json_t *transfer = godwit_iterations_result(pace->iterations, setup, sent),
           *states = json_array();
    record_states(source, setup, states);
    record_states(&pace->destination, setup, states);
    json_object_set_new(transfer, "states", states);
    godwit_testbed_measure(source->vm->testbed, "transfer", transfer);
}

/* Records which device took which part of the downtime. */
static void record_waterfall(const struct godwit_pace *pace, const GPtrArray *traces, gint64 setup)
{
    struct godwit_testbed *testbed = pace->source.vm->testbed;
    const struct side *const sides[] = {&pace->source, &pace->destination};
    g_autoptr(json_t) waterfall = godwit_waterfall_new();
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++) {
        g_autoptr(GPtrArray) theirs = i ? godwit_waterfall_traces(sides[i]->vm) : NULL;
        g_autofree char *why = NULL;
        if (!sides[i]->traces)
            why = g_strdup_printf("QEMU %s has no trace events " GODWIT_WATERFALL_EVENTS,
                                  sides[i]->vm->qemu->version);
        else if (!godwit_waterfall_add(waterfall, sides[i]->name, i ? theirs : traces, setup))
            why = g_strdup("its QEMU has traced nothing");
        g_autofree char *member = g_strdup_printf("%s_unknown", sides[i]->name);
        if (why)
            json_object_set_new(waterfall, member, json_string(why));
    }
    godwit_testbed_measure(testbed, "waterfall", json_incref(waterfall));
}

static void record(const struct godwit_pace *pace)
{
    const struct side *source = &pace->source, *destination = &pace->destination;
    const gint64 setup = time_of(source, "setup");
    const gint64 switched = time_of(source, "postcopy-active");
    const gint64 began = switched ? switched : setup;
    const gint64 sent = time_of(source, "completed");
    const gint64 ended = pace->by_file ? sent : MAX(sent, time_of(destination, "completed"));
    if (began && sent)
        godwit_testbed_measure_member(source->vm->testbed, "pace", "total_ms",
                                      json_real((double)(ended - began) / 1000.0));
    record_cpu(source);
    record_cpu(destination);
    if (!setup)
        return;
    g_autoptr(GPtrArray) traces = godwit_waterfall_traces(source->vm);
    ask(pace);
    record_transfer(pace, traces, setup, sent);
    if (!source->vm->testbed->setup->untraced)
        record_waterfall(pace, traces, setup);
}

static void clear_side(struct side *side)
{
    g_array_unref(side->threads);
    godwit_threads_free(side->by_name);
}

void godwit_pace_end(struct godwit_pace *pace, bool over)
{
    if (!pace)
        return;
    if (pace->look)
        g_source_remove(pace->look);
    pace->source.vm->testbed->poll = NULL;
    if (over)
        record(pace);
    clear_side(&pace->source);
    clear_side(&pace->destination);
    godwit_iterations_free(pace->iterations);
    g_free(pace);
}
