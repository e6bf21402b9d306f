/*
 * Wire faults: the relay spoils one thing in what the source sends. What leaves the stream
 * well-formed must be seen by an oracle; what does not must make the destination end with an error,
 * its guest not run; what changes only how the bytes arrive must do no harm. The source survives
 * all of it.
 *
 * The source is stopped first, so that each page is sent once, and what is spoiled is not sent
 * again; faults that want pages to be sent again go into live migrations.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "bugs/bugs.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/oracle.h"
#include "oracle/state.h"
#include "scenario/flip.h"
#include "scenario/scenario.h"

#include <string.h>
#include <sys/wait.h>

/* What can see that something is wrong with a guest that has been loaded. */
enum oracle {
    ORACLE_TWIN,     /* a byte of RAM is another */
    ORACLE_STATE,    /* a byte of a device's state is another */
    ORACLE_ORDER,    /* page order is broken */
    ORACLE_STAMP,    /* a stamped word is wrong, or not of the instant of the account */
    ORACLE_POSITION, /* memory and the guest's account are not of one instant */
    ORACLE_GUEST,    /* the guest itself found a wrong byte */
    ORACLE_CONSOLE,  /* the guest wrote what it never should */
    ORACLE_PROGRESS, /* the guest does not go on */
    ORACLE_PROCESS,  /* the QEMU died */
};

static const char *const oracles[] = {"twin",  "state",   "page order", "stamp",  "position",
                                      "guest", "console", "progress",   "process"};

#define BY(name) (1u << ORACLE_##name)

/* What must come of a fault. */
enum verdict {
    VERDICT_HARMLESS, /* nothing */
    VERDICT_SEEN,     /* loaded, and seen by oracles */
    VERDICT_REFUSED,  /* the destination ends with an error */
    VERDICT_STUCK,    /* nothing, until the migration is cancelled */
    VERDICT_FLIPPED,  /* one of the first three, by the rules of flip.h */
};

struct trial {
    const char *fault; /* as --fault has it */
    enum verdict verdict;
    unsigned by;     /* BY(...): the oracles that must see it */
    const char *why; /* it does no harm, or what nobody can see */
};

/* As long as a guest that goes on may take for two passes, before scaling. In seconds. */
#define PROGRESS_SECONDS 10
/* For how long the answer to migrate_cancel is waited for: it is the matter of a moment. */
#define CANCEL_SECONDS 10

/* What is under way. */
struct course {
    struct godwit_rig *rig;
    const struct trial *trial;
    const struct godwit_fault_kind *kind;
    const struct godwit_injection *injection;
    struct godwit_vm *source, *destination;
    GByteArray *sent; /* all that the source has sent, as it was before the fault; the rig's */
    unsigned seen;    /* BY(...) */
    unsigned loaded;  /* BY(...), before the guest ran */
    bool resized;     /* a RAM block has another size, which is part of a device's state */
    bool compared;    /* the devices' states were compared */
    bool went_on;     /* the guest ran on, and its memory was looked at again */
    bool at_hand;     /* the guest may have looked at the page before it was spoiled for it */
    json_t *facts;    /* of the fault, in the rig's; borrowed */
};

/* Whether the destination does not run what it has loaded before it was looked at. One that should
 * refuse would run if it did not. */
static bool is_held(const struct trial *trial)
{
    return trial->verdict != VERDICT_REFUSED;
}

/* That an oracle has seen what TEXT says. */
static void see(struct course *course, enum oracle oracle, const char *text)
{
    course->seen |= 1u << oracle;
    json_object_set_new(json_object_get(course->facts, "seen"), oracles[oracle], json_string(text));
}

/* Keeps what the source sends. */
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

/* What is known of the fault before it is at work. */
static bool prepare_course(struct course *course, GError **error)
{
    struct godwit_fault fault;
    if (!godwit_fault_parse(course->trial->fault, &fault, error))
        return false;
    course->kind = fault.kind;
    course->facts = json_pack("{s:{}, s:s*}", "seen", "why", course->trial->why);
    json_object_set_new(course->rig->facts, "trial", course->facts);
    return true;
}

