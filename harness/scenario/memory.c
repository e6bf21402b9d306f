/*
 * Where guest RAM comes from. Each row gives both sides a memory backend other than the default, or
 * several, and takes the common course. QEMU maps, populates and discards each kind of memory by
 * different code, and places the pages that arrive by different code, too.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "base/json.h"
#include "guest/image.h"
#include "memory/memory.h"
#include <inttypes.h>
#include <string.h>

/* How a side gets its RAM. */
struct backing {
    const char *type;    /* of the memory backend */
    const char *options; /* further ones, each with a comma before it */
    bool file;           /* it needs mem-path: each side has a file of its own */
    const char *member;  /* of query-memdev, which must be true on both sides; NULL: none */
};

/* The backend's name, and so the RAM block's. */
#define NAME "backed"

/* The RAM of the first of three NUMA nodes, in MiB. The second one is the guest's window, and so
 * begins and ends with it. */
#define LOW_MIB 16u

static bool start(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                  struct godwit_vm **source, struct godwit_vm **destination, const char *what,
                  GError **error)
{
    testbed->oob = godwit_spec_is_postcopy(spec);
    return godwit_course_try_both(
        testbed, what, spec->source_arguments, spec->destination_arguments,
        testbed->oob ? GODWIT_VM_DESTINATION : GODWIT_VM_DESTINATION_PAUSED, source, destination,
        error);
}

/* Checks that the VM's RAM comes from the backend, with the member that it was asked for. */
static bool see_backend(struct godwit_vm *vm, const struct backing *backing, GError **error)
{
    g_autoptr(json_t) all = godwit_vm_execute(vm, "query-memdev", NULL, error);
    const json_t *one;
    size_t i;
    if (!all)
        return false;
    json_array_foreach(all, i,
                       one) if (!strcmp(godwit_json_string(one, "id", ""), NAME) &&
                                (!backing->member ||
                                 json_is_true(json_object_get(one, backing->member)))) return true;
    return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: query-memdev has no backend " NAME " with %s", vm->name,
                       backing->member ? backing->member : "any member");
}

/* Returns the -object of the side NAMED. The caller frees it. */
static char *object_of(const struct godwit_testbed *testbed, const struct backing *backing,
                       const char *named)
{
    g_autofree char *path = g_strdup_printf(",mem-path=%s.ram", named);
    return g_strdup_printf("%s,id=" NAME ",size=%uM%s%s", backing->type, testbed->setup->memory_mib,
                           backing->options, backing->file ? path : "");
}

static bool run_backed(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    const struct backing *backing = scenario->data;
    struct godwit_spec spec = scenario->spec;
    struct godwit_vm *source, *destination;
    g_autofree char *object = object_of(testbed, backing, "source");
    g_autofree char *other = object_of(testbed, backing, "destination");
    const char *const here[] = {"-object", object, "-machine", "memory-backend=" NAME, NULL};
    const char *const there[] = {"-object", other, "-machine", "memory-backend=" NAME, NULL};
    spec.source_arguments = here;
    spec.destination_arguments = there;
    g_autofree char *what = g_strdup_printf("with %s%s", backing->type, backing->options);
    return start(testbed, &spec, &source, &destination, what, error) &&
           see_backend(source, backing, error) && see_backend(destination, backing, error) &&
           godwit_course_move(testbed, &spec, source, destination, error);
}

/* Moves the window to where the second node begins. */
static void prepare_nodes(const struct godwit_scenario *scenario, struct godwit_workload *workload)
{
    const uint64_t length = workload->window_end - workload->window_start;
    godwit_scenario_default(scenario, workload);
    workload->window_start += ((uint64_t)LOW_MIB << 20) - GODWIT_WINDOW_OFFSET;
    workload->window_end = workload->window_start + length;
}

/* Checks that the window is a RAM block of its own. */
static bool see_block(struct godwit_vm *vm, GError **error)
{
    const struct godwit_workload *workload = &vm->testbed->setup->workload;
    const size_t length = workload->window_end - workload->window_start;
    uint64_t offset = 0;
    const struct godwit_block *block =
        godwit_memory_locate(vm, workload->window_start, length, &offset, error);
    if (!block)
        return false;
    return (offset == 0 && block->length == length) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: the window is at 0x%" PRIx64 " of RAM block %s, which has %" PRIu64
                       " bytes; expected all of a block",
                       vm->name, offset, block->name, (uint64_t)block->length);
}

