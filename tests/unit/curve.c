/*
 * The curves of measurements, on made-up samples: what is known, what is not, and that the latter
 * is not 0. So are the iterations, the trace lines, the threads and the brownout, which come of
 * them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "measure/curve.h"
#include "base/files.h"
#include "course/iterations.h"
#include "course/threads.h"
#include "course/waterfall.h"
#include "guest/image.h"
#include "oracle/brownout.h"
#include "qemu/trace.h"

#include "unit.h"

#include <math.h>

#define assert_near(value, wanted)                                                                 \
    do {                                                                                           \
        const double is = (value), should = (wanted);                                              \
        if (!(fabs(is - should) <= 1e-6 * MAX(1, fabs(should))))                                   \
            fail_msg("%g instead of %g", is, should);                                              \
    } while (0)

static void curves_interpolate_only_what_is_close(void **state)
{
    g_autoptr(GArray) curve = godwit_curve_new();
    (void)state;
    assert_true(isnan(godwit_curve_at(curve, 0, INFINITY)));
    assert_near(godwit_curve_gap(curve), 0);
    godwit_curve_add(curve, 10, 100);
    godwit_curve_add(curve, 20, 200);
    godwit_curve_add(curve, 60, 200);
    assert_true(isnan(godwit_curve_at(curve, 9.9, INFINITY)));
    assert_near(godwit_curve_at(curve, 10, 10), 100);
    assert_near(godwit_curve_at(curve, 15, 10), 150);
    assert_true(isnan(godwit_curve_at(curve, 15, 9)));
    assert_near(godwit_curve_at(curve, 40, 40), 200);
    assert_true(isnan(godwit_curve_at(curve, 40, 39)));
    assert_near(godwit_curve_at(curve, 60, 0), 200);
    assert_true(isnan(godwit_curve_at(curve, 60.1, INFINITY)));
    assert_near(godwit_curve_gap(curve), 40);
    assert_near(godwit_curve_speed(curve, 10, 20, 10), 10000);
    assert_true(isnan(godwit_curve_speed(curve, 20, 20, 10)));
    godwit_curve_cut(curve, 59);
    assert_int_equal(curve->len, 2);
}

static void curves_never_go_back(void **state)
{
    g_autoptr(GArray) curve = godwit_curve_new();
    (void)state;
    godwit_curve_add(curve, 0, 50);
    godwit_curve_add(curve, 2, 40);
    godwit_curve_add(curve, 2, 90);
    godwit_curve_add(curve, 1, 90);
    godwit_curve_add(curve, 4, 60);
    assert_int_equal(curve->len, 3);
    assert_near(godwit_curve_at(curve, 2, 10), 50);
    assert_near(godwit_curve_at(curve, 4, 10), 60);
}

/* A guest that stands still has a speed of 0; a sampler that was late has none. */
static void buckets_are_missing_in_gaps(void **state)
{
    g_autoptr(GArray) curve = godwit_curve_new();
    (void)state;
    for (int at = 0; at <= 100; at += 2)
        if (at <= 40 || at >= 66)
            godwit_curve_add(curve, at, at < 20 ? at * 10 : 200);
    g_autofree double *speeds = godwit_curve_buckets(curve, -10, 11, 10);
    assert_true(isnan(speeds[0]));
    assert_near(speeds[1], 10000);
    assert_near(speeds[2], 10000);
    assert_near(speeds[3], 0);
    assert_near(speeds[4], 0);
    for (int i = 5; i <= 7; i++)
        assert_true(isnan(speeds[i]));
    assert_near(speeds[8], 0);
    assert_near(speeds[10], 0);
}

#define START 0x100000u
#define PAGES 16u

static const struct godwit_workload workload = {
    .window_start = START,
    .window_end = START + PAGES * 4096u,
    .page_size = 4096,
    .cpus = 2,
};

static struct godwit_mailbox mailbox_of(uint64_t passes, uint64_t page)
{
    return (struct godwit_mailbox){
        .magic = GODWIT_MAILBOX_MAGIC, .passes = passes, .position = START + page * 4096};
}

/* Takes the mailboxes of two CPUs. */
static void take_at(struct godwit_brownout *brownout, gint64 ms, bool arrived,
                    struct godwit_mailbox first, struct godwit_mailbox second)
{
    unsigned char bytes[2 * GODWIT_MAILBOX_STRIDE] = {0};
    memcpy(bytes, &first, sizeof(first));
    memcpy(bytes + GODWIT_MAILBOX_STRIDE, &second, sizeof(second));
    godwit_brownout_take(brownout, ms * 1000, arrived, bytes);
}

