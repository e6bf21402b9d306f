/* SPDX-License-Identifier: MIT */
#include "oracle/known_bugs.h"

#include "migrate/migrate.h"
#include "oracle/stamp.h"
#include "vm/image.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* A bug, and where it can strike. */
struct known_bug {
    const char *id;
    const char *summary;
    const char *reference;
    const char *accel; /* only under this accelerator; NULL: under any */
    int since[2]; /* major and minor version of the first release that may have it, 0 for all */
    int fixed[2]; /* the same of the first one without it, 0 if there is none yet; stable releases
                     of earlier versions never got any of the fixes */
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
 * A CPU of TCG marks a page dirty, and writes to it then. If it is preempted in between, and the
 * migration takes the mark and the page meanwhile, what is written is not marked any more; it is
 * lost if nothing marks the page again before the guest is stopped. A race, met once in some
 * hundred migrations on one processor and in thousands on more.
 */
static const struct known_bug dirty_race = {
    .id = "tcg-dirty-race",
    .summary = "live migration under TCG may lose a write made while the dirty bitmap is taken",
    .reference = "measured in QEMU 10.0 and 11.1; earlier ones lose more (tcg-hot-page)",
    .accel = "tcg",
};

/*
 * QEMU 11.1 takes the dirty bitmap again as soon as a migration begins. Pages that the guest writes
 * to all the while, and that are sent then, may not be marked from there on until the bitmap is
 * taken once more. If that is for the last time, they stay on the source as they are: here it is
 * the mailbox, in a postcopy that is switched to in the first pass.
 */
static const struct known_bug hot_start = {
    .id = "tcg-hot-start",
    .summary =
        "a migration under TCG that is soon over, or switched to postcopy, may lose writes to "
        "pages that stay in the TLB",
    .reference = "measured in QEMU 11.1, and not in 7.2 and 10.0",
    .accel = "tcg",
    .since = {10, 1},
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

/*
 * Two of the parameters that migrate-set-parameters takes are not looked at any further: whatever
 * number they are given, legal or not, the answer is that they are set, and they are what they were
 * before. The release that fixed it is not known: 7.2 has it, 10.0 does not.
 */
static const struct known_bug ignored_level = {
    .id = "multifd-level-ignored",
    .summary = "setting multifd-zlib-level or multifd-zstd-level has no effect, and no error",
    .reference = "fixed in QEMU 10.0 at the latest, where they are checked and set",
    .fixed = {10, 0},
};

/*
 * A port goes to getaddrinfo() as text, and glibc takes it modulo 65536 where a port has to be
 * numeric: the guest's memory goes to another port than was asked for, if somebody listens there.
 */
static const struct known_bug wrapped_port = {
    .id = "tcp-port-wraps",
    .summary = "a TCP port above 65535 is taken modulo 65536 instead of being refused",
    .reference = "not known to be fixed in any release",
};

/*
 * A destination goes to state setup before it tries to listen, and stays there when that fails. A
 * second migrate-incoming is then taken for one too many. 7.2 does not look at the state there.
 */
static const struct known_bug stuck_incoming = {
    .id = "incoming-stuck",
    .summary = "a destination that could not listen where it was told to takes no other address",
    .reference = "not in 7.2; not known to be fixed in any release",
};

/* The address of the main channel is used without a look whether there is one. */
static const struct known_bug channels_crash = {
    .id = "no-main-channel",
    .summary = "migrate with channels of which none is the main one kills QEMU",
    .reference = "not known to be fixed in any release",
};

/* Both at once are let through, and the destination's clean-up of the one trips over the other's.
 * Nor does it serve a later source, which does without multifd after the switchover: that waits. */
static const struct known_bug multifd_postcopy = {
    .id = "multifd-postcopy",
    .summary =
        "postcopy with multifd on is not refused, and aborts the destination at its end, or has "
        "none",
    .reference = "refused by QEMU 8.1 and later",
    .fixed = {8, 1},
};

/*
 * The migration thread waits for channels whose threads have ended already, and the migration stays
 * "cancelling". A race: QEMU's own test of it has been switched off and on for that.
 */
static const struct known_bug multifd_cancel = {
    .id = "multifd-cancel-hangs",
    .summary = "a multifd migration that is cancelled may never be over",
    .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
    .fixed = {11, 1},
};

/* Once the guest is stopped, all that is left is sent by who holds the lock that the monitor needs,
 * too. */
static const struct known_bug stalled_completion = {
    .id = "completion-stalls-monitor",
    .summary = "a source whose peer takes no more bytes at the end answers nothing on QMP",
    .reference = "measured in QEMU 7.2, 10.0 and 11.1",
};

/*
 * The thread that loads what was left goes on with a connection that is not there yet: it dies in
 * qemu_get_byte(), called by qemu_loadvm_state_main(). A race, met once in some 50 recoveries on a
 * loaded host.
 */
static const struct known_bug recover_crash = {
    .id = "preempt-recover-crash",
    .summary = "a destination may crash as it recovers a postcopy migration with a preempt channel",
    .reference = "measured in QEMU 7.2, and not in 10.0",
    .fixed = {10, 0},
};

/* Which registers there are changes with the version, and what is sent with them; those of the
 * interrupt controller are among them. */
static const struct known_bug aarch64_cpu = {
    .id = "aarch64-versions",
    .summary = "under TCG, one version of QEMU does not take an aarch64 CPU's state from another",
    .reference = "measured between QEMU 7.2, 10.0 and 11.1, with -cpu max and cortex-a72",
    .accel = "tcg",
};

static const struct known_bug ppc64_cpu = {
    .id = "ppc64-versions",
    .summary = "QEMU 7.2 and later versions do not take the state of a ppc64 CPU from one another",
    .reference = "measured between QEMU 7.2 and both 10.0 and 11.1, on pseries-7.2 under TCG; "
                 "between 10.0 and 11.1 it works",
    .accel = "tcg",
    .fixed = {10, 0},
};

/* A pseries machine that is reset writes its device tree into the guest's RAM. A destination is,
 * before it takes a migration, which is to overwrite that; but not where the RAM is the source's.
 */
static const struct known_bug device_tree = {
    .id = "ppc64-device-tree",
    .summary = "a destination that shares the source's RAM writes its device tree into it",
    .reference = "measured in QEMU 7.2, 10.0 and 11.1",
};

/* The destination ends at what it reads from the CPR channel, before it has a monitor. */
static const struct known_bug cpr_versions = {
    .id = "cpr-versions",
    .summary = "an older QEMU does not take over the memory of a newer one by cpr-transfer",
    .reference = "measured from QEMU 11.1 to 10.0; from 10.0 to 11.1 it works",
};

static bool is_before(int major, int minor, const int version[2])
{
    return major < version[0] || (major == version[0] && minor < version[1]);
}

static bool may_strike_version(const struct known_bug *bug, const struct godwit_setup *setup,
                               const struct godwit_qemu *qemu)
{
    int major = 0, minor = 0;
    if (bug->accel && strcmp(bug->accel, setup->accel) != 0)
        return false;
    if (sscanf(qemu->version, "%d.%d", &major, &minor) != 2)
        return false;
    return !is_before(major, minor, bug->since) &&
           (!bug->fixed[0] || is_before(major, minor, bug->fixed));
}

static bool may_strike(const struct known_bug *bug, const struct godwit_vm *vm)
{
    return may_strike_version(bug, vm->rig->setup, vm->qemu);
}

/* One that either side can bring. */
static bool may_strike_either(const struct known_bug *bug, const struct godwit_setup *setup)
{
    return may_strike_version(bug, setup, setup->source) ||
           may_strike_version(bug, setup, setup->destination);
}

/* Notes that a bug was met. More than once in a scenario it is still one bug. */
static void note(struct godwit_rig *rig, const struct known_bug *bug, const char *seen)
{
    json_t *list = json_object_get(rig->facts, "known_bugs");
    if (!list) {
        list = json_array();
        json_object_set_new(rig->facts, "known_bugs", list);
    }
    size_t i;
    json_t *noted;
    json_array_foreach(list, i, noted)
    {
        if (strcmp(godwit_json_string(noted, "id", ""), bug->id) != 0)
            continue;
        const char *before = godwit_json_string(noted, "seen", "");
        g_autofree char *all = g_strdup_printf("%s; %s", before, seen);
        if (!strstr(before, seen))
            json_object_set_new(noted, "seen", json_string(all));
        return;
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

/* Whether both have the same bytes between the mailboxes of two successive CPUs, CPU being the
 * first of them. */
static bool same_gap(struct godwit_vm *source, struct godwit_vm *destination, unsigned cpu)
{
    unsigned char here[GODWIT_MAILBOX_STRIDE - GODWIT_MAILBOX_SIZE];
    unsigned char there[sizeof(here)];
    const uint64_t gpa = source->rig->setup->image->mailbox +
                         cpu * (uint64_t)GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_SIZE;
    return godwit_memory_read(source, gpa, here, sizeof(here), NULL) &&
           godwit_memory_read(destination, gpa, there, sizeof(there), NULL) &&
           !memcmp(here, there, sizeof(here));
}

bool godwit_known_hot_pages(const struct godwit_setup *setup)
{
    return may_strike_either(&hot_page, setup);
}

bool godwit_known_stale_page(struct godwit_vm *source, struct godwit_vm *destination,
                             const struct godwit_block *block, uint64_t first, uint64_t last,
                             const char *text)
{
    const struct godwit_setup *setup = source->rig->setup;
    const unsigned cpus = setup->workload.cpus;
    const uint64_t length = (cpus - 1) * (uint64_t)GODWIT_MAILBOX_STRIDE + GODWIT_MAILBOX_SIZE;
    uint64_t mailboxes = 0;
    const struct godwit_block *mailbox_block =
        godwit_memory_locate(source, setup->image->mailbox, length, &mailboxes, NULL);
    const struct known_bug *bug = may_strike(&hot_page, source) ? &hot_page : &hot_start;
    /* Nothing but the mailboxes' own fields: what else differs there is nobody's known bug. */
    if (!may_strike(bug, source) ||
        (bug == &hot_start && !godwit_json_true(source->capabilities, "postcopy-ram")) ||
        block != mailbox_block || first < mailboxes || last >= mailboxes + length)
        return false;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        struct godwit_mailbox here, there;
        if (!godwit_memory_mailbox(source, cpu, &here, NULL) ||
            !godwit_memory_mailbox(destination, cpu, &there, NULL) || !is_earlier(&there, &here) ||
            (cpu + 1 < cpus && !same_gap(source, destination, cpu)))
            return false;
    }
    note(source->rig, bug, text);
    return true;
}

/* Words of a page that can have been sent half written: who copies it meets who writes it. */
#define HALF_WORDS 4u

/* Whether WORD is half one generation's of INDEX of PAGE, and half the next one's: between the two
 * stores that it takes, or copied while they are made. */
static bool is_half_written(const struct godwit_stamp *stamp, uint32_t page, uint32_t index,
                            uint64_t word, uint64_t latest)
{
    const uint64_t low = UINT32_MAX;
    uint64_t older = godwit_stamp_word(stamp, page, index, 0);
    for (uint64_t generation = 1; generation <= latest; generation++) {
        const uint64_t newer = godwit_stamp_word(stamp, page, index, generation);
        if (word == ((newer & low) | (older & ~low)) || word == ((older & low) | (newer & ~low)))
            return true;
        older = newer;
    }
    return false;
}

/* What a page that is stale has to be like, as one bug or another leaves it. */
struct staleness {
    const struct godwit_stamp *stamp;
    uint64_t latest; /* the last generation that the source's page can be of */
    uint64_t most;   /* generations or passes that it can be behind */
    bool halves;     /* a few words may have been sent half written */
    bool big_endian;
};

/* Whether PAGE of the window holds nothing but words of its own that are right or stale. */
static bool is_older(const struct staleness *how, uint32_t page, const unsigned char *right,
                     const unsigned char *found)
{
    const struct godwit_stamp *stamp = how->stamp;
    unsigned left = how->halves ? HALF_WORDS : 0;
    for (uint32_t i = 0; i < godwit_stamp_words(stamp); i++) {
        const uint64_t word = godwit_stamp_load(found, i, how->big_endian);
        const uint64_t newer = godwit_stamp_load(right, i, how->big_endian);
        uint64_t generation, wanted = how->latest;
        if (word == newer || (word == 0 && (stamp->flags & GODWIT_FLAG_ZERO)))
            continue;
        if (godwit_stamp_date(stamp, word, page, i, how->latest, &generation)) {
            (void)godwit_stamp_date(stamp, newer, page, i, how->latest, &wanted);
            if (wanted - generation > how->most)
                return false;
            continue;
        }
        if (left == 0 || !is_half_written(stamp, page, i, word, how->latest))
            return false;
        left--;
    }
    return true;
}

/* The same of a page of `order`, which changes its first byte. */
static bool is_earlier_pass(const struct staleness *how, const unsigned char *right,
                            const unsigned char *found, size_t size)
{
    const signed char behind = (signed char)(right[0] - found[0]);
    return behind > 0 && (uint64_t)behind <= how->most && !memcmp(right + 1, found + 1, size - 1);
}

/* Of a window with more pages than the TLB has places, so many at the most can stay there: it is
 * two that were seen. */
#define HOT_PAGES 8u

/* Whether two pages of SIZE bytes, which begin at AT of the first CPU's mailbox, differ in CPUS'
 * mailboxes alone. */
static bool only_mailboxes(const unsigned char *right, const unsigned char *found, size_t size,
                           uint64_t at, unsigned cpus)
{
    for (size_t i = 0; i < size; i++)
        if (right[i] != found[i] && ((at + i) / GODWIT_MAILBOX_STRIDE >= cpus ||
                                     (at + i) % GODWIT_MAILBOX_STRIDE >= GODWIT_MAILBOX_SIZE))
            return false;
    return true;
}

bool godwit_known_stale_window(struct godwit_vm *source, struct godwit_vm *destination,
                               const struct godwit_block *block, uint64_t first, uint64_t last,
                               const char *text)
{
    const struct godwit_setup *setup = source->rig->setup;
    const struct godwit_workload *workload = &setup->workload;
    const struct godwit_block *there = godwit_memory_block(destination, block->name);
    const size_t size = workload->page_size;
    const uint64_t length = workload->window_end - workload->window_start;
    uint64_t window = 0, mailboxes = 0;
    const bool stamped = workload->flags & GODWIT_FLAG_STAMP;
    const bool hot = may_strike(&hot_page, source);
    const struct known_bug *bug = hot ? &hot_page : &dirty_race;
    /* A CPU can be preempted in one page only. */
    unsigned left = !hot ? workload->cpus : stamped ? UINT_MAX : HOT_PAGES;
    if (!may_strike(bug, source) || !there ||
        (!hot && !json_object_get(source->rig->facts, "live")) ||
        godwit_memory_locate(source, workload->window_start, length, &window, NULL) != block ||
        godwit_memory_locate(source, setup->image->mailbox, GODWIT_MAILBOX_SIZE, &mailboxes,
                             NULL) != block ||
        mailboxes % size || window % size)
        return false;
    struct godwit_mailbox here[GODWIT_MAX_CPUS], old;
    for (unsigned cpu = 0; cpu < workload->cpus; cpu++)
        if (!godwit_memory_mailbox(source, cpu, &here[cpu], NULL) ||
            !godwit_memory_mailbox(destination, cpu, &old, NULL) || !is_earlier(&old, &here[cpu]))
            return false;
    const struct godwit_stamp stamp = godwit_stamp_of(workload);
    struct staleness how = {.stamp = &stamp,
                            .most = hot ? UINT64_MAX : 1,
                            .halves = hot && setup->image->stamp_store < sizeof(uint64_t),
                            .big_endian = setup->machine->big_endian};
    g_autofree unsigned char *right = g_malloc(size), *found = g_malloc(size);
    for (uint64_t offset = first - first % size; offset <= last; offset += size) {
        if (!godwit_memory_read_block(source, block, offset, right, size, NULL) ||
            !godwit_memory_read_block(destination, there, offset, found, size, NULL))
            return false;
        if (!memcmp(right, found, size) ||
            (hot && only_mailboxes(right, found, size, offset - mailboxes, workload->cpus)))
            continue;
        const uint32_t page = (uint32_t)((offset - window) / size);
        how.latest = here[page % workload->cpus].passes + 1;
        if (offset < window || offset - window >= length || left-- == 0 ||
            !(stamped ? is_older(&how, page, right, found)
                      : is_earlier_pass(&how, right, found, size)))
            return false;
    }
    note(source->rig, bug, text);
    return true;
}

bool godwit_known_device_tree(struct godwit_vm *source, struct godwit_vm *destination,
                              const struct godwit_block *block, uint64_t first, uint64_t last,
                              const char *text)
{
    enum { ROOM = 0x200000 }; /* that the machine has for it, and a multiple of where it is */
    static const uint32_t magic = 0xd00dfeed;
    const uint64_t start = first - first % ROOM;
    const struct godwit_block *there = godwit_memory_block(destination, block->name);
    unsigned char head[8];
    if (!may_strike(&device_tree, destination) || !source->kept ||
        strcmp(source->rig->setup->machine->arch, "ppc64") != 0 || !there ||
        !godwit_memory_read_block(destination, there, start, head, sizeof(head), NULL) ||
        godwit_guest_get32(head, true) != magic ||
        last >= start + godwit_guest_get32(head + 4, true))
        return false;
    note(source->rig, &device_tree, text);
    return true;
}

bool godwit_known_lost_suspend(struct godwit_vm *source, const char *status)
{
    /* The state is carried by the newer of two, and understood by it. */
    if (!may_strike_either(&lost_suspend, source->rig->setup))
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

const char *godwit_known_ignored_level(struct godwit_vm *source, const char *parameter,
                                       const char *value, const char *reads)
{
    if (!may_strike(&ignored_level, source) || (strcmp(parameter, "multifd-zlib-level") != 0 &&
                                                strcmp(parameter, "multifd-zstd-level") != 0))
        return NULL;
    g_autofree char *seen =
        g_strdup_printf("%s was set to %s, and is %s as before", parameter, value, reads);
    note(source->rig, &ignored_level, seen);
    return ignored_level.id;
}

const char *godwit_known_wrapped_port(struct godwit_vm *source, unsigned port)
{
    if (!may_strike(&wrapped_port, source))
        return NULL;
    g_autofree char *seen =
        g_strdup_printf("asked to connect to port %u, it connected to port %u", port, port % 65536);
    note(source->rig, &wrapped_port, seen);
    return wrapped_port.id;
}

const char *godwit_known_stuck_incoming(struct godwit_vm *destination, const json_t *refusal)
{
    const char *desc = godwit_json_string(refusal, "desc", "");
    if (!may_strike(&stuck_incoming, destination) || !strstr(desc, "state: setup"))
        return NULL;
    note(destination->rig, &stuck_incoming, desc);
    return stuck_incoming.id;
}

const char *godwit_known_channels_crash(struct godwit_vm *source)
{
    /* Nothing but a wild pointer. */
    if (!may_strike(&channels_crash, source) || !source->exited ||
        !WIFSIGNALED(source->wait_status) || WTERMSIG(source->wait_status) != SIGSEGV)
        return NULL;
    g_autofree char *end = godwit_vm_end(source);
    g_autofree char *seen = g_strdup_printf("the %s's QEMU %s", source->name, end);
    note(source->rig, &channels_crash, seen);
    return channels_crash.id;
}

bool godwit_known_multifd_postcopy(const struct godwit_vm *source,
                                   const struct godwit_vm *destination, const char *state)
{
    g_autofree char *said = godwit_vm_stderr(destination, 20);
    if (!may_strike(&multifd_postcopy, destination))
        return false;
    if (!g_strcmp0(state, "postcopy-active") && !destination->exited &&
        !may_strike(&multifd_postcopy, source)) {
        note(destination->rig, &multifd_postcopy, "the source is still \"postcopy-active\"");
        return true;
    }
    if (!destination->exited || !WIFSIGNALED(destination->wait_status) ||
        WTERMSIG(destination->wait_status) != SIGABRT || !strstr(said, "yankfns"))
        return false;
    note(destination->rig, &multifd_postcopy, said);
    return true;
}

bool godwit_known_multifd_cancel(const struct godwit_vm *source, const char *state)
{
    if (!may_strike(&multifd_cancel, source) || strcmp(state, "cancelling") != 0)
        return false;
    note(source->rig, &multifd_cancel, "the source is still \"cancelling\"");
    return true;
}

/* The latest pass over its memory that the source has told of. */
static json_int_t told_pass(const struct godwit_vm *source)
{
    json_int_t pass = 0;
    for (guint i = source->migration_first; i < source->qmp->events->len; i++) {
        const json_t *event = g_ptr_array_index(source->qmp->events, i);
        if (godwit_qmp_event_is(event, "MIGRATION_PASS", NULL))
            pass = godwit_json_integer(json_object_get(event, "data"), "pass", 0);
    }
    return pass;
}

bool godwit_known_stalled_completion(const struct godwit_vm *source)
{
    const char *state = godwit_migrate_told_state(source);
    /* In the old ones "device" is no state of a migration without a pause. But where no guest
     * runs, it is for the end alone that they look for dirty pages a third time. */
    if (!may_strike(&stalled_completion, source) ||
        (strcmp(state, "device") != 0 && (strcmp(state, "active") != 0 || told_pass(source) < 3)))
        return false;
    g_autofree char *seen = g_strdup_printf(
        "migrate_cancel is not answered while the source's migration is \"%s\", in pass %d", state,
        (int)told_pass(source));
    note(source->rig, &stalled_completion, seen);
    return true;
}

bool godwit_known_recover_crash(const struct godwit_vm *destination)
{
    bool paused = false;
    for (guint i = 0; i < destination->qmp->events->len && !paused; i++)
        paused = godwit_qmp_event_is(g_ptr_array_index(destination->qmp->events, i), "MIGRATION",
                                     "postcopy-paused");
    if (!may_strike(&recover_crash, destination) || !paused || !destination->exited ||
        !godwit_json_true(destination->capabilities, "postcopy-preempt") ||
        !WIFSIGNALED(destination->wait_status) || WTERMSIG(destination->wait_status) != SIGSEGV)
        return false;
    g_autofree char *end = godwit_vm_end(destination);
    g_autofree char *seen =
        g_strdup_printf("the %s's QEMU %s as it recovered", destination->name, end);
    note(destination->rig, &recover_crash, seen);
    return true;
}

bool godwit_known_cpu_versions(const struct godwit_vm *destination)
{
    const struct godwit_setup *setup = destination->rig->setup;
    const char *arch = setup->machine->arch;
    if (!strcmp(setup->source->version, setup->destination->version))
        return false;
    const struct known_bug *bug = !strcmp(arch, "aarch64") ? &aarch64_cpu
                                  : !strcmp(arch, "ppc64") ? &ppc64_cpu
                                                           : NULL;
    if (!bug || !may_strike_either(bug, setup))
        return false;
    /* Some tell of each register by a line. */
    g_autofree char *said = godwit_vm_stderr(destination, 200);
    static const char *const words[] = {
        "of device 'cpu'", "of device 'arm_gicv3'",
        "expecting positive value <=", "unknown on the destination: fail migration",
        "vmstate_load_state: Assertion",
        /* 11.1, which does not say of what in a postcopy: */
        "loadvm failed during postcopy: -22"};
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!strstr(said, words[i]))
            continue;
        g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
        for (guint l = 0; lines[l]; l++)
            if (strstr(lines[l], words[i])) {
                note(destination->rig, bug, lines[l]);
                return true;
            }
    }
    return false;
}

bool godwit_known_cpr_versions(const struct godwit_vm *destination)
{
    static const char words[] = "vmstate_load_state error";
    const struct godwit_setup *setup = destination->rig->setup;
    g_autofree char *said = godwit_vm_stderr(destination, 1);
    if (!may_strike(&cpr_versions, destination) || !destination->exited ||
        !strcmp(setup->source->version, setup->destination->version) || !strstr(said, words))
        return false;
    note(destination->rig, &cpr_versions, said);
    return true;
}
