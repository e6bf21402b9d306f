/*
 * Readings: what a report of measurements has for services that follow a figure over time. Bencher
 * reads its Metric Format (BMF), GitLab and Prometheus read OpenMetrics.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_READINGS_H
#define GODWIT_HARNESS_REPORT_READINGS_H

#include "base/json.h"
#include <stdio.h>

/* What a figure is, in the unit that both formats want. */
enum godwit_reading_kind {
    GODWIT_READING_TOTAL, /* times are in seconds */
    GODWIT_READING_BLACKOUT,
    GODWIT_READING_DOWNTIME,
    GODWIT_READING_SETUP,
    GODWIT_READING_SOURCE_CPU,
    GODWIT_READING_DESTINATION_CPU,
    GODWIT_READING_BYTES,
    GODWIT_READING_RATE, /* bytes per second */
    GODWIT_READING_KINDS /* how many there are */
};

/* A list of readings. */
struct godwit_readings;

struct godwit_readings *godwit_readings_new(void);
void godwit_readings_free(struct godwit_readings *readings);

/* Adds the median of some runs and the quartiles around it. BENCHMARK, which is copied, names what
 * was measured, the same from one report to the next. LABELS, an object of strings whose reference
 * is kept, says the same in parts. Does nothing if the median is not a number. */
void godwit_readings_add(struct godwit_readings *readings, enum godwit_reading_kind kind,
                         const char *benchmark, json_t *labels, const double quartiles[3]);

/* Writes an object with a member for each benchmark, whose members are its figures. */
void godwit_readings_write_bmf(FILE *out, const struct godwit_readings *readings);

/* Writes a gauge for each kind. The label "quantile" tells the median from the quartiles. */
void godwit_readings_write_openmetrics(FILE *out, const struct godwit_readings *readings);

#endif