static void take(struct godwit_brownout *brownout, gint64 ms, struct godwit_mailbox first,
                 struct godwit_mailbox second)
{
    take_at(brownout, ms, false, first, second);
}

static json_t *brownout_of(struct godwit_brownout *brownout, gint64 setup, gint64 over,
                           double blackout)
{
    const char *why = NULL;
    const struct godwit_brownout_marks marks = {setup * 1000, over * 1000, 0, blackout};
    json_t *result = godwit_brownout_result(brownout, &marks, &why);
    assert_non_null(result);
    return result;
}

static double number(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    assert_non_null(value);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Each CPU writes a page in 2 ms. Both stand still for 20 ms in the middle of the migration. */
static void brownout_counts_what_is_lost(void **state)
{
    struct godwit_brownout *brownout = godwit_brownout_new(&workload, G_BYTE_ORDER == G_BIG_ENDIAN);
    (void)state;
    for (unsigned step = 0; step <= 150; step++) {
        const unsigned done = step < 70 ? step : step < 80 ? 70 : step - 10, turn = done % 8;
        take(brownout, step * 2, mailbox_of(done / 8, turn * 2),
             mailbox_of(done / 8, turn * 2 + 1));
    }
    g_autoptr(json_t) result = brownout_of(brownout, 100, 200, 12);
    assert_near(number(result, "before_pages_per_s"), 1000);
    assert_near(number(result, "during_pages_per_s"), 800);
    assert_near(number(result, "after_pages_per_s"), 1000);
    /* Of 20 pages, 12 are the blackout's. */
    assert_near(number(result, "lost_passes"), 8.0 / PAGES);
    assert_near(number(result, "longest_gap_ms"), 2);
    assert_near(number(result, "first_ms"), -100);
    const json_t *speeds = json_object_get(result, "pages_per_s");
    assert_int_equal(json_array_size(speeds), 30);
    assert_near(json_number_value(json_array_get(speeds, 0)), 1000);
    assert_near(json_number_value(json_array_get(speeds, 14)), 0);
    assert_near(json_number_value(json_array_get(speeds, 15)), 0);
    assert_near(json_number_value(json_array_get(speeds, 16)), 1000);
    godwit_brownout_free(brownout);
}

/* The end of a pass is read before and after the pass is counted, and half and half. */
static void brownout_counts_the_end_of_a_pass_once(void **state)
{
    struct godwit_brownout *brownout = godwit_brownout_new(&workload, G_BYTE_ORDER == G_BIG_ENDIAN);
    (void)state;
    take(brownout, 0, mailbox_of(3, 14), mailbox_of(3, 15));
    take(brownout, 60, mailbox_of(3, 16), mailbox_of(3, 17)); /* not counted yet */
    take(brownout, 70, mailbox_of(4, 16), mailbox_of(4, 17)); /* counted */
    take(brownout, 80, mailbox_of(3, 0), mailbox_of(3, 1));   /* an old count, a new position */
    take(brownout, 90, mailbox_of(4, 2), mailbox_of(4, 3));
    struct godwit_mailbox bad = mailbox_of(9, 0);
    bad.magic = 0;
    take(brownout, 100, bad, mailbox_of(9, 4)); /* no mailbox, and another CPU's page */
    g_autoptr(json_t) result = brownout_of(brownout, 60, 100, NAN);
    assert_near(number(result, "before_pages_per_s"), 2 / 0.06);
    assert_near(number(result, "during_pages_per_s"), 2 / 0.04);
    assert_true(isnan(number(result, "lost_passes")));
    assert_true(isnan(number(result, "after_pages_per_s")));
    godwit_brownout_free(brownout);
}

/* A mailbox that a known bug has left behind: what the guest does there is missing, not 0. */
static void brownout_of_a_stale_mailbox_is_missing(void **state)
{
    struct godwit_brownout *brownout = godwit_brownout_new(&workload, G_BYTE_ORDER == G_BIG_ENDIAN);
    (void)state;
    for (unsigned ms = 0; ms <= 100; ms += 2)
        take(brownout, ms, mailbox_of(5, 4), mailbox_of(5, 5));
    for (unsigned ms = 102; ms <= 140; ms += 2)
        take_at(brownout, ms, true, mailbox_of(4, 4), mailbox_of(4, 5));
    for (unsigned ms = 142; ms <= 180; ms += 2)
        take_at(brownout, ms, true, mailbox_of(5, 6), mailbox_of(5, 7));
    g_autoptr(json_t) result = brownout_of(brownout, 60, 130, 10);
    const json_t *speeds = json_object_get(result, "pages_per_s");
    assert_near(number(result, "before_pages_per_s"), 0);
    assert_true(isnan(number(result, "during_pages_per_s")));
    assert_true(isnan(number(result, "after_pages_per_s")));
    assert_true(isnan(number(result, "lost_passes")));
    assert_true(json_is_true(json_object_get(result, "stale_mailbox")));
    assert_near(json_number_value(json_array_get(speeds, 9)), 0);
    for (unsigned bucket = 10; bucket < 14; bucket++)
        assert_true(json_is_null(json_array_get(speeds, bucket)));
    assert_near(json_number_value(json_array_get(speeds, 16)), 0);
    godwit_brownout_free(brownout);
}

static void brownout_says_why_it_is_unknown(void **state)
{
    struct godwit_brownout *brownout = godwit_brownout_new(&workload, G_BYTE_ORDER == G_BIG_ENDIAN);
    const char *why = NULL;
    (void)state;
    assert_null(godwit_brownout_result(brownout, &(struct godwit_brownout_marks){0}, &why));
    assert_contains(why, "not set up");
    assert_null(
        godwit_brownout_result(brownout, &(struct godwit_brownout_marks){.setup = 1}, &why));
    assert_contains(why, "fewer than two samples");
    /* Watched for too short a time before: the speed there is missing, not 0. */
    take(brownout, 0, mailbox_of(0, 0), mailbox_of(0, 1));
    godwit_brownout_still(brownout, 60000);
    g_autoptr(json_t) result = brownout_of(brownout, 20, 60, 0);
    assert_true(isnan(number(result, "before_pages_per_s")));
    assert_true(isnan(number(result, "lost_passes")));
    assert_near(number(result, "during_pages_per_s"), 0);
    assert_true(json_is_null(json_array_get(json_object_get(result, "pages_per_s"), 0)));
    godwit_brownout_free(brownout);
}

static void traces_are_parsed(void **state)
{
    g_autoptr(GPtrArray) traces = godwit_trace_parse(
        "77@1795962375.186546:vmstate_downtime_save type=iterable idstr=ram instance_id=0 "
        "downtime=177\n"
        "2026-11-29T14:26:19.377494Z vmstate_downtime_load type=non-iterable "
        "idstr=0000:00:1f.0/ICH "
        "9 instance_id=2 downtime=5\n"
        "vmstate_downtime_save type=iterable idstr=no stamp\n"
        "77@1795962375.18654:short_stamp\n77@99999999999999999999.186546:too_large\n"
        "@1.000000:no_pid\n1@2.000003:bare\n2026-99-99T14:26:19Z no_date\nUPPER\n\n"
        "1@2.000004:Capital rest\n1@2.000005:migration_bitmap_sync_end dirty_pages 83");
    (void)state;
    assert_int_equal(traces->len, 4);
    const struct godwit_trace *first = g_ptr_array_index(traces, 0);
    const struct godwit_trace *second = g_ptr_array_index(traces, 1);
    const struct godwit_trace *third = g_ptr_array_index(traces, 2);
    assert_true(first->at == 1795962375186546);
    assert_string_equal(first->name, "vmstate_downtime_save");
    assert_true(second->at == 1795962379377494);
    assert_true(third->at == 2000003);
    assert_string_equal(third->rest, "");
    gint64 value = 0;
    assert_true(godwit_trace_integer(first, "downtime", &value));
    assert_int_equal(value, 177);
    assert_false(godwit_trace_integer(first, "type", &value));
    assert_false(godwit_trace_integer(first, "id", &value));
    g_autofree char *name = godwit_trace_between(second, " idstr=", " instance_id=");
    assert_string_equal(name, "0000:00:1f.0/ICH 9");
    assert_null(godwit_trace_between(first, "nothing=", ""));
}

static void waterfalls_come_from_traces(void **state)
{
    g_autoptr(GPtrArray) traces = godwit_trace_parse(
        "1@5.000500:vmstate_downtime_save type=iterable idstr=ram instance_id=0 downtime=300\n"
        "1@5.000600:vmstate_downtime_checkpoint src-vm-stopped\n"
        "1@5.000700:vmstate_downtime_load type=iterable idstr=ram downtime=300\n"
        "1@5.000800:vmstate_downtime_load type=iterable idstr=ram instance_id=1 downtime=-3\n"
        "1@5.000900:something_else type=iterable idstr=ram instance_id=1 downtime=3\n");
    g_autoptr(json_t) waterfall = godwit_waterfall_new();
    (void)state;
    assert_int_equal(godwit_waterfall_add(waterfall, "source", traces, 5000000), 2);
    assert_int_equal(godwit_waterfall_add(waterfall, "source", NULL, 5000000), 0);
    const json_t *device = json_array_get(json_object_get(waterfall, "devices"), 0);
    assert_near(number(device, "at_ms"), 0.2);
    assert_near(number(device, "ms"), 0.3);
    const json_t *checkpoint = json_array_get(json_object_get(waterfall, "checkpoints"), 0);
    assert_string_equal(godwit_json_string(checkpoint, "name", ""), "src-vm-stopped");
    assert_near(number(checkpoint, "at_ms"), 0.6);
}

static void answer(struct godwit_iterations *iterations, gint64 at, int iteration, int transferred)
{
    g_autoptr(json_t) info = json_pack(
        "{s:{s:i, s:i, s:i, s:i, s:i, s:i}}", "ram", "dirty-sync-count", iteration, "transferred",
        transferred, "remaining", 100, "normal", 10, "duplicate", 10, "page-size", 4096);
    if (iteration == 2)
        json_object_set_new(info, "cpu-throttle-percentage", json_integer(20));
    godwit_iterations_take(iterations, at, info);
}

static void iterations_join_bytes_and_dirty_pages(void **state)
{
    struct godwit_iterations *iterations = godwit_iterations_new();
    (void)state;
    /* Looks at 0.01, 0.05, 0.25, 1.2 and 1.3 s. The one at 1.2 s ends QEMU's first period. */
    static const gint64 looks[][2] = {
        {10000, 0}, {50000, 40}, {250000, 90}, {1200000, 100}, {1300000, 7}};
    for (size_t i = 0; i < G_N_ELEMENTS(looks); i++)
        godwit_iterations_found(iterations, looks[i][0], looks[i][1]);
    answer(iterations, 45000, 1, 4000);
    answer(iterations, 55000, 2, 6000);
    answer(iterations, 1400000, 5, 40960);
    g_autoptr(json_t) result = godwit_iterations_result(iterations, 0, 1350000);
    const json_t *samples = json_object_get(result, "samples");
    assert_near(number(json_array_get(samples, 0), "remaining"), 100);
    /* QEMU reports the throttle only while it throttles. */
    assert_near(number(json_array_get(samples, 0), "throttle_percent"), 0);
    assert_near(number(json_array_get(samples, 1), "throttle_percent"), 20);
    assert_near(number(result, "bytes_per_dirty_byte"), 0.5);
    const json_t *list = json_object_get(result, "iterations");
    assert_int_equal(json_array_size(list), 5);
    const json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);
    assert_near(number(first, "bytes"), 5000);
    assert_near(number(first, "ms"), 40);
    assert_near(number(first, "bytes_per_s"), 125000);
    assert_near(number(first, "dirty_pages"), 40);
    assert_near(number(first, "dirty_pages_per_s"), 1000);
    /* No answer is near its end. */
    assert_true(isnan(number(second, "bytes")));
    assert_true(isnan(number(second, "bytes_per_s")));
    assert_near(number(second, "dirty_pages"), 50);
    assert_near(number(json_array_get(list, 2), "dirty_pages"), 10);
    assert_near(number(json_array_get(list, 3), "dirty_pages"), 7);
    assert_true(isnan(number(json_array_get(list, 4), "dirty_pages")));
    godwit_iterations_free(iterations);
}

