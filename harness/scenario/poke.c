/*
 * Random writes to the registers of a device, or of all devices that the machine itself has, after
 * which the machine is migrated and compared.
 *
 * The machine never runs. The pokes follow from the seed. A poke that ends or resets the machine is
 * left out, and the machine is started anew without it. If something does not survive, the pokes
 * are minimised: parts of them are tried, the smaller half of what is needed is kept, and so on,
 * until none can be left out or the time is up.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "course/pokes.h"
#include "course/still.h"
#include <string.h>

/* How many pokes a machine gets in a round that pokes at random, and at most in a sweep. */
#define POKES     96
#define SWEEP_MAX 384
/* How many registers it gets pokes to after the migration, on both sides, and how many to each. Few
 * registers, since what is written anew on both sides is equal again. */
#define SELECTORS        6
#define SELECTOR_CHOICES 8

/* The rounds, each with a machine of its own. Several short ones reach more than a long one: sooner
 * or later a write resets the device. At first all registers are poked at random, so that some are
 * written again and again. Then come sweeps, which write each register once, in accesses of one
 * width: many a register takes those of its own width only, which most often is 32 bits. A write to
 * configuration space can make all other registers unreachable (a power state), so the last rounds
 * have these writes alone: one at random, and a sweep by 16 and by 32 bits. The machine itself has
 * many devices. */
enum rounds { DEVICE_ROUNDS = 13, MACHINE_ROUNDS = 21, SWEEPS = 8, CONFIG_ROUNDS = 3 };

/* How often the machine may be started anew because a poke has ended or reset it. After that, the
 * pokes from the next such one on are left out. */
#define RESTARTS_MAX 12
/* Minimising ends when the rest of the deadline is no longer than so many of the longest try. */
#define RESERVE 4
/* The most pokes that a message quotes. */
#define QUOTED_MAX 8

/* A device that is poked. */
struct subject {
    struct godwit_testbed *testbed;
    const char *name;                       /* of the device, or of the machine type */
    bool machine;                           /* the machine's own devices, all of them */
    const char *const *here, *const *there; /* arguments of both sides */
    guint vms;                              /* how many the testbed had before */
    guint round, rounds;
    GArray *places; /* of struct godwit_hardware_place; of this round, found at the first start */
    GArray *pokes;  /* of struct godwit_poke, to these places */
    guint poked;    /* in all rounds */
    json_t *deadly; /* texts of those that were left out */
    gint64 longest; /* the longest try so far, in microseconds */
};

/* Returns whether the object at PATH of the QOM tree is TOP or a part of it. */
static bool is_part(const char *path, const char *top)
{
    const size_t length = strlen(top);
    return !strncmp(path, top, length) && (!path[length] || path[length] == '/');
}

/* Returns whether this round pokes configuration space. */
static bool is_config_round(const struct subject *subject)
{
    return subject->round >= subject->rounds - CONFIG_ROUNDS;
}

/* Keeps of PLACES those of the subject that are for this round. Fails with SKIP if it has none for
 * any round. */
static bool keep_own(const struct subject *subject, GArray *places, GError **error)
{
    bool any = false;
    for (guint i = places->len; i-- > 0;) {
        const struct godwit_hardware_place *place =
            &g_array_index(places, struct godwit_hardware_place, i);
        const bool own =
            place->path &&
            is_part(place->path,
                    subject->machine ? "/machine" : "/machine/peripheral/" GODWIT_RECIPE_ID);
        any = any || own;
        if (!own || (place->space == GODWIT_SPACE_CONFIG) != is_config_round(subject))
            g_array_remove_index(places, i);
    }
    return any || godwit_fail(error, GODWIT_ERROR_SKIP,
                              "needs a device with registers that can be reached from outside");
}

