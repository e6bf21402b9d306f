#!/bin/sh
# Every scenario on every architecture whose QEMU is installed.
exec "${GODWIT:-build/godwit}" run --format tap --accel tcg
