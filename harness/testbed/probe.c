/*
 * Asks a QEMU binary what it can do: starts it without a machine, and reads its version, machine
 * types and QMP schema. The features become the keys "KIND:NAME" of a JSON object, so that a
 * scenario can name the features that it needs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/probe.h"

#include "testbed/vm.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Inverts the answer of query-machines: maps each name of a machine type, or alias, to its full
 * name. */
static json_t *machine_types(const json_t *answer)
{
    json_t *types = json_object();
    size_t i;
    json_t *machine;
    json_array_foreach(answer, i, machine)
    {
        const char *name = godwit_json_string(machine, "name", "");
        const char *alias = godwit_json_string(machine, "alias", NULL);
        json_object_set_new(types, name, json_string(name));
        if (alias)
            json_object_set_new(types, alias, json_string(name));
    }
    return types;
}

/* Returns the full name of the type that the binary takes without -machine, "" if there is none. */
static const char *usual_type(const json_t *answer)
{
    size_t i;
    json_t *machine;
    json_array_foreach(answer, i, machine)
    {
        if (json_is_true(json_object_get(machine, "is-default")))
            return godwit_json_string(machine, "name", "");
    }
    return "";
}

static void add_feature(json_t *features, const char *kind, const char *name)
{
    g_autofree char *key = g_strconcat(kind, ":", name, NULL);
    json_object_set_new(features, key, json_true());
}

/* Indexes the answer of query-qmp-schema by name. Types have numbers as names there. */
static json_t *schema_by_name(const json_t *answer)
{
    json_t *types = json_object();
    size_t i;
    json_t *type;
    json_array_foreach(answer, i, type)
    {
        json_object_set(types, godwit_json_string(type, "name", ""), type);
    }
    return types;
}

/* Returns the members of an object type, borrowed, or NULL if there is no such type. */
static const json_t *members_of(const json_t *types, const char *type)
{
    return json_object_get(json_object_get(types, type), "members");
}

/* Adds every value of an enumeration as a feature of KIND. QEMU before 7.0 has only "values". */
static void add_values(json_t *features, const json_t *types, const char *type, const char *kind)
{
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(json_object_get(types, type), "values"), i, value)
    {
        if (json_is_string(value))
            add_feature(features, kind, json_string_value(value));
    }
}

/* Adds the arguments of migrate-set-parameters, and the values of those that are enumerations. */
static void add_parameters(json_t *features, const json_t *types)
{
    const json_t *command = json_object_get(types, "migrate-set-parameters");
    const json_t *members = members_of(types, godwit_json_string(command, "arg-type", ""));
    size_t i;
    json_t *member;
    json_array_foreach(members, i, member)
    {
        const char *name = godwit_json_string(member, "name", "");
        add_feature(features, "parameter", name);
        add_values(features, types, godwit_json_string(member, "type", ""), name);
    }
}

/* Adds the arguments of migrate and, if it takes channels, the transports of their addresses. */
static void add_arguments(json_t *features, const json_t *types)
{
    const json_t *command = json_object_get(types, "migrate");
    const json_t *members = members_of(types, godwit_json_string(command, "arg-type", ""));
    size_t i, j;
    json_t *member, *field;
    json_array_foreach(members, i, member)
    {
        const char *name = godwit_json_string(member, "name", "");
        add_feature(features, "argument", name);
        if (strcmp(name, "channels") != 0)
            continue;
        const json_t *array = json_object_get(types, godwit_json_string(member, "type", ""));
        json_array_foreach(members_of(types, godwit_json_string(array, "element-type", "")), j,
                           field)
        {
            const char *type = godwit_json_string(field, "type", "");
            if (!strcmp(godwit_json_string(field, "name", ""), "channel-type")) {
                add_values(features, types, type, "channel");
                continue;
            }
            /* The address is an object. An enumeration selects its variant. */
            size_t k;
            json_t *variant;
            json_array_foreach(json_object_get(json_object_get(types, type), "variants"), k,
                               variant)
            {
                add_feature(features, "transport", godwit_json_string(variant, "case", ""));
            }
        }
    }
}

/* Adds the arguments of COMMAND as features of KIND. */
static void add_arguments_of(json_t *features, const json_t *types, const char *command,
                             const char *kind)
{
    const char *type = godwit_json_string(json_object_get(types, command), "arg-type", "");
    size_t i;
    json_t *member;
    json_array_foreach(members_of(types, type), i, member)
    {
        add_feature(features, kind, godwit_json_string(member, "name", ""));
    }
}

/* Adds the states that query-migrate can report. */
static void add_states(json_t *features, const json_t *types)
{
    const json_t *command = json_object_get(types, "query-migrate");
    size_t i;
    json_t *member;
    json_array_foreach(members_of(types, godwit_json_string(command, "ret-type", "")), i, member)
    {
        if (!strcmp(godwit_json_string(member, "name", ""), "status"))
            add_values(features, types, godwit_json_string(member, "type", ""), "state");
    }
}

