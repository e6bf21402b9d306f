/*
 * Shared by relay.c and relay_judge.c. A trial is one wire fault and what must come of it. Its
 * attempt is the state of the trial while relay.c runs it and relay_judge.c judges it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_RELAY_PARTS_H
#define GODWIT_HARNESS_SCENARIO_RELAY_PARTS_H

#include "scenario/scenario.h"

/* The oracles that can notice a fault in a guest that has been loaded. */
enum oracle {
    ORACLE_TWIN,     /* a byte of RAM differs */
    ORACLE_STATE,    /* a byte of a device's state differs */
    ORACLE_ORDER,    /* page order is broken */
    ORACLE_STAMP,    /* a stamped word is wrong, or not of the instant of the account */
    ORACLE_POSITION, /* memory and the guest's account are not of one instant */
    ORACLE_GUEST,    /* the guest itself found a wrong byte */
    ORACLE_CONSOLE,  /* the guest wrote what it never should */
    ORACLE_PROGRESS, /* the guest makes no progress */
    ORACLE_ALARMS,   /* QEMU reported a reset or a shutdown by the guest, or other trouble */
    ORACLE_PROCESS,  /* QEMU died */
    ORACLES,         /* how many there are */
};

#define BY(name) (1u << ORACLE_##name)

/* The required outcome of a fault. */
enum verdict {
    VERDICT_HARMLESS, /* nothing */
    VERDICT_SEEN,     /* the stream is loaded, and oracles notice the fault */
    VERDICT_REFUSED,  /* the destination ends with an error */
    VERDICT_STUCK,    /* nothing, until the migration is cancelled */
    VERDICT_FLIPPED,  /* one of the first three, by the rules of flip.h */
};

struct trial {
    const char *fault; /* as --fault has it */
    enum verdict verdict;
    unsigned by;     /* BY(...): the oracles that must notice it */
    const char *why; /* why it does no harm, or why nothing can notice it */
};

struct attempt {
    struct godwit_testbed *testbed;
    const struct trial *trial;
    const struct godwit_fault_kind *kind;
    const struct godwit_injection *injection;
    struct godwit_vm *source, *destination;
    struct godwit_vm *second; /* to which the source is migrated afterwards; NULL: not started */
    GByteArray *sent; /* all that the source has sent, as it was before the fault; owned, and NULL
                         if it is not recorded */
    unsigned seen;    /* BY(...): the oracles that have noticed something, ... */
    unsigned loaded;  /* BY(...): ... and those of them that did before the guest ran */
    bool resized;     /* a RAM block has another size, which is part of a device's state */
    bool compared;    /* the devices' states were compared */
    bool went_on;     /* the guest continued, and its memory was checked afterwards */
    bool at_hand;     /* the guest may have read the page before the fault changed it */
    char *noticed[ORACLES]; /* what each of them has noticed; owned, or NULL */
    char *refused;          /* why the destination refused the stream; owned, or NULL */
};

/* Records the attempt in the testbed's measurements ("trial"). */
void godwit_trial_record(const struct attempt *attempt);

/* Judges a destination that has ended: it must have ended with an error and a reason, and never
 * have run its guest. A failed assertion of QEMU counts as well if the verdict is VERDICT_FLIPPED.
 * Fails if the destination ended otherwise. */
bool godwit_trial_judge_refusal(struct attempt *attempt, GError **error);

/* Lets every oracle look at a destination that has loaded the stream and not run yet, and records
 * in ATTEMPT which of them noticed something. Fails only if an oracle cannot look. */
bool godwit_trial_judge_loaded(struct attempt *attempt, GError **error);

/* Lets the destination run for two passes, in which its guest reads every page, then looks at its
 * memory once more. Records in COURSE what was noticed. Fails only if that cannot be done. */
bool godwit_trial_run_on(struct attempt *attempt, GError **error);

/* Judges the outcome of the trial by its verdict, with the alarms of a destination that has loaded
 * the stream. REFUSED is set if the destination refused the stream, or if the migration was stuck.
 * Fails with ORACLE if the outcome is another one. */
bool godwit_trial_judge(struct attempt *attempt, bool refused, GError **error);

#endif
