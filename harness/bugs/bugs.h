/*
 * Known bugs of QEMU.
 *
 * Each bug has one or more entries: where it strikes (the versions of both QEMUs, architecture,
 * accelerator), what happens to the guest, how often it was measured to strike, and a function that
 * recognises the bug's signature in a symptom. That function only reads; it changes nothing. The
 * code shared by all bugs compares the bounds and records the bugs that were met.
 *
 * Three rules keep an entry from hiding another bug. An entry adds to a result and removes nothing:
 * a failure that it explains stays a failure, unless its id is accepted by name. A match is exact:
 * an event, a signal, a whole line that QEMU prints, the very bytes that differ. A bug that strikes
 * only sometimes must strike only sometimes: run/confirm.h repeats the scenario.
 *
 * Add a new entry to the file of its family. tests/unit/known_bugs.c fails until it has a test.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BUGS_BUGS_H
#define GODWIT_HARNESS_BUGS_BUGS_H

#include "memory/memory.h"
#include "testbed/vm.h"

/* The kind of an observation. The comments name the members of godwit_symptom that are set besides
 * KIND. */
enum godwit_symptom_kind {
    GODWIT_SYMPTOM_MAILBOX,      /* RAM differs: source, destination, block, first, last, text */
    GODWIT_SYMPTOM_WINDOW,       /* likewise; the bug affects pages of the window */
    GODWIT_SYMPTOM_SHARED_RAM,   /* likewise; the bug affects RAM that both sides share */
    GODWIT_SYMPTOM_RUN_STATE,    /* a suspended guest arrives in run state STATE: source */
    GODWIT_SYMPTOM_STOP_LOST,    /* one that was stopped before the switchover does: source */
    GODWIT_SYMPTOM_STATE_EVENT,  /* a destination reports a change from STATE to NEXT: vm */
    GODWIT_SYMPTOM_STATE_TWICE,  /* a source reports STATE again: vm */
    GODWIT_SYMPTOM_STATE_UNDONE, /* a source reports NEXT after STATE, which was the end: vm */
    GODWIT_SYMPTOM_CONNECTING,   /* a source that still connects is cancelled: source */
    GODWIT_SYMPTOM_LEVEL,        /* PARAMETER was set to VALUE but still is STATE: vm */
    GODWIT_SYMPTOM_PORT,         /* a connection to PORT went to PORT modulo 65536: vm */
    GODWIT_SYMPTOM_INCOMING,     /* a destination refuses to listen, with TEXT: vm */
    GODWIT_SYMPTOM_NO_REASON,    /* a destination reports a failure without a reason, and prints
                                   TEXT: vm */
    GODWIT_SYMPTOM_CHANNELS,     /* a source has ended after a list of channels: source */
    GODWIT_SYMPTOM_CANCELLING,   /* a cancelled or failed one, in STATE, is not over: source */
    GODWIT_SYMPTOM_NO_END,       /* the migration stays in STATE: source, destination */
    GODWIT_SYMPTOM_NO_ANSWER,    /* a source does not answer a command: source; TEXT: what its
                                    migration waits for, if that is known */
    GODWIT_SYMPTOM_STUCK,        /* a destination whose migration failed answers nothing, and does
                                    not end: destination */
    GODWIT_SYMPTOM_INACTIVE,     /* a source has ended after block command TEXT: source */
    GODWIT_SYMPTOM_LOCKED,       /* a paused destination runs its guest, whose disk another QEMU has
                                   locked: vm */
    GODWIT_SYMPTOM_UNFLUSHED,    /* a source whose disk cannot be flushed reports a failure without
                                   a reason: source */
    GODWIT_SYMPTOM_LOAD,         /* a destination failed to load, with FAILURE: destination */
    GODWIT_SYMPTOM_SOURCE_DIED,  /* a source died during a migration: source, destination */
    GODWIT_SYMPTOM_DEVICE,       /* a migration with device TEXT failed: source, destination */
    GODWIT_SYMPTOM_PLUG,         /* a QEMU died when it plugged device TEXT: vm */
    GODWIT_SYMPTOM_UNFREED,      /* device TEXT was unplugged, and is never freed: vm */
    GODWIT_SYMPTOM_UNPLUG_DIED,  /* a QEMU died after it unplugged device TEXT: vm */
    GODWIT_SYMPTOM_MACHINE,  /* a migration of machine TEXT failed: source, destination, FAILURE */
    GODWIT_SYMPTOM_CPU,      /* QEMU died when it was asked for the registers of CPU TEXT: vm */
    GODWIT_SYMPTOM_DOWNTIME, /* a source reports a downtime of MS, at NOW: source */
    GODWIT_SYMPTOM_SNAPSHOT, /* a QEMU died when it saved or loaded one: vm */
    GODWIT_SYMPTOM_UNPAUSED, /* a paused guest is in run state STATE after a background snapshot:
                                source */
    GODWIT_SYMPTOM_STANDS,   /* a guest does not run on after a background snapshot was cancelled,
                                with FAILURE: source */
    GODWIT_SYMPTOM_BACK,     /* a guest whose snapshot was loaded where it was saved is in order but
                                for its timer, which has gone back: vm */
    GODWIT_SYMPTOM_UNCLEARED, /* RAM that was loaded from a snapshot, DESTINATION, is not as it was,
                                 SOURCE */
    GODWIT_SYMPTOM_ANNOUNCED, /* an announcement came early; it was due LAST ms after the arrival of
                                 a guest that was resumed MS after it: vm, text */
    GODWIT_SYMPTOM_NO_CPR_CHANNEL,  /* a source has ended when it was asked for a cpr-transfer
                                      without a channel for CPR: source */
    GODWIT_SYMPTOM_MAPPED_SHARED,   /* a migration into a file, of RAM that is shared, failed with
                                       TEXT: source */
    GODWIT_SYMPTOM_PRIVATE_RAM,     /* a source accepts CPR mode STATE with RAM of its own, of LAST
                                   bytes, and sends FIRST bytes: source */
    GODWIT_SYMPTOM_DIRTY_RATE,      /* the dirty rate in mode TEXT is MS MiB/s, too little: vm */
    GODWIT_SYMPTOM_DIRTY_RATE_TIME, /* it is accepted to be measured for MS seconds: vm */
    GODWIT_SYMPTOM_COLO_STALE,      /* a COLO secondary has TEXT out of date after a checkpoint:
                                   source, destination */
    GODWIT_SYMPTOM_COLO_LOST,       /* a COLO secondary lacks the last writes to TEXT: source,
                                   destination */
    GODWIT_SYMPTOM_COLO,   /* a COLO pair was not made, with FAILURE: source, destination */
    GODWIT_SYMPTOM_STREAM, /* a destination did not refuse a stream, in which TEXT is wrong: vm */
    GODWIT_SYMPTOM_DIRTY_RATE_DIED, /* a QEMU died when it was asked for it in mode TEXT: vm */
};

