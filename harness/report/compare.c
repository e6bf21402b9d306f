/*
 * Gathers what runs of `godwit compare` have measured, and how they failed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/compare.h"

#include "base/text.h"
#include "report/raw_runs.h"
#include "run/result.h"
#include <math.h>
#include <string.h>

/* The p below which B fails more often than A. */
#define SIGNIFICANT 0.05
/* After so many failures of an arm without one success, its scenario is given up. */
#define HOPELESS 3

static void failure_free(gpointer data)
{
    struct godwit_compare_failure *failure = data;
    g_free(failure->message);
    g_free(failure->again);
    g_free(failure);
}

static void scenario_free(gpointer data)
{
    struct godwit_compare_scenario *scenario = data;
    g_array_unref(scenario->rounds);
    g_ptr_array_unref(scenario->failures);
    g_free(scenario->skipped);
    json_decref(scenario->raw);
    for (int arm = 0; arm < GODWIT_ARMS; arm++) {
        g_free(scenario->again[arm]);
        json_decref(scenario->measured[arm]);
    }
    for (size_t side = 0; side < G_N_ELEMENTS(scenario->traced); side++)
        json_decref(scenario->traced[side]);
    g_free(scenario);
}

struct godwit_compare_scenario *godwit_compare_scenario_new(const char *name)
{
    struct godwit_compare_scenario *scenario = g_new0(struct godwit_compare_scenario, 1);
    scenario->name = name;
    scenario->rounds = g_array_new(FALSE, FALSE, sizeof(struct godwit_round));
    scenario->failures = g_ptr_array_new_with_free_func(failure_free);
    scenario->raw = json_array();
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        scenario->measured[arm] = json_array();
    return scenario;
}

void godwit_compare_report_clear(struct godwit_compare_report *report)
{
    if (report->scenarios)
        g_ptr_array_foreach(report->scenarios, (GFunc)(void (*)(void))scenario_free, NULL);
    g_clear_pointer(&report->scenarios, g_ptr_array_unref);
    g_clear_pointer(&report->rows, g_array_unref);
    g_clear_pointer(&report->workload, g_free);
    json_decref(report->about);
}

/* Where each metric is in the measurements of a result. */
static const struct {
    const char *object, *member; /* MEMBER of OBJECT, or OBJECT itself */
} places[GODWIT_METRICS] = {
    [GODWIT_METRIC_TOTAL] = {"pace", "total_ms"},
    [GODWIT_METRIC_BLACKOUT] = {"blackout_ms", NULL},
    [GODWIT_METRIC_DOWNTIME] = {"migration", "downtime"},
    [GODWIT_METRIC_SETUP] = {"migration", "setup-time"},
    [GODWIT_METRIC_BYTES] = {"migration", "transferred"},
    [GODWIT_METRIC_SOURCE_CPU] = {"pace", "source_cpu_ms"},
    [GODWIT_METRIC_DESTINATION_CPU] = {"pace", "destination_cpu_ms"},
};

