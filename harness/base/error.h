/*
 * Errors: one GError domain; the code says what kind of outcome it is for the user.
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
    GODWIT_ERROR_TIMEOUT,     /* something awaited did not come: failed */
    GODWIT_ERROR_CRASH,       /* a QEMU went away: failed */
    GODWIT_ERROR_QMP,         /* a QEMU refused a command or spoke nonsense: failed */
    GODWIT_ERROR_MIGRATION,   /* a migration ended in another state than wanted: failed */
    GODWIT_ERROR_ORACLE,      /* the guest's memory or behaviour is wrong: failed */
    GODWIT_ERROR_STREAM,      /* a migration stream is damaged, or none: failed */
    GODWIT_ERROR_INTERRUPTED, /* the user or the system stopped the run */
};

/* Sets an error. Always false, so that a step that went wrong can end with it. */
bool godwit_fail(GError **error, enum godwit_error code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Puts "TEXT: " before the message of *error, as g_prefix_error() does; nothing when unset. */
void godwit_error_context(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
