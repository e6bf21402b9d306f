/*
 * A QEMU that misbehaves, for tests of what the harness does about it. It speaks just enough QMP on
 * descriptor 3, and plays the guest's console on descriptor 4, to get as far as the place where it
 * goes wrong. Which place that is its own name says: link to it as `fake-qemu-BEHAVIOUR`.
 *
 * When it has gone wrong and stays, it writes its pid and a newline to the FIFO or file named by
 * $FAKE_QEMU_TELL, if there is one, so that nobody has to guess how far it is.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { QMP_FD = 3, CONSOLE_FD = 4 };

#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 1, \"minor\": 2, \"micro\": 3}, "              \
    "\"package\": \"fake\"}, \"capabilities\": []}}\n"

/* Words with which it tries to be taken for something else: by a terminal, by readers of TAP, XML
 * and YAML, and by a shell that a line of the report is pasted into. */
#define HOSTILE                                                                                    \
    "\x1b[31m\x1b]0;title\x07 error <b a='1'>&amp; ]]> # SKIP it # TODO it\r"                      \
    "\xc2\x9b\x33\x31m \xe2\x80\xae\xe2\x81\xa6 \xe2\x80\xa8ok 96\xe2\x80\xa9ok 97\xc2\x85ok 98 "  \
    "\x7f"                                                                                         \
    "\n  ...\nok 99 - forged\nnot ok 100 - forged\n1..1\npragma +strict\n---\nBail out! forged\n"  \
    "`touch pwned` $(touch pwned) ; touch pwned ' \" ; touch pwned \\"
/* What no JSON can have. */
#define RAW   "\xff\xc3\x28\xed\xa0\x80 "
#define EVENT "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RTC_CHANGE\"}\n"

/* What is wrong with it; nothing where a member is NULL or false. */
struct behaviour {
    const char *name;
    const char *says;       /* in place of the greeting */
    bool endlessly;         /* says it again and again, without an end of line */
    bool silent;            /* does not even greet */
    bool dies;              /* at once ... */
    bool dies_with_machine; /* ... or as soon as it has a guest to run */
    bool deaf;              /* takes no notice of SIGINT, SIGTERM, SIGHUP */
    bool stays;             /* does not quit when it is asked to */
    const char *arch;       /* other than x86_64 */
    const char *machine;    /* machine type it has, other than q35 */
    const char *usual;      /* its only machine type, with no alias, which is its default */
    const char *console;    /* what the guest writes, other than "AB" */
    const char *stops_at;   /* QMP command that it does not answer any more ... */
    const char *dies_after; /* ... or after which, answered, it crashes if it has a guest ... */
    const char *floods_at;  /* ... or at which it floods ... */
    int floods;             /* ... this descriptor ... */
    const char *flood;      /* ... with this ... */
    const char *crashes_at; /* ... or at which it crashes ... */
    const char *garbage_at; /* ... or that it answers with garbage ... */
    const char *stray_at;   /* ... or with an answer to something else ... */
    const char *refuses_at; /* ... or that it refuses */
    bool poor;              /* knows no migration parameters: what sets one is skipped */
    bool hostile;           /* says all this, and its version and machine, in HOSTILE words */
};

