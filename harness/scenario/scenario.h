/*
 * Scenarios. Each is an entry of a table: data and, where data is not enough, a hook. Each family
 * of scenarios is a file in this folder that ends with its table: GODWIT_SCENARIOS(family) =
 * {{...}, ...}; and GODWIT_SCENARIOS_END(family);
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_SCENARIO_H
#define GODWIT_HARNESS_SCENARIO_SCENARIO_H

#include "course/course.h"

struct godwit_scenario {
    const char *name;      /* "precopy/unix/plain"; of a prototype "device/NAME", see below */
    const char *summary;   /* one line for `godwit list` */
    const char *qemu_name; /* the same test in QEMU's own migration-test, or NULL */
    /* Runs the scenario. NULL: godwit_course_run() with the spec. */
    bool (*run)(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error);
    struct godwit_spec spec;
    const char *needs;  /* features that both QEMUs must have, as godwit_qemu_lacks() reads
                        * them, in addition to the spec's capabilities and parameters */
    const char *accel;  /* the only accelerator that it is for; NULL: any */
    bool slow;          /* takes long, so that it runs only on request */
    bool quick;         /* `godwit run --quick` runs it: in about a second it shows that one way to
                         * move a guest, or to find that it was not moved, works */
    bool random;        /* makes random choices by the setup's seed */
    bool hops;          /* its deadline is the default, times the number of the setup's hops */
    unsigned deadlines; /* likewise, times this number; 0: once */
    /* Returns what this setup or this host lacks for the scenario, if no other field expresses it,
     * or NULL. The caller frees it. NULL: the other fields suffice. */
    struct godwit_lack *(*lacks)(const struct godwit_setup *setup);
    const void *data; /* for `run`, in a form of the family's own */
    /* The state that its hooks share, in testbed->state. Each file of scenarios with such a state
     * defines its own struct godwit_scenario_state. */
    size_t state;                                       /* its size; it is zeroed. 0: none */
    void (*clear)(struct godwit_scenario_state *state); /* frees its members; NULL: it owns none */
    uint32_t flags; /* GODWIT_FLAG_* for the guest, in addition to VERIFY */
    uint32_t cpus;  /* of the guest; 0: as many as the user asks for */
    bool whole;     /* uses all of the image's window, unless the user chooses one ... */
    bool wide;      /* ... or more of it than the default, as every postcopy does */
    bool order;     /* tests `order`, or hardly memory at all: does not run with `stamp` */
    bool anywhere; /* can run between two hosts, over TCP in place of its spec's transport; one over
                    * TCP, with no steps of its own, can without this */
    bool cold; /* what is sent does not depend on what is dirty, so that a known bug that loses the
                * last writes to few pages leaves them alone: the window may be small */
    uint32_t
        content;     /* default content of `stamp`: GODWIT_FLAG_SPARSE, _ZERO or _MIXED; 0: MIXED */
    unsigned lap_ms; /* the guest takes so long for a pass, or longer, by its own timer; 0: it is as
                      * fast as the user asks for */
    /* Changes the guest's parameters, which are the image's own with what the user asked for. NULL:
     * godwit_scenario_default(). */
    void (*prepare)(const struct godwit_scenario *scenario, struct godwit_workload *workload);
    /* Moves the window, which has its final size, to where the scenario needs it in the RAM of this
     * machine. NULL: it stays where it is. */
    void (*place)(struct godwit_setup *setup);
    /*
     * A row with this hook is a prototype: it stands for a scenario for each thing that a QEMU has,
     * and its name ends in GODWIT_NAME. The hook asks a QEMU without a machine for their names, as
     * a NULL-terminated array that the caller frees; it fails with an error of QMP.
     */
    char **(*names)(struct godwit_vm *vm, GError **error);
};

/* What the name of a prototype ends in. */
#define GODWIT_NAME "/NAME"

/* Sets the default parameters of a guest: VERIFY, the scenario's flags, and a PASS after each pass,
 * which shows progress soonest. SCENARIO is NULL for an ad-hoc migration, which has no flags. */
