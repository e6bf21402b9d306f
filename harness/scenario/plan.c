/*
 * The common course of a scenario.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "oracle/blackout.h"
#include "oracle/continuity.h"
#include "oracle/oracle.h"
#include "qemu/host.h"
#include "scenario/scenario.h"

#include <string.h>
#include <sys/wait.h>

/* Fails unless STATUS, which VM is in, is WANTED. */
static bool is_status(const struct godwit_vm *vm, const char *status, const char *wanted,
                      const char *when, GError **error)
{
    if (!strcmp(status, wanted))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s's run state %s is \"%s\" instead of \"%s\"", vm->name, when, status,
                wanted);
    return false;
}

/* The run state that a VM comes to: QEMU reports the end of a migration a moment before the run
 * state of its source follows, and has no event for that. The caller's; NULL with ERROR set if it
 * cannot be had. */
static char *last_status(struct godwit_vm *source, GError **error)
{
    for (;;) {
        g_autofree char *status = godwit_vm_status(source, error);
        if (!status || strcmp(status, "finish-migrate") != 0)
            return g_steal_pointer(&status);
        if (!godwit_rig_rest(source->rig, GODWIT_REST_MS, "the source's run state to follow",
                             error))
            return NULL;
    }
}

bool godwit_plan_expect_status(struct godwit_vm *vm, const char *wanted, const char *when,
                               GError **error)
{
    g_autofree char *status = last_status(vm, error);
    return status && is_status(vm, status, wanted, when, error);
}

bool godwit_plan_unwind(struct godwit_vm *source, GError **error)
{
    g_autofree char *status = last_status(source, error);
    return status != NULL;
}

bool godwit_plan_settle(struct godwit_vm *source, GError **error)
{
    g_autofree char *status = last_status(source, error);
    if (!status || !is_status(source, status, "postmigrate", "after the migration", error))
        return false;
    g_autofree char *state = godwit_migrate_state(source, error);
    return state && (!strcmp(state, "completed") ||
                     godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                 "the %s's query-migrate says \"%s\" after an event that the "
                                 "migration is completed",
                                 source->name, state));
}

bool godwit_plan_enable_postcopy(struct godwit_vm *vm, GError **error)
{
    static const struct godwit_capability postcopy[] = {{"postcopy-ram", true}, {NULL, false}};
    g_autoptr(GError) cause = NULL;
    if (godwit_migrate_set_capabilities(vm, postcopy, &cause))
        return true;
    if (cause->code == GODWIT_ERROR_QMP && !godwit_host_userfaultfd()) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs userfaultfd, which this host allows to root only "
                    "(sysctl vm.unprivileged_userfaultfd=1 would allow it)");
        return false;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

static struct godwit_vm *start_destination(struct godwit_rig *rig, const char *name, bool held,
                                           GError **error)
{
    return godwit_vm_start(rig, name, held ? GODWIT_VM_DESTINATION_HELD : GODWIT_VM_DESTINATION,
                           NULL, error);
}

bool godwit_plan_ahead(struct godwit_rig *rig, const char *name, bool held, GError **error)
{
    return start_destination(rig, name, held, error) != NULL;
}

struct godwit_vm *godwit_plan_destination(struct godwit_rig *rig, const char *name, bool held,
                                          GError **error)
{
    struct godwit_vm *ahead = godwit_rig_vm(rig, name);
    struct godwit_vm *vm = ahead ? ahead : start_destination(rig, name, held, error);
    return vm && godwit_vm_handshake(vm, error) ? vm : NULL;
}

bool godwit_plan_both(struct godwit_rig *rig, const char *name, bool held,
                      struct godwit_vm **source, struct godwit_vm **destination, GError **error)
{
    *source = godwit_plan_ahead(rig, name, held, error) ? godwit_plan_source(rig, error) : NULL;
    *destination = *source ? godwit_plan_destination(rig, name, held, error) : NULL;
    return *destination != NULL;
}

static bool see_first_pass(struct godwit_vm *source, GError **error)
{
    godwit_rig_phase(source->rig, "to A");
    if (!godwit_vm_wait_console(source, 1, 0, error))
        return false;
    godwit_rig_phase(source->rig, "to B");
    if (!godwit_vm_wait_console(source, 1, 1, error))
        return false;
    godwit_memory_mark(source);
    return true;
}

