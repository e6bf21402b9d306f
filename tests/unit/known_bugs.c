/*
 * Known bugs of QEMU: what is taken for one of them, and that nothing beside that is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <fcntl.h>

#include "migrate/migrate.h"
#include "testbed/measured.h"

#include "fake_pair.h"

/* What a symptom is taken for, by kind. */
#define KNOWN(...) godwit_bug_explain(&(const struct godwit_symptom){__VA_ARGS__})

static const char *id_of(const struct godwit_bug *bug)
{
    return bug ? bug->id : NULL;
}

#define known_lost_suspend(vm, now)                                                                \
    (KNOWN(.kind = GODWIT_SYMPTOM_RUN_STATE, .source = (vm), .state = (now)) != NULL)
#define known_setup_event(who, from, to)                                                           \
    (KNOWN(.kind = GODWIT_SYMPTOM_STATE_EVENT, .vm = (who), .state = (from), .next = (to)) != NULL)
#define known_early_cancel(vm) (KNOWN(.kind = GODWIT_SYMPTOM_CONNECTING, .source = (vm)) != NULL)
#define known_failed_twice(who, now)                                                               \
    (KNOWN(.kind = GODWIT_SYMPTOM_STATE_TWICE, .vm = (who), .state = (now)) != NULL)
#define known_ignored_level(who, name, to, reads)                                                  \
    id_of(KNOWN(.kind = GODWIT_SYMPTOM_LEVEL, .vm = (who), .parameter = (name), .value = (to),     \
                .state = (reads)))
#define known_wrapped_port(who, number)                                                            \
    id_of(KNOWN(.kind = GODWIT_SYMPTOM_PORT, .vm = (who), .port = (number)))
#define known_stuck_incoming(who, refusal)                                                         \
    id_of(KNOWN(.kind = GODWIT_SYMPTOM_INCOMING, .vm = (who),                                      \
                .text = godwit_json_string(refusal, "desc", "")))
#define known_channels_crash(gone) id_of(KNOWN(.kind = GODWIT_SYMPTOM_CHANNELS, .source = (gone)))
#define known_multifd_cancel(vm, now)                                                              \
    (KNOWN(.kind = GODWIT_SYMPTOM_CANCELLING, .source = (vm), .state = (now)) != NULL)
#define known_stalled_completion(vm)                                                               \
    (KNOWN(.kind = GODWIT_SYMPTOM_NO_ANSWER, .source = (vm)) != NULL)
#define known_load(pair, gone)                                                                     \
    id_of(KNOWN(.kind = GODWIT_SYMPTOM_LOAD, .source = (pair)->source->vm, .destination = (gone)))

/* Where in the mailbox a field begins and ends, as offsets in RAM. */
#define FIRST(NAME) (PAIR_MAILBOX + GODWIT_MAILBOX_OFF_##NAME)
#define LAST(NAME)  (FIRST(NAME) + 7)

/* Versions, and whether both bugs are in them. */
static const struct {
    const char *version;
    bool has;
} versions[] = {
    {"2.12.0", true},
    {"7.2.22", true},
    {"8.2.90", true},
    {"8.999.0", true},
    {"9.0.0", false},
    {"9.0.1", false},
    {"9.1.0", false},
    {"10.0.0", false},
    {"10.0.50", false},
    {"11.2.3", false},
    /* One that says no version has no known bugs. */
    {"", false},
    {"unknown", false},
    {"8", false},
};

static struct fake_pair *pair_new(void **state, const char *source, const char *destination)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    fake_pair_blocks(pair, true);
    g_free(pair->source_qemu.version);
    pair->source_qemu.version = g_strdup(source);
    pair->destination_qemu.version = (char *)(uintptr_t)destination;
    return pair;
}

/* Whether differences of the RAM from FIRST to LAST are taken for the stale page. */
static bool stale(struct fake_pair *pair, uint64_t first, uint64_t last)
{
    const struct godwit_block *ram = godwit_memory_block(pair->source->vm, "the.ram");
    return KNOWN(.kind = GODWIT_SYMPTOM_MAILBOX, .source = pair->source->vm,
                 .destination = pair->destination->vm, .block = ram, .text = "what was seen",
                 .first = first, .last = last) != NULL;
}

static const json_t *noted(const struct fake_pair *pair)
{
    return json_object_get(godwit_testbed_measured(pair->testbed), "known_bugs");
}

/* The source's version counts, not the destination's: the source is what loses the page. */
static void test_versions(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
        /* A stale page is the source's doing; a suspended guest is lost by either side. */
        for (int way = 0; way < 3; way++) {
            const char *other = way > 0 || versions[i].has ? "10.0.0" : "7.2.0";
            struct fake_pair *pair = way < 2 ? pair_new(state, versions[i].version, other)
                                             : pair_new(state, other, versions[i].version);
            MAILBOX_SET(pair, destination, TIMER, 1);
            const bool has = way == 0 ? stale(pair, FIRST(TIMER), LAST(TIMER))
                                      : known_lost_suspend(pair->source->vm, "running");
            if (has != versions[i].has)
                fail_msg("QEMU \"%s\" %s", versions[i].version, has ? "is excused" : "is not");
            assert_int_equal(noted(pair) != NULL, has);
            fake_pair_free(pair);
        }
    }
}

/* What newer sources lose, they lose in a postcopy. */
static void test_hot_start(void **state)
{
    static const struct {
        const char *version, *accel, *capability;
        bool has;
    } rows[] = {
        {"11.1.3", "tcg", "postcopy-ram", true},   {"10.1.0", "tcg", "postcopy-ram", false},
        {"10.0.13", "tcg", "postcopy-ram", false}, {"9.0.0", "tcg", "postcopy-ram", false},
        {"11.1.3", "kvm", "postcopy-ram", false},  {"11.1.3", "tcg", "multifd", false},
        {"10.0.99", "tcg", "postcopy-ram", false}, {"12.0.0", "tcg", "postcopy-ram", true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "10.0.13");
        MAILBOX_SET(pair, destination, TIMER, 1);
        pair->setup.accel = rows[i].accel;
        pair->source->vm->capabilities = json_pack("{s:b}", rows[i].capability, 1);
        if (stale(pair, FIRST(TIMER), LAST(TIMER)) != rows[i].has)
            fail_msg("QEMU %s, %s, %s", rows[i].version, rows[i].accel, rows[i].capability);
        assert_int_equal(noted(pair) != NULL, rows[i].has);
        if (rows[i].has)
            assert_string_equal(godwit_json_string(json_array_get(noted(pair), 0), "id", ""),
                                "tcg-hot-start");
        /* Elsewhere in memory nothing is excused. */
        assert_false(stale(pair, FIRST(TIMER) - GODWIT_MAILBOX_SIZE, LAST(TIMER)));
        fake_pair_free(pair);
    }
}

/* Sources from 9.0 on lose what the guest writes to a block that is not the first. */
static void test_block_offset(void **state)
{
    static const struct {
        const char *version, *accel;
        uint64_t offset;
        const char *id;
    } rows[] = {
        {"10.0.13", "tcg", 0x1000000, "tcg-block-offset"},
        {"9.0.0", "tcg", 1, "tcg-block-offset"},
        {"11.1.3", "tcg", 0x1000000, "tcg-block-offset"},
        {"8.2.7", "tcg", 0x1000000, "tcg-hot-page"},
        {"10.0.13", "tcg", 0, NULL},
        {"10.0.13", "kvm", 0x1000000, NULL},
        {"unknown", "tcg", 0x1000000, NULL},
    };
    enum { PAGES = 3, BEHIND = 5 };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        for (int window = 0; window < 2; window++) {
            struct fake_pair *pair = pair_new(state, rows[i].version, "10.0.13");
            struct godwit_vm *vm = pair->source->vm;
            pair->setup.accel = rows[i].accel;
            for (guint block = 0; block < vm->blocks->len; block++)
                g_array_index(vm->blocks, struct godwit_block, block).offset = rows[i].offset;
            MAILBOX_SET(pair, destination, TIMER, 1);
            for (unsigned page = 0; window && page < PAGES; page++)
                pair->destination->memory[PAIR_WINDOW + page * PAIR_PAGE] -= BEHIND;
            const struct godwit_block *ram = godwit_memory_block(vm, "the.ram");
            const char *id =
                id_of(KNOWN(.kind = window ? GODWIT_SYMPTOM_WINDOW : GODWIT_SYMPTOM_MAILBOX,
                            .source = vm, .destination = pair->destination->vm, .block = ram,
                            .text = "what was seen", .first = window ? PAIR_WINDOW : FIRST(TIMER),
                            .last = window ? PAIR_WINDOW + PAGES * PAIR_PAGE - 1 : LAST(TIMER)));
            if (g_strcmp0(id, rows[i].id) != 0)
                fail_msg("row %zu, window %d: %s", i, window, id);
            fake_pair_free(pair);
        }
}

/* A stale page is TCG's; a lost suspend is anybody's. */
static void test_accelerators(void **state)
{
    static const char *const accels[] = {"tcg", "kvm", "tcg2", "", "TCG"};
    for (size_t i = 0; i < G_N_ELEMENTS(accels); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
        pair->setup.accel = accels[i];
        assert_int_equal(stale(pair, FIRST(PASSES), LAST(TIMER)), i == 0);
        assert_true(known_lost_suspend(pair->source->vm, "running"));
        fake_pair_free(pair);
    }
}

/* Differences that begin or end outside the mailbox, by one byte, or are of another block. */
static void test_bounds(void **state)
{
    static const struct {
        uint64_t first, last;
        bool known;
    } rows[] = {
        {PAIR_MAILBOX, PAIR_MAILBOX + GODWIT_MAILBOX_SIZE - 1, true},
        {PAIR_MAILBOX, PAIR_MAILBOX, true},
        {PAIR_MAILBOX + GODWIT_MAILBOX_SIZE - 1, PAIR_MAILBOX + GODWIT_MAILBOX_SIZE - 1, true},
        {PAIR_MAILBOX - 1, PAIR_MAILBOX + 8, false},
        {PAIR_MAILBOX + 8, PAIR_MAILBOX + GODWIT_MAILBOX_SIZE, false},
        {PAIR_MAILBOX + GODWIT_MAILBOX_SIZE, PAIR_MAILBOX + GODWIT_MAILBOX_SIZE, false},
        {PAIR_MAILBOX - 1, PAIR_MAILBOX - 1, false},
        {0, 0, false},
        {0, PAIR_RAM - 1, false},
        {PAIR_WINDOW, PAIR_WINDOW, false},
    };
    struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        assert_int_equal(stale(pair, rows[i].first, rows[i].last), rows[i].known);
    assert_int_equal(json_array_size(noted(pair)), 1);
    const struct godwit_block *rom = godwit_memory_block(pair->source->vm, "the.rom");
    assert_false(KNOWN(.kind = GODWIT_SYMPTOM_MAILBOX, .source = pair->source->vm,
                       .destination = pair->destination->vm, .block = rom, .text = "",
                       .first = FIRST(TIMER), .last = LAST(TIMER)) != NULL);
    assert_int_equal(json_array_size(noted(pair)), 1);
    fake_pair_free(pair);
}

/* The destination's mailbox has to be the source's as it was earlier, in every field. */
static void test_earlier(void **state)
{
    enum { THEN = 123456789 };
    for (int big = 0; big < 2; big++) {
        struct fake_pair *pair = fake_pair_new(state, big, false);
        fake_pair_blocks(pair, true);
        g_free(pair->source_qemu.version);
        pair->source_qemu.version = g_strdup("7.2.22");
#define EXPECT(known) assert_int_equal(stale(pair, FIRST(MAGIC), LAST(FAULT_FOUND)), known)
#define WITH(NAME, value, usual, known)                                                            \
    do {                                                                                           \
        MAILBOX_SET(pair, destination, NAME, value);                                               \
        EXPECT(known);                                                                             \
        MAILBOX_SET(pair, destination, NAME, usual);                                               \
    } while (0)
        EXPECT(true);
        WITH(MAGIC, 0, GODWIT_MAILBOX_MAGIC, false);
        WITH(MAGIC, GODWIT_MAILBOX_MAGIC + 1, GODWIT_MAILBOX_MAGIC, false);
        WITH(STATE, GODWIT_STATE_SUSPENDED, GODWIT_STATE_RUNNING, false);
        WITH(STATE, GODWIT_STATE_FAULT, GODWIT_STATE_RUNNING, false);
        WITH(PASSES, PAIR_PASSES - 1, PAIR_PASSES, true);
        WITH(PASSES, 0, PAIR_PASSES, true);
        WITH(PASSES, PAIR_PASSES + 1, PAIR_PASSES, false);
        WITH(PASSES, UINT64_MAX, PAIR_PASSES, false);
        WITH(TIMER, THEN - 1, THEN, true);
        WITH(TIMER, THEN + 1, THEN, false);
        WITH(TIMER, UINT64_C(1) << 63, THEN, false);
        WITH(FAULT_ADDRESS, 1, 0, false);
        WITH(FAULT_EXPECTED, 1, 0, false);
        WITH(FAULT_FOUND, 1, 0, false);
        EXPECT(true);
        fake_pair_free(pair);
    }
#undef WITH
#undef EXPECT
}

/* A mailbox that cannot be read excuses nothing. */
static void test_unreadable(void **state)
{
    for (int side = 0; side < 2; side++) {
        struct fake_pair *pair = fake_pair_new(state, false, true);
        fake_pair_blocks(pair, true);
        g_free(pair->source_qemu.version);
        pair->source_qemu.version = g_strdup("7.2.22");
        assert_true(stale(pair, FIRST(TIMER), LAST(TIMER)));
        (side ? pair->destination : pair->source)->refuses = true;
        assert_false(stale(pair, FIRST(TIMER), LAST(TIMER)));
        assert_int_equal(json_array_size(noted(pair)), 1);
        fake_pair_free(pair);
    }
}

/* Pages of the window that are older on the destination: many before 9.0, by any number of passes;
 * later one, by one pass, of a guest that was migrated live. */
static void test_stale_window(void **state)
{
    static const struct {
        const char *version, *accel;
        unsigned pages, passes;
        bool live, foreign, known;
    } rows[] = {
        {"7.2.22", "tcg", 1, 1, true, false, true},   {"7.2.22", "tcg", 8, 3, true, false, true},
        {"7.2.22", "tcg", 9, 1, true, false, false},  {"7.2.22", "kvm", 1, 1, true, false, false},
        {"10.0.13", "tcg", 1, 1, true, false, true},  {"10.0.13", "tcg", 2, 1, true, false, false},
        {"10.0.13", "tcg", 1, 2, true, false, false}, {"10.0.13", "tcg", 1, 1, false, false, false},
        {"10.0.13", "tcg", 1, 1, true, true, false},  {"10.0.13", "kvm", 1, 1, true, false, false},
        {"11.1.3", "tcg", 1, 1, true, false, true},   {"10.0.13", "tcg", 1, 0, true, true, false},
        {"unknown", "tcg", 1, 1, true, false, false},
    };
    enum { STEP = 50 }; /* pages from one that is stale to the next */
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        pair->setup.accel = rows[i].accel;
        if (rows[i].live)
            godwit_migration_of(pair->testbed)->live = true;
        for (unsigned page = 0; page < rows[i].pages; page++)
            pair->destination->memory[PAIR_WINDOW + page * STEP * PAIR_PAGE] -=
                (unsigned char)rows[i].passes;
        if (rows[i].foreign)
            pair->destination->memory[PAIR_WINDOW + 1]++;
        const struct godwit_block *ram = godwit_memory_block(pair->source->vm, "the.ram");
        const bool known =
            KNOWN(.kind = GODWIT_SYMPTOM_WINDOW, .source = pair->source->vm,
                  .destination = pair->destination->vm, .block = ram, .text = "what was seen",
                  .first = PAIR_WINDOW,
                  .last = PAIR_WINDOW + (rows[i].pages - 1) * STEP * PAIR_PAGE) != NULL;
        if (known != rows[i].known)
            fail_msg("row %zu is %s", i, known ? "excused" : "not");
        assert_int_equal(json_array_size(noted(pair)), known);
        assert_true(!known || !strcmp(godwit_json_string(json_array_get(noted(pair), 0), "id", ""),
                                      i < 4 ? "tcg-hot-page" : "tcg-dirty-race"));
        fake_pair_free(pair);
    }
}

