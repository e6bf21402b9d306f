/*
 * godwit selftest: tests the oracles. Runs the scenarios that inject a random fault, with one seed
 * after another, and prints which oracles found it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/text.h"
#include "qemu/host.h"
#include "report/report.h"
#include <string.h>

struct selftest_options {
    struct godwit_options target;
    int jobs;
    int runs;
    gboolean list;
    gboolean markdown;
    gboolean allow_all_skipped;
    char **globs;
};

/* The table's columns: the keys of a result's "seen", then "refused" and "nothing". */
static const char *const columns[] = {"twin",     "state",   "page order", "stamp",
                                      "position", "guest",   "console",    "progress",
                                      "alarms",   "process", "refused",    "nothing"};
enum { REFUSED = 10, NOTHING = 11 };

/* The outcomes of one fault on all targets. */
struct row {
    const char *name; /* of the scenario, borrowed */
    unsigned runs, wrong, skipped;
    unsigned seen[G_N_ELEMENTS(columns)];
    GHashTable *reasons; /* reason of a refusal -> number of refusals; owned */
    char *why;           /* the latest reason why nothing was seen, or NULL; owned */
};

static void row_free(gpointer data)
{
    struct row *row = data;
    g_hash_table_unref(row->reasons);
    g_free(row->why);
    g_free(row);
}

/* Returns the row of that scenario, which is made if necessary. */
static struct row *row_of(GPtrArray *rows, const char *name)
{
    for (guint i = 0; i < rows->len; i++) {
        struct row *row = g_ptr_array_index(rows, i);
        if (!strcmp(row->name, name))
            return row;
    }
    struct row *row = g_new0(struct row, 1);
    row->name = g_intern_string(name);
    row->reasons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_ptr_array_add(rows, row);
    return row;
}

/* Returns a reason with numbers and quoted text replaced, because they differ from run to run. The
 * caller frees it. */
static char *general(const char *reason)
{
    g_autoptr(GRegex) particular = g_regex_new("0x[0-9a-f]+|[0-9]+|'[^']*'|\"[^\"]*\"", 0, 0, NULL);
    return g_regex_replace_literal(particular, reason, -1, 0, "...", 0, NULL);
}

static void count(struct row *row, const json_t *result)
{
    const json_t *trial = json_object_get(json_object_get(result, "measurements"), "trial");
    const json_t *seen = json_object_get(trial, "seen");
    const char *reason = godwit_json_string(trial, "refused", NULL);
    if (!strcmp(godwit_json_string(result, "status", ""), "skip")) {
        row->skipped++;
        return;
    }
    row->runs++;
    if (!godwit_result_passed(result)) {
        row->wrong++;
        return;
    }
    for (unsigned i = 0; i < REFUSED; i++)
        row->seen[i] += json_object_get(seen, columns[i]) != NULL;
    if (reason) {
        char *text = general(reason);
        const guint times = GPOINTER_TO_UINT(g_hash_table_lookup(row->reasons, text));
        g_hash_table_replace(row->reasons, text, GUINT_TO_POINTER(times + 1));
        row->seen[REFUSED]++;
    } else if (json_object_size(seen) == 0) {
        row->seen[NOTHING]++;
        g_free(row->why);
        row->why = g_strdup(godwit_json_string(trial, "why", ""));
    }
}

/* Returns the most frequent reason, or NULL. Sets *OTHERS to the number of other reasons. */
static const char *main_reason(const struct row *row, guint *others)
{
    GHashTableIter iter;
    gpointer text, times;
    const char *best = NULL;
    guint most = 0;
    g_hash_table_iter_init(&iter, row->reasons);
    while (g_hash_table_iter_next(&iter, &text, &times)) {
        const guint n = GPOINTER_TO_UINT(times);
        if (n > most || (n == most && strcmp(text, best) < 0)) {
            best = text;
            most = n;
        }
    }
    *others = best ? g_hash_table_size(row->reasons) - 1 : 0;
    return best;
}

/* Returns how often each oracle saw the fault, in words. The caller frees it. */
static char *row_text(const struct row *row)
{
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        if (row->seen[i])
            g_string_append_printf(text, "%s%s %u", text->len ? ", " : "", columns[i],
                                   row->seen[i]);
    guint others;
    const char *reason = main_reason(row, &others);
    if (reason)
        g_string_append_printf(text, " (%s", reason);
    if (others)
        g_string_append_printf(text, ", and %u other reasons", others);
    if (reason)
        g_string_append_c(text, ')');
    if (row->seen[NOTHING] && row->why)
        g_string_append_printf(text, "; nothing: %s", row->why);
    if (row->skipped)
        g_string_append_printf(text, "%sskipped %u", text->len ? "; " : "", row->skipped);
    if (row->wrong)
        g_string_append_printf(text, "%sWRONG %u", text->len ? "; " : "", row->wrong);
    return g_string_free(text, FALSE);
}

static void print_text(const GPtrArray *rows)
{
    printf("%-28s %5s  found by\n", "fault", "runs");
    for (guint i = 0; i < rows->len; i++) {
        const struct row *row = g_ptr_array_index(rows, i);
        g_autofree char *text = row_text(row);
        g_autofree char *line = godwit_text_line(text);
        printf("%-28s %5u  %s\n", row->name, row->runs, line);
    }
}

static void print_markdown(const GPtrArray *rows)
{
    printf("| fault | runs |");
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        printf(" %s |", columns[i]);
    printf("\n|---|---|");
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        printf("---|");
    putchar('\n');
    for (guint i = 0; i < rows->len; i++) {
        const struct row *row = g_ptr_array_index(rows, i);
        printf("| `%s` | %u |", row->name, row->runs);
        for (size_t c = 0; c < G_N_ELEMENTS(columns); c++)
            if (row->seen[c])
                printf(" %u |", row->seen[c]);
            else
                printf(" - |");
        putchar('\n');
    }
}

