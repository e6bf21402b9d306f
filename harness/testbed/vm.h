/*
 * One QEMU process with its guest, as a part of a testbed.
 *
 * Ownership: the VM owns its process, its QMP, console and qtest connections, and the files in the
 * testbed's records that begin with its name. The process gets one end of a socket pair for QMP
 * (descriptor 3), one for the console (descriptor 4) and, if testbed->hand was set, one for qtest
 * (descriptor 5), and a pipe as its standard error, nothing else. It dies with its parent. Its
 * output goes into bounded logs; a QEMU that floods one is unhealthy. When a connection ends, its
 * descriptors are closed. The VM itself, with the logged output, stays until its testbed is freed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_VM_H
#define GODWIT_HARNESS_TESTBED_VM_H

#include "qemu/console.h"
#include "qemu/mtree.h"
#include "qemu/qemu.h"
#include "qemu/qmp.h"
#include "qemu/qtest.h"
#include "qemu/qtree.h"
#include "remote/client.h"
#include "testbed/testbed.h"
#include <gio/gio.h>

/* The value of a -chardev at whose other end there is a TPM, a process of Godwit's. */
#define GODWIT_SWTPM_FD      6
#define GODWIT_SWTPM_CHARDEV "socket,id=swtpm,fd=6"

/* What follows a measured VM's name in the name of the file that it writes its trace events to, in
 * the testbed's directory. */
#define GODWIT_VM_TRACE ".trace"

struct godwit_vm {
    struct godwit_testbed *testbed; /* borrowed: it owns the VM */
    char *name;                     /* for messages and files: "source", "destination", ... */
    bool source;                    /* it was started as a source */
    const struct godwit_qemu *qemu;
    struct godwit_qemu *program; /* the same, if the VM owns it; NULL otherwise */
    GPtrArray *arguments;        /* the command line; NULL-terminated once started */
    GSubprocess *process;        /* NULL before the start */
    pid_t pid;                   /* of the process; 0 before the start */
    char *exe;                   /* path of the executed program, known after the handshake; NULL:
                             unknown */
    bool watched;                /* the main loop has not yet reported its end */
    bool exited;                 /* the process has ended and has been reaped ... */
    int wait_status;             /* ... with this status, as wait(2) returns it ... */
    unsigned exit_order;         /* ... after this many other processes of this program had ended */
    bool answers;                /* the QMP handshake has succeeded */
    bool board;                  /* godwit_vm_start_board() has started it */
    bool may_exit;               /* the harness asked it to quit: its end is not a failure */
    bool alarms_judged; /* the harness corrupted the guest, or made it panic, and the scenario
                             judges its alarms */
    bool listens;       /* it listens since its start, by -incoming, and gets no migrate-incoming */
    bool was_reset;     /* the guest was reset, and has not run since */
    bool snapshots;     /* it saves snapshots: QEMU reports each as a migration that is set up and
                             completed, and nothing between */
    char *refusal;      /* what it said when it refused to load a snapshot; NULL: it did not */
    bool replaced;      /* the process continues as that of another VM: see godwit_vm_inherit() */
    struct godwit_qmp *qmp;
    struct godwit_console *console; /* NULL for a QEMU without a guest */
    struct godwit_qtest *qtest;     /* accesses to the machine; NULL unless testbed->hand was set */
    struct godwit_remote *remote; /* reads the memory of a QEMU on another host; NULL: it is here */
    GSubprocess *tpm;             /* its TPM; NULL: none */
    struct godwit_drain *errors;  /* its standard error; NULL before the start */
    GArray *blocks;               /* of struct godwit_block, see memory.h; NULL: not yet mapped */
    GArray *pieces;               /* of struct godwit_piece, likewise */
    GPtrArray *kept;              /* copies of the blocks, by godwit_memory_keep(), or NULL */
    guint migration_first;        /* index of the first event of its latest migration ... */
    gint64 migration_began;       /* ... when it was started, in monotonic microseconds ... */
    guint migration_leg;          /* ... and of the first since it was last resumed or
                                       recovered */
    json_t *capabilities; /* the migration capabilities that were set: name -> on; owned, or NULL */
    GCancellable *cancel; /* ends the wait for the process when the VM is freed */
    const char *host;     /* the address where it listens for TCP; NULL: 127.0.0.1. Borrowed */
    int pagemap;          /* descriptor of /proc/PID/pagemap, opened when needed; -1: not open */
    bool pmemsave;        /* read guest memory by QMP, because process_vm_readv is refused or not
                             wanted */
};