/* A destination that tells of "setup" is excused when it is paused, and for nothing else. */
static void test_setup_event(void **state)
{
    static const struct {
        const char *version, *from, *to;
        bool known;
    } rows[] = {
        {"7.2.22", "postcopy-paused", "setup", true},
        {"8.1.5", "postcopy-paused", "setup", true},
        {"8.2.0", "postcopy-paused", "setup", false},
        {"10.0.13", "postcopy-paused", "setup", false},
        {"unknown", "postcopy-paused", "setup", false},
        {"7.2.22", "postcopy-active", "setup", false},
        {"7.2.22", "active", "setup", false},
        {"7.2.22", "postcopy-paused", "active", false},
        {"7.2.22", "postcopy-paused", "completed", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "10.0.0", rows[i].version);
        assert_int_equal(known_setup_event(pair->destination->vm, rows[i].from, rows[i].to),
                         rows[i].known);
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
        fake_pair_free(pair);
    }
}

static void test_early_cancel(void **state)
{
    static const char *const sources[] = {"10.0.13", "11.0.0", "11.1.0", "11.1.3",
                                          "unknown", "7.2.22", "9.2.0"};
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        struct fake_pair *pair = pair_new(state, sources[i], "10.0.0");
        assert_int_equal(known_early_cancel(pair->source->vm), i < 2);
        assert_int_equal(json_array_size(noted(pair)), i < 2);
        fake_pair_free(pair);
    }
}

/* What is noted: one entry for each bug, with everything that a report shows of it. */
static void test_notes(void **state)
{
    struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
    assert_true(stale(pair, FIRST(TIMER), LAST(TIMER)));
    assert_true(known_lost_suspend(pair->source->vm, "running"));
    assert_true(stale(pair, FIRST(TIMER), LAST(TIMER)));
    static const struct {
        const char *id, *seen;
    } wanted[] = {
        {"tcg-hot-page", "what was seen"},
        {"suspend-lost", "the suspended guest is \"running\" on the destination"},
    };
    assert_int_equal(json_array_size(noted(pair)), G_N_ELEMENTS(wanted));
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        const json_t *bug = json_array_get(noted(pair), i);
        assert_string_equal(godwit_json_string(bug, "id", ""), wanted[i].id);
        assert_string_equal(godwit_json_string(bug, "seen", ""), wanted[i].seen);
        assert_true(*godwit_json_string(bug, "summary", ""));
        assert_true(*godwit_json_string(bug, "reference", ""));
    }
    fake_pair_free(pair);
}

/* Only multifd, only these two states, in every version. */
static void test_failed_twice(void **state)
{
    static const char *const sources[] = {"7.2.22", "10.0.13", "11.1.3"};
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        struct fake_pair *pair = pair_new(state, sources[i], "7.2.22");
        struct godwit_vm *vm = pair->source->vm;
        assert_false(known_failed_twice(vm, "failed"));
        vm->capabilities = json_pack("{s:b, s:b}", "multifd", 0, "xbzrle", 1);
        assert_false(known_failed_twice(vm, "failed"));
        json_object_set_new(vm->capabilities, "multifd", json_true());
        assert_false(known_failed_twice(vm, "active"));
        assert_false(known_failed_twice(vm, "cancelled"));
        assert_null(noted(pair));
        assert_true(known_failed_twice(vm, "failed"));
        assert_true(known_failed_twice(vm, "failing"));
        assert_int_equal(json_array_size(noted(pair)), 1);
        fake_pair_free(pair);
    }
}

/* Bugs that a request shows: in which versions, and of what. */
static void test_requests(void **state)
{
    static const struct {
        const char *version;
        bool level, setup, port;
    } rows[] = {
        {"7.2.22", true, true, true},     {"8.1.0", true, true, true},
        {"8.2.0", true, false, true},     {"9.2.0", true, false, true},
        {"10.0.0", false, false, true},   {"11.1.3", false, false, true},
        {"unknown", false, false, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "9.0.0");
        struct godwit_vm *vm = pair->source->vm;
        assert_int_equal(!!known_ignored_level(vm, "multifd-zlib-level", "5", "1"), rows[i].level);
        assert_int_equal(!!known_ignored_level(vm, "multifd-zstd-level", "5", "1"), rows[i].level);
        assert_null(known_ignored_level(vm, "multifd-channels", "5", "1"));
        assert_int_equal(known_setup_event(vm, "postcopy-paused", "setup"), rows[i].setup);
        assert_false(known_setup_event(vm, "active", "setup"));
        assert_false(known_setup_event(vm, "postcopy-paused", "active"));
        assert_int_equal(!!known_wrapped_port(vm, 65536 + 4711), rows[i].port);
        fake_pair_free(pair);
    }
}

/* Refusals of a destination that are a bug's, and those that are not. */
static void test_stuck(void **state)
{
    struct fake_pair *pair = pair_new(state, "10.0.0", "10.0.0");
    g_autoptr(json_t) stuck = json_pack("{s:s}", "desc", "Illegal migration incoming state: setup");
    g_autoptr(json_t) other = json_pack("{s:s}", "desc", "Invalid argument");
    assert_string_equal(known_stuck_incoming(pair->source->vm, stuck), "incoming-stuck");
    assert_null(known_stuck_incoming(pair->source->vm, other));
    fake_pair_free(pair);
    pair = pair_new(state, "7.2.22", "7.2.22");
    assert_null(known_stuck_incoming(pair->source->vm, stuck));
    fake_pair_free(pair);
}

/* Only a wild pointer, and only once it has killed. */
static void test_crash(void **state)
{
    struct fake_pair *pair = pair_new(state, "10.0.0", "10.0.0");
    struct godwit_vm vm = {.testbed = pair->testbed,
                           .name = (char *)(uintptr_t) "source",
                           .qemu = pair->source->vm->qemu,
                           .wait_status = 11};
    assert_null(known_channels_crash(&vm));
    vm.exited = true;
    assert_string_equal(known_channels_crash(&vm), "no-main-channel");
    vm.wait_status = 6;
    assert_null(known_channels_crash(&vm));
    vm.wait_status = 1 << 8;
    assert_null(known_channels_crash(&vm));
    fake_pair_free(pair);
}

/* A VM of the pair that was killed by that signal, with these last words. */
static struct godwit_vm killed(void **state, const struct fake_pair *pair, const char *name,
                               int number, const char *text)
{
    int ends[2];
    g_autofree char *file = g_strconcat(name, ".stderr", NULL);
    g_autofree char *path = g_build_filename(*state, file, NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    const bool source = !strcmp(name, "source");
    return (struct godwit_vm){.testbed = pair->testbed,
                              .name = (char *)(uintptr_t)name,
                              .source = source,
                              .qemu = (source ? pair->source : pair->destination)->vm->qemu,
                              .errors = godwit_drain_new(ends[0], path, GODWIT_STDERR_MAX, NULL),
                              .exited = true,
                              .wait_status = number};
}

#define ABORT_SAVE                                                                                 \
    "qemu: migration/vmstate.c:433: vmstate_save_state_v: Assertion `first_elem || !n_elems || "   \
    "!size' failed.\n"
#define ABORT_CARD                                                                                 \
    "qemu: hw/sd/sd.c:381: sd_ocr_powerup: Assertion `!FIELD_EX32(sd->ocr, OCR, CARD_POWER_UP)' "  \
    "failed.\n"

#define ABORT_ALIAS                                                                                \
    "qemu: ../../softmmu/memory.c:2705: memory_region_set_alias_offset: Assertion `mr->alias' "    \
    "failed.\n"

/* One device, one side, one signal and, if it was an assertion, that one; and no other version. */
static void test_devices(void **state)
{
    static const struct {
        const char *device, *version;
        int source, destination; /* the signal that has killed it; 0: it lives */
        const char *said, *id;
    } rows[] = {
        {"vmbus-bridge", "7.2.22", 6, 0, ABORT_SAVE, "device-vmbus"},
        {"hv-balloon", "11.1.3", 6, 0, ABORT_SAVE, "device-vmbus"},
        {"vmbus-bridge", "10.0.13", 11, 0, ABORT_SAVE, NULL},
        {"vmbus-bridge", "10.0.13", 6, 0, ABORT_CARD, NULL},
        {"vmbus-bridge", "10.0.13", 0, 6, ABORT_SAVE, NULL},
        {"e1000", "10.0.13", 6, 0, ABORT_SAVE, NULL},
        {"sd-card-spi", "10.0.13", 0, 6, ABORT_CARD, "device-sd-card-spi"},
        {"sd-card-spi", "11.1.3", 0, 6, ABORT_CARD, "device-sd-card-spi"},
        {"sd-card-spi", "9.2.0", 0, 6, ABORT_CARD, "device-sd-card-spi"},
        {"sd-card-spi", "10.0.13", 6, 0, ABORT_CARD, NULL},
        {"sd-card-spi", "10.0.13", 0, 6, ABORT_SAVE, NULL},
        {"sd-card", "10.0.13", 0, 6, ABORT_CARD, NULL},
        {"pci-serial-2x", "7.2.22", 11, 0, "", "device-pci-serial"},
        {"pci-serial-2x", "11.1.3", 11, 0, "", "device-pci-serial"},
        {"pci-serial-2x", "11.1.3", 6, 0, "", NULL},
        {"pci-serial-2x", "11.1.3", 0, 11, "", NULL},
        {"pci-serial-4x", "11.1.3", 11, 0, "", NULL},
        {"isa-vga", "10.0.13", 0, 11, "", "device-isa-vga"},
        {"isa-vga", "7.2.22", 0, 11, "", NULL},
        {"isa-vga", "11.1.3", 0, 11, "", NULL},
        {"isa-vga", "10.0.13", 11, 0, "", NULL},
        {"VGA", "10.0.13", 0, 11, "", NULL},
        {"isa-cirrus-vga", "7.2.22", 0, 6, ABORT_ALIAS, "device-isa-cirrus-vga"},
        {"isa-cirrus-vga", "10.0.13", 0, 6, ABORT_ALIAS, NULL},
        {"isa-cirrus-vga", "7.2.22", 6, 0, ABORT_ALIAS, NULL},
        {"isa-cirrus-vga", "7.2.22", 0, 6, ABORT_SAVE, NULL},
        {"cirrus-vga", "7.2.22", 0, 6, ABORT_ALIAS, NULL},
        {"nvme-ns", "11.1.3", 11, 0, "", "device-nvme-ns"},
        {"nvme-ns", "10.0.13", 11, 0, "", NULL},
        {"nvme-ns", "11.1.3", 0, 11, "", NULL},
        {"nvme", "11.1.3", 11, 0, "", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm source = killed(state, pair, "source", rows[i].source, rows[i].said);
        struct godwit_vm destination =
            killed(state, pair, "destination", rows[i].destination, rows[i].said);
        source.exited = rows[i].source;
        destination.exited = rows[i].destination;
        g_autoptr(GPtrArray) none = g_ptr_array_new();
        destination.arguments = none;
        const struct godwit_bug *bug = KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = &source,
                                             .destination = &destination, .text = rows[i].device);
        if (g_strcmp0(id_of(bug), rows[i].id) != 0)
            fail_msg("row %zu: %s, not %s", i, id_of(bug), rows[i].id);
        godwit_drain_free(source.errors);
        godwit_drain_free(destination.errors);
        fake_pair_free(pair);
    }
    for (size_t i = 0; i < 2; i++) {
        g_autofree char *path =
            g_build_filename(*state, i ? "destination.stderr" : "source.stderr", NULL);
        assert_int_equal(g_unlink(path), 0);
    }
}

/* What is lost must have these values, on these boards and with these QEMUs, and be all. */
static void test_values(void **state)
{
#define FIELD(TEXT)                                                                                \
    {                                                                                              \
        "", "anything", TEXT                                                                       \
    }
#define OPENPIC(A, B) FIELD("openpic 0: src[7].ivpr 0x" A " -> 0x" B)
#define GLOBAL(A, B)                                                                               \
    {                                                                                              \
        "openpic", "glb 0x10a0", "openpic, glb 0x10a0 (memory 0x200010a0): 0x" A " -> 0x" B        \
    }
#define SPI(offset)                                                                                \
    {                                                                                              \
        "xlnx.ps7-spi", "spi " offset, NULL                                                        \
    }
#define TIMER(offset)                                                                              \
    {                                                                                              \
        "hpet", "hpet " offset, NULL                                                               \
    }
#define SMBUS(side)                                                                                \
    {                                                                                              \
        "ICH9-SMB", "pm-smbus 0x0",                                                                \
            "ICH9-SMB, pm-smbus, 0x40 bytes at port 0x5680: only the " side " has it there"        \
    }
#define VMXNET3(offset)                                                                            \
    {                                                                                              \
        "vmxnet3", "vmxnet3-b1 " offset, NULL                                                      \
    }
#define OMAP2(offset, before, after)                                                               \
    FIELD("omap2-gpio, omap.gpio-module " offset " (memory 0x48018038): " before " -> " after)
#define BUS FIELD("i2c_bus 1: saved_address 0xff -> 0x00")
    static const struct {
        const char *version, *subject;
        struct godwit_symptom_register lost[3];
        const char *id;
    } rows[] = {
        {"11.1.3", "mac99", {OPENPIC("a0000000", "80000000")}, "device-openpic-mode"},
        {"7.2.22",
         "macio-newworld",
         {OPENPIC("a0000000", "80000000"), GLOBAL("a0000005", "80000005")},
         "device-openpic-mode"},
        {"11.1.3", "mac99", {OPENPIC("80000000", "a0000000")}, NULL},
        {"11.1.3", "mac99", {OPENPIC("a0000001", "80000000")}, NULL},
        {"11.1.3", "mac99", {OPENPIC("a0000000", "20000000")}, NULL},
        {"11.1.3", "mac99", {OPENPIC("a0000000", "80000000"), BUS}, NULL},
        {"11.1.3", "mac99", {FIELD("openpic 0: src[7].idr 0xa0000000 -> 0x80000000")}, NULL},
        {"11.1.3", "mac99", {FIELD("openpic 0: src[7].ivpr a -> b")}, NULL},
        {"7.2.22", "connex", {BUS, FIELD("i2c_bus 3: saved_address 0xff -> 0x00")}, "machine-pxa"},
        {"7.2.22",
         "spitz",
         {FIELD("pxa2xx-gpio 0: ilevel[0] 0x00000000 -> 0x00000800"), BUS},
         "machine-pxa"},
        {"7.2.22", "spitz", {FIELD("pxa2xx-gpio 0: ilevel[0] 0x00000000 -> 0x00000801")}, NULL},
        {"7.2.22",
         "cheetah",
         {FIELD("omap-gpio, omap.gpio 0x0 (memory 0xfffce000): 0x0000 -> 0x0040")},
         "machine-omap"},
        {"7.2.22",
         "n800",
         {OMAP2("0x38", "0x00002080", "0x20002080"),
          {"?", "omap.dma4 0xe10",
           "omap.dma4 0xe10 (memory 0x48056e10): 0xfffeba80 -> 0xfffffa80"}},
         "machine-omap"},
        {"7.2.22", "n810", {OMAP2("0x38", "0x00000000", "0x04000000")}, "machine-omap"},
        {"7.2.22", "n810", {OMAP2("0x38", "0x00000000", "0x24000000")}, NULL},
        {"7.2.22", "n810", {OMAP2("0x38", "0x04000000", "0x00000000")}, NULL},
        {"7.2.22", "n810", {OMAP2("0x3c", "0x00000000", "0x04000000")}, NULL},
        {"7.2.22", "sx1", {OMAP2("0x38", "0x00000000", "0x04000000")}, NULL},
        {"10.0.13", "n810", {OMAP2("0x38", "0x00000000", "0x04000000")}, NULL},
        {"7.2.22",
         "n800",
         {FIELD("omap.dma4 0x28 (memory 0x48056028): 0x00000000 -> 0x00000001")},
         NULL},
        {"7.2.22", "xlnx-zcu102", {SPI("0x120"), SPI("0xffc")}, "device-reads-beyond"},
        {"7.2.22", "sabrelite", {{"imx.usbphy", "imx-usbphy 0x84", NULL}}, "device-reads-beyond"},
        {"7.2.22", "xlnx-zcu102", {SPI("0xfc")}, NULL},
        {"7.2.22", "xlnx-zcu102", {SPI("0x100"), SPI("0x0")}, NULL},
        {"7.2.22", "sabrelite", {{"imx.usbphy", "imx-usbphy 0x80", NULL}}, NULL},
        {"7.2.22", "xlnx-zcu102", {{"xlnx.ps7-qspi", "spi 0x120", NULL}}, NULL},
        {"10.0.13", "xlnx-zcu102", {SPI("0x120")}, NULL},
        {"10.0.13", "pc-q35-10.0", {TIMER("0x160"), TIMER("0x17c")}, "device-hpet-timer"},
        {"10.0.13", "pc-q35-10.0", {TIMER("0x158")}, NULL},
        {"10.0.13", "pc-q35-10.0", {TIMER("0x160"), TIMER("0x180")}, NULL},
        {"11.1.3", "pc-q35-10.0", {TIMER("0x160")}, NULL},
        {"11.1.3", "pc-q35-11.1", {SMBUS("destination")}, "device-smbus"},
        {"11.1.3", "pc-q35-11.1", {SMBUS("source")}, NULL},
        {"11.1.3", "pc-q35-11.1", {SMBUS("destination"), BUS}, NULL},
        {"11.1.3", "vmxnet3", {VMXNET3("0x28"), VMXNET3("0x30")}, "device-vmxnet3-mac"},
        {"11.1.3", "vmxnet3", {VMXNET3("0x28"), VMXNET3("0x20")}, NULL},
        {"11.1.3",
         "kvaser_pci",
         {FIELD("kvaser_pci, kvaser_pci-s5920 0x38 (port 0xc038): 0x00800000 -> 0x00000000")},
         "device-can-irq"},
        {"11.1.3",
         "kvaser_pci",
         {FIELD("kvaser_pci, kvaser_pci-s5920 0x3c (port 0xc03c): 0x00800000 -> 0x00000000")},
         NULL},
        {"11.1.3",
         "pcm3680_pci",
         {FIELD("PCIBUS 0: irq_count[5] 0x00000001 -> 0x00000000"),
          FIELD("0000:00:01.0/pcm3680i_pci 0: dev.config[0] 256 bytes, at 6: 0x0800... -> 256 "
                "bytes, at 6: 0x0000...")},
         "device-can-irq"},
        {"11.1.3",
         "pcm3680_pci",
         {FIELD("0000:00:01.0/pcm3680i_pci 0: dev.irq_state 0x00000001 -> 0x00000000"),
          FIELD("pcm3680_pci, 00:01.0 config 0x4: 0x00080003 -> 0x00000003")},
         "device-can-irq"},
        {"11.1.3", "e1000", {FIELD("PCIBUS 0: irq_count[5] 0x00000001 -> 0x00000000")}, NULL},
        {"11.1.3",
         "pcm3680_pci",
         {FIELD("0000:00:01.0/pcm3680i_pci 0: dev.config[0] 256 bytes, at 4: 0x0800... -> 256 "
                "bytes, at 4: 0x0000...")},
         NULL},
        {"7.2.22", "virt", {BUS}, NULL},
        {"10.0.13", "connex", {BUS}, NULL},
        {"7.2.22", "connex", {FIELD("i2c_bus 1: saved_address 0x10 -> 0x00")}, NULL},
        {"7.2.22", "connex", {BUS, OPENPIC("a0000000", "80000000")}, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        size_t count = 0;
        while (rows[i].lost[count].device)
            count++;
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                  .destination = pair->destination->vm, .text = rows[i].subject,
                  .lost = rows[i].lost, .lost_count = count);
        if (g_strcmp0(id_of(bug), rows[i].id) != 0)
            fail_msg("row %zu: %s, not %s", i, id_of(bug), rows[i].id);
        fake_pair_free(pair);
    }
}

/* Only registers of these devices, nothing else; and no failure of another kind. */
static void test_registers(void **state)
{
#define BLK  "virtio-pci-device-virtio-blk "
#define SCSI "virtio-pci-device-virtio-scsi "
#define AT(DEVICE, WHERE)                                                                          \
    {                                                                                              \
        DEVICE, WHERE, NULL                                                                        \
    }
    static const struct {
        struct godwit_symptom_register lost[3];
        const char *id;
    } rows[] = {
        {{AT("edu", "config 0x4")}, "device-stateless"},
        {{AT("edu", "config 0x4"), AT("sdhci-pci", "sdhci 0x0")}, "device-stateless"},
        {{AT("sii3112", "config 0x4")}, "device-stateless"},
        {{AT("iommu-testdev", "config 0x4")}, "device-stateless"},
        {{AT("e1000", "config 0x4")}, NULL},
        {{AT("edu", "config 0x4"), AT("e1000", "config 0x4")}, NULL},
        {{AT("e1000", "config 0x4"), AT("edu", "config 0x4")}, NULL},
        {{AT("virtio-blk-pci", BLK "0x20")}, "device-virtio-blk-cache"},
        {{AT("virtio-blk-pci-transitional", BLK "0x20"),
          AT("virtio-blk-pci-transitional", "virtio-pci 0x34")},
         "device-virtio-blk-cache"},
        {{AT("virtio-blk-pci", BLK "0x1c")}, NULL},
        {{AT("virtio-blk-pci", BLK "0x24")}, NULL},
        {{AT("virtio-blk-ccw", BLK "0x20")}, NULL},
        {{AT("virtio-net-pci", "virtio-pci 0x34")}, NULL},
        {{AT("virtio-scsi-pci", SCSI "0x14"), AT("virtio-scsi-pci", SCSI "0x18")},
         "device-virtio-scsi-sizes"},
        {{AT("virtio-scsi-pci", SCSI "0x10")}, NULL},
        {{AT("virtio-scsi-pci", SCSI "0x1c")}, NULL},
        {{AT("virtio-scsi-pci", SCSI "0x14"), AT("virtio-blk-pci", BLK "0x20")}, NULL},
        {{AT("usb-ehci", "operational 0x1c")}, "device-ehci-reserved"},
        {{AT("ich9-usb-ehci1", "operational 0x3c")}, "device-ehci-reserved"},
        {{AT("usb-ehci", "operational 0x18")}, NULL},
        {{AT("usb-ehci", "operational 0x40")}, NULL},
        {{AT("usb-ehci", "capabilities 0x1c")}, NULL},
        {{AT("am53c974", "esp-io 0x38")}, "device-esp-registers"},
        {{AT("am53c974", "esp-io 0x70"), AT("am53c974", "esp-io 0x38")}, "device-esp-registers"},
        {{AT("i8257", "dma-cont 0x0"), AT("i8257", "dma-cont 0x1")}, "device-dma-status"},
        {{AT("i8257", "dma-cont 0x2")}, NULL},
        {{AT("i8257", "dma-chan 0x0")}, NULL},
        {{AT("am53c974", "esp-io 0x6c")}, NULL},
        {{AT("am53c974", "esp-io 0x34")}, NULL},
        {{AT("lsi53c895a", "esp-io 0x38")}, NULL},
        {{AT("am53c974", "esp-io")}, NULL},
        {{AT(NULL, NULL)}, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "11.1.3", "7.2.22");
        size_t count = 0;
        while (rows[i].lost[count].device)
            count++;
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                  .destination = pair->destination->vm, .text = "edu", .lost = rows[i].lost,
                  .lost_count = count);
        if (g_strcmp0(id_of(bug), rows[i].id) != 0)
            fail_msg("row %zu: %s, not %s", i, id_of(bug), rows[i].id);
        fake_pair_free(pair);
    }
}

