/*
 * The worker: a process that runs one job, in a folder of its own, and reports the result.
 *
 * godwit_worker_main() reads the job, runs its scenario in a testbed, and judges what holds for
 * every scenario (judge_all()). If that fails, judge_beside() makes sure that a known bug does not
 * hide another failure, and explain_fault() adds what the guest itself has found. child.c has the
 * other end of the pipes; job.h describes what goes over them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/job.h"

#include "base/contain.h"
#include "base/text.h"
#include "bugs/bugs.h"
#include "guest/image.h"
#include "memory/memory.h"
#include "oracle/alarms.h"
#include "oracle/ledger.h"
#include "oracle/pages.h"
#include "oracle/states.h"
#include "run/evidence.h"
#include "scenario/theirs.h"
#include "testbed/measured.h"
#include "testbed/vm.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Writes the object as one line to the reporting descriptor. */
static void report(json_t *object)
{
    g_autofree char *text = godwit_json_dump(object, JSON_COMPACT);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    for (size_t sent = 0, length = strlen(line); sent < length;) {
        const ssize_t n = write(GODWIT_WORKER_FD, line + sent, length - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return; /* nobody reads any more */
    }
}

static void progress(enum godwit_phase phase, json_t *migration, gpointer data)
{
    (void)data;
    g_autoptr(json_t) object =
        json_pack("{s:s, s:O*}", "progress", godwit_phase_name(phase), "migration", migration);
    report(object);
}

static void over(gpointer data)
{
    (void)data;
    g_autoptr(json_t) object = json_pack("{s:b}", "over", 1);
    report(object);
}

/* Returns the code of ERROR. An error of GLib's, which a scenario has passed on, is the host's. */
static enum godwit_error code_of(const GError *error)
{
    return error->domain == GODWIT_ERROR || godwit_bug_of(error) ? (enum godwit_error)error->code
                                                                 : GODWIT_ERROR_ENVIRONMENT;
}

/* Returns the status of a testbed whose scenario ended with ERROR. *BUG is the known bug, if any,
 * that turns the result into a failure because it is not accepted. */
static const char *status_of(const struct godwit_testbed *testbed, const GError *error,
                             const struct godwit_bug **bug)
{
    *bug = NULL;
    if (!error || godwit_bug_of(error)) {
        *bug = godwit_bug_unaccepted(testbed);
        return *bug ? "fail" : godwit_bug_any_met(testbed) ? "known" : "pass";
    }
    switch (code_of(error)) {
    case GODWIT_ERROR_SKIP:
        return "skip";
    case GODWIT_ERROR_USAGE:
    case GODWIT_ERROR_ENVIRONMENT:
        return "error";
    default:
        return "fail";
    }
}

/* Adds to ERROR what each guest that reported a fault recorded in its mailbox. */
static void explain_fault(struct godwit_testbed *testbed, GError **error)
{
    for (guint i = 0; i < testbed->vms->len; i++) {
        struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (!vm->console || !vm->console->guest_fault || vm->exited)
            continue;
        /* Otherwise no QMP command to this unhealthy VM would succeed. */
        vm->console->fault_provoked = true;
        /* During a postcopy, reading all of memory may block for ever. */
        if (!godwit_json_true(vm->capabilities, "postcopy-ram"))
            godwit_pages_alone(vm);
        for (unsigned cpu = 0; cpu < testbed->setup->workload.cpus; cpu++) {
            struct godwit_mailbox mailbox;
            if (!godwit_memory_mailbox(vm, cpu, &mailbox, NULL))
                continue;
            g_autofree char *found = godwit_guest_found(&mailbox);
            if (!found)
                continue;
            godwit_oracle_accuse(testbed,
                                 mailbox.state == GODWIT_STATE_FAULT ? GODWIT_ORACLE_GUEST
                                                                     : GODWIT_ORACLE_CONTINUITY,
                                 vm->name);
            g_prefix_error(error, "the %s's guest itself found %s, in pass %" PRIu64 ": ", vm->name,
                           found, mailbox.passes);
        }
    }
}

/* Returns the kind of failure, as a word for the result. */
static const char *kind_of(const GError *error)
{
    switch (code_of(error)) {
    case GODWIT_ERROR_USAGE:
    case GODWIT_ERROR_ENVIRONMENT:
        return "environment";
    case GODWIT_ERROR_SKIP:
        return "skip";
    case GODWIT_ERROR_TIMEOUT:
        return "timeout";
    case GODWIT_ERROR_CRASH:
    case GODWIT_ERROR_ACCESS:
        return "crash";
    case GODWIT_ERROR_QMP:
        return "qmp";
    case GODWIT_ERROR_MIGRATION:
        return "migration";
    case GODWIT_ERROR_ORACLE:
        return "oracle";
    case GODWIT_ERROR_STREAM:
        return "stream";
    case GODWIT_ERROR_INTERRUPTED:
        return "interrupted";
    }
    return "unknown";
}

static json_t *result_of(struct godwit_testbed *testbed, const GError *error, bool keep)
{
    const struct godwit_bug *bug;
    const char *status = status_of(testbed, error, &bug);
    const char *kind = error ? kind_of(error) : bug ? "known-bug" : NULL;
    g_autofree char *met = bug ? g_strdup_printf("known QEMU bug %s: %s%s%s", bug->id, bug->summary,
                                                 error ? "; " : "", error ? error->message : "")
                               : NULL;
    const char *message = met ? met : error && strcmp(status, "known") != 0 ? error->message : "";
    json_t *phases = json_array();
    for (guint i = 0; i < testbed->phases->len; i++) {
        const struct godwit_phase_time *time =
            &g_array_index(testbed->phases, struct godwit_phase_time, i);
        json_array_append_new(phases,
                              json_pack("{s:s, s:f, s:f}", "name", godwit_phase_name(time->phase),
                                        "at", time->at, "ms", time->ms));
    }
    json_t *result = json_pack(
        "{s:s, s:s, s:s*, s:s*, s:s*, s:o, s:f, s:o, s:O, s:[]}", "status", status, "message",
        message, "kind", kind, "known", bug ? bug->id : NULL, "phase",
        error && testbed->phase ? godwit_phase_name(testbed->phase) : NULL, "phases", phases,
        "waited", (double)testbed->waited / 1000.0, "oracles", godwit_oracles_judged(testbed),
        "measurements", godwit_testbed_measured(testbed), "vms");
    if (keep || strcmp(status, "pass") != 0)
        godwit_evidence_add(testbed, result);
    return result;
}

/* Judges what must hold for every scenario, after its own course. */
static bool judge_all(struct godwit_testbed *testbed, GError **error)
{
    GString *text = g_string_new(NULL);
    const unsigned failed = godwit_testbed_failed_checks(testbed, text);
    if (failed)
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_MIGRATION, "%u of %u checks failed:%s",
                    failed, testbed->checks->len, text->str);
    g_string_free(text, TRUE);
    return !failed && godwit_states_judge(testbed, error) && godwit_alarms_judge(testbed, error);
}

