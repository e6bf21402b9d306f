/*
 * CPR that cannot work: it must be refused or fail with a reason, and leave the source with its
 * guest. The guest then runs on, and migrates in mode "normal" as if nothing had happened.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"
#include <string.h>
#include <sys/stat.h>

#define MAIN_URI    "unix:main.sock"
#define CPR_URI     "unix:nobody.sock"
#define FILE_URI    "file:" GODWIT_MIGRATE_FILE
#define NO_FILE_URI "file:no-such-folder/stream"

/* A program that is not there. Should QEMU go on where it must not, its guest survives even so. */
#define NO_PROGRAM "/no-such-folder/qemu"

struct trial {
    const char *mode;
    const char *uri; /* address of the main channel */
    bool channels;   /* it is in the `channels` argument ... */
    bool cpr;        /* ... with a channel "cpr", where nobody listens */
    bool command;    /* there is a cpr-exec-command */
    bool private;    /* RAM is the process's own, so that no other QEMU can take it over */
    bool fails;      /* `migrate` starts a migration, and that fails; otherwise it is refused */
    bool stops;      /* the failure comes when QEMU has stopped the guest */
};

/* Sends `migrate` as the trial wants it. */
static bool request(struct godwit_vm *source, const struct trial *trial, GError **error)
{
    if (!trial->channels)
        return godwit_migrate_start(source, trial->uri, false, error);
    json_t *channels = godwit_migrate_channels(trial->uri);
    if (trial->cpr) {
        g_autoptr(json_t) more = godwit_migrate_channels(CPR_URI);
        json_object_set_new(json_array_get(more, 0), "channel-type", json_string("cpr"));
        json_array_extend(channels, more);
    }
    return godwit_migrate_start_channels(source, channels, error);
}

static bool set_mode(struct godwit_vm *source, const struct trial *trial, GError **error)
{
    const struct godwit_parameter parameters[] = {{"mode", 0, trial->mode}, {NULL, 0, NULL}};
    return godwit_migrate_set_capabilities(source, NULL, error) &&
           godwit_migrate_set_parameters(source, parameters, error) &&
           (!trial->command ||
            godwit_vm_command(source, "migrate-set-parameters",
                              json_pack("{s:[s]}", "cpr-exec-command", NO_PROGRAM), error));
}

/* Waits until the migration has failed. By then QEMU may have reported that it completed: what
 * fails is to execute the command. */
static bool await_failure(struct godwit_vm *source, bool stops, GError **error)
{
    const guint first = source->migration_first;
    if (!godwit_vm_wait_event(source, first, "MIGRATION", "failed", error) ||
        (stops && (!godwit_vm_wait_event(source, first, "STOP", NULL, error) ||
                   !godwit_vm_wait_event(source, first, "RESUME", NULL, error))))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    const char *state = godwit_json_string(info, "status", "none");
    const char *reason = godwit_json_string(info, "error-desc", "");
    godwit_testbed_measure(source->testbed, "reason", json_string(reason));
    return (!strcmp(state, "failed") && *reason) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's query-migrate reports \"%s\" with error-desc \"%s\", expected "
                       "\"failed\" with a reason",
                       state, reason);
}

/* Judges a QEMU that has accepted what it must refuse. If this is a known bug, waits until the
 * command cannot be executed. */
static bool judge_accepted(struct godwit_vm *source, const struct trial *trial, GError **error)
{
    struct godwit_testbed *testbed = source->testbed;
    g_autofree char *path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    struct stat status = {0};
    if (trial->private && trial->command &&
        (!await_failure(source, true, error) || stat(path, &status)))
        return false;
    const struct godwit_symptom symptom = {
        .kind = GODWIT_SYMPTOM_PRIVATE_RAM,
        .source = source,
        .state = trial->mode,
        .first = (uint64_t)status.st_size,
        .last = (uint64_t)testbed->setup->memory_mib << 20,
    };
    return (status.st_size && godwit_bug_explain(&symptom)) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source accepted a migration in mode %s that must be refused",
                       trial->mode);
}

/* Checks that no migration has begun. */
static bool judge_refused(struct godwit_vm *source, GError **error)
{
    g_autofree char *state = godwit_migrate_state(source, error);
    if (!state)
        return false;
    const char *reported = godwit_migrate_reported_state(source);
    return (!strcmp(state, "none") && !strcmp(reported, "none")) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the source's refused migration is %s, and %s by its events, expected none",
                       state, reported);
}

