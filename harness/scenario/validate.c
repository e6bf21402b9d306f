/*
 * Checks that QEMU makes before a migration begins: of the UUIDs of the VMs, and of the addresses.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include <string.h>

#define ONE     "2c19c3a0-7f6e-4b4c-9d5a-0c6f1e7a5b11"
#define ANOTHER "9be1a3d4-50b2-4a67-8a9e-3d2f60c4e822"
#define NO_UUID "00000000-0000-0000-0000-000000000000"

static const struct godwit_capability validate_uuid[] = {{"validate-uuid", true}, {NULL, false}};
static const char *const one[] = {"-uuid", ONE, NULL};
static const char *const another[] = {"-uuid", ANOTHER, NULL};

static bool judge_uuid(struct godwit_vm *vm, const char *wanted, GError **error)
{
    g_autoptr(json_t) answer = godwit_vm_execute(vm, "query-uuid", NULL, error);
    if (!answer)
        return false;
    const char *uuid = godwit_json_string(answer, "UUID", "none");
    return !strcmp(uuid, wanted) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION, "the %s's UUID is %s instead of %s", vm->name,
                       uuid, wanted);
}

/* Checks that both VMs have the UUIDs of this scenario, or it would prove nothing. */
static bool judge_match(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return judge_uuid(source, ONE, error) && judge_uuid(destination, ONE, error);
}

static bool judge_no_source(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return judge_uuid(source, NO_UUID, error) && judge_uuid(destination, ONE, error);
}

static bool judge_no_destination(struct godwit_vm *source, struct godwit_vm *destination,
                                 GError **error)
{
    return judge_uuid(source, ONE, error) && judge_uuid(destination, NO_UUID, error);
}

/* Checks that the destination ended because of the UUIDs: it must have named both. */
static bool judge_mismatch(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autofree char *said = godwit_vm_stderr(destination, G_MAXUINT);
    (void)source;
    return (strstr(said, ONE) && strstr(said, ANOTHER)) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s ended without naming its own UUID and the source's: \"%s\"",
                       destination->name, g_strchomp(said));
}

/* Checks that both commands refuse the arguments WRONG, then migrates with valid ones. */
static bool refuse_both(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        json_t *wrong, GError **error)
{
    struct godwit_vm *source, *destination;
    const struct godwit_capability *capabilities = scenario->spec.capabilities;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(source, capabilities, error) ||
        !godwit_migrate_set_capabilities(destination, capabilities, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_REFUSE);
    return godwit_course_refuse(destination, "migrate-incoming", json_incref(wrong), "inmigrate",
                                error) &&
           godwit_course_refuse(source, "migrate", json_incref(wrong), "running", error) &&
           godwit_course_see_it_run(source, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

static bool both_set(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    static const char uri[] = "unix:refused.sock";
    g_autoptr(json_t) wrong =
        json_pack("{s:s, s:o}", "uri", uri, "channels", godwit_migrate_channels(uri));
    return refuse_both(testbed, scenario, wrong, error);
}

static bool none_set(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    g_autoptr(json_t) wrong = json_object();
    return refuse_both(testbed, scenario, wrong, error);
}

GODWIT_SCENARIOS(validate) = {
    {
        .name = "validate/uuid/match",
        .summary = "validate-uuid with the same UUID on both sides: accepted",
        .qemu_name = "/migration/validate_uuid",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = validate_uuid,
                 .source_arguments = one,
                 .destination_arguments = one,
                 .judge = judge_match},
    },
    {
        .name = "validate/uuid/mismatch",
        .summary = "validate-uuid with different UUIDs: refused, the source keeps running",
        .qemu_name = "/migration/validate_uuid_error",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .outcome = GODWIT_OUTCOME_FAILS,
                 .capabilities = validate_uuid,
                 .source_arguments = one,
                 .destination_arguments = another,
                 .judge = judge_mismatch},
    },
    {
        .name = "validate/uuid/src-not-set",
        .summary = "validate-uuid without a UUID on the source: accepted",
        .slow = true,
        .qemu_name = "/migration/validate_uuid_src_not_set",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = validate_uuid,
                 .destination_arguments = one,
                 .judge = judge_no_source},
    },
    {
        .name = "validate/uuid/dst-not-set",
        .summary = "validate-uuid without a UUID on the destination: accepted",
        .qemu_name = "/migration/validate_uuid_dst_not_set",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = validate_uuid,
                 .source_arguments = one,
                 .judge = judge_no_destination},
    },
    {
        .name = "validate/uri-channels/both-set",
        .summary = "both `uri` and `channels`: refused, no migration starts",
        .qemu_name = "/migration/validate_uri/channels/both_set",
        .run = both_set,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
        .needs = "argument:channels",
    },
    {
        .name = "validate/uri-channels/none-set",
        .summary = "neither `uri` nor `channels`: refused, no migration starts",
        .qemu_name = "/migration/validate_uri/channels/none_set",
        .run = none_set,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
    },
};
GODWIT_SCENARIOS_END(validate);
