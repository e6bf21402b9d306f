/* SPDX-License-Identifier: MIT */
#include "testbed/vm.h"

#include "base/contain.h"
#include "base/shell.h"
#include "base/text.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The descriptors that a QEMU gets, beside stdin, stdout and stderr. */
enum { QMP_FD = 3, CONSOLE_FD = 4 };

#define QMP_CHARDEV     "socket,id=qmp,fd=3"
#define CONSOLE_CHARDEV "socket,id=console,fd=4"

static char *file_of(const struct godwit_vm *vm, const char *suffix)
{
    g_autofree char *base = g_strconcat(vm->name, suffix, NULL);
    return g_build_filename(vm->rig->records, base, NULL);
}

static void add(GPtrArray *arguments, ...) G_GNUC_NULL_TERMINATED;
static void add(GPtrArray *arguments, ...)
{
    va_list list;
    va_start(list, arguments);
    for (const char *s; (s = va_arg(list, const char *));)
        g_ptr_array_add(arguments, g_strdup(s));
    va_end(list);
}

static struct godwit_vm *vm_new(struct godwit_rig *rig, const char *name,
                                const struct godwit_qemu *qemu)
{
    struct godwit_vm *vm = g_new0(struct godwit_vm, 1);
    vm->rig = rig;
    vm->name = g_strdup(name);
    vm->qemu = qemu;
    vm->pagemap = -1;
    vm->pmemsave = rig->setup->pmemsave;
    vm->cancel = g_cancellable_new();
    vm->arguments = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(rig->vms, vm);
    add(vm->arguments, qemu->path, "-nodefaults", "-no-user-config", "-display", "none", NULL);
    return vm;
}

/* For the child. */
struct child {
    pid_t parent; /* to notice that it is gone already */
    bool apart;   /* the child gets a network of its own */
};

/* Runs in the child between fork and exec: a QEMU must not outlive the process that started it,
 * however that one ends. */
static void in_child(gpointer data)
{
    const struct child *child = data;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    godwit_contain_enter();
    /* Godwit itself ignores it. */
    signal(SIGXFSZ, SIG_DFL);
    /* One that crashes leaves a core in its working directory, if the host allows it. */
    struct rlimit core;
    if (!getrlimit(RLIMIT_CORE, &core)) {
        core.rlim_cur = core.rlim_max;
        setrlimit(RLIMIT_CORE, &core);
    }
    if (getppid() != child->parent || (child->apart && unshare(CLONE_NEWNET)))
        _exit(127);
}

static void process_ended(GObject *object, GAsyncResult *result, gpointer data)
{
    static unsigned ended;
    g_autoptr(GError) error = NULL;
    struct godwit_vm *vm = data;
    vm->watched = false;
    if (!g_subprocess_wait_finish(G_SUBPROCESS(object), result, &error))
        return; /* cancelled: the vm is being freed, or the process is another vm's now */
    vm->exited = true;
    vm->wait_status = g_subprocess_get_status(vm->process);
    vm->exit_order = ended++;
    if (vm->errors)
        godwit_drain_now(vm->errors);
    if (vm->pagemap >= 0)
        close(vm->pagemap);
    vm->pagemap = -1;
}

void godwit_vm_watch(struct godwit_vm *vm)
{
    vm->watched = true;
    g_subprocess_wait_async(vm->process, vm->cancel, process_ended, vm);
}

