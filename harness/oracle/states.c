/* SPDX-License-Identifier: MIT */
#include "oracle/states.h"

#include "bugs/bugs.h"
#include "migrate/migrate.h"
#include <string.h>

/* Each state with those that may follow it, the source's and the destination's together. What an
 * engine does not have it does not tell of. */
static const struct {
    const char *from;
    const char *to[10];
} graph[] = {
    {"none", {"setup", "active", "failed"}},
    /* Setup again: a destination that could not listen where it was told to, and is told another
     * address. */
    {"setup",
     {"setup", "active", "wait-unplug", "postcopy-active", "failing", "failed", "cancelling",
      "cancelled", "completed"}},
    {"wait-unplug", {"active", "failing", "failed", "cancelling"}},
    {"active",
     {"pre-switchover", "device", "completed", "postcopy-device", "postcopy-active", "failing",
      "failed", "cancelling", "colo"}},
    {"pre-switchover", {"device", "active", "postcopy-active", "failing", "failed", "cancelling"}},
    {"device",
     {"completed", "postcopy-device", "postcopy-active", "failing", "failed", "cancelling"}},
    {"postcopy-device", {"postcopy-active", "failing", "failed"}},
    {"postcopy-active", {"completed", "postcopy-paused", "failing", "failed"}},
    {"postcopy-paused",
     {"postcopy-recover-setup", "postcopy-recover", "cancelling", "failing", "failed"}},
    {"postcopy-recover-setup",
     {"postcopy-recover", "postcopy-paused", "cancelling", "failing", "failed"}},
    {"postcopy-recover", {"postcopy-active", "postcopy-paused", "failing", "failed"}},
    /* Being cancelled once more, it tells of it once more. */
    {"cancelling", {"cancelling", "cancelled"}},
    {"failing", {"failed"}},
    /* The end of one migration; another may begin. */
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

/* Where one VM is in its life, event by event. */
struct life {
    const struct godwit_vm *vm;
    const char *state; /* of its migration */
    bool destination;  /* waits for a guest to come ... */
    bool arrived;      /* ... which has come, or comes while it runs */
    bool running;
    bool asleep;
    bool postcopy; /* it has reported the state postcopy-active */
    unsigned transitions;
    GString *story;
};

/* What is wrong with a source's new state, or NULL. The caller's. A destination may load all of a
 * migration before it can report a state between the first and the last. */
static char *change_source(const struct life *life, const char *state)
{
    const bool running = life->running && !life->asleep;
    if ((!strcmp(life->state, "none") && !strcmp(state, "active")) ||
        (!strcmp(life->state, "setup") && !strcmp(state, "completed")))
        return g_strdup_printf("went from %s to %s", life->state, state);
    if (running && !strcmp(state, "completed"))
        return g_strdup("completed a migration with its guest running");
    if (running && !strcmp(state, "device"))
        return g_strdup("sent the state of its devices with its guest running");
    return NULL;
}

/* What is wrong with the migration's new state, or NULL. The caller's. */
static char *change_state(struct life *life, const char *state)
{
    char *problem = NULL;
    const struct godwit_symptom symptom = {.kind = life->destination ? GODWIT_SYMPTOM_STATE_EVENT
                                                                     : GODWIT_SYMPTOM_STATE_TWICE,
                                           .vm = life->vm,
                                           .state = life->state,
                                           .next = state};
    if (life->destination && godwit_bug_explain(&symptom))
        return NULL;
    if (!life->destination && !strcmp(life->state, state) && godwit_bug_explain(&symptom))
        return NULL;
    if (!godwit_states_legal(life->state, state))
        problem = g_strdup_printf("went from %s to %s", life->state, state);
    else if (!life->destination)
        problem = change_source(life, state);
    life->postcopy |= !strcmp(state, "postcopy-active");
    life->arrived |= !strcmp(state, "completed") || g_str_has_prefix(state, "postcopy");
    life->state = state;
    life->transitions++;
    return problem;
}

/* The same for any event. */
static char *live_on(struct life *life, const json_t *event)
{
    const char *name = godwit_json_string(event, "event", "");
    if (!strcmp(name, "MIGRATION")) {
        const char *state = godwit_json_string(json_object_get(event, "data"), "status", "");
        g_string_append_printf(life->story, " %s", state);
        return change_state(life, state);
    }
    static const char *const told[] = {"STOP", "RESUME", "SUSPEND", "WAKEUP"};
    for (size_t i = 0; i < G_N_ELEMENTS(told); i++)
        if (!strcmp(name, told[i]))
            g_string_append_printf(life->story, " %s", name);
    if (!strcmp(name, "STOP"))
        life->running = false;
    if (!strcmp(name, "SUSPEND"))
        life->asleep = true;
    if (!strcmp(name, "WAKEUP"))
        life->asleep = false;
    if (!strcmp(name, "RESUME")) {
        life->running = true;
        /* Without -S a destination runs its guest a moment before it tells of the end. */
        const bool late = !life->destination || life->arrived || !strcmp(life->state, "active");
        if (!late)
            return g_strdup_printf("ran a guest in state %s, before it had one", life->state);
    }
    return NULL;
}

/* *POSTCOPY becomes whether it was in a postcopy. */
static bool judge(const struct godwit_vm *vm, unsigned *transitions, bool *postcopy, GError **error)
{
    struct life life = {.vm = vm, .state = "none", .story = g_string_new(NULL)};
    life.destination = godwit_vm_has_argument(vm, "-incoming");
    /* Nobody asked this one to tell of its migration. */
    life.arrived = !vm->capabilities;
    life.running = !life.destination && !godwit_vm_has_argument(vm, "-S");
    g_autofree char *problem = NULL;
    for (guint i = 0; !problem && i < vm->qmp->events->len; i++)
        problem = live_on(&life, g_ptr_array_index(vm->qmp->events, i));
    if (problem)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "states: the %s %s, which the engine never should (its events: %s)", vm->name,
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
    for (guint i = 0; i < testbed->vms->len; i++)
        if (!judge(g_ptr_array_index(testbed->vms, i), &transitions, &postcopy[i > 0], error))
            return false;
    for (guint i = 0; testbed->vms->len == 2 && i < 2; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        const struct godwit_vm *peer = g_ptr_array_index(testbed->vms, 1 - i);
        if (postcopy[i] && !postcopy[1 - i] && peer->capabilities &&
            !strcmp(godwit_migrate_reported_state(peer), "completed"))
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "states: the %s was in a postcopy, of which the %s did not report",
                               vm->name, peer->name);
    }
    if (transitions)
        json_object_set_new(testbed->measurements, "transitions", json_integer(transitions));
    return true;
}
