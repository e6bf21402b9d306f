/*
 * Tests of the guests themselves: sets each parameter of the parameter block, and observes its
 * effect in guest memory and on the console. Run these first on a new architecture or a new image.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "oracle/oracle.h"
#include "scenario/scenario.h"

#include <string.h>

#define HEX "0x%" PRIx64

/* Checks that the console has one PASS for every passes_per_report passes that the mailbox counts.
 * At the end of a pass the guest may not have written it yet. */
static bool judge_reports(struct godwit_vm *vm, const struct godwit_mailbox *mailbox,
                          GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const struct godwit_workload stripe = godwit_workload_stripe(workload, 0);
    const uint64_t due = mailbox->passes / workload->passes_per_report;
    const uint64_t shown = vm->console->passes;
    if (shown == due || (shown + 1 == due && mailbox->position == stripe.window_end))
        return true;
    return godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "%s: %" PRIu64 " times B on the console after %" PRIu64
                       " passes, expected one for every %u",
                       vm->name, shown, mailbox->passes, workload->passes_per_report);
}

/* The RAM between the ends of the default window, as far as the machine has it, before the guest's
 * first instruction. Firmware and QEMU may have put things there, for example a device tree. Places
 * in it are offsets in the RAM block, in which there is no gap. */
struct footprint {
    uint64_t start;
    size_t length;
    unsigned char *before; /* owned */
};

static void footprint_clear(struct footprint *footprint)
{
    g_free(footprint->before);
}

static bool read_footprint(struct godwit_vm *vm, const struct footprint *footprint,
                           unsigned char *bytes, GError **error)
{
    uint64_t first = 0;
    const struct godwit_block *block =
        godwit_memory_locate(vm, vm->testbed->setup->machine->ram_base, 1, &first, error);
    return block && godwit_memory_read_block(vm, block, first + footprint->start, bytes,
                                             footprint->length, error);
}

/* Starts a source, records its RAM before the guest's first instruction, and lets the guest run. */
static struct godwit_vm *start(struct godwit_testbed *testbed, struct footprint *footprint,
                               GError **error)
{
    footprint->start = GODWIT_WINDOW_OFFSET;
    footprint->length = MIN(GODWIT_WINDOW_END_OFFSET,
                            ((uint64_t)testbed->setup->memory_mib << 20) - GODWIT_FIRMWARE_ROOM) -
                        GODWIT_WINDOW_OFFSET;
    footprint->before = g_malloc(footprint->length);
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    struct godwit_vm *vm = godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, NULL, error);
    if (!vm || !godwit_vm_handshake(vm, error) ||
        !read_footprint(vm, footprint, footprint->before, error) || !godwit_vm_run(vm, error))
        return NULL;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    return vm;
}

/* Checks that nothing has changed there except the first byte of each page of the window and the
 * suspended byte. */
static bool judge_footprint(struct godwit_vm *vm, const struct footprint *footprint, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t window = godwit_workload_ram_offset(workload, vm->testbed->setup->machine);
    const uint64_t end = window + (workload->window_end - workload->window_start);
    enum { RUN = 64 }; /* bytes compared at a time, since most are unchanged */
    g_autofree unsigned char *now = g_malloc(footprint->length);
    if (!read_footprint(vm, footprint, now, error))
        return false;
    for (size_t i = 0; i < footprint->length; i++) {
        const uint64_t offset = footprint->start + i;
        const size_t run = MIN(RUN, footprint->length - i);
        if (!memcmp(now + i, footprint->before + i, run)) {
            i += run - 1;
            continue;
        }
        if (now[i] == footprint->before[i] ||
            (offset >= window && offset < end && (offset - window) % workload->page_size == 0) ||
            offset == window + GODWIT_SUSPENDED_OFFSET)
            continue;
        return godwit_fail(
            error, GODWIT_ERROR_ORACLE,
            "%s: 0x%02x became 0x%02x at " HEX
            " of RAM, which the guest must not touch (window " HEX "-" HEX ", page size %u)",
            vm->name, footprint->before[i], now[i], offset, window, end, workload->page_size);
    }
    return true;
}

