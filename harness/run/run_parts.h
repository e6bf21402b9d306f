/*
 * What run.c and child.c share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_RUN_PARTS_H
#define GODWIT_HARNESS_RUN_RUN_PARTS_H

#include "run/run.h"
#include <gio/gio.h>

/* A job that is running. */
struct worker {
    struct godwit_run *run;
    struct godwit_job *job;
    char *folder;
    GSubprocess *process;
    pid_t pid; /* and process group */
    int fd;    /* reading end of its reports */
    int turn;  /* writing end of what tells it that it is its turn; -1 once it is */
    guint source;
    guint timer; /* from its turn on */
    GString *input;
    char *phase;    /* the latest it reported */
    json_t *result; /* once it reported one */
    gint64 began;
    bool late;
    bool over;    /* it has no guest any more that runs */
    bool dropped; /* its turn is not to come any more */
    bool exited;
    bool kept; /* its folder has been put where it stays */
};

/* Calls FUNCTION, a member of struct godwit_observer, of every observer that has one. */
#define OBSERVE(run, function, ...)                                                                \
    do {                                                                                           \
        for (guint o = 0; o < (run)->observers->len; o++) {                                        \
            const struct godwit_observer *observer = g_ptr_array_index((run)->observers, o);       \
            if (observer->function)                                                                \
                observer->function(observer->data, __VA_ARGS__);                                   \
        }                                                                                          \
    } while (0)

/* What a read from a worker's pipe came to. */
enum input { INPUT_TAKEN, INPUT_NONE_YET, INPUT_END };

/* Reads what the worker has written to its pipe, and takes each whole line. */
enum input godwit_worker_take_input(struct worker *worker);

/* Kills the worker and nearly everything that it started: its process group. */
void godwit_worker_kill(const struct worker *worker);

/* Closes the worker's descriptors and frees it and its job. */
void godwit_worker_free(struct worker *worker);

/* Starts a worker for JOB (taken), with a folder of its own whose name begins with SERIAL. Returns
 * NULL with ERROR set if that fails. */
struct worker *godwit_worker_start(struct godwit_run *run, struct godwit_job *job, unsigned serial,
                                   GError **error);

/* Lets the worker run its guests, and starts the clock of its deadline. */
void godwit_worker_give_turn(struct worker *worker);

/* Returns the result of a worker that ended without one, or badly: an error, because the cause is
 * the host or Godwit, not QEMU. */
json_t *godwit_worker_lost(const struct worker *worker);

/* Returns whether the worker has reported a result and exited with status 0. The report of one that
 * then failed (a sanitizer complained, for example) must not be believed. */
bool godwit_worker_is_sound(const struct worker *worker);

#endif
