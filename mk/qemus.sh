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
targets=$("${0%/*}/arches.sh")

say() {
    echo "qemus: $*" >&2
}

# shellcheck source-path=SCRIPTDIR
. "${0%/*}/debian-mirror.sh"

# unpack VERSION INTO: the packages and all that they depend on.
unpack() {
    into=$2
    site=$(debian_mirror)
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

# make_wrapper TARGET, in $place, if the package has it and it is not there yet.
make_wrapper() {
    start=$place/bin/qemu-system-$1
    [ ! -e "$start" ] || return 0
    wrapper "$1" >"$start.new"
    chmod +x "$start.new"
    if ! "$start.new" -device help >/dev/null 2>>"$place/log"; then
        rm "$start.new"
        say "QEMU $version for $1 does not even list its devices:"
        tail -n 3 "$place/log" >&2
        exit 2
    fi
    mv "$start.new" "$start"
}

for version; do
    place=$folder/$version
    if [ "$(cat "$place/complete" 2>/dev/null)" = "$packages" ]; then
        say "$version is there: $place"
    else
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
    fi
    # Each time: a target that is new here has its package there already.
    for target in $targets; do
        make_wrapper "$target"
    done
    [ -e "$place/complete" ] || "$place/bin/qemu-system-x86_64" --version | sed -n '1s/^/qemus: /p' >&2
    echo "$packages" >"$place/complete"
done
