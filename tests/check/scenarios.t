#!/bin/sh
# Every scenario on x86_64, where the most can run. `make check-all` runs all of them everywhere.
exec "${GODWIT:-build/godwit}" run --format tap --accel tcg -j "$(nproc)" --arch x86_64
