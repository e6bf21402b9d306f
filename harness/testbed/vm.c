/*
 * Starts, watches and ends the process of a VM.
 *
 * GLib waits for the process from its start. process_ended() records its wait status and its place
 * in the order in which this program's processes ended. A VM is freed only after that callback has
 * run. While a process dies (it closes its connections, writes a core, exits), godwit_vm_dying() is
 * already true. The testbed waits for dying processes before it blames a VM.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/vm_parts.h"

#include "base/contain.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "qemu/command_line.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The descriptors that a QEMU inherits besides stdin, stdout and stderr. */
enum { QMP_FD = 3, CONSOLE_FD = 4, QTEST_FD = 5 };

char *godwit_vm_file(const struct godwit_vm *vm, const char *suffix)
{
    g_autofree char *base = g_strconcat(vm->name, suffix, NULL);
    return g_build_filename(vm->testbed->records, base, NULL);
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

/* Creates a VM whose command line is yet to come. */
static struct godwit_vm *vm_new_empty(struct godwit_testbed *testbed, const char *name,
                                      const struct godwit_qemu *qemu)
{
    struct godwit_vm *vm = g_new0(struct godwit_vm, 1);
    vm->testbed = testbed;
    vm->name = g_strdup(name);
    vm->qemu = qemu;
    vm->pagemap = -1;
    vm->pmemsave = testbed->setup->pmemsave;
    vm->cancel = g_cancellable_new();
    vm->arguments = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(testbed->vms, vm);
    return vm;
}

static struct godwit_vm *vm_new(struct godwit_testbed *testbed, const char *name,
                                const struct godwit_qemu *qemu)
{
    struct godwit_vm *vm = vm_new_empty(testbed, name, qemu);
    /* Their machine keeps its default devices, but not the monitor. */
    if (testbed->setup->theirs)
        add(vm->arguments, qemu->path, "-monitor", "none", NULL);
    else
        add(vm->arguments, qemu->path, "-nodefaults", NULL);
    add(vm->arguments, "-no-user-config", "-display", "none", NULL);
    return vm;
}

/* Runs in the child between fork and exec. APART: the child gets an empty network namespace. */
static void in_child(gpointer apart)
{
    /* main() ignores this signal, and an ignored signal stays ignored across exec. */
    signal(SIGXFSZ, SIG_DFL);
    /* If the host allows it, a QEMU that crashes leaves a core in its working directory. */
    struct rlimit core;
    if (!getrlimit(RLIMIT_CORE, &core)) {
        core.rlim_cur = core.rlim_max;
        setrlimit(RLIMIT_CORE, &core);
    }
    if (GPOINTER_TO_INT(apart) && unshare(CLONE_NEWNET))
        _exit(127);
}

static void process_ended(GObject *object, GAsyncResult *result, gpointer data)
{
    static unsigned ended;
    g_autoptr(GError) error = NULL;
    struct godwit_vm *vm = data;
    vm->watched = false;
    if (!g_subprocess_wait_finish(G_SUBPROCESS(object), result, &error))
        return; /* cancelled: the VM is being freed, or the process belongs to another VM now */
    vm->exited = true;
    vm->wait_status = g_subprocess_get_status(vm->process);
    vm->exit_order = ended++;
    if (vm->errors)
        godwit_drain_now(vm->errors);
    if (vm->pagemap >= 0)
        close(vm->pagemap);
    vm->pagemap = -1;
}

bool godwit_vm_has_ended(gpointer vm)
{
    return ((const struct godwit_vm *)vm)->exited;
}

void godwit_vm_watch(struct godwit_vm *vm)
{
    vm->watched = true;
    g_subprocess_wait_async(vm->process, vm->cancel, process_ended, vm);
}

/* Returns whether the peer of a connection has closed its end. */
static bool hung_up(const struct godwit_qmp *qmp)
{
    struct pollfd end = {.fd = qmp->fd, .events = POLLRDHUP};
    return qmp->fd < 0 || (poll(&end, 1, 0) > 0 && end.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

/* Returns whether the kernel reports the process as exiting (proc_pid_stat(5), state and flags) or
 * does not know it. The kernel sets these flags before it closes the process's connections, so no
 * peer notices the end earlier. */
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

/* Gives the QEMU a qtest socket if its arguments have one. */
static bool add_hand(struct godwit_vm *vm, GSubprocessLauncher *launcher, GError **error)
{
    int ends[2];
    if (!godwit_vm_has_argument(vm, GODWIT_QTEST_CHARDEV))
        return true;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no socket pair for %s: %s", vm->name,
                           g_strerror(errno));
    g_subprocess_launcher_take_fd(launcher, ends[1], QTEST_FD);
    godwit_vm_open_hand(vm, ends[0]);
    return true;
}

/* Gives the program that stands for a QEMU on another host a socket for requests for memory. */
static bool add_remote(struct godwit_vm *vm, GSubprocessLauncher *launcher, GError **error)
{
    int fd;
    if (!vm->qemu->remote)
        return true;
    vm->remote = godwit_remote_new(vm->testbed->deadline, &fd);
    if (!vm->remote)
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "no socket pair for %s: %s", vm->name,
                           g_strerror(errno));
    g_subprocess_launcher_take_fd(launcher, fd, GODWIT_REMOTE_FD);
    return true;
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
    g_subprocess_launcher_set_cwd(launcher, vm->testbed->directory);
    /* Its temporary files are removed with the folder, however the QEMU ends. */
    g_subprocess_launcher_setenv(launcher, "TMPDIR", vm->testbed->directory, TRUE);
    g_subprocess_launcher_set_stdin_file_path(launcher, "/dev/null");
    g_subprocess_launcher_set_stdout_file_path(launcher, "/dev/null");
    g_subprocess_launcher_take_stderr_fd(launcher, said[1]);
    g_subprocess_launcher_take_fd(launcher, qmp[1], QMP_FD);
    if (console)
        g_subprocess_launcher_take_fd(launcher, serial[1], CONSOLE_FD);

    g_autofree char *transcript = godwit_vm_file(vm, ".qmp");
    vm->qmp = godwit_qmp_new(qmp[0], transcript, error);
    if (console) {
        g_autofree char *log = godwit_vm_file(vm, ".serial");
        if (vm->qmp)
            vm->console = godwit_console_new(serial[0], log, ready_allowed, error);
        else
            close(serial[0]);
        if (vm->console)
            vm->console->theirs = vm->testbed->setup->theirs;
    }
    g_autofree char *err = godwit_vm_file(vm, ".stderr");
    if (!vm->qmp || (console && !vm->console)) {
        close(said[0]);
        return false;
    }
    vm->errors = godwit_drain_new(said[0], err, GODWIT_STDERR_MAX, error);
    if (!vm->errors || !add_hand(vm, launcher, error) || !godwit_vm_add_tpm(vm, launcher, error) ||
        !add_remote(vm, launcher, error))
        return false;

    g_ptr_array_add(vm->arguments, NULL);
    g_autoptr(GError) cause = NULL;
    vm->process =
        godwit_contain_spawn(launcher, (const char *const *)(void *)vm->arguments->pdata, in_child,
                             GINT_TO_POINTER(vm->testbed->apart), &vm->pid, &cause);
    if (!vm->process) {
        g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT, "cannot start %s: %s",
                    vm->qemu->path, cause->message);
        return false;
    }
    godwit_vm_watch(vm);
    return true;
}

