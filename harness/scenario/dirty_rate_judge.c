/*
 * The dirty rate that QEMU measures (calc-dirty-rate), judged by the guest's own account of the
 * pages that it has written meanwhile.
 *
 * The guest's speed is commanded, and its mailbox counts its pages. But a busy host slows it down,
 * and QEMU measures later, or for longer, than it was asked to. So each calculation is judged
 * against two bounds that hold whatever the host does:
 *
 *   - What was written from before the command until after the result was seen is all that QEMU can
 *     have found, in the time that it was asked to measure for, or longer.
 *   - QEMU looks at memory, sleeps, and looks again. It was told to at A, and looks again no sooner
 *     than the time T later. So what was written after a moment at which its thread slept, and
 *     before A + T, it must have found, in the time until its result was seen, or less. On a busy
 *     host the first look may take half of T.
 *
 * Page sampling takes pages of all RAM at random. The number of dirty ones among them is binomial,
 * and may be off by DEVIATIONS of its standard deviation. The other modes count all pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/dirty_rate.h"

#include "bugs/bugs.h"
#include "course/threads.h"
#include "memory/memory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* One false alarm in some millions. */
#define DEVIATIONS 5.0
/* QEMU samples so many pages of a GiB unless it is told otherwise. */
#define SAMPLES_DEFAULT 512u

/* QEMU leaves out smaller RAM blocks when it samples. */
#define LEAST_BLOCK ((uint64_t)128 << 10)
/* Pages beside the window that the guest or QEMU writes: the mailbox, the image, a stack. */
#define BESIDE 32u
/* How often to repeat a calculation that took so long that its lower bound says little. */
#define TURNS_MOST 5

/* The guest's account at some instant between two. */
struct sample {
    gint64 before, after; /* monotonic, in microseconds */
    uint64_t pages[GODWIT_MAX_CPUS];
};

/* What was seen of a calculation. */
struct seen {
    gint64 began, ended; /* before the command, and after the result */
    gint64 slept;        /* QEMU's thread was seen asleep then, for the first time; 0: never */
    struct godwit_threads *before; /* those of QEMU before the command; owned */
    GArray *samples;               /* of struct sample, the first one before the command; owned */
    json_int_t rate;               /* the result, in MiB a second */
};

static void seen_clear(struct seen *seen)
{
    g_clear_pointer(&seen->samples, g_array_unref);
    g_clear_pointer(&seen->before, godwit_threads_free);
}

/* Begins anew, for the process whose FOLDER is "/proc/PID". */
static void seen_begin(struct seen *seen, const char *folder)
{
    seen_clear(seen);
    *seen = (struct seen){.samples = g_array_new(FALSE, TRUE, sizeof(struct sample)),
                          .before = godwit_threads_new(folder)};
}

/* The RAM, as QEMU sees it. */
struct ram {
    uint64_t bytes, mib; /* QEMU rounds each block down to MiB */
    uint64_t samples;    /* 0: it does not sample, but counts */
};

/*
 * Reads how many pages a CPU has written. After a pass the guest first counts it and then stores
 * where the next one begins, and it may do so while the harness reads. So an account counts if its
 * place is no end, and a second reading finds it in the same pass.
 */
static bool read_account(struct godwit_vm *vm, unsigned cpu, uint64_t *pages, GError **error)
{
    const struct godwit_workload stripe =
        godwit_workload_stripe(&vm->testbed->setup->workload, cpu);
    struct godwit_mailbox mailbox, again;
    for (;;) {
        if (!godwit_memory_mailbox(vm, cpu, &mailbox, error) ||
            !godwit_memory_mailbox(vm, cpu, &again, error) ||
            !godwit_testbed_healthy(vm->testbed, error))
            return false;
        if (mailbox.position < stripe.window_end && mailbox.passes == again.passes)
            break;
        if (!godwit_testbed_rest(vm->testbed, 1, "the guest to begin its next pass", error))
            return false;
    }
    *pages = mailbox.passes * godwit_workload_pages(&stripe) +
             (mailbox.position - stripe.window_start) / stripe.page_size;
    return true;
}

