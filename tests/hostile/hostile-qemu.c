/*
 * A QEMU that attacks whoever runs it. It is a real QEMU with a man in the middle of its monitor
 * and its console: everything goes as it should, up to the place where this one misbehaves. Which
 * place and how, its own name says: link to it as `hostile-qemu-BEHAVIOUR`. `hostile-qemu --list`
 * prints the table, one line each: name, whether the migration really happens (really, never),
 * whether it misbehaves already when it is asked what it can do (probed, started).
 *
 * The program that is started executes the real QEMU ($HOSTILE_QEMU_REAL), so that the pid is the
 * real one's. Its child is the man in the middle: it holds the harness's ends of descriptor 3 (QMP)
 * and 4 (console). Only a behaviour that ends with an exit status of its own stays the parent.
 *
 * Whatever it writes is bounded, except for what floods until somebody ends it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QMP_FD = 3, CONSOLE_FD = 4 };

#define MIB ((size_t)1 << 20)

/* Which of the processes of a test misbehave. */
enum { PROBE = 1, SOURCE = 2, DESTINATION = 4, OTHER = 8, BOTH = SOURCE | DESTINATION, ALL = 15 };

/* What happens at the place. */
enum how {
    SAY,       /* the text is sent in place of what was due */
    SAY_FIRST, /* the text is sent, then what was due */
    SAY_LAST,  /* the text is sent, and then nothing any more */
    RETURN,    /* the text is the value that the command returns */
    ERROR,     /* the text is the error with which the command is refused */
    EXIT,      /* number: exit status */
    KILL,      /* number: the signal that the real QEMU gets */
    HANG,      /* nothing is sent any more */
    CLOSE,     /* the monitor is closed, the process lives on */
    FLOOD,     /* the text is sent for ever */
    LONG,      /* one answer of as many MiB as the number says */
    OTHER_ID,  /* the answer bears another id */
    TEXT_ID,   /* ... or its id as a string */
    NO_ID,     /* ... or none */
    TWICE,     /* the answer comes twice */
    STDERR,    /* the text goes to standard error, as many times as the number says; 0: for ever */
    CONSOLE,   /* the same to the guest's console */
    COMPLETE,  /* nothing is migrated, but everything is said to be */
    ACT,       /* the function is called */
};

struct behaviour {
    const char *name;
    int roles;
    const char *at; /* a command, "hmp:" and the start of a line, "greeting", or "start" */
    enum how how;
    const char *text;
    int number;
    void (*act)(void);
    bool really; /* the migration really happens, so that it may pass */
};

static pid_t real; /* the real QEMU */

/* --- What is done to the working directory. --- */

static void replace(const char *name)
{
    char away[64];
    snprintf(away, sizeof(away), "%s.away", name);
    rename(name, away);
}

static void fifo_as_stderr(void)
{
    for (const char *const *name =
             (const char *const[]){"probe.stderr", "source.stderr", "destination.stderr", NULL};
         *name; name++) {
        replace(*name);
        mkfifo(*name, 0600);
    }
}

static void endless_stderr(void)
{
    for (const char *const *name =
             (const char *const[]){"probe.stderr", "source.stderr", "destination.stderr", NULL};
         *name; name++) {
        replace(*name);
        symlink("/dev/zero", *name);
    }
}

static void folder_as_stderr(void)
{
    replace("source.stderr");
    mkdir("source.stderr", 0700);
    replace("probe.stderr");
    mkdir("probe.stderr", 0700);
}

static void fifo_as_transcript(void)
{
    replace("source.qmp");
    mkfifo("source.qmp", 0600);
    replace("source.serial");
    mkfifo("source.serial", 0600);
}

/* The place outside, where nothing may be written, is named by the test. */
static void links_outside(void)
{
    const char *outside = getenv("HOSTILE_QEMU_OUTSIDE");
    static const char *const names[] = {"result.json", "report.txt", "worker.log", "job.json"};
    for (size_t i = 0; outside && i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(names[i]);
        symlink(outside, names[i]);
    }
}

static void fifos_as_results(void)
{
    static const char *const names[] = {"result.json", "report.txt", "worker.log", "core"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(names[i]);
        mkfifo(names[i], 0600);
    }
}

static void folders_as_results(void)
{
    static const char *const names[] = {"result.json", "report.txt", "core"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(names[i]);
        mkdir(names[i], 0700);
    }
}

static void no_access(void)
{
    chmod(".", 0);
}

static void remove_folder(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", ".", "./", NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    char here[4096];
    const pid_t second = getcwd(here, sizeof(here)) ? fork() : -1;
    if (second == 0) {
        execlp("rm", "rm", "-rf", here, NULL);
        _exit(1);
    }
    if (second > 0)
        waitpid(second, NULL, 0);
}

