/*
 * Jobs: across to the worker and back without a loss, nothing taken for a job that is none, and the
 * command line that runs one again.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/job.h"

#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/ledger.h"

#include <string.h>

#include "unit.h"

static struct godwit_qemu *qemu_new(const char *path, const char *version)
{
    struct godwit_qemu *qemu = g_new0(struct godwit_qemu, 1);
    qemu->path = g_strdup(path);
    qemu->version = g_strdup(version);
    qemu->package = g_strdup("some \"package\"");
    qemu->arch = g_strdup("ppc64");
    qemu->machines = json_pack("{s:s, s:s}", "pseries", "pseries-9", "pseries-9", "pseries-9");
    qemu->usual_type = g_strdup("pseries-9");
    qemu->features = json_pack("{s:b, s:b}", "capability xbzrle", 1, "command quit", 1);
    qemu->start_ms = 12.5;
    return qemu;
}

/* A job of which no field has the value that it has when nobody sets it. */
static struct godwit_job *job_new(const char *scenario)
{
    struct godwit_job *job = godwit_job_new();
    struct godwit_setup *setup = &job->setup;
    job->scenario = scenario ? godwit_scenario_find(scenario) : NULL;
    assert_true(!scenario || job->scenario);
    job->spec.transport = GODWIT_TRANSPORT_TCP;
    job->spec.move = GODWIT_MOVE_POSTCOPY_PAUSED;
    job->spec.suspend = true;
    static const struct godwit_capability capabilities[] = {{"xbzrle", true}, {"events", false}};
    g_array_append_vals(job->capabilities, capabilities, G_N_ELEMENTS(capabilities));
    static const struct godwit_parameter parameters[] = {
        {.name = "max-bandwidth", .value = INT64_MAX}, {.name = "less", .value = INT64_MIN}};
    g_array_append_vals(job->parameters, parameters, G_N_ELEMENTS(parameters));
    setup->machine = godwit_machine_find("ppc64");
    setup->image = godwit_machine_image(setup->machine, NULL);
    setup->type = job->type = g_strdup("pseries-7.2");
    setup->accel = job->accel = g_strdup("tcg");
    setup->machine_cpus = 77;
    static const char *const words[] = {"-device", "a b", "", NULL};
    setup->source_words = words;
    setup->destination_words = words + 1;
    godwit_job_own_words(job);
    setup->memory_mib = 300000;
    setup->memory_given = true;
    setup->source = qemu_new("/bin/\xc3\xa4", "7.2.0");
    setup->destination = qemu_new("/bin/b", "10.0.0");
    setup->workload = (struct godwit_workload){
        .window_start = UINT64_C(0x4000000000),
        .window_end = UINT64_C(0x4012345678),
        .page_size = 0x12345678,
        .passes_per_report = UINT32_MAX,
        .flags = 0x80000002,
        .page_ticks = 0xfffffffe,
        .cpus = 1,
        .seed = UINT64_MAX - 1,
        .usual_content = true,
    };
    setup->timeout_scale = 0.1; /* no sum of powers of two */
    setup->pmemsave = true;
    setup->oracles_off = (1u << GODWIT_ORACLE_PAGE_ORDER) | (1u << GODWIT_ORACLE_STAMP) |
                         (1u << GODWIT_ORACLE_POSITION) | (1u << GODWIT_ORACLE_CONTINUITY) |
                         (1u << GODWIT_ORACLE_IDENTITY);
    setup->seed = 0x123456789;
    job->fault = g_strdup("flip-bit:byte=1");
    g_autoptr(json_t) recipe = json_pack("{s:s}", "device", "e1000,id=subject");
    godwit_job_set_recipes(job, recipe, NULL);
    g_autoptr(json_t) settings = json_pack("{s:b, s:i}", "multifd", 1, "multifd-channels", 4);
    godwit_job_set_settings(job, settings);
    setup->unthrottled = true;
    setup->give_up = 2.5;
    setup->untraced = true;
    job->progress = true;
    job->keep = true;
    return job;
}

