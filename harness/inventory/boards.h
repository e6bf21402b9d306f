/*
 * The machine types that a QEMU has, and how to start each of them without a guest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_INVENTORY_BOARDS_H
#define GODWIT_HARNESS_INVENTORY_BOARDS_H

#include "testbed/vm.h"

/* Returns the machine types of the binary by their full names, sorted, each once: no aliases, and
 * not "none", which is no machine. VM needs no machine. The caller frees the array with
 * g_strfreev(). */
char **godwit_boards_list(struct godwit_vm *vm, GError **error);

/* Returns the names of the machine types in MACHINES, the answer to query-machines, likewise. */
char **godwit_boards_parse(const json_t *machines);

/*
 * Returns the arguments with which QEMU starts machine TYPE as it comes, a NULL-terminated array
 * that the caller frees with g_strfreev(). IMAGE is the name of a file of zeros, which stands for
 * the firmware or the kernel of a board that insists on one. The clock of the board goes by the
 * guest's time, so that it stands still while the guest is stopped.
 */
char **godwit_board_arguments(const struct godwit_qemu *qemu, const char *type, const char *accel,
                              const char *image);

#endif
