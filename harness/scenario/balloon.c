/*
 * virtio-balloon: pages that the guest has given to QEMU, which discards them, and pages of which
 * the guest says that they are free, so that they need not be sent.
 *
 * Godwit's guest has no driver. The hand drives the device, with pages after the window, which the
 * guest does not use. Their contents are known, so that every byte of them is judged on both sides:
 * what is in the balloon is zero, and so is what was taken out of it and not written to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/virtio.h"
#include "scenario/background.h"
#include "scenario/pattern.h"

#include "base/json.h"
#include "memory/memory.h"
#include <inttypes.h>
#include <string.h>

/* The number of the device in the specification, its queues, and its registers. */
#define VIRTIO_BALLOON 5u
enum { INFLATE, DEFLATE, STATISTICS, FREE_PAGES };
enum { WANTED = 0, ACTUAL = 4, COMMAND = 8 };
#define FEATURE_STATISTICS (UINT64_C(1) << 1)
#define FEATURE_HINT       (UINT64_C(1) << 3)

#define DEVICE "balloon"
#define WHAT   "a machine with virtio-balloon"

/* Where the queues and the pages are, from the end of the window. The RAM there is for firmware, of
 * which there is none any more. */
#define QUEUE(number) ((number) * (uint64_t)GODWIT_VIRTQUEUE_MEMORY)
#define PAGES         (UINT64_C(1) << 20)

/* The pages that go into the balloon, and those of them that come out of it again. */
#define INFLATED 96u
#define DEFLATED 32u

/* The pages that are free. */
#define HINTED_FIRST 64u
#define HINTED       64u

/* What the host wants the guest to give, in pages: before the migration and during it. */
#define WANTED_BEFORE 128u
#define WANTED_DURING 160u

enum { FIRST = 1, SECOND };

struct godwit_scenario_state {
    struct godwit_virtio device;
    struct godwit_virtqueue inflate, deflate, free_pages;
    struct godwit_pattern pattern;
    struct godwit_background background;
    uint64_t ram; /* what query-balloon reports while nothing is in the balloon */
};

/* Sets *BYTES of RAM that the guest of VM still has, by query-balloon. */
static bool ask(struct godwit_vm *vm, uint64_t *bytes, GError **error)
{
    g_autoptr(json_t) answer = godwit_vm_execute(vm, "query-balloon", NULL, error);
    *bytes = (uint64_t)godwit_json_integer(answer, "actual", 0);
    return answer != NULL;
}

/* Fails with MIGRATION unless VM reports that PAGES are in the balloon. */
static bool expect_pages(struct godwit_vm *vm, unsigned pages, GError **error)
{
    const uint64_t wanted = vm->testbed->state->ram - (uint64_t)pages * GODWIT_PATTERN_PAGE;
    uint64_t is;
    return ask(vm, &is, error) &&
           (is == wanted || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                        "%s: query-balloon reports %" PRIu64
                                        " bytes, expected %" PRIu64 " with %u pages in the balloon",
                                        vm->name, is, wanted, pages));
}

/* Asks the guest of VM to give PAGES. */
static bool want(struct godwit_vm *vm, unsigned pages, GError **error)
{
    const uint64_t left = vm->testbed->state->ram - (uint64_t)pages * GODWIT_PATTERN_PAGE;
    return godwit_vm_command(vm, "balloon", json_pack("{s:I}", "value", (json_int_t)left), error);
}

/* Fails with MIGRATION unless the device of VM asks for PAGES. */
static bool expect_wanted(struct godwit_vm *vm, unsigned pages, GError **error)
{
    uint64_t wanted;
    vm->testbed->state->device.vm = vm;
    return godwit_virtio_own(&vm->testbed->state->device, WANTED, 4, &wanted, error) &&
           (wanted == pages || godwit_fail(error, GODWIT_ERROR_MIGRATION,
                                           "%s: the balloon asks for %u pages, expected %u",
                                           vm->name, (unsigned)wanted, pages));
}

/* Gives the device of VM COUNT pages from the page FIRST on, or takes them back. TOTAL are then in
 * the balloon. */
static bool give(struct godwit_vm *vm, struct godwit_virtqueue *queue, unsigned first,
                 unsigned count, unsigned total, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    uint32_t numbers[INFLATED];
    for (unsigned i = 0; i < count; i++)
        numbers[i] = GUINT32_TO_LE(
            (uint32_t)(godwit_pattern_page(&state->pattern, first + i) / GODWIT_PATTERN_PAGE));
    state->device.vm = vm;
    return godwit_virtio_request(&state->device, queue, numbers, count * sizeof(*numbers), NULL, 0,
                                 error) &&
           godwit_virtio_set_own(&state->device, ACTUAL, 4, total, error) &&
           expect_pages(vm, total, error);
}

/* Records that COUNT pages from the page FIRST on are zero. */
static void discard(struct godwit_scenario_state *state, unsigned first, unsigned count)
{
    memset(state->pattern.generations + first, GODWIT_PATTERN_ZERO, count);
}

static bool judge_pages(struct godwit_vm *vm, GError **error)
{
    return godwit_pattern_judge(vm, &vm->testbed->state->pattern, "the pages after the window",
                                error);
}

