#!/bin/sh
# Inside a clean Debian, for mk/deb.sh: installs the packages, runs the command, removes the packages,
# looks for files that stayed, and runs autopkgtest with this Debian's QEMU.
#
# SPDX-License-Identifier: MIT
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# This system does not outlive the script: nothing must wait for a disk.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io
cd /work/result

files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /work \
        -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/log \) -prune \
        -o -print | sort
}
packages() {
    dpkg-query -W -f '${Package} ${Status}\n' | sort
}
install() {
    apt-get --quiet --yes install --no-install-recommends "$@"
}

# What the packages need is installed first, so that the comparison is about the packages alone.
install ./godwit_*.deb ./godwit-guests_*.deb
apt-get --quiet --yes purge godwit godwit-guests
files >/tmp/files-before
packages >/tmp/packages-before
install ./godwit_*.deb ./godwit-guests_*.deb
dpkg --verify godwit godwit-guests
godwit --version
godwit list | grep '^precopy/unix/plain '
apt-get --quiet --yes purge godwit godwit-guests
files >/tmp/files-after
packages >/tmp/packages-after
diff /tmp/files-before /tmp/files-after
diff /tmp/packages-before /tmp/packages-after
echo 'deb: installed, ran, and left no file when removed'

install autopkgtest
start=$(date +%s)
status=0
autopkgtest --output-dir=/work/result/autopkgtest godwit_*.changes -- null || status=$?
sed 's/^/deb: autopkgtest: /' autopkgtest/summary
echo "deb: QEMU $(qemu-system-x86_64 --version | sed -n 's/.*version //p'); $(($(date +%s) - start)) s with all installing"
exit "$status"