/* Stops the guest in the middle of a pass: then there are pages of two sorts, and, but for two
 * passes in 256, none of them is zero. */
static bool stop_in_pass(struct godwit_vm *source, GError **error)
{
    const struct godwit_workload stripe = godwit_workload_stripe(&source->rig->setup->workload, 0);
    struct godwit_reading reading;
    for (;;) {
        if (!godwit_vm_command(source, "stop", NULL, error) ||
            !godwit_oracle_look(source, &reading, error))
            return false;
        const uint64_t position = reading.mailbox->position;
        const bool stamped = source->rig->setup->workload.flags & GODWIT_FLAG_STAMP;
        /* The last page may have been written already when the account has only come to it. */
        if (position > stripe.window_start && position < stripe.window_end - stripe.page_size &&
            (stamped || (reading.order->base != 0 && reading.order->base != UINT8_MAX)))
            return true;
        if (!godwit_vm_run(source, error) || !godwit_plan_see_it_run(source, error))
            return false;
    }
}

/* Whether the source's migration is over, one way or the other. */
static bool source_ended(gpointer data)
{
    const struct course *course = data;
    const char *state = godwit_migrate_told_state(course->source);
    return !strcmp(state, "completed") || !strcmp(state, "failed") || !strcmp(state, "cancelled");
}

static bool both_ended(gpointer data)
{
    const struct course *course = data;
    return course->destination->exited ||
           (source_ended(data) &&
            !strcmp(godwit_migrate_told_state(course->destination), "completed"));
}

static bool injected(gpointer data)
{
    const struct course *course = data;
    return godwit_injection_done(course->injection) || both_ended(data);
}

static bool wait_for(struct course *course, godwit_condition condition, const char *what,
                     GError **error)
{
    return godwit_rig_wait(course->rig, condition, course, what, error);
}

/* Waits until the page that the fault is to spoil is another than it was when it was first sent,
 * and the fault has been at it. Many passes later a page of `order` may be what it was: then it is
 * the next pass that shows a change. */
static bool see_change(struct course *course, GError **error)
{
    const uint64_t start = course->rig->setup->workload.window_start;
    uint64_t offset;
    guint pass = 1;
    if (!godwit_migrate_next_iteration(course->source, &pass, error))
        return false;
    if (!godwit_injection_awaits(course->injection, &offset))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "no page that the fault could spoil came in the first pass");
    return godwit_migrate_prove_page(course->source, course->destination, start + offset, error) &&
           godwit_migrate_wait_throttled(course->source, injected, course,
                                         "the fault to be injected", error);
}

/* The migration up to its first byte, with the fault on its way. */
static bool start(struct course *course, const char *name, GError **error)
{
    struct godwit_rig *rig = course->rig;
    struct godwit_vm *source = course->source;
    const bool live = godwit_fault_is_live(course->kind);
    struct godwit_vm *destination = course->destination =
        godwit_plan_destination(rig, name, is_held(course->trial), error);
    if (!destination || !godwit_migrate_set_capabilities(destination, NULL, error) ||
        !godwit_migrate_set_capabilities(source, NULL, error) ||
        !(live ? godwit_migrate_throttle(source, error)
               : stop_in_pass(source, error) && godwit_migrate_unthrottle(source, error)))
        return false;
    godwit_rig_phase(rig, "migrate");
    g_autofree char *address =
        godwit_migrate_listen(destination, GODWIT_TRANSPORT_UNIX, false, error);
    struct godwit_relay *relay = address ? godwit_migrate_relay(rig, address, error) : NULL;
    course->injection =
        relay ? godwit_migrate_spoil(source, relay, course->trial->fault, error) : NULL;
    if (!course->injection)
        return false;
    /* Of a live migration that would be a lot. */
    if (course->sent && !live)
        godwit_relay_greet(relay, greet, course->sent);
    destination->may_exit = true;
    destination->console->fault_provoked = true; /* what it shows is judged here */
    return godwit_migrate_start(source, godwit_relay_uri(relay), false, error) &&
           (!live || (see_change(course, error) && godwit_migrate_unthrottle(source, error)));
}

/* Tells the source to give up. One that is known to be stuck where nothing can be told to it is
 * STALLED: it only sees that the connection breaks. */
