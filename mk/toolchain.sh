#!/bin/sh
# Brings a cross compiler that this Debian does not have into a folder.
#
#   mk/toolchain.sh FOLDER TRIPLET      TRIPLET: loongarch64-linux-gnu
#
# Debian 13's packages are unpacked, not installed: nothing outside FOLDER changes, and no root is
# needed to run them. FOLDER/bin/TRIPLET-gcc and its like start them with the libraries that they came
# with. What is there already, with the same packages, is left alone.
#
# The packages come from where this system's own do, or from $DEBIAN_MIRROR.
#
# SPDX-License-Identifier: MIT
set -eu
folder=$1
triplet=$2

# The version whose machine code is committed in gen/.
version=14
packages="gcc-$version-$triplet,binutils-$triplet"
place=$folder/$triplet

say() {
    echo "toolchain: $*" >&2
}

# wrapper PROGRAM [ARGUMENT...]: what starts PROGRAM of the tree beside it. The compiler starts the
# programs of $place/parts, which are wrappers as well.
wrapper() {
    program=$1
    shift
    cat <<END
#!/bin/sh
# Made by mk/toolchain.sh: a tool unpacked beside this folder, with its own libraries.
self=\$0
[ ! -h "\$self" ] || self=\$(readlink -f "\$self")
place=\$(cd "\${self%/*}/.." && pwd)
root=\$place/root
exec "\$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "\$root/usr/lib/x86_64-linux-gnu" \\
    "\$root$program" $* "\$@"
END
}

# put_wrapper FILE PROGRAM [ARGUMENT...]
put_wrapper() {
    file=$1
    shift
    wrapper "$@" >"$file"
    chmod +x "$file"
}

# shellcheck source-path=SCRIPTDIR
. "${0%/*}/debian-mirror.sh"

if [ "$(cat "$place/complete" 2>/dev/null)" = "$packages" ]; then
    say "$triplet is there: $place"
    exit 0
fi
if ! command -v mmdebstrap >/dev/null; then
    say 'mmdebstrap is needed: apt-get install mmdebstrap'
    exit 2
fi
site=$(debian_mirror)
if [ -z "$site" ]; then
    # shellcheck disable=SC2016
    say 'apt knows no Debian mirror here: name one in $DEBIAN_MIRROR'
    exit 2
fi
say "unpacking $triplet-gcc-$version into $place (about 230 MiB)"
rm -rf "$place"
mkdir -p "$place/bin" "$place/parts"
if ! mmdebstrap --variant=extract --architectures=amd64 --include="$packages" trixie "$place/root" \
    "$site" 2>"$place/log"; then
    say "$triplet-gcc-$version could not be unpacked:"
    tail -n 5 "$place/log" >&2
    exit 2
fi
for tool in as ld nm objcopy objdump; do
    put_wrapper "$place/bin/$triplet-$tool" "/usr/bin/$triplet-$tool"
    put_wrapper "$place/parts/$tool" "/usr/bin/$triplet-$tool"
done
for part in cc1 collect2; do
    put_wrapper "$place/parts/$part" "/usr/libexec/gcc-cross/$triplet/$version/$part"
done
# shellcheck disable=SC2016 # for the wrapper to expand
put_wrapper "$place/bin/$triplet-gcc" "/usr/bin/$triplet-gcc-$version" '-B"$place/parts/"'
"$place/bin/$triplet-gcc" --version | sed -n '1s/^/toolchain: /p' >&2
echo "$packages" >"$place/complete"
