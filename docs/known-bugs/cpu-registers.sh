#!/bin/bash
# SPDX-License-Identifier: MIT
# Asks a machine that has never run for the registers of its CPU. No Godwit in here.
#
#     cpu-registers.sh QEMU ARGUMENT...     for example: qemu-system-riscv64 -machine virt -cpu x-rv128
#
# Exit status: 0 QEMU answers, 1 it dies, 2 that could not be tried.
[ $# -ge 2 ] || { sed -n 3,7p "$0" >&2; exit 2; }
"$1" --version | sed 1q
ask='{"execute": "human-monitor-command", "arguments": {"command-line": "info registers"}}'
"$@" -nodefaults -display none -S -qmp stdio >/dev/null < <(
    printf '%s\n' '{"execute": "qmp_capabilities"}' "$ask" '{"execute": "quit"}')
status=$?
echo "exit status $status"
[ $status -lt 128 ] || exit 1
[ $status -eq 0 ] || exit 2