static bool has(const char *const *arguments, const char *argument)
{
    return arguments && g_strv_contains(arguments, argument);
}

/* Adds WORDS, the user's further arguments, without their -accel if ARGUMENTS replaces it. */
static void add_words(struct godwit_vm *vm, const char *const *words, const char *const *arguments)
{
    const bool replaced = has(arguments, "-accel");
    for (size_t i = 0; words && words[i]; i++)
        if (replaced && !strcmp(words[i], "-accel") && words[i + 1])
            i++;
        else
            add(vm->arguments, words[i], NULL);
}

/* Adds -machine, -accel, -cpu, -m, the image and WORDS. ARGUMENTS and WORDS may replace -accel, and
 * WORDS may replace -smp. If ARGUMENTS has -M, which QEMU takes for -machine, it names another
 * machine, for which Godwit has no guest. */
static bool add_machine(struct godwit_vm *vm, const char *const *words,
                        const char *const *arguments, GError **error)
{
    const struct godwit_setup *setup = vm->testbed->setup;
    const struct godwit_machine *machine = setup->machine;
    if (has(arguments, "-M")) {
        add(vm->arguments, "-accel", setup->accel, NULL);
        return true;
    }
    /* A core without guest memory is a tenth as large. */
    g_autoptr(GString) options = g_string_new(setup->type);
    g_string_append(options, ",dump-guest-core=off");
    const bool ours = !setup->theirs;
    if (ours && machine->machine_options)
        g_string_append_printf(options, ",%s", machine->machine_options);
    if (ours && machine->machine_options_tcg && !strcmp(setup->accel, "tcg"))
        g_string_append_printf(options, ",%s", machine->machine_options_tcg);
    const bool beyond = ours && godwit_workload_is_beyond_gap(&setup->workload, machine);
    if (beyond)
        g_string_append_printf(options, ",%s=%uM", machine->gap.option, machine->gap.low_mib);
    g_autofree char *memory = g_strdup_printf("%u", setup->memory_mib);
    add(vm->arguments, "-machine", options->str, NULL);
    if (!has(arguments, "-accel") && !has(words, "-accel"))
        add(vm->arguments, "-accel", setup->accel, NULL);
    if (!ours) {
        add_words(vm, words, arguments);
        return true;
    }
    add(vm->arguments, "-m", memory, NULL);
    const char *const cpu = beyond && machine->gap.cpu ? machine->gap.cpu : machine->cpu;
    if (cpu)
        add(vm->arguments, "-cpu", cpu, NULL);
    if (setup->workload.cpus > 1 && !setup->machine_cpus) {
        g_autofree char *cpus = g_strdup_printf("%u", setup->workload.cpus);
        add(vm->arguments, "-smp", cpus, NULL);
    }
    for (size_t i = 0; machine->arguments && machine->arguments[i]; i++)
        add(vm->arguments, machine->arguments[i], NULL);

    g_autofree char *file = g_strconcat(vm->name, ".image", NULL);
    g_autofree char *path = g_build_filename(vm->testbed->directory, file, NULL);
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
    add_words(vm, words, arguments);
    return true;
}

