#!/bin/sh
# Builds the Debian packages of what is committed, in a clean Debian, and tries them in another one.
#
#   mk/deb.sh SUITE FOLDER      SUITE: bookworm (Debian 12), trixie (Debian 13)
#
# mmdebstrap makes both systems, and removes them at the end; as root or not, it runs the hooks below
# inside. The packages come from where this system's own do, or from $DEBIAN_MIRROR. FOLDER receives
# the packages, the logs of each step, and what autopkgtest writes.
#
# SPDX-License-Identifier: MIT
set -eu
suite=$1 folder=$2

say() {
    echo "deb: $*" >&2
}

# shellcheck disable=SC1091 # of the host
# The first of apt's sites that has this system's release.
mirror() {
    # shellcheck disable=SC2016 # for apt to expand
    apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
        awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
            '$2 == release { print $1; exit }'
}

site=${DEBIAN_MIRROR:-$(mirror)}
if [ -z "$site" ]; then
    # shellcheck disable=SC2016
    say 'apt knows no Debian mirror here: name one in $DEBIAN_MIRROR'
    exit 2
fi
git diff --quiet HEAD || say 'what is not committed is not built'
rm -rf "$folder"
mkdir -p "$folder/source/godwit" "$folder/result"
git archive HEAD | tar -x -C "$folder/source/godwit"

# inside NAME SCRIPT: runs mk/package/SCRIPT in a new system, where /work is a copy of the source and
# of the results so far. /work/result comes back, from a step that fails as well.
inside() {
    name=$1 script=$2
    say "$suite: $name (log: $folder/$name.log)"
    # shellcheck disable=SC2016 # for mmdebstrap's shell
    if ! mmdebstrap --variant=buildd --format=null \
        --customize-hook='mkdir -p "$1/work"' \
        --customize-hook="copy-in '$folder/source/godwit' '$folder/result' /work" \
        --customize-hook="DEB_BUILD_OPTIONS='${DEB_BUILD_OPTIONS:-}' chroot \"\$1\" sh /work/godwit/mk/package/$script && touch \"\$1/work/result/$name-ok\" || true" \
        --customize-hook="sync-out /work/result '$folder/result'" \
        "$suite" /dev/null "deb $site $suite main" >"$folder/$name.log" 2>&1 ||
        [ ! -e "$folder/result/$name-ok" ]; then
        say "$suite: $name failed; the end of its log:"
        tail -n 15 "$folder/$name.log" >&2
        exit 1
    fi
    rm "$folder/result/$name-ok"
    sed -n 's/^deb: /  /p' "$folder/$name.log"
}

inside build build.sh
inside try try.sh
say "$suite: everything is in $folder/result"
