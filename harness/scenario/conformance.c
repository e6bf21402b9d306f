/*
 * Requests of the conformance scenarios: makes them, judges the answers, and records each as a
 * check.
 *
 * Before the first request godwit_conformance_begin() records the parameters, the capabilities and
 * the run state of a VM. A refusal must leave all three as they were, which each request compares.
 * So must a migration that a request started and that failed; it is over once its thread has ended.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/conformance.h"

#include <string.h>

void godwit_conformance_clear(struct godwit_conformance *conformance)
{
    g_clear_pointer(&conformance->parameters, json_decref);
    g_clear_pointer(&conformance->capabilities, json_decref);
    g_clear_pointer(&conformance->status, json_decref);
}

bool godwit_conformance_renew(struct godwit_conformance *conformance, GError **error)
{
    struct godwit_vm *vm = conformance->vm;
    godwit_conformance_clear(conformance);
    conformance->parameters = godwit_vm_execute(vm, "query-migrate-parameters", NULL, error);
    if (conformance->parameters)
        conformance->capabilities =
            godwit_vm_execute(vm, "query-migrate-capabilities", NULL, error);
    if (conformance->capabilities)
        conformance->status = godwit_vm_execute(vm, "query-status", NULL, error);
    return conformance->status != NULL;
}

bool godwit_conformance_begin(struct godwit_conformance *conformance, struct godwit_vm *vm,
                              GError **error)
{
    conformance->vm = vm;
    /* Turn on events, which report the end of a migration that a request starts. */
    return godwit_migrate_set_capabilities(vm, NULL, error) &&
           godwit_conformance_renew(conformance, error);
}

struct godwit_vm *godwit_conformance_source(struct godwit_testbed *testbed, GError **error)
{
    static const char *const arguments[] = {"-name", "debug-threads=on", NULL};
    struct godwit_vm *source = godwit_course_source_with(testbed, arguments, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_CHECK);
    return source;
}

struct godwit_vm *godwit_conformance_begin_source(struct godwit_conformance *conformance,
                                                  struct godwit_testbed *testbed, GError **error)
{
    struct godwit_vm *source = godwit_conformance_source(testbed, error);
    return source && godwit_course_stop(source, error) &&
                   godwit_conformance_begin(conformance, source, error)
               ? source
               : NULL;
}

/* Appends "KEY went from OLD to NEW" to TEXT for each member that differs. */
static void compare_members(GString *text, const json_t *before, const json_t *after,
                            const char *except)
{
    const char *key;
    json_t *value;
    g_autoptr(json_t) all = json_copy((json_t *)(uintptr_t)before);
    json_object_update(all, (json_t *)(uintptr_t)after);
    json_object_foreach(all, key, value)
    {
        const json_t *old = json_object_get(before, key);
        const json_t *new = json_object_get(after, key);
        if (!g_strcmp0(key, except) || json_equal(old, new))
            continue;
        g_autofree char *was = json_dumps(old, JSON_COMPACT | JSON_ENCODE_ANY);
        g_autofree char *is = json_dumps(new, JSON_COMPACT | JSON_ENCODE_ANY);
        g_string_append_printf(text, "%s%s went from %s to %s", text->len ? ", " : "", key,
                               was ? was : "nothing", is ? is : "nothing");
    }
}

/* Returns the capabilities as an object, name -> state. The caller frees it. */
static json_t *by_name(const json_t *capabilities)
{
    json_t *object = json_object();
    size_t i;
    json_t *capability;
    json_array_foreach(capabilities, i, capability)
    {
        json_object_set(object, godwit_json_string(capability, "capability", ""),
                        json_object_get(capability, "state"));
    }
    return object;
}

