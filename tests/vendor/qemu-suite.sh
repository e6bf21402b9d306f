#!/bin/bash
# Runs QEMU's own migration tests with Godwit's guests instead of QEMU's.
#   qemu-suite.sh [SUITE...]        Debian releases whose QEMU source to take; default: bookworm
# Environment:
#   QEMU_SUITE_DIR      where to work; default build/qemu-suite (1.5 GB a suite)
#   QEMU_SUITE_GUESTS   godwit (default), or qemu for a run with QEMU's own guests to compare with
#   QEMU_SUITE_ARCHES   default "x86_64 aarch64 ppc64 s390x"
#   QEMU_SUITE_BINARY   the emulators, %s standing for the architecture; default qemu-system-%s.
#                       They have to be of the version of the source.
#   QEMU_SUITE_HIDE     a folder that the emulators must not see: the modules of an installed QEMU,
#                       which another build finds there, and aborts over. As root or where user
#                       namespaces are allowed.
#   QEMU_SUITE_TESTS    an extended regular expression that chooses tests; default all
#
# Only the test program is built, not the emulators. Its own guests (assembly, C and the headers
# made from them) are removed right after unpacking, and nothing here reads them. A test that fails
# with Godwit's guests is tried with QEMU's, from a second copy of the source that keeps their
# headers until they are compiled; if it fails there as well it is marked as a "# TODO" and does not count,
# unless no test of the architecture passes.
#
# Needs ninja, dpkg-dev, python3-venv and the headers of GLib and pixman. Prints TAP, and a summary
# for each architecture. Exit status: 1 if a test failed, 2 if something else did.
# SPDX-License-Identifier: MIT
set -euo pipefail

directory=${QEMU_SUITE_DIR:-build/qemu-suite}
guests=${QEMU_SUITE_GUESTS:-godwit}
arches=${QEMU_SUITE_ARCHES:-x86_64 aarch64 ppc64 s390x}
binary=${QEMU_SUITE_BINARY:-qemu-system-%s}
hide=${QEMU_SUITE_HIDE:-}
tests=${QEMU_SUITE_TESTS:-.}
test_seconds=300

die() {
    echo "qemu-suite: $*" >&2
    exit 2
}

# Leaves QEMU's source, with GUESTS (godwit or qemu) to come, in $work/GUESTS/source. The program of
# QEMU 7.2 would skip s390x without KVM; that is taken out.
unpack() {
    local guests=$1 unpacked kept=()

    [ "$guests" = godwit ] || kept=(! -name '*.h')
    rm -rf "${work:?}/$guests"
    mkdir -p "$work/$guests"
    unpacked=$work/$guests/unpacked
    dpkg-source --no-check -x "$work"/qemu_*.dsc "$unpacked" >"$work/$guests/unpack.log"
    find "$unpacked/tests" -name 'a-b-*' "${kept[@]}" -delete
    sed -i '/^ *if (g_str_equal(arch, "s390x") &&/s/ &&/ \&\& false \&\&/' \
        "$unpacked/tests/qtest/migration-test.c"
    mv "$unpacked" "$work/$guests/source" # whole, or not there
}

# The folder where the test program of SOURCE looks for a-b-*.h moved once.
headers_folder() {
    local source=$1 place

    for place in tests/qtest/migration tests/migration; do
        if [ -d "$source/$place/i386" ]; then
            echo "$source/$place"
            return
        fi
    done
    die "no folder for guest headers in QEMU's source of $suite"
}

# Leaves the test program with GUESTS in it in $work/GUESTS/build. s390x is configured because that
# asks for the least; the program is the same for all.
build() {
    local guests=$1 folder
    local source=$work/$guests/source build=$work/$guests/build

    [ -d "$source" ] || unpack "$guests"
    if [ "$guests" = godwit ]; then
        folder=$(headers_folder "$source")
        STYLE=qemu DEST=$folder sh gen/vendor.sh >/dev/null
    elif [ -e "$work/$guests/built" ]; then
        return # its headers are gone
    fi
    mkdir -p "$build"
    (
        cd "$build"
        export PATH=$work/tools/usr/bin:/usr/bin:/bin
        export PYTHONPATH=$work/tools/usr/lib/python3/dist-packages
        [ -e build.ninja ] || ../source/configure --target-list=s390x-softmmu \
            --without-default-features --disable-install-blobs --disable-werror
        ninja -j "$(nproc)" tests/qtest/migration-test
    ) >"$build.log" 2>&1 || die "building failed, see $build.log"
    if [ "$guests" = qemu ]; then
        touch "$work/$guests/built"
        find "$source/tests" -name 'a-b-*' -delete
    fi
}

# Distribution binaries have no qtest accelerator, which the tests ask for beside others, and the
# qtest protocol works without it. KVM is dropped so that every host runs the same: under TCG.
wrapper() {
    local arch=$1 command

    # shellcheck disable=SC2059 # the pattern is the caller's
    command="exec $(printf "$binary" "$arch")"
    if [ -n "$hide" ]; then
        command="exec unshare $([ "$(id -u)" = 0 ] || echo --map-root-user) --mount sh -c \
'mount -t tmpfs none $hide && $command \"\$@\"' sh"
    fi
    cat >"$work/bin/qemu-system-$arch" <<END
#!/bin/bash
arguments=()
while [ \$# -gt 0 ]; do
    case "\$1 \${2-}" in
    '-accel qtest' | '-accel kvm'*) shift 2 ;;
    *) arguments+=("\$1") && shift ;;
    esac