static bool cancel(struct course *course, bool *stalled, GError **error)
{
    struct godwit_rig *rig = course->rig;
    g_autoptr(GError) late = NULL;
    const gint64 deadline = godwit_rig_hasten(rig, CANCEL_SECONDS);
    const bool done = godwit_vm_command(course->source, "migrate_cancel", NULL, &late);
    rig->deadline = deadline;
    *stalled = !done && late->code == GODWIT_ERROR_TIMEOUT &&
               godwit_bug_explain(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_NO_ANSWER,
                                                                 .source = course->source});
    if (done || *stalled)
        return true;
    g_propagate_error(error, g_steal_pointer(&late));
    return false;
}

/* Nothing comes to an end by itself: the source is told to give up, and then the connection breaks,
 * which the destination cannot see before. */
static bool give_up(struct course *course, GError **error)
{
    bool stalled = false;
    if (!wait_for(course, injected, "the fault to be injected", error))
        return false;
    if (both_ended(course))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the migration came to an end although its connection hung");
    if (!cancel(course, &stalled, error))
        return false;
    if (stalled)
        godwit_migrate_hang_up(course->rig);
    if (!wait_for(course, source_ended, "the source to give up", error))
        return false;
    if (course->destination->exited && !stalled)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination ended although its connection only hung");
    godwit_migrate_hang_up(course->rig);
    return true;
}

/* The reason in what the destination said as it ended: the first line that is no warning. */
static char *reason_of(const struct godwit_vm *destination)
{
    g_autofree char *all = godwit_vm_stderr(destination, 20);
    g_auto(GStrv) lines = g_strsplit(all, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        const char *colon = strstr(lines[i], ": ");
        if (*lines[i] && !strstr(lines[i], "warning:"))
            return g_strdup(colon ? colon + 2 : lines[i]);
    }
    return NULL;
}

/* The destination has refused: it ended with an error, said why, and never ran. */
static bool judge_refusal(struct course *course, GError **error)
{
    struct godwit_vm *destination = course->destination;
    g_autofree char *reason = NULL;
    /* A state that is spoiled somewhere may be one that QEMU asserts. */
    if (course->trial->verdict == VERDICT_FLIPPED && destination->exited &&
        WIFSIGNALED(destination->wait_status)) {
        g_autofree char *end = godwit_vm_end(destination);
        see(course, ORACLE_PROCESS, end);
        return true;
    }
    if (!godwit_plan_refused(destination, error))
        return false;
    reason = reason_of(destination);
    if (!reason)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the destination ended without a message");
    json_object_set_new(course->facts, "refused", json_string(reason));
    return true;
}

/* The source's guest runs on after a migration that came to nothing, or whose copy is not wanted.
 */
static bool run_source(struct course *course, GError **error)
{
    struct godwit_vm *source = course->source;
    if (!wait_for(course, source_ended, "the end of the source's migration", error))
        return false;
    /* Who has sent all does not know that it was in vain; whoever was stopped stays so. */
    const bool completed = !strcmp(godwit_migrate_told_state(source), "completed");
    if (!(completed ? godwit_plan_settle(source, error) : godwit_plan_unwind(source, error)) ||
        ((completed || !godwit_fault_is_live(course->kind)) && !godwit_vm_run(source, error)))
        return false;
    return godwit_plan_expect_status(source, "running", "after the migration", error) &&
           godwit_plan_see_it_run(source, error);
}

/* The source survives: its guest runs on with its memory in order, and can be migrated to another
 * destination. */
static bool survive(struct course *course, GError **error)
{
    static const struct godwit_plan plain = {.transport = GODWIT_TRANSPORT_UNIX, .stopped = true};
    godwit_rig_phase(course->rig, "survive");
    if (!run_source(course, error))
        return false;
    struct godwit_vm *second = godwit_plan_destination(course->rig, "second", true, error);
    return second && godwit_plan_move(course->rig, &plain, course->source, second, error);
}

