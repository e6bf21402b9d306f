/*
 * Makes foreign text safe to print.
 *
 * One pass over the text, code point by code point. Unicode's general category decides what is
 * dangerous, so there is no list of characters to keep up to date.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/text.h"

#include <string.h>

static bool is_noncharacter(gunichar c)
{
    return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

/* Returns whether a terminal, an editor or a parser may interpret the code point. */
static bool is_wild(gunichar c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_SURROGATE:
        return true;
    default:
        return is_noncharacter(c);
    }
}

/* The wild characters that escape() keeps: none, newlines and tabs, or all. */
enum keep { KEEP_NOTHING, KEEP_LINES, KEEP_ALL };

static bool is_kept(gunichar c, enum keep keep)
{
    return keep == KEEP_ALL || (keep == KEEP_LINES && (c == '\n' || c == '\t')) || !is_wild(c);
}

static char *escape(const char *text, enum keep keep)
{
    GString *out = g_string_sized_new(strlen(text));
    while (*text) {
        const gunichar c = g_utf8_get_char_validated(text, -1);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (unsigned char)*text++);
            continue;
        }
        const char *next = g_utf8_next_char(text);
        if (is_kept(c, keep))
            g_string_append_len(out, text, next - text);
        else if (c < 0x80)
            g_string_append_printf(out, "\\x%02x", c);
        else
            g_string_append_printf(out, "\\u{%04x}", c);
        text = next;
    }
    return g_string_free(out, FALSE);
}

char *godwit_text_tame(const char *text)
{
    return escape(text, KEEP_LINES);
}

char *godwit_text_line(const char *text)
{
    g_autofree char *line = g_strdup(text);
    return escape(g_strdelimit(line, "\n\t", ' '), KEEP_NOTHING);
}

char *godwit_text_utf8(const char *text)
{
    return escape(text, KEEP_ALL);
}

bool godwit_text_is_tame(const char *text)
{
    g_autofree char *line = godwit_text_line(text);
    return !strcmp(line, text);
}

void godwit_text_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *line = godwit_text_line(text);
    g_printerr("godwit: %s\n", line);
}

/* How well a line explains a failure. */
enum weight { WEIGHT_NONE, WEIGHT_WARNING, WEIGHT_SUMMARY, WEIGHT_PLAIN, WEIGHT_ERROR, WEIGHT_OWN };

static enum weight weigh(const char *line)
{
    /* Words that are common in QEMU's messages about what it cannot load or do. */
    static const char *const errors[] = {
        "error",     "fail",      "unknown",   "invalid",     "cannot",       "can't",
        "could not", "unable",    "mismatch",  "unsupported", "too old",      "no such",
        "missing",   "not found", "assertion", "no space",    "not available"};
    g_autofree char *lower = g_ascii_strdown(line, -1);
    if (!*g_strstrip(lower))
        return WEIGHT_NONE;
    /* What stands for a QEMU on another host says why it ends, and quotes others. */
    if (g_str_has_prefix(line, "godwit: "))
        return WEIGHT_OWN;
    if (strstr(lower, "warning:"))
        return WEIGHT_WARNING;
    if (strstr(lower, "load of migration failed"))
        return WEIGHT_SUMMARY;
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++)
        if (strstr(lower, errors[i]))
            return WEIGHT_ERROR;
    return WEIGHT_PLAIN;
}

char *godwit_text_reason(const char *lines)
{
    g_auto(GStrv) each = g_strsplit(lines, "\n", -1);
    const char *best = NULL;
    enum weight most = WEIGHT_NONE;
    for (guint i = 0; each[i]; i++) {
        const enum weight weight = weigh(each[i]);
        /* The first error is the cause. Among other lines, the last one counts. */
        if (weight > most || (weight == most && weight && weight < WEIGHT_ERROR)) {
            best = each[i];
            most = weight;
        }
    }
    return best ? g_strstrip(g_strdup(best)) : NULL;
}

const char *godwit_text_last_lines(const char *text, unsigned lines)
{
    const char *from = text + strlen(text);
    while (from > text && (from[-1] != '\n' || lines-- > 1))
        from--;
    return from;
}