static const struct behaviour behaviours[] = {
    /* It is no usable QEMU. */
    {"dies", .dies = true},
    {"silent", .silent = true},
    {"mute", .stops_at = "qmp_capabilities"},
    {"garbage", .says = "Hello, I am \"no\" QEMU\n"},
    {"no-greeting", .says = "{\"hello\": \"world\"}\n"},
    {"endless", .endlessly = true},
    {"stray", .stray_at = "query-version"},
    {"stays", .deaf = true, .stays = true},
    {"vax", .arch = "vax"},
    {"no-machine", .machine = "microvm"},
    {"large-pages", .refuses_at = "migrate-set-parameters"},
    {"microvm", .usual = "microvm"},
    /* It is one, until a scenario runs. */
    {"no-start", .dies_with_machine = true},
    {"rhel", .usual = "pc-q35-rhel9.4.0", .crashes_at = "migrate"},
    {"newer-rhel", .usual = "pc-q35-rhel9.6.0", .crashes_at = "migrate"},
    {"hangs", .deaf = true, .stops_at = "migrate"},
    {"crashes", .crashes_at = "migrate"},
    {"dies-early", .dies_after = "qmp_capabilities"},
    {"floods-events", .floods_at = "migrate", .floods = QMP_FD, .flood = EVENT},
    {"floods-stderr", .floods_at = "migrate", .floods = STDERR_FILENO, .flood = "x"},
    {"floods-console", .floods_at = "migrate", .floods = CONSOLE_FD, .flood = "B"},
    {"crashes-riscv64", .arch = "riscv64", .machine = "virt", .crashes_at = "migrate"},
    {"babbles", .garbage_at = "migrate"},
    {"poor", .poor = true},
    {"silent-guest", .console = ""},
    {"stuck-guest", .console = "A"},
    {"noisy-guest", .console = "ABZ"},
    {"restarting-guest", .console = "ABA"},
    {"faulty-guest", .console = "ABX"},
    /* Its words are not to be taken for anything but words. */
    {"hostile-dies", .hostile = true, .dies = true},
    {"hostile-garbage", .hostile = true, .garbage_at = "query-version"},
    {"hostile-babbles", .hostile = true, .garbage_at = "migrate"},
    {"hostile-crashes", .hostile = true, .crashes_at = "migrate"},
    {"hostile-refuses", .hostile = true, .refuses_at = "migrate"},
    {"hostile-guest", .hostile = true, .console = "AB" RAW HOSTILE},
};

static void send_text(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        const ssize_t n = write(fd, text, left);
        if (n < 0)
            exit(0); /* the harness is gone */
        text += n;
        left -= (size_t)n;
    }
}

/* Takes JSON over. */
static void send_json(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    send_text(QMP_FD, text);
    send_text(QMP_FD, "\n");
    free(text);
    json_decref(json);
}

/* Says that this is as far as it goes. */
static void tell(void)
{
    const char *path = getenv("FAKE_QEMU_TELL");
    const int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    char line[32];
    snprintf(line, sizeof(line), "%d\n", (int)getpid());
    send_text(fd, line);
    close(fd);
}

static void __attribute__((noreturn)) stay(void)
{
    tell();
    for (;;)
        pause();
}

/* Writes TEXT again and again, until the harness ends it. */
static void __attribute__((noreturn)) flood(int fd, const char *text)
{
    char block[65536];
    size_t length = 0;
    for (const size_t one = strlen(text); length + one < sizeof(block); length += one)
        memcpy(block + length, text, one);
    block[length] = '\0';
    signal(SIGPIPE, SIG_IGN);
    for (;;)
        if (write(fd, block, length) < 0)
            stay();
}

static void __attribute__((noreturn)) crash(const struct behaviour *behaviour)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    fputs(behaviour->hostile ? RAW HOSTILE "\n" : "fake-qemu: this will hurt\n", stderr);
    signal(SIGSEGV, SIG_DFL); /* a sanitizer may have taken it */
    raise(SIGSEGV);
    abort();
}

static const struct behaviour *find_behaviour(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    const size_t prefix = strlen("fake-qemu-");
    for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
        if (!strncmp(name, "fake-qemu-", prefix) && !strcmp(name + prefix, behaviours[i].name))
            return &behaviours[i];
    fprintf(stderr, "fake-qemu: link to it as fake-qemu-BEHAVIOUR; there are:");
    for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
        fprintf(stderr, " %s", behaviours[i].name);
    fputc('\n', stderr);
    exit(2);
}

static bool is(const char *command, const char *place)
{
    return place && !strcmp(command, place);
}

/* What a QEMU in order returns; NULL for what is not known here. The caller's. */
static json_t *good_answer(const struct behaviour *behaviour, const char *command)
{
    static const char *const plain[] = {
        "qmp_capabilities", "quit",   "cont", "migrate-set-parameters", "migrate-set-capabilities",
        "migrate-incoming", "migrate"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (!strcmp(plain[i], command))
            return json_object();
    if (!strcmp(command, "query-version"))
        return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", 1, "minor", 2, "micro", 3,
                         "package", behaviour->hostile ? HOSTILE : "fake");
    if (!strcmp(command, "query-target"))
        return json_pack("{s:s}", "arch", behaviour->arch ? behaviour->arch : "x86_64");
    if (!strcmp(command, "query-machines") && behaviour->usual)
        return json_pack("[{s:s}, {s:s, s:b}]", "name", "none", "name", behaviour->usual,
                         "is-default", 1);
    if (!strcmp(command, "query-machines"))
        return json_pack("[{s:s, s:s}, {s:s}]", "name",
                         behaviour->hostile ? "pc-fake-1.2" HOSTILE : "pc-fake-1.2", "alias",
                         behaviour->machine ? behaviour->machine : "q35", "name", "none");
    if (!strcmp(command, "query-migrate-capabilities"))
        return json_pack("[{s:s, s:b}, {s:s, s:b}]", "capability", "events", "state", 0,
                         "capability", "postcopy-ram", "state", 0);
    if (!strcmp(command, "query-qmp-schema") && behaviour->poor)
        return json_array();
    if (!strcmp(command, "query-qmp-schema"))
        return json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}]",
                         "name", "migrate-set-parameters", "meta-type", "command", "arg-type", "1",
                         "name", "1", "meta-type", "object", "members", "name", "max-bandwidth",
                         "type", "int", "name", "downtime-limit", "type", "int", "name",
                         "xbzrle-cache-size", "type", "int");
    return NULL;
}

