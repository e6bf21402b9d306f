/*
 * The dirty rate that QEMU measures, in each mode, on a guest that runs or not, during a migration
 * and after it; and requests that must be refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/dirty_rate.h"

#include "bugs/bugs.h"
#include "oracle/oracle.h"
#include "scenario/scenario.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

struct godwit_scenario_state {
    const struct godwit_calculation *calculation;
};

/* A window that is large enough for a rate in whole MiB, and small enough for a slow host. */
#define WINDOW (32 * MIB)

static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = MIN(workload->window_end, workload->window_start + WINDOW);
}

/* The guest's account counts pages, and each must change whenever it is written. */
static struct godwit_lack *lacks_order(const struct godwit_setup *setup)
{
    const uint32_t others =
        GODWIT_FLAG_ZERO | GODWIT_FLAG_MIXED | GODWIT_FLAG_STRIDE | GODWIT_FLAG_RANDOM;
    return setup->workload.flags & others
               ? godwit_lack_new(g_strdup("a guest that changes each page of its window in turn"),
                                 NULL)
               : NULL;
}

/* Judges the guest of a QEMU that has calculated, and ends both. */
static bool finish(struct godwit_vm *vm, bool stopped, GError **error)
{
    struct godwit_reading reading;
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_VERIFY);
    return (stopped || godwit_course_stop(vm, error)) && godwit_oracle_look(vm, &reading, error) &&
           godwit_course_end(vm, NULL, error);
}

/* Fails unless a QEMU that has measured nothing yet reports that. */
static bool expect_unmeasured(struct godwit_vm *vm, GError **error)
{
    json_int_t rate;
    return godwit_dirty_rate_ask(vm, &rate, error) &&
           (rate < 0 || godwit_fail(error, GODWIT_ERROR_QMP,
                                    "the %s reports a dirty rate of %" JSON_INTEGER_FORMAT
                                    " MiB/s, which it has not measured",
                                    vm->name, rate));
}

/* Starts a source, stops its guest if it must be, calculates, and judges. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct godwit_calculation *calculation = scenario->data;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MEASURE);
    return expect_unmeasured(vm, error) &&
           (!calculation->stopped || godwit_course_stop(vm, error)) &&
           godwit_dirty_rate_judge(vm, calculation, error) &&
           finish(vm, calculation->stopped, error);
}

/* Fails unless `info dirty_rate` reports RATE, or, if it is -1, that it is not measured. */
static bool expect_shown(struct godwit_vm *vm, json_int_t rate, GError **error)
{
    g_autofree char *line =
        rate < 0 ? g_strdup("Dirty rate: (not ready)")
                 : g_strdup_printf("Dirty rate: %" JSON_INTEGER_FORMAT " (MB/s)", rate);
    g_autofree char *shown = godwit_vm_monitor(vm, "info dirty_rate", error);
    return shown && (strstr(shown, line) ||
                     godwit_fail(error, GODWIT_ERROR_QMP,
                                 "the %s shows by \"info dirty_rate\": %s, expected \"%s\"",
                                 vm->name, shown, line));
}

/* Calculates by the human monitor, which must show what QMP reports. */
static bool run_monitor(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    const struct godwit_calculation *calculation = scenario->data;
    json_int_t rate;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MEASURE);
    return expect_shown(vm, -1, error) && godwit_dirty_rate_judge(vm, calculation, error) &&
           godwit_dirty_rate_ask(vm, &rate, error) && expect_shown(vm, rate, error) &&
           finish(vm, false, error);
}

/* Fails unless VM refuses COMMAND with ARGUMENTS (JSON), and its dirty rate is as it was. */
static bool refuse(struct godwit_vm *vm, const char *command, const char *arguments, GError **error)
{
    g_autoptr(json_t) before = godwit_vm_execute(vm, "query-dirty-rate", NULL, error);
    json_t *given = json_loads(arguments, 0, NULL);
    g_assert(given);
    if (!before || !godwit_course_refuse(vm, command, given, "running", error))
        return false;
    g_autoptr(json_t) after = godwit_vm_execute(vm, "query-dirty-rate", NULL, error);
    return after && (json_equal(before, after) ||
                     godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                 "the %s refused %s with %s, but query-dirty-rate has changed",
                                 vm->name, command, arguments));
}

/* Arguments that no QEMU can mean. */
static const char *const absurd[] = {
    "{\"calc-time\": 0}",
    "{\"calc-time\": -1}",
    "{\"calc-time\": 61}",
    "{\"calc-time\": 9223372036854775807}",
    "{\"calc-time\": 1, \"calc-time-unit\": \"fortnight\"}",
    "{\"calc-time\": 0, \"calc-time-unit\": \"millisecond\"}",
    "{\"calc-time\": 60001, \"calc-time-unit\": \"millisecond\"}",
    "{\"calc-time\": 1, \"sample-pages\": 0}",
    "{\"calc-time\": 1, \"sample-pages\": -1}",
    "{\"calc-time\": 1, \"sample-pages\": 16385}",
    "{\"calc-time\": 1, \"sample-pages\": 9223372036854775807}",
    "{\"calc-time\": 1, \"mode\": \"guess\"}",
};