/* Makes the request, and judges what comes of it. Sets *LOST if a known bug has ended the
 * source. */
static bool try(struct godwit_vm *source, const struct trial *trial, bool *lost, GError **error)
{
    g_autoptr(GError) cause = NULL;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_REFUSE);
    if (request(source, trial, &cause))
        return trial->fails ? await_failure(source, trial->stops, error)
                            : judge_accepted(source, trial, error);
    *lost = source->exited && godwit_bug_explain(&(const struct godwit_symptom){
                                  .kind = GODWIT_SYMPTOM_NO_CPR_CHANNEL, .source = source});
    if (*lost) {
        source->may_exit = true;
        return true;
    }
    if (cause->code != GODWIT_ERROR_QMP) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    godwit_testbed_measure(source->testbed, "refusal", json_string(cause->message));
    return trial->fails ? await_failure(source, trial->stops, error) : judge_refused(source, error);
}

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct trial *trial = scenario->data;
    const struct godwit_parameter normal[] = {{"mode", 0, "normal"}, {NULL, 0, NULL}};
    g_autofree char *backend = g_strdup_printf("memory-backend-memfd,id=shared,size=%uM,share=on",
                                               testbed->setup->memory_mib);
    const char *const shared[] = {"-object", backend, "-machine",
                                  "memory-backend=shared,aux-ram-share=on", NULL};
    const char *const *arguments = trial->private ? NULL : shared;
    struct godwit_vm *destination =
        godwit_vm_start(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED, arguments, error);
    struct godwit_vm *source =
        destination ? godwit_course_source_with(testbed, arguments, error) : NULL;
    bool lost = false;
    if (!source || !set_mode(source, trial, error) || !try(source, trial, &lost, error))
        return false;
    if (lost)
        return godwit_vm_handshake(destination, error) && godwit_vm_quit(destination, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_RUN_ON);
    return godwit_course_expect_status(source, "running", "after the CPR that failed", error) &&
           godwit_course_see_it_run(source, error) &&
           godwit_migrate_set_parameters(source, normal, error) &&
           godwit_vm_handshake(destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

#define ROW(NAME, SUMMARY, NEEDS, ...)                                                             \
    {                                                                                              \
        .name = "cpr-failed/" NAME, .summary = SUMMARY, .run = run, .needs = NEEDS,                \
        .data = &(const struct trial)                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define TRANSFER(NAME, SUMMARY, ...)                                                               \
    ROW("transfer/" NAME, SUMMARY, "mode:cpr-transfer channel:cpr object:memory-backend-memfd",    \
        .mode = "cpr-transfer", .uri = MAIN_URI, __VA_ARGS__)
#define EXEC(NAME, SUMMARY, ...)                                                                   \
    ROW("exec/" NAME, SUMMARY,                                                                     \
        "mode:cpr-exec parameter:cpr-exec-command object:memory-backend-memfd",                    \
        .mode = "cpr-exec", __VA_ARGS__)

GODWIT_SCENARIOS(cpr_failed) = {
    TRANSFER("no-channel", "cpr-transfer without a channel for CPR: refused", .channels = true),
    TRANSFER("uri", "cpr-transfer to an address in `uri`: refused", .channels = false),
    TRANSFER("nobody", "cpr-transfer to a CPR channel where nobody listens: fails",
             .channels = true, .cpr = true, .fails = true),
    TRANSFER("private", "cpr-transfer of RAM that is not shared: refused", .channels = true,
             .cpr = true, .private = true),
    EXEC("no-command", "cpr-exec without a command: refused", .uri = FILE_URI),
    EXEC("bad-command", "cpr-exec with a command that cannot be executed: the guest resumes",
         .uri = FILE_URI, .command = true, .fails = true, .stops = true),
    EXEC("bad-file", "cpr-exec into a file that cannot be made: fails", .uri = NO_FILE_URI,
         .command = true, .fails = true),
    EXEC("private", "cpr-exec of RAM that is not shared: refused", .uri = FILE_URI, .command = true,
         .private = true),
};
GODWIT_SCENARIOS_END(cpr_failed);
