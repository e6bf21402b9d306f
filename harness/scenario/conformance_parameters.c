/*
 * Migration parameters: which values each must accept, and which it must refuse. One VM gets all of
 * these requests.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"
#include "scenario/conformance.h"

#include <string.h>

/* Integers as text, since not all of them fit an int64. */
#define UINT64_MAX_TEXT  "18446744073709551615"
#define UINT64_MORE_TEXT "18446744073709551616"

/* An integer parameter. It must refuse what is below LOWEST or above HIGHEST. */
struct integer {
    const char *name;
    const char *lowest, *highest;
    const char *below, *above; /* the nearest illegal values; BELOW is NULL for -1 */
    const char *other;         /* an illegal value in between, or NULL */
};

static const struct integer integers[] = {
    {"announce-initial", "0", "100000", NULL, "100001", NULL},
    {"announce-max", "0", "100000", NULL, "100001", NULL},
    {"announce-rounds", "0", "1000", NULL, "1001", NULL},
    {"announce-step", "1", "10000", "0", "10001", NULL},
    {"compress-level", "0", "9", NULL, "10", NULL},
    {"compress-threads", "1", "255", "0", "256", NULL},
    {"decompress-threads", "1", "255", "0", "256", NULL},
    {"throttle-trigger-threshold", "1", "100", "0", "101", NULL},
    {"cpu-throttle-initial", "1", "99", "0", "100", NULL},
    {"cpu-throttle-increment", "1", "99", "0", "100", NULL},
    /* Not below cpu-throttle-initial, which is 20 unless set. */
    {"max-cpu-throttle", "20", "99", "19", "100", NULL},
    {"max-bandwidth", "0", UINT64_MAX_TEXT, NULL, UINT64_MORE_TEXT, NULL},
    {"max-postcopy-bandwidth", "0", UINT64_MAX_TEXT, NULL, UINT64_MORE_TEXT, NULL},
    {"avail-switchover-bandwidth", "0", UINT64_MAX_TEXT, NULL, UINT64_MORE_TEXT, NULL},
    {"downtime-limit", "0", "2000000", NULL, "2000001", NULL},
    {"x-checkpoint-delay", "0", "4294967295", NULL, "4294967296", NULL},
    {"multifd-channels", "1", "255", "0", "256", NULL},
    {"multifd-zlib-level", "0", "9", NULL, "10", NULL},
    {"multifd-zstd-level", "0", "20", NULL, "21", NULL},
    {"multifd-qatzip-level", "1", "9", "0", "10", NULL},
    {"vcpu-dirty-limit", "1", UINT64_MAX_TEXT, "0", UINT64_MORE_TEXT, NULL},
    {"x-vcpu-dirty-limit-period", "1", "1000", "0", "1001", NULL},
    /* A power of two, at least the target's page size. */
    {"xbzrle-cache-size", "4096", "9223372036854775808", "2048", UINT64_MORE_TEXT, "4097"},
};

/* The parameters of other types. */
static const char *const booleans[] = {"compress-wait-thread", "cpu-throttle-tailslow",
                                       "block-incremental", "direct-io"};
static const char *const strings[] = {"tls-creds", "tls-hostname", "tls-authz"};
static const char *const enumerations[] = {"multifd-compression", "mode", "zero-page-detection"};

/* Returns {"NAME": VALUE}, with the member MORE unless that is NULL. The caller frees it. */
static char *setting(const char *name, const char *value, const char *more)
{
    return g_strdup_printf("{\"%s\":%s%s%s}", name, value, more ? "," : "", more ? more : "");
}

/* Returns the parameter's present value as text, or NULL with ERROR set if the VM does not answer.
 * The caller frees it. */
static char *read_back(struct godwit_conformance *vm, const char *name, GError **error)
{
    g_autoptr(json_t) now = godwit_vm_execute(vm->vm, "query-migrate-parameters", NULL, error);
    if (!now)
        return NULL;
    char *text = json_dumps(json_object_get(now, name), JSON_COMPACT | JSON_ENCODE_ANY);
    return text ? text : g_strdup("nothing");
}

/* Excuses the last check, which has failed, if QEMU ignored VALUE because of a known bug. */
static bool excuse(struct godwit_conformance *vm, const char *name, const char *value,
                   GError **error)
{
    g_autofree char *was =
        json_dumps(json_object_get(vm->parameters, name), JSON_COMPACT | JSON_ENCODE_ANY);
    g_autofree char *is = read_back(vm, name, error);
    if (!is)
        return false;
    const struct godwit_symptom symptom = {
        .kind = GODWIT_SYMPTOM_LEVEL, .vm = vm->vm, .parameter = name, .value = value, .state = is};
    const struct godwit_bug *bug = g_strcmp0(was, is) ? NULL : godwit_bug_explain(&symptom);
    if (bug)
        godwit_testbed_excuse_check(vm->vm->testbed, bug->id);
    return true;
}

