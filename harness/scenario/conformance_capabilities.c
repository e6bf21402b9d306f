/*
 * Migration capabilities: each alone, unknown ones, and the combinations that the engine forbids.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/conformance.h"

#include <string.h>

/* A combination of capabilities that cannot work, all of them switched on at once. */
struct combination {
    const char *names[4]; /* ends with NULL */
    enum godwit_expectation expectation;
};

static const struct combination combinations[] = {
    {{"switchover-ack"}, GODWIT_REFUSED},   /* without return-path */
    {{"postcopy-preempt"}, GODWIT_REFUSED}, /* without postcopy-ram */
    {{"zero-copy-send"}, GODWIT_REFUSED},   /* without multifd */
    {{"zero-copy-send", "multifd", "xbzrle"}, GODWIT_REFUSED},
    {{"zero-copy-send", "multifd", "compress"}, GODWIT_REFUSED},
    {{"dirty-limit"}, GODWIT_REFUSED}, /* without KVM and its dirty ring */
    {{"dirty-limit", "auto-converge"}, GODWIT_REFUSED},
    {{"multifd", "compress"}, GODWIT_REFUSED},
    {{"postcopy-ram", "x-ignore-shared"}, GODWIT_REFUSED},
    {{"mapped-ram", "xbzrle"}, GODWIT_REFUSED},
    {{"mapped-ram", "postcopy-ram"}, GODWIT_REFUSED},
    /* A background snapshot excludes the features of a live migration. */
    {{"background-snapshot", "postcopy-ram"}, GODWIT_REFUSED},
    {{"background-snapshot", "dirty-bitmaps"}, GODWIT_REFUSED},
    {{"background-snapshot", "postcopy-blocktime"}, GODWIT_REFUSED},
    {{"background-snapshot", "late-block-activate"}, GODWIT_REFUSED},
    {{"background-snapshot", "return-path"}, GODWIT_REFUSED},
    {{"background-snapshot", "multifd"}, GODWIT_REFUSED},
    {{"background-snapshot", "pause-before-switchover"}, GODWIT_REFUSED},
    {{"background-snapshot", "auto-converge"}, GODWIT_REFUSED},
    {{"background-snapshot", "release-ram"}, GODWIT_REFUSED},
    {{"background-snapshot", "rdma-pin-all"}, GODWIT_REFUSED},
    {{"background-snapshot", "compress"}, GODWIT_REFUSED},
    {{"background-snapshot", "xbzrle"}, GODWIT_REFUSED},
    {{"background-snapshot", "x-colo"}, GODWIT_REFUSED},
    {{"background-snapshot", "validate-uuid"}, GODWIT_REFUSED},
    {{"background-snapshot", "zero-copy-send"}, GODWIT_REFUSED},
    /* Only some releases forbid these. */
    {{"multifd", "xbzrle"}, GODWIT_EITHER},
    {{"multifd", "postcopy-ram"}, GODWIT_EITHER},
    {{"compress", "postcopy-ram"}, GODWIT_EITHER},
};

/* Returns the arguments that switch NAMES (up to NULL) on or off. The caller frees them. */
static char *switching(const char *const *names, bool on)
{
    g_autoptr(json_t) list = json_array();
    for (; *names; names++)
        json_array_append_new(list, json_pack("{s:s, s:b}", "capability", *names, "state", on));
    g_autoptr(json_t) arguments = json_pack("{s:O}", "capabilities", list);
    return json_dumps(arguments, JSON_COMPACT);
}

/* Checks that each of NAMES is on now and that nothing else has changed. Sets *PROBLEM if not. */
static bool judge_switched(struct godwit_conformance *vm, const char *const *names, char **problem,
                           GError **error)
{
    g_autoptr(json_t) now = godwit_vm_execute(vm->vm, "query-migrate-capabilities", NULL, error);
    if (!now)
        return false;
    size_t i;
    json_t *capability;
    json_array_foreach(now, i, capability)
    {
        const char *name = godwit_json_string(capability, "capability", "");
        const json_t *before = json_array_get(vm->capabilities, i);
        const bool wanted = g_strv_contains(names, name) || godwit_json_true(before, "state");
        if (godwit_json_true(capability, "state") != wanted && !*problem)
            *problem = g_strdup_printf("%s is %s afterwards", name, wanted ? "off" : "on");
    }
    return true;
}

