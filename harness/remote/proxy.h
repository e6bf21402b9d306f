/*
 * The client's side of one connection: stands for a QEMU that runs on another host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REMOTE_PROXY_H
#define GODWIT_HARNESS_REMOTE_PROXY_H

#include "base/error.h"
#include <stdbool.h>

/*
 * Runs PROGRAM with ARGUMENTS, NULL-terminated, on the host to which COMMAND, a line for the shell,
 * connects: at the other end of its standard input and output is `godwit serve --stdio` there.
 * Sends it the regular files below the current directory that ARGUMENTS name. Carries this
 * process's output, and its descriptors from 3 to 6 as far as they are open.
 *
 * Sets *STATUS to how the program has ended, as of wait(2). Fails with ENVIRONMENT if it cannot be
 * started there, or if the connection is lost.
 */
bool godwit_remote_run(const char *command, const char *program, char **arguments, int *status,
                       GError **error);

#endif
