/*
 * One QEMU process with its guest, as a part of a testbed.
 *
 * Who owns what: the vm owns its process, its QMP and console connections and the files that begin
 * with its name in the testbed's directory. The process gets one end of a socket pair for each of
 * QMP (descriptor 3) and console (descriptor 4), and a pipe as its standard error, nothing else; it
 * dies with its parent. What it writes is kept in bounded logs, and a QEMU that floods one is
 * unhealthy. As each of these ends, its descriptors are closed; the vm itself stays, with what was
 * said, until its testbed goes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_VM_H
#define GODWIT_HARNESS_TESTBED_VM_H

#include "qemu/console.h"
#include "qemu/qemu.h"
#include "qemu/qmp.h"
#include "testbed/testbed.h"
#include <gio/gio.h>

struct godwit_vm {
    struct godwit_testbed *testbed; /* borrowed: it owns the vm */
    char *name;                     /* "source", "destination", ... */
    bool source;                    /* it was started to be migrated from */
    const struct godwit_qemu *qemu;
    GPtrArray *arguments; /* the command line as it was started; NULL-terminated */
    GSubprocess *process; /* NULL before the start */
    pid_t pid;            /* of the process; 0 before the start */
    char *exe;            /* the program that it executes, once it answers; NULL if unknown */
    bool watched;         /* its end is still to be reported by the main loop */
    bool exited;          /* the process is gone and has been waited for ... */
    int wait_status;      /* ... with this status, as wait(2) has it ... */
    unsigned exit_order;  /* ... after so many others of this program had ended */
    bool answers;         /* on QMP: it has been started for good */
    bool may_exit;        /* the harness asked it to go */
    bool replaced;        /* the process goes on, as another vm's: see godwit_vm_inherit() */
    struct godwit_qmp *qmp;
    struct godwit_console *console; /* NULL for a QEMU without a guest */
    struct godwit_drain *errors;    /* its standard error; NULL before the start */
    GArray *blocks;                 /* of struct godwit_block, see memory.h; NULL until asked for */
    GArray *pieces;                 /* of struct godwit_piece, likewise */
    GPtrArray *kept;                /* copies of the blocks, by godwit_memory_keep(), or NULL */
    guint migration_first;          /* index of the first event of its latest migration ... */
    gint64 migration_began;         /* ... when it was started, in monotonic microseconds ... */
    guint migration_leg;            /* ... and since that was last resumed or recovered */
    json_t *capabilities; /* of migration, that were set on it: name -> on; owned, or NULL */
    GCancellable *cancel; /* ends the wait for the process when the vm is freed */
    const char *host;     /* where it listens for TCP; NULL: 127.0.0.1. Borrowed */
    int pagemap;          /* what the kernel knows of its pages, opened at need; -1: not yet */
    bool pmemsave;        /* memory is read by QMP: process_vm_readv is refused */
};

enum godwit_vm_role {
    GODWIT_VM_SOURCE,             /* -S: waits for godwit_vm_run() before its first instruction */
    GODWIT_VM_DESTINATION,        /* -incoming defer; runs when the migration is over */
    GODWIT_VM_DESTINATION_PAUSED, /* the same with -S: loads, and waits for godwit_vm_run() */
};

/*
 * Starts a QEMU with the testbed's guest, in the background: returns as soon as the process exists.
 * ARGUMENTS, NULL or NULL-terminated, come last on its command line; an -accel among them stands in
 * place of the setup's, any -incoming in place of the role's.
 * The vm belongs to the testbed. NULL with ERROR set if not even that can be done.
 */
struct godwit_vm *godwit_vm_start(struct godwit_testbed *testbed, const char *name,
                                  enum godwit_vm_role role, const char *const *arguments,
                                  GError **error);

/* The same up to the start: there is a command line, vm->arguments, and the files for it. */
struct godwit_vm *godwit_vm_prepare(struct godwit_testbed *testbed, const char *name,
                                    enum godwit_vm_role role, const char *const *arguments,
                                    GError **error);

/*
 * Waits until the QEMU of VM has replaced itself, by exec(2), by that of HEIR, which was prepared:
 * process, QMP and console are the heir's then. Leaves negotiation mode. To be called when what
 * makes the QEMU do so has been sent to it, and nothing been awaited since.
 */
bool godwit_vm_inherit(struct godwit_vm *heir, struct godwit_vm *vm, GError **error);

