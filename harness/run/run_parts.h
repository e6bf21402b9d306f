/*
 * Shared by run.c and child.c: the worker, as the run sees it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_RUN_PARTS_H
#define GODWIT_HARNESS_RUN_RUN_PARTS_H

#include "run/run.h"
#include <gio/gio.h>

/* One started job and its process. */
struct worker {
    struct godwit_run *run;
    struct godwit_job *job;
    char *folder;
    GSubprocess *process;
    pid_t pid; /* also its process group */
    int fd;    /* reading end of the pipe that it reports on */
    int turn;  /* writing end of the pipe that gives it its turn by closing; -1 once it has its
                  turn */
    guint source;
    guint timer; /* runs from its turn on */
    GString *input;
    char *phase;    /* the latest that it reported; owned */
    json_t *result; /* NULL until it reports one; owned */
    gint64 began;
    bool late;
    bool over;    /* none of its guests runs any more */
    bool dropped; /* it was ended before its turn */
    bool exited;
    bool kept; /* its folder was moved to the output folder */
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

/* The outcome of a read from a worker's pipe. */
enum input { INPUT_TAKEN, INPUT_NONE_YET, INPUT_END };

/* Reads once from the worker's pipe and handles each complete line. */
enum input godwit_worker_take_input(struct worker *worker);

/* Kills the worker's process group: the worker and nearly everything that it started. The run's
 * sweep finds the rest. */
void godwit_worker_kill(const struct worker *worker);

/* Closes the worker's descriptors and frees it and its job. */
void godwit_worker_free(struct worker *worker);

/* Starts a worker for JOB (taken), in a folder of its own whose name begins with SERIAL. Returns
 * NULL with ERROR set if that fails. */
struct worker *godwit_worker_start(struct godwit_run *run, struct godwit_job *job, unsigned serial,
                                   GError **error);

/* Lets the worker run its guests, and starts the clock of its deadline. */
void godwit_worker_give_turn(struct worker *worker);

/* Returns a result for a worker that ended without a sound one; the caller frees it. Its status is
 * "error", not "fail", because the cause is the host or Godwit, not QEMU. */
json_t *godwit_worker_lost(const struct worker *worker);

/* Returns whether the worker has reported a result and exited with status 0. The report of one that
 * then failed (a sanitizer complained, for example) must not be believed. */
bool godwit_worker_is_sound(const struct worker *worker);

#endif
