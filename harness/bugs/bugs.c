/*
 * The code that all known bugs share: bounds, records, acceptance and frequency. See bugs.h.
 *
 * The oracles and the course describe what they observe as a symptom and call godwit_bug_explain().
 * The bugs met are a part of the testbed. They are also in its measurements, so that they reach the
 * result. A failure that a bug explains keeps its code and message; its error domain names the bug.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include "base/text.h"
#include "migrate/migrate.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const struct godwit_bug *const families[] = {
    godwit_bugs_memory,    godwit_bugs_loading,  godwit_bugs_states,
    godwit_bugs_requests,  godwit_bugs_figures,  godwit_bugs_devices,
    godwit_bugs_registers, godwit_bugs_machines, godwit_bugs_snapshots,
};

const struct godwit_bug *godwit_bug_at(size_t index)
{
    for (size_t f = 0; f < G_N_ELEMENTS(families); f++)
        for (const struct godwit_bug *bug = families[f]; bug->id; bug++)
            if (index-- == 0)
                return bug;
    return NULL;
}

const struct godwit_bug *godwit_bug_find(const char *id)
{
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++)
        if (!strcmp(bug->id, id))
            return bug;
    return NULL;
}

static bool parse_version(const struct godwit_qemu *qemu, int version[2])
{
    return sscanf(qemu->version, "%d.%d", &version[0], &version[1]) == 2;
}

static bool is_before(const int version[2], const int other[2])
{
    return version[0] < other[0] || (version[0] == other[0] && version[1] < other[1]);
}

static bool is_within(const struct godwit_bug *bug, const int version[2])
{
    return !is_before(version, bug->since) && (!bug->fixed[0] || is_before(version, bug->fixed));
}

static bool is_version(const int version[2], const unsigned short wanted[2])
{
    return version[0] == wanted[0] && version[1] == wanted[1];
}

static bool is_pair(const struct godwit_bug *bug, const int source[2], const int destination[2])
{
    bool any = false;
    for (size_t i = 0; i < G_N_ELEMENTS(bug->pairs) && bug->pairs[i].source[0]; i++) {
        any = true;
        if (is_version(source, bug->pairs[i].source) &&
            is_version(destination, bug->pairs[i].destination))
            return true;
    }
    return !any;
}

bool godwit_bug_strikes(const struct godwit_bug *bug, const struct godwit_setup *setup,
                        const struct godwit_qemu *source, const struct godwit_qemu *destination)
{
    int here[2], there[2];
    if ((bug->arch && strcmp(bug->arch, setup->machine->arch) != 0) ||
        (bug->accel && strcmp(bug->accel, setup->accel) != 0))
        return false;
    const bool knows_here = parse_version(source, here);
    const bool knows_there = parse_version(destination, there);
    if (bug->pairs[0].source[0] && !(knows_here && knows_there && is_pair(bug, here, there)))
        return false;
    const bool brings_here = knows_here && is_within(bug, here);
    const bool brings_there = knows_there && is_within(bug, there);
    switch (bug->role) {
    case GODWIT_BUG_SOURCE:
        return brings_here;
    case GODWIT_BUG_DESTINATION:
        return brings_there;
    case GODWIT_BUG_EITHER:
        break;
    }
    return brings_here || brings_there;
}

static struct godwit_testbed *testbed_of(const struct godwit_symptom *symptom)
{
    return symptom->vm       ? symptom->vm->testbed
           : symptom->source ? symptom->source->testbed
                             : symptom->destination->testbed;
}

/* Returns true if the symptom is within the entry's bounds. If the symptom has no source or no
 * destination, the setup's QEMU of that side counts. */
static bool may_strike(const struct godwit_bug *bug, const struct godwit_symptom *symptom)
{
    const struct godwit_setup *setup = testbed_of(symptom)->setup;
    const struct godwit_qemu *source = symptom->source ? symptom->source->qemu : setup->source;
    const struct godwit_qemu *destination =
        symptom->destination ? symptom->destination->qemu : setup->destination;
    if (symptom->vm)
        source = destination = symptom->vm->qemu;
    return godwit_bug_strikes(bug, setup, source, destination);
}

/* A bug that was met. */
struct met {
    const struct godwit_bug *bug;
    GString *seen;
};

struct godwit_bugs_met {
    GArray *list; /* of struct met */
};

static void clear_met(gpointer data)
{
    g_string_free(((struct met *)data)->seen, TRUE);
}

static void free_bugs_met(gpointer data)
{
    struct godwit_bugs_met *bugs = data;
    g_array_unref(bugs->list);
    g_free(bugs);
}

static GArray *bugs_met(struct godwit_testbed *testbed)
{
    if (!testbed->bugs) {
        testbed->bugs = g_new0(struct godwit_bugs_met, 1);
        testbed->bugs->list = g_array_new(FALSE, FALSE, sizeof(struct met));
        g_array_set_clear_func(testbed->bugs->list, clear_met);
        godwit_testbed_at_end(testbed, free_bugs_met, testbed->bugs);
    }
    return testbed->bugs->list;
}