/* Lets the guest run until it has written that many PASSES, then stops it and makes every check. */
static bool observe(struct godwit_vm *vm, unsigned ready, guint64 passes,
                    const struct footprint *footprint, struct godwit_reading *reading,
                    GError **error)
{
    return godwit_vm_wait_console(vm, ready, passes, error) && godwit_course_stop(vm, error) &&
           godwit_oracle_look(vm, reading, error) && judge_reports(vm, reading->mailbox, error) &&
           judge_footprint(vm, footprint, error);
}

/* Checks that each CPU has made progress between two readings. */
static bool judge_progress(struct godwit_vm *vm, const struct godwit_reading *early,
                           const struct godwit_reading *late, GError **error)
{
    for (unsigned cpu = 0; cpu < vm->testbed->setup->workload.cpus; cpu++) {
        const struct godwit_mailbox *then = &early->mailbox[cpu], *now = &late->mailbox[cpu];
        if (now->passes <= then->passes || now->timer <= then->timer)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "%s: CPU %u's passes went from %" PRIu64 " to %" PRIu64
                               ", its timer from %" PRIu64 " to %" PRIu64,
                               vm->name, cpu, then->passes, now->passes, then->timer, now->timer);
    }
    return true;
}

/* Checks the effect of the guest's parameters after its first PASS, and again later. */
static bool watch(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                  GError **error)
{
    struct godwit_reading early, late;
    __attribute__((cleanup(footprint_clear))) struct footprint footprint = {0};
    (void)scenario;
    struct godwit_vm *vm = start(testbed, &footprint, error);
    if (!vm || !observe(vm, 1, 1, &footprint, &early, error) || !godwit_vm_run(vm, error) ||
        !godwit_course_see_it_run(vm, error) ||
        !observe(vm, 1, vm->console->passes + 1, &footprint, &late, error))
        return false;
    return judge_progress(vm, &early, &late, error) && godwit_course_end(vm, NULL, error);
}

/* Leaves the image's parameters as they are. */
static void prepare_defaults(const struct godwit_scenario *scenario,
                             struct godwit_workload *workload)
{
    (void)scenario;
    (void)workload;
}

/* A few pages, so that passes are short, and not where the default window begins. */
static void prepare_window(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    workload->flags |= scenario->flags;
    workload->window_start += 5 * (uint64_t)GODWIT_PAGE_SIZE;
    workload->window_end = workload->window_start + 333 * (uint64_t)GODWIT_PAGE_SIZE;
    workload->passes_per_report = 16;
}

static void prepare_page_size(const struct godwit_scenario *scenario,
                              struct godwit_workload *workload)
{
    prepare_window(scenario, workload);
    workload->page_size = 3 * GODWIT_PAGE_SIZE;
}

static void prepare_report(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    prepare_window(scenario, workload);
    workload->passes_per_report = 7;
}

/* Stops the guest at instants that only the host's scheduling chooses. */
static bool stop_often(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    enum { STOPS = 40 };
    (void)scenario;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    if (!vm)
        return false;
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    unsigned edges = 0;
    for (int i = 0; i < STOPS; i++) {
        struct godwit_reading reading;
        if (!godwit_course_stop(vm, error) || !godwit_oracle_look(vm, &reading, error) ||
            !judge_reports(vm, reading.mailbox, error) || !godwit_vm_run(vm, error))
            return false;
        edges += reading.order->has_edge;
    }
    if (edges == 0)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: stopped %d times, but never in the middle of a pass", vm->name,
                           STOPS);
    return godwit_course_end(vm, NULL, error);
}

static void prepare_stop_often(const struct godwit_scenario *scenario,
                               struct godwit_workload *workload)
{
    workload->flags |= scenario->flags;
    workload->window_end = workload->window_start + (4 << 20);
    workload->passes_per_report = 100;
}