bool godwit_conformance_compare(struct godwit_conformance *conformance, const char *except,
                                char **difference, GError **error)
{
    *difference = NULL;
    struct godwit_conformance now = {.vm = conformance->vm};
    if (!godwit_conformance_renew(&now, error)) {
        godwit_conformance_clear(&now);
        return false;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    compare_members(text, conformance->parameters, now.parameters, except);
    g_autoptr(json_t) before = by_name(conformance->capabilities);
    g_autoptr(json_t) after = by_name(now.capabilities);
    compare_members(text, before, after, NULL);
    compare_members(text, conformance->status, now.status, NULL);
    if (text->len)
        *difference = g_strdup(text->str);
    godwit_conformance_clear(&now);
    return true;
}

void godwit_conformance_note(struct godwit_testbed *testbed, const char *name, const json_t *reply,
                             const char *problem)
{
    const json_t *refusal = json_object_get(reply, "error");
    godwit_testbed_check_answer(testbed, name, godwit_json_string(refusal, "class", NULL),
                                godwit_json_string(refusal, "desc", NULL), problem);
}

void godwit_conformance_skip(struct godwit_testbed *testbed, const char *name, const char *reason)
{
    godwit_testbed_skip_check(testbed, name, reason);
}

/* Returns whether the error has a class and a text. */
static bool well_formed(const json_t *refusal)
{
    return *godwit_json_string(refusal, "class", "") && *godwit_json_string(refusal, "desc", "");
}

/* Returns whether the VM has a thread that sends a migration. */
static bool is_sending(const struct godwit_vm *vm)
{
    g_autofree char *tasks = g_strdup_printf("/proc/%d/task", (int)godwit_vm_pid(vm));
    g_autoptr(GDir) folder = g_dir_open(tasks, 0, NULL);
    const char *task;
    while (folder && (task = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(tasks, task, "comm", NULL);
        g_autofree char *name = NULL;
        if (g_file_get_contents(path, &name, NULL, NULL) &&
            (g_str_has_prefix(name, "live_migration") || g_str_has_prefix(name, "mig/src/main")))
            return true;
    }
    return false;
}

bool godwit_conformance_settle(struct godwit_vm *vm, GError **error)
{
    while (is_sending(vm)) {
        g_autofree char *what =
            g_strdup_printf("the %s's migration thread to end after the failure", vm->name);
        if (!godwit_testbed_rest(vm->testbed, 1, what, error))
            return false;
    }
    /* That thread leaves work to the main loop, which is done once the main loop answers. */
    return godwit_vm_command(vm, "query-status", NULL, error);
}

/*
 * Waits for the end of a migration that should fail. Turns REPLY into an error with QEMU's reason,
 * as if the request had been refused. Sets *PROBLEM if the migration does not fail, or fails
 * without a reason.
 */
static bool see_it_fail(struct godwit_vm *vm, json_t *reply, char **problem, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (!godwit_migrate_wait(vm, "failed", &cause)) {
        if (cause->code != GODWIT_ERROR_MIGRATION) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return false;
        }
        *problem = g_strdup(cause->message);
        return true;
    }
    if (!godwit_conformance_settle(vm, error))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-migrate", NULL, error);
    if (!info)
        return false;
    const char *reason = godwit_json_string(info, "error-desc", "");
    json_object_set_new(reply, "error", json_pack("{s:s, s:s}", "class", "failed", "desc", reason));
    if (!*reason)
        *problem = g_strdup("the migration that it started failed without a reason");
    return true;
}

bool godwit_conformance_request(struct godwit_conformance *conformance,
                                enum godwit_expectation expectation, const char *name,
                                const char *command, const char *arguments, bool *obeyed,
                                GError **error)
{
    struct godwit_vm *vm = conformance->vm;
    const guint first = vm->qmp->events->len;
    g_autoptr(json_t) reply = godwit_vm_ask(vm, command, arguments, error);
    if (!reply) {
        godwit_error_context(error, "%s", name);
        return false;
    }
    const json_t *refusal = json_object_get(reply, "error");
    g_autofree char *problem = NULL, *difference = NULL;
    if (obeyed)
        *obeyed = !refusal;
    if (!refusal && expectation == GODWIT_FAILS) {
        vm->migration_first = vm->migration_leg = first;
        if (!see_it_fail(vm, reply, &problem, error))
            return false;
    } else if (!refusal && expectation == GODWIT_REFUSED) {
        problem = g_strdup_printf("the %s did not refuse %s %s", vm->name, command,
                                  arguments ? arguments : "");
    } else if (refusal && !well_formed(refusal)) {
        problem = g_strdup("the error has no class or no text");
    }
    const bool changes = !refusal && expectation == GODWIT_EITHER;
    if (!changes && !problem) {
        if (!godwit_conformance_compare(conformance, NULL, &difference, error))
            return false;
        if (difference)
            problem = g_strdup_printf("the %s refused, but %s", vm->name, difference);
    }
    godwit_conformance_note(vm->testbed, name, reply, problem);
    return true;
}

bool godwit_conformance_requests(struct godwit_conformance *conformance,
                                 const struct godwit_request *requests, size_t count,
                                 GError **error)
{
    for (size_t i = 0; i < count; i++) {
        g_autofree char *lacks =
            godwit_lack_reason(godwit_qemu_lacks(conformance->vm->qemu, requests[i].needs));
        if (lacks)
            godwit_conformance_skip(conformance->vm->testbed, requests[i].name, lacks);
        else if (!godwit_conformance_request(conformance, requests[i].expectation, requests[i].name,
                                             requests[i].command, requests[i].arguments, NULL,
                                             error))
            return false;
    }
    return true;
}

void godwit_conformance_prepare(const struct godwit_scenario *scenario,
                                struct godwit_workload *workload)
{
    godwit_scenario_default(scenario, workload);
    workload->window_end = MIN(workload->window_end, workload->window_start + (16 << 20));
}

bool godwit_conformance_move_on(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                                struct godwit_vm *source, GError **error)
{
    struct godwit_vm *destination = godwit_course_destination(testbed, "destination", true, error);
    return destination && godwit_vm_run(source, error) && godwit_course_see_it_run(source, error) &&
           godwit_course_move(testbed, spec, source, destination, error);
}
