/*
 * A job: one scenario on one machine with one pair of binaries, to be run once by a worker process;
 * and how it crosses to that process and back, as JSON.
 *
 * To the worker, on its standard input: one object, godwit_job_to_json(); and on descriptor 4, when
 * its guests may run, one byte. Back, on descriptor 3: one object a line, {"progress": phase, ...}
 * any number of times, {"over": true} when no guest of it runs any more, if it knows that before it
 * is through with everything else, then the result:
 *
 *   status    "pass", "known" (passed, but for a known bug of QEMU, see the facts), "fail", "skip",
 *             or "error" (environment: exit status 2; of the kind "not-run" if the harness did not
 *             run it, or not to its end)
 *   known     of a failure that a known bug explains and that nobody accepts: the bug's id
 *   message   what was wrong, or missing; "" for a pass
 *   kind      of a failure: what sort it is, an enum godwit_error in a word
 *   phase     of a failure: the phase that it was met in
 *   phases    [{"name", "at", "ms"}]: when each phase began and how long it took, in order
 *   oracles   which oracles have judged, and how much, godwit_oracles_judged()
 *   waited    how long it waited until its guests might run, in ms: no part of any phase
 *   facts     what was measured and proven; "checks" among them, godwit_testbed_note_check()
 *
 * and of everything but a pass, or if the job says `keep`, what a bundle needs besides:
 *
 *   vms       what a bug report needs of each VM, godwit_vm_describe(), "mailboxes" and, of one
 *             that has crashed, "backtrace"
 *   timeline  what the QEMUs told by events, and the phases: [{"at", "vm", "what"}], in order
 *   guest     what the guest was told to do
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_JOB_H
#define GODWIT_HARNESS_RUN_JOB_H

#include "qemu/qemu.h"
#include "scenario/scenario.h"
#include "testbed/testbed.h"

struct godwit_job {
    const struct godwit_scenario *scenario; /* NULL: an ad-hoc migration, by the spec */
    struct godwit_spec spec;                /* of an ad-hoc migration */
    GArray *capabilities; /* of struct godwit_capability, what spec.capabilities points to */
    GArray *parameters;   /* of struct godwit_parameter, likewise */
    struct godwit_setup setup;
    char *fault;          /* what spec.fault points to, of an ad-hoc migration; NULL: none */
    char *target;         /* how reports call what it runs on; NULL: by the architecture */
    char *type;           /* what setup.type points to */
    char *accel;          /* what setup.accel points to */
    unsigned repetition;  /* from 1 */
    unsigned repetitions; /* of this scenario in the run; 0: no end set */
    unsigned confirms;    /* what it is a repetition of, see confirm.h; 0: nothing */
    bool progress;        /* somebody watches: report it */
    bool keep;            /* a pass is to leave its bundle, too */
};

/* Descriptor on which a worker reports. */
#define GODWIT_WORKER_FD 3
/* ... and on which it is told that it is its turn. */
#define GODWIT_TURN_FD 4

/* A job with no strings set. */
struct godwit_job *godwit_job_new(void);
void godwit_job_free(struct godwit_job *job);

/* A copy with the same setup for another scenario or repetition. */
struct godwit_job *godwit_job_copy(const struct godwit_job *job);

/* Gives the job the seed that is BY further on. */
void godwit_job_reseed(struct godwit_job *job, unsigned by);

/* The scenario's name, "migrate" for an ad-hoc migration. */
const char *godwit_job_name(const struct godwit_job *job);

/* How reports call what it runs on. Borrowed. */
const char *godwit_job_target(const struct godwit_job *job);

/* A command line that runs this job again; the caller's. */
char *godwit_job_again(const struct godwit_job *job);

json_t *godwit_job_to_json(const struct godwit_job *job);

/* The job that the object describes; the binaries it refers to are the caller's to free, as it is.
 * USAGE error if it describes none. */
struct godwit_job *godwit_job_from_json(const json_t *json, GError **error);

/* `godwit worker`: reads a job, runs it, reports. The exit status is that of the process. */
int godwit_worker_main(const char *directory);

#endif
