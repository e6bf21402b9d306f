/*
 * A testbed: everything that one scenario owns - its VMs, its directory, its deadline - and the
 * only place where the harness waits. A wait ends when its condition holds, when a VM of the
 * testbed dies or misbehaves, when the deadline passes, or when the user interrupts, whichever is
 * first. The last three are errors that name the phase and what the wait was for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_TESTBED_H
#define GODWIT_HARNESS_TESTBED_TESTBED_H

#include "base/error.h"
#include "base/json.h"
#include "guest/image.h"

struct godwit_vm;
struct godwit_qemu;
struct godwit_measurements;
struct godwit_wire;
struct godwit_migration;
struct godwit_throttle;
struct godwit_bugs_met;
struct godwit_ledger;
struct godwit_blackout;
struct godwit_scenario_state;

/* A set of known bugs of QEMU: a bit for each, which only bugs/bugs.h gives a meaning. */
struct godwit_bug_set {
    uint64_t words[4];
};

/* How to start the VMs of a testbed. Everything is borrowed for the life of the testbed. */
struct godwit_setup {
    const struct godwit_machine *machine;
    const struct godwit_image *image;
    const char *type;  /* -machine TYPE */
    const char *accel; /* "tcg" or "kvm" */
    unsigned memory_mib;
    bool memory_given; /* the user chose memory_mib; do not derive it from the window */
    bool window_given; /* the user chose the window; a scenario must not change it */
    const struct godwit_qemu *source;      /* the binary of source VMs ... */
    const struct godwit_qemu *destination; /* ... and of destinations */
    struct godwit_workload workload;
    uint64_t seed; /* of all random choices of a scenario */
    unsigned hops; /* migrations in a chain, for the scenarios that send a guest to and fro */
    double timeout_scale;
    bool pmemsave; /* read guest memory by QMP, not by process_vm_readv */
    /* Destinations run on another host, to which the command PEER connects, and which the source
     * reaches at PEER_ADDRESS; NULL: on this one. */
    const char *peer, *peer_address;
    unsigned oracles_off;           /* a bit for each enum godwit_oracle that must not judge */
    struct godwit_bug_set accepted; /* known bugs that are not failures */
    bool strict;                    /* every known bug that is not accepted is a failure */
    /* Further arguments of each side's binary, NULL-terminated; NULL: none. */
    const char *const *source_words;
    const char *const *destination_words;
    bool theirs;       /* the guest is what these arguments boot, not Godwit's */
    const char *after; /* of such a guest: migrate once its console has shown this; NULL: at once */
    unsigned machine_cpus;  /* CPUs that these arguments give the machine; 0: they do not say */
    const json_t *settings; /* the user's migration capabilities and parameters, see
                               migrate/settings.h; NULL: none */
    bool unthrottled;       /* do not prove that the migration is live: measure its speed */
    bool untraced;          /* such a migration has no "waterfall": its events cost downtime */
    double give_up;         /* after so many seconds such a migration has not converged; 0: at the
                               deadline */
    int pause_iteration;    /* such a precopy's guest is stopped in this iteration; 0: never */
    int postcopy_iteration; /* such a postcopy begins in this one; 0: once it is proven live */
    /* How each side's binary plugs the device that the scenario is about, in the form of
     * godwit_recipe_to_json(). NULL: unknown, ask the binary. */
    const json_t *source_recipe, *destination_recipe;
};

