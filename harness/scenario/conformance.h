/*
 * Requests of the conformance scenarios. Each is made of a VM, its answer is judged, and a VM that
 * has refused it must be unchanged.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CONFORMANCE_H
#define GODWIT_HARNESS_SCENARIO_CONFORMANCE_H

#include "scenario/scenario.h"

/* A VM, and its state that a refused request must not change. */
struct godwit_conformance {
    struct godwit_vm *vm;
    json_t *parameters;   /* query-migrate-parameters; owned */
    json_t *capabilities; /* query-migrate-capabilities; owned */
    json_t *status;       /* query-status; owned */
};

/* Frees the recorded state. Also works as a cleanup attribute. */
void godwit_conformance_clear(struct godwit_conformance *conformance);

#define GODWIT_CONFORMANCE                                                                         \
    __attribute__((cleanup(godwit_conformance_clear))) struct godwit_conformance

/* Turns on the VM's events and records its state in CONFORMANCE. Fails if the VM does not
 * answer. */
bool godwit_conformance_begin(struct godwit_conformance *conformance, struct godwit_vm *vm,
                              GError **error);

/* Starts a source whose threads have names, for godwit_conformance_settle(), and enters phase
 * CHECK. Returns the source, which the testbed owns, or NULL. */
struct godwit_vm *godwit_conformance_source(struct godwit_testbed *testbed, GError **error);

/* Starts a source, stops its guest, and begins with it, in phase CHECK. Returns the source, which
 * the testbed owns, or NULL. */
struct godwit_vm *godwit_conformance_begin_source(struct godwit_conformance *conformance,
                                                  struct godwit_testbed *testbed, GError **error);

/* Records the state once more, after an intended change. Fails if the VM does not answer. */
bool godwit_conformance_renew(struct godwit_conformance *conformance, GError **error);

/*
 * Compares the VM's state with the recorded one. Sets *DIFFERENCE to what differs, in one line, or
 * to NULL if nothing does. The caller frees it. EXCEPT names a parameter that may differ, or is
 * NULL. Fails if the VM does not answer.
 */
bool godwit_conformance_compare(struct godwit_conformance *conformance, const char *except,
                                char **difference, GError **error);

/* The required outcome of a request. */
enum godwit_expectation {
    GODWIT_REFUSED, /* an error with class and text; nothing changes */
    GODWIT_FAILS,   /* that, or it starts a migration that fails with a reason; nothing changes */
    GODWIT_EITHER,  /* refused, or obeyed: QEMU's releases differ */
};

/*
 * Makes a request (ARGUMENTS as text, NULL for none), judges the result, and records it as the
 * check NAME, with QEMU's words. Sets *OBEYED, unless OBEYED is NULL, to whether the request was
 * not refused. Fails if no answer comes.
 */
bool godwit_conformance_request(struct godwit_conformance *conformance,
                                enum godwit_expectation expectation, const char *name,
                                const char *command, const char *arguments, bool *obeyed,
                                GError **error);

/*
 * Waits until QEMU is done with a migration that has failed. QEMU reports the failure a moment
 * before and has no event for the end. If the next migration starts in between, QEMU 7.2 may crash
 * (docs/conformance.md). The end is the end of the sending thread, which is recognised by its name.
 * QEMU 7.2 and 10.0 name their threads only for the sources of godwit_conformance_source().
 */
bool godwit_conformance_settle(struct godwit_vm *vm, GError **error);

/* A request of a list. NEEDS is a feature as godwit_qemu_lacks() reads it, or NULL. Without the
 * feature, the check is skipped and the result names it. */
struct godwit_request {
    const char *name;
    const char *command;
    const char *arguments;
    enum godwit_expectation expectation;
    const char *needs;
};

/* Makes all COUNT requests of a list. Fails if an answer does not come. */
bool godwit_conformance_requests(struct godwit_conformance *conformance,
                                 const struct godwit_request *requests, size_t count,
                                 GError **error);

/* Records the check NAME with QEMU's answer REPLY, or NULL: failed with PROBLEM, passed if PROBLEM
 * is NULL. */
void godwit_conformance_note(struct godwit_testbed *testbed, const char *name, const json_t *reply,
                             const char *problem);

/* Records that the check NAME is skipped, because this QEMU lacks something: REASON. */
void godwit_conformance_skip(struct godwit_testbed *testbed, const char *name, const char *reason);

/*
 * The spec of the migration that ends a scenario whose checks leave no migration under way. It is
 * that of a stopped guest with a small window, so that it is short. It also needs no luck: each
 * migration that fails while it is active makes TCG's TLB larger, until all of a window stays in
 * it, and QEMU before 9.0 then loses what a running guest writes (docs/oracles.md).
 */
#define GODWIT_CONFORMANCE_SPEC                                                                    \
    {                                                                                              \
        .transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_STOPPED                            \
    }

/* Prepares the guest for that migration: default parameters, and a window of 16 MiB at most. */
void godwit_conformance_prepare(const struct godwit_scenario *scenario,
                                struct godwit_workload *workload);

/* Ends a scenario after all checks: the source's guest must still run, and a migration by SPEC to a
 * new destination must succeed, judged by all oracles. */
bool godwit_conformance_move_on(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                                struct godwit_vm *source, GError **error);

#endif
