/*
 * Snapshots that are loaded while the guest runs. QEMU stops the guest for as long as it loads, and
 * must let it run on from the snapshot.
 *
 * A guest that runs cannot be compared with the saved one. It proves by its own count of passes
 * that it went back: its timer limits how many it can make in the time since the load began, and
 * before that it has got further ahead than that.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/snapshot.h"
#include "oracle/continuity.h"
#include "scenario/scenario.h"

#include "godwit/guest_abi.h"
#include <inttypes.h>

/* The least time of a pass, in milliseconds. */
#define LAP_MS 50
/* How many passes more than it could make at once the guest gets ahead: the check has an effect if
 * load and stop take less than that time. */
#define AHEAD 20

struct godwit_scenario_state {
    struct godwit_moment moment;
    struct godwit_disk disk[GODWIT_SNAPSHOT_DISKS]; /* what the disks have now */
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_moment_clear(&state->moment);
}

/* A row's course. */
struct plan {
    enum godwit_snapshot_way way;
    bool running; /* the guest runs when it is saved, too */
};

static const struct godwit_snapshot_disks disks = {{"disk"}, 0};

/* Returns how many passes a guest can make at once that has fallen behind its timer, and the parts
 * of a pass at both ends. */
static uint64_t backlog(const struct godwit_workload *workload)
{
    return GODWIT_STAMP_BACKLOG * workload->cpus / MAX(godwit_workload_pages(workload), 1) + 2;
}

/* Fails with ORACLE unless each CPU has made no more passes than it could since it was saved, the
 * load having begun BEGAN (monotonic microseconds). */
static bool judge_back(struct godwit_vm *vm, const struct godwit_moment *moment, gint64 began,
                       const struct godwit_reading *reading, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t ms = (uint64_t)(g_get_monotonic_time() - began) / 1000;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++) {
        const uint64_t saved = moment->running ? moment->after.mailbox[cpu].passes
                                               : moment->reading.mailbox[cpu].passes;
        /* The timer's ticks for a page are rounded: a tenth more is room for that. */
        const uint64_t most = saved + ms * 11 / 10 / LAP_MS + backlog(workload);
        const uint64_t passes = reading->mailbox[cpu].passes;
        if (passes > most)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: CPU %u has made %" PRIu64 " passes, although it could not make "
                               "more than %" PRIu64 " since %s was loaded, which has %" PRIu64,
                               vm->name, cpu, passes, most, moment->tag, saved);
    }
    return true;
}

/* Lets the guest get so far ahead of the snapshot that it shows if it goes back. */
static bool get_ahead(struct godwit_vm *vm, GError **error)
{
    const uint64_t ahead = backlog(&vm->testbed->setup->workload) + AHEAD;
    return godwit_vm_wait_console(vm, 0, vm->console->passes + (unsigned)ahead, error);
}

/* Saves the snapshot, and lets the guest run on while the disk gets other contents. */
static bool save(struct godwit_vm *vm, const struct plan *plan, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    if (!godwit_moment_begin(vm, "one", plan->running, 1, &disks, state->disk, &state->moment,
                             error))
        return false;
    godwit_testbed_phase(vm->testbed, GODWIT_PHASE_MIGRATE);
    const guint first = vm->qmp->events->len;
    return godwit_snapshot_must(vm, plan->way, GODWIT_SNAPSHOT_SAVE, "one", &disks, error) &&
           godwit_moment_end(vm, &state->moment, first, error) &&
           (plan->running || godwit_vm_run(vm, error)) &&
           godwit_disk_write(vm, disks.name[0], 101, state->disk, error) && get_ahead(vm, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct plan *plan = scenario->data;
    struct godwit_moment *moment = &testbed->state->moment;
    struct godwit_reading reading = {0};
    if (!testbed->setup->workload.page_ticks)
        return godwit_fail(error, GODWIT_ERROR_SKIP,
                           "needs a guest whose timer has a known frequency");
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm || !godwit_snapshot_prepare(vm, error) ||
        !godwit_disk_create(vm, disks.name[0], error) || !save(vm, plan, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_RESTART);
    const guint first = vm->qmp->events->len;
    const gint64 began = g_get_monotonic_time();
    if (!godwit_snapshot_must(vm, plan->way, GODWIT_SNAPSHOT_LOAD, "one", &disks, error) ||
        !godwit_vm_wait_event(vm, first, "STOP", NULL, error) ||
        !godwit_vm_wait_event(vm, first, "RESUME", NULL, error) ||
        !godwit_course_expect_status(vm, "running",
                                     "after a snapshot was loaded into a running "
                                     "guest",
                                     error) ||
        !godwit_course_see_it_run(vm, error) || !godwit_course_stop(vm, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    return godwit_oracle_look(vm, &reading, error) &&
           judge_back(vm, moment, began, &reading, error) &&
           godwit_oracle_continuity(vm, moment->reading.mailbox, reading.mailbox, true, error) &&
           godwit_disk_judge(vm, disks.name[0], &moment->disk[0], error) &&
           godwit_course_end(vm, NULL, error);
}

/* The human monitor saves all disks that can be written to. */
static struct godwit_lack *lacks_rom(const struct godwit_setup *setup)
{
    return setup->image->load == GODWIT_LOAD_DISK
               ? godwit_lack_new(g_strdup("a guest that is not on a disk"),
                                 g_strdup("savevm and loadvm would include it"))
               : NULL;
}

#define COMMON                                                                                     \
    .run = run, .slow = true, .lap_ms = LAP_MS, .cold = true,                                      \
    .state = sizeof(struct godwit_scenario_state), .clear = clear

GODWIT_SCENARIOS(snapshot_running) = {
    {
        COMMON,
        .name = "snapshot/monitor/into-running",
        .summary = "savevm of a stopped guest; loadvm while it runs, and it runs on from there",
        .lacks = lacks_rom,
        .data = &(const struct plan){GODWIT_SNAPSHOT_MONITOR, false},
    },
    {
        COMMON,
        .name = "snapshot/job/into-running",
        .summary = "snapshot-save of a running guest; snapshot-load while it runs",
        .needs = "command:snapshot-save command:snapshot-load",
        .data = &(const struct plan){GODWIT_SNAPSHOT_JOB, true},
    },
};
GODWIT_SCENARIOS_END(snapshot_running);
