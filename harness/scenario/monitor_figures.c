/*
 * Each figure that query-migrate reports must be in `info migrate`, with the same value. QEMU 10.1
 * has changed the names of most, and prints sizes with three digits and a unit, where earlier ones
 * print kilobytes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/monitor.h"

#include <math.h>
#include <string.h>

char *godwit_monitor_show(struct godwit_vm *vm, GError **error)
{
    g_autofree char *help = godwit_vm_monitor(vm, "help info migrate", error);
    if (!help)
        return NULL;
    return godwit_vm_monitor(vm, strstr(help, "[-a]") ? "info migrate -a" : "info migrate", error);
}

bool godwit_monitor_expect(struct godwit_vm *vm, const char *pattern, GError **error)
{
    g_autofree char *shown = godwit_monitor_show(vm, error);
    if (!shown)
        return false;
    if (g_regex_match_simple(pattern, shown, 0, 0))
        return true;
    g_strdelimit(shown, "\r\n\t", ' ');
    return godwit_fail(error, GODWIT_ERROR_QMP,
                       "the %s's \"info migrate\" does not match \"%s\": %s", vm->name, pattern,
                       shown);
}

/* How a figure is printed. */
enum form {
    WHOLE,      /* as it is */
    KIBIBYTES,  /* bytes, rounded down to kilobytes of 1024 bytes */
    SIZE,       /* bytes, as three digits and a unit */
    HUNDREDTHS, /* with two digits after the point */
};

/* What SIZE keeps of a number: three digits. */
#define SIZE_PART 0.005

/* A figure of query-migrate. LABEL is a regular expression that matches what stands before it. */
struct figure {
    const char *object, *name; /* NULL: not in an object */
    struct {
        const char *label; /* NULL: not shown */
        enum form form;
    } before, since;  /* QEMU 10.1 */
    bool unless_zero; /* need not be shown if it is 0 */
};

static const struct figure figures[] = {
    {NULL, "total-time", {"\ntotal time: ", WHOLE}, {"\nTime \\(ms\\):\\s+total=", WHOLE}, false},
    {NULL, "setup-time", {"\nsetup: ", WHOLE}, {", setup=", WHOLE}, false},
    {NULL, "downtime", {"\ndowntime: ", WHOLE}, {", down=", WHOLE}, false},
    {NULL,
     "cpu-throttle-percentage",
     {"\ncpu throttle percentage: ", WHOLE},
     {"\nCPU Throttle \\(%\\): ", WHOLE},
     false},
    {NULL,
     "postcopy-blocktime",
     {"\npostcopy blocktime: ", WHOLE},
     {"\nPostcopy Blocktime \\(ms\\): ", WHOLE},
     false},
    {NULL, "postcopy-latency", {NULL, WHOLE}, {"\nPostcopy Latency \\(ns\\): ", WHOLE}, false},
    {"ram",
     "mbps",
     {"\nthroughput: ", HUNDREDTHS},
     {"\n  Throughput \\(Mbps\\):\\s+", HUNDREDTHS},
     false},
    {"ram", "page-size", {"\npage size: ", KIBIBYTES}, {"pagesize=", SIZE}, false},
    {"ram", "total", {"\ntotal ram: ", KIBIBYTES}, {"pagesize=[^,]*, total=", SIZE}, false},
    {"ram",
     "transferred",
     {"\ntransferred ram: ", KIBIBYTES},
     {"\n  Transfers:\\s+transferred=", SIZE},
     false},
    {"ram", "remaining", {"\nremaining ram: ", KIBIBYTES}, {", remain=", SIZE}, false},
    {"ram", "precopy-bytes", {"\nprecopy ram: ", KIBIBYTES}, {"precopy=", SIZE}, true},
    {"ram", "multifd-bytes", {"\nmultifd bytes: ", KIBIBYTES}, {", multifd=", SIZE}, false},
    {"ram", "postcopy-bytes", {"\npostcopy ram: ", KIBIBYTES}, {", postcopy=", SIZE}, true},
    {"ram", "normal", {"\nnormal: ", WHOLE}, {"normal=", WHOLE}, false},
    {"ram", "normal-bytes", {"\nnormal bytes: ", KIBIBYTES}, {NULL, WHOLE}, false},
    {"ram", "duplicate", {"\nduplicate: ", WHOLE}, {", zero=", WHOLE}, false},
    {"ram", "pages-per-second", {"\npages-per-second: ", WHOLE}, {"\\stransfer=", WHOLE}, false},
    {"ram", "dirty-pages-rate", {"\ndirty pages rate: ", WHOLE}, {", dirty=", WHOLE}, true},
    {"ram", "dirty-sync-count", {"\ndirty sync count: ", WHOLE}, {"dirty_syncs=", WHOLE}, false},
    {"ram",
     "postcopy-requests",
     {"\npostcopy request count: ", WHOLE},
     {", postcopy_req=", WHOLE},
     true},
    {"ram", "downtime-bytes", {"\ndowntime ram: ", KIBIBYTES}, {", downtime_bytes=", WHOLE}, true},
    {"xbzrle-cache", "cache-size", {"\ncache size: ", WHOLE}, {"\nXBZRLE: size=", WHOLE}, false},
    {"xbzrle-cache",
     "bytes",
     {"\nxbzrle transferred: ", KIBIBYTES},
     {"\nXBZRLE: size=[0-9]*, transferred=", WHOLE},
     false},
    {"xbzrle-cache", "pages", {"\nxbzrle pages: ", WHOLE}, {", pages=", WHOLE}, false},
    {"xbzrle-cache", "cache-miss", {"\nxbzrle cache miss: ", WHOLE}, {", miss=", WHOLE}, false},
    {"xbzrle-cache",
     "cache-miss-rate",
     {"\nxbzrle cache miss rate: ", HUNDREDTHS},
     {"miss_rate=", HUNDREDTHS},
     false},
    {"xbzrle-cache",
     "encoding-rate",
     {"\nxbzrle encoding rate: ", HUNDREDTHS},
     {", encode_rate=", HUNDREDTHS},
     false},
    {"xbzrle-cache", "overflow", {"\nxbzrle overflow: ", WHOLE}, {", overflow=", WHOLE}, false},
};

