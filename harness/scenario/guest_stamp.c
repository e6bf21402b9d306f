/*
 * Tests of the guests' `stamp` workload: each kind of content and each order, stopped often; the
 * rate; and VERIFY, which must find a wrong word.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/oracle.h"
#include "oracle/stamp.h"
#include "scenario/scenario.h"

/* More pages than a stride has, but few enough for many passes. */
static void prepare(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    workload->flags |= scenario->flags | GODWIT_FLAG_STAMP | GODWIT_FLAG_VERIFY;
    workload->usual_content = false;
    workload->window_end =
        workload->window_start + (GODWIT_STAMP_STRIDE + 88) * (uint64_t)GODWIT_PAGE_SIZE;
    workload->page_size = GODWIT_PAGE_SIZE;
    workload->passes_per_report = 1;
}

/* Stops the guest at instants that only the host's scheduling chooses. */
static bool stop_often(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    enum { STOPS = 30 };
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    const struct godwit_stamp stamp = godwit_stamp_of(&testbed->setup->workload);
    unsigned amid = 0;
    uint64_t passes = 0;
    for (int i = 0; i < STOPS; i++) {
        struct godwit_reading reading;
        struct godwit_stamp_account account = {0};
        if (!godwit_course_stop(vm, error) || !godwit_oracle_look(vm, &reading, error) ||
            !godwit_vm_run(vm, error))
            return false;
        const struct godwit_mailbox *mailbox = reading.mailbox;
        godwit_stamp_account(&stamp, 0, testbed->setup->workload.window_start, mailbox->passes,
                             mailbox->position, &account);
        amid += account.turn > 0 && account.turn < stamp.pages;
        passes = mailbox->passes;
    }
    if (amid == 0)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: stopped %d times, but never in the middle of a pass", vm->name,
                           STOPS);
    /* Run until all words of `sparse` have been written twice, and each page of `zero` and `mixed`
     * has been zero and not zero. */
    const bool slowly = scenario->flags & GODWIT_FLAG_CONTENT_MASK;
    const guint64 wanted = slowly ? GODWIT_STAMP_PERIOD * (GODWIT_STAMP_CYCLE + 1) : 4;
    if (passes < wanted && !godwit_vm_wait_console(vm, 1, wanted, error))
        return false;
    struct godwit_reading last;
    return godwit_course_stop(vm, error) && godwit_oracle_look(vm, &last, error) &&
           godwit_vm_quit(vm, error);
}

/* A page takes 100 ms on the slowest timer and 0.24 ms on the fastest. */
static void prepare_rate(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    prepare(scenario, workload);
    workload->window_end = workload->window_start + 4 * (uint64_t)GODWIT_PAGE_SIZE;
    workload->page_ticks = 1000000;
}

/* Returns how many pages were written by then. */
static uint64_t written(const struct godwit_workload *workload,
                        const struct godwit_mailbox *mailbox)
{
    return mailbox->passes * godwit_workload_pages(workload) +
           (mailbox->position - workload->window_start) / workload->page_size;
}

/* Stops the guest in the middle of a pass. Between two passes, the last one may or may not be
 * counted yet. */
static bool stop_amid(struct godwit_vm *vm, struct godwit_mailbox *mailbox, GError **error)
{
    for (;;) {
        if (!godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, 0, mailbox, error))
            return false;
        if (mailbox->position != vm->testbed->setup->workload.window_end)
            return true;
        if (!godwit_vm_run(vm, error))
            return false;
    }
}

/* Checks the rate by the guest's own timer. A guest that the host does not let run falls behind and
 * catches up: it must be within 10 % after some pass, and must never be ahead. */
static bool rate(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                 GError **error)
{
    enum { PASSES = 4 };
    (void)scenario;
    const struct godwit_workload *workload = &testbed->setup->workload;
    struct godwit_mailbox early, late;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    if (!stop_amid(vm, &early, error))
        return false;
    const uint64_t before = written(workload, &early);
    uint64_t pages = 0;
    double wanted = 1;
    for (enum godwit_stamp_pace pace = GODWIT_STAMP_BEHIND; pace != GODWIT_STAMP_KEPT;) {
        if (!godwit_vm_run(vm, error) ||
            !godwit_vm_wait_console(vm, 1, vm->console->passes + PASSES, error) ||
            !stop_amid(vm, &late, error)) {
            godwit_error_context(error, "%" PRIu64 " pages were written in the time for %.0f",
                                 pages, wanted);
            return false;
        }
        pages = written(workload, &late) - before;
        wanted = (double)(late.timer - early.timer) / workload->page_ticks;
        pace = godwit_stamp_pace(workload->page_ticks, before, early.timer, before + pages,
                                 late.timer);
        if (pace == GODWIT_STAMP_AHEAD)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: the guest is ahead of its rate: %" PRIu64
                               " pages in the time for %.1f, after %" PRIu64
                               " pages in the time for %.1f; page_ticks is %u",
                               vm->name, pages, wanted, before,
                               (double)early.timer / workload->page_ticks, workload->page_ticks);
    }
    godwit_testbed_measure(testbed, "rate",
                           json_pack("{s:I, s:f, s:i}", "pages", (json_int_t)pages, "periods",
                                     wanted, "page_ticks", (int)workload->page_ticks));
    return godwit_vm_quit(vm, error);
}

