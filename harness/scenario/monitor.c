/*
 * Migrations by the human monitor. testbed->by_monitor gives all commands of the migration there,
 * which parses names, numbers and sizes itself; `info migrate` must show what QMP reports. Each
 * parameter and capability is set there and read back through QMP.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"

#include "bugs/bugs.h"
#include "scenario/conformance.h"
#include "scenario/monitor.h"
#include "scenario/recovery.h"

#include <string.h>

static const struct godwit_capability paused[] = {{"pause-before-switchover", true}, {NULL, false}};
static const struct godwit_capability xbzrle[] = {{"xbzrle", true}, {NULL, false}};

/* The cache of xbzrle before and in the middle of the migration, in bytes. It holds a part of any
 * window: with all of it, a throttled migration would converge. */
#define CACHE_BEFORE 1048576
#define CACHE_LATER  524288
static const struct godwit_parameter cache_before[] = {{"xbzrle-cache-size", CACHE_BEFORE, NULL},
                                                       {NULL, 0, NULL}};
static const struct godwit_parameter cache_later[] = {{"xbzrle-cache-size", CACHE_LATER, NULL},
                                                      {NULL, 0, NULL}};

/* Checks that `info migrate` shows where the destination listens, if query-migrate does. */
static bool see_address(struct godwit_vm *destination, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_t *address = json_array_get(json_object_get(info, "socket-address"), 0);
    const char *path = godwit_json_string(address, "path", NULL);
    if (!path)
        return true;
    g_autofree char *name = g_regex_escape_string(path, -1);
    g_autofree char *pattern = g_strdup_printf("\\sunix:%s\\b", name);
    return godwit_monitor_expect(destination, pattern, error);
}

static bool see_active(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return godwit_monitor_expect(source, "(?i)status:\\s+active\\b", error) &&
           godwit_monitor_expect(destination, "(?i)status:\\s+active\\b", error) &&
           see_address(destination, error);
}

static bool continue_paused(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_migrate_wait(source, "pre-switchover", error) &&
           godwit_monitor_expect(source, "(?i)status:\\s+pre-switchover\\b", error) &&
           godwit_migrate_continue(source, error);
}

/* Makes the cache smaller while it is in use. */
static bool shrink_cache(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_monitor_expect(source, "size[=:] *" G_STRINGIFY(CACHE_BEFORE) "\\b", error) &&
           godwit_migrate_set_parameters(source, cache_later, error) &&
           godwit_monitor_expect(source, "size[=:] *" G_STRINGIFY(CACHE_LATER) "\\b", error);
}

static bool judge_figures(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return godwit_monitor_expect(source, "(?i)status:\\s+completed\\b", error) &&
           godwit_monitor_judge_figures(source, error) &&
           godwit_monitor_judge_figures(destination, error);
}

/* Cancels a migration, then migrates to another destination. */
static bool run_cancel(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    testbed->by_monitor = true;
    struct godwit_vm *last = godwit_course_ahead(testbed, "second", true, error);
    struct godwit_vm *source, *first;
    if (!last || !godwit_course_both(testbed, "first", true, &source, &first, error) ||
        !godwit_course_go_live(&scenario->spec, source, first, error))
        return false;
    first->may_exit = true; /* QEMU exits when its incoming migration breaks off */
    godwit_testbed_phase(testbed, GODWIT_PHASE_CANCEL);
    if (!godwit_vm_command(source, "migrate_cancel", NULL, error) ||
        !godwit_migrate_wait(source, "cancelled", error) ||
        !godwit_monitor_expect(source, "(?i)status:\\s+cancelled\\b", error) ||
        !godwit_course_see_it_run(source, error))
        return false;
    return godwit_vm_handshake(last, error) &&
           godwit_course_move(testbed, &scenario->spec, source, last, error);
}

