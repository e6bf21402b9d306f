#!/bin/sh
# On x86_64, where the most can run: the plain ways to migrate, one or two of each other family, the
# guests, and all of conformance and validation. `make check-all` runs every scenario everywhere.
#
# With `order`, some of those that send the most have a window of 32 MiB instead of the 99 that QEMU 7.2
# gets; see architectures.t.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/lib/runs.sh"

large() {
    run --arch x86_64 "$@" precopy/tcp/tls/psk/match precopy/tcp/tls/x509/default-host multifd/tcp/uri/plain \
        stream/analyze hops/ping-pong legacy/compress relay/return-path/recovery faults/active/cut \
        faults/postcopy-active/cut
}

runs() {
    run --arch x86_64 'guest/*' precopy/unix/plain 'precopy/unix/suspend/*' precopy/tcp/plain precopy/bad-dest \
        precopy/fd/socket postcopy/plain postcopy/recovery/plain file/plain \
        relay/none relay/flip-bit/first-byte relay/magic relay/truncate \
        'smp/*' 'conformance/*' 'validate/*' 'netns/*' legacy/set-downtime legacy/set-speed --slow
    large -w stamp
    large -w order --window 0x100000:0x2100000
}

as_one runs
