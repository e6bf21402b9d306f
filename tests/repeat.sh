#!/bin/sh
# Scenarios many times: once on a quiet host, once with every processor kept busy.
#
#   tests/repeat.sh COUNT [GLOB...]         default: the guests, and the plain ways to migrate
#
# SPDX-License-Identifier: MIT
set -eu
count=$1
shift
[ $# -gt 0 ] || set -- 'guest/*' 'precopy/unix/plain' 'precopy/unix/suspend/*' precopy/tcp/plain \
    precopy/bad-dest postcopy/plain
godwit=${GODWIT:-build/godwit}

busy=
trap 'kill $busy 2>/dev/null || true' EXIT
trap 'exit 1' INT TERM HUP

echo "== $count times each"
"$godwit" run --accel tcg --accept-known "@${0%/*}/accepted-bugs" --repeat "$count" "$@"

processors=$(nproc)
echo "== $count times each with $processors busy loops"
while [ "$processors" -gt 0 ]; do
    setpriv --pdeathsig KILL sh -c 'while :; do :; done' &
    busy="$busy $!"
    processors=$((processors - 1))
done
"$godwit" run --accel tcg --accept-known "@${0%/*}/accepted-bugs" --repeat "$count" "$@"
