#!/bin/sh
# The committed headers are what the sources make, byte for byte.
echo 1..1
if output=$(make check-headers 2>&1); then
    echo 'ok 1 - gen/*.h are what the sources make'
else
    echo 'not ok 1 - gen/*.h are what the sources make'
    echo "$output" | sed 's/^/# /'
fi