/* Writes the bugs that were met into the measurements. */
static void record(struct godwit_testbed *testbed)
{
    const GArray *list = bugs_met(testbed);
    json_t *recorded = json_array();
    for (guint i = 0; i < list->len; i++) {
        const struct met *met = &g_array_index(list, struct met, i);
        json_array_append_new(recorded, json_pack("{s:s, s:s, s:s, s:s, s:b}", "id", met->bug->id,
                                                  "summary", met->bug->summary, "reference",
                                                  met->bug->reference, "seen", met->seen->str,
                                                  "lost", met->bug->effect == GODWIT_BUG_LOST));
    }
    godwit_testbed_measure(testbed, "known_bugs", recorded);
}

void godwit_bug_meet(struct godwit_testbed *testbed, const struct godwit_bug *bug, const char *seen)
{
    GArray *list = bugs_met(testbed);
    /* It may quote QEMU, which can print anything. */
    g_autofree char *line = godwit_text_line(seen);
    struct met *met = NULL;
    for (guint i = 0; i < list->len && !met; i++) {
        struct met *earlier = &g_array_index(list, struct met, i);
        met = !strcmp(earlier->bug->id, bug->id) ? earlier : NULL;
    }
    if (!met) {
        const struct met new = {bug, g_string_new(line)};
        g_array_append_val(list, new);
    } else if (!strstr(met->seen->str, line)) {
        g_string_append_printf(met->seen, "; %s", line);
    }
    record(testbed);
}

/* Returns the bug that explains SYMPTOM, or NULL. Sets *SEEN, which the caller frees, to what the
 * bug has seen of it, or to NULL. */
static const struct godwit_bug *match(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++) {
        *seen = NULL;
        if (bug->kind == symptom->kind && may_strike(bug, symptom) && bug->matches(symptom, seen))
            return bug;
        g_clear_pointer(seen, g_free);
    }
    return NULL;
}

const struct godwit_bug *godwit_bug_match(const struct godwit_symptom *symptom)
{
    g_autofree char *seen = NULL;
    return match(symptom, &seen);
}

const struct godwit_bug *godwit_bug_explain(const struct godwit_symptom *symptom)
{
    g_autofree char *seen = NULL;
    const struct godwit_bug *bug = match(symptom, &seen);
    if (bug)
        godwit_bug_meet(testbed_of(symptom), bug, seen ? seen : symptom->text);
    return bug;
}

bool godwit_bug_hot_pages(const struct godwit_setup *setup)
{
    const struct godwit_bug *bug = godwit_bug_find("tcg-hot-page");
    return godwit_bug_strikes(bug, setup, setup->source, setup->destination) ||
           godwit_bug_strikes(bug, setup, setup->destination, setup->source);
}

#define DOMAIN "godwit-known-bug:"

void godwit_bug_mark(GError **failure, const struct godwit_bug *bug)
{
    g_autofree char *domain = g_strconcat(DOMAIN, bug->id, NULL);
    (*failure)->domain = g_quark_from_string(domain);
}

bool godwit_bug_excuse(const struct godwit_symptom *symptom, GError **failure)
{
    const struct godwit_bug *bug = godwit_bug_explain(symptom);
    if (bug)
        godwit_bug_mark(failure, bug);
    return bug != NULL;
}

const struct godwit_bug *godwit_bug_of(const GError *failure)
{
    const char *domain = failure ? g_quark_to_string(failure->domain) : "";
    return g_str_has_prefix(domain, DOMAIN) ? godwit_bug_find(domain + strlen(DOMAIN)) : NULL;
}

static bool has_given_up(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->exited || !strcmp(godwit_migrate_reported_state(vm), "failed");
}

/* Seconds within which a destination that refuses a migration must report that, before scaling. */
#define GIVE_UP_SECONDS 5

/* Waits for the destination to give up, if it does. The source may report the failure first. */
static void await_end(struct godwit_vm *destination)
{
    struct godwit_testbed *testbed = destination->testbed;
    destination->may_exit = true;
    godwit_testbed_wait_until(testbed, godwit_testbed_seconds(testbed, GIVE_UP_SECONDS),
                              has_given_up, destination, "the destination to give up", NULL);
}

/* Returns true if the source has ended, and not with status 0. */
static bool has_died(const struct godwit_vm *source)
{
    return source->exited &&
           (!WIFEXITED(source->wait_status) || WEXITSTATUS(source->wait_status) != 0);
}

/* Returns true if the failure can be the result of a failed load, with a source that has not died.
 * A timeout can, if the destination has failed: the source does not always notice that. */
static bool is_of_load(const struct godwit_vm *source, struct godwit_vm *destination,
                       const GError *failure)
{
    const bool migrates = source->testbed->phase == GODWIT_PHASE_MIGRATE;
    switch ((enum godwit_error)failure->code) {
    case GODWIT_ERROR_CRASH:
        return destination->exited;
    case GODWIT_ERROR_MIGRATION:
        if (migrates)
            await_end(destination);
        return migrates && has_given_up(destination);
    case GODWIT_ERROR_TIMEOUT:
        return migrates && has_given_up(destination);
    default:
        return false;
    }
}

