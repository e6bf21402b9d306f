/*
 * Announcements: once a guest has moved, its new QEMU sends a RARP frame for each network device,
 * several times, so that switches learn where the guest's address is now.
 *
 * Each side has one virtio-net, whose frames go to a unix socket of Godwit's. The kernel stamps
 * each frame when QEMU sends it, so that a harness that is late still knows the exact times. No
 * frame may come earlier than announce-initial, -step and -max allow. How late a frame is says
 * nothing, because a busy host delays timers; so the effect of a limit is judged by a delay that
 * would be many times as long without it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "oracle/oracle.h"
#include "scenario/held.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The device's address, as bytes and on the command line. */
static const unsigned char address[] = {0x52, 0x54, 0x00, 0x67, 0x77, 0x01};
#define ADDRESS_TEXT "52:54:00:67:77:01"

/* Where the parts of an Ethernet frame with a RARP message are, in bytes. */
enum {
    FRAME_SENDER = 6,
    FRAME_TYPE = 12,
    RARP_OPERATION = 20,
    RARP_SENDER = 22,
    RARP_TARGET = 32,
    RARP_END = 42,
};
#define TYPE_RARP    0x8035
#define RARP_REQUEST 3

/* QEMU's clock for these timers counts whole milliseconds: two readings of it can be closer by one
 * than they seem. */
#define CLOCK_US 1000

/* How long all frames of a schedule may take, in seconds: more than any schedule here does. */
#define PATIENCE 20

/* When announcements are sent: their number, and delays in milliseconds. */
struct schedule {
    unsigned rounds, initial, step, max;
};

/* Each delay differs from QEMU's defaults and from the one before it, but for the last, which the
 * maximum limits. */
static const struct schedule moved = {4, 60, 40, 110};
/* A step that the maximum cuts to a thirtieth. */
static const struct schedule asked = {4, 30, 3000, 90};
static const struct schedule silent = {0, 60, 40, 110};

struct frame {
    gint64 us; /* when it was sent, in microseconds of the time of day */
    size_t length;
    unsigned char bytes[128];
};

/* The far end of one side's network. */
struct port {
    int fd; /* -1: none */
    guint watch;
    GArray *frames; /* of struct frame */
};

struct godwit_scenario_state {
    const struct schedule *schedule; /* of the migration */
    struct port source, destination;
};

static void clear_port(struct port *port)
{
    g_clear_handle_id(&port->watch, g_source_remove);
    if (port->frames) {
        close(port->fd);
        g_array_unref(port->frames);
    }
}

static void clear_state(struct godwit_scenario_state *state)
{
    clear_port(&state->source);
    clear_port(&state->destination);
}

/* Returns the delay between frame number ROUND, counted from 0, and the next one, in
 * milliseconds. */
static unsigned delay_after(const struct schedule *schedule, unsigned round)
{
    return MIN(schedule->initial + round * schedule->step, schedule->max);
}

/* Returns the time from the first frame to frame number ROUND, in milliseconds. */
static unsigned due(const struct schedule *schedule, unsigned round)
{
    unsigned ms = 0;
    for (unsigned i = 0; i < round; i++)
        ms += delay_after(schedule, i);
    return ms;
}

static gboolean take_frame(int fd, GIOCondition condition, gpointer data)
{
    struct port *port = data;
    struct frame frame = {0};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec vector = {frame.bytes, sizeof(frame.bytes)};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    (void)condition;
    const ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0)
        return G_SOURCE_CONTINUE;
    frame.length = (size_t)length;
    frame.us = g_get_real_time();
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        struct timespec sent;
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&sent, CMSG_DATA(part), sizeof(sent));
        frame.us = (gint64)sent.tv_sec * G_USEC_PER_SEC + sent.tv_nsec / 1000;
    }
    g_array_append_val(port->frames, frame);
    return G_SOURCE_CONTINUE;
}