/* Returns whether nobody is at the other end of a connection any more. */
static bool hung_up(const struct godwit_qmp *qmp)
{
    struct pollfd end = {.fd = qmp->fd, .events = POLLRDHUP};
    return qmp->fd < 0 || (poll(&end, 1, 0) > 0 && end.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* Returns whether the kernel says that the process is exiting (proc_pid_stat(5), state and flags),
 * or does not know it any more. A connection that its peer has seen closed is closed after that. */
static bool is_exiting(pid_t pid)
{
    enum { EXITING = 0x4, DUMPS_CORE = 0x200, SIGNALED = 0x400 }; /* PF_... of linux/sched.h */
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    char state;
    unsigned flags;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return true;
    const char *name_end = strrchr(text, ')');
    return name_end && sscanf(name_end, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2 &&
           (strchr("ZXx", state) || flags & (EXITING | DUMPS_CORE | SIGNALED));
}

/* Returns whether the process is writing a core. */
static bool dumps_core(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
    g_autofree char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "\nCoreDumping:\t1");
}

bool godwit_vm_dying(const struct godwit_vm *vm)
{
    return vm->watched && !vm->exited && !vm->may_exit &&
           (hung_up(vm->qmp) || is_exiting(godwit_vm_pid(vm)) || dumps_core(godwit_vm_pid(vm)));
}

/* Forks and executes vm->arguments with the descriptors above. */
static bool spawn(struct godwit_vm *vm, bool console, unsigned ready_allowed, GError **error)
{
    int qmp[2] = {-1, -1}, serial[2] = {-1, -1}, said[2] = {-1, -1};
    if (pipe2(said, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) ||
        (console && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial))) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "no pipe or socket pair for %s: %s", vm->name, g_strerror(errno));
        const int made[] = {said[0], said[1], qmp[0], qmp[1]};
        for (size_t i = 0; i < G_N_ELEMENTS(made); i++)
            if (made[i] >= 0)
                close(made[i]);
        return false;
    }
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_subprocess_launcher_set_cwd(launcher, vm->rig->directory);
    /* Its temporary files go with the folder, however it ends. */
    g_subprocess_launcher_setenv(launcher, "TMPDIR", vm->rig->directory, TRUE);
    g_subprocess_launcher_set_stdin_file_path(launcher, "/dev/null");
    g_subprocess_launcher_set_stdout_file_path(launcher, "/dev/null");
    g_subprocess_launcher_take_stderr_fd(launcher, said[1]);
    g_subprocess_launcher_take_fd(launcher, qmp[1], QMP_FD);
    if (console)
        g_subprocess_launcher_take_fd(launcher, serial[1], CONSOLE_FD);
    struct child child = {getpid(), vm->rig->apart};
    g_subprocess_launcher_set_child_setup(launcher, in_child, &child, NULL);

    g_autofree char *transcript = file_of(vm, ".qmp");
    vm->qmp = godwit_qmp_new(qmp[0], transcript, error);
    if (console) {
        g_autofree char *log = file_of(vm, ".serial");
        if (vm->qmp)
            vm->console = godwit_console_new(serial[0], log, ready_allowed, error);
        else
            close(serial[0]);
    }
    g_autofree char *err = file_of(vm, ".stderr");
    if (!vm->qmp || (console && !vm->console)) {
        close(said[0]);
        return false;
    }
    vm->errors = godwit_drain_new(said[0], err, GODWIT_STDERR_MAX, error);
    if (!vm->errors)
        return false;

    g_ptr_array_add(vm->arguments, NULL);
    g_autoptr(GError) cause = NULL;
    vm->process = g_subprocess_launcher_spawnv(
        launcher, (const char *const *)(void *)vm->arguments->pdata, &cause);
    if (!vm->process) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot start %s: %s",
                    vm->qemu->path, cause->message);
        return false;
    }
    vm->pid = godwit_vm_pid(vm);
    godwit_vm_watch(vm);
    return true;
}

static bool has(const char *const *arguments, const char *argument)
{
    return arguments && g_strv_contains(arguments, argument);
}

