/*
 * The common course of a scenario, and its steps for scenarios with a course of their own. A
 * migration spec describes, as data, how the guest is migrated and what must come of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COURSE_COURSE_H
#define GODWIT_HARNESS_COURSE_COURSE_H

#include "migrate/migrate.h"
#include "migrate/throttle.h"
#include "migrate/tls.h"
#include "migrate/wire.h"

/* A postcopy bandwidth in bytes a second. At this rate the pages that are left after the switch to
 * postcopy take hours, whether the guest requests them or not. */
#define GODWIT_POSTCOPY_THROTTLED 4096
extern const struct godwit_parameter godwit_postcopy_throttled[]; /* nothing but that */

/* A scenario's own step in the common course. If it returns false with ERROR set, the scenario
 * fails. */
typedef bool (*godwit_step)(struct godwit_vm *source, struct godwit_vm *destination,
                            GError **error);

/* How the guest is moved. */
enum godwit_move {
    GODWIT_MOVE_LIVE,    /* precopy, unthrottled as soon as it is proven to be live */
    GODWIT_MOVE_ITERATE, /* likewise, but not before iteration 2: tests pages that are sent again */
    GODWIT_MOVE_STOPPED, /* the source is stopped first */
    GODWIT_MOVE_POSTCOPY,        /* switched to postcopy as soon as it is proven to be live */
    GODWIT_MOVE_POSTCOPY_PAUSED, /* likewise, but the destination is started paused, so that its RAM
                                    can be compared with the source's as after a precopy */
    GODWIT_MOVES,
};

/* The outcome that the migration must have. */
enum godwit_outcome {
    GODWIT_OUTCOME_ARRIVES, /* the guest runs on the destination */
    GODWIT_OUTCOME_FAILS,   /* the source runs on, and the destination never runs */
};

/* One migration as data, for godwit_course_run(). docs/scenarios.md describes each field. */
struct godwit_spec {
    enum godwit_transport transport;
    enum godwit_move move;
    enum godwit_outcome outcome;
    bool channels;   /* addresses go into the `channels` argument instead of `uri` */
    bool suspend;    /* the guest suspends itself before the migration, and is woken up after it */
    bool no_ram;     /* no RAM is sent, so there is nothing to throttle or to prove live */
    const char *uri; /* the address of a transport that is a file; NULL: the default */
    const struct godwit_capability *capabilities; /* set on both sides; NULL: none */
    const struct godwit_parameter *parameters;    /* set on both sides; NULL: none */
    const char *fault; /* what the relay injects, as godwit_fault_parse() has it; NULL: nothing */
    const struct godwit_tls *tls;             /* over TLS, through a relay; NULL: plain */
    const char *const *source_arguments;      /* added to the command line; NULL: none */
    const char *const *destination_arguments; /* likewise */

    /* Watches what passes through RELAY, which is made for that; NULL: no watcher. */
    void (*watch)(struct godwit_testbed *testbed, struct godwit_relay *relay);

    /* The scenario's own steps; NULL: none. */
    godwit_step configure; /* before the destination listens */
    godwit_step started;   /* once the source has accepted `migrate` */
    godwit_step live;      /* once it is proven to be live; it is still throttled */
    bool live_looks;       /* "live" changes nothing: left out if the speed is measured */
    godwit_step released;  /* once it is unthrottled, or switched to postcopy */
    godwit_step judge;     /* once it is over and verified; no guest runs, except after postcopy */
};

/* Returns whether the migration is switched to postcopy. */
static inline bool godwit_spec_is_postcopy(const struct godwit_spec *spec)
{
    return spec->move == GODWIT_MOVE_POSTCOPY || spec->move == GODWIT_MOVE_POSTCOPY_PAUSED;
}

/*
 * Runs the common course: starts both VMs, waits until the guest works, migrates it as SPEC
 * describes, judges by every oracle that applies, waits until the guest goes on, and ends both VMs
 * cleanly.
 */
bool godwit_course_run(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       GError **error);

/* The pieces of that course, for scenarios with a course of their own. */

/* Lifts GODWIT_POSTCOPY_THROTTLED from a postcopy. */
bool godwit_course_unthrottle_postcopy(struct godwit_vm *source, GError **error);

/* Starts a source, which the testbed owns, and waits for its guest's first READY and PASS. */
struct godwit_vm *godwit_course_source(struct godwit_testbed *testbed, GError **error);

/* Starts a source with ARGUMENTS added to its command line, see godwit_vm_start(), and waits for
 * its guest's first READY and PASS. Returns it, owned by the testbed. */
struct godwit_vm *godwit_course_source_with(struct godwit_testbed *testbed,
                                            const char *const *arguments, GError **error);

/* Waits until the source's guest has written its first READY and PASS, and marks its pages. */
bool godwit_course_see_first_pass(struct godwit_vm *source, GError **error);

/* Ends a scenario whose guests are stopped: makes VM and, unless it is NULL, OTHER quit cleanly. */
bool godwit_course_end(struct godwit_vm *vm, struct godwit_vm *other, GError **error);

/* Stops the guest, and reads all that it had written to its console by then. */
bool godwit_course_stop(struct godwit_vm *vm, GError **error);

/* Starts a destination, PAUSED or not, and waits until it answers on QMP. Messages and files have
 * its NAME. Returns it, owned by the testbed. */
struct godwit_vm *godwit_course_destination(struct godwit_testbed *testbed, const char *name,
                                            bool paused, GError **error);

