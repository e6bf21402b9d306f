/*
 * Makes foreign text safe to print. All text that originates in a QEMU, a guest, a file, the kernel
 * or the command line passes through one of these functions before it reaches a terminal or a
 * report, in every format. The functions are idempotent: text may pass through them twice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_TEXT_H
#define GODWIT_HARNESS_BASE_TEXT_H

#include <glib.h>
#include <stdbool.h>

/*
 * Copies TEXT and replaces everything that a terminal, an editor or a parser may interpret. Bytes
 * that are not UTF-8 and ASCII control characters become \xNN. Other control characters, format
 * characters (such as those that change the direction of text), line and paragraph separators, and
 * code points that are not characters become \u{NNNN}. Newlines, tabs and backslashes stay. Returns
 * valid UTF-8, which the caller frees.
 */
char *godwit_text_tame(const char *text);

/* Like godwit_text_tame(), but turns each newline and tab into a space, so that the result is one
 * line. The caller frees it. */
char *godwit_text_line(const char *text);

/* Copies TEXT and replaces only bytes that are not UTF-8, by \xNN. The caller frees the copy. */
char *godwit_text_utf8(const char *text);

/* Returns whether godwit_text_line() would leave TEXT unchanged. */
bool godwit_text_is_tame(const char *text);

/* Writes "godwit: ", the formatted message as one tame line, and a newline to standard error. */
void godwit_text_complain(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Returns a pointer into TEXT, which must not end with a newline, to the first of its last LINES
 * lines. */
const char *godwit_text_last_lines(const char *text, unsigned lines);

/*
 * Returns the line of LINES, a program's standard error, that best explains its failure: Godwit's
 * own, or else the first that reports an error, or else the last that is not a warning, or else the
 * last. QEMU's "load of migration failed" only summarises earlier messages, so it is chosen only if
 * there is nothing better. The caller frees the line. Returns NULL if all lines are empty.
 */
char *godwit_text_reason(const char *lines);

#endif
