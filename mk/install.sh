#!/bin/sh
# Installs Godwit, removes it again, or lists its files. One list serves all three, so that they
# cannot disagree. `make install`, `make uninstall` and debian/rules call it.
#
#   mk/install.sh install|uninstall|list BUILD PART...      parts: command, guests
#
# Files go to $DESTDIR$PREFIX; BUILD is the build folder, with the program and images/.
# $ZSH_COMPLETIONS is the folder below the prefix for zsh. `uninstall` also removes the folders that
# only Godwit uses, if nothing else is in them.
#
# SPDX-License-Identifier: MIT
set -eu
action=$1 build=$2
shift 2
case $action in
install | uninstall | list) ;;
*)
    echo "install: unknown action \"$action\" (expected install, uninstall or list)" >&2
    exit 2
    ;;
esac
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
version=$(sed -n 's/^#define GODWIT_VERSION "\(.*\)"/\1/p' harness/base/version.h)
abi=$(sed -n 's/^#define GODWIT_ABI_VERSION //p' include/godwit/guest_abi.h)

# Removes FOLDER and what is above it, from the inside out, while it is empty and Godwit's own.
remove_folders() {
    folder=$1
    while case $folder in *godwit*) [ -d "$root/$folder" ] ;; *) false ;; esac; do
        rmdir "$root/$folder" 2>/dev/null || return 0
        folder=${folder%/*}
    done
}

# file MODE SOURCE NAME: one file, NAME relative to the prefix.
file() {
    case $action in
    install)
        install -d -m 755 "$root/${3%/*}"
        install -m "$1" "$2" "$root/$3"
        ;;
    uninstall)
        rm -f "$root/$3"
        remove_folders "${3%/*}"
        ;;
    list) echo "$prefix/$3" ;;
    esac
}

# filled SOURCE NAME: a file with the version, the ABI version and the prefix filled in.
filled() {
    new=$(mktemp)
    sed "s|@VERSION@|$version|g; s|@ABI@|$abi|g; s|@PREFIX@|$prefix|g" "$1" >"$new"
    file 644 "$new" "$2"
    rm -f "$new"
}

part_command() {
    file 755 "$build/godwit" bin/godwit
    for page in docs/man/*.[157]; do
        file 644 "$page" "share/man/man${page##*.}/${page##*/}"
    done
    file 644 mk/package/completion.bash share/bash-completion/completions/godwit
    file 644 mk/package/completion.zsh "${ZSH_COMPLETIONS:-share/zsh/site-functions}/_godwit"
    file 644 mk/package/completion.fish share/fish/vendor_completions.d/godwit.fish
    for page in README.md CHANGELOG.md LICENSE; do
        file 644 "$page" "share/doc/godwit/$page"
    done
    for page in docs/*.md docs/*.schema.json; do
        file 644 "$page" "share/doc/godwit/$page"
    done
    # Reproductions without Godwit, which docs/known-bugs.md names.
    for script in docs/known-bugs/*.py docs/known-bugs/*.sh; do
        file 644 "$script" "share/doc/godwit/$script"
    done
}

part_guests() {
    for header in include/godwit/*.h gen/*.h; do
        file 644 "$header" "include/godwit/${header##*/}"
        case $header in
        gen/*)
            image=${header##*/}
            image=${image%.h}
            file 644 "$build/images/$image" "share/godwit/images/$image"
            ;;
        esac
    done
    filled mk/package/godwit-guests.pc.in share/pkgconfig/godwit-guests.pc
    for part in config config-version; do
        filled "mk/package/godwit-guests-$part.cmake.in" \
            "share/cmake/godwit-guests/godwit-guests-$part.cmake"
    done
}

for part; do
    case $part in
    command | guests) "part_$part" ;;
    *)
        echo "install: unknown part \"$part\" (expected command or guests)" >&2
        exit 2
        ;;
    esac
done