static void deep_folders(void)
{
    const int here = open(".", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 300 && !mkdir("deeper-and-deeper", 0700) && !chdir("deeper-and-deeper");
         i++)
        ;
    if (fchdir(here))
        _exit(1);
    close(here);
}

static void odd_names(void)
{
    static const char *const names[] = {"new\nline", "\x1b[31mred", "\xff\xfe", "-rf", "a b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        mkdir(names[i], 0700);
        mkfifo("fifo", 0600);
    }
    mkdir("sealed", 0700);
    close(open("sealed/file", O_CREAT | O_WRONLY, 0000));
    chmod("sealed", 0000);
}

/* --- What is done with processes. --- */

static void __attribute__((noreturn)) idle(void)
{
    for (;;)
        pause();
}

/* A child that outlives its parent and holds every descriptor open. */
static void child_that_holds(void)
{
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        idle();
    }
}

static void child_in_session(void)
{
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        setsid();
        if (fork())
            _exit(0);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        idle();
    }
}

static void kill_worker(void)
{
    char path[64], text[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)real);
    const int fd = open(path, O_RDONLY);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
        const char *after = strrchr(text, ')');
        int parent = 0;
        /* Only a process that says that it is a worker: never anybody else's. */
        if (after && sscanf(after, ") %*c %d", &parent) == 1 && parent > 1) {
            char line[512] = "";
            snprintf(path, sizeof(path), "/proc/%d/cmdline", parent);
            const int words = open(path, O_RDONLY);
            const ssize_t n = words >= 0 ? read(words, line, sizeof(line)) : 0;
            if (n > 0 && memmem(line, (size_t)n, "\0worker\0", 8))
                kill(parent, SIGKILL);
            close(words);
        }
    }
    if (fd >= 0)
        close(fd);
}

static void ignore_signals(void)
{
    for (int signum = 1; signum < 32; signum++)
        if (signum != SIGKILL && signum != SIGSTOP && signum != SIGCHLD)
            signal(signum, SIG_IGN);
}

static void deaf_and_silent(void)
{
    ignore_signals();
    idle();
}

static void stop_itself(void)
{
    raise(SIGSTOP);
    idle();
}

static void close_and_live(void)
{
    close(QMP_FD);
    close(CONSOLE_FD);
    idle();
}

static void run_as_child(void)
{
    /* A wrapper without exec: the real one is its child; see main. */
}

/* --- The table. --- */

#define ESC "\x1b[31m\x1b]0;owned\x07\x1b[2J\r\b"
#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 9}, "              \
    "\"package\": \"\"}, \"capabilities\": []}}\n"
#define EVENT(status)                                                                              \
    "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"MIGRATION\", "            \
    "\"data\": {\"status\": \"" status "\"}}\n"
#define DEEP10   "[[[[[[[[[["
#define DEEP100  DEEP10 DEEP10 DEEP10 DEEP10 DEEP10 DEEP10 DEEP10 DEEP10 DEEP10 DEEP10
#define DEEP1000 DEEP100 DEEP100 DEEP100 DEEP100 DEEP100 DEEP100 DEEP100 DEEP100 DEEP100 DEEP100
#define HUGE     "123456789012345678901234567890123456789012345678901234567890"

