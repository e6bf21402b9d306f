#!/bin/sh
# Runs Godwit, and leaves for tmt what became of each scenario: results.yaml, with `result: custom`.
# $GODWIT_ARGUMENTS chooses scenarios and QEMUs; variables in it are expanded.
#
# SPDX-License-Identifier: MIT
set -u
data=${TMT_TEST_DATA:?set by tmt}
rm -f "$data/results.yaml"
eval "set -- ${GODWIT_ARGUMENTS---quick}"
"${GODWIT:-godwit}" run --accel "${GODWIT_ACCEL:-tcg}" --format text --format "tmt:$data/results.yaml" \
    --format "json:$data/results.json" --output "$data/failed" "$@"
status=$?
# Without results, tmt must not take an old file or none for a success.
if [ ! -s "$data/results.yaml" ]; then
    echo '[{"name": "/", "result": "error", "note": "godwit did not run: see the log"}]' >"$data/results.yaml"
fi
exit "$status"
