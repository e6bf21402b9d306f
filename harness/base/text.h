/*
 * Text of foreign origin, made fit to be shown. Whatever a QEMU, a guest, a file, the kernel or the
 * command line has a part in passes through one of these functions before it reaches a terminal or
 * a report, whatever the format. The functions are idempotent: text may pass through them twice.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_TEXT_H
#define GODWIT_HARNESS_BASE_TEXT_H

#include <glib.h>
#include <stdbool.h>

/*
 * Copies TEXT and replaces everything in it that a terminal, an editor or a parser may obey: bytes
 * that are not UTF-8 and ASCII's control characters become \xNN; the other control characters,
 * format characters (those that change the direction of text among them), line and paragraph
 * separators and code points that are no characters become \u{NNNN}. Keeps newlines and tabs. A
 * backslash stays as it is. Returns valid UTF-8, which the caller frees.
 */
char *godwit_text_tame(const char *text);

/* Does the same and turns each newline and tab into a space: the result is one line. The caller
 * frees it. */
char *godwit_text_line(const char *text);

/* Copies TEXT and replaces only bytes that are not UTF-8, by \xNN. The caller frees the copy. */
char *godwit_text_utf8(const char *text);

/* Whether godwit_text_line() returns TEXT as it is. */
bool godwit_text_is_tame(const char *text);

/* Writes "godwit: ", the formatted message as one tame line, and a newline to standard error. */
void godwit_text_complain(const char *format, ...) G_GNUC_PRINTF(1, 2);

/*
 * Picks from LINES, which a program wrote to standard error, the one that says most about why it
 * failed: the first that names an error; otherwise the last that is no warning; otherwise the last.
 * "load of migration failed", with which QEMU sums up what it said before, is taken only if there
 * is nothing better. Returns NULL if there is no line with anything in it; the caller frees it.
 */
char *godwit_text_reason(const char *lines);

#endif
