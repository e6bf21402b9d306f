/*
 * Compares the state and the registers of a destination with those of its source.
 *
 * Copies of the destination are read in its place if it is still needed: reading has side effects.
 * A second copy is made only if there are differences. It tells which of them come from a clock of
 * the host: these differ between two copies of one state, too.
 *
 * SPDX-License-Identifier: MIT
 */
#include "course/loaded.h"

#include "bugs/bugs.h"
#include "course/course.h"
#include "oracle/hardware.h"
#include "oracle/state.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

/* The most differences that a message quotes. */
#define QUOTED_MAX 5
/* How many regions of one machine may kill the QEMU that reads them. */
#define DEADLY_MAX 8
/* After so many pokes that end a machine, the rest of them is left out. */
#define REVEAL_DEADLY_MAX 4

/* Fields that a destination does not save as it has loaded them, although the device is sound. */
struct recomputed {
    const char *device; /* the end of the section's name */
    const char *path;   /* a pattern with * */
    const char *arch;   /* only there; NULL: anywhere */
    const char *reason;
};

static const struct recomputed recomputed[] = {
    {"globalstate", "*", NULL, "the run state, which oracle/states.c judges"},
    {"/e1000e", "core.rx*", NULL, "follows from registers; at reset the source has no value yet"},
    {"/igb", "core.rx*", NULL, "likewise"},
    {"/e1000e", "core.*.timer", NULL, "loading starts the timer anew, from what a register says"},
    {"/qxl", "guest_primary.surface.flags", NULL, "loading makes the surface anew, with its data"},
    {"/qxl", "ssd.unique", NULL, "counts the surfaces that were drawn, on either side"},
    {"spapr", "tb.*", "ppc64", "the time base, which goes by the host's clock"},
    /* docs/known-bugs.md, registers-lost: MSR[ME] arrives inverted. */
    {"cpu", "env.msr", "ppc64", "a known bug, which the guest does not notice"},
    {"cpu", "env.reserve_addr", "ppc64", "a reservation, which a CPU may lose at any time"},
    /* Loading sets an alarm that has long passed. The guest has not enabled the interrupt. */
    {"goldfish_rtc", "irq_pending", NULL, "an interrupt that the source did not have pending"},
    {"s390-skeys", "data", NULL, "a source whose guest never used storage keys sends none"},
    {"pciespscsi", "esp.mig_version_id", NULL, "the version of the state, which each QEMU has"},
    {"menelaus", "rtc_next_vmstate", NULL, "how long until its clock's next second"},
    {"pl110", "invalidate", NULL, "loading asks for the whole screen to be drawn again"},
    {"cpu_common", "interrupt_request", "ppc64", "the request to leave the translated code"},
    /* All of the chip's volatile state is one buffer. If it is lost, its length differs. */
    {"tpm-emulator", "state_blobs.volatil.buffer", NULL, "has the clock of the chip in it"},
};

/* A comparison under way. */
struct comparison {
    struct godwit_vm *source, *destination;
    const char *const *arguments;
    GPtrArray *deadly;            /* regions that must not be read */
    struct godwit_reveal *reveal; /* NULL: nothing is done after reading */
    guint reveal_deadly;          /* how many of its pokes have ended a machine */
    GPtrArray *lost;              /* NULL until the fields have been compared */
};

static void lost_free(gpointer data)
{
    struct godwit_lost *lost = data;
    g_free(lost->where);
    g_free(lost->text);
    g_free(lost);
}

/* Adds to the LIST of what is lost. Takes WHERE and TEXT. Returns the entry, borrowed. */
static struct godwit_lost *add_lost(GPtrArray *list, char *where, char *text)
{
    struct godwit_lost *lost = g_new0(struct godwit_lost, 1);
    lost->where = where;
    lost->text = text;
    g_ptr_array_add(list, lost);
    return lost;
}

static bool is_recomputed(const struct godwit_stream_difference *difference, const char *arch)
{
    const char *end = strrchr(difference->device, ' ');
    g_autofree char *section = g_strndup(difference->device, (gsize)(end - difference->device));
    for (size_t i = 0; i < G_N_ELEMENTS(recomputed); i++)
        if (g_str_has_suffix(section, recomputed[i].device) &&
            g_pattern_match_simple(recomputed[i].path, difference->path) &&
            (!recomputed[i].arch || !strcmp(recomputed[i].arch, arch)))
            return true;
    return false;
}

