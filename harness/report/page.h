/*
 * Pages: HTML files that need no other file, no network and no script. Their style follows the
 * reader's choice of light or dark, and prints in light.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_PAGE_H
#define GODWIT_HARNESS_REPORT_PAGE_H

#include <glib.h>
#include <stdbool.h>

/* Begins a page, which the caller frees, with TITLE and a heading. */
GString *godwit_page_begin(const char *title);
void godwit_page_end(GString *page);

/* Appends BEFORE, TEXT as text, and AFTER. */
void godwit_page_text(GString *page, const char *before, const char *text, const char *after);

/* Appends TEXT as it is, lines and all. */
void godwit_page_code(GString *page, const char *text);

/* A table: begins it with its caption, which is folded away if FOLDED, and with the heads of its
 * columns, NULL-terminated. Then come the cells of each row, then the end. */
void godwit_page_table(GString *page, bool folded, const char *caption, const char *const *heads);
void godwit_page_row(GString *page, const char *const *cells);
void godwit_page_table_end(GString *page, bool folded);

#endif
