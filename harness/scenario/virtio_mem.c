/*
 * Guest RAM by virtio-mem: a RAM block of which the guest has some blocks, "plugged", and QEMU has
 * the rest. What is not plugged is not migrated. It must be discarded on both sides.
 *
 * Godwit's guest has no driver. The hand drives the source's device instead, plugs and unplugs
 * blocks, and writes to them as a device would by DMA. The destination's memory is full of other
 * contents before the migration, of which nothing may be left. Afterwards the queue, which has come
 * with the guest, serves the destination's driver.
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

/* The least size that QEMU takes. All blocks together are less than any guest's RAM: a known bug
 * strikes larger ones (tcg-block-offset). */
#define BLOCK       (UINT64_C(1) << 20)
#define BLOCKS      8u
#define BLOCK_PAGES (GODWIT_PATTERN_PAGES / BLOCKS)

/* The generations of the pattern: the destination's before the migration, and the source's. */
enum { FOREIGN = 1, FIRST, SECOND };

#define MEMORY "plug-memory"
#define DEVICE "plug"

/* The number of the device in the specification, and its requests and answers. */
#define VIRTIO_MEM 24u
#define WHAT       "a machine with virtio-mem"
enum { PLUG, UNPLUG, UNPLUG_ALL, STATE };
enum { ACK, NACK, BUSY, FAILED };

/* How much must be plugged once one of five blocks is unplugged, and during the migration. */
#define WANTED_THEN   (4 * BLOCK)
#define WANTED_DURING (6 * BLOCK)

/* The devices of the two sides. */
struct sides {
    const char *here, *there; /* their properties */
    const char *reason;       /* the one that the destination must name when it refuses */
};

struct godwit_scenario_state {
    struct godwit_virtio device;
    struct godwit_virtqueue queue;
    struct godwit_pattern pattern;
    bool plugged[BLOCKS];
    const struct sides *sides;
    const char *type; /* of the device */
    struct godwit_background background;
};

static void clear(struct godwit_scenario_state *state)
{
    godwit_background_clear(&state->background);
}

/* Returns the block of a page of the pattern. */
static unsigned block_of(unsigned page)
{
    return page / BLOCK_PAGES;
}

/* Returns what query-memory-devices reports of the device, or NULL with ERROR set. The caller
 * unreferences it. */
static json_t *ask(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) devices = godwit_vm_execute(vm, "query-memory-devices", NULL, error);
    json_t *data = json_object_get(json_array_get(devices, 0), "data");
    if (devices && !data)
        godwit_fail(error, GODWIT_ERROR_MIGRATION, "%s: query-memory-devices lists no device",
                    vm->name);
    return json_incref(data);
}

/* Fails with MIGRATION unless VM reports SIZE bytes as plugged, and WANTED as to be plugged. */
static bool expect_sizes(struct godwit_vm *vm, uint64_t size, uint64_t wanted, GError **error)
{
    g_autoptr(json_t) data = ask(vm, error);
    if (!data)
        return false;
    const json_int_t is = godwit_json_integer(data, "size", -1);
    const json_int_t wants = godwit_json_integer(data, "requested-size", -1);
    return (is == (json_int_t)size && wants == (json_int_t)wanted) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: virtio-mem has %" JSON_INTEGER_FORMAT " bytes plugged of "
                       "%" JSON_INTEGER_FORMAT " requested, expected %" PRIu64 " of %" PRIu64,
                       vm->name, is, wants, size, wanted);
}

static uint64_t plugged_bytes(const struct godwit_scenario_state *state)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < BLOCKS; i++)
        bytes += state->plugged[i] ? BLOCK : 0;
    return bytes;
}

/* Sets how much is to be plugged. */
static bool request(struct godwit_vm *vm, uint64_t bytes, GError **error)
{
    return godwit_vm_command(vm, "qom-set",
                             json_pack("{s:s, s:s, s:I}", "path", DEVICE, "property",
                                       "requested-size", "value", (json_int_t)bytes),
                             error);
}

