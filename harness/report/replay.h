/*
 * A shell script that repeats a run without Godwit: for a bug report to QEMU, and for whoever wants
 * to see a failure on a machine that has no Godwit.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_REPLAY_H
#define GODWIT_HARNESS_REPORT_REPLAY_H

#include "base/json.h"
#include <glib.h>

/*
 * Returns a script that starts the QEMUs of RESULT and sends them the QMP commands of that run,
 * read from the transcripts in the result's folder. The caller frees it.
 *
 * Returns NULL, and sets *WHY to the reason, which the caller frees, if
 * the run was more than commands: if Godwit changed the stream, passed a descriptor, or was itself
 * one side of the migration.
 */
char *godwit_report_replay(const json_t *result, char **why);

#endif
