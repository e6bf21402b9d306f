/*
 * Quotes words for a POSIX shell.
 *
 * Plain words stay as they are. Printable words get quotes. All others become the output of
 * printf(1), so that a terminal never receives their control characters.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/shell.h"

#include "base/text.h"
#include <string.h>

/* Characters that have no special meaning for any shell, wherever they are in a word. */
#define PLAIN                                                                                      \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"                                         \
    "0123456789_=,./:+"

char *godwit_shell_word(const char *text)
{
    if (*text && strspn(text, PLAIN "-") == strlen(text))
        return g_strdup(text);
    if (godwit_text_is_tame(text))
        return g_shell_quote(text);
    GString *word = g_string_new("\"$(printf '");
    for (; *text; text++)
        if (strchr(PLAIN, *text))
            g_string_append_c(word, *text);
        else
            g_string_append_printf(word, "\\%03o", (unsigned char)*text);
    g_string_append(word, "')\"");
    return g_string_free(word, FALSE);
}

void godwit_shell_append(GString *line, const char *text)
{
    g_autofree char *word = godwit_shell_word(text);
    g_string_append_printf(line, " %s", word);
}

void godwit_shell_append_option(GString *line, const char *option, const char *value)
{
    g_autofree char *word = godwit_shell_word(value);
    g_string_append_printf(line, " %s %s", option, word);
}
