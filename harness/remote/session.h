/*
 * The server's side of one connection: runs one QEMU for the client.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REMOTE_SESSION_H
#define GODWIT_HARNESS_REMOTE_SESSION_H

#include "base/error.h"
#include <stdbool.h>

/*
 * Serves the client at the other ends of IN and OUT (taken) until it or its QEMU has ended. The
 * QEMU works in FOLDER, which is empty and is left to the caller. Looks at INTERRUPTED, which may
 * be set at any time, whenever something happens, and when WAKE_UP becomes readable. Kills the QEMU
 * if the client goes away.
 *
 * Fails with USAGE if what comes is not the protocol, and with ENVIRONMENT if the client went away,
 * or the QEMU cannot be started. The client has been told why, if it is there.
 */
bool godwit_remote_serve(int in, int out, const char *folder, const bool *interrupted, int wake_up,
                         GError **error);

#endif