static bool run_nodes(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    const struct godwit_workload *workload = &testbed->setup->workload;
    const unsigned window = (unsigned)((workload->window_end - workload->window_start) >> 20);
    struct godwit_spec spec = scenario->spec;
    struct godwit_vm *source, *destination;
    g_autofree char *low = g_strdup_printf("memory-backend-ram,id=low,size=%uM", LOW_MIB);
    g_autofree char *middle = g_strdup_printf("memory-backend-ram,id=middle,size=%uM", window);
    g_autofree char *high = g_strdup_printf("memory-backend-ram,id=high,size=%uM",
                                            testbed->setup->memory_mib - LOW_MIB - window);
    const char *const arguments[] = {"-object", low,
                                     "-object", middle,
                                     "-object", high,
                                     "-numa",   "node,nodeid=0,cpus=0,memdev=low",
                                     "-numa",   "node,nodeid=1,memdev=middle",
                                     "-numa",   "node,nodeid=2,memdev=high",
                                     NULL};
    spec.source_arguments = arguments;
    spec.destination_arguments = arguments;
    return start(testbed, &spec, &source, &destination, "with three NUMA nodes", error) &&
           see_block(source, error) && see_block(destination, error) &&
           godwit_course_move(testbed, &spec, source, destination, error);
}

/* Returns how much of the window is in the first of two nodes: half of its pages. */
static uint64_t lower_half(const struct godwit_workload *workload)
{
    return godwit_workload_pages(workload) / 2 * workload->page_size;
}

/* Moves the window to where the first of two nodes ends in it. The node has room for what is below
 * the window, in steps that every machine takes. */
static void place_blocks(struct godwit_setup *setup)
{
    struct godwit_workload *workload = &setup->workload;
    const uint64_t half = lower_half(workload);
    const uint64_t length = workload->window_end - workload->window_start;
    const uint64_t step = (uint64_t)MAX(setup->machine->memory_least_mib, LOW_MIB) << 20;
    const uint64_t low = (half + GODWIT_WINDOW_OFFSET + step - 1) / step * step;
    workload->window_start = setup->machine->ram_base + low - half;
    workload->window_end = workload->window_start + length;
}

static struct godwit_lack *lacks_blocks(const struct godwit_setup *setup)
{
    struct godwit_setup placed = *setup;
    place_blocks(&placed);
    if (!setup->memory_given || godwit_workload_check(&placed.workload, setup->machine,
                                                      setup->image, setup->memory_mib, NULL))
        return NULL;
    return godwit_lack_new(g_strdup("RAM for a window in two blocks"),
                           g_strdup_printf("with --memory %u it ends before", setup->memory_mib));
}

/* Checks that the window begins in one of the two blocks and ends in the other. */
static bool see_parts(struct godwit_vm *vm, GError **error)
{
    const uint64_t half = lower_half(&vm->testbed->setup->workload);
    g_autoptr(GArray) parts = godwit_memory_window(vm, error);
    if (!parts)
        return false;
    const struct godwit_part *low = &g_array_index(parts, struct godwit_part, 0);
    if (parts->len == 2 && low->length == half && low->offset + half == low->block->length)
        return true;
    return godwit_fail(
        error, GODWIT_ERROR_MIGRATION,
        "%s: the window has %u parts, the first one of %" PRIu64 " bytes at 0x%" PRIx64
        " of RAM block %s, which has %" PRIu64
        " bytes; expected two parts, the first one of %" PRIu64 " bytes at the end of its block",
        vm->name, parts->len, low->length, low->offset, low->block->name, low->block->length, half);
}

/* The second block's backend, with its options, is the scenario's data. */
static bool run_blocks(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                       GError **error)
{
    const char *const high_backend = scenario->data;
    const struct godwit_setup *setup = testbed->setup;
    const uint64_t edge = setup->workload.window_start + lower_half(&setup->workload);
    const unsigned low_mib = (unsigned)((edge - setup->machine->ram_base) >> 20);
    struct godwit_spec spec = scenario->spec;
    struct godwit_vm *source, *destination;
    g_autofree char *low = g_strdup_printf("memory-backend-ram,id=low,size=%uM", low_mib);
    g_autofree char *high =
        g_strdup_printf("%s,id=high,size=%uM", high_backend, setup->memory_mib - low_mib);
    const char *const arguments[] = {"-smp",    "2",
                                     "-object", low,
                                     "-object", high,
                                     "-numa",   "node,nodeid=0,cpus=0,memdev=low",
                                     "-numa",   "node,nodeid=1,cpus=1,memdev=high",
                                     NULL};
    spec.source_arguments = arguments;
    spec.destination_arguments = arguments;
    return start(testbed, &spec, &source, &destination, "with two NUMA nodes", error) &&
           see_parts(source, error) && see_parts(destination, error) &&
           godwit_course_move(testbed, &spec, source, destination, error);
}