double godwit_compare_value(const json_t *result, enum godwit_metric metric)
{
    const json_t *value =
        json_object_get(json_object_get(result, "measurements"), places[metric].object);
    if (places[metric].member)
        value = json_object_get(value, places[metric].member);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void add_failure(struct godwit_compare_scenario *scenario, enum godwit_arm arm,
                        const json_t *result)
{
    g_autofree char *message = godwit_text_line(godwit_json_string(result, "message", ""));
    for (guint i = 0; i < scenario->failures->len; i++) {
        struct godwit_compare_failure *failure = g_ptr_array_index(scenario->failures, i);
        if (failure->arm == arm && !strcmp(failure->message, message)) {
            failure->count++;
            return;
        }
    }
    struct godwit_compare_failure *failure = g_new0(struct godwit_compare_failure, 1);
    failure->arm = arm;
    failure->message = g_steal_pointer(&message);
    failure->again = g_strdup(godwit_json_string(result, "again", ""));
    failure->count = 1;
    g_ptr_array_add(scenario->failures, failure);
}

/* Counts a failure. */
static void fail(struct godwit_compare_scenario *scenario, enum godwit_arm arm,
                 const json_t *result)
{
    scenario->failed[arm]++;
    if (!strcmp(godwit_json_string(result, "status", "fail"), "fail"))
        scenario->faults[godwit_result_unconverged(result) ? GODWIT_FAULT_UNCONVERGED
                                                           : GODWIT_FAULT_FAILED][arm]++;
    add_failure(scenario, arm, result);
}

void godwit_compare_take_traced(struct godwit_compare_scenario *scenario, unsigned side,
                                const json_t *result)
{
    if (!godwit_result_passed(result)) {
        fail(scenario, side ? GODWIT_ARM_B : GODWIT_ARM_A, result);
        return;
    }
    json_decref(scenario->traced[side]);
    scenario->traced[side] = json_deep_copy(json_object_get(result, "measurements"));
}

void godwit_compare_take(struct godwit_compare_scenario *scenario, struct godwit_round *round,
                         enum godwit_arm arm, const json_t *result)
{
    if (!scenario->again[arm])
        scenario->again[arm] = g_strdup(godwit_json_string(result, "again", ""));
    /* The round is added to the others when all its arms have run. */
    json_t *raw = godwit_raw_run(result, scenario->rounds->len + 1);
    json_object_set_new(raw, "arm", json_string(godwit_arm_name(arm)));
    json_array_append_new(scenario->raw, raw);
    if (!godwit_result_passed(result)) {
        fail(scenario, arm, result);
        return;
    }
    scenario->passed[arm]++;
    json_array_append(scenario->measured[arm], json_object_get(result, "measurements"));
    for (int metric = 0; metric < GODWIT_METRICS; metric++)
        round->value[arm][metric] = godwit_compare_value(result, (enum godwit_metric)metric);
}

bool godwit_compare_is_hopeless(const struct godwit_compare_scenario *scenario)
{
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        if (scenario->failed[arm] >= HOPELESS && !scenario->passed[arm])
            return true;
    return false;
}

/* Returns how many runs of an arm have passed or failed, errors of the host not counted. */
static unsigned runs_of(const struct godwit_compare_scenario *scenario, enum godwit_arm arm)
{
    unsigned runs = scenario->passed[arm];
    for (int fault = 0; fault < GODWIT_FAULTS; fault++)
        runs += scenario->faults[fault][arm];
    return runs;
}

enum godwit_fault_verdict godwit_compare_faults(const struct godwit_compare_scenario *scenario)
{
    const unsigned equals = runs_of(scenario, GODWIT_ARM_A) + runs_of(scenario, GODWIT_ARM_CONTROL);
    enum godwit_fault_verdict verdict = GODWIT_FAULTS_NONE;
    for (int fault = 0; fault < GODWIT_FAULTS; fault++) {
        const unsigned *const of = scenario->faults[fault];
        const unsigned others = of[GODWIT_ARM_A] + of[GODWIT_ARM_CONTROL];
        const double p =
            godwit_fails_more_p(of[GODWIT_ARM_B], runs_of(scenario, GODWIT_ARM_B), others, equals);
        const enum godwit_fault_verdict found = !of[GODWIT_ARM_B]   ? GODWIT_FAULTS_NONE
                                                : !others && equals ? GODWIT_FAULTS_ONLY
                                                : p < SIGNIFICANT   ? GODWIT_FAULTS_OFTEN
                                                                    : GODWIT_FAULTS_LIKE;
        verdict = MAX(verdict, found);
    }
    return verdict == GODWIT_FAULTS_NONE && scenario->failed[GODWIT_ARM_B] ? GODWIT_FAULTS_HOST
                                                                           : verdict;
}

bool godwit_compare_fails(const struct godwit_compare_scenario *scenario)
{
    return godwit_compare_faults(scenario) >= GODWIT_FAULTS_OFTEN;
}

const char *godwit_compare_fault_text(enum godwit_fault_verdict verdict)
{
    static const char *const texts[] = {
        [GODWIT_FAULTS_NONE] = "not failing",    [GODWIT_FAULTS_HOST] = "kept from running",
        [GODWIT_FAULTS_LIKE] = "failing like A", [GODWIT_FAULTS_OFTEN] = "failing more often",
        [GODWIT_FAULTS_ONLY] = "failing",
    };
    return texts[verdict];
}

bool godwit_compare_dropped(const struct godwit_round *round)
{
    for (int arm = 0; arm < GODWIT_ARMS; arm++)
        if (isnan(round->value[arm][GODWIT_METRIC_TOTAL]))
            return true;
    return false;
}
