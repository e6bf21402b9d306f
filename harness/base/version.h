/*
 * Godwit's version.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_VERSION_H
#define GODWIT_HARNESS_BASE_VERSION_H

#define GODWIT_VERSION "0.2.0"

#endif