enum godwit_vm_role {
    GODWIT_VM_SOURCE,             /* -S: waits for godwit_vm_run() before its first instruction */
    GODWIT_VM_DESTINATION,        /* -incoming defer; runs when the migration has completed */
    GODWIT_VM_DESTINATION_PAUSED, /* -incoming defer -S: loads, and waits for godwit_vm_run() */
    GODWIT_VM_RESTORED,           /* -S: a destination that gets its guest from a snapshot */
};

/*
 * Starts a QEMU with the testbed's guest. Returns as soon as the process exists, without waiting
 * for its answer. ARGUMENTS, NULL or NULL-terminated, come last on its command line. An -accel
 * among them replaces the setup's, an -incoming replaces the role's, an -M replaces the setup's
 * machine, with its CPUs, RAM and guest. The testbed owns the VM.
 * Returns NULL with ERROR set if the process cannot be started.
 */
struct godwit_vm *godwit_vm_start(struct godwit_testbed *testbed, const char *name,
                                  enum godwit_vm_role role, const char *const *arguments,
                                  GError **error);

/* Does everything that godwit_vm_start() does except start the process: afterwards the command
 * line, vm->arguments, and the files that it names exist. */
struct godwit_vm *godwit_vm_prepare(struct godwit_testbed *testbed, const char *name,
                                    enum godwit_vm_role role, const char *const *arguments,
                                    GError **error);

/*
 * Waits until the QEMU of VM has replaced itself, by exec(2), with that of HEIR, which was
 * prepared. The heir then owns the process, QMP and console. Leaves negotiation mode. Call it after
 * the command that makes QEMU do so, without another wait in between.
 */
bool godwit_vm_inherit(struct godwit_vm *heir, struct godwit_vm *vm, GError **error);

/* Starts a QEMU with the machine that ARGUMENTS name, instead of the testbed's machine and guest.
 * No guest is loaded, and there is no console. Otherwise like godwit_vm_start(). */
struct godwit_vm *godwit_vm_start_board(struct godwit_testbed *testbed, const char *name,
                                        enum godwit_vm_role role, const char *const *arguments,
                                        GError **error);

/* Starts the binary without a machine, to ask it questions. Otherwise like godwit_vm_start(). */
struct godwit_vm *godwit_vm_start_bare(struct godwit_testbed *testbed,
                                       const struct godwit_qemu *qemu, GError **error);

/* Starts the qemu-storage-daemon PATH, which has no machine either, with the name "storage". It
 * counts as being of the version of destinations. Otherwise like godwit_vm_start(). */
struct godwit_vm *godwit_vm_start_storage(struct godwit_testbed *testbed, const char *path,
                                          GError **error);

/* Waits for the QMP greeting and leaves negotiation mode. Fails with ENVIRONMENT, and quotes the
 * standard error, if the QEMU does not get this far. */
bool godwit_vm_handshake(struct godwit_vm *vm, GError **error);

/* Makes the files of the folder NAME of the testbed's directory those of the folder of that name in
 * the QEMU's working directory: if the QEMU is on another host, sends them. */
bool godwit_vm_send_folder(struct godwit_vm *vm, const char *name, GError **error);

/* Returns whether ARGUMENT is a word of the VM's command line. */
bool godwit_vm_has_argument(const struct godwit_vm *vm, const char *argument);

/* Kills the process if it is still running, waits until it is gone, and frees everything. */
void godwit_vm_free(struct godwit_vm *vm);

/* Waits for the testbed's turn, godwit_testbed_take_turn(), and starts the guest with QMP's
 * cont. */
bool godwit_vm_run(struct godwit_vm *vm, GError **error);

/* Asks the process to quit, and waits until it has ended. Fails unless its exit status is 0. */
bool godwit_vm_quit(struct godwit_vm *vm, GError **error);

/* Sends COMMAND with ARGUMENTS (taken) and waits for the answer. Returns the value of "return",
 * which the caller frees. Fails with QMP and quotes QEMU's reason if QEMU refuses the command. */
json_t *godwit_vm_execute(struct godwit_vm *vm, const char *command, json_t *arguments,
                          GError **error);

/* Like godwit_vm_execute(), for commands whose answer does not matter. */
bool godwit_vm_command(struct godwit_vm *vm, const char *command, json_t *arguments,
                       GError **error);

/* Both likewise, for commands that can be executed while QEMU's main loop waits for something. They
 * are if testbed->oob was set before the handshake and QEMU offers it. */
json_t *godwit_vm_execute_oob(struct godwit_vm *vm, const char *command, json_t *arguments,
                              GError **error);
bool godwit_vm_command_oob(struct godwit_vm *vm, const char *command, json_t *arguments,
                           GError **error);