/* Returns the VM's way to configuration space, or NULL if it has none. The caller frees it. */
static struct godwit_pci *pci_of(struct godwit_vm *vm)
{
    struct godwit_mtree *mtree = godwit_vm_mtree(vm, NULL);
    struct godwit_pci *pci = mtree ? godwit_pci_new(vm->qtest, mtree, NULL) : NULL;
    godwit_mtree_free(mtree);
    return pci;
}

/* Returns the pokes of this round. The caller unreferences the array. */
static GArray *pokes_of_round(const struct subject *subject)
{
    static const unsigned widths[] = {4, 2, 4, 1};
    const uint64_t seed = subject->testbed->setup->seed * MACHINE_ROUNDS + subject->round;
    const guint config = subject->rounds - CONFIG_ROUNDS, sweep = config - SWEEPS;
    if (subject->round > config)
        return godwit_pokes_sweep(subject->places, seed, 1u << (subject->round - config),
                                  SWEEP_MAX);
    if (subject->round == config)
        return godwit_pokes_make(subject->places, seed, POKES);
    GArray *pokes = subject->round < sweep
                        ? godwit_pokes_make(subject->places, seed, POKES)
                        : godwit_pokes_sweep(
                              subject->places, seed,
                              widths[(subject->round - sweep) % G_N_ELEMENTS(widths)], SWEEP_MAX);
    g_autoptr(GArray) after =
        godwit_pokes_select(subject->places, ~seed, SELECTORS, SELECTOR_CHOICES);
    for (guint i = 0; i < after->len; i++)
        g_array_index(after, struct godwit_poke, i).after = true;
    g_array_append_vals(pokes, after->data, after->len);
    return pokes;
}

/* Starts the machine, and makes the pokes if there are none yet. */
static bool start(struct subject *subject, struct godwit_still *still, GError **error)
{
    struct godwit_testbed *testbed = subject->testbed;
    godwit_still_drop(testbed, subject->vms);
    if (!godwit_still_start(testbed, subject->here, subject->there, still, error) ||
        !godwit_hardware_assign(still->source, error))
        return false;
    still->source->alarms_judged = true;
    /* A poke may make the serial port send a byte, before the migration or after it. */
    still->source->console->theirs = still->destination->console->theirs = true;
    if (subject->pokes)
        return true;
    subject->places = godwit_hardware_places(still->source, error);
    if (!subject->places)
        return false;
    if (!keep_own(subject, subject->places, error))
        return false;
    subject->pokes = pokes_of_round(subject);
    return true;
}

/* Makes those of POKES in VM that come before the migration, all or up to the first that ends or
 * resets the machine. Returns its index, the number of pokes if there is none, or -1 with ERROR
 * set. */
static int make_pokes(struct godwit_vm *vm, const GArray *pokes, GError **error)
{
    struct godwit_pci *pci = pci_of(vm);
    guint i = 0;
    enum godwit_poked poked = GODWIT_POKED;
    vm->may_exit = true;
    while (i < pokes->len && poked == GODWIT_POKED) {
        const struct godwit_poke *poke = &g_array_index(pokes, struct godwit_poke, i);
        if (!poke->after)
            poked = godwit_poke_make(vm, pci, "prelaunch", poke, error);
        i += poked == GODWIT_POKED;
    }
    vm->may_exit = false;
    godwit_pci_free(pci);
    return poked == GODWIT_POKED_FAILED ? -1 : (int)i;
}

/* Migrates the machine, and makes those of POKES that come after that. Takes those away that end or
 * reset it. Returns what is lost, NULL if a VM fails. */
static GPtrArray *migrate(const struct subject *subject, struct godwit_still *still, GArray *pokes,
                          GError **error)
{
    g_autoptr(GArray) after = g_array_new(FALSE, FALSE, sizeof(struct godwit_poke));
    guint before = 0;
    while (before < pokes->len && !g_array_index(pokes, struct godwit_poke, before).after)
        before++;
    g_array_append_vals(after, &g_array_index(pokes, struct godwit_poke, before),
                        pokes->len - before);
    struct godwit_reveal reveal = {subject->places, after};
    GPtrArray *lost = godwit_still_reveal(still, &reveal, error);
    g_array_set_size(pokes, before);
    g_array_append_vals(pokes, after->data, after->len);
    return lost;
}

