/*
 * godwit complete WORD...: prints what the last word can become, for the completion of a shell. The
 * words are those behind "godwit" on its command line, the last one unfinished. It is no command
 * for people, so that the help does not list it.
 *
 * Each line is a candidate, a tab and a description. The line ":files" stands for file names, which
 * the shell completes itself. Commands and options come from the help texts of this program, names
 * from its tables: nothing is listed twice, and the shell's scripts need no update.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "bugs/bugs.h"
#include "guest/machine.h"
#include "oracle/ledger.h"
#include "report/report.h"
#include "stream/fault.h"
#include <string.h>

/* An option in a help text. */
struct option {
    char *name;    /* "--arch" */
    char *letter;  /* "-a", or NULL */
    char *value;   /* "ARCH", or NULL if it takes none */
    char *summary; /* the beginning of its description */
};

static void option_free(gpointer data)
{
    struct option *option = data;
    g_free(option->name);
    g_free(option->letter);
    g_free(option->value);
    g_free(option->summary);
    g_free(option);
}

/* Returns the lines of this program's help, or of that of COMMAND, if it is not NULL. The caller
 * frees them. */
static char **help_of(const char *command)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *text = NULL;
    char *words[] = {self, (char *)(uintptr_t)(command ? command : "--help"),
                     (char *)(uintptr_t)(command ? "--help" : NULL), NULL};
    int status;
    if (!self ||
        !g_spawn_sync(NULL, words, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text, NULL,
                      &status, NULL) ||
        status)
        return g_new0(char *, 1);
    return g_strsplit(text, "\n", -1);
}

/* Returns the options of COMMAND, an array that the caller unreferences. */
static GPtrArray *options_of(const char *command)
{
    GPtrArray *options = g_ptr_array_new_with_free_func(option_free);
    g_autoptr(GRegex) line =
        g_regex_new("^  (?:(-\\w), )?(--[\\w-]+)(?:=(\\S+))?  +(.*)$", 0, 0, NULL);
    g_auto(GStrv) lines = help_of(command);
    for (guint i = 0; lines[i]; i++) {
        g_autoptr(GMatchInfo) match = NULL;
        if (!g_regex_match(line, lines[i], 0, &match))
            continue;
        struct option *option = g_new0(struct option, 1);
        char *letter = g_match_info_fetch(match, 1), *value = g_match_info_fetch(match, 3);
        option->name = g_match_info_fetch(match, 2);
        option->summary = g_match_info_fetch(match, 4);
        option->letter = *letter ? letter : (g_free(letter), NULL);
        option->value = *value ? value : (g_free(value), NULL);
        g_ptr_array_add(options, option);
    }
    return options;
}

/* The word that is completed: what is kept of it, and what begins the candidates. */
struct word {
    char *kept;
    const char *begun;
};

/* Prints a candidate if the word begins it. */
static void offer(const struct word *word, const char *candidate, const char *summary)
{
    if (g_str_has_prefix(candidate, word->begun))
        printf("%s%s\t%s\n", word->kept, candidate, summary ? summary : "");
}

static void offer_all(const struct word *word, const char *const *candidates)
{
    for (size_t i = 0; candidates[i]; i++)
        offer(word, candidates[i], NULL);
}

static void offer_commands(const struct word *word)
{
    g_auto(GStrv) lines = help_of(NULL);
    g_autoptr(GRegex) line = g_regex_new("^  (-?-?\\w+) {2,}(\\w.*)$", 0, 0, NULL);
    for (guint i = 0; lines[i]; i++) {
        g_autoptr(GMatchInfo) match = NULL;
        if (!g_regex_match(line, lines[i], 0, &match))
            continue;
        g_autofree char *name = g_match_info_fetch(match, 1);
        g_autofree char *summary = g_match_info_fetch(match, 2);
        offer(word, name, summary);
    }
}

static void offer_scenarios(const struct word *word)
{
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    for (guint i = 0; i < all->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
        offer(word, scenario->name, scenario->summary);
    }
}

static void offer_faults(const struct word *word)
{
    const struct godwit_fault_kind *kind;
    for (unsigned i = 0; (kind = godwit_fault_kind_at(i)); i++)
        offer(word, godwit_fault_name(kind), godwit_fault_summary(kind));
}

static void offer_bugs(const struct word *word)
{
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++)
        if (godwit_bug_find(bug->id) == bug) /* a bug may have several entries */
            offer(word, bug->id, bug->summary);
}

static void offer_architectures(const struct word *word)
{
    for (size_t i = 0; i < godwit_machine_count(); i++)
        offer(word, godwit_machine_at(i)->arch, NULL);
}

static void offer_oracles(const struct word *word)
{
    for (int oracle = 0; oracle < GODWIT_ORACLES; oracle++)
        offer(word, godwit_oracle_name((enum godwit_oracle)oracle), NULL);
}

static void offer_formats(const struct word *word)
{
    g_autofree const char **names = godwit_report_formats();
    offer_all(word, names);
}

static void offer_files(const struct word *word)
{
    (void)word;
    puts(":files");
}

