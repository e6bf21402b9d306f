/*
 * Which VM of a rig is told of when several have ended.
 *
 * SPDX-License-Identifier: MIT
 */
#include "vm/rig.h"

#include "fake_pair.h"
#include <signal.h>

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

int main(int argc, char **argv)
{
    fake_vm_main(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blame)};
    return cmocka_run_group_tests_name("rig", tests, unit_folder, unit_folder_end);
}