/* Starts the binary with no machine at all, to ask it questions. Otherwise as above. */
struct godwit_vm *godwit_vm_start_bare(struct godwit_testbed *testbed,
                                       const struct godwit_qemu *qemu, GError **error);

/* Waits for the QMP greeting and leaves negotiation mode. A QEMU that cannot get this far is an
 * ENVIRONMENT error, which quotes what it said. */
bool godwit_vm_handshake(struct godwit_vm *vm, GError **error);

/* Returns whether ARGUMENT is a word of the VM's command line. */
bool godwit_vm_has_argument(const struct godwit_vm *vm, const char *argument);

/* Kills the process if it is there, waits for it, frees everything. */
void godwit_vm_free(struct godwit_vm *vm);

/* Has the guest run (QMP's cont) when it is its testbed's turn: godwit_testbed_take_turn(). */
bool godwit_vm_run(struct godwit_vm *vm, GError **error);

/* Asks the process to quit and waits for a clean end, exit status 0. */
bool godwit_vm_quit(struct godwit_vm *vm, GError **error);

/* Sends COMMAND with ARGUMENTS (taken) and waits for the answer. Returns what "return" holds (owned
 * by the caller), or NULL with ERROR set, QMP's own words included. */
json_t *godwit_vm_execute(struct godwit_vm *vm, const char *command, json_t *arguments,
                          GError **error);

/* The same when the answer's content does not matter. */
bool godwit_vm_command(struct godwit_vm *vm, const char *command, json_t *arguments,
                       GError **error);

/* The same with a descriptor to go with it (getfd, add-fd); it stays the caller's. */
json_t *godwit_vm_execute_fd(struct godwit_vm *vm, const char *command, json_t *arguments, int fd,
                             GError **error);

/* Sends COMMAND with ARGUMENTS, text that goes out as it is (NULL for none), and waits for the
 * answer, which is returned whole, a refusal too. The caller's. */
json_t *godwit_vm_ask(struct godwit_vm *vm, const char *command, const char *arguments,
                      GError **error);

/* Runs a line of the human monitor; what it printed is the caller's. */
char *godwit_vm_monitor(struct godwit_vm *vm, const char *line, GError **error);

/* The run state as query-status has it ("running", "paused", ...); the caller's. */
char *godwit_vm_status(struct godwit_vm *vm, GError **error);

/* Waits for the console to have shown at least READY characters and PASSES passes in all. */
bool godwit_vm_wait_console(struct godwit_vm *vm, unsigned ready, guint64 passes, GError **error);

/* Waits for an event with that name, and that data.status unless it is NULL, among those from
 * index FIRST on; it is returned, borrowed. */
const json_t *godwit_vm_wait_event(struct godwit_vm *vm, guint first, const char *name,
                                   const char *status, GError **error);

/* The most bytes taken from a QEMU's standard error. */
#define GODWIT_STDERR_MAX ((uint64_t)16 << 20)

/* False with ERROR set if the process died unasked, QMP broke, the console shows a fault, or the
 * QEMU floods what it writes to. */
bool godwit_vm_healthy(struct godwit_vm *vm, GError **error);

/* Has the main loop report the end of vm->process: vm->exited and what goes with it. */
void godwit_vm_watch(struct godwit_vm *vm);

/*
 * Returns whether the process is on its way out, unasked, without having been waited for yet: its
 * connections have been closed, it is writing a core, or the kernel says that it is exiting. Its
 * end is certain then, and the main loop will report it.
 */
bool godwit_vm_dying(const struct godwit_vm *vm);

/* What a bug report needs of this VM: name, binary, version, package, state of the process, when it
 * was started (seconds since the testbed's start), the command line to run it by hand, the ends of
 * stderr, console and QMP transcript. The caller's. */
json_t *godwit_vm_describe(const struct godwit_vm *vm);

/* How its process ended: "exited with status 1", "was killed by signal 9 (Killed)". The caller's.
 */
char *godwit_vm_end(const struct godwit_vm *vm);

/* The last LINES lines that it wrote to its standard error, "" if there are none: all of them if
 * they are no more than a bounded log keeps. The caller's. */
char *godwit_vm_stderr(const struct godwit_vm *vm, unsigned lines);

/* Picks, by godwit_text_reason(), the line of its standard error that says most about why it
 * failed. "" if it wrote nothing. The caller frees it. */
char *godwit_vm_reason(const struct godwit_vm *vm);

/* The pid of the process. */
pid_t godwit_vm_pid(const struct godwit_vm *vm);

#endif
