#!/bin/sh
# Builds the Debian packages of what is committed, in a clean Debian, and tries them in others.
#
#   mk/deb.sh SUITE FOLDER [STEP...]      SUITE: bookworm (Debian 12), trixie (Debian 13)
#
# The steps are build, piuparts and try; without any, all of them. Those without `build` take the
# packages that are in FOLDER already. Each has a system of its own, which mmdebstrap makes, and
# removes at the end; as root or not, it runs the hooks below inside. The packages come from where
# this system's own do, or from $DEBIAN_MIRROR. FOLDER receives the packages, the logs of each step,
# and what autopkgtest writes.
#
# $OLDER names the commit from whose packages piuparts upgrades. Its default is the newest tag below
# HEAD. As long as there is no tag, it is the commit that brought the first packages.
#
# SPDX-License-Identifier: MIT
set -eu
suite=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- build piuparts try

say() {
    echo "deb: $*" >&2
}

# shellcheck source-path=SCRIPTDIR
. "${0%/*}/debian-mirror.sh"

site=$(debian_mirror)
if [ -z "$site" ]; then
    # shellcheck disable=SC2016
    say 'apt knows no Debian mirror here: name one in $DEBIAN_MIRROR'
    exit 2
fi

older_commit() {
    git describe --tags --abbrev=0 HEAD^ 2>/dev/null ||
        git log --diff-filter=A --format=%h -- debian/control | tail -n 1
}

# Two source trees: of HEAD, and of the older commit. An older commit with HEAD's version gets a lower
# one, so that dpkg takes HEAD's packages for an upgrade.
sources() {
    git diff --quiet HEAD || say 'what is not committed is not built'
    older=${OLDER:-$(older_commit)}
    rm -rf "$folder"
    mkdir -p "$folder/source/godwit" "$folder/source/older" "$folder/result"
    git archive HEAD | tar -x -C "$folder/source/godwit"
    git archive "$older" | tar -x -C "$folder/source/older"
    if [ "$(head -n 1 "$folder/source/older/debian/changelog")" = \
        "$(head -n 1 "$folder/source/godwit/debian/changelog")" ]; then
        sed -i '1s/)/~older)/' "$folder/source/older/debian/changelog"
    fi
}

# inside NAME: runs mk/package/NAME.sh in a new system, where /work is a copy of the sources and of
# the results so far. /work/result comes back, from a step that fails as well. What the step mounts
# is gone with its processes.
inside() {
    name=$1
    say "$suite: $name (log: $folder/$name.log)"
    # shellcheck disable=SC2016 # for mmdebstrap's shell
    if ! mmdebstrap --variant=buildd --format=null \
        --customize-hook='mkdir -p "$1/work"' \
        --customize-hook="copy-in '$folder/source/godwit' '$folder/source/older' '$folder/result' /work" \
        --customize-hook="DEB_BUILD_OPTIONS='${DEB_BUILD_OPTIONS:-}' SUITE='$suite' SITE='$site' unshare --mount chroot \"\$1\" sh /work/godwit/mk/package/$name.sh && touch \"\$1/work/result/$name-ok\" || true" \
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

for step; do
    case $step in
    build)
        sources
        inside build
        ;;
    piuparts)
        # piuparts makes a system inside this one, with device nodes, which only root may make.
        if [ "$(id -u)" -eq 0 ]; then
            inside piuparts
        else
            say "$suite: piuparts is left out: it needs root, to make device nodes"
        fi
        ;;
    try) inside try ;;
    *)
        say "unknown step \"$step\" (expected build, piuparts or try)"
        exit 2
        ;;
    esac
done
say "$suite: everything is in $folder/result"
