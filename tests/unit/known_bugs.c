/*
 * Known bugs of QEMU: what is taken for one of them, and that nothing beside that is.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/known_bugs.h"

#include "fake_pair.h"

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
    return godwit_known_stale_page(pair->source->vm, pair->destination->vm, ram, first, last,
                                   "what was seen");
}

static const json_t *noted(const struct fake_pair *pair)
{
    return json_object_get(pair->rig->facts, "known_bugs");
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
                                      : godwit_known_lost_suspend(pair->source->vm, "running");
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
        {"11.1.3", "tcg", "postcopy-ram", true},   {"10.1.0", "tcg", "postcopy-ram", true},
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

/* A stale page is TCG's; a lost suspend is anybody's. */
static void test_accelerators(void **state)
{
    static const char *const accels[] = {"tcg", "kvm", "tcg2", "", "TCG"};
    for (size_t i = 0; i < G_N_ELEMENTS(accels); i++) {
        struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
        pair->setup.accel = accels[i];
        assert_int_equal(stale(pair, FIRST(PASSES), LAST(TIMER)), i == 0);
        assert_true(godwit_known_lost_suspend(pair->source->vm, "running"));
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
    assert_false(godwit_known_stale_page(pair->source->vm, pair->destination->vm, rom, FIRST(TIMER),
                                         LAST(TIMER), ""));
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
            json_object_set_new(pair->rig->facts, "live", json_object());
        for (unsigned page = 0; page < rows[i].pages; page++)
            pair->destination->memory[PAIR_WINDOW + page * STEP * PAIR_PAGE] -=
                (unsigned char)rows[i].passes;
        if (rows[i].foreign)
            pair->destination->memory[PAIR_WINDOW + 1]++;
        const struct godwit_block *ram = godwit_memory_block(pair->source->vm, "the.ram");
        const bool known = godwit_known_stale_window(
            pair->source->vm, pair->destination->vm, ram, PAIR_WINDOW,
            PAIR_WINDOW + (rows[i].pages - 1) * STEP * PAIR_PAGE, "what was seen");
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
        assert_int_equal(godwit_known_setup_event(pair->destination->vm, rows[i].from, rows[i].to),
                         rows[i].known);
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
        fake_pair_free(pair);
    }
}

static void test_early_cancel(void **state)
{
    static const char *const sources[] = {"10.0.13", "11.0.0", "11.1.0", "11.1.3", "unknown"};
    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        struct fake_pair *pair = pair_new(state, sources[i], "10.0.0");
        assert_int_equal(godwit_known_early_cancel(pair->source->vm), i < 2);
        assert_int_equal(json_array_size(noted(pair)), i < 2);
        fake_pair_free(pair);
    }
}

/* What is noted: one entry for each bug, with everything that a report shows of it. */
static void test_notes(void **state)
{
    struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
    assert_true(stale(pair, FIRST(TIMER), LAST(TIMER)));
    assert_true(godwit_known_lost_suspend(pair->source->vm, "running"));
    assert_true(godwit_known_lost_suspend(pair->source->vm, "paused"));
    static const struct {
        const char *id, *seen;
    } wanted[] = {
        {"tcg-hot-page", "what was seen"},
        {"suspend-lost", "the suspended guest is \"running\" on the destination; "
                         "the suspended guest is \"paused\" on the destination"},
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
        assert_false(godwit_known_failed_twice(vm, "failed"));
        vm->capabilities = json_pack("{s:b, s:b}", "multifd", 0, "xbzrle", 1);
        assert_false(godwit_known_failed_twice(vm, "failed"));
        json_object_set_new(vm->capabilities, "multifd", json_true());
        assert_false(godwit_known_failed_twice(vm, "active"));
        assert_false(godwit_known_failed_twice(vm, "cancelled"));
        assert_null(noted(pair));
        assert_true(godwit_known_failed_twice(vm, "failed"));
        assert_true(godwit_known_failed_twice(vm, "failing"));
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
        assert_int_equal(!!godwit_known_ignored_level(vm, "multifd-zlib-level", "5", "1"),
                         rows[i].level);
        assert_int_equal(!!godwit_known_ignored_level(vm, "multifd-zstd-level", "5", "1"),
                         rows[i].level);
        assert_null(godwit_known_ignored_level(vm, "multifd-channels", "5", "1"));
        assert_int_equal(godwit_known_setup_event(vm, "postcopy-paused", "setup"), rows[i].setup);
        assert_false(godwit_known_setup_event(vm, "active", "setup"));
        assert_false(godwit_known_setup_event(vm, "postcopy-paused", "active"));
        assert_int_equal(!!godwit_known_wrapped_port(vm, 65536 + 4711), rows[i].port);
        fake_pair_free(pair);
    }
}

