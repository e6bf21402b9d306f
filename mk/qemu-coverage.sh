#!/bin/bash
# Measures what of QEMU's migration code Godwit's scenarios reach, and QEMU's own migration-test.
#
#   mk/qemu-coverage.sh GODWIT FOLDER FIRMWARE [GLOB...]
#
# Builds QEMU 10.0 from Debian's source package in FOLDER, with gcov in the files that migrate and
# that track dirty memory (mk/coverage/cc.sh), runs the catalogue, or the scenarios that match a
# GLOB, and QEMU's suite, and writes
#   docs/coverage.md        the tables, by file and by function
#   FOLDER/missing.txt      each line that Godwit does not reach
#   FOLDER/html/index.html  gcovr's report of Godwit's run
#   FOLDER/godwit.json      what came of the scenarios
# FIRMWARE is a QEMU 10.0 of mk/qemus.sh, whose firmware is used. What is built is kept, and only what
# has changed is built again.
#
# Environment:
#   COVERAGE_JOBS     scenarios at a time; default 2
#   COVERAGE_RUNS     what to run; default "godwit devices suite". The figures of what is not run are
#                     those of its last run. godwit is the catalogue; devices is roundtrip/*, for
#                     each device of this QEMU, and `godwit compat`, and counts as Godwit's as well;
#                     suite is QEMU's, with Godwit's guests, see tests/vendor/qemu-suite.sh.
#
# Exit status: 1 if a reason in mk/coverage/reasons is wrong, 2 if something else failed. Scenarios
# that fail are printed, and count: what they have reached is reached.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
godwit=$(realpath "$1")
folder=$(mkdir -p "$2" && cd "$2" && pwd)
firmware=$(cd "$3" && pwd)
shift 3
top=$(pwd)
jobs=${COVERAGE_JOBS:-2}
runs=${COVERAGE_RUNS-godwit devices suite}
suite=trixie
fetched=$folder/$suite
source=$folder/source
build=$folder/qemu

say() {
    echo "qemu-coverage: $*" >&2
}

die() {
    say "$@"
    exit 2
}

build_qemu() {
    mk/qemu-source.sh "$fetched" "$suite" meson python3-pycotap
    if [ ! -d "$source" ]; then
        rm -rf "$folder/unpacked"
        dpkg-source --no-check -x "$fetched"/qemu_*.dsc "$folder/unpacked" >"$folder/unpack.log"
        find "$folder/unpacked/tests" -name 'a-b-*' -delete # QEMU's guests, which nothing here needs
        mv "$folder/unpacked" "$source"                     # whole, or not there
    fi
    mkdir -p "$build"
    say "building QEMU in $build (15 minutes on two cores, the first time); see $build.log"
    (
        cd "$build"
        export PATH=$fetched/tools/usr/bin:/usr/bin:/bin
        export PYTHONPATH=$fetched/tools/usr/lib/python3/dist-packages
        [ -e build.ninja ] || "$source/configure" --cc="$top/mk/coverage/cc.sh" \
            --target-list=x86_64-softmmu --without-default-features --enable-tcg --enable-tools \
            --enable-replication --enable-colo-proxy --enable-zstd --enable-gnutls --enable-pixman \
            --enable-fdt --enable-tpm --enable-slirp --enable-vhost-kernel --enable-vhost-net \
            --enable-vhost-user --enable-vvfat --enable-qcow1 --disable-install-blobs --disable-werror --disable-docs
        # ninja does not know what cc.sh adds.
        [ ! "$top/mk/coverage/cc.sh" -nt qemu-system-x86_64 ] ||
            find . -name '*.gcno' | sed 's/gcno$/o/' | xargs -r rm -f
        [ ! "$top/mk/coverage/counters.c" -nt qemu-system-x86_64 ] || rm -f qemu-system-x86_64
        nice ninja -j "$(nproc)" qemu-system-x86_64 qemu-img storage-daemon/qemu-storage-daemon
    ) >"$build.log" 2>&1 || die "building failed, see $build.log"
    mkdir -p "$folder/bin"
    ln -sf "$build/qemu-img" "$build/storage-daemon/qemu-storage-daemon" "$folder/bin/"
    cat >"$folder/bin/qemu-system-x86_64" <<END
#!/bin/sh
# Made by mk/qemu-coverage.sh.
exec '$build/qemu-system-x86_64' -L '$firmware/root/usr/share/qemu' -L '$firmware/root/usr/share/seabios' "\$@"
END
    chmod +x "$folder/bin/qemu-system-x86_64"
}

# count NAME COMMAND...: runs COMMAND with its QEMUs counting into the run NAME.
count() {
    local counters=$folder/counters/$1

    rm -rf "$counters"
    mkdir -p "$counters"
    shift
    GODWIT_COUNTERS=$counters "$@"
}