/* Corrupts one byte of a running guest, half a window away from where the CPU writes that owns it:
 * the CPU may have checked the page at its position already. If there are several CPUs, the byte
 * belongs to the second. */
static bool corrupt(struct godwit_vm *vm, uint64_t *address, unsigned *cpu, unsigned char *byte,
                    GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const uint64_t pages = godwit_workload_pages(workload) / workload->cpus;
    struct godwit_mailbox mailbox;
    *cpu = workload->cpus > 1;
    if (!godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, *cpu, &mailbox, error))
        return false;
    const uint64_t turn =
        (mailbox.position - workload->window_start) / workload->page_size / workload->cpus;
    const uint64_t page = (turn + pages / 2) % pages * workload->cpus + *cpu;
    *address = workload->window_start + page * workload->page_size;
    if (!godwit_memory_read(vm, *address, byte, 1, error))
        return false;
    *byte = (unsigned char)(*byte + 0x40);
    vm->console->fault_provoked = workload->flags & GODWIT_FLAG_VERIFY;
    return godwit_memory_write(vm, *address, byte, 1, error) && godwit_vm_run(vm, error);
}

static bool complained(gpointer data)
{
    const struct godwit_vm *vm = data;
    return vm->console->guest_fault;
}

/* With VERIFY, the guest must find a corrupted byte, record it, write X, and halt. */
static bool verify(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                   GError **error)
{
    uint64_t address;
    unsigned cpu;
    unsigned char byte;
    (void)scenario;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    if (!vm || !corrupt(vm, &address, &cpu, &byte, error))
        return false;
    if (!godwit_testbed_wait(testbed, complained, vm, "the guest to find a corrupted byte", error))
        return false;
    struct godwit_mailbox mailbox;
    const guint64 passes = vm->console->passes;
    if (!godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, cpu, &mailbox, error))
        return false;
    const struct godwit_workload *workload = &testbed->setup->workload;
    const unsigned char first = godwit_workload_first_byte(
        workload, (address - workload->window_start) / workload->page_size);
    if (mailbox.state != GODWIT_STATE_FAULT || mailbox.fault_address != address ||
        mailbox.fault_found != byte || mailbox.fault_expected != (mailbox.passes + first) % 256 ||
        mailbox.position != address)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: 0x%02x was written to " HEX ", but the guest recorded 0x%02" PRIx64
                           " at " HEX " instead of 0x%02" PRIx64 " in pass %" PRIu64
                           ", position " HEX ", state %u",
                           vm->name, byte, address, mailbox.fault_found, mailbox.fault_address,
                           mailbox.fault_expected, mailbox.passes, mailbox.position, mailbox.state);
    /* The CPU must have halted: run the VM, and check that neither console nor mailbox changes. The
     * console belongs to the first CPU, which must go on if another one halted. */
    struct godwit_mailbox later;
    if (!godwit_vm_run(vm, error) ||
        (cpu > 0 && !godwit_vm_wait_console(vm, 1, passes + 2, error)) ||
        !godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, cpu, &later, error))
        return false;
    if (memcmp(&later, &mailbox, sizeof(later)) != 0 || (cpu == 0 && vm->console->passes != passes))
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: the guest continued after it had found a corrupted byte", vm->name);
    return godwit_course_end(vm, NULL, error);
}

/* Without VERIFY, the guest must not notice the corrupted byte. */
static bool no_verify(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    uint64_t address;
    unsigned cpu;
    unsigned char byte;
    (void)scenario;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    return vm && corrupt(vm, &address, &cpu, &byte, error) &&
           godwit_vm_wait_console(vm, 1, vm->console->passes + 2, error) &&
           godwit_course_end(vm, NULL, error);
}

static void prepare_no_verify(const struct godwit_scenario *scenario,
                              struct godwit_workload *workload)
{
    prepare_window(scenario, workload);
    workload->flags &= ~(uint32_t)GODWIT_FLAG_VERIFY;
}

/* The least and the most increments since the cold start that the mailbox allows. At the window's
 * end, the pass that is over may or may not be counted yet. */