/* So many seconds are 384 ms if 64 bits hold them as milliseconds. */
#define WRAPPED_MS 384
#define WRAPPING   G_GINT64_CONSTANT(18446744073709552)

/* Fails unless QEMU refuses that, or takes it for another time by a known bug. */
static bool refuse_wrapping(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    if (!godwit_vm_command(vm, "calc-dirty-rate", json_pack("{s:I}", "calc-time", WRAPPING),
                           &refusal)) {
        if (g_error_matches(refusal, GODWIT_ERROR, GODWIT_ERROR_QMP))
            return true;
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    if (godwit_bug_explain(&(const struct godwit_symptom){
            .kind = GODWIT_SYMPTOM_DIRTY_RATE_TIME, .vm = vm, .ms = WRAPPING}))
        return godwit_dirty_rate_await(vm, &(const struct godwit_calculation){.ms = WRAPPED_MS},
                                       error);
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s accepted a calc-time of %" G_GINT64_FORMAT
                       " seconds, which it should refuse",
                       vm->name, WRAPPING);
}

/* Each absurd request is refused, before a calculation and during one, and so is a second one. */
static bool run_refusals(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    const struct godwit_calculation *calculation = scenario->data;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    for (size_t i = 0; vm && i < G_N_ELEMENTS(absurd); i++)
        if (!refuse(vm, "calc-dirty-rate", absurd[i], error))
            return false;
    if (!vm || !expect_unmeasured(vm, error) || !refuse_wrapping(vm, error) ||
        !godwit_dirty_rate_begin(vm, calculation, error))
        return false;
    /* Between the command and the start of its thread, QEMU does not measure yet. */
    for (;;) {
        g_autoptr(json_t) info = godwit_vm_execute(vm, "query-dirty-rate", NULL, error);
        if (!info)
            return false;
        if (!strcmp(godwit_json_string(info, "status", ""), "measuring"))
            break;
        if (!godwit_testbed_rest(testbed, GODWIT_REST_MS, "QEMU to measure", error))
            return false;
    }
    return refuse(vm, "calc-dirty-rate", "{\"calc-time\": 1}", error) &&
           refuse(vm, "calc-dirty-rate", absurd[0], error) &&
           godwit_dirty_rate_await(vm, calculation, error) && finish(vm, false, error);
}

/* Fails unless the human monitor prints an error for LINE. */
static bool refuse_line(struct godwit_vm *vm, const char *line, GError **error)
{
    g_autofree char *printed = godwit_vm_monitor(vm, line, error);
    return printed && (strstr(printed, "Error") ||
                       godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s prints after \"%s\": %s",
                                   vm->name, line, printed));
}

/* The dirty ring is KVM's: without it QEMU must refuse the mode. */
static bool run_ring(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    const struct godwit_calculation *calculation = scenario->data;
    g_autoptr(GError) cause = NULL;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    if (godwit_dirty_rate_begin(vm, calculation, &cause))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s accepted calc-dirty-rate by %s without a dirty ring", vm->name,
                           calculation->mode);
    if (!g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_QMP)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    return refuse_line(vm, "calc_dirty_rate -r 1", error) && expect_unmeasured(vm, error) &&
           finish(vm, false, error);
}

/* Without a dirty ring the CPUs' dirty rate cannot be limited. */
static bool run_limit(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    (void)scenario;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    if (!refuse(vm, "set-vcpu-dirty-limit", "{\"dirty-rate\": 10}", error) ||
        !refuse(vm, "set-vcpu-dirty-limit", "{\"cpu-index\": 0, \"dirty-rate\": 10}", error) ||
        !refuse(vm, "set-vcpu-dirty-limit", "{\"cpu-index\": 99, \"dirty-rate\": -1}", error) ||
        !refuse_line(vm, "set_vcpu_dirty_limit 10", error) ||
        !refuse_line(vm, "set_vcpu_dirty_limit -1", error))
        return false;
    /* To cancel a limit that does not exist is no error: it has the effect that was asked for. */
    g_autoptr(json_t) limits = godwit_vm_execute(vm, "query-vcpu-dirty-limit", NULL, error);
    if (!limits || !godwit_vm_command(vm, "cancel-vcpu-dirty-limit", NULL, error))
        return false;
    g_autofree char *cancelled = godwit_vm_monitor(vm, "cancel_vcpu_dirty_limit", error);
    g_autofree char *shown =
        cancelled ? godwit_vm_monitor(vm, "info vcpu_dirty_limit", error) : NULL;
    if (!shown)
        return false;
    if (json_array_size(limits) || !g_str_has_prefix(shown, "Dirty page limit not enabled"))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the %s has refused each limit, but reports %zu, and shows: %s",
                           vm->name, json_array_size(limits), shown);
    return godwit_course_see_it_run(vm, error) && finish(vm, false, error);
}

