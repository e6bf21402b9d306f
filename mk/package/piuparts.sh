#!/bin/sh
# Inside a clean Debian, for mk/deb.sh: has this Debian's piuparts install, remove, purge and upgrade the
# packages in a minimal system, and compare that system's files before and after. The older packages
# are a repository of that system.
#
# SPDX-License-Identifier: MIT
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# This system does not outlive the script: nothing must wait for a disk.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io
apt-get --quiet --yes install --no-install-recommends piuparts debootstrap

mkdir /work/repository
cp /work/result/older/*.deb /work/repository
# Not from within that folder: piuparts fails for each process that stands in what it mounts.
(cd /work/repository && dpkg-scanpackages . >Packages)
cd /

# Of all packages, only these two are named: the third one has debugging symbols.
# Not with --install-remove-install: then it removes the older packages before it installs the others.
log=/work/result/piuparts.log
rm -f "$log"
piuparts --distribution="$SUITE" --mirror="$SITE main" \
    --bindmount=/work/repository --extra-repo='deb [trusted=yes] file:///work/repository ./' \
    --pedantic-purge-test --log-file="$log" \
    /work/result/godwit_*.deb /work/result/godwit-guests_*.deb

# piuparts leaves out the upgrade of a package that it finds in no repository.
for package in godwit godwit-guests; do
    old=$(dpkg-deb -f "$(echo /work/repository/"$package"_*.deb)" Version)
    new=$(dpkg-deb -f "$(echo /work/result/"$package"_*.deb)" Version)
    if ! grep -qF "Unpacking $package ($new) over ($old)" "$log"; then
        echo "piuparts did not upgrade $package from $old to $new"
        exit 1
    fi
    echo "deb: $package: upgraded from $old to $new"
done
echo "deb: piuparts $(dpkg-query -W -f '${Version}' piuparts)"
sed -n 's/.*INFO: PASS: /deb:   passed: /p' "$log"