/* The memory of a destination that has not run yet, or stands still again. */
static bool look(struct course *course, GError **error)
{
    struct godwit_reading reading;
    g_autoptr(GError) wrong = NULL;
    if (godwit_oracle_look(course->destination, &reading, &wrong))
        return true;
    if (wrong->code != GODWIT_ERROR_ORACLE) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    const bool stamped = course->rig->setup->workload.flags & GODWIT_FLAG_STAMP;
    see(course,
        strstr(wrong->message, "page order") ? ORACLE_ORDER
        : stamped                            ? ORACLE_STAMP
                                             : ORACLE_POSITION,
        wrong->message);
    return true;
}

/* The devices' states that another destination would send on, to which all that the source sent has
 * come as it was. */
static GHashTable *send_on_unspoiled(struct course *course, GError **error)
{
    struct godwit_rig *rig = course->rig;
    g_autofree char *path = g_build_filename(rig->directory, "sent.stream", NULL);
    if (!godwit_file_write(path, course->sent->data, course->sent->len, error))
        return NULL;
    struct godwit_vm *vm = godwit_plan_destination(rig, "unspoiled", true, error);
    if (!vm || !godwit_migrate_set_capabilities(vm, NULL, error) ||
        !godwit_migrate_incoming(vm, "exec:cat sent.stream", false, error) ||
        !godwit_migrate_wait(vm, "completed", error))
        return NULL;
    g_autoptr(GHashTable) states = godwit_state_send_on(vm, error);
    return states && godwit_vm_quit(vm, error) ? g_steal_pointer(&states) : NULL;
}

/* Whether the destination has the devices' states that it was sent: it would send them on as they
 * came. What it would not even of what was not spoiled, host clocks mostly, is found out when there
 * is something to be asked. */
static bool judge_states(struct course *course, GError **error)
{
    if (!course->sent->len)
        return true;
    g_autoptr(GHashTable) sent = godwit_state_read(course->sent->data, course->sent->len, error);
    if (!sent)
        return false;
    g_autoptr(GError) wrong = NULL;
    g_autoptr(GHashTable) again = godwit_state_send_on(course->destination, &wrong);
    if (!again && (wrong->code == GODWIT_ERROR_MIGRATION || wrong->code == GODWIT_ERROR_STREAM ||
                   course->destination->exited)) {
        see(course, ORACLE_STATE, wrong->message);
        return true;
    }
    if (!again) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    if (!godwit_plan_settle(course->destination, error))
        return false;
    json_object_set_new(course->rig->facts, "states", json_integer(g_hash_table_size(sent)));
    course->compared = true;
    g_autofree char *first = godwit_state_compare(sent, again, NULL);
    if (!first)
        return true;
    g_autoptr(GHashTable) unspoiled = send_on_unspoiled(course, error);
    if (!unspoiled)
        return false;
    g_autofree char *text = godwit_state_compare(sent, again, unspoiled);
    if (text)
        see(course, ORACLE_STATE, text);
    return true;
}

struct progress {
    const struct godwit_vm *vm;
    guint64 passes;
};

static bool shows_something(gpointer data)
{
    const struct progress *goal = data;
    const struct godwit_console *console = goal->vm->console;
    return goal->vm->exited || console->failure || console->guest_fault ||
           console->passes >= goal->passes;
}

/* Lets the destination run for two passes, in which its guest has looked at every page. */
static bool run_on(struct course *course, GError **error)
{
    struct godwit_vm *destination = course->destination;
    const struct godwit_console *console = destination->console;
    struct progress goal = {destination, console->passes + 2};
    g_autoptr(GError) late = NULL;
    godwit_rig_phase(course->rig, "resume");
    const gint64 deadline = godwit_rig_hasten(course->rig, PROGRESS_SECONDS);
    const bool told = godwit_vm_run(destination, &late);
    course->rig->deadline = deadline;
    if (!told) {
        if (late->code == GODWIT_ERROR_TIMEOUT) {
            /* A QEMU may be kept busy for ever by a state that is spoiled. */
            see(course, ORACLE_PROGRESS, "its QEMU does not answer");
            return true;
        }
        if (!destination->exited) {
            g_propagate_error(error, g_steal_pointer(&late));
            return false;
        }
    } else if (!godwit_rig_wait_until(course->rig,
                                      godwit_rig_seconds(course->rig, PROGRESS_SECONDS),
                                      shows_something, &goal, "two passes of the guest", &late) &&
               late->code != GODWIT_ERROR_TIMEOUT) {
        g_propagate_error(error, g_steal_pointer(&late));
        return false;
    }
    if (destination->exited) {
        g_autofree char *end = godwit_vm_end(destination);
        see(course, ORACLE_PROCESS, end);
    } else if (console->guest_fault) {
        see(course, ORACLE_GUEST, "the guest found a wrong byte in its memory");
    } else if (console->failure) {
        see(course, ORACLE_CONSOLE, console->failure);
    } else if (console->passes < goal.passes) {
        see(course, ORACLE_PROGRESS, "the guest does not go on");
    } else {
        course->went_on = true;
        return godwit_vm_command(destination, "stop", NULL, error) && look(course, error);
    }
    return true;
}

