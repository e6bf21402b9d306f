/*
 * Godwit's version.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_BASE_VERSION_H
#define GODWIT_HARNESS_BASE_VERSION_H

#define GODWIT_VERSION "0.1.0"

#endif
