/*
 * From mailboxes to a curve of pages, and from the curve to the measurement.
 *
 * A mailbox is read while the guest writes it. At the end of a pass, position is the end of the
 * stripe both before and after the guest counts the pass, so that two counts are possible. The
 * smaller one that is not below the latest count is taken. The curve drops what goes backwards.
 *
 * A known bug leaves an older mailbox on the destination. How far the guest has come is unknown
 * then until its count is beyond that of the source.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/brownout.h"

#include "guest/image.h"
#include "measure/curve.h"
#include <math.h>

/* The fewest milliseconds before the migration from which the guest's speed can be taken. */
#define LEAST_MS 50

struct godwit_brownout {
    const struct godwit_workload *workload;
    struct godwit_stamp stamp; /* knows the order of the pages of either workload */
    bool big_endian;
    double pages[GODWIT_MAX_CPUS]; /* that each CPU had written at the latest sample */
    GArray *curve;                 /* of all CPUs, over milliseconds of the guest */
    bool arrived;                  /* the destination's mailboxes are at least as far */
    bool stale;                    /* they were older than the source's */
};

struct godwit_brownout *godwit_brownout_new(const struct godwit_workload *workload, bool big_endian)
{
    struct godwit_brownout *brownout = g_new0(struct godwit_brownout, 1);
    brownout->workload = workload;
    brownout->stamp = godwit_stamp_of(workload);
    brownout->big_endian = big_endian;
    brownout->curve = godwit_curve_new();
    return brownout;
}

void godwit_brownout_free(struct godwit_brownout *brownout)
{
    if (!brownout)
        return;
    g_array_unref(brownout->curve);
    g_free(brownout);
}

/* Returns how many pages CPU has written since its cold start, by its mailbox; LATEST if the
 * mailbox cannot be right. */
static double pages_of(const struct godwit_brownout *brownout, unsigned cpu,
                       const struct godwit_mailbox *mailbox, double latest)
{
    const double each = brownout->stamp.pages / brownout->stamp.cpus;
    struct godwit_stamp_account account;
    if (mailbox->magic != GODWIT_MAILBOX_MAGIC ||
        !godwit_stamp_account(&brownout->stamp, cpu, brownout->workload->window_start,
                              mailbox->passes, mailbox->position, &account))
        return latest;
    const double whole = (double)account.passes * each;
    if (account.turn < each)
        return whole + account.turn;
    return whole >= latest ? whole : whole + each;
}

void godwit_brownout_take(struct godwit_brownout *brownout, gint64 at, bool arrived,
                          const void *bytes)
{
    double sum = 0;
    bool older = false;
    for (unsigned cpu = 0; cpu < brownout->workload->cpus; cpu++) {
        const struct godwit_mailbox mailbox = godwit_guest_mailbox(
            (const char *)bytes + cpu * GODWIT_MAILBOX_STRIDE, brownout->big_endian);
        const double pages = pages_of(brownout, cpu, &mailbox, brownout->pages[cpu]);
        older = older || pages < brownout->pages[cpu];
        brownout->pages[cpu] = MAX(pages, brownout->pages[cpu]);
        sum += brownout->pages[cpu];
    }
    if (arrived && !brownout->arrived && older) {
        brownout->stale = true;
        return;
    }
    brownout->arrived = arrived;
    godwit_curve_add(brownout->curve, (double)at / 1000, sum);
}

void godwit_brownout_still(struct godwit_brownout *brownout, gint64 at)
{
    if (brownout->curve->len)
        godwit_curve_add(brownout->curve, (double)at / 1000, -1);
}

static json_t *figure(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Returns the speeds of all buckets from the first to the last sample, on a grid with an edge at
 * SETUP, and sets *FIRST to the start of the first one, relative to that. */
static json_t *buckets(const GArray *curve, double setup, double begin, double end, double *first)
{
    const double width = GODWIT_BROWNOUT_BUCKET_MS;
    json_t *list = json_array();
    *first = ceil((begin - setup) / width) * width;
    const double whole = floor((end - setup - *first) / width);
    const unsigned count = whole > 0 ? (unsigned)MIN(whole, 100000) : 0;
    g_autofree double *speeds = godwit_curve_buckets(curve, setup + *first, count, width);
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, figure(speeds[i]));
    return list;
}

json_t *godwit_brownout_result(struct godwit_brownout *brownout,
                               const struct godwit_brownout_marks *marks, const char **why)
{
    GArray *curve = brownout->curve;
    if (!marks->setup) {
        *why = "the migration was not set up";
        return NULL;
    }
    if (marks->stopped)
        godwit_curve_cut(curve, (double)marks->stopped / 1000);
    if (curve->len < 2) {
        *why = "there are fewer than two samples of the guest's mailbox";
        return NULL;
    }
    const double setup = (double)marks->setup / 1000, over = (double)marks->over / 1000;
    const double begin = g_array_index(curve, struct godwit_sample, 0).at;
    const double end = g_array_index(curve, struct godwit_sample, curve->len - 1).at;
    const double any = (double)INFINITY, pages = (double)godwit_workload_pages(brownout->workload);
    const double before =
        setup - begin >= LEAST_MS ? godwit_curve_speed(curve, begin, setup, any) : (double)NAN;
    const bool known = marks->over && !brownout->stale;
    const double during = known ? godwit_curve_speed(curve, setup, over, any) : (double)NAN;
    const double after = known ? godwit_curve_speed(curve, over, end, any) : (double)NAN;
    /* What the guest would have written at its earlier speed, without what it wrote. */
    const double lost =
        (before * (over - setup - marks->blackout) - during * (over - setup)) / 1000 / pages;
    double first;
    json_t *speeds = buckets(curve, setup, begin, end, &first);
    return json_pack("{s:i, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:i, s:b}", "bucket_ms",
                     GODWIT_BROWNOUT_BUCKET_MS, "first_ms", first, "pages_per_s", speeds,
                     "during_ms", figure(marks->over ? over - setup : (double)NAN),
                     "before_pages_per_s", figure(before), "during_pages_per_s", figure(during),
                     "after_pages_per_s", figure(after), "lost_passes", figure(lost),
                     "longest_gap_ms", godwit_curve_gap(curve), "samples", (int)curve->len,
                     "stale_mailbox", brownout->stale);
}
