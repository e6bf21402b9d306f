#!/bin/bash
# SPDX-License-Identifier: MIT
#
# QEMU reports twice that a multifd migration has failed, or is failing. No Godwit in here: two QEMUs without a
# guest, QMP.
#
#   multifd-failed-twice.sh [QEMU]        default: qemu-system-x86_64
#
# A multifd migration is slowed down, its destination killed, and the source let go: it should tell
# of no state twice in a row. Which of its threads notice first is a matter of luck, so there are
# ten attempts. Needs bash.
# Exit status: 0 it never did, 1 it did, 2 it could not be tried.
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
    rm -f "$side".*
    mkfifo "$side.commands" "$side.answers"
    "$qemu" -machine pc,accel=tcg -m 512 -nodefaults -display none -S -qmp stdio "$@" \
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
            '"capabilities": [{"capability": "events", "state": true},
                {"capability": "multifd", "state": true}]'
        tell $side migrate-set-parameters '"multifd-channels": 16, "max-bandwidth": 1048576'
    done
}

qemu=$(command -v "${1:-qemu-system-x86_64}") || die "no such program: ${1:-qemu-system-x86_64}"
qemu=$(realpath -s "$qemu")
cd "$directory"
"$qemu" --version | sed -n 1p || die "no QEMU: $qemu"

twice=0
for _ in {1..10}; do
    start source
    start destination -incoming defer
    victim=$!
    connect
    tell destination migrate-incoming '"uri": "unix:migrate.sock"'
    tell source migrate '"uri": "unix:migrate.sock"'
    await destination '"status": "active"'
    kill -KILL $victim
    wait $victim 2>/dev/null || :
    tell source migrate-set-parameters '"max-bandwidth": 1099511627776'
    await source '"status": "failed"'
    # Whatever it has to say comes before its end.
    tell source quit
    await source '"event": "SHUTDOWN"'
    sed -n 's/.*"event": "MIGRATION".*"status": "\([^"]*\)".*/\1/p' source.log >states
    cmp -s states <(uniq states) || twice=$((twice + 1))
    wait
done
echo "of 10 failures $twice were reported twice"
[ $twice -eq 0 ]
