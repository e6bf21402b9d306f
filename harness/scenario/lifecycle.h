/*
 * What scenarios share in which an operator asks for something in the middle of a migration.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_LIFECYCLE_H
#define GODWIT_HARNESS_SCENARIO_LIFECYCLE_H

#include "scenario/held.h"

/* Sends COMMAND, and waits for the EVENT that it causes. */
bool godwit_lifecycle_request(struct godwit_vm *vm, const char *command, const char *event,
                              GError **error);

/* Fails with MIGRATION unless VM refuses COMMAND with ARGUMENTS (taken), for a REASON with that
 * text in it. */
bool godwit_lifecycle_refuses(struct godwit_vm *vm, const char *command, json_t *arguments,
                              const char *reason, GError **error);

/* Sets each of a dozen parameters on both sides, and fails with MIGRATION unless they report what
 * was set. */
bool godwit_lifecycle_set_parameters(struct godwit_vm *source, struct godwit_vm *destination,
                                     GError **error);

/* Waits until the guest of a destination, which was reset before it ran here, has started anew, and
 * judges its memory. */
bool godwit_lifecycle_judge_restart(struct godwit_vm *destination, GError **error);

#endif
