/*
 * Identity: the CPU under the guest identifies itself as it did before the migration. The guest
 * itself reads its identification registers, on either side; include/godwit/guest_abi.h describes
 * the table in which it keeps them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_ORACLE_IDENTITY_H
#define GODWIT_HARNESS_ORACLE_IDENTITY_H

#include "godwit/guest_abi.h"
#include "testbed/vm.h"

/* Returns whether the guest keeps an identity table. It must then count two passes on a destination
 * before that is judged. */
bool godwit_identity_is_kept(const struct godwit_setup *setup);

/*
 * Compares COUNT entries of the table on the source with those on the destination, in host byte
 * order. Returns NULL if no register differs that may be judged: one that has already changed on
 * the source may not. Otherwise returns the differences, in the words of MACHINE; the caller frees
 * them. Sets *JUDGED to how many registers were.
 */
char *godwit_identity_compare(const struct godwit_machine *machine,
                              const struct godwit_identity_entry *source,
                              const struct godwit_identity_entry *destination, uint32_t count,
                              uint32_t *judged);

/*
 * Judges the guest of DESTINATION, which has counted two passes there and is stopped, by the memory
 * of the stopped SOURCE. Does nothing if the guest keeps no table. Fails with ORACLE if a register
 * differs, or if there is no valid table.
 */
bool godwit_oracle_identity(struct godwit_vm *source, struct godwit_vm *destination,
                            GError **error);

#endif