/* A look right at the end of a period: a new one may have begun or not. */
static void iterations_doubt_the_end_of_a_period(void **state)
{
    struct godwit_iterations *iterations = godwit_iterations_new();
    (void)state;
    godwit_iterations_found(iterations, 0, 0);
    godwit_iterations_found(iterations, 1001000, 50);
    godwit_iterations_found(iterations, 1101000, 60);
    godwit_iterations_begin(iterations, 5);
    g_autoptr(json_t) result = godwit_iterations_result(iterations, 0, 0);
    assert_true(isnan(number(result, "bytes_per_dirty_byte")));
    const json_t *list = json_object_get(result, "iterations");
    assert_near(number(json_array_get(list, 0), "dirty_pages"), 50);
    assert_true(isnan(number(json_array_get(list, 1), "dirty_pages")));
    assert_true(isnan(number(json_array_get(list, 2), "ms")));
    godwit_iterations_free(iterations);
}

/* A QEMU that traces nothing reports when iterations begin, and not what was dirtied. */
static void iterations_without_traces(void **state)
{
    struct godwit_iterations *iterations = godwit_iterations_new();
    g_autoptr(json_t) other = json_pack("{s:s}", "status", "setup");
    (void)state;
    godwit_iterations_take(iterations, 1, other);
    godwit_iterations_begin(iterations, 1000);
    godwit_iterations_begin(iterations, 3000);
    g_autoptr(json_t) result = godwit_iterations_result(iterations, 0, 4000);
    const json_t *list = json_object_get(result, "iterations");
    assert_int_equal(json_array_size(list), 2);
    assert_near(number(json_array_get(list, 0), "ms"), 2);
    assert_true(isnan(number(json_array_get(list, 0), "bytes")));
    assert_true(isnan(number(json_array_get(list, 0), "dirty_pages")));
    assert_int_equal(json_array_size(json_object_get(result, "samples")), 0);
    godwit_iterations_free(iterations);
}