static const struct behaviour behaviours[] = {
    /* How it starts. */
    {"start-exit-0", ALL, "start", .how = EXIT, .number = 0},
    {"start-exit-1", ALL, "start", .how = EXIT, .number = 1},
    {"start-exit-2", ALL, "start", .how = EXIT, .number = 2},
    {"start-sigkill", ALL, "start", .how = KILL, .number = SIGKILL},
    {"start-sigsegv", ALL, "start", .how = KILL, .number = SIGSEGV},
    {"start-sigabrt", ALL, "start", .how = KILL, .number = SIGABRT},
    {"start-sigterm", ALL, "start", .how = KILL, .number = SIGTERM},
    {"start-sigpipe", ALL, "start", .how = KILL, .number = SIGPIPE},
    {"start-escapes", ALL, "start", .how = STDERR, .text = ESC "cannot start\xff\xfe\n",
     .number = 1},
    {"start-stops", ALL, "start", .how = ACT, .act = stop_itself},
    {"start-silent", ALL, "start", .how = ACT, .act = idle},
    {"start-deaf", ALL, "start", .how = ACT, .act = deaf_and_silent},
    {"start-closes", ALL, "start", .how = ACT, .act = close_and_live},
    {"start-stderr-flood", ALL, "start", .how = STDERR, .text = "no end of complaints\n",
     .number = 0},
    {"start-stderr-line", ALL, "start", .how = STDERR, .text = "no end of a line ", .number = 0},
    {"wrapper", ALL, "start", .how = ACT, .act = run_as_child, .really = true},
    {"holder", ALL, "greeting", .how = ACT, .act = child_that_holds, .really = true},
    {"session", ALL, "greeting", .how = ACT, .act = child_in_session, .really = true},
    /* Its greeting. */
    {"greeting-none", ALL, "greeting", .how = HANG},
    {"greeting-garbage", ALL, "greeting", .how = SAY, .text = "Hello " ESC "\n"},
    {"greeting-half", ALL, "greeting", .how = SAY, .text = "{\"QMP\": {\"version\""},
    {"greeting-then-silence", ALL, "greeting", .how = SAY_LAST, .text = GREETING},
    {"greeting-array", ALL, "greeting", .how = SAY, .text = "[1, 2, 3]\n"},
    {"greeting-null", ALL, "greeting", .how = SAY, .text = "{\"QMP\": null}\n"},
    {"greeting-utf8", ALL, "greeting", .how = SAY,
     .text = "{\"QMP\": {\"version\": \"\xff\xfe\xc0\"}}\n"},
    {"greeting-deep", ALL, "greeting", .how = SAY,
     .text = "{\"QMP\": " DEEP1000 DEEP1000 DEEP1000 "\n"},
    {"greeting-huge-number", ALL, "greeting", .how = SAY,
     .text = "{\"QMP\": {\"n\": " HUGE HUGE "e" HUGE "}}\n"},
    {"greeting-long", ALL, "greeting", .how = LONG, .number = 100},
    {"greeting-endless", ALL, "greeting", .how = FLOOD, .text = "{{{{{{{{"},
    {"greeting-blank-lines", ALL, "greeting", .how = FLOOD, .text = "\n"},
    {"greeting-event-flood", ALL, "greeting", .how = FLOOD, .text = EVENT("active")},
    {"greeting-twice", ALL, "greeting", .how = TWICE},
    {"greeting-answer", ALL, "greeting", .how = SAY, .text = "{\"return\": {}, \"id\": 1}\n"},
    {"greeting-close", ALL, "greeting", .how = CLOSE},
    /* How it answers. */
    {"answer-garbage", ALL, "qmp_capabilities", .how = SAY, .text = "}} not " ESC "JSON {{\n"},
    {"answer-none", ALL, "qmp_capabilities", .how = HANG},
    {"answer-other-id", ALL, "qmp_capabilities", .how = OTHER_ID},
    {"answer-text-id", ALL, "qmp_capabilities", .how = TEXT_ID},
    {"answer-no-id", ALL, "qmp_capabilities", .how = NO_ID},
    {"answer-twice", ALL, "qmp_capabilities", .how = TWICE},
    {"answer-neither", ALL, "qmp_capabilities", .how = SAY, .text = "{\"id\": 1}\n"},
    {"answer-error-number", ALL, "qmp_capabilities", .how = ERROR, .text = "5"},
    {"answer-error-desc", ALL, "query-version", .how = ERROR,
     .text = "{\"class\": 7, \"desc\": [\"x\"]}"},
    {"answer-error-escapes", ALL, "query-version", .how = ERROR,
     .text = "{\"class\": \"\\u001b[2J\", \"desc\": \"\\u001b[31mred\\r\\n1..0\\nnot ok 1\"}"},
    {"answer-sigsegv", ALL, "query-version", .how = KILL, .number = SIGSEGV},
    {"answer-sigkill", ALL, "query-machines", .how = KILL, .number = SIGKILL},
    {"answer-close", ALL, "query-version", .how = CLOSE},
    {"answer-exit-0", ALL, "query-target", .how = EXIT, .number = 0},
    {"answer-exit-1", ALL, "query-target", .how = EXIT, .number = 1},
    /* What it answers. */
    {"version-null", PROBE, "query-version", .how = RETURN, .text = "null", .really = true},
    {"version-array", PROBE, "query-version", .how = RETURN, .text = "[[], [], []]",
     .really = true},
    {"version-strings", PROBE, "query-version", .how = RETURN,
     .text = "{\"qemu\": {\"major\": \"7\", \"minor\": \"2\", \"micro\": \"0\"}, \"package\": 7}",
     .really = true},
    {"version-huge", PROBE, "query-version", .how = RETURN,
     .text = "{\"qemu\": {\"major\": 9223372036854775807, \"minor\": -1, \"micro\": 1e300}, "
             "\"package\": \"\"}",
     .really = true},
    {"version-lies", PROBE, "query-version", .how = RETURN,
     .text = "{\"qemu\": {\"major\": 99, \"minor\": 99, \"micro\": 99}, \"package\": \"lies\"}",
     .really = true},
    {"version-escapes", PROBE, "query-version", .how = RETURN,
     .text = "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, "
             "\"package\": \"\\u001b[31m\\u001b]0;x\\u0007\\r\\nnot ok 1 - x\\n1..1\"}",
     .really = true},
    {"target-null", PROBE, "query-target", .how = RETURN, .text = "null"},
    {"target-number", PROBE, "query-target", .how = RETURN, .text = "{\"arch\": 64}"},
    {"target-escapes", PROBE, "query-target", .how = RETURN,
     .text = "{\"arch\": \"\\u001b[31m\\nvax\"}"},
    {"machines-null", PROBE, "query-machines", .how = RETURN, .text = "null"},
    {"machines-object", PROBE, "query-machines", .how = RETURN, .text = "{\"name\": \"q35\"}"},
    {"machines-numbers", PROBE, "query-machines", .how = RETURN,
     .text = "[1, null, {\"name\": 5, \"alias\": []}]"},
    {"machines-escapes", PROBE, "query-machines", .how = RETURN,
     .text = "[{\"name\": \"pc-\\u001b[31m\\n1..0\", \"alias\": \"q35\"}]"},
    {"machines-long", PROBE, "query-machines", .how = LONG, .number = 20},
    {"capabilities-null", PROBE, "query-migrate-capabilities", .how = RETURN, .text = "null",
     .really = true},
    {"capabilities-numbers", PROBE, "query-migrate-capabilities", .how = RETURN,
     .text = "[{\"capability\": 5, \"state\": \"on\"}, 7, null, \"events\"]", .really = true},
    {"schema-null", PROBE, "query-qmp-schema", .how = RETURN, .text = "null"},
    {"schema-strings", PROBE, "query-qmp-schema", .how = RETURN,
     .text = "[\"a\", 5, null, {\"name\": 1}]"},
    {"schema-circle", PROBE, "query-qmp-schema", .how = RETURN,
     .text =
         "[{\"name\": \"migrate\", \"meta-type\": \"command\", \"arg-type\": \"1\"}, {\"name\": "
         "\"1\", "
         "\"meta-type\": \"object\", \"members\": [{\"name\": \"channels\", \"type\": \"1\"}]}, "
         "{\"name\": \"migrate-set-parameters\", \"meta-type\": \"command\", \"arg-type\": "
         "\"1\"}]"},
    {"schema-hang", PROBE, "query-qmp-schema", .how = HANG},
    {"quit-deaf", ALL, "quit", .how = HANG},
    {"quit-refuses", ALL, "quit", .how = ERROR,
     .text = "{\"class\": \"GenericError\", \"desc\": \"no\"}"},
    {"quit-sigsegv", ALL, "quit", .how = KILL, .number = SIGSEGV},
    {"quit-exit-3", ALL, "quit", .how = EXIT, .number = 3},
    /* The guest. */
    {"cont-exit-1", SOURCE, "cont", .how = EXIT, .number = 1},
    {"cont-sigkill", SOURCE, "cont", .how = KILL, .number = SIGKILL},
    {"cont-close", SOURCE, "cont", .how = CLOSE},
    {"cont-stop", SOURCE, "cont", .how = KILL, .number = SIGSTOP},
    {"cont-hang", SOURCE, "cont", .how = HANG},
    {"console-flood", SOURCE, "cont", .how = CONSOLE, .text = "BBBBBBBB", .number = 0},
    {"console-escapes", SOURCE, "cont", .how = CONSOLE, .text = ESC "1..0\nBail out!\n",
     .number = 1},
    {"console-nul", SOURCE, "cont", .how = CONSOLE, .text = NULL, .number = 1},
    {"cont-event-flood", SOURCE, "cont", .how = FLOOD, .text = EVENT("active")},
    {"cont-stderr-line", SOURCE, "cont", .how = STDERR, .text = "no end of a line ", .number = 0},
    {"destination-dies", DESTINATION, "migrate-incoming", .how = KILL, .number = SIGKILL},
    {"destination-refuses", DESTINATION, "migrate-incoming", .how = ERROR,
     .text = "{\"desc\": null}"},
    {"destination-cont-lies", DESTINATION, "cont", .how = RETURN, .text = "{}"},
    /* The migration. */
    {"migrate-exit-0", SOURCE, "migrate", .how = EXIT, .number = 0},
    {"migrate-exit-1", SOURCE, "migrate", .how = EXIT, .number = 1},
    {"migrate-exit-2", SOURCE, "migrate", .how = EXIT, .number = 2},
    {"migrate-sigkill", SOURCE, "migrate", .how = KILL, .number = SIGKILL},
    {"migrate-sigsegv", SOURCE, "migrate", .how = KILL, .number = SIGSEGV},
    {"migrate-sigabrt", SOURCE, "migrate", .how = KILL, .number = SIGABRT},
    {"migrate-sigterm", SOURCE, "migrate", .how = KILL, .number = SIGTERM},
    {"migrate-stops", SOURCE, "migrate", .how = KILL, .number = SIGSTOP},
    {"migrate-hangs", SOURCE, "migrate", .how = HANG},
    {"migrate-refuses", SOURCE, "migrate", .how = ERROR,
     .text = "{\"class\": \"GenericError\", \"desc\": \"\\u001b[2J]]>--><b>&\\u0000\\ud800\"}"},
    {"migrate-completes", SOURCE, "migrate", .how = COMPLETE},
    {"migrate-lies", SOURCE, "migrate", .how = RETURN, .text = "{}"},
    {"migrate-event-flood", SOURCE, "migrate", .how = FLOOD, .text = EVENT("active")},
    {"states-nonsense", SOURCE, "migrate", .how = SAY_FIRST,
     .text = EVENT("completed") EVENT("setup") EVENT("failed") EVENT("\\u001b[31m\\n1..0")
         EVENT("active"),
     .really = true},
    {"states-typeless", SOURCE, "migrate", .how = SAY_FIRST,
     .text =
         "{\"event\": \"MIGRATION\", \"data\": [1]}\n{\"event\": 5}\n{\"event\": "
         "\"MIGRATION_PASS\", "
         "\"data\": {\"pass\": \"many\"}}\n{\"event\": \"MIGRATION\", \"data\": {\"status\": 7}}\n",
     .really = true},
    {"result-null", SOURCE, "query-migrate", .how = RETURN, .text = "null", .really = true},
    {"result-strings", SOURCE, "query-migrate", .how = RETURN,
     .text = "{\"status\": 1, \"ram\": \"x\", \"downtime\": \"none\", \"total-time\": [1]}",
     .really = true},
    {"result-failed", SOURCE, "query-migrate", .how = RETURN,
     .text = "{\"status\": \"failed\", \"error-desc\": \"\\u001b[31mred\\n1..0\"}"},
    {"result-huge", SOURCE, "query-migrate", .how = RETURN,
     .text = "{\"status\": \"completed\", \"downtime\": " HUGE ", \"total-time\": -1, \"ram\": "
             "{\"total\": 1e308, \"transferred\": " HUGE
             ", \"dirty-sync-count\": -9223372036854775808}}",
     .really = true},
    {"status-null", BOTH, "query-status", .how = RETURN, .text = "null", .really = true},
    /* Its memory. */
    {"blocks-empty", BOTH, "hmp:info ramblock", .how = RETURN, .text = "\"\"", .really = true},
    {"blocks-number", BOTH, "hmp:info ramblock", .how = RETURN, .text = "5", .really = true},
    {"blocks-zero", BOTH, "hmp:info ramblock", .how = RETURN,
     .text = "\"Block Name PSize Offset Used Total\\r\\npc.ram 4 KiB 0x0 0x0 0x0\\r\\n\"",
     .really = true},
    {"blocks-huge", BOTH, "hmp:info ramblock", .how = RETURN,
     .text = "\"Block Name PSize Offset Used Total\\r\\npc.ram 4 KiB 0x0 0xffffffffffffffff "
             "0xffffffffffffffff\\r\\n\"",
     .really = true},
    {"blocks-overlap", BOTH, "hmp:info ramblock", .how = RETURN,
     .text = "\"Block Name PSize Offset Used Total\\r\\npc.ram 4 KiB 0x0 0x9600000 0x9600000\\r\\n"
             "pc.ram 4 KiB 0x1000 0x9600000 0x9600000\\r\\n\"",
     .really = true},
    {"mtree-empty", BOTH, "hmp:info mtree", .how = RETURN, .text = "\"\"", .really = true},
    {"mtree-huge", BOTH, "hmp:info mtree", .how = RETURN,
     .text = "\"FlatView #0\\r\\n AS \\\"memory\\\", root: system\\r\\n Root memory region: "
             "system\\r\\n  "
             "0000000000000000-ffffffffffffffff (prio 0, ram): pc.ram\\r\\n\\r\\n\"",
     .really = true},
    {"address-unmapped", BOTH, "hmp:gpa2hva", .how = RETURN,
     .text = "\"Host virtual address for 0x0 (pc.ram) is 0x1000\\r\\n\"", .really = true},
    {"address-kernel", BOTH, "hmp:gpa2hva", .how = RETURN,
     .text = "\"Host virtual address for 0x0 (pc.ram) is 0xffffffff81000000\\r\\n\"",
     .really = true},
    {"address-text", BOTH, "hmp:gpa2hva", .how = RETURN, .text = "\"\\u001b[31mnowhere\"",
     .really = true},
    {"address-null", BOTH, "hmp:gpa2hva", .how = RETURN, .text = "null", .really = true},
    {"registers-long", BOTH, "hmp:info registers", .how = LONG, .number = 20},
    /* Files. */
    {"stderr-fifo", ALL, "greeting", .how = ACT, .act = fifo_as_stderr, .really = true},
    {"stderr-endless", ALL, "greeting", .how = ACT, .act = endless_stderr, .really = true},
    {"stderr-folder", ALL, "greeting", .how = ACT, .act = folder_as_stderr, .really = true},
    {"stderr-fifo-exit-1", SOURCE, "cont", .how = EXIT, .number = 1, .act = fifo_as_stderr},
    {"stderr-endless-exit-1", SOURCE, "cont", .how = EXIT, .number = 1, .act = endless_stderr},
    {"transcript-fifo", SOURCE, "migrate", .how = EXIT, .number = 1, .act = fifo_as_transcript},
    {"results-outside", SOURCE, "migrate", .how = EXIT, .number = 1, .act = links_outside},
    {"results-fifo", SOURCE, "migrate", .how = EXIT, .number = 1, .act = fifos_as_results},
    {"results-folder", SOURCE, "migrate", .how = EXIT, .number = 1, .act = folders_as_results},
    {"results-fifo-lost", SOURCE, "migrate", .how = KILL, .number = SIGKILL, .act = kill_worker},
    {"folder-sealed", BOTH, "greeting", .how = ACT, .act = no_access, .really = true},
    {"folder-gone", BOTH, "migrate", .how = ACT, .act = remove_folder, .really = true},
    {"folder-deep", BOTH, "greeting", .how = ACT, .act = deep_folders, .really = true},
    {"folder-odd", BOTH, "greeting", .how = ACT, .act = odd_names, .really = true},
};

