#!/bin/bash
# Godwit's catalogue and QEMU's own migration-test on one QEMU, one after the other: how long a test
# takes in each. `make bench-suite` calls it.
#
#   tests/bench-suite.sh [SUITE [QEMU]]
#
# SUITE: the Debian release whose QEMU source has the test program (default: bookworm). QEMU: the
# emulator, of the version of that source, for both (default: qemu-system-x86_64). Nothing fails by its
# time. The test program is built first, unless check-qemu-suite has built it.
#
# SPDX-License-Identifier: MIT
set -euo pipefail

suite=${1:-bookworm}
qemu=${2:-qemu-system-x86_64}
godwit=${GODWIT:-build/godwit}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
TIMEFORMAT='%R %U %S'

# Runs the command, and leaves its real and its processor time in $folder/NAME.time. A failed test is
# counted, not fatal.
timed() {
    local name=$1 status=0
    shift
    { time "$@" >"$folder/$name" 2>"$folder/$name.err" || status=$?; } 2>"$folder/$name.time"
    [ "$status" -lt 2 ] || {
        cat "$folder/$name.err" >&2
        exit 2
    }
}

export QEMU_SUITE_ARCHES=x86_64 QEMU_SUITE_BINARY=$qemu
# Builds what is missing, and runs one test.
QEMU_SUITE_TESTS='/precopy/unix/plain$' tests/vendor/qemu-suite.sh "$suite" >/dev/null
timed suite tests/vendor/qemu-suite.sh "$suite"
for jobs in 1 2; do
    timed "godwit-$jobs" "$godwit" run --arch x86_64 --qemu "$qemu" --accel tcg -j "$jobs" -w order \
        --accept-known @tests/accepted-bugs -f text -f "json:$folder/godwit-$jobs.json" -o "$folder/out"
done

# The number of the tests that passed, which alone are counted.
passed() {
    if [ "$1" = suite ]; then
        grep -cE '^ok [0-9]+ .* ms\)$' "$folder/suite"
    else
        awk '/ passed, / { print $1; exit }' "$folder/$1"
    fi
}

printf '%-38s %8s %8s %8s %10s\n' '' passed seconds each 'CPU each'
row() {
    local real user system count
    read -r real user system <"$folder/$1.time"
    count=$(passed "$1")
    awk -v name="$2" -v count="$count" -v real="$real" -v cpu="$user" -v more="$system" 'BEGIN {
        printf "%-38s %8d %8.1f %8.2f %10.2f\n", name, count, real, real / count, (cpu + more) / count }'
    awk -v count="$count" -v real="$real" 'BEGIN { print real / count }' >"$folder/$1.each"
}
row suite "migration-test of $suite"
row godwit-1 'godwit run -j1'
row godwit-2 'godwit run -j2'
for jobs in 1 2; do
    awk -v other="$(cat "$folder/suite.each")" -v own="$(cat "$folder/godwit-$jobs.each")" -v jobs="$jobs" 'BEGIN {
        printf "a test takes migration-test %.1f times as long as godwit run -j%d\n", other / own, jobs }'
done
