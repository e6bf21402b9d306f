#!/bin/sh
# Prints the QEMU targets that the architectures' folders define, one a line, sorted.
#
# SPDX-License-Identifier: MIT
set -eu
cd "${0%/*}/.."
sed -n 's/^    \.arch = "\(.*\)",$/\1/p' ./*/machine.c | LC_ALL=C sort