/* While the migration is live, measures on the source, and begins to do so on both sides. */
static bool measure_live(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_calculation *calculation = source->testbed->state->calculation;
    return godwit_dirty_rate_judge(source, calculation, error) &&
           godwit_dirty_rate_begin(source, calculation, error) &&
           godwit_dirty_rate_begin(destination, calculation, error);
}

/* Neither guest runs any more. Waits for what was begun; then nothing may be dirty. */
static bool measure_after(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_vm *const sides[] = {source, destination};
    struct godwit_calculation still = *source->testbed->state->calculation;
    still.stopped = true;
    for (size_t i = 0; i < G_N_ELEMENTS(sides); i++)
        if (!godwit_dirty_rate_await(sides[i], &still, error) ||
            !godwit_dirty_rate_judge(sides[i], &still, error))
            return false;
    return true;
}

static bool run_migrating(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    testbed->state->calculation = scenario->data;
    return godwit_course_run(testbed, &scenario->spec, error);
}

#define CALCULATE(...)                                                                             \
    .data = &(const struct godwit_calculation)                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NEEDS .needs = "command:calc-dirty-rate"
/* The guest writes its window more than twice in each calculation. */
#define WHOLE_WINDOW .lap_ms = 200
#define COMMON       .content = GODWIT_FLAG_SPARSE, .prepare = prepare, .lacks = lacks_order
#define MIGRATING                                                                                  \
    .run = run_migrating, .state = sizeof(struct godwit_scenario_state), .wide = true,             \
    .slow = true, WHOLE_WINDOW, .content = GODWIT_FLAG_SPARSE, .lacks = lacks_order,               \
    .spec = {.transport = GODWIT_TRANSPORT_UNIX, .live = measure_live, .judge = measure_after}

GODWIT_SCENARIOS(dirty_rate) = {
    {
        CALCULATE(.ms = 1000),
        NEEDS,
        COMMON,
        WHOLE_WINDOW,
        .name = "dirty-rate/window",
        .summary = "page sampling: the rate of a guest that rewrites its window all the time",
        .run = run,
        .whole = true,
        .slow = true,
    },
    {
        CALCULATE(.ms = 1000, .mode = "page-sampling", .samples = GODWIT_SAMPLES_MOST),
        NEEDS,
        COMMON,
        .lap_ms = 2000,
        .name = "dirty-rate/half",
        .summary = "page sampling by sample-pages, of a guest that writes half of its window",
        .run = run,
        .whole = true,
        .slow = true,
    },
    {
        CALCULATE(.ms = 400, .fine = true, .samples = GODWIT_SAMPLES_MOST),
        COMMON,
        .lap_ms = 150,
        .name = "dirty-rate/milliseconds",
        .summary = "calc-time-unit: the same in less than a second",
        .needs = "dirty-rate:calc-time-unit",
        .run = run,
        .wide = true,
    },
    {
        CALCULATE(.ms = 1000, .samples = GODWIT_SAMPLES_MOST, .stopped = true),
        NEEDS,
        COMMON,
        .name = "dirty-rate/stopped",
        .summary = "the dirty rate of a guest that is stopped is 0",
        .run = run,
        .slow = true,
    },
    {
        CALCULATE(.ms = 1000, .samples = GODWIT_SAMPLES_MOST, .monitor = true),
        NEEDS,
        COMMON,
        WHOLE_WINDOW,
        .name = "dirty-rate/monitor",
        .summary = "calc_dirty_rate and info dirty_rate",
        .run = run_monitor,
        .whole = true,
        .slow = true,
    },
    {
        CALCULATE(.ms = 1000, .mode = "dirty-bitmap"),
        NEEDS,
        COMMON,
        WHOLE_WINDOW,
        .name = "dirty-rate/bitmap",
        .summary = "the same by dirty-bitmap",
        .run = run,
        .whole = true,
        .slow = true,
    },
    {
        CALCULATE(.ms = 1000, .mode = "dirty-ring"),
        NEEDS,
        .name = "dirty-rate/ring",
        .summary = "dirty-ring without a dirty ring: refused",
        .run = run_ring,
        .slow = true,
    },
    {
        CALCULATE(.ms = 1000),
        NEEDS,
        .name = "dirty-rate/refusals",
        .summary = "absurd requests, and a second calculation beside the first: refused",
        .run = run_refusals,
        .slow = true,
    },
    {
        .name = "dirty-rate/limit",
        .summary = "a limit of the CPUs' dirty rate without a dirty ring: refused",
        .needs = "command:set-vcpu-dirty-limit",
        .run = run_limit,
    },
    {
        CALCULATE(.ms = 1000, .samples = GODWIT_SAMPLES_MOST),
        NEEDS,
        MIGRATING,
        .name = "dirty-rate/migrating/sampling",
        .summary = "page sampling during a migration, during its end, and after it",
    },
    {
        CALCULATE(.ms = 1000, .mode = "dirty-bitmap"),
        NEEDS,
        MIGRATING,
        .name = "dirty-rate/migrating/bitmap",
        .summary = "the same by dirty-bitmap",
    },
};
GODWIT_SCENARIOS_END(dirty_rate);