/* Creates a VM that takes part in a migration. */
static struct godwit_vm *vm_new_in(struct godwit_testbed *testbed, const char *name,
                                   enum godwit_vm_role role)
{
    const bool source = role == GODWIT_VM_SOURCE;
    const struct godwit_setup *setup = testbed->setup;
    const bool first = source != testbed->turned;
    struct godwit_vm *vm = vm_new(testbed, name, first ? setup->source : setup->destination);
    vm->source = source;
    vm->host = vm->qemu->remote ? setup->peer_address : NULL;
    return vm;
}

/* Adds the socket of the hand. Without a log of its own, QEMU writes every request to its standard
 * error. */
static void add_qtest(struct godwit_vm *vm)
{
    if (vm->testbed->hand)
        add(vm->arguments, "-chardev", GODWIT_QTEST_CHARDEV, "-qtest", "chardev:qtest",
            "-qtest-log", "none", NULL);
}

/* Adds what a measured VM needs: threads with names, and a file for trace events with times. Which
 * of them it writes is chosen later. Its RAM is there from the start: what a host takes to find and
 * clear a page differs by a factor of ten from one moment to the next, and would hide the QEMU. */
static void add_measures(struct godwit_vm *vm)
{
    g_autofree char *name = g_strconcat(vm->name, ",debug-threads=on", NULL);
    g_autofree char *trace = g_strconcat(vm->name, GODWIT_VM_TRACE, NULL);
    add(vm->arguments, "-name", name, "-D", trace, "-msg", "timestamp=on", "-mem-prealloc", NULL);
}

/* Adds what makes the QEMU a source or a destination, and its QMP. */
static void add_role(struct godwit_vm *vm, enum godwit_vm_role role, const char *const *arguments)
{
    if (vm->testbed->setup->unthrottled)
        add_measures(vm);
    else
        add(vm->arguments, "-name", vm->name, NULL);
    if (!vm->source && role != GODWIT_VM_RESTORED && !has(arguments, "-incoming"))
        add(vm->arguments, "-incoming", "defer", NULL);
    if (role != GODWIT_VM_DESTINATION)
        add(vm->arguments, "-S", NULL);
    add(vm->arguments, "-chardev", GODWIT_QMP_CHARDEV, "-qmp", "chardev:qmp", NULL);
}

