#!/bin/bash
# Every command, preset and page of the lab, once for each architecture and QEMU: `godwit compare`, and
# `godwit sweep` with each preset, with as few runs and as small a window as they take. Judges no time: a
# command must end well, or say what its QEMU lacks, and each page must have its figures. If no migration of a
# preset converges, that is bad, because nothing was shown.
#
#   tests/lab.sh [QEMUS...]      folders of QEMUs; default: those in PATH
#
# SPDX-License-Identifier: MIT
set -uo pipefail

godwit=${GODWIT:-build/godwit}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
good=0
lacking=0
bad=0

# Whether the page has a figure of each of the names, which are parts of their captions. Icons of legends are
# pictures, too, but have no caption.
has_figures() {
    local name
    for name; do
        grep -F '<figcaption>' "$folder/page.html" | grep -qF "$name" || {
            echo "the page has no figure \"$name\"" >>"$folder/err"
            return 1
        }
    done
}

# Runs a command of the lab on the QEMU $qemu for $arch, whose page must have the figures FIGURES, one a line.
try() {
    local figures status=0
    mapfile -t figures <<<"$1"
    shift
    "$godwit" "$@" --arch "$arch" --accel tcg --seed 1 -f "html:$folder/page.html" -f "json:$folder/report.json" \
        >"$folder/out" 2>"$folder/err" </dev/null || status=$?
    if [ "$status" = 0 ] && python3 -m json.tool "$folder/report.json" >/dev/null &&
        has_figures "${figures[@]}"; then
        good=$((good + 1))
    elif [ "$status" = 2 ] && grep -qE ' has no | does not take |no cell can run: |no scenario can run| is left out: ' "$folder/err"; then
        lacking=$((lacking + 1))
        echo "lacks $arch $qemu: $1 $2 $3: $(tail -n 1 "$folder/err")"
    else
        bad=$((bad + 1))
        echo "BAD   $arch $qemu: $*: exit status $status"
        head -n 30 "$folder/err" | cut -c 1-300
    fi
}

of_compare='ratios of B and A
differences of B and A
distribution of the blackout
total times in the order of the runs
rate of the transfer
states of both sides'
of_sweep='Total time of each cell
Blackout of each cell
Total times in the order of the runs'
presets=$("$godwit" sweep --preset list | awk '/^[a-z-]+: / { name = $1; next } !/^   none: / && name { print name; name = "" }' | tr -d :)
for arch in $(mk/arches.sh); do
    for folder_of in "${@:-}"; do
        qemu=qemu-system-$arch
        [ -z "$folder_of" ] || qemu=$folder_of/bin/qemu-system-$arch
        command -v "$qemu" >/dev/null || continue
        try "$of_compare" compare --a "$qemu" --runs 6 --scenarios precopy/tcp/plain
        for preset in $presets; do
            try "$of_sweep" sweep --preset "$preset" --qemu "$qemu" --runs 1 --give-up 15s
        done
    done
done
echo "$good good, $lacking lack something, $bad bad"
[ "$bad" = 0 ] && [ "$good" != 0 ]
