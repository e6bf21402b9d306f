/*
 * Precopy: the guest runs on the source until all of its memory has been sent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"
#include "oracle/oracle.h"
#include "scenario/scenario.h"

#include <string.h>

struct godwit_scenario_state {
    uint64_t passes, position; /* of the guest, when it was stopped in pre-switchover */
};

/* Migrates to an address where nothing listens, and checks that the guest runs on. */
static bool fail_to(struct godwit_vm *source, const char *uri, GError **error)
{
    const guint64 passes = source->console->passes;
    g_autoptr(GError) refusal = NULL;
    if (godwit_migrate_start(source, uri, false, &refusal)) {
        if (!godwit_migrate_wait(source, "failed", error))
            return false;
    } else if (refusal->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&refusal));
        return false;
    }
    g_autofree char *status = godwit_vm_status(source, error);
    if (!status)
        return false;
    if (strcmp(status, "running") != 0) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                    "the source is \"%s\" instead of running after the migration to %s failed",
                    status, uri);
        return false;
    }
    return godwit_vm_wait_console(source, 1, passes + 1, error);
}

/* Migrates to dead addresses first, then migrates the same source to a good one. */
static bool bad_dest(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                     GError **error)
{
    static const char *const dead[] = {"unix:nobody.sock", "tcp:127.0.0.1:1"};
    static const struct godwit_capability none[] = {{NULL, false}};
    struct godwit_vm *destination = godwit_course_ahead(testbed, "destination", true, error);
    struct godwit_vm *source = destination ? godwit_course_source(testbed, error) : NULL;
    if (!source || !godwit_migrate_set_capabilities(source, none, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_FAIL);
    for (size_t i = 0; i < G_N_ELEMENTS(dead); i++)
        if (!fail_to(source, dead[i], error))
            return false;
    return godwit_vm_handshake(destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

/* Sets a cache size of at most half of the window, so that each iteration has pages that are in the
 * cache and pages that are not. An iteration of differences alone would end before it could be
 * throttled. The size must be a power of two. */
static bool size_cache(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    json_int_t size = workload->page_size;
    while ((uint64_t)size * 4 <= workload->window_end - workload->window_start)
        size *= 2;
    const struct godwit_parameter cache[] = {{"xbzrle-cache-size", size, NULL}, {NULL, 0, NULL}};
    return godwit_migrate_set_parameters(source, cache, error) &&
           godwit_migrate_set_parameters(destination, cache, error);
}

/* Waits until the throttled migration sends pages as their difference from what it sent before.
 * That takes an iteration that fills the cache and another that finds the pages there. */
static bool see_cache_hit(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    json_int_t pages = 0;
    for (guint iteration = 1; pages == 0;) {
        if (!godwit_migrate_next_iteration(source, &iteration, error))
            return false;
        g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
        if (!info)
            return false;
        pages = godwit_json_integer(json_object_get(info, "xbzrle-cache"), "pages", 0);
    }
    return true;
}

/* Checks that differences are smaller than pages. The guest changes one byte of a page, so that its
 * difference must be far smaller, or it stamps one word in sixteen. */
static bool judge_cache(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    json_t *cache = json_object_get(info, "xbzrle-cache");
    const json_int_t pages = godwit_json_integer(cache, "pages", 0);
    const json_int_t bytes = godwit_json_integer(cache, "bytes", 0);
    const json_int_t page_size = godwit_json_integer(json_object_get(info, "ram"), "page-size", 0);
    godwit_testbed_measure(source->testbed, "xbzrle-cache", json_incref(cache));
    const bool stamped = source->testbed->setup->workload.flags & GODWIT_FLAG_STAMP;
    if (pages > 0 && bytes > 0 && bytes < pages * page_size / (stamped ? 1 : 8))
        return true;
    return godwit_fail(
        error, GODWIT_ERROR_MIGRATION,
        "the source sent %" JSON_INTEGER_FORMAT " pages with xbzrle in %" JSON_INTEGER_FORMAT
        " bytes, although the guest changes only a part of each page's %" JSON_INTEGER_FORMAT
        " bytes",
        pages, bytes, page_size);
}

/* Checks the guest's memory between its stop and the switchover, then continues the migration. */
static bool pause_and_continue(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error)
{
    struct godwit_reading reading;
    (void)destination;
    if (!godwit_migrate_wait(source, "pre-switchover", error))
        return false;
    g_autofree char *status = godwit_vm_status(source, error);
    if (!status)
        return false;
    if (!strcmp(status, "running"))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source's guest is running in state pre-switchover");
    if (!godwit_oracle_look(source, &reading, error))
        return false;
    source->testbed->state->passes = reading.mailbox->passes;
    source->testbed->state->position = reading.mailbox->position;
    godwit_testbed_measure(source->testbed, "pre-switchover",
                           json_pack("{s:I, s:I, s:I}", "passes",
                                     (json_int_t)reading.mailbox->passes, "position",
                                     (json_int_t)reading.mailbox->position, "timer",
                                     (json_int_t)reading.mailbox->timer));
    return godwit_migrate_continue(source, error);
}

/* Checks that the guest has not run between that check and the end of the migration. */
static bool judge_pause(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_mailbox mailbox;
    (void)destination;
    if (!godwit_memory_mailbox(source, 0, &mailbox, error))
        return false;
    const struct godwit_scenario_state *then = source->testbed->state;
    if (mailbox.passes == then->passes && mailbox.position == then->position)
        return true;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's guest ran on after pre-switchover: from pass %" PRIu64
                       ", position 0x%" PRIx64 " to pass %" PRIu64 ", position 0x%" PRIx64,
                       then->passes, then->position, mailbox.passes, mailbox.position);
}

static const struct godwit_capability xbzrle[] = {{"xbzrle", true}, {NULL, false}};
static const struct godwit_capability switchover_ack[] = {
    {"return-path", true}, {"switchover-ack", true}, {NULL, false}};
static const struct godwit_capability pause_before_switchover[] = {
    {"pause-before-switchover", true}, {NULL, false}};
static const struct godwit_capability release_ram[] = {{"release-ram", true}, {NULL, false}};

GODWIT_SCENARIOS(precopy) = {
    {
        .name = "precopy/unix/plain",
        .quick = true,
        .summary = "live, over a unix socket",
        .qemu_name = "/migration/precopy/unix/plain",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_ITERATE},
    },
    {
        .name = "precopy/tcp/plain",
        .summary = "live, over TCP, to a port that the destination chooses",
        .qemu_name = "/migration/precopy/tcp/plain",
        .spec = {.transport = GODWIT_TRANSPORT_TCP, .move = GODWIT_MOVE_ITERATE},
    },
    {
        .name = "precopy/unix/xbzrle",
        .content = GODWIT_FLAG_SPARSE,
        .summary = "xbzrle: pages sent before are sent again as differences",
        .qemu_name = "/migration/precopy/unix/xbzrle",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_ITERATE,
                 .capabilities = xbzrle,
                 .configure = size_cache,
                 .live = see_cache_hit,
                 .judge = judge_cache},
    },
    {
        .name = "precopy/tcp/switchover-ack",
        .summary = "the source switches over after the destination's acknowledgement",
        .qemu_name = "/migration/precopy/tcp/plain/switchover-ack",
        .spec = {.transport = GODWIT_TRANSPORT_TCP, .capabilities = switchover_ack},
    },
    {
        .name = "precopy/pause-before-switchover",
        .summary = "paused in pre-switchover, then continued by migrate-continue",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = pause_before_switchover,
                 .released = pause_and_continue,
                 .judge = judge_pause},
        .state = sizeof(struct godwit_scenario_state),
    },
    {
        .name = "precopy/release-ram",
        .summary = "release-ram without postcopy: the source keeps all memory until the end",
        .spec = {.capabilities = release_ram, .move = GODWIT_MOVE_ITERATE},
    },
    {
        .name = "precopy/unix/suspend/live",
        .summary = "the guest is suspended (ACPI S3) during migration and wakes up afterwards",
        .qemu_name = "/migration/precopy/unix/suspend/live",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .suspend = true},
        .flags = GODWIT_FLAG_SUSPEND,
    },
    {
        .name = "precopy/unix/suspend/notlive",
        .summary = "the guest is suspended, the source is stopped, then migrated and woken up",
        .qemu_name = "/migration/precopy/unix/suspend/notlive",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .suspend = true, .move = GODWIT_MOVE_STOPPED},
        .flags = GODWIT_FLAG_SUSPEND,
    },
    {
        .name = "precopy/bad-dest",
        .summary = "addresses where nobody listens: the source keeps running and can migrate later",
        .qemu_name = "/migration/bad_dest",
        .run = bad_dest,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
    },
};
GODWIT_SCENARIOS_END(precopy);