static void answer(const struct behaviour *behaviour, const json_t *message)
{
    const char *command = json_string_value(json_object_get(message, "execute"));
    const json_int_t id = json_integer_value(json_object_get(message, "id"));
    if (!command)
        exit(1);
    if (is(command, behaviour->stops_at))
        stay();
    if (is(command, behaviour->crashes_at))
        crash(behaviour);
    if (is(command, behaviour->floods_at))
        flood(behaviour->floods, behaviour->flood);
    if (is(command, behaviour->garbage_at)) {
        send_text(QMP_FD, behaviour->hostile ? RAW HOSTILE "\n" : "}} not \x1b[31mJSON {{\n");
        stay();
    }
    if (is(command, behaviour->refuses_at)) {
        send_json(
            json_pack("{s:{s:s, s:s}, s:I}", "error", "class", HOSTILE, "desc", HOSTILE, "id", id));
        return;
    }
    if (is(command, behaviour->stray_at)) {
        send_json(json_pack("{s:{}, s:I}", "return", "id", id + 1000));
        stay();
    }
    json_t *value = good_answer(behaviour, command);
    send_json(value ? json_pack("{s:o, s:I}", "return", value, "id", id)
                    : json_pack("{s:{s:s, s:s}, s:I}", "error", "class", "CommandNotFound", "desc",
                                "a fake has no such command", "id", id));
    if (!strcmp(command, "quit")) {
        if (behaviour->stays)
            stay();
        exit(0);
    }
}

/* Answers one object a line, for as long as there is somebody to answer. The guest speaks once it
 * is told to run. */
static void __attribute__((noreturn)) serve(const struct behaviour *behaviour, bool guest)
{
    FILE *in = fdopen(QMP_FD, "r");
    char *line = NULL;
    size_t size = 0;
    while (in && getline(&line, &size, in) > 0) {
        json_t *message = json_loads(line, 0, NULL);
        answer(behaviour, message);
        const bool runs = is("cont", json_string_value(json_object_get(message, "execute")));
        json_decref(message);
        if (guest && behaviour->dies_after)
            crash(behaviour);
        if (!guest || !runs)
            continue;
        send_text(CONSOLE_FD, behaviour->console ? behaviour->console : "AB");
        if (behaviour->console)
            tell();
    }
    free(line);
    exit(0);
}

/* The argument of the command line that follows OPTION, or NULL. */
static const char *argument_of(char **argv, const char *option)
{
    for (int i = 1; argv[i]; i++)
        if (!strcmp(argv[i], option))
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    const struct behaviour *behaviour = find_behaviour(argv[0]);
    const char *machine = argument_of(argv, "-machine");
    const bool has_machine = machine && strcmp(machine, "none") != 0;
    /* The guest of a destination does not run yet. */
    const bool guest = has_machine && !argument_of(argv, "-incoming");
    if (behaviour->deaf) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
    }
    if (behaviour->dies || (behaviour->dies_with_machine && has_machine)) {
        fprintf(stderr, "%s: %s\n", argv[0],
                behaviour->hostile ? RAW HOSTILE : "there is no libfake.so");
        return 3;
    }
    if (behaviour->silent)
        stay();
    while (behaviour->endlessly) {
        char block[65536];
        memset(block, '{', sizeof(block) - 1);
        block[sizeof(block) - 1] = '\0';
        send_text(QMP_FD, block);
    }
    send_text(QMP_FD, behaviour->says ? behaviour->says : GREETING);
    serve(behaviour, guest);
}
