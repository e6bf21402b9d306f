#!/bin/sh
# On x86_64, where the most can run: the plain ways to migrate, one or two of each other family, the
# guests, and all of conformance and validation. `make check-all` runs every scenario everywhere.
exec "${GODWIT:-build/godwit}" run --accept-known @tests/accepted-bugs --format tap --accel tcg -j "$(nproc)" --arch x86_64 \
    'guest/*' 'precopy/unix/plain' 'precopy/unix/suspend/*' precopy/tcp/plain precopy/bad-dest \
    precopy/tcp/tls/psk/match precopy/tcp/tls/x509/default-host precopy/fd/socket \
    postcopy/plain postcopy/recovery/plain multifd/tcp/uri/plain file/plain stream/analyze hops/ping-pong \
    relay/none relay/flip-bit/first-byte relay/magic relay/truncate \
    relay/return-path/recovery faults/active/cut faults/postcopy-active/cut \
    'smp/*' 'conformance/*' 'validate/*' 'legacy/*'