/* Starts a machine and makes the pokes, without those that end or reset it. */
static bool start_poked(struct subject *subject, struct godwit_still *still, GError **error)
{
    for (guint restarts = 0; start(subject, still, error); restarts++) {
        const int done = make_pokes(still->source, subject->pokes, error);
        if (done < 0)
            return false;
        if (done == (int)subject->pokes->len)
            return true;
        g_autofree char *text =
            godwit_poke_text(&g_array_index(subject->pokes, struct godwit_poke, (guint)done));
        json_array_append_new(subject->deadly, json_string(text));
        if (restarts >= RESTARTS_MAX)
            g_array_set_size(subject->pokes, (guint)done);
        else
            g_array_remove_index(subject->pokes, (guint)done);
    }
    return false;
}

/* Returns whether LOST has something at WHERE. */
static bool has_lost(const GPtrArray *lost, const char *where)
{
    for (guint i = 0; i < lost->len; i++)
        if (!strcmp(((struct godwit_lost *)g_ptr_array_index(lost, i))->where, where))
            return true;
    return false;
}

/* Returns whether WHERE is lost, or, if that is NULL, the migration fails, after these POKES. */
static bool still_fails(struct subject *subject, GArray *pokes, const char *where)
{
    struct godwit_still still;
    GArray *all = subject->pokes;
    subject->pokes = pokes;
    bool fails = false;
    if (start(subject, &still, NULL) && make_pokes(still.source, pokes, NULL) == (int)pokes->len) {
        g_autoptr(GPtrArray) lost = migrate(subject, &still, pokes, NULL);
        fails = where ? lost && has_lost(lost, where) : !lost;
    }
    subject->pokes = all;
    return fails;
}

/* Returns POKES without COUNT of them from FIRST on. The caller unreferences the array. */
static GArray *without(const GArray *pokes, guint first, guint count)
{
    GArray *rest = g_array_new(FALSE, FALSE, sizeof(struct godwit_poke));
    g_array_append_vals(rest, pokes->data, first);
    const guint next = MIN(first + count, pokes->len);
    g_array_append_vals(rest, &g_array_index(pokes, struct godwit_poke, next), pokes->len - next);
    return rest;
}

/* How long a try took that ended now and began at BEGAN. */
static void note_try(struct subject *subject, gint64 began)
{
    subject->longest = MAX(subject->longest, g_get_monotonic_time() - began);
}

/* Returns whether there is time for another try, and for the last one after it. */
static bool has_time(const struct subject *subject)
{
    return subject->testbed->deadline - g_get_monotonic_time() > RESERVE * subject->longest;
}

/* Leaves out of the pokes what is not needed for the failure: parts, at first large ones. */
static void minimise(struct subject *subject, const char *where)
{
    GArray *none = without(subject->pokes, 0, subject->pokes->len);
    if (still_fails(subject, none, where)) {
        g_array_unref(subject->pokes);
        subject->pokes = none;
        return;
    }
    g_array_unref(none);
    for (guint part = (subject->pokes->len + 1) / 2; part;) {
        bool smaller = false;
        for (guint first = 0; first < subject->pokes->len && has_time(subject);) {
            GArray *rest = without(subject->pokes, first, part);
            const gint64 began = g_get_monotonic_time();
            if (rest->len && still_fails(subject, rest, where)) {
                g_array_unref(subject->pokes);
                subject->pokes = rest;
                smaller = true;
            } else {
                g_array_unref(rest);
                first += part;
            }
            note_try(subject, began);
        }
        if (part > 1)
            part = MIN((part + 1) / 2, MAX(1, subject->pokes->len / 2));
        else if (!smaller || !has_time(subject))
            break;
    }
}

/* Records the pokes of one side of the migration as FIELD, and quotes the first of them. Returns
 * NULL if there is none. The caller frees the text. */