/* Makes a request of the device of VM for one block. Sets *TYPE, that of the answer, and *PLUGGED,
 * if that is not NULL. */
static bool make(struct godwit_vm *vm, uint16_t kind, unsigned block, unsigned *type,
                 unsigned *plugged, GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    const struct {
        uint16_t type, padding[3];
        uint64_t address;
        uint16_t blocks, more_padding[3];
    } question = {GUINT16_TO_LE(kind),
                  {0},
                  GUINT64_TO_LE(state->pattern.address + block * BLOCK),
                  GUINT16_TO_LE(1),
                  {0}};
    struct {
        uint16_t type, padding[3], state;
    } answer = {0};
    state->device.vm = vm;
    if (!godwit_virtio_request(&state->device, &state->queue, &question, sizeof(question), &answer,
                               sizeof(answer), error))
        return false;
    *type = GUINT16_FROM_LE(answer.type);
    if (plugged)
        *plugged = GUINT16_FROM_LE(answer.state);
    return true;
}

static const char *const kinds[] = {"PLUG", "UNPLUG", "UNPLUG_ALL", "STATE"};
static const char *const types[] = {"ACK", "NACK", "BUSY", "ERROR"};

/* Makes a request, and fails with MIGRATION unless the answer is WANTED. */
static bool expect(struct godwit_vm *vm, uint16_t kind, unsigned block, unsigned wanted,
                   GError **error)
{
    unsigned type;
    if (!make(vm, kind, block, &type, NULL, error))
        return false;
    return type == wanted ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: virtio-mem answers %s of block %u with %s, expected %s", vm->name,
                       kinds[kind], block, type < G_N_ELEMENTS(types) ? types[type] : "nonsense",
                       types[wanted]);
}

/* Plugs or unplugs a block. */
static bool set_block(struct godwit_vm *vm, unsigned block, bool plugged, GError **error)
{
    vm->testbed->state->plugged[block] = plugged;
    return expect(vm, plugged ? PLUG : UNPLUG, block, ACK, error);
}

/* Fails with ORACLE unless the device of VM says of each block what it must be. */
static bool judge_blocks(struct godwit_vm *vm, GError **error)
{
    static const char *const names[] = {"plugged", "unplugged"};
    const struct godwit_scenario_state *state = vm->testbed->state;
    for (unsigned block = 0; block < BLOCKS; block++) {
        unsigned type, is, wanted = state->plugged[block] ? 0 : 1;
        if (!make(vm, STATE, block, &type, &is, error))
            return false;
        if (type != ACK || is != wanted)
            return godwit_fail(
                error, GODWIT_ERROR_ORACLE, "%s: virtio-mem says that block %u is %s, expected %s",
                vm->name, block, is < G_N_ELEMENTS(names) ? names[is] : "neither", names[wanted]);
    }
    return true;
}

/* Gives each page of the pattern in a plugged block its GENERATION, every STEP-th from the page
 * FIRST on. */
static bool write_blocks(struct godwit_vm *vm, unsigned first, unsigned step, uint8_t generation,
                         GError **error)
{
    struct godwit_scenario_state *state = vm->testbed->state;
    for (unsigned page = first; page < GODWIT_PATTERN_PAGES; page += step)
        if (state->plugged[block_of(page)] &&
            !godwit_pattern_write(vm, &state->pattern, page, generation, error))
            return false;
    return true;
}

/* Sets where the memory of the device is, which must be the same on both sides, and fills it on the
 * destination. */