/* A register that is lost, or a field of a device's state. */
struct godwit_symptom_register {
    const char *device; /* type of the device that has the register; "": it is a field; "?": it is
                           not known which device has it */
    const char *where;  /* "operational 0x1c", or "openpic 0: src[0].ivpr" */
    const char *text;   /* where, and both values */
};

struct godwit_symptom {
    enum godwit_symptom_kind kind;
    struct godwit_vm *source, *destination;
    const struct godwit_vm *vm;       /* in either role, if only one VM is concerned */
    const struct godwit_block *block; /* of the source; all differences are in it */
    uint64_t first, last;             /* offsets of the first and last differing byte in it */
    const char *text, *state, *next, *parameter, *value;
    /* The registers and fields that are lost; NULL: none, or it is not known which. */
    const struct godwit_symptom_register *lost;
    size_t lost_count;
    bool poked; /* the harness has written to the device's registers */
    unsigned port;
    json_int_t ms;
    gint64 now; /* monotonic microseconds */
    const GError *failure;
};

/* The side whose QEMU has the bug. Its version must be within the bounds. */
enum godwit_bug_role { GODWIT_BUG_SOURCE, GODWIT_BUG_DESTINATION, GODWIT_BUG_EITHER };

enum godwit_bug_effect {
    GODWIT_BUG_SURVIVED, /* the guest continues, as far as Godwit can see */
    GODWIT_BUG_LOST,     /* the guest is lost, or cannot be migrated */
};