static bool take_sample(struct godwit_vm *vm, GArray *samples, GError **error)
{
    struct sample sample = {.before = g_get_monotonic_time()};
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus; cpu++)
        if (!read_account(vm, cpu, &sample.pages[cpu], error))
            return false;
    sample.after = g_get_monotonic_time();
    g_array_append_val(samples, sample);
    return true;
}

/* Returns how many pages of the window were written between two samples, each counted once. */
static uint64_t written(const struct godwit_workload *workload, const struct sample *early,
                        const struct sample *late)
{
    const uint64_t most = godwit_workload_pages(workload) / workload->cpus;
    uint64_t sum = 0;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        sum += MIN(late->pages[cpu] - early->pages[cpu], most);
    return sum;
}

/* Returns how many pages QEMU must have found dirty: see the top of this file. */
static uint64_t least_written(const struct godwit_workload *workload, const struct seen *seen,
                              unsigned ms)
{
    const struct sample *early = NULL, *late = NULL;
    for (guint i = 0; i < seen->samples->len; i++) {
        const struct sample *sample = &g_array_index(seen->samples, struct sample, i);
        if (!early && seen->slept && sample->before >= seen->slept)
            early = sample;
        if (sample->after <= seen->began + (gint64)ms * 1000)
            late = sample;
    }
    return early && late && late > early ? written(workload, early, late) : 0;
}

static bool command(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                    GError **error)
{
    const json_int_t time = calculation->fine ? calculation->ms : calculation->ms / 1000;
    if (calculation->monitor) {
        g_autofree char *line =
            g_strdup_printf("calc_dirty_rate %" JSON_INTEGER_FORMAT " %u", time,
                            calculation->samples ? calculation->samples : SAMPLES_DEFAULT);
        g_autofree char *answer = godwit_vm_monitor(vm, line, error);
        return answer && (g_str_has_prefix(answer, "Starting dirty rate measurement") ||
                          godwit_fail(error, GODWIT_ERROR_QMP, "the %s answered \"%s\" with: %s",
                                      vm->name, line, answer));
    }
    json_t *arguments = json_pack("{s:I}", "calc-time", time);
    if (calculation->fine)
        json_object_set_new(arguments, "calc-time-unit", json_string("millisecond"));
    if (calculation->mode)
        json_object_set_new(arguments, "mode", json_string(calculation->mode));
    if (calculation->samples)
        json_object_set_new(arguments, "sample-pages", json_integer(calculation->samples));
    return godwit_vm_command(vm, "calc-dirty-rate", arguments, error);
}

