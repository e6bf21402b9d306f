/*
 * Errors: one GError domain. The code states the outcome for the user.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_ERROR_H
#define GODWIT_HARNESS_BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>

#define GODWIT_ERROR godwit_error_quark()
GQuark godwit_error_quark(void);

enum godwit_error {
    GODWIT_ERROR_USAGE,       /* the command line is wrong: exit status 2 */
    GODWIT_ERROR_ENVIRONMENT, /* host, files or a QEMU binary unfit for any test: exit status 2 */
    GODWIT_ERROR_SKIP,        /* this QEMU, host or architecture cannot do it: not a failure */
    GODWIT_ERROR_TIMEOUT,     /* an awaited event did not happen: failed */
    GODWIT_ERROR_CRASH,       /* a QEMU ended unasked: failed */
    GODWIT_ERROR_ACCESS,      /* a QEMU ended because of an access that the harness made: failed */
    GODWIT_ERROR_QMP,         /* a QEMU refused a command or broke the protocol: failed */
    GODWIT_ERROR_MIGRATION,   /* a migration did not end in the expected state: failed */
    GODWIT_ERROR_ORACLE,      /* the guest's memory or behaviour is wrong: failed */
    GODWIT_ERROR_STREAM,      /* a migration stream is corrupt, or not a stream: failed */
    GODWIT_ERROR_INTERRUPTED, /* the user or the system stopped the run */
};

/* Sets an error. Always returns false, so that a failing function can end with `return
 * godwit_fail(...)`. */
bool godwit_fail(GError **error, enum godwit_error code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Prefixes the message of *error with "TEXT: ", as g_prefix_error() does. Does nothing if no error
 * is set. */
void godwit_error_context(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