/* Returns the fields in GODWIT_MIGRATE_FILE, which VM has written. The caller frees them. */
static struct godwit_stream_fields *read_fields(const struct godwit_vm *vm, GError **error)
{
    g_autofree char *path = g_build_filename(vm->testbed->directory, GODWIT_MIGRATE_FILE, NULL);
    struct godwit_stream_fields *fields = godwit_stream_fields_read(path, 0, error);
    if (!fields)
        godwit_error_context(error, "the stream of the %s", vm->name);
    return fields;
}

bool godwit_loaded_load(struct godwit_vm *source, struct godwit_vm *vm, GError **error)
{
    if ((!vm->answers && !godwit_vm_handshake(vm, error)) ||
        !godwit_migrate_set_capabilities(vm, NULL, error))
        return false;
    g_autofree char *from =
        godwit_migrate_listen(source, vm, godwit_state_transport(vm->qemu), false, error);
    return from && godwit_migrate_wait(vm, "completed", error);
}

struct godwit_stream_fields *godwit_loaded_save(struct godwit_vm *vm, GError **error)
{
    return godwit_state_save(vm, error) && godwit_course_settle(vm, error) ? read_fields(vm, error)
                                                                           : NULL;
}

struct godwit_stream_fields *godwit_loaded_save_aside(struct godwit_vm *vm, GError **error)
{
    const char *folder = vm->testbed->directory;
    g_autofree char *file = g_build_filename(folder, GODWIT_MIGRATE_FILE, NULL);
    g_autofree char *kept = g_build_filename(folder, "source.stream", NULL);
    if (g_rename(file, kept)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot rename %s: %s", file,
                    g_strerror(errno));
        return NULL;
    }
    struct godwit_stream_fields *fields = godwit_loaded_save(vm, error);
    if (fields && g_rename(kept, file)) {
        godwit_fail(error, GODWIT_ERROR_ENVIRONMENT, "cannot rename %s: %s", kept,
                    g_strerror(errno));
        g_clear_pointer(&fields, godwit_stream_fields_free);
    }
    return fields;
}

GPtrArray *godwit_loaded_lost_fields(const struct godwit_testbed *testbed,
                                     const struct godwit_stream_fields *before,
                                     const struct godwit_stream_fields *after, bool same)
{
    GPtrArray *lost = g_ptr_array_new_with_free_func(lost_free);
    g_autoptr(GPtrArray) differences = godwit_stream_fields_compare(before, after);
    for (guint i = 0; i < differences->len; i++) {
        const struct godwit_stream_difference *difference = g_ptr_array_index(differences, i);
        /* Another version may save a device by other fields. What it has loaded of the old ones is
         * judged by the registers. */
        if ((same || difference->alike) &&
            !is_recomputed(difference, testbed->setup->machine->arch))
            add_lost(lost, g_strdup_printf("%s: %s", difference->device, difference->path),
                     godwit_stream_difference_text(difference));
    }
    return lost;
}

static bool compare_fields(struct comparison *comparison, GError **error)
{
    struct godwit_testbed *testbed = comparison->source->testbed;
    struct godwit_stream_fields *before = read_fields(comparison->source, error);
    struct godwit_stream_fields *after =
        before ? godwit_loaded_save_aside(comparison->destination, error) : NULL;
    const bool good = after != NULL;
    const bool same = !strcmp(comparison->source->qemu->path, comparison->destination->qemu->path);
    if (good) {
        comparison->lost = godwit_loaded_lost_fields(testbed, before, after, same);
        godwit_testbed_measure(testbed, "state_fields", json_integer(before->fields->len));
    }
    godwit_stream_fields_free(before);
    godwit_stream_fields_free(after);
    return good;
}

/* Starts a copy of the destination, which loads what the source has saved, and waits until it has.
 * Returns it, owned by the testbed. */
static struct godwit_vm *load_copy(const struct comparison *comparison, GError **error)
{
    struct godwit_testbed *testbed = comparison->source->testbed;
    g_autofree char *name = g_strdup_printf("copy-%u", testbed->vms->len);
    struct godwit_vm *copy =
        (comparison->destination->board ? godwit_vm_start_board : godwit_vm_start)(
            testbed, name, GODWIT_VM_DESTINATION_PAUSED, comparison->arguments, error);
    return copy && godwit_loaded_load(comparison->source, copy, error) ? copy : NULL;
}

/* Makes pokes in VM, whose registers are in HARDWARE, and reads places again. Fails with ACCESS if
 * one of them ends VM, which is left out from now on. */
