#!/bin/sh
# Inside a clean Debian, for mk/deb.sh: installs the packages, runs the command as an ordinary user,
# removes and purges the packages, looks for files that stayed, and runs autopkgtest with this
# Debian's QEMU.
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

# No check of files can be right while an ordinary user's are among them: they have a folder in /tmp.
useradd --home-dir /tmp/visitor --create-home visitor
visitor() {
    (cd /tmp/visitor && runuser -u visitor -- env HOME=/tmp/visitor "$@")
}
compare() {
    files >"/tmp/files-$1"
    packages >"/tmp/packages-$1"
    diff /tmp/files-before "/tmp/files-$1"
    diff /tmp/packages-before "/tmp/packages-$1"
}

# What the packages need is installed first, so that the comparison is about the packages alone.
install man-db qemu-system-x86 ./godwit_*.deb ./godwit-guests_*.deb
apt-get --quiet --yes purge godwit godwit-guests
files >/tmp/files-before
packages >/tmp/packages-before
install ./godwit_*.deb ./godwit-guests_*.deb
dpkg --verify godwit godwit-guests
dpkg -L godwit godwit-guests | sort -u >/tmp/files-of-packages

visitor godwit --version
visitor godwit doctor
visitor godwit list | grep '^precopy/unix/plain '
# Each page that the package has, by name, without a complaint.
for page in /usr/share/man/man[157]/godwit*; do
    page=${page##*/}
    page=${page%.gz}
    section=${page##*.}
    visitor man --warnings "$section" "${page%."$section"}" >/tmp/page 2>/tmp/complaints
    if [ "$(wc -l </tmp/page)" -lt 20 ] || [ -s /tmp/complaints ]; then
        cat /tmp/page /tmp/complaints
        exit 1
    fi
done
echo "deb: $(godwit --version), $(find /usr/share/man/man[157]/godwit* | wc -l) man pages, as an ordinary user"
visitor godwit run --quick --accel tcg --arch x86_64 | tee /tmp/quick
sed -n 's/^\([0-9]* passed, .*\)/deb: godwit run --quick: \1/p' /tmp/quick

apt-get --quiet --yes remove godwit godwit-guests
compare removed
# apt does not know a package that is neither installed nor in a repository.
dpkg --purge godwit godwit-guests
compare purged
echo "deb: installed, ran, and left none of $(wc -l </tmp/files-of-packages) files and folders when removed"

install autopkgtest
start=$(date +%s)
status=0
autopkgtest --output-dir=/work/result/autopkgtest godwit_*.changes -- null || status=$?
sed 's/^/deb: autopkgtest: /' autopkgtest/summary
echo "deb: QEMU $(qemu-system-x86_64 --version | sed -n 's/.*version //p'); $(($(date +%s) - start)) s with all installing"
exit "$status"
