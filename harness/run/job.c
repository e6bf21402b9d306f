/*
 * Jobs: copies them, and converts them to and from JSON.
 *
 * A job that comes from JSON is checked before it is used: `godwit worker` reads it from a file
 * that anybody could have written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/job.h"

#include "bugs/bugs.h"
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "migrate/settings.h"
#include "oracle/ledger.h"
#include <string.h>

struct godwit_job *godwit_job_new(void)
{
    struct godwit_job *job = g_new0(struct godwit_job, 1);
    job->capabilities = g_array_new(TRUE, TRUE, sizeof(struct godwit_capability));
    job->parameters = g_array_new(TRUE, TRUE, sizeof(struct godwit_parameter));
    job->repetition = 1;
    job->repetitions = 1;
    job->setup.timeout_scale = 1;
    return job;
}

/* The arrays' strings are interned: there are few of them, all names from QEMU. */
void godwit_job_free(struct godwit_job *job)
{
    if (!job)
        return;
    g_array_unref(job->capabilities);
    g_array_unref(job->parameters);
    g_free(job->fault);
    g_free(job->target);
    g_free(job->type);
    g_free(job->accel);
    g_strfreev(job->source_words);
    g_strfreev(job->destination_words);
    g_free(job->after);
    g_free(job->peer);
    g_free(job->peer_address);
    g_free(job->command);
    json_decref(job->source_recipe);
    json_decref(job->destination_recipe);
    json_decref(job->settings);
    g_free(job);
}

/* Makes the spec of an ad-hoc migration use the job's own arrays. */
static void point_spec(struct godwit_job *job)
{
    job->spec.capabilities = (const struct godwit_capability *)(void *)job->capabilities->data;
    job->spec.parameters = (const struct godwit_parameter *)(void *)job->parameters->data;
}

/* Makes the setup use the job's own words. */
static void point_words(struct godwit_job *job)
{
    job->setup.source_words = (const char *const *)job->source_words;
    job->setup.destination_words = (const char *const *)job->destination_words;
}

void godwit_job_own_words(struct godwit_job *job)
{
    job->source_words = g_strdupv((char **)(uintptr_t)job->setup.source_words);
    job->destination_words = g_strdupv((char **)(uintptr_t)job->setup.destination_words);
    job->after = g_strdup(job->setup.after);
    job->setup.after = job->after;
    point_words(job);
}

void godwit_job_set_recipes(struct godwit_job *job, json_t *source, json_t *destination)
{
    job->source_recipe = json_incref(source);
    job->destination_recipe = json_incref(destination);
    job->setup.source_recipe = job->source_recipe;
    job->setup.destination_recipe = job->destination_recipe;
}

void godwit_job_set_settings(struct godwit_job *job, json_t *settings)
{
    job->settings = json_incref(settings);
    job->setup.settings = job->settings;
}

struct godwit_job *godwit_job_copy(const struct godwit_job *job)
{
    struct godwit_job *copy = g_memdup2(job, sizeof(*job));
    copy->capabilities = g_array_copy(job->capabilities);
    copy->parameters = g_array_copy(job->parameters);
    point_spec(copy);
    copy->fault = g_strdup(job->fault);
    copy->spec.fault = copy->fault;
    copy->target = g_strdup(job->target);
    copy->type = g_strdup(job->type);
    copy->accel = g_strdup(job->accel);
    copy->setup.type = copy->type;
    copy->setup.accel = copy->accel;
    copy->command = g_strdup(job->command);
    godwit_job_set_recipes(copy, job->source_recipe, job->destination_recipe);
    godwit_job_set_settings(copy, job->settings);
    godwit_job_own_words(copy);
    return copy;
}

void godwit_job_reseed(struct godwit_job *job, unsigned by)
{
    job->setup.seed += by;
    if (job->setup.workload.flags & GODWIT_FLAG_STAMP)
        job->setup.workload.seed = job->setup.seed;
}

const char *godwit_job_name(const struct godwit_job *job)
{
    return job->scenario ? job->scenario->name : "migrate";
}

const char *godwit_job_target(const struct godwit_job *job)
{
    return job->target ? job->target : job->setup.machine->arch;
}