static void job_end(struct godwit_job *job)
{
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)job->setup.source);
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)job->setup.destination);
    godwit_job_free(job);
}

static void expect_qemu(const struct godwit_qemu *one, const struct godwit_qemu *other)
{
    assert_string_equal(one->path, other->path);
    assert_string_equal(one->version, other->version);
    assert_string_equal(one->package, other->package);
    assert_string_equal(one->arch, other->arch);
    assert_string_equal(one->usual_type, other->usual_type);
    assert_true(json_equal(one->machines, other->machines));
    assert_true(json_equal(one->features, other->features));
    assert_true(one->start_ms >= other->start_ms && one->start_ms <= other->start_ms);
}

static void expect_same(const struct godwit_job *one, const struct godwit_job *other)
{
    assert_ptr_equal(one->scenario, other->scenario);
    assert_int_equal(one->spec.transport, other->spec.transport);
    assert_int_equal(one->spec.move, other->spec.move);
    assert_int_equal(one->spec.suspend, other->spec.suspend);
    assert_true(!one->source_recipe == !other->source_recipe &&
                !one->destination_recipe == !other->destination_recipe);
    assert_true(!one->source_recipe || json_equal(one->source_recipe, other->source_recipe));
    assert_ptr_equal(other->setup.source_recipe, other->source_recipe);
    assert_ptr_equal(other->setup.destination_recipe, other->destination_recipe);
    assert_true(json_equal(one->settings, other->settings));
    assert_ptr_equal(other->setup.settings, other->settings);
    assert_int_equal(one->setup.unthrottled, other->setup.unthrottled);
    assert_int_equal(one->setup.untraced, other->setup.untraced);
    assert_true(one->setup.give_up >= other->setup.give_up &&
                one->setup.give_up <= other->setup.give_up);
    assert_int_equal(one->capabilities->len, other->capabilities->len);
    for (guint i = 0; i < one->capabilities->len; i++) {
        const struct godwit_capability *c = &g_array_index(one->capabilities,
                                                           struct godwit_capability, i),
                                       *d = &g_array_index(other->capabilities,
                                                           struct godwit_capability, i);
        assert_string_equal(c->name, d->name);
        assert_int_equal(c->on, d->on);
    }
    assert_int_equal(one->parameters->len, other->parameters->len);
    for (guint i = 0; i < one->parameters->len; i++) {
        const struct godwit_parameter *p = &g_array_index(one->parameters, struct godwit_parameter,
                                                          i),
                                      *q = &g_array_index(other->parameters,
                                                          struct godwit_parameter, i);
        assert_string_equal(p->name, q->name);
        assert_true(p->value == q->value);
        assert_null(p->text);
    }
    assert_ptr_equal(one->setup.machine, other->setup.machine);
    assert_ptr_equal(one->setup.image, other->setup.image);
    assert_string_equal(one->setup.type, other->setup.type);
    assert_int_equal(one->setup.machine_cpus, other->setup.machine_cpus);
    assert_true(g_strv_equal(one->setup.source_words, other->setup.source_words));
    assert_true(g_strv_equal(one->setup.destination_words, other->setup.destination_words));
    assert_int_equal(one->setup.oracles_off, other->setup.oracles_off);
    assert_int_equal(one->keep, other->keep);
    assert_string_equal(one->setup.accel, other->setup.accel);
    assert_int_equal(one->setup.memory_mib, other->setup.memory_mib);
    assert_int_equal(one->setup.memory_given, other->setup.memory_given);
    assert_int_equal(one->setup.window_given, other->setup.window_given);
    assert_same_workload(&one->setup.workload, &other->setup.workload);
    assert_true(one->setup.timeout_scale >= other->setup.timeout_scale &&
                one->setup.timeout_scale <= other->setup.timeout_scale);
    assert_int_equal(one->setup.pmemsave, other->setup.pmemsave);
    assert_true(one->setup.seed == other->setup.seed);
    assert_int_equal(g_strcmp0(one->fault, other->fault), 0);
    assert_ptr_equal(one->spec.fault, one->fault);
    assert_int_equal(one->progress, other->progress);
    expect_qemu(one->setup.source, other->setup.source);
    expect_qemu(one->setup.destination, other->setup.destination);
}