static bool spoil(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    g_autoptr(json_t) here = ask(source, error);
    g_autoptr(json_t) there = here ? ask(destination, error) : NULL;
    if (!there)
        return false;
    const json_int_t address = godwit_json_integer(here, "memaddr", 0);
    if (address <= 0 || godwit_json_integer(there, "memaddr", 0) != address)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the memory of virtio-mem is at 0x%" PRIx64
                           " on the source and at 0x%" PRIx64 " on the destination",
                           (uint64_t)address, (uint64_t)godwit_json_integer(there, "memaddr", 0));
    state->pattern = (struct godwit_pattern){.address = (uint64_t)address, .size = BLOCKS * BLOCK};
    struct godwit_pattern foreign = state->pattern;
    for (unsigned page = 0; page < GODWIT_PATTERN_PAGES; page++)
        if (!godwit_pattern_write(destination, &foreign, page, FOREIGN, error))
            return false;
    return true;
}

/* Brings the source's device to work, plugs some blocks, writes to them, and unplugs one. */
static bool drive(struct godwit_vm *source, GError **error)
{
    /* The last two are in a huge page of their own: the kernel may fill one of which QEMU writes a
     * part. */
    static const unsigned blocks[] = {0, 1, 3, 4, 5};
    struct godwit_scenario_state *state = source->testbed->state;
    const struct godwit_workload *workload = &source->testbed->setup->workload;
    uint64_t features = UINT64_MAX;
    if (!godwit_virtio_find(&state->device, source, "virtio-mem", VIRTIO_MEM, error) ||
        !godwit_virtio_begin(&state->device, &features, error) ||
        /* The RAM after the window is for firmware, of which there is none any more. */
        !godwit_virtio_queue(&state->device, &state->queue, 0, workload->window_end, error) ||
        !godwit_virtio_start(&state->device, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++)
        if (!set_block(source, blocks[i], true, error))
            return false;
    /* No more than was requested can be plugged. */
    if (!expect(source, PLUG, 7, NACK, error) || !write_blocks(source, 0, 1, FIRST, error) ||
        !request(source, WANTED_THEN, error) || !set_block(source, 1, false, error))
        return false;
    for (unsigned page = 0; page < GODWIT_PATTERN_PAGES; page++)
        if (!state->plugged[block_of(page)])
            state->pattern.generations[page] = GODWIT_PATTERN_ZERO;
    /* The memory was mapped before it was plugged. */
    godwit_memory_forget(source);
    return judge_blocks(source, error) && expect_sizes(source, WANTED_THEN, WANTED_THEN, error) &&
           godwit_pattern_judge(source, &state->pattern, "the virtio-mem device", error);
}

/* A spec's hook `configure`. */
static bool configure(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return spoil(source, destination, error) && godwit_course_stop(source, error) &&
           drive(source, error) && godwit_vm_command(source, "cont", NULL, error);
}

/* Asks for more, and makes requests that must wait for the end of the migration. Then changes every
 * second page, half of them to zero. A spec's hook `live`. */
static bool change(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    guint iteration = 1;
    (void)destination;
    return godwit_migrate_next_iteration(source, &iteration, error) &&
           godwit_course_stop(source, error) && request(source, WANTED_DURING, error) &&
           expect(source, PLUG, 2, BUSY, error) && expect(source, UNPLUG, 3, BUSY, error) &&
           expect(source, UNPLUG_ALL, 0, BUSY, error) && judge_blocks(source, error) &&
           write_blocks(source, 1, 4, SECOND, error) &&
           write_blocks(source, 3, 4, GODWIT_PATTERN_ZERO, error) &&
           godwit_vm_command(source, "cont", NULL, error);
}

static bool judge_memory(struct godwit_vm *vm, uint64_t wanted, GError **error)
{
    const struct godwit_scenario_state *state = vm->testbed->state;
    return expect_sizes(vm, plugged_bytes(state), wanted, error) &&
           godwit_pattern_judge(vm, &state->pattern, "the virtio-mem device", error);
}

/* Compares both sides with what was plugged. Then plugs on the destination what was refused during
 * the migration. A spec's hook `judge`. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_scenario_state *state = source->testbed->state;
    if (!judge_memory(source, WANTED_DURING, error) ||
        !judge_memory(destination, WANTED_DURING, error) || !judge_blocks(destination, error) ||
        !set_block(destination, 2, true, error) || !set_block(destination, 3, false, error))
        return false;
    for (unsigned page = 3 * BLOCK_PAGES; page < 4 * BLOCK_PAGES; page++)
        state->pattern.generations[page] = GODWIT_PATTERN_ZERO;
    for (unsigned page = 2 * BLOCK_PAGES; page < 3 * BLOCK_PAGES; page++)
        if (!godwit_pattern_write(destination, &state->pattern, page, FIRST, error))
            return false;
    godwit_memory_forget(destination);
    godwit_testbed_measure(source->testbed, "virtio_mem_bytes",
                           json_integer((json_int_t)plugged_bytes(state)));
    return judge_blocks(destination, error) && judge_memory(destination, WANTED_DURING, error);
}

/* A device without a driver, of which nothing is plugged. */
static bool configure_undriven(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error)
{
    return spoil(source, destination, error) && request(source, WANTED_THEN, error);
}

static bool change_undriven(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    (void)destination;
    return request(source, WANTED_DURING, error);
}

static bool judge_undriven(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return judge_memory(source, WANTED_DURING, error) &&
           judge_memory(destination, WANTED_DURING, error);
}

/* Sets the type of the device: a PCI device of an s390x machine cannot be migrated, so that it must
 * be one of the channel if the source's binary has such a one. */
static bool choose(struct godwit_testbed *testbed, GError **error)
{
    static const char channel[] = "virtio-mem-ccw";
    struct godwit_vm *vm = godwit_vm_start_bare(testbed, testbed->setup->source, error);
    if (!vm || !godwit_vm_handshake(vm, error))
        return false;
    g_autoptr(json_t) found =
        godwit_vm_execute(vm, "qom-list-types", json_pack("{s:s}", "implements", channel), error);
    testbed->state->type = json_array_size(found) ? channel : "virtio-mem-pci";
    return found && godwit_vm_quit(vm, error);
}

/* Reads what is not plugged on a destination whose source is throttled, and does not send it: zeros
 * must be there at once. A spec's hook `released`. */
static bool read_unplugged(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    static const unsigned char zeros[512];
    const struct godwit_scenario_state *state = source->testbed->state;
    if (!godwit_migrate_wait(source, "postcopy-active", error) ||
        !godwit_migrate_wait(destination, "postcopy-active", error))
        return false;
    godwit_testbed_phase(source->testbed, GODWIT_PHASE_READ);
    for (unsigned block = 0; block < BLOCKS; block++) {
        unsigned char found[sizeof(zeros)];
        if (state->plugged[block])
            continue;
        if (!godwit_memory_fetch(destination, state->pattern.address + block * BLOCK, found,
                                 sizeof(found), error))
            return false;
        if (memcmp(found, zeros, sizeof(zeros)) != 0)
            return godwit_fail(error, GODWIT_ERROR_ORACLE,
                               "destination: block %u of virtio-mem is not plugged, and not zero",
                               block);
    }
    return godwit_course_unthrottle_postcopy(source, error);
}

/* Appends the arguments of a machine with the device, whose PROPERTIES come last. */
static void add_arguments(GPtrArray *words, const struct godwit_testbed *testbed,
                          const char *properties)
{
    const unsigned ram = testbed->setup->memory_mib;
    g_ptr_array_add(words, g_strdup("-m"));
    g_ptr_array_add(words, g_strdup_printf("%u,slots=1,maxmem=%uM", ram, ram + 1024));
    /* The rest of RAM comes first: that bug strikes all other RAM blocks. */
    g_ptr_array_add(words, g_strdup("-object"));
    g_ptr_array_add(words, g_strdup_printf("memory-backend-ram,id=ram,size=%uM", ram));
    g_ptr_array_add(words, g_strdup("-machine"));
    g_ptr_array_add(words, g_strdup("memory-backend=ram"));
    g_ptr_array_add(words, g_strdup("-object"));
    g_ptr_array_add(
        words, g_strdup_printf("memory-backend-ram,id=" MEMORY ",size=%" PRIu64, BLOCKS * BLOCK));
    g_ptr_array_add(words, g_strdup("-device"));
    g_ptr_array_add(words, g_strdup_printf("%s,id=" DEVICE ",memdev=" MEMORY ",%s",
                                           testbed->state->type, properties));
    g_ptr_array_add(words, NULL);
}

/* Starts both sides with the device and the properties that each has of it: HERE and THERE. */
static bool start(struct godwit_testbed *testbed, const char *here, const char *there,
                  struct godwit_vm **source, struct godwit_vm **destination, GError **error)
{
    g_autoptr(GPtrArray) source_words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) destination_words = g_ptr_array_new_with_free_func(g_free);
    add_arguments(source_words, testbed, here);
    add_arguments(destination_words, testbed, there);
    testbed->hand = true;
    return godwit_course_try_both(testbed, WHAT, (const char *const *)source_words->pdata,
                                  (const char *const *)destination_words->pdata,
                                  GODWIT_VM_DESTINATION_PAUSED, source, destination, error);
}

