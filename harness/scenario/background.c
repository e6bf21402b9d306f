/*
 * Background snapshots: a migration into a file that holds the guest as it was at the start, while
 * the guest runs on. QEMU write-protects RAM (userfaultfd) and saves each page before the guest's
 * first write to it.
 *
 * A guest that is stopped when the snapshot begins, and resumed while it is under way, shows
 * whether every byte is of that instant: its RAM is copied before. For one that runs, order or
 * stamps, position and registers show that memory and CPU are of one instant, and its passes that
 * this was the start.
 *
 * QEMU does not always keep to max-bandwidth here. So it writes into a FIFO, from which the harness
 * reads no more than the guest needs, until it may complete: whoever saves each page before it is
 * written cannot be done while the FIFO is full. What is read becomes the file.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/background.h"

#include "base/file.h"
#include "bugs/bugs.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIFO "snapshot.fifo"
/* How much is read at a time, in bytes: while the guest has not been seen to write, so little that
 * the window outlasts it, and then. */
#define SIP     ((size_t)16 << 10)
#define DRAUGHT ((size_t)256 << 10)
/* The guest must write this many pages meanwhile. QEMU saves each of them first. */
#define LEAST_WRITTEN 16u

/* The longest that a guest may take for a pass once it need not wait for its pages to be saved. */
#define GO_ON_SECONDS 10

struct godwit_scenario_state {
    struct godwit_background background;
};

static void flow_close(struct godwit_background_flow *flow)
{
    if (flow->source)
        g_source_remove(flow->source);
    if (flow->open) {
        close(flow->fifo);
        close(flow->file);
    }
    g_clear_error(&flow->failure);
    *flow = (struct godwit_background_flow){0};
}

void godwit_background_clear(struct godwit_background *background)
{
    flow_close(&background->flow);
    godwit_moment_clear(&background->moment);
}

static void clear(struct godwit_scenario_state *state)
{
    godwit_background_clear(&state->background);
}

static const struct godwit_capability on[] = {{"background-snapshot", true}, {NULL, false}};
static const struct godwit_capability off[] = {{"background-snapshot", false}, {NULL, false}};
static const struct godwit_snapshot_disks no_disks = {{NULL}, 0};

/* Returns a transport into a file that both QEMUs have. */
static enum godwit_transport transport_of(const struct godwit_setup *setup)
{
    return godwit_qemu_has(setup->source, "transport", "file") &&
                   godwit_qemu_has(setup->destination, "transport", "file")
               ? GODWIT_TRANSPORT_FILE
               : GODWIT_TRANSPORT_EXEC;
}

/* Makes the FIFO, and the file, in place of those of an earlier snapshot. */
static bool flow_open(struct godwit_testbed *testbed, struct godwit_background_flow *flow,
                      GError **error)
{
    g_autofree char *fifo = g_build_filename(testbed->directory, FIFO, NULL);
    g_autofree char *path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    unlink(fifo);
    if (mkfifo(fifo, 0600) ||
        (flow->fifo = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)) < 0)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot make %s: %s", fifo,
                           g_strerror(errno));
    flow->file = godwit_file_create(path, error);
    flow->open = flow->file >= 0;
    if (!flow->open)
        close(flow->fifo);
    return flow->open;
}

/* Moves at most MOST bytes that the FIFO has. Sets *MOVED to their number, 0 if it has none. */
static bool flow_move(const struct godwit_background_flow *flow, size_t most, size_t *moved,
                      GError **error)
{
    char bytes[16 << 10];
    for (*moved = 0; *moved < most;) {
        const ssize_t length = read(flow->fifo, bytes, MIN(sizeof(bytes), most - *moved));
        if (length < 0 && errno == EINTR)
            continue;
        if (length == 0 || (length < 0 && errno == EAGAIN))
            return true;
        for (ssize_t done = 0, now; done < length; done += now) {
            now = write(flow->file, bytes + done, (size_t)(length - done));
            if (now < 0)
                return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write the snapshot: %s",
                                   g_strerror(errno));
        }
        if (length < 0)
            return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot read the snapshot: %s",
                               g_strerror(errno));
        *moved += (size_t)length;
    }
    return true;
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct godwit_background_flow *flow = data;
    size_t moved;
    (void)fd;
    (void)condition;
    /* At its end a FIFO stays readable. */
    if (flow_move(flow, DRAUGHT, &moved, &flow->failure) && moved)
        return G_SOURCE_CONTINUE;
    flow->source = 0;
    return G_SOURCE_REMOVE;
}

/* Returns how many pages CPU 0 has written since its start. */
static uint64_t pages_of(const struct godwit_vm *vm, const struct godwit_mailbox *mailbox)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t step = workload->page_size * (uint64_t)workload->cpus;
    return mailbox->passes * (godwit_workload_pages(workload) / workload->cpus) +
           (mailbox->position - MIN(mailbox->position, workload->window_start)) / step;
}

