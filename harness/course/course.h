/*
 * The course that most scenarios take, and its steps for those that take another. A spec says, as
 * data, how the guest is migrated and what is expected.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_COURSE_H
#define GODWIT_HARNESS_COURSE_COURSE_H

#include "migrate/migrate.h"
#include "migrate/throttle.h"
#include "migrate/tls.h"

/* At this bandwidth, in bytes a second, what is left after the switch to postcopy takes hours,
 * whether the guest asks for it or not. */
#define GODWIT_POSTCOPY_THROTTLED 4096

/* A scenario's own step in the common course. False with ERROR set fails the scenario. */
typedef bool (*godwit_step)(struct godwit_vm *source, struct godwit_vm *destination,
                            GError **error);

/* How the guest is moved. */
enum godwit_move {
    GODWIT_MOVE_LIVE,    /* precopy, unthrottled as soon as it is proven to be live */
    GODWIT_MOVE_ITERATE, /* likewise, but not before iteration 2: tests pages that are sent again */
    GODWIT_MOVE_STOPPED, /* the source is stopped first */
    GODWIT_MOVE_POSTCOPY,        /* switched to postcopy as soon as it is proven to be live */
    GODWIT_MOVE_POSTCOPY_PAUSED, /* likewise; the destination starts paused, so that it can be
                                    compared with the source as after a precopy */
    GODWIT_MOVES,
};

/* What has to become of the migration. */
enum godwit_outcome {
    GODWIT_OUTCOME_ARRIVES, /* the guest runs on the destination */
    GODWIT_OUTCOME_FAILS,   /* the source runs on, and the destination never runs */
};

/* One migration as data, for godwit_course_run(). docs/scenarios.md describes each field. */
struct godwit_spec {
    enum godwit_transport transport;
    enum godwit_move move;
    enum godwit_outcome outcome;
    bool channels;   /* addresses go into the `channels` argument, not into `uri` */
    bool suspend;    /* the guest suspends itself before, and is woken up after */
    bool no_ram;     /* no RAM is sent, so there is nothing to throttle or to prove live */
    const char *uri; /* the address of a transport that is a file; NULL: the default */
    const struct godwit_capability *capabilities; /* set on both sides; NULL: none */
    const struct godwit_parameter *parameters;    /* set on both sides; NULL: none */
    const char *fault; /* what the relay injects, as godwit_fault_parse() has it; NULL: nothing */
    const struct godwit_tls *tls;             /* over TLS, through a relay; NULL: plain */
    const char *const *source_arguments;      /* more of the command line; NULL: none */
    const char *const *destination_arguments; /* likewise */

    /* Has what goes by way of a relay watched; NULL: there is no relay for it. */
    void (*watch)(struct godwit_testbed *testbed, struct godwit_relay *relay);

    /* Own steps, NULL for none: */
    godwit_step configure; /* before the destination listens */
    godwit_step started;   /* the source has been told to send */
    godwit_step live;      /* proven to be live, still throttled */
    godwit_step released;  /* unthrottled, or switched to postcopy */
    godwit_step judge;     /* over, and verified; both guests stand still (postcopy: run on) */
};

/* Returns whether the migration is switched to postcopy. */
static inline bool godwit_spec_is_postcopy(const struct godwit_spec *spec)
{
    return spec->move == GODWIT_MOVE_POSTCOPY || spec->move == GODWIT_MOVE_POSTCOPY_PAUSED;
}

/*
 * The common course: start both, see the guest work, migrate as the spec says, judge by every
 * oracle that applies, see the guest go on, end both cleanly.
 */
bool godwit_course_run(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       GError **error);

/* The pieces of that course, for hooks that take another one. */

/* Lets a postcopy send what GODWIT_POSTCOPY_THROTTLED has held back. */
bool godwit_course_unthrottle_postcopy(struct godwit_vm *source, GError **error);

/* Starts a source and waits for its guest's first READY and PASS. */
struct godwit_vm *godwit_course_source(struct godwit_testbed *testbed, GError **error);

/* The same with ARGUMENTS of its own, for godwit_vm_start(). */
struct godwit_vm *godwit_course_source_with(struct godwit_testbed *testbed,
                                            const char *const *arguments, GError **error);

/* Ends a scenario that is through: VM, and OTHER unless it is NULL, quit cleanly. Nothing of it
 * runs a guest any more. */
bool godwit_course_end(struct godwit_vm *vm, struct godwit_vm *other, GError **error);

/* Stops the guest, and takes everything off its console that it had written by then. */
bool godwit_course_stop(struct godwit_vm *vm, GError **error);

/* Starts a destination and waits for it to answer, or only waits for one of that name that was
 * started ahead. */
struct godwit_vm *godwit_course_destination(struct godwit_testbed *testbed, const char *name,
                                            bool held, GError **error);

/* Starts a destination that will be asked for later, under the same name and HELD alike: it gets
 * ready together with others, and no guest runs for nothing while everybody waits for it. */
bool godwit_course_ahead(struct godwit_testbed *testbed, const char *name, bool held,
                         GError **error);

/* Starts a destination of that NAME and, together with it, the source: godwit_course_source(). */
bool godwit_course_both(struct godwit_testbed *testbed, const char *name, bool held,
                        struct godwit_vm **source, struct godwit_vm **destination, GError **error);

/* Fails unless the VM's run state is WANTED, once it is not that of a migration that is coming to
 * its end. WHEN completes "the run state ...". */
bool godwit_course_expect_status(struct godwit_vm *vm, const char *wanted, const char *when,
                                 GError **error);

/* Turns postcopy-ram on. Postcopy is the host's to allow: a refusal where the host has no
 * userfaultfd for us is a SKIP error. */
bool godwit_course_enable_postcopy(struct godwit_vm *vm, GError **error);

/* Waits until the source's run state is no longer that of a migration that is coming to its end. */
bool godwit_course_unwind(struct godwit_vm *source, GError **error);

/* Waits for the source to have settled, in run state postmigrate, after its migration. */
bool godwit_course_settle(struct godwit_vm *source, GError **error);

/* Fails unless the VM refuses COMMAND with ARGUMENTS (taken) and stays as it is: in that run state,
 * without a migration, and without having told of one. */
bool godwit_course_refuse(struct godwit_vm *vm, const char *command, json_t *arguments,
                          const char *status, GError **error);

/* Sees the guest complete one pass more than it has shown by now, each of its CPUs. */
bool godwit_course_see_it_run(struct godwit_vm *vm, GError **error);

/* That the destination of a migration that failed or was cancelled has ended with an error, or
 * waits as it did before, and never ran. Ends it. */
bool godwit_course_refused(struct godwit_vm *destination, GError **error);

/*
 * That a migration that had to fail has done so well: the destination has ended with an error or
 * waits, and never ran; the source's guest runs on, and its memory is in order. Ends both.
 */
bool godwit_course_survive(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Migrates SOURCE to DESTINATION (held, for precopy) and judges; the destination's guest has run,
 * and stands still then. */
bool godwit_course_leg(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* The same, up to the end of both. */
bool godwit_course_move(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                        struct godwit_vm *source, struct godwit_vm *destination, GError **error);

#endif
