/*
 * Shared by the subcommands: the process-wide state that main() owns, the options that choose
 * guests and binaries, and the targets that result from them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_COMMAND_COMMAND_H
#define GODWIT_HARNESS_COMMAND_COMMAND_H

#include "run/run.h"
#include <limits.h>

/* The state of the whole process, on main()'s stack. */
struct godwit_process {
    bool interrupted; /* a signal has asked the process to end, or the janitor has died */
    int signal;       /* that signal; 0: none */
    int wake_up;      /* becomes readable when that signal comes; valid while source is not 0 */
    guint source;     /* id of the GSource that wakes up the main loop when a signal comes */
    char *folder;     /* temporary folder of the run, which the janitor removes; NULL before
                         godwit_process_begin() */
    struct godwit_janitor *janitor;
};

/* Makes the temporary folder and the janitor that removes it, contains everything that will be
 * started, and handles the signals that end a run. Call it before anything is started. Fails with
 * ENVIRONMENT. */
bool godwit_process_begin(struct godwit_process *process, GError **error);

/* Unblocks the signals that end a run. The parent process may have blocked them. */
void godwit_process_unblock(void);

/* Ends everything that the process has started and removes the folder. Fails with ENVIRONMENT if
 * the janitor had died. */
bool godwit_process_end(struct godwit_process *process, GError **error);

/* The value of a number that was not given. No option accepts it. */
#define GODWIT_NOT_GIVEN INT_MIN

struct godwit_target;

/* The options that choose what to start, as given. If an option was not given, its string is NULL,
 * or its number GODWIT_NOT_GIVEN or the default. */
struct godwit_options {
    char **arch;
    char **qemu;
    char **qemu_src, **qemu_dst; /* every source with every destination */
    gboolean cross;
    char *peer, *peer_address; /* NULL: not given */
    char *direction;           /* "upgrade", "downgrade" or "both"; NULL: both */
    char *machine, *image, *accel;
    int memory;
    char *window;
    int page_size;
    int dirty_rate;
    int page_ticks;
    int cpus;
    char *workload;              /* names, separated by commas */
    const char *usual_workloads; /* default of WORKLOAD */
    int hops;
    gint64 seed;
    double timeout_scale;
    char *read_memory;
    struct godwit_bug_set accepted; /* known bugs that are not failures */
    gboolean strict;
    char *src_args, *dst_args; /* arguments of QEMU for one side, as one text */
    json_t *settings;          /* --set, see migrate/settings.h; NULL: none */
    gboolean unthrottled, no_waterfall;
    double give_up; /* in seconds; 0: not given */
    int pause_iteration, postcopy_iteration;
    /* What comes of them and of the words behind "--", see godwit_options_further(). */
    char **source_words, **destination_words; /* NULL: none */
    unsigned machine_cpus;
    bool fixed_memory;      /* RAM cannot be chosen by the scenario */
    unsigned command_words; /* how many of them, the first ones, a command line has */
    bool theirs;            /* the guest is what the command line boots */
    char *after;            /* of such a guest, see struct godwit_setup */
};

/* Checks --peer and what comes with it. */
bool godwit_peer_check(const struct godwit_options *options, GError **error);

/* Writes programs that stand for the QEMUs of MACHINES on the other host, and makes OPTIONS, a
 * copy, name them as destinations. *PROGRAMS are their folders, which the caller frees once OPTIONS
 * are no longer used. */
bool godwit_peer_wrap(const struct godwit_process *process, const GPtrArray *machines,
                      struct godwit_options *options, char ***programs, GError **error);

/* Returns the binary on the other host for which the program PATH stands. The caller frees it. */
char *godwit_peer_program(const struct godwit_options *options, const char *path, const char *arch);

/* The option that all subcommands have that run scenarios. */
#define GODWIT_ALLOW_ALL_SKIPPED(flag)                                                             \
    {                                                                                              \
        "allow-all-skipped", 0, 0, G_OPTION_ARG_NONE, flag,                                        \
            "Exit with 0 even if nothing ran, because everything was skipped", NULL                \
    }

/* Sets all options to their defaults, with a random seed. */
void godwit_options_init(struct godwit_options *options);
void godwit_options_clear(struct godwit_options *options);

/* Returns the option group of OPTIONS, with the help texts. The caller adds it to a context. */
GOptionGroup *godwit_options_group(struct godwit_options *options);

/*
 * Parses a subcommand's arguments. For `--help`, prints the help and sets *HELPED. The words behind
 * "--" are arguments of QEMU, for OPTIONS; it is NULL if the subcommand starts no QEMU. Fails with
 * USAGE, in one line, if an argument is wrong.
 */
bool godwit_options_parse(GOptionContext *context, struct godwit_options *options, int *argc,
                          char ***argv, bool *helped, GError **error);

/* Takes WORDS, the arguments of QEMU for both sides, which may be NULL, and those for one side into
 * OPTIONS, which then say what they choose. Fails with USAGE if Godwit cannot use them. */