/* Waits until the guest has written pages while the snapshot is under way, and reads what its CPUs
 * have done by then. No event reports a page. */
static bool see_it_write(struct godwit_background *background, struct godwit_vm *source,
                         GError **error)
{
    struct godwit_moment *moment = &background->moment;
    struct godwit_mailbox begin, now;
    size_t moved;
    if (!godwit_memory_mailbox(source, 0, &begin, error))
        return false;
    for (;;) {
        if (!godwit_memory_mailbox(source, 0, &now, error))
            return false;
        const char *state = godwit_migrate_reported_state(source);
        const uint64_t before = pages_of(source, &begin), after = pages_of(source, &now);
        if (strcmp(state, "active") != 0)
            return godwit_migrate_fail(source, error,
                                       "the background snapshot was %s when the guest had written "
                                       "%" PRIu64 " pages since its start, expected %u",
                                       state, after - MIN(after, before), LEAST_WRITTEN);
        if (after >= before + LEAST_WRITTEN) {
            godwit_testbed_measure(source->testbed, "written_meanwhile",
                                   json_integer((json_int_t)(after - before)));
            break;
        }
        if (!flow_move(&background->flow, SIP, &moved, error) ||
            !godwit_testbed_rest(source->testbed, GODWIT_REST_MS, "the guest to write", error))
            return false;
    }
    for (unsigned cpu = 0; cpu < source->testbed->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &moment->after.mailbox[cpu], error))
            return false;
    return true;
}

/* Waits until a page has been saved: the instant of the snapshot is then past, and RAM protected.
 * The state is "active" before that, and no event reports it. */
static bool await_page(struct godwit_vm *source, GError **error)
{
    for (;;) {
        g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
        const json_t *ram = json_object_get(info, "ram");
        if (!info)
            return false;
        if (godwit_json_integer(ram, "normal", 0) + godwit_json_integer(ram, "duplicate", 0) > 0)
            return true;
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS, "QEMU to save a page", error))
            return false;
    }
}

/* Begins a background snapshot, which cannot complete, of a guest as GUEST has it. Returns when the
 * guest has been seen to write, unless it is stopped all the time. */