static bool reveal(struct comparison *comparison, struct godwit_vm *vm,
                   struct godwit_hardware *hardware, GError **error)
{
    GArray *pokes = comparison->reveal ? comparison->reveal->pokes : NULL;
    g_autofree char *status = pokes ? godwit_vm_status(vm, error) : NULL;
    for (guint i = 0; status && i < pokes->len; i++) {
        switch (godwit_poke_make(vm, NULL, status, &g_array_index(pokes, struct godwit_poke, i),
                                 error)) {
        case GODWIT_POKED:
            break;
        case GODWIT_POKED_TO_END:
            if (comparison->reveal_deadly++ < REVEAL_DEADLY_MAX)
                g_array_remove_index(pokes, i);
            else
                g_array_set_size(pokes, i);
            return godwit_fail(error, GODWIT_ERROR_ACCESS, "the %s ended, or was reset, by a poke",
                               vm->name);
        default:
            return false;
        }
        if (!godwit_hardware_read_again(hardware, vm, comparison->reveal->places,
                                        comparison->deadly, error))
            return false;
    }
    return !pokes || status;
}

/* Reads the registers of *READER, or of a copy of the destination if that is NULL. One that dies of
 * a read is followed by a copy that is spared that region. Sets *READER to the last one. */
static struct godwit_hardware *read_loaded(struct comparison *comparison, struct godwit_vm **reader,
                                           GError **error)
{
    for (;;) {
        if (!*reader && !(*reader = load_copy(comparison, error)))
            return NULL;
        struct godwit_vm *vm = *reader;
        g_autoptr(GError) cause = NULL;
        vm->may_exit = vm->alarms_judged = true; /* whatever reading does to it */
        struct godwit_hardware *hardware = godwit_hardware_read(vm, comparison->deadly, &cause);
        if (hardware && reveal(comparison, vm, hardware, &cause))
            return hardware;
        godwit_hardware_free(hardware);
        if (!g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS) ||
            comparison->deadly->len + comparison->reveal_deadly > DEADLY_MAX + REVEAL_DEADLY_MAX) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        *reader = NULL;
    }
}

static void add_registers(struct comparison *comparison, const GPtrArray *differences)
{
    for (guint i = 0; i < differences->len; i++) {
        const struct godwit_hardware_difference *difference = g_ptr_array_index(differences, i);
        struct godwit_lost *lost = add_lost(
            comparison->lost,
            g_strdup_printf("%s 0x%" G_GINT64_MODIFIER "x", difference->region, difference->offset),
            g_strdup(difference->text));
        lost->is_register = true;
        lost->device = difference->device;
    }
}

/* Reads the registers of the source, which is the last to be read. What it does not survive after
 * its first reading is left out. Returns NULL with ERROR set if it does not survive that. */
static struct godwit_hardware *read_source(struct comparison *comparison, GError **error)
{
    struct godwit_vm *source = comparison->source;
    g_autoptr(GError) cause = NULL;
    source->may_exit = source->alarms_judged = true;
    struct godwit_hardware *own = godwit_hardware_read(source, comparison->deadly, error);
    if (own && !reveal(comparison, source, own, &cause) &&
        !g_error_matches(cause, GODWIT_ERROR, GODWIT_ERROR_ACCESS)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        g_clear_pointer(&own, godwit_hardware_free);
    }
    return own;
}

static bool compare_registers(struct comparison *comparison, struct godwit_vm *reader,
                              GError **error)
{
    struct godwit_vm *source = comparison->source;
    unsigned moving = 0;
    struct godwit_hardware *copy = read_loaded(comparison, &reader, error), *other = NULL;
    struct godwit_hardware *own = copy ? read_source(comparison, error) : NULL;
    GPtrArray *differences = own ? godwit_hardware_compare(own, copy, NULL, &moving) : NULL;
    if (differences && differences->len) {
        struct godwit_vm *another = load_copy(comparison, error);
        /* The source names both: some copies do not survive questions once they were loaded. It
         * may itself not have survived the pokes. */
        struct godwit_vm *named = source->exited ? another : source;
        g_clear_pointer(&differences, g_ptr_array_unref);
        other = another && godwit_hardware_name(own, named, error) &&
                        godwit_hardware_name(copy, named, error)
                    ? read_loaded(comparison, &another, error)
                    : NULL;
        differences = other ? godwit_hardware_compare(own, copy, other, &moving) : NULL;
    }
    const bool good = differences != NULL;
    if (good) {
        add_registers(comparison, differences);
        godwit_testbed_measure(source->testbed, "registers",
                               json_integer((json_int_t)godwit_hardware_count(own)));
        godwit_testbed_measure(source->testbed, "registers_moving", json_integer(moving));
    }
    g_clear_pointer(&differences, g_ptr_array_unref);
    godwit_hardware_free(own);
    godwit_hardware_free(copy);
    godwit_hardware_free(other);
    return good;
}

