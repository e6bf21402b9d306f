/*
 * Sets of known bugs, which say what a run accepts.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <string.h>

/* Returns the number of the bug with that id, or -1. Entries of the same bug have the same number.
 */
static int number_of(const char *id)
{
    const struct godwit_bug *bug;
    int number = 0;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++) {
        if (!strcmp(bug->id, id))
            return number;
        number += godwit_bug_find(bug->id) == bug;
    }
    return -1;
}

enum { WORD_BITS = 64 };

/* Adds the bug NUMBER. */
static void set_add(struct godwit_bug_set *set, unsigned number)
{
    g_assert(number < G_N_ELEMENTS(set->words) * WORD_BITS);
    set->words[number / WORD_BITS] |= (uint64_t)1 << number % WORD_BITS;
}

bool godwit_bug_set_has(const struct godwit_bug_set *set, const char *id)
{
    const unsigned number = (unsigned)number_of(id);
    return set->words[number / WORD_BITS] >> number % WORD_BITS & 1;
}

struct godwit_bug_set godwit_bug_set_all(void)
{
    struct godwit_bug_set set = {{0}};
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++)
        set_add(&set, (unsigned)number_of(bug->id));
    return set;
}

static bool add(const char *id, struct godwit_bug_set *set, GError **error)
{
    const int number = number_of(id);
    if (number >= 0) {
        set_add(set, (unsigned)number);
        return true;
    }
    const struct godwit_bug_set every = godwit_bug_set_all();
    g_autofree char *all = godwit_bug_set_text(&every);
    g_auto(GStrv) ids = g_strsplit(all, ",", -1);
    g_autofree char *known = g_strjoinv(", ", ids);
    return godwit_fail(error, GODWIT_ERROR_USAGE,
                       "--accept-known: unknown bug \"%s\" (expected one of %s)", id, known);
}

static bool add_file(const char *path, struct godwit_bug_set *set, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_file_get_contents(path, &text, NULL, &cause))
        return godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "--accept-known: %s", cause->message);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        lines[i][strcspn(lines[i], "#")] = '\0';
        g_strstrip(lines[i]);
        if (*lines[i] && !add(lines[i], set, error))
            return false;
    }
    return true;
}

bool godwit_bug_set_parse(const char *text, struct godwit_bug_set *set, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    if (!parts[0])
        return add("", set, error);
    for (guint i = 0; parts[i]; i++)
        if (!(parts[i][0] == '@' ? add_file(parts[i] + 1, set, error) : add(parts[i], set, error)))
            return false;
    return true;
}

char *godwit_bug_set_text(const struct godwit_bug_set *set)
{
    GString *text = g_string_new(NULL);
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++)
        if (godwit_bug_find(bug->id) == bug && godwit_bug_set_has(set, bug->id))
            g_string_append_printf(text, "%s%s", text->len ? "," : "", bug->id);
    return g_string_free(text, text->len == 0);
}