/* Sets the parameter to its recorded value. */
static bool restore(struct godwit_conformance *vm, const char *name, GError **error)
{
    g_autofree char *value =
        json_dumps(json_object_get(vm->parameters, name), JSON_COMPACT | JSON_ENCODE_ANY);
    g_autofree char *arguments = setting(name, value, NULL);
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate-set-parameters", arguments, error);
    if (!reply)
        return false;
    if (json_object_get(reply, "return"))
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                "the %s refuses its own migration parameters %s: %s", vm->vm->name, arguments,
                godwit_json_string(json_object_get(reply, "error"), "desc", ""));
    return false;
}

static bool refused(struct godwit_conformance *vm, const char *name, const char *value,
                    GError **error)
{
    bool obeyed = false;
    g_autofree char *check = g_strdup_printf("parameter %s: %s is refused", name, value);
    g_autofree char *arguments = setting(name, value, NULL);
    return godwit_conformance_request(vm, GODWIT_REFUSED, check, "migrate-set-parameters",
                                      arguments, &obeyed, error) &&
           (!obeyed || (excuse(vm, name, value, error) && restore(vm, name, error)));
}

/* After a value was accepted, checks that the parameter now reads READ and that nothing else has
 * changed. Sets *PROBLEM if not. */
static bool judge_accepted(struct godwit_conformance *vm, const char *name, const char *read,
                           char **problem, GError **error)
{
    g_autoptr(json_t) wanted = godwit_qmp_parse(read);
    g_autofree char *expected = json_dumps(wanted, JSON_COMPACT | JSON_ENCODE_ANY);
    g_autofree char *found = read_back(vm, name, error);
    if (!found || !godwit_conformance_compare(vm, name, problem, error))
        return false;
    if (!*problem && strcmp(found, expected) != 0)
        *problem = g_strdup_printf("reads %s instead of %s afterwards", found, read);
    return true;
}

/* Checks that VALUE is accepted and then reads READ. If REFUSABLE, it may be refused instead. */
static bool settable(struct godwit_conformance *vm, const char *name, const char *value,
                     const char *read, bool refusable, GError **error)
{
    const bool same = !strcmp(value, read);
    g_autofree char *check =
        g_strdup_printf("parameter %s: %s is %s%s%s", name, value, refusable ? "refused, or " : "",
                        same ? "accepted and read back" : "accepted as ", same ? "" : read);
    g_autofree char *arguments = setting(name, value, NULL);
    g_autofree char *problem = NULL;
    g_autoptr(json_t) reply = godwit_vm_ask(vm->vm, "migrate-set-parameters", arguments, error);
    if (!reply)
        return false;
    const json_t *refusal = json_object_get(reply, "error");
    if (!refusal) {
        if (!judge_accepted(vm, name, read, &problem, error))
            return false;
    } else if (refusable) {
        if (!godwit_conformance_compare(vm, NULL, &problem, error))
            return false;
    } else {
        problem = g_strdup_printf("was refused: %s", godwit_json_string(refusal, "desc", ""));
    }
    godwit_conformance_note(vm->vm->testbed, check, reply, problem);
    return refusal || ((!problem || excuse(vm, name, value, error)) && restore(vm, name, error));
}

/* Checks that a legal value together with an unknown parameter is refused, and neither is set. */
static bool with_unknown_key(struct godwit_conformance *vm, const char *name, const char *value,
                             GError **error)
{
    g_autofree char *check =
        g_strdup_printf("parameter %s: together with an unknown one it is refused", name);
    g_autofree char *arguments = setting(name, value, "\"no-such-parameter\":1");
    return godwit_conformance_request(vm, GODWIT_REFUSED, check, "migrate-set-parameters",
                                      arguments, NULL, error);
}

/* Returns whether QEMU has the parameter. If not, records a skipped check. */
static bool present(struct godwit_conformance *vm, const char *name)
{
    if (godwit_qemu_has(vm->vm->qemu, "parameter", name))
        return true;
    g_autofree char *check = g_strdup_printf("parameter %s", name);
    g_autofree char *reason = g_strdup_printf("not in QEMU %s", vm->vm->qemu->version);
    godwit_conformance_skip(vm->vm->testbed, check, reason);
    return false;
}