/* Likewise, and takes the common course. */
static bool take_course(struct godwit_testbed *testbed, const struct godwit_spec *spec,
                        const char *here, const char *there, GError **error)
{
    struct godwit_vm *source, *destination;
    testbed->oob = godwit_spec_is_postcopy(spec);
    return start(testbed, here, there, &source, &destination, error) &&
           godwit_course_move(testbed, spec, source, destination, error);
}

/* Saves a background snapshot, for which QEMU populates and protects what is plugged and nothing
 * else, and loads it into a destination whose memory is full of other contents. */
static bool run_background(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                           GError **error)
{
    const struct sides *sides = scenario->data;
    struct godwit_background *background = &testbed->state->background;
    struct godwit_vm *source, *destination;
    return choose(testbed, error) &&
           start(testbed, sides->here, sides->there, &source, &destination, error) &&
           godwit_migrate_set_capabilities(destination, NULL, error) &&
           configure(source, destination, error) &&
           godwit_background_save(background, source, GODWIT_BACKGROUND_RESUMED, error) &&
           judge_memory(source, WANTED_THEN, error) && judge_blocks(source, error) &&
           godwit_background_load(background, source, destination, error) &&
           judge_memory(destination, WANTED_THEN, error) && judge_blocks(destination, error) &&
           godwit_course_end(source, destination, error);
}

