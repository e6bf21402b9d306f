/*
 * Known bugs of destinations that fail to load a migration. Most of these destinations print the
 * reason on their standard error and end. A pattern must match a whole line: a line that only names
 * a CPU, for example, is not a match. The others crash, or leave the source waiting for ever.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include "migrate/migrate.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* Some destinations print a line for each register. */
#define LAST_LINES 400

static bool ended_badly(const struct godwit_vm *vm)
{
    return vm->exited && WIFEXITED(vm->wait_status) && WEXITSTATUS(vm->wait_status) != 0;
}

/* Returns the first of the destination's last lines that PATTERN matches, or NULL. Why it refuses a
 * snapshot it says to the monitor instead. Most lines begin with the program's name, which the
 * pattern must not contain. The caller frees the line. */
static char *find_line(const struct godwit_vm *vm, const char *pattern)
{
    g_autofree char *whole =
        g_strdup_printf("^(?:\\S*qemu-(?:system-\\w+|kvm): |Error: )?(?:%s)$", pattern);
    g_autoptr(GRegex) regex =
        g_regex_new(whole, G_REGEX_RAW | G_REGEX_OPTIMIZE, G_REGEX_MATCH_ANCHORED, NULL);
    g_autofree char *output = godwit_vm_stderr(vm, LAST_LINES);
    g_autofree char *all = g_strconcat(output, "\n", vm->refusal, NULL);
    g_auto(GStrv) lines = g_strsplit(all, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        if (g_regex_match(regex, g_strchomp(lines[i]), 0, NULL))
            return g_strdup(lines[i]);
    return NULL;
}

#define LOADING(device) "error while loading state for instance 0x[0-9a-f]+ of device '" device "'"
/* QEMU 11.1 prints all of it on one line, without the beginning if it loads a snapshot. */
#define REFUSED(device)                                                                            \
    LOADING(device)                                                                                \
    "(?:: post load hook failed for: .+)?"                                                         \
    "|load of migration failed: [^:]+: " LOADING(device) ": .+"
#define REGISTER                                                                                   \
    "handle_cpreg_only_in_incoming_stream: system register 0x[0-9a-f]+ in the incoming stream "    \
    "but unknown on the destination: fail migration"
#define ASSERTION "\\S+/vmstate\\.c:[0-9]+: vmstate_load_state: Assertion .+ failed\\."

#define UNNAMED                                                                                    \
    "loadvm failed during postcopy: -22: Failed to load section ID: stream error: -22: "           \
    "Channel error: Invalid argument"

/* Returns true if the destination has ended or given up, and has printed a line that PATTERN
 * matches. */
static bool has_refused(const struct godwit_vm *vm, const char *pattern, char **seen)
{
    if (!ended_badly(vm) && !godwit_bug_was_killed(vm, SIGABRT) &&
        !(!vm->exited && (vm->refusal || !strcmp(godwit_migrate_reported_state(vm), "failed"))))
        return false;
    *seen = find_line(vm, pattern);
    return *seen != NULL;
}

static bool is_aarch64(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->destination;
    return has_refused(vm, REFUSED("cpu") "|" REFUSED("arm_gicv3") "|" REGISTER, seen) ||
           (godwit_bug_was_killed(vm, SIGABRT) && has_refused(vm, ASSERTION, seen));
}

static bool is_ppc64(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->destination;
    /* In a postcopy, QEMU 11.1 does not name the device. */
    return has_refused(vm, REFUSED("cpu"), seen) ||
           (ended_badly(vm) && godwit_json_true(vm->capabilities, "postcopy-ram") &&
            has_refused(vm, UNNAMED, seen));
}

/* The destination ends while it reads from the CPR channel, before it has a monitor. */
static bool is_cpr(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->destination;
    if (!ended_badly(vm) || vm->answers)
        return false;
    *seen = find_line(vm, "vmstate_load_state error -?[0-9]+");
    return *seen != NULL;
}

/* Returns true if SIGSEGV killed the VM after its migration was in STATE. */
static bool died_after(const struct godwit_vm *vm, const char *state, char **seen)
{
    if (!godwit_qmp_find_event(vm->qmp, vm->migration_first, "MIGRATION", state) ||
        !godwit_bug_was_killed(vm, SIGSEGV))
        return false;
    g_autofree char *end = godwit_vm_end(vm);
    *seen = g_strdup_printf("the %s's QEMU %s while it recovered", vm->name, end);
    return true;
}

/* The thread that loads the remaining pages continues before there is a new connection. */
static bool is_recovery(const struct godwit_symptom *symptom, char **seen)
{
    return died_after(symptom->destination, "postcopy-paused", seen);
}

/* The thread that reads the return path has not yet seen that the connection is lost when the next
 * one is there. */
static bool is_source_recovery(const struct godwit_symptom *symptom, char **seen)
{
    return died_after(symptom->source, "postcopy-recover", seen);
}

/* The connection for urgent pages is made, or not, when the migration has already failed. */
static bool is_late_channel(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->source;
    if (!godwit_bug_was_killed(vm, SIGABRT) ||
        !godwit_json_true(vm->capabilities, "postcopy-preempt"))
        return false;
    *seen = find_line(vm, "\\S+/yank\\.c:[0-9]+: yank_register_function: Assertion .+ failed\\.");
    return *seen != NULL;
}

/* At the end the source closes what the configuration has opened in its description of the stream,
 * and there was no configuration. */
static bool is_unconfigured(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->source;
    if (!godwit_bug_was_killed(vm, SIGABRT) ||
        !godwit_vm_has_argument(vm, "migration.send-configuration=off"))
        return false;
    *seen = find_line(vm, "\\S+/json-writer\\.c:[0-9]+: leave_container: Assertion .+ failed\\.");
    return *seen != NULL;
}

/* QEMU does not refuse the combination of multifd and postcopy. The destination's clean-up of the
 * one then fails an assertion in that of the other. */
static bool is_multifd(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *vm = symptom->destination;
    if (!godwit_bug_was_killed(vm, SIGABRT) || !godwit_json_true(vm->capabilities, "multifd") ||
        !godwit_json_true(vm->capabilities, "postcopy-ram"))
        return false;
    *seen = find_line(vm, "\\S+/yank\\.c:[0-9]+: yank_unregister_instance: Assertion .+ failed\\.");
    return *seen != NULL;
}

/* A destination that stops using multifd at the switchover leaves this source waiting. */
static bool is_endless_postcopy(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->state, "postcopy-active") != 0 || symptom->source->exited ||
        symptom->destination->exited ||
        !godwit_json_true(symptom->source->capabilities, "multifd") ||
        !godwit_json_true(symptom->source->capabilities, "postcopy-ram"))
        return false;
    *seen = g_strdup("the source is still \"postcopy-active\"");
    return true;
}

