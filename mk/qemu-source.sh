#!/bin/bash
# Fetches QEMU's source package of a Debian release, and the tools to build it with.
#
#   mk/qemu-source.sh FOLDER SUITE PACKAGE...
#
# Leaves qemu_*.dsc and its archives in FOLDER, and each PACKAGE unpacked in FOLDER/tools, for tools
# as new as that QEMU wants them. Does nothing if that has been done before. apt-get has lists and
# sources of its own here, so that the system's stay as they are.
#
# Needs dpkg-dev. The mirror is the one that the system itself has, or $DEBIAN_MIRROR.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
suite=$2
shift 2
[ ! -e "$folder/fetched" ] || exit 0

private_apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # apt's own variables
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
    sed -n "s/^$codename //p" | sed -n 1p)}
if [ -z "$mirror" ]; then
    # shellcheck disable=SC2016
    echo "qemu-source: the system's apt sources name no mirror of $codename: "'name one in $DEBIAN_MIRROR' >&2
    exit 2
fi
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$mirror" "$suite" \
    deb-src "$keyring" "$mirror" "$suite" >"$folder/apt/sources.list"
private_apt update
cd "$folder"
private_apt source --download-only "qemu/$suite"
private_apt download "$@"
for package in *.deb; do
    dpkg-deb -x "$package" tools
done
touch fetched
