/*
 * How to plug a device, and whether it can be plugged and migrated at all: a QEMU of each side is
 * started for the questions, without a machine, and another one to try the answer.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/device_parts.h"

#include "base/text.h"
#include "bugs/bugs.h"
#include <string.h>
#include <sys/wait.h>

/* Devices that change the guest's memory when they are loaded, as their specification wants. */
static const char *const writers[][2] = {
    {"vmclock", "its page tells the guest that it was migrated"},
};

char **godwit_device_names(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GPtrArray) types = godwit_device_types_list(vm, error);
    if (!types)
        return NULL;
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < types->len; i++) {
        const struct godwit_device_type *type = g_ptr_array_index(types, i);
        /* CPUs are no devices that the guest could run beside. */
        if (strcmp(type->category, "CPU") != 0)
            g_ptr_array_add(list, g_strdup(type->name));
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

char **godwit_plug_arguments(const struct godwit_recipe *recipe, bool whole)
{
    /* The host's own clock would differ between two looks. */
    static const char *const clock[] = {"-rtc", "base=2026-01-01,clock=vm"};
    GPtrArray *arguments = g_ptr_array_new();
    for (size_t i = 0; i < G_N_ELEMENTS(clock); i++)
        g_ptr_array_add(arguments, g_strdup(clock[i]));
    for (guint i = 0; recipe && recipe->machine[i]; i++)
        g_ptr_array_add(arguments, g_strdup(recipe->machine[i]));
    if (recipe && whole) {
        g_ptr_array_add(arguments, g_strdup("-device"));
        g_ptr_array_add(arguments, g_strdup(recipe->device));
    }
    g_ptr_array_add(arguments, NULL);
    return (char **)g_ptr_array_free(arguments, FALSE);
}

bool godwit_plug_crashed(struct godwit_vm *vm, const char *name, GError **error)
{
    if (!vm->exited || !WIFSIGNALED(vm->wait_status))
        return false;
    g_autofree char *end = godwit_vm_end(vm);
    g_autofree char *said = godwit_vm_reason(vm);
    g_clear_error(error);
    godwit_fail(error, GODWIT_ERROR_CRASH, "QEMU %s %s when it plugs %s, saying \"%s\"",
                vm->qemu->version, end, name, said);
    godwit_bug_excuse(
        &(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_PLUG, .vm = vm, .text = name}, error);
    return true;
}

void godwit_plug_refused(struct godwit_vm *vm, const char *name, GError **error)
{
    if (godwit_plug_crashed(vm, name, error) || !vm->exited)
        return;
    g_autofree char *reason = godwit_vm_reason(vm);
    g_clear_error(error);
    godwit_fail(error, GODWIT_ERROR_SKIP, "needs more to plug %s: %s", name, reason);
}

/* What a QEMU without a machine lists. */
struct list {
    GPtrArray *types;
    json_t *machines;
};

static bool read_list(struct godwit_vm *vm, struct list *list, GError **error)
{
    list->types = godwit_device_types_list(vm, error);
    list->machines = list->types ? godwit_vm_execute(vm, "query-machines", NULL, error) : NULL;
    return list->machines != NULL;
}

static void list_clear(struct list *list)
{
    g_clear_pointer(&list->types, g_ptr_array_unref);
    g_clear_pointer(&list->machines, json_decref);
}

/* Returns the recipe for the device NAME, with that NUMBER. Fails with SKIP if the binary has
 * none. */
static struct godwit_recipe *make_recipe(struct godwit_vm *vm, const struct list *list,
                                         const char *name, unsigned number, GError **error)
{
    const struct godwit_device_type *type = godwit_device_types_find(list->types, name);
    if (!type) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs the device %s: QEMU %s has none", name,
                    vm->qemu->version);
        return NULL;
    }
    g_autoptr(json_t) properties = godwit_vm_execute(vm, "device-list-properties",
                                                     json_pack("{s:s}", "typename", name), error);
    /* QEMU 7.2 ends when it is asked about a type whose module is not installed. */
    if (!properties)
        godwit_plug_refused(vm, name, error);
    return properties
               ? godwit_recipe_new(type, properties,
                                   &(struct godwit_offer){list->types, list->machines}, number)
               : NULL;
}

/* Returns the recipe for a device, or for several with a plus sign between their names. Fails with
 * SKIP if the binary lacks one of them, or if one does not fit beside others. */
static struct godwit_recipe *make_joined(struct godwit_vm *vm, const struct list *list,
                                         const char *names, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(names, "+", -1);
    if (g_strv_length(parts) < 2)
        return make_recipe(vm, list, names, 0, error);
    g_autoptr(GPtrArray) recipes =
        g_ptr_array_new_with_free_func((GDestroyNotify)godwit_recipe_free);
    for (unsigned i = 0; parts[i]; i++) {
        struct godwit_recipe *recipe = make_recipe(vm, list, parts[i], i + 1, error);
        if (!recipe)
            return NULL;
        g_ptr_array_add(recipes, recipe);
    }
    struct godwit_recipe *joined = godwit_recipe_join(recipes);
    if (!joined)
        godwit_fail(error, GODWIT_ERROR_SKIP,
                    "needs devices that fit into one machine: one of %s needs a machine, or "
                    "memory, of its own",
                    names);
    return joined;
}

