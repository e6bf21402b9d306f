#!/bin/sh
# Inside a clean Debian, for mk/deb.sh: builds the packages twice, in different folders, compares
# both results byte for byte, and runs this Debian's lintian. Then it builds the older packages, from
# which piuparts upgrades.
#
# SPDX-License-Identifier: MIT
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# This system does not outlive the script: nothing must wait for a disk.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io
cd /work
apt-get --quiet --yes build-dep ./godwit
apt-get --quiet --yes build-dep ./older
useradd --create-home builder

# build SOURCE FOLDER OPTIONS
build() {
    mkdir -p "$2"
    cp -R "$1" "$2/godwit"
    chown -R builder: "$2"
    (cd "$2/godwit" &&
        DEB_BUILD_OPTIONS="parallel=$(nproc) $3" runuser -u builder -- dpkg-buildpackage -us -uc)
}
build godwit first "${DEB_BUILD_OPTIONS:-}"
build godwit elsewhere/second nocheck
for package in first/*.deb; do
    cmp "$package" "elsewhere/second/${package##*/}"
    echo "deb: $(sha256sum "$package" | cut -c -16) ${package##*/}, the same in both builds"
done

apt-get --quiet --yes install --no-install-recommends lintian
# debian/control names the policy of the newest suite, which the lintian of an older one does not know.
runuser -u builder -- lintian --pedantic --display-info --info --suppress-tags newer-standards-version \
    --fail-on error,warning,info,pedantic first/*.changes
echo "deb: lintian $(dpkg-query -W -f '${Version}' lintian) reports nothing"
cp first/*.deb first/*.dsc first/*.tar.* first/*.buildinfo first/*.changes result/

build older before nocheck
mkdir -p result/older
cp before/godwit_*.deb before/godwit-guests_*.deb result/older/