/* -machine, -accel (unless it is among the scenario's own ARGUMENTS), -cpu, -m and the image. */
static bool add_machine(struct godwit_vm *vm, const char *const *arguments, GError **error)
{
    const struct godwit_setup *setup = vm->rig->setup;
    const struct godwit_machine *machine = setup->machine;
    /* Without guest memory, cores are a tenth as large. */
    g_autoptr(GString) options = g_string_new(setup->type);
    g_string_append(options, ",dump-guest-core=off");
    if (machine->machine_options)
        g_string_append_printf(options, ",%s", machine->machine_options);
    if (machine->machine_options_tcg && !strcmp(setup->accel, "tcg"))
        g_string_append_printf(options, ",%s", machine->machine_options_tcg);
    g_autofree char *memory = g_strdup_printf("%u", setup->memory_mib);
    add(vm->arguments, "-machine", options->str, "-m", memory, NULL);
    if (!has(arguments, "-accel"))
        add(vm->arguments, "-accel", setup->accel, NULL);
    if (machine->cpu)
        add(vm->arguments, "-cpu", machine->cpu, NULL);
    if (setup->workload.cpus > 1) {
        g_autofree char *cpus = g_strdup_printf("%u", setup->workload.cpus);
        add(vm->arguments, "-smp", cpus, NULL);
    }
    for (size_t i = 0; machine->arguments && machine->arguments[i]; i++)
        add(vm->arguments, machine->arguments[i], NULL);

    g_autofree char *file = g_strconcat(vm->name, ".image", NULL);
    g_autofree char *path = g_build_filename(vm->rig->directory, file, NULL);
    if (!godwit_image_write(setup->image, machine->big_endian, &setup->workload, path, error))
        return false;
    switch (setup->image->load) {
    case GODWIT_LOAD_BIOS:
        add(vm->arguments, "-bios", file, NULL);
        break;
    case GODWIT_LOAD_KERNEL:
        add(vm->arguments, "-kernel", file, NULL);
        break;
    case GODWIT_LOAD_DISK: {
        g_autofree char *drive = g_strdup_printf("if=none,id=disk,format=raw,file=%s", file);
        add(vm->arguments, "-drive", drive, "-device", "ide-hd,drive=disk,secs=1,cyls=1,heads=1",
            NULL);
        break;
    }
    }
    return true;
}

struct godwit_vm *godwit_vm_prepare(struct godwit_rig *rig, const char *name,
                                    enum godwit_vm_role role, const char *const *arguments,
                                    GError **error)
{
    const bool source = role == GODWIT_VM_SOURCE;
    struct godwit_vm *vm =
        vm_new(rig, name, source != rig->turned ? rig->setup->source : rig->setup->destination);
    vm->source = source;
    if (!add_machine(vm, arguments, error))
        return NULL;
    add(vm->arguments, "-name", name, NULL);
    if (!source && !has(arguments, "-incoming"))
        add(vm->arguments, "-incoming", "defer", NULL);
    if (role != GODWIT_VM_DESTINATION)
        add(vm->arguments, "-S", NULL);
    add(vm->arguments, "-chardev", QMP_CHARDEV, "-qmp", "chardev:qmp", "-chardev", CONSOLE_CHARDEV,
        "-serial", "chardev:console", NULL);
    for (size_t i = 0; arguments && arguments[i]; i++)
        add(vm->arguments, arguments[i], NULL);
    return vm;
}

struct godwit_vm *godwit_vm_start(struct godwit_rig *rig, const char *name,
                                  enum godwit_vm_role role, const char *const *arguments,
                                  GError **error)
{
    struct godwit_vm *vm = godwit_vm_prepare(rig, name, role, arguments, error);
    return vm && spawn(vm, true, role == GODWIT_VM_SOURCE ? 1 : 0, error) ? vm : NULL;
}

struct godwit_vm *godwit_vm_start_bare(struct godwit_rig *rig, const struct godwit_qemu *qemu,
                                       GError **error)
{
    struct godwit_vm *vm = vm_new(rig, "probe", qemu);
    add(vm->arguments, "-machine", "none", "-S", "-chardev", QMP_CHARDEV, "-qmp", "chardev:qmp",
        NULL);
    return spawn(vm, false, 0, error) ? vm : NULL;
}

pid_t godwit_vm_pid(const struct godwit_vm *vm)
{
    const char *pid = vm->process ? g_subprocess_get_identifier(vm->process) : NULL;
    return pid ? (pid_t)g_ascii_strtoll(pid, NULL, 10) : 0;
}

void godwit_vm_free(struct godwit_vm *vm)
{
    if (!vm)
        return;
    if (vm->process && !vm->exited) {
        g_cancellable_cancel(vm->cancel);
        g_subprocess_force_exit(vm->process);
        g_subprocess_wait(vm->process, NULL, NULL);
    }
    /* A wait that was cancelled, or is over, calls back for certain: while the vm is still there.
     */
    while (vm->watched)
        g_main_context_iteration(NULL, TRUE);
    g_clear_object(&vm->process);
    g_clear_object(&vm->cancel);
    g_clear_pointer(&vm->qmp, godwit_qmp_free);
    g_clear_pointer(&vm->console, godwit_console_free);
    g_clear_pointer(&vm->errors, godwit_drain_free);
    g_clear_pointer(&vm->blocks, g_array_unref);
    g_clear_pointer(&vm->pieces, g_array_unref);
    g_clear_pointer(&vm->kept, g_ptr_array_unref);
    json_decref(vm->capabilities);
    if (vm->pagemap >= 0)
        close(vm->pagemap);
    g_free(vm->exe);
    g_ptr_array_unref(vm->arguments);
    g_free(vm->name);
    g_free(vm);
}

