/*
 * A CPU model of the binary in a machine that never runs: its state is migrated through a file and
 * compared field by field, and so are its features, which no stream has.
 *
 * cpu/NAME proves more, because Godwit's guest uses the CPU, and takes several times as long. It
 * needs a model that its guest runs on. This needs none, and two QEMUs instead of four.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"
#include "course/still.h"
#include "inventory/cpus.h"
#include "inventory/features.h"

/* The most features that a message lists. */
#define LISTED_MAX 12

/* Adds to LOST that the guest would see other features. */
static void add_features(GPtrArray *lost, const GPtrArray *differences)
{
    g_autoptr(GString) text = g_string_new("features of the CPU differ: ");
    for (guint i = 0; i < MIN(differences->len, LISTED_MAX); i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               (const char *)g_ptr_array_index(differences, i));
    if (differences->len > LISTED_MAX)
        g_string_append_printf(text, " and %u more", differences->len - LISTED_MAX);
    struct godwit_lost *one = g_new0(struct godwit_lost, 1);
    one->where = g_strdup(text->str);
    one->text = g_strdup(text->str);
    g_ptr_array_add(lost, one);
}

/* Compares the features of MODEL, and returns the differences, or NULL with ERROR set. */
static GPtrArray *compare_features(struct godwit_vm *source, struct godwit_vm *destination,
                                   const char *model, GError **error)
{
    g_autoptr(json_t) here = godwit_features_read(source, model, error);
    g_autoptr(json_t) there = here ? godwit_features_read(destination, model, error) : NULL;
    if (!there)
        return NULL;
    const bool both = json_is_object(here) && json_is_object(there);
    godwit_testbed_measure(source->testbed, "cpu_features",
                           json_integer(both ? (json_int_t)json_object_size(here) : 0));
    if (!both)
        godwit_testbed_measure_item(source->testbed, "not_compared",
                                    json_string("features of the CPU: not listed by both QEMUs"));
    return godwit_features_compare(here, there);
}

static bool migrate(struct godwit_testbed *testbed, const char *model, GError **error)
{
    const char *const arguments[] = {"-cpu", model, "-rtc", "base=2026-01-01,clock=vm", NULL};
    struct godwit_still still = {0};
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    if (!godwit_still_try_start(testbed, arguments, arguments, &still, error))
        return false;
    g_autoptr(GError) unanswered = NULL;
    if ((!godwit_still_source_answers(&still, &unanswered) &&
         !godwit_course_try_start(still.source, model, error)) ||
        !godwit_course_try_destination(still.destination, model, error) ||
        !godwit_course_migrates(still.source, "CPU", error))
        return false;
    g_autoptr(GPtrArray) differences =
        compare_features(still.source, still.destination, model, error);
    g_autoptr(GPtrArray) lost = differences ? godwit_still_migrate(&still, error) : NULL;
    if (lost && differences->len)
        add_features(lost, differences);
    return lost && godwit_loaded_judge(testbed, lost, error) &&
           godwit_course_end(still.source, still.destination, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const char *model = godwit_scenario_subject(scenario);
    g_autoptr(GError) cause = NULL;
    if (migrate(testbed, model, &cause))
        return true;
    struct godwit_symptom symptom = {.kind = GODWIT_SYMPTOM_LOAD};
    if (godwit_bug_add_sides(testbed, &symptom))
        godwit_bug_explain_failure(symptom.source, symptom.destination, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

GODWIT_SCENARIOS(cpu_still) = {
    {
        .name = "prelaunch-cpu/NAME",
        .summary = "a CPU model of the binary in a machine that never runs: state and features",
        .names = godwit_cpus_list,
        .run = run,
        .order = true,
    },
};
GODWIT_SCENARIOS_END(cpu_still);
