/*
 * Shared by the parts of the page of a measured run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_MEASURED_PARTS_H
#define GODWIT_HARNESS_REPORT_MEASURED_PARTS_H

#include "report/measured.h"

/* The label of each axis of time. */
extern const char godwit_time_label[];

/* Appends the timeline of a run. NAME is what the run is called in titles. */
void godwit_timeline_write(GString *page, const json_t *measurements, const char *name);

#endif
