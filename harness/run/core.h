/*
 * Cores: finds the file that the kernel wrote when a process crashed.
 *
 * The kernel makes the file's name of kernel.core_pattern (core(5)). What is known of the process
 * is put in place of the specifiers; what is not known (the time, say) may be anything. A file of
 * such a name counts only if it is an ELF core whose own note names the process, because a pattern
 * without a pid fits any process's core.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_RUN_CORE_H
#define GODWIT_HARNESS_RUN_CORE_H

#include "base/error.h"
#include <sys/types.h>

struct godwit_core {
    const char *pattern; /* kernel.core_pattern */
    bool uses_pid;       /* kernel.core_uses_pid */
    const char *folder;  /* the process's working directory */
    const char *program; /* the path of what it executed, or NULL */
    pid_t pid;
    int signal;
};

/* Returns the regular expression that the core's file name matches, and its folder in *FOLDER; the
 * caller frees both. Returns NULL with an ENVIRONMENT error that says why if the pattern has cores
 * piped to a program, or put into a folder whose name depends on the process. */
char *godwit_core_name(const struct godwit_core *core, char **folder, GError **error);

/* Returns the pid that the core file PATH has in its notes, or -1 if it is no ELF core. */
pid_t godwit_core_pid(const char *path);

/* Returns the path of the process's core; the caller frees it. Returns NULL with an ENVIRONMENT
 * error that says why if there is none. */
char *godwit_core_find(const struct godwit_core *core, GError **error);

#endif