void godwit_scenario_default(const struct godwit_scenario *scenario,
                             struct godwit_workload *workload);

/* Returns what SETUP lacks if its guest cannot run `stamp`, or NULL: a "lacks" of scenarios that
 * always run it. */
struct godwit_lack *godwit_scenario_lacks_stamp(const struct godwit_setup *setup);

/* Completes SETUP for the scenario (NULL: an ad-hoc migration). Its workload must be the image's
 * own with what the user asked for. Unless the user or the scenario chooses otherwise, the guest
 * gets a small part of the image's window, and little RAM. */
void godwit_scenario_prepare(const struct godwit_scenario *scenario, struct godwit_setup *setup);

/* The scenarios of one file. GODWIT_SCENARIOS_END() puts a pointer to them into a linker section,
 * so that there is no central list to maintain. */
struct godwit_family {
    const struct godwit_scenario *rows;
    size_t count;
};

#define GODWIT_SCENARIOS(family) static const struct godwit_scenario family##_rows[]

/* Ends a family's table and registers it. */
#define GODWIT_SCENARIOS_END(family)                                                               \
    static const struct godwit_family family##_family = {family##_rows,                            \
                                                         G_N_ELEMENTS(family##_rows)};             \
    static const struct godwit_family *const family##_entry                                        \
        __attribute__((used, section("godwit_families"))) = &family##_family

/* Returns all scenarios but prototypes, sorted by name. The caller frees the array with
 * g_ptr_array_unref(). */
GPtrArray *godwit_scenario_all(void);

/* Returns all prototypes, sorted by name. The caller frees the array with g_ptr_array_unref(). */
GPtrArray *godwit_scenario_prototypes(void);

/* Returns the scenario of that name, or NULL. A name that fits a prototype always finds one: only a
 * QEMU knows whether it has such a thing. */
const struct godwit_scenario *godwit_scenario_find(const char *name);

/* Returns the part of a prototype's name, or of a name that was made from one, that is the same in
 * all of them: "device/". SCENARIO must be such a one. The caller frees it. */
char *godwit_scenario_prefix(const struct godwit_scenario *scenario);

/* Returns what stands for NAME in the name of a scenario that was made from a prototype. Borrowed
 * from the scenario. */
const char *godwit_scenario_subject(const struct godwit_scenario *scenario);

/* Returns whether the guest's workload may be `stamp`. */
bool godwit_scenario_stamps(const struct godwit_scenario *scenario);

/* Returns whether the machine type has a version: "pc-q35-7.2" has one, "virt" does not. */
bool godwit_scenario_has_version(const char *type);

/* Returns why this host cannot use userfaultfd, or NULL if it can. A row's hook `lacks`; the caller
 * frees it. */
struct godwit_lack *godwit_scenario_lacks_userfaultfd(const struct godwit_setup *setup);

/* Returns whether the speed of the scenario's migration can be measured: it takes the common
 * course, with no step of its own in it that would take time, and its guest arrives. */
bool godwit_scenario_is_measurable(const struct godwit_scenario *scenario);

/* Returns what this host, this machine or these binaries lack for the scenario, or NULL if they can
 * run it. The caller frees it. */
struct godwit_lack *godwit_scenario_lacks(const struct godwit_scenario *scenario,
                                          const struct godwit_setup *setup);

/* Returns the same as a reason to skip. The caller frees it. */
char *godwit_scenario_skip_reason(const struct godwit_scenario *scenario,
                                  const struct godwit_setup *setup);

/* Returns the scenario's deadline in seconds, before scaling. It grows with the guest's RAM, which
 * a host that is short of memory gives slowly. SCENARIO may be NULL. */
double godwit_scenario_seconds(const struct godwit_scenario *scenario,
                               const struct godwit_setup *setup);

/* Runs the scenario. Afterwards the testbed has its measurements and what its oracles compared. */
bool godwit_scenario_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error);

#endif