/* Adds the recipe of a device with that NUMBER to RECIPES, or null if QEMU ends: then this is the
 * device that did it, and those that follow are missing. */
static bool add_recipe(struct godwit_vm *vm, const struct list *list, const char *name,
                       unsigned number, json_t *recipes, GError **error)
{
    json_object_set_new(recipes, name, json_null());
    struct godwit_recipe *recipe = make_recipe(vm, list, name, number, error);
    if (recipe)
        json_object_set_new(recipes, name, godwit_recipe_to_json(recipe));
    godwit_recipe_free(recipe);
    return recipe != NULL;
}

bool godwit_device_recipes(struct godwit_vm *vm, gpointer data, GError **error)
{
    const struct godwit_device_recipes *wanted = data;
    struct list list = {0};
    bool good = read_list(vm, &list, error);
    for (guint i = 0; good && wanted->names[i]; i++) {
        const char *name = wanted->names[i];
        if (!json_object_get(wanted->recipes, name))
            good =
                add_recipe(vm, &list, name, 0, wanted->recipes, error) &&
                (!wanted->numbered || add_recipe(vm, &list, name, i + 1, wanted->numbered, error));
    }
    list_clear(&list);
    return good;
}

/* Returns the recipe for the device, or for several, as this binary wants it. KNOWN is one that is
 * known, or NULL. */
static struct godwit_recipe *ask_recipe(struct godwit_testbed *testbed,
                                        const struct godwit_qemu *qemu, const json_t *known,
                                        const char *name, GError **error)
{
    struct godwit_recipe *recipe = godwit_recipe_from_json(known);
    if (recipe)
        return recipe;
    struct list list = {0};
    struct godwit_vm *vm = godwit_vm_start_bare(testbed, qemu, error);
    if (vm && godwit_vm_handshake(vm, error) && read_list(vm, &list, error))
        recipe = make_joined(vm, &list, name, error);
    list_clear(&list);
    if (recipe && !godwit_vm_quit(vm, error))
        g_clear_pointer(&recipe, godwit_recipe_free);
    return recipe;
}

/* Makes a recipe that chooses a machine by an alias, such as "pc", choose the type that both
 * binaries know: each takes the alias for its own newest version. */
static void use_common_type(const struct godwit_setup *setup, struct godwit_recipe *recipe)
{
    for (guint i = 0; recipe->machine[i] && recipe->machine[i + 1]; i++) {
        const char *type = strcmp(recipe->machine[i], "-machine")
                               ? NULL
                               : godwit_qemu_common_type(setup->source, setup->destination,
                                                         recipe->machine[i + 1]);
        if (!type)
            continue;
        g_free(recipe->machine[i + 1]);
        recipe->machine[i + 1] = g_strdup(type);
    }
}

struct godwit_plug *godwit_plug_ask(struct godwit_testbed *testbed, const char *name, bool several,
                                    GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    g_auto(GStrv) names = g_strsplit(name, "+", -1);
    for (size_t i = 0; i < G_N_ELEMENTS(writers); i++)
        if (g_strv_contains((const char *const *)names, writers[i][0])) {
            godwit_fail(error, GODWIT_ERROR_SKIP, "needs memory that stays as it is: %s",
                        writers[i][1]);
            return NULL;
        }
    if (!several && names[1]) {
        godwit_fail(error, GODWIT_ERROR_SKIP, "needs one device: %s names several", name);
        return NULL;
    }
    struct godwit_plug *plug = g_new0(struct godwit_plug, 1);
    plug->name = name;
    plug->source = ask_recipe(testbed, setup->source, setup->source_recipe, name, error);
    if (plug->source)
        plug->destination =
            strcmp(setup->source->path, setup->destination->path) != 0
                ? ask_recipe(testbed, setup->destination, setup->destination_recipe, name, error)
                : plug->source;
    if (plug->destination && plug->destination != plug->source) {
        use_common_type(setup, plug->source);
        use_common_type(setup, plug->destination);
    }
    if (plug->destination)
        return plug;
    godwit_plug_free(plug);
    return NULL;
}

void godwit_plug_free(struct godwit_plug *plug)
{
    if (!plug)
        return;
    if (plug->destination != plug->source)
        godwit_recipe_free(plug->destination);
    godwit_recipe_free(plug->source);
    g_free(plug);
}

bool godwit_plug_agreed(const struct godwit_testbed *testbed, const struct godwit_plug *plug,
                        GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    const char *board = plug->source->board ? plug->source->board : plug->destination->board;
    return !board || !strcmp(setup->source->path, setup->destination->path) ||
           godwit_fail(error, GODWIT_ERROR_SKIP,
                       "needs a machine type with a version: only %s has the bus of %s, and no two "
                       "QEMUs need to agree about it",
                       board, plug->name);
}

