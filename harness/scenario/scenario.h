/*
 * Scenarios: a row of data plus, where needed, a hook. Each family is one file in this folder; its
 * last screen is the table of its rows, GODWIT_SCENARIOS(family) = { {...}, ... };
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_SCENARIO_H
#define GODWIT_HARNESS_SCENARIO_SCENARIO_H

#include "course/course.h"

struct godwit_scenario {
    const char *name;      /* "precopy/unix/plain" */
    const char *summary;   /* one line for `godwit list` */
    const char *qemu_name; /* the same test in QEMU's own migration-test, or NULL */
    /* What it does; NULL: godwit_course_run() of the spec. */
    bool (*run)(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error);
    struct godwit_spec spec;
    const char *needs; /* features of both QEMUs beside the spec's capabilities and parameters,
                        * as godwit_qemu_lacks() has them */
    const char *accel; /* the only accelerator that it makes sense with; NULL: any */
    bool slow;         /* takes so long that it runs only when asked for */
    bool random;       /* chooses something by the setup's seed */
    bool hops;         /* has the usual deadline once for each of setup's hops */
    /* Why this setup on this host cannot run it, for what the rest of the row cannot say: the
     * caller's; NULL if it can. The hook may be NULL. */
    char *(*skip_reason)(const struct godwit_setup *setup);
    const void *data; /* what `run` wants to know beside; the family's own */
    uint32_t flags;   /* GODWIT_FLAG_* for the guest, beside VERIFY */
    uint32_t cpus;    /* of the guest; 0: as many as the user asks for */
    bool whole;       /* wants the guest's own window, if the user does not say another ... */
    bool wide;        /* ... or more pages than others do, as all do whose spec is a postcopy */
    bool order;       /* is about the workload `order`, or hardly about memory: not for `stamp` */
    uint32_t
        content; /* what `stamp` writes, if the user does not say: GODWIT_FLAG_SPARSE or _ZERO */
    /* Changes the guest's parameters, which are the image's own and what the user asked for; NULL:
     * godwit_scenario_default(). */
    void (*prepare)(const struct godwit_scenario *scenario, struct godwit_workload *workload);
};

/* What guests are told unless a scenario wants something else: VERIFY, the scenario's flags (none
 * of an ad-hoc migration, NULL), and a PASS after each pass, the quickest to show progress. */
void godwit_scenario_default(const struct godwit_scenario *scenario,
                             struct godwit_workload *workload);

/* Makes of SETUP's workload, the image's own with what the user asked for, what the scenario (or an
 * ad-hoc migration, NULL) tells its guests: over a small part of the image's own window and in
 * little RAM, unless the user or the scenario wants another. */
void godwit_scenario_prepare(const struct godwit_scenario *scenario, struct godwit_setup *setup);

/* The rows of one file. GODWIT_SCENARIOS_END() puts a pointer to it into a linker section of its
 * own, so no list elsewhere has to be kept. */
struct godwit_family {
    const struct godwit_scenario *rows;
    size_t count;
};

#define GODWIT_SCENARIOS(family) static const struct godwit_scenario family##_rows[]

/* Ends a family's table, and registers it. */
#define GODWIT_SCENARIOS_END(family)                                                               \
    static const struct godwit_family family##_family = {family##_rows,                            \
                                                         G_N_ELEMENTS(family##_rows)};             \
    static const struct godwit_family *const family##_entry                                        \
        __attribute__((used, section("godwit_families"))) = &family##_family

/* Every scenario, sorted by name. The array is the caller's (g_ptr_array_unref). */
GPtrArray *godwit_scenario_all(void);

/* The scenario of that name, or NULL. */
const struct godwit_scenario *godwit_scenario_find(const char *name);

/* Whether the guest's workload may be `stamp`. */
bool godwit_scenario_stamps(const struct godwit_scenario *scenario);

/* Why this host, machine and these binaries cannot run the scenario, the caller's; NULL if they
 * can. */
char *godwit_scenario_skip_reason(const struct godwit_scenario *scenario,
                                  const struct godwit_setup *setup);

/* The seconds that it has, before scaling. */
double godwit_scenario_seconds(const struct godwit_scenario *scenario,
                               const struct godwit_setup *setup);

/* Runs it. What it measured and proved is in the testbed. */
bool godwit_scenario_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error);

#endif