/* To JSON, to text, and back, as it goes to the worker. */
static struct godwit_job *across(const struct godwit_job *job, GError **error)
{
    g_autoptr(json_t) json = godwit_job_to_json(job);
    assert_non_null(json);
    char *text = json_dumps(json, JSON_INDENT(2));
    g_autoptr(json_t) again = json_loads(text, 0, NULL);
    free(text);
    return godwit_job_from_json(again, error);
}

static void test_across(void **state)
{
    (void)state;
    static const char *const scenarios[] = {NULL, "precopy/unix/plain", "postcopy/plain"};
    for (size_t i = 0; i < G_N_ELEMENTS(scenarios); i++) {
        struct godwit_job *job = job_new(scenarios[i]);
        struct godwit_job *back = across(job, NULL);
        assert_non_null(back);
        expect_same(back, job);
        assert_string_equal(godwit_job_name(back), scenarios[i] ? scenarios[i] : "migrate");
        /* As the spec has them, the lists end with a NULL name. */
        assert_string_equal(back->spec.capabilities[1].name, "events");
        assert_null(back->spec.capabilities[2].name);
        assert_string_equal(back->spec.parameters[1].name, "less");
        assert_null(back->spec.parameters[2].name);
        job_end(back);
        job_end(job);
    }
}

/* Everything false, nothing in a list. */
static void test_across_empty(void **state)
{
    (void)state;
    struct godwit_job *job = job_new(NULL);
    memset(&job->spec, 0, sizeof(job->spec));
    g_array_set_size(job->capabilities, 0);
    g_array_set_size(job->parameters, 0);
    job->setup.pmemsave = job->progress = false;
    g_clear_pointer(&job->fault, g_free);
    job->setup.seed = 0;
    struct godwit_job *back = across(job, NULL);
    assert_non_null(back);
    expect_same(back, job);
    assert_null(back->spec.capabilities[0].name);
    assert_null(back->spec.parameters[0].name);
    job_end(back);
    job_end(job);
}

/* Each flag alone: none is read where another was written. */
static void test_across_flags(void **state)
{
    (void)state;
    struct godwit_job *job = job_new(NULL);
    bool *const flags[] = {&job->spec.suspend, &job->setup.pmemsave, &job->progress, &job->keep};
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(flags); j++)
            *flags[j] = i == j;
        struct godwit_job *back = across(job, NULL);
        assert_non_null(back);
        expect_same(back, job);
        job_end(back);
    }
    job_end(job);
}

/* A copy is the same and does not need the original. */
static void test_copy(void **state)
{
    (void)state;
    struct godwit_job *job = job_new("precopy/unix/plain");
    job->repetition = 3;
    job->repetitions = 0;
    job->spec.capabilities = (const struct godwit_capability *)(void *)job->capabilities->data;
    job->spec.parameters = (const struct godwit_parameter *)(void *)job->parameters->data;
    struct godwit_job *copy = godwit_job_copy(job);
    expect_same(copy, job);
    assert_ptr_equal(copy->spec.capabilities, copy->capabilities->data);
    assert_ptr_equal(copy->spec.parameters, copy->parameters->data);
    assert_int_equal(copy->repetition, 3);
    assert_int_equal(copy->repetitions, 0);
    assert_ptr_not_equal(copy->setup.type, job->setup.type);
    assert_ptr_not_equal(copy->setup.accel, job->setup.accel);
    godwit_job_free(job);
    assert_string_equal(copy->setup.type, "pseries-7.2");
    assert_string_equal(copy->setup.accel, "tcg");
    assert_string_equal(copy->spec.capabilities[1].name, "events");
    assert_null(copy->spec.capabilities[2].name);
    assert_string_equal(copy->spec.parameters[0].name, "max-bandwidth");
    assert_null(copy->spec.parameters[2].name);
    job_end(copy);
    godwit_job_free(NULL);
}

