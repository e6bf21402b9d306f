/*
 * Settings: parses them, checks them against a binary, and applies them. The binary knows which of
 * them are capabilities.
 *
 * SPDX-License-Identifier: MIT
 */
#include "migrate/settings.h"

#include "migrate/migrate.h"
#include <string.h>

/* The parameters with which a migration is throttled. */
static const char *const throttling[] = {"max-bandwidth", "downtime-limit",
                                         "avail-switchover-bandwidth", "max-postcopy-bandwidth",
                                         NULL};

/* Returns the value that TEXT stands for, which the caller releases, or NULL if it is a number that
 * does not fit into 64 bits. */
static json_t *value_of(const char *text)
{
    gint64 number;
    g_autoptr(GError) cause = NULL;
    if (g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, &cause))
        return json_integer(number);
    if (g_error_matches(cause, G_NUMBER_PARSER_ERROR, G_NUMBER_PARSER_ERROR_OUT_OF_BOUNDS))
        return NULL;
    if (!strcmp(text, "on") || !strcmp(text, "true"))
        return json_true();
    if (!strcmp(text, "off") || !strcmp(text, "false"))
        return json_false();
    return godwit_json_text(text);
}

bool godwit_settings_add(json_t *settings, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "a setting is NAME=VALUE, for example multifd-channels=4, not \"%s\"",
                           text);
    json_t *value = value_of(equals + 1);
    if (!value)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "the number in \"%s\" does not fit into 64 bits", text);
    g_autofree char *name = g_strndup(text, (gsize)(equals - text));
    json_object_set_new(settings, name, value);
    return true;
}

char *godwit_settings_value(const json_t *value)
{
    return json_is_boolean(value) ? g_strdup(json_is_true(value) ? "on" : "off")
           : json_is_integer(value)
               ? g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value))
               : g_strdup(json_string_value(value));
}

char *godwit_settings_text(const json_t *settings)
{
    GString *text = g_string_new(NULL);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)settings, name, value)
    {
        g_autofree char *word = godwit_settings_value(value);
        g_string_append_printf(text, "%s%s=%s", text->len ? " " : "", name, word);
    }
    return g_string_free(text, FALSE);
}

bool godwit_settings_check(const json_t *settings, const struct godwit_qemu *qemu, GError **error)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)settings, name, value)
    {
        if (godwit_qemu_has(qemu, "parameter", name))
            continue;
        if (!godwit_qemu_has(qemu, "capability", name))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "%s (QEMU %s) has no migration parameter or capability \"%s\"",
                               qemu->path, qemu->version, name);
        if (!json_is_boolean(value))
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "\"%s\" is a migration capability, which is on or off", name);
    }
    return true;
}

static bool apply_capabilities(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GArray) chosen = g_array_new(TRUE, TRUE, sizeof(struct godwit_capability));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)vm->testbed->setup->settings, name, value)
    {
        const struct godwit_capability capability = {name, json_is_true(value)};
        if (!godwit_qemu_has(vm->qemu, "parameter", name))
            g_array_append_val(chosen, capability);
    }
    return !chosen->len || godwit_migrate_set_capabilities(
                               vm, (const struct godwit_capability *)(void *)chosen->data, error);
}

bool godwit_settings_apply(struct godwit_vm *vm, bool throttled, GError **error)
{
    g_autoptr(json_t) parameters = json_object();
    const char *name;
    json_t *value;
    /* No capability changes once a migration has begun. */
    if (throttled && !apply_capabilities(vm, error))
        return false;
    json_object_foreach((json_t *)(uintptr_t)vm->testbed->setup->settings, name, value)
    {
        if (godwit_qemu_has(vm->qemu, "parameter", name) &&
            throttled != g_strv_contains(throttling, name))
            json_object_set(parameters, name, value);
    }
    return !json_object_size(parameters) ||
           godwit_vm_command(vm, "migrate-set-parameters", json_incref(parameters), error);
}
