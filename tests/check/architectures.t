#!/bin/sh
# What matters to the guests of the other architectures, and a few of each way to migrate.
exec "${GODWIT:-build/godwit}" run --accept-known @tests/accepted-bugs --format tap --accel tcg -j "$(nproc)" \
    --arch aarch64,i386,ppc64,riscv64,s390x 'guest/*' 'precopy/unix/*' precopy/tcp/plain \
    precopy/bad-dest postcopy/plain postcopy/recovery/plain multifd/tcp/uri/plain file/plain
