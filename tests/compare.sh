#!/bin/sh
# `godwit compare` on what is known: equals, which it must not call slower, and transfers that a lower
# bandwidth makes slower by a known part, which it should find if it makes enough rounds. Takes about
# 20 minutes on a quiet host.
#
#   tests/compare.sh QEMU [EQUALS [ROUNDS [SLOWER]]]
#
# EQUALS: comparisons of equals (default: 5). ROUNDS: how many each comparison makes (default: "8 16").
# SLOWER: by how many percent B is slower (default: "5 10 20 40"). Fails if more than one comparison of
# equals finds something slower, or if the last slowdown is not found with the last number of rounds.
#
# SPDX-License-Identifier: MIT
set -eu
qemu=$1
equals=${2:-5}
rounds=${3:-8 16}
slower=${4:-5 10 20 40}
godwit=${GODWIT:-build/godwit}
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# Compares with the further arguments, and prints ratio, interval and verdict of the total time. Fails
# only if it could not be compared.
compare() {
    status=0
    "$godwit" compare --a "$qemu" --arch x86_64 --accel tcg -f "csv:$report" "$@" || status=$?
    [ "$status" -lt 2 ]
    awk -F, '$2 == "total" && $1 != "geometric mean" {
        low = $10; high = $11; ratio = $9
        if ($17 != "") shows = sprintf("+%.1f %%", 100 * $17)
        printf "%-20s %7.3f  [%.3f, %.3f] %9s  %s\n", $1, ratio, low, high, shows, $18
    }' "$report"
}

# The last verdict of the total time.
verdict() { awk -F, '$2 == "total" && $1 != "geometric mean" { v = $18 } END { print v }' "$report"; }

wrong=0
last=0
for n in $rounds; do last=$n; done
echo "$equals comparisons of equals, $last rounds each"
i=0
while [ "$i" -lt "$equals" ]; do
    i=$((i + 1))
    compare --runs "$last"
    ! grep -q ',slower$' "$report" || wrong=$((wrong + 1))
done
echo "$wrong of $equals comparisons found something slower"

# The guest is stopped first, and nothing but the bandwidth matters: two seconds, or twenty of QEMU's
# periods.
bandwidth=4300000
echo "B is slower by a known part"
for part in $slower; do
    for n in $rounds; do
        printf '%3s %% %3s rounds  ' "$part" "$n"
        compare precopy/fd/file --window 0x100000:0x500000 --runs "$n" --set downtime-limit=1 \
            --set-a max-bandwidth=$bandwidth \
            --set-b max-bandwidth=$((bandwidth * 100 / (100 + part)))
    done
done
[ "$wrong" -le 1 ] && [ "$(verdict)" = slower ]