/* Returns how many bytes UNIT stands for; 1 for none. */
static double unit_bytes(const char *unit)
{
    static const char prefixes[] = "KMGTPE";
    const char *prefix = *unit ? strchr(prefixes, *unit) : NULL;
    return prefix ? ldexp(1, 10 * (int)(prefix - prefixes + 1)) : 1;
}

/* Returns whether VALUE can be printed as SHOWN, with UNIT. */
static bool prints_as(double value, enum form form, double shown, const char *unit)
{
    double error = 0;
    if (form == KIBIBYTES)
        value = floor(value / 1024);
    else if (form == SIZE) {
        shown *= unit_bytes(unit);
        error = value * SIZE_PART;
    } else if (form == HUNDREDTHS)
        error = 0.005 + 1e-9; /* the last digit is rounded, as the binary value is */
    return fabs(shown - value) <= error;
}

/* Judges one figure, whose value is VALUE, in what `info migrate` has SHOWN. */
static bool judge_figure(struct godwit_vm *vm, const struct figure *figure, double value,
                         const char *shown, GError **error)
{
    const bool is_new = strstr(shown, "Status:") != NULL;
    const char *label = is_new ? figure->since.label : figure->before.label;
    const enum form form = is_new ? figure->since.form : figure->before.form;
    if (!label)
        return true;
    g_autofree char *pattern = g_strdup_printf("%s([0-9.e+]+) ?([A-Za-z]*)", label);
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, error);
    g_autoptr(GMatchInfo) match = NULL;
    if (!regex)
        return false;
    const bool there = g_regex_match(regex, shown, 0, &match);
    if (!there && figure->unless_zero && value == 0)
        return true;
    g_autofree char *number = there ? g_match_info_fetch(match, 1) : NULL;
    g_autofree char *unit = there ? g_match_info_fetch(match, 2) : NULL;
    if (there && prints_as(value, form, g_ascii_strtod(number, NULL), unit))
        return true;
    g_autofree char *text = g_strdup(shown);
    g_strdelimit(text, "\r\n\t", ' ');
    return godwit_fail(error, GODWIT_ERROR_QMP,
                       "the %s's query-migrate has %s%s%s: %.15g, but its \"info migrate\" shows "
                       "%s%s%s: %s",
                       vm->name, figure->object ? figure->object : "", figure->object ? "." : "",
                       figure->name, value, there ? number : "no such figure",
                       there && *unit ? " " : "", there ? unit : "", text);
}

bool godwit_monitor_judge_figures(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(vm, "query-migrate", NULL, error);
    g_autofree char *printed = info ? godwit_monitor_show(vm, error) : NULL;
    json_int_t compared = 0;
    if (!printed)
        return false;
    g_auto(GStrv) lines = g_strsplit(printed, "\r", -1);
    g_autofree char *text = g_strjoinv("", lines);
    g_autofree char *shown = g_strconcat("\n", text, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(figures); i++) {
        const json_t *of = figures[i].object ? json_object_get(info, figures[i].object) : info;
        const json_t *value = json_object_get(of, figures[i].name);
        if (!json_is_number(value))
            continue;
        if (!judge_figure(vm, &figures[i], json_number_value(value), shown, error))
            return false;
        compared++;
    }
    /* A destination may have none. */
    if (!compared && !godwit_vm_has_argument(vm, "-incoming"))
        return godwit_fail(
            error, GODWIT_ERROR_QMP,
            "the %s's query-migrate has none of the figures that \"info migrate\" shows", vm->name);
    godwit_testbed_measure_member(vm->testbed, "figures", vm->name, json_integer(compared));
    return true;
}