/* Refusals of a destination that are a bug's, and those that are not. */
static void test_stuck(void **state)
{
    struct fake_pair *pair = pair_new(state, "10.0.0", "10.0.0");
    g_autoptr(json_t) stuck = json_pack("{s:s}", "desc", "Illegal migration incoming state: setup");
    g_autoptr(json_t) other = json_pack("{s:s}", "desc", "Invalid argument");
    assert_string_equal(godwit_known_stuck_incoming(pair->source->vm, stuck), "incoming-stuck");
    assert_null(godwit_known_stuck_incoming(pair->source->vm, other));
    fake_pair_free(pair);
}

/* Only a wild pointer, and only once it has killed. */
static void test_crash(void **state)
{
    struct fake_pair *pair = pair_new(state, "10.0.0", "10.0.0");
    struct godwit_vm vm = {.rig = pair->rig,
                           .name = (char *)(uintptr_t) "source",
                           .qemu = pair->source->vm->qemu,
                           .wait_status = 11};
    assert_null(godwit_known_channels_crash(&vm));
    vm.exited = true;
    assert_string_equal(godwit_known_channels_crash(&vm), "no-main-channel");
    vm.wait_status = 6;
    assert_null(godwit_known_channels_crash(&vm));
    vm.wait_status = 1 << 8;
    assert_null(godwit_known_channels_crash(&vm));
    fake_pair_free(pair);
}

/* A destination of that VM's, which has ended with WAIT_STATUS and said TEXT last. */
static struct godwit_vm ended(void **state, const struct fake_pair *pair, int wait_status,
                              const char *text)
{
    g_autofree char *path = g_build_filename(*state, "ended.stderr", NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    return (struct godwit_vm){.rig = pair->rig,
                              .name = (char *)(uintptr_t) "ended",
                              .qemu = pair->destination->vm->qemu,
                              .qmp = pair->destination->vm->qmp,
                              .exited = true,
                              .wait_status = wait_status};
}

static void remove_stderr(void **state)
{
    g_autofree char *path = g_build_filename(*state, "ended.stderr", NULL);
    assert_int_equal(g_unlink(path), 0);
}

/* A segmentation fault of a destination that has been paused, with a preempt channel. */
static void test_recover_crash(void **state)
{
    static const struct {
        const char *version, *status;
        int wait_status;
        bool preempt, known;
    } rows[] = {
        {"7.2.22", "postcopy-paused", 11, true, true},
        {"7.2.22", "postcopy-paused", 6, true, false},
        {"7.2.22", "postcopy-paused", 1 << 8, true, false},
        {"7.2.22", "postcopy-paused", 11, false, false},
        {"7.2.22", "postcopy-active", 11, true, false},
        {"10.0.0", "postcopy-paused", 11, true, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, "9.0.0", rows[i].version);
        struct godwit_vm vm = ended(state, pair, rows[i].wait_status, "");
        g_autoptr(json_t) capabilities = json_pack("{s:b}", "postcopy-preempt", rows[i].preempt);
        vm.capabilities = capabilities;
        g_ptr_array_add(vm.qmp->events, json_pack("{s:s, s:{s:s}}", "event", "MIGRATION", "data",
                                                  "status", rows[i].status));
        assert_int_equal(godwit_known_recover_crash(&vm), rows[i].known);
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
        vm.exited = false;
        assert_false(godwit_known_recover_crash(&vm));
        fake_pair_free(pair);
    }
    remove_stderr(state);
}

/* What a destination says as it ends tells the bug. */
static void test_last_words(void **state)
{
    static const struct {
        const char *source, *destination, *words;
        int wait_status;
        bool multifd, cpr;
    } rows[] = {
        {"7.2.22", "7.2.22", "Assertion yankfns failed", 6, true, false},
        {"7.2.22", "7.2.22", "Assertion yankfns failed", 11, false, false},
        {"7.2.22", "7.2.22", "Assertion something failed", 6, false, false},
        {"8.1.0", "8.1.0", "Assertion yankfns failed", 6, false, false},
        {"11.1.3", "10.0.13", "vmstate_load_state error -22", 1 << 8, false, true},
        {"10.0.13", "10.0.13", "vmstate_load_state error -22", 1 << 8, false, false},
        {"11.1.3", "10.0.13", "something else", 1 << 8, false, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].source, rows[i].destination);
        struct godwit_vm vm = ended(state, pair, rows[i].wait_status, rows[i].words);
        assert_int_equal(godwit_known_multifd_postcopy(pair->source->vm, &vm, NULL),
                         rows[i].multifd);
        assert_int_equal(godwit_known_cpr_versions(&vm), rows[i].cpr);
        fake_pair_free(pair);
    }
    remove_stderr(state);
}

