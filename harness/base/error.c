/*
 * Sets errors of the domain GODWIT_ERROR.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/error.h"

G_DEFINE_QUARK(godwit - error, godwit_error)

bool godwit_fail(GError **error, enum godwit_error code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, GODWIT_ERROR, (gint)code, text);
    return false;
}

void godwit_error_context(GError **error, const char *format, ...)
{
    if (!error || !*error)
        return;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_prefix_error(error, "%s: ", text);
}