static const struct behaviour *behaviour;

/* --- Sending. --- */

static void send_bytes(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno != EINTR)
            idle(); /* nobody listens; whoever started this ends it */
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        }
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

/* Takes JSON over. */
static void send_json(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (text)
        send_text(QMP_FD, text);
    send_text(QMP_FD, "\n");
    free(text);
    json_decref(json);
}

/* Sends TEXT TIMES times, for ever if that is 0, in large pieces. */
static void repeat(int fd, const char *text, int times)
{
    if (!text) {
        send_bytes(fd, "\0\0\0\0", 4);
        return;
    }
    if (times) {
        for (; times > 0; times--)
            send_text(fd, text);
        return;
    }
    static char block[65536];
    size_t length = 0;
    while (length + strlen(text) < sizeof(block)) {
        memcpy(block + length, text, strlen(text));
        length += strlen(text);
    }
    for (;;)
        send_bytes(fd, block, length);
}

/* The same to standard error, which may be a file: at most 1 GiB, so that no disk is filled where
 * nobody ends it. */
static void complain(const char *text, int times)
{
    static char block[65536];
    if (times) {
        for (; times > 0; times--)
            fputs(text, stderr);
        return;
    }
    size_t length = 0;
    while (length + strlen(text) < sizeof(block)) {
        memcpy(block + length, text, strlen(text));
        length += strlen(text);
    }
    for (size_t sent = 0; sent < 1024 * MIB; sent += length)
        if (write(STDERR_FILENO, block, length) < 0)
            break;
}

