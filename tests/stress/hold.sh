#!/bin/sh
# Migrations that are held back, where the host gives the guest little: with eight busy loops, and
# then with them and with the source's vCPU threads stopped for half a second at random
# (tests/stress/stall.c). A migration that converges before it is proven to be live, or anything
# else that fails, is a false alarm: the QEMUs are sound.
#
#   STALL=build/tests/stall GODWIT=build/godwit tests/stress/hold.sh ROUNDS [QEMU...]
#
# Each QEMU is a binary of x86_64. A round takes some two minutes on two processors.
#
# SPDX-License-Identifier: MIT
set -eu
rounds=$1
shift
[ $# -gt 0 ] || set -- qemu-system-x86_64
godwit=${GODWIT:-build/godwit}
loops=8

folder=$(mktemp -d)
busy=
trap 'kill $busy 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP

while [ "$loops" -gt 0 ]; do
    setpriv --pdeathsig KILL sh -c 'while :; do :; done' &
    busy="$busy $!"
    loops=$((loops - 1))
done

# Runs what holds on the QEMU $1; prints its last lines, and everything if something is wrong.
run()
{
    echo "== $2"
    if "$godwit" run --arch x86_64 --accel tcg -j 6 -w order,stamp --slow --qemu "$1" \
        --accept-known "@${0%/*}/../accepted-bugs" -o "$folder/output" 'precopy/*' 'multifd/*' 'cancel/*' 'file/*' 'smp/*' >"$folder/log" 2>&1
    then
        grep -E '^[0-9]+ passed' "$folder/log"
    else
        cat "$folder/log"
        wrong=$((wrong + 1))
    fi
}

wrong=0
round=1
while [ "$round" -le "$rounds" ]; do
    for qemu in "$@"; do
        real=$(command -v "$qemu") || { echo "no $qemu" >&2; exit 2; }
        printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$(realpath "$STALL")" "$(realpath "$real")" \
            >"$folder/qemu-system-x86_64"
        chmod +x "$folder/qemu-system-x86_64"
        run "$real" "round $round, $real, busy"
        run "$folder/qemu-system-x86_64" "round $round, $real, busy, the guest stopped at random"
    done
    round=$((round + 1))
done
if [ "$wrong" -gt 0 ]; then
    echo "$wrong of $((rounds * $# * 2)) runs had a false alarm"
    exit 1
fi
echo "no false alarm in $((rounds * $# * 2)) runs"
