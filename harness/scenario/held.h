/*
 * A migration that is brought into one of its states and stays there, so that something can happen
 * in that state, and the judgement of what comes of it: of a source that keeps its guest, of a side
 * that is alone in a postcopy, and of a migration that completes after all.
 *
 * Setup is held by a socket that neither accepts nor refuses, active by the throttle,
 * pre-switchover by the capability of that name, and postcopy by its bandwidth. In device and
 * postcopy-device the relay keeps back all that comes: the source has sent everything, and waits
 * for the destination to confirm it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_HELD_H
#define GODWIT_HARNESS_SCENARIO_HELD_H

#include "oracle/oracle.h"
#include "scenario/recovery.h"

/* Those from POSTCOPY_ACTIVE on have a guest that has left the source. */
enum godwit_held_state {
    GODWIT_HELD_SETUP, /* there is no destination */
    GODWIT_HELD_ACTIVE,
    GODWIT_HELD_PRE_SWITCHOVER,
    GODWIT_HELD_DEVICE,
    GODWIT_HELD_POSTCOPY_DEVICE,
    GODWIT_HELD_POSTCOPY_ACTIVE,
    GODWIT_HELD_POSTCOPY_PAUSED,
    GODWIT_HELD_POSTCOPY_RECOVER,
};

struct godwit_stream;

/* What the relay does with the source's stream, and with multifd channels. */
struct godwit_sluice {
    struct godwit_stream
        *stream;   /* reads the main one; owned. NULL: not needed, or it cannot be read */
    bool shut;     /* nothing passes any more */
    bool over;     /* all that is to be kept back has come */
    bool postcopy; /* ... which is a package, otherwise the rest of the stream */
};

/* It must live as long as the testbed's wire: in the scenario's state. */
struct godwit_held {
    struct godwit_testbed *testbed;
    enum godwit_held_state state;
    bool paused;                              /* the destination is started paused */
    const char *const *source_arguments;      /* added to the command line; NULL: none */
    const char *const *destination_arguments; /* likewise */
    bool survives;                            /* ... and must not exit */
    bool elsewhere; /* a second destination starts first, for godwit_held_elsewhere() */
    struct godwit_vm *source, *destination, *second;
    struct godwit_relay *relay;
    struct godwit_account account; /* of a postcopy, when its guest was last seen to wait */
    godwit_peer here, there;       /* the other ends of connections that get no answer */
    struct godwit_sluice sluice;
};

/* Makes HELD empty, for STATE. */
void godwit_held_init(struct godwit_held *held, struct godwit_testbed *testbed,
                      enum godwit_held_state state);

/* Frees what HELD owns. Its VMs and its relay belong to the testbed. */
void godwit_held_clear(struct godwit_held *held);

/* Returns whether the guest has left the source, and may run on the destination. */
static inline bool godwit_held_is_postcopy(const struct godwit_held *held)
{
    return held->state >= GODWIT_HELD_POSTCOPY_ACTIVE;
}

/* Returns QEMU's name of a state. Static. */
const char *godwit_held_name(enum godwit_held_state state);

/* Starts source and destination, and configures them: the migration will be throttled. In setup
 * there is only a source. */
bool godwit_held_start(struct godwit_held *held, GError **error);

/* Sets more CAPABILITIES, multifd among them, and makes the destination listen. The channels share
 * a relay, which throttles them together. */
bool godwit_held_connect(struct godwit_held *held, const struct godwit_capability *capabilities,
                         GError **error);

/* Starts the migration, through a relay, and brings it into the state. The caller may make the
 * destination listen first, and make the relay. */
bool godwit_held_reach(struct godwit_held *held, GError **error);

/* Fails with MIGRATION unless the source reports the state. WHEN completes "the source's migration
 * is ...". */
bool godwit_held_expect(const struct godwit_held *held, const char *when, GError **error);

/* Closes the other ends: a side that waits for an answer sees its connection end, or be refused. */
void godwit_held_end_peers(struct godwit_held *held);

/* Cuts the connection between the QEMUs. */
void godwit_held_hang_up(struct godwit_held *held);

/* Continues a source in pre-switchover, which does not notice the network before. */
bool godwit_held_go_on(struct godwit_held *held, GError **error);

/* Waits until the source of a migration that was broken off before it left the source reports that
 * it failed, and that the guest resumed if the migration had stopped it. */
bool godwit_held_await_failure(struct godwit_held *held, GError **error);

/* Waits until a cancelled migration is over, and records as what ("ended"): as cancelled. In device
 * it may be failed, because QEMU first breaks the connection and then changes the state: its thread
 * may see only the former. */
bool godwit_held_await_cancelled(struct godwit_held *held, GError **error);

/* Checks that the source's guest runs on and can be migrated to another destination. */
bool godwit_held_elsewhere(struct godwit_held *held, GError **error);

/* Judges the side that is left of a postcopy. It has only a part of the guest's memory, so it must
 * wait in postcopy-paused. A source must not run its guest. Ends a source. */
bool godwit_held_alone(struct godwit_held *held, struct godwit_vm *vm, GError **error);

/* Lets a migration whose sides both survive complete, and reads the mailboxes of the source, which
 * does not run any more, into BEFORE. BROKEN: a postcopy has lost its connection. */
bool godwit_held_complete(struct godwit_held *held, bool broken, struct godwit_reading *before,
                          GError **error);

/* Checks that the destination's guest continues from BEFORE, and that its memory is in order when
 * it is stopped again. */
bool godwit_held_judge_running(struct godwit_vm *destination, const struct godwit_reading *before,
                               GError **error);

/* Compares the RAM of a destination that has not run with the source's, and does all that
 * godwit_held_judge_running() does after `cont`. Nothing runs if a known bug has lost writes. */
bool godwit_held_judge_loaded(struct godwit_held *held, GError **error);

#endif