static bool check_integer(struct godwit_conformance *vm, const struct integer *integer,
                          GError **error)
{
    const char *name = integer->name;
    /* A legal value other than the present one, so that setting it would show. */
    g_autofree char *now =
        json_dumps(json_object_get(vm->parameters, name), JSON_COMPACT | JSON_ENCODE_ANY);
    const char *legal = g_strcmp0(now, integer->lowest) ? integer->lowest : integer->highest;
    g_autofree char *string = g_strdup_printf("\"%s\"", legal);
    /* QMP takes negative numbers for unsigned 64-bit ones modulo 2^64, on purpose. A parameter that
     * accepts all of those may therefore accept -1. */
    const bool wraps = !strcmp(integer->highest, UINT64_MAX_TEXT);
    const char *const types[] = {string, "1.5", "null", "true", "[]", "{}"};
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!refused(vm, name, types[i], error))
            return false;
    return settable(vm, name, integer->lowest, integer->lowest, false, error) &&
           settable(vm, name, integer->highest, integer->highest, false, error) &&
           (!integer->below || refused(vm, name, integer->below, error)) &&
           (!integer->other || refused(vm, name, integer->other, error)) &&
           refused(vm, name, integer->above, error) &&
           (wraps ? settable(vm, name, "-1", integer->highest, true, error)
                  : refused(vm, name, "-1", error)) &&
           with_unknown_key(vm, name, legal, error);
}

static bool check_boolean(struct godwit_conformance *vm, const char *name, GError **error)
{
    static const char *const types[] = {"1",    "0",   "\"on\"", "\"true\"", "-1",
                                        "null", "1.5", "[]",     "{}"};
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!refused(vm, name, types[i], error))
            return false;
    const char *legal = godwit_json_true(vm->parameters, name) ? "false" : "true";
    return settable(vm, name, "true", "true", false, error) &&
           settable(vm, name, "false", "false", false, error) &&
           with_unknown_key(vm, name, legal, error);
}

/* Checks a string. The schema lets null unset it: it reads "" then. */
static bool check_string(struct godwit_conformance *vm, const char *name, GError **error)
{
    static const char *const types[] = {"1", "-1", "1.5", "true", "[]", "{}"};
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!refused(vm, name, types[i], error))
            return false;
    return settable(vm, name, "\"name\"", "\"name\"", false, error) &&
           settable(vm, name, "\"\"", "\"\"", false, error) &&
           settable(vm, name, "null", "\"\"", false, error) &&
           with_unknown_key(vm, name, "\"name\"", error);
}

/* Checks every value in the schema, and some that are not in it. */
static bool check_enumeration(struct godwit_conformance *vm, const char *name, GError **error)
{
    static const char *const types[] = {
        "\"no-such-value\"", "\"\"", "\"None\"", "1", "-1", "1.5", "null", "true", "[]", "{}"};
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!refused(vm, name, types[i], error))
            return false;
    const char *now = godwit_json_string(vm->parameters, name, "");
    g_autofree char *legal = NULL;
    g_autofree char *prefix = g_strconcat(name, ":", NULL);
    const char *feature;
    json_t *unused;
    json_object_foreach(vm->vm->qemu->features, feature, unused)
    {
        if (!g_str_has_prefix(feature, prefix))
            continue;
        const char *value = feature + strlen(prefix);
        g_autofree char *text = g_strdup_printf("\"%s\"", value);
        if (!settable(vm, name, text, text, false, error))
            return false;
        if (!legal && strcmp(value, now) != 0)
            legal = g_strdup(text);
    }
    return !legal || with_unknown_key(vm, name, legal, error);
}

/* Checks a list of bitmap aliases. Sets none, because it could not be unset again. */
static bool check_mapping(struct godwit_conformance *vm, const char *name, GError **error)
{
    static const char *const types[] = {"1",
                                        "-1",
                                        "1.5",
                                        "null",
                                        "true",
                                        "\"x\"",
                                        "{}",
                                        "[1]",
                                        "[{}]",
                                        "[{\"node-name\":\"a\",\"alias\":\"b\"}]",
                                        "[{\"node-name\":\"a\",\"alias\":\"b\",\"bitmaps\":[]},"
                                        "{\"node-name\":\"a\",\"alias\":\"c\",\"bitmaps\":[]}]"};
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!refused(vm, name, types[i], error))
            return false;
    return with_unknown_key(vm, name, "[]", error);
}

typedef bool (*check_named)(struct godwit_conformance *vm, const char *name, GError **error);

static bool check_each(struct godwit_conformance *vm, const char *const *names, size_t count,
                       check_named check, GError **error)
{
    for (size_t i = 0; i < count; i++)
        if (present(vm, names[i]) && !check(vm, names[i], error))
            return false;
    return true;
}

/* Texts of 256 bytes, one more than the stream has room for, of 32 bytes, one more than the name of
 * a node has, and of 1024, one more than that of a bitmap. */
