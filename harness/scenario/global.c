/*
 * Properties of the migration itself, as `-global migration.NAME=VALUE` sets them. Machine types of
 * older versions set some of them, so that both sides speak as that version did. Others leave out
 * the configuration, the footers of sections, or the global state. If only one side leaves out
 * what the other expects, the destination must refuse the stream.
 *
 * The parameters of the migration are properties as well. Those of the command line must hold from
 * the start, without any migrate-set-parameters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <string.h>

#define GLOBAL(text) ((const char *const[]){"-global", "migration." text, NULL})

/* Checks that the destination refused a stream that is not as it expects, with a reason. */
static bool judge_refusal(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)source;
    g_autofree char *reason = godwit_vm_load_reason(destination);
    godwit_testbed_measure(destination->testbed, "refused", json_string(reason ? reason : ""));
    return reason || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                 "the destination refused the stream without a message");
}

/* Parameters of the command line, other than their defaults. */
#define CHANNELS     5
#define ROUNDS       7
#define MAX_THROTTLE 88
#define TEXT(number) G_STRINGIFY(number)
static const char *const set_parameters[] = {
    "-global", "migration.multifd-channels=" TEXT(CHANNELS),
    "-global", "migration.announce-rounds=" TEXT(ROUNDS),
    "-global", "migration.max-cpu-throttle=" TEXT(MAX_THROTTLE),
    "-global", "migration.x-multifd=on",
    NULL};

/* Checks that the parameters and the capability are in force on a side. */
static bool see_parameters(struct godwit_vm *vm, GError **error)
{
    static const struct {
        const char *name;
        int value;
    } expected[] = {{"multifd-channels", CHANNELS},
                    {"announce-rounds", ROUNDS},
                    {"max-cpu-throttle", MAX_THROTTLE}};
    g_autoptr(json_t) parameters = godwit_vm_execute(vm, "query-migrate-parameters", NULL, error);
    if (!parameters)
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        const json_int_t value = godwit_json_integer(parameters, expected[i].name, -1);
        if (value != expected[i].value)
            return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                               "the %s has %s %" JSON_INTEGER_FORMAT ", expected %d, which its "
                               "command line sets",
                               vm->name, expected[i].name, value, expected[i].value);
    }
    g_autoptr(json_t) capabilities =
        godwit_vm_execute(vm, "query-migrate-capabilities", NULL, error);
    size_t i;
    json_t *capability;
    json_array_foreach(capabilities, i,
                       capability) if (!strcmp(godwit_json_string(capability, "capability", ""),
                                               "multifd")) return godwit_json_true(capability,
                                                                                   "state") ||
        godwit_fail(error, GODWIT_ERROR_MIGRATION,
                    "the %s has multifd off, which its command line turns on", vm->name);
    return capabilities &&
           godwit_fail(error, GODWIT_ERROR_QMP, "the %s lists no multifd", vm->name);
}

static bool see_both(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return see_parameters(source, error) && see_parameters(destination, error);
}

/* Checks that the migration used the channels: the source has sent pages over them. */
static bool judge_channels(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    const json_t *ram = json_object_get(info, "ram");
    if (!info || !see_both(source, destination, error))
        return false;
    return godwit_json_integer(ram, "multifd-bytes", 0) > 0 ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source sent nothing over multifd, which its command line turns on");
}

static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
static const struct godwit_capability switchover_ack[] = {
    {"return-path", true}, {"switchover-ack", true}, {NULL, false}};

/* Both sides have the property: everything arrives. */
#define BOTH(NAME, SUMMARY, PROPERTY, SETTING, ...)                                                \
    {                                                                                              \
        .name = "global/" NAME, .summary = SUMMARY, .slow = true, .needs = "global:" PROPERTY,     \
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,                                               \
                 .source_arguments = GLOBAL(SETTING),                                              \
                 .destination_arguments = GLOBAL(SETTING),                                         \
                 __VA_ARGS__},                                                                     \
    }

/* Only one SIDE has it, and the destination refuses the stream. */
#define ONE(NAME, SUMMARY, PROPERTY, SETTING, SIDE)                                                \
    {                                                                                              \
        .name = "global/" NAME, .summary = SUMMARY, .slow = true, .needs = "global:" PROPERTY,     \
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,                                               \
                 .outcome = GODWIT_OUTCOME_FAILS,                                                  \
                 .SIDE = GLOBAL(SETTING),                                                          \
                 .judge = judge_refusal},                                                          \
    }

GODWIT_SCENARIOS(global) = {
    BOTH("send-configuration", "live, without the configuration at the start of the stream",
         "send-configuration", "send-configuration=off"),
    ONE("send-configuration/source", "the source sends no configuration: refused",
        "send-configuration", "send-configuration=off", source_arguments),
    ONE("send-configuration/destination", "the destination expects no configuration: refused",
        "send-configuration", "send-configuration=off", destination_arguments),
    BOTH("send-section-footer", "live, without footers of sections", "send-section-footer",
         "send-section-footer=off"),
    ONE("send-section-footer/source", "the source sends no footers of sections: refused",
        "send-section-footer", "send-section-footer=off", source_arguments),
    ONE("send-section-footer/destination", "the destination expects no footers: refused",
        "send-section-footer", "send-section-footer=off", destination_arguments),
    BOTH("store-global-state", "live, without the state of the whole machine", "store-global-state",
         "store-global-state=off"),
    BOTH("send-switchover-start", "live, and the source does not announce the switchover",
         "send-switchover-start", "send-switchover-start=off"),
    BOTH("clear-bitmap-shift/least", "live, and the dirty log is cleared 64 pages at a time",
         "x-clear-bitmap-shift", "x-clear-bitmap-shift=6", .move = GODWIT_MOVE_ITERATE),
    BOTH("clear-bitmap-shift/most", "live, and the dirty log is cleared for all of RAM at once",
         "x-clear-bitmap-shift", "x-clear-bitmap-shift=31", .move = GODWIT_MOVE_ITERATE),
    BOTH("multifd-flush", "multifd whose channels are flushed after each section",
         "multifd-flush-after-each-section", "multifd-flush-after-each-section=on",
         .move = GODWIT_MOVE_ITERATE, .capabilities = multifd),
    BOTH("switchover-ack-legacy", "live, with switchover-ack as before 11.1",
         "switchover-ack-legacy", "switchover-ack-legacy=on", .capabilities = switchover_ack),
    {
        .name = "global/parameters",
        .summary = "multifd and parameters of the command line are in force from the start",
        .slow = true,
        .needs = "global:multifd-channels global:x-multifd global:announce-rounds",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .source_arguments = set_parameters,
                 .destination_arguments = set_parameters,
                 .configure = see_both,
                 .judge = judge_channels},
    },
};
GODWIT_SCENARIOS_END(global);
