/*
 * godwit serve: runs QEMUs for a Godwit on another host. And `godwit remote`, which no user calls:
 * the program that stands for such a QEMU on the first host.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "remote/proxy.h"
#include "remote/session.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct serve_options {
    gboolean stdio;
};

static bool parse(struct serve_options *options, int *argc, char ***argv, bool *helped,
                  GError **error)
{
    const GOptionEntry entries[] = {
        {"stdio", 0, 0, G_OPTION_ARG_NONE, &options->stdio,
         "Serve one client over standard input and output, and exit; a transport such as ssh "
         "starts this",
         NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("--stdio");
    g_option_context_set_summary(
        context,
        "Runs destination QEMUs for `godwit run --peer` on another host. Whoever can start this\n"
        "can start any QEMU here, as this user.\n"
        "Exit status: 0 if the QEMU was run to its end, whatever that was; 2 otherwise.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!godwit_options_parse(context, NULL, argc, argv, helped, error))
        return false;
    return *helped || options->stdio ||
           godwit_fail(error, GODWIT_ERROR_USAGE,
                       "expected --stdio; `godwit run --peer 'ssh HOST godwit serve --stdio'` on "
                       "the other host starts this");
}

bool godwit_command_serve(struct godwit_process *process, int argc, char **argv, int *status,
                          GError **error)
{
    struct serve_options options = {0};
    bool helped = false;
    (void)status;
    if (!parse(&options, &argc, &argv, &helped, error))
        return false;
    if (helped)
        return true;
    if (!godwit_process_begin(process, error))
        return false;
    return godwit_remote_serve(dup(STDIN_FILENO), dup(STDOUT_FILENO), process->folder,
                               &process->interrupted, process->wake_up, error);
}

int godwit_remote_main(char **words)
{
    int status = 0;
    g_autoptr(GError) error = NULL;
    if (!words[0] || !words[1]) {
        godwit_text_complain("remote: Godwit itself starts this");
        return 2;
    }
    if (!godwit_remote_run(words[0], words[1], words + 2, &status, &error)) {
        godwit_text_complain("%s on the other host (%s): %s", words[1], words[0], error->message);
        return 2;
    }
    if (WIFSIGNALED(status)) {
        /* End as it did, without a core of this process. */
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}