/* The destination has loaded what it was sent: every oracle looks at it. */
static bool judge_loaded(struct course *course, GError **error)
{
    struct godwit_reading reading = {0};
    g_autoptr(GError) wrong = NULL;
    godwit_rig_phase(course->rig, "verify");
    if (!godwit_oracle_twin(course->source, course->destination, &reading, &wrong)) {
        if (wrong->code != GODWIT_ERROR_ORACLE) {
            g_propagate_error(error, g_steal_pointer(&wrong));
            return false;
        }
        if (g_str_has_prefix(wrong->message, "twin:"))
            see(course, ORACLE_TWIN, wrong->message);
        course->resized = reading.sizes;
    }
    struct godwit_mailbox mailbox;
    uint64_t offset;
    if (!godwit_memory_mailbox(course->source, 0, &mailbox, error))
        return false;
    course->at_hand = godwit_injection_awaits(course->injection, &offset) &&
                      mailbox.position == course->rig->setup->workload.window_start + offset;
    if (!look(course, error) || !judge_states(course, error))
        return false;
    course->loaded = course->seen;
    return survive(course, error) && run_on(course, error);
}

/* Says the same about a flipped bit in the state of a device. */
static bool judge_flip(const struct course *course, bool refused, GError **error)
{
    const struct godwit_flip flip = {
        .refused = refused,
        .memory = course->loaded & (BY(ORDER) | BY(STAMP) | (course->resized ? 0 : BY(TWIN))),
        .compared = course->compared,
        .noticed = course->seen != 0,
        .went_on = course->went_on,
    };
    const char *problem = godwit_flip_problem(&flip);
    if (!problem)
        return true;
    g_autofree char *seen = json_dumps(json_object_get(course->facts, "seen"), 0);
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "the relay %s, and %s; what was seen: %s",
                       godwit_injection_done(course->injection), problem, seen);
}

/* Whether it is what had to come of the fault. */
static bool judge(const struct course *course, bool refused, GError **error)
{
    const struct trial *trial = course->trial;
    const char *done = godwit_injection_done(course->injection);
    if (trial->verdict == VERDICT_FLIPPED)
        return judge_flip(course, refused, error);
    if (refused != (trial->verdict == VERDICT_REFUSED || trial->verdict == VERDICT_STUCK))
        return godwit_fail(error, GODWIT_ERROR_ORACLE, "the relay %s, and the destination %s", done,
                           refused ? "refused that" : "took that");
    /* A stamped window has no other order, and says more of position than an account alone. */
    unsigned by = trial->by;
    if (course->rig->setup->workload.flags & GODWIT_FLAG_STAMP && by & (BY(ORDER) | BY(POSITION)))
        by = (by & ~(BY(ORDER) | BY(POSITION))) | BY(STAMP);
    /* Nobody chooses where a live guest stands at the switchover. */
    if (course->at_hand)
        by &= ~BY(GUEST);
    g_autofree char *seen = json_dumps(json_object_get(course->facts, "seen"), 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(oracles); i++)
        if (by & ~course->seen & 1u << i)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "the relay %s, and %s did not see it; what was seen: %s", done,
                               oracles[i], seen);
    /* What only takes time is no harm to a state either, though the host's clock goes on in some.
     */
    if (trial->verdict != VERDICT_HARMLESS || !(course->seen & ~BY(STATE)))
        return true;
    return godwit_fail(error, GODWIT_ERROR_ORACLE, "the relay %s, and that did harm: %s", done,
                       seen);
}