#define MULTIFD_POSTCOPY                                                                           \
    .id = "multifd-postcopy",                                                                      \
    .summary = "postcopy with multifd on is not refused, and aborts the destination at its end "   \
               "or never ends",                                                                    \
    .reference = "refused by QEMU 8.1 and later", .role = GODWIT_BUG_DESTINATION,                  \
    .effect = GODWIT_BUG_LOST, .strikes = 1, .runs = 1

static bool is_queue_size(const struct godwit_symptom *symptom, char **seen)
{
    return has_refused(symptom->destination,
                       "VQ [0-9]+ vring\\.num 1024 exceeds allocated max [0-9]+", seen);
}

#define SERIAL(device)                                                                             \
    "load of migration failed: [^:]+: " LOADING(device) ": post load hook failed for: serial, .+"

/* A card on the source's command line is reset before the guest starts, and is sound. */
static bool is_plugged_serial(const struct godwit_symptom *symptom, char **seen)
{
    const GPtrArray *arguments = symptom->source ? symptom->source->arguments : NULL;
    if (!arguments)
        return false;
    for (guint i = 0; i < arguments->len; i++) {
        const char *argument = g_ptr_array_index(arguments, i);
        if (argument && g_str_has_prefix(argument, "pci-serial"))
            return false;
    }
    return has_refused(symptom->destination, SERIAL("\\S+/pci-serial(?:-multi)?"), seen);
}

/* A destination has room for as many channels as it was told, and takes a number that is one too
 * large for one of them. */
static bool is_channel_number(const struct godwit_symptom *symptom, char **seen)
{
    const struct godwit_vm *destination = symptom->destination;
    if (g_strcmp0(symptom->text, "channel number") != 0 ||
        !godwit_json_true(destination->capabilities, "multifd") ||
        !godwit_bug_was_killed(destination, SIGSEGV))
        return false;
    g_autofree char *end = godwit_vm_end(destination);
    *seen = g_strdup_printf("the destination's QEMU %s", end);
    return true;
}

/* It takes the numbers in a stream for its own. */
static bool has_asserted(const struct godwit_symptom *symptom, const char *pattern, char **seen)
{
    if (!godwit_json_true(symptom->destination->capabilities, "dirty-bitmaps") ||
        !godwit_bug_was_killed(symptom->destination, SIGABRT))
        return false;
    *seen = find_line(symptom->destination, pattern);
    return *seen != NULL;
}

