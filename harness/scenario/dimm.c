/*
 * Guest RAM in a DIMM: a RAM block that the machine does not have by itself, in a place of its own.
 *
 * The guest does not use the DIMM, which may lie where its code cannot reach. The hand writes to it
 * instead, as a device would by DMA: a pattern before the migration, and other contents in some of
 * its pages once the migration has sent all memory, so that these must be sent again. A page that
 * was written first and is zero then must be zero on the destination as well.
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/pattern.h"
#include "scenario/scenario.h"

#include "base/json.h"
#include "memory/memory.h"
#include <inttypes.h>
#include <string.h>

/* The least size of a DIMM in MiB: less than any guest's RAM. A machine that takes RAM only in
 * larger steps takes DIMMs so, too. */
#define LEAST_MIB 4u

/* The generations of the pattern. */
enum { FIRST = 1, SECOND };

#define OBJECT "memory-backend-ram"
#define MEMORY "dimm-memory"
#define DEVICE "dimm"
/* Another DIMM, which QEMU must refuse while it migrates. */
#define OTHER_MEMORY "other-memory"
#define PLUG_OTHER   "{\"driver\":\"pc-dimm\",\"id\":\"other\",\"memdev\":\"" OTHER_MEMORY "\"}"

struct godwit_scenario_state {
    struct godwit_pattern pattern;
    bool large; /* the DIMM is as large as the rest of RAM */
};

static unsigned size_mib(const struct godwit_testbed *testbed)
{
    const struct godwit_setup *setup = testbed->setup;
    const unsigned least = setup->machine->memory_least_mib;
    if (testbed->state->large)
        return (setup->memory_mib + least - 1) / least * least;
    /* The other machines take any size, although some have a least one for RAM. */
    return least > 2 * LEAST_MIB ? least : LEAST_MIB;
}

/* Returns the value of an -m that leaves room for DIMMs. The caller frees it. */
static char *with_room(const struct godwit_testbed *testbed)
{
    const unsigned ram = testbed->setup->memory_mib;
    return g_strdup_printf("%u,slots=2,maxmem=%uM", ram, ram + 2 * size_mib(testbed));
}

/* Returns the value of an -object for a DIMM. The caller frees it. */
static char *object_of(const struct godwit_testbed *testbed, const char *id)
{
    return g_strdup_printf(OBJECT ",id=%s,size=%uM", id, size_mib(testbed));
}

/* Returns where the DIMM of VM is, or 0 with ERROR set. Fails unless it has exactly one. */
static uint64_t ask_address(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) devices = godwit_vm_execute(vm, "query-memory-devices", NULL, error);
    if (!devices)
        return 0;
    const json_t *data = json_object_get(json_array_get(devices, 0), "data");
    const json_int_t address = godwit_json_integer(data, "addr", 0);
    if (json_array_size(devices) == 1 && address > 0 &&
        !strcmp(godwit_json_string(data, "id", ""), DEVICE))
        return (uint64_t)address;
    g_autofree char *text = json_dumps(devices, JSON_ENCODE_ANY);
    godwit_fail(error, GODWIT_ERROR_MIGRATION,
                "%s: query-memory-devices lists %s, expected the DIMM \"" DEVICE "\" alone",
                vm->name, text);
    return 0;
}

/* Checks that the DIMM of VM is all of a RAM block, at the pattern's place. */
static bool see_dimm(struct godwit_vm *vm, const struct godwit_pattern *pattern, GError **error)
{
    uint64_t offset = 0;
    const uint64_t address = ask_address(vm, error);
    if (!address)
        return false;
    if (address != pattern->address)
        return godwit_fail(error, GODWIT_ERROR_MIGRATION,
                           "the DIMM is at 0x%" PRIx64 " on the source and at 0x%" PRIx64
                           " on the destination",
                           pattern->address, address);
    /* The memory was mapped before the DIMM was plugged. */
    godwit_memory_forget(vm);
    const struct godwit_block *block =
        godwit_memory_locate(vm, address, pattern->size, &offset, error);
    if (!block)
        return false;
    return (offset == 0 && block->length == pattern->size) ||
           godwit_fail(error, GODWIT_ERROR_MIGRATION,
                       "%s: the DIMM is at 0x%" PRIx64 " of RAM block %s, which has %" PRIu64
                       " bytes; expected all of a block",
                       vm->name, offset, block->name, block->length);
}