/* The address that does not fit into 32 bits. */
#define EDGE (UINT64_C(1) << 32)

/* Returns whether the machine has a gap of RAM at EDGE, and its guest reaches beyond. */
static bool has_gap(const struct godwit_setup *setup)
{
    return setup->image->beyond_gap && setup->machine->gap.end == EDGE;
}

/* Moves the window to where half of it is beyond EDGE or, if no RAM is in front of that, all of it.
 */
static void place_above(struct godwit_setup *setup)
{
    struct godwit_workload *workload = &setup->workload;
    const uint64_t length = workload->window_end - workload->window_start;
    workload->window_start =
        has_gap(setup) ? EDGE + GODWIT_WINDOW_OFFSET : EDGE - lower_half(workload);
    workload->window_end = workload->window_start + length;
}

static struct godwit_lack *lacks_above(const struct godwit_setup *setup)
{
    const struct godwit_machine *machine = setup->machine;
    struct godwit_setup placed = *setup;
    place_above(&placed);
    if (machine->reach && machine->reach <= EDGE && !has_gap(setup))
        return godwit_lack_new(
            g_strdup("a guest that reaches memory beyond 4 GiB"),
            g_strdup_printf("that of %s reaches 0x%" PRIx64, machine->arch, machine->reach));
    if (setup->memory_given &&
        !godwit_workload_check(&placed.workload, machine, setup->image, setup->memory_mib, NULL))
        return godwit_lack_new(
            g_strdup("RAM for a window beyond 4 GiB"),
            g_strdup_printf("with --memory %u it ends before", setup->memory_mib));
    return NULL;
}

