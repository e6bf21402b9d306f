/*
 * Asks a QEMU binary what it can do.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_TESTBED_PROBE_H
#define GODWIT_HARNESS_TESTBED_PROBE_H

#include "qemu/qemu.h"

struct godwit_setup;
struct godwit_vm;

/*
 * Starts the binary at PATH (absolute) in DIRECTORY, without a machine, and asks it. Returns what
 * it reports, which the caller frees with godwit_qemu_free(). Fails with ENVIRONMENT if it is not a
 * usable QEMU, or does not answer in time (the default deadline times TIMEOUT_SCALE).
 */
struct godwit_qemu *godwit_qemu_probe(const char *path, const char *directory, double timeout_scale,
                                      bool *interrupted, GError **error);

/* Asks a QEMU without a machine by ASK, which returns what it learns as a NULL-terminated array of
 * strings, or NULL with ERROR set. Everything else is as with godwit_qemu_probe(). The caller frees
 * the array. */
char **godwit_qemu_ask(const struct godwit_qemu *qemu,
                       char **(*ask)(struct godwit_vm *vm, GError **error), const char *directory,
                       double timeout_scale, bool *interrupted, GError **error);

/* Starts a QEMU without a machine, and calls ASK with DATA, which asks it. Returns whether that
 * succeeded, and whether QEMU quit then. Failures are as with godwit_qemu_probe(), and those of
 * ASK. */
bool godwit_qemu_ask_all(const struct godwit_qemu *qemu,
                         bool (*ask)(struct godwit_vm *vm, gpointer data, GError **error),
                         gpointer data, const char *directory, double timeout_scale,
                         bool *interrupted, GError **error);

/*
 * Starts the SOURCE's or the destination's binary of SETUP, with its machine and further arguments,
 * in DIRECTORY, and asks whether that machine can be migrated. Fails with USAGE, and quotes QEMU's
 * reason, if QEMU rejects the arguments or the machine cannot be migrated. Other failures are as
 * with godwit_qemu_probe().
 */
bool godwit_qemu_try(const struct godwit_setup *setup, bool source, const char *directory,
                     bool *interrupted, GError **error);

#endif