/* Plugs the DIMM into the source while its guest runs. */
static bool plug(struct godwit_vm *source, GError **error)
{
    const json_int_t size = (json_int_t)size_mib(source->testbed) << 20;
    return godwit_vm_command(
               source, "object-add",
               json_pack("{s:s, s:s, s:I}", "qom-type", OBJECT, "id", MEMORY, "size", size),
               error) &&
           godwit_vm_command(
               source, "device_add",
               json_pack("{s:s, s:s, s:s}", "driver", "pc-dimm", "id", DEVICE, "memdev", MEMORY),
               error) &&
           godwit_course_see_it_run(source, error);
}

/* Fills the source's DIMM. A spec's hook `configure`. */
static bool fill(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_pattern *pattern = &source->testbed->state->pattern;
    pattern->size = (uint64_t)size_mib(source->testbed) << 20;
    pattern->address = ask_address(source, error);
    if (!pattern->address || !see_dimm(source, pattern, error) ||
        !see_dimm(destination, pattern, error))
        return false;
    for (unsigned page = 0; page < GODWIT_PATTERN_PAGES; page++)
        if (!godwit_pattern_write(source, pattern, page, FIRST, error))
            return false;
    return true;
}

/* Changes every second page of the DIMM once all of it was sent: one half of these pages gets other
 * contents, the other half becomes zero. A spec's hook `live`. */
static bool change(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct godwit_pattern *pattern = &source->testbed->state->pattern;
    guint iteration = 1;
    (void)destination;
    if (!godwit_migrate_next_iteration(source, &iteration, error))
        return false;
    for (unsigned page = 1; page < GODWIT_PATTERN_PAGES; page += 2)
        if (!godwit_pattern_write(source, pattern, page,
                                  page % 4 == 1 ? SECOND : GODWIT_PATTERN_ZERO, error))
            return false;
    return true;
}

/* Compares the DIMM of both sides with the pattern. A spec's hook `judge`. */
static bool judge(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    const struct godwit_pattern *pattern = &source->testbed->state->pattern;
    if (!see_dimm(source, pattern, error) || !see_dimm(destination, pattern, error) ||
        !godwit_pattern_judge(source, pattern, "the DIMM", error) ||
        !godwit_pattern_judge(destination, pattern, "the DIMM", error))
        return false;
    godwit_testbed_measure(source->testbed, "dimm_bytes", json_integer((json_int_t)pattern->size));
    return true;
}

/* Records whether the source refuses COMMAND. */
static bool expect_refusal(struct godwit_vm *source, const char *name, const char *command,
                           const char *arguments, GError **error)
{
    g_autoptr(json_t) reply = godwit_vm_ask(source, command, arguments, error);
    if (!reply)
        return false;
    const json_t *refusal = json_object_get(reply, "error");
    const char *class = godwit_json_string(refusal, "class", NULL);
    const char *reason = godwit_json_string(refusal, "desc", NULL);
    const char *problem = !refusal                     ? "the source obeyed"
                          : class && reason && *reason ? NULL
                                                       : "the error has no class or no text";
    godwit_testbed_check_answer(source->testbed, name, class, reason, problem);
    return true;
}

/* Asks the source to plug another DIMM, and to unplug the one that it has, while it migrates. The
 * guest stands still meanwhile: before 11.1, under TCG, a QEMU that refuses device_add answers only
 * when each CPU has left its code, which a guest may never do. */
static bool try_during(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return change(source, destination, error) && godwit_course_stop(source, error) &&
           expect_refusal(source, "device_add during a migration: refused", "device_add",
                          PLUG_OTHER, error) &&
           expect_refusal(source, "device_del during a migration: refused", "device_del",
                          "{\"id\":\"" DEVICE "\"}", error) &&
           godwit_vm_command(source, "cont", NULL, error);
}