struct godwit_vm *godwit_plan_source_with(struct godwit_rig *rig, const char *const *arguments,
                                          GError **error)
{
    godwit_rig_phase(rig, "start");
    struct godwit_vm *source = godwit_vm_start(rig, "source", GODWIT_VM_SOURCE, arguments, error);
    return source && godwit_vm_handshake(source, error) && godwit_vm_run(source, error) &&
                   see_first_pass(source, error)
               ? source
               : NULL;
}

struct godwit_vm *godwit_plan_source(struct godwit_rig *rig, GError **error)
{
    return godwit_plan_source_with(rig, NULL, error);
}

bool godwit_plan_end(struct godwit_vm *vm, struct godwit_vm *other, GError **error)
{
    struct godwit_rig *rig = vm->rig;
    godwit_rig_phase(rig, "end");
    godwit_rig_end_turn(rig);
    const bool ended = godwit_vm_quit(vm, error) && (!other || godwit_vm_quit(other, error));
    godwit_rig_phase(rig, NULL);
    return ended;
}

bool godwit_plan_stop(struct godwit_vm *vm, GError **error)
{
    if (!godwit_vm_command(vm, "stop", NULL, error))
        return false;
    while (g_main_context_iteration(NULL, FALSE))
        ;
    return godwit_rig_healthy(vm->rig, error);
}

/* Capabilities, parameters and, for a live migration, the hold. */
static bool configure(const struct godwit_plan *plan, struct godwit_vm *source,
                      struct godwit_vm *destination, GError **error)
{
    struct godwit_vm *const both[] = {destination, source};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        /* postcopy-ram first: others build upon it. */
        if ((plan->postcopy && !godwit_plan_enable_postcopy(both[i], error)) ||
            !godwit_migrate_set_capabilities(both[i], plan->capabilities, error) ||
            (plan->parameters && !godwit_migrate_set_parameters(both[i], plan->parameters, error)))
            return false;
    }
    return (godwit_transport_is_file(plan->transport) ? godwit_migrate_throttle_file(source, error)
                                                      : godwit_migrate_throttle(source, error)) &&
           (!plan->tls || godwit_tls_set_up(source, destination, plan->tls, error)) &&
           (!plan->configure || plan->configure(source, destination, error));
}

/* A step that a scenario may have. */
static bool step(godwit_step own, struct godwit_vm *source, struct godwit_vm *destination,
                 GError **error)
{
    return !own || own(source, destination, error);
}

/* Whether the migration is held back until it is proven to be live. A guest that sleeps or is
 * stopped dirties nothing. */
static bool is_held(const struct godwit_plan *plan)
{
    return !plan->stopped && !plan->suspend && !plan->no_ram;
}

/* Holds the migration back until it is proven to be live, and in a later pass than the first if the
 * plan wants that. */
static bool hold_back(const struct godwit_plan *plan, struct godwit_vm *source,
                      struct godwit_vm *destination, GError **error)
{
    guint pass = 1;
    if (!is_held(plan))
        return true;
    if (plan->passes && !godwit_migrate_next_iteration(source, &pass, error))
        return false;
    return godwit_transport_is_file(plan->transport)
               ? godwit_migrate_prove_dirtied(source, error)
               : godwit_migrate_prove_live(source, destination, error);
}

/* A VM that says that it takes no file's descriptor any more is a skip. Always false. */
static bool fail_file(const struct godwit_plan *plan, const struct godwit_vm *vm, GError *refusal,
                      GError **error)
{
    if (plan->transport == GODWIT_TRANSPORT_FD_FILE && refusal->code == GODWIT_ERROR_QMP &&
        strstr(refusal->message, "to a file is not supported")) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_SKIP,
                    "needs a file by its descriptor (fd:): QEMU %s takes it by file: only",
                    vm->qemu->version);
        g_error_free(refusal);
    } else {
        g_propagate_error(error, refusal);
    }
    return false;
}

/* Lets a held migration come to its end. */
static bool release(struct godwit_vm *source, GError **error)
{
    godwit_blackout_near(source->rig);
    return godwit_migrate_unthrottle(source, error);
}