/* One value of that many MiB, for the command of that id; as a greeting if that is 0. */
static void send_long(size_t mib, json_int_t id)
{
    static char block[65536];
    memset(block, 'x', sizeof(block));
    send_text(QMP_FD, id ? "{\"return\": \"" : "{\"QMP\": {\"package\": \"");
    for (size_t i = 0; i < mib * MIB / sizeof(block); i++)
        send_bytes(QMP_FD, block, sizeof(block));
    char end[64];
    snprintf(end, sizeof(end), "\", \"id\": %lld}\n", (long long)id);
    send_text(QMP_FD, id ? end : "\"}}\n");
}

static void send_raw_value(const char *member, const char *value, json_int_t id)
{
    send_text(QMP_FD, "{\"");
    send_text(QMP_FD, member);
    send_text(QMP_FD, "\": ");
    send_text(QMP_FD, value);
    char end[64];
    snprintf(end, sizeof(end), ", \"id\": %lld}\n", (long long)id);
    send_text(QMP_FD, end);
}

/* --- Misbehaving. --- */

static void __attribute__((noreturn)) die(int status)
{
    if (real)
        kill(real, SIGKILL);
    fprintf(stderr, "hostile-qemu: exit %d\n", status);
    exit(status);
}

static void strike(int signum)
{
    const struct rlimit no_core = {0, 0};
    if (behaviour->act)
        behaviour->act();
    if (real) {
        kill(real, signum);
        if (signum != SIGSTOP)
            idle();
        return;
    }
    setrlimit(RLIMIT_CORE, &no_core);
    signal(signum, SIG_DFL);
    raise(signum);
}