static void expect_refused(const json_t *json)
{
    g_autoptr(GError) error = NULL;
    struct godwit_job *job = godwit_job_from_json(json, &error);
    if (job)
        fail_msg("taken for a job: %s", json_dumps(json, JSON_ENCODE_ANY));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
    assert_string_equal(error->message, "`godwit worker` is internal to godwit: its standard input "
                                        "is not a valid job");
    assert_null(godwit_job_from_json(json, NULL));
}

/* JSON that is no job, and what the parser leaves of text that is no JSON: nothing. */
static void test_foreign(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "7",
        "\"arch\"",
        "[]",
        "{}",
        "[{\"arch\": \"ppc64\"}]",
        "{\"arch\": \"ppc64\"}",
        "{\"arch\": 7}",
        "{\"job\": {\"arch\": \"ppc64\"}}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(json_t) json = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        expect_refused(json);
    }
    expect_refused(NULL);
}

/* A job's text cut short anywhere is no JSON, so no job either. */
static void test_truncated(void **state)
{
    (void)state;
    struct godwit_job *job = job_new(NULL);
    g_autoptr(json_t) json = godwit_job_to_json(job);
    char *text = json_dumps(json, JSON_INDENT(2));
    for (size_t length = 0; length < strlen(text); length++) {
        g_autoptr(json_t) cut = json_loadb(text, length, 0, NULL);
        expect_refused(cut);
    }
    free(text);
    job_end(job);
}

/* A job with one value spoiled, at a path of two keys at most. */
static void test_spoiled(void **state)
{
    (void)state;
    static const struct {
        const char *object, *key;
        const char *value; /* JSON; NULL: without the key */
    } rows[] = {
        {NULL, "scenario", "\"no/such/scenario\""},
        {NULL, "scenario", "7"},
        {NULL, "scenario", "\"\""},
        {NULL, "arch", NULL},
        {NULL, "arch", "\"vax\""},
        {NULL, "image", "\"x86_rom\""},
        {NULL, "type", NULL},
        {NULL, "type", "7"},
        {NULL, "accel", NULL},
        {NULL, "memory_mib", NULL},
        {NULL, "memory_mib", "0"},
        {NULL, "hops", "-1"},
        {NULL, "oracles_off", "65536"},
        {NULL, "machine_cpus", "-1"},
        {NULL, "pause_iteration", "2147483648"},
        {NULL, "postcopy_iteration", "-1"},
        {NULL, "give_up", "-1"},
        {NULL, "timeout_scale", "1001"},
        {"spec", "transport", "6"},
        {"spec", "transport", "-1"},
        {"spec", "move", "5"},
        {"workload", "page_size", "4294971392"},
        {"workload", "cpus", "4294967297"},
        {NULL, "memory_mib", "\"many\""},
        {NULL, "source", NULL},
        {NULL, "source", "{}"},
        {NULL, "destination", NULL},
        {NULL, "destination", "[]"},
        {NULL, "timeout_scale", NULL},
        {NULL, "timeout_scale", "0.0"},
        {NULL, "timeout_scale", "-1.0"},
        {NULL, "workload", NULL},
        {NULL, "workload", "[]"},
        {"workload", "window_start", NULL},
        {"workload", "window_end", "4096"},
        {"workload", "page_size", NULL},
        {"workload", "page_size", "0"},
        {"workload", "page_size", "7"},
        {"workload", "cpus", NULL},
        {"workload", "cpus", "0"},
        {"workload", "cpus", "65"},
        {"spec", "capabilities", "[[7, true]]"},
        {"spec", "capabilities", "[\"xbzrle\"]"},
        {"spec", "parameters", "[[null, 7]]"},
    };
    struct godwit_job *job = job_new(NULL);
    struct godwit_job *unspoiled = across(job, NULL);
    assert_non_null(unspoiled);
    job_end(unspoiled);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(json_t) json = godwit_job_to_json(job);
        json_t *object = rows[i].object ? json_object_get(json, rows[i].object) : json;
        if (rows[i].value)
            json_object_set_new(object, rows[i].key,
                                json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(object, rows[i].key);
        expect_refused(json);
    }
    job_end(job);
}

