/*
 * Words of command lines that are shown to people, to be pasted into a shell.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_SHELL_H
#define GODWIT_HARNESS_BASE_SHELL_H

#include <glib.h>

/*
 * Returns TEXT as one word for a POSIX shell, which reads it as TEXT and as nothing else. Quotes it
 * only if it has to be. The word is one line of text that no terminal obeys: what is not tame in
 * the sense of text.h is written as printf(1)'s octal numbers. (Newlines at the very end of TEXT
 * are lost then.) The caller frees it.
 */
char *godwit_shell_word(const char *text);

/* Appends a space and godwit_shell_word(TEXT). */
void godwit_shell_append(GString *line, const char *text);

/* Appends " OPTION " and godwit_shell_word(VALUE). OPTION is taken as it is. */
void godwit_shell_append_option(GString *line, const char *option, const char *value);

#endif