/* What can be done without regard to a command. True if what was due is not to be sent. */
static bool misbehave(json_int_t id)
{
    switch (behaviour->how) {
    case SAY_LAST:
        send_text(QMP_FD, behaviour->text);
        idle();
    case SAY:
        send_text(QMP_FD, behaviour->text);
        return true;
    case SAY_FIRST:
        send_text(QMP_FD, behaviour->text);
        return false;
    case EXIT:
        if (behaviour->act)
            behaviour->act();
        die(behaviour->number);
    case KILL:
        strike(behaviour->number);
        return true;
    case HANG:
        return true;
    case CLOSE:
        shutdown(QMP_FD, SHUT_RDWR);
        close(QMP_FD);
        idle();
    case FLOOD:
        repeat(QMP_FD, behaviour->text, 0);
        return true;
    case LONG:
        send_long((size_t)behaviour->number, id);
        return true;
    case STDERR:
        complain(behaviour->text, behaviour->number);
        return false;
    case CONSOLE:
        repeat(CONSOLE_FD, behaviour->text, behaviour->number);
        return false;
    case ACT:
        behaviour->act();
        return false;
    default:
        return false;
    }
}

/* Says that all went well with a migration that nobody has begun. */
static void complete(json_int_t id)
{
    send_text(QMP_FD, EVENT("setup"));
    send_json(json_pack("{s:{}, s:I}", "return", "id", id));
    send_text(QMP_FD, EVENT("active"));
    for (int pass = 1; pass < 5; pass++)
        send_json(json_pack("{s:s, s:{s:i}, s:{s:i, s:i}}", "event", "MIGRATION_PASS", "data",
                            "pass", pass, "timestamp", "seconds", 1, "microseconds", 2));
    send_text(QMP_FD, "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, "
                      "\"event\": \"STOP\"}\n" EVENT("completed"));
}