static bool complained(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->console->guest_fault;
}

/* Flips one bit in the last word of a page, which only a guest that checks every byte can find. */
static bool verify(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                   GError **error)
{
    (void)scenario;
    const struct godwit_workload *workload = &testbed->setup->workload;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    const uint32_t page = (uint32_t)godwit_workload_pages(workload) / 2;
    const uint64_t address =
        workload->window_start + (page + UINT64_C(1)) * workload->page_size - sizeof(uint64_t);
    const bool big = testbed->setup->machine->big_endian;
    unsigned char word[sizeof(uint64_t)];
    if (!godwit_course_stop(vm, error) ||
        !godwit_memory_read(vm, address, word, sizeof(word), error))
        return false;
    word[3] ^= 1;
    vm->console->fault_provoked = true;
    if (!godwit_memory_write(vm, address, word, sizeof(word), error) || !godwit_vm_run(vm, error) ||
        !godwit_testbed_wait(testbed, complained, vm, "the guest to find a corrupted word", error))
        return false;
    struct godwit_mailbox mailbox;
    if (!godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, 0, &mailbox, error))
        return false;
    const struct godwit_stamp stamp = godwit_stamp_of(workload);
    const uint32_t last = godwit_stamp_words(&stamp) - 1;
    const uint64_t expected = godwit_stamp_word(&stamp, page, last, mailbox.passes);
    const uint64_t found = godwit_guest_get64(word, big);
    if (mailbox.state != GODWIT_STATE_FAULT || mailbox.fault_address != address ||
        mailbox.fault_expected != expected || mailbox.fault_found != found)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: 0x%016" PRIx64 " was written to 0x%" PRIx64
                           " instead of 0x%016" PRIx64 ", but the guest recorded 0x%016" PRIx64
                           " at 0x%" PRIx64 " instead of 0x%016" PRIx64 ", state %u",
                           vm->name, found, address, expected, mailbox.fault_found,
                           mailbox.fault_address, mailbox.fault_expected, mailbox.state);
    return godwit_vm_quit(vm, error);
}

#define STOPPED(kind, words, flag, slow_)                                                          \
    {                                                                                              \
        .name = "guest/stamp/" kind, .run = stop_often, .prepare = prepare, .order = true,         \
        .flags = flag, .slow = slow_,                                                              \
        .summary = "stamp, " words ": stopped thirty times, every byte is correct",                \
        .lacks = godwit_scenario_lacks_stamp                                                       \
    }

GODWIT_SCENARIOS(guest_stamp) = {
    STOPPED("whole", "whole pages in ascending order", 0, false),
    STOPPED("sparse", "one word in sixteen", GODWIT_FLAG_SPARSE, true),
    STOPPED("zero", "with zero pages", GODWIT_FLAG_ZERO, true),
    STOPPED("mixed", "some pages in each pass", GODWIT_FLAG_MIXED, true),
    STOPPED("stride", "in steps of 2 MiB", GODWIT_FLAG_STRIDE, false),
    STOPPED("random", "in random order", GODWIT_FLAG_RANDOM, false),
    {
        .name = "guest/stamp/rate",
        .summary = "stamp at a given rate: kept within 10 % by the guest's own timer",
        .run = rate,
        .prepare = prepare_rate,
        .order = true,
        .lacks = godwit_scenario_lacks_stamp,
    },
    {
        .name = "guest/stamp/verify",
        .summary = "stamp with VERIFY: the guest finds a flipped bit and reports the word",
        .run = verify,
        .prepare = prepare,
        .order = true,
        .lacks = godwit_scenario_lacks_stamp,
    },
};
GODWIT_SCENARIOS_END(guest_stamp);