/* Runs the job's scenario, or the migration that its spec describes. */
static bool run_job(struct godwit_testbed *testbed, const struct godwit_job *job, GError **error)
{
    if (job->scenario)
        return godwit_scenario_run(testbed, job->scenario, error);
    if (job->setup.theirs)
        return godwit_theirs_run(testbed, &job->spec, error);
    godwit_wire_new(testbed);
    return godwit_course_run(testbed, &job->spec, error);
}

/* A known bug explains a failure but excuses nothing else. Judge what must hold for every scenario
 * all the same, and do not attribute the fault of a guest to the bug. */
static void judge_beside(struct godwit_testbed *testbed, GError **error)
{
    g_autoptr(GError) other = NULL;
    if (!godwit_bug_of(*error))
        return;
    for (guint i = 0; i < testbed->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(testbed->vms, i);
        if (vm->console && vm->console->guest_fault && !vm->console->fault_provoked)
            (*error)->domain = GODWIT_ERROR;
    }
    if (godwit_bug_of(*error) && !judge_all(testbed, &other)) {
        g_prefix_error(&other, "%s; in addition: ", (*error)->message);
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&other));
    }
}

int godwit_worker_main(const char *directory)
{
    g_autoptr(GError) error = NULL;
    fcntl(GODWIT_WORKER_FD, F_SETFD, FD_CLOEXEC);
    fcntl(GODWIT_TURN_FD, F_SETFD, FD_CLOEXEC);
    g_autoptr(json_t) json = json_loadf(stdin, 0, NULL);
    struct godwit_job *job = godwit_job_from_json(json, &error);
    if (!job) {
        godwit_text_complain("%s", error->message);
        return 2;
    }
    godwit_scenario_prepare(job->scenario, &job->setup);
    if (job->setup.oracles_off & (1u << GODWIT_ORACLE_GUEST) &&
        !(job->scenario && job->scenario->flags & GODWIT_FLAG_VERIFY))
        job->setup.workload.flags &= ~(uint32_t)GODWIT_FLAG_VERIFY;
    struct godwit_testbed *testbed = godwit_testbed_new(&job->setup, directory);
    testbed->deadline =
        godwit_testbed_seconds(testbed, godwit_scenario_seconds(job->scenario, &job->setup));
    testbed->turn = GODWIT_TURN_FD;
    testbed->over = over;
    if (job->progress)
        testbed->progress = progress;
    godwit_contain_adopt();
    const bool passed = godwit_testbed_set_apart(testbed, &error) &&
                        run_job(testbed, job, &error) && judge_all(testbed, &error);
    if (!passed && !error)
        godwit_fail(&error, GODWIT_ERROR_MIGRATION,
                    "a step of phase \"%s\" failed without a reason: a defect of Godwit",
                    godwit_phase_name(testbed->phase));
    if (!passed) {
        judge_beside(testbed, &error);
        explain_fault(testbed, &error);
    }
    g_autoptr(json_t) result = result_of(testbed, error, job->keep);
    godwit_testbed_free(testbed);
    /* Kill what a QEMU has started: it may be a script, and its QEMU may have lost its parent. */
    godwit_contain_sweep(NULL, 0);
    report(result);
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)job->setup.source);
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)job->setup.destination);
    godwit_job_free(job);
    return 0;
}
