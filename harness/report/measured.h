/*
 * What a measured run looks like: its timeline, the waterfall of its downtime, and tables of the
 * rest, as parts of a page.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_MEASURED_H
#define GODWIT_HARNESS_REPORT_MEASURED_H

#include "base/json.h"
#include <glib.h>

/* Returns whether MEASUREMENTS, which may be NULL, are those of a measured run. */
bool godwit_measured_has(const json_t *measurements);

/* Appends them to PAGE. NAME is what the run is called in titles. */
void godwit_measured_write(GString *page, const json_t *measurements, const char *name);

/* Appends only the waterfall. */
void godwit_measured_write_waterfall(GString *page, const json_t *measurements, const char *name);

#endif
