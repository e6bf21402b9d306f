/*
 * Promises about the guest's speed. Auto-converge keeps the guest from running for the part of the
 * time that QEMU reports, which grows by the steps that were set. And in its first second on the
 * destination the guest is about as fast as it was before the migration slowed it down.
 *
 * The guest's account is read at the beginning of each iteration, and the seconds between two
 * readings count for the percentage that QEMU reports at both. The throttle only ever grows, so it
 * was the same in between. Time in which the guest's CPU waited for a processor of the host does
 * not count: a busy host takes it from a throttled guest and from a free one. What is left is time
 * in which the guest ran, or in which QEMU let it sleep. A guest is compared with itself before
 * the throttle began, also on the destination.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "memory/memory.h"
#include <stdlib.h>
#include <string.h>

/* Half of the time, and then four fifths, which is all that is allowed. */
#define SPEED_INITIAL   50
#define SPEED_INCREMENT 30
#define SPEED_MAXIMUM   80
/* No percentage is as large. */
#define PERCENTAGES 100
/* Without tailslow the second step would be the last. */
#define TAIL_INITIAL   20
#define TAIL_INCREMENT 79
#define TAIL_MAXIMUM   90

/* How long the guest must be observed for its speed to be known, in seconds: before the throttle
 * begins, at a percentage, and at the maximum, where that is longer than QEMU takes for a step. */
#define FREE_SECONDS 0.2
#define STEP_SECONDS 0.5
#define LAST_SECONDS 2.5

/*
 * QEMU lets the guest run for 10 ms, puts it to sleep for as long as the percentage asks for, and
 * does that again. If the host lets the guest's CPU go to sleep 10 ms late, it still sleeps when
 * it should do so again, and that time is lost. At worst each second one is, and the guest runs
 * for the half of the time in addition to half of what it is left: for 60 % at a throttle of 80 %.
 * A load of 10 on two processors shows that at 99 % in one run of five. The tenth is for a
 * processor that was slower before, because the host used its other half, and for a pass that is
 * counted twice at the edge of a reading.
 */
#define MORE_WHOLE 0.1
/*
 * The least time for which it must run is a third of what it is left: at the end of its sleep it
 * waits for QEMU's main loop, which may wait for the host. Its speed has no such bound. In each
 * iteration its first write to a page is slow, and the less it runs, the more of its writes are
 * the first.
 */
#define LESS_PART 3

/*
 * On the destination the guest must reach this part of the speed that it had while it was migrated
 * and not throttled. A throttle that is left over from the source would let it have a fifth. A
 * processor whose other half is busy gives it half of what it had before.
 */
#define LEAST_AFTER 0.4
/* How long it is observed there, in milliseconds. */
#define AFTER_MS 1000

#define NS_PER_SECOND 1e9

/* The guest at the beginning of an iteration. */
struct sample {
    json_int_t percent; /* of the CPU throttle; 0: none */
    uint64_t pages;     /* that the guest has written */
    gint64 now;         /* the host's time, in nanoseconds */
    gint64 ran, waited; /* how long the guest's CPU had a processor, and waited for one, likewise */
};

/* What the guest did at one percentage. */
struct speed {
    double pages, ran, seconds;
};

struct godwit_scenario_state {
    struct speed free; /* what it did on the source, without a throttle */
};

static bool take_pages(struct godwit_vm *source, uint64_t *pages, GError **error)
{
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    struct godwit_mailbox mailbox;
    if (!godwit_memory_mailbox(source, 0, &mailbox, error))
        return false;
    *pages = mailbox.passes * godwit_workload_pages(workload) +
             (mailbox.position - workload->window_start) / workload->page_size;
    return true;
}

/* Reads the first two numbers of a thread's schedstat. */
static bool take_times(json_int_t thread, struct sample *sample, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%" JSON_INTEGER_FORMAT "/schedstat", thread);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, error))
        return false;
    char *second;
    sample->ran = g_ascii_strtoll(text, &second, 10);
    sample->waited = g_ascii_strtoll(second, NULL, 10);
    return true;
}

static bool take(struct godwit_vm *source, json_int_t thread, struct sample *sample, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info || !take_times(thread, sample, error) || !take_pages(source, &sample->pages, error))
        return false;
    sample->now = g_get_monotonic_time() * 1000;
    sample->percent = godwit_json_integer(info, "cpu-throttle-percentage", 0);
    return true;
}

/* Sets *THREAD to that of the only CPU. */
static bool ask_thread(struct godwit_vm *source, json_int_t *thread, GError **error)
{
    g_autoptr(json_t) cpus = godwit_vm_execute(source, "query-cpus-fast", NULL, error);
    *thread = godwit_json_integer(json_array_get(cpus, 0), "thread-id", 0);
    return cpus != NULL;
}

static void count(struct speed *speed, const struct sample *early, const struct sample *late)
{
    const gint64 offered = (late->now - early->now) - (late->waited - early->waited);
    speed->pages += (double)(late->pages - early->pages);
    speed->ran += (double)(late->ran - early->ran) / NS_PER_SECOND;
    speed->seconds += (double)MAX(offered, 0) / NS_PER_SECOND;
}

