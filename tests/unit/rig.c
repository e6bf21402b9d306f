/*
 * Which VM of a rig is told of when several have ended, how a rest ends, the deadline, and the
 * turn.
 *
 * SPDX-License-Identifier: MIT
 */
#include "vm/rig.h"

#include "fake_pair.h"
#include <signal.h>
#include <unistd.h>

/* As wait(2) has it. */
#define ENDED_WITH(status) ((status) << 8)

static void expect(struct fake_pair *pair, const char *wanted)
{
    g_autoptr(GError) error = NULL;
    if (!wanted) {
        assert_true(godwit_rig_healthy(pair->rig, &error));
        assert_null(error);
        return;
    }
    assert_false(godwit_rig_healthy(pair->rig, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    assert_contains(error->message, wanted);
}

/* Who was killed is to blame, not its peer, which ended for that; unless the harness did it. */
static void test_blame(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_vm *first = g_ptr_array_index(pair->rig->vms, 0),
                     *second = g_ptr_array_index(pair->rig->vms, 1);
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

/* A rest takes its time and no more than the deadline, and is over when a VM is. */
static void test_rest(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    g_autoptr(GError) late = NULL, ended = NULL;
    const gint64 began = g_get_monotonic_time();
    assert_true(godwit_rig_rest(pair->rig, 20, "a moment", NULL));
    assert_true(g_get_monotonic_time() - began >= 20000);
    pair->rig->deadline = g_get_monotonic_time() + 10000;
    assert_false(godwit_rig_rest(pair->rig, 60000, "a minute", &late));
    assert_true(g_error_matches(late, GODWIT_ERROR, GODWIT_ERROR_TIMEOUT));
    assert_contains(late->message, "in vain for a minute");
    pair->source->vm->exited = true;
    pair->source->vm->wait_status = ENDED_WITH(1);
    assert_false(godwit_rig_rest(pair->rig, 60000, "a minute", &ended));
    assert_true(g_error_matches(ended, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    fake_pair_free(pair);
}

/* A deadline that is nearer comes first, whichever it is, and the other one can come back. */
static void test_hasten(void **state)
{
    struct fake_pair *pair = fake_pair_new(state, false, false);
    struct godwit_rig *rig = pair->rig;
    const gint64 far = rig->deadline = g_get_monotonic_time() + (gint64)3600 * G_USEC_PER_SEC;
    assert_true(godwit_rig_hasten(rig, 1) == far);
    assert_true(rig->deadline < far);
    const gint64 near = rig->deadline;
    assert_true(godwit_rig_hasten(rig, 60) == near);
    assert_true(rig->deadline == near);
    fake_pair_free(pair);
}

/* Lets the rig have its turn. */
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
    struct godwit_rig *rig = pair->rig;
    int ends[2], over = 0;
    g_autoptr(GError) dead = NULL;
    assert_true(godwit_rig_take_turn(rig, NULL));
    assert_int_equal(rig->waited, 0);

    assert_int_equal(pipe(ends), 0);
    rig->turn = ends[0];
    const gint64 deadline = rig->deadline = g_get_monotonic_time() + 1000;
    g_timeout_add(30, let, GINT_TO_POINTER(ends[1]));
    assert_true(godwit_rig_take_turn(rig, NULL));
    assert_true(rig->waited >= 29000);
    assert_true(rig->deadline == deadline + rig->waited);
    assert_true(godwit_rig_take_turn(rig, NULL));
    assert_true(rig->deadline == deadline + rig->waited);

    godwit_rig_end_turn(rig);
    rig->over = count;
    rig->over_data = &over;
    godwit_rig_end_turn(rig);
    assert_int_equal(over, 1);

    assert_int_equal(pipe(ends), 0);
    rig->turn = ends[0];
    pair->source->vm->exited = true;
    pair->source->vm->wait_status = ENDED_WITH(1);
    assert_false(godwit_rig_take_turn(rig, &dead));
    assert_true(g_error_matches(dead, GODWIT_ERROR, GODWIT_ERROR_CRASH));
    close(ends[1]);
    fake_pair_free(pair);
}

int main(int argc, char **argv)
{
    fake_vm_main(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blame), cmocka_unit_test(test_rest),
                                       cmocka_unit_test(test_hasten), cmocka_unit_test(test_turn)};
    return cmocka_run_group_tests_name("rig", tests, unit_folder, unit_folder_end);
}