/* Through a file: all of it is written before any of it is read. */
static bool transfer_by_file(const struct godwit_plan *plan, struct godwit_vm *source,
                             struct godwit_vm *destination, GError **error)
{
    g_autofree char *to = plan->uri ? g_strdup(plan->uri)
                                    : godwit_migrate_file_address(source, plan->transport, error);
    g_autoptr(GError) refusal = NULL;
    if (to && !godwit_migrate_start(source, to, plan->channels, &refusal))
        return fail_file(plan, source, g_steal_pointer(&refusal), error);
    if (!to || !step(plan->started, source, destination, error))
        return false;
    if (!hold_back(plan, source, destination, error) ||
        !step(plan->live, source, destination, error) || !release(source, error) ||
        !step(plan->released, source, destination, error) ||
        !godwit_migrate_wait(source, "completed", error))
        return false;
    if (plan->uri) {
        if (!godwit_migrate_incoming(destination, plan->uri, plan->channels, error))
            return false;
    } else {
        g_autofree char *from =
            godwit_migrate_listen(destination, plan->transport, plan->channels, &refusal);
        if (!from)
            return fail_file(plan, destination, g_steal_pointer(&refusal), error);
    }
    return godwit_migrate_wait(destination, "completed", error);
}

/* Whether the plan itself sets that parameter. */
static bool has_parameter(const struct godwit_plan *plan, const char *name)
{
    const struct godwit_parameter *p = plan->parameters;
    while (p && p->name && strcmp(p->name, name) != 0)
        p++;
    return p && p->name;
}

/* Whether the relay holds a multifd migration back. A QEMU in a network of its own cannot reach
 * the relay. */
static bool is_gated(const struct godwit_plan *plan, const struct godwit_vm *source)
{
    return is_held(plan) && !plan->fault && !source->rig->apart &&
           godwit_json_true(source->capabilities, "multifd");
}

/* Where the source is to connect to instead of ADDRESS, where the destination listens: to a relay,
 * if the plan has a use for one. The caller's. */
static char *relay_to(const struct godwit_plan *plan, struct godwit_vm *source, const char *address,
                      GError **error)
{
    struct godwit_rig *rig = source->rig;
    const bool gated = is_gated(plan, source);
    if (!plan->tls && !plan->fault && !plan->watch && !gated)
        return g_strdup(address);
    struct godwit_relay *relay = godwit_migrate_relay(rig, address, error);
    if (relay && gated)
        godwit_migrate_gate(rig, relay, has_parameter(plan, "multifd-compression"));
    if (!relay || (plan->fault && !godwit_migrate_spoil(source, relay, plan->fault, error)))
        return NULL;
    if (plan->tls)
        godwit_tls_follow(rig, relay);
    if (plan->watch)
        plan->watch(rig, relay);
    return g_strdup(godwit_relay_uri(relay));
}

bool godwit_plan_release_postcopy(struct godwit_vm *source, GError **error)
{
    static const struct godwit_parameter released[] = {{"max-postcopy-bandwidth", 0, NULL},
                                                       {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, released, error);
}

/* Whether the destination runs its guest without being told to, as postcopy has it. */
static bool runs_by_itself(const struct godwit_plan *plan)
{
    return plan->postcopy && !plan->held;
}

/* Switches over while there is memory to send, and keeps it back until the destination's guest
 * runs: what is left of a small window would be there before. */
static bool switch_to_postcopy(const struct godwit_plan *plan, struct godwit_vm *source,
                               struct godwit_vm *destination, GError **error)
{
    static const char limit[] = "max-postcopy-bandwidth";
    static const struct godwit_parameter held[] = {{limit, GODWIT_POSTCOPY_HELD, NULL},
                                                   {NULL, 0, NULL}};
    const bool holds = !plan->suspend && !plan->held && !has_parameter(plan, limit);
    if (holds && !godwit_migrate_set_parameters(source, held, error))
        return false;
    godwit_migrate_ungate(source->rig);
    godwit_blackout_near(source->rig);
    return godwit_vm_command(source, "migrate-start-postcopy", NULL, error) &&
           (!holds || (godwit_vm_wait_event(destination, 0, "RESUME", NULL, error) &&
                       godwit_plan_release_postcopy(source, error)));
}

/* Through a connection between the two. */
static bool transfer_by_socket(const struct godwit_plan *plan, struct godwit_vm *source,
                               struct godwit_vm *destination, GError **error)
{
    g_autofree char *address =
        godwit_migrate_listen(destination, plan->transport, plan->channels, error);
    if (!address)
        return false;
    g_autofree char *uri = relay_to(plan, source, address, error);
    if (!uri || !godwit_migrate_start(source, uri, plan->channels, error) ||
        !step(plan->started, source, destination, error))
        return false;
    if (plan->fails)
        return godwit_migrate_unthrottle(source, error) &&
               godwit_migrate_wait(source, "failed", error) &&
               godwit_migrate_note_failure(source, error);
    if (!hold_back(plan, source, destination, error) ||
        !step(plan->live, source, destination, error))
        return false;
    if (plan->postcopy) {
        if (!switch_to_postcopy(plan, source, destination, error))
            return false;
    } else if (!release(source, error)) {
        return false;
    }
    return step(plan->released, source, destination, error) &&
           godwit_migrate_wait(source, "completed", error) &&
           godwit_migrate_wait(destination, "completed", error);
}

/* How far the clock of a QEMU may be from this one's, in ms: they round. */
#define CLOCK_SLACK 10

/* Fails if the source reports that something took longer than there was time for. A figure that a
 * known bug explains is not noted as one: the bug's name is. */
static bool judge_figures(struct godwit_vm *source, GError **error)
{
    static const char *const times[] = {"total-time", "downtime", "setup-time"};
    json_t *facts = json_object_get(source->rig->facts, "migration");
    const gint64 now = g_get_monotonic_time();
    const json_int_t life = (now - source->rig->began) / 1000 + CLOCK_SLACK;
    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
        const json_int_t ms = godwit_json_integer(facts, times[i], 0);
        if (ms >= 0 && ms <= life)
            continue;
        const struct godwit_bug *bug =
            strcmp(times[i], "downtime") != 0
                ? NULL
                : godwit_bug_explain(&(const struct godwit_symptom){
                      .kind = GODWIT_SYMPTOM_DOWNTIME, .source = source, .ms = ms, .now = now});
        json_object_del(facts, times[i]);
        if (!bug)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source reports a %s of %" JSON_INTEGER_FORMAT
                               " ms for a migration that took less than %" JSON_INTEGER_FORMAT
                               " ms",
                               times[i], ms, life);
        json_object_set_new(facts, "downtime_unknown", json_string(bug->id));
    }
    return true;
}

