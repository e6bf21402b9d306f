/*
 * What the formats of `godwit compare` share. The caller frees each text.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_COMPARE_PARTS_H
#define GODWIT_HARNESS_REPORT_COMPARE_PARTS_H

#include "report/compare.h"
#include <stdio.h>

/* Return the cells of a row: the median of an arm with its unit, an estimate with its interval, the
 * smallest change that would have shown, and p after Holm. */
char *godwit_row_median_text(const struct godwit_row *row, enum godwit_arm arm);
char *godwit_row_estimate_text(const struct godwit_row *row,
                               const struct godwit_estimate *estimate);
char *godwit_row_smallest_text(const struct godwit_row *row);
char *godwit_row_p_text(const struct godwit_row *row);

/* Returns the head of the column NAME, with the confidence of its intervals. */
char *godwit_compare_column(const char *name, const struct godwit_compare_report *report);

/* Write the lines about the comparison, and about the runs of a scenario. */
void godwit_compare_write_head(FILE *out, const struct godwit_compare_report *report);
void godwit_compare_write_scenario(FILE *out, const struct godwit_compare_scenario *scenario);

/* Write the formats that have a file of their own. */
void godwit_compare_write_html(FILE *out, const struct godwit_compare_report *report);
void godwit_compare_write_bmf(FILE *out, const struct godwit_compare_report *report);
void godwit_compare_write_openmetrics(FILE *out, const struct godwit_compare_report *report);

#endif