/* From the one address of the memory to the other. */
#define ELSEWHERE (16 * (json_int_t)BLOCK)

#define OURS   "block-size=1M,requested-size=5M"
#define THEIRS "block-size=1M"

static const struct sides same = {OURS, THEIRS, NULL},
                          dynamic = {OURS ",dynamic-memslots=on", THEIRS ",dynamic-memslots=on",
                                     NULL},
                          late = {OURS ",x-early-migration=off", THEIRS ",x-early-migration=off",
                                  NULL};

static const struct sides other_blocks = {OURS, "block-size=2M", "block-size"};

static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    const struct sides *sides = scenario->data;
    testbed->state->sides = sides;
    return choose(testbed, error) &&
           take_course(testbed, &scenario->spec, sides->here, sides->there, error);
}

/* The destination's device is elsewhere. Only QEMU knows where that can be, so that it is asked for
 * the source's address first. */
static bool run_elsewhere(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    static const char name[] = "trial-source";
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    if (!choose(testbed, error))
        return false;
    add_arguments(words, testbed, OURS);
    struct godwit_vm *trial =
        godwit_vm_start(testbed, name, GODWIT_VM_SOURCE, (const char *const *)words->pdata, error);
    if (!trial || !godwit_course_try_start(trial, WHAT, error))
        return false;
    g_autoptr(json_t) data = ask(trial, error);
    if (!data || !godwit_vm_quit(trial, error))
        return false;
    const json_int_t address = godwit_json_integer(data, "memaddr", 0) + ELSEWHERE;
    g_autofree char *there = g_strdup_printf(THEIRS ",memaddr=0x%" PRIx64, (uint64_t)address);
    const struct sides sides = {OURS, there, "memaddr"};
    testbed->state->sides = &sides;
    return take_course(testbed, &scenario->spec, sides.here, sides.there, error);
}

