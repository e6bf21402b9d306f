/*
 * A run: many jobs, several at a time, each in a worker process. Observers learn what happens.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_RUN_H
#define GODWIT_HARNESS_RUN_RUN_H

#include "run/janitor.h"
#include "run/job.h"

/* How many jobs ended how. */
struct godwit_summary {
    unsigned passed, failed, skipped, errors;
    unsigned known;     /* passed, but for a known bug of QEMU */
    unsigned red_known; /* of those that failed: by a known bug that nobody accepts */
    unsigned not_run;   /* of the errors: jobs that were not run, or not to their end */
    unsigned planned;   /* jobs there were to run; 0: no end set */
    double seconds;     /* wall time */
    bool interrupted;
};

/* What a run calls as it goes on, with DATA first. Each function may be NULL. JOB and RESULT are
 * borrowed; RESULT is as result.h describes it. */
struct godwit_observer {
    gpointer data;
    /* Before the first result; PLANNED as in the summary. */
    void (*begin)(gpointer data, unsigned planned);
    void (*progress)(gpointer data, const struct godwit_job *job, const json_t *progress);
    /* The folder of a job stays; "folder" of RESULT says where. Comes before the result, and for
     * jobs that only confirm another's result as well. */
    void (*kept)(gpointer data, const json_t *result);
    void (*result)(gpointer data, const json_t *result);
    void (*end)(gpointer data, const struct godwit_summary *summary);
};

struct godwit_run {
    GPtrArray *jobs;    /* of struct godwit_job; borrowed */
    GPtrArray *skipped; /* of json_t: results of what cannot be run at all; borrowed */
    unsigned parallel;  /* jobs whose guests run at a time, 1 or more; more may get ready */
    bool until_fail;    /* end at the first that is no pass and no skip; the jobs are run
                           again and again, if endless */
    bool endless;
    bool keep;          /* keep the folder of each job that passed, too */
    const char *folder; /* temporary folder: where the jobs' folders are made */
    const char *output; /* where those go that are kept; NULL: none is. Made when it is needed */
    struct godwit_janitor *janitor;
    GPtrArray *observers; /* of struct godwit_observer; borrowed */
    bool *interrupted;    /* set by the signal handlers */
};

/* How many jobs beyond PARALLEL start their QEMUs meanwhile, so that one is ready when another is
 * through. Who wants one job at a time wants nothing beside it. */
unsigned godwit_run_ahead(unsigned parallel);

/*
 * Runs every job and calls every observer. Every job has exactly one result, whatever happens: one
 * that was not run, or not to its end, because the run was interrupted, ended at a failure or could
 * start no worker, is an error of the kind "not-run" that says so. (An endless run has no jobs that
 * are still to come after its first round.)
 */
struct godwit_summary godwit_run_jobs(struct godwit_run *run);

/* Exit status for a summary: see the mission of exit statuses in `godwit --help`. */
int godwit_summary_status(const struct godwit_summary *summary);

/* Fails with ENVIRONMENT if nothing ran, because all jobs were skipped or there was none, unless
 * that is ALLOWED or the run was interrupted: what tests nothing must not look like a success. */
bool godwit_summary_check(const struct godwit_summary *summary, bool allowed, GError **error);

#endif
