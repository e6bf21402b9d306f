/*
 * Commands and capabilities that older QEMUs have and newer ones have removed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <math.h>

/* A command that sets one migration parameter. */
struct retired {
    const char *command;
    double value; /* in the command's unit ... */
    const char *parameter;
    json_int_t set; /* ... and in the parameter's */
};

static const struct retired set_downtime = {"migrate_set_downtime", 0.125, "downtime-limit", 125};
static const struct retired set_speed = {"migrate_set_speed", 12345678, "max-bandwidth", 12345678};

static bool ask_parameter(struct godwit_vm *vm, const char *name, json_int_t *value, GError **error)
{
    g_autoptr(json_t) parameters = godwit_vm_execute(vm, "query-migrate-parameters", NULL, error);
    *value = godwit_json_integer(parameters, name, -1);
    return parameters != NULL;
}

/* Sends the retired command. If the schema has it, QEMU must obey, and the parameter must show the
 * value. If not, QEMU must report it as unknown and change nothing. */
static bool use(struct godwit_vm *vm, const struct retired *retired, GError **error)
{
    const bool has = godwit_qemu_has(vm->qemu, "command", retired->command);
    json_int_t before, after;
    g_autoptr(GError) refusal = NULL;
    if (!ask_parameter(vm, retired->parameter, &before, error))
        return false;
    /* migrate_set_speed accepts only whole numbers. */
    json_t *value = retired->value == floor(retired->value)
                        ? json_integer((json_int_t)retired->value)
                        : json_real(retired->value);
    const bool obeyed =
        godwit_vm_command(vm, retired->command, json_pack("{s:o}", "value", value), &refusal);
    if (!obeyed && refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    if (obeyed != has || (!obeyed && !g_str_has_suffix(refusal->message, "(CommandNotFound)"))) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "query-qmp-schema %s the command %s, but the answer is: %s",
                    has ? "has" : "does not have", retired->command,
                    obeyed ? "success" : refusal->message);
        return false;
    }
    if (!ask_parameter(vm, retired->parameter, &after, error))
        return false;
    const json_int_t wanted = has ? retired->set : before;
    if (after == wanted)
        return true;
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "after %s, which %s, %s is %" JSON_INTEGER_FORMAT " instead of "
                "%" JSON_INTEGER_FORMAT,
                retired->command, has ? "was obeyed" : "was refused", retired->parameter, after,
                wanted);
    return false;
}

static bool use_set_downtime(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    (void)destination;
    return use(source, &set_downtime, error);
}

static bool use_set_speed(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return use(source, &set_speed, error);
}

/* Checks that pages were compressed and became smaller. */
static bool judge_compression(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    (void)destination;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    json_t *counters = json_object_get(info, "compression");
    const json_int_t pages = godwit_json_integer(counters, "pages", 0);
    const json_int_t size = godwit_json_integer(counters, "compressed-size", 0);
    const json_int_t page_size = godwit_json_integer(json_object_get(info, "ram"), "page-size", 0);
    if (pages > 0 && size > 0 && size < pages * page_size) {
        godwit_testbed_measure(source->testbed, "compression", json_incref(counters));
        return true;
    }
    g_autofree char *text = counters ? json_dumps(counters, JSON_COMPACT) : g_strdup("nothing");
    g_set_error(
        error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
        "the source reports %s for compression, expected pages in fewer bytes than their size",
        text);
    return false;
}

static const struct godwit_capability compress[] = {{"compress", true}, {NULL, false}};
static const struct godwit_parameter threads[] = {{"compress-level", 1, NULL},
                                                  {"compress-threads", 4, NULL},
                                                  {"decompress-threads", 4, NULL},
                                                  {NULL, 0, NULL}};

GODWIT_SCENARIOS(legacy) = {
    {
        .name = "legacy/set-downtime",
        .summary = "migrate_set_downtime: works where it exists, unknown elsewhere",
        .qemu_name = "/migration/deprecated",
        .spec = {.configure = use_set_downtime},
    },
    {
        .name = "legacy/set-speed",
        .summary = "migrate_set_speed: works where it exists, unknown elsewhere",
        .slow = true,
        .qemu_name = "/migration/deprecated",
        .spec = {.configure = use_set_speed},
    },
    {
        .name = "legacy/compress",
        .order = true,
        .summary = "live, with the capability compress",
        .spec = {.capabilities = compress, .parameters = threads, .judge = judge_compression},
    },
};
GODWIT_SCENARIOS_END(legacy);