/* Whether a request is at the place where this one misbehaves. */
static bool at_place(const json_t *request)
{
    const char *command = json_string_value(json_object_get(request, "execute"));
    if (!command)
        return false;
    if (strncmp(behaviour->at, "hmp:", 4) != 0)
        return !strcmp(behaviour->at, command);
    const char *line =
        json_string_value(json_object_get(json_object_get(request, "arguments"), "command-line"));
    return line && !strncmp(line, behaviour->at + 4, strlen(behaviour->at + 4));
}

/* A request from the harness. True if the real QEMU gets it. */
static bool take_request(const json_t *request, json_int_t *changed)
{
    static bool complete_now;
    const char *command = json_string_value(json_object_get(request, "execute"));
    const json_int_t id = json_integer_value(json_object_get(request, "id"));
    if (complete_now && command && !strcmp(command, "query-migrate")) {
        send_raw_value("return",
                       "{\"status\": \"completed\", \"downtime\": 1, \"total-time\": 2, "
                       "\"ram\": {\"total\": 1, \"transferred\": 1, \"dirty-sync-count\": 4}}",
                       id);
        return false;
    }
    if (!at_place(request))
        return true;
    switch (behaviour->how) {
    case RETURN:
        send_raw_value("return", behaviour->text, id);
        return false;
    case ERROR:
        send_raw_value("error", behaviour->text, id);
        return false;
    case COMPLETE:
        complete_now = true;
        complete(id);
        return false;
    case OTHER_ID:
    case TEXT_ID:
    case NO_ID:
    case TWICE:
        *changed = id;
        return true;
    default:
        return !misbehave(id);
    }
}

/* A line from the real QEMU. CHANGED is the id of the answer that is not to go as it is. */
static void take_answer(const char *line, bool first, json_int_t changed)
{
    if (first && !strcmp(behaviour->at, "greeting")) {
        if (behaviour->how == TWICE)
            send_text(QMP_FD, line);
        else if (misbehave(0))
            return;
    }
    json_t *answer = changed ? json_loads(line, 0, NULL) : NULL;
    if (!answer || json_integer_value(json_object_get(answer, "id")) != changed) {
        json_decref(answer);
        send_text(QMP_FD, line);
        return;
    }
    if (behaviour->how == TWICE)
        send_text(QMP_FD, line);
    else if (behaviour->how == OTHER_ID)
        json_object_set_new(answer, "id", json_integer(changed + 1000));
    else if (behaviour->how == TEXT_ID)
        json_object_set_new(answer, "id", json_string("1"));
    else
        json_object_del(answer, "id");
    send_json(answer);
}

/* Reads what there is of FD behind what is in LINE, and gives the first line of it, or NULL if none
 * is complete. The caller's. */
struct input {
    char *bytes;
    size_t length;
    bool ended;
};

static void read_more(int fd, struct input *input)
{
    char buffer[65536];
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n <= 0) {
        input->ended = n == 0 || errno != EINTR;
        return;
    }
    input->bytes = realloc(input->bytes, input->length + (size_t)n);
    if (!input->bytes)
        abort();
    memcpy(input->bytes + input->length, buffer, (size_t)n);
    input->length += (size_t)n;
}

