#!/bin/sh
# The whole catalogue on a busy host: every target, both workloads, each QEMU alone. No fault is
# injected by the test itself, so any failure is a false alarm, or a bug of QEMU that is not known.
#
#   tests/load.sh LOOPS QEMU-FOLDER...
#
# Meanwhile stress-ng keeps LOOPS processors busy, writes to half of the memory that is free, and writes and
# syncs files beside those of the scenarios. GODWIT is the binary (default: build/godwit), LOAD_ARGS are more
# arguments for `godwit run`, LOAD_JSON is the file for its results.
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

# stress-ng and its files end with this script, however that ends.
files=$(mktemp -d "${TMPDIR:-/tmp}/godwit-load-XXXXXX")
free=$(awk '$1 == "MemAvailable:" { print int($2 / 2) }' /proc/meminfo)
# With 0 processors stress-ng would take all.
[ "$loops" -eq 0 ] || cpu="--cpu $loops"
# shellcheck disable=SC2086 # two arguments
setpriv --pdeathsig TERM stress-ng --quiet --temp-path "$files" ${cpu-} \
    --vm 1 --vm-bytes "${free}k" --vm-keep --hdd 1 --hdd-bytes 256m --hdd-opts fsync,wr-seq &
busy=$!
trap 'kill $busy 2>/dev/null || true; wait $busy || true; rm -rf "$files"' EXIT
trap 'exit 130' INT TERM

for folder; do
    set -- "$@" --qemu "$folder"
    shift
done
# shellcheck disable=SC2086 # several arguments
"$godwit" run --accel tcg --accept-known "@${0%/*}/accepted-bugs" -j "$(nproc)" --format text --format "json:$json" ${LOAD_ARGS-} "$@"