/* A value for each parameter that is legal, and not the default. */
static const struct setting {
    const char *name;
    const char *value; /* as JSON */
} settings[] = {
    {"announce-initial", "51"},
    {"announce-max", "551"},
    {"announce-rounds", "6"},
    {"announce-step", "101"},
    {"compress-level", "2"},
    {"compress-threads", "9"},
    {"compress-wait-thread", "false"},
    {"decompress-threads", "3"},
    {"throttle-trigger-threshold", "51"},
    {"cpu-throttle-initial", "21"},
    {"cpu-throttle-increment", "11"},
    {"cpu-throttle-tailslow", "true"},
    {"max-cpu-throttle", "98"},
    {"tls-creds", "\"creds\""},
    {"tls-hostname", "\"host\""},
    {"tls-authz", "\"authz\""},
    {"max-bandwidth", "1048577"},
    {"avail-switchover-bandwidth", "1048577"},
    {"max-postcopy-bandwidth", "1048577"},
    {"downtime-limit", "301"},
    {"x-checkpoint-delay", "20001"},
    {"multifd-channels", "3"},
    {"multifd-compression", "\"zlib\""},
    {"multifd-zlib-level", "2"},
    {"multifd-zstd-level", "2"},
    {"multifd-qatzip-level", "2"},
    {"zero-page-detection", "\"legacy\""},
    {"xbzrle-cache-size", "4194304"},
    {"x-vcpu-dirty-limit-period", "999"},
    {"vcpu-dirty-limit", "2"},
    {"mode", "\"cpr-reboot\""},
    {"direct-io", "true"},
};

/* `info migrate_parameters` does not show these. */
static const char *const hidden[] = {"multifd-zlib-level", "multifd-zstd-level",
                                     "multifd-qatzip-level", NULL};

/* Sets a parameter, and sets *PROBLEM to what is wrong afterwards, or to NULL. */
static bool try_parameter(struct godwit_conformance *vm, const struct setting *setting,
                          char **problem, GError **error)
{
    g_autoptr(json_t) value = godwit_qmp_parse(setting->value);
    g_autofree char *line = godwit_vm_parameter_line(setting->name, value);
    g_autoptr(GError) refusal = NULL;
    *problem = NULL;
    if (!godwit_vm_obey(vm->vm, line, &refusal)) {
        if (refusal->code != GODWIT_ERROR_QMP) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return false;
        }
        *problem = g_strdup(refusal->message);
        return true;
    }
    g_autoptr(json_t) now = godwit_vm_execute(vm->vm, "query-migrate-parameters", NULL, error);
    g_autofree char *shown = godwit_vm_monitor(vm->vm, "info migrate_parameters", error);
    if (!now || !shown || !godwit_conformance_compare(vm, setting->name, problem, error))
        return false;
    const json_t *read = json_object_get(now, setting->name);
    g_autofree char *bare = g_strdup(setting->value);
    g_strdelimit(bare, "\"", ' ');
    if (json_is_boolean(value))
        g_strlcpy(bare, json_is_true(value) ? "on" : "off", strlen(bare) + 1);
    g_autofree char *pattern = g_strdup_printf("(?m)^%s: '?%s\\b", setting->name, g_strstrip(bare));
    g_autofree char *state = json_dumps(read, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!*problem && !json_equal(read, value))
        *problem = g_strdup_printf("QMP reads %s", state);
    else if (!*problem && !g_strv_contains(hidden, setting->name) &&
             !g_regex_match_simple(pattern, shown, 0, 0))
        *problem = g_strdup("\"info migrate_parameters\" does not show it");
    return true;
}

