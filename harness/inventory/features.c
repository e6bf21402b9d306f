/*
 * Reads and compares the features of CPU models.
 *
 * The state of a CPU does not say which features the CPU has. A destination whose model of the same
 * name has others loads it all the same, and the guest finds out when it uses one of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/features.h"

#include <string.h>

/* The command that expands a model. */
#define EXPAND "query-cpu-model-expansion"

/* Properties by which QEMU treats a model: a guest sees none of them, only their effect on others,
 * such as `level`. */
static const char *const hidden[] = {
    "*-id",        "*-auto-level", "legacy-*",          "x-*",      "vmx-*-ctl-*",
    "kvm*",        "hotpluggable", "hotplugged",        "realized", "migratable",
    "cpu-version", "host-*",       "start-powered-off",
};

json_t *godwit_features_read(struct godwit_vm *vm, const char *name, GError **error)
{
    if (!godwit_qemu_has(vm->qemu, "command", EXPAND))
        return json_null();
    g_autoptr(GError) cause = NULL;
    g_autoptr(json_t) answer = godwit_vm_execute(
        vm, EXPAND, json_pack("{s:s, s:{s:s}}", "type", "full", "model", "name", name), &cause);
    /* QEMU 11.1 has the command on every target, and refuses it on some. */
    if (!answer && !vm->exited && g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_QMP))
        return json_null();
    if (!answer) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    json_t *features = json_object_get(json_object_get(answer, "model"), "props");
    return json_is_object(features) ? json_incref(features) : json_null();
}

static bool is_hidden(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++)
        if (g_pattern_match_simple(hidden[i], name))
            return true;
    return false;
}

/* Adds the property NAME if the sides differ in it. Either value may be NULL: unknown there. */
static void compare(GPtrArray *differences, const char *name, const json_t *here,
                    const json_t *there)
{
    if (is_hidden(name))
        return;
    if (json_is_boolean(here) || json_is_boolean(there)) {
        if (json_is_true(here) != json_is_true(there))
            g_ptr_array_add(
                differences,
                g_strdup_printf("%s: %s", name, json_is_true(here) ? "on -> off" : "off -> on"));
    } else if (json_is_integer(here) && json_is_integer(there) &&
               json_integer_value(here) != json_integer_value(there)) {
        g_ptr_array_add(differences,
                        g_strdup_printf("%s: %" JSON_INTEGER_FORMAT " -> %" JSON_INTEGER_FORMAT,
                                        name, json_integer_value(here), json_integer_value(there)));
    }
}

static int by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *godwit_features_compare(const json_t *source, const json_t *destination)
{
    GPtrArray *differences = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    json_t *value;
    if (!json_is_object(source) || !json_is_object(destination))
        return differences;
    json_object_foreach((json_t *)(uintptr_t)source, name, value)
    {
        compare(differences, name, value, json_object_get(destination, name));
    }
    json_object_foreach((json_t *)(uintptr_t)destination, name, value)
    {
        if (!json_object_get(source, name))
            compare(differences, name, NULL, value);
    }
    g_ptr_array_sort(differences, by_text);
    return differences;
}