/* Fails unless PERCENT comes after BEFORE by the steps that were set. */
static bool judge_step(json_int_t before, json_int_t percent, GError **error)
{
    const bool is_step = percent == SPEED_INITIAL || percent == SPEED_MAXIMUM;
    return (is_step && percent >= before) || (percent == 0 && before == 0) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's CPU throttle went from %" JSON_INTEGER_FORMAT
                       " %% to %" JSON_INTEGER_FORMAT
                       " %%, expected %d %%, and %d %% more in each step up to %d %%",
                       before, percent, SPEED_INITIAL, SPEED_INCREMENT, SPEED_MAXIMUM);
}

/* Returns pages a second. */
static double rate(const struct speed *speed)
{
    return speed->seconds > 0 ? speed->pages / speed->seconds : 0;
}

/* Fails unless the guest was as slow as PERCENT says, and was left what that leaves. */
static bool judge_speed(struct godwit_testbed *testbed, json_int_t percent,
                        const struct speed *free_speed, const struct speed *speed, GError **error)
{
    const double left = (double)(100 - percent) / 100;
    const double part = rate(speed) / rate(free_speed), ran = speed->ran / speed->seconds;
    const double most = (1 + left) / 2 + MORE_WHOLE, least = left / LESS_PART;
    godwit_testbed_measure_item(testbed, "throttled",
                                json_pack("{s:I, s:f, s:f, s:f}", "percent", percent, "speed", part,
                                          "ran", ran, "seconds", speed->seconds));
    if (part > most)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source reported a CPU throttle of %" JSON_INTEGER_FORMAT
                           " %%, but its guest ran at %.1f %% of its speed before: expected %.1f "
                           "%% or less",
                           percent, part * 100, most * 100);
    return ran >= least ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source reported a CPU throttle of %" JSON_INTEGER_FORMAT
                       " %%, but let its guest run for %.1f %% of the time only: expected %.1f %% "
                       "or more",
                       percent, ran * 100, least * 100);
}

/* Watches the guest from before the throttle begins until it has run for SECONDS at PERCENT, while
 * the migration is throttled by bandwidth. Adds to SPEEDS what the guest did at each percentage. */
static bool watch(struct godwit_vm *source, json_int_t percent, double seconds,
                  struct speed *speeds, GError **error)
{
    struct sample before, now;
    json_int_t thread;
    guint iteration = 1;
    if (!ask_thread(source, &thread, error) || !take(source, thread, &before, error))
        return false;
    while (speeds[percent].seconds < seconds) {
        if (!godwit_migrate_next_iteration(source, &iteration, error) ||
            !take(source, thread, &now, error) || !judge_step(before.percent, now.percent, error))
            return false;
        if (now.percent == before.percent)
            count(&speeds[now.percent], &before, &now);
        before = now;
    }
    return speeds[0].seconds >= FREE_SECONDS ||
           godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                       "the host let the guest run for %.2f s before the CPU throttle began, "
                       "needs %.2f s to know its speed; run fewer jobs (-j), or use a quieter "
                       "host",
                       speeds[0].seconds, FREE_SECONDS);
}

static bool see_speed(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct speed speeds[PERCENTAGES] = {{0}};
    (void)destination;
    if (!watch(source, SPEED_MAXIMUM, LAST_SECONDS, speeds, error))
        return false;
    for (json_int_t percent = 1; percent <= SPEED_MAXIMUM; percent++)
        if (speeds[percent].seconds >= STEP_SECONDS &&
            !judge_speed(source->testbed, percent, &speeds[0], &speeds[percent], error))
            return false;
    return true;
}

/* Watches the guest likewise, and keeps what it did without a throttle. */
static bool keep_free(struct godwit_vm *source, json_int_t percent, double seconds, GError **error)
{
    struct speed speeds[PERCENTAGES] = {{0}};
    const bool seen = watch(source, percent, seconds, speeds, error);
    source->testbed->state->free = speeds[0];
    return seen;
}

static bool see_free(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return keep_free(source, 0, FREE_SECONDS, error);
}

/* Until it is throttled as much as it may be. */
static bool see_throttled(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return keep_free(source, SPEED_MAXIMUM, STEP_SECONDS, error);
}

/* Lets the destination's guest run for its first second, judges its speed, and stops it again, as
 * the course expects it. */
static bool judge_after(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct speed *free_speed = &source->testbed->state->free;
    struct speed after = {0};
    struct sample first, last;
    json_int_t thread;
    if (!ask_thread(destination, &thread, error) || !godwit_vm_run(destination, error) ||
        !take(destination, thread, &first, error) ||
        !godwit_testbed_rest(destination->testbed, AFTER_MS, "the guest to run", error) ||
        !take(destination, thread, &last, error) || !godwit_course_stop(destination, error))
        return false;
    count(&after, &first, &last);
    if (after.seconds < FREE_SECONDS)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT,
                           "the host let the guest run for %.2f s of its first second on the "
                           "destination, needs %.2f s to know its speed; run fewer jobs (-j), or "
                           "use a quieter host",
                           after.seconds, FREE_SECONDS);
    const double part = rate(&after) / rate(free_speed);
    godwit_testbed_measure(destination->testbed, "speed-after", json_real(part));
    return part >= LEAST_AFTER ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "in its first second on the destination the guest wrote %.0f pages a "
                       "second, %.1f %% of the %.0f that it wrote on the source without a CPU "
                       "throttle: expected %.0f %% at least",
                       rate(&after), part * 100, rate(free_speed), LEAST_AFTER * 100);
}