static uint64_t least_increments(const struct godwit_workload *workload,
                                 const struct godwit_mailbox *mailbox)
{
    const uint64_t in_pass =
        mailbox->position == workload->window_end
            ? 0
            : (mailbox->position - workload->window_start) / workload->page_size;
    return mailbox->passes * godwit_workload_pages(workload) + in_pass;
}

static uint64_t most_increments(const struct godwit_workload *workload,
                                const struct godwit_mailbox *mailbox)
{
    return mailbox->passes * godwit_workload_pages(workload) +
           (mailbox->position - workload->window_start) / workload->page_size;
}

/* Checks by the guest's own timer that no page follows the one before it sooner than page_ticks
 * allows. */
static bool rate(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                 GError **error)
{
    const struct godwit_workload stripe = godwit_workload_stripe(&testbed->setup->workload, 0);
    const struct godwit_workload *workload = &stripe;
    struct godwit_mailbox early, late;
    (void)scenario;
    struct godwit_vm *vm = godwit_course_source(testbed, error);
    godwit_testbed_phase(testbed, GODWIT_PHASE_OBSERVE);
    if (!vm || !godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, 0, &early, error) ||
        !godwit_vm_run(vm, error) ||
        !godwit_vm_wait_console(vm, 1, vm->console->passes + 4, error) ||
        !godwit_course_stop(vm, error) || !godwit_memory_mailbox(vm, 0, &late, error))
        return false;
    const uint64_t made = least_increments(workload, &late) - most_increments(workload, &early);
    const uint64_t ticks = late.timer - early.timer;
    if ((made - 1) * workload->page_ticks > ticks)
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: %" PRIu64 " pages in %" PRIu64
                           " ticks of the guest's timer (from %" PRIu64 " to %" PRIu64
                           "), although page_ticks is %u",
                           vm->name, made, ticks, early.timer, late.timer, workload->page_ticks);
    godwit_testbed_measure(testbed, "rate",
                           json_pack("{s:I, s:I, s:I}", "pages", (json_int_t)made, "ticks",
                                     (json_int_t)ticks, "page_ticks",
                                     (json_int_t)workload->page_ticks));
    return godwit_course_end(vm, NULL, error);
}

/* Far slower than any guest without a rate: 50000 ticks are 5 ms on the slowest timer (10 MHz), and
 * more than 5 us on the fastest. */
static void prepare_rate(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    prepare_window(scenario, workload);
    workload->window_end = workload->window_start + 16 * (uint64_t)GODWIT_PAGE_SIZE;
    workload->passes_per_report = 1;
    workload->page_ticks = 50000;
}

/* The guest must suspend itself once, continue after the wake-up, and not suspend itself again. */
static bool suspend(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                    GError **error)
{
    struct godwit_mailbox asleep;
    struct godwit_reading awake;
    __attribute__((cleanup(footprint_clear))) struct footprint footprint = {0};
    unsigned char flag = 0;
    (void)scenario;
    struct godwit_vm *vm = start(testbed, &footprint, error);
    if (!vm || !godwit_vm_wait_event(vm, 0, "SUSPEND", NULL, error) ||
        !godwit_memory_mailbox(vm, 0, &asleep, error) ||
        !godwit_memory_read(vm, testbed->setup->workload.window_start + GODWIT_SUSPENDED_OFFSET,
                            &flag, 1, error))
        return false;
    if (asleep.state != GODWIT_STATE_SUSPENDED || flag != 1)
        return godwit_fail(
            error, GODWIT_ERROR_ORACLE,
            "%s: the suspended guest has state %u in its mailbox and suspended byte %u", vm->name,
            asleep.state, flag);
    const guint events = vm->qmp->events->len;
    vm->console->ready_allowed++;
    if (!godwit_vm_command(vm, "system_wakeup", NULL, error) ||
        !observe(vm, 2, vm->console->passes + 3, &footprint, &awake, error))
        return false;
    if (godwit_qmp_find_event(vm->qmp, events, "SUSPEND", NULL))
        return godwit_fail(error, GODWIT_ERROR_ORACLE,
                           "%s: the guest suspended itself a second time", vm->name);
    if (awake.mailbox->state != GODWIT_STATE_RUNNING || awake.mailbox->passes <= asleep.passes)
        return godwit_fail(
            error, GODWIT_ERROR_ORACLE,
            "%s: the woken guest has state %u in its mailbox; passes went from %" PRIu64
            " to %" PRIu64,
            vm->name, awake.mailbox->state, asleep.passes, awake.mailbox->passes);
    return godwit_course_end(vm, NULL, error);
}