static void write_thread(const char *folder, const char *id, const char *name, const char *time)
{
    g_autofree char *task = g_build_filename(folder, "task", id, NULL);
    g_autofree char *comm = g_build_filename(task, "comm", NULL);
    g_autofree char *schedstat = g_build_filename(task, "schedstat", NULL);
    assert_int_equal(g_mkdir_with_parents(task, 0700), 0);
    assert_true(g_file_set_contents(comm, name, -1, NULL));
    assert_true(g_file_set_contents(schedstat, time, -1, NULL));
}

static void threads_are_added_up_by_name(void **state)
{
    g_autofree char *folder = g_build_filename(*state, "process", NULL);
    write_thread(folder, "10", "CPU 0/TCG\n", "5000000 1 1\n");
    struct godwit_threads *threads = godwit_threads_new(folder);
    write_thread(folder, "10", "CPU 0/TCG\n", "7000000 1 1\n");
    write_thread(folder, "11", "multifdsend\n", "1000000 1 1\n");
    write_thread(folder, "12", "multifdsend\n", "2000000 1 1\n");
    write_thread(folder, "13", "broken\n", "none\n");
    godwit_threads_look(threads);
    double sum = 0;
    g_autoptr(json_t) used = godwit_threads_used(threads, &sum);
    assert_near(number(used, "CPU 0/TCG"), 2);
    assert_near(number(used, "multifdsend"), 3);
    assert_null(json_object_get(used, "broken"));
    assert_near(sum, 5);
    assert_true(godwit_threads_has(threads, 12));
    assert_false(godwit_threads_has(threads, 13));
    godwit_threads_free(threads);
    godwit_files_remove(folder);
}

