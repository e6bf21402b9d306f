/*
 * The end of a migration that was cancelled while its source still connected.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_SCENARIO_CANCEL_H
#define GODWIT_HARNESS_SCENARIO_CANCEL_H

#include "migrate/peer.h"

/* Waits until a source is cancelled, which may still connect to BUSY and notice nothing before that
 * refuses it. Then it can migrate again. Closes BUSY if that is needed. Fails with MIGRATION if the
 * source reports that it is cancelled while it still connects, unless a known bug explains it. */
bool godwit_cancel_settle(struct godwit_vm *source, godwit_peer *busy, GError **error);

#endif
