/*
 * One migration between two VMs of a testbed, step by step. Each step waits for what it needs to
 * see, by events; none sleeps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_MIGRATE_H
#define GODWIT_HARNESS_MIGRATE_MIGRATE_H

#include "stream/fault.h"
#include "testbed/vm.h"

enum godwit_transport {
    GODWIT_TRANSPORT_UNIX, /* a socket in the testbed's directory */
    GODWIT_TRANSPORT_TCP,  /* the destination's host, a port that the destination's kernel picks */
    GODWIT_TRANSPORT_FD,   /* a socket pair, an end passed to each */
    GODWIT_TRANSPORT_FD_FILE, /* a file, opened for each and passed */
    GODWIT_TRANSPORT_EXEC,    /* a command that writes a file, then one that reads it */
    GODWIT_TRANSPORT_FILE,    /* a file that each opens itself */
};

/* What is set on both sides before a migration. Capability and parameter names are QEMU's; both
 * arrays may be NULL and end with a NULL name. */
struct godwit_capability {
    const char *name;
    bool on;
};

struct godwit_parameter {
    const char *name;
    json_int_t value;
    const char *text; /* the value if it is no number; NULL otherwise */
};

/* Whether what is sent waits in a file: the destination takes it when the source is done. */
bool godwit_transport_is_file(enum godwit_transport transport);

/* The file of those transports, in the testbed's directory, where every QEMU has its working
 * directory. */
#define GODWIT_MIGRATE_FILE "migrate.stream"

/* The latest migration's state on a VM ("none", "active", "completed", ...): the caller's. */
char *godwit_migrate_state(struct godwit_vm *vm, GError **error);

/* The same as far as the events that have come by now tell of it: borrowed from them, "none" if
 * there is none. */
const char *godwit_migrate_reported_state(const struct godwit_vm *vm);

/*
 * Sets capabilities on a VM, beside `events`, which Godwit always needs. A capability that this
 * QEMU does not have is a SKIP error that names it.
 */
bool godwit_migrate_set_capabilities(struct godwit_vm *vm,
                                     const struct godwit_capability *capabilities, GError **error);

/* Sets parameters on a VM. One that this QEMU does not have is a SKIP error that names it. */
bool godwit_migrate_set_parameters(struct godwit_vm *vm, const struct godwit_parameter *parameters,
                                   GError **error);

/*
 * Makes a destination that waits (-incoming defer) listen, or, for the transports that are a file,
 * read it, which has to be there by then. Returns the address to send to as a URI, the caller's.
 * With CHANNELS the destination is told by its `channels` argument.
 */
char *godwit_migrate_listen(struct godwit_vm *destination, enum godwit_transport transport,
                            bool channels, GError **error);

/* The address that a source sends to when TRANSPORT is a file; passes it the descriptor if it is to
 * have one. The caller's. */
char *godwit_migrate_file_address(struct godwit_vm *source, enum godwit_transport transport,
                                  GError **error);

/* The one "main" channel of URI (unix:, tcp: or file:), for a `channels` argument; the caller's. */
json_t *godwit_migrate_channels(const char *uri);

/* Tells a waiting destination to take its migration from URI. */
bool godwit_migrate_incoming(struct godwit_vm *destination, const char *uri, bool channels,
                             GError **error);

/*
 * Puts a relay in front of the address URI (unix: or tcp:), where a destination listens: the source
 * is to connect to it instead. The testbed owns it; a former one goes.
 */
struct godwit_relay *godwit_migrate_relay(struct godwit_testbed *testbed, const char *uri,
                                          GError **error);

/* Where the source is to connect to instead of URI, another address where the destination listens
 * later in the same migration: to the testbed's relay, which leads there from now on, or, if there
 * is none, to URI itself. Borrowed. */
const char *godwit_migrate_turn(struct godwit_testbed *testbed, const char *uri);

/* Breaks what goes by way of the testbed's relay, if there is one. */
void godwit_migrate_hang_up(struct godwit_testbed *testbed);

/*
 * Has the next connection that SOURCE makes by way of RELAY spoiled by the fault that TEXT names,
 * as godwit_fault_parse() has it. What is left to chance is chosen by the setup's seed. The testbed
 * owns what is returned, and has one at most.
 */
struct godwit_injection *godwit_migrate_inject(struct godwit_vm *source, struct godwit_relay *relay,
                                               const char *text, GError **error);

/* Notes what the testbed's fault has done, as "fault" in its facts. A MIGRATION error if it has not
 * done anything. */
bool godwit_migrate_note_fault(struct godwit_testbed *testbed, GError **error);

/* Starts sending to URI. */
bool godwit_migrate_start(struct godwit_vm *source, const char *uri, bool channels, GError **error);

/* The same over more CHANNELS than the main one, as `migrate` takes them (taken). */
bool godwit_migrate_start_channels(struct godwit_vm *source, json_t *channels, GError **error);

/* Tells a destination whose postcopy migration is paused to take the rest of it from URI. */
bool godwit_migrate_recover(struct godwit_vm *destination, const char *uri, GError **error);

/* Resumes a source's paused postcopy migration by way of URI. */
bool godwit_migrate_resume(struct godwit_vm *source, const char *uri, GError **error);

/* Passes a VM a descriptor under NAME (getfd). It stays the caller's. */
bool godwit_migrate_getfd(struct godwit_vm *vm, const char *name, int fd, GError **error);

/* How often a migration's progress is reported. In milliseconds. */
#define GODWIT_PROGRESS_MS 200

/* Reports the migration's progress, if the testbed has somebody to report to. */
void godwit_migrate_report_progress(struct godwit_vm *vm);

/*
 * Sets ERROR for a migration of VM that ended as it should not have: "FORMAT: REASON", the reason
 * being QEMU's own, or, without one, what the QEMUs wrote to their standard error last. Of class
 * ENVIRONMENT if the host ran out of something, MIGRATION otherwise. Always false.
 */
bool godwit_migrate_fail(struct godwit_vm *vm, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/*
 * Waits until the migration is in the state WANTED on VM, by its events since it was started or
 * last resumed, reporting progress where it is asked for. Another end (completed, failed,
 * cancelled, postcopy-paused) that comes first is a MIGRATION error with QEMU's reason.
 */
bool godwit_migrate_wait(struct godwit_vm *vm, const char *wanted, GError **error);

/* Notes the reason that the source's query-migrate gives for a migration that failed, "" if it
 * gives none, as "failure" in the testbed's facts. */
bool godwit_migrate_note_failure(struct godwit_vm *source, GError **error);

/* Notes what the source's query-migrate says of a migration that is over (times, bytes, passes) in
 * the testbed's facts. */
bool godwit_migrate_note(struct godwit_vm *source, GError **error);

#endif
