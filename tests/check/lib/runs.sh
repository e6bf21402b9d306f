# shellcheck shell=sh
# Several runs of godwit as one test: `run OPTION... GLOB...` for each in a function, and
# `as_one FUNCTION`, which numbers their test points anew and exits with the worst of their statuses.
#
# SPDX-License-Identifier: MIT

run() {
    "${GODWIT:-build/godwit}" run --accept-known @tests/accepted-bugs --format tap --accel tcg -j "$(nproc)" "$@"
    echo "# exit $?"
}

as_one() {
    "$1" | awk '
        /^# exit [0-9]+$/   { if ($3 > worst) worst = $3; next }
        /^TAP version/      { if (begun++) next }
        /^1\.\.[0-9]+/      { next }
        /^(not )?ok [0-9]+/ { sub(/ok [0-9]+/, "ok " ++points) }
                            { print; fflush() }
        END                 { print "1.." points + 0; exit worst }'
}
