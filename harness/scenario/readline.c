/*
 * The human monitor as a person has it: on a terminal, with line editing. Names are completed there
 * (TAB), and `migrate` without -d gives the prompt back when the migration is over.
 *
 * The terminal is a socket on which QEMU listens. What QEMU writes is read without its escape
 * sequences, which only move the cursor and clear the line.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/snapshot.h"
#include "scenario/held.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET  "readline.sock"
#define ADDRESS "unix:destination.migrate.sock"
#define PROMPT  "(qemu) "
#define DISK    "disk"

struct terminal {
    int fd;
    guint watch;   /* reads what comes; 0: it has ended, or is not open */
    GString *text; /* all that has come since the last question, without escape sequences; owned */
    bool escaped;  /* in an escape sequence */
    const char *awaited; /* how `text` must end ... */
    bool listed;         /* ... and it must have another line before that */
};

struct godwit_scenario_state {
    struct terminal terminal;
};

static void clear(struct godwit_scenario_state *state)
{
    struct terminal *terminal = &state->terminal;
    if (terminal->watch)
        g_source_remove(terminal->watch);
    if (terminal->text) {
        close(terminal->fd);
        g_string_free(terminal->text, TRUE);
    }
}

/* Takes what QEMU writes. A sequence begins with ESC [ and ends with a letter. */
static void take(struct terminal *terminal, const char *bytes, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        if (bytes[i] == '\033')
            terminal->escaped = true;
        else if (!terminal->escaped && bytes[i] != '\r')
            g_string_append_c(terminal->text, bytes[i]);
        else if (g_ascii_isalpha(bytes[i]))
            terminal->escaped = false;
    }
}

static gboolean readable(gint fd, GIOCondition condition, gpointer data)
{
    struct terminal *terminal = data;
    char bytes[4096];
    (void)condition;
    const ssize_t length = read(fd, bytes, sizeof(bytes));
    if (length > 0)
        take(terminal, bytes, (gsize)length);
    if (length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN)))
        return G_SOURCE_CONTINUE;
    terminal->watch = 0;
    return G_SOURCE_REMOVE;
}

/* Connects to the terminal of VM. The path of its folder may be too long for an address. */
static bool connect_to(struct godwit_vm *vm, struct terminal *terminal, GError **error)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    const int folder = open(vm->testbed->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    terminal->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_snprintf(where.sun_path, sizeof(where.sun_path), "/proc/self/fd/%d/" SOCKET, folder);
    const bool connected = terminal->fd >= 0 &&
                           !connect(terminal->fd, (const struct sockaddr *)&where, sizeof(where)) &&
                           g_unix_set_fd_nonblocking(terminal->fd, TRUE, NULL);
    const int reason = errno;
    if (folder >= 0)
        close(folder);
    if (!connected) {
        if (terminal->fd >= 0)
            close(terminal->fd);
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot connect to %s: %s", SOCKET,
                           g_strerror(reason));
    }
    terminal->text = g_string_new(NULL);
    terminal->watch = g_unix_fd_add(terminal->fd, G_IO_IN | G_IO_HUP, readable, terminal);
    return true;
}

static bool has_come(gpointer data)
{
    const struct terminal *terminal = data;
    const char *line = strrchr(terminal->text->str, '\n');
    return !terminal->watch || (g_str_has_suffix(terminal->text->str, terminal->awaited) &&
                                (!terminal->listed || line));
}

/* Waits until all that has come since the last question ends with WANTED, after another line if
 * LISTED. */
static bool await(struct godwit_vm *vm, const char *wanted, bool listed, GError **error)
{
    struct terminal *terminal = &vm->testbed->state->terminal;
    g_autofree char *what = g_strdup_printf("the %s's human monitor to write \"%s\"%s", vm->name,
                                            wanted, listed ? " after a list" : "");
    terminal->awaited = wanted;
    terminal->listed = listed;
    return godwit_testbed_wait(vm->testbed, has_come, terminal, what, error) &&
           (terminal->watch ||
            godwit_fail(error, GODWIT_ERROR_QMP, "the %s closed its human monitor", vm->name));
}

