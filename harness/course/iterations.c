/*
 * Bytes and dirty pages of each iteration, and samples of query-migrate.
 *
 * Two sources are joined. query-migrate has the bytes, but not at the very moments at which
 * iterations begin: the line between two answers that are close together gives them. QEMU's dirty
 * rate has a new value once a second at most, which is 0 until then. The trace event
 * migration_bitmap_sync_end has the pages that were found dirty at each look, added up over a
 * period; QEMU begins a new period at the first look that is more than a second after the last
 * beginning. Each look begins an iteration, so that the pages it finds were dirtied in the
 * iteration before.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/iterations.h"

#include "measure/curve.h"
#include <math.h>

/* The length of QEMU's period, and how close to it a look is ambiguous, in microseconds. */
#define PERIOD_US G_USEC_PER_SEC
#define NEAR_US   5000

/* A sample of query-migrate. */
struct sample {
    gint64 at;
    json_int_t iteration, transferred, remaining, throttle;
};

/* A look of QEMU for dirty pages. */
struct look {
    gint64 at, pages;
};

struct godwit_iterations {
    GArray *samples; /* of struct sample */
    GArray *begun;   /* of gint64 */
    GArray *looks;   /* of struct look */
    double ratio;    /* bytes sent for each byte of a page that was sent; NaN: unknown */
};

struct godwit_iterations *godwit_iterations_new(void)
{
    struct godwit_iterations *iterations = g_new0(struct godwit_iterations, 1);
    iterations->samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    iterations->begun = g_array_new(FALSE, FALSE, sizeof(gint64));
    iterations->looks = g_array_new(FALSE, FALSE, sizeof(struct look));
    iterations->ratio = (double)NAN;
    return iterations;
}

void godwit_iterations_free(struct godwit_iterations *iterations)
{
    if (!iterations)
        return;
    g_array_unref(iterations->samples);
    g_array_unref(iterations->begun);
    g_array_unref(iterations->looks);
    g_free(iterations);
}

/* Returns the bytes that were sent for each byte of a dirty page; NaN if no page was sent, or if
 * QEMU does not report it. At the start of a migration all pages are dirty. */
static double ratio_of(const json_t *info, const json_t *ram)
{
    const double pages =
        (double)godwit_json_integer(ram, "normal", 0) +
        (double)godwit_json_integer(ram, "duplicate", 0) +
        (double)godwit_json_integer(json_object_get(info, "xbzrle-cache"), "pages", 0);
    const double size = (double)godwit_json_integer(ram, "page-size", 0);
    const double sent = (double)godwit_json_integer(ram, "transferred", 0);
    return pages > 0 && size > 0 && sent > 0 ? sent / (pages * size) : (double)NAN;
}

void godwit_iterations_take(struct godwit_iterations *iterations, gint64 at, const json_t *info)
{
    const json_t *ram = json_object_get(info, "ram");
    if (!json_is_integer(json_object_get(ram, "transferred")))
        return;
    const struct sample sample = {at, godwit_json_integer(ram, "dirty-sync-count", 0),
                                  godwit_json_integer(ram, "transferred", 0),
                                  godwit_json_integer(ram, "remaining", 0),
                                  /* QEMU leaves it out while it does not throttle the CPUs. */
                                  godwit_json_integer(info, "cpu-throttle-percentage", 0)};
    g_array_append_val(iterations->samples, sample);
    iterations->ratio = ratio_of(info, ram);
}

void godwit_iterations_begin(struct godwit_iterations *iterations, gint64 at)
{
    g_array_append_val(iterations->begun, at);
}

void godwit_iterations_found(struct godwit_iterations *iterations, gint64 at, gint64 pages)
{
    const struct look look = {at, pages};
    g_array_append_val(iterations->looks, look);
}

