/*
 * Postcopy: the guest runs on the destination while some of its memory is still on the source.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "guest/image.h"
#include "memory/memory.h"
#include "qemu/host.h"
#include <inttypes.h>
#include <string.h>

/* How many missing pages are read, spread over the window. Each may have to wait for the end of a
 * period of the source's rate limiter, 0.1 s. */
#define READS 8
/* The size of one request, on every supported host, in bytes. */
#define READ_SIZE 4096

struct godwit_scenario_state {
    char *wrong; /* address of the first page that read_first() found to differ; NULL: none */
};

static void clear_state(struct godwit_scenario_state *state)
{
    g_free(state->wrong);
}

/* Makes the destination measure how long its guest waits for memory, if it can. */
static bool ask_for_blocktime(struct godwit_vm *source, struct godwit_vm *destination,
                              GError **error)
{
    static const struct godwit_capability blocktime[] = {{"postcopy-blocktime", true},
                                                         {NULL, false}};
    (void)source;
    return !godwit_qemu_has(destination->qemu, "capability", blocktime->name) ||
           godwit_migrate_set_capabilities(destination, blocktime, error);
}

/* Checks that it has done so, in total and for each CPU. It can do so only if the kernel reports
 * which thread waits. */
static bool judge_blocktime(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!godwit_qemu_has(destination->qemu, "capability", "postcopy-blocktime") ||
        !godwit_host_userfaultfd_threads())
        return true;
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info)
        return false;
    json_t *all = json_object_get(info, "postcopy-blocktime");
    json_t *each = json_object_get(info, "postcopy-vcpu-blocktime");
    if (json_is_integer(all) && json_array_size(each) > 0) {
        godwit_testbed_measure(source->testbed, "blocktime",
                               json_pack("{s:O, s:O}", "all", all, "each", each));
        return true;
    }
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION,
                "the %s has the capability postcopy-blocktime on, and a kernel that supports it, "
                "but its query-migrate has no %s",
                destination->name,
                json_is_integer(all) ? "postcopy-vcpu-blocktime" : "postcopy-blocktime");
    return false;
}

static const struct godwit_capability preempt[] = {{"postcopy-preempt", true}, {NULL, false}};

/* With machine types before 7.2 the source closes the preempt channel at the end, and the
 * destination waits for that. QEMU 7.2 has this protocol only with these. */
static const char *const first_protocol[] = {"-global", "migration.x-preempt-pre-7-2=on", NULL};

static const struct godwit_capability release[] = {{"release-ram", true}, {NULL, false}};
static const struct godwit_capability preempt_release[] = {
    {"postcopy-preempt", true}, {"release-ram", true}, {NULL, false}};

/*
 * Makes the paused destination's QEMU read some missing pages. Nothing else requests pages, since
 * the guest does not run, and the source is throttled meanwhile. Each page must equal the page of
 * the source, whose guest is stopped.
 */
static bool read_first(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    unsigned char here[READ_SIZE], there[READ_SIZE];
    const uint64_t reads = MIN(READS, godwit_workload_pages(workload));
    struct godwit_scenario_state *state = source->testbed->state;
    if (!godwit_migrate_wait(source, "postcopy-active", error) ||
        !godwit_migrate_wait(destination, "postcopy-active", error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_READ);
    for (uint64_t i = 0; i < reads; i++) {
        const uint64_t page = godwit_workload_pages(workload) * i / reads;
        const uint64_t at =
            (workload->window_start + page * workload->page_size) / READ_SIZE * READ_SIZE;
        if (!godwit_memory_fetch(destination, at, there, sizeof(there), error) ||
            !godwit_memory_read(source, at, here, sizeof(here), error))
            return false;
        if (!state->wrong && memcmp(here, there, sizeof(here)) != 0)
            state->wrong = g_strdup_printf("0x%" PRIx64, at);
    }
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const json_int_t requests =
        godwit_json_integer(json_object_get(info, "ram"), "postcopy-requests", 0);
    godwit_testbed_measure(source->testbed, "first_reads",
                           json_pack("{s:i, s:I, s:s*}", "pages", (int)reads, "requests", requests,
                                     "wrong", state->wrong));
    if (requests == 0)
        return godwit_fail(
            error, GODWIT_ERROR_MIGRATION,
            "%u pages were read on the destination, but it requested none of them from "
            "the source, which was throttled",
            (unsigned)reads);
    return godwit_course_unthrottle_postcopy(source, error);
}

/* Checks that each of those pages was the source's. If a known bug has lost pages of the window,
 * that is already reported. */
static bool judge_reads(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const char *wrong = source->testbed->state->wrong;
    (void)destination;
    return !wrong || source->testbed->lost ||
           godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "destination: the page at %s differed from the source's when it was first "
                       "read, although it is equal now",
                       wrong);
}

/* Checks that the source has given up the memory that it has sent: at least three of four pages of
 * the window are not present any more. It keeps host pages of which it has not sent all. */
static bool judge_given_up(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    const uint64_t pages = godwit_workload_pages(workload);
    uint64_t hva, present = 0;
    unsigned char byte;
    (void)destination;
    if (!godwit_memory_hva(source, workload->window_start,
                           workload->window_end - workload->window_start, &hva, error))
        return false;
    if (!hva)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs to read QEMU's page table");
    for (uint64_t page = 0; page < pages; page++)
        present += godwit_memory_peek(source, hva + page * workload->page_size, &byte, 1);
    godwit_testbed_measure(source->testbed, "pages_kept", json_integer((json_int_t)present));
    return present <= pages / 4 || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                               "the source still has %" PRIu64 " of the %" PRIu64
                                               " pages of the window, although release-ram is on",
                                               present, pages);
}

GODWIT_SCENARIOS(postcopy) = {
    {
        .name = "postcopy/plain",
        .anywhere = true,
        .quick = true,
        .summary = "live, switched to postcopy once memory is dirty again",
        .qemu_name = "/migration/postcopy/plain",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .configure = ask_for_blocktime,
                 .judge = judge_blocktime},
    },
    {
        .name = "postcopy/held",
        .anywhere = true,
        .summary = "postcopy to a paused destination: all of RAM is compared",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                 .parameters = godwit_postcopy_throttled,
                 .released = read_first,
                 .judge = judge_reads},
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear_state,
    },
    {
        .name = "postcopy/release-ram",
        .summary = "postcopy with release-ram: the source gives up the memory that it has sent",
        .slow = true,
        .spec = {.move = GODWIT_MOVE_POSTCOPY, .capabilities = release, .judge = judge_given_up},
    },
    {
        .name = "postcopy/preempt/release-ram",
        .summary = "postcopy-preempt with release-ram",
        .spec = {.move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt_release,
                 .judge = judge_given_up},
        .slow = true,
    },
    {
        .name = "postcopy/preempt/held",
        .anywhere = true,
        .summary = "postcopy-preempt to a paused destination: all of RAM is compared",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY_PAUSED,
                 .capabilities = preempt,
                 .parameters = godwit_postcopy_throttled,
                 .released = read_first,
                 .judge = judge_reads},
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear_state,
    },
    {
        .name = "postcopy/preempt/first-protocol",
        .summary = "postcopy-preempt as with machine types before 7.2: the source ends the channel",
        .slow = true,
        .needs = "global:x-preempt-pre-7-2",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .capabilities = preempt,
                 .source_arguments = first_protocol,
                 .destination_arguments = first_protocol},
    },
};
GODWIT_SCENARIOS_END(postcopy);