/* A source that still waits for a destination that does not know better. */
static void test_multifd_postcopy(void **state)
{
    static const struct {
        const char *source, *destination, *told;
        bool known;
    } rows[] = {
        {"11.1.3", "7.2.22", "postcopy-active", true},
        {"11.1.3", "7.2.22", "active", false},
        {"11.1.3", "7.2.22", NULL, false},
        {"7.2.22", "7.2.22", "postcopy-active", false},
        {"11.1.3", "11.1.3", "postcopy-active", false},
        {"7.2.22", "11.1.3", "postcopy-active", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = pair_new(state, rows[i].source, rows[i].destination);
        assert_int_equal(
            godwit_known_multifd_postcopy(pair->source->vm, pair->destination->vm, rows[i].told),
            rows[i].known);
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
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
        assert_int_equal(godwit_known_stalled_completion(pair->source->vm), rows[i].known);
        assert_int_equal(json_array_size(noted(pair)), rows[i].known);
        fake_pair_free(pair);
    }
}

/* Only a cancellation that does not come to its end. */
static void test_cancel_hangs(void **state)
{
    struct fake_pair *pair = pair_new(state, "7.2.22", "7.2.22");
    assert_false(godwit_known_multifd_cancel(pair->source->vm, "cancelled"));
    assert_true(godwit_known_multifd_cancel(pair->source->vm, "cancelling"));
    fake_pair_free(pair);
    pair = pair_new(state, "10.0.13", "11.1.3");
    assert_true(godwit_known_multifd_cancel(pair->source->vm, "cancelling"));
    fake_pair_free(pair);
    pair = pair_new(state, "11.1.3", "7.2.22");
    assert_false(godwit_known_multifd_cancel(pair->source->vm, "cancelling"));
    fake_pair_free(pair);
}

int main(int argc, char **argv)
{
    fake_vm_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_hot_start),
        cmocka_unit_test(test_accelerators),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_earlier),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_stale_window),
        cmocka_unit_test(test_stalled_completion),
        cmocka_unit_test(test_multifd_postcopy),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_failed_twice),
        cmocka_unit_test(test_setup_event),
        cmocka_unit_test(test_early_cancel),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_recover_crash),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_cancel_hangs),
    };
    return cmocka_run_group_tests_name("known bugs", tests, unit_folder, unit_folder_end);
}
