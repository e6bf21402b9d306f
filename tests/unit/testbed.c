/*
 * Which VM of a testbed is blamed when several have ended, in which order a testbed's parts are
 * listed and freed, how a rest ends, the deadline, and the turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include "testbed/testbed.h"

#include "testbed/measured.h"

#include "fake_pair.h"
#include "guest/image.h"
#include "oracle/blackout.h"
#include "scenario/scenario.h"
#include <signal.h>
#include <unistd.h>

/* As wait(2) has it. */
#define ENDED_WITH(status) ((status) << 8)

static void expect(struct fake_pair *pair, const char *wanted)
{
    g_autoptr(GError) error = NULL;
    if (!wanted) {
        assert_true(godwit_testbed_healthy(pair->testbed, &error));
        assert_null(error);
        return;
    }
    assert_false(godwit_testbed_healthy(pair->testbed, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    assert_contains(error->message, wanted);
}

/* Who was killed is to blame, not its peer, which ended for that; unless the harness did it. */
static void test_blame(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_vm *first = g_ptr_array_index(pair->testbed->vms, 0),
                     *second = g_ptr_array_index(pair->testbed->vms, 1);
    expect(pair, NULL);
    first->exited = true;
    first->wait_status = ENDED_WITH(1);
    expect(pair, "the source's QEMU exited with status 1");
    second->exited = true;
    second->wait_status = ENDED_WITH(1);
    expect(pair, "the source's QEMU exited with status 1");
    second->wait_status = SIGSEGV;
    expect(pair, "the destination's QEMU was killed by signal 11");
    second->may_exit = true;
    expect(pair, "the source's QEMU exited with status 1");
    first->may_exit = true;
    expect(pair, NULL);
    fake_pair_free(pair);
}

/* Ends the process of a fake VM by a signal. */
static gboolean end_process(gpointer fake)
{
    kill(godwit_vm_pid(((struct fake_vm *)fake)->vm), SIGTERM);
    return G_SOURCE_REMOVE;
}

/* A peer that ended before, of which there is nobody to tell the main loop. */
static void ended_before(struct fake_vm *fake)
{
    fake->vm->exited = true;
    fake->vm->wait_status = ENDED_WITH(1);
}

/* A QEMU that begins to die has closed its connections before it is gone. Its peer's end is noticed
 * in between: the one that dies is waited for, and named. */
static void test_dying_is_waited_for(void **state)
{
    for (int first = 0; first < 2; first++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        struct fake_vm *victim = first ? pair->source : pair->destination;
        godwit_vm_watch(victim->vm);
        ended_before(first ? pair->destination : pair->source);
        assert_false(godwit_vm_dying(victim->vm));
        shutdown(victim->peer, SHUT_RDWR);
        assert_true(godwit_vm_dying(victim->vm));
        g_timeout_add(50, end_process, victim);
        expect(pair, first ? "the source's QEMU was killed by signal 15"
                           : "the destination's QEMU was killed by signal 15");
        fake_pair_free(pair);
    }
}

/* A peer whose death only the kernel shows so far: it has not been waited for yet. */
static void test_zombie_is_waited_for(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    const struct godwit_vm *source = pair->source->vm;
    ended_before(pair->destination);
    godwit_vm_watch(pair->source->vm);
    end_process(pair->source);
    while (!godwit_vm_dying(source))
        g_thread_yield();
    assert_false(source->exited);
    expect(pair, "the source's QEMU was killed by signal 15");
    fake_pair_free(pair);
}

/* What lives is not waited for, nor what may exit; and what does not get any further is not waited
 * for for ever. */
static void test_living_is_not_waited_for(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    godwit_vm_watch(pair->source->vm);
    ended_before(pair->destination);
    expect(pair, "the destination's QEMU exited with status 1");
    assert_true(pair->source->vm->watched);
    shutdown(pair->source->peer, SHUT_RDWR);
    pair->setup.timeout_scale = 0.001;
    expect(pair, "the destination's QEMU exited with status 1");
    pair->setup.timeout_scale = 1000;
    pair->source->vm->may_exit = true;
    expect(pair, "the destination's QEMU exited with status 1");
    fake_pair_free(pair);
}

/* Of two that ended in the same way, the one that did so first. */
static void test_first_to_end(void **state)
{
    for (unsigned first = 0; first < 2; first++) {
        struct fake_pair *pair = fake_pair_new(state, false, false);
        ended_before(pair->source);
        ended_before(pair->destination);
        pair->source->vm->exit_order = 7 + first;
        pair->destination->vm->exit_order = 8 - first;
        expect(pair, first ? "the destination's QEMU exited" : "the source's QEMU exited");
        fake_pair_free(pair);
    }
}

/* Without anything being noticed, too, if a failure is to be explained; an interrupt comes first.
 */
static void test_survives(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    g_autoptr(GError) interrupted = NULL, error = NULL;
    bool stop = true;
    assert_true(godwit_testbed_survives(pair->testbed, NULL));
    godwit_vm_watch(pair->source->vm);
    assert_true(godwit_testbed_survives(pair->testbed, NULL));
    shutdown(pair->source->peer, SHUT_RDWR);
    pair->testbed->interrupted = &stop;
    assert_false(godwit_testbed_survives(pair->testbed, &interrupted));
    assert_true(g_error_matches(interrupted, GODWIT_ERROR, GODWIT_ERROR_INTERRUPTED));
    pair->testbed->interrupted = NULL;
    g_timeout_add(20, end_process, pair->source);
    assert_false(godwit_testbed_survives(pair->testbed, &error));
    assert_contains(error->message, "the source's QEMU was killed by signal 15");
    fake_pair_free(pair);
}

/* A part of a testbed that checks its place in the order of freeing. */
struct part {
    pid_t pid; /* of a process that must still exist */
    int *left; /* how many parts are not freed yet ... */
    int still; /* ... which must be this many after this one */
};

static void free_part(gpointer data)
{
    const struct part *part = data;
    assert_int_equal(kill(part->pid, 0), 0);
    assert_int_equal(--*part->left, part->still);
}

/* Parts are freed in reverse order, and before the VMs, which they may watch. A blackout's watch
 * looks at both VMs whenever the main loop goes round. */
static void test_watchers_go_first(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    int left = 3;
    struct part parts[3];
    fake_pair_blocks(pair, true);
    for (int i = 0; i < 3; i++) {
        parts[i] = (struct part){godwit_vm_pid(pair->source->vm), &left, i};
        godwit_testbed_at_end(pair->testbed, free_part, &parts[i]);
    }
    assert_true(godwit_blackout_watch(pair->source->vm, pair->destination->vm, false, NULL));
    godwit_vm_watch(pair->source->vm);
    godwit_vm_watch(pair->destination->vm);
    fake_pair_free(pair);
    assert_int_equal(left, 0);
}

/* Each phase has a name of its own, and its time is recorded when another one begins. */
static void test_phases(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    for (unsigned phase = 0; phase < GODWIT_PHASES; phase++) {
        assert_non_null(godwit_phase_name(phase));
        for (unsigned other = 0; other < phase; other++)
            assert_string_not_equal(godwit_phase_name(phase), godwit_phase_name(other));
    }
    godwit_testbed_phase(pair->testbed, GODWIT_PHASE_START);
    godwit_testbed_phase(pair->testbed, GODWIT_PHASE_MIGRATE);
    godwit_testbed_phase(pair->testbed, GODWIT_PHASE_NONE);
    godwit_testbed_phase(pair->testbed, GODWIT_PHASE_NONE);
    const GArray *phases = pair->testbed->phases;
    assert_int_equal(phases->len, 2);
    assert_int_equal(g_array_index(phases, struct godwit_phase_time, 0).phase, GODWIT_PHASE_START);
    assert_int_equal(g_array_index(phases, struct godwit_phase_time, 1).phase,
                     GODWIT_PHASE_MIGRATE);
    fake_pair_free(pair);
}

/* Each result of a check is a member of its own in the result, and only failed checks count. */
static void test_checks(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    g_autoptr(GString) text = g_string_new(NULL);
    assert_null(json_object_get(godwit_testbed_measured(pair->testbed), "checks"));
    godwit_testbed_check(pair->testbed, "good", NULL);
    godwit_testbed_check_answer(pair->testbed, "bad", "a class", "an answer", "a problem");
    godwit_testbed_skip_check(pair->testbed, "not made", "a reason");
    godwit_testbed_check(pair->testbed, "buggy", "what came");
    godwit_testbed_excuse_check(pair->testbed, "some-bug");
    assert_int_equal(godwit_testbed_failed_checks(pair->testbed, text), 1);
    assert_string_equal(text->str, "\nbad: a problem");
    g_autofree char *checks = json_dumps(
        json_object_get(godwit_testbed_measured(pair->testbed), "checks"), JSON_SORT_KEYS);
    assert_string_equal(checks,
                        "[{\"name\": \"good\"}, "
                        "{\"answer\": \"an answer\", \"class\": \"a class\", \"name\": \"bad\", "
                        "\"problem\": \"a problem\"}, "
                        "{\"name\": \"not made\", \"skip\": \"a reason\"}, "
                        "{\"known\": \"some-bug\", \"name\": \"buggy\", \"seen\": \"what came\"}]");
    fake_pair_free(pair);
}

/* Measurements are replaced, completed, appended to, and dropped. */
static void test_measurements(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    godwit_testbed_measure(pair->testbed, "once", json_integer(1));
    godwit_testbed_measure(pair->testbed, "once", json_integer(2));
    godwit_testbed_measure_member(pair->testbed, "parts", "a", json_integer(3));
    godwit_testbed_measure_member(pair->testbed, "parts", "b", json_integer(4));
    godwit_testbed_measure_item(pair->testbed, "list", json_integer(5));
    godwit_testbed_measure_item(pair->testbed, "list", json_integer(6));
    godwit_testbed_measure(pair->testbed, "gone", json_integer(7));
    godwit_testbed_unmeasure(pair->testbed, "gone");
    g_autofree char *all = json_dumps(godwit_testbed_measured(pair->testbed), JSON_SORT_KEYS);
    assert_string_equal(all, "{\"list\": [5, 6], \"once\": 2, \"parts\": {\"a\": 3, \"b\": 4}}");
    fake_pair_free(pair);
}

struct godwit_scenario_state {
    int number;
    int *left; /* how many parts are not freed yet */
};

static void clear_state(struct godwit_scenario_state *state)
{
    assert_int_equal(state->number, 7);
    assert_int_equal(--*state->left, 0);
}

static bool use_state(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                      GError **error)
{
    struct part *part = (struct part *)(uintptr_t)scenario->data;
    (void)error;
    assert_int_equal(testbed->state->number, 0);
    assert_non_null(testbed->wire);
    testbed->state->number = 7;
    testbed->state->left = part->left;
    godwit_testbed_at_end(testbed, free_part, part);
    return true;
}

/* A scenario finds its own state, zeroed, and a wire. The state is freed last: after the wire,
 * which may write to it, and after the parts that are made while the scenario runs. */
static void test_scenario_state(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    int left = 2;
    struct part part = {godwit_vm_pid(pair->source->vm), &left, 1};
    const struct godwit_scenario scenario = {
        .run = use_state,
        .data = &part,
        .state = sizeof(struct godwit_scenario_state),
        .clear = clear_state,
    };
    assert_true(godwit_scenario_run(pair->testbed, &scenario, NULL));
    godwit_vm_watch(pair->source->vm);
    godwit_vm_watch(pair->destination->vm);
    fake_pair_free(pair);
    assert_int_equal(left, 0);
}

/* VMs are listed in the order of their start, even if they have the same name. */
static void test_order(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    const GPtrArray *vms = pair->testbed->vms;
    pair->setup.machine = godwit_machine_find("x86_64");
    pair->setup.image = godwit_machine_image(pair->setup.machine, NULL);
    pair->setup.workload = godwit_image_workload(pair->setup.machine, pair->setup.image);
    pair->setup.type = "none";
    pair->setup.accel = "tcg";
    for (guint i = 2; i < 4; i++) {
        const struct godwit_vm *vm =
            godwit_vm_prepare(pair->testbed, "source", GODWIT_VM_SOURCE, NULL, NULL);
        assert_non_null(vm);
        assert_int_equal(vms->len, i + 1);
        assert_ptr_equal(vm, g_ptr_array_index(vms, i));
    }
    assert_ptr_equal(g_ptr_array_index(vms, 0), pair->source->vm);
    assert_ptr_equal(g_ptr_array_index(vms, 1), pair->destination->vm);
    g_autofree char *image = g_build_filename(*state, "source.image", NULL);
    g_unlink(image);
    fake_pair_free(pair);
}

/* A rest takes its time and no more than the deadline, and is over when a VM is. */
static void test_rest(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    g_autoptr(GError) late = NULL, ended = NULL;
    const gint64 began = g_get_monotonic_time();
    assert_true(godwit_testbed_rest(pair->testbed, 20, "a moment", NULL));
    assert_true(g_get_monotonic_time() - began >= 20000);
    pair->testbed->deadline = g_get_monotonic_time() + 10000;
    assert_false(godwit_testbed_rest(pair->testbed, 60000, "a minute", &late));
    assert_true(g_error_matches(late, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT));
    assert_contains(late->message, "waiting for a minute");
    pair->source->vm->exited = true;
    pair->source->vm->wait_status = ENDED_WITH(1);
    assert_false(godwit_testbed_rest(pair->testbed, 60000, "a minute", &ended));
    assert_true(g_error_matches(ended, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    fake_pair_free(pair);
}

/* A deadline that is nearer comes first, whichever it is, and the other one can come back. */
static void test_hasten(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_testbed *testbed = pair->testbed;
    const gint64 far = testbed->deadline = g_get_monotonic_time() + (gint64)3600 * G_USEC_PER_SEC;
    assert_true(godwit_testbed_limit(testbed, 1) == far);
    assert_true(testbed->deadline < far);
    const gint64 near = testbed->deadline;
    assert_true(godwit_testbed_limit(testbed, 60) == near);
    assert_true(testbed->deadline == near);
    fake_pair_free(pair);
}

/* Lets the testbed have its turn. */
static gboolean let(gpointer end)
{
    close(GPOINTER_TO_INT(end));
    return G_SOURCE_REMOVE;
}

static void count(gpointer data)
{
    ++*(int *)data;
}

/* A turn is waited for as long as it takes, however near the deadline, which is put off by that,
 * and once; a VM that dies meanwhile ends the wait. */
static void test_turn(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_testbed *testbed = pair->testbed;
    int ends[2], over = 0;
    g_autoptr(GError) dead = NULL;
    assert_true(godwit_testbed_take_turn(testbed, NULL));
    assert_int_equal(testbed->waited, 0);

    assert_int_equal(pipe(ends), 0);
    testbed->turn = ends[0];
    const gint64 deadline = testbed->deadline = g_get_monotonic_time() + 1000;
    g_timeout_add(30, let, GINT_TO_POINTER(ends[1]));
    assert_true(godwit_testbed_take_turn(testbed, NULL));
    assert_true(testbed->waited >= 29000);
    assert_true(testbed->deadline == deadline + testbed->waited);
    assert_true(godwit_testbed_take_turn(testbed, NULL));
    assert_true(testbed->deadline == deadline + testbed->waited);

    godwit_testbed_end_turn(testbed);
    testbed->over = count;
    testbed->over_data = &over;
    godwit_testbed_end_turn(testbed);
    assert_int_equal(over, 1);

    assert_int_equal(pipe(ends), 0);
    testbed->turn = ends[0];
    pair->source->vm->exited = true;
    pair->source->vm->wait_status = ENDED_WITH(1);
    assert_false(godwit_testbed_take_turn(testbed, &dead));
    assert_true(g_error_matches(dead, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    close(ends[1]);

    /* The same if its turn has come as well. */
    g_autoptr(GError) both = NULL;
    assert_int_equal(pipe(ends), 0);
    testbed->turn = ends[0];
    close(ends[1]);
    alarm(60); /* ends only what hangs */
    assert_false(godwit_testbed_take_turn(testbed, &both));
    alarm(0);
    assert_true(g_error_matches(both, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    fake_pair_free(pair);
}

/* A QEMU that replaces itself answers under its new name, so that it has not failed to start if it
 * ends later. */
static void test_inherit(void **state)
{
    static const char greeting[] = "{\"QMP\": {}}\n";
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_vm *heir = g_new0(struct godwit_vm, 1);
    g_autoptr(GError) error = NULL;
    heir->testbed = pair->testbed;
    heir->name = g_strdup("heir");
    heir->qemu = &pair->destination_qemu;
    heir->pagemap = -1;
    heir->cancel = g_cancellable_new();
    heir->arguments = g_ptr_array_new();
    g_ptr_array_add(pair->testbed->vms, heir);
    assert_int_equal(write(pair->source->peer, greeting, strlen(greeting)), strlen(greeting));
    if (!godwit_vm_inherit(heir, pair->source->vm, &error))
        fail_msg("%s", error->message);
    assert_true(heir->answers);
    assert_true(pair->source->vm->replaced);
    fake_pair_free(pair);
    g_autofree char *transcript = unit_take(state, "heir.qmp", NULL);
    assert_contains(transcript, "QEMU replaced itself by exec");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blame),
        cmocka_unit_test(test_dying_is_waited_for),
        cmocka_unit_test(test_zombie_is_waited_for),
        cmocka_unit_test(test_living_is_not_waited_for),
        cmocka_unit_test(test_first_to_end),
        cmocka_unit_test(test_inherit),
        cmocka_unit_test(test_survives),
        cmocka_unit_test(test_watchers_go_first),
        cmocka_unit_test(test_scenario_state),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_measurements),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_hasten),
        cmocka_unit_test(test_turn),
    };
    return cmocka_run_group_tests_name("testbed", tests, unit_folder, unit_folder_end);
}
