#!/bin/sh
# Makes an OCI image with Godwit and three QEMUs, from packages, without a daemon and without a
# registry: each layer is a tar archive, and a program and two JSON files name them.
#
#   mk/oci.sh BUILD QEMUS FOLDER       BUILD has godwit, QEMUS is what mk/qemus.sh has unpacked
#
# FOLDER becomes an OCI image layout. The layers: this Debian release with its own QEMU, the QEMUs of
# newer ones, Godwit. The packages come from where this system's own do, or from $DEBIAN_MIRROR.
#
# SPDX-License-Identifier: MIT
set -eu
build=$1 qemus=$2 folder=$3

# shellcheck disable=SC1091 # of the host
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck source-path=SCRIPTDIR
. "${0%/*}/debian-mirror.sh"
site=$(debian_mirror)
if [ -z "$site" ]; then
    # shellcheck disable=SC2016
    echo 'oci: apt knows no Debian mirror here: name one in $DEBIAN_MIRROR' >&2
    exit 2
fi

# Prints the packages of the libraries that Godwit is linked with. Their names are not the same in each
# release. A package lists a library where /lib was, if it has not moved yet.
libraries() {
    ldd "$build/godwit" | sed -n 's|.* => \(/[^ ]*\) .*|\1|p' | while read -r library; do
        library=$(realpath "$library")
        dpkg-query -S "$library" 2>/dev/null || dpkg-query -S "${library#/usr}"
    done | cut -d : -f 1 | sort -u
}

packages=$(libraries | paste -s -d ,)
if [ -z "$packages" ]; then
    echo "oci: no package has the libraries of $build/godwit" >&2
    exit 2
fi
packages=$packages,ca-certificates,qemu-system-x86,qemu-system-arm,qemu-system-ppc,qemu-system-misc

rm -rf "$folder"
mkdir -p "$folder/blobs/sha256"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# blob FILE: moves it to its place. Prints its digest and size.
blob() {
    digest=$(sha256sum "$1" | cut -d ' ' -f 1)
    size=$(stat -c %s "$1")
    mv "$1" "$folder/blobs/sha256/$digest"
    echo "$digest $size"
}

layers='' diffs=''
# layer FILE: adds a layer, not compressed, so that its digest is also that of its contents.
layer() {
    # shellcheck disable=SC2046 # two words
    set -- $(blob "$1")
    layers="$layers${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$1\",\"size\":$2}"
    diffs="$diffs${diffs:+,}\"sha256:$1\""
}

echo "oci: $release with its QEMU" >&2
mmdebstrap --variant=minbase --include="$packages" --format=tar "$release" "$work/base.tar" "$site" >"$work/log" 2>&1 ||
    { tail -n 5 "$work/log" >&2; exit 2; }
layer "$work/base.tar"
echo "oci: the QEMUs in $qemus" >&2
# Names are moved below /opt; targets of links stay.
tar -C "$qemus" --owner=0 --group=0 --numeric-owner --sort=name --exclude=log --exclude=complete \
    --transform='flags=r;s|^[.]|opt/qemus|' -cf "$work/qemus.tar" .
layer "$work/qemus.tar"
echo 'oci: Godwit' >&2
PREFIX=/usr DESTDIR=$work/root mk/install.sh install "$build" command
tar -C "$work/root" --owner=0 --group=0 --numeric-owner --sort=name -cf "$work/godwit.tar" usr
layer "$work/godwit.tar"

date=$(git log -1 --format=%cI 2>/dev/null || date -u +%Y-%m-%dT%H:%M:%SZ)
cat >"$work/config" <<EOF
{"created":"$date","architecture":"$(dpkg --print-architecture)","os":"linux",
 "config":{"Entrypoint":["/usr/bin/godwit"],"Cmd":["--help"],"WorkingDir":"/tmp",
  "Env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
 "rootfs":{"type":"layers","diff_ids":[$diffs]}}
EOF
# shellcheck disable=SC2046
set -- $(blob "$work/config")
cat >"$work/manifest" <<EOF
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$1","size":$2},
 "layers":[$layers]}
EOF
# shellcheck disable=SC2046
set -- $(blob "$work/manifest")
cat >"$folder/index.json" <<EOF
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "digest":"sha256:$1","size":$2,"annotations":{"org.opencontainers.image.ref.name":"godwit"}}]}
EOF
echo '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
echo "oci: $(du -sh "$folder" | cut -f 1) in $folder, tag godwit" >&2