static bool begin(struct godwit_background *background, struct godwit_vm *source,
                  enum godwit_background_guest guest, GError **error)
{
    if (!godwit_migrate_set_capabilities(source, on, error) ||
        !godwit_moment_begin(source, "the file", guest == GODWIT_BACKGROUND_RUNNING, 0, &no_disks,
                             NULL, &background->moment, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    return flow_open(source->testbed, &background->flow, error) &&
           godwit_migrate_start(source, "exec:cat > " FIFO, false, error) &&
           godwit_migrate_wait(source, "active", error) && await_page(source, error) &&
           (guest != GODWIT_BACKGROUND_RESUMED || godwit_vm_run(source, error)) &&
           (guest == GODWIT_BACKGROUND_STOPPED || see_it_write(background, source, error));
}

static bool is_read(gpointer data)
{
    const struct godwit_background_flow *flow = data;
    return !flow->source;
}

/* Waits until all of a completed snapshot is in the file. */
static bool flow_finish(struct godwit_testbed *testbed, struct godwit_background_flow *flow,
                        GError **error)
{
    if (!godwit_testbed_wait(testbed, is_read, flow, "the end of the snapshot", error))
        return false;
    if (flow->failure) {
        g_propagate_error(error, g_steal_pointer(&flow->failure));
        return false;
    }
    flow_close(flow);
    return true;
}

/* Fails with MIGRATION if a guest that was stopped all the time runs, unless a known bug of the
 * source's QEMU explains that. Lets it run. */
static bool judge_stopped(struct godwit_vm *source, GError **error)
{
    g_autofree char *status = godwit_vm_status(source, error);
    if (!status)
        return false;
    if (godwit_bug_explain(&(const struct godwit_symptom){
            .kind = GODWIT_SYMPTOM_UNPAUSED, .source = source, .state = status}))
        return true;
    return godwit_course_expect_status(source, "paused", "after the background snapshot", error) &&
           godwit_vm_run(source, error);
}

/* Lets a background snapshot complete. The guest must then run on with its memory in order. */
static bool complete(struct godwit_background *background, struct godwit_vm *source,
                     enum godwit_background_guest guest, GError **error)
{
    struct godwit_reading reading;
    struct godwit_background_flow *flow = &background->flow;
    flow->source = g_unix_fd_add(flow->fifo, G_IO_IN | G_IO_HUP, readable, flow);
    if (!godwit_migrate_wait(source, "completed", error) || !godwit_migrate_note(source, error) ||
        !flow_finish(source->testbed, flow, error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_RUN_ON);
    return (guest == GODWIT_BACKGROUND_STOPPED
                ? judge_stopped(source, error)
                : godwit_course_expect_status(source, "running", "after the background snapshot",
                                              error)) &&
           godwit_course_see_it_run(source, error) && godwit_course_stop(source, error) &&
           godwit_oracle_look(source, &reading, error);
}

bool godwit_background_save(struct godwit_background *background, struct godwit_vm *source,
                            enum godwit_background_guest guest, GError **error)
{
    return begin(background, source, guest, error) && complete(background, source, guest, error);
}

static bool load(struct godwit_background *background, struct godwit_vm *source,
                 struct godwit_vm *destination, GError **error)
{
    const enum godwit_transport transport = transport_of(source->testbed->setup);
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_RESTART);
    g_autofree char *from = godwit_migrate_listen(source, destination, transport, false, error);
    if (!from || !godwit_migrate_wait(destination, "completed", error))
        return false;
    godwit_memory_forget(destination);
    return godwit_moment_judge(destination, &background->moment, &no_disks, error);
}

bool godwit_background_load(struct godwit_background *background, struct godwit_vm *source,
                            struct godwit_vm *destination, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (load(background, source, destination, &cause))
        return true;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_MIGRATE);
    godwit_bug_explain_failure(source, destination, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Makes a background snapshot, twice if the row's data says so, and loads the last one. */
static bool take(struct godwit_testbed *testbed, enum godwit_background_guest guest, bool twice,
                 GError **error)
{
    struct godwit_background *background = &testbed->state->background;
    struct godwit_vm *source, *destination;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(destination, NULL, error))
        return false;
    for (unsigned i = 0; i <= twice; i++)
        if ((i && !godwit_vm_run(source, error)) ||
            !godwit_background_save(background, source, guest, error))
            return false;
    return godwit_background_load(background, source, destination, error) &&
           godwit_course_end(source, destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const enum godwit_background_guest *guest = scenario->data;
    return take(testbed, *guest, false, error);
}

static bool run_twice(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    const enum godwit_background_guest *guest = scenario->data;
    return take(testbed, *guest, true, error);
}

/* Waits until the guest has made a pass after a cancellation, which a known bug may prevent. */
static bool see_it_go_on(struct godwit_vm *source, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    g_autoptr(GError) cause = NULL;
    const gint64 deadline = godwit_testbed_limit(testbed, GO_ON_SECONDS);
    const bool good = godwit_course_see_it_run(source, &cause);
    testbed->deadline = deadline;
    if (good)
        return true;
    godwit_bug_excuse(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_STANDS,
                                                     .source = source,
                                                     .failure = cause},
                      &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Cancels a background snapshot. The guest must run on, and can be migrated. */
static bool run_cancel(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    static const struct godwit_spec live = {.transport = GODWIT_TRANSPORT_UNIX};
    struct godwit_vm *source, *destination;
    (void)scenario;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(destination, NULL, error) ||
        !begin(&testbed->state->background, source, GODWIT_BACKGROUND_RUNNING, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    if (!godwit_vm_command(source, "migrate_cancel", NULL, error))
        return false;
    /* A thread that waits for the full FIFO notices the cancellation only now. */
    flow_close(&testbed->state->background.flow);
    return godwit_migrate_wait(source, "cancelled", error) &&
           godwit_course_expect_status(source, "running", "after the cancellation", error) &&
           see_it_go_on(source, error) && godwit_migrate_set_capabilities(source, off, error) &&
           godwit_course_move(testbed, &live, source, destination, error);
}

#define BACKGROUND                                                                                 \
    .state = sizeof(struct godwit_scenario_state), .clear = clear, GODWIT_BACKGROUND_NEEDS

GODWIT_SCENARIOS(background) = {
    {
        BACKGROUND,
        .name = "background-snapshot/stopped",
        .summary = "of a stopped guest, which stays stopped: the file holds every byte",
        .slow = true,
        .run = run,
        .cold = true,
        .data = &(const enum godwit_background_guest){GODWIT_BACKGROUND_STOPPED},
    },
    {
        BACKGROUND,
        .name = "background-snapshot/resumed",
        .summary = "the guest is resumed meanwhile: the file holds every byte as at the start",
        .run = run,
        .cold = true,
        .data = &(const enum godwit_background_guest){GODWIT_BACKGROUND_RESUMED},
    },
    {
        BACKGROUND,
        .name = "background-snapshot/running",
        .summary = "the guest runs all the time: the file holds memory and CPU of one instant",
        .run = run,
        .cold = true,
        .data = &(const enum godwit_background_guest){GODWIT_BACKGROUND_RUNNING},
    },
    {
        BACKGROUND,
        .name = "background-snapshot/twice",
        .summary = "twice, into one file; the guest is resumed each time",
        .run = run_twice,
        .cold = true,
        .slow = true,
        .data = &(const enum godwit_background_guest){GODWIT_BACKGROUND_RESUMED},
    },
    {
        BACKGROUND,
        .name = "background-snapshot/cancel",
        .summary = "cancelled: the guest runs on, and is migrated live",
        .run = run_cancel,
        .slow = true,
    },
};
GODWIT_SCENARIOS_END(background);