/* The image may be left out: it is the preferred one then. */
static void test_without_image(void **state)
{
    (void)state;
    struct godwit_job *job = job_new(NULL);
    g_autoptr(json_t) json = godwit_job_to_json(job);
    json_object_del(json, "image");
    struct godwit_job *back = godwit_job_from_json(json, NULL);
    assert_non_null(back);
    expect_same(back, job);
    job_end(back);
    job_end(job);
}

static void expect_again(const struct godwit_job *job, const char *wanted)
{
    g_autofree char *line = godwit_job_again(job);
    assert_string_equal(line, wanted);
}

/* The command line that runs it again: all that was asked for, nothing that is usual. */
static void test_again(void **state)
{
    (void)state;
    struct godwit_job *job = job_new("precopy/unix/plain");
    struct godwit_setup *setup = &job->setup;
    struct godwit_workload usual = godwit_image_workload(setup->machine, setup->image);
    usual.usual_content = true;
    g_array_set_size(job->capabilities, 0);
    g_array_set_size(job->parameters, 0);
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)setup->destination);
    setup->destination = setup->source;
    setup->source_words = setup->destination_words = NULL;
    g_autoptr(json_t) settings = json_incref(job->settings);
    setup->settings = NULL;
    setup->unthrottled = false;
    setup->untraced = false;
    setup->give_up = 0;
    setup->memory_given = false;
    setup->pmemsave = false;
    setup->oracles_off = 0;
    setup->timeout_scale = 1;
    setup->workload = usual;
    g_clear_pointer(&job->fault, g_free);
    g_free(setup->source->path);
    ((struct godwit_qemu *)(uintptr_t)setup->source)->path = g_strdup("/usr/bin/qemu-system-ppc64");
#define USUAL                                                                                      \
    "godwit run precopy/unix/plain --arch ppc64 --qemu /usr/bin/qemu-system-ppc64 --machine "      \
    "pseries-7.2 --image ppc64_bios --accel tcg --workload order"
    expect_again(job, USUAL);
    setup->memory_mib = 512;
    setup->memory_given = true;
    expect_again(job, USUAL " --memory 512");
    setup->memory_given = false;
    setup->window_given = true;
    setup->workload.window_end -= 0x1000;
    expect_again(job, USUAL " --window 0x100000:0x63ff000");
    setup->workload = usual;
    setup->workload.window_start += 0x1000;
    expect_again(job, USUAL " --window 0x101000:0x6400000");
    setup->window_given = false;
    setup->workload = usual;
    setup->timeout_scale = 0.1;
    expect_again(job, USUAL " --timeout-scale 0.1");
    setup->timeout_scale = 1;
    setup->oracles_off = (1u << GODWIT_ORACLE_TWIN) | (1u << GODWIT_ORACLE_BLACKOUT);
    expect_again(job, USUAL " --oracle page-order,stamp,position,guest,continuity,identity");
    setup->oracles_off = 0;
    setup->workload.page_size = 8192;
    setup->workload.page_ticks = 77;
    setup->pmemsave = true;
    expect_again(job, USUAL " --page-size 8192 --page-ticks 77 --read-memory pmemsave");
    setup->workload = usual;
    setup->workload.cpus = 4;
    setup->pmemsave = false;
    expect_again(job, USUAL " --cpus 4");
    setup->workload = usual;
    static const char *const words[] = {"-device", "x,id=a b", NULL};
    static const char *const more[] = {"-snapshot", NULL};
    setup->source_words = setup->destination_words = words;
    expect_again(job, USUAL " -- -device 'x,id=a b'");
    setup->source_words = more;
    setup->destination_words = NULL;
    expect_again(job, USUAL " --src-args -snapshot");
    setup->source_words = NULL;
    setup->unthrottled = true;
    setup->settings = settings;
    expect_again(job, USUAL " --unthrottled --set multifd=on --set multifd-channels=4");
    setup->untraced = true;
    setup->give_up = 2.5;
    expect_again(job, USUAL " --unthrottled --no-waterfall --give-up 2.5s --set multifd=on"
                            " --set multifd-channels=4");
    setup->give_up = 0;
    setup->untraced = false;
    setup->unthrottled = false;
    setup->settings = NULL;