/* Prints the totals. */
static void print_end(const GPtrArray *rows)
{
    unsigned runs = 0, found = 0, refused = 0, nothing = 0, wrong = 0, skipped = 0;
    for (guint i = 0; i < rows->len; i++) {
        const struct row *row = g_ptr_array_index(rows, i);
        runs += row->runs;
        wrong += row->wrong;
        skipped += row->skipped;
        refused += row->seen[REFUSED];
        nothing += row->seen[NOTHING];
        found += row->runs - row->wrong - row->seen[REFUSED] - row->seen[NOTHING];
    }
    printf("%u faults, %u runs: %u found by an oracle, %u refused by the destination, %u with "
           "nothing to find, %u wrong; %u skipped\n",
           rows->len, runs, found, refused, nothing, wrong, skipped);
}

static void print_kinds(void)
{
    const struct godwit_fault_kind *kind;
    for (unsigned i = 0; (kind = godwit_fault_kind_at(i)); i++) {
        g_autofree char *keys = godwit_fault_keys(kind);
        printf("%-18s %s (%s%s)\n", godwit_fault_name(kind), godwit_fault_summary(kind),
               godwit_fault_is_live(kind) ? "live; " : "", keys);
    }
}

/* Returns the matching scenarios that inject a random fault. Fails with USAGE if there is none. */
static GPtrArray *choose_faults(char **globs, GError **error)
{
    char *all[] = {(char *)(uintptr_t) "relay/*", NULL};
    g_autoptr(GPtrArray) matching = godwit_match_scenarios(globs ? globs : all, error);
    if (!matching)
        return NULL;
    g_autoptr(GPtrArray) faults = g_ptr_array_new();
    for (guint i = 0; i < matching->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(matching, i);
        if (g_str_has_prefix(scenario->name, "relay/") && scenario->random)
            g_ptr_array_add(faults, g_ptr_array_index(matching, i));
    }
    if (faults->len)
        return g_steal_pointer(&faults);
    godwit_fail(error, GODWIT_ERROR_USAGE, "no fault matches (see `godwit list 'relay/*'`)");
    return NULL;
}

static bool selftest(struct godwit_process *process, const struct selftest_options *options,
                     int *status, GError **error)
{
    g_autoptr(GPtrArray) scenarios = choose_faults(options->globs, error);
    if (!scenarios || !godwit_process_begin(process, error))
        return false;
    g_autoptr(GPtrArray) targets =
        godwit_targets(process, &options->target, (unsigned)options->jobs, error);
    if (!targets)
        return false;
    struct godwit_summary summary;
    g_autoptr(json_t) results = godwit_collect(process, targets, scenarios, (unsigned)options->runs,
                                               (unsigned)options->jobs, &summary);
    *status = godwit_summary_status(&summary);
    if (summary.interrupted)
        return true;
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(row_free);
    for (guint s = 0; s < scenarios->len; s++)
        row_of(rows, ((const struct godwit_scenario *)g_ptr_array_index(scenarios, s))->name);
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result)
    {
        count(row_of(rows, godwit_json_string(result, "scenario", "")), result);
    }
    if (options->markdown)
        print_markdown(rows);
    else
        print_text(rows);
    if (!options->markdown)
        print_end(rows);
    return godwit_summary_check(&summary, options->allow_all_skipped, error);
}

bool godwit_command_selftest(struct godwit_process *process, int argc, char **argv, int *status,
                             GError **error)
{
    struct selftest_options options = {
        .jobs = (int)MAX(1, godwit_host_processors() / 2),
        .runs = 1,
    };
    bool helped = false;
    godwit_options_init(&options.target);
    options.target.usual_workloads = "order,stamp";
    const GOptionEntry entries[] = {
        {"runs", 'n', 0, G_OPTION_ARG_INT, &options.runs,
         "Runs of each fault on each target, each with the next seed (default: 1)", "N"},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &options.jobs,
         "Runs in parallel, 1 to 256 (default: one per two processors)", "N"},
        {"list", 0, 0, G_OPTION_ARG_NONE, &options.list,
         "Only list the faults, with the keys that `godwit migrate --fault` takes", NULL},
        {"markdown", 0, 0, G_OPTION_ARG_NONE, &options.markdown,
         "Print the table as Markdown, as in docs/oracles.md", NULL},
        GODWIT_ALLOW_ALL_SKIPPED(&options.allow_all_skipped),
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.globs, NULL, NULL},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[GLOB...]");
    g_option_context_set_summary(
        context,
        "Tests the oracles: runs the scenarios relay/*, which inject one fault on the wire into "
        "each\nmigration, and prints how often each oracle found each fault.\n"
        "Exit status: 0 if every fault was found, refused or harmless, as its scenario requires, "
        "1 if\none was not, 2 after a usage or environment error or if nothing ran.");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, godwit_options_group(&options.target));
    bool good = godwit_options_parse(context, &options.target, &argc, &argv, &helped, error);
    if (good && !helped && (options.runs < 1 || options.jobs < 1 || options.jobs > 256))
        good = godwit_fail(error, GODWIT_ERROR_USAGE, "%s",
                           options.runs < 1 ? "--runs needs a number of 1 or more"
                                            : "-j needs a number from 1 to 256");
    if (good && !helped && options.list)
        print_kinds();
    else
        good = good && (helped || selftest(process, &options, status, error));
    godwit_options_clear(&options.target);
    g_strfreev(options.globs);
    return good;
}
