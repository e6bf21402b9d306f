/*
 * Curves of samples, and their speed in buckets.
 *
 * SPDX-License-Identifier: MIT
 */
#include "measure/curve.h"

#include <math.h>

static const struct godwit_sample *sample_at(const GArray *curve, guint i)
{
    return &g_array_index(curve, struct godwit_sample, i);
}

GArray *godwit_curve_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(struct godwit_sample));
}

void godwit_curve_add(GArray *curve, double at, double count)
{
    struct godwit_sample sample = {at, count};
    if (curve->len) {
        const struct godwit_sample *last = sample_at(curve, curve->len - 1);
        if (at <= last->at)
            return;
        sample.count = MAX(count, last->count);
    }
    g_array_append_val(curve, sample);
}

void godwit_curve_cut(GArray *curve, double at)
{
    while (curve->len && sample_at(curve, curve->len - 1)->at > at)
        g_array_set_size(curve, curve->len - 1);
}

/* Returns the index of the first sample that is not before AT; the number of samples if none is. */
static guint find(const GArray *curve, double at)
{
    guint low = 0, high = curve->len;
    while (low < high) {
        const guint middle = low + (high - low) / 2;
        if (sample_at(curve, middle)->at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double godwit_curve_at(const GArray *curve, double at, double most)
{
    const guint next = find(curve, at);
    if (next == curve->len)
        return (double)NAN;
    const struct godwit_sample *after = sample_at(curve, next);
    if (after->at <= at)
        return after->count;
    if (next == 0)
        return (double)NAN;
    const struct godwit_sample *before = sample_at(curve, next - 1);
    const double apart = after->at - before->at;
    return apart > most
               ? (double)NAN
               : before->count + (after->count - before->count) * (at - before->at) / apart;
}

double godwit_curve_speed(const GArray *curve, double from, double to, double most)
{
    return to > from ? (godwit_curve_at(curve, to, most) - godwit_curve_at(curve, from, most)) /
                           (to - from) * 1000
                     : (double)NAN;
}

double *godwit_curve_buckets(const GArray *curve, double first, unsigned count, double width)
{
    double *speeds = g_new(double, count + 1);
    for (unsigned i = 0; i < count; i++)
        speeds[i] = godwit_curve_speed(curve, first + i * width, first + (i + 1) * width, width);
    return speeds;
}

double godwit_curve_gap(const GArray *curve)
{
    double gap = 0;
    for (guint i = 1; i < curve->len; i++)
        gap = MAX(gap, sample_at(curve, i)->at - sample_at(curve, i - 1)->at);
    return gap;
}