/* Types KEYS. */
static bool type(struct godwit_vm *vm, const char *keys, GError **error)
{
    struct terminal *terminal = &vm->testbed->state->terminal;
    const size_t length = strlen(keys);
    g_string_truncate(terminal->text, 0);
    return write(terminal->fd, keys, length) == (ssize_t)length ||
           godwit_fail(error, GODWIT_ERROR_QMP, "the %s's human monitor takes no input: %s",
                       vm->name, g_strerror(errno));
}

/* Ends the line, and waits for the prompt. */
static bool enter(struct godwit_vm *vm, GError **error)
{
    return type(vm, "\n", error) && await(vm, "\n" PROMPT, false, error);
}

/* Types "COMMAND " and TAB. Returns the words that QEMU then offers, which the caller frees. */
static char **ask_words(struct godwit_vm *vm, const char *command, GError **error)
{
    g_autofree char *keys = g_strdup_printf("%s \t", command);
    g_autofree char *line = g_strdup_printf(PROMPT "%s ", command);
    if (!type(vm, keys, error) || !await(vm, line, true, error))
        return NULL;
    const GString *text = vm->testbed->state->terminal.text;
    const char *begin = strchr(text->str, '\n');
    g_autofree char *list = g_strndup(begin, (gsize)(text->str + text->len - strlen(line) - begin));
    if (!enter(vm, error))
        return NULL;
    g_strdelimit(list, "\n\t", ' ');
    return g_strsplit(list, " ", -1);
}

/* Fails with QMP unless the completion of COMMAND offers NAME, which is one of WORDS then. */
static bool expect_word(struct godwit_vm *vm, const char *command, char **words, const char *name,
                        GError **error)
{
    return g_strv_contains((const char *const *)words, name) ||
           godwit_fail(error, GODWIT_ERROR_QMP, "the %s's completion of \"%s \" does not offer %s",
                       vm->name, command, name);
}

/* Fails with QMP unless the completion of COMMAND offers each feature KIND of the binary. */
static bool judge_names(struct godwit_vm *vm, const char *command, const char *kind, GError **error)
{
    g_auto(GStrv) words = ask_words(vm, command, error);
    json_int_t count = 0;
    const char *feature;
    json_t *value;
    json_object_foreach(vm->qemu->features, feature, value)
    {
        if (!g_str_has_prefix(feature, kind))
            continue;
        if (!words || !expect_word(vm, command, words, feature + strlen(kind), error))
            return false;
        count++;
    }
    godwit_testbed_measure(vm->testbed, kind[0] == 'c' ? "capabilities" : "parameters",
                           json_integer(count));
    return words && (count || godwit_fail(error, GODWIT_ERROR_QMP, "the %s's schema names no %s",
                                          vm->name, kind));
}

/* Types the beginning of a word and TAB: the word must be completed. */
static bool judge_single(struct godwit_vm *vm, const char *keys, const char *line, GError **error)
{
    return type(vm, keys, error) && await(vm, line, false, error) && enter(vm, error);
}

/* Fails with QMP unless the completion of COMMAND offers each snapshot. */
static bool judge_snapshots(struct godwit_vm *vm, const char *command, const char *const *tags,
                            GError **error)
{
    g_auto(GStrv) words = ask_words(vm, command, error);
    for (; words && *tags; tags++)
        if (!expect_word(vm, command, words, *tags, error))
            return false;
    return words != NULL;
}

/* Starts a source whose human monitor is a terminal, and connects to that. */
static struct godwit_vm *start_source(struct godwit_testbed *testbed, GError **error)
{
    static const char *const arguments[] = {"-monitor", "unix:" SOCKET ",server=on,wait=off", NULL};
    struct godwit_vm *source = godwit_course_source_with(testbed, arguments, error);
    return source && connect_to(source, &testbed->state->terminal, error) &&
                   await(source, PROMPT, false, error)
               ? source
               : NULL;
}