/* The phases of scenarios. Progress, times and reports show their names. */
enum godwit_phase {
    GODWIT_PHASE_NONE,  /* between two phases */
    GODWIT_PHASE_START, /* VMs start */
    GODWIT_PHASE_TO_A,  /* the source's guest boots, until A */
    GODWIT_PHASE_TO_B,  /* ... until its first B */
    GODWIT_PHASE_MIGRATE,
    GODWIT_PHASE_VERIFY,       /* what has arrived is judged */
    GODWIT_PHASE_RESUME,       /* the destination's guest continues */
    GODWIT_PHASE_VERIFY_AGAIN, /* ... and is judged once more */
    GODWIT_PHASE_END,          /* the VMs quit */
    /* Phases of particular scenarios. */
    GODWIT_PHASE_CANCEL,
    GODWIT_PHASE_CHECK,
    GODWIT_PHASE_CUT,
    GODWIT_PHASE_ELSEWHERE,
    GODWIT_PHASE_EXEC,
    GODWIT_PHASE_FAIL,
    GODWIT_PHASE_HANDSHAKE,
    GODWIT_PHASE_LIMIT,
    GODWIT_PHASE_MEASURE,
    GODWIT_PHASE_OBSERVE,
    GODWIT_PHASE_READ,
    GODWIT_PHASE_RECONNECT,
    GODWIT_PHASE_RECORD,
    GODWIT_PHASE_RECOVER,
    GODWIT_PHASE_REFUSE,
    GODWIT_PHASE_RESTART,
    GODWIT_PHASE_RUN_ON,
    GODWIT_PHASE_STRIKE,
    GODWIT_PHASE_SURVIVE,
    GODWIT_PHASES, /* how many there are */
};

/* Returns the name of a phase, such as "verify again". Static. */
const char *godwit_phase_name(enum godwit_phase phase);

/* A phase of a scenario that is over, and how long it took. */
struct godwit_phase_time {
    enum godwit_phase phase;
    double at; /* its start, in ms since the start of the testbed */
    double ms;
};

/* A part of a testbed, and what frees it. */
struct godwit_ending {
    GDestroyNotify destroy;
    gpointer data;
};

/* Called at each change of phase and, while a migration runs, with its state: an object with
 * "remaining", "mbps" and so on, or NULL. */
typedef void (*godwit_progress)(enum godwit_phase phase, json_t *migration, gpointer data);

/* Called every GODWIT_POLL_MS, and when an iteration begins, while a migration of VM is waited
 * for. */
typedef void (*godwit_poll)(struct godwit_vm *vm, gpointer data);

#define GODWIT_POLL_MS 10

struct godwit_testbed {
    const struct godwit_setup *setup;
    char *directory;     /* the working directory of the VMs, which they may change at will */
    char *records;       /* where Godwit writes its own files, such as the VMs' logs; equal to
                            directory before godwit_testbed_set_apart() */
    GPtrArray *vms;      /* of struct godwit_vm, in the order of their start; owned; freed last */
    gint64 began;        /* its start, in monotonic microseconds ... */
    gint64 began_at;     /* ... and as time of day, in microseconds */
    gint64 deadline;     /* monotonic time, in microseconds */
    bool apart;          /* start each QEMU in an empty network namespace of its own */
    bool hand;           /* give each VM that has a machine a qtest connection, vm->qtest */
    bool oob;            /* let QEMU execute some commands while its main loop waits */
    bool by_monitor;     /* give commands of a migration by lines of the human monitor */
    bool turned;         /* destinations use the source's binary, and sources the destination's */
    bool fault_injected; /* fault injection is on: never excuse a stale page as a known bug */
    bool stale;          /* a known bug has left stale mailboxes on the destination */
    bool lost;           /* a known bug has lost writes of the guest: it must not run */
    bool *interrupted;   /* set from outside to end the run; may be NULL */
    GArray *phases;      /* of struct godwit_phase_time: the completed phases */
    enum godwit_phase phase; /* the current one */
    gint64 phase_began;
    struct godwit_measurements *measurements; /* see godwit_testbed_measure() */
    GArray *checks;                           /* see godwit_testbed_check() */
    /* Parts of higher layers. The layer that makes a part alone knows its members, and passes what
     * frees it to godwit_testbed_at_end(). NULL: not made yet. */
    struct godwit_wire *wire;           /* migrate/wire.h: what is between source and destination */
    struct godwit_migration *migration; /* migrate/migrate.h: what is known of the latest one */
    struct godwit_throttle *throttle;   /* migrate/throttle.c: of the present migration */
    struct godwit_bugs_met *bugs;       /* bugs/bugs.h: the known bugs that were met */
    struct godwit_ledger *ledger;       /* oracle/ledger.h: how much each oracle has compared */
    struct godwit_blackout *blackout;   /* oracle/blackout.c */
    struct godwit_scenario_state *state; /* scenario/scenario.h: the scenario's own */
    GArray *endings; /* of struct godwit_ending: what godwit_testbed_at_end() was given */
    godwit_progress progress;
    gpointer progress_data;
    godwit_poll poll; /* NULL: nobody asks */
    gpointer poll_data;
    int turn;      /* a pipe whose end of file lets the guests of this testbed run; -1: they may
                      run now */
    gint64 waited; /* how long it waited for its turn, in microseconds */
    void (*over)(gpointer data); /* called when its guests no longer run; may be NULL */
    gpointer over_data;
};

