/*
 * Parses the output of `info mtree -f -o`. It has a block for each view:
 *
 *   FlatView #2
 *    AS "memory", root: system
 *    AS "cpu-memory-0", root: system
 *    Root memory region: system
 *     0000000000000000-00000000000bffff (prio 0, ram): pc.ram owner:{obj path=/objects/pc.ram}
 *     00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000 parent:{...}
 *
 * Names may contain blanks ("bochs dispi interface"). An owner with an ID has "dev id=ID", one
 * without a path has "obj type=TYPE" and is followed by its parent.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/mtree.h"

#include <stdio.h>
#include <string.h>

static void range_clear(gpointer data)
{
    struct godwit_range *range = data;
    g_free(range->name);
    g_free(range->owner);
}

static void view_free(gpointer data)
{
    struct godwit_view *view = data;
    g_ptr_array_unref(view->spaces);
    g_free(view->root);
    g_array_unref(view->ranges);
    g_free(view);
}

static struct godwit_view *view_new(void)
{
    struct godwit_view *view = g_new0(struct godwit_view, 1);
    view->spaces = g_ptr_array_new_with_free_func(g_free);
    view->ranges = g_array_new(FALSE, TRUE, sizeof(struct godwit_range));
    g_array_set_clear_func(view->ranges, range_clear);
    return view;
}

/* Returns the text between PREFIX, with which LINE must begin, and the last SUFFIX of the rest. The
 * caller frees it. Returns NULL if LINE has another form. */
static char *between(const char *line, const char *prefix, const char *suffix)
{
    if (!g_str_has_prefix(line, prefix))
        return NULL;
    line += strlen(prefix);
    const char *end = g_strrstr(line, suffix);
    return end ? g_strndup(line, (gsize)(end - line)) : NULL;
}

static bool parse_kind(const char *word, enum godwit_range_kind *kind)
{
    static const struct {
        const char *word;
        enum godwit_range_kind kind;
    } kinds[] = {
        {"ram", GODWIT_RANGE_RAM},    {"ramd", GODWIT_RANGE_RAM_DEVICE},
        {"rom", GODWIT_RANGE_ROM},    {"romd", GODWIT_RANGE_ROM_DEVICE},
        {"i/o", GODWIT_RANGE_IO},     {"container", GODWIT_RANGE_CONTAINER},
        {"nv-ram", GODWIT_RANGE_RAM},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!strcmp(word, kinds[i].word)) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* Returns the path of the object that the text from " owner:{" or " parent:{" on names first, or
 * NULL if it has only types. The caller frees it. */
static char *parse_owner(const char *text)
{
    const char *path = strstr(text, " path="), *id = strstr(text, " id=");
    const char *start = id && (!path || id < path) ? id : path;
    if (!start)
        return NULL;
    const char *value = strchr(start, '=') + 1;
    g_autofree char *name = g_strndup(value, strcspn(value, "}"));
    return start == id ? g_strconcat("/machine/peripheral/", name, NULL) : g_steal_pointer(&name);
}

/* Splits "NAME[ @OFFSET][ ACCELERATOR][ owner:{...}][ parent:{...}]". TEXT is modified. */
static bool parse_region(char *text, struct godwit_range *range)
{
    char *owner = strstr(text, " owner:{"), *parent = strstr(text, " parent:{");
    char *first = owner ? owner : parent;
    if (first) {
        range->owner = parse_owner(first);
        *first = '\0';
    }
    /* KVM marks the ranges that it maps into the guest. */
    if (g_str_has_suffix(text, " KVM"))
        text[strlen(text) - strlen(" KVM")] = '\0';
    char *at = g_strrstr(text, " @");
    if (at && strlen(at + 2) == 16 && strspn(at + 2, "0123456789abcdef") == 16) {
        range->offset = g_ascii_strtoull(at + 2, NULL, 16);
        *at = '\0';
    }
    range->name = g_strdup(text);
    return *text != '\0';
}

/* Parses the line of a range, which comes after those of VIEW. LINE is modified. */
static bool parse_range(char *line, struct godwit_view *view)
{
    struct godwit_range range = {0};
    char kind[16];
    unsigned long long start, last;
    int region = -1;
    if (sscanf(line, "  %16llx-%16llx (prio %d, %15[-a-z/]): %n", &start, &last, &range.priority,
               kind, &region) != 4 ||
        region < 0 || !parse_kind(kind, &range.kind) || start > last)
        return false;
    const guint count = view->ranges->len;
    if (count && g_array_index(view->ranges, struct godwit_range, count - 1).last >= start)
        return false;
    range.start = start;
    range.last = last;
    const bool well = parse_region(line + region, &range);
    g_array_append_val(view->ranges, range);
    return well;
}

/* Parses a line that belongs to VIEW. LINE is modified. */
static bool parse_line(char *line, struct godwit_view *view)
{
    char *space = between(line, " AS \"", "\", root: ");
    if (space) {
        g_ptr_array_add(view->spaces, space);
        return true;
    }
    if (g_str_has_prefix(line, " Root memory region: ")) {
        const char *root = line + strlen(" Root memory region: ");
        g_free(view->root);
        view->root = strcmp(root, "(none)") != 0 ? g_strdup(root) : NULL;
        return true;
    }
    return !strcmp(line, "  No rendered FlatView") || parse_range(line, view);
}

struct godwit_mtree *godwit_mtree_parse(const char *text, GError **error)
{
    struct godwit_mtree *mtree = g_new0(struct godwit_mtree, 1);
    mtree->views = g_ptr_array_new_with_free_func(view_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    struct godwit_view *view = NULL;
    for (guint i = 0; lines[i]; i++) {
        g_autofree char *line = g_strdup(g_strchomp(lines[i]));
        if (!*line)
            continue;
        if (g_str_has_prefix(line, "FlatView #")) {
            view = view_new();
            g_ptr_array_add(mtree->views, view);
        } else if (!view || !parse_line(line, view)) {
            g_autofree char *shown = g_strescape(lines[i], NULL);
            godwit_fail(error, GODWIT_ERROR_QMP, "`%s`: cannot read line %u: \"%.200s\"",
                        GODWIT_MTREE_COMMAND, i + 1, shown);
            godwit_mtree_free(mtree);
            return NULL;
        }
    }
    if (mtree->views->len)
        return mtree;
    godwit_fail(error, GODWIT_ERROR_QMP, "`%s`: the output has no view", GODWIT_MTREE_COMMAND);
    godwit_mtree_free(mtree);
    return NULL;
}

void godwit_mtree_free(struct godwit_mtree *mtree)
{
    if (!mtree)
        return;
    g_ptr_array_unref(mtree->views);
    g_free(mtree);
}

const struct godwit_view *godwit_mtree_view(const struct godwit_mtree *mtree, const char *space)
{
    for (guint i = 0; i < mtree->views->len; i++) {
        const struct godwit_view *view = g_ptr_array_index(mtree->views, i);
        for (guint j = 0; j < view->spaces->len; j++)
            if (!strcmp(g_ptr_array_index(view->spaces, j), space))
                return view;
    }
    return NULL;
}

const struct godwit_range *godwit_view_find(const struct godwit_view *view, const char *name)
{
    for (guint i = 0; view && i < view->ranges->len; i++) {
        const struct godwit_range *range = &g_array_index(view->ranges, struct godwit_range, i);
        if (!strcmp(range->name, name))
            return range;
    }
    return NULL;
}