/* Puts WORDS into OBJECT as a list, unless it is NULL. */
static void set_words(json_t *object, const char *key, const char *const *words)
{
    json_t *list = words ? json_array() : NULL;
    for (size_t i = 0; words && words[i]; i++)
        json_array_append_new(list, godwit_json_text(words[i]));
    if (list)
        json_object_set_new(object, key, list);
}

/* Returns the words of the list KEY, which the caller frees, or NULL if there is no list. */
static char **get_words(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    if (!json_is_array(list))
        return NULL;
    char **words = g_new0(char *, json_array_size(list) + 1);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        words[i] = g_strdup(word ? word : "");
    }
    return words;
}

json_t *godwit_job_to_json(const struct godwit_job *job)
{
    const struct godwit_setup *setup = &job->setup;
    const struct godwit_workload *workload = &setup->workload;
    g_autofree char *accepted = godwit_bug_set_text(&setup->accepted);
    json_t *capabilities = json_array();
    for (guint i = 0; i < job->capabilities->len; i++) {
        const struct godwit_capability *c =
            &g_array_index(job->capabilities, struct godwit_capability, i);
        json_array_append_new(capabilities, json_pack("[s, b]", c->name, c->on));
    }
    json_t *parameters = json_array();
    for (guint i = 0; i < job->parameters->len; i++) {
        const struct godwit_parameter *p =
            &g_array_index(job->parameters, struct godwit_parameter, i);
        json_array_append_new(parameters, json_pack("[s, I]", p->name, p->value));
    }
    json_t *json = json_pack(
        "{s:s*, s:{s:i, s:i, s:b, s:s*, s:o, s:o}, s:s, s:s, s:s, s:s, s:i, s:o, s:o,"
        " s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}, s:b, s:b, s:I, s:i, s:f, s:b, s:i, "
        "s:s*, s:b, s:b,"
        " s:b}",
        "scenario", job->scenario ? job->scenario->name : NULL, "spec", "transport",
        (int)job->spec.transport, "move", (int)job->spec.move, "suspend", job->spec.suspend,
        "fault", job->fault, "capabilities", capabilities, "parameters", parameters, "arch",
        setup->machine->arch, "image", setup->image->name, "type", setup->type, "accel",
        setup->accel, "memory_mib", (int)setup->memory_mib, "source",
        godwit_qemu_to_json(setup->source), "destination", godwit_qemu_to_json(setup->destination),
        "workload", "window_start", (json_int_t)workload->window_start, "window_end",
        (json_int_t)workload->window_end, "page_size", (json_int_t)workload->page_size,
        "passes_per_report", (json_int_t)workload->passes_per_report, "flags",
        (json_int_t)workload->flags, "page_ticks", (json_int_t)workload->page_ticks, "cpus",
        (json_int_t)workload->cpus, "seed", (json_int_t)workload->seed, "usual_content",
        workload->usual_content, "window_given", setup->window_given, "memory_given",
        setup->memory_given, "seed", (json_int_t)setup->seed, "hops", (int)setup->hops,
        "timeout_scale", setup->timeout_scale, "pmemsave", setup->pmemsave, "oracles_off",
        (int)setup->oracles_off, "accepted", accepted, "strict", setup->strict, "progress",
        job->progress, "keep", job->keep);
    set_words(json, "source_words", setup->source_words);
    set_words(json, "destination_words", setup->destination_words);
    json_object_set_new(json, "machine_cpus", json_integer(setup->machine_cpus));
    json_object_set_new(json, "theirs", json_boolean(setup->theirs));
    json_object_set_new(json, "unthrottled", json_boolean(setup->unthrottled));
    json_object_set_new(json, "untraced", json_boolean(setup->untraced));
    json_object_set_new(json, "give_up", json_real(setup->give_up));
    json_object_set_new(json, "pause_iteration", json_integer(setup->pause_iteration));
    json_object_set_new(json, "postcopy_iteration", json_integer(setup->postcopy_iteration));
    if (setup->peer) {
        json_object_set_new(json, "peer", godwit_json_text(setup->peer));
        json_object_set_new(json, "peer_address", godwit_json_text(setup->peer_address));
    }
    if (setup->after)
        json_object_set_new(json, "after", godwit_json_text(setup->after));
    if (job->settings)
        json_object_set(json, "settings", job->settings);
    if (job->source_recipe)
        json_object_set(json, "source_recipe", job->source_recipe);
    if (job->destination_recipe)
        json_object_set(json, "destination_recipe", job->destination_recipe);
    return json;
}