/* The default deadline of a testbed in seconds, before scaling. It is generous, because it must end
 * only what hangs. */
#define GODWIT_DEADLINE_SECONDS 60
/* The longest that a QEMU may take to answer on QMP after its start, in seconds. A scale below 1,
 * by which a scenario that hangs is ended early, does not apply: a busy host starts QEMU no sooner
 * because of it. The deadline of the testbed does. */
#define GODWIT_START_SECONDS 15
/* The longest that a dying process may take to be gone, in seconds, before scaling. It may be
 * writing a core. */
#define GODWIT_END_SECONDS 20

/* Creates a testbed in DIRECTORY, which must exist, and starts its deadline. The caller frees
 * it. */
struct godwit_testbed *godwit_testbed_new(const struct godwit_setup *setup, const char *directory);

/* Creates the folder "work" in the testbed's folder as the VMs' working directory, so that no VM
 * writes where Godwit's own files are. Call it before the first VM starts. */
bool godwit_testbed_set_apart(struct godwit_testbed *testbed, GError **error);

/*
 * Calls DESTROY(DATA) when the testbed is freed. What was registered last is freed first, and all
 * of it before the VMs, so that DATA may refer to VMs and to what was registered before it.
 */
void godwit_testbed_at_end(struct godwit_testbed *testbed, GDestroyNotify destroy, gpointer data);

/* Frees the parts that godwit_testbed_at_end() was given. Then kills every VM that is left, waits
 * until each is gone, and frees the testbed. */
void godwit_testbed_free(struct godwit_testbed *testbed);

/*
 * Measurements are values that the result reports. They are write-only: nothing reads them back
 * while the scenario runs, so that no verdict depends on how they are reported. Each function takes
 * VALUE.
 */

/* Records VALUE as measurement NAME, in place of an earlier one. */
void godwit_testbed_measure(struct godwit_testbed *testbed, const char *name, json_t *value);

/* Records VALUE as MEMBER of measurement NAME, an object. */
void godwit_testbed_measure_member(struct godwit_testbed *testbed, const char *name,
                                   const char *member, json_t *value);

/* Appends VALUE to measurement NAME, a list. */
void godwit_testbed_measure_item(struct godwit_testbed *testbed, const char *name, json_t *value);

/* Drops measurement NAME. */
void godwit_testbed_unmeasure(struct godwit_testbed *testbed, const char *name);

/* Makes the measurements and the checks. godwit_testbed_new() calls it. */
void godwit_testbed_begin_measurements(struct godwit_testbed *testbed);

/* The result of one check of a scenario. TAP prints a test point for each check. */
enum godwit_check_result {
    GODWIT_CHECK_PASSED,
    GODWIT_CHECK_FAILED,  /* fails the scenario at its end, after all other checks */
    GODWIT_CHECK_SKIPPED, /* could not be made: neither passed nor failed */
    GODWIT_CHECK_EXCUSED, /* failed because of a known bug of QEMU */
    GODWIT_CHECK_RESULTS, /* how many there are */
};

/* Records the result of check NAME: passed if PROBLEM is NULL, failed otherwise. */
void godwit_testbed_check(struct godwit_testbed *testbed, const char *name, const char *problem);