/* The longest line that a report quotes whole, in bytes: some of QMP's answers have many KiB. */
#define QUOTED_MAX 800

/* TEXT with what is too long of each line cut out of its middle. The caller's. */
static char *shorten_lines(const char *text)
{
    GString *shorter = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        const size_t length = strlen(lines[i]);
        if (i)
            g_string_append_c(shorter, '\n');
        if (length <= QUOTED_MAX)
            g_string_append(shorter, lines[i]);
        else
            g_string_append_printf(shorter, "%.*s [%zu bytes] %s", QUOTED_MAX / 2, lines[i],
                                   length - QUOTED_MAX, lines[i] + length - QUOTED_MAX / 2);
    }
    return g_string_free(shorter, FALSE);
}

/* The last LINES lines of the log, "" for NULL. The caller's. */
static char *tail_of(const struct godwit_log *log, unsigned lines)
{
    if (!log)
        return g_strdup("");
    char *text = godwit_log_text(log);
    g_strchomp(text);
    char *from = text + strlen(text);
    while (from > text && (from[-1] != '\n' || lines-- > 1))
        from--;
    g_autofree char *shorter = shorten_lines(from);
    g_free(text);
    return godwit_text_utf8(shorter);
}

char *godwit_vm_stderr(const struct godwit_vm *vm, unsigned lines)
{
    if (!vm->errors)
        return g_strdup("");
    godwit_drain_now(vm->errors);
    return tail_of(vm->errors->log, lines);
}

/* Lines of standard error, from its end, among which the reason is looked for. */
#define REASON_LINES 20

char *godwit_vm_reason(const struct godwit_vm *vm)
{
    g_autofree char *lines = godwit_vm_stderr(vm, REASON_LINES);
    char *reason = godwit_text_reason(lines);
    return reason ? reason : g_strdup("");
}

/* Returns whether a process exceeded the limit on the size of files. */
static bool met_limit(const struct godwit_vm *vm)
{
    return WIFSIGNALED(vm->wait_status) && WTERMSIG(vm->wait_status) == SIGXFSZ;
}

/* Returns what sort of error it is that a process has ended: a limit of the host's is no crash of
 * QEMU's. */
static enum godwit_error end_code(const struct godwit_vm *vm)
{
    return met_limit(vm) ? GODWIT_ERROR_ENVIRONMENT : GODWIT_ERROR_CRASH;
}

char *godwit_vm_end(const struct godwit_vm *vm)
{
    if (met_limit(vm))
        return g_strdup_printf("was killed by signal %d (it wrote a file larger than `ulimit -f` "
                               "allows)",
                               SIGXFSZ);
    if (WIFSIGNALED(vm->wait_status))
        return g_strdup_printf("was killed by signal %d (%s)", WTERMSIG(vm->wait_status),
                               g_strsignal(WTERMSIG(vm->wait_status)));
    return g_strdup_printf("exited with status %d", WEXITSTATUS(vm->wait_status));
}

bool godwit_vm_healthy(struct godwit_vm *vm, GError **error)
{
    if (vm->qmp && vm->qmp->failure) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP, "%s %s", vm->name, vm->qmp->failure);
        return false;
    }
    if (vm->errors && vm->errors->flooded) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP,
                    "the %s's QEMU floods its standard error: it wrote more than %" PRIu64 " MiB",
                    vm->name, vm->errors->most >> 20);
        return false;
    }
    if (vm->exited && !vm->may_exit) {
        g_autofree char *end = godwit_vm_end(vm);
        g_autofree char *said = godwit_vm_reason(vm);
        return godwit_fail(error, end_code(vm), "the %s's QEMU %s, saying \"%s\"", vm->name, end,
                           said);
    }
    if (vm->console && vm->console->failure) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE, "%s: %s", vm->name,
                    vm->console->failure);
        return false;
    }
    if (vm->console && vm->console->guest_fault && !vm->console->fault_provoked) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE,
                    "%s: the guest found a wrong byte in its memory", vm->name);
        return false;
    }
    return true;
}