/* A virtio input device whose configuration was written: what is lost is all of this, and the
 * registers were poked. */
static void test_virtio_config(void **state)
{
#define GENERATION "virtio-mouse-pci, virtio-pci-common-virtio-input 0x15 (memory 0x100000015): "
#define SELECTED   "virtio-mouse-pci, virtio-pci-device-virtio-input 0x0 (memory 0x100002000): "
#define COMMAND    "virtio-mouse-pci, 00:01.0 config 0x4: "
#define BLOB       "0000:00:01.0/virtio-input 0: virtio 45636 bytes, at 263: 0x"
#define ZEROS      "00000000000000000000000000000000"
    static const struct {
        const char *lost[4];
        bool poked, known;
    } rows[] = {
        {{GENERATION "0x01 -> 0x00"}, true, true},
        {{"PCIBUS 0: irq_count[5] 0x00000000 -> 0x00000001", BLOB ZEROS "... -> 45636 bytes",
          COMMAND "0x00100003 -> 0x00180003", GENERATION "0x01 -> 0x00"},
         true,
         true},
        {{SELECTED "0x00010010 -> 0x00000000", GENERATION "0x01 -> 0x00"}, true, true},
        {{SELECTED "0x00010010 -> 0x00010000"}, true, false},
        {{SELECTED "0x00010010 -> 0x00000000"}, false, false},
        {{GENERATION "0x01 -> 0x00"}, false, false},
        {{COMMAND "0x00180003 -> 0x00100003"}, true, false},
        {{COMMAND "0x00100003 -> 0x00180003", "PCIBUS 0: irq_count[5] 0x00000001 -> 0x00000000"},
         true,
         false},
        {{GENERATION "0x01 -> 0x00", BLOB "01000000000000000000000000000000... -> x"}, true, false},
        {{GENERATION "0x01 -> 0x00", "virtio-mouse-pci, 00:01.0 config 0x3c: 0x01 -> 0x00"},
         true,
         false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "11.1.3", "11.1.3");
        struct godwit_symptom_register lost[4];
        size_t count = 0;
        for (; count < G_N_ELEMENTS(lost) && rows[i].lost[count]; count++)
            lost[count] = (struct godwit_symptom_register){"", "", rows[i].lost[count]};
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                  .destination = pair->destination->vm, .text = "virtio-mouse-pci", .lost = lost,
                  .lost_count = count, .poked = rows[i].poked);
        if (g_strcmp0(id_of(bug), rows[i].known ? "device-virtio-input-config" : NULL) != 0)
            fail_msg("row %zu: %s", i, id_of(bug));
        fake_pair_free(pair);
    }
}

/* The interrupt status of an HDA controller, as a field and as a register. */
static void test_hda_status(void **state)
{
#define HDA_FIELD    "0000:00:01.0/intel-hda 0: int_sts 0x00000000 -> 0x00000004"
#define HDA_REGISTER "ich9-intel-hda, intel-hda 0x24 (memory 0x40000024): 0x00000000 -> 0x00000004"
    static const struct {
        const char *lost[3];
        bool poked, known;
    } rows[] = {
        {{HDA_FIELD, HDA_REGISTER}, true, true},
        {{HDA_FIELD, HDA_REGISTER}, false, false},
        {{HDA_FIELD, "0000:00:01.0/intel-hda 0: int_ctl 0x00000000 -> 0x00000004"}, true, false},
        {{HDA_REGISTER, "ich9-intel-hda, intel-hda 0x20 (memory 0x40000020): 0x0 -> 0x4"},
         true,
         false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "10.0.13", "10.0.13");
        struct godwit_symptom_register lost[3];
        size_t count = 0;
        for (; count < G_N_ELEMENTS(lost) && rows[i].lost[count]; count++)
            lost[count] = (struct godwit_symptom_register){"", "", rows[i].lost[count]};
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                  .destination = pair->destination->vm, .text = "ich9-intel-hda", .lost = lost,
                  .lost_count = count, .poked = rows[i].poked);
        if (g_strcmp0(id_of(bug), rows[i].known ? "device-hda-status" : NULL) != 0)
            fail_msg("row %zu: %s", i, id_of(bug));
        fake_pair_free(pair);
    }
}

