/*
 * Replays each VM's events through a model of QEMU's migration engine.
 *
 * A struct life follows one VM from event to event: the state of its migration, and whether its
 * guest runs, sleeps or has arrived. The graph of legal changes covers sources and destinations of
 * all supported QEMU versions; a version that lacks a state never reports it. bugs/ may explain an
 * illegal change.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/states.h"

#include "bugs/bugs.h"
#include "migrate/migrate.h"
#include <string.h>

/* Each state with the states that may follow it, on a source or on a destination. */
static const struct {
    const char *from;
    const char *to[10];
} graph[] = {
    {"none", {"setup", "active", "failed"}},
    /* Setup follows setup if a destination cannot listen on an address and gets another one. */
    {"setup",
     {"setup", "active", "wait-unplug", "postcopy-active", "failing", "failed", "cancelling",
      "cancelled", "completed"}},
    {"wait-unplug", {"active", "failing", "failed", "cancelling"}},
    {"active",
     {"pre-switchover", "device", "completed", "postcopy-device", "postcopy-active", "failing",
      "failed", "cancelling", "colo"}},
    {"pre-switchover", {"device", "active", "postcopy-active", "failing", "failed", "cancelling"}},
    {"device",
     {"completed", "postcopy-device", "postcopy-active", "failing", "failed", "cancelling",
      "colo"}},
    /* A side whose peer fails completes the migration; the one that has failed stays in it. */
    {"colo", {"completed", "failing", "failed"}},
    {"postcopy-device", {"postcopy-active", "failing", "failed"}},
    {"postcopy-active", {"completed", "postcopy-paused", "failing", "failed"}},
    {"postcopy-paused",
     {"postcopy-recover-setup", "postcopy-recover", "cancelling", "failing", "failed"}},
    {"postcopy-recover-setup",
     {"postcopy-recover", "postcopy-paused", "cancelling", "failing", "failed"}},
    {"postcopy-recover", {"postcopy-active", "postcopy-paused", "failing", "failed"}},
    /* A second migrate_cancel makes it report "cancelling" again. */
    {"cancelling", {"cancelling", "cancelled"}},
    /* A cancel may come before the failure has been cleaned up. */
    {"failing", {"failed", "cancelling"}},
    /* The migration is over, and another one may begin. */
    {"completed", {"setup"}},
    {"failed", {"setup", "active"}},
    {"cancelled", {"setup"}},
};

bool godwit_states_legal(const char *from, const char *to)
{
    for (size_t i = 0; i < G_N_ELEMENTS(graph); i++) {
        if (strcmp(graph[i].from, from) != 0)
            continue;
        for (size_t j = 0; j < G_N_ELEMENTS(graph[i].to) && graph[i].to[j]; j++)
            if (!strcmp(graph[i].to[j], to))
                return true;
    }
    return false;
}

/* The situation of one VM, updated with each event. */
struct life {
    const struct godwit_vm *vm;
    const char *state; /* of its migration */
    bool destination;  /* it was started with -incoming */
    bool arrived;      /* the guest has arrived, or arrives while it runs (postcopy) */
    bool running;
    bool asleep;   /* suspended */
    bool postcopy; /* it has reported the state postcopy-active */
    bool quits;    /* it was asked to quit */
    unsigned transitions;
    GString *story; /* all events so far, for the message */
};

/* Returns what is wrong with a source's new state, or NULL. The caller frees it. Only a source must
 * report every state: a destination may load the whole migration before it can report one between
 * the first and the last. */
static char *change_source(const struct life *life, const char *state)
{
    const bool running = life->running && !life->asleep;
    if ((!strcmp(life->state, "none") && !strcmp(state, "active")) ||
        (!life->vm->snapshots && !strcmp(life->state, "setup") && !strcmp(state, "completed")))
        return g_strdup_printf("went from %s to %s", life->state, state);
    /* The guest of a source that makes a background snapshot runs on while its RAM is saved, and
     * that of a COLO primary once the migration is over. */
    if (running && strcmp(life->state, "colo") != 0 && !strcmp(state, "completed") &&
        !godwit_json_true(life->vm->capabilities, "background-snapshot"))
        return g_strdup("completed a migration with its guest running");
    if (running && !strcmp(state, "device"))
        return g_strdup("sent the state of its devices with its guest running");
    return NULL;
}