GPtrArray *godwit_loaded_reveal(struct godwit_vm *source, struct godwit_vm *destination,
                                const char *const *arguments, bool last,
                                struct godwit_reveal *reveal, GError **error)
{
    struct comparison comparison = {.source = source,
                                    .destination = destination,
                                    .arguments = arguments,
                                    .deadly = g_ptr_array_new(),
                                    .reveal = reveal};
    /* A PC's port, which asks which CPU reads it: every QEMU dies of that. */
    g_ptr_array_add(comparison.deadly, (gpointer)g_intern_static_string("vmport"));
    if (!compare_fields(&comparison, error) ||
        (source->qtest && !compare_registers(&comparison, last ? destination : NULL, error)))
        g_clear_pointer(&comparison.lost, g_ptr_array_unref);
    g_ptr_array_unref(comparison.deadly);
    return comparison.lost;
}

GPtrArray *godwit_loaded_compare(struct godwit_vm *source, struct godwit_vm *destination,
                                 const char *const *arguments, bool last, GError **error)
{
    return godwit_loaded_reveal(source, destination, arguments, last, NULL, error);
}

GArray *godwit_loaded_registers(const GPtrArray *lost)
{
    GArray *registers = g_array_new(FALSE, FALSE, sizeof(struct godwit_symptom_register));
    for (guint i = 0; lost && i < lost->len; i++) {
        const struct godwit_lost *one = g_ptr_array_index(lost, i);
        const char *device = one->device ? one->device : "?";
        const struct godwit_symptom_register entry = {one->is_register ? device : "", one->where,
                                                      one->text};
        g_array_append_val(registers, entry);
    }
    return registers;
}

bool godwit_loaded_judge(struct godwit_testbed *testbed, const GPtrArray *lost, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < lost->len; i++) {
        const struct godwit_lost *one = g_ptr_array_index(lost, i);
        godwit_testbed_measure_item(testbed,
                                    one->is_register ? "register_differences" : "state_differences",
                                    json_string(one->text));
        godwit_testbed_measure_item(testbed, "lost", json_string(one->where));
        if (i < QUOTED_MAX)
            g_string_append_printf(text, "%s%s", i ? "; " : "", one->text);
    }
    if (lost->len > QUOTED_MAX)
        g_string_append_printf(text, "; and %u more", lost->len - QUOTED_MAX);
    return !lost->len ||
           godwit_fail(error, GODWIT_ERROR_ORACLE,
                       "the destination has another state than the source: %s", text->str);
}

/* Returns the symptom of one thing that is lost, in a machine in which no device is in question. */
static struct godwit_symptom symptom_of(struct godwit_vm *source, struct godwit_vm *destination,
                                        const struct godwit_symptom_register *lost)
{
    return (struct godwit_symptom){.kind = GODWIT_SYMPTOM_DEVICE,
                                   .source = source,
                                   .destination = destination,
                                   .text = "",
                                   .lost = lost,
                                   .lost_count = 1};
}

void godwit_loaded_explain(struct godwit_vm *source, struct godwit_vm *destination,
                           const GPtrArray *lost, GError **failure)
{
    g_autoptr(GArray) registers = godwit_loaded_registers(lost);
    const struct godwit_bug *worst = NULL;
    for (guint i = 0; i < registers->len; i++) {
        const struct godwit_symptom symptom = symptom_of(
            source, destination, &g_array_index(registers, struct godwit_symptom_register, i));
        const struct godwit_bug *bug = godwit_bug_match(&symptom);
        if (!bug)
            return;
        if (!worst || bug->effect == GODWIT_BUG_LOST)
            worst = bug;
    }
    for (guint i = 0; i < registers->len; i++) {
        const struct godwit_symptom symptom = symptom_of(
            source, destination, &g_array_index(registers, struct godwit_symptom_register, i));
        godwit_bug_explain(&symptom);
    }
    if (worst)
        godwit_bug_mark(failure, worst);
}

bool godwit_loaded_judge_state(struct godwit_vm *source, struct godwit_vm *destination,
                               GError **error)
{
    g_autoptr(GPtrArray) lost = godwit_loaded_compare(source, destination, NULL, false, error);
    return lost && godwit_loaded_judge(source->testbed, lost, error);
}