bool godwit_options_further(struct godwit_options *options, char *const *words, GError **error);

/* Takes the command line in the file PATH ("-": standard input) into OPTIONS: its QEMU, machine and
 * accelerator, unless OPTIONS have them, and its other arguments, before those that OPTIONS have.
 * Fails with USAGE if Godwit cannot run it. */
bool godwit_options_command(struct godwit_options *options, const char *path, GError **error);

/* Starts the target's QEMUs once with the further arguments, if there are any, unless TRIED has
 * them already. Fails with USAGE if a QEMU rejects them. */
bool godwit_target_try(struct godwit_process *process, const struct godwit_options *options,
                       const struct godwit_target *target, GHashTable *tried, GError **error);

/* Fails with USAGE if options exclude each other or a value is out of range. */
bool godwit_options_check(const struct godwit_options *options, GError **error);

/* Returns whether the options ask for a target of these two. SAME: they are one entry of --qemu. */
bool godwit_options_pair(const struct godwit_options *options, const struct godwit_qemu *source,
                         const struct godwit_qemu *destination, bool same);

/* One guest, with one workload, on one pair of binaries, ready to start. */
struct godwit_target {
    struct godwit_setup setup;
    struct godwit_qemu *source, *destination; /* owned */
    char *name; /* its name in reports: the architecture, the workload unless it is `order`, and the
                 * QEMUs' versions if they are needed to distinguish targets; owned */
    char *accel_reason; /* the reason for the accelerator; owned */
    bool second;        /* an earlier target differs only in the workload */
};

void godwit_target_free(struct godwit_target *target);

/*
 * Returns the targets that the options choose: of each architecture named, or, without --arch, of
 * the one that --qemu is for, or else of each whose qemu-system-ARCH is in $PATH. Probes the
 * binaries. Prints on stderr which architectures are left out because their binary is missing. The
 * caller unreferences the array of struct godwit_target. Fails with USAGE or ENVIRONMENT, for
 * example if the host's memory has no room for PARALLEL jobs at a time; 0 if no job will run.
 */
GPtrArray *godwit_targets(struct godwit_process *process, const struct godwit_options *options,
                          unsigned parallel, GError **error);

/* Gives SETUP, that of a target, the workload NAME with what the options choose for it. Fails with
 * USAGE if the guest cannot run it. */
bool godwit_target_choose(struct godwit_setup *setup, const struct godwit_options *options,
                          const char *name, GError **error);

/* Gives each target a unique name, because results are counted by name. */
void godwit_targets_name(const GPtrArray *targets);

/* Returns the width of a column for the targets' names, at least 8. */
int godwit_targets_width(const GPtrArray *targets);

/* Returns the command line of this process, quoted for a shell. The caller frees it. */
char *godwit_command_line(void);

/* Returns what is tested: "kit" (Godwit's version), "date", "host", "command", "qemus" (by path,
 * with version, package and sha256) and "targets". The caller releases it. */
json_t *godwit_about(const GPtrArray *targets);

/* Part INDEX of COUNT equal parts of a selection, counted from 1. */
struct godwit_shard {
    unsigned index, count;
};

/* Parses the argument of --shard; NULL is the whole. "auto" takes the numbers that an engine has
 * put into the environment, and prints them on stderr: see shard.c. Fails with USAGE. */
bool godwit_shard_parse(const char *text, struct godwit_shard *shard, GError **error);

/* How long scenarios took in an earlier run. The caller frees it. */
struct godwit_times;
typedef struct godwit_times godwit_times;

/* Reads the times from results that --format json has written. Fails with ENVIRONMENT if the file
 * cannot be read, and with USAGE if it has no results. */
struct godwit_times *godwit_times_read(const char *path, GError **error);
void godwit_times_free(struct godwit_times *times);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_times, godwit_times_free)

/* Deals JOBS, which are those of all shards, to the shards: in turn, or, with TIMES, so that all
 * take as long as each other; then says on stderr how long that is if PARALLEL scenarios run at a
 * time. Returns the number of each job's shard, an unsigned from 1. The caller unreferences the
 * array. */
GArray *godwit_shard_deal(const struct godwit_shard *shard, const struct godwit_times *times,
                          const GPtrArray *jobs, unsigned parallel);

