#!/bin/sh
# `godwit compare` on what is known: equals, of which it must not call any metric different, and a QEMU whose
# sending, or whose switchover, is slower by a known part (tests/stress/slow.c): how many of several
# comparisons find it. Takes about an hour on a quiet host.
#
#   tests/compare.sh SLOW QEMU [EQUALS [BUDGET [REPEATS]]]
#
# SLOW: tests/stress/slow.c as a library. EQUALS: comparisons of equals (default: 20), which end as
# compare ends by itself. BUDGET: of each of them (default: 60s). REPEATS: comparisons of each slowdown
# (default: 4). Fails if more than one of 20 comparisons of equals finds a difference, or if the largest
# slowdowns are not found.
#
# SPDX-License-Identifier: MIT
set -eu
slow=$(realpath -e "$1") # QEMU has another working folder
qemu=$2
equals=${3:-20}
budget=${4:-60s}
repeats=${5:-4}
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
    "$godwit" compare --arch x86_64 --accel tcg -f "csv:$folder/report" -f "text:$folder/text" "$@" \
        >"$folder/log" 2>&1 || status=$?
    [ "$status" -lt 2 ] || {
        cat "$folder/log"
        exit 1
    }
}

# The rows of the scenario's metric: effect, interval, the smallest slowdown that would be found, verdict.
rows() {
    awk -F, -v metric="$1" -v unit="$2" '$2 == metric && $1 != "geometric mean" {
        # Too few rounds give no interval, and nothing that they would show.
        interval = $10 == "" ? "[-]" : sprintf("[%.3f, %.3f]", $10, $11)
        shows = $17 == "" ? "-" : unit == "ms" ? sprintf("+%.2f ms", $17) : sprintf("+%.1f %%", 100 * $17)
        printf "%s %.3f %s shows %s %s\n", $1, $9, interval, shows, $18 }' "$folder/report"
}

echo "$equals comparisons of equals, $budget each"
wrong=0
i=0
while [ "$i" -lt "$equals" ]; do
    i=$((i + 1))
    compare --a "$qemu" --budget "$budget" --seed "$i"
    if grep -E ',(slower|faster|more|less|failing|failing more often)$' "$folder/report"; then
        wrong=$((wrong + 1))
    fi
    rows total %
    rows blackout ms
done
echo "$wrong of $equals comparisons of equals found a difference"

# slower METRIC UNIT ROUNDS WHAT: compares QEMU with the same one when it is slower, again and again. Sets
# $found.
slower() {
    found=0
    i=0
    while [ "$i" -lt "$repeats" ]; do
        i=$((i + 1))
        # The tolerance is a part of each slowdown, or one that is as large would be found half of the time.
        compare --a "$qemu" --b "$folder/slower" --scenarios precopy/tcp/plain --runs "$3" --seed "$i" \
            --tolerance 1% --tolerance-downtime 0.5ms --no-waterfall
        rows "$1" "$2"
        verdict=$(awk -F, -v metric="$1" '$2 == metric && $1 != "geometric mean" { print $18 }' "$folder/report")
        [ "$verdict" != slower ] || found=$((found + 1))
    done
    echo "$4: found in $found of $repeats, with $3 rounds$(sed -n 's/^ended after \([0-9]* s\):.*/ in \1/p' "$folder/text")"
}
while read -r part rounds; do
    export SLOW_PART="$part" SLOW_US=0
    slower total % "$rounds" "sending takes $part % longer"
done <<END
5 100
10 40
20 24
END
all=$found
while read -r us rounds; do
    export SLOW_PART=0 SLOW_US="$us"
    slower blackout ms "$rounds" "the switchover takes $((us / 1000)) ms longer"
done <<END
2000 40
5000 16
END
[ $((wrong * 20)) -le "$equals" ] && [ "$all" = "$repeats" ] && [ "$found" = "$repeats" ]
