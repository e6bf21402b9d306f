#!/bin/bash
# Runs QEMU's own migration tests with Godwit's guests instead of QEMU's.
#   qemu-suite.sh [SUITE...]        Debian releases whose QEMU source to take; default: bookworm
# Environment:
#   QEMU_SUITE_DIR      where to work; default build/qemu-suite (a gigabyte a suite)
#   QEMU_SUITE_GUESTS   godwit (default), or qemu for a run with QEMU's own guests to compare with
#   QEMU_SUITE_ARCHES   default "x86_64 aarch64 ppc64 s390x"
#   QEMU_SUITE_BINARY   the emulators, %s standing for the architecture; default qemu-system-%s.
#                       They have to be of the version of the source.
#   QEMU_SUITE_TESTS    an extended regular expression that chooses tests; default all
#
# Only the test program is built, not the emulators. Its own guests (assembly, C and the headers
# made from them) are removed right after unpacking, and nothing here reads them. Needs ninja,
# dpkg-dev, python3-venv and the headers of GLib and pixman. A line in TAP style for each test; exit status 1 if
# any failed, 2 if something else did.
# SPDX-License-Identifier: MIT
set -euo pipefail

directory=${QEMU_SUITE_DIR:-build/qemu-suite}
guests=${QEMU_SUITE_GUESTS:-godwit}
arches=${QEMU_SUITE_ARCHES:-x86_64 aarch64 ppc64 s390x}
binary=${QEMU_SUITE_BINARY:-qemu-system-%s}
tests=${QEMU_SUITE_TESTS:-.}
test_seconds=300

die() {
    echo "qemu-suite: $*" >&2
    exit 2
}

# apt-get with lists and sources of its own, so that the system's stay as they are. The mirror is
# the one that the system itself has.
private_apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

fetch() {
    local codename mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg

    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
        sed -n "s/^$codename //p" | sed -n 1p)
    [ -n "$mirror" ] || die "the system's apt sources name no mirror of $codename"
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$mirror" "$suite" \
        deb-src "$keyring" "$mirror" "$suite" >"$work/apt/sources.list"
    private_apt update
    (
        cd "$work"
        private_apt source --download-only "qemu/$suite"
        private_apt download meson # as new as this QEMU wants it
        dpkg-deb -x meson_*.deb meson
    )
}

# Leaves the source in $work/$guests/source.
unpack() {
    local kept=()

    [ "$guests" = godwit ] || kept=(! -name '*.h')
    rm -rf "${work:?}/$guests"
    mkdir -p "$work/$guests"
    dpkg-source --no-check -x "$work"/qemu_*.dsc "$work/$guests/source" >"$work/$guests/unpack.log"
    find "$work/$guests/source/tests" -name 'a-b-*' "${kept[@]}" -delete
}

# The folder where the test program looks for a-b-*.h moved once.
headers_folder() {
    local place

    for place in tests/qtest/migration tests/migration; do
        if [ -d "$work/$guests/source/$place/i386" ]; then
            echo "$place"
            return
        fi
    done
    die "no folder for guest headers in QEMU's source of $suite"
}

# s390x is configured because that asks for the least; the test program is the same for all.
build() {
    local source=$work/$guests/source build=$work/$guests/build

    if [ "$guests" = qemu ] && [ -x "$build/tests/qtest/migration-test" ]; then
        return # its headers are gone
    elif [ "$guests" = godwit ]; then
        STYLE=qemu DEST=$source/$(headers_folder) sh gen/vendor.sh >/dev/null
    fi
    mkdir -p "$build"
    (
        cd "$build"
        export PATH=$work/meson/usr/bin:/usr/bin:/bin
        export PYTHONPATH=$work/meson/usr/lib/python3/dist-packages
        ../source/configure --target-list=s390x-softmmu \
            --without-default-features --disable-install-blobs --disable-werror
        ninja tests/qtest/migration-test
    ) >"$build.log" 2>&1 || die "building failed, see $build.log"
    [ "$guests" = godwit ] || find "$source/tests" -name 'a-b-*' -delete
}

# Distribution binaries have no qtest accelerator, which the tests ask for beside others, and the
# qtest protocol works without it. KVM is dropped so that every host runs the same: under TCG.
wrapper() {
    local arch=$1

    # shellcheck disable=SC2059 # the pattern is the caller's
    cat >"$work/bin/qemu-system-$arch" <<END
#!/bin/bash
arguments=()
while [ \$# -gt 0 ]; do
    case "\$1 \${2-}" in
    '-accel qtest' | '-accel kvm'*) shift 2 ;;
    *) arguments+=("\$1") && shift ;;
    esac
done
exec $(printf "$binary" "$arch") "\${arguments[@]}"
END
    chmod +x "$work/bin/qemu-system-$arch"
}

run_arch() {
    local arch=$1 log=$work/$guests/log-$1 program=$work/$guests/build/tests/qtest/migration-test
    local path began result options=()

    # Newer test programs hold most of their tests back unless asked.
    ! grep -q -- --full "$program" || options=(--full)
    wrapper "$arch"
    export QTEST_QEMU_BINARY=$work/bin/qemu-system-$arch
    mkdir -p "$log"
    "$program" -l "${options[@]}" >"$log/list" 2>"$log/list.err" </dev/null ||
        die "no list of tests, see $log/list.err"
    if ! grep -q "^/$arch/" "$log/list"; then
        number=$((number + 1))
        echo "ok $number - $suite $arch # SKIP$(sed -n 's/^# Skipping test:/ by the program:/p' "$log/list")"
    fi
    while read -r path; do
        number=$((number + 1))
        began=$(date +%s%N)
        name=${path#/}
        name=${name//\//-}
        result=0
        (
            cd "$work/$guests/build" # where the tests look for scripts/
            PYTHON=python3 timeout -k 10 "$test_seconds" \
                "$program" --tap "${options[@]}" -p "$path" >"$log/$name" 2>&1 </dev/null
        ) || result=$?
        began=$((($(date +%s%N) - began) / 1000000))
        if [ $result = 0 ] && grep -q "^ok .*# SKIP" "$log/$name"; then
            echo "ok $number - $suite $path # SKIP by the test itself"
        elif [ $result = 0 ] && grep -q '^ok' "$log/$name"; then
            echo "ok $number - $suite $path ($began ms)"
        else
            failed=$((failed + 1))
            echo "not ok $number - $suite $path ($began ms, status $result, see $log/$name)"
        fi
    done < <(grep "^/$arch/" "$log/list" | grep -E -- "$tests")
}

case $guests in
godwit | qemu) ;;
*) die "QEMU_SUITE_GUESTS is godwit or qemu" ;;
esac
for tool in dpkg-source ninja; do
    command -v "$tool" >/dev/null || die "needs $tool"
done
number=0
failed=0
for suite in "${@:-bookworm}"; do
    mkdir -p "$directory/$suite/bin"
    work=$(cd "$directory/$suite" && pwd)
    ls "$work"/qemu_*.dsc >/dev/null 2>&1 || fetch
    [ -d "$work/$guests/source" ] || unpack
    build
    for arch in $arches; do
        run_arch "$arch"
    done
done
echo "1..$number"
[ "$failed" = 0 ]