static bool run_completion(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    static const struct godwit_snapshot_disks disks = {{DISK}, 0};
    static const char *const tags[] = {"one-snapshot", "two-snapshot", NULL};
    struct godwit_vm *source = start_source(testbed, error);
    (void)scenario;
    if (!source || !godwit_snapshot_prepare(source, error) ||
        !godwit_disk_create(source, DISK, error))
        return false;
    for (size_t i = 0; tags[i]; i++)
        if (!godwit_snapshot_must(source, GODWIT_SNAPSHOT_MONITOR, GODWIT_SNAPSHOT_SAVE, tags[i],
                                  &disks, error))
            return false;
    return judge_names(source, "migrate_set_capability", "capability:", error) &&
           judge_names(source, "migrate_set_parameter", "parameter:", error) &&
           judge_single(source, "migrate_set_capability postcopy-ra\t",
                        "migrate_set_capability postcopy-ram ", error) &&
           judge_single(source, "migrate_set_parameter downtime\t",
                        "migrate_set_parameter downtime-limit ", error) &&
           judge_snapshots(source, "loadvm", tags, error) &&
           judge_snapshots(source, "delvm", tags, error) &&
           judge_single(source, "delvm two\t", "delvm two-snapshot ", error) &&
           godwit_course_see_it_run(source, error) && godwit_course_stop(source, error) &&
           godwit_course_end(source, NULL, error);
}

/* Fails with QMP if the prompt is back, although the migration is not over. */
static bool expect_busy(struct godwit_vm *source, GError **error)
{
    const struct terminal *terminal = &source->testbed->state->terminal;
    return !strstr(terminal->text->str, "\n" PROMPT) ||
           godwit_fail(error, GODWIT_ERROR_QMP,
                       "\"migrate\" gave the prompt back before the migration was over");
}

/* Migrates by a line without -d. */
static bool run_migrate(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    struct godwit_reading before = {0};
    (void)scenario;
    struct godwit_vm *destination = godwit_course_ahead(testbed, "destination", true, error);
    struct godwit_vm *source = destination ? start_source(testbed, error) : NULL;
    if (!source || !godwit_vm_handshake(destination, error) ||
        !godwit_migrate_set_capabilities(destination, NULL, error) ||
        !godwit_migrate_set_capabilities(source, NULL, error) ||
        !godwit_migrate_throttle(source, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_MIGRATE);
    godwit_migration_of(testbed);
    source->migration_first = source->migration_leg = source->qmp->events->len;
    if (!godwit_migrate_incoming(destination, ADDRESS, false, error) ||
        !type(source, "migrate " ADDRESS "\n", error) ||
        !godwit_migrate_prove_live(source, destination, error) || !expect_busy(source, error) ||
        !godwit_migrate_unthrottle(source, error) ||
        !godwit_migrate_wait(source, "completed", error) ||
        !godwit_migrate_wait(destination, "completed", error) ||
        !godwit_course_settle(source, error) || !godwit_migrate_note(source, error) ||
        !await(source, "\n" PROMPT, false, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_VERIFY);
    godwit_memory_forget(source);
    godwit_memory_forget(destination);
    return godwit_oracle_twin(source, destination, &before, error) &&
           (testbed->lost || (godwit_vm_run(destination, error) &&
                              godwit_held_judge_running(destination, &before, error))) &&
           godwit_course_end(source, destination, error);
}

#define STATE .state = sizeof(struct godwit_scenario_state), .clear = clear

GODWIT_SCENARIOS(readline) = {
    {
        .name = "monitor/readline/completion",
        .summary = "names of capabilities, parameters and snapshots are completed on a terminal",
        .run = run_completion,
        STATE,
    },
    {
        .name = "monitor/readline/migrate",
        .summary = "migrate without -d on a terminal: the prompt comes back at the end",
        .slow = true,
        .run = run_migrate,
        STATE,
    },
};
GODWIT_SCENARIOS_END(readline);