/* What a run has selected, over all shards. The caller frees it. */
typedef struct godwit_selection godwit_selection;
godwit_selection *godwit_selection_new(void);
void godwit_selection_free(godwit_selection *selection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(godwit_selection, godwit_selection_free)

/* Adds the first repetition of a job to the selection. */
void godwit_selection_add(godwit_selection *selection, const struct godwit_job *job);

/* Adds to the selection how its jobs were dealt by recorded times: shards that have read other
 * times are not of one run. */
void godwit_selection_add_deal(godwit_selection *selection, const GArray *owners);

/* Returns a reporter for each of FORMATS, or one that writes text to standard output if that is
 * NULL. See godwit_reporters_open(). */
GPtrArray *godwit_reporters_open_or_text(char *const *formats, GError **error);

/* Connects a run with its REPORTERS before it begins: adds each to OBSERVERS, tells those that want
 * to know what is tested, and lets JOBS report their progress if a report shows it. SELECTION is
 * that of JOBS on TARGETS, with PART and REPETITIONS as godwit_selection_end() takes them. */
void godwit_reporters_begin(GPtrArray *reporters, GPtrArray *observers, const GPtrArray *targets,
                            const GPtrArray *jobs, godwit_selection *selection,
                            const struct godwit_shard *part, unsigned repetitions);

/* Returns the description of the selection for results: "shard", "shards", "scenarios" (on all
 * targets and shards), "repetitions" (0: endless) and "fingerprint". ABOUT is from godwit_about().
 * Nothing can be added any more. The caller releases the description. */
json_t *godwit_selection_end(godwit_selection *selection, const json_t *about,
                             const struct godwit_shard *shard, unsigned repetitions);

/* Returns a job that runs SCENARIO on TARGET, or an ad-hoc migration if SCENARIO is NULL. The
 * caller frees it. */
struct godwit_job *godwit_target_job(const struct godwit_target *target,
                                     const struct godwit_scenario *scenario);

/* Returns the scenarios that match any of the globs, in the order of the globs, or all scenarios if
 * GLOBS is NULL or empty. Where only a QEMU can say what a glob matches, it returns the prototype.
 * The caller unreferences the array. Fails with USAGE if a glob matches no scenario. */
GPtrArray *godwit_match_scenarios(char **globs, GError **error);

/* Returns SCENARIOS, the result of godwit_match_scenarios() for GLOBS, with each prototype replaced
 * by what the target's source has of it. The caller unreferences the array. */
GPtrArray *godwit_target_scenarios(struct godwit_process *process,
                                   const struct godwit_target *target, const GPtrArray *scenarios,
                                   char **globs, GError **error);

/* Fails with ENVIRONMENT if PARALLEL jobs with guests of MIB MiB do not fit into the host's free
 * memory. */
bool godwit_enough_memory(unsigned mib, unsigned parallel, GError **error);

/* Runs each scenario on each target that can run it, RUNS times, PARALLEL at a time. Each run of a
 * scenario has another seed. Prints failures on stderr. Returns the results, an array that the
 * caller releases, and their totals in *SUMMARY. A scenario that a target cannot run counts as
 * skipped. */
json_t *godwit_collect(struct godwit_process *process, const GPtrArray *targets,
                       const GPtrArray *scenarios, unsigned runs, unsigned parallel,
                       struct godwit_summary *summary);

/* Runs the jobs, PARALLEL at a time. Prints failures on stderr. Returns the results, an array that
 * the caller releases, and their totals in *SUMMARY. */
json_t *godwit_collect_jobs(struct godwit_process *process, GPtrArray *jobs, unsigned parallel,
                            struct godwit_summary *summary);

/* What may follow a number, and what it means. */
struct godwit_suffix {
    const char *name;
    double factor;
};

/* Parses a number above 0 with one of UNITS, the last of which has no name. OPTION and EXAMPLE are
 * for the message. Fails with USAGE. */
bool godwit_speed_quantity(const char *option, const char *text, const struct godwit_suffix *units,
                           const char *example, double *value, GError **error);

/* Parses a time, such as 90s, 5m or 1h. Fails with USAGE. */
bool godwit_speed_time(const char *option, const char *text, double *seconds, GError **error);

/* Completes options whose migrations are measured: at full speed, with a dirty rate. */
void godwit_speed_complete(struct godwit_options *options);

/* Prepares a setup whose migration is measured: chooses its window, unless the user has, and its
 * RAM. */
void godwit_speed_prepare(const struct godwit_scenario *scenario, struct godwit_setup *setup);

/* Fails with USAGE unless there is one target. COMMAND is for the message. */
bool godwit_speed_only_one(const char *command, const GPtrArray *targets, GError **error);

/* Prints what the last of WORDS, those behind "godwit" on a command line, can become: see
 * complete.c. Returns the exit status of the process. */
int godwit_complete(char *const *words);

/* The main function of a program that stands for a QEMU on another host. WORDS are the command that
 * connects to that host, the QEMU and its arguments. Returns the exit status, or ends by the signal
 * that has ended the QEMU. */
int godwit_remote_main(char **words);

/* The subcommands. Each takes its name and the arguments behind it, and sets *STATUS to the exit
 * status. If it returns false, main() prints ERROR and derives the exit status from it. */
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
bool godwit_command_compare(struct godwit_process *process, int argc, char **argv, int *status,
                            GError **error);
bool godwit_command_sweep(struct godwit_process *process, int argc, char **argv, int *status,
                          GError **error);
bool godwit_command_compat(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error);
bool godwit_command_stream(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error);
bool godwit_command_serve(struct godwit_process *process, int argc, char **argv, int *status,
                          GError **error);
bool godwit_command_report(struct godwit_process *process, int argc, char **argv, int *status,
                           GError **error);

#endif
