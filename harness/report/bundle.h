/*
 * The report of a bundle: all there is to know of one result, for somebody who has never heard of
 * Godwit. It is the file report.txt in the folder that a failure leaves.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_BUNDLE_H
#define GODWIT_HARNESS_REPORT_BUNDLE_H

#include "run/run.h"

/* The report of a result, as job.h and report.h describe it; the caller's. It begins with what is
 * wrong, in two sentences. */
char *godwit_report_bundle(const json_t *result);

/* Writes that report into each folder that a run keeps. */
extern struct godwit_observer godwit_bundle_writer;

#endif
