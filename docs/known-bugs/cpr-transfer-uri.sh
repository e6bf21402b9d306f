#!/bin/bash
# cpr-transfer to an address in `uri`, which leaves no room for a channel "cpr", aborts QEMU. No
# Godwit in here: a QEMU without a guest, and QMP.
#
#     cpr-transfer-uri.sh [QEMU]        default: qemu-system-x86_64
#
# Exit status: 0 it is refused, 1 QEMU aborts, 2 that could not be tried.
#
# SPDX-License-Identifier: MIT
qemu=${1:-qemu-system-x86_64}
"$qemu" --version | head -1
said=$(printf '%s\n' '{"execute": "qmp_capabilities"}' \
    '{"execute": "migrate-set-parameters", "arguments": {"mode": "cpr-transfer"}}' \
    '{"execute": "migrate", "arguments": {"uri": "unix:main.sock"}}' '{"execute": "quit"}' |
    timeout 60 "$qemu" -machine none -nodefaults -display none -qmp stdio 2>&1)
status=$?
grep -e '"error"' -e assertion <<<"$said"
case $status in
0) grep -q "missing 'cpr' migration channel" <<<"$said" || exit 2 ;;
134) exit 1 ;;
*) exit 2 ;;
esac
