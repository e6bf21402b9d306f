/*
 * Settings: the migration capabilities and parameters that the user chooses (--set), in addition to
 * those of the spec, and in place of them. A JSON object: each name with its value, which for a
 * capability is true or false.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_MIGRATE_SETTINGS_H
#define GODWIT_HARNESS_MIGRATE_SETTINGS_H

#include "testbed/vm.h"

/* Adds TEXT, "NAME=VALUE", to SETTINGS. Fails with USAGE if it has another form. */
bool godwit_settings_add(json_t *settings, const char *text, GError **error);

/* Returns a setting's value as the user writes it. The caller frees it. */
char *godwit_settings_value(const json_t *value);

/* Returns all settings as text, "NAME=VALUE NAME=VALUE". The caller frees it. */
char *godwit_settings_text(const json_t *settings);

/* Fails with USAGE, and names the setting, if the binary has no such capability or parameter, or if
 * a capability is neither on nor off. SETTINGS may be NULL. */
bool godwit_settings_check(const json_t *settings, const struct godwit_qemu *qemu, GError **error);

/* Sets the testbed's settings on VM, if there are any. THROTTLED: leaves out the parameters with
 * which Godwit throttles the migration; call it again when that is over. */
bool godwit_settings_apply(struct godwit_vm *vm, bool throttled, GError **error);

#endif
