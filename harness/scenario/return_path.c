/*
 * The return path on the wire. The destination's answers pass through the relay, where they are
 * read and compared with what the source has announced.
 *
 * watch() makes the relay read both directions of each connection: the source's stream for its RAM
 * blocks and page size, the answers for their form and for the pages that they name. After the
 * migration judge() reports the first problem, and the judge_*() hooks check that the answers of
 * their scenario have come.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/recovery.h"
#include "stream/answers.h"
#include "stream/reader.h"

#include <inttypes.h>
#include <string.h>

/* A RAM block that the source has announced. */
struct block {
    char *name;
    uint64_t length;
    bool bitmap; /* the destination has sent its bitmap of received pages */
};

/* One connection through the relay. */
struct line {
    struct godwit_scenario_state *seen;
    struct godwit_stream *stream; /* from the source; NULL: not followed, or not any more */
    struct godwit_answers *answers;
};

/* What was seen of the migration. */
struct godwit_scenario_state {
    GPtrArray *lines;   /* of struct line */
    GArray *blocks;     /* of struct block */
    uint32_t page_size; /* 0: unknown */
    unsigned counts[GODWIT_ANSWER_TYPES];
    uint32_t shut; /* the value of the latest SHUT */
    char *problem; /* the first in the answers; NULL: none */
    char *lost;    /* why the source's stream could not be followed; NULL: it could */
};

static void line_free(gpointer data)
{
    struct line *line = data;
    godwit_stream_free(line->stream);
    godwit_answers_free(line->answers);
    g_free(line);
}

static void clear_block(gpointer data)
{
    g_free(((struct block *)data)->name);
}

static void clear_seen(struct godwit_scenario_state *seen)
{
    g_clear_pointer(&seen->lines, g_ptr_array_unref);
    g_clear_pointer(&seen->blocks, g_array_unref);
    g_free(seen->problem);
    g_free(seen->lost);
}

static struct block *find_block(const struct godwit_scenario_state *seen, const char *name)
{
    for (guint i = 0; i < seen->blocks->len; i++) {
        struct block *block = &g_array_index(seen->blocks, struct block, i);
        if (!strcmp(block->name, name))
            return block;
    }
    return NULL;
}

/* Records RAM blocks and the page size. */
static bool take_item(const struct godwit_stream_item *item, gpointer data, GError **error)
{
    struct godwit_scenario_state *seen = data;
    (void)error;
    if (item->kind == GODWIT_STREAM_RAM_BLOCK && !find_block(seen, item->name)) {
        const struct block block = {g_strdup(item->name), item->value, false};
        g_array_append_val(seen->blocks, block);
    } else if (item->kind == GODWIT_STREAM_PAGE) {
        seen->page_size = item->page_size;
    }
    return true;
}

/* Returns what is wrong with a request for pages, or NULL. The caller frees it. */
static char *judge_request(const struct godwit_scenario_state *seen,
                           const struct godwit_answer *answer)
{
    const struct block *block = find_block(seen, answer->block);
    const uint64_t page = seen->page_size;
    if (!block)
        return g_strdup_printf("RAM block \"%s\", which the source has not announced",
                               answer->block);
    if (!page || answer->start % page || answer->length % page || !answer->length)
        return g_strdup_printf("%" PRIu32 " bytes at 0x%" PRIx64
                               " of RAM block %s, which are not whole pages of %" PRIu64,
                               answer->length, answer->start, answer->block, page);
    if (answer->start > block->length || answer->length > block->length - answer->start)
        return g_strdup_printf("%" PRIu32 " bytes at 0x%" PRIx64
                               " of RAM block %s, which ends at 0x%" PRIx64,
                               answer->length, answer->start, answer->block, block->length);
    return NULL;
}

/* Returns what is wrong with a bitmap of received pages, or NULL. It must have a bit for each page,
 * in whole words of 64 bits. The caller frees it. */
static char *judge_bitmap(const struct godwit_scenario_state *seen,
                          const struct godwit_answer *answer)
{
    struct block *block = find_block(seen, answer->block);
    if (!block || !seen->page_size)
        return g_strdup_printf("the bitmap of RAM block \"%s\", which the source has not announced",
                               answer->block);
    const uint64_t pages = block->length / seen->page_size;
    const uint64_t wanted = (pages + 63) / 64 * 8;
    block->bitmap = true;
    return answer->bitmap == wanted
               ? NULL
               : g_strdup_printf("a bitmap of %" PRIu64 " bytes for RAM block %s, whose %" PRIu64
                                 " pages need %" PRIu64,
                                 answer->bitmap, answer->block, pages, wanted);
}