/* Fails with MIGRATION unless the destination has ended with a line that names the property. A
 * spec's hook `judge`. */
static bool judge_refusal(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct sides *sides = source->testbed->state->sides;
    g_autofree char *said = godwit_vm_stderr(destination, G_MAXUINT);
    return strstr(said, sides->reason) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "the destination's virtio-mem has another \"%s\", and it ended without "
                       "naming that: \"%s\"",
                       sides->reason, g_strchomp(said));
}

#define ROW(name_, text, run_, ...)                                                                \
    {                                                                                              \
        .name = "memory/virtio-mem" name_, .summary = text, .run = run_,                           \
        .state = sizeof(struct godwit_scenario_state), .clear = clear, __VA_ARGS__                 \
    }
#define DRIVEN(move_, ...)                                                                         \
    .spec = {.transport = GODWIT_TRANSPORT_UNIX,                                                   \
             .move = move_,                                                                        \
             .configure = configure,                                                               \
             .live = change,                                                                       \
             .judge = judge,                                                                       \
             __VA_ARGS__}

/* A destination before 8.1 loads the device last. The source learns of its refusal by the return
 * path only. */
static const struct godwit_capability return_path[] = {{"return-path", true}, {NULL, false}};
#define REFUSED                                                                                    \
    .spec = {.outcome = GODWIT_OUTCOME_FAILS, .capabilities = return_path, .judge = judge_refusal}

GODWIT_SCENARIOS(virtio_mem) = {
    ROW("", "RAM by virtio-mem, some blocks of which are plugged", run, .data = &same, .slow = true,
        DRIVEN(GODWIT_MOVE_LIVE, )),
    ROW("/postcopy", "RAM by virtio-mem, postcopy", run, .data = &same, .slow = true,
        DRIVEN(GODWIT_MOVE_POSTCOPY_PAUSED, .parameters = godwit_postcopy_throttled,
               .released = read_unplugged)),
    ROW("/dynamic-memslots", "RAM by virtio-mem that is mapped as it is plugged", run,
        .data = &dynamic, .slow = true, DRIVEN(GODWIT_MOVE_LIVE, )),
    ROW("/late", "virtio-mem that sends its bitmap after RAM, as before QEMU 8.1", run,
        .data = &late, .slow = true, DRIVEN(GODWIT_MOVE_LIVE, )),
    {
        .name = "background-snapshot/virtio-mem",
        .summary = "RAM by virtio-mem: the file has what is plugged, and zeros elsewhere",
        .slow = true,
        .run = run_background,
        .data = &same,
        .cold = true,
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear,
        GODWIT_BACKGROUND_NEEDS,
    },
    ROW("/undriven", "virtio-mem without a driver: nothing is plugged", run, .data = &same,
        .slow = true,
        .spec = {.configure = configure_undriven,
                 .live = change_undriven,
                 .judge = judge_undriven}),
    ROW("/refused/block-size", "virtio-mem with blocks of another size: refused", run,
        .data = &other_blocks, REFUSED),
    ROW("/refused/address", "virtio-mem at another address: refused", run_elsewhere, REFUSED,
        .slow = true),
};
GODWIT_SCENARIOS_END(virtio_mem);
