#!/bin/sh
# Implements `make vendor`: copies the committed guest headers to the directory of another suite.
#   DEST=DIRECTORY [STYLE=godwit|qemu] [ARCH="x86 aarch64 ..."] sh gen/vendor.sh
# ARCH takes architectures, or QEMU's targets (x86_64), with blanks or commas between them.
# Run it in Godwit's top directory. It needs no compiler. docs/vendoring.md describes its output.
# SPDX-License-Identifier: MIT
set -eu
LC_ALL=C
export LC_ALL

die() {
    echo "vendor: $*" >&2
    exit 1
}

# QEMU's name for each architecture's header, its array, and the image of ours that fills it.
qemu_table='
x86     i386/a-b-bootblock.h x86_bootsect   x86_bootsect
aarch64 aarch64/a-b-kernel.h aarch64_kernel aarch64_kernel
ppc64   ppc64/a-b-kernel.h   ppc64_kernel   ppc64_bios
s390x   s390x/a-b-bios.h     s390x_elf      s390x_bios
'

dest=${DEST:-}
style=${STYLE:-godwit}
case $style in
godwit) known=$(for header in gen/*_*.h; do basename "${header%%_*}"; done | sort -u | xargs) ;;
qemu) known=$(echo "$qemu_table" | awk 'NF { print $1 }' | xargs) ;;
*) die "unknown STYLE=$style; there are godwit and qemu" ;;
esac
arches=
for arch in $(echo "${ARCH:-$known}" | tr , ' '); do
    case $arch in
    x86_64 | i386) arch=x86 ;;
    esac
    case " $known " in
    *" $arch "*) ;;
    *) die "unknown ARCH=$arch; STYLE=$style has $known" ;;
    esac
    case " $arches " in
    *" $arch "*) ;;
    *) arches="$arches $arch" ;;
    esac
done
[ -n "$dest" ] || die "no DEST=DIRECTORY given"
{ mkdir -p "$dest" && [ -w "$dest" ]; } 2>/dev/null || die "cannot write to DEST=$dest"

# A release archive has no history, though the folder around it may.
version=
[ ! -e .git ] || version=$(git describe --always --dirty 2>/dev/null) || version=
[ -n "$version" ] || version=$(sed -n 's/^#define GODWIT_VERSION "\(.*\)"/\1/p' harness/base/version.h)
abi=$(sed -n 's/^#define GODWIT_ABI_VERSION //p' include/godwit/guest_abi.h)

# The value of macro GODWIT_<IMAGE>_$2 in gen/$1.h, or in the ABI header.
macro() {
    prefix=$(echo "$1" | tr '[:lower:]' '[:upper:]')
    sed -n "s/^#define GODWIT_${prefix}_$2 //p" "gen/$1.h"
}
abi_macro() {
    sed -n "s/^#define GODWIT_$1  *\([0-9]*\).*/\1/p" include/godwit/guest_abi.h
}

# The image gen/$1.h as QEMU's suite spells it: array $2, the whole file with its leading zeros.
qemu_header() {
    size=
    cat <<END
/* SPDX-License-Identifier: MIT */
/*
 * Godwit's guest image $1, ABI version $abi, vendored from version $version by
 * \`make vendor STYLE=qemu\`. $(grep -m 1 '^Copyright' LICENSE)
 */
END
    if [ "$1" = x86_bootsect ]; then
        size=512
        start=$(($(macro "$1" IMAGE_ADDR)))
        flags=$(($(macro "$1" PARAMS_ADDR) + $(abi_macro PARAMS_OFF_FLAGS)))
        # The launcher stores 1, GODWIT_FLAG_SUSPEND, in the byte at SYM_suspend_me - SYM_start.
        printf '#define SYM_start 0x%08x\n#define SYM_suspend_me 0x%08x\n' "$start" "$flags"
    fi
    printf '\nunsigned char %s[%s] = {\n' "$2" "$size"
    awk -v zeros="$(macro "$1" FILE_OFFSET)" '
        /^static const unsigned char/ {
            for (i = 0; i < zeros; i++)
                printf "%s0x00,%s", i % 16 ? " " : "    ", i % 16 == 15 ? "\n" : ""
            inside = 1
            next
        }
        inside { print }
        /^};/ { inside = 0 }' "gen/$1.h"
}

files=
for arch in $arches; do
    if [ "$style" = godwit ]; then
        for header in gen/"$arch"_*.h; do
            cp "$header" "$dest/"
            files="$files ${header#gen/}"
        done
    else
        # shellcheck disable=SC2046 # the table's words
        set -- $(echo "$qemu_table" | grep "^$arch ")
        [ -f "gen/$4.h" ] || die "no gen/$4.h; run make headers/$4"
        mkdir -p "$dest/${2%/*}"
        qemu_header "$4" "$3" >"$dest/$2"
        files="$files $2"
    fi
done
if [ "$style" = godwit ]; then
    for header in include/godwit/*.h; do
        cp "$header" "$dest/"
        files="$files ${header#include/godwit/}"
    done
fi
cp LICENSE "$dest/"
{
    echo "# Vendored from Godwit $version, guest ABI version $abi. Check: sha256sum -c VENDORED"
    # shellcheck disable=SC2086 # our own names, no blanks in them
    (cd "$dest" && sha256sum LICENSE $files)
} >"$dest/VENDORED"
# shellcheck disable=SC2086
echo "vendored to $dest:" $files