struct godwit_vm *godwit_vm_prepare(struct godwit_testbed *testbed, const char *name,
                                    enum godwit_vm_role role, const char *const *arguments,
                                    GError **error)
{
    const struct godwit_setup *setup = testbed->setup;
    struct godwit_vm *vm = vm_new_in(testbed, name, role);
    const bool first = vm->source != testbed->turned;
    const char *const *own = first ? setup->source_words : setup->destination_words;
    if (!add_machine(vm, own, arguments, error))
        return NULL;
    add_role(vm, role, arguments);
    add(vm->arguments, "-chardev", GODWIT_CONSOLE_CHARDEV, NULL);
    /* A machine that has its own serial ports, or none, must not get another one. */
    if (!godwit_command_line_has_console(own) && !(setup->theirs && has(own, "-nodefaults")))
        add(vm->arguments, "-serial", "chardev:console", NULL);
    add_qtest(vm);
    for (size_t i = 0; arguments && arguments[i]; i++)
        add(vm->arguments, arguments[i], NULL);
    return vm;
}

struct godwit_vm *godwit_vm_start(struct godwit_testbed *testbed, const char *name,
                                  enum godwit_vm_role role, const char *const *arguments,
                                  GError **error)
{
    struct godwit_vm *vm = godwit_vm_prepare(testbed, name, role, arguments, error);
    return vm && spawn(vm, true, role == GODWIT_VM_SOURCE ? 1 : 0, error) ? vm : NULL;
}

struct godwit_vm *godwit_vm_start_board(struct godwit_testbed *testbed, const char *name,
                                        enum godwit_vm_role role, const char *const *arguments,
                                        GError **error)
{
    struct godwit_vm *vm = vm_new_in(testbed, name, role);
    vm->board = true;
    add_role(vm, role, arguments);
    add_qtest(vm);
    for (size_t i = 0; arguments[i]; i++)
        add(vm->arguments, arguments[i], NULL);
    return spawn(vm, false, 0, error) ? vm : NULL;
}

struct godwit_vm *godwit_vm_start_bare(struct godwit_testbed *testbed,
                                       const struct godwit_qemu *qemu, GError **error)
{
    struct godwit_vm *vm = vm_new(testbed, "probe", qemu);
    add(vm->arguments, "-machine", "none", "-S", "-chardev", GODWIT_QMP_CHARDEV, "-qmp",
        "chardev:qmp", NULL);
    return spawn(vm, false, 0, error) ? vm : NULL;
}

struct godwit_vm *godwit_vm_start_storage(struct godwit_testbed *testbed, const char *path,
                                          GError **error)
{
    struct godwit_qemu *program = godwit_qemu_copy(testbed->setup->destination);
    g_free(program->path);
    program->path = g_strdup(path);
    struct godwit_vm *vm = vm_new_empty(testbed, "storage", program);
    vm->program = program;
    add(vm->arguments, path, "--chardev", GODWIT_QMP_CHARDEV, "--monitor", "chardev=qmp", NULL);
    return spawn(vm, false, 0, error) ? vm : NULL;
}

pid_t godwit_vm_pid(const struct godwit_vm *vm)
{
    const char *pid = vm->process ? g_subprocess_get_identifier(vm->process) : NULL;
    return pid ? (pid_t)g_ascii_strtoll(pid, NULL, 10) : 0;
}

void godwit_vm_signal(struct godwit_vm *vm, int number)
{
    g_autofree char *name = g_strconcat("SIG", sigabbrev_np(number), NULL);
    if (!godwit_vm_pid(vm))
        return;
    if (vm->qmp)
        godwit_qmp_note(vm->qmp, name);
    g_subprocess_send_signal(vm->process, number);
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
    /* process_ended() is certain to be called once the wait is cancelled or over. It must run while
     * the VM still exists. */
    while (vm->watched)
        g_main_context_iteration(NULL, TRUE);
    godwit_vm_end_tpm(vm);
    g_clear_pointer(&vm->remote, godwit_remote_free);
    g_clear_object(&vm->process);
    g_clear_object(&vm->cancel);
    g_clear_pointer(&vm->qmp, godwit_qmp_free);
    g_clear_pointer(&vm->console, godwit_console_free);
    g_clear_pointer(&vm->qtest, godwit_qtest_free);
    g_clear_pointer(&vm->errors, godwit_drain_free);
    g_clear_pointer(&vm->blocks, g_array_unref);
    g_clear_pointer(&vm->pieces, g_array_unref);
    g_clear_pointer(&vm->kept, g_ptr_array_unref);
    json_decref(vm->capabilities);
    if (vm->pagemap >= 0)
        close(vm->pagemap);
    g_free(vm->exe);
    g_free(vm->refusal);
    g_ptr_array_unref(vm->arguments);
    g_clear_pointer(&vm->program, godwit_qemu_free);
    g_free(vm->name);
    g_free(vm);
}