bool godwit_monitor_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    testbed->by_monitor = true;
    return godwit_course_run(testbed, &scenario->spec, error);
}

static bool judge_both(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return godwit_monitor_judge_figures(source, error) &&
           godwit_monitor_judge_figures(destination, error);
}

/* Checks that the blocktime of the only CPU is shown as well, which is that of all. */
static bool judge_postcopy(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    g_autoptr(json_t) info = godwit_vm_execute(destination, "query-migrate", NULL, error);
    if (!info || !judge_both(source, destination, error))
        return false;
    const json_t *each = json_object_get(info, "postcopy-vcpu-blocktime");
    if (json_array_size(each) != 1)
        return true;
    g_autofree char *pattern =
        g_strdup_printf("(?i)postcopy vcpu blocktime[^:]*:[\\s\\[]*%" JSON_INTEGER_FORMAT "\\b",
                        json_integer_value(json_array_get(each, 0)));
    return godwit_monitor_expect(destination, pattern, error);
}

/* Percentages of auto-converge: one step, which lasts until the bandwidth is lifted. */
#define THROTTLE 25
static const struct godwit_capability converge[] = {{"auto-converge", true}, {NULL, false}};
static const struct godwit_parameter one_step[] = {{"cpu-throttle-initial", THROTTLE, NULL},
                                                   {"max-cpu-throttle", THROTTLE, NULL},
                                                   {NULL, 0, NULL}};

/* Waits until the source throttles its guest. No event reports it, but it happens when an iteration
 * begins. */
static bool see_throttle(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    for (guint iteration = 1;;) {
        g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
        if (!info)
            return false;
        if (godwit_json_integer(info, "cpu-throttle-percentage", 0))
            break;
        if (!godwit_migrate_next_iteration(source, &iteration, error))
            return false;
    }
    return godwit_monitor_expect(source, "(?i)cpu throttle[^:]*: +" G_STRINGIFY(THROTTLE) "\\b",
                                 error);
}

static const struct godwit_capability blocktime[] = {{"postcopy-blocktime", true}, {NULL, false}};
static const struct godwit_capability none[] = {{NULL, false}};
static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};

static bool unthrottle(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return godwit_course_unthrottle_postcopy(source, error);
}

/* A migration to nobody fails. `info migrate` shows the reason that query-migrate has. */
static bool run_failed(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    testbed->by_monitor = true;
    struct godwit_vm *source, *destination;
    if (!godwit_course_both(testbed, "destination", true, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(source, none, error))
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_FAIL);
    if (!godwit_migrate_start(source, "tcp:127.0.0.1:1", false, error) ||
        !godwit_migrate_wait(source, "failed", error))
        return false;
    g_autoptr(json_t) info = godwit_vm_execute(source, "query-migrate", NULL, error);
    if (!info)
        return false;
    g_autofree char *reason = g_regex_escape_string(godwit_json_string(info, "error-desc", ""), -1);
    g_autofree char *pattern = g_strdup_printf("(?i)status:\\s+failed \\(%s\\)", reason);
    return godwit_monitor_expect(source, pattern, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

GODWIT_SCENARIOS(monitor_figures) = {
    {
        .name = "monitor/multifd",
        .summary = "by the human monitor: multifd; info migrate has each figure of query-migrate",
        .run = godwit_monitor_run,
        .spec = {.capabilities = multifd, .judge = judge_both},
    },
    {
        .name = "monitor/blocktime",
        .summary = "by the human monitor: postcopy; info migrate has each figure of both sides",
        .run = godwit_monitor_run,
        .spec = {.move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .capabilities = blocktime,
                 .released = unthrottle,
                 .judge = judge_postcopy},
    },
    {
        .name = "monitor/throttle",
        .summary = "by the human monitor: auto-converge; info migrate has the throttle",
        .slow = true,
        .run = godwit_monitor_run,
        .spec = {.capabilities = converge,
                 .parameters = one_step,
                 .live = see_throttle,
                 .judge = judge_both},
    },
    {
        .name = "monitor/failed",
        .summary = "by the human monitor: a migration to nobody; info migrate has the reason",
        .run = run_failed,
    },
};
GODWIT_SCENARIOS_END(monitor_figures);