done
$command "\${arguments[@]}"
END
    chmod +x "$work/bin/qemu-system-$arch"
}

# Runs the test at PATH with GUESTS and writes what it says to LOG. An aborted test leaves its
# folder behind, hence one for all of them. Its name is short: there are sockets in it.
run_test() {
    local guests=$1 path=$2 log=$3 status=0

    (
        cd "$work/$guests/build" # where the tests look for scripts/
        PYTHON=$(command -v python3) TMPDIR=$scratch timeout -k 10 "$test_seconds" \
            tests/qtest/migration-test --tap "${options[@]}" -p "$path" </dev/null || exit
    ) >"$log" 2>&1 || status=$?
    rm -rf "${scratch:?}"/*
    [ $status = 0 ] && grep -q '^ok' "$log"
}

# The same with three attempts for the one test in which QEMU 7.2 itself hangs now and then. QEMU
# disabled it later (c15d9e2311a5), and enabled it again for 9.0 (75b1f88cd2dd).
try_test() {
    local guests=$1 path=$2

    run_test "$@" && return
    [[ $(<"$work/$guests/source/VERSION")$path == 7.*/multifd/tcp/plain/cancel ]] || return
    echo "# $suite $path hung, and is tried again"
    run_test "$@" || run_test "$@"
}

# Runs the tests of ARCH and counts them.
run_arch() {
    local arch=$1 log=$work/$guests/log-$1
    local path name began text passed=0 skipped=0 excused=0 bad=0

    wrapper "$arch"
    export QTEST_QEMU_BINARY=$work/bin/qemu-system-$arch
    rm -rf "$log"
    mkdir -p "$log"
    TMPDIR=$scratch "$work/$guests/build/tests/qtest/migration-test" -l "${options[@]}" \
        >"$log/list" 2>"$log/list.err" </dev/null || die "no list of tests, see $log/list.err"
    text=
    if ! grep -qrs --include='*.c' "${arch/x86_64/i386}/a-b-" \
        "$work/$guests/source/tests/qtest"; then
        text='QEMU has its guest not in a header'
    elif ! grep -q "^/$arch/" "$log/list"; then
        text="by the test program$(sed -n 's/^# Skipping test//p' "$log/list")"
    fi
    if [ -n "$text" ]; then
        number=$((number + 1))
        echo "ok $number - $suite $arch # SKIP $text"
        return
    fi
    while read -r path; do
        number=$((number + 1))
        name=${path#/}
        name=${name//\//-}
        began=$(date +%s%N)
        if try_test "$guests" "$path" "$log/$name"; then
            if grep -q '^ok .*# SKIP' "$log/$name"; then
                skipped=$((skipped + 1))
                text=$(sed -n 's/^ok .*# SKIP *//p' "$log/$name")
                echo "ok $number - $suite $path # SKIP by the test${text:+: $text}"
            else
                passed=$((passed + 1))
                echo "ok $number - $suite $path ($((($(date +%s%N) - began) / 1000000)) ms)"
            fi
            continue
        fi
        text="not ok $number - $suite $path"
        if [ "$guests" = godwit ] && build qemu && ! try_test qemu "$path" "$log/$name.qemu"; then
            excused=$((excused + 1))
            echo "$text # TODO fails with QEMU's own guests as well, see $log/$name and $name.qemu"
        else
            bad=$((bad + 1))
            echo "$text (see $log/$name)"
        fi
    done < <(grep "^/$arch/" "$log/list" | grep -E -- "$tests")
    # Where everything fails with both, the emulator is at fault, and nothing has been shown.
    [ $passed != 0 ] || bad=$((bad + excused))
    failed=$((failed + bad))
    text="# $suite $arch: $passed passed, $skipped skipped, $bad failed"
    [ $excused = 0 ] || text="$text, $excused failed with QEMU's own guests as well"
    echo "$text"
}

case $guests in
godwit | qemu) ;;
*) die "QEMU_SUITE_GUESTS is godwit or qemu" ;;
esac
for tool in dpkg-source ninja; do
    command -v "$tool" >/dev/null || die "needs $tool"
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 2' INT TERM
number=0
failed=0
for suite in "${@:-bookworm}"; do
    mkdir -p "$directory/$suite/bin"
    work=$(cd "$directory/$suite" && pwd)
    mk/qemu-source.sh "$work" "$suite" meson
    build "$guests"
    # Newer test programs hold most of their tests back unless asked.
    options=()
    ! grep -q -- --full "$work/$guests/build/tests/qtest/migration-test" || options=(--full)
    for arch in $arches; do
        run_arch "$arch"
    done
done
echo "1..$number"
[ "$number" != 0 ] || die "no test matches $tests"
[ "$failed" = 0 ]