static bool switch_off(struct godwit_conformance *vm, const char *const *names, GError **error)
{
    /* All at once, so that none remains that depends on another. */
    g_autofree char *arguments = switching(names, false);
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate-set-capabilities", arguments, error);
    if (!reply)
        return false;
    if (json_object_get(reply, "return"))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                "the %s refuses to switch off capabilities that it has switched on: %s",
                vm->vm->name, godwit_json_string(json_object_get(reply, "error"), "desc", ""));
    return false;
}

/* Switches NAMES on at once. If QEMU obeys, they must be on, and it must be possible to switch them
 * off again. */
static bool combine(struct godwit_conformance *vm, const char *name, const char *const *names,
                    enum godwit_expectation expectation, GError **error)
{
    g_autofree char *arguments = switching(names, true);
    g_autofree char *problem = NULL;
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate-set-capabilities", arguments, error);
    if (!reply)
        return false;
    if (json_object_get(reply, "error")) {
        if (!godwit_conformance_compare(vm, NULL, &problem, error))
            return false;
    } else {
        if (expectation == GODWIT_REFUSED)
            problem = g_strdup("was not refused");
        if (!judge_switched(vm, names, &problem, error) || !switch_off(vm, names, error))
            return false;
    }
    godwit_conformance_note(vm->vm->testbed, name, reply, problem);
    return true;
}

static bool check_combinations(struct godwit_conformance *vm, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(combinations); i++) {
        const struct combination *combination = &combinations[i];
        g_autoptr(GString) needs = g_string_new(NULL);
        for (size_t n = 0; combination->names[n]; n++)
            g_string_append_printf(needs, "capability:%s ", combination->names[n]);
        g_autofree char *names = g_strjoinv(" with ", (gchar **)(uintptr_t)combination->names);
        g_autofree char *check = g_strdup_printf(
            "capability %s%s: refused%s", names, combination->names[1] ? "" : " alone",
            combination->expectation == GODWIT_EITHER ? ", or set and read back" : "");
        g_autofree char *lacks = godwit_lack_reason(godwit_qemu_lacks(vm->vm->qemu, needs->str));
        if (lacks)
            godwit_conformance_skip(vm->vm->testbed, check, lacks);
        else if (!combine(vm, check, combination->names, combination->expectation, error))
            return false;
    }
    return true;
}

/* Switches on each capability alone. It may be refused, because it needs another one or a host that
 * supports it. */
static bool check_each(struct godwit_conformance *vm, GError **error)
{
    g_autoptr(json_t) all = json_copy(vm->capabilities);
    size_t i;
    json_t *capability;
    json_array_foreach(all, i, capability)
    {
        const char *const names[] = {godwit_json_string(capability, "capability", ""), NULL};
        if (godwit_json_true(capability, "state"))
            continue;
        g_autofree char *check =
            g_strdup_printf("capability %s: set and read back, or refused", names[0]);
        if (!combine(vm, check, names, GODWIT_EITHER, error))
            return false;
    }
    return true;
}

/* Checks that NEEDED cannot be switched off while DEPENDENT is on. */
static bool check_dependence(struct godwit_conformance *vm, const char *needed,
                             const char *dependent, GError **error)
{
    const char *const both[] = {needed, dependent, NULL}, *const first[] = {needed, NULL};
    g_autofree char *check =
        g_strdup_printf("capability %s: not switched off while %s is on", needed, dependent);
    g_autofree char *needs = g_strdup_printf("capability:%s capability:%s", needed, dependent);
    g_autofree char *lacks = godwit_lack_reason(godwit_qemu_lacks(vm->vm->qemu, needs));
    if (lacks) {
        godwit_conformance_skip(vm->vm->testbed, check, lacks);
        return true;
    }
    g_autofree char *on = switching(both, true), *off = switching(first, false);
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate-set-capabilities", on, error);
    if (!reply)
        return false;
    const json_t *refusal = json_object_get(reply, "error");
    if (refusal) {
        /* The host may not support it, for example userfaultfd. */
        godwit_conformance_skip(vm->vm->testbed, check, godwit_json_string(refusal, "desc", ""));
        return true;
    }
    return godwit_conformance_renew(vm, error) &&
           godwit_conformance_request(vm, GODWIT_REFUSED, check, "migrate-set-capabilities", off,
                                      NULL, error) &&
           switch_off(vm, both, error) && godwit_conformance_renew(vm, error);
}