static bool take_answer(const struct godwit_answer *answer, gpointer data, GError **error)
{
    struct godwit_scenario_state *seen = data;
    g_autofree char *problem = NULL;
    seen->counts[answer->type]++;
    if (answer->type == GODWIT_ANSWER_SHUT)
        seen->shut = answer->value;
    if (answer->type == GODWIT_ANSWER_REQ_PAGES || answer->type == GODWIT_ANSWER_REQ_PAGES_ID)
        problem = judge_request(seen, answer);
    else if (answer->type == GODWIT_ANSWER_RECV_BITMAP)
        problem = judge_bitmap(seen, answer);
    return !problem || godwit_fail(error, GODWIT_ERROR_STREAM, "%" PRIu64 ": %s with %s",
                                   answer->offset, godwit_answer_name(answer->type), problem);
}

static void watch_sent(gpointer data, const unsigned char *bytes, size_t length)
{
    struct line *line = data;
    g_autoptr(GError) error = NULL;
    if (!line->stream || !length || godwit_stream_feed(line->stream, bytes, length, &error))
        return;
    line->seen->lost = g_strdup(error->message);
    g_clear_pointer(&line->stream, godwit_stream_free);
}

static void watch_answered(gpointer data, const unsigned char *bytes, size_t length)
{
    struct line *line = data;
    g_autoptr(GError) error = NULL;
    /* Length 0 is the end, which may be within a message if the connection fails. */
    if (length && !line->seen->problem &&
        !godwit_answers_feed(line->answers, bytes, length, &error))
        line->seen->problem = g_strdup(error->message);
}

/* Watches a new connection. The source announces its RAM blocks only on the first one; the stream
 * on a later one, of a recovery, continues without a beginning. */
static void greet(struct godwit_flow *sent, struct godwit_flow *answered, unsigned index,
                  gpointer data)
{
    struct godwit_scenario_state *seen = data;
    struct line *line = g_new0(struct line, 1);
    line->seen = seen;
    line->stream = index == 0 ? godwit_stream_new(0, take_item, seen) : NULL;
    line->answers = godwit_answers_new(take_answer, seen);
    g_ptr_array_add(seen->lines, line);
    godwit_flow_watch(sent, watch_sent, line);
    godwit_flow_watch(answered, watch_answered, line);
}

static void watch(struct godwit_testbed *testbed, struct godwit_relay *relay)
{
    struct godwit_scenario_state *seen = testbed->state;
    seen->lines = g_ptr_array_new_with_free_func(line_free);
    seen->blocks = g_array_new(FALSE, TRUE, sizeof(struct block));
    g_array_set_clear_func(seen->blocks, clear_block);
    godwit_relay_greet(relay, greet, seen);
}

/* Checks that the last connection's answers end with a whole message. Earlier connections failed,
 * and may end anywhere. */
static bool judge_end(const struct godwit_scenario_state *seen, GError **error)
{
    const struct line *line =
        seen->lines->len ? g_ptr_array_index(seen->lines, seen->lines->len - 1) : NULL;
    g_autoptr(GError) cut = NULL;
    return !line || godwit_answers_end(line->answers, &cut) ||
           godwit_fail(error, GODWIT_ERROR_ORACLE, "the destination's answers are wrong at byte %s",
                       cut->message);
}

/* Checks that all answers are well-formed and that all of them were followed. Records in the
 * measurements what was seen. */
static bool judge(struct godwit_testbed *testbed, GError **error)
{
    const struct godwit_scenario_state *seen = testbed->state;
    json_t *counts = json_object();
    for (int type = 1; type < GODWIT_ANSWER_TYPES; type++)
        json_object_set_new(counts, godwit_answer_name((enum godwit_answer_type)type),
                            json_integer(seen->counts[type]));
    json_object_set_new(counts, "blocks", json_integer(seen->blocks->len));
    godwit_testbed_measure(testbed, "return-path", counts);
    if (seen->problem)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "the destination's answers are wrong at byte %s", seen->problem);
    if (seen->lost)
        return godwit_fail(
            error, GODWIT_ERROR_STREAM,
            "the source's stream could not be followed, so that the answers cannot be "
            "checked: %s",
            seen->lost);
    if (!judge_end(seen, error))
        return false;
    return seen->blocks->len ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION, "the source has announced no RAM block");
}

/* Fails unless there was such an answer. */
static bool expect(const struct godwit_scenario_state *seen, enum godwit_answer_type type,
                   GError **error)
{
    return seen->counts[type] ||
           godwit_fail(error, GODWIT_ERROR_ORACLE, "the destination has sent no %s",
                       godwit_answer_name(type));
}

