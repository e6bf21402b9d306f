/*
 * Reads the list of CPU models. Some targets of older QEMUs have no query-cpu-definitions, riscv64
 * before 8.1 for example. Their types are "MODEL-TARGET-cpu".
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/cpus.h"

#include <string.h>

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char **sorted(GPtrArray *list)
{
    g_ptr_array_sort(list, by_name);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

/* Returns whether the definition is another name of a model that has a definition of its own. QEMU
 * for ppc64 does not say so, but gives an alias the type of its model, which has the model's name,
 * and gives the models themselves none. */
static bool is_alias(const json_t *definition, const char *name)
{
    const char *type = godwit_json_string(definition, "typename", "");
    g_autofree char *prefix = g_strconcat(name, "-", NULL);
    return json_object_get(definition, "alias-of") || (*type && !g_str_has_prefix(type, prefix));
}

char **godwit_cpus_parse(const json_t *definitions)
{
    GPtrArray *list = g_ptr_array_new();
    size_t i;
    json_t *definition;
    json_array_foreach(definitions, i, definition)
    {
        const char *name = godwit_json_string(definition, "name", NULL);
        if (name && !is_alias(definition, name))
            g_ptr_array_add(list, g_strdup(name));
    }
    return sorted(list);
}

char **godwit_cpus_parse_types(const json_t *types)
{
    GPtrArray *list = g_ptr_array_new();
    size_t i;
    json_t *type;
    json_array_foreach(types, i, type)
    {
        g_autofree char *name = g_strdup(godwit_json_string(type, "name", ""));
        char *end = strrchr(name, '-');
        if (end)
            *end = '\0';
        end = end ? strrchr(name, '-') : NULL;
        if (!end || end == name)
            continue;
        *end = '\0';
        g_ptr_array_add(list, g_strdup(name));
    }
    return sorted(list);
}

char **godwit_cpus_list(struct godwit_vm *vm, GError **error)
{
    static const char command[] = "query-cpu-definitions";
    const bool lists = godwit_qemu_has(vm->qemu, "command", command);
    g_autoptr(json_t) answer =
        lists
            ? godwit_vm_execute(vm, command, NULL, error)
            : godwit_vm_execute(vm, "qom-list-types",
                                json_pack("{s:s, s:b}", "implements", "cpu", "abstract", 0), error);
    if (!answer)
        return NULL;
    return lists ? godwit_cpus_parse(answer) : godwit_cpus_parse_types(answer);
}