/* Makes the socket NAME.net in the testbed's directory. */
static bool open_port(struct port *port, struct godwit_testbed *testbed, const char *name,
                      GError **error)
{
    const int on = 1;
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    /* The whole path may be too long for a socket. */
    const int folder = open(testbed->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    g_snprintf(where.sun_path, sizeof(where.sun_path), "/proc/self/fd/%d/%s.net", folder, name);
    port->fd = folder < 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool bound = port->fd >= 0 &&
                       !bind(port->fd, (const struct sockaddr *)&where, sizeof(where)) &&
                       !setsockopt(port->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    const int cause = errno;
    if (folder >= 0)
        close(folder);
    if (!bound) {
        if (port->fd >= 0)
            close(port->fd);
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no socket for the %s's network: %s",
                           name, g_strerror(cause));
    }
    port->frames = g_array_new(FALSE, TRUE, sizeof(struct frame));
    port->watch = g_unix_fd_add(port->fd, G_IO_IN, take_frame, port);
    return true;
}

/* Starts a QEMU whose network device sends to PORT. Skips if it does not know such a network. */
static struct godwit_vm *start(struct godwit_testbed *testbed, const char *name,
                               enum godwit_vm_role role, struct port *port, GError **error)
{
    if (!open_port(port, testbed, name, error))
        return NULL;
    g_autofree char *network = g_strdup_printf("dgram,id=announced,"
                                               "local.type=unix,local.path=%s.qemu,"
                                               "remote.type=unix,remote.path=%s.net",
                                               name, name);
    const char *const arguments[] = {
        "-netdev", network, "-device", "virtio-net,netdev=announced,mac=" ADDRESS_TEXT,
        /* The ROM of a network card is in a package of its own, and no guest here boots from it. */
        "-global", "virtio-net-pci.romfile=", NULL};
    static const char what[] = "with a virtio-net on a network of datagrams";
    struct godwit_vm *vm = godwit_vm_start(testbed, name, role, arguments, error);
    return vm && (role == GODWIT_VM_SOURCE ? godwit_course_try_start(vm, what, error)
                                           : godwit_course_try_destination(vm, what, error))
               ? vm
               : NULL;
}

/* Sets the schedule of the migration on VM. */
static bool set_schedule(struct godwit_vm *vm, const struct schedule *schedule, GError **error)
{
    const struct godwit_parameter parameters[] = {{"announce-initial", schedule->initial, NULL},
                                                  {"announce-max", schedule->max, NULL},
                                                  {"announce-rounds", schedule->rounds, NULL},
                                                  {"announce-step", schedule->step, NULL},
                                                  {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(vm, parameters, error);
}

static bool start_both(struct godwit_testbed *testbed, enum godwit_vm_role role,
                       struct godwit_vm **source, struct godwit_vm **destination, GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    *source = start(testbed, "source", GODWIT_VM_SOURCE, &state->source, error);
    *destination = *source ? start(testbed, "destination", role, &state->destination, error) : NULL;
    return *destination && set_schedule(*source, state->schedule, error) &&
           set_schedule(*destination, state->schedule, error) && godwit_vm_run(*source, error) &&
           godwit_course_see_first_pass(*source, error);
}

/* Returns what is wrong with a frame, or NULL. The caller frees it. */
static char *judge_frame(const struct frame *frame)
{
    const unsigned char *bytes = frame->bytes;
    if (frame->length < RARP_END)
        return g_strdup_printf("it has %zu bytes, a RARP message ends at %d", frame->length,
                               RARP_END);
    const unsigned type = (unsigned)bytes[FRAME_TYPE] << 8 | bytes[FRAME_TYPE + 1];
    const unsigned operation = (unsigned)bytes[RARP_OPERATION] << 8 | bytes[RARP_OPERATION + 1];
    if (type != TYPE_RARP || operation != RARP_REQUEST)
        return g_strdup_printf("type 0x%04x with operation %u, expected 0x%04x with %u", type,
                               operation, TYPE_RARP, RARP_REQUEST);
    static const struct {
        size_t at;
        const char *name;
    } addresses[] = {{FRAME_SENDER, "the frame's sender"},
                     {RARP_SENDER, "RARP's sender"},
                     {RARP_TARGET, "RARP's target"}};
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        const unsigned char *is = bytes + addresses[i].at;
        if (memcmp(is, address, sizeof(address)) != 0)
            return g_strdup_printf("%s is %02x:%02x:%02x:%02x:%02x:%02x, expected " ADDRESS_TEXT,
                                   addresses[i].name, is[0], is[1], is[2], is[3], is[4], is[5]);
    }
    for (size_t i = 0; i < FRAME_SENDER; i++)
        if (bytes[i] != 0xff)
            return g_strdup("it is not for everybody");
    return NULL;
}

static const struct frame *frame_at(const struct port *port, guint index)
{
    return &g_array_index(port->frames, struct frame, index);
}

/* Checks the form of all frames from FIRST on, and that there are as many as SCHEDULE has. */
static void check_frames(struct godwit_testbed *testbed, const char *name, const struct port *port,
                         guint first, const struct schedule *schedule)
{
    g_autofree char *form = g_strdup_printf("%s/frames", name);
    g_autofree char *count = g_strdup_printf("%s/rounds", name);
    g_autofree char *wrong = NULL;
    for (guint i = first; i < port->frames->len && !wrong; i++) {
        g_autofree char *problem = judge_frame(frame_at(port, i));
        if (problem)
            wrong = g_strdup_printf("frame %u of the announcement: %s", i - first, problem);
    }
    godwit_testbed_check(testbed, form, wrong);
    const guint frames = port->frames->len - first;
    g_autofree char *more =
        frames == schedule->rounds
            ? NULL
            : g_strdup_printf("%u frames were sent, expected %u", frames, schedule->rounds);
    godwit_testbed_check(testbed, count, more);
}

/* Returns the known bug that makes frame number ROUND of VM come early, or NULL. PAUSED is how long
 * the guest had stood since its arrival, in milliseconds. */
static const struct godwit_bug *explain(const struct godwit_vm *vm, unsigned round, unsigned ms,
                                        json_int_t paused)
{
    g_autofree char *text =
        g_strdup_printf("announcement %u was sent when the guest was resumed, %" JSON_INTEGER_FORMAT
                        " ms after its arrival, together with those before it",
                        round, paused);
    return godwit_bug_explain(&(const struct godwit_symptom){
        .kind = GODWIT_SYMPTOM_ANNOUNCED, .vm = vm, .ms = paused, .last = ms, .text = text});
}

/* Checks that no frame from FIRST on is early, and that the maximum limits a delay. BEGUN is the
 * earliest time at which the first frame can have been due, in microseconds of the time of day; 0:
 * when it was sent. PAUSED is as in explain(); 0: the guest has not stood. */
static void check_spacing(const struct godwit_vm *vm, const char *name, const struct port *port,
                          guint first, const struct schedule *schedule, gint64 begun,
                          json_int_t paused)
{
    struct godwit_testbed *testbed = vm->testbed;
    g_autofree char *early = g_strdup_printf("%s/spacing", name);
    g_autofree char *limit = g_strdup_printf("%s/max", name);
    g_autofree char *problem = NULL;
    const struct godwit_bug *bug = NULL;
    bool excused = true, limited = false, long_step = false;
    for (guint i = first; i + 1 < port->frames->len; i++) {
        const unsigned round = i - first, ms = delay_after(schedule, round);
        const gint64 before = round == 0 && begun ? begun : frame_at(port, i)->us;
        const gint64 us = frame_at(port, i + 1)->us - before;
        const unsigned unlimited = schedule->initial + round * schedule->step;
        godwit_testbed_measure_item(testbed, name, json_real((double)us / 1000));
        long_step |= unlimited > 10 * ms;
        limited |= unlimited > 10 * ms && us < (gint64)unlimited * 1000 / 2;
        if (us + CLOCK_US >= (gint64)ms * 1000)
            continue;
        const struct godwit_bug *cause =
            paused ? explain(vm, round + 1, due(schedule, round + 1), paused) : NULL;
        excused &= cause != NULL;
        bug = cause ? cause : bug;
        if (!problem)
            problem = g_strdup_printf("%.1f ms between announcement %u and %u, expected %u or more",
                                      (double)us / 1000, round, round + 1, ms);
    }
    godwit_testbed_check(testbed, early, problem);
    if (problem && excused)
        godwit_testbed_excuse_check(testbed, bug->id);
    if (long_step)
        godwit_testbed_check(testbed, limit,
                             limited ? NULL : "no delay is shorter than it would be without max");
}

struct goal {
    const struct port *port;
    guint frames;
};

static bool all_came(gpointer data)
{
    const struct goal *goal = data;
    return goal->port->frames->len >= goal->frames;
}

/* Waits for the frames of SCHEDULE that VM sends from FIRST on, and for one more that must not
 * come: it would be sent after the longest delay. QEMU's main loop runs expired timers each time it
 * has answered, so it has sent whatever is due by then when it answers for the second time. */
static bool await_frames(struct godwit_vm *vm, const struct port *port, guint first,
                         const struct schedule *schedule, GError **error)
{
    struct godwit_testbed *testbed = vm->testbed;
    struct goal goal = {port, first + schedule->rounds};
    g_autofree char *what = g_strdup_printf("%u announcements", schedule->rounds);
    return godwit_testbed_wait_until(testbed, godwit_testbed_seconds(testbed, PATIENCE), all_came,
                                     &goal, what, error) &&
           godwit_testbed_rest(testbed, 2 * schedule->max, "announcements that must not come",
                               error) &&
           godwit_vm_command(vm, "query-status", NULL, error) &&
           godwit_vm_command(vm, "query-status", NULL, error);
}

/* Returns when VM last reported EVENT with STATUS, in microseconds of the time of day; 0: never. */
static gint64 time_of(const struct godwit_vm *vm, const char *event, const char *status)
{
    for (guint i = vm->qmp->events->len; i-- > 0;) {
        const json_t *report = g_ptr_array_index(vm->qmp->events, i);
        const json_t *stamp = json_object_get(report, "timestamp");
        if (godwit_qmp_event_is(report, event, status))
            return godwit_json_integer(stamp, "seconds", 0) * G_USEC_PER_SEC +
                   godwit_json_integer(stamp, "microseconds", 0);
    }
    return 0;
}

/*
 * Checks what the destination sends once its guest runs. QEMU begins to announce when all has been
 * loaded, and its network layer keeps the first frame for a moment, until the guest runs. So the
 * second frame may follow it sooner than announce-initial. It must not follow the source's stop
 * sooner than that.
 */
static bool see_moved(const struct godwit_vm *source, struct godwit_vm *destination,
                      json_int_t paused, GError **error)
{
    struct godwit_testbed *testbed = destination->testbed;
    const struct godwit_scenario_state *state = testbed->state;
    const struct port *port = &state->destination;
    if (!await_frames(destination, port, 0, state->schedule, error))
        return false;
    check_frames(testbed, "announce", port, 0, state->schedule);
    check_spacing(destination, "announce", port, 0, state->schedule,
                  paused ? 0 : time_of(source, "STOP", NULL), paused);
    const gint64 resumed = time_of(destination, "RESUME", NULL);
    if (port->frames->len)
        godwit_testbed_check(testbed, "announce/resumed",
                             resumed && frame_at(port, 0)->us >= resumed
                                 ? NULL
                                 : "a frame was sent before the destination's guest ran");
    return true;
}

/* Makes the destination announce its guest once more, at once. */
static bool see_asked(struct godwit_vm *destination, GError **error)
{
    struct godwit_testbed *testbed = destination->testbed;
    const struct port *port = &testbed->state->destination;
    const guint first = port->frames->len;
    if (!godwit_vm_command(destination, "announce-self",
                           json_pack("{s:i, s:i, s:i, s:i}", "initial", (int)asked.initial, "max",
                                     (int)asked.max, "rounds", (int)asked.rounds, "step",
                                     (int)asked.step),
                           error) ||
        !await_frames(destination, port, first, &asked, error))
        return false;
    check_frames(testbed, "announce-self", port, first, &asked);
    check_spacing(destination, "announce-self", port, first, &asked, 0, 0);
    return true;
}

/* Checks that the source, whose guest has gone, was silent all the time. */
static void check_source(struct godwit_testbed *testbed)
{
    const guint frames = testbed->state->source.frames->len;
    g_autofree char *problem =
        frames ? g_strdup_printf("the source sent %u frames, expected none", frames) : NULL;
    godwit_testbed_check(testbed, "announce/source", problem);
}

static bool see_all(const struct godwit_vm *source, struct godwit_vm *destination,
                    json_int_t paused, GError **error)
{
    if (!see_moved(source, destination, paused, error) || !see_asked(destination, error))
        return false;
    check_source(destination->testbed);
    return true;
}

static bool judge_postcopy(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return see_all(source, destination, 0, error);
}

/* Keeps the guest paused for as long as all announcements take: there must be none. Then lets it
 * run until they have come, and stops it again, as the course expects it. */
static bool judge_paused(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_testbed *testbed = destination->testbed;
    const struct godwit_scenario_state *state = testbed->state;
    const unsigned all = due(state->schedule, state->schedule->rounds);
    if (testbed->lost)
        return true;
    if (!godwit_testbed_rest(testbed, all, "announcements that must not come", error))
        return false;
    godwit_testbed_check(
        testbed, "announce/paused",
        state->destination.frames->len ? "the destination announced a guest that is paused" : NULL);
    const gint64 arrived = time_of(destination, "MIGRATION", "completed");
    if (!godwit_vm_run(destination, error) ||
        !godwit_vm_wait_event(destination, 0, "RESUME", NULL, error))
        return false;
    const gint64 resumed = time_of(destination, "RESUME", NULL);
    return see_all(source, destination, (resumed - arrived) / 1000, error) &&
           godwit_course_stop(destination, error);
}

static bool run_course(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    const bool postcopy = godwit_spec_is_postcopy(&scenario->spec);
    struct godwit_vm *source, *destination;
    testbed->state->schedule = scenario->data;
    testbed->oob = postcopy;
    return start_both(testbed, postcopy ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED,
                      &source, &destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

/* Migrates live to a destination that runs its guest at once. */
static bool run_at_once(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    struct godwit_vm *source, *destination;
    struct godwit_reading before = {0};
    testbed->state->schedule = scenario->data;
    if (!start_both(testbed, GODWIT_VM_DESTINATION, &source, &destination, error) ||
        !godwit_course_go_live(&scenario->spec, source, destination, error) ||
        !godwit_migrate_unthrottle(source, error) ||
        !godwit_migrate_wait(source, "completed", error) ||
        !godwit_migrate_wait(destination, "completed", error) ||
        !godwit_course_settle(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    godwit_memory_forget(source);
    godwit_memory_forget(destination);
    if (!godwit_memory_mailbox(source, 0, &before.mailbox[0], error) ||
        !see_all(source, destination, 0, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY_AGAIN);
    return godwit_held_judge_running(destination, &before, error) &&
           godwit_course_end(source, destination, error);
}

#define STATE .state = sizeof(struct godwit_scenario_state), .clear = clear_state, .cpus = 1

GODWIT_SCENARIOS(announce) = {
    {
        .name = "announce/precopy",
        .summary = "the destination announces the guest's network device as often as it must",
        .run = run_at_once,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
        .data = &moved,
        STATE,
    },
    {
        .name = "announce/postcopy",
        .summary = "likewise after the switch to postcopy",
        .slow = true,
        .run = run_course,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .judge = judge_postcopy},
        .data = &moved,
        STATE,
    },
    {
        .name = "announce/paused",
        .summary = "a destination that was started paused announces nothing before `cont`",
        .slow = true,
        .run = run_course,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .judge = judge_paused},
        .data = &moved,
        STATE,
    },
    {
        .name = "announce/none",
        .summary = "with announce-rounds 0 nothing is announced but by announce-self",
        .slow = true,
        .run = run_at_once,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
        .data = &silent,
        STATE,
    },
};
GODWIT_SCENARIOS_END(announce);
