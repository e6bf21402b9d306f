/*
 * The commands of a migration as lines of the human monitor. QEMU has other code for them there,
 * which parses names, numbers and sizes from text. A line that is obeyed prints nothing.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

#include "base/json.h"
#include "base/text.h"

#include <string.h>

/* QMP's commands that have a line, and the argument that follows it. */
static const struct line {
    const char *command;
    const char *line;
    const char *argument; /* NULL: none */
} lines[] = {
    {"migrate", "migrate -d", "uri"},
    {"migrate-incoming", "migrate_incoming", "uri"},
    {"migrate-recover", "migrate_recover", "uri"},
    {"migrate-continue", "migrate_continue", "state"},
    {"migrate-start-postcopy", "migrate_start_postcopy", NULL},
    {"migrate-pause", "migrate_pause", NULL},
    {"migrate_cancel", "migrate_cancel", NULL},
};

/* Parameters that the monitor takes in MiB without a suffix. */
static const char *const in_mib[] = {"max-bandwidth", "avail-switchover-bandwidth", NULL};

char *godwit_vm_parameter_line(const char *name, const json_t *value)
{
    g_autofree char *text = NULL;
    if (json_is_string(value))
        text = g_strdup(json_string_value(value)); /* QEMU 11 takes quotes for a part of it */
    else if (json_is_boolean(value))
        text = g_strdup(json_is_true(value) ? "on" : "off");
    else
        text = g_strdup_printf("%" JSON_INTEGER_FORMAT "%s", json_integer_value(value),
                               g_strv_contains(in_mib, name) ? "B" : "");
    return g_strdup_printf("migrate_set_parameter %s %s", name, text);
}

char *godwit_vm_capability_line(const char *name, bool on)
{
    return g_strdup_printf("migrate_set_capability %s %s", name, on ? "on" : "off");
}

/* Returns the lines for COMMAND with ARGUMENTS, which may be NULL, or NULL if it has none. */
static GPtrArray *lines_of(const char *command, const json_t *arguments)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    if (!strcmp(command, "migrate-set-parameters")) {
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)arguments, name, value)
            g_ptr_array_add(list, godwit_vm_parameter_line(name, value));
        return g_steal_pointer(&list);
    }
    if (!strcmp(command, "migrate-set-capabilities")) {
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(arguments, "capabilities"), i, one) g_ptr_array_add(
            list, godwit_vm_capability_line(godwit_json_string(one, "capability", ""),
                                            godwit_json_true(one, "state")));
        return g_steal_pointer(&list);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        if (strcmp(command, lines[i].command) != 0)
            continue;
        const char *word =
            lines[i].argument ? godwit_json_string(arguments, lines[i].argument, NULL) : NULL;
        if (lines[i].argument && !word)
            return NULL; /* a list of channels */
        g_ptr_array_add(list,
                        g_strdup_printf("%s%s%s%s%s", lines[i].line,
                                        godwit_json_true(arguments, "resume") ? " -r" : "",
                                        word ? " \"" : "", word ? word : "", word ? "\"" : ""));
        return g_steal_pointer(&list);
    }
    return NULL;
}

bool godwit_vm_obey(struct godwit_vm *vm, const char *line, GError **error)
{
    g_autofree char *printed = godwit_vm_monitor(vm, line, error);
    if (!printed || !*g_strstrip(printed))
        return printed != NULL;
    g_autofree char *shown = godwit_text_line(printed);
    return godwit_fail(error, GODWIT_ERROR_QMP,
                       "the %s's human monitor did not obey \"%s\", printing \"%s\"", vm->name,
                       line, shown);
}

bool godwit_vm_by_line(struct godwit_vm *vm, const char *command, json_t *arguments, bool *obeyed,
                       GError **error)
{
    g_autoptr(GPtrArray) list = vm->testbed->by_monitor ? lines_of(command, arguments) : NULL;
    if (!list)
        return false;
    g_autoptr(json_t) given = arguments;
    *obeyed = true;
    for (guint i = 0; *obeyed && i < list->len; i++)
        *obeyed = godwit_vm_obey(vm, g_ptr_array_index(list, i), error);
    return true;
}