/* Returns whether each number is one that its field can have. One that is missing is 0. */
static bool in_range(const json_t *json)
{
    static const struct {
        const char *object, *key; /* NULL: of the job itself */
        json_int_t most;
    } numbers[] = {
        {NULL, "memory_mib", INT_MAX},
        {NULL, "hops", INT_MAX},
        {NULL, "oracles_off", (1 << GODWIT_ORACLES) - 1},
        {NULL, "machine_cpus", INT_MAX},
        {NULL, "pause_iteration", INT_MAX},
        {NULL, "postcopy_iteration", INT_MAX},
        {"spec", "transport", GODWIT_TRANSPORT_FILE},
        {"spec", "move", GODWIT_MOVES - 1},
        {"workload", "page_size", UINT32_MAX},
        {"workload", "passes_per_report", UINT32_MAX},
        {"workload", "flags", UINT32_MAX},
        {"workload", "page_ticks", UINT32_MAX},
        {"workload", "cpus", UINT32_MAX},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const json_t *object = numbers[i].object ? json_object_get(json, numbers[i].object) : json;
        const json_int_t value = godwit_json_integer(object, numbers[i].key, 0);
        if (value < 0 || value > numbers[i].most)
            return false;
    }
    return true;
}

/* Returns whether the job has everything that a testbed needs. */
static bool complete(const struct godwit_job *job)
{
    const struct godwit_setup *setup = &job->setup;
    if (!*setup->type || !*setup->accel || !*setup->source->path || !*setup->destination->path ||
        !(setup->timeout_scale > 0 && setup->timeout_scale <= 1000) || !(setup->give_up >= 0) ||
        (!setup->theirs && !godwit_workload_check(&setup->workload, setup->machine, setup->image,
                                                  setup->memory_mib, NULL)))
        return false;
    for (guint i = 0; i < job->capabilities->len; i++)
        if (!job->spec.capabilities[i].name)
            return false;
    for (guint i = 0; i < job->parameters->len; i++)
        if (!job->spec.parameters[i].name)
            return false;
    return true;
}

/* Sets the error for an invalid job. Frees the job and the binaries that were created for it. */
static struct godwit_job *unknown(struct godwit_job *job, GError **error)
{
    g_set_error(error, GODWIT_ERROR, GODWIT_ERROR_USAGE,
                "`godwit worker` is internal to godwit: its standard input is not a valid job");
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)job->setup.source);
    godwit_qemu_free((struct godwit_qemu *)(uintptr_t)job->setup.destination);
    godwit_job_free(job);
    return NULL;
}

