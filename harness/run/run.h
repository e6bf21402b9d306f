/*
 * A run: executes many jobs, several at a time, each in a worker process, and reports to observers.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_RUN_H
#define GODWIT_HARNESS_RUN_RUN_H

#include "run/janitor.h"
#include "run/job.h"

/* Counts of results by status. */
struct godwit_summary {
    unsigned passed, failed, skipped, errors;
    unsigned known;     /* passed, with an excused known bug of QEMU */
    unsigned red_known; /* failures caused by a known bug that is not accepted */
    unsigned not_run;   /* errors of jobs that did not run, or not to their end */
    unsigned planned;   /* number of jobs in the run; 0: endless */
    double seconds;     /* wall time */
    bool interrupted;
};

/* The callbacks of a run, each called with DATA first. Each may be NULL. JOB and RESULT are
 * borrowed; result.h describes RESULT. */
struct godwit_observer {
    gpointer data;
    /* Called before the first result. PLANNED is that of the summary. */
    void (*begin)(gpointer data, unsigned planned);
    void (*progress)(gpointer data, const struct godwit_job *job, const json_t *progress);
    /* The folder of a job is kept; "folder" of RESULT is its path. Called before result(), and also
     * for jobs that only confirm the result of another job. */
    void (*kept)(gpointer data, const json_t *result);
    void (*result)(gpointer data, const json_t *result);
    void (*end)(gpointer data, const struct godwit_summary *summary);
};

struct godwit_run {
    GPtrArray *jobs;    /* of struct godwit_job; borrowed */
    GPtrArray *skipped; /* results of scenarios that cannot run at all; borrowed */
    unsigned parallel;  /* number of jobs whose guests run at a time, at least 1; more may get
                           ready */
    bool until_fail;    /* end at the first failure or error; with endless, repeat the jobs until
                           then */
    bool endless;
    bool keep;          /* also keep the folder of each job that passed */
    const char *folder; /* temporary folder, in which the jobs' folders are created */
    const char *output; /* where kept folders go, created when needed; NULL: keep none */
    struct godwit_janitor *janitor;
    GPtrArray *observers; /* of struct godwit_observer; borrowed */
    bool *interrupted;    /* set by the signal handlers */
};

/* Returns how many jobs beyond PARALLEL may start their QEMUs ahead, so that one is ready when
 * another ends. A run of one job at a time starts none ahead. */
unsigned godwit_run_ahead(unsigned parallel);

/*
 * Runs every job and calls every observer. Every job has exactly one result. A job that did not
 * run, or not to its end, because the run was interrupted, ended at a failure or could start no
 * worker, has an error of the kind "not-run" with the reason. An endless run reports no such errors
 * after its first round.
 */
struct godwit_summary godwit_run_jobs(struct godwit_run *run);

/* Counts one more result in a summary. */
void godwit_summary_add(struct godwit_summary *summary, const json_t *result);

/* Returns the exit status for a summary, as `godwit --help` documents it. */
int godwit_summary_status(const struct godwit_summary *summary);

/* Fails with ENVIRONMENT if nothing ran, because all jobs were skipped or none were left. Succeeds
 * all the same if that is ALLOWED or the run was interrupted. A run that tests nothing must not
 * look like a success. */
bool godwit_summary_check(const struct godwit_summary *summary, bool allowed, GError **error);

#endif
