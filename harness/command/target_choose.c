/*
 * Makes a target's workload what the options choose.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "qemu/host.h"

static bool parse_window(const char *text, struct godwit_workload *workload, GError **error)
{
    char *end = NULL;
    workload->window_start = g_ascii_strtoull(text, &end, 0);
    if (end == text || *end != ':')
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--window needs START:END, for example 0x100000:0x6400000, not \"%s\"",
                           text);
    const char *second = end + 1;
    workload->window_end = g_ascii_strtoull(second, &end, 0);
    if (end == second || *end)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--window needs START:END, for example 0x100000:0x6400000, not \"%s\"",
                           text);
    return true;
}

bool godwit_target_choose(struct godwit_setup *setup, const struct godwit_options *options,
                          const char *name, GError **error)
{
    struct godwit_workload *workload = &setup->workload;
    *workload = godwit_image_workload(setup->machine, setup->image);
    if (!godwit_workload_choose(workload, name, error))
        return false;
    if (workload->flags & GODWIT_FLAG_STAMP)
        workload->seed = setup->seed;
    if (options->window && !parse_window(options->window, workload, error))
        return false;
    setup->window_given = options->window != NULL;
    setup->pause_iteration = MAX(options->pause_iteration, 0);
    setup->postcopy_iteration = MAX(options->postcopy_iteration, 0);
    if (options->page_size != GODWIT_NOT_GIVEN)
        workload->page_size = (uint32_t)options->page_size;
    if (options->page_ticks != GODWIT_NOT_GIVEN)
        workload->page_ticks = (uint32_t)options->page_ticks;
    if (options->cpus != GODWIT_NOT_GIVEN)
        workload->cpus = (uint32_t)options->cpus;
    if (setup->machine_cpus && workload->cpus > setup->machine_cpus)
        return godwit_fail(error, GODWIT_ERROR_USAGE,
                           "--cpus %u: the machine has fewer, %u by -smp", workload->cpus,
                           setup->machine_cpus);
    if (!options->window && workload->page_size)
        godwit_workload_share(workload);
    if (options->dirty_rate != GODWIT_NOT_GIVEN) {
        const uint64_t hz =
            setup->machine->timer_hz ? setup->machine->timer_hz : godwit_host_timer_hz();
        if (!hz)
            return godwit_fail(error, GODWIT_ERROR_USAGE,
                               "--dirty-rate: the frequency of this guest's timer is not known on "
                               "this host; use --page-ticks");
        workload->page_ticks = (uint32_t)MIN(hz / (uint64_t)options->dirty_rate, UINT32_MAX);
    }
    return setup->theirs ||
           godwit_workload_check(workload, setup->machine, setup->image, setup->memory_mib, error);
}
