/*
 * Promises about a figure that query-migrate has while a migration runs: what remains.
 *
 * It is never more than there is, shrinks within an iteration, and is 0 when all was sent. QEMU
 * 11.1 has it twice: of RAM, in `ram`, and beside that of all that is migrated, which it brings up
 * to date somewhat later.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "guest/image.h"
#include "memory/memory.h"
#include <string.h>

/* How many iterations are looked at, a second each, before the migration may converge. */
#define ITERATIONS 2
/* How often query-migrate is asked, in milliseconds. No event reports a change. */
#define ASK_MS 10
/* Devices may migrate more than their RAM: s390x has a byte of storage keys for each page. */
#define BESIDE_PART 1024

/* The figures that are judged: of RAM, and of all. */
enum { OF_RAM, OF_ALL, FIGURES };

static const char *const names[FIGURES] = {"ram.remaining", "remaining"};

/* What query-migrate has reported. */
struct answer {
    json_int_t left[FIGURES]; /* -1: it has no such figure */
    json_int_t iteration;
    bool over; /* the migration is completed */
};

struct godwit_scenario_state {
    json_int_t ram;           /* bytes in all RAM blocks */
    json_int_t most[FIGURES]; /* that ever remained; -1: no such figure */
    bool shrank[FIGURES];
};

static bool find_ram(struct godwit_vm *source, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    if (!godwit_memory_map(source, error))
        return false;
    for (guint i = 0; i < source->blocks->len; i++)
        state->ram += (json_int_t)g_array_index(source->blocks, struct godwit_block, i).length;
    state->most[OF_RAM] = state->most[OF_ALL] = -1;
    return true;
}

/* Fails if more remains than there is. */
static bool judge_most(const struct godwit_scenario_state *state, const struct answer *answer,
                       GError **error)
{
    for (int i = 0; i < FIGURES; i++) {
        const json_int_t most = state->ram + (i == OF_ALL ? state->ram / BESIDE_PART : 0);
        if (answer->left[i] > most)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source reports %s: %" JSON_INTEGER_FORMAT
                               " in iteration %" JSON_INTEGER_FORMAT
                               ", expected %" JSON_INTEGER_FORMAT
                               " or less, since it has %" JSON_INTEGER_FORMAT " bytes of RAM",
                               names[i], answer->left[i], answer->iteration, most, state->ram);
    }
    return true;
}

static bool ask(struct godwit_vm *source, struct answer *answer, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_t *ram = json_object_get(info, "ram");
    *answer = (struct answer){
        .left = {godwit_json_integer(ram, "remaining", -1),
                 godwit_json_integer(info, "remaining", -1)},
        .iteration = godwit_json_integer(ram, "dirty-sync-count", 0),
        .over = !strcmp(godwit_json_string(info, "status", ""), "completed"),
    };
    for (int i = 0; i < FIGURES; i++)
        state->most[i] = MAX(state->most[i], answer->left[i]);
    return judge_most(state, answer, error);
}

/* Notes which figures are less than before in the same iteration. */
static void note_shrinking(struct godwit_scenario_state *state, const struct answer *before,
                           const struct answer *now)
{
    for (int i = 0; i < FIGURES && now->iteration == before->iteration; i++)
        state->shrank[i] |= now->left[i] >= 0 && now->left[i] < before->left[i];
}

/* Asks again and again, until the source is in iteration LAST, or the migration is over. */
static bool follow(struct godwit_vm *source, json_int_t last, struct answer *now, GError **error)
{
    struct answer before;
    if (!ask(source, now, error))
        return false;
    while (!now->over && now->iteration < last) {
        before = *now;
        if (!godwit_testbed_rest(source->testbed, ASK_MS, "less to remain", error) ||
            !ask(source, now, error))
            return false;
        note_shrinking(source->testbed->state, &before, now);
    }
    return true;
}

/* Lets the source send its window in a second, and follows what remains. A migration that is over
 * early, because the host gave the guest no time to write, is judged all the same. */
static bool see_live(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const struct godwit_parameter parameters[] = {
        {"max-bandwidth", (json_int_t)(workload->window_end - workload->window_start), NULL},
        {NULL, 0, NULL}};
    struct answer now;
    (void)destination;
    return find_ram(source, error) && godwit_migrate_set_parameters(source, parameters, error) &&
           ask(source, &now, error) && follow(source, now.iteration + ITERATIONS, &now, error);
}

/* Follows what remains until the end, and judges it. */
static bool see_end(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_scenario_state *state = source->testbed->state;
    struct answer now;
    (void)destination;
    if (!follow(source, G_MAXINT64, &now, error))
        return false;
    for (int i = 0; i < FIGURES; i++) {
        if (state->most[i] < 0)
            continue;
        godwit_testbed_measure_member(source->testbed, "most", names[i],
                                      json_integer(state->most[i]));
        if (!state->shrank[i])
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source's %s never shrank within an iteration, from "
                               "%" JSON_INTEGER_FORMAT " at most",
                               names[i], state->most[i]);
        if (now.left[i] > 0)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the source reports %s: %" JSON_INTEGER_FORMAT
                               " after the migration, expected 0",
                               names[i], now.left[i]);
    }
    return state->most[OF_RAM] >= 0 || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                                   "the source never reported %s", names[OF_RAM]);
}

GODWIT_SCENARIOS(promise_figures) = {
    {
        .name = "promise/remaining",
        .summary = "what remains is never more than RAM, shrinks, and is 0 in the end",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .live = see_live, .released = see_end},
        .state = sizeof(struct godwit_scenario_state),
        .slow = true,
    },
};
GODWIT_SCENARIOS_END(promise_figures);