/* The migration itself, from the first byte to the end on both sides. */
static bool transfer(const struct godwit_plan *plan, struct godwit_vm *source,
                     struct godwit_vm *destination, GError **error)
{
    if (!(godwit_transport_is_file(plan->transport)
              ? transfer_by_file(plan, source, destination, error)
              : transfer_by_socket(plan, source, destination, error)))
        return false;
    if (!runs_by_itself(plan))
        godwit_blackout_hold(source->rig);
    return plan->fails || (godwit_migrate_note(source, error) && judge_figures(source, error));
}

/* The index of the first event of that name and status, or -1. */
static int event_index(const struct godwit_vm *vm, const char *name, const char *status)
{
    for (guint i = vm->migration_first; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), name, status))
            return (int)i;
    return -1;
}

/* That the guest ran on the destination while memory was still missing: what postcopy is. */
static bool judge_postcopy(struct godwit_vm *destination, GError **error)
{
    const int resumed = event_index(destination, "RESUME", NULL);
    const int completed = event_index(destination, "MIGRATION", "completed");
    if (resumed >= 0 && resumed < completed)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the destination's guest did not run before the postcopy migration was completed");
    return false;
}

bool godwit_plan_refuse(struct godwit_vm *vm, const char *command, json_t *arguments,
                        const char *status, GError **error)
{
    const guint first = vm->qmp->events->len;
    g_autofree char *said = json_dumps(arguments, JSON_COMPACT);
    g_autoptr(GError) refusal = NULL;
    if (godwit_vm_command(vm, command, arguments, &refusal))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted %s with %s, which it should refuse", vm->name, command,
                           said);
    if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    g_autofree char *state = godwit_migrate_state(vm, error);
    if (!state)
        return false;
    if (strcmp(state, "none") != 0)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s's migration is \"%s\" after it refused %s with %s", vm->name,
                           state, command, said);
    for (guint i = first; i < vm->qmp->events->len; i++)
        if (godwit_qmp_event_is(g_ptr_array_index(vm->qmp->events, i), "MIGRATION", NULL))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s told of a migration although it refused %s with %s",
                               vm->name, command, said);
    return godwit_plan_expect_status(vm, status, "after the refusal", error);
}