struct godwit_vm *godwit_plug_start(struct godwit_testbed *testbed, enum godwit_vm_role role,
                                    char **arguments, const char *name, GError **error)
{
    const char *label = role == GODWIT_VM_SOURCE ? "trial-source" : "trial-destination";
    struct godwit_vm *vm =
        godwit_vm_start(testbed, label, role, (const char *const *)arguments, error);
    if (!vm || godwit_vm_handshake(vm, error))
        return vm;
    godwit_plug_refused(vm, name, error);
    return NULL;
}

bool godwit_plug_try(struct godwit_testbed *testbed, enum godwit_vm_role role, char **arguments,
                     const char *name, GError **error)
{
    struct godwit_vm *vm = godwit_plug_start(testbed, role, arguments, name, error);
    return vm && godwit_course_migrates(vm, "device", error) && godwit_vm_quit(vm, error);
}

bool godwit_plug_has(struct godwit_vm *vm, const char *id, bool *has, GError **error)
{
    g_autoptr(json_t) devices =
        godwit_vm_execute(vm, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"), error);
    size_t i;
    const json_t *device;
    *has = false;
    json_array_foreach(devices, i, device)
    {
        *has |= !strcmp(godwit_json_string(device, "name", ""), id);
    }
    return devices != NULL;
}

/* Returns the id in DEVICE, a value of -device. The caller frees it. */
static char *id_of(const char *device)
{
    const char *id = strstr(device, ",id=") + strlen(",id=");
    return g_strndup(id, strcspn(id, ","));
}

bool godwit_plug_add(struct godwit_vm *vm, const char *device, bool *plugged, char **reason,
                     GError **error)
{
    /* The monitor's command takes what -device takes. QMP's wants a type for each value. */
    g_autofree char *command = g_strconcat("device_add ", device, NULL);
    g_autofree char *name = id_of(device);
    g_autofree char *answer = godwit_vm_monitor(vm, command, error);
    if (!answer || !godwit_plug_has(vm, name, plugged, error))
        return false;
    if (!*plugged)
        *reason = godwit_text_line(g_strstrip(g_strdelimit(answer, "\r\n", ' ')));
    return true;
}

/* QEMU frees a device later than it takes it out: when no thread can still use it. A device_add
 * that fails waits for all that is to be freed by then. What is freed can leave something that is
 * to be freed in turn, such as a bus and the devices on it. The guest must not run meanwhile:
 * before QEMU 11.1 a CPU under TCG may keep that command from its end (docs/known-bugs.md). */
#define FREED_BY_NOW 4

/* Sets *FREED to whether QEMU has freed what was taken out of VM after event FIRST. */
static bool ask_freed(struct godwit_vm *vm, guint first, bool *freed, GError **error)
{
    const struct godwit_qmp *qmp = vm->qmp;
    *freed = godwit_qmp_find_event(qmp, first, "DEVICE_DELETED", NULL);
    for (int i = 0; i < FREED_BY_NOW && !*freed; i++) {
        g_autoptr(json_t) reply =
            godwit_vm_ask(vm, "device_add", "{\"driver\":\"no-such-device\"}", error);
        if (!reply)
            return false;
        *freed = godwit_qmp_find_event(qmp, first, "DEVICE_DELETED", NULL);
    }
    return true;
}

/* Stops the guest, fails unless QEMU frees what was taken out of VM after event FIRST, and lets the
 * guest run on. */
static bool see_freed(struct godwit_vm *vm, guint first, GError **error)
{
    bool freed = false;
    if (!godwit_course_stop(vm, error) || !ask_freed(vm, first, &freed, error))
        return false;
    return freed ? godwit_vm_run(vm, error)
                 : godwit_fail(error, GODWIT_ERROR_QMP,
                               "the %s's QEMU has taken the device out and never frees it: there "
                               "is no event DEVICE_DELETED",
                               vm->name);
}

bool godwit_plug_remove(struct godwit_vm *vm, const char *device, GError **error)
{
    g_autofree char *name = id_of(device);
    g_autofree char *arguments = g_strdup_printf("{\"id\":\"%s\"}", name);
    const guint first = vm->qmp->events->len;
    g_autoptr(json_t) reply = godwit_vm_ask(vm, "device_del", arguments, error);
    bool has = true;
    if (!reply || !godwit_plug_has(vm, name, &has, error))
        return false;
    if (has)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a device that can be unplugged: %s",
                           godwit_json_string(json_object_get(reply, "error"), "desc",
                                              "its guest has to give the device back"));
    if (see_freed(vm, first, error))
        return true;
    g_autofree char *type = g_strndup(device, strcspn(device, ","));
    const struct godwit_bug *bug = godwit_bug_explain(&(const struct godwit_symptom){
        .kind = vm->exited ? GODWIT_SYMPTOM_UNPLUG_DIED : GODWIT_SYMPTOM_UNFREED,
        .vm = vm,
        .text = type});
    if (bug && error)
        godwit_bug_mark(error, bug);
    return false;
}