static char *next_line(struct input *input)
{
    const char *end = input->length ? memchr(input->bytes, '\n', input->length) : NULL;
    if (!end)
        return NULL;
    const size_t length = (size_t)(end - input->bytes) + 1;
    char *line = strndup(input->bytes, length);
    memmove(input->bytes, end + 1, input->length - length);
    input->length -= length;
    return line;
}

static void __attribute__((noreturn)) stand_between(int qmp, int console)
{
    struct input requests = {0}, answers = {0};
    bool first = true;
    json_int_t changed = 0;
    while (!answers.ended && !requests.ended) {
        struct pollfd fds[] = {{QMP_FD, POLLIN, 0}, {qmp, POLLIN, 0}, {console, POLLIN, 0}};
        if (poll(fds, console < 0 ? 2 : 3, -1) < 0)
            continue;
        if (fds[0].revents)
            read_more(QMP_FD, &requests);
        if (fds[1].revents)
            read_more(qmp, &answers);
        if (console >= 0 && fds[2].revents) {
            char buffer[4096];
            const ssize_t n = read(console, buffer, sizeof(buffer));
            if (n > 0)
                send_bytes(CONSOLE_FD, buffer, (size_t)n);
            else
                console = -1;
        }
        for (char *line; (line = next_line(&answers)); free(line)) {
            take_answer(line, first, changed);
            first = false;
        }
        for (char *line; (line = next_line(&requests)); free(line)) {
            json_t *request = json_loads(line, 0, NULL);
            if (take_request(request, &changed))
                send_text(qmp, line);
            json_decref(request);
        }
    }
    exit(0);
}

/* --- Starting. --- */

static const struct behaviour *find_behaviour(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    const size_t prefix = strlen("hostile-qemu-");
    for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
        if (!strncmp(name, "hostile-qemu-", prefix) && !strcmp(name + prefix, behaviours[i].name))
            return &behaviours[i];
    fprintf(stderr, "hostile-qemu: link to it as hostile-qemu-BEHAVIOUR; see --list\n");
    exit(2);
}

static void list(void)
{
    for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
        printf("%s %s %s\n", behaviours[i].name, behaviours[i].really ? "really" : "never",
               behaviours[i].roles & PROBE ? "probed" : "started");
}

/* The argument of the command line that follows OPTION, or NULL. */
static const char *argument_of(char **argv, const char *option)
{
    for (int i = 1; argv[i]; i++)
        if (!strcmp(argv[i], option))
            return argv[i + 1];
    return NULL;
}

static int role_of(char **argv)
{
    const char *machine = argument_of(argv, "-machine");
    const char *name = argument_of(argv, "-name");
    if (machine && !strcmp(machine, "none"))
        return PROBE;
    if (name && !strcmp(name, "source"))
        return SOURCE;
    return name && !strcmp(name, "destination") ? DESTINATION : OTHER;
}

static void __attribute__((noreturn)) be_real(char **argv)
{
    const char *path = getenv("HOSTILE_QEMU_REAL");
    if (path)
        execv(path, argv);
    fprintf(stderr, "hostile-qemu: HOSTILE_QEMU_REAL: %s\n", strerror(errno));
    exit(2);
}

/* A wrapper without exec. */
static void __attribute__((noreturn)) wrap(char **argv)
{
    const pid_t pid = fork();
    if (pid == 0)
        be_real(argv);
    close(QMP_FD);
    close(CONSOLE_FD);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/* Puts the real QEMU and the man in the middle in their places. */
static void __attribute__((noreturn)) pair(char **argv, bool guest)
{
    int qmp[2], console[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, qmp) ||
        (guest && socketpair(AF_UNIX, SOCK_STREAM, 0, console))) {
        perror("hostile-qemu: socketpair");
        exit(2);
    }
    const bool stays = behaviour->how == EXIT;
    const pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        perror("hostile-qemu: fork");
        exit(2);
    }
    const bool middle = (pid != 0) == stays;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    if (middle) {
        real = stays ? pid : parent;
        close(qmp[1]);
        if (guest)
            close(console[1]);
        signal(SIGPIPE, SIG_IGN);
        stand_between(qmp[0], console[0]);
    }
    dup2(qmp[1], QMP_FD);
    close(qmp[0]);
    close(qmp[1]);
    if (guest) {
        dup2(console[1], CONSOLE_FD);
        close(console[0]);
        close(console[1]);
    }
    be_real(argv);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list();
        return 0;
    }
    behaviour = find_behaviour(argv[0]);
    const int role = role_of(argv);
    if (!(behaviour->roles & role))
        be_real(argv);
    if (behaviour->act == run_as_child)
        wrap(argv);
    if (!strcmp(behaviour->at, "start")) {
        misbehave(0);
        return 1;
    }
    pair(argv, role != PROBE);
}