/* Returns the known bug because of which a parameter is as it was, or NULL. */
static const struct godwit_bug *explain(struct godwit_conformance *vm,
                                        const struct setting *setting, GError **error)
{
    g_autoptr(json_t) now = godwit_vm_execute(vm->vm, "query-migrate-parameters", NULL, error);
    const json_t *was = json_object_get(vm->parameters, setting->name);
    g_autofree char *state = json_dumps(was, JSON_COMPACT | JSON_ENCODE_ANY);
    const struct godwit_symptom symptom = {.kind = GODWIT_SYMPTOM_LEVEL,
                                           .vm = vm->vm,
                                           .parameter = setting->name,
                                           .value = setting->value,
                                           .state = state};
    return now && json_equal(json_object_get(now, setting->name), was)
               ? godwit_bug_explain(&symptom)
               : NULL;
}

static bool check_parameters(struct godwit_conformance *vm, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
        const struct setting *setting = &settings[i];
        g_autofree char *problem = NULL;
        g_autofree char *check = g_strdup_printf("migrate_set_parameter %s: %s is set, and shown",
                                                 setting->name, setting->value);
        if (!godwit_qemu_has(vm->vm->qemu, "parameter", setting->name)) {
            g_autofree char *reason = g_strdup_printf("not in QEMU %s", vm->vm->qemu->version);
            godwit_conformance_skip(vm->vm->testbed, check, reason);
            continue;
        }
        if (!try_parameter(vm, setting, &problem, error))
            return false;
        godwit_conformance_note(vm->vm->testbed, check, NULL, problem);
        const struct godwit_bug *bug = problem ? explain(vm, setting, error) : NULL;
        if (bug)
            godwit_testbed_excuse_check(vm->vm->testbed, bug->id);
        g_autoptr(json_t) was =
            json_pack("{s:O}", setting->name, json_object_get(vm->parameters, setting->name));
        if (!godwit_vm_command(vm->vm, "migrate-set-parameters", g_steal_pointer(&was), error))
            return false;
    }
    return true;
}

/* Capabilities that need no other one. */
static const char *const capabilities[] = {
    "xbzrle",  "auto-converge", "release-ram",         "return-path",   "pause-before-switchover",
    "multifd", "dirty-bitmaps", "late-block-activate", "validate-uuid",
};

/* Switches a capability, and sets *PROBLEM to what is wrong afterwards, or to NULL. */
static bool switch_capability(struct godwit_vm *vm, const char *name, bool on, char **problem,
                              GError **error)
{
    g_autofree char *line = godwit_vm_capability_line(name, on);
    g_autofree char *pattern = g_strdup_printf("(?m)^%s: %s\\b", name, on ? "on" : "off");
    g_autoptr(json_t) list = NULL;
    g_autofree char *shown = NULL;
    size_t i;
    json_t *one;
    if (!godwit_vm_obey(vm, line, error))
        return false;
    list = godwit_vm_execute(vm, "query-migrate-capabilities", NULL, error);
    shown = list ? godwit_vm_monitor(vm, "info migrate_capabilities", error) : NULL;
    if (!shown)
        return false;
    json_array_foreach(list, i, one) if (!strcmp(godwit_json_string(one, "capability", ""), name) &&
                                         godwit_json_true(one, "state") != on) *problem =
        g_strdup_printf("QMP does not read it %s", on ? "on" : "off");
    if (!*problem && !g_regex_match_simple(pattern, shown, 0, 0))
        *problem =
            g_strdup_printf("\"info migrate_capabilities\" does not show it %s", on ? "on" : "off");
    return true;
}

static bool check_capabilities(struct godwit_vm *vm, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        const char *name = capabilities[i];
        g_autofree char *problem = NULL, *later = NULL;
        g_autofree char *check =
            g_strdup_printf("migrate_set_capability %s: it is switched, and shown", name);
        if (!switch_capability(vm, name, true, &problem, error) ||
            !switch_capability(vm, name, false, &later, error))
            return false;
        godwit_conformance_note(vm->testbed, check, NULL, problem ? problem : later);
    }
    return true;
}

