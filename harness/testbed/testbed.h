/*
 * A testbed: what one scenario owns - its VMs, its directory, its deadline - and the only place
 * where the harness waits. A wait ends when its condition holds, when a VM of the testbed dies or
 * misbehaves, when the deadline passes or when the user interrupts, whichever is first; each of the
 * last three is an error that names the step and what was awaited.
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

/* How the VMs of a testbed are started. Everything is borrowed for the testbed's life. */
struct godwit_setup {
    const struct godwit_machine *machine;
    const struct godwit_image *image;
    const char *type;  /* -machine TYPE */
    const char *accel; /* "tcg" or "kvm" */
    unsigned memory_mib;
    bool memory_given; /* ... is what the user asked for, whatever the window ... */
    bool window_given; /* ... and so is the workload's window, whatever the scenario */
    const struct godwit_qemu *source;      /* the binary of source VMs ... */
    const struct godwit_qemu *destination; /* ... and of destinations */
    struct godwit_workload workload;
    uint64_t seed; /* of what a scenario leaves to chance */
    unsigned hops; /* migrations that a guest is sent on where it is sent to and fro */
    double timeout_scale;
    bool pmemsave;        /* read guest memory by QMP, not by process_vm_readv */
    unsigned oracles_off; /* a bit for each enum godwit_oracle that is not to judge */
    uint64_t accepted;    /* known bugs that are no failure, a godwit_bug_set */
    bool strict;          /* every other known bug is one */
};

/* A phase of a scenario and how long it took. */
struct godwit_phase {
    const char *name;
    double at; /* when it began, in ms since the testbed's start */
    double ms;
};

/* Told of each change of phase and, while a migration runs, of its state (an object with passes,
 * remaining, mbps and so on, or NULL). */
typedef void (*godwit_progress)(const char *phase, json_t *migration, gpointer data);

struct godwit_testbed {
    const struct godwit_setup *setup;
    char *directory;     /* the VMs' working directory, where they may do as they please */
    char *records;       /* where Godwit's own files are: what VMs say; the same, until
                          godwit_testbed_set_apart() */
    GPtrArray *vms;      /* of struct godwit_vm, in order of their start; owned; freed last */
    gint64 began;        /* its start, in monotonic microseconds ... */
    gint64 began_at;     /* ... and by the time of day */
    gint64 deadline;     /* monotonic time, in microseconds */
    bool apart;          /* each QEMU is started in a network namespace of its own, an empty one */
    bool turned;         /* destinations are of the source's binary, and the other way round */
    bool fault_injected; /* something is spoiled on purpose: what is stale is no known bug's */
    bool stale;          /* by a known bug the mailboxes that arrived are older than the guest */
    bool lost;           /* by a known bug a guest lacks what it has written: it is not to run */
    bool *interrupted;   /* set from outside when the run has to end; may be NULL */
    GArray *phases;      /* of struct godwit_phase: those that are over */
    const char *phase;   /* the present one */
    gint64 phase_began;
    json_t *measurements; /* what was measured and proven, for the result; owned */
    GData *kept; /* what a step of the course keeps for the later ones (g_datalist_...); it may
                      refer to the VMs, for it is freed before them */
    godwit_progress progress;
    gpointer progress_data;
    int turn;      /* the descriptor that tells when this testbed's guests may run; -1: they may */
    gint64 waited; /* how long its turn was waited for, in microseconds */
    void (*over)(gpointer data); /* told when they run no more; may be NULL */
    gpointer over_data;
};

/* The time that everything has to be done in, before scaling: generous, for it only ends what
 * hangs. In seconds. */
#define GODWIT_DEADLINE_SECONDS 60
/* The time that a QEMU has to answer on QMP, before scaling. In seconds. */
#define GODWIT_START_SECONDS 15
/* The time that a process which has begun to die has to be gone (it may write a core), before
 * scaling. In seconds. */
#define GODWIT_END_SECONDS 20

/* A testbed in DIRECTORY, which must exist. The clock of its deadline starts. */
struct godwit_testbed *godwit_testbed_new(const struct godwit_setup *setup, const char *directory);

/* Makes the VMs' working directory the folder "work" below the testbed's folder, so that no VM
 * writes where Godwit's own files are. To be called before the first VM. */
bool godwit_testbed_set_apart(struct godwit_testbed *testbed, GError **error);

