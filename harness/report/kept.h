/*
 * The files that reports add to the folder of a result: report.txt and replay.sh.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_KEPT_H
#define GODWIT_HARNESS_REPORT_KEPT_H

#include "run/run.h"

/* Writes them into each folder that a run keeps. */
extern struct godwit_observer godwit_kept_writer;

#endif