/* Judges, and asks again for what was refused: nothing but the migration may have prevented it. */
static bool judge_during(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    if (!judge(source, destination, error))
        return false;
    g_autoptr(json_t) reply = godwit_vm_ask(source, "device_add", PLUG_OTHER, error);
    if (!reply)
        return false;
    const json_t *refusal = json_object_get(reply, "error");
    godwit_testbed_check_answer(source->testbed, "device_add after the migration: obeyed",
                                godwit_json_string(refusal, "class", NULL),
                                godwit_json_string(refusal, "desc", NULL),
                                refusal ? "the source refused it after the migration, too" : NULL);
    return true;
}

/* The registers of ACPI memory hotplug: the number of a DIMM, and a bit that ejects it. */
#define REGISTERS     "acpi-mem-hotplug"
#define SELECT        0
#define CONTROL       0x14
#define CONTROL_EJECT 0x08

/* Asks VM to unplug the DIMM, which it does when the guest ejects it. Fails with SKIP if QEMU
 * refuses. */
static bool ask_to_unplug(struct godwit_vm *vm, GError **error)
{
    g_autoptr(GError) refusal = NULL;
    return godwit_vm_command(vm, "device_del", json_pack("{s:s}", "id", DEVICE), &refusal) ||
           godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine whose DIMMs are unplugged: %s",
                       refusal->message);
}

/* Where the registers are. */
struct registers {
    uint64_t address; /* 0: the machine has none */
    bool ports;       /* of x86; otherwise they are in memory */
};

/* Finds the registers. Does not ask for the flat view, since QEMU then keeps what is in it for
 * good. */
static bool find_registers(struct godwit_vm *vm, struct registers *registers, GError **error)
{
    static const char space[] = "address-space: ";
    g_autofree char *tree = godwit_vm_monitor(vm, "info mtree", error);
    if (!tree)
        return false;
    const char *name = strstr(tree, "): " REGISTERS);
    const char *line = name ? g_strrstr_len(tree, name - tree, "\n") : NULL;
    const char *in = name ? g_strrstr_len(tree, name - tree, space) : NULL;
    registers->address = line ? g_ascii_strtoull(line, NULL, 16) : 0;
    registers->ports = in && g_str_has_prefix(in + strlen(space), "I/O");
    return true;
}

static bool put(struct godwit_vm *vm, const struct registers *registers, unsigned size,
                uint64_t offset, uint32_t value, GError **error)
{
    const uint64_t address = registers->address + offset;
    return registers->ports ? godwit_qtest_out(vm->qtest, size, (uint16_t)address, value, error)
                            : godwit_qtest_write(vm->qtest, size, address, value, error);
}

/* Ejects the DIMM, as the guest would that was asked to, and checks that it is gone. */
static bool eject(struct godwit_vm *vm, const struct registers *registers, GError **error)
{
    const guint first = vm->qmp->events->len;
    if (!put(vm, registers, 4, SELECT, 0, error) ||
        !put(vm, registers, 1, CONTROL, CONTROL_EJECT, error) ||
        !godwit_vm_wait_event(vm, first, "DEVICE_DELETED", NULL, error))
        return false;
    godwit_memory_forget(vm);
    g_autoptr(json_t) devices = godwit_vm_execute(vm, "query-memory-devices", NULL, error);
    return devices &&
           (!json_array_size(devices) ||
            godwit_fail(error, GODWIT_ERROR_MIGRATION,
                        "%s: query-memory-devices lists a DIMM that was unplugged", vm->name));
}

/* Fills the DIMM, which the guest then does not give up. A spec's hook `configure`. */
static bool fill_and_ask(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    return fill(source, destination, error) && ask_to_unplug(source, error) &&
           see_dimm(source, &source->testbed->state->pattern, error);
}

/* The request has not arrived with the DIMM: the destination takes it once more, and ejects the
 * DIMM, if this machine does so by registers. A spec's hook `judge`. */
static bool judge_pending(struct godwit_vm *source, struct godwit_vm *destination, GError **error)
{
    struct registers registers;
    return judge(source, destination, error) && ask_to_unplug(destination, error) &&
           find_registers(destination, &registers, error) &&
           (!registers.address || eject(destination, &registers, error));
}