/* Returns what is wrong with the migration's new state, or NULL. The caller frees it. */
static char *change_state(struct life *life, const char *state)
{
    char *problem = NULL;
    const bool again = !strcmp(life->state, state);
    const bool undone = !strcmp(life->state, "completed") && !strcmp(state, "failed");
    const struct godwit_symptom symptom = {.kind = life->destination ? GODWIT_SYMPTOM_STATE_EVENT
                                                   : again           ? GODWIT_SYMPTOM_STATE_TWICE
                                                                     : GODWIT_SYMPTOM_STATE_UNDONE,
                                           .vm = life->vm,
                                           .state = life->state,
                                           .next = state};
    if ((life->destination || again || undone) && godwit_bug_explain(&symptom))
        return NULL;
    /* A source that quits gives up its migration in any state. */
    if (!godwit_states_legal(life->state, state) &&
        !(life->quits && !life->destination && !strcmp(state, "cancelling")))
        problem = g_strdup_printf("went from %s to %s", life->state, state);
    else if (!life->destination)
        problem = change_source(life, state);
    life->postcopy |= !strcmp(state, "postcopy-active");
    life->arrived |= !strcmp(state, "completed") || !strcmp(state, "colo") ||
                     g_str_has_prefix(state, "postcopy");
    life->state = state;
    life->transitions++;
    return problem;
}

/* Returns what is wrong with an event, or NULL. The caller frees it. */
static char *take_event(struct life *life, const json_t *event)
{
    const char *name = godwit_json_string(event, "event", "");
    if (!strcmp(name, "MIGRATION")) {
        const char *state = godwit_json_string(json_object_get(event, "data"), "status", "");
        g_string_append_printf(life->story, " %s", state);
        return change_state(life, state);
    }
    static const char *const shown[] = {"STOP", "RESUME", "SUSPEND", "WAKEUP"};
    for (size_t i = 0; i < G_N_ELEMENTS(shown); i++)
        if (!strcmp(name, shown[i]))
            g_string_append_printf(life->story, " %s", name);
    if (!strcmp(name, "SHUTDOWN"))
        life->quits |= !strcmp(godwit_json_string(json_object_get(event, "data"), "reason", ""),
                               "host-qmp-quit");
    if (!strcmp(name, "STOP"))
        life->running = false;
    if (!strcmp(name, "SUSPEND"))
        life->asleep = true;
    if (!strcmp(name, "WAKEUP"))
        life->asleep = false;
    if (!strcmp(name, "RESUME")) {
        life->running = true;
        /* Without -S, a destination runs its guest a moment before it reports "completed". */
        const bool late = !life->destination || life->arrived || !strcmp(life->state, "active");
        if (!late)
            return g_strdup_printf("ran a guest in state %s, before it had received one",
                                   life->state);
    }
    return NULL;
}

/* Judges the events of one VM. Adds its changes of state to *TRANSITIONS. Sets *POSTCOPY if it was
 * in a postcopy. */
static bool judge(const struct godwit_vm *vm, unsigned *transitions, bool *postcopy, GError **error)
{
    struct life life = {.vm = vm, .state = "none", .story = g_string_new(NULL)};
    life.destination = godwit_vm_has_argument(vm, "-incoming");
    /* Without the capability "events" this VM does not report its migration. */
    life.arrived = !vm->capabilities;
    life.running = !life.destination && !godwit_vm_has_argument(vm, "-S");
    g_autofree char *problem = NULL;
    for (guint i = 0; !problem && i < vm->qmp->events->len; i++)
        problem = take_event(&life, g_ptr_array_index(vm->qmp->events, i));
    if (problem)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "states: the %s %s, which QEMU must never do (its events: %s)", vm->name,
                    problem, life.story->str + 1);
    *transitions += life.transitions;
    *postcopy = life.postcopy;
    g_string_free(life.story, TRUE);
    return !problem;
}

bool godwit_states_judge(struct godwit_testbed *testbed, GError **error)
{
    unsigned transitions = 0;
    bool postcopy[2] = {false, false};
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (vm->qmp && !judge(vm, &transitions, &postcopy[i > 0], error))
            return false;
    }
    for (guint i = 0; testbed->vms->len == 2 && i < 2; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        const struct godwit_vm *peer = g_ptr_array_index(testbed->vms, 1 - i);
        if (postcopy[i] && !postcopy[1 - i] && peer->qmp && peer->capabilities &&
            !strcmp(godwit_migrate_reported_state(peer), "completed"))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "states: the %s reported a postcopy, but the %s did not", vm->name,
                               peer->name);
    }
    if (transitions)
        godwit_testbed_measure(testbed, "transitions", json_integer(transitions));
    return true;
}