/* Requires a request with the name of a RAM block. A request without a name is for the block of the
 * request before it, so one with a name must come first. */
static bool judge_postcopy(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_scenario_state *seen = source->testbed->state;
    (void)destination;
    if (!judge(source->testbed, error) || !expect(seen, GODWIT_ANSWER_REQ_PAGES_ID, error) ||
        !expect(seen, GODWIT_ANSWER_SHUT, error))
        return false;
    return seen->shut == 0 ||
           godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "the destination's SHUT has value %" PRIu32 ", expected 0", seen->shut);
}

static bool judge_recovery(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_scenario_state *seen = source->testbed->state;
    if (!judge_postcopy(source, destination, error))
        return false;
    for (guint i = 0; i < seen->blocks->len; i++) {
        const struct block *block = &g_array_index(seen->blocks, struct block, i);
        if (!block->bitmap)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "the destination has sent no RECV_BITMAP for RAM block %s",
                               block->name);
    }
    return expect(seen, GODWIT_ANSWER_RESUME_ACK, error);
}

static bool judge_switchover(struct godwit_vm *source, struct godwit_vm *destination,
                             GError **error)
{
    const struct godwit_scenario_state *seen = source->testbed->state;
    (void)destination;
    return judge(source->testbed, error) && expect(seen, GODWIT_ANSWER_SWITCHOVER_ACK, error);
}

/* Unthrottles the migration once the guest has requested a page. A guest that runs might not need
 * one before all pages have been received. */
static bool unthrottle_on_request(struct godwit_vm *source, struct godwit_vm *destination,
                                  GError **error)
{
    struct godwit_account account = {0};
    return godwit_recovery_await_guest(source, destination, &account, error) &&
           godwit_course_unthrottle_postcopy(source, error);
}

/* With newer machine types the destination acknowledges for each device that asks for it, and no
 * device here does. This property of the migration restores the one acknowledgement for all. */
#define LEGACY "switchover-ack-legacy"

/* Sets *ARGUMENTS to what makes QEMU send an acknowledgement in any case. Leaves it if QEMU does so
 * anyway. */
static bool ask_legacy(struct godwit_testbed *testbed, const struct godwit_qemu *qemu,
                       const char *const **arguments, GError **error)
{
    static const char *const legacy[] = {"-global", "migration." LEGACY "=on", NULL};
    struct godwit_vm *probe = godwit_vm_start_bare(testbed, qemu, error);
    if (!probe || !godwit_vm_handshake(probe, error))
        return false;
    g_autoptr(json_t) properties = godwit_vm_execute(
        probe, "device-list-properties", json_pack("{s:s}", "typename", "migration"), error);
    if (!properties)
        return false;
    size_t i;
    json_t *property;
    json_array_foreach(properties, i, property)
    {
        if (!strcmp(godwit_json_string(property, "name", ""), LEGACY))
            *arguments = legacy;
    }
    return godwit_vm_quit(probe, error);
}

static bool run_switchover(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    struct godwit_spec spec = scenario->spec;
    return ask_legacy(testbed, testbed->setup->source, &spec.source_arguments, error) &&
           ask_legacy(testbed, testbed->setup->destination, &spec.destination_arguments, error) &&
           godwit_course_run(testbed, &spec, error);
}

static const struct godwit_capability switchover_ack[] = {
    {"return-path", true}, {"switchover-ack", true}, {NULL, false}};

#define STATE .state = sizeof(struct godwit_scenario_state), .clear = clear_seen

GODWIT_SCENARIOS(return_path) = {
    {
        .name = "relay/return-path/postcopy",
        .summary = "every request for pages is for whole pages of a RAM block that was announced",
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .watch = watch,
                 .released = unthrottle_on_request,
                 .judge = judge_postcopy},
        STATE,
    },
    {
        .name = "relay/return-path/recovery",
        .summary = "a recovery reports for each RAM block what has arrived, and is confirmed",
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,
                 .move = GODWIT_MOVE_POSTCOPY,
                 .parameters = godwit_postcopy_throttled,
                 .watch = watch,
                 .released = godwit_recovery_fail_and_recover,
                 .judge = judge_recovery},
        STATE,
    },
    {
        .name = "relay/return-path/switchover-ack",
        .summary = "the destination acknowledges the switchover",
        .slow = true,
        .run = run_switchover,
        .spec = {.transport = GODWIT_TRANSPORT_TCP,
                 .capabilities = switchover_ack,
                 .watch = watch,
                 .judge = judge_switchover},
        STATE,
    },
};
GODWIT_SCENARIOS_END(return_path);