/* Sets *LINES, the number of lines in the list of RAM blocks. */
static bool count_blocks(struct godwit_vm *vm, unsigned *lines, GError **error)
{
    g_autofree char *blocks = godwit_vm_monitor(vm, "info ramblock", error);
    *lines = 0;
    for (const char *at = blocks; at && (at = strchr(at, '\n')); at++)
        ++*lines;
    return blocks != NULL;
}

/* Removes the DIMM's memory from the source, and waits until its RAM block is gone. QEMU frees it
 * when no thread can use it any more, and does not say when. */
static bool remove_memory(struct godwit_vm *source, GError **error)
{
    unsigned before, now;
    if (!count_blocks(source, &before, error) ||
        !godwit_vm_command(source, "object-del", json_pack("{s:s}", "id", MEMORY), error))
        return false;
    while (count_blocks(source, &now, error)) {
        if (now < before)
            return true;
        if (!godwit_testbed_rest(source->testbed, GODWIT_REST_MS,
                                 "the source to free the memory of its DIMM", error))
            return false;
    }
    return false;
}

#define RAM_FIRST "memory-backend=ram"
#define PLUGGED   "pc-dimm,id=" DEVICE ",memdev=" MEMORY

/* Starts both sides with ARGUMENTS, which have the DIMM, and takes the common course. */
static bool take_course(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        const char *const *arguments, GError **error)
{
    struct godwit_spec spec = scenario->spec;
    struct godwit_vm *source, *destination;
    spec.source_arguments = spec.destination_arguments = arguments;
    testbed->hand = true;
    testbed->oob = godwit_spec_is_postcopy(&spec);
    return godwit_course_try_both(testbed, "with a DIMM", arguments, arguments,
                                  testbed->oob ? GODWIT_VM_DESTINATION
                                               : GODWIT_VM_DESTINATION_PAUSED,
                                  &source, &destination, error) &&
           godwit_course_move(testbed, &spec, source, destination, error);
}

/* Both sides have the DIMM from the start. The rest of RAM has a backend as well, so that it can be
 * made first, as it is if the DIMM is plugged later. */
static bool run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                GError **error)
{
    g_autofree char *room = with_room(testbed);
    g_autofree char *ram = g_strdup_printf(OBJECT ",id=ram,size=%uM", testbed->setup->memory_mib);
    g_autofree char *object = object_of(testbed, MEMORY);
    g_autofree char *other = object_of(testbed, OTHER_MEMORY);
    const char *const arguments[] = {"-m",      room,      "-object", ram,       "-machine",
                                     RAM_FIRST, "-object", object,    "-device", PLUGGED,
                                     "-object", other,     NULL};
    return take_course(testbed, scenario, arguments, error);
}

/* Likewise, but QEMU makes the DIMM's memory before the rest of RAM, which then does not begin at
 * the beginning of QEMU's list of pages. */
static bool run_first(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    testbed->state->large = true;
    g_autofree char *room = with_room(testbed);
    g_autofree char *object = object_of(testbed, MEMORY);
    const char *const arguments[] = {"-m", room, "-object", object, "-device", PLUGGED, NULL};
    return take_course(testbed, scenario, arguments, error);
}

/* The source gets the DIMM while its guest runs. The destination has it on its command line. */
static bool run_plugged(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                        GError **error)
{
    struct godwit_spec spec = scenario->spec;
    g_autofree char *room = with_room(testbed);
    g_autofree char *object = object_of(testbed, MEMORY);
    const char *const here[] = {"-m", room, NULL};
    const char *const there[] = {"-m", room, "-object", object, "-device", PLUGGED, NULL};
    spec.source_arguments = here;
    spec.destination_arguments = there;
    testbed->hand = true;
    /* A machine that takes none might not answer device_add while its guest runs. */
    struct godwit_vm *trial =
        godwit_vm_start(testbed, "trial-source", GODWIT_VM_SOURCE, there, error);
    struct godwit_vm *source, *destination;
    return trial && godwit_course_try_start(trial, "with a DIMM", error) &&
           godwit_vm_quit(trial, error) &&
           godwit_course_try_both(testbed, "with a DIMM", here, there, GODWIT_VM_DESTINATION_PAUSED,
                                  &source, &destination, error) &&
           plug(source, error) && godwit_course_move(testbed, &spec, source, destination, error);
}

