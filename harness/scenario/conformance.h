/*
 * What the conformance scenarios have in common: a request is made of a VM, its answer is judged,
 * and a VM that refused it is the same as before.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CONFORMANCE_H
#define GODWIT_HARNESS_SCENARIO_CONFORMANCE_H

#include "scenario/scenario.h"

/* A VM with all that a refused request must leave as it is. */
struct godwit_conformance {
    struct godwit_vm *vm;
    json_t *parameters;   /* query-migrate-parameters; owned */
    json_t *capabilities; /* query-migrate-capabilities; owned */
    json_t *status;       /* query-status; owned */
};

/* Frees what was taken down; to be used as a cleanup attribute, too. */
void godwit_conformance_clear(struct godwit_conformance *conformance);

#define GODWIT_CONFORMANCE                                                                         \
    __attribute__((cleanup(godwit_conformance_clear))) struct godwit_conformance

/* Takes down how VM is now. */
bool godwit_conformance_begin(struct godwit_conformance *conformance, struct godwit_vm *vm,
                              GError **error);

/* The same again, for what was changed on purpose. */
bool godwit_conformance_renew(struct godwit_conformance *conformance, GError **error);

/*
 * What is not as it was taken down, in one line: the caller's, NULL if all is. EXCEPT names a
 * parameter that may be different, or is NULL. False with ERROR set if the VM cannot be asked.
 */
bool godwit_conformance_compare(struct godwit_conformance *conformance, const char *except,
                                char **difference, GError **error);

/* What may come of a request. */
enum godwit_expectation {
    GODWIT_REFUSED, /* an error with class and text, and nothing is changed */
    GODWIT_FAILS,   /* that, or the migration that it starts fails with a reason, and likewise */
    GODWIT_EITHER,  /* that, or it is obeyed: QEMU's releases differ */
};

/*
 * Makes a request (ARGUMENTS as text, NULL for none), judges what comes of it, and notes that as
 * the check NAME with QEMU's words. *OBEYED, unless OBEYED is NULL, tells whether the request was
 * not refused. False with ERROR set if no answer came.
 */
bool godwit_conformance_request(struct godwit_conformance *conformance,
                                enum godwit_expectation expectation, const char *name,
                                const char *command, const char *arguments, bool *obeyed,
                                GError **error);

/*
 * Waits until QEMU has done with a migration that has failed. It tells of the failure a moment
 * before, and has no event for the end; QEMU 7.2 breaks down when the next migration is started in
 * between (docs/conformance.md). The end of the thread that sends it tells; it is known by its
 * name, which before 8.0 it has only with -name debug-threads=on.
 */
bool godwit_conformance_settle(struct godwit_vm *vm, GError **error);

/* A request of a list, and a feature that there must be for it (or NULL), as godwit_qemu_lacks()
 * has it: without it the check is left out, and named. */
struct godwit_request {
    const char *name;
    const char *command;
    const char *arguments;
    enum godwit_expectation expectation;
    const char *needs;
};

/* Makes all COUNT requests of a list. */
bool godwit_conformance_requests(struct godwit_conformance *conformance,
                                 const struct godwit_request *requests, size_t count,
                                 GError **error);

/* Notes the check NAME with the answer (or NULL) that QEMU gave, and PROBLEM unless it is NULL. */
void godwit_conformance_note(struct godwit_testbed *testbed, const char *name, const json_t *reply,
                             const char *problem);

/* Notes that a check is left out because this QEMU lacks something. */
void godwit_conformance_skip(struct godwit_testbed *testbed, const char *name, const char *reason);

/*
 * The migration after all checks of a scenario in which none is under way. It is that of a stopped
 * guest with a small window, which is soon over. It also needs no luck: each migration that failed
 * while it was active makes TCG's TLB larger, until all of a window stays in it, where QEMU before
 * 9.0 loses what a running guest writes (docs/oracles.md).
 */
#define GODWIT_CONFORMANCE_PLAN                                                                    \
    {                                                                                              \
        .transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_STOPPED                            \
    }

void godwit_conformance_prepare(const struct godwit_scenario *scenario,
                                struct godwit_workload *workload);

/* After all checks: SOURCE's guest is still at work, and a migration by PLAN to a new destination
 * succeeds, with all oracles. */
bool godwit_conformance_move_on(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                                struct godwit_vm *source, GError **error);

#endif
