/*
 * Words of command lines that are printed for people to paste into a shell.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_SHELL_H
#define GODWIT_HARNESS_BASE_SHELL_H

#include <glib.h>

/*
 * Returns TEXT as one word for a POSIX shell, which reads it as exactly TEXT. Quotes it only if
 * necessary. The word is one line of text that no terminal interprets: text that is not tame
 * (base/text.h) is written as octal numbers for printf(1). In that case newlines at the very end of
 * TEXT are lost. The caller frees it.
 */
char *godwit_shell_word(const char *text);

/* Appends a space and godwit_shell_word(TEXT). */
void godwit_shell_append(GString *line, const char *text);

/* Appends " OPTION " and godwit_shell_word(VALUE). OPTION is not quoted. */
void godwit_shell_append_option(GString *line, const char *option, const char *value);

#endif
