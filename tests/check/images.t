#!/bin/sh
# x86's other image and machine: the boot sector, on pc.
exec "${GODWIT:-build/godwit}" run --accept-known @tests/accepted-bugs --format tap --accel tcg --arch x86_64,i386 \
    --slow --image x86_bootsect --machine pc -j "$(nproc)" "guest/*" "p*/*/plain" "precopy/unix/suspend/*"