static json_t *figure(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Returns the pages that each look has found since the one before; NaN: unknown. The caller frees
 * it. */
static double *found_pages(const struct godwit_iterations *iterations)
{
    double *found = g_new(double, iterations->looks->len + 1);
    gint64 period = 0, earlier = 0;
    bool sure = true;
    for (guint i = 0; i < iterations->looks->len; i++) {
        const struct look *look = &g_array_index(iterations->looks, struct look, i);
        if (i == 0)
            period = look->at;
        found[i] = sure && look->pages >= earlier ? (double)(look->pages - earlier) : (double)NAN;
        const gint64 past = look->at - period - PERIOD_US;
        sure = ABS(past) > NEAR_US;
        earlier = past > 0 ? 0 : look->pages;
        if (past > 0)
            period = look->at;
    }
    return found;
}

/* Returns the curve of the bytes sent. The caller unreferences it. */
static GArray *bytes_curve(const struct godwit_iterations *iterations, gint64 setup,
                           gint64 completed)
{
    GArray *curve = godwit_curve_new();
    const GArray *samples = iterations->samples;
    godwit_curve_add(curve, 0, 0);
    for (guint i = 0; i < samples->len; i++) {
        const struct sample *sample = &g_array_index(samples, struct sample, i);
        /* Nothing is sent after the end, so what is known later was so then. */
        const gint64 at = completed ? MIN(sample->at, completed) : sample->at;
        godwit_curve_add(curve, (double)(at - setup) / 1000, (double)sample->transferred);
    }
    return curve;
}

/* Returns when the iterations began, of gint64: when QEMU looked for dirty pages or, if it does not
 * trace that, when it reported a pass. Some QEMUs report none for the first. The caller
 * unreferences it. */
static GArray *beginnings(const struct godwit_iterations *iterations)
{
    if (!iterations->looks->len)
        return g_array_ref(iterations->begun);
    GArray *begun = g_array_new(FALSE, FALSE, sizeof(gint64));
    for (guint i = 0; i < iterations->looks->len; i++)
        g_array_append_val(begun, g_array_index(iterations->looks, struct look, i).at);
    return begun;
}

static json_t *iterations_json(const struct godwit_iterations *iterations, gint64 setup,
                               gint64 completed, const GArray *curve)
{
    g_autoptr(GArray) begun = beginnings(iterations);
    g_autofree double *found = found_pages(iterations);
    json_t *list = json_array();
    for (guint i = 0; i < begun->len; i++) {
        const bool last = i + 1 == begun->len;
        const gint64 from = g_array_index(begun, gint64, i);
        const gint64 to = last ? completed : g_array_index(begun, gint64, i + 1);
        const double at = (double)(from - setup) / 1000;
        const double ms = to > from ? (double)(to - from) / 1000 : (double)NAN;
        /* The first one includes what is sent to set the migration up. */
        const double sent = i ? godwit_curve_at(curve, at, GODWIT_ITERATIONS_GAP_MS) : 0;
        const double bytes = godwit_curve_at(curve, at + ms, GODWIT_ITERATIONS_GAP_MS) - sent;
        /* What the last one dirties is sent in no later one: the guest is stopped. */
        const double dirty = i + 1 < iterations->looks->len ? found[i + 1] : (double)NAN;
        json_array_append_new(
            list, json_pack("{s:i, s:f, s:o, s:o, s:o, s:o, s:o}", "iteration", (int)i + 1, "at_ms",
                            at, "ms", figure(ms), "bytes", figure(bytes), "bytes_per_s",
                            figure(bytes / ms * 1000), "dirty_pages", figure(dirty),
                            "dirty_pages_per_s", figure(dirty / ms * 1000)));
    }
    return list;
}

static json_t *samples_json(const struct godwit_iterations *iterations, gint64 setup)
{
    json_t *list = json_array();
    for (guint i = 0; i < iterations->samples->len; i++) {
        const struct sample *sample = &g_array_index(iterations->samples, struct sample, i);
        json_array_append_new(list, json_pack("{s:f, s:I, s:I, s:I, s:I}", "at_ms",
                                              (double)(sample->at - setup) / 1000, "iteration",
                                              sample->iteration, "transferred", sample->transferred,
                                              "remaining", sample->remaining, "throttle_percent",
                                              sample->throttle));
    }
    return list;
}

json_t *godwit_iterations_result(struct godwit_iterations *iterations, gint64 setup,
                                 gint64 completed)
{
    g_autoptr(GArray) curve = bytes_curve(iterations, setup, completed);
    return json_pack("{s:o, s:o, s:o}", "bytes_per_dirty_byte", figure(iterations->ratio),
                     "iterations", iterations_json(iterations, setup, completed, curve), "samples",
                     samples_json(iterations, setup));
}