#undef USUAL
    /* The seed only where something is left to chance. */
    job->scenario = godwit_scenario_find("relay/flip-bit");
    g_autofree char *seeded = godwit_job_again(job);
    assert_contains(seeded, " --seed 4886718345");
    job->scenario = godwit_scenario_find("precopy/unix/plain");
    /* What the workload is for a scenario is not the user's to say. */
    setup->workload = usual;
    setup->workload.flags = GODWIT_FLAG_VERIFY;
    setup->workload.passes_per_report = 1;
    g_autofree char *line = godwit_job_again(job);
    assert_null(strstr(line, "VERIFY"));
    setup->workload.usual_content = false;
    g_autofree char *uniform = godwit_job_again(job);
    assert_true(g_str_has_suffix(uniform, " --workload order:uniform"));
    setup->workload.flags |= GODWIT_FLAG_STAMP | GODWIT_FLAG_ZERO | GODWIT_FLAG_RANDOM;
    setup->seed = UINT64_MAX;
    g_autofree char *stamped = godwit_job_again(job);
    assert_contains(stamped, " --workload stamp:zero:random --seed 18446744073709551615");
    setup->destination = NULL;
    job_end(job);
}

/* One that no scenario describes, with binaries whose paths a shell would take apart. */
static void test_again_migrate(void **state)
{
    (void)state;
    struct godwit_job *job = job_new(NULL);
    struct godwit_qemu *source = (struct godwit_qemu *)(uintptr_t)job->setup.source;
    job->setup.workload = godwit_image_workload(job->setup.machine, job->setup.image);
    job->setup.workload.usual_content = true;
    job->setup.pmemsave = false;
    g_free(source->path);
    source->path = g_strdup("/my qemu's/$HOME");
    g_autofree char *line = godwit_job_again(job);
    int argc = 0;
    g_auto(GStrv) argv = NULL;
    assert_true(g_shell_parse_argv(line, &argc, &argv, NULL));
    static const char *const wanted[] = {
        "godwit",
        "migrate",
        "--transport",
        "tcp",
        "--postcopy",
        "--fault",
        "flip-bit:byte=1",
        "--capability",
        "xbzrle=on",
        "--capability",
        "events=off",
        "--parameter",
        "max-bandwidth=9223372036854775807",
        "--parameter",
        "less=-9223372036854775808",
        "--arch",
        "ppc64",
        "--qemu-src",
        "/my qemu's/$HOME",
        "--qemu-dst",
        "/bin/b",
        "--machine",
        "pseries-7.2",
        "--image",
        "ppc64_bios",
        "--accel",
        "tcg",
        "--memory",
        "300000",
        "--oracle",
        "twin,guest,blackout",
        "--seed",
        "4886718345",
        "--timeout-scale",
        "0.1",
        "--unthrottled",
        "--no-waterfall",
        "--give-up",
        "2.5s",
        "--set",
        "multifd=on",
        "--set",
        "multifd-channels=4",
        "--src-args",
        "-device 'a b' ''",
        "--dst-args",
        "'a b' ''",
    };
    assert_int_equal(argc, G_N_ELEMENTS(wanted));
    for (int i = 0; i < argc; i++)
        assert_string_equal(argv[i], wanted[i]);
    job_end(job);
}

