#!/bin/bash
# SPDX-License-Identifier: MIT
#
# QEMU's TCG before 9.0 loses writes in a live migration. No Godwit in here: a guest of 23 bytes,
# two QEMUs, QMP.
#
#   tcg-hot-page.sh [QEMU]        default: qemu-system-x86_64
#
# The guest, a boot sector, counts in the first four bytes of each of 128 pages, over and over. It
# is migrated live; the destination (-S) does not run it. Both sides stand still then, and all their
# memory is compared. Needs bash, awk, cmp, od, 300 MiB of memory and as much in $TMPDIR.
# Exit status: 0 both sides are equal, 1 they differ, 2 it could not be tried.
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
#     out 0xe9, al            to the debug console: the guest runs
# 1:  mov ax, 0x1000          the first page is at 0x10000
# 2:  mov ds, ax
#     inc dword [0]
#     add ax, 0x100           the next page
#     cmp ax, 0x9000
#     jb 2b
#     jmp 1b
printf '%b' '\xfa\xe6\xe9\xb8\x00\x10\x8e\xd8\x66\xff\x06\x00\x00\x05\x00\x01\x3d\x00\x90' \
    '\x72\xf1\xeb\xec' >disk
printf '\x55\xaa' | dd of=disk bs=1 seek=510 status=none

mkfifo console
exec 7<>console
start source -debugcon file:console
start destination -debugcon null -S -incoming unix:migrate.sock
connect
read -r -t 120 -N 1 -u 7 || die "the guest does not run"

# So slowly that each page counts on after it was sent, and without an end before pass 3.
tell source migrate-set-parameters '"max-bandwidth": 1000000, "downtime-limit": 1'
tell source migrate '"uri": "unix:migrate.sock"'
await source '"MIGRATION_PASS".*"pass": 3'
tell source migrate-set-parameters '"downtime-limit": 10000'
await source '"status": "completed"'
await destination '"status": "completed"'

for side in source destination; do
    tell $side pmemsave '"val": 0, "size": 134217728, "filename": "'$side'.memory"'
    echo "the first counter on the $side: $(od -A n -t u4 -j 65536 -N 4 $side.memory | tr -d ' ')"
done
cmp -l source.memory destination.memory >differences || :
awk '{ pages[int(($1 - 1) / 4096)] } END { for (page in pages) count++
    printf "of 32768 pages %d differ\n", count; exit count > 0 }' differences
