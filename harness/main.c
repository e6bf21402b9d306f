/*
 * godwit: live-migration tests for any installed QEMU. This file has the table of subcommands, and
 * turns their outcome into an exit status.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/text.h"
#include "base/version.h"
#include "command/command.h"
#include "scenario/check.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    godwit_command command;
    const char *summary;
} commands[] = {
    {"run", godwit_command_run, "run scenarios on each architecture"},
    {"list", godwit_command_list, "list scenarios"},
    {"migrate", godwit_command_migrate, "run one migration, composed from options"},
    {"doctor", godwit_command_doctor, "report what this host and its QEMUs can and cannot do"},
    {"selftest", godwit_command_selftest,
     "inject faults on the wire and count which oracles find them"},
    {"bench", godwit_command_bench, "measure how long each phase takes: median and spread"},
    {"compare", godwit_command_compare,
     "say whether one QEMU, or one setting, migrates slower than another"},
    {"sweep", godwit_command_sweep,
     "measure migrations over a grid of settings, dirty rates and sizes"},
    {"compat", godwit_command_compat, "say what can go from one QEMU to another, and back"},
    {"stream", godwit_command_stream, "show or verify a migration stream in a file"},
    {"serve", godwit_command_serve, "run destinations for a Godwit on another host"},
    {"report", godwit_command_report, "merge, compare or convert results"},
};

static void help(void)
{
    printf("Usage: godwit COMMAND [OPTION...]\n\n"
           "Tests live migration: migrates small guests with predictable memory from one QEMU to\n"
           "another, and proves that every byte of their memory arrives.\n\nCommands:\n");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    printf(
        "\nOptions:\n  --help     show this help and exit; `godwit COMMAND --help` describes a "
        "command\n"
        "  --version  print the version and exit\n\n"
        "Exit status: 0 if nothing failed, 1 if a scenario failed, 2 after a usage or environment\n"
        "error or if nothing ran, 128 + N after signal N (SIGINT, SIGTERM or SIGHUP). Skips are\n"
        "not failures. A known bug of QEMU is a failure only if it loses the guest; see\n"
        "--accept-known and --strict.\n\n"
        "First steps:\n"
        "  godwit doctor                         what this host and its QEMUs can run\n"
        "  godwit run --quick                    a first answer, about ten seconds per "
        "architecture\n"
        "  godwit run 'precopy/*' --arch x86_64  one family of scenarios, on one architecture\n\n"
        "Documents: man godwit; README.md, which packages install into /usr/share/doc/godwit\n");
}

static int dispatch(struct godwit_process *process, int argc, char **argv, GError **error)
{
    if (argc < 2) {
        g_set_error(
            error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
            "no command given; try `godwit doctor` (what can run here), `godwit run --quick` (a "
            "first answer in about ten seconds per architecture) or `godwit --help`");
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help();
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("godwit " GODWIT_VERSION "\n");
        return 0;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) != 0)
            continue;
        if (!godwit_scenario_check_all(error))
            return 2;
        int status = 0;
        g_autofree char *name = g_strdup_printf("godwit %s", commands[i].name);
        g_set_prgname(name);
        g_autoptr(GError) cause = NULL;
        if (!commands[i].command(process, argc - 1, argv + 1, &status, &cause)) {
            if (!cause)
                godwit_fail(&cause, GODWIT_ERROR_ENVIRONMENT,
                            "%s failed without a reason: a defect of Godwit", name);
            status = cause->domain == GODWIT_ERROR && cause->code != GODWIT_ERROR_USAGE &&
                             cause->code != GODWIT_ERROR_ENVIRONMENT
                         ? 1
                         : 2;
            g_propagate_error(error, g_steal_pointer(&cause));
        }
        return status;
    }
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                "unknown command \"%s\" (try `godwit --help`)", argv[1]);
    return 2;
}

/* Returns whether the word behind OPTION is its value even if it looks like an option: arguments of
 * QEMU do. */
static bool takes_dashes(const char *option)
{
    return !strcmp(option, "--src-args") || !strcmp(option, "--dst-args");
}

/*
 * Splits each short option with an attached value into two words, because GLib accepts "-j 2" but
 * not "-j2". Every short option but -h takes a value. The caller frees the result.
 */
static GPtrArray *split_short_options(int argc, char **argv)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        options = options && strcmp(word, "--") != 0;
        const bool value = i > 0 && takes_dashes(argv[i - 1]);
        if (options && !value && word[0] == '-' && g_ascii_isalpha(word[1]) && word[1] != 'h' &&
            word[2]) {
            g_ptr_array_add(words, g_strndup(word, 2));
            word += 2;
        }
        g_ptr_array_add(words, g_strdup(word));
    }
    g_ptr_array_add(words, NULL);
    return words;
}

/* Exit statuses for `git bisect run`: this revision cannot be judged, and no revision can. */
enum { GODWIT_BISECT_SKIP = 125, GODWIT_BISECT_ABORT = 255 };

/* Returns whether the command line is `godwit run` with --bisect. Looks at the words, because the
 * status counts also if the rest of them cannot be parsed. */
static bool wants_bisect(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "run") != 0)
        return false;
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--bisect"))
            return true;
    return false;
}

/* Opens /dev/null in place of each missing standard descriptor, so that no pipe or log gets its
 * number. */
static void open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(2);
}

int main(int argc, char **argv)
{
    open_standard();
    setlocale(LC_ALL, "");
    /* A reader that exits early (`godwit run | head`) must cause a write error, reported once, and
     * not a death that skips the cleanup. */
    signal(SIGPIPE, SIG_IGN);
    /* Likewise, a file that exceeds the size limit (ulimit -f) must cause a write error. */
    signal(SIGXFSZ, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "worker"))
        return godwit_worker_main(argv[2]);
    if (argc > 1 && !strcmp(argv[1], "remote"))
        return godwit_remote_main(argv + 2);
    if (argc > 1 && !strcmp(argv[1], "complete"))
        return godwit_complete(argv + 2);

    struct godwit_process process = {0};
    godwit_process_unblock();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) words = split_short_options(argc, argv);
    /* Parsing removes words from the vector that it is given. */
    g_autofree char **vector = g_memdup2(words->pdata, words->len * sizeof(char *));
    const bool bisects = wants_bisect((int)words->len - 1, vector);
    int status = dispatch(&process, (int)words->len - 1, vector, &error);
    const bool begun = process.folder != NULL;
    g_autoptr(GError) lost = NULL;
    if (!godwit_process_end(&process, &lost) && !process.signal) {
        g_clear_error(&error);
        g_propagate_error(&error, g_steal_pointer(&lost));
        status = 2;
    }
    if (process.signal)
        return 128 + process.signal;
    if (!error && (fflush(stdout) || ferror(stdout))) {
        g_set_error(&error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "cannot write to standard output: %s", g_strerror(errno));
        status = 2;
    }
    if (error)
        godwit_text_complain("%s", error->message);
    /* 2 would tell `git bisect run` that the revision is bad. */
    if (bisects && status == 2)
        return begun ? GODWIT_BISECT_SKIP : GODWIT_BISECT_ABORT;
    return status;
}