static bool has_greeting(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->greeting != NULL;
}

/* The VM of the rig that turned out not to start at all, or NULL: another one's may be noticed
 * while this one's greeting is awaited. */
static const struct godwit_vm *without_start(const struct godwit_rig *rig)
{
    for (guint i = 0; i < rig->vms->len; i++) {
        const struct godwit_vm *vm = g_ptr_array_index(rig->vms, i);
        if (vm->qmp && !vm->answers && (vm->exited || vm->qmp->failure))
            return vm;
    }
    return NULL;
}

bool godwit_vm_handshake(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GError) cause = NULL;
    const gint64 deadline = godwit_rig_seconds(vm->rig, GODWIT_START_SECONDS);
    /* Some greet before they have tried to make their machine. */
    if (godwit_rig_wait_until(vm->rig, deadline, has_greeting, vm, "the QMP greeting", &cause) &&
        godwit_vm_command(vm, "qmp_capabilities", NULL, &cause)) {
        g_autofree char *link = g_strdup_printf("/proc/%d/exe", (int)vm->pid);
        vm->exe = g_file_read_link(link, NULL);
        vm->answers = true;
        return true;
    }

    const struct godwit_vm *bad = without_start(vm->rig);
    if (cause->code == GODWIT_ERROR_TIMEOUT) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s did not answer on QMP (%s)",
                    vm->qemu->path, cause->message);
    } else if (cause->code == GODWIT_ERROR_INTERRUPTED || !bad) {
        /* Nothing to do with how a QEMU starts: a guest that is wrong already, say. */
        g_propagate_error(error, g_steal_pointer(&cause));
    } else if (bad->exited) {
        g_autofree char *end = godwit_vm_end(bad);
        g_autofree char *said = godwit_vm_reason(bad);
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT,
                    "%s %s before it answered on QMP, saying %s%s%s", bad->qemu->path, end,
                    *said ? "\"" : "nothing", said, *said ? "\"" : "");
    } else {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "%s %s", bad->qemu->path,
                    bad->qmp->failure);
    }
    return false;
}

static bool has_restarted(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->restarted;
}

bool godwit_vm_inherit(struct godwit_vm *heir, struct godwit_vm *vm, GError **error)
{
    g_autofree char *what =
        g_strdup_printf("the QMP greeting of the QEMU that the %s is to execute", vm->name);
    const gint64 deadline = godwit_rig_seconds(vm->rig, GODWIT_START_SECONDS);
    vm->qmp->may_restart = true;
    if (!godwit_rig_wait_until(vm->rig, deadline, has_restarted, vm, what, error))
        return false;
    g_autofree char *transcript = file_of(heir, ".qmp");
    heir->qmp = godwit_qmp_successor(vm->qmp, transcript, error);
    if (!heir->qmp)
        return false;
    g_ptr_array_add(heir->arguments, NULL);
    heir->console = g_steal_pointer(&vm->console);
    heir->process = g_object_ref(vm->process);
    heir->errors = g_steal_pointer(&vm->errors);
    heir->pid = vm->pid;
    heir->exe = g_strdup(vm->exe);
    g_cancellable_cancel(vm->cancel);
    vm->exited = vm->may_exit = vm->replaced = true;
    godwit_vm_watch(heir);
    return godwit_vm_command(heir, "qmp_capabilities", NULL, error);
}

/* True with the reply, and when there will be none: a VM that may exit does so without anybody
 * taking it amiss. */
static bool has_reply(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->qmp->reply || (vm->exited && vm->qmp->source == 0);
}

json_t *godwit_vm_execute(struct godwit_vm *vm, const char *command, json_t *arguments,
                          GError **error)
{
    return godwit_vm_execute_fd(vm, command, arguments, -1, error);
}