struct godwit_job *godwit_job_from_json(const json_t *json, GError **error)
{
    struct godwit_job *job = godwit_job_new();
    struct godwit_setup *setup = &job->setup;
    const char *scenario = godwit_json_string(json, "scenario", NULL);
    if (scenario)
        job->scenario = godwit_scenario_find(scenario);
    setup->machine = godwit_machine_find(godwit_json_string(json, "arch", ""));
    if (setup->machine)
        setup->image =
            godwit_machine_image(setup->machine, godwit_json_string(json, "image", NULL));
    if ((json_object_get(json, "scenario") && !job->scenario) || !setup->machine || !setup->image)
        return unknown(job, error);
    job->type = g_strdup(godwit_json_string(json, "type", ""));
    job->accel = g_strdup(godwit_json_string(json, "accel", ""));
    setup->type = job->type;
    setup->accel = job->accel;
    setup->memory_mib = (unsigned)godwit_json_integer(json, "memory_mib", 0);
    setup->source = godwit_qemu_from_json(json_object_get(json, "source"));
    setup->destination = godwit_qemu_from_json(json_object_get(json, "destination"));
    setup->timeout_scale = json_number_value(json_object_get(json, "timeout_scale"));
    setup->seed = (uint64_t)godwit_json_integer(json, "seed", 0);
    setup->hops = (unsigned)godwit_json_integer(json, "hops", 0);
    setup->window_given = godwit_json_true(json, "window_given");
    setup->memory_given = godwit_json_true(json, "memory_given");
    setup->pmemsave = godwit_json_true(json, "pmemsave");
    setup->oracles_off = (unsigned)godwit_json_integer(json, "oracles_off", 0);
    setup->strict = godwit_json_true(json, "strict");
    setup->machine_cpus = (unsigned)godwit_json_integer(json, "machine_cpus", 0);
    setup->theirs = godwit_json_true(json, "theirs");
    setup->unthrottled = godwit_json_true(json, "unthrottled");
    setup->untraced = godwit_json_true(json, "untraced");
    setup->give_up = json_number_value(json_object_get(json, "give_up"));
    setup->pause_iteration = (int)godwit_json_integer(json, "pause_iteration", 0);
    setup->postcopy_iteration = (int)godwit_json_integer(json, "postcopy_iteration", 0);
    godwit_job_set_settings(job, json_object_get(json, "settings"));
    job->peer = g_strdup(godwit_json_string(json, "peer", NULL));
    job->peer_address = g_strdup(godwit_json_string(json, "peer_address", NULL));
    setup->peer = job->peer;
    setup->peer_address = job->peer_address;
    job->after = g_strdup(godwit_json_string(json, "after", NULL));
    setup->after = job->after;
    job->source_words = get_words(json, "source_words");
    job->destination_words = get_words(json, "destination_words");
    point_words(job);
    godwit_job_set_recipes(job, json_object_get(json, "source_recipe"),
                           json_object_get(json, "destination_recipe"));
    const char *accepted = godwit_json_string(json, "accepted", NULL);
    if (accepted && !godwit_bug_set_parse(accepted, &setup->accepted, NULL))
        return unknown(job, error);
    job->progress = godwit_json_true(json, "progress");
    job->keep = godwit_json_true(json, "keep");

    const json_t *workload = json_object_get(json, "workload");
    setup->workload = (struct godwit_workload){
        .window_start = (uint64_t)godwit_json_integer(workload, "window_start", 0),
        .window_end = (uint64_t)godwit_json_integer(workload, "window_end", 0),
        .page_size = (uint32_t)godwit_json_integer(workload, "page_size", 0),
        .passes_per_report = (uint32_t)godwit_json_integer(workload, "passes_per_report", 0),
        .flags = (uint32_t)godwit_json_integer(workload, "flags", 0),
        .page_ticks = (uint32_t)godwit_json_integer(workload, "page_ticks", 0),
        .cpus = (uint32_t)godwit_json_integer(workload, "cpus", 0),
        .seed = (uint64_t)godwit_json_integer(workload, "seed", 0),
        .usual_content = godwit_json_true(workload, "usual_content"),
    };

    const json_t *spec = json_object_get(json, "spec");
    job->spec.transport = (enum godwit_transport)godwit_json_integer(spec, "transport", 0);
    job->spec.move = (enum godwit_move)godwit_json_integer(spec, "move", 0);
    job->spec.suspend = godwit_json_true(spec, "suspend");
    job->fault = g_strdup(godwit_json_string(spec, "fault", NULL));
    job->spec.fault = job->fault;
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(spec, "capabilities"), i, pair)
    {
        const struct godwit_capability c = {
            g_intern_string(json_string_value(json_array_get(pair, 0))),
            json_is_true(json_array_get(pair, 1))};
        g_array_append_val(job->capabilities, c);
    }
    json_array_foreach(json_object_get(spec, "parameters"), i, pair)
    {
        const struct godwit_parameter p = {
            g_intern_string(json_string_value(json_array_get(pair, 0))),
            json_integer_value(json_array_get(pair, 1)), NULL};
        g_array_append_val(job->parameters, p);
    }
    point_spec(job);
    return in_range(json) && complete(job) ? job : unknown(job, error);
}
