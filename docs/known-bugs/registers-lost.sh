#!/bin/bash
# SPDX-License-Identifier: MIT
#
# QEMU does not migrate all that is in aarch64's SVE registers, nor riscv64's floating-point
# exception flags, and inverts a bit of ppc64's MSR. No Godwit in here: a guest of 68 bytes at most, a
# migration into a file and out of it, the monitor.
#
#   registers-lost.sh [QEMU]        default: qemu-system-riscv64; or qemu-system-aarch64 or -ppc64
#
# The guest fills a register once, and from then on stores what is in it and what should be, over and
# over, and counts. Needs bash, 300 MiB of memory and as much in $TMPDIR.
# Exit status: 0 the register has been kept, 1 it has not, 2 it could not be tried.
set -euo pipefail
export LC_ALL=C

directory=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || :; wait; rm -rf "$directory"' EXIT
trap 'exit 2' INT TERM

die() {
    echo "$*" >&2
    cat "$directory"/errors >&2 2>/dev/null || :
    exit 2
}

qemu=$(command -v "${1:-qemu-system-riscv64}") || die "no such program: ${1:-qemu-system-riscv64}"
qemu=$(realpath -s "$qemu")
cd "$directory"
"$qemu" --version | sed -n 1p || die "no QEMU: $qemu"

machine=virt
memory=64
case ${qemu##*/} in
*aarch64*)
    #         no traps of SVE, vectors as long as can be: CPACR_EL1, ZCR_EL1
    #         mov z0.b, #-1
    # again:  x1: the number of z0's bytes that are -1; x2: of all its bytes
    #         stp x1, x2, [x3]
    #         x4 counts; str x4, [x3, #16]
    #         b again
    guest='d2a00660 d5181040 d5033fdf d28001e0 d5181200 d5033fdf 2538dfe0 2518e3e0
        d2a80003 f2820003 251f8001 25208021 0420e3e2 a9000861 91000484 f9000864
        17fffffa'
    options=(-kernel image -cpu max)
    result=0x40001000
    meaning='bytes kept in z0'
    ;;
*riscv64*)
    #         mstatus.FS: dirty
    #         li t0, 0x3f; csrw fcsr, t0: rounding mode 1, all five flags
    # again:  csrr t2, fcsr
    #         sd t2, 0(t1); sd t0, 8(t1)
    #         t3 counts; sd t3, 16(t1)
    #         j again
    guest='000062b7 3002a073 03f00293 00329073 80001337 02031313 02035313 003023f3
        00733023 00533423 001e0e13 01c33823 fedff06f'
    options=(-bios image)
    result=0x80001000
    meaning='fcsr'
    ;;
*ppc64*)
    #         at 0x100, where a reset leads to:
    #         mfmsr %r4; lis %r5, 0x10; li %r6, 0
    # again:  mfmsr %r3; std %r3, 0(%r5); std %r4, 8(%r5)
    #         %r6 counts; std %r6, 16(%r5)
    #         b again
    guest=$(printf '00000000 %.0s' {1..64})
    guest+='7c8000a6 3ca00010 38c00000 7c6000a6 f8650000 f8850008 38c60001 f8c50010 4bffffec'
    machine=pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off
    memory=256
    options=(-bios image)
    result=0x100000
    meaning='MSR'
    ;;
*) die "neither qemu-system-aarch64, qemu-system-ppc64 nor qemu-system-riscv64: $qemu" ;;
esac
for word in $guest; do
    case ${qemu##*/} in
    *ppc64*) printf '%b' "\\x${word:0:2}\\x${word:2:2}\\x${word:4:2}\\x${word:6:2}" ;;
    *) printf '%b' "\\x${word:6:2}\\x${word:4:2}\\x${word:2:2}\\x${word:0:2}" ;;
    esac
done >image

# Starts one side, its monitor on this shell's descriptors 3 (from it) and 4 (to it).
start() {
    mkfifo "$1.out" "$1.in"
    "$qemu" -machine "$machine,accel=tcg" -m "$memory" -nodefaults -display none -monitor stdio \
        "${options[@]}" "${@:2}" <"$1.in" >"$1.out" 2>errors &
    exec 4>"$1.in" 3<"$1.out"
}

# Has the monitor execute COMMAND, and leaves what the group in PATTERN stands for in $answer.
ask() {
    local command=$1 pattern=$2 line=
    echo "$command" >&4
    until [[ $line =~ $pattern ]]; do
        read -r -t 60 line <&3 || die "no answer of the monitor to: $command"
    done
    answer=${BASH_REMATCH[1]}
}

# The guest's number at OFFSET from its result.
number() {
    ask "xp /1gx $((result + $1))" ': (0x[0-9a-f]+)'
    number=$((answer))
}

# Waits until the guest has gone twice round its loop, so that what it has stored is of here and now.
report() {
    number 16
    local before=$number
    echo cont >&4
    until ((number > before + 2)); do
        number 16
    done
    number 0
    found=$number
    number 8
    expected=$number
    echo "$meaning on the $1: $found, should be $expected"
}

start source
report source
((found == expected)) || die "not even on the source"
echo 'migrate "exec:cat >state"' >&4
echo quit >&4
cat <&3 >/dev/null
wait

start destination -S -incoming 'exec:cat state'
answer=inmigrate
until [[ $answer != *inmigrate* ]]; do
    ask 'info status' 'VM status: (.*)'
done
report destination
((found == expected))