/* Without a word about it, the window is a small part of the guest's own, of whole pages and the
 * same number for each CPU, and RAM is what it takes; what the user or the scenario asks for
 * stands.
 */
static void test_prepare(void **state)
{
    enum { MIB = 1 << 20 };
    static const struct {
        const char *arch, *scenario;
        uint32_t page_size, cpus, flags;
        const char *version;
        uint64_t given;    /* length of the window that was asked for, or 0 */
        unsigned memory;   /* that was asked for, or 0 */
        uint64_t length;   /* that the guest is told */
        unsigned expected; /* RAM */
    } rows[] = {
        {"x86_64", "precopy/unix/plain", 4096, 1, 0, "9.0.0", 0, 0, 4 * MIB, 12},
        {"x86_64", NULL, 4096, 1, 0, "9.0.0", 0, 0, 4 * MIB, 12},
        {"ppc64", "precopy/unix/plain", 4096, 1, 0, "9.0.0", 0, 0, 4 * MIB, 256},
        {"s390x", "precopy/unix/plain", 4096, 1, GODWIT_FLAG_STAMP, "9.0.0", 0, 0, 4 * MIB, 16},
        {"aarch64", "precopy/unix/plain", 3 * 4096, 1, 0, "9.0.0", 0, 0, 341 * 3 * 4096, 12},
        {"riscv64", "precopy/unix/plain", 2 * MIB, 2, 0, "9.0.0", 0, 0, 64 * MIB, 72},
        {"x86_64", "postcopy/plain", 4096, 1, 0, "9.0.0", 0, 0, 16 * MIB, 24},
        {"x86_64", "postcopy/plain", 4096, 1, GODWIT_FLAG_STAMP, "9.0.0", 0, 0, 16 * MIB, 24},
        {"x86_64", "postcopy/preempt/plain", 4096, 1, 0, "9.0.0", 0, 0, 32 * MIB, 40},
        {"x86_64", "multifd/tcp/uri/plain", 4096, 1, 0, "9.0.0", 0, 0, 16 * MIB, 24},
        {"x86_64", "multifd/tcp/zlib", 4096, 1, 0, "9.0.0", 0, 0, 99 * MIB, 150},
        {"ppc64", "faults/postcopy-paused/kill-source", 4096, 1, 0, "9.0.0", 0, 0, 16 * MIB, 256},
        {"s390x", "faults/active/kill-source", 4096, 1, 0, "9.0.0", 0, 0, 4 * MIB, 16},
        {"x86_64", "smp/4", 4096, 1, 0, "9.0.0", 0, 0, 4 * MIB, 12},
        {"x86_64", "precopy/unix/plain", 4096, 3, 0, "9.0.0", 0, 0, 1023 * 4096, 12},
        {"x86_64", "precopy/unix/plain", 4096, 1, 0, "9.0.0", 98 * MIB, 0, 98 * MIB, 150},
        {"x86_64", "precopy/unix/plain", 4096, 1, 0, "9.0.0", 2 * MIB, 0, 2 * MIB, 8},
        {"x86_64", "precopy/unix/plain", 4096, 1, 0, "9.0.0", 0, 300, 4 * MIB, 300},
        {"x86_64", "guest/defaults", 4096, 1, 0, "9.0.0", 0, 0, 99 * MIB, 150},
        {"x86_64", "guest/defaults", 4096, 1, 0, "9.0.0", 7 * MIB, 0, 7 * MIB, 16},
        /* What stays in the TLB of an older one is lost. */
        {"x86_64", "precopy/unix/plain", 4096, 1, 0, "8.2.9", 0, 0, 99 * MIB, 150},
        {"x86_64", "precopy/unix/plain", 4096, 1, GODWIT_FLAG_STAMP, "8.2.9", 0, 0, 16 * MIB, 24},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct godwit_scenario *scenario =
            rows[i].scenario ? godwit_scenario_find(rows[i].scenario) : NULL;
        const struct godwit_qemu *qemu = qemu_new("/bin/q", rows[i].version);
        struct godwit_setup setup = {.machine = godwit_machine_find(rows[i].arch),
                                     .accel = "tcg",
                                     .source = qemu,
                                     .destination = qemu};
        setup.image = godwit_machine_image(setup.machine, NULL);
        setup.workload = godwit_image_workload(setup.machine, setup.image);
        setup.workload.page_size = rows[i].page_size;
        setup.workload.cpus = rows[i].cpus;
        setup.workload.flags |= rows[i].flags;
        setup.memory_given = rows[i].memory != 0;
        setup.memory_mib = rows[i].memory ? rows[i].memory : setup.machine->memory_mib;
        setup.window_given = rows[i].given != 0;
        if (rows[i].given)
            setup.workload.window_end = setup.workload.window_start + rows[i].given;
        godwit_scenario_prepare(scenario, &setup);
        assert_int_equal(setup.workload.window_end - setup.workload.window_start, rows[i].length);
        assert_int_equal(setup.memory_mib, rows[i].expected);
        assert_true(godwit_workload_check(&setup.workload, setup.machine, setup.image,
                                          setup.memory_mib, NULL));
        godwit_qemu_free((struct godwit_qemu *)(uintptr_t)qemu);
    }
}