static bool is_bitmap_chunk(const struct godwit_symptom *symptom, char **seen)
{
    return has_asserted(
        symptom, "\\S*util/hbitmap\\.c:[0-9]+: serialization_chunk: Assertion .+ failed\\.", seen);
}

static bool is_bitmap_granularity(const struct godwit_symptom *symptom, char **seen)
{
    return has_asserted(symptom,
                        "\\S*block/dirty-bitmap\\.c:[0-9]+: bdrv_create_dirty_bitmap: "
                        "Assertion .+ failed\\.",
                        seen);
}

/* Memory of a size that a stream gives cannot be allocated. */
static bool cannot_allocate(const struct godwit_symptom *symptom, char **seen)
{
    if (!godwit_bug_was_killed(symptom->vm, SIGTRAP))
        return false;
    *seen = find_line(symptom->vm, "GLib: \\S+gmem\\.c:[0-9]+: failed to allocate [0-9]+ bytes");
    return *seen != NULL;
}

/* A length is taken as a negative number. */
static bool is_stream_length(const struct godwit_symptom *symptom, char **seen)
{
    return (g_str_has_prefix(symptom->text, "a machine's name of ") ||
            !strcmp(symptom->text, "4 Gi of capabilities")) &&
           cannot_allocate(symptom, seen);
}

/* A bitmap for the length of a RAM block is allocated before the length is checked. */
static bool is_mapped_length(const struct godwit_symptom *symptom, char **seen)
{
    return !strcmp(symptom->text, "a RAM block of 1 EiB") && cannot_allocate(symptom, seen);
}

/* The bitmap of received pages is changed before the range is checked. */
static bool is_discard(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "RAM_DISCARD beyond its RAM block") &&
           godwit_bug_was_killed(symptom->vm, SIGSEGV);
}

/* The size of pages is a divisor, and is not compared with the destination's own. */
static bool is_mapped_page_size(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "a header with pages of no bytes")
               ? godwit_bug_was_killed(symptom->vm, SIGFPE)
               : !strcmp(symptom->text, "a header with pages of 1 TiB") && !symptom->vm->exited;
}

/* The capability is not looked at. */
static bool is_colo_unasked(const struct godwit_symptom *symptom, char **seen)
{
    (void)seen;
    return !strcmp(symptom->text, "ENABLE_COLO without x-colo") &&
           godwit_qmp_find_event(symptom->vm->qmp, 0, "MIGRATION", "colo");
}