bool godwit_dirty_rate_begin(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                             GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (command(vm, calculation, &cause))
        return true;
    if (vm->exited && calculation->mode)
        godwit_bug_excuse(&(const struct godwit_symptom){.kind = GODWIT_SYMPTOM_DIRTY_RATE_DIED,
                                                         .vm = vm,
                                                         .text = calculation->mode},
                          &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_dirty_rate_ask(struct godwit_vm *vm, json_int_t *rate, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-dirty-rate", NULL, error);
    if (!info)
        return false;
    const bool measured = !strcmp(godwit_json_string(info, "status", ""), "measured");
    *rate = godwit_json_integer(info, "dirty-rate", -1);
    return measured == (*rate >= 0) ||
           godwit_fail(error, GODWIT_ERROR_QMP,
                       "the %s's dirty rate is %" JSON_INTEGER_FORMAT
                       " in state \"%s\": expected a rate when, and only when, it is measured",
                       vm->name, *rate, godwit_json_string(info, "status", ""));
}

/* Looks whether QEMU's thread has had its first look at memory, and takes a sample. */
static bool look(struct godwit_vm *vm, struct seen *seen, GError **error)
{
    bool sleeps = false;
    if (!seen->slept && !godwit_threads_sleeper(seen->before, &sleeps, error))
        return false;
    if (sleeps)
        seen->slept = g_get_monotonic_time();
    return take_sample(vm, seen->samples, error);
}

/* Waits for the result, for which there is no event. Takes samples meanwhile unless SEEN is
 * NULL. */
static bool wait_for(struct godwit_vm *vm, json_int_t *rate, struct seen *seen, GError **error)
{
    for (;;) {
        if (!godwit_dirty_rate_ask(vm, rate, error))
            return false;
        if (*rate >= 0)
            return true;
        if ((seen && !look(vm, seen, error)) ||
            !godwit_testbed_rest(vm->testbed, GODWIT_REST_MS, "the dirty rate", error))
            return false;
    }
}

/* Fails unless QEMU reports the calculation that it was asked for, and a time that it may have
 * taken. */
static bool expect_asked(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                         const struct seen *seen, GError **error)
{
    const json_int_t unit = calculation->fine ? 1 : 1000, asked = calculation->ms;
    const char *mode = calculation->mode ? calculation->mode : "page-sampling";
    g_autoptr(json_t) info = godwit_vm_execute(
        vm, "query-dirty-rate",
        calculation->fine ? json_pack("{s:s}", "calc-time-unit", "millisecond") : NULL, error);
    if (!info)
        return false;
    const json_int_t time = godwit_json_integer(info, "calc-time", -1) * unit;
    if (time >= asked && time <= (seen->ended - seen->began) / 1000 + 1 &&
        !strcmp(godwit_json_string(info, "mode", ""), mode) &&
        (!calculation->samples ||
         godwit_json_integer(info, "sample-pages", -1) == (json_int_t)calculation->samples))
        return true;
    g_autofree char *text = godwit_json_dump(info, JSON_COMPACT);
    return godwit_fail(error, GODWIT_ERROR_QMP,
                       "the %s was asked for its dirty rate by %s for %u ms with %u samples (0: "
                       "the default), had an answer after %" PRId64 " ms, and reports %s",
                       vm->name, mode, calculation->ms, calculation->samples,
                       (seen->ended - seen->began) / 1000, text);
}

static bool calculate(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                      struct seen *seen, GError **error)
{
    const bool runs = !calculation->stopped;
    g_autofree char *folder = g_strdup_printf("/proc/%d", (int)godwit_vm_pid(vm));
    seen_begin(seen, folder);
    if (runs && !take_sample(vm, seen->samples, error))
        return false;
    seen->began = g_get_monotonic_time();
    if (!godwit_dirty_rate_begin(vm, calculation, error) ||
        !wait_for(vm, &seen->rate, runs ? seen : NULL, error))
        return false;
    seen->ended = g_get_monotonic_time();
    return (!runs || take_sample(vm, seen->samples, error)) &&
           expect_asked(vm, calculation, seen, error);
}

static bool is_sampling(const struct godwit_calculation *calculation)
{
    return !calculation->mode || !strcmp(calculation->mode, "page-sampling");
}

/* Adds up the RAM blocks. */
static bool measure_ram(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                        struct ram *ram, GError **error)
{
    const unsigned samples = calculation->samples ? calculation->samples : SAMPLES_DEFAULT;
    *ram = (struct ram){0};
    if (!godwit_memory_map(vm, error))
        return false;
    for (guint i = 0; i < vm->blocks->len; i++) {
        const uint64_t length = g_array_index(vm->blocks, struct godwit_block, i).length;
        if (length < LEAST_BLOCK)
            continue;
        ram->bytes += length;
        ram->mib += length / MIB;
        ram->samples += is_sampling(calculation) ? length * samples / GIB : 0;
    }
    return true;
}

/* Returns the rate that QEMU reports if DIRTY bytes of RAM are so within MS milliseconds, and
 * chance moves the number of samples that show it by SIGN * DEVIATIONS. */
static double rate_of(const struct ram *ram, double dirty, double ms, int sign)
{
    const double samples = (double)ram->samples, part = MIN(dirty / (double)ram->bytes, 1);
    if (!ram->samples)
        return dirty / (double)MIB * 1000 / ms;
    const double found = samples * part + sign * DEVIATIONS * sqrt(samples * part * (1 - part));
    return CLAMP(found, 0, samples) / samples * (double)ram->mib * 1000 / ms;
}

/* Fails unless the result is within its bounds. Sets *TIGHT to whether they were worth it: the
 * lower one is half of the upper one, or the guest was stopped. */
static bool judge(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                  const struct seen *seen, bool *tight, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    struct ram ram;
    if (!measure_ram(vm, calculation, &ram, error))
        return false;
    const struct sample *all = (const struct sample *)(gpointer)seen->samples->data;
    const guint count = seen->samples->len;
    const uint64_t least = least_written(workload, seen, calculation->ms);
    const uint64_t most = count ? written(workload, all, all + count - 1) : 0;
    const double page = workload->page_size;
    const double beside = calculation->stopped ? 0 : (BESIDE + workload->cpus) * page;
    const double longest = ceil((double)(seen->ended - seen->began) / 1000);
    const double high = rate_of(&ram, (double)most * page + beside, (double)calculation->ms, 1);
    /* QEMU rounds down. */
    const double low = floor(rate_of(&ram, (double)least * page, longest, -1));
    *tight = calculation->stopped || least * 2 >= most;
    godwit_testbed_measure_item(vm->testbed, "dirty_rate",
                                json_pack("{s:I, s:f, s:f, s:I, s:I, s:f, s:I}", "mib_per_s",
                                          seen->rate, "least", low, "most", high, "pages_least",
                                          (json_int_t)least, "pages_most", (json_int_t)most, "ms",
                                          longest, "samples", (json_int_t)ram.samples));
    const char *mode = calculation->mode ? calculation->mode : "page-sampling";
    if ((double)seen->rate < low)
        *tight = godwit_bug_explain(&(const struct godwit_symptom){
            .kind = GODWIT_SYMPTOM_DIRTY_RATE, .vm = vm, .text = mode, .ms = seen->rate});
    return ((double)seen->rate <= high && ((double)seen->rate >= low || *tight)) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s measured a dirty rate of %" JSON_INTEGER_FORMAT
                       " MiB/s by %s, expected %.0f to %.1f: the guest wrote %" PRIu64
                       " to %" PRIu64 " pages of %u bytes in %u ms",
                       vm->name, seen->rate, mode, low, high, least, most, workload->page_size,
                       calculation->ms);
}

bool godwit_dirty_rate_judge(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                             GError **error)
{
    __attribute__((cleanup(seen_clear))) struct seen seen = {0};
    for (unsigned turn = 0; turn < TURNS_MOST; turn++) {
        bool tight = false;
        if (!calculate(vm, calculation, &seen, error) ||
            !judge(vm, calculation, &seen, &tight, error))
            return false;
        if (tight)
            return true;
    }
    return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the host did not let the %s measure its dirty rate for about %u ms in any "
                       "of %d turns: run fewer jobs (-j), or use a quieter host",
                       vm->name, calculation->ms, TURNS_MOST);
}

bool godwit_dirty_rate_await(struct godwit_vm *vm, const struct godwit_calculation *calculation,
                             GError **error)
{
    struct ram ram;
    json_int_t rate;
    if (!wait_for(vm, &rate, NULL, error) || !measure_ram(vm, calculation, &ram, error))
        return false;
    const double most = (double)ram.mib * 1000 / calculation->ms;
    return (double)rate <= most ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the %s measured a dirty rate of %" JSON_INTEGER_FORMAT
                       " MiB/s, but all its RAM in %u ms is %.0f",
                       vm->name, rate, calculation->ms, most);
}
