/*
 * Cores: finds the file that the kernel wrote when a process crashed.
 *
 * The kernel builds the file's name from kernel.core_pattern (core(5)). This code replaces each
 * specifier by its value if that is known, and by a wildcard otherwise (the time, for example). A
 * file with a matching name counts only if it is an ELF core whose note names the process, because
 * a pattern without a pid matches the core of any process.
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
    const char *program; /* the path of the program that it executed, or NULL */
    pid_t pid;
    int signal;
};

/* Returns the regular expression that the core's file name matches, and its folder in *FOLDER; the
 * caller frees both. Fails with ENVIRONMENT if the pattern pipes cores to a program, or puts them
 * into a folder whose name depends on the process. */
char *godwit_core_name(const struct godwit_core *core, char **folder, GError **error);

/* Returns the pid in the notes of the core file PATH, or -1 if it is not an ELF core. */
pid_t godwit_core_pid(const char *path);

/* Returns the path of the process's core, which the caller frees. Fails with ENVIRONMENT and the
 * reason if there is none. */
char *godwit_core_find(const struct godwit_core *core, GError **error);

#endif
