/*
 * Scenarios: a row of data plus, where needed, a hook. Each family is one file in this folder; its
 * last screen is the table of its rows, GODWIT_SCENARIOS(family) = { {...}, ... };
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_SCENARIO_H
#define GODWIT_HARNESS_SCENARIO_SCENARIO_H

#include "migrate/migrate.h"
#include "migrate/throttle.h"
#include "migrate/tls.h"
#include "testbed/rig.h"

/* At this bandwidth, in bytes a second, what is left after the switch to postcopy takes hours,
 * whether the guest asks for it or not. */
#define GODWIT_POSTCOPY_HELD 4096

/* A scenario's own step in the common course. False with ERROR set fails the scenario. */
typedef bool (*godwit_step)(struct godwit_vm *source, struct godwit_vm *destination,
                            GError **error);

/* One migration as data, for godwit_plan_run(). */
struct godwit_plan {
    enum godwit_transport transport;
    bool channels; /* addresses go into the `channels` argument, not into `uri` */
    bool stopped;  /* the source is stopped first; otherwise the migration is proven to be live */
    bool postcopy; /* switch to postcopy once it is proven to be live */
    bool held;     /* a postcopy's destination does not run its guest before it is told to: then it
                    * can be compared with the source as after a precopy */
    bool suspend;  /* the guest suspends itself before, and is woken up after */
    bool passes;   /* let go in the second pass at the earliest, usually after many: what is sent
                    * again is what it is about, or how */
    bool no_ram;   /* no RAM is sent, so there is nothing to hold back or prove to be live */
    bool fails;    /* it must fail: the source runs on, the destination never runs */
    const char *uri; /* what both sides are given, of a transport that is a file; NULL: the usual */
    const struct godwit_capability *capabilities; /* set on both sides; NULL: none */
    const struct godwit_parameter *parameters;    /* set on both sides; NULL: none */
    const char *fault; /* the relay spoils what is sent, as godwit_fault_parse() has it; NULL: no */
    const struct godwit_tls *tls;             /* over TLS, through a relay; NULL: plain */
    const char *const *source_arguments;      /* more of the command line; NULL: none */
    const char *const *destination_arguments; /* likewise */

    /* Has what goes by way of a relay watched; NULL: there is no relay for it. */
    void (*watch)(struct godwit_rig *rig, struct godwit_relay *relay);

    /* Own steps, NULL for none: */
    godwit_step configure; /* before the destination listens */
    godwit_step started;   /* the source has been told to send */
    godwit_step live;      /* proven to be live, not let go yet */
    godwit_step released;  /* let go */
    godwit_step judge;     /* over, and verified; both guests stand still (postcopy: run on) */
};

struct godwit_scenario {
    const char *name;      /* "precopy/unix/plain" */
    const char *summary;   /* one line for `godwit list` */
    const char *qemu_name; /* the same test in QEMU's own migration-test, or NULL */
    /* What it does; NULL: godwit_plan_run() of the plan. */
    bool (*run)(struct godwit_rig *rig, const struct godwit_scenario *scenario, GError **error);
    struct godwit_plan plan;
    const char *needs; /* features of both QEMUs beside the plan's capabilities and parameters,
                        * as godwit_qemu_lacks() has them */
    const char *accel; /* the only accelerator that it makes sense with; NULL: any */
    bool slow;         /* takes so long that it runs only when asked for */
    bool random;       /* chooses something by the setup's seed */
    bool hops;         /* has the usual deadline once for each of setup's hops */
    /* Why this setup on this host cannot run it, for what the rest of the row cannot say: the
     * caller's; NULL if it can. The hook may be NULL. */
    char *(*obstacle)(const struct godwit_setup *setup);
    const void *data; /* what `run` wants to know beside; the family's own */
    uint32_t flags;   /* GODWIT_FLAG_* for the guest, beside VERIFY */
    uint32_t cpus;    /* of the guest; 0: as many as the user asks for */
    bool whole;       /* wants the guest's own window, if the user does not say another ... */
    bool wide;        /* ... or more pages than others do, as all do whose plan is a postcopy */
    bool order;       /* is about the workload `order`, or hardly about memory: not for `stamp` */
    uint32_t
        content; /* what `stamp` writes, if the user does not say: GODWIT_FLAG_SPARSE or _ZERO */
    /* Changes the guest's parameters, which are the image's own and what the user asked for; NULL:
     * godwit_scenario_usual(). */
    void (*prepare)(const struct godwit_scenario *scenario, struct godwit_workload *workload);
};

/* What guests are told unless a scenario wants something else: VERIFY, the scenario's flags (none
 * of an ad-hoc migration, NULL), and a PASS after each pass, the quickest to show progress. */
void godwit_scenario_usual(const struct godwit_scenario *scenario,
                           struct godwit_workload *workload);

/* Makes of SETUP's workload, the image's own with what the user asked for, what the scenario (or an
 * ad-hoc migration, NULL) tells its guests: over a small part of the image's own window and in
 * little RAM, unless the user or the scenario wants another. */
void godwit_scenario_prepare(const struct godwit_scenario *scenario, struct godwit_setup *setup);

/* The rows of one file. GODWIT_SCENARIOS_END() puts a pointer to it into a linker section of its
 * own, so no list elsewhere has to be kept. */
struct godwit_family {
    const struct godwit_scenario *rows;
    size_t count;
};