/* Frees what was kept, which may watch the VMs. Then kills every VM that is left, waits for each to
 * be gone, and frees the testbed. */
void godwit_testbed_free(struct godwit_testbed *testbed);

/* The VM of that name that was started last, or NULL. */
struct godwit_vm *godwit_testbed_vm(const struct godwit_testbed *testbed, const char *name);

/*
 * Notes one of many checks that a scenario makes: that what NAME says holds, if PROBLEM is NULL, or
 * what is wrong with it. A check that does not hold fails the scenario at its end, with all others
 * made. They are in the facts ("checks"), and TAP gives each a point of its own.
 */
void godwit_testbed_check(struct godwit_testbed *testbed, const char *name, const char *problem);

/*
 * The same with all there is to tell of it: CHECK (taken) is an object with "name" and, of these,
 * what applies:
 *
 *   problem   what is wrong
 *   skip      why it could not be made: it neither holds nor fails
 *   known     the known bug of QEMU that is why it does not hold, which is no failure then
 *   seen      what is wrong with it, of such a one
 *   class, answer   what QEMU said to what was asked of it
 */
void godwit_testbed_note_check(struct godwit_testbed *testbed, json_t *check);

/* The check noted last does not hold because of the known bug of QEMU called BUG. */
void godwit_testbed_excuse_check(struct godwit_testbed *testbed, const char *bug);

/* How many checks did not hold, and one line for each of them in TEXT, unless it is NULL. */
unsigned godwit_testbed_failed_checks(const struct godwit_testbed *testbed, GString *text);

/* Ends the present phase, notes its time, and begins the phase NAME (a literal), or none. */
void godwit_testbed_phase(struct godwit_testbed *testbed, const char *name);

typedef bool (*godwit_condition)(gpointer data);

/*
 * Runs the main loop until CONDITION(DATA) holds. WHAT completes the sentence "waiting for ...".
 * False with ERROR set if it cannot come true any more: see the top of this file.
 */
bool godwit_testbed_wait(struct godwit_testbed *testbed, godwit_condition condition, gpointer data,
                         const char *what, GError **error);

/* The same with an earlier deadline of its own (monotonic microseconds). */
bool godwit_testbed_wait_until(struct godwit_testbed *testbed, gint64 deadline,
                               godwit_condition condition, gpointer data, const char *what,
                               GError **error);

/*
 * Lets MS milliseconds go by before another look at something that no event tells of, WHAT. A QEMU
 * that is asked without a rest has little time for anything else. False with ERROR set as above.
 */
bool godwit_testbed_rest(struct godwit_testbed *testbed, guint ms, const char *what,
                         GError **error);

/* A rest between two questions to a QEMU, in milliseconds, where the answer is due soon. */
#define GODWIT_REST_MS 2

/* Seconds from now, scaled as the setup says, as a monotonic time. */
gint64 godwit_testbed_seconds(const struct godwit_testbed *testbed, double seconds);

/* Lets what comes next take so many seconds at the most. The deadline that was before is returned,
 * for the caller to put back. */
gint64 godwit_testbed_limit(struct godwit_testbed *testbed, double seconds);

/*
 * Waits until it is this testbed's turn to run guests, once: of the testbeds of a run only so many
 * may at a time, and others get ready meanwhile. The time does not count, for the deadline neither.
 * False with ERROR set as above.
 */
bool godwit_testbed_take_turn(struct godwit_testbed *testbed, GError **error);

/* Says that no guest of the testbed runs any more: the turn is the next one's. */
void godwit_testbed_end_turn(struct godwit_testbed *testbed);

/*
 * Returns false with ERROR set if a VM has died, spoken nonsense or reported a fault, or at an
 * interrupt. A QEMU that dies often takes its peer along, and the peer's end may be noticed first.
 * So this waits, for GODWIT_END_SECONDS at most, for the end of each process that has begun to die,
 * and then blames the one that was killed by a signal, or else the one that ended first.
 */
bool godwit_testbed_healthy(struct godwit_testbed *testbed, GError **error);

/* Does the same after something has failed that the death of a QEMU would explain: waits for
 * processes that have begun to die even if none has been noticed to be gone. */
bool godwit_testbed_survives(struct godwit_testbed *testbed, GError **error);

#endif