static bool run_above(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    struct godwit_vm *source, *destination;
    return start(testbed, &scenario->spec, &source, &destination, "with RAM beyond 4 GiB", error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

/* PRECOPY and POSTCOPY make rows of a backing. SELDOM marks a row that exercises little more than
 * another one does, and so does not run by default. */
#define PRECOPY(kind, slow_, text, ...)                                                            \
    {                                                                                              \
        .name = "memory/" kind, .summary = text, .run = run_backed, .slow = slow_,                 \
        .spec = {.transport = GODWIT_TRANSPORT_UNIX}, .data = &(const struct backing)              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define POSTCOPY(kind, slow_, text, ...)                                                           \
    {                                                                                              \
        .name = "memory/" kind "/postcopy", .summary = text, .run = run_backed, .slow = slow_,     \
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_POSTCOPY},                \
        .data = &(const struct backing)                                                            \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define MEMFD    "memory-backend-memfd", ",share=on", false, "share"
#define PRIVATE  "memory-backend-file", ",share=off", true, NULL
#define SHARED   "memory-backend-file", ",share=on", true, "share"
#define PREALLOC "memory-backend-ram", ",prealloc=on", false, "prealloc"
#define UNMERGED "memory-backend-ram", ",merge=off,dump=off", false, NULL
#define HUGE     "memory-backend-memfd", ",hugetlb=on,hugetlbsize=2M", false, "share"

/* Huge pages are sent in parts. The destination of a postcopy places them whole. */
#define HUGE_BY(kind, text, ...)                                                                   \
    {                                                                                              \
        .name = "memory/hugetlb/" kind, .summary = text, .run = run_backed, .slow = true,          \
        .spec = {__VA_ARGS__}, .data = &(const struct backing)                                     \
        {                                                                                          \
            HUGE                                                                                   \
        }                                                                                          \
    }

/* Some machines want a CPU in each node. The guest has the first one only, since those of riscv64's
 * second node get their interrupts from elsewhere. */
#define BLOCKS(kind, slow_, backend, text, ...)                                                    \
    {                                                                                              \
        .name = "memory/blocks" kind, .summary = text, .run = run_blocks, .place = place_blocks,   \
        .lacks = lacks_blocks, .cpus = 1, .slow = slow_, .data = backend, __VA_ARGS__              \
    }
#define RAM          "memory-backend-ram"
#define SHARED_MEMFD "memory-backend-memfd,share=on"

/* With multifd and with mapped-ram, QEMU 10.0 and 11.1 leave a page of the destination as it is
 * that is zero when it is sent first. At the end of its first node's RAM a pseries has a device
 * tree, which the window covers, so these rows do without zero pages (docs/known-bugs.md). */
static const struct godwit_capability multifd[] = {{"multifd", true}, {NULL, false}};
static const struct godwit_capability mapped_ram[] = {{"mapped-ram", true}, {NULL, false}};
static const struct godwit_capability preempt[] = {{"postcopy-preempt", true}, {NULL, false}};

GODWIT_SCENARIOS(memory) = {
    PRECOPY("memfd", true, "guest RAM in a memfd", MEMFD),
    POSTCOPY("memfd", true, "guest RAM in a memfd, postcopy", MEMFD),
    PRECOPY("file/private", true, "guest RAM in a private mapping of a file", PRIVATE),
    PRECOPY("file/shared", false, "guest RAM in a file of its own on each side", SHARED),
    PRECOPY("prealloc", true, "guest RAM that is populated at start", PREALLOC),
    POSTCOPY("prealloc", true, "guest RAM that is populated at start, postcopy", PREALLOC),
    PRECOPY("unmerged", true, "guest RAM that the kernel must not merge", UNMERGED),
    PRECOPY("hugetlb", false, "guest RAM in huge pages of 2 MiB", HUGE),
    POSTCOPY("hugetlb", false, "guest RAM in huge pages of 2 MiB, postcopy", HUGE),
    HUGE_BY("preempt", "guest RAM in huge pages of 2 MiB, postcopy-preempt",
            .transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_POSTCOPY,
            .capabilities = preempt),
    HUGE_BY("multifd", "guest RAM in huge pages of 2 MiB, multifd",
            .transport = GODWIT_TRANSPORT_UNIX, .capabilities = multifd),
    HUGE_BY("mapped-ram", "guest RAM in huge pages of 2 MiB, into a file with mapped-ram",
            .transport = GODWIT_TRANSPORT_FILE, .capabilities = mapped_ram),
    {
        .name = "memory/nodes",
        .summary = "guest RAM in three blocks; the guest writes all of the second one",
        .slow = true,
        .run = run_nodes,
        .prepare = prepare_nodes,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
    },
    {
        .name = "memory/nodes/postcopy",
        .summary = "likewise, postcopy",
        .run = run_nodes,
        .prepare = prepare_nodes,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_POSTCOPY},
    },
    BLOCKS("", false, RAM, "a window that begins in one RAM block and ends in another",
           .spec = {.transport = GODWIT_TRANSPORT_UNIX}),
    BLOCKS("/postcopy", true, RAM, "likewise, postcopy",
           .spec = {.transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_POSTCOPY}),
    BLOCKS("/memfd", true, SHARED_MEMFD, "likewise, the second block in a memfd",
           .spec = {.transport = GODWIT_TRANSPORT_UNIX}),
    BLOCKS("/memfd/postcopy", true, SHARED_MEMFD, "likewise, the second block in a memfd, postcopy",
           .spec = {.transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_POSTCOPY}),
    BLOCKS("/multifd", true, RAM, "likewise, multifd", .content = GODWIT_FLAG_SPARSE,
           .spec = {.transport = GODWIT_TRANSPORT_UNIX, .capabilities = multifd}),
    BLOCKS("/mapped-ram", true, RAM, "likewise, into a file with mapped-ram",
           .content = GODWIT_FLAG_SPARSE,
           .spec = {.transport = GODWIT_TRANSPORT_FILE, .capabilities = mapped_ram}),
    {
        .name = "memory/above-4g",
        .summary = "a window of which at least the upper half is above 4 GiB",
        .run = run_above,
        .place = place_above,
        .lacks = lacks_above,
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX},
    },
    {
        .name = "memory/above-4g/postcopy",
        .summary = "likewise, postcopy",
        .run = run_above,
        .place = place_above,
        .lacks = lacks_above,
        .slow = true,
        .spec = {.transport = GODWIT_TRANSPORT_UNIX, .move = GODWIT_MOVE_POSTCOPY},
    },
};
GODWIT_SCENARIOS_END(memory);