/* Like godwit_vm_execute(), and passes the descriptor FD with the command (getfd, add-fd). The
 * caller keeps FD open and closes it. */
json_t *godwit_vm_execute_fd(struct godwit_vm *vm, const char *command, json_t *arguments, int fd,
                             GError **error);

/* Sends COMMAND with ARGUMENTS, JSON text that is sent unchanged (NULL for none), and waits for the
 * answer. Returns the whole answer, even if it is a refusal. The caller frees it. */
json_t *godwit_vm_ask(struct godwit_vm *vm, const char *command, const char *arguments,
                      GError **error);

/* Runs a line of the human monitor. Returns its output, which the caller frees. */
char *godwit_vm_monitor(struct godwit_vm *vm, const char *line, GError **error);

/* Runs a line of the human monitor that prints nothing if it is obeyed. Fails with QMP if it prints
 * something. */
bool godwit_vm_obey(struct godwit_vm *vm, const char *line, GError **error);

/* Return the human monitor's line that sets a migration parameter to VALUE, or a capability. The
 * caller frees it. */
char *godwit_vm_parameter_line(const char *name, const json_t *value);
char *godwit_vm_capability_line(const char *name, bool on);

/* Read what is where in the machine, and what is plugged into it. The caller frees the result with
 * godwit_mtree_free() and godwit_qtree_free(). */
struct godwit_mtree *godwit_vm_mtree(struct godwit_vm *vm, GError **error);
struct godwit_qtree *godwit_vm_qtree(struct godwit_vm *vm, GError **error);

/* Returns what godwit_qtree_read_pci() reads of VM. QEMU takes every byte of a command singly, so
 * that the hundreds of commands of a whole tree take longer than most of what they are for. */
struct godwit_qtree *godwit_vm_pci(struct godwit_vm *vm, GError **error);

/* Returns the run state that query-status reports ("running", "paused", ...). The caller frees
 * it. */
char *godwit_vm_status(struct godwit_vm *vm, GError **error);

/* Waits until the console has shown at least READY characters A and PASSES characters B in all. */
bool godwit_vm_wait_console(struct godwit_vm *vm, unsigned ready, guint64 passes, GError **error);

/* Waits for an event NAME, with data.status STATUS unless that is NULL, among the events from index
 * FIRST on. Returns it, borrowed. */
const json_t *godwit_vm_wait_event(struct godwit_vm *vm, guint first, const char *name,
                                   const char *status, GError **error);

/* The most bytes that are read from a QEMU's standard error. */
#define GODWIT_STDERR_MAX ((uint64_t)16 << 20)

/* Returns whether the VM is healthy. Fails if the process died unasked, QMP broke, the console
 * shows a fault, or the QEMU flooded one of its outputs. */
bool godwit_vm_healthy(struct godwit_vm *vm, GError **error);

/* Makes the main loop record the end of vm->process in vm->exited and related members. */
void godwit_vm_watch(struct godwit_vm *vm);

/*
 * Returns whether the process is dying unasked but has not been reaped: its connections are closed,
 * it is writing a core, or the kernel reports that it is exiting. The main loop will report its
 * end.
 */
bool godwit_vm_dying(const struct godwit_vm *vm);

/* Returns what a bug report needs: name, binary, version, package, state of the process, the signal
 * that has killed it if one has, its start
 * (seconds since that of the testbed), a command line to run it by hand, and the ends of stderr,
 * console and QMP transcript. The caller frees it. */
json_t *godwit_vm_describe(const struct godwit_vm *vm);

/* Condition: the VM's process has ended. */
bool godwit_vm_has_ended(gpointer vm);

/* Returns how its process ended: "exited with status 1", "was killed by signal 9 (Killed)". The
 * caller frees it. */
char *godwit_vm_end(const struct godwit_vm *vm);

/* Returns the last LINES lines of its standard error, "" if it is empty. There may be fewer: a
 * bounded log has them. The caller frees it. */
char *godwit_vm_stderr(const struct godwit_vm *vm, unsigned lines);

/* Returns the line of its standard error that best explains a failure, chosen by
 * godwit_text_reason(), or "" if it wrote nothing. The caller frees it. */
char *godwit_vm_reason(const struct godwit_vm *vm);

/* Returns why its QEMU refused a stream: that line without the program's name, or NULL if there are
 * only warnings. The caller frees it. */
char *godwit_vm_load_reason(const struct godwit_vm *vm);

/* Returns the pid of the process, or 0 if it is not running. */
pid_t godwit_vm_pid(const struct godwit_vm *vm);

/* Sends a signal to the process if it is running, and records that in its QMP transcript. */
void godwit_vm_signal(struct godwit_vm *vm, int number);

#endif