bool godwit_plan_see_it_run(struct godwit_vm *vm, GError **error)
{
    const unsigned cpus = vm->rig->setup->workload.cpus;
    /* A guest that arrives at the end of a pass counts it without writing a page, and its timer
     * stays what it was. Where that is known to be too old, another pass has to follow. */
    const uint64_t passes = vm->rig->stale ? 2 : 1;
    uint64_t before[GODWIT_MAX_CPUS];
    struct godwit_mailbox mailbox;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error))
            return false;
        before[cpu] = mailbox.passes;
    }
    if (!godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error))
        return false;
    /* What was migrated on the point of being written comes without a pass: it is the count that
     * has to change. And only the first CPU is heard of on the console: as often as it is, look for
     * the others. */
    for (unsigned cpu = 0; cpu < cpus;) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error))
            return false;
        if (mailbox.passes - before[cpu] >= passes)
            cpu++;
        else if (!godwit_vm_wait_console(vm, 0, vm->console->passes + 1, error)) {
            godwit_error_context(error, "the %s's CPU %u has not completed a pass", vm->name, cpu);
            return false;
        }
    }
    return true;
}

static bool is_gone(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->exited;
}

bool godwit_plan_refused(struct godwit_vm *destination, GError **error)
{
    if (event_index(destination, "RESUME", NULL) >= 0 || destination->console->passes) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the %s ran its guest although the migration failed", destination->name);
        return false;
    }
    if (!destination->exited) {
        /* Asking is a race with its end, which is the other good answer. */
        g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, NULL);
        const char *state = godwit_json_string(info, "status", "none");
        g_autofree char *status = info ? godwit_vm_status(destination, NULL) : NULL;
        if (status && (!strcmp(state, "none") || !strcmp(state, "setup"))) {
            if (!g_str_equal(status, "inmigrate")) {
                g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                            "the %s is \"%s\" after a migration that never began",
                            destination->name, status);
                return false;
            }
            return godwit_vm_quit(destination, error);
        }
        g_autofree char *what = g_strdup_printf("the %s's QEMU to end", destination->name);
        if (!godwit_rig_wait(destination->rig, is_gone, destination, what, error))
            return false;
    }
    if (WIFEXITED(destination->wait_status) && WEXITSTATUS(destination->wait_status) != 0)
        return true;
    g_autofree char *end = godwit_vm_end(destination);
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s %s; after a migration that failed its exit status should tell of it",
                destination->name, end);
    return false;
}

bool godwit_plan_survive(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_reading reading;
    return godwit_plan_refused(destination, error) &&
           godwit_plan_expect_status(source, "running", "after the failed migration", error) &&
           godwit_plan_see_it_run(source, error) &&
           godwit_vm_command(source, "stop", NULL, error) &&
           godwit_oracle_look(source, &reading, error) && godwit_vm_quit(source, error);
}

/*
 * Wakes up a guest that was migrated asleep and sees it start anew. *AWAKE is false if a known bug
 * of the source's QEMU leaves it asleep for good.
 */
static bool wake_up(struct godwit_vm *source, struct godwit_vm *destination, bool *awake,
                    GError **error)
{
    g_autofree char *status = godwit_vm_status(destination, error);
    if (!status)
        return false;
    *awake = true;
    if (!strcmp(status, "suspended")) {
        if (!godwit_vm_command(destination, "system_wakeup", NULL, error))
            return false;
    } else if (godwit_bug_explain(&(const struct godwit_symptom){
                   .kind = GODWIT_SYMPTOM_RUN_STATE, .source = source, .state = status})) {
        /* The engine itself wakes the guest at the end, but whether before or after its state has
         * been sent is a matter of luck. */
        const int woken = event_index(source, "WAKEUP", NULL);
        *awake = woken >= 0 && woken < event_index(source, "STOP", NULL);
    } else {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the destination's run state is \"%s\" although the guest was suspended when "
                    "it was migrated",
                    status);
        return false;
    }
    return !*awake || godwit_vm_wait_console(destination, 1, 1, error);
}

/* Stops a source that is not to be migrated live, and looks at it. */
static bool stop_source(struct godwit_vm *source, GError **error)
{
    struct godwit_reading reading = {0};
    godwit_blackout_near(source->rig);
    if (!godwit_vm_command(source, "stop", NULL, error))
        return false;
    godwit_blackout_hold(source->rig);
    if (!godwit_oracle_look(source, &reading, error))
        return false;
    godwit_blackout_let_go(source->rig);
    return true;
}

/* What the source's guest had last told of itself: the start of what its continuity is judged by.
 */
static bool read_mailboxes(struct godwit_vm *source, struct godwit_mailbox *mailboxes,
                           GError **error)
{
    for (unsigned cpu = 0; cpu < source->rig->setup->workload.cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &mailboxes[cpu], error))
            return false;
    return true;
}

/* The hop, while it is watched. */
static bool hop(struct godwit_rig *rig, const struct godwit_plan *plan, struct godwit_vm *source,
                struct godwit_vm *destination, GError **error)
{
    struct godwit_reading before = {0}, after = {0};
    if (plan->stopped && !stop_source(source, error))
        return false;

