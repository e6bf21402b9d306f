#!/bin/sh
# Installs the Debian packages that are missing, after saying which and why.
#
#   mk/setup.sh GROUP...      groups: build, run, guests, test, qemus, suite, coverage, load
#
# Nothing is asked of the network, and no privilege is used, when nothing is missing. As root it
# calls apt-get, otherwise sudo apt-get. On a system without dpkg it only says what is needed.
#
# SPDX-License-Identifier: MIT
set -eu

build='gcc make libc6-dev pkg-config libglib2.0-dev libjansson-dev libgnutls28-dev zlib1g-dev
       libgsl-dev libxxhash-dev'
run='qemu-system-x86 qemu-system-arm qemu-system-ppc qemu-system-misc'
guests='nasm binutils gcc-aarch64-linux-gnu gcc-powerpc64-linux-gnu gcc-s390x-linux-gnu
        gcc-riscv64-linux-gnu'
# Where there is one: for Debian 12 make toolchain-loongarch64 unpacks a compiler.
newer_guests='gcc-loongarch64-linux-gnu'
test='perl g++ clang clang-format cppcheck shellcheck mandoc libcmocka-dev valgrind procps
      libxml2-utils meson cmake bsdutils iproute2 swtpm python3-jsonschema python3-yaml zsh fish git'
qemus='mmdebstrap'
suite='ninja-build dpkg-dev python3-venv flex bison libpixman-1-dev'
coverage='gcovr libzstd-dev libfdt-dev libslirp-dev'
load='stress-ng'

# Those of the packages that this system's release has.
available() {
    for package; do
        [ -z "$(apt-cache --quiet=0 policy "$package" 2>/dev/null)" ] || echo "$package"
    done
}

wanted=
for group; do
    case $group in
    build) wanted="$wanted $build" ;;
    run) wanted="$wanted $run" ;;
    guests) wanted="$wanted $guests $(available $newer_guests)" ;;
    test) wanted="$wanted $test" ;;
    qemus) wanted="$wanted $qemus" ;;
    suite) wanted="$wanted $suite" ;;
    coverage) wanted="$wanted $coverage" ;;
    load) wanted="$wanted $load" ;;
    *)
        echo "setup: unknown group \"$group\": there are build, run, guests, test, qemus, suite," \
            "coverage and load" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup: this is no Debian; please see to it yourself that these are there:" >&2
    # shellcheck disable=SC2086 # one word each
    printf '  %s\n' $wanted >&2
    exit 0
fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: these Debian packages are missing, and there is no sudo to install them with;" >&2
        echo "setup: as root: apt-get install$missing" >&2
        exit 2
    fi
    sudo=sudo
fi
echo "Godwit needs Debian packages that are not installed yet:"
# shellcheck disable=SC2086
printf '  %s\n' $missing
echo "Installing them now: ${sudo:+sudo }apt-get install --no-install-recommends"
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive sh -ec '
    apt-get -q update
    apt-get -q install --yes --no-install-recommends "$@"' apt $missing
