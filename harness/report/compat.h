/*
 * What can go from one QEMU to another, and what cannot: the findings of `godwit compat`, grouped
 * by cause, and compared with a baseline.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_REPORT_COMPAT_H
#define GODWIT_HARNESS_REPORT_COMPAT_H

#include "base/error.h"
#include "base/json.h"

/* What came of moving one machine, from the best to the worst. */
enum godwit_compat {
    GODWIT_COMPAT_SAME,    /* it arrived, and all is as it was */
    GODWIT_COMPAT_UNTRIED, /* it cannot be started, or does not let itself be migrated */
    GODWIT_COMPAT_KNOWN,   /* a known bug that the user accepts */
    GODWIT_COMPAT_VARIES,  /* it cannot go, and no QEMU has promised that it could */
    GODWIT_COMPAT_MISSING, /* the destination has no such device, or no such CPU model */
    GODWIT_COMPAT_REFUSED, /* the destination does not load it */
    GODWIT_COMPAT_LOST,    /* it arrived with another state, or other registers */
    GODWIT_COMPAT_CRASHED, /* a QEMU died */
    GODWIT_COMPAT_ERROR,   /* nothing is known: the host or Godwit failed */
    GODWIT_COMPATS,        /* how many there are */
};

/* Returns its name, such as "refused". */
const char *godwit_compat_name(enum godwit_compat compat);

/* One machine that was moved from one binary to another. */
struct godwit_compat_cell {
    unsigned source, destination; /* numbers of the binaries */
    char *arch, *machine;         /* "x86_64", "pc-q35-7.2" */
    char *subject;                /* the device or CPU model, or "" for the machine as it is */
    bool cpu;                     /* the subject is a CPU model */
    bool together;                /* it was tried with other devices, which arrived as well */
    bool unpromised;              /* no QEMU promises that others have the same under this name */
    enum godwit_compat compat;
    char *reason; /* one line; "" if there is nothing to say */
    char *cause;  /* the same in all cells with this cause; NULL: the reason */
    bool known;   /* the cause is a known bug */
    char *again;  /* the command line that does it again, or NULL */
};

/* What trying a suspicion has shown. */
enum godwit_compat_trial {
    GODWIT_COMPAT_NOT_TRIED, /* the device was not moved */
    GODWIT_COMPAT_LOADS,     /* it arrived all the same */
    GODWIT_COMPAT_CONFIRMED, /* it did not arrive as it was */
};

/* A difference between the descriptions of a device's state (-dump-vmstate) of two binaries. */
struct godwit_compat_suspicion {
    unsigned source, destination;
    char *arch, *machine, *subject;
    char *text;   /* "esp.drq_state: the destination reads a field that the source lacks" */
    bool certain; /* it breaks whenever the device is there, as far as the descriptions tell */
};

/* All that was found. */
struct godwit_compat_table {
    GPtrArray *binaries;   /* of char *: how each is told apart from the others, in their order */
    GPtrArray *versions;   /* of char *: the version of each, "10.0.13" */
    GPtrArray *cells;      /* of struct godwit_compat_cell */
    GPtrArray *suspicions; /* of struct godwit_compat_suspicion */
    GPtrArray *notes;      /* of char *: what was left out, a line each */
};

/* Adds a suspicion. Copies the strings. */
void godwit_compat_suspect(struct godwit_compat_table *table,
                           const struct godwit_compat_suspicion *suspicion);

/* Returns what the cells say of a suspicion. */
enum godwit_compat_trial godwit_compat_trial(const struct godwit_compat_table *table,
                                             const struct godwit_compat_suspicion *suspicion);

/* Returns its name, such as "confirmed". */
const char *godwit_compat_trial_name(enum godwit_compat_trial trial);

struct godwit_compat_table *godwit_compat_table_new(void);
void godwit_compat_table_free(struct godwit_compat_table *table);

/* Adds a cell that is not filled in. Copies the strings. Returns it, borrowed. */
struct godwit_compat_cell *godwit_compat_add(struct godwit_compat_table *table, unsigned source,
                                             unsigned destination, const char *arch,
                                             const char *machine, const char *subject);

/* Fills CELL in from the result of its job. */
void godwit_compat_take(struct godwit_compat_cell *cell, const json_t *result);

/* A cause: what strikes several machines or devices in the same way. */
struct godwit_compat_cause {
    unsigned source, destination;
    enum godwit_compat compat;
    const char *arch;
    char *key;           /* what all of them have in common */
    const char *reason;  /* of the first */
    GPtrArray *machines; /* of const char *, each once, borrowed from the cells */
    GPtrArray *subjects; /* likewise */
    bool cpu;            /* the subjects are CPU models */
    const char *again;   /* of the first */
    bool new;            /* it has something that is not in the baseline */
};

/* Groups the cells that are neither the same nor untried, the worst first: an array of struct
 * godwit_compat_cause, which the caller unreferences before it frees TABLE. */
GPtrArray *godwit_compat_causes(const struct godwit_compat_table *table);

/* Returns whether a cell is a finding: something that cannot go as it is. */
bool godwit_compat_is_finding(const struct godwit_compat_cell *cell);

/* Returns the table's findings as a baseline. The caller releases it. */
json_t *godwit_compat_baseline(const struct godwit_compat_table *table);

/*
 * Reads the baseline in TEXT and marks the CAUSES that have findings that it has not. Returns how
 * many findings are new, or -1. Fails with USAGE if it is no baseline, or one of other binaries:
 * versions are compared by their first two numbers, so that a baseline serves the next build of a
 * series. NAME is for messages.
 */
int godwit_compat_judge(const struct godwit_compat_table *table, GPtrArray *causes,
                        const char *text, const char *name, GError **error);

/*
 * Writes the table in FORMAT: "text", "json" or "html", with ":FILE" to write to a file instead of
 * standard output. ABOUT is that of godwit_about(), for JSON. JUDGED: there is a baseline. Fails
 * with ENVIRONMENT if it cannot be written.
 */
bool godwit_compat_write(const char *format, const struct godwit_compat_table *table,
                         const GPtrArray *causes, const json_t *about, bool judged, GError **error);

#endif