/* Lines that must not be obeyed, and change nothing. */
static const char *const refused[] = {
    "migrate_set_parameter no-such-parameter 1",
    "migrate_set_parameter max-bandwidth fast",
    "migrate_set_parameter max-bandwidth -1",
    "migrate_set_parameter downtime-limit soon",
    "migrate_set_parameter xbzrle-cache-size 4097",
    "migrate_set_parameter multifd-channels 0",
    "migrate_set_parameter multifd-compression no-such-value",
    "migrate_set_parameter cpu-throttle-initial 100",
    "migrate_set_parameter cpu-throttle-tailslow maybe",
    "migrate_set_parameter block-bitmap-mapping a",
    "migrate_set_capability no-such-capability on",
    "migrate_set_capability xbzrle maybe",
    "migrate -d nowhere",
    "migrate -d -r unix:nobody.sock",
    "migrate_incoming unix:nobody.sock",
    "migrate_continue no-such-state",
    "migrate_continue pre-switchover",
    "migrate_pause",
    "migrate_recover unix:nobody.sock",
    "migrate_start_postcopy",
    "migrate_incoming nowhere",
    "migrate_set_parameter max-bandwidth 8E",
    "migrate_set_parameter xbzrle-cache-size 8E",
    "migrate_set_parameter block-bitmap-mapping []",
    "set_vcpu_dirty_limit 10",
    "set_vcpu_dirty_limit 10 0",
    "set_vcpu_dirty_limit -1",
    "calc_dirty_rate 0",
    "calc_dirty_rate 61",
    "calc_dirty_rate -r -b 1",
    "calc_dirty_rate 1 1",
    "loadvm no-such-snapshot",
    "snapshot_blkdev no-such-disk no-such-file",
};

static bool check_refused(struct godwit_conformance *vm, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *problem = NULL;
        g_autofree char *check = g_strdup_printf("%s: refused", refused[i]);
        g_autofree char *printed = godwit_vm_monitor(vm->vm, refused[i], error);
        if (!printed || !godwit_conformance_compare(vm, NULL, &problem, error))
            return false;
        if (!problem && !*g_strstrip(printed))
            problem = g_strdup("the monitor printed nothing");
        godwit_conformance_note(vm->vm->testbed, check, NULL, problem);
    }
    return true;
}

static bool run_settings(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    GODWIT_CONFORMANCE conformance = {0};
    struct godwit_vm *source = godwit_conformance_begin_source(&conformance, testbed, error);
    return source && check_parameters(&conformance, error) && check_capabilities(source, error) &&
           check_refused(&conformance, error) &&
           godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

GODWIT_SCENARIOS(monitor) = {
    {
        .name = "monitor/precopy",
        .summary = "by the human monitor: paused in pre-switchover, then continued",
        .run = godwit_monitor_run,
        .spec = {.capabilities = paused,
                 .live = see_active,
                 .released = continue_paused,
                 .judge = judge_figures},
    },
    {
        .name = "monitor/xbzrle",
        .content = GODWIT_FLAG_ZERO, /* the cache must forget pages that turn zero */
        .summary = "by the human monitor: the xbzrle cache becomes smaller in the middle",
        .slow = true,
        .run = godwit_monitor_run,
        .spec = {.move = GODWIT_MOVE_ITERATE,
                 .capabilities = xbzrle,
                 .parameters = cache_before,
                 .live = shrink_cache,
                 .judge = judge_figures},
    },
    {
        .name = "monitor/postcopy",
        .summary = "by the human monitor: postcopy that is paused, and recovers",
        .slow = true,
        .run = godwit_monitor_run,
        .spec = {.move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .released = godwit_recovery_fail_and_recover},
    },
    {
        .name = "monitor/cancel",
        .summary = "by the human monitor: cancelled while active, then migrated elsewhere",
        .slow = true,
        .run = run_cancel,
    },
    {
        .name = "monitor/settings",
        .summary = "sets each parameter and capability by the human monitor, and lines to refuse",
        .slow = true,
        .run = run_settings,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
};
GODWIT_SCENARIOS_END(monitor);