static void proc_is_parsed(void **state)
{
    (void)state;
    assert_true(godwit_threads_time("123 4 5\n") == 123);
    assert_true(godwit_threads_time("") == -1);
    assert_true(godwit_threads_time("x 1") == -1);
    assert_true(godwit_threads_time("123") == -1);
    assert_true(godwit_threads_time("-5 1") == -1);
    assert_true(godwit_threads_peak("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n") == 2097152);
    assert_true(godwit_threads_peak("VmHWM:\t1 kB\n") == 1024);
    assert_true(godwit_threads_peak("Name:\tVmHWM\n") == -1);
    assert_true(godwit_threads_peak("VmHWM:\t0 kB\n") == -1);
    assert_true(godwit_threads_peak("VmHWM:\t5 MB\n") == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_interpolate_only_what_is_close),
        cmocka_unit_test(curves_never_go_back),
        cmocka_unit_test(buckets_are_missing_in_gaps),
        cmocka_unit_test(brownout_counts_what_is_lost),
        cmocka_unit_test(brownout_counts_the_end_of_a_pass_once),
        cmocka_unit_test(brownout_of_a_stale_mailbox_is_missing),
        cmocka_unit_test(brownout_says_why_it_is_unknown),
        cmocka_unit_test(traces_are_parsed),
        cmocka_unit_test(waterfalls_come_from_traces),
        cmocka_unit_test(iterations_join_bytes_and_dirty_pages),
        cmocka_unit_test(iterations_doubt_the_end_of_a_period),
        cmocka_unit_test(iterations_without_traces),
        cmocka_unit_test(threads_are_added_up_by_name),
        cmocka_unit_test(proc_is_parsed),
    };
    return cmocka_run_group_tests_name("curve", tests, unit_folder, unit_folder_end);
}