/* Writes to the pages after the window, and brings the source's device to work, with those of its
 * FEATURES that it has. */
static bool begin(struct godwit_vm *source, uint64_t *features, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    const uint64_t end = source->testbed->setup->workload.window_end;
    state->pattern = (struct godwit_pattern){
        .address = end + PAGES, .size = GODWIT_PATTERN_PAGES * (uint64_t)GODWIT_PATTERN_PAGE};
    for (unsigned page = 0; page < GODWIT_PATTERN_PAGES; page++)
        if (!godwit_pattern_write(source, &state->pattern, page, FIRST, error))
            return false;
    return ask(source, &state->ram, error) &&
           godwit_virtio_find(&state->device, source, "virtio-balloon", VIRTIO_BALLOON, error) &&
           godwit_virtio_begin(&state->device, features, error) &&
           godwit_virtio_queue(&state->device, &state->inflate, INFLATE, end + QUEUE(INFLATE),
                               error) &&
           godwit_virtio_queue(&state->device, &state->deflate, DEFLATE, end + QUEUE(DEFLATE),
                               error) &&
           (!(*features & FEATURE_HINT) ||
            godwit_virtio_queue(&state->device, &state->free_pages, FREE_PAGES,
                                end + QUEUE(FREE_PAGES), error)) &&
           godwit_virtio_start(&state->device, error);
}

/* Puts pages into the balloon, and takes some out. A spec's hook `configure`. */
static bool inflate(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    uint64_t features = ~(FEATURE_STATISTICS | FEATURE_HINT);
    (void)destination;
    if (!godwit_course_stop(source, error) || !begin(source, &features, error) ||
        !want(source, WANTED_BEFORE, error) || !expect_wanted(source, WANTED_BEFORE, error) ||
        !give(source, &state->inflate, 0, INFLATED, INFLATED, error))
        return false;
    discard(state, 0, INFLATED);
    return judge_pages(source, error) &&
           give(source, &state->deflate, 0, DEFLATED, INFLATED - DEFLATED, error) &&
           godwit_vm_command(source, "cont", NULL, error);
}

/* Writes to half of what was taken out, and wants more. A spec's hook `live`. */
static bool change(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    guint iteration = 1;
    (void)destination;
    if (!godwit_migrate_next_iteration(source, &iteration, error))
        return false;
    for (unsigned page = 0; page < DEFLATED; page += 2)
        if (!godwit_pattern_write(source, &source->testbed->state->pattern, page, SECOND, error))
            return false;
    return want(source, WANTED_DURING, error);
}

/* Compares both sides with what they must have. Then takes pages out of the destination's balloon,
 * and puts one into it. A spec's hook `judge`. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    const unsigned pages = INFLATED - DEFLATED, last = GODWIT_PATTERN_PAGES - 1;
    if (!judge_pages(source, error) || !judge_pages(destination, error) ||
        !expect_pages(source, pages, error) || !expect_pages(destination, pages, error) ||
        !expect_wanted(destination, WANTED_DURING, error) ||
        !give(destination, &state->deflate, DEFLATED, DEFLATED, pages - DEFLATED, error) ||
        !give(destination, &state->inflate, last, 1, pages - DEFLATED + 1, error))
        return false;
    discard(state, last, 1);
    godwit_testbed_measure(source->testbed, "balloon_pages", json_integer(pages));
    return judge_pages(destination, error);
}

/* Brings the source's device to work. A spec's hook `configure`. */
static bool configure_hints(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    uint64_t features = ~FEATURE_STATISTICS;
    (void)destination;
    if (!godwit_course_stop(source, error) || !begin(source, &features, error))
        return false;
    return features & FEATURE_HINT
               ? godwit_vm_command(source, "cont", NULL, error)
               : godwit_fail(error, GODWIT_ERROR_MIGRATION,
                             "the source's virtio-balloon with free-page-hint=on has no such "
                             "feature");
}

/* Waits until the device asks for free pages, and gives it some. It must ask before they are sent:
 * the migration is throttled, and they come after the window. A spec's hook `started`. */
static bool hint(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    static const uint32_t stop = 0;
    uint64_t id = 0;
    (void)destination;
    state->device.vm = source;
    while (godwit_virtio_own(&state->device, COMMAND, 4, &id, error) && !id)
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the virtio-balloon to ask for free pages", error))
            return false;
    const uint32_t little = GUINT32_TO_LE((uint32_t)id);
    return id &&
           godwit_virtio_request(&state->device, &state->free_pages, &little, sizeof(little), NULL,
                                 0, error) &&
           godwit_virtio_offer(&state->device, &state->free_pages,
                               godwit_pattern_page(&state->pattern, HINTED_FIRST),
                               HINTED * (size_t)GODWIT_PATTERN_PAGE, error) &&
           godwit_virtio_request(&state->device, &state->free_pages, &stop, sizeof(stop), NULL, 0,
                                 error);
}