static char *record(const struct subject *subject, bool after, const char *field)
{
    GString *text = g_string_new(NULL);
    guint count = 0;
    for (guint i = 0; i < subject->pokes->len; i++) {
        const struct godwit_poke *poke = &g_array_index(subject->pokes, struct godwit_poke, i);
        if (poke->after != after)
            continue;
        g_autofree char *one = godwit_poke_text(poke);
        godwit_testbed_measure_item(subject->testbed, field, json_string(one));
        if (count++ < QUOTED_MAX)
            g_string_append_printf(text, "%s%s", count > 1 ? ", " : "", one);
    }
    if (count > QUOTED_MAX)
        g_string_append_printf(text, ", and %u more", count - QUOTED_MAX);
    return g_string_free(text, !count);
}

/* Records the pokes that suffice, and adds them to the failure. */
static void add_pokes(const struct subject *subject, GError **error)
{
    g_autofree char *before = record(subject, false, "pokes");
    g_autofree char *after = record(subject, true, "pokes_after");
    godwit_error_context(error, "after %s%s%s", before ? before : "no poke at all",
                         after ? ", and after the migration, on both sides, " : "",
                         after ? after : "");
}

/* Tries the pokes once more, so that the evidence is that of the fewest. Returns what is lost, and
 * *CAUSE why there is none. */
static GPtrArray *try_again(struct subject *subject, GError **cause)
{
    struct godwit_still still;
    return start(subject, &still, cause) &&
                   make_pokes(still.source, subject->pokes, cause) == (int)subject->pokes->len
               ? migrate(subject, &still, subject->pokes, cause)
               : NULL;
}

/* Returns where the loss is that is worth the most: one that no known bug explains. A known one
 * must not hide it. */
static char *worst(const struct subject *subject, const GPtrArray *lost)
{
    for (guint i = 0; i < lost->len; i++) {
        const struct godwit_lost *one = g_ptr_array_index(lost, i);
        if (!godwit_device_is_known(subject->testbed, subject->name, one))
            return g_strdup(one->where);
    }
    return g_strdup(((struct godwit_lost *)g_ptr_array_index(lost, 0))->where);
}

/* Returns whether known bugs explain all that is lost. */
static bool all_known(const struct subject *subject, const GPtrArray *lost)
{
    for (guint i = 0; lost && i < lost->len; i++)
        if (!godwit_device_is_known(subject->testbed, subject->name, g_ptr_array_index(lost, i)))
            return false;
    return lost != NULL;
}

/* Minimises the pokes after which something is lost, or the migration fails for CAUSE, and replaces
 * CAUSE by what the fewest pokes come to. */
static void reduce(struct subject *subject, GError **cause)
{
    struct godwit_testbed *testbed = subject->testbed;
    const GPtrArray *all = testbed->state->lost;
    g_autofree char *where = all ? worst(subject, all) : NULL;
    if (!g_error_matches(*cause, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT) &&
        !g_error_matches(*cause, GODWIT_ERROR, GODWIT_ERROR_INTERRUPTED)) {
        minimise(subject, where);
        g_clear_error(cause);
        g_autoptr(GPtrArray) lost = try_again(subject, cause);
        if (lost)
            godwit_loaded_judge(testbed, lost, cause);
        if (!*cause)
            g_set_error_literal(cause, GODWIT_ERROR, GODWIT_ERROR_ORACLE,
                                "something did not survive, but survived when it was tried again");
    }
    add_pokes(subject, cause);
}

