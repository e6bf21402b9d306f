#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs `godwit selftest` on each QEMU given, and writes the table of who found what between the two
# marks in a Markdown file.
#
#   fault-table.sh GODWIT FILE RUNS QEMU...
set -eu
godwit=$1 file=$2 runs=$3
shift 3
begin='<!-- table: make fault-table -->' end='<!-- end of table -->'
for mark in "$begin" "$end"; do
    if ! grep -qxF "$mark" "$file"; then
        echo "$file: \"$mark\" is not in it" >&2
        exit 1
    fi
done
table=$(mktemp) && trap 'rm -f "$table"' EXIT
for qemu; do
    set -- "$@" --qemu "$qemu"
    shift
done
"$godwit" selftest -j "$(nproc)" --accel tcg --runs "$runs" --markdown "$@" >"$table"
awk -v begin="$begin" -v end="$end" -v table="$table" '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin { inside = 1; print ""; while ((getline line < table) > 0) print line; print "" }
' "$file" >"$table.new"
cat "$table.new" >"$file"
rm -f "$table.new"