/* Checks that mapped-ram, which needs a file, refuses sockets and commands. */
static bool check_mapped_ram(struct godwit_conformance *vm, GError **error)
{
    static const char *const names[] = {"mapped-ram", NULL};
    static const struct godwit_request requests[] = {
        {"capability mapped-ram: migrating to a unix socket is refused", "migrate",
         "{\"uri\":\"unix:nobody.sock\"}", GODWIT_REFUSED, "capability:mapped-ram"},
        {"capability mapped-ram: migrating to a TCP socket is refused", "migrate",
         "{\"uri\":\"tcp:127.0.0.1:1\"}", GODWIT_REFUSED, "capability:mapped-ram"},
        {"capability mapped-ram: migrating to a command is refused", "migrate",
         "{\"uri\":\"exec:cat\"}", GODWIT_REFUSED, "capability:mapped-ram"},
    };
    const bool has = godwit_qemu_has(vm->vm->qemu, "capability", names[0]);
    if (has) {
        g_autofree char *arguments = switching(names, true);
        g_autoptr(json_t) reply =
            godwit_vm_ask(vm->vm, "migrate-set-capabilities", arguments, error);
        if (!reply || !godwit_conformance_renew(vm, error))
            return false;
    }
    return godwit_conformance_requests(vm, requests, G_N_ELEMENTS(requests), error) &&
           (!has || (switch_off(vm, names, error) && godwit_conformance_renew(vm, error)));
}

#define SET(list) "migrate-set-capabilities", "{\"capabilities\":" list "}", GODWIT_REFUSED, NULL

static const struct godwit_request malformed[] = {
    {"unknown capability: refused", SET("[{\"capability\":\"none\",\"state\":true}]")},
    {"unknown capability, off: refused", SET("[{\"capability\":\"none\",\"state\":false}]")},
    {"capability with an empty name: refused", SET("[{\"capability\":\"\",\"state\":true}]")},
    {"capability in capitals: refused", SET("[{\"capability\":\"XBZRLE\",\"state\":true}]")},
    {"capability that is a number: refused", SET("[{\"capability\":1,\"state\":true}]")},
    {"capability that is null: refused", SET("[{\"capability\":null,\"state\":true}]")},
    {"capability without a name: refused", SET("[{\"state\":true}]")},
    {"capability without a state: refused", SET("[{\"capability\":\"xbzrle\"}]")},
    {"capability state 1: refused", SET("[{\"capability\":\"xbzrle\",\"state\":1}]")},
    {"capability state -1: refused", SET("[{\"capability\":\"xbzrle\",\"state\":-1}]")},
    {"capability state 1.5: refused", SET("[{\"capability\":\"xbzrle\",\"state\":1.5}]")},
    {"capability state null: refused", SET("[{\"capability\":\"xbzrle\",\"state\":null}]")},
    {"capability state \"on\": refused", SET("[{\"capability\":\"xbzrle\",\"state\":\"on\"}]")},
    {"capability with an unknown key: refused",
     SET("[{\"capability\":\"xbzrle\",\"state\":true,\"more\":1}]")},
    {"capability followed by an unknown one: refused",
     SET("[{\"capability\":\"xbzrle\",\"state\":true},"
         "{\"capability\":\"none\",\"state\":true}]")},
    {"capabilities that are not a list: refused",
     SET("{\"capability\":\"xbzrle\",\"state\":true}")},
    {"capabilities that are null: refused", SET("null")},
    {"capabilities that are missing: refused", "migrate-set-capabilities", NULL, GODWIT_REFUSED,
     NULL},
};

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    GODWIT_CONFORMANCE conformance = {0};
    struct godwit_vm *source = godwit_conformance_begin_source(&conformance, testbed, error);
    return source &&
           godwit_conformance_requests(&conformance, malformed, G_N_ELEMENTS(malformed), error) &&
           check_each(&conformance, error) && check_combinations(&conformance, error) &&
           check_dependence(&conformance, "return-path", "switchover-ack", error) &&
           check_dependence(&conformance, "postcopy-ram", "postcopy-preempt", error) &&
           check_mapped_ram(&conformance, error) &&
           godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

GODWIT_SCENARIOS(conformance_capabilities) = {
    {
        .name = "conformance/capabilities",
        .summary = "sets each migration capability, unknown ones, and forbidden combinations",
        .run = run,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
};
GODWIT_SCENARIOS_END(conformance_capabilities);