/* The source has the DIMM, and gives it up before its guest runs, when nothing has asked for the
 * flat view yet. The destination never has a DIMM. */
static bool run_unplugged(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                          GError **error)
{
    g_autofree char *room = with_room(testbed);
    g_autofree char *ram = g_strdup_printf(OBJECT ",id=ram,size=%uM", testbed->setup->memory_mib);
    g_autofree char *object = object_of(testbed, MEMORY);
    const char *const here[] = {"-m",      room,   "-object", ram,     "-machine", RAM_FIRST,
                                "-object", object, "-device", PLUGGED, NULL};
    const char *const there[] = {"-m", room, "-object", ram, "-machine", RAM_FIRST, NULL};
    struct registers registers;
    testbed->hand = true;
    godwit_testbed_phase(testbed, GODWIT_PHASE_START);
    struct godwit_vm *source = godwit_vm_start(testbed, "source", GODWIT_VM_SOURCE, here, error);
    if (!source || !godwit_course_try_start(source, "with a DIMM", error) ||
        !find_registers(source, &registers, error))
        return false;
    if (!registers.address)
        return godwit_fail(error, GODWIT_ERROR_SKIP, "needs a machine with registers " REGISTERS);
    if (!ask_address(source, error) || !ask_to_unplug(source, error) ||
        !eject(source, &registers, error) || !remove_memory(source, error))
        return false;
    struct godwit_vm *destination =
        godwit_vm_start(testbed, "destination", GODWIT_VM_DESTINATION_PAUSED, there, error);
    return destination && godwit_vm_handshake(destination, error) && godwit_vm_run(source, error) &&
           godwit_course_see_first_pass(source, error) &&
           godwit_course_move(testbed, &scenario->spec, source, destination, error);
}

#define ROW(name_, text, run_, move_, live_, judge_, ...)                                          \
    {                                                                                              \
        .name = "memory/dimm" name_, .summary = text, .run = run_,                                 \
        .state = sizeof(struct godwit_scenario_state),                                             \
        .spec = {.transport = GODWIT_TRANSPORT_UNIX,                                               \
                 .move = move_,                                                                    \
                 .configure = fill,                                                                \
                 .live = live_,                                                                    \
                 .judge = judge_},                                                                 \
        __VA_ARGS__                                                                                \
    }

GODWIT_SCENARIOS(dimm) = {
    ROW("", "RAM in a DIMM, which is written from outside", run, GODWIT_MOVE_LIVE, change, judge),
    ROW("/postcopy", "RAM in a DIMM, postcopy", run, GODWIT_MOVE_POSTCOPY, change, judge,
        .slow = true),
    ROW("/first", "RAM in a DIMM, whose memory QEMU allocates before the rest of RAM", run_first,
        GODWIT_MOVE_LIVE, change, judge, .wide = true, .slow = true),
    ROW("/plugged", "a DIMM that is plugged while the guest runs", run_plugged, GODWIT_MOVE_LIVE,
        change, judge, .slow = true),
    ROW("/during", "a DIMM that must not be plugged or unplugged during the migration", run,
        GODWIT_MOVE_LIVE, try_during, judge_during, .slow = true),
    {
        .name = "memory/dimm/unplug-pending",
        .summary = "a DIMM that was asked to be unplugged, and is still there",
        .slow = true,
        .run = run,
        .state = sizeof(struct godwit_scenario_state),
        .spec = {.configure = fill_and_ask, .live = change, .judge = judge_pending},
    },
    {
        .name = "memory/dimm/unplugged",
        .summary = "a DIMM that is unplugged before the migration",
        .slow = true,
        .run = run_unplugged,
        .state = sizeof(struct godwit_scenario_state),
    },
};
GODWIT_SCENARIOS_END(dimm);