#define GODWIT_SCENARIOS(family) static const struct godwit_scenario family##_rows[]

/* Ends a family's table, and registers it. */
#define GODWIT_SCENARIOS_END(family)                                                               \
    static const struct godwit_family family##_family = {family##_rows,                            \
                                                         G_N_ELEMENTS(family##_rows)};             \
    static const struct godwit_family *const family##_entry                                        \
        __attribute__((used, section("godwit_families"))) = &family##_family

/* Every scenario, sorted by name. The array is the caller's (g_ptr_array_unref). */
GPtrArray *godwit_scenario_all(void);

/* The scenario of that name, or NULL. */
const struct godwit_scenario *godwit_scenario_find(const char *name);

/* Whether the guest's workload may be `stamp`. */
bool godwit_scenario_stamps(const struct godwit_scenario *scenario);

/* Why this host, machine and these binaries cannot run the scenario, the caller's; NULL if they
 * can. */
char *godwit_scenario_obstacle(const struct godwit_scenario *scenario,
                               const struct godwit_setup *setup);

/* The seconds that it has, before scaling. */
double godwit_scenario_seconds(const struct godwit_scenario *scenario,
                               const struct godwit_setup *setup);

/* Runs it. What it measured and proved is in the rig. */
bool godwit_scenario_run(struct godwit_rig *rig, const struct godwit_scenario *scenario,
                         GError **error);

/*
 * The common course: start both, see the guest work, migrate as the plan says, judge by every
 * oracle that applies, see the guest go on, end both cleanly.
 */
bool godwit_plan_run(struct godwit_rig *rig, const struct godwit_plan *plan, GError **error);

/* The pieces of that course, for hooks that take another one. */

/* Lets a postcopy send what GODWIT_POSTCOPY_HELD has held back. */
bool godwit_plan_release_postcopy(struct godwit_vm *source, GError **error);

/* Starts a source and waits for its guest's first READY and PASS. */
struct godwit_vm *godwit_plan_source(struct godwit_rig *rig, GError **error);

/* The same with ARGUMENTS of its own, for godwit_vm_start(). */
struct godwit_vm *godwit_plan_source_with(struct godwit_rig *rig, const char *const *arguments,
                                          GError **error);

/* Ends a scenario that is through: VM, and OTHER unless it is NULL, quit cleanly. Nothing of it
 * runs a guest any more. */
bool godwit_plan_end(struct godwit_vm *vm, struct godwit_vm *other, GError **error);

/* Stops the guest, and takes everything off its console that it had written by then. */
bool godwit_plan_stop(struct godwit_vm *vm, GError **error);

/* Starts a destination and waits for it to answer, or only waits for one of that name that was
 * started ahead. */
struct godwit_vm *godwit_plan_destination(struct godwit_rig *rig, const char *name, bool held,
                                          GError **error);

/* Starts a destination that will be asked for later, under the same name and HELD alike: it gets
 * ready together with others, and no guest runs for nothing while everybody waits for it. */
bool godwit_plan_ahead(struct godwit_rig *rig, const char *name, bool held, GError **error);

/* Starts a destination of that NAME and, together with it, the source: godwit_plan_source(). */
bool godwit_plan_both(struct godwit_rig *rig, const char *name, bool held,
                      struct godwit_vm **source, struct godwit_vm **destination, GError **error);

/* Fails unless the VM's run state is WANTED, once it is not that of a migration that is coming to
 * its end. WHEN completes "the run state ...". */
bool godwit_plan_expect_status(struct godwit_vm *vm, const char *wanted, const char *when,
                               GError **error);

/* Turns postcopy-ram on. Postcopy is the host's to allow: a refusal where the host has no
 * userfaultfd for us is a SKIP error. */
bool godwit_plan_enable_postcopy(struct godwit_vm *vm, GError **error);

/* Waits until the source's run state is no longer that of a migration that is coming to its end. */
bool godwit_plan_unwind(struct godwit_vm *source, GError **error);

/* Waits for the source to have settled, in run state postmigrate, after its migration. */
bool godwit_plan_settle(struct godwit_vm *source, GError **error);

/* Fails unless the VM refuses COMMAND with ARGUMENTS (taken) and stays as it is: in that run state,
 * without a migration, and without having told of one. */
bool godwit_plan_refuse(struct godwit_vm *vm, const char *command, json_t *arguments,
                        const char *status, GError **error);

/* Sees the guest complete one pass more than it has shown by now, each of its CPUs. */
bool godwit_plan_see_it_run(struct godwit_vm *vm, GError **error);

/* That the destination of a migration that failed or was cancelled has ended with an error, or
 * waits as it did before, and never ran. Ends it. */
bool godwit_plan_refused(struct godwit_vm *destination, GError **error);

/*
 * That a migration that had to fail has done so well: the destination has ended with an error or
 * waits, and never ran; the source's guest runs on, and its memory is in order. Ends both.
 */
bool godwit_plan_survive(struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* Migrates SOURCE to DESTINATION (held, for precopy) and judges; the destination's guest has run,
 * and stands still then. */
bool godwit_plan_hop(struct godwit_rig *rig, const struct godwit_plan *plan,
                     struct godwit_vm *source, struct godwit_vm *destination, GError **error);

/* The same, up to the end of both. */
bool godwit_plan_move(struct godwit_rig *rig, const struct godwit_plan *plan,
                      struct godwit_vm *source, struct godwit_vm *destination, GError **error);

#endif