    godwit_rig_phase(rig, "migrate");
    destination->may_exit = plan->fails;
    /* Postcopy runs the guest by itself: one that has lost its sleep (a known bug) starts at once.
     */
    if (plan->suspend && runs_by_itself(plan))
        destination->console->ready_allowed++;
    const bool transferred = transfer(plan, source, destination, error);
    /* What a fault has done is told in any case; that it has done nothing, when all else is well.
     */
    if ((plan->fault && !godwit_migrate_note_fault(rig, transferred ? error : NULL)) ||
        !transferred)
        return false;
    if (plan->fails) {
        godwit_rig_phase(rig, "verify");
        return godwit_plan_survive(source, destination, error) &&
               (!plan->tls || godwit_tls_judge_failure(source, destination, plan->tls, error)) &&
               step(plan->judge, source, destination, error);
    }
    if (!godwit_plan_settle(source, error))
        return false;
    /* Where a guest sees its RAM can change as it boots and as its machine is loaded. */
    godwit_memory_forget(source);
    godwit_memory_forget(destination);

    godwit_rig_phase(rig, "verify");
    if (runs_by_itself(plan)) {
        if (!judge_postcopy(destination, error) || !read_mailboxes(source, before.mailbox, error))
            return false;
    } else if (!godwit_oracle_twin(source, destination, &before, error))
        return false;
    if ((plan->tls && !godwit_tls_judge(source, destination, plan->tls, error)) ||
        !step(plan->judge, source, destination, error))
        return false;

    if (rig->lost)
        return true;
    godwit_rig_phase(rig, "resume");
    if (plan->suspend && !runs_by_itself(plan))
        destination->console->ready_allowed++;
    if (!runs_by_itself(plan)) {
        godwit_blackout_resume(rig);
        if (!godwit_vm_run(destination, error))
            return false;
    }
    bool awake = true;
    if (!(plan->suspend ? wake_up(source, destination, &awake, error)
                        : godwit_plan_see_it_run(destination, error)) ||
        !godwit_vm_command(destination, "stop", NULL, error))
        return false;

    godwit_rig_phase(rig, "verify again");
    /* A guest that wakes up has been reset, and its timer may have been, too. */
    return !awake || (godwit_oracle_look(destination, &after, error) &&
                      godwit_oracle_continuity(destination, before.mailbox, after.mailbox,
                                               !plan->suspend, error));
}

bool godwit_plan_hop(struct godwit_rig *rig, const struct godwit_plan *plan,
                     struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    /* A guest that sleeps makes no progress before it is woken up, and one that is kept from
     * running none that would say anything. */
    const bool watched = !plan->fails && !plan->suspend && !plan->held;
    g_autoptr(GError) cause = NULL;
    const bool good =
        (!watched || godwit_blackout_watch(source, destination, plan->postcopy, &cause)) &&
        configure(plan, source, destination, &cause) && hop(rig, plan, source, destination, &cause);
    godwit_blackout_end(rig);
    if (good)
        return true;
    if (!plan->fails && !plan->fault)
        godwit_bug_explain_failure(source, destination, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_plan_move(struct godwit_rig *rig, const struct godwit_plan *plan,
                      struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!godwit_plan_hop(rig, plan, source, destination, error))
        return false;
    if (!plan->fails)
        return godwit_plan_end(source, destination, error);
    godwit_rig_phase(rig, NULL);
    return true;
}

bool godwit_plan_run(struct godwit_rig *rig, const struct godwit_plan *plan, GError **error)
{
    /* Both at once: neither needs the other to start. */
    godwit_rig_phase(rig, "start");
    struct godwit_vm *destination =
        godwit_vm_start(rig, "destination",
                        runs_by_itself(plan) ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_HELD,
                        plan->destination_arguments, error);
    struct godwit_vm *source = destination ? godwit_vm_start(rig, "source", GODWIT_VM_SOURCE,
                                                             plan->source_arguments, error)
                                           : NULL;
    if (!source || !godwit_vm_handshake(source, error) ||
        !godwit_vm_handshake(destination, error) || !godwit_vm_run(source, error) ||
        !see_first_pass(source, error))
        return false;
    if (plan->suspend && !godwit_vm_wait_event(source, 0, "SUSPEND", NULL, error))
        return false;
    return godwit_plan_move(rig, plan, source, destination, error);
}
