#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Migrates a Linux guest while it boots: a kernel and a static busybox from Debian's packages, in a
# command line as a person would write it. Nothing is installed, and apt gets a folder of its own.
#
#   examples/linux/run.sh x86_64|aarch64 FOLDER [OPTION OF GODWIT MIGRATE...]
set -eu

godwit=${GODWIT:-godwit}
suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}

[ $# -ge 2 ] || {
    echo "usage: $0 x86_64|aarch64 FOLDER [OPTION...]" >&2
    exit 2
}
target=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
shift 2
case $target in
x86_64) arch=amd64 machine=q35 console=ttyS0 ;;
aarch64) arch=arm64 machine=virt,gic-version=3 console=ttyAMA0 ;;
*)
    echo "$0: no kernel for $target" >&2
    exit 2
    ;;
esac

# Runs an apt tool for the guest's architecture, in a folder of its own.
apt() {
    tool=$1
    shift
    "$tool" -qq -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State="$folder/apt/state" -o Dir::State::status="$folder/apt/status" \
        -o Dir::Cache="$folder/apt/cache" -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

# fetch PACKAGE: unpacks it into the folder root.
fetch() {
    (cd "$folder/apt" && apt apt-get download "$1")
    dpkg-deb -x "$folder/apt/$1"_*.deb "$folder/root"
}

# archive: writes the files whose names come on standard input, in the format of an initrd.
archive() {
    perl -e '
        use strict;
        use warnings;
        my $serial = 0;
        sub entry {
            my ($name, $mode, $data, $major, $minor) = @_;
            my $head = join "", map { sprintf "%08X", $_ } ++$serial, $mode, 0, 0, 1, 0,
                length $data, 0, 0, $major, $minor, 1 + length $name, 0;
            my $out = "070701$head$name\0";
            $out .= "\0" while length($out) % 4;
            $out .= $data;
            $out .= "\0" while length($out) % 4;
            print $out;
        }
        entry($_, 040755, "", 0, 0) for qw(bin dev proc tmp);
        entry("dev/console", 020600, "", 5, 1);
        for my $file (["bin/busybox", $ARGV[0]], ["init", $ARGV[1]]) {
            open(my $in, "<:raw", $file->[1]) or die "$file->[1]: $!\n";
            local $/;
            entry($file->[0], 0100755, scalar <$in>, 0, 0);
        }
        entry("TRAILER!!!", 0, "", 0, 0);
    ' "$@"
}

if [ ! -e "$folder/initrd" ]; then
    rm -rf "$folder/apt" "$folder/root" # of a run that was interrupted
    mkdir -p "$folder/apt/state/lists/partial" "$folder/apt/cache/archives/partial" "$folder/root"
    : >"$folder/apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
        >"$folder/apt/sources.list"
    apt apt-get update
    kernel=$(apt apt-cache depends "linux-image-cloud-$arch" | sed -n 's/.*Depends: //p')
    fetch "$kernel"
    fetch busybox-static
    cat >"$folder/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "init of the example runs"
while :; do
    /bin/busybox dd if=/proc/kallsyms of=/tmp/symbols bs=64k 2>/dev/null
    /bin/busybox cat /proc/uptime
done
END
    cp "$folder"/root/boot/vmlinuz-* "$folder/kernel"
    archive "$folder/root/bin/busybox" "$folder/init" >"$folder/initrd.new"
    mv "$folder/initrd.new" "$folder/initrd"
fi

cat >"$folder/command" <<END
qemu-system-$target \\
    -machine $machine -accel tcg -cpu max -smp 2 -m 512 -nodefaults -nographic \\
    -kernel '$folder/kernel' -initrd '$folder/initrd' -append 'console=$console panic=-1' \\
    -serial mon:stdio -device virtio-rng-pci \\
    -netdev user,id=net0 -device virtio-net-pci,netdev=net0
END

exec "$godwit" migrate --command "$folder/command" --guest theirs --after 'Linux version' "$@"