static void free_sent(gpointer sent)
{
    g_byte_array_unref(sent);
}

static bool run_fault(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                      GError **error)
{
    struct course course = {.rig = rig, .trial = scenario->data};
    const bool stuck = course.trial->verdict == VERDICT_STUCK;
    const bool held = is_held(course.trial);
    course.sent = g_byte_array_new();
    g_datalist_set_data_full(&rig->kept, "sent", course.sent, free_sent);
    if (!prepare_course(&course, error) || !godwit_plan_ahead(rig, "destination", held, error) ||
        ((!held || stuck) && !godwit_plan_ahead(rig, "second", true, error)))
        return false;
    course.source = godwit_plan_source(rig, error);
    if (!course.source || !start(&course, "destination", error) ||
        !(stuck ? give_up(&course, error)
                : wait_for(&course, both_ended, "an end of the migration", error)) ||
        !godwit_migrate_note_fault(rig, error))
        return false;
    const bool refused = stuck || course.destination->exited;
    return (refused ? judge_refusal(&course, error) && survive(&course, error)
                    : judge_loaded(&course, error)) &&
           judge(&course, refused, error);
}

/* What came of a connection that was cut before a section. */
static void check_cut(struct course *course)
{
    const char *done = godwit_injection_done(course->injection);
    /* It is for people and programs that look at streams: no destination needs it. */
    const bool needless = strstr(done, "before the description") != NULL;
    g_autofree char *name =
        g_strdup_printf("the relay %s: %s", done, needless ? "taken" : "refused");
    g_autoptr(GError) problem = NULL;
    if (needless && !course->destination->exited) {
        godwit_rig_check(course->rig, name, NULL);
        return;
    }
    const bool refused = course->destination->exited && judge_refusal(course, &problem);
    godwit_rig_note_check(course->rig,
                          json_pack("{s:s, s:s*, s:s*}", "name", name, "answer",
                                    godwit_json_string(course->facts, "refused", NULL), "problem",
                                    refused   ? NULL
                                    : problem ? problem->message
                                              : "the destination took the stream"));
}

/* Cuts the connection before each section in turn, until none is left to be cut before; what is
 * sent then is whole. The one source survives all of it. */
static bool run_sections(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                         GError **error)
{
    struct course course = {.rig = rig, .source = godwit_plan_source(rig, error)};
    for (unsigned section = 0; course.source; section++) {
        const struct trial *all = scenario->data;
        g_autofree char *fault = g_strdup_printf("%s:section=%u", all->fault, section);
        g_autofree char *name = g_strdup_printf("destination%u", section);
        const struct trial trial = {.fault = fault, .verdict = VERDICT_REFUSED};
        course.trial = &trial;
        if (!prepare_course(&course, error) || !start(&course, name, error) ||
            !wait_for(&course, both_ended, "an end of the migration", error))
            return false;
        if (!godwit_injection_done(course.injection))
            return godwit_vm_quit(course.destination, error) && survive(&course, error);
        check_cut(&course);
        if ((!course.destination->exited && !godwit_vm_quit(course.destination, error)) ||
            !run_source(&course, error))
            return false;
    }
    return false;
}

/* A window of 512 pages: all that is not in it is zero and takes little room in the stream. The
 * guest is to be at work on it, not at its console, which takes it as long as several passes of
 * `order`. */
static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_usual(scenario, workload);
    workload->passes_per_report = workload->flags & GODWIT_FLAG_STAMP ? 16 : 32;
    workload->window_end = workload->window_start + 512 * (uint64_t)workload->page_size;
}