#define X16   "xxxxxxxxxxxxxxxx"
#define X32   X16 X16
#define X256  X32 X32 X32 X32 X32 X32 X32 X32
#define X1024 X256 X256 X256 X256

/* A mapping of a node, and one of a bitmap. */
#define NODE(name, alias, bitmaps)                                                                 \
    "{\"node-name\":\"" name "\",\"alias\":\"" alias "\",\"bitmaps\":[" bitmaps "]}"
#define BITMAP(name, alias) "{\"name\":\"" name "\",\"alias\":\"" alias "\"}"
#define TRANSFORM(text)     "{\"name\":\"a\",\"alias\":\"b\",\"transform\":" text "}"
#define MAPPED(list)                                                                               \
    "migrate-set-parameters", "{\"block-bitmap-mapping\":[" list "]}", GODWIT_REFUSED,             \
        "parameter:block-bitmap-mapping"

static const struct godwit_request mapped[] = {
    {"block-bitmap-mapping with a node twice: refused",
     MAPPED(NODE("a", "b", "") "," NODE("a", "c", ""))},
    {"block-bitmap-mapping with a node's alias twice: refused",
     MAPPED(NODE("a", "b", "") "," NODE("c", "b", ""))},
    {"block-bitmap-mapping with a bitmap twice: refused",
     MAPPED(NODE("a", "b", BITMAP("c", "d") "," BITMAP("c", "e")))},
    {"block-bitmap-mapping with a bitmap's alias twice: refused",
     MAPPED(NODE("a", "b", BITMAP("c", "d") "," BITMAP("e", "d")))},
    {"block-bitmap-mapping with a node's name of 32 bytes: refused", MAPPED(NODE(X32, "b", ""))},
    {"block-bitmap-mapping with a node's alias of 256 bytes: refused", MAPPED(NODE("a", X256, ""))},
    {"block-bitmap-mapping with a node's alias that is no identifier: refused",
     MAPPED(NODE("a", "#b", ""))},
    {"block-bitmap-mapping with an empty alias of a node: refused", MAPPED(NODE("a", "", ""))},
    {"block-bitmap-mapping with a bitmap's name of 1024 bytes: refused",
     MAPPED(NODE("a", "b", BITMAP(X1024, "d")))},
    {"block-bitmap-mapping with a bitmap's alias of 256 bytes: refused",
     MAPPED(NODE("a", "b", BITMAP("c", X256)))},
    {"block-bitmap-mapping with an unknown transform: refused",
     MAPPED(NODE("a", "b", TRANSFORM("{\"reversed\":true}")))},
    {"block-bitmap-mapping with a transform of another type: refused",
     MAPPED(NODE("a", "b", TRANSFORM("{\"persistent\":1}")))},
};

static bool check_all(struct godwit_conformance *vm, GError **error)
{
    static const char *const mappings[] = {"block-bitmap-mapping"};
    static const struct godwit_request odd[] = {
        {"unknown parameter: refused", "migrate-set-parameters", "{\"no-such-parameter\":1}",
         GODWIT_REFUSED, NULL},
        {"parameters that are a list: refused", "migrate-set-parameters", "[]", GODWIT_REFUSED,
         NULL},
        {"parameters that are a string: refused", "migrate-set-parameters", "\"downtime-limit\"",
         GODWIT_REFUSED, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(integers); i++)
        if (present(vm, integers[i].name) && !check_integer(vm, &integers[i], error))
            return false;
    return check_each(vm, booleans, G_N_ELEMENTS(booleans), check_boolean, error) &&
           check_each(vm, strings, G_N_ELEMENTS(strings), check_string, error) &&
           check_each(vm, enumerations, G_N_ELEMENTS(enumerations), check_enumeration, error) &&
           check_each(vm, mappings, G_N_ELEMENTS(mappings), check_mapping, error) &&
           godwit_conformance_requests(vm, mapped, G_N_ELEMENTS(mapped), error) &&
           godwit_conformance_requests(vm, odd, G_N_ELEMENTS(odd), error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    GODWIT_CONFORMANCE conformance = {0};
    struct godwit_vm *source = godwit_conformance_begin_source(&conformance, testbed, error);
    if (!source || !check_all(&conformance, error))
        return false;
    return godwit_conformance_move_on(testbed, &scenario->spec, source, error);
}

GODWIT_SCENARIOS(conformance_parameters) = {
    {
        .name = "conformance/parameters",
        .summary = "sets each migration parameter to its bounds, beyond them, and to other types",
        .slow = true,
        .run = run,
        .prepare = godwit_conformance_prepare,
        .order = true,
        .spec = GODWIT_CONFORMANCE_SPEC,
    },
};
GODWIT_SCENARIOS_END(conformance_parameters);
