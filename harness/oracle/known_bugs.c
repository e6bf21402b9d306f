/* SPDX-License-Identifier: MIT */
#include "oracle/known_bugs.h"

#include "vm/image.h"
#include <string.h>

/* A bug, and where it can strike. */
struct known_bug {
    const char *id;
    const char *summary;
    const char *reference;
    const char *accel; /* only under this accelerator; NULL: under any */
    int fixed[2];      /* major and minor version of the first release without it; stable releases
                          of earlier versions never got either of the fixes below. Zeros: there is
                          none yet */
};

/*
 * While memory is tracked for migration, QEMU's TCG has to be told of each dirty bit that the
 * migration clears; before the fix it was not when bits were cleared word by word. A page whose TLB
 * entry stays alive is then written without being marked dirty again, and the last writes to it
 * never leave the source. Guests that touch many pages lose only those few that never leave the
 * TLB: here the mailbox, which is written with every increment.
 */
static const struct known_bug hot_page = {
    .id = "tcg-hot-page",
    .summary = "live migration under TCG loses the last writes to pages that stay in the TLB",
    .reference = "fixed in QEMU 9.0 by \"physmem: Fix migration dirty bitmap coherency with TCG "
                 "memory access\"",
    .accel = "tcg",
    .fixed = {9, 0},
};

/*
 * At the end of a migration the engine wakes up a suspended guest, asynchronously: sometimes before
 * its state is sent, so that it starts anew on the destination without having been asked to;
 * sometimes after, so that it arrives asleep in a machine that takes it for running, and
 * system_wakeup is refused.
 */
static const struct known_bug lost_suspend = {
    .id = "suspend-lost",
    .summary = "a suspended guest is migrated as a running one, and may never wake up",
    .reference = "fixed in QEMU 9.0 by \"migration: preserve suspended runstate\"",
    .fixed = {9, 0},
};

/*
 * Before the fix, listening for a migration always told of the state "setup" without setting it:
 * migrate-recover, which listens for the rest of a migration, does so in the middle of one.
 */
static const struct known_bug setup_event = {
    .id = "recover-setup-event",
    .summary = "migrate-recover tells of a state (setup) that the migration is not in",
    .reference = "fixed in QEMU 8.2 by \"migration: Set migration status early in incoming side\"",
    .fixed = {8, 2},
};

/*
 * A migration that is cancelled in setup is taken for one that has not begun to connect, and is
 * cancelled at once. If it connects nevertheless, in a thread, another `migrate` is refused and
 * then takes that connection for its own: the guest goes to the destination that was cancelled.
 */
static const struct known_bug early_cancel = {
    .id = "cancel-setup-early",
    .summary = "a migration that still connects is said to be cancelled, and disturbs the next one",
    .reference = "measured in QEMU 10.0, and not in 7.2 and 11.1",
    .fixed = {11, 1},
};

/*
 * When a multifd migration breaks off, more than one thread of the source notices, and "failed" (in
 * 11.1: "failing", which comes before it) is told twice. The second event changes nothing.
 */
static const struct known_bug failed_twice = {
    .id = "multifd-failed-twice",
    .summary = "the source tells twice that a multifd migration has failed or is failing",
    .reference = "not fixed in QEMU 11.1",
};

static bool may_strike(const struct known_bug *bug, const struct godwit_vm *vm)
{
    int major = 0, minor = 0;
    if (bug->accel && strcmp(bug->accel, vm->rig->setup->accel) != 0)
        return false;
    if (sscanf(vm->qemu->version, "%d.%d", &major, &minor) != 2)
        return false;
    return !bug->fixed[0] || major < bug->fixed[0] ||
           (major == bug->fixed[0] && minor < bug->fixed[1]);
}

static void note(struct godwit_rig *rig, const struct known_bug *bug, const char *seen)
{
    json_t *list = json_object_get(rig->facts, "known_bugs");
    if (!list) {
        list = json_array();
        json_object_set_new(rig->facts, "known_bugs", list);
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "id", bug->id, "summary",
                                          bug->summary, "reference", bug->reference, "seen", seen));
}

/* Whether the destination's mailbox is the source's as it was at an earlier time. */
static bool is_earlier(const struct godwit_mailbox *earlier, const struct godwit_mailbox *later)
{
    return earlier->magic == later->magic && earlier->state == later->state &&
           earlier->passes <= later->passes && earlier->timer <= later->timer &&
           earlier->fault_address == later->fault_address &&
           earlier->fault_expected == later->fault_expected &&
           earlier->fault_found == later->fault_found;
}

bool godwit_known_stale_page(struct godwit_vm *source, struct godwit_vm *destination,
                             const struct godwit_block *block, uint64_t first, uint64_t last,
                             const char *text)
{
    const struct godwit_setup *setup = source->rig->setup;
    struct godwit_mailbox here, there;
    uint64_t mailbox = 0;
    const struct godwit_block *mailbox_block =
        godwit_memory_locate(source, setup->image->mailbox, GODWIT_MAILBOX_SIZE, &mailbox, NULL);
    /* Nothing but the mailbox's own fields: what else differs there is nobody's known bug. */
    if (!may_strike(&hot_page, source) || block != mailbox_block || first < mailbox ||
        last >= mailbox + GODWIT_MAILBOX_SIZE || !godwit_memory_mailbox(source, &here, NULL) ||
        !godwit_memory_mailbox(destination, &there, NULL) || !is_earlier(&there, &here))
        return false;
    note(source->rig, &hot_page, text);
    return true;
}

bool godwit_known_lost_suspend(struct godwit_vm *source, const char *status)
{
    if (!may_strike(&lost_suspend, source))
        return false;
    g_autofree char *seen =
        g_strdup_printf("the suspended guest is \"%s\" on the destination", status);
    note(source->rig, &lost_suspend, seen);
    return true;
}

bool godwit_known_setup_event(const struct godwit_vm *destination, const char *from, const char *to)
{
    if (!may_strike(&setup_event, destination) || strcmp(from, "postcopy-paused") != 0 ||
        strcmp(to, "setup") != 0)
        return false;
    note(destination->rig, &setup_event,
         "the destination tells of \"setup\" while its migration is postcopy-paused");
    return true;
}

bool godwit_known_early_cancel(const struct godwit_vm *source)
{
    if (!may_strike(&early_cancel, source))
        return false;
    note(source->rig, &early_cancel,
         "the source's migration is cancelled while its connection is neither made nor refused");
    return true;
}

bool godwit_known_failed_twice(const struct godwit_vm *source, const char *state)
{
    if (strcmp(state, "failed") != 0 && strcmp(state, "failing") != 0)
        return false;
    if (!may_strike(&failed_twice, source) || !godwit_json_true(source->capabilities, "multifd"))
        return false;
    g_autofree char *seen = g_strdup_printf("two events \"%s\" in a row", state);
    note(source->rig, &failed_twice, seen);
    return true;
}
