/*
 * Shared by the scenarios conformance/refusals: texts of requests, parts of their tables, and the
 * source to which requests are made.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CONFORMANCE_PARTS_H
#define GODWIT_HARNESS_SCENARIO_CONFORMANCE_PARTS_H

#include "scenario/conformance.h"

/* A valid address where nothing listens, as a URI, as an address, and as the main channel. */
#define NOBODY  "\"uri\":\"unix:nobody.sock\""
#define ADDRESS "\"addr\":{\"transport\":\"socket\",\"type\":\"unix\",\"path\":\"nobody.sock\"}"
#define MAIN    "{\"channel-type\":\"main\"," ADDRESS "}"
/* The feature that requests with a list of channels need. */
#define CHANNELS "argument:channels"

/* The rest of a table's entry, after the name: a command that must be refused, and `migrate`. */
#define REFUSED(command, text) command, text, GODWIT_REFUSED, NULL
#define MIGRATE(arguments)     REFUSED("migrate", "{" arguments "}")

/* Makes the requests of the array LIST, as godwit_conformance_requests() does. */
#define REQUESTS(vm, list, error) godwit_conformance_requests(vm, list, G_N_ELEMENTS(list), error)

/* Starts a source whose migrations are throttled, so that none ends before a request is refused,
 * and records its state in VM. Returns the source, which the testbed owns, or NULL with ERROR
 * set. */
struct godwit_vm *godwit_conformance_start_throttled(struct godwit_testbed *testbed,
                                                     struct godwit_conformance *vm, GError **error);

/* Does likewise, but stops the guest, which would only take a processor. Use it for requests before
 * any migration, which are refused either way. */
struct godwit_vm *godwit_conformance_start_stopped(struct godwit_testbed *testbed,
                                                   struct godwit_conformance *vm, GError **error);

#endif