/* Waits for the answer to COMMAND, which was sent if SENT is true. */
static json_t *await_reply(struct godwit_vm *vm, const char *command, bool sent, GError **error)
{
    if (!sent) {
        /* How the process ended says more than a broken pipe. */
        g_autoptr(GError) cause = NULL;
        if (!godwit_rig_survives(vm->rig, &cause)) {
            g_clear_error(error);
            g_propagate_error(error, g_steal_pointer(&cause));
        }
        godwit_error_context(error, "sending %s to the %s", command, vm->name);
        return NULL;
    }
    g_autofree char *what = g_strdup_printf("the %s's answer to %s", vm->name, command);
    if (!godwit_rig_wait(vm->rig, has_reply, vm, what, error))
        return NULL;
    if (!vm->qmp->reply) {
        g_autofree char *end = godwit_vm_end(vm);
        g_autofree char *said = godwit_vm_reason(vm);
        g_set_error(error, GODWIT_ERROR, end_code(vm),
                    "the %s's QEMU %s instead of answering %s, saying \"%s\"", vm->name, end,
                    command, said);
        return NULL;
    }
    return g_steal_pointer(&vm->qmp->reply);
}

json_t *godwit_vm_ask(struct godwit_vm *vm, const char *command, const char *arguments,
                      GError **error)
{
    const bool sent = godwit_qmp_send_text(vm->qmp, command, arguments, -1, error);
    return await_reply(vm, command, sent, error);
}

json_t *godwit_vm_execute_fd(struct godwit_vm *vm, const char *command, json_t *arguments, int fd,
                             GError **error)
{
    const bool sent = godwit_qmp_send_fd(vm->qmp, command, arguments, fd, error);
    g_autoptr(json_t) reply = await_reply(vm, command, sent, error);
    if (!reply)
        return NULL;
    json_t *value = json_object_get(reply, "return");
    if (value)
        return json_incref(value);
    const json_t *refusal = json_object_get(reply, "error");
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_QMP, "the %s refused %s: %s (%s)", vm->name,
                command, godwit_json_string(refusal, "desc", "no reason given"),
                godwit_json_string(refusal, "class", "no class"));
    return NULL;
}

bool godwit_vm_command(struct godwit_vm *vm, const char *command, json_t *arguments, GError **error)
{
    g_autoptr(json_t) value = godwit_vm_execute(vm, command, arguments, error);
    return value != NULL;
}

bool godwit_vm_run(struct godwit_vm *vm, GError **error)
{
    if (!godwit_rig_take_turn(vm->rig, error))
        return false;
    /* How long a guest stood still says nothing of how fast it is. */
    vm->console->last = 0;
    return godwit_vm_command(vm, "cont", NULL, error);
}

char *godwit_vm_monitor(struct godwit_vm *vm, const char *line, GError **error)
{
    g_autoptr(json_t) value = godwit_vm_execute(vm, "human-monitor-command",
                                                json_pack("{s:s}", "command-line", line), error);
    if (!value)
        return NULL;
    return g_strdup(json_is_string(value) ? json_string_value(value) : "");
}

char *godwit_vm_status(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) value = godwit_vm_execute(vm, "query-status", NULL, error);
    return value ? g_strdup(godwit_json_string(value, "status", "unknown")) : NULL;
}

static bool quitted(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->exited;
}

bool godwit_vm_quit(struct godwit_vm *vm, GError **error)
{
    g_autofree char *what = g_strdup_printf("the %s's QEMU to quit", vm->name);
    g_autoptr(GError) unsent = NULL;
    vm->may_exit = true;
    if (!vm->exited && !godwit_qmp_send(vm->qmp, "quit", NULL, &unsent) &&
        unsent->code != GODWIT_ERROR_CRASH) {
        g_propagate_error(error, g_steal_pointer(&unsent));
        return false;
    }
    if (!godwit_rig_wait(vm->rig, quitted, vm, what, error))
        return false;
    if (!WIFEXITED(vm->wait_status) || WEXITSTATUS(vm->wait_status) != 0) {
        g_autofree char *end = godwit_vm_end(vm);
        g_autofree char *said = godwit_vm_reason(vm);
        g_set_error(error, GODWIT_ERROR, end_code(vm),
                    "the %s's QEMU %s when asked to quit, saying \"%s\"", vm->name, end, said);
        return false;
    }
    return true;
}

