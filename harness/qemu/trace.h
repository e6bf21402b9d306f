/*
 * The lines that QEMU's trace backend "log" writes, with their time of day. QEMU is not trusted:
 * what is not such a line is skipped.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_TRACE_H
#define GODWIT_HARNESS_QEMU_TRACE_H

#include <glib.h>
#include <stdbool.h>

struct godwit_trace {
    gint64 at;  /* time of day, in microseconds */
    char *name; /* of the event */
    char *rest; /* its values, as the event formats them */
};

/* Returns the lines of TEXT that are trace events with a stamp, as struct godwit_trace: at most
 * GODWIT_TRACES_MAX. Stamps are "PID@SECONDS.MICROSECONDS:" or, from QEMU 11 on, ISO 8601. The
 * caller unreferences it. */
GPtrArray *godwit_trace_parse(const char *text);

#define GODWIT_TRACES_MAX 20000

/* Sets *VALUE to the integer after NAME= in the values of TRACE. Returns false if there is none. */
bool godwit_trace_integer(const struct godwit_trace *trace, const char *name, gint64 *value);

/* Returns what is between BEFORE and AFTER in the values of TRACE, which the caller frees; NULL if
 * one of them is missing. An empty AFTER means the end of the line. */
char *godwit_trace_between(const struct godwit_trace *trace, const char *before, const char *after);

#endif
