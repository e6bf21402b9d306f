#!/bin/bash
# SPDX-License-Identifier: MIT
#
# QEMU before 9.0 migrates a suspended guest as a running one. No Godwit in here: a guest of 11
# bytes, two QEMUs, QMP.
#
#   suspend-lost.sh [QEMU]        default: qemu-system-x86_64
#
# The guest, a boot sector, suspends the machine to RAM (S3). It is migrated, and should be
# suspended on the destination too, until system_wakeup wakes it up there. Needs bash.
# Exit status: 0 that is so, 1 it is not, 2 it could not be tried.
set -euo pipefail
export LC_ALL=C
declare -A commands=([source]=3 [destination]=5) answers=([source]=4 [destination]=6)
id=0

directory=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || :; wait; rm -rf "$directory"' EXIT
trap 'exit 2' INT TERM

die() {
    echo "$*" >&2
    cat "$directory"/*.errors >&2 2>/dev/null || :
    exit 2
}

# Starts the source or the destination; both alike but for what is added.
start() {
    local side=$1
    shift
    mkfifo "$side.commands" "$side.answers"
    "$qemu" -machine pc,accel=tcg -m 128 -nodefaults -display none -snapshot \
        -drive file=disk,format=raw,if=ide -qmp stdio "$@" \
        <"$side.commands" >"$side.answers" 2>"$side.errors" &
}

# Waits until a line that SIDE has written matches PATTERN, and leaves it in SIDE.match.
await() {
    local side=$1 pattern=$2 line
    until grep -s "$pattern" "$side.log" >"$side.match"; do
        read -r -t 120 -u "${answers[$side]}" line || die "waited for $pattern of the $side in vain"
        echo "$line" >>"$side.log"
    done
}

# Has SIDE execute COMMAND with ARGUMENTS, and waits for the answer.
tell() {
    local side=$1 command=$2 arguments=${3:-}
    id=$((id + 1))
    echo "{\"execute\": \"$command\", \"arguments\": {$arguments}, \"id\": $id}" \
        >&"${commands[$side]}"
    await "$side" "\"id\": ${id}[,}]"
    ! grep '"error"' "$side.match" >&2 || die "the $side refused $command"
}

# Connects this shell to both.
connect() {
    exec 3<>source.commands 4<source.answers 5<>destination.commands 6<destination.answers
    for side in source destination; do
        tell $side qmp_capabilities
        tell $side migrate-set-capabilities \
            '"capabilities": [{"capability": "events", "state": true}]'
    done
}

qemu=$(command -v "${1:-qemu-system-x86_64}") || die "no such program: ${1:-qemu-system-x86_64}"
qemu=$(realpath -s "$qemu")
cd "$directory"
"$qemu" --version | sed -n 1p || die "no QEMU: $qemu"

#     cli
#     mov dx, 0x604           PM1 control, where the firmware has put it
#     mov ax, 0x2400          sleep enable, type S3
#     out dx, ax
# 1:  hlt
#     jmp 1b
printf '\xfa\xba\x04\x06\xb8\x00\x24\xef\xf4\xeb\xfd' >disk
printf '\x55\xaa' | dd of=disk bs=1 seek=510 status=none

start source
start destination -incoming unix:migrate.sock
connect
await source '"event": "SUSPEND"'
tell source migrate '"uri": "unix:migrate.sock"'
await source '"status": "completed"'
await destination '"status": "completed"'

tell destination query-status
status=$(sed 's/.*"status": "\([^"]*\)".*/\1/' destination.match)
echo "the suspended guest is \"$status\" on the destination"
if grep -q '"event": "WAKEUP"' source.log; then
    echo "the migration has woken it up on the source"
fi
[ "$status" = suspended ] || exit 1
tell destination system_wakeup
await destination '"event": "WAKEUP"'
echo "and wakes up there"
