/*
 * The report of a bundle: everything about one result, for a reader who does not know Godwit. It is
 * the file report.txt in the folder that a failure leaves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_BUNDLE_H
#define GODWIT_HARNESS_REPORT_BUNDLE_H

#include "base/json.h"

/* Returns the report of a result, which the caller frees. RESULT is an object as job.h and result.h
 * describe it. The report begins with what is wrong, in two sentences. */
char *godwit_report_bundle(const json_t *result);

#endif