/* Major and minor version of a source and of a destination. */
struct godwit_bug_pair {
    unsigned short source[2], destination[2];
};

struct godwit_bug {
    const char *id; /* also its anchor in docs/known-bugs.md */
    const char *summary;
    const char *reference;
    enum godwit_symptom_kind kind;
    enum godwit_bug_role role;
    int since[2];                    /* first release with the bug; 0: all */
    int fixed[2];                    /* first release without it; 0: none yet. No fix was backported
                                        to stable releases of earlier versions */
    struct godwit_bug_pair pairs[6]; /* if any: only between these versions */
    const char *arch;                /* only on this architecture; NULL: on any */
    const char *accel;               /* only under this accelerator; NULL: under any */
    enum godwit_bug_effect effect;
    bool all_guests;        /* no guest at all gets from one of these versions to the other */
    unsigned strikes, runs; /* as measured: in RUNS runs the bug struck STRIKES times; if both are
                               equal, it strikes whenever its conditions hold */
    unsigned percent;       /* upper bound of its rate, on the worst of hosts */
    /* Returns true if SYMPTOM, which is of the entry's kind and within its bounds, is caused by
     * this bug. Sets *SEEN to what was seen, in words, which the caller frees; if it stays unset,
     * the symptom's text is used. */
    bool (*matches)(const struct godwit_symptom *symptom, char **seen);
};

/* The entries of each family. The last one has no id. */
extern const struct godwit_bug godwit_bugs_memory[];
extern const struct godwit_bug godwit_bugs_loading[];
extern const struct godwit_bug godwit_bugs_states[];
extern const struct godwit_bug godwit_bugs_requests[];
extern const struct godwit_bug godwit_bugs_figures[];
extern const struct godwit_bug godwit_bugs_devices[];
extern const struct godwit_bug godwit_bugs_registers[];
extern const struct godwit_bug godwit_bugs_machines[];
extern const struct godwit_bug godwit_bugs_snapshots[];

/* Returns the bug that explains SYMPTOM, or NULL, and records nothing. */
const struct godwit_bug *godwit_bug_match(const struct godwit_symptom *symptom);

/* Returns entry number INDEX, counted over all families, or NULL after the last. */
const struct godwit_bug *godwit_bug_at(size_t index);

/* Returns the first entry with that id, or NULL. */
const struct godwit_bug *godwit_bug_find(const char *id);

/* Returns true if a migration from SOURCE to DESTINATION is within the entry's bounds. */
bool godwit_bug_strikes(const struct godwit_bug *bug, const struct godwit_setup *setup,
                        const struct godwit_qemu *source, const struct godwit_qemu *destination);

/* Returns the known bug that explains SYMPTOM, and records that it was met, as godwit_bug_meet()
 * does. Returns NULL if no known bug explains it. */
const struct godwit_bug *godwit_bug_explain(const struct godwit_symptom *symptom);

/* Records that BUG was met, and what was SEEN of it, in the testbed and in its measurements
 * ("known_bugs"). If it was met before, only adds what was seen. */
void godwit_bug_meet(struct godwit_testbed *testbed, const struct godwit_bug *bug,
                     const char *seen);

/* Returns true if one of the setup's QEMUs has tcg-hot-page: it loses the last writes to pages that
 * stay in its TLB. Then the window must be larger than the TLB. */
bool godwit_bug_hot_pages(const struct godwit_setup *setup);

