/*
 * Known bugs of QEMU.
 *
 * Each bug is a row of data: where it strikes (the versions of both QEMUs, architecture,
 * accelerator), what becomes of the guest, how often it was measured to strike, and a function that
 * says whether a symptom is that bug's. The function reads and judges; it changes nothing. The
 * machinery here compares the bounds and writes down what was met.
 *
 * Three rules keep a row from hiding another bug. A row adds to a result and removes nothing: a
 * failure that it explains stays a failure, unless its id is accepted by name. A match is exact: an
 * event, a signal, a whole line that QEMU prints, the very bytes that differ. A bug that strikes
 * now and then has to strike now and then: run/confirm.h repeats the scenario.
 *
 * A new row goes into the family's file; tests/unit/known_bugs.c fails until it has a test.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BUGS_BUGS_H
#define GODWIT_HARNESS_BUGS_BUGS_H

#include "memory/memory.h"
#include "testbed/vm.h"

/* What was observed. The comment names the members of godwit_symptom that are set besides KIND. */
enum godwit_symptom_kind {
    GODWIT_SYMPTOM_MAILBOX,     /* RAM differs: source, destination, block, first, last, text */
    GODWIT_SYMPTOM_WINDOW,      /* the same, looked at as a part of the guest's window */
    GODWIT_SYMPTOM_SHARED_RAM,  /* the same, where both have the same RAM */
    GODWIT_SYMPTOM_RUN_STATE,   /* a suspended guest arrives in run state STATE: source */
    GODWIT_SYMPTOM_STATE_EVENT, /* a destination reports that it goes from STATE to NEXT: vm */
    GODWIT_SYMPTOM_STATE_TWICE, /* a source reports STATE again: vm */
    GODWIT_SYMPTOM_CONNECTING,  /* a source is cancelled and still connects: source */
    GODWIT_SYMPTOM_LEVEL,       /* PARAMETER, set to VALUE, reads STATE as before: vm */
    GODWIT_SYMPTOM_PORT,        /* a connection to PORT went to PORT modulo 65536: vm */
    GODWIT_SYMPTOM_INCOMING,    /* a destination refuses to listen, with TEXT: vm */
    GODWIT_SYMPTOM_CHANNELS,    /* a source is gone after a list of channels: source */
    GODWIT_SYMPTOM_CANCELLING,  /* a cancelled migration stays in STATE: source */
    GODWIT_SYMPTOM_NO_END,      /* the migration stays in STATE: source, destination */
    GODWIT_SYMPTOM_NO_ANSWER,   /* a source does not answer `migrate_cancel`: source */
    GODWIT_SYMPTOM_LOAD,        /* the destination has failed to load: destination, FAILURE */
    GODWIT_SYMPTOM_DOWNTIME,    /* a source reports a downtime of MS, at NOW: source */
};

struct godwit_symptom {
    enum godwit_symptom_kind kind;
    struct godwit_vm *source, *destination;
    const struct godwit_vm *vm;       /* where only one is concerned, in either role */
    const struct godwit_block *block; /* the source's, where all that differs is */
    uint64_t first, last;             /* offsets in it of the first and last such byte */
    const char *text, *state, *next, *parameter, *value;
    unsigned port;
    json_int_t ms;
    gint64 now; /* monotonic microseconds */
    const GError *failure;
};

/* Which QEMU brings the bug, and has to be within its bounds. */
enum godwit_bug_role { GODWIT_BUG_SOURCE, GODWIT_BUG_DESTINATION, GODWIT_BUG_EITHER };

enum godwit_bug_effect {
    GODWIT_BUG_SURVIVED, /* the guest goes on, or goes on as far as anybody can tell */
    GODWIT_BUG_LOST,     /* the guest is lost, or cannot be migrated */
};

/* Major and minor version of a source and of a destination. */
struct godwit_bug_pair {
    unsigned short source[2], destination[2];
};