/* The values of an option: a function, or a list. */
static const struct {
    const char *option;
    void (*offer)(const struct word *word);
    const char *values[16];
} sources[] = {
    {"--arch", offer_architectures, {NULL}},
    {"--scenarios", offer_scenarios, {NULL}},
    {"--fault", offer_faults, {NULL}},
    {"--accept-known", offer_bugs, {NULL}},
    {"--oracle", offer_oracles, {NULL}},
    {"--qemu", offer_files, {NULL}},
    {"--qemu-src", offer_files, {NULL}},
    {"--qemu-dst", offer_files, {NULL}},
    {"--a", offer_files, {NULL}},
    {"--b", offer_files, {NULL}},
    {"--output", offer_files, {NULL}},
    {"--command", offer_files, {NULL}},
    {"--baseline", offer_files, {NULL}},
    {"--write-baseline", offer_files, {NULL}},
    {"--accel", NULL, {"auto", "tcg", "kvm"}},
    {"--direction", NULL, {"upgrade", "downgrade", "both"}},
    {"--read-memory", NULL, {"process", "pmemsave"}},
    {"--transport", NULL, {"unix", "tcp"}},
    {"--guest", NULL, {"godwit", "theirs"}},
    {"--image", NULL, {"x86_rom", "x86_bootsect"}},
    {"--workload",
     NULL,
     {"order", "order:uniform", "stamp", "stamp:mixed", "stamp:whole", "stamp:sparse", "stamp:zero",
      "stamp:stride", "stamp:random"}},
    {"--shard", NULL, {"auto"}},
    {"--devices", NULL, {"all", "common", "none"}},
    {"--cpu-models", NULL, {"all", "none"}},
};

static bool is_one_of(const char *word, const char *const *words)
{
    return g_strv_contains(words, word);
}

/* Offers the values of an option of COMMAND that TEXT begins. BEFORE comes before TEXT in the word:
 * the shells expect whole words. */
static void offer_values(const char *command, const struct option *option, const char *before,
                         const char *text)
{
    static const char *const measuring[] = {"compare", "sweep", NULL};
    static const char *const figures[] = {"text", "json", "csv", NULL};
    static const char *const tables[] = {"text", "json", "html", NULL};
    const char *comma = strstr(option->value, ",") ? strrchr(text, ',') : NULL;
    if (!comma && (!strcmp(option->name, "--arch") || !strcmp(option->name, "--workload")))
        comma = strrchr(text, ',');
    const char *begun = comma ? comma + 1 : text;
    g_autofree char *list = g_strndup(text, (gsize)(begun - text));
    g_autofree char *kept = g_strconcat(before, list, NULL);
    const struct word word = {kept, begun};
    if (!strcmp(option->name, "--format")) {
        if (is_one_of(command, measuring))
            offer_all(&word, figures);
        else if (!strcmp(command, "compat"))
            offer_all(&word, tables);
        else
            offer_formats(&word);
        return;
    }
    if (!strcmp(option->name, "--preset") && !strcmp(command, "run"))
        offer(&word, "upgrade", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        if (strcmp(sources[i].option, option->name) != 0)
            continue;
        if (sources[i].offer)
            sources[i].offer(&word);
        else
            offer_all(&word, sources[i].values);
    }
}

/* Offers what is no option, behind BEFORE words of that kind. */
static void offer_operands(const char *command, guint before, const struct word *word)
{
    static const char *const with_scenarios[] = {"run",   "list",     "bench", "compare",
                                                 "sweep", "selftest", NULL};
    static const char *const with_actions[] = {"stream", "report", NULL};
    static const char *const stream[] = {"inspect", "verify", "json", "fields", "diff", NULL};
    static const char *const report[] = {"merge", "diff", "convert", NULL};
    if (is_one_of(command, with_scenarios))
        offer_scenarios(word);
    else if (is_one_of(command, with_actions) && !before)
        offer_all(word, !strcmp(command, "stream") ? stream : report);
    else if (is_one_of(command, with_actions) || !strcmp(command, "compat"))
        offer_files(word);
}

/* Returns the option that WORD, "--name" or "-n", is, or NULL. */
static const struct option *find(const GPtrArray *options, const char *word)
{
    for (guint i = 0; i < options->len; i++) {
        const struct option *option = g_ptr_array_index(options, i);
        if (!strcmp(option->name, word) || !g_strcmp0(option->letter, word))
            return option;
    }
    return NULL;
}

/* Completes the last of WORDS, the words behind COMMAND. */
static void complete(const char *command, char *const *words, guint count)
{
    const char *last = words[count - 1];
    const struct option *waiting = NULL; /* the option whose value the next word is */
    guint operands = 0;
    g_autoptr(GPtrArray) options = options_of(command);
    for (guint i = 0; i + 1 < count; i++) {
        if (!strcmp(words[i], "--"))
            return;
        const struct option *option = waiting ? NULL : find(options, words[i]);
        operands += !waiting && *words[i] != '-';
        waiting = option && option->value ? option : NULL;
    }
    if (waiting) {
        offer_values(command, waiting, "", last);
        return;
    }
    const char *equals = strchr(last, '=');
    g_autofree char *name = equals ? g_strndup(last, (gsize)(equals - last)) : NULL;
    const struct option *given = name ? find(options, name) : NULL;
    if (given && given->value && *last == '-') {
        g_autofree char *before = g_strconcat(name, "=", NULL);
        offer_values(command, given, before, equals + 1);
        return;
    }
    g_autofree char *nothing = g_strdup("");
    const struct word word = {nothing, last};
    for (guint i = 0; *last == '-' && i < options->len; i++) {
        const struct option *option = g_ptr_array_index(options, i);
        offer(&word, option->name, option->summary);
    }
    if (*last != '-')
        offer_operands(command, operands, &word);
}

int godwit_complete(char *const *words)
{
    const guint count = g_strv_length((char **)(uintptr_t)words);
    g_autofree char *nothing = g_strdup("");
    const struct word word = {nothing, count ? words[0] : ""};
    if (count < 2)
        offer_commands(&word);
    else if (words[0][0] != '-')
        complete(words[0], words + 1, count - 1);
    return fflush(stdout) ? 2 : 0;
}