struct console_goal {
    const struct godwit_console *console;
    unsigned ready;
    guint64 passes;
};

static bool console_reached(gpointer data)
{
    const struct console_goal *goal = data;
    return goal->console->ready >= goal->ready && goal->console->passes >= goal->passes;
}

bool godwit_vm_wait_console(struct godwit_vm *vm, unsigned ready, guint64 passes, GError **error)
{
    struct console_goal goal = {vm->console, ready, passes};
    g_autofree char *what = g_strdup_printf("%s from the %s's guest (its console so far: \"%s\")",
                                            passes ? "B" : "A", vm->name, vm->console->tail->str);
    return godwit_rig_wait(vm->rig, console_reached, &goal, what, error);
}

struct event_goal {
    const GPtrArray *events;
    guint next;
    const char *name;
    const char *status;
    const json_t *found;
};

static bool event_came(gpointer data)
{
    struct event_goal *goal = data;
    for (; !goal->found && goal->next < goal->events->len; goal->next++) {
        const json_t *event = g_ptr_array_index(goal->events, goal->next);
        if (godwit_qmp_event_is(event, goal->name, goal->status))
            goal->found = event;
    }
    return goal->found != NULL;
}

const json_t *godwit_vm_wait_event(struct godwit_vm *vm, guint first, const char *name,
                                   const char *status, GError **error)
{
    struct event_goal goal = {vm->qmp->events, first, name, status, NULL};
    g_autofree char *what = g_strdup_printf("the %s's event %s%s%s", vm->name, name,
                                            status ? " " : "", status ? status : "");
    return godwit_rig_wait(vm->rig, event_came, &goal, what, error) ? goal.found : NULL;
}

bool godwit_vm_has_argument(const struct godwit_vm *vm, const char *argument)
{
    for (guint i = 0; i < vm->arguments->len; i++)
        if (!g_strcmp0(g_ptr_array_index(vm->arguments, i), argument))
            return true;
    return false;
}

/* The command line with QMP and console where a person can reach them, and a source that does not
 * wait for anybody. The caller's. */
static char *by_hand(const struct godwit_vm *vm)
{
    g_autofree char *qmp =
        g_strdup_printf("socket,id=qmp,path=%s.qmp.sock,server=on,wait=off", vm->name);
    const bool incoming = godwit_vm_has_argument(vm, "-incoming");
    GString *line = g_string_new(NULL);
    for (guint i = 0; i < vm->arguments->len && g_ptr_array_index(vm->arguments, i); i++) {
        const char *argument = g_ptr_array_index(vm->arguments, i);
        if (!strcmp(argument, "-S") && !incoming)
            continue;
        if (!strcmp(argument, QMP_CHARDEV))
            argument = qmp;
        else if (!strcmp(argument, CONSOLE_CHARDEV))
            argument = "stdio,id=console";
        g_autofree char *word = godwit_shell_word(argument);
        g_string_append_printf(line, "%s%s", i ? " " : "", word);
    }
    return g_string_free(line, FALSE);
}

json_t *godwit_vm_describe(const struct godwit_vm *vm)
{
    g_autofree char *command = by_hand(vm);
    g_autofree char *err = godwit_vm_stderr(vm, 8);
    g_autofree char *qmp = tail_of(vm->qmp ? vm->qmp->transcript : NULL, 8);
    g_autofree char *state = !vm->process   ? g_strdup("never started")
                             : !vm->exited  ? g_strdup("was running")
                             : vm->replaced ? g_strdup("had replaced itself by exec")
                                            : godwit_vm_end(vm);
    const double began = vm->qmp ? (double)(vm->qmp->began - vm->rig->began) / 1e6 : 0;
    return json_pack(
        "{s:s, s:s, s:s, s:s*, s:s, s:f, s:s, s:s, s:s, s:s}", "name", vm->name, "qemu",
        vm->qemu->path, "version", vm->qemu->version ? vm->qemu->version : "unknown", "package",
        vm->qemu->package, "state", state, "began", began, "command", command, "stderr", err,
        "console", vm->console ? vm->console->tail->str : "", "qmp", qmp);
}