/* Pokes, migrates and judges. */
static bool judge(struct subject *subject, GError **error)
{
    struct godwit_testbed *testbed = subject->testbed;
    struct godwit_still still;
    g_autoptr(GError) cause = NULL;
    const gint64 began = g_get_monotonic_time();
    if (!start_poked(subject, &still, error))
        return false;
    if (!subject->pokes->len)
        return true; /* the device has nothing for this round */
    subject->poked += subject->pokes->len;
    godwit_testbed_measure(testbed, "poked", json_integer(subject->poked));
    testbed->state->lost = migrate(subject, &still, subject->pokes, &cause);
    if (testbed->state->lost && !testbed->state->lost->len) {
        g_clear_pointer(&testbed->state->lost, g_ptr_array_unref);
        return true;
    }
    note_try(subject, began);
    if (all_known(subject, testbed->state->lost))
        godwit_loaded_judge(testbed, testbed->state->lost, &cause);
    else
        reduce(subject, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* Pokes the device that both sides plug with these arguments, or, if NAME is NULL, the machine. */
static bool poke(struct godwit_testbed *testbed, const char *name, char **here, char **there,
                 GError **error)
{
    struct subject subject = {.testbed = testbed,
                              .name = name ? name : testbed->setup->type,
                              .machine = !name,
                              .rounds = name ? DEVICE_ROUNDS : MACHINE_ROUNDS,
                              .here = (const char *const *)here,
                              .there = (const char *const *)there,
                              .vms = testbed->vms->len,
                              .deadly = json_array()};
    testbed->hand = testbed->state->poked = true;
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) known = NULL;
    bool good = true;
    while (good && subject.round < subject.rounds) {
        GPtrArray **lost = &testbed->state->lost;
        g_autoptr(GError) failure = NULL;
        good = judge(&subject, &failure);
        /* What known bugs explain must not keep the other rounds from finding something else. */
        if (!good && all_known(&subject, *lost)) {
            good = true;
            if (!cause) {
                known = g_steal_pointer(lost);
                cause = g_steal_pointer(&failure);
            }
            g_clear_pointer(lost, g_ptr_array_unref);
        } else if (!good) {
            g_clear_error(&cause);
            cause = g_steal_pointer(&failure);
        }
        g_clear_pointer(&subject.pokes, g_array_unref);
        g_clear_pointer(&subject.places, g_array_unref);
        subject.round++;
    }
    godwit_testbed_measure(testbed, "pokes_deadly", subject.deadly);
    if (good && !cause)
        return subject.poked ||
               godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs a device with registers that can be reached from outside");
    if (good)
        testbed->state->lost = g_steal_pointer(&known);
    godwit_device_explain(testbed, subject.name, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const char *name = godwit_scenario_subject(scenario);
    g_autoptr(godwit_plug) plug = godwit_plug_ask(testbed, name, false, error);
    if (!plug || !godwit_plug_agreed(testbed, plug, error))
        return false;
    g_auto(GStrv) here = godwit_plug_arguments(plug->source, true);
    g_auto(GStrv) there = godwit_plug_arguments(plug->destination, true);
    return godwit_plug_try(testbed, GODWIT_VM_SOURCE, here, name, error) &&
           godwit_plug_try(testbed, GODWIT_VM_DESTINATION_PAUSED, there, name, error) &&
           poke(testbed, name, here, there, error);
}

/* Pokes what the machine has of itself. */
static bool run_machine(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    (void)scenario;
    g_auto(GStrv) arguments = godwit_plug_arguments(NULL, false);
    return poke(testbed, NULL, arguments, arguments, error);
}

GODWIT_SCENARIOS(poke) = {
    {
        .name = "poke/machine",
        .summary = "random writes to the registers that the machine itself has, then a migration",
        .run = run_machine,
        .order = true,
        .slow = true,
        .random = true,
        .deadlines = 8,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
        .spec = {.move = GODWIT_MOVE_STOPPED},
    },
    {
        .name = "poke/NAME",
        .summary = "random writes to a device's registers, then a migration: nothing may be lost",
        .names = godwit_device_names,
        .run = run,
        .order = true,
        .deadlines = 3,
        .state = sizeof(struct godwit_scenario_state),
        .clear = godwit_device_clear,
        .spec = {.move = GODWIT_MOVE_STOPPED},
    },
};
GODWIT_SCENARIOS_END(poke);