# Leaves what the run NAME has counted as one document of gcov a file in $folder/NAME.gcov.
collect() {
    local name=$1 sum=$folder/sum/$1

    rm -rf "$sum"
    mkdir -p "$sum"
    (
        cd "$build"
        find . -name '*.gcno' -exec cp --parents -t "$sum" {} +
    )
    GODWIT_COUNTERS_SUM=1 GODWIT_COUNTERS=$folder/counters/$name GCOV_PREFIX=$sum \
        GCOV_PREFIX_STRIP=$(tr -cd / <<<"$build" | wc -c) "$build/qemu-system-x86_64" >"$folder/$name.qemus"
    [ -n "$(find "$sum" -name '*.gcda' -print -quit)" ] || die "the run of $name has counted nothing"
    (
        cd "$build" # paths of the sources are as the compiler saw them
        find "$sum" -name '*.gcda' -exec gcov --json-format --stdout {} + >"$folder/$name.gcov"
    ) 2>"$folder/gcov.log" || die "gcov failed, see $folder/gcov.log"
}

run_godwit() {
    local status=0

    say "running Godwit's scenarios"
    count godwit "$godwit" run --accel tcg --slow -j "$jobs" --qemu "$folder/bin" \
        --accept-known @tests/accepted-bugs --output "$folder/output" \
        --format text:"$folder/godwit.log" --format json:"$folder/godwit.json" "$@" || status=$?
    [ $status -le 1 ] || die "the scenarios could not be run"
    grep '^FAIL' "$folder/godwit.log" >&2 || true
    sed -n '/^[0-9]* passed/s/^/qemu-coverage: /p' "$folder/godwit.log" >&2
    collect godwit
}

# compat asks a QEMU for the description of its state, and needs a second QEMU.
# shellcheck disable=SC2317 # count calls it
move_devices() {
    "$godwit" compat --arch x86_64 --devices none --cpu-models none "$folder/bin" "$firmware/bin" \
        >"$folder/compat.log" || [ $? = 1 ] || return 2
    "$godwit" run 'roundtrip/*' --accel tcg --workload order -j "$jobs" --qemu "$folder/bin" \
        --accept-known @tests/accepted-bugs --output "$folder/output" --format text:"$folder/devices.log" ||
        [ $? = 1 ]
}

run_devices() {
    say "migrating each device"
    count devices move_devices || die "the devices could not be migrated"
    collect devices
}

run_suite() {
    say "running QEMU's migration-test; see $folder/suite.log"
    count suite env QEMU_SUITE_DIR="$folder" QEMU_SUITE_ARCHES=x86_64 \
        QEMU_SUITE_BINARY="$folder/bin/qemu-system-%s" tests/vendor/qemu-suite.sh "$suite" \
        >"$folder/suite.log" || [ $? = 1 ] || die "QEMU's suite could not be run"
    collect suite
}

# How a column was measured, as one sentence.
title() {
    local log=$folder/$1.log
    case $1 in
    godwit)
        echo "the catalogue: $(sed -n 's/ in [0-9.]* s$//; /^[0-9]* passed,/p' "$log"), $(<"$folder/godwit.qemus")" \
            "QEMUs$([ ! -e "$folder/devices.gcov" ] || echo "; each device: $(<"$folder/devices.qemus") QEMUs")"
        ;;
    suite) echo "its migration-test with Godwit's guests: $(sed -n "s/^# $suite x86_64: //p" "$log")" ;;
    esac
}

[ -z "$runs" ] || build_qemu
case " $runs " in *' godwit '*) run_godwit "$@" ;; esac
case " $runs " in *' devices '*) run_devices ;; esac
case " $runs " in *' suite '*) run_suite ;; esac
if [ ! -e "$folder/godwit.gcov" ]; then
    say "no tables: Godwit's scenarios have not been run"
    exit 0
fi
# gcovr takes all of Godwit's runs for one.
own=("$folder/sum/godwit") measured=$folder/godwit.gcov
if [ -e "$folder/devices.gcov" ]; then
    own+=("$folder/sum/devices") measured=$measured,$folder/devices.gcov
fi
columns=(Godwit "$(title godwit)" "$measured")
[ ! -e "$folder/suite.gcov" ] || columns+=("QEMU's suite" "$(title suite)" "$folder/suite.gcov")
gcovr --root "$source" --filter "$source/migration/" --filter "$source/system/" \
    --filter "$source/include/exec/ram_addr.h" --gcov-ignore-parse-errors --html-title "QEMU, reached by Godwit" \
    --html-details "$(mkdir -p "$folder/html" && echo "$folder/html/index.html")" "${own[@]}" \
    >"$folder/gcovr.log" 2>&1 || die "gcovr failed, see $folder/gcovr.log"
status=0
mk/coverage/table.pl docs/coverage.md mk/coverage/reasons "$source" "$folder/missing.txt" \
    "${columns[@]}" || status=$?
say "see docs/coverage.md, $folder/missing.txt and $folder/html/index.html"
exit $status
