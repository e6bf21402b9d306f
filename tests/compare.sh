#!/bin/sh
# `godwit compare` on what is known: equals, which it must not call slower or faster, and a QEMU whose
# sending, or whose switchover, is slower by a known part (tests/stress/slow.c): how many of several
# comparisons find it. Takes about half an hour on a quiet host.
#
#   tests/compare.sh SLOW QEMU [EQUALS [ROUNDS [REPEATS]]]
#
# SLOW: tests/stress/slow.c as a library. EQUALS: comparisons of equals (default: 20). ROUNDS: how many
# each comparison makes (default: 20). REPEATS: comparisons of each slowdown (default: 5). Fails if more
# than one of 20 comparisons of equals finds a difference, or if the largest slowdowns are not found.
#
# SPDX-License-Identifier: MIT
set -eu
slow=$1
qemu=$2
equals=${3:-20}
rounds=${4:-20}
repeats=${5:-5}
godwit=${GODWIT:-build/godwit}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# A QEMU that tests/stress/slow.c makes slower.
cat >"$folder/slower" <<'END2'
#!/bin/sh
export LD_PRELOAD="$SLOW" SLOW_PART SLOW_US
exec "$QEMU" "$@"
END2
chmod +x "$folder/slower"
export SLOW="$slow" QEMU="$qemu"

# Compares with the further arguments. Fails only if it could not be compared.
compare() {
    status=0
    "$godwit" compare --arch x86_64 --accel tcg --runs "$rounds" -f "csv:$folder/report" "$@" \
        >"$folder/log" 2>&1 || status=$?
    [ "$status" -lt 2 ] || {
        cat "$folder/log"
        exit 1
    }
}

# The rows of the scenario's metric: effect, interval, the smallest slowdown that would be found, verdict.
rows() {
    awk -F, -v metric="$1" -v unit="$2" '$2 == metric && $1 != "geometric mean" {
        printf "%s %.3f [%.3f, %.3f] shows %s %s\n", $1, $9, $10, $11,
            unit == "ms" ? sprintf("+%.2f ms", $17) : sprintf("+%.1f %%", 100 * $17), $18 }' "$folder/report"
}

echo "$equals comparisons of equals, $rounds rounds each"
wrong=0
i=0
while [ "$i" -lt "$equals" ]; do
    i=$((i + 1))
    compare --a "$qemu" --seed "$i"
    if grep -qE ',(slower|faster)$' "$folder/report"; then
        wrong=$((wrong + 1))
        grep -E ',(slower|faster)$' "$folder/report"
    fi
    rows total %
    rows blackout ms
done
echo "$wrong of $equals comparisons of equals found something slower or faster"

# Compares QEMU with the same one when it is slower, again and again. Sets $found.
slower() {
    found=0
    i=0
    while [ "$i" -lt "$repeats" ]; do
        i=$((i + 1))
        compare --a "$qemu" --b "$folder/slower" --scenarios precopy/tcp/plain --seed "$i"
        rows "$1" "$2"
        verdict=$(awk -F, -v metric="$1" '$2 == metric && $1 != "geometric mean" { print $18 }' "$folder/report")
        [ "$verdict" != slower ] || found=$((found + 1))
    done
}
for part in 5 10 20; do
    export SLOW_PART=$part SLOW_US=0
    slower total %
    echo "sending takes $part % longer: found in $found of $repeats"
done
all=$found
for us in 2000 5000 10000; do
    export SLOW_PART=0 SLOW_US=$us
    slower blackout ms
    echo "the switchover takes $((us / 1000)) ms longer: found in $found of $repeats"
done
[ $((wrong * 20)) -le "$equals" ] && [ "$all" = "$repeats" ] && [ "$found" = "$repeats" ]