#define STAGGERED(what, how)                                                                       \
    .run = what, .prepare = how, .order = true, .flags = GODWIT_FLAG_STAGGER | GODWIT_FLAG_VERIFY

GODWIT_SCENARIOS(guest) = {
    {
        .name = "guest/defaults",
        .summary = "the unmodified image: default window, page size, and one B for every 8 passes",
        .slow = true,
        .run = watch,
        .prepare = prepare_defaults,
        .whole = true,
        .order = true,
    },
    {
        .name = "guest/window",
        .summary = "another window: the guest writes nothing outside it",
        .run = watch,
        .prepare = prepare_window,
        .order = true,
    },
    {
        .name = "guest/page-size",
        .summary = "another page size: the guest writes only the first byte of each page",
        .run = watch,
        .prepare = prepare_page_size,
        .order = true,
    },
    {
        .name = "guest/report",
        .summary = "another number of passes for each B",
        .run = watch,
        .prepare = prepare_report,
        .order = true,
    },
    {
        .name = "guest/order",
        .summary = "stopped forty times: page order holds and agrees with the mailbox",
        .run = stop_often,
        .prepare = prepare_stop_often,
        .order = true,
    },
    {
        .name = "guest/verify",
        .summary = "with VERIFY, the guest finds a corrupted byte, records it, writes X and halts",
        .run = verify,
        .prepare = prepare_window,
        .order = true,
        .flags = GODWIT_FLAG_VERIFY,
    },
    {
        .name = "guest/no-verify",
        .summary = "without VERIFY, the guest ignores a corrupted byte",
        .run = no_verify,
        .prepare = prepare_no_verify,
        .order = true,
    },
    {
        .name = "guest/rate",
        .summary = "page_ticks: the delay between pages holds by the guest's own timer",
        .run = rate,
        .prepare = prepare_rate,
        .order = true,
    },
    {
        .name = "guest/cpus",
        .summary = "two CPUs with every other page each: both make progress and write nothing else",
        .run = watch,
        .prepare = prepare_window,
        .order = true,
        .cpus = 2,
    },
    {
        .name = "guest/cpus-verify",
        .summary = "the second of two CPUs finds a corrupted byte in its pages, and only it halts",
        .run = verify,
        .prepare = prepare_window,
        .order = true,
        .flags = GODWIT_FLAG_VERIFY,
        .cpus = 2,
    },
    {.name = "guest/stagger/window",
     .summary = "with STAGGER each page starts with another byte: nothing else is written",
     STAGGERED(watch, prepare_window)},
    {.name = "guest/stagger/cpus",
     .summary = "with STAGGER and three CPUs, each of which has pages of its own",
     STAGGERED(watch, prepare_window),
     .cpus = 3},
    {.name = "guest/stagger/order",
     .summary = "with STAGGER, stopped forty times: page order holds and agrees with the mailbox",
     STAGGERED(stop_often, prepare_stop_often)},
    {.name = "guest/stagger/verify",
     .summary = "with STAGGER and VERIFY, the guest finds a corrupted byte where all differ anyway",
     STAGGERED(verify, prepare_window),
     .cpus = 2},
    {
        .name = "guest/suspend",
        .summary = "the guest suspends itself once (ACPI S3), wakes up and continues",
        .run = suspend,
        .prepare = prepare_window,
        .order = true,
        .flags = GODWIT_FLAG_SUSPEND,
    },
};
GODWIT_SCENARIOS_END(guest);
