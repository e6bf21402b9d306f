/*
 * The steps of one migration between two VMs of a testbed. A step that waits waits for an event of
 * QEMU; no step sleeps.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_MIGRATE_H
#define GODWIT_HARNESS_MIGRATE_MIGRATE_H

#include "testbed/vm.h"

enum godwit_transport {
    GODWIT_TRANSPORT_UNIX,    /* a socket in the testbed's directory */
    GODWIT_TRANSPORT_TCP,     /* the destination's host, on a port that its kernel picks */
    GODWIT_TRANSPORT_FD,      /* a socket pair; each side is passed one end */
    GODWIT_TRANSPORT_FD_FILE, /* a file that Godwit opens for each side and passes */
    GODWIT_TRANSPORT_EXEC,    /* one command writes a file, another one reads it */
    GODWIT_TRANSPORT_FILE,    /* a file that each side opens */
};

/* A capability to set before a migration, under QEMU's name. Arrays end with a NULL name. */
struct godwit_capability {
    const char *name;
    bool on;
};

/* A parameter to set before a migration, under QEMU's name. Arrays end with a NULL name. */
struct godwit_parameter {
    const char *name;
    json_int_t value;
    const char *text; /* the value, if it is not a number; NULL otherwise */
};

/* The figures of a migration that query-migrate reports when it is over. */
enum godwit_figure {
    GODWIT_FIGURE_TOTAL_TIME, /* times are in milliseconds */
    GODWIT_FIGURE_DOWNTIME,
    GODWIT_FIGURE_SETUP_TIME,
    GODWIT_FIGURE_TRANSFERRED, /* bytes */
    GODWIT_FIGURE_NORMAL,      /* whole pages */
    GODWIT_FIGURE_NORMAL_BYTES,
    GODWIT_FIGURE_DUPLICATE, /* pages of a single byte value */
    GODWIT_FIGURE_DIRTY_SYNC_COUNT,
    GODWIT_FIGURE_POSTCOPY_REQUESTS,
    GODWIT_FIGURES, /* how many there are */
};

/* What is known of the testbed's latest migration. It is reset when another one starts. */
struct godwit_migration {
    bool live;                          /* it is proven to be live */
    bool recovered;                     /* it lost its connection, and was resumed on another one */
    bool given[GODWIT_FIGURES];         /* the source reports this figure ... */
    json_int_t figures[GODWIT_FIGURES]; /* ... with this value; 0 if it does not */
    const char *downtime_bug; /* id of the known bug that makes the downtime useless, or NULL */
    char *failure;            /* why it failed, by the source's query-migrate; NULL: not asked */
};

/* Returns the testbed's migration, which is made if it does not exist. Borrowed. */
struct godwit_migration *godwit_migration_of(struct godwit_testbed *testbed);

/* Returns QEMU's name of a figure. Static. */
const char *godwit_figure_name(enum godwit_figure figure);

/* Returns whether TRANSPORT is a file, which the destination reads only when the source is done. */
bool godwit_transport_is_file(enum godwit_transport transport);

/* The file of those transports, in the testbed's directory, which is every QEMU's working
 * directory. */
#define GODWIT_MIGRATE_FILE "migrate.stream"

/* Returns the state of the latest migration on a VM ("none", "active", "completed", ...), as
 * query-migrate reports it. The caller frees it. Returns NULL with ERROR set if QEMU does not
 * answer. */
char *godwit_migrate_state(struct godwit_vm *vm, GError **error);

/* Returns the state of the latest migration on a VM by the events that have come so far: "none" if
 * there was no event. Borrowed from the events. */
const char *godwit_migrate_reported_state(const struct godwit_vm *vm);

/* Condition: the VM's migration is over, one way or the other, as far as it has reported. */
bool godwit_migrate_is_over(gpointer vm);

/* Condition: the destination has ended, or has loaded the stream. */
bool godwit_migrate_is_loaded(gpointer destination);

/*
 * Sets CAPABILITIES on a VM, and `events`, which Godwit always needs. CAPABILITIES may be NULL.
 * Fails with SKIP, naming the capability, if this QEMU does not have one of them.
 */
bool godwit_migrate_set_capabilities(struct godwit_vm *vm,
                                     const struct godwit_capability *capabilities, GError **error);

/* Sets PARAMETERS on a VM; they may be NULL. Fails with SKIP, naming the parameter, if this QEMU
 * does not have one of them. */
