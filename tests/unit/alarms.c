/*
 * Alarms: which events are one, which order of starts and stops is none, and what a wire fault may
 * cause without a false alarm.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/alarms.h"

#include "scenario/relay_parts.h"
#include "stream/fault.h"
#include "stream/relay.h"

#include "fake_pair.h"

#define RESET_BY_GUEST "{\"event\":\"RESET\",\"data\":{\"guest\":true,\"reason\":\"guest-reset\"}}"
#define RESET_BY_HOST                                                                              \
    "{\"event\":\"RESET\",\"data\":{\"guest\":false,\"reason\":\"host-qmp-system-reset\"}}"
#define SHUTDOWN_BY_GUEST                                                                          \
    "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"}}"
#define EVENT(name) "{\"event\":\"" name "\"}"

static void report(struct fake_vm *fake, const char *text)
{
    json_t *event = json_loads(text, 0, NULL);
    assert_non_null(event);
    g_ptr_array_add(fake->vm->qmp->events, event);
}

/* Each kind of alarm is one, on each VM, and nothing else is. */
static void test_each(void **state)
{
    static const struct {
        const char *events[3];
        const char *problem; /* NULL: all is well */
    } rows[] = {
        {{RESET_BY_GUEST}, "destination reported RESET"},
        {{RESET_BY_HOST}, NULL},
        {{SHUTDOWN_BY_GUEST}, "destination reported SHUTDOWN"},
        {{EVENT("GUEST_PANICKED")}, "destination reported GUEST_PANICKED"},
        {{EVENT("GUEST_CRASHLOADED")}, "destination reported GUEST_CRASHLOADED"},
        {{EVENT("MEMORY_FAILURE")}, "destination reported MEMORY_FAILURE"},
        {{EVENT("BLOCK_IMAGE_CORRUPTED")}, "destination reported BLOCK_IMAGE_CORRUPTED"},
        {{EVENT("BLOCK_IO_ERROR")}, "destination reported BLOCK_IO_ERROR"},
        {{EVENT("WATCHDOG")}, "destination reported WATCHDOG"},
        {{EVENT("RESUME"), EVENT("STOP"), EVENT("RESUME")}, NULL},
        {{EVENT("RESUME"), EVENT("RESUME")}, "RESUME, although its guest was already running"},
        {{EVENT("STOP")}, "STOP, although its guest was already stopped"},
        {{EVENT("SUSPEND"), EVENT("STOP")}, NULL},
        {{EVENT("RESUME"), EVENT("STOP"), RESET_BY_GUEST}, "reported RESET"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        g_ptr_array_add(pair->destination->vm->arguments, (gpointer)(uintptr_t) "-incoming");
        for (size_t e = 0; e < G_N_ELEMENTS(rows[i].events) && rows[i].events[e]; e++)
            report(pair->destination, rows[i].events[e]);
        g_autoptr(GError) error = NULL;
        assert_int_equal(godwit_alarms_judge(pair->testbed, &error), !rows[i].problem);
        if (rows[i].problem)
            assert_contains(error->message, rows[i].problem);
        fake_pair_free(pair);
    }
}

/* Judges a trial of that verdict whose destination has loaded the stream and reports a reset, then
 * what holds of every scenario. Returns the first failure, or NULL. The caller frees it. */
static GError *reset_after(void **state, enum verdict verdict, bool source_too)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    const struct trial trial = {"flip-state", verdict, 0, NULL};
    struct attempt attempt = {
        .testbed = pair->testbed,
        .trial = &trial,
        .source = pair->source->vm,
        .destination = pair->destination->vm,
    };
    GError *error = NULL;
    struct godwit_fault fault;
    assert_true(godwit_fault_parse("none", &fault, &error));
    struct godwit_relay *relay = godwit_relay_new(*state, "unix:nobody", &error);
    assert_non_null(relay);
    struct godwit_injection *injection =
        godwit_injection_new(relay, &fault, &(const struct godwit_fault_window){0});
    attempt.injection = injection;
    report(pair->destination, RESET_BY_GUEST);
    if (source_too)
        report(pair->source, RESET_BY_GUEST);
    if (godwit_trial_judge(&attempt, false, &error))
        godwit_alarms_judge(pair->testbed, &error);
    assert_true(attempt.seen & BY(ALARMS));
    assert_contains(attempt.noticed[ORACLE_ALARMS], "guest-reset");
    godwit_relay_free(relay);
    godwit_injection_free(injection);
    for (unsigned i = 0; i < ORACLES; i++)
        g_free(attempt.noticed[i]);
    fake_pair_free(pair);
    return error;
}

/* A fault may reset the guest that it has corrupted, if it need not be harmless. The source is not
 * corrupted. */
static void test_provoked(void **state)
{
    g_autoptr(GError) flipped = reset_after(state, VERDICT_FLIPPED, false);
    assert_null(flipped);
    g_autoptr(GError) seen = reset_after(state, VERDICT_SEEN, false);
    assert_null(seen);
    g_autoptr(GError) harmless = reset_after(state, VERDICT_HARMLESS, false);
    assert_non_null(harmless);
    assert_contains(harmless->message, "must be harmless");
    g_autoptr(GError) source = reset_after(state, VERDICT_FLIPPED, true);
    assert_non_null(source);
    assert_contains(source->message, "the source reported RESET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each),
                                       cmocka_unit_test(test_provoked)};
    return cmocka_run_group_tests_name("alarms", tests, unit_folder, unit_folder_end);
}
