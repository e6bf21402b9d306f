/*
 * What the subcommands share: the process-wide things that `main` owns, the options that choose
 * guests and binaries, and the targets that come of them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_COMMAND_H
#define GODWIT_HARNESS_COMMAND_COMMAND_H

#include "run/run.h"
#include <limits.h>

/* Of the whole process; on main's stack. */
struct godwit_process {
    bool interrupted; /* a signal asked for the end, or the janitor is gone ... */
    int signal;       /* ... that signal; 0: none */
    guint source;     /* what wakes up the main loop when a signal comes */
    char *folder;     /* temporary folder of the run; the janitor removes it. NULL before
                         godwit_process_begin() */
    struct godwit_janitor *janitor;
};

/* Makes the temporary folder and the janitor that removes it, contains what will be started, and
 * handles the signals that end a run. To be called before anything is started. */
bool godwit_process_begin(struct godwit_process *process, GError **error);

/* Unblocks the signals that end a run, which whoever started this process may have blocked. */
void godwit_process_unblock(void);

/* Ends everything that the process has started and removes the folder. Fails with ENVIRONMENT if
 * the janitor had died. */
bool godwit_process_end(struct godwit_process *process, GError **error);

/* A number that was not given: none of those that can be. */
#define GODWIT_NOT_GIVEN INT_MIN

/* The options that choose what to start, as given. Strings are NULL and numbers GODWIT_NOT_GIVEN
 * where the option was not. */
struct godwit_options {
    char **arch;
    char **qemu;
    char **qemu_src, **qemu_dst; /* every source with every destination */
    gboolean cross;
    char *machine, *image, *accel;
    int memory;
    char *window;
    int page_size;
    int dirty_rate;
    int page_ticks;
    int cpus;
    char *workload;              /* several with commas */
    const char *usual_workloads; /* the same, where none is given */
    int hops;
    gint64 seed;
    double timeout_scale;
    char *read_memory;
    uint64_t accepted; /* known bugs: a godwit_bug_set */
    gboolean strict;
};

/* The option that all have which run scenarios. */
#define GODWIT_ALLOW_ALL_SKIPPED(flag)                                                             \
    {                                                                                              \
        "allow-all-skipped", 0, 0, G_OPTION_ARG_NONE, flag,                                        \
            "Exit with 0 even if nothing ran, because everything was skipped", NULL                \
    }

/* Defaults. */
void godwit_options_init(struct godwit_options *options);
void godwit_options_clear(struct godwit_options *options);

/* The option group of those options, to be added to a context; its texts are the help. */
GOptionGroup *godwit_options_group(struct godwit_options *options);

/*
 * Parses a subcommand's arguments. USAGE error, in one line, for anything that is wrong; `--help`
 * prints and is *helped.
 */
bool godwit_options_parse(GOptionContext *context, int *argc, char ***argv, bool *helped,
                          GError **error);

/* USAGE error if options do not go together or a value is out of range. */
bool godwit_options_check(const struct godwit_options *options, GError **error);

/* One guest on one pair of binaries, ready to be started. */
struct godwit_target {
    struct godwit_setup setup;
    struct godwit_qemu *source, *destination; /* owned */
    char *name; /* how reports call it: the architecture, and the QEMUs' versions where there are
                 * several of one architecture; owned */
    char *accel_reason; /* why this accelerator; owned */
    bool second; /* there is another target for the same with another workload, before this one */
};

void godwit_target_free(struct godwit_target *target);

/*
 * The targets that the options choose: of each architecture named, or, without --arch, of the one
 * that --qemu is for, or else of each whose qemu-system-ARCH is in $PATH. Binaries are probed.
 * What is left out for want of a binary is told on stderr. An array of struct godwit_target, or
 * NULL with ERROR set.
 */
GPtrArray *godwit_targets(struct godwit_process *process, const struct godwit_options *options,
                          GError **error);

/* The width of the longest of their names, 8 or more: for columns. */
int godwit_targets_width(const GPtrArray *targets);

/* Returns what is tested: "kit" (Godwit's version), "date", "host", "command", "qemus" (by path,
 * with version, package and sha256) and "targets". The caller owns it. */
json_t *godwit_about(const GPtrArray *targets);

/* A job for that target: the scenario, or an ad-hoc migration if it is NULL. */
struct godwit_job *godwit_target_job(const struct godwit_target *target,
                                     const struct godwit_scenario *scenario);

/* Scenarios that match any of the globs (NULL or empty: all), in order. USAGE error if a
 * glob matches none. The array is the caller's. */
GPtrArray *godwit_match_scenarios(char **globs, GError **error);

/* ENVIRONMENT error if PARALLEL jobs of the largest target would not fit into the host's memory. */
bool godwit_enough_memory(const GPtrArray *targets, unsigned parallel, GError **error);

/* Runs each scenario on each target that can run it, RUNS times, PARALLEL at a time; each run of a
 * scenario has the next seed. What fails is told on stderr. The results are the caller's, and
 * *SUMMARY says how many ended how; what a target cannot run counts as skipped. */
json_t *godwit_collect(struct godwit_process *process, const GPtrArray *targets,
                       const GPtrArray *scenarios, unsigned runs, unsigned parallel,
                       struct godwit_summary *summary);

/* The subcommands. Each takes what follows its name and gives the exit status; false with ERROR set
 * for what main has to tell. */
typedef bool (*godwit_command)(struct godwit_process *process, int argc, char **argv, int *status,
                               GError **error);
bool godwit_command_run(struct godwit_process *process, int argc, char **argv, int *status,
                        GError **error);
bool godwit_command_list(struct godwit_process *process, int argc, char **argv, int *status,
                         GError **error);
bool godwit_command_doctor(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error);
bool godwit_command_migrate(struct godwit_process *process, int argc, char **argv, int *status,
                            GError **error);
bool godwit_command_selftest(struct godwit_process *process, int argc, char **argv, int *status,
                             GError **error);
bool godwit_command_bench(struct godwit_process *process, int argc, char **argv, int *status,
                          GError **error);
bool godwit_command_stream(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error);

#endif