const struct godwit_bug godwit_bugs_loading[] = {
    {
        .id = "plugged-serial",
        .summary = "no destination can load a serial card that was plugged while the source ran",
        .reference = "measured in QEMU 11.1, and not in 7.2 and 10.0",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_SOURCE,
        .since = {11, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_plugged_serial,
    },
    {
        .id = "virtio-queue-size",
        .summary = "QEMU 11.1 does not take a virtio device of QEMU 10.0 that no driver has set up",
        .reference = "measured from QEMU 10.0 to 11.1; from 7.2, and from 11.1 to 10.0, it works",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_EITHER,
        .pairs = {{{10, 0}, {11, 1}}},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_queue_size,
    },
    {
        .id = "aarch64-versions",
        .summary = "under TCG, one version of QEMU does not accept an aarch64 CPU's state from "
                   "another",
        .reference = "measured between QEMU 7.2, 10.0 and 11.1, with -cpu max and cortex-a72",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_EITHER,
        .pairs = {{{7, 2}, {10, 0}},
                  {{10, 0}, {7, 2}},
                  {{7, 2}, {11, 1}},
                  {{11, 1}, {7, 2}},
                  {{10, 0}, {11, 1}},
                  {{11, 1}, {10, 0}}},
        .arch = "aarch64",
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .all_guests = true,
        .strikes = 1,
        .runs = 1,
        .matches = is_aarch64,
    },
    {
        .id = "ppc64-versions",
        .summary = "QEMU 7.2 and later versions do not accept the state of a ppc64 CPU from each "
                   "other",
        .reference = "measured between QEMU 7.2 and both 10.0 and 11.1, on pseries-7.2 under TCG; "
                     "between 10.0 and 11.1 it works",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_EITHER,
        .pairs = {{{7, 2}, {10, 0}}, {{10, 0}, {7, 2}}, {{7, 2}, {11, 1}}, {{11, 1}, {7, 2}}},
        .arch = "ppc64",
        .accel = "tcg",
        .effect = GODWIT_BUG_LOST,
        .all_guests = true,
        .strikes = 1,
        .runs = 1,
        .matches = is_ppc64,
    },
    {
        .id = "cpr-versions",
        .summary = "an older QEMU cannot take over the memory of a newer one with cpr-transfer",
        .reference = "measured from QEMU 11.1 to 10.0; from 10.0 to 11.1 it works",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_DESTINATION,
        .pairs = {{{11, 1}, {10, 0}}},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_cpr,
    },
    {
        .id = "recover-crash",
        .summary = "a destination may crash while it recovers a postcopy migration",
        .reference = "measured in QEMU 7.2, and not in 10.0",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 3,
        .runs = 551,
        .percent = 10,
        .matches = is_recovery,
    },
    {
        .id = "recover-source-crash",
        .summary = "a source may crash while it recovers a postcopy migration",
        .reference = "measured in QEMU 7.2; 10.0 waits for the thread that crashes",
        .kind = GODWIT_SYMPTOM_SOURCE_DIED,
        .role = GODWIT_BUG_SOURCE,
        .fixed = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 3,
        .runs = 2000,
        .percent = 10,
        .matches = is_source_recovery,
    },
    {
        .id = "preempt-late-channel",
        .summary = "a source may abort if its migration with postcopy-preempt fails at once",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_SOURCE_DIED,
        .role = GODWIT_BUG_SOURCE,
        .fixed = {11, 1},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 30,
        .percent = 25,
        .matches = is_late_channel,
    },
    {
        .id = "no-configuration",
        .summary = "a source that sends no configuration aborts at the end of a migration",
        .reference = "measured in QEMU 10.0 and 11.1, and not in 7.2",
        .kind = GODWIT_SYMPTOM_SOURCE_DIED,
        .role = GODWIT_BUG_SOURCE,
        .since = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_unconfigured,
    },
    {
        .id = "multifd-channel-number",
        .summary = "a destination crashes if a multifd channel has a number that is one too large",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_channel_number,
    },
    {
        .id = "bitmap-chunk-abort",
        .summary = "a destination aborts if a stream has bits beyond the end of a dirty bitmap",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_DESTINATION,
        .strikes = 1,
        .runs = 1,
        .matches = is_bitmap_chunk,
    },
    {
        .id = "bitmap-granularity-abort",
        .summary = "a destination aborts if a stream has a dirty bitmap whose granularity is none",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_LOAD,
        .role = GODWIT_BUG_DESTINATION,
        .strikes = 1,
        .runs = 1,
        .matches = is_bitmap_granularity,
    },
    {
        .id = "stream-length-abort",
        .summary = "a length of 2 GiB or more in a stream's configuration aborts QEMU",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_STREAM,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_stream_length,
    },
    {
        .id = "discard-crash",
        .summary = "a RAM_DISCARD beyond its RAM block crashes QEMU",
        .reference = "measured in QEMU 7.2, 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_STREAM,
        .role = GODWIT_BUG_DESTINATION,
        .strikes = 1,
        .runs = 1,
        .matches = is_discard,
    },
    {
        .id = "mapped-ram-page-size",
        .summary = "mapped-ram with another page size crashes QEMU or loses memory",
        .reference = "measured in QEMU 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_STREAM,
        .role = GODWIT_BUG_DESTINATION,
        .since = {9, 0},
        .fixed = {11, 1},
        .strikes = 1,
        .runs = 1,
        .matches = is_mapped_page_size,
    },
    {
        .id = "mapped-ram-length-abort",
        .summary = "the length of a RAM block in a mapped-ram file aborts QEMU",
        .reference = "measured in QEMU 10.0 and 11.1",
        .kind = GODWIT_SYMPTOM_STREAM,
        .role = GODWIT_BUG_DESTINATION,
        .since = {9, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_mapped_length,
    },
    {
        .id = "colo-unasked",
        .summary = "a stream can start COLO on a destination without x-colo",
        .reference = "measured in QEMU 7.2, and not in 10.0",
        .kind = GODWIT_SYMPTOM_STREAM,
        .role = GODWIT_BUG_DESTINATION,
        .fixed = {10, 0},
        .strikes = 1,
        .runs = 1,
        .matches = is_colo_unasked,
    },
    {MULTIFD_POSTCOPY, .kind = GODWIT_SYMPTOM_LOAD, .fixed = {8, 1}, .matches = is_multifd},
    {
        MULTIFD_POSTCOPY,
        .kind = GODWIT_SYMPTOM_NO_END,
        .pairs = {{{11, 1}, {7, 2}}},
        .matches = is_endless_postcopy,
    },
    {.id = NULL},
};