/* Like godwit_testbed_check(), and records QEMU's ANSWER and its error CLASS. Each may be NULL. */
void godwit_testbed_check_answer(struct godwit_testbed *testbed, const char *name,
                                 const char *class, const char *answer, const char *problem);

/* Records that check NAME could not be made, for REASON. */
void godwit_testbed_skip_check(struct godwit_testbed *testbed, const char *name,
                               const char *reason);

/* Marks the check that was recorded last as failed because of the known bug BUG of QEMU. BUG is
 * static. */
void godwit_testbed_excuse_check(struct godwit_testbed *testbed, const char *bug);

/* Returns the number of failed checks. Appends a line for each to TEXT unless that is NULL. */
unsigned godwit_testbed_failed_checks(const struct godwit_testbed *testbed, GString *text);

/* Ends the current phase, records its time, and begins PHASE, which may be GODWIT_PHASE_NONE. */
void godwit_testbed_phase(struct godwit_testbed *testbed, enum godwit_phase phase);

typedef bool (*godwit_condition)(gpointer data);

/*
 * Runs the main loop until CONDITION(DATA) holds. WHAT completes the sentence "waiting for ...".
 * Returns false with ERROR set if the wait ends otherwise: see the top of this file.
 */
bool godwit_testbed_wait(struct godwit_testbed *testbed, godwit_condition condition, gpointer data,
                         const char *what, GError **error);

/* Like godwit_testbed_wait(), but ends at DEADLINE (monotonic microseconds) if that is earlier. */
bool godwit_testbed_wait_until(struct godwit_testbed *testbed, gint64 deadline,
                               godwit_condition condition, gpointer data, const char *what,
                               GError **error);

/* Sets ERROR to TIMEOUT, for a caller that has waited for WHAT in pieces, for WAITED microseconds
 * in all. */
void godwit_testbed_timed_out(const struct godwit_testbed *testbed, gint64 waited, const char *what,
                              GError **error);

/*
 * Waits MS milliseconds before the next poll of WHAT, for which no event exists. A QEMU that is
 * polled without a pause has little time for anything else. Fails as godwit_testbed_wait() does.
 */
bool godwit_testbed_rest(struct godwit_testbed *testbed, guint ms, const char *what,
                         GError **error);

/* The pause between two polls of a QEMU, in milliseconds, if the answer is expected soon. */
#define GODWIT_REST_MS 2

/* Returns the monotonic time that is SECONDS from now, scaled by the setup. */
gint64 godwit_testbed_seconds(const struct godwit_testbed *testbed, double seconds);

/* Limits the deadline to SECONDS from now, scaled. Returns the previous deadline, which the caller
 * must restore. */
gint64 godwit_testbed_limit(struct godwit_testbed *testbed, double seconds);

/*
 * Waits, once, until this testbed may run guests. Only a limited number of a run's testbeds may do
 * so at a time, while others get ready. The wait does not count against the deadline. Fails as
 * godwit_testbed_wait() does.
 */
bool godwit_testbed_take_turn(struct godwit_testbed *testbed, GError **error);

/* Reports that no guest of the testbed runs any more, which frees its turn. */
void godwit_testbed_end_turn(struct godwit_testbed *testbed);

/*
 * Returns whether all VMs are healthy. Fails if a VM has died, broken its protocol or reported a
 * fault, or at an interrupt. A QEMU that dies often takes its peer along, and the peer's end may be
 * noticed first. So this waits, for GODWIT_END_SECONDS at most, until each dying process is gone.
 * It then blames the one that was killed by a signal, or else the one that ended first.
 */
bool godwit_testbed_healthy(struct godwit_testbed *testbed, GError **error);

/* Like godwit_testbed_healthy(), but for use after a failure that the death of a QEMU would
 * explain: it waits for dying processes even if no end has been noticed yet. */
bool godwit_testbed_survives(struct godwit_testbed *testbed, GError **error);

#endif
