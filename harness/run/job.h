/*
 * A job: one run of one scenario on one machine with one pair of binaries, by a worker process.
 * This comment describes how the job reaches that process and how the result comes back, as JSON.
 *
 * The worker reads one object from standard input, godwit_job_to_json(). Descriptor 4 is a pipe
 * whose end of file means that the worker's guests may run. The worker writes one object a line to
 * descriptor 3: {"progress": phase, ...} any number of times, {"over": true} if it knows that none
 * of its guests will run any more before it is done with everything else, and finally the result:
 *
 *   status    "pass", "known" (passed, with an excused known bug of QEMU, see the measurements),
 *             "fail", "skip", or "error" (environment: exit status 2; of the kind "not-run" if the
 *             harness did not run the job, or not to its end)
 *   known     of a failure that a known bug explains and that nobody accepts: the bug's id
 *   message   what was wrong or missing; "" for a pass
 *   kind      of a failure: the kind of failure, a word for an enum godwit_error
 *   phase     of a failure: the phase in which it occurred
 *   phases    [{"name", "at", "ms"}]: when each phase began and how long it took, in order
 *   oracles   which oracles have judged, and how much, godwit_oracles_judged()
 *   waited    how long the worker waited for its turn, in ms; part of no phase
 *   measurements   what was measured and proven; "checks" are those of godwit_testbed_check()
 *
 * Every result but a pass has these as well, and a pass if the job has `keep`:
 *
 *   vms       the description of each VM, godwit_vm_describe(), "mailboxes" and, of one that has
 *             crashed, "backtrace"
 *   timeline  the QEMUs' events and the phases: [{"at", "vm", "what"}], in order
 *   guest     the parameters of the guest
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
    GArray *capabilities; /* of struct godwit_capability; spec.capabilities points to it */
    GArray *parameters;   /* of struct godwit_parameter, likewise */
    struct godwit_setup setup;
    char *fault;              /* the fault of an ad-hoc migration, which spec.fault points to; NULL:
                             none */
    char *target;             /* name of the target in reports; NULL: the architecture */
    char *type;               /* setup.type points to it */
    char *accel;              /* setup.accel points to it */
    char **source_words;      /* setup.source_words points to it; NULL: none */
    char **destination_words; /* likewise */
    char *after;              /* setup.after points to it; NULL: none */
    char *peer, *peer_address;  /* those of setup point to them; NULL: none */
    json_t *source_recipe;      /* setup.source_recipe is this; NULL: none */
    json_t *destination_recipe; /* likewise */
    json_t *settings;           /* setup.settings is this; NULL: none */
    unsigned command_words;     /* how many of the setup's words, its first ones, come from there */
    char *command;              /* the file of the command line that was given; NULL: none */
    unsigned repetition;        /* from 1 */
    unsigned repetitions;       /* of this scenario in the run; 0: endless */
    unsigned confirms;          /* number of the result that it confirms, see confirm.h; 0: none */
    bool progress;              /* report progress */
    bool keep;                  /* keep the bundle of a pass as well */
};

/* The descriptor on which a worker reports. */
#define GODWIT_WORKER_FD 3
/* The descriptor whose end of file gives a worker its turn. */
#define GODWIT_TURN_FD 4

/* Creates a job with no strings set. The caller frees it with godwit_job_free(). */
struct godwit_job *godwit_job_new(void);
void godwit_job_free(struct godwit_job *job);

/* Returns a copy with the same setup, which the caller frees. */
struct godwit_job *godwit_job_copy(const struct godwit_job *job);

/* Gives the job copies of its setup's further arguments, which the setup then points to. */
void godwit_job_own_words(struct godwit_job *job);

/* Gives the job references to recipes, which its setup then uses. Either may be NULL. */
void godwit_job_set_recipes(struct godwit_job *job, json_t *source, json_t *destination);

/* Gives the job a reference to SETTINGS, which its setup then uses. It may be NULL. */
void godwit_job_set_settings(struct godwit_job *job, json_t *settings);

/* Adds BY to the seed of the job. */
void godwit_job_reseed(struct godwit_job *job, unsigned by);

/* Returns the scenario's name, or "migrate" for an ad-hoc migration. Borrowed. */
const char *godwit_job_name(const struct godwit_job *job);

/* Returns the name of the target in reports. Borrowed. */
const char *godwit_job_target(const struct godwit_job *job);

/* Returns a command line that runs this job again. The caller frees it. */
char *godwit_job_again(const struct godwit_job *job);

/* Returns the job as JSON, for its worker. The caller frees it. */
json_t *godwit_job_to_json(const struct godwit_job *job);

/* Returns the job that JSON describes. The caller frees it, and the two binaries in its setup as
 * well. Fails with USAGE if JSON is not a valid job. */
struct godwit_job *godwit_job_from_json(const json_t *json, GError **error);

/* Runs `godwit worker`: reads a job, runs it in DIRECTORY and reports. Returns the exit status of
 * the process. */
int godwit_worker_main(const char *directory);

#endif
