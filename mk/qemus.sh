#!/bin/sh
# Brings QEMUs newer than Debian 12's into a folder, beside the installed one.
#
#   mk/qemus.sh FOLDER VERSION...       versions: 10.0 (Debian 13), 11.1 (Debian 13's backports)
#
# Debian's packages are unpacked, not installed: nothing outside FOLDER changes, and no root is
# needed to run them. FOLDER/VERSION/bin/qemu-system-ARCH starts them with the libraries, firmware
# and modules that they came with. What is there already, with the same packages, is left alone.
#
# The packages come from where this system's own do, or from $DEBIAN_MIRROR.
#
# SPDX-License-Identifier: MIT
set -eu
folder=$1
shift

packages='qemu-system-x86,qemu-system-arm,qemu-system-ppc,qemu-system-misc,qemu-system-s390x'
packages="$packages,qemu-system-riscv,qemu-system-data"
# QEMU's modules, all of them: for one that is not in its own folder it looks in the host's, and ends
# with "Only modules from the same build can be loaded" if that is of another QEMU. It does so even
# for `-device help`, which loads all that there are.
packages="$packages,qemu-system-gui,qemu-system-modules-opengl,qemu-system-modules-spice"
packages="$packages,qemu-block-extra"
targets='x86_64 i386 aarch64 ppc64 s390x riscv64'

say() {
    echo "qemus: $*" >&2
}

# shellcheck disable=SC1091 # of the host
# The first of apt's sites that has this system's release, and is not its security archive.
mirror() {
    # shellcheck disable=SC2016 # for apt to expand
    apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
        awk -v release="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
            '$2 == release { print $1; exit }'
}

# unpack VERSION INTO: the packages and all that they depend on.
unpack() {
    into=$2
    site=${DEBIAN_MIRROR:-$(mirror)}
    if [ -z "$site" ]; then
        # shellcheck disable=SC2016
        say 'apt knows no Debian mirror here: name one in $DEBIAN_MIRROR'
        exit 2
    fi
    case $1 in
    10.0)
        set -- --include="$packages" trixie "$into" "$site"
        ;;
    11.1)
        set -- --include="$packages" \
            --aptopt='APT::Default-Release "trixie-backports"' trixie "$into" \
            "deb $site trixie main" "deb $site trixie-backports main"
        ;;
    *)
        say "$1: there are 10.0 and 11.1; any other unpacked QEMU can be given to --qemu by path"
        exit 2
        ;;
    esac
    mmdebstrap --variant=extract --architectures=amd64 "$@"
}

# What starts TARGET of the tree beside it.
wrapper() {
    cat <<EOF
#!/bin/sh
# Made by mk/qemus.sh: the QEMU unpacked beside this folder, with its own libraries and files.
self=\$0
[ ! -h "\$self" ] || self=\$(readlink -f "\$self")
root=\${self%/bin/*}/root
export QEMU_MODULE_DIR="\$root/usr/lib/x86_64-linux-gnu/qemu"
exec "\$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "\$root/usr/lib/x86_64-linux-gnu" \\
    "\$root/usr/bin/qemu-system-$1" -L "\$root/usr/share/qemu" -L "\$root/usr/share/seabios" "\$@"
EOF
}

for version; do
    place=$folder/$version
    if [ "$(cat "$place/complete" 2>/dev/null)" = "$packages" ]; then
        say "$version is there: $place"
        continue
    fi
    if ! command -v mmdebstrap >/dev/null; then
        say 'mmdebstrap is needed: apt-get install mmdebstrap'
        exit 2
    fi
    say "unpacking QEMU $version into $place (about 500 MiB; half a minute, and the download)"
    rm -rf "$place"
    mkdir -p "$place/bin"
    if ! unpack "$version" "$place/root" 2>"$place/log"; then
        say "QEMU $version could not be unpacked:"
        tail -n 5 "$place/log" >&2
        exit 2
    fi
    for target in $targets; do
        wrapper "$target" >"$place/bin/qemu-system-$target"
        chmod +x "$place/bin/qemu-system-$target"
    done
    "$place/bin/qemu-system-x86_64" --version | sed -n '1s/^/qemus: /p' >&2
    for target in $targets; do
        if ! "$place/bin/qemu-system-$target" -device help >/dev/null 2>>"$place/log"; then
            say "QEMU $version for $target does not even list its devices:"
            tail -n 3 "$place/log" >&2
            exit 2
        fi
    done
    echo "$packages" >"$place/complete"
done