/* Fails unless PERCENT comes after BEFORE by a step that tailslow allows. */
static bool judge_tail(json_int_t before, json_int_t percent, GError **error)
{
    if (percent < before || percent > TAIL_MAXIMUM || (percent && percent < TAIL_INITIAL))
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the source's CPU throttle went from %" JSON_INTEGER_FORMAT
                           " %% to %" JSON_INTEGER_FORMAT
                           " %%, expected it to grow from %d %% to %d %%",
                           before, percent, TAIL_INITIAL, TAIL_MAXIMUM);
    return percent < TAIL_MAXIMUM || before > TAIL_INITIAL ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's CPU throttle went from %" JSON_INTEGER_FORMAT
                       " %% to %d %% in one step, although cpu-throttle-tailslow is on",
                       before, TAIL_MAXIMUM);
}

/* Watches the CPU throttle until it is at its maximum. */
static bool see_tail(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    json_int_t thread;
    struct sample before = {0}, now = {0};
    (void)destination;
    if (!ask_thread(source, &thread, error))
        return false;
    for (guint iteration = 1; now.percent < TAIL_MAXIMUM; before = now) {
        if (!godwit_migrate_next_iteration(source, &iteration, error) ||
            !take(source, thread, &now, error) || !judge_tail(before.percent, now.percent, error))
            return false;
        if (now.percent > before.percent)
            godwit_testbed_measure_item(source->testbed, "throttle", json_integer(now.percent));
    }
    return true;
}

/* The account is that of a guest which goes through its window in ascending order, and that never
 * waits. */
static struct godwit_lack *lacks_speed(const struct godwit_setup *setup)
{
    const uint32_t others = GODWIT_FLAG_STRIDE | GODWIT_FLAG_RANDOM;
    if ((setup->workload.flags & others) || setup->workload.page_ticks)
        return godwit_lack_new(g_strdup("a guest that writes the pages of its window in ascending "
                                        "order, as fast as it can"),
                               NULL);
    return g_file_test("/proc/self/schedstat", G_FILE_TEST_EXISTS)
               ? NULL
               : godwit_lack_new(g_strdup("/proc/PID/schedstat"),
                                 g_strdup("this kernel has none (CONFIG_SCHED_INFO)"));
}

static const struct godwit_capability auto_converge[] = {{"auto-converge", true}, {NULL, false}};
static const struct godwit_parameter speed[] = {{"cpu-throttle-initial", SPEED_INITIAL, NULL},
                                                {"cpu-throttle-increment", SPEED_INCREMENT, NULL},
                                                {"max-cpu-throttle", SPEED_MAXIMUM, NULL},
                                                {NULL, 0, NULL}};
static const struct godwit_parameter tail[] = {{"cpu-throttle-initial", TAIL_INITIAL, NULL},
                                               {"cpu-throttle-increment", TAIL_INCREMENT, NULL},
                                               {"max-cpu-throttle", TAIL_MAXIMUM, NULL},
                                               {NULL, 0, NULL}};

/* A parameter that is true or false. */
static bool set_tailslow(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_vm_command(source, "migrate-set-parameters",
                             json_pack("{s:b}", "cpu-throttle-tailslow", 1), error);
}

#define COMMON .cpus = 1, .wide = true, .slow = true, .lacks = lacks_speed

GODWIT_SCENARIOS(promise_converge) = {
    {
        .name = "promise/auto-converge/speed",
        .summary = "the guest is slowed down by the percentage that QEMU reports",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = auto_converge,
                 .parameters = speed,
                 .live = see_speed},
        COMMON,
    },
    {
        .name = "promise/pace/plain",
        .summary = "in its first second on the destination the guest is as fast as before",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .live = see_free, .judge = judge_after},
        .state = sizeof(struct godwit_scenario_state),
        COMMON,
    },
    {
        .name = "promise/pace/auto-converge",
        .summary = "the same, and the source had slowed it down to a fifth",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = auto_converge,
                 .parameters = speed,
                 .live = see_throttled,
                 .judge = judge_after},
        .state = sizeof(struct godwit_scenario_state),
        COMMON,
    },
    {
        .name = "promise/auto-converge/tailslow",
        .summary = "cpu-throttle-tailslow makes the last steps smaller",
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .capabilities = auto_converge,
                 .parameters = tail,
                 .configure = set_tailslow,
                 .live = see_tail},
        .needs = "parameter:cpu-throttle-tailslow",
        COMMON,
    },
};
GODWIT_SCENARIOS_END(promise_converge);
