/* SPDX-License-Identifier: MIT */
#include "vm/qemu.h"

#include "guest/machine.h"
#include "vm/vm.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes PATH, and gives it back if QMP and JSON can have it. */
static char *printable(char *path, GError **error)
{
    if (!path || g_utf8_validate(path, -1, NULL))
        return path;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                "QEMU binary %s: its path is not UTF-8", path);
    g_free(path);
    return NULL;
}

char *godwit_qemu_find(const struct godwit_machine *machine, const char *path, GError **error)
{
    g_autofree char *usual = g_strconcat("qemu-system-", machine->arch, NULL);
    const char *name = path ? path : usual;
    if (!strchr(name, '/')) {
        char *found = g_find_program_in_path(name);
        if (!found && path)
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "QEMU binary \"%s\": not in $PATH (give its path)", name);
        else if (!found)
            g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                        "no %s in $PATH: install Debian's package %s, or name a binary with --qemu",
                        name, machine->package);
        return printable(found, error);
    }
    struct stat status;
    if (!stat(name, &status) && S_ISDIR(status.st_mode)) {
        static const char *const places[] = {".", "bin"};
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
            g_autofree char *file = g_build_filename(name, places[i], usual, NULL);
            if (g_file_test(file, G_FILE_TEST_IS_EXECUTABLE))
                return g_canonicalize_filename(file, NULL);
        }
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "QEMU folder %s: there is no %s in it, nor in its bin", name, usual);
        return NULL;
    }
    if (stat(name, &status)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "QEMU binary %s: %s", name,
                    g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || access(name, X_OK)) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "QEMU binary %s: %s", name,
                    S_ISREG(status.st_mode) ? "not executable (chmod +x?)"
                                            : "not a file but a device");
        return NULL;
    }
    return printable(g_canonicalize_filename(name, NULL), error);
}

/* query-machines, turned round: every name by which a type can be asked for -> its full name. */
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

static void add_feature(json_t *features, const char *kind, const char *name)
{
    g_autofree char *key = g_strconcat(kind, ":", name, NULL);
    json_object_set_new(features, key, json_true());
}

/* query-qmp-schema's answer as an object, by name. Types are known by numbers there. */
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

/* The members of the object type of that name. Borrowed; NULL if there is no such type. */
static const json_t *members_of(const json_t *types, const char *type)
{
    return json_object_get(json_object_get(types, type), "members");
}

/* Every value of an enumeration is a feature of KIND. QEMU before 7.0 knows only plain "values". */
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

/* migrate-set-parameters' arguments, and the values of those that are enumerations. */
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

/* migrate's arguments; and, where it takes channels, the transports of their addresses. */
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
            /* The address: an object whose variants are told apart by an enumeration. */
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

/* The states that query-migrate tells of. */
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
    add_states(features, types);
    return features;
}

static bool ask(struct godwit_vm *vm, struct godwit_qemu *qemu, GError **error)
{
    if (!godwit_vm_handshake(vm, error))
        return false;
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
    qemu->features = features_of(schema, capabilities);
    return godwit_vm_quit(vm, error);
}

struct godwit_qemu *godwit_qemu_probe(const char *path, const char *directory, double timeout_scale,
                                      bool *interrupted, GError **error)
{
    struct godwit_qemu *qemu = g_new0(struct godwit_qemu, 1);
    qemu->path = g_strdup(path);
    const struct godwit_setup setup = {.timeout_scale = timeout_scale};
    struct godwit_rig *rig = godwit_rig_new(&setup, directory);
    rig->interrupted = interrupted;
    const gint64 began = g_get_monotonic_time();
    struct godwit_vm *vm =
        godwit_rig_set_apart(rig, error) ? godwit_vm_start_bare(rig, qemu, error) : NULL;
    bool answered = vm && ask(vm, qemu, error);
    qemu->start_ms = (double)(g_get_monotonic_time() - began) / 1000.0;
    godwit_rig_free(rig);
    if (!answered) {
        /* Whatever it was that failed here, this is no QEMU to test with. */
        if (error && *error && (*error)->code != GODWIT_ERROR_INTERRUPTED) {
            (*error)->code = GODWIT_ERROR_ENVIRONMENT;
            godwit_error_context(error, "not a usable QEMU");
        }
        g_clear_pointer(&qemu, godwit_qemu_free);
    }
    return qemu;
}

json_t *godwit_qemu_to_json(const struct godwit_qemu *qemu)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:O, s:f}", "path", qemu->path, "version",
                     qemu->version, "package", qemu->package, "arch", qemu->arch, "machines",
                     qemu->machines, "features", qemu->features, "start_ms", qemu->start_ms);
}

struct godwit_qemu *godwit_qemu_from_json(const json_t *json)
{
    struct godwit_qemu *qemu = g_new0(struct godwit_qemu, 1);
    qemu->path = g_strdup(godwit_json_string(json, "path", ""));
    qemu->version = g_strdup(godwit_json_string(json, "version", ""));
    qemu->package = g_strdup(godwit_json_string(json, "package", ""));
    qemu->arch = g_strdup(godwit_json_string(json, "arch", ""));
    qemu->machines = json_incref(json_object_get(json, "machines"));
    qemu->features = json_incref(json_object_get(json, "features"));
    qemu->start_ms = json_number_value(json_object_get(json, "start_ms"));
    return qemu;
}

struct godwit_qemu *godwit_qemu_copy(const struct godwit_qemu *qemu)
{
    g_autoptr(json_t) json = godwit_qemu_to_json(qemu);
    return godwit_qemu_from_json(json);
}

void godwit_qemu_free(struct godwit_qemu *qemu)
{
    if (!qemu)
        return;
    g_free(qemu->path);
    g_free(qemu->version);
    g_free(qemu->package);
    g_free(qemu->arch);
    json_decref(qemu->machines);
    json_decref(qemu->features);
    g_free(qemu);
}

bool godwit_qemu_has(const struct godwit_qemu *qemu, const char *kind, const char *name)
{
    g_autofree char *key = g_strconcat(kind, ":", name, NULL);
    return json_object_get(qemu->features, key) != NULL;
}

unsigned godwit_qemu_count(const struct godwit_qemu *qemu, const char *kind)
{
    const size_t length = strlen(kind);
    unsigned count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(qemu->features, key, value)
    {
        count += !strncmp(key, kind, length) && key[length] == ':';
    }
    return count;
}

char *godwit_qemu_lacks(const struct godwit_qemu *qemu, const char *needs)
{
    g_auto(GStrv) list = g_strsplit(needs ? needs : "", " ", -1);
    for (guint i = 0; list[i]; i++) {
        if (!*list[i] || json_object_get(qemu->features, list[i]))
            continue;
        g_strdelimit(list[i], ":", ' ');
        return g_strdup_printf("needs %s: not in QEMU %s", list[i], qemu->version);
    }
    return NULL;
}

const char *godwit_qemu_common_type(const struct godwit_qemu *source,
                                    const struct godwit_qemu *destination, const char *type)
{
    const char *here = godwit_json_string(source->machines, type, NULL);
    const char *there = godwit_json_string(destination->machines, type, NULL);
    if (!here || !there)
        return NULL;
    if (!strcmp(here, there))
        return here;
    /* The older binary's newest version is the newest that both can know. */
    if (json_object_get(destination->machines, here))
        return here;
    return json_object_get(source->machines, there) ? there : NULL;
}