static json_t *features_of(const json_t *schema, const json_t *capabilities)
{
    json_t *features = json_object();
    g_autoptr(json_t) types = schema_by_name(schema);
    size_t i;
    json_t *item;
    json_array_foreach(schema, i, item)
    {
        if (!strcmp(godwit_json_string(item, "meta-type", ""), "command"))
            add_feature(features, "command", godwit_json_string(item, "name", ""));
    }
    json_array_foreach(capabilities, i, item)
    {
        add_feature(features, "capability", godwit_json_string(item, "capability", ""));
    }
    const json_t *object_add = json_object_get(types, "object-add");
    json_array_foreach(members_of(types, godwit_json_string(object_add, "arg-type", "")), i, item)
    {
        if (!strcmp(godwit_json_string(item, "name", ""), "qom-type"))
            add_values(features, types, godwit_json_string(item, "type", ""), "object");
    }
    add_parameters(features, types);
    add_arguments(features, types);
    add_arguments_of(features, types, "migrate-incoming", "incoming");
    add_arguments_of(features, types, "calc-dirty-rate", "dirty-rate");
    add_states(features, types);
    return features;
}

/* Gives VM a command that it may refuse: sets *REFUSAL to why, or to NULL. The caller frees it. */
static bool try_command(struct godwit_vm *vm, const char *command, json_t *arguments,
                        char **refusal, GError **error)
{
    g_autoptr(GError) cause = NULL;
    *refusal = NULL;
    if (godwit_vm_command(vm, command, arguments, &cause))
        return true;
    if (cause->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    *refusal = g_strdup(cause->message);
    return true;
}

/*
 * Adds the feature "pages large" if the target's pages are larger than the host's. No query has the
 * size of a page, but no XBZRLE cache may be smaller than one.
 */
static bool ask_pages(struct godwit_vm *vm, json_t *features, GError **error)
{
    g_autofree char *refusal = NULL;
    if (!json_object_get(features, "parameter:xbzrle-cache-size"))
        return true;
    if (!try_command(vm, "migrate-set-parameters",
                     json_pack("{s:I}", "xbzrle-cache-size", (json_int_t)sysconf(_SC_PAGESIZE)),
                     &refusal, error))
        return false;
    if (refusal)
        add_feature(features, "pages", "large");
    return true;
}

/* Removes the feature "object:dbus-vmstate" if the binary was built without GIO: the schema has the
 * object nevertheless. At this address no object can be made. */
static bool ask_dbus(struct godwit_vm *vm, json_t *features, GError **error)
{
    static const char key[] = "object:dbus-vmstate";
    g_autofree char *refusal = NULL;
    if (!json_object_get(features, key))
        return true;
    if (!try_command(vm, "object-add",
                     json_pack("{s:s, s:s, s:s}", "qom-type", "dbus-vmstate", "id", "probe", "addr",
                               "unix:path=/nonexistent"),
                     &refusal, error))
        return false;
    if (refusal && strstr(refusal, "invalid object type"))
        json_object_del(features, key);
    return true;
}

/* Adds the properties of the migration object, which no schema has, as features "global:NAME". */
static bool ask_globals(struct godwit_vm *vm, json_t *features, GError **error)
{
    if (!json_object_get(features, "command:qom-list-properties"))
        return true;
    g_autoptr(json_t) list = godwit_vm_execute(vm, "qom-list-properties",
                                               json_pack("{s:s}", "typename", "migration"), error);
    size_t i;
    json_t *property;
    json_array_foreach(list, i, property)
        add_feature(features, "global", godwit_json_string(property, "name", ""));
    return list != NULL;
}

static bool ask_all(struct godwit_vm *vm, gpointer data, GError **error)
{
    struct godwit_qemu *qemu = data;
    g_autoptr(json_t) version = godwit_vm_execute(vm, "query-version", NULL, error);
    g_autoptr(json_t) target = version ? godwit_vm_execute(vm, "query-target", NULL, error) : NULL;
    g_autoptr(json_t) machines =
        target ? godwit_vm_execute(vm, "query-machines", NULL, error) : NULL;
    g_autoptr(json_t) capabilities =
        machines ? godwit_vm_execute(vm, "query-migrate-capabilities", NULL, error) : NULL;
    g_autoptr(json_t) schema =
        capabilities ? godwit_vm_execute(vm, "query-qmp-schema", NULL, error) : NULL;
    if (!schema)
        return false;
    const json_t *number = json_object_get(version, "qemu");
    qemu->version = g_strdup_printf("%d.%d.%d", (int)godwit_json_integer(number, "major", 0),
                                    (int)godwit_json_integer(number, "minor", 0),
                                    (int)godwit_json_integer(number, "micro", 0));
    qemu->package = g_strdup(godwit_json_string(version, "package", ""));
    qemu->arch = g_strdup(godwit_json_string(target, "arch", "unknown"));
    qemu->machines = machine_types(machines);
    qemu->usual_type = g_strdup(usual_type(machines));
    qemu->features = features_of(schema, capabilities);
    return ask_pages(vm, qemu->features, error) && ask_dbus(vm, qemu->features, error) &&
           ask_globals(vm, qemu->features, error);
}

bool godwit_qemu_ask_all(const struct godwit_qemu *qemu,
                         bool (*ask)(struct godwit_vm *vm, gpointer data, GError **error),
                         gpointer data, const char *directory, double timeout_scale,
                         bool *interrupted, GError **error)
{
    const struct godwit_setup setup = {.timeout_scale = timeout_scale};
    struct godwit_testbed *testbed = godwit_testbed_new(&setup, directory);
    testbed->interrupted = interrupted;
    struct godwit_vm *vm = godwit_testbed_set_apart(testbed, error)
                               ? godwit_vm_start_bare(testbed, qemu, error)
                               : NULL;
    const bool good =
        vm && godwit_vm_handshake(vm, error) && ask(vm, data, error) && godwit_vm_quit(vm, error);
    godwit_testbed_free(testbed);
    return good;
}

struct godwit_qemu *godwit_qemu_probe(const char *path, const char *directory, double timeout_scale,
                                      bool *interrupted, GError **error)
{
    struct godwit_qemu *qemu = g_new0(struct godwit_qemu, 1);
    qemu->path = g_strdup(path);
    const gint64 began = g_get_monotonic_time();
    const bool answered =
        godwit_qemu_ask_all(qemu, ask_all, qemu, directory, timeout_scale, interrupted, error);
    qemu->start_ms = (double)(g_get_monotonic_time() - began) / 1000.0;
    if (!answered) {
        /* Whatever the cause, this QEMU is not usable for tests. */
        if (error && *error && (*error)->code != GODWIT_ERROR_INTERRUPTED) {
            (*error)->code = GODWIT_ERROR_ENVIRONMENT;
            godwit_error_context(error, "not a usable QEMU");
        }
        g_clear_pointer(&qemu, godwit_qemu_free);
    }
    return qemu;
}

/* A question whose answer is a list. */
struct question {
    char **(*ask)(struct godwit_vm *vm, GError **error);
    char **answer;
};

static bool ask_question(struct godwit_vm *vm, gpointer data, GError **error)
{
    struct question *question = data;
    question->answer = question->ask(vm, error);
    return question->answer != NULL;
}

char **godwit_qemu_ask(const struct godwit_qemu *qemu,
                       char **(*ask)(struct godwit_vm *vm, GError **error), const char *directory,
                       double timeout_scale, bool *interrupted, GError **error)
{
    struct question question = {.ask = ask};
    if (godwit_qemu_ask_all(qemu, ask_question, &question, directory, timeout_scale, interrupted,
                            error))
        return question.answer;
    g_strfreev(question.answer);
    godwit_error_context(error, "%s", qemu->path);
    return NULL;
}

/* Starts the machine and asks it. */
static bool try_machine(struct godwit_testbed *testbed, bool source, GError **error)
{
    struct godwit_vm *vm =
        godwit_testbed_set_apart(testbed, error)
            ? godwit_vm_start(testbed, source ? "source" : "destination",
                              source ? GODWIT_VM_SOURCE : GODWIT_VM_DESTINATION_PAUSED, NULL, error)
            : NULL;
    if (!vm)
        return false;
    g_autoptr(GError) cause = NULL;
    if (!godwit_vm_handshake(vm, &cause)) {
        if (vm->exited && WIFEXITED(vm->wait_status)) {
            g_autofree char *reason = godwit_vm_reason(vm);
            g_autofree char *end = godwit_vm_end(vm);
            return godwit_fail(error, GODWIT_ERROR_USAGE, "QEMU %s rejects the %s's arguments: %s",
                               vm->qemu->version, vm->name, *reason ? reason : end);
        }
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    g_autoptr(json_t) migration = godwit_vm_execute(vm, "query-migrate", NULL, error);
    if (!migration)
        return false;
    const char *blocked =
        json_string_value(json_array_get(json_object_get(migration, "blocked-reasons"), 0));
    if (blocked)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "the %s's arguments make a machine that QEMU %s does not migrate: %s",
                           vm->name, vm->qemu->version, blocked);
    return godwit_vm_quit(vm, error);
}

bool godwit_qemu_try(const struct godwit_setup *setup, bool source, const char *directory,
                     bool *interrupted, GError **error)
{
    struct godwit_testbed *testbed = godwit_testbed_new(setup, directory);
    testbed->interrupted = interrupted;
    const bool good = try_machine(testbed, source, error);
    godwit_testbed_free(testbed);
    return good;
}
