/*
 * Words of command lines that are shown to people, to be pasted into a shell.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SHELL_H
#define GODWIT_HARNESS_SHELL_H

#include <glib.h>
#include <stdbool.h>
#include <string.h>

/* TEXT as one word for a shell, quoted only if it has to be; the caller's. */
static inline char *godwit_shell_word(const char *text)
{
    const bool plain = *text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789-_=,./:+") == strlen(text);
    return plain ? g_strdup(text) : g_shell_quote(text);
}

#endif