/* A row for a fault, with what must come of it. */
#define STOPPED(what, text, ...)                                                                   \
    {                                                                                              \
        .name = "relay/" what, .summary = text, .run = run_fault, .random = true,                  \
        .prepare = prepare, .data = &(const struct trial)                                          \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define LIVE(what, text, ...)                                                                      \
    {                                                                                              \
        .name = "relay/" what, .summary = text, .run = run_fault, .random = true,                  \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

GODWIT_SCENARIOS(relay) = {
    STOPPED("none", "a relay that changes nothing", "none", VERDICT_HARMLESS, 0,
            "every byte is passed on"),
    STOPPED("flip-bit", "one bit of a page is flipped", "flip-bit", VERDICT_SEEN, BY(TWIN), NULL),
    STOPPED("flip-bit/first-byte", "one bit of the byte that the guest writes is flipped",
            "flip-bit:byte=0", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL),
    STOPPED("drop-page", "a page is left out", "drop-page", VERDICT_SEEN, BY(TWIN) | BY(GUEST),
            NULL),
    STOPPED("swap-pages", "two pages that differ change places", "swap-pages", VERDICT_SEEN,
            BY(TWIN) | BY(GUEST), NULL),
    STOPPED("page-to-zero", "a page is sent as a zero page", "page-to-zero", VERDICT_SEEN,
            BY(TWIN) | BY(GUEST), NULL),
    STOPPED("zero-to-page", "a zero page is sent as a page that is not", "zero-to-page",
            VERDICT_SEEN, BY(TWIN), NULL),
    STOPPED("wrong-offset", "a page is sent as the one before it", "wrong-offset", VERDICT_SEEN,
            BY(TWIN) | BY(GUEST), NULL),
    LIVE("stale-page", "live; one page is sent as it was before, whenever it comes again",
         "stale-page", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL),
    LIVE("repeat-page", "live; after a page that comes again it is sent as it was before",
         "repeat-page", VERDICT_SEEN, BY(TWIN) | BY(GUEST), NULL),
    STOPPED("flip-state", "one bit of a device's state is flipped", "flip-state", VERDICT_FLIPPED,
            0, "QEMU does not keep what was spoiled: it computes it anew, or it means nothing"),
    STOPPED("magic", "the stream's magic is another", "magic", VERDICT_REFUSED, 0, NULL),
    STOPPED("version", "the stream's version is another", "version", VERDICT_REFUSED, 0, NULL),
    STOPPED("section-id", "a section's number is another", "section-id", VERDICT_REFUSED, 0, NULL),
    STOPPED("section-name", "a section's name is another", "section-name", VERDICT_REFUSED, 0,
            NULL),
    STOPPED("footer", "a section's footer is another", "footer", VERDICT_REFUSED, 0, NULL),
    STOPPED("name-length", "the length of a section's name is another", "name-length",
            VERDICT_REFUSED, 0, NULL),
    STOPPED("ram-size", "the size of all RAM is another", "ram-size", VERDICT_REFUSED, 0, NULL),
    STOPPED("block-length", "the length of the first RAM block is another", "block-length",
            VERDICT_REFUSED, 0, NULL),
    STOPPED("truncate", "the connection is cut somewhere", "truncate", VERDICT_REFUSED, 0, NULL),
    STOPPED("truncate-section", "the connection is cut before a section", "truncate-section",
            VERDICT_REFUSED, 0, NULL),
    STOPPED("close", "the direction to the destination is closed, the other is not", "close",
            VERDICT_REFUSED, 0, NULL),
    STOPPED("stall", "nothing is passed on for a while, then all the rest", "stall",
            VERDICT_HARMLESS, 0, "a migration waits for its data"),
    STOPPED("hang", "nothing is passed on any more, until the migration is cancelled", "hang",
            VERDICT_STUCK, 0, NULL),
    STOPPED("split", "bytes are passed on one by one", "split", VERDICT_HARMLESS, 0,
            "a stream has no boundaries"),
    STOPPED("throttle", "so many bytes are passed on in a second, and no more", "throttle",
            VERDICT_HARMLESS, 0, "a migration waits for its data"),
    {
        .name = "relay/truncate-sections",
        .summary = "the connection is cut before each section in turn, the last time not at all",
        .run = run_sections,
        .prepare = prepare,
        .slow = true,
        .data = &(const struct trial){"truncate-section", VERDICT_REFUSED, 0, NULL},
    },
};
GODWIT_SCENARIOS_END(relay);
