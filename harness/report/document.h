/*
 * Results that --format json has written: reads them from a file, merges those of shards, and hands
 * them to a reporter as a run would.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_DOCUMENT_H
#define GODWIT_HARNESS_REPORT_DOCUMENT_H

#include "report/report.h"

/* Reads the results in the file PATH. Whatever reporters rely on is as results.schema.json says.
 * Returns the document, which the caller releases. Fails with ENVIRONMENT if the file cannot be
 * read, and with USAGE, in one line, if it has no results of this version. */
json_t *godwit_document_read(const char *path, GError **error);

/* Returns the summary of a document, counted from its results. */
struct godwit_summary godwit_document_summary(const json_t *document);

/* Reports the document, from the first call of a reporter to the last. */
void godwit_document_report(const json_t *document, struct godwit_reporter *reporter);

/* Returns a name for a result that no other result of a run has. The caller frees it. */
char *godwit_document_key(const json_t *result);

/* Returns the results of all shards of one run as one document. PATHS are the names of DOCUMENTS,
 * for messages; COMMAND is the command line of the merge. The caller releases the document. Fails
 * with USAGE if a shard is missing, doubled or of another run. */
json_t *godwit_document_merge(const GPtrArray *documents, char *const *paths, const char *command,
                              GError **error);

#endif