/* Starts a destination as godwit_course_destination() does, but does not wait. It starts beside
 * other VMs, so that no guest has to run while the scenario waits for it. Call
 * godwit_vm_handshake() before you use it. */
struct godwit_vm *godwit_course_ahead(struct godwit_testbed *testbed, const char *name, bool paused,
                                      GError **error);

/* Starts a destination NAME and, beside it, the source, as godwit_course_destination() and
 * godwit_course_source() do. */
bool godwit_course_both(struct godwit_testbed *testbed, const char *name, bool paused,
                        struct godwit_vm **source, struct godwit_vm **destination, GError **error);

/* Fails with MIGRATION unless the VM's run state is WANTED. Waits first until it is no longer
 * "finish-migrate". WHEN completes "the run state ...". */
bool godwit_course_expect_status(struct godwit_vm *vm, const char *wanted, const char *when,
                                 GError **error);

/* Turns postcopy-ram on. Fails with SKIP if QEMU refuses because the host does not allow
 * userfaultfd. */
bool godwit_course_enable_postcopy(struct godwit_vm *vm, GError **error);

/* Starts a migration over SPEC's transport, with its capabilities and throttled, and proves that it
 * is live. It goes on until the caller lets it converge or ends it. */
bool godwit_course_go_live(const struct godwit_spec *spec, struct godwit_vm *source,
                           struct godwit_vm *destination, GError **error);

/* Waits until VM, which was started to see whether it starts, answers on QMP. Fails with SKIP and
 * QEMU's reason if QEMU ends instead, and with CRASH if it crashes. WHAT completes "needs more to
 * start WHAT". */
bool godwit_course_try_start(struct godwit_vm *vm, const char *what, GError **error);

/* Likewise for a destination whose source has started WHAT. It fails with MIGRATION if its QEMU
 * ends instead and is not the source's: such a machine cannot go there. */
bool godwit_course_try_destination(struct godwit_vm *vm, const char *what, GError **error);

/* Starts a source with the arguments HERE and, once that has started WHAT, a destination with THERE
 * and the ROLE; then waits for the guest's first READY and PASS. Fails as the two above. */
bool godwit_course_try_both(struct godwit_testbed *testbed, const char *what,
                            const char *const *here, const char *const *there,
                            enum godwit_vm_role role, struct godwit_vm **source,
                            struct godwit_vm **destination, GError **error);

/* Makes *ERROR, a reason to skip because VM's QEMU has refused to start WHAT, a failure, if VM
 * is the destination of a migration to another QEMU. Does nothing to other errors. */
void godwit_course_refuses(const struct godwit_vm *vm, const char *what, GError **error);

/* Fails with SKIP if QEMU reports that VM cannot be migrated, and quotes its reason. WHAT completes
 * "needs a WHAT that migrates". */
bool godwit_course_migrates(struct godwit_vm *vm, const char *what, GError **error);

/* Waits until the source's migration is over, and sees its guest run. Starts the guest if it was
 * STOPPED before the migration, or if the source has sent everything: such a source does not know
 * that the migration failed. Fails with MIGRATION if the guest does not run. */
bool godwit_course_take_back(struct godwit_vm *source, bool stopped, GError **error);

/* Waits until the source's run state is no longer "finish-migrate". */
bool godwit_course_unwind(struct godwit_vm *source, GError **error);

/* Waits until a source whose migration has completed leaves "finish-migrate". Fails with MIGRATION
 * unless its run state is "postmigrate" then and its migration "completed". */
bool godwit_course_settle(struct godwit_vm *source, GError **error);

/* Fails with MIGRATION unless the VM refuses COMMAND with ARGUMENTS and is unchanged by it: in run
 * state STATUS, without a migration, and without an event of one. Takes ARGUMENTS. */
bool godwit_course_refuse(struct godwit_vm *vm, const char *command, json_t *arguments,
                          const char *status, GError **error);

/* Lets the guest of VM run on, stops it, and judges it again. BEFORE are the mailboxes of the guest
 * as it was. */
bool godwit_course_judge_resumed(struct godwit_vm *vm, const struct godwit_mailbox *before,
                                 GError **error);

/* Waits until each of the guest's CPUs has completed one more pass. */
bool godwit_course_see_it_run(struct godwit_vm *vm, GError **error);

/* Waits until a guest that was reset has started anew, and has made a pass. */
bool godwit_course_see_restart(struct godwit_vm *vm, GError **error);

/* Resets a guest that runs, and waits as godwit_course_see_restart() does. Fails with MIGRATION
 * unless it still runs then. */
bool godwit_course_reset(struct godwit_vm *vm, GError **error);

/* Fails with MIGRATION unless the destination of a failed or cancelled migration never ran its
 * guest and either ends with a nonzero exit status, or still waits because its migration never
 * began. Ends it. */
bool godwit_course_refused(struct godwit_vm *destination, GError **error);

/*
 * Fails unless a migration that had to fail did no harm: the destination is as
 * godwit_course_refused() requires, the source's guest runs on, and its memory is in order. Ends
 * both.
 */
bool godwit_course_survive(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Migrates SOURCE to DESTINATION and judges. For precopy, the destination must have been started
 * paused. Its guest has run and is stopped afterwards. */
bool godwit_course_leg(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Migrates SOURCE to DESTINATION, judges, and ends both. */
bool godwit_course_move(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                        struct godwit_vm *source, struct godwit_vm *destination, GError **error);

#endif
