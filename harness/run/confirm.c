/*
 * Confirms results that met a rare known bug, by running their jobs again. confirm.h explains why.
 *
 * A pending result is in confirm->pending from godwit_confirm_take(), which takes it from the run,
 * until the last repetition or godwit_confirm_give_up() returns it. bugs.c computes from the bug's
 * measured rate how many repetitions are needed and how many strikes are too many.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/confirm.h"

#include "bugs/bugs.h"
#include <string.h>

/* A result that waits for its confirmation. */
struct pending {
    unsigned number; /* from 1; its repetitions have it as job->confirms */
    struct godwit_job *job;
    json_t *result;
    const struct godwit_bug *bug;
    unsigned runs, struck;
    bool under_way; /* a repetition is running */
};

struct godwit_confirm {
    GPtrArray *pending; /* of struct pending; owned */
    unsigned count;     /* number of the latest */
};

static void pending_free(gpointer data)
{
    struct pending *pending = data;
    godwit_job_free(pending->job);
    json_decref(pending->result);
    g_free(pending);
}

struct godwit_confirm *godwit_confirm_new(void)
{
    struct godwit_confirm *confirm = g_new0(struct godwit_confirm, 1);
    confirm->pending = g_ptr_array_new_with_free_func(pending_free);
    return confirm;
}

void godwit_confirm_free(struct godwit_confirm *confirm)
{
    g_ptr_array_unref(confirm->pending);
    g_free(confirm);
}

static bool has_status(const json_t *result, const char *status)
{
    return !strcmp(godwit_json_string(result, "status", "fail"), status);
}

/* Returns whether the result met the bug. */
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

static void add_pending(struct godwit_confirm *confirm, const struct godwit_job *job,
                        json_t *result, const struct godwit_bug *bug)
{
    struct pending *pending = g_new0(struct pending, 1);
    pending->number = ++confirm->count;
    pending->job = godwit_job_copy(job);
    pending->job->confirms = pending->number;
    pending->job->keep = false;
    pending->result = result;
    pending->bug = bug;
    g_ptr_array_add(confirm->pending, pending);
}

static struct pending *find(const struct godwit_confirm *confirm, unsigned number)
{
    for (guint i = 0; i < confirm->pending->len; i++) {
        struct pending *pending = g_ptr_array_index(confirm->pending, i);
        if (pending->number == number)
            return pending;
    }
    return NULL;
}

static void set_failure(struct pending *pending, const char *status, const char *kind,
                        char *message)
{
    json_object_set_new(pending->result, "status", json_string(status));
    json_object_set_new(pending->result, "kind", json_string(kind));
    json_object_set_new(pending->result, "message", json_string(message));
    g_free(message);
}

/* Ends a confirmation and returns its result, which the caller frees. */
static json_t *finish(struct godwit_confirm *confirm, struct pending *pending)
{
    json_t *result = json_incref(pending->result);
    json_object_set_new(json_object_get(result, "measurements"), "confirmation",
                        json_pack("{s:s, s:i, s:i}", "known", pending->bug->id, "struck",
                                  (int)pending->struck, "runs", (int)pending->runs));
    g_ptr_array_remove(confirm->pending, pending);
    return result;
}

/* Any other outcome of a repetition must be reported. */
static bool is_sound(const json_t *repetition)
{
    return has_status(repetition, "pass") || has_status(repetition, "known");
}

/* Returns whether the remaining repetitions cannot change the verdict. */
static bool is_decided(const struct pending *pending)
{
    const unsigned wanted = godwit_bug_too_many(pending->bug);
    return pending->struck >= wanted ||
           pending->struck + (godwit_bug_repetitions(pending->bug) - pending->runs) < wanted;
}

static json_t *count(struct godwit_confirm *confirm, struct pending *pending,
                     const json_t *repetition)
{
    pending->under_way = false;
    pending->runs++;
    pending->struck += has_struck(repetition, pending->bug);
    if (!is_sound(repetition)) {
        const char *status = godwit_json_string(repetition, "status", "fail");
        set_failure(pending, has_status(repetition, "skip") ? "fail" : status,
                    godwit_json_string(repetition, "kind", "unknown"),
                    g_strdup_printf("run again to confirm the known bug %s, repetition %u ended "
                                    "differently: %s",
                                    pending->bug->id, pending->runs,
                                    godwit_json_string(repetition, "message", "")));
        return finish(confirm, pending);
    }
    if (!is_decided(pending))
        return NULL;
    if (pending->struck >= godwit_bug_too_many(pending->bug))
        set_failure(pending, "fail", "oracle",
                    g_strdup_printf("what looks like the known bug %s struck %u of %u repetitions; "
                                    "that bug was measured to strike %u in %u: this is a different "
                                    "bug",
                                    pending->bug->id, pending->struck, pending->runs,
                                    pending->bug->strikes, pending->bug->runs));
    return finish(confirm, pending);
}

json_t *godwit_confirm_take(struct godwit_confirm *confirm, const struct godwit_job *job,
                            json_t *result)
{
    struct pending *pending = find(confirm, job->confirms);
    if (pending) {
        g_autoptr(json_t) repetition = result;
        return count(confirm, pending, repetition);
    }
    const struct godwit_bug *bug = has_status(result, "known")
                                       ? godwit_bug_rare(json_object_get(result, "measurements"))
                                       : NULL;
    if (!bug)
        return result;
    add_pending(confirm, job, result, bug);
    return NULL;
}

struct godwit_job *godwit_confirm_next(struct godwit_confirm *confirm)
{
    for (guint i = 0; i < confirm->pending->len; i++) {
        struct pending *pending = g_ptr_array_index(confirm->pending, i);
        if (pending->under_way)
            continue;
        pending->under_way = true;
        return godwit_job_copy(pending->job);
    }
    return NULL;
}

json_t *godwit_confirm_give_up(struct godwit_confirm *confirm)
{
    if (!confirm->pending->len)
        return NULL;
    struct pending *pending = g_ptr_array_index(confirm->pending, 0);
    set_failure(pending, "error", "interrupted",
                g_strdup_printf("it met the known bug %s, and the run ended before that was "
                                "confirmed: the bug struck %u of %u repetitions",
                                pending->bug->id, pending->struck, pending->runs));
    return finish(confirm, pending);
}
