#!/bin/sh
# What matters to the guests of the other architectures, and a few of each way to migrate.
#
# QEMU 7.2 loses writes to pages in its TLB, so that `order` dirties 99 MiB there and takes three times
# as long as `stamp`. The plain ways do that on each architecture. For the others 32 MiB are enough,
# eight times the TLB; where RAM begins differs.
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/lib/runs.sh"

# others [ARCH...]: all but x86_64 and these, separated by commas.
others() {
    mk/arches.sh | awk -v without="x86_64 $*" '
        BEGIN { split(without, names, " "); for (i in names) known[names[i]] = 1 }
        !($0 in known) { printf "%s%s", count++ ? "," : "", $0 }'
}

ways() {
    run --slow "$@" 'precopy/unix/*' precopy/tcp/plain precopy/bad-dest postcopy/recovery/plain multifd/tcp/uri/plain
}

runs() {
    run --slow --arch "$(others)" 'guest/*' precopy/unix/plain postcopy/plain file/plain
    ways -w stamp --arch "$(others)"
    ways -w order --arch "$(others aarch64 riscv64)" --window 0x100000:0x2100000
    ways -w order --arch aarch64 --window 0x40100000:0x42100000
    ways -w order --arch riscv64 --window 0x80100000:0x82100000
}

as_one runs
