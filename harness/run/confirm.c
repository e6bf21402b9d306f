/* SPDX-License-Identifier: MIT */
#include "run/confirm.h"

#include "bugs/bugs.h"
#include <string.h>

/* A result that is held back. */
struct held {
    unsigned number; /* from 1; its repetitions have it, too */
    struct godwit_job *job;
    json_t *result;
    const struct godwit_bug *bug;
    unsigned runs, struck;
    bool under_way; /* a repetition */
};

struct godwit_confirm {
    GPtrArray *held; /* of struct held; owned */
    unsigned count;  /* of those that there ever were */
};

static void held_free(gpointer data)
{
    struct held *held = data;
    godwit_job_free(held->job);
    json_decref(held->result);
    g_free(held);
}

struct godwit_confirm *godwit_confirm_new(void)
{
    struct godwit_confirm *confirm = g_new0(struct godwit_confirm, 1);
    confirm->held = g_ptr_array_new_with_free_func(held_free);
    return confirm;
}

void godwit_confirm_free(struct godwit_confirm *confirm)
{
    g_ptr_array_unref(confirm->held);
    g_free(confirm);
}

static bool has_status(const json_t *result, const char *status)
{
    return !strcmp(godwit_json_string(result, "status", "fail"), status);
}

/* Whether the bug is among those that the result has met. */
static bool has_struck(const json_t *result, const struct godwit_bug *bug)
{
    size_t i;
    json_t *noted;
    json_array_foreach(json_object_get(json_object_get(result, "measurements"), "known_bugs"), i,
                       noted)
    {
        if (!strcmp(godwit_json_string(noted, "id", ""), bug->id))
            return true;
    }
    return false;
}

static void hold(struct godwit_confirm *confirm, const struct godwit_job *job, json_t *result,
                 const struct godwit_bug *bug)
{
    struct held *held = g_new0(struct held, 1);
    held->number = ++confirm->count;
    held->job = godwit_job_copy(job);
    held->job->confirms = held->number;
    held->job->keep = false;
    held->result = result;
    held->bug = bug;
    g_ptr_array_add(confirm->held, held);
}

static struct held *find(const struct godwit_confirm *confirm, unsigned number)
{
    for (guint i = 0; i < confirm->held->len; i++) {
        struct held *held = g_ptr_array_index(confirm->held, i);
        if (held->number == number)
            return held;
    }
    return NULL;
}

static void set_failure(struct held *held, const char *status, const char *kind, char *message)
{
    json_object_set_new(held->result, "status", json_string(status));
    json_object_set_new(held->result, "kind", json_string(kind));
    json_object_set_new(held->result, "message", json_string(message));
    g_free(message);
}

/* Ends a confirmation and returns its result, which the caller frees. */
static json_t *release(struct godwit_confirm *confirm, struct held *held)
{
    json_t *result = json_incref(held->result);
    json_object_set_new(json_object_get(result, "measurements"), "confirmation",
                        json_pack("{s:s, s:i, s:i}", "known", held->bug->id, "struck",
                                  (int)held->struck, "runs", (int)held->runs));
    g_ptr_array_remove(confirm->held, held);
    return result;
}

/* A repetition that did not end as a pass or with a known bug is what has to be reported. */
static bool is_sound(const json_t *repetition)
{
    return has_status(repetition, "pass") || has_status(repetition, "known");
}

/* Whether nothing that is still to come can change the verdict. */
static bool is_decided(const struct held *held)
{
    const unsigned wanted = godwit_bug_too_many(held->bug);
    return held->struck >= wanted ||
           held->struck + (godwit_bug_repetitions(held->bug) - held->runs) < wanted;
}

static json_t *count(struct godwit_confirm *confirm, struct held *held, const json_t *repetition)
{
    held->under_way = false;
    held->runs++;
    held->struck += has_struck(repetition, held->bug);
    if (!is_sound(repetition)) {
        const char *status = godwit_json_string(repetition, "status", "fail");
        set_failure(held, has_status(repetition, "skip") ? "fail" : status,
                    godwit_json_string(repetition, "kind", "unknown"),
                    g_strdup_printf("run again because it met the known bug %s, repetition %u "
                                    "ended otherwise: %s",
                                    held->bug->id, held->runs,
                                    godwit_json_string(repetition, "message", "")));
        return release(confirm, held);
    }
    if (!is_decided(held))
        return NULL;
    if (held->struck >= godwit_bug_too_many(held->bug))
        set_failure(held, "fail", "oracle",
                    g_strdup_printf("what looks like the known bug %s struck %u of %u repetitions; "
                                    "that bug was measured to strike %u in %u: this is another one",
                                    held->bug->id, held->struck, held->runs, held->bug->strikes,
                                    held->bug->runs));
    return release(confirm, held);
}

json_t *godwit_confirm_take(struct godwit_confirm *confirm, const struct godwit_job *job,
                            json_t *result)
{
    struct held *held = find(confirm, job->confirms);
    if (held) {
        g_autoptr(json_t) repetition = result;
        return count(confirm, held, repetition);
    }
    const struct godwit_bug *bug = has_status(result, "known")
                                       ? godwit_bug_rare(json_object_get(result, "measurements"))
                                       : NULL;
    if (!bug)
        return result;
    hold(confirm, job, result, bug);
    return NULL;
}

struct godwit_job *godwit_confirm_next(struct godwit_confirm *confirm)
{
    for (guint i = 0; i < confirm->held->len; i++) {
        struct held *held = g_ptr_array_index(confirm->held, i);
        if (held->under_way)
            continue;
        held->under_way = true;
        return godwit_job_copy(held->job);
    }
    return NULL;
}

json_t *godwit_confirm_give_up(struct godwit_confirm *confirm)
{
    if (!confirm->held->len)
        return NULL;
    struct held *held = g_ptr_array_index(confirm->held, 0);
    set_failure(held, "error", "interrupted",
                g_strdup_printf("it met the known bug %s, and the run ended before that was "
                                "confirmed: it struck %u of %u repetitions",
                                held->bug->id, held->struck, held->runs));
    return release(confirm, held);
}
