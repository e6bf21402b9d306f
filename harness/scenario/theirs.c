/*
 * The course of a guest that is not Godwit's. Nothing is known of such a guest but its console. So
 * the judges are those that need no guest: RAM compare, state and register compare, and QEMU's own
 * reports.
 *
 * A relay writes what the source sends into a file, from which the state compare reads the source's
 * state: a source that has migrated cannot save its state once more in every version of QEMU. The
 * destination's guest does not run, because each side has disks of its own (-snapshot) and what the
 * guest wrote to the source's is not on the destination's.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/theirs.h"

#include "course/loaded.h"
#include "memory/memory.h"
#include "migrate/settings.h"
#include "oracle/oracle.h"
#include "oracle/state.h"
#include "stream/relay.h"
#include <string.h>

/* The file with what the source sends, in the testbed's records. */
#define SENT_FILE "sent.stream"

/* Looks for a text in what the console has shown. Its log keeps only head and tail. */
struct search {
    const struct godwit_console *console;
    const char *text;
};

static bool has_shown(gpointer data)
{
    const struct search *search = data;
    g_autofree char *log = godwit_log_text(search->console->log);
    return strstr(log, search->text) != NULL;
}

static bool wait_for_text(struct godwit_vm *source, GError **error)
{
    const char *after = source->testbed->setup->after;
    struct search search = {source->console, after};
    g_autofree char *what = g_strdup_printf("\"%s\" on the source's console", after ? after : "");
    return !after || godwit_testbed_wait(source->testbed, has_shown, &search, what, error);
}

/* Watcher: writes what the source sends. An error shows when the file is read. */
static void record(gpointer file, const unsigned char *bytes, size_t length)
{
    fwrite(bytes, 1, length, file);
}

/* Greeter: records the first connection, which is the main channel. */
static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer file)
{
    (void)answered;
    if (index == 0)
        godwit_flow_watch(sent, record, file);
}

static void close_file(gpointer file)
{
    fclose(file);
}

/* Makes a relay in front of ADDRESS that records into FILE. Returns its address, borrowed. */
static const char *record_at(struct godwit_testbed *testbed, const char *address, FILE *file,
                             GError **error)
{
    struct godwit_relay *relay = godwit_wire_relay(testbed->wire, address, error);
    if (relay)
        godwit_relay_greet(relay, greet, file);
    return relay ? godwit_relay_uri(relay) : NULL;
}

static bool configure(const struct godwit_spec *spec, struct godwit_vm *vm, GError **error)
{
    return godwit_migrate_set_capabilities(vm, spec->capabilities, error) &&
           (!spec->parameters || godwit_migrate_set_parameters(vm, spec->parameters, error)) &&
           godwit_settings_apply(vm, true, error);
}

static bool transfer(const struct godwit_spec *spec, struct godwit_vm *source,
                     struct godwit_vm *destination, FILE *file, GError **error)
{
    if (spec->move == GODWIT_MOVE_STOPPED && !godwit_course_stop(source, error))
        return false;
    g_autofree char *address =
        godwit_migrate_listen(source, destination, spec->transport, false, error);
    const char *uri = address ? record_at(source->testbed, address, file, error) : NULL;
    return uri && godwit_migrate_unthrottle(source, error) &&
           godwit_settings_apply(source, false, error) &&
           godwit_migrate_start(source, uri, false, error) &&
           godwit_migrate_wait(source, "completed", error) &&
           godwit_migrate_wait(destination, "completed", error) &&
           godwit_course_settle(source, error) && godwit_migrate_note(source, error);
}

/* Compares state and registers. The copy of what was sent is where a machine that saves its state
 * would have put it. */
static bool judge_state(struct godwit_vm *source, struct godwit_vm *destination, const char *sent,
                        const char *const *arguments, GError **error)
{
    struct godwit_testbed *testbed = destination->testbed;
    g_autofree char *path = g_build_filename(testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    g_autoptr(GFile) from = g_file_new_for_path(sent);
    g_autoptr(GFile) to = g_file_new_for_path(path);
    g_autoptr(GError) cause = NULL;
    if (!g_file_copy(from, to, G_FILE_COPY_OVERWRITE, NULL, NULL, NULL, &cause))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot copy %s: %s", sent,
                           cause->message);
    g_autoptr(GPtrArray) lost = godwit_loaded_compare(source, destination, arguments, true, error);
    if (!lost || godwit_loaded_judge(testbed, lost, &cause))
        return lost != NULL;
    godwit_loaded_explain(source, destination, lost, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool godwit_theirs_run(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                       GError **error)
{
    static const char *const clock[] = {"-rtc", "clock=vm", NULL};
    struct godwit_reading reading = {0};
    g_autofree char *sent = g_build_filename(testbed->records, SENT_FILE, NULL);
    FILE *file = fopen(sent, "we");
    if (!file)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot write %s", sent);
    /* The file is made before the wire, so that it outlives the relay that writes to it. */
    setvbuf(file, NULL, _IONBF, 0);
    godwit_testbed_at_end(testbed, close_file, file);
    godwit_wire_new(testbed);
    testbed->hand = true;
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    struct godwit_vm *destination =
        godwit_vm_start(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED, clock, error);
    struct godwit_vm *source =
        destination ? godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, clock, error) : NULL;
    if (!source || !godwit_vm_handshake(source, error) ||
        !godwit_vm_handshake(destination, error) || !configure(spec, destination, error) ||
        !configure(spec, source, error) || !godwit_vm_run(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_TO_B);
    if (!wait_for_text(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    if (!transfer(spec, source, destination, file, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    godwit_memory_forget(source);
    godwit_memory_forget(destination);
    return godwit_oracle_twin(source, destination, &reading, error) &&
           judge_state(source, destination, sent, clock, error) &&
           godwit_course_end(source, destination, error);
}
