#!/bin/sh
# The whole catalogue on a busy host: every target, both workloads, each QEMU alone. No fault is
# injected by the test itself, so any failure is a false alarm, or a bug of QEMU that is not known.
#
#   tests/load.sh LOOPS QEMU-FOLDER...
#
# LOOPS processes keep the processors busy meanwhile. GODWIT is the binary (default: build/godwit),
# LOAD_ARGS are more arguments for `godwit run`, LOAD_JSON is the file for its results.
# Exit status: that of `godwit run`.
#
# SPDX-License-Identifier: MIT
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 LOOPS QEMU-FOLDER..." >&2
    exit 2
fi
loops=$1
shift
godwit=${GODWIT:-build/godwit}
json=${LOAD_JSON:-build/load.json}

# A loop ends with this script, however that ends.
busy=
trap 'kill $busy 2>/dev/null || true' EXIT INT TERM
while [ "$loops" -gt 0 ]; do
    # shellcheck disable=SC2016 # $1 is the loop's own
    sh -c 'while kill -0 "$1" 2>/dev/null; do
               i=0
               while [ "$i" -lt 100000 ]; do i=$((i + 1)); done
           done' busy $$ &
    busy="$busy $!"
    loops=$((loops - 1))
done

for folder; do
    set -- "$@" --qemu "$folder"
    shift
done
# shellcheck disable=SC2086 # several arguments
"$godwit" run --accel tcg --accept-known "@${0%/*}/accepted-bugs" -j "$(nproc)" --format text --format "json:$json" ${LOAD_ARGS-} "$@"