bool godwit_migrate_set_parameters(struct godwit_vm *vm, const struct godwit_parameter *parameters,
                                   GError **error);

/*
 * Makes a destination that waits (-incoming defer) listen for SOURCE. If TRANSPORT is a file, the
 * destination starts to read it, so the file must exist. If it is a socket pair, each of the two is
 * passed one end. Returns the URI to send to, which the caller frees. With CHANNELS, the address
 * goes into the `channels` argument instead of `uri`.
 */
char *godwit_migrate_listen(struct godwit_vm *source, struct godwit_vm *destination,
                            enum godwit_transport transport, bool channels, GError **error);

/* Returns the URI that a source sends to if TRANSPORT is a file, which the caller frees. Opens the
 * file and passes it to the source if the transport needs that. */
char *godwit_migrate_file_address(struct godwit_vm *source, enum godwit_transport transport,
                                  GError **error);

/* Returns a `channels` argument with one "main" channel to URI (unix:, tcp:, fd:, exec: or file:).
 * The caller owns it. */
json_t *godwit_migrate_channels(const char *uri);

/* Makes a waiting destination take its migration from URI. Does nothing with one that listens by
 * its command line (`listens`). */
bool godwit_migrate_incoming(struct godwit_vm *destination, const char *uri, bool channels,
                             GError **error);

/* Makes a waiting destination take its migration from URI, and end (EXITS) or live if it fails. */
bool godwit_migrate_incoming_on_error(struct godwit_vm *destination, const char *uri, bool exits,
                                      GError **error);

/* Starts sending to URI. */
bool godwit_migrate_start(struct godwit_vm *source, const char *uri, bool channels, GError **error);

/* Makes a source that waits in pre-switchover go on. */
bool godwit_migrate_continue(struct godwit_vm *source, GError **error);

/* Starts sending over CHANNELS, the `channels` argument of `migrate`. Takes CHANNELS. */
bool godwit_migrate_start_channels(struct godwit_vm *source, json_t *channels, GError **error);

/* Makes a destination whose postcopy is paused take the rest of the migration from URI. */
bool godwit_migrate_recover(struct godwit_vm *destination, const char *uri, GError **error);

/* Likewise, at LOCAL, or, if the destination is on another host, at a port of its own. Returns the
 * address at which to resume the source, which the caller frees. */
char *godwit_migrate_recover_at(struct godwit_vm *destination, const char *local, GError **error);

/* Resumes a source's paused postcopy over URI. */
bool godwit_migrate_resume(struct godwit_vm *source, const char *uri, GError **error);

/* Passes descriptor FD to a VM under NAME (getfd). The caller still owns FD. */
bool godwit_migrate_getfd(struct godwit_vm *vm, const char *name, int fd, GError **error);

/* The time between two reports of a migration's progress, in milliseconds. */
#define GODWIT_PROGRESS_MS 200

/* Reports the migration's progress to the testbed's observer, if it has one. */
void godwit_migrate_report_progress(struct godwit_vm *vm);

/*
 * Fails for a migration of VM that ended in an unexpected way: sets ERROR to "FORMAT: REASON" and
 * returns false. REASON is QEMU's own; if QEMU gives none, it is the latest output of the QEMUs on
 * their standard error. The error is ENVIRONMENT if the host ran out of something, otherwise
 * MIGRATION.
 */
bool godwit_migrate_fail(struct godwit_vm *vm, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/*
 * Waits until the migration on VM is in state WANTED, and reports progress meanwhile. Considers the
 * events since the migration was started or last resumed. Fails with MIGRATION and QEMU's reason if
 * the migration ends otherwise (completed, failed, cancelled, postcopy-paused) first.
 */
bool godwit_migrate_wait(struct godwit_vm *vm, const char *wanted, GError **error);

/* Sets the migration's `failure` to the reason that the source's query-migrate gives, "" if it
 * gives none, and records it as "failure" in the testbed's measurements. */
bool godwit_migrate_note_failure(struct godwit_vm *source, GError **error);

/* Sets the figures of a migration that is over from the source's query-migrate, and records
 * them as "migration" in the testbed's measurements. */
bool godwit_migrate_note(struct godwit_vm *source, GError **error);

/* Drops a TIME that cannot be right, and records the others. BUG is the id of the known bug that
 * explains it, or NULL. */
void godwit_migrate_drop_time(struct godwit_testbed *testbed, enum godwit_figure time,
                              const char *bug);

#endif
