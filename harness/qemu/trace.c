/*
 * Parses trace lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/trace.h"

#include <string.h>

static void trace_free(gpointer data)
{
    struct godwit_trace *trace = data;
    g_free(trace->name);
    g_free(trace->rest);
    g_free(trace);
}

/* Reads "PID@SECONDS.MICROSECONDS:". Returns what follows, or NULL. */
static const char *read_seconds(const char *line, gint64 *at)
{
    char *end = NULL;
    const guint64 pid = g_ascii_strtoull(line, &end, 10);
    if (end == line || *end != '@' || !pid)
        return NULL;
    const char *seconds = end + 1;
    const guint64 whole = g_ascii_strtoull(seconds, &end, 10);
    /* Six digits of microseconds, and no sum beyond 64 bits. */
    if (end == seconds || *end != '.' || whole > G_MAXINT64 / (2 * G_USEC_PER_SEC))
        return NULL;
    const char *part = end + 1;
    const guint64 micro = g_ascii_strtoull(part, &end, 10);
    if (end - part != 6 || *end != ':')
        return NULL;
    *at = (gint64)(whole * G_USEC_PER_SEC + micro);
    return end + 1;
}

/* Reads an ISO 8601 stamp and a space. Returns what follows, or NULL. */
static const char *read_iso(const char *line, gint64 *at)
{
    const char *space = strchr(line, ' ');
    if (!space || !strchr("0123456789", *line) || !memchr(line, 'T', (size_t)(space - line)))
        return NULL;
    g_autofree char *stamp = g_strndup(line, (gsize)(space - line));
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(stamp, utc);
    if (!time)
        return NULL;
    *at = g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time);
    return space + 1;
}

static void read_line(const char *line, GPtrArray *traces)
{
    gint64 at = 0;
    const char *event = read_seconds(line, &at);
    if (!event)
        event = read_iso(line, &at);
    if (!event)
        return;
    const size_t length = strspn(event, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (!length || (event[length] != ' ' && event[length] != '\0'))
        return;
    struct godwit_trace *trace = g_new(struct godwit_trace, 1);
    trace->at = at;
    trace->name = g_strndup(event, length);
    trace->rest = g_strdup(event[length] ? event + length + 1 : "");
    g_ptr_array_add(traces, trace);
}

GPtrArray *godwit_trace_parse(const char *text)
{
    GPtrArray *traces = g_ptr_array_new_with_free_func(trace_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] && traces->len < GODWIT_TRACES_MAX; i++)
        read_line(lines[i], traces);
    return traces;
}

bool godwit_trace_integer(const struct godwit_trace *trace, const char *name, gint64 *value)
{
    g_autofree char *key = g_strdup_printf(" %s=", name);
    g_autofree char *all = g_strdup_printf(" %s", trace->rest);
    const char *found = strstr(all, key);
    char *end = NULL;
    if (!found)
        return false;
    const char *number = found + strlen(key);
    *value = g_ascii_strtoll(number, &end, 10);
    return end != number && (*end == ' ' || *end == '\0');
}

char *godwit_trace_between(const struct godwit_trace *trace, const char *before, const char *after)
{
    const char *begin = strstr(trace->rest, before);
    if (!begin)
        return NULL;
    begin += strlen(before);
    const char *end = *after ? strstr(begin, after) : begin + strlen(begin);
    return end ? g_strndup(begin, (gsize)(end - begin)) : NULL;
}