/* The contents of either workload, which are the scenario's unless the user has chosen them. They
 * are settled in the worker, so that the choice must have come there. */
static void test_contents(void **state)
{
    static const struct {
        const char *workload, *scenario;
        uint32_t content;
    } rows[] = {
        {"order", NULL, GODWIT_FLAG_STAGGER},
        {"order", "precopy/unix/plain", GODWIT_FLAG_STAGGER},
        {"order", "relay/drop-zero", GODWIT_FLAG_STAGGER},
        {"order:staggered", "precopy/unix/plain", GODWIT_FLAG_STAGGER},
        {"order:uniform", "precopy/unix/plain", 0},
        {"order", "guest/defaults", 0},
        {"order", "guest/stagger/window", GODWIT_FLAG_STAGGER},
        {"stamp", NULL, GODWIT_FLAG_MIXED},
        {"stamp", "precopy/unix/plain", GODWIT_FLAG_MIXED},
        {"stamp", "precopy/unix/xbzrle", GODWIT_FLAG_SPARSE},
        {"stamp", "multifd/tcp/zero-page/legacy", GODWIT_FLAG_ZERO},
        {"stamp", "relay/drop-zero", GODWIT_FLAG_MIXED},
        {"stamp:whole", "precopy/unix/xbzrle", 0},
        {"stamp:zero:random", "precopy/unix/plain", GODWIT_FLAG_ZERO},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct godwit_job *job = job_new(rows[i].scenario);
        job->setup.workload = godwit_image_workload(job->setup.machine, job->setup.image);
        assert_true(godwit_workload_choose(&job->setup.workload, rows[i].workload, NULL));
        struct godwit_job *there = across(job, NULL);
        assert_non_null(there);
        godwit_scenario_prepare(there->scenario, &there->setup);
        const struct godwit_workload *workload = &there->setup.workload;
        assert_int_equal(workload->flags & (GODWIT_FLAG_CONTENT_MASK | GODWIT_FLAG_STAGGER),
                         rows[i].content);
        assert_false(workload->usual_content);
        job_end(there);
        job_end(job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_across),       cmocka_unit_test(test_across_empty),
        cmocka_unit_test(test_across_flags), cmocka_unit_test(test_copy),
        cmocka_unit_test(test_foreign),      cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_spoiled),      cmocka_unit_test(test_without_image),
        cmocka_unit_test(test_again),        cmocka_unit_test(test_again_migrate),
        cmocka_unit_test(test_prepare),      cmocka_unit_test(test_contents),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