/* The board sifive_u has such a card, whatever else is plugged into it. */
static void test_spi_board(void **state)
{
    static const struct {
        const char *board;
        int number;
        const char *said, *id;
    } rows[] = {
        {"sifive_u", 6, ABORT_CARD, "device-sd-card-spi"},
        {"sifive_u", 6, ABORT_SAVE, NULL},
        {"sifive_u", 11, ABORT_CARD, NULL},
        {"sifive_e", 6, ABORT_CARD, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "10.0.13", "10.0.13");
        struct godwit_vm destination =
            killed(state, pair, "destination", rows[i].number, rows[i].said);
        destination.arguments = g_ptr_array_new();
        g_ptr_array_add(destination.arguments, (gpointer)(uintptr_t) "-M");
        g_ptr_array_add(destination.arguments, (gpointer)(uintptr_t)rows[i].board);
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                  .destination = &destination, .text = "m25p80");
        assert_int_equal(g_strcmp0(id_of(bug), rows[i].id), 0);
        g_ptr_array_unref(destination.arguments);
        godwit_drain_free(destination.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "destination.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

#define NO_SYNIC   "qemu: -device vmbus-bridge: VMBus requires usable Hyper-V SynIC and VP_INDEX\n"
#define NO_CONTEXT "ERROR:tcg.c:1: tcg_register_thread: assertion failed: (n < tcg_max_ctxs)\n"

/* A QEMU that is killed when it plugs a device. */
static void test_plugging(void **state)
{
    static const struct {
        const char *device;
        int number;
        const char *said, *id;
    } rows[] = {
        {"hv-syndbg", 11, NO_SYNIC, "device-hv-syndbg"},
        {"hv-syndbg", 11, "", NULL},
        {"hv-syndbg", 6, NO_SYNIC, NULL},
        {"riscv.k230.soc", 6, NO_CONTEXT, "device-k230-soc"},
        {"riscv.k230.soc", 6, "", NULL},
        {"riscv.k230.soc", 11, NO_CONTEXT, NULL},
        {"riscv.sifive.u.soc", 6, NO_CONTEXT, NULL},
        {"pnv-nmmu", 6, "qemu: pnv_nmmu.c:67: Assertion `nmmu->chip' failed.\n", "device-pnv-nmmu"},
        {"pnv-nmmu", 6, "", NULL},
        {"hv-balloon", 11, NO_SYNIC, NULL},
        {"vmbus-bridge", 11, NO_SYNIC, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "10.0.13", "10.0.13");
        struct godwit_vm vm = killed(state, pair, "source", rows[i].number, rows[i].said);
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_PLUG, .vm = &vm, .text = rows[i].device);
        if (g_strcmp0(id_of(bug), rows[i].id) != 0)
            fail_msg("row %zu: %s, not %s", i, id_of(bug), rows[i].id);
        godwit_drain_free(vm.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "source.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* Devices that are never freed. Each version has its own. */
static void test_unplugging(void **state)
{
    static const struct {
        const char *version, *device, *id;
    } unfreed[] = {
        {"10.0.13", "bochs-display", "unplug-unfreed"},
        {"7.2.22", "intel-hda", "unplug-unfreed"},
        {"11.1.3", "bochs-display", NULL},
        {"11.1.3", "i82801b11-bridge", "unplug-unfreed"},
        {"11.1.3", "qxl", "unplug-unfreed"},
        {"10.0.13", "macio-newworld", "unplug-unfreed"},
        {"11.1.3", "macio-newworld", NULL},
        {"11.1.3", "tpci200", NULL}, /* not on this machine */
        {"7.2.22", "qemu-xhci", "unplug-unfreed"},
        {"10.0.13", "qemu-xhci", NULL},
        {"10.0.13", "e1000", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(unfreed); i++) {
        struct fake_pair *pair = pair_new(state, unfreed[i].version, unfreed[i].version);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNFREED, .vm = pair->source->vm,
                                     .text = unfreed[i].device));
        if (g_strcmp0(id, unfreed[i].id) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        fake_pair_free(pair);
    }
}

/* A destination of that VM's, which has ended with WAIT_STATUS and said TEXT last. */
static struct godwit_vm ended(void **state, const struct fake_pair *pair, int wait_status,
                              const char *text)
{
    int ends[2];
    g_autofree char *path = g_build_filename(*state, "ended.stderr", NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    return (struct godwit_vm){.testbed = pair->testbed,
                              .errors = godwit_drain_new(ends[0], path, GODWIT_STDERR_MAX, NULL),
                              .name = (char *)(uintptr_t) "ended",
                              .qemu = pair->destination->vm->qemu,
                              .qmp = pair->destination->vm->qmp,
                              .exited = true,
                              .wait_status = wait_status};
}

static void end_stderr(void **state, struct godwit_vm *vm)
{
    godwit_drain_free(vm->errors);
    g_autofree char *path = g_build_filename(*state, "ended.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* A slot that was written to, a destination that ended by itself, and said that. */
static void test_interlock(void **state)
{
#define CONFIG_LINE "qemu-system-x: Failed to load PCIDevice:config"
    static const struct {
        const char *device;
        bool poked;
        int status; /* as wait() has it */
        const char *said;
        bool known;
    } rows[] = {
        {"pcie-root-port", true, 1 << 8, CONFIG_LINE, true},
        {"ioh3420", true, 1 << 8, CONFIG_LINE, true},
        {"pcie-root-port", false, 1 << 8, CONFIG_LINE, false},
        {"pcie-root-port", true, 11, CONFIG_LINE, false},
        {"pcie-root-port", true, 1 << 8, "qemu-system-x: Failed to load PCIDevice:irq", false},
        {"e1000e", true, 1 << 8, CONFIG_LINE, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "10.0.13", "10.0.13");
        struct godwit_vm destination = ended(state, pair, rows[i].status, rows[i].said);
        g_autoptr(GPtrArray) none = g_ptr_array_new();
        destination.arguments = none;
        const struct godwit_bug *bug =
            KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                  .destination = &destination, .text = rows[i].device, .poked = rows[i].poked);
        if (g_strcmp0(id_of(bug), rows[i].known ? "device-interlock" : NULL) != 0)
            fail_msg("row %zu: %s", i, id_of(bug));
        end_stderr(state, &destination);
        fake_pair_free(pair);
    }
}

/* Lines as QEMUs have printed them. */
#define NO_FOOTER                                                                                  \
    "qemu-system-ppc64: Missing section footer for cpu\nqemu-system-ppc64: load of migration "     \
    "failed: Invalid argument\n"
#define ABORT_MISA "ERROR:target/riscv/tcg/csr.c:2194:read_misa: code should not be reached\n"

/* One board or CPU model, one end of one QEMU and one line; and no other version. */
static void test_machines(void **state)
{
    enum { EXIT_1 = 1 << 8 };
    static const struct {
        enum godwit_symptom_kind kind;
        const char *subject, *version;
        int status; /* of the destination or, for a CPU, of the QEMU that was asked */
        const char *said, *id;
    } rows[] = {
        {GODWIT_SYMPTOM_MACHINE, "sifive_u", "7.2.22", 6, ABORT_CARD, "machine-spi-card"},
        {GODWIT_SYMPTOM_MACHINE, "lm3s6965evb", "11.1.3", 6, ABORT_CARD, "machine-spi-card"},
        {GODWIT_SYMPTOM_MACHINE, "sifive_u", "11.1.3", 11, ABORT_CARD, NULL},
        {GODWIT_SYMPTOM_MACHINE, "sifive_u", "11.1.3", 6, ABORT_SAVE, NULL},
        {GODWIT_SYMPTOM_MACHINE, "sifive_e", "11.1.3", 6, ABORT_CARD, NULL},
        {GODWIT_SYMPTOM_DEVICE, "sifive_u", "11.1.3", 6, ABORT_CARD, NULL},
        {GODWIT_SYMPTOM_MACHINE, "bamboo", "7.2.22", EXIT_1, NO_FOOTER, "machine-ppc-embedded"},
        {GODWIT_SYMPTOM_MACHINE, "bamboo", "10.0.13", EXIT_1, NO_FOOTER, NULL},
        {GODWIT_SYMPTOM_MACHINE, "bamboo", "7.2.22", 6, NO_FOOTER, NULL},
        {GODWIT_SYMPTOM_MACHINE, "bamboo", "7.2.22", EXIT_1,
         "qemu-system-ppc64: Missing section footer for cpu_common\n", NULL},
        {GODWIT_SYMPTOM_MACHINE, "mac99", "7.2.22", EXIT_1, NO_FOOTER, NULL},
        {GODWIT_SYMPTOM_CPU, "x-rv128", "11.1.3", 6, ABORT_MISA, "cpu-rv128-registers"},
        {GODWIT_SYMPTOM_CPU, "x-rv128", "10.0.13", 6, ABORT_MISA, NULL},
        {GODWIT_SYMPTOM_CPU, "x-rv128", "11.1.3", 11, ABORT_MISA, NULL},
        {GODWIT_SYMPTOM_CPU, "x-rv128", "11.1.3", 6, ABORT_CARD, NULL},
        {GODWIT_SYMPTOM_CPU, "rv64", "11.1.3", 6, ABORT_MISA, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm vm = killed(state, pair, "destination", rows[i].status, rows[i].said);
        const bool cpu = rows[i].kind == GODWIT_SYMPTOM_CPU;
        pair->machine.arch = cpu ? "riscv64" : "ppc64";
        const struct godwit_bug *bug =
            KNOWN(.kind = rows[i].kind, .vm = cpu ? &vm : NULL, .destination = cpu ? NULL : &vm,
                  .text = rows[i].subject);
        if (g_strcmp0(id_of(bug), rows[i].id) != 0)
            fail_msg("row %zu: %s, not %s", i, id_of(bug), rows[i].id);
        godwit_drain_free(vm.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "destination.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

#define CPU_LINE "qemu-system-x: error while loading state for instance 0x0 of device 'cpu'"
#define GIC_LINE "qemu-system-x: error while loading state for instance 0x0 of device 'arm_gicv3'"
#define LATER_LINE                                                                                 \
    "qemu-system-x: load of migration failed: Invalid argument: error while loading state for "    \
    "instance 0x0 of device 'cpu': post load hook failed for: cpu, version_id: 22, ret: -1"
#define REGISTER_LINE                                                                              \
    "qemu-system-x: handle_cpreg_only_in_incoming_stream: system register 0x1013c030 in the "      \
    "incoming stream but unknown on the destination: fail migration"
#define UNNAMED_LINE                                                                               \
    "qemu-system-x: loadvm failed during postcopy: -22: Failed to load section ID: stream error: " \
    "-22: Channel error: Invalid argument"
#define WARNING_LINE                                                                               \
    "qemu-system-x: warning: something of device 'cpu' and arm_gicv3 and vmstate_load_state"
#define YANK_LINE                                                                                  \
    "qemu-system-x: ../../util/yank.c:107: yank_unregister_instance: Assertion "                   \
    "`QLIST_EMPTY(&entry->yankfns)' failed."
#define CPR_LINE "qemu-system-x: vmstate_load_state error -2"

enum { STATUS_1 = 1 << 8, SIGNAL_6 = 6, SIGNAL_11 = 11, RUNS = -1 };

#define SERIAL_LINE                                                                                \
    "qemu-system-x: load of migration failed: Invalid argument: error while loading state for "    \
    "instance 0x0 of device '0000:00:01.0:00.0/pci-serial': post load hook failed for: serial, "   \
    "version_id: 3, minimum_version: 2, ret: -1"
#define CHUNK_LINE                                                                                 \
    "qemu-system-x: ../../util/hbitmap.c:647: serialization_chunk: Assertion "                     \
    "`(last >> hb->granularity) < hb->size' failed."
#define GRANULARITY_LINE                                                                           \
    "qemu-system-x: block/dirty-bitmap.c:107: bdrv_create_dirty_bitmap: Assertion "                \
    "`is_power_of_2(granularity) && granularity >= BDRV_SECTOR_SIZE' failed."
#define QUEUE_LINE "qemu-system-x: VQ 0 vring.num 1024 exceeds allocated max 8"

/* Destinations that did not load: each row's match, and each of its bounds missed by one. */
static const struct {
    const char *id; /* NULL: no known bug */
    const char *arch, *accel, *source, *destination;
    int status;
    const char *state, *line, *capabilities;
    bool answers;
} loads[] = {
    {"aarch64-versions", "aarch64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", CPU_LINE, "",
     true},
    {"aarch64-versions", "aarch64", "tcg", "10.0.13", "7.2.22", STATUS_1, "active", GIC_LINE, "",
     true},
    {"aarch64-versions", "aarch64", "tcg", "10.0.13", "7.2.22", SIGNAL_6, "active", GIC_LINE, "",
     true},
    {"aarch64-versions", "aarch64", "tcg", "10.0.13", "11.1.3", STATUS_1, "failed", LATER_LINE, "",
     true},
    {"aarch64-versions", "aarch64", "tcg", "7.2.22", "11.1.3", STATUS_1, "failed", REGISTER_LINE,
     "", true},
    {"aarch64-versions", "aarch64", "tcg", "11.1.3", "10.0.13", RUNS, "failed", CPU_LINE, "", true},
    {"plugged-serial", "x86_64", "tcg", "11.1.3", "11.1.3", STATUS_1, "failed", SERIAL_LINE, "",
     true},
    {"plugged-serial", "riscv64", "tcg", "11.1.3", "10.0.13", RUNS, "failed", SERIAL_LINE, "",
     true},
    {NULL, "x86_64", "tcg", "10.0.13", "11.1.3", STATUS_1, "failed", SERIAL_LINE, "", true},
    {NULL, "x86_64", "tcg", "11.1.3", "11.1.3", SIGNAL_11, "failed", SERIAL_LINE, "", true},
    {NULL, "x86_64", "tcg", "11.1.3", "11.1.3", STATUS_1, "failed", LATER_LINE, "", true},
    {"virtio-queue-size", "x86_64", "tcg", "10.0.13", "11.1.3", STATUS_1, "failed", QUEUE_LINE, "",
     true},
    {"virtio-queue-size", "x86_64", "tcg", "10.0.13", "11.1.3", RUNS, "failed", QUEUE_LINE, "",
     true},
    {NULL, "x86_64", "tcg", "7.2.22", "11.1.3", STATUS_1, "failed", QUEUE_LINE, "", true},
    {NULL, "x86_64", "tcg", "11.1.3", "10.0.13", STATUS_1, "failed", QUEUE_LINE, "", true},
    {NULL, "x86_64", "tcg", "10.0.13", "11.1.3", STATUS_1, "failed",
     "qemu-system-x: VQ 0 vring.num 512 exceeds allocated max 8", "", true},
    {NULL, "x86_64", "tcg", "10.0.13", "11.1.3", SIGNAL_11, "failed", QUEUE_LINE, "", true},
    {NULL, "aarch64", "tcg", "11.1.3", "10.0.13", RUNS, "completed", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "11.1.3", "10.0.13", RUNS, "active", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "11.1.3", "10.0.13", 0, "active", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "11.1.3", "10.0.13", SIGNAL_11, "failed", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "10.0.13", "10.0.13", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "10.0.13", "10.0.14", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "8.2.0", "10.0.13", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "aarch64", "kvm", "7.2.22", "10.0.13", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "x86_64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "aarch64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", WARNING_LINE, "", true},
    {NULL, "aarch64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", CPU_LINE " or so", "", true},
    {NULL, "aarch64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", "it is said: " CPU_LINE, "",
     true},
    {NULL, "aarch64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", UNNAMED_LINE, "postcopy-ram",
     true},
    {"ppc64-versions", "ppc64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", CPU_LINE, "", true},
    {"ppc64-versions", "ppc64", "tcg", "11.1.3", "7.2.22", STATUS_1, "failed", CPU_LINE, "", true},
    {"ppc64-versions", "ppc64", "tcg", "7.2.22", "11.1.3", STATUS_1, "failed", UNNAMED_LINE,
     "postcopy-ram", true},
    {NULL, "ppc64", "tcg", "7.2.22", "11.1.3", STATUS_1, "failed", UNNAMED_LINE, "", true},
    {NULL, "ppc64", "tcg", "10.0.13", "11.1.3", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "ppc64", "tcg", "7.2.22", "7.2.22", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "ppc64", "kvm", "7.2.22", "10.0.13", STATUS_1, "failed", CPU_LINE, "", true},
    {NULL, "ppc64", "tcg", "7.2.22", "10.0.13", STATUS_1, "failed", GIC_LINE, "", true},
    {"cpr-versions", "x86_64", "tcg", "11.1.3", "10.0.13", STATUS_1, "none", CPR_LINE, "", false},
    {NULL, "x86_64", "tcg", "10.0.13", "11.1.3", STATUS_1, "none", CPR_LINE, "", false},
    {NULL, "x86_64", "tcg", "11.1.3", "11.1.3", STATUS_1, "none", CPR_LINE, "", false},
    {NULL, "x86_64", "tcg", "11.1.3", "10.0.13", STATUS_1, "none", CPR_LINE, "", true},
    {NULL, "x86_64", "tcg", "11.1.3", "10.0.13", SIGNAL_6, "none", CPR_LINE, "", false},
    {NULL, "x86_64", "tcg", "11.1.3", "10.0.13", STATUS_1, "none", "something else", "", false},
    {"recover-crash", "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_11, "postcopy-paused", "",
     "postcopy-preempt", true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_6, "postcopy-paused", "", "postcopy-preempt",
     true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", STATUS_1, "postcopy-paused", "", "postcopy-preempt",
     true},
    {"recover-crash", "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_11, "postcopy-paused", "", "",
     true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_11, "postcopy-active", "",
     "postcopy-preempt", true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", RUNS, "postcopy-paused", "", "postcopy-preempt",
     true},
    {NULL, "x86_64", "tcg", "7.2.22", "10.0.13", SIGNAL_11, "postcopy-paused", "",
     "postcopy-preempt", true},
    {"multifd-postcopy", "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_6, "completed", YANK_LINE,
     "multifd,postcopy-ram", true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_6, "completed", YANK_LINE, "multifd", true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_6, "completed", YANK_LINE, "postcopy-ram",
     true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_11, "completed", YANK_LINE,
     "multifd,postcopy-ram", true},
    {NULL, "x86_64", "tcg", "7.2.22", "7.2.22", SIGNAL_6, "completed", "Assertion yankfns failed",
     "multifd,postcopy-ram", true},
    {NULL, "x86_64", "tcg", "8.1.0", "8.1.0", SIGNAL_6, "completed", YANK_LINE,
     "multifd,postcopy-ram", true},
    {"bitmap-chunk-abort", "x86_64", "tcg", "11.1.3", "7.2.22", SIGNAL_6, "active", CHUNK_LINE,
     "dirty-bitmaps", false},
    {NULL, "x86_64", "tcg", "11.1.3", "7.2.22", SIGNAL_6, "active", CHUNK_LINE, "", false},
    {NULL, "x86_64", "tcg", "11.1.3", "7.2.22", SIGNAL_11, "active", CHUNK_LINE, "dirty-bitmaps",
     false},
    {"bitmap-granularity-abort", "x86_64", "tcg", "7.2.22", "11.1.3", SIGNAL_6, "active",
     GRANULARITY_LINE, "dirty-bitmaps", false},
    {NULL, "x86_64", "tcg", "7.2.22", "11.1.3", SIGNAL_6, "active", GRANULARITY_LINE "x",
     "dirty-bitmaps", false},
};

/* A set of capabilities that are on, from their names with commas. */
static json_t *capabilities_of(const char *names)
{
    json_t *on = json_object();
    g_auto(GStrv) each = g_strsplit(names, ",", -1);
    for (guint i = 0; each[i]; i++)
        json_object_set_new(on, each[i], json_true());
    return on;
}

static void set_up_load(struct fake_pair *pair, struct godwit_vm *vm, size_t i)
{
    pair->machine.arch = loads[i].arch;
    pair->setup.accel = loads[i].accel;
    vm->exited = loads[i].status != RUNS;
    vm->answers = loads[i].answers;
    vm->capabilities = capabilities_of(loads[i].capabilities);
    g_ptr_array_add(vm->qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data",
                                               "status", loads[i].state));
}

static void test_loads(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(loads); i++) {
        struct fake_pair *pair = pair_new(state, loads[i].source, loads[i].destination);
        struct godwit_vm vm = ended(state, pair, loads[i].status, loads[i].line);
        set_up_load(pair, &vm, i);
        const char *id = known_load(pair, &vm);
        if (g_strcmp0(id, loads[i].id) != 0)
            fail_msg("row %zu is %s", i, id ? id : "not known");
        assert_int_equal(json_array_size(noted(pair)), id != NULL);
        json_decref(vm.capabilities);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A serial card of the source's command line was not plugged while it ran. */
static void test_cold_serial(void **state)
{
    struct fake_pair *pair = pair_new(state, "11.1.3", "11.1.3");
    struct godwit_vm vm = ended(state, pair, STATUS_1, SERIAL_LINE);
    vm.exited = vm.answers = true;
    assert_string_equal(known_load(pair, &vm), "plugged-serial");
    g_ptr_array_add(pair->source->vm->arguments, "-device");
    g_ptr_array_add(pair->source->vm->arguments, "pci-serial,id=subject");
    assert_null(known_load(pair, &vm));
    end_stderr(state, &vm);
    fake_pair_free(pair);
}

/* A QEMU that dies of the device, which earlier ones never free, and ports of ISA devices that stay
 * on the source when their bridge is gone. */
static void test_unplug_remains(void **state)
{
    static const struct godwit_symptom_register stays = {
        "?", "memory 0x200000000020",
        "pic, 0x2 bytes at memory 0x20: only the source has it there"};
    static const struct godwit_symptom_register differs = {"?", "memory 0x20",
                                                           "pic 0x20: 0x1 -> 0x0"};
    struct fake_pair *pair = pair_new(state, "11.1.3", "11.1.3");
    struct godwit_vm *vm = pair->source->vm;
    assert_string_equal(id_of(KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = vm, .text = "i82378",
                                    .lost = &stays, .lost_count = 1)),
                        "unplug-left-ports");
    assert_null(id_of(KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = vm, .text = "i82378",
                            .lost = &differs, .lost_count = 1)));
    assert_null(id_of(KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = vm, .text = "e1000",
                            .lost = &stays, .lost_count = 1)));
    vm->exited = true;
    vm->wait_status = SIGABRT;
    assert_string_equal(
        id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNPLUG_DIED, .vm = vm, .text = "macio-newworld")),
        "unplug-abort");
    assert_null(id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNPLUG_DIED, .vm = vm, .text = "qxl")));
    vm->wait_status = SIGSEGV;
    assert_null(
        id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNPLUG_DIED, .vm = vm, .text = "macio-newworld")));
    vm->exited = false;
    fake_pair_free(pair);
}

/* A part of a device that is gone. The device and QEMU's line are both needed. */
static void test_left_over(void **state)
{
    static const char eeprom[] = "qemu-system-aarch64: Unknown savevm section or instance "
                                 "'0000:00:01.0:00.0/eeprom' 0. Make sure that they match\n";
    static const char new_eeprom[] = "qemu-system-aarch64: load of migration failed: Invalid "
                                     "argument: Unknown section or instance "
                                     "'0000:00:01.0:00.0/eeprom' 0. Make sure that they match\n";
    static const char memory[] = "qemu-system-aarch64: Unknown ramblock \"0000:00:01.0:00.0/mem\", "
                                 "cannot accept migration\n";
    static const struct {
        const char *device, *printed, *id;
    } rows[] = {
        {"dc390", eeprom, "unplug-left-over"},
        {"dc390", new_eeprom, "unplug-left-over"},
        {"dc390", memory, NULL},
        {"dc390", "", NULL},
        {"ivshmem-plain", memory, "unplug-left-over"},
        {"ivshmem-plain", eeprom, NULL},
        {"e1000", eeprom, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "10.0.13", "10.0.13");
        struct godwit_vm vm = ended(state, pair, STATUS_1, rows[i].printed);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_DEVICE, .source = pair->source->vm,
                                     .destination = &vm, .text = rows[i].device));
        if (g_strcmp0(id, rows[i].id) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* Whatever the destination has said, only a failed load is explained by it. */
static void test_failures(void **state)
{
    static const struct {
        enum godwit_error code;
        enum godwit_phase phase;
        bool known;
    } rows[] = {
        {GODWIT_ERROR_CRASH, GODWIT_PHASE_MIGRATE, true},
        {GODWIT_ERROR_MIGRATION, GODWIT_PHASE_MIGRATE, true},
        {GODWIT_ERROR_TIMEOUT, GODWIT_PHASE_MIGRATE, true},
        {GODWIT_ERROR_TIMEOUT, GODWIT_PHASE_VERIFY, false},
        {GODWIT_ERROR_MIGRATION, GODWIT_PHASE_VERIFY, false},
        {GODWIT_ERROR_ORACLE, GODWIT_PHASE_MIGRATE, false},
        {GODWIT_ERROR_ORACLE, GODWIT_PHASE_VERIFY, false},
        {GODWIT_ERROR_INTERRUPTED, GODWIT_PHASE_MIGRATE, false},
        {GODWIT_ERROR_QMP, GODWIT_PHASE_MIGRATE, false},
        {GODWIT_ERROR_STREAM, GODWIT_PHASE_MIGRATE, false},
        {GODWIT_ERROR_SKIP, GODWIT_PHASE_MIGRATE, false},
        {GODWIT_ERROR_ENVIRONMENT, GODWIT_PHASE_MIGRATE, false},
        {GODWIT_ERROR_USAGE, GODWIT_PHASE_MIGRATE, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", "10.0.13");
        struct godwit_vm vm = ended(state, pair, STATUS_1, CPU_LINE);
        set_up_load(pair, &vm, 0);
        pair->testbed->phase = rows[i].phase;
        GError *failure = g_error_new(GODWIT_ERROR, (int)rows[i].code, "what was wrong");
        godwit_bug_explain_failure(pair->source->vm, &vm, &failure);
        const struct godwit_bug *bug = godwit_bug_of(failure);
        if ((bug != NULL) != rows[i].known)
            fail_msg("row %zu is %s", i, bug ? "explained" : "not explained");
        assert_int_equal(failure->code, rows[i].code);
        assert_string_equal(failure->message, "what was wrong");
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
        g_error_free(failure);
        json_decref(vm.capabilities);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A destination that refuses a snapshot lives, and says to the monitor why. */
static void test_refused_snapshot(void **state)
{
    static const struct {
        const char *refusal, *line, *id;
    } rows[] = {
        {CPU_LINE "\r\nError: and more", "", "aarch64-versions"},
        {"Error: error while loading state for instance 0x0 of device 'cpu': post load hook failed "
         "for: cpu, version_id: 22, minimum_version: 22, ret: -1",
         "", "aarch64-versions"},
        {"Error -1 while loading VM state", CPU_LINE, "aarch64-versions"},
        {"Error -1 while loading VM state", "", NULL},
        {"no device 'cpu' in the snapshot", "", NULL},
        {NULL, CPU_LINE, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", "10.0.13");
        struct godwit_vm vm = ended(state, pair, RUNS, rows[i].line);
        pair->machine.arch = "aarch64";
        vm.exited = false;
        vm.refusal = g_strdup(rows[i].refusal);
        const char *id = known_load(pair, &vm);
        if (g_strcmp0(id, rows[i].id) != 0)
            fail_msg("row %zu is %s", i, id ? id : "not known");
        g_free(vm.refusal);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A source that dies while it recovers is explained, whatever has become of the destination. */
static void test_source_died(void **state)
{
    static const struct {
        const char *version;
        int status;
        const char *reported;
        enum godwit_error code;
        const char *id;
    } rows[] = {
        {"7.2.22", SIGNAL_11, "postcopy-recover", GODWIT_ERROR_CRASH, "recover-source-crash"},
        {"10.0.13", SIGNAL_11, "postcopy-recover", GODWIT_ERROR_CRASH, NULL},
        {"7.2.22", SIGNAL_6, "postcopy-recover", GODWIT_ERROR_CRASH, NULL},
        {"7.2.22", STATUS_1, "postcopy-recover", GODWIT_ERROR_CRASH, NULL},
        {"7.2.22", SIGNAL_11, "postcopy-paused", GODWIT_ERROR_CRASH, NULL},
        {"7.2.22", SIGNAL_11, "postcopy-active", GODWIT_ERROR_CRASH, NULL},
        {"7.2.22", SIGNAL_11, "postcopy-recover", GODWIT_ERROR_ORACLE, NULL},
        {"7.2.22", SIGNAL_11, "postcopy-recover", GODWIT_ERROR_TIMEOUT, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "7.2.22");
        struct godwit_vm vm = ended(state, pair, SIGNAL_11, "");
        struct godwit_vm *source = pair->source->vm;
        vm.exited = source->exited = true;
        source->wait_status = rows[i].status;
        pair->testbed->phase = GODWIT_PHASE_RECOVER;
        g_ptr_array_add(source->qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION",
                                                       "data", "status", rows[i].reported));
        GError *failure = g_error_new(GODWIT_ERROR, (int)rows[i].code, "what was wrong");
        godwit_bug_explain_failure(source, &vm, &failure);
        const char *id = id_of(godwit_bug_of(failure));
        if (g_strcmp0(id, rows[i].id) != 0)
            fail_msg("row %zu is %s", i, id ? id : "not known");
        g_error_free(failure);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A source has ended with STATUS and TEXT on its standard error. CAPABILITY was on, and ARGUMENT is
 * on its command line, unless NULL. It is known as ID; NULL: not known. */
struct died {
    const char *version;
    int status;
    const char *capability, *argument, *text, *id;
};

static void check_died(void **state, const struct died *row)
{
    struct fake_pair *pair = pair_new(state, row->version, row->version);
    struct godwit_vm source = ended(state, pair, row->status, row->text);
    source.qemu = pair->source->vm->qemu;
    source.capabilities = row->capability ? json_pack("{s:b}", row->capability, 1) : json_object();
    source.arguments = g_ptr_array_new_with_free_func(g_free);
    if (row->argument)
        g_ptr_array_add(source.arguments, g_strdup(row->argument));
    GError *failure = g_error_new(GODWIT_ERROR, GODWIT_ERROR_CRASH, "what was wrong");
    godwit_bug_explain_failure(&source, pair->destination->vm, &failure);
    const char *id = id_of(godwit_bug_of(failure));
    if (g_strcmp0(id, row->id) != 0)
        fail_msg("%s, %s%s: %s is %s", row->version, row->capability ? row->capability : "",
                 row->argument ? row->argument : "", row->text, id ? id : "not known");
    g_error_free(failure);
    json_decref(source.capabilities);
    g_ptr_array_unref(source.arguments);
    end_stderr(state, &source);
    fake_pair_free(pair);
}

/* A source with postcopy-preempt that aborts, and says where. */
static void test_late_channel(void **state)
{
#define LATE                                                                                       \
    "qemu-system-x: ../../util/yank.c:122: yank_register_function: Assertion `entry' failed.\n"
    static const struct died rows[] = {
        {"7.2.22", SIGNAL_6, "postcopy-preempt", NULL, LATE, "preempt-late-channel"},
        {"10.0.13", SIGNAL_6, "postcopy-preempt", NULL, LATE, "preempt-late-channel"},
        {"11.1.3", SIGNAL_6, "postcopy-preempt", NULL, LATE, NULL},
        {"7.2.22", SIGNAL_11, "postcopy-preempt", NULL, LATE, NULL},
        {"7.2.22", SIGNAL_6, "postcopy-ram", NULL, LATE, NULL},
        {"7.2.22", SIGNAL_6, "postcopy-preempt", NULL, "yank_register_function\n", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        check_died(state, &rows[i]);
}

/* One assertion, of a source whose command line turns the configuration off. */
static void test_no_configuration(void **state)
{
#define WRITER                                                                                     \
    "qemu-system-x: qobject/json-writer.c:74: leave_container: Assertion `depth' failed.\n"
    static const char off[] = "migration.send-configuration=off";
    const struct died rows[] = {
        {"10.0.13", SIGNAL_6, NULL, off, WRITER, "no-configuration"},
        {"11.1.3", SIGNAL_6, NULL, off, WRITER, "no-configuration"},
        {"7.2.22", SIGNAL_6, NULL, off, WRITER, NULL},
        {"10.0.13", SIGNAL_11, NULL, off, WRITER, NULL},
        {"10.0.13", SIGNAL_6, NULL, "migration.send-section-footer=off", WRITER, NULL},
        {"10.0.13", SIGNAL_6, NULL, off, "leave_container\n", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        check_died(state, &rows[i]);
}

static bool is_loaded(const char *id)
{
    for (size_t i = 0; i < G_N_ELEMENTS(loads); i++)
        if (!g_strcmp0(loads[i].id, id))
            return true;
    return false;
}

/* A row that is not in the tests above, or in the table of loads, has no test. */
static void test_all_rows(void **state)
{
    static const char *const others[] = {"tcg-hot-page",
                                         "tcg-block-offset",
                                         "mapped-ram-shared",
                                         "tcg-hot-start",
                                         "tcg-dirty-race",
                                         "ppc64-device-tree",
                                         "suspend-lost",
                                         "recover-setup-event",
                                         "recover-source-crash",
                                         "preempt-late-channel",
                                         "no-configuration",
                                         "cancel-setup-early",
                                         "pre-switchover-stop-lost",
                                         "incoming-no-reason",
                                         "disk-lock-ignored",
                                         "flush-no-reason",
                                         "announce-paused",
                                         "multifd-hang",
                                         "multifd-channel-number",
                                         "inactive-resize",
                                         "cpr-transfer-uri",
                                         "cpr-exec-private",
                                         "cpr-exec-completed",
                                         "colo-abort",
                                         "colo-lost-page",
                                         "colo-monitor",
                                         "colo-return-path",
                                         "colo-stalls-monitor",
                                         "multifd-failed-twice",
                                         "multifd-cancel-hangs",
                                         "multifd-postcopy",
                                         "completion-stalls-monitor",
                                         "tls-handshake-stalls-monitor",
                                         "multifd-level-ignored",
                                         "tcp-port-wraps",
                                         "incoming-stuck",
                                         "no-main-channel",
                                         "postcopy-downtime-uptime",
                                         "device-vmbus",
                                         "device-sd-card-spi",
                                         "device-pci-serial",
                                         "device-isa-vga",
                                         "device-isa-cirrus-vga",
                                         "device-nvme-ns",
                                         "device-stateless",
                                         "device-virtio-blk-cache",
                                         "device-virtio-scsi-sizes",
                                         "device-ehci-reserved",
                                         "device-esp-registers",
                                         "device-dma-status",
                                         "device-hpet-timer",
                                         "device-vmxnet3-mac",
                                         "device-can-irq",
                                         "device-virtio-input-config",
                                         "device-smbus",
                                         "device-hda-status",
                                         "device-interlock",
                                         "device-openpic-mode",
                                         "device-reads-beyond",
                                         "machine-pxa",
                                         "machine-omap",
                                         "device-hv-syndbg",
                                         "device-k230-soc",
                                         "device-pnv-nmmu",
                                         "machine-spi-card",
                                         "snapshot-multifd",
                                         "snapshot-zero-pages",
                                         "riscv-loadvm-time",
                                         "snapshot-background",
                                         "snapshot-colo",
                                         "background-snapshot-resumes",
                                         "background-snapshot-cancel",
                                         "machine-ppc-embedded",
                                         "dirty-rate-tcg",
                                         "dirty-rate-wraps",
                                         "dirty-rate-crash",
                                         "cpu-rv128-registers",
                                         "stream-length-abort",
                                         "discard-crash",
                                         "mapped-ram-page-size",
                                         "mapped-ram-length-abort",
                                         "colo-unasked",
                                         "unplug-unfreed",
                                         "unplug-left-over",
                                         "unplug-left-ports",
                                         "unplug-abort",
                                         "mtree-leak",
                                         NULL};
    const struct godwit_bug *bug;
    size_t rows = 0;
    (void)state;
    for (; (bug = godwit_bug_at(rows)); rows++) {
        if (!is_loaded(bug->id) && !g_strv_contains(others, bug->id))
            fail_msg("no test for %s", bug->id);
        assert_true(*bug->summary && *bug->reference && bug->matches && bug->runs);
        assert_true(bug->strikes == bug->runs || bug->percent);
        assert_true(bug->percent * bug->runs >= 100 * bug->strikes || bug->strikes == bug->runs);
    }
    /* A new row of a bug that has others wants a test of its own. */
    assert_int_equal(rows, 103);
}

/* The set of accepted bugs, and back. */
static void test_accepted(void **state)
{
    struct godwit_bug_set set = {{0}};
    assert_true(godwit_bug_set_parse("suspend-lost,tcg-hot-page", &set, NULL));
    g_autofree char *text = godwit_bug_set_text(&set);
    assert_string_equal(text, "tcg-hot-page,suspend-lost");
    const struct godwit_bug_set empty = {{0}};
    assert_null(godwit_bug_set_text(&empty));
    /* Each bug has a bit of its own. */
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++) {
        struct godwit_bug_set one = {{0}};
        assert_true(godwit_bug_set_parse(bug->id, &one, NULL));
        g_autofree char *id = godwit_bug_set_text(&one);
        assert_string_equal(id, bug->id);
    }
    static const char *const wrong[] = {"", "no-such-bug", "tcg-hot-page,", "tcg-hot-page,x"};
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(godwit_bug_set_parse(wrong[i], &set, &error));
        assert_int_equal(error->code, GODWIT_ERROR_USAGE);
        assert_non_null(strstr(error->message, "aarch64-versions,"));
    }
    g_autofree char *path = g_build_filename(*state, "baseline", NULL);
    g_autofree char *at = g_strconcat("@", path, NULL);
    assert_false(godwit_bug_set_parse(at, &set, NULL));
    assert_true(
        g_file_set_contents(path, "# of ours\n\ncpr-versions # why\n  tcp-port-wraps\n", -1, NULL));
    set = empty;
    assert_true(godwit_bug_set_parse(at, &set, NULL));
    g_autofree char *read = godwit_bug_set_text(&set);
    assert_string_equal(read, "cpr-versions,tcp-port-wraps");
    assert_int_equal(g_unlink(path), 0);
}

/* Lost guests are failures unless accepted; the others with --strict only. */
static void test_verdicts(void **state)
{
    static const struct {
        const char *met, *accepted;
        bool strict;
        const char *failure;
    } rows[] = {
        {"suspend-lost", NULL, false, NULL},
        {"suspend-lost", NULL, true, "suspend-lost"},
        {"suspend-lost", "suspend-lost", true, NULL},
        {"cpr-versions", NULL, false, "cpr-versions"},
        {"cpr-versions", "cpr-versions", false, NULL},
        {"cpr-versions", "aarch64-versions", false, "cpr-versions"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        assert_false(godwit_bug_any_met(pair->testbed));
        assert_null(godwit_bug_unaccepted(pair->testbed));
        godwit_bug_meet(pair->testbed, godwit_bug_find(rows[i].met), "what was seen");
        assert_true(godwit_bug_any_met(pair->testbed));
        assert_true(!rows[i].accepted ||
                    godwit_bug_set_parse(rows[i].accepted, &pair->setup.accepted, NULL));
        pair->setup.strict = rows[i].strict;
        const char *failure = id_of(godwit_bug_unaccepted(pair->testbed));
        if (g_strcmp0(failure, rows[i].failure) != 0)
            fail_msg("row %zu", i);
        fake_pair_free(pair);
    }
}

/* What always strikes is too much for each bug that does not; chance makes it less than one in ten
 * thousand. */
static void test_frequency(void **state)
{
    const struct godwit_bug *bug;
    (void)state;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++) {
        g_autoptr(json_t) measurements = json_pack("{s:[{s:s}]}", "known_bugs", "id", bug->id);
        if (godwit_bug_rare(measurements) != godwit_bug_find(bug->id))
            continue;
        assert_in_range(godwit_bug_repetitions(bug), 3, 25);
        assert_in_range(godwit_bug_too_many(bug), 2, godwit_bug_repetitions(bug));
    }
    assert_int_equal(godwit_bug_repetitions(godwit_bug_find("tcg-dirty-race")), 6);
    assert_int_equal(godwit_bug_too_many(godwit_bug_find("tcg-dirty-race")), 5);
}

/* A downtime is the host's clock's, or it is no known bug. */
static void test_downtime(void **state)
{
    static const struct {
        const char *version, *capability;
        json_int_t ms;
        bool known;
    } rows[] = {
        {"7.2.22", "postcopy-ram", 5000, true},  {"7.2.22", "postcopy-ram", 7000, true},
        {"7.2.22", "postcopy-ram", 4999, false}, {"7.2.22", "postcopy-ram", 7002, false},
        {"7.2.22", "multifd", 6000, false},      {"10.0.13", "postcopy-ram", 6000, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "9.0.0");
        pair->source->vm->capabilities = capabilities_of(rows[i].capability);
        pair->source->vm->migration_began = 5000000;
        const bool known = KNOWN(.kind = GODWIT_SYMPTOM_DOWNTIME, .source = pair->source->vm,
                                 .ms = rows[i].ms, .now = 7000000) != NULL;
        if (known != rows[i].known)
            fail_msg("row %zu", i);
        fake_pair_free(pair);
    }
}

/* Only "running" is what a lost suspend looks like. */
static void test_run_states(void **state)
{
    static const char *const others[] = {"paused",         "internal-error", "io-error",
                                         "guest-panicked", "watchdog",       "shutdown",
                                         "inmigrate",      "postmigrate",    ""};
    struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        assert_false(known_lost_suspend(pair->source->vm, others[i]));
    assert_null(noted(pair));
    assert_true(known_lost_suspend(pair->source->vm, "running"));
    fake_pair_free(pair);
}

/* A guest that was stopped in pre-switchover may arrive running, and in no other run state. */
static void test_stop_lost(void **state)
{
    static const char *const arrived[] = {"paused", "io-error", "shutdown", "suspended", ""};
    struct fake_pair *pair = pair_new(state, "11.1.3", "11.1.3");
    for (size_t i = 0; i < G_N_ELEMENTS(arrived); i++)
        assert_null(KNOWN(.kind = GODWIT_SYMPTOM_STOP_LOST, .source = pair->source->vm,
                          .state = arrived[i]));
    assert_null(noted(pair));
    assert_string_equal(id_of(KNOWN(.kind = GODWIT_SYMPTOM_STOP_LOST, .source = pair->source->vm,
                                    .state = "running")),
                        "pre-switchover-stop-lost");
    fake_pair_free(pair);
}

/* A destination that fails without a reason has printed that very line, and is not older. */
static void test_no_reason(void **state)
{
    static const struct {
        const char *version, *printed;
        bool known;
    } rows[] = {
        {"11.1.3", "qemu-system-x86_64: unknown channel magic: 1364022861", true},
        {"11.1.3", "/a/qemu-system-s390x: unknown channel magic: 0", true},
        {"11.1.3", "qemu-system-x86_64: unknown channel magic: none", false},
        {"11.1.3", "qemu-system-x86_64: unknown channel magic: 1, and more", false},
        {"11.1.3", "qemu-system-x86_64: Not a migration stream", false},
        {"11.1.3", "", false},
        {"10.0.13", "qemu-system-x86_64: unknown channel magic: 1364022861", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", rows[i].version);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_NO_REASON, .vm = pair->destination->vm,
                                     .text = rows[i].printed));
        if (g_strcmp0(id, rows[i].known ? "incoming-no-reason" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        fake_pair_free(pair);
    }
}

/* Destinations that do not refuse a stream. The signal, what is wrong with the stream and, for a
 * length, QEMU's line are all needed. */
static void test_streams(void **state)
{
    static const char allocate[] = "qemu-system-x86_64: GLib: ../../../glib/gmem.c:106: failed to "
                                   "allocate 18446744073709551615 "
                                   "bytes\n";
    static const struct {
        const char *version, *text, *printed;
        int status;
        const char *id;
    } rows[] = {
        {"10.0.13", "a machine's name of 4 GiB", allocate, SIGTRAP, "stream-length-abort"},
        {"7.2.22", "4 Gi of capabilities", allocate, SIGTRAP, "stream-length-abort"},
        {"11.1.3", "a machine's name of 4 GiB", allocate, SIGTRAP, NULL},
        {"10.0.13", "a machine's name of 4 GiB", allocate, SIGABRT, NULL},
        {"10.0.13", "a machine's name of 4 GiB", "", SIGTRAP, NULL},
        {"11.1.3", "RAM_DISCARD beyond its RAM block", "", SIGSEGV, "discard-crash"},
        {"11.1.3", "RAM_DISCARD beyond its RAM block", "", SIGABRT, NULL},
        {"11.1.3", "RAM_DISCARD of half a page", "", SIGSEGV, NULL},
        {"10.0.13", "a header with pages of no bytes", "", SIGFPE, "mapped-ram-page-size"},
        {"10.0.13", "a header with pages of no bytes", "", SIGSEGV, NULL},
        {"10.0.13", "a header with pages of 1 TiB", "", SIGFPE, NULL},
        {"11.1.3", "a header with pages of no bytes", "", SIGFPE, NULL},
        {"11.1.3", "a RAM block of 1 EiB", allocate, SIGTRAP, "mapped-ram-length-abort"},
        {"10.0.13", "a RAM block of 1 EiB", allocate, SIGTRAP, "mapped-ram-length-abort"},
        {"10.0.13", "a RAM block of 1 EiB", "", SIGTRAP, NULL},
        {"10.0.13", "a RAM block of 2 TiB", allocate, SIGTRAP, NULL},
        {"7.2.22", "ENABLE_COLO without x-colo", "", SIGSEGV, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm vm = ended(state, pair, rows[i].status, rows[i].printed);
        const char *id =
            id_of(KNOWN(.kind = GODWIT_SYMPTOM_STREAM, .vm = &vm, .text = rows[i].text));
        if (g_strcmp0(id, rows[i].id) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A paused destination that runs its guest without its disk. The line alone shows that the disk is
 * locked. */
static void test_lock_ignored(void **state)
{
    static const struct {
        const char *version, *line;
        bool known;
    } rows[] = {
        {"7.2.22", "Failed to get shared \"write\" lock", true},
        {"7.2.22", "qemu-system-x86_64: Failed to get \"write\" lock", true},
        {"7.2.22", "Failed to get \"consistent read\" lock", false},
        {"7.2.22", "no: Failed to get \"write\" lock", false},
        {"7.2.22", "Failed to get \"write\" lock, and more", false},
        {"10.0.13", "Failed to get shared \"write\" lock", false},
        {"11.1.3", "qemu-system-x86_64: Failed to get \"write\" lock", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "11.1.3", rows[i].version);
        struct godwit_vm vm = ended(state, pair, RUNS, rows[i].line);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_LOCKED, .vm = &vm));
        if (g_strcmp0(id, rows[i].known ? "disk-lock-ignored" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A source that fails without a reason, after it has stopped its guest and run it again. */
static void test_flush_no_reason(void **state)
{
    static const struct {
        const char *version, *first, *second, *reported;
        bool known;
    } rows[] = {
        {"7.2.22", "STOP", "RESUME", "failed", true},
        {"7.2.22", "STOP", "STOP", "failed", false},
        {"7.2.22", "RESUME", "STOP", "failed", false},
        {"7.2.22", "STOP", "RESUME", "cancelled", false},
        {"10.0.13", "STOP", "RESUME", "failed", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "7.2.22");
        struct godwit_vm *vm = pair->source->vm;
        g_ptr_array_add(vm->qmp->events, json_pack("{s:s}", "event", rows[i].first));
        g_ptr_array_add(vm->qmp->events, json_pack("{s:s}", "event", rows[i].second));
        g_ptr_array_add(vm->qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data",
                                                   "status", rows[i].reported));
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNFLUSHED, .source = vm));
        if (g_strcmp0(id, rows[i].known ? "flush-no-reason" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        fake_pair_free(pair);
    }
}

/* Announcements that were due while a guest that arrived paused stood. Nothing else is early by
 * that bug: not what was due later, and not what another destination sends. */
static void test_announce_paused(void **state)
{
    static const struct {
        const char *argument;
        json_int_t paused;
        uint64_t due;
        bool known;
    } rows[] = {
        {"-S", 400, 60, true},         {"-S", 60, 60, true},  {"-S", 59, 60, false},
        {"-S", 0, 60, false},          {"-S", -1, 60, false}, {"-S", -1, UINT64_MAX, false},
        {"-incoming", 400, 60, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", "10.0.13");
        struct godwit_vm vm = *pair->destination->vm;
        vm.arguments = g_ptr_array_new();
        g_ptr_array_add(vm.arguments, (gpointer)(uintptr_t)rows[i].argument);
        g_ptr_array_add(vm.arguments, NULL);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_ANNOUNCED, .vm = &vm,
                                     .ms = rows[i].paused, .last = rows[i].due, .text = "early"));
        if (g_strcmp0(id, rows[i].known ? "announce-paused" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        g_ptr_array_unref(vm.arguments);
        fake_pair_free(pair);
    }
}

#define NO_CHANNEL "ERROR:migration/cpr.c:267:cpr_state_save: assertion failed: (channel)\n"

/* That assertion, by a source that it has ended, in a version that has it. */
static void test_cpr_uri(void **state)
{
    static const struct {
        const char *version, *text;
        int number;
        bool known;
    } rows[] = {
        {"11.1.3", "**\n" NO_CHANNEL, 6, true},
        {"11.1.3", NO_CHANNEL, 11, false},
        {"11.1.3", "ERROR:migration/cpr.c:9:cpr_state_load: assertion failed: (channel)\n", 6,
         false},
        {"11.1.3", "no " NO_CHANNEL, 6, false},
        {"11.1.3", "", 6, false},
        {"10.0.13", NO_CHANNEL, 6, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "11.1.3");
        struct godwit_vm vm = killed(state, pair, "source", rows[i].number, rows[i].text);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_NO_CPR_CHANNEL, .source = &vm));
        if (g_strcmp0(id, rows[i].known ? "cpr-transfer-uri" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        godwit_drain_free(vm.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "source.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* RAM that is not in the stream, in that mode only. */
static void test_cpr_private(void **state)
{
    static const struct {
        const char *version, *mode;
        uint64_t sent;
        bool known;
    } rows[] = {
        {"11.1.3", "cpr-exec", 77151, true},
        {"11.1.3", "cpr-exec", 2 << 20, false},
        {"11.1.3", "cpr-transfer", 77151, false},
        {"10.0.13", "cpr-exec", 77151, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "11.1.3");
        const char *id =
            id_of(KNOWN(.kind = GODWIT_SYMPTOM_PRIVATE_RAM, .source = pair->source->vm,
                        .state = rows[i].mode, .first = rows[i].sent, .last = 16 << 20));
        if (g_strcmp0(id, rows[i].known ? "cpr-exec-private" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        fake_pair_free(pair);
    }
}

#define NO_PROGRAM "qemu-system-x86_64: execvp /none failed: No such file or directory\n"

/* A failure that is undone, with that reason. */
static void test_cpr_completed(void **state)
{
    static const struct {
        const char *version, *from, *to, *text;
        bool known;
    } rows[] = {
        {"11.1.3", "completed", "failed", NO_PROGRAM, true},
        {"11.1.3", "completed", "failed", "execvp\n", false},
        {"11.1.3", "completed", "active", NO_PROGRAM, false},
        {"11.1.3", "cancelled", "failed", NO_PROGRAM, false},
        {"10.0.13", "completed", "failed", NO_PROGRAM, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "11.1.3");
        struct godwit_vm vm = killed(state, pair, "source", 0, rows[i].text);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_STATE_UNDONE, .vm = &vm,
                                     .state = rows[i].from, .next = rows[i].to));
        if (g_strcmp0(id, rows[i].known ? "cpr-exec-completed" : NULL) != 0)
            fail_msg("row %zu is taken for %s", i, id ? id : "nothing");
        godwit_drain_free(vm.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "source.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* A source that still waits for a destination that does not know better. */
static void test_multifd_postcopy(void **state)
{
    static const struct {
        const char *source, *destination, *state, *capabilities;
        bool known;
    } rows[] = {
        {"11.1.3", "7.2.22", "postcopy-active", "multifd,postcopy-ram", true},
        {"11.1.3", "7.2.22", "postcopy-active", "postcopy-ram", false},
        {"11.1.3", "7.2.22", "active", "multifd,postcopy-ram", false},
        {"7.2.22", "7.2.22", "postcopy-active", "multifd,postcopy-ram", false},
        {"11.1.3", "11.1.3", "postcopy-active", "multifd,postcopy-ram", false},
        {"7.2.22", "11.1.3", "postcopy-active", "multifd,postcopy-ram", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].source, rows[i].destination);
        pair->source->vm->capabilities = capabilities_of(rows[i].capabilities);
        const bool known =
            KNOWN(.kind = GODWIT_SYMPTOM_NO_END, .source = pair->source->vm,
                  .destination = pair->destination->vm, .state = rows[i].state) != NULL;
        if (known != rows[i].known)
            fail_msg("row %zu", i);
        fake_pair_free(pair);
    }
}

/* Only when all but the end of the migration is over. */
static void test_stalled_completion(void **state)
{
    static const struct {
        const char *state;
        int passes;
        bool known;
    } rows[] = {
        {"device", 0, true}, {"device", 3, true},     {"active", 0, false}, {"active", 2, false},
        {"active", 3, true}, {"completed", 3, false}, {NULL, 0, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "11.1.3", "7.2.22");
        GPtrArray *events = pair->source->vm->qmp->events;
        if (rows[i].state)
            g_ptr_array_add(events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data",
                                              "status", rows[i].state));
        for (int pass = 1; pass <= rows[i].passes; pass++)
            g_ptr_array_add(events, json_pack("{s:s, s:{s:i}}", "event", "MIGRATION_PASS", "data",
                                              "pass", pass));
        assert_int_equal(known_stalled_completion(pair->source->vm), rows[i].known);
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
        fake_pair_free(pair);
    }
}

/* Only a cancellation that does not come to its end. */
static void test_cancel_hangs(void **state)
{
    struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
    assert_false(known_multifd_cancel(pair->source->vm, "cancelling"));
    pair->source->vm->capabilities = capabilities_of("multifd");
    assert_false(known_multifd_cancel(pair->source->vm, "cancelled"));
    assert_true(known_multifd_cancel(pair->source->vm, "cancelling"));
    assert_true(known_multifd_cancel(pair->source->vm, "failed"));
    assert_false(known_multifd_cancel(pair->source->vm, "active"));
    assert_false(known_multifd_cancel(pair->source->vm, NULL));
    fake_pair_free(pair);
    pair = pair_new(state, "10.0.13", "11.1.3");
    pair->source->vm->capabilities = capabilities_of("multifd");
    assert_true(known_multifd_cancel(pair->source->vm, "cancelling"));
    fake_pair_free(pair);
    pair = pair_new(state, "11.1.3", "7.2.22");
    pair->source->vm->capabilities = capabilities_of("multifd");
    assert_false(known_multifd_cancel(pair->source->vm, "cancelling"));
    fake_pair_free(pair);
}

/* Only the abort of QEMU's own check, after this command, before 10.0. */
static void test_inactive_resize(void **state)
{
    static const char check[] = "qemu: io.c:1: f: Assertion `!(bs->open_flags & "
                                "BDRV_O_INACTIVE)' failed.\n";
    static const struct {
        const char *version, *command, *said;
        int status;
        bool known;
    } rows[] = {
        {"7.2.22", "block_resize", check, SIGNAL_6, true},
        {"7.2.22", "block_resize", "another\n", SIGNAL_6, false},
        {"7.2.22", "block_resize", check, SIGNAL_11, false},
        {"7.2.22", "block-stream", check, SIGNAL_6, false},
        {"10.0.13", "block_resize", check, SIGNAL_6, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "7.2.22");
        struct godwit_vm vm = ended(state, pair, rows[i].status, rows[i].said);
        vm.qemu = &pair->source_qemu;
        const char *id =
            id_of(KNOWN(.kind = GODWIT_SYMPTOM_INACTIVE, .source = &vm, .text = rows[i].command));
        if (g_strcmp0(id, rows[i].known ? "inactive-resize" : NULL) != 0)
            fail_msg("row %zu", i);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* A rate of exactly 0, and only by dirty-bitmap under TCG; any version. */
static void test_dirty_rate(void **state)
{
    struct fake_pair *pair = pair_new(state, "11.1.3", "11.1.3");
    struct godwit_vm *vm = pair->source->vm;
    static const struct {
        const char *mode, *accel;
        int rate;
        bool known;
    } rows[] = {
        {"dirty-bitmap", "tcg", 0, true},
        {"dirty-bitmap", "tcg", 1, false},
        {"page-sampling", "tcg", 0, false},
        {"dirty-bitmap", "kvm", 0, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        pair->setup.accel = rows[i].accel;
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_DIRTY_RATE, .vm = vm,
                                     .text = rows[i].mode, .ms = rows[i].rate));
        if (g_strcmp0(id, rows[i].known ? "dirty-rate-tcg" : NULL) != 0)
            fail_msg("row %zu", i);
    }
    fake_pair_free(pair);
}

/* Only seconds whose thousandfold does not fit, and not before 10.0. */
static void test_dirty_rate_wraps(void **state)
{
    static const struct {
        const char *version;
        json_int_t seconds;
        bool known;
    } rows[] = {
        {"10.0.13", G_GINT64_CONSTANT(18446744073709552), true},
        {"11.1.3", G_GINT64_CONSTANT(-9223372036854775807), true},
        {"11.1.3", G_GINT64_CONSTANT(9223372036854775), false},
        {"11.1.3", 61, false},
        {"7.2.22", G_GINT64_CONSTANT(18446744073709552), false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_DIRTY_RATE_TIME, .vm = pair->source->vm,
                                     .ms = rows[i].seconds));
        if (g_strcmp0(id, rows[i].known ? "dirty-rate-wraps" : NULL) != 0)
            fail_msg("row %zu", i);
        fake_pair_free(pair);
    }
}

/* Only SIGSEGV, by the two modes that ask for a dirty ring, on x86 before 10.0 under TCG. */
static void test_dirty_rate_crash(void **state)
{
    static const struct {
        const char *version, *arch, *accel, *mode;
        int status;
        bool known;
    } rows[] = {
        {"7.2.22", "x86_64", "tcg", "dirty-bitmap", SIGNAL_11, true},
        {"7.2.22", "i386", "tcg", "dirty-ring", SIGNAL_11, true},
        {"7.2.22", "s390x", "tcg", "dirty-ring", SIGNAL_11, false},
        {"7.2.22", "x86_64", "kvm", "dirty-ring", SIGNAL_11, false},
        {"7.2.22", "x86_64", "tcg", "page-sampling", SIGNAL_11, false},
        {"7.2.22", "x86_64", "tcg", "dirty-bitmap", SIGNAL_6, false},
        {"10.0.13", "x86_64", "tcg", "dirty-bitmap", SIGNAL_11, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_machine machine = *pair->setup.machine;
        machine.arch = rows[i].arch;
        pair->setup.machine = &machine;
        pair->setup.accel = rows[i].accel;
        struct godwit_vm vm = ended(state, pair, rows[i].status, "");
        const char *id =
            id_of(KNOWN(.kind = GODWIT_SYMPTOM_DIRTY_RATE_DIED, .vm = &vm, .text = rows[i].mode));
        if (g_strcmp0(id, rows[i].known ? "dirty-rate-crash" : NULL) != 0)
            fail_msg("row %zu", i);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* Only a multifd destination before 11.1, and only if a channel's number was changed. */
static void test_channel_number(void **state)
{
    static const struct {
        const char *version, *capability, *text;
        int status;
        bool known;
    } rows[] = {
        {"7.2.22", "multifd", "channel number", 11, true},
        {"10.0.13", "multifd", "channel number", 11, true},
        {"11.1.3", "multifd", "channel number", 11, false},
        {"10.0.13", "xbzrle", "channel number", 11, false},
        {"10.0.13", "multifd", NULL, 11, false},
        {"10.0.13", "multifd", "channel number", 6, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", rows[i].version);
        struct godwit_vm vm = ended(state, pair, rows[i].status, "");
        vm.capabilities = capabilities_of(rows[i].capability);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_LOAD, .source = pair->source->vm,
                                     .destination = &vm, .text = rows[i].text));
        if (g_strcmp0(id, rows[i].known ? "multifd-channel-number" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        json_decref(vm.capabilities);
        end_stderr(state, &vm);
        fake_pair_free(pair);
    }
}

/* Only a multifd destination that has not ended. */
static void test_multifd_hang(void **state)
{
    struct fake_pair *pair = pair_new(state, "7.2.22", "11.1.3");
    struct godwit_vm *destination = pair->destination->vm;
    pair->source->vm->capabilities = capabilities_of("multifd");
    assert_null(KNOWN(.kind = GODWIT_SYMPTOM_STUCK, .destination = destination));
    destination->capabilities = capabilities_of("multifd");
    assert_string_equal(id_of(KNOWN(.kind = GODWIT_SYMPTOM_STUCK, .destination = destination)),
                        "multifd-hang");
    destination->exited = true;
    assert_null(KNOWN(.kind = GODWIT_SYMPTOM_STUCK, .destination = destination));
    destination->exited = false;
    fake_pair_free(pair);
}

/* A QEMU with multifd that a wild pointer has killed, before 10.2. */
static void test_snapshot_multifd(void **state)
{
    static const struct {
        const char *version, *capability;
        int signal;
        bool known;
    } rows[] = {
        {"7.2.22", "multifd", 11, true},  {"10.0.13", "multifd", 11, true},
        {"10.1.9", "multifd", 11, true},  {"10.2.0", "multifd", 11, false},
        {"11.1.3", "multifd", 11, false}, {"10.0.13", "multifd", 6, false},
        {"10.0.13", "xbzrle", 11, false}, {"10.0.13", "multifd", 0, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        const struct godwit_vm vm = {.testbed = pair->testbed,
                                     .name = (char *)(uintptr_t) "source",
                                     .qemu = pair->source->vm->qemu,
                                     .capabilities = capabilities_of(rows[i].capability),
                                     .exited = rows[i].signal != 0,
                                     .wait_status = rows[i].signal};
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_SNAPSHOT, .vm = &vm));
        if (g_strcmp0(id, rows[i].known ? "snapshot-multifd" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        json_decref(vm.capabilities);
        fake_pair_free(pair);
    }
}

/* One assertion, with x-colo. */
static void test_snapshot_colo(void **state)
{
#define DIRTY_LOG                                                                                  \
    "qemu-x: system/memory.c:2912: memory_global_dirty_log_do_stop: Assertion `(x & y) == y' "     \
    "failed."
    static const struct {
        const char *version, *capability, *said;
        int signal;
        bool known;
    } rows[] = {
        {"11.1.3", "x-colo", DIRTY_LOG, SIGABRT, true},
        {"10.0.13", "x-colo", DIRTY_LOG, SIGABRT, false},
        {"11.1.3", "x-colo", DIRTY_LOG, SIGSEGV, false},
        {"11.1.3", "return-path", DIRTY_LOG, SIGABRT, false},
        {"11.1.3", "x-colo", "qemu-x: other: Assertion `x' failed.", SIGABRT, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm vm = killed(state, pair, "source", rows[i].signal, rows[i].said);
        vm.capabilities = capabilities_of(rows[i].capability);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_SNAPSHOT, .vm = &vm));
        if (g_strcmp0(id, rows[i].known ? "snapshot-colo" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        json_decref(vm.capabilities);
        godwit_drain_free(vm.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "source.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* One assertion, of one version and architecture, with that capability. */
static void test_snapshot_background(void **state)
{
#define RANGE                                                                                      \
    "qemu-x: system/physmem.c:864: tlb_reset_dirty_range_all: Assertion `block == x' failed."
    static const struct {
        const char *version, *arch, *capability, *said;
        bool known;
    } rows[] = {
        {"10.0.13", "aarch64", "background-snapshot", RANGE, true},
        {"7.2.22", "aarch64", "background-snapshot", RANGE, false},
        {"11.1.3", "aarch64", "background-snapshot", RANGE, false},
        {"10.0.13", "riscv64", "background-snapshot", RANGE, true},
        {"10.0.13", "aarch64", "multifd", RANGE, false},
        {"10.0.13", "aarch64", "background-snapshot", "qemu-x: other: Assertion `x' failed.",
         false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm vm = killed(state, pair, "source", 6, rows[i].said);
        vm.capabilities = capabilities_of(rows[i].capability);
        pair->machine.arch = rows[i].arch;
        pair->setup.accel = "tcg";
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_SNAPSHOT, .vm = &vm));
        if (g_strcmp0(id, rows[i].known ? "snapshot-background" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        json_decref(vm.capabilities);
        godwit_drain_free(vm.errors);
        fake_pair_free(pair);
    }
    g_autofree char *path = g_build_filename(*state, "source.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* A timer that goes back, on riscv64 and before 11.0. */
static void test_loadvm_time(void **state)
{
    static const struct {
        const char *version, *arch;
        bool known;
    } rows[] = {
        {"7.2.22", "riscv64", true},  {"10.0.13", "riscv64", true}, {"11.0.0", "riscv64", false},
        {"11.1.3", "riscv64", false}, {"10.0.13", "x86_64", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        pair->setup.machine = godwit_machine_find(rows[i].arch);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_BACK, .vm = pair->source->vm));
        if (g_strcmp0(id, rows[i].known ? "riscv-loadvm-time" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        fake_pair_free(pair);
    }
}

/* A paused guest that runs, and one that stands still, in 7.2 only. */
static void test_background(void **state)
{
    static const char *const numbers[] = {"7.2.22", "10.0.13"};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        struct fake_pair *pair = pair_new(state, numbers[i], numbers[i]);
        struct godwit_vm *vm = pair->source->vm;
        g_autoptr(GError) late = g_error_new(GODWIT_ERROR, GODWIT_ERROR_TIMEOUT, "late");
        g_autoptr(GError) wrong = g_error_new(GODWIT_ERROR, GODWIT_ERROR_ORACLE, "wrong");
        json_t *event =
            json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data", "status", "cancelled");
#define UNPAUSED(now) id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNPAUSED, .source = vm, .state = (now)))
#define STANDS(why)   id_of(KNOWN(.kind = GODWIT_SYMPTOM_STANDS, .source = vm, .failure = (why)))
        assert_null(UNPAUSED("running"));
        vm->capabilities = capabilities_of("background-snapshot");
        assert_null(UNPAUSED("paused"));
        assert_null(STANDS(late));
        g_ptr_array_add(vm->qmp->events, event);
        assert_null(STANDS(wrong));
        if (i == 0) {
            assert_string_equal(UNPAUSED("running"), "background-snapshot-resumes");
            assert_string_equal(STANDS(late), "background-snapshot-cancel");
        } else {
            assert_null(UNPAUSED("running"));
            assert_null(STANDS(late));
        }
        fake_pair_free(pair);
    }
}

/* A source whose background snapshot was cancelled, and which cannot release a page. */
static void test_protected(void **state)
{
#define PROTECTED "qemu-system-x: uffd_change_protection() failed: addr=0x7fb0 len=4096 mode=0 "
    static const struct {
        const char *version, *event, *said;
        bool known;
    } rows[] = {
        {"7.2.22", "cancelled", PROTECTED "errno=25", true},
        {"7.2.22", "cancelled", PROTECTED "errno=22", false},
        {"7.2.22", "cancelled", "qemu-system-x: something else", false},
        {"7.2.22", "completed", PROTECTED "errno=25", false},
        {"10.0.13", "cancelled", PROTECTED "errno=25", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm source = ended(state, pair, 0, rows[i].said);
        source.qemu = pair->source->vm->qemu;
        source.qmp = pair->source->vm->qmp;
        source.exited = false;
        g_ptr_array_add(source.qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION",
                                                      "data", "status", rows[i].event));
        const struct godwit_bug *bug = KNOWN(.kind = GODWIT_SYMPTOM_LOAD, .source = &source,
                                             .destination = pair->destination->vm);
        if (g_strcmp0(id_of(bug), rows[i].known ? "background-snapshot-cancel" : NULL) != 0)
            fail_msg("row %zu: %s", i, id_of(bug));
        end_stderr(state, &source);
        fake_pair_free(pair);
    }
}

/* A migration into a file fails with a certain reason, with two capabilities on. */
static void test_mapped_shared(void **state)
{
#define REASON "Unable to write to file: Bad address"
    static const struct {
        const char *version, *capabilities, *reason;
        bool known;
    } rows[] = {
        {"10.0.13", "mapped-ram,x-ignore-shared", REASON, true},
        {"9.0.0", "mapped-ram,x-ignore-shared", REASON, true},
        {"8.2.7", "mapped-ram,x-ignore-shared", REASON, false},
        {"11.1.3", "mapped-ram,x-ignore-shared", REASON, false},
        {"10.0.13", "mapped-ram", REASON, false},
        {"10.0.13", "x-ignore-shared", REASON, false},
        {"10.0.13", "mapped-ram,x-ignore-shared", REASON " ", false},
        {"10.0.13", "mapped-ram,x-ignore-shared", "", false},
    };
#undef REASON
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, "10.0.13");
        struct godwit_vm *vm = pair->source->vm;
        vm->capabilities = capabilities_of(rows[i].capabilities);
        const char *id = id_of(
            KNOWN(.kind = GODWIT_SYMPTOM_MAPPED_SHARED, .source = vm, .text = rows[i].reason));
        if (g_strcmp0(id, rows[i].known ? "mapped-ram-shared" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        fake_pair_free(pair);
    }
}

/* Pages that were zero are not, and nothing else differs. */
static void test_uncleared(void **state)
{
    enum { ZERO = PAIR_RAM - 0x1000 };
    static const struct {
        const char *version, *capability;
        unsigned char saved, loaded; /* first byte of a page */
        bool elsewhere;              /* another page differs, too, which was not zero */
        bool known;
    } rows[] = {
        {"11.1.3", "mapped-ram", 0, 7, false, true},   {"12.0.0", "mapped-ram", 0, 7, false, true},
        {"10.0.13", "mapped-ram", 0, 7, false, false}, {"11.1.3", "multifd", 0, 7, false, false},
        {"11.1.3", "mapped-ram", 6, 7, false, false},  {"11.1.3", "mapped-ram", 6, 0, false, false},
        {"11.1.3", "mapped-ram", 0, 7, true, false},   {"11.1.3", "mapped-ram", 0, 0, false, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        pair->destination->vm->capabilities = capabilities_of(rows[i].capability);
        memset(pair->source->memory + ZERO, 0, 0x1000);
        memset(pair->destination->memory + ZERO, 0, 0x1000);
        pair->source->memory[ZERO] = rows[i].saved;
        pair->destination->memory[ZERO] = rows[i].loaded;
        pair->source->memory[ZERO - 1] = 1;
        pair->destination->memory[ZERO - 1] = rows[i].elsewhere ? 2 : 1;
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_UNCLEARED, .source = pair->source->vm,
                                     .destination = pair->destination->vm));
        if (g_strcmp0(id, rows[i].known ? "snapshot-zero-pages" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        fake_pair_free(pair);
    }
}

/* A COLO primary that does not answer, a pair that is not made, a mailbox that is out of date. */
static void test_colo(void **state)
{
    static const struct {
        const char *version, *capabilities, *state, *event, *silent;
    } rows[] = {
        {"10.0.13", "x-colo", "colo", "RESUME", "colo-monitor"},
        {"7.2.22", "x-colo", "colo", "STOP", "colo-monitor"},
        {"11.1.3", "x-colo", "colo", "RESUME", NULL},
        {"10.0.13", "x-colo", "completed", "RESUME", NULL},
        {"11.1.3", "x-colo,return-path", "colo", "STOP", "colo-stalls-monitor"},
        {"11.1.3", "x-colo,return-path", "colo", "RESUME", NULL},
        {"11.1.3", "x-colo,return-path", "completed", "STOP", NULL},
        {"10.0.13", "x-colo,return-path", "colo", "STOP", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm *vm = pair->source->vm;
        pair->setup.accel = "tcg";
        vm->capabilities = capabilities_of(rows[i].capabilities);
        g_ptr_array_add(vm->qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data",
                                                   "status", rows[i].state));
        g_ptr_array_add(vm->qmp->events, json_pack("{s:s}", "event", rows[i].event));
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_NO_ANSWER, .source = vm));
        if (g_strcmp0(id, rows[i].silent) != 0)
            fail_msg("row %zu: %s", i, id);
        id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_COLO_STALE, .source = vm,
                         .destination = pair->destination->vm, .text = "a mailbox that is"));
        const char *lost = id_of(KNOWN(.kind = GODWIT_SYMPTOM_COLO_LOST, .source = vm,
                                       .destination = pair->destination->vm, .text = "page 1"));
        if (g_strcmp0(id, rows[i].version[0] == '1' && rows[i].version[1] == '1' ? "tcg-hot-start"
                                                                                 : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        if (g_strcmp0(lost, g_str_has_prefix(rows[i].version, "11") ? "colo-lost-page" : NULL) != 0)
            fail_msg("row %zu: %s", i, lost);
        fake_pair_free(pair);
    }
}

/* Only while the source waits for the handshake. */
static void test_stalled_handshake(void **state)
{
    static const struct {
        const char *state, *waits;
        const char *id;
    } rows[] = {
        {"setup", "TLS handshake", "tls-handshake-stalls-monitor"},
        {"active", "TLS handshake", NULL},
        {"setup", "something else", NULL},
        {"setup", NULL, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "11.1.3", "7.2.22");
        g_ptr_array_add(
            pair->source->vm->qmp->events,
            json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data", "status", rows[i].state));
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_NO_ANSWER, .source = pair->source->vm,
                                     .text = rows[i].waits));
        if (g_strcmp0(id, rows[i].id) != 0)
            fail_msg("row %zu: %s", i, id);
        fake_pair_free(pair);
    }
}

static void test_colo_failed(void **state)
{
#define INVALID "Received invalid message 0x0000 length 0x0000"
    static const struct {
        const char *version, *here, *there, *said;
        bool known;
    } rows[] = {
        {"7.2.22", "failed", "colo", "qemu-system-x: RP: " INVALID, true},
        {"10.0.13", "failed", "colo", "qemu-system-x: " INVALID, true},
        {"11.1.3", "failed", "colo", "qemu-system-x: " INVALID, false},
        {"10.0.13", "failed", "active", "qemu-system-x: " INVALID, false},
        {"10.0.13", "cancelled", "colo", "qemu-system-x: " INVALID, false},
        {"10.0.13", "failed", "colo", "qemu-system-x: something else", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm source = ended(state, pair, 0, rows[i].said);
        g_autoptr(GError) why = g_error_new(GODWIT_ERROR, GODWIT_ERROR_MIGRATION, "it ended");
        g_autoptr(GError) late = g_error_new(GODWIT_ERROR, GODWIT_ERROR_TIMEOUT, "late");
        struct godwit_vm *destination = pair->destination->vm;
        source.qemu = pair->source->vm->qemu;
        source.qmp = pair->source->vm->qmp;
        source.exited = false;
        source.capabilities = capabilities_of("x-colo,return-path");
        g_ptr_array_add(source.qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION",
                                                      "data", "status", rows[i].here));
        g_ptr_array_add(destination->qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION",
                                                            "data", "status", rows[i].there));
#define FAILED(cause)                                                                              \
    id_of(KNOWN(.kind = GODWIT_SYMPTOM_COLO, .source = &source, .destination = destination,        \
                .failure = (cause)))
        if (g_strcmp0(FAILED(why), rows[i].known ? "colo-return-path" : NULL) != 0)
            fail_msg("row %zu: %s", i, FAILED(why));
        assert_null(FAILED(late));
        json_decref(source.capabilities);
        end_stderr(state, &source);
        fake_pair_free(pair);
    }
}

/* A COLO secondary that has aborted. */
static void test_colo_abort(void **state)
{
#define COLO_LINE(what) "qemu-system-x: system/physmem.c:872: " what
#define COLO_RANGE                                                                                 \
    "tlb_reset_dirty_range_all: Assertion `block == qemu_get_ram_block(end - 1)' failed."
    static const struct {
        const char *version;
        int status;
        const char *capabilities, *said;
        bool known;
    } rows[] = {
        {"11.1.3", SIGABRT, "x-colo", COLO_LINE(COLO_RANGE), true},
        {"10.0.13", SIGABRT, "x-colo", COLO_LINE(COLO_RANGE), true},
        {"7.2.22", SIGABRT, "x-colo", COLO_LINE(COLO_RANGE), false},
        {"11.1.3", SIGSEGV, "x-colo", COLO_LINE(COLO_RANGE), false},
        {"11.1.3", SIGABRT, "return-path", COLO_LINE(COLO_RANGE), false},
        {"11.1.3", SIGABRT, "x-colo", COLO_LINE("other: Assertion `x' failed."), false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].version, rows[i].version);
        struct godwit_vm destination = ended(state, pair, rows[i].status, rows[i].said);
        g_autoptr(GError) died = g_error_new(GODWIT_ERROR, GODWIT_ERROR_CRASH, "it died");
        pair->setup.accel = "tcg";
        destination.qemu = pair->source->vm->qemu;
        destination.capabilities = capabilities_of(rows[i].capabilities);
        const char *id = id_of(KNOWN(.kind = GODWIT_SYMPTOM_COLO, .source = pair->source->vm,
                                     .destination = &destination, .failure = died));
        if (g_strcmp0(id, rows[i].known ? "colo-abort" : NULL) != 0)
            fail_msg("row %zu: %s", i, id);
        json_decref(destination.capabilities);
        end_stderr(state, &destination);
        fake_pair_free(pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_hot_start),
        cmocka_unit_test(test_block_offset),
        cmocka_unit_test(test_mapped_shared),
        cmocka_unit_test(test_uncleared),
        cmocka_unit_test(test_accelerators),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_earlier),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_stale_window),
        cmocka_unit_test(test_stalled_completion),
        cmocka_unit_test(test_stalled_handshake),
        cmocka_unit_test(test_multifd_hang),
        cmocka_unit_test(test_channel_number),
        cmocka_unit_test(test_inactive_resize),
        cmocka_unit_test(test_multifd_postcopy),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_failed_twice),
        cmocka_unit_test(test_setup_event),
        cmocka_unit_test(test_early_cancel),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_virtio_config),
        cmocka_unit_test(test_hda_status),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_interlock),
        cmocka_unit_test(test_spi_board),
        cmocka_unit_test(test_plugging),
        cmocka_unit_test(test_unplugging),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_unplug_remains),
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_loads),
        cmocka_unit_test(test_cold_serial),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_source_died),
        cmocka_unit_test(test_late_channel),
        cmocka_unit_test(test_no_configuration),
        cmocka_unit_test(test_refused_snapshot),
        cmocka_unit_test(test_all_rows),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_frequency),
        cmocka_unit_test(test_downtime),
        cmocka_unit_test(test_run_states),
        cmocka_unit_test(test_stop_lost),
        cmocka_unit_test(test_no_reason),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_lock_ignored),
        cmocka_unit_test(test_flush_no_reason),
        cmocka_unit_test(test_announce_paused),
        cmocka_unit_test(test_cpr_uri),
        cmocka_unit_test(test_cpr_private),
        cmocka_unit_test(test_cpr_completed),
        cmocka_unit_test(test_cancel_hangs),
        cmocka_unit_test(test_dirty_rate),
        cmocka_unit_test(test_dirty_rate_wraps),
        cmocka_unit_test(test_dirty_rate_crash),
        cmocka_unit_test(test_snapshot_multifd),
        cmocka_unit_test(test_snapshot_background),
        cmocka_unit_test(test_snapshot_colo),
        cmocka_unit_test(test_loadvm_time),
        cmocka_unit_test(test_background),
        cmocka_unit_test(test_protected),
        cmocka_unit_test(test_colo),
        cmocka_unit_test(test_colo_failed),
        cmocka_unit_test(test_colo_abort),
    };
    return cmocka_run_group_tests_name("known bugs", tests, unit_folder, unit_folder_end);
}