/* Waits until the last page of the pattern has arrived, which is sent after those that are free. */
static bool await_last(struct godwit_vm *destination, GError **error)
{
    const struct godwit_pattern *pattern = &destination->testbed->state->pattern;
    const uint64_t last = godwit_pattern_page(pattern, GODWIT_PATTERN_PAGES - 1);
    unsigned char end = 0;
    while (godwit_memory_read(destination, last + GODWIT_PATTERN_PAGE - 1, &end, 1, error)) {
        if (end)
            return true;
        if (!godwit_testbed_rest(destination->testbed, GODWIT_REST_MS,
                                 "the last page to arrive at the destination", error))
            return false;
    }
    return false;
}

/* Checks that the free pages were not sent while all others were. Then discards them on the source,
 * so that both sides are equal. A spec's hook `live`. */
static bool see_unsent(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    guint iteration = 1;
    if (!godwit_migrate_next_iteration(source, &iteration, error) ||
        !await_last(destination, error) || !judge_pages(source, error))
        return false;
    discard(state, HINTED_FIRST, HINTED);
    return judge_pages(destination, error) &&
           give(source, &state->inflate, HINTED_FIRST, HINTED, HINTED, error) &&
           judge_pages(source, error);
}

/* A spec's hook `judge`. */
static bool judge_hints(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    godwit_testbed_measure(source->testbed, "balloon_pages", json_integer(HINTED));
    return judge_pages(destination, error) && expect_pages(destination, HINTED, error);
}

/* A device without a driver. */
static bool want_before(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return ask(source, &source->testbed->state->ram, error) && want(source, WANTED_BEFORE, error);
}

static bool want_during(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return want(source, WANTED_DURING, error);
}

static bool judge_undriven(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return expect_pages(source, 0, error) && expect_pages(destination, 0, error);
}

static void clear(struct godwit_scenario_state *state)
{
    godwit_background_clear(&state->background);
}

/* Starts both sides, with DEVICE. */
static bool start(struct godwit_testbed *testbed, const char *device, struct godwit_vm **source,
                  struct godwit_vm **destination, GError **error)
{
    const char *const arguments[] = {"-object", "iothread,id=thread", "-device", device, NULL};
    testbed->hand = true;
    return godwit_course_try_both(testbed, WHAT, arguments, arguments, GODWIT_VM_DESTINATION_PAUSED,
                                  source, destination, error) &&
           godwit_course_migrates(*source, "machine", error);
}

/* Saves a background snapshot of a guest that has given pages, which QEMU must not give back when
 * it protects all RAM, and loads it. */
static bool run_background(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    struct godwit_scenario_state *state = testbed->state;
    const unsigned pages = INFLATED - DEFLATED;
    struct godwit_vm *source, *destination;
    if (!start(testbed, scenario->data, &source, &destination, error) ||
        !godwit_migrate_set_capabilities(destination, NULL, error) ||
        !inflate(source, destination, error) ||
        !godwit_background_save(&state->background, source, GODWIT_BACKGROUND_RESUMED, error) ||
        !judge_pages(source, error) || !expect_pages(source, pages, error))
        return false;
    return godwit_background_load(&state->background, source, destination, error) &&
           judge_pages(destination, error) && expect_pages(destination, pages, error) &&
           godwit_course_end(source, destination, error);
}

/* Both sides have the device that is the scenario's data. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    struct godwit_vm *source, *destination;
    testbed->oob = godwit_spec_is_postcopy(&scenario->spec);
    return start(testbed, scenario->data, &source, &destination, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

#define ROW(name_, text, device, ...)                                                              \
    {                                                                                              \
        .name = "memory/balloon" name_, .summary = text, .run = run, .data = device,               \
        .state = sizeof(struct godwit_scenario_state), .clear = clear, __VA_ARGS__                 \
    }
#define ON_PCI "virtio-balloon-pci,disable-legacy=on,id=" DEVICE

GODWIT_SCENARIOS(balloon) = {
    ROW("", "pages in a virtio-balloon, which are discarded", ON_PCI ",deflate-on-oom=on",
        .spec = {.configure = inflate, .live = change, .judge = judge}, .slow = true),
    ROW("/postcopy", "pages in a virtio-balloon, postcopy", ON_PCI,
        .spec = {.move = GODWIT_MOVE_POSTCOPY_PAUSED,
                 .configure = inflate,
                 .live = change,
                 .judge = judge},
        .slow = true),
    ROW("/free-page-hint", "free pages, which are not sent",
        ON_PCI ",free-page-hint=on,iothread=thread",
        .spec = {.configure = configure_hints,
                 .started = hint,
                 .live = see_unsent,
                 .judge = judge_hints},
        .slow = true),
    {
        .name = "background-snapshot/balloon",
        .summary = "pages in a virtio-balloon: the file has zeros there, and all else",
        .slow = true,
        .run = run_background,
        .data = ON_PCI,
        .cold = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear,
        GODWIT_BACKGROUND_NEEDS,
    },
    ROW("/undriven", "a virtio-balloon without a driver, with free page hints on",
        "virtio-balloon,id=" DEVICE ",free-page-hint=on,iothread=thread",
        .spec = {.configure = want_before, .live = want_during, .judge = judge_undriven}),
};
GODWIT_SCENARIOS_END(balloon);