/*
 * Explains *FAILURE, with which a migration to DESTINATION has failed. If a known bug explains it,
 * records the bug and marks *FAILURE for godwit_bug_of(). Explains only a load that the destination
 * has given up: never an oracle's finding, a refused command or an interruption, and a timeout only
 * if the destination has failed.
 */
void godwit_bug_explain_failure(struct godwit_vm *source, struct godwit_vm *destination,
                                GError **failure);

/* Explains *FAILURE, with which DESTINATION has failed to load a snapshot that SOURCE has saved, as
 * godwit_bug_explain_failure() does. DESTINATION has ended, or printed its reason and lives. */
void godwit_bug_explain_snapshot(struct godwit_vm *source, struct godwit_vm *destination,
                                 GError **failure);

/* Marks *FAILURE if a known bug explains that VM died when it saved a snapshot or loaded one of its
 * own. */
void godwit_bug_explain_saver(const struct godwit_vm *vm, GError **failure);

/* Returns whether VM, which may be NULL, was killed by the signal NUMBER. */
bool godwit_bug_was_killed(const struct godwit_vm *vm, int number);

/* Returns the first of the last 20 lines of VM's standard error that PATTERN, a regular expression,
 * matches, or NULL. The caller frees it. */
char *godwit_bug_find_line(const struct godwit_vm *vm, const char *pattern);

/* Sets SYMPTOM's source and destination to the latest VM of each side: those before only answered
 * questions. Returns whether there are both. */
bool godwit_bug_add_sides(const struct godwit_testbed *testbed, struct godwit_symptom *symptom);

/* Marks *FAILURE, with which a scenario about the device or machine NAME ended, if a known bug of
 * KIND explains it. Considers the latest VM of each side. */
void godwit_bug_explain_subject(const struct godwit_testbed *testbed, enum godwit_symptom_kind kind,
                                const char *name, GError **failure);

/* Marks *FAILURE if a known bug explains SYMPTOM. Returns whether one does. */
bool godwit_bug_excuse(const struct godwit_symptom *symptom, GError **failure);

/* Marks *FAILURE as explained by BUG. */
void godwit_bug_mark(GError **failure, const struct godwit_bug *bug);

/* Returns the known bug that explains FAILURE, or NULL if it is not marked. */
const struct godwit_bug *godwit_bug_of(const GError *failure);

/* Returns the set of all known bugs. */
struct godwit_bug_set godwit_bug_set_all(void);

/* Returns whether the set has the known bug with that id. */
bool godwit_bug_set_has(const struct godwit_bug_set *set, const char *id);

/*
 * Adds to *SET the ids in TEXT, which are separated by commas. "@FILE" stands for the ids in FILE,
 * one per line; empty lines and text behind a "#" are ignored. Fails with USAGE if an id is
 * unknown, and with ENVIRONMENT if a file cannot be read.
 */
bool godwit_bug_set_parse(const char *text, struct godwit_bug_set *set, GError **error);

/* Returns the ids of the set, separated by commas, or NULL if it is empty. The caller frees it. */
char *godwit_bug_set_text(const struct godwit_bug_set *set);

/* Returns whether the testbed has met a known bug. */
bool godwit_bug_any_met(const struct godwit_testbed *testbed);

/* Returns the first bug met that makes the result a failure: the setup does not accept it, and the
 * guest has not survived it or the setup is strict. Returns NULL if there is none. */
const struct godwit_bug *godwit_bug_unaccepted(const struct godwit_testbed *testbed);

/* Returns the rarest of the bugs in MEASUREMENTS, those of a result, that strike only sometimes,
 * which repetitions must confirm, or NULL if there is none. */
const struct godwit_bug *godwit_bug_rare(const json_t *measurements);

/* Returns the maximum number of repetitions of a scenario that BUG has struck. */
unsigned godwit_bug_repetitions(const struct godwit_bug *bug);

/* Returns how many strikes in all those repetitions are more than chance allows: as many or more
 * have a probability below 1e-4. */
unsigned godwit_bug_too_many(const struct godwit_bug *bug);

#endif