struct godwit_bug {
    const char *id; /* its anchor in docs/known-bugs.md, too */
    const char *summary;
    const char *reference;
    enum godwit_symptom_kind kind;
    enum godwit_bug_role role;
    int since[2];                    /* first release with it; 0: all */
    int fixed[2];                    /* first release without it; 0: there is none. Stable releases
                                        of earlier versions never got any of the fixes */
    struct godwit_bug_pair pairs[6]; /* between these versions only, if there are any */
    const char *arch;                /* on this architecture only; NULL: on any */
    const char *accel;               /* under this accelerator only; NULL: under any */
    enum godwit_bug_effect effect;
    unsigned strikes, runs; /* it was measured to strike so often in so many runs; the same number
                               twice: each time that its conditions hold */
    unsigned percent;       /* of runs that it strikes in at the most, on the worst of hosts */
    /* Whether SYMPTOM, which is of the row's kind and within its bounds, is this bug's. *SEEN is
     * what was seen, in words, the caller's; unset: the symptom's text. */
    bool (*matches)(const struct godwit_symptom *symptom, char **seen);
};

/* The rows by family, each ended by one without an id. */
extern const struct godwit_bug godwit_bugs_memory[];
extern const struct godwit_bug godwit_bugs_loading[];
extern const struct godwit_bug godwit_bugs_states[];
extern const struct godwit_bug godwit_bugs_requests[];
extern const struct godwit_bug godwit_bugs_figures[];

/* The row of that number, counted over all families, or NULL after the last. */
const struct godwit_bug *godwit_bug_at(size_t index);

/* The first row of that id, or NULL. */
const struct godwit_bug *godwit_bug_find(const char *id);

/* Whether the row's bounds hold between these two QEMUs. */
bool godwit_bug_strikes(const struct godwit_bug *bug, const struct godwit_setup *setup,
                        const struct godwit_qemu *source, const struct godwit_qemu *destination);

/* The known bug that SYMPTOM is of, which is noted in the testbed's facts ("known_bugs"); NULL if
 * it is of none. */
const struct godwit_bug *godwit_bug_explain(const struct godwit_symptom *symptom);

/* Whether one of the setup's QEMUs loses the last writes to pages that stay in its TLB: the window
 * has to be larger than that then. */
bool godwit_bug_hot_pages(const struct godwit_setup *setup);

/*
 * A migration to DESTINATION has failed with *FAILURE. If a known bug explains that, it is noted,
 * and *FAILURE says so from then on: godwit_bug_of(). Nothing but a failed load is explained: no
 * oracle's finding, time-out, refusal or interruption.
 */
void godwit_bug_explain_failure(struct godwit_vm *source, struct godwit_vm *destination,
                                GError **failure);

/* Marks *FAILURE as one that BUG explains. */
void godwit_bug_mark(GError **failure, const struct godwit_bug *bug);

/* The known bug that explains FAILURE, or NULL. */
const struct godwit_bug *godwit_bug_of(const GError *failure);

/* Ids that are accepted: a bit for each bug, by the number of its first row. */
typedef uint64_t godwit_bug_set;

/*
 * Adds to *SET the ids in TEXT, separated by commas; "@FILE" stands for those in FILE, one in each
 * line, without empty lines and what follows a "#". USAGE error for an id that there is not, which
 * lists those that there are; ENVIRONMENT error for a file that cannot be read.
 */
bool godwit_bug_set_parse(const char *text, godwit_bug_set *set, GError **error);

/* The ids of the set with commas between them, or NULL if it is empty. The caller's. */
char *godwit_bug_set_text(godwit_bug_set set);

/* Of the bugs that FACTS list, the first that is a failure: neither accepted nor, unless STRICT,
 * survived by the guest. NULL if there is none. */
const struct godwit_bug *godwit_bug_unaccepted(const json_t *facts, godwit_bug_set accepted,
                                               bool strict);

/* Of the bugs that FACTS list, the one whose rate is to be confirmed, the rarest; or NULL. */
const struct godwit_bug *godwit_bug_rare(const json_t *facts);

/* How often a scenario that BUG has struck is run again, at the most; and how many strikes among
 * those are more than chance allows: the probability of as many or more is below 1e-4. */
unsigned godwit_bug_repetitions(const struct godwit_bug *bug);
unsigned godwit_bug_too_many(const struct godwit_bug *bug);

#endif