void godwit_bug_explain_failure(struct godwit_vm *source, struct godwit_vm *destination,
                                GError **failure)
{
    struct godwit_symptom symptom = {
        .kind = GODWIT_SYMPTOM_LOAD,
        .source = source,
        .destination = destination,
        .failure = *failure,
    };
    if ((*failure)->domain != GODWIT_ERROR)
        return;
    if (has_died(source)) {
        symptom.kind = GODWIT_SYMPTOM_SOURCE_DIED;
        if ((*failure)->code != GODWIT_ERROR_CRASH)
            return;
    } else if (!is_of_load(source, destination, *failure)) {
        return;
    }
    godwit_bug_excuse(&symptom, failure);
}

void godwit_bug_explain_snapshot(struct godwit_vm *source, struct godwit_vm *destination,
                                 GError **failure)
{
    if ((*failure)->domain != GODWIT_ERROR || (*failure)->code != GODWIT_ERROR_MIGRATION)
        return;
    godwit_bug_excuse(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_LOAD,
                                                     .source = source,
                                                     .destination = destination,
                                                     .failure = *failure},
                      failure);
}

void godwit_bug_explain_saver(const struct godwit_vm *vm, GError **failure)
{
    godwit_bug_excuse(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_SNAPSHOT, .vm = vm},
                      failure);
}

bool godwit_bug_was_killed(const struct godwit_vm *vm, int number)
{
    return vm && vm->exited && WIFSIGNALED(vm->wait_status) && WTERMSIG(vm->wait_status) == number;
}

char *godwit_bug_find_line(const struct godwit_vm *vm, const char *pattern)
{
    g_autofree char *output = godwit_vm_stderr(vm, 20);
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        if (g_regex_match_simple(pattern, g_strchomp(lines[i]), G_REGEX_RAW, 0))
            return g_strdup(lines[i]);
    return NULL;
}

bool godwit_bug_add_sides(const struct godwit_testbed *testbed, struct godwit_symptom *symptom)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        *(vm->source ? &symptom->source : &symptom->destination) = vm;
    }
    return symptom->source && symptom->destination;
}

void godwit_bug_explain_subject(const struct godwit_testbed *testbed, enum godwit_symptom_kind kind,
                                const char *name, GError **failure)
{
    struct godwit_symptom symptom = {.kind = kind, .text = name, .failure = *failure};
    if (!godwit_bug_add_sides(testbed, &symptom))
        return;
    if (!godwit_bug_excuse(&symptom, failure))
        godwit_bug_explain_failure(symptom.source, symptom.destination, failure);
}

bool godwit_bug_any_met(const struct godwit_testbed *testbed)
{
    return testbed->bugs != NULL;
}

const struct godwit_bug *godwit_bug_unaccepted(const struct godwit_testbed *testbed)
{
    const struct godwit_setup *setup = testbed->setup;
    for (guint i = 0; testbed->bugs && i < testbed->bugs->list->len; i++) {
        const struct godwit_bug *bug = g_array_index(testbed->bugs->list, struct met, i).bug;
        if (!godwit_bug_set_has(&setup->accepted, bug->id) &&
            (setup->strict || bug->effect == GODWIT_BUG_LOST))
            return godwit_bug_find(bug->id);
    }
    return NULL;
}

/* A bug that strikes in more runs than this cannot be distinguished from one that always strikes.
 */
#define RARE_PERCENT 50u

const struct godwit_bug *godwit_bug_rare(const json_t *measurements)
{
    const struct godwit_bug *rarest = NULL;
    size_t i;
    json_t *noted;
    json_array_foreach(json_object_get(measurements, "known_bugs"), i, noted)
    {
        const struct godwit_bug *bug = godwit_bug_find(godwit_json_string(noted, "id", ""));
        if (bug && bug->strikes < bug->runs && bug->percent <= RARE_PERCENT &&
            (!rarest || bug->percent < rarest->percent))
            rarest = bug;
    }
    return rarest;
}

/* A result with a lower probability is not chance, not even in a run of all scenarios. */
#define CHANCE 1e-4

unsigned godwit_bug_repetitions(const struct godwit_bug *bug)
{
    /* The factor of 99 makes a verdict possible even if not every repetition strikes. */
    double all = 1;
    unsigned n = 0;
    while (all > CHANCE / 99) {
        all *= bug->percent / 100.0;
        n++;
    }
    return n;
}

/* Returns the probability of exactly K strikes in N runs, each with probability P. */
static double probability(unsigned n, unsigned k, double p)
{
    double product = 1;
    for (unsigned i = 0; i < k; i++)
        product *= p * (n - i) / (i + 1);
    for (unsigned i = k; i < n; i++)
        product *= 1 - p;
    return product;
}

unsigned godwit_bug_too_many(const struct godwit_bug *bug)
{
    const unsigned n = godwit_bug_repetitions(bug);
    double tail = 0;
    unsigned k = n + 1;
    while (k > 0 && (tail += probability(n, k - 1, bug->percent / 100.0)) < CHANCE)
        k--;
    return k;
}
