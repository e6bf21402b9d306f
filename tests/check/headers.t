#!/bin/sh
# The committed headers are what the sources make, byte for byte. A header that is left out because
# this system has no compiler for it is a test that is skipped.
left_out() {
    echo "$1" | sed -n "s/^\([a-z0-9_]*\) is left out: //p"
}

echo 1..3
if output=$(make check-headers 2>&1); then
    echo 'ok 1 - gen/*.h are what the sources make'
else
    echo 'not ok 1 - gen/*.h are what the sources make'
    echo "$output" | sed 's/^/# /'
fi
reason=$(left_out "$output")
echo "ok 2 - all of them${reason:+ # SKIP $reason}"

output=$(make check-headers LOONGARCH64_CC=no-such-compiler 2>&1)
status=$?
if [ $status -eq 0 ] && [ -n "$(left_out "$output")" ]; then
    echo 'ok 3 - one without a compiler is left out, with what helps'
else
    echo 'not ok 3 - one without a compiler is left out, with what helps'
    echo "$output" | sed 's/^/# /'
fi
